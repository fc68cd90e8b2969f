# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.onnx: what the lessons define under PyTorch's name for it."""

from .exporting import export, ONNXProgram

__all__ = ["export", "ONNXProgram"]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
