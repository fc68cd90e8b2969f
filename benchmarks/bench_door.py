"""What the house costs: one op through the door, the import, and the answers of `tito`.

    make bench                          writes the table into benchmarks/README.md

Medians, one thread. What is compared runs in turns, so that a slow moment of the machine meets both.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from versus import in_turns, machine, table, write  # first: it sets the number of threads

# isort: split
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

import tinytorch as tt  # noqa: E402
from tito.app import open_course  # noqa: E402

# isort: split
from demo import TITO, UTF8, Learner  # noqa: E402      scripts/demo.py


def through_the_door(engine, rounds=601, calls=400):
    """CPU microseconds of one call: (name, raw NumPy at best, through the door at best, median on top)."""
    a, b = (np.random.default_rng(seed).standard_normal((4, 4), np.float32) for seed in (0, 1))
    x, y = tt.tensor(a), tt.tensor(b)
    pairs = {
        "`x + y`, 4×4": (lambda: a + b, lambda: x + y),
        "`x * 2`, 4×4": (lambda: a * 2, lambda: x * 2),
        "`exp(x)`, 4×4": (lambda: np.exp(a), lambda: tt.exp(x)),
        "`x @ y`, 4×4": (lambda: a @ b, lambda: x @ y),
        "`x.sum(1)`, 4×4": (lambda: a.sum(1), lambda: x.sum(1)),
    }
    for name, functions in pairs.items():
        with tt.using(engine): found = in_turns(functions, rounds, calls)
        plain, through = [[1e6 * t for t in times] for times in found]
        on_top = median([b - a for a, b in zip(plain, through)])
        yield name, min(plain), min(through), on_top            # what else runs can only add to a time


def imports(rounds=15) -> float:
    """Milliseconds that `import tinytorch` takes in a process that has NumPy already."""
    code = "import numpy, time; t = time.perf_counter(); import tinytorch; print(time.perf_counter() - t)"
    run = [sys.executable, "-c", code]
    return median(float(subprocess.check_output(run, cwd=HERE.parent)) * 1e3 for _ in range(rounds))


def seconds(command: list[str], folder: Path) -> float:
    begin = perf_counter()
    subprocess.run(command, cwd=folder, env=UTF8, stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - begin


def commands(rounds=11):
    """Seconds of what a learner waits for: (command, median, limit)."""
    course = open_course()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "mytorch"
        Learner(folder.parent).type("init", folder.name, quiet=True)
        learner = Learner(folder)
        for lesson in (course.curriculum.lesson(name) for name in ("setup", "tensor")):
            learner.type("module", "start", lesson.name, "--no-open", quiet=True)
            learner.solve(lesson, course.chapter(lesson))
            learner.type("module", "complete", lesson.name, quiet=True)
        python = [sys.executable, "-c", "pass"]
        yield "`python -c pass`", median(seconds(python, folder) for _ in range(rounds)), None
        waits = ("--help", 0.15, rounds), ("status", 0.3, rounds), ("module test 02", 10, 5)
        for line, limit, times in waits:
            command = [*TITO, *line.split()]
            yield f"`tito {line}`", median(seconds(command, folder) for _ in range(times)), limit


def measured() -> str:
    plain, ready = through_the_door(tt.Engine()), through_the_door(tt.current_engine())
    ops = [[name, f"{raw:.2f} µs", f"{door:.2f} µs", f"{door - raw:.2f} µs", "1.5 µs", f"{usual:.2f} µs",
            f"{later - bare:.2f} µs"]
           for (name, raw, door, usual), (_, bare, later, _) in zip(plain, ready)]
    waits = [["`import tinytorch`, after NumPy", f"{imports():.0f} ms", "60 ms"]]
    waits += [[what, f"{time * 1e3:.0f} ms", f"{limit * 1e3:.0f} ms" if limit else ""]
              for what, time, limit in commands()]
    columns = ["one op", "raw NumPy", "through the door", "on top", "limit", "median on top",
               "with lesson 09's engine"]
    return "\n\n".join([machine(), table(columns, ops),
                        table(["what a learner waits for", "median", "limit"], waits)])


if __name__ == "__main__":
    write("bench_door.py", measured())
