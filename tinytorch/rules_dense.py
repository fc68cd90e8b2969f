# Generated from modules/09_autograd/appendix_rules_dense.py by `tito export`. Edit that file, not this one.
"""How norms, losses and other dense ops hand on gradients."""

from __future__ import annotations

import math

import numpy as np

from .activations import sigmoid
from .autograd import bare
from .dense import binary_surprise, linear, standardize, surprise
from .fitting import as_rows, row_sums
from .losses import added, alignment, certainty, one_on, spread_out, uneven_surprise
from .receipts import gradient, shortcut
from .root_mean_square import rescale
from .tensor import Op

__all__ = [
    "renormed", "standard", "standardize_rule", "rescale_rule", "column_sums", "standardize_shortcut",
    "rescale_shortcut", "flat_rows", "linear_shortcut", "surprise_shortcut", "binary_surprise_rule",
    "uneven_surprise_rule", "certainty_rule", "remaining", "one_back", "slope", "alignment_slope",
    "alignment_slope_rule", "alignment_rule", "alignment_shortcut",
]


def renormed(g, normal, scale, dims):
    """The gradient before a norm, from the one behind it: no mean, and nothing along what came out."""
    along = (g * normal).mean(axis=dims, keepdims=True)
    return (g - g.mean(axis=dims, keepdims=True) - normal * along) * scale


def standard(x, dims, eps: float):
    """Numbers at mean 0 and variance 1 over some dimensions, and by how much they were scaled."""
    distance = x - x.mean(axis=dims, keepdims=True)
    scale = 1 / np.sqrt((distance * distance).mean(axis=dims, keepdims=True) + eps)
    return distance * scale, scale


@gradient(standardize)
def standardize_rule(g, _out, x, weight, _bias, last, eps):
    dims = tuple(range(x.ndim - last, x.ndim))
    normal, scale = standard(x, dims, eps)
    return lambda: renormed(g if weight is None else g * weight, normal, scale, dims), lambda: g * normal, g


@gradient(rescale)
def rescale_rule(g, _out, x, weight, last, eps):
    dims = tuple(range(x.ndim - last, x.ndim))
    scale = 1 / np.sqrt((x * x).mean(axis=dims, keepdims=True) + eps)
    normal = x * scale

    def before():
        dy = g if weight is None else g * weight
        return (dy - normal * (dy * normal).mean(axis=dims, keepdims=True)) * scale
    return before, lambda: g * normal


def column_sums(x, y=None):
    """The sum of each column, or of its products with another.  (n, m), (n, m) -> (m)"""
    if y is None: return np.ones_like(x, shape=x.shape[:1]) @ x
    return np.einsum("ni,ni->i", x, y)


@shortcut(standardize)
def standardize_shortcut(g, _out, x, weight, _bias, last, kept):
    mean, scale = [part.reshape(-1, 1) for part in kept]
    rows, dy = [flat_rows(part, last) for part in (x, g)]
    normal = rows - mean
    normal *= scale

    def before():
        dx = dy * weight.reshape(-1) if weight is not None else dy.copy()
        n = dx.shape[1]
        middle, along = row_sums(dx) / n, row_sums(dx, normal) / n
        dx -= middle
        dx -= normal * along
        dx *= scale
        return dx.reshape(x.shape)
    return (before, lambda: column_sums(dy, normal).reshape(weight.shape),
            lambda: column_sums(dy).reshape(_bias.shape))


@shortcut(rescale)
def rescale_shortcut(g, _out, x, weight, last, kept):
    scale = kept[0].reshape(-1, 1)
    rows, dy = [flat_rows(part, last) for part in (x, g)]
    normal = rows * scale

    def before():
        dx = dy * weight.reshape(-1) if weight is not None else dy.copy()
        dx -= normal * (row_sums(dx, normal) / dx.shape[1])
        dx *= scale
        return dx.reshape(x.shape)
    return before, lambda: column_sums(dy, normal).reshape(weight.shape)


def flat_rows(x, last: int):
    """The last dimensions as one, and all others as one.  (*, *last) -> (m, n)"""
    rows = as_rows(x, last)
    return rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])


@shortcut(linear)
def linear_shortcut(g, _out, x, weight, _bias):
    n, width = math.prod(x.shape[:-1]), weight.shape[-1]
    rows, g_rows = x.reshape(n, width), g.reshape(n, math.prod(weight.shape[:-1]))
    matrix = weight.reshape(g_rows.shape[1], width)
    return (lambda: (g_rows @ matrix).reshape(x.shape), lambda: (g_rows.T @ rows).reshape(weight.shape),
            lambda: column_sums(g_rows).reshape(weight.shape[:-1]))


