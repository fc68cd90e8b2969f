"""The verdict on a learner's cells and the course's checks: from what a process told to Results. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tito.core.checks import (
    IMPORT,
    TURN,
    imported_in,
    line_in,
    listed,
    names_in,
    plain,
    sentence,
    status_of,
    telling_line,
    turn,
)
from tito.core.lesson import Cell, Chapter, Lifted, NotebookCell, defined_names, directives, shown
from tito.core.plan import Limits, Outcome, Unit
from tito.core.results import CodeLine, Result, Status


@dataclass(frozen=True)
class Tested:
    """A lesson as it is tested: the course's chapter with the learner's code in it."""

    label: str                      # 02 tensor
    notebook: str                   # 02_tensor.ipynb
    chapter: Chapter                # the course's
    lift: Lifted                    # the learner's
    rows: Sequence[NotebookCell]    # the whole notebook
    limits: Limits

    def file(self, cell: Cell) -> str: return f"{self.notebook}[{cell.id}]"

    @property
    def reset(self) -> str: return f"tito module reset {self.label[:2]}"


def units(lesson: Tested) -> tuple[Unit, ...]:
    """What is run: every exported cell of the learner's and every check of the course's, in order."""
    names = {cell.id: defined_names(cell.source) for cell in lesson.chapter.exported()}
    return tuple(
        Unit(cell.id, "check" if cell.check else "cell", lesson.file(cell),
             cell.source if cell.check else cell.text, names.get(cell.id, ()))
        for cell in lesson.lift.cells if cell.check or cell.exported
    )


class Verdicts:
    """The verdict on every cell that did not run and on every check, in the order of the lesson.

    Outcomes may be taken in one by one, as they come: `take` gives the results that are certain by then.
    """

    def __init__(self, lesson: Tested):
        self.lesson, self.chapter = lesson, lesson.chapter
        self.outcomes: dict[str, Outcome] = {}
        self.mine = {cell.id: cell for cell in lesson.lift.cells}
        self.sources = {lesson.file(c): c for c in lesson.lift.cells}
        self.broken: dict[str, str] = {}        # name -> why it is not there
        self.held: dict[str, Result] = {}       # on exercises that did not run: their check says so
        self.checked = {c.id for check in self.chapter.checks() for c in self.covered(check)}
        self.waiting = in_order(lesson)

    def take(self, outcome: Outcome) -> Iterator[Result]:
        self.outcomes[outcome.unit] = outcome
        if outcome.unit == IMPORT and outcome.outcome != "passed":
            message = f"your package does not import: {self.why(outcome)}"
            yield replace(self.told(outcome, "import tinytorch"), message=message)
        if any(cell.id == outcome.unit for cell in self.waiting):
            yield from self.until(outcome.unit)

    def rest(self) -> Iterator[Result]:
        """What is left when the process has ended."""
        yield from self.until("")

    def until(self, unit: str) -> Iterator[Result]:
        while self.waiting:
            cell = self.waiting.pop(0)
            if cell.check:
                yield from self.on_check(cell)
            elif cell.exported and (result := self.on_cell(cell)):
                if cell.id in self.checked:
                    self.held[cell.id] = result
                else:
                    yield result
            if cell.id == unit: return

    def on_cell(self, cell: Cell) -> Result | None:
        """A result only if the cell did not do its work."""
        names = (*names_in(cell.source), *imported_in(cell.source))
        outcome = self.outcomes.get(cell.id)
        if cell.id not in self.mine:
            self.broken |= dict.fromkeys(names, "is gone")
            where = f"the cell `{cell.id}` is gone from {self.lesson.notebook}"
            return self.about(cell, "failed", f"{where}: `{self.again(cell)}` brings it back")
        if outcome is None or turn(outcome):
            self.broken |= dict.fromkeys(names, "is still yours to write" if outcome else "did not run")
            return None
        if outcome.outcome != "passed":
            needs = self.needs(outcome.name) if outcome.name in self.broken else ""
            self.broken |= dict.fromkeys(names, "did not run")
            return self.about(cell, "skipped", needs) if needs else self.told(outcome, cell.name, cell)
        if lost := [n for n in outcome.undefined if not self.defined_elsewhere(n, cell)]:
            self.broken |= dict.fromkeys(lost, "is no longer defined")
            return replace(self.about(cell, "failed", self.undefined(lost, cell)), output=outcome.output)
        return None

    def undefined(self, names: Sequence[str], cell: Cell) -> str:
        where = f"in the cell `{cell.id}`" if self.mine[cell.id].source.strip() else "since its cell is empty"
        return f"{listed(names)} no longer defined {where}; `{self.again(cell)}` brings the blank back"

    def needs(self, name: str) -> str: return f"needs `{name}`, which {self.broken[name]}"

    def on_check(self, check: Cell) -> Iterator[Result]:
        result = self.named(check)
        held = [self.held.pop(c.id) for c in self.covered(check) if c.id in self.held]
        if not held:
            yield replace(self.verdict(check, result), check=check.id)
        for number, one in enumerate(held):
            yield replace(one, points=0 if number else check.points, check=check.id)

    def verdict(self, check: Cell, result: Result) -> Result:
        outcome, about = self.outcomes.get(check.id), self.chapter.about(check)
        if outcome is None:
            return replace(result, status="skipped", message=self.not_reached())
        result = replace(result, seconds=outcome.seconds, output=outcome.output)
        if outcome.outcome != "timeout" and (blank := self.blank(check, outcome)):
            return replace(result, status="todo", message=f"{TURN}{blank.name}", exercise=blank.name,
                           hints=len(blank.hints), line=self.line_of(blank))
        if missed := self.missed(check, outcome):
            name, why = missed
            return replace(result, status="skipped", message=f"needs `{name}`, which {why}")
        told = self.told(outcome, result.name, about, check)
        return replace(told, points=check.points, section=result.section)

    # ------------------------------------------------------------------------------- what is not there

    def blank(self, check: Cell, outcome: Outcome) -> Cell | None:
        """The exercise that is still a blank, if that is why the check says what it says."""
        own = [c for c in self.covered(check) if c.id in self.mine]
        untouched = [c for c in own if self.untouched(c) and not self.defined_elsewhere(c.name, c)]
        if untouched: return untouched[0]
        if name := turn(outcome):
            return next((c for c in own if f"{TURN}{name}" in self.mine[c.id].source), None)
        return None

    def covered(self, check: Cell) -> list[Cell]:
        """The exercises a check is about: those since the check before it, or the last one."""
        found: list[Cell] = []
        checked = False
        for cell in self.chapter:
            if cell.id == check.id: break
            if cell.exercise:
                found = [cell] if checked else [*found, cell]
            checked = cell.check if cell.exercise or cell.check else checked
        return found

    def untouched(self, cell: Cell) -> bool:
        return plain(shown(cell)) == plain(self.mine[cell.id].text)

    def defined_elsewhere(self, name: str, cell: Cell) -> bool:
        others = (c for c in self.lesson.lift.cells if c.exported and c.id != cell.id)
        return any(name in names_in(c.source) for c in others)

    def missed(self, check: Cell, outcome: Outcome) -> tuple[str, str] | None:
        """A name that the check stumbled over because its cell did not run, and why it did not."""
        for cell in self.covered(check):
            if cell.name in self.broken: return cell.name, self.broken[cell.name]
        if outcome.name in self.broken:
            return outcome.name, self.broken[outcome.name]
        return (name, "is still yours to write") if (name := turn(outcome)) else None

    def not_reached(self) -> str:
        last = next(reversed(self.outcomes), "")
        cell = self.mine.get(last)
        about = self.chapter.about(cell) if cell and cell.check else cell
        return f"not run: `{about.name}` did not come to an end" if about else "not run"

    # ---------------------------------------------------------------------------------------- results

    def about(self, cell: Cell, status: Status, message: str = "") -> Result:
        section = self.chapter.section_of(cell) if cell in self.chapter.cells else ""
        return Result(cell.name, status, message, exercise=cell.name if cell.exercise else "",
                      section=section, hints=len(cell.hints))

    def named(self, check: Cell) -> Result:
        """A check's result before the verdict: it bears its exercise's name, and a number after the first."""
        about = self.chapter.about(check)
        if about is None:
            return Result(check.name, "passed", section=self.chapter.section_of(check), points=check.points)
        siblings = [c.id for c in self.chapter.checks() if self.chapter.about(c) == about]
        number = siblings.index(check.id) + 1
        name = about.name if number == 1 else f"{about.name}, check {number}"
        section = self.chapter.section_of(check)
        return replace(self.about(about, "passed"), name=name, section=section, points=check.points)

    def told(
        self, outcome: Outcome, name: str, about: Cell | None = None, check: Cell | None = None,
    ) -> Result:
        """An outcome as a Result."""
        result = self.about(about, status_of(outcome)) if about else Result(name, status_of(outcome))
        own = line_in(outcome.frames, self.sources, self.lesson.notebook)
        if check is not None and own is None and outcome.outcome != "passed":
            own = self.line_of(about) if about else None
        return replace(
            result, name=name, message=self.why(outcome), expected=outcome.expected, got=outcome.got,
            asked=outcome.asked, line=own if outcome.outcome != "passed" else None,
            output=outcome.output, seconds=outcome.seconds,
        )

    def why(self, outcome: Outcome) -> str:
        if outcome.name and (where := self.unexported(outcome.name)):
            return (f"`{outcome.name}` is defined in a cell that is not exported ({where}): "
                    "begin that cell with `#| export`, or it will not be in your package")
        return sentence(outcome, self.lesson.limits)

    def unexported(self, name: str) -> str:
        """The cell of the learner's that defines a name and is not exported."""
        for row in self.lesson.rows:
            own = row.kind == "code" and not {"export", "check"} & set(directives(row.source)[0])
            if own and name in names_in(row.source): return row.id or "one without an id"
        return ""

    def line_of(self, cell: Cell) -> CodeLine | None:
        """The line of an exercise to look at first: its only return, else the line that begins it."""
        mine = self.mine.get(cell.id)
        if mine is None or not mine.text.strip(): return None
        number = telling_line(mine.text, cell.name)
        return CodeLine(self.lesson.notebook, mine.id, number, mine.text.split("\n")[number - 1].strip())

    def again(self, cell: Cell) -> str: return f"{self.lesson.reset} {cell.name}"


def in_order(lesson: Tested) -> list[Cell]:
    """The course's cells, with those the learner added behind the one they stand behind."""
    cells, added, last = list(lesson.chapter.cells), dict[str, list[Cell]](), ""
    course = {cell.id for cell in cells}
    for cell in lesson.lift.cells:
        if cell.id in course:
            last = cell.id
        else:
            added.setdefault(last, []).append(cell)
    return added.get("", []) + [c for cell in cells for c in (cell, *added.get(cell.id, ()))]
