"""`tito export`: cells become the package."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from tito.commands import LESSON, Command, as_json, at_hand, reply, workspace
from tito.core.errors import CHECKS_FAILED, OK, UsageProblem


@click.command(cls=Command, examples=[
    ("tito export", "write the lesson at hand to ./tinytorch, without testing it"),
    ("tito export 02", "the same for lesson 02"),
    ("tito export --check", "in the course's own folder: does tinytorch/ still follow from modules/?"),
])
@click.argument("lesson", type=LESSON, required=False)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the course's package has drifted.")
@as_json
def export(lesson: str | None, check: bool, as_json: bool) -> int:
    """Write the exported cells to the package.

    In a workspace these are yours; in a checkout of the course, tinytorch/ is made again from modules/.
    """
    from tito.checkout import open_checkout
    course = open_checkout(Path.cwd())
    if course is None:
        if check:
            raise UsageProblem("--check is for a checkout of the course; this is none.", "tito module test")
        return of_workspace(lesson, as_json)
    if lesson:
        raise UsageProblem("In a checkout of the course all lessons are exported together.", "tito export")
    from tito.view import exported
    if not check:
        drift = course.export()
        reply(as_json, "export", {"files": [d._asdict() for d in drift]}, exported.exported, drift)
        return OK
    drift, notes = course.drift(course.generated()), course.notes()
    data = {"files": [d._asdict() for d in drift], "notes": notes}
    reply(as_json, "export", data, exported.checked, drift, notes)
    return CHECKS_FAILED if drift else OK


def of_workspace(lesson: str | None, as_json: bool) -> int:
    """The learner's cells, as they are."""
    from tito.view import lesson as view
    place = workspace()
    done = place.export(at_hand(place, lesson))
    reply(as_json, "change", asdict(done), view.changed, done)
    return OK


command = export
