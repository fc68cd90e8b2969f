# %% [markdown]
# # Counting
#
# After one comes two.

# %%
#| export
"""Counting: one number after another."""

# %%
#| export
from tinytorch.words import WORDS

# %% [markdown]
# ## One more
#
# **Your turn.** What comes after `n`?

# %%
#| export exercise
def after(n):
    """The number after n."""
    #| hint Think of one more pebble.
    #| hint Add one to n.
    ### BEGIN SOLUTION
    return n + 1
    ### END SOLUTION

# %%
#| check 2
assert after(1) == 2, "after one comes two"

# %% [markdown]
# ## Two at a time

# %%
#| export exercise
def twice(n):
    """As many again."""
    #| hint after() counts one; this one counts n.
    ### BEGIN SOLUTION
    return n + n
    ### END SOLUTION

# %%
#| check 3
assert twice(3) == 6, "twice three is six"

# %%
#| check 1 hidden
assert twice(-1) == -2, "debts double too"

# %%
#| export
def word(n): return WORDS[min(n, 3)]
