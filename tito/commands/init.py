"""`tito init`: make a workspace."""

from __future__ import annotations

from pathlib import Path

import click

from tito.commands import Command, as_json, reply
from tito.core.errors import UsageProblem


@click.command(cls=Command, examples=[
    ("tito init mytorch", "make the folder mytorch"),
    ("tito init", "make a workspace of this folder"),
    ("tito init mytorch --agents rules.md", "with an instructor's rules for coding assistants"),
])
@click.argument("folder", metavar="[DIR]", type=click.Path(), default=".")
@click.option("--agents", type=click.Path(path_type=Path, dir_okay=False),
              help="What AGENTS.md asks of coding assistants, instead of the course's words.")
@as_json
def init(folder: str, agents: Path | None, as_json: bool) -> None:
    """Make a workspace of your own.

    It has a numbered notebook for each lesson, beside a tinytorch/ that grows with you, and an AGENTS.md that
    asks coding assistants to be tutors.
    """
    from tito.app import create_workspace
    from tito.view import course
    if not folder:
        raise UsageProblem("The name of the folder is empty.", "tito init mytorch")
    if agents and not agents.is_file():
        raise UsageProblem(f"There is no file {agents}.", "tito init --help")
    tutor = agents.read_text("utf-8", "replace") if agents else None
    place = create_workspace(Path(folder), tutor=tutor)
    facts = {"workspace": str(place.root), "version": place.course.version}
    reply(as_json, "workspace", facts, course.made, Path(folder), place.standing())
