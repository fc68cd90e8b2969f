"""A class: course.toml with its assignments, and what was earned. Values and sums; no disk, no clock."""

from __future__ import annotations

import hashlib
import json
import re
import statistics
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from tito.core.curriculum import Curriculum, Lesson
from tito.core.errors import TitoError
from tito.core.lesson import Cell, Chapter
from tito.core.results import Result

FORMAT = 1
QUESTION = 5            # points of a lesson's question, until the class says otherwise
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*$")        # nbgrader allows no + and no spaces


class ClassProblem(TitoError):
    """course.toml says something that cannot be."""


@dataclass(frozen=True)
class Question:
    """Something that a person reads and grades."""

    name: str
    points: float
    text: str
    lesson: str = ""                    # in whose notebook it stands; "" for the last of the assignment

    @property
    def id(self) -> str: return f"question-{self.name}"


@dataclass(frozen=True)
class Assignment:
    name: str
    lessons: tuple[str, ...]
    due: datetime | None = None
    points: Mapping[str, float] = field(default_factory=dict,
                                        hash=False)   # by check id, where not the lesson's
    questions: tuple[Question, ...] = ()

    def asked_in(self, lesson: str) -> tuple[Question, ...]:
        return tuple(q for q in self.questions if (q.lesson or self.lessons[-1]) == lesson)


@dataclass(frozen=True)
class Allowance:
    """What grading one notebook may take."""

    check: float = 10                   # seconds a check
    notebook: float = 60                # seconds all of them together
    memory: int = 1024                  # MiB
    disk: int = 128                     # MiB


@dataclass(frozen=True)
class ClassPlan:
    """course.toml."""

    name: str
    assignments: tuple[Assignment, ...]
    allowance: Allowance = Allowance()
    gradebook: str = "sqlite:///gradebook.db"

    def assignment(self, name: str) -> Assignment:
        found = [a for a in self.assignments if name in (a.name, *(a.lessons if len(a.lessons) == 1 else ()))]
        if found: return found[0]
        names = ", ".join(a.name for a in self.assignments)
        problem = ClassProblem(f"course.toml has no assignment '{name}'.", f"It has {names or 'none'}.")
        problem.code = 4
        raise problem


# ------------------------------------------------------------------------------------------------ course.toml

def parse(text: str, curriculum: Curriculum) -> ClassPlan:
    """The class that the text of course.toml describes; refuses one that cannot be."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ClassProblem(f"course.toml is not valid TOML: {problem}") from problem
    if data.get("format") != FORMAT:
        raise ClassProblem(f"course.toml has format {data.get('format')!r}; this tito reads format {FORMAT}.")
    try:
        plan = ClassPlan(
            str(data.get("name", "")), tuple(_assignment(entry, curriculum)
                                             for entry in data.get("assignment", [])),
            Allowance(**data.get("grading", {})), str(data.get("gradebook", ClassPlan.gradebook)))
    except TypeError as problem:
        raise ClassProblem(f"course.toml: {str(problem).split('__init__() ')[-1]}.") from problem
    for sentence in problems(plan):
        raise ClassProblem(f"course.toml: {sentence}.")
    return plan


def _assignment(entry: dict[str, Any], curriculum: Curriculum) -> Assignment:
    entry = dict(entry)
    lessons = tuple(curriculum.lesson(key).name for key in entry.pop("lessons", ()))
    questions = tuple(Question(**{**q, "lesson": curriculum.lesson(q["lesson"]).name if q.get("lesson")
                                  else ""})
                      for q in entry.pop("question", ()))
    due = entry.pop("due", None)
    if due is not None and not isinstance(due, datetime):
        raise ClassProblem(f"course.toml: due of '{entry.get('name')}' is no date with a time.",
                           "due = 2027-02-01T23:59:00+01:00")
    if due is not None and due.tzinfo is None:
        raise ClassProblem(f"course.toml: due of '{entry.get('name')}' does not say its time zone.",
                           f"due = {due.isoformat()}+00:00")
    return Assignment(lessons=lessons, questions=questions, due=due, **entry)


def problems(plan: ClassPlan) -> Iterator[str]:
    names = [a.name for a in plan.assignments]
    yield from (f"assignment '{name}' is there twice" for name, n in Counter(names).items() if n > 1)
    for one in plan.assignments:
        if not NAME.match(one.name): yield f"'{one.name}' is no name: letters, digits, - and _"
        if not one.lessons: yield f"assignment '{one.name}' has no lessons"
        asked = Counter(q.name for q in one.questions)
        yield from (f"question '{name}' of '{one.name}' is there twice" for name, n in asked.items() if n > 1)
        for q in one.questions:
            if not NAME.match(q.name): yield f"question '{q.name}' of '{one.name}' is no name"
            if q.points <= 0: yield f"question '{q.name}' of '{one.name}' is worth nothing"
            if q.lesson and q.lesson not in one.lessons:
                yield f"question '{q.name}' is in no lesson of '{one.name}'"
        yield from (f"'{one.name}' gives '{key}' {value} points" for key,
                    value in one.points.items() if value < 0)


def first_course(name: str, lessons: Iterable[Lesson], begin: datetime) -> str:
    """course.toml as it begins: an assignment a lesson, one a week, each due a week after the last."""
    from datetime import timedelta

    head = f"""\
