# Generated from modules/06_spatial/spatial.py by `tito export`. Edit that file, not this one.
"""Windows that slide over pictures: convolution, pooling, batch normalisation, and a LeNet."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .activations import relu
from .creation import empty, ones, zeros
from .dense import Linear
from .devices import at_home, beside, window
from .dtypes import dtype_of, int64
from .errors import ShapeError, shape_of
from .fitting import as_rows, row_sums
from .initialisation import kaiming_uniform_
from .layers import Module, Parameter
from .ledger import flops
from .lines import on_lines, suits_lines
from .room import ROOMS, SLICE, batched, each_way, even, margins, pad
from .shaping import along, flatten
from .tensor import Kept, Op, Tensor, tensor

__all__ = [
    "out_length", "conv2d_loops", "windows", "im2col", "FEW", "Slices", "channels_first", "channels_last",
    "convolve", "correlate", "places_for", "like_layout", "point_by_point", "one_by_one", "conv2d",
    "conv_flops", "filter_shape", "fan_in", "Convolution", "Conv2d", "taps", "started", "slide",
    "pool_length", "Pool", "first_largest", "lowest", "Champion", "largest", "max_pool2d", "counts",
    "average", "avg_pool2d", "MaxPool", "MaxPool2d", "AvgPool2d", "by_channel", "spread", "channel_means",
    "standardize_channels", "rescale_channels", "move_towards", "batch_norm", "BatchNorm", "BatchNorm2d",
    "LeNet5",
]


def out_length(length: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """In how many places a window fits into a line; `padding` is added at both ends."""
    span = dilation * (kernel - 1) + 1
    return (length + 2 * padding - span) // stride + 1


def conv2d_loops(x, w, stride: int = 1):
    """What a convolution is, one multiplication at a time.  (N, C, H, W), (O, C, kh, kw) -> (N, O, H', W')"""
    (N, C, H, W), (O, _, kh, kw) = x.shape, w.shape
    out = np.zeros((N, O, out_length(H, kh, stride), out_length(W, kw, stride)), x.dtype)
    for n, o, i, j in np.ndindex(*out.shape):
        for c, a, b in np.ndindex(C, kh, kw):
            out[n, o, i, j] += x[n, c, i * stride + a, j * stride + b] * w[o, c, a, b]
    return out


def windows(x, kernel: tuple, stride: tuple, dilation: tuple):
    """Every window, as a view: where it stands, then what is in it.  (N, *L, C) -> (N, *L', *kernel, C)"""
    lengths, steps = x.shape[1:-1], x.strides[1:-1]
    places = tuple([out_length(n, k, s, 0, d) for n, k, s, d in zip(lengths, kernel, stride, dilation)])
    between = tuple([step * s for step, s in zip(steps, stride)])
    inside = tuple([step * d for step, d in zip(steps, dilation)])
    shape = (x.shape[0], *places, *kernel, x.shape[-1])
    return window(x, shape, (x.strides[0], *between, *inside, x.strides[-1]))


def im2col(view, out=None):
    """The windows as the rows of a matrix, in `out` if it is given.  (N, *L', *kernel, C) -> (places, K)"""
    ways = (view.ndim - 2) // 2
    places = math.prod(view.shape[: 1 + ways])
    out = np.empty_like(view, order="C") if out is None else out.reshape(view.shape)
    np.copyto(out, view)
    return out.reshape(places, -1) if places else out.reshape(0, math.prod(view.shape[1 + ways :]))


FEW = 16                            # fewer numbers side by side are not worth a copy


class Slices:
    """A convolution in pieces that fit into the cache, and share the memory they are made in.

    Each piece is `matrix, product, pictures, place`: the windows as rows; room for their product with
    `weights`; the same room looked at as pictures (n, O, rows, *); and where in the output they belong.
    """

    def __init__(self, x, w, places: tuple, ends: list, stride: tuple, dilation: tuple):
        self.x, self.ways, self.last = x, len(places), w.shape[1] * w.shape[-1] >= FEW
        first, *between = range(1, w.ndim)
        weights = w.transpose(0, *between, first) if self.last else w
        self.weights = weights.reshape(len(w), -1).T.copy()                         # (K, O)
        row = max(1, math.prod(w.shape[1:]) * math.prod(places[1:]))
        self.rows = even(places[0], SLICE // row)
        self.pictures = even(len(x), SLICE // (row * self.rows)) if self.rows == places[0] else 1
        self.margins, self.inner = self.with_margins(ends)
        self.windows = windows(self.margins, w.shape[2:], stride, dilation)

    def __iter__(self):
        for n in range(0, len(self.x), self.pictures):
            some = self.x[n : n + self.pictures]
            self.inner[: len(some)] = some
            for r in range(0, self.windows.shape[1], self.rows):
                view = self.windows[: len(some), r : r + self.rows]
                place = slice(n, n + self.pictures), slice(None), slice(r, r + self.rows)
                yield *self.piece(view), place

    def with_margins(self, ends: list):
        """Room for pictures with zeros around them, and where in it the pictures go."""
        lengths = [n + before + after for n, (before, after) in zip(self.x.shape[2:], ends)]
        room, _ = self.room("margins", (self.pictures, *lengths), self.x.shape[1:2])
        room[...] = 0
        inner = [slice(before, before + n) for n, (before, _) in zip(self.x.shape[2:], ends)]
        return room, channels_first(room[(slice(None), *inner)])

    def piece(self, view):
        """The matrix of some windows, room for its product, and that room as pictures."""
        places, inside = view.shape[: self.ways + 1], view.shape[self.ways + 1 :]
        gathered, matrix = self.room("matrix", places, inside)
        pictures, product = self.room("product", places, self.weights.shape[1:])
        if self.last: im2col(view, gathered)
        else: np.copyto(gathered, view)
        return matrix, product, channels_first(pictures)

    def room(self, name: str, places: tuple, inside: tuple):
        """Memory as an array (*places, *inside), and as a matrix; `last` says which lie together."""
        n, m = math.prod(places), math.prod(inside)
        if self.last:
            room = ROOMS.get(name, (*places, *inside), self.x)
            return room, room.reshape(n, m)
        room, k = ROOMS.get(name, (*inside[-1:], *inside[:-1], *places), self.x), len(inside)
        return room.transpose(*range(k, room.ndim), *range(1, k), 0), room.reshape(m, n).T


def channels_first(x):
    """(n, *L, C) -> (n, C, *L), the same memory."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def channels_last(x):
    """(n, C, *L) -> (n, *L, C), the same memory."""
    return x.transpose(0, *range(2, x.ndim), 1)


def convolve(pieces: Slices, bias, out) -> None:
    """Fills `out` with the convolution that `pieces` cuts up.  bias (O, 1, 1) or None, out (N, O, H', W')"""
    for matrix, product, pictures, place in pieces:
        np.matmul(matrix, pieces.weights, out=product)
        if bias is None: out[place] = pictures
        else: np.add(pictures, bias, out=out[place])


def correlate(name: str, x, w, bias, stride, padding, dilation, groups: int):
    """Convolution in any number of directions.  (N, C, *L), (O, C / groups, *kernel), (O,) -> (N, O, *L')"""
    ways = w.ndim - 2
    x, many = batched(name, x, ways)
    stride, dilation = each_way("stride", stride, ways), each_way("dilation", dilation, ways)
    ends = margins(padding, w.shape[2:], stride, dilation)
    places = places_for(name, x, w, bias, ends, stride, dilation, groups)
    out = like_layout(x, (len(x), len(w), *places))
    bias = None if bias is None else bias.reshape(-1, *(1,) * ways)
    if out.size == 0 or w.size == 0: out[...] = 0 if bias is None else bias
    elif w.shape[1] == 1 < groups: one_by_one(x, w, bias, ends, stride, dilation, out)
    elif groups == 1 == math.prod(w.shape[2:]) and places == x.shape[2:] and set(stride) == {1}:
        point_by_point(x, w, bias, out)
    else:
        C, O = w.shape[1], len(w) // groups
        for g in range(groups):
            c, o = slice(g * C, g * C + C), slice(g * O, g * O + O)
            part = x[:, c], w[o], None if bias is None else bias[o]
            if suits_lines(*part[:2], places, ends, stride): on_lines(*part, ends, dilation, out[:, o])
            else: convolve(Slices(*part[:2], places, ends, stride, dilation), part[2], out[:, o])
    return out if many else out[0]


def places_for(name: str, x, w, bias, ends, stride, dilation, groups: int) -> tuple:
    """The lengths of the output; complains about what does not fit."""
    given = f"{name} cannot take pictures {shape_of(x)} and filters {shape_of(w)}"
    if groups < 1 or len(w) % groups:
        raise RuntimeError(f"{given}: {len(w)} filters do not make {groups} groups")
    if x.shape[1] != w.shape[1] * groups:
        raise ShapeError(f"{given}: {x.shape[1]} channels meet filters for {w.shape[1] * groups}"
                         + (f" ({groups} groups of {w.shape[1]})" if groups > 1 else ""))
    if bias is not None and bias.shape != w.shape[:1]:
        raise ShapeError(f"{given}: a bias of {shape_of(bias)} for {len(w)} filters")
    kinds = {a.dtype for a in (x, w, bias) if a is not None}
    if len(kinds) > 1:
        raise RuntimeError(f"{name} wants one dtype, not {dtype_of(x)} pictures and {dtype_of(w)} filters")
    lengths = [n + before + after for n, (before, after) in zip(x.shape[2:], ends)]
    found = tuple([out_length(n, k, s, 0, d) for n, k, s, d in zip(lengths, w.shape[2:], stride, dilation)])
    if min(found) < 1:
        raise ShapeError(f"{given}: with its margins a picture is {tuple(lengths)}, less than a window spans")
    return found


def like_layout(x, shape: tuple):
    """New memory for pictures, channels last where those of x are."""
    last = x.ndim == 4 and x.shape[1] > 1 and x.strides[1] == x.itemsize and x.strides[3] > x.itemsize
    if not last: return np.empty_like(x, shape=shape, order="C")
    return channels_first(np.empty_like(x, shape=(shape[0], *shape[2:], shape[1]), order="C"))


def point_by_point(x, w, bias, out) -> None:
    """Filters that look at one place only: a product for every picture."""
    weights = w.reshape(len(w), -1)
    if out.flags.c_contiguous:
        np.matmul(weights, x.reshape(*x.shape[:2], -1), out=out.reshape(*out.shape[:2], -1))
    else:
        np.matmul(channels_last(x), weights.T, out=channels_last(out))
    if bias is not None: out += bias


def one_by_one(x, w, bias, ends, stride, dilation, out) -> None:
    """Filters that look at one channel each: every weight times all it meets."""
    many, kernel = len(w) // x.shape[1], w.shape[2:]
    for one, made in zip(x, out):
        room = np.pad(one, [(0, 0), *ends])
        if many > 1: room = np.repeat(room, many, axis=0)
        made[...] = 0 if bias is None else bias
        view = windows(room[..., None], kernel, stride, dilation)[..., 0]
        for place in np.ndindex(*kernel):
            made += view[(..., *place)] * w[(slice(None), 0, *place)].reshape(-1, *(1,) * len(kernel))


@Op
def conv2d(input, weight, bias=None, /, stride=1, padding=0, dilation=1, groups=1):
    """Filters slide over pictures.  (N, C, H, W), (O, C / groups, kh, kw), (O,) -> (N, O, H', W')"""
    if weight.ndim != 4: raise ShapeError(f"conv2d wants filters (O, C, kh, kw), not {shape_of(weight)}")
    return correlate("conv2d", input, weight, bias, stride, padding, dilation, groups)


@flops("conv1d", "conv2d", "conv3d")
def conv_flops(out, input, weight, bias=None, **settings) -> int:
    """The floating-point operations of a convolution, that of its bias included."""
    return out.numel() * (2 * math.prod(weight.shape[1:]) + (bias is not None))


def filter_shape(in_channels: int, out_channels: int, kernel: tuple, groups: int = 1) -> tuple[int, ...]:
    """The shape of a layer's filters."""
    return (out_channels, in_channels // groups, *kernel)


def fan_in(weight) -> int:
    """How many numbers one filter looks at."""
    return math.prod(weight.shape[1:])


class Convolution(Module):
    """Filters that slide over pictures, and the settings of how they do."""

    ways = 0
    transposed = False

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0, dilation=1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device=None, dtype=None,
    ):
        super().__init__()
        if groups < 1: raise ValueError(f"groups={groups}: there is at least one group")
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{in_channels} and {out_channels} channels do not both make {groups} groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = each_way("kernel_size", kernel_size, self.ways)
        self.stride = each_way("stride", stride, self.ways)
        self.dilation = each_way("dilation", dilation, self.ways)
        self.padding = padding if isinstance(padding, str) else each_way("padding", padding, self.ways, 0)
        self.output_padding, self.padding_mode = (0,) * self.ways, padding_mode
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(f"padding_mode is zeros, reflect, replicate or circular, not {padding_mode!r}")
        self.margins = margins(self.padding, self.kernel_size, self.stride, self.dilation)
        sides = (out_channels, in_channels) if self.transposed else (in_channels, out_channels)
        shape = filter_shape(*sides, self.kernel_size, groups)
        self.weight = Parameter(empty(*shape, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws filters and bias anew, as PyTorch does: from -1/sqrt(fan-in) to 1/sqrt(fan-in)."""
        kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None and fan_in(self.weight):
            bound = 1 / math.sqrt(fan_in(self.weight))
            self.bias.data.uniform_(-bound, bound)

    def forward(self, input):
        padding = self.padding
        if self.padding_mode != "zeros":
            input = pad(input, [n for ends in reversed(self.margins) for n in ends], self.padding_mode)
            padding = 0
        return type(self).function(input, self.weight, self.bias, self.stride, padding, self.dilation,
                                   self.groups)

    def extra_repr(self) -> str:
        nothing, sides = (0,) * self.ways, f"{self.in_channels}, {self.out_channels}"
        told = f"{sides}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in [("padding", nothing), ("dilation", (1,) * self.ways), ("output_padding", nothing),
                            ("groups", 1)]:
            if getattr(self, name) != usual: told += f", {name}={getattr(self, name)}"
        if self.bias is None: told += ", bias=False"
        return told + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class Conv2d(Convolution):
    """Filters that slide over pictures.  (N, C, H, W) -> (N, O, H', W')"""

    ways, function = 2, conv2d


def taps(length: int, kernel: int, stride: int, padding: int, dilation: int, places: int):
    """For each place inside of a window: which outputs it reaches, and the inputs it reads for them."""
    for t in range(kernel):
        shift = t * dilation - padding                      # output o reads input o * stride + shift
        first, last = max(0, -(shift // stride)), min(places - 1, (length - 1 - shift) // stride)
        if first <= last:
            start = first * stride + shift
            yield slice(first, last + 1), slice(start, start + (last - first) * stride + 1, stride)


def started(piece, dim: int, to: slice, places: int, start):
    """New memory for outputs, with the first piece in its place and `start` where it does not reach."""
    shape = (*piece.shape[:dim], places, *piece.shape[dim + 1 :])
    if piece.shape == shape: return piece.copy()
    out = np.full_like(piece, start, shape=shape)
    out[along(dim, to)] = piece
    return out


def slide(reduce, x, dim: int, kernel: int, stride: int, padding: int, dilation: int, places: int, start):
    """np.maximum, or np.add, over all windows along one dimension.  (*, L, *) -> (*, places, *)"""
    out = None
    for to, of in taps(x.shape[dim], kernel, stride, padding, dilation, places):
        piece = x[along(dim, of)]
        if out is None: out = started(piece, dim, to, places, start)
        else:
            part = out[along(dim, to)]
            reduce(part, piece, out=part)
    return out


def pool_length(length: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """In how many places a window stands; with `ceil_mode` the last one may hang over the end."""
    if not ceil_mode: return out_length(length, kernel, stride, padding, dilation)
    places = 1 - (dilation * (kernel - 1) + 1 - length - 2 * padding) // stride
    return places - ((places - 1) * stride >= length + padding)


class Pool:
    """Where the windows of a pooling op stand, along each direction."""

    def __init__(self, name, x, ways: int, kernel_size, stride, padding, dilation, ceil_mode):
        self.x, self.many = batched(name, x, ways)
        self.kernel = each_way("kernel_size", kernel_size, ways)
        self.stride = self.kernel if stride in (None, ()) else each_way("stride", stride, ways)
        self.padding = each_way("padding", padding, ways, 0)
        self.dilation = each_way("dilation", dilation, ways)
        for k, p, d in zip(self.kernel, self.padding, self.dilation):
            if 2 * p > d * (k - 1) + 1:
                raise RuntimeError(f"{name}: padding {p} is more than half of the {d * (k - 1) + 1} "
                                   "pixels that a window spans: some windows would see nothing else")
        self.settings = list(zip(self.kernel, self.stride, self.padding, self.dilation))
        self.places = tuple([pool_length(n, *s, ceil_mode) for n, s in zip(self.x.shape[2:], self.settings)])
        if min(self.places) < 1 or 0 in x.shape[-ways - 1 :]:
            raise ShapeError(f"{name}: no window of {self.kernel} fits into pictures of {shape_of(x)}")

    def over(self, reduce, start):
        """np.maximum or np.add of each window, one direction at a time, from the last to the first."""
        out = self.x
        for dim, settings, places in reversed(list(zip(count(2), self.settings, self.places))):
            out = slide(reduce, out, dim, *settings, places, start)
        return out if self.many else out[0]

    def places_of_largest(self):
        """Where in its picture, counted along the line, each window's largest number stands."""
        x, ways = self.x, len(self.places)
        ends = [(p, max(0, (n - 1) * s + (k - 1) * d + 1 - p - length)) for length, n, (k, s, p, d)
                in zip(x.shape[2:], self.places, self.settings)]
        room = np.pad(x, [(0, 0), (0, 0), *ends], constant_values=lowest(x))
        view = windows(room.reshape(-1, *room.shape[2:], 1), self.kernel, self.stride, self.dilation)
        view = view[(slice(None), *[slice(n) for n in self.places])]
        rows = view.reshape(*view.shape[: ways + 1], math.prod(self.kernel))
        inside = np.unravel_index(first_largest(rows), self.kernel)
        line = 0
        for way, (length, (_, s, p, d)) in enumerate(zip(x.shape[2:], self.settings)):
            corner = np.arange(self.places[way], like=x).reshape(-1, *(1,) * (ways - 1 - way)) * s - p
            place = corner + inside[way] * d
            line = line * length + np.where(place < 0, place % d, place)    # -inf in a margin is not there
        line = line.reshape(*x.shape[:2], *self.places)
        return line if self.many else line[0]


def first_largest(rows):
    """Which number of each row is the largest, the first of equals; or the last nan, if there is one."""
    found, odd = rows.argmax(-1), rows != rows
    if at_home(odd) and not odd.any(): return found
    return np.where(odd.any(-1), rows.shape[-1] - 1 - odd[..., ::-1].argmax(-1), found)


def lowest(x):
    """What is below every number of that dtype."""
    return -math.inf if dtype_of(x).is_floating_point else np.iinfo(x.dtype).min


class Champion:
    """np.maximum, which notes each time where the newcomer beats the largest so far."""

    def __init__(self): self.beaten = []

    def __call__(self, held, newcomer, out) -> None:
        newcomer = newcomer.copy()          # once on one piece of memory it is read faster, and twice
        self.beaten.append(newcomer > held)
        np.maximum(held, newcomer, out=out)


def largest(name: str, x, ways: int, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    """Max pooling in any number of directions."""
    pool = Pool(name, x, ways, kernel_size, stride, padding, dilation, ceil_mode)
    if return_indices: return pool.over(np.maximum, lowest(x)), pool.places_of_largest()
    champion = Champion()
    out = pool.over(champion, lowest(x))
    return Kept(out, champion.beaten)


@Op
def max_pool2d(input, /, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The largest number of every window, and on request where it stood.  (N, C, H, W) -> (N, C, H', W')"""
    return largest("max_pool2d", input, 2, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def counts(length: int, kernel: int, stride: int, padding: int, places: int,
           count_include_pad: bool) -> list[int]:
    """How many numbers each window has along one direction: those inside, or with those of the padding."""
    starts = [o * stride - padding for o in range(places)]
    if count_include_pad: return [min(start + kernel, length + padding) - start for start in starts]
    return [min(start + kernel, length) - max(start, 0) for start in starts]


def average(pool: Pool, count_include_pad: bool = True, divisor_override: int | None = None):
    """The average of every window, or its sum over `divisor_override`.  (N, C, *L) -> (N, C, *places)"""
    numbers = np.array([1])
    for n, (k, s, p, _), places in zip(pool.x.shape[2:], pool.settings, pool.places):
        numbers = numbers[..., None] * np.array(counts(n, k, s, p, places, count_include_pad))
    total = pool.over(np.add, 0)
    total /= divisor_override or beside(numbers[0].astype(total.dtype), total)
    return total


@Op
def avg_pool2d(
    input, /, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):
    """The average of every window.  (N, C, H, W) -> (N, C, H', W')"""
    if divisor_override == 0: raise RuntimeError("divisor_override must not be 0")
    pool = Pool("avg_pool2d", input, 2, kernel_size, stride, padding, 1, ceil_mode)
    return average(pool, count_include_pad, divisor_override)


class MaxPool(Module):
    """Keeps the largest number of every window."""

    ways = 0

    def __init__(
        self, kernel_size, stride=None, padding=0, dilation=1, return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input):
        return type(self).function(input, self.kernel_size, self.stride, self.padding, self.dilation,
                                   ceil_mode=self.ceil_mode, return_indices=self.return_indices)

    def extra_repr(self) -> str:
        return (f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
                f"dilation={self.dilation}, ceil_mode={self.ceil_mode}")


class MaxPool2d(MaxPool):
    """Keeps the largest number of every window.  (N, C, H, W) -> (N, C, H', W')"""

    ways, function = 2, max_pool2d


class AvgPool2d(Module):
    """Averages every window.  (N, C, H, W) -> (N, C, H', W')"""

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input):
        return avg_pool2d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                          self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def by_channel(values, x):
    """One number for each channel, in a shape that meets x.  (C,) -> (C, 1, 1)"""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def spread(values, x):
    """The same, written out for all places of a picture that is not too large.  (C,) -> (C, H, W)"""
    places = math.prod(x.shape[2:])
    if places > 4096 or not x.flags.c_contiguous: return by_channel(values, x)
    return np.repeat(values, places).reshape(x.shape[1:])


def channel_means(x, y=None):
    """The mean of each channel, or of its products with another array.  (N, C, *), (N, C, *) -> (C,)"""
    n, kind = len(x) * math.prod(x.shape[2:]), x.dtype
    x, y = [a if a is None else a.T if a.ndim == 2 else as_rows(a, a.ndim - 2) for a in (x, y)]
    sums = row_sums(x, y)[..., 0]
    return (sums if sums.ndim == 1 else sums.sum(axis=0)).astype(kind, copy=False) / n


@Op
def standardize_channels(input, weight=None, bias=None, /, eps=1e-5):
    """Every channel moved to mean 0 and variance 1, then by weight and bias.  (N, C, *), (C,) -> (N, C, *)"""
    mean = channel_means(input)
    out = input - spread(mean, input)
    var = channel_means(out, out)
    scale = 1 / np.sqrt(var + eps)
    out *= spread(scale if weight is None else scale * weight, input)
    if bias is not None: out += spread(bias, input)
    return Kept(out, mean, var)


@Op
def rescale_channels(input, mean, var, weight=None, bias=None, /, eps=1e-5):
    """The same with a mean and a variance from before: a scale and a shift.  (N, C, *), (C,) -> (N, C, *)"""
    scale = 1 / np.sqrt(var + eps)
    if weight is not None: scale = scale * weight
    out = input * spread(scale, input)
    out += spread(-mean * scale if bias is None else bias - mean * scale, input)
    return out


def move_towards(running, batch, momentum: float) -> None:
    """Moves the running numbers towards those of a batch, in place."""
    running.copy_(running.array * (1 - momentum) + batch * momentum)


def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training: bool = False, momentum: float = 0.1,
    eps: float = 1e-05,
):
    """Channels at one scale: by their batch while training, else by the running statistics.  (N, C, *)"""
    for given in (running_mean, running_var, weight, bias):
        if given is not None and given.shape != input.shape[1:2]:
            raise ShapeError(f"batch_norm of {shape_of(input)} wants {tuple(input.shape[1:2])} numbers, not "
                             f"{shape_of(given)}")
    if not training: return rescale_channels(input, running_mean, running_var, weight, bias, eps)
    n = input.numel() // max(1, input.shape[1])
    if n == 1:
        raise ValueError(f"batch_norm cannot learn from a single number a channel, as in {shape_of(input)}")
    if n == 0: return input.clone()
    out = standardize_channels(input, weight, bias, eps)
    if running_mean is not None:
        mean, var = out.kept
        move_towards(running_mean, mean, momentum)
        move_towards(running_var, var * (n / (n - 1)), momentum)
    return out


class BatchNorm(Module):
    """Channels at one scale; while training it keeps statistics for later."""

    accepts: tuple[int, ...] = ()

    def __init__(
        self, num_features: int, eps: float = 1e-05, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device=None, dtype=None, *, bias: bool = True,
    ):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        new = {"device": device, "dtype": dtype}
        self.weight = Parameter(ones(num_features, **new)) if affine else None
        self.bias = Parameter(zeros(num_features, **new)) if affine and bias else None
        self.register_buffer("running_mean", zeros(num_features, **new) if track_running_stats else None)
        self.register_buffer("running_var", ones(num_features, **new) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", tensor(0, dtype=int64) if track_running_stats else None)

    def reset_running_stats(self) -> None:
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        if self.weight is not None: self.weight.data.fill_(1)
        if self.bias is not None: self.bias.data.zero_()

    def forward(self, input):
        if input.ndim not in self.accepts:
            wanted = " or ".join([f"{n}D" for n in self.accepts])
            raise ValueError(f"expected {wanted} input (got {input.ndim}D input): {type(self).__name__} "
                             f"normalizes channels")
        momentum = self.momentum or 0.0
        if self.training and self.track_running_stats:
            self.num_batches_tracked.add_(1)
            if self.momentum is None: momentum = 1 / self.num_batches_tracked.item()     # a plain average
        learns = self.training or self.running_mean is None
        keeps = not self.training or self.track_running_stats
        return batch_norm(input, self.running_mean if keeps else None, self.running_var if keeps else None,
                          self.weight, self.bias, learns, momentum, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}")


class BatchNorm2d(BatchNorm):
    """Channels of pictures at one scale.  (N, C, H, W) -> (N, C, H, W)"""

    accepts = (4,)


class LeNet5(Module):
    """LeCun's reader of digits (1998), with relu and max pooling.  (N, 1, 28, 28) -> (N, num_classes)"""

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.conv1, self.conv2 = Conv2d(1, 6, 5, padding=2), Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = Linear(16 * 5 * 5, 120), Linear(120, 84), Linear(84, num_classes)

    def forward(self, x):
        x = max_pool2d(relu(self.conv1(x)), 2)
        x = max_pool2d(relu(self.conv2(x)), 2)
        x = relu(self.fc1(flatten(x, 1)))
        return self.fc3(relu(self.fc2(x)))
