"""What `tito watch` shows, and how it changes with what happens. Values in and out; no clock, no keyboard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tito.core.curriculum import Lesson
from tito.core.outcomes import Hint
from tito.core.results import Report, Result

Key = Literal["h", "n", "a", "q"]
KEYS: dict[str, str] = {"h": "hint", "n": "next", "a": "run all", "q": "quit"}
WRONG = ("failed", "error", "timeout")


@dataclass(frozen=True)
class Scene:
    """One screen."""

    lesson: Lesson
    report: Report | None = None            # the last verdict
    running: bool = False
    counted: int = 0                        # results of the run that goes on
    turned: int = 0                         # how often "next" was asked for since the verdict
    hint: Hint | None = None                # about the problem that is shown
    trouble: str = ""                       # why there is no verdict: a notebook that was saved halfway
    cure: str = ""
    complete: bool = False                  # the lesson is, with this code

    @property
    def problems(self) -> tuple[Result, ...]:
        """What does not pass, the most urgent first; what only waits for something else comes last."""
        found = [t for t in self.report.tests if not t.ok] if self.report else []
        order = {"todo": 1, "skipped": 2}
        return tuple(sorted(found, key=lambda t: order.get(t.status, 0)))

    @property
    def problem(self) -> Result | None:
        """The one that is shown."""
        return self.problems[self.turned % len(self.problems)] if self.problems else None


def begun(scene: Scene, lesson: Lesson) -> Scene:
    """A run begins; the last verdict stays until there is another one."""
    other = scene.lesson.name != lesson.name
    fresh = Scene(lesson) if other else scene
    return replace(fresh, running=True, counted=0)


def heard(scene: Scene) -> Scene: return replace(scene, counted=scene.counted + 1)


def judged(scene: Scene, report: Report, complete: bool) -> Scene:
    """A verdict; a hint stays as long as it is about what is shown."""
    new = Scene(scene.lesson, report, complete=complete)
    about = new.problem.exercise if new.problem else ""
    return replace(new, hint=scene.hint) if scene.hint and scene.hint.exercise == about else new


def unjudged(scene: Scene, trouble: str, cure: str) -> Scene:
    """There can be no verdict; the last one is out of date."""
    return Scene(scene.lesson, trouble=trouble, cure=cure)


def turned(scene: Scene) -> Scene: return replace(scene, turned=scene.turned + 1, hint=None)


def hinted(scene: Scene, hint: Hint) -> Scene: return replace(scene, hint=hint)
