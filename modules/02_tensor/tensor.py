# %% [markdown]
# # Tensor
#
# A computer's memory is a line. It has no rows, no columns and no pages, only a first number, a second number
# and so on to the last. A **tensor** is a line of numbers together with a way of walking along it, and nearly
# everything that makes tensors fast or slow, surprising or safe, is in the walk.
#
# In this lesson you build one. In the end `a @ b + c` runs through a single function of yours, and every
# later lesson (gradients, GPUs, profilers, compilers) hooks in there without changing a line of today's.

# %%
#| export
"""Tensors, and the one door through which every operation goes."""

# %%
#| export
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

from tinytorch.devices import beside, together
from tinytorch.dtypes import (
    DEFAULT_DEVICE,
    MEETINGS,
    Size,
    as_dtype,
    device_of,
    dtype,
    dtype_of,
    get_default_dtype,
    int64,
)
from tinytorch.errors import ShapeError, explained, mismatch, shape_of
from tinytorch.indices import numbers_first, plain_index
from tinytorch.methods import METHODS, Methods, into, method, plain_name

# %% [markdown]
# ## A line of numbers
#
# Twelve numbers in a line:

# %%
line = np.arange(12)
line

# %% [markdown]
# The same twelve numbers as three rows of four. Nothing moved: to go one column to the right, step one number
# along the line; to go one row down, step four. Those steps, `(4, 1)`, are the **strides**.

# %%
grid = line.reshape(3, 4)
np.shares_memory(line, grid), grid.strides      # NumPy counts bytes: 4 numbers * 8 bytes, 1 number * 8 bytes

# %% [markdown]
# So the element at row 2, column 1 lies at position 2·4 + 1·1 = 9 of the line.
#
# **Your turn.** Where along the line does the element with a given index lie?

# %%
#| export exercise
def position(index: tuple[int, ...], stride: tuple[int, ...]) -> int:
    """How many numbers to walk along the line to reach the element at `index`."""
    #| hint Each dimension adds its index times its step.
    ### BEGIN SOLUTION
    return sum([i * step for i, step in zip(index, stride)])
    ### END SOLUTION

# %%
#| check 1
assert position((2, 1), (4, 1)) == 9, "row 2, column 1 lies two steps of 4 and one step of 1 along the line"
assert position((1, 1, 3), (0, 10, 2)) == 16, "every dimension adds its own index times its own step"
assert position((), ()) == 0, "a single number has no index and lies at the start"

# %% [markdown]
# Which strides does a grid have when it is laid out row after row, with the last index changing fastest?
# Guess those of shape `(2, 3, 4)` before you run the cell. (The step of a dimension is the number of elements
# *behind* it.)

# %%
np.zeros((2, 3, 4), np.int8).strides            # one byte a number, so bytes are steps

# %% [markdown]
# **Your turn.** The strides of any shape.

# %%
#| export exercise
def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The steps through numbers laid out without gaps, the last index changing fastest.

    A dimension of length 0 counts as 1, so that the steps of an empty tensor stay usable.
    """
    #| hint Read the shape from its end. What is the step of the last dimension? And of the one before it?
    #| hint Keep a running product: write it down, then multiply it by the length you just passed.
    ### BEGIN SOLUTION
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(reversed(strides))
    ### END SOLUTION

# %%
#| check 2
assert contiguous_strides((2, 3, 4)) == (12, 4, 1), "a step skips everything behind its dimension: 3*4, 4, 1"
assert contiguous_strides((5,)) == (1,), "along a plain line the step is 1"
assert contiguous_strides(()) == (), "a single number has nothing to step along"
assert contiguous_strides((2, 0, 3)) == (3, 3, 1), "a dimension of length 0 counts as 1"

# %% [markdown]
# The **transpose** of the grid swaps rows and columns. It need not move one number: it swaps the two strides.

# %%
grid.T.strides, np.shares_memory(grid, grid.T)

# %%
from numpy.lib.stride_tricks import as_strided      # a window onto memory, with steps of your choice

as_strided(line, shape=(4, 3), strides=(8, 32))     # the transpose, by hand

# %% [markdown]
# That is a **view**: another way of walking along memory that belongs to somebody else. Making it costs the
# same for twelve numbers and for twelve billion. The price comes later, when the walk jumps about in memory:

# %%
big = np.ones((4000, 4000), np.float32)
wide = np.empty_like(big)
for name, source in [("along the rows", big), ("across the rows", big.T)]:
    start = time.perf_counter()
    np.copyto(wide, source)
    print(f"a copy {name}: {1e3 * (time.perf_counter() - start):.0f} ms")

# %% [markdown]
# ## A box around an array
#
# NumPy already walks memory by strides, and CuPy, its twin for GPUs, does the same there, so we do not store
# numbers ourselves: `Tensor` is a box around an array. The class is short, and it stays so. Its symbols (`+`,
# `@`, `==` …) and its methods (`x.exp()`) are looked up by name in a table, as the appendix on methods shows,
# and a function joins the table when it is written with `@method` above it. (`Size` is a tuple under
# PyTorch's name. Of the attributes only `array` matters today: `_base` and `_changes` serve views, further
# down, and the others sit still until lesson 09.)

# %%
#| export
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

# %%
Tensor([[1, 2, 3], [4, 5, 6]])

# %% [markdown]
# `Tensor` wraps what it is given. `tensor`, the function that people call, always copies, and chooses a
# dtype: Python's floats become `float32`, half the size of NumPy's and accurate enough to learn with; whole
# numbers become `int64`.

# %%
#| export
def tensor(data, *, dtype: dtype | None = None, device=None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of the numbers in `data`: a number, (nested) lists, an array or a tensor."""
    array = as_array(data, dtype and as_dtype(dtype))
    out = Tensor(array.copy() if np.may_share_memory(array, getattr(data, "array", data)) else array)
    if device is None: device = DEFAULT_DEVICE.get()
    out = out if device is None else METHODS["to"](out, device)
    if requires_grad: out.requires_grad = True
    return out

