"""`tito bench`: the race, what it may say, and what is seen of it; and one race that really runs."""

import ast
import json
import math
import re
import threading
import xml.etree.ElementTree as ET
from io import StringIO
from pathlib import Path

import pytest

from tito import cli
from tito.core import bench as core
from tito.core.bench import Bench, Ratio, Timing, chosen, ratio, timings
from tito.core.errors import EnvironmentProblem, UsageProblem
from tito.core.plan import Limits, Outcome, Run
from tito.services_bench import Races
from tito.services_course import open_course
from tito.view import bench as view
from tito.view.screen import Screen

COURSE = open_course()
PROGRAM = COURSE.modules / "14_benchmarking" / "bench" / "race.py"


# ---------------------------------------------------------------------------------------------- what is run

def test_the_workloads_that_can_be_asked_for_are_those_of_the_program():
    classes = {node.name: [x.name for x in node.body if isinstance(x, ast.FunctionDef)]
               for node in ast.parse(PROGRAM.read_text("utf-8")).body if isinstance(node, ast.ClassDef)}
    assert [name for name in classes["OfTensors"] if name in core.WORKLOADS] == list(core.WORKLOADS)
    assert set(classes["ByHand"]) & set(core.WORKLOADS) == {"matmul", "softmax", "forward", "mlp"}


def test_all_workloads_are_meant_by_none_and_a_typo_is_answered():
    assert chosen([]) == tuple(core.WORKLOADS) and chosen(["gpt", "mlp", "gpt"]) == ("gpt", "mlp")
    with pytest.raises(UsageProblem, match="Did you mean 'matmul'"):
        chosen(["matmull"])


# ------------------------------------------------------------------------------------- what may be said of it

def of(*seconds, value=1.0): return Timing(seconds, value)


@pytest.mark.parametrize(("ours", "theirs", "wanted"), [
    ((2.0,) * 9, (1.0,) * 9, Ratio(2.0, 2.0, 2.0)),
    (range(1, 10), (1.0,) * 9, Ratio(5.0, 2.0, 8.0)),           # of nine, the second from either end
    (range(1, 7), (1.0,) * 6, Ratio(3.5, 1.0, 6.0)),
    ((1.0,) * 5, (2.0,) * 5, Ratio(0.5, -math.inf, math.inf)),  # five are too few
])
def test_a_ratio_is_of_pairs_with_an_interval_by_ranks(ours, theirs, wanted):
    assert ratio(ours, theirs) == wanted


def test_without_pairs_there_is_no_ratio():
    assert ratio((), (1.0,)) is None


@pytest.mark.parametrize(("found", "said"), [
    (Ratio(0.9, 0.8, 0.99), "faster"), (Ratio(1.1, 1.01, 1.2), "slower"),
    (Ratio(0.9, 0.8, 1.01), "cannot tell"),
])
def test_a_verdict_needs_the_whole_interval(found, said): assert found.verdict == said


LATER = "tinytorch.nn.LayerNorm is built in lesson 05 dense: tito module start 05"
FULL = Bench(("yours", "reference", "numpy", "torch"), {
    "matmul": {"yours": of(*[2e-3] * 9), "reference": of(*[1e-3] * 9), "numpy": of(*[1e-3] * 9),
               "torch": of(*[1e-3] * 9)},
    "gpt": {"yours": Timing(skipped=LATER),
            "reference": of(*[3e-2] * 9, value=2.0), "numpy": Timing(skipped="AttributeError: gpt"),
            "torch": of(*[2e-2] * 9, value=2.5)},
}, {"yours": "", "reference": "1", "numpy": "2.4.6", "torch": "2.13.0+cpu"}, "a machine", 9, {})


def test_the_subject_is_the_learners_package_and_the_base_is_pytorch():
    assert (FULL.subject, FULL.base) == ("yours", "torch")
    alone = Bench(("reference", "numpy"), {}, {})
    assert (alone.subject, alone.base, alone.others) == ("reference", "numpy", ("numpy",))


def test_what_has_to_be_said_besides_the_numbers():
    notes = FULL.notes()
    assert notes[0] == f"gpt: yours: {LATER}"
    assert notes[1] == "gpt: reference computes something else, so its time says nothing"
    assert len(notes) == 2, "nobody has written a GPT in NumPy by hand, and that is no news"


def test_a_report_that_is_none_is_no_timing():
    broken = '{"workloads": {"mlp": {"seconds": ["x"], "value": 1}}}'
    for text in ("", "[]", "{}", '{"workloads": 3}', broken):
        assert timings(text, ["mlp"]) == ({}, "")


