# %% [markdown]
# # Appendix: pictures end to end
#
# Most convolutions have stride 1, and with stride 1 the windows can be had for less than `im2col` pays. Write
# all pictures of a slice in one long line for each channel, row after row, with zeros where the margins are:
#
# ```text
# 0 0 0 0  0 a b c  0 d e f  0 0 0 0  0 g h i  0 j k l  0
# ```
#
# The zero before a row is also the one behind the row above, and the empty row between two pictures serves
# both. Now take one weight of a filter, say the one at the right of the middle row. What it meets in all its
# places is this line, moved by one row and two numbers: no window is gathered, a line is copied.
#
# Not even that is needed for every weight. The weights of one row of the filter meet lines that are copied;
# of the other rows the *products* are moved. A 3 x 3 filter takes three copies instead of nine, one matrix
# product with the rows of the filters one below another, and two additions.
#
# Windows that hang over a seam are computed for nothing, and dropped: 6 % of them where pictures have 32
# pixels a side, 27 % where they have 8. And a line that does not fit into the cache is no better than
# windows.

# %%
#| export
"""Convolution with stride 1, on pictures that are written in a line."""

# %%
#| export
from __future__ import annotations

import math
from itertools import product

import numpy as np

from tinytorch.room import ROOMS, SLICE, even

# %% [markdown]
# `pitch` is how far it is from one row to the next, in each direction.

# %%
#| export
FEW_WEIGHTS = 64                    # of filters as small as this every weight has its own copy


def pitches(lengths: tuple, ends: list) -> list[int]:
    """The lengths with one margin each, which serves both sides."""
    return [n + max(pair) for n, pair in zip(lengths, ends)]


def suits_lines(x, w, places: tuple, ends: list, stride: tuple) -> bool:
    """Whether a convolution is faster on lines than window by window."""
    pitch = pitches(x.shape[2:], ends)
    if set(stride) != {1} or any([n > step for n, step in zip(places, pitch)]): return False
    one = math.prod(pitch)
    return one <= 1.25 * math.prod(places) and one * (w.shape[1] + len(w)) * w.shape[-1] <= 8 * SLICE


def on_lines(x, w, bias, ends: list, dilation: tuple, out) -> None:
    """Fills `out` with a convolution of stride 1.  (N, C, *L), (O, C, *kernel), (O, 1, 1) -> (N, O, *L')"""
    (N, C, *lengths), (O, _, *kernel) = x.shape, w.shape
    pitch = pitches(lengths, ends)
    steps = [math.prod(pitch[way + 1 :]) for way in range(len(pitch))]
    moves = [sum([t * d * step for t, d, step in zip(tap, dilation, steps)])
             for tap in product(*map(range, kernel))]               # of the line, for each weight of a filter
    copied = len(moves) if C * len(moves) <= FEW_WEIGHTS else kernel[-1]
    added = len(moves) // copied
    weights = w.reshape(O, C, added, copied).transpose(2, 0, 3, 1).reshape(added * O, copied * C)

    one = math.prod(pitch)
    many = even(N, SLICE // (one * (copied * C + added * O)))       # pictures at once
    end = many * one + sum([min(pair) * step for pair, step in zip(ends, steps)])
    lines = ROOMS.get("matrix", (copied, C, end), x)
    sums = ROOMS.get("product", (added, O, end), x)
    lines[0] = 0
    middle = [slice(before, before + n) for n, (before, _) in zip(lengths, ends)]
    inner = as_pictures(lines[0], many, pitch, middle)
    pictures = as_pictures(sums[0], many, pitch, [slice(n) for n in out.shape[2:]])
    for n in range(0, N, many):
        some, made = x[n : n + many], out[n : n + many]
        inner[: len(some)] = some
        for line, move in zip(lines[1:], moves[1:copied]): line[:, : end - move] = lines[0][:, move:]
        np.matmul(weights, lines.reshape(-1, end), out=sums.reshape(-1, end))
        for more, move in zip(sums[1:], moves[copied::copied]): sums[0][:, : end - move] += more[:, move:]
        if bias is None: made[...] = pictures[: len(some)]
        else: np.add(pictures[: len(some)], bias, out=made)


def as_pictures(line, many: int, pitch: list[int], middle: list[slice]):
    """The pictures that stand on a line for each channel, without their margins.  (C, n) -> (N, C, *L)"""
    room = line[:, : many * math.prod(pitch)].reshape(len(line), many, *pitch)
    return room[(..., *middle)].swapaxes(0, 1)
