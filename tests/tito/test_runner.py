"""The process that runs a learner's code, from outside; and what its lesson tests tell."""

import os
import sys
import textwrap
import time

import pytest

from tito.core.export import Line
from tito.core.lesson import Chapter
from tito.core.plan import Limits, Outcome, Plan, Run, Unit
from tito.core.reports import Package, lesson_tests, milestone_report
from tito.ports.runner import Processes, ending

HALF = "def half(x):\n    return x / 2\n"
FIVE = Limits(test=5)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "tinytorch").mkdir()
    (tmp_path / "tinytorch/__init__.py").write_text(HALF)
    return tmp_path


def cells(place, *sources, limits=FIVE, **more):
    """Runs cells; those that begin with assert are checks."""
    units = tuple(Unit(f"u{n}", "check" if s.startswith("assert") else "cell", f"nb.ipynb[u{n}]", s)
                  for n, s in enumerate(sources))
    return Processes().run(Plan("cells", str(place), str(place), limits, units), **more)


def checked(place, source, limits=FIVE, **files):
    """Runs lesson tests; the results by name."""
    folder = place / "tests"
    folder.mkdir(exist_ok=True)
    (folder / "test_it.py").write_text(textwrap.dedent(source))
    for name, text in files.items(): (folder / f"{name}.py").write_text(text)
    run = Processes().run(Plan("tests", str(place), str(place), limits, path=str(folder)))
    package = Package(str(place / "tinytorch"), "02_x.ipynb", {}, {"__init__.py": HALF})
    return {r.name: r for r in lesson_tests(run, package, Chapter(()), limits)}


# --------------------------------------------------------------------------------------------- the process

def test_cells_share_names_and_checks_keep_theirs_to_themselves(place):
    run = cells(place, "x = 1", "assert (y := x) == 1", "z = 'y' in globals()", "assert not z")
    assert [o.outcome for o in run.outcomes] == ["passed"] * 5 and run.finished


def test_a_future_import_holds_for_the_cells_after_it(place):
    run = cells(place, "from __future__ import annotations", "def f(x: Unknown): pass", "assert not f(1)")
    assert run.outcome("u2").outcome == "passed"


def test_dataclasses_and_pickling_find_the_module_of_a_cell(place):
    run = cells(place, "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int",
                "import pickle", "assert pickle.loads(pickle.dumps(P(1))) == P(1)")
    assert run.outcome("u2").outcome == "passed", run


def test_the_package_on_the_stage_is_the_one_that_is_imported(place):
    run = cells(place, "import tinytorch", "assert tinytorch.half(4) == 2")
    assert run.package == str(place / "tinytorch") and run.foreign == ()


def test_the_process_stands_where_it_is_told_and_its_own_folder_is_not_importable(place):
    run = cells(place, "import os", f"assert os.getcwd() == {os.path.realpath(place)!r}",
                "import importlib.util as u", "assert u.find_spec('changes') is None")
    assert all(o.outcome == "passed" for o in run.outcomes), run


def test_each_unit_is_told_as_soon_as_it_has_ended(place):
    heard = []
    cells(place, "x = 1", "import time; time.sleep(0.3)",
          heard=lambda o: heard.append((o.unit, time.monotonic())))
    assert [u for u, _ in heard] == ["import", "u0", "u1"] and heard[2][1] - heard[1][1] > 0.25


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux")
def test_memory_is_limited_to_what_the_limit_says(place):
    little = Limits(memory=64 << 20)
    assert cells(place, "x = bytearray(32 << 20)", limits=little).outcome("u0").outcome == "passed"
    assert "MemoryError" in cells(place, "x = bytearray(128 << 20)", limits=little).outcome("u0").kinds
    numpy = cells(place, "import numpy; x = numpy.ones((64, 1 << 20))", limits=little).outcome("u0")
    assert "MemoryError" in numpy.kinds


def test_children_of_the_learners_code_end_with_it(place):
    run = cells(place, "import subprocess; child = subprocess.Popen(['sleep', '99']); print(child.pid)")
    pid = int(run.outcome("u0").output)
    for _ in range(100):
        try: os.kill(pid, 0)
        except ProcessLookupError: return
        time.sleep(0.02)
    pytest.fail("the child lives on")


