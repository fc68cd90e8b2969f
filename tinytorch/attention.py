# Generated from modules/07_attention/attention.py by `tito export`. Edit that file, not this one.
"""Attention, and the GPT that is made of it."""

from __future__ import annotations

import math

import numpy as np

from .activations import gelu, softmax
from .bands import BAND, in_bands, near_zero, room_like
from .containers import ModuleDict, ModuleList
from .creation import arange, ones
from .dense import Dropout, LayerNorm, Linear, dropout
from .elementwise import where
from .embeddings import Embedding
from .errors import ShapeError, shape_of
from .fitting import row_max, row_sums
from .layers import Module
from .shaping import cat, repeat_interleave, split
from .tensor import Kept, Op, Tensor, tensor

__all__ = [
    "look_up", "sinusoids", "attention_weights", "attend", "causal_mask", "scaled_dot_product_attention",
    "check_looks", "split_heads", "merge_heads", "CausalSelfAttention", "MLP", "Block", "GPT", "start_small",
    "likeliest", "continued", "attention_cost",
]


@Op
def look_up(input, weight, /, padding_idx=None, scale_grad_by_freq=False):
    """The rows of a table that some ids ask for.  (*), (n, width) -> (*, width)

    The settings are for the gradient: padding_idx gets none, and frequent ids may get less.
    """
    if input.dtype.kind != "i": raise RuntimeError(f"ids are whole numbers, not {input.dtype}")
    if input.size and not 0 <= input.min() <= input.max() < len(weight):
        raise IndexError(f"ids from {input.min()} to {input.max()} do not all have one of {len(weight)} rows")
    return weight[input]


