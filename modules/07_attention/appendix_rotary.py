# %% [markdown]
# # Appendix: rotary positions
#
# The lesson's sinusoids are *added* to a row, and what a word is and where it stands get mixed up.
# **Rotary** positions (Su et al., RoFormer, 2021) turn the queries and keys instead: each pair of their
# numbers is a point in a plane, and at place `t` it is turned by `t` times the pair's own angle. A dot
# product only feels how far two points are turned against each other. So a score depends on what the two
# words are, and on how far apart they stand, and on nothing else. Nothing is learned, and there is no last
# place.

# %%
#| export
"""Places as rotations of queries and keys."""

# %%
#| export
from __future__ import annotations

import numpy as np

from tinytorch.errors import ShapeError, shape_of
from tinytorch.tensor import Op, Tensor

# %%
#| export
def rotary_angles(length: int, width: int, base: float = 10000.0, start: int = 0) -> Tensor:
    """How far each pair is turned at each place, from place `start` on.  () -> (length, width / 2)"""
    if width % 2: raise ShapeError(f"rows of {width} numbers do not make pairs")
    speeds = base ** (-np.arange(0, width, 2) / width)
    return Tensor((np.arange(start, start + length)[:, None] * speeds).astype(np.float32))


@Op
def rotate(input, angles, /, *, interleaved=False):
    """Each pair of numbers turned by its angle.  (*, T, width), (T, width / 2) -> (*, T, width)

    A pair is a number and the one half a row away (LLaMA) or, interleaved, two neighbours (the paper).
    """
    if input.shape[-1] != 2 * angles.shape[-1]:
        raise ShapeError(f"rotate cannot take {shape_of(input)} and {shape_of(angles)}: a pair has an angle")
    half = angles.shape[-1]
    first, second = slice(half), slice(half, None)
    if interleaved: first, second = slice(0, None, 2), slice(1, None, 2)
    x, y = input[..., first], input[..., second]
    cos, sin = [f(angles).astype(input.dtype) for f in (np.cos, np.sin)]
    out = np.empty_like(input)
    out[..., first], out[..., second] = x * cos - y * sin, x * sin + y * cos
    return out

# %% [markdown]
# The score of two words three places apart, early in a text and late:

# %%
q, k = [Tensor(np.random.default_rng(i).standard_normal((1, 64), np.float32)) for i in (0, 1)]
for t in (3, 500):
    print(t, rotate(q, rotary_angles(1, 64, start=t)) @ rotate(k, rotary_angles(1, 64, start=t - 3)).mT)
