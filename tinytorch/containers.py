# Generated from modules/04_layers/appendix_containers.py by `tito export`. Edit that file, not this one.
"""Lists and dicts of modules and of parameters, which the walk can see into."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

from .housekeeping import Row, as_row, tree
from .layers import Module, Parameter
from .tensor import Tensor

__all__ = [
    "ModuleList", "alike", "ModuleDict", "pairs", "as_parameter", "label", "ParameterList", "ParameterDict",
    "text",
]


class ModuleList(Row, Module):
    """Modules in a list."""

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        if modules is not None: self.extend(modules)

    def _some(self, items): return type(self)([part for _, part in items])
    def __add__(self, other): return ModuleList([*self, *as_row(self, other)])
    def insert(self, index: int, module: Module) -> None: super().insert(index, module)

    def __repr__(self):
        return tree(self._get_name(), self.extra_repr(), list(alike([repr(part) for part in self])))


def alike(texts: list[str]) -> Iterator[tuple[str, str]]:
    """The parts of a list with their numbers; neighbours that print the same are one row."""
    first = 0
    for i, text in enumerate(texts):
        if texts[i + 1 : i + 2] == [text]: continue
        yield (f"({first}-{i})", f"{i - first + 1} x {text}") if i > first else (f"({i})", text)
        first = i + 1


class ModuleDict(Module):
    """Modules in a dict, in the order in which they came."""

    def __init__(self, modules: Mapping[str, Module] | Iterable | None = None):
        super().__init__()
        if modules is not None: self.update(modules)

    def __getitem__(self, key: str) -> Module: return self._modules[key]
    def __setitem__(self, key: str, module: Module) -> None: self.add_module(key, module)
    def __delitem__(self, key: str) -> None: del self._modules[key]
    def __len__(self): return len(self._modules)
    def __iter__(self): return iter(self._modules)
    def __contains__(self, key: str): return key in self._modules

    def keys(self): return self._modules.keys()
    def values(self): return self._modules.values()
    def items(self): return self._modules.items()
    def clear(self) -> None: self._modules.clear()
    def pop(self, key: str) -> Module: return self._modules.pop(key)

    def update(self, modules: Mapping[str, Module] | Iterable) -> None:
        """Takes in all modules of a dict, or of pairs of a name and a module."""
        for key, module in pairs(self, modules): self[key] = module


def pairs(container, given) -> Iterable[tuple]:
    """The (name, value) pairs of a dict or of a list of such pairs."""
    if hasattr(given, "items"): return given.items()
    found = [tuple(pair) for pair in as_row(container, given)]
    for number, pair in enumerate(found):
        if len(pair) != 2: raise ValueError(f"number {number} has {len(pair)} parts: it is no name and value")
    return found


def as_parameter(value):
    """A tensor as a parameter; anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def label(value, kind: str) -> str:
    """One line about what lies in a list or dict of parameters."""
    if not isinstance(value, Tensor): return f"Object of type: {type(value).__name__}"
    where = "" if value.device.type == "cpu" else f" ({value.device})"
    name = "Parameter" if isinstance(value, Parameter) else "Tensor"
    return f"{name} containing: [{kind} of size {'x'.join(map(str, value.shape))}{where}]"


class ParameterList(Module):
    """Parameters in a list, and whatever else is put there."""

    def __init__(self, values: Iterable | None = None):
        super().__init__()
        self._size = 0
        if values is not None: self.extend(values)

    def __len__(self): return self._size
    def __iter__(self): return iter([self[i] for i in range(len(self))])

    def __getitem__(self, idx):
        if isinstance(idx, slice): return type(self)([self[i] for i in range(*idx.indices(len(self)))])
        return getattr(self, self._name_at(idx))

    def __setitem__(self, idx: int, param) -> None: setattr(self, self._name_at(idx), as_parameter(param))
    def __iadd__(self, parameters: Iterable): return self.extend(parameters)
    def __call__(self, *args, **kwargs): raise RuntimeError("a ParameterList is not called")

    def append(self, value):
        """Adds a value at the end."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values: Iterable):
        """Adds several values at the end."""
        for value in list(as_row(self, values)): self.append(value)
        return self

    def _name_at(self, idx) -> str:
        number = operator.index(idx)
        if not -self._size <= number < self._size:
            raise IndexError(f"index {idx} is out of range of {self._size} parameters")
        return str(number % self._size)

    def extra_repr(self) -> str:
        labels = [label(value, getattr(value, "dtype", "")) for value in self]
        return "\n".join([f"  ({i}): {text}" for i, text in enumerate(labels)])


class ParameterDict(Module):
    """Parameters in a dict, and whatever else is put there."""

    def __init__(self, parameters=None):
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None: self.update(parameters)

    def __getitem__(self, key: str): return getattr(self, text(key))

    def __setitem__(self, key: str, value) -> None:
        setattr(self, text(key), as_parameter(value))
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self): return len(self._keys)
    def __iter__(self): return iter(self._keys)
    def __reversed__(self): return reversed(self._keys)
    def __contains__(self, key: str): return key in self._keys
    def __call__(self, *args, **kwargs): raise RuntimeError("a ParameterDict is not called")

    def keys(self): return self._keys.keys()
    def values(self): return (self[key] for key in self._keys)
    def items(self): return ((key, self[key]) for key in self._keys)
    def get(self, key: str, default=None): return self[key] if key in self else default  # noqa: SIM401
    def copy(self): return ParameterDict(OrderedDict(self.items()))
    def fromkeys(self, keys, default=None): return ParameterDict([(key, default) for key in keys])

    def setdefault(self, key: str, default=None):
        """What lies under a key; the default is put there if nothing does."""
        if key not in self: self[key] = default
        return self[key]

    def clear(self) -> None:
        """Empties the dict."""
        for key in list(self._keys): del self[key]

    def pop(self, key: str):
        """Takes out what lies under a key, and returns it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple:
        """Takes out the last (key, value)."""
        if not self._keys: raise KeyError("the ParameterDict is empty")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def update(self, parameters) -> None:
        """Takes in all values of a dict, or of pairs; those of a plain dict in the order of their names."""
        found = pairs(self, parameters)
        if isinstance(parameters, Mapping) and not isinstance(parameters, OrderedDict): found = sorted(found)
        for key, value in found: self[key] = value

    def __or__(self, other):
        both = self.copy()
        both.update(other)
        return both

    def __ror__(self, other): return ParameterDict(other) | self

    def __ior__(self, other):
        self.update(other)
        return self

    def extra_repr(self) -> str:
        return "\n".join([f"  ({key}): {label(value, value.type() if isinstance(value, Tensor) else '')}"
                          for key, value in self.items()])


def text(key) -> str:
    """A key that can be part of a path."""
    if not isinstance(key, str): raise TypeError(f"the key of a parameter is a string, not {key!r}")
    return key
