# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.models: what the lessons define under PyTorch's name for it."""

from .dense import MLP
from .spatial import LeNet5
from .vision import (
    lenet5, AlexNetSmall, VGG, vgg11, vgg11_bn, vgg16, vgg16_bn, ResNet, BasicBlock, Bottleneck, projection,
    Subsample, resnet18, resnet34, resnet50, resnet20, MobileNetV2, InvertedResidual, mobilenet_v2, UNet,
)
from .attention import GPT
from .language import ViT, gpt2_state

__all__ = [
    "MLP", "LeNet5", "lenet5", "AlexNetSmall", "VGG", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn", "ResNet",
    "BasicBlock", "Bottleneck", "projection", "Subsample", "resnet18", "resnet34", "resnet50", "resnet20",
    "MobileNetV2", "InvertedResidual", "mobilenet_v2", "UNet", "GPT", "ViT", "gpt2_state",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
