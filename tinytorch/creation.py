# Generated from modules/02_tensor/appendix_creation.py by `tito export`. Edit that file, not this one.
"""Tensors made from nothing: zeros, ones, ranges, and tensors like another one."""

from __future__ import annotations

import operator
from functools import update_wrapper

import numpy as np

from .devices import brought_home
from .dtypes import DEFAULT_DEVICE, as_dtype, dtype_of, get_default_dtype, int64
from .methods import METHODS, method
from .tensor import Op, Tensor, as_array, current_engine

__all__ = [
    "boxed_on", "kind_or_default", "plain", "lengths", "sized", "zeros", "ones", "empty", "full",
    "empty_strided", "scalar_tensor", "eye", "arange", "linspace", "logspace", "faded", "bartlett_window",
    "hann_window", "hamming_window", "blackman_window", "kaiser_window", "kind_like", "zeros_like",
    "ones_like", "empty_like", "full_like", "new_empty", "new_full", "new_zeros", "new_ones", "new_tensor",
    "as_tensor", "asarray", "from_numpy", "frombuffer", "is_tensor", "fill", "fill_", "zero_", "one_hot",
    "is_nonzero", "is_floating_point", "is_complex", "is_signed",
]


def boxed_on(array, device=None, requires_grad: bool = False) -> Tensor:
    """A new array in its box, on its device."""
    if device is None: device = DEFAULT_DEVICE.get()
    out = Tensor(array) if device is None else METHODS["to"](Tensor(array), device)
    return METHODS["requires_grad_"](out) if requires_grad else out


def kind_or_default(dtype):
    """The dtype that was asked for, or else the default."""
    return get_default_dtype() if dtype is None else as_dtype(dtype)


def plain(x):
    """A Python number out of a single-number tensor; anything else as it is."""
    return x.item() if isinstance(x, Tensor) else x


def lengths(name: str, shape: tuple) -> tuple[int, ...]:
    """The shape in whichever way a caller wrote it."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)): shape = tuple(shape[0])
    elif not shape: raise TypeError(f"{name} wants a shape: {name}(2, 3) or {name}((2, 3)), or ()")
    try:
        shape = tuple([operator.index(n) for n in shape])
    except (TypeError, RuntimeError):
        raise TypeError(f"{name} wants whole numbers for a shape, not {shape}") from None
    if any([n < 0 for n in shape]):
        raise RuntimeError(f"{name} cannot make a tensor of shape {shape}: a length is not negative")
    return shape


def sized(make):
    """Turns `make(shape, dtype) -> array` into the function people call."""
    def create(*shape, size=None, dtype=None, device=None, requires_grad=False) -> Tensor:
        shape, kind = lengths(make.__name__, shape if size is None else (size,)), kind_or_default(dtype)
        return boxed_on(kind.cast(make(shape, kind.computes)), device, requires_grad)
    update_wrapper(create, make)
    del create.__wrapped__              # its signature is the one people call
    return create


@sized
def zeros(shape, kind):
    """Zeros.  () -> (size)"""
    return np.zeros(shape, kind)


@sized
def ones(shape, kind):
    """Ones.  () -> (size)"""
    return np.ones(shape, kind)


@sized
def empty(shape, kind):
    """Whatever the memory held before: to be written over.  () -> (size)"""
    return np.empty(shape, kind)


def full(size, fill_value, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """The same number everywhere; its kind decides the dtype.  () -> (size)"""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full wants a shape such as (2, 3), not {size!r}")
    value = as_array(fill_value, dtype and as_dtype(dtype))
    array = np.full(lengths("full", tuple(size) or ((),)), brought_home(value))
    return boxed_on(dtype_of(value).cast(array), device, requires_grad)


def empty_strided(size, stride, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Memory of a shape and with strides of your choice: to be written over.  () -> (size)"""
    kind = kind_or_default(dtype)
    held = 0 if 0 in size else 1 + sum([(length - 1) * step for length, step in zip(size, stride)])
    line = np.empty(held, kind.numpy)
    window = np.ndarray(size, kind.numpy, line, 0, tuple([step * kind.itemsize for step in stride]))
    return boxed_on(kind.cast(window), device, requires_grad)


