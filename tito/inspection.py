"""Whether the course keeps its promises: rules on its text, and runs of what learners would run."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tito.checkout import Checkout
from tito.core import rules
from tito.core.attempts import blank, mistakes, right
from tito.core.curriculum import Lesson
from tito.core.errors import TitoError
from tito.core.lesson import Chapter, LessonProblem, notebook
from tito.core.plan import Limits, Plan, Run, Unit
from tito.core.prose import Page, heading_ids, links, prose, typed
from tito.core.reports import Package, lesson_tests
from tito.core.rules import Fault, Inspected
from tito.core.verdicts import Verdicts, units
from tito.ports.files import write_tree
from tito.ports.notebooks import round_trip_differences
from tito.ports.runner import Processes, Runner
from tito.services_attempts import AT_ONCE, Attempts, tested

LIMITS = Limits(test=120, lesson=600)
FORK_LIMITS = Limits(test=120, lesson=1200)
USUAL = rules.Bounds()
Problem = Callable[[str], str]              # why a command line cannot be typed; "" if it can


class Trial(NamedTuple):
    """Something to run, and what its outcome says about a lesson."""

    lesson: Lesson
    what: str
    plan: Plan
    judge: Callable[[Run], Iterator[Fault]]


class Inspection:
    def __init__(
        self,
        course: Checkout,
        folder: Path,                       # for what is written meanwhile
        problem: Problem,
        bounds: rules.Bounds = USUAL,
        runner: Runner | None = None,
    ):
        self.course, self.runner, self.folder = course, runner or Processes(), folder
        self.problem, self.bounds = problem, bounds
        self.attempts = Attempts(course, folder / "before", self.runner, FORK_LIMITS)
        self.ran: dict[str, int] = {}

    def look(
        self,
        lessons: Sequence[Lesson],
        fast: bool = False,                                     # rules only, nothing is run
        heard: Callable[[str], None] = lambda line: None,       # is told what has just been done
    ) -> Iterator[Inspected]:
        """The course as a whole, then each lesson as soon as it is done."""
        heard("the list, the package and the pages")
        yield Inspected("the course", tuple(self.course_faults()))
        read = {}
        for lesson in lessons:
            heard(f"reading {lesson.label}")
            read[lesson] = list(self.text_faults(lesson))
        trials = {lesson: [] if fast else list(self.trials(lesson, found)) for lesson, found in read.items()}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = {pool.submit(self.runner.run, trial.plan): trial
                    for some in trials.values() for trial in some}
            waiting = {lesson: len(some) for lesson, some in trials.items()}
            seconds = dict.fromkeys(lessons, 0.0)
            for lesson in lessons:
                if not waiting[lesson]: yield self.inspected(lesson, read[lesson], 0.0)
            for done in as_completed(runs):
                trial = runs[done]
                heard(f"{trial.lesson.label}: {trial.what}")
                read[trial.lesson] += trial.judge(done.result())
                seconds[trial.lesson] += sum(o.seconds for o in done.result().outcomes)
                waiting[trial.lesson] -= 1
                if not waiting[trial.lesson]:
                    yield self.inspected(trial.lesson, read[trial.lesson], seconds[trial.lesson])

    def inspected(self, lesson: Lesson, faults: Sequence[Fault], seconds: float) -> Inspected:
        tests = self.ran.get(lesson.name, 0)
        try:
            chapter = self.course.chapter(lesson)
        except TitoError:
            return Inspected(lesson.label, tuple(faults), seconds=seconds)
        return Inspected(lesson.label, tuple(faults), len(chapter.exercises()), len(chapter.checks()),
                         chapter.points, tests, seconds)

    # --------------------------------------------------------------------------------- the whole course

    def course_faults(self) -> Iterator[Fault]:
        folders = [path.name for path in self.course.modules.glob("[0-9]*") if path.is_dir()]
        yield from rules.of_curriculum(self.course.curriculum, folders)
        yield from self.package_faults()
        for path in self.pages:
            page = Page(path.relative_to(self.course.root).as_posix(), path.read_text("utf-8"))
            yield from self.prose_faults(page, path)

    def package_faults(self) -> Iterator[Fault]:
        """tinytorch/ is what the lessons make of it, and hands on every name it should."""
        try:
            generated = self.course.generated()
        except TitoError as problem:            # a name that no lesson defines, a cell that is not Python
            yield Fault("exports", "tinytorch", problem.message)
            return
        for file, what in self.course.drift(generated):
            yield Fault("generated", f"tinytorch/{file}", f"{what}: `tito export` makes it again")
        for note in self.course.strays(): yield Fault("exports", "curriculum.toml", note)

    @property
    def pages(self) -> list[Path]:
        root = self.course.root
        return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]

    # -------------------------------------------------------------------------------------- what is read

    def text_faults(self, lesson: Lesson) -> Iterator[Fault]:
        """All that a lesson's text says of it."""
        for file in lesson.files:
            path = self.course.file(lesson, file)
            where = f"{lesson.folder}/{path.name}"
            try:
                chapter = self.course.chapter(lesson, file)
            except TitoError as problem:
                yield Fault("format", where, f"{problem.message} {problem.cure}".strip())
                return
            for line in round_trip_differences(path.read_text("utf-8"))[3:4]:
                yield Fault("round trip", where, f"a round trip through jupytext changes it: {line.strip()}")
            yield from self.prose_faults(Page(where, prose(chapter)), path)
            yield from rules.of_cells(where, chapter)
        yield from self.number_faults(lesson)
        yield from self.own_faults(lesson)

    def number_faults(self, lesson: Lesson) -> Iterator[Fault]:
        chapters = {f"{lesson.folder}/{file}.py": self.course.chapter(lesson, file) for file in lesson.files}
        pages = [Page(where, prose(chapter)) for where, chapter in chapters.items()]
        code = [cell.source for chapter in chapters.values() for cell in chapter if cell.kind == "code"]
        vouched = [row["said"] for row in self.vouched if row["lesson"] == lesson.name]
        yield from rules.of_numbers(pages, code, vouched)

    @cached_property
    def vouched(self) -> list[dict[str, str]]:
        """Numbers of the prose that no cell has: where they are from."""
        path = self.course.root / "tests" / "numbers.toml"
        return tomllib.loads(path.read_text("utf-8"))["number"] if path.exists() else []

    def own_faults(self, lesson: Lesson) -> Iterator[Fault]:
        """Of the file in which the learner writes."""
        chapter, path = self.course.chapter(lesson), self.course.file(lesson)
        where = f"{lesson.folder}/{path.name}"
        yield from rules.of_lesson(lesson, chapter, self.bounds)
        told = "\n".join(self.told(lesson, chapter))
        yield from rules.leaks_in_notebook(where, path.read_text("utf-8"), chapter, told)
        yield from rules.leaks_in_files(where, chapter, {"the notebook": told, **self.files_beside(lesson)})
        planted = self.course.root / "tests" / "mutants" / f"{lesson.folder}.toml"
        listed = mistakes(planted.read_text("utf-8")) if planted.exists() else []
        yield from rules.of_mistakes(f"tests/mutants/{planted.name}", chapter, listed, self.bounds.mistakes)

    def told(self, lesson: Lesson, chapter: Chapter) -> list[str]:
        """Every string in the notebook that a learner gets."""
        path = self.folder / lesson.notebook
        self.course.notebooks.write(notebook(chapter), path)
        return rules.strings(json.loads(path.read_text("utf-8")))

    def files_beside(self, lesson: Lesson) -> dict[str, str]:
        """What else lies around: the modules that are given with the lesson, and its tests in the wheel."""
        given = self.course.sources(lesson, lesson.given)
        tests = self.course.tests(lesson)
        files = sorted(tests.rglob("*.py")) if tests else []
        shipped = {f"tests/{path.name}": path.read_text("utf-8") for path in files}
        return {f"tinytorch/{module}.py": text for module, text in given.items()} | shipped

    def prose_faults(self, page: Page, path: Path) -> Iterator[Fault]:
        there = {target for target in links(page) if leads(target, path, page.text)}
        problems = {line: self.problem(line) for line in typed(page)}
        yield from rules.of_prose(page, there, [lesson.number for lesson in self.course.curriculum], problems)

    # --------------------------------------------------------------------------------------- what is run

    def trials(self, lesson: Lesson, faults: list[Fault]) -> Iterator[Trial]:
        """Four processes: top to bottom, blank, every exercise alone, and the tests on what was exported."""
        if any(fault.rule == "format" for fault in faults): return
        try:
            yield from [self.top_to_bottom(lesson), self.untouched(lesson), self.one_by_one(lesson),
                        self.exported(lesson)]
        except LessonProblem as problem:    # of a package that cannot be made
            faults.append(Fault("exports", lesson.folder, problem.message))

    def top_to_bottom(self, lesson: Lesson) -> Trial:
        """The solved notebook, every cell of it, beside a package that holds only what came before."""
        solved = tested(lesson, self.course.chapter(lesson), LIMITS, solutions=True)
        sources = {cell.id: cell.text for cell in solved.lift.cells if cell.exported}
        cells = tuple(Unit(c.id, "cell", solved.file(c), sources.get(c.id) or shows_last(c.source))
                      for c in solved.chapter if c.kind == "code")
        shown = {c.id for c in solved.chapter if not (c.exported or c.check)}

        def judge(run: Run) -> Iterator[Fault]:
            for o in run.outcomes:
                if o.outcome != "passed":
                    said = f"{o.type}: {o.text}" if o.type else o.text or o.outcome
                    yield Fault("runs" if o.unit in shown else "solved", f"{lesson.folder}, {o.unit}", said)
            yield from self.ended(lesson, run)
        return Trial(lesson, "runs from top to bottom", self.plan(lesson, "cells", units=cells), judge)

    def untouched(self, lesson: Lesson) -> Trial:
        blanks = tested(lesson, self.course.chapter(lesson), LIMITS, solutions=False)

        def judge(run: Run) -> Iterator[Fault]:
            told = Verdicts(blanks)
            found = [r for outcome in run.outcomes for r in told.take(outcome)] + list(told.rest())
            about = {check.id: blanks.chapter.about(check) for check in blanks.chapter.checks()}
            asked = {o.unit: o for o in run.outcomes if (cell := about.get(o.unit)) and cell.exercise}
            yield from rules.of_blank_notebook(lesson.folder, asked, found)
        plan = self.plan(lesson, "cells", units=units(blanks))
        return Trial(lesson, "a blank notebook earns nothing", plan, judge)

    def one_by_one(self, lesson: Lesson) -> Trial:
        """Each exercise left blank among solved ones, and each solved with no check before its own."""
        exercises = self.course.chapter(lesson).exercises()
        some = [attempt for cell in exercises for attempt in (blank(cell), right(cell))]

        def judge(run: Run) -> Iterator[Fault]:
            try:
                found = self.attempts.told(lesson, some, run)
            except TitoError as problem:
                yield Fault("solved", lesson.folder, problem.message)
                return
            for cell in exercises:
                left_blank = [o for o in run.outcomes if o.variant == blank(cell).name]
                yield from rules.of_blank_exercise(lesson.folder, cell.id, left_blank)
                alone = f"{lesson.folder}, without the checks before {cell.id}"
                yield from rules.of_full_notebook(alone, found[right(cell).name])
        plan = self.attempts.plan(lesson, some, to_the_end=False)
        return Trial(lesson, "every exercise alone", plan, judge)

    def exported(self, lesson: Lesson) -> Trial:
        """What it needs and the lesson itself, exported into an empty folder: its tests pass there."""
        files = self.attempts.package(lesson, lesson.files)
        place = self.folder / "after" / lesson.folder
        write_tree(place / "tinytorch", files)
        tests = self.course.tests(lesson)
        plan = self.plan(lesson, "tests" if tests else "import", path=str(tests or ""))

        def judge(run: Run) -> Iterator[Fault]:
            package = Package(str(place / "tinytorch"), lesson.notebook, {}, files)
            found = lesson_tests(run, package, self.course.chapter(lesson), LIMITS)
            self.ran[lesson.name] = sum(r.ok for r in found)
            if tests and not found: yield Fault("tests", lesson.folder, "none of its tests ran")
            for result in found:
                if result.status not in ("passed", "skipped"):
                    yield Fault("tests", f"{lesson.folder}, {result.name}", result.message)
            yield from self.ended(lesson, run)
        plan = replace(plan, stage=str(place), folder=str(place))
        return Trial(lesson, "its tests on what it exports", plan, judge)

    def plan(self, lesson: Lesson, kind: str, **more: object) -> Plan:
        stage = str(self.attempts.stage(lesson))
        return Plan(kind, stage, stage, LIMITS, reference=str(self.course.reference),       # type: ignore[arg-type]
                    environment={"TINYTORCH_SHIPPED": str(self.course.datasets)}, **more)   # type: ignore[arg-type]

    def ended(self, lesson: Lesson, run: Run) -> Iterator[Fault]:
        if not run.finished:
            how = f"{run.ending or 'the process ended'} before it was done: {run.noise[-300:]}"
            yield Fault("runs", lesson.folder, how)
        for file in run.foreign:
            yield Fault("runs", lesson.folder, f"another tinytorch was at work: {file}")


def shows_last(source: str) -> str:
    """A cell that shows its last value, as a notebook does."""
    body = ast.parse(source).body
    if not body or not isinstance(body[-1], ast.Expr): return source
    body[-1] = ast.Expr(ast.Call(ast.Name("repr", ast.Load()), [body[-1].value], []))
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))


def leads(target: str, path: Path, text: str) -> bool:
    """Whether a link of a page leads somewhere; the world outside is not asked."""
    if target.startswith(("https://", "http://", "mailto:")): return True
    file, _, anchor = target.partition("#")
    there = path.parent / file if file else path
    if not there.exists(): return False
    return not anchor or anchor in heading_ids(there.read_text("utf-8") if file else text)
