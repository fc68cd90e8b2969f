"""Marking one notebook: from its bytes to what was earned. What a worker does, here or on another machine."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from tito.core import grades_evidence as evidence
from tito.core.curriculum import Lesson
from tito.core.errors import EnvironmentProblem
from tito.core.grades import Allowance, Graded, digest, marks_of, nothing, with_hidden, with_points
from tito.core.grades_evidence import NOTHING, Opaque, Place, opened, value_of
from tito.core.grades_intake import Handed, Lift, Unreadable, blanked, handed, lift, suspicions
from tito.core.grades_style import style
from tito.core.lesson import Chapter, notebook
from tito.core.plan import Limits, Outcome, Plan, Run, Unit
from tito.core.results import Result
from tito.core.verdicts import Tested, Verdicts, units
from tito.ports.files import write, write_tree
from tito.ports.notebooks import NotebooksOnDisk
from tito.ports.runner import Runner
from tito.ports.sandbox import Bounds, Bubblewrap, Unsafe
from tito.services_course import Course, open_course

VERSION = 1                         # of how notebooks are marked: another number marks all of them anew
PATIENCE = 5                        # a busy machine, or a fast one: allowances are in seconds of work
AGAIN = 8                           # how often the rest is run when something ends the process


@dataclass(frozen=True)
class Exam:
    """What a notebook is marked against. Plain data: it may travel to another machine."""

    lesson: str
    hidden: str = ""                    # the class's own hidden checks, as a percent file
    points: Mapping[str, float] = field(default_factory=dict)
    questions: tuple[str, ...] = ()     # ids of cells that a person grades
    allowance: Allowance = field(default_factory=Allowance)
    safe: bool = True
    course: str = ""                    # the folder of the course; where it is not, the installed one

    def digest(self, master: Chapter) -> str:
        cells = [(c.id, c.source, c.words, c.points) for c in master.cells]
        return digest(VERSION, self.lesson, cells, self.questions, str(self.allowance), self.safe)


@dataclass(frozen=True)
class Job:
    """One notebook to be marked."""

    key: str                            # the digest of exam and notebook
    exam: Exam
    data: bytes


# ------------------------------------------------------------------------------------------------ the master

@dataclass(frozen=True)
class Aids:
    """What two runs of the reference taught about a check."""

    inside: frozenset[int] = frozenset()        # places that can only be judged where they run
    optional: frozenset[int] = frozenset()      # places that the reference does not come by
    known: Mapping[int, Any] = field(default_factory=dict)      # answers of a hidden check, as they were told

    def as_json(self) -> dict[str, Any]:
        return {"inside": sorted(self.inside), "optional": sorted(self.optional),
                "known": list(self.known.items())}


def aids_from(data: Mapping[str, Any]) -> Aids:
    return Aids(frozenset(data["inside"]), frozenset(data["optional"]),
                {n: told for n, told in data["known"]})


@dataclass(frozen=True)
class Master:
    """A lesson ready to mark notebooks against."""

    lesson: Lesson
    chapter: Chapter
    stage: Path
    aids: Mapping[str, Aids]
    runner: Runner
    allowance: Allowance
    datasets: Path


def chapter_of(course: Course, exam: Exam) -> Chapter:
    chapter = course.chapter(course.curriculum.lesson(exam.lesson))
    if exam.hidden: chapter = with_hidden(chapter, NotebooksOnDisk().hidden_checks(exam.hidden))
    return with_points(chapter, exam.points)


@cache
def course_in(folder: str) -> Course:
    return Course(Path(folder)) if folder and Path(folder, "modules").is_dir() else open_course()


MASTERS: dict[str, Master] = {}


def master_of(exam: Exam) -> Master:
    """Made once in each worker."""
    course = course_in(exam.course)
    chapter = chapter_of(course, exam)
    key = exam.digest(chapter)
    if key not in MASTERS: MASTERS[key] = made(course, exam, chapter)
    return MASTERS[key]


def made(course: Course, exam: Exam, chapter: Chapter) -> Master:
    lesson, allowance = course.curriculum.lesson(exam.lesson), exam.allowance
    bounds = Bounds(allowance.memory << 20, allowance.disk << 20, cpu=int(2 * allowance.notebook))
    runner = Bubblewrap(bounds) if exam.safe else Unsafe(bounds)
    bare = Master(lesson, chapter, staged(course, lesson), {}, runner, allowance, course.datasets)
    notes = bare.stage.with_name(f"{digest(exam.digest(chapter), bare.stage.name)[:24]}.json")
    if notes.exists():
        return replace(bare, aids={id: aids_from(data) for id,
                                   data in json.loads(mine(notes).read_text()).items()})
    found = replace(bare, aids=learnt(bare))
    write(notes, json.dumps({id: one.as_json() for id, one in found.aids.items()}))
    return found


def staged(course: Course, lesson: Lesson) -> Path:
    """The reference's package of the lessons before this one, compiled, in a folder that is made once."""
    before = [(one, file) for one in course.curriculum.needs_closure(lesson) for file in one.files]
    files = [*before, *((lesson, file) for file in lesson.given)]
    texts = [course.file(one, file).read_text("utf-8") for one, file in files]
    place = Path(tempfile.gettempdir(), f"tito-stages-{os.getuid()}",
                 digest(VERSION, texts, course.beside)[:24])
    if place.is_dir(): return mine(place)
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    mine(place.parent)
    sources: dict[str, str] = {}
    for one, file in files: sources |= course.sources(one, [file])
    package = course.package(sources)
    new = Path(tempfile.mkdtemp(prefix="new-", dir=place.parent))
    write_tree(new / "tinytorch", package)
    compileall.compile_dir(new, quiet=1, stripdir=str(new), prependdir="/stage")
    new.chmod(0o755)
    try:
        new.rename(place)
    except OSError:                     # another worker was quicker
        shutil.rmtree(new)
    return mine(place)


