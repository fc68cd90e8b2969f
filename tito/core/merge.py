"""New course content into a learner's notebook, cell by cell by id. Only an exercise is the learner's. Pure.

An exercise stays as the learner wrote it. Prose, checks and given code become the course's, if the course has
changed them. What both have changed is kept side by side: one of the two in its place, the other below it as
text. Cells that the learner added stay behind the cell they stand behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, NamedTuple

from tito.core.checks import TURN
from tito.core.given import Given, role, same
from tito.core.lesson import FIRST_CELL, Chapter, NotebookCell, directives, notebook, recognised

What = Literal["new", "changed", "back", "gone", "kept", "yours", "course's", "twin", "moved"]
CONFLICTS = ("yours", "course's")


class Placed(NamedTuple):
    """A cell of the merged notebook, and where it stood: its outputs and metadata stay if its text does."""

    cell: NotebookCell
    place: int | None = None


@dataclass(frozen=True)
class Note:
    """What happened to one cell."""

    id: str
    name: str                           # of the exercise or definition; else the id
    role: str                           # exercise, check, code, text, demonstration
    what: What
    before: str = ""                    # its text in the notebook; of "yours", in the course before
    after: str = ""                     # … in the course now


@dataclass(frozen=True)
class Merged:
    rows: tuple[Placed, ...]
    notes: tuple[Note, ...] = ()


def conflicts(notes: Iterable[Note]) -> tuple[Note, ...]:
    """What both have changed."""
    return tuple(note for note in notes if note.what in CONFLICTS)


def merge(
    base: Given | None,                 # what the learner was given; None if nobody knows
    chapter: Chapter,                   # the course of now
    rows: Sequence[NotebookCell],       # the learner's notebook
) -> Merged:
    """The learner's notebook with what is new in the course."""
    return Merging(base, chapter, rows).merged()


