# %% [markdown]
# # Appendix: two numbers in a byte
#
# Large language models do not wait for products, they wait for weights: a single row passes through each
# matrix, and every weight is fetched to be used once. There even half a byte is worth having, and inputs may
# stay floats: **weight-only** quantisation, at four bits. Sixteen places are few, so a grid serves only a
# small **group** of weights, 32 to 128 of them along a row (the way of GPTQ and AWQ, 2022 and 2023).
#
# The files of this appendix are honest: two places lie in one byte, and what is fetched is half a byte. The
# product itself is of floats, which are made anew in every call.

# %%
#| export
"""Weights of four bits: two in a byte, a grid for each group."""

# %%
#| export
from __future__ import annotations

from copy import deepcopy

import numpy as np

from tinytorch.compression import choose_qparams, dequantize_affine, extremes, quantize_affine, replace
from tinytorch.dense import Linear, linear
from tinytorch.layers import Module
from tinytorch.receipts import no_gradient
from tinytorch.tensor import Op, Tensor

# %% [markdown]
# ## Packing
#
# A place from 0 to 15 is four bits. Of each two neighbours the first goes into the low half of a byte, the
# second into the high half.

# %%
#| export
@Op
def pack_int4(input, /):
    """Each two neighbours of places from 0 to 15 in one byte.  (*, 2 n) -> (*, n)"""
    if input.shape[-1] % 2: raise RuntimeError(f"{input.shape[-1]} places do not come in pairs")
    if input.size and not 0 <= input.min() <= input.max() <= 15:
        raise RuntimeError(f"places of four bits lie from 0 to 15, not from {input.min()} to {input.max()}")
    places = input.astype(np.uint8)
    return places[..., ::2] | places[..., 1::2] << 4


@Op
def unpack_int4(input, /):
    """The two places that lie in each byte.  (*, n) -> (*, 2 n)"""
    out = np.empty_like(input, shape=(*input.shape, 2))
    out[..., 0], out[..., 1] = input & 15, input >> 4
    return out.reshape(*input.shape[:-1], -1)


no_gradient(pack_int4, unpack_int4)

# %% [markdown]
# ## A layer
#
# The places of a group and their grid: a scale in float16, and a zero point, which is a place itself and is
# packed, too. A row that does not fill its last group is filled up with zeros.

# %%
#| export
class Int4Linear(Module):
    """A linear layer whose weights are four bits each, and whose inputs stay floats.  (*, in) -> (*, out)"""

    def __init__(self, weight: Tensor, bias: Tensor | None = None, group_size: int = 32):
        super().__init__()
        self.out_features, self.in_features = weight.shape
        if group_size % 2: raise ValueError(f"group_size={group_size} is odd, and two places share a byte")
        self.group_size, n = group_size, -(-self.in_features // group_size)
        filled = weight.new_zeros(self.out_features, n * group_size)
        filled[:, : self.in_features] = weight.detach()
        groups = filled.reshape(-1, group_size)
        scale, zero_point = choose_qparams(*extremes(groups, 0), 0, 15)
        scale = scale.half()
        places = quantize_affine(groups, scale.float().clamp(min=1e-7), zero_point, 0, 0, 15)
        self.register_buffer("weight", pack_int4(places).reshape(self.out_features, -1))
        self.register_buffer("weight_scale", scale.reshape(self.out_features, n))
        self.register_buffer("weight_zero_point", zero_point.to(places.dtype).reshape(self.out_features, n))
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    @classmethod
    def from_float(cls, layer: Module, group_size: int = 32):
        """The layer with weights of four bits."""
        return cls(layer.weight, layer.bias, group_size).train(layer.training)

    def dequantized(self) -> Tensor:
        """The weight in floats.  (out, in)"""
        groups = unpack_int4(self.weight).reshape(-1, self.group_size)
        weight = dequantize_affine(groups, self.weight_scale.float().reshape(-1),
                                   self.weight_zero_point.reshape(-1), 0)
        return weight.reshape(self.out_features, -1)[:, : self.in_features]

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.dequantized().to(input.dtype), self.bias)

    def extra_repr(self) -> str:
        return (f"in_features={self.in_features}, out_features={self.out_features}, "
                f"group_size={self.group_size}")


def quantize_int4(model: Module, group_size: int = 32, inplace: bool = False) -> Module:
    """The model whose linear layers have weights of four bits."""
    model = model if inplace else deepcopy(model)

    def swap(part: Module) -> Module | None:
        return Int4Linear.from_float(part, group_size) if type(part) is Linear else None
    return replace(model, swap)

# %% [markdown]
# Bits for each weight, everything counted, and how far off the layer is:

# %%
from tinytorch.compression import QuantizedLinear, bytes_on_disk
from tinytorch.modes import no_grad
from tinytorch.randomness import manual_seed, randn

manual_seed(0)
layer, x = Linear(512, 512, bias=False), randn(64, 512)
layer.weight.data.normal_(0, 0.05)
with no_grad():
    wanted = layer(x)
    for name, small in [("int8", QuantizedLinear.from_float(layer, 0)),
                        *[(f"int4, groups of {n}", Int4Linear.from_float(layer, n)) for n in (32, 128, 512)]]:
        bits = 8 * bytes_on_disk(small) / layer.weight.numel()
        off = ((small(x) - wanted) ** 2).mean().sqrt() / (wanted**2).mean().sqrt()
        print(f"{name:>20}: {bits:5.2f} bits a weight, {100 * off.item():5.2f} % off")
