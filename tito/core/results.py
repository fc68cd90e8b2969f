"""The one schema in which every check, lesson test and milestone gate reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Literal

SCHEMA = 1

Status = Literal["passed", "failed", "todo", "error", "timeout", "skipped"]
WORST = ("timeout", "error", "failed", "todo", "skipped", "passed")     # the first of these that occurs wins


@dataclass(frozen=True)
class CodeLine:
    """A line of the learner's, as they see it."""

    file: str                       # 02_tensor.ipynb
    cell: str                       # the id of the cell
    number: int                     # within the cell, from 1
    text: str


@dataclass(frozen=True)
class Result:
    """What one check found."""

    name: str                       # a sentence or the exercise's name
    status: Status
    message: str = ""               # in the words of the subject
    expected: str = ""
    got: str = ""
    exercise: str = ""              # the exercise this is about, if one
    section: str = ""               # heading of the lesson it stands under
    hints: int = 0                  # how many hints `tito module hint` has for it
    line: CodeLine | None = None
    output: str = ""                # what the learner's code printed meanwhile
    points: float = 0
    seconds: float = 0.0
    asked: str = ""                 # the expression that gave what was got: add(2, 2)
    check: str = ""                 # the id of the check, where it is one

    @property
    def ok(self) -> bool: return self.status == "passed"


@dataclass(frozen=True)
class Report:
    """All results of one run, in file order."""

    subject: str                    # the name of a lesson or a milestone
    tests: tuple[Result, ...] = ()
    numbers: dict[str, float | int | str] = field(default_factory=dict)     # what a milestone measured
    package: str = ""               # the tinytorch that was imported
    digest: str = ""                # of the code that was tested
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        found = {t.status for t in self.tests}
        return next((s for s in WORST if s in found), "failed")

    @property
    def ok(self) -> bool: return bool(self.tests) and all(t.ok for t in self.tests)

    @property
    def first_problem(self) -> Result | None:
        return next((t for t in self.tests if not t.ok), None)

    def as_json(self) -> dict:
        return {"schema": SCHEMA, "status": self.status, **asdict(self)}


def from_json(data: dict) -> Report:
    """The Report that `as_json` wrote."""
    tests = tuple(
        Result(**{**t, "line": CodeLine(**t["line"]) if t.get("line") else None}) for t in data["tests"]
    )
    rest = {k: v for k, v in data.items() if k not in ("schema", "status", "tests")}
    return replace(Report(**rest), tests=tests)
