"""Running a learner's code in a process of its own, that is ended when its time is over."""

from __future__ import annotations

import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import IO, Any, Protocol

from tito.core import asserts
from tito.core.plan import Frame, Outcome, Plan, Run

WORKER = Path(__file__).with_name("worker.py")
GRACE = 5.0             # seconds after which a process that should have ended itself is ended
LAST_WORDS = 1.0        # seconds in which what an ended process said must have come through
STARTS_IN = 60.0        # seconds that Python may take to start, on the coldest of disks
WARMS_IN = 20.0         # seconds that one which has been started before may take until it is ready
NOISE = 20_000          # characters
LONGEST, WAITING = 8 << 20, 64      # bytes of a line; lines that wait to be taken in

# What would make the learner's code behave otherwise than in a notebook, or than with another learner.
DROPPED = ("PYTHONOPTIMIZE", "PYTHONWARNINGS", "PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONSAFEPATH",
           "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "TINYTORCH_REFERENCE")
SET = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONBREAKPOINT": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
       "MPLBACKEND": "agg",
       "TINYTORCH_KERNELS": "numpy"}    # it is judged what the learner wrote, not what stands in front of it

Heard = Callable[[Outcome], None]       # is told how each unit ended, as soon as it has
Said = Callable[[str], None]            # is told each line that a program prints


def nobody(told: object) -> None: pass


class Runner(Protocol):
    def run(self, plan: Plan, heard: Heard = nobody, said: Said = nobody) -> Run: """Carries a plan out."""
    def imported(self, folder: Path) -> str: """What `import tinytorch` finds in a new Python in `folder`."""


class Processes:
    """The adapter: a fresh Python for each plan."""

    def run(self, plan: Plan, heard: Heard = nobody, said: Said = nobody) -> Run:
        python = Python(self.start(plan))
        try:
            return Conversation(python, self.told(plan), heard, said, self.greedy).held()
        finally:
            end(python.process)

    def start(self, plan: Plan) -> subprocess.Popen[bytes]: return started(plan)

    def told(self, plan: Plan) -> Plan:
        """The plan in the words of the process: it may see other paths than we do."""
        return plan

    def greedy(self, process: subprocess.Popen[bytes]) -> str:
        """What a process takes more of than it may, if that is seen from outside; "" for nothing."""
        return ""

    def imported(self, folder: Path) -> str:
        code = "import tinytorch; print(tinytorch.__file__)"
        try:
            found = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment({}), text=True,
                                   capture_output=True, timeout=STARTS_IN)
        except subprocess.TimeoutExpired:
            return "import tinytorch does not end"
        return found.stdout.strip() if found.returncode == 0 else found.stderr.strip().rpartition("\n")[2]


class Stopped(Exception):
    """Somebody does not want to know the verdict any more."""


