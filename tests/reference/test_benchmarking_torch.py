"""The faces of lesson 14 beside PyTorch's: counted operations, timers, schedules, signatures, traces."""

import gzip
import inspect
import json
import warnings

import numpy as np
import pytest

import tinytorch
from tinytorch import profiler
from tinytorch.utils import benchmark
from tinytorch.utils.flop_counter import FlopCounterMode

torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")
theirs = pytest.importorskip("torch.utils.benchmark")
counter = pytest.importorskip("torch.utils.flop_counter")
common = pytest.importorskip("torch.utils.benchmark.utils.common")

rng = np.random.default_rng(14)


# ------------------------------------------------------------------------------------- counted operations

def mlp(t): return t.nn.Sequential(t.nn.Linear(30, 20), t.nn.ReLU(), t.nn.Linear(20, 10))


def cnn(t):
    nn = t.nn
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(8, 4, 3, stride=2), nn.Flatten(), nn.Linear(36, 10))


def upwards(t): return t.nn.Sequential(t.nn.ConvTranspose2d(3, 5, 3, stride=2), t.nn.Flatten())


def lines(t): return t.nn.Sequential(t.nn.Conv1d(4, 6, 5), t.nn.Tanh(), t.nn.Flatten(), t.nn.Linear(24, 3))


NETWORKS = [(mlp, (8, 30)), (cnn, (2, 3, 16, 16)), (upwards, (2, 3, 5, 5)), (lines, (3, 4, 8))]


def counted(t, mode, make, shape, backward: bool, input_too: bool = False):
    net, x = make(t), t.ones(*shape)
    x.requires_grad = input_too
    with mode(display=False) as found:
        out = net(x).sum()
        if backward: out.backward()
    return found


@pytest.mark.parametrize(("make", "shape"), NETWORKS, ids=lambda x: getattr(x, "__name__", ""))
@pytest.mark.parametrize("way", [(False,), (True,), (True, True)], ids=["there", "back", "to the input"])
def test_operations_are_counted_as_pytorch_counts_them(make, shape, way):
    ours = counted(tinytorch, FlopCounterMode, make, shape, *way)
    other = counted(torch, counter.FlopCounterMode, make, shape, *way)
    assert ours.get_total_flops() == other.get_total_flops() > 0
    def by_module(found):
        totals = {path: sum(counts.values()) for path, counts in found.get_flop_counts().items()}
        return {path: n for path, n in totals.items() if n}
    assert by_module(ours) == by_module(other), "module by module"


@pytest.mark.parametrize("shapes", [
    ((5, 3, 4), (4, 6)), ((5, 3, 4), (5, 4, 6)), ((4,), (4, 6)), ((7, 4), (4, 2)),
])
def test_products_are_counted_as_pytorch_counts_them(shapes):
    def total(t, mode):
        x, y = [t.ones(*shape) for shape in shapes]
        for one in (x, y): one.requires_grad = True
        with mode(display=False) as found: (x @ y).sum().backward()
        return found.get_total_flops()
    assert total(tinytorch, FlopCounterMode) == total(torch, counter.FlopCounterMode) > 0


@pytest.mark.parametrize("wanted", [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1)])
def test_attention_is_counted_as_its_products(wanted):
    def total(t, mode):
        q, k, v = [t.ones(2, 4, T, 16) for T in (8, 10, 10)]
        for one, want in zip((q, k, v), wanted): one.requires_grad = bool(want)
        attention = t.nn.functional.scaled_dot_product_attention
        with mode(display=False) as found: attention(q, k, v).sum().backward()
        return found.get_total_flops()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        other = total(torch, counter.FlopCounterMode)
    assert total(tinytorch, FlopCounterMode) == other > 0


def test_the_counter_prints_a_table_and_takes_formulas(capsys):
    with FlopCounterMode(custom_mapping={tinytorch.relu: lambda out, x: 7}) as found:
        mlp(tinytorch)(tinytorch.ones(8, 30))
    table = capsys.readouterr().out
    assert found.get_flop_counts()["Global"]["relu"] == 7 and "Sequential.2" in table and "100.00%" in table
    assert found.get_total_flops() == 2 * 8 * (30 * 20 + 20 * 10) + 7
    with warnings.catch_warnings(), pytest.raises(UserWarning):
        warnings.simplefilter("error")
        FlopCounterMode(mlp(tinytorch))


# ---------------------------------------------------------------------------------------------- timers

