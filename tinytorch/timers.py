# Generated from modules/14_benchmarking/appendix_timers.py by `tito export`. Edit that file, not this one.
"""`Timer`, `Measurement` and `Compare`, as in torch.utils.benchmark."""

from __future__ import annotations

import enum
import math
import textwrap
import timeit
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from .setup import median

__all__ = [
    "timer", "UNITS", "WORDS", "FINEST", "MOST_FIGURES", "WARN_BEYOND", "HIGHLY_BEYOND", "Language",
    "select_unit", "unit_to_english", "trim_sigfig", "TaskSpec", "Measurement", "Timer", "Compare",
]


timer = timeit.default_timer
UNITS = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
WORDS = {"ns": "nanosecond", "us": "microsecond", "ms": "millisecond", "s": "second"}
FINEST, MOST_FIGURES = 25e-9, 4                 # nothing is known better than to 25 ns, or to four figures
WARN_BEYOND, HIGHLY_BEYOND = 0.1, 0.25          # of the median: an interquartile range that tells of trouble


class Language(enum.Enum):
    """In what a statement is written; PyTorch can time C++, too."""

    PYTHON = 0
    CPP = 1


def select_unit(t: float) -> tuple[str, float]:
    """The unit that suits a time, and its length in seconds."""
    return next(((name, size) for name, size in reversed(UNITS) if t >= size), UNITS[0])


def unit_to_english(u: str) -> str:
    """'us' is 'microseconds'."""
    return WORDS[u]


def trim_sigfig(x: float, n: int) -> float:
    """x with n significant figures."""
    if x != x or not math.isfinite(x) or x == 0: return x
    return float(f"{x:.{n - 1}e}")


@dataclass(frozen=True)
class TaskSpec:
    """What was timed."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The label, or else the statement; the sub-label behind it."""
        if self.label is not None: return self.label + (f": {self.sub_label}" if self.sub_label else "")
        if "\n" not in self.stmt: return self.stmt
        return f"stmt:{f' ({self.sub_label})' if self.sub_label else ''}\n{textwrap.indent(self.stmt, '  ')}"

    def setup_str(self) -> str:
        return "" if self.setup in ("", "pass") else f"setup: {self.setup}"

    def summarize(self) -> str:
        """The title, the description and the setup, a line each."""
        return "\n".join(filter(None, [self.title, self.description or "", self.setup_str()]))


