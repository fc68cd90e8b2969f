"""A quiz, question by question."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from tito.core.curriculum import Lesson
from tito.core.quizzes import LETTERS, Asked, Question
from tito.view.screen import Screen, columns, commands, indented, line, page, stack

HOW = {"why": "a letter", "trace": "what is printed", "number": "a number"}


def question(asked: Question, number: int, total: int, screen: Screen) -> RenderableType:
    """What is asked; answered behind it."""
    unit = f", in {asked.unit}" if asked.unit else ""
    near = f", within {asked.within:.0%}" if asked.within else ""
    return stack("", page(
        line((f"{number}/{total}  ", "quiet"), (asked.ask, "strong")),
        indented(Text(asked.code, "code")) if asked.code else None,
        indented(columns([line((f"{LETTERS[n]})", "type")), Text(choice)]
                         for n, choice in enumerate(asked.choices))) if asked.choices else None,
        line((f"{HOW[asked.kind]}{unit}{near}; an empty line leaves it out", "quiet")),
    ))


def answered(asked: Asked, screen: Screen) -> RenderableType:
    """Whether it was right, and why the answer is what it is."""
    sign = line((screen.signs.done, "good") if asked.right else (screen.signs.arrow, "now"))
    answer = asked.question.told
    told = stack(line("The answer is"), Text(answer)) if "\n" in answer else line(
        "Right: " if asked.right else "The answer is ", (answer, "strong"))
    return columns([(sign, stack(told, Text(asked.question.explain)))], gap=1)


def summary(lesson: Lesson, told: Sequence[Asked], screen: Screen) -> RenderableType:
    """How it went; nothing hangs on it."""
    known, out = sum(a.right for a in told), sum(not a.given for a in told)
    again = [(f"tito quiz {lesson.number:02}", "once more, whenever you like")] if known < len(told) else []
    return stack("", line((f"{known} of {len(told)} known", "strong"), f", {out} left out" if out else ""),
                 stack("", indented(commands(again, screen))) if again else None)
