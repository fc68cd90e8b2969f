"""A lesson as cells: what the `#|` words say, and what the learner sees of it."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from typing import Any, Literal, NamedTuple

from tito.core.errors import CHECKS_FAILED, TitoError

Kind = Literal["markdown", "code"]
WORDS = ("export", "exercise", "check", "hidden", "hint", "id")

DIRECTIVE = re.compile(r"\s*#\|\s*(.*?)\s*$")
BEGIN, END = re.compile(r"\s*### BEGIN SOLUTION\s*$"), re.compile(r"\s*### END SOLUTION\s*$")
DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FENCED = re.compile("^```.*?^```", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"#+\s+(.*)")


class LessonProblem(TitoError):
    """A lesson's file breaks the lesson format."""

    code = CHECKS_FAILED


class NotebookCell(NamedTuple):
    """A cell as a notebook has it. The id is "" where an editor dropped it."""

    id: str
    kind: Kind
    source: str


@dataclass(frozen=True)
class Cell:
    kind: Kind
    source: str                     # without directive lines, with the solution's markers
    words: tuple[str, ...] = ()     # of export, exercise, check, hidden
    hints: tuple[str, ...] = ()
    points: float = 0
    id: str = ""
    name: str = ""                  # the first name an exported cell defines, else its id
    text: str = ""                  # as its author typed it: line numbers count from here

    @property
    def exported(self) -> bool: return "export" in self.words
    @property
    def exercise(self) -> bool: return "exercise" in self.words
    @property
    def check(self) -> bool: return "check" in self.words
    @property
    def hidden(self) -> bool: return "hidden" in self.words


@dataclass(frozen=True)
class Chapter:
    """One parsed file of a lesson."""

    cells: tuple[Cell, ...]

    def __iter__(self) -> Iterator[Cell]: return iter(self.cells)
    def exercises(self) -> tuple[Cell, ...]: return tuple(c for c in self.cells if c.exercise)
    def exported(self) -> tuple[Cell, ...]: return tuple(c for c in self.cells if c.exported)
    def checks(self) -> tuple[Cell, ...]: return tuple(c for c in self.cells if c.check)

    @property
    def points(self) -> float: return sum(c.points for c in self.cells)

    def cell(self, key: str) -> Cell | None:
        """The cell with this id, or else the exercise or export with this name."""
        by_id = (c for c in self.cells if c.id == key)
        return next(by_id, None) or next((c for c in self.exported() if c.name == key), None)

    def section_of(self, cell: Cell) -> str:
        """The nearest heading above the cell (or in it)."""
        title = ""
        for each in self.cells:
            if each.kind == "markdown":
                title = next(reversed(_headings(each.source)), title)
            if each.id == cell.id:
                return title
        return ""

    def about(self, check: Cell) -> Cell | None:
        """The exercise that a check is about: the last one before it, or else the last given code."""
        before = self.cells[:[c.id for c in self.cells].index(check.id)]
        exercises = [c for c in before if c.exercise] or [c for c in before if c.exported]
        return exercises[-1] if exercises else None


# ---------------------------------------------------------------------------------- reading a lesson

def chapter(
    pairs: Iterable[tuple[Kind, str]],      # (kind, text) of each cell, as a percent file has them
    path: str = "lesson",                   # to name it in errors
) -> Chapter:
    """A lesson's file as a Chapter; raises LessonProblem where it breaks the format."""
    cells = []
    for number, (kind, text) in enumerate(pairs, 1):
        try:
            cells.append(cell_from(kind, text))
        except LessonProblem as problem:
            raise LessonProblem(f"{path}, cell {number}: {problem.message}", problem.cure) from None
    return Chapter(_with_ids(cells))


