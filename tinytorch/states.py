# Generated from modules/11_training/appendix_states.py by `tito export`. Edit that file, not this one.
"""Trees of states as safetensors and JSON, and back: what `save` and `load` put on the disk."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .dtypes import Size, device, dtype, named
from .layers import Parameter, below
from .safetensors import opened, pieces
from .shortfloat import ShortFloat
from .tensor import Tensor

__all__ = [
    "FORMAT", "Kind", "ATOMS", "ROWS", "DICTS", "LEAVES", "TakenApart", "memory_of", "together", "READERS",
    "refuses", "packed", "unpacked",
]


FORMAT = "tinytorch 1"


class Kind(NamedTuple):
    """A class that may stand in a tree: its word in the file, and the way there and back."""

    word: str
    cls: type
    take: Callable          # to what is written: a string, a list, a tensor
    make: Callable


ATOMS = [
    Kind("float", float, str, float),                   # inf and nan: JSON has the others
    Kind("bytes", bytes, bytes.hex, bytes.fromhex),
    Kind("dtype", dtype, lambda x: x.name, named),
    Kind("dtype", ShortFloat, lambda x: x.name, named),
    Kind("device", device, str, device),
]
ROWS = {"tuple": tuple, "Size": Size}
DICTS = {"dict": dict, "OrderedDict": OrderedDict}
LEAVES = [                                              # and what is derived from these classes
    Kind("parameter", Parameter, lambda x: x, lambda x: Parameter(x.array, False)),
    Kind("tensor", Tensor, lambda x: x, lambda x: Tensor(x.array)),      # each place gets one of its own
    Kind("array", np.ndarray, Tensor, lambda x: x.array),
    Kind("number", np.generic, lambda x: Tensor(np.asarray(x)), lambda x: x.array[()]),
]


class TakenApart:
    """The tensors of a tree by name, and `plan`, the JSON that says where they were."""

    def __init__(self, state):
        self.tensors: dict[str, Tensor] = {}
        self.names: dict[tuple, str] = {}       # of memory that has one
        try: self.plan = self.told(state, "")
        except RecursionError: raise ValueError("a state that contains itself cannot be saved") from None

    def told(self, x, path: str):
        """A part of the tree in JSON's words; `path` is where it stands."""
        if x is None or type(x) in (bool, int, str) or (type(x) is float and math.isfinite(x)): return x
        if type(x) is list: return self.row(x, path)
        if type(x) in ROWS.values(): return {type(x).__name__: self.row(x, path)}
        if type(x) in DICTS.values(): return {type(x).__name__: self.pairs(x, path)}
        for kind in ATOMS:
            if type(x) is kind.cls: return {kind.word: kind.take(x)}
        for kind in LEAVES:
            if isinstance(x, kind.cls): return self.leaf(kind, x, path)
        raise TypeError(f"{path or 'this'} is of class {type(x).__name__}: a file that cannot run holds "
                        "tensors, numbers, strings, lists, tuples and dicts. Save its state_dict()?")

    def row(self, x, path: str) -> list:
        return [self.told(part, below(path, str(n))) for n, part in enumerate(x)]

    def pairs(self, x: dict, path: str) -> list:
        return [[self.told(key, path), self.told(part, below(path, str(key)))] for key, part in x.items()]

    def leaf(self, kind: Kind, x, path: str) -> dict:
        tensor = kind.take(x)
        memory = memory_of(tensor.array)
        if memory not in self.names:
            name = path or "tensor"
            while name in self.tensors: name += "'"
            self.tensors[name], self.names[memory] = tensor, name
        told = {kind.word: self.names[memory]}
        return told | {"requires_grad": True} if tensor.requires_grad else told


def memory_of(array) -> tuple:
    """Where an array lies, and how it walks there: two arrays with the same are the same numbers."""
    start = array.data.ptr if hasattr(array.data, "ptr") else array.__array_interface__["data"][0]
    return start, array.shape, array.strides, str(array.dtype)


def together(plan, tensors: dict[str, Tensor]):
    """The tree that was taken apart; ValueError if the plan is none of ours."""
    if not isinstance(plan, (list, dict)): return plan
    if isinstance(plan, list): return [together(part, tensors) for part in plan]
    (word, told), *more = plan.items()
    if word in ROWS: return ROWS[word](together(told, tensors))
    if word in DICTS: return DICTS[word]([together(pair, tensors) for pair in told])
    for kind in ATOMS:
        if kind.word == word: return kind.make(told)
    for kind in LEAVES:
        if kind.word == word:
            leaf = kind.make(tensors[told])
            return leaf.requires_grad_() if more else leaf
    raise ValueError(f"its plan has a {word!r}, which this version does not know")


READERS: dict[bytes, Callable] = {}             # from the first bytes of a file to what reads it


def refuses(beginning: bytes, what: str):
    """A row of READERS that says what the file is, and that it is not opened."""
    def read(data, name: str): raise ValueError(f"{name} is {what}")
    READERS[beginning] = read


refuses(b"PK\x03\x04", "a checkpoint of PyTorch, with a pickle inside, which is a program: lesson 20 reads "
        "it without running it. In PyTorch, safetensors.torch.save_file writes what can be read here")
refuses(b"\x80", "a pickle, which is a program and may do anything: it is not run")


def packed(state) -> Iterator:
    """The bytes of a tree's file, piece by piece."""
    tree = TakenApart(state)
    notes = {"format": FORMAT, "state": json.dumps(tree.plan, separators=(",", ":"), allow_nan=False)}
    return pieces(tree.tensors, notes)


def unpacked(data, name: str = "this", map_location=None):
    """The tree in the bytes of a file; a safetensors file from elsewhere is a dict of tensors."""
    for beginning, read in READERS.items():
        if bytes(data[:8]).startswith(beginning) and data[8:9] != b"{": return read(data, name)
    tensors, notes = opened(data, name)
    if map_location is not None: tensors = {key: x.to(device=map_location) for key, x in tensors.items()}
    if "format" not in notes or "state" not in notes: return tensors
    if notes["format"] != FORMAT:
        raise ValueError(f"{name} has the format {notes['format']!r}, not {FORMAT!r}")
    try: return together(json.loads(notes["state"]), tensors)
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration, RecursionError) as error:
        raise ValueError(f"{name} holds no state: {error!r}") from error
