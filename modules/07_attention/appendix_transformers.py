# %% [markdown]
# # Appendix: transformers, encoder and decoder
#
# The transformer of 2017 translated. An **encoder** reads the original, every word looking at every other;
# a **decoder** writes the translation, looking back at what it has written and across at what the encoder
# made of the original. GPT is a decoder that has nothing to look across at; BERT is an encoder.
#
# A sublayer reads its row, and what it makes of it is added. The norm stands behind the addition, as in
# 2017, or, with `norm_first`, before the sublayer, as in the lesson.

# %%
#| export
"""The transformer of 2017: encoder, decoder, and both."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from tinytorch.activations import gelu, relu
from tinytorch.attention import causal_mask
from tinytorch.containers import ModuleList
from tinytorch.dense import Dropout, LayerNorm, Linear
from tinytorch.dtypes import get_default_device
from tinytorch.initialisation import xavier_uniform_
from tinytorch.layers import Module
from tinytorch.multihead import MultiheadAttention
from tinytorch.tensor import Tensor

BENDS = {"relu": relu, "gelu": gelu}


def bend_named(activation) -> Callable:
    """The function that a name stands for, or the function itself."""
    if callable(activation): return activation
    if activation not in BENDS:
        raise RuntimeError(f"activation is 'relu', 'gelu' or a function, not {activation!r}")
    return BENDS[activation]

# %%
#| export
class Sublayers(Module):
    """What the layers of encoder and decoder have in common: looking, thinking, adding."""

    def added(self, x, norm: Module, sublayer: Callable):
        """The row and what the sublayer makes of it, with a norm before or behind."""
        return x + sublayer(norm(x)) if self.norm_first else norm(x + sublayer(x))

    def looked(self, look: Module, drop: Module, memory, mask, padding, causal: bool) -> Callable:
        """The sublayer that looks: at its own sequence, or at another one, the memory."""
        def sublayer(x):
            there = x if memory is None else memory
            return drop(look(x, there, there, key_padding_mask=padding, need_weights=False, attn_mask=mask,
                             is_causal=causal)[0])
        return sublayer

    def thought(self, drop: Module) -> Callable:
        """The sublayer that thinks: each row by itself."""
        return lambda x: drop(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoderLayer(Sublayers):
    """Every word looks at every other, then thinks.  (T, B, d_model) -> (T, B, d_model)"""

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1, activation=relu,
        layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False, bias: bool = True,
        device=None, dtype=None,
    ):
        super().__init__()
        kind = {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **kind)
        self.linear1 = Linear(d_model, dim_feedforward, **kind)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **kind)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, **kind)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, **kind)
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.activation = bend_named(activation)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        look = self.looked(self.self_attn, self.dropout1, None, src_mask, src_key_padding_mask, is_causal)
        x = self.added(src, self.norm1, look)
        return self.added(x, self.norm2, self.thought(self.dropout2))


class TransformerDecoderLayer(Sublayers):
    """Each word looks at its own sequence, across at the memory, then thinks.

    (T, B, d_model), (S, B, d_model) -> (T, B, d_model)
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1, activation=relu,
        layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False, bias: bool = True,
        device=None, dtype=None,
    ):
        super().__init__()
        kind = {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **kind)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **kind)
        self.linear1 = Linear(d_model, dim_feedforward, **kind)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **kind)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, **kind)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, **kind)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, **kind)
        self.dropout1, self.dropout2, self.dropout3 = Dropout(dropout), Dropout(dropout), Dropout(dropout)
        self.activation = bend_named(activation)

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None,
        memory_key_padding_mask=None, tgt_is_causal=False, memory_is_causal=False,
    ):
        back = self.looked(self.self_attn, self.dropout1, None, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        across = self.looked(self.multihead_attn, self.dropout2, memory, memory_mask, memory_key_padding_mask,
                             memory_is_causal)
        x = self.added(tgt, self.norm1, back)
        x = self.added(x, self.norm2, across)
        return self.added(x, self.norm3, self.thought(self.dropout3))

# %% [markdown]
# A stack is copies of one layer: they start with the same numbers, and go their own ways when they learn.

# %%
#| export
def copies(layer: Module, n: int) -> ModuleList: return ModuleList([deepcopy(layer) for _ in range(n)])


def is_hint(is_causal: bool | None) -> bool: return bool(is_causal)


class TransformerEncoder(Module):
    """A stack of encoder layers.  (T, B, d_model) -> (T, B, d_model)"""

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers, self.num_layers, self.norm = copies(encoder_layer, num_layers), num_layers, norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        x = src
        for layer in self.layers: x = layer(x, mask, src_key_padding_mask, is_hint(is_causal))
        return x if self.norm is None else self.norm(x)


class TransformerDecoder(Module):
    """A stack of decoder layers.  (T, B, d_model), (S, B, d_model) -> (T, B, d_model)"""

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers, self.num_layers, self.norm = copies(decoder_layer, num_layers), num_layers, norm

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None,
        memory_key_padding_mask=None, tgt_is_causal=None, memory_is_causal=False,
    ):
        x = tgt
        for layer in self.layers:
            x = layer(x, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
                      is_hint(tgt_is_causal), memory_is_causal)
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """An encoder that reads and a decoder that writes.

    (S, B, d_model), (T, B, d_model) -> (T, B, d_model)
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation=relu, custom_encoder=None,
        custom_decoder=None, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device=None, dtype=None,
    ):
        super().__init__()
        layer = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first,
                 norm_first, bias, device, dtype)
        def norm(): return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)
        self.encoder = custom_encoder if custom_encoder is not None else TransformerEncoder(
            TransformerEncoderLayer(*layer), num_encoder_layers, norm())
        self.decoder = custom_decoder if custom_decoder is not None else TransformerDecoder(
            TransformerDecoderLayer(*layer), num_decoder_layers, norm())
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def _reset_parameters(self) -> None:
        for p in self.parameters():
            if p.ndim > 1: xavier_uniform_(p)

    def forward(
        self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None,
        tgt_key_padding_mask=None, memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None,
        memory_is_causal=False,
    ):
        if src.ndim == 3 and src.shape[not self.batch_first] != tgt.shape[not self.batch_first]:
            raise RuntimeError(f"src {tuple(src.shape)} and tgt {tuple(tgt.shape)} differ in their number "
                               "of sequences")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(f"rows of {self.d_model} numbers were expected, not src {tuple(src.shape)} "
                               f"and tgt {tuple(tgt.shape)}")
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
                            tgt_is_causal, memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device=None, dtype=None) -> Tensor:
        """-inf where a word would look ahead, else 0.  () -> (sz, sz)"""
        return causal_mask(sz).to(device=device or get_default_device(), dtype=dtype)
