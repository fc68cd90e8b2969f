"""Building a wheel from a folder, and rooms in which it is tried: environments with nothing else in them."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol

from tito.core.errors import EnvironmentProblem

LONG_AGO = "1580601600"         # 2 February 2020: every file of a wheel bears the same date
PATIENCE = 300.0                # seconds that pip may take, on the coldest of disks
DROPPED = ("PYTHON", "PIP_", "VIRTUAL_ENV", "TINYTORCH_")
SET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONUTF8": "1",
       "PYTHONDONTWRITEBYTECODE": "1"}
ADVICE = "pip install --force-reinstall tinytorch-tito"


class Builder(Protocol):
    def build(self, project: Path, out: Path) -> Path: """The wheel of a folder with a pyproject.toml."""


class Hatchling:
    """The adapter: hatchling, in a process of its own, with what is installed here. No network."""

    def build(self, project: Path, out: Path) -> Path:
        if find_spec("hatchling") is None:
            raise EnvironmentProblem("hatchling, which builds wheels, is not installed.", ADVICE)
        before = set(out.glob("*.whl"))
        words = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
        done = run([sys.executable, "-P", *words], project, {"SOURCE_DATE_EPOCH": LONG_AGO})
        made = set(out.glob("*.whl")) - before
        if done.code or len(made) != 1:
            raise EnvironmentProblem(f"The wheel could not be built: {last_words(done.said)}", ADVICE)
        return made.pop()


@dataclass
class Packed:
    """The fake: an empty file in the place of a wheel; remembers what lay in the folder."""

    name: str = "tinytorch_ada-0.1.0-py3-none-any.whl"
    texts: dict[str, str] = field(default_factory=dict)

    def build(self, project: Path, out: Path) -> Path:
        self.texts = {path.relative_to(project).as_posix(): path.read_text("utf-8")
                      for path in sorted(project.rglob("*")) if path.is_file()}
        (out / self.name).write_bytes(b"a wheel")
        return out / self.name


class Said(NamedTuple):
    code: int
    said: str


class Rooms(Protocol):
    def make(self, folder: Path) -> str: """An environment in a folder, with NumPy and pip: its Python."""
    def ask(self, python: str, words: Sequence[str], folder: Path, more: Mapping[str, str]) -> Said:
        """What a Python says when it is called with these words, standing in that folder."""


class Environments:
    """The adapter: a new virtual environment, and the NumPy of this one in it, so that nothing is fetched."""

    def make(self, folder: Path) -> str:
        try:
            venv.create(folder, with_pip=True, symlinks=os.name != "nt")
        except (subprocess.CalledProcessError, OSError) as problem:
            said = f"No virtual environment can be made here: {problem}"
            raise EnvironmentProblem(said, "python -m venv has to work; on Debian: apt install python3-venv."
                                     ) from problem
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
        where = self.ask(str(python), ["-c", asked], folder, {})
        lend("numpy", Path(where.said.strip()))
        return str(python)

    def ask(self, python: str, words: Sequence[str], folder: Path, more: Mapping[str, str]) -> Said:
        return run([python, *words], folder, more)


def lend(name: str, place: Path) -> None:
    """Links an installed package into another environment, with what tells pip that it is there."""
    own = distribution(name)
    tops = {Path(file).parts[0] for file in own.files or () if Path(file).parts[0] not in ("..", ".")}
    for top in tops:
        source = Path(str(own.locate_file(top)))
        if not source.exists() or (place / top).exists(): continue
        try:
            (place / top).symlink_to(source, target_is_directory=source.is_dir())
        except OSError:                     # Windows lets only some people link
            import shutil
            if source.is_dir(): shutil.copytree(source, place / top)
            else: shutil.copy2(source, place / top)


def run(command: Sequence[str], folder: Path, more: Mapping[str, str]) -> Said:
    """How a process ended, and all it said; nothing of the surroundings may change what it imports."""
    told = {k: v for k, v in os.environ.items() if not k.startswith(DROPPED)}
    try:
        done = subprocess.run(command, cwd=folder, env=told | SET | dict(more), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                              errors="replace", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return Said(-1, f"it did not end within {PATIENCE:g} seconds")
    return Said(done.returncode, done.stdout)


def last_words(said: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
