# Generated from modules/07_attention/appendix_embeddings.py by `tito export`. Edit that file, not this one.
"""Tables of rows, and texts as the sum, mean or maximum of the rows of their words."""

from __future__ import annotations

import numpy as np

from .creation import arange, ones
from .devices import at_home, done_at_home
from .errors import shape_of
from .layers import Module, Parameter
from .tensor import METHODS, Op, Tensor, reshape

__all__ = [
    "embedding", "shorten", "Embedding", "table_repr", "MODES", "bags", "embedding_bag", "starts_of",
    "EmbeddingBag",
]


def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False,
) -> Tensor:
    """The rows of a table that some ids ask for.  (*), (n, width) -> (*, width)"""
    rows = weight.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"padding_idx {padding_idx} is none of {rows} rows")
        padding_idx %= rows
    if max_norm is not None: shorten(weight, input, max_norm, norm_type)
    return METHODS["look_up"](input, weight, padding_idx, scale_grad_by_freq)


def shorten(weight: Tensor, ids: Tensor, max_norm: float, norm_type: float = 2.0) -> None:
    """Scales rows of a table that are longer than max_norm down to it, in the table."""
    asked = np.unique(ids.array)
    rows = METHODS["look_up"](Tensor(asked), weight.data)
    length = np.linalg.norm(rows.array, norm_type, axis=1, keepdims=True)
    short = np.where(length > max_norm, rows.array * (max_norm / (length + 1e-7)), rows.array)
    weight.data[asked] = short.astype(rows.array.dtype)


class Embedding(Module):
    """A table with a row of numbers for each of `num_embeddings` ids.  (*) -> (*, embedding_dim)"""

    def __init__(
        self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0,
        scale_grad_by_freq=False, sparse=False, _weight=None, _freeze=False, device=None, dtype=None,
    ):
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise AssertionError(f"padding_idx {padding_idx} is none of {num_embeddings} rows")
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        if _weight is not None and tuple(_weight.shape) != (num_embeddings, embedding_dim):
            raise AssertionError(f"a table of shape {shape_of(_weight)} is not {num_embeddings} rows "
                                 f"of {embedding_dim}")
        fresh = _weight is None
        weight = ones(num_embeddings, embedding_dim, device=device, dtype=dtype) if fresh else _weight
        self.weight = Parameter(weight, requires_grad=not _freeze)
        if fresh: self.reset_parameters()

    def reset_parameters(self) -> None:
        self.weight.data.normal_()
        if self.padding_idx is not None: self.weight.data[self.padding_idx] = 0.0

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, padding_idx=None, max_norm=None, norm_type=2.0,
        scale_grad_by_freq=False, sparse=False,
    ):
        """An Embedding around rows that are known already."""
        if embeddings.ndim != 2: raise AssertionError(f"a table has 2 dimensions, not {shape_of(embeddings)}")
        return cls(*embeddings.shape, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
                   _weight=embeddings, _freeze=freeze)

    def forward(self, input):
        return embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
                         self.scale_grad_by_freq, self.sparse)

    def extra_repr(self) -> str: return table_repr(self)


def table_repr(table) -> str:
    """What an embedding says of itself: what is not as usual."""
    usual = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
    text = f"{table.num_embeddings}, {table.embedding_dim}"
    for name, value in usual.items():
        if getattr(table, name) != value: text += f", {name}={getattr(table, name)}"
    return text + (", sparse=True" if table.sparse else "")


MODES = ("sum", "mean", "max")


@Op
def bags(input, weight, offsets, per_sample_weights=None, /, *, mode="mean", padding_idx=None,
         scale_grad_by_freq=False):
    """The rows of the ids of each bag in one.  (N), (n, width), (bags), (N) -> (bags, width)"""
    if input.dtype.kind != "i": raise RuntimeError(f"ids are whole numbers, not {input.dtype}")
    if at_home(input) and input.size and not 0 <= input.min() <= input.max() < len(weight):
        raise RuntimeError(f"ids from {input.min()} to {input.max()} do not all have one of "
                           f"{len(weight)} rows")
    rows, lengths = weight[input], np.diff(offsets, append=len(input))
    if per_sample_weights is not None: rows *= per_sample_weights[:, None]
    if padding_idx is not None:
        there = input != padding_idx
        counted = np.concatenate([[0], np.cumsum(there)])
        rows, lengths = rows[there], counted[offsets + lengths] - counted[offsets]
    out, full = np.zeros_like(rows, shape=(len(lengths), rows.shape[1])), lengths > 0
    if not full.any(): return out
    starts = (np.cumsum(lengths) - lengths)[full]
    if mode == "max": out[full] = done_at_home(np.maximum.reduceat, rows, starts)
    else: out[full] = np.add.reduceat(rows, starts)
    if mode == "mean": out /= np.maximum(lengths, 1)[:, None].astype(out.dtype)
    return out


