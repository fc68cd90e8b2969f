"""What is tested is what the learner wrote: every way around that ends in the right verdict or in a sentence.

Real notebooks, real processes, the course of tests/tito/sample.
"""

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tito.core.errors import EnvironmentProblem
from tito.core.plan import Limits

ROOT = Path(__file__).resolve().parents[2]
QUICK = Limits(test=0.5)


def exercise(body, name="after", args="n"):
    """An exercise cell with this body."""
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return f"#| export exercise\ndef {name}({args}):\n{lines}"


def cell(text): return "#| export exercise\n" + textwrap.dedent(text).strip()


# ----------------------------------------------------------------------------- nothing, or less than nothing

def test_an_untouched_notebook_is_all_to_do_and_not_passed(place):
    report = place.test(1)
    assert {t.name: t.status for t in report.tests} == {
        "after": "todo", "twice": "todo", "twice, check 2": "todo", "lesson tests": "skipped"}
    assert report.status == "todo" and not report.ok
    assert not place.complete(1).report.ok and not place.progress().completed("counting")


def test_an_untouched_exercise_is_to_do_even_if_its_check_would_pass(learner):
    learner.insert(1, "#| export\nclass NotImplementedError(Exception):\n    pass")
    assert learner.place.test(1).status == "todo"


def test_an_emptied_cell_says_which_name_is_no_longer_defined(learner):
    found = learner.verdicts(after="")["after"]
    assert found.status == "failed"
    assert "`after` is no longer defined since its cell is empty" in found.message
    assert "tito module reset 01 after" in found.message


def test_a_cell_that_defines_something_else_says_what_is_missing(learner):
    found = learner.verdicts(after="#| export exercise\ndef afterwards(n):\n    return n + 1")["after"]
    assert found.status == "failed" and "`after` is no longer defined in the cell `after`" in found.message


def test_a_deleted_exercise_says_which_cell_is_gone_and_how_to_get_it_back(learner):
    learner.solve(1)
    learner.drop(1, "after")
    found = learner.test(1)
    assert "the cell `after` is gone from 01_counting.ipynb" in found["after"].message
    assert "`tito module reset 01 after` brings it back" in found["after"].message
    assert not any(t.ok for t in found.values() if t.name in ("after", "lesson tests"))


def test_deleted_and_changed_checks_are_checked_all_the_same(learner):
    learner.solve(1, after=exercise("return n + 2"), twice=exercise("return 0", "twice"))
    learner.drop(1, "check-after")
    learner.write(1, **{"check_twice": "#| check 3\nassert True"})
    found = learner.test(1)
    assert {found[n].status for n in ("after", "twice", "twice, check 2")} == {"failed"}
    after = found["after"]
    assert (after.message, after.expected, after.got) == ("after one comes two", "2", "3")


def test_a_notebook_without_any_cell_passes_nothing(learner):
    path = learner.place.notebook(1)
    path.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    report = learner.place.test(1)
    assert not report.ok and not any(t.ok for t in report.tests)


def test_the_checks_constants_are_caught_by_the_lesson_tests(learner):
    found = learner.verdicts(after=exercise("return 2"))
    assert found["after"].ok
    told = found["counting goes on and on"]
    assert (told.status, told.expected, told.got, told.exercise) == ("failed", "42", "2", "")
    assert not learner.place.complete(1).report.ok


# --------------------------------------------------------------------------------------- whose tinytorch

def test_tinytorch_replaced_by_a_link_to_another_package_is_refused_with_both_paths(learner, tmp_path):
    shutil.move(learner.root / "tinytorch", tmp_path / "installed")
    (learner.root / "tinytorch").symlink_to(tmp_path / "installed")
    learner.solve(1)
    with pytest.raises(EnvironmentProblem) as problem: learner.place.test(1)
    assert str(tmp_path / "installed") in problem.value.message
    assert str(learner.root / "tinytorch") in problem.value.message


