# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.utils: what the lessons define under PyTorch's name for it."""

from ...vectors import parameters_to_vector, vector_to_parameters, skip_init
from ...hooked_weights import weight_norm, spectral_norm, remove_weight_norm, remove_spectral_norm
from ...fusing import fuse_conv_bn_eval, fuse_conv_bn_weights, fuse_linear_bn_eval, fuse_linear_bn_weights
from ...clipping import (
    clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm, clip_grad_norm,
)

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from . import parametrizations, parametrize, prune, rnn

__all__ = [
    "parameters_to_vector", "vector_to_parameters", "skip_init", "weight_norm", "spectral_norm",
    "remove_weight_norm", "remove_spectral_norm", "fuse_conv_bn_eval", "fuse_conv_bn_weights",
    "fuse_linear_bn_eval", "fuse_linear_bn_weights", "clip_grad_norm_", "clip_grad_value_",
    "clip_grads_with_norm_", "get_total_norm", "clip_grad_norm",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__, "parametrizations", "parametrize", "prune", "rnn"]
