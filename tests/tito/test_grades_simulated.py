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
    process = subprocess.Popen([sys.executable, "-m", "tito", "course", "grade", "one", "--jobs", "2",
                                "--json"], cwd=place.root,
                               env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
                               start_new_session=True)
    done = place.state / "graded"
    while process.poll() is None and (until is None
                                      or len(list(done.glob("*.json"))) < until): time.sleep(0.05)
    if until is None:
        assert process.wait() == 0, process.stdout.read()
    else:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()


def what_came(place: Class) -> dict[str, float]:
    return {row.student: row.earned for row in place.rows(place.plan.assignments[0])}


@pytest.mark.parametrize("students", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_everybody_gets_what_they_must_get_though_the_run_is_killed_twice(students, tmp_path):
    place, expected = prepared(tmp_path, "activations", students)
    for share in (0.2, 0.5): graded(place, until=int(students * share))
    before = {p.name: p.stat().st_mtime_ns for p in (place.state / "graded").glob("*.json")}
    assert before
    graded(place)
    after = {p.name: p.stat().st_mtime_ns for p in (place.state / "graded").glob("*.json")}
    assert {name: after[name] for name in before} == before         # nothing was marked twice
    came = what_came(place)
    assert {s: (e["kind"], came.get(s)) for s, e in expected.items()} == {
        s: (e["kind"], e["points"]) for s, e in expected.items()}
    assert write_pages(place, place.plan.assignments[0],
                       {"feedback.html": html, "feedback.md": markdown}) == 2 * students
    assert export(place, place.plan.assignments, tmp_path / "grades.csv", "csv", None) == students
