# Generated from modules/09_autograd/appendix_rules_convolution.py by `tito export`. Edit that file, not this one.
"""How convolutions hand on gradients: to pictures, and to filters."""

from __future__ import annotations

import math

import numpy as np

from .convolution import conv1d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .receipts import gradient, shortcut
from .room import ROOMS, each_way, margins, pad
from .spatial import SLICE, channels_last, conv2d, correlate, even, windows
from .tensor import Op

__all__ = [
    "CONVOLUTION", "TRANSPOSED", "around", "picture_gradient", "bias_gradient", "settled_ways",
    "convolution_rule", "transposed_rule", "looked_at", "filters_seen", "add_products", "window_slices",
    "filters_seen_rule", "turned_round", "picture_gradient_of_arrays", "convolution_shortcut",
]


CONVOLUTION = {1: conv1d, 2: conv2d, 3: conv3d}
TRANSPOSED = {1: conv_transpose1d, 2: conv_transpose2d, 3: conv_transpose3d}


def around(x, ends: list):
    """Pictures with margins of zeros, or, where they are below 0, with less of themselves."""
    listed = tuple([n for before_after in reversed(ends) for n in before_after])
    return pad(x, listed) if any(listed) else x


def picture_gradient(g, weight, lengths: tuple, ends: list, stride, dilation, groups: int):
    """What goes to the pictures: every gradient writes a window.  (N, O, *L'), (O, C / groups, …) -> (N, C, *L)"""
    whole = [n + before + after for n, (before, after) in zip(lengths, ends)]
    kernel = weight.shape[2:]
    extra = [n - (m - 1) * s - d * (k - 1) - 1
             for n, m, k, s, d in zip(whole, g.shape[-len(kernel) :], kernel, stride, dilation)]
    dx = TRANSPOSED[len(kernel)](g, weight, None, stride, 0, extra, groups, dilation)
    return around(dx, [(-before, -after) for before, after in ends])


def bias_gradient(g, ways: int):
    """What goes to the bias: the sum over all places.  (N, O, *L') -> (O)"""
    return g.sum(axis=tuple([d for d in range(g.ndim) if d != g.ndim - ways - 1]))


def settled_ways(ways: int, stride, dilation) -> tuple:
    return each_way("stride", stride, ways), each_way("dilation", dilation, ways)


@gradient(conv1d, conv2d, conv3d)
def convolution_rule(g, _out, x, weight, _bias, stride, padding, dilation, groups):
    kernel = weight.shape[2:]
    stride, dilation = settled_ways(len(kernel), stride, dilation)
    ends, lengths = margins(padding, kernel, stride, dilation), x.shape[-len(kernel) :]
    return (lambda: picture_gradient(g, weight, lengths, ends, stride, dilation, groups),
            lambda: filters_seen(x, g, kernel, ends, stride, dilation, groups),
            lambda: bias_gradient(g, len(kernel)))


@gradient(conv_transpose1d, conv_transpose2d, conv_transpose3d)
def transposed_rule(g, _out, x, weight, _bias, stride, padding, groups, dilation):
    kernel = weight.shape[2:]
    stride, dilation = settled_ways(len(kernel), stride, dilation)
    padding = each_way("padding", padding, len(kernel), 0)
    return (lambda: looked_at(g, weight, x.shape, padding, stride, dilation, groups),
            lambda: filters_seen(g, x, kernel, [(p, p) for p in padding], stride, dilation, groups),
            lambda: bias_gradient(g, len(kernel)))


def looked_at(x, weight, shape: tuple, padding, stride, dilation, groups: int):
    """The convolution, in as many places as the shape has: an output padding may leave room for more."""
    ways = weight.ndim - 2
    out = CONVOLUTION[ways](x, weight, None, stride, padding, dilation, groups)
    return out[(..., *[slice(n) for n in shape[-ways:]])] if out.shape[-ways:] != shape[-ways:] else out


@Op
def filters_seen(input, g, /, kernel, ends, stride, dilation, groups):
    """For each weight the sum of all products it was part of.  (N, C, *L), (N, O, *L') -> (O, C / groups, *kernel)"""
    ways = len(kernel)
    if input.ndim == ways + 1: input, g = input[None], g[None]
    C, O = input.shape[1] // groups, g.shape[1] // groups
    out = np.zeros_like(g, shape=(O * groups, C, *kernel))
    for group in range(groups):
        c, o = slice(group * C, group * C + C), slice(group * O, group * O + O)
        add_products(input[:, c], g[:, o], ends, stride, dilation, out[o])
    return out


