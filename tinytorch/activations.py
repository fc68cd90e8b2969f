# Generated from modules/03_activations/activations.py by `tito export`. Edit that file, not this one.
"""The bends between linear maps, and probabilities that do not overflow."""

from __future__ import annotations

import math

import numpy as np

from .dtypes import as_dtype
from .elementwise import erf
from .methods import in_place
from .pieces import in_pieces, worth_cutting
from .tensor import Op, Tensor, floating, tensor

__all__ = [
    "collapsed", "Bend", "relu", "xor", "exp_over", "sigmoid", "tanh", "softmax", "log_softmax", "gelu",
]


def collapsed(w1, b1, w2, b2) -> tuple[Tensor, Tensor]:
    """The w and b with x @ w + b = (x @ w1 + b1) @ w2 + b2 for every x.

    (i, h), (h,), (h, o), (o,) -> (i, o), (o,)
    """
    return w1 @ w2, b1 @ w2 + b2


class Bend(Op):
    """An op of one number at a time; with `inplace=True` the result is written over its input."""

    def __init__(self, forward, promote=None):
        super().__init__(forward, promote)
        self.settings += ("inplace",)

    def __call__(self, *inputs, **settings):
        if "inplace" not in settings and len(inputs) <= self.arity:
            return super().__call__(*inputs, **settings)
        inputs, settings = self.bind(inputs, settings)
        run = in_place(self) if settings.pop("inplace", False) else super().__call__
        return run(*inputs, **settings)


@Bend
def relu(input, /):
    """What is positive, else 0.  (*) -> (*)"""
    return np.maximum(input, 0)


def xor(x: Tensor) -> Tensor:
    """1 where exactly one of the two switches is on.  (n, 2) -> (n,)"""
    count = x.sum(1)
    return relu(count) - 2 * relu(count - 1)


def exp_over(x):
    """exp, written over `x`: for a temporary array of our own."""
    return np.exp(x, out=x) if x.ndim else np.exp(x)        # NumPy's single numbers cannot be written over


@floating
def sigmoid(input, /):
    """1 / (1 + exp(-x)), which rises from 0 to 1; stable at both ends.  (*) -> (*)"""
    return exp_over(np.minimum(input, 0)) / (1 + exp_over(-np.abs(input)))


@floating
def tanh(input, /):
    """The hyperbolic tangent, which rises from -1 to 1.  (*) -> (*)"""
    return np.tanh(input)


@floating
def softmax(input, /, dim, dtype=None):
    """Probabilities from scores: exp(x), scaled so that each line along `dim` adds up to 1.  (*) -> (*)"""
    if dtype is not None: input = as_dtype(dtype).cast(input)
    if not isinstance(dim, int): raise TypeError(f"softmax works along one dim, such as -1, not {dim!r}")
    if input.size == 0: return input.copy()
    out = exp_over(input - input.max(axis=dim, keepdims=True))
    out /= out.sum(axis=dim, keepdims=True)
    return out


@floating
def log_softmax(input, /, dim, dtype=None):
    """The logarithm of softmax, also where softmax itself rounds to 0.  (*) -> (*)"""
    if dtype is not None: input = as_dtype(dtype).cast(input)
    if not isinstance(dim, int): raise TypeError(f"log_softmax works along one dim, such as -1, not {dim!r}")
    if input.size == 0: return input.copy()
    out = input - input.max(axis=dim, keepdims=True)
    out -= np.log(np.exp(out).sum(axis=dim, keepdims=True))
    return out


@floating
def gelu(input, /, *, approximate="none"):
    """x times the chance that a normal number is below x; "tanh" is an older formula.  (*) -> (*)"""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu knows approximate='none' and approximate='tanh', not {approximate!r}")
    if worth_cutting(flat := input.reshape(-1)):
        return in_pieces(gelu.forward, flat, approximate=approximate).reshape(input.shape)
    if approximate == "none":
        out = 1 + erf.forward(input * math.sqrt(0.5))
        out *= input
        out *= 0.5
        return out
    out = input * input
    out *= 0.044715
    out += 1
    out *= input
    out *= -2 * math.sqrt(2 / math.pi)
    return input / (1 + exp_over(out))
