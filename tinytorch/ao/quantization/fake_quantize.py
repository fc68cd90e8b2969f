# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.ao.quantization.fake_quantize: what the lessons define under PyTorch's name for it."""

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from ...straight_through import (
        FakeQuantize, disable_fake_quant, disable_observer, enable_fake_quant, enable_observer,
    )

__all__ = ["FakeQuantize", "disable_fake_quant", "disable_observer", "enable_fake_quant", "enable_observer"]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
