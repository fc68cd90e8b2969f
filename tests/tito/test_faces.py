"""The faces of the package, made from a small course and imported in a fresh process."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tito.core.curriculum import parse
from tito.core.export import defined_names
from tito.core.faces import faces, installed, package, unlisted
from tito.core.lesson import LessonProblem

MODULES = Path(__file__).resolve().parents[2] / "modules"
GIVEN = {path.name: path.read_text("utf-8") for path in MODULES.glob("_*.py")} | {
    "pytorch_names.txt": "# a comment\n[torch]\nsum acos jit\n[torch.nn.functional]\nrelu rrelu\n"}
SOURCES = {
    "numbers": "one = 1\n",
    "tensor": "class Tensor: pass\ndef sum_(x): return x\ndef add(x, y): return x\n"
              "def abs_(x): return x\n_own = 1\n",
    "extras": "def sum(x): return 'exact'\ndef cat(x): return x\n",
    "activations": 'from .tensor import Tensor\n\n__all__ = ["relu"]\n\n\ndef relu(x): return x\n',
    "linalg": '__all__ = ["norm"]\n\n\ndef norm(x): return x\n',
    "solvers": "from .linalg import norm\n\n\ndef solve(x): return norm(x)\n",
}
DEEPER = '"tinytorch.activations" = ["norm"]\n"tinytorch.activations.smooth" = ["solve"]'     # below a module


def curriculum(tensor='["Tensor", "add", "sum"]', activations='["relu"]', linalg=""):
    return parse(f"""
format = 1
[[milestone]]
name = "all"
title = "All"
statement = "I can"
story = ""
[[lesson]]
number = 2
name = "tensor"
title = "Tensor"
question = "?"
milestone = "all"
minutes = 1
files = ["appendix_numbers", "tensor", "appendix_extras"]
[lesson.exports]
"tinytorch" = {tensor}
[[lesson]]
number = 3
name = "activations"
title = "Activations"
question = "?"
milestone = "all"
minutes = 1
[lesson.exports]
"tinytorch" = {activations}
"tinytorch.nn.functional" = ["relu"]
[[lesson]]
number = 4
name = "linalg"
title = "Linalg"
question = "?"
milestone = "all"
minutes = 1
files = ["linalg", "appendix_solvers"]
[lesson.exports]
"tinytorch.linalg" = ["norm", "solve"]
{linalg}
[[lesson]]
number = 5
name = "dense"
title = "Dense"
question = "?"
milestone = "all"
minutes = 1
[lesson.exports]
"tinytorch.nn" = ["Linear"]
"tinytorch.optim" = ["SGD"]
""")


def names(*modules): return {module: defined_names(SOURCES[module]) for module in modules or SOURCES}


@pytest.fixture
def built(tmp_path):
    """Write the package of some modules, and answer what Python says in it."""
    def build(*modules, course=None, reference=False):
        sources = {module: SOURCES[module] for module in modules or SOURCES}
        files = package(course or curriculum(), sources, "1.2.3", names(), GIVEN, reference)
        for name, text in files.items():
            path = tmp_path / "tinytorch" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return lambda program, **where: python(program, **{"cwd": tmp_path, "path": tmp_path, **where})
    return build


def python(program, cwd, path, **env):
    """What a program prints; or the last line of its traceback."""
    rest = {k: v for k, v in os.environ.items() if k != "TINYTORCH_REFERENCE"}
    env = {**rest, "PYTHONPATH": str(path), **env}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, encoding="utf-8")
    return (done.stdout if done.returncode == 0 else done.stderr).strip().split("\n")[-1]


# ------------------------------------------------------------------------------------- what is handed on

def test_a_face_hands_on_what_the_lessons_modules_define(built):
    ask = built()
    assert ask("import tinytorch; print(tinytorch.add, tinytorch.__version__)").endswith(" 1.2.3")
    assert ask("from tinytorch.nn import functional; print(functional.relu(3))") == "3"
    assert ask("import tinytorch; print(tinytorch.nn.functional.relu(3))") == "3"


def test_the_exact_spelling_wins_over_the_underscored_one(built):
    assert built()("import tinytorch; print(tinytorch.sum(1))") == "exact"
    assert built("tensor")("import tinytorch; print(tinytorch.sum(1))") == "1"


def test_a_star_stands_for_every_public_name_and_a_minus_leaves_one_out():
    source = faces(curriculum('["*", "-cat", "-one"]'), names(), True)["__init__.py"]
    assert "from .tensor import Tensor, add, abs_ as abs\n" in source
    assert "from .extras import sum\n" in source and "cat" not in source
    assert ".numbers" not in source and "_own" not in source


def test_torch_star_stands_for_the_public_names_that_pytorch_has_in_the_same_place():
    theirs = {"torch": ["sum", "cat", "acos"]}
    source = faces(curriculum('["torch.*", "-cat", "add"]'), names(), True, theirs=theirs)["__init__.py"]
    assert "from .tensor import add\n" in source and "from .extras import sum\n" in source
    assert "cat" not in source and "Tensor" not in source


def test_a_module_that_pytorch_has_too_is_asked_last():
    both = names() | {"numbers": ["add"]}
    theirs = {"torch": ["add"], "torch.tensor": []}
    source = faces(curriculum('["add"]'), both, True, theirs=theirs)["__init__.py"]
    assert "from .numbers import add\n" in source and "from .tensor import add" not in source


def test_star_imports_hide_no_builtin_and_dir_shows_all(built):
    ask = built(course=curriculum('["*"]'))
    assert ask("from tinytorch import *; print(sum([1, 2]), abs(-1), add(1, 2))") == "3 1 1"
    shown = json.loads(ask("import json, tinytorch; print(json.dumps(dir(tinytorch)))"))
    assert {"Tensor", "sum", "abs", "nn", "linalg", "__version__"} <= set(shown) and "optim" not in shown


def test_a_lessons_module_of_the_same_name_is_the_face(built):
    ask = built()
    assert ask("import tinytorch; print(tinytorch.linalg.norm(2), tinytorch.linalg.solve(3))") == "2 3"
    assert ask("from tinytorch.linalg import *; print(norm, solve)").count("function") == 2
    assert ask("import tinytorch; tinytorch.linalg.sove") == (
        "AttributeError: module 'tinytorch.linalg' has no attribute 'sove'. Did you mean 'solve'?")


LATE_PROGRAM = """
import sys, tinytorch
print("tinytorch.extras" in sys.modules, "cat" in dir(tinytorch), tinytorch.cat(2), tinytorch.sum(3),
      "tinytorch.extras" in sys.modules, "cat" in vars(tinytorch))
