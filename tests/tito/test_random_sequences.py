"""Whatever is typed, edited and killed, in any order: no word of a learner's is lost, and doctor mends."""

import gc
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tito.app import Workspace
from tito.core.errors import TitoError
from tito.core.plan import Outcome, Run
from tito.services_course import Course
from tito.services_doctor import Doctor

KILLED = st.one_of(st.none(), st.integers(0, 40))       # after so many operations on files; None: not at all
LESSON = st.sampled_from([1, 2])
DAMAGES = ("twin", "id", "turn", "prose", "swap")
EXERCISES = {1: ("after", "twice"), 2: ("add",)}


class Killed(BaseException):
    """SIGKILL: no handler of anybody's may write anything any more."""


class Disk:
    """Every operation that changes a file, counted; after the last one allowed, the process is dead."""

    def __init__(self):
        self.left = None

    def tick(self):
        if self.left is None: return
        if self.left <= 0: raise Killed
        self.left -= 1

    def __enter__(self):
        self.patch = pytest.MonkeyPatch()
        for owner, names in ((os, ("fsync", "rename")), (shutil, ("copy2", "rmtree")),
                             (Path, ("replace", "rename", "unlink", "mkdir", "write_text", "write_bytes"))):
            for name in names: self.count(owner, name)
        whole = Path.open
        self.patch.setattr(Path, "open", lambda path, mode="r", *more, **named:
                           (mode[0] == "r" or self.tick(), whole(path, mode, *more, **named))[1])
        return self

    def count(self, owner, name):
        whole = getattr(owner, name)

        def counted(*args, **named):
            self.tick()
            return None if name == "fsync" else whole(*args, **named)
        self.patch.setattr(owner, name, counted)

    def __exit__(self, *_): self.patch.undo()


class Agreeable:
    """A runner that lets everything pass that is not blank, and runs nothing."""

    def run(self, plan, heard=lambda _: None, said=lambda _: None):
        outcomes = [Outcome("import", "passed")]
        for unit in plan.units:
            blank = "your turn: " in unit.source
            todo = Outcome(unit.id, "raised", type="NotImplementedError", text="your turn: it")
            outcomes.append(todo if blank else Outcome(unit.id, "passed"))
        if plan.kind == "tests": outcomes.append(Outcome("t", "passed"))
        for outcome in outcomes: heard(outcome)
        collected = ("t",) if plan.kind == "tests" else ()
        done = {"tests": [{"name": "t", "status": "passed"}], "numbers": {}}
        return Run(tuple(outcomes), collected, {"t": "t"}, finished=True, package=f"{plan.stage}/tinytorch",
                   report=json.dumps(done) if plan.kind == "program" else "")

    def imported(self, folder): return str(folder / "tinytorch" / "__init__.py")


