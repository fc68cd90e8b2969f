# Generated from modules/07_attention/appendix_language.py by `tito export`. Edit that file, not this one.
"""GPT-2's weights for GPT; a transformer that reads pictures."""

from __future__ import annotations

from collections import OrderedDict

from .bent_modules import GELU
from .creation import empty, zeros
from .dense import Dropout, LayerNorm, Linear, linear
from .errors import ShapeError, shape_of
from .initialisation import trunc_normal_
from .layers import Module, Parameter, Sequential
from .multihead import MultiheadAttention
from .shaping import cat
from .tensor import permute, reshape

__all__ = ["gpt2_state", "Patches", "EncoderBlock", "Encoder", "ViT"]


def gpt2_state(state: dict) -> dict:
    """The state of a GPT from that of OpenAI's GPT-2: the same names, its matrices turned."""
    state = {key.removeprefix("transformer."): value for key, value in state.items()
             if not key.endswith((".attn.bias", ".attn.masked_bias"))}
    head = state.pop("lm_head.weight", state["wte.weight"])
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    state = {f"transformer.{key}": value.T.contiguous() if key.endswith(turned) else value
             for key, value in state.items()}
    return state | {"lm_head.weight": head}


class Patches(Module):
    """Squares of a picture as rows.  (B, channels, height, width) -> (B, squares, hidden_dim)"""

    def __init__(self, channels: int, hidden_dim: int, size: int):
        super().__init__()
        self.size, self.weight = size, Parameter(empty(hidden_dim, channels, size, size))
        self.bias = Parameter(zeros(hidden_dim))
        trunc_normal_(self.weight, std=(1 / (channels * size * size)) ** 0.5)

    def forward(self, x):
        (B, C, height, width), n = x.shape, self.size
        if height % n or width % n: raise ShapeError(f"{height} x {width} pixels are no squares of {n} x {n}")
        x = reshape(x, (B, C, height // n, n, width // n, n))
        x = reshape(permute(x, (0, 2, 4, 1, 3, 5)), (B, height * width // n**2, C * n * n))
        return linear(x, reshape(self.weight, (len(self.weight), -1)), self.bias)

    def extra_repr(self) -> str: return f"{self.weight.shape[1]}, {len(self.weight)}, size={self.size}"


class EncoderBlock(Module):
    """Look, then think; both are added to the row.  (B, T, hidden_dim) -> (B, T, hidden_dim)"""

    def __init__(self, num_heads: int, hidden_dim: int, mlp_dim: int, dropout: float, attention_dropout=0.0):
        super().__init__()
        self.ln_1 = LayerNorm(hidden_dim, eps=1e-6)
        self.self_attention = MultiheadAttention(hidden_dim, num_heads, attention_dropout, batch_first=True)
        self.dropout = Dropout(dropout)
        self.ln_2 = LayerNorm(hidden_dim, eps=1e-6)
        self.mlp = Sequential(Linear(hidden_dim, mlp_dim), GELU(), Dropout(dropout),
                              Linear(mlp_dim, hidden_dim), Dropout(dropout))

    def forward(self, input):
        x = self.ln_1(input)
        x = input + self.dropout(self.self_attention(x, x, x, need_weights=False)[0])
        return x + self.mlp(self.ln_2(x))


class Encoder(Module):
    """Rows and places through all blocks, and a last norm.  (B, T, hidden_dim) -> (B, T, hidden_dim)"""

    def __init__(self, length: int, num_layers: int, hidden_dim: int, dropout: float, *block):
        super().__init__()
        self.pos_embedding = Parameter(empty(1, length, hidden_dim).normal_(std=0.02))
        self.dropout = Dropout(dropout)
        self.layers = Sequential(OrderedDict([
            (f"encoder_layer_{i}", EncoderBlock(*block)) for i in range(num_layers)]))
        self.ln = LayerNorm(hidden_dim, eps=1e-6)

    def forward(self, input): return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class ViT(Module):
    """A transformer that reads a picture, square by square.  (B, channels, size, size) -> (B, num_classes)"""

    def __init__(
        self, image_size: int = 32, patch_size: int = 4, num_layers: int = 6, num_heads: int = 3,
        hidden_dim: int = 192, mlp_dim: int = 768, dropout: float = 0.0, attention_dropout: float = 0.0,
        num_classes: int = 10, in_channels: int = 3,
    ):
        super().__init__()
        if image_size % patch_size:
            raise ShapeError(f"{image_size} x {image_size} pixels are no squares of {patch_size} pixels")
        self.image_size = image_size
        self.conv_proj = Patches(in_channels, hidden_dim, patch_size)
        self.class_token = Parameter(zeros(1, 1, hidden_dim))
        self.encoder = Encoder((image_size // patch_size) ** 2 + 1, num_layers, hidden_dim, dropout,
                               num_heads, hidden_dim, mlp_dim, dropout, attention_dropout)
        self.heads = Sequential(OrderedDict(head=Linear(hidden_dim, num_classes)))
        for p in self.heads.parameters(): p.data.zero_()

    def forward(self, x):
        if tuple(x.shape[-2:]) != (self.image_size, self.image_size):
            raise ShapeError(f"pictures are {self.image_size} x {self.image_size}, not {shape_of(x)}")
        x = self.conv_proj(x)
        x = cat([self.class_token.expand(len(x), -1, -1), x], 1)
        return self.heads(self.encoder(x)[:, 0])
