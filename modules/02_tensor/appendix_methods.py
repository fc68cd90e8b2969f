# %% [markdown]
# # Appendix: how `x + y` finds `add`
#
# Python turns `x + y` into `x.__add__(y)`, and there are some forty such names. None of them decides
# anything: each looks up an operation by name and calls it. So do `x.exp()` and `x.exp_()`. What is looked up
# lies in one table, which every later lesson adds rows to; the class of the tensor never changes again.

# %%
#| export
"""How `x + y`, `x.exp()` and `x.exp_()` find the functions called add and exp."""

# %%
#| export
from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from types import MethodType

from tinytorch.devices import at_home, brought_home
from tinytorch.errors import ShapeError, shape_of
from tinytorch.printing import describe_array

class Table(dict):
    """From a method's name to the function that does it."""

    def __missing__(self, name): raise NotImplementedError(no_method(name))


METHODS: dict[str, Callable] = Table()


def plain_name(function: Callable) -> str:
    """What the function is called outside: `sum_` is spelt so only because Python has a `sum` of its own."""
    name = function.__name__
    return name[:-1] if name.endswith("_") and hasattr(builtins, name[:-1]) else name


def method(function: Callable) -> Callable:
    """`@method` above a function makes it a method of every tensor, under the function's name."""
    METHODS[plain_name(function)] = function
    return function

# %% [markdown]
# A method that ends in an underscore changes its tensor **in place**: `x.exp_()` computes `x.exp()` and
# copies the result over `x`. Its memory has room for as many numbers as before, of the kind it held before,
# so a result of another shape or of a wider kind is refused.

# %%
#| export
def in_place(function: Callable) -> Callable:
    """The function that computes `function(x, ...)` and writes the result over `x`."""
    def change(x, *args, **settings):
        out = function(x, *args, **settings)
        if out.shape != x.shape:
            raise RuntimeError(f"{function.__name__}_ works in place: a result of shape {tuple(out.shape)} "
                               f"does not fit into a tensor of shape {tuple(x.shape)}")
        if out.dtype.category > x.dtype.category:
            raise RuntimeError(f"{function.__name__}_ works in place: a result of {out.dtype} "
                               f"can't be cast to the {x.dtype} that the tensor holds")
        return x.copy_(out)
    return change

# %% [markdown]
# `out=` is the older brother of the underscore: `add(x, y, out=z)` writes the result over `z`. A tensor of no
# numbers takes whatever comes.

# %%
#| export
def into(out, result):
    """The result of an op, written into the tensor (or the tensors) that `out=` was."""
    if out is None: return result
    if isinstance(result, tuple):
        written = [into(one, part) for one, part in zip(out, result, strict=True)]
        return type(result)(*written) if hasattr(result, "_fields") else tuple(written)
    if out.dtype.category < result.dtype.category:
        raise RuntimeError(f"out= holds {out.dtype}: a result of {result.dtype} can't be cast to that")
    if out.array.size == 0: out.array = out.dtype.cast(result.array).copy()
    if out.shape != result.shape:
        raise ShapeError(f"out= of shape {shape_of(out)} has no room for a result of {shape_of(result)}")
    return out.copy_(result)

# %%
#| export
def symbol(name: str) -> Callable:
    """What Python calls for a symbol such as `+`: the op called `name`."""
    return lambda self, other: METHODS[name](self, other)


def swapped(name: str) -> Callable:
    """The same, for `1 + x`: the tensor is on the right."""
    return lambda self, other: METHODS[name](other, self)


def changing(name: str) -> Callable:
    """The same, for `x += 1`."""
    return lambda self, other: in_place(METHODS[name])(self, other)


def comparing(name: str) -> Callable:
    """The same, for `x == y`; against what is no number Python falls back on identity."""
    def compare(self, other):
        return NotImplemented if other is None or isinstance(other, str) else METHODS[name](self, other)
    return compare

