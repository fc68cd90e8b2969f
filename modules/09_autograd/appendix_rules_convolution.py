# %% [markdown]
# # Appendix: the rules of convolution
#
# A convolution multiplies every weight with many numbers, and every number with many weights. So it has
# three rules:
#
# - A number of the input answers with every weight it met, times the gradient of the output in which
#   they met. The gradient writes a window where the convolution read one: it is a **transposed
#   convolution**, with the same filters.
# - A weight answers with every number it met, times the gradient where they met. That is a convolution
#   as well, of the input with the gradient as its filter: how much alike are the two, for every shift
#   of a few pixels?
# - A bias was added everywhere, and is paid for everywhere.
#
# The rules of the transposed convolution are the same three with two names exchanged. What is missing
# is an op for the second, whose own rules are the other two: then the circle closes, and there are
# gradients of gradients.

# %%
#| export
"""How convolutions hand on gradients: to pictures, and to filters."""

# %%
#| export
from __future__ import annotations

import math
from itertools import product

import numpy as np

from tinytorch.receipts import gradient, shortcut
from tinytorch.convolution import conv1d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from tinytorch.lines import FEW_WEIGHTS, as_pictures, pitches, suits_lines
from tinytorch.room import ROOMS, SLICE, each_way, even, margins, pad
from tinytorch.spatial import Slices, conv2d, correlate
from tinytorch.tensor import Op

CONVOLUTION = {1: conv1d, 2: conv2d, 3: conv3d}
TRANSPOSED = {1: conv_transpose1d, 2: conv_transpose2d, 3: conv_transpose3d}

# %%
#| export
def around(x, ends: list):
    """Pictures with margins of zeros, or, where they are below 0, with less of themselves."""
    listed = tuple([n for before_after in reversed(ends) for n in before_after])
    return pad(x, listed) if any(listed) else x


def picture_gradient(g, weight, lengths: tuple, ends: list, stride, dilation, groups: int):
    """What goes to the pictures: every gradient writes a window.

    (N, O, *L'), (O, C / groups, *kernel) -> (N, C, *L)
    """
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

# %% [markdown]
# ## The gradient of a filter
#
# The windows of the input are the rows of a matrix, as in the lesson, and the room that was there for
# their product now takes the gradients of the output. The transpose of the one times the other is a sum
# over all places. Where the forward writes pictures end to end, so does this: what was moved there is
# moved here.

# %%
#| export
@Op
def filters_seen(input, g, /, kernel, ends, stride, dilation, groups):
    """For each weight the sum of all products it was part of.

    (N, C, *L), (N, O, *L') -> (O, C / groups, *kernel)
    """
    if input.ndim == len(kernel) + 1: input, g = input[None], g[None]
    C, O = input.shape[1] // groups, g.shape[1] // groups
    out = np.zeros_like(g, shape=(O * groups, C, *kernel), order="C")
    if 0 in (out.size, g.size): return out
    input, ends = as_far_as(g.shape[2:], input, kernel, ends, stride, dilation)
    for group in range(groups):
        x, dy, dw = input[:, group * C :][:, :C], g[:, group * O :][:, :O], out[group * O :][:O]
        if suits_lines(x, dw, dy.shape[2:], ends, stride): on_lines_again(x, dy, ends, dilation, dw)
        else: in_slices_again(x, dy, ends, stride, dilation, dw)
    return out


def as_far_as(places: tuple, x, kernel, ends: list, stride, dilation):
    """Pictures and margins without what no window in these places looks at."""
    found, cut = [], []
    for n, m, k, (before, _), s, d in zip(x.shape[2:], places, kernel, ends, stride, dilation):
        after = (m - 1) * s + d * (k - 1) + 1 - n - before
        found.append((before, max(after, 0)))
        cut.append(slice(n + min(after, 0)))
    return x[(..., *cut)], found


def in_slices_again(x, g, ends: list, stride, dilation, dw) -> None:
    """Fills dw with the products of windows and gradients.  (N, C, *L), (N, O, *L'), dw (O, C, *kernel)"""
    pieces, total = Slices(x, dw, g.shape[2:], ends, stride, dilation), None
    for matrix, room, pictures, place in pieces:
        pictures[...] = g[place]
        part = matrix.T @ room                                          # (K, O)
        total = part if total is None else np.add(total, part, out=total)
    O, C, *kernel = dw.shape
    if pieces.last: dw[...] = total.reshape(*kernel, C, O).transpose(-1, -2, *range(len(kernel)))
    else: dw[...] = total.T.reshape(dw.shape)


