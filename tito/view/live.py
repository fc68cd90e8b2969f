"""What is seen on stderr while something runs: a line that changes on a terminal, a line each in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.text import Text

from tito.core.results import Result
from tito.view.checks import mark
from tito.view.screen import Screen, line


class Watch:
    """Is told what happens, and shows nothing of it."""

    def result(self, result: Result) -> None: pass
    def line(self, text: str) -> None: pass


class Lines(Watch):
    def __init__(self, screen: Screen, title: str):
        self.title, self.screen = title, screen

    def result(self, result: Result) -> None:
        self.tell(line("  ", mark(result.status, self.screen), " ", result.name))

    def line(self, text: str) -> None:
        self.tell(line("  ", text))

    def tell(self, text: Text) -> None:
        if self.title: self.screen.show(line(self.title))
        self.title = ""                     # it stands above the first line, if there is one
        self.screen.show(text)


class Spinner(Watch):
    def __init__(self, screen: Screen, title: str):
        self.title, self.screen, self.count = title, screen, 0
        spinner = "dots" if screen.unicode else "line"
        self.status = screen.console.status(title, spinner=spinner, spinner_style="now")

    def result(self, result: Result) -> None:
        self.count += 1
        sign = mark(result.status, self.screen)
        self.tell(line(self.title, (f"  {self.count} checked  ", "quiet"), sign, " ", result.name))

    def line(self, text: str) -> None:
        self.tell(line(self.title, (f"  {text.strip()}", "quiet")))

    def tell(self, text: Text) -> None:
        text.truncate(self.screen.width - 4, overflow="ellipsis")      # it moves: it must stay on one line
        self.status.update(text)


@contextmanager
def watching(title: str, quiet: bool = False) -> Iterator[Watch]:
    """Somebody to tell what happens, while it happens."""
    screen = Screen(sys.stderr)
    if quiet:
        yield Watch()
    elif not screen.live:
        yield Lines(screen, title)
    else:
        spinner = Spinner(screen, title)
        with spinner.status: yield spinner
