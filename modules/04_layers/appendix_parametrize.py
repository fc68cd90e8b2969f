# %% [markdown]
# # Appendix: a parameter that is computed from another
#
# Sometimes a weight should keep a form: symmetric, at right angles, of length 1. One way is to repair it
# after every step of training. A better one is not to store the weight at all, but something that may be
# anything, and to compute the weight from it whenever it is asked for: a **parametrization**, a module whose
# input is what is stored and whose output is the weight.
#
# The layer never notices. It says `self.weight` as before, and the class it belongs to has become one in
# which `weight` is a property.

# %%
#| export
"""Parameters that are computed from others whenever they are asked for."""

# %%
#| export
from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy

from tinytorch.containers import ModuleDict, ModuleList
from tinytorch.errors import shape_of
from tinytorch.layers import Module, Parameter
from tinytorch.tensor import Tensor

# %% [markdown]
# The way back, `right_inverse`, says what to store so that a given weight comes out. A parametrization that
# has none stores the weight itself. One that is made of several tensors returns a tuple, and gets them as
# separate inputs.

# %%
#| export
def stored_for(parametrization: Module, value):
    """What to store, so that the parametrization gives this value (or a near one)."""
    back = getattr(parametrization, "right_inverse", None)
    if back is None: return value
    try: return back(value)
    except NotImplementedError: return value


class ParametrizationList(ModuleList):
    """Parametrizations one after the other, and what the first of them starts from."""

    def __init__(self, modules, original, unsafe: bool = False):
        super().__init__(modules)
        self.unsafe = unsafe
        stored = original.data
        for parametrization in reversed(list(self)): stored = stored_for(parametrization, stored)
        self.is_tensor = isinstance(stored, Tensor)
        self.ntensors = 1 if self.is_tensor else len(stored)
        if self.is_tensor:
            original.data = stored
            self.keep("original", original, original)
        else:
            for i, one in enumerate(stored): self.keep(f"original{i}", one, original)
        if not unsafe: check_form(self(), original, "gives")

    def keep(self, name: str, value: Tensor, like: Tensor) -> None:
        """Stores a tensor as the parameter or the buffer that `like` is."""
        if not isinstance(like, Parameter): self.register_buffer(name, value)
        elif isinstance(value, Parameter): self.register_parameter(name, value)
        else: self.register_parameter(name, Parameter(value.clone(), like.requires_grad))

    def originals(self) -> list[Tensor]:
        """What is stored."""
        if self.is_tensor: return [self.original]
        return [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self) -> Tensor:
        first, *others = self
        value = first(*self.originals())
        for parametrization in others: value = parametrization(value)
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Stores what gives this value."""
        stored = value.data
        for parametrization in reversed(list(self)):
            if not hasattr(parametrization, "right_inverse"):
                raise RuntimeError(f"{type(parametrization).__name__} has no right_inverse: it is not known "
                                   f"what to store for a value that is assigned")
            stored = parametrization.right_inverse(stored)
        for old, new in zip(self.originals(), [stored] if self.is_tensor else stored):
            check_form(new, old, "stores")
            old.data.copy_(new)


def check_form(found: Tensor, wanted: Tensor, verb: str) -> None:
    """Complains about another shape or dtype than what was there."""
    if not isinstance(found, Tensor): raise ValueError(f"a parametrization {verb} a Tensor, not {found!r}")
    if found.shape != wanted.shape or found.dtype is not wanted.dtype:
        raise ValueError(f"a parametrization {verb} {shape_of(found)} of {found.dtype} in place of "
                         f"{shape_of(wanted)} of {wanted.dtype}; unsafe=True allows it")

# %% [markdown]
# A property belongs to a class, so each layer with a parametrization gets a class of its own, below the one
# it had. Inside of `cached()` a weight is computed once, however often it is asked for.

# %%
#| export
_cache: ContextVar = ContextVar("parametrized", default=None)


@contextmanager
def cached() -> Iterator[None]:
    """`with cached():` each parametrized tensor is computed once in the block."""
    token = _cache.set({} if _cache.get() is None else _cache.get())
    try: yield
    finally: _cache.reset(token)


def computed(name: str) -> property:
    """The property that a parametrized tensor is."""
    def get(module):
        cache, parametrization = _cache.get(), module.parametrizations[name]
        if cache is None: return parametrization()
        if (id(module), name) not in cache: cache[id(module), name] = parametrization()
        return cache[id(module), name]

    def put(module, value): module.parametrizations[name].right_inverse(value)
    return property(get, put)


def parametrized_class(base: type, names: Iterable[str] = ()) -> type:
    """A class below another, in which some tensors are computed."""
    def packed(self, protocol):
        raise RuntimeError(f"{type(self).__name__} has a class of its own: pickle its state_dict()")

    def twin(self, memo):
        made = object.__new__(parametrized_class(base, list(self.parametrizations)))
        memo[id(self)] = made
        vars(made).update(deepcopy(vars(self), memo))
        return made
    more = {"__reduce_ex__": packed, "__deepcopy__": twin}
    return type(f"Parametrized{base.__name__}", (base,), {**more, **{name: computed(name) for name in names}})

# %%
#| export
def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False,
) -> Module:
    """Computes a parameter or buffer from now on by a parametrization, or by one more of them.

    What it stores lies at `parametrizations.<name>.original`. `unsafe`: shape and dtype may change.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        rows, value = module.parametrizations[tensor_name], getattr(module, tensor_name)
        if not unsafe: check_form(parametrization(value), value, "gives")
        rows.append(parametrization)
        rows.unsafe |= unsafe
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {tensor_name!r} to compute")
    rows = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.__class__ = parametrized_class(type(module))
        module.parametrizations = ModuleDict()
    setattr(type(module), tensor_name, computed(tensor_name))
    module.parametrizations[tensor_name] = rows
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of a module (or any of them) is computed from another."""
    rows = getattr(module, "parametrizations", None)
    if not isinstance(rows, ModuleDict): return False
    return len(rows) > 0 if tensor_name is None else tensor_name in rows


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Stores the tensor itself again: as it is computed now, or else as what it was computed from."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{type(module).__name__} does not compute {tensor_name!r}: nothing to remove")
    rows, value = module.parametrizations[tensor_name], getattr(module, tensor_name)
    if not rows.is_tensor and not leave_parametrized:
        raise ValueError(f"{tensor_name!r} is computed from {rows.ntensors} tensors: which one should stay?")
    original = rows.originals()[0]
    if not rows.is_tensor: original = Parameter(value.data) if isinstance(original, Parameter) else value.data
    elif leave_parametrized: original.data = value.data
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(original, Parameter): module.register_parameter(tensor_name, original)
    else: module.register_buffer(tensor_name, original)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before its parameters were computed."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)

# %% [markdown]
# A matrix that cannot help being symmetric: only its upper half is used.

# %%
from tinytorch.randomness import manual_seed, randn

class Symmetric(Module):
    def forward(self, x): return x.triu() + x.triu(1).mT

class Form(Module):
    def __init__(self):
        super().__init__()
        self.weight = Parameter(randn(3, 3))

manual_seed(0)
form = register_parametrization(Form(), "weight", Symmetric())
form.weight, list(form.state_dict())
