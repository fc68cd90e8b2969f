"""`tito quiz`: a few questions about a lesson."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from tito.commands import Command, as_json, at_hand, reply, show, this_lesson, workspace
from tito.core.errors import NotFound

if TYPE_CHECKING:
    from tito.core.quizzes import Asked, Question


@click.command(cls=Command, examples=[
    ("tito quiz", "about the lesson at hand"),
    ("tito quiz 02", "about lesson 02"),
    ("tito quiz 02 --json", "questions, answers and counts, for a program; nothing is asked"),
])
@this_lesson
@as_json
def quiz(lesson: str | None, as_json: bool) -> None:
    """Ask a few questions about a lesson: why, what is printed, how many.

    Answers are counted and never held against you. An empty line leaves a question out, Ctrl-D ends.
    """
    from tito.app import open_course
    from tito.core.quizzes import as_data
    from tito.services_quiz import counts, questions, record
    from tito.view import quiz as view
    try:
        place = workspace()
        course, chosen = place.course, at_hand(place, lesson)
    except NotFound:                    # outside of a workspace nothing is counted
        if not lesson: raise
        place, course = None, open_course()
        chosen = course.curriculum.lesson(lesson)
    found = questions(course, chosen)
    if as_json:
        so_far = counts(place).lessons.get(chosen.name, {}) if place else {}
        data = {"lesson": chosen.name, "questions": list(as_data(found, so_far))}
        return reply(as_json, "quiz", data, view.summary)
    told = []
    for asked in asking(found):
        told.append(asked)
        if place: record(place, chosen, [asked])        # at once: Ctrl-C loses nothing
    return show(view.summary, chosen, told)


def asking(questions: Iterable[Question]) -> Iterator[Asked]:
    """Asks one after the other, and says after each what the answer is."""
    from tito.core.quizzes import Asked
    from tito.view import quiz as view
    known = list(questions)
    for number, question in enumerate(known, 1):
        show(view.question, question, number, len(known))
        given = typed(question.lines)
        if given is None: return
        asked = Asked(question, given)
        show(view.answered, asked)
        yield asked


def typed(lines: int) -> str | None:
    """What somebody types, up to so many lines; "" if nothing, None when they end it."""
    sys.stdout.write("> ")
    sys.stdout.flush()
    found: list[str] = []
    while len(found) < lines and (line := sys.stdin.readline()).strip():
        found.append(line.strip())
    if not sys.stdin.isatty(): print()          # nobody typed the end of the line
    return None if not found and not line else "\n".join(found)


command = quiz
