"""The process in which a learner's code runs. It is told a plan on its standard input.

It imports nothing of tito (its own folder is not on the path) and tells what happened, one JSON object a
line, on what was its standard output. Each line carries the plan's key, so that nothing a learner's code
prints, even into the same pipe, is taken for a result. What it prints goes to a file of limited size instead.
"""

from __future__ import annotations
import __future__

import ast
import faulthandler
import importlib
import importlib.util
import io
import json
import linecache
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# What a learner's code may replace, as it was before that.
now, sleep, leave, write, encode = time.monotonic, time.sleep, os._exit, os.write, json.dumps
worked = time.process_time
frames_of_threads, real_path, is_link = sys._current_frames, os.path.realpath, os.path.islink
kill, this_process = os.kill, os.getpid

TICK = 0.05                     # seconds between two looks of the watch
TIMEOUT, FAULT_AFTER = 75, 1.5  # exit code; seconds after the limit at which the C watch ends everything
SLACK = 0.5                     # … or so many later: units that begin within them share one
KEPT_FRAMES = 60
# In bubblewrap, the first process of a space of its own: all others in it are the learner's.
ALONE = "--alone" in sys.argv and (os.getpid(), os.getppid()) == (2, 1)
WATCHED = ("builtins", "math", "operator", "numpy", "numpy.linalg")
TESTING = "numpy.testing"       # watched where a check may use it: its import takes half as long as NumPy's
FLAGS = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)


# ------------------------------------------------------------------------------------------ the channel

class Channel:
    """Where results go: the old standard output, under another number."""

    def __init__(self, key: str, out: int):
        self.key, self.out, self.variant = key, out, ""
        self.claim()

    def claim(self, variant: str = "") -> None:
        """From now on this process is the one that speaks."""
        self.lock, self.owner, self.variant = threading.Lock(), os.getpid(), variant

    def tell(self, **record: Any) -> None:
        if os.getpid() != self.owner:   # a learner's fork must not speak for us
            leave(0)
        data = (encode({"key": self.key, "variant": self.variant, **record}) + "\n").encode()
        with self.lock:
            while data:
                data = data[write(self.out, data):]


# ------------------------------------------------------------------------------------ what is printed

class Capped(io.RawIOBase):
    """Standard output that keeps the beginning and drops the rest."""

    def __init__(self, limit: int): self.room = limit
    def writable(self) -> bool: return True
    def fileno(self) -> int: return 1

    def write(self, data: Any) -> int:
        kept = bytes(data)[:self.room]
        self.room -= len(kept)
        if kept: write(1, kept)
        return len(data)


class Printed:
    """What is printed, by Python or below it, caught in a file without a name."""

    def __init__(self, limit: int):
        self.limit, self.file = limit, tempfile.TemporaryFile()     # noqa: SIM115 - open as long as we live
        self.number = self.file.fileno()

    def begin(self) -> None:
        os.ftruncate(self.number, 0)
        os.lseek(self.number, 0, os.SEEK_SET)
        self.redirect()
        sys.stdout = sys.stderr = self.stream(Capped(self.limit + 1))

    def redirect(self) -> None:
        os.dup2(self.number, 1)
        os.dup2(self.number, 2)

    @staticmethod
    def stream(raw: Any) -> io.TextIOWrapper:
        return io.TextIOWrapper(raw, "utf-8", "replace", line_buffering=True, write_through=True)

    def text(self) -> str:
        os.lseek(self.number, 0, os.SEEK_SET)
        found = os.read(self.number, self.limit + 1)
        text = found[:self.limit].decode("utf-8", "replace")
        return text if len(found) <= self.limit else text + "\n… (the rest was dropped)"

    def hold(self) -> None:
        """Keeps what bypasses Python (a child process, a C library) from filling the disk."""
        if os.fstat(self.number).st_size > 100 * self.limit:
            os.ftruncate(self.number, self.limit + 1)


# ------------------------------------------------------------------------------------------- the watch

