# %% [markdown]
# # Setup
#
# A number is the beginning of an argument; a feeling is the end of one. In this course you will often make
# something faster, and more often believe that you did. So the first thing you build is a stopwatch that does
# not flatter, the second a scale for memory, and with both you find the two numbers that no program on this
# machine can beat.
#
# What you write here is not thrown away. Cells that begin with `#| export` become a Python package called
# `tinytorch`, next to this notebook, and every later lesson imports what you wrote in the earlier ones. At
# the end of this one you will own your first module.

# %%
#| export
"""A stopwatch, a scale for memory, and the two ceilings of this machine."""

# %%
#| export
from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Run = Callable[[], object]          # something to be measured: a function without arguments
Clock = Callable[[], float]         # says how late it is, in seconds

# %% [markdown]
# ## Where are you?
#
# One thing is given: a report on the machine. Look whether it knows your processor, and how many cores it
# counts.

# %%
from tinytorch.version import show_versions

show_versions()

# %% [markdown]
# ## How long does it take?
#
# Here are a million numbers (`np` is NumPy, and a `float32` a number of four bytes, the kind that networks
# are made of), and one way to time a function of them. Run the cell several times. What do you get?

# %%
numbers = np.linspace(-1, 1, 1_000_000, dtype=np.float32)

start = time.time()
np.exp(numbers)
time.time() - start

# %% [markdown]
# Three things are wrong. `time.time()` is the clock on the wall: it can be set back while you look. Of the
# clocks in Python, `time.perf_counter()` is the one for measuring: it only moves forward, in the smallest
# steps there are. Here are the seconds between ten looks at it:

# %%
ticks = [time.perf_counter() for _ in range(10)]
np.diff(ticks)

# %% [markdown]
# So even looking at the clock takes tens or hundreds of nanoseconds, and an addition takes less than one. To
# measure something short, do it many times and divide.
#
# **Your turn.** How many seconds do `times` runs take together? The clock is an argument. You will see why in
# a moment.

# %%
#| export exercise
def seconds_of(run: Run, times: int = 1, clock: Clock = time.perf_counter) -> float:
    """The seconds that `times` runs in a row take together."""
    #| hint Look at the clock, run in a loop, look at the clock again. What is the difference?
    ### BEGIN SOLUTION
    start = clock()
    for _ in range(times): run()
    return clock() - start
    ### END SOLUTION

# %% [markdown]
# How does one test a stopwatch? Not with real time, which is different on every machine. With a clock that
# moves only when told to:

# %%
#| export
class HandClock:
    """A clock that stands still until somebody turns it: for testing what measures time."""

    def __init__(self): self.now = 0.0
    def __call__(self) -> float: return self.now
    def turn(self, seconds: float) -> None: self.now += seconds

# %%
#| check 1
clock = HandClock()
assert seconds_of(lambda: clock.turn(2.0), 1, clock) == 2.0, \
    "a run that turns the clock by 2 seconds takes 2 seconds"
assert seconds_of(lambda: clock.turn(0.5), 8, clock) == 4.0, "8 runs of half a second take 4 seconds together"
assert seconds_of(lambda: clock.turn(1.0), 0, clock) == 0.0, "what does not run takes no time"
assert clock.now == 6.0, "run() is called exactly as often as asked, and not once more"

# %% [markdown]
# The second thing wrong is that we looked once. Here are 300 looks at the same work, as a picture; each row
# counts the runs that took about so long:

# %%
def histogram(values, rows=12, width=60):
    """How often values fall into each of `rows` equal ranges, as bars. The slowest twentieth is left out."""
    values = np.sort(values)[: int(0.95 * len(values))]
    counts, edges = np.histogram(values, rows)
    for count, edge in zip(counts, edges):
        print(f"{1e3 * edge:8.3f} ms  {'#' * round(width * count / counts.max())}")

looks = [seconds_of(lambda: np.exp(numbers)) for _ in range(300)]
histogram(looks)
print(f"the slowest took {max(looks) / min(looks):.1f} times as long as the fastest")

