# %% [markdown]
# # Benchmarking
#
# "Twice as fast" is half a sentence. Faster than what, on which machine, how often, and would you bet on
# seeing it again tomorrow? Most speed-ups that people report are the noise of one afternoon.
#
# You build the other half: intervals in place of numbers, races that are fair, a column that knows what every
# operation has to cost before it runs, an engine with a stopwatch that says where a training step goes, and
# in the end the rules by which an industry agreed to stop cheating.

# %%
#| export
"""Honest comparisons, the cost of every op, an engine with a stopwatch, and the rules of MLPerf."""

# %%
#| export
from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import numpy as np

from tinytorch.activations import log_softmax, softmax
from tinytorch.attention import attend, look_up
from tinytorch.autograd import Autograd
from tinytorch.bookkeeping import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from tinytorch.costs import COSTS, Cost, cost, cost_of_pull, moved, sketch
from tinytorch.dense import linear
from tinytorch.hooks import register_module_forward_hook, register_module_forward_pre_hook
from tinytorch.ledger import short
from tinytorch.receipts import Receipt
from tinytorch.setup import (
    Clock,
    Run,
    Timing,
    bandwidth_ceiling,
    batch_size,
    gemm_ceiling,
    least_seconds,
    median,
    readable,
    seconds_of,
)
from tinytorch.tensor import Op, Tensor, current_engine, matmul, using

# %% [markdown]
# ## Between which numbers?
#
# Lesson 01 ended with a median. Here are five medians of the same work, each of 15 runs. In which digit do
# they begin to differ? Guess, then run.

# %%
from tinytorch.setup import timed

numbers = np.linspace(-1, 1, 200_000, dtype=np.float32)
[readable(timed(lambda: np.exp(numbers), repeat=15).median) for _ in range(5)]

# %% [markdown]
# A median without its uncertainty invites you to believe in all of its digits. How sure can one be of it?
# There is an answer that asks nothing of the noise, neither that it is normal nor that its tail is short.
# Each run lies below the true median with probability one half, like a coin. If *none* of nine runs did,
# nine coins fell the same way, which happens once in 512. If at most one did, that is 1 + 9 cases of 512, or
# 2 %. So the second smallest of nine runs lies above the true median only once in fifty times, and so does
# the second largest lie below it: with 96 % confidence, the true median is between the two.
#
# **Your turn.** Between which two of the values does it lie? Leave at most half of what is to spare on either
# side, and take the narrowest pair that does. With so few values that even the smallest and the largest do
# not suffice, nobody knows: the answer is from -∞ to ∞.

