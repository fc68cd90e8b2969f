# Generated from modules/02_tensor/appendix_shortfloat.py by `tito export`. Edit that file, not this one.
"""bfloat16: the upper halves of float32 numbers, in arrays that NumPy's functions understand."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np

from .devices import at_home
from .dtypes import DTYPES, MEASURES, MEETINGS, dtype, float16, float32
from .methods import METHODS
from .shaping import conversion

__all__ = [
    "BITS", "longer", "shorter", "lengthened", "shortened", "computed", "in_float32", "ShortArray",
    "COMPARING", "MOVING", "bare", "housed", "moved", "all_short", "at_places", "copied", "ShortFloat",
    "bfloat16", "bfloat16_elsewhere",
]


BITS = np.dtype([("bfloat16", np.uint16)])          # two bytes, with a name of their own


def longer(array):
    """The same numbers as float32."""
    bits = np.ndarray.view(array, np.uint16, np.ndarray).astype(np.uint32)
    return np.left_shift(bits, 16, out=bits).view(np.float32)


def shorter(array) -> ShortArray:
    """Numbers of any kind, rounded to bfloat16."""
    array = np.asarray(array, np.float32)
    bits = array.view(np.uint32)
    nearest = (bits + ((bits >> 16 & 1) + 0x7FFF)) >> 16
    return np.asarray(np.where(array == array, nearest, 0x7FC0), np.uint16).view(BITS).view(ShortArray)


def lengthened(x):
    """The same with float32 for short arrays, also inside lists and tuples."""
    if isinstance(x, ShortArray): return longer(x)
    return type(x)([lengthened(part) for part in x]) if type(x) in (list, tuple) else x


def shortened(x):
    """The same with what came out as float32 made short again."""
    if isinstance(x, tuple): return tuple([shortened(part) for part in x])
    return shorter(x) if isinstance(x, (np.ndarray, np.generic)) and x.dtype == np.float32 else x


def computed(name: str):
    """The method of that name, computed in float32."""
    def method(self, *args, **settings):
        settings, as_short = in_float32(settings)
        result = getattr(longer(self), name)(*[lengthened(x) for x in args], **settings)
        return shortened(result) if as_short else result
    return method


def in_float32(settings: dict) -> tuple[dict, bool]:
    """Keyword arguments for a computation in float32, and whether its result should be short."""
    kind = settings.get("dtype")
    asked = {"dtype": np.float32} if kind is not None and kind == BITS else {}
    return {name: lengthened(x) for name, x in settings.items()} | asked, kind is None or kind == BITS


class ShortArray(np.ndarray):
    """An array of bfloat16 numbers, two bytes each."""

    sum, mean, prod, max, min = map(computed, ("sum", "mean", "prod", "max", "min"))
    cumsum, cumprod, var, std = map(computed, ("cumsum", "cumprod", "var", "std"))
    any, all, argmax, argmin, argsort = map(computed, ("any", "all", "argmax", "argmin", "argsort"))
    round, clip, dot, trace, nonzero = map(computed, ("round", "clip", "dot", "trace", "nonzero"))
    item, tolist, __float__, __int__, __bool__ = map(
        computed, ("item", "tolist", "__float__", "__int__", "__bool__"))

    __hash__ = None
    def __eq__(self, other): return np.equal(self, other)       # NumPy would compare the bits
    def __ne__(self, other): return np.not_equal(self, other)
    def __repr__(self): return f"short({longer(self)!r})"

    def __getitem__(self, index):
        part = np.ndarray.__getitem__(self, index)
        if isinstance(part, np.ndarray): return part
        return self[(*index, ...) if type(index) is tuple else (index, ...)]       # a number stays an array

    def __setitem__(self, index, value):
        value = value if getattr(value, "dtype", None) == BITS else shorter(value)
        np.ndarray.__setitem__(self, index, value)

    def fill(self, value): self[...] = value
    def sort(self, axis=-1, kind=None): self[...] = np.sort(longer(self), axis, kind)

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        """The numbers in another dtype."""
        if np.dtype(dtype) != BITS: return longer(self).astype(dtype, copy=False)
        return self.copy() if copy else self

    def view(self, *kinds):
        """The same bytes in another shape or dtype."""
        mine = not kinds or kinds[0] in (BITS, ShortArray)
        return np.ndarray.view(self, *kinds) if mine else np.ndarray.view(self, BITS, np.ndarray).view(*kinds)

    def __array_ufunc__(self, ufunc, how, *inputs, out=None, **settings):
        if how == "at": return at_places(ufunc, *inputs)
        if ufunc in COMPARING: inputs = [shorter(x) if isinstance(x, float) else x for x in inputs]
        settings, as_short = in_float32(settings)
        result = getattr(ufunc, how)(*[lengthened(x) for x in inputs], **settings)
        if out is None: return shortened(result) if as_short and all_short(inputs) else result
        for target, part in zip(out, result if isinstance(result, tuple) else (result,)): target[...] = part
        return out[0] if len(out) == 1 else out

    def __array_function__(self, function, types, args, settings):
        if function.__name__ in MOVING: return moved(function, args, settings)
        if function is np.copyto: return copied(*args, **settings)
        settings, as_short = in_float32(settings)
        result = function(*[lengthened(x) for x in args], **settings)
        return shortened(result) if as_short else result


COMPARING = {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal}
MOVING = {
    "array_split", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_to",
    "column_stack", "concatenate", "copy", "diagonal", "dstack", "expand_dims", "flip", "hstack",
    "may_share_memory", "moveaxis", "ndim", "ravel", "repeat", "reshape", "roll", "rot90", "shape",
    "shares_memory", "size", "sliding_window_view", "split", "squeeze", "stack", "swapaxes", "take",
    "take_along_axis", "tile", "transpose", "vstack",
}


def bare(x):
    """The same with plain arrays of bits for short arrays, also inside lists and tuples."""
    if isinstance(x, ShortArray): return np.ndarray.view(x, np.ndarray)
    return type(x)([bare(part) for part in x]) if type(x) in (list, tuple) else x


def housed(x):
    """The same with short arrays for plain arrays of bits."""
    if isinstance(x, (list, tuple)): return type(x)([housed(part) for part in x])
    return x.view(ShortArray) if isinstance(x, np.ndarray) and x.dtype == BITS else x


def moved(function, args, settings):
    """The result of a function that leaves numbers as they are."""
    return housed(function(*[bare(x) for x in args], **{name: bare(x) for name, x in settings.items()}))


def all_short(inputs) -> bool:
    """Whether every float among the arrays is short, so that what is made of them should be."""
    return not [x for x in inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.ndim]


def at_places(ufunc, array, places, *values) -> None:
    """`ufunc.at`, in float32 until all values have met."""
    long = lengthened(array)
    ufunc.at(long, places, *[lengthened(x) for x in values])
    if isinstance(array, ShortArray): array[...] = long


def copied(target, source, casting="same_kind", where=True) -> None:
    """`np.copyto`: a short target takes anything, a long one what is short."""
    if not isinstance(target, ShortArray): np.copyto(target, lengthened(source), casting, where)
    else: target[...] = np.where(where, lengthened(source), longer(target))


class ShortFloat(dtype):
    """The kind of number that is the upper half of a float32."""

    computes = np.dtype(np.float32)
    limits = SimpleNamespace(min=-3.3895313892515355e38, max=3.3895313892515355e38,
                             eps=2.0**-7, tiny=2.0**-126, resolution=0.01)

    def cast(self, array):
        """The array in this dtype; the array itself if it is so already."""
        if isinstance(array, ShortArray): return array
        if not at_home(array): return array.astype(bfloat16_elsewhere(), copy=False)
        return housed(array) if array.dtype == BITS else shorter(array)


bfloat16 = ShortFloat("bfloat16", BITS, MEASURES)

for other in list(DTYPES.values()):
    if other.category == MEASURES:
        met = {bfloat16: bfloat16, float16: float32}.get(other, other)
        MEETINGS[bfloat16, other] = MEETINGS[other, bfloat16] = met

METHODS["bfloat16"] = conversion(bfloat16)


@cache
def bfloat16_elsewhere() -> np.dtype:
    """The dtype by which other array libraries know these numbers: that of `ml_dtypes`."""
    from ml_dtypes import bfloat16 as theirs
    DTYPES[np.dtype(theirs)] = bfloat16
    return np.dtype(theirs)
