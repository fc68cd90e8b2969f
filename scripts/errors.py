"""Writes docs/errors.md: every error that `tito` can raise, as it stands in the code.

    python scripts/errors.py            write the page
    python scripts/errors.py --check    only say whether it is up to date
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tito.core import errors  # noqa: E402

PAGE = ROOT / "docs" / "errors.md"
CODES = {
    1: ("Checks failed", "Something ran to its end, and what it found is not right yet."),
    2: ("Usage", "What was typed cannot be meant that way. Nothing was done."),
    3: ("Environment", "The machine, the installation, a file or a program stands in the way."),
    4: ("Not found, or locked", "It does not exist, or it is not open to you yet."),
}
HEAD = """\
# What can go wrong

Every error of `tito` is a sentence that says what was asked and what was found, and mostly a second one with
the cure. The exit code says of which kind it is; with `--json` the same comes as `{"kind": "error", "error":
{"message", "cure", "code"}}`. 0 means that all is well, 130 that you stopped it with Ctrl-C.

This page is made from the code by `python scripts/errors.py`; words in `‹ ›` are filled in when it happens.
"""


class Problem(NamedTuple):
    code: int
    message: str
    cure: str
    where: str


def kinds() -> dict[str, int]:
    """The exit code of each class of errors."""
    classes = vars(errors).values()
    return {c.__name__: c.code for c in classes if isinstance(c, type) and issubclass(c, errors.TitoError)}


def problems(path: Path, codes: dict[str, int]) -> Iterator[Problem]:
    tree = ast.parse(path.read_text("utf-8"))
    constants = assigned(tree.body)
    for function in [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]:
        for call in ast.walk(function):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in codes):
                continue
            before = (node for node in ast.walk(function) if getattr(node, "lineno", 0) < call.lineno)
            words = constants | assigned(before)
            given = [*call.args, *(k.value for k in call.keywords)]
            message, cure = (said(part, words) if part else "" for part in (given + [None, None])[:2])
            yield Problem(codes[call.func.id], message, cure, path.relative_to(ROOT).as_posix())


def assigned(nodes: Iterable[ast.AST]) -> dict[str, ast.expr]:
    """What names stand for after these statements."""
    found: dict[str, ast.expr] = {}
    assignments = (node for node in nodes if isinstance(node, ast.Assign))
    for node in sorted(assignments, key=lambda node: node.lineno):
        for target in node.targets:
            if isinstance(target, ast.Name): found[target.id] = node.value
    return found


def said(node: ast.expr, words: dict[str, ast.expr], deep: int = 0) -> str:
    """A text in the code, as a reader would see it."""
    match node:
        case ast.Constant(): return str(node.value)
        case ast.JoinedStr(): return "".join(said(part, words, deep) for part in node.values)
        case ast.FormattedValue(): return f"‹{plain(node.value)}›"
        case ast.BinOp(op=ast.Add()): return said(node.left, words, deep) + said(node.right, words, deep)
        case ast.IfExp(): return said(node.body, words, deep) or said(node.orelse, words, deep)
        case ast.Name() if node.id in words and deep < 3: return said(words[node.id], words, deep + 1)
    return f"‹{plain(node)}›"


def plain(node: ast.expr) -> str:
    """An expression as a word or two: `lesson.label` is the lesson's label."""
    match node:
        case ast.Name(): return node.id.strip("_").replace("_", " ")
        case ast.Attribute():
            return f"{plain(node.value)} {node.attr.strip('_').replace('_', ' ')}".removeprefix("self ")
        case ast.Subscript(): return plain(node.value)
        case ast.Call() if isinstance(node.func, ast.Attribute) and node.func.attr == "join":
            return plain(node.args[0])
        case ast.Call() if node.args: return plain(node.args[0])
        case ast.Call(): return plain(node.func)
        case ast.BoolOp(): return plain(node.values[0])
        case ast.IfExp(): return plain(node.body)
        case ast.GeneratorExp() | ast.ListComp(): return plain(node.generators[0].iter)
    return "…"


def catalogue() -> str:
    codes = kinds()
    files = [p for p in sorted((ROOT / "tito").rglob("*.py")) if "_course" not in p.parts]
    found = sorted({problem for path in files for problem in problems(path, codes) if problem.message})
    parts = [HEAD]
    for code, (title, what) in CODES.items():
        rows = {(p.message, p.cure) for p in found if p.code == code}
        if not rows: continue
        lines = [f"| {cell(message)} | {cell(cure)} |\n" for message, cure in sorted(rows)]
        table = "| what it says | what to do |\n| --- | --- |\n" + "".join(lines)
        parts.append(f"## Exit code {code}: {title}\n\n{what}\n\n{table}")
    return "\n".join(parts)


def cell(text: str) -> str: return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def main(words: list[str]) -> int:
    new, old = catalogue(), PAGE.read_text("utf-8") if PAGE.exists() else ""
    if "--check" not in words:
        PAGE.write_text(new, "utf-8")
    elif new != old:
        print("docs/errors.md is out of date: `python scripts/errors.py` writes it anew.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
