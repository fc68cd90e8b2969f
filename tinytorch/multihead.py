# Generated from modules/07_attention/appendix_multihead.py by `tito export`. Edit that file, not this one.
"""MultiheadAttention with PyTorch's weights, masks and settings."""

from __future__ import annotations

import math

from .activations import softmax
from .attention import scaled_dot_product_attention
from .creation import empty, zeros
from .dense import Linear, dropout, linear
from .elementwise import where
from .errors import ShapeError, shape_of
from .initialisation import constant_, xavier_normal_, xavier_uniform_
from .layers import Module, Parameter
from .shaping import cat, split, squeeze, unsqueeze
from .tensor import Tensor, add, matmul, mean, mul, permute, reshape, transpose

__all__ = [
    "added", "both", "longer", "check_masks", "projected", "in_heads", "multi_head_attention_forward",
    "looks", "held", "check_sequences", "NonDynamicallyQuantizableLinear", "MultiheadAttention",
]


def added(name: str, mask: Tensor | None, like: Tensor) -> Tensor | None:
    """A mask as numbers to add: True, do not look, becomes -inf."""
    if mask is None: return None
    if mask.dtype.name == "bool": return where(mask, -math.inf, 0.0).to(like.dtype)
    if not mask.dtype.is_floating_point:
        raise AssertionError(f"{name} is of bools or of floats, not of {mask.dtype}")
    return mask


def both(attn_mask, key_padding_mask, batch: int, heads: int) -> Tensor | None:
    """The two masks in one that broadcasts to (batch, heads, T, S)."""
    if attn_mask is not None and attn_mask.ndim == 3:
        attn_mask = reshape(attn_mask, (batch, heads, *attn_mask.shape[1:]))
    if key_padding_mask is None: return attn_mask
    padding = reshape(key_padding_mask, (batch, 1, 1, key_padding_mask.shape[1]))
    return padding if attn_mask is None else add(attn_mask, padding)


def longer(mask: Tensor | None) -> Tensor | None:
    """A mask with one more key, at which everybody may look."""
    return mask if mask is None else cat([mask, zeros(*mask.shape[:-1], 1, dtype=mask.dtype)], -1)


def check_masks(query, key, attn_mask, key_padding_mask, batch: int, heads: int) -> None:
    """Complains about masks that do not fit what they hide."""
    T, S = query.shape[0], key.shape[0]
    if attn_mask is not None and tuple(attn_mask.shape) not in ((T, S), (batch * heads, T, S)):
        raise ShapeError(f"attn_mask is of shape {(T, S)} or, for each head of each sequence, "
                         f"{(batch * heads, T, S)}, not {shape_of(attn_mask)}")
    if key_padding_mask is not None and tuple(key_padding_mask.shape) != (batch, S):
        raise AssertionError(f"key_padding_mask is of shape {(batch, S)}, not {shape_of(key_padding_mask)}")


def projected(query, key, value, weight, bias) -> list[Tensor]:
    """Queries, keys and values from weights that lie one below the other."""
    E = query.shape[-1]
    if key is value:
        if query is key: return list(split(linear(query, weight, bias), E, -1))
        w_q, w_kv = split(weight, [E, 2 * E])
        b_q, b_kv = (None, None) if bias is None else split(bias, [E, 2 * E])
        return [linear(query, w_q, b_q), *split(linear(key, w_kv, b_kv), E, -1)]
    biases = (None,) * 3 if bias is None else split(bias, E)
    return [linear(x, w, b) for x, w, b in zip((query, key, value), split(weight, E), biases)]


