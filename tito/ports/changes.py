"""What tito did to a workspace: a backup before each change, and a journal that knows which were finished.

    .tito/journal.jsonl             one line when a change begins, one when it is done or was taken back
    .tito/backups/ID/change.json    what it is about, and which records of the progress it had before it
    .tito/backups/ID/files/…        the files as they were
    .tito/backups/ID/written        digests of what was written, each noted before it took its place
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal

from tito.core.errors import NotFound
from tito.core.outcomes import Change
from tito.ports.files import LEDGER, append, digest_of, drop, sync, unwritten, write

FORMAT = 1
Event = Literal["begun", "done", "taken back"]
Records = Mapping[str, Mapping[str, dict | None]]       # lessons/milestones -> name -> record before, or None

QUIET = ("start", "doctor")     # add or mend what tito itself makes: nothing to take back


class Changes:
    def __init__(self, root: Path):
        self.root, self.folder = root, root / ".tito"
        self.journal = self.folder / "journal.jsonl"

    def begin(self, verb: str, subject: str, what: str, files: Iterable[str], records: Records) -> Change:
        """Backs the files up and notes the change; from now on it can be taken back."""
        names = tuple(dict.fromkeys(files))
        now = datetime.now().astimezone()
        backup = self._folder(f"{now:%Y%m%d-%H%M%S}-{'-'.join(re.findall('[a-z0-9]+', what.lower()))}"[:60])
        change = Change(backup.name, verb, subject, what, now.isoformat(timespec="seconds"), names, backup)
        try:
            there = [name for name in names if self._kept(name, backup)]
        except OSError as problem:
            raise unwritten(backup, problem) from problem
        write(backup / "change.json", json.dumps({
            "format": FORMAT, "id": change.id, "verb": verb, "subject": subject, "what": what,
            "when": change.when, "files": {name: name in there for name in names}, "records": records,
        }, indent=2))
        self.note(change, "begun")
        return change

    def note(self, change: Change, event: Event) -> None:
        append(self.journal, json.dumps({"id": change.id, "event": event}))

    def records(self, change: Change) -> Records:
        """The records of the progress as they were before the change."""
        return self._manifest(change.backup)["records"]

    @contextmanager
    def noting(self, change: Change) -> Iterator[None]:
        """While this lasts, what is written is known to be the change's own."""
        token = LEDGER.set(change.backup / "written")
        try:
            yield
        finally:
            LEDGER.reset(token)

    def restore(self, change: Change, own: bool = False) -> Records:
        """Puts the files back as they were before the change, and says what the records were.

        With `own`, only what the change wrote: what somebody has edited since stays as it is.
        """
        manifest = self._manifest(change.backup)
        for name, there in manifest["files"].items():
            path, copy = self.root / name, change.backup / "files" / name
            if own and path.exists() and digest_of(path) not in self._written(change): continue
            if not there:
                drop(path)
            elif not path.exists() or path.read_bytes() != copy.read_bytes():
                write(path, copy.read_bytes())
        return manifest["records"]

    def _written(self, change: Change) -> set[str]:
        ledger = change.backup / "written"
        return set(ledger.read_text("utf-8").split()) if ledger.exists() else set()

    def unfinished(self) -> list[Change]:
        """What was begun and not ended, the newest first: Ctrl-C or a power cut came between."""
        return self._with("begun")

    def all(self) -> list[Change]:
        """What can be taken back, the newest first."""
        return [change for change in self._with("done") if change.verb not in QUIET]

    def damage(self) -> list[str]:
        """Lines of the journal that cannot be read."""
        return [line for line in self._lines() if _event(line) is None]

    def clean(self) -> None:
        """Leaves out of the journal what cannot be read."""
        if self.damage():
            write(self.journal, "".join(f"{line}\n" for line in self._lines() if _event(line)))

    # ------------------------------------------------------------------------------------------ inside

    def _with(self, event: Event) -> list[Change]:
        """The changes of which this is the last that is known, and whose backup was not thrown away."""
        ids = [id for id, last in reversed(self._events().items()) if last == event]
        return [self._change(id) for id in ids if (self.folder / "backups" / id / "change.json").exists()]

    def _folder(self, wanted: str) -> Path:
        """A new folder under backups."""
        for number in count(1):
            folder = self.folder / "backups" / (wanted if number == 1 else f"{wanted}-{number}")
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                continue
            except OSError as problem:
                raise unwritten(folder, problem) from problem
        raise AssertionError

    def _kept(self, name: str, backup: Path) -> bool:
        """Copies a file into the backup, safely on the disk; False if there is none."""
        path, copy = self.root / name, backup / "files" / name
        if not path.exists(): return False
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
        with copy.open("rb+") as file:
            os.fsync(file.fileno())
        sync(copy.parent)
        return True

    def _events(self) -> dict[str, str]:
        """The last that is known of each change, in the order in which they ended (or began)."""
        found: dict[str, str] = {}
        for line in self._lines():
            if entry := _event(line):
                found.pop(entry[0], None)
                found[entry[0]] = entry[1]
        return found

    def _lines(self) -> list[str]:
        if not self.journal.exists(): return []
        return self.journal.read_text("utf-8", errors="replace").splitlines()

    def _change(self, id: str) -> Change:
        backup = self.folder / "backups" / id
        facts = self._manifest(backup)
        verb, subject, what, when = (facts[name] for name in ("verb", "subject", "what", "when"))
        return Change(id, verb, subject, what, when, tuple(facts["files"]), backup)

    def _manifest(self, backup: Path) -> dict[str, Any]:
        try:
            return json.loads((backup / "change.json").read_text("utf-8"))
        except (OSError, ValueError) as problem:
            said = f"The backup {backup.name} cannot be read: {problem}"
            raise NotFound(said, f"Look into {backup}.") from problem


def _event(line: str) -> tuple[str, str] | None:
    try:
        entry = json.loads(line)
        return str(entry["id"]), str(entry["event"])
    except (ValueError, KeyError, TypeError):       # the power went while it was written
        return None
