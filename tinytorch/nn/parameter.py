# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.parameter: what the lessons define under PyTorch's name for it."""

from ..layers import Parameter, Buffer
from ..lazy import UninitializedParameter, UninitializedBuffer, is_lazy

__all__ = ["Parameter", "Buffer", "UninitializedParameter", "UninitializedBuffer", "is_lazy"]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
