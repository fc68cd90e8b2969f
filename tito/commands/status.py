"""`tito` and `tito status`: where am I, what is next."""

from __future__ import annotations

import click

from tito.commands import Command, as_json, reply, show, workspace
from tito.core.errors import NotFound


def here(as_json: bool) -> None:
    """What `tito` alone says: the lesson at hand and what comes next, or how to begin."""
    from tito.core.advice import advice
    from tito.view import course, data
    try:
        place = workspace()
    except NotFound:
        if as_json: raise
        return show(course.welcome)
    facts = (standing := place.standing(), advice(standing), place.root)
    return reply(as_json, "status", data.of_status(*facts), course.here, *facts)


@click.command(cls=Command, examples=[
    ("tito status", "all milestones and the lesson at hand"),
    ("tito status --json", "the same, for a program"),
])
@as_json
def status(as_json: bool) -> None:
    """Show how far you have come and what is next."""
    from tito.core.advice import advice
    from tito.view import course, data
    place = workspace()
    facts = (standing := place.standing(), advice(standing), place.root)
    reply(as_json, "status", data.of_status(*facts), course.status, *facts)
