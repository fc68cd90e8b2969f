# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.datasets: what the lessons define under PyTorch's name for it."""

from .archives import (
    MNIST, FashionMNIST, CIFAR10, CIFAR100, DatasetFolder, ImageFolder, Digits, Sonnets, Shakespeare, Names,
)
from .dataloader import Text

__all__ = [
    "MNIST", "FashionMNIST", "CIFAR10", "CIFAR100", "DatasetFolder", "ImageFolder", "Digits", "Text",
    "Sonnets", "Shakespeare", "Names",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
