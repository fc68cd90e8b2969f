# %% [markdown]
# # Attention
#
# A word means what the words around it make of it. In *the bank of the river* and *the bank of England* the
# same four letters stand for two things, and what decides is not next to them. A convolution looks at
# neighbours, a recurrent network remembers what it passed; **attention** lets every word look at every other
# one, wherever it stands, and choose.
#
# You build the whole of it: words as rows of numbers, places as waves, the look itself, several looks at
# once, a block of a transformer, and a GPT with the names and the shapes of GPT-2. Given weights, it writes.

# %%
#| export
"""Attention, and the GPT that is made of it."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.activations import gelu, softmax
from tinytorch.bands import BAND, in_bands, near_zero, room_like
from tinytorch.containers import ModuleDict, ModuleList
from tinytorch.creation import arange, ones
from tinytorch.dense import Dropout, LayerNorm, Linear, dropout
from tinytorch.embeddings import Embedding
from tinytorch.errors import ShapeError, shape_of
from tinytorch.fitting import row_max, row_sums
from tinytorch.layers import Module
from tinytorch.elementwise import where
from tinytorch.shaping import cat, repeat_interleave, split
from tinytorch.tensor import Kept, Op, Tensor, tensor

# %% [markdown]
# ## Words are rows of a table
#
# A network wants numbers, and words are none. So number the words, and give each of them a row in a table: an
# **embedding**. What stands in the row is learned, like any weight. Here is a vocabulary of five words and a
# table of five rows:

# %%
words = ["the", "cat", "sat", "on", "mat"]
table = tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 2.0], [5.0, 0.0, 0.0], [0.0, 3.0, 1.0], [1.0, 1.0, 2.0]])
ids = tensor([words.index(word) for word in ["the", "cat", "sat", "on", "the", "mat"]])
ids

# %% [markdown]
# You could write each id as a row of zeros with a single one in it, and multiply. Then it is a matrix product
# like everything else. But how many of these multiplications are by zero, when there are 50,257 words?

# %%
from tinytorch.nn.functional import one_hot

one_hot(ids, 5).float() @ table

# %% [markdown]
# **Your turn.** Do it without multiplying: take the rows. Look out for ids that have no row. One of them
# NumPy answers without complaint, and your network would read a word that nobody wrote.

# %%
#| export exercise
@Op
def look_up(input, weight, /, padding_idx=None, scale_grad_by_freq=False):
    """The rows of a table that some ids ask for.  (*), (n, width) -> (*, width)

    The settings are for the gradient: padding_idx gets none, and frequent ids may get less.
    """
    if input.dtype.kind != "i": raise RuntimeError(f"ids are whole numbers, not {input.dtype}")
    #| hint NumPy takes an array as an index: an array of ids gives an array of rows.
    #| hint What does NumPy do with the index -1? An id counts from the front, so raise an IndexError.
    #| hint The smallest id is input.min(), unless there is none: input.size is 0.
    ### BEGIN SOLUTION
    if input.size and not 0 <= input.min() <= input.max() < len(weight):
        raise IndexError(f"ids from {input.min()} to {input.max()} do not all have one of {len(weight)} rows")
    return weight[input]
    ### END SOLUTION

# %%
#| check 2
rows = tensor([[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]])
assert look_up(tensor([2, 0, 2]), rows).tolist() == [[20.0, 21.0], [0.0, 1.0], [20.0, 21.0]], \
    "an id asks for the row of that number, as often as it comes"
assert look_up(tensor([[1, 0]] * 4), rows).shape == (4, 2, 2), \
    "every id becomes a row: (B, T) -> (B, T, width)"
for stranger in (-1, 3):
    try: refused = not look_up(tensor([0, stranger]), rows)
    except IndexError: refused = True
    except RuntimeError: refused = False
    assert refused, f"there are rows 0 to 2: an id of {stranger} has none, and counts from no end"
assert look_up(tensor([], dtype=np.int64), rows).shape == (0, 2), "no ids, no rows, no complaint"
taken = look_up(tensor([1]), rows)
taken[0, 0] = 99.0
assert rows[1, 0].item() == 10.0, "the rows are copies: who writes into them leaves the table alone"

# %% [markdown]
# `Embedding`, given in an appendix, is a module that keeps such a table and looks up in it, with your op.
#
# ## Places are waves
#
# *The dog bit the man* and *the man bit the dog* are the same rows. Attention, as you will see, cannot tell
# one order from the other, so the place has to be in the row as well. The first transformer wrote the number
# of a place the way a clock does, with hands that turn at different speeds:
#
# $$p_{t,2i} = \sin(t / 10000^{2i/C}), \qquad p_{t,2i+1} = \cos(t / 10000^{2i/C})$$
#
# **Your turn.** A row for each place $t$, `width` numbers long (the $C$ of the formula); sines in the even
# columns, cosines in the odd ones.

# %%
#| export exercise
def sinusoids(length: int, width: int) -> Tensor:
    """The place of each of `length` words as `width` hands of clocks.  () -> (length, width)"""
    #| hint Which array holds t / 10000^(2i/C) for all t and i? A column of places, and a row of speeds.
    #| hint np.arange(0, width, 2) is 2i for every pair. out[:, 0::2] are the even columns of out.
    ### BEGIN SOLUTION
    angle = np.arange(length)[:, None] / 10000 ** (np.arange(0, width, 2) / width)
    out = np.empty((length, width), np.float32)
    out[:, 0::2], out[:, 1::2] = np.sin(angle), np.cos(angle[:, : width // 2])
    return Tensor(out)
    ### END SOLUTION

# %%
#| check 2
places = sinusoids(50, 8)
assert places.shape == (50, 8) and places.dtype.name == "float32", "a row of float32 for each place"
assert places[0].tolist() == [0.0, 1.0] * 4, \
    "at place 0 every hand is at sin 0 and cos 0, one beside the other"
assert np.allclose(places.array[:, 0], np.sin(np.arange(50)), atol=1e-6), "the first hand turns by 1 a place"
assert np.allclose(places.array[:, 3], np.cos(np.arange(50) / 10), atol=1e-6), \
    "the second pair turns 10000^(2/8) = 10 times slower, the cosine beside its sine"
assert np.allclose(places.array[:, 6], np.sin(np.arange(50) / 1000), atol=1e-6), \
    "the last pair, i = 3, turns 10000^(6/8) = 1000 times slower"

# %% [markdown]
# How much alike are two places? Their dot product says so. Before you look: should it depend on the two
# places, or on how far apart they are?

# %%
def shaded(rows, left=(), below=""):
    """A grid of numbers as shades of grey: the darkest is the largest."""
    rows = np.asarray(rows)
    shades = " .:-=+*#%@"
    scaled = (rows - rows.min()) / max(float(np.ptp(rows)), 1e-9)
    for name, row in zip(list(left) or [""] * len(rows), scaled):
        print(f"{name:>8} " + "".join([2 * shades[round(9 * float(x))] for x in row]))
    if below: print(" " * 9 + below)

places = sinusoids(24, 64)
shaded((places @ places.mT).array)

# %% [markdown]
# It is the distance. (A pair of hands that both turn by the same angle keep the angle between them.) GPT-2
# does without the formula: it keeps a second table, with a row for each place, and learns it. It costs a
# row for each place there can be, and beyond the last row it can say nothing.
#
# ## The look
#
# A Python dict has keys and values. You come with a query; if it is one of the keys, you get its value.
# Attention is a dict that forgives. Query and keys are rows of $E$ numbers, every key matches a little, and
# you get a mixture of all values in which a value weighs as much as its key matches:
#
# $$\text{weights} = \mathrm{softmax}\left(\frac{q\,k^T}{\sqrt{E}}\right), \qquad
# \text{out} = \text{weights} \cdot v$$
#
# What is the square root for? A dot product of `E` random numbers with `E` others is itself random, and its
# spread grows with `E`. Look at what softmax makes of it:

# %%
from tinytorch import randn

for E in (4, 64, 1024):
    q, k = randn(1, E), randn(5, E)
    print(E, softmax(q @ k.mT, -1), softmax(q @ k.mT / math.sqrt(E), -1))

# %% [markdown]
# Without it, wide rows end in a choice of one, and, as lesson 09 will find, a softmax that is sure of itself
# passes on no gradient.
#
# Sometimes a query may not look everywhere. A **mask** is added to the scores: 0 where it may look, minus
# infinity where it may not. **Your turn.** The weights first, with the functions of earlier lessons.

# %%
#| export exercise
def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """How much each query looks at each key; every row adds up to 1.  (*, T, E), (*, S, E) -> (*, T, S)"""
    #| hint One row for each query, one column for each key: query @ key.mT.
    #| hint Divide by the square root of E, add the mask, and take the softmax along the keys.
    ### BEGIN SOLUTION
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return softmax(scores if mask is None else scores + mask, -1)
    ### END SOLUTION

# %%
#| check 2
q, k = tensor([[2.0, 0.0], [0.0, 4.0]]), tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
w = attention_weights(q, k)
assert w.shape == (2, 3), "a row for each query and a column for each key"
assert np.allclose(w.array.sum(-1), 1, atol=1e-6), "what a query gives to all keys adds up to 1"
assert abs(w[0, 0].item() / w[0, 1].item() - math.exp(2 / math.sqrt(2))) < 1e-3, \
    "scores are dot products divided by the square root of the width, sqrt(2) here"
hidden = attention_weights(q, k, tensor([0.0, -math.inf, 0.0]))
assert hidden[:, 1].tolist() == [0.0, 0.0] and np.allclose(hidden.array.sum(-1), 1, atol=1e-6), \
    "the mask comes before the softmax: what is hidden weighs 0, and the others still add up to 1"
assert attention_weights(Tensor(5, 2, 4, 8), Tensor(5, 2, 3, 8)).shape == (5, 2, 4, 3), \
    "leading dimensions are as many looks side by side"

# %% [markdown]
# `attention_weights(q, k) @ v` is attention. It is five ops, and four of them make an array of T · S numbers,
# by far the largest in a transformer. You know from lesson 03 what that costs, and the remedy. Two more
# savings are new:
#
# - Scale the queries, T · E numbers, instead of the scores.
# - Divide at the end. The sum of a row is the same for all its weights, so dividing the *mixture* by it, T
#   · E numbers, does what dividing the weights did.
#
# > **Note.** What of a query that may look nowhere, because its row of the mask is all minus infinity?
# > Softmax says `nan`. Here the answer is 0: a mixture of nothing.
#
# **Your turn.** All of it in one op and one large array. Of many queries you see 64 at a time: `in_bands`,
# from an appendix, hands you one band after the other. And where no score is far from 0, `top` is 0. `keep`
# is for dropout: the `exp` of each score is multiplied by it, after their sum was taken. For the gradient
# rule, keep the logarithm of each row's sum of exps: one number a row, from which all weights can be made
# again.

# %%
#| export exercise
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
    #| hint Subtract top and take exp, both in place. Then total: row_sums(scores), from lesson 05.
    #| hint Where may total be 0? Make it 1 there: nothing divided by 1 is nothing.
    #| hint Multiply by keep if there is one, mix the values, and divide the mixture by total.
    ### BEGIN SOLUTION
    scores -= top
    np.exp(scores, out=scores)
    total = row_sums(scores)
    total[total == 0] = 1
    if keep is not None: scores *= keep
    out = np.matmul(scores, value, out=room_like(query, (*scores.shape[:-1], value.shape[-1])))
    out /= total
    ### END SOLUTION
    return Kept(out, top + np.log(total))

# %%
#| check 3
from tinytorch import manual_seed, randn

manual_seed(1)
q, k, v = randn(2, 3, 5, 8), randn(2, 3, 7, 8), randn(2, 3, 7, 4)
mask = tensor([0.0, -math.inf, 0.0, 0.0, 1.0, 0.0, -math.inf])
before = [x.array.copy() for x in (q, k, v)]
assert np.allclose(attend(q, k, v, mask).array, (attention_weights(q, k, mask) @ v).array, atol=1e-5), \
    "one op says what five said: attention_weights(q, k, mask) @ v"
assert all([np.array_equal(x.array, b) for x, b in zip((q, k, v), before)]), "an op never changes its inputs"
big = (attention_weights(30 * q, 30 * k) @ v).array
assert np.allclose(attend(30 * q, 30 * k, v).array, big, atol=1e-4), \
    "large scores overflow unless the largest of each row is subtracted first"
nowhere = attend(q, k, v, tensor([-math.inf] * 7))
assert nowhere.array.any() == False, "a query that may look nowhere sees nothing: 0, and not nan"   # noqa: E712
keep = randn(5, 7) > 0
half = (attention_weights(q, k) * (2.0 * keep)) @ v
assert np.allclose(attend(q, k, v, None, 2.0 * keep).array, half.array, atol=1e-4), \
    "keep multiplies the weights after their sum was taken: what is dropped is not made up for"
(rows,) = attend(q, k, v).kept
assert np.allclose(np.exp((q.array / math.sqrt(8)) @ k.array.swapaxes(-1, -2) - rows),
                   attention_weights(q, k).array, atol=1e-5), \
    "total is the sum of the exps of each row, and with top it makes all weights again"
assert attend(q, k, v).dtype.name == "float32", "float32 stays float32"

# %% [markdown]
# What did that save?

# %%
from tinytorch import manual_seed, peak_memory, randn, timed

q, k, v = [randn(4, 512, 64) for _ in range(3)]
for name, look in [("five ops", lambda: attention_weights(q, k) @ v), ("one op", lambda: attend(q, k, v))]:
    print(f"{name:>8}: {timed(look)}, {peak_memory(look) / 1e6:.0f} MB")

# %% [markdown]
# ## A look at a sentence
#
# Time for a picture. Nothing has to be learned to build a look that is good for something. Give each word a
# random row, and let
#
# - the query of a word be its own row,
# - the key of a word be the row of the word *before* it,
# - the value of a word be its own row.
#
# What does the last word then look at? Say it in words before you run the cell.

# %%
text = ["the", "cat", "sat", "on", "the", "mat", "and", "the", "cat", "sat"]
vocabulary = sorted(set(text))
manual_seed(5)
rows = randn(len(vocabulary), 64)
x = look_up(tensor([vocabulary.index(word) for word in text]), rows)
before = cat([x[:1] * 0, x[:-1]])                           # the row of the word before
shaded(attention_weights(4 * x, before).array, text, " ".join([word[:1] for word in text]))

# %% [markdown]
# At whatever came after the same word, earlier. And the value found there is a guess at what comes next:

# %%
seen = attend(4 * x, before, x)[-1]
vocabulary[(rows @ seen).argmax().item()]

# %% [markdown]
# *the cat sat on the mat and the cat sat* … **on**. Looks of just this kind, called **induction heads**,
# appear by themselves when a transformer is trained on text; two layers are enough, one to fetch the word
# before, one to look. They are a good part of how a language model copies and continues.
#
# ## No look ahead
#
# In the picture, the second *cat* also looked at words to its right. A model that is to *predict* the next
# word must not: in training it would read the answer. So the word at place `t` may look at places up to
# `t`: a **causal** mask. **Your turn.**

# %%
#| export exercise
def causal_mask(rows: int, columns: int | None = None) -> Tensor:
    """0 where query `row` may look at key `column`, -inf where that lies ahead.  () -> (rows, columns)"""
    if columns is None: columns = rows
    #| hint Which entries lie ahead? Those with column > row. np.triu(x, 1) keeps just these.
    #| hint Make it float32: np.full((rows, columns), -math.inf, np.float32).
    ### BEGIN SOLUTION
    return Tensor(np.triu(np.full((rows, columns), -math.inf, np.float32), 1))
    ### END SOLUTION

# %%
#| check 1
no = -math.inf
assert causal_mask(3).tolist() == [[0.0, no, no], [0.0, 0.0, no], [0.0, 0.0, 0.0]], \
    "a word may look back and at itself, never ahead: the mask is -inf above the diagonal"
assert causal_mask(2, 4).tolist() == [[0.0, no, no, no], [0.0, 0.0, no, no]], \
    "rows are queries, columns are keys"
assert causal_mask(2).dtype.name == "float32", "a float64 mask would make every score a float64"
from tinytorch import manual_seed, randn

manual_seed(2)
q, k, v = [randn(6, 8) for _ in range(3)]
changed = tensor(v)
changed[4] = 100.0
told = [attend(q, k, x, causal_mask(6)).array for x in (v, changed)]
assert np.array_equal(told[0][:4], told[1][:4]) and not np.allclose(told[0][4:], told[1][4:]), \
    "what is said at place 4 changes places 4 and 5, and none before"

# %% [markdown]
# With that, PyTorch's function is complete: `attn_mask` is added, or, if it holds bools, says where to look;
# `dropout_p` forgets some of the looks; `enable_gqa` lets several heads of queries share one of keys. Given:

# %%
#| export
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

# %% [markdown]
# ## Several looks at once
#
# One look gives one mixture. A word may want to know its verb *and* its adjective, so the row is cut into
# `n_head` pieces and each of them looks for itself, with queries, keys and values of its own. These are the
# **heads**. Nothing is computed twice: the heads become one more leading dimension, and the matrix product
# takes them all.
#
# **Your turn.** `(B, T, C)` to `(B, heads, T, C / heads)` and back, without moving a number: `reshape` cuts
# the last dimension, `transpose` brings the heads forward.

# %%
#| export exercise
def split_heads(x: Tensor, heads: int) -> Tensor:
    """Each row cut into one piece a head.  (B, T, C) -> (B, heads, T, C / heads)"""
    if x.shape[-1] % heads: raise ShapeError(f"rows of {x.shape[-1]} numbers do not split into {heads} heads")
    #| hint First (B, T, heads, C / heads): a piece is a run of neighbours in its row. Then swap T and heads.
    #| hint reshape(B, heads, T, ...) straight away has the right shape and the wrong numbers.
    ### BEGIN SOLUTION
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads).transpose(-3, -2)
    ### END SOLUTION


def merge_heads(x: Tensor) -> Tensor:
    """The pieces of each row joined again.  (B, heads, T, H) -> (B, T, heads * H)"""
    ### BEGIN SOLUTION
    x = x.transpose(-3, -2)
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])
    ### END SOLUTION

# %%
#| check 2
x = Tensor(np.arange(24, dtype=np.float32).reshape(1, 3, 8))
pieces = split_heads(x, 2)
assert pieces.shape == (1, 2, 3, 4), "heads become a leading dimension, and each has C / heads numbers a row"
assert pieces[0, 1, 0].tolist() == [4.0, 5.0, 6.0, 7.0], "the second head has the second half of every row"
assert pieces[0, 0, 1].tolist() == [8.0, 9.0, 10.0, 11.0], "the row of place 1 stays at place 1 in every head"
assert np.shares_memory(pieces.array, x.array), "nothing moves: the heads are a view"
assert merge_heads(pieces).tolist() == x.tolist(), "merging undoes splitting"
assert merge_heads(Tensor(2, 5, 3, 4)).shape == (2, 3, 20), "the pieces of a row stand side by side again"
assert split_heads(x[0], 2).tolist() == pieces[0].tolist(), "counted from the end: one sentence has no B"
assert merge_heads(pieces[0]).tolist() == x[0].tolist(), "counted from the end, here too"

# %% [markdown]
# The rows that look, are looked at and are handed out all come from `x`, through one matrix that makes three
# rows of one (`c_attn`, as GPT-2 calls it). A second one, `c_proj`, mixes what the heads bring back.
#
# **Your turn.**

# %%
#| export exercise
class CausalSelfAttention(Module):
    """Every word looks at itself and at those before it, in several heads.  (B, T, C) -> (B, T, C)"""

    def __init__(self, n_embd: int, n_head: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        if n_embd % n_head: raise ShapeError(f"rows of {n_embd} numbers do not split into {n_head} heads")
        self.c_attn, self.c_proj = Linear(n_embd, 3 * n_embd, bias), Linear(n_embd, n_embd, bias)
        self.resid_dropout = Dropout(dropout)
        self.n_head, self.dropout = n_head, dropout

    def forward(self, x):
        #| hint split(c_attn(x), C, dim=-1) gives queries, keys and values: cut each of them into heads.
        #| hint scaled_dot_product_attention(..., is_causal=True), with dropout_p only in training.
        #| hint Merge the heads, project, and let resid_dropout have the last word.
        ### BEGIN SOLUTION
        q, k, v = [split_heads(part, self.n_head) for part in split(self.c_attn(x), x.shape[-1], dim=-1)]
        seen = scaled_dot_product_attention(
            q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=True)
        return self.resid_dropout(self.c_proj(merge_heads(seen)))
        ### END SOLUTION

# %%
#| check 3
from tinytorch import manual_seed, randn

manual_seed(3)
look, x = CausalSelfAttention(8, 2), randn(2, 5, 8)
for p in look.parameters(): p.data.normal_(0.0, 0.3)
W, U = look.c_attn.weight.array, look.c_proj.weight.array
q, k, v = np.split(x.array @ W.T + look.c_attn.bias.array, 3, axis=-1)
def one_head(q, k, v): return (attention_weights(Tensor(q), Tensor(k), causal_mask(5)) @ Tensor(v)).array
heads = one_head(q[..., :4], k[..., :4], v[..., :4]), one_head(q[..., 4:], k[..., 4:], v[..., 4:])
want = np.concatenate(heads, -1) @ U.T + look.c_proj.bias.array
assert look(x).shape == x.shape, "a row in, a row out, for every word"
changed = tensor(x)
changed[:, 3] = 5.0
assert np.allclose(look(changed).array[:, :3], look(x).array[:, :3], atol=1e-6), \
    "no word may look ahead: is_causal=True"
assert np.allclose(look(x).array, want, atol=1e-4), \
    "queries, keys and values in this order, one look a head, heads side by side, then c_proj"
assert look(x[:1]).tolist() == look(x)[:1].tolist(), "the sentences of a batch know nothing of each other"
blind = CausalSelfAttention(8, 2, dropout=1.0)
blind.resid_dropout.p = 0.0
seen = [np.ptp(blind(x).array, (0, 1)).any(), np.ptp(blind.eval()(x).array, (0, 1)).any()]
assert seen == [False, True], "weights are dropped in training, and only there"

# %% [markdown]
# ## A block
#
# Attention carries numbers between words and computes little. Computing is the job of an MLP that every
# word passes by itself, four times as wide inside. Both are *added* to what was there: a block does not
# replace the row, it edits it. Rows that are edited often grow, so what a sublayer *reads* goes through a
# layer norm first. (In 2017 the norm stood behind the addition. Where it stands now, deep stacks train.)
#
# The MLP is given; its bend is a GELU. **Your turn** is the block's `forward`.

# %%
#| export
class MLP(Module):
    """Each row by itself through a layer four times as wide.  (*, C) -> (*, C)"""

    def __init__(self, n_embd: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        self.c_fc, self.c_proj = Linear(n_embd, 4 * n_embd, bias), Linear(4 * n_embd, n_embd, bias)
        self.dropout = Dropout(dropout)

    def forward(self, x): return self.dropout(self.c_proj(gelu(self.c_fc(x), approximate="tanh")))

# %%
#| export exercise
class Block(Module):
    """Look, then think; both are added to the row.  (B, T, C) -> (B, T, C)"""

    def __init__(self, n_embd: int, n_head: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        self.ln_1 = LayerNorm(n_embd, bias=bias)
        self.attn = CausalSelfAttention(n_embd, n_head, dropout, bias)
        self.ln_2 = LayerNorm(n_embd, bias=bias)
        self.mlp = MLP(n_embd, dropout, bias)

    def forward(self, x):
        #| hint x plus attn of the normed x; then that, plus mlp of *its* norm.
        ### BEGIN SOLUTION
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))
        ### END SOLUTION

# %%
#| check 2
from tinytorch import manual_seed, randn

manual_seed(4)
block, x = Block(8, 2), randn(2, 5, 8)
for p in block.parameters(): p.data.normal_(0.0, 0.3)
before = x.array.copy()
middle = x + block.attn(block.ln_1(x))
assert np.allclose(block(x).array, (middle + block.mlp(block.ln_2(middle))).array, atol=1e-5), \
    "first x + attn(ln_1(x)); then what came out of that, plus the mlp of its norm"
assert np.array_equal(x.array, before), "a module leaves its input as it was: no += here"
for part in (block.attn.c_proj, block.mlp.c_proj):
    part.weight.data, part.bias.data = part.weight.data * 0, part.bias.data * 0
assert block(x).tolist() == x.tolist(), \
    "with sublayers that say nothing a row passes unchanged: both are added"

# %% [markdown]
# ## GPT
#
# The rest is bookkeeping. A table of words (`wte`), a table of places (`wpe`), a pile of blocks (`h`), a last
# norm, and a matrix that gives each word of the vocabulary a score (`lm_head`). The last one *is* the first
# table: a word is likely to come next if its row points where the output points. GPT-2's smallest has 50,257
# words, 1,024 places, 12 blocks of 12 heads and rows of 768 numbers; those are the defaults.
#
# **Your turn.** Write `forward`.

# %%
#| export exercise
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
        #| hint Words plus places: wte(idx) + wpe(arange(T)), both parts of self.transformer. Then drop.
        #| hint Through every block of h, through ln_f, and lm_head gives the scores.
        ### BEGIN SOLUTION
        parts = self.transformer
        x = parts.drop(parts.wte(idx) + parts.wpe(arange(T, device=idx.device)))
        for block in parts.h: x = block(x)
        return self.lm_head(parts.ln_f(x))
        ### END SOLUTION


def start_small(model: GPT, n_layer: int) -> None:
    """GPT-2's first weights: normal, 0.02; what is added to the row smaller, as 2 n_layer of them add up."""
    for name, p in model.named_parameters():
        if name.endswith("c_proj.weight"): p.data.normal_(0.0, 0.02 / math.sqrt(2 * n_layer))
        elif name.endswith("bias"): p.data.zero_()
        elif ".ln_" not in name: p.data.normal_(0.0, 0.02)

