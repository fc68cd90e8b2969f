# %% [markdown]
# # Appendix: a word without doors
#
# Count what `read` does for one word of a GPT with four layers: 65 ops, each through the door of lesson 02,
# some 3,000 calls of Python functions, and between them arrays of a few hundred numbers, which NumPy is
# done with in a microsecond or two. Two thirds of the time go into asking who should do the work.
#
# Training cannot do without that: it wants receipts, and layers that somebody may replace. Someone who
# serves a finished model can. A **sheet** is a layer written out for one purpose, to read one word of each
# text: bare arrays, weights that lie as the product wants them, and everything that two steps do in a row
# worked into one.
#
# - A layer norm scales by `weight` and shifts by `bias`, and then a linear layer multiplies. Row `i` of that
#   matrix may as well be scaled beforehand, and what it makes of `bias` be added to its own bias.
# - Queries are divided by the root of their length: that is a factor in a third of the matrix's columns.
# - GELU begins with `0.5 x`. The product that follows is linear, and can have the half.
#
# What is gained is measured in `benchmarks/README.md`, and what it costs is that the weights are there twice.

# %%
#| export
"""A word for each text, on bare arrays: the same numbers as `read`, in a third of the time."""

# %%
#| export
from __future__ import annotations

import math
from importlib import import_module
from typing import NamedTuple

import numpy as np

from tinytorch.activations import softmax
from tinytorch.attention import GPT, MLP, Block, CausalSelfAttention
from tinytorch.capstone import Cache, Text, Writer, discouraged, kept
from tinytorch.containers import ModuleDict, ModuleList
from tinytorch.dense import Dropout, LayerNorm, Linear
from tinytorch.dtypes import float32
from tinytorch.embeddings import Embedding
from tinytorch.errors import ShapeError
from tinytorch.hooks import HOOKS
from tinytorch.randomness import fractions
from tinytorch.tensor import Tensor

KNOWN = {GPT, ModuleDict, ModuleList, Block, CausalSelfAttention, MLP, LayerNorm, Linear, Embedding, Dropout}


def familiar(model: GPT) -> bool:
    """Whether this is lesson 07's GPT, in float32 and on the CPU, with no other parts and no hooks."""
    for module in model.modules():
        if type(module) not in KNOWN or any([module.__dict__[name] for name in HOOKS]): return False
    return all([type(p.array) is np.ndarray and p.array.dtype == np.float32 for p in model.parameters()])

# %%
#| export
class Sheet(NamedTuple):
    """A layer as products of rows: for each a matrix (in, out) and what is added."""

    look: tuple                         # the heads of queries, keys and values of a normed row
    merge: tuple
    widen: tuple                        # of a normed row
    narrow: tuple
    eps: tuple[float, float]            # of the two norms


def panels(layer: Sheet, cut) -> Sheet:
    """The same, with matrices that were cut into pieces."""
    return Sheet(*[(cut(weight), added) for weight, added in layer[:4]], layer.eps)


def matrix(linear: Linear, norm: LayerNorm | None = None, factor=1.0):
    """A linear layer as (in, out) and (out): after a norm that only centers and scales, times a factor."""
    weight = linear.weight.array.T.astype(np.float64)
    bias = 0.0 if linear.bias is None else linear.bias.array.astype(np.float64)
    if norm is not None and norm.bias is not None: bias = bias + norm.bias.array @ weight
    if norm is not None and norm.weight is not None: weight *= norm.weight.array[:, None]
    weight *= factor
    added = np.broadcast_to(bias, weight.shape[1:]) * factor
    return np.ascontiguousarray(weight, np.float32), added.astype(np.float32)


