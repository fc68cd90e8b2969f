"""`tito doctor`: what is well and what is not."""

from __future__ import annotations

from dataclasses import asdict

import click

from tito.commands import Command, as_json, reply, workspace
from tito.core.errors import ENVIRONMENT, OK, TitoError


@click.command(cls=Command, examples=[
    ("tito doctor", "look at Python, packages and the workspace"),
    ("tito doctor --fix", "repair what can be repaired safely"),
])
@click.option("--fix", is_flag=True, help="Repair what can be repaired safely.")
@as_json
def doctor(fix: bool, as_json: bool) -> int:
    """Look for trouble in Python, the packages and the workspace."""
    from tito.view.findings import findings
    try:
        found = workspace().doctor(fix=fix)
    except TitoError as problem:            # no workspace here, or no course to make one of
        from tito.services_doctor import without_workspace
        found = without_workspace(problem)
    reply(as_json, "findings", {"findings": [asdict(f) for f in found]}, findings, found)
    return ENVIRONMENT if any(f.status == "bad" and not f.fixed for f in found) else OK
