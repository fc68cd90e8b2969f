"""Networks for pictures: counts and names as published, answers as the same networks give in PyTorch."""

import re
from collections import OrderedDict

import numpy as np
import pytest

import tinytorch
from tests.reference.conftest import LAYERS
from tinytorch import models

RANDOM = np.random.default_rng(6)

# ------------------------------------------------------------------------------------- counts and names

# torchvision's documentation; He et al. for CIFAR (0.27 million: option A, and B as it is usually built);
# the usual PyTorch U-Net with 3 channels in and 1 out; LeNet's counts are sums that fit on a napkin
PUBLISHED = [
    ("vgg11()", 132_863_336), ("vgg11_bn()", 132_868_840), ("vgg16()", 138_357_544),
    ("vgg16_bn()", 138_365_992), ("resnet18()", 11_689_512), ("resnet34()", 21_797_672),
    ("resnet50()", 25_557_032),
    ("resnet20()", 269_722), ("resnet20(shortcut=models.projection)", 272_474),
    ("mobilenet_v2()", 3_504_872), ("mobilenet_v2(width_mult=0.5)", 1_968_680), ("UNet(3, 1)", 31_037_633),
    ("lenet5()", 61_706), ("lenet5(32)", 61_706), ("lenet5(8)", 156 + 2_416 + 7_800 + 10_164 + 850),
    ("AlexNetSmall()", 1_792 + 110_784 + 663_936 + 884_992 + 590_080 + 2 * 1025 * 1024 + 10_250),
]


@pytest.fixture
def undrawn(monkeypatch):
    """Networks without initial weights: half a gigabyte that nobody touches costs nothing."""
    monkeypatch.setattr(tinytorch.dense.Linear, "reset_parameters", lambda self: None)
    monkeypatch.setattr(tinytorch.spatial.Convolution, "reset_parameters", lambda self: None)
    monkeypatch.setattr(tinytorch.vision, "he", lambda net, std=None: None)


def made(line: str): return eval(f"models.{line}", {"models": models})


@pytest.mark.parametrize(("line", "count"), PUBLISHED)
def test_it_has_as_many_parameters_as_published(line, count, undrawn):
    assert sum(p.numel() for p in made(line).parameters()) == count


NORM = "(weight|bias|running_mean|running_var|num_batches_tracked)"
BOTH = "(weight|bias)"
BASIC = (rf"conv1\.weight|bn1\.{NORM}|fc\.{BOTH}|layer[1-4]\.[0-5]\.(conv[12]\.weight|bn[12]\.{NORM})"
         rf"|layer[2-4]\.0\.downsample\.(0\.weight|1\.{NORM})")
NAMES = {
    "resnet18()": (122, BASIC.replace("[0-5]", "[01]")),
    "resnet34()": (218, BASIC),
    "resnet50()": (320, BASIC.replace("[12]", "[123]").replace("[2-4]", "[1-4]")),
    "vgg11()": (22, rf"features\.(0|3|6|8|11|13|16|18)\.{BOTH}|classifier\.[036]\.{BOTH}"),
    "vgg11_bn()": (62, rf"features\.(0|4|8|11|15|18|22|25)\.{BOTH}|features\.(1|5|9|12|16|19|23|26)\.{NORM}"
                       rf"|classifier\.[036]\.{BOTH}"),
    "vgg16()": (32, rf"features\.(0|2|5|7|10|12|14|17|19|21|24|26|28)\.{BOTH}|classifier\.[036]\.{BOTH}"),
    "vgg16_bn()": (97, rf"features\.(0|3|7|10|14|17|20|24|27|30|34|37|40)\.{BOTH}|classifier\.[036]\.{BOTH}"
                       rf"|features\.(1|4|8|11|15|18|21|25|28|31|35|38|41)\.{NORM}"),
    "mobilenet_v2()": (314, rf"features\.(0|18)\.(0\.weight|1\.{NORM})|features\.1\.conv\.(0\.0|1)\.weight"
                            rf"|features\.1\.conv\.(0\.1|2)\.{NORM}|features\.([2-9]|1[0-7])\.conv\."
                            rf"([01]\.0\.weight|[01]\.1\.{NORM}|2\.weight|3\.{NORM})|classifier\.1\.{BOTH}"),
}


@pytest.mark.parametrize("line", NAMES)
def test_its_names_are_those_of_torchvision(line, undrawn):
    count, pattern = NAMES[line]
    names = list(made(line).state_dict())
    assert [name for name in names if not re.fullmatch(pattern, name)] == []
    assert len(names) == count                          # names differ, and all fit: none is missing