def sheet(block: Block) -> Sheet:
    attn, mlp = block.attn, block.mlp
    width = attn.c_proj.weight.shape[0]
    queries = np.ones(3 * width)
    queries[:width] = 1 / math.sqrt(width // attn.n_head)
    half = matrix(mlp.c_proj, factor=0.5)[0], matrix(mlp.c_proj)[1]
    return Sheet(matrix(attn.c_attn, block.ln_1, queries), matrix(attn.c_proj),
                 matrix(mlp.c_fc, block.ln_2), half, (block.ln_1.eps, block.ln_2.eps))

# %% [markdown]
# Then one word takes twenty-odd calls of NumPy in each layer, for arrays of a few hundred numbers. Whoever
# has lesson 13 and a compiler pays for one: its appendix `c_words` is a layer in C.

# %%
#| export


def in_one_call(width: int):
    """Layers of this width in C, a module of lesson 13; None where there are none."""
    try: tables, found = import_module("tinytorch.tables"), import_module("tinytorch.c_words")
    except ImportError: return None
    return found if "c" in tables.DEVICE.engines and width % found.PANEL == 0 and found.there() else None


class Sheets:
    """All layers of a GPT, as its weights are now."""

    def __init__(self, model: GPT):
        parts = model.transformer
        self.words, self.places = [table.weight.array.copy() for table in (parts.wte, parts.wpe)]
        self.layers, self.heads = [sheet(block) for block in parts.h], parts.h[0].attn.n_head
        self.compiled = in_one_call(self.words.shape[1])
        if self.compiled: self.layers = [panels(layer, self.compiled.in_panels) for layer in self.layers]
        self.head, self.eps = matrix(model.lm_head, parts.ln_f), parts.ln_f.eps
        self.average = np.full(self.words.shape[1], 1 / self.words.shape[1], np.float32)

    def read(self, ids, cache: Cache):
        """The scores after one new word of each text, which the cache then knows.  (B) -> (B, vocab)"""
        old, start = cache.length, cache.start
        if old - start.min() >= len(self.places):
            raise ShapeError(f"{old - start.min() + 1} words do not fit into {len(self.places)} places")
        cache.make_room(old + 1)
        x = self.words[ids] + self.places[old - start]
        if self.compiled: self.through(x, cache)
        else: self.along(x, cache)
        cache.length = old + 1
        return product(self.normed(x, self.eps), self.head)

    def through(self, x, cache: Cache) -> None:
        """All layers, each in one call."""
        start = np.ascontiguousarray(cache.start, np.int64)
        if cache.store.strides[-1] != x.itemsize: cache.store = np.ascontiguousarray(cache.store)
        for layer, store in zip(self.layers, cache.store):
            matrices = *layer.look, *layer.merge, *layer.widen, *layer.narrow
            self.compiled.LAYER.through(x, store, start, *matrices, cache.length, *layer.eps)

    def along(self, x, cache: Cache) -> None:
        """All layers, in NumPy."""
        hidden = hidden_from(cache.start, cache.length + 1) if cache.start.any() else None
        for layer, store in zip(self.layers, cache.store):
            x += product(self.look(layer, x, store, cache.length, hidden), layer.merge)
            x += product(bent(product(self.normed(x, layer.eps[1]), layer.widen)), layer.narrow)

    def look(self, layer: Sheet, x, store, old: int, hidden):
        """What the new words see.  (B, C), (2, B, heads, room, H) -> (B, C)"""
        heads = product(self.normed(x, layer.eps[0]), layer.look).reshape(len(x), 3, self.heads, -1)
        store[:, :, :, old] = heads[:, 1:].swapaxes(0, 1)
        keys, values = store[:, :, :, : old + 1]
        scores = heads[:, 0, :, None] @ keys.swapaxes(-1, -2)           # (B, heads, 1, old + 1)
        if hidden is not None: scores += hidden
        scores -= np.maximum.reduce(scores, -1, keepdims=True)
        np.exp(scores, scores)
        seen = scores @ values                                          # (B, heads, 1, H)
        seen /= np.add.reduce(scores, -1, keepdims=True)
        return seen.reshape(x.shape)

    def normed(self, x, eps: float):
        """Rows of mean 0 and variance 1.  (B, C) -> (B, C)"""
        out = x - (x @ self.average)[:, None]
        out /= np.sqrt(np.einsum("ij,ij->i", out, out) / x.shape[1] + eps)[:, None]
        return out


def product(x, layer: tuple):
    out = x @ layer[0]
    out += layer[1]
    return out


def bent(x):
    """Twice the GELU, by tanh.  (*) -> (*)"""
    out = x * x
    out *= 0.044715 * math.sqrt(2 / math.pi)
    out += math.sqrt(2 / math.pi)
    out *= x
    np.tanh(out, out)
    out += 1
    out *= x
    return out


def hidden_from(start, columns: int):
    """0, or -inf on the padding of each text.  (B) -> (B, 1, 1, columns)"""
    return np.where(np.arange(columns) < start[:, None], np.float32(-math.inf), np.float32(0))[:, None, None]

# %% [markdown]
# Choosing goes through doors as well, some ten of them. Here are the same steps on an array.

# %%
#| export
def chosen(text: Text, scores) -> int:
    """What text.choose(Tensor(scores)) says.  (vocab) -> a number"""
    if text.repetition_penalty != 1:
        scores = discouraged(Tensor(scores), text.ids, text.repetition_penalty).array
    if text.temperature == 0: return int(scores.argmax())
    if text.temperature != 1: scores = scores / text.temperature
    if 0 < text.top_k < len(scores):
        scores = np.where(scores < np.partition(scores, -text.top_k)[-text.top_k], -math.inf, scores)
    if text.top_p < 1:
        shares = softmax.forward(scores, -1)
        order = (-shares).argsort(kind="stable")
        gone = order[np.cumsum(shares[order]) - shares[order] >= text.top_p]
        scores = scores.copy()
        scores[gone] = -math.inf
    ends = np.cumsum(softmax.forward(scores, -1), dtype=np.float64)
    return int((ends > fractions(text.generator, 1, float32)[0] * ends[-1]).argmax())

# %% [markdown]
# A **quick writer** reads new texts as the lesson's does, many words at once, and then goes on by sheets.
# Of a model with parts that it does not know it makes nothing of its own: then it is the lesson's.

# %%
#| export
class QuickWriter(Writer):
    """A Writer that takes a third of the time for a word; the weights are those the model has now."""

    def __init__(self, model: GPT):
        super().__init__(model)
        self.sheets = Sheets(model) if familiar(model) else None

    def step(self) -> list[tuple[Text, int]]:
        """A word for each text: who said what. Those that are done leave; the others are read on."""
        if self.sheets is None: return super().step()
        said = [(text, chosen(text, scores)) for text, scores in zip(self.texts, self.scores.array)]
        for text, word in said: text.add(word)
        rows = [n for n, text in enumerate(self.texts) if not text.done]
        if 0 < len(rows) < len(said): self.cache = kept(self.cache, rows)
        self.texts = [self.texts[n] for n in rows]
        if rows: self.scores = Tensor(self.sheets.read([text.ids[-1] for text in self.texts], self.cache))
        return said
