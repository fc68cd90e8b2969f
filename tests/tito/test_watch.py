"""`tito watch`: what a save sets going, what is left out, what is shown, and that it all ends."""

import io
import json
import os
import queue
import re
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tito.core import watching
from tito.core.outcomes import Hint
from tito.core.plan import Limits, Outcome, Plan, Run, Unit
from tito.core.results import CodeLine, Report, Result
from tito.core.watching import KEYS, Scene
from tito.ports import keys, saves
from tito.ports.runner import Stopped, Warm
from tito.services_watch import Affected, Judge, Watching
from tito.view import watch as view
from tito.view.screen import Screen

RIGHT = "#| export exercise\ndef after(n):\n    return n + 1"
WRONG = RIGHT.replace("+", "-")
ENDLESS = RIGHT.replace("return n + 1", "while True: pass")


# ------------------------------------------------------------------------------------- what is shown next

def report(*statuses): return Report("counting", tuple(
    Result(f"e{i}", status, exercise=f"e{i}", hints=2) for i, status in enumerate(statuses)))


@pytest.fixture
def lesson(course): return course.curriculum.lesson(1)


def test_what_is_wrong_comes_before_what_is_not_written_and_next_goes_round(lesson):
    scene = watching.judged(Scene(lesson), report("passed", "skipped", "todo", "failed"), False)
    seen = []
    for _ in range(4):
        seen.append(scene.problem.name)
        scene = watching.turned(scene)
    assert seen == ["e3", "e2", "e1", "e3"]


def test_a_hint_stays_while_it_is_about_what_is_shown(lesson):
    scene = watching.judged(Scene(lesson), report("failed", "todo"), False)
    scene = watching.hinted(scene, Hint(lesson, "e0", 1, 2, "one more"))
    assert watching.judged(scene, report("failed", "todo"), False).hint
    assert not watching.judged(scene, report("passed", "todo"), False).hint
    assert not watching.turned(scene).hint


def test_the_last_verdict_stays_while_a_new_one_is_made_but_not_that_of_another_lesson(lesson, course):
    scene = watching.judged(Scene(lesson), report("failed"), False)
    assert watching.begun(scene, lesson).report and watching.begun(scene, lesson).running
    assert not watching.begun(scene, course.curriculum.lesson(2)).report


# -------------------------------------------------------------------------------- noticing that it was saved

def test_a_notice_makes_it_look_and_only_what_changed_is_told():
    a, b = Path("a.ipynb"), Path("b.ipynb")
    seen = iter([{a: (1,)}, {a: (1,)}, {a: (2,), b: (1,)}, {a: (2,)}, {a: (2,), b: (1,)}])
    told = []
    disk = saves.OnDisk(moments=lambda folder, stop: range(4), stamps=lambda folder: next(seen))
    disk.follow(Path(), told.append, threading.Event())
    assert told == [{a, b}, {b}], "a notebook that is gone is no news; one that is back is"


@pytest.mark.parametrize("broken", [ImportError, OSError, RuntimeError, None])
def test_a_save_is_noticed_with_watchfiles_and_without(broken, tmp_path, monkeypatch):
    path, told, stop = tmp_path / "01.ipynb", queue.Queue(), threading.Event()
    path.write_text("{}")
    if broken:
        class Without:
            def __getattr__(self, name): raise broken
        monkeypatch.setitem(sys.modules, "watchfiles", Without())
    thread = threading.Thread(target=saves.OnDisk().follow, args=(tmp_path, told.put, stop), daemon=True)
    thread.start()
    try:
        for number in range(100):               # until it has begun to look
            path.write_text(f'{{"saved": {number}}}')
            try:
                assert told.get(timeout=0.3) == {path}
                return
            except queue.Empty:
                continue
        raise AssertionError("nothing was noticed")
    finally:
        stop.set()
        thread.join()


# ---------------------------------------------------------------------------------- only what is affected

class Passing:
    """A runner that passes everything, but for what it is told to fail."""

    def __init__(self): self.ran, self.fails = [], set()

    def run(self, plan, heard=lambda _: None, said=lambda _: None):
        self.ran = [unit.id for unit in plan.units]
        outcomes = tuple(Outcome(u, "failed" if u in self.fails else "passed") for u in ["import", *self.ran])
        for outcome in outcomes: heard(outcome)
        return Run(outcomes, finished=True)


def cells(**changed):
    kinds = {"a": "cell", "check-a": "check", "b": "cell", "check-b": "check"}
    return Plan("cells", "/stage", "/", units=tuple(
        Unit(name, kind, name, changed.get(name, "1")) for name, kind in kinds.items()))