class Watch(threading.Thread):
    """Ends the process when a unit has had its time, and says in which line the learner's code was."""

    def __init__(self, told: Channel, printed: Printed, limit: float, until: float, patience: float):
        super().__init__(daemon=True)
        self.told, self.printed, self.limit, self.until, self.patience = told, printed, limit, until, patience
        self.main, self.parent = threading.main_thread().ident, os.getppid()
        self.unit, self.began, self.cpu = "", 0.0, 0.0
        self.hand, self.armed = threading.Lock(), 0.0       # when the C watch was set; 0: it is not

    def begin(self, unit: str) -> None:
        with self.hand:
            self.unit, self.began, self.cpu = unit, now(), worked()
            if self.began > self.armed + SLACK: self.arm()

    def arm(self) -> None:
        """Sets the C watch, which also ends what holds the GIL. It is a thread, and to end one is slow where
        others want the processor: so the units that begin within SLACK share one."""
        self.armed = now()
        left = max(0.1, min(self.limit * self.patience, self.until - now())) + FAULT_AFTER + SLACK
        # Where a learner's threads leave no room for one, the parent's watch remains.
        with suppress(RuntimeError): faulthandler.dump_traceback_later(left, exit=True, file=self.told.out)

    def end(self) -> None: self.unit = ""

    def disarm(self) -> None:
        """Between units there is nothing to end; a fork would wait for a thread that it has not."""
        with self.hand:
            if not self.unit and self.armed:
                faulthandler.cancel_dump_traceback_later()
                self.armed = 0.0

    def run(self) -> None:
        while True:
            sleep(TICK)
            unit, late = self.unit, now() > min(self.began + self.limit * self.patience, self.until)
            busy = self.patience > 1 and worked() > self.cpu + self.limit
            if unit and (late or busy):
                self.stop(unit)
            if os.getppid() != self.parent:     # nobody is waiting any more
                leave(TIMEOUT)
            self.printed.hold()
            self.disarm()

    def stop(self, unit: str) -> None:
        frames = list(stack(frames_of_threads().get(self.main or 0)))[::-1]
        self.told.tell(event="end", unit=unit, outcome="timeout", frames=shortened(frames),
                       seconds=now() - self.began, output=self.printed.text())
        leave(TIMEOUT)


def stack(frame: types.FrameType | None) -> Iterator[tuple[str, int, str]]:
    """The innermost frame first."""
    while frame:
        yield frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back


