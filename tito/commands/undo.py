"""`tito undo`: take back the last change."""

from __future__ import annotations

from dataclasses import asdict

import click

from tito.commands import Command, as_json, reply, workspace


@click.command(cls=Command, examples=[
    ("tito undo", "take back the last reset, complete, export or update"),
    ("tito undo --list", "what can be taken back"),
])
@click.argument("change", required=False)
@click.option("--list", "listing", is_flag=True, help="Show what can be taken back, newest first.")
@as_json
def undo(change: str | None, listing: bool, as_json: bool) -> None:
    """Take back the last change that tito made.

    CHANGE names an older one, as `tito undo --list` shows it. What is taken back can be taken back again.
    """
    from tito.view import lesson
    place = workspace()
    if listing:
        changes = place.changes()
        return reply(as_json, "changes", {"changes": [asdict(c) for c in changes]}, lesson.changes, changes)
    done = place.undo(change)
    return reply(as_json, "change", asdict(done), lesson.changed, done)
