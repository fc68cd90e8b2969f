# Generated from modules/09_autograd/appendix_rules_bends.py by `tito export`. Edit that file, not this one.
"""Gradients of the activation functions."""

from __future__ import annotations

import math

import numpy as np

from .activations import gelu, log_softmax, relu, sigmoid, softmax, tanh
from .bends import (
    celu, elu, glu, hardshrink, hardsigmoid, hardswish, hardtanh, leaky_relu, logsigmoid, mish, prelu, relu6,
    selu, silu, softplus, softshrink, softsign, tanhshrink, threshold,
)
from .devices import at_home
from .elementwise import erf, where
from .pieces import in_pieces
from .receipts import gradient, shortcut
from .shaping import cat, narrow

__all__ = ["by_channel", "landing", "share_of", "gelu_slope", "quick_landing"]


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


def landing(g, x, alpha, steepness, scale):
    """The gradient of scale * x, and left of zero of scale * alpha * (exp(x * steepness) - 1)."""
    return where(x > 0, g * scale, g * (scale * alpha * steepness * np.exp(-relu(-x) * steepness)))


@gradient(elu)
def _(g, _out, x, alpha): return landing(g, x, alpha, 1, 1),


@gradient(celu)
def _(g, _out, x, alpha): return landing(g, x, alpha, 1 / alpha, 1),


@gradient(selu)
def _(g, _out, x): return landing(g, x, 1.6732632423543772, 1, 1.0507009873554805),


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
