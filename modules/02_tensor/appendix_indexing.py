# %% [markdown]
# # Appendix: picking, placing, ordering
#
# `x[index]` reaches most of what people want. This appendix has the rest: picking numbers along one
# dimension, putting numbers back where several of them may meet, and the ops that sort.

# %%
#| export
"""Picking numbers by their places, placing them, and putting them in order."""

# %%
#| export
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinytorch.devices import at_home, beside, done_at_home
from tinytorch.dtypes import dtype_of
from tinytorch.errors import ShapeError, shape_of
from tinytorch.indices import numbers_first, plain_index
from tinytorch.methods import method
from tinytorch.shaping import along, place
from tinytorch.tensor import Op, Tensor, tensor

# %% [markdown]
# ## The address of a number
#
# `x.gather(1, index)` picks from each row of `x` the columns that the same row of `index` names. So the
# entry of `index` at row 5 stands for the address (5, entry). Most of this appendix is this one idea:
# complete an index along one dimension to full **addresses**, and let the array library pick or place by
# them.

# %%
#| export
def addresses(index, dim: int, shape: tuple[int, ...], lengths: tuple[int, ...] | None = None) -> tuple:
    """The full address of each entry: `index` says it along `dim`, its own place along the others.

    An index that broadcasts to `lengths` stands for an index of that shape.
    """
    lengths = index.shape or (1,) if lengths is None else lengths
    shape, dim = shape or (1,), place(dim, len(shape))
    if len(lengths) != len(shape) or any([n > m for d, (n, m) in enumerate(zip(lengths, shape)) if d != dim]):
        raise ShapeError(f"an index of shape {tuple(lengths)} does not fit along dim {dim} of shape {shape}")
    return tuple([bounded(index, shape[d]) if d == dim else
                  np.arange(n, like=index).reshape((-1,) + (1,) * (len(lengths) - d - 1))
                  for d, n in enumerate(lengths)])


def bounded(index, length: int):
    """The index, once it is known to name places from 0 to length - 1."""
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"an index is made of whole numbers, not of {dtype_of(index)}")
    if at_home(index) and index.size and not 0 <= index.min() <= index.max() < length:     # a GPU would stop
        wrong = index.min() if index.min() < 0 else index.max()
        raise OutOfBounds(f"index {wrong} is out of bounds: there are {length} places, counted from 0")
    return index


def same_kind(source, target) -> None:
    """Complains about numbers of a dtype that the target does not have."""
    if source.dtype != target.dtype:
        raise RuntimeError(f"{dtype_of(source)} does not go into a tensor of {dtype_of(target)}: use .to()")


class OutOfBounds(IndexError, RuntimeError):
    """A place that does not exist; PyTorch raises one of the two, depending on the op, and this is both."""

# %% [markdown]
# PyTorch writes the dim of these ops behind the first tensor: `gather(x, 1, index)`. Our ops have their
# arrays first, so these are a sort of op of their own, and only the call differs.

# %%
#| export
class dim_second(Op):
    """An op that is called with the dim behind its first array."""

    def __call__(self, *args, **settings):
        if len(args) > 1: args, settings = args[:1] + args[2:], settings | {"dim": args[1]}
        if "value" in settings and "src" in self.inputs: settings["src"] = settings.pop("value")
        return super().__call__(*args, **settings)

# %%
#| export
@dim_second
def gather(input, index, /, *, dim, sparse_grad=False):
    """The numbers at the places that an index names along `dim`.  (*, n, *), (*, k, *) -> (*, k, *)"""
    return np.atleast_1d(input)[addresses(index, dim, input.shape)]


@dim_second
def index_select(input, index, /, *, dim):
    """The slices of `dim` that a line of places names.  (*, n, *), (k) -> (*, k, *)"""
    line = np.atleast_1d(vector(index, input.shape[place(dim, input.ndim)] if input.ndim else 1))
    return np.take(input, line, axis=dim) if input.ndim else input


@Op
def take(input, index, /):
    """The numbers at places counted along the whole line; below 0 from its end.  (*), (k*) -> (k*)"""
    return np.take(input, index)