SAMPLES = [
    [1e-5] * 3, [1e-6 * t for t in (10, 10.5, 11, 10.2, 12.9, 10.1, 10.3, 10.25, 14.8)], [2.0],
    [5e-3, 6e-3, 5.5e-3, 9e-3], list(rng.uniform(1e-7, 2e-7, 50)), list(rng.exponential(1e-3, 200)),
]
TASKS = [{}, {"label": "add", "sub_label": "small"}, {"description": "mine"}, {"setup": "x = 1"},
         {"stmt": "a\nb", "sub_label": "two"}]


def tasks(**settings):
    given = {"stmt": "x + y", "setup": "pass", "global_setup": ""} | settings
    return benchmark.TaskSpec(**given), common.TaskSpec(**given)


@pytest.mark.parametrize("number", [1, 10])
@pytest.mark.parametrize("times", SAMPLES, ids=len)
def test_a_measurement_says_what_pytorchs_says(times, number):
    raw = [number * t for t in times]
    mine, other = tasks()
    ours, want = benchmark.Measurement(number, raw, mine), theirs.Measurement(number, raw, other)
    for name in ("median", "mean", "iqr", "times", "has_warnings", "significant_figures", "as_row_name"):
        found, wanted = getattr(ours, name), getattr(want, name)
        assert found == wanted or np.allclose(found, wanted), name
    assert ours.meets_confidence(0.05) == want.meets_confidence(0.05)


@pytest.mark.parametrize("settings", TASKS, ids=str)
@pytest.mark.parametrize("times", SAMPLES[:4], ids=len)
def test_a_measurement_reads_like_pytorchs(times, settings):
    mine, other = tasks(**settings)
    ours, want = benchmark.Measurement(10, times, mine), theirs.Measurement(10, times, other)
    def lines(text): return [line for line in text.split("\n") if line]
    assert lines(repr(ours)) == lines(repr(want))[1:], "but for the address in the first line"


@pytest.mark.parametrize("trim", [False, True])
def test_a_comparison_reads_like_pytorchs(trim):
    def table(library, spec):
        found = []
        for row, n in [("small", 1), ("a large one", 300)]:
            for column, m in [("mine", 1), ("theirs", 1.37)]:
                task = spec(stmt="f", setup="pass", global_setup="", label="work", sub_label=row,
                            description=column)
                found.append(library.Measurement(1, [1e-5 * n * m * k for k in (1, 1.01, 0.99)], task))
        compare = library.Compare(found)
        if trim: compare.trim_significant_figures()
        return str(compare)
    ours, want = table(benchmark, benchmark.TaskSpec), table(theirs, common.TaskSpec)
    def cells(text):
        return [[x.strip(" -[]") for x in line.split("|")] for line in text.splitlines() if line.strip()]
    assert cells(ours) == cells(want), "the same words in the same places"


@pytest.mark.parametrize("seconds", [3e-9, 2e-8, 5e-7, 1e-6, 3.3e-5, 0.002, 0.5, 1, 70])
def test_units_are_pytorchs(seconds):
    assert benchmark.select_unit(seconds) == theirs.select_unit(seconds)


@pytest.mark.parametrize("x", [1.2345, 123456.0, 9.9999, 5e-7, -3.14159])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_figures_are_trimmed_as_pytorch_trims_them(x, n):
    found, wanted = benchmark.trim_sigfig(x, n), theirs.trim_sigfig(x, n)
    assert np.isclose(found, wanted, rtol=1e-6), "PyTorch rounds in float32"


def test_a_timer_runs_a_statement():
    found = benchmark.Timer("x + y", "y = 2", globals={"x": 1}, label="add").timeit(1000)
    assert found.number_per_run == 1000 and 0 < found.median < 1e-3 and found.label == "add"
    for wrong in ({"num_threads": 2}, {"language": "c++"}, {"global_setup": "#include"}):
        with pytest.raises(ValueError): benchmark.Timer("x", **wrong)


# ------------------------------------------------------------------------------------------- signatures

