# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.utils.parametrizations: what the lessons define under PyTorch's name for it."""

from ...weight_forms import weight_norm, spectral_norm
from ...turns import orthogonal

__all__ = ["weight_norm", "spectral_norm", "orthogonal"]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
