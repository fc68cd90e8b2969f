"""Lesson 14 on clocks that are turned by hand, on shapes, and on queues whose answers are known."""

import itertools
import math

import numpy as np
import pytest

from tinytorch import tensor
from tinytorch.autograd import Autograd
from tinytorch.benchmarking import (
    Machine,
    Profiler,
    Ratio,
    Recorder,
    Table,
    attend_cost,
    cost_of,
    in_turns,
    limited_by,
    linear_cost,
    look_up_cost,
    matmul_cost,
    median_interval,
    own_seconds,
    paired,
    percentile,
    profiled,
    queued,
    share_of_roof,
    single_stream,
    softmax_cost,
    verdict,
)
from tinytorch.costs import Cost, sketch
from tinytorch.receipts import RULES
from tinytorch.setup import HandClock, Timing
from tinytorch.tensor import Engine, Op, matmul, using

rng = np.random.default_rng(14)


def drawn(*shape, dtype=np.float32): return sketch(np.zeros(shape, dtype))


# ------------------------------------------------------------------------------------ intervals, races

@pytest.mark.parametrize("n", range(1, 30))
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_the_interval_is_the_narrowest_that_coins_allow(n, confidence):
    heads = [sum(coins) for coins in itertools.product((0, 1), repeat=n)] if n <= 12 else None
    def at_most(k):
        if heads is not None: return sum([h <= k for h in heads]) / 2**n
        return sum([math.comb(n, i) for i in range(k + 1)]) / 2**n
    fits = [k for k in range(n // 2 + 1) if at_most(k) <= (1 - confidence) / 2]
    wanted = (max(fits), n - 1 - max(fits)) if fits else (-math.inf, math.inf)
    assert median_interval(range(n), confidence) == wanted, "as many from either end as coins would fall so"


def test_the_interval_does_not_change_what_it_is_given():
    values = [3.0, 1.0, 2.0]
    median_interval(values)
    assert values == [3.0, 1.0, 2.0], "the caller's list keeps its order"


def test_a_race_of_three_is_run_there_and_back():
    clock, calls = HandClock(), []
    def runner(name): return lambda: (calls.append(name), clock.turn(1.0))
    found = in_turns(*[runner(name) for name in "abc"], rounds=4, at_least=0.5, clock=clock)
    assert "".join(calls[6:]) == "abccbaabccba", "A B C, C B A, and so on"
    assert [len(timing.seconds) for timing in found] == [4, 4, 4], "each has a turn in every round"


def test_a_turn_is_as_long_as_asked():
    clock, calls = HandClock(), [0, 0]
    def runner(place, cost):
        def run():
            calls[place] += 1
            clock.turn(cost)
        return run
    quick, slow = in_turns(runner(0, 0.125), runner(1, 3.0), rounds=2, at_least=1.0, clock=clock)
    assert (quick.seconds, slow.seconds) == ((0.125,) * 2, (3.0,) * 2), "seconds a run, whatever the batch"
    assert calls[0] >= 2 * 8, "a quick run is repeated until its turn is long enough to be measured"


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_ratio_of_pairs_does_not_see_the_weather(factor):
    weather = rng.uniform(1, 50, 31)
    found = paired(Timing(tuple(factor * weather)), Timing(tuple(weather)))
    assert np.allclose(found, factor), "each pair has the same ratio, so the interval has no width"


def test_a_ratio_is_the_median_of_pairs_with_their_interval():
    a, b = rng.uniform(1, 2, 25), rng.uniform(1, 2, 25)
    found = paired(Timing(tuple(a)), Timing(tuple(b)), 0.9)
    assert math.isclose(found.middle, float(np.median(a / b))), "the median of the ratios"
    assert found[1:] == median_interval(list(a / b), 0.9), "with the confidence that was asked for"


@pytest.mark.parametrize(("ratio", "said"), [
    ((0.5, 0.4, 0.99), "faster"), ((2.0, 1.01, 3.0), "slower"), ((1.0, 0.9, 1.1), "cannot tell"),
    ((0.5, 0.4, 1.0), "cannot tell"), ((2.0, 1.0, 3.0), "cannot tell"),
    ((1.0, -math.inf, math.inf), "cannot tell"),
])
def test_a_verdict_needs_the_whole_interval(ratio, said):
    assert verdict(Ratio(*ratio)) == said, "faster and slower only if all of the interval says so"


# --------------------------------------------------------------------------------------------- costs

@pytest.mark.parametrize("shapes", [
    ((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((6, 3, 4), (4, 5)), ((4,), (4, 5)),
    ((3, 4), (4,)), ((4,), (4,)),
])
def test_a_product_costs_what_three_loops_would_do(shapes):
    x, y = [np.ones(shape, np.float64) for shape in shapes]
    out = np.matmul(x, y)
    found = matmul_cost(sketch(out), sketch(x), sketch(y))
    assert found.flops == 2 * out.sum(), \
        "every number of the output is a sum of as many ones as there are pairs"
    assert found.bytes == 8 * (x.size + y.size + out.size), "in float64 every number has eight bytes"


def test_a_layer_costs_a_product_and_a_bias():
    x, w, b, out = drawn(2, 7, 3), drawn(5, 3), drawn(5), drawn(2, 7, 5)
    assert linear_cost(out, x, w).flops == 2 * 14 * 3 * 5, "rows times weights, two operations each"
    assert linear_cost(out, x, w, b).flops - linear_cost(out, x, w).flops == 70, \
        "one addition for each output"
    assert linear_cost(out, x, w, b).bytes == 4 * (42 + 15 + 5 + 70), "all inputs once, the output once"


def test_a_softmax_and_an_embedding():
    assert softmax_cost(drawn(3, 4), drawn(3, 4), dim=1) == (60, 96), "five operations a number, in and out"
    ids = drawn(2, 5, dtype=np.int64)
    found = [look_up_cost(drawn(2, 5, 8), ids, drawn(rows, 8)) for rows in (10, 10_000)]
    assert found[0] == found[1] == (0, 8 * 10 + 2 * 4 * 80), "rows that nobody asks for cost nothing"


def test_attention_costs_two_products_and_a_softmax():
    B, T, S, K, V = 3, 5, 7, 4, 6
    found = attend_cost(drawn(B, T, V), drawn(B, T, K), drawn(B, S, K), drawn(B, S, V))
    assert found.flops == B * T * S * (2 * K + 2 * V + 6), "for each of B * T * S scores: 2K + 2V + 6"


def test_cost_of_asks_the_table_about_what_ran():
    x, y = tensor([[1.0, 2.0], [3.0, 4.0]]), tensor([[5.0], [6.0]])
    assert cost_of(matmul, (x, y), {}, x @ y) == (8, 32), \
        "by the shapes of what went in and came out"


def test_a_number_has_no_bytes_and_a_stretched_tensor_few():
    x = tensor([1.0, 2.0, 3.0])

    @Op
    def own_kind(x, y, /): return x * y

    assert cost_of(own_kind, (x, 2.0), {}, x * 2.0).bytes == 24, "a Python number is no memory"
    assert sketch(np.broadcast_to(np.zeros(3, np.float32), (1000, 3))).nbytes == 12, \
        "what was stretched is one row of memory, however often it is looked at"


# ---------------------------------------------------------------------------------------------- roof

@pytest.mark.parametrize(("cost", "seconds", "share", "limit"), [
    (Cost(2e9, 1e6), 0.1, 0.5, "arithmetic"), (Cost(1e6, 2e9), 0.4, 0.5, "memory"),
    (Cost(0, 5e9), 0.5, 1.0, "memory"),
])
def test_a_share_of_the_roof(cost, seconds, share, limit):
    machine = Machine(gflops=40.0, bandwidth=10.0)
    assert math.isclose(share_of_roof(cost, seconds, machine), share), "the least time over the time it took"
    assert limited_by(cost, machine) == limit, "the roof bends at 4 operations a byte"


# --------------------------------------------------------------------------------------------- spans

def recorded(tree, clock, book):
    """Plays a tree of (name, seconds before its children, children)."""
    name, seconds, *children = tree
    with book.span(name):
        clock.turn(seconds)
        for child in children: recorded(child, clock, book)


TREE = ("a", 1.0, ("b", 2.0, ("c", 4.0), ("d", 8.0, ("e", 16.0))), ("f", 32.0))


def test_a_recorder_keeps_order_nesting_and_time():
    clock = HandClock()
    book = Recorder(clock)
    recorded(TREE, clock, book)
    assert [s.name for s in book.spans] == [*"abcdef"], "in the order in which they began"
    assert ["-" if s.inside is None else s.inside.name for s in book.spans] == [*"-abbda"], "each in its own"
    assert [s.seconds for s in book.spans] == [63.0, 30.0, 4.0, 24.0, 16.0, 32.0], "with all that is inside"


def test_a_span_ends_when_its_block_raises():
    book = Recorder(HandClock())
    with pytest.raises(ZeroDivisionError), book.span("outer"), book.span("inner"):
        _ = 1 / 0
    assert book.open == [] and all([s.ended == 0 for s in book.spans]), "an error ends what it passes through"


def test_self_times_are_what_each_span_did_itself():
    clock = HandClock()
    book = Recorder(clock)
    recorded(TREE, clock, book)
    own = own_seconds(book.spans)
    assert [own[s] for s in book.spans] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0], "without the spans inside"


# ------------------------------------------------------------------------------------------ profiler

class Paced(Engine):
    """An engine whose ops take as long as a table says, by a clock."""

    def __init__(self, clock, seconds): self.clock, self.seconds = clock, seconds

    def run(self, op, inputs, settings):
        self.clock.turn(self.seconds.get(op.name, 0.0))
        return super().run(op, inputs, settings)


def test_the_profiler_times_the_engine_inside_and_computes_the_same():
    clock = HandClock()
    x, y = tensor(rng.standard_normal((4, 3))), tensor(rng.standard_normal((3, 2)))
    with using(Profiler(Paced(clock, {"matmul": 3.0, "exp": 1.0}), clock)) as p: out = (x @ y).exp()
    assert np.allclose(out.array, np.exp(x.array @ y.array)), "the numbers are those of the engine inside"
    assert [(s.name, s.seconds) for s in p.book.spans] == [("matmul", 3.0), ("exp", 1.0)], \
        "one span for each op"
    assert p.book.spans[0].cost.flops == 2 * 4 * 3 * 2, "with what it had to cost"


def test_gradients_are_those_without_a_profiler():
    def slopes():
        x = tensor(np.linspace(-1, 1, 12).reshape(3, 4), requires_grad=True)
        w = tensor(np.linspace(1, 2, 8).reshape(4, 2), requires_grad=True)
        ((x @ w).tanh() * x.sum(1, keepdim=True)).sum().backward()
        return x.grad.array, w.grad.array
    plain = slopes()
    with using(Profiler()) as p: watched = slopes()
    assert all([np.array_equal(a, b) for a, b in zip(plain, watched)]), "looking changes nothing"
    names = [s.name for s in p.book.spans]
    assert {"matmul", "tanh", "backward", "TanhBackward0"} <= set(names), "there and back, by name"


def test_ops_inside_a_pull_belong_to_it():
    x = tensor(2.0, requires_grad=True)
    with using(Profiler()) as p: (x * x).exp().backward(create_graph=True)
    back = next(s for s in p.book.spans if s.name == "backward")
    behind = p.book.spans[p.book.spans.index(back) + 1 :]
    assert behind and all([s.inside is not None for s in behind]), "what a rule asks for lies inside its pull"


def test_a_profiler_around_a_profiler_sees_what_that_one_sees():
    with using(Profiler()) as inner, using(Profiler()) as outer: tensor([1.0]).exp()
    assert [s.name for s in inner.book.spans] == [s.name for s in outer.book.spans] == ["exp"], "engines nest"


def test_an_error_leaves_no_span_open():
    with using(Profiler()) as p, pytest.raises(ValueError): tensor([1.0, 2.0]) + tensor([1.0, 2.0, 3.0])
    assert p.book.open == [], "the span of an op that raises has ended"


def test_a_step_accounts_for_the_optimizer():
    from tinytorch.layers import Parameter
    from tinytorch.optimizers import SGD
    w = Parameter(tensor([1.0, 2.0]))
    optimizer = SGD([w], lr=0.1)
    with profiled("step") as p:
        (w * w).sum().backward()
        optimizer.step()
    (w * w).sum().backward()
    optimizer.step()
    names = [s.name for s in p.book.spans]
    assert names[0] == "step" and names.count("SGD.step") == 1, "its step is a span, and only while profiled"
    assert all([s.inside is not None for s in p.book.spans[1:]]), "everything lies inside the whole"


# --------------------------------------------------------------------------------------------- table

def test_the_table_adds_up_by_name_and_sorts_by_self_time():
    clock = HandClock()
    book = Recorder(clock)
    back = ("backward", 2.0, ("pull", 62.0))
    recorded(("step", 5.0, ("linear", 10.0), ("relu", 1.0), ("linear", 20.0), back), clock, book)
    book.spans[0].facts["whole"] = True
    for span in book.spans:
        if span.name == "linear": span.cost = Cost(3e9, 1e6)
    table = Table(book.spans)
    assert [row.name for row in table.rows] == ["pull", "linear", "step", "backward", "relu"], "by self time"
    linear = table.row("linear")
    assert (linear.calls, linear.own, linear.flops, linear.bytes) == (2, 30.0, 6e9, 2e6), "sums of both calls"
    assert table.seconds == 100.0 and math.isclose(table.accounted, 0.95), \
        "what is not in the spans inside: 5"
    text = repr(table).splitlines()
    assert text[3].startswith("linear") and "0.20" in text[3], "6 GFLOP in 30 seconds are 0.2 GFLOP/s"
    assert max(map(len, text)) <= 78, "the table fits a narrow terminal"


def test_without_a_whole_everything_is_accounted_for():
    x = tensor([[1.0, 2.0], [3.0, 4.0]])
    with using(Profiler()) as p: x.mT.exp()
    assert Table(p.book.spans).accounted == 1.0, "ops alone, and nothing between them"


def test_an_empty_table_says_nothing_happened():
    assert Table([]).accounted == 0.0 and "0" in repr(Table([])), "no span, no time"


# ----------------------------------------------------------------------------------------- latencies

@pytest.mark.parametrize("q", [0.5, 1, 25, 50, 75, 90, 99, 99.9, 100])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 99, 100, 101])
def test_a_percentile_is_the_nearest_rank(q, n):
    values = rng.permutation(np.arange(1, n + 1))
    found = percentile(list(values), q)
    assert found in values and np.mean(values <= found) * 100 >= q - 1e-9, "at least q percent are not larger"
    assert found == 1 or np.mean(values <= found - 1) * 100 < q, "and it is the smallest such value"


@pytest.mark.parametrize("q", [0, -1, 101])
def test_there_is_no_such_percentile(q):
    with pytest.raises(ValueError): percentile([1.0], q)


@pytest.mark.parametrize(("count", "duration", "asked"), [
    (5, 0.0, 5), (0, 2.0, 8), (10, 2.0, 10), (3, 2.0, 8),
])
def test_a_stream_goes_on_until_both_are_reached(count, duration, asked):
    clock, heard = HandClock(), []
    found = single_stream(lambda q: (heard.append(q), clock.turn(0.25)), [7, 8, 9], count, duration, clock)
    assert found == [0.25] * asked, "so many queries at least, and so many seconds at least"
    assert heard == [[7, 8, 9][n % 3] for n in range(asked)], "in their order, and from the start again"


def test_waiting_is_what_a_simulation_by_small_steps_says():
    arrivals, durations = np.cumsum(rng.integers(1, 9, 60)), rng.integers(1, 9, 60)
    finished, waiting, busy, now = {}, [], None, 0
    while len(finished) < 60:
        waiting += [n for n in range(60) if arrivals[n] == now]
        if busy and busy[1] == now:
            finished[busy[0]] = now
            busy = None
        if busy is None and waiting:
            n = waiting.pop(0)
            busy = n, now + durations[n]
        now += 1
    wanted = [finished[n] - arrivals[n] for n in range(60)]
    assert queued(arrivals.tolist(), durations.tolist()) == wanted, "first come, first served, one at a time"


def test_the_mean_wait_is_that_of_queueing_theory():
    """At random arrivals and equal answers, the mean wait is load / (2 (1 - load)) answers (Khinchin)."""
    for load in (0.3, 0.6, 0.8):
        arrivals = np.cumsum(rng.exponential(1 / load, 200_000))
        waits = np.array(queued(arrivals.tolist(), itertools.repeat(1.0))) - 1
        assert np.isclose(waits.mean(), load / (2 * (1 - load)), rtol=0.08), "M/D/1"


def test_the_profiler_remembers_as_autograd_does():
    assert issubclass(Profiler, Autograd), "backward looks for an engine that remembers"
    assert RULES, "and the rules are those of lesson 09"
