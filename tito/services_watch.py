"""Watching a workspace: each save of a notebook is checked at once, on a stage that is kept warm."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

from tito.core import watching
from tito.core.curriculum import Lesson
from tito.core.errors import EnvironmentProblem, TitoError
from tito.core.lesson import NotebookCell
from tito.core.plan import Kind, Limits, Outcome, Plan, Run, Unit
from tito.core.results import Report, Result
from tito.core.watching import Scene
from tito.ports.files import stage, write_tree
from tito.ports.keys import Keyboard, Keys
from tito.ports.runner import Heard, Runner, Said, Stopped, Warm, nobody
from tito.ports.saves import OnDisk, Saves
from tito.services_testing import Listen, Tests

if TYPE_CHECKING:
    from tito.app import Workspace

TICK = 0.5                      # seconds after which the screen is looked at, though nothing happened
AGAIN = 0.15                    # … a notebook that cannot be read is read again: it may be half saved
Show = Callable[[Scene], None]


# ---------------------------------------------------------------------------------- only what is affected

class Affected:
    """A runner that leaves out the checks before the first cell that has changed: their verdict holds.

    Cells run in order, each check in a copy of what the cells before it have made. So a check that passed
    passes again, unless a cell before it, the check itself or the package has changed.
    """

    def __init__(self, runner: Runner):
        self.runner = runner
        self.units: tuple[Unit, ...] = ()
        self.passed: dict[str, Outcome] = {}

    def forget(self) -> None: self.units, self.passed = (), {}

    def imported(self, folder: Path) -> str: return self.runner.imported(folder)

    def run(self, plan: Plan, heard: Heard = nobody, said: Said = nobody) -> Run:
        if plan.kind != "cells": return self.runner.run(plan, heard, said)
        kept = self.kept(plan.units)
        told: list[Outcome] = []
        waiting = list(plan.units)

        def tell(outcome: Outcome) -> None:
            told.append(outcome)
            heard(outcome)

        def until(unit: str) -> None:
            """What is known of the units before this one comes before it."""
            while waiting and waiting[0].id != unit:
                if known := kept.get(waiting.pop(0).id): tell(known)

        def hear(outcome: Outcome) -> None:
            if any(unit.id == outcome.unit for unit in waiting): until(outcome.unit)
            tell(outcome)

        units = tuple(unit for unit in plan.units if unit.id not in kept)
        run = self.runner.run(replace(plan, units=units), hear, said)
        if run.finished: until("")
        run = replace(run, outcomes=tuple(told))
        self.units = plan.units if run.finished else ()
        self.passed = {o.unit: o for o in told if o.outcome == "passed"}
        return run

    def kept(self, units: tuple[Unit, ...]) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        for now, before in zip(units, self.units):
            if now != before: break
            if now.kind == "check" and now.id in self.passed: found[now.id] = self.passed[now.id]
        return found


@dataclass
class Staged(Tests):
    """Tests on stages that stay: what has not changed is not written, compiled or imported again."""

    folder: Path = field(kw_only=True)
    changed: Callable[[Kind], None] = field(kw_only=True)       # is told when a stage has
    written: dict[Kind, dict[str, str]] = field(default_factory=dict)

    @contextmanager
    def staged(self, files: Mapping[str, str], kind: Kind = "import") -> Iterator[Path]:
        if kind not in ("cells", "tests"):
            with super().staged(files, kind) as place: yield place
            return
        self.own(self.root / "tinytorch")
        before, place = self.written.pop(kind, {}), self.folder / kind      # not known until it is written
        if not before: shutil.rmtree(place / "tinytorch", ignore_errors=True)
        news = {name: text for name, text in files.items() if before.get(name) != text}
        gone = before.keys() - files.keys()
        if news or gone: self.changed(kind)
        for name in (*news, *gone):
            path = place / "tinytorch" / name
            for old in (path, Path(cache_from_source(str(path)))): old.unlink(missing_ok=True)
        write_tree(place / "tinytorch", news)
        self.written[kind] = dict(files)
        yield place.resolve()


# ------------------------------------------------------------------------------------------- one verdict

class Judge:
    """The verdict on a lesson, as often as it is asked for."""

    def __init__(
        self, place: Workspace, folder: Path, runner: Warm | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.place, self.warm, self.sleep = place, runner or Warm(), sleep
        self.affected = Affected(self.warm)
        self.tests = Staged(place.course, place.root, self.affected, folder=folder, changed=self.outdated)
        self.last: tuple[str, object] | None = None     # what the last verdict was about

    def outdated(self, kind: Kind) -> None:
        if kind != "cells": return          # those wait without having imported the package
        self.warm.forget(kind)
        self.affected.forget()

    def report(self, lesson: Lesson, everything: bool, limits: Limits, listen: Listen) -> Report | None:
        """None if nothing has changed that a verdict depends on: the last one holds."""
        self.place.progress()                   # before anything is run: can it be noted?
        last, self.last = self.last, None       # nothing holds, until this has come to its end
        what = (lesson.name, self.subject(lesson))
        report = None
        if what != last or everything:
            if everything: self.affected.forget()
            report = self.tests.lesson(lesson, limits, listen).report
            self.place.note(lesson, report)
        self.last = what
        return report

    def subject(self, lesson: Lesson) -> object:
        """All that a verdict depends on."""
        rows = self.read(lesson)
        code = [row for row in rows if row.kind == "code"]
        return code, self.tests.before(lesson)

    def read(self, lesson: Lesson) -> list[NotebookCell]:
        path = self.place.notebook(lesson)
        try:
            return self.place.course.notebooks.read(path)
        except EnvironmentProblem:
            self.sleep(AGAIN)
            return self.place.course.notebooks.read(path)


# ------------------------------------------------------------------------------------------------ the loop

@dataclass(frozen=True)
class Saved:
    paths: frozenset[Path]


@dataclass(frozen=True)
class Pressed:
    key: str


@dataclass(frozen=True)
class Came:
    """Something of the run with this number: a result, a verdict, or what went wrong."""

    number: int
    what: Result | Report | BaseException | None


class Watching:
    """The screen of a learner who works: from what happens to what is shown."""

    def __init__(
        self, place: Workspace, lesson: Lesson, show: Show, judge: Judge,
        follow: bool = True,                    # the notebook that is saved, whichever it is
        limits: Limits | None = None,
    ):
        self.place, self.show, self.judge, self.follow = place, show, judge, follow
        self.limits = limits or Limits()
        self.scene = Scene(lesson)
        self.events: queue.SimpleQueue[Saved | Pressed | Came] = queue.SimpleQueue()
        self.number, self.thread = 0, threading.Thread()

    def watch(self, saves: Saves, keys: Keys) -> Scene:
        """Until somebody wants to quit; the last scene."""
        stop = threading.Event()
        followers = [
            threading.Thread(target=saves.follow, daemon=True,
                             args=(self.place.root, lambda paths: self.events.put(Saved(paths)), stop)),
            threading.Thread(target=keys.read, daemon=True,
                             args=(lambda key: self.events.put(Pressed(key)), stop)),
        ]
        try:
            self.check(self.scene.lesson, everything=True)
            for each in followers: each.start()
            while self.goes_on(): self.show(self.scene)
        finally:
            stop.set()
            self.halt()
            self.judge.warm.close()
            for each in followers:
                if each.ident: each.join(timeout=2)     # the keyboard goes back to what it was
        return self.scene

    def goes_on(self) -> bool:
        """Takes one event in; False at the end."""
        try:
            event = self.events.get(timeout=TICK)
        except queue.Empty:
            return True
        match event:
            case Saved(paths): self.saved(paths)
            case Pressed(key): return self.pressed(key)
            case Came(number, what) if number == self.number: self.came(what)
        return True

    def saved(self, paths: frozenset[Path]) -> None:
        lessons = [x for x in self.place.course.curriculum if self.place.notebook(x) in paths]
        mine = self.scene.lesson in lessons
        if mine or (self.follow and lessons):
            self.check(self.scene.lesson if mine else lessons[0])

    def pressed(self, key: str) -> bool:
        match key.lower():
            case "q": return False
            case "a": self.check(self.scene.lesson, everything=True)
            case "n": self.scene = watching.turned(self.scene)
            case "h" if self.scene.problem and self.scene.problem.exercise:
                self.hint(self.scene.problem.exercise)
        return True

    def hint(self, exercise: str) -> None:
        try:
            self.scene = watching.hinted(self.scene, self.place.hint(self.scene.lesson, exercise))
        except TitoError as problem:
            self.scene = replace(self.scene, trouble=problem.message, cure=problem.cure)

    def came(self, what: Result | Report | BaseException | None) -> None:
        match what:
            case Result(): self.scene = watching.heard(self.scene)
            case Report():
                record = self.place.progress().lesson(self.scene.lesson.name)
                complete = bool(record.completed) and record.digest == what.digest and not record.news
                self.scene = watching.judged(self.scene, what, complete)
            case None: self.scene = replace(self.scene, running=False, trouble="", cure="")
            case TitoError(): self.scene = watching.unjudged(self.scene, what.message, what.cure)
            case _: raise what

    # --------------------------------------------------------------------------------------- one at a time

    def check(self, lesson: Lesson, everything: bool = False) -> None:
        """Begins a run; one that goes on is ended: it is about what was there before."""
        self.halt()
        self.number += 1
        self.scene = watching.begun(self.scene, lesson)
        self.judge.warm.begin()
        self.thread = threading.Thread(target=self.work, args=(self.number, lesson, everything), daemon=True)
        self.thread.start()

    def halt(self) -> None:
        if not self.thread.ident: return
        self.judge.warm.stop()
        self.thread.join()

    def work(self, number: int, lesson: Lesson, everything: bool) -> None:
        def listen(result: Result) -> None: self.events.put(Came(number, result))

        try:
            what = self.judge.report(lesson, everything, self.limits, listen)
            self.events.put(Came(number, what))
        except Stopped:
            pass
        except BaseException as problem:        # whoever waits for the events has to know
            self.events.put(Came(number, problem))
        self.judge.warm.prepare()


def watch(
    place: Workspace, lesson: Lesson, show: Show, follow: bool = True, limits: Limits | None = None,
    saves: Saves | None = None, keys: Keys | None = None,
) -> Scene:
    """Watches the workspace and shows what is found, until `q` or Ctrl-C."""
    with stage(place.root / ".tito" / "stage") as folder:
        loop = Watching(place, lesson, show, Judge(place, folder), follow, limits)
        return loop.watch(saves or OnDisk(), keys or Keyboard())
