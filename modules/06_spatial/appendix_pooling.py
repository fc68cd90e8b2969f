# %% [markdown]
# # Appendix: pools of every kind
#
# The pools of the lesson in one and three directions; pools that are told how many windows there should be
# instead of how large they are; pools between average and maximum; and the way back from a maximum.

# %%
#| export
"""Pooling in one to three directions: largest, average, adaptive, by a p-norm, and back."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.devices import at_home, beside
from tinytorch.errors import ShapeError, shape_of
from tinytorch.layers import Module
from tinytorch.room import batched, each_way
from tinytorch.spatial import AvgPool2d, MaxPool, Pool, average, avg_pool2d, first_largest, largest
from tinytorch.tensor import Kept, Op

# %%
#| export
@Op
def max_pool1d(input, /, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The largest number of every window of a line.  (N, C, L) -> (N, C, L')"""
    return largest("max_pool1d", input, 1, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@Op
def max_pool3d(input, /, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The largest number of every window of a solid.  (N, C, D, H, W) -> (N, C, D', H', W')"""
    return largest("max_pool3d", input, 3, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


class MaxPool1d(MaxPool):
    """Keeps the largest number of every window of a line.  (N, C, L) -> (N, C, L')"""

    ways, function = 1, max_pool1d


class MaxPool3d(MaxPool):
    """Keeps the largest number of every window of a solid.  (N, C, D, H, W) -> (N, C, D', H', W')"""

    ways, function = 3, max_pool3d

# %%
#| export
@Op
def avg_pool1d(input, /, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The average of every window of a line.  (N, C, L) -> (N, C, L')"""
    return average(Pool("avg_pool1d", input, 1, kernel_size, stride, padding, 1, ceil_mode),
                   count_include_pad)


@Op
def avg_pool3d(
    input, /, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):
    """The average of every window of a solid.  (N, C, D, H, W) -> (N, C, D', H', W')"""
    if divisor_override == 0: raise RuntimeError("divisor_override must not be 0")
    pool = Pool("avg_pool3d", input, 3, kernel_size, stride, padding, 1, ceil_mode)
    return average(pool, count_include_pad, divisor_override)


class AvgPool1d(Module):
    """Averages every window of a line.  (N, C, L) -> (N, C, L')"""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode: bool = False,
                 count_include_pad: bool = True):
        super().__init__()
        self.kernel_size = each_way("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else each_way("stride", stride, 1)
        self.padding, self.ceil_mode = each_way("padding", padding, 1, 0), ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input):
        return avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                          self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool3d(AvgPool2d):
    """Averages every window of a solid.  (N, C, D, H, W) -> (N, C, D', H', W')"""

    def forward(self, input):
        return avg_pool3d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                          self.count_include_pad,
                          self.divisor_override)

# %% [markdown]
# ## How many, not how large
#
# An **adaptive** pool is given the shape of its output and cuts the picture into as many parts, as equal as
# they can be: part i of n goes from `floor(i L / n)` to `ceil((i + 1) L / n)`. With one part it is the
# average of all there is, and the dense layer behind it no longer minds how large pictures are.

# %%
#| export
def parts(length: int, n: int) -> list[slice]:
    """A line cut into n parts, as equal as they can be; neighbours may share a number."""
    return [slice(i * length // n, -(-(i + 1) * length // n)) for i in range(n)]


def adaptive_size(name: str, x, size, ways: int) -> tuple[int, ...]:
    """The lengths of the output; None keeps a length."""
    size = (size,) * ways if size is None or isinstance(size, int) else tuple(size)
    if len(size) != ways: raise ShapeError(f"{name}: output_size={size} should be one number or {ways}")
    found = tuple([n if want is None else int(want) for want, n in zip(size, x.shape[-ways:])])
    if min(found) < 0: raise RuntimeError(f"{name}: output_size={size} has a negative length")
    if 0 in x.shape[-ways - 1 :]: raise ShapeError(f"{name}: there is nothing to pool in {shape_of(x)}")
    return found


def adaptive_average(name: str, x, size, ways: int):
    """The average of each part, in any number of directions: sums first, one direction at a time."""
    x, many = batched(name, x, ways)
    size = adaptive_size(name, x, size, ways)
    out, numbers = x, np.ones(())
    for dim, n in enumerate(size, 2):
        cuts = parts(x.shape[dim], n)
        out = sums(out, dim, cuts)
        numbers = numbers[..., None] * np.array([cut.stop - cut.start for cut in cuts])
    out /= beside(numbers.astype(out.dtype), out)
    return out if many else out[0]


def sums(x, dim: int, cuts: list[slice]):
    """The sum of each part along one dimension.  (*, L, *) -> (*, n, *)"""
    if len(cuts) == 1: return x.sum(axis=dim, keepdims=True)
    if not cuts: return x.take([], axis=dim)
    if x.shape[dim] % len(cuts) == 0:
        each = x.shape[dim] // len(cuts)
        return x.reshape(*x.shape[:dim], len(cuts), each, *x.shape[dim + 1 :]).sum(axis=dim + 1)
    return np.stack([x[(slice(None),) * dim + (cut,)].sum(axis=dim) for cut in cuts], axis=dim)


def adaptive_largest(name: str, x, size, ways: int, return_indices: bool):
    """The largest number of each part, and where it stands in its picture."""
    x, many = batched(name, x, ways)
    lengths, size = x.shape[2:], adaptive_size(name, x, size, ways)
    out = np.empty_like(x, shape=(*x.shape[:2], *size))
    places = np.empty_like(out, dtype=np.int64)
    cuts = [parts(length, n) for length, n in zip(lengths, size)]
    for at in np.ndindex(*size):
        cut = [cuts[way][i] for way, i in enumerate(at)]
        part = x[(..., *cut)]
        flat = part.reshape(*x.shape[:2], math.prod(part.shape[2:]))
        best = first_largest(flat)
        out[(..., *at)] = np.take_along_axis(flat, best[..., None], -1)[..., 0]
        inside = np.unravel_index(best, part.shape[2:])
        places[(..., *at)] = np.ravel_multi_index([i + c.start for i, c in zip(inside, cut)], lengths)
    if not many: out, places = out[0], places[0]
    return (out, places) if return_indices else Kept(out, places)

# %%
#| export
@Op
def adaptive_avg_pool1d(input, /, output_size):
    """The average of each of so many parts.  (N, C, L) -> (N, C, output_size)"""
    return adaptive_average("adaptive_avg_pool1d", input, output_size, 1)


@Op
def adaptive_avg_pool2d(input, /, output_size):
    """The average of each of so many parts.  (N, C, H, W) -> (N, C, *output_size)"""
    return adaptive_average("adaptive_avg_pool2d", input, output_size, 2)


@Op
def adaptive_avg_pool3d(input, /, output_size):
    """The average of each of so many parts.  (N, C, D, H, W) -> (N, C, *output_size)"""
    return adaptive_average("adaptive_avg_pool3d", input, output_size, 3)


@Op
def adaptive_max_pool1d(input, /, output_size, return_indices=False):
    """The largest number of each of so many parts.  (N, C, L) -> (N, C, output_size)"""
    return adaptive_largest("adaptive_max_pool1d", input, output_size, 1, return_indices)


@Op
def adaptive_max_pool2d(input, /, output_size, return_indices=False):
    """The largest number of each of so many parts.  (N, C, H, W) -> (N, C, *output_size)"""
    return adaptive_largest("adaptive_max_pool2d", input, output_size, 2, return_indices)


@Op
def adaptive_max_pool3d(input, /, output_size, return_indices=False):
    """The largest number of each of so many parts.  (N, C, D, H, W) -> (N, C, *output_size)"""
    return adaptive_largest("adaptive_max_pool3d", input, output_size, 3, return_indices)

# %%
#| export
class AdaptiveAvgPool(Module):
    """Averages each of so many parts."""

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, input): return type(self).function(input, self.output_size)
    def extra_repr(self) -> str: return f"output_size={self.output_size}"


class AdaptiveMaxPool(Module):
    """Keeps the largest number of each of so many parts."""

    def __init__(self, output_size, return_indices: bool = False):
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input): return type(self).function(input, self.output_size, self.return_indices)
    def extra_repr(self) -> str: return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """Averages each of so many parts of a line.  (N, C, L) -> (N, C, output_size)"""

    function = adaptive_avg_pool1d


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """Averages each of so many parts of a picture.  (N, C, H, W) -> (N, C, *output_size)"""

    function = adaptive_avg_pool2d


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """Averages each of so many parts of a solid.  (N, C, D, H, W) -> (N, C, *output_size)"""

    function = adaptive_avg_pool3d


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """Keeps the largest number of each of so many parts of a line.  (N, C, L) -> (N, C, output_size)"""

    function = adaptive_max_pool1d


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """Keeps the largest number of each of so many parts.  (N, C, H, W) -> (N, C, *output_size)"""

    function = adaptive_max_pool2d


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """Keeps the largest number of each of so many parts.  (N, C, D, H, W) -> (N, C, *output_size)"""

    function = adaptive_max_pool3d

# %% [markdown]
# ## Between the sum and the largest
#
# `(Σ x^p)^(1/p)` is the sum for p = 1, the length for p = 2, and close to the largest for a large p. It is
# made of ops that are there: an average, times how many.

# %%
#| export
def by_norm(pool, input, norm_type: float, kernel: tuple, stride, ceil_mode: bool):
    """A p-norm of every window, from the average of the p-th powers."""
    out = pool(input.pow(norm_type), kernel, stride, 0, ceil_mode)
    return (out.sign() * out.abs().relu()).mul(math.prod(kernel)).pow(1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode: bool = False):
    """The p-norm of every window of a line.  (N, C, L) -> (N, C, L')"""
    return by_norm(avg_pool1d, input, norm_type, each_way("kernel_size", kernel_size, 1), stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode: bool = False):
    """The p-norm of every window.  (N, C, H, W) -> (N, C, H', W')"""
    return by_norm(avg_pool2d, input, norm_type, each_way("kernel_size", kernel_size, 2), stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode: bool = False):
    """The p-norm of every window of a solid.  (N, C, D, H, W) -> (N, C, D', H', W')"""
    return by_norm(avg_pool3d, input, norm_type, each_way("kernel_size", kernel_size, 3), stride, ceil_mode)


class LPPool(Module):
    """A p-norm of every window."""

    function = None

    def __init__(self, norm_type: float, kernel_size, stride=None, ceil_mode: bool = False):
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def forward(self, input):
        return type(self).function(input, float(self.norm_type), self.kernel_size, self.stride,
                                   self.ceil_mode)

    def extra_repr(self) -> str:
        return (f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
                f"ceil_mode={self.ceil_mode}")


class LPPool1d(LPPool):
    """A p-norm of every window of a line.  (N, C, L) -> (N, C, L')"""

    function = lp_pool1d


class LPPool2d(LPPool):
    """A p-norm of every window.  (N, C, H, W) -> (N, C, H', W')"""

    function = lp_pool2d


class LPPool3d(LPPool):
    """A p-norm of every window of a solid.  (N, C, D, H, W) -> (N, C, D', H', W')"""

    function = lp_pool3d

# %% [markdown]
# ## The way back
#
# What a max pool left out is gone. **Unpooling** puts what is left where it came from, with zeros around it.

# %%
#| export
@Op
def put_back(input, indices, /, size):
    """Every number at its place in a picture of zeros.  (N, C, *L), (N, C, *L) -> (N, C, *size)"""
    if input.shape != indices.shape:
        raise ShapeError(f"max_unpool wants a place for every number, not {shape_of(indices)} for "
                         f"{shape_of(input)}")
    ways, room = len(size), math.prod(size)
    lead = input.shape[: input.ndim - ways]
    if at_home(indices) and indices.size and not 0 <= indices.min() <= indices.max() < room:
        raise RuntimeError(f"max_unpool: places up to {indices.max()} do not lie in a picture of "
                           f"{tuple(size)}")
    out, line = np.zeros_like(input, shape=(*lead, room)), (*lead, math.prod(input.shape[len(lead) :]))
    np.put_along_axis(out, indices.reshape(line), input.reshape(line), axis=-1)
    return out.reshape(*lead, *size)


def unpool(name: str, ways: int, input, indices, kernel_size, stride, padding, output_size):
    """The picture whose max pooling may have been `input`."""
    if input.ndim not in (ways + 1, ways + 2): raise ShapeError(f"{name} cannot take {shape_of(input)}")
    kernel = each_way("kernel_size", kernel_size, ways)
    stride = kernel if stride is None else each_way("stride", stride, ways)
    padding = each_way("padding", padding, ways, 0)
    usual = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(input.shape[-ways:], stride, padding, kernel)]
    size = usual if output_size is None else list(output_size)[-ways:]
    if len(size) != ways or not all([n - s < want < n + s for want, n, s in zip(size, usual, stride)]):
        raise ValueError(f"{name}: output_size {list(output_size)} is further than a stride from {usual}")
    return put_back(input, indices, size=tuple(size))


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The largest numbers of a line back in their places.  (N, C, L) -> (N, C, L')"""
    return unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The largest numbers back in their places.  (N, C, H, W) -> (N, C, H', W')"""
    return unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The largest numbers of a solid back in their places.  (N, C, D, H, W) -> (N, C, D', H', W')"""
    return unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


class MaxUnpool(Module):
    """Puts the largest numbers back in their places."""

    ways = 0
    function = None

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = each_way("kernel_size", kernel_size, self.ways)
        self.stride = each_way("stride", kernel_size if stride is None else stride, self.ways)
        self.padding = each_way("padding", padding, self.ways, 0)

    def forward(self, input, indices, output_size=None):
        return type(self).function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(MaxUnpool):
    """Puts the largest numbers of a line back in their places.  (N, C, L) -> (N, C, L')"""

    ways, function = 1, max_unpool1d


class MaxUnpool2d(MaxUnpool):
    """Puts the largest numbers back in their places.  (N, C, H, W) -> (N, C, H', W')"""

    ways, function = 2, max_unpool2d


class MaxUnpool3d(MaxUnpool):
    """Puts the largest numbers of a solid back in their places.  (N, C, D, H, W) -> (N, C, D', H', W')"""

    ways, function = 3, max_unpool3d
