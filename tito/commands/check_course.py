"""`tito check-course`: does the course keep its promises?"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from tito.commands import LESSON, Command, as_json, reply
from tito.core.curriculum import CurriculumProblem
from tito.core.errors import CHECKS_FAILED, OK, NotFound, UsageProblem
from tito.core.rules import Fault, Inspected


@click.command("check-course", cls=Command, examples=[
    ("tito check-course", "all lessons; a few minutes on two cores"),
    ("tito check-course 05 06", "the course as a whole, and two lessons"),
    ("tito check-course --fast", "read everything, run nothing"),
    ("tito check-course --json", "every fault, for a program"),
])
@click.argument("lessons", type=LESSON, nargs=-1)
@click.option("--fast", is_flag=True, help="Read the lessons, and run none of them.")
@as_json
def check_course(lessons: tuple[str, ...], fast: bool, as_json: bool) -> int:
    """Check the course itself, in a checkout of it.

    Of each lesson: every exercise fails while it is blank, with a sentence, and passes with the course's
    answer; nothing later is needed; no learner's file tells a solution; all that its prose names is there.
    """
    from tito.checkout import open_checkout
    from tito.inspection import Inspection
    from tito.view.live import watching

    course = open_checkout(Path.cwd())
    if course is None:
        raise UsageProblem("This is no checkout of the course.", "`tito doctor` looks at a workspace.")
    try:
        course.curriculum       # noqa: B018 - it is read when it is first asked for
    except CurriculumProblem as problem:
        fault = Fault("order", "curriculum.toml", problem.message)
        return report([Inspected("the course", (fault,))], fast, as_json)
    chosen = [course.curriculum.lesson(name) for name in lessons] or list(course.curriculum)
    written = [lesson for lesson in chosen if lesson.name in course.written()]
    if not written:
        raise NotFound(f"Lesson {chosen[0].label} is still being written.", "tito module list")
    tito = click.get_current_context().find_root().command
    with tempfile.TemporaryDirectory() as folder, watching("checking the course", quiet=as_json) as watch:
        inspection = Inspection(course, Path(folder), partial(problem_with, tito=tito))
        found = list(inspection.look(written, fast, watch.line))
    found = found[:1] + sorted(found[1:], key=lambda one: one.label)
    return report(found, fast, as_json)


def report(found: list[Inspected], fast: bool, as_json: bool) -> int:
    from tito.view.inspection import inspected
    broken = any(one.faults for one in found)
    data = [{**asdict(one), "faults": [fault._asdict() for fault in one.faults]} for one in found]
    reply(as_json, "inspection", {"ok": not broken, "fast": fast, "found": data}, inspected, found, fast)
    return CHECKS_FAILED if broken else OK


def problem_with(line: str, tito: click.Command) -> str:
    """Why a command line of the documentation cannot be typed; "" if it can."""
    from tito.core.prose import PLACE

    words: list[str] = PLACE.sub("x", line).split()[1:]
    command = tito
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return "" if words[0] == "x" else f"there is no command {words[0]}"
        command, words = found, words[1:]
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    wrong = [w for w in words if w.startswith("-") and w.partition("=")[0] not in known | {"--help", "-h"}]
    return f"it has no option {wrong[0]}" if wrong else ""
