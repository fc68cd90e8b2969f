# %% [markdown]
# # Appendix: printing numbers

# %%
#| export
"""Arrays as PyTorch prints them."""

# %%
#| export
def describe_array(array, requires_grad=False, receipt=None) -> str:
    return f"tensor({array})"
