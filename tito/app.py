"""Where everything meets: a course, a learner's workspace, and the verbs that commands are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tito.core.curriculum import Curriculum, Lesson, Milestone
from tito.core.lesson import Chapter
from tito.core.milestones import Standing
from tito.core.plan import Limits
from tito.core.progress import MilestoneRecord, Progress
from tito.core.results import Report, Result

Listen = Callable[[Result], None]       # is told each result as soon as it is known
Say = Callable[[str], None]             # is told each line a milestone program prints


# ---------------------------------------------------------------------------------------------- values

@dataclass(frozen=True)
class Change:
    """Something that was done to the workspace, with the backup that takes it back."""

    id: str                             # 20261121T103800-reset-tensor
    verb: str                           # reset, complete, update, export, undo
    subject: str                        # the lesson's name; for an undo, the id of the change it took back
    what: str                           # "reset 02 tensor"
    when: str                           # ISO
    files: tuple[str, ...]              # relative to the workspace
    backup: Path


@dataclass(frozen=True)
class Started:
    lesson: Lesson
    notebook: Path
    created: bool                       # the notebook was not there before
    given: tuple[str, ...]              # files put into ./tinytorch
    first: bool                         # started for the first time


@dataclass(frozen=True)
class Opened:
    tool: str                           # "VS Code", "Jupyter Lab", "" when nothing could be started
    sentence: str                       # what happened, or what to open


@dataclass(frozen=True)
class Completion:
    """What completing a lesson did; nothing but testing when the report is not ok."""

    lesson: Lesson
    report: Report
    points: float
    possible: float
    files: tuple[str, ...] = ()         # exported to ./tinytorch
    change: Change | None = None
    lessons: tuple[Lesson, ...] = ()    # can be started now, and could not before
    milestones: tuple[Milestone, ...] = ()      # whose gate can be tried now, and could not before


@dataclass(frozen=True)
class Hint:
    lesson: Lesson
    exercise: str
    number: int                         # from 1; 0 when there is none
    total: int
    text: str


@dataclass(frozen=True)
class Gate:
    """What trying a milestone's gate gave. `record` is the evidence, when it was unlocked."""

    milestone: Milestone
    report: Report
    record: MilestoneRecord | None = None
    opens: tuple[Lesson, ...] = ()      # lessons of the next milestone


@dataclass(frozen=True)
class Finding:
    """One thing the doctor looked at."""

    name: str                           # "Python", "packages", "tinytorch"
    status: Literal["ok", "warn", "bad"]
    what: str                           # what was found
    cure: str = ""                      # what to do
    fixable: bool = False               # `doctor(fix=True)` would do it
    fixed: bool = False                 # … and has


# -------------------------------------------------------------------------------------------- the course

class Course:
    """The lessons, milestones and data, from the wheel or from the checkout."""

    root: Path
    version: str                        # of the distribution
    curriculum: Curriculum

    def written(self) -> frozenset[str]: """Names of the lessons that exist."""; raise NotImplementedError
    def chapter(self, lesson: Lesson) -> Chapter: """The lesson's own file, parsed."""; raise NotImplementedError
    def program(self, milestone: Milestone) -> Path | None: """Its gate, if it is written."""; raise NotImplementedError


def open_course() -> Course:
    """The course this tito came with."""
    raise NotImplementedError


# ----------------------------------------------------------------------------------------- the workspace

def open_workspace(start: Path | None = None, course: Course | None = None) -> Workspace:
    """The workspace that `start` (default: the current directory) lies in; NotFound if in none."""
    raise NotImplementedError


def create_workspace(folder: Path, course: Course | None = None) -> Workspace:
    """A new workspace: notebooks beside an empty tinytorch/; refuses to overwrite anything."""
    raise NotImplementedError


class Workspace:
    """A learner's folder. Lesson and milestone arguments take what `Curriculum.lesson` takes."""

    root: Path
    course: Course

    def progress(self) -> Progress: raise NotImplementedError
    def standing(self) -> Standing: """Quick: reads no notebook."""; raise NotImplementedError
    def current(self) -> Lesson: """The lesson that a command without an argument means."""; raise NotImplementedError
    def notebook(self, lesson: str | Lesson) -> Path: raise NotImplementedError

    def start(self, lesson: str | Lesson, anyway: bool = False) -> Started:
        """Makes the notebook if it is missing and gives the given files; Locked if needs are missing."""
        raise NotImplementedError

    def open(self, lesson: str | Lesson) -> Opened:
        """Opens the notebook in VS Code or Jupyter Lab, or says what to open."""
        raise NotImplementedError

    def test(self, lesson: str | Lesson, limits: Limits | None = None, listen: Listen | None = None) -> Report:
        """Runs the course's checks, then its lesson tests, on what the learner wrote."""
        raise NotImplementedError

    def complete(
        self, lesson: str | Lesson, limits: Limits | None = None, listen: Listen | None = None, anyway: bool = False,
    ) -> Completion:
        """Tests; if all passed, exports to ./tinytorch and records it. Locked if needs are missing."""
        raise NotImplementedError

    def reset(self, lesson: str | Lesson, exercise: str | None = None) -> Change:
        """Puts the blank back: of one exercise, or the whole notebook. The old one is in the backup."""
        raise NotImplementedError

    def export(self, lesson: str | Lesson) -> Change:
        """Writes the learner's cells to ./tinytorch without testing them (the lesson may show as stale)."""
        raise NotImplementedError

    def undo(self, change: str | None = None) -> Change:
        """Takes back the last change (or the named one); the result is a change and can be undone too."""
        raise NotImplementedError

    def changes(self) -> list[Change]: """All that can be undone, newest first."""; raise NotImplementedError

    def hint(self, lesson: str | Lesson, exercise: str | None = None, number: int | None = None) -> Hint:
        """The next hint (or the numbered one) for an exercise; default: the one that failed last."""
        raise NotImplementedError

    def solution(self, lesson: str | Lesson, exercise: str) -> str:
        """The course's own source of the exercise."""
        raise NotImplementedError

    def milestone_test(self, name: str, limits: Limits | None = None, say: Say | None = None) -> Gate:
        """Runs the gate on ./tinytorch as it is; records nothing."""
        raise NotImplementedError

    def milestone_unlock(self, name: str | None = None, limits: Limits | None = None, say: Say | None = None) -> Gate:
        """Runs the gate (default: the next one that can be tried); if it passes, keeps the evidence."""
        raise NotImplementedError

    def milestone_run(self, name: str, say: Say, limits: Limits | None = None) -> Gate:
        """The same program, told as a story: each line goes to `say`."""
        raise NotImplementedError

    def doctor(self, fix: bool = False) -> list[Finding]:
        """What is well and what is not; with `fix`, what can be repaired safely is."""
        raise NotImplementedError
