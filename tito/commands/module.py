"""`tito module …`: work on a lesson."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import click

from tito.commands import (
    Group,
    around,
    as_json,
    at_hand,
    lesson,
    limits,
    reply,
    seconds,
    this_lesson,
    workspace,
)
from tito.core.errors import CHECKS_FAILED, OK, Locked
from tito.core.lesson import Chapter
from tito.core.results import WORST, Report, Status

exercise = click.argument("exercise", required=False)
anyway = click.option("--anyway", is_flag=True, help="Although lessons it needs are not complete.")


@click.group(cls=Group, examples=[
    ("tito module start 02", "open a lesson"),
    ("tito module test", "check what I wrote"),
    ("tito module hint", "a nudge for the exercise I am at"),
    ("tito module complete", "put it into my package"),
])
def module() -> None:
    """Work on a lesson: start, test, hint, complete, and more.

    A LESSON is named by its number or its name: 2, 02 or tensor. Without one, it is the one at hand.
    """


# ------------------------------------------------------------------------------------------- looking

@module.command("list", examples=[("tito module list", "all lessons, with what is done and what is open")])
@as_json
def list_(as_json: bool) -> None:
    """List all lessons."""
    from tito.view import course, data
    standing = around()
    reply(as_json, "lessons", data.of_lessons(standing), course.lessons, standing)


@module.command(examples=[
    ("tito module status", "the lessons you have begun"),
    ("tito module status 02", "one of them"),
])
@this_lesson
@as_json
def status(lesson: str | None, as_json: bool) -> None:
    """Show checks, points and hints of the lessons you have begun."""
    from tito.view import course, data
    place = workspace()
    wanted = at_hand(place, lesson) if lesson else None
    begun = [x for x in place.standing().lessons if (x.lesson == wanted if wanted else x.record.started)]
    reply(as_json, "lessons", {"lessons": [data.of_lesson(x) for x in begun]}, course.begun, begun)


@module.command("show", examples=[
    ("tito module show 02", "its question, objectives and exercises"),
    ("tito module show 02 mul", "what you wrote for mul"),
])
@this_lesson
@exercise
@as_json
def show_(lesson: str | None, exercise: str | None, as_json: bool) -> None:
    """Show a lesson, or what you wrote for one exercise."""
    from tito.view import data
    from tito.view import lesson as view
    place = workspace()
    wanted = at_hand(place, lesson)
    if exercise:
        code = place.cell(wanted, exercise)
        facts = {"lesson": wanted.name, "exercise": exercise, "source": code}
        return reply(as_json, "exercise", facts, view.source, wanted, exercise, "as you wrote it", code)
    standing = place.standing().lesson(wanted.name)
    chapter = place.course.chapter(wanted) if standing.mark != "unwritten" else None
    values = (standing, chapter, marks(chapter, place.last_report(wanted)))
    return reply(as_json, "lesson", data.of_chapter(*values), view.page_of, *values)


def marks(chapter: Chapter | None, report: Report | None) -> Mapping[str, Status]:
    """The worst that was found about each exercise; one without a check passes with the whole lesson."""
    untested: Status = "passed" if report and report.ok else "todo"
    about: dict[str, list[Status]] = {cell.name: [] for cell in chapter.exercises()} if chapter else {}
    for test in report.tests if report else ():
        if test.exercise in about: about[test.exercise].append(test.status)
    return {name: min(found, key=WORST.index, default=untested) for name, found in about.items()}


# ------------------------------------------------------------------------------------------- working

@module.command(examples=[
    ("tito module start", "open the lesson at hand, or the next one"),
    ("tito module start 02", "open lesson 02 tensor"),
    ("tito module start 02 --no-open", "make its notebook and open nothing"),
])
@this_lesson
@anyway
@click.option("--no-open", is_flag=True, help="Make the notebook and open nothing.")
@as_json
def start(lesson: str | None, anyway: bool, no_open: bool, as_json: bool) -> None:
    """Open a lesson's notebook."""
    from tito.view import lesson as view
    place = workspace()
    begun = place.start(at_hand(place, lesson), anyway)
    opened = None if no_open or as_json else place.open(begun.lesson)
    reply(as_json, "started", asdict(begun), view.started, begun, opened)