class Sequences(RuleBasedStateMachine):
    courses: tuple[Course, ...] = ()
    fresh = Path()

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sequences-"))
        self.root = Path(shutil.copytree(self.fresh, self.folder / "ws"))
        self.course, self.words, self.read = 0, 0, {}
        self.disk = Disk().__enter__()
        self.open()
        for lesson in (1, 2):
            self.writes(lesson, 3)
            self.solves(lesson, 0)

    def open(self): self.place = Workspace(self.root, self.courses[self.course], Agreeable())

    def teardown(self):
        if not hasattr(self, "disk"): return
        try:
            self.disk.left = None
            self.mend()
        finally:
            self.disk.__exit__()
            shutil.rmtree(self.folder)

    # ------------------------------------------------------------------------------- what must hold

    def texts(self, paths):
        return "\n".join(self.text(path) for path in paths if path.is_file())

    def text(self, path):
        """A file's text; one that is as it was is not read again."""
        facts = path.stat()
        key = path, facts.st_mtime_ns, facts.st_size, facts.st_ino
        if key not in self.read: self.read[key] = path.read_text("utf-8", errors="replace")
        return self.read[key]

    def written(self):
        """The learner's words that stand in their notebooks."""
        text = self.texts([*self.root.glob("*.ipynb"), *self.root.glob("*.damaged*")])
        return {word for word in self.typed() if word in text}

    def kept(self):
        """… or that a backup has."""
        text = self.texts((self.root / ".tito" / "backups").rglob("*"))
        return self.written() | {word for word in self.typed() if word in text}

    def typed(self): return [f"# word{number};" for number in range(self.words)]

    def type(self, verb, killed=None, destroys=False):
        """A command, killed after so many operations on files."""
        before, kept, self.disk.left = self.written(), self.kept(), killed
        try:
            verb()
        except TitoError as problem:
            assert str(problem), "every refusal is a sentence"
        except Killed:
            self.open()                     # the next tito is another process
        finally:
            if self.disk.left == 0: gc.collect()        # the system frees the lock of the dead
            self.disk.left = None
        assert kept <= self.kept(), "what was kept is lost"
        if not destroys: assert before <= self.written(), "a learner's word is gone from the notebooks"

    def mend(self):
        self.type(lambda: list(Doctor(self.place).of_workspace(fix=True)))
        found = list(Doctor(self.place).of_workspace(fix=False))
        assert [f for f in found if f.status != "ok" and f.name != "disk"] == []
        assert self.place.standing().lessons and self.place.changes() is not None
        for number in (1, 2): assert self.place.course.notebooks.read(self.place.notebook(number))

    # ------------------------------------------------------------------------------------- commands

    @rule(lesson=LESSON, killed=KILLED)
    def start(self, lesson, killed): self.type(lambda: self.place.start(lesson, anyway=True), killed)

    @rule(lesson=LESSON, killed=KILLED)
    def complete(self, lesson, killed): self.type(lambda: self.place.complete(lesson, anyway=True), killed)

    @rule(lesson=LESSON, killed=KILLED)
    def export(self, lesson, killed): self.type(lambda: self.place.export(lesson), killed)

    @rule(lesson=LESSON, killed=KILLED, one=st.booleans())
    def reset(self, lesson, killed, one):
        exercise = EXERCISES[lesson][0] if one else None
        self.type(lambda: self.place.reset(lesson, exercise), killed, destroys=True)

    @rule(killed=KILLED)
    def undo(self, killed): self.type(lambda: self.place.undo(), killed, destroys=True)

    @rule(killed=KILLED, newer=st.booleans())
    def update(self, killed, newer):
        self.course = int(newer)
        self.open()
        self.type(lambda: self.place.update(), killed)

    @rule(killed=KILLED)
    def doctor(self, killed): self.type(lambda: list(Doctor(self.place).of_workspace(fix=True)), killed)

    @rule(lesson=LESSON, killed=KILLED)
    def hint(self, lesson, killed): self.type(lambda: self.place.hint(lesson), killed)

    @rule(lesson=LESSON, killed=KILLED)
    def tests(self, lesson, killed): self.type(lambda: self.place.test(lesson), killed)

    @rule(lesson=LESSON, killed=KILLED)
    def solution(self, lesson, killed):
        self.type(lambda: self.place.solution(lesson, EXERCISES[lesson][0]), killed)

    @rule(killed=KILLED)
    def unlock(self, killed): self.type(lambda: self.place.milestone_unlock("foundation"), killed)

    # ----------------------------------------------------------------------------------------- edits

    def edited(self, lesson, change):
        """Somebody edits a notebook; what they take out themselves is not lost."""
        path = self.place.notebook(lesson)
        try:
            data = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return                          # a notebook that no editor opens
        if data["cells"]: change(data["cells"])
        path.write_text(json.dumps(data), "utf-8")

    def word(self):
        self.words += 1
        return f"# word{self.words - 1};"

    @rule(lesson=LESSON, where=st.integers(0, 20))
    def writes(self, lesson, where):
        def change(cells):
            cell = cells[where % len(cells)]
            text = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            cell["source"] = f"{text}\n{self.word()}"
        self.edited(lesson, change)

    @rule(lesson=LESSON, which=st.integers(0, 1))
    def solves(self, lesson, which):
        name = EXERCISES[lesson][which % len(EXERCISES[lesson])]

        def change(cells):
            for cell in cells:
                if cell.get("id") == name and cell["cell_type"] == "code":
                    kept = "\n".join(w for w in self.typed() if w in "".join(cell["source"]))
                    code = f"#| export exercise\ndef {name}(*n): return sum(n)"
                    cell["source"] = f"{code}\n{kept}\n{self.word()}"
        self.edited(lesson, change)

    @rule(lesson=LESSON, where=st.integers(0, 20), exported=st.booleans())
    def adds(self, lesson, where, exported):
        def change(cells):
            source = f"{'#| export' if exported else ''}\nx{self.words} = 1\n{self.word()}"
            cells.insert(where % (len(cells) + 1), {
                "cell_type": "code", "id": f"own{self.words}", "metadata": {}, "outputs": [],
                "execution_count": None, "source": source})
        self.edited(lesson, change)

    @rule(lesson=LESSON, where=st.integers(0, 20), what=st.sampled_from(DAMAGES))
    def damages(self, lesson, where, what):
        def change(cells):
            place = where % len(cells)
            cell = cells[place]
            text = "".join(cell["source"])
            if what == "twin": cells.insert(0, {**cell, "source": f"{text}\n{self.word()}"})
            if what == "id": cell.pop("id", None)
            if what == "turn": cells.reverse()
            if what == "prose": cells[place] = {
                "cell_type": "markdown", "id": cell.get("id", "x"), "metadata": {}, "source": text}
            if what == "swap": cells.append(cells.pop(place))
        self.edited(lesson, change)

    @rule(lesson=LESSON, where=st.integers(0, 20))
    def deletes_a_blank(self, lesson, where):
        def change(cells):
            place = where % len(cells)
            if not any(word in "".join(cells[place]["source"]) for word in self.typed()): cells.pop(place)
        self.edited(lesson, change)

    @precondition(lambda self: self.words)
    @rule(lesson=LESSON, part=st.integers(1, 3))
    def saves_half(self, lesson, part):
        """The editor dies while it saves: what it had not written yet is its loss, and nobody else's."""
        path = self.place.notebook(lesson)
        if not path.exists(): return
        text = path.read_text("utf-8")
        lost = [word for word in self.typed() if word in text and word not in text[:len(text) * part // 4]]
        if not lost: path.write_text(text[:len(text) * part // 4], "utf-8")

    @rule(name=st.sampled_from(["progress.json", "workspace.json", "journal.jsonl"]))
    def loses(self, name): (self.root / ".tito" / name).unlink(missing_ok=True)

    @rule()
    def mends(self): self.mend()


@pytest.fixture
def sequences(course, course_folder, fresh_workspace, tmp_path):
    """A course, and the one that comes after it."""
    later = Path(shutil.copytree(course_folder, tmp_path / "later"))
    file = later / "modules/01_counting/counting.py"
    text = file.read_text("utf-8").replace("After one comes two.", "Two comes after one.")
    text = text.replace("def twice(n):", "def twice(n, by=2):").replace("twice three is six", "twice 3 is 6")
    file.write_text(f"{text}\n\n# %% [markdown]\n# The end.\n", "utf-8")
    Sequences.courses, Sequences.fresh = (course, Course(later)), fresh_workspace
    return Sequences


def run(machine, examples, steps):
    gc.collect()
    gc.freeze()                             # what is there now is not looked through each time
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(machine, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=examples < 100,
        suppress_health_check=slow, database=None))
    gc.unfreeze()


def test_a_few_random_sequences(sequences): run(sequences, 6, 12)


@pytest.mark.slow
def test_two_hundred_random_sequences(sequences): run(sequences, 200, 20)


@pytest.mark.slow
def test_real_processes_that_are_killed_leave_what_doctor_mends(graduate, tito):
    place, path = graduate.place, graduate.place.notebook(1)
    for number in range(30):
        graduate.solve(1, twice=f"#| export exercise\ndef twice(n):\n    return n + n     # word{number};")
        mine = path.read_bytes()
        process = tito(place, *(("module", "reset", "01"), ("export", "01"), ("update",))[number % 3])
        began = wait_until((place.root / ".tito/lock.holder").exists, process)
        time.sleep(number / 2000)
        process.kill()
        process.wait()
        assert all(f.status == "ok" or f.fixed for f in Doctor(place).of_workspace(fix=True)), began
        assert place.standing().lessons and not place.state.changes.unfinished()
        backups = place.root.glob(".tito/backups/*/files/01_counting.ipynb")
        assert mine in {path.read_bytes(), *(backup.read_bytes() for backup in backups)}


def wait_until(true, process):
    while not true() and process.poll() is None: time.sleep(0.001)
    return true()
