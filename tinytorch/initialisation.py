# Generated from modules/04_layers/appendix_initialisation.py by `tito export`. Edit that file, not this one.
"""First numbers for weights: what PyTorch has in `nn.init`, number for number."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import wraps

from .creation import empty_like, eye as identity
from .errors import shape_of
from .layers import calculate_gain, fan_of, fans, kaiming_normal_
from .linalg import qr
from .randomness import randperm
from .shaping import diagonal
from .tensor import Tensor

__all__ = [
    "uniform_", "normal_", "constant_", "ones_", "zeros_", "eye_", "dirac_", "xavier_uniform_",
    "xavier_normal_", "kaiming_uniform_", "orthogonal_", "sparse_", "trunc_normal_", "chance", "drawn_again",
    "picked", "before_2018", "uniform", "normal", "constant", "eye", "dirac", "xavier_uniform",
    "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal", "sparse",
]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator=None) -> Tensor:
    """Numbers from a up to b, each as likely as any other."""
    tensor.data.uniform_(a, b, generator=generator)
    return tensor


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator=None) -> Tensor:
    """Normal numbers around a mean."""
    tensor.data.normal_(mean, std, generator=generator)
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """The same number everywhere."""
    tensor.data.fill_(val)
    return tensor


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """The matrix that changes nothing: ones on the diagonal.  (out, in)"""
    if tensor.ndim != 2: raise ValueError(f"eye_ fills a matrix, and not {shape_of(tensor)}")
    tensor.data.copy_(identity(*tensor.shape, dtype=tensor.dtype))
    return tensor


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The convolution that changes nothing: each channel looks at itself.  (out, in, *window)"""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_ fills a convolution's weight, of 3 to 5 dimensions, not {shape_of(tensor)}")
    if tensor.shape[0] % groups: raise ValueError(f"{tensor.shape[0]} channels do not make {groups} groups")
    of_group, middle = tensor.shape[0] // groups, [length // 2 for length in tensor.shape[2:]]
    weight = zeros_(tensor).data
    for group in range(groups):
        for channel in range(min(of_group, tensor.shape[1])):
            weight[(group * of_group + channel, channel, *middle)] = 1
    return tensor


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator=None) -> Tensor:
    """Uniform numbers of spread gain * sqrt(2 / (fan_in + fan_out)).  (out, in, *window)"""
    bound = math.sqrt(3) * gain * math.sqrt(2 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator=None) -> Tensor:
    """Normal numbers of spread gain * sqrt(2 / (fan_in + fan_out)).  (out, in, *window)"""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator=None,
) -> Tensor:
    """Uniform numbers of spread gain / sqrt(fan).  (out, in, *window)"""
    if 0 in tensor.shape: return tensor
    bound = math.sqrt(3) * calculate_gain(nonlinearity, a) / math.sqrt(fan_of(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator=None) -> Tensor:
    """A random turn: rows, or columns if there are fewer, at right angles and of length gain.  (out, *)"""
    if tensor.ndim < 2: raise ValueError(f"orthogonal_ fills 2 or more dimensions, not {shape_of(tensor)}")
    if not tensor.numel(): return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    x = normal_(empty_like(tensor.data).reshape(rows, columns), generator=generator)
    q, r = qr(x.T if rows < columns else x)
    q = q * diagonal(r).sign()
    tensor.data.copy_((q.T if rows < columns else q).reshape(tensor.shape) * gain)
    return tensor


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator=None) -> Tensor:
    """Normal numbers, of which a share in each column is 0; Martens 2010.  (out, in)"""
    if tensor.ndim != 2: raise ValueError(f"sparse_ fills a matrix, and not {shape_of(tensor)}")
    weight = normal_(tensor, 0.0, std, generator).data
    for column in range(tensor.shape[1]):
        order = randperm(tensor.shape[0])
        weight[order[: math.ceil(sparsity * tensor.shape[0])], column] = 0
    return tensor


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator=None,
) -> Tensor:
    """Normal numbers between a and b."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn("trunc_normal_: the mean is more than two spreads away from what is left", stacklevel=2)
    x, source = tensor.data, {"generator": generator}
    share = chance((b - mean) / std) - chance((a - mean) / std)
    tensor.data.copy_(drawn_again(x, mean, std, a, b, source) if share > 0.3 else
                      picked(x, mean, std, a, b, source))
    return tensor


def chance(x: float) -> float:
    """The chance that a normal number is below x."""
    return (1 + math.erf(x / math.sqrt(2))) / 2


def drawn_again(x: Tensor, mean: float, std: float, a: float, b: float, source: dict) -> Tensor:
    low, high = x.new_tensor(a).item(), x.new_tensor(b).item()      # the bounds as this dtype can say them
    x = x.clone().normal_(mean, std, **source)
    while (outside := (x < low) | (x > high)).any():
        x[outside] = empty_like(x).normal_(mean, std, **source)[outside]
    return x


def picked(x: Tensor, mean: float, std: float, a: float, b: float, source: dict) -> Tensor:
    highest = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    def height(x): return -0.5 * ((x - mean) / std) ** 2 - highest
    x, level = x.clone().uniform_(a, b, **source), empty_like(x)
    refused = level.uniform_(**source).log() > height(x)
    while refused.any():
        tried = empty_like(x).uniform_(a, b, **source)
        x[refused] = tried[refused]
        refused = refused & (level.uniform_(**source).log() > height(tried))
    return x


_calculate_fan_in_and_fan_out = fans


def before_2018(fill: Callable) -> Callable:
    """The same function under its old name, with a warning."""
    @wraps(fill)
    def old(*args, **kwargs):
        name = fill.__name__
        warnings.warn(f"nn.init.{name[:-1]} is now nn.init.{name}", FutureWarning, stacklevel=2)
        return fill(*args, **kwargs)
    old.__name__ = fill.__name__[:-1]
    return old


uniform, normal, constant, eye, dirac = map(before_2018, (uniform_, normal_, constant_, eye_, dirac_))
xavier_uniform, xavier_normal = map(before_2018, (xavier_uniform_, xavier_normal_))
kaiming_uniform, kaiming_normal = map(before_2018, (kaiming_uniform_, kaiming_normal_))
orthogonal, sparse = map(before_2018, (orthogonal_, sparse_))