def sinusoids(length: int, width: int) -> Tensor:
    """The place of each of `length` words as `width` hands of clocks.  () -> (length, width)"""
    angle = np.arange(length)[:, None] / 10000 ** (np.arange(0, width, 2) / width)
    out = np.empty((length, width), np.float32)
    out[:, 0::2], out[:, 1::2] = np.sin(angle), np.cos(angle[:, : width // 2])
    return Tensor(out)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """How much each query looks at each key; every row adds up to 1.  (*, T, E), (*, S, E) -> (*, T, S)"""
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return softmax(scores if mask is None else scores + mask, -1)


@Op
def attend(query, key, value, mask=None, keep=None, /, *, scale=None):
    """What each query sees: the values, mixed by how well their keys match.

    (*, T, E), (*, S, E), (*, S, V), (*, T, S), (*, T, S) -> (*, T, V); the mask is added to the scores.
    """
    if scale is None: scale = 1 / math.sqrt(query.shape[-1])
    if query.shape[-2] > BAND: return in_bands(attend.forward, query, key, value, mask, keep, scale)
    scores = (query * scale) @ key.swapaxes(-1, -2)
    small = near_zero(scores, mask)
    if mask is not None: scores += mask
    top = 0 if small else np.maximum(row_max(scores), np.finfo(scores.dtype).min)     # finite, even of -inf
    scores -= top
    np.exp(scores, out=scores)
    total = row_sums(scores)
    total[total == 0] = 1
    if keep is not None: scores *= keep
    out = np.matmul(scores, value, out=room_like(query, (*scores.shape[:-1], value.shape[-1])))
    out /= total
    return Kept(out, top + np.log(total))


def causal_mask(rows: int, columns: int | None = None) -> Tensor:
    """0 where query `row` may look at key `column`, -inf where that lies ahead.  () -> (rows, columns)"""
    if columns is None: columns = rows
    return Tensor(np.triu(np.full((rows, columns), -math.inf, np.float32), 1))


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False,
) -> Tensor:
    """What each query sees: the values, mixed by how well their keys match.

    (*, T, E), (*, S, E), (*, S, V), (*, T, S) -> (*, T, V); `attn_mask` is added, or True where to look.
    """
    check_looks(query, key, value, attn_mask, is_causal)
    if is_causal: attn_mask = causal_mask(query.shape[-2], key.shape[-2]).to(query.device)
    elif attn_mask is not None and attn_mask.dtype.name == "bool":
        attn_mask = where(attn_mask, 0.0, -math.inf)
    if enable_gqa and query.shape[-3] != key.shape[-3]:
        key, value = [repeat_interleave(x, query.shape[-3] // x.shape[-3], dim=-3) for x in (key, value)]
    if dropout_p == 0: return attend(query, key, value, attn_mask, scale=scale)
    all_looks = ones(*query.shape[:-1], key.shape[-2], dtype=query.dtype, device=query.device)
    return attend(query, key, value, attn_mask, dropout(all_looks, dropout_p), scale=scale)


def check_looks(query, key, value, mask, is_causal: bool) -> None:
    """Complains about queries, keys and values that cannot meet."""
    shapes = f"queries {shape_of(query)}, keys {shape_of(key)} and values {shape_of(value)}"
    if min(query.ndim, key.ndim, value.ndim) < 2: raise ShapeError(f"attention wants rows: {shapes}")
    if not query.dtype == key.dtype == value.dtype:
        raise RuntimeError(f"attention wants one dtype, not {query.dtype}, {key.dtype} and {value.dtype}")
    if query.shape[-1] != key.shape[-1]:
        raise ShapeError(f"attention cannot take {shapes}: queries and keys differ in width")
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(f"attention cannot take {shapes}: there is not one value for each key")
    if mask is not None and is_causal: raise RuntimeError("attn_mask and is_causal are two masks: use one")
    if mask is not None and mask.dtype.name not in ("bool", "float32", query.dtype.name):
        raise RuntimeError(f"attn_mask is of bools or of {query.dtype}, not {mask.dtype}")


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Each row cut into one piece a head.  (B, T, C) -> (B, heads, T, C / heads)"""
    if x.shape[-1] % heads: raise ShapeError(f"rows of {x.shape[-1]} numbers do not split into {heads} heads")
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads).transpose(-3, -2)


def merge_heads(x: Tensor) -> Tensor:
    """The pieces of each row joined again.  (B, heads, T, H) -> (B, T, heads * H)"""
    x = x.transpose(-3, -2)
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


class CausalSelfAttention(Module):
    """Every word looks at itself and at those before it, in several heads.  (B, T, C) -> (B, T, C)"""

    def __init__(self, n_embd: int, n_head: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        if n_embd % n_head: raise ShapeError(f"rows of {n_embd} numbers do not split into {n_head} heads")
        self.c_attn, self.c_proj = Linear(n_embd, 3 * n_embd, bias), Linear(n_embd, n_embd, bias)
        self.resid_dropout = Dropout(dropout)
        self.n_head, self.dropout = n_head, dropout

    def forward(self, x):
        q, k, v = [split_heads(part, self.n_head) for part in split(self.c_attn(x), x.shape[-1], dim=-1)]
        seen = scaled_dot_product_attention(
            q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=True)
        return self.resid_dropout(self.c_proj(merge_heads(seen)))


class MLP(Module):
    """Each row by itself through a layer four times as wide.  (*, C) -> (*, C)"""

    def __init__(self, n_embd: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        self.c_fc, self.c_proj = Linear(n_embd, 4 * n_embd, bias), Linear(4 * n_embd, n_embd, bias)
        self.dropout = Dropout(dropout)

    def forward(self, x): return self.dropout(self.c_proj(gelu(self.c_fc(x), approximate="tanh")))


class Block(Module):
    """Look, then think; both are added to the row.  (B, T, C) -> (B, T, C)"""

    def __init__(self, n_embd: int, n_head: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        self.ln_1 = LayerNorm(n_embd, bias=bias)
        self.attn = CausalSelfAttention(n_embd, n_head, dropout, bias)
        self.ln_2 = LayerNorm(n_embd, bias=bias)
        self.mlp = MLP(n_embd, dropout, bias)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(Module):
    """Scores for the next word, at every place.  (B, T) -> (B, T, vocab_size)"""

    def __init__(
        self, vocab_size: int = 50257, block_size: int = 1024, n_layer: int = 12, n_head: int = 12,
        n_embd: int = 768, dropout: float = 0.0, bias: bool = True,
    ):
        super().__init__()
        self.block_size = block_size
        self.transformer = ModuleDict({
            "wte": Embedding(vocab_size, n_embd),
            "wpe": Embedding(block_size, n_embd),
            "drop": Dropout(dropout),
            "h": ModuleList([Block(n_embd, n_head, dropout, bias) for _ in range(n_layer)]),
            "ln_f": LayerNorm(n_embd, bias=bias),
        })
        self.lm_head = Linear(n_embd, vocab_size, bias=False)
        self.lm_head.weight = self.transformer.wte.weight
        start_small(self, n_layer)

    def forward(self, idx):
        T = idx.shape[-1]
        if self.block_size < T: raise ShapeError(f"{T} words do not fit into {self.block_size} places")
        parts = self.transformer
        x = parts.drop(parts.wte(idx) + parts.wpe(arange(T, device=idx.device)))
        for block in parts.h: x = block(x)
        return self.lm_head(parts.ln_f(x))


def start_small(model: GPT, n_layer: int) -> None:
    """GPT-2's first weights: normal, 0.02; what is added to the row smaller, as 2 n_layer of them add up."""
    for name, p in model.named_parameters():
        if name.endswith("c_proj.weight"): p.data.normal_(0.0, 0.02 / math.sqrt(2 * n_layer))
        elif name.endswith("bias"): p.data.zero_()
        elif ".ln_" not in name: p.data.normal_(0.0, 0.02)


def likeliest(scores: Tensor) -> Tensor:
    """The best score of each row.  (B, n) -> (B, 1)"""
    return scores.argmax(-1, keepdim=True)


def continued(model, idx: Tensor, steps: int, choose=likeliest) -> Tensor:
    """The ids with `steps` more, each chosen after what stands before it.  (B, T) -> (B, T + steps)"""
    for _ in range(steps):
        scores = model(idx[:, -model.block_size :])
        idx = cat([idx, choose(scores[:, -1])], 1)
    return idx


def attention_cost(T: int, C: int, heads: int) -> tuple[int, int, int]:
    """FLOPs of the four matrices, FLOPs of the look, and bytes of its float32 weights, for one sentence."""
    return 8 * T * C * C, 4 * T * T * C, 4 * heads * T * T
