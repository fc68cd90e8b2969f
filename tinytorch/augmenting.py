# Generated from modules/08_dataloader/appendix_augmenting.py by `tito export`. Edit that file, not this one.
"""Transforms of pictures, with torchvision's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .creation import as_tensor, empty, one_hot
from .dataloader import cut, framed, margins, sides
from .dtypes import get_default_dtype
from .randomness import default_generator, rand, randint, randn
from .shaping import flip, roll
from .tensor import Tensor

__all__ = [
    "Compose", "Lambda", "ToTensor", "Pad", "CenterCrop", "RandomVerticalFlip", "RandomErasing", "Mixing",
    "MixUp", "CutMix",
]


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable]): self.transforms = transforms

    def __call__(self, img):
        for transform in self.transforms: img = transform(img)
        return img

    def __repr__(self) -> str: return "\n".join(["Compose(", *[f"    {t}" for t in self.transforms], ")"])


class Lambda:
    """Any function as a transform. (Workers that are started by "spawn" need one with a name.)"""

    def __init__(self, lambd: Callable):
        if not callable(lambd): raise TypeError(f"Lambda wants a function, not a {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img): return self.lambd(img)
    def __repr__(self) -> str: return "Lambda()"


class ToTensor:
    """Bytes as floats from 0 to 1; other numbers as they are.  (H, W) or (H, W, C) -> (C, H, W)"""

    def __call__(self, pic) -> Tensor:
        if isinstance(pic, Tensor): raise TypeError("ToTensor wants an array: this is a tensor already")
        array = np.asarray(pic)
        if array.ndim not in (2, 3): raise ValueError(f"a picture is (H, W) or (H, W, C), not {array.shape}")
        array = np.ascontiguousarray(np.atleast_3d(array).transpose(2, 0, 1))
        return Tensor(array).to(get_default_dtype()).div_(255) if array.dtype == np.uint8 else Tensor(array)

    def __repr__(self) -> str: return "ToTensor()"


class Pad:
    """A margin: one width; left and right, top and bottom; or left, top, right, bottom."""

    def __init__(self, padding, fill=0, padding_mode: str = "constant"):
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError(f"a margin is constant, edge, reflect or symmetric, not {padding_mode!r}")

    def __call__(self, img): return framed(img, *margins(self.padding), self.fill, self.padding_mode)
    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class CenterCrop:
    """The middle of a picture; a picture that is smaller gets a margin of zeros."""

    def __init__(self, size): self.size = (size, size) if isinstance(size, int) else tuple(size)

    def __call__(self, img):
        lacks = [max(0, length - img.shape[side]) for side, length in zip(sides(img), self.size)]
        if any(lacks):
            down, across = lacks
            img = framed(img, across // 2, down // 2, (across + 1) // 2, (down + 1) // 2)
        top, left = [round((img.shape[side] - length) / 2) for side, length in zip(sides(img), self.size)]
        return cut(img, top, left, *self.size)

    def __repr__(self) -> str: return f"CenterCrop(size={self.size})"


class RandomVerticalFlip:
    """The picture upside down, with probability p."""

    def __init__(self, p: float = 0.5): self.p = p

    def __call__(self, img):
        if rand(1).item() >= self.p: return img
        return flip(img, [-2]) if isinstance(img, Tensor) else np.flip(img, 0)

    def __repr__(self) -> str: return f"RandomVerticalFlip(p={self.p})"


class RandomErasing:
    """A rectangle of a picture erased, with probability p.  (*, C, H, W) -> (*, C, H, W)"""

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),      # the part of the picture that is erased
        ratio: Sequence[float] = (0.3, 3.3),        # height to width of the patch
        value=0,                                    # a number, one for each channel, or "random"
        inplace: bool = False,
    ):
        if not 0 <= p <= 1: raise ValueError(f"a probability is from 0 to 1, not {p}")
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError(f"scale is two parts of a picture, not {scale}")
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f"ratio is the least and the greatest one, not {ratio}")
        if isinstance(value, str) and value != "random":
            raise ValueError(f'value is numbers or "random", not {value!r}')
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    def __call__(self, img: Tensor) -> Tensor:
        if rand(1).item() >= self.p: return img
        patch = self.patch(*img.shape[-3:])
        if patch is None: return img
        top, left, height, width, value = patch
        if not self.inplace: img = img.clone()
        img[..., top : top + height, left : left + width] = value
        return img

    def patch(self, channels: int, height: int, width: int):
        """Where a patch lies, how large it is and what fills it; None if ten do not fit."""
        low, high = [math.log(one) for one in self.ratio]
        for _ in range(10):
            area = height * width * empty(1).uniform_(*self.scale).item()
            ratio = empty(1).uniform_(low, high).exp().item()
            h, w = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if h < height and w < width:
                value = randn(channels, h, w) if self.value == "random" else \
                    as_tensor(self.value, dtype=get_default_dtype()).reshape(-1, 1, 1)
                return randint(height - h + 1, (1,)).item(), randint(width - w + 1, (1,)).item(), h, w, value
        return None

    def __repr__(self) -> str: return f"RandomErasing(p={self.p}, scale={self.scale}, ratio={self.ratio})"


class Mixing:
    """What both ways of mixing a batch with itself have in common."""

    def __init__(self, *, alpha: float = 1.0, num_classes: int | None = None):
        if not alpha > 0: raise ValueError(f"alpha must be above 0, not {alpha}")
        self.alpha, self.num_classes = float(alpha), num_classes

    def __call__(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """A batch mixed, and the shares of its classes.  (N, *), (N) or (N, K) -> (N, *), (N, K)"""
        if labels.ndim == 1 and not labels.is_floating_point():
            if self.num_classes is None: raise ValueError("labels that are numbers need num_classes=")
            labels = one_hot(labels, self.num_classes)
        share = float(default_generator.source.beta(self.alpha, self.alpha))
        pictures, share = self.mixed(pictures, share)
        labels = labels.to(get_default_dtype())
        return pictures, labels * share + roll(labels, 1, 0) * (1 - share)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha}, num_classes={self.num_classes})"


class MixUp(Mixing):
    """Each picture with a share of the one before it shining through."""

    def mixed(self, pictures: Tensor, share: float):
        return pictures * share + roll(pictures, 1, 0) * (1 - share), share


class CutMix(Mixing):
    """Each picture with a rectangle of the one before it; the share is what is left of its area."""

    def mixed(self, pictures: Tensor, share: float):
        height, width = pictures.shape[-2:]
        x, y = randint(width, (1,)).item(), randint(height, (1,)).item()
        half = 0.5 * math.sqrt(1 - share)
        left, right = max(x - int(half * width), 0), min(x + int(half * width), width)
        top, bottom = max(y - int(half * height), 0), min(y + int(half * height), height)
        out = pictures.clone()
        out[..., top:bottom, left:right] = roll(pictures, 1, 0)[..., top:bottom, left:right]
        return out, 1 - (bottom - top) * (right - left) / (height * width)
