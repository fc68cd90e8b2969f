# %% [markdown]
# # Appendix: twenty more bends
#
# Each of these was somebody's answer to "what if relu were a little different". They differ in three places:
# what happens left of zero, whether there is a corner, and how far they go up. All of them are made of the
# pieces of the lesson. Look out for two habits: no exponent is ever positive, and where a textbook writes a
# `where`, a `min` and a `max` do.

# %%
#| export
"""The other activation functions, under PyTorch's names."""

# %%
#| export
from __future__ import annotations

import numpy as np

from tinytorch.activations import Bend, relu, sigmoid, softmax, tanh
from tinytorch.creation import empty_like, zeros_like
from tinytorch.errors import ShapeError, shape_of
from tinytorch.methods import in_place
from tinytorch.randomness import exponential_, uniform_
from tinytorch.tensor import Tensor, common_float, floating


def bend(forward) -> Bend:
    """A bend whose input becomes a float first."""
    return Bend(forward, promote=common_float)

# %% [markdown]
# ## A leak on the left
#
# Where relu is flat, it has no slope, and what has no slope does not learn. So let a little through: a fixed
# share, a learned one, or, while training, a random one.

# %%
#| export
@bend
def leaky_relu(input, /, negative_slope=0.01):
    """x, and where x is negative only `negative_slope` times x.  (*) -> (*)"""
    return np.maximum(input, 0) + negative_slope * np.minimum(input, 0)


@floating
def prelu(input, weight, /):
    """leaky_relu whose slope is learned, for all channels or for each.  (N, C, *), (C,) -> (N, C, *)"""
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.size not in (1, channels):
        raise ShapeError(f"prelu of {shape_of(input)} wants 1 weight or {channels}, not {weight.size}")
    slope = weight.reshape((-1,) + (1,) * (input.ndim - 2)) if input.ndim > 1 else weight.reshape(())
    return np.maximum(input, 0) + slope * np.minimum(input, 0)


def rrelu(input: Tensor, lower=1 / 8, upper=1 / 3, training=False, inplace=False) -> Tensor:
    """leaky_relu with a slope drawn anew for every number while training, else the middle one.  (*) -> (*)"""
    if not training: return leaky_relu(input, (lower + upper) / 2, inplace)
    slope = uniform_(empty_like(input), lower, upper)
    out = relu(input) - slope * relu(-input)
    return input.copy_(out) if inplace else out

# %% [markdown]
# ## A soft landing
#
# Left of zero an exponential that levels out at −alpha. `expm1(x)` is `exp(x) - 1` without the loss of digits
# near 0. The two constants of SELU are chosen so that numbers with mean 0 and variance 1 keep them, layer
# after layer.

# %%
#| export
@bend
def elu(input, /, alpha=1.0):
    """x, and where x is negative alpha * (exp(x) - 1).  (*) -> (*)"""
    return np.maximum(input, 0) + alpha * np.expm1(np.minimum(input, 0))


@bend
def celu(input, /, alpha=1.0):
    """elu made smooth for every alpha: alpha * (exp(x / alpha) - 1) where x is negative.  (*) -> (*)"""
    if alpha == 0: raise RuntimeError("celu divides by alpha, which must not be 0")
    return np.maximum(input, 0) + alpha * np.expm1(np.minimum(input, 0) / alpha)


@bend
def selu(input, /):
    """elu, scaled so that mean 0 and variance 1 stay so from layer to layer.  (*) -> (*)"""
    alpha, scale = 1.6732632423543772, 1.0507009873554805       # Klambauer et al. 2017, eq. 14
    return scale * (np.maximum(input, 0) + alpha * np.expm1(np.minimum(input, 0)))

# %% [markdown]
# ## Smooth all over
#
# `softplus` is a relu without its corner, and the logarithm of `1 + exp(x)`. Its slope is the sigmoid.