# %%
#| export
class Methods:
    """Python's symbols and the dot, each looked up in the table of methods."""

    __add__, __radd__, __iadd__ = symbol("add"), swapped("add"), changing("add")
    __sub__, __rsub__, __isub__ = symbol("sub"), swapped("sub"), changing("sub")
    __mul__, __rmul__, __imul__ = symbol("mul"), swapped("mul"), changing("mul")
    __truediv__, __rtruediv__ = symbol("true_divide"), swapped("true_divide")
    __itruediv__ = changing("true_divide")
    __floordiv__, __rfloordiv__ = symbol("floor_divide"), swapped("floor_divide")
    __ifloordiv__ = changing("floor_divide")
    __mod__, __rmod__, __imod__ = symbol("remainder"), swapped("remainder"), changing("remainder")
    __pow__, __rpow__, __ipow__ = symbol("pow"), swapped("pow"), changing("pow")
    __matmul__, __rmatmul__ = symbol("matmul"), swapped("matmul")
    __and__, __rand__, __iand__ = symbol("bitwise_and"), swapped("bitwise_and"), changing("bitwise_and")
    __or__, __ror__, __ior__ = symbol("bitwise_or"), swapped("bitwise_or"), changing("bitwise_or")
    __xor__, __rxor__, __ixor__ = symbol("bitwise_xor"), swapped("bitwise_xor"), changing("bitwise_xor")
    __lshift__, __rlshift__ = symbol("bitwise_left_shift"), swapped("bitwise_left_shift")
    __rshift__, __rrshift__ = symbol("bitwise_right_shift"), swapped("bitwise_right_shift")

    __eq__, __ne__ = comparing("eq"), comparing("ne")
    __lt__, __le__, __gt__, __ge__ = comparing("lt"), comparing("le"), comparing("gt"), comparing("ge")
    __hash__ = object.__hash__            # by identity: two tensors with equal numbers are two tensors

    itemsize = property(lambda self: self.array.itemsize)
    nbytes = property(lambda self: self.array.nbytes)
    is_cpu = property(lambda self: self.device.type == "cpu")
    is_cuda = property(lambda self: self.device.type == "cuda")
    H = property(lambda self: self.T)             # nothing here is complex: the conjugate is the number
    mH = property(lambda self: self.mT)
    real = property(lambda self: self)
    retains_grad = property(lambda self: "_retained" in vars(self))     # lesson 09: though it is no leaf

    def __neg__(self): return METHODS["neg"](self)
    def __pos__(self): return self
    def __abs__(self): return METHODS["abs"](self)
    def __invert__(self): return METHODS["bitwise_not"](self)

    def __getitem__(self, index): return METHODS["getitem"](self, index)
    def __setitem__(self, index, value): METHODS["setitem"](self, index, value)
    def __iter__(self): return METHODS["rows"](self)
    def __contains__(self, value): return bool(METHODS["any"](self == value))

    def __len__(self):
        if self.ndim == 0: raise TypeError("len() of a 0-d tensor: a single number has no length")
        return self.shape[0]

    def __bool__(self): return bool(METHODS["item"](self))
    def __int__(self): return int(METHODS["item"](self))
    def __float__(self): return float(METHODS["item"](self))
    def __index__(self): return operator.index(METHODS["item"](self))

    def __array__(self, dtype=None, copy=None): return METHODS["to_array"](self, dtype, copy)
    def __array_ufunc__(self, *args, **settings): return METHODS["array_ufunc"](self, *args, **settings)
    def __array_function__(self, f, types, args, named): return METHODS["array_function"](f, args, named)
    def __dlpack__(self, **settings): return METHODS["to_dlpack"](self, **settings)
    def __dlpack_device__(self): return METHODS["dlpack_device"](self)

    def __reduce_ex__(self, protocol): return METHODS["packed"](self)
    def __copy__(self): return METHODS["shallow_copy"](self)
    def __deepcopy__(self, memo): return METHODS["deepcopy"](self, memo)
    def __repr__(self): return METHODS["describe"](self)
    def __format__(self, spec): return format(METHODS["item"](self) if self.ndim == 0 else str(self), spec)

    def __getattr__(self, name: str):
        if name.startswith("__"): raise AttributeError(name)
        found = METHODS.get(name)
        if found is None and name.endswith("_") and name[:-1] in METHODS:
            found = in_place(METHODS[name[:-1]])
        if found is None: raise AttributeError(no_method(name))
        return MethodType(found, self)

    def __dir__(self): return sorted({*super().__dir__(), *METHODS})


def no_method(name: str) -> str:
    """The sentence for a method that no lesson so far has built."""
    from difflib import get_close_matches
    near = get_close_matches(name, METHODS, 1)
    return f"a tensor has no method {name!r} so far" + (f". Did you mean {near[0]!r}?" if near else "")

# %% [markdown]
# ## Out of the box
#
# The first rows of the table: the way back to plain Python and NumPy. `item` is for one number, `tolist` for
# all of them, and `numpy` hands out the memory itself.

# %%
#| export
@method
def item(tensor):
    """The single number of a tensor, as a Python number."""
    if tensor.array.size != 1:
        raise RuntimeError(f"item is for a single number, and this tensor has shape {shape_of(tensor)}")
    return tensor.array.item()


@method
def tolist(tensor):
    """The numbers as nested Python lists."""
    return tensor.array.tolist()


@method
def numpy(tensor, *, force: bool = False):
    """The tensor's memory as a NumPy array: nothing is copied, unless force=True fetches it from a GPU."""
    if tensor.requires_grad and not force:
        raise RuntimeError("the memory of a tensor that requires grad is not for NumPy: .detach().numpy()")
    if not (force or at_home(tensor.array)):
        raise TypeError(f"NumPy cannot look at a tensor on {tensor.device}: copy it first, with .cpu()")
    return brought_home(tensor.array)

# %%
#| export
@method
def size(tensor, dim: int | None = None):
    """The shape, or the length of one dimension."""
    if dim is None: return tensor.shape
    if not -tensor.ndim <= dim < tensor.ndim:
        raise IndexError(f"size({dim}) asks for a dimension that shape {shape_of(tensor)} does not have")
    return tensor.shape[dim]


@method
def rows(tensor):
    """What `for row in x` walks through."""
    if tensor.ndim == 0: raise TypeError("iteration over a 0-d tensor: a single number has no rows")
    return iter([tensor[i] for i in range(tensor.shape[0])])


@method
def describe(tensor) -> str:
    """What `repr` shows: the numbers as PyTorch prints them."""
    return describe_array(tensor.array, requires_grad=tensor.requires_grad, receipt=tensor.receipt)
