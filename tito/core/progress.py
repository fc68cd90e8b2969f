"""What a learner has reached: values, and how they are written down. No clock, no disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from tito.core.errors import EnvironmentProblem

FORMAT = 1
CURE = "`tito doctor --fix` brings back the last good copy."


@dataclass(frozen=True)
class LessonRecord:
    """One lesson, as far as the learner has come. Times are ISO texts; empty means never."""

    started: str = ""
    tested: str = ""
    passed: int = 0                 # checks and tests that passed at the last test
    total: int = 0                  # … of so many
    stuck_at: str = ""              # the first exercise that did not pass
    hints: Mapping[str, int] = field(default_factory=dict)      # exercise -> hints seen
    completed: str = ""
    digest: str = ""                # of the files in ./tinytorch that passed
    points: float = 0
    possible: float = 0
    seconds: float = 0.0            # how long the tests that passed took
    step: float = 0.0               # CPU seconds of one training step afterwards; 0 while nothing can train
    versions: Mapping[str, str] = field(default_factory=dict)   # of tito, Python, NumPy
    news: Mapping[str, str] = field(default_factory=dict)       # in the course since it passed: cell -> what


@dataclass(frozen=True)
class MilestoneRecord:
    """The evidence on which a milestone was unlocked."""

    unlocked: str
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)    # lesson -> digest of the code that did it
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Progress:
    """Everything reached, by the stable names of lessons and milestones."""

    lessons: Mapping[str, LessonRecord] = field(default_factory=dict)
    milestones: Mapping[str, MilestoneRecord] = field(default_factory=dict)

    def lesson(self, name: str) -> LessonRecord: return self.lessons.get(name, LessonRecord())

    def completed(self, name: str) -> bool: return bool(self.lesson(name).completed)

    def with_lesson(self, name: str, **news: Any) -> Progress:
        """This progress, with a few facts about one lesson changed."""
        return replace(self, lessons={**self.lessons, name: replace(self.lesson(name), **news)})

    def with_milestone(self, name: str, record: MilestoneRecord) -> Progress:
        return replace(self, milestones={**self.milestones, name: record})

    def entry(self, kind: str, name: str) -> dict | None:
        """One record as plain data; None if there is none. `kind` is lessons or milestones."""
        record = getattr(self, kind).get(name)
        return asdict(record) if record else None

    def with_entry(self, kind: str, name: str, data: dict | None) -> Progress:
        """The record that `entry` gave, put back in its place."""
        records = {k: v for k, v in getattr(self, kind).items() if k != name}
        if data is not None:
            records[name] = RECORDS[kind](**data)
        return replace(self, **{kind: records})


RECORDS: dict[str, Any] = {"lessons": LessonRecord, "milestones": MilestoneRecord}


KINDS: dict[str, Any] = {
    "str": str, "int": int, "float": (int, float), "float | int | str": (int, float, str)}
R = TypeVar("R", LessonRecord, MilestoneRecord)


def checked(record: R) -> R:
    """The record, if its values are of the types that its class names; else a TypeError."""
    for fact in fields(record):
        if not fits(getattr(record, fact.name), str(fact.type)):
            raise TypeError(f"{fact.name} is {getattr(record, fact.name)!r}")
    return record


def fits(value: Any, kind: str) -> bool:
    if kind.startswith("Mapping"):
        inside = kind.removeprefix("Mapping[str, ").removesuffix("]")
        return isinstance(value, dict) and all(fits(v, inside) for v in value.values())
    return isinstance(value, KINDS[kind])


def to_json(progress: Progress) -> str:
    return json.dumps({"format": FORMAT, **asdict(progress)}, indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> Progress:
    """The Progress that `to_json` wrote; a sentence if it is damaged or from a newer tito."""
    try:
        data = json.loads(text)
    except ValueError as e:
        raise EnvironmentProblem(f"progress.json is damaged: {e}", CURE) from e
    if not isinstance(data, dict) or not isinstance(data.get("format"), int):
        raise EnvironmentProblem("progress.json is damaged: it does not say its format", CURE)
    if data["format"] > FORMAT:
        raise EnvironmentProblem(
            f"progress.json has format {data['format']}; this tito reads up to {FORMAT}",
            "A newer tito wrote it: pip install --upgrade tinytorch-tito",
        )
    try:
        return Progress(
            {name: checked(LessonRecord(**record)) for name, record in data["lessons"].items()},
            {name: checked(MilestoneRecord(**record)) for name, record in data["milestones"].items()},
        )
    except (KeyError, TypeError, AttributeError) as e:
        raise EnvironmentProblem(f"progress.json is damaged: {e}", CURE) from e
