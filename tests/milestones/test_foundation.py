"""The gate of Foundation opens for the reference, and stays shut for packages with one op broken."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "milestones/foundation/milestone.py"

# One op broken: what to append to the package, the test that must fail, a word its message must hold.
BROKEN = {
    "softmax without normalisation": (
        "def softmax(input, dim): return (input - input.amax(dim, keepdim=True)).exp()", "softmax", "sum"),
    "softmax over the wrong axis": (
        "good = softmax\ndef softmax(input, dim): return good(input, dim - 1)", "softmax", "dim 1"),
    "softmax without max subtraction": (
        "def softmax(input, dim): return input.exp() / input.exp().sum(dim, keepdim=True)",
        "large scores do not overflow", "maximum"),
    "log_softmax without max subtraction": (
        "def log_softmax(input, dim): return input - input.exp().sum(dim, keepdim=True).log()",
        "large scores do not overflow", "maximum"),
    "log_softmax with its sign turned": (
        "good = log_softmax\ndef log_softmax(input, dim): return -good(input, dim)", "log_softmax", "logarithm"),
    "relu that lets everything through": ("def relu(input): return input * 1", "relu", "positive"),
    "relu that works in place": ("good = relu\ndef relu(input):\n    input[:] = good(input)\n    return input",
                                 "relu", "changed its input"),
    "matmul transposed": ("good = Tensor.__matmul__\nTensor.__matmul__ = lambda x, y: good(x, y).transpose(0, 1)",
                          "matmul", "row i of x times column j"),
    "matmul of flipped weights": ("good = Tensor.__matmul__\nTensor.__matmul__ = lambda x, y: good(x, y.flip(0))",
                                  "matmul", "row i of x times column j"),
    "a bias that reaches one row only": (
        "good = Tensor.__add__\ndef add(x, y):\n    out = x * 1\n    out[0] = good(x, y)[0]\n    return out\n"
        "Tensor.__add__ = add", "add", "every row"),
    "argmax off by one": ("good = Tensor.argmax\nTensor.argmax = lambda x, dim: good(x, dim) + 1",
                          "argmax", "highest score"),
    "argmax of the lowest": ("Tensor.argmax = lambda x, dim: x.argmin(dim)", "argmax", "highest score"),
    "softmax that leaks float64": ("good = softmax\ndef softmax(input, dim): return good(input, dim).to(float64)",
                                   "softmax", "float32"),
    "a mean in float64": ("good = Tensor.mean\nTensor.mean = lambda x: good(x.to(float64))", "mean", "float32"),
    "a variance of a sample": ("good = Tensor.var\nTensor.var = lambda x, correction: good(x, correction=2000)",
                               "var", "squared distances"),
    "a reshape by columns": (
        "good = Tensor.reshape\nTensor.reshape = lambda x, *s: good(x.transpose(-1, -2), *s)", "reshape", "8 pixels"),
    "a reshape that forgets strides": (
        "good = Tensor.reshape\n"
        "Tensor.reshape = lambda x, *s: good(x if x.is_contiguous() else x.transpose(1, 2), *s)",
        "views are read like copies", "view"),
    "a blank": ("def relu(input): raise NotImplementedError('your turn: relu')", "relu", "your turn"),
    "an op that raises": ("def relu(input): return input.nothing()", "relu", "tinytorch/__init__.py, line"),
}


def run(package: Path, tmp_path: Path):
    """Exit code, printed text and the report of the program over the package in this folder."""
    report = tmp_path / "report.json"
    env = {**os.environ, "PYTHONPATH": str(package.parent), "TITO_REPORT": str(report), "PYTHONIOENCODING": "utf-8",
           "TITO_DATASETS": str(ROOT / "datasets"), "TITO_ASSETS": str(PROGRAM.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, PROGRAM], cwd=package.parent, env=env, capture_output=True, encoding="utf-8")
    assert report.exists(), done.stderr
    return done.returncode, done.stdout, json.loads(report.read_text())


@pytest.fixture
def package(tmp_path):
    """A copy of the reference, as a learner would own it, to break."""
    return Path(shutil.copytree(ROOT / "tinytorch", tmp_path / "learner/tinytorch"))


def test_the_reference_reads_the_digits(package, tmp_path):
    code, text, report = run(package, tmp_path)
    assert [t for t in report["tests"] if t["status"] != "passed"] == []
    assert code == 0
    assert report["numbers"]["accuracy"] >= 0.95
    assert "░" in text and "372 of 382 digits read" in text


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_op_keeps_the_gate_shut_and_is_named(what, package, tmp_path):
    sabotage, name, word = BROKEN[what]
    with (package / "__init__.py").open("a", encoding="utf-8") as face:
        face.write(f"\nfrom tinytorch import *\n{sabotage}\n")
    code, _, report = run(package, tmp_path)
    failed = {t["name"]: t for t in report["tests"] if t["status"] != "passed"}
    assert code == 1
    assert name in failed, list(failed)
    assert next(iter(failed)) == name, f"the first to fail is {next(iter(failed))}"
    assert word in failed[name]["message"]


def test_the_report_can_go_down_an_open_descriptor(package):
    read, write = os.pipe()
    env = {**os.environ, "PYTHONPATH": str(package.parent), "TITO_REPORT": str(write), "PYTHONIOENCODING": "utf-8"}
    subprocess.run([sys.executable, PROGRAM], cwd=package.parent, env=env, pass_fds=[write], stdout=subprocess.DEVNULL)
    os.close(write)
    with open(read, encoding="utf-8") as pipe:
        assert json.load(pipe)["numbers"]["digits"] == 382


def test_the_shipped_weights_are_those_of_the_checksum_file():
    digest, name = (PROGRAM.parent / "weights.npz.sha256").read_text().split()
    assert hashlib.sha256((PROGRAM.parent / name).read_bytes()).hexdigest() == digest


def test_no_form_is_on_both_sides_of_the_split():
    with np.load(ROOT / "datasets/digits/digits.npz") as digits:
        images, labels, forms = digits["images"], digits["labels"], digits["forms"]
    assert images.shape == (1797, 8, 8) and images.dtype == labels.dtype == np.uint8 and images.max() == 16
    assert ((forms < 11).sum(), (forms >= 11).sum()) == (1415, 382)
    assert set(labels[forms >= 11]) == set(range(10))
