"""A class: its folder, its assignments, what was handed in, and what it earned. Only this process writes."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from tito.core import grades, grades_collect, grades_export
from tito.core.errors import EnvironmentProblem, NotFound, UsageProblem
from tito.core.grades import Assignment, Graded, graded_from, late_by
from tito.core.grades_collect import Arrival
from tito.core.grades_export import Row, fingerprints, for_moss, resemblance
from tito.core.grades_intake import Unreadable, handed
from tito.core.lesson import Chapter, shown
from tito.ports.arrivals import File, files_in
from tito.ports.cluster import Dask, Here, Workers
from tito.ports.files import locked, write
from tito.ports.grader import Gradebook, Manual, open_gradebook
from tito.ports.sandbox import works
from tito.services_course import Course, open_course
from tito.services_marking import Exam, Job, chapter_of, mark

STATE = ".tito-course"
UNSAFE = ("No sandbox is used: what a submission does, it does as you, with your files and your network. "
          "Every page says so.")


@dataclass(frozen=True)
class Progress:
    done: int
    total: int
    left: float                         # seconds, as it looks now


@dataclass(frozen=True)
class Done:
    """What a run of `grade` did."""

    assignment: str
    marked: int                         # notebooks
    known: int                          # were marked before, and had not changed
    rows: tuple[Row, ...] = ()
    troubles: tuple[str, ...] = ()      # ours, not the students'
    seconds: float = 0.0
    safe: bool = True


Watch = Callable[[Progress], None]


def open_class(start: Path | None = None, course: Course | None = None) -> Class:
    """The class that a folder lies in."""
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / "course.toml").is_file(): return Class(folder, course)
    raise NotFound(f"{here} is in no class: there is no course.toml.",
                   "`tito course init myclass` makes one.")


def make_class(root: Path, name: str, course: Course | None = None, begin: datetime | None = None) -> Class:
    """A new class; never over another one."""
    if (root / "course.toml").exists(): raise UsageProblem(f"{root} is a class already.")
    course, begin = course or open_course(), begin or datetime.now(UTC).replace(microsecond=0)
    lessons = [lesson for lesson in course.curriculum if lesson.name in course.written()]
    write(root / "course.toml", grades.first_course(name, lessons, begin))
    if not (root / "nbgrader_config.py").exists(): write(root / "nbgrader_config.py", config(name))
    for folder in ("source", "release", "submitted", "autograded", "feedback", "hidden"):
        (root / folder).mkdir(exist_ok=True)
    write(root / "hidden" / "README.md", HIDDEN)
    return Class(root, course)


def config(name: str) -> str:
    return f'''"""nbgrader's settings; `nbgrader` and `tito course` work side by side in this folder."""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = {grades_collect.student_id(name) or "course"!r}
