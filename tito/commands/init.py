"""`tito init`: make a workspace."""

from __future__ import annotations

from pathlib import Path

import click

from tito.commands import Command, as_json, reply
from tito.core.errors import UsageProblem


@click.command(cls=Command, examples=[
    ("tito init mytorch", "make the folder mytorch"),
    ("tito init", "make a workspace of this folder"),
])
@click.argument("folder", metavar="[DIR]", type=click.Path(), default=".")
@as_json
def init(folder: str, as_json: bool) -> None:
    """Make a workspace of your own.

    It has a numbered notebook for each lesson, beside a tinytorch/ that grows with you.
    """
    from tito.app import create_workspace
    from tito.view import course
    if not folder:
        raise UsageProblem("The name of the folder is empty.", "tito init mytorch")
    place = create_workspace(Path(folder))
    facts = {"workspace": str(place.root), "version": place.course.version}
    reply(as_json, "workspace", facts, course.made, Path(folder), place.standing())