def test_an_error_becomes_one_short_line():
    said = "AttributeError: tinytorch.optim is built in lesson 10 optimizers: tito module start 10"
    assert core.sentence(said) == said.partition(": ")[2]
    assert core.sentence("ValueError: shapes\n  do not meet") == "ValueError: shapes do not meet"
    assert len(core.sentence("ValueError: " + "x" * 500)) == 160


# ------------------------------------------------------------------------------------------------- the race

class Contenders:
    """A runner whose contenders hand in what they were given; it keeps the plans."""

    def __init__(self, **reports): self.reports, self.plans, self.lock = reports, {}, threading.Lock()

    def run(self, plan, heard=None, said=None):
        package, place = plan.argv[:2]
        with self.lock: self.plans[int(place)] = plan
        staged = Path(plan.stage, "tinytorch")
        name = package if package != "tinytorch" else "reference" if plan.environment.get(
            "TINYTORCH_REFERENCE") else "yours"
        assert staged.is_dir(), "there is something to import on every stage"
        found = self.reports.get(name, Run((), ending="Python crashed"))
        if isinstance(found, BaseException): raise found
        return found


def handed(**workloads):
    entries = {name: {"seconds": [1e-3] * 9, "value": value} for name, value in workloads.items()}
    return Run((Outcome("program", "passed"),), finished=True,
               report=json.dumps({"workloads": entries, "version": "1"}))


def test_everybody_is_in_a_process_of_its_own_on_one_thread(place, course):
    runner = Contenders(yours=handed(mlp=1.0), reference=handed(mlp=1.0), numpy=handed(mlp=1.0),
                        torch=handed(mlp=1.0))
    races = Races(COURSE, place, runner, has=lambda name: True)
    found = races.race(("mlp",), rounds=9, limits=Limits(lesson=77))
    assert found.contenders == ("yours", "reference", "numpy", "torch") and found.rows["mlp"].keys() == set(
        found.contenders)
    assert {p.environment["OMP_NUM_THREADS"] for p in runner.plans.values()} == {"1"}
    assert len({p.environment["TITO_TURNS"] for p in runner.plans.values()}) == 1, "they share their turns"
    assert {p.limits.test for p in runner.plans.values()} == {77}, "and have the time of a whole program"
    assert len({p.folder for p in runner.plans.values()}) == 4 and all(
        p.argv[1:] == (str(n), "4", "9", "0.05", "mlp") for n, p in runner.plans.items())


def test_outside_a_workspace_the_course_races_alone():
    runner = Contenders(reference=handed(mlp=1.0), numpy=handed(mlp=1.0))
    found = Races(COURSE, None, runner, has=lambda name: False).race(("mlp",))
    assert (found.contenders, found.subject, found.base) == (("reference", "numpy"), "reference", "numpy")


def test_a_contender_that_falls_is_named_and_the_others_count(place):
    wrong = Outcome("import", "raised", type="NameError", text="name 'x' is not defined")
    fell = Run((wrong,), ending="it ended")
    runner = Contenders(yours=fell, reference=handed(mlp=1.0), numpy=handed(mlp=1.0))
    found = Races(COURSE, place, runner, has=lambda name: False).race(("mlp",))
    assert found.notes() == ["yours: NameError: name 'x' is not defined"]
    assert found.rows["mlp"].keys() == {"reference", "numpy"}


def test_when_all_fall_it_is_said_why(place):
    with pytest.raises(EnvironmentProblem, match="Nothing was measured: Python crashed"):
        Races(COURSE, place, Contenders(), has=lambda name: False).race(("mlp",))


def test_an_interruption_tells_the_contenders_to_stop(place, monkeypatch):
    seen = []
    touch = Path.touch
    monkeypatch.setattr(Path, "touch", lambda path: (seen.append(path.name), touch(path))[1])
    runner = Contenders(yours=KeyboardInterrupt(), reference=handed(mlp=1.0), numpy=handed(mlp=1.0))
    with pytest.raises(KeyboardInterrupt):
        Races(COURSE, place, runner, has=lambda name: False).race(("mlp",))
    assert "stop" in seen and {"gone-0", "gone-1", "gone-2"} <= set(seen)


# ------------------------------------------------------------------------------------------------- the screen

def drawn(found, width):
    out = StringIO()
    screen = Screen(out, width=width, force_terminal=False)
    screen.show(view.raced(found, screen))
    return out.getvalue()


def test_the_table_fits_eighty_columns():
    text = drawn(FULL, 80)
    assert max(map(len, text.splitlines())) <= 80
    matmul = next(line for line in text.splitlines() if line.startswith("matmul"))
    assert re.split(r"\s{2,}", matmul) == ["matmul", "2 ms", "1 ms", "1 ms", "1 ms 2.00 (2.00 to 2.00)"]
    assert "yours / PyTorch" in text and "LayerNorm is built in lesson 05" in text.replace("\n", " ")


