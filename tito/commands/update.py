"""`tito update`: what is new in the course, into my notebooks."""

from __future__ import annotations

import click

from tito.commands import Command, as_json, reply, this_lesson, workspace
from tito.core.errors import ENVIRONMENT, OK


@click.command(cls=Command, examples=[
    ("tito update", "merge what is new into all notebooks"),
    ("tito update 02 --diff", "show what would change in one, line by line"),
    ("tito update --dry-run", "say what would change, and change nothing"),
    ("tito undo", "and back"),
])
@this_lesson
@click.option("--dry-run", is_flag=True, help="Change nothing.")
@click.option("--diff", is_flag=True, help="Show the lines that would change, and change nothing.")
@as_json
def update(lesson: str | None, dry_run: bool, diff: bool, as_json: bool) -> int:
    """Bring new course content into your notebooks.

    What you wrote in an exercise stays. Prose, checks and given code become the course's. What both of you
    have changed stands side by side in the notebook, and is listed.
    """
    from tito.view import update as view
    place = workspace()
    wanted = place.course.curriculum.lesson(lesson) if lesson else None
    done = place.update(wanted, dry=dry_run or diff)
    reply(as_json, "update", view.of_update(done), view.updated, done, diff)
    return ENVIRONMENT if done.problems else OK
