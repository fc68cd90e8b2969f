"""The gradebook: nbgrader's, where nbgrader is there; else a table in which a person writes manual grades."""

from __future__ import annotations

import csv
import importlib.util
import io
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from tito.core.errors import EnvironmentProblem, UsageProblem
from tito.core.grades import Assignment, Graded
from tito.core.lesson import Chapter
from tito.ports.files import write


@dataclass(frozen=True)
class Manual:
    """What a person gave for a cell, and said about it."""

    score: float | None
    comment: str = ""


NOTHING = Manual(None)


class Gradebook(Protocol):
    def register(self, assignment: Assignment,
                 notebooks: Mapping[str, tuple[Chapter, dict[str, Any]]]) -> None:
        """An assignment, its notebooks (file -> chapter and release), their cells and points."""
    def record(
        self, assignment: Assignment, student: str, books: Mapping[str, Graded], when: datetime | None,
    ) -> None: """What was earned automatically; what a person gave stays."""
    def manual(self, assignment: Assignment) -> dict[str, dict[str, Manual]]: """By student and cell."""
    def students(self, assignment: Assignment) -> frozenset[str]: """Whose submissions are there."""


def open_gradebook(root: Path, url: str) -> Gradebook:
    """nbgrader's if it is installed. A relative SQLite file lies in the class's folder."""
    if importlib.util.find_spec("nbgrader") is None: return TableBook(root / "manual.csv")
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(f"{prefix}/"):
        url = f"{prefix}{root / url.removeprefix(prefix)}"
    return NbgraderBook(url)


def with_checksums(page: dict[str, Any]) -> dict[str, Any]:
    """nbgrader's checksums in the cells, by which its `validate` sees what was changed."""
    if importlib.util.find_spec("nbgrader") is None: return page
    from nbformat import from_dict
    from nbgrader.utils import compute_checksum

    for cell in page["cells"]:
        if facts := cell["metadata"].get("nbgrader"):
            whole = from_dict({**cell, "source": "".join(cell["source"])})
            facts["checksum"] = compute_checksum(whole)
    return page


# ------------------------------------------------------------------------------------------- without nbgrader

@dataclass
class TableBook:
    """manual.csv: assignment, student, cell, score, comment; a question's line waits for its score."""

    path: Path

    def lines(self) -> dict[tuple[str, str, str], tuple[str, str]]:
        if not self.path.exists(): return {}
        rows = csv.DictReader(io.StringIO(self.path.read_text("utf-8-sig")))
        return {(r["assignment"], r["student"], r["cell"]): (r["score"] or "", r["comment"] or "")
                for r in rows}

    def register(self, assignment: Assignment,
                 notebooks: Mapping[str, tuple[Chapter, dict[str, Any]]]) -> None:
        return None

    def record(
        self, assignment: Assignment, student: str, books: Mapping[str, Graded], when: datetime | None,
    ) -> None:
        lines, before = self.lines(), len(self.lines())
        for question in assignment.questions: lines.setdefault((assignment.name, student, question.id),
            ("", ""))
        if len(lines) == before: return
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["assignment", "student", "cell", "score", "comment"])
        table.writerows([*key, *value] for key, value in lines.items())
        write(self.path, out.getvalue())

    def manual(self, assignment: Assignment) -> dict[str, dict[str, Manual]]:
        found: dict[str, dict[str, Manual]] = {}
        for (one, student, cell), (score, comment) in self.lines().items():
            if one != assignment.name: continue
            given = Manual(float(score) if score.strip() else None, comment)
            found.setdefault(student, {})[cell] = given
        return found

    def students(self, assignment: Assignment) -> frozenset[str]:
        """Those for whom a line waits for each of the questions."""
        there: dict[str, set[str]] = {}
        for one, student, cell in self.lines():
            if one == assignment.name: there.setdefault(student, set()).add(cell)
        asked = {q.id for q in assignment.questions}
        return frozenset(student for student, cells in there.items() if asked <= cells)


@dataclass
class BookInMemory:
    """The fake: remembers what it was told."""

    recorded: dict[tuple[str, str], Mapping[str, Graded]] = field(default_factory=dict)
    given: dict[tuple[str, str], dict[str, Manual]] = field(default_factory=dict)
    registered: list[str] = field(default_factory=list)

    def register(self, assignment: Assignment,
                 notebooks: Mapping[str, tuple[Chapter, dict[str, Any]]]) -> None:
        self.registered.append(assignment.name)

    def record(
        self, assignment: Assignment, student: str, books: Mapping[str, Graded], when: datetime | None,
    ) -> None: self.recorded[assignment.name, student] = books

    def manual(self, assignment: Assignment) -> dict[str, dict[str, Manual]]:
        return {student: cells for (one, student), cells in self.given.items() if one == assignment.name}

    def students(self, assignment: Assignment) -> frozenset[str]:
        return frozenset(student for one, student in self.recorded if one == assignment.name)


# ------------------------------------------------------------------------------------------------- nbgrader's

