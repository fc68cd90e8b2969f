"""The list of lessons and milestones, as `modules/curriculum.toml` has it."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from tito.core.errors import NotFound, TitoError

FORMAT = 1
T = TypeVar("T")


class CurriculumProblem(TitoError):
    """curriculum.toml says something that cannot be."""


@dataclass(frozen=True)
class Lesson:
    number: int
    name: str
    title: str
    question: str
    milestone: str
    minutes: int
    needs: tuple[str, ...] = ()
    objectives: tuple[str, ...] = ()
    files: tuple[str, ...] = ()                 # in the order in which the package needs them
    exports: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)   # face -> names
    fills_tables: bool = False                  # `import tinytorch` loads its files: they register things
    late: tuple[str, ...] = ()                  # files that wait until somebody asks for one of their names
    discuss: str = ""                           # what a class is asked about it, for a person to read

    @property
    def folder(self) -> str: return f"{self.number:02d}_{self.name}"
    @property
    def label(self) -> str: return f"{self.number:02d} {self.name}"
    @property
    def notebook(self) -> str: return f"{self.folder}.ipynb"
    @property
    def module(self) -> str: return self.name
    @property
    def modules(self) -> tuple[str, ...]: return tuple(map(module_of, self.files))
    @property
    def given(self) -> tuple[str, ...]: return self.files[:self.files.index(self.name)]
    @property
    def appendices(self) -> tuple[str, ...]: return self.files[self.files.index(self.name) + 1:]


@dataclass(frozen=True)
class Milestone:
    name: str
    title: str
    statement: str
    story: str
    optional: bool = False
    data: tuple[str, ...] = ()                  # real data sets that its program can be run on, too


@dataclass(frozen=True)
class Curriculum:
    lessons: tuple[Lesson, ...]
    milestones: tuple[Milestone, ...]

    def __iter__(self) -> Iterator[Lesson]: return iter(self.lessons)

    def lesson(self, key: str | int) -> Lesson:
        """The lesson meant by 2, "2", "02", "tensor" or "02_tensor"."""
        wanted = str(key).strip().lower()
        for lesson in self.lessons:
            if wanted in (lesson.name, lesson.folder, lesson.label) or _number(wanted) == lesson.number:
                return lesson
        raise _not_found("lesson", key, [lesson.name for lesson in self.lessons], "tito module list")

    def milestone(self, key: str | int) -> Milestone:
        """The milestone meant by its name, the beginning of it, or its number in the list."""
        wanted = str(key).strip().lower()
        number = _number(wanted)
        if number is not None and 1 <= number <= len(self.milestones):
            return self.milestones[number - 1]
        exact = [m for m in self.milestones if m.name == wanted]
        found = exact or [m for m in self.milestones if wanted and m.name.startswith(wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            names = " or ".join(m.name for m in found)
            raise NotFound(f"'{key}' could be {names}.", "Write more of its name.")
        raise _not_found("milestone", key, [m.name for m in self.milestones], "tito milestone list")

    def file_of(self, module: str) -> str:
        """The file of the package that a module becomes; one that has faces below it becomes a folder."""
        return f"{module}/__init__.py" if f"tinytorch.{module}" in self._folders else f"{module}.py"

    @cached_property
    def _folders(self) -> frozenset[str]:
        """Dotted names that have faces below them."""
        faces = [face for lesson in self for face in lesson.exports]
        return frozenset(face.rsplit(".", n)[0] for face in faces for n in range(1, face.count(".") + 1))

    def lessons_of(self, milestone: Milestone | str) -> tuple[Lesson, ...]:
        name = milestone if isinstance(milestone, str) else milestone.name
        return tuple(lesson for lesson in self.lessons if lesson.milestone == name)

    def needs_closure(self, lesson: Lesson) -> tuple[Lesson, ...]:
        """Every lesson that this one stands on, however indirectly, in the course's order."""
        names, waiting = set[str](), list(lesson.needs)
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                waiting += self.lesson(name).needs
        return tuple(one for one in self.lessons if one.name in names)


def module_of(file: str) -> str:
    """The module of the package that a lesson's file becomes: appendix_dtypes -> dtypes."""
    return file.removeprefix("appendix_")


def parse(text: str) -> Curriculum:
    """The curriculum that the text of curriculum.toml describes; refuses one that cannot be followed."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise CurriculumProblem(f"curriculum.toml is not valid TOML: {problem}") from problem
    if data.get("format") != FORMAT:
        raise CurriculumProblem(
            f"curriculum.toml has format {data.get('format')!r}, this tito reads format {FORMAT}.",
            "Install the tito that belongs to the course.",
        )
    curriculum = Curriculum(
        tuple(_lesson(entry) for entry in data.get("lesson", [])),
        tuple(_made(Milestone, _tupled(entry)) for entry in data.get("milestone", [])),
    )
    for sentence in problems(curriculum):
        raise CurriculumProblem(f"curriculum.toml: {sentence}.")
    return curriculum


def problems(curriculum: Curriculum) -> Iterator[str]:
    """What stands in the way of following this curriculum, one sentence each."""
    milestones = [m.name for m in curriculum.milestones]
    before = set[str]()
    modules = dict[str, str]()
    yield from (f"milestone '{name}' is listed twice" for name in _repeated(milestones))
    yield from (f"number {n} is used twice" for n in _repeated(lesson.number for lesson in curriculum))
    for lesson in curriculum:
        if lesson.name in before:
            yield f"lesson '{lesson.name}' is listed twice"
        if lesson.milestone not in milestones:
            yield f"lesson {lesson.label} belongs to '{lesson.milestone}', which is no milestone"
        if lesson.name not in lesson.files:
            yield f"lesson {lesson.label}: files does not list '{lesson.name}' itself"
        for file in lesson.late:
            if file not in lesson.files:
                yield f"lesson {lesson.label}: '{file}' is late, and not one of its files"
        for need in lesson.needs:
            if need not in before:
                yield f"lesson {lesson.label} needs '{need}', which is no lesson before it"
        for module in lesson.modules:
            if module in modules:
                yield f"lessons {modules[module]} and {lesson.label} both export a module '{module}'"
            modules[module] = lesson.label
        for face in lesson.exports:
            if face.partition(".")[0] != "tinytorch":
                yield f"lesson {lesson.label} exports to '{face}', which is not inside tinytorch"
        before.add(lesson.name)


def _lesson(entry: dict[str, Any]) -> Lesson:
    values = _tupled(entry)
    values.setdefault("files", (entry.get("name"),))
    values["exports"] = {face: tuple(names) for face, names in entry.get("exports", {}).items()}
    return _made(Lesson, values)


def _tupled(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


def _made(kind: type[T], values: dict[str, Any]) -> T:
    try:
        return kind(**values)
    except TypeError as problem:
        what = f"{kind.__name__.lower()} '{values.get('name', '?')}'"
        why = str(problem).split("__init__() ")[-1]
        raise CurriculumProblem(f"curriculum.toml: {what}: {why}.") from problem


def _repeated(values: Iterable[Any]) -> list[Any]:
    seen = list(values)
    return sorted({value for value in seen if seen.count(value) > 1})


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _not_found(what: str, key: object, names: list[str], listing: str) -> NotFound:
    close = difflib.get_close_matches(str(key).lower(), names, 1)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    return NotFound(f"There is no {what} '{key}'.{guess}", f"`{listing}` names them all.")
