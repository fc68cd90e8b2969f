"""Keeping a certificate in a file."""

from __future__ import annotations

from pathlib import Path

from tito.core.errors import UsageProblem
from tito.ports.files import write


def save(path: Path, page: str, mark: str) -> None:
    """Writes a page, whole or not at all, and only over nothing or over a page that has the same mark."""
    if path.exists() and not (path.is_file() and mark in path.read_text("utf-8", "replace")):
        raise UsageProblem(f"{path} is there, and no certificate.", "Name another file with -o.")
    write(path, page)
