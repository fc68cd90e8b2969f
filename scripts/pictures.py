"""Record the main screens of tito as SVG, for the README and the guides.

    python scripts/pictures.py [NAME …]         (default: all of them; a finished workspace takes minutes)

Each picture is a command that was typed in a terminal of 80 columns, by a learner whose answers are the
course's. What stands in it is what the command wrote: verdicts, numbers and times are those of the machine on
which this ran.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from tito.app import Workspace, create_workspace
from tito.core.curriculum import Lesson
from tito.core.lesson import shown
from tito.services_course import Course, open_course

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, ROWS = 80, 24
PATIENCE = 600.0                    # seconds
END_OF_SCREEN = "\x1b[J"            # of each screen that tito watch draws
MOVES = re.compile(r"\x1b\[\?[0-9;]*[a-zA-Z]|\x1b\[[0-9;]*[A-LN-Za-ln-z]")     # all codes but colours
WRONG = """\
#| export exercise
def broadcast_shapes(*shapes: tuple[int, ...]) -> Size:
    met = [max(lengths) for lengths in zip(*shapes)]
    return Size(met)"""
OTHERWISE = """\
#| export exercise
def position(index: tuple[int, ...], stride: tuple[int, ...]) -> int:
    place = 0
    for dim in range(len(index)):
        place += index[dim] * stride[dim]
    return place"""
OLDER = ("it can be set back while you look", "it may be set back while you look")     # of lesson 01


class Picture(NamedTuple):
    typed: str                      # tito module test 02
    where: Callable[[], Path]       # the folder in which it is typed
    answers: Sequence[str] = ()     # lines that are typed when it asks
    until: str = ""                 # it goes on until this is to be seen …
    key: str = ""                   # … and is ended by this


CLEARER = {"#868887": "#9a9c9b", "#cc555a": "#e8767b"}      # 4.5 : 1 on the ground of a terminal, and more


# ---------------------------------------------------------------------------------------- a terminal

def recorded(picture: Picture) -> str:
    """What was to be seen: text with colours."""
    folder = picture.where()
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    command = [sys.executable, "-m", "tito", *picture.typed.split()[1:]]
    process = subprocess.Popen(command, cwd=folder, stdin=slave, stdout=slave, env=surroundings(folder),
                               stderr=subprocess.DEVNULL)
    os.close(slave)
    text, answers, until = "", list(picture.answers), time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if select.select([master], [], [], 0.1)[0]:
                text += os.read(master, 1 << 16).decode("utf-8", "replace")
        except OSError:                                         # the other side is closed
            break
        if answers and text.endswith("> "): os.write(master, f"{answers.pop(0)}\n".encode())
        if picture.until and re.search(picture.until, last_screen(text)):
            time.sleep(0.5)
            os.write(master, picture.key.encode())
            text, picture = last_screen(text), picture._replace(until="")
            process.wait(timeout=30)
            break
    process.kill()
    process.wait()
    told = MOVES.sub("", text.replace("\r\n", "\n")).strip("\n")
    if not told.strip(): raise SystemExit(f"`{picture.typed}` shows nothing.")
    return at_home(told, folder)


def at_home(text: str, folder: Path) -> str:
    """The paths of Ada's machine in place of this one's."""
    theirs = {str(folder.parent): "/home/ada", sys.executable: "/home/ada/.venv/bin/python",
              str(ROOT): "/home/ada/.venv/lib/python3/site-packages"}
    for here, there in theirs.items(): text = text.replace(here, there)
    return text


def last_screen(text: str) -> str:
    """Of a program that draws the whole terminal anew, the last whole one; else everything."""
    whole = text.split(END_OF_SCREEN)[:-1]
    return whole[-1] if whole else text


def surroundings(folder: Path) -> dict[str, str]:
    """Of somebody at home in the folder above the workspace, who has nothing else installed."""
    home = str(folder.parent)
    return {**os.environ, "HOME": home, "TINYTORCH_CACHE": str(Path(home).parent / "cache"),
            "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLORTERM": "truecolor",
            "COLUMNS": str(COLUMNS), "LINES": str(ROWS), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def drawn(typed: str, text: str) -> str:
    console = Console(file=io.StringIO(), record=True, force_terminal=True, color_system="truecolor",
                      width=COLUMNS)
    console.print(Text.from_ansi(f"{text}\n "))        # under the last line there is room for an underscore
    svg = console.export_svg(title=typed, unique_id="tito")
    svg = re.sub(r"<!--.*?-->", "<!-- Recorded by scripts/pictures.py -->", svg, count=1)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)        # nothing is fetched to show it
    for faint, readable in CLEARER.items(): svg = svg.replace(faint, readable)
    return svg.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")


# ------------------------------------------------------------------------------------- the workspaces

FOLDER = TemporaryDirectory()


def home(name: str) -> Path:
    """The workspace of a learner who has a home of their own."""
    folder = Path(FOLDER.name) / name / "mytorch"
    folder.parent.mkdir()
    return folder


def answer(place: Workspace, lesson: Lesson, cells: dict[str, str]) -> None:
    """Writes into a notebook."""
    write(place.notebook(lesson), cells)


def write(path: Path, cells: dict[str, str]) -> None:
    """New text for cells of a notebook, by id."""
    data = json.loads(path.read_text("utf-8"))
    for cell in data["cells"]:
        if cell.get("id") in cells: cell["source"] = cells[cell["id"]]
    path.write_text(json.dumps(data), "utf-8")


def solve(place: Workspace, *lessons: Lesson) -> None:
    """Lessons completed with the course's answers."""
    for lesson in lessons:
        place.start(lesson)
        answer(place, lesson, answers(place, lesson))
        place.complete(lesson)


