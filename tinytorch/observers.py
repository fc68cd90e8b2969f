# Generated from modules/12_compression/appendix_observers.py by `tito export`. Edit that file, not this one.
"""Who watches numbers to find their grid: PyTorch's observers, and two that try."""

from __future__ import annotations

from functools import partial

from .compression import Observer, extremes, least_error, percentiles
from .quantized_tensors import (
    QuantizedKind, Scheme, per_channel_affine, per_channel_symmetric, per_tensor_affine, per_tensor_symmetric,
    qint8, quint8,
)
from .shaping import cat
from .tensor import Tensor

__all__ = [
    "with_args", "MinMaxObserver", "PerChannelMinMaxObserver", "MovingAverageMinMaxObserver",
    "MovingAveragePerChannelMinMaxObserver", "PercentileObserver", "MSEObserver", "default_observer",
    "default_weight_observer", "default_per_channel_weight_observer",
]


class with_args(partial):
    """A class with some of its settings, to be made later: `MinMaxObserver.with_args(dtype=qint8)`."""

    def with_args(self, **settings): return with_args(self, **settings)


class MinMaxObserver(Observer):
    """Remembers the smallest and the largest number that went by."""

    def __init__(
        self, dtype: QuantizedKind = quint8, qscheme: Scheme = per_tensor_affine, reduce_range: bool = False,
        quant_min: int | None = None, quant_max: int | None = None, ch_axis: int | None = None,
    ):
        low, high = dtype.quant_min, dtype.quant_max
        if reduce_range: low, high = (-64, 63) if low else (0, 127)
        low, high = low if quant_min is None else quant_min, high if quant_max is None else quant_max
        if not dtype.quant_min <= low < high <= dtype.quant_max:
            raise ValueError(f"{dtype} has no places from {low} to {high}")
        super().__init__(ch_axis, low, high, qscheme.symmetric)
        self.dtype, self.qscheme, self.ch_axis = dtype, qscheme, ch_axis

    @classmethod
    def with_args(cls, **settings) -> with_args: return with_args(cls, **settings)

    def extra_repr(self) -> str: return f"min_val={self.min_val.tolist()}, max_val={self.max_val.tolist()}"


class PerChannelMinMaxObserver(MinMaxObserver):
    """The same for each channel along `ch_axis`."""

    def __init__(
        self, ch_axis: int = 0, dtype: QuantizedKind = quint8, qscheme: Scheme = per_channel_affine,
        reduce_range: bool = False, quant_min: int | None = None, quant_max: int | None = None,
    ):
        super().__init__(dtype, qscheme, reduce_range, quant_min, quant_max, ch_axis)


class MovingAverageMinMaxObserver(MinMaxObserver):
    """Moves its two ends towards those of each batch by a share, `averaging_constant`."""

    def __init__(
        self, averaging_constant: float = 0.01, dtype: QuantizedKind = quint8,
        qscheme: Scheme = per_tensor_affine, reduce_range: bool = False,
        quant_min: int | None = None, quant_max: int | None = None, ch_axis: int | None = None,
    ):
        super().__init__(dtype, qscheme, reduce_range, quant_min, quant_max, ch_axis)
        self.averaging_constant = averaging_constant

    def watched(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high = extremes(x, self.axis)
        if self.min_val.isinf().any(): return low, high
        share = self.averaging_constant
        return self.min_val + share * (low - self.min_val), self.max_val + share * (high - self.max_val)


class MovingAveragePerChannelMinMaxObserver(MovingAverageMinMaxObserver):
    """The same for each channel along `ch_axis`."""

    def __init__(
        self, averaging_constant: float = 0.01, ch_axis: int = 0, dtype: QuantizedKind = quint8,
        qscheme: Scheme = per_channel_affine, reduce_range: bool = False,
        quant_min: int | None = None, quant_max: int | None = None,
    ):
        super().__init__(averaging_constant, dtype, qscheme, reduce_range, quant_min, quant_max, ch_axis)


class PercentileObserver(MinMaxObserver):
    """Finds the range that a share of the numbers lies in."""

    def __init__(self, share: float = 0.999, most: int = 100_000, **settings):
        super().__init__(**settings)
        self.share, self.most, self.sample = share, most, []

    def watched(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.sample.append(x.movedim(self.axis, 0).flatten(1) if self.axis is not None else x.reshape(1, -1))
        kept = cat(self.sample, 1)
        self.sample = [kept[:, :: -(-kept.shape[1] // self.most)].clone()]
        return super().watched(x)

    def ends(self) -> tuple[Tensor, Tensor]:
        return self.chosen(self.sample[0] if self.axis is not None else self.sample[0][0])

    def chosen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The ends for numbers, of which each channel has a row."""
        return percentiles(rows, None if self.axis is None else 0, self.share)


class MSEObserver(PercentileObserver):
    """Finds the range whose grid is nearest to the numbers."""

    def __init__(self, tries: int = 50, most: int = 10_000, **settings):
        super().__init__(most=most, **settings)
        self.tries = tries

    def chosen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        axis = None if self.axis is None else 0
        return least_error(rows, axis, self.quant_min, self.quant_max, self.symmetric, self.tries)


default_observer = MinMaxObserver.with_args(quant_min=0, quant_max=127)
default_weight_observer = MinMaxObserver.with_args(dtype=qint8, qscheme=per_tensor_symmetric)
default_per_channel_weight_observer = PerChannelMinMaxObserver.with_args(
    dtype=qint8, qscheme=per_channel_symmetric)
