"""The gate of Architecture opens for the reference, and stays shut for packages with one layer broken."""

import hashlib
import importlib.util
import json
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "milestones/architecture/milestone.py"

spec = importlib.util.spec_from_file_location("milestone_weights", ROOT / "milestones/weights.py")
weights = importlib.util.module_from_spec(spec)
spec.loader.exec_module(weights)

# What is appended to the package: `broken("conv2d")(lambda good, x, …: …)` gives an op another forward.
BREAKER = """
import numpy as np
from tinytorch.tensor import METHODS
import tinytorch.nn.functional
from tinytorch import attention, creation, nn, recurrent, spatial, tensor
from tinytorch.dtypes import int64

def broken(name):
    def by(forward):
        op, good = METHODS[name], METHODS[name].forward
        op.forward = lambda *inputs, **settings: forward(good, *inputs, **settings)
        return op
    return by

def swapped(*order):
    def by(w): return None if w is None else np.concatenate([np.split(w, 4)[i] for i in order])
    return by
"""

# The test that must fail first, words of its message, and what breaks the package.
BROKEN = {
    "linear without its bias": ("linear", "bias", """
broken("linear")(lambda good, x, w, b=None: good(x, w))
"""),
    "filters zeroed": ("conv2d", "filter", """
broken("conv2d")(lambda good, x, w, b=None, **settings: good(x, 0 * w, b, **settings))
"""),
    "filters flipped": ("conv2d", "as it stands", """
broken("conv2d")(lambda good, x, w, b=None, **how: good(x, w[..., ::-1, ::-1].copy(), b, **how))
"""),
    "filters of swapped channels": ("conv2d", "channels", """
broken("conv2d")(lambda good, x, w, b=None, **how: good(x, w[:, ::-1].copy(), b, **how))
"""),
    "a stride that is forgotten": ("conv2d", "window", """
broken("conv2d")(lambda good, x, w, b=None, **settings: good(x, w, b, **settings | {"stride": 1}))
"""),
    "max pool that averages": ("max_pool2d", "largest", """
METHODS["max_pool2d"].forward = lambda x, kernel_size, **how: METHODS["avg_pool2d"].forward(x, kernel_size)
"""),
    "batch norm without running statistics": ("batch_norm", "running mean", """
forward = spatial.BatchNorm2d.forward
def batch_norm(self, x):
    self.training = True
    return forward(self, x)
spatial.BatchNorm2d.forward = batch_norm
"""),
    "batch norm that forgets its scale": ("batch_norm", "batch norm", """
broken("rescale_channels")(lambda good, x, mean, var, w=None, b=None, **how: good(x, mean, var, **how))
"""),
    "layer norm over the wrong axis": ("layer_norm", "last axis", """
@broken("standardize")
def standardize(good, x, w, b, last=1, eps=1e-5):
    x = x - x.mean(-2, keepdims=True)
    return x / np.sqrt((x * x).mean(-2, keepdims=True) + eps) * w + b
"""),
    "ids off by one": ("embedding", "row of that number", """
broken("look_up")(lambda good, ids, table, **settings: good(ids, np.roll(table, 1, 0), **settings))
"""),
    "another gelu": ("gelu", "tanh", """
broken("gelu")(lambda good, x, approximate="none": np.maximum(x, 0))
"""),
    "no attention": ("attention", "mixes the values", """
@broken("attend")
def attend(good, q, k, v, mask=None, keep=None, **settings):
    return good(q * 0, k, v, mask, keep, **settings)
"""),
    "attention without its root": ("attention", "sqrt", """
broken("attend")(lambda good, *arrays, scale=None: good(*arrays, scale=1.0))
"""),
    "attention that looks ahead": ("causal attention", "ahead", """
broken("attend")(lambda good, q, k, v, mask=None, keep=None, **how: good(q, k, v, None, keep, **how))
"""),
    "attention that looks back only": ("causal attention", "0 to t", """
attention.causal_mask = lambda rows, columns=None: creation.zeros(rows, columns or rows).masked_fill(
    creation.ones(rows, columns or rows).triu(0) > 0, -1e9)
"""),
    "LSTM gates swapped": ("LSTM", "order input, forget, cell, output", """
@broken("lstm_layer")
def lstm_layer(good, x, h, c, *weights, **settings):
    return good(x, h, c, *map(swapped(1, 0, 2, 3), weights), **settings)
"""),
    "an LSTM that forgets its state": ("LSTM", "c = f c", """
@broken("lstm_layer")
def lstm_layer(good, x, h, c, w, u, *others, **settings): return good(x, h, c, w, 0 * u, *others, **settings)
"""),
    "a block that does not attend": ("the GPT looks back", "attention", """
attention.CausalSelfAttention.forward = lambda self, x: 0 * x
"""),
    "a block that looks ahead": ("the GPT does not look ahead", "causal", """
good = attention.scaled_dot_product_attention
attention.scaled_dot_product_attention = lambda *args, is_causal=False, **settings: good(*args, **settings)
"""),
    "positions ignored": ("the GPT tells places apart", "positions", """
attention.arange = lambda length, **settings: creation.zeros(length, dtype=int64)
"""),
    "a GPT without its last norm": ("unseen sonnets are foreseen", "surprised", """
good = attention.GPT.forward
def gpt(self, idx):
    self.transformer.ln_f.forward = lambda x: x
    return good(self, idx)
attention.GPT.forward = gpt
"""),
    "digits upside down": ("the digits are read", "LeNet-5", """
good = nn.functional.interpolate
nn.functional.interpolate = lambda x, **settings: good(x.flip(2), **settings)
"""),
    "zeros before the channels, not behind": ("resnet20 answers as in PyTorch", "PyTorch", """
good = nn.functional.pad
def shifted(x, ends): return good(x, [ends[i ^ 1] for i in range(len(ends))])
nn.functional.pad = shifted
"""),
    "an LSTM that takes sentences for steps": ("reader answers as in PyTorch", "PyTorch", """
good = recurrent.LSTM.forward
def lstm(self, x):
    self.batch_first = False
    return good(self, x)
recurrent.LSTM.forward = lstm
"""),
    "a GPT that forgets what it said": ("text is continued", "likeliest", """
@(lambda f: setattr(attention, "continued", f))
def continued(model, idx, steps, choose=attention.likeliest):
    for _ in range(steps):
        idx = tensor(np.concatenate([idx.array, choose(model(idx[:, :20])[:, -1]).array], 1))
    return idx
"""),
    "a blank": ("attention", "your turn", """
@broken("attend")
def attend(good, *arrays, **settings): raise NotImplementedError("your turn: attend")
"""),
}


