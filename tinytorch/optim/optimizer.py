# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.optim.optimizer: what the lessons define under PyTorch's name for it."""

from ..optimizers import Optimizer
from ..bookkeeping import register_optimizer_step_pre_hook, register_optimizer_step_post_hook

__all__ = ["Optimizer", "register_optimizer_step_pre_hook", "register_optimizer_step_post_hook"]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
