"""`tito capstone …`: a project of your own, with what you built."""

from __future__ import annotations

import click

from tito.commands import Group, as_json, reply, workspace
from tito.core.errors import NotFound


@click.group(cls=Group, examples=[
    ("tito capstone list", "the projects to choose from"),
    ("tito capstone start vision", "its brief, a starter and a judge, in capstones/vision"),
])
def capstone() -> None:
    """Choose a project, and solve it with your own framework."""


@capstone.command("list", examples=[("tito capstone list", "names, and what each is about")])
@as_json
def list_(as_json: bool) -> None:
    """List the projects."""
    from tito.app import open_course
    from tito.services_capstone import briefs
    from tito.view import package as view
    try:
        course = workspace().course
    except NotFound:
        course = open_course()
    found = briefs(course)
    data = {"capstones": [{"name": b.name, "title": b.title, "about": b.about} for b in found]}
    reply(as_json, "capstones", data, view.briefs, data["capstones"])


@capstone.command(examples=[
    ("tito capstone start language", "write capstones/language into your workspace"),
    ("python -m capstones.language.main", "then run the starter, from your workspace"),
])
@click.argument("name")
@as_json
def start(name: str, as_json: bool) -> None:
    """Write a brief, a starter and a judge into your workspace."""
    from tito.services_capstone import start
    from tito.view import package as view
    chosen, folder = start(workspace(), name)
    facts = {"name": chosen.name, "title": chosen.title, "folder": str(folder)}
    reply(as_json, "capstone", facts, view.project, facts)