def cell_from(kind: Kind, text: str) -> Cell:
    """One cell, its directives read and its solution's borders verified."""
    if kind == "markdown":
        return Cell(kind, text, text=text)
    words, notes, source = directives(text)
    for word in words:
        if word not in WORDS:
            raise LessonProblem(f"`#| {word}` is no directive; there are {', '.join(WORDS)}.")
    if "check" in words and "check" not in notes:
        raise LessonProblem("a check says what it is worth: `#| check 1`.")
    cell = Cell(kind, source, words, tuple(notes.get("hint", ())), _points(words, notes), text=text,
                id=notes.get("id", [""])[-1])
    _verify(cell)
    return replace(cell, name=_name(cell))


def directives(text: str) -> tuple[tuple[str, ...], dict[str, list[str]], str]:
    """The words of a cell, what follows `hint`, `id` and `check`, and the source without directive lines."""
    words: list[str] = []
    notes: dict[str, list[str]] = {}
    found = _matches(DIRECTIVE, text)
    for match in found.values():
        word, _, rest = match[1].partition(" ")
        if word in ("hint", "id"):
            notes.setdefault(word, []).append(rest.strip())
            continue
        for each in match[1].split():
            if _is_number(each) and words[-1:] == ["check"]:
                notes.setdefault("check", []).append(each)
            else:
                words.append(each)
    kept = [line for number, line in enumerate(text.split("\n"), 1) if number not in found]
    return tuple(dict.fromkeys(words)), notes, "\n".join(kept).strip("\n")


def marks(text: str) -> set[int]:
    """The lines (from 1) that are directives or a solution's borders: not part of the program."""
    return {line for pattern in (DIRECTIVE, BEGIN, END) for line in _matches(pattern, text)}


def _matches(pattern: re.Pattern[str], text: str) -> dict[int, re.Match[str]]:
    """Where a pattern stands on a line of its own, outside of strings."""
    lines = enumerate(text.split("\n"), 1)
    found = {number: match for number, line in lines if (match := pattern.match(line))}
    quoted = _inside_strings(text) if found else frozenset[int]()
    return {number: match for number, match in found.items() if number not in quoted}


@lru_cache(10_000)
def defined_names(source: str) -> tuple[str, ...]:
    """The top-level names that def, class and assignments give, in order; imports are not among them."""
    return tuple(dict.fromkeys(_definitions(ast.parse(source).body)))


