# Generated from modules/04_layers/appendix_housekeeping.py by `tito export`. Edit that file, not this one.
"""What every module can do once it knows its parts: take in, look up, move, print."""

from __future__ import annotations

import operator
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MethodType

from .creation import empty_like
from .dtypes import as_dtype, dtype, float16, float32, float64, named
from .errors import shape_of
from .tensor import Tensor

__all__ = [
    "DRAWERS", "KINDS", "MODULE_METHODS", "module_method", "Housekeeping", "admit", "not_set_up", "taken",
    "destination", "tree", "put", "found", "take_out", "IncompatibleKeys", "complaint", "refused",
    "put_in_place", "Row", "repeated", "as_row",
]


DRAWERS = ("_parameters", "_buffers", "_modules")
KINDS: dict[str, type] = {}         # the class of what lies in a drawer, once the lesson has written it


MODULE_METHODS: dict[str, Callable] = {}


def module_method(function: Callable) -> Callable:
    """`@module_method` above a function makes it a method of every module, under the function's name."""
    MODULE_METHODS[function.__name__] = function
    return function


class Housekeeping:
    """Take in, look up, move, print."""

    # ----------------------------------------------------------------------------------- take in

    def register_parameter(self, name: str, param) -> None:
        """Adds a Parameter; None keeps a place for one."""
        admit(self, "_parameters", name, param)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that belongs to the state but does not learn; `persistent`: it is saved, too."""
        admit(self, "_buffers", name, tensor)
        self._buffers[name] = tensor
        self._non_persistent_buffers_set.discard(name)
        if not persistent: self._non_persistent_buffers_set.add(name)

    def register_module(self, name: str, module) -> None:
        """Adds a part; None keeps a place for one."""
        admit(self, "_modules", name, module)
        self._modules[name] = module

    def add_module(self, name: str, module) -> None:
        """Adds a part; None keeps a place for one."""
        self.register_module(name, module)

    # ------------------------------------------------------------------------------------ look up

    def modules(self, remove_duplicate: bool = True) -> Iterator:
        return (part for _, part in self.named_modules(remove_duplicate=remove_duplicate))

    def children(self) -> Iterator: return (part for _, part in self.named_children())

    def parameters(self, recurse: bool = True) -> Iterator:
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str):
        """The module at a path such as "encoder.0.attention"."""
        part = self
        for name in target.split(".") if target else (): part = taken(part, "_modules", name, "part")
        return part

    def get_parameter(self, target: str):
        """The parameter at a path such as "encoder.0.weight"."""
        path, _, name = target.rpartition(".")
        return taken(self.get_submodule(path), "_parameters", name, "parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path such as "encoder.0.running_mean"."""
        path, _, name = target.rpartition(".")
        return taken(self.get_submodule(path), "_buffers", name, "buffer")

    def set_submodule(self, target: str, module, strict: bool = False) -> None:
        """Puts a module where the path says; `strict` wants one to be there already."""
        path, _, name = target.rpartition(".")
        if not name: raise ValueError("set_submodule wants the path of a part, and got an empty one")
        parent = self.get_submodule(path)
        if strict or name in parent._modules: taken(parent, "_modules", name, "part")
        admit(parent, "_modules", name, module)
        parent._modules[name] = module

    # ------------------------------------------------------------------------- do to every part

    def apply(self, fn: Callable):
        """Calls `fn(module)` on every part, the innermost first, and last on this module."""
        for child in self.children(): child.apply(fn)
        fn(self)
        return self

    def requires_grad_(self, requires_grad: bool = True):
        """Says whether the parameters take part in learning."""
        for parameter in self.parameters(): parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of all parameters."""
        for parameter in self.parameters():
            if parameter.grad is None: continue
            if set_to_none: parameter.grad = None
            else: parameter.grad.data.zero_()

    # ---------------------------------------------------------------------------------------- move

    def _apply(self, fn: Callable, recurse: bool = True):
        """Gives every parameter and buffer the numbers `fn(numbers)`; a parameter stays the same object."""
        for part in self.modules() if recurse else (self,):
            for parameter in part._parameters.values():
                if parameter is None: continue
                parameter.data = fn(parameter.data)
                if parameter.grad is not None: parameter.grad = fn(parameter.grad)
            for name, buffer in part._buffers.items():
                if buffer is not None: part._buffers[name] = fn(buffer)
        return self

    def to(self, *target, device=None, dtype=None, non_blocking: bool = False, memory_format=None):
        """Takes all numbers to a device, the floats to a dtype, or both to where another tensor is."""
        device, dtype = destination(target, device, dtype)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"a module learns in floats: to() takes a floating-point dtype, not {dtype}")

        def moved(x):
            x = x.to(device=device, dtype=dtype if x.dtype.is_floating_point else None)
            return x.to(memory_format=memory_format) if memory_format and x.ndim == 4 else x
        return self._apply(moved)

    def to_empty(self, *, device, recurse: bool = True):
        """Makes room on a device for all numbers, and leaves in it whatever lies there."""
        return self._apply(lambda x: empty_like(x, device=device), recurse)

    def type(self, dst_type):
        """All numbers, whole ones too, in another dtype."""
        return self._apply(lambda x: x.to(as_dtype(dst_type)))

    def float(self): return self.to(float32)
    def double(self): return self.to(float64)
    def half(self): return self.to(float16)
    def bfloat16(self): return self.to(named("bfloat16"))
    def cpu(self): return self.to("cpu")
    def cuda(self, device=None): return self.to("cuda" if device is None else device)

    # --------------------------------------------------------------------------------------- print

    def extra_repr(self) -> str:
        """What a module says about itself between its brackets: override it."""
        return ""

    def _get_name(self) -> str: return type(self).__name__

    def __repr__(self):
        return tree(self._get_name(), self.extra_repr(), [(f"({name})", repr(part))
                                                          for name, part in self._modules.items()])

    def __dir__(self):
        names = {*super().__dir__(), *MODULE_METHODS, *[n for drawer in DRAWERS for n in vars(self)[drawer]]}
        return sorted(name for name in names if not name[:1].isdigit())


def admit(module, drawer: str, name: str, value) -> None:
    """Says what is wrong with a new part, parameter or buffer, or with its name."""
    kind = Tensor if drawer == "_buffers" else KINDS[drawer]        # any tensor can be a buffer
    if drawer not in vars(module): raise not_set_up(module)
    if not isinstance(name, str): raise TypeError(f"a name is a string, not {name!r}")
    if not name or "." in name: raise KeyError(f"a name is not empty and has no dot in it: {name!r}")
    if hasattr(module, name) and name not in vars(module)[drawer]:
        raise KeyError(f"{type(module).__name__} already has an attribute {name!r}")
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name!r} wants a {kind.__name__} or None, not {type(value).__name__}")


def not_set_up(module) -> AttributeError:
    return AttributeError(f"{type(module).__name__} cannot take parts in yet: call super().__init__() first")


def taken(module, drawer: str, name: str, kind: str):
    """What lies under a name in a drawer, or the names that do."""
    try:
        return vars(module)[drawer][name]
    except KeyError:
        there = ", ".join(vars(module)[drawer]) or "none"
        raise AttributeError(f"{type(module).__name__} has no {kind} {name!r}. There: {there}") from None


def destination(target: tuple, device, kind) -> tuple:
    """The device and the dtype among the arguments of `to`."""
    for word in target:
        if isinstance(word, Tensor): device, kind = word.device, word.dtype
        elif isinstance(word, (dtype, type)): kind = word
        elif word is not None and not isinstance(word, bool): device = word
    return device, None if kind is None else as_dtype(kind)


def tree(name: str, extra: str, rows: list[tuple[str, str]]) -> str:
    """`name(extra)` in a line, or over several, with what is below moved to the right."""
    lines = extra.split("\n") if extra else []
    lines += [f"{label}: {text}".replace("\n", "\n  ") for label, text in rows]
    if not rows and len(lines) < 2: return f"{name}({extra})"
    return "\n  ".join([f"{name}(", *lines]) + "\n)"


def put(module, drawer: str | None, name: str, value) -> None:
    """Puts a value under a name into a drawer and out of all others, or makes it an ordinary attribute."""
    if drawer is None:
        object.__setattr__(module, name, value)
        return
    if drawer not in vars(module): raise not_set_up(module)
    if drawer != "_modules" and hasattr(type(module), name):
        raise KeyError(f"{type(module).__name__} already has an attribute {name!r}, in its class")
    for other in (vars(module), *[vars(module)[d] for d in DRAWERS if d != drawer]): other.pop(name, None)
    vars(module)[drawer][name] = value
    if isinstance(value, KINDS["_buffers"]): module.register_buffer(name, value, value.persistent)


def found(module, name: str):
    """What `module.name` is when it is no ordinary attribute: from a drawer, or from a later lesson."""
    mine = module.__dict__                  # asked for every weight of every call: no detours
    if "_modules" in mine:
        if name in mine["_parameters"]: return mine["_parameters"][name]
        if name in mine["_modules"]: return mine["_modules"][name]
        if name in mine["_buffers"]: return mine["_buffers"][name]
    if name in MODULE_METHODS: return MethodType(MODULE_METHODS[name], module)
    if hasattr(type(module), name): return object.__getattribute__(module, name)    # a property's own error
    raise AttributeError(f"{type(module).__name__!r} object has no attribute {name!r}", name=name, obj=module)


def take_out(module, name: str) -> None:
    """What `del module.name` does."""
    drawer = next((d for d in DRAWERS if name in vars(module)[d]), None)
    if drawer is None:
        object.__delattr__(module, name)
        return
    del vars(module)[drawer][name]
    module._non_persistent_buffers_set.discard(name)


class IncompatibleKeys(namedtuple("IncompatibleKeys", "missing_keys unexpected_keys")):
    """What `load_state_dict` left out."""

    def __repr__(self): return super().__repr__() if any(self) else "<All keys matched successfully>"


def complaint(module, found, own: Mapping, given: Mapping, strict: bool) -> str:
    """What does not fit, in words; "" if everything does."""
    def quoted(keys): return ", ".join([f'"{key}"' for key in keys])
    lines = [f'"{key}" has shape {shape_of(given[key])} in the state and {shape_of(own[key])} in the module'
             for key in found.misshaped]
    if strict and found.missing: lines.append(f"missing in the state: {quoted(found.missing)}")
    if strict and found.unexpected: lines.append(f"unexpected in the state: {quoted(found.unexpected)}")
    return refused(module, lines) if lines else ""


def refused(module, lines: Iterable[str]) -> str:
    return "\n    ".join([f"{type(module).__name__} cannot load this state:", *lines])


def put_in_place(parts: Iterable, own: Mapping, given: Mapping) -> None:
    """With `assign`: the tensors that were given become the module's own."""
    for start, part in parts:
        for drawer in ("_parameters", "_buffers"):
            for name, old in vars(part)[drawer].items():
                if start + name not in own or start + name not in given: continue
                new, kind = given[start + name], KINDS[drawer]
                wrap = drawer == "_parameters" and not isinstance(new, kind)
                vars(part)[drawer][name] = kind(new, old.requires_grad) if wrap else new


