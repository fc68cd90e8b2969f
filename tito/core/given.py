"""What a learner was given of a lesson, so that a later course can tell its own changes from theirs. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tito.core.curriculum import Lesson
from tito.core.lesson import Cell, Chapter, NotebookCell, notebook, shown

FORMAT = 1


@dataclass(frozen=True)
class Given:
    """The cells of a lesson's notebook as the course had them, and digests of what is not in the notebook."""

    cells: tuple[NotebookCell, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)     # hidden checks, appendices -> digest

    def cell(self, id: str) -> NotebookCell | None:
        return next((cell for cell in self.cells if cell.id == id), None)


def given(chapter: Chapter, appendices: Mapping[str, str]) -> Given:
    """What the course gives now. `appendices`: module -> source."""
    hidden = {cell.id: shown(cell) for cell in chapter.checks() if cell.hidden}
    texts = hidden | {f"tinytorch/{module}.py": text for module, text in appendices.items()}
    digests = {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}
    return Given(tuple(notebook(chapter)), digests)


def to_json(given: Given) -> str:
    facts = {"format": FORMAT, "cells": [list(cell) for cell in given.cells], "others": dict(given.others)}
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> Given | None:
    """What `to_json` wrote; None for what it did not write: then nothing is known."""
    try:
        data = json.loads(text)
        if data["format"] != FORMAT: return None
        cells = tuple(NotebookCell(*map(str, cell)) for cell in data["cells"])      # type: ignore[arg-type]
        return Given(cells, {str(name): str(digest) for name, digest in data["others"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def news(before: Given, after: Given, chapter: Chapter) -> dict[str, str]:
    """What has changed in the course that code which passed has not met: name -> what happened to it."""
    found = {}
    for cell in after.cells:
        own = chapter.cell(cell.id)
        if own is None or not own.words: continue           # prose and demonstrations ask for nothing
        was = before.cell(cell.id)
        if was is None:
            found[own.name] = f"new {role(own)}"
        elif not same(was, cell):
            found[own.name] = f"changed {role(own)}"
    there = {cell.id for cell in after.cells}
    for cell in before.cells:
        if cell.id not in there and cell.source.startswith("#| export"):
            found[cell.id] = "not in the course any more"
    for name, digest in after.others.items():
        if before.others.get(name) != digest:
            kind = "code" if name.endswith(".py") else "hidden check"
            found[name] = f"{'changed' if name in before.others else 'new'} {kind}"
    return found


def role(cell: Cell | None) -> str:
    """What a cell is to a learner."""
    if cell is None or cell.kind == "markdown": return "text"
    if cell.exercise: return "exercise"
    return "check" if cell.check else "code" if cell.exported else "demonstration"


def same(one: NotebookCell, other: NotebookCell) -> bool:
    """Whether two cells say the same; editors may differ about blanks at the ends of lines."""
    return one.kind == other.kind and trimmed(one.source) == trimmed(other.source)


def trimmed(text: str) -> list[str]: return [line.rstrip() for line in text.strip("\n").split("\n")]


def given_file(lesson: Lesson) -> str:
    """Where a workspace notes what was given of a lesson."""
    return f".tito/given/{lesson.name}.json"
