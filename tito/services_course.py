"""The course: lessons, milestones, data and lesson tests, from the wheel or from the checkout."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tito.core.curriculum import Curriculum, Lesson, Milestone, module_of, parse
from tito.core.errors import EnvironmentProblem, NotFound
from tito.core.given import Given, given
from tito.core.lesson import Chapter, defined_names, directives
from tito.ports.notebooks import Notebooks, NotebooksOnDisk
from tito.ports.package import PackageFolder

if TYPE_CHECKING:
    from tito.core.export import Line

HERE = Path(__file__).resolve().parent
CELL = re.compile(r"^# %%.*$", re.MULTILINE)


class Course:
    """A folder with modules/, milestones/ and datasets/."""

    def __init__(self, root: Path, notebooks: Notebooks | None = None):
        self.root, self.notebooks = root, notebooks or NotebooksOnDisk()
        self.modules, self.milestones = root / "modules", root / "milestones"
        self.datasets = root / "datasets"
        self._read: dict[Path, Chapter] = {}
        self._lines: dict[str, tuple[Line, ...]] = {}
        self.reference = HERE.parent / "tinytorch"      # beside tito in the wheel and in the checkout
        if not (self.modules / "curriculum.toml").exists():
            cure = "pip install --force-reinstall tinytorch-tito"
            raise EnvironmentProblem(f"There is no course in {root}.", cure)

    @cached_property
    def curriculum(self) -> Curriculum:
        return parse((self.modules / "curriculum.toml").read_text("utf-8"))

    @cached_property
    def version(self) -> str:
        """What the checkout says, or else what was installed."""
        from importlib.metadata import PackageNotFoundError, version

        if (self.root / "pyproject.toml").exists():
            return str(tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))["project"]["version"])
        try:
            return version("tinytorch-tito")
        except PackageNotFoundError:        # a copy of the files of an installed one
            return "0"

    def written(self) -> frozenset[str]:
        """Names of the lessons that exist."""
        return frozenset(x.name for x in self.curriculum if self.file(x).exists())

    def file(self, lesson: Lesson, file: str = "") -> Path:
        """The lesson's own file, or another one of its chapter."""
        return self.modules / lesson.folder / f"{file or lesson.name}.py"

    def chapter(self, lesson: Lesson, file: str = "") -> Chapter:
        if lesson.name not in self.written():
            raise NotFound(f"Lesson {lesson.label} is still being written.", "tito module list")
        path = self.file(lesson, file)
        if path not in self._read:
            self._read[path] = self.notebooks.read_lesson(path)
        return self._read[path]

    def tests(self, lesson: Lesson) -> Path | None:
        """The folder of its lesson tests; the wheel keeps them in tests/, the checkout in tests/lessons/."""
        folders = (self.root / "tests" / "lessons" / lesson.folder, self.root / "tests" / lesson.folder)
        return next((f for f in folders if f.is_dir()), None)

    def book(self, lesson: Lesson | None = None) -> Path:
        """The first page of the book, or of a lesson's chapter, where `make book` has made it."""
        pages = self.root / "build" / "book" / "html"
        page = (pages / "lessons" / lesson.folder if lesson else pages) / "index.html"
        if not page.exists():
            raise NotFound("The book has not been made here.", "In a checkout, `make book` makes it.")
        return page

    def program(self, milestone: Milestone) -> Path | None:
        """The milestone's program, if it is written."""
        path = self.milestones / milestone.name / "milestone.py"
        return path if path.exists() else None

    # ------------------------------------------------------------------------------- learners' packages

    def package(
        self, sources: Mapping[str, str], installed_as: str = "", version: str = "",
    ) -> dict[str, str]:
        """Every file of a learner's package: the modules given, and faces that hand on what they define.

        With the name of a distribution, as it is installed from there; else as it lies in a workspace.
        """
        from tito.core.faces import package

        try:
            return package(self.curriculum, sources, version or self.version, self.names, self.beside,
                           installed_as=installed_as)
        except SyntaxError:
            raise unreadable(self.curriculum, sources) from None

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """What each module of the course defines; reads the lessons as text, which is quick."""
        return {module_of(file): exported_names(self.file(lesson, file).read_text("utf-8"))
                for lesson in self.curriculum if lesson.name in self.written() for file in lesson.files}

    @cached_property
    def beside(self) -> dict[str, str]:
        """The files beside curriculum.toml, from which faces are made."""
        paths = (path for path in sorted(self.modules.iterdir()) if path.is_file())
        return {path.name: path.read_text("utf-8") for path in paths}

    @property
    def tutor(self) -> str:
        """What a workspace asks of coding assistants."""
        return (self.modules / "tutor.md").read_text("utf-8")

    def sources(
        self, lesson: Lesson, files: Iterable[str], owner: str = "the course's ",
    ) -> dict[str, str]:
        """Modules as the course has them: module -> source."""
        return {module_of(file): "".join(f"{line.text}\n" for line in self.lines(lesson, file, owner))
                for file in files}

    def lines(self, lesson: Lesson, file: str, owner: str = "the course's ") -> tuple[Line, ...]:
        """A module as the course has it, line by line; as with chapters, what was read once stays."""
        from tito.core.export import banner, module_lines

        path = f"modules/{lesson.folder}/{file}.py"
        origin = f"{owner}{path}"
        if origin not in self._lines:
            cells = self.chapter(lesson, file).cells
            self._lines[origin] = tuple(module_lines(cells, banner(origin), path))
        return self._lines[origin]


    def given(self, lesson: Lesson) -> Given:
        """What a learner gets of a lesson now."""
        texts = {module_of(file): self.file(lesson, file).read_text("utf-8")
                 for file in lesson.files if file != lesson.name}
        codes = {module: "".join(exported_cells(text)) for module, text in texts.items()}
        return given(self.chapter(lesson), codes)


def unreadable(curriculum: Curriculum, sources: Mapping[str, str]) -> EnvironmentProblem:
    """Which module of a package somebody changed so that it is no Python any more."""
    for lesson in curriculum:
        for module in lesson.modules:
            try:
                compile(sources.get(module, ""), module, "exec", dont_inherit=True)
            except SyntaxError as problem:
                file = f"tinytorch/{curriculum.file_of(module)}"
                said = f"{file}, line {problem.lineno}, is not Python: {problem.msg}."
                return EnvironmentProblem(said, f"`tito module complete {lesson.number:02}` writes it anew.")
    raise AssertionError


def package_files(folder: Path) -> dict[str, str]:
    """Every module of the package in a folder: path -> text."""
    try:
        return PackageFolder(folder).read()
    except UnicodeDecodeError as problem:
        raise EnvironmentProblem(f"A file in {folder} is not text in UTF-8: {problem}.") from problem


def exported_names(text: str) -> tuple[str, ...]:
    """The names that the exported cells of a percent file define."""
    return tuple(dict.fromkeys(name for cell in exported_cells(text) for name in defined_names(cell)))


def exported_cells(text: str) -> Iterator[str]:
    return (cell for cell in CELL.split(text) if "#| export" in cell and "export" in directives(cell)[0])


def digest(lesson: Lesson, sources: Mapping[str, str]) -> str:
    """Of the lesson's modules as they stand in a package; "" while its own is not there."""
    if lesson.module not in sources: return ""
    found = hashlib.sha256()
    for module in lesson.modules:
        found.update(f"{module}\0{sources.get(module, '')}\0".encode())
    return f"sha256:{found.hexdigest()}"


def open_course() -> Course:
    """The course that came with this tito: packed into the wheel, or the checkout around it."""
    packed = HERE / "_course"
    return Course(packed if packed.exists() else HERE.parent)
