"""Lessons and notebooks on disk: percent files through jupytext, notebooks as nbformat's JSON."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tito.core.errors import EnvironmentProblem, NotFound
from tito.core.lesson import Chapter, Kind, NotebookCell, chapter
from tito.ports.files import write

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


class Notebooks(Protocol):
    def read_lesson(self, path: Path) -> Chapter: """A percent file of the course."""
    def read(self, path: Path) -> list[NotebookCell]: """A learner's notebook, whoever saved it last."""
    def write(
        self,
        cells: Iterable[NotebookCell],
        path: Path,
        metadata: Mapping[str, Mapping[str, Any]] | None = None,    # by cell id
    ) -> None: """A new notebook in the place of whatever is at `path`."""
    def replace(self, path: Path, sources: Mapping[str, str]) -> None:
        """New text for some cells, by id; every other cell stays as it is."""


class NotebooksOnDisk:
    def read_lesson(self, path: Path) -> Chapter:
        import jupytext  # a quarter of a second: only when a lesson is read

        if not path.exists():
            raise NotFound(f"{path} does not exist.", "`tito module list` says which lessons are written.")
        cells = jupytext.reads(path.read_text("utf-8"), fmt="py:percent").cells
        return chapter(((cell.cell_type, cell.source) for cell in cells), f"{path.parent.name}/{path.name}")

    def read(self, path: Path) -> list[NotebookCell]:
        return [_row(cell) for cell in _cells(_loaded(path))]

    def write(
        self,
        cells: Iterable[NotebookCell],
        path: Path,
        metadata: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        import nbformat

        rows = [_as_json(cell, (metadata or {}).get(cell.id, {})) for cell in cells]
        notebook = {"cells": rows, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
        nbformat.validate(notebook)
        _save(notebook, path)

    def replace(self, path: Path, sources: Mapping[str, str]) -> None:
        notebook = _loaded(path)
        waiting = dict(sources)
        for cell in _cells(notebook):
            if (id := _row(cell).id) in waiting:
                cell["source"] = waiting.pop(id).splitlines(keepends=True)
                cell.update({"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {})
        if waiting:
            gone = next(iter(waiting))
            raise NotFound(f"{path.name} has no cell '{gone}'.", "`tito module reset` brings it back.")
        _save(notebook, path)


@dataclass
class NotebooksInMemory:
    """The fake: lessons and notebooks in dictionaries."""

    lessons: dict[Path, Chapter] = field(default_factory=dict)
    notebooks: dict[Path, list[NotebookCell]] = field(default_factory=dict)

    def read_lesson(self, path: Path) -> Chapter: return self.lessons[path]
    def read(self, path: Path) -> list[NotebookCell]: return self.notebooks[path]
    def write(self, cells: Iterable[NotebookCell], path: Path, metadata: object = None) -> None:
        self.notebooks[path] = list(cells)
    def replace(self, path: Path, sources: Mapping[str, str]) -> None:
        self.notebooks[path] = [c._replace(source=sources.get(c.id, c.source)) for c in self.notebooks[path]]


def round_trip_differences(text: str) -> list[str]:
    """The lines of a percent file that change when jupytext reads it and writes it again."""
    import jupytext

    again = jupytext.writes(jupytext.reads(text, fmt="py:percent"), fmt="py:percent")
    names = ("lesson", "after a round trip")
    return list(difflib.unified_diff(text.splitlines(True), again.splitlines(True), *names, n=0))


def _loaded(path: Path) -> dict[str, Any]:
    """A notebook's JSON; accepts the byte order mark that some editors on Windows write."""
    try:
        notebook = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise NotFound(f"{path.name} is not in {path.parent}.", "`tito module start` makes it.") from None
    except (ValueError, UnicodeDecodeError) as problem:
        raise EnvironmentProblem(
            f"{path.name} cannot be read as a notebook: {problem}.",
            "Was it saved halfway, or merged by git? `tito undo` and `tito module reset` bring one back.",
        ) from problem
    if not isinstance(notebook, dict) or not isinstance(_cells(notebook), list):
        raise EnvironmentProblem(f"{path.name} is JSON, but no notebook.", "`tito module reset` makes one.")
    return notebook


def _cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells; notebooks of format 3 kept them in worksheets."""
    sheets = notebook.get("worksheets")
    return notebook.get("cells", []) if not sheets else [c for sheet in sheets for c in sheet["cells"]]


def _row(cell: dict[str, Any]) -> NotebookCell:
    source = cell.get("source", cell.get("input", ""))      # format 3 said input
    text = source if isinstance(source, str) else "".join(source)
    kind: Kind = "code" if cell.get("cell_type") == "code" else "markdown"
    return NotebookCell(_id(cell), kind, text.replace("\r\n", "\n").rstrip("\n"))


def _id(cell: dict[str, Any]) -> str:
    """The cell's id, or where an editor moved it to, or nothing."""
    metadata = cell.get("metadata") or {}
    grader = metadata.get("nbgrader") or {}
    return str(cell.get("id") or metadata.get("id") or grader.get("grade_id") or "")


def _as_json(cell: NotebookCell, metadata: Mapping[str, Any]) -> dict[str, Any]:
    outputs: dict[str, Any] = {"execution_count": None, "outputs": []} if cell.kind == "code" else {}
    return {"cell_type": cell.kind, "id": cell.id, "metadata": dict(metadata), **outputs,
            "source": cell.source.splitlines(keepends=True)}


def _save(notebook: dict[str, Any], path: Path) -> None:
    write(path, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
