# %% [markdown]
# # Appendix: larger, smaller, cut up and put together
#
# Pictures of another size, pixels turned into channels and back, windows as a tensor of their own, margins as
# modules.

# %%
#| export
"""Pictures of another size, pixels and channels exchanged, windows taken out and put back, margins."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.devices import beside
from tinytorch.errors import ShapeError, shape_of
from tinytorch.layers import Module
from tinytorch.pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from tinytorch.room import batched, each_way, pad
from tinytorch.spatial import channels_first, channels_last, out_length, windows
from tinytorch.tensor import Op, permute, reshape

# %% [markdown]
# ## Another size
#
# Every pixel of the new picture stands somewhere in the old one, mostly between pixels. If pixels are little
# squares, the middle of new pixel i lies at `(i + 1/2) * scale - 1/2`; with `align_corners` pixels are
# points, and the first and the last stay where they are. Then the new pixel is a mixture of its
# neighbours: the nearest, the two around it, or four.
#
# Directions do not mix: first rows, then columns. So a mode is a function that says, for one direction, which
# neighbours every new pixel has and what they weigh.

# %%
#| export
def middles(n: int, new: int, scale: float, align_corners: bool):
    """Where the new pixels stand, in old pixels."""
    if align_corners: return np.arange(new) * ((n - 1) / (new - 1) if new > 1 else 0.0)
    return (np.arange(new) + 0.5) * scale - 0.5


def nearest(n: int, new: int, scale: float, align_corners: bool, shift: float = 0.0):
    """The pixel a new one falls on, as PyTorch finds it: with the scale in float32."""
    at = (np.arange(new, dtype=np.float32) + np.float32(shift)) * np.float32(scale)
    return np.minimum(at.astype(np.int64), n - 1)[:, None], None


def nearest_exact(n: int, new: int, scale: float, align_corners: bool):
    """The pixel in which the middle of a new one lies."""
    return nearest(n, new, scale, align_corners, 0.5)


def linear(n: int, new: int, scale: float, align_corners: bool):
    """The two pixels around, by their distance."""
    at = np.maximum(middles(n, new, scale, align_corners), 0)
    low = np.minimum(at.astype(np.int64), n - 1)
    part = (at - low)[:, None]
    return np.stack([low, np.minimum(low + 1, n - 1)], 1), np.concatenate([1 - part, part], 1)


def cubic(n: int, new: int, scale: float, align_corners: bool):
    """Four pixels around, by Keys' curve of 1981 with a = -0.75."""
    at = middles(n, new, scale, align_corners)
    low = np.floor(at).astype(np.int64)
    places = low[:, None] + np.arange(-1, 3)
    return np.clip(places, 0, n - 1), keys(np.abs(at[:, None] - places), -0.75)


