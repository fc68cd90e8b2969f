"""What is well and what is not: Python, packages, editor, disk, and everything in a workspace."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tito.core.curriculum import Lesson
from tito.core.errors import NotFound, TitoError
from tito.core.outcomes import Finding
from tito.core.progress import Progress
from tito.ports.files import locked, write

if TYPE_CHECKING:
    from tito.app import Workspace

OLDEST = (3, 11)
NEEDED = ("numpy", "click", "rich", "jupytext", "nbformat", "pytest", "filelock", "packaging",
          "hatchling")
LITTLE, VERY_LITTLE = 500, 50           # MiB of free disk
INSTALL = "pip install --force-reinstall tinytorch-tito"


Look = Callable[[], Finding]
Repair = Callable[[], None]


def environment() -> list[Finding]:
    """What can be said without a workspace."""
    return [python(), packages(), editor()]


def without_workspace(problem: TitoError) -> list[Finding]:
    """The same, and why there is no more to say; to stand outside of a workspace is no illness."""
    status: Literal["warn", "bad"] = "warn" if isinstance(problem, NotFound) else "bad"
    return [*environment(), Finding("workspace", status, problem.message, problem.cure)]


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST:
        return Finding("Python", "bad", f"{version} is too old.", "Install Python 3.11 or newer.")
    return Finding("Python", "ok", f"{version}, {sys.executable}")


def packages() -> Finding:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return Finding("packages", "bad", f"{', '.join(missing)} cannot be imported.", INSTALL)
    return Finding("packages", "ok", ", ".join(NEEDED))


def editor() -> Finding:
    found = {"VS Code": shutil.which("code"), "Jupyter Lab": find_spec("jupyterlab")}
    names = [name for name, there in found.items() if there]
    if not names:
        return Finding("editor", "warn", "Neither VS Code nor Jupyter Lab is here.", "pip install jupyterlab")
    return Finding("editor", "ok", " and ".join(names))


class Doctor:
    def __init__(self, place: Workspace):
        self.place, self.root, self.course = place, place.root, place.course
        self.state = place.state

    def findings(self, fix: bool = False) -> list[Finding]:
        return [*environment(), *self.of_workspace(fix)]

    def of_workspace(self, fix: bool) -> Iterator[Finding]:
        """In an order in which what is repaired first makes the rest possible."""
        for name, look, repair in self.looks():
            found = seen(name, look)
            if fix and found.fixable:
                found = self.repaired(found, look, repair)
            yield found

    def looks(self) -> list[tuple[str, Look, Repair]]:
        lessons = [x for x in self.course.curriculum if x.name in self.course.written()]
        return [
            ("disk", self.disk, nothing),
            ("folder", self.writable, nothing),
            ("workspace", self.marker, self.write_marker),
            ("progress", self.progress, self.bring_progress_back),
            ("journal", self.journal, self.settle_journal),
            ("package", self.package, self.make_package),
            ("tinytorch", self.imported, nothing),
            ("reference", self.reference, nothing),
            *((x.notebook, partial(self.notebook, x), partial(self.make_notebook, x)) for x in lessons),
            ("leftovers", self.leftovers, self.clear),
        ]

    def repaired(self, found: Finding, look: Look, repair: Repair) -> Finding:
        try:
            repair()
        except (TitoError, OSError) as problem:
            return replace(found, what=f"{found.what} It could not be repaired: {problem}")
        again = seen(found.name, look)
        if again.status == "bad":
            return again
        return Finding(found.name, "ok", f"{found.what} It is repaired.", fixed=True)

    # ------------------------------------------------------------------------------------------- the disk

    def disk(self) -> Finding:
        free = shutil.disk_usage(self.root).free >> 20
        if free >= LITTLE:
            return Finding("disk", "ok", f"{free:,} MiB are free")
        return Finding("disk", "bad" if free < VERY_LITTLE else "warn", f"Only {free} MiB are free.",
                       "Free some space.")

    def writable(self) -> Finding:
        if os.access(self.root, os.W_OK) and os.access(self.state.folder, os.W_OK):
            return Finding("folder", "ok", str(self.root))
        return Finding("folder", "bad", f"{self.root} cannot be written.", "Look at its permissions.")

    def leftovers(self) -> Finding:
        if found := list(self.stages()):
            return Finding("leftovers", "warn", f"{len(found)} folders of runs that were cut off.",
                           "tito doctor --fix", fixable=True)
        return Finding("leftovers", "ok", "none")

    def stages(self) -> Iterator[Path]:
        """Stages whose process is no more."""
        folder = self.state.folder / "stage"
        for path in folder.iterdir() if folder.exists() else ():
            process = path.name.partition("-")[0]
            if not (process.isdecimal() and alive(int(process))): yield path

    def clear(self) -> None:
        for path in self.stages(): shutil.rmtree(path)

    # --------------------------------------------------------------------------------------------- .tito/

    def marker(self) -> Finding:
        try:
            self.state.known()
        except TitoError as problem:
            damaged = "damaged" in problem.message
            return Finding("workspace", "bad", problem.message, problem.cure, fixable=damaged)
        return Finding("workspace", "ok", f"course {self.course.version}")

    def write_marker(self) -> None:
        from tito.services_create import marker

        write(self.state.folder / "workspace.json", marker(self.course))

    def progress(self) -> Finding:
        try:
            done = sum(bool(r.completed) for r in self.state.progress().lessons.values())
        except TitoError as problem:
            fixable = "newer" not in problem.cure
            return Finding("progress", "bad", problem.message, problem.cure, fixable)
        return Finding("progress", "ok", f"{done} lessons complete")

    def bring_progress_back(self) -> None:
        """From the copy; without one, a new one. The damaged file is kept beside it."""
        state = self.state
        with locked(state.folder, "doctor"):
            if state.file.exists():
                write(state.file.with_name("progress.json.damaged"), state.file.read_bytes())
            state.save(state.copied() or Progress())

    def journal(self) -> Finding:
        changes = self.state.changes
        if cut := changes.unfinished():
            said = f"`{', '.join(c.what for c in cut)}` was cut off."
            return Finding("journal", "warn", said, "`tito doctor --fix` takes it back.", fixable=True)
        if torn := changes.damage():
            return Finding("journal", "warn", f"{len(torn)} lines cannot be read.", "tito doctor --fix", True)
        return Finding("journal", "ok", f"{len(changes.all())} changes can be undone")

    def settle_journal(self) -> None:
        with self.state.alone("doctor"):
            self.state.changes.clean()

    # ------------------------------------------------------------------------------- package and notebooks

    def package(self) -> Finding:
        """The faces of the package: what tito writes around the learner's modules."""
        self.place.tests.own(self.root / "tinytorch")
        news = self.place.news(self.course.package(self.place.sources()))
        if not news:
            return Finding("package", "ok", f"{len(self.place.sources())} modules of lessons")
        names = ", ".join(sorted(news)[:3]) + (" …" if len(news) > 3 else "")
        return Finding("package", "bad", f"tinytorch/ has other files than it should: {names}.",
                       "`tito doctor --fix` makes them anew; your modules stay.", fixable=True)

    def make_package(self) -> None:
        self.place.mend()

    def imported(self) -> Finding:
        """What a fresh Python finds under the name, started here."""
        found, own = self.place.tests.runner.imported(self.root), self.root / "tinytorch" / "__init__.py"
        if found and Path(found).exists() and Path(found).resolve() == own.resolve():
            return Finding("tinytorch", "ok", f"import tinytorch is {found}")
        return Finding("tinytorch", "bad", f"import tinytorch, here, gives {found or 'nothing'}, not {own}.",
                       "Run Python in this folder; unset PYTHONSAFEPATH and PYTHONPATH.")

    def reference(self) -> Finding:
        """The course's own tinytorch, into which pip may have put somebody's."""
        folder = self.course.reference
        if found := mixed(folder):
            said = f"In {folder} lie the files of {' and of '.join(found)}, one over the other."
            cure = f"pip uninstall {' '.join(found)}, then {INSTALL}; others have environments of their own."
            return Finding("reference", "bad", said, cure)
        return Finding("reference", "ok", str(folder))

    def notebook(self, lesson: Lesson) -> Finding:
        path = self.root / lesson.notebook
        if not path.exists():
            cure = "`tito doctor --fix` makes a new one."
            return Finding(lesson.notebook, "warn", "It is not here.", cure, fixable=True)
        cells = self.course.notebooks.read(path)
        return Finding(lesson.notebook, "ok", f"{len(cells)} cells")

    def make_notebook(self, lesson: Lesson) -> None:
        from tito.core.lesson import notebook

        self.course.notebooks.write(notebook(self.course.chapter(lesson)), self.root / lesson.notebook)


def seen(name: str, look: Look) -> Finding:
    """A finding, also when looking itself finds trouble."""
    try:
        return look()
    except TitoError as problem:
        return Finding(name, "bad", problem.message, problem.cure)
    except OSError as problem:
        return Finding(name, "bad", str(problem), f"Look at the permissions of {problem.filename}.")


def mixed(folder: Path) -> list[str]:
    """The distributions that pip has put into one tinytorch/, if there are several."""
    course = ["tinytorch-tito"] if (folder / "_reference.py").exists() else []
    found = course + sorted(path.stem for path in folder.glob("_built/*.json"))
    return found if len(found) > 1 else []


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:             # somebody else's, or Windows, which cannot ask: leave it alone
        return True
    return True


def nothing() -> None: pass
