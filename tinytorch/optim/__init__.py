# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.optim: what the lessons define under PyTorch's name for it."""

from ..optimizers import Optimizer, SGD, Adam, AdamW
from ..adaptive import RMSprop, Adagrad, Adadelta, Adamax, NAdam, RAdam
from ..classics import ASGD, Rprop
from ..lbfgs import LBFGS
from ..matrices import Adafactor, Muon

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from . import lr_scheduler, optimizer, swa_utils

__all__ = [
    "Optimizer", "SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD",
    "Rprop", "LBFGS", "Adafactor", "Muon",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__, "lr_scheduler", "optimizer", "swa_utils"]
