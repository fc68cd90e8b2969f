"""New course content in a learner's notebooks: what wins, what is kept beside, what is mended."""

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tito.app import Workspace, create_workspace, open_course
from tito.core.given import given, news
from tito.core.lesson import FIRST_CELL, NotebookCell, chapter, notebook
from tito.core.merge import merge
from tito.services_course import Course
from tito.view import update as view
from tito.view.data import envelope
from tito.view.screen import Screen

PROSE = "# Sums\n\nWhy add?"
ADD = "#| export exercise\ndef add(x, y):\n    ### BEGIN SOLUTION\n    return x + y\n    ### END SOLUTION"
GIVEN = "#| export\nZERO = 0"
CHECK = "#| check 1\nassert add(1, 1) == 2, 'one and one'"
SHOW = "add(2, 3)"
OLD = (("markdown", PROSE), ("code", GIVEN), ("code", ADD), ("code", CHECK), ("code", SHOW))
SOLVED = "#| export exercise\ndef add(x, y):\n    return y + x"


def course(*pairs): return chapter(pairs or OLD)
def changed(old, new): return course(*[(kind, text.replace(old, new)) for kind, text in OLD])
def cells(**texts): return [row._replace(source=texts.get(row.id, row.source)) for row in notebook(course())]


def merged(later, rows, base=True):
    """(id -> text in order, {(name, what)})"""
    found = merge(given(course(), {}) if base else None, later, rows)
    assert len({row.cell.id for row in found.rows}) == len(found.rows), "ids are unique"
    return {row.cell.id: row.cell.source for row in found.rows}, {(n.name, n.what) for n in found.notes}


def ids(rows): return list(rows)


# --------------------------------------------------------------------------------------- who wins

def test_nothing_new_changes_nothing():
    rows = cells(add=SOLVED, sums="my own prose")
    assert merged(course(), rows) == ({row.id: row.source for row in rows}, set())


@pytest.mark.parametrize("old, new, id", [
    ("Why add?", "Why not?", "sums"), ("'one and one'", "'two'", "check-add"),
    ("ZERO = 0", "ZERO = 1", "ZERO"), ("add(2, 3)", "add(3, 4)", "show-check-add"),
    ("def add(x, y)", "def add(x, y, z=0)", "add"),
])
def test_what_the_learner_left_alone_becomes_the_courses(old, new, id):
    rows, notes = merged(changed(old, new), cells())
    assert new in rows[id] and old not in rows[id] and {what for _, what in notes} == {"changed"}


def test_in_an_exercise_the_learner_wins_and_the_new_blank_stands_below():
    rows, notes = merged(changed("def add(x, y)", "def add(x, y, z=0)"), cells(add=SOLVED))
    assert rows["add"] == SOLVED and notes == {("add", "yours")}
    assert ids(rows)[ids(rows).index("add") + 1] == "add-course"
    assert "def add(x, y, z=0)" in rows["add-course"] and "BEGIN SOLUTION" not in rows["add-course"]


@pytest.mark.parametrize("id, old, new", [
    ("sums", "Why add?", "Why not?"), ("check-add", "'one and one'", "'two'"),
    ("ZERO", "ZERO = 0", "ZERO = 1")])
def test_in_prose_checks_and_given_code_the_course_wins_and_the_learners_stands_below(id, old, new):
    rows, notes = merged(changed(old, new), cells(**{id: "mine ``` 1"}))
    assert new in rows[id] and {what for _, what in notes} == {"course's"}
    assert "\n````" in rows[f"{id}-yours"] and "\nmine ``` 1\n" in rows[f"{id}-yours"]


def test_what_both_changed_alike_is_no_conflict():
    rows, notes = merged(changed("Why add?", "Why not?"), cells(sums="# Sums\n\nWhy not?  "))
    assert notes == set() and "sums-yours" not in rows


def test_a_conflict_is_told_once():
    later = changed("def add(x, y)", "def add(x, y, z=0)")
    found = merge(given(course(), {}), later, cells(add=SOLVED))
    again = merge(given(later, {}), later, [row.cell for row in found.rows])
    assert again.notes == () and [r.cell for r in again.rows] == [r.cell for r in found.rows]


def test_new_cells_come_in_their_place_and_old_ones_go_unless_the_learner_has_changed_them():
    later = course(*OLD[:2], ("code", ADD.replace("add", "sub")), *OLD[2:4])
    rows, notes = merged(later, cells())
    assert ids(rows) == ["first-cell", "sums", "ZERO", "sub", "add", "check-add"]
    assert notes == {("sub", "new"), ("show-check-add", "gone")}
    rows, notes = merged(later, cells(**{"show-check-add": "add(1, 0)"}))
    assert rows["show-check-add"] == "add(1, 0)" and ("show-check-add", "kept") in notes


