"""The report on the machine: true here, and right about machines that are not here."""

import os
import platform

import numpy as np
import pytest

import tinytorch
from tinytorch.version import concerns, cores, memory, versions

WELL = {"python": (3, 12), "numpy": "2.1.0", "library": "openblas", "size": 8 << 30, "count": 4}


def test_the_report_names_what_is_installed():
    found = versions()
    assert found["TinyTorch"] == tinytorch.__version__ and found["NumPy"] == np.__version__
    assert platform.python_version() in found["Python"]
    assert int(found["cores"]) == cores() <= (os.cpu_count() or 1)
    assert memory() is None or memory() > 1 << 20


def test_show_versions_prints_one_fact_a_line(capsys):
    tinytorch.show_versions()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["TinyTorch", "Python", "NumPy"]


@pytest.mark.parametrize("change, said", [
    ({}, None),
    ({"python": (3, 8)}, "Python 3.8 is too old"),
    ({"numpy": "1.26.4"}, "NumPy 1.26.4 is too old"),
    ({"library": "none"}, "without a BLAS"),
    ({"size": 1 << 30}, "Less than 2 GiB"),
    ({"environment": {"OMP_NUM_THREADS": "64"}}, "OMP_NUM_THREADS is 64"),
    ({"environment": {"OMP_NUM_THREADS": "4"}}, None),
], ids=str)
def test_each_concern_is_a_sentence(change, said):
    found = concerns(**{"environment": {}, **WELL, **change})
    assert (said in found[0] and len(found) == 1) if said else found == []
