"""Files of lesson 11: safetensors read strictly, trees of states, and writing that survives anything."""

import io
import json
import math
import os
import pickle
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, tensor
from tinytorch.layers import Parameter
from tinytorch.safetensors import load, load_file, metadata, save, save_file
from tinytorch.states import packed, unpacked

rng = np.random.default_rng(11)
FLOATS, WHOLES = ["float16", "float32", "float64"], ["uint8", "uint16", "uint32", "uint64", "int8", "int16",
                                                     "int32", "int64"]


def numbers(kind: str, *shape):
    if kind == "bool": return rng.random(shape) < 0.5
    if kind in WHOLES: return rng.integers(0, 100, shape).astype(kind)
    return rng.standard_normal(shape).astype(kind)


def file_of(header, body: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file by hand; the header as a dict, or as it is to stand there."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def of(begin: int, end: int, shape=None, dtype="U8") -> dict:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("kind", [*FLOATS, *WHOLES, "bool"])
def test_what_is_written_is_read_again(kind, shape):
    x = numbers(kind, *shape)
    got = load(save({"x": Tensor(np.asarray(x))}))["x"]
    assert got.shape == shape and got.array.dtype == x.dtype, "shape and dtype stay"
    assert np.array_equal(got.array, x), "the numbers stay"
    got.array[...] = 1                                          # nothing is read-only


def test_bfloat16_is_the_upper_half_of_a_float32():
    x = rng.standard_normal(5).astype(np.float32)
    x.view(np.uint32)[:] &= 0xFFFF0000
    bits = (x.view(np.uint32) >> 16).astype("<u2").tobytes()
    got = load(file_of({"x": of(0, 10, [5], "BF16")}, bits))["x"]
    assert got.dtype is tinytorch.bfloat16 and got.tolist() == x.tolist()
    assert save({"x": got}).endswith(bits), "and is written so"


def test_numbers_begin_where_a_processor_likes_them():
    names = ["bool", "float64", "uint8", "float16", "float32", "int64"]
    arrays = {name: numbers(name, 3) for name in names}
    data = save({name: Tensor(x) for name, x in arrays.items()}, {"a": "é"})
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"a": "é"} and list(header) == names, "the order of the header stays"
    for name, told in header.items():
        begin, end = (8 + length + n for n in told["data_offsets"])
        assert begin % arrays[name].itemsize == 0 and data[begin:end] == arrays[name].tobytes()
    assert list(load(data)) == names


def test_views_are_written_as_they_look():
    x = Tensor(np.arange(12.0).reshape(3, 4))
    got = load(save({"turned": x.T, "part": x[:, 1:3], "one": x[2, 3]}))
    assert got["turned"].tolist() == x.T.tolist() and got["part"].tolist() == [[1, 2], [5, 6], [9, 10]]
    assert got["one"].shape == () and got["one"].item() == 11.0


def test_a_file_has_notes(tmp_path):
    save_file({"x": tensor([1.0])}, tmp_path / "a.safetensors", {"made": "today"})
    assert metadata(tmp_path / "a.safetensors") == {"made": "today"}
    assert load_file(tmp_path / "a.safetensors")["x"].tolist() == [1.0]
    assert load(save({})) == {}, "no tensors are a file, too"
    with pytest.raises(ValueError, match="strings"): save({}, {"n": 3})
    with pytest.raises(ValueError, match="__metadata__"): save({"__metadata__": tensor([1.0])})


