"""Quizzes are true: what is said to be printed is printed, and no later lesson is needed."""

import ast
import contextlib
import io

import pytest

from tito.app import open_course
from tito.core.curriculum import module_of
from tito.core.quizzes import parse
from tito.services_quiz import questions

COURSE = open_course()
LESSONS = [x for x in COURSE.curriculum if x.name in COURSE.written()]
QUESTIONS = {lesson.name: questions(COURSE, lesson) for lesson in LESSONS}
ALL = [pytest.param(lesson, q, id=f"{lesson.name}-{q.id}")
       for lesson in LESSONS for q in QUESTIONS[lesson.name]]
LESSON_OF = {module_of(file): lesson.number for lesson in COURSE.curriculum for file in lesson.files}


def printed(code: str) -> str:
    with contextlib.redirect_stdout(out := io.StringIO()):
        exec(compile(code, "<quiz>", "exec"), {"__name__": "quiz"})
    return out.getvalue().strip()


def used(code: str) -> set[str]:
    """The names that are taken from tinytorch, wherever in it."""
    tree, found = ast.parse(code), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("tinytorch"):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in ("tt", "nn", "F"):
            found.add(node.attr)
    return found


def first_lesson(name: str) -> int:
    """The first lesson that defines a name; 0 for one that none does, say a face."""
    homes = [LESSON_OF[module] for module, names in COURSE.names.items() if {name, f"{name}_"} & set(names)]
    return min(homes, default=0)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_every_lesson_asks_two_to_five_questions_of_several_kinds(lesson):
    questions = QUESTIONS[lesson.name]
    assert 2 <= len(questions) <= 5
    assert len({q.kind for q in questions}) >= 2


@pytest.mark.parametrize(("lesson", "question"), ALL)
def test_what_it_says_is_true(lesson, question):
    if question.kind == "trace": assert question.right(printed(question.code)), printed(question.code)
    if question.kind == "number": assert question.right(printed(question.work)), printed(question.work)
    assert question.right(question.told if question.kind != "why" else str(question.answer))


@pytest.mark.parametrize(("lesson", "question"), ALL)
def test_no_later_lesson_is_needed(lesson, question):
    late = {name: n for name in used(question.code) if (n := first_lesson(name)) > lesson.number}
    assert late == {}


@pytest.mark.parametrize(("lesson", "question"), ALL)
def test_words_are_short_enough_to_be_read_in_a_terminal(lesson, question):
    assert len(question.ask) <= 200 and len(question.explain) <= 320
    assert all(len(line) <= 110 for line in question.code.splitlines())


def test_the_right_letter_is_not_always_the_same():
    letters = [q.answer for questions in QUESTIONS.values() for q in questions if q.kind == "why"]
    assert all(letters.count(x) <= len(letters) / 2 for x in set(letters)), letters


def test_and_this_can_fail():
    [q] = parse('format = 1\n[[question]]\nid = "x"\nkind = "trace"\nask = "?"\ncode = "print(1)"\n'
                'answer = "2"\nexplain = ""')
    assert not q.right(printed(q.code))
    assert used("import tinytorch as tt\nfrom tinytorch.optim import SGD\ntt.zeros(1)") == {"SGD", "zeros"}
    assert first_lesson("SGD") == 10