# %%
#| export exercise
def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Two of the values that have the true median between them, with at least this confidence."""
    ordered, n = sorted(values), len(values)
    #| hint The chance that exactly k of n coins fall below is math.comb(n, k) / 2**n.
    #| hint Add them up from k = 0, as long as the sum is at most (1 - confidence) / 2. How many did you take?
    #| hint While the sum up to k is small enough, ordered[k] and ordered[n - 1 - k] may be the two ends.
    ### BEGIN SOLUTION
    k, below = 0, 1 / 2**n                          # the chance that at most k lie below
    while below <= (1 - confidence) / 2:
        k += 1
        below += math.comb(n, k) / 2**n
    return (ordered[k - 1], ordered[n - k]) if k else (-math.inf, math.inf)
    ### END SOLUTION

# %%
#| check 2
nine = [9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0]
assert median_interval(nine) == (2.0, 8.0), \
    "of nine values the second smallest and the second largest: one of nine may fall on the other side"
assert median_interval(range(1, 21)) == (6, 15), "of twenty values the sixth from either end"
assert median_interval(range(1, 7)) == (1, 6), "of six values the smallest and the largest are just enough"
assert median_interval(range(1, 6)) == (-math.inf, math.inf), \
    "all five on one side happens once in sixteen: five values are too few to be sure of anything"
assert median_interval(nine, 0.5) == (3.0, 7.0), "less confidence needs less room"
assert median_interval([1.0, 2.0], 0.5) == (1.0, 2.0), "at most: two values are just enough for one half"
noise = np.random.default_rng(0).exponential(size=(400, 15))
caught = [low <= math.log(2) <= high for low, high in map(median_interval, noise)]
assert np.mean(caught) >= 0.95, "in 95 of 100 cases the true median is inside"

# %%
for n in (7, 15, 60, 200):
    low, high = median_interval(timed(lambda: np.exp(numbers), repeat=n).seconds)
    print(f"{n:4} runs: {readable(low)} to {readable(high)}")

# %% [markdown]
# From 15 to 60 it takes four times the runs to make the interval about half as wide: certainty is dear.
#
# ## In turns
#
# Now two functions. People time one, then the other. Between the two, the processor got warm, a backup
# started, the browser woke up, and the difference between two *minutes* is reported as a difference between
# two *functions*. Here is the same function under two names, on a machine that slows down by a thousandth
# with each run. Which of the two wins, and by how much?

# %%
from tinytorch.setup import HandClock

def tiring():
    """Work that takes a thousandth longer each time, whoever does it, and the clock that it turns."""
    clock, done = HandClock(), iter(range(100_000))
    return (lambda: clock.turn(1 + next(done) / 1000)), clock

work, clock = tiring()
first, second = [timed(work, repeat=50, at_least=0, clock=clock).median for _ in range(2)]
first / second

# %% [markdown]
# The cure is to let them run in turns, and to change who goes first: A B, B A, A B, B A. What drifts then
# meets both alike.
#
# **Your turn.** As in lesson 01: a warm-up for each, and for each a batch that is long enough. Then rounds,
# in each of which every run has one turn. Every second round goes backwards.

# %%
#| export exercise
def in_turns(
    *runs: Run,
    rounds: int = 21,
    at_least: float = 1e-3,                 # seconds that a turn should take
    clock: Clock = time.perf_counter,
) -> list[Timing]:
    """How long each run takes, timed in turns: in the rounds A B, B A, A B …"""
    for run in runs: run()
    times = [batch_size(run, at_least, clock) for run in runs]
    seconds: list[list[float]] = [[] for _ in runs]
    #| hint In round n, the places are range(len(runs)), or reversed(range(len(runs))) if n is odd.
    #| hint For each place: seconds_of(runs[place], times[place], clock), divided by times[place].
    ### BEGIN SOLUTION
    for n in range(rounds):
        places = range(len(runs))
        for place in reversed(places) if n % 2 else places:
            seconds[place].append(seconds_of(runs[place], times[place], clock) / times[place])
    ### END SOLUTION
    return [Timing(tuple(some)) for some in seconds]

# %%
#| check 3
from tinytorch.setup import HandClock

clock, calls = HandClock(), []
def turner(name, cost): return lambda: (calls.append(name), clock.turn(cost))
a, b = in_turns(turner("a", 1.0), turner("b", 0.25), rounds=3, at_least=1.0, clock=clock)
race = calls[-15:]
assert race == ["a", *"bbbb", *"bbbb", "a", "a", *"bbbb"], \
    "in turns, A B, B A, A B: whoever goes first in one round goes last in the next"
assert len(a.seconds) == len(b.seconds) == 3, "every run has one turn in every round"
assert a.seconds == (1.0,) * 3 and b.seconds == (0.25,) * 3, "a turn is divided by the runs in it"
clock, costs = HandClock(), iter([50.0, 60.0])
a, b = in_turns(*[lambda: clock.turn(next(costs, 1.0))] * 2, rounds=4, at_least=0, clock=clock)
assert max(a.seconds + b.seconds) == 1.0, "each is warmed up once, and the warm-up counts nowhere"
clock, done = HandClock(), iter(range(10_000))
work = lambda: clock.turn(1 + next(done) / 1000)
a, b = in_turns(work, work, rounds=50, at_least=0, clock=clock)
assert abs(sum(a.seconds) / sum(b.seconds) - 1) < 1e-9, "what drifts meets both alike: the same work draws"

# %% [markdown]
# Two timings in turns are **paired**: the fifth turn of A ran a moment before the fifth of B, in the same
# weather. So compare turn by turn, and take the median of the *ratios*. If the ratio of medians says 1.02
# and the interval of the paired ratios goes from 0.97 to 1.08, the sentence to write is: "I cannot tell."
#
# **Your turn.** `verdict` says "faster" or "slower" only if the whole interval does.

# %%
#| export
class Ratio(NamedTuple):
    """How many times as long one takes as another: the median of pairs, and between which numbers it lies."""

    middle: float
    low: float
    high: float

    def __str__(self): return f"{self.middle:.3f} ({self.low:.3f} to {self.high:.3f}): {verdict(self)}"

# %%
#| export exercise
def paired(ours: Timing, theirs: Timing, confidence: float = 0.95) -> Ratio:
    """The ratio of ours to theirs, turn by turn."""
    #| hint One ratio for each pair of turns: zip(ours.seconds, theirs.seconds).
    #| hint Then median(ratios), and median_interval(ratios, confidence).
    ### BEGIN SOLUTION
    ratios = [a / b for a, b in zip(ours.seconds, theirs.seconds)]
    return Ratio(median(ratios), *median_interval(ratios, confidence))
    ### END SOLUTION


def verdict(ratio: Ratio) -> str:
    """In one word, if the interval allows it: faster, slower, or "cannot tell"."""
    #| hint A ratio below 1 is faster. When is all of the interval below 1?
    ### BEGIN SOLUTION
    if ratio.high < 1: return "faster"
    if ratio.low > 1: return "slower"
    return "cannot tell"
    ### END SOLUTION

# %%
#| check 2
weather = [1.0, 9.0, 2.0, 7.0, 3.0, 8.0, 1.0, 6.0, 5.0]
found = paired(Timing(tuple([2 * x for x in weather])), Timing(tuple(weather)))
assert found == (2.0, 2.0, 2.0), \
    "turn by turn A takes twice as long as B, in any weather: pairs first, then the median"
one_accident = paired(Timing((1.0,) * 8 + (500.0,)), Timing((1.0,) * 9))
assert one_accident.middle == 1.0, "one accident in nine moves the mean, and not the median"
assert (one_accident.low, one_accident.high) == (1.0, 1.0), "nor does it move the interval of nine pairs"
assert verdict(Ratio(0.9, 0.8, 0.95)) == "faster", "all of the interval is below 1: faster"
assert verdict(Ratio(1.2, 1.1, 1.3)) == "slower", "all of the interval is above 1: slower"
assert verdict(Ratio(0.9, 0.8, 1.05)) == verdict(Ratio(1.1, 0.98, 1.2)) == "cannot tell", \
    "an interval with 1 inside allows no verdict, whatever its middle is"
assert verdict(Ratio(1.0, 1.0, 1.0)) == "cannot tell", "1 is neither faster nor slower"
assert verdict(paired(Timing((1.0,) * 5), Timing((2.0,) * 5))) == "cannot tell", \
    "five pairs are too few, however clear they look"

# %% [markdown]
# The same function against itself; against itself with a hundredth more work; and `x * x * x` against `x **
# 3`. For which of the three do you expect a verdict?

# %%
longer, few = np.linspace(-1, 1, 202_000, dtype=np.float32), numbers[::50]
races = {
    "exp, exp": (lambda: np.exp(numbers), lambda: np.exp(numbers)),
    "exp of 1 % more": (lambda: np.exp(longer), lambda: np.exp(numbers)),
    "x * x * x, x ** 3": (lambda: few * few * few, lambda: few**3),
}
for name, (one, other) in races.items(): print(f"{name:>18}  {paired(*in_turns(one, other, rounds=41))}")

# %% [markdown]
# ## What should it have cost?
#
# That A beats B says nothing about whether A is any good. For that, compare with what the work *has* to cost,
# and that is in the shapes. The appendix on costs holds a **column**: for each op a rule that tells its
# floating-point operations, and the bytes that it must read and write. A few cells are empty.
#
# **Your turn.** `out`, `x` … are sketches: they have a `.shape`, a `.size` and `.nbytes`, and no numbers.
# `moved(out, x, y)` adds up bytes.

# %%
#| export exercise
@cost(matmul)
def matmul_cost(out, x, y) -> Cost:
    #| hint Each number of the output is a sum of products, as many as x has columns: x.shape[-1].
    #| hint A product and its addition are two operations.
    ### BEGIN SOLUTION
    return Cost(2 * out.size * x.shape[-1], moved(out, x, y))
    ### END SOLUTION


@cost(linear)
def linear_cost(out, x, weight, bias=None) -> Cost:
    #| hint The weight is (out, in): each number of the output meets weight.shape[-1] numbers, and the bias.
    ### BEGIN SOLUTION
    return Cost(out.size * (2 * weight.shape[-1] + (bias is not None)), moved(out, x, weight, bias))
    ### END SOLUTION

# %%
#| check 2
from tinytorch.costs import drawn

square = matmul_cost(drawn(8, 8), drawn(8, 8), drawn(8, 8))
assert square.flops == 1024, "a product and an addition for each of 8 * 8 * 8 pairs: two operations, not one"
assert square.bytes == 3 * 4 * 64, "two matrices are read, one is written: every float32 is four bytes"
assert matmul_cost(drawn(5, 2, 7), drawn(5, 2, 3), drawn(3, 7)).flops == 2 * 5 * 2 * 7 * 3, \
    "a batch of products: every number of the output meets x.shape[-1] others"
assert linear_cost(drawn(4, 6), drawn(4, 3), drawn(6, 3)).flops == 2 * 4 * 6 * 3, \
    "a layer without a bias is a product of matrices"
assert linear_cost(drawn(4, 6), drawn(4, 3), drawn(6, 3), drawn(6)) == (4 * 6 * 7, 4 * (24 + 12 + 18 + 6)), \
    "a bias is one more addition for each number of the output, and has bytes of its own"

# %% [markdown]
# A softmax takes the maximum, subtracts it, takes `exp`, adds up, and divides: how many operations a number?
# A log-softmax subtracts a logarithm where softmax divides. And an embedding computes nothing at all. But how
# many bytes does it touch: all of its table?

# %%
#| export exercise
@cost(softmax, log_softmax)
def softmax_cost(out, x, **settings) -> Cost:
    ### BEGIN SOLUTION
    return Cost(5 * x.size, moved(out, x))
    ### END SOLUTION


@cost(look_up)
def look_up_cost(out, ids, weight, **settings) -> Cost:
    #| hint Of the table, only the rows that are asked for are read: as many bytes as come out.
    ### BEGIN SOLUTION
    return Cost(0, moved(ids) + 2 * moved(out))
    ### END SOLUTION

# %%
#| check 1
from tinytorch.costs import drawn

assert softmax_cost(drawn(10, 7), drawn(10, 7)) == (350, 560), \
    "five operations a number: maximum, difference, exp, sum, quotient; read once and written once"
ids, table = drawn(6, itemsize=8), drawn(50_000, 16)
assert look_up_cost(drawn(6, 16), ids, table).flops == 0, "an embedding moves numbers and computes none"
assert look_up_cost(drawn(6, 16), ids, table).bytes == 48 + 2 * 4 * 96, \
    "only the rows that are asked for are read, and each is written once"

# %% [markdown]
# Attention: queries of shape `(…, T, K)` meet keys `(…, S, K)`, which makes a score for each pair; softmax
# over the scores, which are scaled first (and a mask may be added); weights times values `(…, S, V)`.
#
# **Your turn.** Count both products, the softmax, one for the scale, and one for a mask if it is there. Of
# bytes, only what goes in and comes out: the scores need never leave the cache, and lesson 13 shows how.

# %%
#| export exercise
@cost(attend)
def attend_cost(out, query, key, value, mask=None, keep=None, **settings) -> Cost:
    #| hint How many scores are there? One for each query and each of the S keys: query.size // K * S.
    #| hint Each score is a sum of K products, and is then multiplied with V numbers of a value.
    ### BEGIN SOLUTION
    scores = query.size // query.shape[-1] * key.shape[-2]
    products = 2 * scores * (query.shape[-1] + value.shape[-1])
    return Cost(products + scores * (6 + (mask is not None)), moved(out, query, key, value, mask, keep))
    ### END SOLUTION

# %%
#| check 2
from tinytorch.costs import drawn

q, k, v = drawn(2, 4, 8, 16), drawn(2, 4, 10, 16), drawn(2, 4, 10, 32)
scores, out = 2 * 4 * 8 * 10, drawn(2, 4, 8, 32)
found = attend_cost(out, q, k, v)
assert found.flops != scores * (2 * 16 + 6), "there are two products: with the keys, and with the values"
assert found.flops == scores * (2 * (16 + 32) + 6), \
    "two products, and for each score a scale and the five operations of a softmax"
assert attend_cost(drawn(8, 32), drawn(8, 16), drawn(10, 16), drawn(10, 32)).flops == found.flops // 8, \
    "one look of the eight is an eighth of them: keys are counted from the end"
assert attend_cost(out, q, k, v, drawn(8, 10)).flops == found.flops + scores, \
    "a mask is added to every score"
assert found.bytes == 4 * (out.size + q.size + k.size + v.size), \
    "what goes in is read, what comes out is written"

# %% [markdown]
# **Your turn.** Who asks the column? Views cost nothing (a reshape that had to copy does: bytes, and no
# arithmetic). An op that is in the table costs what its rule says. One that is not, of your own perhaps,
# moves its bytes; of its arithmetic nothing is known, and nothing is made up.

# %%
#| export
def is_view(op: Op, out) -> bool:
    """Whether what came out shows memory of what went in."""
    if isinstance(out, tuple): return op.shares and (not out or is_view(op, out[0]))
    return op.shares and getattr(out, "_base", True) is not None

# %%
#| export exercise
def cost_of(op: Op, inputs: Sequence, settings: dict, out) -> Cost:
    """What a call of an op costs, from the shapes of what went in and came out."""
    #| hint First is_view(op, out). Then sketch the output and each input.
    #| hint COSTS[op.name](out, *inputs, **settings), or a Cost of 0 operations and all bytes moved.
    ### BEGIN SOLUTION
    if is_view(op, out): return Cost()
    out, inputs = sketch(out), [sketch(x) for x in inputs]
    if op.shares or op.name not in COSTS: return Cost(0, moved(out, *inputs))
    return COSTS[op.name](out, *inputs, **settings)
    ### END SOLUTION

# %%
#| check 2
from tinytorch.activations import gelu
from tinytorch.tensor import mean, transpose, view

x = Tensor(np.zeros((3, 5), np.float32))
assert cost_of(mean, (x,), {"dim": 1, "keepdim": False}, x.mean(1)) == (18, 4 * 18), \
    "an op of the table costs what its rule says: 15 additions, 3 divisions"
assert cost_of(transpose, (x,), {"dim0": 0, "dim1": 1}, x.mT) == (0, 0), \
    "a view computes nothing and moves nothing"
assert cost_of(view, (x,), {"shape": (15,)}, Tensor(np.zeros(15, np.float32))) == (0, 120), \
    "a new shape that had to be copied moves every byte twice, and computes nothing"

@Op
def own_invention(x, y, /): return x + y

assert cost_of(own_invention, (x, 2.0), {}, x + 2.0) == (0, 120), \
    "of an op without a rule the bytes are known; its operations are not made up"
w, b, y = Tensor(np.zeros((7, 5), np.float32)), Tensor(np.zeros(7, np.float32)), Tensor(np.zeros((3, 7)))
assert cost_of(linear, (x, w, b), {}, y).flops == 21 * 11, "a rule gets the output, then the inputs"
assert cost_of(gelu, (x,), {"approximate": "tanh"}, x).flops == 9 * 15, \
    "settings reach the rule: by tanh, a gelu is nine operations, and not five"

# %% [markdown]
# ## Under the roof
#
# With costs and a stopwatch, every op gets its place on the roofline of lesson 01. **Your turn.** How much of
# the possible did it reach? And which of the two ceilings is above it?

# %%
#| export
class Machine(NamedTuple):
    """What this machine can do at most: GFLOP/s of a large product, GB/s of a large copy."""

    gflops: float
    bandwidth: float


def this_machine(tries: int = 2) -> Machine:
    """The best of a few tries: a ceiling hangs as high as anything ever reached."""
    return Machine(max([gemm_ceiling(512) for _ in range(tries)]),
                   max([bandwidth_ceiling(32) for _ in range(tries)]))

# %%
#| export exercise
def share_of_roof(cost: Cost, seconds: float, machine: Machine) -> float:
    """How near work came to the least time that it could take: 1 is all that this machine can do."""
    #| hint Lesson 01: least_seconds(flops, moved, gflops, bandwidth).
    ### BEGIN SOLUTION
    return least_seconds(cost.flops, cost.bytes, *machine) / seconds
    ### END SOLUTION


def limited_by(cost: Cost, machine: Machine) -> str:
    """Which ceiling is above this work: "arithmetic" or "memory"."""
    #| hint Where the roof bends, both take the same time: at machine.gflops / machine.bandwidth FLOP a byte.
    ### BEGIN SOLUTION
    return "arithmetic" if cost.intensity > machine.gflops / machine.bandwidth else "memory"
    ### END SOLUTION

# %%
#| check 1
paper = Machine(gflops=100.0, bandwidth=10.0)
assert abs(share_of_roof(Cost(1e9, 1e6), 0.02, paper) - 0.5) < 1e-12, \
    "1 GFLOP takes 10 ms at least; in 20 ms half of the possible was reached"
assert abs(share_of_roof(Cost(1e6, 1e9), 0.2, paper) - 0.5) < 1e-12, \
    "1 GB takes 100 ms at least, however little is computed"
assert limited_by(Cost(11e6, 1e6), paper) == "arithmetic", "11 FLOP a byte: the flat roof is above it"
assert limited_by(Cost(9e6, 1e6), paper) == "memory", "9 FLOP a byte wait for memory: the roof bends at 10"

# %% [markdown]
# Which ops of a network come near the roof? Guess for each: a layer, attention, softmax, a layer norm, an
# addition. The picture shows it; a notebook draws it, a terminal says it in numbers.

# %%
from functools import partial

from tinytorch.charts import Flames, Roofline, Steps
from tinytorch.dense import standardize
from tinytorch.tensor import add

machine = this_machine()
draw = np.random.default_rng(0)
def normal(*shape): return Tensor(draw.standard_normal(shape, np.float32))

calls = {
    "linear": (linear, (normal(128, 512), normal(512, 512), normal(512))),
    "one row": (linear, (normal(1, 2000), normal(2000, 2000), normal(2000))),
    "attend": (attend, (normal(2, 4, 128, 64),) * 3),
    "softmax": (softmax, (normal(1000, 500),), {"dim": 1}),
    "layer norm": (standardize, (normal(1000, 500), normal(500), normal(500))),
    "add": (add, (normal(1000, 500), normal(1000, 500))),
    "tiny add": (add, (normal(4, 4), normal(4, 4))),
}
measured = {}
for name, (op, inputs, *settings) in calls.items():
    settings = settings[0] if settings else {}
    run = partial(op, *inputs, **settings)
    measured[name] = cost_of(op, inputs, settings, run()), timed(run, repeat=5).best
Roofline(*machine, measured)

# %% [markdown]
# The same op lies in two places. A layer that reads 128 rows reuses every weight 128 times, and is limited by
# arithmetic; one that reads a single row fetches each weight for one product and an addition, and waits for
# memory. That is why servers collect requests into batches (lesson 16). Softmax and layer norm hang well
# below their slope: NumPy walks over memory once for each of their operations, and the cost column counts one
# walk. The distance is what fusing can win (lesson 13). And the tiny addition is nowhere: its time is the
# call.
#
# ## Where does a step go?
#
# A training step is a hundred calls, one inside another. To say where its time went, note when each began and
# ended, and what it was a part of. That note is a **span**.

# %%
#| export
class Span:
    """A stretch of time with a name, inside another one, or in none."""

    cost = Cost()
    calls = 1                       # 0 for what belongs to a call that was counted already

    def __init__(self, name: str, inside, began: float):
        self.name, self.inside, self.began, self.ended = name, inside, began, math.nan
        self.facts: dict = {}       # what a trace may want to tell: shapes, memory

    seconds = property(lambda self: self.ended - self.began)
    def __repr__(self): return f"<{self.name}, {readable(self.seconds)}>"


class Block:
    """A block of code that is a span."""

    def __init__(self, book, name: str): self.book, self.name = book, name
    def __enter__(self): return self.book.begin(self.name)
    def __exit__(self, *error): self.book.end()

# %% [markdown]
# **Your turn.** A recorder keeps all spans in the order in which they began, and a stack of those still open.
# What begins now lies inside the innermost open one.

# %%
#| export exercise
class Recorder:
    """Spans of time, one inside another, by a clock."""

    def __init__(self, clock: Clock = time.perf_counter):
        self.clock = clock
        self.spans: list[Span] = []         # all, in the order in which they began
        self.open: list[Span] = []          # those that have not ended, the innermost last

    def begin(self, name: str) -> Span:
        """A new span, inside the innermost open one."""
        #| hint Span(name, …, self.clock()): what is it inside of, if anything is open? Note it in both lists.
        ### BEGIN SOLUTION
        span = Span(name, self.open[-1] if self.open else None, self.clock())
        self.spans.append(span)
        self.open.append(span)
        return span
        ### END SOLUTION

    def end(self) -> Span:
        """Ends the innermost open span."""
        ### BEGIN SOLUTION
        span = self.open.pop()
        span.ended = self.clock()
        return span
        ### END SOLUTION

    def span(self, name: str) -> Block:
        """`with recorder.span("forward"):` the block is a span, however it ends."""
        return Block(self, name)

# %%
#| check 2
from tinytorch.setup import HandClock

clock = HandClock()
book = Recorder(clock)
with book.span("step"):
    clock.turn(1.0)
    with book.span("forward"):
        clock.turn(2.0)
        with book.span("matmul"): clock.turn(4.0)
    with book.span("backward"): clock.turn(8.0)
    clock.turn(16.0)
assert [span.name for span in book.spans] == ["step", "forward", "matmul", "backward"], \
    "spans are kept in the order in which they began"
assert [span.inside and span.inside.name for span in book.spans] == [None, "step", "forward", "step"], \
    "a span lies inside the innermost one that is open: forward has ended when backward begins"
assert [span.seconds for span in book.spans] == [31.0, 6.0, 4.0, 8.0], \
    "from its beginning to its end, what happens inside included"
assert book.open == [], "what has ended is not open any more"

# %% [markdown]
# The seconds of all spans add up to far more than the step took: `matmul` is counted in itself, in `forward`
# and in `step`. What adds up is **self time**: a span, less those directly inside it.
#
# **Your turn.**

# %%
#| export exercise
def own_seconds(spans: Iterable[Span]) -> dict[Span, float]:
    """The self time of each span: its seconds, less those of the spans directly inside it."""
    #| hint Begin with the seconds of each. Then each span takes its seconds away from the one it is inside.
    ### BEGIN SOLUTION
    own = {span: span.seconds for span in spans}
    for span in own:
        if span.inside in own: own[span.inside] -= span.seconds
    return own
    ### END SOLUTION

# %%
#| check 1
def spanning(name, inside, seconds):
    span = Span(name, inside, 100.0)
    span.ended = 100.0 + seconds
    return span

step = spanning("step", None, 31.0)
forward = spanning("forward", step, 6.0)
spans = [step, forward, spanning("matmul", forward, 4.0), spanning("backward", step, 8.0)]
own = own_seconds(spans)
assert list(own.values()) == [17.0, 2.0, 4.0, 8.0], \
    "a span less those directly inside it: the matmul is taken from forward, and not once more from step"
assert sum(own.values()) == 31.0, "self times add up to the whole, and nothing is counted twice"
assert list(own_seconds(spans[1:]).values()) == [2.0, 4.0, 8.0], "what lies in no span here is no part"

# %% [markdown]
# Now the engine. Every op comes through one door, so whoever stands there with a recorder sees all of them.
# The way back has a door of its own: for each receipt, `backward` asks the engine to `pull`. So the profiler
# is an engine that remembers, around the one that was there.
#
# **Your turn.** In `run`, a span by the name of the op; the inner engine computes, and what it cost is noted
# on the span. In `pull`, a span by the name of the receipt (`MulBackward0`). What comes back may be a
# function that still has to compute: it must be timed when it runs, not when it is handed over, and `waiting`
# wraps it.

# %%
#| export exercise
class Profiler(Autograd):
    """An engine around another one, which writes down when each op and each pull began and ended."""

    def __init__(self, inner=None, clock: Clock = time.perf_counter):
        super().__init__(inner or current_engine())
        self.book = Recorder(clock)

    def run(self, op: Op, inputs: tuple, settings: dict):
        """What the inner engine gives, and a span."""
        #| hint with self.book.span(op.name) as span: out = …
        #| hint Behind the block, so that it is not timed: span.cost = cost_of(op, inputs, settings, out)
        ### BEGIN SOLUTION
        with self.book.span(op.name) as span: out = self.inner.run(op, inputs, settings)
        span.cost = cost_of(op, inputs, settings, out)
        ### END SOLUTION
        self.look(span, inputs, out)
        return out

    def pull(self, receipt: Receipt, g, create_graph: bool) -> tuple:
        """What the receipt hands on, and a span; functions that wait are timed when they run."""
        inputs, wanted = receipt.inputs or (), [edge is not None for edge in receipt.edges]
        #| hint with self.book.span(receipt.name()) as span: found = super().pull(receipt, g, create_graph)
        #| hint Each of the found that is callable(dx) is replaced by self.waiting(span, dx).
        ### BEGIN SOLUTION
        with self.book.span(receipt.name()) as span: found = super().pull(receipt, g, create_graph)
        found = tuple([self.waiting(span, dx) if callable(dx) else dx for dx in found])
        ### END SOLUTION
        if isinstance(receipt.op, Op):
            span.cost = cost_of_pull(receipt.op, inputs, receipt.settings, g, wanted)
        self.look(span, inputs, found)
        return found

    def waiting(self, span: Span, dx: Callable) -> Callable:
        """The function, in a span of the same name that counts no call of its own."""
        def run():
            with self.book.span(span.name) as more: found = dx()
            more.calls = 0
            self.look(more, (), found)
            return found
        return run

    def write(self, tensor: Tensor, value, index=...) -> Tensor:
        with self.book.span("write"): return self.inner.write(tensor, value, index)

    def backward(self, tensor: Tensor, *args, **settings):
        """As ever; what is left of the span `backward` is the journey itself: sorting, adding, delivering."""
        with self.book.span("backward"): return super().backward(tensor, *args, **settings)

    def look(self, span: Span, inputs, out) -> None:
        """A seam for those who want to see more, such as shapes and memory."""

# %%
#| check 3
from tinytorch.setup import HandClock
from tinytorch.tensor import Engine, exp, mul, tensor

class Slow(Engine):
    def run(self, op, inputs, settings):
        clock.turn({"mul": 2.0, "exp": 3.0}.get(op.name, 0.0))
        return super().run(op, inputs, settings)

clock = HandClock()
x, y = tensor([1.0, 2.0], requires_grad=True), tensor([3.0, 4.0], requires_grad=True)
with using(Profiler(Autograd(Slow()), clock)) as p: out = (x * y).exp()
assert [s.name for s in p.book.spans] == ["mul", "exp"], "every op that comes through the door gets a span"
assert [s.seconds for s in p.book.spans] == [2.0, 3.0], "a span lasts as long as the inner engine computes"
assert p.book.spans[0].cost == (2, 24), "what the op cost is noted: 2 products, 16 bytes read, 8 written"
assert out.receipt is not None and out.receipt.op is exp, "the engine inside still remembers"
assert np.allclose(out.array, np.exp([3.0, 8.0])), "the profiler computes what the engine inside computes"

from tinytorch.receipts import RULES, Rule
def slow_rule(g, _out, x, y): return (lambda: (clock.turn(5.0), g * y)[1]), (lambda: g * x)
usual, RULES[mul] = RULES[mul], Rule(mul, slow_rule)
try:
    with using(Profiler(Autograd(), clock)) as p: (x * y).sum().backward()
finally: RULES[mul] = usual
names = [s.name for s in p.book.spans]
assert "MulBackward0" in names and "SumBackward0" in names, "each pull gets a span by its receipt's name"
back = [s for s in p.book.spans if s.name == "MulBackward0"]
assert sum([s.seconds for s in back]) == 5.0, "a gradient that waits is timed when it is computed"
assert sum([s.calls for s in back]) == 1, "and it is no second call"
assert all([s.inside.name == "backward" for s in back]), "a pull is a part of backward"
assert x.grad.tolist() == [3.0, 4.0], "gradients are what they were without the profiler"

# %% [markdown]
# ## The table
#
# Given: spans of one name become a row, and rows are sorted by self time. One span is the whole; its own self
# time is what no op accounts for, the Python between them.

# %%
#| export
class Row(NamedTuple):
    """All spans of one name."""

    name: str
    calls: int
    own: float              # seconds of self time
    total: float            # seconds, with what ran inside
    flops: float
    bytes: float


class Table:
    """Where time went: a row for each name, the longest self time first."""

    def __init__(self, spans: Sequence[Span]):
        own = own_seconds(spans)
        by_name: dict[str, list[Span]] = {}
        for span in spans: by_name.setdefault(span.name, []).append(span)
        rows = [Row(name, sum([s.calls for s in some]), sum([own[s] for s in some]),
                    sum([s.seconds for s in some]), sum([s.cost.flops for s in some]),
                    sum([s.cost.bytes for s in some])) for name, some in by_name.items()]
        self.rows = sorted(rows, key=lambda row: -row.own)
        self.seconds = sum(own.values())
        self.left = sum([own[span] for span in spans if span.facts.get("whole")])

    @property
    def accounted(self) -> float:
        """The share of the time that ops, pulls and other spans inside the whole account for."""
        return 1 - self.left / self.seconds if self.seconds else 0.0

    def row(self, name: str) -> Row: return next(row for row in self.rows if row.name == name)

    def text(self, most: int | None = 16) -> str:
        """The table in letters, 78 columns wide, with at most so many rows."""
        head = f"{'':24} {'calls':>6} {'self':>9} {'%':>6} {'FLOP':>8} {'bytes':>8} {'GFLOP/s':>8}"
        lines = [self.line(row) for row in self.rows[:most]]
        end = f"{readable(self.seconds)}; {100 * self.accounted:.1f} % in the spans inside"
        return "\n".join([head, "-" * len(head), *lines, "-" * len(head), end])

    def line(self, row: Row) -> str:
        speed = f"{row.flops / row.own / 1e9:.2f}" if row.flops and row.own > 0 else "-"
        share = 100 * row.own / self.seconds if self.seconds else 0.0
        return (f"{row.name[:24]:24} {row.calls:6} {readable(max(row.own, 1e-9)):>9} {share:6.1f} "
                f"{amount(row.flops):>8} {amount(row.bytes):>8} {speed:>8}")

    def __repr__(self): return self.text()


def amount(n: float) -> str: return short(round(n)) if n else "- "

# %% [markdown]
# Not everything comes through the door: an optimizer writes into arrays, dropout draws random numbers, and
# between the ops there is Python. Optimizers have hooks, though (lesson 10), and so have modules (lesson 04):
# with `modules=True` each of them is a span, and what it does besides its ops is its self time.

# %%
#| export
@contextmanager
def profiled(
    name: str = "step", modules: bool = False, clock: Clock = time.perf_counter,
) -> Iterator[Profiler]:
    """`with profiled() as p:` all ops, pulls and optimizer steps of the block are in `p.book.spans`."""
    profiler = Profiler(clock=clock)
    parts = spans_of_modules(profiler.book) if modules else nullcontext()
    with using(profiler), spans_of_steps(profiler.book), profiler.book.span(name) as whole, parts:
        whole.facts["whole"] = True
        yield profiler


@contextmanager
def spans_of_steps(book: Recorder, name: str = "{}.step") -> Iterator[None]:
    """Every step of an optimizer is a span, by the name of its class: `Adam.step`."""
    def begin(optimizer, args, kwargs): book.begin(name.format(type(optimizer).__name__))
    def end(optimizer, args, kwargs): book.end()
    with register_optimizer_step_pre_hook(begin), register_optimizer_step_post_hook(end): yield


@contextmanager
def spans_of_modules(book: Recorder) -> Iterator[None]:
    """Every call of a module is a span, by the name of its class."""
    def begin(module, args): book.begin(type(module).__name__)
    def end(module, args, output): book.end()
    with register_module_forward_pre_hook(begin), register_module_forward_hook(end, always_call=True): yield

# %% [markdown]
# A small network reads a batch of 256 digits, and learns. Before you run: which row will be first, and what
# share will Adam have? Will the way back take longer than the way there?

# %%
from tinytorch import manual_seed
from tinytorch.dense import MLP
from tinytorch.nn.functional import cross_entropy
from tinytorch.optimizers import Adam
from tinytorch.tensor import tensor

manual_seed(0)
net = MLP(784, 256, 128, 10)
optimizer = Adam(net.parameters())
pictures, labels = normal(256, 784), tensor(draw.integers(0, 10, 256))

def step():
    optimizer.zero_grad()
    cross_entropy(net(pictures), labels).backward()
    optimizer.step()

for _ in range(3): step()
with profiled() as p: step()
Table(p.book.spans)

# %% [markdown]
# If more than a tenth is missing in the last line, the machine was busy elsewhere: run it again. The same
# step as flames: what is wide costs, and what hangs below is a part.

# %%
Flames(p.book.spans)

# %% [markdown]
# What does looking cost? A profiler that makes a step twice as long has measured itself.

# %%
def watched():
    with profiled(): step()

print(f"with the profiler: {paired(*in_turns(watched, step, rounds=9))}")

# %% [markdown]
# The time of one step is the number that moves through this course. Here it is for three batch sizes, per
# picture; what would make the first bar as short as the last?

# %%
def step_of(n):
    def step():
        optimizer.zero_grad()
        cross_entropy(net(pictures[:n]), labels[:n]).backward()
        optimizer.step()
    return step

Steps({f"{n} at once": timed(step_of(n), repeat=5).median / n for n in (1, 16, 256)})

# %% [markdown]
# ## The rules of the industry
#
# In 2018, hardware makers published speeds that nobody could compare: at batch sizes that no user has,
# without warm-up in one case and with a warm cache in the other, means where users feel the tail. **MLPerf**
# (Reddi et al., 2019) wrote the rules down. Three of them are about time:
#
# - **single stream**: one query, wait, the next one. A phone. What counts is a high percentile of the
#   latency;
# - **server**: queries arrive when *they* like, at random. What counts is how many a second can be taken if
#   99 of 100 must be answered within a bound;
# - **offline**: everything is there at once. What counts is the throughput.
#
# A **percentile** is one of the values, never a mean of two: the smallest one such that at least q percent of
# all are not larger (the *nearest rank*). **Your turn.**

# %%
#| export exercise
def percentile(values: Sequence[float], q: float) -> float:
    """The smallest of the values such that at least q percent of all are not larger (nearest rank)."""
    if not 0 < q <= 100: raise ValueError(f"a percentile lies above 0 and is at most 100, not {q}")
    #| hint Sorted, the first has rank 1, the last rank n. Which rank is the first with rank / n >= q / 100?
    #| hint math.ceil(q * n / 100) is the rank; ranks begin at 1, indices at 0.
    ### BEGIN SOLUTION
    return sorted(values)[math.ceil(q * len(values) / 100) - 1]
    ### END SOLUTION

# %%
#| check 2
latencies = [15, 20, 35, 40, 50]
assert percentile(latencies, 40) == 20, "two of five are 40 percent: the second value, nothing in between"
assert percentile(latencies, 41) == 35, "two of five are less than 41 percent: the third is needed"
assert percentile(latencies, 100) == 50, "all of them are not larger than the largest"
assert percentile(latencies, 1) == 15, "there is nothing below the smallest"
assert percentile(range(1, 101), 99) == 99, "of a hundred, the 99th: one is slower"
assert percentile(range(1, 1001), 50) == 500, "of a thousand, the 500th"
assert percentile([3.0, 1.0, 2.0], 50) == 2.0, "it is the sorted values that have ranks"
assert percentile([7.0], 99.9) == 7.0, "a single value is every percentile"

# %% [markdown]
# A run that is too short is lucky or unlucky. So it has to go on until *both* are reached, a number of
# queries and a duration.
#
# **Your turn**, with the single stream. `answer(query)` is the system under test; the queries are used in
# order, and again from the first when they are used up.

# %%
#| export exercise
def single_stream(
    answer: Callable,
    queries: Sequence,
    count: int = 1024,                      # at least so many queries …
    duration: float = 10.0,                 # … and at least so many seconds
    clock: Clock = time.perf_counter,
) -> list[float]:
    """The latency of each query, asked one after the other."""
    latencies: list[float] = []
    start = clock()
    #| hint while there are fewer than count, or clock() - start is less than the duration: …
    #| hint The next query is queries[len(latencies) % len(queries)].
    ### BEGIN SOLUTION
    while len(latencies) < count or clock() - start < duration:
        asked = clock()
        answer(queries[len(latencies) % len(queries)])
        latencies.append(clock() - asked)
    ### END SOLUTION
    return latencies

# %%
#| check 2
from tinytorch.setup import HandClock

clock, heard = HandClock(), []
def answering(query): heard.append(query) or clock.turn(0.5)
assert single_stream(answering, "abc", count=5, duration=1.0, clock=clock) == [0.5] * 5, \
    "the seconds are over after two queries, but five are the least"
assert heard == [*"abcab"], "queries are asked in their order, and again from the first"
assert len(single_stream(answering, "abc", count=2, duration=4.0, clock=clock)) == 8, \
    "two queries would do, but it has to last four seconds"
assert single_stream(answering, "abc", count=0, duration=0.0, clock=clock) == [], "nothing asked, no answer"
costs = iter([4.0, 1.0, 2.0])
assert single_stream(lambda q: clock.turn(next(costs)), "a", 3, 0.0, clock) == [4.0, 1.0, 2.0], \
    "each latency is its own query's: from the question to the answer"

# %% [markdown]
# The server is the interesting one. Queries arrive whether or not you are ready; who comes while another is
# being answered has to wait, and the **latency is counted from the arrival**. With one worker, first come,
# first served, the clockwork is short: a query begins when it has arrived and the one before it is done.
#
# **Your turn.** From the times of arrival and the seconds that each answer takes, the latencies. No waiting
# is done here: idle seconds need not be slept through to be counted.

# %%
#| export exercise
def queued(arrivals: Iterable[float], durations: Iterable[float]) -> list[float]:
    """The latency of each query at one worker, first come first served: from its arrival to its answer."""
    latencies, free = [], 0.0               # when the worker is free again
    #| hint It begins at max(arrived, free), and is done `took` seconds later: then the worker is free.
    ### BEGIN SOLUTION
    for arrived, took in zip(arrivals, durations):
        free = max(arrived, free) + took
        latencies.append(free - arrived)
    ### END SOLUTION
    return latencies

# %%
#| check 2
assert queued([0.0, 10.0, 20.0], [2.0, 2.0, 2.0]) == [2.0, 2.0, 2.0], "with time between them nobody waits"
assert queued([0.0, 1.0, 2.0], [2.0, 2.0, 2.0]) == [2.0, 3.0, 4.0], \
    "who comes while another is answered waits, and that counts: from the arrival to the answer"
assert queued([0.0, 1.0, 9.0], [5.0, 1.0, 1.0]) == [5.0, 5.0, 1.0], \
    "a slow answer delays the next one; once the queue is empty, waiting is over"
assert queued([3.0], [1.0]) == [1.0], "before the first one comes there is nothing to do"

# %% [markdown]
# Arrivals at random are a **Poisson process**: the gaps between them are exponential, with mean 1/rate. The
# network above answers one picture in so many microseconds. Let queries arrive at half of the rate that it
# could take, at 80, at 95 and at 99 percent of it. An answer takes as long as before. How long does the
# middle query wait, and the slowest in a hundred?

# %%
from tinytorch import no_grad

rows = [pictures[n : n + 1] for n in range(64)]
with no_grad(): durations = single_stream(net, rows, count=2000, duration=0.2)
best = 1 / np.mean(durations)
for load in (0.5, 0.8, 0.95, 0.99):
    arrivals = np.cumsum(draw.exponential(1 / (load * best), len(durations)))
    found = queued(arrivals, durations)
    print(f"{load:4.0%} of {best:.0f}/s: " + "  ".join([
        f"p{q} {readable(percentile(found, q)):>7}" for q in (50, 90, 99)]))

# %% [markdown]
# A server at 99 percent is not one percent worse than one at 98. This is why the claim has to name its bound,
# and why throughput measured offline says little about a service. The appendix on load has all scenarios,
# with their rules of validity, and finds the highest rate that keeps a bound.
#
# ## Your package, and the others
#
# ```text
# tito bench
# ```
#
# races your package against the course's, NumPy and PyTorch if it is installed: in turns, on one thread each,
# with intervals. It is what you built here, with the runs in processes of their own.
#
# ## Challenges
#
# 1. `median_interval` of ratios needs pairs. Find out on your machine how much narrower it is than what you
#    get from two unpaired timings. On a quiet machine, and while something else runs?
# 2. The cost column counts one walk over memory for softmax. Write a second rule that counts the walks that
#    NumPy really takes. Does the point now lie on the roof?
# 3. Profile a step of a GPT (`tinytorch.language`). Which ops lie far below the roof *and* take time? Make a
#    list, in the order in which you would make them faster, and say by how much the step can shrink at most.
#    (Amdahl, 1967.)
# 4. `single_stream` reads the clock twice a query. What is the shortest query for which that does not matter?
# 5. Let `queued` have two workers. At 95 % of the rate of both, is p99 better or worse than that of one
#    worker that is twice as fast?
# 6. A trick that MLPerf forbids: remember the answers. Write an `answer` that does, and a rule for the
#    queries that makes it useless.
#
# ## Design note: tracing or sampling?
#
# This profiler **traces**: it notes every call, and knows exactly how many there were, with their shapes and
# costs. The price is some microseconds for each, which short calls pay many times over, so that a network
# of tiny ops looks worse than it is. A profiler that **samples** looks a thousand times a second at where the
# program is. It costs the same whatever runs, sees inside the ops and inside C, and knows neither counts nor
# shapes. For ops that take tens of microseconds, tracing is honest; for the Python between them, ask a
# sampler.
