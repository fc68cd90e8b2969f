"""What the Training milestone does with real data: it is asked for, trained on, and judged."""

import importlib.util
import json
from pathlib import Path

import pytest

import tinytorch

ROOT = Path(__file__).resolve().parents[2]

spec = importlib.util.spec_from_file_location("milestone_real", ROOT / "milestones/training/real.py")
real = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)


@pytest.fixture
def data_set(data, monkeypatch):
    """The real data sets are where they are looked for."""
    monkeypatch.setenv("TINYTORCH_DATA", str(data))


@pytest.mark.parametrize("name, words", [
    ("mnist", "four files"), ("cifar10", "cifar-10-python.tar.gz"), ("shakespeare", "tinyshakespeare.txt")])
def test_what_is_missing_is_said_with_where_to_put_it(name, words, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYTORCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError) as missing: real.train(tinytorch, name)
    said = str(missing.value)
    assert said.startswith(f"{name} is not in {tmp_path}.")
    assert words in said and "TINYTORCH_DATA" in said and "download=True" in said


@pytest.mark.parametrize("name, found, right", [
    ("mnist", {"accuracy": 0.9899}, False), ("mnist", {"accuracy": 0.99}, True),
    ("cifar10", {"accuracy": 0.7999}, False), ("cifar10", {"accuracy": 0.8}, True),
    ("mnist", {"accuracy": float("nan")}, False), ("shakespeare", {"loss": float("nan")}, False),
])
def test_a_verdict_is_what_was_asked_and_nothing_less(name, found, right):
    assert real.verdict(name, found)[0] is right


def test_shakespeare_is_judged_by_what_pytorch_reached_with_the_same_network():
    theirs = json.loads((ROOT / "milestones/training/pytorch.json").read_text())["shakespeare"]
    gpt = real.models(tinytorch)[2](65)
    assert theirs["parameters"] == sum(p.numel() for p in gpt.parameters())
    assert real.verdict("shakespeare", {"loss": 1.029 * theirs["loss"]})[0]
    assert not real.verdict("shakespeare", {"loss": 1.031 * theirs["loss"]})[0]


@pytest.mark.slow
def test_one_epoch_of_mnist_reads_as_well_as_pytorch(data_set):
    torch = pytest.importorskip("torch")
    ours, theirs = (real.train(library, "mnist", share=1 / 6) for library in (tinytorch, torch))
    assert ours["accuracy"] > 0.97 and abs(ours["accuracy"] - theirs["accuracy"]) < 0.005


@pytest.mark.slow
def test_a_tenth_of_shakespeare_is_learned_as_by_pytorch(data_set):
    torch = pytest.importorskip("torch")
    ours, theirs = (real.train(library, "shakespeare", share=0.1) for library in (tinytorch, torch))
    assert ours["loss"] < 2.6 and abs(ours["loss"] / theirs["loss"] - 1) < 0.03