@dataclass
class Merging:
    base: Given | None
    chapter: Chapter
    rows: Sequence[NotebookCell]
    notes: list[Note] = field(default_factory=list)

    def merged(self) -> Merged:
        theirs = notebook(self.chapter)
        self.ids = {cell.id for cell in theirs}
        self.taken = self.ids | {row.id for row in self.rows}
        known = self.known(theirs)
        places: dict[str, int] = {}
        own: dict[str, list[Placed]] = {}       # behind which course cell -> the learner's own
        anchor = ""
        for place, row in enumerate(known):
            if row.id in self.ids and row.id not in places and self.kind(row.id) == row.kind:
                places[row.id], anchor = place, row.id
            elif kept := self.own(row, place, known):
                own.setdefault(anchor, []).append(kept)
        if list(places) != [cell.id for cell in theirs if cell.id in places]:
            self.notes.append(Note("", "", "", "moved"))
        merged = own.get("", [])
        for cell in theirs:
            mine = Placed(known[places[cell.id]], places[cell.id]) if cell.id in places else None
            merged += [*self.settled(cell, mine), *own.get(cell.id, [])]
        return Merged(tuple(merged), tuple(self.notes))

    def kind(self, id: str) -> str:
        cell = self.chapter.cell(id)
        return cell.kind if cell else FIRST_CELL.kind

    def known(self, theirs: Iterable[NotebookCell]) -> list[NotebookCell]:
        """The rows, with the course's ids where an editor has lost them."""
        rows = recognised(self.chapter, self.rows)
        there = {row.id for row in rows}
        for cell in theirs:
            if cell.id in there: continue
            texts = [c for c in (cell, self.base and self.base.cell(cell.id)) if c]
            strays = (i for i, row in enumerate(rows) if row.id not in self.ids
                      and (self.base is None or self.base.cell(row.id) is None)
                      and any(same(row, text) for text in texts))
            if (place := next(strays, None)) is not None:
                rows[place] = rows[place]._replace(id=cell.id)
        return rows

    # ------------------------------------------------------------------------------- the course's cells

    def settled(self, cell: NotebookCell, mine: Placed | None) -> list[Placed]:
        """One cell of the course, and what has to be kept beside it."""
        was = self.base.cell(cell.id) if self.base else None
        kind = role(self.chapter.cell(cell.id))
        if mine is None:
            deleted = was is not None and same(was, cell) and kind in ("text", "demonstration")
            if deleted and cell.id != FIRST_CELL.id: return []
            self.note(cell, "new" if self.base and was is None else "back", "", cell.source)
            return [Placed(cell)]
        yours, text = mine.cell, mine.cell.source
        if same(yours, cell):
            return [mine]
        if was is not None and same(yours, was):
            self.note(cell, "changed", text, cell.source)
            return [Placed(cell, mine.place)]
        if kind == "exercise":
            blank = was is None and TURN in text        # nobody knows whether it was given like this
            if not blank and (was is None or same(was, cell)): return [mine]
            self.note(cell, "yours", was.source if was else text, cell.source)      # what the course did
            return [mine, self.beside(cell.id, "course", NEW_BLANK, cell)]
        if was is not None and same(was, cell):
            return [mine]
        self.note(cell, "course's", text, cell.source)
        return [Placed(cell, mine.place), self.beside(cell.id, "yours", YOURS, yours)]

    def note(self, cell: NotebookCell, what: What, before: str, after: str) -> None:
        found = self.chapter.cell(cell.id)
        self.notes.append(Note(cell.id, found.name if found else cell.id, role(found), what, before, after))

    def beside(self, id: str, whose: str, head: str, cell: NotebookCell) -> Placed:
        """A text that is kept below the cell that took its place: shown, and not run."""
        return Placed(NotebookCell(self.fresh(f"{id[:50]}-{whose}"), "markdown", quoted(head, cell)))

    def fresh(self, wanted: str) -> str:
        id = next(n for k in count(1) if (n := wanted if k == 1 else f"{wanted}-{k}") not in self.taken)
        self.taken.add(id)
        return id

    # ------------------------------------------------------------------------------------ all the others

    def own(self, row: NotebookCell, place: int, rows: Sequence[NotebookCell]) -> Placed | None:
        """A cell that is none of the course's now: added by the learner, or left by an earlier course."""
        was = self.base.cell(row.id) if self.base and row.id else None
        if row.id in self.ids:
            return self.twin(row, place, rows)
        if was is not None and same(was, row):
            self.notes.append(Note(row.id, row.id, "", "gone", row.source))
            return None
        if was is not None:
            self.notes.append(Note(row.id, row.id, "", "kept", row.source, row.source))
        if not row.id:
            return Placed(row._replace(id=self.fresh("own")), place)
        if any(other.id == row.id for other in rows[:place]):
            return Placed(row._replace(id=self.fresh(f"{row.id[:50]}-twin")), place)
        return Placed(row, place)

    def twin(self, row: NotebookCell, place: int, rows: Sequence[NotebookCell]) -> Placed | None:
        """A second cell with an id of the course: the first one counts, the text of this one is kept."""
        if any(same(row, other) for other in rows[:place] if other.id == row.id):
            self.notes.append(Note(row.id, row.id, "", "twin", row.source))
            return None
        id = self.fresh(f"{row.id[:50]}-twin")
        self.notes.append(Note(row.id, row.id, "", "twin", row.source, row.source))
        if row.kind == "code" and directives(row.source)[0]:
            return Placed(NotebookCell(id, "markdown", quoted(TWIN, row)))
        return Placed(row._replace(id=id), place)


NEW_BLANK = "**The course has changed this exercise.** Above is yours; this is how it begins now:"
YOURS = "**The course has changed the cell above.** This is how you had it:"
TWIN = "**A second cell of the same name** stood here:"


def quoted(head: str, cell: NotebookCell) -> str:
    """A cell as text, letter for letter."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", cell.source)), default=0))
    language = "python" if cell.kind == "code" else "markdown"
    return f"{head}\n\n{fence}{language}\n{cell.source}\n{fence}"