def _definitions(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Assign():
                for target in node.targets:
                    yield from _targets(target)
            case ast.AnnAssign(value=ast.expr()):
                yield from _targets(node.target)
            case ast.If() | ast.Try():
                yield from _definitions(node.body)
                for handler in getattr(node, "handlers", ()):
                    yield from _definitions(handler.body)
                yield from _definitions(node.orelse)
            case ast.With():
                yield from _definitions(node.body)


def _targets(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Name():
            yield target.id
        case ast.Tuple() | ast.List():
            for each in target.elts:
                yield from _targets(each)
        case ast.Starred():
            yield from _targets(target.value)


def _points(words: tuple[str, ...], notes: dict[str, list[str]]) -> float:
    return sum(float(n) for n in notes.get("check", [])) if "check" in words else 0


def _is_number(word: str) -> bool: return word.replace(".", "", 1).isdigit()


def _verify(cell: Cell) -> None:
    regions = list(_regions(cell.source))
    if cell.exercise and not cell.exported:
        raise LessonProblem("an `exercise` is also an `export`: write `#| export exercise`.")
    if cell.exercise and not regions:
        raise LessonProblem("an exercise needs ### BEGIN SOLUTION … ### END SOLUTION around what to write.")
    if regions and not cell.exercise:
        raise LessonProblem("a solution stands outside an exercise; it would be shown to the learner.")
    if cell.check and cell.exported:
        raise LessonProblem("a cell is exported or a check, not both.")
    if cell.hidden and not cell.check:
        raise LessonProblem("only a check can be `hidden`.")
    if cell.exported or cell.check:
        try:
            ast.parse(cell.source)
        except SyntaxError as problem:
            raise LessonProblem(f"line {problem.lineno} is not Python: {problem.msg}.") from problem


def _name(cell: Cell) -> str:
    names = [name for name in defined_names(cell.source) if name.strip("_")] if cell.exported else []
    return names[0] if names else ""


def _headings(markdown: str) -> list[str]:
    lines = FENCED.sub("", markdown).split("\n")
    return [found[1].strip() for line in lines if (found := HEADING.match(line))]


# ------------------------------------------------------------------------------------------- cell ids

def slug(text: str, words: int = 6) -> str:
    """The first words of a text as an id: letters, digits and dashes."""
    line = next((line for line in text.split("\n") if re.search("[A-Za-z0-9]", line)), "cell")
    return "-".join(re.findall("[A-Za-z0-9]+", line.lower())[:words])[:48]


def _with_ids(cells: list[Cell]) -> tuple[Cell, ...]:
    """Ids that depend on what a cell is about, not on where it stands; code is named before prose."""
    ids: dict[int, str] = {}
    taken: set[str] = {"first-cell"}

    def take(index: int, wanted: str) -> None:
        wanted = re.sub("[^A-Za-z0-9_-]", "-", wanted)[:60] or "cell"
        ids[index] = next(n for k in count(1) if (n := wanted if k == 1 else f"{wanted}-{k}") not in taken)
        taken.add(ids[index])

    for index, cell in enumerate(cells):
        if cell.id and cell.id in taken:
            raise LessonProblem(f"two cells have the id '{cell.id}'.", "Give one of them another `#| id`.")
        if cell.id:
            take(index, cell.id)
    for index, cell in enumerate(cells):
        if cell.exported and index not in ids:
            take(index, cell.name or _id_of_nameless(cell.source))
    last = {"exercise": "", "any": ""}
    for index, cell in enumerate(cells):
        last["exercise"] = ids[index] if cell.exercise else last["exercise"]
        last["any"] = ids[index] if cell.exported else last["any"]
        if cell.check and index not in ids:
            take(index, f"check-{last['exercise'] or last['any']}".rstrip("-"))
    for index, cell in enumerate(cells):
        if cell.kind == "markdown" and index not in ids:
            take(index, slug(cell.source))
    previous = "first-cell"
    for index in range(len(cells)):
        if index not in ids:
            take(index, f"show-{previous}")
        else:
            previous = ids[index]
    return tuple(replace(c, id=ids[i], name=c.name or ids[i]) for i, c in enumerate(cells))


def _id_of_nameless(source: str) -> str:
    body = ast.parse(source).body
    if all(isinstance(node, ast.Import | ast.ImportFrom) for node in body):
        return "imports"
    if len(body) == 1 and isinstance(body[0], ast.Expr) and ast.get_docstring(ast.parse(source)) is not None:
        return "docstring"
    return slug(source)


# ------------------------------------------------------------------------------ solutions and blanks

def solutions(cell: Cell) -> list[str]:
    """The text of each solution of a cell."""
    lines = cell.source.split("\n")
    return [textwrap.dedent("\n".join(lines[start + 1:stop])) for start, stop in _regions(cell.source)]


def solution_lines(cell: Cell) -> set[int]:
    """The lines (from 1) of a cell's source that are a solution."""
    return {line + 1 for start, stop in _regions(cell.source) for line in range(start + 1, stop)}


def solved(cell: Cell) -> Cell:
    """The cell without the solution's markers."""
    dropped = marks(cell.source)
    kept = [line for n, line in enumerate(cell.source.split("\n"), 1) if n not in dropped]
    return replace(cell, source="\n".join(kept))


def stripped(cell: Cell) -> Cell:
    """The cell as a blank: each solution gives way to a friendly `raise NotImplementedError`."""
    lines = cell.source.split("\n")
    for start, stop in reversed(list(_regions(cell.source))):
        indent = lines[start][:len(lines[start]) - len(lines[start].lstrip())]
        todo = f'{indent}raise NotImplementedError("your turn: {_place(cell, start + 1)}")'
        lines[start:stop + 1] = [todo]
    return replace(cell, source="\n".join(lines))


def _regions(source: str) -> Iterator[tuple[int, int]]:
    """First and last line (from 0) of each solution, its markers included."""
    start = None
    begins, ends = _matches(BEGIN, source), _matches(END, source)
    for number in sorted({*begins, *ends}):
        if number in begins and start is not None:
            raise LessonProblem("### BEGIN SOLUTION stands inside another solution.")
        if number in ends and start is None:
            raise LessonProblem("### END SOLUTION has no ### BEGIN SOLUTION before it.")
        if start is not None:
            yield start - 1, number - 1
        start = number if number in begins else None
    if start is not None:
        raise LessonProblem("### BEGIN SOLUTION has no ### END SOLUTION after it.")


def _place(cell: Cell, line: int) -> str:
    """What stands at a line: a method as `Tensor.stride`, else the exercise itself."""
    names, body = list[str](), ast.parse(cell.source).body
    while body:
        around = [n for n in body if n.lineno <= line <= (n.end_lineno or n.lineno)]
        names += [n.name for n in around if isinstance(n, DEFINITION)]
        body = around[0].body if around and isinstance(around[0], ast.ClassDef) else []
    return ".".join(names) if "".join(names).strip("_") else cell.name


@lru_cache(10_000)
def _inside_strings(source: str) -> frozenset[int]:
    """The lines (from 1) that begin inside a multi-line string: what they hold is text, not directives."""
    try:
        tree = ast.parse(source)
    except SyntaxError:             # a demonstration with a %magic, or a learner's unfinished line
        return frozenset()
    strings = (n for n in ast.walk(tree) if isinstance(n, ast.Constant | ast.JoinedStr))
    return frozenset(line for n in strings for line in range(n.lineno + 1, (n.end_lineno or n.lineno) + 1))


# ------------------------------------------------------------------------------- the learner's notebook

FIRST_CELL = NotebookCell("first-cell", "code", """\
# Run me first. When `tito` exports into the tinytorch/ beside this notebook, it is loaded afresh.
%load_ext autoreload
%autoreload 2
from tinytorch import __workspace__     # says so if this is not the tinytorch you are writing""")


# nbgrader gives no points to a check beside which something was printed to stderr.
QUIET = """
import warnings
warnings.simplefilter("ignore", RuntimeWarning)     # inf and nan are answers here, as in PyTorch"""


def notebook(
    chapter: Chapter,
    solutions: bool = False,        # keep the solutions (tito's demo, the instructor's copy)
    nbgrader: bool = False,         # an assignment: hidden checks are there, for the grader to fill in
) -> list[NotebookCell]:
    """The cells of a lesson's notebook."""
    cells = [FIRST_CELL._replace(source=FIRST_CELL.source + QUIET) if nbgrader else FIRST_CELL]
    for cell in chapter.cells:
        if not cell.hidden:
            cells.append(NotebookCell(cell.id, cell.kind, shown(cell, solutions, markers=nbgrader)))
        elif nbgrader:
            cells.append(NotebookCell(cell.id, cell.kind, _hidden_check(cell, solutions)))
    return cells


def shown(cell: Cell, solution: bool = False, markers: bool = False) -> str:
    """A cell's text in the notebook: its directive, then its source with or without the solution."""
    words = list(cell.words)
    if cell.check:
        words.insert(words.index("check") + 1, f"{cell.points:g}")
    body = stripped(cell) if not solution else cell if markers else solved(cell)
    return (f"#| {' '.join(words)}\n" if words else "") + body.source


def _hidden_check(cell: Cell, solution: bool) -> str:
    if not solution:
        return "# Checked when you hand in."
    return f"{shown(cell, True)}".replace("\n", "\n### BEGIN HIDDEN TESTS\n", 1) + "\n### END HIDDEN TESTS"


def nbgrader_metadata(chapter: Chapter) -> dict[str, dict[str, Any]]:
    """For each cell id, what nbgrader (schema 3) has to know: who writes it, and its points."""
    return {c.id: {"nbgrader": _nbgrader(c)} for c in chapter.cells if c.kind == "code" and c.words}


def _nbgrader(cell: Cell) -> dict[str, Any]:
    return {
        "grade": cell.check,
        "grade_id": cell.id,
        "locked": not cell.exercise,
        "schema_version": 3,
        "solution": cell.exercise,
        "task": False,
        **({"points": cell.points} if cell.check else {}),
    }


# ---------------------------------------------------------------------------------- the learner's code

@dataclass(frozen=True)
class Lifted:
    """A lesson with the learner's code in place of the course's; prose and checks stay the course's."""

    cells: tuple[Cell, ...]
    missing: tuple[Cell, ...] = ()              # cells of the course that the notebook has lost
    sources: Mapping[str, str] = field(default_factory=dict)    # what was found, by cell id


def lifted(chapter: Chapter, rows: Iterable[NotebookCell]) -> Lifted:
    """The learner's cells found by id, or else by the name they define, or else missing.

    Cells that the learner added under `#| export` follow the cell they stand behind.
    """
    wanted = {cell.id: cell for cell in chapter.exported()}
    course = {cell.id for cell in chapter.cells} | {FIRST_CELL.id}
    code = [row for row in recognised(chapter, rows) if row.kind == "code"]
    sources = {row.id: row.source for row in reversed(code) if row.id in wanted}
    found = Chapter(tuple(c for c in chapter.cells if not c.exported or c.id in sources))
    cells = list(with_sources(found.cells, sources))
    anchor = None
    for row in code:
        if row.id in sources:
            anchor = row.id
        elif row.id not in course and "export" in directives(row.source)[0]:
            place = next((i for i, c in enumerate(cells) if c.id == anchor), -1) + 1
            cells.insert(place, _added(row, {c.id for c in cells}))
            anchor = cells[place].id
    return Lifted(tuple(cells), tuple(c for c in wanted.values() if c.id not in sources), sources)


def recognised(chapter: Chapter, rows: Iterable[NotebookCell]) -> list[NotebookCell]:
    """A notebook's cells, with the course's ids where an editor has lost or changed them."""
    rows = list(rows)
    wanted = {cell.id for cell in chapter.exported()}
    there = {row.id for row in rows if row.kind == "code"}
    for cell in chapter.exported():
        if cell.id in there: continue
        strays = (i for i, row in enumerate(rows) if row.kind == "code" and row.id not in wanted)
        for place in (i for i in strays if _is(cell, rows[i])):
            rows[place] = rows[place]._replace(id=cell.id)
            break
    return rows


def with_sources(cells: Iterable[Cell], sources: Mapping[str, str]) -> tuple[Cell, ...]:
    """The cells with the learner's text in place of the course's; an exported cell without one is refused."""
    result = []
    for cell in cells:
        if cell.exported and cell.id not in sources:
            raise LessonProblem(f"the cell '{cell.id}' is gone.", "`tito module reset` brings it back.")
        text = sources[cell.id] if cell.exported else ""
        result.append(replace(cell, source=directives(text)[2], text=text) if cell.exported else cell)
    return tuple(result)


def _is(cell: Cell, row: NotebookCell) -> bool:
    """Whether a cell defines what the course's cell defines (or says the very same)."""
    words, _, source = directives(row.source)
    return "export" in words and (cell.name in _names(source) or source == cell.source)


def _names(source: str) -> tuple[str, ...]:
    try:
        return defined_names(source)
    except SyntaxError:             # the learner is in the middle of a line; the runner says where
        return ()


def _added(row: NotebookCell, taken: set[str]) -> Cell:
    wanted = row.id or next(iter(_names(row.source)), "added")
    id = next(n for k in count(1) if (n := wanted if k == 1 else f"{wanted}-{k}") not in taken)
    return Cell("code", directives(row.source)[2], ("export",), id=id, name=id, text=row.source)
