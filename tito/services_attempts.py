"""Trying what might be written for an exercise: a lesson is made once, and its attempts are forks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

from tito.core.attempts import Attempt, judged, own_check, variant
from tito.core.curriculum import Lesson, module_of
from tito.core.errors import ChecksFailed, EnvironmentProblem
from tito.core.lesson import Chapter, lifted, notebook
from tito.core.plan import Limits, Plan, Run
from tito.core.results import Result
from tito.core.verdicts import Tested, units
from tito.ports.files import write_tree
from tito.ports.runner import Runner
from tito.services_course import Course

T = TypeVar("T")
U = TypeVar("U")
LIMITS = Limits(test=10, lesson=1800)
AT_ONCE = 2                         # processes


class Attempts:
    """Tries attempts at exercises, each in the package of one who has done the lessons before."""

    def __init__(self, course: Course, folder: Path, runner: Runner, limits: Limits = LIMITS):
        self.course, self.folder, self.runner, self.limits = course, folder, runner, limits

    def results(
        self, wanted: Mapping[str, Sequence[Attempt]], to_the_end: bool = False,
    ) -> dict[str, dict[str, list[Result]]]:
        """For each lesson, what its checks say of each attempt (as far as its first problem).

        Asked are the checks on the exercise itself, or all that follow it.
        """
        lessons = {name: self.course.curriculum.lesson(name) for name in wanted}
        plans = {name: self.plan(lessons[name], some, to_the_end) for name, some in wanted.items() if some}
        longest_first = sorted(plans, key=lambda name: -len(wanted[name]))
        runs = side_by_side(lambda name: self.runner.run(plans[name]), longest_first)
        return {name: self.told(lessons[name], wanted[name], runs[name]) for name in plans}

    def plan(self, lesson: Lesson, attempts: Sequence[Attempt], to_the_end: bool) -> Plan:
        if not hasattr(os, "fork"):
            raise EnvironmentProblem("Attempts are tried in forks, which this system has not.",
                                     "Linux and macOS have.")
        chapter, stage = self.course.chapter(lesson), str(self.stage(lesson))
        variants = tuple(variant(chapter, one, "" if to_the_end else own_check(chapter, one.exercise))
                         for one in attempts)
        return Plan("variants", stage, stage, self.limits, units(self.solved(lesson)), variants,
                    environment={"TINYTORCH_SHIPPED": str(self.course.datasets)})

    def told(self, lesson: Lesson, attempts: Sequence[Attempt], run: Run) -> dict[str, list[Result]]:
        base = [o for o in run.outcomes if not o.variant]
        wrong = next((o for o in base if o.outcome != "passed"), None)
        if wrong or not run.finished:
            said = f"{wrong.unit}: {wrong.type}: {wrong.text}" if wrong else f"{run.ending} {run.noise}"
            raise ChecksFailed(f"Lesson {lesson.label} does not run with the course's own answers: {said}")
        found: dict[str, list] = {one.name: [] for one in attempts}
        for outcome in run.outcomes:
            if outcome.variant: found[outcome.variant].append(outcome)
        tested = self.solved(lesson)
        return {one.name: judged(tested, one, base, found[one.name]) for one in attempts}

    @cache                              # noqa: B019 - it lives as long as we do
    def solved(self, lesson: Lesson) -> Tested:
        """The lesson with the course's answers in it."""
        chapter = self.course.chapter(lesson)
        return tested(lesson, chapter, self.limits, solutions=True)

    def package(self, lesson: Lesson, files: Iterable[str]) -> dict[str, str]:
        """The package a learner has: all that the lesson needs, and these of its own files."""
        own = {module_of(file) for file in files}
        sources = {module: text for module, text in self.modules(lesson).items() if module in own}
        for one in self.course.curriculum.needs_closure(lesson): sources |= self.modules(one)
        return self.course.package(sources)

    @cache                              # noqa: B019
    def modules(self, lesson: Lesson) -> dict[str, str]:
        """What a lesson exports: module -> source."""
        return self.course.sources(lesson, lesson.files)

    @cache                              # noqa: B019
    def stage(self, lesson: Lesson) -> Path:
        """A folder with the package of one who begins this lesson."""
        write_tree(self.folder / lesson.folder / "tinytorch", self.package(lesson, lesson.given))
        return self.folder / lesson.folder


def tested(lesson: Lesson, chapter: Chapter, limits: Limits, solutions: bool) -> Tested:
    """A lesson's notebook, solved or blank, as it would be tested."""
    rows = notebook(chapter, solutions)
    return Tested(lesson.label, lesson.notebook, chapter, lifted(chapter, rows), rows, limits)


def side_by_side(work: Callable[[T], U], of: Iterable[T]) -> dict[T, U]:
    """The work on several things, two at a time."""
    things = list(of)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(things, pool.map(work, things)))
