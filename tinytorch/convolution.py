# Generated from modules/06_spatial/appendix_convolution.py by `tito export`. Edit that file, not this one.
"""Convolutions in one and three directions, and transposed ones, which go back."""

from __future__ import annotations

import math

import numpy as np

from .dtypes import dtype_of
from .errors import ShapeError, shape_of
from .ledger import flops
from .room import ROOMS, batched, each_way
from .spatial import SLICE, Convolution, channels_last, correlate, even, like_layout, windows
from .tensor import Op, permute

__all__ = [
    "conv1d", "conv3d", "Conv1d", "Conv3d", "conv_tbc", "scatter", "spread", "scatter_fits",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "transposed_flops", "TransposedConvolution",
    "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
]


@Op
def conv1d(input, weight, bias=None, /, stride=1, padding=0, dilation=1, groups=1):
    """Filters slide along lines.  (N, C, L), (O, C / groups, k), (O,) -> (N, O, L')"""
    if weight.ndim != 3: raise ShapeError(f"conv1d wants filters (O, C, k), not {shape_of(weight)}")
    return correlate("conv1d", input, weight, bias, stride, padding, dilation, groups)


@Op
def conv3d(input, weight, bias=None, /, stride=1, padding=0, dilation=1, groups=1):
    """Filters slide through solids.  (N, C, D, H, W), (O, C / groups, …), (O,) -> (N, O, D', H', W')"""
    if weight.ndim != 5: raise ShapeError(f"conv3d wants filters (O, C, kd, kh, kw), not {shape_of(weight)}")
    return correlate("conv3d", input, weight, bias, stride, padding, dilation, groups)


class Conv1d(Convolution):
    """Filters that slide along lines.  (N, C, L) -> (N, O, L')"""

    ways, function = 1, conv1d


class Conv3d(Convolution):
    """Filters that slide through solids.  (N, C, D, H, W) -> (N, O, D', H', W')"""

    ways, function = 3, conv3d


def conv_tbc(input, weight, bias, pad: int = 0):
    """Filters slide along lines whose first dimension is time.  (T, N, C), (k, C, O), (O,) -> (T', N, O)"""
    if input.ndim != 3 or weight.ndim != 3:
        raise ShapeError(f"conv_tbc wants lines (T, N, C) and filters (k, C, O), not {shape_of(input)} and "
                         f"{shape_of(weight)}")
    return permute(conv1d(permute(input, (1, 2, 0)), permute(weight, (2, 1, 0)), bias, 1, pad), (2, 0, 1))


def scatter(name: str, x, w, bias, stride, padding, output_padding, groups: int, dilation):
    """The transpose of a convolution.  (N, C, *L), (C, O / groups, *kernel), (O,) -> (N, O, *L')"""
    ways = w.ndim - 2
    x, many = batched(name, x, ways)
    stride, dilation = each_way("stride", stride, ways), each_way("dilation", dilation, ways)
    padding = each_way("padding", padding, ways, 0)
    extra = each_way("output_padding", output_padding, ways, 0)
    scatter_fits(name, x, w, bias, stride, extra, groups, dilation)
    spans = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation)]
    full = [(n - 1) * s + span + e for n, s, span, e in zip(x.shape[2:], stride, spans, extra)]
    lengths = tuple([n - 2 * p for n, p in zip(full, padding)])
    if min(lengths) < 1:
        raise ShapeError(f"{name} of {shape_of(x)} would have the shape {lengths}: less padding")
    out = like_layout(x, (len(x), w.shape[1] * groups, *lengths))
    inner = (slice(None), *[slice(p, p + n) for p, n in zip(padding, lengths)])
    C, O = len(w) // groups, w.shape[1]
    for g in range(groups):
        some, part = x[:, g * C : g * C + C], out[:, g * O : g * O + O]
        spread(channels_last(some), w[g * C : g * C + C], full, stride, dilation, inner, channels_last(part))
    if bias is not None: out += bias.reshape(-1, *(1,) * ways)
    return out if many else out[0]