# %%
#| export
@floating
def softplus(input, /, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above `threshold`.  (*) -> (*)"""
    steep = input * beta
    soft = np.maximum(steep, 0) + np.log1p(np.exp(-np.abs(steep)))
    return np.where(steep > threshold, input, soft / beta)


@floating
def logsigmoid(input, /):
    """The logarithm of sigmoid(x), also where sigmoid itself rounds to 0.  (*) -> (*)"""
    return np.minimum(input, 0) - np.log1p(np.exp(-np.abs(input)))


@bend
def silu(input, /):
    """x * sigmoid(x), also called swish.  (*) -> (*)"""
    return input * sigmoid.forward(input)


@bend
def mish(input, /):
    """x * tanh(softplus(x)).  (*) -> (*)"""
    return input * np.tanh(softplus.forward(input))


@floating
def softsign(input, /):
    """x / (1 + |x|), from -1 to 1 and slower to get there than tanh.  (*) -> (*)"""
    return input / (1 + np.abs(input))


@floating
def tanhshrink(input, /):
    """x - tanh(x).  (*) -> (*)"""
    return input - np.tanh(input)

# %% [markdown]
# ## Made of straight pieces
#
# For processors that have no `exp`, and for people in a hurry.

# %%
#| export
def alike(input, number):
    """A Python number of the input's kind: a float setting must not make floats of whole numbers."""
    return int(number) if input.dtype.kind in "iu" else number


@Bend
def hardtanh(input, /, min_val=-1.0, max_val=1.0):
    """x, cut off below `min_val` and above `max_val`.  (*) -> (*)"""
    return np.clip(input, alike(input, min_val), alike(input, max_val))


@Bend
def relu6(input, /):
    """relu, cut off above 6.  (*) -> (*)"""
    return np.clip(input, 0, 6)


@bend
def hardsigmoid(input, /):
    """A straight line from 0 at x = -3 to 1 at x = 3.  (*) -> (*)"""
    return np.clip(input + 3, 0, 6) / 6


@bend
def hardswish(input, /):
    """x * hardsigmoid(x).  (*) -> (*)"""
    return input * np.clip(input + 3, 0, 6) / 6


@Bend
def threshold(input, /, threshold, value):
    """x where it is above `threshold`, else `value`.  (*) -> (*)"""
    return np.where(input <= threshold, alike(input, value), input)

# %%
#| export
@floating
def hardshrink(input, /, lambd=0.5):
    """x, and 0 where |x| is at most lambd.  (*) -> (*)"""
    return input * ~(np.abs(input) <= lambd)


@floating
def softshrink(input, /, lambd=0.5):
    """x moved towards 0 by lambd, and 0 where it would pass it.  (*) -> (*)"""
    if lambd < 0: raise RuntimeError(f"softshrink moves numbers towards 0: lambd must not be {lambd}")
    return input - np.clip(input, -lambd, lambd)

# %% [markdown]
# ## Over a dimension
#
# `glu` lets one half of the numbers decide how much of the other half passes.

# %%
#| export
@floating
def glu(input, /, dim=-1):
    """The first half along `dim`, times the sigmoid of the second.  (*, 2n, *) -> (*, n, *)"""
    if input.ndim == 0 or input.shape[dim] % 2:
        raise ShapeError(f"glu halves dimension {dim}, whose length must be even: not {shape_of(input)}")
    passed, gate = np.split(input, 2, axis=dim)
    return passed * sigmoid.forward(gate)


def softmin(input: Tensor, dim: int, dtype=None) -> Tensor:
    """Softmax upside down: the smallest gets most.  (*) -> (*)"""
    return softmax(-input, dim, dtype)

# %% [markdown]
# To *draw* from a softmax, add noise to the scores and see which is largest. The right noise is called after
# Gumbel, and it is minus the logarithm of a waiting time. With `hard=True` the result is the choice itself,
# while the gradient will be that of the softmax.

# %%
#| export
def gumbel_softmax(logits: Tensor, tau=1.0, hard=False, eps=1e-10, dim=-1) -> Tensor:
    """A random choice by softmax, softer the larger `tau`; `eps` does nothing, as in PyTorch.  (*) -> (*)"""
    noise = -exponential_(empty_like(logits)).log()
    soft = softmax((logits + noise) / tau, dim)
    if not hard: return soft
    chosen = zeros_like(logits).scatter_(dim, soft.argmax(dim, True), 1.0)
    return chosen - soft.detach() + soft

# %% [markdown]
# ## In place
#
# PyTorch has a name of its own for some of these when they write over their input: `relu_(x)` is
# `relu(x, inplace=True)`.

# %%
#| export
relu_, leaky_relu_, elu_, celu_, selu_ = map(in_place, (relu, leaky_relu, elu, celu, selu))
hardtanh_, threshold_, sigmoid_, tanh_ = map(in_place, (hardtanh, threshold, sigmoid, tanh))
rrelu_ = in_place(rrelu)

# %% [markdown]
# ## What they look like
#
# At a glance, from x = −4 on the left to 4 on the right. Each row is one bend and each digit a height; `-` is
# below 0:

# %%
xs = Tensor(np.linspace(-4, 4, 33, dtype=np.float32))
for f in (leaky_relu, elu, selu, softplus, silu, mish, hardswish, hardtanh, softsign, softshrink, logsigmoid):
    print(f"{f.name:>10} ", "".join("-" if y < -0.05 else f"{abs(y):.0f}" for y in f(xs).tolist()))
