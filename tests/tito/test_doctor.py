"""What the doctor finds, and what it repairs; which editor opens a notebook."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tito import services_doctor
from tito import services_surroundings as surroundings
from tito.core.errors import EnvironmentProblem
from tito.core.plan import Limits
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


def test_a_damaged_notebook_is_named_and_left_alone_until_it_is_to_be_fixed(place):
    place.notebook(1).write_text("{")
    assert found(place)["01_counting.ipynb"].status == "bad" and place.notebook(1).read_text() == "{"


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
    monkeypatch.setattr(surroundings, "NEEDED", {"numpy": (2, 1), "no_such_package": (1,)})
    missing = surroundings.packages()
    assert missing.status == "bad" and "pip install" in missing.cure
    monkeypatch.setattr(surroundings, "OLDEST", (99, 0))
    assert surroundings.python().status == "bad"


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


# ----------------------------------------------------------------------------------- damaged notebooks

def altered(path, change):
    data = json.loads(path.read_text("utf-8"))
    change(data["cells"])
    path.write_text(json.dumps(data), "utf-8")


def at(cells, id): return next(i for i, cell in enumerate(cells) if cell.get("id") == id)


@pytest.mark.parametrize("damage, said", [
    (lambda cells: cells.pop(at(cells, "twice")), "twice is gone"),
    (lambda cells: cells.pop(at(cells, "check-after")), "check-after is gone"),
    (lambda cells: cells.append({**cells[at(cells, "after")], "source": "x = 1"}), "after is there twice"),
    (lambda cells: [cell.pop("id") for cell in cells], "lost their ids"),
])
def test_a_notebook_whose_cells_have_suffered_is_mended_and_that_can_be_undone(learner, damage, said):
    learner.solve(1)
    path = learner.place.notebook(1)
    altered(path, damage)
    before = path.read_bytes()
    assert said in found(learner.place)[path.name].what and found(learner.place, fix=True)[path.name].fixed
    assert found(learner.place)[path.name].status == "ok" and "return n + 1" in path.read_text("utf-8")
    assert learner.place.undo().what.startswith("undo mend") and path.read_bytes() == before


@pytest.mark.parametrize("cut", [
    lambda text: text[:text.index('"twice"')], lambda text: text.replace('"cells"', '<<<<<<< HEAD\n"cells"'),
    lambda text: text + "x"])
def test_of_a_notebook_that_broke_off_the_cells_that_can_be_read_are_saved(learner, cut):
    learner.solve(1)
    path = learner.place.notebook(1)
    path.write_text(cut(path.read_text("utf-8")), "utf-8")
    broken = path.read_text("utf-8")
    assert found(learner.place, fix=True)[path.name].fixed
    assert path.with_suffix(".damaged").read_text("utf-8") == broken
    report = learner.place.tests.lesson(learner.place.current(), Limits()).report
    names = {result.name: result.status for result in report.tests}
    assert names["after"] == "passed" and "twice" in names


# --------------------------------------------------------------------------------- what it stands in

def test_the_least_versions_are_those_of_pyproject():
    import tomllib

    root = Path(__file__).resolve().parents[2]
    wanted = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    said = {name: tuple(map(int, least.split("."))) for name, least in (line.split(">=") for line in wanted)}
    assert said == surroundings.NEEDED


def test_a_package_that_is_too_old_is_named_with_what_is_needed(monkeypatch):
    monkeypatch.setattr(surroundings, "installed", lambda name: "1.26.4" if name == "numpy" else "")
    assert "numpy 1.26.4 (needs 2.1)" in surroundings.packages().what


@pytest.mark.parametrize("cards, cupy, probe, status, said", [
    ("", True, "", "ok", "none"),
    ("H200\n", False, "", "warn", "CuPy is not"),
    ("H200\n", True, "", "warn", "cannot compute"),
    ("H200\n", True, "12.0 14.2", "ok", "H200, CuPy 14.2"),
])
def test_a_graphics_card_is_of_use_only_if_it_computes(cards, cupy, probe, status, said, monkeypatch):
    monkeypatch.setattr(surroundings, "find_spec", lambda name: cupy or None)
    told = {"nvidia-smi": cards}
    monkeypatch.setattr(surroundings, "said_by", lambda words, seconds: told.get(words[0], probe))
    finding = surroundings.gpu()
    assert (finding.status, bool(finding.cure)) == (status, status == "warn") and said in finding.what


def test_a_kernel_of_another_python_is_named_with_how_to_get_this_one(tmp_path, monkeypatch):
    monkeypatch.setattr(surroundings, "find_spec", lambda name: True)
    monkeypatch.setattr(surroundings.sys, "prefix", surroundings.sys.base_prefix)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    kernel = tmp_path / "kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    for argv, status in (["/usr/bin/other"], "warn"), ([surroundings.sys.executable], "ok"), ([], "ok"):
        kernel.write_text(json.dumps({"argv": argv}))
        assert surroundings.kernel().status == status
    monkeypatch.setattr(surroundings, "find_spec", lambda name: None)
    assert "ipykernel" in surroundings.kernel().cure


def test_files_that_may_not_be_written_are_named_and_made_writable(graduate):
    path = graduate.place.notebook(1)
    path.chmod(0o444)
    assert path.name in found(graduate.place)["permissions"].what
    assert found(graduate.place, fix=True)["permissions"].fixed and path.stat().st_mode & 0o200


def test_half_written_files_of_the_dead_are_cleared_away_and_those_of_the_living_are_not(place):
    dead, living = place.root / "tinytorch/.a.py.999999999.new", place.root / f".b.{os.getpid()}.new"
    for path in (dead, living): path.write_text("")
    assert found(place, fix=True)["leftovers"].fixed and not dead.exists() and living.exists()
