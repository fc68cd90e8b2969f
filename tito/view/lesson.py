"""One lesson: what it asks, what is written, what a command did with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from tito.core.compare import readable
from tito.core.milestones import LessonStanding
from tito.core.outcomes import Change, Completion, Hint, Opened, Started
from tito.core.results import Report, Status
from tito.view.checks import mark, report, summary
from tito.view.course import hours, question
from tito.view.screen import Screen, columns, commands, indented, line, page, stack

if TYPE_CHECKING:
    from tito.core.compare import Solution
    from tito.core.curriculum import Lesson
    from tito.core.lesson import Chapter


def page_of(
    standing: LessonStanding,
    chapter: Chapter | None,                # None while the lesson is being written
    statuses: Mapping[str, Status],         # what the last test said, by exercise
    screen: Screen,
) -> RenderableType:
    """The question, the objectives, the time, and the exercises with their marks."""
    lesson = standing.lesson
    return page(
        question(standing, screen),
        indented(stack("You will", objectives(lesson.objectives, screen))) if lesson.objectives else None,
        indented(exercises(chapter, statuses, screen)) if chapter else None,
    )


def objectives(sentences: Sequence[str], screen: Screen) -> RenderableType:
    return columns([(line((screen.signs.dot, "quiet")), Text(sentence)) for sentence in sentences], gap=1)


def exercises(chapter: Chapter, statuses: Mapping[str, Status], screen: Screen) -> RenderableType:
    """The exercises under the headings of the chapter, in its order."""
    sections: dict[str, list[str]] = {}
    for cell in chapter.exercises():
        sections.setdefault(chapter.section_of(cell), []).append(cell.name)
    return page(*(
        stack(
            line((title, "strong")) if title else None,
            *(line(mark(statuses.get(name, "todo"), screen), " ", name) for name in names),
        )
        for title, names in sections.items()
    ))


def source(lesson: Lesson, exercise: str, whose: str, text: str, screen: Screen) -> RenderableType:
    """Somebody's code, as it stands."""
    head = line((exercise, "strong"), (f"  {lesson.label}, {whose}", "quiet"))
    return page(head, indented(Text(text.strip("\n"))))


SIDES = {"-": "bad", "+": "good", " ": "default"}


def solution(both: Solution, screen: Screen) -> RenderableType:
    """The course's code, then how the learner's differs, then what each costs."""
    shown = source(both.lesson, both.exercise, "as the course writes it", both.source, screen)
    if not both.mine: return shown
    if both.same: return page(shown, "Yours says the same.")
    lines = [line((f"{sign} {text}", SIDES[sign])) for sign, text in both.difference]
    head = line("Beside yours", ("  - only in yours, + only in the course's", "quiet"))
    return page(shown, stack(head, indented(stack(*lines))), both.verdict or None)


# -------------------------------------------------------------------------------------------- what was done

def started(started: Started, opened: Opened | None, screen: Screen) -> RenderableType:
    lesson = started.lesson
    new = "is new" if started.created else "waits for you"
    told = [hours(lesson.minutes), f"{lesson.notebook} {new}"]
    if started.given: told.append(f"given: {', '.join(started.given)}")
    next_ = (f"tito module test {lesson.number:02}", "check what you wrote, whenever you like")
    return page(
        stack(line((lesson.label, "strong"), f"  {lesson.question}"),
              *(indented(line((fact, "quiet"))) for fact in told)),
        Text(opened.sentence) if opened else None,
        indented(commands([next_], screen)),
    )


def tested(lesson: Lesson, found: Report, complete: bool, screen: Screen) -> RenderableType:
    """What the checks found, and what comes next when there is nothing left to do."""
    next_ = [(f"tito module complete {lesson.number:02}", "put it into your package")]
    return page(
        report(found, lesson.label, f"tito module hint {lesson.number:02}", screen),
        indented(commands(next_, screen)) if found.ok and not complete else None,
    )


def completed(
    done: Completion, step: float, before: tuple[Lesson, float] | None, screen: Screen,
) -> RenderableType:
    """What was put into the package and what that makes possible."""
    if not done.report.ok:
        found = tested(done.lesson, done.report, False, screen)
        return page(found, "Not complete yet: every check has to pass.")
    return page(
        summary(done.report, done.lesson.label, screen),
        stack("Yours now", *(indented(Text(file)) for file in done.files)) if done.files else None,
        pace(step, before) if step else None,
        unlocked(done, screen),
    )


def pace(step: float, before: tuple[Lesson, float] | None) -> Text:
    """The number that moves through the course."""
    since = f"  {readable(before[1])} after {before[0].label}" if before else ""
    return line("One step of training takes ", (readable(step), "strong"), ".", (since, "quiet"))


def unlocked(done: Completion, screen: Screen) -> RenderableType | None:
    gates = [(f"tito milestone unlock {m.name}", f"prove it: {m.statement}") for m in done.milestones]
    lessons = [(f"tito module start {x.number:02}", x.question) for x in done.lessons]
    if not gates and not lessons: return None
    return stack("This opens", indented(commands([*gates, *lessons], screen)))


def changed(change: Change, screen: Screen) -> RenderableType:
    """Something was put back or taken back, and how to change one's mind."""
    said = change.what[:1].upper() + change.what[1:]
    return stack(
        line((f"{screen.signs.done} ", "good"), f"{said}.", ("  tito undo takes it back", "quiet")),
        *(indented(line((file, "quiet"))) for file in change.files),
    )


def changes(changes: Sequence[Change], screen: Screen) -> RenderableType:
    if not changes: return Text("There is nothing to undo.")
    return columns([(c.id, Text(f"{c.when[:16].replace('T', ' ')}  {c.what}")) for c in changes])


# -------------------------------------------------------------------------------------------------- hints

def hints(told: Sequence[Hint], screen: Screen) -> RenderableType:
    """A hint or all of them, and how to get the next."""
    last = told[-1]
    if not last.exercise:
        return all_passed(last.lesson, screen)
    here = f"{last.lesson.number:02} {last.exercise}"
    if not last.total:
        return stack(line((last.exercise, "strong"), " has no hints: the notebook says all there is to say."))
    more = last.number < last.total
    next_ = (f"tito module hint {here}", "the next one") if more else (
        f"tito module solution {here} --give-up", "how the course does it")
    return page(
        stack(line((last.exercise, "strong")), indented(columns(counted(h) for h in told))),
        stack(None if more else "There are no more hints.", indented(commands([next_], screen))),
    )


def all_passed(lesson: Lesson, screen: Screen) -> RenderableType:
    number = f"{lesson.number:02}"
    steps = [(f"tito module test {number}", "test it again"),
             (f"tito module hint {number} NAME", "a hint for one of them all the same")]
    return page(f"Every exercise of {lesson.label} passed when you last tested it.",
                indented(commands(steps, screen)))


def counted(hint: Hint) -> tuple[Text, Text]:
    return line((f"{hint.number} of {hint.total}", "quiet")), Text(hint.text)
