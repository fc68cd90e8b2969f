"""What the book shows below a cell is what the cell shows; a cell that raises ends the build."""

import sys
from pathlib import Path

import pytest

from tito.checkout import open_checkout
from tito.core.lesson import chapter

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book"))
import outputs  # noqa: E402

COURSE = open_checkout(ROOT)
PACKAGE = {"__init__.py": "", "halves.py": "def half(x): return x / 2\n"}


def ran(*cells: str, module: str = "") -> list:
    return outputs._run({"cells": list(cells), "module": module}, PACKAGE, COURSE, "halves")


@pytest.mark.parametrize("source, shown", [
    ("1 + 1", [["text", "2"]]),
    ("x = 2", []),
    ("None", []),
    ("3;", []),
    ("print('a')\n4", [["text", "a"], ["text", "4"]]),
    ("print('10 %\\r90 %\\rdone')", [["text", "done"]]),
    ("print('\\x1b[31mred\\x1b[0m')", [["text", "red"]]),
    ("object.__new__(object)", [["text", "<object object>"]]),
    ("from pathlib import Path; print(Path.home() / 'x')", [["text", "~/x"]]),
    ("import warnings; warnings.warn('careful')", [["text", "<cell 1>:1: UserWarning: careful\n  import "
                                                    "warnings; warnings.warn('careful')"]]),
    ("class S:\n    def _repr_svg_(self): return '<svg/>'\nS()", [["svg", "<svg/>"]]),
    ("class H:\n    def _repr_html_(self): return '<b>x</b>'\nH()", [["html", "<b>x</b>"]]),
])
def test_a_cell_shows_what_a_notebook_would(source, shown): assert ran(source) == [shown]


def test_cells_share_their_names_and_the_package_is_the_one_that_was_given():
    assert ran("from tinytorch.halves import half", "y = half(8)", "y") == [[], [], [["text", "4.0"]]]
    assert ran("half(6)", module="tinytorch.halves") == [[["text", "3.0"]]]


def test_a_cell_that_raises_ends_the_build_and_says_which():
    with pytest.raises(outputs.ChapterFailed, match=r"(?s)halves\.py.*cell 2.*1 / 0.*ZeroDivisionError"):
        ran("1", "1 / 0")


class Course:
    """As much of a course as one lesson needs."""

    curriculum = ()
    datasets = COURSE.datasets

    def chapter(self, lesson, file): return chapter([("code", self.text)])
    def package(self, sources): return PACKAGE
    def sources(self, lesson, files): return {}


def test_what_was_shown_is_kept_until_the_cell_changes(tmp_path, monkeypatch):
    lesson, course = COURSE.curriculum.lesson("setup"), Course()
    runs, run = [], outputs._run
    monkeypatch.setattr(outputs, "_digest", lambda course, lesson, asked: asked["cells"][0].replace(" ", ""))
    monkeypatch.setattr(outputs, "_run", lambda *given: runs.append(1) or run(*given))
    monkeypatch.setattr(outputs, "package_of", lambda course, lesson, complete: PACKAGE)
    shown = []
    for course.text in ("1 + 1", "1 + 1", "2 + 2"):
        shown.append(outputs.outputs(course, lesson, "setup", tmp_path))
    assert shown == [[[["text", "2"]]]] * 2 + [[[["text", "4"]]]] and len(runs) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["01_setup-setup-2+2.json"]


@pytest.mark.parametrize("change", ["cells", "module"])
def test_the_digest_changes_with_what_is_run(change):
    lesson = COURSE.curriculum.lesson("setup")
    asked = {"cells": ["1"], "module": ""}
    assert outputs._digest(COURSE, lesson, asked) != outputs._digest(COURSE, lesson, {**asked, change: "2"})