@Op
def take_along_dim(input, indices, /, dim=None):
    """Like gather, with broadcasting, and with places below 0.  (*, n, *), (*, k, *) -> (*, k, *)"""
    if dim is None: return np.take(input, indices.reshape(-1))
    if input.ndim != indices.ndim:
        raise ShapeError(f"take_along_dim cannot take {shape_of(input)} along {shape_of(indices)}: "
                         "both need as many dimensions")
    return np.take_along_axis(input, indices, dim)


def vector(index, length: int):
    """The index, once it is known to be a line of places from 0 to length - 1."""
    if index.ndim > 1: raise OutOfBounds(f"the index must be a line of places, not {shape_of(index)}")
    return bounded(index, length)

# %% [markdown]
# What do you think: `gather` along dim 1 with `[[3, 0], [2, 2]]` picks how many numbers of each row?

# %%
x = tensor([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]])
x.gather(1, tensor([[3, 0], [2, 2]]))

# %% [markdown]
# ## Putting back
#
# `scatter` writes where `gather` would read. When several numbers are sent to the same place, the last one
# wins; `scatter_add` adds them up instead, and `scatter_reduce` does so with another rule. Adding up where
# places repeat is what the gradient of every picking will need, so it should be quick: `ufunc.at` on a
# plain line of places takes NumPy two nanoseconds a number. (On several dimensions it takes ten times
# that.)

# %%
#| export
def combine(ufunc, array, where: tuple, values) -> None:
    """Takes each of the values into the place of `array` that it is sent to, one after the other."""
    places = np.ravel_multi_index(where, array.shape)
    values = np.broadcast_to(beside(values, array), places.shape)
    meet(ufunc, array.reshape(-1), places.reshape(-1), values.reshape(-1))


ATOMIC = (np.add, np.maximum, np.minimum)       # what the processors of a GPU can do to one float at once


def meet(ufunc, array, index, values) -> None:
    """`ufunc.at(array, index, values)`, in place; at home, where a GPU has no such thing."""
    def met(array, index, values):
        ufunc.at(array, index, values)
        return array
    if at_home(array) or (ufunc in ATOMIC and array.dtype.char in "fd"): met(array, index, values)
    else: array[...] = done_at_home(met, array, index, values)


def sent(src, index, like):
    """The part of `src` that an index sends somewhere; a number is sent as it is."""
    if not hasattr(src, "dtype"): return src
    same_kind(src, like)
    if src.ndim != index.ndim or any([n > m for n, m in zip(index.shape, src.shape)]):
        raise ShapeError(f"an index of shape {shape_of(index)} is more than numbers of {shape_of(src)}")
    return src[tuple([slice(n) for n in index.shape])]

# %%
#| export
@dim_second
def scatter(input, index, src, /, *, dim, reduce=None):
    """Numbers (or one) written where an index sends them.  (*, n, *), (*, k, *), (*, k, *) -> (*, n, *)"""
    if reduce is not None: return reduced(input, index, src, dim, {"add": "sum", "multiply": "prod"}[reduce])
    out = input.copy()
    np.atleast_1d(out)[addresses(index, dim, out.shape)] = sent(src, index, out)
    return out


@dim_second
def scatter_add(input, index, src, /, *, dim):
    """Numbers added where an index sends them.  (*, n, *), (*, k, *), (*, k, *) -> (*, n, *)"""
    return reduced(input, index, src, dim, "sum")


@dim_second
def scatter_reduce(input, index, src, /, reduce, *, dim, include_self=True):
    """The sum, prod, mean, amax or amin of what meets.  (*, n, *), (*, k, *), (*, k, *) -> (*, n, *)

    Without include_self, what was there before has no say in places that numbers are sent to.
    """
    return reduced(input, index, src, dim, reduce, include_self)

# %%
#| export
MEETING = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}
NEUTRAL = {"sum": 0, "mean": 0, "prod": 1}      # a maximum needs none: it may meet a number twice


