# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.utils.checkpoint: what the lessons define under PyTorch's name for it."""

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from ..checkpoint import (
        CheckpointError, CheckpointFunction, check_backward_validity, checkpoint, checkpoint_sequential,
        noop_context_fn,
    )

__all__ = [
    "CheckpointError", "CheckpointFunction", "check_backward_validity", "checkpoint", "checkpoint_sequential",
    "noop_context_fn",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