def shortened(frames: list[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Without the worker's own, and not all thousand of an endless recursion."""
    frames = [f for f in frames if f[0] != __file__]
    return frames if len(frames) <= KEPT_FRAMES else frames[:KEPT_FRAMES // 2] + frames[-KEPT_FRAMES // 2:]


# ------------------------------------------------------------------------------------------- outcomes

def said(problem: BaseException) -> str:
    try:
        return str(problem)[:2000]
    except BaseException as other:      # a learner's exception may fail to say what it is
        return f"(its text raises {type(other).__name__})"


def trace(problem: BaseException) -> list[tuple[str, int, str]]:
    """The frames of a traceback, the innermost last."""
    found, tb = [], problem.__traceback__
    while tb:
        found.append((tb.tb_frame.f_code.co_filename, tb.tb_lineno, tb.tb_frame.f_code.co_name))
        tb = tb.tb_next
    return shortened(found)


def outcome_of(problem: BaseException, asserts: Any) -> dict[str, Any]:
    """What an exception says about the unit in which it was raised."""
    facts = {"type": type(problem).__name__, "text": said(problem), "frames": trace(problem),
             "name": getattr(problem, "name", None) if isinstance(problem, NameError) else None,
             "kinds": [c.__name__ for c in type(problem).__mro__]}
    if isinstance(problem, asserts.Failed):
        return {**facts, "outcome": "failed", "text": problem.message, "got": problem.got,
                "expected": problem.expected, "asked": problem.asked}
    if isinstance(problem, AssertionError) and (pair := compared_by_numpy(problem)):
        got, expected = asserts.described(*pair[:2], {})
        return {**facts, "outcome": "failed", "text": pair[2], "got": got, "expected": expected}
    if isinstance(problem, SyntaxError):
        place = (problem.filename or "", problem.lineno or 1, "")
        return {**facts, "outcome": "syntax", "text": problem.msg, "frames": [place]}
    return {**facts, "outcome": "raised"}


def compared_by_numpy(problem: BaseException) -> tuple[Any, Any, str] | None:
    """The two sides that an assert function of numpy.testing found different, and its message."""
    tb, found = problem.__traceback__, None
    while tb and not found:
        here = tb.tb_frame.f_locals
        if tb.tb_frame.f_globals.get("__name__", "").startswith("numpy.testing") and "desired" in here:
            found = here["actual"], here["desired"], str(here.get("err_msg", ""))
        tb = tb.tb_next
    return found


class Unchanged:
    """Notices when a learner's code replaces what checks stand on (`np.allclose = …`), and puts it back."""

    def __init__(self) -> None:
        self.before: dict[types.ModuleType, dict[str, Any]] = {}
        self.watch(*WATCHED)

    def watch(self, *names: str) -> None:
        for module in filter(None, map(optional, names)):
            self.before[module] = {k: v for k, v in vars(module).items() if not k.startswith("__")}

    def watches(self, name: str) -> bool: return any(module.__name__ == name for module in self.before)

    def replaced(self) -> list[str]:
        names = []
        for module, before in self.before.items():
            there = vars(module)
            for name, value in before.items():
                if there.get(name, self) is not value:
                    names.append(f"{module.__name__}.{name}")
                    setattr(module, name, value)
        return names


def may_use_testing(plan: dict[str, Any]) -> bool:
    """Whether `np.testing` is in a plan's checks, which are the course's, or they lie in files."""
    return plan["kind"] != "cells" or any("testing" in unit["source"] for unit in plan["units"])


def real_file(file: str, folders: dict[str, str]) -> str:
    """real_path of a file; each folder is followed once."""
    folder, name = os.path.split(file)
    if is_link(file) or name in ("", ".", ".."): return real_path(file)
    if folder not in folders: folders[folder] = real_path(folder)
    return f"{folders[folder]}{os.sep}{name}"


def optional(name: str) -> types.ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


# --------------------------------------------------------------------------------------------- running

class Worker:
    def __init__(self, plan: dict[str, Any], channel: Channel, unchanged: Unchanged):
        self.unchanged = unchanged
        if may_use_testing(plan) and not unchanged.watches(TESTING): unchanged.watch(TESTING)
        self.plan, self.channel, limits = plan, channel, plan["limits"]
        self.printed = Printed(limits["output"])
        self.printed.redirect()
        self.asserts = loaded("tito_asserts", plan["asserts"])
        self.judge = self.asserts.Judge()
        self.until = now() + limits["lesson"]
        self.space, self.flags = types.ModuleType("__main__"), 0
        self.look()
        limit_memory(limits["memory"])      # last: what is ours has its room

    def look(self) -> None:
        """Begins to watch the time: of a fork, too, to which no thread comes along."""
        limits = self.plan["limits"]
        self.watch = Watch(self.channel, self.printed, limits["test"], self.until, limits["patience"])
        self.watch.start()

    def run(self) -> None:
        kinds: dict[str, Callable[[], None]] = {
            "cells": self.cells, "tests": self.tests, "program": self.program, "import": lambda: None,
            "variants": self.variants}
        sys.path[:0] = [self.plan["stage"]]
        if self.unit("import", lambda: importlib.import_module("tinytorch")):
            kinds[self.plan["kind"]]()
        self.channel.tell(event="finished", package=package(), foreign=self.foreign(), worked=worked())

    def unit(self, name: str, action: Callable[[], Any]) -> bool:
        """Runs one piece of the plan, and tells how it ended."""
        with self.judged(name) as facts:
            facts["value"] = action()
        return facts["outcome"] == "passed"

    @contextmanager
    def judged(self, name: str) -> Iterator[dict[str, Any]]:
        facts: dict[str, Any] = {"outcome": "passed"}
        self.channel.tell(event="begin", unit=name)
        self.printed.begin()
        self.judge.begin()
        began = now()
        self.watch.begin(name)
        try:
            yield facts
        except BaseException as problem:    # SystemExit and a learner's own are verdicts too
            facts |= self.explained(problem)
        finally:
            self.watch.end()
            if ALONE and this_process() == self.channel.owner: end_others()
        facts.pop("value", None)
        if replaced := self.unchanged.replaced():
            facts |= {"outcome": "replaced", "text": ", ".join(replaced)}
        self.channel.tell(event="end", unit=name, **facts, **self.judge.evidence(), seconds=now() - began,
                          output=self.printed.text())

    def explained(self, problem: BaseException) -> dict[str, Any]:
        try:
            asked, idea = self.judge.asked
            return {"asked": asked, "idea": idea, **outcome_of(problem, self.asserts)}
        except BaseException as other:      # a value of the learner's that resists being described
            return {"outcome": "raised", "type": type(other).__name__, "text": said(other),
                    "frames": trace(other)}

    def foreign(self) -> list[str]:
        """Modules that pass for the learner's package, or are the reference, but do not lie on the stage."""
        stage, reference = real_path(self.plan["stage"]) + os.sep, self.plan["reference"]
        lent = real_path(reference) + os.sep
        found, folders = [], dict[str, str]()
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            own = name.partition(".")[0] == "tinytorch"
            path = real_file(file, folders) if isinstance(file, str) else "nowhere"
            borrowed = bool(reference) and path.startswith(lent)
            if (own or borrowed) and not path.startswith(stage):
                found.append(path)
        return found

    # ------------------------------------------------------------------------------------- the kinds

    def cells(self) -> None:
        """The learner's cells in one namespace; each of the course's checks in a copy of it."""
        sys.modules["__main__"] = self.space
        for unit in self.plan["units"]: self.cell(unit)

    def cell(self, unit: dict[str, Any]) -> bool:
        source, file, space = unit["source"], unit["file"], vars(self.space)
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        with self.judged(unit["id"]) as facts:
            if unit["kind"] == "check":
                code = compile(self.asserts.rewritten(source, file), file, "exec", self.flags, True, 0)
                exec(code, {**space, self.asserts.JUDGE: self.judge})
            else:
                code = compile(source, file, "exec", self.flags, True, 0)
                self.flags |= code.co_flags & FLAGS     # `from __future__` holds for the cells after it
                exec(code, space)
                facts["undefined"] = [n for n in unit["names"] if n not in space]
        return facts["outcome"] == "passed"

    def variants(self) -> None:
        """The cells once, and before each the variants of it, in forks: what came before is there already.

        The checks are run in the forks only; what they import is imported here, once for all.
        """
        sys.modules["__main__"] = self.space
        units, variants = self.plan["units"], self.plan["variants"]
        for unit in units:
            if unit["kind"] == "check": exec(imports_of(unit["source"]), {})
        for place, unit in enumerate(units):
            for variant in variants:
                if variant["unit"] == unit["id"]:
                    self.in_a_fork(variant, [{**unit, "source": variant["source"]}, *units[place + 1:]])
            if unit["kind"] != "check": self.cell(unit)

    def in_a_fork(self, variant: dict[str, Any], units: list[dict[str, Any]]) -> None:
        self.watch.disarm()
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            self.channel.claim(variant["name"])
            self.look()
            for unit in units:
                if not self.cell(unit) or unit["id"] == variant["until"]: leave(0)
            leave(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)            # what it started ends with it
        if code not in (0, TIMEOUT):
            how = f"the process ended (exit code {code})" if code > 0 else f"Python crashed (signal {-code})"
            self.channel.tell(event="end", unit="", variant=variant["name"], outcome="lost", text=how)

    def tests(self) -> None:
        import pytest

        options = ["-c", os.devnull, "--rootdir", self.plan["path"], "--confcutdir", self.plan["path"],
                   "--import-mode=importlib", "--assert=plain", "--capture=no", "-p", "no:cacheprovider",
                   "-p", "no:terminal", "-p", "no:faulthandler", "-p", "no:doctest", "-p", "no:junitxml",
                   "-p", "no:logging", "-p", "no:unraisableexception",      # asked before and after each test
                   "-m", "not slow"]            # what takes minutes is for those who change the course
        pytest.main([*options, self.plan["path"]], plugins=[plugin(self)])

    def program(self) -> None:
        """A milestone: its lines are told as they come."""
        import runpy

        path, report = Path(self.plan["path"]), Path(self.plan["stage"], "report.json")
        os.environ["TITO_REPORT"] = str(report)
        with self.judged("program"):
            sys.stdout = Printed.stream(Told(self.channel))
            sys.argv = [str(path), *self.plan["argv"]]
            try:
                runpy.run_path(str(path), run_name="__main__")
            except SystemExit as end:
                if end.code not in (0, 1, None): raise
        self.channel.tell(event="report", text=report.read_text("utf-8") if report.exists() else "")


class Told(io.RawIOBase):
    """Standard output whose lines are told to whoever is watching."""

    def __init__(self, channel: Channel): self.channel, self.room, self.rest = channel, 1 << 20, b""
    def writable(self) -> bool: return True

    def write(self, data: Any) -> int:
        self.room -= len(data)
        *lines, self.rest = (self.rest + bytes(data)).split(b"\n")
        for line in lines if self.room > 0 else ():
            self.channel.tell(event="said", line=line.decode("utf-8", "replace"))
        return len(data)


def plugin(worker: Worker) -> Any:
    """What tells the channel about each lesson test; needs pytest, hence made here."""
    import pytest

    class Facts(pytest.Module):
        """A file of tests whose asserts report both sides."""

        def _getobj(self) -> types.ModuleType:
            name, file = self.path.stem, str(self.path)
            module = sys.modules[name] = types.ModuleType(name)
            module.__file__ = file
            vars(module)[worker.asserts.JUDGE] = worker.judge
            tree = worker.asserts.rewritten(self.path.read_text("utf-8"), file)
            worker.watch.begin(self.name)           # a test file may call the learner's code as it loads
            try:
                exec(compile(tree, file, "exec", 0, True, 0), vars(module))
            finally:
                worker.watch.end()
            return module

    class Stream:
        found: dict[str, Any] | None = None

        def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> Facts:
            return Facts.from_parent(parent, path=module_path)

        def pytest_exception_interact(self, node: Any, call: Any) -> None:
            if isinstance(node, pytest.Collector):
                facts = worker.explained(call.excinfo.value)
                worker.channel.tell(event="end", unit=node.name, seconds=0, output="", **facts)

        @pytest.hookimpl(trylast=True)      # the slow ones have been taken out
        def pytest_collection_modifyitems(self, items: list[Any]) -> None:
            worker.channel.tell(event="collected", units=[i.nodeid for i in items],
                                titles={i.nodeid: title(i) for i in items})

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(self, item: Any) -> Iterator[Any]:
            self.found = None
            with worker.judged(item.nodeid) as facts:
                handled = yield
                facts |= self.found or {}
            return handled

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_makereport(self, call: Any) -> None:
            if call.excinfo is not None and self.found is None:
                self.found = worker.explained(call.excinfo.value)
                if isinstance(call.excinfo.value, pytest.skip.Exception):
                    self.found["outcome"] = "skipped"

    return Stream()


def end_others() -> None:
    """Ends what a unit has left behind: the next one must not pay for its memory and its processes."""
    with suppress(ProcessLookupError, PermissionError): kill(-1, signal.SIGKILL)


def imports_of(source: str) -> types.CodeType:
    """The import statements of a piece of code, and nothing else of it."""
    body: list[ast.stmt] = [n for n in ast.parse(source).body if isinstance(n, ast.Import | ast.ImportFrom)]
    return compile(ast.Module(body, []), "imports", "exec")


def title(item: Any) -> str:
    """The sentence that names a test: its docstring's first line, or its name with spaces."""
    doc = (getattr(item.obj, "__doc__", None) or "").strip().partition("\n")[0].rstrip(".")
    return doc or item.originalname.removeprefix("test_").replace("_", " ")


# ---------------------------------------------------------------------------------------------- limits

def limit_memory(room: int) -> None:
    """At most `room` bytes more than Python and NumPy have taken already, where the system can see to it."""
    try:
        import resource
    except ImportError:         # Windows
        return
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        most = taken() + room
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    except (OSError, ValueError):       # macOS refuses; the limit on time remains
        return


def taken() -> int:
    """Bytes of address space in use; 0 where /proc does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def loaded(name: str, path: str) -> Any:
    """A file as a module that no learner's import can find."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def package() -> str:
    """Where the imported tinytorch lies."""
    file = getattr(sys.modules.get("tinytorch"), "__file__", None)
    return str(Path(file).parent) if isinstance(file, str) else ""


def warm_up(facts: dict[str, Any], out: int) -> None:
    """Imports what a plan will need, before there is one; what goes wrong is left for the plan to tell."""
    for number in (1, 2): os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    limit_memory(facts["memory"])
    sys.dont_write_bytecode = False     # a stage that is kept: what it compiled is read again
    sys.path.insert(0, facts["stage"])
    try:
        importlib.import_module("pytest" if facts["kind"] == "tests" else "tinytorch")
    except BaseException:               # the learner's own, too
        for name in [n for n in sys.modules if n.partition(".")[0] == "tinytorch"]: del sys.modules[name]
    sys.path.remove(facts["stage"])
    write(out, b'{"warm": true}\n')


def main() -> None:
    out, unchanged, warm = os.dup(1), Unchanged(), "--warm" in sys.argv
    sys.dont_write_bytecode = True
    if warm: unchanged.watch(TESTING)           # there is time; and what it imports next is the learner's
    if warm and (facts := sys.stdin.buffer.readline()): warm_up(json.loads(facts), out)
    text = sys.stdin.buffer.read()
    if warm and not text: leave(0)              # nobody needed us
    plan = json.loads(text)
    channel = Channel(plan["key"], out)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    faulthandler.enable(file=channel.out)       # a crash says in which line, into the channel, as plain text
    sys.stdin = io.TextIOWrapper(io.BytesIO())
    try:
        Worker(plan, channel, unchanged).run()
    except BaseException:       # ours, not the learner's: said as plain text, after which nothing counts
        write(channel.out, traceback.format_exc().encode())
        leave(1)
    leave(0)                                    # threads of the learner's do not keep us


if __name__ == "__main__":
    main()