class Warm(Processes):
    """The adapter for one run after the other: the Python for the next plan waits, with its imports done.

    It is as fresh as any: it is used once, and was started for the stage on which the plan plays.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, Spare] = {}         # by the kind of plan
        self.wanted: dict[str, Plan] = {}           # the last of each kind: for the next one
        self.running: subprocess.Popen[bytes] | None = None
        self.stopped, self.hand = False, threading.Lock()

    def run(self, plan: Plan, heard: Heard = nobody, said: Said = nobody) -> Run:
        spare = self.waiting.pop(plan.kind, None)
        if spare and not spare.serves(plan):
            end(spare.process)
            spare = None
        python = spare or Python(self.start(plan))
        with self.hand:
            self.running = python.process
            if self.stopped: kill(python.process)
        try:
            found = Conversation(python, plan, heard, said, self.greedy).held()
        finally:
            with self.hand: self.running = None
            end(python.process)
        if self.stopped: raise Stopped
        self.wanted[plan.kind] = plan
        return found

    def prepare(self) -> None:
        """Starts what the next plans will need; not before the verdict, which wants the processors itself."""
        for kind, plan in self.wanted.items(): self.waiting[kind] = Spare(plan)
        self.wanted.clear()

    def begin(self) -> None: self.stopped = False

    def stop(self) -> None:
        """Ends what runs, from another thread; until `begin`, nothing runs any more."""
        with self.hand:
            self.stopped = True
            if self.running: kill(self.running)

    def forget(self, kind: str) -> None:
        """The stage of these plans has changed: what waits there has imported the old one."""
        self.wanted.pop(kind, None)
        if spare := self.waiting.pop(kind, None): end(spare.process)

    def close(self) -> None:
        for kind in list(self.waiting): self.forget(kind)


@dataclass
class Recorded:
    """The fake: gives the runs it was given, and remembers the plans."""

    runs: list[Run]
    plans: list[Plan] = field(default_factory=list)

    def run(self, plan: Plan, heard: Heard = nobody, said: Said = nobody) -> Run:
        self.plans.append(plan)
        run = self.runs.pop(0)
        for outcome in run.outcomes: heard(outcome)
        return run

    def imported(self, folder: Path) -> str: return str(folder / "tinytorch" / "__init__.py")


# ------------------------------------------------------------------------------------------- processes

def environment(more: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in DROPPED} | SET | dict(more)


def alone() -> dict[str, Any]:
    """A group of its own: Ctrl-C goes to tito alone, and the children of the learner's code end with it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def started(plan: Plan, *words: str) -> subprocess.Popen[bytes]:
    """A worker in the folder of a plan, which it has not been told yet."""
    return subprocess.Popen(
        [sys.executable, "-P", str(WORKER), *words], cwd=plan.folder, env=environment(plan.environment),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **alone())


class Python:
    """A worker that has been started, and what it says, as it comes."""

    def __init__(self, process: subprocess.Popen[bytes]):
        self.process, self.lines = process, queue.Queue[bytes | None](WAITING)
        threading.Thread(target=read, args=(self.process.stdout, self.lines), daemon=True).start()


