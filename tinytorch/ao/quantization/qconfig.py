# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.ao.quantization.qconfig: what the lessons define under PyTorch's name for it."""

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from ...qconfigs import (
        QConfig, default_dynamic_qconfig, default_per_channel_qconfig, default_qat_qconfig, default_qconfig,
        get_default_qat_qconfig, get_default_qconfig, per_channel_dynamic_qconfig,
    )

__all__ = [
    "QConfig", "default_dynamic_qconfig", "default_per_channel_qconfig", "default_qat_qconfig",
    "default_qconfig", "get_default_qat_qconfig", "get_default_qconfig", "per_channel_dynamic_qconfig",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
