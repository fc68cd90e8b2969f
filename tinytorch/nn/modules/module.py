# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.modules.module: what the lessons define under PyTorch's name for it."""

from ...layers import Module
from ...hooks import register_module_forward_hook, register_module_forward_pre_hook
from ...grad_hooks import (
    register_module_backward_hook, register_module_full_backward_hook, register_module_full_backward_pre_hook,
)

__all__ = [
    "Module", "register_module_forward_hook", "register_module_forward_pre_hook",
    "register_module_backward_hook", "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