@pytest.mark.parametrize("trick", [
    "import sys, types\nsys.modules['tinytorch'] = types.ModuleType('tinytorch')",
    "import importlib.util, sys\n"
    "spec = importlib.util.spec_from_file_location('tinytorch.other', {other!r})\n"
    "sys.modules['tinytorch.other'] = importlib.util.module_from_spec(spec)",
    "import importlib.util, sys\n"
    "spec = importlib.util.spec_from_file_location('helper', {reference!r})\n"
    "sys.modules['helper'] = importlib.util.module_from_spec(spec)",
])
def test_code_that_swaps_tinytorch_or_borrows_the_reference_is_refused_with_both_paths(
    learner, course, tmp_path, monkeypatch, trick,
):
    reference, other = tmp_path / "site/tinytorch/ops.py", tmp_path / "other.py"
    for path in (reference, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("def after(n): return n + 1\n")
    monkeypatch.setattr(course, "reference", reference.parent)
    learner.solve(1)
    learner.insert(1, "#| export\n" + trick.format(other=str(other), reference=str(reference)))
    with pytest.raises(EnvironmentProblem, match="is not yours") as problem: learner.place.test(1)
    assert str(learner.root / "tinytorch") in problem.value.message


def test_a_package_on_the_pythonpath_does_not_stand_in(learner, tmp_path, monkeypatch):
    other = tmp_path / "elsewhere/tinytorch"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("def after(n): return n + 1\ndef twice(n): return 2 * n\n")
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    assert learner.verdicts(after=exercise("return n - 1"))["after"].status == "failed"


# ------------------------------------------------------------------------------------------ code that escapes

@pytest.mark.parametrize("body, words", [
    ("import sys; sys.exit(0)", "sys.exit"),
    ("raise SystemExit", "sys.exit"),
    ("exit()", "sys.exit"),
    ("class Mine(BaseException): pass\nraise Mine('so there')", "Mine: so there"),
    ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("return after(n)", "`after` calls itself without end"),
    ("return bytearray(1 << 40)", "more memory than the 4 GiB"),
    ("raise MemoryError", "more memory than the 4 GiB"),
    ("return input()", "input()"),
    ("return n + 'x'", "TypeError: unsupported operand"),
    ("return nn", "NameError: name 'nn' is not defined"),
    ("import pytest; pytest.skip('no')", "Skipped"),
    ("import pytest; pytest.exit('no')", "Exit"),
])
def test_code_that_does_not_return_is_an_error_with_its_line(learner, body, words):
    found = learner.verdicts(after=exercise(body))["after"]
    assert found.status == "error" and words in found.message
    assert found.line and found.line.cell == "after" and found.line.file == "01_counting.ipynb"
    assert found.asked == "after(1)"


@pytest.mark.parametrize("body, words", [
    ("import os; os._exit(0)", "the process ended (exit code 0) in the middle of it"),
    ("import os; os._exit(1)", "the process ended (exit code 1)"),
    ("import os; os.abort()", "Python crashed (SIGABRT)"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "Python crashed (SIGKILL)"),
    ("import os; os.closerange(0, 100)", "the process ended"),
])
def test_code_that_ends_the_process_has_not_passed_and_the_rest_was_not_run(learner, body, words):
    found = learner.verdicts(after=exercise(body))
    assert found["after"].status == "error" and words in found["after"].message
    assert (found["twice"].status, found["twice"].message) == (
        "skipped", "not run: `after` did not come to an end")


def test_a_crash_names_the_line(learner):
    found = learner.verdicts(after=exercise("import ctypes\nreturn ctypes.string_at(0)"))["after"]
    assert "SIGSEGV" in found.message and found.line.text == "return ctypes.string_at(0)"


@pytest.mark.parametrize("body", [
    "print('noise\\n' * 100_000)",
    "import sys; sys.stdout.close(); sys.stderr.close()",
    "import sys; sys.stdout = sys.stderr = None",
    "import os; os.close(1); os.close(2)",
    "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",
    "import os\nif os.fork() == 0: print('a child')",
    "import subprocess; subprocess.Popen(['sleep', '60'])",
    "import builtins; builtins_print = builtins.print",
    "import sys; sys.setrecursionlimit(50)",
    "import gc; gc.disable()",
    "import os; os.environ.clear()",
    "import os; os.chdir('/')",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
])
def test_code_with_odd_manners_gets_the_verdict_its_answer_deserves(learner, body):
    found = learner.verdicts(after=exercise(f"{body}\nreturn n + 1"),
                             twice=exercise(f"{body}\nreturn 7", "twice"))
    assert found["after"].ok and found["twice"].status == found["twice, check 2"].status == "failed"


@pytest.mark.parametrize("line", [
    "import numpy; numpy.allclose = lambda *a, **k: True",
    "import builtins; builtins.abs = lambda x: 0",
    "import math; math.isclose = lambda *a, **k: True",
    "import numpy.testing; numpy.testing.assert_allclose = lambda *a, **k: None",
])
def test_code_that_replaces_what_checks_stand_on_fails_and_is_told(learner, line):
    found = learner.verdicts(after=exercise(line + "\nreturn n + 1"))["after"]
    assert found.status == "failed" and "your code replaces" in found.message
    at_import = learner.verdicts(after=cell(f"{line}\ndef after(n): return n + 1"))
    assert not all(t.ok for t in at_import.values())


def test_a_print_cannot_forge_a_result(learner):
    forged = {"event": "end", "unit": "check-after", "outcome": "passed"}
    body = f"""
        import os, sys
        text = {json.dumps(json.dumps(forged))} + chr(10)
        print(text)
        sys.__stdout__.write(text)
        for number in range(20):
            try: os.write(number, text.encode())
            except OSError: pass
        return 0
    """
    found = learner.verdicts(after=exercise(body))["after"]
    assert found.status == "failed" and found.got == "0"


def test_a_forged_end_is_no_end(learner):
    body = """
        import os
        for number in range(20):
            try: os.write(number, b'{"event": "finished", "package": "", "foreign": []}' + bytes([10]))
            except OSError: pass
        os._exit(0)
    """
    report = learner.verdicts(after=exercise(body))
    assert not any(t.ok for t in report.values())


def test_what_is_printed_is_kept_up_to_a_limit_and_shown_with_its_check(learner):
    found = learner.verdicts(after=exercise("print('n is', n)\nreturn n"),
                             twice=exercise("print('é' * 10**6)", "twice"))
    assert found["after"].output == "n is 1\n"
    assert len(found["twice"].output) < 21_000 and found["twice"].output.endswith("(the rest was dropped)")


# ------------------------------------------------------------------------------------------- endless loops

@pytest.mark.parametrize("body, text", [
    ("while True:\n    n = n + 1", ("while True:", "n = n + 1")),
    ("while True: pass", "while True: pass"),
    ("try:\n    while True: pass\nexcept BaseException: return 2", "while True: pass"),
    ("import time\ntime.sleep(99)", "time.sleep(99)"),
    ("import threading\nthreading.Event().wait()", "threading.Event().wait()"),
    ("return len(str(7 ** 10 ** 8))", "return len(str(7 ** 10 ** 8))"),    # holds the GIL: only C can end it
])
def test_an_endless_loop_is_a_timeout_with_file_cell_line_and_text(learner, body, text):
    learner.solve(1, after=exercise(body))
    found = learner.test(1, QUICK)
    assert found["after"].status == "timeout" and "did not end within 0.5 seconds" in found["after"].message
    line = found["after"].line
    assert (line.file, line.cell) == ("01_counting.ipynb", "after") and line.text in (text, *text)
    assert found["twice"].status == "skipped"


def test_an_endless_loop_in_a_cell_itself_is_a_timeout_of_that_cell(learner):
    learner.solve(1, after=cell("while True: pass\ndef after(n): return n + 1"))
    found = learner.test(1, QUICK)["after"]
    assert (found.status, found.line.number) == ("timeout", 2)


def test_the_limit_on_the_whole_lesson_holds_too(learner):
    learner.solve(1, after=exercise("import time; time.sleep(0.7); return n + 1"),
                  twice=exercise("import time; time.sleep(0.7); return 2 * n", "twice"))
    report = learner.place.test(1, Limits(test=30, lesson=1.0))
    assert report.status == "timeout" and report.seconds < 10


def test_an_endless_loop_that_only_the_lesson_tests_meet_has_its_line_in_the_notebook(learner):
    learner.solve(1, after=exercise("while n > 10: pass\nreturn n + 1"))
    found = learner.test(1, QUICK)["counting goes on and on"]
    assert (found.status, found.line.file, found.line.cell, found.line.number) == (
        "timeout", "01_counting.ipynb", "after", 3)
    assert found.exercise == "after" and found.hints == 2


# ---------------------------------------------------------------- cells that do not run, and who needs them

def test_a_syntax_error_is_a_result_with_the_line(learner):
    found = learner.verdicts(after="#| export exercise\ndef after(n):\n    return n +")
    assert (found["after"].status, found["after"].line.number) == ("error", 3)
    assert "not Python" in found["after"].message


def test_a_cell_that_raises_is_the_result_of_its_exercise(learner):
    learner.complete(1)
    learner.place.start(2)
    learner.solve(2, add=cell("1 / 0\ndef add(x, y): return x + y"))
    found = learner.test(2)["add"]
    assert (found.status, found.line.text, found.points) == ("error", "1 / 0", 2)
    assert "ZeroDivisionError" in found.message


def test_what_needs_a_cell_that_did_not_run_is_skipped_and_says_so(learner):
    found = learner.verdicts(twice=cell("1 / 0\ndef twice(n): return 2 * n"))
    assert found["twice"].message == "ZeroDivisionError: division by zero"
    assert (found["twice, check 2"].status, found["twice, check 2"].message) == (
        "skipped", "needs `twice`, which did not run")


def test_a_cell_that_needs_one_that_did_not_run_says_so_instead_of_a_name_error(learner):
    found = learner.verdicts(after="#| export exercise\ndef after(n) return n",
                             twice=cell("zero = after(-1)\ndef twice(n): return n + n"))
    assert found["after"].status == "error"
    assert (found["twice"].status, found["twice"].message) == ("skipped", "needs `after`, which did not run")


def test_a_check_that_meets_another_blank_is_skipped_and_names_it(learner):
    learner.write(1, twice=exercise("return after(n) + n - 1", "twice"))
    found = learner.test(1)
    assert found["after"].status == "todo"
    assert (found["twice"].status, found["twice"].message) == (
        "skipped", "needs `after`, which is still yours to write")


def test_a_helper_in_a_cell_that_is_not_exported_is_explained(learner):
    learner.insert(1, "def plus_one(n): return n + 1")
    found = learner.verdicts(after=exercise("return plus_one(n)"))["after"]
    assert "`plus_one` is defined in a cell that is not exported" in found.message


def test_a_helper_in_an_exported_cell_of_the_learners_goes_into_the_package(learner):
    learner.insert(1, "#| export\ndef plus_one(n): return n + 1")
    learner.place.start(1)
    learner.solve(1, after=exercise("return plus_one(n)"))
    assert learner.place.complete(1).report.ok
    assert "def plus_one(n)" in (learner.root / "tinytorch/counting.py").read_text()


def test_a_notebook_that_is_no_notebook_is_a_sentence(learner):
    learner.place.notebook(1).write_text("{")
    with pytest.raises(EnvironmentProblem, match="cannot be read as a notebook"): learner.place.test(1)


# ------------------------------------------------------------------------------ the lesson tests' own house

def test_a_users_pytest_configuration_does_not_interfere(learner, monkeypatch):
    (learner.root / "pytest.ini").write_text("[pytest]\naddopts = --collect-only -p nonsense\n")
    (learner.root / "conftest.py").write_text("raise RuntimeError('not for us')")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    learner.solve(1)
    assert learner.place.test(1).ok


def test_the_reference_refuses_inside_a_workspace_and_says_why(learner):
    code = "import sys; sys.path.insert(0, sys.argv[1]); import _reference"
    done = subprocess.run([sys.executable, "-c", code, ROOT / "modules"], cwd=learner.root, text=True,
                          capture_output=True)
    assert done.returncode != 0 and f"not the one you write in {learner.root}" in done.stderr