def test_checks_before_the_first_cell_that_changed_are_left_out_and_told_in_their_place():
    runner, heard = Passing(), []
    affected = Affected(runner)
    affected.run(cells())
    assert runner.ran == ["a", "check-a", "b", "check-b"]
    run = affected.run(cells(b="2"), lambda outcome: heard.append(outcome.unit))
    assert runner.ran == ["a", "b", "check-b"]
    assert heard == [o.unit for o in run.outcomes] == ["import", "a", "check-a", "b", "check-b"]
    affected.run(cells(a="2", b="2"))
    assert runner.ran == ["a", "check-a", "b", "check-b"], "all of them stand behind it"


def test_what_did_not_pass_is_never_left_out_nor_is_anything_after_forgetting():
    runner = Passing()
    affected = Affected(runner)
    runner.fails = {"check-a"}
    affected.run(cells())
    assert affected.run(cells()).outcome("check-a").outcome == "failed"
    assert runner.ran == ["a", "check-a", "b"]
    runner.fails = set()
    affected.run(cells())
    affected.forget()
    affected.run(cells())
    assert len(runner.ran) == 4


# --------------------------------------------------------------------------------------------- the real thing

@pytest.fixture
def judge(learner, tmp_path):
    found = Judge(learner.place, tmp_path / "stages", Warm(), sleep=lambda seconds: None)
    yield found
    found.warm.close()


def verdict(judge, everything=False, limits=None):
    judge.warm.begin()
    lesson = judge.place.course.curriculum.lesson(1)
    found = judge.report(lesson, everything, limits or Limits(), lambda result: None)
    judge.warm.prepare()
    return found


def facts(report): return [(t.name, t.status, t.message, t.got, t.expected, t.line) for t in report.tests]


def test_a_warm_verdict_is_that_of_a_fresh_process(judge, learner):
    for cell in (WRONG, WRONG.replace("return", "retur"), RIGHT):
        learner.solve(1, after=cell)
        warm = verdict(judge)
        assert facts(warm) == facts(learner.place.tests.lesson(learner.place.current(), Limits()).report)
    assert warm.ok and set(judge.warm.waiting) == {"cells", "tests"}
    assert verdict(judge) is None, "nothing has changed"
    assert verdict(judge, everything=True).ok
    assert learner.place.last_report(1).ok and learner.place.progress().lesson("counting").passed


def test_a_change_in_the_same_second_and_of_the_same_length_is_seen(judge, learner):
    learner.solve(1)
    assert verdict(judge).ok
    tests = judge.tests.written["tests"]["counting.py"]
    learner.solve(1, twice="#| export exercise\ndef twice(n):\n    return n * 2")
    assert verdict(judge).ok and judge.tests.written["tests"]["counting.py"] != tests
    compiled = list((judge.tests.folder / "tests/tinytorch/__pycache__").glob("words.*.pyc"))
    assert compiled, "what did not change is not compiled again"


@pytest.mark.slow
def test_an_endless_loop_is_ended_and_the_next_verdict_comes(judge, learner):
    learner.solve(1)
    assert verdict(judge).ok
    learner.solve(1, after=ENDLESS)
    found = {t.name: t.status for t in verdict(judge, limits=Limits(test=0.5)).tests}
    assert found["after"] == "timeout"
    learner.solve(1)
    assert verdict(judge).ok


def test_a_run_is_stopped_from_outside(judge, learner):
    learner.solve(1, after=ENDLESS)
    threading.Timer(1.5, judge.warm.stop).start()
    with pytest.raises(Stopped): verdict(judge)
    learner.solve(1)
    assert verdict(judge).ok


@pytest.mark.slow
def test_a_package_that_changed_is_imported_anew(graduate, tmp_path):
    judge = Judge(graduate.place, tmp_path / "stages", Warm())
    lesson = graduate.place.course.curriculum.lesson(2)
    try:
        for body in ("n + 1", "n + 7", "n + 1"):
            path = graduate.root / "tinytorch/counting.py"
            path.write_text(re.sub(r"return n \+ \d", f"return {body}", path.read_text()))
            judge.warm.begin()
            fresh = graduate.place.tests.lesson(lesson, Limits()).report
            assert facts(judge.report(lesson, False, Limits(), lambda result: None)) == facts(fresh)
            judge.warm.prepare()
    finally:
        judge.warm.close()


# ------------------------------------------------------------------------------------------------- the loop