def test_an_exercise_that_the_course_drops_stays_if_it_was_solved():
    rows, notes = merged(course(*OLD[:2]), cells(add=SOLVED))
    assert rows["add"] == SOLVED and ("add", "kept") in notes


def test_the_learners_own_cells_stay_behind_the_cell_they_stand_behind():
    mine = NotebookCell("mine", "code", "1 + 1")
    rows = cells()
    later = course(("markdown", "New."), *OLD)
    for place in range(len(rows) + 1):
        found, _ = merged(later, [*rows[:place], mine, *rows[place:]])
        before = ids(found)[ids(found).index("mine") - 1] if place else None
        assert found["mine"] == "1 + 1" and (place == 0 or before == rows[place - 1].id)


# --------------------------------------------------------------------------------- damaged workspaces

def test_cells_that_are_gone_come_back_but_prose_that_was_thrown_away_does_not():
    rows, notes = merged(course(), [row for row in cells() if row.id == "ZERO"])
    assert ids(rows) == ["first-cell", "ZERO", "add", "check-add"]
    assert notes == {("first-cell", "back"), ("add", "back"), ("check-add", "back")}


def test_lost_ids_are_found_again_by_name_and_by_text():
    rows = [row._replace(id="") for row in cells(add=SOLVED)]
    found, notes = merged(changed("Why add?", "Why not?"), rows)
    assert ids(found) == [row.id for row in cells()]
    assert found["add"] == SOLVED and "Why not?" in found["sums"]
    assert notes == {("sums", "changed")}


def test_of_two_cells_with_one_id_the_first_counts_and_the_other_is_kept_as_text():
    rows = cells(add=SOLVED)
    twin = NotebookCell("add", "code", "#| export exercise\ndef add(x, y): return 0")
    found, notes = merged(course(), [*rows, twin, twin._replace(source=SOLVED)])
    assert found["add"] == SOLVED and twin.source in found["add-twin"] and notes == {("add", "twin")}
    assert list(found)[-1] == "add-twin", "the one that says the very same is gone"


def test_an_exercise_that_became_prose_is_kept_and_its_blank_comes_back():
    rows = [row._replace(kind="markdown", source="my idea") if row.id == "add" else row for row in cells()]
    found, notes = merged(course(), rows)
    assert "your turn" in found["add"] and "my idea" in found.values() and ("add", "back") in notes


def test_a_shuffled_notebook_stands_in_the_courses_order_again():
    rows = cells(add=SOLVED)
    found, notes = merged(course(), rows[::-1])
    assert ids(found)[:2] == ["first-cell", "sums"] and found["add"] == SOLVED and ("", "moved") in notes


def test_without_a_note_of_what_was_given_the_learner_loses_nothing():
    later = changed("Why add?", "Why not?")
    rows, notes = merged(later, cells(add=SOLVED), base=False)
    assert rows["add"] == SOLVED and notes == {("sums", "course's")} and PROSE in rows["sums-yours"]


def test_a_cell_of_the_course_is_the_learners_if_they_had_it_first():
    rows = [*cells(), NotebookCell("x1", "code", "#| export\ndef sub(x, y): return x - y")]
    found, notes = merged(course(*OLD, ("code", ADD.replace("add", "sub"))), rows)
    assert "return x - y" in found["sub"] and ("sub", "yours") not in notes


# ---------------------------------------------------------------------- what passed and has changed since

def test_prose_is_no_news_but_exercises_checks_and_code_are():
    def told(later, old=(), new=()):
        return news(given(course(), dict(old)), given(later, dict(new)), later)

    hidden = ("code", "#| check 1 hidden\nassert add(0, 0) == 0, 'nought'")
    assert told(changed("Why add?", "Why not?")) == told(changed("add(2, 3)", "add(3, 4)")) == {}
    assert told(changed("'one and one'", "'two'")) == {"check-add": "changed check"}
    assert told(changed("def add(x, y)", "def add(y, x)")) == {"add": "changed exercise"}
    assert told(course(*OLD, hidden))["check-add-2"] == "new hidden check"
    assert told(course(), {"words": "a"}, {"words": "b"}) == {"tinytorch/words.py": "changed code"}
    assert told(course(OLD[0], *OLD[2:])) == {"ZERO": "not in the course any more"}


