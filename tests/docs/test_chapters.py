"""Chapters hold everything that lessons hold, and show it as a learner meets it."""

import re
import sys
from pathlib import Path

import pytest

from tito.checkout import open_checkout
from tito.core.lesson import chapter, solutions, solved, stripped

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book"))
import chapters  # noqa: E402

COURSE = open_checkout(ROOT)
WRITTEN = [lesson for lesson in COURSE.curriculum if lesson.name in COURSE.written()]
QUICK = ("setup", "dense")          # reading all lessons takes longer than everything else here
SOME_LESSONS = [pytest.param(x, marks=[] if x.name in QUICK else pytest.mark.slow) for x in WRITTEN]
FOLDERS = {lesson.number: lesson.folder for lesson in WRITTEN}
TENSOR = COURSE.curriculum.lesson("tensor")

SMALL = (
    ("markdown", "# Halves\n\nHalf of it."),
    ("code", "#| export exercise\ndef half(x):\n    #| hint Two of them make one.\n"
             "    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION"),
    ("code", "#| check 1\nassert half(4) == 2, 'half of four is two'"),
    ("code", "#| check 1 hidden\nassert half(6) == 3, 'half of six is three'"),
    ("code", "half(8)"),
)
NOTHING = [[]] * len(SMALL)


def small(shown=NOTHING) -> str:
    return "\n\n".join(chapters.Page(TENSOR, FOLDERS).cells(chapter(SMALL), shown))


def test_the_blank_comes_first_and_hints_and_solution_are_folded_beneath_it():
    page = small()
    order = ('("your turn: half")', "Two of them make one.", "return x / 2", "half of four")
    blank, hint, solution, check = map(page.index, order)
    assert blank < hint < solution < check
    assert [page[:place].count("<details") - page[:place].count("</details") for place in
            (blank, hint, solution, check)] == [0, 1, 1, 1]


def test_what_is_hidden_from_learners_is_hidden_from_readers():
    assert "half of six" not in small()


def test_what_a_cell_shows_stands_behind_it():
    page = small([*NOTHING[:-1], [["text", "4.0"], ["svg", "<svg aria-label='x'></svg>"]]])
    assert page.index("half(8)") < page.index("4.0") < page.index("<figure")
    assert re.search(r'<svg role="img" aria-label="Figure 2\.1', page), "a picture without words gets some"


@pytest.mark.parametrize("text, upgraded", [
    ("> **Note.** One\n> two.\n\nThree.", ":::{margin}\nOne\ntwo.\n:::\n\nThree."),
    ("see [it](05_dense.ipynb#x)", "see [it](../05_dense/index.md)"),
    ("as in lesson 05.", "as in [lesson 05](../05_dense/index.md)."),
    ("`lesson 05` and [lesson 05](x) and $lesson 05$", "`lesson 05` and [lesson 05](x) and $lesson 05$"),
    ("```\nlesson 05\n```\nlesson 05", "```\nlesson 05\n```\n[lesson 05](../05_dense/index.md)"),
    ("## lesson 05\n\nlesson 05", "## lesson 05\n\n[lesson 05](../05_dense/index.md)"),
    ("lesson 02 is here, lesson 99 is nowhere", "lesson 02 is here, lesson 99 is nowhere"),
])
def test_portable_prose_is_upgraded(text, upgraded): assert chapters.prose(text, FOLDERS, 2) == upgraded


@pytest.mark.parametrize("text", ["a", "```", "`````\n```", "x = ''\n"])
def test_a_fence_is_longer_than_what_it_holds(text):
    ticks = chapters.fenced(text).partition("\n")[0]
    assert ticks not in text and chapters.fenced(text).endswith(f"\n{ticks}")


@pytest.mark.parametrize("lesson", SOME_LESSONS, ids=[x.folder for x in WRITTEN])
def test_no_cell_of_a_lesson_is_lost(lesson):
    for file in lesson.files:
        cells = COURSE.chapter(lesson, file).cells
        shown = [[]] * len(cells)
        page = "\n\n".join(chapters.Page(lesson, FOLDERS).cells(COURSE.chapter(lesson, file), shown))
        code = [cell for cell in cells if cell.kind == "code" and not cell.hidden]
        assert [c.name for c in code if solved(c).source.strip() not in page] == []
        assert [c.name for c in code if c.exercise and stripped(c).source not in page] == []
        assert [c.name for c in code if not c.exercise and solutions(c)] == []
        assert page.count("<details") == page.count("</details>")


@pytest.mark.parametrize("lesson", SOME_LESSONS, ids=[x.folder for x in WRITTEN])
def test_a_chapter_leads_to_each_of_its_pages_and_says_what_for(lesson):
    every = {file: COURSE.chapter(lesson, file) for file in lesson.files}
    nothing = [[]] * len(every[lesson.name].cells)
    page = chapters.lesson_page(lesson, COURSE.curriculum, every, nothing, FOLDERS)
    assert all(aim in page for aim in lesson.objectives) and lesson.question in page
    listed = re.findall(r"^- \[[^]]+\]\((\w+\.md)\): \S", page, re.MULTILINE)
    assert listed == [chapters.page_of(lesson, file) for file in (*lesson.given, *lesson.appendices)]
    assert page.count('aria-current="page"') == 1


def test_questions_hide_their_answers():
    page = chapters.questions({"question": [
        {"ask": "Why?", "choices": ["So.", "Not so."], "answer": "b", "explain": "Because."},
        {"ask": "How many?", "code": "1 + 1", "answer": 2, "unit": "bytes", "explain": "Count."}]})
    assert "a) So." in page and "`2 bytes`" not in page and "`2` bytes" in page
    assert page.index("b) Not so.") < page.index("<details") < page.index("Because.")
    assert chapters.questions({}) == ""


def test_of_the_choices_one_is_right_and_a_reader_can_press_it():
    page = chapters.questions({"question": [
        {"ask": "Is `a < b`?", "choices": ["`So`.", "Not so."], "answer": "b", "explain": "Because."}]})
    assert [re.findall(r'class="(right|wrong)">\n<span>(.)\)', page)] == [[("wrong", "a"), ("right", "b")]]
    assert page.count("<fieldset") == page.count("</fieldset>") == page.count("<legend>") == 1
    assert "a &lt; b</code>?" in page and ">So</code>." in page
