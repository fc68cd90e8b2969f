"""Weights as safetensors: 8 bytes for the length of a header, the header in JSON, the numbers.

A file is read only if it is exactly that: no hole between two tensors, no overlap, no byte after the last.
What is refused is a ValueError. Nothing in such a file can run.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I8": "|i1", "U8": "|u1",
          "BOOL": "|b1"}
LONGEST = 100_000_000           # bytes of a header; a file may claim anything


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file by name."""
    return parse(Path(path).read_bytes(), Path(path).name)


def parse(data: bytes, name: str = "safetensors") -> dict[str, np.ndarray]:
    """The tensors in these bytes by name, in the order in which they lie."""
    try:
        header, numbers = split(data)
        entries = {key: Entry(**told) for key, told in header.items() if key != "__metadata__"}
        return {key: entry.array(numbers) for key, entry in laid_out(entries, len(numbers)).items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{name} is no safetensors file: {error}") from error


def split(data: bytes) -> tuple[dict, memoryview]:
    """The header, and what follows it."""
    if len(data) < 8: raise ValueError(f"{len(data)} bytes hold no length of a header")
    length = int.from_bytes(data[:8], "little")
    if length > min(LONGEST, len(data) - 8):
        raise ValueError(f"a header of {length} bytes does not fit into {len(data) - 8}")
    if data[8:9] != b"{": raise ValueError("the header does not begin with {")
    return json.loads(data[8 : 8 + length].decode(), object_pairs_hook=once), memoryview(data)[8 + length :]


def once(pairs: list) -> dict:
    """A dict of pairs whose keys all differ."""
    if len(dict(pairs)) < len(pairs): raise ValueError("a name stands in the header twice")
    return dict(pairs)


class Entry:
    """What the header tells about one tensor."""

    def __init__(self, dtype: str, shape: list, data_offsets: list):
        if dtype not in DTYPES: raise ValueError(f"dtype {dtype!r} is none of {', '.join(DTYPES)}")
        (self.begin, self.end), self.shape, self.dtype = data_offsets, shape, np.dtype(DTYPES[dtype])
        for n in (*shape, self.begin, self.end):
            if type(n) is not int or n < 0: raise ValueError(f"{n!r} is no length")
        size = math.prod(shape) * self.dtype.itemsize
        if self.end - self.begin != size:
            raise ValueError(f"{dtype} of shape {shape} takes {size} bytes, not {self.end - self.begin}")

    def array(self, numbers: memoryview) -> np.ndarray:
        return np.frombuffer(numbers[self.begin : self.end], self.dtype).reshape(self.shape).copy()


def laid_out(entries: dict[str, Entry], size: int) -> dict[str, Entry]:
    """The entries in the order in which they lie, if they cover `size` bytes and each of them once."""
    at, ordered = 0, dict(sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)))
    for key, entry in ordered.items():
        if entry.begin != at:
            raise ValueError(f"{key} begins at byte {entry.begin}, and what comes before it ends at {at}")
        at = entry.end
    if at != size: raise ValueError(f"the tensors end at byte {at}, the file at {size}")
    return ordered


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """The arrays as a safetensors file, the same bytes for the same arrays."""
    names = {np.dtype(spelt): name for name, spelt in DTYPES.items()}
    header, at = {}, 0
    for key, array in arrays.items():
        offsets = [at, at := at + array.nbytes]
        header[key] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)                     # so that the numbers begin at a multiple of 8
    body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + body)
