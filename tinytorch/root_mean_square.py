# Generated from modules/05_dense/appendix_root_mean_square.py by `tito export`. Edit that file, not this one.
"""RMSNorm: the norm of large language models."""

from __future__ import annotations

import math

import numpy as np

from .creation import ones
from .dtypes import finfo
from .fitting import as_rows, as_shape, ends_in, row_sums
from .layers import Module, Parameter
from .tensor import Kept, Op, Tensor

__all__ = ["rescale", "rms_norm", "RMSNorm"]


@Op
def rescale(input, weight=None, /, last=1, eps=1e-5):
    """The last `last` dimensions scaled to a mean square of 1, then by weight.  (*) -> (*)"""
    rows, n = as_rows(input, last), math.prod(input.shape[input.ndim - last :])
    scale = 1 / np.sqrt(row_sums(rows, rows) / n + eps)
    out = rows * scale
    if weight is not None: out *= weight.reshape(-1)
    return Kept(out.reshape(input.shape).astype(input.dtype, copy=False), scale)


def rms_norm(input: Tensor, normalized_shape, weight=None, eps: float | None = None) -> Tensor:
    """Each example scaled to a mean square of 1, over its last dimensions.  (*, shape) -> (*, shape)"""
    dims = ends_in("rms_norm", input, normalized_shape, weight)
    return rescale(input, weight, dims, finfo(input.dtype).eps if eps is None else eps)


class RMSNorm(Module):
    """Scales each example to a mean square of 1, then to where training wants it.

    (*, shape) -> (*, shape)
    """

    def __init__(
        self, normalized_shape, eps: float | None = None, elementwise_affine: bool = True, device=None,
        dtype=None,
    ):
        super().__init__()
        self.normalized_shape = as_shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = ones(self.normalized_shape, device=device, dtype=dtype)
        self.weight = Parameter(weight) if elementwise_affine else None

    def reset_parameters(self) -> None:
        """Weights of 1, which change nothing."""
        if self.weight is not None: self.weight.data.fill_(1)

    def forward(self, x): return rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
