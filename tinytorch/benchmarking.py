# Generated from modules/14_benchmarking/benchmarking.py by `tito export`. Edit that file, not this one.
"""Honest comparisons, the cost of every op, an engine with a stopwatch, and the rules of MLPerf."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import numpy as np

from .activations import log_softmax, softmax
from .attention import attend, look_up
from .autograd import Autograd
from .bookkeeping import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from .costs import COSTS, Cost, cost, cost_of_pull, moved, sketch
from .dense import linear
from .hooks import register_module_forward_hook, register_module_forward_pre_hook
from .ledger import short
from .receipts import Receipt
from .setup import (
    Clock, Run, Timing, bandwidth_ceiling, batch_size, gemm_ceiling, least_seconds, median, readable,
    seconds_of,
)
from .tensor import Op, Tensor, current_engine, matmul, using

__all__ = [
    "median_interval", "in_turns", "Ratio", "paired", "verdict", "matmul_cost", "linear_cost", "softmax_cost",
    "look_up_cost", "attend_cost", "is_view", "cost_of", "Machine", "this_machine", "share_of_roof",
    "limited_by", "Span", "Block", "Recorder", "own_seconds", "Profiler", "Row", "Table", "amount",
    "profiled", "spans_of_steps", "spans_of_modules", "percentile", "single_stream", "queued",
]


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Two of the values that have the true median between them, with at least this confidence."""
    ordered, n = sorted(values), len(values)
    k, below = 0, 1 / 2**n                          # the chance that at most k lie below
    while below <= (1 - confidence) / 2:
        k += 1
        below += math.comb(n, k) / 2**n
    return (ordered[k - 1], ordered[n - k]) if k else (-math.inf, math.inf)


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
    for n in range(rounds):
        places = range(len(runs))
        for place in reversed(places) if n % 2 else places:
            seconds[place].append(seconds_of(runs[place], times[place], clock) / times[place])
    return [Timing(tuple(some)) for some in seconds]


class Ratio(NamedTuple):
    """How many times as long one takes as another: the median of pairs, and between which numbers it lies."""

    middle: float
    low: float
    high: float

    def __str__(self): return f"{self.middle:.3f} ({self.low:.3f} to {self.high:.3f}): {verdict(self)}"


def paired(ours: Timing, theirs: Timing, confidence: float = 0.95) -> Ratio:
    """The ratio of ours to theirs, turn by turn."""
    ratios = [a / b for a, b in zip(ours.seconds, theirs.seconds)]
    return Ratio(median(ratios), *median_interval(ratios, confidence))


def verdict(ratio: Ratio) -> str:
    """In one word, if the interval allows it: faster, slower, or "cannot tell"."""
    if ratio.high < 1: return "faster"
    if ratio.low > 1: return "slower"
    return "cannot tell"


@cost(matmul)
def matmul_cost(out, x, y) -> Cost:
    return Cost(2 * out.size * x.shape[-1], moved(out, x, y))


@cost(linear)
def linear_cost(out, x, weight, bias=None) -> Cost:
    return Cost(out.size * (2 * weight.shape[-1] + (bias is not None)), moved(out, x, weight, bias))


@cost(softmax, log_softmax)
def softmax_cost(out, x, **settings) -> Cost:
    return Cost(5 * x.size, moved(out, x))


@cost(look_up)
def look_up_cost(out, ids, weight, **settings) -> Cost:
    return Cost(0, moved(ids) + 2 * moved(out))


@cost(attend)
def attend_cost(out, query, key, value, mask=None, keep=None, **settings) -> Cost:
    scores = query.size // query.shape[-1] * key.shape[-2]
    products = 2 * scores * (query.shape[-1] + value.shape[-1])
    return Cost(products + scores * (6 + (mask is not None)), moved(out, query, key, value, mask, keep))


def is_view(op: Op, out) -> bool:
    """Whether what came out shows memory of what went in."""
    if isinstance(out, tuple): return op.shares and (not out or is_view(op, out[0]))
    return op.shares and getattr(out, "_base", True) is not None


