"""What `tito update` did, or would do: a line for each notebook, the conflicts by name."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from tito.core.merge import Note
from tito.view.screen import Screen, commands, indented, line, page, stack

if TYPE_CHECKING:
    from tito.core.outcomes import Update, Updated

SAID = {                                    # of one cell, or of several
    "new": "new", "changed": "changed", "back": "brought back", "gone": "gone from the course",
    "kept": "gone from the course, kept as yours", "twin": "there twice",
    "yours": "changed by both: yours stays", "course's": "changed by both: the course's stands",
    "moved": "the cells stand in the course's order again",
}


def updated(done: Update, diff: bool, screen: Screen) -> RenderableType:
    dry = done.change is None
    if not done.lessons:
        return Text(f"Your notebooks are those of the course {done.version}.")
    blocks = [notebook(one, diff, screen) for one in done.lessons]
    conflicts = sum(len(one.conflicts) for one in done.lessons)
    return page(
        *blocks,
        Text("Both versions stand in the notebook, one below the other: keep what you like.")
        if conflicts and not dry else None,
        Text("Nothing was changed.") if dry else indented(commands([("tito undo", "take it back")], screen)),
    )


def notebook(one: Updated, diff: bool, screen: Screen) -> RenderableType:
    head = line((one.lesson.label, "strong"), (f"  {counted(one)}", "quiet"))
    if one.problem:
        return stack(head, indented(Text(one.problem)), indented(line((one.cure, "type"))))
    rows = [line((f"{screen.signs.stale} ", "stale"), note.name, (f"  {SAID[note.what]}", "quiet"))
            for note in one.conflicts]
    news = [line((f"{screen.signs.stale} ", "stale"), name, (f"  {what}", "quiet"))
            for name, what in one.news.items()]
    again = (f"tito module complete {one.lesson.number:02}", "try it again: these are new since it passed")
    return stack(
        head,
        indented(stack(*rows)) if rows else None,
        indented(stack(*news, commands([again], screen))) if news else None,
        indented(stack(*lines(one.notes))) if diff else None,
    )


def counted(one: Updated) -> str:
    if one.problem: return "left alone"
    if one.created: return "a new notebook"
    counts = Counter((note.what, note.role) for note in one.notes if note not in one.conflicts)
    parts = [told(what, role, number) for (what, role), number in counts.items()]
    if one.renamed: parts.insert(0, f"was {one.renamed}")
    if one.conflicts: parts.append(f"{len(one.conflicts)} changed by both")
    return ", ".join(parts)


def told(what: str, role: str, number: int) -> str:
    """2 new checks, 1 exercise brought back"""
    things = f"{role}s" if number > 1 and role != "code" else role
    if what == "moved": return SAID[what]
    words = (SAID[what], things) if what in ("new", "changed") else (things, SAID[what])
    return " ".join(filter(None, (str(number), *words)))


def lines(notes: tuple[Note, ...]) -> Iterator[RenderableType]:
    """The differences, as `diff -u` has them."""
    for note in notes:
        if not (note.before or note.after): continue
        yield line((note.name, "strong"), (f"  {SAID[note.what]}", "quiet"))
        before, after = note.before.splitlines(), note.after.splitlines()
        for text in list(difflib.unified_diff(before, after, n=1, lineterm=""))[2:]:
            style = {"+": "good", "-": "bad", "@": "quiet"}.get(text[:1], "")
            yield Text(text, style)


def of_update(done: Update) -> dict[str, Any]:
    return {
        "course": done.version, "changed": done.change is not None,
        "change": asdict(done.change) if done.change else None,
        "lessons": [{
            "lesson": one.lesson.name, "notebook": one.lesson.notebook, "created": one.created,
            "renamed": one.renamed, "news": dict(one.news), "problem": one.problem, "cure": one.cure,
            "cells": [asdict(note) for note in one.notes],
            "conflicts": [note.id for note in one.conflicts],
        } for one in done.lessons],
    }


