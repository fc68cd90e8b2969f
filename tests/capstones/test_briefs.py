"""Capstones: starters are not enough, each brief can be solved with the package alone, and from a wheel."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tito import cli
from tito.app import create_workspace
from tito.core.errors import NotFound, UsageProblem
from tito.core.wheels import label
from tito.ports.files import write_tree
from tito.services_capstone import brief, briefs, start
from tito.services_course import digest, open_course
from tito.services_package import build, check

ROOT = Path(__file__).resolve().parents[2]
COURSE = open_course()
SOLVED = Path(__file__).with_name("solved")
ONE = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
MET = {"vision": 4, "language": 5, "forecast": 4}          # tests of each judge


def judged(name, folder, main=""):
    """What the judge of a brief prints about its starter, or about a solution; and its exit code."""
    shutil.copytree(COURSE.root / "capstones" / name, folder)
    shutil.copy(COURSE.milestones / "gates.py", folder)
    if main: shutil.copy(SOLVED / f"{main}.py", folder / "main.py")
    surroundings = {**os.environ, **ONE, "PYTHONPATH": str(ROOT), "TINYTORCH_SHIPPED": str(COURSE.datasets)}
    done = subprocess.run([sys.executable, "judge.py"], cwd=folder, env=surroundings, capture_output=True,
                          text=True)
    assert not done.stderr, done.stderr
    return done.stdout, done.returncode


def slow(*facts): return pytest.param(*facts, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["vision", "forecast", slow("language")])
def test_a_starter_runs_and_is_not_enough(name, tmp_path):
    said, code = judged(name, tmp_path / name)
    assert code == 1 and "   error  " not in said and said.count("passed") >= 2, said


@pytest.mark.parametrize(("name", "main"), [
    ("forecast", "forecast"), slow("forecast", "ratings"), slow("vision", "vision"),
    slow("language", "language")])
def test_each_can_be_solved_with_the_package_alone(name, main, tmp_path):
    said, code = judged(name, tmp_path / name, main)
    assert code == 0 and said.count("passed") == MET[name], said


@pytest.mark.parametrize("name", MET)
def test_a_brief_says_the_numbers_that_are_measured_and_the_points_make_a_hundred(name):
    text = (COURSE.root / "capstones" / name / "brief.md").read_text("utf-8")
    judge = (COURSE.root / "capstones" / name / "judge.py").read_text("utf-8")
    asked = text.partition("## What is asked")[2].partition("## ")[0]
    limits = {"vision": ["95 %", "8,192", "500", "30 %"], "language": ["2.35", "400,000", "24"],
              "forecast": ["0.85", "0.90", "18"]}[name]
    for limit in limits:
        assert limit in asked
        plain = limit.replace(",", "")
        plain = f"0.{plain[:2]}" if "%" in plain else plain
        assert plain in judge.replace("_", ""), f"{name}/judge.py does not measure {limit}"
    assert sum(int(n) for n in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)) == 100


def test_briefs_are_found_by_name():
    assert {b.name for b in briefs(COURSE)} == set(MET)
    assert all(len(b.about) > 80 and b.title for b in briefs(COURSE))
    with pytest.raises(NotFound, match="Did you mean 'vision'"): brief(COURSE, "visoin")


# -------------------------------------------------------------------------------------------------- a learner

@pytest.fixture(scope="module")
def graduate(tmp_path_factory):
    """A workspace in which every lesson counts as complete, with the course's own code in its tinytorch/."""
    place = create_workspace(tmp_path_factory.mktemp("graduate") / "mytorch", COURSE)
    lessons = [x for x in COURSE.curriculum if x.name in COURSE.written()]
    sources = {m: s for x in lessons for m, s in COURSE.sources(x, x.files).items()}
    progress = place.progress()
    for x in lessons:
        progress = progress.with_lesson(x.name, completed="2026-11-28", passed=2, total=2,
                                        digest=digest(x, sources))
    write_tree(place.root / "tinytorch", COURSE.package(sources))
    place.state.save(progress)
    return place


@pytest.mark.slow
def test_a_project_is_begun_in_the_workspace_and_runs_there_and_from_the_wheel(graduate, monkeypatch, capsys):
    monkeypatch.chdir(graduate.root)
    assert cli.main(["capstone", "start", "forecast"]) == 0
    assert "capstones/forecast/brief.md" in capsys.readouterr().out
    with pytest.raises(UsageProblem, match="there already"): start(graduate, "forecast")
    done = subprocess.run([sys.executable, "-m", "capstones.forecast.main"], cwd=graduate.root, text=True,
                          capture_output=True, env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"})
    assert done.returncode == 0 and "is sealed" in done.stdout, done.stderr
    made = build(graduate, label("tinytorch-ada", "1.0"))
    project = graduate.root / "capstones/forecast"
    shutil.copy(SOLVED / "forecast.py", project / "main.py")
    found = check(made.wheel, COURSE, project / "judge.py")
    assert [f.status for f in found] == ["ok"] * 6, found
    assert "serves a model" in found[4].what and "share 0.7" in found[5].what