# %%
tensor([[1.0, 2.0], [3.0, 4.0]]).dtype, tensor([1, 2]).dtype, tensor([True]).dtype

# %% [markdown]
# **Your turn.** Ask the box for its strides, in numbers rather than bytes, and whether the walk has no gaps
# and no jumps: whether it is **contiguous**. A dimension of length 1 is never stepped along, so its stride
# does not matter.

# %%
#| export exercise
@method
def stride(tensor: Tensor, dim: int | None = None) -> tuple[int, ...] | int:
    """How many numbers to step for the next element, along each dimension or along one."""
    #| hint NumPy's array.strides counts bytes. How many bytes does one number take?
    ### BEGIN SOLUTION
    steps = tuple([step // tensor.array.itemsize for step in tensor.array.strides])
    return steps if dim is None else steps[dim]
    ### END SOLUTION

# %%
#| check 1
assert Tensor(np.zeros((2, 3), np.float32)).stride() == (3, 1), "strides count numbers, not bytes"
assert Tensor(np.zeros((2, 3), np.float64)).stride() == (3, 1), "a number may take 1, 2, 4 or 8 bytes"
assert Tensor(np.zeros((2, 3), np.float64).T).stride() == (1, 3), "a transpose swaps the strides"
assert Tensor(np.zeros((2, 3), np.int16)).stride(0) == 3, "stride(dim) is the step along that dimension alone"
assert isinstance(Tensor(np.zeros(3)).stride(0), int), "a step is a whole number"

# %%
#| export exercise
@method
def is_contiguous(tensor: Tensor) -> bool:
    """Whether the numbers lie without gaps, the last index changing fastest."""
    #| hint You already know the strides that such a tensor has. Compare, dimension by dimension.
    #| hint A dimension of length 1 may have any stride; a tensor without numbers is always contiguous.
    ### BEGIN SOLUTION
    expected = contiguous_strides(tensor.shape)
    found = zip(tensor.shape, stride(tensor), expected)
    return 0 in tensor.shape or all([step == want for length, step, want in found if length > 1])
    ### END SOLUTION

# %%
#| check 2
assert Tensor(np.zeros((2, 3))).is_contiguous(), "freshly made numbers lie in order"
assert not Tensor(np.zeros((2, 3)).T).is_contiguous(), "a transposed walk jumps"
assert not Tensor(np.zeros((2, 2)).T).is_contiguous(), "a transposed walk jumps, however short it is"
assert not Tensor(np.zeros((4, 6))[:, ::2]).is_contiguous(), "a walk over every second number leaves gaps"
assert not Tensor(np.zeros((4, 6))[:, :3]).is_contiguous(), "a walk over half of each row leaves gaps"
assert Tensor(np.zeros((1, 5)).T).is_contiguous(), "the stride of a dimension of length 1 does not matter"
assert Tensor(np.zeros((3, 0))[:, ::2].T).is_contiguous(), "where there is nothing, nothing is out of order"

# %% [markdown]
# ## When can a new shape be a view?
#
# `(3, 4)` can be looked at as `(12,)`, `(2, 6)` or `(3, 2, 2)` without moving a number. Its transpose cannot
# be looked at as `(12,)`: the order of that walk, 0 4 8 1 5 9 …, has no single step. When can it be done?
#
# First undo what the shape pretends. Two neighbouring dimensions are really **one run** if finishing the
# inner one and stepping the outer one lands where another inner step would have: outer step = inner length ·
# inner step.
#
# **Your turn.** Write the runs of a walk as pairs `(length, step)`. Dimensions of length 1 are no part of any
# run.

# %%
#| export exercise
def runs(shape: tuple[int, ...], stride: tuple[int, ...]) -> list[tuple[int, int]]:
    """The fewest (length, step) pairs that walk the same memory in the same order."""
    #| hint Go through the dimensions in order, and look back: does the last run continue into this dimension?
    #| hint It does if its step equals this length times this step.
    #| hint The joined run has the product of both lengths, and the finer step.
    ### BEGIN SOLUTION
    found: list[tuple[int, int]] = []
    for length, step in zip(shape, stride):
        if length == 1: continue
        if found and found[-1][1] == length * step:
            found[-1] = (found[-1][0] * length, step)
        else:
            found.append((length, step))
    return found
    ### END SOLUTION

# %%
#| check 2
assert runs((3, 4), (4, 1)) == [(12, 1)], "three rows of four, laid out in order, are one run of twelve"
assert runs((3, 4), (8, 2)) == [(12, 2)], "a run may leave gaps, as long as they are all the same"
assert runs((4, 3), (1, 4)) == [(4, 1), (3, 4)], "a transposed walk stays two runs"
assert runs((2, 3, 4), (24, 4, 1)) == [(2, 24), (12, 1)], "every second block of twelve: two runs"
assert runs((2, 1, 3), (3, 99, 1)) == [(6, 1)], "a dimension of length 1 belongs to no run"
assert runs((), ()) == [], "a single number is no walk at all"

# %% [markdown]
# Now cut the runs into the new shape, from the back: take as much of the last run as the last new dimension
# needs. If a new dimension would have to take a piece of one run *and* a piece of the next, no strides can do
# it. **Your turn.**

# %%
#| export exercise
def view_strides(
    shape: tuple[int, ...], stride: tuple[int, ...], new: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The strides that show the same numbers in shape `new`, or None if they must be copied."""
    if 0 in shape: return contiguous_strides(new)
    #| hint Keep the run you are cutting as (left, step): what is left of it, and the next dimension's step.
    #| hint When left is down to 1, take the next run from the end. A new length must divide what is left.
    #| hint After a dimension of length n: left //= n and step *= n.
    ### BEGIN SOLUTION
    parts, cut = runs(shape, stride), []
    left, step = parts.pop() if parts else (1, 1)
    for length in reversed(new):
        if left == 1 and length > 1 and parts: left, step = parts.pop()
        if left % length: return None
        cut.append(step)
        left, step = left // length, step * length
    return tuple(reversed(cut))
    ### END SOLUTION

# %%
#| check 3
assert view_strides((3, 4), (4, 1), (2, 6)) == (6, 1), "one run of 12, cut into 2 times 6"
assert view_strides((3, 4), (4, 1), (3, 2, 2)) == (4, 2, 1), "the last dimension keeps the finest step"
assert view_strides((6,), (2,), (2, 3)) == (6, 2), \
    "a run with gaps can be cut too: its steps stay multiples of 2"
assert view_strides((4, 3), (1, 4), (12,)) is None, \
    "4 + 3 steps in two directions are no single walk: a copy is needed"
assert view_strides((4, 3), (1, 4), (2, 2, 3)) == (2, 1, 4), "each run may be cut on its own"
assert view_strides((4, 3), (1, 4), (2, 6)) is None, \
    "no dimension may take a piece of one run and a piece of the next"
assert view_strides((2, 3), (3, 1), (2, 1, 3)) == (3, 3, 1), "a new dimension of length 1 costs nothing"
assert view_strides((4, 3), (1, 4), (4, 1, 3)) == (1, 12, 4), "nor does one between two runs"
assert view_strides((1, 1), (1, 1), (1,)) == (1,), "one number can be seen in any shape of ones"

# %% [markdown]
# > **Note.** `x.view(shape)` promises never to copy, and refuses when your function says None.
# > `x.reshape(shape)` makes no promise: it is a view when it can be. Code that writes into the result of a
# > `reshape` works by luck.
#
# ## When shapes meet
#
# What is `(3, 1) + (4,)`? Line the shapes up at their *ends* and let every dimension of length 1 stretch:
#
# ```text
#     3 1
#       4
#     ---
#     3 4
# ```
#
# This is **broadcasting**. Stretching costs nothing either: a stretched dimension has stride 0, so that every
# step stays where it is.

# %%
np.broadcast_to(np.arange(4), (3, 4)).strides

# %% [markdown]
# **Your turn.** In which shape do some shapes meet? Where two lengths differ and neither is 1 they do not
# meet at all: that is a `ShapeError` with both shapes in it.

# %%
#| export exercise
def broadcast_shapes(*shapes: tuple[int, ...]) -> Size:
    """The shape in which tensors of these shapes meet; ShapeError if they cannot."""
    #| hint zip stops at the shortest, so start from the ends: reversed(shape), or index with -1, -2 …
    #| hint In each place, forget the ones. What remains must be one length.
    ### BEGIN SOLUTION
    met = [1] * max([len(shape) for shape in shapes], default=0)
    for shape in shapes:
        for place, length in enumerate(reversed(shape), 1):
            if met[-place] == 1: met[-place] = length
            elif length not in (1, met[-place]):
                given = " and ".join([str(tuple(s)) for s in shapes])
                raise ShapeError(f"shapes {given} do not meet: counted from the end, dimension {place} "
                                 f"is {met[-place]} in one and {length} in another")
    return Size(met)
    ### END SOLUTION

# %%
#| check 2
def meet(*shapes):
    try: return broadcast_shapes(*shapes)
    except ShapeError as error: return str(error)

assert meet((3, 1), (4,)) == (3, 4), "shapes are lined up at their ends, and ones stretch"
assert meet((2, 3), (2, 3)) == (2, 3), "equal shapes stay as they are"
assert meet((4,), (3, 1)) == (3, 4), "ones stretch in whichever shape they are"
assert meet((5, 1, 3), (4, 1), ()) == (5, 4, 3), "any number of shapes may meet, single numbers too"
assert "do not meet" in meet((2, 3), (2,)), "3 and 2 do not meet, though the shapes look alike at the front"
assert meet((0, 3), (1, 3)) == (0, 3), "a 1 meets a 0 by vanishing, not by filling it"
assert meet() == (), "no shapes at all meet as single numbers do"

# %% [markdown]
# ## When kinds of number meet
#
# In NumPy `int64 + float32` is `float64`, which doubles your memory without asking. PyTorch's rule keeps
# small types small. Kinds of number fall into three categories, `kind.category` 0, 1 and 2: answering
# (`bool`), counting (integers), measuring (floats). `kind.numpy` is NumPy's word for a kind, and `as_dtype`
# makes ours of NumPy's.
#
# Between two tensors, the higher category wins; within a category, the wider type. **Your turn.**

# %%
#| export exercise
def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that can stand for both, by PyTorch's rules."""
    if (type1, type2) in MEETINGS: return MEETINGS[type1, type2]        # kinds that NumPy has never heard of
    #| hint If one category is higher, that type wins as it is: int64 with float16 is float16.
    #| hint Within one category NumPy agrees with PyTorch: np.promote_types(type1.numpy, type2.numpy).
    #| hint One exception: for uint64 and int64 NumPy answers float64, another category. Refuse: RuntimeError.
    ### BEGIN SOLUTION
    if type1.category != type2.category:
        return max(type1, type2, key=lambda kind: kind.category)
    wider = dtype_of(np.empty(0, np.promote_types(type1.numpy, type2.numpy)))
    if wider.category != type1.category:
        raise RuntimeError(f"{type1} and {type2} have no integer type in common: convert one of them first")
    return wider
    ### END SOLUTION

# %%
#| check 2
int8, uint8, float16, float32 = map(as_dtype, (np.int8, np.uint8, np.float16, np.float32))
assert promote_types(int64, float16) is float16, "a float beats every integer, and keeps its own width"
assert promote_types(float16, float32) is float32, "within a category the wider type wins"
assert promote_types(uint8, int8).name == "int16", "uint8 and int8 need an int16 to hold both"
assert promote_types(as_dtype(bool), uint8) is uint8, "True and False become 1 and 0 of any counting type"
try: both = promote_types(int64, as_dtype(np.uint64))
except RuntimeError: both = None
assert both is None, "no integer holds both int64 and uint64: refuse, rather than answer with a float"

# %% [markdown]
# Three sorts of operands meet, though: tensors with dimensions, single-number tensors, and Python numbers. It
# would be sad if `x * 0.5` or `x * scale` could change the dtype of a million numbers. So they rank: **a
# lower rank changes the result only if it brings a higher category.** `uint8_image * 2` stays `uint8`;
# `uint8_image * 0.5` becomes `float32`.

# %%
#| export exercise
def outranks(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """The dtype in which a rank meets a lower rank; None stands for a rank without operands."""
    if higher is None or lower is None: return higher or lower
    #| hint Compare the categories. Only a higher category below changes anything, and then both are promoted.
    ### BEGIN SOLUTION
    return promote_types(higher, lower) if lower.category > higher.category else higher
    ### END SOLUTION

# %%
#| check 1
assert outranks(as_dtype(np.float32), as_dtype(np.float64)).name == "float32", \
    "a single float64 does not widen a float32 tensor"
assert outranks(as_dtype(np.uint8), int64).name == "uint8", \
    "nor does a Python int widen a small integer tensor"
assert outranks(int64, get_default_dtype()).name == "float32", \
    "a float below an integer tensor does count: the category is higher"
assert outranks(None, int64) is int64, "without tensors of the higher rank, the lower one decides"

# %%
#| export
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

# %%
result_type(tensor([1, 2]), 0.5), result_type(tensor([1.0]), tensor(2.0, dtype=as_dtype(np.float64)))

# %% [markdown]
# Most ops want their inputs in the common dtype; many (`exp`, `/` …) want a float whatever they get. These
# two functions do it, and leave inputs that already agree alone, which is the everyday case and has to be
# quick.

# %%
#| export
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

# %% [markdown]
# ## The door
#
# Now the heart. An **operation** is a named function of arrays. An **engine** runs it. Whatever you do to a
# tensor, from `+` to a convolution, arrives at one place, `engine.run(op, inputs, settings)`, and whoever
# stands there sees everything. Lesson 09 puts an engine there that remembers; lesson 13 one that runs on a
# GPU; lesson 14 one that holds a stopwatch. None of them will have to change an operation, nor the box.
#
# An `Op` wraps a function. Python lets a function draw a line between its parameters, a slash, and we use it
# to tell two things apart: **arrays before the slash, settings after it**.

# %%
#| export
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

# %% [markdown]
# Three sorts of ops come up so often that they get decorators of their own.

# %%
#| export
def pointwise(forward) -> Op:
    """An op whose inputs meet in one dtype first."""
    return Op(forward, promote=common)


def floating(forward) -> Op:
    """An op whose inputs meet in one floating-point dtype first."""
    return Op(forward, promote=common_float)


def sharing(forward) -> Op:
    """An op whose output may show the memory of its first input."""
    return Op(forward, shares=True)

# %% [markdown]
# **Your turn.** The engine takes the arrays out of their boxes, lets their dtypes meet if the op asks for it,
# runs the op's forward, and puts what comes out into a box again. `explained` turns NumPy's complaint into a
# sentence about shapes; `boxed` makes the box, or several, and notes whose memory a view shows.

# %%
#| export exercise
class Engine:
    """Runs ops. This one only computes; later engines also remember, measure, translate."""

    kernels: dict = {}              # faster bodies of some ops: lesson 13 fills an engine with them

    def run(self, op: Op, inputs: tuple, settings: dict):
        """The op's forward on the arrays of its inputs, boxed."""
        #| hint An input is a Tensor, which has an .array, or a number or array, which is passed on as it is.
        #| hint `op.promote` is None or a function from the list of arrays to a list of arrays.
        #| hint forward = self.kernels.get(op, op.forward), and then forward(*arrays, **settings).
        ### BEGIN SOLUTION
        arrays = []                 # a loop: before Python 3.12 a comprehension is one call more
        for x in inputs: arrays.append(x.array if isinstance(x, Tensor) else x)
        if op.promote is not None: arrays = op.promote(arrays)
        forward = self.kernels.get(op, op.forward)
        try:
            out = forward(*arrays, **settings) if settings else forward(*arrays)
        except (ValueError, IndexError, TypeError) as error:
            raise explained(op, arrays, error) from None
        return Tensor(out) if type(out) is ndarray and not op.shares else boxed(op, inputs, out)
        ### END SOLUTION

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

# %%
#| export
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

# %% [markdown]
# Who is the engine right now? It is kept in a `ContextVar`: each thread of a server sees its own, and `using`
# puts it back whatever happens inside the block.

# %%
#| export
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

# %%
#| check 3
kinds = []

@Op
def twins(x, y, /): return kinds.extend([type(x), type(y)]) or (np.zeros(1), np.zeros(1))

@sharing
def tail(x, /): return x[1:]

@pointwise
def mixed(x, y, /, *, share=0.5): return share * x + (1 - share) * y

one = tensor([2.0, 4.0])
parts = twins(one, 3.0)
assert kinds == [np.ndarray, float], "the forward gets arrays: a Tensor is taken out of its box, numbers stay"
assert [type(part) for part in parts] == [Tensor, Tensor], "several results are put into several boxes"
assert type(mixed(one, 0.0)) is Tensor, "what comes out is put into a box again"
assert mixed(one, 0.0, share=0.25).tolist() == [0.5, 1.0], "settings reach the forward, by keyword"
assert mixed(one, tensor([1, 1])).dtype.name == "float32", "op.promote comes first: dtypes meet in float32"
assert tail(one)._base is one, "a view notes whose memory it shows: boxed knows how"
try: told = str(mixed(one, tensor([1.0, 2.0, 3.0])))
except ValueError as error: told = str(error)
assert "mixed cannot take (2,) and (3,)" in told, "an error is explained: what was asked, what was given"
faster = Engine()
faster.kernels = {mixed: lambda x, y: x}
with using(faster): found = mixed(one, 0.0).tolist()
assert found == [2.0, 4.0], "where there is a kernel for an op, it runs in place of the forward"

# %% [markdown]
# ## One number at a time
#
# With the door built, an operation is a line. **Your turn.** Sum, difference, product and quotient of two
# tensors: the forward sees arrays whose dtypes already agree, and broadcasting is NumPy's.

# %%
#| export exercise
@pointwise
def add(input, other, /, *, alpha=1):
    """The sum; `other` is multiplied by `alpha` first.  (*), (*) -> (*)"""
    #| hint Python's + on two arrays. When alpha is 1, do not multiply: it would be another pass over memory.
    ### BEGIN SOLUTION
    return input + other if alpha == 1 else input + alpha * other
    ### END SOLUTION

# %%
#| check 1
assert (tensor([1.0, 2.0]) + tensor([10.0, 20.0])).tolist() == [11.0, 22.0], "x + y adds element by element"
x, y = tensor([1.0]), tensor([2.0])
assert add(x, y).item() == add(x, y).item() == 3.0, "an op never changes its inputs"
assert (tensor([[1.0], [2.0]]) + tensor([10.0, 20.0])).tolist() == [[11.0, 21.0], [12.0, 22.0]], \
    "shapes meet by broadcasting"
assert add(tensor([1.0]), tensor([2.0]), alpha=2).item() == 5.0, "alpha scales what is added"
assert (tensor([1, 2]) + 0.5).dtype.name == "float32", \
    "whole numbers and a Python float meet in float32, not in float64"

# %%
#| export exercise
@pointwise
def sub(input, other, /, *, alpha=1):
    """The difference; `other` is multiplied by `alpha` first.  (*), (*) -> (*)"""
    ### BEGIN SOLUTION
    return input - other if alpha == 1 else input - alpha * other
    ### END SOLUTION


@pointwise
def mul(input, other, /):
    """The product, element by element.  (*), (*) -> (*)"""
    ### BEGIN SOLUTION
    return input * other
    ### END SOLUTION

# %%
#| check 1
assert (10 - tensor([1.0, 2.0])).tolist() == [9.0, 8.0], "10 - x takes x away from ten, not ten from x"
assert sub(tensor([5.0]), tensor([2.0]), alpha=2).item() == 1.0, "alpha scales what is taken away"
x, y = tensor([5.0]), tensor([2.0])
assert sub(x, y).item() == sub(x, y).item() == 3.0, "an op never changes its inputs"
assert (tensor([1.0, -2.0]) * tensor([3.0, 4.0])).tolist() == [3.0, -8.0], \
    "x * y multiplies element by element"

# %%
#| export exercise
@floating
def true_divide(input, other, /):
    """The quotient, always a float.  (*), (*) -> (*)"""
    ### BEGIN SOLUTION
    return input / other
    ### END SOLUTION


@pointwise
def neg(input, /):
    """The number on the other side of zero.  (*) -> (*)"""
    ### BEGIN SOLUTION
    return -input
    ### END SOLUTION

# %%
#| check 1
assert (tensor([1, 2]) / 2).tolist() == [0.5, 1.0], "x / y is true division: one half is no integer"
assert (tensor([1, 2]) / 2).dtype.name == "float32", \
    "the quotient of two whole numbers is a float32, not a float64"
assert (1 / tensor([0.0])).item() == math.inf, "a division by zero is infinity, not an error"
assert (-tensor([1.0, -2.0])).tolist() == [-1.0, 2.0], "-x changes the sign"

# %% [markdown]
# Functions of one number follow the same pattern. `np.exp(x)` looks like NumPy, but asks `x` first: a CuPy
# array answers with CuPy's own `exp`. That is the whole secret of running on a GPU in lesson 13, and the
# reason why a forward uses operators, array methods and `np.f(x)`, and never builds a NumPy array of its own.

# %%
#| export exercise
@floating
def exp(input, /):
    """e to the power of every number.  (*) -> (*)"""
    ### BEGIN SOLUTION
    return np.exp(input)
    ### END SOLUTION


@floating
def log(input, /):
    """The natural logarithm; -inf at 0, nan below.  (*) -> (*)"""
    ### BEGIN SOLUTION
    return np.log(input)
    ### END SOLUTION


@floating
def sqrt(input, /):
    """The square root; nan below 0.  (*) -> (*)"""
    ### BEGIN SOLUTION
    return np.sqrt(input)
    ### END SOLUTION

# %%
#| check 1
assert exp(tensor([0, 1])).dtype.name == "float32", \
    "a whole number becomes a float32 before exp, not a float64"
assert abs(exp(tensor(1.0)).item() - math.e) < 1e-6, "exp(1) is e"
assert abs(log(tensor(math.e)).item() - 1) < 1e-6, "log is the natural logarithm: that of e is 1"
assert log(tensor([1.0, 0.0])).tolist() == [0.0, -math.inf], "log is 0 at 1, and minus infinity at 0"
assert sqrt(tensor([9.0, 2.25])).tolist() == [3.0, 1.5], "sqrt undoes squaring"
x = tensor([4.0])
assert [f(x).dtype.name for f in (exp, log, sqrt)] == ["float32"] * 3, "float32 in, float32 out"
assert x.item() == 4.0, "an op never changes its input"

# %% [markdown]
# ## Many numbers into one
#
# A **reduction** takes a dimension away; `keepdim=True` leaves a 1 in its place, so that the result still
# broadcasts against what it came from. PyTorch says `dim` and `keepdim` where NumPy says `axis` and
# `keepdims`.
#
# **Your turn.** Sums of whole numbers (and of bools) are `int64`, as small integers overflow quickly. Floats
# keep their width. An empty `dim` means all of them. (The function is called `sum_` because Python has a
# `sum` of its own. As a method it is `x.sum()`.)

# %%
#| export exercise
@Op
def sum_(input, /, dim=None, keepdim=False, *, dtype=None):
    """The sum over `dim`, an int, several or None for all; whole numbers add up to int64.  (*) -> (*)"""
    #| hint NumPy's array.sum takes axis=, keepdims= and dtype=, the type to add in: integers want int64.
    #| hint Whole numbers have a dtype.kind in "biu"; as_dtype(dtype).numpy is NumPy's word for a dtype.
    ### BEGIN SOLUTION
    if dtype is None and input.dtype.kind in "biu": dtype = int64
    kind = None if dtype is None else as_dtype(dtype).numpy
    return input.sum(axis=axes(dim), keepdims=keepdim, dtype=kind)
    ### END SOLUTION


def axes(dim):
    """`dim` as NumPy wants it: a tuple for several, None for all."""
    return tuple(dim) or None if isinstance(dim, (list, tuple)) else dim

# %%
#| check 2
table = tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
assert table.sum().item() == 21.0, "without a dim everything is added up"
assert table.sum(0).tolist() == [5.0, 7.0, 9.0], \
    "dim 0 is the one that disappears: the rows are added together"
assert table.sum(dim=(0, 1), keepdim=True).shape == (1, 1), \
    "keepdim leaves a 1 for every dimension that was summed"
assert sum_(tensor([200, 100], dtype=as_dtype(np.uint8))).item() == 300, \
    "small whole numbers add up in int64, or they overflow"
assert sum_(tensor([200, 100], dtype=as_dtype(np.uint8))).dtype is int64, \
    "the sum of any whole numbers is int64"
assert table.sum().dtype.name == "float32" and table.array.sum() == 21.0, \
    "a sum of floats keeps their dtype, and its input as it was"

# %% [markdown]
# **Your turn.** The average, and the **variance**: the average of the squared distances from the average. If
# the numbers are a sample, that comes out a little low, as their own average lies closer to them than the
# true one; dividing by n − 1 makes up for it, and is what `correction=1` asks for.

# %%
#| export exercise
@Op
def mean(input, /, dim=None, keepdim=False, *, dtype=None):
    """The average over `dim`; whole numbers need `dtype=`, a float.  (*) -> (*)"""
    kind = dtype_of(input) if dtype is None else as_dtype(dtype)
    if not kind.is_floating_point:
        raise RuntimeError(f"mean of {kind} numbers would not be one of them: convert first, or pass dtype=")
    if input.size == 0: return math.nan * sum_.forward(input, dim, keepdim, dtype=dtype)     # of nothing
    ### BEGIN SOLUTION
    return input.mean(axis=axes(dim), keepdims=keepdim, dtype=kind.numpy if dtype else None)
    ### END SOLUTION


@method
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """The squared distance from the mean, summed and divided by n - correction.  (*) -> (*)

    `unbiased=False` is PyTorch's older way to say `correction=0`, and may come first: x.var(False).
    """
    if isinstance(dim, bool): dim, unbiased = None, dim
    if unbiased is not None: correction = int(unbiased)
    #| hint Take the mean (keepdim=True, so that it broadcasts), square the distances, add them up and divide.
    #| hint How many numbers share one mean? input.array.size / mean.array.size; divide by it less correction.
    ### BEGIN SOLUTION
    middle = mean(input, dim, True)
    distance = input - middle
    n = input.array.size / max(middle.array.size, 1)
    return sum_(distance * distance, dim, keepdim) / max(n - correction, 0)
    ### END SOLUTION

# %%
#| check 2
table = tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]])
assert table.mean(1).tolist() == [2.0, 6.0], "dim 1 is the one that disappears: each row has its own mean"
assert table.mean(dim=0, keepdim=True).shape == (1, 3), "keepdim leaves a 1 behind"
assert tensor([1, 2]).mean(dtype=as_dtype(np.float32)).dtype.name == "float32", \
    "with dtype=, whole numbers have a mean too, of that kind"
assert var(table, 1).tolist() == [1.0, 7.0], "the variance divides by n - 1, unless told otherwise"
assert abs(var(table, 1, correction=0).tolist()[1] - 14 / 3) < 1e-5, "correction=0 divides by n"
assert math.isnan(var(tensor([1.0])).item()), "one number alone has no variance: 0 / 0"
assert var(table, 1, keepdim=True).shape == (2, 1), "keepdim leaves a 1 behind"
assert table.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]], "an op never changes its input"
assert var(table).item() == 8.0, "without dim, all numbers share one mean"

