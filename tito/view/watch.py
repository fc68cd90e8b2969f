"""The screen of `tito watch`: what passes, the first thing that does not, and the keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.text import Text

from tito.core.results import Report, Result
from tito.view.checks import mark, others, problem, summary
from tito.view.screen import Screen, commands, indented, line, page, stack

if TYPE_CHECKING:
    from tito.core.watching import Scene

HOME, REST_OF_LINE, REST = "\x1b[H", "\x1b[K", "\x1b[J"


def scene(scene: Scene, keys: dict[str, str], screen: Screen, height: int | None = None) -> RenderableType:
    """All of it; with a height, the body is cut so that the keys stay in sight."""
    body = lines_of(page(head(scene, screen), *said(scene, screen)), screen)
    foot = lines_of(keyboard(scene, keys, screen), screen) if keys else []
    if height is None: return stack(*body, *([Text("")] if foot else []), *foot)
    room = height - len(foot) - 1
    if len(body) > room: body = [*body[:room - 1], line(("…" if screen.unicode else "...", "quiet"))]
    return stack(*body, *[Text("")] * (room - len(body) + 1), *foot)


def lines_of(block: RenderableType, screen: Screen) -> list[Text]:
    """A block, folded as the screen folds it."""
    with screen.console.capture() as drawn:
        screen.console.print(block)
    return [Text.from_ansi(row) for row in drawn.get().rstrip("\n").split("\n")]


def head(scene: Scene, screen: Screen) -> RenderableType:
    label = scene.lesson.label
    if not scene.report: return line((label, "strong"))
    return stack(summary(scene.report, label, screen), signs(scene.report, screen))


def signs(report: Report, screen: Screen) -> Text:
    """One sign for each check, in the order of the lesson."""
    return Text.assemble(*(mark(test.status, screen) for test in report.tests))


def said(scene: Scene, screen: Screen) -> Iterator[RenderableType | None]:
    if scene.trouble:
        yield stack(Text(scene.trouble), indented(line((scene.cure, "type"))) if scene.cure else None)
    shown = scene.problem
    if shown:
        yield problem(shown, "", screen)
        yield hint(scene)
        yield others(waiting(scene.problems, shown), screen)
    elif scene.report and scene.report.ok:
        done = (f"tito module complete {scene.lesson.number:02}", "put it into your package")
        yield Text("All checks pass.") if scene.complete else \
            stack("All checks pass.", indented(commands([done], screen)))


def waiting(problems: Sequence[Result], shown: Result) -> list[Result]:
    """The others; what only waits for something else is left out."""
    return [each for each in problems if each is not shown and each.status != "skipped"]


def hint(scene: Scene) -> RenderableType | None:
    if not scene.hint: return None
    if not scene.hint.total: return indented(line(("There is no hint for this one.", "quiet")))
    return indented(stack(line((f"hint {scene.hint.number} of {scene.hint.total}", "quiet")),
                          Text(scene.hint.text)))


def keyboard(scene: Scene, keys: dict[str, str], screen: Screen) -> Text:
    """Only those that do something now; and whether something is going on."""
    shown = scene.problem
    useless = set() if shown and shown.hints else {"h"}
    if len(scene.problems) < 2: useless.add("n")
    parts: list[str | tuple[str, str]] = []
    for key, what in keys.items():
        if key in useless: continue
        if parts: parts.append((f" {screen.signs.dot} ", "quiet"))
        parts += [(key, "type"), (f" {what}", "quiet")]
    if scene.running:
        count = f", {scene.counted} so far" if scene.counted else ""
        parts.append((f"   checking{count} {'…' if screen.unicode else '...'}", "now"))
    return line(*parts)


# ------------------------------------------------------------------------------------------ showing it

class Stage:
    """A whole terminal that is drawn anew only when something on it has changed."""

    def __init__(self, keys: dict[str, str], file: TextIO | None = None):
        self.keys, self.file, self.drawn = keys, file or sys.stdout, ""

    def show(self, now: Scene) -> None:
        screen = Screen(self.file)              # as wide and as high as the terminal is by now
        rows = lines_of(scene(now, self.keys, screen, screen.console.height), screen)
        with screen.console.capture() as text:
            screen.console.print(stack(*rows[:screen.console.height]), end="")
        drawn = "\n".join(f"{row.rstrip(' ')}{REST_OF_LINE}" for row in text.get().rstrip("\n").split("\n"))
        if drawn == self.drawn: return
        self.file.write(f"{HOME}{drawn}{REST}")
        self.file.flush()
        self.drawn = drawn


class Lines:
    """A pipe, a file, a screen reader: each verdict once, as lines."""

    def __init__(self, file: TextIO | None = None):
        self.screen, self.last = Screen(file), ""

    def show(self, now: Scene) -> None:
        if now.running or not (now.report or now.trouble): return
        text = "\n".join(row.plain.rstrip() for row in lines_of(scene(now, {}, self.screen), self.screen))
        if text == self.last: return
        self.screen.file.write(f"{text}\n\n")
        self.screen.file.flush()
        self.last = text


@contextmanager
def showing(keys: dict[str, str], plain: bool) -> Iterator[Stage | Lines]:
    """The terminal as a stage, or lines where that is not possible or not wanted."""
    screen = Screen()
    console = screen.console
    if plain or not screen.live or console.legacy_windows or not sys.stdin.isatty():
        yield Lines()
        return
    console.set_alt_screen(True)
    console.show_cursor(False)
    try:
        yield Stage(keys)
    finally:
        console.show_cursor(True)
        console.set_alt_screen(False)
