# %% [markdown]
# # Appendix: what rules share
#
# A rule holds calculus. Three small matters come up in so many of them that they are settled here: a
# dimension that a reduction took away, the array in a tensor's box, and gradients that wait to be computed.

# %%
#| export
"""What the rules of many ops have in common."""

# %%
#| export
from __future__ import annotations

import math
from collections.abc import Callable

from tinytorch.tensor import Tensor

# %% [markdown]
# `x.sum(1)` of a `(2, 3)` is a `(2,)`, and so is the gradient that arrives. To be stretched over `(2, 3)`
# again, it has to be a `(2, 1)`: `over` puts a 1 back for each dimension that was taken away.

# %%
#| export
def over(g, dim, keepdim: bool, ndim: int):
    """The gradient of a reduction, with a 1 for each dimension that was taken away."""
    if keepdim or ndim == 0: return g
    places = range(ndim) if dim is None or dim in ((), []) else sorted([d % ndim for d in dims_of(dim)])
    shape = list(g.shape)
    for place in places: shape.insert(place, 1)
    return g.reshape(tuple(shape))


def counted(shape: tuple, dim) -> int:
    """How many numbers a reduction over `dim` makes one of."""
    if dim is None or dim in ((), []) or not shape: return math.prod(shape)
    return math.prod([shape[d] for d in dims_of(dim)])


def dims_of(dim) -> tuple:
    """One dimension or several, as a tuple."""
    return tuple(dim) if isinstance(dim, (list, tuple)) else (dim,)

# %%
#| export
def bare(x):
    """The array in a tensor's box; anything else as it is."""
    return x.array if isinstance(x, Tensor) else x


def listed(x) -> list:
    """One or several, as a list."""
    return [x] if isinstance(x, Tensor) or x is None else list(x)


def handed_on(rule: Callable, *values, **settings) -> list:
    """The gradients that a rule gives, with those that wait computed."""
    return [g() if callable(g) else g for g in rule(*values, **settings)]