# %% [markdown]
# ## Rows meet columns
#
# Most of a network's time is spent in one op. `x @ y` multiplies the last two dimensions as matrices and
# broadcasts the others, so `(64, 8, 10, 16) @ (16, 10)` is 512 products at once. A vector is a row on the
# left and a column on the right.
#
# **Your turn.** NumPy's `@` computes. What is yours is the error, because this is the one you will meet most
# often: when the columns of the left are not as many as the rows of the right, `mismatch` says both numbers.

# %%
#| export exercise
@Op
def matmul(input, other, /):
    """The matrix product; leading dimensions broadcast.  (*, n, k), (*, k, m) -> (*, n, m)"""
    if input.dtype is not other.dtype and input.dtype != other.dtype:
        raise RuntimeError(f"matmul wants one dtype, not {dtype_of(input)} and {dtype_of(other)}: use .to()")
    #| hint Python's @ on two arrays. NumPy raises a ValueError when the shapes do not fit.
    #| hint try: … except ValueError: raise mismatch(input, other), which has the sentence.
    ### BEGIN SOLUTION
    try: return input @ other
    except ValueError: raise mismatch(input, other) from None
    ### END SOLUTION

# %%
#| check 2
A, B = tensor([[1.0, 2.0], [3.0, 4.0]]), tensor([[0.0, 1.0], [10.0, 0.0]])
assert (A @ B).tolist() == [[20.0, 1.0], [40.0, 3.0]], \
    "each entry is a row of the left times a column of the right"