@shortcut(surprise)
def surprise_shortcut(g, _out, x, target, ignore_index, kept):
    dim, ignored = min(1, x.ndim - 1), target == ignore_index
    dx = x - kept[0]
    np.exp(dx, out=dx)
    place = [np.arange(n, like=x).reshape(-1, *(1,) * behind)
             for n, behind in zip(target.shape, reversed(range(target.ndim)))]
    place.insert(dim, np.where(ignored, 0, target))
    dx[tuple(place)] -= 1
    dx *= np.expand_dims(np.where(ignored, 0, g), dim)
    return dx, None


@gradient(binary_surprise)
def binary_surprise_rule(g, _out, x, target):
    return lambda: g * (sigmoid(x) - target), lambda: -g * x


@gradient(uneven_surprise)
def uneven_surprise_rule(g, _out, x, target, pos_weight):
    soft = np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0)         # -log sigmoid(x)
    return (lambda: g * (1 - target - (1 + (pos_weight - 1) * target) * sigmoid(-x)),
            lambda: g * ((pos_weight - 1) * soft - x),
            lambda: g * target * soft)


@gradient(certainty)
def certainty_rule(g, _out, x, target):
    """From probabilities: where they are 0 or 1 the slope is infinite, and is cut off as PyTorch does."""
    return (lambda: g * (x - target) / np.maximum((1 - x) * x, 1e-12),
            lambda: g * (np.log1p(-x) - np.log(x)))


def remaining(log_probs, path, may_skip, input_lengths, target_lengths):
    """The logarithm of all ways from each slice and place to the end, without the slice itself."""
    steps, rows = len(log_probs), np.arange(len(path), like=path)
    left = np.full_like(log_probs, -np.inf, shape=(steps, *path.shape))
    ends = np.full_like(left[0], -np.inf)
    ends[rows, 2 * target_lengths] = 0
    ends[rows, np.maximum(2 * target_lengths - 1, 0)] = 0
    later = ends
    for t in reversed(range(steps)):
        later = left[t] = np.where((input_lengths - 1 <= t)[:, None], ends, later)
        if t == 0: break
        onward = later + np.take_along_axis(log_probs[t], path, 1)
        skipped = one_back(one_back(np.where(may_skip, onward, -np.inf)))
        later = added(onward, one_back(onward), skipped)
    return left


def one_back(x):
    """The row, one place to the left.  (N, L) -> (N, L)"""
    return one_on(x[:, ::-1])[:, ::-1]


def slope(g, losses, reached, log_probs, targets, input_lengths, target_lengths, blank: int):
    """The gradient for the logarithms, from the losses and what has been reached.  -> (T, N, C)"""
    path = spread_out(targets, blank)
    may_skip = np.zeros_like(path, dtype=bool)
    may_skip[:, 2:] = (path[:, 2:] != blank) & (path[:, 2:] != path[:, :-2])
    ways = reached + remaining(log_probs, path, may_skip, input_lengths, target_lengths)
    shares = np.exp(ways + losses[:, None])
    shares[np.arange(len(shares), like=path)[:, None] >= np.maximum(input_lengths, 1)] = 0
    total, rows = np.zeros_like(log_probs), np.arange(len(path), like=path)
    for place in range(path.shape[1]): total[:, rows, path[:, place]] -= shares[:, :, place]
    return np.where(g[:, None] == 0, 0, total * g[:, None])


@Op
def alignment_slope(g, log_probs, targets, input_lengths, target_lengths, /, blank=0):
    """The gradient of `alignment` for its logarithms.  (N), (T, N, C), (N, S), (N), (N) -> (T, N, C)"""
    given = log_probs, targets, input_lengths, target_lengths, blank
    losses, (reached,) = alignment.forward(*given)
    return slope(g, losses, reached, *given)


@gradient(alignment_slope)
def alignment_slope_rule(g, _out, _g, _log_probs, _targets, _input_lengths, _target_lengths):
    raise NotImplementedError("the gradient of ctc_loss has no gradient, here or in PyTorch")


@gradient(alignment)
def alignment_rule(g, _out, log_probs, targets, input_lengths, target_lengths, blank):
    lengths = [bare(x) for x in (targets, input_lengths, target_lengths)]
    return alignment_slope(g, log_probs, *lengths, blank), None, None, None


@shortcut(alignment)
def alignment_shortcut(g, out, log_probs, targets, input_lengths, target_lengths, blank, kept):
    dx = slope(g, out, kept[0], log_probs, targets, input_lengths, target_lengths, blank)
    return dx, None, None, None
