"""The state of a workspace: what is in .tito/, changed under a lock, each change with a backup."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tito.core.errors import EnvironmentProblem
from tito.core.outcomes import Change
from tito.core.progress import CURE, Progress, from_json, to_json
from tito.core.results import Report
from tito.core.results import from_json as report_from
from tito.ports.changes import Changes, Records
from tito.ports.files import locked, write

FORMAT = 1


def is_workspace(folder: Path) -> bool:
    """Also one that has lost one of its two files."""
    return any((folder / ".tito" / name).exists() for name in ("workspace.json", "progress.json"))


def now() -> str: return datetime.now().astimezone().isoformat(timespec="seconds")


class State:
    def __init__(self, root: Path):
        self.root, self.folder, self.changes = root, root / ".tito", Changes(root)
        self.file, self.copy = self.folder / "progress.json", self.folder / "progress.json.bak"

    def known(self) -> None:
        """Refuses a workspace of a newer tito."""
        try:
            marker = json.loads((self.folder / "workspace.json").read_text("utf-8"))
            newer = marker["format"] > FORMAT
        except (OSError, ValueError, KeyError, TypeError) as problem:
            said = f".tito/workspace.json is damaged: {problem}"
            raise EnvironmentProblem(said, "`tito doctor --fix` writes it anew.") from problem
        if newer:
            said = f"This workspace has format {marker['format']}; this tito knows up to {FORMAT}."
            raise EnvironmentProblem(said, "pip install --upgrade tinytorch-tito")

    # --------------------------------------------------------------------------------------- progress

    def progress(self) -> Progress:
        self.known()
        try:
            return from_json(self.file.read_text("utf-8"))
        except FileNotFoundError:
            raise EnvironmentProblem("progress.json is gone from .tito/.", CURE) from None
        except (OSError, UnicodeDecodeError) as problem:
            raise EnvironmentProblem(f"progress.json cannot be read: {problem}", CURE) from problem

    def save(self, progress: Progress) -> None:
        """Writes it, then the copy: one of the two is always whole."""
        text = to_json(progress)
        write(self.file, text)
        write(self.copy, text)

    def copied(self) -> Progress | None:
        """The copy, if it is whole."""
        try:
            return from_json(self.copy.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, EnvironmentProblem):
            return None

    def update(self, what: str, change: Callable[[Progress], Progress]) -> None:
        """A note in the progress that needs no undo."""
        with self.alone(what):
            self.save(change(self.progress()))

    # ---------------------------------------------------------------------------------------- changes

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Nobody else changes the workspace meanwhile; what was interrupted before is taken back first."""
        with locked(self.folder, what):
            for change in self.changes.unfinished():
                self.take_back(change)
            yield

    @contextmanager
    def changing(
        self,
        verb: str,
        subject: str,
        what: str,                          # complete 02 tensor
        files: Iterable[str],               # that may change, relative to the workspace
        lessons: Iterable[str] = (),        # whose records may change
        milestones: Iterable[str] = (),
    ) -> Iterator[Change]:
        """A change that happens as a whole or not at all, and that `undo` can take back. Needs `alone`."""
        progress = self.progress()
        records = {"lessons": {name: progress.entry("lessons", name) for name in lessons},
                   "milestones": {name: progress.entry("milestones", name) for name in milestones}}
        change = self.changes.begin(verb, subject, what, files, records)
        try:
            with self.changes.noting(change): yield change
        except BaseException:           # Ctrl-C, too
            self.take_back(change)
            raise
        self.changes.note(change, "done")

    def take_back(self, change: Change) -> None:
        """Undoes a change that did not come to its end; what was edited since then stays."""
        self.restore(self.changes.restore(change, own=True))
        self.changes.note(change, "taken back")

    def restore(self, records: Records) -> None:
        """Puts records of the progress back as they were; the others stay as they are."""
        before = progress = self.progress()
        for kind, entries in records.items():
            for name, data in entries.items():
                progress = progress.with_entry(kind, name, data)
        if progress != before:
            self.save(progress)

    # ---------------------------------------------------------------------------------------- reports

    def keep(self, report: Report) -> None:
        """The last report on each lesson: for hints, and for whoever asks later."""
        write(self.folder / "reports" / f"{report.subject}.json", json.dumps(report.as_json()))

    def last_report(self, name: str) -> Report | None:
        try:
            return report_from(json.loads((self.folder / "reports" / f"{name}.json").read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError):      # never tested, or by another tito
            return None
