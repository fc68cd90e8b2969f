"""Files that came in: in a folder, an archive, or clones that a CSV lists. No name of theirs is a path."""

from __future__ import annotations

import csv
import io
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from tito.core.errors import EnvironmentProblem
from tito.core.grades_intake import LARGEST

NOISE = ("__MACOSX", ".ipynb_checkpoints", ".git", ".DS_Store")
MOST_FILES = 200_000
TOO_LARGE = f"it is larger than {LARGEST >> 20} MiB"


@dataclass(frozen=True)
class File:
    name: str                           # inside what it came in, with /
    data: bytes = b""
    when: datetime | None = None
    trouble: str = ""                   # why its data were not read


def files_in(path: Path) -> Iterator[File]:
    """Every file in a folder or a zip, and in zips among them, one level deep. Links are not followed."""
    if path.is_dir(): return in_folder(path)
    if zipfile.is_zipfile(path): return in_zip(path.read_bytes(), "")
    if path.suffix == ".csv": return in_clones(path)
    if path.is_file(): return iter([read(path, path.name)])
    raise EnvironmentProblem(f"{path} is neither a folder, nor a zip, nor a CSV of clones.")


def in_folder(folder: Path, prefix: str = "") -> Iterator[File]:
    for path in sorted(folder.rglob("*")):
        name = prefix + path.relative_to(folder).as_posix()
        if any(part in NOISE for part in path.relative_to(folder).parts): continue
        if path.is_symlink():
            yield File(name, trouble="it is a link")
        elif path.is_file():
            if any(parent.is_symlink() for parent in path.parents if parent.is_relative_to(folder)
                   and parent != folder):
                continue
            file = read(path, name)
            yield file
            if path.suffix == ".zip" and not file.trouble: yield from inner(file)
        elif not path.is_dir():
            yield File(name, trouble="it is no regular file")


def read(path: Path, name: str) -> File:
    try:
        facts = path.stat()
        when = datetime.fromtimestamp(facts.st_mtime, UTC)
        if facts.st_size > LARGEST: return File(name, when=when, trouble=TOO_LARGE)
        return File(name, path.read_bytes(), when)
    except OSError as problem:
        return File(name, trouble=f"it cannot be read: {problem.strerror}")


def in_zip(data: bytes, prefix: str, nested: bool = True) -> Iterator[File]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as problem:
        yield File(prefix.rstrip("/"), trouble=f"it is a broken zip: {problem}")
        return
    for number, entry in enumerate(archive.infolist()):
        name = prefix + entry.filename
        if number >= MOST_FILES:
            yield File(name, trouble=f"the archive has more than {MOST_FILES} files")
            return
        if entry.is_dir() or any(part in NOISE for part in PurePosixPath(entry.filename).parts): continue
        file = entry_of(archive, entry, name)
        yield file
        if nested and name.endswith(".zip") and not file.trouble: yield from inner(file)


def entry_of(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> File:
    when = None
    try:
        when = datetime(*entry.date_time, tzinfo=UTC) if entry.date_time[0] > 1980 else None
        if stat.S_ISLNK(entry.external_attr >> 16): return File(name, when=when, trouble="it is a link")
        if entry.flag_bits & 1: return File(name, when=when, trouble="it is encrypted")
        with archive.open(entry) as file:       # whatever the entry says of its size, no more is taken
            data = file.read(LARGEST + 1)
    except (OSError, ValueError, RuntimeError, EOFError, NotImplementedError, zipfile.BadZipFile) as problem:
        return File(name, when=when, trouble=f"it cannot be unpacked: {problem}")
    if len(data) > LARGEST: return File(name, when=when, trouble=TOO_LARGE)
    return File(name, data, when)


def inner(file: File) -> Iterator[File]:
    """The files of a zip that a student handed in, as if they lay in a folder of its name."""
    parent = PurePosixPath(file.name)
    top = f"{parent.parent}/" if len(parent.parts) > 1 else f"{parent.stem}/"
    yield from in_zip(file.data, top, nested=False)


def in_clones(path: Path) -> Iterator[File]:
    """A CSV with the columns student and path (of a clone that is there), and perhaps when."""
    rows = csv.DictReader(io.StringIO(path.read_text("utf-8-sig")))
    if not {"student", "path"} <= set(rows.fieldnames or ()):
        raise EnvironmentProblem(f"{path} has no columns student and path.", "student,path,when")
    for row in rows:
        folder, student = path.parent / (row["path"] or ""), row["student"] or "?"
        if not folder.is_dir():
            yield File(f"{student}/", trouble=f"its clone {row['path']} is not there")
            continue
        when = datetime.fromisoformat(row["when"]) if row.get("when") else None
        for file in in_folder(folder, f"{student}/"):
            yield file if when is None else File(file.name, file.data, when.astimezone(UTC), file.trouble)
