# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.tokenizers: what the lessons define under PyTorch's name for it."""

from .dataloader import CharTokenizer
from .bytepairs import BytePairTokenizer

__all__ = ["CharTokenizer", "BytePairTokenizer"]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
