"""The course as the learner walks it: where they are, the lessons, the milestones, the way still to go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from rich.columns import Columns
from rich.console import RenderableType
from rich.text import Text

from tito.core.advice import Advice
from tito.core.milestones import LessonStanding, MilestoneStanding, Standing
from tito.view.checks import shown
from tito.view.screen import Screen, bar, columns, commands, indented, line, page, stack

BAR, TITLE = 24, 12                 # columns of a bar, of a milestone's title

# ----------------------------------------------------------------------------------------------- words

def lesson_sign(lesson: LessonStanding, screen: Screen) -> tuple[str, str]:
    signs = screen.signs
    return {
        "done": (signs.done, "good"), "stale": (signs.stale, "stale"), "started": (signs.started, "now"),
        "open": (signs.open, ""), "locked": (signs.locked, "quiet"), "unwritten": (signs.locked, "quiet"),
    }[lesson.mark]


def milestone_sign(milestone: MilestoneStanding, screen: Screen) -> tuple[str, str]:
    signs = screen.signs
    if milestone.unlocked: return (signs.stale, "stale") if milestone.stale else (signs.done, "good")
    return (signs.started, "now") if milestone.percent else (signs.open, "quiet")


def state(lesson: LessonStanding) -> str:
    """Where a lesson stands, in words."""
    record = lesson.record
    return {
        "done": f"done {record.completed[:10]}",
        "stale": "changed since it passed",
        "started": f"{record.passed} of {record.total} checks pass" if record.total else "started",
        "open": "open",
        "locked": "after " + ", ".join(x.label for x in lesson.missing),
        "unwritten": "being written",
    }[lesson.mark]


def time_and_state(lesson: LessonStanding, screen: Screen) -> str:
    return f" {screen.signs.dot} ".join((hours(lesson.lesson.minutes), state(lesson)))


def hours(minutes: int) -> str:
    whole, rest = divmod(minutes, 60)
    return " ".join(f"{n} {unit}" for n, unit in ((whole, "h"), (rest, "min")) if n)


# ------------------------------------------------------------------------------------- where I am, next

def here(standing: Standing, advice: Advice, root: Path, screen: Screen) -> RenderableType:
    """The lesson at hand and what to type next."""
    now = standing.next_lesson
    return page(
        line((at_home(root), "strong"), "  ", (way(standing, screen), "quiet")),
        question(now, screen) if now else None,
        next_steps(advice, screen),
    )


def status(standing: Standing, advice: Advice, root: Path, screen: Screen) -> RenderableType:
    """The milestones in a line each, the lesson at hand, and what to type next."""
    now = standing.next_lesson
    return page(
        line((at_home(root), "strong")),
        milestones(standing, screen),
        question(now, screen) if now else None,
        next_steps(advice, screen),
    )


def welcome(screen: Screen) -> RenderableType:
    """For somebody who is not in a workspace yet."""
    return page(
        Text("TinyTorch: write a deep-learning framework, one lesson at a time, and own it in the end."),
        stack("You are not in a workspace.", indented(commands([
            ("tito init mytorch", "make one"),
            ("cd mytorch", "and go there, or to the one you have"),
            ("tito module list", "what there is to learn"),
        ], screen))),
    )


def made(folder: Path, standing: Standing, screen: Screen) -> RenderableType:
    """A new workspace, and how to begin."""
    go = [] if folder == Path() else [(f"cd {quote(str(folder))}", "go there")]
    first = standing.next_lesson
    start = [(f"tito module start {first.lesson.number:02}", first.lesson.question)] if first else []
    return stack(
        line((f"{screen.signs.done} ", "good"), "Your workspace is ready."),
        indented(commands([*go, *start], screen)),
    )


def at_home(folder: Path) -> str:
    """A folder as people say it: ~/mytorch."""
    home = Path.home()
    return f"~/{folder.relative_to(home).as_posix()}" if home in folder.parents else str(folder)


def way(standing: Standing, screen: Screen) -> str:
    done = sum(x.completed for x in standing.lessons)
    unlocked = sum(m.unlocked for m in standing.milestones)
    return (f"{done} of {len(standing.lessons)} lessons {screen.signs.dot} "
            f"{unlocked} of {len(standing.milestones)} milestones")


def lesson_line(standing: LessonStanding, screen: Screen) -> RenderableType:
    lesson = standing.lesson
    head = line(lesson_sign(standing, screen), " ", (lesson.label, "strong"))
    if screen.narrow: return stack(head, indented(Text(lesson.question)))
    return columns([(head, lesson.question)])


def next_steps(advice: Advice, screen: Screen) -> RenderableType:
    said = line((advice.sentence, "")) if advice.sentence else None
    return stack(said, indented(commands(advice.steps, screen)) if advice.steps else None)


# ---------------------------------------------------------------------------------------------- lessons

def lessons(standing: Standing, screen: Screen) -> RenderableType:
    """Every lesson under its milestone."""
    width = max(len(x.lesson.label) for x in standing.lessons)
    return page(*(
        stack(milestone_head(m), indented(columns([lesson_row(x, width, screen) for x in m.lessons])))
        for m in standing.milestones
    ))


def begun(lessons: Sequence[LessonStanding], screen: Screen) -> RenderableType:
    """Checks, points and hints of some lessons."""
    if not lessons: return Text("You have not begun a lesson yet: tito module start")
    width = max(len(x.lesson.label) for x in lessons)
    return columns([(lesson_name(x, width, screen), stack(*(line(s) for s in so_far(x)))) for x in lessons])


def so_far(standing: LessonStanding) -> list[str]:
    record, hints = standing.record, sum(standing.record.hints.values())
    points = f"{record.points:g} of {record.possible:g} points" if record.possible else ""
    seen = f"{hints} hint{'s' * (hints != 1)} seen" if hints else ""
    return [state(standing), *filter(None, (points, seen))]


def milestone_head(standing: MilestoneStanding) -> Text:
    apart = ("  optional", "quiet") if standing.milestone.optional else ""
    return line((standing.milestone.title, "strong"), apart)


def lesson_row(standing: LessonStanding, width: int, screen: Screen) -> list[Text]:
    time = line((f"{hours(standing.lesson.minutes):10}", "quiet"))
    row = [lesson_name(standing, width, screen), time, line((state(standing), "quiet"))]
    return [row[0], row[2]] if screen.narrow else row


def lesson_name(standing: LessonStanding, width: int, screen: Screen) -> Text:
    style = "quiet" if standing.mark in ("locked", "unwritten") else ""
    return line(lesson_sign(standing, screen), " ", (standing.lesson.label.ljust(width), style))


# ------------------------------------------------------------------------------------------- milestones

def milestones(standing: Standing, screen: Screen) -> RenderableType:
    """A line each: its bar and how far along it is."""
    return columns([milestone_row(m, screen) for m in standing.milestones])


def milestone_row(standing: MilestoneStanding, screen: Screen) -> list[Text]:
    name = line(milestone_sign(standing, screen), " ", standing.milestone.title.ljust(TITLE))
    percent = line((f"{standing.percent:3} %", "" if standing.percent else "quiet"))
    told = line((milestone_state(standing), "quiet"))
    if screen.narrow: return [name, percent, told]
    return [name, bar(standing.percent, screen, BAR), percent, told]


def milestone_state(standing: MilestoneStanding) -> str:
    if standing.unlocked:
        return "unlocked, but the code has changed since" if standing.stale else "unlocked"
    if standing.ready: return "ready to be unlocked"
    optional, coming = standing.milestone.optional, not standing.written
    return ", ".join(word for word, said in (("optional", optional), ("being written", coming)) if said)


def detailed(standing: Standing, screen: Screen) -> RenderableType:
    """Every milestone with its bar, its capability statement and the marks of its lessons."""
    return page(*(one_detailed(m, screen) for m in standing.milestones))


def one_detailed(standing: MilestoneStanding, screen: Screen) -> RenderableType:
    return stack(
        columns([milestone_row(standing, screen)]),
        indented(line((standing.milestone.statement, "strong" if standing.unlocked else ""))),
        indented(lesson_marks(standing, screen)),
        evidence(standing, screen),
    )


def lesson_marks(standing: MilestoneStanding, screen: Screen) -> RenderableType:
    """The lessons side by side; those that nobody has written yet in one breath."""
    there = [x for x in standing.lessons if x.mark != "unwritten"]
    coming = ", ".join(x.lesson.label for x in standing.lessons if x.mark == "unwritten")
    marks = Columns([line(lesson_sign(x, screen), " ", x.lesson.label) for x in there], padding=(0, 3, 0, 0))
    return stack(marks if there else None, line((f"being written  {coming}", "quiet")) if coming else None)


def evidence(standing: MilestoneStanding, screen: Screen) -> RenderableType | None:
    """What was measured when it was unlocked."""
    if not (record := standing.record): return None
    facts = [record.unlocked[:10], *(f"{name} {shown(value)}" for name, value in record.numbers.items())]
    return indented(line((f" {screen.signs.dot} ".join(facts), "quiet")))


def milestone_list(standing: Standing, screen: Screen) -> RenderableType:
    """Their names and what they say about you."""
    rows = [(line(milestone_sign(m, screen), " ", (m.milestone.title, "strong")), m.milestone.statement)
            for m in standing.milestones]
    if screen.narrow: return stack(*(stack(head, indented(Text(said))) for head, said in rows))
    return columns(rows)


def milestone_info(standing: MilestoneStanding, screen: Screen) -> RenderableType:
    """One milestone: its story, what it asks, what it stands on."""
    return page(
        stack(columns([milestone_row(standing, screen)]), indented(Text(standing.milestone.statement))),
        indented(Text(standing.milestone.story)),
        indented(stack(*(question(x, screen) for x in standing.lessons))),
        evidence(standing, screen),
    )


def question(standing: LessonStanding, screen: Screen) -> RenderableType:
    """A lesson, what it asks and where it stands."""
    return stack(lesson_line(standing, screen), indented(line((time_and_state(standing, screen), "quiet"))))


# --------------------------------------------------------------------------------------------- timeline

def timeline(standing: Standing, screen: Screen) -> RenderableType:
    """The way from the first lesson to the last, as a tree."""
    width = max(len(x.lesson.label) for x in standing.lessons)
    branches = [branch(m, standing.next_lesson, width, screen) for m in standing.milestones]
    between = line((screen.signs.down, "quiet"))
    return stack(*[x for b in branches for x in (between, b)][1:])


def branch(
    standing: MilestoneStanding, here: LessonStanding | None, width: int, screen: Screen,
) -> RenderableType:
    signs = screen.signs
    trunk = signs.dotted if standing.milestone.optional else signs.down
    apart = "  optional" if standing.milestone.optional else ""
    head = line(milestone_sign(standing, screen), " ", (standing.milestone.title, "strong"),
                (f"  {standing.percent} %" if standing.percent else apart, "quiet"))
    twigs = [signs.branch] * (len(standing.lessons) - 1) + [signs.last]
    return stack(head, columns([
        (line((f"{trunk}  {wood} ", "quiet"), lesson_name(x, width, screen)),
         line((f"{signs.here} you are here", "now")) if x is here else line((state(x), "quiet")))
        for x, wood in zip(standing.lessons, twigs)
    ]))


def horizontal(standing: Standing, screen: Screen) -> RenderableType:
    """Foundation → Architecture → Training → Inference → Serving."""
    way = [line(milestone_sign(m, screen), " ", m.milestone.title) for m in standing.milestones
           if not m.milestone.optional]
    apart = [m.milestone.title for m in standing.milestones if m.milestone.optional]
    return stack(chain(way, screen), line((f"{', '.join(apart)}: optional", "quiet")) if apart else None)


def chain(links: Sequence[Text], screen: Screen) -> Text:
    """Links on one line if they fit, else one under the other."""
    arrow = f" {screen.signs.arrow} "
    length = sum(link.cell_len for link in links) + len(arrow) * (len(links) - 1)
    between = Text(arrow if length <= screen.width else f"\n{arrow.strip()} ", "quiet")
    return between.join(links)