def test_the_reference_opens_the_gate(play):
    code, text, report = play(PROGRAM)
    assert [t for t in report["tests"] if t["status"] != "passed"] == []
    assert code == 0
    assert report["numbers"]["accuracy"] >= 0.97 and report["numbers"]["loss"] < 1.75
    assert max(report["numbers"][name] for name in ("resnet20", "gpt", "reader")) < 1e-5
    assert "When in the chronicle of wasted time" in text


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_layer_keeps_the_gate_shut_and_is_named(what, shut):
    name, word, sabotage = BROKEN[what]
    shut(PROGRAM, BREAKER + sabotage, name, word)


def test_the_shipped_weights_are_those_of_the_checksum_file_and_small():
    told = dict(line.split()[::-1] for line in (PROGRAM.parent / "weights.sha256").read_text().splitlines())
    files = {file.name: file.read_bytes() for file in PROGRAM.parent.glob("*.safetensors")}
    assert told == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert sum(map(len, files.values())) <= 2_000_000


def test_the_sonnets_are_those_that_were_made():
    make = runpy.run_path(str(ROOT / "datasets/text/make.py"))
    data = (ROOT / "datasets/text/sonnets.txt").read_bytes()
    assert hashlib.sha256(data).hexdigest() == make["MADE"]
    assert len(data.decode("ascii").split("\n\n")) == 154