def on_lines_again(x, g, ends: list, dilation, dw) -> None:
    """The same on pictures that are written in a line, with zeros between the gradients."""
    (N, _, *lengths), (O, C, *kernel) = x.shape, dw.shape
    pitch = pitches(lengths, ends)
    steps = [math.prod(pitch[way + 1 :]) for way in range(len(pitch))]
    moves = [sum([t * d * step for t, d, step in zip(tap, dilation, steps)])
             for tap in product(*map(range, kernel))]               # of the line, for each weight of a filter
    copied = len(moves) if C * len(moves) <= FEW_WEIGHTS else kernel[-1]
    one = math.prod(pitch)
    many = even(N, SLICE // (one * (copied * C + O)))
    end = many * one + sum([min(pair) * step for pair, step in zip(ends, steps)])
    lines = ROOMS.get("matrix", (copied, C, end), x)
    gradients = ROOMS.get("product", (O, max(end, many * one)), x)
    lines[0], gradients[...] = 0, 0
    inner = as_pictures(lines[0], many, pitch, [slice(b, b + n) for n, (b, _) in zip(lengths, ends)])
    pictures = as_pictures(gradients, many, pitch, [slice(n) for n in g.shape[2:]])
    far = end - moves[-1]                               # behind it there is no window any more
    total = np.zeros_like(x, shape=(len(moves) // copied, copied * C, O))
    for n in range(0, N, many):
        some = len(x[n : n + many])
        inner[:some], pictures[:some] = x[n : n + many], g[n : n + many]
        inner[some:], pictures[some:] = 0, 0
        for line, move in zip(lines[1:], moves[1:copied]): line[:, : end - move] = lines[0][:, move:]
        for part, move in zip(total, moves[::copied]):
            part += lines.reshape(-1, end)[:, move : move + far] @ gradients[:, :far].T
    dw[...] = total.reshape(-1, C, O).transpose(2, 1, 0).reshape(dw.shape)


@gradient(filters_seen)
def filters_seen_rule(g, _out, x, dy, ends, stride, dilation, groups):
    """Both gradients of a product of two: of each with the other."""
    lengths = x.shape[-g.ndim + 2 :]
    return (lambda: picture_gradient(dy, g, lengths, ends, stride, dilation, groups),
            lambda: looked_at(around(x, ends), g, dy.shape, 0, stride, dilation, groups))

# %% [markdown]
# ## Fewer walks
#
# A transposed convolution adds windows up, and every number of the result is read and written once for
# each weight. With stride 1 there is a better way: it is a plain convolution of the gradient with the
# filters turned round, the thing that mathematicians call a convolution, and that gathers. With stride
# s every s-th number of the result meets the same weights, every s-th of them: so cut the filters into
# s pieces in each direction, and each piece is a plain convolution again, with no multiplication
# wasted.

# %%
#| export
def turned_round(weight, groups: int):
    """Filters seen from their other side: mirrored, outputs as inputs.

    (O, C / groups, *kernel) -> (C, O / groups, *kernel)
    """
    O, C = weight.shape[:2]
    flipped = weight[(..., *[slice(None, None, -1)] * (weight.ndim - 2))]
    return flipped.reshape(groups, O // groups, *weight.shape[1:]).swapaxes(1, 2).reshape(
        groups * C, O // groups, *weight.shape[2:])


def gathered(g, weight, lengths: tuple, ends: list, stride, dilation, groups: int, met=None):
    """As `picture_gradient`, by plain convolutions of arrays, which `met` computes."""
    met = met or met_by_all
    if 0 in g.shape or any([s > 1 < d for s, d in zip(stride, dilation)]):
        return picture_gradient(g, weight, lengths, ends, stride, dilation, groups)
    ways = len(lengths)
    shape = (*g.shape[: g.ndim - ways - 1], weight.shape[1] * groups, *lengths)
    if set(stride) == {1}: return met(g, weight, shape, ends, dilation, groups)
    dx = np.zeros_like(g, shape=shape, order="C")
    for phase in product(*map(range, stride)):
        some = weight[(..., *[slice(r, None, s) for r, s in zip(phase, stride)])]
        firsts = [-(-max(before - r, 0) // s) for (before, _), r, s in zip(ends, phase, stride)]
        starts = [q * s + r - before for q, s, r, (before, _) in zip(firsts, stride, phase, ends)]
        counts = [-(-(n - start) // s) for n, start, s in zip(lengths, starts, stride)]
        if 0 in some.shape or min(counts) < 1: continue
        room = [(q, k - 1 + m - q - n) for q, k, m, n in zip(firsts, some.shape[2:], g.shape[-ways:], counts)]
        part = met(g, some, (*shape[: len(shape) - ways], *counts), room, dilation, groups)
        dx[(..., *[slice(start, None, s) for start, s in zip(starts, stride)])] = part
    return dx


def met_by_all(g, weight, shape: tuple, ends: list, dilation, groups: int):
    """The gradient of pictures of which every number meets all weights: stride 1."""
    spans = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation)]
    room = [(span - before, span - after) for span, (before, after) in zip(spans, ends)]
    even = [max(0, min(pair)) for pair in room]
    whole = around(g, [(before - m, after - m) for (before, after), m in zip(room, even)])
    return correlate("convolution", whole, turned_round(weight, groups), None, 1, even, dilation, groups)


@shortcut(conv1d, conv2d, conv3d)
def convolution_shortcut(g, _out, x, weight, _bias, stride, padding, dilation, groups):
    kernel = weight.shape[2:]
    stride, dilation = settled_ways(len(kernel), stride, dilation)
    ends, lengths = margins(padding, kernel, stride, dilation), x.shape[-len(kernel) :]
    return (lambda: gathered(g, weight, lengths, ends, stride, dilation, groups),
            lambda: filters_seen(x, g, kernel, ends, stride, dilation, groups),
            lambda: sums_of_channels(g, len(kernel)))


def sums_of_channels(g, ways: int):
    """As `bias_gradient`: the numbers of each picture are added up by a product with ones."""
    channels = g.reshape(-1, *g.shape[-ways - 1 : -ways], math.prod(g.shape[-ways:]))
    return (channels @ np.ones_like(g, shape=channels.shape[-1:])).sum(axis=0)
