"""`tito serve`: what is started, with what, and what is said when it cannot be."""

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


def test_the_models_of_the_demo_are_made_by_the_package_that_serves_them(tmp_path):
    class Looking(Noted):
        def run(self, arguments, folder):
            self.place = Path(arguments[-1])
            self.found = (self.place / "made").read_text()
            return super().run(arguments, folder)
    servers = Looking()
    assert serve([], [], COURSE, tmp_path, servers, with_demo=True) == 0
    assert servers.found == f"models.py in {tmp_path}"
    assert not servers.place.exists(), "afterwards nothing is left of it"


def test_a_package_that_cannot_make_them_serves_nothing(tmp_path):
    servers = Noted(made=1)
    with pytest.raises(EnvironmentProblem, match="could not be made"):
        serve([], [], COURSE, tmp_path, servers, with_demo=True)
    assert servers.asked == []


def test_a_program_finds_the_package_of_the_folder(tmp_path):
    (tmp_path / "tinytorch").mkdir()
    (tmp_path / "tinytorch/__init__.py").write_text("mine = True")
    (tmp_path / "program").mkdir()
    program = tmp_path / "program/models.py"
    program.write_text("""\
import os, pathlib, sys, tinytorch
pathlib.Path(sys.argv[1], "told").write_text(os.environ["TITO_ASSETS"])
sys.exit(3 if tinytorch.mine else 4)
""")
    assert Python().make(program, tmp_path, tmp_path, {"TITO_ASSETS": "here"}) == 3
    assert (tmp_path / "told").read_text() == "here"


@pytest.mark.parametrize(("change", "problem", "said"), [
    ({"models": []}, UsageProblem, "nothing to serve"),
    ({"models": [Path("nowhere")]}, NotFound, "no folder nowhere"),
    ({"servers": Noted(["uvicorn"])}, EnvironmentProblem, "needs uvicorn"),
    ({"key": Path("nowhere")}, NotFound, "no key in nowhere"),
    ({"key": Path("empty")}, UsageProblem, "is empty"),
    ({"key": Path("key"), "with_demo": True}, UsageProblem, "not signed"),
])
def test_what_cannot_be_served(change, problem, said, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("key").write_bytes(b"secret")
    Path("empty").touch()
    usual = {"models": [models], "settings": [], "course": COURSE, "folder": tmp_path, "servers": Noted()}
    asked = usual | change
    with pytest.raises(problem, match=said): serve(**asked)
    assert not asked["servers"].asked


def test_where_the_key_lies_goes_to_the_server_and_the_key_does_not(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("key").write_bytes(b"secret")
    servers = Noted()
    assert serve([models], [], COURSE, tmp_path, servers, key=Path("key")) == 0
    assert servers.asked == [([str(models), "--key", str(tmp_path / "key")], tmp_path)]


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
