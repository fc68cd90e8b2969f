"""`tito report`: the way so far, as a page."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import click

from tito.commands import Command, as_json, reply, workspace


@click.command(cls=Command, examples=[
    ("tito report", "write report.html"),
    ("tito report ada.html --name 'Ada'", "another file, with a name on it"),
    ("tito status --json", "the same facts, for a program"),
])
@click.argument("page", type=click.Path(path_type=Path, dir_okay=False), default="report.html")
@click.option("--name", default="", help="Whose framework it is; without it, the name of the workspace.")
@click.option("--force", is_flag=True, help="Also over a file that tito did not write.")
@as_json
def report(page: Path, name: str, force: bool, as_json: bool) -> None:
    """Write your progress as one page of HTML: lessons, hints, speed, milestones.

    The page needs nothing else: it can be mailed, printed, or put on a web server.
    """
    from tito.services_pages import save
    from tito.view import data
    from tito.view import report as view
    place = workspace()
    standing = place.standing()
    text = view.html(standing, name or place.root.name, f"{datetime.now():%d %B %Y, %H:%M}")
    save(page, text, "" if force else view.SIGNED)
    facts = {"file": os.fspath(page.absolute()), **data.of_milestones(standing)}
    reply(as_json, "page", facts, view.written, str(page))


command = report
