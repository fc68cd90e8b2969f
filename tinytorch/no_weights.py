# Generated from modules/05_dense/appendix_no_weights.py by `tito export`. Edit that file, not this one.
"""Layers that learn nothing: shapes, absences, and doing nothing."""

from __future__ import annotations

import math

from .creation import empty
from .dense import Dropout
from .errors import ShapeError, shape_of
from .fitting import check_probability
from .layers import Module
from .tensor import Tensor

__all__ = [
    "Identity", "Flatten", "Unflatten", "whole_channels", "left_out", "dropout1d", "dropout2d", "dropout3d",
    "SATURATED", "self_normal", "alpha_dropout", "feature_alpha_dropout", "Dropout1d", "Dropout2d",
    "Dropout3d", "AlphaDropout", "FeatureAlphaDropout",
]


class Identity(Module):
    """Hands its input on, whatever it was made with: a place to put something else."""

    def __init__(self, *args, **kwargs): super().__init__()
    def forward(self, input): return input


class Flatten(Module):
    """Several dimensions as one.  (N, *) -> (N, n)"""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input): return input.flatten(self.start_dim, self.end_dim)
    def extra_repr(self) -> str: return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One dimension as several; a length of -1 is what is left over.

    (*, n, *) -> (*, *unflattened_size, *)
    """

    def __init__(self, dim: int, unflattened_size):
        super().__init__()
        if not isinstance(dim, int):
            raise TypeError(f"Unflatten wants the number of a dimension, not {dim!r}")
        for length in unflattened_size:
            if not isinstance(length, int): raise TypeError(f"a shape is of whole numbers, not {length!r}")
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input): return input.unflatten(self.dim, self.unflattened_size)
    def extra_repr(self) -> str: return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


def whole_channels(name: str, input: Tensor, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which there is one number for each channel of each example."""
    if input.ndim not in dims:
        known = " or ".join(map(str, dims))
        raise ShapeError(f"{name} takes inputs of {known} dimensions, not {shape_of(input)}")
    n = input.ndim - dims[-1] + 2               # (N, C, *) or (C, *)
    return tuple(input.shape[:n]) + (1,) * (input.ndim - n)


def left_out(input: Tensor, shape: tuple, p: float, training: bool, inplace: bool) -> Tensor:
    """Dropout with one decision for each number of a smaller shape."""
    check_probability(p)
    if not training or p == 0: return input
    kept = empty(*shape, dtype=input.dtype, device=input.device).bernoulli_(1 - p)
    if p < 1: kept /= 1 - p
    return input.mul_(kept) if inplace else input * kept


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Leaves out whole channels of lines.  (N, C, L) or (C, L) -> the same"""
    return left_out(input, whole_channels("dropout1d", input, (2, 3)), p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Leaves out whole channels of pictures.  (N, C, H, W), or lines (N, C, L) -> the same"""
    shape = whole_channels("dropout2d", input, (4,) if input.ndim != 3 else (3,))
    return left_out(input, shape, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Leaves out whole channels of volumes.  (N, C, D, H, W) or (C, D, H, W) -> the same"""
    return left_out(input, whole_channels("dropout3d", input, (4, 5)), p, training, inplace)


SATURATED = -1.7580993408473766                 # selu(-inf)


def self_normal(input: Tensor, shape, p: float, training: bool, inplace: bool) -> Tensor:
    """Alpha dropout with one decision for each number of a shape."""
    check_probability(p)
    if not training or p == 0: return input
    if p == 1: return input.mul_(0) if inplace else input * 0
    scale = 1 / math.sqrt((SATURATED**2 * p + 1) * (1 - p))
    kept = empty(*shape, dtype=input.dtype, device=input.device).bernoulli_(1 - p)
    moved = (1 - kept - p) * (SATURATED * scale)
    return input.mul_(kept * scale).add_(moved) if inplace else input * (kept * scale) + moved


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean 0 and variance 1.  (*) -> (*)"""
    return self_normal(input, input.shape, p, training, inplace)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False,
) -> Tensor:
    """The same for whole channels.  (N, C, *) -> (N, C, *)"""
    if input.ndim < 2:
        raise ShapeError(f"feature_alpha_dropout takes inputs of (N, C, ...), not {shape_of(input)}")
    return self_normal(input, tuple(input.shape[:2]) + (1,) * (input.ndim - 2), p, training, inplace)


class Dropout1d(Dropout):
    """Leaves out whole channels of lines while the network learns."""

    def forward(self, input): return dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(Dropout):
    """Leaves out whole channels of pictures while the network learns."""

    def forward(self, input): return dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(Dropout):
    """Leaves out whole channels of volumes while the network learns."""

    def forward(self, input): return dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(Dropout):
    """Dropout for networks of SELUs."""

    def forward(self, input): return alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(Dropout):
    """Dropout for networks of SELUs, of whole channels."""

    def forward(self, input): return feature_alpha_dropout(input, self.p, self.training, self.inplace)