class Quiet(Passing):
    """… and has nothing to stop."""

    def begin(self): pass
    def prepare(self): pass
    def stop(self): pass
    def close(self): pass
    def forget(self, kind): pass

    def run(self, plan, heard=lambda _: None, said=lambda _: None):
        run = super().run(plan, heard, said)
        if plan.kind != "tests": return run
        outcomes = (*run.outcomes, Outcome("t", "passed"))
        return replace(run, outcomes=outcomes, collected=("t",), titles={"t": "t"})


class Loop:
    """A watch whose events a test puts in, one after the other."""

    def __init__(self, place, folder, **settings):
        self.scenes = []
        judge = Judge(place, folder, Quiet(), sleep=self.half)
        self.watch = Watching(place, place.course.curriculum.lesson(1), self.scenes.append, judge, **settings)
        self.on_sleep = lambda: None

    def half(self, seconds): self.on_sleep()

    def until_judged(self):
        if self.watch.thread.ident: self.watch.thread.join()
        while not self.watch.events.empty(): self.watch.goes_on()
        return self.watch.scene

    def save(self, *names):
        self.watch.saved(frozenset(self.watch.place.root / name for name in names))
        return self.until_judged()


@pytest.fixture
def loop(learner, tmp_path): return Loop(learner.place, tmp_path / "stages")


def test_each_save_brings_a_verdict_and_the_notebook_that_was_saved_is_followed(loop, learner):
    learner.solve(1)
    assert loop.save("01_counting.ipynb").report.ok
    scene = loop.save("02_adding.ipynb")
    assert scene.lesson.name == "adding" and scene.report
    assert loop.save("mine.ipynb") == scene


def test_with_a_lesson_named_others_are_not_followed(learner, tmp_path):
    loop = Loop(learner.place, tmp_path, follow=False)
    assert loop.save("02_adding.ipynb").report is None and loop.save("01_counting.ipynb").report


def test_a_notebook_saved_halfway_is_read_again_and_a_broken_one_gives_a_sentence(loop, learner):
    path = learner.place.notebook(1)
    whole = path.read_text("utf-8")
    path.write_text(whole[:99], "utf-8")
    loop.on_sleep = lambda: path.write_text(whole, "utf-8")
    assert loop.save(path.name).report and not loop.watch.scene.trouble
    path.write_text(whole[:99], "utf-8")
    loop.on_sleep = lambda: None
    scene = loop.save(path.name)
    assert "cannot be read as a notebook" in scene.trouble and not scene.report
    path.write_text(whole, "utf-8")
    assert not loop.save(path.name).trouble and loop.watch.scene.report, "the same as before is judged again"
    assert loop.save(path.name).report, "and what is judged stays"
    path.unlink()
    assert "is not in" in loop.save(path.name).trouble


def test_keys_do_what_they_say(loop, learner):
    learner.solve(1)
    loop.watch.judge.warm.fails = {"check-after", "check-twice"}
    first = loop.save("01_counting.ipynb").problem.name
    loop.watch.pressed("n")
    assert loop.watch.scene.problem.name != first
    loop.watch.pressed("h")
    assert loop.watch.scene.hint.number == 1 and learner.place.progress().lesson("counting").hints
    loop.watch.pressed("a")
    assert loop.until_judged().report.tests
    assert loop.watch.pressed("x") and not loop.watch.pressed("q")


def test_an_error_of_ours_is_not_swallowed(loop, monkeypatch):
    def broken(*_): raise ZeroDivisionError
    monkeypatch.setattr(loop.watch.judge, "report", broken)
    with pytest.raises(ZeroDivisionError): loop.save("01_counting.ipynb")


def test_a_watch_ends_with_q_and_leaves_no_process(learner, tmp_path):
    judge = Judge(learner.place, tmp_path, Warm())
    shown = []
    watch = Watching(learner.place, learner.place.current(), shown.append, judge)
    last = watch.watch(saves.Scripted(), keys.Scripted("q"))
    assert last.lesson.name == "counting" and not judge.warm.waiting and judge.warm.running is None


# --------------------------------------------------------------------------------------------- the screen

class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self): return True


def a_scene(lesson, **more):
    line = CodeLine("01_counting.ipynb", "after", 3, "return n - 1")
    wrong = Result("after", "failed", "after one comes two", "2", "0", exercise="after", hints=2, line=line,
                   asked="after(1)", output="\n".join(map(str, range(40))))
    tests = (Result("before", "passed", points=1), wrong, Result("twice", "todo", exercise="twice"),
             Result("lesson tests", "skipped", "they run when all checks pass"))
    return replace(Scene(lesson, Report("counting", tests, seconds=0.4)), **more)


