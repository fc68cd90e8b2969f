"""`tito package`: what is in a learner's wheel, what is refused, and what happens where others have one."""

import json
import shutil
import subprocess
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from tito import cli
from tito.app import Workspace
from tito.core import wheels
from tito.core.errors import EnvironmentProblem, Locked, NotFound, UsageProblem
from tito.core.wheels import label
from tito.ports.wheels import Environments, Packed
from tito.services_doctor import Doctor
from tito.services_package import archive, build, check, licence_text, newest

ROOT = Path(__file__).resolve().parents[2]
ADA = label("tinytorch-ada", "1.0", "MIT", "Ada Lovelace <ada@example.org>")
USE = "from tinytorch.counting import twice; from tinytorch.adding import add; print(add(twice(20), 2))"


# ------------------------------------------------------------------------------------------- what is on it

@pytest.mark.parametrize(("name", "found"), [
    ("tinytorch-ada", "tinytorch-ada"), ("TinyTorch_Ada", "tinytorch-ada"), ("a", "a"), ("a.b", "a-b")])
def test_names_are_spelt_as_pep_503_spells_them(name, found): assert label(name).name == found


@pytest.mark.parametrize(("change", "said"), [
    ({"name": "ada torch"}, "no name for a package"), ({"name": ""}, "no name"), ({"name": "-a"}, "no name"),
    ({"name": "tinytorch"}, "another project's"), ({"name": "TinyTorch.Tito"}, "holds its solutions"),
    ({"version": "one"}, "no version"), ({"version": "1.0-beta-x"}, "no version"),
    ({"licence": "Free"}, "no licence"), ({"licence": "MIT or"}, "no licence"),
    ({"author": "Ada\nObsoletes: all"}, "on one line"), ({"author": "Ada <ada@>"}, "no address"),
])
def test_what_no_tool_would_understand_is_refused(change, said):
    with pytest.raises(UsageProblem, match=said): label(**{"name": "tinytorch-ada"} | change)


@pytest.mark.parametrize(("version", "found"), [("1.0", "1.0"), ("v1.0-RC1", "1.0rc1"), ("26.11", "26.11")])
def test_versions_are_spelt_as_pep_440_spells_them(version, found):
    assert label("a", version).version == found


@pytest.mark.parametrize(("folder", "name"), [
    ("mytorch", "tinytorch-mytorch"), ("Ada's Torch", "tinytorch-ada-s-torch"),
    ("tinytorch", "tinytorch-mine"), ("Zoë", "tinytorch-zoe"), ("深", "tinytorch-mine"),
    ("tinytorch-tito", "tinytorch-mine")])
def test_a_name_is_found_for_every_folder(folder, name):
    assert wheels.suggested_name(folder) == label(name).name == name


def test_what_the_course_gave_keeps_its_licence():
    assert [wheels.with_the_courses(x) for x in ("MIT", "Apache-2.0", "0BSD OR ISC")] == [
        "MIT", "Apache-2.0 AND MIT", "(0BSD OR ISC) AND MIT"]


def test_dependencies_are_those_of_the_course():
    course = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert course["requires-python"] == wheels.PYTHON
    assert set(wheels.NUMPY) <= set(course["dependencies"])
    assert {name: tuple(course["optional-dependencies"][name]) for name in wheels.EXTRAS} == wheels.EXTRAS


# --------------------------------------------------------------------------------------------- what is in it

@pytest.fixture
def texts(graduate):
    builder = Packed()
    build(graduate.place, ADA, builder=builder)
    return builder.texts


def test_the_results_of_the_tests_are_in_it(texts, graduate):
    told = json.loads(texts["tinytorch/_built/tinytorch-ada.json"])
    records = graduate.place.progress().lessons
    assert [x["name"] for x in told["lessons"]] == ["counting", "adding"] and told["missing"] == []
    for one in told["lessons"]:
        record = records[one["name"]]
        assert (one["passed"], one["tests"], one["digest"]) == (record.passed, record.total, record.digest)
    assert told["distribution"] == "tinytorch-ada" and told["version"] == "1.0" and told["milestones"] == []


def test_the_page_tells_a_stranger_what_it_is(texts):
    page = texts["README.md"]
    assert "by Ada Lovelace" in page and "02 Adding" in page and "environment of its own" in page
    assert "No milestone is unlocked yet." in page


