# Generated from modules/02_tensor/appendix_comparisons.py by `tito export`. Edit that file, not this one.
"""Comparisons, number by number; the answers are bools."""

from __future__ import annotations

from .methods import METHODS
from .tensor import pointwise

__all__ = ["eq", "ne", "lt", "le", "gt", "ge", "greater", "greater_equal", "less", "less_equal", "not_equal"]


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


greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne      # their longer names
METHODS.update(greater=gt, greater_equal=ge, less=lt, less_equal=le, not_equal=ne)