def keys(x, a: float):
    """Keys' curve: 1 at 0, and 0 at 1, 2 and beyond."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def smoothed(curve, reach: float):
    """The same for making pictures smaller without artefacts: the curve grows as wide as the new pixels."""
    def places(n: int, new: int, scale: float, align_corners: bool):
        if align_corners: scale = (n - 1) / (new - 1) if new > 1 else 0.0
        wide, at = max(scale, 1.0), (np.arange(new) + 0.5) * scale
        first = np.maximum((at - reach * wide + 0.5).astype(np.int64), 0)
        last = np.minimum((at + reach * wide + 0.5).astype(np.int64), n)
        found = first[:, None] + np.arange(int(max((last - first).max(), 1)))
        weights = np.where(found < last[:, None], curve(np.abs(found - at[:, None] + 0.5) / wide), 0)
        return np.minimum(found, n - 1), weights / weights.sum(1, keepdims=True)
    return places


MODES = {"nearest": nearest, "nearest-exact": nearest_exact, "linear": linear, "bilinear": linear,
         "trilinear": linear, "bicubic": cubic}
SMOOTH = {
    "bilinear": smoothed(lambda x: np.maximum(1 - x, 0), 1.0),
    "bicubic": smoothed(lambda x: keys(x, -0.5), 2.0),
}
WAYS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}

# %%
#| export
@Op
def resample(input, /, size, scales, mode="nearest", align_corners=False, antialias=False):
    """Pictures of another size.  (N, C, *L) -> (N, C, *size)"""
    find = SMOOTH[mode] if antialias else MODES[mode]
    for dim, (new, scale) in enumerate(zip(size, scales), 2):
        places, weights = find(input.shape[dim], new, scale, align_corners)
        input = mixed(input, dim, places, weights)
    return input


def mixed(x, dim: int, places, weights):
    """Every new number a mixture of some along one dimension.  (*, n, *), (new, taps) -> (*, new, *)"""
    if weights is None: return np.take(x, places[:, 0].tolist(), axis=dim)
    if x.dtype.kind != "f":                 # whole numbers: mixed as floats, and rounded
        rounded, limits = mixed(x.astype(np.float32), dim, places, weights).round(), np.iinfo(x.dtype)
        return rounded.clip(limits.min, limits.max).astype(x.dtype)
    out = None
    for at, weight in zip(places.T, weights.T):
        piece = np.take(x, at.tolist(), axis=dim)
        piece *= beside(weight.astype(x.dtype), x).reshape(-1, *(1,) * (x.ndim - 1 - dim))
        out = piece if out is None else np.add(out, piece, out=out)
    return out


def interpolate(
    input, size=None, scale_factor=None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
):
    """Pictures of another size, given as such or as a factor.  (N, C, *L) -> (N, C, *size)"""
    ways = input.ndim - 2
    wanted_mode(input, mode, align_corners, antialias)
    size, scales = new_size(input, size, scale_factor, recompute_scale_factor, ways, int(mode != "area"))
    if mode == "area": return AREA[ways](input, size)
    return resample(input, size=size, scales=scales, mode=mode, align_corners=bool(align_corners),
                    antialias=antialias)


def wanted_mode(input, mode: str, align_corners, antialias: bool) -> None:
    """Complains about a mode that the input, or the other settings, do not go with."""
    if mode not in (*MODES, "area"):
        raise NotImplementedError(f"interpolate knows {', '.join([*MODES, 'area'])}, not {mode!r}")
    if not 3 <= input.ndim <= 5 or WAYS.get(mode, input.ndim - 2) != input.ndim - 2:
        wanted = f" of {WAYS[mode] + 2} dimensions" if mode in WAYS else ", (N, C, *)"
        raise NotImplementedError(f"mode={mode!r} is for pictures{wanted}, not for {shape_of(input)}")
    if align_corners is not None and mode not in WAYS:
        raise ValueError(f"align_corners goes with {', '.join(WAYS)}, not with {mode}")
    if antialias and mode not in SMOOTH:
        raise ValueError(f"antialias goes with {', '.join(SMOOTH)}, not with {mode}")


def new_size(
    input, size, scale_factor, recompute: bool | None, ways: int, least: int,
) -> tuple[tuple, list[float]]:
    """The new lengths, and how many old pixels a new one spans."""
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate wants a size or a scale_factor: one of them")
    old = input.shape[2:]
    for name, given in (("size", size), ("scale_factor", scale_factor)):
        if isinstance(given, (tuple, list)) and len(given) != ways:
            raise ValueError(f"{name}={given} should be one number or {ways}, for pictures of {tuple(old)}")
    if recompute and size is not None:
        raise ValueError("recompute_scale_factor has no meaning where the size is given")

    def each(given): return given if isinstance(given, (tuple, list)) else [given] * ways
    factors = None if scale_factor is None else [float(factor) for factor in each(scale_factor)]
    wanted = each(size) if factors is None else [n * f for n, f in zip(old, factors)]
    size = tuple([math.floor(n) for n in wanted])
    if recompute: factors = None
    if min(size) < least or min(old) < 1:
        raise ShapeError(f"interpolate from {tuple(old)} to {size}: there is at least one pixel "
                         "in each direction")
    if factors is None: return size, [n / max(new, 1) for n, new in zip(old, size)]
    return size, [1 / f for f in factors]

# %% [markdown]
# Three older names.

# %%
#| export
def upsample(input, size=None, scale_factor=None, mode: str = "nearest", align_corners: bool | None = None):
    """The same as interpolate."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """interpolate from the nearest pixels."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """interpolate from four pixels, the corners in place."""
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)

# %%
#| export
class Upsample(Module):
    """Pictures of another size.  (N, C, *L) -> (N, C, *size)"""

    def __init__(
        self, size=None, scale_factor=None, mode: str = "nearest", align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ):
        super().__init__()
        self.name, self.size, self.mode = type(self).__name__, size, mode
        if isinstance(scale_factor, tuple): self.scale_factor = tuple([float(f) for f in scale_factor])
        else: self.scale_factor = float(scale_factor) if scale_factor else None
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input):
        return interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners,
                           self.recompute_scale_factor)

    def extra_repr(self) -> str:
        how = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor!r}"
        return f"{how}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Pictures of another size, from the nearest pixels.  (N, C, H, W) -> (N, C, H', W')"""

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Pictures of another size, from four pixels, the corners in place.  (N, C, H, W) -> (N, C, H', W')"""

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)

# %% [markdown]
# ## Pixels and channels
#
# Four channels of a small picture are one channel of a picture twice as wide and high: each pixel becomes a
# block of 2 x 2. A `reshape`, a `permute`, a `reshape`.

# %%
#| export
def pixel_shuffle(input, upscale_factor: int):
    """Channels become blocks of pixels.  (*, C r², H, W) -> (*, C, H r, W r)"""
    r = upscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-3] % (r * r):
        raise RuntimeError(f"pixel_shuffle by {r} wants {r * r} channels for each, not {shape_of(input)}")
    *lead, C, H, W = input.shape
    n = len(lead)
    blocks = reshape(input, (*lead, C // (r * r), r, r, H, W))
    return reshape(permute(blocks, (*range(n + 1), n + 3, n + 1, n + 4, n + 2)),
                   (*lead, C // (r * r), H * r, W * r))


def pixel_unshuffle(input, downscale_factor: int):
    """Blocks of pixels become channels.  (*, C, H r, W r) -> (*, C r², H, W)"""
    r = downscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-2] % r or input.shape[-1] % r:
        raise RuntimeError(f"pixel_unshuffle by {r} wants a height and a width that {r} divides, not "
                           f"{shape_of(input)}")
    *lead, C, H, W = input.shape
    n = len(lead)
    blocks = reshape(input, (*lead, C, H // r, r, W // r, r))
    return reshape(permute(blocks, (*range(n + 1), n + 2, n + 4, n + 1, n + 3)),
                   (*lead, C * r * r, H // r, W // r))


def channel_shuffle(input, groups: int):
    """Channels dealt out like cards: the first of every group, then the second …  (N, C, *) -> (N, C, *)"""
    if input.ndim < 3 or groups < 1 or input.shape[1] % groups:
        raise RuntimeError(f"channel_shuffle cannot deal the channels of {shape_of(input)} "
                           f"to {groups} groups")
    N, C, *rest = input.shape
    piles = reshape(input, (N, groups, C // groups, *rest))
    return reshape(permute(piles, (0, 2, 1, *range(3, piles.ndim))), (N, C, *rest))


class PixelShuffle(Module):
    """Channels become blocks of pixels.  (*, C r², H, W) -> (*, C, H r, W r)"""

    def __init__(self, upscale_factor: int):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input): return pixel_shuffle(input, self.upscale_factor)
    def extra_repr(self) -> str: return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Blocks of pixels become channels.  (*, C, H r, W r) -> (*, C r², H, W)"""

    def __init__(self, downscale_factor: int):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input): return pixel_unshuffle(input, self.downscale_factor)
    def extra_repr(self) -> str: return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels dealt out like cards.  (N, C, *) -> (N, C, *)"""

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, input): return channel_shuffle(input, self.groups)
    def extra_repr(self) -> str: return f"groups={self.groups}"

# %% [markdown]
# ## Windows, and back
#
# `unfold` hands out the matrix of a convolution, one column for each window; `fold` adds windows up to a
# picture again. What lay in four windows comes back four times.

# %%
#| export
@Op
def take_windows(input, /, kernel_size, dilation, padding, stride):
    """All windows as columns.  (N, C, H, W) -> (N, C kh kw, places)"""
    room = np.pad(input, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    view = windows(channels_last(room), kernel_size, stride, dilation)          # (N, H', W', kh, kw, C)
    return view.transpose(0, 5, 3, 4, 1, 2).reshape(
        len(input), input.shape[1] * math.prod(kernel_size), math.prod(view.shape[1:3]))


@Op
def add_windows(input, /, output_size, kernel_size, dilation, padding, stride, places):
    """Windows added up to a picture.  (N, C kh kw, places) -> (N, C, H, W)"""
    C = input.shape[1] // math.prod(kernel_size)
    lengths = [n + 2 * p for n, p in zip(output_size, padding)]
    room = np.zeros_like(input, shape=(len(input), *lengths, C))
    view = windows(room, kernel_size, stride, dilation)
    pieces = input.reshape(len(input), C, *kernel_size, *places)
    for at in np.ndindex(*kernel_size):
        view[(..., *at, slice(None))] += channels_last(pieces[(slice(None), slice(None), *at)])
    inner = [slice(p, p + n) for n, p in zip(output_size, padding)]
    return channels_first(room[(slice(None), *inner)]).copy()


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """All windows of a picture as columns.  (N, C, H, W) -> (N, C kh kw, places)"""
    settings = window_settings(kernel_size, dilation, padding, stride)
    array, many = batched("unfold", input, 2)
    places = window_places(array.shape[2:], *settings)
    if min(places) < 1 or 0 in array.shape[1:]:
        raise ShapeError(f"unfold: no window of {settings[0]} fits into pictures of {shape_of(input)}")
    out = take_windows(array, *settings)
    return out if many else out[0]


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Windows, as columns, added up to a picture.  (N, C kh kw, places) -> (N, C, H, W)"""
    settings = window_settings(kernel_size, dilation, padding, stride)
    output_size = each_way("output_size", output_size, 2)
    array, many = batched("fold", input, 1)
    places = window_places(output_size, *settings)
    if array.shape[1] % math.prod(settings[0]) or math.prod(places) != array.shape[2] or min(places) < 1:
        raise ShapeError(f"fold to {output_size}: windows of {settings[0]} stand in {places} places, so "
                         f"it wants "
                         f"(N, C * {math.prod(settings[0])}, {math.prod(places)}), not {shape_of(input)}")
    out = add_windows(array, output_size, *settings, places)
    return out if many else out[0]


