# Generated from modules/12_compression/appendix_quantized_layers.py by `tito export`. Edit that file, not this one.
"""Convolutions and embeddings whose weights are bytes."""

from __future__ import annotations

import numpy as np

from .compression import (
    Quantized, QuantizedLinear, choose_qparams, dequantize_affine, extremes, quantize_affine,
)
from .receipts import no_gradient
from .room import pad
from .spatial import windows
from .tensor import Op, Tensor

__all__ = ["patches", "QuantizedConv2d", "QuantizedEmbedding", "Linear", "Conv2d", "Embedding"]


@Op
def patches(input, fill, /, kernel, stride, dilation, ends):
    """All that a filter looks at in each place, with margins of `fill`.

    (N, C, H, W) -> (N, H', W', C * kh * kw)
    """
    lengths = [n + before + after for n, (before, after) in zip(input.shape[2:], ends)]
    room = np.empty_like(input, shape=(*input.shape[:2], *lengths))
    room[...] = fill
    room[(..., *[slice(before, before + n) for n, (before, _) in zip(input.shape[2:], ends)])] = input
    view = windows(room.transpose(0, 2, 3, 1), kernel, stride, dilation)
    return view.transpose(0, 1, 2, 5, 3, 4).reshape(*view.shape[:3], -1)


no_gradient(patches)


class QuantizedConv2d(Quantized):
    """A convolution whose filters are bytes.  (N, C, H, W) -> (N, O, H', W')"""

    settings = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "margins",
                "padding_mode")

    @classmethod
    def takes(cls, layer) -> bool:
        """Whether a layer can be one of these: groups of channels would be many small products."""
        return layer.groups == 1

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim == 3: return self(input.unsqueeze(0)).squeeze(0)
        ends = self.margins
        if self.padding_mode != "zeros":
            input = pad(input, [n for pair in reversed(ends) for n in pair], self.padding_mode)
            ends = [(0, 0)] * 2
        scale, zero_point = self.grid_for(input)
        places = quantize_affine(input, scale, zero_point)
        rows = patches(places, zero_point, self.kernel_size, self.stride, self.dilation, ends)
        out = self.products(rows.reshape(-1, rows.shape[-1]), scale, zero_point)
        return out.reshape(*rows.shape[:3], -1).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return (f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
                f"stride={self.stride}, {'dynamic' if self.input_scale is None else 'static'}")


class QuantizedEmbedding(Quantized):
    """A table whose rows are bytes; those that are asked for become floats.  (*) -> (*, embedding_dim)"""

    settings = ("num_embeddings", "embedding_dim", "padding_idx")

    @classmethod
    def from_float(cls, layer, axis: int | None = 0, inputs=None, grid: tuple | None = None):
        """The table with rows of bytes; `axis=0`: a grid for each row."""
        grid = grid or choose_qparams(*extremes(layer.weight.detach(), axis))
        made = cls(layer.weight, None, grid, axis)
        for name in cls.settings: setattr(made, name, getattr(layer, name))
        return made.train(layer.training)

    def forward(self, input: Tensor) -> Tensor:
        rows, zero, each = self.weight[input], self.weight_zero_point, self.axis is not None
        scale = self.weight_scale[input].unsqueeze(-1) if each else self.weight_scale
        if zero is None: zero = 0
        elif each: zero = zero[input].unsqueeze(-1)
        return dequantize_affine(rows, scale, zero)

    def extra_repr(self) -> str: return f"{self.num_embeddings}, {self.embedding_dim}, axis={self.axis}"


Linear, Conv2d, Embedding = QuantizedLinear, QuantizedConv2d, QuantizedEmbedding