class Spare(Python):
    """A worker that has not been told its plan yet, and imports meanwhile what plans like this one need."""

    def __init__(self, plan: Plan):
        super().__init__(started(plan, "--warm"))
        self.like = (plan.kind, plan.stage, plan.folder, dict(plan.environment))
        facts = {"kind": plan.kind, "stage": plan.stage, "memory": plan.limits.memory}
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps(facts).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:         # it has ended already: `serves` will notice
            return

    def serves(self, plan: Plan) -> bool:
        """Whether it is made for such a plan, and ready for it."""
        if self.like != (plan.kind, plan.stage, plan.folder, dict(plan.environment)): return False
        try:
            line = self.lines.get(timeout=WARMS_IN)
        except queue.Empty:
            return False
        return (parsed(line or b"") or {}).get("warm") is True


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that has not been waited for, and those that it started."""
    if sys.platform == "win32":
        process.kill()
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):   # all of the group have ended (macOS says the second)
        process.kill()


def end(process: subprocess.Popen[bytes]) -> None:
    kill(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe: pipe.close()


class Conversation:
    """One plan told, and the records that come back."""

    def __init__(
        self, python: Python, plan: Plan, heard: Heard, said: Said,
        greedy: Callable[[subprocess.Popen[bytes]], str],
    ):
        self.process, self.lines = python.process, python.lines
        self.plan, self.heard, self.said, self.greedy = plan, heard, said, greedy
        self.key, self.killed_for, self.looked = secrets.token_hex(16), "", 0.0
        self.unit, self.began, self.started = "", 0.0, time.monotonic()
        self.outcomes: list[Outcome] = []
        self.noise: list[str] = []
        self.facts: dict[str, Any] = {}

    def held(self) -> Run:
        assert self.process.stdin
        self.tell(self.process.stdin)
        killed = not self.listen()
        noise = "".join(self.noise)[:NOISE]
        run = Run(tuple(self.outcomes), noise=noise, **self.facts)
        if run.finished: return run         # it is on its way out, and nobody needs to wait for that
        code = None if killed else ended(self.process)
        late = (killed and not self.killed_for) or "Timeout (" in noise
        run = with_last_words(run, self.unit, late, self.killed_for or ending(code), self.plan)
        for last in run.outcomes[len(self.outcomes):]: self.heard(last)
        return run

    def tell(self, pipe: IO[bytes]) -> None:
        plan = {**self.plan.as_json(), "key": self.key, "asserts": self.plan.asserts or asserts.__file__}
        try:
            pipe.write(json.dumps(plan).encode())
            pipe.close()
        except BrokenPipeError:     # it ended before it listened; its noise says why
            return

    def listen(self) -> bool:
        """Takes in what comes until the end; False if the end had to be made by force."""
        ended = False
        while not self.facts.get("finished"):
            if self.over(): return False
            try:
                line = self.lines.get(timeout=LAST_WORDS if ended else 0.1)
            except queue.Empty:
                if ended: return True       # a child of its may hold the pipe: do not wait for its end
                ended = self.process.poll() is not None
                continue
            if line is None: return True
            self.take(line)
        return True

    def over(self) -> bool:
        """Whether it has had all that it may have; looked at ten times a second, however much it talks."""
        now = time.monotonic()
        if now < self.looked + 0.1: return False
        self.looked = now
        self.killed_for = self.greedy(self.process)
        return bool(self.killed_for) or self.late(now)

    def late(self, now: float) -> bool:
        limits = self.plan.limits
        if self.unit and now > self.began + limits.test * limits.patience + GRACE: return True
        return now > self.started + limits.lesson + STARTS_IN

    def take(self, line: bytes) -> None:
        record = parsed(line)
        if record is None or record.pop("key", None) != self.key:
            if len(self.noise) < NOISE: self.noise.append(line[:1000].decode("utf-8", "replace"))
            return
        match record.pop("event"):
            case "begin":
                self.unit, self.began = record["unit"], time.monotonic()
            case "end":
                record["unit"] = record["unit"] or self.unit        # a fork that was lost cannot say
                self.unit = ""
                self.outcomes.append(outcome(record))
                self.heard(self.outcomes[-1])
            case "said":
                self.said(record["line"])
            case "collected":
                self.facts |= {"collected": tuple(record["units"]), "titles": record["titles"]}
            case "report":
                self.facts["report"] = record["text"]
            case "finished":
                self.facts |= {"finished": True, "package": record["package"],
                               "foreign": tuple(record["foreign"]), "worked": record.get("worked", 0.0)}


def read(pipe: IO[bytes], lines: queue.Queue[bytes | None]) -> None:
    try:
        while line := pipe.readline(LONGEST):
            lines.put(line)
    except (OSError, ValueError):       # closed while we waited: it was ended
        pass
    lines.put(None)


def parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


NAMES = {f.name for f in fields(Outcome)}


def outcome(record: Mapping[str, Any]) -> Outcome:
    known = {k: v for k, v in record.items() if k in NAMES and v is not None}
    for name in ("kinds", "undefined", "evidence"):
        known[name] = tuple(known.get(name, ()))
    known["frames"] = tuple((file, line, name) for file, line, name in known.get("frames", ()))
    return Outcome(**known)


# --------------------------------------------------------------------------------------------- last words

def ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        return None


def ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None: return "it did not end"
    if code < 0: return f"Python crashed ({signal_name(-code)})"
    return f"the process ended (exit code {code})"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


FAULT_LINE = re.compile(r'File "(.*)", line (\d+) in (.*)')


def with_last_words(run: Run, unit: str, late: bool, ending: str, plan: Plan) -> Run:
    """The unit that was running when the process ended gets its verdict; Python's last words say where."""
    found = FAULT_LINE.finditer(run.noise)
    frames: list[Frame] = [(m[1], int(m[2]), m[3]) for m in found if m[1] != str(WORKER)]
    if not unit:
        return replace(run, ending=ending)
    last = Outcome(unit, "timeout" if late else "lost", text=ending, frames=tuple(reversed(frames)),
                   seconds=plan.limits.test if late else 0.0)
    return replace(run, outcomes=(*run.outcomes, last), ending=ending)
