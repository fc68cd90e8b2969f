"""What the course promises of its lessons, as rules on their text. Each fault is a sentence. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tito.core.attempts import Mistake, planted
from tito.core.checks import TURN, turn
from tito.core.curriculum import Curriculum, Lesson
from tito.core.errors import ChecksFailed
from tito.core.lesson import Cell, Chapter, marks, shown, solutions, stripped
from tito.core.plan import Outcome
from tito.core.prose import NUMBER, Page, links, numbers, numbers_of_lessons, typed, value
from tito.core.results import Result

TELLING = 12                    # characters; shorter lines are said by chance


class Bounds(NamedTuple):
    """How much of everything there may be (decision 22)."""

    minutes: tuple[int, int] = (45, 360)        # the first lesson is an hour, the last a weekend
    lines: tuple[int, int] = (200, 800)         # of prose and code alone, without checks and marks
    cell: int = 90                              # lines, in the file in which the learner writes
    solution: int = 20                          # lines
    mistakes: int = 5                           # planted by hand into each exercise, at least


class Fault(NamedTuple):
    """A promise that is broken."""

    rule: str
    where: str                  # 05_dense/dense.py, linear
    what: str


@dataclass(frozen=True)
class Inspected:
    """What was found out about a lesson, or about the course as a whole."""

    label: str
    faults: tuple[Fault, ...]
    exercises: int = 0
    checks: int = 0
    points: float = 0
    tests: int = 0                  # of the lesson's tests, those that ran
    seconds: float = 0.0            # that its cells, checks and tests took


# ------------------------------------------------------------------------------------------------ the list

def of_curriculum(curriculum: Curriculum, folders: Sequence[str]) -> Iterator[Fault]:
    """`folders` are those beside curriculum.toml: 01_setup, …"""
    numbers = [lesson.number for lesson in curriculum]
    if numbers != sorted(numbers):
        yield Fault("order", "curriculum.toml", f"the numbers of its lessons are in disorder: {numbers}")
    known = {lesson.folder for lesson in curriculum}
    for folder in sorted({*folders} - known):
        yield Fault("order", "curriculum.toml", f"modules/{folder} is the folder of no lesson in the list")


def of_lesson(lesson: Lesson, chapter: Chapter, bounds: Bounds) -> Iterator[Fault]:
    where = lesson.folder
    if not within(lesson.minutes, bounds.minutes):
        yield Fault("size", where, f"{lesson.minutes} minutes, not {spelt(bounds.minutes)}")
    if not within(length := lines_of(chapter), bounds.lines):
        yield Fault("size", where, f"{length} lines of prose and code, not {spelt(bounds.lines)}")
    if not lesson.objectives:
        yield Fault("size", where, "it has no objectives")
    for cell in chapter:
        length = cell.source.count("\n") + 1
        if cell.kind == "code" and not cell.check and length > bounds.cell:
            yield Fault("size", f"{where}, {cell.id}", f"a cell of {length} lines, not {bounds.cell} at most")
    for cell in chapter.exercises():
        length, place = max(text.count("\n") + 1 for text in solutions(cell)), f"{where}, {cell.id}"
        if length > bounds.solution:
            yield Fault("size", place, f"a solution of {length} lines, not {bounds.solution} at most")


def within(value: int, bounds: tuple[int, int]) -> bool: return bounds[0] <= value <= bounds[1]
def spelt(bounds: tuple[int, int]) -> str: return f"{bounds[0]} to {bounds[1]}"


def lines_of(chapter: Chapter) -> int:
    """Of prose and code alone: no checks, no marks, no blank lines."""
    return sum(1 for cell in chapter if not cell.check
               for number, line in enumerate(cell.source.split("\n"), 1)
               if line.strip() and number not in (marks(cell.source) if cell.exercise else ()))


# ----------------------------------------------------------------------------------------------- the cells

def of_cells(where: str, chapter: Chapter) -> Iterator[Fault]:
    """Exercises, checks and hints: there, well named, told apart."""
    names = [cell.name for cell in chapter.exercises()]
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield Fault("names", f"{where}, {name}", "two exercises have this name: whose hints are asked for?")
    for cell in chapter.exercises():
        place = f"{where}, {cell.id}"
        yield from (Fault(rule, place, what) for rule, what in (*of_blank(cell), *of_hints(cell)))
        if not is_checked(chapter, cell):
            yield Fault("checks", place, "nothing checks it")
    for cell in chapter.checks():
        yield from (Fault("checks", f"{where}, {cell.id}", what) for what in of_check(cell))


def is_checked(chapter: Chapter, exercise: Cell) -> bool:
    """By a check before the next exercise but one: exercises may share the check after the last of them."""
    cells = list(chapter)
    checked = False
    for cell in cells[cells.index(exercise) + 1:]:
        if cell.check: checked = True
        if cell.exercise and checked: break
    return checked


def of_blank(cell: Cell) -> Iterator[tuple[str, str]]:
    blank = stripped(cell).source
    try:
        compile(blank, cell.id, "exec", dont_inherit=True)
    except SyntaxError as problem:
        yield "blanks", f"without its solution it is not Python: {problem.msg}"
    if f'raise NotImplementedError("{TURN}' not in blank:
        yield "blanks", "without its solution it does not say whose turn it is"


def of_check(cell: Cell) -> Iterator[str]:
    asserts = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Assert)]
    if not asserts:
        yield "it asserts nothing"
    for node in asserts:
        if node.msg is None:
            yield f"`assert {ast.unparse(node.test)}` has no sentence"
        elif isinstance(node.msg, ast.Constant) and len(str(node.msg.value).split()) < 3:
            yield f"{node.msg.value!r} is no sentence that names an idea"


def of_hints(cell: Cell) -> Iterator[tuple[str, str]]:
    for hint in sorted({h for h in cell.hints if cell.hints.count(h) > 1}):
        yield "hints", f"a hint is given twice: {hint}"
    for text in solutions(cell):
        lines = telling(text, 0)
        said = all(any(line in hint for hint in cell.hints) for line in lines)
        if lines and said and len("".join(cell.hints)) < 2 * len("".join(lines)):
            yield "leak", f"its hints say the whole solution: {lines[0]}"


# ------------------------------------------------------------------------------------------------ leaks

def leaks_in_notebook(where: str, text: str, chapter: Chapter, told: str) -> Iterator[Fault]:
    """Lines of solutions, hidden checks and hints that a notebook tells, and the rest of the lesson does not.

    `text` is the lesson's file, `told` every string in the notebook: outputs and metadata, too.
    """
    secrets = [*map(shown, (c for c in chapter.checks() if c.hidden))]
    for cell in chapter.exercises(): secrets += [*solutions(cell), *cell.hints]
    rest = text
    for secret in secrets:
        for line in secret.split("\n"): rest = rest.replace(line.strip(), "", 1) if line.strip() else rest
    for line in {line: 0 for secret in secrets for line in telling(secret)}:
        if line in told and line not in rest:
            yield Fault("leak", where, f"the learner's notebook says: {line}")
    for mark in ("### BEGIN SOLUTION", "### END SOLUTION", "#| hint"):
        if mark in told: yield Fault("leak", where, f"the learner's notebook holds `{mark}`")


def leaks_in_files(where: str, chapter: Chapter, files: Mapping[str, str]) -> Iterator[Fault]:
    """Solutions in other files of a learner who begins the lesson: given code, tests that were shipped."""
    told = {name: "\n".join(line.strip() for line in text.split("\n") if line.strip())
            for name, text in files.items()}
    for cell in chapter.exercises():
        for text in solutions(cell):
            for name, other in told.items():
                if line := tells(other, telling(text)):
                    yield Fault("leak", f"{where}, {cell.id}", f"{name} says: {line}")


def tells(other: str, solution: list[str]) -> str:
    """The only line of a solution, or more than half of its lines in a row: less may be chance."""
    if len(solution) == 1:
        return solution[0] if len(solution[0]) > 2 * TELLING and solution[0] in other else ""
    many = max(2, len(solution) // 2 + 1)
    rows = ("\n".join(solution[n:n + many]) for n in range(len(solution) - many + 1))
    return next((row.replace("\n", " / ") for row in rows if row in other), "")


def telling(text: str, longer: int = TELLING) -> list[str]:
    """The lines of a text that say something."""
    lines = (line.strip() for line in text.split("\n"))
    return [line for line in lines if len(line) > longer and not line.startswith("#")]


def strings(data: Any) -> list[str]:
    """Every string in a notebook, wherever it stands."""
    parts = list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
    return [data] if isinstance(data, str) else [string for part in parts for string in strings(part)]


# ------------------------------------------------------------------------------------------------ prose

def of_prose(
    page: Page,
    there: Iterable[str],               # the targets of links that exist
    lessons: Iterable[int],             # the numbers that are given to lessons
    problems: Mapping[str, str],        # of each command that is quoted; "" if it can be typed
) -> Iterator[Fault]:
    """Where its links lead, which lessons it names, and what it says to type."""
    known, numbers = set(there), set(lessons)
    for target in links(page):
        if target not in known: yield Fault("links", page.name, f"the link {target} leads nowhere")
    for number in numbers_of_lessons(page):
        if number not in numbers: yield Fault("links", page.name, f"there is no lesson {number}")
    for line in typed(page):
        if problem := problems.get(line): yield Fault("commands", page.name, f"`{line}`: {problem}")


def of_numbers(pages: Sequence[Page], code: Iterable[str], vouched: Sequence[str]) -> Iterator[Fault]:
    """The numbers that a lesson's prose tells: its code has them, or somebody vouches for them."""
    there = {value(found) for source in code for found in NUMBER.findall(source.replace("_", ""))}
    told = {number: page.name for page in pages for number in numbers(page.text)}
    for number, where in told.items():
        if value(number) not in there and number not in vouched:
            said = f"{number} is in no cell, and tests/numbers.toml does not vouch for it"
            yield Fault("numbers", where, said)
    for number in vouched:
        if number not in told:
            said = f"tests/numbers.toml vouches for {number}, which is not said"
            yield Fault("numbers", pages[0].name, said)


