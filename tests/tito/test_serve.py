"""`tito serve`: what is started, with what, and what is said when it cannot be."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tito import cli
from tito.core.errors import EnvironmentProblem, Locked, NotFound, UsageProblem
from tito.core.serving import demo
from tito.ports.server import Noted, Python
from tito.services_serving import serve

ROOT = Path(__file__).resolve().parents[2]
COURSE = SimpleNamespace(milestones=ROOT / "milestones", datasets=ROOT / "datasets")


@pytest.fixture
def models(tmp_path):
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_folders_and_settings_go_to_the_server(models, tmp_path):
    servers = Noted(code=7)
    assert serve([models], ["--port", "9"], COURSE, tmp_path, servers) == 7, "its exit code is ours"
    assert servers.asked == [([str(models), "--port", "9"], tmp_path)]


def test_the_demo_is_a_repository_of_two_models(tmp_path):
    class Looking(Noted):
        def run(self, arguments, folder):
            self.place = Path(arguments[-1])
            self.files = {p.relative_to(self.place).as_posix() for p in self.place.rglob("*") if p.is_file()}
            return super().run(arguments, folder)
    servers = Looking()
    serve([], [], COURSE, tmp_path, servers, with_demo=True)
    assert servers.files == {f"{name}/1/{file}" for name in ("digits", "sonnets")
                             for file in ("config.json", "model.safetensors")}
    assert not servers.place.exists(), "afterwards nothing is left of it"


def test_what_the_demo_says_of_its_models():
    files = demo(b"five", b"gpt", "to be or not")
    assert files["digits/1/model.safetensors"] == b"five" and files["sonnets/1/model.safetensors"] == b"gpt"
    told = json.loads(files["sonnets/1/config.json"])
    assert told["letters"] == " benort" and told["arguments"][0] == 7


@pytest.mark.parametrize(("change", "problem", "said"), [
    ({"models": []}, UsageProblem, "nothing to serve"),
    ({"models": [Path("nowhere")]}, NotFound, "no folder nowhere"),
    ({"servers": Noted(["uvicorn"])}, EnvironmentProblem, "needs uvicorn"),
])
def test_what_cannot_be_served(change, problem, said, models, tmp_path):
    usual = {"models": [models], "settings": [], "course": COURSE, "folder": tmp_path, "servers": Noted()}
    asked = usual | change
    with pytest.raises(problem, match=said): serve(**asked)
    assert not asked["servers"].asked


def test_a_package_without_lesson_16_has_no_server(models, tmp_path):
    (tmp_path / "tinytorch").mkdir()
    with pytest.raises(Locked, match="lesson 16"): serve([models], [], COURSE, tmp_path, Noted())
    (tmp_path / "tinytorch/service.py").touch()
    assert serve([models], [], COURSE, tmp_path, Noted()) == 0


@pytest.mark.parametrize(("words", "asked"), [
    (["--demo"], ["--host", "127.0.0.1", "--port", "8000"]),
    (["--demo", "--port", "9", "--watch", "2", "--drain", "3"],
     ["--host", "127.0.0.1", "--port", "9", "--watch", "2.0", "--drain", "3.0"]),
])
def test_the_command(words, asked, monkeypatch, tmp_path):
    servers = Noted()
    monkeypatch.setattr("tito.services_serving.Python", lambda: servers)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["serve", *words]) == 0
    assert servers.asked[0][0][1:] == asked and servers.asked[0][1] == tmp_path


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_an_end_is_handed_on_and_waited_for(tmp_path):
    (tmp_path / "tinytorch").mkdir()
    (tmp_path / "tinytorch/__init__.py").touch()
    (tmp_path / "tinytorch/service.py").write_text("""\
import pathlib, signal, sys, time
def end(*_):
    time.sleep(0.3)
    pathlib.Path("ended").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path("began").touch()
time.sleep(60)
""")
    code = "from pathlib import Path; from tito.ports.server import Python; exit(Python().run([], Path()))"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    until = time.monotonic() + 60
    while not (tmp_path / "began").exists() and time.monotonic() < until: time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0 and (tmp_path / "ended").exists()


def test_what_is_missing_is_found():
    assert set(Python().missing()) <= {"starlette", "uvicorn", "prometheus_client"}