# %% [markdown]
# Usually it is a hill with a steep side and a long tail. Nothing ever makes a computer faster than it is;
# much makes it slower: other programs, the operating system, a processor that has got warm. So the **best**
# run tells what the code can do, and the **median**, the run in the middle, what it usually does. The mean
# tells what the accidents were like. Which of the three changes most when you run this cell again?

# %%
for _ in range(3):
    looks = [seconds_of(lambda: np.exp(numbers)) for _ in range(30)]
    print("  ".join([f"{f.__name__} {1e3 * f(looks):.3f} ms" for f in (np.min, np.median, np.mean)]))

# %% [markdown]
# **Your turn.** The number in the middle. If there are two in the middle, the one halfway between them.

# %%
#| export exercise
def median(values: Sequence[float]) -> float:
    """The value in the middle of the sorted values, or halfway between the two in the middle."""
    #| hint Sort them first. In a sorted list of 5, the middle one has index 2, which is 5 // 2.
    #| hint In a list of 4 the two in the middle have indices 1 and 2.
    #| hint (n - 1) // 2 and n // 2 are the right indices for odd and for even n.
    ### BEGIN SOLUTION
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    ### END SOLUTION

# %%
#| check 1
shuffled = [9.0, 1.0, 2.0]
assert median(shuffled) == 2.0, "the middle of 1, 2, 9 is 2: it is the sorted values that have a middle"
assert median([4.0, 1.0, 3.0, 100.0]) == 3.5, "two in the middle, 3 and 4: the median is halfway between"
assert median([7.0]) == 7.0, "a single value is in the middle of itself"
assert shuffled == [9.0, 1.0, 2.0], "the caller's list stays as it was: sorted() makes a new one"

# %% [markdown]
# The third thing wrong is the *first* run. Memory that was never touched has to be found, code to be loaded,
# a sleepy processor to be woken:

# %%
fresh = np.random.default_rng(0).standard_normal((500, 500))
[f"{1e3 * seconds_of(lambda: np.linalg.inv(fresh)):.1f} ms" for _ in range(5)]

# %% [markdown]
# An honest measurement therefore
#
# 1. runs once without looking: the **warm-up**;
# 2. finds out how many runs make a stretch long enough to measure, and always times so many together: a
#    **batch**;
# 3. times several batches and keeps them all, for the median and the best.
#
# **Your turn**, with the second step. Try 1 run, then 2, 4, 8 …, until a batch takes at least `at_least`
# seconds.

# %%
#| export exercise
def batch_size(run: Run, at_least: float = 1e-3, clock: Clock = time.perf_counter) -> int:
    """The first of 1, 2, 4, 8 … runs that together take `at_least` seconds or more."""
    #| hint A while loop around seconds_of: as long as the batch is too short, double it.
    ### BEGIN SOLUTION
    times = 1
    while seconds_of(run, times, clock) < at_least: times *= 2
    return times
    ### END SOLUTION

# %%
#| check 1
clock = HandClock()
assert batch_size(lambda: clock.turn(5.0), 1.0, clock) == 1, \
    "a run that is long enough alone makes a batch of 1"
assert batch_size(lambda: clock.turn(0.25), 1.0, clock) == 4, \
    "4 runs of a quarter second are one second: enough"
assert batch_size(lambda: clock.turn(0.25), 1.5, clock) == 8, \
    "when 4 runs are too short, take 8: each try doubles the batch"

# %% [markdown]
# What comes out is a small value that remembers every batch:

# %%
#| export
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

# %% [markdown]
# **Your turn.** Put the three steps together.

