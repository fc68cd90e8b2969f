"""Noticing that a notebook was saved: the system says so at once, and where it does not, looking does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

AT_ONCE = 50                    # milliseconds in which several notices count as one
LOOKS = 0.5                     # seconds between two looks where the system may be silent: a network
POLLS = 0.25                    # … where it cannot be asked

Told = Callable[[frozenset[Path]], None]
Stamps = dict[Path, tuple[int, ...]]


class Saves(Protocol):
    def follow(self, folder: Path, told: Told, stop: threading.Event) -> None:
        """Tells which notebooks of a folder were saved, until `stop`."""


def stamps(folder: Path) -> Stamps:
    """What tells one version of a notebook from the next."""
    found: Stamps = {}
    for path in folder.glob("*.ipynb"):
        try:
            facts = path.stat()
        except OSError:                     # it is being replaced: the next look sees the new one
            continue
        found[path] = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
    return found


def notices(folder: Path, stop: threading.Event) -> Iterator[None]:
    """A moment at which to look: when watchfiles has noticed something, and from time to time."""
    try:
        from watchfiles import watch

        for _ in watch(folder, recursive=False, watch_filter=None, debounce=AT_ONCE, step=AT_ONCE // 2,
                       stop_event=stop, rust_timeout=int(LOOKS * 1000), yield_on_timeout=True,
                       raise_interrupt=False):
            yield
    except (ImportError, OSError, RuntimeError):        # not installed; no watches left; its own kind
        while not stop.wait(POLLS):
            yield


@dataclass
class OnDisk:
    """The adapter: a notice only says that it is time to look; what has changed, the stamps say."""

    moments: Callable[[Path, threading.Event], Iterable[None]] = notices
    stamps: Callable[[Path], Stamps] = stamps

    def follow(self, folder: Path, told: Told, stop: threading.Event) -> None:
        before = self.stamps(folder)
        for _ in self.moments(folder, stop):
            after = self.stamps(folder)
            if new := frozenset(path for path, stamp in after.items() if before.get(path) != stamp):
                told(new)
            before = after


@dataclass
class Scripted:
    """The fake: tells what it was given, one set after the other."""

    saved: list[frozenset[Path]] = field(default_factory=list)

    def follow(self, folder: Path, told: Told, stop: threading.Event) -> None:
        for paths in self.saved: told(paths)
