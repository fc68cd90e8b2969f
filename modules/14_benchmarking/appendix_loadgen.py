# %% [markdown]
# # Appendix: a load generator
#
# The lesson builds the clockwork of MLPerf's load generator (Reddi et al., 2019); here are its scenarios,
# whole. A **scenario** says how queries come, what is counted, and when a run is long enough to be believed.
# Whoever runs one gets a result that says whether it is **valid**, and if not, why.
#
# | scenario | queries come | what counts |
# |---|---|---|
# | single stream | one after the other | the 90th percentile of the latency |
# | multi stream | eight at a time, one group after the other | the 99th percentile of a group's latency |
# | server | at random, so many a second | the 99th percentile, which has to stay within a bound |
# | offline | all at once | queries a second |
#
# MLPerf asks for ten minutes and hundreds of thousands of queries; the defaults here suit a lesson. Its
# server runs in real time. This one has a single worker, and there the time of an answer depends on nothing
# but the arrivals and on how long each answer takes: idle seconds are counted, and not slept through.

# %%
#| export
"""A load generator: single stream, multi stream, server and offline, with MLPerf's rules of validity."""

# %%
#| export
from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from tinytorch.benchmarking import percentile, queued, single_stream
from tinytorch.setup import Clock, readable

SCENARIOS = ("single_stream", "multi_stream", "server", "offline")
SHOWN = (50, 90, 95, 99)
FASTEST = 1e7                       # queries a second: nobody who reads a clock answers more

# %% [markdown]
# ## Settings and results

# %%
#| export
@dataclass(frozen=True)
class Settings:
    """How a run is made, and when it is long enough."""

    scenario: str = "single_stream"
    count: int = 1024                   # at least so many queries …
    duration: float = 10.0              # … and at least so many seconds
    percentile: float = 90.0            # of the latency: the one that counts
    rate: float = 0.0                   # server: queries a second
    bound: float = math.inf             # server: seconds that this percentile may take
    together: int = 8                   # multi stream: queries in a group
    seed: int = 0                       # of the order of queries and of their arrivals

    def __post_init__(self):
        if self.scenario not in SCENARIOS:
            raise ValueError(f"there is no scenario {self.scenario!r}: choose from {', '.join(SCENARIOS)}")
        if self.scenario == "server" and self.rate <= 0:
            raise ValueError("a server needs a rate: so many queries a second arrive")


PRESETS = {
    "single_stream": Settings("single_stream", percentile=90.0),
    "multi_stream": Settings("multi_stream", percentile=99.0, count=256),
    "server": Settings("server", percentile=99.0, rate=1.0, bound=0.1),
    "offline": Settings("offline", count=1024),
}


@dataclass(frozen=True)
class Result:
    """What a run has shown."""

    settings: Settings
    latencies: tuple[float, ...] = field(repr=False)    # seconds, by query; of groups in multi stream
    seconds: float = 0.0                                # from the first query to the last answer
    problems: tuple[str, ...] = ()                      # why it does not count
    answers: tuple = field(default=(), repr=False)      # what was answered, if it was asked to be kept

    @property
    def valid(self) -> bool: return not self.problems

    @property
    def queries(self) -> int:
        each = self.settings.together if self.settings.scenario == "multi_stream" else 1
        return len(self.latencies) * each

    @property
    def throughput(self) -> float:
        """Queries a second."""
        return self.queries / self.seconds if self.seconds else 0.0

    def p(self, q: float) -> float:
        """A percentile of the latencies, by the nearest rank."""
        return percentile(self.latencies, q)

    @property
    def metric(self) -> float:
        """The number that counts in this scenario: seconds, or queries a second."""
        if self.settings.scenario == "server": return self.settings.rate
        return self.throughput if self.settings.scenario == "offline" else self.p(self.settings.percentile)

    def as_json(self) -> str:
        """Everything but the answers, for a log."""
        data = {"settings": {k: v for k, v in asdict(self.settings).items() if v != math.inf},
                "valid": self.valid, "problems": list(self.problems), "metric": self.metric,
                "queries": self.queries, "seconds": self.seconds, "throughput": self.throughput,
                "percentiles": {f"p{q}": self.p(q) for q in SHOWN} if self.latencies else {}}
        return json.dumps(data, indent=2)

    def __str__(self):
        name = self.settings.scenario.replace("_", " ")
        told = "valid" if self.valid else f"INVALID: {'; '.join(self.problems)}"
        lines = [f"{name}: {self.queries} queries in {readable(self.seconds)}, "
                 f"{self.throughput:.1f} a second; {told}"]
        if self.latencies:
            lines.append("  " + "  ".join([f"p{q} {readable(self.p(q))}" for q in SHOWN]))
        return "\n".join(lines)

# %% [markdown]
# ## The scenarios
#
# Queries are drawn at random from the samples, with putting back, so that a system that remembers answers has
# to remember all. The seed is part of the rules: another run asks the same.

# %%
#| export
def run(
    answer: Callable,                       # a query -> an answer
    samples: Sequence,
    settings: Settings | str = "single_stream",
    together: Callable | None = None,       # a list of queries -> answers; multi stream and offline use it
    keep: bool = False,                     # keep the answers, for checking them
    clock: Clock = time.perf_counter,
    **changes,                              # of the settings: count=100, duration=0.5
) -> Result:
    """One run of a scenario: the system under test is warmed up, asked, and its latencies are judged."""
    settings = replace(PRESETS[settings] if isinstance(settings, str) else settings, **changes)
    if not len(samples): raise ValueError("there are no samples to ask about")
    answer(samples[0])                      # the warm-up
    kept: list = []
    ask = kept_in(kept, answer) if keep else answer
    order = np.random.default_rng(settings.seed)
    latencies, seconds = WAYS[settings.scenario](ask, Draw(samples, order), settings, together, clock, kept)
    return Result(settings, tuple(latencies), seconds, tuple(problems(settings, latencies, seconds)),
                  tuple(kept) if keep else ())


