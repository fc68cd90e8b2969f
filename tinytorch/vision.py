# Generated from modules/06_spatial/appendix_vision.py by `tito export`. Edit that file, not this one.
"""Networks for pictures: LeNet, AlexNet, VGG, ResNet, MobileNetV2 and U-Net."""

from __future__ import annotations

from .bent_modules import ReLU, ReLU6
from .containers import ModuleList
from .convolution import ConvTranspose2d
from .dense import Dropout, Linear
from .errors import ShapeError, shape_of
from .initialisation import kaiming_normal_, normal_, zeros_
from .layers import Module, Sequential
from .no_weights import Identity
from .pooling import AdaptiveAvgPool2d
from .room import pad
from .shaping import cat, flatten
from .spatial import BatchNorm2d, Conv2d, LeNet5, MaxPool2d

__all__ = [
    "he", "lenet5", "AlexNetSmall", "WIDTHS", "vgg_stages", "VGG", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn",
    "projection", "Subsample", "BasicBlock", "Bottleneck", "stage", "ResNet", "begin_with_nothing",
    "resnet18", "resnet34", "resnet50", "resnet20", "conv_norm_relu6", "InvertedResidual", "in_eights",
    "MobileNetV2", "mobilenet_v2", "twice", "UNet",
]


def he(net: Module, std: float | None = None) -> None:
    """Draws all filters of a network anew, and its dense layers too if a standard deviation is given."""
    for part in net.modules():
        if isinstance(part, Conv2d): kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, Linear) and std is not None: normal_(part.weight, 0.0, std)
        else: continue
        if part.bias is not None and (std is not None or isinstance(part, Conv2d)): zeros_(part.bias)


def lenet5(size: int = 28, num_classes: int = 10) -> LeNet5:
    """A LeNet for pictures of 8, 28 or 32 pixels a side.  (N, 1, size, size) -> (N, num_classes)"""
    if size not in (8, 28, 32):
        raise ValueError(f"a LeNet reads pictures of 8, 28 or 32 pixels a side, not {size}")
    net = LeNet5(num_classes)
    if size == 32: net.conv1 = Conv2d(1, 6, 5)
    if size == 8: net.conv2, net.fc1 = Conv2d(6, 16, 5, padding=2), Linear(16 * 2 * 2, 120)
    return net


class AlexNetSmall(Module):
    """AlexNet's plan (Krizhevsky et al., 2012), small.  (N, in_channels, 32, 32) -> (N, num_classes)"""

    def __init__(self, num_classes: int = 10, in_channels: int = 3, hidden: int = 1024, dropout: float = 0.5):
        super().__init__()
        self.features = Sequential(
            Conv2d(in_channels, 64, 3, stride=2, padding=1), ReLU(inplace=True), MaxPool2d(2),
            Conv2d(64, 192, 3, padding=1), ReLU(inplace=True), MaxPool2d(2),
            Conv2d(192, 384, 3, padding=1), ReLU(inplace=True),
            Conv2d(384, 256, 3, padding=1), ReLU(inplace=True),
            Conv2d(256, 256, 3, padding=1), ReLU(inplace=True), MaxPool2d(2))
        self.classifier = Sequential(
            Dropout(dropout), Linear(256 * 2 * 2, hidden), ReLU(inplace=True),
            Dropout(dropout), Linear(hidden, hidden), ReLU(inplace=True), Linear(hidden, num_classes))

    def forward(self, x): return self.classifier(flatten(self.features(x), 1))


WIDTHS = 64, 128, 256, 512, 512


def vgg_stages(layers: tuple[int, ...], batch_norm: bool = False) -> Sequential:
    """Five stages of 3 x 3 filters, so many layers in each.  (N, 3, H, W) -> (N, 512, H / 32, W / 32)"""
    parts, channels = [], 3
    for n, width in zip(layers, WIDTHS):
        for _ in range(n):
            norm = [BatchNorm2d(width)] if batch_norm else []
            parts += [Conv2d(channels, width, 3, padding=1), *norm, ReLU(inplace=True)]
            channels = width
        parts.append(MaxPool2d(2, 2))
    return Sequential(*parts)


class VGG(Module):
    """Small filters, many of them (Simonyan and Zisserman, 2014).  (N, 3, H, W) -> (N, num_classes)"""

    def __init__(
        self, features: Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5,
        hidden: int = 4096,                     # torchvision has 4096 always
    ):
        super().__init__()
        self.features, self.avgpool = features, AdaptiveAvgPool2d((7, 7))
        self.classifier = Sequential(
            Linear(512 * 7 * 7, hidden), ReLU(inplace=True), Dropout(dropout),
            Linear(hidden, hidden), ReLU(inplace=True), Dropout(dropout), Linear(hidden, num_classes))
        if init_weights: he(self, std=0.01)

    def forward(self, x): return self.classifier(flatten(self.avgpool(self.features(x)), 1))


