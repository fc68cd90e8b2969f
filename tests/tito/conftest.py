"""A course of two lessons, a workspace of it, and a learner who writes into its notebooks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Path(__file__).with_name("sample")
BESIDE = ("_missing.py", "_reference.py", "pytorch_names.txt", "tutor.md")

RIGHT = {
    "after": "#| export exercise\ndef after(n):\n    return n + 1",
    "twice": "#| export exercise\ndef twice(n):\n    return n + n",
    "add": "#| export exercise\ndef add(x, y):\n    return x + y",
}


class Learner:
    """Somebody with a workspace, who writes cells."""

    def __init__(self, place):
        self.place, self.root = place, place.root

    def write(self, number=1, **cells):
        """New text for cells of a lesson, by id (check_x for check-x)."""
        path = self.place.notebook(number)
        data = json.loads(path.read_text("utf-8"))
        wanted = {name.replace("check_", "check-"): text for name, text in cells.items()}
        for cell in data["cells"]:
            if cell["id"] in wanted: cell["source"] = wanted.pop(cell["id"])
        assert not wanted, f"no such cells: {wanted}"
        path.write_text(json.dumps(data), "utf-8")

    def solve(self, number, **other):
        names = {1: ("after", "twice"), 2: ("add",)}[number]
        self.write(number, **{name: RIGHT[name] for name in names} | other)

    def complete(self, *numbers):
        for number in numbers:
            self.place.start(number)
            self.solve(number)
            done = self.place.complete(number)
            assert done.report.ok, done.report
        return done

    def drop(self, number, *ids):
        """Deletes cells."""
        path = self.place.notebook(number)
        data = json.loads(path.read_text("utf-8"))
        data["cells"] = [c for c in data["cells"] if c["id"] not in ids]
        path.write_text(json.dumps(data), "utf-8")

    def insert(self, number, source, after="first-cell"):
        """A cell of the learner's own."""
        path = self.place.notebook(number)
        data = json.loads(path.read_text("utf-8"))
        place = [c["id"] for c in data["cells"]].index(after) + 1
        data["cells"].insert(place, {"cell_type": "code", "id": f"own-{place}", "metadata": {}, "outputs": [],
                                     "execution_count": None, "source": source})
        path.write_text(json.dumps(data), "utf-8")

    def verdicts(self, number=1, **cells):
        """name -> Result, after writing these cells into an otherwise right notebook."""
        self.solve(number)
        self.write(number, **cells)
        return self.test(number)

    def test(self, number, limits=None):
        """name -> Result."""
        return {result.name: result for result in self.place.test(number, limits).tests}


@pytest.fixture
def tito():
    """Start a tito of its own, in a workspace, on the sample course."""
    started = []

    def start(place, *words, env=(), **how):
        code = ("import signal, sys; from pathlib import Path; import tito.app, tito.services_course as c\n"
                "signal.signal(signal.SIGINT, signal.default_int_handler)   # `make test &` has it ignored\n"
                f"tito.app.open_course = lambda: c.Course(Path({str(place.course.root)!r}))\n"
                "from tito.cli import main; sys.exit(main(sys.argv[1:]))")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} if not how else {}
        started.append(subprocess.Popen(
            [sys.executable, "-c", code, *words], cwd=place.root, start_new_session=True, **pipes, **how,
            env={**os.environ, "PYTHONPATH": str(ROOT), **dict(env)}))
        return started[-1]
    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def course_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course") / "course"
    shutil.copytree(SAMPLE, folder)
    for name in BESIDE:
        if not (folder / "modules" / name).exists(): shutil.copy(ROOT / "modules" / name, folder / "modules")
    shutil.copy(ROOT / "LICENSE", folder)
    return folder


@pytest.fixture(scope="session")
def course(course_folder):
    from tito.services_course import Course
    return Course(course_folder)


@pytest.fixture(scope="session")
def fresh_workspace(course, tmp_path_factory):
    from tito.app import create_workspace
    return create_workspace(tmp_path_factory.mktemp("fresh") / "ws", course).root


@pytest.fixture
def place(course, fresh_workspace, tmp_path):
    """A workspace of its own for each test."""
    from tito.app import Workspace
    return Workspace(Path(shutil.copytree(fresh_workspace, tmp_path / "mytorch")), course)


@pytest.fixture
def learner(place): return Learner(place)


@pytest.fixture(scope="session")
def finished_workspace(course, fresh_workspace, tmp_path_factory):
    """Both lessons complete."""
    from tito.app import Workspace
    root = Path(shutil.copytree(fresh_workspace, tmp_path_factory.mktemp("finished") / "ws"))
    Learner(Workspace(root, course)).complete(1, 2)
    return root


@pytest.fixture
def graduate(course, finished_workspace, tmp_path):
    """A learner who has completed both lessons."""
    from tito.app import Workspace
    return Learner(Workspace(Path(shutil.copytree(finished_workspace, tmp_path / "graduate")), course))
