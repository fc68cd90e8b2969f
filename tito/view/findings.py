"""What the doctor found."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from tito.core.outcomes import Finding
from tito.view.screen import Screen, columns, commands, indented, line, page, stack


def findings(found: Sequence[Finding], screen: Screen) -> RenderableType:
    """Each thing looked at in a line, with the cure for what is not well."""
    return page(columns([row(f, screen) for f in found]), verdict(found, screen))


def row(finding: Finding, screen: Screen) -> tuple[Text, RenderableType]:
    cure = finding.cure if finding.status != "ok" and not finding.fixed else ""
    return (line(sign(finding, screen), " ", finding.name),
            stack(Text(finding.what), line((cure, "type")) if cure else None))


def sign(finding: Finding, screen: Screen) -> tuple[str, str]:
    if finding.fixed or finding.status == "ok": return screen.signs.done, "good"
    return (screen.signs.failed, "bad") if finding.status == "bad" else (screen.signs.stale, "stale")


def verdict(found: Sequence[Finding], screen: Screen) -> RenderableType:
    open_ = [f for f in found if f.status != "ok" and not f.fixed]
    if not open_: return Text("All is well.")
    if any(f.fixable for f in open_):
        return indented(commands([("tito doctor --fix", "repair what can be repaired safely")], screen))
    bad = sum(f.status == "bad" for f in open_)
    return Text(f"{bad} to be repaired by hand." if bad else "Nothing stands in your way.")
