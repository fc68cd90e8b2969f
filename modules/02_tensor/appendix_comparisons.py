# %% [markdown]
# # Appendix: comparisons
#
# Six ops that answer with `bool` tensors; there is nothing to learn from typing all of them.

# %%
#| export
"""Comparisons, number by number; the answers are bools."""

# %%
#| export
from __future__ import annotations

from tinytorch.methods import METHODS
from tinytorch.tensor import pointwise

# %%
#| export
@pointwise
def eq(input, other, /):
    """Where the two are equal.  (*), (*) -> (*) bool"""
    return input == other


@pointwise
def ne(input, other, /):
    """Where the two differ.  (*), (*) -> (*) bool"""
    return input != other


@pointwise
def lt(input, other, /):
    """Where the first is smaller.  (*), (*) -> (*) bool"""
    return input < other


@pointwise
def le(input, other, /):
    """Where the first is smaller or equal.  (*), (*) -> (*) bool"""
    return input <= other


@pointwise
def gt(input, other, /):
    """Where the first is larger.  (*), (*) -> (*) bool"""
    return input > other


@pointwise
def ge(input, other, /):
    """Where the first is larger or equal.  (*), (*) -> (*) bool"""
    return input >= other

# %%
#| export
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne      # their longer names
METHODS.update(greater=gt, greater_equal=ge, less=lt, less_equal=le, not_equal=ne)
