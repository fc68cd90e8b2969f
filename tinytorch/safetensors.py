# Generated from modules/11_training/appendix_safetensors.py by `tito export`. Edit that file, not this one.
"""Tensors in a file that cannot run: the safetensors format, read strictly, and written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .dtypes import dtype, dtype_of, named
from .tensor import Tensor, as_array

__all__ = [
    "CODES", "LONGEST", "Entry", "entry", "check_layout", "header_of", "without_twins", "check_notes",
    "opened", "load", "load_file", "metadata", "pieces", "host_array", "save", "save_file",
]


CODES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32",
    "I32": "int32", "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32",
    "F64": "float64",
}
LONGEST = 100_000_000           # bytes of a header: a file may claim anything


class Entry(NamedTuple):
    """Where a tensor lies among the numbers of a file, and how to read it."""

    kind: dtype
    shape: tuple[int, ...]
    begin: int
    end: int

    def told(self) -> dict:
        """The entry as it stands in a header."""
        code = next(code for code, name in CODES.items() if name == self.kind.name)
        return {"dtype": code, "shape": list(self.shape), "data_offsets": [self.begin, self.end]}

    def tensor(self, numbers: memoryview) -> Tensor:
        """The tensor, looking at the memory of the file if that can be written."""
        array = np.frombuffer(numbers[self.begin : self.end], self.kind.numpy).reshape(self.shape)
        if array.dtype == bool: array = array.view(np.uint8) != 0       # 2 is no truth value NumPy knows
        usable = array.flags.aligned and array.flags.writeable
        return Tensor(self.kind.cast(array if usable else array.copy()))


def entry(name: str, told: dict) -> Entry:
    """What a header says of one tensor, if it can be true."""
    if type(told) is not dict or set(told) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} is described by {told!r}, not by dtype, shape and data_offsets")
    code, shape, offsets = told["dtype"], told["shape"], told["data_offsets"]
    if code not in CODES: raise ValueError(f"{name} is of dtype {code!r}; known are {', '.join(CODES)}")
    for n in (*shape, *offsets):
        if type(n) is not int or n < 0: raise ValueError(f"{name} has a length or place {n!r}")
    kind, (begin, end) = named(CODES[code]), offsets
    size = math.prod(shape) * kind.itemsize
    if end - begin != size:
        raise ValueError(f"{name}, {code} of shape {shape}, takes {size} bytes, not {end - begin}")
    return Entry(kind, tuple(shape), begin, end)


def check_layout(entries: Mapping[str, Entry], size: int) -> None:
    """Refuses entries that do not cover `size` bytes, each of them once."""
    at = 0
    for name, one in sorted(entries.items(), key=lambda item: item[1][2:]):
        if one.begin != at:
            raise ValueError(f"{name} begins at byte {one.begin}, and what comes before it ends at {at}")
        at = one.end
    if at != size: raise ValueError(f"the tensors end at byte {at}, the file at {size}")


def header_of(data) -> tuple[dict, memoryview]:
    """The header of a file as it stands there, and the bytes of the numbers."""
    if len(data) < 8: raise ValueError(f"{len(data)} bytes hold no length of a header")
    length, rest = int.from_bytes(data[:8], "little"), memoryview(data)[8:]
    if length > min(LONGEST, len(rest)):
        raise ValueError(f"it claims a header of {length} bytes, and {len(rest)} follow")
    if bytes(rest[:1]) != b"{": raise ValueError("its header does not begin with {")
    return json.loads(str(rest[:length], "utf-8"), object_pairs_hook=without_twins), rest[length:]


def without_twins(pairs: list) -> dict:
    """A dict of pairs whose keys all differ."""
    found = dict(pairs)
    if len(found) < len(pairs): raise ValueError("a name stands in its header twice")
    return found


def check_notes(notes: object) -> dict[str, str]:
    """The metadata of a file, if it is a dict of strings."""
    if type(notes) is not dict or not all(type(s) is str for pair in notes.items() for s in pair):
        raise ValueError("metadata goes from strings to strings")
    return notes


def opened(data, name: str = "this") -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors in these bytes, in the order of the header, and its metadata; ValueError for all else."""
    try:
        header, numbers = header_of(data)
        notes = check_notes(header.pop("__metadata__", {}))
        entries = {key: entry(key, told) for key, told in header.items()}
        check_layout(entries, len(numbers))
        return {key: one.tensor(numbers) for key, one in entries.items()}, notes
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{name} is no safetensors file: {error}") from error


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors in the bytes of a safetensors file."""
    return opened(data)[0]


def load_file(filename, device="cpu") -> dict[str, Tensor]:
    """The tensors in a safetensors file."""
    tensors = opened(bytearray(Path(filename).read_bytes()), Path(filename).name)[0]
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def metadata(filename) -> dict[str, str]:
    """What the writer of a safetensors file noted beside the tensors."""
    return opened(Path(filename).read_bytes(), Path(filename).name)[1]


def pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Iterator:
    """The bytes of a safetensors file: its header, then tensor by tensor."""
    if "__metadata__" in tensors: raise ValueError("no tensor can be called __metadata__")
    arrays = {name: host_array(tensor) for name, tensor in tensors.items()}
    order, places, at = sorted(arrays, key=lambda name: -arrays[name].itemsize), {}, 0
    for name in order:
        array = arrays[name]
        places[name] = Entry(dtype_of(array), array.shape, at, at := at + array.nbytes)
    header = {"__metadata__": check_notes(dict(metadata))} if metadata else {}
    header |= {name: places[name].told() for name in arrays}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for name in order: yield arrays[name].reshape(-1).view(np.uint8).data


def host_array(tensor):
    """The numbers of a tensor, in order, in the memory of the host."""
    array = as_array(tensor.cpu() if isinstance(tensor, Tensor) else tensor)
    return np.ascontiguousarray(array).reshape(array.shape)     # NumPy would make a line of a single number


def save(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The tensors as the bytes of a safetensors file."""
    return b"".join(pieces(tensors, metadata))


def save_file(tensors: Mapping[str, Tensor], filename, metadata: Mapping[str, str] | None = None) -> None:
    """Writes the tensors, and notes beside them, as a safetensors file."""
    with Path(filename).open("wb") as file: file.writelines(pieces(tensors, metadata))