def test_a_package_that_does_not_import_is_told_with_its_line(place):
    (place / "tinytorch/__init__.py").write_text("import math\n1 / 0\n")
    run = cells(place, "x = 1")
    told = run.outcome("import")
    assert (told.outcome, told.type, told.frames[-1][1]) == ("raised", "ZeroDivisionError", 2)
    assert run.outcome("u0") is None


def test_what_goes_wrong_in_the_machinery_is_kept_as_noise(place, monkeypatch):
    monkeypatch.setattr("tito.ports.runner.asserts.__file__", "/nowhere.py")
    run = cells(place, "x = 1")
    assert not run.finished and "nowhere.py" in run.noise


def test_what_import_tinytorch_finds_is_asked_of_a_new_python(place, tmp_path):
    assert Processes().imported(place) == str(place / "tinytorch/__init__.py")
    (place / "tinytorch/__init__.py").write_text("raise ImportError('not today')")
    assert Processes().imported(place) == "ImportError: not today"


@pytest.mark.parametrize("code, words", [
    (0, "the process ended (exit code 0)"), (-11, "Python crashed (SIGSEGV)"),
    (-99, "Python crashed (signal 99)"), (None, "it did not end"),
])
def test_endings_are_told_in_words(code, words): assert ending(code) == words


# -------------------------------------------------------------------------------------------- lesson tests

def test_a_lesson_test_bears_the_first_line_of_its_docstring_or_its_name_as_a_sentence(place):
    found = checked(place, '''
        def test_half_of_four_is_two(): assert True
        def test_x():
            """Halves are never negative.

            More about it."""
    ''')
    assert list(found) == ["half of four is two", "Halves are never negative"]
    assert all(r.ok for r in found.values())


def test_a_slow_lesson_test_is_not_for_learners(place):
    found = checked(place, '''
        import pytest
        def test_quick(): assert True
        @pytest.mark.slow
        def test_that_takes_minutes(): assert False
    ''')
    assert list(found) == ["quick"] and found["quick"].ok


def test_a_failing_lesson_test_tells_sentence_expected_got_and_what_was_asked(place):
    found = checked(place, '''
        import tinytorch
        def test_half(): assert tinytorch.half(4) == 3, "half of four"
    ''')["half"]
    assert (found.status, found.message, found.expected, found.got, found.asked) == (
        "failed", "half of four", "3", "2.0", "tinytorch.half(4)")


def test_numpys_own_asserts_tell_both_sides(place):
    found = checked(place, '''
        import numpy as np
        def test_close(): np.testing.assert_allclose([1.0, 2.0], [1.0, 2.5], err_msg="two and a half")
        def test_equal(): np.testing.assert_array_equal(np.zeros((2, 1)), np.zeros((1, 3)))
    ''')
    assert (found["close"].message, found["close"].got, found["close"].expected) == (
        "two and a half", "[1.0, 2.0]", "[1.0, 2.5]")
    assert found["equal"].got.startswith("shape (2, 1)")
    assert found["equal"].expected.startswith("shape (1, 3)")


def test_an_error_in_the_package_has_its_line_there(place):
    found = checked(place, "import tinytorch\ndef test_half(): tinytorch.half('x')\n")["half"]
    assert found.status == "error" and "TypeError" in found.message
    line = found.line
    assert (line.file, line.number, line.text) == ("tinytorch/__init__.py", 2, "return x / 2")


def test_cases_of_one_test_are_one_result_that_counts_them(place):
    found = checked(place, '''
        import pytest
        @pytest.mark.parametrize("n", range(10))
        def test_small(n): assert n < 7, "n is small"
    ''')
    assert list(found) == ["small"] and found["small"].message == "n is small (7: 3 of 10 cases)"


def test_fixtures_setup_and_teardown_count(place):
    found = checked(place, '''
        import pytest
        @pytest.fixture
        def broken(): raise ValueError("no")
        def test_a(broken): pass
        @pytest.fixture
        def late():
            yield
            raise ValueError("later")
        def test_b(late): pass
        def test_c(tmp_path, capsys, monkeypatch): assert tmp_path.exists()
    ''')
    assert {n: r.status for n, r in found.items()} == {"a": "error", "b": "error", "c": "passed"}


