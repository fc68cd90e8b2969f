# Generated from modules/06_spatial/appendix_sampling.py by `tito export`. Edit that file, not this one.
"""Pictures looked at through a grid, and pools whose windows are drawn at random."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from .creation import ones
from .devices import beside
from .elementwise import masked_fill
from .errors import ShapeError, shape_of
from .layers import Module
from .randomness import rand
from .room import each_way
from .shaping import stack
from .tensor import Tensor

__all__ = [
    "affine_grid", "ends_to_ends", "kept_inside", "taps", "key", "grid_sample", "starts", "fractional",
    "fractional_max_pool2d", "fractional_max_pool3d", "FractionalMaxPool", "FractionalMaxPool2d",
    "FractionalMaxPool3d",
]


def affine_grid(theta, size, align_corners: bool | None = None) -> Tensor:
    """The grid of a linear map and a shift.  (N, 2, 3) -> (N, H, W, 2), or (N, 3, 4) -> (N, D, H, W, 3)"""
    ways, size = len(size) - 2, [int(n) for n in size]
    if ways not in (2, 3): raise NotImplementedError(f"affine_grid is for 4 or 5 lengths, not for {size}")
    if not theta.is_floating_point(): raise ValueError(f"affine_grid wants floats, not {theta.dtype}")
    if theta.ndim != 3 or theta.shape[1:] != (ways, ways + 1):
        raise ValueError(f"affine_grid for {size} wants matrices (N, {ways}, {ways + 1}), "
                         f"not {shape_of(theta)}")
    if min(size) < 1: raise ValueError(f"affine_grid to {size}: there is at least one pixel each way")
    lines = [line.reshape([-1 if d == i else 1 for d in range(ways)])
             for i, line in enumerate([ends_to_ends(theta, n, bool(align_corners)) for n in size[2:]])]
    places = [line.expand(size[2:]) for line in reversed(lines)]                # x first, then y
    here = stack([*places, ones(size[2:], dtype=theta.dtype, device=theta.device)], -1).reshape(-1, ways + 1)
    return (here @ theta.mT).reshape(size[0], *size[2:], ways)


def ends_to_ends(like, n: int, align_corners: bool) -> Tensor:
    """Where the pixels of a line stand, the whole line being from -1 to 1."""
    if n == 1: return like.new_zeros(1)
    line = np.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n)
    return Tensor(like.dtype.cast(beside(line, like.array)))


def kept_inside(x, n: int, padding_mode: str, align_corners: bool):
    """Coordinates brought back into a line of n pixels, where they look at its edge or into a mirror."""
    if padding_mode == "zeros": return x
    if padding_mode == "reflection":
        low, span = (0.0, n - 1) if align_corners else (-0.5, n)
        if span == 0: return x * 0
        far = (x - low).abs()
        turns = (far / span).detach().floor()
        rest = far - turns * span
        odd = (turns % 2).abs()
        x = rest * (1 - 2 * odd) + odd * span + low         # every second time the mirror counts down
    return x.clamp(0, n - 1)


def taps(x, n: int, mode: str, padding_mode: str, align_corners: bool) -> list[tuple]:
    """The pixels of one direction that a look mixes, and what they weigh."""
    if mode == "bicubic":
        low = x.detach().floor()
        places = [low + i for i in range(-1, 3)]
        weights = [key(x - place) for place in places]
        places = [kept_inside(place, n, padding_mode, align_corners) for place in places]
    else:
        x = kept_inside(x, n, padding_mode, align_corners)
        if mode == "nearest": places, weights = [x.detach().round()], [None]
        else:
            low = x.detach().floor()
            places, weights = [low, low + 1], [low + 1 - x, x - low]
    found = []
    for place, weight in zip(places, weights):
        inside = ((place >= 0) & (place <= n - 1)).to(x.dtype)
        found.append((place.clamp(0, n - 1).long(), inside if weight is None else weight * inside))
    return found


def key(x):
    """Keys' curve with a = -0.75: 1 at 0, and 0 at 1, 2 and beyond."""
    x = x.abs()
    near, far = (1.25 * x - 2.25) * x * x + 1, ((-0.75 * x + 3.75) * x - 6) * x + 3
    return masked_fill(near, x > 1, 0) + masked_fill(far, x <= 1, 0)


