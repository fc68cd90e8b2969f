# Generated from modules/06_spatial/appendix_room.py by `tito export`. Edit that file, not this one.
"""Sizes given once or for each direction, margins around a picture, and memory to work in."""

from __future__ import annotations

import math
import threading

import numpy as np

from .errors import ShapeError, shape_of
from .tensor import Op

__all__ = [
    "each_way", "margins", "batched", "Rooms", "ROOMS", "SLICE", "even", "PLACES", "pad", "filled",
    "turned_out",
]


def each_way(name: str, value, ways: int, least: int = 1) -> tuple[int, ...]:
    """A number for each of `ways` directions, given once or one by one; RuntimeError below `least`."""
    found = (value,) if isinstance(value, int) else tuple([int(n) for n in value])
    if len(found) == 1: found *= ways
    if len(found) != ways:
        raise RuntimeError(f"{name}={value!r} should be one number or {ways}, one for each direction")
    if min(found, default=least) < least:
        raise RuntimeError(f"{name}={value!r} is too small: {least} is the least")
    return found


def margins(padding, kernel: tuple, stride: tuple, dilation: tuple) -> list[tuple[int, int]]:
    """How much room goes before and after a picture, in each direction; "same" keeps its size."""
    if padding == "valid": return [(0, 0)] * len(kernel)
    if padding == "same":
        if set(stride) != {1}: raise ShapeError(f"padding='same' needs stride 1, not {stride}")
        spans = [d * (k - 1) for k, d in zip(kernel, dilation)]
        return [(span // 2, span - span // 2) for span in spans]
    if isinstance(padding, str):
        raise ShapeError(f"padding is a number, 'same' or 'valid', not {padding!r}")
    return [(p, p) for p in each_way("padding", padding, len(kernel), least=0)]


def batched(name: str, x, ways: int):
    """The array with a batch dimension, and whether it had one: (C, *) or (N, C, *)."""
    if x.ndim not in (ways + 1, ways + 2):
        raise ShapeError(f"{name} wants a picture of {ways + 1} dimensions, channels first, or a batch of "
                         f"them in {ways + 2}: not {shape_of(x)}")
    return (x, True) if x.ndim == ways + 2 else (x[None], False)


class Rooms(threading.local):
    """Memory that is used again by the same thread; what it holds is rubbish."""

    largest = 1 << 22               # numbers: 16 MB of float32

    def __init__(self): self.kept = {}

    def get(self, name: str, shape: tuple, like):
        """Room for an array of that shape, of the dtype and the device of `like`."""
        n, key = math.prod(shape), (name, like.dtype, type(like))
        room = self.kept.get(key)
        if room is None or room.size < n:
            room = np.empty_like(like, shape=(n,))
            if n <= self.largest: self.kept[key] = room
        return room[:n].reshape(shape)


ROOMS = Rooms()
SLICE = 1 << 18                     # numbers to work on at a time: 1 MB of float32, about half a cache


def even(n: int, most: int) -> int:
    """How long the pieces are when n is cut into the fewest equal ones, of at most `most`."""
    return -(-n // -(-n // max(1, min(n, most))))


PLACES = {                          # which number of a line of n stands at place i, also outside of it
    "reflect": lambda i, n: n - 1 - abs(n - 1 - abs(i)),
    "replicate": lambda i, n: min(max(i, 0), n - 1),
    "circular": lambda i, n: i % n,
}


@Op
def pad(input, /, pad, mode="constant", value=None):
    """The input with margins (last dimension first: left, right, top, bottom …).  (*, n) -> (*, n + l + r)"""
    pad = tuple([int(n) for n in pad])
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise RuntimeError(f"pad={pad} should be pairs of numbers, for at most the {input.ndim} dimensions "
                           f"of {shape_of(input)}")
    if mode == "constant": return filled(input, pad, 0 if value is None else value)
    if mode not in PLACES:
        raise NotImplementedError(f"pad knows {', '.join(['constant', *PLACES])}, not {mode!r}")
    if value:
        raise ValueError(f"mode={mode!r} fills margins with the picture itself: value={value} has no use")
    if input.ndim - len(pad) // 2 not in (1, 2):
        raise NotImplementedError(f"mode={mode!r} pads the last dimensions of pictures, (C, *) or (N, C, *): "
                                  f"not {len(pad) // 2} dimensions of {shape_of(input)}")
    for i, (before, after) in enumerate(zip(pad[::2], pad[1::2])):
        input = turned_out(input, input.ndim - 1 - i, before, after, mode)
    return input


def filled(x, pad: tuple, value):
    """The array with margins of one value."""
    if not any(pad): return x.copy()
    ends = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2]))[::-1]
    shape = tuple([n + before + after for n, (before, after) in zip(x.shape, ends)])
    if min(shape, default=0) < 0: raise ShapeError(f"pad={pad} cuts more than there is from {shape_of(x)}")
    out = np.full_like(x, value, shape=shape)
    inner = tuple([slice(max(b, 0), n - max(a, 0)) for n, (b, a) in zip(shape, ends)])
    out[inner] = x[tuple([slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(x.shape, ends)])]
    return out


def turned_out(x, dim: int, before: int, after: int, mode: str):
    """The array with margins along one dimension, taken from its own numbers."""
    n = x.shape[dim]
    most = {"reflect": n - 1, "circular": n}.get(mode, math.inf)
    if max(before, after) > most or n + before + after < 1 or n == 0:
        raise ShapeError(f"mode={mode!r} cannot pad a dimension of length {n} by {before} and {after}")
    if before == after == 0: return x
    return np.take(x, [PLACES[mode](i, n) for i in range(-before, n + after)], axis=dim)