class Draw:
    """Samples in random order, as many as anybody asks for: query n is the same whenever it is asked for."""

    def __init__(self, samples: Sequence, order: np.random.Generator):
        self.samples, self.order, self.places = samples, order, []

    def __len__(self) -> int: return 1 << 62

    def __getitem__(self, n: int):
        while n >= len(self.places): self.places += self.order.integers(0, len(self.samples), 1024).tolist()
        return self.samples[self.places[n]]


def kept_in(kept: list, answer: Callable) -> Callable:
    """The same, and what it answers is kept."""
    def ask(query):
        kept.append(answer(query))
        return kept[-1]
    return ask


def alone(ask, queries, settings, together, clock, kept):
    latencies = single_stream(ask, queries, settings.count, settings.duration, clock)
    return latencies, sum(latencies)


def groups(ask, queries, settings, together, clock, kept):
    """Groups of queries, one group after the other; a group is answered when all of it is."""
    n = settings.together

    def answer_group(first: int) -> None:
        group = [queries[first * n + i] for i in range(n)]
        if together is None: [ask(query) for query in group]
        else: kept.extend(together(group))
    latencies = single_stream(answer_group, range(1 << 40), settings.count, settings.duration, clock)
    return latencies, sum(latencies)


def server(ask, queries, settings, together, clock, kept):
    """Arrivals at random, a single worker, and latencies from the arrival."""
    gaps, arrivals = np.random.default_rng(settings.seed + 1), []
    durations: list[float] = []
    while len(arrivals) < settings.count or arrivals[-1] < settings.duration:
        arrivals.append((arrivals[-1] if arrivals else 0.0) + gaps.exponential(1 / settings.rate))
        asked = clock()
        ask(queries[len(durations)])
        durations.append(clock() - asked)
    latencies = queued(arrivals, durations)
    return latencies, max([came + waited for came, waited in zip(arrivals, latencies)])


def offline(ask, queries, settings, together, clock, kept):
    """Everything is there; what is answered together counts together. More is asked until it lasted."""
    latencies: list[float] = []
    start = clock()
    while len(latencies) < settings.count or clock() - start < settings.duration:
        batch = [queries[len(latencies) + i] for i in range(max(settings.count, 1))]
        if together is None: [ask(query) for query in batch]
        else: kept.extend(together(batch))
        latencies += [clock() - start] * len(batch)
    return latencies, clock() - start


WAYS = {"single_stream": alone, "multi_stream": groups, "server": server, "offline": offline}

# %% [markdown]
# ## Is it valid?

# %%
#| export
def problems(settings: Settings, latencies: Sequence[float], seconds: float) -> list[str]:
    """Why a run does not count; nothing if it does."""
    found, needed = [], least_count(settings.percentile)
    n, tail = len(latencies), f"p{settings.percentile:g}"
    if n < settings.count: found.append(f"{n} queries, and {settings.count} are the least")
    if seconds < settings.duration: found.append(f"{seconds:.3g} s, and {settings.duration:g} are the least")
    if settings.scenario != "offline" and n < needed:
        found.append(f"{n} queries say nothing about {tail}: it takes {needed}")
    if settings.scenario == "server" and latencies:
        late = percentile(latencies, settings.percentile)
        if late > settings.bound:
            found.append(f"{tail} is {readable(late)}, beyond the bound of {readable(settings.bound)}")
    return found


def least_count(q: float) -> int:
    """Queries without which a percentile says nothing: ten of them have to lie beyond it."""
    return math.ceil(round(1000 / (100 - q), 6)) if q < 100 else 1

# %% [markdown]
# ## How much can it take?
#
# The claim of a server is its rate: the highest at which the bound still holds. Twice the rate while it does,
# then halving the interval.

# %%
#| export
def highest_rate(
    answer: Callable, samples: Sequence, bound: float, start: float = 1.0, close: float = 0.05,
    clock: Clock = time.perf_counter, **changes,
) -> Result | None:
    """The valid server run with the highest rate that was found, to within a share; None if there is none."""
    def tried(rate: float) -> Result:
        return run(answer, samples, "server", clock=clock, rate=rate, bound=bound, **changes)
    if not 0 < bound < math.inf: raise ValueError(f"without a bound every rate is valid: {bound}")
    best, low, high = None, 0.0, start
    while high < FASTEST and (found := tried(high)).valid:
        best, low, high = found, high, 2 * high
    while high - low > close * high and high > 1e-3:
        middle = (low + high) / 2
        found = tried(middle)
        if found.valid: best, low = found, middle
        else: high = middle
    return best

# %% [markdown]
# A system that takes a millisecond, always. What bound can it keep, at which rate?

# %%
from tinytorch.setup import HandClock

clock = HandClock()
print(run(lambda query: clock.turn(1e-3), range(100), clock=clock, duration=0.5))
for bound in (0.002, 0.005, 0.02):
    found = highest_rate(lambda query: clock.turn(1e-3), range(100), bound, 100, clock=clock, duration=1.0)
    print(f"bound {readable(bound)}: {found.metric:.0f} queries a second, of 1000")
