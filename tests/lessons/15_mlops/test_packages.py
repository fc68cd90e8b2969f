"""Packages of lesson 15: sealed, built again from words, and refused if anything is not what was signed."""

import hashlib
import json

import numpy as np
import pytest

from tinytorch import nn, tensor
from tinytorch.cards import Heat, card
from tinytorch.mlops import MANIFEST, SIGNATURE, Tampered, digests, seal, sign, verified
from tinytorch.packages import (
    built,
    digest_of_code,
    digest_of_data,
    load_package,
    prepared,
    save_package,
    words,
)

KEY = b"a key"
PLAN = words("tinytorch.nn.Sequential", words("tinytorch.nn.Linear", 4, 3), words("tinytorch.nn.ReLU"))


@pytest.fixture
def package(tmp_path):
    model = built(PLAN)
    save_package(tmp_path / "it", model, name="it", architecture=PLAN, key=KEY, preprocessing=[["divide", 2]],
                 metrics={"accuracy": 0.5}, licence="CC0-1.0", classes=["a", "b", "c"])
    return tmp_path / "it", model


def test_a_package_answers_as_the_model_did(package):
    folder, model = package
    opened = load_package(folder, KEY)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert opened.answer(x).tolist() == model(tensor(x / 2)).tolist(), "weights and preparation come along"
    assert opened.facts["metrics"] == {"accuracy": 0.5} and opened.facts["classes"] == ["a", "b", "c"]
    assert len(opened.facts["code"]) == 64, "the code that made it is known by its digest"


@pytest.mark.parametrize("name", ["weights.safetensors", "facts.json"])
def test_each_changed_bit_is_found_and_the_file_named(package, name):
    folder, _ = package
    data = bytearray((folder / name).read_bytes())
    for place in {0, len(data) // 2, len(data) - 1}:
        data[place] ^= 1
        (folder / name).write_bytes(data)
        with pytest.raises(Tampered, match=name): load_package(folder, KEY)
        data[place] ^= 1
    (folder / name).write_bytes(data)
    load_package(folder, KEY)


def test_a_manifest_cannot_be_made_to_fit_without_the_key(package):
    folder, _ = package
    (folder / "weights.safetensors").write_bytes(b"other")
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    manifest["files"] = digests(folder)
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(Tampered, match="key"): verified(folder, KEY)
    (folder / SIGNATURE).write_text(seal(manifest, b"another key"), "utf-8")
    with pytest.raises(Tampered, match="key"): verified(folder, KEY)


def test_a_file_by_the_name_of_the_manifest_deeper_down_is_signed_like_any_other(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / MANIFEST).write_bytes(b"1")
    sign(tmp_path, KEY)
    (tmp_path / "a" / MANIFEST).write_bytes(b"2")
    with pytest.raises(Tampered, match=f"a/{MANIFEST}"): verified(tmp_path, KEY)


@pytest.mark.parametrize("build", ["os.system", "tinytorch.nn.functional.relu", "tinytorch.nn.init.zeros_",
                                   "eval",
                                   "tinytorch.models.__loader__", "tinytorch.nn.", "", "builtins.exec"])
def test_only_builders_of_the_list_build(build):
    with pytest.raises(ValueError, match="builder"): built({"build": build, "args": ["echo"]})


def test_words_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="run"): built({"build": "tinytorch.nn.ReLU", "run": "it"})
    with pytest.raises(ValueError, match="no step"): prepared(np.ones(3), [["exec", "x"]])


def test_a_builder_of_your_own_is_handed_in_by_the_loader(tmp_path):
    class Mine(nn.Linear): pass

    plan = words("mine.Mine", 2, 1)
    save_package(tmp_path, Mine(2, 1), name="mine", architecture=plan, key=KEY)
    with pytest.raises(ValueError, match=r"mine\.Mine"): load_package(tmp_path, KEY)
    assert isinstance(load_package(tmp_path, KEY, {"mine.Mine": Mine}).model, Mine)


def test_a_plan_that_does_not_build_the_model_is_refused_before_anything_is_signed(tmp_path):
    with pytest.raises(ValueError, match="does not build this model"):
        save_package(tmp_path / "p", built(PLAN), name="it", key=KEY,
                     architecture=words("tinytorch.nn.Linear", 4, 5))
    assert not (tmp_path / "p" / MANIFEST).exists()


def test_preparation_is_written_in_words():
    x = np.array([[[[np.nan, 10.0]], [[20.0, 30.0]]]])                         # (1, 2, 1, 2)
    got = prepared(x, [["fill_nan", 0], ["divide", 10], ["normalize", [1, 2], [0.5, 0.25]], ["clip", -4, 3],
                       ["reshape", 4]])
    assert got.dtype.name == "float32" and got.tolist() == [[-2.0, 0.0, 0.0, 3.0]]


def test_the_digest_of_data_is_that_of_its_samples():
    pairs = [(tensor([1.0, 2.0]), 1), (tensor([3.0, 4.0]), 0)]
    assert digest_of_data(pairs) == digest_of_data(list(pairs)) != digest_of_data(pairs[::-1])
    assert digest_of_data(pairs) != digest_of_data([(tensor([1.0, 2.5]), 1), pairs[1]])
    assert digest_of_data([tensor([[1.0, 2.0]])]) != digest_of_data([tensor([[1.0], [2.0]])]), \
        "a shape counts"


def test_the_digest_of_code_changes_with_the_code(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n", "utf-8")
    before = digest_of_code(tmp_path)
    (tmp_path / "notes.txt").write_text("not code", "utf-8")
    assert digest_of_code(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2\n", "utf-8")
    assert digest_of_code(tmp_path) != before


def test_a_link_to_a_file_counts_as_what_it_shows(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    try: (tmp_path / "b").symlink_to(tmp_path / "a")
    except OSError: pytest.skip("there are no links here")
    assert digests(tmp_path)["b"] == hashlib.sha256(b"abc").hexdigest()


def test_a_card_shows_the_facts_and_escapes_them(package):
    facts = load_package(package[0], KEY).facts | {"use": "<script>alert(1)</script>", "note": "a & b"}
    page = card(facts, {"drift": Heat(np.eye(2))})
    assert "<script>" not in page and "a &amp; b" in page and "&lt;script&gt;" in page
    assert "0.5" in page and "CC0-1.0" in page and facts["code"] in page and page.count("<rect") == 4
