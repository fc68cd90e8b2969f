"""Files of ours and of the safetensors library: each reads the other's, and both refuse the same."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch import bfloat16
from tinytorch.safetensors import load, load_file, metadata, save, save_file
from tinytorch.tensor import Tensor

library = pytest.importorskip("safetensors", reason="the reference is the safetensors library")
theirs = pytest.importorskip("safetensors.numpy")

KINDS = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
         "float16", "float32", "float64"]
arrays = st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 4), max_size=3)).map(
    lambda pair: np.random.default_rng(len(pair[1])).integers(0, 2, pair[1]).astype(pair[0]))
trees = st.dictionaries(st.text(max_size=8).filter(lambda s: s != "__metadata__"), arrays, max_size=6)


def agree(ours, others) -> bool:
    return set(ours) == set(others) and all(
        x.array.dtype == others[name].dtype and x.shape == others[name].shape
        and np.array_equal(x.array, others[name]) for name, x in ours.items())


@settings(max_examples=100, deadline=None)
@given(trees)
def test_each_reads_what_the_other_writes(tree):
    assert agree(load(theirs.save(tree)), tree)
    assert agree({name: Tensor(np.asarray(x)) for name, x in tree.items()}, theirs.load(save(tree)))


def test_notes_are_read_by_both(tmp_path):
    x = np.arange(3.0)
    save_file({"x": Tensor(x)}, tmp_path / "ours", {"made by": "tinytorch"})
    theirs.save_file({"x": x}, tmp_path / "theirs", {"made by": "the library"})
    with library.safe_open(tmp_path / "ours", "numpy") as file:
        assert file.metadata() == {"made by": "tinytorch"} and file.get_tensor("x").tolist() == x.tolist()
    assert metadata(tmp_path / "theirs") == {"made by": "the library"}
    assert load_file(tmp_path / "theirs")["x"].tolist() == x.tolist()


def test_bfloat16_is_read_by_both():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.random.default_rng(0).standard_normal(7).astype(np.float32)
    short = x.astype(ml_dtypes.bfloat16)
    got = load(theirs.save({"x": short}))["x"]
    assert got.dtype is bfloat16 and got.tolist() == short.astype(np.float32).tolist()
    [(_, told)] = library.deserialize(save({"x": Tensor(x).to(bfloat16)}))
    assert (told["dtype"], told["shape"], bytes(told["data"])) == ("BF16", [7], short.tobytes())


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_by_ours_wherever_the_library_refuses_it(data):
    """One byte of the header changed, cut off or put in: ours may be stricter, never laxer."""
    good = theirs.save({"a": np.arange(3, dtype=np.uint8), "b": np.zeros((2, 2), np.float32)}, {"n": "1"})
    length = int.from_bytes(good[:8], "little")
    place = data.draw(st.integers(8, 8 + length - 1))
    what = data.draw(st.sampled_from(["change", "cut", "put in"]))
    middle = b"" if what == "cut" else bytes([data.draw(st.integers(0, 255))])
    header = good[8:place] + middle + good[place + (what != "put in") : 8 + length]
    bad = len(header).to_bytes(8, "little") + header + good[8 + length :]
    try: theirs.load(bad)
    except (library.SafetensorError, KeyError, TypeError):
        with pytest.raises(ValueError, match="no safetensors file"): load(bad)
    else:
        assert json.loads(header), "what the library reads has a header"