def drawn(scene, width=80, height=24, file=None, monkeypatch=None):
    file = file or Terminal()
    screen = Screen(file, width=width, height=height, force_terminal=True)
    screen.show(view.scene(scene, KEYS, screen, height))
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).splitlines()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize("width, height", [(80, 24), (40, 24), (40, 12), (100, 50)])
def test_a_screen_fits_and_keeps_the_keys_in_sight(lesson, width, height):
    rows = drawn(a_scene(lesson), width, height)
    assert len(rows) <= height and max(map(len, rows)) <= width
    assert rows[0].startswith("01 counting") and rows[-1].startswith("h hint")
    assert any("after one comes two" in row for row in rows) and "✓✗○·" in rows


def test_a_screen_in_ascii_has_no_other_sign(lesson, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    rows = drawn(a_scene(lesson, running=True))
    assert "".join(rows).isascii() and "+xo." in rows and rows[-1].endswith("checking ...")


def test_only_keys_that_do_something_are_shown(lesson):
    done = Report("counting", (Result("x", "passed"),))
    assert drawn(Scene(lesson, done))[-1] == "a run all · q quit"


def test_a_hint_trouble_and_the_end_are_said(lesson):
    hint = Hint(lesson, "after", 1, 2, "Think of one more pebble.")
    assert "  Think of one more pebble." in drawn(a_scene(lesson, hint=hint), height=60)
    assert "It is broken." in drawn(Scene(lesson, trouble="It is broken."))
    done = Report("counting", (Result("x", "passed"),))
    assert "tito module complete 01" in "\n".join(drawn(Scene(lesson, done)))
    assert "complete" not in "\n".join(drawn(Scene(lesson, done, complete=True)))


def test_the_terminal_is_written_to_only_when_something_has_changed(lesson, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    stage = view.Stage(KEYS, Terminal())
    stage.show(a_scene(lesson))
    first = stage.file.getvalue()
    stage.show(a_scene(lesson))
    assert stage.file.getvalue() == first and "\x1b[2J" not in first, "and it is never wiped: that flickers"
    stage.show(a_scene(lesson, turned=1))
    assert stage.file.getvalue() != first


def test_without_a_terminal_each_verdict_is_written_once(lesson):
    file = io.StringIO()
    lines = view.Lines(file)
    broken = Scene(lesson, trouble="Broken.")
    for scene in (a_scene(lesson, running=True), a_scene(lesson), a_scene(lesson), broken): lines.show(scene)
    text = file.getvalue()
    assert text.count("after one comes two") == 1 and text.count("Broken.") == 1 and "\x1b" not in text
    assert "39" in text and "q quit" not in text


# ------------------------------------------------------------------------------------ as a learner has it

@pytest.mark.slow
def test_in_a_pipe_it_writes_json_lines_until_it_is_stopped(learner, tito):
    learner.solve(1, after=WRONG)
    process = tito(learner.place, "watch", "01", "--json")
    assert json.loads(process.stdout.readline())["status"] == "failed"
    learner.solve(1)
    assert json.loads(process.stdout.readline())["status"] == "passed"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 128 + signal.SIGTERM


@pytest.mark.skipif(sys.platform == "win32", reason="has no pty")
def test_in_a_terminal_a_save_is_seen_and_q_gives_the_terminal_back(learner, tito):
    import pty
    import termios

    learner.solve(1, after=WRONG)
    main, end = pty.openpty()
    before, terminal = termios.tcgetattr(end), {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    process = tito(learner.place, "watch", stdin=end, stdout=end, stderr=end, env=terminal)
    try:
        screen = Typist(main)
        screen.until("after one comes two")
        learner.solve(1)
        screen.until("All checks pass.")
        os.write(main, b"q")
        assert process.wait(timeout=20) == 0
        screen.until("\x1b[?1049l")
        assert termios.tcgetattr(end) == before and "\x1b[?25h" in screen.text, "as it was, with its cursor"
    finally:
        process.kill()
        for number in (main, end): os.close(number)


class Typist:
    def __init__(self, number): self.number, self.text = number, ""

    def until(self, wanted, seconds=60):
        import select

        end = time.monotonic() + seconds
        while wanted not in self.text:
            assert time.monotonic() < end, f"{wanted!r} does not come: {self.text[-2000:]!r}"
            if select.select([self.number], [], [], 0.1)[0]:
                self.text += os.read(self.number, 65536).decode("utf-8", "replace")