SHAPES = [
    ("resnet50()", "layer1.0.conv1.weight", (64, 64, 1, 1)),
    ("resnet50()", "layer3.0.conv2.weight", (256, 256, 3, 3)),
    ("resnet50()", "layer4.0.downsample.0.weight", (2048, 1024, 1, 1)),
    ("resnet50()", "fc.weight", (1000, 2048)),
    ("resnet18()", "conv1.weight", (64, 3, 7, 7)),
    ("resnet18()", "layer2.0.downsample.0.weight", (128, 64, 1, 1)),
    ("vgg16()", "classifier.0.weight", (4096, 25088)), ("vgg16()", "features.28.weight", (512, 512, 3, 3)),
    ("mobilenet_v2()", "features.1.conv.0.0.weight", (32, 1, 3, 3)),
    ("mobilenet_v2()", "features.17.conv.2.weight", (320, 960, 1, 1)),
    ("mobilenet_v2()", "classifier.1.weight", (1000, 1280)),
]


@pytest.mark.parametrize(("line", "name", "shape"), SHAPES)
def test_its_weights_have_torchvisions_shapes(line, name, shape, undrawn):
    assert tuple(made(line).state_dict()[name].shape) == shape


def test_the_block_that_halves_does_so_in_its_middle(undrawn):
    net = models.resnet50()
    assert (net.layer2[0].conv1.stride, net.layer2[0].conv2.stride) == ((1, 1), (2, 2))     # ResNet "V1.5"


# --------------------------------------------------------------- the same networks, written in torch.nn

@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")


def residual(nn, i, o, stride, kind):
    """A residual block; kind says what x goes through where shapes change."""
    class Zeros(nn.Module):
        def forward(self, x): return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, o - i))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
            self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
            if i == o: self.downsample = nn.Identity()
            elif kind == "zeros": self.downsample = Zeros()
            else: self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

        def forward(self, x):
            y = self.bn2(self.conv2(nn.functional.relu(self.bn1(self.conv1(x)))))
            return nn.functional.relu(y + self.downsample(x))
    return Block()


def bottleneck(nn, i, o, stride, _):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(i, o, 1, bias=False), nn.BatchNorm2d(o)
            self.conv2, self.bn2 = nn.Conv2d(o, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
            self.conv3, self.bn3 = nn.Conv2d(o, 4 * o, 1, bias=False), nn.BatchNorm2d(4 * o)
            if i == 4 * o: self.downsample = nn.Identity()
            else: self.downsample = nn.Sequential(
                nn.Conv2d(i, 4 * o, 1, stride, bias=False), nn.BatchNorm2d(4 * o))

        def forward(self, x):
            y = nn.functional.relu(self.bn1(self.conv1(x)))
            y = self.bn3(self.conv3(nn.functional.relu(self.bn2(self.conv2(y)))))
            return nn.functional.relu(y + self.downsample(x))
    return Block()


def residual_net(torch, blocks, width, classes, small=False, kind="conv", block=residual, wider=1):
    nn, rows, i = torch.nn, [], width
    for step, n in enumerate(blocks):
        o = width * 2**step
        row = [block(nn, wider * o if at else i, o, 2 if step and not at else 1, kind) for at in range(n)]
        rows, i = [*rows, (f"layer{step + 1}", nn.Sequential(*row))], wider * o
    conv = nn.Conv2d(3, width, 3, 1, 1, bias=False) if small else nn.Conv2d(3, width, 7, 2, 3, bias=False)
    pool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
    parts = [("conv1", conv), ("bn1", nn.BatchNorm2d(width)), ("relu", nn.ReLU()), ("pool", pool), *rows,
             ("avg", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten()), ("fc", nn.Linear(i, classes))]
    net = nn.Sequential(OrderedDict(parts))
    for p in net.parameters():
        if p.ndim == 4: nn.init.kaiming_normal_(p, mode="fan_out", nonlinearity="relu")
    return net


def vgg(torch, plan, classes, hidden, norm=False):
    nn, parts, i = torch.nn, [], 3
    for o in plan:
        if o == "M": parts += [nn.MaxPool2d(2)]
        else: parts, i = parts + [nn.Conv2d(i, o, 3, padding=1), *[nn.BatchNorm2d(o)][:norm], nn.ReLU()], o
    head = nn.Sequential(nn.Linear(25088, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden),
                         nn.ReLU(), nn.Dropout(), nn.Linear(hidden, classes))
    net = nn.Sequential(OrderedDict([("features", nn.Sequential(*parts)), ("avg", nn.AdaptiveAvgPool2d(7)),
                                 ("flat", nn.Flatten()), ("classifier", head)]))
    return drawn(nn, net)


def drawn(nn, net):
    for part in net.modules():
        if isinstance(part, nn.Conv2d): nn.init.kaiming_normal_(part.weight, mode="fan_out")
        if isinstance(part, nn.Linear): nn.init.normal_(part.weight, 0, 0.01)
        if isinstance(part, (nn.Conv2d, nn.Linear)) and part.bias is not None: nn.init.zeros_(part.bias)
    return net


def mobile(torch, classes):
    nn = torch.nn

    def unit(i, o, k, s=1, g=1):
        conv = nn.Conv2d(i, o, k, s, (k - 1) // 2, groups=g, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(o), nn.ReLU6())

    class Inverted(nn.Module):
        def __init__(self, i, o, s, t):
            super().__init__()
            self.same, h = s == 1 and i == o, i * t
            first = [unit(i, h, 1)] if t > 1 else []
            last = nn.Conv2d(h, o, 1, bias=False), nn.BatchNorm2d(o)
            self.conv = nn.Sequential(*first, unit(h, h, 3, s, h), *last)

        def forward(self, x): return self.conv(x) + x if self.same else self.conv(x)

    rows = [(32, 16, 1, 1), (16, 24, 2, 6), (24, 24, 1, 6), (24, 32, 2, 6), *[(32, 32, 1, 6)] * 2,
            (32, 64, 2, 6), *[(64, 64, 1, 6)] * 3, (64, 96, 1, 6), *[(96, 96, 1, 6)] * 2,
            (96, 160, 2, 6), *[(160, 160, 1, 6)] * 2, (160, 320, 1, 6)]
    features = nn.Sequential(unit(3, 32, 3, 2), *[Inverted(*row) for row in rows], unit(320, 1280, 1))
    head = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))
    return drawn(nn, nn.Sequential(OrderedDict([("features", features), ("avg", nn.AdaptiveAvgPool2d(1)),
                                            ("flat", nn.Flatten()), ("classifier", head)])))


