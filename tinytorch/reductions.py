# Generated from modules/02_tensor/appendix_reductions.py by `tito export`. Edit that file, not this one.
"""Many numbers into fewer: products, extremes, spreads, running totals, middles, counts."""

from __future__ import annotations

import math
from functools import wraps
from typing import NamedTuple

import numpy as np

from .devices import at_home, done_at_home
from .dtypes import as_dtype, dtype_of, int64
from .elementwise import clamp, lerp, logical_xor, maximum, minimum
from .errors import ShapeError, shape_of
from .indexing import OutOfBounds, Ranked, gather, sort
from .linalg import matrix_norm, vector_norm
from .methods import into, method
from .shaping import along, cat, diagonal, movedim, narrow, place, places, ravel, unsqueeze
from .tensor import (
    ALIASES, Op, Tensor, axes, floating, matmul, mean, mul, reshape, sqrt, sub, sum_, true_divide, var,
)

__all__ = [
    "reduction", "at_least_one", "prod", "amax", "amin", "argmax", "argmin", "looked_up", "line_of",
    "max_along", "min_along", "max_", "min_", "Extremes", "aminmax", "all_", "any_", "answered",
    "count_nonzero", "std", "var_mean", "std_mean", "norm", "dist", "largest", "logsumexp", "running_kind",
    "cumsum", "cumprod", "logcumsumexp", "cummax", "cummin", "running", "record", "diff", "slices_under",
    "trapezoid", "cumulative_trapezoid", "trapz", "median_along", "median", "nanmedian", "ROUNDED",
    "quantile", "nanquantile", "between_places", "wanted_shares", "places_of", "kept_shape", "mode", "nansum",
    "nanmean", "unique", "unique_consecutive", "told", "bincount", "histc", "Histogram", "histogram", "cov",
    "corrcoef",
]


def reduction(program):
    """Makes a program a method that also takes axis= for dim= and keepdims= for keepdim=."""
    @wraps(program)
    def call(input, *args, **settings):
        return program(input, *args, **{ALIASES.get(word, word): value for word, value in settings.items()})
    return method(call)


def at_least_one(input, dim) -> None:
    """An error if there is no number to choose from."""
    dims = range(input.ndim) if axes(dim) is None else places(dim, input.ndim)
    if input.ndim and any([input.shape[d] == 0 for d in dims]):
        raise OutOfBounds(f"shape {input.shape} has no number to choose along dim {dim}")


@Op
def prod(input, /, dim=None, keepdim=False, *, dtype=None):
    """The product over `dim`; whole numbers multiply in int64.  (*) -> (*)"""
    if dtype is None and not dtype_of(input).is_floating_point: dtype = int64
    return input.prod(axis=dim, keepdims=keepdim, dtype=None if dtype is None else as_dtype(dtype).numpy)


@Op
def amax(input, /, dim=(), keepdim=False):
    """The largest number over `dim`; nan if there is one.  (*) -> (*)"""
    at_least_one(input, dim)
    return input.max(axis=axes(dim), keepdims=keepdim)


@Op
def amin(input, /, dim=(), keepdim=False):
    """The smallest number over `dim`; nan if there is one.  (*) -> (*)"""
    at_least_one(input, dim)
    return input.min(axis=axes(dim), keepdims=keepdim)


@Op
def argmax(input, /, dim=None, keepdim=False):
    """The place of the largest number, the first if there are several.  (*) -> (*) int64"""
    at_least_one(input, dim)
    return np.argmax(input, axis=dim, keepdims=keepdim)


@Op
def argmin(input, /, dim=None, keepdim=False):
    """The place of the smallest number, the first if there are several.  (*) -> (*) int64"""
    at_least_one(input, dim)
    return np.argmin(input, axis=dim, keepdims=keepdim)


def looked_up(input, indices, dim: int, keepdim: bool) -> Ranked:
    """The numbers at those places along `dim`, where `indices` has length 1, and the places."""
    found = Ranked(np.take_along_axis(line_of(input), indices, dim), indices)
    return found if keepdim and input.ndim else Ranked(*[part.squeeze(dim) for part in found])


