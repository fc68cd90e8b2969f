"""Plausible mistakes, planted into the exercises: the lesson's own checks find them and name the idea."""

import compileall
import textwrap
import tomllib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

import pytest

from tito.core import verdicts
from tito.core.lesson import Chapter, NotebookCell, lifted, notebook, solutions
from tito.core.plan import Limits, Plan
from tito.core.results import Result
from tito.ports.files import write_tree
from tito.ports.runner import Processes
from tito.services_course import open_course

MUTANTS = Path(__file__).parents[1] / "mutants"
LIMITS = Limits(test=10, lesson=20)
COURSE = open_course()
ALONE = Lock()          # Python 3.11 counts the depth of an ast.parse for all threads together, and trips


@dataclass(frozen=True)
class Mistake:
    lesson: str             # 02_tensor
    exercise: str           # the cell it is planted into
    what: str               # what went wrong, for the reader of the table
    idea: str               # words that the first failing check has to say
    new: str                # what the learner writes …
    old: str = ""           # … in place of this; of the whole solution where it says nothing

    def __str__(self): return f"{self.exercise}: {self.what}"


MISTAKES = [Mistake(file.stem, **row) for file in sorted(MUTANTS.glob("*.toml"))
            for row in tomllib.loads(file.read_text("utf-8"))["mistake"]]


@cache
def chapter_of(lesson: str) -> Chapter: return COURSE.chapter(COURSE.curriculum.lesson(lesson))


@cache
def solved(lesson: str) -> list[NotebookCell]: return notebook(chapter_of(lesson), solutions=True)


def planted(cell: NotebookCell, mistake: Mistake, solution: str) -> NotebookCell:
    """The cell with the mistake in it."""
    before, after = mistake.old, mistake.new
    if not before:
        first = solution.split("\n")[0]
        line = next(line for line in cell.source.split("\n") if line.strip() == first)
        indent = line.removesuffix(first)
        before, after = textwrap.indent(solution, indent), textwrap.indent(after.strip(), indent)
    assert cell.source.count(before) == 1, f"`{before}` is not there, or more than once"
    return cell._replace(source=cell.source.replace(before, after))


def attempt(mistake: Mistake | None, lesson: str) -> verdicts.Tested:
    """A solved notebook, with the mistake in it."""
    found, chapter = COURSE.curriculum.lesson(lesson), chapter_of(lesson)
    rows = solved(lesson).copy()
    if mistake:
        where = next(n for n, row in enumerate(rows) if row.id == mistake.exercise)
        course = chapter.cell(mistake.exercise)
        assert course, f"lesson {lesson} has no cell {mistake.exercise}"
        rows[where] = planted(rows[where], mistake, solutions(course)[0])
    return verdicts.Tested(found.label, found.notebook, chapter, lifted(chapter, rows), rows, LIMITS)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """For each lesson, the package of one who did the lessons before it."""
    folder = tmp_path_factory.mktemp("stages")

    @cache
    def stage(name: str) -> Path:
        lesson = COURSE.curriculum.lesson(name)
        sources = COURSE.sources(lesson, lesson.given)
        for one in COURSE.curriculum.needs_closure(lesson): sources |= COURSE.sources(one, one.files)
        write_tree(folder / name / "tinytorch", COURSE.package(sources))
        compileall.compile_dir(folder / name, quiet=1)      # once, and not in each of a hundred processes
        return folder / name
    return stage


def judged(lesson: verdicts.Tested, stage: Path, exercise: str = "") -> list[Result]:
    """What `tito module test` says in its first phase; only up to the checks on one exercise, if named."""
    with ALONE: units, chapter = verdicts.units(lesson), lesson.chapter
    own = [c.id for c in chapter.checks() if (about := chapter.about(c)) and about.id == exercise]
    end = max([number for number, unit in enumerate(units, 1) if unit.id in own], default=len(units))
    run = Processes().run(Plan("cells", str(stage), str(stage), LIMITS, units[:end]))
    with ALONE:
        told = verdicts.Verdicts(lesson)
        found = [result for outcome in run.outcomes for result in told.take(outcome)]
        return found if own else [*found, *told.rest()]


@pytest.fixture(scope="module")
def judgements(request, stages):
    """The mistakes that are asked for, run two at a time, and all of them before pytest goes on."""
    tests = [item for item in request.session.items if "judgements" in item.fixturenames]
    asked = [item.callspec.params["mistake"] for item in tests]
    places = {lesson: stages(lesson) for lesson in {m.lesson for m in asked}}

    def judge(m: Mistake) -> list[Result]:
        with ALONE: lesson = attempt(m, m.lesson)
        return judged(lesson, places[m.lesson], m.exercise)
    with ThreadPoolExecutor(2) as pool:
        return {m: pool.submit(judge, m) for m in asked}


def at_once(mistake: Mistake) -> bool:
    """Whether it belongs to the sample that is tried every time: the first of each exercise."""
    place = mistake.lesson, mistake.exercise
    return mistake in [m for m in MISTAKES if (m.lesson, m.exercise) == place][:1]


TRIED = [pytest.param(m, marks=[] if at_once(m) else pytest.mark.slow, id=str(m)) for m in MISTAKES]


@pytest.mark.parametrize("mistake", TRIED)
def test_a_planted_mistake_is_found_and_its_idea_named(mistake: Mistake, judgements: dict[Mistake, Future]):
    problems = [r for r in judgements[mistake].result() if not r.ok]
    assert problems, "no check of the lesson finds it"
    said = problems[0].message
    assert mistake.idea.lower() in said.lower(), f"`{problems[0].name}` says only: {said}"


@pytest.mark.parametrize("lesson", sorted({m.lesson for m in MISTAKES}))
def test_without_a_mistake_every_check_passes(lesson, stages):
    assert [r for r in judged(attempt(None, lesson), stages(lesson)) if not r.ok] == []


@pytest.mark.parametrize("lesson", sorted({m.lesson for m in MISTAKES}))
def test_every_exercise_has_five_planted_mistakes(lesson):
    planted = [m.exercise for m in MISTAKES if m.lesson == lesson]
    exercises = chapter_of(lesson).exercises()
    assert {e.id: planted.count(e.id) for e in exercises if planted.count(e.id) < 5} == {}
