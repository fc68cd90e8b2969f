# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.backends.cpu: what the lessons define under PyTorch's name for it."""

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from ..tables import get_cpu_capability

__all__ = ["get_cpu_capability"]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
