"""A command parses, asks the workspace, shows: here the workspace is one that remembers what it was asked."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tito import cli
from tito.core.compare import Cost, Solution
from tito.core.curriculum import Curriculum, Lesson, Milestone
from tito.core.errors import EnvironmentProblem, Locked, NotFound
from tito.core.lesson import chapter
from tito.core.milestones import standing
from tito.core.outcomes import Change, Completion, Finding, Gate, Hint, Opened, Started
from tito.core.progress import LessonRecord, MilestoneRecord, Progress
from tito.core.results import CodeLine, Report, Result

LESSONS = (
    Lesson(1, "counting", "Counting", "What comes after one?", "foundation", 60,
           objectives=("count to two",), files=("counting",)),
    Lesson(2, "adding", "Adding", "What do two and two make?", "foundation", 90,
           needs=("counting",), files=("adding",)),
)
CURRICULUM = Curriculum(LESSONS, (Milestone("foundation", "Foundation", "I can count and add", "Pebbles."),))
COUNTING, ADDING = LESSONS
CHAPTER = chapter([("markdown", "## One more"), ("code", """\
#| export exercise
def after(n):
    #| hint One more pebble.
    #| hint Add one.
    ### BEGIN SOLUTION
    return n + 1
    ### END SOLUTION""")])
WRONG = Report("counting", (Result(
    "after", "failed", "after one comes two", "2", "1", "after", "One more", 2,
    CodeLine("01_counting.ipynb", "after", 2, "    return n")),))
RIGHT = Report("counting", (Result("after", "passed", exercise="after", points=2),), seconds=0.5)
CHANGE = Change(
    "20261121T103800-reset-counting",
    "reset",
    "counting",
    "reset 01 counting",
    "2026-11-21T10:38:00",
    ("01_counting.ipynb",),
    Path("/x/.tito/backups/1"),
)
PEBBLES = Report("foundation", (Result("pebbles", "passed", "1957 lie there"),), {"pebbles": 1957})


class Place:
    """A workspace in which every answer is prepared, and every question written down."""

    root = Path("/home/ada/mytorch")

    def __init__(self):
        self.asked, self.report, self.last = [], RIGHT, None
        self.course = SimpleNamespace(curriculum=CURRICULUM, version="1.2", chapter=lambda lesson: CHAPTER)

    def ask(self, *question): self.asked.append(question)

    def standing(self):
        record = LessonRecord("2026-11-20", "2026-11-20", 1, 2, stuck_at="after", hints={"after": 1})
        return standing(CURRICULUM, Progress({"counting": record}), ("counting", "adding"), {})

    def current(self): return COUNTING
    def last_report(self, lesson): return self.last
    def cell(self, lesson, exercise): return "def after(n): return n"

    def start(self, lesson, anyway=False):
        self.ask("start", lesson, anyway)
        if lesson == ADDING and not anyway:
            raise Locked("02 adding needs 01 counting.", "tito module complete 01")
        return Started(lesson, self.root / lesson.notebook, True, ("words",), True)

    def open(self, lesson):
        self.ask("open", lesson)
        return Opened("", "Open 01_counting.ipynb in a notebook editor.")

    def test(self, lesson, limits=None, listen=None):
        self.ask("test", lesson, limits.test)
        for result in self.report.tests: listen(result)
        return self.report

    def complete(self, lesson, limits=None, listen=None, anyway=False):
        self.ask("complete", lesson, anyway)
        if not self.report.ok: return Completion(lesson, self.report, 0, 2)
        return Completion(lesson, self.report, 2, 2, ("tinytorch/counting.py",), CHANGE, (ADDING,),
                          CURRICULUM.milestones)

    def measure_step(self, lesson): return 3.1e-3

    def last_step(self, lesson): return lesson, 4e-3

    def reset(self, lesson, exercise=None):
        self.ask("reset", lesson, exercise)
        return CHANGE

    def undo(self, change=None):
        self.ask("undo", change)
        return replace(CHANGE, verb="undo", what="took back: reset 01 counting")

    def changes(self): return [CHANGE]

    def hint(self, lesson, exercise=None, number=None):
        self.ask("hint", lesson, exercise, number)
        return Hint(
            lesson, exercise or "after", number or 1, 2, ("One more pebble.", "Add one.")[(number or 1) - 1]
        )

    def solution(self, lesson, exercise, measure=False):
        if exercise != "after": raise NotFound(f"There is no exercise '{exercise}'.")
        source = "def after(n):\n    return n + 1"
        costs = (Cost(2e-3, 4096), Cost(1e-3, 512)) if measure else (None, None)
        return Solution(lesson, exercise, source, source.replace("n + 1", "1 + n"), *costs)

    def milestone_test(self, name, limits=None, say=None):
        say("1957 pebbles lie on the beach.")
        return Gate(CURRICULUM.milestones[0], PEBBLES)

    def milestone_unlock(self, name=None, limits=None, say=None):
        self.ask("unlock", name)
        return Gate(CURRICULUM.milestones[0], PEBBLES, MilestoneRecord("2026-11-21", {"pebbles": 1957}))

    def milestone_run(self, name, say, limits=None, data=""):
        self.ask("run", limits.lesson, data)
        say("1957 pebbles lie on the beach.")
        return Gate(CURRICULUM.milestones[0], PEBBLES)

    def doctor(self, fix=False):
        return [Finding("Python", "ok", "3.11"),
                Finding("progress.json", "bad", "is damaged", "tito doctor --fix", fixable=True, fixed=fix)]