# ------------------------------------------------------------------------------------------- safetensors


def file(header, body=b"\0" * 8, length=None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def entry(begin, end, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


REFUSED = {
    "nothing": (b"", "0 bytes"),
    "a header longer than the file": (file({}, b"", 99), "does not fit"),
    "a header of terabytes": (file({}, b"", 1 << 63), "does not fit"),
    "no JSON": (file(b"{oops}"), "property name"),
    "a header that is a list": (file(b"[]"), "begin with {"),
    "a header that is not UTF-8": (file(b'{"\xff": 1}'), "decode"),
    "a name twice": (file(b'{"a": 1, "a": 1}'), "twice"),
    "bytes after the last tensor": (file({"a": entry(0, 4)}), "end at byte 4, the file at 8"),
    "a file cut short": (file({"a": entry(0, 4), "b": entry(4, 8)}, b"1234567"), "end at byte 8, the file"),
    "a hole": (file({"a": entry(4, 8)}), "begins at byte 4"),
    "an overlap": (file({"a": entry(0, 8, (2,)), "b": entry(4, 8)}), "begins at byte 4"),
    "the same place twice": (file({"a": entry(0, 8, (2,)), "b": entry(0, 8, (2,))}), "begins at byte 0"),
    "a shape of another size": (file({"a": entry(0, 8, (3,))}), "12 bytes, not 8"),
    "offsets that go back": (file({"a": entry(8, 4)}), "not -4"),
    "a negative length": (file({"a": entry(0, 8, (-1, -2))}), "no length"),
    "a length that is no integer": (file({"a": entry(0, 8, (2.0,))}), "no length"),
    "a length that is a bool": (file({"a": entry(0, 8, (2, True))}), "no length"),
    "an unknown dtype": (file({"a": entry(0, 8, (2,), "F99")}), "F99"),
    "a field that is missing": (file({"a": {"dtype": "F32", "shape": [2]}}), "data_offsets"),
    "a field too many": (file({"a": {**entry(0, 8, (2,)), "run": "me"}}), "run"),
    "three offsets": (file({"a": {**entry(0, 8, (2,)), "data_offsets": [0, 4, 8]}}), "unpack"),
    "an entry that is no dict": (file({"a": [0, 8]}), "mapping"),
    "a shape that is a number": (file({"a": {**entry(0, 8), "shape": 2}}), "iterable"),
    "a dtype that is a list": (file({"a": {**entry(0, 8), "dtype": []}}), "unhashable"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_is_not_exactly_safetensors_is_refused(what):
    data, word = REFUSED[what]
    with pytest.raises(ValueError, match="is no safetensors file") as caught:
        weights.parse(data)
    assert word in str(caught.value)


def test_what_is_written_is_read(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"a": rng.random((2, 3)), "b.c": rng.random((4, 0), np.float32), "d": np.array(7),
              "e": np.ones(3, bool), "f": rng.random((3, 2), np.float32).T, "g": np.arange(5, dtype=np.uint8)}
    weights.write(tmp_path / "x.safetensors", arrays)
    back = weights.read(tmp_path / "x.safetensors")
    assert list(back) == list(arrays)
    for key, array in arrays.items():
        assert back[key].dtype == array.dtype
        np.testing.assert_array_equal(back[key], array)


def test_metadata_is_skipped_and_any_order_is_read():
    header = {"b": entry(4, 8), "__metadata__": {"format": "pt"}, "a": entry(0, 4)}
    assert list(weights.parse(file(header))) == ["a", "b"]


def test_an_array_of_an_unknown_dtype_is_not_written(tmp_path):
    with pytest.raises(KeyError): weights.write(tmp_path / "x.safetensors", {"a": np.zeros(2, complex)})
