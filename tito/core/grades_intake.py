"""What was handed in, as data: bytes to cells, and the exercises among them. Nothing of it is run. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tito.core.checks import TURN, names_in, plain
from tito.core.errors import TitoError
from tito.core.lesson import Cell, Chapter, Kind, Lifted, NotebookCell, directives, shown, with_sources

LARGEST = 64 << 20                  # bytes of a notebook, outputs included
LONGEST = 200_000                   # characters of a cell of code
DEEPEST = 100                       # brackets inside brackets, and signs in a row
ENCODINGS = ("utf-8-sig", "utf-16")
NESTED = re.compile(rf"[-+~]{{{DEEPEST},}}|(?:\bnot\s+){{{DEEPEST},}}")


class Unreadable(TitoError):
    """A file that is no notebook. It is reported, and the rest of the class goes on."""


@dataclass(frozen=True)
class Handed:
    """A notebook as it was handed in: its cells, and what is odd about them."""

    rows: tuple[NotebookCell, ...]
    ids: tuple[tuple[str, ...], ...] = ()       # for each cell, every id that some editor left
    notes: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------------- reading

def handed(data: bytes) -> Handed:
    """The cells of a file that was handed in; Unreadable says why there are none."""
    notes = list[str]()
    if not data.strip(b"\0 \r\n\t"): raise Unreadable("the file is empty")
    if len(data) > LARGEST: raise Unreadable(f"the file is larger than {LARGEST >> 20} MiB")
    notebook = parsed(decoded(data, notes))
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if isinstance(notebook, dict) and "worksheets" in notebook:
        raise Unreadable("it has the notebook format of before 2015")
    if not isinstance(cells, list): raise Unreadable("it is JSON, but no notebook")
    rows, ids = list[NotebookCell](), list[tuple[str, ...]]()
    for number, cell in enumerate(cells, 1):
        row = row_of(cell)
        if row is None or bomb(row):
            notes.append(f"cell {number} cannot be read, and was left out")
            continue
        rows.append(row)
        ids.append(ids_of(cell))
    size = sum(len(str(cell.get("outputs", ""))) for cell in cells if isinstance(cell, dict))
    if size > 5 << 20: notes.append(f"its outputs take {size >> 20} MiB; they were not kept")
    return Handed(tuple(rows), tuple(ids), tuple(notes))


def decoded(data: bytes, notes: list[str]) -> str:
    for encoding in ENCODINGS if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ENCODINGS[:1]:
        try:
            text = data.decode(encoding)
        except UnicodeError:
            continue
        if encoding != "utf-8-sig": notes.append(f"it was saved as {encoding.upper()}, not as UTF-8")
        return text
    notes.append("it is not UTF-8; it was read as Windows-1252")
    return data.decode("cp1252", "replace")


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise Unreadable("it is nested too deeply to be a notebook") from None
    except ValueError as problem:
        if "<<<<<<<" in text: raise Unreadable("a merge of git was left unfinished in it") from None
        raise Unreadable(f"it is no notebook: {problem}") from None


def row_of(cell: Any) -> NotebookCell | None:
    if not isinstance(cell, dict): return None
    source = cell.get("source", "")
    lines = [source] if isinstance(source, str) else source
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines): return None
    kind: Kind = "code" if cell.get("cell_type") == "code" else "markdown"
    text = "".join(lines).replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    return NotebookCell(next(iter(ids_of(cell)), ""), kind, text.encode("utf-8", "replace").decode())


def ids_of(cell: Mapping[str, Any]) -> tuple[str, ...]:
    """The id that nbgrader keeps, the cell's own, and the one that Colab moves into the metadata."""
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    grader = metadata.get("nbgrader")
    graded = grader.get("grade_id") if isinstance(grader, dict) else None
    found = (cell.get("id"), graded, metadata.get("id"))
    return tuple(dict.fromkeys(str(one) for one in found if isinstance(one, str) and one))


def bomb(row: NotebookCell) -> bool:
    """Code that is made to break whoever parses it."""
    if row.kind != "code": return False
    return len(row.source) > LONGEST or "\0" in row.source or deep(row.source) > DEEPEST \
        or bool(NESTED.search(row.source))


