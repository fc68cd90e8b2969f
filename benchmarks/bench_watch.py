"""From a save to the verdict on the screen: `tito watch` in a terminal of 80 by 24, as a learner has it.

    python benchmarks/bench_watch.py [--lessons 02 05] [--rounds 10]

Two cases of each lesson. In the middle: it is solved as far as its middle exercise, which is saved wrong
and right in turns; the verdict is on what is written so far. At the end: all is solved, and the last
exercise is saved with other comments; the verdict is on the whole lesson, with the tests on the package it
makes. A time is that of the wall, from before the save to the last byte of the screen that tells the
verdict; CPU is what `tito` and its processes took meanwhile, on a busy machine the fairer number.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from tito.app import Workspace, create_workspace
from tito.core.curriculum import Lesson
from tito.core.lesson import Cell, shown

CLOCK = os.sysconf("SC_CLK_TCK")
PATIENCE = 60.0                             # seconds in which a verdict has to come
END = "\x1b[J"                              # of every screen
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """`tito watch` in a terminal, and the screens that it shows."""

    def __init__(self, folder: Path, lesson: str):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tito", "watch", lesson], cwd=folder, stdin=slave, stdout=slave,
            stderr=slave, env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"})
        os.close(slave)
        self.text = ""

    def verdict(self) -> str:
        """The screen with the verdict of the run that begins now: the first whole one after "checking"."""
        until, checking = time.monotonic() + PATIENCE, False
        while time.monotonic() < until:
            if not select.select([self.master], [], [], 0.5)[0]: continue
            self.text += os.read(self.master, 1 << 16).decode("utf-8", "replace")
            *whole, self.text = self.text.split(END)
            for frame in whole:
                said = COLOURS.sub("", frame)
                if checking and "checking" not in said: return said
                checking = checking or "checking" in said
        said = COLOURS.sub("", self.text)
        raise TimeoutError(f"no verdict within {PATIENCE:g} s; the screen says:\n{said}")

    def quiet(self, seconds: float) -> None:
        """Waits until nothing is to be done any more: the next process waits, its imports done."""
        before = -1.0
        while (now := self.cpu()) > before + 0.01:
            before = now
            time.sleep(seconds)

    def cpu(self) -> float:
        """Seconds that tito and the processes it started have worked so far."""
        total = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                facts = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            pid, parent = int(folder.name), int(facts[1])
            if pid == self.process.pid: total += sum(map(int, facts[11:15]))
            elif parent == self.process.pid: total += sum(map(int, facts[11:13]))
        return total / CLOCK

    def close(self) -> None:
        os.write(self.master, b"q")
        until = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < until: self.drain()
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def drain(self) -> None:
        """A terminal that nobody reads holds up whoever writes to it."""
        try:
            if select.select([self.master], [], [], 0.05)[0]: os.read(self.master, 1 << 16)
        except OSError:                     # the other side is closed
            time.sleep(0.05)


def save(path: Path, sources: dict[str, str]) -> None:
    """As editors do: written beside, then put in its place."""
    data = json.loads(path.read_text("utf-8"))
    for cell in data["cells"]:
        if cell.get("id") in sources: cell["source"] = sources[cell["id"]]
    beside = path.with_suffix(".saving")
    beside.write_text(json.dumps(data), "utf-8")
    beside.replace(path)


def graduate(folder: Path, lesson: Lesson) -> Workspace:
    """The workspace of one who has completed what this lesson needs, as the course solves it."""
    place = create_workspace(folder)
    for one in place.course.curriculum.needs_closure(lesson):
        place.start(one)
        exercises = place.course.chapter(one).exercises()
        save(place.notebook(one), {c.id: shown(c, solution=True) for c in exercises})
        place.complete(one)
    place.start(lesson)
    return place


def wrong(cell: Cell) -> str:
    """The exercise, with an answer that is none."""
    return shown(cell, solution=True).replace("return ", "return 0 if True else ", 1)


def other(cell: Cell, number: int) -> str: return f"{shown(cell, solution=True)}\n# {number}"


def measured(place: Workspace, lesson: Lesson, middle: bool, rounds: int) -> list[tuple[float, float]]:
    """(wall, CPU) of each save."""
    path, exercises = place.notebook(lesson), place.course.chapter(lesson).exercises()
    last = exercises[len(exercises) // 2] if middle else exercises[-1]
    solved = exercises[:exercises.index(last) + 1]
    save(path, {c.id: shown(c, solution=c in solved) for c in exercises})
    terminal, found = Terminal(place.root, lesson.label[:2]), []
    try:
        terminal.verdict()
        for number in range(rounds + 1):
            terminal.quiet(0.3)
            text = wrong(last) if middle and number % 2 == 0 else other(last, number)
            busy, began = terminal.cpu(), time.monotonic()
            save(path, {last.id: text})
            screen = terminal.verdict()
            found.append((time.monotonic() - began, terminal.cpu() - busy))
            if not middle and "All checks pass" not in screen: raise SystemExit(f"not solved:\n{screen}")
    finally:
        terminal.close()
    return found[1:]                        # the first finds caches cold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lessons", nargs="+", default=["02", "05"])
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    print("| lesson | saved | verdict, median | fastest | slowest | CPU, median |\n|---|---|--:|--:|--:|--:|")
    for name in asked.lessons:
        with tempfile.TemporaryDirectory() as folder:
            place = create_workspace(Path(folder) / "names")
            lesson = place.course.curriculum.lesson(name)
            place = graduate(Path(folder) / "mytorch", lesson)
            for middle in (True, False):
                rows = measured(place, lesson, middle, asked.rounds)
                wall, cpu = [w for w, _ in rows], statistics.median(c for _, c in rows)
                what = "its middle exercise" if middle else "its last exercise, all solved"
                print(f"| {lesson.label} | {what} | {statistics.median(wall):.2f} s | {min(wall):.2f} s "
                      f"| {max(wall):.2f} s | {cpu:.2f} s |", flush=True)


if __name__ == "__main__":
    main()
