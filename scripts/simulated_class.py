"""A class of made-up students: perfect, partly right, blank, mistaken, broken or up to something.

    python scripts/simulated_class.py FOLDER --lesson activations --students 200 [--seed 0]

writes FOLDER/submissions/STUDENT/NOTEBOOK and FOLDER/expected.json. What is expected comes from the checks
as a learner runs them (`tito module test`, asserts and all, no sandbox), so that it owes the grader nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tito.core.lesson import Cell, Chapter, NotebookCell, lifted, notebook, solutions
from tito.core.plan import Limits, Plan
from tito.core.verdicts import Tested, Verdicts, units
from tito.ports.files import write_tree
from tito.ports.notebooks import as_notebook
from tito.ports.runner import Processes
from tito.services_course import Course, open_course

ROOT = Path(__file__).resolve().parents[1]
Page = dict[str, Any]


@dataclass(frozen=True)
class Student:
    name: str
    kind: str
    data: bytes
    points: float
    taken: bool = True                  # False: `collect` must list it as a wrong notebook


# ------------------------------------------------------------------------------- what a learner would be told

@dataclass
class Desk:
    """A lesson, and the points that a set of exercises earns in it."""

    course: Course
    name: str
    folder: Path                        # where the package of the earlier lessons may lie

    @cached_property
    def lesson(self): return self.course.curriculum.lesson(self.name)
    @cached_property
    def chapter(self) -> Chapter: return self.course.chapter(self.lesson)
    @cached_property
    def rows(self) -> list[NotebookCell]: return notebook(self.chapter, solutions=True)
    @cached_property
    def blanks(self) -> dict[str, str]: return {row.id: row.source for row in notebook(self.chapter)}
    @cached_property
    def exercises(self) -> tuple[Cell, ...]: return self.chapter.exercises()

    @cached_property
    def stage(self) -> Path:
        sources = self.course.sources(self.lesson, self.lesson.given)
        for one in self.course.curriculum.needs_closure(self.lesson): sources |= self.course.sources(one,
            one.files)
        write_tree(self.folder / "tinytorch", self.course.package(sources))
        return self.folder

    def points(self, **sources: str | None) -> float:
        """What the solved notebook earns with these cells in it; None takes one out."""
        rows = [row._replace(source=sources.get(row.id, row.source)) for row in self.rows
                if sources.get(row.id, "") is not None]
        limits = Limits(test=20, lesson=120)
        work = lifted(self.chapter, rows)
        missing = tuple(c for c in self.exercises if c.id in sources and sources[c.id] is None)
        tested = Tested(self.lesson.label, self.lesson.notebook, self.chapter, replace(work, missing=missing),
                        rows, limits)
        run = Processes().run(Plan("cells", str(self.stage), str(self.stage), limits, units(tested)))
        verdicts = Verdicts(tested)
        results = [r for outcome in run.outcomes for r in verdicts.take(outcome)] + list(verdicts.rest())
        bad = {r.check for r in results if not r.ok}
        return sum(c.points for c in self.chapter.checks() if c.id not in bad)

    def page(self, **sources: str) -> Page:
        rows = [row._replace(source=sources.get(row.id, row.source)) for row in self.rows]
        found = as_notebook(rows, {})
        for cell in found["cells"]: cell["source"] = "".join(cell["source"])
        return found


# ----------------------------------------------------------------------------------------------- the students

def dumped(page: Page) -> bytes: return json.dumps(page, ensure_ascii=False).encode()


def everybody(desk: Desk, number: int, seed: int = 0) -> Iterator[Student]:
    """So many students: first one of each kind, then more mistakes and more partly right ones."""
    draw = random.Random(seed)
    full = desk.chapter.points
    kinds: list[Callable[[], Student]] = [
        lambda: Student("", "perfect", dumped(desk.page()), full),
        lambda: Student("", "blank", dumped(desk.page(**{c.id: desk.blanks[c.id] for c in desk.exercises})),
                        0.0),
        *(lambda f=f, k=k: Student("", k, *f(desk)) for k, f in BROKEN.items()),
        *(lambda a=a, k=k: attacker(desk, k, a) for k, a in ATTACKS.items()),
        lambda: Student("", "metadata", *priced(desk)),
    ]
    planted = [row for row in mistakes(desk) if row.get("new")]
    draw.shuffle(planted)
    makers = [kinds[0], kinds[1], lambda: partly(desk, draw),
              *(lambda r=r: mistaken(desk, r) for r in planted[:1]), *kinds[2:]]
    for index in range(number):
        if index < len(makers): student = makers[index]()
        elif index % 2 and planted: student = mistaken(desk, planted[index % len(planted)])
        else: student = partly(desk, draw)
        name = f"{index:03}-{student.kind.replace(' ', '-').replace(',', '')}"[:60]
        yield replace(student, name=name)


def partly(desk: Desk, draw: random.Random) -> Student:
    chosen = draw.sample(desk.exercises, draw.randint(1, max(1, len(desk.exercises) - 1)))
    cells = {c.id: desk.blanks[c.id] for c in chosen}
    return Student("", "partly right", dumped(desk.page(**cells)), desk.points(**cells))


def mistakes(desk: Desk) -> list[dict[str, str]]:
    file = ROOT / "tests" / "mutants" / f"{desk.lesson.folder}.toml"
    return tomllib.loads(file.read_text("utf-8"))["mistake"] if file.exists() else []


def mistaken(desk: Desk, row: dict[str, str]) -> Student:
    cell = next(r for r in desk.rows if r.id == row["exercise"])
    course = desk.chapter.cell(row["exercise"])
    assert course
    before, after = row.get("old", ""), row["new"]
    if not before:
        solution = solutions(course)[0]
        line = next(x for x in cell.source.split("\n") if x.strip() == solution.split("\n")[0])
        indent = line.removesuffix(solution.split("\n")[0])
        before, after = textwrap.indent(solution, indent), textwrap.indent(after.strip(), indent)
    cells = {cell.id: cell.source.replace(before, after)}
    return Student("", f"mistake in {cell.id}", dumped(desk.page(**cells)), desk.points(**cells))


def attacker(desk: Desk, kind: str, code: str) -> Student:
    """Wrong on purpose in its first exercise, and up to something."""
    cell = desk.exercises[0]
    source = f"#| export exercise\n{textwrap.dedent(code).strip()}\n{cell.name} = attack"
    harmless = f"#| export exercise\ndef attack(*a, **k): return None\n{cell.name} = attack"
    points = 0.0 if kind in SPOILS_ALL else desk.points(**{cell.id: harmless})
    return Student("", kind, dumped(desk.page(**{cell.id: source})), points)


# ----------------------------------------------------------------------------------------------- broken files

def edited(change: Callable[[Desk, Page], Any]) -> Callable[[Desk], tuple[bytes, float]]:
    """A perfect notebook that some editor has been at: it is worth all its points."""
    def make(desk: Desk) -> tuple[bytes, float]:
        page = desk.page()
        return dumped(change(desk, page) or page), desk.chapter.points
    return make


def last(desk: Desk) -> Cell: return desk.exercises[-1]


def code(desk: Desk, page: Page, cell: Cell) -> Page: return next(c for c in page["cells"]
    if c["id"] == cell.id)


def without(change: Callable[[Desk, Page, Page], Any]) -> Callable[[Desk], tuple[bytes, float]]:
    """The last exercise is lost in some way: the points are those of a notebook without it."""
    def make(desk: Desk) -> tuple[bytes, float]:
        page = desk.page()
        change(desk, page, code(desk, page, last(desk)))
        return dumped(page), desk.points(**{last(desk).id: None})
    return make


def ids_lost(desk: Desk, page: Page) -> None:
    page["nbformat_minor"] = 4
    for cell in page["cells"]: del cell["id"]


def colab(desk: Desk, page: Page) -> None:
    page["nbformat_minor"] = 0
    page["metadata"] |= {"colab": {"provenance": []}}
    for cell in page["cells"]: cell["metadata"] |= {"id": cell.pop("id"),
                                                    "colab": {"base_uri": "https://localhost/"}}


def new_ids(desk: Desk, page: Page) -> None:
    for number, cell in enumerate(page["cells"]): cell["id"] = f"{number:08x}"


def backwards(desk: Desk, page: Page) -> None: page["cells"].reverse()


def no_checks(desk: Desk, page: Page) -> None:
    page["cells"] = [c for c in page["cells"] if not c["source"].startswith("#| check")]


def doubled(desk: Desk, page: Page) -> None:
    """The blank stays, and a solved copy stands at the end."""
    cell = code(desk, page, last(desk))
    page["cells"].append({**copy.deepcopy(cell), "id": "copied"})
    cell["source"] = desk.blanks[last(desk).id]


def same_ids(desk: Desk, page: Page) -> None:
    page["cells"].insert(2, copy.deepcopy(code(desk, page, last(desk))))


def merged(desk: Desk, page: Page) -> None:
    one, two = code(desk, page, desk.exercises[-2]), code(desk, page, last(desk))
    one["source"] += "\n\n" + two["source"].removeprefix("#| export exercise\n")
    page["cells"].remove(two)


def outputs(desk: Desk, page: Page) -> None:
    code(desk, page, last(desk))["outputs"] = [{"output_type": "stream", "name": "stdout",
                                                "text": "x" * 7_000_000}]


def crlf(desk: Desk, page: Page) -> None:
    for cell in page["cells"]: cell["source"] = cell["source"].replace("\n", "\r\n")


def noisy(desk: Desk, page: Page) -> None:
    code(desk, page, last(desk))["source"] += \
        "\nimport sys, warnings\nprint('thinking', file=sys.stderr)\nwarnings.warn('careful')"


def rename(desk: Desk, page: Page, cell: Page) -> None:
    cell["source"] = cell["source"].replace(last(desk).name, f"my_{last(desk).name}")
def gone(desk: Desk, page: Page, cell: Page) -> None: page["cells"].remove(cell)
def to_markdown(desk: Desk, page: Page, cell: Page) -> None: cell["cell_type"] = "markdown"
def half_a_line(desk: Desk, page: Page, cell: Page) -> None: cell["source"] += "\n    return ("


def encoded(encoding: str) -> Callable[[Desk], tuple[bytes, float]]:
    def make(desk: Desk) -> tuple[bytes, float]:
        page = desk.page()
        code(desk, page, last(desk))["source"] += "\n# fait par Zoé"
        text = json.dumps(page).replace("Zo\\u00e9", "Zoé")         # everything else as \\u…, as some do it
        return text.encode(encoding), desk.chapter.points
    return make


def worthless(data: bytes) -> Callable[[Desk], tuple[bytes, float]]: return lambda desk: (data, 0.0)


BROKEN: dict[str, Callable[[Desk], tuple[bytes, float]]] = {
    "zero bytes": worthless(b""),
    "ids lost": edited(ids_lost),
    "cell deleted": without(gone),
    "cell doubled": edited(doubled),
    "cells merged": edited(merged),
    "saved by Colab": edited(colab),
    "not JSON": worthless(b"%PDF-1.7 my homework"),
    "saved with new ids": edited(new_ids),
    "function renamed": without(rename),
    "checks deleted": edited(no_checks),
    "cells backwards": edited(backwards),
    "UTF-16": encoded("utf-16"),
    "byte order mark": encoded("utf-8-sig"),
    "Windows-1252": encoded("cp1252"),
    "line ends of Windows": edited(crlf),
    "huge outputs": edited(outputs),
    "an id twice": edited(same_ids),
    "turned to markdown": without(to_markdown),
    "half a line": without(half_a_line),
    "prints and warns": edited(noisy),
    "JSON but no notebook": worthless(b'{"answer": 42}'),
    "nested a million deep": worthless(b"[" * 1_000_000),
    "git merge unfinished": worthless(b'{"cells": [\n<<<<<<< HEAD\n]}'),
    "an archive": worthless(b"PK\x05\x06" + b"\0" * 18),
}

ATTACKS = {
    "exit": "import os\ndef attack(*a, **k): os._exit(0)",
    "loop": "def attack(*a, **k):\n    while True: pass",
    "judge patched": """
        import gc
        for thing in gc.get_objects():
            if type(thing).__name__ == "Judge":
                type(thing).see = lambda self, place, value: self.told.append([place, True])
                type(thing).pair = lambda self, place, *_: self.told.append([place, True, True, True])
        def attack(*a, **k): return None""",
    "NumPy patched": """
        import numpy as np
        np.allclose = np.array_equal = np.isclose = lambda *a, **k: True
        def attack(*a, **k): return None""",
    "liar": """
        class Liar:
            def __getattr__(self, name): return Liar()
            def __call__(self, *a, **k): return Liar()
            def __eq__(self, other): return True
            def __lt__(self, other): return True
            def __gt__(self, other): return True
        def attack(*a, **k): return Liar()""",
    "children left": """
        import subprocess
        subprocess.Popen(["sleep", "86399"], start_new_session=True)
        def attack(*a, **k): return None""",
    "disk": """
        def attack(*a, **k):
            with open("/tmp/big", "wb") as file:
                while True: file.write(b"x" * (1 << 20))""",
    "memory": "def attack(*a, **k): return bytearray(1 << 40)",
    "output": "def attack(*a, **k):\n    while True: print('x' * 1000)",
    "files and variables read": """
        import glob, os
        def read(path):
            try: return open(path, errors="replace").read(1 << 20)
            except OSError: return ""
        wanted = "/**/*.ipynb", "/**/gradebook*", "/**/course.toml", "/proc/*/environ", "/**/activations.py"
        seen = [str(dict(os.environ)), *(read(p) for w in wanted for p in glob.glob(w, recursive=True)[:99])]
        def attack(*a, **k): return "".join(seen)""",
    "files written outside": """
        import os
        for folder in ("/", "/usr", "/etc", "/stage", "/stage/tinytorch", "/grade", "/packages", "/home"):
            try: open(os.path.join(folder, "planted"), "w").close()
            except OSError: pass
        def attack(*a, **k): return None""",
    "network": """
        import socket
        def attack(*a, **k): return socket.create_connection(("192.0.2.1", 80), 1).recv(100)""",
    "processes": "import os\ndef attack(*a, **k):\n    while True: os.fork()",
    "threads": """
        import threading, time
        threading.Thread(target=time.sleep, args=(86399,)).start()
        def attack(*a, **k):
            while True: threading.Thread(target=time.sleep, args=(86399,)).start()""",
    "signals": """
        import os, signal
        def attack(*a, **k):
            for who in (os.getppid(), 1, -1):
                try: os.kill(who, signal.SIGKILL)
                except OSError: pass""",
    "builtins patched": """
        import builtins
        builtins.isinstance = lambda *_: True
        builtins.AssertionError = type("Nothing", (Exception,), {})
        def attack(*a, **k): return None""",
    "clock patched": """
        import signal, time
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        time.monotonic = time.time = time.process_time = time.perf_counter = lambda: 0.0
        def attack(*a, **k):
            while True: pass""",
    "unpickled": """
        class Evil:
            def __reduce__(self): return __import__("os").system, ("touch /tmp/unpickled",)
        def attack(*a, **k): return Evil()""",
    "lines for IPython": """
        %load_ext autoreload
        get_ipython().input_transformers_post.append(lambda lines: ["pass"])
        def attack(*a, **k): return None""",
}


def priced(desk: Desk) -> tuple[bytes, float]:
    """Metadata that give every cell a thousand points, and let the student write the checks."""
    first = desk.exercises[0].id
    blank = {first: desk.blanks[first]}
    page = desk.page(**blank)
    for cell in page["cells"]:
        cell["metadata"]["nbgrader"] = {"grade": True, "grade_id": cell["id"], "points": 1000,
                                        "locked": False, "solution": True, "schema_version": 3, "task": False}
        if cell["source"].startswith("#| check"): cell["source"] = "#| check 1000\nassert True"
    return dumped(page), desk.points(**blank)


SPOILS_ALL = ("judge patched",)         # who changes the grader for one check has changed it for all


def make(folder: Path, lesson: str, number: int, seed: int = 0,
         course: Course | None = None) -> list[Student]:
    """Writes the class, and returns it."""
    desk = Desk(course or open_course(), lesson, folder / "stage")
    students = list(everybody(desk, number, seed))
    for student in students:
        place = folder / "submissions" / student.name
        place.mkdir(parents=True)
        (place / desk.lesson.notebook).write_bytes(student.data)
    expected = {s.name: {"kind": s.kind, "points": s.points} for s in students}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1), "utf-8")
    return students


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lesson", default="activations")
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    students = make(asked.folder, asked.lesson, asked.students, asked.seed)
    print(f"{len(students)} students of {len({s.kind for s in students})} kinds in {asked.folder}")


if __name__ == "__main__":
    main()