# --------------------------------------------------------------------------------------------- mistakes

def of_mistakes(
    where: str, chapter: Chapter, mistakes: Sequence[Mistake], least: int,
) -> Iterator[Fault]:
    """How many wrong answers were planted to try the checks."""
    exercises = [cell.id for cell in chapter.exercises()]
    for id in exercises:
        count = sum(m.exercise == id for m in mistakes)
        if count < least:
            yield Fault("mistakes", f"{where}, {id}", f"{count} planted mistakes, not {least} at least")
    for m in mistakes:
        try:
            planted(chapter, m)
        except ChecksFailed as problem:
            yield Fault("mistakes", where, problem.message)


# ------------------------------------------------------------------------------------------------- runs

WAITING = ("todo", "skipped")


def of_blank_notebook(where: str, checks: Mapping[str, Outcome], found: Sequence[Result]) -> Iterator[Fault]:
    """An untouched notebook earns nothing, and is told so without a crash."""
    for id, outcome in checks.items():
        if outcome.outcome == "passed":
            yield Fault("blank", f"{where}, {id}", "points for nothing: this check passes on a blank")
    about = [result for result in found if result.exercise]
    for result in about:
        if result.status not in WAITING:
            said = f"it is {result.status}, and should wait for an answer: {result.message}"
            yield Fault("blank", f"{where}, {result.exercise}", said)
    if not about:
        yield Fault("blank", where, "no check of an exercise was reached")


def of_full_notebook(where: str, found: Sequence[Result]) -> Iterator[Fault]:
    """With the course's answers, everything passes."""
    if not found: yield Fault("solved", where, "nothing was checked")
    for result in found:
        if not result.ok: yield Fault("solved", f"{where}, {result.name}", result.message or result.status)


def of_blank_exercise(where: str, exercise: str, outcomes: Sequence[Outcome]) -> Iterator[Fault]:
    """Where only this answer is missing, its check asks for it, or says its sentence."""
    problem, place = next((o for o in outcomes if o.outcome != "passed"), None), f"{where}, {exercise}"
    if problem is None:
        yield Fault("stripped", place, "its checks pass without an answer")
    elif not turn(problem) and not (problem.outcome == "failed" and problem.text):
        how = f"{problem.type}: {problem.text}" if problem.type else problem.text or problem.outcome
        yield Fault("stripped", place, f"without an answer `{problem.unit}` crashes: {how}")