# %%
#| check 3
from tinytorch import manual_seed

manual_seed(5)
model, idx = GPT(11, 6, 2, 2, 8), tensor([[1, 4, 4, 0, 10], [2, 2, 2, 2, 2]])
for p in model.parameters(): p.data.normal_(0.0, 0.3)
scores = model(idx)
assert scores.shape == (2, 5, 11), "at every place a score for every word of the vocabulary"
assert not np.allclose(scores.array[1, 0], scores.array[1, 1], atol=1e-3), \
    "the same word at two places is not the same: add the row of its place"
changed = tensor(idx)
changed[:, 3] = 7
assert np.allclose(model(changed).array[:, :3], scores.array[:, :3], atol=1e-5), \
    "the scores at a place depend on the words up to there"
parts = model.transformer
x = parts.wte(idx) + parts.wpe(tensor([0, 1, 2, 3, 4]))
x = parts.ln_f(parts.h[1](parts.h[0](x)))
assert np.allclose(scores.array, (x @ parts.wte.weight.mT).array, atol=1e-4), \
    "words plus places, every block in turn, the last norm, and the table of words again"
try: refused = not model(tensor([[0] * 7]))
except ShapeError: refused = True
assert refused, "seven words do not fit into six places"

# %%
state = GPT(65, 64, 2, 4, 32).state_dict()
list(state)[:6], len(state)

