# Generated from modules/13_kernels/appendix_pool.py by `tito export`. Edit that file, not this one.
"""A pool that lends memory to arrays, takes it back when they are gone, and keeps count."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

__all__ = ["Lease", "Statistics", "Pool"]


class Lease:
    """What an array looks at that was lent: a block, until nobody looks any more."""

    def __init__(self, pool: Pool, block: np.ndarray, shape: tuple, dtype: np.dtype):
        self.pool, self.block = pool, block
        self.__array_interface__ = {"shape": shape, "typestr": dtype.str, "version": 3,
                                    "data": (block.ctypes.data, False)}

    def __del__(self): self.pool.take_back(self.block)


class Statistics(NamedTuple):
    """What a pool has done: blocks made and lent again, and bytes now and at most."""

    made: int                   # blocks that had to be made
    lent_again: int             # arrays that got a block which was there already
    lent: int                   # bytes of blocks that are lent
    kept: int                   # bytes of blocks that wait
    most: int                   # the most bytes that were ever lent at once


class Pool:
    """Lends memory to arrays; blocks that come back are kept, up to `limit` bytes of them."""

    def __init__(self, limit: int = 1 << 30):
        self.limit, self.waiting = limit, {}
        self.made = self.lent_again = self.lent = self.kept = self.most = 0

    def empty(self, shape, dtype=np.float32) -> np.ndarray:
        """An array of this shape, of whatever numbers its memory held before."""
        shape, dtype = (shape,) if isinstance(shape, int) else tuple(shape), np.dtype(dtype)
        block = self.block(max(64, 1 << (math.prod(shape) * dtype.itemsize - 1).bit_length()))
        self.lent += block.nbytes
        self.most = max(self.most, self.lent)
        return np.asarray(Lease(self, block, shape, dtype))

    def block(self, size: int) -> np.ndarray:
        """So many bytes: those that came back last, or new ones."""
        waiting = self.waiting.get(size)
        if waiting:
            self.lent_again += 1
            self.kept -= size
            return waiting.pop()
        self.made += 1
        return np.empty(size, np.uint8)

    def take_back(self, block: np.ndarray) -> None:
        """Keeps a block for the next one who asks, unless there is too much already."""
        self.lent -= block.nbytes
        if self.kept + block.nbytes > self.limit: return
        self.waiting.setdefault(block.nbytes, []).append(block)
        self.kept += block.nbytes

    def clear(self) -> None:
        """Gives back to the system what waits."""
        self.waiting.clear()
        self.kept = 0

    def statistics(self) -> Statistics:
        return Statistics(self.made, self.lent_again, self.lent, self.kept, self.most)
