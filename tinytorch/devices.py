# Generated from modules/02_tensor/appendix_devices.py by `tito export`. Edit that file, not this one.
"""Arrays in other memories: how they travel, whether they can meet, and what must be done at home."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .dtypes import CPU, device, device_of, dtype_of

__all__ = [
    "brought_home", "JOURNEYS", "at_home", "beside", "together", "devices_apart", "done_at_home", "fetched",
    "window",
]


def brought_home(array, where: device = CPU):
    """An array in the computer's own memory; the array itself if it is there already."""
    return array if at_home(array) else dtype_of(array).cast(array.get())


JOURNEYS: dict[str, Callable] = {"cpu": brought_home}


def at_home(array) -> bool:
    """Whether the numbers can be looked at without waiting for somebody else."""
    return isinstance(array, np.ndarray)


def beside(x, array):
    """An array, or a number, in the memory where another array is."""
    if type(x) is type(array): return x
    if isinstance(x, np.generic) or not hasattr(x, "dtype"): return np.asarray(x, like=array)
    where = device_of(array)
    return JOURNEYS[where.type](x, where)


def together(inputs):
    """The inputs with their arrays on one device, or an error that names two."""
    away = [x for x in inputs if hasattr(x, "dtype") and not isinstance(x, (np.ndarray, np.generic))]
    if not away: return inputs
    if apart := devices_apart(inputs): raise RuntimeError(apart)
    return [beside(x, away[0]) if at_home(x) else x for x in inputs]


def devices_apart(inputs) -> str:
    """What is wrong with where the inputs are, if anything is."""
    found = {str(device_of(x)) for x in inputs if getattr(x, "ndim", 0)}
    if len(found) < 2: return ""
    first, second = sorted(found, reverse=True)[:2]
    return f"Expected all tensors to be on the same device, but found at least two devices, {first} and " \
           f"{second}: take one to the other with .to({first!r})"


def done_at_home(function: Callable, *args, **settings):
    """What a function of NumPy makes of arrays, wherever they are; its results go where the first one is."""
    first = args[0]
    if at_home(first): return function(*args, **settings)
    found = function(*[fetched(x) for x in args], **settings)
    if not isinstance(found, tuple): return np.asarray(found, like=first)
    return tuple([np.asarray(part, like=first) for part in found])


def fetched(x):
    """The same with arrays at home, also inside of a tuple."""
    if type(x) is tuple: return tuple([fetched(part) for part in x])
    return x.get() if hasattr(x, "dtype") and not isinstance(x, (np.ndarray, np.generic)) else x


def window(array, shape, strides):
    """Memory of an array, seen through any shape and any steps: a view."""
    if at_home(array): return as_strided(array, shape, strides)
    return array.__array_function__(as_strided, (type(array),), (array, shape, strides), {})