def test_on_a_narrow_terminal_one_stands_below_the_other():
    text = drawn(FULL, 40)
    assert max(map(len, text.splitlines())) <= 40 and text.index("matmul") < text.index("gpt")


def test_the_page_asks_nobody_for_anything():
    page = view.html(FULL, "28 November 2026")
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://""", page), "no request leaves the page"
    svg = re.search(r"<svg.*?</svg>", page, re.DOTALL)[0]
    assert len(ET.fromstring(svg).findall("rect")) == 6, "a bar for each time that was taken"
    assert page.count("<tr>") == 3 and "cannot-tell" not in page and "28 November 2026" in page
    told = Bench(FULL.contenders, FULL.rows, FULL.versions, "<script>", 9, {"yours": "<b>"})
    page = view.html(told, "")
    assert "<script>" not in page and "<b>" not in page, "what others said is escaped"


def test_the_command_answers_in_json_and_writes_a_page(monkeypatch, tmp_path, capsys):
    from tito import services_bench
    asked = []

    class Prepared:
        def race(self, names, rounds, seconds, limits, say):
            asked.append((names, rounds, seconds))
            return FULL
    monkeypatch.setattr(services_bench, "races", lambda start: Prepared())
    page = tmp_path / "page.html"
    assert cli.main(["bench", "matmul", "gpt", "--rounds", "9", "--json", "--html", str(page)]) == 0
    data = json.loads(capsys.readouterr().out)
    assert asked == [(("matmul", "gpt"), 9, 0.05)] and (data["kind"], data["schema"]) == ("bench", 1)
    first = data["workloads"][0]
    assert first["ratios"]["torch"] == {"median": 2.0, "low": 2.0, "high": 2.0, "verdict": "slower"}
    assert first["timings"]["yours"]["median"] == 2e-3 and data["workloads"][1]["wrong"] == ["reference"]
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert cli.main(["bench", "nothing"]) == 2 and "There is no workload 'nothing'" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------- and it runs

@pytest.mark.parametrize("name", list(core.WORKLOADS))
def test_every_contender_computes_the_same(name):
    """The first result of each workload, from the same weights."""
    torch = pytest.importorskip("torch", reason="PyTorch is a contender")
    import tinytorch
    scope: dict = {"__name__": "race"}
    exec(compile(PROGRAM.read_text("utf-8"), str(PROGRAM), "exec"), scope)
    contenders = [scope["OfTensors"](torch), scope["OfTensors"](tinytorch), scope["ByHand"]()]
    runs = [(one, getattr(one, name)()) for one in contenders if hasattr(one, name)]
    for _ in range(2):                  # the second step of a training depends on the first
        first, *others = [one.value(run()) for one, run in runs]
        for other in others: assert math.isclose(other, first, rel_tol=1e-3, abs_tol=1e-3)


def test_a_race_really_runs_and_its_contenders_agree(place):
    """The learner of the sample course has no tensors; the reference and NumPy take their turns."""
    from tito.ports.runner import Processes
    said = []
    found = Races(COURSE, place, Processes(), has=lambda name: False).race(
        ("matmul", "mlp"), rounds=3, seconds=0.002, limits=Limits(lesson=60), say=said.append)
    for name in ("matmul", "mlp"):
        row = found.rows[name]
        assert len(row["reference"].seconds) == len(row["numpy"].seconds) == 3 and found.wrong(name) == []
        assert all(t > 0 for t in row["reference"].seconds) and "tinytorch." in row["yours"].skipped
    assert not (COURSE.reference.parent / "report.json").exists(), "nobody writes beside the reference"
    assert len(said) == 3 and found.notes()[0].startswith("matmul: yours: ")


@pytest.fixture
def turns(tmp_path):
    """The turns of three contenders, as each of them sees them."""
    scope: dict = {"__name__": "race"}
    exec(compile(PROGRAM.read_text("utf-8"), str(PROGRAM), "exec"), scope)
    return scope, [scope["Turns"](tmp_path, place, 3) for place in range(3)]


def test_turns_go_there_and_back(turns):
    _, (a, b, c) = turns
    assert [[one.mine(n) for one in (a, b, c)] for n in range(3)] == [[0, 1, 2], [5, 4, 3], [6, 7, 8]]
    assert [a.owner(turn) for turn in range(9)] == [0, 1, 2, 2, 1, 0, 0, 1, 2]


def test_nobody_waits_for_one_that_is_gone(turns, tmp_path):
    _, (_, b, c) = turns
    (tmp_path / "gone-0").touch()
    b.wait(1)
    b.done(1)
    c.wait(2)
    c.done(2)
    (tmp_path / "stop").touch()
    with pytest.raises(SystemExit): b.wait(8)
