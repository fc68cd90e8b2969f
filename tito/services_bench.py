"""A race: every contender in a process of its own, and all of them in turns."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tito.core.bench import MODULES, TITLES, Bench, Timing, timings
from tito.core.errors import EnvironmentProblem
from tito.core.plan import Limits, Plan, Run
from tito.ports.files import write_tree
from tito.ports.runner import Runner
from tito.services_course import Course, package_files

if TYPE_CHECKING:
    from tito.app import Workspace

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                                     "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")}


@dataclass
class Races:
    """Runs races between the packages that are there."""

    course: Course
    place: Workspace | None         # without one, there is no package of the learner's
    runner: Runner
    has: Callable[[str], bool] = lambda name: find_spec(name) is not None

    @property
    def program(self) -> Path: return self.course.modules / "14_benchmarking" / "bench" / "race.py"

    def contenders(self) -> list[str]:
        """Who takes part, in the order of the table."""
        there = {"yours": self.place is not None, "reference": self.course.reference.is_dir(),
                 "numpy": True, "torch": self.has("torch")}
        return [name for name in TITLES if there[name]]

    def race(
        self, names: tuple[str, ...], rounds: int = 15, seconds: float = 0.05, limits: Limits | None = None,
        say: Callable[[str], None] = lambda line: None, who: Sequence[str] = (),
    ) -> Bench:
        """All contenders, all these workloads: so many rounds, with turns of so many seconds."""
        if not self.program.exists():
            raise EnvironmentProblem(f"The workloads are not there: {self.program}.",
                                     "pip install --force-reinstall tinytorch-tito")
        limits, who = limits or Limits(), list(who) or self.contenders()
        limits = replace(limits, test=limits.lesson)            # it is one check, and a long one
        with tempfile.TemporaryDirectory(prefix="tito-bench-") as folder:
            root, turns = Path(folder), Path(folder, "turns")
            turns.mkdir()
            plans = []
            for n, name in enumerate(who):
                stage = self.staged(name, root / name)
                words = [MODULES[name], n, len(who), rounds, seconds, *names]
                plans.append(Plan(
                    "program", str(stage), str(root / name), limits, path=str(self.program),
                    argv=tuple(map(str, words)), environment=self.surroundings(name, turns)))
            runs = self.run(plans, who, turns, say)
        return self.bench(dict(zip(who, runs)), names, rounds)

    def staged(self, name: str, folder: Path) -> Path:
        """A folder with a copy of the contender's package, or with an empty one, where none is needed."""
        files = {"__init__.py": ""}
        if name == "reference": files = package_files(self.course.reference)
        if name == "yours" and self.place: files = self.place.tests.present()
        write_tree(folder / "tinytorch", files)
        return folder

    def surroundings(self, name: str, turns: Path) -> Mapping[str, str]:
        more = {"TINYTORCH_REFERENCE": "1"} if name == "reference" else {}
        kernels = os.environ.get("TINYTORCH_KERNELS") or "fast"         # what a program of theirs would get
        return {**ONE_THREAD, "TINYTORCH_SHIPPED": str(self.course.datasets), "TINYTORCH_KERNELS": kernels,
                "TITO_TURNS": str(turns), **more}

    def run(self, plans: list[Plan], who: list[str], turns: Path, say: Callable[[str], None]) -> list[Run]:
        """All at once; they wait for each other. Whoever ends is gone, and nobody waits for it any more."""
        def one(n: int) -> Run:
            try:
                return self.runner.run(plans[n])
            finally:
                (turns / f"gone-{n}").touch()
                say(f"{TITLES[who[n]]} is done")
        with ThreadPoolExecutor(len(plans)) as pool:
            running = [pool.submit(one, n) for n in range(len(plans))]
            try:
                return [run.result() for run in running]
            except BaseException:           # Ctrl-C: the contenders are told, and end at their next turn
                (turns / "stop").touch()
                raise

    def bench(self, runs: Mapping[str, Run], names: tuple[str, ...], rounds: int) -> Bench:
        """What all of them handed in."""
        found, versions, problems = {}, {}, {}
        for who, run in runs.items():
            found[who], versions[who] = timings(run.report, names)
            if not found[who]: problems[who] = ending(run)
        if not any(found.values()):
            first = next(iter(problems.values()), "nobody took part")
            raise EnvironmentProblem(f"Nothing was measured: {first}.", "`tito doctor` looks for trouble.")
        rows: dict[str, dict[str, Timing]] = {
            name: {who: some[name] for who, some in found.items() if name in some} for name in names}
        return Bench(tuple(runs), rows, versions, machine(), rounds, problems)


def races(start: Path) -> Races:
    """Races with the package of the workspace around a folder, if there is one."""
    from tito.app import open_course, open_workspace
    from tito.core.errors import NotFound
    from tito.ports.runner import Processes

    try:
        place = open_workspace(start)
    except NotFound:
        return Races(open_course(), None, Processes())
    return Races(place.course, place, Processes())


def training_step(place: Workspace) -> float:
    """CPU seconds of one training step of a perceptron with ./tinytorch; 0 while it cannot train yet."""
    if "optimizers" not in place.sources(): return 0.0
    races = Races(place.course, place, place.tests.runner)
    try:
        found = races.race(("mlp",), rounds=7, limits=Limits(test=30, lesson=30), who=("yours",))
    except EnvironmentProblem:          # the lesson is complete all the same
        return 0.0
    timing = found.rows["mlp"].get("yours")
    return timing.median if timing and timing.seconds else 0.0


def ending(run: Run) -> str:
    """Why a contender handed in nothing."""
    for outcome in reversed(run.outcomes):
        if outcome.outcome == "timeout": return "it did not come to the end of its time"
        if outcome.outcome != "passed": return " ".join(f"{outcome.type}: {outcome.text}".split())[:200]
    return run.ending or " ".join(run.noise.split())[-200:] or "it handed in nothing"


def machine() -> str:
    """What the numbers were measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", "replace").splitlines() if info.exists() else []
    model = next((x.split(": ", 1)[1] for x in lines if x.startswith("model name") and ": " in x),
                 platform.processor() or platform.machine())
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, one thread each"
