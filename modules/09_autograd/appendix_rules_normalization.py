# %% [markdown]
# # Appendix: the rules of norms over channels
#
# Batch norm and group norm are layer norm over other numbers: the same three terms, with other means.
# Only the weights differ. One of them scales a whole channel, so it is paid for by all pictures and all
# pixels.

# %%
#| export
"""How norms over channels and groups of channels hand on gradients."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.receipts import gradient, shortcut
from tinytorch.normalization import standardize_groups
from tinytorch.rules_dense import renormed, standard
from tinytorch.spatial import by_channel, rescale_channels, standardize_channels

# %%
#| export
def over_channels(x) -> tuple:
    """All dimensions but the channels'."""
    return (0, *range(2, x.ndim))


@gradient(standardize_channels)
def standardize_channels_rule(g, _out, x, weight, _bias, eps):
    dims = over_channels(x)
    normal, scale = standard(x, dims, eps)
    return (lambda: renormed(g if weight is None else g * by_channel(weight, x), normal, scale, dims),
            lambda: (g * normal).sum(axis=dims), lambda: g.sum(axis=dims))


@gradient(rescale_channels)
def rescale_channels_rule(g, _out, x, mean, var, weight, _bias, eps):
    """With statistics from before every channel is scaled and shifted, and that is all."""
    dims, scale = over_channels(x), 1 / np.sqrt(var + eps)
    each = scale if weight is None else scale * weight

    def distances(): return (g * (x - by_channel(mean, x))).sum(axis=dims)
    return (lambda: g * by_channel(each, x),
            lambda: -g.sum(axis=dims) * each,
            lambda: distances() * each * scale * scale * -0.5,
            lambda: distances() * scale,
            lambda: g.sum(axis=dims))


@gradient(standardize_groups)
def standardize_groups_rule(g, _out, x, weight, _bias, num_groups, eps):
    shape, dims = (x.shape[0], num_groups, -1), over_channels(x)
    normal, scale = standard(x.reshape(shape), -1, eps)

    def before():
        dy = g if weight is None else g * by_channel(weight, x)
        return renormed(dy.reshape(shape), normal, scale, -1).reshape(x.shape)
    return before, lambda: (g * normal.reshape(x.shape)).sum(axis=dims), lambda: g.sum(axis=dims)

# %% [markdown]
# ## Fewer walks
#
# Written out, the gradient of a channel is `a * g + b * x + c` with three numbers a channel, and these
# need two sums: of `g`, and of `g` times the distance from the mean. So it takes four walks instead of
# a dozen.

# %%
#| export
def channel_sums(x, y=None):
    """The sum of each channel, or of its products with another.  (N, C, *), (N, C, *) -> (C)"""
    if y is None: return x.sum(axis=over_channels(x))
    x, y = [part.reshape(*part.shape[:2], math.prod(part.shape[2:])) for part in (x, y)]
    return np.einsum("ncx,ncx->c", x, y)


@shortcut(standardize_channels)
def standardize_channels_shortcut(g, _out, x, weight, _bias, eps, kept):
    mean, var = kept
    scale, n = 1 / np.sqrt(var + eps), x.size // max(x.shape[1], 1)
    total = channel_sums(g)
    along = (channel_sums(g, x) - total * mean) * scale             # of g times the normal numbers

    def before():
        a = scale if weight is None else scale * weight
        b = a * scale * along / -n
        c = a * total / -n - b * mean
        dx = g * by_channel(a, x)
        dx += x * by_channel(b, x)
        dx += by_channel(c, x)
        return dx
    return before, along, total
