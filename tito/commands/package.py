"""`tito package …`: what you wrote, as something that others can install."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from tito.commands import Group, as_json, reply, workspace
from tito.core.errors import CHECKS_FAILED, OK, NotFound


@click.group(cls=Group, examples=[
    ("tito package build", "a wheel of your tinytorch, in dist/"),
    ("tito package build --version 1.0 --author Ada", "the one for friends"),
    ("tito package check", "install it where nothing else is, and use it"),
])
def package() -> None:
    """Make a wheel of your framework, and try it.

    It is imported as tinytorch, whatever it is called. It wants an environment of its own: pip would put it
    over the course's own tinytorch, and both refuse to be imported then.
    """


@package.command(examples=[
    ("tito package build", "named after your folder, version 0.1.0, MIT"),
    ("tito package build --name tinytorch-ada --version 1.0rc1", "as you like it"),
    ("tito package build --licence Apache-2.0 --licence-file LICENSE", "under other terms"),
    ("tito package build --json", "where it is, its digest, what is in it"),
])
@click.option("--name", help="Its name for pip; tinytorch-FOLDER, if you say nothing.")
@click.option("--version", default="0.1.0", show_default=True, help="Its version.")
@click.option("--licence", "--license", "licence", default="MIT", show_default=True, metavar="SPDX",
              help="Your licence, in the words of SPDX.")
@click.option("--licence-file", "--license-file", "words", type=click.Path(path_type=Path),
              help="The words of your licence.")
@click.option("--author", default="", help="Who wrote it: Ada, or Ada <ada@example.org>.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False),
              help="The folder; dist/ in your workspace.")
@click.option("--anyway", is_flag=True, help="Although some lessons are not complete.")
@click.option("--force", is_flag=True, help="Write over the wheel of this version.")
@as_json
def build(
    name: str | None, version: str, licence: str, words: Path | None, author: str, output: Path | None,
    anyway: bool, force: bool, as_json: bool,
) -> None:
    """Build a wheel of your ./tinytorch, with the results of its tests in it."""
    from tito.core.wheels import label, suggested_name
    from tito.services_package import build, licence_text
    from tito.view import package as view
    from tito.view.live import watching
    place = workspace()
    name = name if name is not None else suggested_name(place.root.name)
    wanted = label(name, version, licence, author, licence_text(words) if words else "")
    with watching(wanted.name, quiet=as_json) as watch:
        built = build(place, wanted, output, force, anyway, say=watch.line)
    reply(as_json, "wheel", built.as_json(), view.built, built.as_json())


@package.command(examples=[
    ("tito package check", "the wheel that was built last"),
    ("tito package check dist/tinytorch_ada-1.0-py3-none-any.whl", "this one"),
    ("tito package check --run capstones/vision/main.py", "and a program of yours, with nothing but it"),
])
@click.argument("wheel", type=click.Path(path_type=Path), required=False)
@click.option("--run", "program", type=click.Path(path_type=Path), help="A program; its folder goes along.")
@as_json
def check(wheel: Path | None, program: Path | None, as_json: bool) -> int:
    """Install a wheel into a new environment, and use it there. Nothing is fetched."""
    from tito.app import open_course
    from tito.services_package import check, newest
    from tito.view.findings import findings
    from tito.view.live import watching
    try:
        place = workspace()
        course, folder = place.course, place.root / "dist"
    except NotFound:
        course, folder = open_course(), Path("dist")
    chosen = wheel or newest(folder)
    with watching(chosen.name, quiet=as_json) as watch:
        found = check(chosen, course, program, say=watch.line)
    data = {"wheel": str(chosen), "findings": [asdict(f) for f in found]}
    reply(as_json, "findings", data, findings, found)
    return CHECKS_FAILED if any(f.status == "bad" for f in found) else OK
