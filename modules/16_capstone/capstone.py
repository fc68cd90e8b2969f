# %% [markdown]
# # Capstone
#
# Your framework trains networks, makes them small and makes them quick. So far one person can ask them
# something: you, in this notebook, one question at a time. A stranger with a browser cannot, and a thousand
# strangers at once cannot even wait in line.
#
# This lesson is the last mile. You make a GPT write without reading its own text again at every letter, let
# it write many texts at once that begin and end when they like, and build the middle of a server: who waits,
# who travels together, who is turned away, and how a model is replaced while somebody is using it.

# %%
#| export
"""Writing with a memory, and the middle of a server: who waits, who goes together, who is turned away."""

# %%
#| export
from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock, Semaphore, Thread

import numpy as np

from tinytorch.activations import softmax
from tinytorch.attention import GPT, CausalSelfAttention, attend, merge_heads, split_heads
from tinytorch.elementwise import where
from tinytorch.errors import ShapeError
from tinytorch.indexing import sort
from tinytorch.modes import no_grad
from tinytorch.randomness import Generator, rand
from tinytorch.reductions import cumsum
from tinytorch.shaping import cat, split
from tinytorch.tensor import Tensor, tensor

# %% [markdown]
# ## All of the work, again
#
# In lesson 07 a GPT wrote like this: read the text, choose a word, append it, and read the text again, from
# its first word, to choose the next. How often does it read the first word of a text of 100? And how many
# rows go through the matrices altogether, for 100 words? Say a number before you run the cell.

# %%
sum(range(1, 101))

# %% [markdown]
# What changes for the first word, when the hundredth arrives? Nothing. The causal mask keeps it from looking
# ahead, so its row is the same in every layer, and so are its key and its value. Only the *last* word asks a
# new question. Keep the keys and values of what was read, and 100 words cost 100 rows. That is a **KV
# cache**.
#
# Ours is one array for all layers, `(layers, 2, B, heads, room, H)`: keys, then values. It has more room than
# it needs and doubles when it is full, as Python's lists do, so that a word does not copy all words before
# it. `length` columns are in use; the rest is `room`.

# %%
#| export
class Cache:
    """Keys and values of what a GPT has read of some texts, which all end in the same column.

    A text that is shorter than another begins later: `start` is the column of its first word.
    """

    def __init__(self, store, start, length: int = 0):
        self.store, self.start, self.length = store, np.asarray(start), length

    def make_room(self, columns: int) -> None:
        """Room for so many columns in all."""
        if columns <= self.store.shape[-2]: return
        bigger = max(columns, 2 * self.store.shape[-2], 16)
        store = np.zeros_like(self.store, shape=(*self.store.shape[:-2], bigger, self.store.shape[-1]))
        store[..., : self.length, :] = self.store[..., : self.length, :]
        self.store = store


def nothing_read(model: GPT, start: Sequence[int]) -> Cache:
    """An empty cache for as many texts as there are starts."""
    table, heads = model.transformer.wte.weight, model.transformer.h[0].attn.n_head
    shape = len(model.transformer.h), 2, len(start), heads, 0, table.shape[1] // heads
    return Cache(np.zeros_like(table.array, shape=shape), start)

# %% [markdown]
# **Your turn.** New keys and values go behind the old ones, and all of them come back. The length stays: all
# layers write into the same columns, and `read`, below, moves on when the last one has.