# %%
#| export exercise
def timed(
    run: Run,
    *,
    repeat: int = 9,                        # batches to time
    at_least: float = 1e-3,                 # seconds a batch should take
    clock: Clock = time.perf_counter,
) -> Timing:
    """How long `run()` takes: warmed up, in batches, repeated."""
    #| hint The warm-up is a plain run(). Then ask batch_size how many runs make a batch.
    #| hint Each of the `repeat` numbers is the time of a whole batch divided by the runs in it.
    ### BEGIN SOLUTION
    run()
    times = batch_size(run, at_least, clock)
    return Timing(tuple([seconds_of(run, times, clock) / times for _ in range(repeat)]))
    ### END SOLUTION

# %%
#| check 3
clock, costs = HandClock(), iter([64.0])
first_slow = timed(lambda: clock.turn(next(costs, 0.25)), repeat=5, at_least=1.0, clock=clock)
assert len(first_slow.seconds) == 5, "repeat is the number of batches that are timed"
assert first_slow.seconds == (0.25,) * 5, \
    "the first run is a warm-up: its 64 seconds count nowhere, and a batch is divided by its runs"
clock, calls = HandClock(), []
timed(lambda: (calls.append(1), clock.turn(0.25)), repeat=6, at_least=1.0, clock=clock)
assert len(calls) >= 1 + 6 * 4, "every one of the 6 repetitions times a batch of 4 runs"
clock, costs = HandClock(), iter([1.0, 1.0, 1.0, 8.0, 3.0, 2.0])
uneven = timed(lambda: clock.turn(next(costs)), repeat=4, at_least=1.0, clock=clock)
assert uneven.seconds == (1.0, 8.0, 3.0, 2.0), \
    "warm-up, one try for the batch, then every repetition is kept as it was"
assert uneven.best == 1.0 and uneven.median == 2.5, "best is the fastest, median the middle of all"

# %% [markdown]
# How much dearer is an `exp` than a change of sign? And a `sin`, an `arctan`? Write your guesses on paper,
# then run.

# %%
for f in (np.negative, np.exp, np.tanh, np.sin, np.arctan):
    print(f"{f.__name__:>8}  {timed(lambda f=f: f(numbers))}")

# %% [markdown]
# ## How much memory does it take?
#
# Python can keep a book of every allocation, NumPy's included, in the module `tracemalloc`. It knows how much
# is in use now and how much was in use at the **peak**, which is what decides whether your program fits.
#
# **Your turn.** How many bytes more than at the start were in use at the worst moment of `run()`?

# %%
#| export exercise
def peak_memory(run: Run) -> int:
    """The most bytes in use at once during `run()`, beyond those that were in use before."""
    #| hint tracemalloc.get_traced_memory() gives (now, peak). reset_peak() forgets earlier peaks.
    #| hint Note what is in use, reset the peak, run, and look at the peak.
    tracing = tracemalloc.is_tracing()
    if not tracing: tracemalloc.start()
    try:
        ### BEGIN SOLUTION
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        run()
        _, peak = tracemalloc.get_traced_memory()
        return peak - before
        ### END SOLUTION
    finally:
        if not tracing: tracemalloc.stop()

# %%
#| check 2
a_million = peak_memory(lambda: np.ones(1_000_000, np.uint8))
assert 1_000_000 <= a_million < 1_020_000, "a million bytes of memory are a million bytes"
one_at_a_time = peak_memory(lambda: [len(np.ones(n, np.uint8)) for n in (300_000, 500_000, 200_000)])
assert 500_000 <= one_at_a_time < 520_000, \
    "the peak is the worst moment, not the sum of all: what was freed does not count"
tracemalloc.start()
held, freed = np.ones(700_000, np.uint8), np.ones(900_000, np.uint8)
del freed
assert peak_memory(lambda: np.ones(400_000, np.uint8)) < 420_000, \
    "what was in use before does not count, nor does an earlier peak"
assert tracemalloc.is_tracing(), "whoever was tracing before is still tracing"
tracemalloc.stop()

# %% [markdown]
# How many arrays as large as `a` does this line need at its worst moment, the result included? The line has
# four operations. Count, then run.

# %%
a = np.ones(1_000_000, np.float32)
peak_memory(lambda: (a + 1) * (a - 1) / 2) / a.nbytes