@module.command(examples=[
    ("tito module test", "check the lesson at hand"),
    ("tito module test 02", "check lesson 02"),
    ("tito module test 02 --json", "all results, for a program"),
])
@this_lesson
@seconds
@as_json
def test(lesson: str | None, seconds: float | None, as_json: bool) -> int:
    """Check what you wrote."""
    from tito.view import lesson as view
    from tito.view.live import watching
    place = workspace()
    wanted = at_hand(place, lesson)
    with watching(wanted.label, quiet=as_json) as watch:
        report = place.test(wanted, limits(seconds), watch.result)
    complete = place.standing().lesson(wanted.name).mark == "done"
    reply(as_json, "report", report.as_json(), view.tested, wanted, report, complete)
    return OK if report.ok else CHECKS_FAILED


@module.command(examples=[
    ("tito module complete", "the lesson at hand"),
    ("tito module complete 02", "lesson 02"),
])
@this_lesson
@anyway
@seconds
@as_json
def complete(lesson: str | None, anyway: bool, seconds: float | None, as_json: bool) -> int:
    """Check a lesson and put your code into ./tinytorch."""
    from tito.view import data
    from tito.view import lesson as view
    from tito.view.live import watching
    place = workspace()
    wanted = at_hand(place, lesson)
    with watching(wanted.label, quiet=as_json) as watch:
        done = place.complete(wanted, limits(seconds), watch.result, anyway)
        step = place.measure_step(wanted) if done.report.ok else 0.0
    before = place.last_step(wanted) if step else None
    facts = {**data.of_completion(done), "step_seconds": step or None}
    reply(as_json, "completion", facts, view.completed, done, step, before)
    return OK if done.report.ok else CHECKS_FAILED


@module.command(examples=[
    ("tito module reset 02 mul", "the blank of one exercise again"),
    ("tito module reset 02", "the whole notebook as it was at the start"),
    ("tito undo", "and back"),
])
@lesson
@exercise
@as_json
def reset(lesson: str, exercise: str | None, as_json: bool) -> None:
    """Begin a lesson or one exercise again; `tito undo` takes it back."""
    from tito.view import lesson as view
    change = workspace().reset(lesson, exercise)
    reply(as_json, "change", asdict(change), view.changed, change)


# ---------------------------------------------------------------------------------------- being helped

@module.command(examples=[
    ("tito module hint", "the next hint for the exercise you are at"),
    ("tito module hint 02 mul", "the next hint for mul"),
    ("tito module hint 02 mul --all", "all of them"),
])
@this_lesson
@exercise
@click.option("--all", "everything", is_flag=True, help="All hints at once.")
@as_json
def hint(lesson: str | None, exercise: str | None, everything: bool, as_json: bool) -> None:
    """Give the next hint for an exercise."""
    from tito.view import data
    from tito.view import lesson as view
    place = workspace()
    first = place.hint(at_hand(place, lesson), exercise, 1 if everything else None)
    others = range(2, first.total + 1) if everything else ()
    hints = [first, *(place.hint(first.lesson, first.exercise, number) for number in others)]
    reply(as_json, "hints", data.of_hints(hints), view.hints, hints)


@module.command(examples=[
    ("tito module solution 02 mul", "the course's own beside yours, once yours has passed"),
    ("tito module solution 02 mul --give-up", "before it has"),
])
@lesson
@click.argument("exercise")
@click.option("--give-up", is_flag=True, help="Show it although yours has not passed.")
@click.option("--no-cost", is_flag=True, help="Without measuring what each costs.")
@as_json
def solution(lesson: str, exercise: str, give_up: bool, no_cost: bool, as_json: bool) -> None:
    """Show how the course solves an exercise, how yours differs, and what each costs."""
    from tito.view import data
    from tito.view import lesson as view
    place = workspace()
    wanted = at_hand(place, lesson)
    name = place.solution(wanted, exercise).exercise
    found = marks(place.course.chapter(wanted), place.last_report(wanted))
    if not give_up and found.get(name) != "passed":
        raise Locked(f"{name} has not passed yet: the pleasure of finding it is still yours.",
                     f"`tito module hint {wanted.number:02} {name}` helps; --give-up shows it anyway.")
    both = place.solution(wanted, name, measure=not no_cost and found.get(name) == "passed")
    reply(as_json, "solution", data.of_solution(both), view.solution, both)
