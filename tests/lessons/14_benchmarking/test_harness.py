"""The load generator, evidence, traces, timers and pictures of lesson 14, on clocks turned by hand."""

import gzip
import itertools
import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tinytorch import tensor
from tinytorch.benchmarking import Recorder, profiled
from tinytorch.charts import Flames, Roofline, Steps
from tinytorch.costs import Cost
from tinytorch.evidence import bootstrap, mann_whitney, race, sign_test
from tinytorch.loadgen import Settings, highest_rate, least_count, problems, run
from tinytorch.memory_timeline import MemoryTimeline, watching_memory
from tinytorch.profiler import ProfilerAction, profile, record_function, schedule, tensorboard_trace_handler
from tinytorch.setup import HandClock
from tinytorch.timers import Compare, Measurement, TaskSpec, Timer
from tinytorch.traces import chrome_trace, folded_stacks, save_trace

rng = np.random.default_rng(14)


# ------------------------------------------------------------------------------------ load generator

def system(clock, seconds, heard=None):
    """Something that answers in so many seconds, always."""
    def answer(query):
        if heard is not None: heard.append(query)
        clock.turn(seconds)
        return query * 10
    return answer


def test_a_single_stream_counts_every_query():
    clock = HandClock()
    found = run(system(clock, 0.01), range(50), "single_stream", clock=clock, count=200, duration=1.0)
    assert found.valid and found.queries == 200 and math.isclose(found.throughput, 100), "one after the other"
    assert math.isclose(found.metric, 0.01), "the 90th percentile of the latency counts"


def test_the_warm_up_is_not_counted():
    clock, costs = HandClock(), iter([9.0])
    found = run(lambda q: clock.turn(next(costs, 0.5)), [1], clock=clock, count=100, duration=0.0)
    assert max(found.latencies) == 0.5, "the first answer, which takes 9 seconds, counts nowhere"


def test_the_same_seed_asks_the_same():
    asked = []
    for seed in (1, 1, 2):
        heard, clock = [], HandClock()
        run(system(clock, 0.01, heard), range(1000), clock=clock, count=100, duration=0, seed=seed)
        asked.append(heard)
    assert asked[0] == asked[1] != asked[2], "order is a part of the rules"
    assert len(set(asked[0])) > 50, "and it is drawn, not counted through"


def test_answers_are_kept_in_the_order_of_their_queries():
    clock, heard = HandClock(), []
    found = run(system(clock, 0.01, heard), range(9), "offline", clock=clock, count=20, duration=0, keep=True)
    assert list(found.answers) == [10 * q for q in heard[1:]], "every answer but that of the warm-up"


def test_offline_answers_together_where_that_is_possible():
    clock, sizes = HandClock(), []
    def together(batch):
        sizes.append(len(batch))
        clock.turn(0.5)
        return batch
    found = run(system(clock, 0.1), range(9), "offline", together, clock=clock, count=64, duration=1.0)
    assert sizes == [64, 64] and math.isclose(found.throughput, 128), \
        "a batch at a time, until it lasted long enough"
    assert found.metric == found.throughput, "queries a second count"


def test_multi_stream_waits_for_the_whole_group():
    clock = HandClock()
    settings = Settings("multi_stream", 110, 0.0, 90.0, together=4)
    found = run(system(clock, 0.01), range(9), settings, clock=clock)
    assert np.allclose(found.latencies, 0.04) and found.queries == 440, "four queries are one group"


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8])
def test_a_server_waits_as_queueing_theory_says(load):
    clock = HandClock()
    settings = Settings("server", 60_000, 0.0, 99.0, rate=load * 100, bound=math.inf)
    found = run(system(clock, 0.01), range(9), settings, clock=clock)
    waits = np.array(found.latencies) / 0.01 - 1
    assert np.isclose(waits.mean(), load / (2 * (1 - load)), rtol=0.1), "the mean wait of M/D/1"
    assert found.valid and found.metric == load * 100, "the rate is what a server claims"


def test_a_bound_that_is_broken_makes_a_run_invalid():
    clock = HandClock()
    found = run(system(clock, 0.01), range(9), "server", clock=clock, rate=95.0, bound=0.012, duration=1.0)
    assert not found.valid and "beyond the bound of 12 ms" in str(found), "it says what was too slow"


def test_too_few_queries_are_named():
    settings = Settings("single_stream", 100, 10.0, 99.0)
    told = problems(settings, [0.01] * 50, 0.5)
    assert len(told) == 3 and "100 are the least" in told[0] and "10 are the least" in told[1], told
    assert "p99: it takes 1000" in told[2], "ten queries have to lie beyond a percentile"
    assert [least_count(q) for q in (50, 90, 99, 99.9)] == [20, 100, 1000, 10_000], "the rarer, the more"