def scalar_tensor(s, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A tensor of one number and no dimensions; a float unless `dtype` says otherwise.  () -> ()"""
    return boxed_on(as_array(s, kind_or_default(dtype)), device, requires_grad)


def eye(n, m=None, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Ones on the diagonal, zeros elsewhere.  () -> (n, m)"""
    rows, columns = lengths("eye", (n, n if m is None else m))
    kind = kind_or_default(dtype)
    return boxed_on(kind.cast(np.eye(rows, columns, dtype=kind.computes)), device, requires_grad)


def arange(start=0, end=None, step=1, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """From `start`, in steps, to just before `end`.  () -> (n)"""
    start, end, step = [plain(x) for x in ((0, start, step) if end is None else (start, end, step))]
    whole = all([isinstance(x, (int, np.integer)) for x in (start, end, step)])
    if step == 0: raise RuntimeError("arange wants a step other than 0")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange never gets from {start} to {end} in steps of {step}")
    kind = kind_or_default(dtype) if dtype is not None or not whole else int64
    if whole: return boxed_on(kind.cast(np.arange(start, end, step)), device, requires_grad)
    return boxed_on(kind.cast(start + step * np.arange(np.ceil((end - start) / step))), device, requires_grad)


def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """`steps` numbers from `start` to `end`, both included, equally far apart.  () -> (steps)"""
    if steps < 0: raise RuntimeError(f"linspace cannot take {steps} steps")
    numbers = np.linspace(plain(start), plain(end), int(steps))
    return boxed_on(kind_or_default(dtype).cast(numbers), device, requires_grad)


def logspace(start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """`base` to the powers of linspace(start, end, steps).  () -> (steps)"""
    if steps < 0: raise RuntimeError(f"logspace cannot take {steps} steps")
    numbers = np.power(float(base), np.linspace(plain(start), plain(end), int(steps)))
    return boxed_on(kind_or_default(dtype).cast(numbers), device, requires_grad)


def faded(curve, window_length: int, periodic: bool, dtype, device, requires_grad: bool) -> Tensor:
    """A curve over the places from -1 to 1, or a single 1."""
    n = window_length if periodic else window_length - 1
    if window_length < 0: raise RuntimeError(f"a window is not {window_length} long")
    numbers = np.ones(1) if window_length == 1 else curve(2 * np.arange(window_length) / max(n, 1) - 1)
    return boxed_on(kind_or_default(dtype).cast(numbers), device, requires_grad)


def bartlett_window(
    window_length, periodic=True, *, dtype=None, device=None, requires_grad=False,
) -> Tensor:
    """A roof: up to 1 and down again.  () -> (n)"""
    return faded(lambda x: 1 - np.abs(x), window_length, periodic, dtype, device, requires_grad)


def hann_window(window_length, periodic=True, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """One wave of a cosine, from 0 to 0.  () -> (n)"""
    return hamming_window(window_length, periodic, 0.5, 0.5, dtype=dtype, device=device,
                          requires_grad=requires_grad)


def hamming_window(
    window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, device=None, requires_grad=False,
) -> Tensor:
    """One wave of a cosine on a small step.  () -> (n)"""
    return faded(lambda x: alpha + beta * np.cos(np.pi * x), window_length, periodic, dtype, device,
                 requires_grad)


def blackman_window(
    window_length, periodic=True, *, dtype=None, device=None, requires_grad=False,
) -> Tensor:
    """Two waves, which fade more gently.  () -> (n)"""
    return faded(lambda x: 0.42 + 0.5 * np.cos(np.pi * x) + 0.08 * np.cos(2 * np.pi * x), window_length,
                 periodic, dtype, device, requires_grad)


def kaiser_window(
    window_length, periodic=True, beta=12.0, *, dtype=None, device=None, requires_grad=False,
) -> Tensor:
    """Bessel's function over an arc: the larger beta, the narrower.  () -> (n)"""
    return faded(lambda x: np.i0(beta * np.sqrt(np.maximum(1 - x * x, 0))) / np.i0(beta), window_length,
                 periodic, dtype, device, requires_grad)


def kind_like(input, dtype):
    """The dtype that was asked for, or else that of the input."""
    return dtype_of(input.array) if dtype is None else as_dtype(dtype)


def zeros_like(input, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Zeros, in the shape and dtype of `input`.  (*) -> (*)"""
    kind = kind_like(input, dtype)
    return boxed_on(kind.cast(np.zeros_like(input.array, kind.computes)), device, requires_grad)


def ones_like(input, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Ones, in the shape and dtype of `input`.  (*) -> (*)"""
    kind = kind_like(input, dtype)
    return boxed_on(kind.cast(np.ones_like(input.array, kind.computes)), device, requires_grad)


def empty_like(input, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Memory to be written over, in the shape and dtype of `input`.  (*) -> (*)"""
    kind = kind_like(input, dtype)
    return boxed_on(kind.cast(np.empty_like(input.array, kind.computes)), device, requires_grad)


def full_like(input, fill_value, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """The same number everywhere, in the shape and dtype of `input`.  (*) -> (*)"""
    kind, value = kind_like(input, dtype), plain(fill_value)
    return boxed_on(kind.cast(np.full_like(input.array, value, kind.computes)), device, requires_grad)


@method
def new_empty(input, *shape, size=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Memory to be written over, of the dtype and on the device of `input`.  () -> (size)"""
    shape = lengths("new_empty", shape if size is None else (size,))
    kind = kind_like(input, dtype)
    return boxed_on(kind.cast(np.empty_like(input.array, kind.computes, shape=shape)), device, requires_grad)


@method
def new_full(input, size, fill_value, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """The same number everywhere, of the dtype and on the device of `input`.  () -> (size)"""
    out = new_empty(input, size=size, dtype=dtype, device=device)
    out.array[...] = plain(fill_value)
    return METHODS["requires_grad_"](out, requires_grad)


@method
def new_zeros(input, *shape, size=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Zeros of the dtype and on the device of `input`.  () -> (size)"""
    size = lengths("new_zeros", shape if size is None else (size,))
    return new_full(input, size, 0, dtype=dtype, device=device, requires_grad=requires_grad)


@method
def new_ones(input, *shape, size=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Ones of the dtype and on the device of `input`.  () -> (size)"""
    size = lengths("new_ones", shape if size is None else (size,))
    return new_full(input, size, 1, dtype=dtype, device=device, requires_grad=requires_grad)


@method
def new_tensor(input, data, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A copy of the numbers in `data`, of the dtype and on the device of `input`."""
    return boxed_on(kind_like(input, dtype).cast(as_array(data)).copy(), device, requires_grad)


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """The tensor itself, a box around the array's own memory, or new numbers where neither is possible."""
    if isinstance(data, Tensor):
        return data if dtype is None and device is None else METHODS["to"](data, dtype=dtype, device=device)
    return boxed_on(as_array(data, dtype and as_dtype(dtype)), device)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False) -> Tensor:
    """As as_tensor; `copy=True` always copies, `copy=False` never does, or raises a ValueError."""
    given = getattr(obj, "array", obj)
    out = as_tensor(obj, dtype, device)
    if type(given) is type(out.array) and np.may_share_memory(given, out.array):
        out = out if not copy else METHODS["clone"](out)
    elif copy is False:
        raise ValueError("asarray cannot show these numbers in that dtype without copying them")
    return METHODS["requires_grad_"](out) if requires_grad else out


def from_numpy(ndarray) -> Tensor:
    """A box around the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy wants a NumPy array, not {type(ndarray).__name__}: use as_tensor")
    dtype_of(ndarray)                   # complains about what no tensor can hold
    return Tensor(ndarray)


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False) -> Tensor:
    """The bytes of a buffer, from `offset` on, read as numbers.  () -> (count)"""
    kind = as_dtype(dtype)
    return boxed_on(kind.cast(np.frombuffer(buffer, kind.numpy, count, offset)), None, requires_grad)


def is_tensor(obj) -> bool:
    """Whether this is a tensor."""
    return isinstance(obj, Tensor)


@Op
def fill(input, value, /):
    """The input's shape and dtype, filled with one number.  (*), () -> (*)"""
    return np.full_like(input, value)


@method
def fill_(tensor: Tensor, value) -> Tensor:
    """Writes one number everywhere."""
    if getattr(value, "ndim", 0):
        raise RuntimeError(f"fill_ takes a single number, not a tensor of shape {tuple(value.shape)}")
    return current_engine().write(tensor, value)


@method
def zero_(tensor: Tensor) -> Tensor:
    """Writes zeros everywhere."""
    return current_engine().write(tensor, 0)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Class numbers as rows with a single one.  (*) -> (*, num_classes)"""
    if tensor.dtype is not int64:
        raise RuntimeError(f"one_hot takes class numbers of dtype int64, not {tensor.dtype}")
    labels = tensor.array
    if labels.size:
        if labels.min() < 0:
            raise RuntimeError(f"one_hot takes class numbers from 0 up, and one is {labels.min()}")
        if num_classes == -1: num_classes = int(labels.max()) + 1
        if labels.max() >= num_classes:
            raise RuntimeError(f"one_hot has {num_classes} classes, and one number is {labels.max()}")
    elif num_classes < 1:
        raise RuntimeError("one_hot cannot tell the number of classes from an empty tensor: say num_classes=")
    classes = np.arange(num_classes, like=labels)
    return Tensor((labels[..., None] == classes).astype(labels.dtype))


@method
def is_nonzero(input) -> bool:
    """Whether the single number of a tensor is not zero."""
    return bool(METHODS["item"](input))


@method
def is_floating_point(input) -> bool:
    """Whether the tensor holds floats."""
    return input.dtype.is_floating_point


@method
def is_complex(input) -> bool:
    """Whether the tensor holds complex numbers, which none of ours does."""
    return False


@method
def is_signed(input) -> bool:
    """Whether the dtype of the tensor knows negative numbers."""
    return input.dtype.is_signed