# %%
#| export exercise
def remember(cache: Cache, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Appends the keys and values of new words; all so far.  (B, heads, T, H) -> (B, heads, length + T, H)"""
    new = cache.length + k.shape[-2]
    cache.make_room(new)
    keys, values = cache.store[layer]
    #| hint keys[:, :, a:b] are the columns from a up to, and without, b. Which are the new ones?
    #| hint Write k.array into them, and v.array into those of values. They are views: the store changes.
    #| hint Return Tensor(keys[:, :, :new]): everything from the first column to the last new one.
    ### BEGIN SOLUTION
    keys[:, :, cache.length : new] = k.array
    values[:, :, cache.length : new] = v.array
    return Tensor(keys[:, :, :new]), Tensor(values[:, :, :new])
    ### END SOLUTION

# %%
#| check 2
def keys_of(*numbers): return Tensor(np.array(numbers, np.float32).reshape(1, 1, -1, 1))

cache = Cache(np.zeros((2, 2, 1, 1, 0, 1), np.float32), [0])
assert remember(cache, 1, keys_of(1, 2), keys_of(5, 6))[0].flatten().tolist() == [1.0, 2.0], \
    "the first keys come back as they are, from column 0 on"
cache.length = 2
k, v = remember(cache, 1, keys_of(3), keys_of(7))
assert k.flatten().tolist() == [1.0, 2.0, 3.0], "new keys stand behind the old ones, at column cache.length"
assert v.flatten().tolist() == [5.0, 6.0, 7.0], "values are kept beside the keys, and come back as well"
assert k.shape == v.shape == (1, 1, 3, 1), "what is only room, and holds nothing yet, does not come back"
assert cache.length == 2, "the length stays until every layer has written: read moves it"
assert cache.store[1, 0, 0, 0, :3, 0].tolist() == [1.0, 2.0, 3.0], "they stay: the cache itself holds them"
assert not cache.store[0].any(), "each layer has keys and values of its own"
assert remember(cache, 1, keys_of(*range(40)), keys_of(*range(40)))[0].shape == (1, 1, 42, 1), \
    "many new words at once are appended like one"

# %% [markdown]
# ## Who may look where
#
# In lesson 07, query `i` could look at keys up to `i`. Now the queries are only the new words: the first of
# them stands in column `old`. And texts of a batch differ in length. They all *end* in the same column, so
# that the next word of each goes into the same one; the shorter ones are **padded** on the left:
#
# ```text
# column   0    1    2    3          start
#          the  cat  sat  on         0
#          ·    ·    a    word       2
# ```
#
# Nobody may look at padding, and the places of a text count from its own first word.
#
# **Your turn.**

# %%
#| export exercise
def places(start, old: int, T: int) -> Tensor:
    """The places of T new words after `old` columns, in each text; 0 on padding.  (B) -> (B, T)"""
    #| hint The columns are np.arange(old, old + T). How far is each from the start of its text?
    #| hint start[:, None] makes a column of the starts. np.maximum(x, 0) takes care of the padding.
    ### BEGIN SOLUTION
    return Tensor(np.maximum(np.arange(old, old + T) - start[:, None], 0))
    ### END SOLUTION


def allowed(start, old: int, T: int) -> Tensor:
    """0 where a new word may look, -inf where not; for every head.  (B) -> (B, 1, T, old + T)"""
    #| hint Two questions about a column: is it padding (before the start)? Is it ahead of the query?
    #| hint Query t stands in column old + t. Make (B, 1, 1) of the starts and (T, 1) of the queries' columns.
    #| hint np.where(visible, 0, -math.inf).astype(np.float32)[:, None]: the second is for the heads.
    ### BEGIN SOLUTION
    column, query = np.arange(old + T), np.arange(old, old + T)[:, None]
    visible = (column >= start[:, None, None]) & (column <= query)
    return Tensor(np.where(visible, 0, -math.inf).astype(np.float32)[:, None])
    ### END SOLUTION

# %%
#| check 3
both = np.array([0, 2])
assert places(both, 0, 4).tolist() == [[0, 1, 2, 3], [0, 0, 0, 1]], \
    "a text's first word is at place 0, in whichever column it stands; padding has no place, say 0"
assert places(both, 4, 1).tolist() == [[4], [2]], "new words count on: after old columns, minus the start"
looks = allowed(both, 0, 4)
assert looks.shape == (2, 1, 4, 4) and looks.dtype.name == "float32", \
    "a mask for each text, one for all of its heads, in float32: (B, 1, T, old + T)"
assert (looks.array[0, 0] == 0).tolist() == np.tri(4, dtype=bool).tolist(), \
    "without padding and without a past it is lesson 07's mask: no look ahead"
assert (looks.array[1, 0] == 0).astype(int).tolist() == [[0] * 4, [0] * 4, [0, 0, 1, 0], [0, 0, 1, 1]], \
    "nobody may look at padding: keys before the start of a text are hidden"
later = allowed(both, 4, 2).array[:, 0] == 0
assert later[0].astype(int).tolist() == [[1] * 5 + [0], [1] * 6], \
    "a new word looks at all old ones: query t stands in column old + t, not in column t"
assert later[1].astype(int).tolist() == [[0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1]], \
    "padding stays hidden, however much was read since"
assert set(np.unique(looks.array)) == {0.0, -math.inf}, "0 where it may look, minus infinity where not"

# %% [markdown]
# ## Attention that remembers
#
# Lesson 07's module stays as you wrote it. A module shows its parts, `c_attn`, `c_proj`, `n_head`, so a
# function can use them, and the cache is an argument like any other.
#
# **Your turn.** As in `CausalSelfAttention`, with two differences: keys and values pass through the cache,
# and the mask comes from outside. (There is no dropout: nobody trains here.)

# %%
#| export exercise
def look_back(attn: CausalSelfAttention, x: Tensor, cache: Cache, layer: int, mask=None) -> Tensor:
    """New words look at all words so far, themselves included.  (B, T, C) -> (B, T, C)"""
    #| hint attn.c_attn(x) holds the heads of queries, keys and values side by side: 3 * n_head heads.
    #| hint So split_heads once, and then split(heads, attn.n_head, dim=-3) gives q, k and v.
    #| hint Only keys and values are remembered. The queries are those of the new words alone.
    #| hint attend(q, k, v, mask), then merge the heads, and attn.c_proj.
    ### BEGIN SOLUTION
    q, k, v = split(split_heads(attn.c_attn(x), 3 * attn.n_head), attn.n_head, dim=-3)
    k, v = remember(cache, layer, k, v)
    return attn.c_proj(merge_heads(attend(q, k, v, mask)))
    ### END SOLUTION

# %%
#| check 2
from tinytorch import manual_seed, randn

manual_seed(1)
attn, x = CausalSelfAttention(8, 2).eval(), randn(1, 5, 8)
for p in attn.parameters(): p.data.normal_(0.0, 0.4)
whole, none = attn(x).array, np.array([0])

def in_pieces(*lengths):
    cache, out, at = Cache(np.zeros((3, 2, 1, 2, 0, 4), np.float32), none), [], 0
    for T in lengths:
        mask = allowed(none, at, T) if T > 1 else None
        out.append(look_back(attn, x[:, at : at + T], cache, 2, mask).array)
        at = cache.length = at + T
    return np.concatenate(out, 1), cache

assert np.allclose(in_pieces(5)[0], whole, atol=1e-5), \
    "five words at once: split, look, merge and project, as in lesson 07"
assert np.allclose(in_pieces(1, 1, 1, 1, 1)[0], whole, atol=1e-5), \
    "word by word, with the keys and values of the words before, the same rows come out"
assert np.allclose(in_pieces(3, 2)[0], whole, atol=1e-5), \
    "the mask is used: of two new words, none looks ahead"
kept_keys = in_pieces(2, 3)[1].store[:, 0]
assert kept_keys[2].any() and not kept_keys[:2].any(), "the layer's number says whose keys they are"

# %% [markdown]
# With that, reading is lesson 07's `forward` with places and a mask of its own.

# %%
#| export
@no_grad()
def read(model: GPT, ids: Tensor, cache: Cache, last: bool = False) -> Tensor:
    """The scores after each new word, or after the last alone.  (B, T) -> (B, T, vocab) or (B, 1, vocab)"""
    parts, old, T = model.transformer, cache.length, ids.shape[1]
    if old + T - cache.start.min() > model.block_size:
        raise ShapeError(f"{old + T - cache.start.min()} words do not fit into {model.block_size} places")
    hides = T > 1 or cache.start.any()                  # a single new word of unpadded texts sees everything
    mask = allowed(cache.start, old, T).to(ids.device) if hides else None
    x = parts.wte(ids) + parts.wpe(places(cache.start, old, T).to(ids.device))
    for layer, block in enumerate(parts.h):
        x = x + look_back(block.attn, block.ln_1(x), cache, layer, mask)
        x = x + block.mlp(block.ln_2(x))
    cache.length = old + T
    return model.lm_head(parts.ln_f(x[:, -1:] if last else x)).cpu()        # words are chosen on the host

# %%
manual_seed(2)
model = GPT(65, 256, 4, 4, 64).eval()
ids = tensor([[n % 65 for n in range(40)]])
cache = nothing_read(model, [0])
steps = cat([read(model, ids[:, n : n + 1], cache) for n in range(40)], 1)
(steps - model(ids)).abs().max().item()

# %% [markdown]
# Rounding. Now what did it save? Guess the two times for the 200th word before you look; then say what
# happens to them at the 2,000th.

# %%
from tinytorch import timed

ids = tensor([[n % 65 for n in range(200)]])
cache = nothing_read(model, [0])
read(model, ids[:, :199], cache)

def again(): return read(model, ids, nothing_read(model, [0]), last=True)
def one_more():
    cache.length = 199
    return read(model, ids[:, 199:], cache, last=True)

print("the 200th word, reading everything:", timed(again, repeat=3))
print("                with a memory:     ", timed(one_more, repeat=3))
print(f"the memory: {cache.store[..., :200, :].nbytes / 1024:.0f} KiB")

# %% [markdown]
# A word costs almost the same wherever it stands, and the bill is paid in memory: two rows a layer for every
# word that is remembered. GPT-2 (12 layers, rows of 768) keeps 72 KiB a word; a thousand words for each of a
# hundred strangers are 7 GB. On large machines this, and not arithmetic, decides how many can be served.
#
# ## Choosing a word
#
# The likeliest word every time makes a text that goes round in circles. Drawing by the shares of a softmax
# sooner or later says something absurd: the tail is long, and a thousand words that are each very unlikely
# are together likely. So the scores are bent first. Four ways, in the order in which they are applied:
#
# - **repetition penalty**: words that the text has used already score less
# - **temperature**: scores are divided by it; below 1 the likely becomes likelier
# - **top k**: only the best `k` stay
# - **top p**: only the best words stay, as many as it takes until their shares make up `p`
#
# A score of minus infinity is a share of 0. **Your turn.** All three work on the scores of one text, `(n)`.

# %%
#| export exercise
def discouraged(scores: Tensor, used: Sequence[int], penalty: float) -> Tensor:
    """The scores, with those of used words made less: divided if above 0, multiplied if below.  (n) -> (n)"""
    #| hint A word counts as used, once: it does not matter how often it came. Indexing with a list does that.
    #| hint array = scores.array.copy(); old = array[used]; where should old be divided, where multiplied?
    ### BEGIN SOLUTION
    array, used = scores.array.copy(), list(used)
    old = array[used]
    array[used] = np.where(old > 0, old / penalty, old * penalty)
    return Tensor(array)
    ### END SOLUTION


def top_k(scores: Tensor, k: int) -> Tensor:
    """The k best scores; the others are -inf.  (n) -> (n)"""
    #| hint sort(scores, descending=True).values[k - 1] is the least that stays. There may be fewer than k.
    #| hint where(condition, a, b)
    ### BEGIN SOLUTION
    least = sort(scores, descending=True).values[min(k, len(scores)) - 1]
    return where(scores < least, -math.inf, scores)
    ### END SOLUTION


def top_p(scores: Tensor, p: float) -> Tensor:
    """The fewest best scores whose shares make up p; the others are -inf.  (n) -> (n)"""
    best, order = sort(softmax(scores, -1), descending=True)       # shares, largest first, and whose they are
    #| hint A word stays if the shares of the words *before* it do not yet make up p: cumsum(best, 0) - best.
    #| hint So the best word always stays, and the word that makes p complete stays as well.
    #| hint stays is in the order of the shares: kept = np.empty(...); kept[order.array] = stays.array
    ### BEGIN SOLUTION
    stays = np.empty(len(scores), bool)
    stays[order.array] = (cumsum(best, 0) - best < p).array
    return where(Tensor(stays), scores, -math.inf)
    ### END SOLUTION

# %%
#| check 3
scores = tensor([2.0, -2.0, 1.0, 0.5])
assert discouraged(scores, [0], 2.0).tolist() == [1.0, -2.0, 1.0, 0.5], \
    "a used word above 0 is divided, and unused ones keep their score"
assert scores.tolist() == [2.0, -2.0, 1.0, 0.5], "the scores that came stay as they are"
assert discouraged(scores, [1], 2.0).tolist() == [2.0, -4.0, 1.0, 0.5], \
    "a used word below 0 is multiplied: dividing would make it likelier"
assert discouraged(scores, [3], 2.0).tolist() == [2.0, -2.0, 1.0, 0.25], "0.5 is above 0, too: divided"
assert discouraged(scores, [0, 0, 0], 2.0).tolist() == [1.0, -2.0, 1.0, 0.5], \
    "used is used: three times is not worse than once"
no = -math.inf
assert top_k(scores, 2).tolist() == [2.0, no, 1.0, no], "the k best stay where they are, the others are -inf"
try: nine = top_k(scores, 9).tolist()
except IndexError: nine = None
assert nine == scores.tolist(), "of four words, the best nine are all four"
shares = tensor([0.1, 0.5, 0.15, 0.25])
def staying(p): return (top_p(shares.log(), p).array > no).astype(int).tolist()
assert sum(staying(0.6)) == 2, \
    "0.5 does not make up 0.6, 0.5 + 0.25 does: the word that crosses p stays, and none after it"
assert staying(0.6) == [0, 1, 0, 1] and staying(0.8) == [0, 1, 1, 1], \
    "as many as it takes, best first, each at its own place"
assert staying(0.01) == [0, 1, 0, 0], "the best word always stays, or there would be nothing to say"
assert staying(0.49) == [0, 1, 0, 0], "the fewest that make up p: 0.5 alone makes up 0.49"
assert (top_p(tensor([0.0, 0.0]), 0.5).array > no).sum() == 1, "one half makes up 0.5: the other goes"
assert np.allclose(top_p(shares.log(), 0.6).array[[1, 3]], np.log([0.5, 0.25])), \
    "what stays keeps its score"

# %% [markdown]
# Then somebody has to draw. A random number `u` between 0 and 1 is a point on a line, on which every word
# has a piece as long as its share. **Your turn.** Whose piece is it? Shares are rounded, and may add up to
# 0.9999999 or 1.0000001. Still, a word whose share is 0 must never be said.

# %%
#| export exercise
def drawn(shares: Tensor, u: float) -> int:
    """The word whose piece of the line from 0 to 1 the point u, below 1, falls into.  (n) -> a number"""
    #| hint cumsum(shares.double(), 0) is where each piece ends. The first that ends behind u is the one.
    #| hint To be safe from rounding, let the line be as long as the last end: compare with u * ends[-1].
    #| hint Why double()? In float32, 0.99999999 is 1, and nothing ends behind the end.
    #| hint (ends > point).argmax() is the first True, in NumPy.
    ### BEGIN SOLUTION
    ends = cumsum(shares.double(), 0).array
    return int((ends > u * ends[-1]).argmax())
    ### END SOLUTION

# %%
#| check 2
shares = tensor([0.0, 0.25, 0.5, 0.0, 0.25])
assert [drawn(shares, u) for u in (0.1, 0.5, 0.9)] == [1, 2, 4], "every word has a piece as long as its share"
assert type(drawn(shares, 0.5)) is int, "the number of a word, a Python int"
assert drawn(shares, 0.0) == 1, "a share of 0 is a piece of no length: not even the point 0 falls into it"
assert [drawn(shares, 0.25), drawn(shares, 0.75)] == [2, 4], "a piece ends just before the next one begins"
almost = tensor([0.0, 0.4999999, 0.4999999, 0.0])
assert drawn(almost, 0.99999999) == 2, \
    "rounded shares add up to a little less than 1: a point beyond their end is still the last word's"
found = np.bincount([drawn(shares, (n + 0.5) / 1000) for n in range(1000)], minlength=5)
assert found.tolist() == [0, 250, 500, 0, 250], "over the whole line, words come as often as their shares say"

# %% [markdown]
# A text knows how it wants to be continued. Each has a generator of its own, so that what is said in it
# depends on its own seed, and not on who else happens to be written at the same time.

# %%
#| export
@dataclass(eq=False)
class Text:
    """A text that is being continued, and how. Temperature 0 takes the likeliest word."""

    ids: list[int]
    max_new_tokens: int = 20
    temperature: float = 1.0
    top_k: int = 0                      # 0: all words
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: Sequence[int] = ()            # words that end it

    def __post_init__(self):
        self.ids, self.most = list(self.ids), len(self.ids) + self.max_new_tokens
        self.generator = Generator()
        if self.seed is None: self.generator.seed()
        else: self.generator.manual_seed(self.seed)
        self.done = self.most <= len(self.ids)

    def add(self, word: int) -> None:
        self.ids.append(word)
        self.done = self.done or word in self.stop or len(self.ids) >= self.most

    def choose(self, scores: Tensor) -> int:
        """The next word.  (vocab) -> a number"""
        if self.repetition_penalty != 1: scores = discouraged(scores, self.ids, self.repetition_penalty)
        if self.temperature == 0: return int(scores.argmax())
        if self.temperature != 1: scores = scores / self.temperature
        if self.top_k: scores = top_k(scores, self.top_k)
        if self.top_p < 1: scores = top_p(scores, self.top_p)
        return drawn(softmax(scores, -1), rand(1, generator=self.generator).item())

# %% [markdown]
# ## Many texts at once
#
# A matrix product of one row with a matrix reads the whole matrix to use each number once. With eight rows
# it reads it once as well: eight texts cost little more than one. So texts are written together. But they
# begin with different lengths, and they end when they want to, and a new one should not wait until all
# others are finished. In each step, those that are done leave and new ones come in: **continuous batching**.
#
# **Your turn.** The pieces of it: texts as one block of ids, shorter ones with padding (any id will do, say
# 0) on the left; two caches as one, all ending in the same column; and a cache with some of its texts only,
# without the columns that are now padding for all of them.

# %%
#| export exercise
def padded(texts: Sequence[Sequence[int]]) -> tuple[Tensor, list[int]]:
    """Texts as rows that all end in the last column, and in which column each starts."""
    longest = max([len(ids) for ids in texts])
    #| hint A text of n ids in a row of `longest` starts at longest - n.
    ### BEGIN SOLUTION
    start = [longest - len(ids) for ids in texts]
    return tensor([[0] * n + list(ids) for n, ids in zip(start, texts)]), start
    ### END SOLUTION


def joined(a: Cache, b: Cache) -> Cache:
    """Both caches as one: the texts of a, then those of b."""
    length, texts = max(a.length, b.length), len(a.start)
    shape = (*a.store.shape[:2], texts + len(b.start), a.store.shape[3], length, a.store.shape[5])
    store = np.zeros_like(a.store, shape=shape)                 # (layers, 2, B, heads, room, H)
    #| hint The shorter one moves to the right, so that both end in column `length`: by how many columns?
    #| hint store[:, :, :texts, :, length - a.length :] is the place of a: a.length columns of it are in use.
    #| hint When texts move to the right, their starts do as well.
    ### BEGIN SOLUTION
    store[:, :, :texts, :, length - a.length :] = a.store[..., : a.length, :]
    store[:, :, texts:, :, length - b.length :] = b.store[..., : b.length, :]
    start = np.concatenate([a.start + length - a.length, b.start + length - b.length])
    return Cache(store, start, length)
    ### END SOLUTION


def kept(cache: Cache, rows: Sequence[int]) -> Cache:
    """The cache of these of its texts, without columns in which none of them has a word."""
    #| hint first = cache.start[rows].min() is the first column that somebody still needs.
    #| hint Cut the store to these rows, and to the columns from first to cache.length.
    #| hint What do cutting off `first` columns do to the starts, and to the length?
    ### BEGIN SOLUTION
    rows = list(rows)
    first = cache.start[rows].min()
    store = cache.store[:, :, rows, :, first : cache.length]
    return Cache(store, cache.start[rows] - first, cache.length - first)
    ### END SOLUTION

# %%
#| check 3
ids, start = padded([[7, 8, 9], [5]])
assert ids.tolist() == [[7, 8, 9], [0, 0, 5]], "all texts end in the last column: the padding is on the left"
assert start == [0, 2], "the start of a text is the column of its first word"

def cache_of(*texts, room=0):
    """One layer; the keys of a text are its numbers."""
    length = max([len(t) for t in texts])
    rows = [[0] * (length - len(t)) + list(t) + [-1] * room for t in texts]
    store = np.array([[rows, rows]], np.float32)[:, :, :, None, :, None]
    return Cache(store, [length - len(t) for t in texts], length)

def texts_of(cache):
    rows = cache.store[0, 0, :, 0, : cache.length, 0].astype(int)
    return [row[n:].tolist() for n, row in zip(cache.start, rows)]

two = joined(cache_of([1, 2, 3], room=2), cache_of([4], [5, 6], room=3))
assert texts_of(two) == [[1, 2, 3], [4], [5, 6]] and two.length == 3, \
    "all texts of a and b, the shorter ones moved to the right: they end in the same column"
assert two.start.tolist() == [0, 2, 1], "who moves to the right starts later"
assert texts_of(joined(cache_of([4], room=1), cache_of([1, 2, 3]))) == [[4], [1, 2, 3]], \
    "a may be the shorter one"
fewer = kept(two, [1, 2])
assert texts_of(fewer) == [[4], [5, 6]], "the texts that stay keep what they remember"
assert fewer.length == 2 and fewer.start.tolist() == [1, 0], \
    "columns that nobody needs any more are cut off, and starts and length are less by as many"
assert texts_of(kept(cache_of([1, 2], [3, 4], room=5), [1])) == [[3, 4]], \
    "room is not memory: cut at the length"

# %% [markdown]
# **Your turn.** One step of a writer. It has texts, their cache, and for each of them the scores after its
# last word, which `begin` left there. Every text says a word; the ones that are done leave; and the others
# are read on by that word.

# %%
#| export
class Writer:
    """Continues texts together, with a model that is put to work; they may come and go at every step."""

    def __init__(self, model: GPT):
        self.model, self.texts, self.cache, self.scores = model.eval(), [], None, None

    def begin(self, *texts: Text) -> None:
        """Reads new texts, together, and takes them in beside those that are being written."""
        room = self.model.block_size
        for text in texts:
            if not 0 < len(text.ids) <= room:
                raise ShapeError(f"a text of 1 to {room} words can be continued, not one of {len(text.ids)}")
            text.most = min(text.most, room + 1)                # the last word needs no place of its own
        new = [text for text in texts if not text.done]
        if not new: return
        ids, start = padded([text.ids for text in new])
        cache = nothing_read(self.model, start)
        scores = read(self.model, ids, cache, last=True)[:, -1]
        if self.texts: cache, scores = joined(self.cache, cache), cat([self.scores, scores])
        self.texts, self.cache, self.scores = self.texts + new, cache, scores

    def step(self) -> list[tuple[Text, int]]: return step(self)

# %%
#| export exercise
def step(writer: Writer) -> list[tuple[Text, int]]:
    """A word for each text: who said what. Those that are done leave; the others are read on."""
    #| hint text.choose(scores) for each text and its row of writer.scores; then text.add(word).
    #| hint If somebody is done: writer.cache = kept(writer.cache, rows), and its texts alike.
    #| hint Unless nobody is left: writer.scores = read(model, [[last word], …], cache)[:, -1].
    ### BEGIN SOLUTION
    said = [(text, text.choose(scores)) for text, scores in zip(writer.texts, writer.scores)]
    for text, word in said: text.add(word)
    rows = [n for n, text in enumerate(writer.texts) if not text.done]
    if 0 < len(rows) < len(said): writer.cache = kept(writer.cache, rows)
    writer.texts = [writer.texts[n] for n in rows]
    if rows:
        last = tensor([[text.ids[-1]] for text in writer.texts])
        writer.scores = read(writer.model, last, writer.cache)[:, -1]
    return said
    ### END SOLUTION

# %%
#| check 4
from tinytorch import manual_seed
from tinytorch.attention import continued

manual_seed(3)
model = GPT(11, 32, 2, 2, 8).eval()
for p in model.parameters(): p.data.normal_(0.0, 0.5)
def alone(ids, n): return continued(model, tensor([ids]), n)[0].tolist()
def text(ids, n, **how): return Text(ids, n, **{"temperature": 0.0, **how})
def run(writer):
    while writer.texts: writer.step()

writer, one = Writer(model), text([1, 2, 3], 4)
writer.begin(one)
said = writer.step()
assert said == [(one, alone([1, 2, 3], 1)[-1])], "a step says who said which word"
assert one.ids == alone([1, 2, 3], 1), "the word is added to its text"
run(writer)
assert one.ids == alone([1, 2, 3], 4), \
    "each word is read before the next is chosen: the same text as without a cache"

short, long = text([4, 5], 3), text([1, 2, 3, 9, 9, 2], 8)
writer = Writer(model)
writer.begin(short, long)
for _ in range(4): writer.step()
assert writer.texts == [long], "who is done leaves"
assert [short.ids, long.ids] == [alone([4, 5], 3), alone([1, 2, 3, 9, 9, 2], 4)], \
    "every text is continued from its own scores, by as many words as it wants"
run(writer)
assert long.ids == alone([1, 2, 3, 9, 9, 2], 8), \
    "who stays goes on as if nobody had left: its memory is its own"

first, second = text([7, 7, 1], 9), text([2, 6, 6, 3, 1], 5)
writer = Writer(model)
writer.begin(first)
for _ in range(3): writer.step()
writer.begin(second)
run(writer)
assert [first.ids, second.ids] == [alone([7, 7, 1], 9), alone([2, 6, 6, 3, 1], 5)], \
    "a text may come in at any step: neither it nor the others notice"
how = {"temperature": 1.3, "top_k": 5, "seed": 4}
quiet, crowd = text([1, 2], 8, **how), text([1, 2], 8, **how)
writer = Writer(model)
writer.begin(quiet)
run(writer)
writer.begin(text([3], 5, seed=1, temperature=1.0), crowd)
run(writer)
assert quiet.ids == crowd.ids, \
    "what a text says depends on its own scores and its own seed, not on its neighbours"

# %% [markdown]
# A Python generator makes a stream of it: whoever asks gets the next word as soon as there is one.

# %%
#| export
def stream(model: GPT, ids: Sequence[int], writer=Writer, **how) -> Iterator[int]:
    """The words that continue a text, one after the other; `how` are the fields of Text."""
    writer, text = writer(model), Text(ids, **how)
    writer.begin(text)
    while writer.texts: yield writer.step()[0][1]


def generate(model: GPT, texts: Sequence[Sequence[int]], writer=Writer, **how) -> list[list[int]]:
    """All texts, continued; with a seed, the n-th one is drawn from seed + n."""
    seed, how = how.pop("seed", None), dict(how)
    writer, whole = writer(model), [Text(ids, seed=None if seed is None else seed + n, **how)
                                    for n, ids in enumerate(texts)]
    writer.begin(*whole)
    while writer.texts: writer.step()
    return [text.ids for text in whole]

# %%
letters = "".join(map(chr, range(97, 123))) + " "
babbling = GPT(27, 64, 2, 2, 32)
"".join([letters[n] for n in stream(babbling, [19, 7, 4], max_new_tokens=30, seed=1, temperature=1.5)])

# %% [markdown]
# With a memory, arithmetic is the smaller part of a word. Most of its time goes to 65 ops that each pass a
# door, and to modules that ask who is listening. The appendix `quick` has a `Writer` that says the same
# words in a third of the time, on bare arrays: `generate(model, texts, writer=QuickWriter)`. The server
# writes with that one.
#
# ## One waits for the others
#
# A digit reader has no memory to keep, but the same arithmetic: one row costs nearly as much as many.

# %%
from tinytorch import nn

wide = nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)
reader = nn.Sequential(*wide).eval()

@no_grad()
def answers(x): return reader(Tensor(x)).array,

for n in (1, 8, 32, 128):
    x = np.zeros((n, 64), np.float32)
    print(f"{n:4} rows: {timed(lambda x=x: answers(x), repeat=3)}")

# %% [markdown]
# So a question waits a moment, two thousandths of a second, whether others come; all that came are answered
# together; and each answer goes back to the one who asked. That is **dynamic batching**. What waits is this:

# %%
#| export
class Refused(Exception):
    """A request that is not answered, and why: the status is that of HTTP."""

    def __init__(self, why: str, status: int = 400, retry_after: float | None = None):
        super().__init__(why)
        self.status, self.retry_after = status, retry_after


@dataclass(eq=False)
class Ask:
    """A request that waits: some arrays with the same number of rows, and who wants the answer."""

    inputs: tuple
    came: float = 0.0                   # seconds, by the clock of whoever keeps the line
    deadline: float = math.inf          # when nobody wants the answer any more
    answer: Future = field(default_factory=Future)

    @property
    def rows(self) -> int: return len(self.inputs[0])
    @property
    def kind(self) -> tuple: return tuple([(x.shape[1:], x.dtype) for x in self.inputs])

# %% [markdown]
# **Your turn: who may join the line.** A line without a bound is a promise that cannot be kept: when more
# come than can be answered, everybody waits longer and longer, until all answers are too late. Better to say
# no at once, and when to come back: HTTP's word for it is 429, with `Retry-After`.
#
# And how long does the first in line wait for company? Until there is enough of it, or until its patience
# is over, whichever is first. `pace` is how many seconds a row has been taking.

# %%
#| export exercise
def admit(line: deque[Ask], ask: Ask, bound: int, pace: float) -> None:
    """Puts a request at the end of the line, unless more than `bound` rows would wait: then Refused, 429."""
    #| hint How many rows wait already? sum([a.rows for a in line]). An empty line takes everybody.
    #| hint raise Refused("...", 429, retry_after), after as long as the waiting rows will take: rows * pace.
    ### BEGIN SOLUTION
    waiting = sum([a.rows for a in line])
    if line and waiting + ask.rows > bound:
        raise Refused(f"{waiting} rows are waiting already: come back later", 429, waiting * pace)
    line.append(ask)
    ### END SOLUTION


def patience(line: deque[Ask], max_batch: int, max_delay: float, now: float) -> float:
    """How many seconds the first in line (there is one) waits for company, from now on; 0: not at all."""
    #| hint 0 if the waiting rows fill a batch. Else the first one has waited now - line[0].came.
    #| hint Never less than 0.
    ### BEGIN SOLUTION
    if sum([a.rows for a in line]) >= max_batch: return 0.0
    return max(0.0, line[0].came + max_delay - now)
    ### END SOLUTION

# %%
#| check 3
def rows(n, width=2, **more): return Ask((np.full((n, width), n, np.float32),), **more)
def turned_away(line, ask, bound, pace=0.0):
    try: admit(line, ask, bound, pace)
    except Refused as refused: return refused
    return None

line = deque()
for n in (1, 3): admit(line, rows(n), 6, 0.5)
assert [a.rows for a in line] == [1, 3], "who comes joins the line at its end"
full = turned_away(line, rows(3), 6, 0.5)
assert full is not None, "4 rows wait and 3 come: that is more than 6. The bound counts rows, not requests"
assert len(line) == 2, "who is refused does not wait"
assert full.status == 429, "the status for too many requests is 429"
assert full.retry_after == 2.0, "come back when those who wait have been answered: 4 rows at 0.5 seconds"
assert turned_away(line, rows(2), 6) is None, "just as many as the bound may wait"
assert turned_away(deque(), rows(9), 6) is None, "an empty line takes everybody"
early = deque([rows(1, came=10.0), rows(1, came=10.5)])
assert patience(early, 8, 1.0, now=10.25) == 0.75, "the first one waits max_delay in all, since it came"
assert patience(early, 2, 1.0, now=10.25) == 0.0, "a full batch waits for nobody"
assert patience(deque([rows(5, came=10.0)]), 4, 1.0, now=10.0) == 0.0, "rows fill a batch, not requests"
assert patience(early, 8, 1.0, now=99.0) == 0.0, \
    "who has waited long enough waits no more, and never less than 0"

# %% [markdown]
# **Your turn: who travels together.** From the front of the line, those whose rows fit into one batch, as
# long as they are of the kind of the first (arrays of one shape and dtype). Two sorts of people are not
# worth the arithmetic: those whose deadline is over, who are told so (504), and those who have gone away.
# Python's futures say the second: `ask.answer.set_running_or_notify_cancel()` is False if nobody waits for
# it any more, and closes the door for later goodbyes if somebody does.

# %%
#| export exercise
def take(line: deque[Ask], max_batch: int, now: float) -> list[Ask]:
    """Takes the next batch from the front of the line. Who is late gets Refused, 504; who left, nothing."""
    taken = []
    while line:
        #| hint First look at line[0] without taking it: if it does not fit beside those taken, stop.
        #| hint It fits if nobody is taken yet, or its kind is taken[0].kind and all rows fit.
        #| hint Then line.popleft(). Gone? continue. Late? ask.answer.set_exception(Refused(…, 504)).
        ### BEGIN SOLUTION
        ask = line[0]
        count = sum([a.rows for a in taken]) + ask.rows
        if taken and (ask.kind != taken[0].kind or count > max_batch): break
        line.popleft()
        if not ask.answer.set_running_or_notify_cancel(): continue
        if now >= ask.deadline: ask.answer.set_exception(Refused("the deadline is over", 504))
        else: taken.append(ask)
        ### END SOLUTION
    return taken

# %%
#| check 3
def rows(n, width=2, **more): return Ask((np.full((n, width), n, np.float32),), **more)

line = deque([rows(2), rows(1), rows(2), rows(1)])
asks = list(line)
assert take(line, 4, 0.0) == asks[:2], "from the front, as many as fit: 2 + 1 rows, but not 2 more"
assert len(take(deque([rows(2), rows(2)]), 4, 0.0)) == 2, "a batch is filled to its last row"
assert list(line) == asks[2:], "who is taken leaves the line; who is not keeps the place in it"
assert [a.rows for a in take(deque([rows(9), rows(1)]), 4, 0.0)] == [9], \
    "a request larger than a batch travels alone: else it would wait for ever"
line = deque([rows(1), rows(1, width=3), rows(1)])
assert len(take(line, 4, 0.0)) == 1 and len(line) == 2, \
    "arrays of another shape cannot be stacked: they wait for the next batch"
line = deque([rows(1, deadline=5.0), rows(1, deadline=7.0), rows(1, deadline=5.9), rows(1)])
asks = list(line)
assert take(line, 8, 6.0) == [asks[1], asks[3]], "whose deadline is over is not worth the arithmetic"
assert take(deque([rows(1, deadline=6.0)]), 8, 6.0) == [], "a deadline is over when its moment has come"
assert asks[0].answer.done() and asks[0].answer.exception().status == 504, \
    "who is late is told so, with status 504: a silent timeout leaves somebody waiting for ever"
line = deque([rows(1), rows(1)])
asks = list(line)
asks[0].answer.cancel()
assert take(line, 8, 0.0) == [asks[1]], "who has gone away is left out"
assert asks[1].answer.cancel() is False, "who is being served can go away no more"
assert take(deque(), 8, 0.0) == [], "nobody waits, nobody goes"

# %% [markdown]
# **Your turn: the answers.** Stack what travels together, ask the model once, and cut its answers apart
# again: everybody gets as many rows as they brought, in their order. Get this wrong and strangers read each
# other's answers.
#
# And if the model raises? One request with bad numbers must not take its neighbours along. So then each is
# asked alone, and only those that fail alone are told.

# %%
#| export exercise
def answer(asks: list[Ask], function: Callable) -> None:
    """Answers requests with one call of a function from arrays to a tuple of arrays."""
    try:
        #| hint For each input: np.concatenate([ask.inputs[i] for ask in asks]). zip(*[...]) turns the table.
        #| hint The ends of everybody's rows: np.cumsum([ask.rows for ask in asks])[:-1]. np.split cuts there.
        #| hint ask.answer.set_result(tuple of this ask's part of each output)
        ### BEGIN SOLUTION
        stacked = [np.concatenate(parts) for parts in zip(*[ask.inputs for ask in asks])]
        ends = np.cumsum([ask.rows for ask in asks])[:-1]
        pieces = [np.split(out, ends) for out in function(*stacked)]
        for ask, *own in zip(asks, *pieces): ask.answer.set_result(tuple(own))
        ### END SOLUTION
    except Exception as error:
        #| hint If there is only one, ask.answer.set_exception(error). Else answer([ask], function) for each.
        ### BEGIN SOLUTION
        if len(asks) == 1: asks[0].answer.set_exception(error)
        else:
            for ask in asks: answer([ask], function)
        ### END SOLUTION

# %%
#| check 4
def ask_of(*numbers): return Ask((np.array(numbers, np.float32)[:, None],))
class Doubling:
    def __init__(self): self.calls = []
    def __call__(self, x):
        self.calls.append(len(x))
        if (x < 0).any(): raise ValueError("no roots of negative numbers")
        return 2 * x, x + 1

asks, model = [ask_of(1, 2), ask_of(3), ask_of(4, 5, 6)], Doubling()
answer(asks, model)
assert model.calls == [6], "one call for all of them: that is what the batch is for"
got = [[part[:, 0].tolist() for part in ask.answer.result(0)] for ask in asks]
assert [g[0] for g in got] == [[2, 4], [6], [8, 10, 12]], \
    "everybody gets the answers to their own rows, as many as they brought, in their order"
assert [g[1] for g in got] == [[2, 3], [4], [5, 6, 7]], "a model may have several outputs: each is cut apart"
asks, model = [ask_of(1), ask_of(-1), ask_of(3)], Doubling()
answer(asks, model)
assert isinstance(asks[1].answer.exception(0), ValueError), "whose request made the model raise is told so"
others = asks[0].answer, asks[2].answer
assert [a.exception(0) or a.result()[0].tolist() for a in others] == [[[2.0]], [[6.0]]], \
    "one bad request does not take its neighbours along: after an error each is asked alone"
answer([ask := Ask((np.ones((2, 3)), np.full((2, 1), 2.0)))], lambda x, y: (x * y,))
assert ask.answer.result(0)[0].tolist() == [[2.0] * 3] * 2, "a model may have several inputs"

# %% [markdown]
# The rest is a thread that waits. And a short cut: to another thread and back are two hand-overs, and when
# the processor is busy, each may take longer than the arithmetic. Whoever comes while nobody waits and
# nobody computes may as well compute in their own thread. Given:

# %%
#| export
class Batcher:
    """Answers requests together, up to max_batch rows at once; nobody waits for others beyond max_delay."""

    def __init__(
        self, function: Callable,           # arrays -> a tuple of arrays, row by row
        max_batch: int = 32,                # rows
        max_delay: float = 0.002,           # seconds
        bound: int = 1024,                  # rows that may wait
        workers: int = 1,                   # threads that call the function
        clock: Callable[[], float] = time.monotonic,
    ):
        self.function, self.max_batch, self.max_delay, self.bound = function, max_batch, max_delay, bound
        self.clock, self.line, self.stirred, self.closed, self.pace = clock, deque(), Condition(), False, 0.0
        self.told = lambda rows, seconds: None      # hears of every batch
        self.turns = Semaphore(workers)             # who computes has one
        self.threads = [Thread(target=self.work, daemon=True) for _ in range(workers)]
        for thread in self.threads: thread.start()

    def submit(self, *inputs, deadline: float = math.inf) -> Future:
        """Puts a request in line; a future of its answer. Refused if the line is full or closed."""
        ask = Ask(inputs, self.clock(), deadline)
        with self.stirred:
            if self.closed: raise Refused("it is being shut down", 503, 1.0)
            admit(self.line, ask, self.bound, self.pace)
            self.stirred.notify()
        return ask.answer

    def at_once(self, *inputs, deadline: float = math.inf) -> Future | None:
        """A future that is done, by this thread, if nobody else waits or computes; else None."""
        if self.line or not self.turns.acquire(blocking=False): return None
        try:
            ask = Ask(inputs, self.clock(), deadline)
            self.attend(take(deque([ask]), self.max_batch, self.clock()))
            return ask.answer
        finally: self.turns.release()

    def work(self) -> None:
        while (asks := self.next_batch()) is not None:
            with self.turns: self.attend(asks)

    def attend(self, asks: list[Ask]) -> None:
        """Answers them, and notes how long it took."""
        if not asks: return
        began, count = self.clock(), sum([ask.rows for ask in asks])
        answer(asks, self.function)
        seconds = self.clock() - began
        self.pace = seconds / count if not self.pace else 0.9 * self.pace + 0.1 * seconds / count
        self.told(count, seconds)

    def next_batch(self) -> list[Ask] | None:
        """Waits for one; None when there will be no more."""
        with self.stirred:
            while True:
                if self.line:
                    pause = patience(self.line, self.max_batch, self.max_delay, self.clock())
                    if pause <= 0 or self.closed: return take(self.line, self.max_batch, self.clock())
                    self.stirred.wait(pause)
                elif self.closed: return None
                else: self.stirred.wait()

    def close(self) -> None:
        """Takes in no more, answers everybody who waits, and ends."""
        with self.stirred:
            self.closed = True
            self.stirred.notify_all()
        for thread in self.threads: thread.join()

# %% [markdown]
# A hundred strangers, with one row each. One after the other, and through the batcher:

# %%
crowd = [np.full((1, 64), n, np.float32) for n in range(100)]

def one_by_one(): return [answers(x) for x in crowd]
def together():
    batcher = Batcher(answers)
    futures = [batcher.submit(x) for x in crowd]
    batcher.close()
    return [future.result() for future in futures]

assert all([np.allclose(a[0], b[0], atol=1e-4) for a, b in zip(one_by_one(), together())])
for name, way in [("one by one", one_by_one), ("together", together)]:
    print(f"{name:>10}: {timed(way, repeat=3)}")

# %% [markdown]
# ## Replaced while in use
#
# The new weights are there, and nobody wants to stop. So the new model is loaded beside the old one, the
# name is pointed at it, and the old one is closed when the last request that uses it has been answered. A
# **loan** counts. The trap is in the words *when the last*: two threads may be last at the same time.
#
# **Your turn.** `lock` makes what happens under it happen at once. Whoever finds that it is over closes, and
# closes once; but closing takes a while (a batcher answers everybody who waits), so not under the lock.

# %%
#| export exercise
class Loan:
    """Something in use by several at once, closed when it is retired and nobody uses it any more."""

    def __init__(self, thing):
        self.thing, self.users, self.retired, self.lock = thing, 0, False, Lock()

    def enter(self) -> bool:
        """One more uses it; False, and nothing else, if it is retired."""
        #| hint Look at retired and count, both under `with self.lock:`.
        ### BEGIN SOLUTION
        with self.lock:
            if self.retired: return False
            self.users += 1
            return True
        ### END SOLUTION

    def leave(self) -> None:
        """One less uses it; the last one, after it was retired, closes it."""
        #| hint Under the lock: count down, and note whether it is over. Behind it: close if it is.
        ### BEGIN SOLUTION
        with self.lock:
            self.users -= 1
            over = self.retired and self.users == 0
        if over: self.thing.close()
        ### END SOLUTION

    def retire(self) -> None:
        """Nobody else may use it; closes it, if nobody does."""
        #| hint Retired twice is retired once: only the first time may close.
        ### BEGIN SOLUTION
        with self.lock:
            over = not self.retired and self.users == 0
            self.retired = True
        if over: self.thing.close()
        ### END SOLUTION

# %%
#| check 3
class Thing:
    closed, locked = 0, None
    def close(self): self.closed, self.locked = self.closed + 1, loan.lock.locked()

loan = Loan(Thing())
assert loan.enter() is True and loan.enter() is True, "several may use it at once"
loan.leave()
loan.leave()
assert loan.thing.closed == 0, "what is not retired stays open, though nobody is using it just now"
assert loan.enter() is True, "it is lent again, after all have given it back"
loan.retire()
assert loan.thing.closed == 0, "it is not closed under the hands of those who use it"
assert loan.enter() is False, "what is retired is lent to nobody else"
loan.leave()
assert loan.thing.closed == 1, "the last to leave closes it, and a refused enter does not count as a user"
assert loan.thing.locked is False, "closing takes a while: not under the lock"
loan = Loan(Thing())
loan.retire()
assert loan.thing.closed == 1, "retired while nobody uses it, it is closed at once"
loan.retire()
assert loan.thing.closed == 1, "it is closed once, however often it is retired"

# %% [markdown]
# A shelf has a loan for every name. Replacing comes in this order: first the name points to the new one, then
# the old one is retired. Who held the old one's name for a moment too long is refused by `enter`, looks
# again, and finds the new one. No request is lost.

# %%
#| export
class Shelf:
    """What is being lent under which name."""

    def __init__(self): self.loans, self.lock = {}, Lock()

    def put(self, name: str, thing) -> None:
        """Lends this under the name from now on; what was there is closed after its last use."""
        with self.lock: old, self.loans[name] = self.loans.get(name), Loan(thing)
        if old: old.retire()

    def remove(self, name: str) -> None:
        with self.lock: old = self.loans.pop(name, None)
        if old: old.retire()

    @contextmanager
    def lent(self, name: str):
        """`with shelf.lent(name) as thing`; KeyError if nothing has this name."""
        while not (loan := self.loans[name]).enter(): pass      # replaced just now: look again
        try: yield loan.thing
        finally: loan.leave()

# %%
shelf = Shelf()
shelf.put("digits", Batcher(answers))
with shelf.lent("digits") as batcher:
    shelf.put("digits", Batcher(answers))                       # a new version, while the old one is in use
    old = batcher.submit(crowd[0]).result(1)[0].shape           # and it still answers
with shelf.lent("digits") as batcher: old, batcher.submit(crowd[0]).result(1)[0].shape

# %% [markdown]
# ## A stranger uses it
#
# The appendices put HTTP around this: they read requests strictly (`wire`), find models in a folder and try
# them before they are lent (`repository`), count and log (`watching`), and hold the connections (`service`).
# When the lesson is complete, `pip install 'tinytorch-tito[serve]'` brings the two packages that speak HTTP,
# and `tito serve --demo` starts your server with two models of the milestones. Open
# `http://127.0.0.1:8000` and draw a digit, or ask it something from another terminal:
#
# ```text
# curl -N http://127.0.0.1:8000/v2/models/sonnets/generate_stream \
#      -d '{"text_input": "Shall I compare", "parameters": {"max_tokens": 40, "seed": 1}}'
# ```
#
# A model of your own is a folder that `tinytorch.serve.keep` writes, and `tito serve FOLDER` serves.
#
# And then it is yours: `tito package build` makes a package of it that others install, and
# `tito capstone list` has projects that nothing but your package is needed for.
#
# ## Challenges
#
# 1. **Speculative decoding** (Leviathan et al., 2023). A small GPT proposes four words; the large one reads
#    all four at once, at the price of one step, and keeps those it would have said itself. For temperature 0
#    that is: as long as its likeliest word is the proposed one. How does the cache forget the words that were
#    refused? (`length` is a number.) Then do it for drawn words: accept with probability min(1, p/q), and
#    when refusing draw from what is left, max(0, p − q). Show with ten thousand draws that the words are as
#    likely as without. The appendix `speculation` has a solution.
# 2. All columns of a batch belong to the longest text. Cut the cache into pages of 16 columns, and give each
#    text a list of pages: how much memory is saved in a batch of one long and fifteen short texts?
# 3. Many prompts begin with the same words. Keep the cache of that beginning, and join copies of it.
# 4. `patience` waits the same at all times. Waiting helps when many come, and only costs when few do. Let the
#    batcher measure how often somebody comes, and wait only as long as it expects to be joined.
# 5. One client sends a thousand requests, another one. Let each have a line of its own, and take turns.
# 6. Double the load until p99 is ten times what it was with one client. What is full: the line, the batch,
#    or the processor? Which number on the page says so first?
#
# ## Design note: threads that compute, one that waits
#
# The batcher is a thread with a lock; the server around it is `asyncio`, one thread that holds thousands of
# connections. Why both? Arithmetic blocks: while NumPy multiplies, nothing else in its thread moves, and a
# server whose only thread multiplies cannot even say that it is alive. But NumPy lets go of the interpreter
# during a large product, so a second thread does the waiting meanwhile. A future is the bridge between them,
# and the only thing they share. Everything under a lock is a few lines, and none of them computes.
#
# Processes in place of threads would use more cores for the Python part, and lose one thing: requests of one
# process cannot travel together with those of another. What we gave up with threads is a single-core bound
# on parsing and writing HTTP, some thousand requests a second. Beyond that, start several servers, and let
# something in front of them share the connections out.