def test_the_highest_rate_keeps_the_bound_and_hardly_more_would():
    def claim(bound):
        clock = HandClock()
        return highest_rate(system(clock, 0.01), range(9), bound, 10.0, clock=clock, count=4000, duration=0)
    rates = [claim(bound).metric for bound in (0.02, 0.05, 0.2)]
    assert rates == sorted(rates) and rates[-1] < 105, \
        "more patience, more queries, and never more than it can do"
    assert all([claim(bound).valid for bound in (0.02, 0.05)]), "what is claimed was valid"
    assert claim(0.005) is None, "an answer of 10 ms keeps no bound of 5"
    with pytest.raises(ValueError, match="without a bound"): claim(math.inf)


def test_settings_are_refused_in_words():
    with pytest.raises(ValueError, match="there is no scenario 'burst'"): Settings("burst")
    with pytest.raises(ValueError, match="needs a rate"): Settings("server")
    with pytest.raises(ValueError, match="no samples"): run(lambda q: q, [])


def test_a_log_can_be_read_again():
    clock = HandClock()
    found = run(system(clock, 0.01), range(9), "single_stream", clock=clock, duration=0.0)
    data = json.loads(found.as_json())
    assert data["valid"] and data["queries"] == 1024 and math.isclose(data["percentiles"]["p99"], 0.01), \
        "all of it"


# ------------------------------------------------------------------------------------------ evidence

def test_the_sign_test_counts_coins():
    def coins(n, k): return sum([math.comb(n, i) for i in range(k + 1)]) / 2**n
    assert sign_test([1] * 10, [2] * 10) == 2 / 1024, "ten of ten: two of 1024 ways"
    assert sign_test([1, 3, 3, 3, 3, 3, 3, 3], [2] * 8) == 2 * coins(8, 1), "seven of eight"
    assert sign_test([1, 2], [1, 2]) == 1.0 and sign_test([1, 3], [2, 2]) == 1.0, "ties say nothing"


def test_ranks_are_counted_over_all_ways_to_deal_them():
    ours, theirs = [1.0, 2.5, 3.5], [2.0, 4.0, 5.0, 6.0]
    every = [1.0, 2.0, 2.5, 3.5, 4.0, 5.0, 6.0]
    def u(a): return sum([x < y for x in a for y in every if y not in a])
    seen = u(ours)
    ways = [u(a) for a in itertools.combinations(every, 3)]
    wanted = min(1.0, 2 * np.mean([w <= min(seen, 12 - seen) for w in ways]))
    assert math.isclose(mann_whitney(ours, theirs), wanted), "the share of deals that are as one-sided"


