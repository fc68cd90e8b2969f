"""What is well in a workspace and what is not, and the repairs that are safe."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tito.core.curriculum import Lesson
from tito.core.errors import NotFound, TitoError
from tito.core.lesson import NotebookCell
from tito.core.merge import Merged, merge
from tito.core.outcomes import Finding
from tito.core.progress import Progress
from tito.ports.files import locked, write
from tito.services_surroundings import INSTALL, environment
from tito.services_update import given_file, known, remember

if TYPE_CHECKING:
    from tito.app import Workspace

LITTLE, VERY_LITTLE = 500, 50           # MiB of free disk

Look = Callable[[], Finding]
Repair = Callable[[], None]


def without_workspace(problem: TitoError) -> list[Finding]:
    """The same, and why there is no more to say; to stand outside of a workspace is no illness."""
    status: Literal["warn", "bad"] = "warn" if isinstance(problem, NotFound) else "bad"
    return [*environment(), Finding("workspace", status, problem.message, problem.cure)]


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
            ("permissions", self.permissions, self.permit),
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

    def permissions(self) -> Finding:
        if found := list(self.closed()):
            some = ", ".join(path.relative_to(self.root).as_posix() for path in found[:3])
            return Finding("permissions", "bad", f"{some}{' …' if len(found) > 3 else ''} cannot be written.",
                           "`tito doctor --fix` makes them yours to write.", fixable=True)
        return Finding("permissions", "ok", "all files can be written")

    def closed(self) -> Iterator[Path]:
        """What tito may have to write, and may not."""
        package, state = self.root / "tinytorch", self.state.folder
        kept = (path for path in state.rglob("*") if "stage" not in path.relative_to(state).parts)
        for path in (*self.root.glob("*.ipynb"), package, *package.rglob("*.py"), state, *kept):
            if path.exists() and not path.stat().st_mode & stat.S_IWUSR: yield path

    def permit(self) -> None:
        for path in self.closed(): path.chmod(path.stat().st_mode | stat.S_IWUSR)

    def leftovers(self) -> Finding:
        if found := [*self.stages(), *self.halves()]:
            return Finding("leftovers", "warn", f"{len(found)} files and folders of runs that were cut off.",
                           "tito doctor --fix", fixable=True)
        return Finding("leftovers", "ok", "none")

    def halves(self) -> Iterator[Path]:
        """Files that did not take their place, because whoever wrote them was cut off."""
        for folder in (self.root, *self.state.folder.rglob("."), *(self.root / "tinytorch").rglob(".")):
            for path in folder.glob(".*.new"):
                process = path.name.split(".")[-2]
                if process.isdecimal() and not alive(int(process)): yield path

    def stages(self) -> Iterator[Path]:
        """Stages whose process is no more."""
        folder = self.state.folder / "stage"
        for path in folder.iterdir() if folder.exists() else ():
            process = path.name.partition("-")[0]
            if not (process.isdecimal() and alive(int(process))): yield path

    def clear(self) -> None:
        for path in self.stages(): shutil.rmtree(path)
        for path in self.halves():
            if path.is_dir(): shutil.rmtree(path)
            else: path.unlink()

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
        return Finding("progress", "ok", f"{counted(done, 'lesson')} complete")

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
        return Finding("journal", "ok", f"{counted(len(changes.all()), 'change')} can be undone")

    def settle_journal(self) -> None:
        with self.state.alone("doctor"):
            self.state.changes.clean()

    # ------------------------------------------------------------------------------- package and notebooks

    def package(self) -> Finding:
        """The faces of the package: what tito writes around the learner's modules."""
        self.place.tests.own(self.root / "tinytorch")
        news = self.place.news(self.course.package(self.place.sources()))
        if not news:
            return Finding("package", "ok", f"{counted(len(self.place.sources()), 'module')} of lessons")
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
        try:
            rows = self.course.notebooks.read(path)
        except TitoError as problem:
            if not path.is_file(): raise
            return Finding(lesson.notebook, "bad", problem.message, SAVES, fixable=True)
        if damage := self.damage(lesson, rows):
            said = ", ".join(damage[:3]) + (" …" if len(damage) > 3 else "")
            cure = "`tito doctor --fix` mends it."
            return Finding(lesson.notebook, "warn", f"{said}.", cure, fixable=True)
        return Finding(lesson.notebook, "ok", f"{len(rows)} cells")

    def damage(self, lesson: Lesson, rows: list[NotebookCell]) -> list[str]:
        """What has happened to the course's cells. The lesson itself is read only if something has."""
        base = known(self.root, lesson)
        ids = [row.id for row in rows]
        wanted = {cell.id for cell in base.cells if cell.source.startswith("#|")} if base else set()
        if base and wanted <= set(ids) and len(set(ids)) == len(ids) and "" not in ids: return []
        notes = self.mended(lesson, rows).notes
        found = [f"{note.name} {SAID[note.what]}" for note in notes if note.what in SAID]
        return found + ["cells have lost their ids"] * ("" in ids)

    def mended(self, lesson: Lesson, rows: list[NotebookCell]) -> Merged:
        """The notebook made whole, with nothing new in it."""
        return merge(self.course.given(lesson), self.course.chapter(lesson), rows)

    def make_notebook(self, lesson: Lesson) -> None:
        """A new one; what is left of a damaged one; or one that is made whole."""
        from tito.core.lesson import notebook

        path, notebooks, what = self.root / lesson.notebook, self.course.notebooks, f"mend {lesson.label}"
        names = (path.with_suffix(f".damaged{n if n > 1 else ''}") for n in count(1))
        beside = next(name for name in names if not name.exists())
        files = [lesson.notebook, beside.name, given_file(lesson)]
        with self.state.alone(what), self.state.changing("mend", lesson.name, what, files):
            if not path.exists():
                notebooks.write(notebook(self.course.chapter(lesson)), path)
                remember(self.root, self.course, lesson)
                return
            try:
                rows = notebooks.read(path)
            except TitoError:
                write(beside, path.read_bytes())
                notebooks.rescue(path)
                rows = notebooks.read(path)
            notebooks.arrange(path, self.mended(lesson, rows).rows)


SAVES = "`tito doctor --fix` saves the cells that can be read, and keeps the damaged file beside them."
SAID = {"back": "is gone", "twin": "is there twice"}


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


def counted(number: int, what: str) -> str: return f"{number} {what}{'' if number == 1 else 's'}"
def nothing() -> None: pass
