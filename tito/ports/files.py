"""Files that are written whole or not at all, and a lock that one tito holds at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path

from tito.core.errors import EnvironmentProblem

WAIT = 4.0                      # seconds that a second tito waits for the first

# While a change is made, where the digests of all that is written are noted, before it takes its place:
# what a later tito finds with another digest was written by somebody else, and is not to be taken back.
LEDGER: ContextVar[Path | None] = ContextVar("ledger", default=None)


def write(path: Path, data: str | bytes) -> None:
    """Puts `data` in the place of what is at `path`; whatever goes wrong, the old content stays."""
    write_all({path: data})


def write_all(files: Mapping[Path, str | bytes]) -> None:
    """The same for several: none takes its place before all of them are safely on the disk."""
    news: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            path = path.resolve() if path.is_symlink() else path
            news[path] = path.with_name(f".{path.name}.{os.getpid()}.new")
            put(news[path], data, like=path)
        if ledger := LEDGER.get():
            append(ledger, "\n".join(map(digest_of, news.values())))
        for path, new in news.items():
            new.replace(path)
        for folder in {path.parent for path in news}:
            sync(folder)
    except OSError as problem:
        raise unwritten(path, problem) from problem
    finally:
        for new in news.values(): drop(new)


def put(path: Path, data: str | bytes, like: Path) -> None:
    """A new file, safely on the disk, with the permissions of another one if that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    if like.exists():
        shutil.copymode(like, path)


def append(path: Path, line: str) -> None:
    """Adds a line that is on the disk when this returns."""
    try:
        with path.open("ab+") as file:
            file.seek(max(0, file.tell() - 1))
            torn = file.read(1) not in (b"", b"\n")         # the power went while the last one was written
            file.write(b"\n" * torn + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        raise unwritten(path, problem) from problem


def digest_of(path: Path) -> str: return hashlib.sha256(path.read_bytes()).hexdigest()


def drop(path: Path) -> None:
    """Removes a file, if it is there."""
    try:
        path.unlink(missing_ok=True)
    except NotADirectoryError:          # where its folder should be is a file
        return
    except OSError as problem:
        raise unwritten(path, problem) from problem


def sync(folder: Path) -> None:
    """Makes sure that a rename outlives a power cut, where folders can be synced."""
    if os.name != "posix": return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as problem:              # some network file systems cannot
        if problem.errno not in (errno.EINVAL, errno.ENOTSUP): raise
    finally:
        os.close(number)


def unwritten(path: Path, problem: OSError) -> EnvironmentProblem:
    """Why a file could not be written, in a sentence."""
    why, cure = {
        errno.ENOSPC: ("the disk is full", "Free some space and try again."),
        errno.EDQUOT: ("your disk quota is used up", "Free some space and try again."),
        errno.EACCES: ("it may not be written", f"Look at the permissions of {path.absolute().parent}."),
        errno.EROFS: ("the disk is read-only", "Move the workspace to a disk that can be written."),
    }.get(problem.errno or 0, (problem.strerror or str(problem), ""))
    return EnvironmentProblem(f"{path.name} was not written: {why}. What was there is untouched.", cure)


# ------------------------------------------------------------------------------------------------ the lock

@contextmanager
def locked(
    folder: Path,               # .tito
    what: str,                  # "complete 02 tensor": for the one who has to wait
    wait: float | None = None,
) -> Iterator[None]:
    """While this holds, no other tito changes the workspace. The system frees the lock if we die."""
    import filelock

    holder = folder / "lock.holder"
    lock = filelock.FileLock(str(folder / "lock"), timeout=WAIT if wait is None else wait)
    try:
        lock.acquire()
    except filelock.Timeout as problem:
        raise EnvironmentProblem(
            f"Another tito is changing this workspace{held_by(holder)}.", "Wait until it has finished.",
        ) from problem
    except OSError as problem:
        raise unwritten(folder / "lock", problem) from problem
    try:
        since = datetime.now().isoformat(timespec="seconds")
        write(holder, json.dumps({"process": os.getpid(), "what": what, "since": since}))
        yield
    finally:
        drop(holder)
        lock.release()


def held_by(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text("utf-8"))
        return f": `tito {who['what']}`, process {who['process']}, since {who['since'].partition('T')[2]}"
    except (OSError, ValueError, KeyError, TypeError):      # it is just beginning or ending
        return ""


# --------------------------------------------------------------------------------------------- the stage

@contextmanager
def stage(folder: Path) -> Iterator[Path]:
    """A folder of its own for one run, gone afterwards."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=folder, ignore_cleanup_errors=True)
    except OSError as problem:
        raise unwritten(folder, problem) from problem
    with place as name:
        yield Path(name)


def write_tree(root: Path, files: Mapping[str, str]) -> None:
    """Files that only a stage needs: written plainly."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")
