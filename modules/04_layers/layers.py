# %% [markdown]
# # Layers

# %%
#| export
"""Modules: what a network is made of, and how it finds its own parameters."""

# %%
#| export
from __future__ import annotations

import math
import operator
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from tinytorch.errors import ShapeError, shape_of
from tinytorch.hooks import HOOKS, Hooks, asked
from tinytorch.housekeeping import DRAWERS, Housekeeping
from tinytorch.tensor import Tensor

# %%
#| export
class Parameter(Tensor):
    """A tensor that a module owns and training may change; it shares the memory it is given."""

    def __init__(self, data=None, requires_grad: bool = True):
        if isinstance(data, Tensor): data = data.array
        super().__init__(() if data is None else data)
        self.requires_grad = requires_grad

    def __repr__(self): return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that belongs to a module's state but does not learn; `persistent`: it is saved, too."""

    def __init__(self, data=None, *, persistent: bool = True):
        if isinstance(data, Tensor): data = data.array
        super().__init__(() if data is None else data)
        self.persistent = persistent

# %%
#| export
class Module(Hooks, Housekeeping):
    """A part of a network: it has parameters, buffers, parts of its own, and a forward."""

    training = True

    def __init__(self):
        for name in (*DRAWERS, *HOOKS): self.__dict__[name] = {}
        self.__dict__["_non_persistent_buffers_set"] = set()

    def forward(self, *args):
        raise NotImplementedError(f"{type(self).__name__} has no forward: write def forward(self, x)")

    def __setattr__(self, name: str, value) -> None: put(self, name, value)

    def __getattr__(self, name: str):
        mine = self.__dict__
        for drawer in DRAWERS:
            if drawer in mine and name in mine[drawer]: return mine[drawer][name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for drawer in DRAWERS:
            if name in self.__dict__[drawer]:
                del self.__dict__[drawer][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter; None keeps its place free."""
        register(self, "_parameters", name, param, Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that belongs to the state but does not learn; `persistent`: it is saved, too."""
        register(self, "_buffers", name, tensor, Tensor)
        (self._non_persistent_buffers_set.discard if persistent
         else self._non_persistent_buffers_set.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Adds a part under a name."""
        register(self, "_modules", name, module, Module)

    add_module = register_module

    def named_modules(self, memo=None, prefix: str = "", remove_duplicate: bool = True):
        return walk(self, set() if memo is None else memo, prefix, remove_duplicate)

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        return members(self, "_parameters", prefix, recurse, remove_duplicate)

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        return members(self, "_buffers", prefix, recurse, remove_duplicate)

    def named_children(self): return members(self, "_modules", "", False, True)

    def modules(self): return (part for _, part in self.named_modules())
    def children(self): return (part for _, part in self.named_children())
    def parameters(self, recurse: bool = True): return (p for _, p in self.named_parameters("", recurse))
    def buffers(self, recurse: bool = True): return (b for _, b in self.named_buffers("", recurse))

    def train(self, mode: bool = True):
        if not isinstance(mode, bool): raise ValueError(f"training is on or off, True or False, not {mode!r}")
        for part in self.modules(): part.training = mode
        return self

    def eval(self): return self.train(False)

    def state_dict(self, *, destination=None, prefix: str = "", keep_vars: bool = False):
        state = OrderedDict() if destination is None else destination
        for path, part in self.named_modules(prefix=prefix.removesuffix("."), remove_duplicate=False):
            for name, value in own_state(part):
                state[f"{path}.{name}" if path else name] = value if keep_vars else value.data
        return state

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        own = self.state_dict(keep_vars=True)
        missing = [k for k in own if k not in state_dict]
        unexpected = [k for k in state_dict if k not in own]
        misshaped = [k for k in own if k in state_dict and own[k].shape != state_dict[k].shape]
        if strict and (missing or unexpected) or misshaped:
            raise RuntimeError(f"{type(self).__name__} cannot load: {missing} {unexpected} {misshaped}")
        for k in own:
            if k in state_dict: own[k].data.copy_(state_dict[k])
        return missing, unexpected


def register(module, drawer, name, value, kind):
    module.__dict__[drawer][name] = value


def put(module, name, value):
    drawers = module.__dict__
    kinds = {"_parameters": Parameter, "_buffers": Buffer, "_modules": Module}
    drawer = next((d for d in DRAWERS if isinstance(value, kinds[d])), None) \
        or next((d for d in DRAWERS if name in drawers.get(d, ())), None)
    if drawer is None:
        drawers[name] = value
        return
    drawers.pop(name, None)
    for other in DRAWERS:
        if other != drawer: drawers[other].pop(name, None)
    drawers[drawer][name] = value


def walk(module, seen, prefix, remove_duplicate):
    if module in seen: return
    if remove_duplicate: seen.add(module)
    yield prefix, module
    for name, part in module._modules.items():
        if part is not None:
            yield from walk(part, seen, f"{prefix}.{name}" if prefix else name, remove_duplicate)


def members(module, drawer, prefix, recurse, remove_duplicate):
    seen = set()
    for path, part in module.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, module)]:
        for name, value in part.__dict__[drawer].items():
            if value is None or value in seen: continue
            if remove_duplicate: seen.add(value)
            yield f"{path}.{name}" if path else name, value


def own_state(module):
    for name, value in [*module._parameters.items(), *module._buffers.items()]:
        if value is not None and name not in module._non_persistent_buffers_set: yield name, value

# %%
#| export
class Sequential(Module):
    """Modules one after the other; each takes what the one before gives."""

    def __init__(self, *args):
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], dict) else enumerate(args)
        for name, module in named: self.add_module(str(name), module)

    def forward(self, input):
        for module in self: input = module(input)
        return input

    def __iter__(self): return iter(self._modules.values())
    def __len__(self): return len(self._modules)
    def __getitem__(self, i):
        if isinstance(i, slice): return type(self)(OrderedDict(list(self._modules.items())[i]))
        return list(self._modules.values())[i]