VGG11 = [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]
VGG16 = [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"]
B, Z = "conv", "zeros"
PAIRS = {
    "resnet18(num_classes=7)": (residual_net, [[2, 2, 2, 2], 64, 7], (2, 3, 64, 64)),
    "resnet34(num_classes=3)": (residual_net, [[3, 4, 6, 3], 64, 3], (1, 3, 33, 45)),
    "resnet50(num_classes=3)": (residual_net, [[3, 4, 6, 3], 64, 3, False, B, bottleneck, 4], (1, 3, 40, 40)),
    "resnet18(num_classes=5, small=True)": (residual_net, [[2, 2, 2, 2], 64, 5, True], (1, 3, 16, 16)),
    "resnet20()": (residual_net, [[3, 3, 3], 16, 10, True, Z], (4, 3, 32, 32)),
    "resnet20(shortcut=models.projection)": (residual_net, [[3, 3, 3], 16, 10, True], (2, 3, 32, 32)),
    "vgg11(num_classes=5, hidden=32)": (vgg, [VGG11, 5, 32], (1, 3, 64, 32)),
    "vgg11_bn(num_classes=5, hidden=32)": (vgg, [VGG11, 5, 32, True], (1, 3, 32, 32)),
    "vgg16_bn(num_classes=5, hidden=32)": (vgg, [VGG16, 5, 32, True], (1, 3, 32, 32)),
    "mobilenet_v2(num_classes=6)": (mobile, [6], (2, 3, 64, 64)),
}


def lively(torch, net):
    """Norms that have seen something: with means of 0 and scales of 1 mistakes would not show."""
    torch.manual_seed(1)
    for key, value in net.state_dict().items():
        if key.endswith(("running_mean", "bias")): value.normal_(0, 0.1)
        if key.endswith("running_var"): value.uniform_(0.5, 1.5)
        if value.ndim == 1 and key.endswith("weight"): value.uniform_(0.5, 1.2)
        if value.ndim == 4: torch.nn.init.kaiming_normal_(value)        # also one by one signals arrive
    return net


def close(ours, theirs):
    theirs = theirs.detach().numpy()
    assert np.ptp(theirs) > 1e-6
    far = LAYERS[str(theirs.dtype)] * np.abs(theirs).max()
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=far)