def reduced(input, index, src, dim, reduce, include_self=True):
    """The body of every scatter in which numbers meet."""
    if reduce not in MEETING: raise RuntimeError(f"numbers meet in {', '.join(MEETING)}, not in {reduce!r}")
    out = input.copy()
    where, values, line = addresses(index, dim, out.shape), sent(src, index, out), np.atleast_1d(out)
    if not include_self: line[where] = NEUTRAL.get(reduce, values)
    combine(MEETING[reduce], line, where, values)
    return shared_out(out, where, include_self) if reduce == "mean" else out


def shared_out(total, where, include_self):
    """Sums divided by how many numbers met in each."""
    met = np.full_like(np.atleast_1d(total), include_self, dtype=np.int64)
    combine(np.add, met, where, 1)
    met = np.maximum(met, 1).reshape(total.shape)
    return total // met if total.dtype.kind in "iu" else (total / met).astype(total.dtype)

# %%
counts = tensor([0.0, 0.0, 0.0])
counts.scatter_add(0, tensor([0, 2, 2, 2]), tensor([1.0, 1.0, 1.0, 1.0]))

# %% [markdown]
# The `index_` family moves whole slices: one place names a row, a column, a page.

# %%
#| export
@dim_second
def index_add(input, index, source, /, *, dim, alpha=1):
    """Slices of `source` added at the places named.  (*, n, *), (k), (*, k, *) -> (*, n, *)"""
    out, dim = input.copy(), place(dim, input.ndim)
    line = slices(out, index, source, dim)
    column = line.reshape((-1,) + (1,) * (out.ndim - dim - 1))
    where = addresses(column, dim, out.shape, source.shape or (1,))
    combine(np.add, np.atleast_1d(out), where, source if alpha == 1 else source * alpha)
    return out


@dim_second
def index_copy(input, index, source, /, *, dim):
    """Slices of `source` written at the places named.  (*, n, *), (k), (*, k, *) -> (*, n, *)"""
    out, dim = input.copy(), place(dim, input.ndim)
    np.atleast_1d(out)[along(dim, slices(out, index, source, dim))] = source
    return out


@dim_second
def index_fill(input, index, value, /, *, dim):
    """One number written over the slices named, from the end below 0.  (*, n, *), (k) -> (*, n, *)"""
    if getattr(value, "ndim", 0): raise ShapeError(f"index_fill writes one number, not {shape_of(value)}")
    out = input.copy()
    np.atleast_1d(out)[along(place(dim, out.ndim), index)] = value
    return out


@method
def index_reduce(input, dim, index, source, reduce, *, include_self=True):
    """The prod, mean, amax or amin of the slices that meet.  (*, n, *), (k), (*, k, *) -> (*, n, *)"""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"slices meet in prod, mean, amax or amin, not in {reduce!r}")
    at = place(dim, input.ndim)
    slices(input.array, index.array, source.array, at)
    one_each = index.reshape([-1 if d == at else 1 for d in range(input.ndim)])
    return scatter_reduce(input, at, one_each.expand(source.shape), source, reduce, include_self=include_self)


def slices(out, index, source, dim):
    """The line of places, once `source` is known to hold one slice for each."""
    same_kind(source, out)
    line = np.atleast_1d(vector(index, (out.shape or (1,))[dim]))
    wanted = out.shape[:dim] + line.shape + out.shape[dim + 1 :]
    if (source.shape or (1,)) != wanted:
        raise ShapeError(f"{line.size} places along dim {dim} want {wanted}, not {shape_of(source)}")
    return line

