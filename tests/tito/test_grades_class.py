"""A class of the small course: made, handed in, graded, told, exported. Real sandbox where there is one."""

import csv
import importlib.util
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tito.cli import main
from tito.core import grades, grades_collect, grades_export
from tito.core.errors import EnvironmentProblem, UsageProblem
from tito.core.grades_export import Row
from tito.ports.cluster import Here, InTurn, Lost
from tito.ports.grader import BookInMemory, Manual, TableBook
from tito.ports.sandbox import works
from tito.services_course import open_course
from tito.services_generate import generate, release, validate
from tito.services_grading import Class, export, make_class, status, write_pages
from tito.view.feedback import html, markdown

sandboxed = pytest.mark.skipif(bool(works()), reason=f"no sandbox here: {works()}")
ROOT = Path(__file__).resolve().parents[2]
BEGIN = datetime(2027, 1, 4, 12, tzinfo=UTC)

QUESTION = """
[[assignment.question]]
name = "why"
points = 4
text = "Why does counting stop at many?"
"""


@pytest.fixture(scope="module")
def first(course, tmp_path_factory):
    """A class with both lessons, a question in the first, and a hidden check of its own."""
    root = tmp_path_factory.mktemp("class") / "autumn"
    place = make_class(root, "Autumn", course, BEGIN)
    text = (root / "course.toml").read_text("utf-8").replace("\n[[assignment]]\nname = \"02",
        f"{QUESTION}\n[[assignment]]\nname = \"02")
    (root / "course.toml").write_text(text, "utf-8")
    (root / "hidden" / "counting.py").write_text(
        "# %% [markdown]\n# # after\n\n# %%\n#| check 1 hidden\nlast = 99\n"
        "assert after(last) == last + 1, \"it goes on\"\n")
    place = Class(root, course)
    for one in place.plan.assignments: generate(place, one)
    return place


@pytest.fixture
def place(first, course, tmp_path):
    return Class(Path(shutil.copytree(first.root, tmp_path / "autumn")), course)


def page(place, solved=True, **cells):
    folder = "source" if solved else "release"
    found = json.loads((place.root / folder / "01-counting" / "01_counting.ipynb").read_text("utf-8"))
    for cell in found["cells"]:
        if cell["id"] in cells: cell["source"] = cells[cell["id"]]
    return json.dumps(found).encode()


