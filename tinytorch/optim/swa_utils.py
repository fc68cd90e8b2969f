# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.optim.swa_utils: what the lessons define under PyTorch's name for it."""

from ..averages import (
    AveragedModel, SWALR, update_bn, get_ema_avg_fn, get_swa_avg_fn, get_ema_multi_avg_fn,
    get_swa_multi_avg_fn,
)

__all__ = [
    "AveragedModel", "SWALR", "update_bn", "get_ema_avg_fn", "get_swa_avg_fn", "get_ema_multi_avg_fn",
    "get_swa_multi_avg_fn",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
