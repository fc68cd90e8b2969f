"""Single keys from the terminal, without Enter."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

TICK = 0.1                      # seconds after which a look is taken whether to stop


class Keys(Protocol):
    def read(self, told: Callable[[str], None], stop: threading.Event) -> None:
        """Tells each key, until `stop`."""


class Keyboard:
    """The adapter; a standard input that is no terminal has no keys."""

    def read(self, told: Callable[[str], None], stop: threading.Event) -> None:
        if not sys.stdin.isatty(): return
        with single_keys():
            for key in typed(stop): told(key)


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def single_keys() -> Iterator[None]: yield

    def typed(stop: threading.Event) -> Iterator[str]:
        while not stop.wait(TICK / 2):
            while msvcrt.kbhit():
                key = msvcrt.getwch()
                if key in "\x00\xe0": msvcrt.getwch()       # an arrow or a function key: two characters
                elif key == "\x03": yield "q"
                else: yield key
else:
    import select
    import termios
    import tty

    @contextmanager
    def single_keys() -> Iterator[None]:
        before = termios.tcgetattr(0)
        tty.setcbreak(0)
        try:
            yield
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, before)

    def typed(stop: threading.Event) -> Iterator[str]:
        while not stop.is_set():
            if not select.select([0], [], [], TICK)[0]: continue
            data = os.read(0, 64)
            if not data: return                             # the terminal is gone
            if not data.startswith(b"\x1b"):                # an arrow or a function key
                yield from data.decode("utf-8", "replace")


@dataclass
class Scripted:
    """The fake: somebody who types this."""

    text: str = ""

    def read(self, told: Callable[[str], None], stop: threading.Event) -> None:
        for key in self.text: told(key)
