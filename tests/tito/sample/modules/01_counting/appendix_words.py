# %% [markdown]
# # Words for numbers

# %%
#| export
WORDS = ("none", "one", "two", "many")