def line_of(input):
    """The input, a single number as a row of one."""
    return input if input.ndim else input.reshape(1)


@Op
def max_along(input, /, dim, keepdim=False):
    """The largest numbers along `dim`, and their places.  (*, n) -> (*), (*)"""
    at_least_one(input, dim)
    dim = place(dim, input.ndim)
    return looked_up(input, np.argmax(line_of(input), dim, keepdims=True), dim, keepdim)


@Op
def min_along(input, /, dim, keepdim=False):
    """The smallest numbers along `dim`, and their places.  (*, n) -> (*), (*)"""
    at_least_one(input, dim)
    dim = place(dim, input.ndim)
    return looked_up(input, np.argmin(line_of(input), dim, keepdims=True), dim, keepdim)


@reduction
def max_(input, dim=None, keepdim=False, *, other=None, out=None):
    """The largest number; along `dim`: values and indices; with another tensor: the larger of each two."""
    if isinstance(dim, Tensor): other = dim
    if other is not None: return into(out, maximum(input, other))
    return into(out, amax(input) if dim is None else max_along(input, dim, keepdim))


@reduction
def min_(input, dim=None, keepdim=False, *, other=None, out=None):
    """The smallest number; along `dim`: values and indices; with another tensor: the smaller of each two."""
    if isinstance(dim, Tensor): other = dim
    if other is not None: return into(out, minimum(input, other))
    return into(out, amin(input) if dim is None else min_along(input, dim, keepdim))


class Extremes(NamedTuple):
    """The smallest and the largest."""

    min: Tensor
    max: Tensor


@reduction
def aminmax(input, *, dim=None, keepdim=False):
    """The smallest and the largest number, or those along `dim`.  (*) -> (*), (*)"""
    dim = () if dim is None else dim
    return Extremes(amin(input, dim, keepdim), amax(input, dim, keepdim))


@Op
def all_(input, /, dim=None, keepdim=False):
    """Whether all numbers over `dim` are true, that is not zero.  (*) -> (*) bool"""
    return answered(input, np.all(input, axis=axes(dim), keepdims=keepdim))


@Op
def any_(input, /, dim=None, keepdim=False):
    """Whether any number over `dim` is true, that is not zero.  (*) -> (*) bool"""
    return answered(input, np.any(input, axis=axes(dim), keepdims=keepdim))


def answered(input, answer):
    """The answer as bools; as uint8 to uint8, which was PyTorch's type of answers before it had bools."""
    return answer.astype(input.dtype) if input.dtype == np.uint8 else answer


@Op
def count_nonzero(input, /, dim=None):
    """How many numbers over `dim` are not zero.  (*) -> (*) int64"""
    return (input != 0).sum(axis=axes(dim), dtype=np.int64)


@reduction
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """The root of the variance: how far from their mean numbers typically are.  (*) -> (*)"""
    if isinstance(dim, bool): dim, unbiased = None, dim
    if unbiased is not None: correction = int(unbiased)
    middle = mean(input, dim, True)
    n = input.array.size / max(middle.array.size, 1)
    length = vector_norm(sub(input, middle), 2, axes(dim), keepdim)
    return true_divide(length, math.sqrt(max(n - correction, 0)))


