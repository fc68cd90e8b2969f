"""Serving models with the server of lesson 16."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tito.core.errors import EnvironmentProblem, Locked, NotFound, UsageProblem
from tito.ports.server import Python, Servers
from tito.services_course import Course

SERVER = "service.py"       # of a package that has lesson 16


def serve(
    models: Sequence[Path], settings: Sequence[str], course: Course, folder: Path,
    servers: Servers | None = None, with_demo: bool = False, key: Path | None = None,
) -> int:
    """Serves some folders of models with the tinytorch in `folder`, until the end; the server's exit code."""
    servers = servers or Python()
    if not models and not with_demo: raise UsageProblem("There is nothing to serve.", "tito serve --demo")
    for path in models:
        if not path.is_dir(): raise NotFound(f"There is no folder {path}.", "tito serve --help")
    if key: settings = [*settings, "--key", str(checked(key, with_demo))]
    package = folder / "tinytorch"
    if package.is_dir() and not (package / SERVER).exists():
        raise Locked("Your package has no server yet: lesson 16 builds it.", "tito module start 16")
    if missing := servers.missing():
        cure = "pip install 'tinytorch-tito[serve]'"
        raise EnvironmentProblem(f"A server needs {', '.join(missing)}.", cure)
    with tempfile.TemporaryDirectory(prefix="tito-demo-") as place:
        folders = [str(path.absolute()) for path in models]
        if with_demo: folders.append(str(demo_in(Path(place), course, folder, servers)))
        return servers.run([*folders, *settings], folder)


def checked(key: Path, with_demo: bool) -> Path:
    """Where a file lies that may hold a key; only the server reads it."""
    if with_demo:
        raise UsageProblem("The models of the demonstration are not signed: no key.", "tito serve --demo")
    if not key.is_file(): raise NotFound(f"There is no key in {key}: no such file.", "tito serve --help")
    if not key.stat().st_size: raise UsageProblem(f"The key in {key} is empty: anybody could sign with it.")
    return key.absolute()


def demo_in(place: Path, course: Course, folder: Path, servers: Servers) -> Path:
    """A repository with the models of the milestone Serving, made by the tinytorch in `folder`."""
    program = course.milestones / "serving" / "models.py"
    given = {"TITO_ASSETS": str(program.parent), "TITO_DATASETS": str(course.datasets)}
    if servers.make(program, place, folder, given):
        raise EnvironmentProblem("The models of the demonstration could not be made.",
                                 "tito milestone test serving")
    return place
