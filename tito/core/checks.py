"""What a process told about a unit, in the words of the subject, and the learner's line it is about."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import lru_cache

from tito.core.lesson import Cell, defined_names
from tito.core.plan import Frame, Limits, Outcome
from tito.core.results import CodeLine, Status

TURN = "your turn: "
IMPORT = "import"                   # the unit in which the package is imported

STATUS: dict[str, Status] = {
    "passed": "passed", "failed": "failed", "replaced": "failed", "timeout": "timeout", "skipped": "skipped",
    "raised": "error", "syntax": "error", "lost": "error",
}


def status_of(outcome: Outcome) -> Status: return "todo" if turn(outcome) else STATUS[outcome.outcome]


def turn(outcome: Outcome) -> str:
    """The name in "your turn: …", if a blank is what ended the unit."""
    blank = outcome.type == "NotImplementedError" and outcome.text.startswith(TURN)
    return outcome.text.removeprefix(TURN) if blank else ""


def plain(text: str) -> list[str]: return [line.rstrip() for line in text.strip().split("\n") if line.strip()]


@lru_cache(1000)
def names_in(source: str) -> tuple[str, ...]:
    try:
        return defined_names(source)
    except SyntaxError:
        return ()


@lru_cache(1000)
def imported_in(source: str) -> tuple[str, ...]:
    """The names that the import statements of a cell bring."""
    try:
        nodes = ast.walk(ast.parse(source))
    except SyntaxError:
        return ()
    imports = (n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom))
    return tuple((a.asname or a.name).partition(".")[0] for n in imports for a in n.names)


def listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return f"{quoted[0]} is" if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]} are"


def sentence(outcome: Outcome, limits: Limits) -> str:
    """What happened, for somebody who does not know how it was run; first, what should have."""
    told = happened(outcome, limits)
    return f"{outcome.idea}; instead: {told}" if outcome.idea and outcome.outcome == "raised" else told


def happened(outcome: Outcome, limits: Limits) -> str:
    kinds, text = outcome.kinds, outcome.text
    match outcome.outcome:
        case "passed": return ""
        case "failed": return text
        case "timeout": return f"it did not end within {limits.test:g} seconds: is there an endless loop?"
        case "replaced": return f"your code replaces {text}, on which the checks stand"
        case "lost": return f"{text} in the middle of it{QUIT if 'exit code' in text else ''}"
        case "syntax": return f"this line is not Python: {text}{magic(outcome)}"
    if "RecursionError" in kinds:
        return f"`{outcome.frames[-1][2] if outcome.frames else 'it'}` calls itself without end"
    if "MemoryError" in kinds:
        return f"it wants more memory than the {limits.memory / (1 << 30):g} GiB it may have"
    if "SystemExit" in kinds:
        return "your code calls sys.exit(), which ends the whole program"
    if "EOFError" in kinds:
        return "your code asks for input(), and nobody is there to answer"
    if turn(outcome):
        return text
    return f"{outcome.type}: {text}" if text else outcome.type


QUIT = ": does your code end Python with os._exit()?"


def magic(outcome: Outcome) -> str:
    return " (lines that begin with % or ! are for a notebook's own cells)" if "%" in outcome.text else ""


# ------------------------------------------------------------------------------------------ finding the line

def line_in(frames: Sequence[Frame], cells: Mapping[str, Cell], notebook: str) -> CodeLine | None:
    """The innermost line that is the learner's."""
    for file, number, _ in reversed(frames):
        cell = cells.get(file)
        if cell and not cell.check:
            lines = cell.text.split("\n")
            text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
            return CodeLine(notebook, cell.id, number, text)
    return None


def telling_line(text: str, name: str) -> int:
    """The line (from 1) that says most about a definition."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return 1
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    node = next((n for n in body if isinstance(n, kinds) and n.name == name), body[0] if body else None)
    if node is None: return 1
    returns = [n for n in ast.walk(node) if isinstance(n, ast.Return)]
    return returns[0].lineno if len(returns) == 1 else node.lineno
