# %% [markdown]
# # Appendix: kinds of number, sizes, devices
#
# Small words that every tensor uses: what kind of number it holds, how large it is, where it lives. They are
# given, because they are names and tables; what happens when two kinds of number *meet* is yours to write.

# %%
#| export
"""Kinds of number, sizes and devices: the small words that every tensor uses."""

# %%
#| export
from __future__ import annotations

from contextvars import ContextVar

import numpy as np

# %% [markdown]
# A **dtype** says how many bytes a number takes, and which of three things it is for: answering (`bool`),
# counting (the integers) or measuring (the floats). The three are numbered, because when two kinds meet, the
# later one wins.

# %%
#| export
ANSWERS, COUNTS, MEASURES = 0, 1, 2


class dtype:
    """A kind of number; `numpy` is the NumPy dtype of the memory it is kept in."""

    def __init__(self, name: str, memory, category: int):
        self.name, self.numpy, self.category = name, np.dtype(memory), category
        self.itemsize = self.numpy.itemsize
        DTYPES[self.numpy] = self

    is_floating_point = property(lambda self: self.category == MEASURES)
    is_complex = False
    computes = property(lambda self: self.numpy)            # in what NumPy makes new numbers of this kind
    limits = property(lambda self: np.finfo(self.numpy))    # how far and how finely floats of this kind reach
    is_signed = property(lambda self: self.name[0] not in "ub" or self.name == "bfloat16")

    def cast(self, array):
        """The array in this dtype; the array itself if it is so already."""
        return array.astype(self.numpy, copy=False)

    def __repr__(self): return f"tinytorch.{self.name}"
    def __reduce__(self): return named, (self.name,)     # pickled and copied by name: there is one of each


DTYPES: dict[np.dtype, dtype] = {}        # from the dtype of an array to ours
MEETINGS: dict[tuple[dtype, dtype], dtype] = {}     # where kinds meet that NumPy does not know

# %%
#| export
bool_ = dtype("bool", np.bool_, ANSWERS)

uint8 = dtype("uint8", np.uint8, COUNTS)
uint16 = dtype("uint16", np.uint16, COUNTS)
uint32 = dtype("uint32", np.uint32, COUNTS)
uint64 = dtype("uint64", np.uint64, COUNTS)
int8 = dtype("int8", np.int8, COUNTS)
int16 = short = dtype("int16", np.int16, COUNTS)
int32 = int_ = dtype("int32", np.int32, COUNTS)
int64 = long = dtype("int64", np.int64, COUNTS)

float16 = half = dtype("float16", np.float16, MEASURES)
float32 = float_ = dtype("float32", np.float32, MEASURES)
float64 = double = dtype("float64", np.float64, MEASURES)

# %%
#| export
def named(name: str) -> dtype:
    """The dtype of that name."""
    return next(d for d in DTYPES.values() if d.name == name)


def dtype_of(array) -> dtype:
    """Our name for the dtype of an array; TypeError for what no tensor can hold."""
    try:
        return DTYPES[array.dtype]
    except KeyError:
        known = ", ".join(d.name for d in DTYPES.values())
        raise TypeError(f"a tensor cannot hold {array.dtype} numbers; it can hold {known}") from None


def as_dtype(kind) -> dtype:
    """A dtype from what people write for one: ours, Python's float, int and bool, or NumPy's."""
    if isinstance(kind, dtype): return kind
    if kind in PYTHON_TYPES: return PYTHON_TYPES[kind]
    return dtype_of(np.empty(0, kind))

# %% [markdown]
# Asked for by name, Python's `int` is `int64`, its `bool` is `bool` and its `float` is `float64`. Numbers
# that somebody merely writes down are another matter: 0.5 becomes whatever the default is, which is `float32`
# unless somebody says otherwise.

# %%
#| export
_default = [float32]


def get_default_dtype() -> dtype:
    """The dtype that new floats get."""
    return _default[0]


