"""A learner's whole way, played by scripts/demo.py in a folder of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow           # `make demo` walks the same way

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "scripts/demo.py"
UTF8 = {**os.environ, "PYTHONUTF8": "1"}


def tito(folder, *words):
    command = [sys.executable, "-m", "tito", *words]
    done = subprocess.run(command, cwd=folder, env=UTF8, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """What the demo printed, and the workspace it left."""
    folder = tmp_path_factory.mktemp("journey") / "mytorch"
    command = [sys.executable, DEMO, folder]
    done = subprocess.run(command, cwd=folder.parent, env=UTF8, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout, folder


def test_every_lesson_is_begun_blank_solved_and_completed(walked):
    text, folder = walked
    for chapter in sorted(ROOT.glob("modules/[0-9]*")):
        number = chapter.name[:2]
        typed = [line.split() for line in text.splitlines() if line.startswith("$ tito module")]
        steps = [verb for _, _, _, verb, lesson, *_ in typed if lesson == number]
        assert steps == ["start", "test", *["test"] * (number == "01"), "complete"]
        assert (folder / f"{chapter.name}.ipynb").exists()


def test_foundation_is_unlocked_with_evidence(walked):
    _, folder = walked
    progress = json.loads((folder / ".tito/progress.json").read_text("utf-8"))
    assert progress["milestones"]["foundation"]["numbers"]["accuracy"] >= 0.95


def test_the_demo_ends_on_the_timeline_with_everything_unlocked(walked):
    text, folder = walked
    typed = [line for line in text.splitlines() if line.startswith("$ tito milestone")]
    assert typed[-3:] == ["$ tito milestone status --detailed", "$ tito milestone timeline",
                          "$ tito milestone status --json"]
    told = json.loads(tito(folder, "milestone", "status", "--json"))["milestones"]
    assert [one["name"] for one in told if one["percent"] == 100] == [
        "foundation", "architecture", "training", "inference", "serving"]
    assert "I have built a complete" in (folder / "certificate.html").read_text("utf-8")


def test_the_learners_package_is_the_one_in_the_workspace(walked):
    _, folder = walked
    code = "import tinytorch as t; print(t.__file__, t.relu(t.tensor([-1.0, 2.0])).tolist())"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, encoding="utf-8")
    assert done.stdout.split() == [str(folder / "tinytorch/__init__.py"), "[0.0,", "2.0]"], done.stderr


def test_the_demo_says_so_when_a_blank_passes(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    monkeypatch.setattr(demo, "TITO", [sys.executable, "-c", "print('all is well')"])     # and exit code 0
    lesson = demo.open_course().curriculum.lesson("setup")
    with pytest.raises(demo.Unexpected, match="exit code 0, not 1"):
        demo.Learner(tmp_path).test_blank(lesson)
