"""Lesson 01 on clocks that are turned by hand: no test here waits for real time."""

import statistics
import tracemalloc

import numpy as np
import pytest

import tinytorch
from tinytorch import setup

rng = np.random.default_rng(1)


class Clock:
    """A clock of the tests' own: it moves when the work that is timed moves it."""

    def __init__(self): self.now, self.looks = 1000.0, 0

    def __call__(self):
        self.looks += 1
        return self.now

    def work(self, costs):
        """A run that takes the next of `costs` seconds each time, and the last one for ever after."""
        costs = list(costs)

        def run(): self.now += costs.pop(0) if len(costs) > 1 else costs[0]
        return run


def stopped(*seconds):
    """A timer that runs the work once and claims that it took these seconds."""
    def timer(run):
        timer.results.append(run())
        return setup.Timing(seconds)

    timer.results = []
    return timer


@pytest.mark.parametrize("times", [1, 3, 17])
def test_a_stopwatch_adds_up_all_runs_of_a_batch(times):
    clock, costs = Clock(), rng.integers(1, 64, 20) / 8
    found = setup.seconds_of(clock.work(costs), times, clock)
    assert found == costs[:times].sum(), "the time between two looks at the clock, with every run in between"


def test_a_stopwatch_looks_at_its_clock_exactly_twice():
    clock = Clock()
    setup.seconds_of(clock.work([0.5]), 9, clock)
    assert clock.looks == 2, "looking at the clock takes time too: look once before all runs and once after"


def test_a_stopwatch_reads_a_real_clock_that_moves_forward():
    assert setup.seconds_of(lambda: None, 3) >= 0, "perf_counter never goes back"


@pytest.mark.parametrize("n", range(1, 12))
def test_the_median_is_the_one_of_the_statistics_module(n):
    values = list(rng.standard_normal(n))
    assert abs(setup.median(values) - statistics.median(values)) < 1e-12, "the middle of the sorted values"


def test_the_median_accepts_a_tuple_and_leaves_its_order_alone():
    values = (5.0, 4.0, 1.0, 2.0)
    assert setup.median(values) == 3.0, "the median is halfway between the two in the middle"
    assert values == (5.0, 4.0, 1.0, 2.0), "the caller's values are not sorted in place"


@pytest.mark.parametrize("cost, at_least", [(0.125, 1.0), (0.5, 3.0), (2.0, 1.0), (0.0625, 0.0625)])
def test_a_batch_is_the_first_power_of_two_that_is_long_enough(cost, at_least):
    clock = Clock()
    found = setup.batch_size(clock.work([cost]), at_least, clock)
    assert found * cost >= at_least, "a batch takes at least as long as asked"
    assert found == 1 or found // 2 * cost < at_least, "half of it would have been too short"
    assert found & (found - 1) == 0, "1, 2, 4, 8 …: each try doubles the batch"


def test_a_timing_leaves_the_cold_start_out():
    clock = Clock()
    timing = setup.timed(clock.work([512.0, 0.5]), repeat=7, at_least=2.0, clock=clock)
    assert timing.seconds == (0.5,) * 7, "the warm-up counts nowhere, and a batch is divided by its runs"


def test_a_timing_keeps_every_batch_in_order():
    clock, costs = Clock(), list(rng.integers(8, 64, 6) / 8)
    timing = setup.timed(clock.work([1.0, 1.0, *costs]), repeat=6, at_least=0.5, clock=clock)
    assert list(timing.seconds) == costs, "each repetition is kept as it was, accidents included"
    assert timing.best == min(costs), "the best is the fastest of all"
    assert abs(timing.median - np.median(costs)) < 1e-12, "the median is the middle of all"


def test_a_timing_repeats_as_often_as_asked():
    for repeat in (1, 4, 11):
        clock = Clock()
        timing = setup.timed(clock.work([0.25]), repeat=repeat, at_least=1.0, clock=clock)
        assert len(timing.seconds) == repeat, "repeat is the number of batches that are timed"


def test_real_work_takes_some_time():
    numbers = rng.standard_normal(20_000)
    timing = setup.timed(lambda: np.sort(numbers), repeat=3, at_least=1e-4)
    assert 0 < timing.best <= timing.median < 1, "a sort of 20,000 numbers takes more than nothing"


