"""A learner's whole way through a small course, typed at the command line; code runs in real processes."""

import json
import re

import pytest

from tito import cli

WRONG = "#| export exercise\ndef after(n):\n    print('counting', n)\n    return n - 1"


@pytest.fixture
def here(course, place, monkeypatch):
    """In the workspace, with the small course installed."""
    monkeypatch.setattr("tito.app.open_course", lambda: course)
    monkeypatch.chdir(place.root)
    return place


@pytest.fixture
def tito(here, capsys):
    def typed(line):
        code = cli.main(line.split())
        return (code, *capsys.readouterr())
    return typed


@pytest.fixture
def answer(tito):
    def asked(line): return json.loads(tito(f"{line} --json")[1])
    return asked


def test_a_workspace_is_made_and_says_how_to_begin(tito, tmp_path, monkeypatch):
    (tmp_path / "shelf").mkdir()
    monkeypatch.chdir(tmp_path / "shelf")
    code, out, _ = tito("init mytorch")
    assert code == 0 and "cd mytorch" in out and "tito module start 01" in out
    assert (tmp_path / "shelf" / "mytorch" / "01_counting.ipynb").exists()
    assert tito("init mytorch")[0] == 2


def test_the_whole_way(tito, learner):
    assert "tito module start 01" in tito("")[1]
    assert tito("module start 01 --no-open")[0] == 0

    code, out, _ = tito("module test")
    assert code == 1 and "your turn" in out and "✗" not in out          # nothing written is nothing wrong

    learner.write(1, after=WRONG)
    code, out, _ = tito("module test")
    assert code == 1
    for fact in ("after one comes two", "expected  2", "got       0", "counting 1", "module hint 01 after"):
        assert fact in out
    assert "after is next." in tito("")[1]

    learner.solve(1)
    assert tito("module test")[0] == 0
    code, out, _ = tito("module complete")
    assert code == 0 and "tinytorch/counting.py" in out and "tito module start 02" in out
    assert "complete" not in tito("module test 01")[1]                  # nothing to say about what is done

    assert tito("module start --no-open")[1].startswith("02 adding")
    learner.solve(2)
    code, out, _ = tito("module complete")
    assert code == 0 and "tito milestone unlock foundation" in out

    assert tito("milestone test foundation")[0] == 0
    code, out, _ = tito("milestone unlock")
    assert code == 0 and "Foundation is unlocked." in out and "pebbles  1957" in out
    code, out, _ = tito("milestone run foundation")
    assert code == 0 and "You counted 1957." in out
    assert re.search(r"✓ Foundation +━+  100 %  unlocked", tito("milestone status --detailed")[1])
    assert "03 multiplying is being written" in tito("")[1]


def test_hints_are_counted_and_end(tito):
    assert "1 of 2  Think of one more pebble." in tito("module hint 01 after")[1]
    assert "2 of 2  Add one to n." in tito("module hint 01 after")[1]
    assert "no more hints" in tito("module hint 01 after")[1]
    assert "2 hints seen" in tito("module status 01")[1]


def test_who_has_solved_everything_gets_no_hint(tito, answer, learner):
    learner.solve(1)
    tito("module test 01")
    code, out, _ = tito("module hint 01")
    assert code == 0 and "Every exercise of 01 counting passed" in out and "1 of 2" not in out
    assert answer("module hint 01 --all") == {
        "schema": 1, "kind": "hints", "lesson": "counting", "exercise": "", "total": 0, "hints": []}
    assert "hints" not in tito("module status 01")[1]           # and none counts as seen
    assert "1 of 2" in tito("module hint 01 after")[1]          # one can insist


def test_the_solution_waits_until_mine_passes(tito, learner):
    assert tito("module solution 01 after")[0] == 4
    learner.solve(1)
    tito("module test 01")
    assert "return n + 1" in tito("module solution 01 after")[1]


def test_show_tells_what_i_wrote_and_how_it_went(tito, learner):
    learner.solve(1, after=WRONG)
    tito("module test 01")
    out = tito("module show 01")[1]
    assert "✗ after" in out and "✓ twice" in out
    assert "return n - 1" in tito("module show 01 after")[1]


def test_reset_and_undo(tito, learner, here):
    learner.solve(1)
    mine = here.notebook(1).read_text("utf-8")
    assert tito("module reset 01")[0] == 0 and here.notebook(1).read_text("utf-8") != mine
    assert tito("undo")[0] == 0 and here.notebook(1).read_text("utf-8") == mine
    assert len(tito("undo --list")[1].splitlines()) == 2


def test_export_writes_without_testing(tito, learner, here):
    learner.solve(1)
    assert tito("export 01")[0] == 0
    assert "return n + 1" in (here.root / "tinytorch" / "counting.py").read_text("utf-8")


def test_code_that_changed_after_it_passed_shows_as_stale(tito, learner, here):
    learner.complete(1)
    file = here.root / "tinytorch" / "counting.py"
    file.write_text(file.read_text("utf-8") + "\n# tidied by hand\n", "utf-8")
    assert "≈ 01 counting" in tito("module list")[1]
    assert "Your code has changed since it passed." in tito("")[1]


def test_a_loop_without_end_is_named_with_its_line(tito, learner):
    learner.solve(1, after="#| export exercise\ndef after(n):\n    while True:\n        n = n")
    code, out, _ = tito("module test 01 --seconds 1")
    assert code == 1 and "1 out of time" in out and "01_counting.ipynb, cell after" in out


@pytest.mark.parametrize("line, code", [
    ("module start 02", 4), ("module test 77", 4), ("module hint 01 nothing", 4), ("milestone unlock", 4),
    ("milestone test nowhere", 4), ("module test 03", 4), ("undo", 4), ("undo 2020-nothing", 4)])
def test_what_is_not_there_or_not_yet_is_4_with_a_cure(line, code, tito):
    assert tito(line)[0] == code
    assert tito(f"{line} --json")[0] == code


def test_an_unknown_data_set_is_2_and_the_known_ones_are_named(tito):
    code, _, err = tito("milestone run foundation --data mun")
    assert code == 2 and "does not run on 'mun'" in err and "moon, mars" in err


@pytest.mark.parametrize("words, said", [
    (["init", ""], "name of the folder is empty"), (["init", "a file"], "is a file"),
    (["module", "test", "01", "--seconds", "0"], "--seconds is 0.0, and must be a number above 0")])
def test_what_makes_no_sense_is_2(words, said, here, tmp_path, monkeypatch, capsys):
    (tmp_path / "a file").write_text("")
    if words[0] == "init": monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2 and said in capsys.readouterr().err


def test_a_folder_that_is_gone_is_said_to_be(tito, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for line in ("", "status", "module list", "init x", "export", "doctor"):
        code, _, err = tito(line)
        assert code == 3 and err.startswith("The folder you are in does not exist any more."), line


def test_every_answer_can_be_had_in_json(answer, learner):
    learner.complete(1, 2)
    assert answer("status")["milestones"][0]["ready"] is True
    assert [x["mark"] for x in answer("module list")["lessons"]] == ["done", "done", "unwritten", "unwritten"]
    assert answer("module show 01")["exercises"][0]["status"] == "passed"
    assert answer("milestone test foundation")["report"]["numbers"] == {"pebbles": 1957}
    assert answer("milestone unlock")["record"]["numbers"] == {"pebbles": 1957}
    assert answer("undo --list")["changes"][0]["verb"] == "complete"
    assert all(f["status"] != "bad" for f in answer("doctor")["findings"])
