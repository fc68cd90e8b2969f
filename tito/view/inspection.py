"""What was found out about the course: a line for each lesson, and every promise that is broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from tito.view.screen import Screen, columns, indented, line, page, stack

if TYPE_CHECKING:
    from tito.core.rules import Inspected


def inspected(found: Sequence[Inspected], fast: bool, screen: Screen) -> RenderableType:
    faults = [fault for one in found for fault in one.faults]
    table = columns([row(one, fast, screen) for one in found])
    told = (broken(one, screen) for one in found if one.faults)
    return page(table, *told, verdict(len(faults), fast, screen))


def row(one: Inspected, fast: bool, screen: Screen) -> tuple[RenderableType, ...]:
    sign = (screen.signs.failed, "bad") if one.faults else (screen.signs.done, "good")
    name = line(sign, " ", one.label)
    faults = line((counted(len(one.faults)), "bad"))
    if screen.narrow or not one.exercises: return name, faults
    runs = "" if fast else f", {one.tests} tests, {one.seconds:.0f} s"
    return name, line((f"{one.exercises} exercises, {one.points:g} points{runs}", "quiet")), faults


def broken(one: Inspected, screen: Screen) -> RenderableType:
    rows = [stack(line((fault.rule, "strong"), "  ", (fault.where, "quiet")), indented(Text(fault.what)))
            for fault in one.faults]
    return stack(line((one.label, "strong")), indented(stack(*rows)))


def counted(count: int) -> str: return "" if not count else "1 fault" if count == 1 else f"{count} faults"


def verdict(count: int, fast: bool, screen: Screen) -> RenderableType:
    if count: return line((screen.signs.failed, "bad"), f" {counted(count)}.")
    said = "The course keeps its promises." if not fast else "What can be read keeps its promises."
    return line((screen.signs.done, "good"), " ", said)
