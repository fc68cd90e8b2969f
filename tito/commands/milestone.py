"""`tito milestone …`: what your framework can do by now."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tito.commands import DATA, MILESTONE, Group, around, as_json, curriculum, reply, show, workspace
from tito.core.errors import CHECKS_FAILED, OK
from tito.core.plan import Limits, limits_from

if TYPE_CHECKING:
    from tito.app import Workspace
    from tito.core.milestones import Standing


@click.group(cls=Group, examples=[
    ("tito milestone status --detailed", "how far you are, lesson by lesson"),
    ("tito milestone timeline", "the whole way, as a tree"),
    ("tito milestone run foundation", "watch what your code can do"),
    ("tito milestone unlock foundation", "prove it"),
    ("tito milestone certificate", "what you proved, on a page to print"),
])
def milestone() -> None:
    """See and prove what your framework can do.

    A milestone's NAME may be shortened: foundation, found, 1.
    """


name = click.argument("name", type=MILESTONE)
seconds = click.option("--seconds", type=float, help="Time for the whole of it, instead of 600 seconds.")


A_DAY = Limits(lesson=86_400)           # for training on real data


def limits(seconds: float | None, usual: Limits | None = None) -> Limits:
    return limits_from(os.environ, lesson=seconds, usual=usual)


@milestone.command(examples=[
    ("tito milestone status", "a bar for each"),
    ("tito milestone status --detailed", "with statements, lessons and evidence"),
])
@click.option("--detailed", is_flag=True, help="With statements, lessons and evidence.")
@as_json
def status(detailed: bool, as_json: bool) -> None:
    """Show how far along each milestone is."""
    from tito.view import course, data
    standing = around()
    view = course.detailed if detailed else course.milestones
    reply(as_json, "milestones", data.of_milestones(standing), view, standing)


@milestone.command(examples=[
    ("tito milestone timeline", "a tree, from the first lesson to the last"),
    ("tito milestone timeline --horizontal", "one line"),
])
@click.option("--horizontal", is_flag=True, help="One line.")
@as_json
def timeline(horizontal: bool, as_json: bool) -> None:
    """Draw the way from the first lesson to the last."""
    from tito.view import course, data
    standing = around()
    view = course.horizontal if horizontal else course.timeline
    reply(as_json, "milestones", data.of_milestones(standing), view, standing)


@milestone.command("list", examples=[("tito milestone list", "their names, and what they say about you")])
@as_json
def list_(as_json: bool) -> None:
    """List the milestones."""
    from tito.view import course, data
    standing = around()
    reply(as_json, "milestones", data.of_milestones(standing), course.milestone_list, standing)


@milestone.command(examples=[("tito milestone info foundation", "its story, its lessons, its evidence")])
@name
@as_json
def info(name: str, as_json: bool) -> None:
    """Tell the story of one milestone."""
    from tito.view import course, data
    found = around().milestone(curriculum().milestone(name).name)
    reply(as_json, "milestone", data.of_milestone(found), course.milestone_info, found)


@milestone.command(examples=[
    ("tito milestone test foundation", "try the gate; nothing is recorded"),
    ("tito milestone test foundation --json", "what was measured, for a program"),
])
@name
@seconds
@as_json
def test(name: str, seconds: float | None, as_json: bool) -> int:
    """Try a milestone's gate on your ./tinytorch."""
    from tito.view import data, gate
    from tito.view.live import watching
    place = workspace()
    wanted = place.course.curriculum.milestone(name)
    with watching(wanted.title, quiet=as_json) as watch:
        tried = place.milestone_test(wanted.name, limits(seconds), watch.line)
    reply(as_json, "gate", data.of_gate(tried), gate.tried, tried)
    return OK if tried.report.ok else CHECKS_FAILED


@milestone.command(examples=[
    ("tito milestone unlock", "the next one that is ready"),
    ("tito milestone unlock foundation", "this one"),
])
@click.argument("name", type=MILESTONE, required=False)
@seconds
@as_json
def unlock(name: str | None, seconds: float | None, as_json: bool) -> int:
    """Try a milestone's gate and keep the evidence if it opens.

    With the last of them comes a certificate.
    """
    from tito.core.certificate import earned
    from tito.view import data, gate
    from tito.view.live import watching
    place = workspace()
    title = place.course.curriculum.milestone(name).title if name else "the next milestone"
    with watching(title, quiet=as_json) as watch:
        tried = place.milestone_unlock(name, limits(seconds), watch.line)
    reply(as_json, "gate", data.of_gate(tried), gate.unlocked, tried)
    if tried.record and not as_json and earned(standing := place.standing()): certify(place, standing)
    return OK if tried.report.ok else CHECKS_FAILED


@milestone.command(examples=[
    ("tito milestone certificate", "writes certificate.html"),
    ("tito milestone certificate --name Ada -o ada.html", "for Ada, into a file of hers"),
])
@click.option("--name", help="Yours, as it shall stand there; else you are asked, or write it by hand.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file.")
@as_json
def certificate(name: str | None, output: Path | None, as_json: bool) -> None:
    """Write what you built and proved on a page to print, once all milestones are unlocked."""
    place = workspace()
    certify(place, place.standing(), name, output, as_json)


def certify(
    place: Workspace, standing: Standing, name: str | None = None, file: Path | None = None,
    as_json: bool = False,
) -> None:
    """Writes the certificate, and says where it is."""
    from tito.core.certificate import certificate
    from tito.services_pages import save
    from tito.view import certificate as view
    found, path = certificate(standing), file or place.root / "certificate.html"
    if name is None and sys.stdin.isatty() and not as_json:
        name = click.prompt("Your name, as it shall stand on the certificate", default="", show_default=False)
    found = found.of(name or "")
    save(path, view.html(found), view.MARK)
    reply(as_json, "certificate", found.as_data(str(path)), view.written, str(path))


@milestone.command(examples=[
    ("tito milestone run foundation", "watch your own code read digits"),
    ("tito milestone run training --data mnist", "on a real data set, from TINYTORCH_DATA"),
])
@name
@click.option("--data", type=DATA, default="", help="A real data set to train on; it may take hours.")
@seconds
def run(name: str, data: str, seconds: float | None) -> int:
    """Watch what your code can do, told as a story."""
    from tito.view import gate
    place = workspace()
    told = place.milestone_run(name, print, limits(seconds, A_DAY if data else None), data)
    show(gate.ended, told)
    return OK if told.report.ok else CHECKS_FAILED
