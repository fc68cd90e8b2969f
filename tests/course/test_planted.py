"""Mistakes in the exercises, planted by hand or made by rule: the lesson's own checks find them.

A mistake planted by hand is a plausible one, and the first check to fail names the idea that was missed.
"""

import tomllib
from pathlib import Path

import pytest

from tito.core.attempts import Attempt, Mistake, mistakes, mutated, planted
from tito.core.results import Result
from tito.ports.runner import Processes
from tito.services_attempts import Attempts
from tito.services_course import open_course

MUTANTS = Path(__file__).parents[1] / "mutants"
COURSE = open_course()
MISTAKES = [(file.stem, mistake) for file in sorted(MUTANTS.glob("[0-9]*.toml"))
            for mistake in mistakes(file.read_text("utf-8"))]
LESSONS = [lesson for lesson in COURSE.curriculum if lesson.name in COURSE.written()]

tried = {lesson.folder: COURSE.chapter(lesson) for lesson in LESSONS}
SURVIVORS = tomllib.loads((MUTANTS / "survivors.toml").read_text("utf-8"))["survivor"]
EXCUSED = {one["mutant"] for one in SURVIVORS}
BY_RULE = [(lesson.folder, found[0]) for lesson in LESSONS for cell in tried[lesson.folder].exercises()[::3]
           if (found := [attempt for mutant, attempt in mutated(cell).values()
                         if f"{lesson.folder} {cell.name}: {mutant}" not in EXCUSED])]


def at_once(lesson: str, mistake: Mistake) -> bool:
    """Whether it belongs to the sample that is tried every time: the first of each exercise."""
    return mistake == next(m for other, m in MISTAKES if (other, m.exercise) == (lesson, mistake.exercise))


TRIED = [pytest.param(*row, marks=[] if at_once(*row) else pytest.mark.slow, id=f"{row[0]}-{row[1]}")
         for row in MISTAKES]


@pytest.fixture(scope="module")
def judgements(request, tmp_path_factory) -> dict[tuple[str, str], list[Result]]:
    """What the checks say of all that is asked for here; each lesson is one process, two run at a time."""
    wanted: dict[str, dict[str, Attempt]] = {}
    for item in request.session.items:
        if "judgements" not in item.fixturenames: continue
        lesson, what = (item.callspec.params[name] for name in ("lesson", "mistake"))
        attempt = planted(tried[lesson], what) if isinstance(what, Mistake) else what
        wanted.setdefault(lesson, {})[attempt.name] = attempt
    attempts = Attempts(COURSE, tmp_path_factory.mktemp("stages"), Processes())
    names = {lesson.folder: lesson.name for lesson in LESSONS}
    found = attempts.results({names[folder]: list(some.values()) for folder, some in wanted.items()})
    return {(folder, name): results for folder in wanted for name, results in found[names[folder]].items()}


@pytest.mark.parametrize(("lesson", "mistake"), TRIED)
def test_a_planted_mistake_is_found_and_its_idea_named(lesson, mistake, judgements):
    problems = [r for r in judgements[lesson, str(mistake)] if not r.ok]
    assert problems, "no check of the lesson finds it"
    said = problems[0].message
    assert mistake.idea.lower() in said.lower(), f"`{problems[0].name}` says only: {said}"


@pytest.mark.parametrize(("lesson", "mistake"), [pytest.param(*r, id=f"{r[0]}-{r[1].name}") for r in BY_RULE])
def test_a_mutant_of_the_sample_is_found(lesson, mistake, judgements):
    """All of them are tried by `make mutants`, which lists the survivors with their reasons."""
    assert any(not r.ok for r in judgements[lesson, mistake.name])


def test_every_lesson_has_planted_mistakes():
    assert {lesson for lesson, _ in MISTAKES} == set(tried)