# %% [markdown]
# One could think of four. NumPy notices that a temporary array is nobody else's, and writes the next result
# over it; Python frees it as soon as it has been used. Lesson 03 does such things by hand.
#
# ## How much work is it?
#
# Seconds alone do not say whether code is good. For that you need to know how much there was to do. Most of a
# network's work is one operation, the product of an `(n, k)` matrix with a `(k, m)` matrix. Every number of
# the result is `k` multiplications, added up. A multiplication or addition of two floats is a **FLOP**, a
# floating-point operation.
#
# **Your turn.** How many are there in the whole product? By convention a multiplication and its addition
# count as two, the first addition (to zero) included.

# %%
#| export exercise
def matmul_flops(n: int, k: int, m: int) -> int:
    """The floating-point operations in the product of an (n, k) and a (k, m) matrix."""
    #| hint How many numbers has the result? How many multiplications and additions does each of them take?
    ### BEGIN SOLUTION
    return 2 * n * k * m
    ### END SOLUTION

# %%
#| check 1
assert matmul_flops(1, 1, 1) == 2, "one product, added to zero: 2 operations"
assert matmul_flops(2, 3, 5) == 60, "10 results, each of 3 products and 3 additions"
assert matmul_flops(1000, 1000, 1000) == 2_000_000_000, "doubling every side makes eight times the work"

# %% [markdown]
# ## Two ceilings
#
# Now ask for the most this machine can give. First arithmetic: the product of two large `float32` matrices,
# which NumPy hands to a library (the BLAS in the report above) that people have tuned for decades. The
# library calls it **GEMM**, general matrix multiply. No code of yours will do more operations a second than
# this.
#
# **Your turn.** Time the product of two `n` by `n` matrices of `float32` with `timer` (your `timed`, unless
# somebody brings another one), and take the best. How many GFLOP/s is that? (A GFLOP is 10⁹ operations.)

# %%
#| export exercise
def gemm_ceiling(n: int = 1024, timer: Callable[[Run], Timing] = timed) -> float:
    """The GFLOP/s of a large float32 matrix product: the most arithmetic this machine will do for us."""
    #| hint np.ones((n, n), np.float32) is a matrix as good as any. Make it before you start the timer.
    #| hint Operations divided by seconds, divided by 1e9. You wrote a function for the operations.
    ### BEGIN SOLUTION
    a, b = np.ones((n, n), np.float32), np.ones((n, n), np.float32)
    return matmul_flops(n, n, n) / timer(lambda: a @ b).best / 1e9
    ### END SOLUTION

# %%
#| check 2
seen = []
def watch(run): return seen.append(run()) or Timing((0.004, 0.002, 0.003))
assert abs(gemm_ceiling(100, watch) - 1.0) < 1e-9, \
    "2 million operations in a best time of 2 milliseconds are 1 GFLOP/s"
assert abs(gemm_ceiling(200, watch) - 8.0) < 1e-9, \
    "twice the side, eight times the work: 8 GFLOP/s"
assert not np.all(seen[0] == 1), "a matrix product adds up n products for each number: a @ b, not a * b"
assert seen[0].shape == (100, 100) and seen[0].dtype == np.float32, \
    "what is timed is the product of two n by n matrices of float32; NumPy's float64 is half as fast"

# %% [markdown]
# The other ceiling is memory. Before a processor can compute with a number, the number has to come from
# memory, and its road has a width: so many bytes a second, the **bandwidth**. To measure it, do something
# that computes nothing: copy a large array.
#
# **Your turn.** How many GB/s move when an array of `megabytes` MB is copied over another? Every byte of it
# travels twice, once out of memory and once back. (`np.copyto(target, source)` copies without making new
# memory.)

