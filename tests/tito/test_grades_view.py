"""A class on a terminal, wide and narrow."""

import io
from datetime import UTC, datetime
from types import SimpleNamespace as Facts

import pytest

from tito.core import grades
from tito.core.grades_collect import Arrival
from tito.core.grades_export import Row
from tito.view import grading
from tito.view.screen import Screen

ARRIVALS = [Arrival("ann/01_counting.ipynb", "ann", "x", "counting", None, "taken"),
            Arrival("hal/x.ipynb", "hal", "x", "", None, "refused", ("it is a link",))]
ROWS = (Row("ann", "a", 6, 6), Row("eve", "a", 0, 6, problem="the file is empty",
                                   flags=("`after` looks around",)))
DONE = Facts(rows=ROWS, safe=False, marked=2, known=1, seconds=3.2, troubles=("counting: Lost: it ended",))
CHECK = grades.CheckFigures("c", "twice", "counting", 2, 1, "twice three is six",
                            "adds two instead of doubling")
STANDING = [Facts(assignment="01-counting", due=datetime(2027, 1, 4, tzinfo=UTC), submitted=3, graded=2,
                  waiting=1,
                  generated=False)]
VALIDATED = [Facts(ok=False, assignment="01", lesson="counting", full=6.0, points=6.0, blank=1.0,
                   weak=("hidden-after",))]
MADE = [Facts(assignment="01", points=6.0, checks=3, hidden=1, questions=0, files=("01_counting.ipynb",))]
BOOK = grades.Graded("counting", (grades.Mark("c", "after", "after", 2, 0, "failed", "after one comes two"),),
                     ("its outputs take 6 MiB; they were not kept",))

PAGES = [
    (grading.collected, (ARRIVALS,), ["1 taken, 1 refused", "it is a link"]),
    (grading.graded, (DONE,), ["No sandbox was used", "1 had not changed", "the file is empty", "Lost"]),
    (grading.statistics, ("01", grades.Figures(2, 6, 3, 3, 0, 6, (CHECK,))),
     ["mean 3.0 of 6", "1 of 2", "adds two"]),
    (grading.standing, (STANDING,), ["01-counting", "04 Jan 2027", "not generated"]),
    (grading.validated, (VALIDATED,), ["6 of 6", "hidden-after"]),
    (grading.generated, (MADE,), ["01_counting.ipynb"]),
    (grading.checked, (BOOK,), ["0 of 2 points", "after one comes two", "6 MiB"]),
    (grading.alike, ([(0.9, "ann", "bob", "counting"), (0.1, "a", "b", "c")], "moss"),
     ["90 %", "reason to look"]),
]


@pytest.mark.parametrize("width", [100, 40])
@pytest.mark.parametrize(("view", "values", "said"), PAGES, ids=lambda p: getattr(p, "__name__", ""))
def test_a_page_says_what_there_is_to_say_in_its_width(view, values, said, width):
    file = io.StringIO()
    screen = Screen(file, width=width, force_terminal=True, color_system=None)
    screen.show(view(*values, screen))
    text = " ".join(file.getvalue().split())
    assert [words for words in said if words not in text] == []
    assert max(map(len, file.getvalue().split("\n"))) <= width


@pytest.mark.parametrize(("seconds", "said"),
                         [(30, "about 30 s left"), (600, "about 10 min left"), (7200, "about 2.0 h left")])
def test_time_left_is_said_in_a_unit_that_suits(seconds, said): assert grading.time_left(seconds) == said
