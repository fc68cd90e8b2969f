# %% [markdown]
# # Appendix: what fits, and what is added up
#
# The small print of the lesson: sums over rows, means of losses, and sentences for what does not fit.

# %%
#| export
"""Sums over rows, means of losses, and what is said when shapes, labels or words do not fit."""

# %%
#| export
from __future__ import annotations

import math
import warnings

import numpy as np

from tinytorch.devices import at_home
from tinytorch.errors import ShapeError, shape_of
from tinytorch.tensor import Tensor

# %% [markdown]
# ## Rows
#
# NumPy adds up each short row by itself, with a little ado. A product with ones gives the same sums, and
# matrix products are the one thing that all of a computer has been polished for. Where the largest number of
# a row stands, NumPy finds out in half the time that it takes to say which number it is. And when a product
# has few rows and a large weight, BLAS would rather have the weight on the left.

# %%
#| export
def row_sums(x, y=None):
    """The sum of each row, or of its products with another, which leaves a 1 behind.

    (*, n), (*, n) -> (*, 1)
    """
    if y is None: return (x @ np.ones_like(x, shape=x.shape[-1:]))[..., None]
    return np.einsum("...i,...i->...", x, y)[..., None]


def row_max(x):
    """The largest number of each row, which leaves a 1 behind; -inf of none.  (*, n) -> (*, 1)"""
    if x.shape[-1] == 0: return np.full_like(x, -math.inf, shape=(*x.shape[:-1], 1))
    return np.take_along_axis(x, x.argmax(-1, keepdims=True), -1)


def rows_times(rows, weight):
    """Each row with each row of the weight.  (n, i), (o, i) -> (n, o)"""
    if len(rows) >= len(weight): return rows @ weight.T
    return (weight @ rows.T).T.copy()


def as_rows(x, last: int):
    """The last dimensions as one; small floats get room to add up.  (*, *last) -> (*, n)"""
    rows = x.reshape(*x.shape[: x.ndim - last], math.prod(x.shape[x.ndim - last :]))
    return rows.astype(np.float32) if x.dtype.itemsize < 4 else rows

# %% [markdown]
# ## Losses
#
# Losses come one for each example; the reduction says what becomes of them.

# %%
#| export
def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of losses, or, with "none", all of them.  (*) -> () or (*)"""
    if reduction == "mean": return losses.mean()
    if reduction == "sum": return losses.sum()
    if reduction != "none":
        raise ValueError(f"{reduction!r} is no reduction: there are 'mean', 'sum' and 'none'")
    return losses


def weighed(losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """As `reduced`, where some losses count more than others.  (*), (*) -> () or (*)"""
    if weight is None: return reduced(losses, reduction)
    if weight.shape != losses.shape:
        raise ShapeError(f"losses of {shape_of(losses)} take weights of this shape, not {shape_of(weight)}")
    if reduction == "mean": return (losses * weight).sum() / weight.sum()
    return reduced(losses * weight, reduction)


def same_shape(input: Tensor, target: Tensor) -> None:
    """A warning when answers and targets broadcast, which is hardly ever meant."""
    if input.shape != target.shape:
        warnings.warn(f"answers of shape {shape_of(input)} meet targets of shape {shape_of(target)}, and "
                      "broadcast: each answer is held against several targets. Is that meant?", stacklevel=3)


def labels_of(input, target, ignore_index: int):
    """Where the classes are, the labels as places along it, and which of them to ignore."""
    dim = 1 if input.ndim > 1 else 0
    if input.ndim == 0 or target.shape != input.shape[:dim] + input.shape[dim + 1:]:
        raise ShapeError(f"scores of shape {shape_of(input)} have their classes in dimension {dim}: "
                         f"labels come without it, not as {shape_of(target)}")
    if target.dtype.kind not in "iu": raise RuntimeError(f"labels are whole numbers, not {target.dtype}")
    ignored = target == ignore_index
    one_class = target.shape[:dim] + (1,) + target.shape[dim:]
    places = (target * ~ignored).reshape(one_class)
    if at_home(places) and places.size and not 0 <= places.min() <= places.max() < input.shape[dim]:
        raise IndexError(f"labels from {places.min()} to {places.max()} do not fit {input.shape[dim]} "
                         f"classes: these are 0 to {input.shape[dim] - 1}")
    return dim, places, ignored.reshape(one_class)

# %% [markdown]
# ## Shapes and chances

# %%
#| export
def ends_in(name: str, input: Tensor, shape, *scales) -> int:
    """How many dimensions `shape` has, once the input is known to end in it, and the scales to be of it."""
    shape = tuple(shape)
    if not shape: raise RuntimeError(f"{name} wants a shape of one dimension or more, not ()")
    if not input.is_floating_point(): raise RuntimeError(f"{name} wants floats, not {input.dtype}")
    if input.shape[-len(shape):] != shape:
        raise ShapeError(f"{name} over {shape} takes inputs that end in this shape, not {shape_of(input)}")
    for scale in scales:
        if scale is not None and scale.shape != shape:
            raise ShapeError(f"{name} over {shape} takes scales of this shape, not {shape_of(scale)}")
    return len(shape)


def as_shape(shape) -> tuple[int, ...]: return (shape,) if isinstance(shape, int) else tuple(shape)


def check_probability(p: float) -> None:
    if not 0 <= p <= 1: raise ValueError(f"dropout leaves out with a probability from 0 to 1, not {p}")
