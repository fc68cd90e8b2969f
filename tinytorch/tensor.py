# Generated from modules/02_tensor/tensor.py by `tito export`. Edit that file, not this one.
"""Tensors, and the one door through which every operation goes."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import WRAPPER_ASSIGNMENTS

import numpy as np
from numpy import ndarray

from .devices import beside, together
from .dtypes import (
    DEFAULT_DEVICE, MEETINGS, Size, as_dtype, device_of, dtype, dtype_of, get_default_dtype, int64,
)
from .errors import ShapeError, explained, mismatch, shape_of
from .indices import numbers_first, plain_index
from .methods import METHODS, Methods, into, method, plain_name

__all__ = [
    "position", "contiguous_strides", "Tensor", "floats", "as_array", "look_at", "tensor", "stride",
    "is_contiguous", "runs", "view_strides", "broadcast_shapes", "promote_types", "outranks", "result_type",
    "common", "common_float", "cast_all", "Op", "ALIASES", "PACKED", "pointwise", "floating", "sharing",
    "Engine", "Kept", "boxed", "current_engine", "set_default_engine", "using", "add", "sub", "mul",
    "true_divide", "neg", "exp", "log", "sqrt", "sum_", "axes", "mean", "var", "matmul", "transpose",
    "permute", "full_shape", "view", "reshape", "expand", "select_index", "getitem", "setitem", "copy_",
]


def position(index: tuple[int, ...], stride: tuple[int, ...]) -> int:
    """How many numbers to walk along the line to reach the element at `index`."""
    return sum([i * step for i, step in zip(index, stride)])


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The steps through numbers laid out without gaps, the last index changing fastest.

    A dimension of length 0 counts as 1, so that the steps of an empty tensor stay usable.
    """
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(reversed(strides))


class Tensor(Methods):
    """A box around an array: `array` holds the numbers, everything else is a way of looking."""

    wanted = False                  # whether a gradient is: what requires_grad shows
    grad = None
    receipt = None                  # how it was made; the engine of lesson 09 writes it

    kept = ()                       # what its op found out on the way, for the gradient rule

    _base = None                    # the tensor whose memory this one looks at
    _changes = 0                    # how often that memory was written over
    _apart = False                  # detached: what happens to that memory is not this tensor's history

    def __init__(self, data=(), *more):
        self.array = data if isinstance(data, ndarray) else floats(data, *more)

    shape = property(lambda self: Size(self.array.shape))
    ndim = property(lambda self: self.array.ndim)
    dtype = property(lambda self: dtype_of(self.array))
    device = property(lambda self: device_of(self.array))
    T = property(lambda self: METHODS["permute"](self, tuple(reversed(range(self.ndim)))))
    mT = property(lambda self: METHODS["transpose"](self, -2, -1))
    requires_grad = property(lambda self: self.wanted, lambda self, on: METHODS["requires_grad_"](self, on))
    grad_fn = property(lambda self: self.receipt)
    is_leaf = property(lambda self: self.receipt is None)
    _version = property(lambda self: (self if self._base is None else self._base)._changes)

    @property
    def data(self): return METHODS["detach"](self)

    @data.setter
    def data(self, other): self.array = other.array


def floats(data, *more):
    """What `Tensor(data)` holds: floats, unless data is an array; `Tensor(2, 3)` is room for 2 x 3."""
    if isinstance(data, int): data = np.zeros((data, *more)).tolist()
    return as_array(data, None if hasattr(data, "shape") else get_default_dtype())


def as_array(data, kind: dtype | None = None):
    """An array of what people keep numbers in: lists, numbers, tensors, arrays of any library."""
    if isinstance(data, (list, tuple)): data = [x.tolist() if isinstance(x, Tensor) else x for x in data]
    if isinstance(data, Tensor): data = data.array
    elif isinstance(data, np.generic) or not isinstance(getattr(data, "dtype", np.dtype(bool)), np.dtype):
        data = np.asarray(data)                     # NumPy's single numbers, and tensors of other libraries
    elif not hasattr(data, "dtype"):
        data = np.asarray(data)
        if kind is None and data.dtype == np.float64: kind = get_default_dtype()
    return (kind or dtype_of(data)).cast(data)


def look_at(tensor: Tensor, array) -> Tensor:
    """A tensor that shows memory of another one."""
    out = Tensor(array)
    out._base = tensor if tensor._base is None else tensor._base
    return out