def in_heads(x: Tensor, heads: int) -> Tensor:
    """Each row in one piece a head; a view.  (T, B, E) -> (B, heads, T, E / heads)"""
    T, B, E = x.shape
    return permute(reshape(x, (T, B, heads, E // heads)), (1, 2, 0, 3))


def multi_head_attention_forward(
    query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v,
    add_zero_attn, dropout_p, out_proj_weight, out_proj_bias, training=True, key_padding_mask=None,
    need_weights=True, attn_mask=None, use_separate_proj_weight=False, q_proj_weight=None,
    k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None, average_attn_weights=True,
    is_causal=False,
) -> tuple[Tensor, Tensor | None]:
    """What each query sees, and how much it looks at each key.

    (T, B, E), (S, B, *), (S, B, *) -> (T, B, E), (B, T, S)
    """
    alone = check_sequences(query, key, value, embed_dim_to_check, num_heads)
    if alone:
        same = query is key, key is value
        query = unsqueeze(query, 1)
        key = query if same[0] else unsqueeze(key, 1)
        value = key if same[1] else unsqueeze(value, 1)
        if key_padding_mask is not None: key_padding_mask = unsqueeze(key_padding_mask, 0)
    (T, B, E), heads, p = query.shape, num_heads, dropout_p if training else 0.0
    if is_causal and attn_mask is None:
        raise RuntimeError("is_causal is a hint about attn_mask: give the mask as well")
    check_masks(query, key, attn_mask, key_padding_mask, B, heads)
    attn_mask = added("attn_mask", attn_mask, query)
    key_padding_mask = added("key_padding_mask", key_padding_mask, query)
    if use_separate_proj_weight:
        biases = (None,) * 3 if in_proj_bias is None else split(in_proj_bias, E)
        weights = q_proj_weight, k_proj_weight, v_proj_weight
        q, k, v = [linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases)]
    else:
        q, k, v = projected(query, key, value, in_proj_weight, in_proj_bias)
    if bias_k is not None:
        k, v = [cat([x, one.expand(1, B, E)]) for x, one in ((k, bias_k), (v, bias_v))]
        attn_mask, key_padding_mask = longer(attn_mask), longer(key_padding_mask)
    q, k, v = in_heads(q, heads), *[in_heads(x, heads) if given is None else held(given, B, heads, E)
                                    for x, given in ((k, static_k), (v, static_v))]
    if add_zero_attn:
        k, v = [cat([x, zeros(B, heads, 1, E // heads, dtype=x.dtype, device=x.device)], 2) for x in (k, v)]
        attn_mask, key_padding_mask = longer(attn_mask), longer(key_padding_mask)
    mask = both(attn_mask, key_padding_mask, B, heads)
    seen, weights = looks(q, k, v, mask, p) if need_weights else (
        scaled_dot_product_attention(q, k, v, mask, p), None)
    out = linear(reshape(permute(seen, (2, 0, 1, 3)), (T, B, E)), out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights: weights = mean(weights, 1)
    if alone: out, weights = squeeze(out, 1), weights if weights is None else squeeze(weights, 0)
    return out, weights


def looks(q, k, v, mask, p: float) -> tuple[Tensor, Tensor]:
    """Attention op by op, for those who want to see the weights; a row that may look nowhere is nan."""
    scores = matmul(mul(q, 1 / math.sqrt(q.shape[-1])), transpose(k, -2, -1))
    weights = dropout(softmax(scores if mask is None else add(scores, mask), -1), p)
    return matmul(weights, v), weights


def held(x: Tensor, batch: int, heads: int, E: int) -> Tensor:
    """Keys or values that somebody has kept, in heads.  (B * heads, S, H) -> (B, heads, S, H)"""
    if x.shape[0] != batch * heads or x.shape[2] != E // heads:
        raise AssertionError(f"kept keys and values are of shape {(batch * heads, 'S', E // heads)}, "
                             f"not {shape_of(x)}")
    return reshape(x, (batch, heads, *x.shape[1:]))


def check_sequences(query, key, value, E: int, heads: int) -> bool:
    """Whether it is a single sequence; complains about sequences that cannot meet."""
    shapes = f"queries {shape_of(query)}, keys {shape_of(key)} and values {shape_of(value)}"
    if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
        raise AssertionError(f"attention reads (T, B, E), or (T, E) of a single sequence, not {shapes}")
    if query.shape[-1] != E: raise AssertionError(f"rows of {E} numbers were expected, not {shapes}")
    if E % heads: raise AssertionError(f"rows of {E} numbers do not split into {heads} heads")
    if key.shape[:-1] != value.shape[:-1]:
        raise AssertionError(f"there is not one value for each key: {shapes}")
    if query.ndim == 3 and query.shape[1] != key.shape[1]:
        raise AssertionError(f"queries and keys differ in their number of sequences: {shapes}")
    return query.ndim == 2


class NonDynamicallyQuantizableLinear(Linear):
    """A linear layer; PyTorch gives this one another name, and prints it."""


class MultiheadAttention(Module):
    """Several looks at once, from one sequence to another.

    (T, B, E), (S, B, *), (S, B, *) -> (T, B, E), (B, T, S); with `batch_first` the sequences are (B, T, E).
    """

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None,
        vdim=None, batch_first=False, device=None, dtype=None,
    ):
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(f"embed_dim and num_heads are above 0, not {embed_dim} and {num_heads}")
        if embed_dim % num_heads:
            raise AssertionError(f"rows of {embed_dim} numbers do not split into {num_heads} heads")
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.batch_first, self.head_dim = batch_first, embed_dim // num_heads
        self._qkv_same_embed_dim = self.kdim == embed_dim == self.vdim
        def room(*shape): return Parameter(empty(*shape, device=device, dtype=dtype))
        names, widths = ("q_proj_weight", "k_proj_weight", "v_proj_weight"), (embed_dim, self.kdim, self.vdim)
        if self._qkv_same_embed_dim: self.in_proj_weight = room(3 * embed_dim, embed_dim)
        for name, width in zip(names, widths):
            self.register_parameter(name, None if self._qkv_same_embed_dim else room(embed_dim, width))
        if not self._qkv_same_embed_dim: self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", room(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        self.bias_k = room(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = room(1, 1, embed_dim) if add_bias_kv else None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None: xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            constant_(self.in_proj_bias, 0.0)
            constant_(self.out_proj.bias, 0.0)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None: xavier_normal_(bias)

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
        average_attn_weights=True, is_causal=False,
    ):
        """What each query sees, and, with need_weights, how much it looks at each key."""
        turned = self.batch_first and query.ndim == 3
        if turned:
            same = query is key, key is value
            query = transpose(query, 0, 1)
            key = query if same[0] else transpose(key, 0, 1)
            value = key if same[1] else transpose(value, 0, 1)
        out, weights = multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias,
            self.bias_k, self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight,
            self.out_proj.bias, self.training, key_padding_mask, need_weights, attn_mask,
            not self._qkv_same_embed_dim, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight,
            average_attn_weights=average_attn_weights, is_causal=is_causal)
        return (transpose(out, 0, 1) if turned else out), weights

    def merge_masks(self, attn_mask, key_padding_mask, query):
        """The two masks in one, and which kind it is: 0 of queries, 1 of padding, 2 of both; None without."""
        if attn_mask is None and key_padding_mask is None: return None, None
        if key_padding_mask is None: return attn_mask, 0
        if attn_mask is None: return key_padding_mask, 1
        B, S = key_padding_mask.shape
        padding = reshape(key_padding_mask, (B, 1, 1, S)).expand(-1, self.num_heads, -1, -1)
        looks_ = attn_mask.reshape(B, -1, *attn_mask.shape[-2:]) if attn_mask.ndim == 3 else attn_mask
        if padding.dtype.name == "bool" and looks_.dtype.name == "bool": return looks_ | padding, 2
        return looks_ + padding, 2
