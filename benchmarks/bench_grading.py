"""What marking a submission costs, beside nbgrader's own autograde on the same notebooks in the same run.

    python benchmarks/bench_grading.py [--lesson activations] [--students 6] [--only tito]

Needs bubblewrap, and for the comparison nbgrader. CPU seconds are those of this process and all it started;
those of the sandboxes are told by the processes in them, since bubblewrap does not hand them on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import shutil
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
    """(seconds on the clock, seconds of CPU) with all children that have ended."""
    wall, worked = time.perf_counter(), cpu()
    action()
    return time.perf_counter() - wall, cpu() - worked


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lesson", default="activations")
    parser.add_argument("--students", type=int, default=6)
    parser.add_argument("--only", choices=["tito", "both"], default="both")
    asked = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
          f"Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        place = prepared(Path(name, "class"), asked.lesson, asked.students)
        one, number = place.plan.assignments[0], asked.students
        place.grade(one, Here(1), again=True)       # stages and the reference's runs are made once, and kept
        alone = timed(lambda: place.grade(one, Here(1), again=True))
        shutil.rmtree(place.state / "graded")
        both = timed(lambda: place.grade(one, Here(2)))
        inside = sum(b.worked for books in place.everything(one).values() for b in books.values())
        alone = alone[0], alone[1] + inside
        both = both[0], both[1] + inside
        print(f"tito, 1 worker:  {alone[0] / number:.2f} s, {alone[1] / number:.2f} s of CPU a notebook")
        print(f"tito, 2 workers: {both[0] / number:.2f} s, {both[1] / number:.2f} s of CPU a notebook; "
              f"{alone[0] / both[0]:.2f} times as fast")
        if asked.only == "both" and importlib.util.find_spec("nbgrader"):
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            command = [sys.executable, "-m", "nbgrader", "autograde", "bench", "--force"]
            theirs = timed(lambda: subprocess.run(command, cwd=place.root, check=True, capture_output=True,
                                                  env={**os.environ, "PATH": path}))
            print(f"nbgrader:        {theirs[0] / number:.2f} s, {theirs[1] / number:.2f} s of CPU "
                  f"a notebook: {theirs[0] / alone[0]:.1f} and {theirs[1] / alone[1]:.1f} times as much")


if __name__ == "__main__":
    main()