@pytest.fixture
def place(monkeypatch):
    place = Place()
    monkeypatch.setattr("tito.app.open_workspace", lambda *_: place)
    monkeypatch.setattr("tito.app.open_course", lambda: place.course)
    return place


@pytest.fixture
def tito(place, capsys):
    """Type a command line; its exit code and what came on stdout and stderr."""
    def typed(line):
        code = cli.main(line.split())
        return (code, *capsys.readouterr())
    return typed


def test_alone_it_says_where_i_am_and_what_is_next(tito):
    code, out, _ = tito("")
    assert code == 0
    assert "● 01 counting  What comes after one?\n  1 h · 1 of 2 checks pass" in out
    assert "tito module hint 01 after" in out


def test_outside_a_workspace_it_says_how_to_begin_but_status_is_an_error(tito, monkeypatch):
    def nowhere(*_): raise NotFound("This is no workspace.", "tito init mytorch")
    monkeypatch.setattr("tito.app.open_workspace", nowhere)
    code, out, _ = tito("")
    assert code == 0 and "tito init mytorch" in out
    assert tito("status")[0] == 4


@pytest.mark.parametrize(
    "line", ["module start counting", "module start 1", "module start 01", "module start"]
)
def test_a_lesson_is_named_in_many_ways_or_not_at_all(line, tito, place):
    assert tito(line)[0] == 0
    assert ("start", COUNTING, False) in place.asked


def test_start_says_what_to_open_unless_told_not_to(tito, place):
    assert "Open 01_counting.ipynb" in tito("module start")[1]
    assert "Open 01_counting.ipynb" not in tito("module start --no-open")[1]


def test_a_locked_lesson_is_not_found_until_anyway(tito):
    code, _, err = tito("module start 02")
    assert code == 4 and "needs 01 counting" in err
    assert tito("module start 02 --anyway")[0] == 0


def test_checks_that_pass_end_with_0_and_say_how_to_complete(tito):
    code, out, _ = tito("module test")
    assert code == 0 and "tito module complete 01" in out


def test_checks_that_fail_end_with_1_and_show_the_line_and_the_hint(tito, place):
    place.report = WRONG
    code, out, _ = tito("module test 01")
    assert code == 1
    for fact in ("after one comes two", "line 2    return n", "tito module hint 01 after   2 hints"):
        assert fact in out


def test_while_checks_run_a_pipe_gets_a_line_each_on_stderr_and_json_none(tito):
    assert tito("module test")[2] == "01 counting\n  ✓ after\n"
    assert tito("module test --json")[2] == ""


def test_the_time_for_a_check_can_be_given(tito, place):
    tito("module test --seconds 5")
    assert ("test", COUNTING, 5.0) in place.asked


def test_json_of_a_test_is_the_report_in_the_envelope(tito, place):
    place.report = WRONG
    code, out, _ = tito("module test --json")
    answer = json.loads(out)
    assert (code, answer["schema"], answer["kind"], answer["status"]) == (1, 1, "report", "failed")
    assert answer["tests"][0]["line"]["number"] == 2


def test_completing_shows_what_is_mine_now_and_what_it_opens(tito):
    code, out, _ = tito("module complete")
    assert code == 0
    for fact in ("tinytorch/counting.py", "tito module start 02", "tito milestone unlock foundation"):
        assert fact in out


def test_not_complete_is_1_and_says_so(tito, place):
    place.report = WRONG
    code, out, _ = tito("module complete 01")
    assert code == 1 and "Not complete yet" in out


def test_reset_says_that_it_can_be_undone(tito, place):
    code, out, _ = tito("module reset 01 after")
    assert code == 0 and "tito undo" in out and ("reset", "01", "after") in place.asked


def test_undo_takes_back_and_lists(tito):
    assert "Took back: reset 01 counting" in tito("undo")[1]
    assert CHANGE.id in tito("undo --list")[1]


def test_a_hint_is_counted_and_the_last_one_says_so(tito):
    assert "1 of 2  One more pebble." in tito("module hint")[1]
    out = tito("module hint 01 after --all")[1]
    assert "2 of 2  Add one." in out and "no more hints" in out and "--give-up" in out


