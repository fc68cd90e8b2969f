"""Whose file is this, and what is it? The names that learning platforms give to what was handed in. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Literal

What = Literal["taken", "replaced", "wrong notebook", "refused"]

CANVAS = re.compile(r"(?P<who>[^_/]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<number>\d+)_(?P<file>.+)$")
MOODLE = re.compile(r"(?P<who>[^/]+?)_(?P<id>\d+)_assignsubmission_file_?/?(?P<file>.+)$")
EXCHANGE = re.compile(r"(?:[^+/]+/)*(?P<who>[^+/]+)\+[^+/]+\+(?P<when>[^+/]+)(?:\+[^/]*)?/(?P<file>.+)$")
GRADESCOPE = re.compile(r"(?:[^/]+/)*submission_(?P<id>\d+)/(?P<file>.+)$")
COPY = re.compile(r"^(copy of |kopie von |copie de )|(\s*\(\d+\)|-copy\d*|-\d+| copy)+$", re.IGNORECASE)


@dataclass(frozen=True)
class Arrival:
    """A file that came in, what it was taken for, and why."""

    origin: str                         # its name where it came from
    student: str = ""
    file: str = ""                      # its own name
    lesson: str = ""
    when: datetime | None = None
    what: What = "refused"
    notes: tuple[str, ...] = ()

    def refused(self, why: str) -> Arrival: return replace(self, what="refused", notes=(*self.notes, why))

    def noted(self, *notes: str) -> Arrival: return replace(self, notes=(*self.notes, *notes))


def student_id(name: str) -> str:
    """A name as nbgrader takes it, and as no file system stumbles over it: letters, digits, . _ and -."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", ascii_name).strip("-.")[:64]


def named(
    path: str,                                  # inside the folder or archive, with /
    metadata: Mapping[str, str] | None = None,  # Gradescope's submission_metadata.yml: submission -> student
) -> Arrival:
    """Who handed a file in, as its name says: Canvas, Moodle, Gradescope, nbgrader or a folder a student."""
    parts = PurePosixPath(path).parts
    if ".." in parts or path.startswith(("/", "\\")) or "\\" in path or "\0" in path or ":" in path[:2]:
        return Arrival(path).refused("its name leads out of the archive")
    name = parts[-1] if parts else path
    if found := EXCHANGE.match(path):
        return Arrival(path, student_id(found["who"]), PurePosixPath(found["file"]).name,
                       when=time_of(found["when"]))
    if found := GRADESCOPE.match(path):
        who = (metadata or {}).get(f"submission_{found['id']}", "")
        arrival = Arrival(path, student_id(who) or found["id"], PurePosixPath(found["file"]).name)
        return arrival if who else arrival.noted("the metadata do not name its student")
    if found := next((m for part in (path, "/".join(parts[-2:]), name) if (m := MOODLE.match(part))), None):
        return Arrival(path, student_id(f"{found['who']}-{found['id']}"), PurePosixPath(found["file"]).name)
    if found := CANVAS.match(name):
        arrival = Arrival(path, student_id(f"{found['who']}-{found['id']}"), found["file"])
        return arrival.noted("Canvas marks it as late") if found["late"] else arrival
    if len(parts) > 1:
        return Arrival(path, student_id(parts[0]), name)
    return Arrival(path, student_id(PurePosixPath(name).stem),
                   name).noted("the student is named by the file alone")


def lesson_of(file: str, notebooks: Mapping[str, str]) -> tuple[str, str]:
    """The lesson that a file name means, and what is odd about it. `notebooks`: 02_tensor.ipynb -> tensor."""
    if file in notebooks: return notebooks[file], ""
    stem = PurePosixPath(file).stem
    bare = COPY.sub("", COPY.sub("", stem)).strip().lower().replace(" ", "_").replace("-", "_")
    for name, lesson in notebooks.items():
        if bare in (PurePosixPath(name).stem.lower(), lesson.lower()): return lesson, f"its name is {file}"
    return "", ""


def lesson_by_cells(ids: Iterable[str], lessons: Mapping[str, frozenset[str]]) -> str:
    """The lesson whose exercises a notebook has, if it has at least one and no other has more."""
    there = set(ids)
    found = sorted(((len(there & cells), name) for name, cells in lessons.items()), reverse=True)
    return found[0][1] if found and found[0][0] and (len(found) == 1 or found[0][0] > found[1][0]) else ""


def settled(arrivals: Sequence[Arrival], assignment_lessons: Sequence[str]) -> list[Arrival]:
    """Of several files of one student for one lesson the last counts; the others are kept, and said."""
    last: dict[tuple[str, str], int] = {}
    for number, one in enumerate(arrivals):
        if one.what != "taken": continue
        key = one.student, one.lesson
        if key not in last or not earlier(one, arrivals[last[key]]): last[key] = number
    result = []
    for number, one in enumerate(arrivals):
        if one.what == "taken" and last[one.student, one.lesson] != number:
            one = replace(one, what="replaced", notes=(*one.notes, "a later one is there"))
        if one.what == "taken" and one.lesson not in assignment_lessons:
            one = replace(one, what="wrong notebook", notes=(*one.notes, f"it is lesson {one.lesson}"))
        result.append(one)
    return result


def earlier(one: Arrival, other: Arrival) -> bool:
    """Whether one came before the other; of two at the same time the one that is listed later counts."""
    if one.when is None or other.when is None: return False
    return one.when.astimezone(UTC) < other.when.astimezone(UTC)


def time_of(text: str) -> datetime | None:
    """The time in a timestamp.txt: nbgrader writes `2027-02-01 12:00:00.000000 UTC`."""
    text = text.strip().removesuffix(" UTC").replace(" UTC", "+00:00")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def gradescope_names(text: str) -> dict[str, str]:
    """submission_metadata.yml: submission_123 -> the student's email or number. Not read as YAML."""
    found: dict[str, str] = {}
    submission = ""
    for line in text.splitlines():
        if top := re.match(r"(submission_\d+):\s*$", line):
            submission = top[1]
        elif submission and (who := re.match(r"\s+-?\s*:?(email|sid):\s*['\"]?([^'\"\s]+)", line)):
            found.setdefault(submission, who[2])
    return found