"""


def test_a_late_file_waits_until_one_of_its_names_is_asked_for(built):
    course = curriculum('["add", "sum", "cat"]')
    lessons = tuple(replace(lesson, late=("appendix_extras",)) if lesson.name == "tensor" else lesson
                    for lesson in course)
    ask = built(course=replace(course, lessons=lessons))
    assert ask(LATE_PROGRAM) == "False True 2 exact True True"
    assert ask("from tinytorch import *; print(cat(2))") == "2"
    assert ask("import tinytorch; tinytorch.ca") == (
        "AttributeError: module 'tinytorch' has no attribute 'ca'. Did you mean 'cat'?")


def test_what_a_face_added_to_a_module_comes_off_again():
    files = package(curriculum(), SOURCES, "1", names(), GIVEN)
    found = installed(curriculum(), files)
    assert found == SOURCES
    assert package(curriculum(), found, "1", names(), GIVEN) == files


def test_a_lessons_module_with_faces_below_it_is_a_folder(built):
    course = curriculum(linalg=DEEPER)
    ask = built(course=course)
    where = ask("from tinytorch import activations; print(activations.__file__)")
    assert where.endswith("activations/__init__.py")
    assert ask("from tinytorch.activations import Tensor, relu; print(relu(2))") == "2"
    assert ask("import tinytorch; print(tinytorch.activations.smooth.solve(3))") == "3"
    assert ask("from tinytorch.activations.smooth import solve; print(solve(4))") == "4"
    assert ask("import tinytorch; print(tinytorch.activations.norm(5))") == "5"
    assert "has no attribute 'rellu'" in ask("import tinytorch; tinytorch.activations.rellu")


def test_such_a_folder_is_the_same_module_when_it_is_read_again():
    course = curriculum(linalg=DEEPER)
    files = package(course, SOURCES, "1", names(), GIVEN)
    assert "from ..tensor import Tensor\n" in files["activations/__init__.py"]
    assert "activations.py" not in files
    assert installed(course, files) == SOURCES
    assert package(course, installed(course, files), "1", names(), GIVEN) == files


def test_the_face_below_waits_for_its_lesson_and_the_folder_does_not(built):
    ask = built("numbers", "tensor", "activations", course=curriculum(linalg=DEEPER))
    assert ask("import tinytorch; print(tinytorch.activations.relu(2))") == "2"
    told = ask("import tinytorch.activations.smooth")
    assert "tinytorch.activations.smooth opens with lesson 04 linalg" in told


# ---------------------------------------------------------------------------------- what is not there yet

LATER = "tinytorch.cat is built in lesson 02 tensor: tito module start 02"
UNKNOWN = "module 'tinytorch' has no attribute 'ad'. Did you mean 'add'?"
UNWRITTEN = "tinytorch.optim opens with lesson 05 dense, which is still being written"


@pytest.mark.parametrize(("program", "sentence"), [
    ("tinytorch.cat", f"AttributeError: {LATER}"),
    ("from tinytorch import cat", f"ImportError: {LATER}"),
    ("from tinytorch.nn import Linear",
     "ModuleNotFoundError: tinytorch.nn opens with lesson 03 activations: tito module start 03"),
    ("import tinytorch.optim", f"ModuleNotFoundError: {UNWRITTEN}"),
    ("from tinytorch import optim", f"ImportError: {UNWRITTEN}"),
    ("tinytorch.optim", f"AttributeError: {UNWRITTEN}"),
    ("import tinytorch.linalg",
     "ModuleNotFoundError: tinytorch.linalg opens with lesson 04 linalg: tito module start 04"),
    ("tinytorch.acos", "AttributeError: tinytorch.acos is not part of this course: "
                       "PyTorch has torch.acos, TinyTorch leaves it out"),
    ("import tinytorch.jit", "ModuleNotFoundError: tinytorch.jit is not part of this course: "
                             "PyTorch has torch.jit, TinyTorch leaves it out"),
    ("tinytorch.ad", f"AttributeError: {UNKNOWN}"),
    ("from tinytorch import ad", f"ImportError: {UNKNOWN}"),
    ("tinytorch.__path", "AttributeError: module 'tinytorch' has no attribute '__path'"),
    ("import tinytorch.zzz", "ModuleNotFoundError: No module named 'tinytorch.zzz'"),
])
def test_a_missing_name_says_where_it_comes_from(program, sentence, built):
    ask = built("numbers", "tensor", course=curriculum('["Tensor", "add", "cat"]'))
    assert ask(f"import tinytorch; {program}") == sentence


def test_in_a_face_that_is_open_a_missing_name_speaks_too(built):
    ask = built()
    assert ask("from tinytorch.nn.functional import rrelu") == (
        "ImportError: tinytorch.nn.functional.rrelu is not part of this course: "
        "PyTorch has torch.nn.functional.rrelu, TinyTorch leaves it out")
    assert ask("from tinytorch.nn import Linear") == (
        "ImportError: tinytorch.nn.Linear is built in lesson 05 dense, which is still being written")


def test_asking_politely_gets_no_error(built):
    ask = built("tensor")
    assert ask("import tinytorch; print(hasattr(tinytorch, 'nn'), getattr(tinytorch, 'cat', 7))") == "False 7"


def test_names_of_pytorch_are_only_read_for_an_error(built):
    program = "import sys, tinytorch; print('tinytorch._pytorch_names' in sys.modules)"
    assert built()(program) == "False"


# ------------------------------------------------------------------------------------ whose package it is

def test_the_first_cell_knows_the_learners_package_from_the_reference(built):
    program = "from tinytorch import __workspace__; print(__workspace__)"
    assert built()(program) == "True"
    told = built(reference=True)(program)
    assert told.startswith("ImportError: this is the reference tinytorch") and "restart the kernel" in told


def test_the_reference_refuses_to_be_imported_inside_a_workspace(built, tmp_path):
    ask = built(reference=True)
    inside = tmp_path / "mytorch" / "notes"
    inside.mkdir(parents=True)
    assert ask("import tinytorch; print('fine')", cwd=inside) == "fine"
    (tmp_path / "mytorch/.tito").mkdir()
    (tmp_path / "mytorch/.tito/workspace.json").write_text("{}")
    told = ask("import tinytorch", cwd=inside)
    assert told.startswith("ImportError: this would be the reference") and f"{tmp_path}/mytorch" in told
    assert ask("import tinytorch; print('fine')", cwd=inside, TINYTORCH_REFERENCE="1") == "fine"


def test_generated_files_say_what_to_edit_instead():
    theirs = package(curriculum(), SOURCES, "1", names(), GIVEN)
    ours = package(curriculum(), SOURCES, "1", names(), GIVEN, reference=True)
    assert ours["__init__.py"].startswith("# Generated from modules/curriculum.toml by `tito export`.")
    assert ours["_missing.py"].startswith("# Generated from modules/_missing.py")
    assert theirs["_missing.py"].startswith("# Generated from the course's modules/_missing.py")
    assert "_reference.py" not in theirs


# ------------------------------------------------------------------------------------------ what is wrong

def test_a_listed_name_that_nobody_defines_is_refused():
    with pytest.raises(LessonProblem) as refused:
        faces(curriculum('["Tensor", "dott"]'), names(), True)
    assert "lesson 02 tensor lists dott for tinytorch, but no exported cell" in refused.value.message


def test_a_name_that_another_module_would_hide_is_refused():
    with pytest.raises(LessonProblem) as refused:
        faces(curriculum('["Tensor", "cat"]'), {**names(), "cat": ("dog",)}, True)
    assert "tinytorch.cat would be the module cat.py" in refused.value.message


def test_a_learners_package_may_lack_a_name_that_the_course_added_since():
    source = faces(curriculum('["Tensor", "newer"]'), names(), False, course=names())["_names.py"]
    assert '"02 tensor": "newer"' in source


def test_names_that_no_face_lists_are_told():
    assert unlisted(curriculum(), names())["02 tensor"] == ["one", "abs", "cat"]
    assert "02 tensor" not in unlisted(curriculum('["*", "-one"]'), names())


def test_a_lesson_that_fills_tables_is_loaded_whole():
    course = replace(curriculum(), lessons=tuple(
        replace(lesson, fills_tables=lesson.name == "tensor") for lesson in curriculum()))
    found = faces(course, {m: defined_names(s) for m, s in SOURCES.items()}, reference=False)["__init__.py"]
    assert "\nfrom . import numbers, tensor, extras\n" in found
    assert "from . import numbers" not in faces(curriculum(), {}, reference=False)["__init__.py"]
