# %% [markdown]
# # Appendix: over what do you average?
#
# Batch norm takes mean and variance over the pictures of a batch. Everything else here avoids that: over the
# groups of channels of one picture, over one channel of one picture, over a channel's neighbours.

# %%
#| export
"""Batch, group, instance and local response normalisation."""

# %%
#| export
from __future__ import annotations

import warnings

import numpy as np

from tinytorch.creation import ones, zeros
from tinytorch.errors import ShapeError, shape_of
from tinytorch.layers import Module, Parameter
from tinytorch.room import pad
from tinytorch.shaping import unsqueeze
from tinytorch.spatial import BatchNorm, avg_pool2d, move_towards, rescale_channels, spread
from tinytorch.tensor import Kept, Op, reshape

# %%
#| export
class BatchNorm1d(BatchNorm):
    """Channels of lines, or features, at one scale.  (N, C) or (N, C, L) -> the same"""

    accepts = (2, 3)


class BatchNorm3d(BatchNorm):
    """Channels of solids at one scale.  (N, C, D, H, W) -> (N, C, D, H, W)"""

    accepts = (5,)

# %% [markdown]
# ## Groups
#
# One picture at a time, and its channels in groups. With one group that is layer norm over a picture, with as
# many groups as channels it is instance norm. All of them are rows of a table with mean 0 and variance 1; the
# scale and the shift, one for each channel, come after.

# %%
#| export
@Op
def standardize_groups(input, weight=None, bias=None, /, num_groups=1, eps=1e-5):
    """Groups of each picture's channels at mean 0 and variance 1, then scaled.  (N, C, *) -> (N, C, *)"""
    rows = input.reshape(input.shape[0], num_groups, -1)
    mean = rows.mean(axis=-1, keepdims=True)
    out = rows - mean
    rstd = 1 / np.sqrt((out * out).mean(axis=-1, keepdims=True) + eps)
    out *= rstd
    out = out.reshape(input.shape)
    if weight is not None: out *= spread(weight, input)
    if bias is not None: out += spread(bias, input)
    return Kept(out, mean, rstd)


def group_norm(input, num_groups: int, weight=None, bias=None, eps: float = 1e-05):
    """Groups of each picture's channels at one scale.  (N, C, *) -> (N, C, *)"""
    if input.ndim < 2: raise ShapeError(f"group_norm wants pictures (N, C, *), not {shape_of(input)}")
    C = input.shape[1]
    if num_groups < 1 or C % num_groups:
        raise RuntimeError(f"group_norm: {C} channels of {shape_of(input)} do not make {num_groups} groups")
    one_for_each("group_norm", input, weight, bias)
    if input.numel() == num_groups:
        raise ValueError(f"group_norm wants more than one number a group, not {shape_of(input)}")
    if input.numel() == 0: return input.clone()
    return standardize_groups(input, weight, bias, num_groups, eps)


def one_for_each(name: str, input, *given) -> None:
    """Complains unless there is one number for each channel."""
    for numbers in given:
        if numbers is not None and numbers.shape != input.shape[1:2]:
            raise ShapeError(f"{name} of {shape_of(input)} wants {input.shape[1]} numbers, one for each "
                             f"channel, "
                             f"not {shape_of(numbers)}")


class GroupNorm(Module):
    """Groups of each picture's channels at one scale.  (N, C, *) -> (N, C, *)"""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-05, affine: bool = True, device=None,
        dtype=None, *, bias: bool = True,
    ):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels must be divisible by num_groups: {num_channels} by "
                             f"{num_groups} is not")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        new = {"device": device, "dtype": dtype}
        self.weight = Parameter(ones(num_channels, **new)) if affine else None
        self.bias = Parameter(zeros(num_channels, **new)) if affine and bias else None

    def reset_parameters(self) -> None:
        """Weights of 1 and biases of 0, which change nothing."""
        if self.weight is not None: self.weight.data.fill_(1)
        if self.bias is not None: self.bias.data.zero_()

    def forward(self, input): return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
                f"bias={self.bias is not None}")