def answers(place: Workspace, lesson: Lesson) -> dict[str, str]:
    """The course's, by the cell's id."""
    return {cell.id: shown(cell, solution=True) for cell in place.course.chapter(lesson).exercises()}


@cache
def halfway() -> Path:
    """In lesson 02: everything before broadcast_shapes is right, and shapes are lined up at the wrong end."""
    place = create_workspace(home("halfway"))
    setup, tensor = place.course.curriculum.lessons[:2]
    solve(place, setup)
    place.start(tensor)
    exercises = place.course.chapter(tensor).exercises()
    before = [cell.id for cell in takewhile(lambda cell: cell.name != "broadcast_shapes", exercises)]
    known = answers(place, tensor)
    mine = {"position": OTHERWISE, "broadcast_shapes": WRONG}
    answer(place, tensor, {id: known[id] for id in before} | mine)
    place.test(tensor)
    return place.root


@cache
def first_milestone() -> Path:
    """Lessons 01 to 03, and Foundation unlocked."""
    place = create_workspace(home("foundation"))
    solve(place, *place.course.curriculum.lessons_of("foundation"))
    place.milestone_unlock("foundation")
    return place.root


@cache
def outdated() -> Path:
    """A workspace made of an older course, in which a sentence and a check of lesson 01 were others."""
    course = open_course()
    older = Path(FOLDER.name) / "older"
    for name in ("modules", "milestones", "tests/lessons"): shutil.copytree(course.root / name, older / name)
    lesson = course.curriculum.lessons[0]
    file = older / "modules" / lesson.folder / f"{lesson.name}.py"
    text = file.read_text("utf-8")
    found = re.findall(r"^assert median\(\[4.*\n", text, re.MULTILINE)
    assert OLDER[0] in text and len(found) == 1, "lesson 01 has changed: an older one is to be made otherwise"
    file.write_text(text.replace(*OLDER).replace(found[0], ""), "utf-8")
    place = create_workspace(home("outdated"), Course(older))
    place.start(lesson)
    answer(place, lesson, answers(place, lesson))
    return place.root


@cache
def finished() -> Path:
    """All sixteen lessons complete."""
    place = create_workspace(home("finished"))
    solve(place, *(x for x in place.course.curriculum if x.name in place.course.written()))
    return place.root


@cache
def autumn() -> Path:
    """A class of three: one has solved everything, one two thirds, one a third."""
    folder = home("class").with_name("autumn")

    def type_in(*words: str) -> None:
        place = folder if folder.exists() else folder.parent
        command = [sys.executable, "-m", "tito", "course", *words]
        subprocess.run(command, cwd=place, env=surroundings(place), check=True, stdout=subprocess.DEVNULL)

    type_in("init", "autumn")
    type_in("generate", "01-setup")
    course = open_course()
    lesson = course.curriculum.lessons[0]
    exercises = course.chapter(lesson).exercises()
    for number, student in enumerate(("ada", "emmy", "max")):
        handed_in = folder / "submitted" / student / "01-setup"
        shutil.copytree(folder / "release" / "01-setup", handed_in)
        solved = exercises[:len(exercises) - number * len(exercises) // 3]
        write(handed_in / lesson.notebook, {cell.id: shown(cell, solution=True) for cell in solved})
    type_in("grade", "01-setup")
    return folder


PICTURES = {
    "status": Picture("tito status", halfway),
    "lessons": Picture("tito module list", halfway),
    "test": Picture("tito module test 02", halfway),
    "watch": Picture("tito watch", halfway, until=r"quit(?!.*checking)", key="q"),
    "hint": Picture("tito module hint 02 broadcast_shapes", halfway),
    "solution": Picture("tito module solution 02 position", halfway),
    "quiz": Picture("tito quiz 02", halfway, ("(4, 1) (1, 4) False", "d", "\x04")),
    "undo": Picture("tito undo --list", halfway),
    "doctor": Picture("tito doctor", halfway),
    "timeline": Picture("tito milestone timeline", halfway),
    "milestones": Picture("tito milestone status --detailed", first_milestone),
    "update": Picture("tito update --diff --dry-run", outdated),
    "graph": Picture("tito show graph", finished),
    "bench": Picture("tito bench mlp", finished),
    "package": Picture("tito package build", finished),
    "capstone": Picture("tito capstone list", finished),
    "class": Picture("tito course status 01-setup", autumn),
}


def main() -> None:
    for name in sys.argv[1:] or PICTURES:
        text = recorded(PICTURES[name])
        (ROOT / "docs" / "pictures" / f"{name}.svg").write_text(drawn(PICTURES[name].typed, text), "utf-8")
        print(f"{name}: {text.count(chr(10)) + 1} lines", flush=True)


if __name__ == "__main__":
    main()
