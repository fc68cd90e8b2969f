"""Testing what a learner wrote: a copy of their package on a stage, a process of its own, Results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tito.core.curriculum import Lesson, Milestone, module_of
from tito.core.errors import EnvironmentProblem, NotFound
from tito.core.export import Line, banner, module_lines
from tito.core.faces import installed
from tito.core.lesson import lifted
from tito.core.plan import Kind, Limits, Plan, Run
from tito.core.reports import Package, lesson_tests, milestone_report
from tito.core.results import Report, Result
from tito.core.verdicts import Tested, Verdicts, units
from tito.ports.files import stage, write_tree
from tito.ports.runner import Runner, nobody
from tito.services_course import Course, digest, package_files

WRONG = ("failed", "error", "timeout")
Listen = Callable[[Result], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """A report, and the modules that it is about: what was tested is what will be exported."""

    report: Report
    sources: Mapping[str, str]      # module -> source, of this lesson


@dataclass
class Tests:
    """Runs checks, lesson tests and milestones on the package in a workspace."""

    course: Course
    root: Path                      # the workspace
    runner: Runner

    # --------------------------------------------------------------------------------------- lessons

    def lesson(self, lesson: Lesson, limits: Limits, listen: Listen | None = None) -> Trial:
        """The course's checks on the learner's cells; if all pass, the lesson tests on their package."""
        began, listen = time.monotonic(), listen or nobody
        chapter = self.course.chapter(lesson)
        rows = self.course.notebooks.read(self.root / lesson.notebook)
        tested = Tested(lesson.label, lesson.notebook, chapter, lifted(chapter, rows), rows, limits)
        found = self.checks(lesson, tested, listen)
        lines: dict[str, list[Line]] = {}
        sources: dict[str, str] = {}
        if all(r.ok for r in found):
            lines = self.lines(lesson, tested)
            sources = {m: source_of(some) for m, some in lines.items()}
            left = replace(limits, lesson=max(1.0, limits.lesson - (time.monotonic() - began)))
            more = self.lesson_tests(lesson, tested, lines, left)
        else:
            more = (Result("lesson tests", "skipped", "they run when all checks pass"),)
        for result in more: listen(result)
        report = Report(lesson.name, (*found, *more), package=str(self.root / "tinytorch"),
                        digest=digest(lesson, sources), seconds=time.monotonic() - began)
        return Trial(report, sources)

    def checks(self, lesson: Lesson, tested: Tested, listen: Listen) -> list[Result]:
        """Phase 1: cell by cell, as in the notebook, without the lesson's own module in the package."""
        verdicts, found = Verdicts(tested), list[Result]()

        def tell(results: Iterable[Result]) -> None:
            for result in results:
                found.append(result)
                listen(result)

        sources = self.before(lesson) | self.course.sources(lesson, lesson.given)
        with self.staged(self.course.package(sources), "cells") as place:
            plan = self.plan("cells", place, tested.limits, folder=self.root, units=units(tested))
            run = self.honest(self.runner.run(plan, lambda outcome: tell(verdicts.take(outcome))))
        tell(verdicts.rest())
        if not run.finished and not any(r.status in WRONG for r in found):
            said = f"{run.ending or 'the process ended'} before they were done"
            tell([Result("the checks", "error", said, output=run.noise)])
        return found

    def lines(self, lesson: Lesson, tested: Tested) -> dict[str, list[Line]]:
        """Every module of the lesson, line by line: given code, the learner's, the appendices."""
        found = {}
        for file in lesson.files:
            if file == lesson.name:
                origin = lesson.notebook
                found[module_of(file)] = module_lines(tested.lift.cells, banner(origin), origin)
            else:
                found[module_of(file)] = [line._replace(cell="") for line in self.course.lines(lesson, file)]
        return found

    def lesson_tests(
        self, lesson: Lesson, tested: Tested, lines: Mapping[str, list[Line]], limits: Limits,
    ) -> tuple[Result, ...]:
        """Phase 2: the tests that the learner does not see, on the package as it would be exported."""
        sources = self.before(lesson) | {module: source_of(some) for module, some in lines.items()}
        files, tests = self.course.package(sources), self.course.tests(lesson)
        with self.staged(files, "tests") as place:
            plan = self.plan("tests" if tests else "import", place, limits, path=str(tests or ""))
            run = self.honest(self.runner.run(plan))
            named = {self.course.curriculum.file_of(module): some for module, some in lines.items()}
            package = Package(str(place / "tinytorch"), lesson.notebook, named, files)
            found = lesson_tests(run, package, tested.chapter, limits)
        return found or ((Result("lesson tests", "error", "none of them ran"),) if tests else ())

    def before(self, lesson: Lesson) -> dict[str, str]:
        """The learner's modules of the lessons that this one stands on."""
        modules = {m for one in self.course.curriculum.needs_closure(lesson) for m in one.modules}
        return {module: source for module, source in self.sources().items() if module in modules}

    def sources(self) -> dict[str, str]:
        """Every module that lessons exported to the learner's package."""
        return installed(self.course.curriculum, package_files(self.root / "tinytorch"))

    def whole(self, lesson: Lesson, files: Mapping[str, str], limits: Limits) -> Result | None:
        """A problem with the package that completing the lesson would make, if there is one."""
        with self.staged(files) as place:
            run = self.honest(self.runner.run(self.plan("import", place, limits)))
            package = Package(str(place / "tinytorch"), lesson.notebook, {}, files)
            found = lesson_tests(run, package, self.course.chapter(lesson), limits)
        problem = next((r for r in found if not r.ok), None)
        said = "the rest of your package does not import any more"
        return problem and replace(problem, name="the whole package", message=f"{said}: {problem.message}")

    # ------------------------------------------------------------------------------------ milestones

    def milestone(
        self, milestone: Milestone, limits: Limits, say: Say | None = None, words: tuple[str, ...] = (),
    ) -> Report:
        """The milestone's program, on a copy of ./tinytorch as it is now."""
        program = self.course.program(milestone)
        if program is None:
            raise NotFound(f"The milestone {milestone.title} is still being written.", "tito milestone list")
        return self.program(milestone.name, program, limits, say, words, assets=program.parent)

    def program(
        self, subject: str, path: Path, limits: Limits, say: Say | None, words: tuple[str, ...], assets: Path,
    ) -> Report:
        """A program of the course's that uses the learner's package, and what it handed in."""
        began, files = time.monotonic(), self.present()
        limits = replace(limits, test=limits.lesson)        # it is one check, and a long one
        with self.staged(files) as place:
            surroundings = {"TITO_DATASETS": str(self.course.datasets), "TITO_ASSETS": str(assets)}
            plan = self.plan("program", place, limits, path=str(path), argv=words, environment=surroundings)
            run = self.honest(self.runner.run(plan, said=say or nobody))
            package = Package(str(place / "tinytorch"), "", {}, files)
            tests, numbers = milestone_report(run, package, limits)
        return Report(subject, tests, numbers, str(self.root / "tinytorch"),
                      seconds=time.monotonic() - began)

    def present(self) -> dict[str, str]:
        """Every file of ./tinytorch, whoever wrote it."""
        folder = self.root / "tinytorch"
        self.own(folder)
        files = package_files(folder)
        if "__init__.py" not in files:
            raise EnvironmentProblem(f"{folder} is no package: it has no __init__.py.", "tito doctor --fix")
        return files

    # -------------------------------------------------------------------------------------- the stage

    @contextmanager
    def staged(self, files: Mapping[str, str], kind: Kind = "import") -> Iterator[Path]:
        """A copy of a package in a folder of its own, while this lasts."""
        self.own(self.root / "tinytorch")
        with stage(self.root / ".tito" / "stage") as place:
            write_tree(place / "tinytorch", files)
            yield place.resolve()

    def plan(
        self, kind: Kind, place: Path, limits: Limits, folder: Path | None = None,
        environment: Mapping[str, str] | None = None, **more: Any,
    ) -> Plan:
        reference = str(self.course.reference)
        surroundings = {"TINYTORCH_SHIPPED": str(self.course.datasets), **(environment or {})}
        return Plan(kind, str(place), str(folder or place), limits, reference=reference,
                    environment=surroundings, **more)

    def own(self, folder: Path) -> None:
        """Refuses a ./tinytorch that is somewhere else, or no folder."""
        real = folder.resolve()
        if not real.is_relative_to(self.root.resolve()):
            raise EnvironmentProblem(
                f"tinytorch in your workspace, {folder}, is a link to {real}: not the package you write.",
                f"Remove the link, then `tito doctor --fix` makes {folder} anew.",
            )
        if folder.exists() and not folder.is_dir():
            raise EnvironmentProblem(f"{folder} is a file, where your package should be.",
                                     "Rename it, then `tito doctor --fix` makes the folder anew.")

    def honest(self, run: Run) -> Run:
        """Refuses a run in which another tinytorch than the learner's was at work."""
        if run.foreign:
            raise EnvironmentProblem(
                f"The tinytorch that ran is not yours: it is {run.foreign[0]}, "
                f"and yours is {self.root / 'tinytorch'}.",
                "Does your code change sys.path or sys.modules, or import the reference? Take that out.",
            )
        return run


def source_of(lines: list[Line]) -> str: return "".join(f"{line.text}\n" for line in lines)

