# %% [markdown]
# # Appendix: the book of rules
#
# Rules lie in a table, and this is how to look one up. `print(rule_of(tinytorch.tanh))` shows the rule of
# tanh, as it was written.

# %%
#| export
"""The rules of all ops, and a way to read them."""

# %%
#| export
from __future__ import annotations

import inspect

from tinytorch import rules_bends, rules_numbers, rules_linalg
from tinytorch.receipts import RULES
from tinytorch.tensor import Op

# %%
#| export
PAGES = (rules_bends, rules_numbers, rules_linalg)      # the last turns over the pages before it


def rule_of(op: Op) -> str:
    """The source of the rule by which an op hands on gradients."""
    if op not in RULES: return f"{op.name} has no gradient yet: write one under @gradient({op.name})"
    if RULES[op] is None: return f"nothing flows back through {op.name}"
    return inspect.getsource(RULES[op].function)
