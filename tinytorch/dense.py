# Generated from modules/05_dense/dense.py by `tito export`. Edit that file, not this one.
"""Layers in which everything meets everything, and how wrong their answers are."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .activations import relu
from .creation import empty, empty_like, ones, zeros
from .errors import ShapeError, shape_of
from .fitting import (
    as_rows, as_shape, check_probability, ends_in, labels_of, row_sums, rows_times, same_shape, weighed,
)
from .layers import Module, Parameter, Sequential
from .shaping import cat
from .tensor import Kept, Op, Tensor, floating, tensor

__all__ = [
    "linear", "Linear", "MLP", "Cost", "dense_cost", "through", "dropout", "Dropout", "standardize",
    "layer_norm", "LayerNorm", "mse_loss", "surprise", "binary_surprise",
]


@Op
def linear(input, weight, bias=None, /):
    """Each output is a sum of all inputs, weighted, plus its bias.  (*, i), (o, i), (o) -> (*, o)"""
    if not input.ndim or input.shape[-1] != weight.shape[-1]:
        raise ShapeError(f"linear with a weight of {shape_of(weight)} takes inputs that end in "
                         f"{weight.shape[-1]} numbers, not {shape_of(input)}")
    rows = input.reshape(math.prod(input.shape[:-1]), weight.shape[-1])
    out = rows_times(rows, weight)
    if bias is not None: out += bias
    return out.reshape(input.shape[:-1] + weight.shape[:-1])


class Linear(Module):
    """A layer in which every output sees every input.  (*, in_features) -> (*, out_features)"""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew, from -1/sqrt(in_features) to 1/sqrt(in_features)."""
        bound = 1 / math.sqrt(max(self.in_features, 1))
        for p in self.parameters(): p.data.uniform_(-bound, bound)

    def forward(self, input):
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (f"in_features={self.in_features}, out_features={self.out_features}, "
                f"bias={self.bias is not None}")


class MLP(Module):
    """Linear layers with a relu between each two: a multi-layer perceptron.  (*, first) -> (*, last)"""

    def __init__(self, *sizes: int):
        super().__init__()
        self.layers = Sequential(*[Linear(i, o) for i, o in pairwise(sizes)])

    def forward(self, x):
        *hidden, last = self.layers
        for layer in hidden: x = relu(layer(x))
        return last(x)


class Cost(NamedTuple):
    """What a pass through a network takes."""

    parameters: int
    flops: int
    bytes: int


def dense_cost(rows: int, *sizes: int) -> Cost:
    """What it costs to send so many rows through a stack of linear layers, in float32."""
    parameters = flops = moved = 0
    for i, o in pairwise(sizes):
        parameters += i * o + o
        flops += rows * (2 * i * o + o)
        moved += 4 * (i * o + o + rows * (i + o))
    return Cost(parameters, flops, moved)


def through(xs: Tensor, ys: Tensor) -> MLP:
    """The network with one hidden layer that draws straight lines from each point to the next.

    (n + 1), (n + 1), xs growing -> MLP(1, n, 1)
    """
    slopes = (ys[1:] - ys[:-1]) / (xs[1:] - xs[:-1])            # of the n lines
    net = MLP(1, len(slopes), 1)
    hidden, last = net.layers
    hidden.weight.data.fill_(1)
    hidden.bias.data.copy_(-xs[:-1])
    last.weight.data.copy_(cat([slopes[:1], slopes[1:] - slopes[:-1]]))
    last.bias.data.copy_(ys[:1])
    return net


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """While training, each number is left out with probability p, and the rest grow for it.  (*) -> (*)"""
    check_probability(p)
    if not training or p == 0: return input
    kept = empty_like(input).bernoulli_(1 - p)
    if p < 1: kept /= 1 - p
    return input.mul_(kept) if inplace else input * kept


class Dropout(Module):
    """Leaves numbers out while the network learns; p is the share of them.  (*) -> (*)"""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        check_probability(p)
        self.p, self.inplace = p, inplace

    def forward(self, input): return dropout(input, self.p, self.training, self.inplace)
    def extra_repr(self) -> str: return f"p={self.p}, inplace={self.inplace}"


@Op
def standardize(input, weight=None, bias=None, /, last=1, eps=1e-5):
    """The last `last` dimensions moved to mean 0, scaled to variance 1, then by weight and bias.

    (*) -> (*)
    """
    rows, n = as_rows(input, last), math.prod(input.shape[input.ndim - last :])
    mean = row_sums(rows) / n
    out = rows - mean
    scale = 1 / np.sqrt(row_sums(out, out) / n + eps)
    out *= scale
    if weight is not None: out *= weight.reshape(-1)
    if bias is not None: out += bias.reshape(-1)
    return Kept(out.reshape(input.shape).astype(input.dtype, copy=False), mean, scale)


def layer_norm(input: Tensor, normalized_shape, weight=None, bias=None, eps: float = 1e-05) -> Tensor:
    """Each example moved to mean 0 and scaled to variance 1, over its last dimensions.

    (*, shape) -> (*, shape)
    """
    return standardize(input, weight, bias, ends_in("layer_norm", input, normalized_shape, weight, bias), eps)


class LayerNorm(Module):
    """Moves each example to mean 0 and variance 1, then to where training wants it.

    (*, shape) -> (*, shape)
    """

    def __init__(
        self, normalized_shape, eps: float = 1e-05, elementwise_affine: bool = True, bias: bool = True,
        device=None, dtype=None,
    ):
        super().__init__()
        self.normalized_shape = as_shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        new = {"device": device, "dtype": dtype}
        self.weight = Parameter(ones(self.normalized_shape, **new)) if elementwise_affine else None
        self.bias = Parameter(zeros(self.normalized_shape, **new)) if elementwise_affine and bias else None

    def reset_parameters(self) -> None:
        """Weights of 1 and biases of 0, which change nothing."""
        if self.weight is not None: self.weight.data.fill_(1)
        if self.bias is not None: self.bias.data.fill_(0)

    def forward(self, input):
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
                f"bias={self.bias is not None}")


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """The squared distance of answers from targets.  (*), (*) -> () or (*)"""
    same_shape(input, target)
    distance = input - target
    return weighed(distance * distance, weight, reduction)


@Op
def surprise(input, target, /, ignore_index=-100):
    """Minus the logarithm of the right class's probability, from scores.  (N, C, *), (N, *) -> (N, *)

    Where the target is `ignore_index`, there is nothing to be surprised about: 0.
    """
    dim, places, ignored = labels_of(input, target, ignore_index)
    top = input.max(axis=dim, keepdims=True)
    rest = input - top
    picked = np.take_along_axis(rest, places, dim)
    log_sum = np.log(np.exp(rest, out=rest).sum(axis=dim, keepdims=True))
    out = log_sum - picked
    log_total = log_sum + top
    np.copyto(out, 0, where=ignored)
    return Kept(out.squeeze(dim), log_total)


@floating
def binary_surprise(input, target, /):
    """The surprise at a yes (1) or a no (0), from a score; "yes" has the probability sigmoid(x).

    (*), (*) -> (*)
    """
    return np.maximum(input, 0) - input * target + np.log1p(np.exp(-np.abs(input)))
