"""What the learner sees: on a wide terminal, a narrow one, one without Unicode, and in a pipe."""

import io

import pytest

from tito.core.advice import advice
from tito.core.curriculum import Curriculum, Lesson, Milestone
from tito.core.milestones import standing
from tito.core.progress import LessonRecord, MilestoneRecord, Progress
from tito.core.results import CodeLine, Report, Result
from tito.view import checks, course
from tito.view.screen import ASCII, UNICODE, Screen, bar, columns


class Terminal(io.StringIO):
    """A stream that says what it is."""

    def __init__(self, tty=False, encoding="utf-8"):
        super().__init__()
        self.tty, self.name_of_encoding = tty, encoding

    def isatty(self): return self.tty
    @property
    def encoding(self): return self.name_of_encoding


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def pipe(view, *values): return drawn(Terminal(), view, *values)
def terminal(view, *values, width=80, **kw):
    return drawn(Terminal(tty=True, **kw), view, *values, width=width)


def drawn(stream, view, *values, **console):
    screen = Screen(stream, **console)
    screen.show(view(*values, screen))
    return stream.getvalue()


def a_course():
    lessons = (
        Lesson(1, "first", "First", "What is first?", "foundation", 60, files=("first",)),
        Lesson(2, "second", "Second", "What follows?", "foundation", 90, ("first",), files=("second",)),
        Lesson(3, "third", "Third", "And then?", "training", 120, ("second",), files=("third",)),
        Lesson(4, "last", "Last", "Is there more?", "summit", 30, ("third",), files=("last",)),
    )
    milestones = (
        Milestone("foundation", "Foundation", "I can count", "1957: it began."),
        Milestone("training", "Training", "I can learn", "1986: it went on."),
        Milestone("summit", "Summit", "I can do more", "Today.", optional=True),
    )
    return Curriculum(lessons, milestones)


def stand(done=(), started=None, written=("first", "second"), unlocked=()):
    finished = LessonRecord(started="2026-11-01", completed="2026-11-02T08:00", digest="d")
    begun = LessonRecord(started="2026-11-03", tested="2026-11-03", passed=2, total=5, stuck_at="mul")
    lessons = dict.fromkeys(done, finished) | ({started: begun} if started else {})
    gates = {name: MilestoneRecord("2026-11-04T08:00", {"accuracy": 0.96543}) for name in unlocked}
    gates_written = ("foundation", "training")
    return standing(a_course(), Progress(lessons, gates), written, dict.fromkeys(done, "d"), gates_written)


FAILED = Result(
    "mul",
    "failed",
    "multiplying goes element by element",
    "(2, 3)",
    "(3, 2)",
    "mul",
    "The door",
    3,
    CodeLine("02_second.ipynb", "mul", 4, "    return x + y"),
    "hello\n",
    points=2,
)
REPORT = Report("second", (
    Result("add", "passed", points=2), FAILED, Result("sub", "error", "NameError: name 'z' is not defined"),
    Result("div", "todo", "your turn", exercise="div"), Result("exp", "todo", "your turn", exercise="exp"),
), seconds=1.25)


# ------------------------------------------------------------------------------------------------- screen

def test_a_pipe_gets_no_colour_no_folding_and_no_spaces_at_the_end():
    text = pipe(lambda s: columns([("a", "word " * 60), ("long", "b")]))
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_terminal_gets_colour_unless_no_color_is_set(monkeypatch):
    assert "\x1b[3" in terminal(checks.report, REPORT, "02", "")
    monkeypatch.setenv("NO_COLOR", "1")
    text = terminal(checks.report, REPORT, "02", "")
    assert "\x1b[31m" not in text and "\x1b[32m" not in text


@pytest.mark.parametrize(
    "encoding, signs", [("utf-8", UNICODE), ("ascii", ASCII), ("cp1252", ASCII), ("what?", ASCII)]
)
def test_signs_are_those_that_the_encoding_carries(encoding, signs):
    assert Screen(Terminal(encoding=encoding)).signs == signs


