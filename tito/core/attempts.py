"""An exercise written otherwise than the course does: left blank, with a mistake in it, or mutated. Pure."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tito.core.errors import ChecksFailed
from tito.core.lesson import Cell, Chapter, Lifted, directives, shown, solutions
from tito.core.mutation import Mutant, mutants
from tito.core.plan import Outcome, Variant
from tito.core.results import Result
from tito.core.verdicts import Tested, Verdicts


@dataclass(frozen=True)
class Attempt:
    """A text for the cell of an exercise."""

    name: str
    exercise: str               # the cell's id
    source: str                 # as the notebook has it


@dataclass(frozen=True)
class Mistake:
    """A wrong but plausible solution, written by hand."""

    exercise: str               # the cell it is planted into
    what: str                   # what went wrong, for the reader of the table
    idea: str                   # words that the first failing check has to say
    new: str                    # what the learner writes …
    old: str = ""               # … in place of this; of the whole solution where it says nothing

    def __str__(self) -> str: return f"{self.exercise}: {self.what}"


def mistakes(text: str) -> list[Mistake]:
    """Those that the text of a file of tests/mutants/ lists."""
    return [Mistake(**row) for row in tomllib.loads(text).get("mistake", [])]


def blank(cell: Cell) -> Attempt: return Attempt(f"{cell.id}: left blank", cell.id, shown(cell))
def right(cell: Cell) -> Attempt: return Attempt(f"{cell.id}: solved", cell.id, shown(cell, solution=True))


def planted(chapter: Chapter, mistake: Mistake) -> Attempt:
    """The course's solution with the mistake in it."""
    cell = chapter.cell(mistake.exercise)
    if cell is None: raise ChecksFailed(f"{mistake}: there is no such exercise.")
    source, before, after = shown(cell, solution=True), mistake.old, mistake.new
    if not before:
        solution = solutions(cell)[0]
        first = solution.split("\n")[0]
        indent = next(x for x in source.split("\n") if x.strip() == first).removesuffix(first)
        before, after = textwrap.indent(solution, indent), textwrap.indent(after.strip(), indent)
    if source.count(before) != 1:
        raise ChecksFailed(f"{mistake}: `{before}` is not in the solution, or more than once.")
    return Attempt(str(mistake), cell.id, source.replace(before, after))


def mutated(cell: Cell) -> dict[str, tuple[Mutant, Attempt]]:
    """Every mutant of an exercise that its rules make, by a name of its own."""
    found = {}
    for number, mutant in enumerate(mutants(cell), 1):
        name = f"{cell.id} {number}"
        found[name] = mutant, Attempt(name, cell.id, shown(mutant.cell, solution=True))
    return found


def variant(chapter: Chapter, attempt: Attempt, until: str) -> Variant:
    return Variant(attempt.name, attempt.exercise, attempt.source, until)


def own_check(chapter: Chapter, exercise: str) -> str:
    """The id of the last check on an exercise, or else of the first one after it."""
    cells = list(chapter)
    behind = cells[[c.id for c in cells].index(exercise) + 1:]
    own = [c.id for c in chapter.checks() if (about := chapter.about(c)) and about.id == exercise]
    return own[-1] if own else next((c.id for c in behind if c.check), "")


def judged(tested: Tested, attempt: Attempt, base: Sequence[Outcome], own: Iterable[Outcome]) -> list[Result]:
    """What the checks say of an attempt: `base` is how the cells before it went, `own` what came of it."""
    cells = tuple(written(c, attempt) if c.id == attempt.exercise else c for c in tested.lift.cells)
    rows = [row._replace(source=attempt.source) if row.id == attempt.exercise else row for row in tested.rows]
    lift = Lifted(cells, tested.lift.missing, {**tested.lift.sources, attempt.exercise: attempt.source})
    told = Verdicts(replace(tested, lift=lift, rows=rows))
    for outcome in base:
        if outcome.unit == attempt.exercise: break
        for _ in told.take(outcome): pass
    while told.waiting and told.waiting[0].id != attempt.exercise:
        told.waiting.pop(0)                         # checks before it: they were not asked
    found = [result for outcome in own for result in told.take(outcome)]
    return [*found, *told.held.values()]            # … on a cell that ended before its check


def written(cell: Cell, attempt: Attempt) -> Cell:
    return replace(cell, source=directives(attempt.source)[2], text=attempt.source)