assert (A @ tensor([1.0, 1.0])).tolist() == [3.0, 7.0], "a vector on the right is a column"
assert matmul(Tensor(5, 2, 3), Tensor(3, 4)).shape == (5, 2, 4), "leading dimensions broadcast"
try: told = str(A @ tensor([[1.0, 2.0]] * 3))
except ShapeError as error: told = str(error)
assert "2 columns meet 3 rows" in told, "an error names both sides of the mismatch"

# %% [markdown]
# How much work is that? A product `(n, k) @ (k, m)` takes `2·n·k·m` floating-point operations. Compare with
# the ceiling you measured in lesson 01.

# %%
for n in (64, 256, 1024):
    X = Tensor(np.ones((n, n), np.float32))
    start = time.perf_counter()
    for _ in range(5): X @ X
    print(f"{n:5}: {5 * 2 * n**3 / (time.perf_counter() - start) / 1e9:6.1f} GFLOP/s")

# %% [markdown]
# ## Other ways of looking
#
# These ops move nothing: they return a view. `@sharing` tells the engine so, and it notes whose memory is
# shown.

# %%
#| export exercise
@sharing
def transpose(input, /, dim0, dim1):
    """Two dimensions change places; a view.  (*) -> (*)"""
    ### BEGIN SOLUTION
    return np.swapaxes(input, dim0, dim1)
    ### END SOLUTION


