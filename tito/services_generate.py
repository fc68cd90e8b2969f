"""Assignments made from lessons: the instructor's version, the student's, and what is handed out."""

from __future__ import annotations

import copy
import io
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tito.core.curriculum import Lesson
from tito.core.errors import EnvironmentProblem, NotFound, UsageProblem
from tito.core.faces import TAIL
from tito.core.grades import Assignment, Question
from tito.core.lesson import Cell, Chapter, nbgrader_metadata, notebook
from tito.ports.files import write, write_all, write_tree
from tito.ports.grader import with_checksums
from tito.ports.notebooks import as_notebook
from tito.services_grading import Class
from tito.services_marking import Master, chapter_of, master_of

WORKFLOW = """\
# Made by `tito course release --github`. Runs the checks that the notebook shows.
name: checks
on: [push, workflow_dispatch]
permissions: {{contents: read}}
jobs:
  checks:
    runs-on: ubuntu-latest
    timeout-minutes: 20
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.12"}}
      - run: pip install -r requirements.txt
{steps}
"""
STEP = "      - run: tito course check {notebook} --unsafe-no-sandbox     # on a machine for this run"

BRIDGE = '''\
"""Your own {module}: what {notebook}, beside this package, exports. Both belong to the same assignment."""

import json as _json
import pathlib as _pathlib

_notebook = _pathlib.Path(__file__).resolve().parents[{depth}] / "{notebook}"
_cells = _json.loads(_notebook.read_text("utf-8"))["cells"]
_code = ["".join(c["source"]) for c in _cells if c["cell_type"] == "code"]
exec(compile("\\n\\n".join(c for c in _code if c.startswith("#| export")), str(_notebook), "exec"))
'''


@dataclass(frozen=True)
class Made:
    """An assignment as it was made."""

    assignment: str
    files: tuple[str, ...]
    points: float
    checks: int
    hidden: int
    questions: int


def generate(place: Class, assignment: Assignment) -> Made:
    """source/ and release/ of an assignment, and its cells in the gradebook."""
    pages: dict[str, tuple[Chapter, dict[str, Any]]] = {}
    files: dict[Path, str | bytes] = {}
    for name in assignment.lessons:
        chapter, lesson = place.chapter(assignment, name), place.course.curriculum.lesson(name)
        questions = assignment.asked_in(name)
        source, blank = (with_questions(as_notebook(notebook(chapter, solved, nbgrader=True),
                                                    nbgrader_metadata(chapter)), questions)
                         for solved in (True, False))
        for folder, page in (("source", source), ("release", with_checksums(blank))):
            files[place.root / folder / assignment.name / lesson.notebook] = dumped(page)
        pages[lesson.notebook] = chapter, with_checksums(with_hidden_tests(blank, source, chapter))
    package = package_for(place, assignment)
    with place.alone(f"course generate {assignment.name}"):
        for folder in ("source", "release"):
            shutil.rmtree(place.root / folder / assignment.name / "tinytorch", ignore_errors=True)
            write_tree(place.root / folder / assignment.name / "tinytorch", package)
        write_all(files)
        place.book.register(assignment, pages)
    chapters = [chapter for chapter, _ in pages.values()]
    return Made(
        assignment.name, tuple(pages), sum(c.points for c in chapters) + sum(q.points
            for q in assignment.questions),
        sum(len(c.checks()) for c in chapters), sum(x.hidden for c in chapters for x in c.checks()),
        len(assignment.questions))


def with_hidden_tests(
    blank: Mapping[str, Any], source: Mapping[str, Any], chapter: Chapter,
) -> dict[str, Any]:
    """What nbgrader's own autograde puts in the place of a student's locked cells: hidden tests, too."""
    hidden = {cell.id for cell in chapter.checks() if cell.hidden}
    whole = {cell["id"]: cell for cell in source["cells"]}
    cells = [copy.deepcopy(whole[cell["id"]] if cell["id"] in hidden else cell) for cell in blank["cells"]]
    return {**blank, "cells": cells}


def with_questions(page: dict[str, Any], questions: tuple[Question, ...]) -> dict[str, Any]:
    """Each question stands at the end, with a cell for the answer that a person grades."""
    for question in questions:
        asked = {"grade": False, "grade_id": f"{question.id}-asked", "locked": True, "schema_version": 3,
                 "solution": False, "task": False}
        answered = {**asked, "grade": True, "solution": True, "locked": False, "grade_id": question.id,
                    "points": question.points}
        text = f"**A question** ({question.points:g} points). {question.text.strip()}"
        for id, facts, source in ((asked["grade_id"], asked, text), (question.id, answered, "Your answer.")):
            page["cells"].append({"cell_type": "markdown", "id": str(id)[:64],
                                  "metadata": {"nbgrader": facts},
                                  "source": source.splitlines(keepends=True)})
    return page


