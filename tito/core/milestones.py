"""Where a learner stands: computed from the curriculum, the progress and the code that is there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from tito.core.curriculum import Curriculum, Lesson, Milestone
from tito.core.progress import LessonRecord, MilestoneRecord, Progress

Mark = Literal["done", "stale", "started", "open", "locked", "unwritten"]


@dataclass(frozen=True)
class LessonStanding:
    lesson: Lesson
    mark: Mark                      # stale: complete, but its code or the course has changed since
    missing: tuple[Lesson, ...]     # the lessons it needs that are not complete
    record: LessonRecord

    @property
    def completed(self) -> bool: return self.mark in ("done", "stale")


@dataclass(frozen=True)
class MilestoneStanding:
    milestone: Milestone
    lessons: tuple[LessonStanding, ...]
    record: MilestoneRecord | None  # the evidence, once unlocked
    stale: bool                     # unlocked, but by other code than is there now
    written: bool = True            # its program exists

    @property
    def unlocked(self) -> bool: return self.record is not None

    @property
    def done(self) -> int: return sum(s.mark == "done" for s in self.lessons)

    @property
    def ready(self) -> bool:
        """All its lessons are done, so that its gate may be tried."""
        return self.written and self.done == len(self.lessons)

    @property
    def percent(self) -> int:
        """Lessons and the gate, each one step: 100 means unlocked."""
        steps = len(self.lessons) + 1
        return 100 * (sum(s.completed for s in self.lessons) + self.unlocked) // steps


@dataclass(frozen=True)
class Standing:
    milestones: tuple[MilestoneStanding, ...]

    @property
    def lessons(self) -> tuple[LessonStanding, ...]:
        found = [s for m in self.milestones for s in m.lessons]
        return tuple(sorted(found, key=lambda s: s.lesson.number))

    def lesson(self, name: str) -> LessonStanding:
        return next(s for s in self.lessons if s.lesson.name == name)

    def milestone(self, name: str) -> MilestoneStanding:
        return next(s for s in self.milestones if s.milestone.name == name)

    @property
    def next_lesson(self) -> LessonStanding | None:
        """What to work on: a stale lesson, else one that is started, else the first that is open."""
        marks: tuple[Mark, ...] = ("stale", "started", "open")
        return next((s for mark in marks for s in self.lessons if s.mark == mark), None)

    @property
    def next_milestone(self) -> MilestoneStanding | None:
        """The first milestone whose gate may be tried now."""
        return next((m for m in self.milestones if m.ready and not m.unlocked), None)


def standing(
    curriculum: Curriculum,
    progress: Progress,
    written: Collection[str],       # names of the lessons that exist in this course
    digests: Mapping[str, str],     # lesson -> digest of its files in ./tinytorch now
    gates: Collection[str] | None = None,       # names of the milestones whose program exists; None: all
) -> Standing:
    """Every milestone with its lessons, in the curriculum's order."""
    def of_lesson(lesson: Lesson) -> LessonStanding:
        record = progress.lesson(lesson.name)
        missing = tuple(curriculum.lesson(n) for n in lesson.needs if not progress.completed(n))
        return LessonStanding(lesson, mark_of(lesson, record, missing, written, digests), missing, record)

    def of_milestone(milestone: Milestone) -> MilestoneStanding:
        record = progress.milestones.get(milestone.name)
        stale = record is not None and any(digests.get(n) != d for n, d in record.digests.items())
        lessons = tuple(of_lesson(s) for s in curriculum.lessons_of(milestone))
        return MilestoneStanding(milestone, lessons, record, stale, gates is None or milestone.name in gates)

    return Standing(tuple(of_milestone(m) for m in curriculum.milestones))


def mark_of(
    lesson: Lesson, record: LessonRecord, missing: tuple[Lesson, ...],
    written: Collection[str], digests: Mapping[str, str],
) -> Mark:
    if lesson.name not in written:
        return "unwritten"
    if record.completed:
        met = digests.get(lesson.name) == record.digest and not record.news
        return "done" if met else "stale"
    if record.started:
        return "started"
    return "locked" if missing else "open"


def opened(before: Standing, after: Standing) -> tuple[Lesson, ...]:
    """The lessons that could not be started before, and can be now."""
    return tuple(now.lesson for was, now in zip(before.lessons, after.lessons)
                 if now.mark not in ("locked", "unwritten") and was.mark == "locked")


def ready(before: Standing, after: Standing) -> tuple[Milestone, ...]:
    """The milestones whose gate could not be tried before, and can be now."""
    return tuple(now.milestone for was, now in zip(before.milestones, after.milestones)
                 if now.ready and not was.ready and not now.unlocked)
