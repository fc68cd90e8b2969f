# %% [markdown]
# # Appendix: a memory timeline
#
# How much memory does a step hold, and when is it most? `tracemalloc` keeps a book of every array; a profiler
# that looks into it behind each op and each pull can draw the curve. It climbs in forward, where receipts
# keep numbers, and falls in backward, where they are let go.

# %%
#| export
"""A profiler that also watches memory, and its curve."""

# %%
#| export
from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

from tinytorch.benchmarking import Profiler, Span
from tinytorch.charts import Svg, svg
from tinytorch.curves import COLOURS, line, marks, text
from tinytorch.ledger import short
from tinytorch.setup import Clock
from tinytorch.tensor import using

# %%
#| export
class Look(NamedTuple):
    """Memory behind one span: in use now, and the most since the look before."""

    when: float
    now: int
    peak: int
    name: str


class MemoryProfiler(Profiler):
    """Notes behind every op and every pull how many bytes are in use. Slow: it keeps a book of everything."""

    def __init__(self, inner=None, clock: Clock = time.perf_counter):
        super().__init__(inner, clock)
        self.looks: list[Look] = []

    def look(self, span: Span, inputs, out) -> None:
        now, peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        before = self.looks[-1].now if self.looks else 0
        span.facts |= {"memory": now, "allocated": now - before}
        self.looks.append(Look(self.book.clock(), now, peak, span.name))


@contextmanager
def watching_memory(clock: Clock = time.perf_counter) -> Iterator[MemoryProfiler]:
    """`with watching_memory() as p:` the looks of the block are in `p.looks`, the first before it began."""
    tracing = tracemalloc.is_tracing()
    if not tracing: tracemalloc.start()
    profiler = MemoryProfiler(clock=clock)
    try:
        now, _ = tracemalloc.get_traced_memory()
        profiler.looks.append(Look(clock(), now, now, "start"))
        with using(profiler): yield profiler
    finally:
        if not tracing: tracemalloc.stop()

# %% [markdown]
# ## The curve

# %%
#| export
class MemoryTimeline(Svg):
    """Bytes in use over time, with the peak of every op above; notebooks show it."""

    width, height, left, right, top, bottom = 640, 260, 70, 16, 22, 36

    def __init__(self, looks: list[Look]):
        if not looks: raise ValueError("nobody looked: there is no memory to draw")
        base, start = looks[0].now, looks[0].when
        self.looks = [Look(x.when - start, x.now - base, x.peak - base, x.name) for x in looks]

    peak = property(lambda self: max([x.peak for x in self.looks]))

    def worst(self) -> Look:
        """The look with the highest peak."""
        return max(self.looks, key=lambda look: look.peak)

    def _repr_svg_(self) -> str:
        low, high = min([0, *[x.now for x in self.looks]]), max(self.peak, 1)
        long = self.looks[-1].when or 1e-9
        def place(when, n):
            x = self.left + when / long * (self.width - self.left - self.right)
            return x, self.height - self.bottom - (n - low) / (high - low) * (
                self.height - self.top - self.bottom)
        parts = []
        for n in marks(low, high, 5):
            x, y = place(0, n)
            parts.append(f'<line x1="{x}" y1="{y:.1f}" x2="{self.width - self.right}" y2="{y:.1f}" '
                         'stroke="#e4e4e4"/>')
            parts.append(text(x - 6, y + 4, f"{short(round(abs(n)))}B", "end"))
        use, peaks = [], []
        for before, look in pairwise([self.looks[0], *self.looks]):     # a peak holds since the look before
            use += [place(look.when, before.now), place(look.when, look.now)]
            peaks += [place(before.when, look.peak), place(look.when, look.peak)]
        parts += [line(peaks, COLOURS[1]), line(use, COLOURS[0])]
        worst = self.worst()
        x, y = place(worst.when, worst.peak)
        parts.append(text(min(max(x, 150), self.width - 150), y - 6,
                          f"{short(worst.peak)}B in {worst.name}", "middle", COLOURS[1]))
        parts.append(text(self.width - self.right, self.height - 10, f"{1e3 * long:.3g} ms", "end"))
        return svg(self.width, self.height, "memory in use over time", parts)

    def __repr__(self):
        worst = self.worst()
        return f"<{len(self.looks)} looks, at most {short(worst.peak)}B, in {worst.name}>"
