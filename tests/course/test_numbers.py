"""The numbers in tests/numbers.toml, computed again."""

import math
import tomllib
from pathlib import Path

import numpy
import pytest

import tinytorch
import tinytorch.datasets
import tinytorch.pieces
import tinytorch.vision
from tito.core.prose import numbers, value

NUMBERS = tomllib.loads((Path(__file__).parents[1] / "numbers.toml").read_text("utf-8"))["number"]
PLAN = (3, 64), (64, 128), (128, 256), (256, 256), (256, 512), (512, 512), (512, 512), (512, 512)
DENSE = (25088, 4096), (4096, 4096), (4096, 1000)
VGG11 = [(out, width + 1) for width, out in DENSE] + [(out, 9 * width + 1) for width, out in PLAN]
KNOWN = {"math": math, "numpy": numpy, "tinytorch": tinytorch, "VGG11": VGG11}


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row['lesson']} {row['said']}") for row in NUMBERS])
def test_a_number_is_what_it_comes_to_or_has_a_reason(row):
    assert ("work" in row) != ("because" in row)
    if "work" in row:
        digits = len(row["said"].partition(".")[2])
        assert round(float(eval(row["work"], dict(KNOWN))), digits) == value(row["said"])


def test_what_says_something_precisely_is_a_number_and_the_rest_is_not():
    said = "LeNet-5 of 1998 has 61,706 weights, `12345` in $2^{100}$ rows of 784: 0.69 in 8,000. [x](y123.md)"
    assert numbers(said) == ["61,706", "784", "0.69"]