# %% [markdown]
# ## Instances
#
# Every channel of every picture by itself: what is left is the drawing without its contrast, as those found
# who gave photographs the style of paintings. It may keep running statistics, too, the average over the
# pictures of a batch.

# %%
#| export
def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats: bool = True,
    momentum: float = 0.1, eps: float = 1e-05,
):
    """Every channel of every picture at one scale.  (N, C, *) -> (N, C, *)"""
    one_for_each("instance_norm", input, running_mean, running_var, weight, bias)
    if not use_input_stats: return rescale_channels(input, running_mean, running_var, weight, bias, eps)
    n = input.numel() // max(1, input.shape[0] * input.shape[1])
    if n == 1: raise ValueError(f"instance_norm wants more than one number a channel, not {shape_of(input)}")
    if input.numel() == 0: return input.clone()
    out = standardize_groups(input, weight, bias, input.shape[1], eps)
    mean, rstd = [kept.reshape(input.shape[:2]) for kept in out.kept]
    if running_mean is not None: move_towards(running_mean, mean.mean(axis=0), momentum)
    if running_var is not None:
        move_towards(running_var, (1 / (rstd * rstd) - eps).mean(axis=0) * (n / (n - 1)), momentum)
    return out


class InstanceNorm(BatchNorm):
    """Every channel of every picture at one scale."""

    def __init__(
        self, num_features: int, eps: float = 1e-05, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device=None, dtype=None, *, bias: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input):
        one = self.accepts[0]
        if input.ndim not in self.accepts:
            raise ValueError(f"expected {one}D or {one + 1}D input (got {input.ndim}D input) for "
                             f"{type(self).__name__}")
        channels = input.shape[-one]
        if channels != self.num_features:
            told = f"{type(self).__name__} is for {self.num_features} channels, the input has {channels}"
            if self.affine: raise ValueError(told)
            warnings.warn(told + "; without weights it does not matter", stacklevel=2)
        batch = unsqueeze(input, 0) if input.ndim == one else input
        out = instance_norm(batch, self.running_mean, self.running_var, self.weight, self.bias,
                            self.training or not self.track_running_stats, self.momentum or 0.0, self.eps)
        return out[0] if input.ndim == one else out


class InstanceNorm1d(InstanceNorm):
    """Every channel of every line at one scale.  (C, L) or (N, C, L) -> the same"""

    accepts = (2, 3)


class InstanceNorm2d(InstanceNorm):
    """Every channel of every picture at one scale.  (C, H, W) or (N, C, H, W) -> the same"""

    accepts = (3, 4)


class InstanceNorm3d(InstanceNorm):
    """Every channel of every solid at one scale.  (C, D, H, W) or (N, C, D, H, W) -> the same"""

    accepts = (4, 5)

# %% [markdown]
# ## Neighbours
#
# AlexNet (2012) divided every number by what its neighbouring channels do at the same place. It is an average
# pool that slides over channels.

# %%
#| export
def local_response_norm(input, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
    """Numbers over (k + alpha * the mean square of `size` neighbouring channels) ** beta.  (N, C, *)"""
    if input.ndim < 3:
        raise ValueError(f"local_response_norm wants 3 or more dimensions, not {shape_of(input)}")
    if input.numel() == 0: return input
    squares = reshape(input * input, (input.shape[0], 1, input.shape[1], -1))
    padded = pad(squares, (0, 0, size // 2, (size - 1) // 2))
    mean = reshape(avg_pool2d(padded, (size, 1), 1), input.shape)
    return input / (mean * alpha + k) ** beta


class LocalResponseNorm(Module):
    """Numbers divided by what neighbouring channels do.  (N, C, *) -> (N, C, *)"""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input): return local_response_norm(input, self.size, self.alpha, self.beta, self.k)
    def extra_repr(self) -> str: return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
