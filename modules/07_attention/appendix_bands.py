# %% [markdown]
# # Appendix: in bands
#
# All scores at once are a square, and the square is what makes attention dear. But no query needs the scores
# of another. So they come in **bands** of 64, and there is never more than a band of the square. And where a
# mask hides the end of the line from a whole band, as it does if nobody may look ahead, the band is computed
# without it: of a long line, nearly half of the square is never made.

# %%
#| export
"""Attention for some queries at a time, and when scores need no maximum."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.devices import at_home
from tinytorch.tensor import Kept

# %%
#| export
BAND = 64                           # queries; a band of scores should fit into the cache


def bands(mask, T: int, S: int):
    """Some queries at a time: which, how many of the keys they may look at, and their part of the mask."""
    if mask is not None: mask = np.broadcast_to(mask, (*mask.shape[:-2], T, S))
    for start in range(0, T, BAND):
        rows = slice(start, start + BAND)
        if mask is None:
            yield rows, S, None
            continue
        if not (S and at_home(mask)):           # to look which keys are hidden would be to wait for the GPU
            yield rows, S, mask[..., rows, :]
            continue
        hidden = mask[..., rows, :] == -np.inf
        seen = np.flatnonzero(~hidden.reshape(-1, S).all(axis=0))
        n = int(seen[-1]) + 1 if len(seen) else min(S, 1)
        yield rows, n, mask[..., rows, :n]


def in_bands(attend, query, key, value, mask, keep, scale):
    """What `attend` makes of all queries, a band at a time."""
    T, S, wholes = query.shape[-2], key.shape[-2], None
    key = np.ascontiguousarray(key.mT).mT                   # as the product of each band wants it
    for rows, n, part in bands(mask, T, S):
        looks = None if keep is None else np.broadcast_to(keep, (*keep.shape[:-2], T, S))[..., rows, :n]
        out, (log_total,) = attend(query[..., rows, :], key[..., :n, :], value[..., :n, :], part, looks,
                                   scale=scale)
        parts = out, log_total
        if wholes is None: wholes = [room_like(query, (*x.shape[:-2], T, x.shape[-1])) for x in parts]
        for whole, x in zip(wholes, parts): whole[..., rows, :] = x
    return Kept(*wholes)


def room_like(array, shape):
    """Room for an output whose dimensions lie in memory in the order of the array's."""
    return np.empty_like(array, shape=shape)

# %% [markdown]
# The largest score of each row is there for `exp`, which overflows without it. Two walks over all scores tell
# whether it would, and they are quick: the smallest and the largest of all. Mostly both are near 0.

# %%
#| export
def near_zero(scores, mask) -> bool:
    """Whether exp of any score can be added up as it is, with a mask that only hides."""
    if not at_home(scores): return False            # to look would be to wait for the GPU
    if mask is not None and not ((mask == 0) | (mask == -np.inf)).all(): return False
    far = math.log(np.finfo(scores.dtype).max) / 3
    return bool(scores.size and -far < scores.min() and scores.max() < far)