def vgg11(**settings) -> VGG:
    """Eleven layers with weights, eight of them convolutions."""
    return VGG(vgg_stages((1, 1, 2, 2, 2)), **settings)


def vgg11_bn(**settings) -> VGG:
    """The same, with a batch norm behind each convolution."""
    return VGG(vgg_stages((1, 1, 2, 2, 2), batch_norm=True), **settings)


def vgg16(**settings) -> VGG:
    """Sixteen layers with weights, thirteen of them convolutions."""
    return VGG(vgg_stages((2, 2, 3, 3, 3)), **settings)


def vgg16_bn(**settings) -> VGG:
    """The same, with a batch norm behind each convolution."""
    return VGG(vgg_stages((2, 2, 3, 3, 3), batch_norm=True), **settings)


def projection(inplanes: int, planes: int, stride: int) -> Sequential:
    """A learned way past a block that changes shapes.  (N, inplanes, H, W) -> (N, planes, H', W')"""
    return Sequential(Conv2d(inplanes, planes, 1, stride, bias=False), BatchNorm2d(planes))


class Subsample(Module):
    """The same without weights: some of the pixels, and channels of zeros behind those there are."""

    def __init__(self, inplanes: int, planes: int, stride: int):
        super().__init__()
        self.more, self.stride = planes - inplanes, stride

    def forward(self, x): return pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
    def extra_repr(self) -> str: return f"more={self.more}, stride={self.stride}"


class BasicBlock(Module):
    """Two convolutions of 3 x 3, added to what came in."""

    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None):
        super().__init__()
        self.conv1, self.bn1 = Conv2d(inplanes, planes, 3, stride, 1, bias=False), BatchNorm2d(planes)
        self.relu = ReLU(inplace=True)
        self.conv2, self.bn2 = Conv2d(planes, planes, 3, 1, 1, bias=False), BatchNorm2d(planes)
        self.downsample, self.stride = downsample, stride

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(Module):
    """Few channels in the middle: 1 x 1 there, 3 x 3, 1 x 1 back, added to what came in."""

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None):
        super().__init__()
        wide = planes * self.expansion
        self.conv1, self.bn1 = Conv2d(inplanes, planes, 1, bias=False), BatchNorm2d(planes)
        self.conv2, self.bn2 = Conv2d(planes, planes, 3, stride, 1, bias=False), BatchNorm2d(planes)
        self.conv3, self.bn3 = Conv2d(planes, wide, 1, bias=False), BatchNorm2d(wide)
        self.relu = ReLU(inplace=True)
        self.downsample, self.stride = downsample, stride

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def stage(block: type, inplanes: int, planes: int, n: int, stride: int, shortcut) -> Sequential:
    """n blocks in a row; the first one changes the shape."""
    wide = planes * block.expansion
    way = shortcut(inplanes, wide, stride) if stride != 1 or inplanes != wide else None
    return Sequential(block(inplanes, planes, stride, way), *[block(wide, planes) for _ in range(n - 1)])


class ResNet(Module):
    """Blocks that add to what they get (He et al., 2015).  (N, 3, H, W) -> (N, num_classes)"""

    def __init__(
        self, block: type, layers: list[int], num_classes: int = 1000, zero_init_residual: bool = False,
        *, width: int = 64, small: bool = False, shortcut=projection,
    ):
        super().__init__()
        self.conv1 = Conv2d(3, width, 3, 1, 1, bias=False) if small else Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1, self.relu = BatchNorm2d(width), ReLU(inplace=True)
        self.maxpool = Identity() if small else MaxPool2d(3, 2, 1)
        self.stages, channels = [f"layer{i + 1}" for i in range(len(layers))], width
        for i, (name, n) in enumerate(zip(self.stages, layers)):
            self.add_module(name, stage(block, channels, width << i, n, 2 if i else 1, shortcut))
            channels = (width << i) * block.expansion
        self.avgpool, self.fc = AdaptiveAvgPool2d((1, 1)), Linear(channels, num_classes)
        he(self)
        if zero_init_residual: begin_with_nothing(self)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self.stages: x = getattr(self, name)(x)
        return self.fc(flatten(self.avgpool(x), 1))


def begin_with_nothing(net: Module) -> None:
    """Lets every block add nothing at first: the scale of its last norm is 0 (Goyal et al., 2017)."""
    for part in net.modules():
        if isinstance(part, (BasicBlock, Bottleneck)):
            zeros_((part.bn2 if isinstance(part, BasicBlock) else part.bn3).weight)