def test_a_test_that_skips_itself_is_left_out_but_learners_cannot_skip(place):
    source = '''
        import pytest, tinytorch
        @pytest.mark.skipif(True, reason="no GPU")
        def test_gpu(): assert False
        def test_half(): assert tinytorch.half(4) == 2
    '''
    assert list(checked(place, source)) == ["half"]
    (place / "tinytorch/__init__.py").write_text("import pytest\ndef half(x): pytest.skip('no')\n")
    assert checked(place, source)["half"].status == "skipped"


def test_learners_cannot_leave_the_tests_early(place):
    (place / "tinytorch/__init__.py").write_text("import pytest, os\ndef half(x): {}\n")
    source = "import tinytorch\ndef test_half(): tinytorch.half(4)\ndef test_other(): pass\n"
    for line in ("pytest.exit('done', 0)", "os._exit(0)", "raise SystemExit(0)", "raise KeyboardInterrupt"):
        (place / "tinytorch/__init__.py").write_text(f"import pytest, os\ndef half(x): {line}\n")
        found = checked(place, source)
        assert not found["half"].ok, line


def test_a_test_file_that_does_not_load_is_a_result(place):
    found = checked(place, "import tinytorch\ntinytorch.nothing\ndef test_x(): pass\n")
    assert [r.status for r in found.values()] == ["error"] and "nothing" in found["test_it.py"].message


def test_a_test_file_that_does_not_end_while_it_loads_is_a_timeout(place):
    found = checked(place, "while True: pass\n", Limits(test=0.3))
    assert [r.status for r in found.values()] == ["timeout"]


def test_no_lesson_test_writes_into_the_course(place):
    checked(place, "def test_x(): assert True\n")
    assert sorted(p.name for p in (place / "tests").iterdir()) == ["test_it.py"]


# ---------------------------------------------------------------------------------------- pure, with fakes

PACKAGE = Package("/stage/tinytorch", "02_tensor.ipynb",
                  {"tensor.py": [Line("# made"), Line("x = 1", "one", 4)]},
                  {"tensor.py": "# made\nx = 1\n", "other.py": "a\nb\n"})


@pytest.mark.parametrize("frame, line", [
    (("/stage/tinytorch/tensor.py", 2, "f"), ("02_tensor.ipynb", "one", 4, "x = 1")),
    (("/stage/tinytorch/tensor.py", 1, "f"), ("tinytorch/tensor.py", "", 1, "# made")),
    (("/stage/tinytorch/other.py", 2, "f"), ("tinytorch/other.py", "", 2, "b")),
    (("/usr/lib/x.py", 2, "f"), None),
])
def test_a_line_of_the_package_is_found_in_its_cell(frame, line):
    found = PACKAGE.line_in([frame, ("/usr/lib/python/json.py", 3, "g")])
    assert (found and (found.file, found.cell, found.number, found.text)) == line


def test_tests_that_were_collected_and_did_not_run_have_not_passed():
    run = Run((Outcome("t::a", "passed"), Outcome("t::b", "lost", text="Python crashed (SIGSEGV)")),
              ("t::a", "t::b", "t::c"), {}, ending="Python crashed (SIGSEGV)")
    found = lesson_tests(run, PACKAGE, Chapter(()), Limits())
    assert [r.status for r in found] == ["passed", "error", "skipped"]


def test_a_run_without_an_end_has_not_passed_even_if_all_it_told_has():
    run = Run((Outcome("t::a", "passed"),), ("t::a",), {})
    assert [r.status for r in lesson_tests(run, PACKAGE, Chapter(()), Limits())] == ["passed", "error"]


@pytest.mark.parametrize("report, finished, words", [
    ("", True, "without a report"), ("{", True, "cannot be read"), ("[1]", True, "cannot be read"),
    ('{"tests": [], "numbers": {}}', True, "without a report"),
    ('{"tests": [{"name": "x"}]}', True, "cannot be read"),
    ('{"tests": [{"name": "x", "status": "splendid"}], "numbers": {}}', True, "cannot be read"),
    ('{"tests": [{"name": "x", "status": "passed"}], "numbers": {}}', False, "without a report"),
])
def test_a_milestone_without_a_whole_report_has_not_passed(report, finished, words):
    tests, numbers = milestone_report(Run((), finished=finished, report=report), PACKAGE, Limits())
    assert [t.status for t in tests] == ["error"] and words in tests[0].message and numbers == {}