def loaded(torch, net, theirs):
    """Our network with PyTorch's state: strict, so every name and every shape has to fit."""
    net.load_state_dict({key: tinytorch.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    return net


@pytest.mark.parametrize("line", PAIRS)
def test_it_gives_what_the_same_network_gives_in_pytorch(line, torch):
    build, settings, shape = PAIRS[line]
    theirs = lively(torch, build(torch, *settings)).eval()
    net = loaded(torch, made(line), theirs).eval()
    x = 8 * RANDOM.standard_normal(shape).astype(np.float32)       # beyond the 6 of ReLU6, too
    with torch.no_grad(): close(net(tinytorch.tensor(x)).detach(), theirs(torch.tensor(x)))
    x = x[:1].astype(np.float64)
    with torch.no_grad(): close(net.double()(tinytorch.tensor(x)).detach(), theirs.double()(torch.tensor(x)))


@pytest.mark.parametrize("line", [line for line in PAIRS if "_bn" not in line])
def test_the_same_seed_draws_the_same_weights(line, torch):
    build, settings, _ = PAIRS[line]
    torch.manual_seed(3)
    theirs = build(torch, *settings).state_dict()
    tinytorch.manual_seed(3)
    for name, ours in made(line).state_dict().items():
        np.testing.assert_allclose(ours.numpy(), theirs[name].numpy(), rtol=1e-5, atol=1e-7, err_msg=name)


def test_while_training_norms_keep_statistics_as_pytorchs(torch):
    theirs = residual_net(torch, [3, 3, 3], 16, 10, True, "zeros").train()
    net = loaded(torch, models.resnet20(), theirs).train()
    x = RANDOM.standard_normal((4, 3, 32, 32)).astype(np.float32)
    close(net(tinytorch.tensor(x)).detach(), theirs(torch.tensor(x)))
    close(net.layer3[2].bn2.running_var, theirs.layer3[2].bn2.running_var)


# ------------------------------------------------------------------------------------- our own networks

def test_a_unet_is_two_convolutions_down_across_and_up(torch):
    F = torch.nn.functional
    net = models.UNet(2, 3, width=4, depth=2)
    state = {key: torch.tensor(value.detach().numpy()) for key, value in net.state_dict().items()}
    x = RANDOM.standard_normal((2, 2, 12, 20)).astype(np.float32)

    def twice(x, at):
        for i in (0, 3):
            x = F.conv2d(x, state[f"{at}.{i}.weight"], padding=1)
            x = F.relu(F.batch_norm(x, *[state[f"{at}.{i + 1}.{k}"] for k in (
                "running_mean", "running_var", "weight", "bias")]))
        return x

    a = twice(torch.tensor(x), "down.0")
    b = twice(F.max_pool2d(a, 2), "down.1")
    c = twice(F.max_pool2d(b, 2), "down.2")
    for i, seen in enumerate((b, a)):
        up = F.conv_transpose2d(c, state[f"up.{i}.weight"], state[f"up.{i}.bias"], stride=2)
        c = twice(torch.cat([seen, up], 1), f"join.{i}")
    out = F.conv2d(c, state["head.weight"], state["head.bias"])
    close(net.eval()(tinytorch.tensor(x)).detach(), out)


def test_a_unet_refuses_sides_it_cannot_halve():
    with pytest.raises(ValueError, match=r"multiples of 4.*\(1, 3, 8, 10\)"):
        models.UNet(3, 2, width=2, depth=2)(tinytorch.zeros(1, 3, 8, 10))


@pytest.mark.parametrize("size", [8, 28, 32])
def test_a_lenet_reads_its_size(size):
    assert tuple(models.lenet5(size, 7)(tinytorch.zeros(2, 1, size, size)).shape) == (2, 7)


def test_a_lenet_says_which_sizes_there_are():
    with pytest.raises(ValueError, match=r"8, 28 or 32 pixels a side, not 64"): models.lenet5(64)


def test_an_alexnet_reads_cifar():
    net = models.AlexNetSmall(num_classes=4).eval()
    assert tuple(net(tinytorch.zeros(2, 3, 32, 32)).shape) == (2, 4)


def test_blocks_may_begin_with_nothing():
    net = models.resnet20(zero_init_residual=True)
    block = net.layer2[1]
    assert not block.bn2.weight.detach().numpy().any() and block.bn1.weight.detach().numpy().all()


def test_a_classifier_of_another_size_is_named():
    with pytest.raises(RuntimeError, match=r"fc\.weight"):
        models.resnet20().load_state_dict(models.resnet20(num_classes=3).state_dict())
