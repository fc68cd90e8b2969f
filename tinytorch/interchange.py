# Generated from modules/02_tensor/appendix_interchange.py by `tito export`. Edit that file, not this one.
"""How tensors talk to NumPy, to other libraries of tensors, and to pickle."""

from __future__ import annotations

import numpy as np

from .devices import brought_home
from .methods import METHODS
from .tensor import Tensor

__all__ = [
    "to_array", "NUMPY_NAMES", "array_ufunc", "boxed_input", "array_function", "arrays_in", "GPU",
    "from_dlpack", "to_dlpack", "belongings", "packed", "shallow_copy", "unpacked",
]


def to_array(tensor: Tensor, dtype=None, copy: bool | None = None):
    """What `np.asarray(tensor)` calls: the memory itself where that will do, else a copy."""
    array = METHODS["numpy"](tensor)
    if array.dtype.kind == "V": raise TypeError(f"NumPy has no {tensor.dtype.name}: use .float()")
    return np.array(array, dtype, copy=copy)


METHODS["to_array"] = to_array


NUMPY_NAMES = {
    "absolute": "abs", "fabs": "abs", "negative": "neg", "conjugate": "positive", "subtract": "sub",
    "multiply": "mul", "divide": "true_divide", "power": "pow", "rint": "round", "invert": "bitwise_not",
    "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift", "arccos": "acos",
    "arcsin": "asin", "arctan": "atan", "arctan2": "atan2", "arccosh": "acosh", "arcsinh": "asinh",
    "arctanh": "atanh", "degrees": "rad2deg", "radians": "deg2rad", "equal": "eq", "not_equal": "ne",
    "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge",
}


def array_ufunc(tensor: Tensor, ufunc, how: str, *inputs, **settings):
    """What NumPy's element-wise functions call when one of their inputs is a tensor."""
    name = NUMPY_NAMES.get(ufunc.__name__, ufunc.__name__)
    if how != "__call__": return array_function(getattr(ufunc, how), inputs, settings)
    if settings:
        raise TypeError(f"np.{ufunc.__name__} of a tensor takes no {', '.join(settings)}: use x.numpy()")
    if name not in METHODS: raise TypeError(f"there is no op for np.{ufunc.__name__}: compute with x.numpy()")
    return METHODS[name](*[boxed_input(x) for x in inputs])


def boxed_input(x):
    """Arrays become tensors; NumPy's single numbers count as Python's, or they would decide dtypes."""
    if isinstance(x, np.generic): return x.item()
    return Tensor(x) if hasattr(x, "dtype") and not isinstance(x, Tensor) else x


METHODS["array_ufunc"] = array_ufunc


def array_function(function, args, settings):
    """A function of NumPy, on the memory of the tensors among what it is given."""
    return function(*[arrays_in(x) for x in args], **{name: arrays_in(x) for name, x in settings.items()})


def arrays_in(x):
    """The same with arrays for tensors, also inside lists and tuples."""
    if isinstance(x, Tensor): return to_array(x)
    return type(x)([arrays_in(part) for part in x]) if type(x) in (list, tuple) else x


METHODS["array_function"] = array_function


GPU = 2         # what DLPack calls the memory of a GPU


def from_dlpack(ext_tensor) -> Tensor:
    """A tensor on the memory of another library's tensor: nothing is copied."""
    if isinstance(ext_tensor, Tensor): return METHODS["detach"](ext_tensor)
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(f"from_dlpack wants a tensor of another library, not a {type(ext_tensor).__name__}")
    if ext_tensor.__dlpack_device__()[0] == GPU:
        import cupy
        return Tensor(cupy.from_dlpack(ext_tensor))
    return Tensor(np.from_dlpack(ext_tensor))


def to_dlpack(tensor: Tensor, **settings):
    """The capsule that `other.from_dlpack(tensor)` asks for."""
    if tensor.requires_grad:
        raise BufferError("the memory of a tensor that requires grad is not for others: use .detach()")
    return tensor.array.__dlpack__(**settings)


METHODS.update(to_dlpack=to_dlpack, dlpack_device=lambda tensor: tensor.array.__dlpack_device__())


def belongings(tensor: Tensor) -> dict:
    """What a copy of a tensor has, too."""
    forgotten = ("receipt", "kept", "_base", "_changes", "_apart", "_hooks", "_after_grad")
    return {name: value for name, value in vars(tensor).items() if name not in forgotten}


def packed(tensor: Tensor) -> tuple:
    """What pickle keeps of a tensor."""
    return unpacked, (type(tensor), belongings(tensor) | {"array": brought_home(tensor.array)})


def shallow_copy(tensor: Tensor) -> Tensor:
    """What `copy.copy` makes: another box around the same memory."""
    return unpacked(type(tensor), belongings(tensor))


def unpacked(kind: type, attributes: dict) -> Tensor:
    """The tensor of that class with those attributes."""
    tensor = kind.__new__(kind)
    vars(tensor).update(attributes)
    return tensor


METHODS.update(packed=packed, shallow_copy=shallow_copy)
