"""The committed package is what the lessons make; lessons and notebooks keep their promises."""

import ast
import json
import re
from pathlib import Path

import pytest

from tito.checkout import open_checkout
from tito.core.export import defined_names
from tito.core.faces import installed
from tito.core.lesson import notebook, shown, stripped
from tito.ports.notebooks import NotebooksOnDisk, round_trip_differences

ROOT = Path(__file__).resolve().parents[2]
COURSE = open_checkout(ROOT)
FILES = sorted((ROOT / "modules").glob("[0-9]*/*.py"))
CHAPTERS = [pytest.param(lesson, chapter, id=f"{lesson.folder}/{file}")
            for (lesson, file), chapter in COURSE.chapters.items()]


SOLUTION = re.compile("### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)
HINT = re.compile(r"#\| hint (.*)")


def strings(data):
    """Every string in a notebook, metadata included."""
    parts = list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
    return [data] if isinstance(data, str) else [string for part in parts for string in strings(part)]


def test_the_committed_package_is_what_the_lessons_make():
    assert COURSE.drift(COURSE.generated()) == [], "run `tito export`"


def test_every_file_of_a_lesson_is_in_its_list():
    assert [note for note in COURSE.notes() if "is not in the files" in note] == []


def test_every_generated_file_is_python_and_says_what_to_edit():
    for name, source in COURSE.generated().items():
        compile(source, name, "exec")
        assert source.startswith("# Generated from ") and source.endswith("\n"), name


def test_every_listed_name_is_defined():
    for name, source in installed(COURSE.curriculum, COURSE.generated()).items():
        listed = next((ast.literal_eval(n.value) for n in ast.parse(source).body if isinstance(n, ast.Assign)
                       and ast.unparse(n.targets[0]) == "__all__"), [])
        assert set(listed) <= set(defined_names(source)), name


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_reading_and_writing_a_lesson_changes_nothing(path):
    assert round_trip_differences(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_the_learners_notebook_holds_no_solution_and_no_hint(path, tmp_path):
    """No line of a solution, wherever in the file, that the rest of the lesson does not say anyway."""
    text, disk = path.read_text("utf-8"), NotebooksOnDisk()
    disk.write(notebook(disk.read_lesson(path)), tmp_path / "n.ipynb")
    told = "\n".join(strings(json.loads((tmp_path / "n.ipynb").read_text("utf-8"))))
    secret = SOLUTION.findall(text) + HINT.findall(text)
    rest = HINT.sub("", SOLUTION.sub("", text))
    lines = {line.strip() for part in secret for line in part.split("\n") if len(line.strip()) > 12}
    assert [line for line in lines if line in told and line not in rest] == []
    assert "BEGIN SOLUTION" not in told and "#| hint" not in told


@pytest.mark.parametrize(("lesson", "chapter"), CHAPTERS)
def test_every_blank_raises_and_every_exercise_is_checked(lesson, chapter):
    checked = {chapter.about(check).id for check in chapter.checks() if chapter.about(check)}
    cells = list(chapter)
    for cell in chapter.exercises():
        assert "your turn: " in shown(cell), cell.id
        following = cells[cells.index(cell) + 1:]
        assert cell.id in checked or any(c.check for c in following), f"nothing checks {cell.id}"


@pytest.mark.parametrize(("lesson", "chapter"), CHAPTERS)
def test_a_check_says_a_sentence_for_each_assert(lesson, chapter):
    for cell in chapter.checks():
        asserts = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Assert)]
        assert asserts and all(node.msg for node in asserts), cell.id


@pytest.mark.parametrize(("lesson", "chapter"), CHAPTERS)
def test_every_blank_is_python_and_says_whose_turn_it_is(lesson, chapter):
    for cell in chapter.cells:
        if cell.exercise:
            blank = stripped(cell).source
            compile(blank, cell.id, "exec")
            assert 'raise NotImplementedError("your turn: ' in blank, cell.id
