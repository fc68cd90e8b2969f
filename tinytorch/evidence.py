# Generated from modules/14_benchmarking/appendix_evidence.py by `tito export`. Edit that file, not this one.
"""Evidence that one thing is faster than another: resampling, signs, ranks, races until one is sure."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from .benchmarking import Ratio, in_turns, paired, verdict
from .setup import Clock, Run, Timing

__all__ = ["bootstrap", "sign_test", "mann_whitney", "exact_ranks", "race"]


def bootstrap(
    values: Sequence[float],
    statistic: Callable = np.mean,      # of an array of samples, along axis=1
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Between which numbers a statistic of such values lies: the percentiles of its resampled values."""
    if not len(values): raise ValueError("there is nothing to draw from")
    draws = np.random.default_rng(seed).choice(np.asarray(values, float), (resamples, len(values)))
    spare = 50 * (1 - confidence)
    low, high = np.percentile(statistic(draws, axis=1), [spare, 100 - spare])
    return float(low), float(high)


def sign_test(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How often fair coins would be at least as one-sided as these pairs; ties are left out."""
    wins = [a < b for a, b in zip(ours, theirs) if a != b]
    n, fewer = len(wins), min(sum(wins), len(wins) - sum(wins))
    return min(1.0, 2 * sum([math.comb(n, k) for k in range(fewer + 1)]) / 2**n)


def mann_whitney(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How often two samples of one kind would differ at least as much in rank (two-sided)."""
    a, b = np.asarray(ours, float)[:, None], np.asarray(theirs, float)[None]
    n, m = a.size, b.size
    u = float((a < b).sum() + 0.5 * (a == b).sum())
    if n * m <= 400 and not np.isin(a, b).any(): return exact_ranks(n, m, min(u, n * m - u))
    _, ties = np.unique(np.concatenate([a[:, 0], b[0]]), return_counts=True)
    total = n + m
    spread = math.sqrt(n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1))))
    away = max(abs(u - n * m / 2) - 0.5, 0.0)           # half a step: U is whole, and the normal is not
    return math.erfc(away / spread / math.sqrt(2)) if spread else 1.0


def exact_ranks(n: int, m: int, u: float) -> float:
    """Of all ways to deal n + m ranks, the share with a U of at most u, on either side."""
    ways = np.zeros(n * m + 1)                          # by U: the coefficients of Gauss's binomial
    ways[0] = 1
    for i in range(1, n + 1):
        more = ways.copy()
        more[m + i :] -= ways[: -(m + i)]
        for k in range(i, len(more)): more[k] += more[k - i]
        ways = more
    return min(1.0, 2 * ways[: int(u) + 1].sum() / math.comb(n + m, n))


def race(
    ours: Run, theirs: Run,
    width: float = 0.05,                # how wide the interval of the ratio may be
    seconds: float = 2.0,               # how long the race may take
    portion: int = 10,
    clock: Clock = time.perf_counter,
) -> Ratio:
    """The ratio of two runs, timed in turns until it is known well enough or the time is over."""
    start, a, b = clock(), [], []
    while True:
        more = in_turns(ours, theirs, rounds=portion, clock=clock)
        a += more[0].seconds
        b += more[1].seconds
        found = paired(Timing(tuple(a)), Timing(tuple(b)))
        if found.high - found.low <= width or clock() - start >= seconds: return found