# %% [markdown]
# ## It speaks
#
# A GPT says how likely each word is to come next. Choose one, append it, and ask again: that is all there
# is to writing. The model has `block_size` places, so when the text has grown longer, it sees the last
# `block_size` words only.
#
# **Your turn.** `choose` makes ids `(B, 1)` out of the scores of the last place, `(B, vocab_size)`.

# %%
#| export
def likeliest(scores: Tensor) -> Tensor:
    """The best score of each row.  (B, n) -> (B, 1)"""
    return scores.argmax(-1, keepdim=True)

# %%
#| export exercise
def continued(model, idx: Tensor, steps: int, choose=likeliest) -> Tensor:
    """The ids with `steps` more, each chosen after what stands before it.  (B, T) -> (B, T + steps)"""
    #| hint In a loop: the scores of the last block_size ids; choose from those of the last place; cat.
    #| hint idx[:, -n:] are the last n ids, and scores[:, -1] those of the last place.
    ### BEGIN SOLUTION
    for _ in range(steps):
        scores = model(idx[:, -model.block_size :])
        idx = cat([idx, choose(scores[:, -1])], 1)
    return idx
    ### END SOLUTION

# %%
#| check 2
from tinytorch.nn.functional import one_hot

class Counting:
    """A model of three places that always expects the sum of the last two ids."""
    block_size = 3

    def __call__(self, idx):
        assert idx.shape[1] <= 3, "the model has 3 places: show it the last block_size ids"
        ahead = np.concatenate([idx.array[:, :1], idx.array[:, :-1]], 1)
        return one_hot(Tensor(idx.array + ahead), 100).float()

