# Generated from modules/09_autograd/appendix_rules.py by `tito export`. Edit that file, not this one.
"""The rules of all ops, and a way to read them."""

from __future__ import annotations

import inspect

from . import rules_bends, rules_linalg, rules_numbers
from .receipts import RULES
from .tensor import Op

__all__ = ["PAGES", "rule_of"]


PAGES = (rules_bends, rules_numbers, rules_linalg)      # the last turns over the pages before it


def rule_of(op: Op) -> str:
    """The source of the rule by which an op hands on gradients."""
    if op not in RULES: return f"{op.name} has no gradient yet: write one under @gradient({op.name})"
    if RULES[op] is None: return f"nothing flows back through {op.name}"
    return inspect.getsource(RULES[op].function)