@reduction
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """The variance and the mean.  (*) -> (*), (*)"""
    if isinstance(dim, bool): dim, unbiased = None, dim
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@reduction
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """The standard deviation and the mean.  (*) -> (*), (*)"""
    if isinstance(dim, bool): dim, unbiased = None, dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@reduction
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    """The length of the numbers over `dim`: the p-th root of the sum of their p-th powers.  (*) -> (*)"""
    if p == "nuc": return matrix_norm(input, "nuc", (0, 1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


@method
def dist(input, other, p=2):
    """The length of the difference.  (*), (*) -> ()"""
    return vector_norm(sub(input, other), p)


def largest(x, over, least):
    """The largest numbers over some dimensions, which leave ones behind; `least` where there are none."""
    if x.size: return x.max(axis=over, keepdims=True)
    return np.full_like(x, least, shape=np.sum(x, axis=over, keepdims=True).shape)


@floating
def logsumexp(input, /, dim, keepdim=False):
    """log(sum(exp(x))) over `dim`, without overflow.  (*) -> (*)"""
    over = axes(dim)
    top = largest(input, over, -np.inf)
    top = np.where(np.isfinite(top), top, 0).astype(input.dtype)
    out = np.log(np.exp(input - top).sum(axis=over, keepdims=True)) + top
    return out if keepdim else out.reshape(()) if over is None or input.ndim == 0 else out.squeeze(over)


def running_kind(input, dtype):
    """The NumPy dtype in which totals run: whole numbers in int64."""
    if dtype is None and not dtype_of(input).is_floating_point: dtype = int64
    return None if dtype is None else as_dtype(dtype).numpy


@Op
def cumsum(input, /, dim, *, dtype=None):
    """The sum up to each place along `dim`.  (*) -> (*)"""
    total = np.cumsum(input, place(dim, input.ndim), dtype=running_kind(input, dtype))
    return total.reshape(input.shape)


@Op
def cumprod(input, /, dim, *, dtype=None):
    """The product up to each place along `dim`.  (*) -> (*)"""
    total = np.cumprod(input, place(dim, input.ndim), dtype=running_kind(input, dtype))
    return total.reshape(input.shape)


@Op
def logcumsumexp(input, /, dim):
    """log(cumsum(exp(x))), without overflow.  (*) -> (*)"""
    if not dtype_of(input).is_floating_point:
        raise RuntimeError(f"logcumsumexp wants floats, not {dtype_of(input)}")
    return running(np.logaddexp, line_of(input), place(dim, input.ndim)).reshape(input.shape)


@Op
def cummax(input, /, dim):
    """The largest number up to each place along `dim`, and where it was last.  (*) -> (*), (*)"""
    return record(np.maximum, input, dim)


@Op
def cummin(input, /, dim):
    """The smallest number up to each place along `dim`, and where it was last.  (*) -> (*), (*)"""
    return record(np.minimum, input, dim)


def running(ufunc, x, dim: int):
    """`ufunc.accumulate`, which CuPy has for few: there, each pass doubles how far everybody has looked."""
    if at_home(x): return ufunc.accumulate(x, dim)
    out, reach = x.copy(), 1
    while reach < x.shape[dim]:
        later = along(dim, slice(reach, None))
        out[later] = ufunc(out[later], out[along(dim, slice(-reach))])
        reach *= 2
    return out


def record(better, input, dim: int) -> Ranked:
    """The best so far, and the place of the latest record: an equal is one, and so is nan."""
    dim, line = place(dim, input.ndim), line_of(input)
    best = running(better, line, dim)
    steps = np.arange(line.shape[dim], like=line).reshape((-1,) + (1,) * (line.ndim - dim - 1))
    last = running(np.maximum, np.where((line == best) | (line != line), steps, 0), dim)
    return Ranked(best.reshape(input.shape), last.reshape(input.shape))


@method
def diff(input, n: int = 1, dim: int = -1, prepend=None, append=None):
    """The differences of neighbours along `dim`, taken n times.  (*, k) -> (*, k - n)"""
    if input.ndim == 0: raise ShapeError("diff wants neighbours: at least 1 dimension")
    ends = [x for x in (prepend, input, append) if x is not None]
    out, step = cat(ends, dim) if len(ends) > 1 else input, logical_xor if input.array.dtype == bool else sub
    for _ in range(min(n, out.shape[dim])):
        k = out.shape[dim] - 1
        out = step(narrow(out, dim, 1, k), narrow(out, dim, 0, k))
    return out


def slices_under(y, x, dx, dim: int):
    """The area under each piece of the curve, a trapezoid."""
    k = y.shape[dim] - 1
    if x is not None:
        dx = diff(x, dim=-1 if x.ndim == 1 else dim)
        if x.ndim == 1: dx = reshape(dx, (-1,) + (1,) * (y.ndim - place(dim, y.ndim) - 1))
    return (narrow(y, dim, 0, k) + narrow(y, dim, 1, k)) * (1 if dx is None else dx) / 2


def trapezoid(y, x=None, *, dx=None, dim=-1):
    """The area under a curve through the points (x, y), or with steps of `dx`.  (*, n) -> (*)"""
    return sum_(slices_under(y, x, dx, dim), dim)


def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """The area under a curve up to each point but the first.  (*, n) -> (*, n - 1)"""
    return cumsum(slices_under(y, x, dx, dim), dim)


trapz = trapezoid


@Op
def median_along(input, /, dim, keepdim=False, *, ignore_nan=False, share=False):
    """The (lower) median along `dim`, and its place.  (*, n) -> (*), (*)

    `share` is for lesson 09: whether the gradient goes to all numbers that are the median, or to that place.
    """
    at_least_one(input, dim)
    dim, line = place(dim, input.ndim), line_of(input)
    order, hole = np.argsort(line, axis=dim, kind="stable"), line != line      # nan comes last
    n = (~hole).sum(axis=dim, keepdims=True) if ignore_nan else line.shape[dim]
    half = np.maximum(n - 1, 0) // 2 + np.zeros_like(order[along(dim, slice(1))])
    middle = np.take_along_axis(order, half, dim)
    if not ignore_nan:
        middle = np.where(hole.any(axis=dim, keepdims=True), np.argmax(hole, dim, keepdims=True), middle)
    return looked_up(input, middle, dim, keepdim)


@reduction
def median(input, dim=None, keepdim=False):
    """The (lower) median of all numbers; along `dim`: values and indices."""
    if dim is not None: return median_along(input, dim, keepdim)
    if input.array.size == 0: return input.new_full((), math.nan)
    return median_along(ravel(input), 0, share=True).values


@reduction
def nanmedian(input, dim=None, keepdim=False):
    """The (lower) median of all numbers but nan; along `dim`: values and indices."""
    if dim is not None: return median_along(input, dim, keepdim, ignore_nan=True)
    if input.array.size == 0: return input.new_full((), math.nan)
    return median_along(ravel(input), 0, ignore_nan=True, share=True).values


ROUNDED = dict(linear=np.positive, lower=np.floor, higher=np.ceil, nearest=np.round, midpoint=np.positive)


@reduction
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The value below which the share q of all numbers lies; several q come first.  (*, n) -> (k, *)"""
    return between_places(input, q, dim, keepdim, interpolation, ignore_nan=False)


@reduction
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The quantile of all numbers but nan.  (*, n) -> (k, *)"""
    return between_places(input, q, dim, keepdim, interpolation, ignore_nan=True)


def between_places(input, q, dim, keepdim: bool, interpolation: str, ignore_nan: bool):
    """The quantile: sort, go to the place q * (n - 1), which may lie between two numbers."""
    shares = wanted_shares(input, q, interpolation)
    line = ravel(input) if dim is None or input.ndim == 0 else movedim(input, dim, -1)
    numbers = sort(line, -1).values
    places = ROUNDED[interpolation](places_of(numbers.array, shares.reshape(-1), ignore_nan))
    below = np.floor(places)
    weight = places - below
    if interpolation == "midpoint": weight = np.where(weight > 0, 0.5, 0).astype(weight.dtype)
    low, high = [gather(numbers, -1, Tensor(at.astype(np.int64))) for at in (below, np.ceil(places))]
    out = movedim(lerp(low, high, Tensor(weight)), -1, 0)           # (k, *)
    if keepdim: out = reshape(out, (-1,) + kept_shape(input.shape, dim))
    return out[0] if shares.ndim == 0 else out


def wanted_shares(input, q, interpolation: str):
    """q as an array, once everything about it is in order."""
    if not input.is_floating_point(): raise RuntimeError(f"quantile wants floats, not {input.dtype}")
    if input.array.size == 0: raise RuntimeError("quantile wants at least one number")
    if interpolation not in ROUNDED:
        raise RuntimeError(f"quantile knows {', '.join(ROUNDED)}, not {interpolation!r}")
    if isinstance(q, Tensor) and (q.dtype is not input.dtype or q.ndim > 1):
        raise RuntimeError(f"quantile wants a number or a row of {input.dtype}, not {shape_of(q)}, {q.dtype}")
    shares = q.array if isinstance(q, Tensor) else np.asarray(q, input.array.dtype, like=input.array)
    if ((shares < 0) | (shares > 1)).any(): raise RuntimeError(f"quantile wants q from 0 to 1, not {q}")
    return shares


def places_of(numbers, shares, ignore_nan: bool):
    """Where in the sorted numbers each share lies.  (*, n), (k) -> (*, k)"""
    hole = (numbers != numbers).sum(axis=-1, keepdims=True)
    n = numbers.shape[-1] - 1
    places = shares * (np.maximum(n - hole, 0) if ignore_nan else np.full_like(hole, n))
    places = places if ignore_nan else np.where(hole > 0, n, places)
    return places.astype(shares.dtype, copy=False)


def kept_shape(shape, dim) -> tuple[int, ...]:
    """The shape with a 1 in the place of the dimension that is reduced, or of all."""
    return tuple([1 if dim is None or i == place(dim, len(shape)) else n for i, n in enumerate(shape)])


@Op
def mode(input, /, dim=-1, keepdim=False):
    """The most frequent number along `dim`, and its last place.  (*, n) -> (*), (*)"""
    at_least_one(input, dim)
    dim, line = place(dim, input.ndim), line_of(input)
    order = np.argsort(line, axis=dim, kind="stable")
    numbers = np.take_along_axis(line, order, dim)
    steps = np.arange(line.shape[dim], like=line).reshape((-1,) + (1,) * (line.ndim - dim - 1))
    fresh = np.ones_like(numbers, dtype=bool)
    fresh[along(dim, slice(1, None))] = numbers[along(dim, slice(1, None))] != numbers[along(dim, slice(-1))]
    length = steps - running(np.maximum, np.where(fresh, steps, 0), dim)
    most = np.take_along_axis(order, length.argmax(dim, keepdims=True), dim)
    return looked_up(input, most, dim, keepdim)


@Op
def nansum(input, /, dim=None, keepdim=False, *, dtype=None):
    """The sum over `dim` of all numbers but nan.  (*) -> (*)"""
    return sum_.forward(np.where(input != input, 0, input).astype(input.dtype), dim, keepdim, dtype=dtype)


@reduction
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean over `dim` of all numbers but nan.  (*) -> (*)"""
    if not input.is_floating_point(): raise RuntimeError(f"nanmean wants floats, not {input.dtype}")
    return true_divide(nansum(input, dim, keepdim, dtype=dtype), sum_(input == input, dim, keepdim))


@method
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """Each different number (or slice along `dim`) once, in order; where each went; how often each came."""
    numbers, _, inverse, counts = np.unique(input.array, True, True, True, axis=dim, equal_nan=False)
    if dim is None: inverse = inverse.reshape(input.shape)
    return told(numbers, inverse if return_inverse else None, counts if return_counts else None)


@method
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """As unique, but only neighbours are compared: 1 1 2 1 becomes 1 2 1."""
    line = np.moveaxis(input.array, dim, 0) if dim is not None else input.array.reshape(-1)
    fresh = np.ones_like(line, dtype=bool, shape=len(line))
    fresh[1:] = (line[1:] != line[:-1]).any(axis=tuple(range(1, line.ndim)))
    starts = np.flatnonzero(fresh)
    counts = np.diff(starts, append=np.full_like(starts, len(line), shape=1))
    inverse = np.cumsum(fresh) - 1
    numbers = line[starts] if dim is None else np.moveaxis(line[starts], 0, dim)
    if dim is None: inverse = inverse.reshape(input.shape)
    return told(numbers, inverse if return_inverse else None, counts if return_counts else None)


def told(*answers):
    """The answers that there are, in tensors; a single one by itself."""
    tensors = tuple([Tensor(answer) for answer in answers if answer is not None])
    return tensors if len(tensors) > 1 else tensors[0]


@method
def bincount(input, weights=None, minlength: int = 0):
    """How often 0, 1, 2 … occur, or the sum of their weights.  (n) -> (largest + 1)"""
    if input.is_floating_point():
        raise NotImplementedError(f"bincount counts whole numbers, not {input.dtype}")
    if input.ndim != 1 or (input.array < 0).any():
        raise ShapeError("bincount counts a row of numbers from 0 up")
    if weights is None:
        return Tensor(np.bincount(input.array, minlength=minlength).astype(np.int64, copy=False))
    kind = np.float32 if weights.array.dtype == np.float32 else np.float64
    return Tensor(np.bincount(input.array, weights.array, minlength).astype(kind, copy=False))


@method
def histc(input, bins: int = 100, min=0, max=0):
    """How many numbers lie in each of `bins` equal parts of min … max, or of all there is.  (*) -> (bins)"""
    if not input.is_floating_point(): raise NotImplementedError(f"histc wants floats, not {input.dtype}")
    numbers = input.array.reshape(-1)
    low, high = float(min), float(max)
    if low == high and numbers.size: low, high = float(numbers.min()), float(numbers.max())
    if low == high: low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"histc cannot cut {low} … {high} into bins")
    if low > high: raise RuntimeError(f"histc wants max above min, not {low} … {high}")
    inside = numbers[(numbers >= low) & (numbers <= high)]
    bin = np.minimum(((inside - low) / (high - low) * bins).astype(np.int64), bins - 1)
    return Tensor(np.bincount(bin, minlength=bins).astype(numbers.dtype))


class Histogram(NamedTuple):
    """How many numbers fell between each two edges."""

    hist: Tensor
    bin_edges: Tensor


@method
def histogram(input, bins, *, range=None, weight=None, density=False):
    """How many numbers lie between edges, given or so many equally spaced.  (*) -> (n), (n + 1)"""
    numbers = input.array
    even = not isinstance(bins, Tensor)
    edges = done_at_home(np.histogram_bin_edges, numbers, bins, range) if even else bins.array
    edges = edges.astype(numbers.dtype, copy=False)
    weights = None if weight is None else weight.array
    counts, _ = np.histogram(numbers, edges, weights=weights, density=density)
    return Histogram(Tensor(counts.astype(numbers.dtype)), Tensor(edges))


@method
def cov(input, *, correction: int = 1, fweights=None, aweights=None):
    """The covariances of the rows; columns may count several times, or by weight.  (n, m) -> (n, n)"""
    if input.ndim > 2: raise ShapeError(f"cov wants rows of observations, not {input.ndim} dimensions")
    x = input if input.is_floating_point() else input.float()
    x = reshape(x, (1, -1)) if x.ndim < 2 else x
    times = x.new_ones(x.shape[1]) if fweights is None else fweights.to(x.dtype)
    weights = times if aweights is None else mul(times, aweights.to(x.dtype))
    total = sum_(weights)
    lost = correction if aweights is None else correction * sum_(weights * aweights) / total
    distance = sub(x, true_divide(sum_(mul(x, weights), 1, True), total))
    out = true_divide(matmul(mul(distance, weights), distance.mT), clamp(total - lost, min=0))
    return out if input.ndim == 2 else reshape(out, ())


@method
def corrcoef(input):
    """The correlations of the rows.  (n, m) -> (n, n)"""
    c = cov(input)
    if c.ndim == 0: return true_divide(c, c)
    spread = sqrt(diagonal(c))
    return clamp(true_divide(true_divide(c, unsqueeze(spread, 1)), spread), -1, 1)