class Row:
    """The manners of a list, for a module whose parts stand in a row."""

    def __len__(self): return len(self._modules)
    def __iter__(self): return iter(self._modules.values())
    def __reversed__(self): return reversed(self._modules.values())

    def __getitem__(self, idx):
        if isinstance(idx, slice): return self._some(list(self._modules.items())[idx])
        return self._modules[self._name_at(idx)]

    def __setitem__(self, idx: int, module) -> None: setattr(self, self._name_at(idx), module)

    def __delitem__(self, idx) -> None:
        left = list(self)
        if not isinstance(idx, slice): idx = list(self._modules).index(self._name_at(idx))
        del left[idx]
        self._renumber(left)

    def __iadd__(self, other): return self.extend(as_row(self, other))

    def append(self, module):
        """Adds a part at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable):
        """Adds several parts at the end."""
        for module in list(as_row(self, modules)): self.append(module)
        return self

    def insert(self, index: int, module):
        """Puts a part in front of the one at `index`."""
        if not -len(self) <= index <= len(self): raise IndexError(f"index {index} is out of range")
        parts = list(self)
        parts.insert(index, module)
        self.append(module)                 # complains if it is no module
        self._renumber(parts)
        return self

    def pop(self, key=-1):
        """Takes a part out, and returns it."""
        part = self[key]
        del self[key]
        return part

    def _name_at(self, idx) -> str:
        try:
            return list(self._modules)[operator.index(idx)]
        except IndexError:
            raise IndexError(f"index {idx} is out of range of {len(self)} parts") from None

    def _renumber(self, parts: list) -> None:
        self._modules.clear()
        self._modules.update({str(i): part for i, part in enumerate(parts)})


def repeated(row, times: int) -> list:
    """The same parts again and again; they share their parameters."""
    if not isinstance(times, int): raise TypeError(f"a row is repeated n times, not {times!r}")
    if times < 1: raise ValueError(f"{type(row).__name__} times {times} would have no parts")
    return list(row) * times


def as_row(row, other):
    """Whatever modules come out of; TypeError if it is nothing of the kind."""
    if isinstance(other, Iterable) and not isinstance(other, (Tensor, str)): return other
    raise TypeError(f"{type(row).__name__} takes several modules here, not {type(other).__name__}")
