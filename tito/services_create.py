"""Making a workspace."""

from __future__ import annotations

import json
from pathlib import Path

from tito.core.errors import EnvironmentProblem, UsageProblem
from tito.core.lesson import notebook
from tito.core.progress import Progress, to_json
from tito.ports.files import write, write_tree
from tito.services_course import Course
from tito.services_state import FORMAT, now


def make_folder(root: Path, course: Course) -> None:
    """Notebooks, a package that is still empty, and what .tito/ begins with."""
    refuse_unfit(root, course)
    lessons = [lesson for lesson in course.curriculum if lesson.name in course.written()]
    given = [lesson for lesson in lessons if not lesson.needs]
    sources = {m: s for lesson in given for m, s in course.sources(lesson, lesson.given).items()}
    files = {f"tinytorch/{name}": text for name, text in course.package(sources).items()}
    texts = {"README.md": readme(course), ".gitignore": IGNORED}
    names = [*texts, "tinytorch", *(lesson.notebook for lesson in lessons)]
    if there := [name for name in names if (root / name).exists()]:
        raise UsageProblem(f"{root} holds {there[0]} already.", "Name a folder that is empty or new.")
    try:
        write_tree(root, {**texts, **files})
    except OSError as problem:
        said = f"{root} cannot be made a workspace: {problem.strerror or problem}."
        raise EnvironmentProblem(said, "Name another folder.") from problem
    for lesson in lessons:
        course.notebooks.write(notebook(course.chapter(lesson)), root / lesson.notebook)
    write(root / ".tito" / "progress.json", to_json(Progress()))
    write(root / ".tito" / "progress.json.bak", to_json(Progress()))
    write(root / ".tito" / "workspace.json", marker(course))      # last: from now on it is a workspace


def marker(course: Course) -> str:
    """What says that a folder is a workspace."""
    return json.dumps({"format": FORMAT, "course": course.version, "created": now()}, indent=2) + "\n"


def refuse_unfit(root: Path, course: Course) -> None:
    """A workspace in a workspace, or in the course itself, would confuse everybody."""
    if (root / ".tito").exists():
        raise UsageProblem(f"{root} is a workspace already.", "cd there and type tito.")
    outer = next((f for f in root.parents if (f / ".tito" / "workspace.json").exists()), None)
    if outer:
        raise UsageProblem(f"{root} would lie inside the workspace {outer}.", "Name a folder outside of it.")
    if root == course.root.resolve():
        raise UsageProblem(f"{root} is the course itself: its tinytorch/ is not yours.", "tito init mytorch")
    if root.exists() and not root.is_dir():
        raise UsageProblem(f"{root} is a file.", "Name a folder.")


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
    tito module complete    put it into tinytorch/
    tito undo               take the last change back

{lessons}
`tinytorch/` is written by tito: edit the notebooks. `.tito/` holds progress and backups.
"""
