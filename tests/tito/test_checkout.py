"""`tito export` in a checkout of the course, and `tito notebook`."""

import json
import shutil
from pathlib import Path

import pytest

from tito.checkout import Drift, open_checkout, write_notebook
from tito.cli import main
from tito.core.errors import CHECKS_FAILED, OK, USAGE, EnvironmentProblem, UsageProblem
from tito.core.lesson import chapter
from tito.ports.package import PackageFolder
from tito.services_course import Course

REPOSITORY = Path(__file__).resolve().parents[2]
CURRICULUM = """
format = 1
[[milestone]]
name = "all"
title = "All"
statement = "I can"
story = ""
[[lesson]]
number = 1
name = "one"
title = "One"
question = "?"
milestone = "all"
minutes = 1
[lesson.exports]
"tinytorch" = ["one"]
[[lesson]]
number = 2
name = "two"
title = "Two"
question = "?"
milestone = "all"
minutes = 1
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A checkout with one written lesson, and us standing in it."""
    root = tmp_path / "course"
    (root / "modules/01_one").mkdir(parents=True)
    for path in (REPOSITORY / "modules").glob("_*.py"):
        shutil.copy(path, root / "modules")
    (root / "modules/curriculum.toml").write_text(CURRICULUM, "utf-8")
    (root / "modules/pytorch_names.txt").write_text("[torch]\nacos\n", "utf-8")
    (root / "modules/01_one/one.py").write_text("# %%\n#| export\none = 1\n", "utf-8")
    (root / "pyproject.toml").write_text('[project]\nversion = "7.8.9"\n', "utf-8")
    monkeypatch.chdir(root)
    return root


def test_the_package_is_made_from_the_lessons_that_are_written(course):
    drift = open_checkout(course).export()
    assert Drift("one.py", "new") in drift and "two.py" not in [d.file for d in drift]
    assert (course / "tinytorch/one.py").read_text("utf-8").endswith("\none = 1\n")
    assert '__version__ = "7.8.9"' in (course / "tinytorch/__init__.py").read_text("utf-8")


def test_a_second_export_has_nothing_to_do(course):
    open_checkout(course).export()
    before = {p: p.stat().st_mtime_ns for p in (course / "tinytorch").rglob("*")}
    assert open_checkout(course).export() == []
    assert {p: p.stat().st_mtime_ns for p in (course / "tinytorch").rglob("*")} == before


def test_what_no_lesson_makes_any_more_goes_away_and_other_files_stay(course):
    open_checkout(course).export()
    (course / "tinytorch/old").mkdir()
    (course / "tinytorch/old/gone.py").write_text("# Generated from modules/x.py by `tito export`.\n")
    (course / "tinytorch/mine.py").write_text("x = 1\n")
    assert open_checkout(course).export() == [Drift("mine.py", "not generated"), Drift("old/gone.py", "gone")]
    assert (course / "tinytorch/mine.py").exists() and not (course / "tinytorch/old").exists()


def test_check_names_the_files_that_differ_and_changes_none(course, capsys):
    assert main(["export", "--check"]) == CHECKS_FAILED
    assert not (course / "tinytorch").exists()
    assert main(["export"]) == OK
    assert main(["export", "--check"]) == OK
    (course / "tinytorch/one.py").write_text("edited by hand")
    capsys.readouterr()
    assert main(["export", "--check"]) == CHECKS_FAILED
    told = capsys.readouterr().out
    assert "changed  tinytorch/one.py" in told and "__init__" not in told


def test_check_answers_in_json_with_its_notes(course, capsys):
    (course / "modules/01_one/one.py").write_text("# %%\n#| export\none = 1\nextra = 2\n", "utf-8")
    (course / "modules/01_one/appendix_lost.py").write_text("", "utf-8")
    main(["export"])
    capsys.readouterr()
    assert main(["export", "--check", "--json"]) == OK
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == [] and told["notes"] == [
        "lesson 01 one lists in no face: extra",
        "modules/01_one/appendix_lost.py is not in the files of lesson 01 one",
    ]


def test_a_course_that_cannot_be_exported_changes_nothing(course, capsys):
    main(["export"])
    before = (course / "tinytorch/one.py").read_text("utf-8")
    (course / "modules/01_one/one.py").write_text("# %%\n#| export\ntwo = 2\n", "utf-8")
    assert main(["export"]) == CHECKS_FAILED
    assert "lesson 01 one lists one for tinytorch" in capsys.readouterr().err
    assert (course / "tinytorch/one.py").read_text("utf-8") == before


def test_one_lesson_alone_is_not_exported_in_a_checkout(course):
    assert main(["export", "01"]) == USAGE


def test_a_workspace_inside_a_checkout_is_a_workspace(course):
    inside = course / "demo" / "notes"
    inside.mkdir(parents=True)
    assert open_checkout(inside).root == course
    (course / "demo/.tito").mkdir()
    (course / "demo/.tito/workspace.json").write_text("{}")
    assert open_checkout(inside) is None


def test_check_outside_of_a_checkout_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--check"]) == USAGE


def test_a_full_disk_changes_no_file(course, monkeypatch):
    open_checkout(course).export()
    folder = PackageFolder(course / "tinytorch")
    before, written = folder.read(), []

    def full(number):
        if written: raise OSError(28, "No space left on device")
        written.append(number)
    monkeypatch.setattr("tito.ports.files.os.fsync", full)
    with pytest.raises(EnvironmentProblem, match=r"_names\.py was not written: the disk is full"):
        folder.write({"one.py": "1", "_names.py": "2"})
    assert folder.read() == before and not list((course / "tinytorch").glob(".*"))


def test_the_version_is_what_the_checkout_says_whatever_is_installed(course):
    assert Course(course).version == "7.8.9"


# ---------------------------------------------------------------------------------------------- notebooks

LESSON = chapter([("code", "#| export exercise\nx = 0\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION")])


def test_a_notebook_is_never_written_over_without_force(tmp_path):
    path = tmp_path / "01_one.ipynb"
    write_notebook(LESSON, path)
    with pytest.raises(UsageProblem, match="is there already"):
        write_notebook(LESSON, path)
    write_notebook(LESSON, path, solutions=True, force=True)
    assert "x = 1" in path.read_text("utf-8")


def test_an_assignment_has_nbgraders_metadata(tmp_path):
    write_notebook(LESSON, tmp_path / "a.ipynb", nbgrader=True)
    cell = json.loads((tmp_path / "a.ipynb").read_text("utf-8"))["cells"][1]
    assert cell["metadata"]["nbgrader"]["solution"] and "x = 1" not in "".join(cell["source"])
