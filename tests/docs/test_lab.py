"""The page that runs notebooks in a browser: what is in it, and that its Python answers."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from urllib.parse import quote, unquote, urlsplit

import pytest

from tito.checkout import open_checkout

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The page that `make lab` has made, or else a new one."""
    made = ROOT / "build" / "lab" / "site"
    if (made / "index.html").exists(): return made
    pytest.importorskip("jupyterlite_pyodide_kernel", reason="the `book` extra is not installed")
    if not shutil.which("npm"): pytest.skip("no npm")
    folder = tmp_path_factory.mktemp("lab")
    done = subprocess.run([sys.executable, str(ROOT / "book" / "lab.py"), str(folder)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_every_lesson_has_a_notebook_with_blanks(site):
    course = open_checkout(ROOT)
    lessons = [lesson for lesson in course.curriculum if lesson.name in course.written()]
    assert [path.name for path in sorted((site / "files").glob("*.ipynb"))] == [x.notebook for x in lessons]
    for lesson in lessons:
        text = (site / "files" / lesson.notebook).read_text("utf-8")
        assert "your turn" in text and "BEGIN SOLUTION" not in text and "piplite.install" in text


def test_all_that_the_kernel_needs_is_beside_the_page_and_the_rest_has_an_address(site):
    python = site / "static" / "pyodide"
    packages = json.loads((python / "pyodide-lock.json").read_text("utf-8"))["packages"]
    lost = [name for name, entry in packages.items() if not urlsplit(entry["file_name"]).scheme
            and not (python / entry["file_name"]).exists()]
    assert lost == []
    assert all((python / packages[name]["file_name"]).exists() for name in ("micropip", "ipython", "jedi"))
    here = bool(list(python.glob("numpy-*.whl")))
    said = (site / "files" / "README.md").read_text("utf-8")
    assert ("comes with this page" in said) is here and ("is fetched from" in said) is not here


class Listening(SimpleHTTPRequestHandler):
    """Hands out files, and notes what the page tells."""

    def __init__(self, heard: Queue, *args, **more):
        self.heard = heard
        super().__init__(*args, **more)

    def do_GET(self):
        if self.path.startswith("/said?"): self.heard.put(unquote(urlsplit(self.path).query))
        super().do_GET()

    def log_message(self, *_): pass


TOLD = """\
import piplite
await piplite.install("tinytorch-tito", deps=False)
from importlib.metadata import version
from js import fetch
from tito.core.lesson import defined_names
[name] = defined_names("def half(x): return x / 2")
await fetch(f"/said?{6 * 7} {version('tinytorch-tito')} {name}")
"""


@pytest.mark.skipif(not CHROMIUM, reason="no chromium")
def test_python_answers_in_the_browser_and_has_the_course(site, tmp_path):
    heard: Queue = Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Listening, heard, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    page = f"http://127.0.0.1:{server.server_port}/repl/index.html?kernel=python&code={quote(TOLD)}"
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
             "--remote-debugging-port=0", page]
    browser = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    try: said = heard.get(timeout=240)
    except Empty: said = "nothing"
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
        server.shutdown()
        server.server_close()
    assert re.fullmatch(r"42 \d+\.\d+\.\d+ half", said)
