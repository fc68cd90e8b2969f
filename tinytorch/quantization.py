# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.quantization: what the lessons define under PyTorch's name for it."""

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from .qconfigs import (
        DeQuantStub, QConfig, QuantStub, QuantWrapper, convert, default_dynamic_qconfig, default_qconfig,
        get_default_qat_qconfig, get_default_qconfig, prepare, prepare_qat, quantize, quantize_dynamic,
        quantize_qat,
    )

__all__ = [
    "DeQuantStub", "QConfig", "QuantStub", "QuantWrapper", "convert", "default_dynamic_qconfig",
    "default_qconfig", "get_default_qat_qconfig", "get_default_qconfig", "prepare", "prepare_qat", "quantize",
    "quantize_dynamic", "quantize_qat",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