@pytest.mark.parametrize(("ours", "want"), [
    (benchmark.Timer.__init__, theirs.Timer.__init__), (benchmark.Timer.timeit, theirs.Timer.timeit),
    (benchmark.Timer.blocked_autorange, theirs.Timer.blocked_autorange),
    (benchmark.Timer.adaptive_autorange, theirs.Timer.adaptive_autorange),
    (benchmark.Measurement.__init__, theirs.Measurement.__init__),
    (benchmark.Compare.__init__, theirs.Compare.__init__),
    (FlopCounterMode.__init__, counter.FlopCounterMode.__init__),
    (profiler.profile.__init__, torch.profiler.profile.__init__),
    (profiler.schedule, torch.profiler.schedule),
    (profiler.record_function.__init__, torch.profiler.record_function.__init__),
    (profiler.tensorboard_trace_handler, torch.profiler.tensorboard_trace_handler),
], ids=lambda f: f.__qualname__)
def test_arguments_have_pytorchs_names_and_order(ours, want):
    mine, other = [list(inspect.signature(f).parameters.values()) for f in (ours, want)]
    assert [(p.name, p.kind) for p in mine] == [(p.name, p.kind) for p in other]
    for p, q in zip(mine, other):
        if isinstance(q.default, (int, float, str, bool, type(None))): assert p.default == q.default, p.name


@pytest.mark.parametrize("settings", [
    {"wait": 1, "warmup": 1, "active": 3}, {"wait": 0, "warmup": 0, "active": 1, "repeat": 2},
    {"wait": 2, "warmup": 1, "active": 2, "repeat": 2, "skip_first": 3},
    {"wait": 3, "warmup": 0, "active": 1, "skip_first": 2, "skip_first_wait": 1},
    {"wait": 3, "warmup": 0, "active": 1, "repeat": 1, "skip_first": 2, "skip_first_wait": 1},
])
def test_a_schedule_is_pytorchs(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")             # PyTorch advises a warm-up
        other = torch.profiler.schedule(**settings)
    ours = profiler.schedule(**settings)
    assert [ours(n).name for n in range(30)] == [other(n).name for n in range(30)]
    values = {a.name: a.value for a in torch.profiler.ProfilerAction}
    assert all([values[a.name] == a.value for a in profiler.ProfilerAction])


# ------------------------------------------------------------------------------------------- a whole program

def program(torch, folder):
    """As the tutorials write it."""
    from importlib import import_module
    p = import_module(f"{torch.__name__}.profiler")
    net = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.ReLU(), torch.nn.Linear(30, 5))
    optimizer, handed = torch.optim.SGD(net.parameters(), lr=0.1), []

    def ready(prof):
        handed.append(prof.key_averages())
        prof.export_chrome_trace(str(folder / f"{torch.__name__}-{prof.step_num}.json.gz"))
    when = p.schedule(wait=1, warmup=1, active=2, repeat=1)
    with p.profile(activities=[p.ProfilerActivity.CPU], schedule=when, on_trace_ready=ready,
                   record_shapes=True, with_flops=True) as prof:
        for _ in range(5):
            with p.record_function("forward"): loss = net(torch.ones(8, 20)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            prof.step()
    return handed


def test_a_program_that_profiles_itself_runs_on_both(tmp_path, capfd):
    ours, want = program(tinytorch, tmp_path), program(torch, tmp_path)
    assert len(ours) == len(want) == 1, "one cycle, one trace"
    def counts(averages): return {e.key: e.count for e in averages}
    mine, other = counts(ours[0]), counts(want[0])
    for name in ("forward", "Optimizer.step#SGD.step"): assert mine[name] == other[name] == 2, name
    assert mine["linear"] == other["aten::linear"] == 4 and mine["relu"] == other["aten::relu"] == 2
    heads = [table.table(sort_by="self_cpu_time_total").splitlines()[1] for table in (ours[0], want[0])]
    mine, other = [[name.strip() for name in head.split("  ") if name.strip()] for head in heads]
    assert [name for name in other if "FLOPs" not in name] == [name for name in mine if "FLOPs" not in name]


def test_a_trace_has_what_pytorchs_has(tmp_path, capfd):
    program(tinytorch, tmp_path)
    program(torch, tmp_path)
    files = [next(tmp_path.glob(f"{name}-*.json.gz")) for name in ("tinytorch", "torch")]
    mine, other = [json.loads(gzip.decompress(file.read_bytes())) for file in files]

    def complete(trace):
        return [e for e in trace["traceEvents"] if e["ph"] == "X" and e.get("cat") != "Trace"]
    needed = set.intersection(*[set(e) for e in complete(other)])
    assert needed <= {"ph", "cat", "name", "pid", "tid", "ts", "dur", "args"}, "PyTorch's events have these"
    assert all([needed <= set(e) for e in complete(mine)]), "ours have them, too"
    names = {e["name"] for e in complete(mine)}
    assert {"ProfilerStep#2", "ProfilerStep#3", "forward", "Optimizer.step#SGD.step"} <= names
    assert {"user_annotation"} <= {e["cat"] for e in complete(other)} & {e["cat"] for e in complete(mine)}
