# %% [markdown]
# # Appendix: bends in one walk
#
# In NumPy `gelu` is a dozen walks over memory. In C it is one: a number is fetched, everything that is to
# be done to it is done, and it is put back. The formulas stand here as they stand in a book; the loop
# around them is `walk`, which you wrote.

# %%
#| export
"""Activation functions in one walk, both ways."""

# %%
#| export
from __future__ import annotations

import numpy as np

from tinytorch.activations import gelu, relu, sigmoid
from tinytorch.bends import leaky_relu, silu
from tinytorch.column import DECLINED, kernel
from tinytorch.compiling import Library, ordered, plain
from tinytorch.kernels import walk

# %%
#| export
BENDS = Library("bends", r"""
static inline float bell(float x) { return 0.3989422804f * exp_(-0.5f * x * x); }
static inline float share(float x) { return 0.5f + 0.5f * erf_(0.7071067812f * x); }
static inline float steep(float x) { return 1.5957691216f * x * FMA(0.044715f * x, x, 1.0f); }

static inline float gelu_slope(float x) { return FMA(x, bell(x), share(x)); }
static inline float silu_slope(float x) { float s = sigmoid_(x); return s * FMA(x, 1 - s, 1.0f); }
static inline float gelu_tanh_slope(float x) {
    float s = sigmoid_(steep(x)), growth = 1.5957691216f * FMA(3 * 0.044715f * x, x, 1.0f);
    return FMA(x * s, (1 - s) * growth, s);
}
"""
    + walk("gelu", "x", "x * share(x)")
    + walk("gelu_back", "g x", "g * gelu_slope(x)")
    + walk("gelu_tanh", "x", "x * sigmoid_(steep(x))")
    + walk("gelu_tanh_back", "g x", "g * gelu_tanh_slope(x)")
    + walk("silu", "x", "x * sigmoid_(x)")
    + walk("silu_back", "g x", "g * silu_slope(x)")
    + walk("sigmoid", "x", "sigmoid_(x)")
    + walk("sigmoid_back", "g y", "g * y * (1 - y)")
    + walk("relu_back", "g y", "y <= 0 ? 0 : g")
    + walk("leaky_relu", "x", "x > 0 ? x : c * x")
    + walk("leaky_relu_back", "g x", "x > 0 ? g : c * g"))

# %% [markdown]
# Each kernel looks whether its numbers are what it was written for, and makes the array that they go to.

# %%
#| export
def bent(bend: str, x, c: float = 0.0):
    """What a function of BENDS makes of an array."""
    if not plain(x): return DECLINED
    out = np.empty_like(x)
    getattr(BENDS, bend)(out, x, c)
    return out


def bent_back(bend: str, g, x, c: float = 0.0):
    """The gradient before a bend, from the one behind it and the numbers that it is told by."""
    if not plain(x) or g.dtype != x.dtype: return DECLINED
    out = np.empty_like(x)
    getattr(BENDS, bend)(out, ordered(g), x, c)
    return out,


@kernel(gelu, engine="c")
def _(x, approximate="none"):
    if approximate not in GELUS: return DECLINED                # the forward has a sentence for that
    return bent(GELUS[approximate], x)


@kernel(gelu, engine="c", gradient=True)
def _(g, _out, x, approximate): return bent_back(f"{GELUS[approximate]}_back", g, x)


GELUS = {"none": "gelu", "tanh": "gelu_tanh"}


@kernel(silu, engine="c")
def _(x): return bent("silu", x)


@kernel(silu, engine="c", gradient=True)
def _(g, _out, x): return bent_back("silu_back", g, x)


@kernel(sigmoid, engine="c")
def _(x): return bent("sigmoid", x)


@kernel(sigmoid, engine="c", gradient=True)
def _(g, out, _x): return bent_back("sigmoid_back", g, out)


@kernel(relu, engine="c", gradient=True)
def _(g, out, _x): return bent_back("relu_back", g, out)


@kernel(leaky_relu, engine="c")
def _(x, negative_slope=0.01): return bent("leaky_relu", x, negative_slope)


@kernel(leaky_relu, engine="c", gradient=True)
def _(g, _out, x, negative_slope): return bent_back("leaky_relu_back", g, x, negative_slope)