def deep(source: str) -> int:
    """The most brackets that are open at once, strings and comments included: a bound is enough."""
    most = now = 0
    for sign in source:
        now += (sign in "([{") - (sign in ")]}" and now > 0)
        most = max(most, now)
    return most


# ----------------------------------------------------------------------------------------------- lifting

@dataclass(frozen=True)
class Lift:
    """The master notebook with the learner's exercises in it, and what had to be mended."""

    lifted: Lifted
    rows: tuple[NotebookCell, ...]
    notes: tuple[str, ...] = ()
    found: Mapping[str, str] = field(default_factory=dict)      # exercise -> id, name, merged, missing


def lift(chapter: Chapter, work: Handed) -> Lift:
    """Exercises come from the learner, by id, or by the name they define; everything else is the course's.

    Of several cells for one exercise the last that is no blank counts, as in a notebook that is run through.
    Cells that the learner added under `#| export` stay where they stand.
    """
    notes, ways = list(work.notes), dict[str, str]()
    code = [(n, row) for n, row in enumerate(work.rows) if row.kind == "code"]
    names = {n: frozenset(names_in(clean(row.source))) for n, row in code}
    exports = {n for n, row in code if "export" in directives(row.source)[0]}
    wanted = {cell.id: cell for cell in chapter.exercises()}
    chosen, used = dict[str, int](), set[int]()
    for cell in wanted.values():
        by_id = [n for n, _ in code if cell.id in work.ids[n]]
        named = [n for n, _ in code if cell.name in names[n]
                 and (n in by_id or not claimed(work.ids[n], wanted))]
        exported = [n for n in named if n in by_id or n in exports]
        mine = exported or named or by_id
        if not mine: continue
        written = [n for n in mine if not blank(cell, work.rows[n].source)]
        chosen[cell.id] = (written or mine)[-1]
        ways[cell.id] = "id" if chosen[cell.id] in by_id else "name"
        used |= set(mine)
        if len(mine) > 1:
            notes.append(f"`{cell.name}` is there {len(mine)} times; the last one that is written counts")
        if ways[cell.id] == "name":
            notes.append(f"the cell of `{cell.name}` had lost its id; it was found by its name")
    sources = {id: with_word(work.rows[n].source, wanted[id]) for id, n in chosen.items()}
    for cell in wanted.values():
        if cell.id in sources: continue
        home = next((n for n, _ in code if cell.name in names[n]), None)
        if home is not None:
            sources[cell.id], ways[cell.id] = "", "merged"
            notes.append(f"`{cell.name}` stands in another cell, {work.rows[home].id or 'one without an id'}")
            if home not in chosen.values(): sources[cell.id] = with_word(work.rows[home].source, cell)
    missing = tuple(cell for id, cell in wanted.items() if id not in sources)
    ways |= {cell.id: "missing" for cell in missing}
    notes += [f"the cell of `{cell.name}` is gone" for cell in missing]
    notes += changed_given(chapter, work)
    own_ids = {id: work.rows[n].id for id, n in chosen.items()}
    cells = with_added(chapter, work, sources, chosen, used, {cell.id for cell in missing})
    rows = tuple(renamed(work.rows, own_ids))
    return Lift(Lifted(cells, missing, {**sources, **given(chapter)}), rows, tuple(notes), ways)


def clean(source: str) -> str: return directives(source)[2]


def blank(cell: Cell, source: str) -> bool:
    return plain(source) == plain(shown(cell)) or f"NotImplementedError(\"{TURN}" in source


def claimed(ids: Iterable[str], wanted: Mapping[str, Cell]) -> bool: return any(id in wanted for id in ids)


def with_word(source: str, cell: Cell) -> str:
    """An editor that drops comments drops `#| export exercise`, too."""
    if "export" in directives(source)[0]: return source
    return f"#| {' '.join(cell.words)}\n{source}"


def given(chapter: Chapter) -> dict[str, str]:
    """The cells that are not the learner's to write, as the course has them."""
    return {cell.id: cell.text for cell in chapter.exported() if not cell.exercise}


