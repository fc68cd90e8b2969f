# %% [markdown]
# # Adding
#
# Two and two make four.

# %%
#| export
from tinytorch.counting import after

# %%
#| export exercise
def add(x, y):
    """As many as x and y together."""
    #| hint Count on from x.
    ### BEGIN SOLUTION
    together = x
    for _ in range(y): together = after(together)
    return together
    ### END SOLUTION

# %%
#| check 2
assert add(2, 2) == 4, "two and two make four"