def tensor(data, *, dtype: dtype | None = None, device=None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of the numbers in `data`: a number, (nested) lists, an array or a tensor."""
    array = as_array(data, dtype and as_dtype(dtype))
    out = Tensor(array.copy() if np.may_share_memory(array, getattr(data, "array", data)) else array)
    if device is None: device = DEFAULT_DEVICE.get()
    out = out if device is None else METHODS["to"](out, device)
    if requires_grad: out.requires_grad = True
    return out


@method
def stride(tensor: Tensor, dim: int | None = None) -> tuple[int, ...] | int:
    """How many numbers to step for the next element, along each dimension or along one."""
    steps = tuple([step // tensor.array.itemsize for step in tensor.array.strides])
    return steps if dim is None else steps[dim]


@method
def is_contiguous(tensor: Tensor) -> bool:
    """Whether the numbers lie without gaps, the last index changing fastest."""
    expected = contiguous_strides(tensor.shape)
    found = zip(tensor.shape, stride(tensor), expected)
    return 0 in tensor.shape or all([step == want for length, step, want in found if length > 1])


def runs(shape: tuple[int, ...], stride: tuple[int, ...]) -> list[tuple[int, int]]:
    """The fewest (length, step) pairs that walk the same memory in the same order."""
    found: list[tuple[int, int]] = []
    for length, step in zip(shape, stride):
        if length == 1: continue
        if found and found[-1][1] == length * step:
            found[-1] = (found[-1][0] * length, step)
        else:
            found.append((length, step))
    return found


def view_strides(
    shape: tuple[int, ...], stride: tuple[int, ...], new: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The strides that show the same numbers in shape `new`, or None if they must be copied."""
    if 0 in shape: return contiguous_strides(new)
    parts, cut = runs(shape, stride), []
    left, step = parts.pop() if parts else (1, 1)
    for length in reversed(new):
        if left == 1 and length > 1 and parts: left, step = parts.pop()
        if left % length: return None
        cut.append(step)
        left, step = left // length, step * length
    return tuple(reversed(cut))


def broadcast_shapes(*shapes: tuple[int, ...]) -> Size:
    """The shape in which tensors of these shapes meet; ShapeError if they cannot."""
    met = [1] * max([len(shape) for shape in shapes], default=0)
    for shape in shapes:
        for place, length in enumerate(reversed(shape), 1):
            if met[-place] == 1: met[-place] = length
            elif length not in (1, met[-place]):
                given = " and ".join([str(tuple(s)) for s in shapes])
                raise ShapeError(f"shapes {given} do not meet: counted from the end, dimension {place} "
                                 f"is {met[-place]} in one and {length} in another")
    return Size(met)


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that can stand for both, by PyTorch's rules."""
    if (type1, type2) in MEETINGS: return MEETINGS[type1, type2]        # kinds that NumPy has never heard of
    if type1.category != type2.category:
        return max(type1, type2, key=lambda kind: kind.category)
    wider = dtype_of(np.empty(0, np.promote_types(type1.numpy, type2.numpy)))
    if wider.category != type1.category:
        raise RuntimeError(f"{type1} and {type2} have no integer type in common: convert one of them first")
    return wider


def outranks(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """The dtype in which a rank meets a lower rank; None stands for a rank without operands."""
    if higher is None or lower is None: return higher or lower
    return promote_types(higher, lower) if lower.category > higher.category else higher


def result_type(*operands) -> dtype:
    """The dtype in which tensors, arrays and Python numbers meet."""
    ranks: list[dtype | None] = [None] * 3      # with dimensions, single-number tensors, Python numbers
    for x in operands:
        if isinstance(x, np.generic): x = x.item()          # NumPy's single numbers count as Python's
        rank = 2 if not hasattr(x, "dtype") else 1 if x.ndim == 0 else 0
        if rank == 2: kind = get_default_dtype() if type(x) is float else as_dtype(type(x))
        else: kind = x.dtype if isinstance(x, Tensor) else dtype_of(x)
        ranks[rank] = kind if ranks[rank] is None else promote_types(ranks[rank], kind)
    met = outranks(ranks[0], outranks(ranks[1], ranks[2]))
    if met is None: raise TypeError("result_type needs at least one operand")
    return met


def common(inputs):
    """The arrays among the inputs, in the one dtype that all inputs meet in."""
    if len(inputs) == 2:                                # the everyday cases first: nearly every op comes by
        x, y = inputs
        if type(x) is not ndarray: x, y = y, x
        if type(x) is ndarray:
            if type(y) is ndarray and x.dtype is y.dtype: return inputs
            if type(y) is float and x.dtype.kind == "f": return inputs
            if type(y) is int and x.dtype.kind in "fiu": return inputs
    return cast_all(inputs, result_type(*inputs))


def common_float(inputs):
    """The same, in a floating-point dtype: whole numbers become floats of the default width."""
    for x in inputs:
        if hasattr(x, "dtype") and x.dtype.kind == "f": return common(inputs) if len(inputs) > 1 else inputs
    met = result_type(*inputs)
    return cast_all(inputs, met if met.is_floating_point else get_default_dtype())


def cast_all(inputs, kind: dtype):
    return [kind.cast(x) if hasattr(x, "dtype") else x for x in together(inputs)]


class Op:
    """A named array function: arrays stand before the slash of its signature, settings after it.

    Settings may also be given by position, as in PyTorch; whole numbers in a row are taken for a shape.
    """

    def __init__(self, forward, promote=None, shares: bool = False):
        code = forward.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.forward, self.promote, self.shares = forward, promote, shares
        self.name, arity = plain_name(forward), code.co_posonlyargcount
        self.inputs, self.settings = names[:arity], names[arity:]
        self.variadic = bool(code.co_flags & 0x04)              # def cat(*tensors, dim=0)
        if self.variadic: self.inputs = code.co_varnames[len(names) : len(names) + 1]
        self.arity = -1 if self.variadic else arity
        self.packs = self.settings[:1] in PACKED
        for name in WRAPPER_ASSIGNMENTS: setattr(self, name, getattr(forward, name))    # __doc__ and its kin
        self.__wrapped__ = forward
        METHODS[self.name] = self

    def __call__(self, *inputs, **settings):
        if settings or len(inputs) > self.arity:
            if "out" in settings: return into(settings.pop("out"), self(*inputs, **settings))
            inputs, settings = self.bind(inputs, settings)
        return _engine.get(_default[0]).run(self, inputs, settings)     # current_engine(), without the call

    def bind(self, args: tuple, settings: dict) -> tuple[tuple, dict]:
        """Sorts what a caller wrote into inputs and settings."""
        if self.variadic:
            inputs, rest = tuple(args[0] if args else settings.pop(self.inputs[0])), args[1:]
        else:
            inputs, rest = args[: self.arity], args[self.arity :]
        if settings:
            missing = () if self.variadic else self.inputs[len(inputs) :]
            inputs += tuple([settings.pop(name) for name in missing if name in settings])
            settings = {k if k in self.settings else ALIASES.get(k, k): v for k, v in settings.items()}
        if len(rest) > 1 and self.packs: rest = (rest,)         # x.view(2, 3) means x.view((2, 3))
        if len(rest) > len(self.settings):
            known = ", ".join(self.inputs + self.settings)
            raise TypeError(f"{self.name} takes {known}: {len(args)} values are too many")
        for name in self.settings[: len(rest)] if settings else ():
            if name in settings: raise TypeError(f"{self.name} got {name} twice: by position and by name")
        settings.update(zip(self.settings, rest))
        return inputs, settings

    def __repr__(self): return f"<op {self.name}>"
    def __reduce__(self): return self.__name__      # pickled by name, like any function


ALIASES = {"axis": "dim", "keepdims": "keepdim"}    # NumPy's words, which PyTorch takes too
PACKED = (("shape",), ("size",), ("dims",), ("repeats",))


def pointwise(forward) -> Op:
    """An op whose inputs meet in one dtype first."""
    return Op(forward, promote=common)


def floating(forward) -> Op:
    """An op whose inputs meet in one floating-point dtype first."""
    return Op(forward, promote=common_float)


def sharing(forward) -> Op:
    """An op whose output may show the memory of its first input."""
    return Op(forward, shares=True)


class Engine:
    """Runs ops. This one only computes; later engines also remember, measure, translate."""

    kernels: dict = {}              # faster bodies of some ops: lesson 13 fills an engine with them

    def run(self, op: Op, inputs: tuple, settings: dict):
        """The op's forward on the arrays of its inputs, boxed."""
        arrays = []                 # a loop: before Python 3.12 a comprehension is one call more
        for x in inputs: arrays.append(x.array if isinstance(x, Tensor) else x)
        if op.promote is not None: arrays = op.promote(arrays)
        forward = self.kernels.get(op, op.forward)
        try:
            out = forward(*arrays, **settings) if settings else forward(*arrays)
        except (ValueError, IndexError, TypeError) as error:
            raise explained(op, arrays, error) from None
        return Tensor(out) if type(out) is ndarray and not op.shares else boxed(op, inputs, out)

    def write(self, tensor: Tensor, value, index=...):
        """Puts `value` where `tensor[index]` is; everyone who looks at that memory sees it."""
        array, index = numbers_first(tensor.array, index)
        if value is None: raise TypeError(f"None cannot be written into a tensor of {tensor.dtype}")
        if isinstance(value, Tensor): value = dtype_of(array).cast(beside(value.array, array))
        try:
            array[index] = value
        except ValueError as error:
            raise ShapeError(f"cannot write {shape_of(value)} into {shape_of(tensor)}: {error}") from None
        root = tensor if tensor._base is None else tensor._base
        root._changes += 1
        return tensor

    def backward(self, tensor: Tensor, **settings):
        raise NotImplementedError("backward() needs an engine that remembers: lesson 09 builds it")


class Kept(tuple):
    """What a forward returns that found out more than was asked: the output, and what its rule will need."""

    def __new__(cls, out, *rest): return super().__new__(cls, (out, rest))


def boxed(op: Op, inputs: tuple, out):
    """What a forward returned, in tensors."""
    if isinstance(out, Kept):
        box = boxed(op, inputs, out[0])
        (box[0] if isinstance(box, tuple) else box).kept = out[1]
        return box
    if isinstance(out, (tuple, list)):
        parts = [boxed(op, inputs, part) for part in out]
        return type(out)(*parts) if hasattr(out, "_fields") else tuple(parts)   # values=, indices= stay
    if op.shares and isinstance(inputs[0], Tensor) and np.may_share_memory(out, inputs[0].array):
        return look_at(inputs[0], out)
    return Tensor(np.asarray(out) if isinstance(out, np.generic) else out)      # NumPy's sums are no arrays


_engine: ContextVar = ContextVar("engine")
_default = [Engine()]


def current_engine() -> Engine:
    """The engine that runs ops here and now."""
    return _engine.get(_default[0])


def set_default_engine(engine: Engine) -> None:
    """The engine that runs ops wherever no other is in use."""
    _default[0] = engine


@contextmanager
def using(engine: Engine) -> Iterator[Engine]:
    """`with using(engine):` runs the ops of the block, in this thread, on that engine."""
    token = _engine.set(engine)
    try: yield engine
    finally: _engine.reset(token)


# Infinity and NaN are answers here, as in PyTorch: our own arithmetic does not warn of them.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tinytorch\.")


@pointwise
def add(input, other, /, *, alpha=1):
    """The sum; `other` is multiplied by `alpha` first.  (*), (*) -> (*)"""
    return input + other if alpha == 1 else input + alpha * other


@pointwise
def sub(input, other, /, *, alpha=1):
    """The difference; `other` is multiplied by `alpha` first.  (*), (*) -> (*)"""
    return input - other if alpha == 1 else input - alpha * other


@pointwise
def mul(input, other, /):
    """The product, element by element.  (*), (*) -> (*)"""
    return input * other


@floating
def true_divide(input, other, /):
    """The quotient, always a float.  (*), (*) -> (*)"""
    return input / other


@pointwise
def neg(input, /):
    """The number on the other side of zero.  (*) -> (*)"""
    return -input


@floating
def exp(input, /):
    """e to the power of every number.  (*) -> (*)"""
    return np.exp(input)


@floating
def log(input, /):
    """The natural logarithm; -inf at 0, nan below.  (*) -> (*)"""
    return np.log(input)


@floating
def sqrt(input, /):
    """The square root; nan below 0.  (*) -> (*)"""
    return np.sqrt(input)


@Op
def sum_(input, /, dim=None, keepdim=False, *, dtype=None):
    """The sum over `dim`, an int, several or None for all; whole numbers add up to int64.  (*) -> (*)"""
    if dtype is None and input.dtype.kind in "biu": dtype = int64
    kind = None if dtype is None else as_dtype(dtype).numpy
    return input.sum(axis=axes(dim), keepdims=keepdim, dtype=kind)


def axes(dim):
    """`dim` as NumPy wants it: a tuple for several, None for all."""
    return tuple(dim) or None if isinstance(dim, (list, tuple)) else dim


@Op
def mean(input, /, dim=None, keepdim=False, *, dtype=None):
    """The average over `dim`; whole numbers need `dtype=`, a float.  (*) -> (*)"""
    kind = dtype_of(input) if dtype is None else as_dtype(dtype)
    if not kind.is_floating_point:
        raise RuntimeError(f"mean of {kind} numbers would not be one of them: convert first, or pass dtype=")
    if input.size == 0: return math.nan * sum_.forward(input, dim, keepdim, dtype=dtype)     # of nothing
    return input.mean(axis=axes(dim), keepdims=keepdim, dtype=kind.numpy if dtype else None)


@method
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """The squared distance from the mean, summed and divided by n - correction.  (*) -> (*)

    `unbiased=False` is PyTorch's older way to say `correction=0`, and may come first: x.var(False).
    """
    if isinstance(dim, bool): dim, unbiased = None, dim
    if unbiased is not None: correction = int(unbiased)
    middle = mean(input, dim, True)
    distance = input - middle
    n = input.array.size / max(middle.array.size, 1)
    return sum_(distance * distance, dim, keepdim) / max(n - correction, 0)


@Op
def matmul(input, other, /):
    """The matrix product; leading dimensions broadcast.  (*, n, k), (*, k, m) -> (*, n, m)"""
    if input.dtype is not other.dtype and input.dtype != other.dtype:
        raise RuntimeError(f"matmul wants one dtype, not {dtype_of(input)} and {dtype_of(other)}: use .to()")
    try: return input @ other
    except ValueError: raise mismatch(input, other) from None


@sharing
def transpose(input, /, dim0, dim1):
    """Two dimensions change places; a view.  (*) -> (*)"""
    return np.swapaxes(input, dim0, dim1)


@sharing
def permute(input, /, dims):
    """The dimensions in another order; a view.  (*) -> (*)"""
    return np.transpose(input, dims)


def full_shape(shape, n: int) -> tuple[int, ...]:
    """The shape with -1 replaced by the length that makes it hold `n` numbers."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    held = math.prod(shape)
    if held < 0 and shape.count(-1) == 1 and n % held == 0:
        shape, held = tuple([-n // held if length == -1 else length for length in shape]), n
    if held != n or (n == 0 and -1 in shape): raise ShapeError(f"shape {shape} does not hold {n} numbers")
    return shape


@sharing
def view(input, /, shape):
    """The same memory in another shape (given a dtype: reread as that), or a ShapeError: it never copies."""
    if isinstance(shape, dtype): return input.view(shape.numpy)
    shape = full_shape(shape, input.size)
    if view_strides(input.shape, stride(Tensor(input)), shape) is None:
        raise ShapeError(f"view cannot show {shape_of(input)} as {shape} without copying: use reshape")
    return input.reshape(shape)


@sharing
def reshape(input, /, shape):
    """The same numbers in another shape: a view where possible, else a copy."""
    return input.reshape(full_shape(shape, input.size))


@sharing
def expand(input, /, size):
    """Dimensions of length 1 stretched to `size`, at no cost; -1 keeps a length.  (*) -> (size)"""
    size = (size,) if isinstance(size, int) else tuple(size)
    lengths = (1,) * (len(size) - input.ndim) + input.shape
    return np.broadcast_to(input, tuple([old if new == -1 else new for old, new in zip(lengths, size)]))


@sharing
def select_index(input, /, index):
    """The part of the input that an index picks out: a view for numbers and slices, a copy otherwise."""
    input, index = numbers_first(input, index)
    return input[index]


@method
def getitem(tensor: Tensor, index) -> Tensor:
    """What `x[index]` calls."""
    return current_engine().run(select_index, (tensor,), {"index": plain_index(index)})


@method
def setitem(tensor: Tensor, index, value) -> None:
    """What `x[index] = value` calls."""
    current_engine().write(tensor, value, plain_index(index))


@method
def copy_(tensor: Tensor, src, non_blocking: bool = False) -> Tensor:
    """Writes the numbers of `src`, broadcast and converted, over those of the tensor."""
    return current_engine().write(tensor, src)
