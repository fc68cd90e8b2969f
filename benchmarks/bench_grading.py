"""What marking a submission costs, beside nbgrader's own autograde on the same notebooks in the same run.

    python benchmarks/bench_grading.py [--lesson activations] [--students 6] [--turns 3] [--only tito]

Needs bubblewrap, and for the comparison nbgrader. CPU seconds are those of this process and all it started,
read when all have ended; those of the sandboxes are told by the processes in them, since bubblewrap does not
hand them on. One worker and two take turns, and the median of the turns' ratios is told.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tito.ports.cluster import Here
from tito.services_generate import generate
from tito.services_grading import Class, make_class


def cpu() -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(f.ru_utime + f.ru_stime for f in found)


def timed(action) -> tuple[float, float]:
    """(seconds on the clock, seconds of CPU). What a child worked is known when it has ended."""
    wall, worked = time.perf_counter(), cpu()
    action()
    wall = time.perf_counter() - wall
    for child in multiprocessing.active_children(): child.join()
    return wall, cpu() - worked


def prepared(folder: Path, lesson: str, students: int) -> Class:
    """A class of one lesson; every student's notebook differs, so that none is marked for another."""
    place = make_class(folder, "bench")
    label = place.course.curriculum.lesson(lesson)
    (folder / "course.toml").write_text(
        f'format = 1\nname = "bench"\n[[assignment]]\nname = "bench"\nlessons = ["{lesson}"]\n', "utf-8")
    place = Class(folder, place.course)
    generate(place, place.plan.assignments[0])
    source = json.loads((folder / "source" / "bench" / label.notebook).read_text("utf-8"))
    first = place.course.chapter(label).exercises()[0].id
    for number in range(students):
        for cell in source["cells"]:
            if cell["id"] == first: cell["source"] = [*cell["source"], f"\n# student {number}"]
        path = folder / "submitted" / f"s{number:03}" / "bench" / label.notebook
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(source), "utf-8")
    return place


def graded(place: Class, workers: int) -> tuple[float, float]:
    """Everything marked anew: seconds on the clock and of CPU, the sandboxes' too."""
    one = place.plan.assignments[0]
    wall, worked = timed(lambda: place.grade(one, Here(workers), again=True))
    return wall, worked + sum(b.worked for books in place.everything(one).values() for b in books.values())


def told(name: str, figures: tuple[float, float], number: int) -> None:
    wall, worked = figures
    print(f"{name + ':':16} {wall / number:.2f} s, {worked / number:.2f} s of CPU a notebook")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lesson", default="activations")
    parser.add_argument("--students", type=int, default=6)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=["tito", "both"], default="both")
    asked = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
          f"Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        place = prepared(Path(name, "class"), asked.lesson, asked.students)
        one, number = place.plan.assignments[0], asked.students
        place.grade(one, Here(1), again=True)       # stages and the reference's runs are made once, and kept
        turns = [(graded(place, 1), graded(place, 2)) for _ in range(asked.turns)]
        alone, both = (min(runs) for runs in zip(*turns))
        ratio = statistics.median(first[0] / second[0] for first, second in turns)
        told("tito, 1 worker", alone, number)
        told("tito, 2 workers", both, number)
        each = ", ".join(f"{first[0] / second[0]:.2f}" for first, second in turns)
        print(f"2 workers are {ratio:.2f} times as fast as one (turn by turn: {each})")
        if asked.only == "both" and importlib.util.find_spec("nbgrader"):
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            command = [sys.executable, "-m", "nbgrader", "autograde", "bench", "--force"]
            theirs = timed(lambda: subprocess.run(command, cwd=place.root, check=True, capture_output=True,
                                                  env={**os.environ, "PATH": path}))
            told("nbgrader", theirs, number)
            wall, worked = (one / other for one, other in zip(theirs, alone))
            print(f"tito, 1 worker, takes 1/{wall:.1f} of nbgrader's time, 1/{worked:.1f} of its CPU")


if __name__ == "__main__":
    main()
