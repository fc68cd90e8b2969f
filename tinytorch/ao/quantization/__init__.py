# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.ao.quantization: what the lessons define under PyTorch's name for it."""

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from . import fake_quantize, observer, qconfig
    from ...observers import (
        MinMaxObserver, PerChannelMinMaxObserver, MovingAverageMinMaxObserver,
        MovingAveragePerChannelMinMaxObserver, default_observer, default_weight_observer,
        default_per_channel_weight_observer, PercentileObserver, MSEObserver,
    )
    from ...straight_through import (
        FakeQuantize, enable_observer, disable_observer, enable_fake_quant, disable_fake_quant,
    )
    from ...qconfigs import (
        QConfig, default_qconfig, default_per_channel_qconfig, default_dynamic_qconfig,
        per_channel_dynamic_qconfig, default_qat_qconfig, get_default_qconfig, get_default_qat_qconfig,
        quantize_dynamic, prepare, prepare_qat, convert, quantize, quantize_qat, fuse_modules, QuantStub,
        DeQuantStub, QuantWrapper, load_quantized, quantize_embeddings,
    )
    from ...int4 import quantize_int4

__all__ = [
    "MinMaxObserver", "PerChannelMinMaxObserver", "MovingAverageMinMaxObserver",
    "MovingAveragePerChannelMinMaxObserver", "default_observer", "default_weight_observer",
    "default_per_channel_weight_observer", "FakeQuantize", "enable_observer", "disable_observer",
    "enable_fake_quant", "disable_fake_quant", "QConfig", "default_qconfig", "default_per_channel_qconfig",
    "default_dynamic_qconfig", "per_channel_dynamic_qconfig", "default_qat_qconfig", "get_default_qconfig",
    "get_default_qat_qconfig", "quantize_dynamic", "prepare", "prepare_qat", "convert", "quantize",
    "quantize_qat", "fuse_modules", "QuantStub", "DeQuantStub", "QuantWrapper", "PercentileObserver",
    "MSEObserver", "load_quantized", "quantize_embeddings", "quantize_int4",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__, "fake_quantize", "observer", "qconfig"]
