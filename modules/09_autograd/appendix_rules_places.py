# %% [markdown]
# # Appendix: rules for picking, placing, ordering
#
# Picking and placing are each other's gradient. What was picked answers from where it was: its gradient is
# *placed* there, and a number that was picked twice gets both. What was placed answers from where it went:
# its gradient is *picked* from there. Sorting is picking, by places that sorting itself found out.

# %%
#| export
"""Gradients of the ops that pick numbers, place them, and put them in order."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.autograd import bare
from tinytorch.devices import at_home, beside
from tinytorch.elementwise import where
from tinytorch.indexing import (
    argsort,
    argwhere,
    bisect,
    gather,
    index_add,
    index_copy,
    index_fill,
    index_select,
    isin,
    kthvalue,
    masked_scatter,
    masked_select,
    meet,
    nonzero,
    put,
    put_index,
    scatter,
    scatter_add,
    scatter_reduce,
    sort,
    take,
    take_along_dim,
    topk,
)
from tinytorch.overwriting import picks_twice, zeros_beside
from tinytorch.receipts import gradient, no_gradient, shortcut
from tinytorch.shaping import along, cat, place, unsqueeze
from tinytorch.tensor import reshape, select_index

# %% [markdown]
# ## Picking

# %%
#| export
@gradient(gather)
def _(g, _out, _x, index, dim): return scatter_add(zeros_beside(g, _x.shape), dim, index, g), None


@gradient(index_select)
def _(g, _out, _x, index, dim): return index_add(zeros_beside(g, _x.shape), dim, index, g), None


@gradient(take)
def _(g, _out, _x, index): return put(zeros_beside(g, _x.shape), index, g, True), None


@gradient(take_along_dim)
def _(g, _out, _x, indices, dim):
    """An index that broadcasts against the input leaves the other dimensions to be written out."""
    zeros, index = zeros_beside(g, _x.shape), bare(indices)
    if dim is None: return put(zeros, index.reshape(-1), g, True), None
    where_it_was = [np.arange(n, like=index).reshape((-1,) + (1,) * (_x.ndim - d - 1))
                    for d, n in enumerate(_x.shape)]
    where_it_was[dim] = index
    return put_index(zeros, g, tuple(where_it_was), True), None


@gradient(masked_select)
def _(g, _out, _x, mask):
    """Where input and mask were stretched to meet, so is the page on which the numbers are put back."""
    shape = np.broadcast_shapes(_x.shape, mask.shape)
    return masked_scatter(zeros_beside(g, shape), mask, g), None

# %% [markdown]
# ## Placing
#
# The page keeps its gradient where nothing was written over it. (Where several numbers were sent to one
# place, the last one won, but which is the last is an accident of the array library. PyTorch gives each of
# them the gradient of the place, and so do we.)

# %%
#| export
@gradient(scatter)
def _(g, out, x, index, src, dim, reduce):
    if reduce is not None: return met(g, out, x, index, src, dim, {"add": "sum", "multiply": "prod"}[reduce])
    return lambda: scatter(g, dim, index, 0.0), None, lambda: outside(gather(g, dim, index), src)


@gradient(scatter_add)
def _(g, _out, _x, index, _src, dim): return g, None, lambda: outside(gather(g, dim, index), _src)


def outside(picked, src):
    """A gradient of the part of `src` that was sent, with zeros for what is beyond and stayed."""
    if tuple(src.shape) == tuple(picked.shape): return picked
    return put_index(zeros_beside(picked, src.shape), picked, tuple([slice(n) for n in picked.shape]))


@gradient(index_add)
def _(g, _out, _x, index, _source, dim, alpha):
    return g, None, lambda: reshape(index_select(g, dim, index), _source.shape) * alpha


@gradient(index_copy)
def _(g, _out, _x, index, _source, dim):
    rest = lambda: index_fill(g, dim, index, 0.0)
    return rest, None, lambda: reshape(index_select(g, dim, index), _source.shape)


@gradient(index_fill)
def _(g, _out, _x, index, _value, dim):
    rest = lambda: index_fill(g, dim, index, 0.0)
    return rest, None, lambda: select_index(g, along(place(dim, g.ndim), index)).sum()


@gradient(put)
def _(g, _out, _x, index, _source, accumulate):
    rest = g if accumulate else lambda: put(g, index, zeros_beside(g, _source.shape))
    return rest, None, lambda: take(g, index)


@gradient(masked_scatter)
def _(g, _out, _x, mask, _source):
    def taken():
        """The gradients where the mask is true, in turn; zeros for numbers that found no place."""
        found = masked_select(g, mask)
        rest = zeros_beside(g, (math.prod(_source.shape) - found.shape[0],))
        return reshape(cat([found, rest]), _source.shape)
    return lambda: where(mask, 0.0, g), None, taken

# %% [markdown]
# ## Where numbers meet
#
# `scatter_reduce` sends numbers to places where they meet, and meeting may mean adding, averaging,
# multiplying, or that only the largest survives. Each has the rule that its plain reduction has; only do
# the lines that are reduced lie scattered. So `gather` asks, for everybody who was sent somewhere, what is
# to be known of that place, and `scatter_add` adds up in each place what they have to say who were sent
# there.

# %%
#| export
@gradient(scatter_reduce)
def _(g, out, x, index, src, reduce, dim, include_self):
    return met(g, out, x, index, src, dim, reduce, include_self)


def met(g, out, x, index, src, dim, reduce, include_self=True):
    """The gradients of a page, and of the numbers that were sent to meet in its places."""
    sent = inside(src, index, x)
    if reduce == "mean": g = g / counted_in(g, x, index, dim, include_self)
    if reduce in ("sum", "mean"): mine, theirs = g, lambda: gather(g, dim, index)
    elif reduce == "prod": mine, theirs = factors(g, out, x, index, sent, dim, include_self)
    else: mine, theirs = winners(g, out, x, index, sent, dim)
    return (lambda: mine if include_self else scatter(mine, dim, index, 0.0), None,
            lambda: outside(theirs(), src))


def inside(src, index, x):
    """The part of the numbers that the index sends; a single number stands for as many."""
    if not hasattr(src, "dtype"): return np.full_like(bare(x), src, shape=index.shape)
    if tuple(src.shape) == tuple(index.shape): return src
    return select_index(src, tuple([slice(n) for n in index.shape]))


def counted_in(g, x, index, dim, include_self):
    """How many numbers met in each place; 1 where nobody did."""
    there = np.full_like(bare(g), include_self, shape=x.shape)
    sent = np.ones_like(there, shape=index.shape)
    return np.maximum(bare(scatter_add(there, dim, index, sent)), 1)

# %% [markdown]
# A product hands to each factor the product of the others. That is `out / factor`, unless the factor is 0:
# then the product is computed once more with a 1 in the place of the 0. Of several zeros in one place none
# has a say: without it, the others still make the product 0.

# %%
#| export
def factors(g, out, x, index, sent, dim, include_self):
    page = where(x == 0, 1.0, x)
    mine = g * scatter_reduce(page, dim, index, sent, "prod", include_self=include_self) / page
    zero = bare(sent == 0)
    met = scatter_add(np.zeros(x.shape, int, like=zero), dim, index, zero.astype(int))
    alone = zero & (bare(gather(met, dim, index)) == 1)

    def theirs():
        filled = scatter_reduce(x, dim, index, where(alone, 1.0, sent), "prod", include_self=include_self)
        quotient = gather(g * out, dim, index) / where(zero, 1.0, sent)
        return where(alone, gather(g * filled, dim, index), quotient)
    return mine, theirs


def winners(g, out, x, index, sent, dim):
    """Those who are the largest, or the smallest, in their place share its gradient."""
    won, won_sent = where(x == out, 1.0, 0.0), where(sent == gather(out, dim, index), 1.0, 0.0)
    share = g / scatter_add(won, dim, index, won_sent)
    return won * share, lambda: won_sent * gather(share, dim, index)

# %% [markdown]
# ## In order
#
# Sorting, choosing the best few and looking for the median all say from which places they took what they
# give. So their gradient goes there, and to nobody else: of two equal numbers, the one that was taken.
# (`amax` gives no place away, and shares.)

# %%
#| export
def from_places(g, out, shape, dim):
    """Zeros, with the gradient of what was found in the places it was found at."""
    dim, (values, indices) = place(dim, len(shape)), (g[0], out[1])
    if not shape: return reshape(values, ())
    if values.ndim < len(shape): values, indices = unsqueeze(values, dim), unsqueeze(indices, dim)
    return scatter(zeros_beside(values, shape), dim, indices, values)


@gradient(sort, topk, kthvalue)
def _(g, out, _x, dim): return from_places(g, out, _x.shape, dim),

# %% [markdown]
# ## Where nothing flows
#
# Places are whole numbers.

# %%
#| export
no_gradient(argsort, argwhere, bisect, isin, nonzero)

# %% [markdown]
# ## Rows, in fewer passes
#
# Embeddings pick rows, many of them more than once, and `ufunc.at` adds one number at a time. Sorted by
# where they go, the rows of one place lie together. Now write the first of every place, all at once; add
# the second of every place that has one, and so on. The few places with very many rows get a sum each.

# %%
#| export
MANY = 16               # so many at most are written place by place


def rows_added(g, index, shape):
    """Zeros, with the rows of g added at the places that the index names.  (k, *), (k,) -> (n, *)"""
    out = np.zeros_like(g, shape=shape)
    if not at_home(g):
        meet(np.add, out, beside(index, g), g)
        return out
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index, minlength=shape[0])
    starts = np.cumsum(counts) - counts
    for n in range(min(MANY, counts.max())):
        places = np.flatnonzero((counts > n) & (counts <= MANY))
        rows = g[order[starts[places] + n]]
        if n: out[places] += rows
        else: out[places] = rows
    for n in np.flatnonzero(counts > MANY):
        out[n] = g[order[starts[n] : starts[n] + counts[n]]].sum(axis=0)
    return out


@shortcut(index_select)
def _(g, _out, _x, index, dim):
    """Along another dimension than the first, the rows are those of a turned page."""
    if g.dtype.kind != "f" or not g.size or index.ndim != 1 or not _x.shape:
        return index_add(zeros_beside(g, _x.shape), dim, index, g), None
    turned = np.moveaxis(g, dim, 0)
    rest = _x.shape[: place(dim, len(_x.shape))] + _x.shape[place(dim, len(_x.shape)) + 1 :]
    return np.moveaxis(rows_added(turned, index, (_x.shape[dim], *rest)), 0, dim), None


@shortcut(select_index)
def _(g, _out, _x, index):
    """Rows named by one array of places; any other index goes the plain way."""
    rows, more = (index[0], index[1:]) if isinstance(index, tuple) and index else (index, ())
    many = hasattr(rows, "dtype") and rows.dtype.kind in "iu" and all([part is ... for part in more])
    if not many or g.dtype.kind != "f" or not g.size:
        return put_index(zeros_beside(g, _x.shape), g, index, picks_twice(index)),
    places = rows.reshape(-1) % _x.shape[0]
    return rows_added(g.reshape((len(places), *_x.shape[1:])), places, _x.shape),