def mine(place: Path) -> Path:
    """Refuses a folder that another user has put there."""
    if place.stat().st_uid != os.getuid():
        raise EnvironmentProblem(f"{place} belongs to another user.", "Set TMPDIR to a folder of your own.")
    return place


def learnt(master: Master) -> dict[str, Aids]:
    """Runs the reference twice, to see which places of each check can be judged outside, and how."""
    work = reference_work(master.chapter)
    checks = master.chapter.checks()
    everything = {c.id: Aids(inside=frozenset(range(10_000))) for c in checks}
    first, places = run_once(master, work, everything, Random(0))
    known = {c.id: answers(first.outcome(c.id), places[c.id]) if c.hidden else {} for c in checks}
    second, places = run_once(master, work, {c.id: Aids(known=known[c.id]) for c in checks}, Random(1))
    for run in (first, second): verify(master, run)
    return {c.id: aids(second.outcome(c.id), places[c.id], known[c.id]) for c in checks}


def reference_work(chapter: Chapter) -> Lift:
    rows = tuple(notebook(chapter, solutions=True))
    return lift(chapter, Handed(rows, tuple((row.id,) for row in rows)))


def verify(master: Master, run: Run) -> None:
    """The reference must pass, or nobody can be marked."""
    bad = next((o for o in run.outcomes if o.outcome != "passed"), None)
    if run.finished and bad is None: return
    what = f"{bad.unit}: {bad.type} {bad.text}".strip() if bad else f"{run.ending} {run.noise[-300:]}".strip()
    raise EnvironmentProblem(f"The course's own solution of {master.lesson.label} does not run here: {what}",
                             "`tito course validate` says more; [grading] in course.toml has the limits.")


def answers(outcome: Outcome | None, places: Sequence[Place]) -> dict[int, Any]:
    """What the reference gives as the right answers at the places of a hidden check."""
    found: dict[int, Any] = {}
    by_number = {p.number: p for p in places}
    for number, *told in outcome.evidence if outcome else ():
        place = by_number[number]
        if number < 0 or place.way not in ("pair", "same"): continue
        answer = told[0 if place.swapped else 1]
        changes = number in found and found[number] != answer
        found[number] = NOTHING if changes or isinstance(value_of(answer), Opaque) else answer
    return {n: a for n, a in found.items() if a is not NOTHING}


def aids(outcome: Outcome | None, places: Sequence[Place], known: Mapping[int, Any]) -> Aids:
    seen, wrong = set[int](), set[int]()
    by_number = {p.number: p for p in places}
    for number, *told in outcome.evidence if outcome else ():
        seen.add(number)
        if not evidence.found(by_number[number], told).held: wrong.add(number)
    numbers = {p.number for p in places if not p.decoy}
    return Aids(frozenset(wrong), frozenset(numbers - seen),
                {n: a for n, a in known.items() if n not in wrong})


# --------------------------------------------------------------------------------------------------- marking

