"""What the cells of a chapter show, run in the package its learner has; kept until a source changes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tito.checkout import Checkout
from tito.core.curriculum import Lesson, module_of
from tito.core.lesson import Cell, solved

RUNNER = Path(__file__).with_name("cell_runner.py")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
Outputs = list[list[list[str]]]             # for each cell, what it shows: [kind, text]


class ChapterFailed(RuntimeError):
    """A cell of the book raised."""


@cache
def package_of(course: Checkout, lesson: Lesson, complete: bool) -> dict[str, str]:
    """The package of a learner who begins this lesson, or has completed it."""
    done = {need.name for need in course.curriculum.needs_closure(lesson)}
    if complete: done.add(lesson.name)
    sources: dict[str, str] = {}
    for other in course.curriculum:
        if other.name in done: sources |= course.sources(other, other.files)
        elif other == lesson: sources |= course.sources(other, other.given)
    return course.package(sources)


def outputs(course: Checkout, lesson: Lesson, file: str, kept: Path) -> Outputs:
    """What every cell of a lesson's file shows: from the folder `kept`, or else by running it."""
    chapter = course.chapter(lesson, file)
    own = file == lesson.name
    cells = [_program(cell, own) for cell in chapter.cells]
    if not any(cells): return [[] for _ in cells]
    asked = {"cells": cells, "module": "" if own else f"tinytorch.{module_of(file)}"}
    place = kept / f"{lesson.folder}-{file}-{_digest(course, lesson, asked)}.json"
    if not place.exists():
        kept.mkdir(parents=True, exist_ok=True)
        for old in kept.glob(f"{lesson.folder}-{file}-*.json"): old.unlink()
        shown = _run(asked, package_of(course, lesson, complete=not own), course, file)
        place.write_text(json.dumps(shown, ensure_ascii=False), "utf-8")
    return json.loads(place.read_text("utf-8"))


def _program(cell: Cell, own: bool) -> str | None:
    """What is run of a cell: everything in a lesson; in an appendix what is not in the package anyway."""
    return solved(cell).source if cell.kind == "code" and (own or not cell.exported) else None


def _digest(course: Checkout, lesson: Lesson, asked: dict[str, Any]) -> str:
    """Changes with the cells, what runs them, and any file of a lesson that the package is made of."""
    made_of = [course.file(one, file).read_text("utf-8")
               for one in (*course.curriculum.needs_closure(lesson), lesson) for file in one.files]
    text = json.dumps([asked, made_of, RUNNER.read_text("utf-8"), sys.version])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _run(asked: dict[str, Any], package: dict[str, str], course: Checkout, file: str) -> Outputs:
    with TemporaryDirectory() as folder:
        for name, source in package.items():
            path = Path(folder, "tinytorch", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, "utf-8")
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": folder, "PYTHONUTF8": "1", "COLUMNS": "80",
                       "TINYTORCH_SHIPPED": str(course.datasets)}
        shown = Path(folder, "shown.json")
        done = subprocess.run([sys.executable, str(RUNNER), str(shown)], input=json.dumps(asked),
                              capture_output=True, text=True, cwd=folder, env=environment)
        if done.returncode: raise ChapterFailed(f"{file}.py: {done.stderr}")
        return json.loads(shown.read_text("utf-8"))
