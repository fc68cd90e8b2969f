"""Grades as tables for spreadsheets and learning platforms, and code as a plagiarism tool reads it. Pure."""

from __future__ import annotations

import ast
import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tito.core.lesson import directives

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")      # what makes a spreadsheet compute


@dataclass(frozen=True)
class Row:
    """What a student has in an assignment."""

    student: str
    assignment: str
    earned: float
    points: float
    manual: float = 0.0                 # of the earned ones, what a person gave
    waiting: int = 0                    # questions that nobody has graded yet
    late: float = 0.0                   # seconds
    when: datetime | None = None
    comments: str = ""
    seconds: float = 0.0                # that the checks took
    style: Mapping[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    problem: str = ""


def safe(value: object) -> object:
    """A text that no spreadsheet takes for a formula. Numbers stay numbers."""
    if not isinstance(value, str): return value
    text = value.replace("\0", "")
    return f"'{text}" if text.lstrip(" ").startswith(DANGEROUS) else text


def written(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    table = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    table.writerow(header)
    table.writerows([safe(value) for value in row] for row in rows)
    return out.getvalue()


def as_csv(rows: Sequence[Row]) -> str:
    """Everything, a line for each student and assignment."""
    kinds = sorted({kind for row in rows for kind in row.style})
    header = ["student", "assignment", "earned", "points", "manual", "ungraded questions", "late (hours)",
              "submitted", "seconds", *kinds, "look at", "problem", "comments"]
    return written(header, (
        [r.student, r.assignment, r.earned, r.points, r.manual, r.waiting, round(r.late / 3600, 2),
         r.when.isoformat() if r.when else "", round(r.seconds, 2), *(r.style.get(k, 0) for k in kinds),
         "; ".join(r.flags), r.problem, r.comments] for r in rows))


def as_canvas(rows: Sequence[Row], roster: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """Canvas's gradebook import: four columns that name the student, one an assignment, a row of points."""
    names = list(dict.fromkeys(r.assignment for r in rows))
    possible = {r.assignment: r.points for r in rows}
    by_student: dict[str, dict[str, Row]] = {}
    for row in rows: by_student.setdefault(row.student, {})[row.assignment] = row
    roster = roster or {}
    lines: list[list[object]] = [["    Points Possible", "", "", "", *(possible[name] for name in names)]]
    for student, theirs in by_student.items():
        known = roster.get(student, {})
        lines.append([known.get("Student", student), known.get("ID", canvas_id(student)),
                      known.get("SIS Login ID", student), known.get("Section", ""),
                      *(theirs[name].earned if name in theirs else "" for name in names)])
    return written(["Student", "ID", "SIS Login ID", "Section", *names], lines)


def read_roster(text: str) -> dict[str, dict[str, str]]:
    """Canvas's own export, by the names that `collect` gives: from the login, and from the number."""
    found: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        plain = {key: value for key, value in row.items() if key and value}
        number = plain.get("ID", "")
        for key in (plain.get("SIS Login ID", ""), number,
                    f"{folded_name(plain.get('Student', ''))}-{number}"):
            if key: found[key] = plain
    return found


def folded_name(student: str) -> str:
    """Doe, Jane as Canvas writes it into file names: doejane."""
    return "".join(c for c in student.lower() if c.isalnum())


def canvas_id(student: str) -> str:
    """The number that `collect` took from Canvas's file name."""
    number = student.rpartition("-")[2]
    return number if number.isdigit() else ""


def as_moodle(rows: Sequence[Row]) -> str:
    """Moodle's grading worksheet."""
    return written(
        ["Identifier", "Username", "Status", "Grade", "Maximum grade", "Last modified (submission)",
         "Feedback comments"],
        ([f"Participant {canvas_id(r.student)}" if canvas_id(r.student) else "", r.student,
          "Submitted for grading" if not r.late
          else f"Submitted for grading - {r.late / 3600:.1f} hours late",
          r.earned, r.points, r.when.isoformat() if r.when else "", r.comments] for r in rows))


# -------------------------------------------------------------------------------------- for a plagiarism tool

def for_moss(sources: Mapping[str, str]) -> str:
    """The exercises of a notebook as one Python file, without directives and the course's hints."""
    return "".join(f"# {name}\n{directives(text)[2]}\n\n" for name, text in sources.items() if text.strip())


def shape(source: str) -> list[str]:
    """The kinds of nodes of a program in order: names, numbers, comments and layout do not change it."""
    try:
        tree = ast.parse(directives(source)[2])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [type(node).__name__ for node in ast.walk(tree)
            if not isinstance(node, ast.expr_context | ast.alias)]


def fingerprints(source: str, window: int = 8, keep: int = 4) -> set[str]:
    """Winnowed hashes of a program's shape (Schleimer, Wilkerson and Aiken, 2003): alike code shares many."""
    kinds = shape(source)
    grams = [" ".join(kinds[n:n + window]) for n in range(max(0, len(kinds) - window + 1))]
    hashes = [hashlib.sha256(gram.encode()).hexdigest()[:12] for gram in grams]
    return {min(hashes[n:n + keep]) for n in range(max(0, len(hashes) - keep + 1))}


def resemblance(one: set[str], other: set[str], given: set[str]) -> float:
    """The share of fingerprints that two programs have in common, without those of the course's own text."""
    mine, theirs = one - given, other - given
    return len(mine & theirs) / len(mine | theirs) if mine and theirs else 0.0
