"""What can be said of code without running it: columns for those who grade style. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from tito.core.lesson import directives

WIDE, LONG = 110, 60                # characters of a line; lines of a function


def style(sources: Iterable[str]) -> dict[str, int]:
    """How often each thing occurs that a reader would stumble over."""
    found = dict.fromkeys(("wide lines", "long functions", "bare excepts", "star imports", "unused names"), 0)
    for text in sources:
        source = directives(text)[2]
        found["wide lines"] += sum(len(line) > WIDE for line in source.split("\n"))
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef():
                    found["long functions"] += (node.end_lineno or node.lineno) - node.lineno >= LONG
                    found["unused names"] += len(unused(node))
                case ast.ExceptHandler(type=None):
                    found["bare excepts"] += 1
                case ast.ImportFrom(names=[ast.alias(name="*")]):
                    found["star imports"] += 1
    return found


def unused(function: ast.FunctionDef) -> set[str]:
    """Names that a function gives a value and never reads."""
    names = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
    read = {n.id for n in names if not isinstance(n.ctx, ast.Store)}
    elsewhere = {n for s in ast.walk(function) if isinstance(s, ast.Global | ast.Nonlocal) for n in s.names}
    return {n.id for n in names if isinstance(n.ctx, ast.Store)
            and not n.id.startswith("_")} - read - elsewhere