def mark(job: Job) -> dict[str, Any]:
    """What a notebook earned, as JSON. What is wrong with it is an answer, too; our own troubles raise."""
    master, began = master_of(job.exam), time.monotonic()
    where = "bubblewrap" if job.exam.safe else "none"
    try:
        page = handed(job.data)
        work = lift(master.chapter, page)
    except Unreadable as problem:
        return nothing(master.chapter, job.exam.lesson, problem.message, where).as_json()
    except (RecursionError, MemoryError) as problem:
        said = f"reading it failed: {type(problem).__name__}"
        return nothing(master.chapter, job.exam.lesson, said, where).as_json()
    results, troubles, worked = judged(master, work)
    cells = ((id, row.source) for row, ids in zip(page.rows, page.ids) for id in ids)
    answers = {id: source for id, source in cells if id in job.exam.questions}
    sources = {c.id: work.lifted.sources.get(c.id, "") for c in master.chapter.exercises()}
    return Graded(
        job.exam.lesson, marks_of(master.chapter, results), work.notes,
        (*troubles, *suspicions(master.chapter, work)), "", where,
        round(time.monotonic() - began, 3), round(worked, 3),
        style(sources.values()), answers, sources).as_json()


def judged(master: Master, work: Lift) -> tuple[list[Result], tuple[str, ...], float]:
    """The verdicts on a notebook, what a person should know of how it ran, and the CPU time that took."""
    troubles = list[str]()
    outcomes, undone = dict[str, Outcome](), work
    places = dict[str, tuple[Place, ...]]()
    until = time.monotonic() + PATIENCE * master.allowance.notebook
    done, worked = set[str](), 0.0
    for _ in range(AGAIN):
        left = until - time.monotonic()
        if left <= 0: break
        run, found = run_once(master, undone, master.aids, SystemRandom(), left, done)
        worked += run.worked
        for outcome in run.outcomes:
            if outcome.unit not in outcomes:
                outcomes[outcome.unit] = outcome
                places[outcome.unit] = found.get(outcome.unit, ())
        if run.foreign:
            troubles.append(f"another tinytorch was at work: {run.foreign[0]}")
            outcomes = {unit: replace(o, outcome="replaced", text="tinytorch") for unit,
                        o in outcomes.items()}
            break
        if run.finished: break
        last = run.outcomes[-1] if run.outcomes else None
        if last is None or last.outcome not in ("timeout", "lost") or last.unit == "import":
            troubles.append(f"the process ended: {run.ending or run.noise[-200:].strip()}")
            break
        done.add(last.unit)
        if last.unit not in master.aids: undone = blanked(undone, last.unit)        # it was no check
    verdicts = Verdicts(tested(master, work))
    results = list[Result]()
    for unit in ("import", *(u.id for u in units(tested(master, work)))):
        if unit not in outcomes: continue
        outcome = outcomes[unit]
        if places.get(unit):
            outcome, lies = evidence.judged(outcome, places[unit], master.aids[unit].optional)
            if lies: troubles.append(f"`{unit}`: the grader was tampered with")
        results += verdicts.take(outcome)
    return [*results, *verdicts.rest()], tuple(dict.fromkeys(troubles)), worked


def run_once(
    master: Master, work: Lift, aids: Mapping[str, Aids], random: Random, left: float | None = None,
    done: Iterable[str] = (),           # units that ended the process before
) -> tuple[Run, dict[str, tuple[Place, ...]]]:
    """One process: the cells, then each check without its answers."""
    chosen, places, gone = list[Unit](), dict[str, tuple[Place, ...]](), set(done)
    for unit in units(tested(master, work)):
        if unit.id in gone: continue
        if unit.kind == "check":
            aid = aids[unit.id]
            source, places[unit.id] = opened(unit.source, random, aid.inside, values_of(aid.known))
            unit = replace(unit, source=source)
        chosen.append(unit)
    limits = limits_of(master.allowance, left)
    plan = Plan("cells", str(master.stage), str(master.stage), limits, tuple(chosen),
                environment={"TINYTORCH_SHIPPED": str(master.datasets)} if master.datasets.is_dir() else {})
    return master.runner.run(plan), places


def values_of(known: Mapping[int, Any]) -> dict[int, Any]: return {n: value_of(told) for n,
    told in known.items()}


def tested(master: Master, work: Lift) -> Tested:
    lesson = master.lesson
    return Tested(lesson.label, lesson.notebook, master.chapter, work.lifted, work.rows,
                  limits_of(master.allowance))


def limits_of(allowance: Allowance, left: float | None = None) -> Limits:
    return Limits(allowance.check, left or PATIENCE * allowance.notebook, allowance.memory << 20, 4000,
                  PATIENCE)

