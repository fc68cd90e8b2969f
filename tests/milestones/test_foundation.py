"""The gate of Foundation opens for the reference, and stays shut for packages with one op broken."""

import hashlib
import json
import os
import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "milestones/foundation/milestone.py"

# What is appended to the package: `broken("exp")(lambda good, x: …)` gives an op another forward.
BREAKER = """
import numpy as np
from tinytorch.tensor import METHODS

def broken(name):
    def by(forward):
        op, good = METHODS[name], METHODS[name].forward
        op.forward = lambda *inputs, **settings: forward(good, *inputs, **settings)
        return op
    return by
"""

# The test that must fail first, words of its message, and what breaks the package.
BROKEN = {
    "softmax without normalisation": ("softmax", "over the sum", """
broken("softmax")(lambda good, x, dim: np.exp(x - x.max(dim, keepdims=True)))
"""),
    "softmax over the wrong axis": ("softmax", "dim 1", """
broken("softmax")(lambda good, x, dim: good(x, dim - 1))
"""),
    "softmax without max subtraction": ("large scores do not overflow", "maximum", """
broken("softmax")(lambda good, x, dim: np.exp(x) / np.exp(x).sum(dim, keepdims=True))
"""),
    "log_softmax without max subtraction": ("large scores do not overflow", "maximum", """
broken("log_softmax")(lambda good, x, dim: x - np.log(np.exp(x).sum(dim, keepdims=True)))
"""),
    "log_softmax with its sign turned": ("log_softmax", "logarithm", """
broken("log_softmax")(lambda good, x, dim: -good(x, dim))
"""),
    "relu that lets everything through": ("relu", "positive", """
broken("relu")(lambda good, x: x.copy())
"""),
    "relu that works in place": ("relu", "changed its input", """
broken("relu")(lambda good, x: np.maximum(x, 0, out=x))
"""),
    "matmul transposed": ("matmul", "row i of x times column j", """
broken("matmul")(lambda good, x, y: good(x, y).T)
"""),
    "matmul of flipped weights": ("matmul", "row i of x times column j", """
broken("matmul")(lambda good, x, y: good(x, y[::-1]))
"""),
    "a bias that reaches one row only": ("add", "every row", """
@broken("add")
def add(good, x, y):
    out = x.copy()
    out[0] += y
    return out
"""),
    "argmax off by one": ("argmax", "highest score", """
broken("argmax")(lambda good, x, **settings: good(x, **settings) + 1)
"""),
    "argmax of the lowest": ("argmax", "highest score", """
broken("argmax")(lambda good, x, **settings: good(-x, **settings))
"""),
    "softmax that leaks float64": ("softmax", "float32", """
broken("softmax")(lambda good, x, dim: good(x.astype(float), dim))
"""),
    "a mean in float64": ("mean", "float32", """
broken("mean")(lambda good, x, *dims: good(x.astype(float), *dims))
"""),
    "a variance with another divisor": ("var", "squared distances", """
good = METHODS["var"]
METHODS["var"] = lambda x, correction: good(x, correction=2000)
"""),
    "a reshape by columns": ("reshape", "8 pixels", """
broken("reshape")(lambda good, x, shape: good(x.swapaxes(-1, -2), shape))
"""),
    "a reshape that forgets strides": ("views are read like copies", "transposed", """
broken("reshape")(lambda good, x, shape: good(x if x.flags.c_contiguous else x.swapaxes(1, 2), shape))
"""),
    "a blank": ("relu", "your turn", """
@broken("relu")
def relu(good, x): raise NotImplementedError("your turn: relu")
"""),
    "an op that raises": ("relu", "tinytorch/__init__.py, line", """
broken("relu")(lambda good, x: x.nothing())
"""),
}


def test_the_reference_reads_the_digits(play):
    code, text, report = play(PROGRAM)
    assert [t for t in report["tests"] if t["status"] != "passed"] == []
    assert code == 0
    assert report["numbers"]["accuracy"] >= 0.95
    assert "░" in text and "372 of 382 digits read" in text


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_op_keeps_the_gate_shut_and_is_named(what, shut):
    name, word, sabotage = BROKEN[what]
    shut(PROGRAM, BREAKER + sabotage, name, word)


def test_the_report_can_go_down_an_open_descriptor(start):
    read, write = os.pipe()
    start(PROGRAM, write, pass_fds=[write], stdout=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        assert json.load(pipe)["numbers"]["digits"] == 382


def test_the_shipped_weights_are_those_of_the_checksum_file():
    digest, name = (PROGRAM.parent / "weights.npz.sha256").read_text().split()
    assert hashlib.sha256((PROGRAM.parent / name).read_bytes()).hexdigest() == digest


@pytest.fixture(scope="module")
def digits():
    with np.load(ROOT / "datasets/digits/digits.npz") as arrays:
        return arrays["images"], arrays["labels"], arrays["forms"]


def test_no_form_is_on_both_sides_of_the_split(digits):
    images, labels, forms = digits
    assert images.shape == (1797, 8, 8) and images.dtype == labels.dtype == np.uint8 and images.max() == 16
    assert ((forms < 11).sum(), (forms >= 11).sum()) == (1415, 382)
    assert set(labels[forms >= 11]) == set(range(10))


def test_the_forms_follow_from_the_labels(digits):
    _, labels, forms = digits
    make = runpy.run_path(str(ROOT / "datasets/digits/make.py"))
    np.testing.assert_array_equal(make["form_of"](labels), forms)
    assert hashlib.sha256((ROOT / "datasets/digits/digits.npz").read_bytes()).hexdigest() == make["MADE"]


@pytest.mark.slow
def test_another_seed_trains_as_good_a_reader(digits):
    images, labels, forms = digits
    script = runpy.run_path(str(ROOT / "milestones/foundation/train_weights.py"))
    seen = forms < 11
    W1, b1, W2, b2 = script["train"](images[seen].astype(float), labels[seen].astype(int), seed=1969)
    x = (images.reshape(-1, 64) - images[seen].mean()) / images[seen].std()
    right = (np.maximum(x @ W1 + b1, 0) @ W2 + b2).argmax(1) == labels
    assert right[~seen].mean() >= 0.95