class Measurement:
    """The seconds of several blocks of runs, and what they say."""

    def __init__(self, number_per_run: int, raw_times: list[float], task_spec: TaskSpec, metadata=None):
        self.number_per_run, self.raw_times = number_per_run, list(raw_times)
        self.task_spec, self.metadata = task_spec, metadata

    times = property(lambda self: [t / self.number_per_run for t in self.raw_times])
    median = property(lambda self: median(self.seen()))
    mean = property(lambda self: float(np.mean(self.seen())))
    iqr = property(lambda self: self.quartiles()[1] - self.quartiles()[0])
    has_warnings = property(lambda self: len(self.raw_times) > 1 and self.iqr / self.median >= WARN_BEYOND)
    title = property(lambda self: self.task_spec.title)
    as_row_name = property(lambda self: self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]")

    def __getattr__(self, name: str):
        """What was timed is asked for here, too: `measurement.stmt`."""
        if name.startswith("__") or name == "task_spec": raise AttributeError(name)
        return getattr(self.task_spec, name)

    def seen(self) -> list[float]:
        if not self.raw_times: raise ValueError("nothing was timed yet")
        return self.times

    def quartiles(self) -> tuple[float, float]:
        """Between which two times the middle half lies."""
        low, high = np.quantile(np.array(self.seen()), [0.25, 0.75])
        return float(low), float(high)

    @property
    def significant_figures(self) -> int:
        """How many figures of the median are worth showing: those that a 90 % interval leaves standing."""
        n = len(self.seen())
        inner = sorted(self.times)[n // 4 : math.ceil(3 * n / 4)]
        half = max(1.645 * float(np.std(inner)) / math.sqrt(len(inner)), FINEST)        # of the interval
        return max(1, min(math.floor(math.log10(self.median / half)), MOST_FIGURES))

    def meets_confidence(self, threshold: float = WARN_BEYOND) -> bool:
        """Whether the middle half lies within this share of the median."""
        return self.iqr / self.median < threshold

    def __repr__(self):
        unit, size = select_unit(self.median)
        n, (low, high) = len(self.raw_times), self.quartiles()
        lines = [self.task_spec.summarize()]
        if n == 1: lines.append(f"  {self.median / size:.2f} {unit}")
        else: lines.append(f"  Median: {self.median / size:.2f} {unit}")
        if n > 3: lines.append(f"  IQR:    {self.iqr / size:.2f} {unit} "
                               f"({low / size:.2f} to {high / size:.2f})")
        threads = self.task_spec.num_threads
        lines.append(f"  {n} measurement{'s' * (n > 1)}, {self.number_per_run} runs "
                     f"{'per measurement' * (n > 1)}, {threads} thread{'s' * (threads > 1)}")
        return "\n".join(lines + self.warnings())

    def warnings(self) -> list[str]:
        """What a wide middle half suggests."""
        if not self.has_warnings: return []
        share = self.iqr / self.median
        why = "suggests significant environmental influence" if share >= HIGHLY_BEYOND else \
            "could indicate system fluctuation"
        return [f"  WARNING: Interquartile range is {100 * share:.1f}% of the median measurement.",
                f"           This {why}."]

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Measurements of one task become one, if their blocks were of one length."""
        groups: dict = {}
        for one in measurements: groups.setdefault((one.task_spec, one.number_per_run), []).append(one)
        return [Measurement(n, [t for one in some for t in one.raw_times], task)
                for (task, n), some in groups.items()]


class Timer:
    """Times a statement. `globals` are the names that it may use."""

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "",
        timer: Callable[[], float] = timer, globals: dict | None = None, label: str | None = None,
        sub_label: str | None = None, description: str | None = None, env: str | None = None,
        num_threads: int = 1, language=Language.PYTHON,
    ):
        if language not in (Language.PYTHON, "py", "python"):
            raise ValueError(f"statements are Python here, not {language}")
        if global_setup: raise ValueError("global_setup is for C++; say it in setup")
        if num_threads != 1:
            raise ValueError("num_threads must be 1: OMP_NUM_THREADS chooses before NumPy starts")
        stmt, setup = (textwrap.dedent(text).strip("\n") for text in (stmt, setup))
        self._timer = timeit.Timer(stmt, setup, timer=timer, globals=globals)
        self._clock = timer
        self._task_spec = TaskSpec(stmt, setup, global_setup, label, sub_label, description, env, num_threads)

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """One block of so many runs, after a warm-up of a hundredth."""
        self._timer.timeit(max(number // 100, 2))
        return Measurement(number, [self._timer.timeit(number)], self._task_spec)

    def blocked_autorange(self, callback=None, min_run_time: float = 0.2) -> Measurement:
        """Blocks long enough to be timed, until they took `min_run_time` seconds together."""
        number = self._block_size(min_run_time)
        return Measurement(number, self._blocks(number, min_run_time, lambda times: True, 0.0, callback),
                           self._task_spec)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0,
        callback=None,
    ) -> Measurement:
        """Blocks until the interquartile range is within a share of the median, or the time is over."""
        number = self._block_size(0.05)

        def sure(times: list[float]) -> bool:
            found = Measurement(number, times, self._task_spec)
            return len(times) > 4 and found.meets_confidence(threshold)
        return Measurement(number, self._blocks(number, min_run_time, sure, max_run_time, callback),
                           self._task_spec)

    def _block_size(self, min_run_time: float) -> int:
        """Runs in a block that takes a thousandth of the whole, and long enough for the clock to see."""
        overhead = median([self._timer_overhead() for _ in range(5)])
        number = 1
        while True:
            seconds = self._timer.timeit(number)
            if seconds >= min_run_time / 1000 and overhead / max(seconds, 1e-12) <= 1e-4: return number
            if seconds >= min_run_time: return number
            number *= 10

    def _timer_overhead(self) -> float:
        start = self._clock()
        return self._clock() - start

    def _blocks(self, number: int, least: float, sure, most: float, callback) -> list[float]:
        """The seconds of one block after another, until there are enough of them."""
        times: list[float] = []
        total = 0.0
        while total < least or not sure(times):
            seconds = self._timer.timeit(number)
            if callback: callback(number, seconds)
            times.append(seconds)
            total += seconds
            if most and total >= most: break
        return times


class Compare:
    """Measurements in a table; those of one task are merged."""

    def __init__(self, results: list[Measurement]):
        self._results: list[Measurement] = []
        self._trim, self._colour, self._warn = False, False, False
        self.extend_results(results)

    def extend_results(self, results: Iterable[Measurement]) -> None:
        for one in results:
            if not isinstance(one, Measurement): raise ValueError(f"expected a Measurement, not {type(one)}")
            self._results.append(one)

    def trim_significant_figures(self) -> None: self._trim = True
    def colorize(self, rowwise: bool = False) -> None: self._colour = True
    def highlight_warnings(self) -> None: self._warn = True
    def print(self) -> None: print(self)

    def __str__(self):
        groups: dict = {}
        for one in Measurement.merge(self._results): groups.setdefault(one.task_spec.label, []).append(one)
        return "\n".join([self.table(label, some) for label, some in groups.items()])

    def table(self, label: str | None, results: list[Measurement]) -> str:
        """One table, in the unit that suits the shortest of its times."""
        unit, size = select_unit(min([one.median for one in results]))
        columns = list(dict.fromkeys([one.task_spec.description for one in results]))
        rows = list(dict.fromkeys([(one.task_spec.num_threads, one.as_row_name) for one in results]))
        behind = min([max(one.significant_figures - math.ceil(math.log10(one.median / size)), 0)
                      for one in results]) if self._trim else 1
        cells = {(one.task_spec.num_threads, one.as_row_name, one.task_spec.description):
                 self.cell(one, size, behind) for one in results}
        heads = [column or "" for column in columns]
        wide = [max([len(head), *[len(cells.get((*row, column), "")) for row in rows]])
                for head, column in zip(heads, columns)]
        left = max([len(name) + 6 for _, name in rows] + [12])
        head = " " * left + "".join([f"  |  {name:^{w}}" for name, w in zip(heads, wide)])
        lines = [f"[{f' {label} ' if label else '':-^{len(head) - 2}}]", head]
        threads = None
        for row in rows:
            if row[0] != threads:
                threads = row[0]
                lines.append(f"{threads} threads: ".ljust(len(head), "-"))
            told = "".join([f"  |  {cells.get((*row, column), ''):>{w}}" for column, w in zip(columns, wide)])
            lines.append(f"{'      ' + row[1]:{left}}{told}")
        end = f"\nTimes are in {unit_to_english(unit)}s ({unit}).\n"
        if self._warn and any([one.has_warnings for one in results]):
            end += "(! XX%) Measurement has high variance, where XX is the IQR / median * 100.\n"
        return "\n".join([*lines, end])

    def cell(self, one: Measurement, size: float, behind: int) -> str:
        value = one.median / size
        if self._trim: value = trim_sigfig(value, one.significant_figures)
        told = f"{value:.{behind}f}"
        if self._warn and one.has_warnings: told += f" (! {100 * one.iqr / one.median:.0f}%)"
        return told
