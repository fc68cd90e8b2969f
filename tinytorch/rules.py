# Generated from modules/09_autograd/appendix_rules.py by `tito export`. Edit that file, not this one.
"""The rules of all ops, and a way to read them."""

from __future__ import annotations

import inspect

from . import (  # whoever has the book has all its pages
    rules_attention, rules_bends, rules_convolution, rules_dense, rules_elementwise, rules_linalg,
    rules_normalization, rules_pooling, rules_recurrent,
)
from .receipts import RULES
from .tensor import Op

__all__ = ["rule_of"]


def rule_of(op: Op) -> str:
    """The source of the rule by which an op hands on gradients."""
    if op not in RULES: raise NotImplementedError(f"{op.name} has no gradient yet: write one under @gradient({op.name})")
    return f"nothing flows back through {op.name}" if RULES[op] is None else inspect.getsource(RULES[op].function)
