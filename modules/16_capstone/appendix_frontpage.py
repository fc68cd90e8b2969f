# %% [markdown]
# # Appendix: a page to try it
#
# One page of HTML, in the package, with nothing to fetch from anywhere else.

# %%
#| export
"""The page at /: models, how long they take, a canvas for digits, and a box for texts."""

PAGE = r"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>tinytorch</title><body>to come</body></html>
"""