# %%
#| export exercise
def bandwidth_ceiling(megabytes: int = 64, timer: Callable[[Run], Timing] = timed) -> float:
    """The GB/s of a large copy, bytes read and written: the most this machine's memory will move for us."""
    #| hint megabytes * 1_000_000 // 4 numbers of float32. Use np.ones or np.full for both arrays:
    #| hint np.empty and np.zeros only promise memory, and the operating system finds it at the first touch.
    #| hint The bytes that move are the bytes read plus the bytes written: 2 * source.nbytes.
    ### BEGIN SOLUTION
    source = np.ones(megabytes * 1_000_000 // 4, np.float32)
    target = np.ones_like(source)
    return 2 * source.nbytes / timer(lambda: np.copyto(target, source)).best / 1e9
    ### END SOLUTION

# %%
#| check 2
def watch(run):
    run()
    return Timing((0.003, 0.002, 0.004))
assert abs(bandwidth_ceiling(8, watch) - 8.0) < 1e-9, \
    "8 MB read and 8 MB written in a best time of 2 milliseconds: 8 GB/s"
assert abs(bandwidth_ceiling(1, watch) - 1.0) < 1e-9, \
    "1 MB read and 1 MB written in 2 milliseconds: 1 GB/s"
kept = []
def weigh(run):
    kept.append(peak_memory(run))
    return Timing((1.0,))
bandwidth_ceiling(4, weigh)
assert kept[0] < 1_000_000, "the arrays are made before the timer starts: what is timed only copies"

# %% [markdown]
# Here they are, your machine's two numbers. A ceiling is a best, so take the best of a few:

# %%
gflops, bandwidth = max([gemm_ceiling() for _ in range(4)]), max([bandwidth_ceiling() for _ in range(4)])
print(f"{gflops:.0f} GFLOP/s, {bandwidth:.0f} GB/s")
print(f"{4 * gflops / bandwidth:.0f} operations in the time that one float32 needs to arrive")

# %% [markdown]
# That last number is the reason for half of this course. It takes far longer to fetch a number than to
# compute with it. Code that uses each number once waits for memory, whatever it computes.
#
# ## Under which roof?
#
# Work has a size in operations and a size in bytes. It can never take less time than its operations need
# under the first ceiling, nor less than its bytes need under the second. **Your turn.**

# %%
#| export exercise
def least_seconds(flops: float, moved: float, gflops: float, bandwidth: float) -> float:
    """The seconds that so many operations and bytes moved take at least, under these two ceilings."""
    #| hint Two times, one for the arithmetic and one for the bytes. Processors do both at once: which counts?
    ### BEGIN SOLUTION
    return max(flops / gflops, moved / bandwidth) / 1e9
    ### END SOLUTION

# %%
#| check 1
assert abs(least_seconds(10e9, 2e9, gflops=50.0, bandwidth=10.0) - 0.2) < 1e-12, \
    "both at the same time: the longer one counts, they do not add up"
assert least_seconds(100e9, 1e9, gflops=50.0, bandwidth=10.0) == 2.0, \
    "much arithmetic, few bytes: 100 GFLOP at 50 GFLOP/s take 2 seconds"
assert least_seconds(1e9, 30e9, gflops=50.0, bandwidth=10.0) == 3.0, \
    "few operations, many bytes: 30 GB at 10 GB/s take 3 seconds"

# %% [markdown]
# Now predict before you measure. Which of these will come close to its limit: an addition, a matrix times a
# vector, a small, a middling and a large matrix product? And how far from it will the others be?

# %%
def work(n, k, m):
    """Operations, bytes moved and something to time, for an (n, k) by (k, m) product in float32."""
    a, b = np.ones((n, k), np.float32), np.ones((k, m), np.float32)
    return matmul_flops(n, k, m), 4 * (n * k + k * m + n * m), lambda: a @ b

long = np.ones(8_000_000, np.float32)
total = np.ones_like(long)
jobs = {
    "addition": (long.size, 3 * long.nbytes, lambda: np.add(long, long[::-1], out=total)),
    "matrix, vector": work(3000, 3000, 1),
    "16 x 16": work(16, 16, 16),
    "128 x 128": work(128, 128, 128),
    "1024 x 1024": work(1024, 1024, 1024),
}

points = []
for name, (flops, moved, run) in jobs.items():
    seconds, least = timed(run).best, least_seconds(flops, moved, gflops, bandwidth)
    points.append((flops / moved, flops / seconds / 1e9))
    print(f"{name:>15} {flops / moved:7.2f} FLOP a byte {readable(seconds):>8}, "
          f"at least {readable(least):>8}: {100 * least / seconds:4.0f} %")

# %% [markdown]
# The operations for every byte moved are the **intensity** of the work. Draw it sideways and the speed
# upwards, both on a scale in which each step multiplies, and the two ceilings make a roof. It is called the
# **roofline**, and you will come back to it in lesson 14.

# %%
def roof(points, gflops, bandwidth, width=64, height=16):
    """Speed over intensity, both logarithmic: `=` is the ceiling, the digits are what was measured."""
    page = [[" "] * width for _ in range(height)]
    low, high = np.log10(0.05), np.log10(500)
    top, bottom = np.log10(2 * gflops), np.log10(gflops / 2000)
    ceiling = [(x, min(gflops, bandwidth * x)) for x in np.logspace(low, high, width)]
    for number, (x, speed) in enumerate(ceiling + points):
        column = round((width - 1) * (np.log10(x) - low) / (high - low))
        row = round((height - 1) * (top - np.log10(speed)) / (top - bottom))
        page[min(max(row, 0), height - 1)][column] = "=" if number < width else str(number - width + 1)
    print("\n".join(map("".join, page)), f"\n0.05 FLOP a byte {'-' * (width - 33)} 500 FLOP a byte")

roof(points, gflops, bandwidth)

# %% [markdown]
# Under the slope (1, 2) memory decides; more cores would not help. Under the flat part (5) arithmetic does.
# Far below the roof (3) neither: the time goes into *calling* the function. And above the roof? Nothing is
# faster than the machine, so a point up there says that the roof hangs too low: the ceiling was measured in a
# bad moment, or the array fits into a cache, which is faster than the memory behind it.
#
# ## Your package
#
# Run this in a terminal, in the folder of this notebook:
#
# ```text
# tito module complete 01
# ```
#
# It runs the checks on what you wrote and, if they pass, writes your cells to `tinytorch/setup.py`. Have a
# look at that file: it is your code, every line of it, without the prose. From then on `tinytorch.timed` is
# there, in this notebook and in every script beside it:

# %%
import tinytorch

hasattr(tinytorch, "timed")     # False until the lesson is complete

# %% [markdown]
# Whenever you change a cell, complete the lesson again. Nothing is ever run from a copy that you cannot see.
#
# ## Challenges
#
# 1. `timed(lambda: None)` is not zero. What is it measuring? Should it be subtracted?
# 2. Find the sizes of your processor's caches: run `bandwidth_ceiling` for arrays from 10 kB to 100 MB and
#    draw the result. (You will have to change its argument.)
# 3. Run `gemm_ceiling` with `OMP_NUM_THREADS=1` and without. How many cores is your GFLOP/s made of? Do two
#    threads copy memory twice as fast as one?
# 4. What is the GFLOP/s of a matrix product written as three Python loops? And how many days would the 1024 x
#    1024 one have taken in 1957, on an IBM 704, at 12,000 floating-point additions a second?
# 5. Make `timed` stop early when the batches agree, and go on when they do not. How will you test that it
#    does?
#
# ## Design note: best or median?
#
# Both, which is why `Timing` keeps everything. For a **ceiling** the best is right: the question is what the
# machine can do, and every disturbance only takes away from that. For comparing two versions of your code the
# median is safer, because the best of few runs depends on luck, and because a user meets the usual run and
# not the best. For a **server** neither is enough: its users remember the slowest in a hundred, and lesson 15
# will ask for that one.
#
# The mean is right when you pay for the sum: the time of a training run is the mean step times the number of
# steps, accidents included. A measure is good or bad for a question, and the question belongs next to the
# number.
