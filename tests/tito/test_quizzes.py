"""`tito quiz`: what counts as an answer, what is counted, and what a terminal shows."""

import io
import json
import shutil
from pathlib import Path

import pytest

from tito import cli
from tito.app import Workspace
from tito.core.errors import EnvironmentProblem, NotFound
from tito.core.quizzes import Asked, Count, Counts, QuizProblem, counts_from, parse
from tito.services_course import Course
from tito.services_quiz import counts, questions, record

TEXT = '''
format = 1

[[question]]
id = "pebbles"
kind = "number"
ask = "Two pebbles and two more?"
answer = 4
work = "print(2 + 2)"
unit = "pebbles"
explain = "Count them."

[[question]]
id = "twice"
kind = "trace"
ask = "What is printed?"
code = """
print([1, 'a'])
print(0.5)
"""
answer = """
[1, 'a']
0.5"""
explain = "A list, then a half."

[[question]]
id = "shells"
kind = "why"
ask = "Why shells?"
choices = ["They are many.", "They do not roll away."]
answer = "b"
explain = "They lie still."
'''
NUMBER, TRACE, WHY = QUIZ = parse(TEXT)


@pytest.mark.parametrize(("question", "given", "right"), [
    (WHY, "b", True), (WHY, " B) ", True), (WHY, "a", False), (WHY, "", False), (WHY, "They do", False),
    (TRACE, "[1, 'a']\n0.5", True), (TRACE, '[1,"a"]  0.5', True), (TRACE, "[1, 'b']\n0.5", False),
    (TRACE, "[1, a]\n0.5", False), (TRACE, "[1, 'a']\n0.50", False), (TRACE, "[1, 'a'] -0.5", False),
    (NUMBER, "4", True), (NUMBER, "4.0", True), (NUMBER, "4 pebbles", True), (NUMBER, "8/2", True),
    (NUMBER, "four", False), (NUMBER, "-4", False), (NUMBER, "4.001", False), (NUMBER, "1/0", False)])
def test_what_counts_as_an_answer(question, given, right): assert question.right(given) is right


@pytest.mark.parametrize(("given", "right"), [
    ("12,845,056", True), ("12 845 056", True), ("1.2845056e7", True), ("12845056", True), ("12.8e6", True),
    ("13e6", False)])
def test_large_numbers_are_typed_in_many_ways(given, right):
    large = parse(TEXT.replace("answer = 4", "answer = 12845056\nwithin = 0.01"))[0]
    assert large.right(given) is right


def test_a_share_is_typed_with_its_sign_or_without():
    unit = 'unit = "pebbles"\n'
    share = parse(TEXT.replace("answer = 4", "answer = 0.75").replace(unit, ""))[0]
    percent = parse(TEXT.replace("answer = 4", "answer = 75").replace(unit, 'unit = "%"\n'))[0]
    assert all(share.right(x) for x in ("0.75", "75 %", "3/4", ".75"))
    assert all(percent.right(x) for x in ("75", "75 %", "75%"))


@pytest.mark.parametrize(("old", "new", "said"), [
    ("format = 1", "format = 2", "format 2"), ("format = 1", "format = ", "not valid TOML"),
    ('kind = "why"', 'kind = "riddle"', "its kind is one"), ('id = "twice"', 'id = "shells"', "used twice"),
    ('answer = "b"', 'answer = "c"', "letter of a"), ('answer = "b"', 'answer = "ab"', "letter of a"),
    ("answer = 4", 'answer = "4"', "is a number"), ('work = "print(2 + 2)"\n', "", "work is missing"),
    ('unit = "pebbles"', 'units = "pebbles"', "units is not known")])
def test_a_file_that_cannot_be_asked_says_why(old, new, said):
    assert old in TEXT
    with pytest.raises(QuizProblem, match=said): parse(TEXT.replace(old, new, 1))


def test_rounds_are_added_up_and_what_is_left_out_is_not_counted():
    once = Counts().plus("counting", [Asked(WHY, "b"), Asked(NUMBER, "5"), Asked(TRACE, "")])
    twice = once.plus("counting", [Asked(NUMBER, "4")]).plus("adding", [Asked(WHY, "a")])
    assert twice.of("counting", "pebbles") == Count(2, 1) and twice.of("counting", "shells") == Count(1, 1)
    assert twice.of("counting", "twice") == Count() and twice.of("adding", "shells") == Count(1, 0)
    assert counts_from(json.loads(json.dumps(twice.as_json()))) == twice


@pytest.mark.parametrize("damage", [None, [], {"format": 1}, {"format": 1, "lessons": {"x": {"y": {"z": 1}}}},
                                    {"format": 2, "lessons": {}}])
def test_damaged_counts_are_a_sentence(damage):
    with pytest.raises(EnvironmentProblem, match=r"quizzes\.json"): counts_from(damage)


# ---------------------------------------------------------------------------------------------- at a terminal

@pytest.fixture
def asked(course_folder, fresh_workspace, tmp_path, monkeypatch):
    """A workspace of a course with one quiz, whose learner is about to type."""
    root = Path(shutil.copytree(course_folder, tmp_path / "course"))
    (root / "modules/01_counting/quiz.toml").write_text(TEXT)
    place = Workspace(Path(shutil.copytree(fresh_workspace, tmp_path / "mytorch")), Course(root))
    monkeypatch.chdir(place.root)
    monkeypatch.setattr("tito.commands.workspace", lambda: place)
    monkeypatch.setattr("tito.commands.quiz.workspace", lambda: place)

    def quiz(typed, *words):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        return cli.main(["quiz", *words])
    quiz.place = place
    return quiz


def test_questions_are_asked_answered_and_counted(asked, capsys):
    assert asked("4\n[1, 'a']\n0.5\na\n", "1") == 0, "wrong answers are no failure"
    told = capsys.readouterr().out
    assert "2 of 3 known" in told and "The answer is b) They do not roll away." in told
    assert "They lie still." in told and "tito quiz 01" in told
    found = counts(asked.place)
    assert [found.of("counting", q.id) for q in QUIZ] == [Count(1, 1), Count(1, 1), Count(1, 0)]


def test_an_empty_line_leaves_out_and_an_end_ends(asked, capsys):
    assert asked("\n[1, 'a']\n0.5\n", "01") == 0
    assert "1 of 2 known, 1 left out" in capsys.readouterr().out
    assert "pebbles" not in counts(asked.place).lessons["counting"]


def test_a_program_is_told_everything_and_asked_nothing(asked, capsys):
    record(asked.place, asked.place.course.curriculum.lesson(1), [Asked(WHY, "b")])
    assert asked("", "counting", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "quiz" and [q["id"] for q in told["questions"]] == ["pebbles", "twice", "shells"]
    assert told["questions"][2]["count"] == {"asked": 1, "right": 1} and told["questions"][0]["answer"] == 4


def test_a_lesson_without_a_quiz_says_so(asked, capsys):
    assert asked("", "2") == 4
    assert "no quiz about lesson 02 adding" in capsys.readouterr().err
    with pytest.raises(NotFound): questions(asked.place.course, asked.place.course.curriculum.lesson(2))
