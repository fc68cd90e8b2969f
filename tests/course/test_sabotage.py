"""`tito check-course` on a small course: it is content with it, and sees every way in which it is spoilt."""

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tito.checkout import Checkout
from tito.cli import tito
from tito.commands.check_course import problem_with
from tito.core.rules import Bounds
from tito.inspection import Inspection
from tito.ports.notebooks import NotebooksOnDisk

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "tests/tito/sample"
BESIDE = ("_missing.py", "_reference.py", "pytorch_names.txt")
BOUNDS = Bounds(minutes=(5, 60), lines=(5, 60), mistakes=0)

COUNTING, ADDING = "modules/01_counting/counting.py", "modules/02_adding/adding.py"
CURRICULUM = "modules/curriculum.toml"
TWICE_CHECKS = ('# %%\n#| check 3\nassert twice(3) == 6, "twice three is six"\n\n'
                '# %%\n#| check 1 hidden\nassert twice(-1) == -2, "debts double too"\n')
SOLUTION = "for _ in range(y): together = after(together)\n    return together\n"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Two lessons and the package that is made from them."""
    folder = tmp_path_factory.mktemp("small") / "course"
    shutil.copytree(SMALL, folder)
    for name in BESIDE: shutil.copy(ROOT / "modules" / name, folder / "modules")
    change(folder, CURRICULUM, 'needs = ["counting"]', 'needs = ["counting"]\nobjectives = ["add up"]')
    Checkout(folder).export()
    return folder


@pytest.fixture
def course(original, tmp_path):
    """A copy to be spoilt."""
    return Path(shutil.copytree(original, tmp_path / "course"))


def change(course: Path, file: str, old: str, new: str):
    text = (course / file).read_text("utf-8")
    assert text.count(old) == 1, f"{file} has changed: this sabotage needs another place"
    (course / file).write_text(text.replace(old, new), "utf-8")


def inspection(course: Path, tmp_path: Path, notebooks=None) -> Inspection:
    work = tmp_path / "work"
    work.mkdir()
    return Inspection(Checkout(course, notebooks), work, partial(problem_with, tito=tito), BOUNDS)


def read(look: Inspection):
    """Rules that are broken, without running anything."""
    lessons = [lesson for lesson in look.course.curriculum if lesson.name in look.course.written()]
    return {fault.rule for one in look.look(lessons, fast=True) for fault in one.faults}


def run(look: Inspection, number: int, trial: str):
    """Rules that are broken in one of the trials of a lesson."""
    planned = getattr(look, trial)(look.course.curriculum.lesson(number))
    return {fault.rule for fault in planned.judge(look.runner.run(planned.plan))}


def test_nothing_is_wrong_with_it(original, tmp_path):
    look = inspection(original, tmp_path)
    found = list(look.look([look.course.curriculum.lesson(n) for n in (1, 2)]))
    assert [fault for one in found for fault in one.faults] == []
    counts = [(one.label, one.exercises, one.points, one.tests) for one in found[1:]]
    assert sorted(counts) == [("01 counting", 2, 6, 1), ("02 adding", 1, 2, 1)]


READ = [                # what is done to it, the file, what stands there, what comes in its place, the rule
    ("a check deleted", COUNTING, TWICE_CHECKS, "", "checks"),
    ("a check without a sentence", ADDING, ', "two and two make four"', "", "checks"),
    ("a solution in a hint", ADDING, "hint Count on from x.",
     "hint together = x; " + SOLUTION.strip().replace("\n    ", "; "), "leak"),
    ("a solution in a test that is shipped", "tests/lessons/02_adding/test_adding.py", "def test",
     f"def add(x, y):\n    {SOLUTION}\n\ndef test", "leak"),
    ("a solution in a demonstration", ADDING, "# %%\n#| check 2",
     f"# %%\ndef g(x, y):\n    together = 0\n    {SOLUTION}\n# %%\n#| check 2", "leak"),
    ("a name that nothing defines", CURRICULUM, '["add"]', '["add", "subtract"]', "exports"),
    ("an export dropped", CURRICULUM, '["after", "twice"]', '["twice"]', "generated"),
    ("an exercise that is not exported", COUNTING, "#| export exercise\ndef after", "#| exercise\ndef after",
     "format"),
    ("two lessons exchanged", CURRICULUM, "number = 1\n", "number = 9\n", "order"),
    ("a stale file in the package", "tinytorch/counting.py", "return n + 1", "return n + 2", "generated"),
    ("a file that no list names", CURRICULUM, '["appendix_words", "counting"]', '["counting"]', "exports"),
    ("a broken link", ADDING, "Two and two make four.", "[Two](two.md) and two make four.", "links"),
    ("a picture that is gone", ADDING, "Two and two", "![two](figures/two.svg) Two and two", "links"),
    ("a lesson that does not exist", ADDING, "Two and two make four.", "As lesson 12 says.", "links"),
    ("a command that does not exist", ADDING, "Two and two make four.", "`tito modul test`", "commands"),
    ("an option that does not exist", ADDING, "Two and two make four.", "`tito undo --all`", "commands"),
    ("a number from nowhere", ADDING, "Two and two make four.", "There are 61,706 twos.", "numbers"),
    ("a lesson of ten hours", CURRICULUM, "minutes = 5", "minutes = 600", "size"),
    ("no objectives", CURRICULUM, 'objectives = ["count to two", "know when to stop"]\n', "", "size"),
    ("prose that jupytext writes otherwise", ADDING, "# Two and two", "#Two and two", "round trip"),
]


@pytest.mark.parametrize("file, old, new, rule", [pytest.param(*row, id=what) for what, *row in READ])
def test_what_can_be_read_is_seen(file, old, new, rule, course, tmp_path):
    change(course, file, old, new)
    assert rule in read(inspection(course, tmp_path))


def test_a_mistake_that_cannot_be_planted_any_more_is_seen(course, tmp_path):
    folder = course / "tests/mutants"
    folder.mkdir()
    (folder / "02_adding.toml").write_text(
        '[[mistake]]\nexercise = "add"\nwhat = "stale"\nidea = "-"\nold = "x + y"\nnew = "x"', "utf-8")
    assert "mistakes" in read(inspection(course, tmp_path))


class Telling(NotebooksOnDisk):
    """Writes a solution where nobody looks."""

    def __init__(self, place): self.place = place

    def write(self, cells, path, metadata=None):
        super().write(cells, path, metadata)
        notebook = json.loads(path.read_text("utf-8"))
        self.place(notebook, {"text/plain": SOLUTION})
        path.write_text(json.dumps(notebook), "utf-8")


@pytest.mark.parametrize("place", [
    pytest.param(lambda nb, said: nb["cells"][-1]["outputs"].append({"data": said}), id="in an output"),
    pytest.param(lambda nb, said: nb["cells"][1]["metadata"].update(said), id="in a cell's metadata"),
    pytest.param(lambda nb, said: nb["metadata"].update(said), id="in the notebook's metadata"),
])
def test_a_solution_that_leaks_is_seen(place, course, tmp_path):
    assert "leak" in read(inspection(course, tmp_path, Telling(place)))


def test_too_few_planted_mistakes_are_seen(original, tmp_path):
    look = inspection(original, tmp_path)
    look.bounds = BOUNDS._replace(mistakes=5)
    assert read(look) == {"mistakes"}


RUN = [                 # …, the lesson, the trial, the rule
    ("an answer that is wrong", COUNTING, "return n + n", "return n * n", 1, "top_to_bottom", "solved"),
    ("an answer that is a constant", COUNTING, "return n + n", "return 6", 1, "top_to_bottom", "solved"),
    ("a demonstration that fails", COUNTING, "# %%\n#| export\ndef word",
     "# %%\n1 / 0\n\n# %%\n#| export\ndef word", 1, "top_to_bottom", "runs"),
    ("a name of a later lesson", COUNTING, "from tinytorch.words import WORDS",
     "from tinytorch.adding import add\nfrom tinytorch.words import WORDS", 1, "top_to_bottom", "solved"),
    ("a later lesson in the lesson's tests", "tests/lessons/01_counting/test_counting.py", "    assert",
     "    assert tinytorch.add(1, 1) == 2\n    assert", 1, "exported", "tests"),
    ("an export that its tests need", CURRICULUM, '["after", "twice"]', '["twice"]', 1, "exported", "tests"),
    ("a check that asks nothing", ADDING, "assert add(2, 2)", "assert 2 + 2", 2, "one_by_one", "stripped"),
    ("a check that gives points for nothing", ADDING, "assert add(2, 2) == 4", "assert callable(add)",
     2, "untouched", "blank"),
    ("a check that needs the one before it", COUNTING, "assert twice(3) == 6, \"twice three is six\"\n",
     "import builtins\nbuiltins.three = 3\nassert twice(3) == 6, \"twice three is six\"\n\n# %%\n"
     "#| export exercise\ndef thrice(n):\n    ### BEGIN SOLUTION\n    return 3 * n\n    ### END SOLUTION\n\n"
     "# %%\n#| check 1\nassert thrice(three) == 9, \"thrice three is nine\"\n", 1, "one_by_one", "solved"),
    ("a check that crashes on a blank", ADDING, "assert add(2, 2) == 4",
     "try: add(2, 2)\nexcept NotImplementedError: [][0]\nassert add(2, 2) == 4", 2, "one_by_one", "stripped"),
]


@pytest.mark.parametrize("file, old, new, number, trial, rule",
                         [pytest.param(*row, id=what) for what, *row in RUN])
def test_what_has_to_be_run_is_seen(file, old, new, number, trial, rule, course, tmp_path):
    change(course, file, old, new)
    found = run(inspection(course, tmp_path), number, trial)
    assert rule in found


# ------------------------------------------------------------------------------------------ the command

def typed(course, *words):
    command = [sys.executable, "-m", "tito", "check-course", *words]
    return subprocess.run(command, cwd=course, capture_output=True, encoding="utf-8")


def test_the_command_says_what_is_wrong_and_ends_with_one(course):
    change(course, ADDING, "Two and two make four.", "[Two](two.md) and two make four.")
    done = typed(course, "--fast", "--json")
    found = {one["label"]: one for one in json.loads(done.stdout)["found"]}
    assert done.returncode == 1 and not json.loads(done.stdout)["ok"]
    links = [fault for fault in found["02 adding"]["faults"] if fault["rule"] == "links"]
    assert [fault["what"] for fault in links] == ["the link two.md leads nowhere"]


def test_a_list_that_cannot_be_followed_is_a_fault_too(course):
    change(course, CURRICULUM, 'needs = ["counting"]', 'needs = ["multiplying"]')
    done = typed(course, "--fast")
    assert done.returncode == 1 and "needs 'multiplying', which is no lesson before it" in done.stdout


def test_it_is_for_a_checkout(tmp_path): assert typed(tmp_path, "--fast").returncode == 2


@pytest.mark.slow           # copies the whole course
def test_a_wrong_answer_in_the_real_course_is_seen(tmp_path):
    course = tmp_path / "course"
    for name in ("modules", "tinytorch", "datasets", "tests/lessons", "tests/mutants"):
        shutil.copytree(ROOT / name, course / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", course)
    change(course, "modules/03_activations/activations.py", "return np.maximum(input, 0)", "return input")
    found = json.loads(typed(course, "03", "--json").stdout)["found"]
    rules = {one["label"]: {fault["rule"] for fault in one["faults"]} for one in found}
    assert rules["the course"] == {"generated"} and {"solved", "tests"} <= rules["03 activations"]
