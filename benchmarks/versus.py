"""Two ways of doing the same, timed in turns, and the page their numbers are written to.

Whatever else a machine does meets both ways alike: they run in one process, on one thread each, one after the
other, many times over. Times are CPU times. Ratios of medians travel best from machine to machine.
"""

from __future__ import annotations

import os

COUNT = int(os.environ.get("BENCH_THREADS", "1"))
THREADS = {name: str(COUNT) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
os.environ.update(THREADS)                  # before NumPy or PyTorch is imported, or they will not look

import platform  # noqa: E402
import timeit  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from datetime import date  # noqa: E402
from pathlib import Path  # noqa: E402
from statistics import median  # noqa: E402
from time import perf_counter, process_time  # noqa: E402
from typing import NamedTuple  # noqa: E402

import numpy as np  # noqa: E402

clock = process_time if COUNT == 1 else perf_counter    # CPU time would count each thread
PAGE = Path(__file__).resolve().parent / "README.md"


def in_turns(functions: list[Callable], rounds: int, calls: int) -> list[list[float]]:
    """CPU seconds of one call: for each function a time from every round."""
    timers = [timeit.Timer(f, timer=clock) for f in functions]
    times = [[timer.timeit(calls) / calls for timer in timers] for _ in range(rounds)]
    return [list(column) for column in zip(*times)]


class Versus(NamedTuple):
    """The CPU seconds that TinyTorch and PyTorch took for the same."""

    name: str
    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> float: return median(self.ours) / median(self.theirs)

    @property
    def best(self) -> float: return min(self.ours) / min(self.theirs)


def versus(name: str, ours: Callable, theirs: Callable, rounds: int = 41, turn: float = 0.04) -> Versus:
    """Both in turns, each called as often as fits into a turn of so many seconds."""
    warm = in_turns([ours, theirs], 3, 1)
    calls = max(1, round(turn / max(min(column) for column in warm)))
    return Versus(name, *in_turns([ours, theirs], rounds, calls))


def torch_on_one_thread():
    """PyTorch, on as many threads as NumPy's BLAS has here."""
    import torch
    torch.set_num_threads(COUNT)
    return torch


def machine(*more: str) -> str:
    """What the numbers were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((x.split(": ", 1)[1] for x in lines if x.startswith("model name")), platform.processor())
    versions = ", ".join([f"Python {platform.python_version()}", f"NumPy {np.__version__}", *more])
    return (f"{date.today():%d %B %Y}, {model}, {os.cpu_count()} cores, {versions}, "
            f"{'one thread' if COUNT == 1 else f'{COUNT} threads'}, "
            f"load {os.getloadavg()[0]:.1f}.")


def table(columns: list[str], rows: Iterator[list[str]]) -> str:
    """A Markdown table: words on the left, numbers on the right."""
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join([f"| {' | '.join(line)} |" for line in lines])


def write(program: str, measured: str, page: Path = PAGE) -> None:
    """Puts what a program measured between its marks on the page."""
    begin, end = f"<!-- measured by {program} -->", "<!-- end -->"
    before, rest = page.read_text("utf-8").split(begin)
    after = rest.split(end, 1)[1]
    page.write_text(f"{before}{begin}\n\n{measured}\n\n{end}{after}", "utf-8")
    print(f"\n{measured}\n\nwritten to {page}")
