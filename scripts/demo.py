"""Play a learner through the course, from an empty folder to the last milestone that can be reached.

    python scripts/demo.py [FOLDER]         (default: ./demo)

Every step is the `tito` command, run as a learner would run it. Between the steps the reference solutions
are written into the notebooks, one cell after the other. `complete` runs the same checks as `test`, and
`unlock` the same gate, so `test` is shown once of each. Ends with exit code 1 and a sentence when a step does
not do what it should; an untouched notebook that passes is such a step, too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tito.app import open_course
from tito.core.lesson import shown
from tito.ports.notebooks import NotebooksOnDisk

BESIDE = Path(sys.executable).with_name("tito")
TITO = [str(BESIDE)] if BESIDE.exists() else [sys.executable, "-m", "tito"]
UTF8 = {**os.environ, "PYTHONUTF8": "1"}
PASSED, FAILED = 0, 1
WAITING = ("todo", "skipped")


class Unexpected(Exception):
    """A step that did not do what a learner may expect."""


class Learner:
    """Somebody at a keyboard, in a folder."""

    def __init__(self, folder: Path):
        self.folder, self.notebooks = folder, NotebooksOnDisk()

    def type(self, *words: str, expect=PASSED, quiet=False) -> str:
        """Run `tito` with these words; what it printed, if quiet, else it is seen as it comes."""
        print(f"\n$ tito {' '.join(words)}", flush=True)
        done = subprocess.run([*TITO, *words], cwd=self.folder, stdin=subprocess.DEVNULL, encoding="utf-8",
                              stdout=subprocess.PIPE if quiet else None, env=UTF8)
        if done.returncode != expect:
            said = f"`tito {' '.join(words)}` ended with exit code {done.returncode}, not {expect}."
            raise Unexpected(f"{said}\n{done.stdout or ''}")
        return done.stdout or ""

    def complete(self, curriculum):
        """Every milestone that is asked for is unlocked, and the certificate is there."""
        asked = [milestone.name for milestone in curriculum.milestones if not milestone.optional]
        answer = json.loads(self.type("milestone", "status", "--json", quiet=True))
        unlocked = [one["name"] for one in answer["milestones"] if one["record"]]
        if missing := [name for name in asked if name not in unlocked]:
            raise Unexpected(f"at the end, {' and '.join(missing)} should be unlocked.")
        if not (self.folder / "certificate.html").exists():
            raise Unexpected("with the last milestone comes a certificate, and there is none.")

    def test_blank(self, lesson):
        """Nothing is written yet: every check of an exercise has to wait for an answer."""
        answer = self.type("module", "test", lesson.label[:2], "--json", expect=FAILED, quiet=True)
        about = [t for t in json.loads(answer)["tests"] if t["exercise"]]
        other = [f"{t['name']}: {t['status']} {t['message']}" for t in about if t["status"] not in WAITING]
        if other or not about:
            raise Unexpected(f"an untouched {lesson.notebook} should wait for answers: {'; '.join(other)}.")
        print(f"  {len(about)} checks wait for an answer, beginning with: {about[0]['message']}")

    def solve(self, lesson, chapter):
        """Write the course's solutions into the notebook, one cell at a time."""
        exercises = chapter.exercises()
        for number, cell in enumerate(exercises, 1):
            answer(self.notebooks, self.folder / lesson.notebook, {cell.id: shown(cell, solution=True)})
            live(f"  writing {number}/{len(exercises)} {cell.name}")
        live("")
        print(f"  {len(exercises)} exercises solved in {lesson.notebook}", flush=True)


def answer(notebooks, path, sources):
    """Write sources into the cells of these ids, and leave all others as they are."""
    for place, row in enumerate(notebooks.read(path)):
        if row.id in sources: notebooks.replace(path, place, row._replace(source=sources[row.id]))


def live(text: str):
    """A line that the next one replaces; a pipe gets none."""
    if sys.stdout.isatty(): print(f"\r\033[K{text}", end="", flush=True)


def title(text: str):
    print(f"\n{f' {text} ':─^78}", flush=True)


def play(folder: Path):
    """The journey; raises Unexpected."""
    begin, course = time.monotonic(), open_course()
    folder.parent.mkdir(parents=True, exist_ok=True)
    title("a workspace")
    Learner(folder.parent).type("init", folder.name)
    learner = Learner(folder)
    lessons = [lesson for lesson in course.curriculum.lessons if lesson.name in course.written()]
    for lesson in lessons:
        title(lesson.label)
        number = lesson.label[:2]
        learner.type("module", "start", number, "--no-open")
        learner.test_blank(lesson)
        learner.solve(lesson, course.chapter(lesson))
        if lesson == lessons[0]: learner.type("module", "test", number)
        learner.type("module", "complete", number)
    gates = [milestone for milestone in course.curriculum.milestones if course.program(milestone)]
    for milestone in gates:
        title(milestone.title)
        if milestone == gates[0]: learner.type("milestone", "test", milestone.name)
        learner.type("milestone", "unlock", milestone.name)
    title("where this learner is")
    learner.type("milestone", "status", "--detailed")
    learner.type("milestone", "timeline")
    learner.complete(course.curriculum)
    print(f"\nThat took {time.monotonic() - begin:.0f} s. The workspace is {folder}: cd there and look.")


def clear(folder: Path):
    """Take away what an earlier demo left here, and nothing else."""
    if not folder.exists() or not any(folder.iterdir()): return
    if not (folder / ".tito/workspace.json").exists():
        sys.exit(f"{folder} is there and no workspace of an earlier demo: name another folder.")
    shutil.rmtree(folder)


def main() -> int:
    folder = Path(sys.argv[1] if sys.argv[1:] else "demo").resolve()
    clear(folder)
    try:
        play(folder)
    except Unexpected as problem:
        print(f"\nThe demo stopped: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