def spread(x, w, full: list, stride, dilation, inner: tuple, out) -> None:
    """Fills `out` with the windows that every number writes, summed.  (N, *L, C) -> (N, *full, O)[inner]"""
    kernel, size, O = w.shape[2:], x.shape[1:-1], w.shape[1]
    weights = channels_last(w).copy().reshape(len(w), -1)                           # (C, taps * O)
    step = even(max(1, len(x)), SLICE // max(1, math.prod(size) * weights.shape[1]))
    for n in range(0, len(x), step):
        some = x[n : n + step]
        room = ROOMS.get("spread", (len(some), *full, O), x)
        room[...] = 0
        view = windows(room, kernel, stride, dilation)[(slice(None), *[slice(length) for length in size])]
        product = ROOMS.get("matrix", (math.prod(some.shape[:-1]), weights.shape[1]), x)
        np.matmul(some.reshape(len(product), -1), weights, out=product)
        pieces = product.reshape(*some.shape[:-1], *kernel, O)
        for place in np.ndindex(*kernel):
            view[(..., *place, slice(None))] += pieces[(..., *place, slice(None))]
        out[n : n + step] = room[inner]


def scatter_fits(name: str, x, w, bias, stride, extra, groups: int, dilation) -> None:
    """Complains about what does not fit."""
    given = f"{name} cannot take pictures {shape_of(x)} and filters {shape_of(w)}"
    if groups < 1 or len(w) % groups:
        raise RuntimeError(f"{given}: {len(w)} channels do not make {groups} groups")
    if x.shape[1] != len(w): raise ShapeError(f"{given}: {x.shape[1]} channels meet filters for {len(w)}")
    if bias is not None and bias.shape != (w.shape[1] * groups,):
        raise ShapeError(f"{given}: a bias of {shape_of(bias)} for {w.shape[1] * groups} channels")
    if len({a.dtype for a in (x, w, bias) if a is not None}) > 1:
        raise RuntimeError(f"{name} wants one dtype, not {dtype_of(x)} pictures and {dtype_of(w)} filters")
    for e, s, d in zip(extra, stride, dilation):
        if e >= max(s, d):
            raise RuntimeError(f"{name}: output_padding {e} should be less than the stride {s} or the "
                               f"dilation {d}")


@Op
def conv_transpose1d(input, weight, bias=None, /, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):
    """Every number writes a window of a line.  (N, C, L), (C, O / groups, k), (O,) -> (N, O, L')"""
    return scatter("conv_transpose1d", input, weight, bias, stride, padding, output_padding, groups, dilation)


@Op
def conv_transpose2d(input, weight, bias=None, /, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):
    """Every pixel writes a window of a picture.  (N, C, H, W), (C, O / groups, …), (O,) -> (N, O, H', W')"""
    return scatter("conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation)


@Op
def conv_transpose3d(input, weight, bias=None, /, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):
    """Every number writes a window of a solid.  (N, C, *), (C, O / groups, …), (O,) -> (N, O, D', H', W')"""
    return scatter("conv_transpose3d", input, weight, bias, stride, padding, output_padding, groups, dilation)


@flops("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_flops(out, input, weight, bias=None, **settings) -> int:
    """Every number of the input meets all weights of its filter, every number of the output its bias."""
    return 2 * input.numel() * math.prod(weight.shape[1:]) + (0 if bias is None else out.numel())


class TransposedConvolution(Convolution):
    """Filters that are written where a convolution would look."""

    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0, output_padding=0,
        groups: int = 1, bias: bool = True, dilation=1, padding_mode: str = "zeros", device=None, dtype=None,
    ):
        if padding_mode != "zeros": raise ValueError(f"padding_mode={padding_mode!r}: "
                                                     f"{type(self).__name__} knows zeros")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
                         padding_mode, device, dtype)
        self.output_padding = each_way("output_padding", output_padding, self.ways, 0)

    def forward(self, input, output_size=None):
        extra = self.output_padding if output_size is None else self.padding_for(input, output_size)
        return type(self).function(input, self.weight, self.bias, self.stride, self.padding, extra,
                                   self.groups,
                                   self.dilation)

    def padding_for(self, input, output_size) -> list[int]:
        """The output padding that makes the output as large as it was asked for."""
        wanted = tuple(output_size)[-self.ways :]
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in zip(
            input.shape[-self.ways :], self.stride, self.padding, self.dilation, self.kernel_size)]
        found = [want - n for want, n in zip(wanted, least)]
        if len(wanted) != self.ways or not all([0 <= e < s for e, s in zip(found, self.stride)]):
            most = [n + s - 1 for n, s in zip(least, self.stride)]
            raise ValueError(f"output_size {list(output_size)} is not between {least} and {most}, "
                             f"which an input of {shape_of(input)} can become")
        return found


class ConvTranspose1d(TransposedConvolution):
    """Every number writes a window of a line.  (N, C, L) -> (N, O, L')"""

    ways, function = 1, conv_transpose1d


class ConvTranspose2d(TransposedConvolution):
    """Every pixel writes a window of a picture.  (N, C, H, W) -> (N, O, H', W')"""

    ways, function = 2, conv_transpose2d


class ConvTranspose3d(TransposedConvolution):
    """Every number writes a window of a solid.  (N, C, D, H, W) -> (N, O, D', H', W')"""

    ways, function = 3, conv_transpose3d
