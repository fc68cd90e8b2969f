"""Submissions that want points for nothing, or want out. Each gets nothing, and harms nobody."""

import json
import socket
import sys
import time
from pathlib import Path

import pytest

from tito.core.grades import Allowance, graded_from
from tito.core.lesson import notebook
from tito.ports import sandbox
from tito.ports.notebooks import as_notebook
from tito.ports.sandbox import works
from tito.services_grading import make_class
from tito.services_marking import Exam, Job, chapter_of, mark

pytestmark = pytest.mark.skipif(bool(works()), reason=f"no sandbox here: {works()}")

TWICE = "#| export exercise\ndef twice(n):\n    return n + n"
ALLOWANCE = Allowance(check=1, notebook=8, memory=400, disk=16)


@pytest.fixture(scope="module")
def exam(course): return Exam("counting", allowance=ALLOWANCE, course=str(course.root))


def page(course, exam, **cells):
    """A solved notebook of lesson 1, with these cells in it."""
    found = as_notebook(notebook(chapter_of(course, exam), solutions=True), {})
    for cell in found["cells"]:
        if cell["id"] in cells: cell["source"] = cells[cell["id"]]
    return found


def marked(exam, page): return graded_from(mark(Job("", exam, json.dumps(page).encode())))


@pytest.fixture
def attack(course, exam):
    """Hands in a cell for `after`; the other exercise is right. What `after` and the rest earned."""
    def hand_in(source):
        book = marked(exam, page(course, exam, after=f"#| export exercise\n{source}"))
        points = {m.check: m.earned for m in book.marks}
        return points.pop("check-after"), sum(points.values()), book
    return hand_in


# Each is right only if it got what it wanted: LEAKED is what a successful attack would know.
WANTS = "\ndef after(n): return n + 1 if LEAKED else None"
LOOK = {
    "the solution, the hidden checks, the gradebook, other submissions": """
import os, re
names = re.compile(r"counting\\.py|\\.ipynb$|gradebook|course\\.toml|adding\\.py|nbgrader_config|submitted")
tops = "/home", "/root", "/tmp", "/stage", "/srv", "/var", "/mnt", "/opt", "/datasets"
LEAKED = [f for top in tops
          for folder, _, files in os.walk(top) for f in files if names.search(f)]""",
    "environment variables": """
import os, glob
def read(path):
    try: return open(path, "rb").read()
    except OSError: return b""
LEAKED = "hunter2" in str(dict(os.environ))
LEAKED = LEAKED or any(b"hunter2" in read(p) for p in glob.glob("/proc/*/environ"))""",
    "a place outside to write to": """
import os
LEAKED = []
for folder in ("/", "/usr", "/etc", "/stage", "/stage/tinytorch", "/grade", "/python", "/packages", "/dev",
               "/proc", "/datasets", "/usr/local/bin", "/home", "/var/tmp"):
    try: open(f"{folder}/planted", "w"); LEAKED.append(folder)
    except OSError: pass""",
    "the network": """
import socket
LEAKED = False
for place in (("127.0.0.1", PORT), ("192.0.2.1", 80), ("localhost", PORT)):
    try: socket.create_connection(place, 0.2); LEAKED = True
    except OSError: pass""",
    "another namespace": """
import ctypes
libc = ctypes.CDLL(None)
LEAKED = libc.unshare(0x10000000) == 0 or libc.unshare(0x00020000) == 0 or libc.setns(0, 0) == 0""",
    "another process's memory": """
import ctypes, os
LEAKED = ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0
try: open("/proc/1/mem", "rb").read(1); LEAKED = True
except OSError: pass""",
    "rights": """
import os
LEAKED = os.getuid() == 0
try: os.setuid(0); LEAKED = True
except OSError: pass
try: open("/etc/shadow").read(); LEAKED = True
except OSError: pass""",
    "the answers in its caller's code": """
import sys, gc
def numbers(code):
    for c in code.co_consts:
        if isinstance(c, int): yield c
LEAKED = False
def after(n):
    found = [c for c in numbers(sys._getframe(1).f_code) if c == 2]
    return found[0] if found else None
_after = after""",
    "the course's own package": """
try:
    import tito.services_course, importlib.util
    LEAKED = True
except ImportError: LEAKED = False
try:
    import tinytorch.counting; LEAKED = True
except ImportError: pass""",
}


