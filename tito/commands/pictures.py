"""`tito show`: pictures of what your package computes."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tito.commands import Command, CourseName, as_json, did_you_mean, reply, workspace
from tito.core.errors import UsageProblem
from tito.core.plan import limits_from
from tito.services_show import SUBJECTS

SUBJECT = CourseName("subject", lambda course: list(SUBJECTS.items()))


@click.command(cls=Command, examples=[
    ("tito show graph", "what autograd remembers of a small network"),
    ("tito show weights --svg filters.svg", "LeNet-5's filters, and a file to keep"),
    ("tito show attention 'to be or not'", "where the heads of a GPT look"),
    ("tito show curve", "a loss that falls while you watch"),
])
@click.argument("subject", type=SUBJECT)
@click.argument("text", default="")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file, too.")
@as_json
def show(subject: str, text: str, svg: Path | None, as_json: bool) -> None:
    """Let your own package draw: graph, weights, attention or curve."""
    from tito.services_pages import save
    from tito.services_show import draw
    from tito.view import report
    from tito.view.screen import Screen
    if subject not in SUBJECTS:
        known = ", ".join(SUBJECTS)
        raise UsageProblem(f"There is no picture '{subject}'.{did_you_mean(subject, SUBJECTS)}",
                           f"Choose from {known}.")
    signs = " ░▒▓█" if Screen().unicode else " .:*#"
    say = (lambda line: None) if as_json else print
    picture = draw(workspace(), subject, signs, text, say, limits_from(os.environ))
    if svg: save(svg, picture)
    if svg or as_json:
        reply(as_json, "picture", {"subject": subject, "svg": picture}, report.written, str(svg))


command = show
