# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.backends: what the lessons define under PyTorch's name for it."""

from ..switch import use_kernels

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from . import cpu
    from ..tables import kernels
    from ..column import kernel, DECLINED
    from ..pool import Pool

__all__ = ["kernels", "use_kernels", "kernel", "DECLINED", "Pool"]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__, "cpu"]
