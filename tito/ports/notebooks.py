"""Lessons and notebooks on disk: percent files through jupytext, notebooks as nbformat's JSON."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tito.core.errors import EnvironmentProblem, NotFound
from tito.core.lesson import Cell, Chapter, Kind, NotebookCell, chapter
from tito.core.merge import Placed
from tito.core.percent import Pair, simple
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
    def replace(self, path: Path, place: int, cell: NotebookCell) -> None:
        """A cell in the place of the one at `place`; every other cell stays as it is."""
    def insert(self, path: Path, place: int, cell: NotebookCell) -> None:
        """A cell before the one at `place`; every other cell stays as it is."""
    def arrange(self, path: Path, rows: Iterable[Placed]) -> None:
        """These cells and no others; one that is as it was keeps its outputs and metadata."""
    def rescue(self, path: Path) -> None:
        """A notebook of the cells that can still be read in what is at `path`."""


def pairs(text: str) -> list[Pair]:
    """The cells of a percent file."""
    return simple(text) or by_jupytext(text)


def by_jupytext(text: str) -> list[Pair]:
    import jupytext

    return [(cell.cell_type, cell.source) for cell in jupytext.reads(text, fmt="py:percent").cells]


class NotebooksOnDisk:
    def read_lesson(self, path: Path) -> Chapter:
        if not path.exists():
            raise NotFound(f"{path} does not exist.", "`tito module list` says which lessons are written.")
        return chapter(pairs(path.read_text("utf-8")), f"{path.parent.name}/{path.name}")

    def hidden_checks(self, text: str, path: str = "hidden checks") -> tuple[Cell, ...]:
        """The cells of a class's own hidden checks, from the text of a percent file."""
        return chapter(pairs(text), path).cells

    def read(self, path: Path) -> list[NotebookCell]:
        return [_row(cell) for cell in _loaded(path)["cells"]]

    def write(
        self,
        cells: Iterable[NotebookCell],
        path: Path,
        metadata: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        import nbformat

        notebook = as_notebook(cells, metadata or {})
        nbformat.validate(notebook)
        _save(notebook, path)

    def replace(self, path: Path, place: int, cell: NotebookCell) -> None:
        notebook = _loaded(path)
        old = notebook["cells"][place]
        notebook["cells"][place] = old | _for(notebook, _as_json(cell, old.get("metadata", {})))
        _save(notebook, path)

    def insert(self, path: Path, place: int, cell: NotebookCell) -> None:
        notebook = _loaded(path)
        notebook["cells"].insert(place, _for(notebook, _as_json(cell, {})))
        _save(notebook, path)

    def arrange(self, path: Path, rows: Iterable[Placed]) -> None:
        notebook = _loaded(path)
        old = notebook["cells"]
        notebook["cells"] = [_arranged(cell, {} if place is None else old[place]) for cell, place in rows]
        if notebook.get("nbformat") == 4 and notebook.get("nbformat_minor", 0) < 5:
            notebook["nbformat_minor"] = 5          # the first in which cells have ids
        _save(notebook, path)

    def rescue(self, path: Path) -> None:
        cells = list(_cells_in(path.read_text("utf-8-sig", errors="replace")))
        _save({"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}, path)


@dataclass
class NotebooksInMemory:
    """The fake: lessons and notebooks in dictionaries."""

    lessons: dict[Path, Chapter] = field(default_factory=dict)
    notebooks: dict[Path, list[NotebookCell]] = field(default_factory=dict)

    def read_lesson(self, path: Path) -> Chapter: return self.lessons[path]
    def read(self, path: Path) -> list[NotebookCell]: return self.notebooks[path]
    def write(self, cells: Iterable[NotebookCell], path: Path, metadata: object = None) -> None:
        self.notebooks[path] = list(cells)
    def replace(self, path: Path, place: int, cell: NotebookCell) -> None: self.notebooks[path][place] = cell
    def insert(self, path: Path, place: int, cell: NotebookCell) -> None:
        self.notebooks[path].insert(place, cell)
    def arrange(self, path: Path, rows: Iterable[Placed]) -> None:
        self.notebooks[path] = [cell for cell, _ in rows]
    def rescue(self, path: Path) -> None: self.notebooks.setdefault(path, [])


def as_notebook(
    cells: Iterable[NotebookCell], metadata: Mapping[str, Mapping[str, Any]],       # by cell id
) -> dict[str, Any]:
    """A notebook's JSON."""
    rows = [_as_json(cell, metadata.get(cell.id, {})) for cell in cells]
    return {"cells": rows, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def round_trip_differences(text: str) -> list[str]:
    """The lines of a percent file that change when jupytext reads it and writes it again."""
    import jupytext

    again = jupytext.writes(jupytext.reads(text, fmt="py:percent"), fmt="py:percent")
    names = ("lesson", "after a round trip")
    return list(difflib.unified_diff(text.splitlines(True), again.splitlines(True), *names, n=0))


def _loaded(path: Path) -> dict[str, Any]:
    """A notebook's JSON; accepts the byte order mark that some editors on Windows write."""
    reset = f"`tito module reset {path.stem}`"
    try:
        notebook = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        cure = f"`tito module start {path.stem}` makes it."
        raise NotFound(f"{path.name} is not in {path.parent}.", cure) from None
    except OSError as problem:
        raise EnvironmentProblem(f"{path} cannot be read: {problem.strerror or problem}.") from problem
    except ValueError as problem:
        raise EnvironmentProblem(
            f"{path.name} cannot be read as a notebook: {problem}.",
            f"Was it saved halfway, or merged by git? `tito undo` or {reset} brings one back.",
        ) from problem
    if isinstance(notebook, dict) and "worksheets" in notebook:
        cure = f"Save it with a Jupyter of today, or {reset} makes a new one."
        raise EnvironmentProblem(f"{path.name} has the notebook format of before 2015.", cure)
    if not _is_notebook(notebook):
        raise EnvironmentProblem(f"{path.name} is JSON, but no notebook.", f"{reset} makes one.")
    return notebook


def _is_notebook(data: Any) -> bool:
    cells = data.get("cells") if isinstance(data, dict) else None
    return isinstance(cells, list) and all(map(_is_cell, cells))


def _is_cell(data: Any) -> bool:
    if not isinstance(data, dict) or not isinstance(data.get("metadata", {}), dict): return False
    source = data.get("source")
    return isinstance(source, str | list) and all(isinstance(line, str) for line in source)


def _cells_in(text: str) -> Iterator[dict[str, Any]]:
    """The cells of a notebook that broke off, or into which something was written."""
    decoder, place = json.JSONDecoder(), text.find("{")
    while place >= 0:
        try:
            found, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            found, end = None, place + 1
        whole = isinstance(found, dict) and "cell_type" in found and _is_cell(found)
        if whole: yield found
        place = text.find("{", end if whole else place + 1)


def _row(cell: dict[str, Any]) -> NotebookCell:
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    kind: Kind = "code" if cell.get("cell_type") == "code" else "markdown"
    return NotebookCell(_id(cell), kind, text.replace("\r\n", "\n").rstrip("\n"))


def _id(cell: dict[str, Any]) -> str:
    """The cell's id, or where an editor moved it to, or nothing."""
    metadata = cell.get("metadata", {})
    grader = metadata.get("nbgrader")
    graded = grader.get("grade_id") if isinstance(grader, dict) else ""
    return str(cell.get("id") or metadata.get("id") or graded or "")


def _as_json(cell: NotebookCell, metadata: Mapping[str, Any]) -> dict[str, Any]:
    outputs: dict[str, Any] = {"execution_count": None, "outputs": []} if cell.kind == "code" else {}
    return {"cell_type": cell.kind, "id": cell.id, "metadata": dict(metadata), **outputs,
            "source": cell.source.splitlines(keepends=True)}


def _arranged(cell: NotebookCell, old: dict[str, Any]) -> dict[str, Any]:
    """A cell as it was if its text is, else a new one with the old one's metadata."""
    if old and _row(old).source == cell.source: return {**old, "id": cell.id}
    return _as_json(cell, old.get("metadata", {}))


def _for(notebook: dict[str, Any], cell: dict[str, Any]) -> dict[str, Any]:
    """A cell as the notebook's format wants it: ids came with 4.5."""
    has_ids = notebook.get("nbformat_minor", 0) >= 5
    return cell if has_ids else {key: value for key, value in cell.items() if key != "id"}


def _save(notebook: dict[str, Any], path: Path) -> None:
    write(path, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
