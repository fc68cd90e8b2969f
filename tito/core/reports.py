"""From runs of lesson tests and of milestone programs to Results. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from tito.core.checks import IMPORT, sentence, status_of
from tito.core.export import Line
from tito.core.lesson import Chapter
from tito.core.plan import Frame, Limits, Outcome, Run
from tito.core.results import CodeLine, Result, Status


@dataclass(frozen=True)
class Package:
    """The staged package: which line of which file is which line of the learner's."""

    root: str                                   # the folder of the staged tinytorch
    notebook: str
    lines: Mapping[str, Sequence[Line]]         # "tensor.py" -> its lines, of the lesson that is tested
    sources: Mapping[str, str]                  # every file of the package

    def line_in(self, frames: Sequence[Frame]) -> CodeLine | None:
        """The innermost line that is the learner's: in the notebook, or in a file of the package."""
        for file, number, _ in reversed(frames):
            path = file.replace("\\", "/")
            if path.startswith(f"{self.root}/"):
                return self.line(path.removeprefix(f"{self.root}/"), number)
        return None

    def line(self, file: str, number: int) -> CodeLine:
        lines = self.lines.get(file, ())
        if 0 < number <= len(lines) and (line := lines[number - 1]).cell:
            return CodeLine(self.notebook, line.cell, line.number, line.text.strip())
        texts = self.sources.get(file, "").split("\n")
        text = texts[number - 1].strip() if 0 < number <= len(texts) else ""
        return CodeLine(f"tinytorch/{file}", "", number, text)


def lesson_tests(run: Run, package: Package, chapter: Chapter, limits: Limits) -> tuple[Result, ...]:
    """One Result for each test function; its cases are told only if they fail."""
    found = {outcome.unit: outcome for outcome in run.outcomes}
    results = []
    strays = [o for o in run.outcomes if o.unit not in run.collected and o.outcome != "passed"]
    for outcome in strays:
        name = "import tinytorch" if outcome.unit == IMPORT else outcome.unit
        results.append(test_result(name, [outcome], 1, package, chapter, limits))
    for units in grouped(run.collected):
        outcomes = [found[u] for u in units if u in found]
        outcomes = [o for o in outcomes if o.outcome != "skipped" or package.line_in(o.frames)]
        name = run.titles.get(units[0], units[0])
        if len(units) > sum(u in found for u in units):
            lost = Outcome(units[0], "skipped", text="not run: the tests did not come to an end before")
            outcomes = outcomes if any(o.outcome != "passed" for o in outcomes) else [lost]
        if outcomes:
            results.append(test_result(name, outcomes, len(units), package, chapter, limits))
    if not run.finished and not any(not r.ok for r in results):
        said = f"{run.ending or 'the process ended'} before they were done"
        results.append(Result("lesson tests", "error", said, output=run.noise))
    return tuple(results)


def grouped(units: Iterable[str]) -> list[list[str]]:
    """The ids of tests, with the cases of one function together."""
    groups: dict[str, list[str]] = {}
    for unit in units:
        groups.setdefault(unit.partition("[")[0], []).append(unit)
    return list(groups.values())


def test_result(
    name: str, outcomes: Sequence[Outcome], cases: int, package: Package, chapter: Chapter, limits: Limits,
) -> Result:
    bad = [o for o in outcomes if o.outcome != "passed"]
    worst = bad[0] if bad else outcomes[0]
    line = package.line_in(worst.frames) if bad else None
    cell = chapter.cell(line.cell) if line and line.cell else None
    exercise = cell if cell and cell.exercise else None
    skipped = worst.outcome == "skipped"
    message = worst.text if skipped else sentence(worst, limits)
    if bad and cases > 1 and not skipped:
        case = worst.unit.partition("[")[2].rstrip("]")
        message = f"{message} ({case}: {len(bad)} of {cases} cases)".strip()
    return Result(
        name, status_of(worst), message, worst.expected, worst.got, asked=worst.asked if bad else "",
        exercise=exercise.name if exercise else "", section=chapter.section_of(cell) if cell else "",
        hints=len(exercise.hints) if exercise else 0, line=line, output=worst.output,
        seconds=sum(o.seconds for o in outcomes),
    )


# --------------------------------------------------------------------------------------------- milestones

def milestone_report(run: Run, package: Package, limits: Limits) -> tuple[tuple[Result, ...], dict[str, Any]]:
    """What a milestone's program handed in, if it came to its end; else one Result that says why not."""
    for outcome in run.outcomes:
        if outcome.outcome != "passed":
            name = "import tinytorch" if outcome.unit == IMPORT else "the program"
            return (test_result(name, [outcome], 1, package, Chapter(()), limits),), {}
    try:
        last = run.report.strip().rpartition("\n")[2]
        report = json.loads(last) if run.finished and last else None
        tests = tuple(handed_in(test) for test in report["tests"]) if report else ()
        numbers = dict(report["numbers"]) if report else {}
    except (ValueError, KeyError, TypeError) as problem:
        return (Result("the program", "error", f"its report cannot be read: {problem}"),), {}
    if not tests:
        return (Result("the program", "error", run.ending or "it ended without a report"),), {}
    return tests, numbers


def handed_in(test: Mapping[str, Any]) -> Result:
    if test["status"] not in get_args(Status):
        raise ValueError(f"no such status: {test['status']}")
    message, expected, got = (str(test.get(k, "")) for k in ("message", "expected", "got"))
    seconds = float(test.get("seconds", 0))
    return Result(str(test["name"]), test["status"], message, expected, got, seconds=seconds)
