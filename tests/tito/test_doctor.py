"""What the doctor finds, and what it repairs; which editor opens a notebook."""

import json
import shutil
from pathlib import Path

import pytest

from tito import services_doctor, services_surroundings
from tito.core.errors import EnvironmentProblem
from tito.ports.editor import Desktop


def found(place, fix=False): return {f.name: f for f in place.doctor(fix)}


def test_a_healthy_workspace_has_nothing_bad(graduate):
    assert {f.name for f in graduate.place.doctor() if f.status == "bad"} == set()
    assert found(graduate.place)["progress"].what == "2 lessons complete"


@pytest.mark.parametrize("name, damage", [
    ("workspace", lambda root: (root / ".tito/workspace.json").write_text("{")),
    ("progress", lambda root: (root / ".tito/progress.json").write_text("{")),
    ("progress", lambda root: (root / ".tito/progress.json").unlink()),
    ("journal", lambda root: (root / ".tito/journal.jsonl").write_text('{"id"')),
    ("package", lambda root: (root / "tinytorch/__init__.py").unlink()),
    ("package", lambda root: (root / "tinytorch/__init__.py").write_text("# mine")),
    ("01_counting.ipynb", lambda root: (root / "01_counting.ipynb").unlink()),
    ("leftovers", lambda root: (root / ".tito/stage/999999999-x").mkdir(parents=True)),
])
def test_what_is_damaged_is_found_and_repaired(graduate, name, damage):
    place = graduate.place
    damage(place.root)
    before = found(place)[name]
    assert before.status != "ok" and before.fixable and before.cure
    assert found(place, fix=True)[name].fixed
    assert found(place)[name].status == "ok" and place.standing().lesson("adding").completed


def test_damaged_progress_is_kept_beside_the_repaired_one(graduate):
    file = graduate.root / ".tito/progress.json"
    file.write_text("half")
    graduate.place.doctor(fix=True)
    assert (graduate.root / ".tito/progress.json.damaged").read_text() == "half"


def test_without_any_good_copy_progress_begins_anew_and_the_notebooks_stay(graduate):
    for name in ("progress.json", "progress.json.bak"): (graduate.root / ".tito" / name).write_text("{")
    assert found(graduate.place, fix=True)["progress"].fixed
    assert graduate.place.standing().lesson("counting").mark == "open"
    assert graduate.place.complete(1).report.ok


def test_progress_of_a_newer_tito_is_not_repaired_away(graduate):
    file = graduate.root / ".tito/progress.json"
    text = json.dumps({**json.loads(file.read_text()), "format": 99})
    file.write_text(text)
    finding = found(graduate.place, fix=True)["progress"]
    assert (finding.status, finding.fixed, file.read_text()) == ("bad", False, text)


def test_a_damaged_notebook_is_named_and_left_alone(place):
    place.notebook(1).write_text("{")
    assert found(place, fix=True)["01_counting.ipynb"].status == "bad"
    assert place.notebook(1).read_text() == "{"


def test_a_tinytorch_that_is_a_link_is_named_with_both_paths(place, tmp_path):
    (place.root / "tinytorch").rename(tmp_path / "elsewhere")
    (place.root / "tinytorch").symlink_to(tmp_path / "elsewhere")
    finding = found(place)["package"]
    assert finding.status == "bad" and str(tmp_path / "elsewhere") in finding.what


def test_a_file_where_the_package_should_be_is_named_before_anything_is_begun(place):
    shutil.rmtree(place.root / "tinytorch")
    (place.root / "tinytorch").write_text("mine")
    for verb in (place.start, place.test, place.export):
        with pytest.raises(EnvironmentProblem, match="is a file, where your package should be"): verb(1)
    assert found(place, fix=True)["package"].status == "bad" and found(place)["journal"].status == "ok"
    (place.root / "tinytorch").rename(place.root / "other")
    assert found(place, fix=True)["package"].fixed


def test_another_tinytorch_on_the_way_is_named_with_both_paths(place, tmp_path, monkeypatch):
    other = tmp_path / "other/tinytorch/__init__.py"
    other.parent.mkdir(parents=True)
    other.write_text("")
    monkeypatch.setattr(place.tests.runner, "imported", lambda folder: str(other))
    finding = found(place)["tinytorch"]
    assert finding.status == "bad"
    assert str(other) in finding.what and str(place.root / "tinytorch") in finding.what


def test_missing_packages_and_old_pythons_are_said_with_a_cure(monkeypatch):
    monkeypatch.setattr(services_surroundings, "NEEDED", {"numpy": (2, 1), "no_such_package": (1,)})
    assert services_surroundings.packages().status == "bad" and "pip install" in services_surroundings.packages().cure
    monkeypatch.setattr(services_surroundings, "OLDEST", (99, 0))
    assert services_surroundings.python().status == "bad"


def test_little_room_on_the_disk_is_said(place, monkeypatch):
    monkeypatch.setattr(services_doctor, "LITTLE", 1 << 40)
    assert found(place)["disk"].status == "warn"
    monkeypatch.setattr(services_doctor, "VERY_LITTLE", 1 << 40)
    assert found(place)["disk"].status == "bad"


# ----------------------------------------------------------------------------------------------- editors

CODE, LAB = {"TERM_PROGRAM": "vscode"}, "jupyterlab"


@pytest.mark.parametrize("environment, code, packages, tool, words", [
    (CODE, "/bin/code", [LAB], "VS Code", ["/bin/code", "-r"]),
    ({}, "/bin/code", [LAB], "Jupyter Lab", ["-m", "jupyterlab"]),
    (CODE, None, [LAB], "Jupyter Lab", ["-m", "jupyterlab"]),
    (CODE, None, [], "", None),
])
def test_a_notebook_opens_where_the_learner_works(environment, code, packages, tool, words):
    started = []
    desk = Desktop(environment, lambda name: code, packages.__contains__, lambda *what: started.append(what))
    opened = desk.open(Path("/ws/02_tensor.ipynb"))
    assert opened.tool == tool and "02_tensor.ipynb" in opened.sentence
    if words is None: assert started == []
    else: assert started[0][0][-3:-1] == words and started[0][1] == Path("/ws")


def test_an_editor_that_does_not_start_is_no_disaster():
    def refuse(*_): raise PermissionError(13, "Permission denied")
    opened = Desktop(CODE, lambda name: "/bin/code", lambda name: False, refuse).open(Path("/ws/a.ipynb"))
    assert opened.tool == "" and "/ws/a.ipynb" in opened.sentence