def window_settings(kernel_size, dilation, padding, stride) -> tuple:
    return (each_way("kernel_size", kernel_size, 2), each_way("dilation", dilation, 2),
            each_way("padding", padding, 2, 0), each_way("stride", stride, 2))


def window_places(size, kernel, dilation, padding, stride) -> tuple[int, ...]:
    settings = zip(size, kernel, stride, padding, dilation)
    return tuple([out_length(*each) for each in settings])


class Unfold(Module):
    """All windows of a picture as columns.  (N, C, H, W) -> (N, C kh kw, places)"""

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input): return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
                f"stride={self.stride}")


class Fold(Module):
    """Windows, as columns, added up to a picture.  (N, C kh kw, places) -> (N, C, H, W)"""

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size = output_size
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input):
        return fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
                f"padding={self.padding}, stride={self.stride}")

# %% [markdown]
# ## Margins
#
# `pad` as modules: by what a margin is filled with, and in how many directions.

# %%
#| export
class Margin(Module):
    """Pictures with margins."""

    ways, mode = 0, "constant"

    def __init__(self, padding):
        super().__init__()
        self.padding = each_way("padding", padding, 2 * self.ways, -1 << 30)

    def forward(self, input): return pad(input, self.padding, self.mode, getattr(self, "value", None))
    def extra_repr(self) -> str: return f"{self.padding}"


