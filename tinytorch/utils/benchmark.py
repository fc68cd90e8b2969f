# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.utils.benchmark: what the lessons define under PyTorch's name for it."""

from ..timers import (
    Timer, Measurement, Compare, TaskSpec, Language, select_unit, unit_to_english, trim_sigfig, timer,
)

__all__ = [
    "Timer", "Measurement", "Compare", "TaskSpec", "Language", "select_unit", "unit_to_english",
    "trim_sigfig", "timer",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
