# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.monitoring: what the lessons define under PyTorch's name for it."""

from .mlops import Histogram, psi, Tally, verdict
from .exposition import Metrics, Counter, Gauge, Distribution
from .drift import ks_test, DriftWatch
from .decay import Window, Cusum, PageHinkley, Alarm
from .canary import Canary

__all__ = [
    "Histogram", "Metrics", "Counter", "Gauge", "Distribution", "psi", "ks_test", "DriftWatch", "Window",
    "Cusum", "PageHinkley", "Alarm", "Canary", "Tally", "verdict",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
