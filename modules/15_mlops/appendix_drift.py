# %% [markdown]
# # Appendix: drift
#
# How likely is the distance of two small samples, exactly? And how are 64 features watched, hour after
# hour, without crying wolf?

# %%
#| export
"""The two-sample test of Kolmogorov and Smirnov, exactly, and a watch over many features."""

# %%
#| export
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tinytorch.mlops import kolmogorov, ks_distance, psi

EXACT = 4_000_000               # up to so many pairs, chances are counted; beyond, Kolmogorov's limit is good

# %% [markdown]
# Mix the two samples, sort them, and walk: a step to the right for a number of the first, a step up for one
# of the second. If both samples are of one kind, all walks from (0, 0) to (N, M) are equally likely. `D` is
# below `d` if the walk stays near the diagonal: at every corner (i, j), |i/N - j/M| < d. So count the walks
# that do (Hodges, 1957). They are more than fit into any float; carried along instead of their number is
# their share, row by row, as Schröer and Trenkler (1995) do.

# %%
#| export
def ks_chance(n: int, m: int, distance: float) -> float:
    """How likely two samples of one kind, of n and m numbers without ties, are at least so far apart."""
    if n * m > EXACT: return kolmogorov(math.sqrt(n * m / (n + m)) * distance)
    steps = round(distance * n * m)                                 # |i m - j n| is a whole number
    if steps <= 0: return 1.0
    near = np.abs(np.arange(n + 1)[:, None] * m - np.arange(m + 1) * n) < steps
    # of walks to (0, j), those that stayed near
    share = np.cumprod(near[0]).astype(float)
    for i in range(1, n + 1):
        weighed = np.where(near[i], share * (i / (i + m)), 0.0)
        share = np.where(near[i], running(weighed, near[i]), 0.0)
    return float(min(1.0, max(0.0, 1.0 - share[-1])))


def running(numbers, inside):
    """Running totals over the one stretch where `inside` holds."""
    return np.cumsum(np.where(inside, numbers, 0.0))


class KS(NamedTuple):
    """How far two samples are apart, and how likely that is for two of one kind."""

    statistic: float
    pvalue: float


def ks_test(a, b) -> KS:
    """The two-sample test of Kolmogorov and Smirnov. Ties make it careful: the true chance is smaller."""
    a, b = np.asarray(a).reshape(-1), np.asarray(b).reshape(-1)
    if not len(a) or not len(b): raise ValueError("the test wants at least one number in each sample")
    distance = ks_distance(a, b)
    return KS(distance, ks_chance(len(a), len(b), distance))

# %%
ks_test([0.1, 0.4, 0.7], [0.2, 0.9, 1.3, 1.5])

# %% [markdown]
# ## A watch
#
# The reference is looked at once: its bins are cut and its columns sorted. Each window of new input is then
# a row of a report. A feature is reported if it is *both* unlikely (after Bonferroni) and large: with a
# million numbers, everything is unlikely.

# %%
#| export
class Drifted(NamedTuple):
    """What a window of new input looks like beside the reference."""

    psi: np.ndarray                 # (F,)
    distance: np.ndarray            # (F,)
    pvalue: np.ndarray              # (F,)
    features: list[int]             # those that drifted, the farthest first

    @property
    def share(self) -> float: return len(self.features) / len(self.psi)


class DriftWatch:
    """Compares windows of input with a reference, feature by feature."""

    def __init__(
        self, reference,                # (N, F): what the model was made for
        bins: int = 10,
        above: float = 0.25,            # the index from which on a change is large
        chance: float = 0.05,           # of a false alarm, in a window, over all features
    ):
        self.reference, self.bins, self.above, self.chance = np.asarray(reference), bins, above, chance

    def check(self, now) -> Drifted:
        """The report of a window.  (M, F)"""
        now = np.asarray(now)
        if now.shape[1:] != self.reference.shape[1:]:
            raise ValueError(f"{now.shape[1:]} features cannot be compared with {self.reference.shape[1:]}")
        index = psi(self.reference, now, self.bins)
        tests = [ks_test(old, new) for old, new in zip(self.reference.T, now.T)]
        distance, pvalue = np.array(tests).T
        found = np.flatnonzero((pvalue < self.chance / len(tests)) & (index > self.above))
        return Drifted(index, distance, pvalue, found[np.argsort(-index[found])].tolist())