def grid_sample(
    input, grid, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None,
) -> Tensor:
    """A picture looked at through a grid.  (N, C, H, W), (N, H', W', 2) -> (N, C, H', W'); or solids"""
    ways = input.ndim - 2
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"grid_sample knows bilinear, nearest and bicubic, not {mode!r}")
    if mode == "bicubic" and ways != 2:
        raise ShapeError(f"bicubic is for pictures (N, C, H, W), not for {shape_of(input)}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"padding_mode is zeros, border or reflection, not {padding_mode!r}")
    if ways not in (2, 3) or grid.ndim != input.ndim or grid.shape[-1] != ways or len(grid) != len(input):
        raise ShapeError(f"grid_sample cannot look at pictures {shape_of(input)} through a grid "
                         f"{shape_of(grid)}: it wants ({len(input)}, …, {ways})")
    if grid.dtype is not input.dtype:
        raise RuntimeError(f"grid_sample wants one dtype, not {input.dtype} pictures, a {grid.dtype} grid")
    if 0 in input.shape[2:]: raise ShapeError(f"grid_sample: there is nothing to see in {shape_of(input)}")
    N, C, *lengths = input.shape
    every = []
    for i, n in enumerate(lengths):
        at = grid[..., ways - 1 - i]                                            # x is the last direction
        at = (at + 1) * ((n - 1) / 2) if align_corners else ((at + 1) * n - 1) / 2
        every.append(taps(at, n, mode, padding_mode, bool(align_corners)))
    pixels, looks = input.reshape(N, C, math.prod(lengths)), math.prod(grid.shape[1:-1])
    out = None
    for chosen in product(*every):
        place, weight = chosen[0]
        for n, (more, times) in zip(lengths[1:], chosen[1:]): place, weight = place * n + more, weight * times
        seen = pixels.gather(2, place.reshape(N, 1, looks).expand(N, C, looks)) * weight.reshape(N, 1, looks)
        out = seen if out is None else out + seen
    return out.reshape(N, C, *grid.shape[1:-1])


def starts(sample, n: int, k: int, many: int):
    """Where windows of length k begin in lines of n.  samples (N, C) -> (N, C, many)"""
    if many == 1: return np.full_like(sample, n - k, np.int64, shape=(*sample.shape, 1))
    alpha = sample.dtype.type(n - k) / sample.dtype.type(many - 1)
    places = np.arange(many, like=sample).astype(sample.dtype)
    first = (sample * alpha).astype(np.int64)[..., None]
    found = ((places + sample[..., None]) * alpha).astype(np.int64) - first
    found[..., -1] = n - k
    return found


def fractional(name: str, ways: int, input, kernel_size, output_size, output_ratio, samples):
    """The largest numbers of windows drawn at random, and where they were."""
    if input.ndim == ways + 1:
        one = input.unsqueeze(0)
        return [x[0] for x in fractional(name, ways, one, kernel_size, output_size, output_ratio, samples)]
    if input.ndim != ways + 2: raise ShapeError(f"{name} wants pictures (N, C, *), not {shape_of(input)}")
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} wants an output_size or an output_ratio")
    N, C, *lengths = input.shape
    if output_size is None:
        ratio = output_ratio if isinstance(output_ratio, (tuple, list)) else [output_ratio] * ways
        output_size = [int(n * r) for n, r in zip(lengths, ratio)]
    size, kernel = each_way("output_size", output_size, ways), each_way("kernel_size", kernel_size, ways)
    for n, k, many in zip(lengths, kernel, size):
        if many + k - 1 > n:
            raise ShapeError(f"{name}: {many} windows of length {k} do not fit into {n} of {shape_of(input)}")
    drawn = (rand(N, C, ways, dtype=input.dtype, device=input.device) if samples is None else samples).array
    order = (1, 0) if ways == 2 else (0, 1, 2)          # in pictures the first draw is for the columns
    where = 0
    for d in range(ways):
        line = starts(drawn[..., order[d]], lengths[d], kernel[d], size[d])[..., None]
        line = line + np.arange(kernel[d], like=line)
        line = line.reshape(N, C, *[size[e] if e == d else 1 for e in range(ways)],
                            *[kernel[e] if e == d else 1 for e in range(ways)])
        where = where * lengths[d] + line
    where = Tensor(where.reshape(N, C, math.prod(size) * math.prod(kernel)))
    seen = input.reshape(N, C, math.prod(lengths)).gather(2, where)
    values, chosen = seen.reshape(N, C, *size, math.prod(kernel)).max(-1)
    places = where.reshape(N, C, *size, math.prod(kernel)).gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    return values, places


def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices: bool = False,
    _random_samples=None,
):
    """The largest numbers of windows drawn at random.  (N, C, H, W) -> (N, C, *output_size)"""
    found = fractional("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio,
                       _random_samples)
    return tuple(found) if return_indices else found[0]


def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices: bool = False,
    _random_samples=None,
):
    """The largest numbers of windows drawn at random.  (N, C, D, H, W) -> (N, C, *output_size)"""
    found = fractional("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio,
                       _random_samples)
    return tuple(found) if return_indices else found[0]


class FractionalMaxPool(Module):
    """Keeps the largest numbers of windows drawn at random."""

    ways, function = 0, None

    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices: bool = False,
                 _random_samples=None):
        super().__init__()
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{type(self).__name__} wants an output_size or an output_ratio: one of them")
        self.kernel_size = each_way("kernel_size", kernel_size, self.ways)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else each_way("output_size", output_size, self.ways)
        self.output_ratio = output_ratio if output_ratio is None or isinstance(output_ratio, tuple) \
            else (output_ratio,) * self.ways
        if self.output_ratio and not all([0 < ratio < 1 for ratio in self.output_ratio]):
            raise ValueError(f"output_ratio is between 0 and 1, not {output_ratio}")

    def forward(self, input):
        return type(self).function(input, self.kernel_size, self.output_size, self.output_ratio,
                                   self.return_indices, self._random_samples)


class FractionalMaxPool2d(FractionalMaxPool):
    """Keeps the largest numbers of windows drawn at random.  (N, C, H, W) -> (N, C, *output_size)"""

    ways, function = 2, fractional_max_pool2d


class FractionalMaxPool3d(FractionalMaxPool):
    """Keeps the largest numbers of windows drawn at random.  (N, C, D, H, W) -> (N, C, *output_size)"""

    ways, function = 3, fractional_max_pool3d
