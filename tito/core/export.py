"""Cells in, the source of a module of the package out."""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tito.core.lesson import Cell, LessonProblem, defined_names, marks

__all__ = ["Line", "banner", "defined_names", "module_lines", "module_names", "module_source", "wrapped"]

WIDTH = 110


class Line(NamedTuple):
    """A line of an exported module, and where it was written."""

    text: str
    cell: str = ""          # id of the cell; "" for what the exporter wrote
    number: int = 0         # line in the cell's text, from 1


def banner(origin: str) -> str:
    """Line 1 of a generated file: what to edit instead."""
    return f"# Generated from {origin} by `tito export`. Edit that file, not this one."


def module_source(
    cells: Iterable[Cell],
    banner: str,                # line 1
    path: str,                  # names the lesson in errors
) -> str:
    """The module that a chapter's exported cells make."""
    return "".join(f"{line.text}\n" for line in module_lines(cells, banner, path))


def module_lines(cells: Iterable[Cell], banner: str, path: str) -> list[Line]:
    """The same, each line with the cell and the line it came from."""
    chosen = [cell for cell in cells if cell.exported]
    imports, bodies = Imports(), list[list[Line]]()
    docstring: list[Line] = []
    for cell in chosen:
        try:
            body = _body(cell, imports.take(_text(cell)))
        except SyntaxError as problem:
            raise LessonProblem(f"{path}: cell '{cell.id}' is not Python: {problem.msg}.") from problem
        if not docstring and not bodies and _is_docstring(body):
            docstring = body
        elif body:
            bodies.append(body)
    public = [name for name in module_names(chosen) if not name.startswith("_")]
    parts = [[Line(banner), *docstring], *_lines(imports.groups()), *_lines([_all(public)] if public else [])]
    head = [line for part in parts for line in [*part, Line("")]][:-1]
    return head + [line for body in bodies for line in [Line(""), Line(""), *body]]


def module_names(cells: Iterable[Cell]) -> tuple[str, ...]:
    """The top-level names that the exported cells define, in order."""
    return tuple(dict.fromkeys(n for cell in cells if cell.exported for n in defined_names(cell.source)))


# -------------------------------------------------------------------------------------------- imports

class Imports:
    """The imports of a module, gathered from its cells: each once, `from x import a, b` on one line."""

    def __init__(self) -> None:
        self.names: dict[str, dict[str, None]] = {}         # "from x" or "import x as y" -> names
        self.comments: dict[str, dict[str, None]] = {}

    def take(self, source: str) -> set[int]:
        """Remembers the import statements at the top level of a cell; the lines (from 1) they stood on."""
        tree, lines = ast.parse(source), source.split("\n")
        kept = {n for node in tree.body if not _is_import(node) for n in _span(node)}
        taken = set[int]()
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom) and not kept & _span(node):
                self._remember(node, [c for n in sorted(_span(node)) if (c := _comment(lines[n - 1]))])
                taken |= _span(node)
        return taken

    def _remember(self, node: ast.Import | ast.ImportFrom, comments: list[str]) -> None:
        names = [f"{a.name} as {a.asname}" if a.asname else a.name for a in node.names]
        if isinstance(node, ast.ImportFrom):
            places = {f"from {_relative(node)}": names}
            if names == ["*"]:
                places = {f"from {_relative(node)} import *": []}
        else:
            places = {f"import {name}": [] for name in names}
        for place, some in places.items():
            self.names.setdefault(place, {}).update(dict.fromkeys(some))
            self.comments.setdefault(place, {}).update(dict.fromkeys(comments))

    def groups(self) -> list[str]:
        """__future__, the standard library, other packages, this package: each sorted."""
        groups: list[list[str]] = [[], [], [], []]
        for place in sorted(self.names, key=lambda p: (p.startswith("from"), p.split()[1].lower())):
            groups[_group(place.split()[1])].append(self._statement(place))
        return ["\n".join(group) for group in groups if group]

    def _statement(self, place: str) -> str:
        names = sorted(self.names[place], key=lambda name: (_sort(name), name.lower()))
        comment = "".join(f"  {c}" for c in self.comments[place])
        line = f"{place} import {', '.join(names)}" if names else place
        if len(line) + len(comment) <= WIDTH:
            return line + comment
        return f"{place} import ({comment}\n" + wrapped(names) + "\n)"


def _is_import(node: ast.stmt) -> bool: return isinstance(node, ast.Import | ast.ImportFrom)
def _span(node: ast.stmt) -> set[int]: return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _comment(line: str) -> str:
    """The comment on a line of an import statement, which holds no strings."""
    return "#" + line.split("#", 1)[1] if "#" in line else ""


def _relative(node: ast.ImportFrom) -> str:
    """Inside the package, `tinytorch.dtypes` is `.dtypes`."""
    name = "." * node.level + (node.module or "")
    return "." + name.removeprefix("tinytorch").removeprefix(".") if _is_local(name) else name


def _is_local(name: str) -> bool: return name.startswith(".") or name.partition(".")[0] == "tinytorch"


def _group(name: str) -> int:
    top = name.partition(".")[0]
    return 0 if top == "__future__" else 3 if _is_local(name) else 1 if top in sys.stdlib_module_names else 2


def _sort(name: str) -> int:
    """CONSTANTS, then Classes, then functions."""
    return 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2


# ---------------------------------------------------------------------------------------------- bodies

def _body(cell: Cell, imports: set[int]) -> list[Line]:
    """The lines of a cell that go into the module: no imports, directives or markers, no blank ends."""
    dropped, kept = imports | marks(_text(cell)), list[Line]()
    gap = True                      # a dropped line takes the blank lines after it along
    for number, text in enumerate(_text(cell).split("\n"), 1):
        blank = not text.strip()
        if number in dropped:
            gap = not kept or not kept[-1].text.strip()
        elif not (gap and blank):
            kept.append(Line(text, cell.id, number))
            gap = False
    while kept and not kept[-1].text.strip():
        kept.pop()
    return kept


def _text(cell: Cell) -> str: return cell.text or cell.source


def _is_docstring(body: Sequence[Line]) -> bool:
    tree = ast.parse("\n".join(line.text for line in body))
    return len(tree.body) == 1 and ast.get_docstring(tree) is not None


def _all(names: Sequence[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    one = f"__all__ = [{', '.join(quoted)}]"
    return one if len(one) <= WIDTH else f"__all__ = [\n{wrapped(quoted)}\n]"


def wrapped(items: Iterable[str]) -> str:
    """Comma-separated items on indented lines of the package's width."""
    glued = ", ".join(item.replace(" ", "\N{NO-BREAK SPACE}") for item in items) + ","
    filled = textwrap.fill(glued, WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    return textwrap.indent(filled, " " * 4).replace("\N{NO-BREAK SPACE}", " ")


def _lines(texts: Iterable[str]) -> list[list[Line]]:
    return [[Line(line) for line in text.split("\n")] for text in texts]
