"""A milestone's gate: what it measured, and what it opens."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from tito.core.outcomes import Gate
from tito.view.checks import report
from tito.view.screen import Screen, commands, indented, line, page, stack


def tried(gate: Gate, screen: Screen) -> RenderableType:
    """What the gate found; nothing is recorded."""
    name = gate.milestone.name
    step = (f"tito milestone unlock {name}", "keep this as evidence") if gate.report.ok else (
        f"tito milestone test {name}", "try again")
    return page(report(gate.report, gate.milestone.title, "", screen), indented(commands([step], screen)))


def unlocked(gate: Gate, screen: Screen) -> RenderableType:
    """What the gate found, and the statement that is true from now on."""
    if not gate.record: return tried(gate, screen)
    return page(
        report(gate.report, gate.milestone.title, "", screen),
        stack(line((f"{screen.signs.done} {gate.milestone.title} is unlocked.", "good")),
              indented(line((gate.milestone.statement, "strong")))),
        opens(gate, screen),
    )


def opens(gate: Gate, screen: Screen) -> RenderableType | None:
    steps = [(f"tito module start {x.number:02}", x.question) for x in gate.opens]
    return stack("This opens", indented(commands(steps, screen))) if steps else None


def ended(gate: Gate, screen: Screen) -> RenderableType:
    """After the story: what it measured, or what went wrong."""
    if not gate.report.ok: return page("", report(gate.report, gate.milestone.title, "", screen))
    step = (f"tito milestone unlock {gate.milestone.name}", "keep this as evidence")
    return page("", indented(commands([step], screen))) if not gate.record else Text("")