# -------------------------------------------------------------------------------------- in a workspace

LESSON = "modules/01_counting/counting.py"


@pytest.fixture
def upstream(course_folder, tmp_path):
    """A later course, that a test changes as it likes."""
    return shutil.copytree(course_folder, tmp_path / "later")


def edit(folder, old, new, file=LESSON):
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), "utf-8")


def under(place, folder): return Workspace(place.root, Course(folder))


def everything(root):
    paths = (path for path in root.rglob("*") if path.is_file() and ".tito" not in path.parts)
    return {path.relative_to(root): path.read_bytes() for path in paths}


def test_a_workspace_of_the_same_course_has_nothing_to_merge(graduate):
    before = everything(graduate.root)
    assert graduate.place.update().lessons == () and everything(graduate.root) == before
    assert graduate.place.changes()[0].verb == "complete", "and nothing to undo"


def test_a_dry_run_changes_nothing_and_says_what_would(graduate, upstream):
    edit(upstream, "After one comes two.", "Two comes after one.")
    place, before = under(graduate.place, upstream), everything(graduate.root)
    done = place.update(dry=True)
    assert [n.what for n in done.lessons[0].notes] == ["changed"] and done.change is None
    assert everything(graduate.root) == before


def test_an_update_is_one_change_that_undo_takes_back(graduate, upstream):
    edit(upstream, "After one comes two.", "Two comes after one.")
    edit(upstream, "What do two and two make?", "What is two and two?", "modules/curriculum.toml")
    graduate.insert(1, "my_own = 1", after="after")
    place, before = under(graduate.place, upstream), everything(graduate.root)
    done = place.update()
    assert done.change and place.changes()[0].what == "update"
    text = place.notebook(1).read_text("utf-8")
    assert "Two comes after one." in text and "my_own = 1" in text and "n + 1" in text
    place.undo()
    assert everything(graduate.root) == before
    assert place.update().lessons, "and it can be done again"