def test_the_evidence_of_milestones_is_in_it(graduate):
    graduate.place.milestone_unlock("foundation")
    builder = Packed()
    made = build(graduate.place, ADA, builder=builder)
    told = json.loads(builder.texts["tinytorch/_built/tinytorch-ada.json"])["milestones"]
    record = graduate.place.progress().milestones["foundation"]
    assert made.milestones == ("foundation",) and told[0]["numbers"] == dict(record.numbers)
    assert told[0]["same_code"] and "**Foundation**" in builder.texts["README.md"]


def test_files_of_ones_own_go_along_and_hints_do_not(graduate):
    (graduate.root / "tinytorch/mine.py").write_text("x = 1\n")
    builder = Packed()
    build(graduate.place, ADA, builder=builder)
    assert builder.texts["tinytorch/mine.py"] == "x = 1\n"
    assert "hints" not in builder.texts["tinytorch/_built/tinytorch-ada.json"]


def test_the_builder_is_told_in_toml(texts):
    told = tomllib.loads(texts["pyproject.toml"])["project"]
    assert told["authors"] == [{"name": "Ada Lovelace", "email": "ada@example.org"}]
    assert (told["name"], told["version"], told["license"]) == ("tinytorch-ada", "1.0", "MIT")
    assert "Copyright (c) Ada Lovelace" in texts["LICENSE"]
    assert "The TinyTorch authors" in texts["LICENSE.course"]
    odd = label("a", author='Ada "the \\ first" Ünal')
    assert tomllib.loads(wheels.project(odd))["project"]["authors"] == [{"name": 'Ada "the \\ first" Ünal'}]


# ----------------------------------------------------------------------------------------- what is refused

def refused(place, problem, said, **how):
    with pytest.raises(problem, match=said): build(place, ADA, builder=Packed(), **how)
    assert not (place.root / "dist").exists()


def test_without_a_lesson_there_is_nothing_to_pack(place):
    refused(place, Locked, "nothing to pack", anyway=True)


def test_a_lesson_that_is_missing_is_named(learner):
    learner.complete(1)
    refused(learner.place, Locked, "02 adding is not complete")
    builder = Packed()
    assert build(learner.place, ADA, anyway=True, builder=builder).missing == ("02 adding",)
    assert "Not built yet: 02 adding." in builder.texts["README.md"]


def test_code_that_changed_since_it_passed_is_refused(graduate):
    path = graduate.root / "tinytorch/counting.py"
    path.write_text(path.read_text() + "\n# a word more\n")
    for anyway in (False, True):
        refused(graduate.place, Locked, "01 counting changed since it passed", anyway=anyway)


def test_faces_that_changed_are_refused(graduate):
    path = graduate.root / "tinytorch/__init__.py"
    path.write_text(path.read_text() + "\nx = 1\n")
    refused(graduate.place, EnvironmentProblem, "other files than it should")


def test_a_package_that_lies_elsewhere_is_refused(graduate, tmp_path):
    shutil.move(graduate.root / "tinytorch", tmp_path / "elsewhere")
    (graduate.root / "tinytorch").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    refused(graduate.place, EnvironmentProblem, "is a link")


def test_another_package_under_the_name_is_refused(graduate, tmp_path):
    class Elsewhere:
        def imported(self, folder): return str(tmp_path / "site-packages/tinytorch/__init__.py")
    place = Workspace(graduate.root, graduate.place.course, runner=Elsewhere())
    refused(place, EnvironmentProblem, "import tinytorch gives .*site-packages")


def test_no_wheel_is_written_over_unless_told(graduate):
    first = build(graduate.place, ADA, builder=Packed())
    with pytest.raises(UsageProblem, match="is there already"): build(graduate.place, ADA, builder=Packed())
    assert build(graduate.place, ADA, builder=Packed(), force=True).replaced and not first.replaced


def test_a_licence_comes_from_a_file(tmp_path):
    (tmp_path / "words").write_text("Do as you like.\n")
    assert licence_text(tmp_path / "words") == "Do as you like.\n"
    (tmp_path / "words").write_text(" \n")
    with pytest.raises(UsageProblem, match="is empty"): licence_text(tmp_path / "words")
    with pytest.raises(NotFound): licence_text(tmp_path / "none")