# The class, and what it is set. After a change: `tito course generate`.
format = {FORMAT}
name = {json.dumps(name)}
gradebook = "sqlite:///gradebook.db"        # or postgresql+psycopg://user:password@host/grades

[grading]               # what grading one notebook may take
check = 10              # seconds a check
notebook = 60           # seconds all of them together
memory = 1024           # MiB
disk = 128              # MiB
"""
    entries = [f"""
[[assignment]]
name = "{lesson.number:02}-{lesson.name}"
lessons = ["{lesson.name}"]
due = {(begin + timedelta(weeks=week)).isoformat(sep="T", timespec="seconds")}
{first_question(lesson)}""" for week, lesson in enumerate(lessons, 1)]
    rest = """
# A question that a person grades stands in an assignment like this:
#
# [[assignment.question]]
# name = "choice"
# points = 5
# text = "You measured two ways to do it. Which would you ship, and for whom would that be wrong?"
#
# Points of a check, where they are not the lesson's:
#
# points = { "check-linear" = 4 }
"""
    return head + "".join(entries) + rest


def first_question(lesson: Lesson) -> str:
    """The question that a lesson comes with, for a person to grade."""
    if not lesson.discuss: return ""
    return f"""
[[assignment.question]]
name = "{lesson.name}"
points = {QUESTION}
text = {json.dumps(lesson.discuss, ensure_ascii=False)}
"""


# ------------------------------------------------------------------------------------- what a lesson is worth

def with_hidden(chapter: Chapter, hidden: Sequence[Cell]) -> Chapter:
    """The chapter with the class's own hidden checks, each behind the checks on its exercise.

    In the file of hidden checks, a heading names the exercise that the checks below it are about.
    """
    cells, exercise = list(chapter.cells), ""
    taken = Counter(cell.id for cell in cells)
    for cell in hidden:
        if cell.kind == "markdown":
            exercise = cell.source.lstrip("# ").partition("\n")[0].strip()
            continue
        home = chapter.cell(exercise)
        if home is None or not home.exercise:
            raise ClassProblem(f"a hidden check stands under '{exercise}', which is no exercise.",
                               f"A heading names one: {', '.join(c.name for c in chapter.exercises())}.")
        if not (cell.check and cell.hidden):
            raise ClassProblem(f"hidden checks of '{exercise}': a cell is no `#| check N hidden`.")
        taken[f"hidden-{home.id}"] += 1
        number = taken[f"hidden-{home.id}"]
        id = f"hidden-{home.id}" + (f"-{number}" if number > 1 else "")
        cells.insert(last_about(cells, home) + 1,
                     Cell("code", cell.source, cell.words, (), cell.points, id, id, cell.text))
    return Chapter(tuple(cells))


def last_about(cells: Sequence[Cell], home: Cell) -> int:
    """Where the checks on an exercise end."""
    place = next(n for n, cell in enumerate(cells) if cell.id == home.id)
    for n in range(place + 1, len(cells)):
        if cells[n].exercise: break
        if cells[n].check: place = n
    return place


def with_points(chapter: Chapter, points: Mapping[str, float]) -> Chapter:
    """The chapter with the points that the class gives."""
    from dataclasses import replace

    cells = (replace(c, points=float(points[c.id])) if c.check and c.id in points else c
             for c in chapter.cells)
    return Chapter(tuple(cells))


# -------------------------------------------------------------------------------------------- what was earned

@dataclass(frozen=True)
class Mark:
    """What a check gave."""

    check: str                          # its id
    name: str                           # linear, check 2
    exercise: str
    points: float
    earned: float
    status: str
    message: str = ""
    asked: str = ""
    expected: str = ""
    got: str = ""
    line: str = ""                      # the learner's line it is about
    hidden: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Graded:
    """A notebook that was graded: everything a gradebook, a page of feedback or a table needs."""

    lesson: str
    marks: tuple[Mark, ...]
    notes: tuple[str, ...] = ()         # what had to be mended in the notebook
    flags: tuple[str, ...] = ()         # what a person should look at
    problem: str = ""                   # why it could not be read or run
    sandbox: str = "bubblewrap"
    seconds: float = 0.0
    worked: float = 0.0                 # seconds of CPU in the sandbox
    style: Mapping[str, int] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)        # to questions, for a person to grade
    sources: Mapping[str, str] = field(default_factory=dict)    # the exercises

    @property
    def earned(self) -> float: return sum(m.earned for m in self.marks)
    @property
    def points(self) -> float: return sum(m.points for m in self.marks)

    def as_json(self) -> dict[str, Any]: return asdict(self)


def graded_from(data: Mapping[str, Any]) -> Graded:
    marks = tuple(Mark(**mark) for mark in data["marks"])
    return Graded(**{**data, "marks": marks, "notes": tuple(data["notes"]), "flags": tuple(data["flags"])})


def marks_of(chapter: Chapter, results: Iterable[Result]) -> tuple[Mark, ...]:
    """For each check of a chapter, what it gave: all of its points if nothing was wrong, else none."""
    by_check: dict[str, list[Result]] = {}
    for result in results:
        if result.check: by_check.setdefault(result.check, []).append(result)
    return tuple(_mark(chapter, check, by_check.get(check.id, [])) for check in chapter.checks())


def _mark(chapter: Chapter, check: Cell, results: list[Result]) -> Mark:
    about = chapter.about(check)
    first = next((r for r in results if not r.ok), results[0] if results
                 else Result(check.name, "skipped", "not run"))
    ok = bool(results) and all(r.ok for r in results)
    line = f"{first.line.cell}, line {first.line.number}: {first.line.text}" if first.line and not ok else ""
    return Mark(
        check.id, first.name, about.name if about else "", check.points, check.points if ok else 0.0,
        "passed" if ok else first.status, "" if ok else first.message, first.asked if not ok else "",
        first.expected, first.got, line, check.hidden, sum(r.seconds for r in results))


def nothing(chapter: Chapter, lesson: str, problem: str, sandbox: str, notes: Sequence[str] = ()) -> Graded:
    """What is given for a notebook that cannot be graded: no points, and the reason."""
    marks = tuple(Mark(c.id, (chapter.about(c) or c).name, (chapter.about(c) or c).name, c.points, 0.0,
                       "skipped",
                       "not run", hidden=c.hidden) for c in chapter.checks())
    return Graded(lesson, marks, tuple(notes), (), problem, sandbox)


# ------------------------------------------------------------------------------------------------ the class

def late_by(when: datetime | None, assignment: Assignment) -> float:
    """Seconds after the due date, 0 if in time or nobody knows."""
    if assignment.due is None or when is None: return 0.0
    return max(0.0, (when.astimezone(UTC) - assignment.due.astimezone(UTC)).total_seconds())


@dataclass(frozen=True)
class CheckFigures:
    """How a check went for the class."""

    check: str
    name: str
    lesson: str
    tried: int
    failed: int
    common: str = ""                    # what it said most often
    looks_like: str = ""                # the misconception that this usually is


@dataclass(frozen=True)
class Figures:
    students: int
    points: float
    mean: float
    median: float
    least: float
    most: float
    checks: tuple[CheckFigures, ...]


def figures(graded: Mapping[str, Sequence[Graded]],
            mistakes: Mapping[tuple[str, str], str] | None = None) -> Figures:
    """How an assignment went. `mistakes` names misconceptions by (exercise, sentence)."""
    totals = [sum(g.earned for g in books) for books in graded.values()]
    by_check: dict[tuple[str, str], list[Mark]] = {}
    for books in graded.values():
        for book in books:
            for mark in book.marks: by_check.setdefault((book.lesson, mark.check), []).append(mark)
    checks = tuple(_figures(lesson, marks, mistakes or {}) for (lesson, _), marks in by_check.items())
    points = max((sum(g.points for g in books) for books in graded.values()), default=0.0)
    if not totals: return Figures(0, points, 0, 0, 0, 0, checks)
    return Figures(len(totals), points, statistics.fmean(totals), statistics.median(totals), min(totals),
                   max(totals), checks)


def _figures(lesson: str, marks: Sequence[Mark], mistakes: Mapping[tuple[str, str], str]) -> CheckFigures:
    wrong = [m for m in marks if m.status != "passed"]
    said = Counter(m.message for m in wrong if m.status == "failed").most_common(1)
    common = said[0][0] if said else ""
    like = next((what for (exercise, idea), what in mistakes.items()
                 if common and exercise == marks[0].exercise and idea.lower() in common.lower()), "")
    return CheckFigures(marks[0].check, marks[0].name, lesson, len(marks), len(wrong), common, like)


def digest(*things: object) -> str:
    """A name for exactly these things: equal things have equal names."""
    text = json.dumps(things, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
