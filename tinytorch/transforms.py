# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.transforms: what the lessons define under PyTorch's name for it."""

from .augmenting import (
    Compose, ToTensor, Lambda, Pad, CenterCrop, RandomVerticalFlip, RandomErasing, MixUp, CutMix,
)
from .dataloader import Normalize, RandomCrop, RandomHorizontalFlip

__all__ = [
    "Compose", "ToTensor", "Normalize", "Lambda", "Pad", "CenterCrop", "RandomCrop", "RandomHorizontalFlip",
    "RandomVerticalFlip", "RandomErasing", "MixUp", "CutMix",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
