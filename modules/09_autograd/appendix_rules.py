# %% [markdown]
# # Appendix: the book of rules
#
# Rules lie in a table, and this is how to look one up. `print(rule_of(tinytorch.tanh))` shows the rule of tanh,
# as it was written.

# %%
#| export
"""The rules of all ops, and a way to read them."""

# %%
#| export
from __future__ import annotations

import inspect

from tinytorch import (         # whoever has the book has all its pages
    rules_attention,
    rules_bends,
    rules_convolution,
    rules_dense,
    rules_elementwise,
    rules_linalg,
    rules_normalization,
    rules_pooling,
    rules_recurrent,
)
from tinytorch.receipts import RULES
from tinytorch.tensor import Op

# %%
#| export
def rule_of(op: Op) -> str:
    """The source of the rule by which an op hands on gradients."""
    if op not in RULES: raise NotImplementedError(f"{op.name} has no gradient yet: write one under @gradient({op.name})")
    return f"nothing flows back through {op.name}" if RULES[op] is None else inspect.getsource(RULES[op].function)
