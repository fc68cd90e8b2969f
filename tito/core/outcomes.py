"""What the verbs of a workspace answer with: values that commands hand from the app to the view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tito.core.curriculum import Lesson, Milestone
from tito.core.progress import MilestoneRecord
from tito.core.results import Report

if TYPE_CHECKING:       # loaded when there is something to merge: `tito status` is quick
    from tito.core.merge import Note


@dataclass(frozen=True)
class Change:
    """Something that was done to the workspace, with the backup that takes it back."""

    id: str                     # 20261121-103800-reset-tensor
    verb: str                   # reset, complete, update, export, undo, start
    subject: str                # the lesson's name; for an undo, the id of the change it took back
    what: str                   # reset 02 tensor
    when: str                   # ISO
    files: tuple[str, ...]      # relative to the workspace
    backup: Path


@dataclass(frozen=True)
class Started:
    lesson: Lesson
    notebook: Path
    created: bool                       # the notebook was not there before
    given: tuple[str, ...]              # files put into ./tinytorch
    first: bool                         # started for the first time


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
    exercise: str                       # "" when all passed, and none was named
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
class Updated:
    """One notebook: what happens to its cells, or why nothing can."""

    lesson: Lesson
    notes: tuple[Note, ...] = ()
    created: bool = False
    renamed: str = ""                       # from this name: the lesson has another number now
    news: Mapping[str, str] = field(default_factory=dict)   # what a completed lesson has not met yet
    problem: str = ""
    cure: str = ""

    @property
    def conflicts(self) -> tuple[Note, ...]:
        from tito.core.merge import conflicts

        return conflicts(self.notes)

    @property
    def happens(self) -> bool:
        return bool(self.notes or self.created or self.renamed or self.problem or self.news)


@dataclass(frozen=True)
class Update:
    version: str                            # of the course
    lessons: tuple[Updated, ...]            # those to which something happens
    change: Change | None = None            # None: nothing was done

    @property
    def problems(self) -> tuple[Updated, ...]: return tuple(x for x in self.lessons if x.problem)


@dataclass(frozen=True)
class Opened:
    tool: str                   # "VS Code", "Jupyter Lab", "" when nothing could be started
    sentence: str               # what happened, or what to open


@dataclass(frozen=True)
class Finding:
    """One thing the doctor looked at."""

    name: str                           # Python, packages, tinytorch
    status: Literal["ok", "warn", "bad"]
    what: str                           # what was found
    cure: str = ""                      # what to do
    fixable: bool = False               # `tito doctor --fix` would do it
    fixed: bool = False                 # … and has
