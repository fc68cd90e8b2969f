# Generated from modules/01_setup/setup.py by `tito export`. Edit that file, not this one.
"""A stopwatch, a scale for memory, and the two ceilings of this machine."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "Run", "Clock", "seconds_of", "HandClock", "median", "batch_size", "Timing", "readable", "timed",
    "peak_memory", "matmul_flops", "gemm_ceiling", "bandwidth_ceiling", "least_seconds",
]


Run = Callable[[], object]          # something to be measured: a function without arguments
Clock = Callable[[], float]         # says how late it is, in seconds


def seconds_of(run: Run, times: int = 1, clock: Clock = time.perf_counter) -> float:
    """The seconds that `times` runs in a row take together."""
    start = clock()
    for _ in range(times): run()
    return clock() - start


class HandClock:
    """A clock that stands still until somebody turns it: for testing what measures time."""

    def __init__(self): self.now = 0.0
    def __call__(self) -> float: return self.now
    def turn(self, seconds: float) -> None: self.now += seconds


def median(values: Sequence[float]) -> float:
    """The value in the middle of the sorted values, or halfway between the two in the middle."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def batch_size(run: Run, at_least: float = 1e-3, clock: Clock = time.perf_counter) -> int:
    """The first of 1, 2, 4, 8 … runs that together take `at_least` seconds or more."""
    times = 1
    while seconds_of(run, times, clock) < at_least: times *= 2
    return times


@dataclass(frozen=True)
class Timing:
    """How long one run takes: the seconds a run, for each batch that was timed."""

    seconds: tuple[float, ...]

    best = property(lambda self: min(self.seconds))
    median = property(lambda self: median(self.seconds))

    def __str__(self): return f"{readable(self.median)} (best {readable(self.best)})"


def readable(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, size in [("s", 1), ("ms", 1e-3), ("µs", 1e-6)]:
        if seconds >= size: return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def timed(
    run: Run,
    *,
    repeat: int = 9,                        # batches to time
    at_least: float = 1e-3,                 # seconds a batch should take
    clock: Clock = time.perf_counter,
) -> Timing:
    """How long `run()` takes: warmed up, in batches, repeated."""
    run()
    times = batch_size(run, at_least, clock)
    return Timing(tuple([seconds_of(run, times, clock) / times for _ in range(repeat)]))


def peak_memory(run: Run) -> int:
    """The most bytes in use at once during `run()`, beyond those that were in use before."""
    tracing = tracemalloc.is_tracing()
    if not tracing: tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        run()
        _, peak = tracemalloc.get_traced_memory()
        return peak - before
    finally:
        if not tracing: tracemalloc.stop()


def matmul_flops(n: int, k: int, m: int) -> int:
    """The floating-point operations in the product of an (n, k) and a (k, m) matrix."""
    return 2 * n * k * m


def gemm_ceiling(n: int = 1024, timer: Callable[[Run], Timing] = timed) -> float:
    """The GFLOP/s of a large float32 matrix product: the most arithmetic this machine will do for us."""
    a, b = np.ones((n, n), np.float32), np.ones((n, n), np.float32)
    return matmul_flops(n, n, n) / timer(lambda: a @ b).best / 1e9


def bandwidth_ceiling(megabytes: int = 64, timer: Callable[[Run], Timing] = timed) -> float:
    """The GB/s of a large copy, bytes read and written: the most this machine's memory will move for us."""
    source = np.ones(megabytes * 1_000_000 // 4, np.float32)
    target = np.ones_like(source)
    return 2 * source.nbytes / timer(lambda: np.copyto(target, source)).best / 1e9


def least_seconds(flops: float, moved: float, gflops: float, bandwidth: float) -> float:
    """The seconds that so many operations and bytes moved take at least, under these two ceilings."""
    return max(flops / gflops, moved / bandwidth) / 1e9