# %%
#| export
def unravel_index(indices, shape) -> tuple[Tensor, ...]:
    """Places along the whole line, as an index for each dimension of a shape."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    try: return tuple([Tensor(where) for where in np.unravel_index(indices.array, shape)])
    except ValueError as error: raise ValueError(f"unravel_index into {shape}: {error}") from None

# %% [markdown]
# `index_put` is `x[index] = values` that leaves `x` alone; with `accumulate=True` the values add up, which
# `x[index] += values` does not do when places repeat. (Why not? It reads all, adds all, then writes all.)

# %%
#| export
@Op
def put_index(input, values, /, index, accumulate=False):
    """`values` written, or added, where `input[index]` is.  (*), (k*) -> (*)"""
    out = input.copy()
    part, index = numbers_first(out, index)
    if accumulate: meet(np.add, part, index, values)
    else: part[index] = values
    return out


@method
def index_put(input, indices, values, accumulate=False):
    """`values` written, or added, where `input[indices]` is.  (*), (k*) -> (*)"""
    return put_index(input, values, plain_index(tuple(indices)), accumulate)


@Op
def put(input, index, source, /, accumulate=False):
    """Numbers written, or added, at places counted along the whole line.  (*), (k), (k) -> (*)"""
    if index.size != source.size: raise OutOfBounds(f"{index.size} places for {source.size} numbers")
    same_kind(source, input)
    out = input.copy()
    if accumulate: meet(np.add, out.reshape(-1), index.reshape(-1), source.reshape(-1))
    else: out.reshape(-1)[index.reshape(-1)] = source.reshape(-1)
    return out

# %% [markdown]
# ## By a mask
#
# A mask answers for every number whether it is meant. How many are meant is known only at run time: such
# ops have outputs whose shape depends on values, and compilers fear them.

# %%
#| export
@Op
def masked_select(input, mask, /):
    """The numbers where the mask is True, in a line.  (*), (*) -> (k)"""
    input, mask = np.broadcast_arrays(input, truth(mask))
    return input[mask]


@Op
def masked_scatter(input, mask, source, /):
    """The numbers of `source` in turn, written where the mask is True.  (*), (*), (k*) -> (*)"""
    same_kind(source, input)
    input, mask = np.broadcast_arrays(input, truth(mask))
    out, meant = input.copy(), int(mask.sum())
    if meant > source.size: raise ShapeError(f"the mask is True {meant} times for {source.size} numbers")
    out[mask] = source.reshape(-1)[:meant]
    return out


def truth(mask):
    if mask.dtype.kind != "b": raise RuntimeError(f"a mask is made of bools, not of {dtype_of(mask)}")
    return mask

# %%
#| export
@Op
def nonzero(input, /, *, as_tuple=False):
    """The addresses of what is not zero: a table, or a tensor for each dimension.  (*) -> (k, dims)"""
    return np.nonzero(np.atleast_1d(input)) if as_tuple else np.argwhere(input)


@Op
def argwhere(input, /):
    """The addresses of all numbers that are not zero, as rows of a table.  (*) -> (k, dims)"""
    return np.argwhere(input)


@Op
def isin(elements, test_elements, /, *, assume_unique=False, invert=False):
    """Where the numbers are among the others.  (*), (k*) -> (*) bool"""
    if not hasattr(test_elements, "dtype"): return (elements == test_elements) != invert
    if not hasattr(elements, "dtype"): return (test_elements == elements).any() != invert
    return np.isin(elements, test_elements, assume_unique=assume_unique, invert=invert)

# %% [markdown]
# ## In order
#
# Sorting returns two tensors: the values, and the place each one came from. Equal numbers keep their order,
# and nan counts as the largest of all. Going down is going up through the flipped line, read backwards: so
# equal numbers keep their order that way too.

# %%
#| export
class Ranked(NamedTuple):
    """Numbers in some order, and the places they came from."""

    values: Tensor
    indices: Tensor


def order(input, dim: int, descending: bool):
    """The places of the numbers, from the smallest to the largest, or the other way round."""
    if input.ndim == 0: return np.argsort(input, axis=None).reshape(())
    if not descending: return np.argsort(input, axis=dim, kind="stable")
    return input.shape[dim] - 1 - np.flip(np.argsort(np.flip(input, dim), axis=dim, kind="stable"), dim)


def ranked(input, places, dim: int) -> Ranked:
    return Ranked(np.take_along_axis(input, places, dim) if input.ndim else input, places)

# %%
#| export
@Op
def sort(input, /, dim=-1, descending=False, stable=False):
    """The numbers in order along `dim`, and where each came from.  (*) -> (*), (*)"""
    return ranked(input, order(input, place(dim, input.ndim), descending), dim)


@Op
def argsort(input, /, dim=-1, descending=False, stable=False):
    """The places of the numbers in order: `x.gather(dim, x.argsort(dim))` is sorted.  (*) -> (*)"""
    return order(input, place(dim, input.ndim), descending)


@method
def msort(input):
    """The numbers in order along the first dimension.  (*) -> (*)"""
    return sort(input, 0).values

# %% [markdown]
# Who wants only the best few need not sort the rest: `argpartition` splits the numbers at the k-th in
# linear time, and only its side is sorted.

# %%
#| export
@Op
def topk(input, /, k, dim=-1, largest=True, sorted=True):
    """The k largest (or smallest) along `dim` in order, and their places.  (*, n) -> (*, k), (*, k)"""
    dim, n = place(dim, input.ndim), (input.shape or (1,))[dim]
    if not 0 <= k <= n: raise RuntimeError(f"topk cannot give {k} of {n} numbers")
    if input.ndim == 0: return Ranked(input, order(input, dim, largest))
    middle = min(n - k, n - 1) if largest else max(k - 1, 0)
    split = np.argpartition(input, middle, axis=dim) if n else order(input, dim, largest)
    best = split[along(dim, slice(n - k, n) if largest else slice(k))]
    found = np.take_along_axis(input, best, dim)
    return ranked(input, np.take_along_axis(best, order(found, dim, largest), dim), dim)


@Op
def kthvalue(input, /, k, dim=-1, keepdim=False):
    """The k-th smallest number along `dim`, counted from 1, and where it is.  (*, n) -> (*), (*)"""
    dim, n = place(dim, input.ndim), (input.shape or (1,))[dim]
    if not 1 <= k <= n: raise RuntimeError(f"kthvalue cannot give number {k} of {n}: it counts from 1")
    if input.ndim == 0: return Ranked(input, order(input, dim, False))
    found = ranked(input, np.argpartition(input, k - 1, axis=dim)[along(dim, slice(k - 1, k))], dim)
    return found if keepdim else Ranked(*[part.squeeze(dim) for part in found])

# %% [markdown]
# In numbers that are in order already, a place is found by halving: 20 looks for a million.

# %%
#| export
@Op
def bisect(sorted_sequence, input, /, side="left", out_int32=False):
    """How many numbers of a line in order come before each of the others.  (*, n), (*, k) -> (*, k)"""
    kind = np.int32 if out_int32 else np.int64
    if sorted_sequence.ndim == 1: return np.searchsorted(sorted_sequence, input, side).astype(kind)
    if sorted_sequence.shape[:-1] != input.shape[:-1]:
        raise ShapeError(f"lines in order of shape {shape_of(sorted_sequence)} do not fit {shape_of(input)}: "
                         "all dimensions but the last must agree")
    out = np.empty_like(input, dtype=kind)
    for row in np.ndindex(input.shape[:-1]):
        out[row] = np.searchsorted(sorted_sequence[row], input[row], side)
    return out


@method
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """Where numbers go into lines in order; left of equal ones, or `right`.  (*, n), (*, k) -> (*, k)"""
    if side == "left" and right: raise RuntimeError("searchsorted was asked for side='left' and right=True")
    if sorter is not None: sorted_sequence = gather(sorted_sequence, -1, sorter)
    values = input if isinstance(input, Tensor) else tensor(input)
    return bisect(sorted_sequence, values, "right" if right else side or "left", out_int32)


@method
def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The bucket of each number, between boundaries in order.  (*), (n) -> (*)"""
    if boundaries.ndim != 1: raise ShapeError(f"boundaries are a line, not of shape {shape_of(boundaries)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)

# %%
x = tensor([3.0, 1.0, 2.0])
x.sort(), x.topk(2), bucketize(x, tensor([0.5, 1.5, 2.5]))
