# %% [markdown]
# # Appendix: the rules of tables and of attention
#
# A table of rows learns only in the rows that were asked for, and a row that was asked for twice is
# paid for twice. Attention hands on to five: to the values by how much they were looked at; and to
# queries and keys by how much better or worse a key did than what its query saw on average, which is
# the rule of softmax.

# %%
#| export
"""How tables of rows, attention and rotations hand on gradients."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.attention import attend, look_up
from tinytorch.autograd import bare
from tinytorch.bands import bands, room_like
from tinytorch.devices import at_home
from tinytorch.indexing import meet
from tinytorch.receipts import gradient, shortcut
from tinytorch.elementwise import where
from tinytorch.embeddings import bags
from tinytorch.rotary import rotate
from tinytorch.tensor import Op

# %% [markdown]
# ## Rows added up
#
# The transpose of looking up: rows are sent to where they came from, and many may be sent to the same
# place. `np.add.at` adds each number where it belongs. It has the name of being slow, and for whole rows it
# is; for numbers in a line it is the quickest way there is, whether many ids are the same or none.

# %%
#| export
@Op
def add_rows(rows, ids, /, n):
    """Rows added up at their places in a table.  (*, width), (*) -> (n, width)"""
    ids, rows = ids.reshape(-1), rows.reshape(-1, rows.shape[-1])
    if not at_home(rows):
        out = np.zeros_like(rows, shape=(n, rows.shape[1]))
        if ids.size: meet(np.add, out, ids, rows)
        return out
    width = rows.shape[-1]
    places = ids.reshape(-1, 1) * width + np.arange(width, like=ids)
    out = np.zeros_like(rows, shape=n * width)
    np.add.at(out, places.reshape(-1), rows.reshape(-1))
    return out.reshape(n, width)


@gradient(add_rows)
def add_rows_rule(g, _out, _rows, ids): return look_up(bare(ids), g), None


def table_gradient(rows, ids, n: int, padding_idx, scale_grad_by_freq: bool):
    """What goes to a table: less for ids that are frequent, nothing for padding, if it was so agreed."""
    ids = bare(ids)
    if scale_grad_by_freq:
        how_often = np.bincount(ids.reshape(-1), minlength=n)
        rows = rows / how_often[ids].astype(bare(rows).dtype)[..., None]
    if padding_idx is not None: rows = where((ids == padding_idx)[..., None], 0.0, rows)
    return add_rows(rows, ids, n)


@gradient(look_up)
def look_up_rule(g, _out, ids, _weight, padding_idx, scale_grad_by_freq):
    return None, table_gradient(g, ids, _weight.shape[0], padding_idx, scale_grad_by_freq)

# %% [markdown]
# ## Bags
#
# Every row of a bag gets the gradient of the bag: all of it, its part of it, or, where the maximum was
# asked for, the numbers in which it was the first to be largest.

# %%
#| export
@gradient(bags)
def bags_rule(g, _out, ids, weight, offsets, per_sample_weights, mode, padding_idx, scale_grad_by_freq):
    ids, offsets = bare(ids), bare(offsets)
    bag, there = places_in_bags(ids, offsets, padding_idx)
    rows = g[bag]
    if mode == "mean":
        lengths = np.bincount(bag, there, minlength=len(offsets))
        rows = rows / np.maximum(lengths, 1)[bag].astype(bare(g).dtype)[:, None]
    if mode == "max": rows = rows * first_of_bags(bare(weight)[ids], bag, there, len(offsets))

    def of_table():
        sent = rows if per_sample_weights is None else rows * per_sample_weights.reshape((-1, 1))
        often = scale_grad_by_freq and mode != "max"
        return table_gradient(sent, ids, weight.shape[0], padding_idx, often)
    return None, of_table, None, lambda: (rows * weight[ids]).sum(axis=1) * there.astype(bare(g).dtype)


def places_in_bags(ids, offsets, padding_idx):
    """The bag each id is in, and whether it counts."""
    bag = np.searchsorted(offsets, np.arange(len(ids), like=ids), side="right") - 1
    there = np.ones_like(ids, dtype=bool) if padding_idx is None else ids != padding_idx
    return bag, there


def first_of_bags(rows, bag, there, bags: int):
    """1 where a number is the largest of its bag, the first of equals, and 0 elsewhere.  (N, width), (N)"""
    largest = np.full_like(rows, -np.inf, shape=(bags, rows.shape[1]))
    meet(np.maximum, largest, bag[there], rows[there])
    meant = (rows == largest[bag]) & there[:, None]
    running = np.cumsum(meant, axis=0)
    before = running - meant
    first = np.searchsorted(bag, bag)                           # where each one's bag begins
    return (meant & (before == before[first])).astype(rows.dtype) if len(rows) else rows

# %% [markdown]
# ## Attention
#
# Nothing of the large array of weights has been kept. It is made again; in the quick way with one
# `exp`, since the logarithm of each row's sum was kept. There is one more saving (Dao and others,
# 2022): the average that softmax wants, over all keys, is the product of the output with its own
# gradient, which is a row as short as a value.

# %%
#| export
@gradient(attend)
def attend_rule(g, _out, query, key, value, mask, keep, scale):
    if scale is None: scale = 1 / math.sqrt(query.shape[-1])
    weights = weights_again(query * scale, key, mask)
    kept = weights if keep is None else weights * keep

    def slope():
        rewards = g @ value.mT
        if keep is not None: rewards = rewards * keep
        return weights * (rewards - (rewards * weights).sum(axis=-1, keepdims=True))
    slope = once(slope)
    if mask is None and keep is None: slope = once(slope)
    return (lambda: slope() @ key * scale, lambda: slope().mT @ query * scale, lambda: kept.mT @ g,
            lambda: slope(), lambda: (g @ value.mT) * weights)


def once(f):
    """The function, which computes when it is called first and remembers."""
    found = []

    def remembered():
        if not found: found.append(f())
        return found[0]
    return remembered


def weights_again(query, key, mask):
    """How much each query looks at each key; a query that may look nowhere looks at nothing."""
    scores = query @ key.mT
    if mask is not None: scores = scores + mask
    plain = bare(scores)
    top = np.maximum(plain.max(-1, keepdims=True), np.finfo(plain.dtype).min)
    weights = np.exp(scores - top)
    total = weights.sum(axis=-1, keepdims=True)
    return weights / where(bare(total) == 0, 1.0, total)


# %% [markdown]
# The quick way goes through the square in bands, as the forward did. Two numbers of each row are to be taken
# off everything in it: the logarithm of its sum, and the average. Instead of a walk each, they stand behind
# the query and behind `g`, as one number more, and meet a 1 in the product.

# %%
#| export
@shortcut(attend)
def attend_shortcut(g, out, query, key, value, mask, keep, scale, kept):
    if scale is None: scale = 1 / math.sqrt(query.shape[-1])
    query, average = query * scale, np.einsum("...i,...i->...", g, out)[..., None]
    asked, paid = one_longer(query, -kept[0]), one_longer(g, -average)
    keys, values = [one_lower(x.mT, 1) for x in (key, value)]
    T, S = g.shape[-2], key.shape[-2]
    if keep is not None: keep = np.broadcast_to(keep, (*keep.shape[:-2], T, S))

    def weights(rows, n, mask):
        found = asked[..., rows, :] @ keys[..., :n]
        if mask is not None: found += mask
        return np.exp(found, out=found)

    def slope(weights, rows, n):
        if keep is None: found = paid[..., rows, :] @ values[..., :n]
        else:
            found = g[..., rows, :] @ values[..., :-1, :n]
            found *= keep[..., rows, :n]
            found -= average[..., rows, :]
        found *= weights
        return found

    def back():
        dq, dk, dv = [room_like(x, (*g.shape[:-2], *x.shape[-2:])) for x in (query, key, value)]
        for last, (rows, n, part) in enumerate(reversed(list(bands(mask, T, S)))):
            looks = weights(rows, n, part)
            worth = slope(looks, rows, n)
            np.matmul(worth, key[..., :n, :], out=dq[..., rows, :])
            add_product(dk, worth, query[..., rows, :], not last)
            if keep is not None: looks *= keep[..., rows, :n]
            add_product(dv, looks, g[..., rows, :], not last)
        dq *= scale
        return dq, dk, dv

    every, back = (slice(None), S), once(back)
    return (lambda: back()[0], lambda: back()[1], lambda: back()[2],
            lambda: slope(weights(*every, mask), *every), lambda: (g @ value.mT) * weights(*every, mask))


def add_product(total, x, y, first: bool) -> None:
    """Adds x.mT @ y to the first rows of a total, of which nothing is known at first."""
    n = x.shape[-1]
    if first:
        np.matmul(x.mT, y, out=total[..., :n, :])
        total[..., n:, :] = 0
    else: total[..., :n, :] += x.mT @ y


def one_longer(x, last):
    """Rows with one number more behind them.  (*, n) -> (*, n + 1)"""
    out = np.empty_like(x, shape=(*x.shape[:-1], x.shape[-1] + 1), order="C")
    out[..., :-1], out[..., -1:] = x, last
    return out


def one_lower(x, last):
    """Columns with one number more below them.  (*, m, n) -> (*, m + 1, n)"""
    out = np.empty_like(x, shape=(*x.shape[:-2], x.shape[-2] + 1, x.shape[-1]), order="C")
    out[..., :-1, :], out[..., -1:, :] = x, last
    return out

# %% [markdown]
# ## Turning
#
# What was turned one way, its gradient is turned back.

# %%
#| export
@gradient(rotate)
def rotate_rule(g, out, _x, angles, interleaved):
    def of_angles():
        half = angles.shape[-1]
        first, second = (..., slice(half)), (..., slice(half, None))
        if interleaved: first, second = (..., slice(0, None, 2)), (..., slice(1, None, 2))
        return g[second] * out[first] - g[first] * out[second]
    return lambda: rotate(g, -angles, interleaved=interleaved), of_angles
