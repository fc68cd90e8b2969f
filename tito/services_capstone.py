"""Capstone projects: briefs of the course, and a folder in the workspace to solve one in."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tito.core.errors import NotFound, UsageProblem
from tito.ports.files import write_all
from tito.services_course import Course

if TYPE_CHECKING:
    from tito.app import Workspace

BRIEF, GATES = "brief.md", "gates.py"


@dataclass(frozen=True)
class Brief:
    """A project to choose: what it is called, and what it is about."""

    name: str
    title: str
    about: str
    folder: Path


def briefs(course: Course) -> list[Brief]:
    """All of them, by name."""
    found = []
    for path in sorted((course.root / "capstones").glob(f"*/{BRIEF}")):
        title, about = path.read_text("utf-8").split("\n\n")[:2]
        found.append(Brief(path.parent.name, title.lstrip("# "), " ".join(about.split()), path.parent))
    return found


def brief(course: Course, name: str) -> Brief:
    """The one of that name."""
    known = {one.name: one for one in briefs(course)}
    if name in known: return known[name]
    close = difflib.get_close_matches(name, known, 1)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    raise NotFound(f"There is no capstone '{name}'.{guess}", "tito capstone list")


def start(place: Workspace, name: str) -> tuple[Brief, Path]:
    """Writes a brief, its starter and its judge into the workspace; never over what is there."""
    chosen, course = brief(place.course, name), place.course
    folder = place.root / "capstones" / chosen.name
    if folder.exists():
        raise UsageProblem(f"{folder} is there already, and yours.",
                           "Rename it, if you want to begin again; the judge reads what is in it.")
    files = [path for path in sorted(chosen.folder.iterdir()) if path.is_file()] + [course.milestones / GATES]
    with place.state.alone(f"capstone {chosen.name}"):
        write_all({folder / path.name: path.read_bytes() for path in files})
    return chosen, folder
