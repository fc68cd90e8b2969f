# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.ao.quantization.observer: what the lessons define under PyTorch's name for it."""

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from ...observers import (
        MinMaxObserver, PerChannelMinMaxObserver, MovingAverageMinMaxObserver,
        MovingAveragePerChannelMinMaxObserver, default_observer, default_weight_observer,
        default_per_channel_weight_observer,
    )

__all__ = [
    "MinMaxObserver", "PerChannelMinMaxObserver", "MovingAverageMinMaxObserver",
    "MovingAveragePerChannelMinMaxObserver", "default_observer", "default_weight_observer",
    "default_per_channel_weight_observer",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
