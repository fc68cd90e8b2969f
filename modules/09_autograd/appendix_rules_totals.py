# %% [markdown]
# # Appendix: rules for many numbers into fewer
#
# A reduction hands one gradient back to many numbers, and the question is always how it is divided. A sum
# gives it to each of them whole, a mean divides it evenly, a product weighs it with all the other factors.
# A maximum gives it to the winner; where several are the largest, `amax` shares it among them. `max(dim)`
# does not: it has told everybody at which place it found its number, and to that place the gradient goes.

# %%
#| export
"""Gradients of the ops that make fewer numbers of many."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.autograd import bare, counted, over
from tinytorch.elementwise import where
from tinytorch.indexing import scatter_add
from tinytorch.overwriting import zeros_beside
from tinytorch.receipts import gradient, no_gradient, shortcut
from tinytorch.reductions import (
    all_,
    amax,
    amin,
    any_,
    argmax,
    argmin,
    count_nonzero,
    cummax,
    cummin,
    cumprod,
    cumsum,
    logcumsumexp,
    logsumexp,
    max_along,
    median_along,
    min_along,
    mode,
    nansum,
    prod,
    running,
)
from tinytorch.rules_places import from_places
from tinytorch.shaping import cat, flip, narrow, place, unsqueeze
from tinytorch.tensor import axes, mean, reshape, sum_

# %% [markdown]
# ## Extremes

# %%
#| export
@gradient(amax, amin)
def _(g, out, x, dim, keepdim):
    return shared(over(g, dim, keepdim, x.ndim), x, over(out, dim, keepdim, x.ndim), axes(dim)),


def shared(g, x, out, axis):
    """g, in equal parts, for all that are what came out; nan came out of nan."""
    won = (x == out) | ((x != x) & (out != out))
    return where(won, g / where(won, 1.0, 0.0).sum(axis=axis, keepdims=True), 0.0)


@gradient(max_along, min_along, mode)
def _(g, out, _x, dim): return from_places(g, out, _x.shape, dim),


@gradient(median_along)
def _(g, out, x, dim, keepdim, *, share):
    """The median of all numbers shares, as `amax` does; that of a line goes to its place, as `max` does."""
    if not share: return from_places(g, out, x.shape, dim),
    return shared(over(g[0], dim, keepdim, x.ndim), x, over(out[0], dim, keepdim, x.ndim), axes(dim)),


@gradient(cummax, cummin)
def _(g, out, _x, dim):
    """A record stands until it is broken, and is paid for at every place where it stood."""
    return scatter_add(zeros_beside(g[0], _x.shape), dim, out[1], g[0]),


@gradient(logsumexp)
def _(g, out, x, dim, keepdim):
    """The soft maximum divides softly: each gets its share of the softmax."""
    return over(g, dim, keepdim, x.ndim) * np.exp(x - over(out, dim, keepdim, x.ndim)),


@gradient(nansum)
def _(g, _out, x, dim, keepdim): return where(x != x, 0.0, over(g, dim, keepdim, x.ndim)),

# %% [markdown]
# A stretched view costs NumPy longer than a small array. Who sums, mostly sums what is small already: losses.

# %%
#| export
@shortcut(sum_)
def _(g, _out, _x, dim, keepdim): return filled(over(g, dim, keepdim, _x.ndim), _x.shape),


@shortcut(mean)
def _(g, _out, _x, dim, keepdim):
    return filled(over(g, dim, keepdim, _x.ndim) / max(counted(_x.shape, dim), 1), _x.shape),


def filled(g, shape: tuple):
    """New memory of that shape, with g in it everywhere."""
    dx = np.empty_like(g, shape=shape)
    dx[...] = g
    return dx

# %% [markdown]
# ## Products
#
# A factor answers with the product of all the others. Without zeros that is the whole product, divided by
# the factor. With a zero it is not, and then the others are multiplied: those before it, and those behind
# it.

# %%
#| export
@gradient(prod)
def _(g, out, x, dim, keepdim):
    g = over(g, dim, keepdim, x.ndim)
    if bare(x).all(): return g * over(out, dim, keepdim, x.ndim) / x,
    if dim is None: return g * reshape(the_others(reshape(x, (-1,)), 0), x.shape),
    return g * the_others(x, dim),


def the_others(x, dim):
    """The product of all the others along `dim`, for each place."""
    if x.ndim == 0: return x * 0 + 1
    return before(x, dim) * flip(before(flip(x, dim), dim), dim)


def before(x, dim):
    """The product of all that come before each place."""
    n = x.shape[dim]
    return cumprod(cat([narrow(x, dim, 0, 1) * 0 + 1, narrow(x, dim, 0, n - 1)], dim), dim)

# %% [markdown]
# ## As far as here
#
# Number k has a part in the totals of k and of all places behind it, so what it gets is a total as well,
# run from the end.

# %%
#| export
def from_the_end(g, dim): return flip(cumsum(flip(g, dim), dim), dim)


@gradient(cumsum)
def _(g, _out, _x, dim): return from_the_end(g, dim),


@shortcut(cumsum)
def _(g, _out, _x, dim):
    backwards = np.flip(g, dim) if g.ndim else g
    total = np.cumsum(backwards, dim if g.ndim else None).reshape(g.shape)
    return np.flip(total, dim) if g.ndim else total,

# %% [markdown]
# In a running product, number k is a factor of every total from k on. Where a zero is among the factors,
# the honest way is to write the products down for each k in a table, with a 1 in the place of k. A table
# grows with the square of the length. Where nobody wants a gradient of the gradient, there is a shorter
# way: up to the first zero the quotient will do, the zero itself is a 1 for once, and all that come later
# have it among their factors.

# %%
#| export
@gradient(cumprod)
def _(g, out, x, dim):
    if bare(x).all(): return from_the_end(g * out, dim) / x,
    if x.ndim == 0: return g,
    dim = place(dim, x.ndim)
    diagonal, later = tables(bare(x), x.shape[dim], x.ndim - dim - 1)
    products = cumprod(where(diagonal, 1.0, unsqueeze(x, dim)), dim + 1)            # (*, k, n, *)
    return where(later, products * unsqueeze(g, dim), 0.0).sum(axis=dim + 1),


def tables(like, n: int, behind: int):
    """Where place i is k, and where it is k or later, at row k, column i.  () -> (n, n, 1*)"""
    place = np.arange(n, like=like).reshape((n,) + (1,) * behind)
    return place[:, None] == place, place[:, None] <= place


@shortcut(cumprod)
def _(g, out, x, dim):
    if x.all(): return from_the_end(g * out, dim) / x,
    if x.ndim == 0: return g,
    passed = np.cumsum(x == 0, dim)                         # how many zeros up to here
    first = (x == 0) & (passed == 1)
    before = from_the_end(g * out, dim) / np.where(passed == 0, x, 1)
    there = from_the_end(g * np.cumprod(np.where(first, 1, x), dim), dim)
    return np.where(passed == 0, before, np.where(first, there, 0)),

# %% [markdown]
# In `logcumsumexp`, place i divides its gradient among all up to i by their shares of its sum. The shares
# make a table, too, in which no exponent is positive. The shortcut goes through logarithms, for which it
# takes the gradients above 0 and those below apart.

# %%
#| export
@gradient(logcumsumexp)
def _(g, out, x, dim):
    if x.ndim == 0: return g,
    dim = place(dim, x.ndim)
    _, later = tables(bare(x), x.shape[dim], x.ndim - dim - 1)
    share = np.exp(where(later, unsqueeze(x, dim + 1) - unsqueeze(out, dim), -math.inf))
    return (share * unsqueeze(g, dim)).sum(axis=dim + 1),


@shortcut(logcumsumexp)
def _(g, out, x, dim):
    def paid(part):
        line = np.flip(np.log(part) - out, dim)
        return np.exp(np.flip(running(np.logaddexp, line, dim), dim) + x)
    return g if g.ndim == 0 else paid(np.maximum(g, 0)) - paid(np.maximum(-g, 0)),

# %% [markdown]
# ## Where nothing flows

# %%
#| export
no_gradient(all_, any_, argmax, argmin, count_nonzero)
