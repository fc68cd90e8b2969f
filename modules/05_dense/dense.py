# %% [markdown]
# # Dense

# %%
#| export
"""Layers in which everything meets everything, and how wrong their answers are."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.activations import relu
from tinytorch.creation import empty, empty_like, ones, zeros
from tinytorch.errors import ShapeError, shape_of
from tinytorch.layers import Module, Parameter, Sequential
from tinytorch.tensor import Kept, Op, Tensor

# %%
#| export exercise
@Op
def linear(input, weight, bias=None, /):
    """Each output is a sum of all inputs, weighted, plus its bias.  (*, i), (o, i), (o) -> (*, o)"""
    if not input.ndim or input.shape[-1] != weight.shape[-1]:
        raise ShapeError(f"linear with a weight of {shape_of(weight)} takes inputs of {weight.shape[-1]} "
                         f"numbers, not {shape_of(input)}")
    rows = input.reshape(math.prod(input.shape[:-1]), weight.shape[-1])
    ### BEGIN SOLUTION
    out = rows @ weight.T
    if bias is not None: out += bias
    ### END SOLUTION
    return out.reshape(input.shape[:-1] + weight.shape[:-1])

# %%
#| export exercise
class Linear(Module):
    """A layer in which every output sees every input.  (*, in_features) -> (*, out_features)"""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew, as PyTorch does: from -1/sqrt(in_features) to 1/sqrt(in_features)."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0
        for p in self.parameters(): p.data.uniform_(-bound, bound)

    def forward(self, input):
        ### BEGIN SOLUTION
        return linear(input, self.weight, self.bias)
        ### END SOLUTION

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %%
#| export exercise
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """While training, each number is left out with probability p, and the rest made up for it.  (*) -> (*)"""
    if not 0 <= p <= 1: raise ValueError(f"dropout leaves out with a probability from 0 to 1, not {p}")
    if not training or p == 0: return input
    ### BEGIN SOLUTION
    kept = empty_like(input).bernoulli_(1 - p)
    if p < 1: kept /= 1 - p
    ### END SOLUTION
    return input.mul_(kept) if inplace else input * kept


class Dropout(Module):
    """Leaves numbers out while the network learns; p is the share of them.  (*) -> (*)"""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        if not 0 <= p <= 1: raise ValueError(f"dropout leaves out with a probability from 0 to 1, not {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input): return dropout(input, self.p, self.training, self.inplace)
    def extra_repr(self) -> str: return f"p={self.p}, inplace={self.inplace}"

# %%
#| export exercise
@Op
def standardize(input, weight=None, bias=None, /, last=1, eps=1e-5):
    """The last `last` dimensions moved to mean 0, scaled to variance 1, then by weight and bias.  (*) -> (*)"""
    over = tuple(range(-last, 0))
    ### BEGIN SOLUTION
    mean = input.mean(axis=over, keepdims=True)
    out = input - mean
    rstd = 1 / np.sqrt((out * out).mean(axis=over, keepdims=True) + eps)
    out *= rstd
    ### END SOLUTION
    if weight is not None: out *= weight
    if bias is not None: out += bias
    return Kept(out, mean, rstd)

# %%
#| export
def layer_norm(input: Tensor, normalized_shape, weight=None, bias=None, eps: float = 1e-05) -> Tensor:
    """Each example moved to mean 0 and scaled to variance 1, over its last dimensions.  (*, shape) -> (*, shape)"""
    dims = ends_in("layer_norm", input, normalized_shape, weight, bias)
    return standardize(input, weight, bias, dims, eps)


def ends_in(name: str, input: Tensor, shape, *scales) -> int:
    """How many dimensions `shape` has, once the input is known to end in it, and the scales to be of it."""
    shape = tuple(shape)
    if not shape: raise RuntimeError(f"{name} wants a shape of one dimension or more, not ()")
    if input.shape[-len(shape):] != shape:
        raise ShapeError(f"{name} over {shape} takes inputs that end in this shape, not {shape_of(input)}")
    for scale in scales:
        if scale is not None and scale.shape != shape:
            raise ShapeError(f"{name} over {shape} takes a weight and a bias of this shape, not {shape_of(scale)}")
    return len(shape)


class LayerNorm(Module):
    """Moves each example to mean 0 and variance 1, then to where training wants it.  (*, shape) -> (*, shape)"""

    def __init__(
        self, normalized_shape, eps: float = 1e-05, elementwise_affine: bool = True, bias: bool = True,
        device=None, dtype=None,
    ):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        new = {"device": device, "dtype": dtype}
        self.weight = Parameter(ones(self.normalized_shape, **new)) if elementwise_affine else None
        self.bias = Parameter(zeros(self.normalized_shape, **new)) if elementwise_affine and bias else None

    def reset_parameters(self) -> None:
        """Weights of 1 and biases of 0, which change nothing."""
        if self.weight is not None: self.weight.data.fill_(1)
        if self.bias is not None: self.bias.data.zero_()

    def forward(self, input): return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
                f"bias={self.bias is not None}")

# %%
#| export
class MLP(Module):
    """Linear layers with a bend between them: a multi-layer perceptron.  (*, first) -> (*, last)"""

    def __init__(self, *sizes: int):
        super().__init__()
        self.layers = Sequential(*[Linear(i, o) for i, o in zip(sizes, sizes[1:])])

    def forward(self, x):
        *hidden, last = self.layers
        for layer in hidden: x = relu(layer(x))
        return last(x)
