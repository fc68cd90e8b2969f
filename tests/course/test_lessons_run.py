"""Every cell of every lesson runs, from top to bottom, beside a package that holds only what came before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tito.checkout import open_checkout
from tito.core.curriculum import module_of
from tito.core.export import module_source
from tito.core.faces import package

ROOT = Path(__file__).resolve().parents[2]
COURSE = open_checkout(ROOT)
GIVEN = {path.name: path.read_text("utf-8") for path in (ROOT / "modules").iterdir() if path.is_file()}
WRITTEN = [lesson for lesson in COURSE.curriculum if (ROOT / "modules" / lesson.folder).exists()]

RUN = """
import ast, pathlib, sys
sys.path.insert(0, ".")
space = {"__name__": "__main__"}
for cell in pathlib.Path("cells.txt").read_text("utf-8").split("\\f"):
    *body, last = ast.parse(cell).body or [ast.Pass()]
    exec(compile(ast.Module(body + ([] if isinstance(last, ast.Expr) else [last]), []), cell, "exec"), space)
    if isinstance(last, ast.Expr): repr(eval(compile(ast.Expression(last.value), cell, "eval"), space))
"""


def before(lesson) -> dict[str, str]:
    """The package a learner has who starts this lesson: all lessons it needs, and what it gives."""
    done = {need.name for need in COURSE.curriculum.needs_closure(lesson)} - {lesson.name}
    sources = {}
    for (other, file), chapter in COURSE.chapters.items():
        if other.name in done or (other.name == lesson.name and file in lesson.given):
            sources[module_of(file)] = module_source(chapter.cells, "# a learner's", file)
    return package(COURSE.curriculum, sources, "0", {}, GIVEN)


@pytest.mark.parametrize("lesson", WRITTEN, ids=lambda lesson: lesson.folder)
def test_a_lesson_runs_from_top_to_bottom_with_only_what_came_before(lesson, tmp_path):
    for name, source in before(lesson).items():
        path = tmp_path / "tinytorch" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
    cells = [cell.source for cell in COURSE.chapters[lesson, lesson.name].cells if cell.kind == "code"]
    (tmp_path / "cells.txt").write_text("\f".join(cells), "utf-8")
    surroundings = {**os.environ, "TINYTORCH_SHIPPED": str(ROOT / "datasets")}
    done = subprocess.run([sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True,
                          env=surroundings)
    assert done.returncode == 0, done.stderr[-2000:]
