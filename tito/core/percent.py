"""A percent file as cells, read as jupytext reads it. What takes jupytext to understand is left to jupytext.

Lessons are read by every command and by every process that marks notebooks, and jupytext's import alone takes
a third of a second; where JupyterLab is installed, which makes nbformat know more formats, three seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

Pair = tuple[Literal["markdown", "code"], str]

MARK = re.compile(r"# %%(.*)$")
MARKS = {"": "code", " [markdown]": "markdown"}
TIMED = re.compile(r"# (?=%timeit )")       # in a file, a magic is a comment
COMMANDS = "cat|cd|cp|mv|rm|rmdir|mkdir|copy|ddir|echo|ls|ldir|ren"     # as IPython takes them without a %
ODD = re.compile(rf"\s*(#\s*)*([%!?]|[\w.]+\s*=\s*[%!]|\S+\?\s*$)|(# |#)*({COMMANDS})(\s*$|\s[^=,])")


class Odd(ValueError):
    """Something that jupytext has rules for."""


def simple(text: str) -> list[Pair] | None:
    """The cells of a percent file; None where there is more in it than prose, code and `# %timeit`."""
    try:
        return list(cells(text.split("\n")))
    except Odd:
        return None


def cells(lines: list[str]) -> Iterator[Pair]:
    kind, inside = "", list[str]()
    for line in [*lines, "# %%"]:
        if not (mark := MARK.match(line)):
            inside.append(line)
            continue
        if mark[1] not in MARKS: raise Odd(line)
        if kind or any(inside): yield cell(kind or "code", inside)
        kind, inside = MARKS[mark[1]], []


def cell(kind: str, lines: list[str]) -> Pair:
    while lines and not lines[-1].strip(): lines = lines[:-1]
    if not lines or not lines[0].strip(): raise Odd(lines)
    if kind == "markdown":
        if not all(line.startswith("# ") or line == "#" for line in lines): raise Odd(lines)
        return "markdown", "\n".join(line[2:] for line in lines)
    if any("\n".join(lines).count(quotes) % 2 for quotes in ('"""', "'''")): raise Odd(lines)     # cut in two
    if lines[0] == "# ---" or any(ODD.match(line) and not TIMED.match(line) for line in lines):
        raise Odd(lines)
    return "code", "\n".join(TIMED.sub("", line) for line in lines)