class ConstantMargin(Margin):
    """Pictures with margins of one value."""

    def __init__(self, padding, value: float):
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str: return f"padding={self.padding}, value={self.value}"


class ZeroMargin(ConstantMargin):
    """Pictures with margins of zeros."""

    def __init__(self, padding): super().__init__(padding, 0.0)
    def extra_repr(self) -> str: return f"{self.padding}"

# %%
#| export
class ConstantPad1d(ConstantMargin):
    """Lines with margins of one value.  (*, L) -> (*, L')"""

    ways = 1


class ConstantPad2d(ConstantMargin):
    """Pictures with margins of one value.  (*, H, W) -> (*, H', W')"""

    ways = 2


class ConstantPad3d(ConstantMargin):
    """Solids with margins of one value.  (*, D, H, W) -> (*, D', H', W')"""

    ways = 3


class ZeroPad1d(ZeroMargin):
    """Lines with margins of zeros.  (*, L) -> (*, L')"""

    ways = 1


class ZeroPad2d(ZeroMargin):
    """Pictures with margins of zeros.  (*, H, W) -> (*, H', W')"""

    ways = 2


class ZeroPad3d(ZeroMargin):
    """Solids with margins of zeros.  (*, D, H, W) -> (*, D', H', W')"""

    ways = 3


class ReflectionPad1d(Margin):
    """Lines mirrored at their ends.  (C, L) or (N, C, L)"""

    ways, mode = 1, "reflect"


class ReflectionPad2d(Margin):
    """Pictures mirrored at their edges.  (C, H, W) or (N, C, H, W)"""

    ways, mode = 2, "reflect"


class ReflectionPad3d(Margin):
    """Solids mirrored at their faces.  (C, D, H, W) or (N, C, D, H, W)"""

    ways, mode = 3, "reflect"


class ReplicationPad1d(Margin):
    """Lines whose ends are repeated.  (C, L) or (N, C, L)"""

    ways, mode = 1, "replicate"


class ReplicationPad2d(Margin):
    """Pictures whose edges are repeated.  (C, H, W) or (N, C, H, W)"""

    ways, mode = 2, "replicate"


class ReplicationPad3d(Margin):
    """Solids whose faces are repeated.  (C, D, H, W) or (N, C, D, H, W)"""

    ways, mode = 3, "replicate"


class CircularPad1d(Margin):
    """Lines that go round.  (C, L) or (N, C, L)"""

    ways, mode = 1, "circular"


class CircularPad2d(Margin):
    """Pictures that go round.  (C, H, W) or (N, C, H, W)"""

    ways, mode = 2, "circular"


class CircularPad3d(Margin):
    """Solids that go round.  (C, D, H, W) or (N, C, D, H, W)"""

    ways, mode = 3, "circular"
