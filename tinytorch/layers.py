# Generated from modules/04_layers/layers.py by `tito export`. Edit that file, not this one.
"""Modules: what networks are made of, and how a network finds its own parameters."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .activations import relu
from .creation import ones, zeros
from .errors import shape_of
from .hooks import HOOKS, Hooks, asked
from .housekeeping import (
    DRAWERS, KINDS, Housekeeping, IncompatibleKeys, Row, complaint, found, put, put_in_place, refused,
    repeated, take_out,
)
from .tensor import Tensor, tensor

__all__ = [
    "Parameter", "Buffer", "Module", "drawer_for", "walk", "below", "members", "switch", "own_state",
    "below_all", "state_of", "says_more", "Differences", "compare", "take_over", "load", "Sequential", "fans",
    "calculate_gain", "fan_of", "kaiming_normal_",
]


class Parameter(Tensor):
    """A tensor that a module owns and that training changes; it shares the memory it is given."""

    def __init__(self, data=None, requires_grad: bool = True):
        if data is None: data = zeros(0)
        super().__init__(data.array if isinstance(data, Tensor) else data)
        self.requires_grad_(requires_grad)

    def __repr__(self): return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that belongs to a module's state and does not learn; `persistent`: it is saved, too."""

    def __init__(self, data=None, *, persistent: bool = True):
        super().__init__(zeros(0).array if data is None else data.array)
        self.persistent = persistent


class Module(Hooks, Housekeeping):
    """A network, or a part of one: it has parameters, buffers, parts of its own, and a forward."""

    def __init__(self):
        self.__dict__.update({name: {} for name in (*DRAWERS, *HOOKS)}, training=True)
        self.__dict__["_non_persistent_buffers_set"] = set()

    def forward(self, *input):
        raise NotImplementedError(f"{type(self).__name__} has no forward: write def forward(self, x)")

    def __setattr__(self, name: str, value) -> None: put(self, drawer_for(self, name, value), name, value)
    def __getattr__(self, name: str): return found(self, name)
    def __delattr__(self, name: str) -> None: take_out(self, name)

    def named_modules(self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True):
        return walk(self, set() if memo is None else memo, prefix, remove_duplicate)

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        return members(self, "_parameters", prefix, recurse, remove_duplicate)

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        return members(self, "_buffers", prefix, recurse, remove_duplicate)

    def named_children(self): return members(self, "_modules", recurse=False)

    def train(self, mode: bool = True): return switch(self, mode)
    def eval(self): return self.train(False)

    def get_extra_state(self): raise NotImplementedError("override get_extra_state and set_extra_state, both")
    def set_extra_state(self, state) -> None: self.get_extra_state()

    def state_dict(self, *, destination=None, prefix: str = "", keep_vars: bool = False):
        return state_of(self, OrderedDict() if destination is None else destination, prefix, keep_vars)

    def load_state_dict(self, state_dict: Mapping, strict: bool = True, assign: bool = False):
        return load(self, OrderedDict(state_dict), strict, assign)


KINDS.update(_parameters=Parameter, _modules=Module, _buffers=Buffer)


def drawer_for(module: Module, name: str, value) -> str | None:
    """Where `module.name = value` puts the value: a drawer, or None for an ordinary attribute."""
    for drawer, kind in KINDS.items():
        if isinstance(value, kind): return drawer
        if name not in vars(module).get(drawer, ()): continue
        if value is None or (drawer == "_buffers" and isinstance(value, Tensor)): return drawer
        raise TypeError(f"{name!r} takes a {kind.__name__} or None, not {type(value).__name__}")
    return None


def walk(module: Module, seen: set, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple]:
    """The module and all modules below it, with their paths; those in `seen` are left out."""
    if module in seen: return
    if remove_duplicate: seen.add(module)
    yield prefix, module
    for name, part in module._modules.items():
        if part is not None: yield from walk(part, seen, below(prefix, name), remove_duplicate)


def below(path: str, name: str) -> str:
    """The path of what is called `name` at `path`."""
    return f"{path}.{name}" if path else name


def members(
    module: Module, drawer: str, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True,
) -> Iterator[tuple]:
    """All that lies in a drawer of the module, and with `recurse` of the modules below, with paths."""
    seen: set = set()
    everywhere = module.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
    parts = everywhere if recurse else [(prefix, module)]
    for path, part in parts:
        for name, value in vars(part)[drawer].items():
            if value is None or value in seen: continue
            if remove_duplicate: seen.add(value)
            yield below(path, name), value


def switch(module: Module, mode: bool) -> Module:
    """Tells a module and all that is below it whether they are learning; returns the module."""
    if not isinstance(mode, bool): raise ValueError(f"training is True or False, not {mode!r}")
    module.training = mode
    for child in module.children(): child.train(mode)
    return module


