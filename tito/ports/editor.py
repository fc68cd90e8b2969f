"""Opening a notebook where the learner works: VS Code, Jupyter Lab, or a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from tito.core.outcomes import Opened


class Editor(Protocol):
    def open(self, path: Path) -> Opened: """Shows a notebook to the learner."""


@dataclass
class Desktop:
    """The adapter: what is around this terminal."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    which: Callable[[str], str | None] = shutil.which
    installed: Callable[[str], bool] = lambda name: find_spec(name) is not None
    start: Callable[[Sequence[str], Path], None] = lambda words, folder: begin(words, folder)

    def open(self, path: Path) -> Opened:
        code = self.which("code") if self.environment.get("TERM_PROGRAM") == "vscode" else None
        try:
            if code:
                self.start([code, "-r", str(path)], path.parent)
                return Opened("VS Code", f"{path.name} opens in VS Code.")
            if self.installed("jupyterlab"):
                self.start([sys.executable, "-m", "jupyterlab", str(path)], path.parent)
                return Opened("Jupyter Lab", f"{path.name} opens in Jupyter Lab.")
        except OSError as problem:
            return Opened("", f"Open {path} in your editor ({problem.strerror or problem}).")
        return Opened("", f"Open {path} in your notebook editor (`pip install jupyterlab` brings one).")


@dataclass
class Shown:
    """The fake: remembers what it was asked to show."""

    paths: list[Path] = field(default_factory=list)

    def open(self, path: Path) -> Opened:
        self.paths.append(path)
        return Opened("a fake", f"{path.name} is open.")


def begin(words: Sequence[str], folder: Path) -> None:
    """Starts a program that goes on without us."""
    quiet = subprocess.DEVNULL
    subprocess.Popen(words, cwd=folder, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
