# Generated from modules/09_autograd/appendix_rulebook.py by `tito export`. Edit that file, not this one.
"""What the rules of many ops have in common."""

from __future__ import annotations

import math
from collections.abc import Callable

from .tensor import Tensor

__all__ = ["over", "counted", "dims_of", "bare", "listed", "handed_on"]


def over(g, dim, keepdim: bool, ndim: int):
    """The gradient of a reduction, with a 1 for each dimension that was taken away."""
    if keepdim or ndim == 0: return g
    places = range(ndim) if dim is None or dim in ((), []) else sorted([d % ndim for d in dims_of(dim)])
    shape = list(g.shape)
    for place in places: shape.insert(place, 1)
    return g.reshape(tuple(shape))


def counted(shape: tuple, dim) -> int:
    """How many numbers a reduction over `dim` makes one of."""
    if dim is None or dim in ((), []) or not shape: return math.prod(shape)
    return math.prod([shape[d] for d in dims_of(dim)])


def dims_of(dim) -> tuple:
    """One dimension or several, as a tuple."""
    return tuple(dim) if isinstance(dim, (list, tuple)) else (dim,)


def bare(x):
    """The array in a tensor's box; anything else as it is."""
    return x.array if isinstance(x, Tensor) else x


def listed(x) -> list:
    """One or several, as a list."""
    return [x] if isinstance(x, Tensor) or x is None else list(x)


def handed_on(rule: Callable, *values, **settings) -> list:
    """The gradients that a rule gives, with those that wait computed."""
    return [g() if callable(g) else g for g in rule(*values, **settings)]