def dumped(page: Mapping[str, Any]) -> str:
    import json

    return json.dumps(page, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def package_for(place: Class, assignment: Assignment) -> dict[str, str]:
    """What the notebooks import: the lessons before them, and each other, but no solution of their own."""
    course = place.course
    own = [course.curriculum.lesson(name) for name in assignment.lessons]
    before = {one.name: one for lesson in own for one in course.curriculum.needs_closure(lesson)}
    sources: dict[str, str] = {}
    for lesson in own: sources |= course.sources(lesson, lesson.given)
    for one in before.values(): sources |= course.sources(one, one.files)
    files = course.package(sources)
    for lesson in own:
        if lesson.name in before: files |= bridge(files, lesson, course.curriculum.file_of(lesson.module))
    return files


def bridge(files: Mapping[str, str], lesson: Lesson, path: str) -> dict[str, str]:
    """A lesson of the same assignment: its module is the student's notebook, not the solution."""
    _, tail, more = files[path].partition(TAIL)
    text = BRIDGE.format(module=lesson.module, notebook=lesson.notebook, depth=path.count("/") + 1)
    return {path: text + tail + more}


# ----------------------------------------------------------------------------------------------- handing out

def release(
    place: Class, assignment: Assignment, zipped: Path | None = None, github: Path | None = None,
    exchange: Path | None = None,
) -> Path:
    """Hands release/ out: as a zip, as a directory for GitHub Classroom, or into nbgrader's exchange."""
    folder = place.root / "release" / assignment.name
    if not folder.is_dir():
        raise NotFound(f"{assignment.name} is not generated yet.", f"tito course generate {assignment.name}")
    if sum(x is not None for x in (zipped, github, exchange)) != 1:
        raise UsageProblem("Say how: --zip FILE, --github FOLDER or --exchange FOLDER.")
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
             if path.is_file() and "__pycache__" not in path.parts}
    if zipped is not None:
        write(zipped, archive({f"{assignment.name}/{name}": data for name, data in files.items()}))
        return zipped
    if github is not None:
        fresh(github)
        books = [place.notebook_of(lesson) for lesson in assignment.lessons]
        steps = "\n".join(STEP.format(notebook=name) for name in books)
        more: dict[str, str] = {".github/workflows/checks.yml": WORKFLOW.format(steps=steps),
                "requirements.txt": f"tinytorch-tito>={place.course.version}\njupyterlab\nipykernel\n",
                "README.md": readme(assignment, books)}
        write_all({github / name: data for name, data in files.items()})
        write_all({github / name: text for name, text in more.items()})
        return github
    assert exchange is not None
    out = exchange / course_id(place) / "outbound" / assignment.name
    fresh(out)
    write_all({out / name: data for name, data in files.items()})
    for path in (out, *out.rglob("*")): path.chmod(0o755 if path.is_dir() else 0o644)
    return out


def fresh(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()): raise UsageProblem(f"{folder} is not empty.",
        "Name another folder.")


def archive(files: Mapping[str, bytes]) -> bytes:
    """A zip whose bytes depend on nothing but the files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, data in files.items(): pack.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def readme(assignment: Assignment, books: list[str]) -> str:
    due = f"Due {assignment.due:%d %B %Y, %H:%M %Z}.\n" if assignment.due else ""
    listed = "".join(f"- `{name}`\n" for name in books)
    told = "Work in Jupyter or VS Code, save, commit, push. The checks run with every push; " \
           "`tito course check NOTEBOOK` runs them where you are."
    return f"# {assignment.name}\n\n{due}\n{listed}\n{told}\n"


def course_id(place: Class) -> str:
    """nbgrader's name for the course: what nbgrader_config.py says."""
    import re

    path = place.root / "nbgrader_config.py"
    found = re.search(r"course_id\s*=\s*['\"]([^'\"]+)", path.read_text("utf-8")) if path.exists() else None
    if not found: raise EnvironmentProblem("nbgrader_config.py has no c.CourseDirectory.course_id.",
                                           "Write one.")
    return found[1]


# ---------------------------------------------------------------------------------------------- does it hold?

@dataclass(frozen=True)
class Verdict:
    """What `validate` found about a lesson in an assignment."""

    assignment: str
    lesson: str
    full: float                         # what the course's own solution earns
    blank: float                        # what an untouched notebook earns
    points: float
    weak: tuple[str, ...] = ()          # hidden checks whose answer is where the submission runs

    @property
    def ok(self) -> bool: return self.full == self.points and self.blank == 0 and not self.weak


def validate(place: Class, assignment: Assignment, safe: bool) -> list[Verdict]:
    """The solution earns every point, a blank earns none, and hidden answers stay hidden."""
    from tito.services_marking import Job, mark

    found = []
    for name in assignment.lessons:
        exam = place.exam(assignment, name, safe)
        chapter = chapter_of(place.course, exam)
        earned = []
        for solved in (True, False):
            page = as_notebook(notebook(chapter, solved), {})
            marks = mark(Job("", exam, dumped(page).encode()))["marks"]
            earned.append(sum(m["earned"] for m in marks))
        weak = tuple(c.id for c in chapter.checks() if c.hidden and shows_answers(master_of(exam), c))
        found.append(Verdict(assignment.name, name, earned[0], earned[1], chapter.points, weak))
    return found


def shows_answers(master: Master, check: Cell) -> bool:
    from random import Random

    from tito.core.grades_evidence import opened
    from tito.services_marking import values_of

    aids = master.aids[check.id]
    _, places = opened(check.source, Random(0), aids.inside, values_of(aids.known))
    return any(p.way in ("pair", "all", "same") and not p.decoy for p in places)

