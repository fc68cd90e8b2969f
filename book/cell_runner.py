"""Run a chapter's cells in this process, and tell what each of them shows. Started by outputs.py.

Reads {"cells": [source or null, …], "module": "" or "tinytorch.drawing"} from standard input and writes one
list of outputs for each cell to the file that it is given. A cell that raises ends the run with exit code 1.
"""

from __future__ import annotations

import ast
import io
import json
import linecache
import re
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ADDRESS = re.compile(r" at 0x[0-9a-f]+\b")               # another one in every run
RICH = {"svg": "_repr_svg_", "html": "_repr_html_"}     # what an object offers to a page, best first


def show(value: Any) -> tuple[str, str] | None:
    """A cell's last value, as a notebook would show it."""
    if value is None: return None
    for kind, method in RICH.items():
        if not hasattr(type(value), method): continue
        if (found := getattr(value, method)()) is not None: return kind, found
    return "text", anybodys(repr(value))


def settled(text: str) -> str:
    """What a terminal shows in the end: `\\r` goes back to the beginning of the line; without colours."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in COLOUR.sub("", text).split("\n")]
    return anybodys("\n".join(line.rstrip() for line in lines).strip("\n"))


def anybodys(text: str) -> str:
    """The text without what is true of this machine and of this run alone."""
    return ADDRESS.sub("", text.replace(str(Path.home()) + "/", "~/"))


def run(source: str, name: str, space: dict[str, Any]) -> list[tuple[str, str]]:
    """Runs one cell; its printed text first, then its value."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    *body, last = ast.parse(source).body or [ast.Pass()]
    expression = last if isinstance(last, ast.Expr) and not source.rstrip().endswith(";") else None
    printed, shown = io.StringIO(), None
    with redirect_stdout(printed), redirect_stderr(printed):
        exec(compile(ast.Module(body + ([] if expression else [last]), []), name, "exec"), space)
        if expression: shown = show(eval(compile(ast.Expression(expression.value), name, "eval"), space))
    text = settled(printed.getvalue())
    return [("text", text)] * bool(text) + [shown] * (shown is not None)


def main() -> None:
    asked = json.load(sys.stdin)
    warnings.simplefilter("default")
    space: dict[str, Any] = {"__name__": "__main__"}
    if asked["module"]:             # an appendix: its own names are there, and what it shows is run
        space |= {k: v for k, v in vars(import_module(asked["module"])).items() if not k.startswith("__")}
    found = []
    for number, source in enumerate(asked["cells"], 1):
        try:
            found.append([] if source is None else run(source, f"<cell {number}>", space))
        except BaseException:
            print(f"cell {number}:\n{source}\n", file=sys.stderr)
            raise
    Path(sys.argv[1]).write_text(json.dumps(found, ensure_ascii=False), "utf-8")


main()