def embedding_bag(
    input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean",
    sparse=False, per_sample_weights=None, include_last_offset=False, padding_idx=None,
) -> Tensor:
    """The rows of the ids of each bag in one.  (B, L) or (N), (n, width), (B) -> (B, width)"""
    if mode not in MODES: raise ValueError(f"embedding_bag knows the modes {', '.join(MODES)}, not {mode!r}")
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(f"per_sample_weights are for mode='sum', not for {mode!r}")
        if per_sample_weights.shape != input.shape:
            raise ValueError(f"{shape_of(input)} ids want as many per_sample_weights, "
                             f"not {shape_of(per_sample_weights)}")
        per_sample_weights = reshape(per_sample_weights, -1)
    offsets = starts_of(input, offsets)
    if include_last_offset: offsets = offsets[:-1]
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"padding_idx {padding_idx} is none of {rows} rows")
        padding_idx %= rows
    if max_norm is not None: shorten(weight, input, max_norm, norm_type)
    return bags(reshape(input, -1), weight, offsets, per_sample_weights, mode=mode, padding_idx=padding_idx,
                scale_grad_by_freq=scale_grad_by_freq)


def starts_of(input: Tensor, offsets: Tensor | None) -> Tensor:
    """Where each bag begins in the line of all ids: as given, or every L ids."""
    if input.ndim == 2:
        if offsets is not None: raise ValueError(f"ids {shape_of(input)} are bags already: leave offsets out")
        return arange(input.shape[0]) * input.shape[1]
    if input.ndim != 1: raise ValueError(f"bags come as ids of 1 or 2 dimensions, not {shape_of(input)}")
    if offsets is None: raise ValueError("a line of ids wants offsets: where does each bag begin?")
    if offsets.ndim != 1: raise ValueError(f"offsets have 1 dimension, not {shape_of(offsets)}")
    if offsets.array.size and offsets.array[0] != 0:
        raise RuntimeError(f"the first bag begins at 0, not at {offsets.array[0]}")
    if offsets.array.size and offsets.array[-1] > len(input):
        raise RuntimeError(f"the last bag begins at {offsets.array[-1]}, and there are {len(input)} ids")
    return offsets


class EmbeddingBag(Module):
    """A table that gives a bag of ids as one row.  (B, L) or (N) and offsets (B) -> (B, embedding_dim)"""

    def __init__(
        self, num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        mode="mean", sparse=False, _weight=None, include_last_offset=False, padding_idx=None,
        device=None, dtype=None,
    ):
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise AssertionError(f"padding_idx {padding_idx} is none of {num_embeddings} rows")
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % num_embeddings
        self.mode, self.sparse, self.include_last_offset = mode, sparse, include_last_offset
        if _weight is not None and tuple(_weight.shape) != (num_embeddings, embedding_dim):
            raise AssertionError(f"a table of shape {shape_of(_weight)} is not {num_embeddings} rows "
                                 f"of {embedding_dim}")
        fresh = _weight is None
        weight = ones(num_embeddings, embedding_dim, device=device, dtype=dtype) if fresh else _weight
        self.weight = Parameter(weight)
        if fresh: self.reset_parameters()

    def reset_parameters(self) -> None:
        self.weight.data.normal_()
        if self.padding_idx is not None: self.weight.data[self.padding_idx] = 0.0

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean",
        sparse=False, include_last_offset=False, padding_idx=None,
    ):
        """An EmbeddingBag around rows that are known already."""
        if embeddings.ndim != 2: raise AssertionError(f"a table has 2 dimensions, not {shape_of(embeddings)}")
        bag = cls(*embeddings.shape, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings,
                  include_last_offset, padding_idx)
        bag.weight.requires_grad = not freeze
        return bag

    def forward(self, input, offsets=None, per_sample_weights=None):
        return embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode,
            self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx)

    def extra_repr(self) -> str:
        text = table_repr(self).replace(", sparse=True", "").replace(f", padding_idx={self.padding_idx}", "")
        text += f", mode={self.mode!r}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"