@pytest.mark.parametrize("wanted", LOOK)
def test_a_look_around_finds_nothing(wanted, attack, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        source = LOOK[wanted].replace("PORT", str(server.getsockname()[1]))
        after, others, _ = attack(source + ("" if "def after" in source else WANTS))
        with pytest.raises(TimeoutError): server.accept()
    assert (after, others) == (0, 4)


LIES = {
    "an object that equals everything": """
class Liar:
    def __eq__(self, other): return True
    def __bool__(self): return True
def after(n): return Liar()""",
    "a number that equals everything": """
class Liar(int):
    def __eq__(self, other): return True
    def __index__(self): return 2
    def __int__(self): return 2
    def __repr__(self): return "2"
    __hash__ = int.__hash__
def after(n): return Liar(7)""",
    "an object that unpickles into a command": """
class Evil:
    def __reduce__(self): return __import__("os").system, ("touch /tmp/unpickled",)
def after(n): return Evil()""",
    "builtins replaced": """
import builtins
builtins.isinstance = lambda *_: True
builtins.bool = builtins.all = lambda *_: True
builtins.AssertionError = type("Nothing", (Exception,), {})
def after(n): return None""",
    "the judge found and patched": """
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == "Judge":
        cls = type(thing)
        cls.see = lambda self, place, value: self.told.append([place, {"int": "0x2"}])
        cls.pair = lambda self, place, *_: self.told.append([place, True, True, True])
        cls.truth = lambda self, place, *_: self.told.append([place, True, ""])
def after(n): return None""",
    "a result written into every open file": """
import os, json
line = json.dumps({"event": "end", "unit": "check-after", "outcome": "passed", "seconds": 0}) + "\\n"
for number in range(20):
    try: os.write(number, line.encode())
    except OSError: pass
def after(n): return None""",
    "a result told through the channel itself": """
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == "Channel":
        thing.tell(event="end", unit="check-after", outcome="passed", seconds=0.0,
                   evidence=[[0, {"int": "0x2"}]])
def after(n): return None""",
    "the end of everything at once": """
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == "Channel": thing.tell(event="finished", package="/stage/tinytorch", foreign=[])
def after(n): return None""",
    "the worker's own class": """
import sys
worker = sys.modules["__main__"]
frame = sys._getframe()
while frame:
    for name in ("judge", "told", "facts"):
        found = frame.f_locals.get(name)
        if isinstance(found, dict): found["outcome"] = "passed"
    frame = frame.f_back
def after(n): return None""",
    "lines for IPython": """
%load_ext autoreload
!echo pwned
get_ipython().input_transformers_post.append(lambda lines: ["pass"])
def after(n): return None""",
    "NumPy replaced": """
import numpy as np, numpy.testing
np.allclose = np.array_equal = np.isclose = np.asarray = np.array = lambda *a, **k: True
numpy.testing.assert_allclose = numpy.testing.assert_array_equal = lambda *a, **k: None
def after(n): return None""",
    "a thread that goes on while others are checked": """
import threading, time, gc
def meanwhile():
    while True:
        for thing in gc.get_objects():
            if type(thing).__name__ == "Judge": thing.told.append([0, {"int": "0x2"}])
        time.sleep(0.001)
threading.Thread(target=meanwhile).start()
def after(n): return None""",
    "a decorator of the check": """
import linecache, ast
ast.parse = lambda *a, **k: ast.Module([], [])
linecache.getlines = lambda *a: []
def after(n): return None""",
    "an exit that looks like success": """
def after(n): raise SystemExit(0)""",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_earns_nothing(lie, attack):
    after, _, book = attack(LIES[lie].strip("\n"))
    assert after == 0, book.marks
    assert not Path("/tmp/unpickled").exists()
    if lie in ("the judge found and patched", "a result told through the channel itself"):
        assert "`check-after`: the grader was tampered with" in book.flags


BOMBS = {
    "processes without end": "import os\ndef after(n):\n    while True: os.fork()",
    "threads without end": """
import threading, time
def after(n):
    while True: threading.Thread(target=time.sleep, args=(1000,)).start()""",
    "memory": "def after(n): return len(bytearray(64 << 30))",
    "memory in many processes": """
import os, time
def after(n):
    for _ in range(12):
        if os.fork() == 0:
            kept = bytearray(b"x") * (100 << 20)
            time.sleep(1000)
    time.sleep(1000)""",
    "disk": """
def after(n):
    for number in range(100000):
        with open(f"/tmp/{number}", "wb") as file: file.write(b"x" * (1 << 20))
    return 2""",
    "output from Python": "def after(n):\n    while True: print('x' * 1000)",
    "output below Python": "import os\ndef after(n):\n    while True: os.write(1, b'x' * 65536)",
    "output into the channel": """
import os
def after(n):
    while True:
        for number in range(3, 9):
            try: os.write(number, b"x" * 65536)
            except OSError: pass""",
    "an endless loop": "def after(n):\n    while True: pass",
    "a loop that wants no signals and no clock": """
import signal, time
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, signal.SIG_IGN)
time.monotonic = time.time = time.process_time = lambda: 0.0
def after(n):
    while True: pass""",
    "an end": "import os\ndef after(n): os._exit(0)",
    "signals to everybody": """
import os, signal
def after(n):
    for who in (os.getppid(), 1, -1):
        try: os.kill(who, signal.SIGKILL)
        except OSError: pass
    return None""",
    "a crash": "import ctypes\ndef after(n): return ctypes.string_at(0)",
    "recursion": "def after(n): return after(n)",
}
QUICK = ("memory", "disk", "an endless loop", "an end", "signals to everybody", "a crash")


@pytest.mark.parametrize("bomb", [pytest.param(b, marks=[] if b in QUICK else pytest.mark.slow)
                                  for b in BOMBS])
def test_a_bomb_harms_only_its_own_check(bomb, attack):
    began = time.monotonic()
    after, others, book = attack(BOMBS[bomb].strip("\n"))
    assert after == 0 and time.monotonic() - began < 60
    assert others == 4, [(m.check, m.status, m.message) for m in book.marks]


def test_who_comes_next_does_not_pay_for_processes_that_were_left_behind(attack):
    after, others, book = attack("""
import os, time
def after(n):
    for _ in range(6):
        if os.fork() == 0:
            kept = bytearray(b"x") * (60 << 20)
            time.sleep(1000)
    time.sleep(0.05)
def twice(n):
    time.sleep(0.7)
    return n + n""")
    assert (after, others) == (0, 4), [(m.check, m.status, m.message) for m in book.marks]


def test_what_was_started_ends_with_the_check(attack):
    attack("import subprocess\nsubprocess.Popen(['sleep', '98765'], start_new_session=True)\n"
           "def after(n): return None")
    deadline = time.monotonic() + 5
    while found := [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"98765" in read(p)]:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def read(path):
    try:
        return path.read_bytes()
    except OSError:         # it has just ended
        return b""


def test_a_thread_that_is_left_behind_keeps_nobody_waiting(attack):
    began = time.monotonic()
    after, others, _ = attack("""
import threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
def after(n): return None""")
    assert (after, others) == (0, 4) and time.monotonic() - began < 60


def test_a_link_among_the_submissions_is_not_followed(course, tmp_path):
    place = make_class(tmp_path / "class", "links", course)
    one = place.plan.assignments[0]
    for student in ("ann", "eve"): (place.root / "submitted" / student / one.name).mkdir(parents=True)
    theirs = place.root / "submitted" / "ann" / one.name / "01_counting.ipynb"
    theirs.write_text("{}")
    (place.root / "submitted" / "eve" / one.name / theirs.name).symlink_to(theirs)
    (place.root / "submitted" / "mallory").symlink_to(place.root / "submitted" / "ann")
    assert place.students(one) == ["ann", "eve"]
    assert place.submitted("ann", one, "counting") and place.submitted("eve", one, "counting") is None


def test_metadata_buys_nothing(course, exam):
    found = page(course, exam, after="#| export exercise\ndef after(n): return None")
    for cell in found["cells"]:
        cell["metadata"]["nbgrader"] = {"grade": True, "grade_id": "check-after", "points": 1000,
                                        "solution": True,
                                        "locked": False, "schema_version": 3, "task": False}
    book = marked(exam, found)
    assert (book.earned, book.points) == (4, 6)


def test_a_rewritten_check_is_not_used(course, exam):
    found = page(course, exam, after="#| export exercise\ndef after(n): return None",
                 **{"check-after": "#| check 1000\nassert True"})
    book = marked(exam, found)
    assert (book.earned, book.points) == (4, 6)
    assert any("check-after" in note and "course's own" in note for note in book.notes)


def test_what_looks_odd_is_shown_to_a_person(attack):
    _, _, book = attack("import os\ndef after(n): return os.environ")
    assert any("looks around" in flag for flag in book.flags)


@pytest.mark.parametrize(("folder", "hidden"), [
    ("/venv/lib/site-packages", ["/packages/tito"]),
    ("/usr/lib/python3/dist-packages", ["/packages/tito", "/usr/lib/python3/dist-packages/tito"]),
    ("BASE/lib/site-packages", ["/packages/tito", "/python/lib/site-packages/tito"]),
])
def test_an_installed_course_is_hidden_wherever_it_is_seen(folder, hidden, monkeypatch):
    folder = folder.replace("BASE", str(Path(sys.base_prefix).resolve()))
    monkeypatch.setattr(sandbox, "packages", lambda: folder)
    monkeypatch.setattr(Path, "is_dir", lambda self: self.name == "tito")
    words = list(sandbox.hidden())
    assert words == [word for place in hidden for word in ("--tmpfs", place)]


def test_rights_are_given_up_before_anything_of_a_submission_runs():
    text = sandbox.JAIL.read_text("utf-8")
    words = "setgroups(", "setresgid(", "setresuid(", "RLIMIT_NPROC", "run_path("
    order = [text.index(word) for word in words]
    assert order == sorted(order)