class NbgraderBook:
    """nbgrader's own database, through its own interface: SQLite or PostgreSQL."""

    def __init__(self, url: str): self.url = url

    @cached_property
    def book(self) -> Any:
        from nbgrader.api import Gradebook as Book
        from sqlalchemy.exc import SQLAlchemyError

        try:
            book = Book(self.url)
        except (ImportError, SQLAlchemyError) as problem:
            where, said = self.url.rpartition("@")[2], str(problem).partition("\n")[0]
            raise EnvironmentProblem(f"The gradebook {where} cannot be opened: {said}.",
                                     "PostgreSQL needs a driver: pip install 'psycopg[binary]'") from problem
        weakref.finalize(self, book.close)
        return book

    @contextmanager
    def open(self) -> Iterator[Any]:
        """The database, opened once; formgrader may write into it between two uses."""
        try:
            yield self.book
        finally:
            self.book.db.rollback()

    def register(self, assignment: Assignment,
                 notebooks: Mapping[str, tuple[Chapter, dict[str, Any]]]) -> None:
        """Cells and their points, as nbgrader's own `generate_assignment` enters them."""
        with self.open() as book:
            due = assignment.due.astimezone(UTC).replace(tzinfo=None) if assignment.due else None
            book.update_or_create_assignment(assignment.name, duedate=due)
            for file, (_, release) in notebooks.items():
                self.enter(book, assignment.name, file.removesuffix(".ipynb"), release)

    @staticmethod
    def enter(book: Any, assignment: str, notebook: str, release: dict[str, Any]) -> None:
        book.update_or_create_notebook(notebook, assignment)
        for cell in release["cells"]:
            facts = cell["metadata"].get("nbgrader")
            if not facts: continue
            name, place = facts["grade_id"], (notebook, assignment)
            if facts["grade"]:
                book.update_or_create_grade_cell(name, *place, max_score=facts["points"],
                                                 cell_type=cell["cell_type"])
            if facts["solution"]: book.update_or_create_solution_cell(name, *place)
            book.update_or_create_source_cell(
                name, *place, cell_type=cell["cell_type"], locked=facts["locked"],
                source="".join(cell["source"]),
                checksum=facts.get("checksum", ""))

    def record(
        self, assignment: Assignment, student: str, books: Mapping[str, Graded], when: datetime | None,
    ) -> None:
        from nbgrader.api import MissingEntry

        with self.open() as book, book.db.no_autoflush:     # nbgrader fills a submission before it adds it
            stamp = when.astimezone(UTC).replace(tzinfo=None) if when else None
            book.update_or_create_student(student)
            try:
                submission = book.update_or_create_submission(assignment.name, student, timestamp=stamp)
            except MissingEntry:
                raise unknown(assignment) from None
            grades = self.grades(book, submission, assignment.name)
            for file, graded in books.items():
                for mark in graded.marks:
                    grade = grades.get((file.removesuffix(".ipynb"), mark.check))
                    if grade is None: raise unknown(assignment, mark.check)
                    grade.auto_score, grade.needs_manual_grade = mark.earned, False
            asked = {question.id for question in assignment.questions}
            for (_, cell), grade in grades.items():
                if cell in asked and grade.manual_score is None: grade.needs_manual_grade = True
            book.db.commit()

    @staticmethod
    def grades(book: Any, submission: Any, assignment: str) -> dict[tuple[str, str], Any]:
        """A submission's grades by notebook and cell; of checks that were added after it came in, too."""
        from nbgrader import api

        rows = (book.db.query(api.Notebook.name, api.BaseCell.name, api.Grade).select_from(api.Grade)
                .join(api.Grade.notebook).join(api.SubmittedNotebook.notebook).join(api.Grade.cell)
                .filter(api.SubmittedNotebook.assignment_id == submission.id))
        found = {(notebook, cell): grade for notebook, cell, grade in rows}
        cells = (book.db.query(api.Notebook.name, api.GradeCell.name, api.GradeCell.id)
                 .select_from(api.GradeCell).join(api.GradeCell.notebook).join(api.Notebook.assignment)
                 .filter(api.Assignment.name == assignment))
        for notebook, cell, number in cells:
            if (notebook, cell) in found: continue
            own = next((n for n in submission.notebooks if n.name == notebook), None)
            if own is None:
                own = api.SubmittedNotebook(notebook=book.find_notebook(notebook, assignment))
                submission.notebooks.append(own)
            found[notebook, cell] = api.Grade(cell_id=number)
            own.grades.append(found[notebook, cell])
        return found

    def manual(self, assignment: Assignment) -> dict[str, dict[str, Manual]]:
        from nbgrader import api

        with self.open() as book:
            scores, comments = (
                {(student, cell): told for student, cell, told in book.db.query(
                    api.SubmittedAssignment.student_id, api.BaseCell.name, what).select_from(kind)
                    .join(kind.notebook).join(api.SubmittedNotebook.assignment)
                    .join(api.SubmittedAssignment.assignment).join(kind.cell)
                    .filter(api.Assignment.name == assignment.name, what.isnot(None))}
                for kind, what in ((api.Grade, api.Grade.manual_score), (api.Comment, api.Comment.comment)))
        found: dict[str, dict[str, Manual]] = {}
        for student, cell in {**scores, **comments}:
            given = Manual(scores.get((student, cell)), comments.get((student, cell)) or "")
            if given != NOTHING: found.setdefault(student, {})[cell] = given
        return found

    def students(self, assignment: Assignment) -> frozenset[str]:
        from nbgrader import api

        with self.open() as book:
            rows = (book.db.query(api.SubmittedAssignment.student_id)
                    .join(api.SubmittedAssignment.assignment).filter(api.Assignment.name == assignment.name))
            return frozenset(student for student, in rows)


def unknown(assignment: Assignment, check: str = "") -> UsageProblem:
    what = f"'{check}' in {assignment.name}" if check else f"assignment {assignment.name}"
    return UsageProblem(f"The gradebook has no {what}.",
                        f"`tito course generate {assignment.name}` enters it.")
