"""A package as a learner would own it, and the programs of the milestones, run on it as `tito` runs them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def package(tmp_path) -> Path:
    """A copy of the reference, to break."""
    return Path(shutil.copytree(ROOT / "tinytorch", tmp_path / "learner/tinytorch"))


@pytest.fixture
def start(package):
    """Starts the program of a milestone, or other code about it, on the package."""
    def start(program: Path, report, *instead, **settings):
        given = {"TITO_DATASETS": ROOT / "datasets", "TITO_ASSETS": program.parent, "TITO_REPORT": report,
                 "PYTHONPATH": package.parent, "PYTHONUTF8": 1,
                 "OMP_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1, "TINYTORCH_KERNELS": "numpy"}
        env = {**os.environ, **{name: str(value) for name, value in given.items()}}
        return subprocess.run([sys.executable, *(instead or [program])], cwd=package.parent, env=env,
                              encoding="utf-8", **settings)
    return start


@pytest.fixture
def play(start, tmp_path):
    """The same: exit code, printed text and report."""
    def play(program: Path, *instead):
        report = tmp_path / "report.json"
        done = start(program, report, *instead, capture_output=True)
        assert report.exists(), done.stderr
        return done.returncode, done.stdout, json.loads(report.read_text())
    return play


@pytest.fixture
def shut(package, play):
    """Breaks the package, and asserts that this test is the first to fail, with this word in its message."""
    def shut(program: Path, sabotage: str, name: str, word: str, *instead):
        with (package / "__init__.py").open("a", encoding="utf-8") as face: face.write(sabotage)
        code, _, report = play(program, *instead)
        failed = {t["name"]: t for t in report["tests"] if t["status"] != "passed"}
        assert code == 1
        assert next(iter(failed), None) == name, f"the first to fail is {next(iter(failed.items()), None)}"
        assert word in failed[name]["message"]
        return failed[name]
    return shut
