"""`tito serve`: your models, over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from tito.commands import Command
from tito.core.errors import NotFound


@click.command(cls=Command, examples=[
    ("tito serve --demo", "two models of the milestones; then open http://127.0.0.1:8000"),
    ("tito serve models/", "all models of a folder, NAME/VERSION/..."),
    ("tito serve models/digits --port 9000", "one model, at another port"),
    ("tito serve models/ --key FILE", "only what was signed with this key"),
])
@click.argument("models", nargs=-1, type=click.Path(path_type=Path))
@click.option("--demo", is_flag=True, help="Serve a digit reader and a GPT, made by your package.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets others in.")
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False),
              help="A file whose bytes are a key: serve only what it signed (lesson 15).")
@click.option("--watch", type=float, help="Look for new versions every so many seconds.")
@click.option("--drain", type=float, help="Seconds for what was begun, when it ends (30).")
def serve(
    models: tuple[Path, ...], demo: bool, host: str, port: int,
    key: Path | None, watch: float | None, drain: float | None,
) -> int:
    """Serve models over HTTP, with the server of lesson 16.

    MODELS are folders NAME/VERSION/... of models, or folders of these. With a key, a version that was not
    signed with it, or changed since, is not served; the log says why. Ctrl-C ends it, and answers first
    whoever has asked.
    """
    from tito.app import open_course, open_workspace
    from tito.services_serving import serve
    settings = ["--host", host, "--port", str(port)]
    if watch is not None: settings += ["--watch", str(watch)]
    if drain is not None: settings += ["--drain", str(drain)]
    try:
        folder = open_workspace(Path.cwd()).root
    except NotFound:
        folder = Path.cwd()
    return serve(models, settings, open_course(), folder, with_demo=demo, key=key)


command = serve