REFUSED = {
    "nothing": (b"", "no length"),
    "seven bytes": (b"\0" * 7, "no length"),
    "a header longer than the file": (file_of({}, length=99), "claims a header"),
    "a header of an exabyte": (file_of({}, length=2**60), "claims a header"),
    "no header": (file_of(b""), "begin with {"),
    "a list for a header": (file_of(b"[1]"), "begin with {"),
    "a blank before the header": (file_of(b" {}"), "begin with {"),
    "no JSON": (file_of(b"{x}"), "Expecting"),
    "two headers": (file_of(b"{}{}"), "Extra data"),
    "not UTF-8": (file_of(b'{"\xff": 1}'), "utf-8"),
    "a trailing byte": (file_of({"x": of(0, 2)}, b"abc"), "the file at 3"),
    "a missing byte": (file_of({"x": of(0, 2)}, b"a"), "the file at 1"),
    "a hole": (file_of({"x": of(0, 2), "y": of(3, 4)}, b"abcd"), "begins at byte 3"),
    "a hole in front": (file_of({"x": of(1, 2)}, b"ab"), "begins at byte 1"),
    "an overlap": (file_of({"x": of(0, 2), "y": of(1, 3)}, b"abc"), "begins at byte 1"),
    "two tensors in one place": (file_of({"x": of(0, 2), "y": of(0, 2)}, b"ab"), "begins at byte 0"),
    "only bytes that nobody names": (file_of({}, b"a"), "the file at 1"),
    "a size that is not the shape's": (file_of({"x": of(0, 4, [3])}, b"abcd"), "takes 3 bytes"),
    "a size that is not the dtype's": (file_of({"x": of(0, 4, [4], "F32")}, b"abcd"), "takes 16 bytes"),
    "an end before its begin": (file_of({"x": of(2, 0, [0])}, b"ab"), "takes 0 bytes"),
    "a negative length": (file_of({"x": of(0, 1, [-1])}, b"a"), "-1"),
    "two negative lengths": (file_of({"x": of(0, 1, [-1, -1])}, b"a"), "-1"),
    "a negative place": (file_of({"x": of(-1, 0)}, b"a"), "-1"),
    "a length that is no whole number": (file_of({"x": of(0, 1, [1.0])}, b"a"), "1.0"),
    "True for a length": (file_of({"x": of(0, 1, [True])}, b"a"), "True"),
    "a product of lengths past all bounds": (file_of({"x": of(0, 0, [2**40, 2**40])}), "bytes, not 0"),
    "a name twice": (file_of(b'{"x": ' + json.dumps(of(0, 1)).encode() + b', "x": '
                             + json.dumps(of(0, 1)).encode() + b"}", b"a"), "twice"),
    "a key twice": (file_of(b'{"x": {"dtype": "U8", "dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}',
                            b"a"), "twice"),
    "an unknown dtype": (file_of({"x": of(0, 1, [1], "X8")}, b"a"), "X8"),
    "a dtype that is a list": (file_of({"x": of(0, 1, [1], [])}, b"a"), "no safetensors"),
    "no shape": (file_of({"x": {"dtype": "U8", "data_offsets": [0, 1]}}, b"a"), "described by"),
    "more than is told of a tensor": (file_of({"x": of(0, 1) | {"strides": [1]}}, b"a"), "described by"),
    "a number for a tensor": (file_of({"x": 3}), "described by"),
    "three offsets": (file_of({"x": of(0, 1) | {"data_offsets": [0, 1, 1]}}, b"a"), "no safetensors"),
    "notes that are no strings": (file_of({"__metadata__": {"n": 3}}), "strings"),
    "notes that are a list": (file_of({"__metadata__": []}), "strings"),
    "a header that goes too deep": (file_of(b'{"x": ' + b"[" * 100_000), "no safetensors"),
    "a number of 5,000 digits": (file_of(b'{"x": ' + b"9" * 5000 + b"}"), "no safetensors"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_exactly_as_its_header_says_is_refused(case):
    data, why = REFUSED[case]
    with pytest.raises(ValueError, match="no safetensors file") as refusal: load(data)
    assert why in str(refusal.value)


def test_any_file_that_is_cut_off_is_refused():
    data = save({"x": tensor([1.0, 2.0]), "y": tensor([1])}, {"a": "b"})
    for length in range(len(data)):
        with pytest.raises(ValueError, match="no safetensors file"): load(data[:length])


# ------------------------------------------------------------------------------------ trees of states

def same(x, y) -> bool:
    """Equal, and of the same classes all the way down."""
    if type(x) is not type(y): return False
    if isinstance(x, dict): return list(x) == list(y) and all(same(a, b) for a,
                                                              b in zip(x.values(), y.values()))
    if isinstance(x, (list, tuple)): return len(x) == len(y) and all(same(a, b) for a, b in zip(x, y))
    if isinstance(x, Tensor): return x.requires_grad == y.requires_grad and same(x.array, y.array)
    if isinstance(x, np.ndarray): return (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())
    return x == y or (x != x and y != y)


TREES = [
    None, True, 3, -(10**30), 0.1, -0.0, 1e-320, math.inf, -math.inf, math.nan, "", "§", b"", b"\0\xff",
    [], (), {}, [1, [2.0, (3, "x")]], {"a": {"b": (None, {})}},
    {1: "int", "1": "str", (0, True): [2], None: 0.5},
    OrderedDict([("b", 1), ("a", OrderedDict())]), tinytorch.Size([2, 3]), tinytorch.float32,
    tinytorch.bfloat16,
    tinytorch.device("cpu"), np.float32(0.1), np.int64(7), np.arange(3), np.array(2.5),
    [tensor(1), tensor([True])],
    {"x": Parameter(tensor([1.0])), "y": Parameter(tensor([1.0]), requires_grad=False)},
    tensor([0.5], requires_grad=True), {"a.b": tensor([1]), "a": {"b": tensor([2])}, "": tensor([3])},
    {"tensor": "x", "requires_grad": True}, {"float": "inf"}, *[["x" * n] for n in range(50, 60)],
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_a_tree_comes_back_as_it_was(tree, tmp_path):
    tinytorch.save(tree, tmp_path / "tree")
    assert same(tinytorch.load(tmp_path / "tree"), tree)
    buffer = io.BytesIO()
    tinytorch.save(tree, buffer)
    buffer.seek(0)
    assert same(tinytorch.load(buffer), tree), "an open file will do"


def test_the_tensors_of_a_tree_are_there_for_everybody(tmp_path):
    tinytorch.save({"model": {"0.weight": tensor([1.0])}, "steps": [tensor(3)]}, tmp_path / "state")
    found = {name: x.tolist() for name, x in load_file(tmp_path / "state").items()}
    assert found == {"model.0.weight": [1.0], "steps.0": 3}


def test_what_is_shared_is_written_once_and_shared_again():
    w = Parameter(tensor([1.0, 2.0]))
    data = b"".join(packed({"a": w, "b": w.data, "c": tensor([1.0, 2.0])}))
    assert len(load(data)) == 2
    got = unpacked(data)
    got["a"].data[0] = 5.0
    assert got["b"].tolist() == [5.0, 2.0] and got["c"].tolist() == [1.0, 2.0]
    assert isinstance(got["a"], Parameter) and got["a"] is not got["b"]


@pytest.mark.parametrize("thing", [print, object(), {1}, defaultdict(int), lambda: 0, Path(), 1j], ids=repr)
def test_what_is_more_than_data_is_not_saved(thing, tmp_path):
    with pytest.raises(TypeError, match=r"a\.1 is of class"): tinytorch.save({"a": [0, thing]},
                                                                             tmp_path / "x")
    assert list(tmp_path.iterdir()) == [], "and nothing is left behind"


def test_a_tree_that_contains_itself_is_not_saved(tmp_path):
    tree: list = []
    tree.append(tree)
    with pytest.raises(ValueError, match="contains itself"): tinytorch.save(tree, tmp_path / "x")


class Trap:
    """What a hostile pickle would do."""

    def __reduce__(self): return os.mkdir, ("sprung",)


def test_nothing_in_a_file_can_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pickle").write_bytes(pickle.dumps(Trap()))
    with zipfile.ZipFile("zip", "w") as file: file.writestr("archive/data.pkl", pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="pickle is a pickle, which is a program"): tinytorch.load("pickle")
    with pytest.raises(ValueError, match=r"zip is a checkpoint of PyTorch.*lesson 20"): tinytorch.load("zip")
    with pytest.raises(ValueError, match="zip is a checkpoint"): tinytorch.load("zip", weights_only=False)
    assert not Path("sprung").exists()


@pytest.mark.parametrize(("notes", "why"), [
    ({"format": "tinytorch 99", "state": "1"}, "tinytorch 99"),
    ({"format": "tinytorch 1", "state": "{"}, "holds no state"),
    ({"format": "tinytorch 1", "state": '{"eval": "1"}'}, "holds no state"),
    ({"format": "tinytorch 1", "state": '{"tensor": "absent"}'}, "holds no state"),
    ({"format": "tinytorch 1", "state": "{}"}, "holds no state"),
    ({"format": "tinytorch 1", "state": '{"dict": 3}'}, "holds no state"),
    ({"format": "tinytorch 1", "state": '{"dtype": "float31"}'}, "holds no state"),
])
def test_a_plan_that_is_none_of_ours_is_refused(notes, why):
    with pytest.raises(ValueError, match=why): unpacked(save({}, notes))


def test_a_file_from_elsewhere_is_a_dict_of_tensors(tmp_path):
    save_file({"x": tensor([1.0])}, tmp_path / "a", {"format": "pt"})
    assert same(tinytorch.load(tmp_path / "a"), {"x": tensor([1.0])})
    Path(tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="empty is no safetensors file"): tinytorch.load(tmp_path / "empty")
    with pytest.raises(FileNotFoundError): tinytorch.load(tmp_path / "absent")
