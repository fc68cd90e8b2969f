"""Attempts at exercises, in forks of one process: each is judged alone, whatever becomes of the others."""

import os
from dataclasses import replace

import pytest

from tito.core.attempts import Attempt, Mistake, blank, mistakes, planted, right
from tito.core.errors import ChecksFailed
from tito.core.plan import Limits
from tito.ports.runner import Processes
from tito.services_attempts import Attempts

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")
HEAD = "#| export exercise\ndef after(n):\n    "


@pytest.fixture(scope="module")
def found(course, tmp_path_factory):
    chapter = course.chapter(course.curriculum.lesson(1))
    after, twice = chapter.exercises()
    some = [blank(after), right(after), right(twice), blank(twice),
            Attempt("wrong", "after", f"{HEAD}return n - 1"),
            Attempt("endless", "after", f"{HEAD}while True: pass"),
            Attempt("gone", "after", f"{HEAD}import os; os._exit(3)"),
            Attempt("no Python", "after", f"{HEAD}return n +"),
            Attempt("a constant", "twice", "#| export exercise\ndef twice(n): return 6")]
    attempts = Attempts(course, tmp_path_factory.mktemp("stages"), Processes(), Limits(test=1, lesson=60))
    return attempts.results({"counting": some})["counting"]


@pytest.mark.parametrize("name, status, message", [
    ("after: left blank", "todo", "your turn: after"),
    ("twice: left blank", "todo", "your turn: twice"),
    ("wrong", "failed", "after one comes two"),
    ("endless", "timeout", "endless loop"),
    ("gone", "error", "exit code 3"),
    ("no Python", "error", "not Python"),
    ("a constant", "failed", "debts double too"),
])
def test_what_is_wrong_is_said(name, status, message, found):
    problem = next(result for result in found[name] if not result.ok)
    assert problem.status == status and message in problem.message


@pytest.mark.parametrize("name", ["after: solved", "twice: solved"])
def test_what_is_right_passes(name, found):
    assert found[name] and all(result.ok for result in found[name])


def test_a_mistake_stands_where_the_solution_stood(course):
    chapter = course.chapter(course.curriculum.lesson(1))
    whole = planted(chapter, Mistake("after", "one less", "", "return n - 1"))
    part = planted(chapter, Mistake("after", "one less", "", "- 1", "+ 1"))
    assert whole.source == part.source and whole.source.endswith("    return n - 1")


@pytest.mark.parametrize("mistake", [
    Mistake("afterwards", "", "", "x"), Mistake("after", "", "", "x", "return m"),
    Mistake("after", "", "", "x", "n"),
])
def test_a_mistake_that_has_no_place_is_refused(mistake, course):
    with pytest.raises(ChecksFailed): planted(course.chapter(course.curriculum.lesson(1)), mistake)


def test_mistakes_are_read_from_toml():
    text = '[[mistake]]\nexercise = "after"\nwhat = "one less"\nidea = "two"\nnew = "return n - 1"\n'
    assert mistakes(text) == [Mistake("after", "one less", "two", "return n - 1")]


def test_a_course_whose_own_answers_fail_is_told(course, tmp_path):
    lesson, attempts = course.curriculum.lesson(1), Attempts(course, tmp_path, Processes(), Limits(lesson=60))
    plan = attempts.plan(lesson, [right(course.chapter(lesson).exercises()[1])], to_the_end=False)
    units = [replace(unit, source="1 / 0") if unit.id == "after" else unit for unit in plan.units]
    run = Processes().run(replace(plan, units=tuple(units)))
    with pytest.raises(ChecksFailed, match="after: ZeroDivisionError"): attempts.told(lesson, [], run)
