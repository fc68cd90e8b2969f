"""A learner's way through a workspace: start, complete, reset, undo, milestones; and what interrupts it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from tito.app import Workspace, create_workspace, open_workspace
from tito.core.errors import EnvironmentProblem, Locked, NotFound, UsageProblem
from tito.core.plan import Limits, Outcome, Run
from tito.ports.editor import Shown
from tito.ports.files import write
from tito.ports.runner import Recorded

ROOT = Path(__file__).resolve().parents[2]


def snapshot(root):
    """Every file a learner cares about."""
    files = [p for p in root.rglob("*") if p.is_file() and not {".tito", "__pycache__"} & set(p.parts)]
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def records(place): return place.state.progress().lessons


# ------------------------------------------------------------------------------------------------ beginning

def test_a_new_workspace_has_notebooks_beside_an_empty_package(place):
    assert {"01_counting.ipynb", "02_adding.ipynb", "README.md", "AGENTS.md", ".gitignore",
            "tinytorch/__init__.py", "tinytorch/words.py"} <= snapshot(place.root).keys()
    assert "tinytorch/counting.py" not in snapshot(place.root)


def test_assistants_are_asked_to_be_tutors_or_what_an_instructor_asks(place, course, tmp_path):
    assert "Do not write the body of an exercise" in (place.root / "AGENTS.md").read_text("utf-8")
    other = create_workspace(tmp_path / "other", course, "Only in Latin.")
    assert (other.root / "AGENTS.md").read_text("utf-8") == "Only in Latin."


def test_the_data_of_the_course_lies_beside_the_package(course, tmp_path, monkeypatch):
    monkeypatch.setattr(course, "datasets", tmp_path / "of-the-course")
    (course.datasets / "small").mkdir(parents=True)
    for name in ("data.txt", "LICENSE", "make.py"): (course.datasets / "small" / name).write_text(name)
    place = create_workspace(tmp_path / "with-data", course)
    given = place.root / "datasets" / "small"
    assert sorted(path.name for path in given.iterdir()) == ["LICENSE", "data.txt"]
    shutil.rmtree(place.root / "datasets")
    place.start(1)
    assert (given / "data.txt").read_text() == "data.txt", "older workspaces get theirs when a lesson starts"
    (given / "data.txt").write_text("mine")
    place.start(1)
    assert (given / "data.txt").read_text() == "mine", "what is there is left alone"


def test_a_workspace_is_found_from_any_folder_inside_it(place, course):
    assert open_workspace(place.root / "tinytorch", course).root == place.root
    with pytest.raises(NotFound, match="is not in a workspace") as problem:
        open_workspace(place.root.parent, course)
    assert "tito init" in problem.value.cure


@pytest.mark.parametrize("inside", ["", "sub"])
def test_a_workspace_is_not_made_in_a_workspace(place, course, inside):
    with pytest.raises(UsageProblem): create_workspace(place.root / inside, course)


@pytest.mark.parametrize("inside", ["", "tinytorch", "modules/01_counting", "tests"])
def test_a_workspace_is_not_made_in_the_course(course, inside):
    with pytest.raises(UsageProblem, match="is the course itself"):
        create_workspace(course.root / inside, course)


@pytest.mark.parametrize("name", ["new", "there"])
@pytest.mark.parametrize("problem", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_making_a_workspace_is_done_as_a_whole_or_not_at_all(course, tmp_path, monkeypatch, problem, name):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/notes.txt").write_text("mine")
    before = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")}
    for number in range(20):
        with monkeypatch.context() as patch:
            patch.setattr("tito.ports.files.os.fsync", Interrupted(problem, number, os.fsync))
            try:
                create_workspace(tmp_path / name, course)
                break
            except (KeyboardInterrupt, EnvironmentProblem):
                assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")} == before
    assert 4 < number < 20 and open_workspace(tmp_path / name, course).standing()


def test_a_workspace_that_lost_its_state_is_told_how_to_go_on(place, course):
    shutil.rmtree(place.root / ".tito")
    with pytest.raises(UsageProblem, match=r"has lost its \.tito") as problem:
        create_workspace(place.root, course)
    assert "copy your notebooks" in problem.value.cure


def test_a_workspace_that_was_moved_goes_on(learner, course, tmp_path):
    learner.complete(1)
    learner.place.reset(1)
    place = Workspace(learner.root.rename(tmp_path / "ein Ort für Übungen"), course)
    place.undo()
    assert place.test(1).ok and place.complete(1).report.ok


@pytest.mark.parametrize("name", ["README.md", "02_adding.ipynb", "tinytorch"])
def test_nothing_that_is_there_is_overwritten(course, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageProblem, match=name): create_workspace(tmp_path, course)
    assert snapshot(tmp_path).keys() == {name} and (tmp_path / name).read_text() == "mine"


def test_a_folder_with_other_things_in_it_can_become_a_workspace(course, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert create_workspace(tmp_path, course).standing().next_lesson.lesson.name == "counting"


def test_start_is_refused_while_needs_are_missing_unless_one_insists(place):
    with pytest.raises(Locked, match="builds on 01 counting") as problem: place.start(2)
    assert problem.value.code == 4 and "tito module start 01" in problem.value.cure
    assert place.start(2, anyway=True).first and not place.start(2, anyway=True).first


def test_start_makes_a_notebook_that_is_gone_and_gives_files_that_are_gone(place):
    place.notebook(1).unlink()
    (place.root / "tinytorch/words.py").unlink()
    started = place.start(1)
    assert (started.created, started.given) == (True, ("tinytorch/words.py",))
    assert place.notebook(1).exists() and place.changes() == []


def test_start_leaves_a_notebook_that_is_there_alone(learner):
    learner.solve(1)
    before = snapshot(learner.root)
    learner.place.start(1)
    assert snapshot(learner.root) == before


def test_a_lesson_that_is_being_written_is_not_found(place):
    for verb in (place.start, place.test, place.complete, place.reset):
        with pytest.raises(NotFound, match="still being written"): verb(3)


def test_current_is_what_was_worked_on_last_then_what_is_next(learner):
    place = learner.place
    assert place.current().name == "counting"
    learner.complete(1)
    assert place.current().name == "adding"
    learner.complete(2)
    assert place.current().name == "adding"


def test_a_notebook_is_opened_by_the_editor(place, course):
    editor = Shown()
    assert Workspace(place.root, course, editor=editor).open(1).sentence == "01_counting.ipynb is open."
    assert editor.paths == [place.notebook(1)]


# --------------------------------------------------------------------------------------------- completing

def test_complete_exports_records_and_says_what_it_opens(learner):
    done = learner.complete(1)
    record = records(learner.place)["counting"]
    assert (done.points, done.possible, record.points) == (6, 6, 6)
    assert done.files == ("tinytorch/words.py", "tinytorch/counting.py")
    assert [x.name for x in done.lessons] == ["adding"] and done.milestones == ()
    assert record.digest.startswith("sha256:") and record.versions.keys() == {"tito", "python", "numpy"}
    assert [m.name for m in learner.complete(2).milestones] == ["foundation"]
    code = "import tinytorch as t; print(t.add(2, 3), t.__file__)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=learner.root, capture_output=True, text=True)
    assert ran.stdout.split() == ["5", str(learner.root / "tinytorch/__init__.py")]


def test_complete_changes_nothing_when_a_test_fails(learner):
    learner.place.start(1)
    learner.solve(1, twice="#| export exercise\ndef twice(n): return 6")
    before = snapshot(learner.root)
    done = learner.place.complete(1)
    assert not done.report.ok and done.change is None and done.points == 5 and done.possible == 6
    assert snapshot(learner.root) == before and not records(learner.place)["counting"].completed


def test_complete_is_refused_while_needs_are_missing(learner):
    learner.solve(2)
    with pytest.raises(Locked): learner.place.complete(2)


def test_code_changed_after_it_passed_is_stale_until_it_passes_again(learner):
    learner.complete(1)
    assert learner.place.standing().lesson("counting").mark == "done"
    file = learner.root / "tinytorch/counting.py"
    file.write_text(file.read_text() + "# changed\n")
    assert learner.place.standing().lesson("counting").mark == "stale"
    assert learner.place.complete(1).report.ok
    assert learner.place.standing().lesson("counting").mark == "done"


def test_a_change_that_breaks_what_was_built_on_it_is_told_before_it_is_made(learner):
    learner.insert(1, "#| export\nSECRET = 1", after="after")
    learner.complete(1)
    learner.insert(2, "#| export\nfrom tinytorch.counting import SECRET", after="imports")
    learner.complete(2)
    path = learner.place.notebook(1)
    path.write_text(path.read_text().replace("SECRET", "OTHER"))
    done = learner.place.complete(1)
    assert not done.report.ok and "SECRET" in done.report.first_problem.message
    assert learner.place.standing().lesson("adding").mark == "done"


def test_a_lesson_is_tested_without_what_comes_after_it(graduate):
    (graduate.root / "tinytorch/adding.py").write_text("raise RuntimeError")
    assert graduate.place.test(1).ok


def test_the_last_report_is_kept_for_hints_and_for_whoever_asks(learner):
    place = learner.place
    assert place.last_report(1) is None
    learner.solve(1, after="#| export exercise\ndef after(n): return n")
    report = place.test(1)
    assert place.last_report(1) == report
    record = records(place)["counting"]
    assert (record.stuck_at, record.passed, record.total) == ("after", 2, 4)


def test_results_are_told_as_they_come_and_in_the_order_of_the_lesson(learner):
    told = []
    learner.solve(1)
    report = learner.place.test(1, listen=told.append)
    assert tuple(told) == report.tests and [t.name for t in told[:3]] == ["after", "twice", "twice, check 2"]


@pytest.mark.parametrize("text, words", [
    (b"def after(n:\n", "tinytorch/counting.py, line 1, is not Python"),
    (b"# \xe9\n", "is not text in UTF-8"),
])
def test_a_module_that_was_damaged_by_hand_is_named_with_its_cure(graduate, text, words):
    (graduate.root / "tinytorch/counting.py").write_bytes(text)
    with pytest.raises(EnvironmentProblem, match=words): graduate.place.test(2)


def test_a_damaged_module_is_written_anew_by_completing_its_lesson(graduate):
    (graduate.root / "tinytorch/counting.py").write_text("def after(n:\n")
    assert graduate.place.complete(1).report.ok and graduate.place.test(2).ok


# ----------------------------------------------------------------------------------- with a process that lies

def passed(*units): return tuple(Outcome(u, "passed") for u in units)


ALL = passed("import", "docstring", "imports", "after", "check-after", "twice", "check-twice",
             "check-twice-2", "word")
LAST = Run(passed("t::a"), ("t::a",), finished=True)


@pytest.mark.parametrize("runs, status", [
    ([Run(())], "error"), ([Run((), finished=True)], "skipped"), ([Run(ALL[:5], finished=True)], "skipped"),
    ([Run(ALL)], "error"), ([Run(ALL, finished=True), Run(())], "error"),
    ([Run(ALL, finished=True), Run((), finished=True)], "error"),
    ([Run(ALL, finished=True), Run(passed("t::a"), ("t::a", "t::b"), finished=True)], "skipped"),
    ([Run(ALL, finished=True), Run(passed("t::a"), ("t::a",))], "error"),
    ([Run(ALL, finished=True), LAST], "passed"),
])
def test_only_a_process_that_told_everything_and_came_to_its_end_has_passed(learner, course, runs, status):
    learner.solve(1)
    report = Workspace(learner.root, course, Recorded(list(runs))).test(1)
    assert (report.status, report.ok) == (status, status == "passed")


def test_the_process_is_told_limits_stage_and_what_nobody_may_borrow(learner, course):
    learner.solve(1)
    fake, limits = Recorded([Run(ALL, finished=True), LAST]), Limits(7, 70)
    Workspace(learner.root, course, fake).test(1, limits)
    cells, tests = fake.plans
    assert cells.limits == limits and tests.limits.lesson <= 70 and cells.reference == str(course.reference)
    assert [u.id for u in cells.units] == [o.unit for o in ALL[1:]] and cells.folder == str(learner.root)
    assert tests.path.endswith("tests/lessons/01_counting")
    assert str(learner.root / ".tito/stage") in tests.stage


# ------------------------------------------------------------------------------------------ back and forth

def test_reset_puts_the_blank_back_and_undo_brings_the_work_back_and_undo_again_the_blank(learner):
    learner.solve(1)
    work = snapshot(learner.root)
    change = learner.place.reset(1)
    assert change.what == "reset 01 counting"
    assert [t.status for t in learner.place.test(1).tests[:3]] == ["todo"] * 3
    assert learner.place.undo().what == "undo reset 01 counting"
    assert snapshot(learner.root) == work
    assert learner.place.undo().what == "redo reset 01 counting"
    assert [t.status for t in learner.place.test(1).tests[:3]] == ["todo"] * 3


def test_reset_of_one_exercise_leaves_the_others(learner):
    learner.solve(1)
    learner.place.reset(1, "after")
    found = learner.test(1)
    assert (found["after"].status, found["twice"].status) == ("todo", "passed")


def test_reset_brings_back_a_cell_that_is_gone_where_it_was(learner):
    learner.solve(1)
    learner.drop(1, "after", "imports")
    learner.place.reset(1, "after")
    learner.place.reset(1, "imports")
    ids = [row.id for row in learner.place.course.notebooks.read(learner.place.notebook(1))]
    assert ids.index("imports") < ids.index("after") < ids.index("check-after")
    assert learner.test(1)["after"].status == "todo"


def resaved(place, change):
    """The first notebook after another editor has had it."""
    path = place.notebook(1)
    data = json.loads(path.read_text("utf-8"))
    for cell in data["cells"]: change(cell, data)
    path.write_text(json.dumps(data), "utf-8")


def without_id(cell, data):
    data["nbformat_minor"] = 4
    del cell["id"]


def other_id(cell, data): cell["id"] = f"x-{data['cells'].index(cell)}"


def run_in_jupyter(cell, data):
    cell["metadata"] = {"collapsed": False, "trusted": True}
    data["metadata"] = {"kernelspec": {"name": "other", "display_name": "Other"}}
    if cell["cell_type"] == "code":
        cell |= {"execution_count": 7,
                 "outputs": [{"output_type": "stream", "name": "stdout", "text": ["hi"]}]}


@pytest.mark.parametrize("change", [without_id, other_id, run_in_jupyter])
def test_a_notebook_that_another_editor_saved_is_tested_reset_and_completed(learner, change):
    place = learner.place
    learner.solve(1)
    resaved(place, change)
    work = place.notebook(1).read_bytes()
    cells = len(json.loads(work)["cells"])
    assert place.test(1).ok
    place.reset(1, "after")
    found = learner.test(1)
    assert (found["after"].status, found["twice"].status) == ("todo", "passed")
    data = json.loads(place.notebook(1).read_text("utf-8"))
    nbformat.validate(data)
    assert len(data["cells"]) == cells and data["metadata"] == json.loads(work)["metadata"]
    place.undo()
    assert place.notebook(1).read_bytes() == work and place.complete(1).report.ok


def test_reset_of_a_cell_that_is_gone_leaves_outputs_and_other_cells_as_they_are(learner):
    resaved(learner.place, run_in_jupyter)
    before = json.loads(learner.place.notebook(1).read_text("utf-8"))
    learner.drop(1, "after")
    learner.place.reset(1, "after")
    after = json.loads(learner.place.notebook(1).read_text("utf-8"))
    assert len(after["cells"]) == len(before["cells"]) and after["metadata"] == before["metadata"]
    assert [c for c in after["cells"] if c["id"] != "after"] == [
        c for c in before["cells"] if c["id"] != "after"]


def test_reset_of_a_damaged_notebook_keeps_it_in_the_backup(place):
    place.notebook(1).write_text("half a noteb")
    change = place.reset(1)
    assert (change.backup / "files/01_counting.ipynb").read_text() == "half a noteb"
    assert place.course.notebooks.read(place.notebook(1))


def test_reset_of_something_that_is_no_exercise_guesses(place):
    with pytest.raises(NotFound, match=r"no exercise `twicee`\. Did you mean `twice`") as problem:
        place.reset(1, "twicee")
    assert "tito module show 01" in problem.value.cure and place.changes() == []


def test_undo_of_complete_takes_the_files_and_the_record_back(learner):
    learner.place.start(1)
    learner.solve(1)
    before = snapshot(learner.root)
    learner.place.complete(1)
    done = snapshot(learner.root)
    learner.place.undo()
    assert snapshot(learner.root) == before and not records(learner.place)["counting"].completed
    learner.place.undo()
    assert snapshot(learner.root) == done and learner.place.standing().lesson("counting").mark == "done"


def test_an_older_change_can_be_undone_by_name(learner):
    learner.complete(1)
    first = learner.place.reset(1, "after")
    learner.place.reset(1, "twice")
    learner.place.undo(first.id)
    assert [c.verb for c in learner.place.changes()] == ["undo", "reset", "reset", "complete"]
    assert learner.test(1)["after"].status == "passed"


def test_undo_without_anything_to_undo_says_so(place):
    with pytest.raises(NotFound, match="nothing to undo"): place.undo()
    place.reset(1)
    with pytest.raises(NotFound, match="There is no change x"): place.undo("x")


def test_export_writes_untested_code_which_then_is_not_complete(learner):
    learner.solve(1, after="#| export exercise\ndef after(n): return n")
    change = learner.place.export(1)
    assert "tinytorch/counting.py" in change.files
    assert learner.place.standing().lesson("counting").mark == "open"


# ---------------------------------------------------------------------------------------------------- hints

def test_hints_come_one_after_the_other_and_are_remembered(place):
    assert [place.hint(1, "after").number for _ in range(3)] == [1, 2, 2]
    assert place.hint(1, "after", 1).text == "Think of one more pebble."
    assert records(place)["counting"].hints == {"after": 2}
    with pytest.raises(NotFound, match="no number 3"): place.hint(1, "after", 3)


def test_a_hint_without_an_exercise_is_for_the_one_that_failed(learner):
    learner.solve(1, twice="#| export exercise\ndef twice(n): return n")
    learner.place.test(1)
    assert learner.place.hint(1).exercise == "twice"


def test_solution_and_cell_show_the_courses_and_the_learners_source(learner):
    learner.solve(1)
    assert "return n + 1" in learner.place.solution(1, "after").source
    assert learner.place.cell(1, "after") == "#| export exercise\ndef after(n):\n    return n + 1"


def test_a_solution_is_shown_beside_ones_own_with_what_each_costs(learner):
    slow = "#| export exercise\ndef after(n):\n    list(range(100_000))\n    return n + 1"
    learner.solve(1, after=slow)
    both = learner.place.solution(1, "after", measure=True)
    assert both.mine.startswith("def after(n):")
    assert ("-", "    list(range(100_000))") in both.difference
    assert both.mine_cost.seconds > 10 * both.cost.seconds and both.mine_cost.peak > 100_000 > both.cost.peak
    assert "yours takes" in both.verdict


def test_a_blank_is_not_compared_and_what_fails_has_no_cost(learner):
    assert learner.place.solution(1, "after").mine == ""
    learner.solve(1, after="#| export exercise\ndef after(n):\n    return n")
    both = learner.place.solution(1, "after", measure=True)
    assert both.mine_cost is None and both.cost and both.verdict == ""
    learner.solve(1, after=f"#| export exercise\n{both.source}")
    assert learner.place.solution(1, "after", measure=True).cost is None, "the same words are not raced"


# ----------------------------------------------------------------------------------------------- milestones

def test_a_milestone_is_unlocked_by_its_gate_and_the_evidence_is_kept(graduate):
    said = []
    assert graduate.place.milestone_test("foundation").report.ok
    assert not graduate.place.progress().milestones
    gate = graduate.place.milestone_unlock(say=said.append)
    record = graduate.place.progress().milestones["foundation"]
    assert gate.record == record and record.numbers == {"pebbles": 1957} and said[-1] == "You counted 1957."
    assert record.digests == {n: r.digest for n, r in records(graduate.place).items()}
    assert record.versions["python"]
    assert gate.opens == ()         # the lesson after it is still being written
    assert graduate.place.standing().milestone("foundation").percent == 100


def test_a_milestone_is_locked_while_a_lesson_is_missing_or_stale(learner):
    learner.complete(1)
    with pytest.raises(Locked, match=r"Missing: 02 adding \(not begun\)"):
        learner.place.milestone_unlock("foundation")
    learner.complete(2)
    file = learner.root / "tinytorch/counting.py"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(Locked, match="its code has changed since it passed"): learner.place.milestone_unlock()
    assert not learner.place.progress().milestones


def test_a_milestone_that_is_being_written_is_not_found(place):
    for verb in (place.milestone_test, place.milestone_unlock):
        with pytest.raises(NotFound, match="still being written"): verb("growth")


@pytest.mark.parametrize("line, words", [
    ("raise RuntimeError('no')", "RuntimeError: no"),
    ("import os; os._exit(0)", "the process ended (exit code 0)"),
    ("import sys; sys.exit(0)", "ended without a report"),
    ("while True: pass", "did not end within 3 seconds"),
    ("import os, json, pathlib; pathlib.Path(os.environ.get('TITO_REPORT', 'x')).write_text(json.dumps("
     "{'tests': [{'name': 'x', 'status': 'passed'}], 'numbers': {}})); os._exit(0)", "the process ended"),
])
def test_a_gate_that_does_not_end_as_it_should_unlocks_nothing(graduate, line, words):
    body = f"    if x == 1000: {line}" if not line.startswith("while") else f"    {line}"
    (graduate.root / "tinytorch/adding.py").write_text(f"def add(x, y):\n{body}\n    return x + y\n")
    gate = graduate.place.milestone_test("foundation", Limits(lesson=3))
    assert not gate.report.ok and words in gate.report.first_problem.message
    assert gate.report.status in ("error", "timeout")


def test_a_milestone_runs_on_real_data_and_that_unlocks_nothing(graduate):
    said = []
    assert graduate.place.milestone_run("foundation", said.append, data="mars").report.ok
    assert said[0] == "1957 pebbles lie on the mars."
    assert graduate.place.milestone_run("foundation", said.append).report.ok
    assert said[2] == "1957 pebbles lie on the beach."
    assert not graduate.place.progress().milestones


@pytest.mark.parametrize("name, data, words, cure", [
    ("foundation", "mun", "Foundation does not run on 'mun'.", "It runs on moon, mars."),
    ("foundation", "--data", "Foundation does not run on '--data'.", "It runs on moon, mars."),
    ("growth", "moon", "Growth does not run on 'moon'.", "Leave --data out."),
])
def test_an_unknown_data_set_is_refused_with_those_that_are_known(graduate, name, data, words, cure):
    with pytest.raises(UsageProblem) as refused: graduate.place.milestone_run(name, print, data=data)
    assert (refused.value.message, refused.value.cure) == (words, cure)


def test_a_gate_that_fails_says_what_was_measured(graduate):
    (graduate.root / "tinytorch/adding.py").write_text("def add(x, y):\n    return x + y + 1\n")
    found = graduate.place.milestone_test("foundation").report.first_problem
    assert (found.status, found.expected, found.got) == ("failed", "1957", "1960")


# ----------------------------------------------------------------------------- damage, disks, interruptions

@pytest.mark.parametrize("damage", [
    "", "{", "[]", '{"format": 1}', '{"format": "1", "lessons": {}, "milestones": {}}', None,
    '{"format": 1, "lessons": {"counting": 3}, "milestones": {}}',
    '{"format": 1, "lessons": {"counting": {"passed": "x"}}, "milestones": {}}',
    '{"format": 1, "lessons": {"counting": {"hints": {"after": "x"}}}, "milestones": {}}',
    '{"format": 1, "lessons": {}, "milestones": {"foundation": {"unlocked": "x", "numbers": 3}}}',
])
def test_damaged_progress_is_a_sentence_and_doctor_brings_the_last_good_one_back(learner, damage):
    learner.complete(1)
    file = learner.root / ".tito/progress.json"
    if damage is None: file.unlink()
    else: file.write_text(damage)
    for verb in (learner.place.standing, lambda: learner.place.test(1), lambda: learner.place.reset(1)):
        with pytest.raises(EnvironmentProblem, match=r"progress.json") as problem: verb()
        assert "tito doctor --fix" in problem.value.cure
    assert "progress" in {f.name for f in learner.place.doctor(fix=True) if f.fixed}
    assert learner.place.standing().lesson("counting").mark == "done"


class Interrupted:
    """Lets `ok` writes through, then raises."""

    def __init__(self, problem, ok, real): self.problem, self.left, self.real = problem, ok, real

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left < 0: raise self.problem
        return self.real(*args, **kwargs)


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("verb", ["complete", "reset", "undo"])
def test_interrupted_at_any_write_the_work_is_as_before_or_as_after(graduate, monkeypatch, verb, problem):
    """Every point of the change, one after the other: what follows sees one of two states."""
    place = graduate.place
    if verb == "undo": place.reset(1)
    trial = place.tests.lesson(place.course.curriculum.lesson(1), Limits())
    monkeypatch.setattr(place, "_tried", lambda *args: trial)
    monkeypatch.setattr(place.tests, "whole", lambda *args: None)
    if verb == "complete": (graduate.root / "tinytorch/counting.py").write_text("# other\n")
    changes = {"complete": lambda: place.complete(1), "reset": lambda: place.reset(1), "undo": place.undo}
    before, points = snapshot(graduate.root), 0
    for number in range(100):
        with monkeypatch.context() as patch:
            real = os.fsync
            patch.setattr("tito.ports.files.os.fsync", Interrupted(problem, number, real))
            try:
                changes[verb]()
                break
            except (KeyboardInterrupt, EnvironmentProblem, OSError):
                points += 1
        fresh = Workspace(graduate.root, place.course)
        fresh.changes()                             # settles what was cut off
        assert fresh.state.changes.unfinished() == [] and fresh.progress().completed("counting")
        if snapshot(graduate.root) != before: break      # it was over: only the last note was cut off
    assert points >= 4
    done, here = snapshot(graduate.root), Workspace(graduate.root, place.course)
    here.undo()
    assert snapshot(graduate.root) == before != done     # all of it was done, and all of it can be undone


def cut_off(place):
    """As after a power cut: the journal says begun, and half of the files are new."""
    change = place.state.changes.begin("reset", "counting", "reset 01 counting", ["01_counting.ipynb"],
                                       {"lessons": {"counting": None}})
    with place.state.changes.noting(change): write(place.notebook(1), "half")
    return change


def test_what_a_killed_tito_left_half_done_is_taken_back_by_the_next_one(learner):
    place = learner.place
    learner.solve(1)
    before = snapshot(learner.root)
    change = cut_off(place)
    assert "journal" in {f.name for f in place.doctor() if f.status == "warn"}
    place.start(1)
    assert snapshot(learner.root) == before and change.id not in {c.id for c in place.changes()}


def test_what_was_edited_since_a_tito_was_killed_is_not_taken_back(learner):
    place = learner.place
    cut_off(place)
    place.course.notebooks.write([], place.notebook(1))
    mine = place.notebook(1).read_bytes()
    place.start(1)
    assert place.notebook(1).read_bytes() == mine and not place.state.changes.unfinished()


def worker_of(process):
    """The process that runs the learner's code, once there is one."""
    for _ in range(200):
        command = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)]     # whole lines
        found = subprocess.run(command, capture_output=True, text=True)
        for line in found.stdout.splitlines():
            if "worker.py" in line: return int(line.split()[0])
        time.sleep(0.05)
    raise AssertionError("no worker")


