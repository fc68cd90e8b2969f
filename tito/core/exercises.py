"""Finding an exercise by the name a learner types, and putting one back into a notebook."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tito.core.curriculum import Lesson
from tito.core.errors import NotFound
from tito.core.lesson import Cell, Chapter, NotebookCell, shown


def cell_of(lesson: Lesson, chapter: Chapter, name: str, exercise_only: bool = True) -> Cell:
    """The exercise (or other exported cell) of a lesson that a learner names."""
    cells = chapter.exercises() if exercise_only else chapter.exported()
    found = next((c for c in cells if name in (c.name, c.id)), None)
    if found is None:
        close = difflib.get_close_matches(name, [c.name for c in cells], 1)
        guess = f" Did you mean `{close[0]}`?" if close else ""
        raise NotFound(f"Lesson {lesson.label} has no exercise `{name}`.{guess}",
                       f"`tito module show {lesson.number:02}` lists them.")
    return found


def first_exercise(lesson: Lesson, chapter: Chapter) -> str:
    if not chapter.exercises():
        raise NotFound(f"Lesson {lesson.label} has no exercises.", "")
    return chapter.exercises()[0].name


def blank(cell: Cell) -> NotebookCell:
    """The cell as a learner gets it."""
    return NotebookCell(cell.id, cell.kind, shown(cell))


def place_for(cell: Cell, chapter: Chapter, rows: Sequence[NotebookCell]) -> int:
    """Where a cell that is gone belongs: behind the nearest one before it that is still there."""
    before = [c.id for c in chapter.cells][:chapter.cells.index(cell)]
    places = {row.id: index for index, row in enumerate(rows)}
    return next((places[id] + 1 for id in reversed(before) if id in places), min(1, len(rows)))
