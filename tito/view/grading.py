"""A class on a terminal: what was made, what came in, what it earned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from tito.core.grades import Figures
from tito.core.grades_collect import Arrival
from tito.view.screen import Screen, bar, columns, commands, indented, line, page, stack

TOLD = 40                           # rows of a long list that are shown


def told(number: float) -> str: return f"{number:g}"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], screen: Screen) -> RenderableType:
    """Rows under a head; on a narrow terminal a block each."""
    cells = [[c if isinstance(c, Text) else Text(str(c)) for c in row] for row in rows]
    if screen.narrow: return page(*[block(head, row) for row in cells])
    return columns([[Text(name, "quiet") for name in head], *cells])


def block(head: Sequence[str], row: Sequence[Text]) -> RenderableType:
    rest = [(name, cell) for name, cell in zip(head[1:], row[1:]) if cell.plain]
    named = [line((f"{name} " if name else "", "quiet"), cell) for name, cell in rest]
    return stack(row[0], *map(indented, named))


def time_left(seconds: float) -> str:
    """About how long it will take."""
    if seconds < 90: return f"about {seconds:.0f} s left"
    if seconds < 5400: return f"about {seconds / 60:.0f} min left"
    return f"about {seconds / 3600:.1f} h left"


def begun(root: Path, assignments: int, screen: Screen) -> RenderableType:
    return page(
        line((f"{screen.signs.done} ", "good"), "a class of ", (str(assignments), "strong"),
             " assignments in ", str(root)),
        commands([("tito course generate", "make the assignments"),
                  ("tito course validate", "see that the solutions earn every point"),
                  ("tito course status", "what was set, handed in and graded")], screen))


def generated(made: Sequence[Any], screen: Screen) -> RenderableType:
    rows = [(m.assignment, told(m.points), m.checks, m.hidden or "", m.questions or "", ", ".join(m.files))
            for m in made]
    return table(("assignment", "points", "checks", "hidden", "questions", "notebooks"), rows, screen)


def validated(verdicts: Sequence[Any], screen: Screen) -> RenderableType:
    rows = []
    for v in verdicts:
        sign = Text(screen.signs.done, "good") if v.ok else Text(screen.signs.failed, "bad")
        weak = f"the answers of {', '.join(v.weak)} are where submissions run" if v.weak else ""
        rows.append((f"{v.assignment}: {v.lesson}", sign, f"{told(v.full)} of {told(v.points)}",
                     told(v.blank), weak))
    return table(("assignment", "", "solution", "blank", ""), rows, screen)


def collected(arrivals: Sequence[Arrival], screen: Screen) -> RenderableType:
    """What came in, in numbers; then every file with something to say about it."""
    counts = Counter(a.what for a in arrivals)
    odd = [a for a in arrivals if a.notes or a.what != "taken"]
    rows = [(a.student or "?", a.origin, line((a.what, "good" if a.what == "taken" else "bad")),
             "; ".join(a.notes))
            for a in odd]
    summary = ", ".join(f"{n} {what}" for what, n in counts.items()) or "nothing"
    return page(line((f"{len(arrivals)} files", "strong"), f": {summary}"),
                table(("student", "file", "", ""), rows, screen) if rows else None)


def graded(done: Any, screen: Screen) -> RenderableType:
    """The class in numbers, and whom to look at."""
    rows = done.rows
    look = [r for r in rows if r.flags or r.problem]
    warning = line(("No sandbox was used. ", "bad"), "Every page says so.") if not done.safe else None
    known = f", {done.known} had not changed" if done.known else ""
    facts = line((f"{done.marked}", "strong"), f" notebooks marked{known}, {len(rows)} students, ",
                 f"{done.seconds:.1f} s")
    said = {r.student: "; ".join(filter(None, [r.problem, *r.flags[:3]])) for r in look}
    listed = [(r.student, f"{told(r.earned)} of {told(r.points)}", said[r.student]) for r in look[:TOLD]]
    more = line((f"and {len(look) - TOLD} more", "quiet")) if len(look) > TOLD else None
    return page(warning, facts, table(("look at", "points", ""), listed, screen) if listed else None, more,
                stack(*(line(("not marked: ", "bad"), t) for t in done.troubles)) if done.troubles else None)


def checked(book: Any, screen: Screen) -> RenderableType:
    rows = []
    for m in book.marks:
        sign = Text(screen.signs.done, "good") if m.status == "passed" else Text(screen.signs.failed, "bad")
        rows.append((m.name, sign, f"{told(m.earned)} of {told(m.points)}", m.message))
    notes = stack(*(line(("note: ", "quiet"), n)
                    for n in (*book.notes, *([book.problem] if book.problem else []))))
    total = line((f"{told(book.earned)} of {told(book.points)}", "strong"), " points")
    return page(table(("check", "", "points", ""), rows, screen),
                notes if book.notes or book.problem else None, total)


def standing(found: Sequence[Any], screen: Screen) -> RenderableType:
    rows = [(s.assignment, f"{s.due:%d %b %Y %H:%M}" if s.due else "", s.submitted,
             line(bar(100 * s.graded / s.submitted if s.submitted else 0, screen, 10), f" {s.graded}"),
             s.waiting or "", "" if s.generated else "not generated") for s in found]
    return table(("assignment", "due", "handed in", "graded", "questions waiting", ""), rows, screen)


def statistics(name: str, found: Figures, screen: Screen) -> RenderableType:
    """How an assignment went: the points, and the checks that most failed."""
    head = line((name, "strong"), f": {found.students} students, mean {found.mean:.1f} of "
                f"{told(found.points)}, median {told(found.median)}, "
                f"from {told(found.least)} to {told(found.most)}")
    worst = sorted((c for c in found.checks if c.failed), key=lambda c: -c.failed)
    rows = [(c.name, f"{c.failed} of {c.tried}", c.looks_like or c.common) for c in worst]
    return page(head, table(("check", "failed", "looks like"), rows, screen) if rows else None)


def written(path: Path, screen: Screen) -> RenderableType:
    return line((f"{screen.signs.done} ", "good"), "written to ", (str(path), "strong"))


def alike(pairs: Sequence[tuple[float, str, str, str]], folder: Path, screen: Screen) -> RenderableType:
    rows = [(f"{100 * share:.0f} %", one, other, lesson) for share, one, other,
            lesson in pairs if share >= 0.5]
    note = line(("A number is a reason to look, and nothing else: short exercises have few right answers.",
                 "quiet"))
    return page(written(folder, screen), table(("alike", "", "", "lesson"), rows, screen) if rows else None,
                note)


def fed_back(count: int, folder: Path, screen: Screen) -> RenderableType:
    return line((f"{screen.signs.done} ", "good"), (str(count), "strong"), f" pages in {folder}")

