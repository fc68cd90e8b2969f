"""What an export wrote, and how a package differs from its lessons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType

from tito.view.screen import Screen, columns, line, page, stack


def exported(drift: Sequence[tuple[str, str]], screen: Screen) -> RenderableType:
    """The files that an export wrote or removed."""
    if not drift:
        return line(("tinytorch/ is what the lessons make of it", "quiet"))
    return stack(_files(drift), line((f"{len(drift)} of the files in tinytorch/ differed.", "quiet")))


def checked(drift: Sequence[tuple[str, str]], notes: Sequence[str], screen: Screen) -> RenderableType:
    """Where the package is not what the lessons make of it, and what an author may have forgotten."""
    told = stack(_files(drift), line("`tito export` makes them again.")) if drift else None
    asides = stack(*(line(("note: ", "quiet"), note) for note in notes)) if notes else None
    fine = None if drift else line((screen.signs.done, "good"), " tinytorch/ is what the lessons make of it")
    return page(told, asides, fine)


def written(path: Path, screen: Screen) -> RenderableType:
    return line(("wrote ", "quiet"), str(path))


def book(path: Path, screen: Screen) -> RenderableType:
    return line(("the book is ", "quiet"), str(path))


def _files(drift: Sequence[tuple[str, str]]) -> RenderableType:
    return columns([line((what, "quiet")), f"tinytorch/{file}"] for file, what in drift)