@pytest.mark.parametrize("size", [200_000, 1_500_000])
def test_the_peak_of_a_single_array_is_its_size(size):
    found = setup.peak_memory(lambda: np.ones(size, np.uint8))
    assert size <= found < size + 50_000, "bytes in use at the worst moment"


def test_what_was_freed_on_the_way_is_not_in_the_peak():
    def run():
        for size in (300_000, 800_000, 100_000): np.ones(size, np.uint8).fill(3)
    assert 800_000 <= setup.peak_memory(run) < 1_150_000, "the worst moment, not the sum of all moments"


def test_what_is_held_at_the_same_time_adds_up():
    def run(): return [np.ones(300_000, np.uint8) for _ in range(4)]
    assert 1_200_000 <= setup.peak_memory(run) < 1_250_000, "four arrays at once are four arrays' memory"


def test_measuring_memory_leaves_the_tracing_as_it_found_it():
    assert not tracemalloc.is_tracing()
    setup.peak_memory(lambda: None)
    assert not tracemalloc.is_tracing(), "tracing costs time: who starts it stops it"
    tracemalloc.start()
    try:
        keep = np.ones(600_000, np.uint8)
        assert setup.peak_memory(lambda: None) < 10_000, "what was in use before does not count"
        assert tracemalloc.is_tracing() and keep.size, "somebody else's tracing goes on"
    finally:
        tracemalloc.stop()


def test_an_error_in_the_measured_code_comes_through_and_stops_the_tracing():
    with pytest.raises(KeyError):
        setup.peak_memory(lambda: {}["missing"])
    assert not tracemalloc.is_tracing(), "tracing ends even when the measured code fails"


def test_a_matrix_product_is_two_operations_for_each_of_its_terms():
    for n, k, m in rng.integers(1, 9, (10, 3)):
        terms = sum(1 for _ in range(n) for _ in range(m) for _ in range(k))
        assert setup.matmul_flops(int(n), int(k), int(m)) == 2 * terms, "n * m sums of k products"


@pytest.mark.parametrize("n", [50, 120])
def test_the_arithmetic_ceiling_is_operations_over_the_best_time(n):
    timer = stopped(0.5, 0.25, 1.0)
    found = setup.gemm_ceiling(n, timer)
    assert abs(found / (2 * n**3 / 0.25 / 1e9) - 1) < 1e-9, "GFLOP/s: operations / best seconds / 1e9"
    assert timer.results[0].shape == (n, n), "what is timed is the product of two n by n matrices"
    assert timer.results[0].dtype == np.float32, "the ceiling is that of float32"


@pytest.mark.parametrize("megabytes", [2, 5])
def test_the_memory_ceiling_counts_bytes_read_and_bytes_written(megabytes):
    found = setup.bandwidth_ceiling(megabytes, stopped(0.75, 0.5))
    assert abs(found / (2 * megabytes * 1e6 / 0.5 / 1e9) - 1) < 1e-6, "GB/s: 2 * bytes / best seconds / 1e9"


def test_the_memory_ceiling_times_a_copy_and_no_new_memory():
    peaks = []

    def timer(run):
        peaks.append(setup.peak_memory(run))
        return setup.Timing((1.0,))

    setup.bandwidth_ceiling(3, timer)
    assert peaks[0] < 500_000, "both arrays exist before the timer starts"


def test_both_ceilings_are_positive_on_a_real_machine():
    assert setup.gemm_ceiling(128) > 0, "every machine does some arithmetic"
    assert setup.bandwidth_ceiling(1) > 0, "every machine moves some bytes"


def test_work_takes_the_longer_of_its_two_times():
    for flops, moved, gflops, bandwidth in rng.uniform(1, 100, (20, 4)):
        want = max(flops / gflops, moved / bandwidth)
        found = setup.least_seconds(flops * 1e9, moved * 1e9, gflops, bandwidth)
        assert abs(found / want - 1) < 1e-9, "arithmetic and memory run side by side: the longer one counts"


def test_what_you_wrote_is_what_the_package_hands_on():
    for name in ("timed", "peak_memory", "matmul_flops", "gemm_ceiling", "bandwidth_ceiling"):
        assert getattr(tinytorch, name) is getattr(setup, name), f"tinytorch.{name} is yours"
