# %% [markdown]
# # Kernels

# %%
#| export
"""Kernels."""