assert continued(Counting(), tensor([[1, 1]]), 5).tolist() == [[1, 1, 2, 3, 5, 8, 13]], \
    "each new id is chosen after all that was said, the last one included: 1 1 2 3 5 8 13"
assert continued(Counting(), tensor([[1, 2], [0, 1]]), 2).tolist() == [[1, 2, 3, 5], [0, 1, 1, 2]], \
    "every row of a batch is continued by itself"
assert continued(Counting(), tensor([[4, 5]]), 0).tolist() == [[4, 5]], "no steps, nothing new"
assert continued(Counting(), tensor([[4, 5]]), 2, lambda s: tensor([[7]])).tolist() == [[4, 5, 7, 7]], \
    "choose decides, from the scores of the last place"

# %% [markdown]
# Without training it has nothing to say. (Which letter does it repeat, and why? The last matrix is the
# first table, and a row that nothing has edited points at itself.) In the milestone it gets weights.

# %%
letters = "".join(map(chr, range(97, 123))) + " "
babbling = GPT(27, 32, 2, 2, 32).eval()
start = tensor([[letters.index(c) for c in "the cat "]])
"".join([letters[i] for i in continued(babbling, start, 30)[0].tolist()])

# %% [markdown]
# ## What a look costs
#
# Multiply out what happens to `T` words with rows of `C` numbers. The four matrices (queries, keys, values,
# projection) take `2·T·C·C` floating-point operations each. The scores are `T × C` times `C × T`, over all
# heads together, and mixing the values costs as much again. The weights are `T × T` numbers for *every*
# head.
#
# **Your turn.**