def inbox(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def cells_of(path): return {c["id"]: c for c in json.loads(path.read_text("utf-8"))["cells"]}


# ------------------------------------------------------------------------------------------------- generating

def test_a_class_begins_with_an_assignment_a_week_for_every_lesson(first):
    assert [a.name for a in first.plan.assignments] == ["01-counting", "02-adding"]
    assert [a.due - BEGIN for a in first.plan.assignments] == [timedelta(weeks=1), timedelta(weeks=2)]


def test_a_lesson_brings_a_question_into_the_class_that_it_is_set_in(course):
    lesson = replace(course.curriculum.lesson(2), discuss='What is "more"?\nSay it.')
    lessons = [course.curriculum.lesson(1), lesson]
    plan = grades.parse(grades.first_course("Autumn", lessons, BEGIN), course.curriculum)
    assert [one.questions for one in plan.assignments] == [
        (), (grades.Question("adding", 5, 'What is "more"?\nSay it.'),)]


def test_several_lessons_of_the_course_have_a_question_and_hidden_checks():
    course = open_course()
    chapters = [course.chapter(lesson) for lesson in course.curriculum if lesson.name in course.written()]
    assert sum(bool(lesson.discuss) for lesson in course.curriculum) >= 5
    assert sum(any(check.hidden for check in chapter.checks()) for chapter in chapters) >= 3


def test_the_course_knows_a_misconception_by_what_a_check_says(tmp_path):
    known = make_class(tmp_path / "class", "real").mistakes()
    assert known["softmax", "every line has its own largest score"] == "one maximum for all lines"


def test_a_student_sees_no_solution_and_no_hidden_check(first):
    text = (first.root / "release" / "01-counting" / "01_counting.ipynb").read_text("utf-8")
    assert "return n + n" not in text and "debts double" not in text and "it goes on" not in text
    assert "your turn: twice" in text and "two and two" not in text


def test_the_instructors_version_has_them_where_nbgrader_looks(first):
    cells = cells_of(first.root / "source" / "01-counting" / "01_counting.ipynb")
    assert "### BEGIN SOLUTION" in "".join(cells["twice"]["source"])
    assert "### BEGIN HIDDEN TESTS" in "".join(cells["hidden-after"]["source"])
    assert cells["check-twice"]["metadata"]["nbgrader"] | {"checksum": ""} == {
        "grade": True, "grade_id": "check-twice", "locked": True, "points": 3, "schema_version": 3,
        "solution": False, "task": False, "checksum": ""}


def test_a_question_has_a_cell_that_a_person_grades(first):
    cells = cells_of(first.root / "release" / "01-counting" / "01_counting.ipynb")
    facts = cells["question-why"]["metadata"]["nbgrader"]
    assert (facts["grade"], facts["solution"], facts["points"]) == (True, True, 4)


def test_the_package_of_an_assignment_has_the_lessons_before_it_and_not_its_own(first):
    folder = first.root / "release"
    assert not (folder / "01-counting" / "tinytorch" / "counting.py").exists()
    assert (folder / "02-adding" / "tinytorch" / "counting.py").exists()
    assert not (folder / "02-adding" / "tinytorch" / "adding.py").exists()


def test_lessons_of_one_assignment_import_each_other_from_the_notebook(course, tmp_path):
    place = make_class(tmp_path / "both", "Both", course, BEGIN)
    (place.root / "course.toml").write_text(
        'format = 1\n[[assignment]]\nname = "all"\nlessons = ["counting", "adding"]\n', "utf-8")
    place = Class(place.root, course)
    generate(place, place.plan.assignments[0])
    folder = place.root / "release" / "all"
    assert "return n + 1" not in (folder / "tinytorch" / "counting.py").read_text("utf-8")
    book = json.loads((folder / "01_counting.ipynb").read_text("utf-8"))
    for cell in book["cells"]:
        if cell["id"] == "after": cell["source"] = "#| export exercise\ndef after(n): return n + 1"
    (folder / "01_counting.ipynb").write_text(json.dumps(book), "utf-8")
    done = subprocess.run([sys.executable, "-c", "from tinytorch.counting import after; print(after(6))"],
                          cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"


@sandboxed
def test_solutions_earn_everything_and_blanks_nothing(first):
    for one in first.plan.assignments:
        assert all(v.ok for v in validate(first, one, True)), validate(first, one, True)


@pytest.mark.parametrize(("text", "said"), [
    ("format = 2", "format"),
    ("format = 1\n[[assignment]]\nname = 'a b'\nlessons = ['counting']", "no name"),
    ("format = 1\n[[assignment]]\nname = 'a'\nlessons = []", "no lessons"),
    ("format = 1\n[[assignment]]\nname = 'a'\nlessons = ['counting']\ndue = 2027-01-01T00:00:00",
     "time zone"),
    ("format = 1\n[[assignment]]\nname = 'a'\nlessons = ['counting']\ndue = 2027-01-01", "no date"),
    ("format = 1\n[[assignment]]\nname = 'a'\nlessons = ['counting']\nweight = 3", "weight"),
    ("format = 1\n[grading]\nsecods = 3", "secods"),
    ("format = 1\n[[assignment]]\nname = 'a'\nlessons = ['counting']\n"
     "[[assignment.question]]\nname = 'q'\npoints = 0\n"
     "text = ''", "worth nothing"),
    ("format = 1\n[[assignment", "TOML"),
])
def test_a_course_file_that_cannot_be_is_refused(course, text, said):
    with pytest.raises(grades.ClassProblem, match=said): grades.parse(text, course.curriculum)


# ------------------------------------------------------------------------------------------------ handing out

def test_a_zip_is_the_same_whenever_it_is_made(place, tmp_path):
    one = release(place, place.plan.assignments[0], zipped=tmp_path / "a.zip").read_bytes()
    assert one == release(place, place.plan.assignments[0], zipped=tmp_path / "b.zip").read_bytes()
    assert "01-counting/01_counting.ipynb" in zipfile.ZipFile(io.BytesIO(one)).namelist()


def test_a_directory_for_github_has_a_workflow_that_checks_each_notebook(place, tmp_path):
    folder = release(place, place.plan.assignments[0], github=tmp_path / "repo")
    workflow = (folder / ".github" / "workflows" / "checks.yml").read_text("utf-8")
    assert "tito course check 01_counting.ipynb" in workflow
    assert "{" not in workflow.replace("{contents: read}", "").replace('{python-version: "3.12"}', "")
    with pytest.raises(UsageProblem): release(place, place.plan.assignments[0], github=folder)


def test_the_exchange_is_laid_out_as_nbgrader_has_it(place, tmp_path):
    out = release(place, place.plan.assignments[0], exchange=tmp_path / "exchange")
    assert out == tmp_path / "exchange" / "Autumn" / "outbound" / "01-counting"
    assert stat.S_IMODE((out / "01_counting.ipynb").stat().st_mode) == 0o644


# ------------------------------------------------------------------------------------------------- collecting

@pytest.mark.parametrize(("name", "student", "file"), [
    # Canvas
    ("doejane_12345_678910_01_counting.ipynb", "doejane-12345", "01_counting.ipynb"),
    ("doejane_LATE_12345_678910_01_counting-1.ipynb", "doejane-12345", "01_counting-1.ipynb"),
    # Moodle
    ("Jane Doe_998877_assignsubmission_file_/01_counting.ipynb", "Jane-Doe-998877", "01_counting.ipynb"),
    ("Jane Doe_998877_assignsubmission_file/01_counting.ipynb", "Jane-Doe-998877", "01_counting.ipynb"),
    ("Zoé Ünal_7_assignsubmission_file_01_counting.ipynb", "Zoe-Unal-7", "01_counting.ipynb"),
    # Gradescope
    ("assignment_1_export/submission_4242/01_counting.ipynb", "jane-x.edu", "01_counting.ipynb"),
    # a folder a student, nbgrader, its exchange, a file a student
    ("jane/01_counting.ipynb", "jane", "01_counting.ipynb"),
    ("jane/01-counting/01_counting.ipynb", "jane", "01_counting.ipynb"),
    ("inbound/jane+01-counting+2027-01-20 12:00:00.000000 UTC+a8/01_counting.ipynb", "jane",
     "01_counting.ipynb"),
    ("jane.ipynb", "jane", "jane.ipynb"),
])
def test_a_name_says_whose_it_is(name, student, file):
    found = grades_collect.named(name, {"submission_4242": "jane@x.edu"})
    assert (found.student, found.file) == (student, file)


@pytest.mark.parametrize("name", ["../../etc/passwd.ipynb", "/etc/x.ipynb", "a/../../b.ipynb", "..\\b.ipynb",
                                  "C:\\b.ipynb"])
def test_a_name_that_leads_out_is_refused(name):
    found = grades_collect.named(name)
    assert found.what == "refused" and "leads out" in found.notes[0]


@pytest.mark.parametrize("file", ["01_counting.ipynb", "01_counting (1).ipynb", "01_counting-2.ipynb",
                                  "Copy of 01_counting.ipynb",
                                  "01_counting-Copy1.ipynb", "01-Counting.ipynb", "counting.ipynb"])
def test_a_file_name_says_which_lesson_it_is(file):
    assert grades_collect.lesson_of(file,
        {"01_counting.ipynb": "counting", "02_adding.ipynb": "adding"})[0] == "counting"


def test_gradescopes_metadata_name_its_students():
    text = ("submission_1:\n  :submitters:\n  - :name: Jane\n    :sid: 'x1'\n    :email: jane@x.edu\n"
            "submission_2:\n  - :sid: 9\n")
    assert grades_collect.gradescope_names(text) == {"submission_1": "x1", "submission_2": "9"}


def test_nothing_that_came_in_is_dropped(place, tmp_path):
    adding = (place.root / "source" / "02-adding" / "02_adding.ipynb").read_bytes()
    folder = inbox(tmp_path / "in", {
        "ann/01_counting.ipynb": page(place), "bob/my homework.ipynb": page(place),
        "cem/02_adding.ipynb": adding,
        "dan/essay.pdf": b"%PDF", "eve/01_counting.ipynb": b"", "fay/01_counting.ipynb": page(place),
        "fay/01_counting (1).ipynb": page(place, solved=False), "gus/notes.ipynb": b"{}",
        "ida/01_counting.ipynb": page(place), "ida/scratch.ipynb": b"{}",
    })
    (folder / "hal").mkdir()
    (folder / "hal" / "01_counting.ipynb").symlink_to("/etc/passwd")
    found = {a.origin: a for a in place.collect(folder, place.plan.assignments[0])}
    twice = [found.pop(name).what for name in ("fay/01_counting.ipynb", "fay/01_counting (1).ipynb")]
    assert sorted(twice) == ["replaced", "taken"]
    assert {name: a.what for name, a in found.items()} == {
        "ann/01_counting.ipynb": "taken", "bob/my homework.ipynb": "taken",
        "cem/02_adding.ipynb": "wrong notebook",
        "dan/essay.pdf": "refused", "eve/01_counting.ipynb": "taken", "gus/notes.ipynb": "taken",
        "hal/01_counting.ipynb": "refused", "ida/01_counting.ipynb": "taken",
        "ida/scratch.ipynb": "wrong notebook"}
    assert "it is a link" in found["hal/01_counting.ipynb"].notes
    assert place.students(place.plan.assignments[0]) == ["ann", "bob", "eve", "fay", "gus", "ida"]
    aside = place.root / ".tito-course" / "aside"
    assert len(list(aside.rglob("*-*.ipynb"))) == 3         # kept, though they do not count


def test_an_archive_cannot_write_outside_and_its_links_are_refused(place, tmp_path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as pack:
        pack.writestr("../../../evil.ipynb", page(place))
        link = zipfile.ZipInfo("eve/01_counting.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        pack.writestr(link, "/etc/passwd")
        pack.writestr("ann_1_2_01_counting.ipynb", page(place))
    (tmp_path / "canvas.zip").write_bytes(data.getvalue())
    before = sorted(p for p in tmp_path.parent.rglob("*evil*"))
    found = place.collect(tmp_path / "canvas.zip", place.plan.assignments[0])
    assert [a.what for a in found] == ["refused", "refused", "taken"]
    assert sorted(p for p in tmp_path.parent.rglob("*evil*")) == before


def test_clones_come_with_a_list(place, tmp_path):
    inbox(tmp_path / "clones", {"a/deep/01_counting.ipynb": page(place), "a/.git/x.ipynb": b"{}"})
    (tmp_path / "list.csv").write_text(
        "student,path,when\nann,clones/a,2027-01-20T00:00:00+00:00\nbob,clones/b,\n")
    found = place.collect(tmp_path / "list.csv", place.plan.assignments[0])
    assert [(a.student, a.what) for a in found] == [("ann", "taken"), ("bob", "refused")]
    assert any("hours late" in note for note in found[0].notes)


# ---------------------------------------------------------------------------------------------------- grading

@sandboxed
def test_a_class_is_graded_told_and_exported(place, tmp_path):
    one = place.plan.assignments[0]
    half = page(place, twice="#| export exercise\ndef twice(n):\n    return abs(n) + abs(n)")
    place.collect(inbox(tmp_path / "in", {"ann/01_counting.ipynb": page(place), "bob/01_counting.ipynb": half,
                                          "eve/01_counting.ipynb": b"\0\0"}), one)
    done = place.grade(one, InTurn())
    assert {r.student: r.earned for r in done.rows} == {"ann": 7, "bob": 6, "eve": 0}
    assert all(r.points == 11 and r.waiting == 1 for r in done.rows)
    assert write_pages(place, one, {"feedback.html": html, "feedback.md": markdown}) == 6
    told = (place.root / "feedback" / "bob" / "01-counting" / "feedback.md").read_text("utf-8")
    assert "6 of 11 points" in told and "A check that the notebook does not show, on twice" in told
    pages = "".join(p.read_text("utf-8") for p in (place.root / "feedback" / "bob").rglob("feedback.*"))
    assert "debts double" not in pages and "-2" not in pages and "ann" not in pages and "eve" not in pages
    assert export(place, [one], tmp_path / "grades.csv", "csv", None) == 3
    table = list(csv.DictReader(io.StringIO((tmp_path / "grades.csv").read_text("utf-8"))))
    assert [(r["student"], float(r["earned"])) for r in table] == [("ann", 7), ("bob", 6), ("eve", 0)]
    assert status(place)[0].graded == 3 and status(place)[0].waiting == 3
    worst = max(place.figures(one).checks, key=lambda c: c.failed / c.tried)
    assert worst.failed == 2 and worst.check == "check-twice-2"


@sandboxed
def test_only_what_has_changed_is_marked_again_and_manual_grades_stay(place, tmp_path):
    one = place.plan.assignments[0]
    place.collect(inbox(tmp_path / "in", {"ann/01_counting.ipynb": page(place),
                                          "bob/01_counting.ipynb": page(place, False)}), one)
    assert (place.grade(one, InTurn()).marked, place.grade(one, InTurn()).marked) == (2, 0)
    table = place.root / "manual.csv"
    if isinstance(place.book, TableBook):
        table.write_text(table.read_text("utf-8").replace("01-counting,bob,question-why,,",
                                                          "01-counting,bob,question-why,3,fine"))
    else:
        give(place, "bob")
    place.collect(inbox(tmp_path / "again", {"bob/01_counting.ipynb": page(place)}), one)
    done = place.grade(one, InTurn())
    assert (done.marked, done.known) == (0, 1)          # bob's notebook is now the same as ann's
    assert {r.student: (r.earned, r.manual, r.comments) for r in done.rows} == {"ann": (7, 0, ""),
        "bob": (10, 3, "fine")}


def give(place, student, assignment="01-counting"):
    from nbgrader.api import Gradebook
    with Gradebook(place.book.url) as book:
        grade = book.find_grade("question-why", "01_counting", assignment, student)
        grade.manual_score = 3
        book.find_comment("question-why", "01_counting", assignment, student).manual_comment = "fine"
        book.db.commit()


@sandboxed
def test_a_run_that_is_killed_goes_on_where_it_was(place, tmp_path):
    one = place.plan.assignments[0]
    files = {f"s{n}/01_counting.ipynb": page(place,
        twice=f"#| export exercise\ndef twice(n):\n    return n + n + {n} - {n}")
             for n in range(4)}
    place.collect(inbox(tmp_path / "in", files), one)

    class Killed(InTurn):
        def each(self, work, jobs):
            for number, answer in enumerate(super().each(work, jobs)):
                if number == 2: raise KeyboardInterrupt
                yield answer

    with pytest.raises(KeyboardInterrupt): place.grade(one, Killed())
    done = place.grade(one, InTurn())
    assert (done.marked, done.known) == (2, 2) and [r.earned for r in done.rows] == [7, 7, 7, 7]


def dies(job):
    if job == 3: os._exit(1)
    return job * job


def test_a_job_that_kills_its_worker_is_tried_alone_and_the_others_are_done():
    found = dict(Here(2).each(dies, range(6)))
    assert isinstance(found.pop(3), Lost) and found == {n: n * n for n in (0, 1, 2, 4, 5)}


def test_without_a_sandbox_nothing_is_graded(place, monkeypatch):
    monkeypatch.setattr("tito.services_grading.works", lambda: "bubblewrap is not installed")
    with pytest.raises(EnvironmentProblem, match="no sandbox"): place.grade(place.plan.assignments[0],
        InTurn())


def test_unless_told_to_and_then_every_page_says_so(place, tmp_path):
    one = place.plan.assignments[0]
    place.collect(inbox(tmp_path / "in", {"ann/01_counting.ipynb": page(place)}), one)
    done = place.grade(one, InTurn(), unsafe=True)
    assert not done.safe and [r.earned for r in done.rows] == [7]
    write_pages(place, one, {"feedback.html": html, "feedback.md": markdown})
    for kind in ("html", "md"):
        page_of_ann = place.root / "feedback" / "ann" / "01-counting" / f"feedback.{kind}"
        assert "without a sandbox" in page_of_ann.read_text("utf-8")


def test_the_gradebook_is_told_once(course, first, tmp_path, monkeypatch):
    book = BookInMemory(given={("01-counting", "ann"): {"question-why": Manual(4.0, "lovely")}})
    place = Class(first.root, course, book)
    row = place.row(place.plan.assignments[0], "ann", {}, book.manual(place.plan.assignments[0])["ann"])
    assert (row.earned, row.manual, row.waiting, row.comments) == (4, 4, 0, "lovely")


@sandboxed
def test_the_commands_carry_a_class_from_its_beginning_to_its_table(course, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tito.services_grading.open_course", lambda: course)
    monkeypatch.chdir(tmp_path)

    def typed(*words):
        code = main(["course", *words])
        return code, capsys.readouterr().out

    assert typed("init", "autumn")[0] == 0 and typed("init", "autumn")[0] == 2
    monkeypatch.chdir(tmp_path / "autumn")
    assert typed("generate")[0] == 0 and "01-counting" in typed("status")[1]
    place = Class(tmp_path / "autumn", course)
    inbox(tmp_path / "in", {"ann/01_counting.ipynb": page(place), "bob/01_counting.ipynb": b""})
    assert "2 taken" in typed("collect", "01-counting", str(tmp_path / "in"))[1]
    code, out = typed("grade", "01-counting", "--jobs", "1", "--json")
    earned = {row["student"]: row["earned"] for row in json.loads(out)["rows"]}
    assert (code, earned) == (0, {"ann": 6, "bob": 0})
    assert typed("feedback", "01-counting")[0] == typed("export", "grades.csv")[0] == 0
    assert "1 of 2" in typed("status", "01-counting")[1]
    assert typed("moss-ready", "01-counting", "moss")[0] == 0 and (place.root / "moss" / "ann").is_dir()
    assert typed("release", "01-counting", "--zip", "x.zip")[0] == 0
    assert typed("release", "01-counting")[0] == 2          # does not say how
    assert typed("grade", "nothing")[0] == 4


# ----------------------------------------------------------------------------------------------------- tables

@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =cmd|' /C calc'!A0", "|x",
                                  "\r=1"])
def test_no_text_becomes_a_formula(text):
    row = Row(text, "a", 1.0, 2.0, comments=text)
    for table in (grades_export.as_csv, grades_export.as_canvas, grades_export.as_moodle):
        for line in csv.reader(io.StringIO(table([row]))):
            for cell in line:
                number = cell.replace(".", "", 1).isdigit()
                assert number or not cell.lstrip(" ").startswith(tuple("=+-@|\t\r")), cell


def test_canvas_reads_its_own_names_back():
    roster = grades_export.read_roster("Student,ID,SIS Login ID,Section\n\"Doe, Jane\",12345,jd1,A\n")
    table = list(csv.reader(io.StringIO(grades_export.as_canvas([Row("doejane-12345", "a", 3.0, 4.0)],
        roster))))
    assert table[0] == ["Student", "ID", "SIS Login ID", "Section", "a"]
    assert table[2] == ["Doe, Jane", "12345", "jd1", "A", "3.0"]


def test_a_page_escapes_what_a_submission_says():
    mark = grades.Mark("c", "after", "after", 1, 0, "failed", "<script>alert(1)</script>",
                       got="```\n# hi\n</pre><b>")
    book = grades.Graded("counting", (mark,))
    page = html(Row("ann", "a", 0, 1), {"x.ipynb": book}, (), {})
    assert "<script" not in page and "&lt;script&gt;" in page and "</pre><b>" not in page
    text = markdown(Row("ann", "a", 0, 1), {"x.ipynb": book}, (), {})
    assert "````text\n```\n# hi" in text


def test_alike_code_has_alike_fingerprints():
    one = "def f(a, b):\n    t = 0\n    for x in a:\n        t += x * b\n    return t"
    renamed = one.replace("a", "p").replace("t ", "total ").replace("return t", "return total  # mine")
    other = "def f(a, b):\n    return sum(map(b.__mul__, a), start=[k for k in a if k][0])"
    prints = [grades_export.fingerprints(text) for text in (one, renamed, other)]
    assert grades_export.resemblance(prints[0], prints[1], set()) == 1
    assert grades_export.resemblance(prints[0], prints[2], set()) < 0.5


# --------------------------------------------------------------------------------------------------- nbgrader

@pytest.fixture(scope="module")
def made(course, tmp_path_factory):
    place = make_class(tmp_path_factory.mktemp("nb") / "autumn", "Autumn", course, BEGIN)
    text = (place.root / "course.toml").read_text("utf-8")
    (place.root / "course.toml").write_text(text.replace("\n[[assignment]]\nname = \"02",
        f"{QUESTION}\n[[assignment]]\nname = \"02"))
    place = Class(place.root, course)
    for one in place.plan.assignments: generate(place, one)
    place.collect(inbox(place.root / "inbox", {"ann/01_counting.ipynb": page(place)}),
                  place.plan.assignments[0])
    return place


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nbgrader") is None, reason="nbgrader is not installed")
class TestNbgrader:
    """nbgrader itself decides whether the class is one of its own."""

    @staticmethod
    def nbgrader(place, *words):
        path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(place.root)}
        return subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=place.root, capture_output=True,
                              text=True,
                              env=path, timeout=300)

    def test_validate_accepts_the_instructors_version(self, made):
        done = self.nbgrader(made, "validate", "source/01-counting/01_counting.ipynb")
        assert "Success! Your notebook passes all the tests." in done.stdout, done.stdout + done.stderr

    def test_autograde_agrees_about_the_points(self, made):
        from nbgrader.api import Gradebook

        done = self.nbgrader(made, "autograde", "01-counting", "--student=ann")
        assert done.returncode == 0, done.stderr
        with Gradebook(made.book.url) as book:
            assert book.find_submission("01-counting", "ann").score == 6
        made.grade(made.plan.assignments[0], InTurn(), unsafe=bool(works()))
        with Gradebook(made.book.url) as book:
            submission = book.find_submission("01-counting", "ann")
            assert (submission.score, submission.max_score, submission.needs_manual_grade) == (6, 10, True)

    def test_autograde_marks_the_hidden_checks_of_a_lesson_too(self, made):
        from nbgrader.api import Gradebook

        guessed = page(made, False, after="#| export exercise\ndef after(n): return 2",
                       twice="#| export exercise\ndef twice(n): return 6")
        made.collect(inbox(made.root / "guessed", {"zoe/01_counting.ipynb": guessed}),
                     made.plan.assignments[0])
        done = self.nbgrader(made, "autograde", "01-counting", "--student=zoe")
        assert done.returncode == 0, done.stderr
        with Gradebook(made.book.url) as book:
            grades = book.find_submission("01-counting", "zoe").notebooks[0].grades
            assert sorted(g.auto_score for g in grades if g.name.startswith("check")) == [0, 2, 3]
        shutil.rmtree(made.root / "submitted" / "zoe")

    def test_a_manual_grade_survives_another_run(self, made):
        one = made.plan.assignments[0]
        made.grade(one, InTurn(), unsafe=bool(works()))
        give(made, "ann")
        done = made.grade(one, InTurn(), unsafe=bool(works()), again=True)
        assert [(r.earned, r.manual, r.comments) for r in done.rows] == [(9, 3, "fine")]

    def test_its_own_generate_assignment_takes_the_source(self, made):
        done = self.nbgrader(made, "generate_assignment", "02-adding", "--force")
        assert done.returncode == 0, done.stderr
        assert "Count on" not in (made.root / "release" / "02-adding" / "02_adding.ipynb").read_text("utf-8")

    def test_formgrader_lists_the_assignment_and_shows_the_submission(self, made):
        """What formgrader's pages are made of: nbgrader's API over this folder."""
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import Config

        config = Config()
        config.CourseDirectory.root, config.CourseDirectory.db_url = str(made.root), made.book.url
        api = NbGraderAPI(config=config)
        made.grade(made.plan.assignments[0], InTurn(), unsafe=bool(works()))
        found = api.get_assignment("01-counting")
        assert found["num_submissions"] == 1
        assert (found["max_code_score"], found["max_written_score"]) == (6, 4)
        assert api.get_submission("01-counting", "ann")["autograded"] and api.get_notebooks("01-counting")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nbgrader") is None, reason="nbgrader is not installed")
@pytest.mark.parametrize("name", [lesson.name for lesson in open_course().curriculum])
def test_nbgraders_autograde_gives_a_solved_lesson_all_its_points(name, tmp_path):
    """Also where a solution makes NumPy warn: for what is printed to stderr nbgrader takes points."""
    from nbgrader.api import Gradebook

    place = make_class(tmp_path / "class", "nbgrader")
    (place.root / "course.toml").write_text(
        f'format = 1\nname = "nbgrader"\n[[assignment]]\nname = "one"\nlessons = ["{name}"]\n')
    with (place.root / "nbgrader_config.py").open("a") as config:
        config.write("c.ExecutePreprocessor.timeout = 600\n")
    place = Class(place.root, place.course)
    made = generate(place, place.plan.assignments[0])
    handed_in = place.root / "submitted" / "ann" / "one"
    shutil.copytree(place.root / "source" / "one", handed_in)
    done = TestNbgrader.nbgrader(place, "autograde", "one")
    assert done.returncode == 0, done.stderr
    with Gradebook(place.book.url) as book:
        grades = [(g.name, g.auto_score, g.max_score) for n in book.find_submission("one", "ann").notebooks
                  for g in n.grades]
    assert [name for name, earned, points in grades if earned != points] == []
    assert sum(earned for _, earned, _ in grades) == made.points


# ------------------------------------------------------------------------------------------------- PostgreSQL

SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
DRIVERS = [name for name in ("psycopg", "psycopg2") if importlib.util.find_spec(name)]


@pytest.fixture(scope="module")
def postgres():
    """The address of a PostgreSQL of our own, where there is one. It refuses to be run by root."""
    who = {"user": "postgres"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))       # the path of a socket has to be short
    if who: shutil.chown(folder, "postgres")

    def run(program, *words):
        command = [SERVERS[-1].with_name(program), "-D", folder / "data", *words]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, **who)

    run("initdb", "-A", "trust", "-U", "grader")
    run("pg_ctl", "-o", f"-c listen_addresses='' -k {folder}", "-l", folder / "log", "-w", "start")
    yield f"grader@/postgres?host={folder}"
    run("pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.mark.skipif(importlib.util.find_spec("nbgrader") is None, reason="nbgrader is not installed")
@pytest.mark.parametrize(("url", "said"), [
    ("postgresql+nothing://me:secret@host/grades", "nothing"),
    ("sqlite:////nowhere/at/all.db", "unable to open"),
])
def test_a_gradebook_that_cannot_be_opened_says_why_and_no_password(course, tmp_path, url, said):
    place = make_class(tmp_path / "autumn", "Autumn", course, BEGIN)
    file = place.root / "course.toml"
    file.write_text(file.read_text("utf-8").replace("sqlite:///gradebook.db", url))
    with pytest.raises(EnvironmentProblem, match=said) as problem:
        Class(place.root, course).book.students(place.plan.assignments[0])
    assert "secret" not in str(problem.value)


@pytest.mark.slow
@pytest.mark.skipif(not SERVERS or importlib.util.find_spec("nbgrader") is None, reason="no PostgreSQL here")
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_gradebook_in_postgresql_is_one_as_well(driver, course, tmp_path, postgres):
    from nbgrader.api import Gradebook

    place = make_class(tmp_path / "autumn", "Autumn", course, BEGIN)
    url, file = f"postgresql+{driver}://{postgres}", place.root / "course.toml"
    name = f"01-{driver}"
    file.write_text(file.read_text("utf-8").replace("sqlite:///gradebook.db", url)
                    .replace("01-counting", name).replace("\n[[assignment]]\nname = \"02",
                                                          f"{QUESTION}\n[[assignment]]\nname = \"02"))
    place = Class(place.root, course)
    one = place.plan.assignments[0]
    generate(place, one)
    solved = (place.root / "source" / name / "01_counting.ipynb").read_bytes()
    files = {"ann/01_counting.ipynb": solved, "bob/01_counting.ipynb": b""}
    place.collect(inbox(tmp_path / "in", files), one)
    place.grade(one, InTurn(), unsafe=bool(works()))
    give(place, "ann", name)
    done = Class(place.root, course).grade(one, InTurn(), unsafe=bool(works()), again=True)
    assert {(r.student, r.earned, r.manual, r.comments) for r in done.rows} == {("ann", 9, 3, "fine"),
                                                                               ("bob", 0, 0, "")}
    with Gradebook(url) as book: assert book.find_submission(name, "ann").score == 9
    assert not (place.root / "gradebook.db").exists()