def cost_of(op: Op, inputs: Sequence, settings: dict, out) -> Cost:
    """What a call of an op costs, from the shapes of what went in and came out."""
    if is_view(op, out): return Cost()
    out, inputs = sketch(out), [sketch(x) for x in inputs]
    if op.shares or op.name not in COSTS: return Cost(0, moved(out, *inputs))
    return COSTS[op.name](out, *inputs, **settings)


class Machine(NamedTuple):
    """What this machine can do at most: GFLOP/s of a large product, GB/s of a large copy."""

    gflops: float
    bandwidth: float


def this_machine(tries: int = 2) -> Machine:
    """The best of a few tries: a ceiling hangs as high as anything ever reached."""
    return Machine(max([gemm_ceiling(512) for _ in range(tries)]),
                   max([bandwidth_ceiling(32) for _ in range(tries)]))


def share_of_roof(cost: Cost, seconds: float, machine: Machine) -> float:
    """How near work came to the least time that it could take: 1 is all that this machine can do."""
    return least_seconds(cost.flops, cost.bytes, *machine) / seconds


def limited_by(cost: Cost, machine: Machine) -> str:
    """Which ceiling is above this work: "arithmetic" or "memory"."""
    return "arithmetic" if cost.intensity > machine.gflops / machine.bandwidth else "memory"


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


class Recorder:
    """Spans of time, one inside another, by a clock."""

    def __init__(self, clock: Clock = time.perf_counter):
        self.clock = clock
        self.spans: list[Span] = []         # all, in the order in which they began
        self.open: list[Span] = []          # those that have not ended, the innermost last

    def begin(self, name: str) -> Span:
        """A new span, inside the innermost open one."""
        span = Span(name, self.open[-1] if self.open else None, self.clock())
        self.spans.append(span)
        self.open.append(span)
        return span

    def end(self) -> Span:
        """Ends the innermost open span."""
        span = self.open.pop()
        span.ended = self.clock()
        return span

    def span(self, name: str) -> Block:
        """`with recorder.span("forward"):` the block is a span, however it ends."""
        return Block(self, name)


def own_seconds(spans: Iterable[Span]) -> dict[Span, float]:
    """The self time of each span: its seconds, less those of the spans directly inside it."""
    own = {span: span.seconds for span in spans}
    for span in own:
        if span.inside in own: own[span.inside] -= span.seconds
    return own


class Profiler(Autograd):
    """An engine around another one, which writes down when each op and each pull began and ended."""

    def __init__(self, inner=None, clock: Clock = time.perf_counter):
        super().__init__(inner or current_engine())
        self.book = Recorder(clock)

    def run(self, op: Op, inputs: tuple, settings: dict):
        """What the inner engine gives, and a span."""
        with self.book.span(op.name) as span: out = self.inner.run(op, inputs, settings)
        span.cost = cost_of(op, inputs, settings, out)
        self.look(span, inputs, out)
        return out

    def pull(self, receipt: Receipt, g, create_graph: bool) -> tuple:
        """What the receipt hands on, and a span; functions that wait are timed when they run."""
        inputs, wanted = receipt.inputs or (), [edge is not None for edge in receipt.edges]
        with self.book.span(receipt.name()) as span: found = super().pull(receipt, g, create_graph)
        found = tuple([self.waiting(span, dx) if callable(dx) else dx for dx in found])
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


def percentile(values: Sequence[float], q: float) -> float:
    """The smallest of the values such that at least q percent of all are not larger (nearest rank)."""
    if not 0 < q <= 100: raise ValueError(f"a percentile lies above 0 and is at most 100, not {q}")
    return sorted(values)[math.ceil(q * len(values) / 100) - 1]


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
    while len(latencies) < count or clock() - start < duration:
        asked = clock()
        answer(queries[len(latencies) % len(queries)])
        latencies.append(clock() - asked)
    return latencies


def queued(arrivals: Iterable[float], durations: Iterable[float]) -> list[float]:
    """The latency of each query at one worker, first come first served: from its arrival to its answer."""
    latencies, free = [], 0.0               # when the worker is free again
    for arrived, took in zip(arrivals, durations):
        free = max(arrived, free) + took
        latencies.append(free - arrived)
    return latencies