def test_a_dumb_terminal_gets_ascii_and_no_control_codes(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    text = terminal(course.timeline, stand(done=["first"]))
    assert text.isascii() and "\x1b" not in text


def test_every_sign_takes_as_many_columns_as_its_stand_in_or_stands_alone():
    assert all(len(ascii) == len(sign) for sign, ascii in zip(vars(UNICODE).values(), vars(ASCII).values())
               if sign not in "→←")


@pytest.mark.parametrize("percent, full", [(0, 0), (1, 1), (50, 12), (99, 23), (100, 24)])
def test_a_bar_is_full_only_at_a_hundred_and_empty_only_at_nothing(percent, full):
    drawn = bar(percent, Screen(Terminal()), 24).plain
    assert drawn.count("━") == full and len(drawn) == 24


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
@pytest.mark.parametrize(
    "view",
    [
        course.lessons,
        course.milestones,
        course.detailed,
        course.milestone_list,
        course.timeline,
        course.horizontal,
    ],
)
def test_no_line_is_wider_than_the_terminal(view, width, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = terminal(view, stand(done=["first"], started="second"), width=width)
    clean = "".join(part.partition("m")[2] if i else part for i, part in enumerate(text.split("\x1b[")))
    assert max(map(len, clean.splitlines())) <= width


# ------------------------------------------------------------------------------------------------- checks

def test_the_first_problem_is_told_in_full():
    text = pipe(checks.report, REPORT, "02 second", "tito module hint 02")
    for fact in (
        "multiplying goes element by element",
        "expected  (2, 3)",
        "got       (3, 2)",
        "line 4    return x + y",
        "02_second.ipynb, cell mul",
        "tito module hint 02 mul",
        "3 hints",
        "hello",
    ):
        assert fact in text


def test_the_other_problems_have_a_line_each_and_what_is_not_written_is_no_failure():
    lines = pipe(checks.report, REPORT, "02 second", "").splitlines()
    assert "✗ sub  NameError: name 'z' is not defined" in lines
    assert "○ yours to write  div, exp" in lines


def test_a_problem_comes_before_an_exercise_that_is_not_written():
    todo = Result("add", "todo", exercise="add")
    assert checks.most_urgent(Report("x", (todo, FAILED))) is FAILED
    assert checks.most_urgent(Report("x", (todo,))) is todo


def test_an_exercise_to_write_is_calm():
    text = terminal(
        checks.report,
        Report("x", (Result("add", "todo", "your turn: add", exercise="add", hints=1),)),
        "x",
        "h",
    )
    assert "your turn" in text and "✗" not in text and "\x1b[31m" not in text


def test_the_sum_counts_everything_once():
    text = pipe(checks.summary, REPORT, "02 second")
    assert (
        text
        == "02 second  1 passed · 1 failed · 1 stopped by an error · 2 to write · 2 of 4 points · 1.2 s\n"
    )


def test_shapes_and_arrays_keep_their_lines_and_brackets():
    result = Result("x", "failed", "rows [bold] stay", expected="[[1, 2],\n [3, 4]]", got="[/]")
    lines = pipe(checks.problem, result, "").splitlines()
    assert lines[1:] == [
        "  rows [bold] stay",
        "  expected  [[1, 2],",
        "             [3, 4]]",
        "  got       [/]",
    ]


def test_a_terminal_shows_the_end_of_a_long_print_and_a_pipe_all_of_it():
    result = Result("x", "failed", output="\n".join(f"line {n}" for n in range(50)))
    assert "line 0\n" in pipe(checks.problem, result, "")
    text = terminal(checks.problem, result, "")
    assert "line 0\n" not in text and "line 49" in text and "50 lines" in text


# ------------------------------------------------------------------------------------------------- course

def test_lessons_that_nobody_has_written_say_so():
    for view in (course.lessons, course.detailed, course.timeline):
        assert "being written" in pipe(view, stand())


def test_detailed_has_statement_bar_percent_and_marks():
    text = pipe(course.detailed, stand(done=["first"], started="second"))
    assert "● Foundation    ━━━━━━━━────────────────   33 %" in text
    assert "  I can count\n  ✓ 01 first   ● 02 second" in text


def test_the_evidence_of_an_unlocked_milestone_is_shown():
    text = pipe(course.detailed, stand(done=["first", "second"], unlocked=["foundation"]))
    assert "2026-11-04 · accuracy 0.9654" in text and "100 %  unlocked" in text


def test_the_timeline_says_where_i_am_and_sets_the_summit_apart():
    text = pipe(course.timeline, stand(done=["first"]))
    assert "│  └─ ○ 02 second  ← you are here" in text
    assert "○ Summit  optional\n┊  └─ · 04 last" in text


def test_the_horizontal_timeline_is_one_line_where_it_fits_and_one_each_where_not():
    assert pipe(course.horizontal, stand()) == "○ Foundation → ○ Training\nSummit: optional\n"
    assert "→ ○ Training" in terminal(course.horizontal, stand(), width=20).replace("\x1b[2m", "").replace(
        "\x1b[0m", ""
    )


@pytest.mark.parametrize(
    "place, sentence, step",
    [
        (stand(), "", "tito module start 01"),
        (stand(started="first"), "mul is next.", "tito module hint 01 mul"),
        (stand(done=["first"]), "", "tito module start 02"),
        (
            stand(done=["first", "second"]),
            "All lessons of Foundation are done.",
            "tito milestone unlock foundation",
        ),
    ],
)
def test_advice_is_what_comes_next(place, sentence, step):
    told = advice(place)
    assert told.sentence == sentence
    assert step in [what for what, _ in told.steps]


def test_at_the_end_of_what_is_written_the_next_lesson_is_named():
    place = stand(done=["first", "second"], unlocked=["foundation"])
    assert "03 third is being written" in advice(place).sentence
