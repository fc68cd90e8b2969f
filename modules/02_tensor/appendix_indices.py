# %% [markdown]
# # Appendix: what may stand between the brackets
#
# `x[i]` follows rules that NumPy and PyTorch share, but for two: PyTorch's slices only go forward, and where
# numbers and arrays of places meet in one index, PyTorch takes the numbers first.

# %%
#| export
"""Indices: what people write between brackets, as NumPy wants it, by PyTorch's rules."""

# %%
#| export
import numpy as np

from tinytorch.devices import at_home, beside
from tinytorch.dtypes import device_of

# %%
#| export
def plain_index(index):
    """The index as NumPy wants it: arrays for tensors and lists; thanks to ... even one number is a view."""
    if type(index) is int: return index, ...                # the everyday case: a row
    places = [plain_place(i) for i in (index if isinstance(index, tuple) else (index,))]
    return tuple(places if any([i is ... for i in places]) else [*places, ...])


def plain_place(i):
    if type(i) is int: return i
    if isinstance(i, slice):
        if i.step is not None and i.step < 0: raise ValueError("a slice steps forward here: use flip")
        return i
    if isinstance(i, list): i = np.asarray(i, None if i else np.int64)
    i = getattr(i, "array", i)
    if not hasattr(i, "dtype"): return i
    if str(i.dtype) not in ("bool", "int32", "int64"):
        raise IndexError(f"an index is of int64, int32 or bool, not {i.dtype}: use .long() or .bool()")
    return i.item() if i.ndim == 0 and i.dtype != bool else i

# %%
#| export
def brought_beside(places, array):
    """Places in the memory of the array: they may come from the CPU, and from no other device."""
    places = getattr(places, "array", places)
    if at_home(array):
        if isinstance(places, (np.ndarray, np.generic)): return places
        raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor "
                           f"(cpu), not on {device_of(places)}")
    return beside(places, array)


def numbers_first(array, index):
    """What is left to index, and with what, once the numbers among arrays are taken, first, as in PyTorch.

    So x[0, :, places] is x[0][:, places]. NumPy would take the 0 for another array, and turn the result.
    """
    if type(index) is not tuple: return array, index
    if len(index) == 2 and index[1] is ... and type(index[0]) is int: return array, index       # x[3]
    if not any([hasattr(i, "dtype") for i in index]): return array, index
    index = tuple([brought_beside(i, array) if hasattr(i, "dtype") else i for i in index])
    if not any([type(i) is int for i in index]): return array, index
    whole = slice(None)
    first = [(whole,) * (i.ndim if i.dtype == bool else 1) if hasattr(i, "dtype") else (i,) for i in index]
    rest = [i if hasattr(i, "dtype") or i is ... else whole for i in index if type(i) is not int]
    return array[sum(first, ())], tuple(rest)