def test_the_command(graduate, monkeypatch, capsys):
    monkeypatch.setattr("tito.commands.package.workspace", lambda: graduate.place)
    monkeypatch.setattr("tito.services_package.Hatchling", Packed)
    assert cli.main(["package", "build", "--version", "1.0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["name"]) == ("wheel", "tinytorch-graduate")
    assert told["lessons"] == ["counting", "adding"]
    assert cli.main(["package", "build", "--version", "1.0"]) == 2
    assert cli.main(["package", "build", "--version", "one"]) == 2
    assert cli.main(["package", "build", "--version", "1.0", "--force"]) == 0
    assert "tito package check" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------- a real wheel

@pytest.fixture(scope="module")
def wheel(course, finished_workspace, tmp_path_factory):
    root = Path(shutil.copytree(finished_workspace, tmp_path_factory.mktemp("wheel") / "ws"))
    return build(Workspace(root, course), ADA).wheel


def test_the_same_package_gives_the_same_bytes(wheel, course, finished_workspace, tmp_path):
    root = Path(shutil.copytree(finished_workspace, tmp_path / "elsewhere"))
    assert build(Workspace(root, course), ADA).wheel.read_bytes() == wheel.read_bytes()


def test_its_metadata_says_what_was_asked(wheel):
    with zipfile.ZipFile(wheel) as file:
        told = message_from_string(file.read("tinytorch_ada-1.0.dist-info/METADATA").decode())
        names = file.namelist()
    assert (told["Name"], told["Version"]) == ("tinytorch-ada", "1.0")
    assert told["License-Expression"] == "MIT"
    assert told.get_all("License-File") == ["LICENSE", "LICENSE.course"]
    assert "numpy>=2.1" in told.get_all("Requires-Dist") and "## What was tested" in told.get_payload()
    assert newest(wheel.parent) == wheel and archive(wheel).status == "ok"
    assert {name.split("/")[0] for name in names} == {"tinytorch", "tinytorch_ada-1.0.dist-info"}


@pytest.mark.parametrize(("change", "said"), [
    (lambda files: files.update({"tinytorch/counting.py": b"evil"}), "counting.py is not what RECORD says"),
    (lambda files: files.update({"tinytorch/more.py": b""}), "more.py is in the wheel and not in RECORD"),
    (lambda files: files.pop("tinytorch/counting.py"), "counting.py is in RECORD and not in the wheel"),
])
def test_a_wheel_that_was_changed_is_found(change, said, wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file: files = {name: file.read(name) for name in file.namelist()}
    change(files)
    with zipfile.ZipFile(tmp_path / wheel.name, "w") as file:
        for name, data in files.items(): file.writestr(name, data)
    found = archive(tmp_path / wheel.name)
    assert found.status == "bad" and said in found.what


def test_it_installs_where_nothing_else_is_and_guards_its_name(wheel, course, graduate, tmp_path):
    """One environment, because it takes seconds to make: checked, used, refused in a workspace, mixed."""
    class Kept(Environments):
        def make(self, folder):
            self.python = super().make(tmp_path / "venv")
            return self.python
    program = tmp_path / "project/main.py"
    program.parent.mkdir()
    program.write_text(USE)
    rooms = Kept()
    found = check(wheel, course, program, rooms)
    assert [(f.name, f.status) for f in found] == [
        (name, "ok") for name in ("archive", "install", "pip check", "import", "main.py")], found
    assert found[3].what == "import tinytorch is tinytorch-ada 1.0" and found[4].what == "42"

    def ask(code, folder=tmp_path):
        done = subprocess.run([rooms.python, "-c", code], cwd=folder, capture_output=True, text=True)
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]
    assert ask(USE) == "42"
    assert "this is the tinytorch-ada" in ask("from tinytorch import __workspace__")
    inside = graduate.root / "notes"
    inside.mkdir()
    assert f"not the one you write in {graduate.root}" in ask(USE, inside)
    package = next((tmp_path / "venv").rglob("tinytorch/_installed.py")).parent
    shutil.copy(ROOT / "tinytorch/_reference.py", package)
    assert "the files of tinytorch-tito and of tinytorch-ada, one over the other" in ask(USE)
    (package / "_reference.py").unlink()
    (package / "_built/tinytorch-bob.json").write_text("{}")
    assert "pip uninstall tinytorch-ada tinytorch-bob" in ask(USE)
    doctor = Doctor(graduate.place)
    assert doctor.reference().status == "ok"
    doctor.course = type("Course", (), {"reference": package})
    assert "tinytorch-bob" in doctor.reference().what and doctor.reference().status == "bad"


def test_nothing_is_checked_that_is_not_there(course, tmp_path, wheel):
    with pytest.raises(NotFound, match="no wheel"): check(tmp_path / "none.whl", course)
    with pytest.raises(NotFound, match="no wheel"): newest(tmp_path)
    with pytest.raises(NotFound, match="no program"): check(wheel, course, tmp_path / "none.py")
    (tmp_path / "none.whl").write_text("no zip")
    assert check(tmp_path / "none.whl", course)[0].status == "bad"