def test_outputs_of_cells_that_did_not_change_stay(learner, upstream):
    path = learner.place.notebook(1)
    data = json.loads(path.read_text("utf-8"))
    for cell in data["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "2"}]
    path.write_text(json.dumps(data), "utf-8")
    edit(upstream, "after one comes two", "two comes after one")
    under(learner.place, upstream).update()
    outputs = {c["id"]: c.get("outputs") for c in json.loads(path.read_text("utf-8"))["cells"]}
    assert outputs["twice"] and not outputs["check-after"]


def test_what_passed_and_has_changed_upstream_shows_as_changed_until_it_passes_again(graduate, upstream):
    from tito.core.advice import advice

    edit(upstream, "assert after(1) == 2", "assert after(2) == 3")
    place = under(graduate.place, upstream)
    done = place.update()
    assert done.lessons[0].news == {"check-after": "changed check"}
    assert place.standing().lesson("counting").mark == "stale"
    assert "check-after (changed check)" in advice(place.standing()).sentence
    assert place.complete(1).report.ok and place.standing().lesson("counting").mark == "done"


def test_a_new_lesson_gets_its_notebook_and_one_with_another_number_its_name(graduate, upstream):
    text = (upstream / "modules/curriculum.toml").read_text("utf-8")
    text = text.replace("number = 2", "number = 9").replace("number = 3", "number = 2")
    (upstream / "modules/curriculum.toml").write_text(text.replace("number = 9", "number = 3"), "utf-8")
    (upstream / "modules/02_adding").rename(upstream / "modules/03_adding")
    (upstream / "modules/02_multiplying").mkdir()
    (upstream / "modules/02_multiplying/multiplying.py").write_text("# %% [markdown]\n# # Times\n", "utf-8")
    place = under(graduate.place, upstream)
    done = {one.lesson.name: one for one in place.update().lessons}
    assert done["adding"].renamed == "02_adding.ipynb" and done["multiplying"].created
    assert "return x + y" in (graduate.root / "03_adding.ipynb").read_text("utf-8")
    def notebooks(): return {path.name for path in graduate.root.glob("0[23]*.ipynb")}
    assert notebooks() == {"02_multiplying.ipynb", "03_adding.ipynb"}
    place.undo()
    assert notebooks() == {"02_adding.ipynb"}


def test_a_notebook_that_cannot_be_read_is_left_alone_and_the_others_are_merged(graduate, upstream):
    graduate.place.notebook(1).write_text("{", "utf-8")
    edit(upstream, "assert add(2, 2)", "assert add(3, 1)", "modules/02_adding/adding.py")
    place = under(graduate.place, upstream)
    done = {one.lesson.name: one for one in place.update().lessons}
    assert "cannot be read" in done["counting"].problem and "tito doctor --fix" in done["counting"].cure
    assert place.notebook(1).read_text("utf-8") == "{" and done["adding"].news


def test_the_first_cell_is_the_courses(learner):
    learner.write(1, **{FIRST_CELL.id: "# mine"})
    assert learner.place.update().lessons == ()


# --------------------------------------------------------------------------------------- as it is told

def told(done, width=80, diff=False):
    screen = Screen(io.StringIO(), width=width)
    screen.show(view.updated(done, diff, screen))
    return screen.file.getvalue()


def test_conflicts_are_listed_by_name_and_the_rest_is_counted(learner, upstream):
    learner.solve(1)
    edit(upstream, "def after(n):", "def after(n, by=1):")
    edit(upstream, "twice three is six", "twice 3 is 6")
    edit(upstream, "After one comes two.", "Two comes after one.")
    place = under(learner.place, upstream)
    text = told(place.update(dry=True))
    assert "1 changed text, 1 changed check, 1 changed by both" in text and "Nothing was changed." in text
    assert "≈ after  changed by both: yours stays" in text and max(map(len, text.splitlines())) <= 80
    diff = told(place.update(dry=True), diff=True)
    assert "-def after(n):" in diff and "+def after(n, by=1):" in diff and "return n + 1" not in diff
    assert max(map(len, told(place.update(dry=True), 40).splitlines())) <= 40
    assert "tito undo" in told(place.update()) and "are those of the course" in told(place.update())


def test_the_answer_for_programs_names_notebooks_cells_and_conflicts(learner, upstream):
    learner.solve(1)
    edit(upstream, "def after(n):", "def after(n, by=1):")
    answer = json.loads(envelope("update", view.of_update(under(learner.place, upstream).update())))
    one, = answer["lessons"]
    assert answer["changed"] and (one["lesson"], one["conflicts"]) == ("counting", ["after"])
    assert [(cell["name"], cell["what"]) for cell in one["cells"]] == [("after", "yours")]


# ------------------------------------------------------------------------------- from earlier courses

ROOT = Path(__file__).resolve().parents[2]


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


def earlier():
    """The tags of releases, and some commits that changed lessons."""
    commits = git("log", "--format=%H", "--", "modules").decode().split()
    return [*git("tag", "--list", "v*").decode().split(), *commits[1::max(1, len(commits) // 3)][:3]]


@pytest.mark.slow
def test_a_workspace_of_every_earlier_course_can_be_updated_and_brought_back(tmp_path):
    if not (ROOT / ".git").exists(): pytest.skip("no history here")
    now = open_course()
    for number, commit in enumerate(earlier()):
        folder = tmp_path / f"course{number}"
        folder.mkdir()
        archive = git("archive", "--format=tar", commit, "modules")
        with tarfile.open(fileobj=io.BytesIO(archive)) as files: files.extractall(folder, filter="data")
        old = create_workspace(tmp_path / f"ws{number}", Course(folder))
        mine = write_into(old)
        before = everything(old.root)
        place = Workspace(old.root, now)
        done = place.update()
        assert not done.problems, done.problems
        for lesson in now.curriculum:
            if lesson.name not in now.written(): continue
            rows = now.notebooks.read(place.notebook(lesson))
            assert {cell.id for cell in notebook(now.chapter(lesson))} <= {row.id for row in rows}
            assert len({row.id for row in rows}) == len(rows)
            assert mine.get(lesson.name, "") in "".join(row.source for row in rows)
        assert place.update().lessons == (), "once is enough"
        if done.change: place.undo()
        assert everything(old.root) == before


def write_into(place):
    """A learner's line in the first exercise of each lesson: lesson -> line."""
    found = {}
    for lesson in place.course.curriculum:
        if lesson.name not in place.course.written(): continue
        exercise = next(iter(place.course.chapter(lesson).exercises()), None)
        if exercise is None: continue
        path, found[lesson.name] = place.notebook(lesson), f"# {lesson.name} is mine"
        rows = place.course.notebooks.read(path)
        index = next(i for i, row in enumerate(rows) if row.id == exercise.id)
        source = f"{rows[index].source}\n{found[lesson.name]}"
        place.course.notebooks.replace(path, index, rows[index]._replace(source=source))
    return found