@sharing
def permute(input, /, dims):
    """The dimensions in another order; a view.  (*) -> (*)"""
    ### BEGIN SOLUTION
    return np.transpose(input, dims)
    ### END SOLUTION

# %%
#| check 1
x = tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
assert x.T.tolist() == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]], "rows become columns"
assert np.shares_memory(x.array, transpose(x, 0, 1).array), "a transpose is a view: it shows the same memory"
assert x.T.stride() == (1, 3), "a transpose swaps strides, and nothing else"
assert transpose(Tensor(2, 3, 4), 0, 1).shape == (3, 2, 4), "the two that are named change places, no others"
assert Tensor(np.zeros((2, 3, 4))).permute(2, 0, 1).shape == (4, 2, 3), \
    "dims says which old dimension stands in each new place"

# %%
#| export
def full_shape(shape, n: int) -> tuple[int, ...]:
    """The shape with -1 replaced by the length that makes it hold `n` numbers."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    held = math.prod(shape)
    if held < 0 and shape.count(-1) == 1 and n % held == 0:
        shape, held = tuple([-n // held if length == -1 else length for length in shape]), n
    if held != n or (n == 0 and -1 in shape): raise ShapeError(f"shape {shape} does not hold {n} numbers")
    return shape

# %% [markdown]
# **Your turn.** Here `view_strides` earns its keep. `view` refuses where it says None; `reshape` copies
# instead. (Once it is known to be possible, `input.reshape` finds the strides you computed.)

# %%
#| export exercise
@sharing
def view(input, /, shape):
    """The same memory in another shape (given a dtype: reread as that), or a ShapeError: it never copies."""
    if isinstance(shape, dtype): return input.view(shape.numpy)
    shape = full_shape(shape, input.size)
    #| hint view_strides wants steps, not bytes. A box can tell: stride(Tensor(input)).
    ### BEGIN SOLUTION
    if view_strides(input.shape, stride(Tensor(input)), shape) is None:
        raise ShapeError(f"view cannot show {shape_of(input)} as {shape} without copying: use reshape")
    return input.reshape(shape)
    ### END SOLUTION


@sharing
def reshape(input, /, shape):
    """The same numbers in another shape: a view where possible, else a copy."""
    ### BEGIN SOLUTION
    return input.reshape(full_shape(shape, input.size))
    ### END SOLUTION

# %%
#| check 2
x = tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
assert x.view(3, -1).shape == (3, 2), "-1 is whatever length is left over"
assert np.shares_memory(x.array, x.view(6).array), "a view shows the same memory"
assert x.T.reshape(6).tolist() == [1.0, 4.0, 2.0, 5.0, 3.0, 6.0], \
    "reshape follows the walk, here down the columns"
try: refused = x.T.view(6) is None
except ShapeError: refused = True
assert refused, "view never copies: where no strides will do, it refuses"
assert x.reshape(3, 2)._base is x and x.T.reshape(6)._base is None, \
    "a reshape that could be a view is one; the other is a copy"

# %%
#| export exercise
@sharing
def expand(input, /, size):
    """Dimensions of length 1 stretched to `size`, at no cost; -1 keeps a length.  (*) -> (size)"""
    size = (size,) if isinstance(size, int) else tuple(size)
    lengths = (1,) * (len(size) - input.ndim) + input.shape
    #| hint Replace each -1 by the length that is there; np.broadcast_to then sets the strides to 0.
    ### BEGIN SOLUTION
    return np.broadcast_to(input, tuple([old if new == -1 else new for old, new in zip(lengths, size)]))
    ### END SOLUTION

# %%
#| check 1
column = tensor([[1.0], [2.0]])
assert column.expand(2, 3).tolist() == [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]], "a length of 1 stretches"
assert column.expand(-1, 3).shape == (2, 3), "-1 keeps the length that is there"
assert column.expand(-1, 3).stride() == (1, 0), "a stretched dimension has stride 0: nothing is copied"
assert column.expand(4, -1, -1).shape == (4, 2, 1), "new dimensions appear in front"

# %% [markdown]
# ## Reaching in
#
# `x[i]` follows NumPy's and PyTorch's common rules: numbers, slices, `None` and `...` give a view; tensors of
# numbers or of bools pick elements, and give a copy. Tensors inside the index are taken out of their boxes
# first.

# %%
#| export
@sharing
def select_index(input, /, index):
    """The part of the input that an index picks out: a view for numbers and slices, a copy otherwise."""
    input, index = numbers_first(input, index)
    return input[index]


@method
def getitem(tensor: Tensor, index) -> Tensor:
    """What `x[index]` calls."""
    return current_engine().run(select_index, (tensor,), {"index": plain_index(index)})

# %% [markdown]
# Writing is the engine's business too, because others may be looking at the same memory: `x[i] = v` and every
# method with a final underscore go through `engine.write`, which counts. Lesson 09 will be glad of that
# number.

# %%
#| export exercise
@method
def setitem(tensor: Tensor, index, value) -> None:
    """What `x[index] = value` calls."""
    #| hint The current engine has write(tensor, value, index). Take tensors out of the index first.
    ### BEGIN SOLUTION
    current_engine().write(tensor, value, plain_index(index))
    ### END SOLUTION


@method
def copy_(tensor: Tensor, src, non_blocking: bool = False) -> Tensor:
    """Writes the numbers of `src`, broadcast and converted, over those of the tensor."""
    ### BEGIN SOLUTION
    return current_engine().write(tensor, src)
    ### END SOLUTION

# %%
#| check 2
x = tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
row = x[1]
row[0] = 40.0
assert x[1, 0].item() == 40.0, "a row is a view: writing into it writes into the whole"
assert row.tolist() == [40.0, 5.0, 6.0], "only what the index points at is written"
assert x._version == 1 and row._version == 1, "who shares memory shares the count of changes"
def zeroed(x, where):
    x[where] = 0.0
    return x.tolist()

mask = tensor([[False, False, True], [True, False, False]])
assert zeroed(x, mask) == [[1.0, 2.0, 0.0], [0.0, 5.0, 6.0]], "a mask picks the places to write"
assert x.mul_(2.0) is x and x[0].tolist() == [2.0, 4.0, 0.0], \
    "a final underscore writes the result over the tensor"
assert row.tolist() == [0.0, 10.0, 12.0], "whoever looks at that memory sees what is written over it"
picked = x[tensor([1, 0])]
picked[0, 0] = 99.0
assert x[1, 0].item() == 0.0, "picking by a tensor copies: the original stays as it was"

# %% [markdown]
# ## What the door is for
#
# Here is an engine around an engine. It counts, and nothing above had to know.

# %%
class Counting(Engine):
    def __init__(self, inner): self.inner, self.calls = inner, {}

    def run(self, op, inputs, settings):
        self.calls[op.name] = self.calls.get(op.name, 0) + 1
        return self.inner.run(op, inputs, settings)

# %%
x, w, b = Tensor(np.ones((32, 784), np.float32)), Tensor(np.zeros((784, 10), np.float32)), tensor([0.0] * 10)
with using(Counting(current_engine())) as engine:
    y = (x @ w + b).exp()
    p = y / y.sum(1, keepdim=True)
engine.calls

# %% [markdown]
# And what does it cost? An addition of two tiny tensors, through the door and without it:

# %%
x, y = tensor([1.0, 2.0]), tensor([3.0, 4.0])
for name, run in [("NumPy", lambda: x.array + y.array), ("the door", lambda: x + y)]:
    start = time.perf_counter()
    for _ in range(20_000): run()
    print(f"{name:>9}: {(time.perf_counter() - start) / 20_000 * 1e6:.2f} µs")

# %% [markdown]
# A microsecond or two more. For two numbers that is a lot. The product of 32 x 784 and 784 x 10 above takes
# about ten, and there it is a part that you can bear; with a thousand rows in place of 32 you would have to
# look for it. This is why networks compute in batches.
#
# ## Challenges
#
# 1. `x.T.T` is contiguous again, and `x.T.reshape(6)` is not a view. Find a three-dimensional tensor with two
#    different permutations whose `reshape(-1)` is a view.
# 2. Write `flip` along one dimension as a view. (What would the stride be? NumPy allows it, PyTorch does not.
#    Why not?)
# 3. Write an engine that prints every op that returns `float64`. Run your favourite NumPy-style code under
#    it.
# 4. `x[::2]` has gaps. How much memory does `x[::1000].clone()` free, and when?
#
# ## Design note: why one door
#
# A tensor library can let `add` do its own work, and later, when gradients arrive, wrap or replace it. Many
# do: each new feature patches the last one, and after the third nobody can say what `+` does. The other way
# is to make an operation *data*, a name with a function, and to ask one object to run it. It costs a call for
# every op, a microsecond or two here. It buys the right to build gradients, devices, profilers and
# compilers as separate things that can be put around each other, each of which you can read on a page.