def test_the_solution_is_for_those_who_passed_or_give_up(tito, place):
    code, _, err = tito("module solution 01 after")
    assert code == 4 and "--give-up" in err
    assert "return n + 1" in tito("module solution 01 after --give-up")[1]
    place.last = RIGHT
    told = tito("module solution 01 after")[1]
    assert "return n + 1" in told and "-     return 1 + n" in told
    assert "1.0 ms and 512 bytes with yours, 2.0 ms and 4.0 kB with the course's: the course's takes" in told
    assert "The checks take" not in tito("module solution 01 after --no-cost")[1]


def test_show_has_question_objectives_minutes_and_marks(tito, place):
    place.last = WRONG
    out = tito("module show 01")[1]
    for fact in ("What comes after one?", "1 h", "count to two", "One more", "✗ after"): assert fact in out
    assert "def after(n): return n" in tito("module show 01 after")[1]


def test_module_status_counts_checks_and_hints(tito):
    out = tito("module status")[1]
    assert "1 of 2 checks pass" in out and "1 hint seen" in out and "adding" not in out


def test_a_gate_shows_what_it_measured(tito):
    code, out, err = tito("milestone test foundation")
    assert code == 0 and "pebbles  1957" in out and "1957 pebbles lie on the beach." in err
    out = tito("milestone unlock")[1]
    assert "Foundation is unlocked." in out and "I can count and add" in out


def test_a_story_is_told_on_stdout(tito):
    code, out, _ = tito("milestone run found")
    assert code == 0 and out.startswith("1957 pebbles lie on the beach.\n")


@pytest.mark.parametrize("words, variable, asked", [
    ("", "", (600, "")), ("--seconds 5", "", (5, "")), ("", "7", (7, "")),
    ("--data moon", "", (86_400, "moon")), ("--data moon --seconds 5", "7", (5, "moon")),
    ("--data moon", "7", (7, "moon")),
])
def test_a_run_on_real_data_has_a_day_unless_somebody_says_otherwise(
    words, variable, asked, tito, place, monkeypatch,
):
    monkeypatch.setenv("TITO_LESSON_SECONDS", variable)
    assert tito(f"milestone run found {words}")[0] == 0
    assert place.asked[-1] == ("run", *asked)


def test_no_time_at_all_is_refused_with_data_too(tito):
    code, _, err = tito("milestone run found --data moon --seconds 0")
    assert code == 2 and "above 0" in err


def test_the_doctor_ends_with_3_until_it_has_repaired(tito):
    code, out, _ = tito("doctor")
    assert code == 3 and "is damaged" in out and "tito doctor --fix" in out
    assert tito("doctor --fix")[0] == 0


def test_outside_a_workspace_the_doctor_looks_at_the_rest_and_says_so(tito, monkeypatch):
    def nowhere(*_): raise NotFound("/home is not in a workspace.", "tito init mytorch")
    monkeypatch.setattr("tito.app.open_workspace", nowhere)
    code, out, _ = tito("doctor")
    assert code == 0 and "✓ Python" in out
    assert "≈ workspace  /home is not in a workspace." in out and "tito init mytorch" in out
    code, out, _ = tito("doctor --json")
    found = json.loads(out)["findings"]
    assert code == 0 and [f["name"] for f in found] == [
        "Python", "packages", "editor", "kernel", "GPU", "PyTorch", "workspace"]


def test_without_a_course_the_doctor_says_how_to_get_one(tito, monkeypatch):
    def empty(*_): raise EnvironmentProblem("There is no course in /usr/lib.", "pip install tinytorch-tito")
    monkeypatch.setattr("tito.app.open_workspace", empty)
    code, out, _ = tito("doctor")
    assert code == 3 and "✗ workspace  There is no course" in out and "pip install tinytorch-tito" in out


@pytest.mark.parametrize("line, kind", [
    ("", "status"), ("status", "status"), ("module list", "lessons"), ("module status", "lessons"),
    ("module show", "lesson"), ("module show 01 after", "exercise"), ("module start --no-open", "started"),
    ("module test", "report"), ("module complete", "completion"), ("module reset 01", "change"),
    ("module hint", "hints"), ("module solution 01 after --give-up", "solution"), ("undo", "change"),
    ("undo --list", "changes"), ("milestone status", "milestones"), ("milestone timeline", "milestones"),
    ("milestone list", "milestones"), ("milestone info 1", "milestone"), ("milestone test 1", "gate"),
    ("milestone unlock", "gate"),
])
def test_every_answer_in_json_has_the_same_envelope(line, kind, tito):
    code, out, err = tito(f"{line} --json".strip())
    answer = json.loads(out)
    assert (code, err, answer["schema"], answer["kind"]) == (0, "", 1, kind)
