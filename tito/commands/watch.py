"""`tito watch`: each time I save, what I wrote is checked."""

from __future__ import annotations

import json
import signal
import sys
from types import FrameType

import click

from tito.commands import Command, as_json, at_hand, limits, seconds, this_lesson, workspace
from tito.core.errors import CHECKS_FAILED, OK


@click.command(cls=Command, examples=[
    ("tito watch", "check the lesson at hand, and each notebook I save"),
    ("tito watch 02", "only lesson 02"),
    ("tito watch --plain", "lines instead of a screen, for screen readers and logs"),
    ("tito watch --json", "each verdict as one line of JSON"),
])
@this_lesson
@click.option("--plain", is_flag=True, help="Write lines; do not take over the terminal.")
@seconds
@as_json
def watch(lesson: str | None, plain: bool, seconds: float | None, as_json: bool) -> int:
    """Check what you wrote, each time you save.

    Keys: h hint, n next, a run all, q quit. Nothing is put into your package: that is what
    `tito module complete` does.
    """
    from tito.core.watching import KEYS, Scene
    from tito.services_watch import watch as watching
    from tito.view.watch import Lines, showing
    place = workspace()
    wanted = at_hand(place, lesson)
    signal.signal(signal.SIGTERM, stopped)          # so that the terminal is left as it was
    told: list[Scene] = []

    def tell(scene: Scene) -> None:
        if scene.report and not scene.running and (not told or told[-1].report is not scene.report):
            told.append(scene)
            print(json.dumps({"kind": "report", **scene.report.as_json()}, default=str), flush=True)

    if as_json:
        last = watching(place, wanted, tell, follow=lesson is None, limits=limits(seconds))
    else:
        with showing(KEYS, plain) as screen:
            last = watching(place, wanted, screen.show, follow=lesson is None, limits=limits(seconds))
        if not isinstance(screen, Lines): Lines().show(last)
    return OK if last.report and last.report.ok else CHECKS_FAILED


def stopped(number: int, frame: FrameType | None) -> None: sys.exit(128 + number)