c.CourseDirectory.root = __file__.rpartition("/")[0] or "."
c.CourseDirectory.db_url = "sqlite:///" + c.CourseDirectory.root + "/gradebook.db"
c.ClearSolutions.code_stub = {{"python": 'raise NotImplementedError("your turn: this exercise")'}}
c.ExecutePreprocessor.timeout = 60
'''


HIDDEN = """\
Hidden checks of this class. One file a lesson, named after it: `hidden/tensor.py`, in the percent format:

    # %% [markdown]
    # # reshape
    #
    # %%
    #| check 2 hidden
    assert reshape(arange(4), (2, 2)).tolist() == [[0, 1], [2, 3]], "rows are filled one after the other"

The heading names the exercise. `tito course validate` runs them on the course's own solutions. What is
compared with a constant, or with a value that the solution always gives, is compared outside of the sandbox:
the answer is never where a submission runs.
"""


class Class:
    """The folder of a class, which is an nbgrader course directory, too."""

    def __init__(self, root: Path, course: Course | None = None, book: Gradebook | None = None):
        self.root, self.course, self._book = root, course or open_course(), book

    @property
    def state(self) -> Path: return self.root / STATE

    @cached_property
    def plan(self) -> grades.ClassPlan:
        return grades.parse((self.root / "course.toml").read_text("utf-8"), self.course.curriculum)

    @cached_property
    def book(self) -> Gradebook: return self._book or open_gradebook(self.root, self.plan.gradebook)

    def alone(self, what: str) -> AbstractContextManager[None]:
        """While this holds, no other tito changes the class."""
        self.state.mkdir(exist_ok=True)
        return locked(self.state, what)

    def assignments(self, name: str | None = None) -> list[Assignment]:
        return [self.plan.assignment(name)] if name else list(self.plan.assignments)

    def exam(self, assignment: Assignment, lesson: str, safe: bool = True) -> Exam:
        file = self.root / "hidden" / f"{lesson}.py"
        hidden = file.read_text("utf-8") if file.exists() else ""
        return Exam(lesson, hidden, dict(assignment.points), tuple(q.id for q in assignment.asked_in(lesson)),
                    self.plan.allowance, safe, str(self.course.root))

    def chapter(self, assignment: Assignment, lesson: str) -> Chapter:
        return chapter_of(self.course, self.exam(assignment, lesson))

    def blank_chapter(self, lesson: str) -> Chapter:
        return self.course.chapter(self.course.curriculum.lesson(lesson))

    def notebook_of(self, lesson: str) -> str: return self.course.curriculum.lesson(lesson).notebook

    # --------------------------------------------------------------------------------------- collecting

    def collect(self, source: Path, assignment: Assignment, dry: bool = False) -> list[Arrival]:
        """Takes in what lies in a folder, an archive or a list of clones; every file is accounted for."""
        found = list(files_in(source))
        names = next((f.data.decode("utf-8", "replace") for f in found
                      if f.name.endswith("submission_metadata.yml")), "")
        metadata = grades_collect.gradescope_names(names)
        stamps = {f.name.rpartition("/")[0]: grades_collect.time_of(f.data.decode("utf-8", "replace"))
                  for f in found if f.name.endswith("timestamp.txt")}
        found = [replace(f, when=stamps.get(f.name.rpartition("/")[0]) or f.when) for f in found]
        notebooks = [f for f in found if f.name.lower().endswith(".ipynb") or f.trouble]
        others = [f for f in found if f not in notebooks
                  and not f.name.endswith((".zip", ".yml", "timestamp.txt"))]
        arrivals = only_ones([self.taken(f, metadata, assignment) for f in notebooks], assignment)
        settled = grades_collect.settled(arrivals, assignment.lessons)
        settled += [grades_collect.named(f.name, metadata).refused("it is no notebook") for f in others]
        if not dry: self.put(assignment, [(a, f) for a, f in zip(settled, notebooks)])
        return [self.judged_late(a, assignment) for a in settled]

    def taken(self, file: File, metadata: Mapping[str, str], assignment: Assignment) -> Arrival:
        arrival = grades_collect.named(file.name, metadata)
        arrival = replace(arrival, when=arrival.when or file.when)
        if file.trouble: return arrival.refused(file.trouble)
        if arrival.notes and not arrival.student: return arrival
        if not arrival.student: return arrival.refused("nothing says whose it is")
        notebooks = {self.notebook_of(lesson): lesson for one in self.plan.assignments
                     for lesson in one.lessons}
        lesson, note = grades_collect.lesson_of(arrival.file, notebooks)
        try:
            work = handed(file.data)
        except Unreadable as problem:
            arrival = arrival.noted(problem.message)
        else:
            own = {one: frozenset(c.id for c in self.blank_chapter(one).exercises())
                   for one in dict.fromkeys([*assignment.lessons, *([lesson] if lesson else [])])}
            by_cells = grades_collect.lesson_by_cells((id for ids in work.ids for id in ids), own)
            if by_cells and by_cells != lesson:
                note = f"its name is {arrival.file}, its exercises are those of {by_cells}"
                lesson = by_cells
        if not lesson: return replace(arrival, what="wrong notebook").noted(STRANGE)
        arrival = replace(arrival, lesson=lesson, what="taken")
        return arrival.noted(note) if note else arrival

    def judged_late(self, arrival: Arrival, assignment: Assignment) -> Arrival:
        late = late_by(arrival.when, assignment)
        return arrival.noted(f"{late / 3600:.1f} hours late") if late and arrival.what == "taken" else arrival

    def put(self, assignment: Assignment, files: Sequence[tuple[Arrival, File]]) -> None:
        """Into submitted/, as nbgrader has it; what does not count is kept beside it."""
        with self.alone("course collect"):
            for number, (arrival, file) in enumerate(files):
                if arrival.what == "taken":
                    place = self.root / "submitted" / arrival.student / assignment.name
                    write(place / self.notebook_of(arrival.lesson), file.data)
                    if arrival.when:
                        stamp = arrival.when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
                        write(place / "timestamp.txt", stamp)
                elif arrival.student and file.data:
                    aside = self.state / "aside" / assignment.name / arrival.student
                    write(aside / f"{number:05}-{grades_collect.student_id(arrival.file) or 'file'}",
                          file.data)

    # ----------------------------------------------------------------------------------------- grading

    def students(self, assignment: Assignment) -> list[str]:
        folder = self.root / "submitted"
        if not folder.is_dir(): return []
        return sorted(p.name for p in folder.iterdir() if (p / assignment.name).is_dir()
                      and not p.is_symlink())

    def submitted(self, student: str, assignment: Assignment, lesson: str) -> bytes | None:
        """The notebook that was handed in. A link is not followed: it could lead to anybody's."""
        path = self.root / "submitted" / student / assignment.name / self.notebook_of(lesson)
        if path.is_symlink() or path.parent.is_symlink() or not path.is_file(): return None
        return path.read_bytes()

    def handed_in(self, student: str, assignment: Assignment) -> datetime | None:
        stamp = self.root / "submitted" / student / assignment.name / "timestamp.txt"
        return grades_collect.time_of(stamp.read_text("utf-8", "replace")) if stamp.is_file() else None

    def sandboxed(self, unsafe: bool) -> bool:
        """Whether there is a sandbox; refuses to go on without one, unless told to."""
        trouble = works()
        if unsafe or not trouble: return not unsafe
        raise EnvironmentProblem(f"There is no sandbox here: {trouble}.",
                                 "--unsafe-no-sandbox grades without, and says so on every page.")

    def keys(self, assignment: Assignment, safe: bool) -> dict[tuple[str, str], str]:
        """(student, lesson) -> the name of its result; "" where no notebook was handed in."""
        return {(student, lesson): self.key(assignment, lesson, student, safe)
                for lesson in assignment.lessons for student in self.students(assignment)}

    def key(self, assignment: Assignment, lesson: str, student: str, safe: bool) -> str:
        data = self.submitted(student, assignment, lesson)
        if data is None: return ""
        return hashlib.sha256(self.standard(assignment, lesson, safe)[2].encode() + b"\0" + data).hexdigest()

    def standard(self, assignment: Assignment, lesson: str, safe: bool) -> tuple[Exam, Chapter, str]:
        """What a lesson is marked against, and its digest; read once."""
        wanted = assignment.name, lesson, safe
        if wanted not in self._standards:
            exam = self.exam(assignment, lesson, safe)
            chapter = chapter_of(self.course, exam)
            self._standards[wanted] = exam, chapter, exam.digest(chapter)
        return self._standards[wanted]

    @cached_property
    def _standards(self) -> dict[tuple[str, str, bool], tuple[Exam, Chapter, str]]: return {}

    def result(self, key: str) -> Graded | None:
        path = self.state / "graded" / f"{key}.json"
        try:
            return graded_from(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):       # written by another version: marked anew
            return None

    def grade(
        self, assignment: Assignment, workers: Workers | None = None, unsafe: bool = False,
        watch: Watch | None = None, again: bool = False,
    ) -> Done:
        """Marks what was not marked before, and puts everything into the gradebook."""
        began, safe = time.monotonic(), self.sandboxed(unsafe)
        with self.alone(f"course grade {assignment.name}"):
            keys = self.keys(assignment, safe)
            places = {key: place for place, key in keys.items() if key}
            todo = [key for key in places if again or self.result(key) is None]
            jobs = (self.job(assignment, *places[key], key, safe) for key in todo)
            troubles = self.marked(jobs, len(todo), workers or Here(os.cpu_count() or 1), watch)
            self.record(assignment, keys, safe)
        return Done(assignment.name, len(todo) - len(troubles), len(places) - len(todo),
                    tuple(self.rows(assignment)), tuple(troubles), time.monotonic() - began, safe)

    def job(self, assignment: Assignment, student: str, lesson: str, key: str, safe: bool) -> Job:
        """Read when its turn has come: a class does not fit into memory."""
        exam, _, _ = self.standard(assignment, lesson, safe)
        return Job(key, exam, self.submitted(student, assignment, lesson) or b"")

    def marked(self, jobs: Iterable[Job], total: int, workers: Workers, watch: Watch | None) -> list[str]:
        """Each answer is on the disk before the next is taken: a run that is killed goes on from there."""
        began, troubles = time.monotonic(), list[str]()
        for number, (job, answer) in enumerate(workers.each(mark, jobs), 1):
            if isinstance(answer, EnvironmentProblem): raise answer
            if isinstance(answer, Exception):
                troubles.append(f"{job.exam.lesson}, {job.key[:12]}: {type(answer).__name__}: {answer}")
            else:
                write(self.state / "graded" / f"{job.key}.json", json.dumps(answer, ensure_ascii=True))
            left = (time.monotonic() - began) / number * (total - number)
            if watch: watch(Progress(number, total, left))
        return troubles

    def record(self, assignment: Assignment, keys: Mapping[tuple[str, str], str], safe: bool) -> None:
        """Into the gradebook; a submission that is there as it is now is left alone."""
        path = self.state / f"recorded-{assignment.name}.json"
        known = json.loads(path.read_text("utf-8")) if path.exists() else {}
        now: dict[str, str] = {}
        for student in dict.fromkeys(student for student, _ in keys):
            books = self.graded(assignment, student, safe)
            when = self.handed_in(student, assignment)
            now[student] = grades.digest([(x, keys[student, x]) for x in books], str(when))
            if known.get(student) == now[student] and self.book.has(assignment, student): continue
            named = {self.notebook_of(lesson): book for lesson, book in books.items()}
            self.book.record(assignment, student, named, when)
            self.show(assignment, student, named)
        write(path, json.dumps(now))

    def show(self, assignment: Assignment, student: str, books: Mapping[str, Graded]) -> None:
        """autograded/, from which formgrader shows the work: the student's cells, what each check said."""
        for file, book in books.items():
            source = self.root / "source" / assignment.name / file
            if not source.is_file(): continue       # not generated: formgrader has nothing to show it in
            page = with_work(json.loads(source.read_text("utf-8")), book)
            place = self.root / "autograded" / student / assignment.name
            write(place / file, json.dumps(page, indent=1, ensure_ascii=True, sort_keys=True) + "\n")

    def graded(self, assignment: Assignment, student: str, safe: bool = True) -> dict[str, Graded]:
        """lesson -> what it earned; what was not marked yet is not there."""
        found: dict[str, Graded] = {}
        for lesson in assignment.lessons:
            key = self.key(assignment, lesson, student, safe)
            if not key:
                chapter, where = self.standard(assignment, lesson, safe)[1], "bubblewrap" if safe else "none"
                found[lesson] = grades.nothing(chapter, lesson, "no notebook was handed in", where)
            elif result := self.result(key):
                found[lesson] = result
        return found

    def everything(self, assignment: Assignment) -> dict[str, dict[str, Graded]]:
        """student -> lesson -> what it earned, whether it was run in a sandbox or not."""
        found = {}
        for student in self.students(assignment):
            safe = self.graded(assignment, student)
            unsafe = self.graded(assignment, student, safe=False)
            found[student] = {lesson: (safe | {k: v for k, v in unsafe.items() if k not in safe})[lesson]
                              for lesson in assignment.lessons if lesson in safe or lesson in unsafe}
        return found

    # ----------------------------------------------------------------------------------------- answers

    def rows(self, assignment: Assignment) -> Iterator[Row]:
        """What each student has, with what a person gave."""
        for student, books in self.everything(assignment).items():
            manual = self.book.manual(assignment, student)
            yield self.row(assignment, student, books, manual)

    def row(self, assignment: Assignment, student: str, books: Mapping[str, Graded],
            manual: Mapping[str, Manual]) -> Row:
        given = sum(manual[q.id].score or 0 for q in assignment.questions if q.id in manual)
        changed = sum((m.score or 0) - mark.earned for book in books.values() for mark in book.marks
                      if (m := manual.get(mark.check)) and m.score is not None)
        waiting = sum(q.id not in manual or manual[q.id].score is None for q in assignment.questions)
        when = self.handed_in(student, assignment)
        style: dict[str, int] = {}
        for book in books.values():
            for kind, number in book.style.items(): style[kind] = style.get(kind, 0) + number
        missing = [] if len(books) == len(assignment.lessons) else ["it is not graded yet"]
        return Row(
            student, assignment.name, sum(b.earned for b in books.values()) + given + changed,
            sum(b.points for b in books.values()) + sum(q.points for q in assignment.questions),
            given + changed,
            waiting, late_by(when, assignment), when,
            " ".join(m.comment for m in manual.values() if m.comment), sum(b.seconds for b in books.values()),
            style,
            tuple(dict.fromkeys(f for b in books.values() for f in b.flags)),
            "; ".join([*dict.fromkeys(b.problem for b in books.values() if b.problem), *missing]))

    def figures(self, assignment: Assignment,
                mistakes: Mapping[tuple[str, str], str] | None = None) -> grades.Figures:
        books = {s: list(b.values()) for s, b in self.everything(assignment).items() if b}
        return grades.figures(books, mistakes)

    def mistakes(self) -> dict[tuple[str, str], str]:
        """Misconceptions by exercise and sentence, where the course has a list of them."""
        import tomllib

        found: dict[tuple[str, str], str] = {}
        for file in sorted((self.course.root / "tests" / "mutants").glob("*.toml")):
            for row in tomllib.loads(file.read_text("utf-8")).get("mistake", ()):
                found.setdefault((row["exercise"], row["idea"]), row["what"])
        return found

    def moss(self, assignment: Assignment, folder: Path) -> list[tuple[float, str, str, str]]:
        """A folder as MOSS and JPlag want it, and which pairs look most alike in the meantime."""
        prints: dict[tuple[str, str], set[str]] = {}
        for lesson in assignment.lessons:
            chapter = self.blank_chapter(lesson)
            blanks = {c.id: shown(c) for c in chapter.exercises()}
            write(folder / "base" / f"{lesson}.py", for_moss(blanks))
            given = {x for text in blanks.values() for x in fingerprints(text)}
            for student, books in self.everything(assignment).items():
                if lesson not in books: continue
                write(folder / student / f"{lesson}.py", for_moss(books[lesson].sources))
                prints[student, lesson] = {x for s in books[lesson].sources.values()
                                           for x in fingerprints(s)} - given
        lines = [json.dumps({"student": s, "lesson": x, "prints": sorted(p)}) for (s, x), p in prints.items()]
        write(folder / "fingerprints.jsonl", "".join(f"{line}\n" for line in lines))
        found = [(resemblance(p, q, set()), s, t, x) for (s, x), p in prints.items() for (t, y),
                 q in prints.items()
                 if x == y and s < t]
        return sorted(found, reverse=True)[:50]


STRANGE = "nothing in it says which lesson it is"


def only_ones(arrivals: Sequence[Arrival], assignment: Assignment) -> list[Arrival]:
    """A notebook that nobody can place is taken for the one that is due, if it is a student's only one."""
    counts = Counter(a.student for a in arrivals if a.student)
    single = len(assignment.lessons) == 1
    return [replace(a, what="taken", lesson=assignment.lessons[0])
            if single and STRANGE in a.notes and counts[a.student] == 1 else a for a in arrivals]


def with_work(page: dict[str, Any], book: Graded) -> dict[str, Any]:
    """The instructor's version with the student's cells in it, and the verdicts as outputs."""
    marks = {mark.check: mark for mark in book.marks}
    theirs = {**book.sources, **book.answers}
    for cell in page["cells"]:
        if cell["id"] in theirs: cell["source"] = theirs[cell["id"]].splitlines(keepends=True)
        if mark := marks.get(cell["id"]):
            told = f"{mark.status}: {mark.earned:g} of {mark.points:g} points\n{mark.message}\n"
            cell["outputs"] = [{"output_type": "stream", "name": "stdout",
                                "text": told.splitlines(keepends=True)}]
    note = "" if book.sandbox != "none" else " Graded without a sandbox."
    page["cells"].insert(0, {"cell_type": "markdown", "id": "graded", "metadata": {},
                             "source": [f"{book.problem or 'Graded by tito.'}{note}"]})
    return page


@dataclass(frozen=True)
class Status:
    assignment: str
    due: datetime | None
    generated: bool
    submitted: int
    graded: int
    waiting: int = 0
    lessons: tuple[str, ...] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]: return asdict(self)


def status(place: Class) -> list[Status]:
    found = []
    for one in place.plan.assignments:
        books = place.everything(one)
        done = [s for s, b in books.items() if len(b) == len(one.lessons)]
        waiting = sum(r.waiting > 0 for r in place.rows(one)) if one.questions else 0
        found.append(Status(one.name, one.due, (place.root / "source" / one.name).is_dir(), len(books),
                            len(done),
                            waiting, one.lessons))
    return found


# ------------------------------------------------------------------------------------------- pages and tables

Page = Callable[[Row, Mapping[str, Graded], Sequence[grades.Question], Mapping[str, str]], str]


def write_pages(place: Class, assignment: Assignment, kinds: Mapping[str, Page]) -> int:
    """feedback/STUDENT/ASSIGNMENT/FILE for every student whose work was marked; how many there are."""
    count = 0
    for student, books in place.everything(assignment).items():
        if not books: continue
        manual = place.book.manual(assignment, student)
        row = place.row(assignment, student, books, manual)
        named = {place.notebook_of(lesson): book for lesson, book in books.items()}
        comments = {cell: m.comment for cell, m in manual.items()}
        for file, page in kinds.items():
            write(place.root / "feedback" / student / assignment.name / file,
                  page(row, named, assignment.questions, comments))
            count += 1
    return count


def export(place: Class, assignments: Sequence[Assignment], file: Path, kind: str,
           roster: Path | None) -> int:
    """A table of everybody's grades."""
    rows = [row for one in assignments for row in place.rows(one)]
    if kind == "moodle" and len({r.assignment for r in rows}) > 1:
        raise UsageProblem("Moodle takes one assignment a file.", "--assignment 02-tensor, for example")
    if roster and not roster.is_file(): raise NotFound(f"There is no roster {roster}.")
    known = grades_export.read_roster(roster.read_text("utf-8-sig")) if roster else {}
    text = {"csv": grades_export.as_csv, "moodle": grades_export.as_moodle}.get(
        kind, lambda found: grades_export.as_canvas(found, known))(rows)
    write(file, text)
    return len(rows)


def workers_for(jobs: int | None, cluster: str | None) -> Workers:
    return Dask(cluster) if cluster else Here(jobs or os.cpu_count() or 1)


def marked_alone(lesson: str, notebook: Path, unsafe: bool) -> Graded:
    """One notebook, without a class around it."""
    if not unsafe and (trouble := works()):
        raise EnvironmentProblem(f"There is no sandbox here: {trouble}.",
                                 "--unsafe-no-sandbox runs it without one.")
    if not notebook.is_file(): raise NotFound(f"There is no notebook {notebook}.")
    return graded_from(mark(Job("", Exam(lesson, safe=not unsafe), notebook.read_bytes())))
