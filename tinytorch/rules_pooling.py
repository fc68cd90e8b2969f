# Generated from modules/09_autograd/appendix_rules_pooling.py by `tito export`. Edit that file, not this one.
"""How pools, margins, windows and changes of size hand on gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .autograd import bare
from .devices import at_home, beside
from .dtypes import dtype_of
from .indexing import gather, scatter_add
from .overwriting import zeros_beside
from .pooling import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_largest, adaptive_max_pool1d,
    adaptive_max_pool2d, adaptive_max_pool3d, avg_pool1d, avg_pool3d, max_pool1d, max_pool3d, parts, put_back,
)
from .receipts import gradient, shortcut
from .resampling import MODES, SMOOTH, add_windows, resample, take_windows, window_places
from .room import PLACES, pad
from .shaping import along
from .spatial import Pool, avg_pool2d, counts, max_pool2d, taps
from .tensor import Op

__all__ = [
    "MAX", "AVERAGE", "ADAPTIVE_MAX", "ADAPTIVE_AVERAGE", "put_where", "largest_rule",
    "adaptive_largest_rule", "put_back_rule", "largest_shortcut", "to_winners", "with_bits", "less",
    "adaptive_largest_shortcut", "average_back", "slide_back", "average_back_rule", "average_rule",
    "adaptive_back", "adaptive_back_rule", "adaptive_average_rule", "fold_margins", "fold_margins_rule",
    "with_margins", "pad_rule", "resample_back", "resample_back_rule", "resample_rule", "take_windows_rule",
    "add_windows_rule",
]


MAX = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}
AVERAGE = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}
ADAPTIVE_MAX = {1: adaptive_max_pool1d, 2: adaptive_max_pool2d, 3: adaptive_max_pool3d}
ADAPTIVE_AVERAGE = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def put_where(g, places, ways: int, shape: tuple):
    """Numbers added up where they belong in pictures, counted along the line.  (*, *L'), (*, *L') -> shape"""
    lead = shape[: len(shape) - ways]
    line = places.reshape(*lead, math.prod(places.shape[len(lead) :]))
    room = zeros_beside(g, (*lead, math.prod(shape[len(lead) :])))
    return scatter_add(room, -1, line, g.reshape(line.shape)).reshape(shape)


def largest_rule(ways: int) -> Callable:
    """The rule of a max pool in so many directions."""
    def rule(g, out, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
        if return_indices: g, places = g[0], out[1]
        else:
            settings = kernel_size, stride, padding, dilation, ceil_mode
            places = Pool("max_pool", bare(x), ways, *settings).places_of_largest()
        return put_where(g, places, ways, x.shape),
    return rule


def adaptive_largest_rule(ways: int) -> Callable:
    def rule(g, out, x, output_size, return_indices):
        if return_indices: g, places = g[0], out[1]
        else: _, places = adaptive_largest("adaptive_max_pool", bare(x), output_size, ways, True)
        return put_where(g, places, ways, x.shape),
    return rule


for ways in (1, 2, 3):
    gradient(MAX[ways])(largest_rule(ways))
    gradient(ADAPTIVE_MAX[ways])(adaptive_largest_rule(ways))


@gradient(put_back)
def put_back_rule(g, _out, _input, indices, size):
    """What was put back answers from where it was put."""
    lead = _input.shape[: _input.ndim - len(size)]
    line = bare(indices).reshape(*lead, math.prod(_input.shape[len(lead) :]))
    return gather(g.reshape((*lead, math.prod(size))), -1, line).reshape(_input.shape), None


def largest_shortcut(ways: int) -> Callable:
    slow = largest_rule(ways)

    def rule(g, out, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, *, kept):
        settings = kernel_size, stride, padding, dilation, ceil_mode
        if not at_home(x): return slow(g, out, x, *settings, return_indices)
        if return_indices or (out != out).any(): return slow(g, out, x, *settings, return_indices)
        pool, (beaten,) = Pool("max_pool", x, ways, *settings), kept
        dx = g if pool.many else g[None]
        for dim, n, one, places in zip(range(2, ways + 2), pool.x.shape[2:], pool.settings, pool.places):
            at = list(taps(n, *one, places))
            beaten, here = beaten[: len(beaten) - len(at) + 1], beaten[len(beaten) - len(at) + 1 :]
            dx, left = to_winners(dx, dim, n, one, at, here)
            if left: return slow(g, out, x, *settings, return_indices)
        return dx.reshape(x.shape),
    return rule


def to_winners(g, dim: int, n: int, settings: tuple, at: list, beaten: list):
    """The gradient at who was largest along one dimension, and whether any is left.  (*, places, *)"""
    (k, s, _, d), whole = settings, f"i{g.itemsize}"
    apart = (k - 1) * d < s                                                # no number is in two windows
    tiled = apart and k == s and n == k * g.shape[dim]
    dx = (np.empty_like if tiled else np.zeros_like)(g, shape=(*g.shape[:dim], n, *g.shape[dim + 1 :]))
    rest, moved = g.view(whole), dx.view(whole)
    for (to, of), won in zip(at[:0:-1], beaten[::-1]):
        share = won.astype(whole)
        share *= rest[along(dim, to)]
        if apart: moved[along(dim, of)] = share
        else: dx[along(dim, of)] += with_bits(share, g)
        rest = less(rest, along(dim, to), share)
    to, of = at[0]
    if apart: moved[along(dim, of)] = rest[along(dim, to)]
    else: dx[along(dim, of)] += with_bits(rest[along(dim, to)], g)
    edges = slice(0, to.start), slice(to.stop, None)
    return dx, any([rest[along(dim, edge)].any() for edge in edges])


def with_bits(whole, like):
    """The numbers that have these bits, in an array of the kind of `like`."""
    found = np.empty_like(like, shape=whole.shape)
    found.view(whole.dtype)[...] = whole
    return found


def less(whole, place, part):
    """What is left of an array when a part of it is taken away; written over the part where it fits."""
    if part.shape == whole.shape: return np.subtract(whole, part, out=part)
    left = whole.copy()
    left[place] -= part
    return left


for ways in (1, 2, 3): shortcut(MAX[ways])(largest_shortcut(ways))


def adaptive_largest_shortcut(ways: int) -> Callable:
    def rule(g, out, x, output_size, return_indices, *, kept):
        places, g = (out[1], g[0]) if return_indices else (kept[0], g)
        return put_where(g, places, ways, x.shape),
    return rule


for ways in (1, 2, 3): shortcut(ADAPTIVE_MAX[ways])(adaptive_largest_shortcut(ways))


@Op
def average_back(
    g, /, ways, whole, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override=None,
):
    """The transpose of an average pool.  (N, C, *places) -> whole, which is (N, C, *L)"""
    nothing = np.broadcast_to(np.zeros_like(g, shape=()), whole)
    pool = Pool("avg_pool", nothing, ways, kernel_size, stride, padding, 1, ceil_mode)
    numbers = np.array(1)
    for n, (k, s, p, _), places in zip(pool.x.shape[2:], pool.settings, pool.places):
        numbers = numbers[..., None] * np.array(counts(n, k, s, p, places, count_include_pad))
    dx = g / (divisor_override or beside(numbers.astype(g.dtype), g))
    if not pool.many: dx = dx[None]
    for dim, (n, settings, places) in enumerate(zip(pool.x.shape[2:], pool.settings, pool.places), 2):
        dx = slide_back(dx, dim, n, *settings, places)
    return dx.reshape(whole)


def slide_back(g, dim: int, n: int, kernel: int, stride: int, padding: int, dilation: int, places: int):
    """Every number added to all that its window looks at along one dimension.  (*, places, *) -> (*, n, *)"""
    dx = np.zeros_like(g, shape=(*g.shape[:dim], n, *g.shape[dim + 1 :]))
    for to, of in taps(n, kernel, stride, padding, dilation, places):
        dx[along(dim, of)] += g[along(dim, to)]
    return dx


@gradient(average_back)
def average_back_rule(
    g, _out, _x, ways, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override,
):
    override = {} if ways == 1 else {"divisor_override": divisor_override}
    return AVERAGE[ways](g, kernel_size, stride, padding, ceil_mode, count_include_pad, **override),


def average_rule(ways: int) -> Callable:
    """The rule of an average pool in so many directions."""
    def rule(g, _out, _x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
        return average_back(g, ways, _x.shape, kernel_size, stride, padding, ceil_mode, count_include_pad,
                            divisor_override),
    return rule


@Op
def adaptive_back(g, /, ways, whole):
    """The transpose of an adaptive average pool.  (N, C, *parts) -> whole, which is (N, C, *L)"""
    for dim in range(g.ndim - ways, g.ndim):
        cuts = parts(whole[dim], g.shape[dim])
        sizes = np.array([cut.stop - cut.start for cut in cuts], g.dtype)
        part = g / beside(sizes, g).reshape(-1, *(1,) * (g.ndim - 1 - dim))
        g = np.zeros_like(part, shape=(*g.shape[:dim], whole[dim], *g.shape[dim + 1 :]))
        for place, cut in enumerate(cuts): g[along(dim, cut)] += part[along(dim, slice(place, place + 1))]
    return g


@gradient(adaptive_back)
def adaptive_back_rule(g, _out, _x, ways):
    return ADAPTIVE_AVERAGE[ways](g, _x.shape[_x.ndim - ways :]),


def adaptive_average_rule(ways: int) -> Callable:
    def rule(g, _out, _x): return adaptive_back(g, ways, _x.shape),
    return rule


for ways in (1, 2, 3):
    gradient(AVERAGE[ways])(average_rule(ways))
    gradient(ADAPTIVE_AVERAGE[ways])(adaptive_average_rule(ways))


@Op
def fold_margins(g, /, pad, mode):
    """The transpose of `pad` with a margin from the picture itself.  (*, n + l + r) -> (*, n)"""
    for way, (before, after) in enumerate(zip(pad[::2], pad[1::2])):
        dim = g.ndim - 1 - way
        n = g.shape[dim] - before - after
        dx = np.zeros_like(g, shape=(*g.shape[:dim], n, *g.shape[dim + 1 :]))
        inside = slice(max(0, -before), n - max(0, -after))
        dx[along(dim, inside)] = g[along(dim, slice(inside.start + before, inside.stop + before))]
        for i in [*range(-before, 0), *range(n, n + after)]:
            dx[along(dim, PLACES[mode](i, n))] += g[along(dim, i + before)]
        g = dx
    return g


@gradient(fold_margins)
def fold_margins_rule(g, _out, _x, pad, mode): return with_margins(g, pad, mode),


with_margins = pad              # also where a setting has the op's name


@gradient(pad)
def pad_rule(g, _out, _x, pad, mode):
    pad = tuple([int(n) for n in pad])
    if mode != "constant": return fold_margins(g, pad, mode),
    return with_margins(g, tuple([-n for n in pad])),


@Op
def resample_back(g, /, lengths, scales, mode, align_corners, antialias):
    """The transpose of `resample`.  (N, C, *size) -> (N, C, *lengths)"""
    find = SMOOTH[mode] if antialias else MODES[mode]
    for dim, (n, scale) in enumerate(zip(lengths, scales), 2):
        places, weights = find(n, g.shape[dim], scale, align_corners)
        matrix = np.zeros((g.shape[dim], n), dtype_of(g).computes)
        for tap in range(places.shape[1]):
            matrix[np.arange(len(matrix)), places[:, tap]] += 1 if weights is None else weights[:, tap]
        g = np.moveaxis(np.moveaxis(g, dim, -1) @ beside(matrix, g), -1, dim)
    return g


@gradient(resample_back)
def resample_back_rule(g, _out, _x, scales, mode, align_corners, antialias):
    return resample(g, _x.shape[2:], scales, mode, align_corners, antialias),


@gradient(resample)
def resample_rule(g, _out, _x, scales, mode, align_corners, antialias):
    return resample_back(g, _x.shape[2:], scales, mode, align_corners, antialias),


@gradient(take_windows)
def take_windows_rule(g, _out, _x, kernel_size, dilation, padding, stride):
    lengths = _x.shape[2:]
    places = window_places(lengths, kernel_size, dilation, padding, stride)
    return add_windows(g, lengths, kernel_size, dilation, padding, stride, places),


@gradient(add_windows)
def add_windows_rule(g, _out, _x, kernel_size, dilation, padding, stride):
    return take_windows(g, kernel_size, dilation, padding, stride),
