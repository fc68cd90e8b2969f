"""A wheel that was built, and what to do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from tito.view.screen import Screen, commands, indented, line, page, stack


def built(made: Mapping[str, Any], screen: Screen) -> RenderableType:
    """Where it is, what is in it, and how others get it."""
    lessons = f"{len(made['lessons'])} lesson{'s' * (len(made['lessons']) != 1)}"
    inside = f" {screen.signs.dot} ".join((f"{made['bytes']:,} bytes", lessons, made["licence"]))
    proofs = ", ".join(made["milestones"])
    missing = f"Not in it: {', '.join(made['missing'])}" if made["missing"] else ""
    return page(
        stack(line((f"{screen.signs.done} ", "good"), (f"{made['name']} {made['version']}", "strong"),
                   "  written over the one before" if made["replaced"] else ""),
              indented(stack(Text(shown(made["wheel"])), line((inside, "quiet")),
                             line((f"milestones: {proofs}", "quiet")) if proofs else None,
                             line((missing, "stale")) if missing else None))),
        indented(commands([
            ("tito package check", "install it where nothing else is, and use it"),
            (f"pip install {Path(made['wheel']).name}", "for others, in an environment of its own"),
        ], screen)),
    )


def shown(path: str) -> str:
    """A path as short as it can be said from here."""
    here = Path.cwd()
    return Path(path).relative_to(here).as_posix() if Path(path).is_relative_to(here) else path


# ------------------------------------------------------------------------------------------------ capstones

def briefs(found: Sequence[Mapping[str, str]], screen: Screen) -> RenderableType:
    """The projects, and what each is about."""
    told = [stack(line((one["name"], "strong"), f"  {one['title']}"), indented(Text(one["about"])))
            for one in found]
    return page(*told, indented(commands([("tito capstone start NAME", "begin with one")], screen)))


def project(made: Mapping[str, Any], screen: Screen) -> RenderableType:
    """A project that was begun, and what to type."""
    where = f"capstones.{made['name']}"
    return page(
        stack(line((f"{screen.signs.done} ", "good"), (made["title"], "strong")),
              indented(Text(f"{shown(made['folder'])}/brief.md says what is asked."))),
        indented(commands([
            (f"python -m {where}.main", "run the starter, from your workspace"),
            (f"python -m {where}.judge", "which numbers are met"),
        ], screen)),
    )
