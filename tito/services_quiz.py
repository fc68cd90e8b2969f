"""Quizzes of the course, and what a workspace has counted of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tito.core.curriculum import Lesson
from tito.core.errors import NotFound
from tito.core.quizzes import Asked, Counts, Question, counts_from, parse
from tito.ports.files import write
from tito.services_course import Course

if TYPE_CHECKING:
    from tito.app import Workspace

FILE = "quizzes.json"


def questions(course: Course, lesson: Lesson) -> tuple[Question, ...]:
    """The questions about a lesson; NotFound if there are none."""
    path = course.modules / lesson.folder / "quiz.toml"
    if not path.exists():
        raise NotFound(f"There is no quiz about lesson {lesson.label} yet.", "tito module list")
    return parse(path.read_text("utf-8"), f"modules/{lesson.folder}/quiz.toml")


def counts(place: Workspace) -> Counts:
    """What was asked so far."""
    path = place.state.folder / FILE
    if not path.exists(): return Counts()
    try:
        return counts_from(json.loads(path.read_text("utf-8")))
    except ValueError:
        return counts_from(None)


def record(place: Workspace, lesson: Lesson, asked: Sequence[Asked]) -> None:
    """Counts a round."""
    with place.state.alone(f"quiz {lesson.label}"):
        news = counts(place).plus(lesson.name, asked)
        write(place.state.folder / FILE, json.dumps(news.as_json(), indent=2, sort_keys=True) + "\n")
