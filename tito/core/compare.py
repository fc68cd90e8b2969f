"""Two ways to solve one exercise, side by side: the learner's and the course's. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from tito.core.curriculum import Lesson


@dataclass(frozen=True)
class Cost:
    """What the checks of an exercise took."""

    seconds: float              # the best of several runs
    peak: int                   # bytes that Python and NumPy held at most, beyond what they held before

    def __str__(self) -> str: return f"{readable(self.seconds)} and {megabytes(self.peak)}"


@dataclass(frozen=True)
class Solution:
    """The course's way, and the learner's where there is one."""

    lesson: Lesson
    exercise: str
    source: str                         # the course's
    mine: str = ""                      # the learner's; "" while it is the blank
    cost: Cost | None = None            # of the course's
    mine_cost: Cost | None = None       # None where the checks do not pass

    @property
    def same(self) -> bool: return self.mine.split() == self.source.split()

    @property
    def difference(self) -> list[tuple[str, str]]:
        """Every line with a sign: "-" stands only in the learner's, "+" only in the course's, " " in both."""
        mine, course = self.mine.strip().splitlines(), self.source.strip().splitlines()
        found: list[tuple[str, str]] = []
        for kind, i, j, k, m in SequenceMatcher(None, mine, course, autojunk=False).get_opcodes():
            if kind == "equal":
                found += [(" ", line) for line in mine[i:j]]
            else:
                found += [("-", line) for line in mine[i:j]] + [("+", line) for line in course[k:m]]
        return found

    @property
    def verdict(self) -> str:
        """A word on what each costs; "" where one of the two was not measured."""
        if not (self.cost and self.mine_cost): return ""
        ratio = compared(self.mine_cost.seconds, self.cost.seconds)
        return f"The checks take {self.mine_cost} with yours, {self.cost} with the course's: {ratio}."


CLOSE = 1.25                    # runs of the same code differ by as much


def compared(mine: float, course: float) -> str:
    ratio = mine / course if course else 1.0
    if ratio > CLOSE: return f"yours takes {ratio:.1f} times as long"
    if ratio < 1 / CLOSE: return f"the course's takes {1 / ratio:.1f} times as long"
    return "about the same time"


def readable(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size: return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 1e-6:.0f} µs"


def megabytes(count: int) -> str:
    for unit, size in (("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= size: return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def costs(report: str, checks: Sequence[str]) -> Cost | None:
    """What was measured of these checks; None if one of them did not pass, or there are none."""
    try:
        found = json.loads(report)["costs"]
        seconds = [float(found[name]["seconds"]) for name in checks]
        return Cost(sum(seconds), max(int(found[name]["peak"]) for name in checks))
    except (ValueError, KeyError, TypeError):
        return None