def resnet18(**settings) -> ResNet:
    """Eighteen layers: two basic blocks in each of four stages."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **settings)


def resnet34(**settings) -> ResNet:
    """Thirty-four layers of basic blocks."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **settings)


def resnet50(**settings) -> ResNet:
    """Fifty layers, in bottlenecks of three."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **settings)


def resnet20(num_classes: int = 10, shortcut=Subsample, **settings) -> ResNet:
    """The paper's ResNet for CIFAR: 269,722 parameters, or 272,474 with `projection` for a shortcut."""
    return ResNet(BasicBlock, [3, 3, 3], num_classes, width=16, small=True, shortcut=shortcut, **settings)


def conv_norm_relu6(inp: int, oup: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> Sequential:
    """A convolution that keeps the size (but for its stride), at one scale, cut at 0 and 6."""
    conv = Conv2d(inp, oup, kernel, stride, kernel // 2, groups=groups, bias=False)
    return Sequential(conv, BatchNorm2d(oup), ReLU6(inplace=True))


class InvertedResidual(Module):
    """Widen, look at each channel by itself, narrow; added to what came in where shapes allow."""

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: int):
        super().__init__()
        wide, self.adds = round(inp * expand_ratio), stride == 1 and inp == oup
        widen = [conv_norm_relu6(inp, wide, 1)] if expand_ratio != 1 else []
        self.conv = Sequential(*widen, conv_norm_relu6(wide, wide, 3, stride, groups=wide),
                               Conv2d(wide, oup, 1, bias=False), BatchNorm2d(oup))

    def forward(self, x): return x + self.conv(x) if self.adds else self.conv(x)


def in_eights(channels: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth below."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8


class MobileNetV2(Module):
    """Small and quick (Sandler et al., 2018).  (N, 3, H, W) -> (N, num_classes)"""

    plan = (                                # expand_ratio, channels, blocks, stride of the first
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
        (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2):
        super().__init__()
        channels, last = in_eights(32 * width_mult), in_eights(1280 * max(1.0, width_mult))
        parts = [conv_norm_relu6(3, channels, stride=2)]
        for ratio, width, n, stride in self.plan:
            wide = in_eights(width * width_mult)
            for i in range(n):
                parts.append(InvertedResidual(channels, wide, 1 if i else stride, ratio))
                channels = wide
        self.features = Sequential(*parts, conv_norm_relu6(channels, last, 1))
        self.classifier = Sequential(Dropout(dropout), Linear(last, num_classes))
        he(self, std=0.01)

    def forward(self, x): return self.classifier(self.features(x).mean((2, 3)))


def mobilenet_v2(**settings) -> MobileNetV2:
    """Seventeen inverted residuals, for 1,000 classes unless told otherwise."""
    return MobileNetV2(**settings)


def twice(inp: int, oup: int) -> Sequential:
    """Two convolutions of 3 x 3, each at one scale and bent.  (N, inp, H, W) -> (N, oup, H, W)"""
    return Sequential(Conv2d(inp, oup, 3, padding=1, bias=False), BatchNorm2d(oup), ReLU(inplace=True),
                      Conv2d(oup, oup, 3, padding=1, bias=False), BatchNorm2d(oup), ReLU(inplace=True))


class UNet(Module):
    """Scores for every pixel (Ronneberger et al., 2015).  (N, in_channels, H, W) -> (N, num_classes, H, W)"""

    def __init__(self, in_channels: int = 3, num_classes: int = 2, width: int = 64, depth: int = 4):
        super().__init__()
        widths = [width << i for i in range(depth + 1)]
        self.down = ModuleList([twice(i, o) for i, o in zip([in_channels, *widths], widths)])
        self.pool = MaxPool2d(2)
        pairs = list(zip(widths[::-1], widths[-2::-1]))
        self.up = ModuleList([ConvTranspose2d(i, o, 2, stride=2) for i, o in pairs])
        self.join = ModuleList([twice(i, o) for i, o in pairs])
        self.head = Conv2d(width, num_classes, 1)

    def forward(self, x):
        self.check(x)
        *steps, bottom = self.down
        across = []
        for step in steps:
            across.append(step(x))
            x = self.pool(across[-1])
        x = bottom(x)
        for up, join, seen in zip(self.up, self.join, reversed(across)):
            x = join(cat([seen, up(x)], 1))
        return self.head(x)

    def check(self, x) -> None:
        n = 2 ** len(self.up)
        if x.shape[-1] % n or x.shape[-2] % n:
            raise ShapeError(f"a UNet of depth {len(self.up)} halves pictures until both sides have to be "
                             f"multiples of {n}: those of {shape_of(x)} are not")