def with_added(
    chapter: Chapter, work: Handed, sources: Mapping[str, str], chosen: Mapping[str, int], used: set[int],
    missing: set[str],
) -> tuple[Cell, ...]:
    """The chapter with the learner's exercises, and what they added behind the exercise it follows."""
    kept = tuple(c for c in chapter.cells if c.id not in missing)
    cells = list(with_sources(kept, {**sources, **given(chapter)}))
    course = {cell.id for cell in chapter.cells}
    places, anchor, taken = {n: id for id, n in chosen.items()}, "", set(course)
    for n, row in enumerate(work.rows):
        if n in places:
            anchor = places[n]
        elif n not in used and row.kind == "code" and not course & set(work.ids[n]) \
                and "export" in directives(row.source)[0]:
            source = clean(row.source)
            id = next(x for k in range(len(taken) + 1) if (x := f"added-{k}") not in taken)
            taken.add(id)
            place = next((i for i, c in enumerate(cells) if c.id == anchor), first_exercise(cells) - 1) + 1
            cells.insert(place, Cell("code", source, ("export",), id=id, name=id, text=row.source))
            anchor = id
    return tuple(cells)


def first_exercise(cells: Sequence[Cell]) -> int:
    return next((n for n, cell in enumerate(cells) if cell.exercise), 0)


def changed_given(chapter: Chapter, work: Handed) -> Iterator[str]:
    """Cells that are not the learner's to write, and were written: the course's own are used."""
    locked = {cell.id: cell for cell in chapter.cells if cell.kind == "code" and not cell.exercise
              and not cell.hidden}
    for n, row in enumerate(work.rows):
        cell = next((locked[id] for id in work.ids[n] if id in locked), None)
        if cell and cell.words and plain(clean(row.source)) != plain(cell.source):
            what = "check" if cell.check else "given cell"
            yield f"the {what} `{cell.id}` was changed; the course's own was used"


def renamed(rows: Sequence[NotebookCell], own: Mapping[str, str]) -> Iterator[NotebookCell]:
    by_old = {old: new for new, old in own.items() if old}
    for row in rows: yield row._replace(id=by_old.get(row.id, row.id))


# ----------------------------------------------------------------------------------- what a person should see

SUSPICIOUS = {
    r"\b(ctypes|cffi|gc|inspect|_ctypes)\b": "looks inside the interpreter",
    r"sys\._getframe|f_globals|f_back|__globals__|settrace|setprofile": "looks at the frames of its callers",
    r"__tito|tito\.|witness|Judge\b": "names the grader",
    r"os\.(_exit|kill|fork|system|popen|exec|spawn)|\bsubprocess\b|\bsignal\b": "starts or ends processes",
    r"\bsocket\b|urllib|http\.client|requests\b": "asks the network",
    r"\bpickle\b|\bmarshal\b|__reduce__": "pickles",
    r"builtins|__builtins__|setattr\(\s*(np|numpy|math)": "changes what everybody uses",
    r"\beval\(|\bexec\(|\bcompile\(|__import__": "runs text as code",
    r"environ|/proc/|/etc/|gradebook": "looks around on the machine",
    r"^\s*[%!]": "has a line for IPython",
}


def suspicions(chapter: Chapter, work: Lift) -> tuple[str, ...]:
    """What a person should look at: it costs no points. What the course's own solution does is not odd."""
    found = list[str]()
    for cell in (*chapter.exercises(), *(c for c in work.lifted.cells if c.id.startswith("added-"))):
        source = work.lifted.sources.get(cell.id, cell.text)
        for pattern, what in SUSPICIOUS.items():
            own = cell.exercise and re.search(pattern, cell.source, re.MULTILINE)
            if not own and re.search(pattern, source, re.MULTILINE):
                found.append(f"`{cell.name}` {what}")
    return tuple(dict.fromkeys(found))


def blanked(work: Lift, id: str) -> Lift:
    """The same without a cell that ended the process in which the others were to be run."""
    cells = tuple(c for c in work.lifted.cells if c.id != id)
    return replace(work, lifted=replace(work.lifted, cells=cells))