def test_ranks_of_many_are_about_normal():
    a, b = rng.normal(0, 1, 300), rng.normal(0, 1, 300)
    assert mann_whitney(a, b + 1) < 1e-6 < 0.01 < mann_whitney(a, b), "a shift is seen, none is not"
    p = [mann_whitney(rng.normal(size=25), rng.normal(size=25)) for _ in range(400)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.08, "one in twenty is wrong, as it says"
    assert mann_whitney([1.0, 1.0], [1.0, 1.0]) == 1.0, "nothing but ties"


def test_a_bootstrap_covers_the_mean_about_as_often_as_it_says():
    samples = rng.exponential(1.0, (200, 40))
    found = [bootstrap(sample, resamples=400, seed=n) for n, sample in enumerate(samples)]
    caught = [low <= 1.0 <= high for low, high in found]
    assert 0.85 <= np.mean(caught) <= 0.99, "a little less than 95 in 100, for a skewed sample of 40"
    with pytest.raises(ValueError): bootstrap([])


def test_a_race_ends_when_it_is_sure_or_out_of_time():
    clock = HandClock()
    found = race(lambda: clock.turn(1.0), lambda: clock.turn(2.0), clock=clock, seconds=1e9)
    assert found == (0.5, 0.5, 0.5), "no noise, no need for more"
    noise = iter(rng.uniform(1, 5, 100_000))
    found = race(lambda: clock.turn(next(noise)), lambda: clock.turn(3.0), width=0, clock=clock, seconds=500)
    assert found.high > found.low, "the time was over before it was sure"


# -------------------------------------------------------------------------------------------- traces

def played():
    clock = HandClock()
    book = Recorder(clock)
    with book.span("step"):
        clock.turn(1e-3)
        with book.span("linear") as span: clock.turn(2e-3)
        with book.span("relu"): clock.turn(1e-3)
    span.cost, span.facts = Cost(10, 20), {"shapes": [[2, 3]], "memory": 123}
    return book.spans


def test_a_trace_is_what_the_format_asks_for():
    trace = json.loads(json.dumps(chrome_trace(played())))
    assert set(trace) <= {"traceEvents", "displayTimeUnit", "otherData"}, "an object with a list of events"
    for event in trace["traceEvents"]:
        assert {"name", "ph", "pid", "tid", "ts"} <= set(event), "every event says who, what and when"
        assert event["ph"] in "XMC" and isinstance(event["ts"], (int, float)), "complete, meta or counter"
        assert event["ph"] != "X" or event["dur"] >= 0, "what is complete has a duration"
    whole = {event["name"]: event for event in trace["traceEvents"] if event["ph"] == "X"}
    step, linear = whole["step"], whole["linear"]
    assert step["ts"] == 0 and math.isclose(step["dur"], 4000), "microseconds, from the first beginning"
    assert step["ts"] <= linear["ts"] and linear["ts"] + linear["dur"] <= step["ts"] + step["dur"] + 1e-6, \
        "what is inside lies inside: this is how viewers find out"
    assert linear["args"] == {"shapes": [[2, 3]], "FLOP": 10, "bytes": 20}, "costs and shapes are told"
    assert [e["args"] for e in trace["traceEvents"] if e["ph"] == "C"] == [{"bytes": 123}], \
        "memory is a counter"


def test_a_trace_is_written_plain_or_compressed(tmp_path):
    for name, opened in [("a.json", open), ("a.json.gz", gzip.open)]:
        save_trace(played(), tmp_path / name)
        with opened(tmp_path / name) as file: assert len(json.load(file)["traceEvents"]) == 6, name


def test_stacks_are_folded_with_their_self_times():
    assert folded_stacks(played()) == ["step 1000", "step;linear 2000", "step;relu 1000"], "microseconds"


def test_pictures_are_svg():
    pictures = [Flames(played()), Steps({"a": 1.0, "b & c": 0.5}), Flames([]),
                Roofline(100, 10, {"a < b": (Cost(1e9, 1e6), 0.1), "view": (Cost(), 1.0)})]
    for picture in pictures:
        root = ET.fromstring(picture._repr_svg_())
        assert root.tag.endswith("svg") and root.get("role") == "img" and root.get("aria-label"), \
            "with a label"


def test_the_roof_has_a_slope_and_a_flat_part():
    picture = Roofline(100, 10, {"a": (Cost(1e9, 1e6), 0.1)})
    assert [picture.roof(x) for x in (1, 5, 10, 100)] == [10, 50, 100, 100], "memory first, then arithmetic"
    (x1, y1), (x2, y2) = picture.place(1, 10), picture.place(10, 100)
    assert x2 > x1 and y2 < y1, "more is to the right and up"


# -------------------------------------------------------------------------------------------- memory

def test_memory_climbs_and_falls():
    x = tensor(np.ones((500, 500), np.float32), requires_grad=True)
    with watching_memory() as p: (x.exp() * x.tanh()).sum().backward()
    timeline = MemoryTimeline(p.looks)
    assert [look.name for look in p.looks][:4] == ["start", "exp", "tanh", "mul"], "a look behind each op"
    grown = [b.now - a.now for a, b in itertools.pairwise(p.looks[:4])]
    assert all([1_000_000 <= n < 1_050_000 for n in grown]), "exp, tanh and mul make a million bytes each"
    assert timeline.peak >= 3_000_000 and timeline.worst().peak == timeline.peak, \
        "three at once, and more on the way back"
    assert ET.fromstring(timeline._repr_svg_()).tag.endswith("svg"), "a picture"
    with pytest.raises(ValueError): MemoryTimeline([])


# ------------------------------------------------------------------------------------------ profiler

def test_a_schedule_says_what_to_do_in_each_step():
    at = schedule(skip_first=1, wait=1, warmup=1, active=2, repeat=1)
    names = [at(n).name for n in range(8)]
    assert names == ["NONE", "NONE", "WARMUP", "RECORD", "RECORD_AND_SAVE", "NONE", "NONE", "NONE"], \
        "step by step"
    with pytest.raises(AssertionError): schedule(wait=0, warmup=0, active=0)
    with pytest.raises(AssertionError): at(-1)


def test_traces_are_handed_over_when_they_are_complete(tmp_path):
    seen, x = [], tensor([1.0, 2.0])
    def ready(prof): seen.append([event.name for event in prof.events()])
    with profile(schedule=schedule(wait=1, warmup=1, active=2), on_trace_ready=ready) as prof:
        for n in range(9):
            x.exp() if n % 2 else x.tanh()
            prof.step()
    assert seen[0] == ["ProfilerStep#2", "tanh", "ProfilerStep#3", "exp"], "two steps behind two others"
    assert seen[1][0] == "ProfilerStep#6" and len(seen) == 2, "and again four steps later"


def test_the_handler_writes_what_tensorboard_looks_for(tmp_path):
    with profile(on_trace_ready=tensorboard_trace_handler(tmp_path, "me", use_gzip=True)): tensor([1.0]).exp()
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("me.") and file.name.endswith(".pt.trace.json.gz"), file.name


def test_names_of_stretches_nest_and_decorate():
    @record_function("helper")
    def helper(x): return x.exp()

    with profile(record_shapes=True, with_stack=True) as prof, record_function("outer"):
        helper(tensor([1.0, 2.0]))
    events = prof.events()
    assert [e.name for e in events] == ["outer", "helper", "exp"], "each inside the other"
    assert events[2].input_shapes == [[2]] and any(["test_harness" in line for line in events[2].stack]), \
        "with lines"
    assert sum([e.self_cpu_time_total for e in events]) <= events[0].cpu_time_total + 1e-6, \
        "self times add up"
    assert helper(tensor([0.0])).item() == 1.0, "where nobody profiles, it is only a block"


def test_averages_and_their_table():
    x = tensor(np.ones((300, 300), np.float32))
    with profile(profile_memory=True, with_flops=True, record_shapes=True) as prof:
        for _ in range(3): y = x.exp()
        y + y[:100].sum()
    averages = prof.key_averages()
    exp = next(e for e in averages if e.key == "exp")
    assert (exp.count, exp.flops) == (3, 3 * 90_000), "three calls of 90,000 operations"
    assert 360_000 <= exp.self_cpu_memory_usage <= 800_000, "one result was kept, two were let go"
    table = averages.table(sort_by="self_cpu_time_total", row_limit=2)
    assert "Self CPU %" in table and "CPU Mem" in table and "Total FLOPs" in table, "what was asked for"
    assert len(table.splitlines()) == 7, "two rows, three rules, a head and a total"
    by_count = averages.table(sort_by="count").splitlines()
    assert by_count[3].split()[0] == "exp", "sorted by what one likes"
    with pytest.raises(AttributeError): averages.table(sort_by="beauty")


def test_nothing_is_recorded_in_no_action():
    with profile(schedule=lambda step: ProfilerAction.NONE) as prof:
        tensor([1.0]).exp()
        prof.step()
    assert prof.events() == [], "a profiler that waits sees nothing"


# -------------------------------------------------------------------------------------------- timers

def timer_of(cost, **settings):
    """A timer whose statement turns a clock."""
    clock = HandClock()
    return Timer("work()", timer=clock, globals={"work": lambda: clock.turn(cost)}, **settings)


def test_a_timer_counts_its_runs():
    found = timer_of(0.5, label="work").timeit(10)
    assert found.number_per_run == 10 and found.raw_times == [5.0] and found.median == 0.5, "a block of ten"
    assert found.title == "work" and found.stmt == "work()", "it says what was timed"


def test_blocks_last_as_long_as_asked():
    found = timer_of(1e-4).blocked_autorange(min_run_time=1.0)
    assert math.isclose(sum(found.raw_times), 1.0, rel_tol=0.1) and math.isclose(found.median, 1e-4), \
        "a second"
    seen = []
    timer_of(1e-3).blocked_autorange(lambda number, seconds: seen.append(number), 0.1)
    assert len(set(seen)) == 1 and len(seen) >= 10, "the callback is told of every block"


def test_an_adaptive_timer_stops_when_it_is_sure():
    found = timer_of(1e-2).adaptive_autorange()
    assert found.meets_confidence() and len(found.raw_times) >= 5, \
        "no noise: as soon as there are five blocks"


def test_a_measurement_warns_of_a_wide_middle():
    task = TaskSpec("f()", "pass")
    assert "significant environmental influence" in repr(Measurement(1, [1.0, 2.0, 3.0, 9.0], task)), \
        "it says so"
    assert not Measurement(1, [1.0, 1.0, 1.01], task).has_warnings, "a narrow one is no trouble"
    with pytest.raises(ValueError): _ = Measurement(1, [], task).median
    some = [Measurement(1, [1.0], task), Measurement(1, [2.0], task), Measurement(2, [1.0], task)]
    merged = Measurement.merge(some)
    assert [len(one.raw_times) for one in merged] == [2, 1], "blocks of one length are put together"


def test_a_comparison_is_a_table_with_a_cell_for_each():
    found = [Measurement(1, [n * 1e-6], TaskSpec("f", "pass", label="L", sub_label=row, description=column))
             for n, (row, column) in enumerate(itertools.product(["small", "large"], ["mine", "theirs"]), 1)]
    text = str(Compare(found))
    lines = [line.replace("|", " ").split() for line in text.splitlines() if "  |  " in line]
    rows = {line[0]: line[1:] for line in lines}
    assert rows["small"] == ["1.0", "2.0"] and rows["large"] == ["3.0", "4.0"], text
    assert "Times are in microseconds (us)." in text, text


def test_the_profiled_step_nests_with_everything():
    with profiled("whole", HandClock()) as p: tensor([1.0]).exp()
    assert [s.name for s in p.book.spans] == ["whole", "exp"], "by any clock"
