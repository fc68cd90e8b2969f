# Generated from modules/12_compression/appendix_sparse_rows.py by `tito export`. Edit that file, not this one.
"""Matrices of which only what is not zero is kept: compressed sparse rows."""

from __future__ import annotations

import numpy as np

from .dtypes import int32
from .layers import Module
from .receipts import no_gradient
from .tensor import Op, Tensor, as_array, method

__all__ = ["SLICE", "SparseCSR", "sparse_csr_tensor", "to_sparse_csr", "sparse_linear", "SparseLinear"]


SLICE = 2**15                       # so many products at a time


class SparseCSR:
    """A matrix kept as its rows of numbers that are not zero."""

    def __init__(self, crow_indices: Tensor, col_indices: Tensor, values: Tensor, size: tuple[int, int]):
        if len(crow_indices) != size[0] + 1 or crow_indices[-1].item() != len(values):
            raise RuntimeError(f"{size[0]} rows take {size[0] + 1} beginnings, of which the last is the "
                               f"number of values, {len(values)}")
        if len(col_indices) != len(values):
            raise RuntimeError(f"{len(values)} values have as many columns, not {len(col_indices)}")
        self.crow, self.col, self.kept, self.shape = crow_indices, col_indices, values, tuple(size)

    dtype = property(lambda self: self.kept.dtype)

    def crow_indices(self) -> Tensor: return self.crow
    def col_indices(self) -> Tensor: return self.col
    def values(self) -> Tensor: return self.kept
    def _nnz(self) -> int: return len(self.kept)

    def to_dense(self) -> Tensor:
        """All of the matrix, zeros included."""
        dense = np.zeros_like(self.kept.array, shape=self.shape)
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.crow.array))
        dense[rows, self.col.array] = self.kept.array
        return Tensor(dense)

    def __matmul__(self, other: Tensor) -> Tensor:
        """The product with a matrix or a vector.  (n, k), (k, m) -> (n, m)"""
        rows = other.reshape(1, -1) if other.ndim == 1 else other.mT
        out = sparse_linear(rows, self.crow, self.col, self.kept)
        return out.reshape(-1) if other.ndim == 1 else out.mT

    def __repr__(self):
        return f"SparseCSR(shape={self.shape}, nnz={self._nnz()}, dtype={self.dtype})"


def sparse_csr_tensor(crow_indices, col_indices, values, size=None, *, dtype=None) -> SparseCSR:
    """The matrix that these three lists describe."""
    crow, col = [int32.cast(as_array(x)) for x in (crow_indices, col_indices)]
    if size is None: size = len(crow) - 1, int(col.max()) + 1 if len(col) else 0
    return SparseCSR(Tensor(crow), Tensor(col), Tensor(as_array(values, dtype)), tuple(size))


@method
def to_sparse_csr(input: Tensor) -> SparseCSR:
    """The matrix without its zeros.  (n, k)"""
    if input.ndim != 2: raise RuntimeError(f"a matrix has 2 dimensions, rows and columns, not {input.ndim}")
    array = input.detach().array
    rows, columns = np.nonzero(array)
    crow = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(array)))])
    places = [Tensor(int32.cast(x)) for x in (crow, columns)]
    return SparseCSR(*places, Tensor(array[rows, columns]), array.shape)


@Op
def sparse_linear(input, crow, col, values, /):
    """Each row times each sparse row.  (M, K), (N + 1), (nnz), (nnz) -> (M, N)"""
    out = np.zeros_like(input, shape=(len(crow) - 1, len(input)))
    columns, full = np.ascontiguousarray(input.T), np.flatnonzero(crow[1:] > crow[:-1])
    step = max(1, SLICE * len(full) // max(len(input) * len(values), 1))
    for n in range(0, len(full), step):
        rows = full[n : n + step]
        some = slice(crow[rows[0]], crow[rows[-1] + 1])
        products = columns[col[some]] * values[some, None]
        out[rows] = np.add.reduceat(products, crow[rows] - some.start, axis=0)
    return out.T


no_gradient(sparse_linear)


class SparseLinear(Module):
    """A linear layer that keeps only the weights that are not zero.  (*, in) -> (*, out)"""

    def __init__(self, weight: SparseCSR, bias: Tensor | None = None):
        super().__init__()
        self.out_features, self.in_features = weight.shape
        narrow = np.int16 if self.in_features <= 2**15 else np.int32
        self.register_buffer("crow_indices", weight.crow_indices())
        self.register_buffer("col_indices", Tensor(weight.col_indices().array.astype(narrow)))
        self.register_buffer("values", weight.values())
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    @classmethod
    def from_float(cls, layer: Module):
        """The layer without the weights that are zero."""
        return cls(layer.weight.to_sparse_csr(), layer.bias).train(layer.training)

    def forward(self, input: Tensor) -> Tensor:
        rows = input.reshape(-1, self.in_features)
        out = sparse_linear(rows, self.crow_indices, self.col_indices, self.values)
        if self.bias is not None: out = out + self.bias
        return out.reshape(*input.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        share = len(self.values) / max(self.in_features * self.out_features, 1)
        return f"in_features={self.in_features}, out_features={self.out_features}, kept={share:.2f}"