# %%
#| export exercise
def attention_cost(T: int, C: int, heads: int) -> tuple[int, int, int]:
    """FLOPs of the four matrices, FLOPs of the look, and bytes of its float32 weights, for one sentence."""
    #| hint A product (n, k) @ (k, m) takes 2·n·k·m operations.
    #| hint The scores of one head are (T, C/heads) @ (C/heads, T), and there are as many heads as that.
    ### BEGIN SOLUTION
    return 8 * T * C * C, 4 * T * T * C, 4 * heads * T * T
    ### END SOLUTION

# %%
#| check 1
assert attention_cost(10, 8, 2)[0] == 4 * 2 * 10 * 8 * 8, "four products (T, C) @ (C, C)"
assert attention_cost(10, 8, 2)[1] == 2 * 2 * 10 * 10 * 8, \
    "scores and mixture: two products over T x T, C in all"
assert attention_cost(10, 8, 4)[1] == attention_cost(10, 8, 1)[1], \
    "more heads are narrower: no more arithmetic"
assert attention_cost(10, 8, 4)[2] == 4 * 4 * 10 * 10, "but each head has T x T weights of 4 bytes"

# %% [markdown]
# For which `T` does the look cost as much as the matrices? Compare with the width of GPT-2, 768. Then watch a
# single head: twice as many words, how many times the time?