def gone(pid):
    for _ in range(100):
        try: os.kill(pid, 0)
        except ProcessLookupError: return True
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z": return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("sign, code", [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_ctrl_c_and_kill_end_the_learners_code_too_and_leave_the_work_alone(learner, tito, sign, code):
    learner.solve(1, after="#| export exercise\ndef after(n):\n    while True: pass")
    before = snapshot(learner.root)
    process = tito(learner.place, "module", "complete", "01")
    worker = worker_of(process)
    time.sleep(0.5)
    process.send_signal(sign)
    process.communicate(timeout=20)
    assert process.returncode == code and gone(worker) and snapshot(learner.root) == before
    learner.solve(1)
    assert learner.place.complete(1).report.ok


def test_two_at_once_the_second_says_who_holds_the_workspace(learner, monkeypatch):
    monkeypatch.setattr("tito.ports.files.WAIT", 0.2)
    with learner.place.state.alone("complete 01 counting"), \
            pytest.raises(EnvironmentProblem, match="complete 01 counting"): learner.place.reset(1)
    assert learner.place.changes() == []


# ---------------------------------------------------------------------------------------------------- speed

def test_where_one_stands_is_known_without_reading_notebooks(learner):
    root, course = str(learner.root), str(learner.place.course.root)
    code = ("import sys; from pathlib import Path\n"
            "from tito.app import Workspace; from tito.services_course import Course\n"
            f"Workspace(Path({root!r}), Course(Path({course!r}))).standing()\n"
            "heavy = 'numpy', 'jupytext', 'nbformat', 'filelock', 'subprocess', 'rich'\n"
            "print([m for m in heavy if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_state_is_plain_json(learner):
    learner.complete(1)
    for name in ("progress.json", "progress.json.bak", "workspace.json", "reports/counting.json"):
        assert isinstance(json.loads((learner.root / ".tito" / name).read_text()), dict)
