"""What every command is made of: help that ends in examples, names that complete, answers in JSON."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from tito.core.errors import USAGE

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tito.app import Workspace
    from tito.core.curriculum import Curriculum, Lesson
    from tito.core.milestones import Standing
    from tito.core.plan import Limits

Example = tuple[str, str]           # what to type, what it does
Data = dict[str, Any]
View = Callable[..., "RenderableType"]      # (*values, screen) -> what is drawn


class Command(click.Command):
    """A command whose help ends in examples, and whose function may return an exit code."""

    def __init__(self, *args: Any, examples: Sequence[Example] = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(self.examples, formatter)


class Group(click.Group):
    """A group that keeps its commands in the order of the file, and answers a typo with a suggestion."""

    command_class = Command

    def __init__(self, *args: Any, examples: Sequence[Example] = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not (args or self.invoke_without_command or ctx.resilient_parsing):
            click.echo(ctx.get_help(), err=True)
            ctx.exit(USAGE)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"There is no command '{name}'.{did_you_mean(name, known)}", ctx)
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(self.examples, formatter)


def write_examples(examples: Sequence[Example], formatter: click.HelpFormatter) -> None:
    if examples:
        with formatter.section("Examples"):
            formatter.write_dl(examples, col_max=40)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


# ------------------------------------------------------------------------------------ names that complete

class CourseName(click.ParamType):
    """The name of a lesson, a milestone or a data set: the course knows them, and the shell is told."""

    def __init__(self, name: str, names: Callable[[Curriculum], list[tuple[str, str]]]):
        self.name, self.names = name, names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        with suppress(Exception):           # stay silent: somebody is typing
            return [
                CompletionItem(name, help=title)
                for name, title in self.names(curriculum()) if name.startswith(incomplete)
            ]
        return []


def lesson_names(course: Curriculum) -> list[tuple[str, str]]:
    return [(spelling, x.title) for x in course.lessons for spelling in (f"{x.number:02}", x.name)]


def milestone_names(course: Curriculum) -> list[tuple[str, str]]:
    return [(x.name, x.statement) for x in course.milestones]


def data_names(course: Curriculum) -> list[tuple[str, str]]:
    return [(name, x.title) for x in course.milestones for name in x.data]


LESSON = CourseName("lesson", lesson_names)
MILESTONE = CourseName("milestone", milestone_names)
DATA = CourseName("set", data_names)

as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
lesson = click.argument("lesson", type=LESSON)
this_lesson = click.argument("lesson", type=LESSON, required=False)        # without it, the one at hand


# ------------------------------------------------------------------------------------------- where we are

def curriculum() -> Curriculum:
    from tito.app import open_course
    return open_course().curriculum


def version() -> str:
    from tito.app import open_course
    return open_course().version


def workspace() -> Workspace:
    """The learner's workspace around the current folder; NotFound when there is none."""
    from tito.app import open_workspace
    return open_workspace(Path.cwd())


def at_hand(place: Workspace, lesson: str | None) -> Lesson:
    """The lesson named, or else the one being worked on."""
    return place.course.curriculum.lesson(lesson) if lesson else place.current()


def around() -> Standing:
    """Where the learner stands; outside a workspace, where somebody stands who has not begun."""
    from tito.core.errors import NotFound
    try:
        return workspace().standing()
    except NotFound:
        from tito.app import open_course
        from tito.core.milestones import standing
        from tito.core.progress import Progress
        course = open_course()
        gates = {m.name for m in course.curriculum.milestones if course.program(m)}
        return standing(course.curriculum, Progress(), course.written(), {}, gates)


# ------------------------------------------------------------------------------------------------ answers

def reply(as_json: bool, kind: str, data: Data, view: View, *values: Any) -> None:
    """Answer with data if JSON was asked for, else with a view of the values."""
    if as_json:
        from tito.view.data import envelope
        return print(envelope(kind, data))
    return show(view, *values)


def show(view: View, *values: Any) -> None:
    """Draw values on the screen."""
    from tito.view.screen import Screen
    screen = Screen()
    screen.show(view(*values, screen))


def limits(seconds: float | None) -> Limits:
    """What the learner's code may use: the defaults, the environment, the option."""
    from tito.core.plan import limits_from
    return limits_from(os.environ, test=seconds)


seconds = click.option("--seconds", type=float, help="Time for each check, instead of 60 seconds.")
