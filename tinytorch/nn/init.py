# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.init: what the lessons define under PyTorch's name for it."""

from ..layers import calculate_gain, kaiming_normal_
from ..initialisation import (
    uniform_, normal_, trunc_normal_, constant_, ones_, zeros_, eye_, dirac_, xavier_uniform_, xavier_normal_,
    kaiming_uniform_, orthogonal_, sparse_, uniform, normal, constant, eye, dirac, xavier_uniform,
    xavier_normal, kaiming_uniform, kaiming_normal, orthogonal, sparse, _calculate_fan_in_and_fan_out,
)

__all__ = [
    "calculate_gain", "uniform_", "normal_", "trunc_normal_", "constant_", "ones_", "zeros_", "eye_",
    "dirac_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "orthogonal_",
    "sparse_", "uniform", "normal", "constant", "eye", "dirac", "xavier_uniform", "xavier_normal",
    "kaiming_uniform", "kaiming_normal", "orthogonal", "sparse", "_calculate_fan_in_and_fan_out",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
