"""Making a workspace."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tito.core.errors import EnvironmentProblem, UsageProblem
from tito.core.lesson import notebook
from tito.core.progress import Progress, to_json
from tito.ports.files import drop, write, write_tree
from tito.services_course import Course
from tito.services_state import FORMAT, is_workspace, now
from tito.services_update import remember

OWN = ("modules", "milestones", "datasets", "tests", "tito", "tinytorch")    # folders of the course


def make_folder(root: Path, course: Course, tutor: str | None = None) -> None:
    """Notebooks, a package that is still empty, and what .tito/ begins with."""
    refuse_unfit(root, course)
    lessons = [lesson for lesson in course.curriculum if lesson.name in course.written()]
    given = [lesson for lesson in lessons if not lesson.needs]
    sources = {m: s for lesson in given for m, s in course.sources(lesson, lesson.given).items()}
    files = {f"tinytorch/{name}": text for name, text in course.package(sources).items()}
    texts = {"README.md": readme(course), ".gitignore": IGNORED, "AGENTS.md": tutor or course.tutor}
    names = [*texts, "tinytorch", "datasets", *(lesson.notebook for lesson in lessons)]
    refuse_full(root, names)
    with whole(root, [*names, ".tito"]):
        write_tree(root, {**texts, **files})
        give_datasets(root, course)
        for lesson in lessons:
            course.notebooks.write(notebook(course.chapter(lesson)), root / lesson.notebook)
            remember(root, course, lesson)
        write(root / ".tito" / "progress.json", to_json(Progress()))
        write(root / ".tito" / "progress.json.bak", to_json(Progress()))
        write(root / ".tito" / "workspace.json", marker(course))      # last: from now on it is a workspace


def give_datasets(root: Path, course: Course) -> None:
    """Copies the small data of the course beside the package, where its readers look; once."""
    if not course.datasets.is_dir() or (root / "datasets").exists(): return
    new = root / f".datasets.{os.getpid()}.new"
    try:
        shutil.copytree(course.datasets, new, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        new.rename(root / "datasets")
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextmanager
def whole(root: Path, names: list[str]) -> Iterator[None]:
    """A full disk or Ctrl-C leaves the folder as it was: without these names, or not there at all."""
    new = not root.exists()
    try:
        yield
    except BaseException as problem:
        for path in [root] if new else [root / name for name in names]:
            if path.is_dir(): shutil.rmtree(path, ignore_errors=True)
            else: drop(path)
        if not isinstance(problem, OSError): raise
        said = f"{root} cannot be made a workspace: {problem.strerror or problem}."
        raise EnvironmentProblem(said, "Name another folder.") from problem


def marker(course: Course, created: str = "") -> str:
    """What says that a folder is a workspace."""
    facts = {"format": FORMAT, "course": course.version, "created": created or now()}
    return json.dumps(facts, indent=2) + "\n"


def refuse_unfit(root: Path, course: Course) -> None:
    """A workspace in a workspace, or in the course itself, would confuse everybody."""
    if is_workspace(root):
        raise UsageProblem(f"{root} is a workspace already.", "cd there and type tito.")
    outer = next((f for f in root.parents if is_workspace(f)), None)
    if outer:
        raise UsageProblem(f"{root} would lie inside the workspace {outer}.", "Name a folder outside of it.")
    real, home = root.resolve(), course.root.resolve()
    if real == home or any(real.is_relative_to(home / name) for name in OWN):
        raise UsageProblem(f"{root} is the course itself: its tinytorch/ is not yours.", "tito init mytorch")
    if root.exists() and not root.is_dir():
        raise UsageProblem(f"{root} is a file.", "Name a folder.")


def refuse_full(root: Path, names: list[str]) -> None:
    """Nothing of the learner's is written over."""
    there = [name for name in names if (root / name).exists()]
    if any(name.endswith(".ipynb") for name in there) and "tinytorch" in there:
        raise UsageProblem(f"{root} looks like a workspace that has lost its .tito/.",
                           "Make a new one with `tito init`, and copy your notebooks into it.")
    if there:
        raise UsageProblem(f"{root} holds {there[0]} already.", "Name a folder that is empty or new.")


IGNORED = """\
__pycache__/
.ipynb_checkpoints/
.tito/stage/
.tito/lock
.tito/lock.holder
"""


def readme(course: Course) -> str:
    written = (x for x in course.curriculum if x.name in course.written())
    lessons = "".join(f"- `{x.notebook}`: {x.question}\n" for x in written)
    return f"""\
# My own deep-learning framework

The notebooks are lessons; what I write in them becomes the package `tinytorch/` beside them.

    tito                    where am I, what is next
    tito module start 01    open a lesson
    tito module test        check what I wrote
    tito watch              check it each time I save
    tito module complete    put it into tinytorch/
    tito undo               take the last change back

{lessons}
`tinytorch/` is written by tito: edit the notebooks. `datasets/` came with the course. `.tito/` holds progress
and backups.
"""
