# %% [markdown]
# # Appendix: rules for bends
#
# A bend is worth having for its slope. These are the slopes of the twenty-four, and where a bend has a
# corner, PyTorch's answer at the corner: relu and most of its children call the corner flat.

# %%
#| export
"""Gradients of the activation functions."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.activations import gelu, log_softmax, relu, sigmoid, softmax, tanh
from tinytorch.bends import (
    celu,
    elu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    prelu,
    relu6,
    selu,
    silu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)
from tinytorch.devices import at_home
from tinytorch.elementwise import erf, where
from tinytorch.pieces import in_pieces
from tinytorch.receipts import gradient, shortcut
from tinytorch.shaping import cat, narrow

# %% [markdown]
# ## Straight pieces
#
# Where the input lies decides everything.

# %%
#| export
@gradient(leaky_relu)
def _(g, _out, x, negative_slope): return where(x > 0, g, g * negative_slope),


@gradient(prelu)
def _(g, _out, x, weight):
    channels = weight.reshape((-1,) + (1,) * (x.ndim - 2)) if x.ndim > 1 else weight.reshape(())
    return lambda: where(x > 0, g, g * channels), lambda: by_channel(g * -relu(-x), weight)


def by_channel(g, weight):
    """The sums over all but the channels, dimension 1; over everything where one weight serves them all."""
    others = tuple([d for d in range(g.ndim) if d != 1 or math.prod(weight.shape) == 1])
    return g.sum(axis=others).reshape(weight.shape)


@gradient(hardtanh)
def _(g, _out, x, min_val, max_val): return where((x > min_val) & (x < max_val), g, 0.0),


@gradient(relu6)
def _(g, _out, x): return where((x > 0) & (x < 6), g, 0.0),


@gradient(hardsigmoid)
def _(g, _out, x): return where((x > -3) & (x < 3), g / 6, 0.0),


@gradient(hardswish)
def _(g, _out, x): return where(x >= 3, g, where(x > -3, g * (x / 3 + 0.5), 0.0)),


@gradient(threshold)
def _(g, _out, x, threshold): return where(x <= threshold, 0.0, g),


@gradient(hardshrink, softshrink)
def _(g, _out, x, lambd): return where((x >= -lambd) & (x <= lambd), 0.0, g),

# %% [markdown]
# ## A soft landing
#
# Left of zero the slope of an exponential is that exponential. The `-relu(-x)`, which is x there and 0 to
# the right, is for the right: a branch that is not taken must not overflow, for infinity times the 0 of
# `where` is nan in the gradient of the gradient.

# %%
#| export
def landing(g, x, alpha, steepness, scale):
    """The gradient of scale * x, and left of zero of scale * alpha * (exp(x * steepness) - 1)."""
    return where(x > 0, g * scale, g * (scale * alpha * steepness * np.exp(-relu(-x) * steepness)))


@gradient(elu)
def _(g, _out, x, alpha): return landing(g, x, alpha, 1, 1),


@gradient(celu)
def _(g, _out, x, alpha): return landing(g, x, alpha, 1 / alpha, 1),


@gradient(selu)
def _(g, _out, x): return landing(g, x, 1.6732632423543772, 1, 1.0507009873554805),

# %% [markdown]
# ## Smooth all over
#
# What is smooth needs no choices, only the product rule.

# %%
#| export
@gradient(softplus)
def _(g, _out, x, beta, threshold): return where(x * beta > threshold, g, g * sigmoid(x * beta)),


@gradient(logsigmoid)
def _(g, _out, x): return g * sigmoid(-x),


@gradient(silu)
def _(g, _out, x):
    s = sigmoid(x)
    return g * (s * (1 + x * (1 - s))),


@gradient(mish)
def _(g, _out, x):
    t = tanh(softplus(x))
    return g * (t + x * sigmoid(x) * (1 - t * t)),


@gradient(softsign)
def _(g, _out, x):
    far = 1 + np.abs(x)
    return g / (far * far),


@gradient(tanhshrink)
def _(g, _out, x):
    t = tanh(x)
    return g * (t * t),

# %% [markdown]
# `gelu(x)` is x times the share of a bell curve that lies left of it. Nudge x, and both move: the slope is
# the share plus x times the height of the bell. By tanh it is the same, with the slope of tanh for the
# bell.

# %%
#| export
@gradient(gelu)
def _(g, _out, x, approximate):
    if approximate == "tanh":
        t = tanh(math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x))
        slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x) * (1 - t * t)
        return g * (0.5 * (1 + t + x * slope)),
    share, bell = 0.5 * (1 + erf(x * math.sqrt(0.5))), np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return g * (share + x * bell),


@gradient(glu)
def _(g, _out, x, dim):
    n = x.shape[dim] // 2
    s, passed = sigmoid(narrow(x, dim, n, n)), narrow(x, dim, 0, n)
    return cat([g * s, g * (passed * s * (1 - s))], dim),

# %% [markdown]
# ## In fewer passes
#
# A plain rule makes a new array for each of its steps. For the bends that stand in every network there are
# shortcuts, which write over what they have made themselves. And they read more out of the output:
# `gelu(x)` and `silu(x)` are x times a share, so the share is `out / x`, and need not be computed again.

# %%
#| export
@shortcut(relu)
def _(g, out, _x):
    dx = np.not_equal(out, 0, out=np.empty_like(out))
    dx *= g
    return dx,


@shortcut(sigmoid)
def _(g, out, _x):
    dx = 1 - out
    dx *= out
    dx *= g
    return dx,


@shortcut(tanh)
def _(g, out, _x):
    dx = out * out
    dx -= 1
    dx *= g
    dx *= -1
    return dx,


@shortcut(softmax)
def _(g, out, _x, dim):
    if not g.ndim: return g - g,
    dots = np.vecdot(g, out, axis=dim) if at_home(g) else (g * out).sum(axis=dim)
    dx = g - np.expand_dims(dots, dim)
    dx *= out
    return dx,


@shortcut(log_softmax)
def _(g, out, _x, dim):
    dx = np.exp(out)
    dx *= -g.sum(axis=dim, keepdims=True)
    dx += g
    return dx,


def share_of(out, x):
    """out / x, and a half where x is 0."""
    if not at_home(x): return np.where(x == 0, 0.5, out / x).astype(x.dtype, copy=False)
    share, nothing = np.asarray(out / x), x == 0
    if nothing.any(): share[nothing] = 0.5
    return share


@shortcut(silu)
def _(g, out, x):
    share = share_of(out, x)
    dx = 1 - share
    dx *= out
    dx += share
    dx *= g
    return dx,


@shortcut(gelu)
def _(g, out, x, approximate):
    flat = [part.reshape(-1) for part in (g, out, x)]
    return in_pieces(gelu_slope, *flat, approximate=approximate).reshape(x.shape),


def gelu_slope(g, out, x, approximate: str):
    """The gradient of gelu, from that of its output."""
    share = share_of(out, x)
    if approximate == "tanh":
        dx = x * x
        dx *= 3 * 0.044715
        dx += 1
        dx *= 2 * math.sqrt(2 / math.pi)
        dx *= 1 - share
        dx *= out
    else:
        dx = x * x
        dx *= -0.5
        dx = np.exp(dx)
        dx *= 1 / math.sqrt(2 * math.pi)
        dx *= x
    dx += share
    dx *= g
    return dx


@shortcut(leaky_relu)
def _(g, _out, x, negative_slope):
    if g.dtype.kind != "f": return where(x > 0, g, g * negative_slope),     # bfloat16
    dx = np.multiply(x > 0, 1 - negative_slope, dtype=g.dtype)
    dx += negative_slope
    dx *= g
    return dx,

# %% [markdown]
# `where` reads the same as a choice in a formula, but a processor guesses its choices, and where signs are
# random it guesses wrong half of the time. A product with 0 or 1 takes a tenth of that.

# %%
#| export
@shortcut(hardtanh)
def _(g, _out, x, min_val, max_val): return g * ((x > min_val) & (x < max_val)),


@shortcut(relu6)
def _(g, _out, x): return g * ((x > 0) & (x < 6)),


@shortcut(hardsigmoid)
def _(g, _out, x):
    dx = g * ((x > -3) & (x < 3))
    dx *= 1 / 6
    return dx,


@shortcut(hardswish)
def _(g, _out, x):
    dx = np.clip(x, -3, 3)
    dx *= 1 / 3
    dx += 0.5
    dx *= (x > -3) & (x < 3)
    dx += x >= 3
    dx *= g
    return dx,


@shortcut(hardshrink, softshrink)
def _(g, _out, x, lambd): return g * ((x < -lambd) | (x > lambd)),


def quick_landing(g, x, alpha, steepness, scale):
    """The same as `landing`: the exponential, which is 1 on the right, and there what is missing."""
    dx, left = np.minimum(x, 0), scale * alpha * steepness
    if steepness != 1: dx *= steepness
    dx = np.exp(dx)
    if left != 1: dx *= left
    if left != scale: dx += (scale - left) * (x > 0).astype(x.dtype)
    dx *= g
    return dx


@shortcut(elu)
def _(g, _out, x, alpha): return quick_landing(g, x, alpha, 1, 1),


@shortcut(celu)
def _(g, _out, x, alpha): return quick_landing(g, x, alpha, 1 / alpha, 1),


@shortcut(selu)
def _(g, _out, x): return quick_landing(g, x, 1.6732632423543772, 1, 1.0507009873554805),


@shortcut(softplus)
def _(g, _out, x, beta, threshold):
    dx = x * beta
    far = dx > threshold
    dx = np.exp(np.minimum(dx, min(threshold, 80)))
    dx /= 1 + dx
    dx = np.maximum(dx, far)
    dx *= g
    return dx,
