# %% [markdown]
# # Appendix: in pieces
#
# A formula of a dozen steps walks a dozen times over its numbers. If they are many, each walk fetches them
# from memory again. The same dozen walks over a **piece** that fits into the processor's cache fetch it once;
# then comes the next piece. The work stays the same, only the way to it is shorter.

# %%
#| export
"""Array code over some rows at a time."""

# %%
#| export
from __future__ import annotations

import numpy as np

from tinytorch.tensor import Kept

# %%
#| export
PIECE = 1 << 15                     # numbers whose dozen passes stay in a cache of a megabyte


def worth_cutting(x) -> bool:
    """Whether x is larger than a piece, and has rows to cut between."""
    return x.size > PIECE and len(x) > 1


def in_pieces(f, *arrays, **settings):
    """f of arrays with equally many rows, which treats every row by itself, a piece at a time."""
    if not worth_cutting(arrays[0]): return f(*arrays, **settings)
    rows, wholes = max(1, PIECE * len(arrays[0]) // arrays[0].size), None
    for start in range(0, len(arrays[0]), rows):
        some = slice(start, start + rows)
        found = f(*[x[some] for x in arrays], **settings)
        parts = [found[0], *found[1]] if isinstance(found, Kept) else [found]
        if wholes is None: wholes = [np.empty_like(x, shape=(len(arrays[0]), *x.shape[1:])) for x in parts]
        for whole, part in zip(wholes, parts): whole[some] = part
    return Kept(*wholes) if isinstance(found, Kept) else wholes[0]
