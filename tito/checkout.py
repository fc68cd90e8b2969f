"""The course as its authors have it: a checkout, whose `tinytorch/` is generated from `modules/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from tito.core.curriculum import Lesson
from tito.core.errors import UsageProblem
from tito.core.faces import package, unlisted
from tito.core.lesson import Chapter, nbgrader_metadata, notebook
from tito.ports.notebooks import Notebooks, NotebooksOnDisk
from tito.ports.package import PackageFolder
from tito.services_course import Course
from tito.services_state import is_workspace

CURRICULUM = Path("modules", "curriculum.toml")
Difference = Literal["new", "changed", "gone", "not generated"]


class Drift(NamedTuple):
    """A file of the package that is not what the lessons make of it."""

    file: str
    what: Difference


class Checkout(Course):
    """A course that its package is made from."""

    @property
    def folder(self) -> PackageFolder: return PackageFolder(self.root / "tinytorch")

    def generated(self) -> dict[str, str]:
        """Every file of the package, as the lessons make it."""
        sources: dict[str, str] = {}
        for lesson, file in self.chapters:
            sources |= self.sources(lesson, [file], owner="")
        return package(self.curriculum, sources, self.version, self.names, self.beside, reference=True)

    def drift(self, generated: dict[str, str]) -> list[Drift]:
        """How the package on disk differs from the generated one."""
        return list(_drift(generated, self.folder.read()))

    def export(self) -> list[Drift]:
        """Makes the package on disk what the lessons make of it; what was different before."""
        generated = self.generated()
        drift = self.drift(generated)
        if drift:
            self.folder.write({d.file: generated[d.file] for d in drift if d.what in ("new", "changed")},
                              gone=[d.file for d in drift if d.what == "gone"])
        return drift

    def notes(self) -> list[str]:
        """What an author may have forgotten, one sentence each."""
        found = [f"lesson {label} lists in no face: {', '.join(some)}"
                 for label, some in unlisted(self.curriculum, self.names).items()]
        return found + self.strays()

    def strays(self) -> list[str]:
        """Files in a lesson's folder that no list names."""
        return [f"modules/{lesson.folder}/{file.name} is not in the files of lesson {lesson.label}"
                for lesson in self.curriculum
                for file in sorted((self.modules / lesson.folder).glob("*.py"))
                if file.stem not in lesson.files]

    @property
    def chapters(self) -> dict[tuple[Lesson, str], Chapter]:
        """Each file of the lessons that are written."""
        return {(lesson, file): self.chapter(lesson, file)
                for lesson in self.curriculum if lesson.name in self.written() for file in lesson.files}


def _drift(generated: dict[str, str], found: dict[str, str]) -> Iterator[Drift]:
    for file in sorted({*generated, *found}):
        if file not in found:
            yield Drift(file, "new")
        elif file not in generated:
            yield Drift(file, "gone" if found[file].startswith("# Generated from") else "not generated")
        elif generated[file] != found[file]:
            yield Drift(file, "changed")


def open_checkout(start: Path) -> Checkout | None:
    """The checkout of the course that a folder lies in, unless a learner's workspace is nearer."""
    for folder in (start, *start.parents):
        if is_workspace(folder):
            return None
        if (folder / CURRICULUM).exists():
            return Checkout(folder)
    return None


def write_notebook(
    chapter: Chapter,
    path: Path,
    solutions: bool = False,
    nbgrader: bool = False,
    force: bool = False,                # write over what is there
    notebooks: Notebooks | None = None,
) -> None:
    """A lesson's notebook: as the learner gets it, or solved, or an nbgrader assignment."""
    if path.exists() and not force:
        raise UsageProblem(f"{path} is there already.", "--force writes over it, -o FILE writes elsewhere.")
    metadata = nbgrader_metadata(chapter) if nbgrader else {}
    (notebooks or NotebooksOnDisk()).write(notebook(chapter, solutions, nbgrader), path, metadata)
