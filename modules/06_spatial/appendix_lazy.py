# %% [markdown]
# # Appendix: layers that wait to be told how wide they are
#
# How many numbers come out of three convolutions and two pools? You can work it out. Or you can let the first
# input tell: a **lazy** layer is made without its input's width, and becomes an ordinary layer when something
# is put into it for the first time.

# %%
#| export
"""Parameters without a shape, and layers that learn their width from their first input."""

# %%
#| export
from __future__ import annotations

import inspect

from tinytorch.convolution import Conv1d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tinytorch.creation import empty
from tinytorch.dense import Linear
from tinytorch.layers import Buffer, Module, Parameter
from tinytorch.methods import METHODS
from tinytorch.normalization import (
    BatchNorm1d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from tinytorch.randomness import fork_rng
from tinytorch.room import batched
from tinytorch.spatial import BatchNorm2d, Conv2d
from tinytorch.tensor import Tensor

# %% [markdown]
# Until then its parameters have a dtype and a device, but no shape. They are the same objects afterwards, so
# that an optimizer may already hold them: what changes is their class, which Python allows.

# %%
#| export
class Shapeless:
    """A tensor that has no shape yet: `materialize(shape)` makes it an ordinary one."""

    becomes: type[Tensor]

    @property
    def shape(self):
        raise RuntimeError(f"an {type(self).__name__} has no shape before the first input has come: call the "
                           f"module once. (Or a state without shapes is loaded into a module that has them.)")

    @property
    def data(self): return self                     # there are no numbers to look at

    @data.setter
    def data(self, other): self.array = other.array

    def materialize(self, shape, device=None, dtype=None) -> None:
        """Room for its numbers, in this shape."""
        self.array = empty(shape, device=device or self.device, dtype=dtype or self.dtype).array
        self.__class__ = self.becomes

    def to(self, *target, **settings):
        """Another dtype or device, for when it has numbers: the tensor stays the same object."""
        self.array = METHODS["to"](self, *target, **settings).array
        return self

    def __repr__(self): return f"<{type(self).__name__}>"


class UninitializedParameter(Shapeless, Parameter):
    """A parameter that has no shape yet."""

    becomes = Parameter

    def __init__(self, requires_grad: bool = True, device=None, dtype=None):
        super().__init__(empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(Shapeless, Buffer):
    """A buffer that has no shape yet."""

    becomes = Buffer

    def __init__(self, requires_grad: bool = False, device=None, dtype=None, persistent: bool = True):
        super().__init__(empty(0, device=device, dtype=dtype), persistent=persistent)
        self.requires_grad = requires_grad


def is_lazy(param) -> bool:
    """Whether a tensor has no shape yet."""
    return isinstance(param, Shapeless)

# %% [markdown]
# A lazy layer is written in three lines: what it becomes, and where its width stands in an input. The width
# is the first argument of the class that it becomes, and all others are its own.
#
# At the first input a real layer of that width is made, which draws its first numbers as it always does, and
# they move over. A state that is loaded before the first input brings its shapes with it.

# %%
#| export
class LazyModuleMixin:
    """A layer without its width: at its first input it becomes a `cls_to_become`."""

    cls_to_become: type[Module]
    settings_of: type[Module] | None = None         # whose settings it takes, if others'

    def __init_subclass__(cls):
        if "cls_to_become" not in vars(cls): return
        width, *others = inspect.signature(cls.settings_of or cls.cls_to_become).parameters.values()
        cls.width, cls.__signature__ = width.name, inspect.Signature(others)

    def __init__(self, *args, **kwargs):
        given = inspect.signature(type(self)).bind(*args, **kwargs)
        given.apply_defaults()
        self.__dict__["_lazy_given"] = given.arguments
        with fork_rng(): super().__init__(0, **given.arguments)
        for name, p in self._parameters.items():
            if p is not None: self._parameters[name] = UninitializedParameter(True, p.device, p.dtype)
        for name, b in self._buffers.items():
            if b is not None and b.ndim:
                self._buffers[name] = UninitializedBuffer(False, b.device, b.dtype)
        self._lazy_hooks = [self.register_forward_pre_hook(LazyModuleMixin.meet, with_kwargs=True),
                      self.register_load_state_dict_pre_hook(LazyModuleMixin.take_shapes)]

    def width_in(self, input) -> int:
        """How wide an input is."""
        raise NotImplementedError

    def waiting(self) -> dict[str, Tensor]:
        """The tensors that have no shape yet."""
        return {name: x for name, x in (*self._parameters.items(), *self._buffers.items()) if is_lazy(x)}

    def has_uninitialized_params(self) -> bool: return bool(self.waiting())

    def reset_parameters(self) -> None:
        """Draws the parameters anew, once they have a shape."""
        if not self.waiting(): super().reset_parameters()

    def initialize_parameters(self, input) -> None:
        """Gives the layer the width of this input, and its first numbers."""
        width, waiting = self.width_in(input), self.waiting()
        if waiting:
            one = next(iter(waiting.values()))
            made = self.cls_to_become(width, **{**self._lazy_given, "device": one.device, "dtype": one.dtype})
            for name, x in waiting.items():
                drawn = getattr(made, name)
                x.materialize(drawn.shape)
                x.data = drawn.data
        setattr(self, self.width, width)

    def meet(self, args: tuple, kwargs: dict) -> None:
        """Before the first forward."""
        self.initialize_parameters(*args, **kwargs)
        for hook in self._lazy_hooks: hook.remove()
        del self._lazy_hooks, self._lazy_given
        self.__class__ = self.cls_to_become

    def take_shapes(self, state, prefix: str, *others) -> None:
        """Before a state is loaded."""
        for name, x in self.waiting().items():
            if prefix + name in state and not is_lazy(state[prefix + name]):
                x.materialize(state[prefix + name].shape)

# %% [markdown]
# A dense layer is as wide as the last dimension, everything with channels as many as there are.

# %%
#| export
class LazyLinear(LazyModuleMixin, Linear):
    """A `Linear` that learns from its first input how wide that is.  (*, in) -> (*, out_features)"""

    cls_to_become = Linear

    def width_in(self, input) -> int: return input.shape[-1]


class LazyConvolution(LazyModuleMixin):
    """A convolution that learns from its first input how many channels there are."""

    def width_in(self, input) -> int: return batched(type(self).__name__, input, self.ways)[0].shape[1]


class LazyNorm(LazyModuleMixin):
    """A norm that learns from its first input how many channels there are, and keeps statistics."""

    settings_of = BatchNorm2d

    def width_in(self, input) -> int: return input.shape[1]


class LazyInstanceNorm(LazyNorm):
    """The same, and a picture may come alone, without a batch."""

    def width_in(self, input) -> int: return input.shape[input.ndim - self.accepts[0]]


class LazyConv1d(LazyConvolution, Conv1d):
    """A `Conv1d` that learns from its first input how many channels there are."""

    cls_to_become = Conv1d


class LazyConv2d(LazyConvolution, Conv2d):
    """A `Conv2d` that learns from its first input how many channels there are."""

    cls_to_become = Conv2d


class LazyConv3d(LazyConvolution, Conv3d):
    """A `Conv3d` that learns from its first input how many channels there are."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(LazyConvolution, ConvTranspose1d):
    """A `ConvTranspose1d` that learns from its first input how many channels there are."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(LazyConvolution, ConvTranspose2d):
    """A `ConvTranspose2d` that learns from its first input how many channels there are."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(LazyConvolution, ConvTranspose3d):
    """A `ConvTranspose3d` that learns from its first input how many channels there are."""

    cls_to_become = ConvTranspose3d


class LazyBatchNorm1d(LazyNorm, BatchNorm1d):
    """A `BatchNorm1d` that learns from its first input how many channels there are."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(LazyNorm, BatchNorm2d):
    """A `BatchNorm2d` that learns from its first input how many channels there are."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(LazyNorm, BatchNorm3d):
    """A `BatchNorm3d` that learns from its first input how many channels there are."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(LazyInstanceNorm, InstanceNorm1d):
    """An `InstanceNorm1d` that learns from its first input how many channels there are."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(LazyInstanceNorm, InstanceNorm2d):
    """An `InstanceNorm2d` that learns from its first input how many channels there are."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(LazyInstanceNorm, InstanceNorm3d):
    """An `InstanceNorm3d` that learns from its first input how many channels there are."""

    cls_to_become = InstanceNorm3d

# %% [markdown]
# What comes out of the convolutions below is nobody's business but theirs:

# %%
from tinytorch.layers import Sequential
from tinytorch.no_weights import Flatten
from tinytorch.randomness import randn

model = Sequential(LazyConv2d(8, 3, stride=2), LazyBatchNorm2d(), Flatten(), LazyLinear(10))
model(randn(1, 3, 28, 28))
model
