# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.autograd.graph: what the lessons define under PyTorch's name for it."""

from ..graph import Node, increment_version, register_multi_grad_hook
from ..saved import disable_saved_tensors_hooks, save_on_cpu, saved_tensors_hooks

__all__ = [
    "Node", "disable_saved_tensors_hooks", "increment_version", "register_multi_grad_hook", "save_on_cpu",
    "saved_tensors_hooks",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
