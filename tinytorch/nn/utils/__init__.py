# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.utils: what the lessons define under PyTorch's name for it."""

from ...vectors import parameters_to_vector, vector_to_parameters, skip_init
from ...clipping import (
    clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm, clip_grad_norm,
)

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from . import rnn

__all__ = [
    "parameters_to_vector", "vector_to_parameters", "skip_init", "clip_grad_norm_", "clip_grad_value_",
    "clip_grads_with_norm_", "get_total_norm", "clip_grad_norm",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__, "rnn"]
