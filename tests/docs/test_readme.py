"""What README.md shows a command to answer, it answers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.demo import answer
from tito.app import create_workspace
from tito.core.lesson import shown
from tito.ports.notebooks import NotebooksOnDisk

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWN = dict(text.removeprefix("$ ").split("\n", 1) for _, text in FENCED.findall(README) if text[0] == "$")


def told(words: str, folder: Path) -> str:
    """What a command prints, without the spaces at the ends of lines."""
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-m", *words.split()], cwd=folder, env=surroundings,
                          capture_output=True, text=True)
    return re.sub(r" +$", "", done.stdout + done.stderr, flags=re.MULTILINE)


def test_there_is_nothing_else_that_claims_an_answer():
    assert list(SHOWN) == ["tito module test 01", "tito milestone run foundation"]


def test_the_first_ten_minutes_go_as_they_are_told(tmp_path):
    blank, typed = [text for kind, text in FENCED.findall(README) if kind == "python"]
    place = create_workspace(tmp_path / "mytorch")
    lesson = place.course.curriculum.lesson("setup")
    place.start(lesson)
    cell = next(c for c in place.course.chapter(lesson).exercises() if c.name == "seconds_of")
    begun = shown(cell)
    assert blank.strip() in begun
    typed_in = begun.replace(blank.rstrip("\n"), typed.rstrip("\n"))
    answer(NotebooksOnDisk(), place.notebook(lesson), {cell.id: typed_in})
    said = told("tito module test 01", place.root)
    assert [line for line in SHOWN["tito module test 01"].splitlines() if line not in said] == []


@pytest.mark.slow
def test_the_first_milestone_reads_the_four(tmp_path):
    place = create_workspace(tmp_path / "mytorch")
    for lesson in place.course.curriculum.lessons_of("foundation"):
        place.start(lesson)
        cells = {c.id: shown(c, solution=True) for c in place.course.chapter(lesson).exercises()}
        answer(NotebooksOnDisk(), place.notebook(lesson), cells)
        place.complete(lesson)
    said = told("tito milestone run foundation", place.root)
    wanted = SHOWN["tito milestone run foundation"].splitlines()
    assert [line for line in map(str.strip, wanted) if line not in said] == []
