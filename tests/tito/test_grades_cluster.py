"""Workers of Dask do what a pool of processes does, and a lost one is replaced."""

import importlib.util
import os
from pathlib import Path

import pytest

from tito.core.errors import EnvironmentProblem, UsageProblem
from tito.ports.cluster import Dask, number_in

there = importlib.util.find_spec("distributed") is not None
needs_dask = [pytest.mark.slow, pytest.mark.skipif(not there, reason="Dask distributed is not installed")]


def work(job: tuple[str, str]) -> str:
    kind, path = job
    if kind == "raises": raise ValueError("no")
    if kind == "dies once" and not Path(path).exists():
        Path(path).touch()
        os._exit(1)
    return kind.upper()


class TestDask:
    pytestmark = needs_dask

    def test_every_job_has_its_answer_whatever_happens_to_workers(self, tmp_path):
        kinds = ["a", "raises", "b", "dies once", "c"]
        jobs = [(kind, str(tmp_path / "once")) for kind in kinds]
        found = {kind: answer for (kind, _), answer in Dask("local:2").each(work, jobs)}
        assert isinstance(found.pop("raises"), ValueError)
        assert found == {kind: kind.upper() for kind in ("a", "b", "c", "dies once")}


@pytest.mark.parametrize("text", ["0", "-1", "x", ""])
def test_a_number_of_workers_is_a_number(text):
    with pytest.raises(UsageProblem): number_in(text)


@pytest.mark.skipif(there, reason="Dask distributed is installed")
def test_without_dask_it_says_what_to_install():
    with pytest.raises(EnvironmentProblem, match="Dask"):
        list(Dask("tcp://localhost:1").each(work, [("a", "")]))
