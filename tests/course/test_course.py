"""`tito check-course` is content with every lesson, and the package that is made of them is whole."""

import ast
from functools import partial
from pathlib import Path

import pytest

from tito.checkout import open_checkout
from tito.cli import tito
from tito.commands.check_course import problem_with
from tito.core.faces import installed
from tito.core.lesson import defined_names
from tito.inspection import Inspection

ROOT = Path(__file__).resolve().parents[2]
COURSE = open_checkout(ROOT)
LESSONS = [lesson for lesson in COURSE.curriculum if lesson.name in COURSE.written()]


@pytest.fixture(scope="module")
def found(tmp_path_factory, request):
    """What is found about the lessons that are asked for, by their names."""
    items = [item for item in request.session.items if item.path == request.path]
    asked = {item.callspec.params["label"] for item in items if "found" in item.fixturenames}
    look = Inspection(COURSE, tmp_path_factory.mktemp("course"), partial(problem_with, tito=tito))
    return {one.label: one for one in look.look([lesson for lesson in LESSONS if lesson.label in asked])}


@pytest.mark.parametrize("label", ["the course", *(lesson.label for lesson in LESSONS)])
def test_every_promise_is_kept(label, found):
    assert found[label].faults == ()


def test_every_generated_file_is_python_and_says_what_to_edit():
    for name, source in COURSE.generated().items():
        compile(source, name, "exec")
        assert source.startswith("# Generated from ") and source.endswith("\n"), name


def test_every_listed_name_is_defined():
    for name, source in installed(COURSE.curriculum, COURSE.generated()).items():
        listed = next((ast.literal_eval(n.value) for n in ast.parse(source).body if isinstance(n, ast.Assign)
                       and ast.unparse(n.targets[0]) == "__all__"), [])
        assert set(listed) <= set(defined_names(source)), name
