# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.utils.parametrize: what the lessons define under PyTorch's name for it."""

from ...parametrize import (
    register_parametrization, is_parametrized, remove_parametrizations, type_before_parametrizations, cached,
    ParametrizationList,
)

__all__ = [
    "register_parametrization", "is_parametrized", "remove_parametrizations", "type_before_parametrizations",
    "cached", "ParametrizationList",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