# %%
for T in (128, 256, 512, 1024, 2048):
    q, k, v = [randn(T, 64) for _ in range(3)]
    matrices, look, bytes_ = attention_cost(T, 768, 12)
    time = timed(lambda q=q, k=k, v=v: attend(q, k, v))
    print(f"{T:5} words: {time} a head; in a layer: matrices {matrices / 1e9:5.2f} GFLOP, "
          f"looks {look / 1e9:5.2f} GFLOP, weights {bytes_ / 1e6:4.0f} MB")

# %% [markdown]
# Four times. A book has a hundred thousand words: this square is why so many people work on attention.
#
# ## Challenges
#
# 1. The causal mask hides half of the scores, after they were computed. Treat the queries in strips of 64,
#    and give each strip only the keys it may see. How much time does it save at T = 128, and at T = 2048?
#    What happens to the peak memory?
# 2. With challenge 4 of lesson 03, a strip of queries can go through the *keys* in strips as well, and no
#    array of T · S numbers is ever made. That is FlashAttention. Write it; your `attend` is the test.
# 3. Write a `choose` that draws from the three best scores only. Does babble get better?
# 4. Build the induction head as a two-layer `GPT` with weights that you set by hand. `sinusoids` in place of
#    `wpe` will help: which matrix turns the row of place `t` into that of place `t - 1`?
# 5. Shuffle the words of a sentence and look at the output of attention without places. What has changed?
#
# ## Design note: a mask that is added
#
# A mask could be a tensor of bools, and the op could put minus infinity where it says so. PyTorch takes
# both, and so does the function around our op; the op itself takes only what is added. Adding is one rule
# for many things: hiding what lies ahead, hiding the padding behind a short sentence, preferring near words
# by a slope (ALiBi), adding a learned number for each distance (T5). Only an added mask has a gradient, and
# two masks combine by `+`. What we gave up: a bool is an eighth of the size of a float, and a mask that
# hides half of everything could save half of the work, if the op knew.
