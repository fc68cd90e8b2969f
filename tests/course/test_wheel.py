"""The same journey from the wheel, in an empty directory, with nothing of the checkout in sight."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "scripts/demo.py"
pytestmark = pytest.mark.slow


def run(*command, cwd):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONUTF8": "1"}
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", out, ROOT, cwd=out)
    return next(out.glob("*.whl"))


def test_the_wheel_carries_the_course(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in ("modules/curriculum.toml", "modules/02_tensor/tensor.py", "milestones/gates.py",
                   "milestones/foundation/milestone.py", "milestones/foundation/weights.npz",
                   "modules/02_tensor/quiz.toml", "capstones/vision/brief.md", "LICENSE",
                   "datasets/digits/digits.npz", "datasets/digits/LICENSE"):
        assert f"tito/_course/{needed}" in names
    assert any(name.startswith("tito/_course/tests/") for name in names)
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


def test_a_wheel_brings_compiled_kernels_where_they_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYTORCH_BUILD_KERNELS", "1")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT, cwd=tmp_path)
    (made,) = tmp_path.glob("*.whl")
    assert "-py3-none-" in made.name and not made.name.endswith("any.whl")
    names = zipfile.ZipFile(made).namelist()
    for library in ("attention", "bends", "bytes", "pictures", "recurrent", "rows", "steps"):
        assert any(name.startswith(f"tinytorch/ready/{library}-") for name in names)


def test_the_journey_works_from_the_wheel(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[onnx,serve]", cwd=tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    where = run(python, "-c", "import tito, tinytorch; print(tito.__file__, tinytorch.__file__)", cwd=empty)
    assert all(Path(place).is_relative_to(tmp_path / "venv") for place in where.split())
    text = run(python, DEMO, empty / "mytorch", cwd=empty)
    for name in ("foundation", "serving"): assert f"$ tito milestone unlock {name}" in text
