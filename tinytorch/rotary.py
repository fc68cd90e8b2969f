# Generated from modules/07_attention/appendix_rotary.py by `tito export`. Edit that file, not this one.
"""Places as rotations of queries and keys."""

from __future__ import annotations

import numpy as np

from .errors import ShapeError, shape_of
from .tensor import Op, Tensor

__all__ = ["rotary_angles", "rotate"]


def rotary_angles(length: int, width: int, base: float = 10000.0, start: int = 0) -> Tensor:
    """How far each pair is turned at each place, from place `start` on.  () -> (length, width / 2)"""
    if width % 2: raise ShapeError(f"rows of {width} numbers do not make pairs")
    speeds = base ** (-np.arange(0, width, 2) / width)
    return Tensor((np.arange(start, start + length)[:, None] * speeds).astype(np.float32))


@Op
def rotate(input, angles, /, *, interleaved=False):
    """Each pair of numbers turned by its angle.  (*, T, width), (T, width / 2) -> (*, T, width)

    A pair is a number and the one half a row away (LLaMA) or, interleaved, two neighbours (the paper).
    """
    if input.shape[-1] != 2 * angles.shape[-1]:
        raise ShapeError(f"rotate cannot take {shape_of(input)} and {shape_of(angles)}: a pair has an angle")
    half = angles.shape[-1]
    first, second = slice(half), slice(half, None)
    if interleaved: first, second = slice(0, None, 2), slice(1, None, 2)
    x, y = input[..., first], input[..., second]
    cos, sin = [f(angles).astype(input.dtype) for f in (np.cos, np.sin)]
    out = np.empty_like(input)
    out[..., first], out[..., second] = x * cos - y * sin, x * sin + y * cos
    return out
