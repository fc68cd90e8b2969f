# Generated from modules/05_dense/appendix_likeness.py by `tito export`. Edit that file, not this one.
"""Lengths, angles and distances of vectors, and layers that compare two of them."""

from __future__ import annotations

import math

from .creation import empty
from .dense import linear
from .errors import ShapeError, shape_of
from .layers import Module, Parameter
from .linalg import vector_norm
from .shaping import broadcast_tensors, triu_indices
from .tensor import Tensor

__all__ = [
    "normalize", "cosine_similarity", "pairwise_distance", "pdist", "CosineSimilarity", "PairwiseDistance",
    "bilinear", "Bilinear",
]


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """The vectors along `dim`, scaled to length 1; one shorter than `eps` is divided by it.  (*) -> (*)"""
    return input / vector_norm(input, p, dim, True).clamp(min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-08) -> Tensor:
    """The cosine of the angle between vectors along `dim`: 1 for the same direction, 0 across.

    (*), (*) -> (*)
    """
    for x in (x1, x2):
        if not x.is_floating_point(): raise RuntimeError(f"cosine_similarity wants floats, not {x.dtype}")
    x1, x2 = broadcast_tensors(x1, x2)
    return (normalize(x1, 2.0, dim, eps) * normalize(x2, 2.0, dim, eps)).sum(dim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-06, keepdim: bool = False,
) -> Tensor:
    """How far the ends of two vectors are apart; `eps` keeps the distance off 0.  (*, D), (*, D) -> (*)"""
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances of all pairs of rows, each pair once.  (n, d) -> (n * (n - 1) / 2)"""
    if input.ndim != 2: raise ShapeError(f"pdist takes rows, (n, d), not {shape_of(input)}")
    first, second = triu_indices(len(input), len(input), 1)
    return vector_norm(input[first] - input[second], p, -1)


class CosineSimilarity(Module):
    """`cosine_similarity` as a module."""

    def __init__(self, dim: int = 1, eps: float = 1e-08):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1, x2): return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """`pairwise_distance` as a module."""

    def __init__(self, p: float = 2.0, eps: float = 1e-06, keepdim: bool = False):
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2): return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Each output weighs all products of the two inputs.  (*, i), (*, j), (o, i, j), (o) -> (*, o)"""
    if input1.shape[:-1] != input2.shape[:-1] or (input1.shape[-1], input2.shape[-1]) != weight.shape[1:]:
        raise ShapeError(f"bilinear with a weight of {shape_of(weight)} takes inputs that "
                         f"end in {weight.shape[1]} and {weight.shape[2]}, not {shape_of(input1)} and "
                         f"{shape_of(input2)}")
    o, i, j = weight.shape
    halves = linear(input1, weight.transpose(1, 2).reshape(o * j, i)).reshape(*input1.shape[:-1], o, j)
    out = (halves @ input2.unsqueeze(-1)).squeeze(-1)
    return out if bias is None else out + bias


class Bilinear(Module):
    """A layer in which every output sees every product of two inputs.  (*, in1), (*, in2) -> (*, out)"""

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, device=None,
        dtype=None,
    ):
        super().__init__()
        if in1_features < 1: raise ValueError(f"a bilinear layer has one input or more, not {in1_features}")
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew, from -1/sqrt(in1_features) to 1/sqrt(in1_features)."""
        bound = 1 / math.sqrt(self.in1_features)
        for p in self.parameters(): p.data.uniform_(-bound, bound)

    def forward(self, input1, input2): return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
                f"out_features={self.out_features}, bias={self.bias is not None}")