def set_default_dtype(d: dtype) -> None:
    """Makes `d`, a floating-point dtype, the dtype that new floats get."""
    if not as_dtype(d).is_floating_point:
        raise TypeError(f"the default dtype must be one of the floats, not {d}")
    _default[0] = as_dtype(d)


PYTHON_TYPES = {bool: bool_, int: int64, float: float64}

# %% [markdown]
# How far does a kind of number reach, and how finely?

# %%
#| export
class finfo:
    """What a floating-point dtype can say: smallest, largest, and the step after 1."""

    def __init__(self, type: dtype | None = None):
        type = type or get_default_dtype()
        if not type.is_floating_point: raise TypeError(f"finfo is for floats, {type} is none: use iinfo")
        limits = type.limits
        self.dtype, self.bits = type.name, 8 * type.itemsize
        self.min, self.max, self.eps = float(limits.min), float(limits.max), float(limits.eps)
        self.tiny = self.smallest_normal = float(limits.tiny)
        self.resolution = float(limits.resolution)

    def __repr__(self):
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        limits = [f"{name}={getattr(self, name):g}" for name in names]
        return f"finfo({', '.join(limits)}, dtype={self.dtype})"


class iinfo:
    """The smallest and the largest number an integer dtype can say."""

    def __init__(self, type: dtype):
        if type.category != COUNTS: raise TypeError(f"iinfo is for integers, {type} is none: use finfo")
        limits = np.iinfo(type.numpy)
        self.dtype, self.bits, self.min, self.max = type.name, limits.bits, int(limits.min), int(limits.max)

    def __repr__(self): return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"

# %% [markdown]
# A **size** is a tuple that knows how many numbers it promises.

# %%
#| export
class Size(tuple):
    """The shape of a tensor: a tuple of lengths."""

    __slots__ = ()

    def numel(self) -> int:
        """How many numbers a tensor of this shape holds."""
        n = 1
        for length in self: n *= length
        return n

    def __getitem__(self, key):
        part = tuple.__getitem__(self, key)
        return Size(part) if isinstance(key, slice) else part

    def __add__(self, other): return Size(tuple.__add__(self, other))
    def __repr__(self): return f"tinytorch.Size({list(self)})"

# %%
#| export
class device:
    """Where numbers live: device("cpu"), device("cuda", 0) or device("cuda:0"); with it, where new ones are
    made."""

    def __init__(self, type: str | int | device, index: int | None = None):
        if isinstance(type, int): type, index = "cuda", type            # PyTorch counts GPUs, too
        name, _, number = str(type).partition(":")
        if name not in ("cpu", "cuda"):
            raise RuntimeError(f"no device is called {name!r}: there are 'cpu' and 'cuda'")
        if number and not number.isdigit(): raise RuntimeError(f"{type!r} is no device: write 'cuda:0'")
        self.type, self.index = name, int(number) if number else index

    def __enter__(self):
        self.before = [*getattr(self, "before", ()), DEFAULT_DEVICE.get()]
        DEFAULT_DEVICE.set(self)
        return self

    def __exit__(self, *error): DEFAULT_DEVICE.set(self.before.pop())

    def __str__(self): return self.type if self.index is None else f"{self.type}:{self.index}"
    def __eq__(self, other): return isinstance(other, device) and str(self) == str(other)
    def __hash__(self): return hash(str(self))

    def __repr__(self):
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"


Device = device             # where an argument has that name
CPU = device("cpu")
DEFAULT_DEVICE: ContextVar = ContextVar("default_device", default=None)     # where new tensors are made


def set_default_device(device) -> None:
    """Where functions such as `zeros` and `tensor` make new tensors, unless `device=` says otherwise."""
    DEFAULT_DEVICE.set(None if device is None else Device(device))


def get_default_device() -> Device:
    """Where new tensors are made."""
    return DEFAULT_DEVICE.get() or CPU


def device_of(array) -> device:
    """The device an array lives on; an array that does not say lives on the CPU."""
    where = getattr(array, "device", "cpu")
    return CPU if isinstance(where, str) else device("cuda", where.id)
