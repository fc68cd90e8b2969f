"""The list of lessons and milestones."""

from pathlib import Path

import pytest

from tito.core.curriculum import CurriculumProblem, parse
from tito.core.errors import NotFound

REAL = (Path(__file__).resolve().parents[2] / "modules/curriculum.toml").read_text("utf-8")
MILESTONES = """
format = 1
[[milestone]]
name = "start"
title = "Start"
statement = "I can begin"
story = ""
[[milestone]]
name = "stop"
title = "Stop"
statement = "I can end"
story = ""
optional = true
"""


def lesson(number, name, needs=(), **more):
    lines = {"number": number, "name": name, "title": name.title(), "question": "?", "milestone": "start",
             "minutes": 5, "needs": list(needs), **more}
    return "[[lesson]]\n" + "\n".join(f"{key} = {value!r}" for key, value in lines.items()) + "\n"


def course(*lessons): return parse(MILESTONES + "".join(lessons))


@pytest.mark.parametrize("key", [2, "2", "02", "tensor", "02_tensor", "02 tensor", " Tensor "])
def test_a_lesson_answers_to_its_number_its_name_and_its_folder(key):
    assert parse(REAL).lesson(key).name == "tensor"


@pytest.mark.parametrize(("key", "sentence"), [
    ("tensr", "There is no lesson 'tensr'. Did you mean 'tensor'?"),
    ("99", "There is no lesson '99'."),
    ("", "There is no lesson ''."),
    ("²", "There is no lesson '²'."),
])
def test_an_unknown_lesson_is_refused_with_a_guess(key, sentence):
    with pytest.raises(NotFound) as refused:
        parse(REAL).lesson(key)
    assert refused.value.message == sentence and "tito module list" in refused.value.cure


@pytest.mark.parametrize("key", ["stop", "sto", "STOP", "2", 2])
def test_a_milestone_answers_to_its_number_and_the_beginning_of_its_name(key):
    assert course().milestone(key).name == "stop"


@pytest.mark.parametrize(("key", "sentence"), [
    ("st", "'st' could be start or stop."),
    ("stap", "There is no milestone 'stap'. Did you mean 'stop'?"),
    ("", "There is no milestone ''."),
])
def test_an_unclear_milestone_is_refused(key, sentence):
    with pytest.raises(NotFound) as refused:
        course().milestone(key)
    assert refused.value.message == sentence


def test_files_before_the_lesson_are_given_and_files_after_it_are_appendices():
    two = course(lesson(2, "two", files=["appendix_before", "two", "appendix_after"])).lesson("two")
    assert two.given == ("appendix_before",) and two.appendices == ("appendix_after",)
    assert two.modules == ("before", "two", "after")
    assert (two.folder, two.label, two.notebook) == ("02_two", "02 two", "02_two.ipynb")


def test_a_lesson_without_files_is_one_file():
    assert course(lesson(1, "one")).lesson(1).files == ("one",)


def test_needs_reach_as_far_as_they_go():
    found = course(lesson(1, "a"), lesson(2, "b", ["a"]), lesson(3, "c"), lesson(4, "d", ["b"]))
    assert [x.name for x in found.needs_closure(found.lesson("d"))] == ["a", "b"]


def test_lessons_belong_to_milestones():
    found = course(lesson(1, "a"), lesson(2, "b", milestone="stop"))
    assert [x.name for x in found.lessons_of("stop")] == ["b"]
    assert found.lessons_of(found.milestone(2)) == found.lessons_of("stop")


@pytest.mark.parametrize(("lessons", "sentence"), [
    ([lesson(1, "a", ["b"]), lesson(2, "b")], "lesson 01 a needs 'b', which is no lesson before it"),
    ([lesson(1, "a"), lesson(1, "b")], "number 1 is used twice"),
    ([lesson(1, "a"), lesson(2, "a")], "lesson 'a' is listed twice"),
    ([lesson(1, "a", milestone="moon")], "lesson 01 a belongs to 'moon', which is no milestone"),
    ([lesson(1, "a", files=["b"])], "lesson 01 a: files does not list 'a' itself"),
    ([lesson(1, "a", files=["a"], late=["b"])], "lesson 01 a: 'b' is late, and not one of its files"),
    ([lesson(1, "a", files=["appendix_x", "a"]), lesson(2, "x")],
     "lessons 01 a and 02 x both export a module 'x'"),
    ([lesson(1, "a", size=3)], "lesson 'a': got an unexpected keyword argument 'size'"),
    ([lesson(1, "a") + '[lesson.exports]\n"numpy" = ["array"]\n'],
     "lesson 01 a exports to 'numpy', which is not inside tinytorch"),
    (["[[lesson]]\nname = 'a'\n"], "lesson 'a': missing 5 required positional arguments"),
])
def test_a_curriculum_that_cannot_be_followed_is_refused(lessons, sentence):
    with pytest.raises(CurriculumProblem) as refused:
        course(*lessons)
    assert sentence in refused.value.message


@pytest.mark.parametrize(("text", "sentence"), [
    ("format = 2", "curriculum.toml has format 2, this tito reads format 1."),
    ("format = ", "curriculum.toml is not valid TOML"),
])
def test_another_format_is_refused(text, sentence):
    with pytest.raises(CurriculumProblem) as refused:
        parse(text)
    assert sentence in refused.value.message


def test_the_real_curriculum_has_sixteen_lessons_and_a_summit_of_four():
    found = parse(REAL)
    assert [x.number for x in found] == list(range(1, 21))
    assert [m.name for m in found.milestones if m.optional] == ["summit"]
    assert len(found.lessons_of("summit")) == 4 and all(found.lessons_of(m) for m in found.milestones)
