# %% [markdown]
# # Appendix: a tensor with its grid
#
# Places on a grid mean nothing without the grid. PyTorch keeps both in one tensor of dtype `qint8` or
# `quint8`; here they lie side by side in a class of its own, with PyTorch's names. Programs use it to look
# at numbers and to store them; the layers of this chapter hold plain int8 tensors, and their grids beside.

# %%
#| export
"""Places on a grid together with the grid, under PyTorch's names."""

# %%
#| export
from __future__ import annotations

from typing import NamedTuple

from tinytorch.compression import choose_qparams, dequantize_affine, extremes, quantize_affine
from tinytorch.tensor import Tensor, as_array


class QuantizedKind(NamedTuple):
    """A kind of place: how many there are, and where they begin."""

    name: str
    quant_min: int
    quant_max: int

    def __repr__(self): return f"tinytorch.{self.name}"


class Scheme(str):
    """How numbers go onto a grid: one for all or one for each channel, with 0 anywhere or in the middle."""

    __slots__ = ()

    per_channel = property(lambda self: self.startswith("per_channel"))
    symmetric = property(lambda self: self.endswith("symmetric"))

    def __repr__(self): return f"tinytorch.{self}"


qint8 = QuantizedKind("qint8", -128, 127)
quint8 = QuantizedKind("quint8", 0, 255)
qint32 = QuantizedKind("qint32", -(2**31), 2**31 - 1)

per_tensor_affine = Scheme("per_tensor_affine")
per_tensor_symmetric = Scheme("per_tensor_symmetric")
per_channel_affine = Scheme("per_channel_affine")
per_channel_symmetric = Scheme("per_channel_symmetric")

# %%
#| export
class QuantizedTensor:
    """Places on a grid, and the grid: `scale` and `zero_point`, one for all or one for each along `axis`."""

    is_quantized = True

    def __init__(self, places: Tensor, scale: Tensor, zero_point: Tensor, axis: int | None, dtype):
        self.places, self.scale, self.zero_point = places, scale, zero_point
        self.axis, self.dtype = axis, dtype

    shape = property(lambda self: self.places.shape)
    ndim = property(lambda self: self.places.ndim)

    def size(self, dim: int | None = None): return self.places.size(dim)
    def numel(self) -> int: return self.places.numel()
    def element_size(self) -> int: return self.places.element_size()
    def int_repr(self) -> Tensor: return self.places.clone()
    def qscheme(self) -> Scheme: return per_tensor_affine if self.axis is None else per_channel_affine

    def dequantize(self) -> Tensor:
        """The numbers that the places stand for."""
        return dequantize_affine(self.places, self.scale, self.zero_point, self.axis)

    def q_scale(self) -> float: return self.one("q_scale").scale.item()
    def q_zero_point(self) -> int: return self.one("q_zero_point").zero_point.item()
    def q_per_channel_scales(self) -> Tensor: return self.each("q_per_channel_scales").scale
    def q_per_channel_zero_points(self) -> Tensor: return self.each("q_per_channel_zero_points").zero_point
    def q_per_channel_axis(self) -> int: return self.each("q_per_channel_axis").axis

    def one(self, asked: str):
        if self.axis is None: return self
        raise RuntimeError(f"{asked} wants one grid for all numbers, and here each channel has its own")

    def each(self, asked: str):
        if self.axis is not None: return self
        raise RuntimeError(f"{asked} wants a grid for each channel, and here there is one for all numbers")

    def __repr__(self):
        grid = f"scale={self.scale.tolist()}, zero_point={self.zero_point.tolist()}"
        axis = "" if self.axis is None else f", axis={self.axis}"
        return f"{repr(self.dequantize())[:-1]}, dtype={self.dtype}, {grid}{axis})"

# %% [markdown]
# The functions are those of `torch`.

# %%
#| export
def quantize_per_tensor(input: Tensor, scale, zero_point, dtype: QuantizedKind) -> QuantizedTensor:
    """The numbers on one grid.  (*)"""
    scale, zero_point = Tensor(as_array(scale)).float(), Tensor(as_array(zero_point)).int()
    return on_grid(input, scale.reshape(()), zero_point.reshape(()), None, dtype)


def quantize_per_channel(
    input: Tensor, scales, zero_points, axis: int, dtype: QuantizedKind,
) -> QuantizedTensor:
    """The numbers of each channel on a grid of their own.  (*, C, *), (C), (C)"""
    scales, zero_points = Tensor(as_array(scales)), Tensor(as_array(zero_points)).int()
    if scales.numel() != input.shape[axis] or zero_points.numel() != input.shape[axis]:
        raise RuntimeError(f"{input.shape[axis]} channels have as many scales and zero points, not "
                           f"{scales.numel()} and {zero_points.numel()}")
    return on_grid(input, scales, zero_points, axis, dtype)


def quantize_per_tensor_dynamic(input: Tensor, dtype: QuantizedKind, reduce_range: bool) -> QuantizedTensor:
    """The numbers on a grid that holds just these; `reduce_range` leaves half of the places out."""
    low, high = dtype.quant_min, dtype.quant_max
    if reduce_range: low, high = (-64, 63) if low else (0, 127)
    return on_grid(input, *choose_qparams(*extremes(input.detach()), low, high), None, dtype)


def on_grid(input: Tensor, scale: Tensor, zero_point: Tensor, axis: int | None, dtype: QuantizedKind):
    ends = dtype.quant_min, dtype.quant_max
    if zero_point.numel() and not ends[0] <= zero_point.min().item() <= zero_point.max().item() <= ends[1]:
        raise RuntimeError(f"zero points of {dtype} lie from {ends[0]} to {ends[1]}")
    places = quantize_affine(input.detach(), scale, zero_point, axis, *ends)
    return QuantizedTensor(places, scale, zero_point, axis, dtype)


def dequantize(tensor: QuantizedTensor) -> Tensor:
    """The numbers that the places stand for."""
    return tensor.dequantize()


def int_repr(input: QuantizedTensor) -> Tensor:
    """The places themselves."""
    return input.int_repr()


def q_scale(input: QuantizedTensor) -> float:
    """The scale of a tensor that has one for all its numbers."""
    return input.q_scale()


def q_zero_point(input: QuantizedTensor) -> int:
    """The zero point of a tensor that has one for all its numbers."""
    return input.q_zero_point()


def q_per_channel_scales(input: QuantizedTensor) -> Tensor:
    """The scales of its channels."""
    return input.q_per_channel_scales()


def q_per_channel_zero_points(input: QuantizedTensor) -> Tensor:
    """The zero points of its channels."""
    return input.q_per_channel_zero_points()


def q_per_channel_axis(input: QuantizedTensor) -> int:
    """The dimension in which its channels lie."""
    return input.q_per_channel_axis()

# %%
from tinytorch import tensor

x = quantize_per_tensor(tensor([-1.0, 0.0, 0.26, 100.0]), 0.5, 10, quint8)
x, x.int_repr(), x.q_scale()
