# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.functional: what the lessons define under PyTorch's name for it."""

from ..creation import one_hot
from ..activations import relu, sigmoid, tanh, softmax, log_softmax, gelu
from ..bends import (
    leaky_relu, prelu, elu, celu, selu, softplus, logsigmoid, silu, mish, softsign, tanhshrink, hardtanh,
    relu6, hardsigmoid, hardswish, threshold, hardshrink, softshrink, glu, softmin, rrelu, gumbel_softmax,
    rrelu_, relu_, leaky_relu_, elu_, celu_, selu_, hardtanh_, threshold_,
)

__all__ = [
    "one_hot", "relu", "sigmoid", "tanh", "softmax", "log_softmax", "gelu", "leaky_relu", "prelu", "elu",
    "celu", "selu", "softplus", "logsigmoid", "silu", "mish", "softsign", "tanhshrink", "hardtanh", "relu6",
    "hardsigmoid", "hardswish", "threshold", "hardshrink", "softshrink", "glu", "softmin", "rrelu",
    "gumbel_softmax", "rrelu_", "relu_", "leaky_relu_", "elu_", "celu_", "selu_", "hardtanh_", "threshold_",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
