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

from tito.core.grades import Assignment, Graded
from tito.core.lesson import Chapter
from tito.ports.files import write


@dataclass(frozen=True)
class Manual:
    """What a person gave for a cell, and said about it."""

    score: float | None
    comment: str = ""


class Gradebook(Protocol):
    def register(self, assignment: Assignment,
                 notebooks: Mapping[str, tuple[Chapter, dict[str, Any]]]) -> None:
        """An assignment, its notebooks (file -> chapter and release), their cells and points."""
    def record(
        self, assignment: Assignment, student: str, books: Mapping[str, Graded], when: datetime | None,
    ) -> None: """What was earned automatically; what a person gave stays."""
    def manual(self, assignment: Assignment, student: str) -> dict[str, Manual]: """By cell."""
    def has(self, assignment: Assignment, student: str) -> bool: """Whether the submission is there."""


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

    def manual(self, assignment: Assignment, student: str) -> dict[str, Manual]:
        return {cell: Manual(float(score) if score.strip() else None, comment)
                for (one, who, cell), (score, comment) in self.lines().items()
                if (one, who) == (assignment.name, student)}

    def has(self, assignment: Assignment, student: str) -> bool:
        asked = {(assignment.name, student, q.id) for q in assignment.questions}
        return asked <= set(self.lines())


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

    def manual(self, assignment: Assignment, student: str) -> dict[str, Manual]:
        return self.given.get((assignment.name, student), {})

    def has(self, assignment: Assignment, student: str) -> bool: return (assignment.name,
        student) in self.recorded


# ------------------------------------------------------------------------------------------------- nbgrader's

class NbgraderBook:
    """nbgrader's own database, through its own interface: SQLite or PostgreSQL."""

    def __init__(self, url: str): self.url = url

    @cached_property
    def book(self) -> Any:
        from nbgrader.api import Gradebook as Book

        book = Book(self.url)
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
        with self.open() as book:
            book.update_or_create_student(student)
            stamp = when.astimezone(UTC).replace(tzinfo=None) if when else None
            submission = book.update_or_create_submission(assignment.name, student, timestamp=stamp)
            for file, graded in books.items():
                grades = self.grades(book, submission, assignment.name, file.removesuffix(".ipynb"))
                for mark in graded.marks:
                    grades[mark.check].auto_score, grades[mark.check].needs_manual_grade = mark.earned, False
            for question in assignment.questions:
                for notebook in submission.notebooks:
                    for grade in notebook.grades:
                        if grade.name == question.id and grade.manual_score is None:
                            grade.needs_manual_grade = True
            book.db.commit()

    @staticmethod
    def grades(book: Any, submission: Any, assignment: str, notebook: str) -> dict[str, Any]:
        """A submission's grades by cell; those of checks that were added after it came in are made now."""
        from nbgrader.api import Grade, SubmittedNotebook

        page = book.find_notebook(notebook, assignment)
        own = next((n for n in submission.notebooks if n.name == notebook), None)
        if own is None: book.db.add(own := SubmittedNotebook(notebook=page, assignment=submission))
        found = {grade.name: grade for grade in own.grades}
        for cell in page.grade_cells:
            if cell.name not in found:
                found[cell.name] = Grade(cell=cell, notebook=own)
                book.db.add(found[cell.name])
        return found

    def manual(self, assignment: Assignment, student: str) -> dict[str, Manual]:
        from nbgrader.api import MissingEntry

        with self.open() as book:
            try:
                submission = book.find_submission(assignment.name, student)
            except MissingEntry:
                return {}
            comments = {c.name: c.comment or "" for n in submission.notebooks for c in n.comments}
            found = {g.name: g.manual_score for n in submission.notebooks for g in n.grades}
            return {name: Manual(found.get(name), comments.get(name, "")) for name in {*found, *comments}
                    if found.get(name) is not None or comments.get(name)}

    def has(self, assignment: Assignment, student: str) -> bool:
        from nbgrader.api import MissingEntry

        with self.open() as book:
            try:
                return bool(book.find_submission(assignment.name, student))
            except MissingEntry:
                return False
