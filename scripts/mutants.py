"""Try every mistake in every exercise, and write the table of tests/mutants/README.md.

    python scripts/mutants.py [LESSON ...]      (default: all; a table of some keeps the others' rows)

Some are planted by hand, in tests/mutants/*.toml: the message of the check that finds them has to name the
idea. The others are mutants that tito/core/mutation.py makes of the course's own solutions. One that no check
finds behaves as the solution does, and stands with the reason in tests/mutants/survivors.toml, or is a gap.
Exit code 1 when a planted mistake passes, or when a lesson finds fewer than 95 % of the mutants that matter.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

from tito.core.attempts import mistakes, mutated, planted
from tito.core.curriculum import Lesson
from tito.core.mutation import Mutant
from tito.core.results import Result
from tito.ports.runner import Processes
from tito.services_attempts import Attempts
from tito.services_course import open_course

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "tests" / "mutants"
SURVIVORS, TABLE = PLACE / "survivors.toml", PLACE / "README.md"
LEAST = 0.95


class Row(NamedTuple):
    """How a lesson's checks fared."""

    lesson: str
    exercises: int
    planted: int
    named: int                  # found, with a message that names the idea
    mutants: int
    found: int
    equivalent: int             # not found, and they behave as the solution does
    gaps: int

    @property
    def rate(self) -> float: return self.found / max(1, self.mutants - self.equivalent)


def problem(results: list[Result]) -> Result | None: return next((r for r in results if not r.ok), None)


def key(lesson: Lesson, cell: str, mutant: Mutant) -> str: return f"{lesson.folder} {cell}: {mutant}"


def tried(attempts: Attempts, lesson: Lesson, reasons: dict[str, str], used: set[str]) -> Row:
    chapter = attempts.course.chapter(lesson)
    by_hand = {str(m): m for m in mistakes((PLACE / f"{lesson.folder}.toml").read_text("utf-8"))}
    by_rule = {name: (cell.id, *pair) for cell in chapter.exercises()
               for name, pair in mutated(cell).items()}
    first = attempts.results({lesson.name: [planted(chapter, m) for m in by_hand.values()]})[lesson.name]
    then = attempts.results({lesson.name: [one for _, _, one in by_rule.values()]}, True)[lesson.name]
    named = 0
    for name, mistake in by_hand.items():
        told = problem(first[name])
        if told and mistake.idea.lower() in told.message.lower(): named += 1
        else: print(f"  planted: {lesson.folder} {name}: {told.message if told else 'no check finds it'}")
    equivalent, gaps = 0, 0
    for name, (cell, mutant, _) in by_rule.items():
        if problem(then[name]): continue
        where = key(lesson, cell, mutant)
        used.add(where)
        if where in reasons: equivalent += 1
        else:
            gaps += 1
            print(f"  survives: {where}")
    found = len(by_rule) - equivalent - gaps
    return Row(lesson.folder, len(chapter.exercises()), len(by_hand), named, len(by_rule), found, equivalent,
               gaps)


def table(rows: list[Row], reasons: dict[str, str]) -> str:
    total = Row("all", *(sum(row[n] for row in rows) for n in range(1, len(Row._fields))))
    lines = [f"| {' | '.join(map(str, row))} | {row.rate:.1%} |" for row in [*rows, total]]
    told = [f"- {where}: {why}" for where, why in reasons.items()]
    return "\n".join([HEAD, *lines, "", TAIL, "", *told, ""])


HEAD = """\
# Mistakes, and who finds them

Made by `make mutants`. The files beside this page hold **planted** mistakes: wrong but plausible solutions,
five or more for each exercise, each with the misconception it stands for. A mistake counts as *named* when
the lesson's own checks find it and the first message says the idea that was missed. **Mutants** are made from
the course's solutions by rule: another operator, axis, constant or comparison, arguments exchanged, a
statement dropped. The rate is of the mutants that change what the code does; at least 95 % of them have to
be found.

| lesson | exercises | planted | named | mutants | found | equivalent | gaps | rate |
|---|--:|--:|--:|--:|--:|--:|--:|--:|"""

TAIL = """\
## Mutants that behave as the solution does

From `survivors.toml`, with the reason:"""


def written(page: str) -> dict[str, Row]:
    """The rows that an earlier table has."""
    cells = [[part.strip() for part in line.strip("|").split("|")] for line in page.split("\n")]
    return {row[0]: Row(row[0], *map(int, row[1:-1])) for row in cells if row[0][:2].isdigit()}


def main(names: list[str]) -> int:
    course, used = open_course(), set[str]()
    listed = tomllib.loads(SURVIVORS.read_text("utf-8"))["survivor"]
    reasons = {row["mutant"]: row["reason"] for row in listed}
    chosen = [course.curriculum.lesson(name) for name in names] or \
        [lesson for lesson in course.curriculum if lesson.name in course.written()]
    rows = written(TABLE.read_text("utf-8")) if TABLE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        attempts = Attempts(course, Path(folder), Processes())
        for lesson in chosen:
            rows[lesson.folder] = row = tried(attempts, lesson, reasons, used)
            print(f"{lesson.label}: {row.named} of {row.planted} named, {row.found} of {row.mutants} found, "
                  f"{row.equivalent} equivalent: {row.rate:.1%}", flush=True)
            TABLE.write_text(table([rows[name] for name in sorted(rows)], reasons), "utf-8")
    folders = {lesson.folder for lesson in chosen}
    stale = [where for where in reasons if where.split()[0] in folders and where not in used]
    for where in stale: print(f"  found by now, and still excused in survivors.toml: {where}")
    bad = [row for row in rows.values()
           if row.lesson in folders and (row.named < row.planted or row.rate < LEAST)]
    return 1 if bad or stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
