"""A server in a process of its own, until it ends by itself or is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

NEEDED = ("starlette", "uvicorn", "prometheus_client")


class Servers(Protocol):
    def missing(self) -> list[str]: """Packages that a server needs, and that are not installed."""
    def run(self, arguments: Sequence[str], folder: Path) -> int: """Serves until the end; its exit code."""

    def make(self, program: Path, place: Path, folder: Path, given: Mapping[str, str]) -> int:
        """Has a program write models into a place; its exit code."""


class Python:
    """The adapter: `python -m tinytorch.service` in a folder, whose tinytorch it imports."""

    def missing(self) -> list[str]: return [name for name in NEEDED if find_spec(name) is None]

    def make(self, program: Path, place: Path, folder: Path, given: Mapping[str, str]) -> int:
        environment = {**os.environ, "PYTHONPATH": str(folder), **given}
        return subprocess.run([sys.executable, program, place], cwd=folder, env=environment).returncode

    def run(self, arguments: Sequence[str], folder: Path) -> int:
        process = subprocess.Popen([sys.executable, "-m", "tinytorch.service", *arguments], cwd=folder)
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:       # Ctrl-C reached the server as well: it answers, and ends
                    continue
        finally:
            signal.signal(signal.SIGTERM, before)


@dataclass
class Noted:
    """The fake: remembers what it was asked to serve."""

    lacks: list[str] = field(default_factory=list)
    code: int = 0
    made: int = 0               # the exit code of whoever makes models
    asked: list[tuple[list[str], Path]] = field(default_factory=list)

    def missing(self) -> list[str]: return self.lacks

    def make(self, program: Path, place: Path, folder: Path, given: Mapping[str, str]) -> int:
        (place / "made").write_text(f"{program.name} in {folder}")
        return self.made

    def run(self, arguments: Sequence[str], folder: Path) -> int:
        self.asked.append((list(arguments), folder))
        return self.code