def add_products(x, g, ends: list, stride, dilation, out) -> None:
    """Adds to `out` all products of windows and gradients.  (N, C, *L), (N, O, *L'), out (O, C, *kernel)"""
    total = out.reshape(len(out), -1)
    for matrix, part in window_slices(x, g, out.shape[2:], ends, stride, dilation):
        total += part @ matrix.T


def window_slices(x, g, kernel, ends: list, stride, dilation):
    """Windows as columns, and the gradients of their places, in slices that stay in the cache.

    (N, C, *L), (N, O, *L') -> (K, places), (O, places)
    """
    (N, C), places, ways = x.shape[:2], g.shape[2:], len(kernel)
    K = C * math.prod(kernel)
    if 0 in (N, K, *g.shape): return
    row = K * math.prod(places[1:])
    rows = even(places[0], SLICE // row)
    many = even(N, SLICE // (row * rows)) if rows == places[0] else 1
    lengths = [n + before + after for n, (before, after) in zip(x.shape[2:], ends)]
    room = ROOMS.get("around", (C, many, *lengths), x).swapaxes(0, 1)           # (many, C, *lengths)
    room[...] = 0
    inner = room[(..., *[slice(before, before + n) for n, (before, _) in zip(x.shape[2:], ends)])]
    view = windows(channels_last(room), kernel, stride, dilation)               # (many, *places, *kernel, C)
    view = view.transpose(2 * ways + 1, *range(ways + 1, 2 * ways + 1), *range(ways + 1))
    for n in range(0, N, many):
        some = min(many, N - n)
        inner[:some] = x[n : n + some]
        for r in range(0, places[0], rows):
            last = min(r + rows, places[0])
            seen = view[(..., slice(some), slice(r, last), *[slice(m) for m in places[1:]])]
            matrix = ROOMS.get("matrix", seen.shape, x)
            np.copyto(matrix, seen)
            part = g[n : n + some, :, r:last].swapaxes(0, 1)
            yield matrix.reshape(K, -1), part.reshape(len(part), -1)


@gradient(filters_seen)
def filters_seen_rule(g, _out, x, dy, ends, stride, dilation, groups):
    """Both gradients of a product of two: of each with the other."""
    lengths = x.shape[-g.ndim + 2 :]
    return (lambda: picture_gradient(dy, g, lengths, ends, stride, dilation, groups),
            lambda: looked_at(around(x, ends), g, dy.shape, 0, stride, dilation, groups))


def turned_round(weight, groups: int):
    """Filters seen from their other side: mirrored, outputs as inputs.  (O, C / groups, *) -> (C, O / groups, *)"""
    O, C = weight.shape[:2]
    flipped = weight[(..., *[slice(None, None, -1)] * (weight.ndim - 2))]
    return flipped.reshape(groups, O // groups, *weight.shape[1:]).swapaxes(1, 2).reshape(
        groups * C, O // groups, *weight.shape[2:])


def picture_gradient_of_arrays(g, weight, lengths, ends, stride, dilation, groups):
    """As `picture_gradient`, by plain convolutions where that can be done."""
    spans = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation)]
    plain = set(stride) == {1} and all([max(e) <= span for e, span in zip(ends, spans)])
    if not plain or 0 in g.shape: return picture_gradient(g, weight, lengths, ends, stride, dilation, groups)
    room = [(span - before, span - after) for span, (before, after) in zip(spans, ends)]
    before = [min(e) for e in room]
    whole = around(g, [(b - m, a - m) for (b, a), m in zip(room, before)])
    return correlate("convolution", whole, turned_round(weight, groups), None, 1, before, dilation, groups)


@shortcut(conv1d, conv2d, conv3d)
def convolution_shortcut(g, _out, x, weight, _bias, stride, padding, dilation, groups):
    kernel = weight.shape[2:]
    stride, dilation = settled_ways(len(kernel), stride, dilation)
    ends, lengths = margins(padding, kernel, stride, dilation), x.shape[-len(kernel) :]
    return (lambda: picture_gradient_of_arrays(g, weight, lengths, ends, stride, dilation, groups),
            lambda: filters_seen(x, g, kernel, ends, stride, dilation, groups),
            lambda: bias_gradient(g, len(kernel)))
