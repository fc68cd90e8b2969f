"""Where everything meets: a course, a learner's workspace, and the verbs that commands are made of."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tito.core import exercises
from tito.core.curriculum import Lesson, Milestone
from tito.core.errors import EnvironmentProblem, Locked, NotFound, UsageProblem
from tito.core.faces import installed
from tito.core.given import given_file
from tito.core.lesson import lifted, notebook, recognised
from tito.core.milestones import Standing, opened, ready, standing
from tito.core.outcomes import Completion, Gate, Hint, Started
from tito.core.plan import Limits
from tito.core.progress import MilestoneRecord, Progress
from tito.core.results import Report
from tito.services_course import Course, digest, open_course, package_files
from tito.services_state import State, is_workspace, now

if TYPE_CHECKING:       # loaded when a verb needs them: `tito status` is quick
    from tito.core.compare import Solution
    from tito.core.lesson import Cell, Chapter
    from tito.core.outcomes import Change, Finding, Opened
    from tito.ports.changes import Records
    from tito.ports.editor import Editor
    from tito.ports.runner import Runner
    from tito.services_testing import Listen, Say, Tests, Trial
    from tito.services_update import Update

__all__ = ["Completion", "Course", "Gate", "Hint", "Started", "Workspace", "create_workspace", "open_course",
           "open_workspace"]

PACKAGE = "tinytorch"


# ----------------------------------------------------------------------------------------- the workspace

def open_workspace(start: Path | None = None, course: Course | None = None) -> Workspace:
    """The workspace that `start` (default: the current directory) lies in; NotFound if in none."""
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if is_workspace(folder):
            return Workspace(folder, course or open_course())
    raise NotFound(f"{here} is not in a workspace.", "`tito init mytorch` makes one; then cd into it.")


def create_workspace(
    folder: Path, course: Course | None = None, tutor: str | None = None,
) -> Workspace:
    """A new workspace: notebooks beside an empty tinytorch/; refuses to overwrite anything.

    `tutor` is what its AGENTS.md asks of coding assistants, instead of the course's words.
    """
    from tito.services_create import make_folder

    course, root = course or open_course(), folder.absolute()
    make_folder(root, course, tutor)
    return Workspace(root, course)


class Workspace:
    """A learner's folder. Lesson and milestone arguments take what `Curriculum.lesson` takes."""

    def __init__(
        self, root: Path, course: Course, runner: Runner | None = None, editor: Editor | None = None,
    ):
        self.root, self.course, self.state = root, course, State(root)
        self._runner, self._editor = runner, editor

    @cached_property
    def tests(self) -> Tests:
        from tito.ports.runner import Processes
        from tito.services_testing import Tests

        return Tests(self.course, self.root, self._runner or Processes())

    # ---------------------------------------------------------------------------------------- looking

    def progress(self) -> Progress: return self.state.progress()

    def standing(self) -> Standing:
        """Quick: reads the progress and the package, no notebook."""
        return self._standing(self.progress(), self.sources())

    def _standing(self, progress: Progress, sources: Mapping[str, str]) -> Standing:
        course = self.course
        digests = {lesson.name: digest(lesson, sources) for lesson in course.curriculum}
        gates = {m.name for m in course.curriculum.milestones if course.program(m)}
        return standing(course.curriculum, progress, course.written(), digests, gates)

    def sources(self) -> dict[str, str]:
        """Every module that lessons exported to ./tinytorch."""
        return installed(self.course.curriculum, package_files(self.root / PACKAGE))

    def current(self) -> Lesson:
        """The lesson that a command without an argument means: worked on last, else the next one."""
        stands = self.standing()
        begun = [s for s in stands.lessons if s.mark == "started"]
        if begun:
            return max(begun, key=lambda s: max(s.record.started, s.record.tested)).lesson
        if stands.next_lesson:
            return stands.next_lesson.lesson
        done = [s.lesson for s in stands.lessons if s.completed]
        if not done:
            raise NotFound("There is no lesson to work on.", "tito module list")
        return done[-1]

    def notebook(self, lesson: str | Lesson) -> Path: return self.root / self._lesson(lesson).notebook

    def cell(self, lesson: str | Lesson, exercise: str) -> str:
        """What the learner has written for an exercise."""
        found, chapter = self._lesson(lesson), self.course.chapter(self._lesson(lesson))
        cell = exercises.cell_of(found, chapter, exercise)
        lift = lifted(chapter, self.course.notebooks.read(self.notebook(found)))
        if cell.id not in lift.sources:
            raise NotFound(f"The cell `{cell.id}` is gone from {found.notebook}.",
                           f"`tito module reset {found.number:02} {exercise}` brings it back.")
        return lift.sources[cell.id]

    def last_report(self, lesson: str | Lesson) -> Report | None:
        """What the last test of a lesson found."""
        return self.state.last_report(self._lesson(lesson).name)

    def _lesson(self, lesson: str | Lesson) -> Lesson:
        return lesson if isinstance(lesson, Lesson) else self.course.curriculum.lesson(lesson)

    # --------------------------------------------------------------------------------------- starting

    def start(self, lesson: str | Lesson, anyway: bool = False) -> Started:
        """Makes the notebook if it is missing and gives the given files; Locked if needs are missing."""
        from tito.services_create import give_datasets

        lesson = self._unlocked(lesson, anyway)
        record, path = self.progress().lesson(lesson.name), self.notebook(lesson)
        created = not path.exists()
        give_datasets(self.root, self.course)           # to workspaces that are older than their data
        given = {} if record.completed else self.course.sources(lesson, lesson.given)
        if record.started and not created and not self.news(self.course.package(self.sources() | given)):
            return Started(lesson, path, False, (), False)
        new = [path.name, given_file(lesson)] if created else []
        with self._exporting("start", lesson, given, new) as change:
            if created: self._fresh(lesson)
            started = record.started or now()
            self.state.save(self.progress().with_lesson(lesson.name, started=started))
        modules = {f"{PACKAGE}/{self.course.curriculum.file_of(module)}" for module in given}
        files = tuple(name for name in change.files if name in modules)
        return Started(lesson, path, created, files, not record.started)

    def _unlocked(self, lesson: str | Lesson, anyway: bool) -> Lesson:
        lesson = self._lesson(lesson)
        stands = self.standing().lesson(lesson.name)
        if stands.mark == "unwritten":
            raise NotFound(f"Lesson {lesson.label} is still being written.", "tito module list")
        if stands.missing and not stands.completed and not anyway:
            needs = " and ".join(x.label for x in stands.missing)
            cure = f"tito module start {stands.missing[0].number:02}"
            raise Locked(f"Lesson {lesson.label} builds on {needs}, which you have not completed.",
                         f"`{cure}` first, or --anyway.")
        return lesson

    def open(self, lesson: str | Lesson) -> Opened:
        """Opens the notebook in VS Code or Jupyter Lab, or says what to open."""
        from tito.ports.editor import Desktop

        return (self._editor or Desktop()).open(self.notebook(lesson))

    # ---------------------------------------------------------------------------------------- testing

    def test(
        self, lesson: str | Lesson, limits: Limits | None = None, listen: Listen | None = None,
    ) -> Report:
        """Runs the course's checks, then its lesson tests, on what the learner wrote."""
        return self._tried(self._lesson(lesson), limits, listen).report

    def _tried(self, lesson: Lesson, limits: Limits | None, listen: Listen | None) -> Trial:
        """Tests a lesson, and notes how it went."""
        self.progress()                 # before minutes are spent: can it be noted?
        trial = self.tests.lesson(lesson, limits or Limits(), listen)
        self.note(lesson, trial.report)
        return trial

    def note(self, lesson: Lesson, report: Report) -> None:
        """Notes how a test went: where the learner is stuck, and what a hint is about."""
        stuck = next((t.exercise for t in report.tests if not t.ok and t.exercise), "")
        passed, total = sum(t.ok for t in report.tests), len(report.tests)
        self.state.update(f"test {lesson.label}", lambda p: p.with_lesson(
            lesson.name, started=p.lesson(lesson.name).started or now(), tested=now(),
            passed=passed, total=total, stuck_at=stuck))
        self.state.keep(report)

    def complete(
        self,
        lesson: str | Lesson,
        limits: Limits | None = None,
        listen: Listen | None = None,
        anyway: bool = False,
    ) -> Completion:
        """Tests; if all passed, exports to ./tinytorch and records it. Locked if needs are missing."""
        lesson = self._unlocked(lesson, anyway)
        before = self.standing()
        trial = self._tried(lesson, limits, listen)
        report = trial.report
        points = sum(t.points for t in report.tests if t.ok)
        possible = sum(t.points for t in report.tests)
        files = self.course.package(self.sources() | dict(trial.sources))
        if report.ok and (problem := self.tests.whole(lesson, files, limits or Limits())):
            report = replace(report, tests=(*report.tests, problem))
        if not report.ok:
            return Completion(lesson, report, points, possible)
        with self._exporting("complete", lesson, trial.sources) as change:
            self.state.save(self.progress().with_lesson(
                lesson.name, completed=now(), digest=report.digest, points=points, possible=possible,
                seconds=round(report.seconds, 2), versions=self.versions(), news={}))
        after = self.standing()
        exported = tuple(f"{PACKAGE}/{self.course.curriculum.file_of(module)}" for module in lesson.modules)
        return Completion(lesson, report, points, possible, exported, change,
                          opened(before, after), ready(before, after))

    def measure_step(self, lesson: str | Lesson) -> float:
        """Notes with a lesson how long a training step takes with ./tinytorch; 0 while nothing can train."""
        from tito.services_bench import training_step

        lesson, seconds = self._lesson(lesson), training_step(self)
        if seconds:
            self.state.update(f"step {lesson.label}", lambda p: p.with_lesson(lesson.name, step=seconds))
        return seconds

    def last_step(self, lesson: str | Lesson) -> tuple[Lesson, float] | None:
        """The lesson before this one that noted a training step last, and the time."""
        lesson = self._lesson(lesson)
        found = [(x.lesson, x.record.step) for x in self.standing().lessons
                 if x.record.step and x.lesson.number < lesson.number]
        return found[-1] if found else None

    def versions(self) -> dict[str, str]:
        from importlib.metadata import PackageNotFoundError, version

        found = {"tito": self.course.version, "python": ".".join(map(str, sys.version_info[:3]))}
        try:
            found["numpy"] = version("numpy")
        except PackageNotFoundError:        # the worker found one that has no metadata
            found["numpy"] = "unknown"
        return found

    def export(self, lesson: str | Lesson) -> Change:
        """Writes the learner's cells to ./tinytorch without testing them (it may show as stale)."""
        from tito.core.export import banner, module_source
        lesson = self._lesson(lesson)
        chapter = self.course.chapter(lesson)
        cells = lifted(chapter, self.course.notebooks.read(self.notebook(lesson))).cells
        own = {lesson.module: module_source(cells, banner(lesson.notebook), lesson.notebook)}
        with self._exporting("export", lesson, self.course.sources(lesson, lesson.given) | own) as change:
            return change

    # ------------------------------------------------------------------------------- files of the package

    @contextmanager
    def _exporting(
        self, verb: str, lesson: Lesson, modules: Mapping[str, str], more: Sequence[str] = (),
    ) -> Iterator[Change]:
        """Puts modules into ./tinytorch, and makes its faces anew, as one change."""
        what = f"{verb} {lesson.label}"
        with self.state.alone(what):
            news = self.news(self.course.package(self.sources() | dict(modules)))
            names = [*more, *(f"{PACKAGE}/{name}" for name in news)]
            with self.state.changing(verb, lesson.name, what, names, [lesson.name]) as change:
                self._place(news)
                yield change

    def news(self, files: Mapping[str, str]) -> dict[str, str | None]:
        """What makes ./tinytorch consist of these files: path -> text, or None for one to remove."""
        self.tests.own(self.root / PACKAGE)
        there = package_files(self.root / PACKAGE)
        gone = [n for n, text in there.items() if n not in files and text.startswith("# Generated from")]
        return {n: text for n, text in files.items() if there.get(n) != text} | dict.fromkeys(gone)

    def mend(self) -> Change:
        """Makes the faces of ./tinytorch anew; the modules stay as they are."""
        with self.state.alone("doctor"):
            news = self.news(self.course.package(self.sources()))
            names = [f"{PACKAGE}/{name}" for name in news]
            with self.state.changing("doctor", "package", "doctor: the faces of tinytorch", names) as change:
                self._place(news)
        return change

    def _place(self, news: Mapping[str, str | None]) -> None:
        from tito.ports.files import drop, write_all

        folder = self.root / PACKAGE
        write_all({folder / name: text for name, text in news.items() if text is not None})
        for name, text in news.items():
            if text is None: drop(folder / name)

    # ------------------------------------------------------------------------------------ back and forth

    def reset(self, lesson: str | Lesson, exercise: str | None = None) -> Change:
        """Puts the blank back: of one exercise, or the whole notebook. The old one is in the backup."""
        lesson = self._lesson(lesson)
        chapter = self.course.chapter(lesson)
        cell = exercises.cell_of(lesson, chapter, exercise, exercise_only=False) if exercise else None
        what = f"reset {lesson.label}" + (f" {exercise}" if exercise else "")
        files = [lesson.notebook] if cell else [lesson.notebook, given_file(lesson)]
        with self.state.alone(what), \
                self.state.changing("reset", lesson.name, what, files) as change:
            if cell is None:
                self._fresh(lesson)
            else:
                self._blank(lesson, chapter, cell)
        return change

    def _fresh(self, lesson: Lesson) -> None:
        """The lesson's notebook as the course has it."""
        from tito.services_update import remember

        self.course.notebooks.write(notebook(self.course.chapter(lesson)), self.notebook(lesson))
        remember(self.root, self.course, lesson)

    def _blank(self, lesson: Lesson, chapter: Chapter, cell: Cell) -> None:
        """One cell as it was at the start; where it is gone, it comes back behind the cell it followed."""
        path, notebooks = self.notebook(lesson), self.course.notebooks
        rows = recognised(chapter, notebooks.read(path))
        place = next((i for i, row in enumerate(rows) if (row.id, row.kind) == (cell.id, cell.kind)), None)
        if place is None:
            notebooks.insert(path, exercises.place_for(cell, chapter, rows), exercises.blank(cell))
        else:
            notebooks.replace(path, place, exercises.blank(cell))

    def undo(self, change: str | None = None) -> Change:
        """Takes back the last change (or the named one); the result is a change and can be undone too."""
        found = self.changes()
        wanted = next((c for c in found if change in (None, c.id)), None)
        if wanted is None:
            named = f"There is no change {change}." if change else "There is nothing to undo."
            raise NotFound(named, "tito undo --list" if found else "")
        state, what, records = self.state, opposite(wanted.what), self.state.changes.records(wanted)
        with state.alone(what), \
                state.changing("undo", wanted.id, what, wanted.files, **names_of(records)) as done:
            state.restore(state.changes.restore(wanted))
        return done

    def changes(self) -> list[Change]:
        """All that can be undone, newest first."""
        with self._settled():
            return self.state.changes.all()

    def _settled(self) -> AbstractContextManager[None]:
        """What was interrupted is taken back before anybody looks."""
        return self.state.alone("undo") if self.state.changes.unfinished() else nullcontext()

    def update(self, lesson: str | Lesson | None = None, dry: bool = False) -> Update:
        """New course content into the notebooks (or one of them); `dry` only says what would happen."""
        from tito.services_update import Updating

        updating, wanted = Updating(self), self._lesson(lesson) if lesson else None
        return updating.look(wanted) if dry else updating.update(wanted)

    # ------------------------------------------------------------------------------------- being helped

    def hint(self, lesson: str | Lesson, exercise: str | None = None, number: int | None = None) -> Hint:
        """The next hint (or the numbered one) for an exercise; default: the one that failed last.

        When none failed, the hint is about no exercise.
        """
        lesson = self._lesson(lesson)
        chapter = self.course.chapter(lesson)
        record = self.progress().lesson(lesson.name)
        if record.tested and not (exercise or record.stuck_at):
            return Hint(lesson, "", 0, 0, "")
        name = exercise or record.stuck_at or exercises.first_exercise(lesson, chapter)
        cell = exercises.cell_of(lesson, chapter, name)
        total = len(cell.hints)
        if not total:
            return Hint(lesson, cell.name, 0, 0, "")
        wanted = record.hints.get(cell.name, 0) + 1 if number is None else number
        if number is not None and not 1 <= number <= total:
            raise NotFound(f"{cell.name} has {total} hints, and no number {number}.", "")
        wanted = min(wanted, total)
        if wanted > record.hints.get(cell.name, 0):
            self.state.update(f"hint {lesson.label}", lambda p: p.with_lesson(
                lesson.name, hints={**p.lesson(lesson.name).hints, cell.name: wanted}))
        return Hint(lesson, cell.name, wanted, total, cell.hints[wanted - 1])

    def solution(self, lesson: str | Lesson, exercise: str, measure: bool = False) -> Solution:
        """The course's way to solve the exercise beside the learner's."""
        from tito.services_solution import solution

        return solution(self, self._lesson(lesson), exercise, measure)

    # --------------------------------------------------------------------------------------- milestones

    def milestone_test(self, name: str, limits: Limits | None = None, say: Say | None = None) -> Gate:
        """Runs the gate on ./tinytorch as it is; records nothing."""
        milestone = self.course.curriculum.milestone(name)
        return Gate(milestone, self.tests.milestone(milestone, limits or Limits(), say))

    def milestone_run(self, name: str, say: Say, limits: Limits | None = None, data: str = "") -> Gate:
        """The same program, told as a story, or on real data: each line goes to `say`."""
        milestone = self.course.curriculum.milestone(name)
        if data and data not in milestone.data:
            known = ", ".join(milestone.data)
            raise UsageProblem(f"{milestone.title} does not run on '{data}'.",
                               f"It runs on {known}." if known else "Leave --data out.")
        words = ("--data", data) if data else ()
        return Gate(milestone, self.tests.milestone(milestone, limits or Limits(), say, words))

    def milestone_unlock(
        self, name: str | None = None, limits: Limits | None = None, say: Say | None = None,
    ) -> Gate:
        """Runs the gate (default: the next one that can be tried); if it passes, keeps the evidence."""
        milestone = self._next_gate(name)
        before = self.sources()
        self._refuse_unready(milestone)
        report = self.tests.milestone(milestone, limits or Limits(), say)
        if not report.ok:
            return Gate(milestone, report)
        if self.sources() != before:
            raise EnvironmentProblem("Your tinytorch/ changed while the gate was tried.", "Try it again.")
        lessons = self.course.curriculum.lessons_of(milestone)
        record = MilestoneRecord(
            now(), report.numbers, {x.name: digest(x, before) for x in lessons}, self.versions(),
            round(report.seconds, 2))
        self.state.update(f"unlock {milestone.title}", lambda p: p.with_milestone(milestone.name, record))
        return Gate(milestone, report, record, self._opens(milestone))

    def _next_gate(self, name: str | None) -> Milestone:
        if name: return self.course.curriculum.milestone(name)
        stands = self.standing()
        if stands.next_milestone:
            return stands.next_milestone.milestone
        locked = next((m for m in stands.milestones if not m.unlocked), None)
        if locked is None:
            raise NotFound("All milestones are unlocked.", "tito milestone timeline")
        return locked.milestone

    def _refuse_unready(self, milestone: Milestone) -> None:
        """A gate counts only when every lesson before it is complete, with the code that is there now."""
        if self.course.program(milestone) is None:
            raise NotFound(f"The milestone {milestone.title} is still being written.", "tito milestone list")
        missing = [s for s in self.standing().milestone(milestone.name).lessons if s.mark != "done"]
        if missing:
            parts = [f"{s.lesson.label} ({WHY[s.mark]})" for s in missing]
            first = next((s for s in missing if s.mark != "unwritten"), missing[0])
            said = f"{milestone.title} opens when its lessons are complete. Missing: {', '.join(parts)}."
            raise Locked(said, f"`tito module complete {first.lesson.number:02}` comes first.")

    def _opens(self, milestone: Milestone) -> tuple[Lesson, ...]:
        names = [m.name for m in self.course.curriculum.milestones]
        following = names[names.index(milestone.name) + 1:][:1]
        lessons = (x for name in following for x in self.course.curriculum.lessons_of(name))
        return tuple(lesson for lesson in lessons if lesson.name in self.course.written())

    # ------------------------------------------------------------------------------------------- health

    def doctor(self, fix: bool = False) -> list[Finding]:
        """What is well and what is not; with `fix`, what can be repaired safely is."""
        from tito.services_doctor import Doctor

        return Doctor(self).findings(fix)


WHY = {"stale": "its code has changed since it passed", "started": "begun", "open": "not begun",
       "locked": "not begun", "unwritten": "being written"}


def opposite(what: str) -> str:
    """The name of taking a change back; what was undone is done again."""
    if what.startswith("undo "): return f"redo {what.removeprefix('undo ')}"
    return f"undo {what.removeprefix('redo ')}"


def names_of(records: Records) -> dict[str, list[str]]:
    return {kind: list(records.get(kind, {})) for kind in ("lessons", "milestones")}
