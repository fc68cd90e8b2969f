# Generated from modules/04_layers/appendix_bent_modules.py by `tito export`. Edit that file, not this one.
"""The activation functions of lesson 03 as modules."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from . import activations, bends
from .creation import full
from .errors import ShapeError, shape_of
from .layers import Module, Parameter
from .tensor import Tensor

__all__ = [
    "Bent", "Sigmoid", "Tanh", "LogSigmoid", "Softsign", "Tanhshrink", "OverInput", "ReLU", "ReLU6", "SELU",
    "SiLU", "Mish", "Hardsigmoid", "Hardswish", "GELU", "LeakyReLU", "ELU", "CELU", "Threshold", "Hardtanh",
    "Softplus", "Hardshrink", "Softshrink", "GLU", "AlongDim", "Softmax", "LogSoftmax", "Softmin",
    "Softmax2d", "PReLU", "RReLU",
]


class Bent(Module):
    """A function with its settings, as a module.  (*) -> (*)"""

    function: Callable
    silent: tuple[str, ...] = ()            # settings that the print does not mention

    def __init__(self, **settings):
        super().__init__()
        self.__dict__.update(settings, _settings=tuple(settings))

    def settings(self) -> dict:
        mine = vars(self)
        return {name: mine[name] for name in self._settings if name != "inplace" or self.inplace}

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, **self.settings()) if self._settings else type(self).function(input)

    def extra_repr(self) -> str:
        told = {name: value for name, value in self.settings().items() if name not in self.silent}
        return ", ".join([f"{name}={value}" for name, value in told.items()])


class Sigmoid(Bent):
    """1 / (1 + exp(-x)).  (*) -> (*)"""

    function = activations.sigmoid


class Tanh(Bent):
    """The hyperbolic tangent.  (*) -> (*)"""

    function = activations.tanh


class LogSigmoid(Bent):
    """The logarithm of the sigmoid.  (*) -> (*)"""

    function = bends.logsigmoid


class Softsign(Bent):
    """x / (1 + |x|).  (*) -> (*)"""

    function = bends.softsign


class Tanhshrink(Bent):
    """x - tanh(x).  (*) -> (*)"""

    function = bends.tanhshrink


class OverInput(Bent):
    """A bend whose only setting is whether it writes over its input.  (*) -> (*)"""

    def __init__(self, inplace: bool = False): super().__init__(inplace=inplace)

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, inplace=True) if self.inplace else type(self).function(input)


class ReLU(OverInput):
    """What is positive, else 0.  (*) -> (*)"""

    function = activations.relu


class ReLU6(OverInput):
    """relu, cut off above 6.  (*) -> (*)"""

    function = bends.relu6


class SELU(OverInput):
    """elu, scaled so that mean 0 and variance 1 stay so.  (*) -> (*)"""

    function = bends.selu


class SiLU(OverInput):
    """x * sigmoid(x).  (*) -> (*)"""

    function = bends.silu


class Mish(OverInput):
    """x * tanh(softplus(x)).  (*) -> (*)"""

    function = bends.mish


class Hardsigmoid(OverInput):
    """A straight line from 0 at -3 to 1 at 3.  (*) -> (*)"""

    function, silent = bends.hardsigmoid, ("inplace",)


class Hardswish(OverInput):
    """x * hardsigmoid(x).  (*) -> (*)"""

    function, silent = bends.hardswish, ("inplace",)


class GELU(Bent):
    """x times the chance that a normal number is below x.  (*) -> (*)"""

    function = activations.gelu

    def __init__(self, approximate: str = "none"): super().__init__(approximate=approximate)
    def extra_repr(self) -> str: return f"approximate={self.approximate!r}"


class LeakyReLU(Bent):
    """x, and where x is negative only a share of it.  (*) -> (*)"""

    function = bends.leaky_relu

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class ELU(Bent):
    """x, and where x is negative alpha * (exp(x) - 1).  (*) -> (*)"""

    function = bends.elu

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(alpha=alpha, inplace=inplace)


class CELU(Bent):
    """elu made smooth for every alpha.  (*) -> (*)"""

    function = bends.celu

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(alpha=alpha, inplace=inplace)


class Threshold(Bent):
    """x where it is above the threshold, else `value`.  (*) -> (*)"""

    function = bends.threshold

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__(threshold=threshold, value=value, inplace=inplace)


class Hardtanh(Bent):
    """x, cut off below `min_val` and above `max_val`.  (*) -> (*)"""

    function = bends.hardtanh

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False,
        min_value: float | None = None, max_value: float | None = None,     # older words for the first two
    ):
        low, high = min_val if min_value is None else min_value, max_val if max_value is None else max_value
        if not high > low: raise ValueError(f"min_val is below max_val, and {low} is not below {high}")
        super().__init__(min_val=low, max_val=high, inplace=inplace)


class Softplus(Bent):
    """log(1 + exp(beta * x)) / beta.  (*) -> (*)"""

    function = bends.softplus

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__(beta=beta, threshold=threshold)


class Hardshrink(Bent):
    """x, and 0 where |x| is at most lambd.  (*) -> (*)"""

    function = bends.hardshrink

    def __init__(self, lambd: float = 0.5): super().__init__(lambd=lambd)
    def extra_repr(self) -> str: return str(self.lambd)


class Softshrink(Bent):
    """x moved towards 0 by lambd.  (*) -> (*)"""

    function = bends.softshrink

    def __init__(self, lambd: float = 0.5): super().__init__(lambd=lambd)
    def extra_repr(self) -> str: return str(self.lambd)


class GLU(Bent):
    """One half, times the sigmoid of the other.  (*, 2n, *) -> (*, n, *)"""

    function = bends.glu

    def __init__(self, dim: int = -1): super().__init__(dim=dim)


class AlongDim(Bent):
    """A function that works along one dimension.  (*) -> (*)"""

    def __init__(self, dim: int | None = None): super().__init__(dim=dim)

    def forward(self, input: Tensor) -> Tensor:
        if self.dim is not None: return super().forward(input)
        guess = 0 if input.ndim in (0, 1, 3) else 1
        warnings.warn(f"{self._get_name()}() does not say along which dim: {guess} is a guess", stacklevel=3)
        return type(self).function(input, guess)


class Softmax(AlongDim):
    """Probabilities from scores.  (*) -> (*)"""

    function = activations.softmax


class LogSoftmax(AlongDim):
    """The logarithms of probabilities, from scores.  (*) -> (*)"""

    function = activations.log_softmax


class Softmin(AlongDim):
    """Softmax upside down.  (*) -> (*)"""

    function = bends.softmin


class Softmax2d(Module):
    """Probabilities over the channels, at every place of a picture.  (*, C, H, W) -> (*, C, H, W)"""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ShapeError(f"Softmax2d wants (N, C, H, W) or (C, H, W), not {shape_of(input)}")
        return activations.softmax(input, -3)


class PReLU(Module):
    """leaky_relu whose slope is learned, for all channels or for each.  (N, C, *) -> (N, C, *)"""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), float(init), dtype=dtype, device=device))

    def reset_parameters(self) -> None: self.weight.data.fill_(self.init)
    def forward(self, input: Tensor) -> Tensor: return bends.prelu(input, self.weight)
    def extra_repr(self) -> str: return f"num_parameters={self.num_parameters}"


class RReLU(Bent):
    """leaky_relu with slopes drawn at random while it learns.  (*) -> (*)"""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        super().__init__(lower=lower, upper=upper, inplace=inplace)

    def forward(self, input: Tensor) -> Tensor:
        return bends.rrelu(input, self.lower, self.upper, self.training, self.inplace)
