"""A simulated class is collected, graded, killed on the way, resumed: everybody gets what they must get."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tito.ports.cluster import InTurn
from tito.ports.sandbox import works
from tito.services_generate import generate
from tito.services_grading import Class, export, make_class, write_pages
from tito.view.feedback import html, markdown

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(bool(works()), reason=f"no sandbox here: {works()}")

spec = importlib.util.spec_from_file_location("simulated_class", ROOT / "scripts" / "simulated_class.py")
simulated = importlib.util.module_from_spec(spec)
sys.modules["simulated_class"] = simulated
spec.loader.exec_module(simulated)


def prepared(folder: Path, lesson: str, students: int) -> tuple[Class, dict[str, dict]]:
    simulated.make(folder / "made", lesson, students)
    place = make_class(folder / "class", "simulated")
    (place.root / "course.toml").write_text(
        'format = 1\nname = "simulated"\n[grading]\ncheck = 3\n'
        f'[[assignment]]\nname = "one"\nlessons = ["{lesson}"]\n')
    place = Class(place.root)
    generate(place, place.plan.assignments[0])
    place.collect(folder / "made" / "submissions", place.plan.assignments[0])
    return place, json.loads((folder / "made" / "expected.json").read_text("utf-8"))


def graded(place: Class, until: int | None = None) -> None:
    """`tito course grade` in a process of its own; killed as soon as so many notebooks are marked."""
    command = [sys.executable, "-m", "tito", "course", "grade", "one", "--jobs", "2", "--json"]
    process = subprocess.Popen(command, cwd=place.root, env={**os.environ, "PYTHONPATH": str(ROOT)},
                               stdout=subprocess.DEVNULL, start_new_session=True)
    if until is None:
        assert process.wait() == 0
        return
    done = place.state / "graded"
    while process.poll() is None and len(list(done.glob("*.json"))) < until: time.sleep(0.05)
    assert process.poll() is None, "it was done before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def compared(place: Class, expected: dict[str, dict]) -> dict[str, dict]:
    """What everybody got, in the form of what they must get."""
    came = {row.student: row.earned for row in place.rows(place.plan.assignments[0])}
    return {student: {**facts, "points": came.get(student)} for student, facts in expected.items()}


def test_a_dozen_get_what_they_must_get(tmp_path):
    place, expected = prepared(tmp_path, "activations", 12)
    place.grade(place.plan.assignments[0], InTurn())
    assert compared(place, expected) == expected


@pytest.mark.slow
def test_two_hundred_get_what_they_must_get_though_the_run_is_killed_twice(tmp_path):
    place, expected = prepared(tmp_path, "activations", 200)
    for marked in (40, 90): graded(place, until=marked)
    before = {p.name: p.stat().st_mtime_ns for p in (place.state / "graded").glob("*.json")}
    graded(place)
    after = {p.name: p.stat().st_mtime_ns for p in (place.state / "graded").glob("*.json")}
    assert len(before) >= 90 and {name: after[name] for name in before} == before       # none marked twice
    assert compared(place, expected) == expected
    kinds = {"feedback.html": html, "feedback.md": markdown}
    assert write_pages(place, place.plan.assignments[0], kinds) == 400
    assert export(place, place.plan.assignments, tmp_path / "grades.csv", "csv", None) == 200
