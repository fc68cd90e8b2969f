"""Comparing: a learner's way to solve an exercise beside the course's, and what each costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tito.core import exercises
from tito.core.checks import plain
from tito.core.compare import Cost, Solution, costs
from tito.core.curriculum import Lesson
from tito.core.errors import EnvironmentProblem, NotFound
from tito.core.lesson import Cell, NotebookCell, directives, lifted, recognised, shown, solved
from tito.core.plan import Limits
from tito.core.verdicts import Tested, Verdicts, units
from tito.ports.files import write

if TYPE_CHECKING:
    from tito.app import Workspace
    from tito.services_testing import Tests

PROGRAM = Path(__file__).with_name("ports") / "measure.py"
LIMITS = Limits(test=60, lesson=60)


def solution(place: Workspace, lesson: Lesson, exercise: str, measure: bool = True) -> Solution:
    """The course's way; the learner's, if it is written; with `measure`, what the checks take with each."""
    chapter = place.course.chapter(lesson)
    cell = exercises.cell_of(lesson, chapter, exercise)
    found = Solution(lesson, cell.name, solved(cell).source)
    try:
        mine = place.cell(lesson, exercise)
    except (NotFound, EnvironmentProblem):      # no notebook yet, or the cell is gone from it
        return found
    if plain(mine) == plain(shown(cell)): return found
    found = replace(found, mine=directives(mine)[2])
    if not measure or found.same: return found
    rows = recognised(chapter, place.course.notebooks.read(place.notebook(lesson)))
    course = [row._replace(source=shown(cell, True)) if row.id == cell.id else row for row in rows]
    mine_cost, course_cost = (cost(place.tests, lesson, cell, some) for some in (rows, course))
    return replace(found, mine_cost=mine_cost, cost=course_cost)


def cost(tests: Tests, lesson: Lesson, cell: Cell, rows: Sequence[NotebookCell]) -> Cost | None:
    """What the checks of an exercise take in a notebook."""
    chapter = tests.course.chapter(lesson)
    tested = Tested(lesson.label, lesson.notebook, chapter, lifted(chapter, rows), rows, LIMITS)
    about = Verdicts(tested)
    checks = [check.id for check in chapter.checks() if cell in about.covered(check)]
    sources = tests.before(lesson) | tests.course.sources(lesson, lesson.given)
    with tests.staged(tests.course.package(sources)) as stage:
        asked = stage / "asked.json"
        write(asked, json.dumps({"units": [asdict(unit) for unit in units(tested)], "checks": checks}))
        plan = tests.plan("program", stage, LIMITS, path=str(PROGRAM), argv=(str(asked),))
        return costs(tests.honest(tests.runner.run(plan)).report, checks)