def own_state(module: Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters of the module itself, then its buffers that are to be saved, with their names."""
    for name, value in module._parameters.items():
        if value is not None: yield name, value
    for name, value in module._buffers.items():
        if value is not None and name not in module._non_persistent_buffers_set: yield name, value


def below_all(module: Module, prefix: str = "") -> list[tuple[str, Module]]:
    """All parts, under each of their paths, with a dot at the end: what comes next is a name."""
    paths = module.named_modules(remove_duplicate=False)
    return [(f"{prefix}{path}." if path else prefix, part) for path, part in paths]


def state_of(module: Module, state, prefix: str, keep_vars: bool):
    """What `state_dict` returns: the state of all parts, looking at the memory of the module."""
    parts = below_all(module, prefix)
    for start, part in parts:
        for hook, _ in asked(part._state_dict_pre_hooks): hook(part, start, keep_vars)
        state.update({start + name: value if keep_vars else value.data for name, value in own_state(part)})
        if says_more(part): state[start + "_extra_state"] = part.get_extra_state()
    for start, part in reversed(parts):
        for hook, _ in asked(part._state_dict_hooks): hook(part, state, start, {})
    return state


def says_more(module: Module) -> bool: return type(module).get_extra_state is not Module.get_extra_state


class Differences(NamedTuple):
    """How a state and a module differ."""

    missing: list[str]          # in the module, not in the state
    unexpected: list[str]       # in the state, not in the module
    misshaped: list[str]        # in both, in different shapes


def compare(own: Mapping, given: Mapping) -> Differences:
    """How the state that a module has, and the one that it is given, differ."""
    missing = [key for key in own if key not in given]
    unexpected = [key for key in given if key not in own]
    misshaped = [key for key in own if key in given and own[key].shape != given[key].shape]
    return Differences(missing, unexpected, misshaped)


def take_over(own: Mapping, given: Mapping) -> None:
    """Writes the numbers that were given over those of the same name, in place."""
    for key in own:
        if key in given: own[key].data.copy_(given[key])


def load(module: Module, state: OrderedDict, strict: bool, assign: bool) -> IncompatibleKeys:
    """What `load_state_dict` does: all of it, or, if something does not fit, nothing."""
    parts, missing, unexpected, wrong = below_all(module), [], [], []
    for start, part in parts:
        for hook, _ in asked(part._load_state_dict_pre_hooks):      # it may rename keys, and complain
            hook(part, state, start, {}, strict, missing, unexpected, wrong)
    if wrong: raise RuntimeError(refused(module, wrong))
    own = {start + name: value for start, part in parts for name, value in own_state(part)}
    more = {f"{start}_extra_state": part for start, part in parts if says_more(part)}
    given = {key: value for key, value in state.items() if key not in more}
    differences = compare(own, given)
    differences.missing.extend([*missing, *[key for key in more if key not in state]])
    differences.unexpected.extend(unexpected)
    hooks = [(part, part._load_state_dict_post_hooks) for _, part in reversed(parts)]
    after = [(part, hook) for part, table in hooks for hook, _ in asked(table)]
    if said := complaint(module, differences, own, given, strict and not after): raise RuntimeError(said)
    if assign: put_in_place(parts, own, given)
    else: take_over(own, given)
    for key, part in more.items():
        if key in state: part.set_extra_state(state[key])
    for part, hook in after: hook(part, IncompatibleKeys(differences.missing, differences.unexpected))
    if said := complaint(module, differences, own, given, strict): raise RuntimeError(said)
    return IncompatibleKeys(differences.missing, differences.unexpected)


class Sequential(Row, Module):
    """Modules one after the other: each takes what the one before it gives."""

    def __init__(self, *args):
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], dict) else enumerate(args)
        for name, module in named: self.add_module(str(name), module)

    def forward(self, input):
        for module in self: input = module(input)
        return input

    def _some(self, items): return type(self)(OrderedDict(items))

    def __add__(self, other):
        if not isinstance(other, Sequential): raise ValueError(f"Sequential + {type(other).__name__}")
        return Sequential(*self, *other)

    def extend(self, sequential): return super().extend(sequential)
    def __mul__(self, times: int): return Sequential(*repeated(self, times))
    def __rmul__(self, times: int): return self * times

    def __imul__(self, times: int):
        self._renumber(repeated(self, times))
        return self


def fans(tensor: Tensor) -> tuple[int, int]:
    """The fan-in and the fan-out of a weight.  (out, in, *window)"""
    if tensor.ndim < 2: raise ValueError(f"a fan needs a weight (out, in, ...), not {shape_of(tensor)}")
    out, into, *window = tensor.shape
    return into * math.prod(window), out * math.prod(window)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """What to multiply the spread of the weights by, before this bend, to keep the signal's size."""
    gains = {"tanh": 5 / 3, "selu": 3 / 4, "sigmoid": 1, "linear": 1}
    if nonlinearity.startswith("conv"): return 1
    if nonlinearity in gains: return gains[nonlinearity]
    if nonlinearity not in ("relu", "leaky_relu"):
        raise ValueError(f"no gain is known for {nonlinearity!r}: only relu, leaky_relu, {', '.join(gains)}")
    a = 0 if nonlinearity == "relu" else 0.01 if param is None else param
    if type(a) not in (int, float): raise ValueError(f"the slope of leaky_relu is a number, not {a!r}")
    return math.sqrt(2 / (1 + a * a))


def fan_of(tensor: Tensor, mode: str) -> int:
    """The fan that counts: "fan_in" keeps the signal's size on the way there, "fan_out" on the way back."""
    found = dict(zip(("fan_in", "fan_out"), fans(tensor)))
    if mode.lower() not in found: raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    return found[mode.lower()]


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator=None,
) -> Tensor:
    """Normal numbers that keep the size of the signal; He et al. 2015.  (out, in, *window)"""
    fan = fan_of(tensor, mode)
    tensor.data.normal_(0, calculate_gain(nonlinearity, a) / math.sqrt(fan), generator=generator)
    return tensor
