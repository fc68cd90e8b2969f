"""Keeping in a file what was drawn: a page, a certificate, a picture."""

from __future__ import annotations

from pathlib import Path

from tito.core.errors import UsageProblem
from tito.ports.files import write


def save(path: Path, page: str, mark: str = "") -> None:
    """Writes a page, whole or not at all; with a mark only over nothing, or over a page that has it, too."""
    if mark and path.exists() and not (path.is_file() and mark in path.read_text("utf-8", "replace")):
        raise UsageProblem(f"{path} is there already, and tito did not write it.", "Name another file.")
    if not path.absolute().parent.is_dir():
        raise UsageProblem(f"There is no folder {path.parent}.", "mkdir makes one.")
    write(path, page)
