"""The instruments of lesson 15: latencies, drift, decay, alarms, a canary, and Prometheus' page."""

import itertools
import math

import numpy as np
import pytest

from tinytorch.canary import Canary
from tinytorch.decay import Alarm, Cusum, PageHinkley, Window, wilson
from tinytorch.drift import DriftWatch, ks_chance, ks_test
from tinytorch.exposition import Counter, Distribution, Gauge, Metrics
from tinytorch.mlops import (
    Alias,
    Histogram,
    Tally,
    kolmogorov,
    ks_distance,
    psi,
    verdict,
    z_score,
)

rng = np.random.default_rng(15)

# ------------------------------------------------------------------------------------------- latencies


@pytest.mark.parametrize("q", [0.01, 0.25, 0.5, 0.9, 0.99])
def test_a_quantile_is_at_most_a_bucket_away_from_the_exact_one(q):
    numbers, bounds = rng.exponential(2.0, 5000), np.linspace(0, 30, 61)[1:]
    histogram = Histogram(bounds)
    for x in numbers: histogram.observe(x)
    assert abs(histogram.quantile(q) - np.quantile(numbers, q)) < 0.5
    assert histogram.n == 5000 and math.isclose(histogram.total, numbers.sum())
    assert histogram.counts == np.histogram(numbers, [-1, *bounds, math.inf])[0].tolist()


def test_bounds_go_up():
    for bounds in ([1, 1], [2, 1]):
        with pytest.raises(ValueError, match="go up"): Histogram(bounds)


def test_quantiles_never_go_down_as_q_goes_up():
    histogram = Histogram([1, 2, 3, 5, 8])
    for x in rng.uniform(0, 9, 57): histogram.observe(x)
    told = [histogram.quantile(q) for q in np.linspace(0, 1, 101)]
    assert told == sorted(told) and told[0] >= 0 and told[-1] <= 8

# ------------------------------------------------------------------------------------------------ drift


def by_hand(reference, now, bins):
    """The index of one feature, number by number."""
    cuts, total = np.quantile(reference, [k / bins for k in range(1, bins)]), 0.0
    def bin_of(x): return sum(x >= cut for cut in cuts)
    for k in range(bins):
        p, q = [(sum(bin_of(x) == k for x in sample) + 0.5) / (len(sample) + bins / 2)
                for sample in (reference, now)]
        total += (q - p) * math.log(q / p)
    return total


@pytest.mark.parametrize("bins", [2, 5, 10])
def test_psi_is_the_sum_over_bins(bins):
    old, new = rng.standard_normal((80, 3)), rng.standard_normal((50, 3)) * [1, 2, 1] + [0, 0, 1]
    assert np.allclose(psi(old, new, bins), [by_hand(old[:, f], new[:, f], bins) for f in range(3)])


def test_psi_of_a_constant_feature_is_finite():
    assert np.isfinite(psi(np.zeros((20, 1)), np.zeros((9, 1)))).all()
    index = psi(np.zeros((200, 1)), np.ones((200, 1)))
    assert index[0] == 0.0, "what has one value has one bin that holds all"


def chance_by_all_mixtures(n: int, m: int, distance: float) -> float:
    """The share of all ways to deal n + m different numbers into two hands that are at least so far apart."""
    numbers, far, ways = range(n + m), 0, 0
    for hand in itertools.combinations(numbers, n):
        rest = [x for x in numbers if x not in hand]
        ways += 1
        far += ks_distance(np.array(hand), np.array(rest)) >= distance - 1e-9
    return far / ways


@pytest.mark.parametrize("n, m", [(1, 1), (2, 3), (4, 4), (3, 6), (5, 4)])
def test_chances_of_small_samples_are_counted(n, m):
    for distance in {i / n - j / m for i in range(n + 1) for j in range(m + 1) if i * m > j * n}:
        assert math.isclose(ks_chance(n, m, distance), chance_by_all_mixtures(n, m, distance), abs_tol=1e-12)


def test_counted_chances_come_near_kolmogorovs_limit():
    for x in (0.6, 0.9, 1.36, 1.63):
        n, m = 1500, 1900
        distance = round(x / math.sqrt(n * m / (n + m)) * n * m) / (n * m)
        assert abs(ks_chance(n, m, distance) - kolmogorov(x)) < 0.02
    assert abs(kolmogorov(1.3581) - 0.05) < 1e-4 and abs(kolmogorov(1.6276) - 0.01) < 1e-4, \
        "the tables of 1948"
    assert kolmogorov(0.0) == 1.0 and kolmogorov(5.0) < 1e-20


def test_false_alarms_are_as_rare_as_promised():
    alarms = [ks_test(rng.standard_normal(60), rng.standard_normal(40)).pvalue < 0.1 for _ in range(400)]
    assert 0.04 < np.mean(alarms) < 0.15


def test_samples_of_no_numbers_are_refused():
    with pytest.raises(ValueError, match="at least one"): ks_test([], [1.0])


def test_a_watch_names_the_features_that_moved():
    watch = DriftWatch(rng.standard_normal((1000, 5)))
    now = rng.standard_normal((300, 5))
    assert watch.check(now).features == []
    now[:, 3] += 2
    now[:, 1] *= 3
    found = watch.check(now)
    assert sorted(found.features) == [1,
                                      3] and found.features[0] == np.argmax(found.psi) and found.share == 0.4
    with pytest.raises(ValueError, match="cannot be compared"): watch.check(now[:, :4])

# ------------------------------------------------------------------------------------------------ decay


def test_wilsons_interval_solves_its_equation():
    """Its ends are the shares p for which the observed share is z standard deviations away."""
    for right, n, z in ((0, 20, 1.96), (7, 20, 1.96), (380, 400, 1.96), (20, 20, 3.0)):
        for end in wilson(right, n, z):
            assert math.isclose(abs(right / n - end), z * math.sqrt(end * (1 - end) / n), abs_tol=1e-9)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_window_forgets():
    window = Window(100)
    assert math.isnan(window.accuracy) and not window.below(0.9)
    for _ in range(500): window.update(True)
    for _ in range(50): window.update(False)
    assert window.accuracy == 0.5 and window.below(0.9) and not window.below(0.55)


def test_cusum_finds_a_small_rise_soon_and_is_quiet_before():
    draws = np.random.default_rng(0)
    cusum = Cusum(usual=0.05, slack=0.03, limit=6.0)
    assert not any([cusum.update(x) for x in draws.random(3000) < 0.05])
    delay = next(n for n, x in enumerate(draws.random(3000) < 0.2) if cusum.update(x))
    assert 10 < delay < 200
    cusum.reset()
    assert cusum.sum == 0.0


def test_page_and_hinkley_need_not_know_what_is_usual():
    draws = np.random.default_rng(1)
    test = PageHinkley(delta=0.05, limit=15.0)
    assert not any([test.update(x) for x in draws.random(2000) < 0.1])
    assert any([test.update(x) for x in draws.random(400) < 0.4])


def test_an_alarm_does_not_flutter():
    alarm = Alarm("x", high=10, low=5, after=2)
    told = [alarm.check(x) for x in (11, 9, 11, 11, 9, 4, 6, 4, 4, 11)]
    assert told == [False, False, False, True, True, True, True, True, False, False]
    assert [on for on, _ in alarm.log] == [True, False]
    assert [alarm.check(math.nan) for _ in range(4)][1:] == [True, True, True], \
        "what is no number is no good news"
    with pytest.raises(ValueError, match="below where it goes on"): Alarm("x", high=1, low=2)

# --------------------------------------------------------------------------------------------- a canary


@pytest.fixture
def alias(tmp_path):
    alias = Alias(tmp_path)
    alias.promote(7)
    return alias


def fly(canary, failing, requests: int = 20_000):
    """Requests until it is decided; `failing(version)` is how likely that version fails."""
    draws = np.random.default_rng(2)
    for n in range(requests):
        version = canary.route(f"request {n}")
        if canary.record(version, draws.random() < failing(version)) != "wait": return n
    return None


def test_a_version_that_fails_more_often_is_taken_back(alias):
    canary = Canary(alias, 8)
    assert fly(canary, lambda version: 0.2 if version == 8 else 0.01) < 1500
    assert canary.state == "back" and alias.version == 7 and canary.tallies[8].asked < 200
    assert {canary.route(f"{n}") for n in range(100)} == {7}, "nobody is sent to it any more"


def test_a_version_that_is_as_good_is_promoted_and_the_reason_kept(alias):
    canary = Canary(alias, 8, share=0.5)
    fly(canary, lambda version: 0.02)
    assert canary.state == "on" and alias.version == 8 and "of 1000 failed" in alias.moves()[-1]["why"]


def test_bad_input_is_not_the_canarys_fault(alias):
    canary = Canary(alias, 8)
    fly(canary, lambda version: 0.6, 3000)
    assert canary.state == "wait" and alias.version == 7


def test_who_asks_twice_is_answered_by_the_same_version(alias):
    canary = Canary(alias, 8, share=0.25)
    once = [canary.route(f"user {n}") for n in range(2000)]
    assert once == [canary.route(f"user {n}") for n in range(2000)]
    assert 0.2 < np.mean(np.array(once) == 8) < 0.3


def test_a_canary_needs_a_version_in_use(tmp_path):
    with pytest.raises(LookupError): Canary(Alias(tmp_path / "none"), 8)


def test_the_score_is_that_of_a_two_by_two_table():
    """Its square is Pearson's chi-squared of the table of failed and not failed."""
    old, new = Tally(900, 30), Tally(120, 9)
    table = np.array([[30, 870], [9, 111]])
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    assert math.isclose(z_score(old, new) ** 2, ((table - expected) ** 2 / expected).sum())
    assert verdict(old, new) == "wait"

# ------------------------------------------------------------------------------------ Prometheus' page


def test_the_page():
    metrics = Metrics()
    asked = metrics.add(Counter("asked_total", "How\noften \\", ["model"]))
    asked.add(model='a"b\\c\nd')
    asked.add(2.5, model="x")
    metrics.add(Gauge("warm", "Now.")).set(-math.inf)
    took = metrics.add(Distribution("took_seconds", "Time.", bounds=(0.1, 1)))
    for x in (0.1, 0.5, 7.0): took.observe(x)
    assert metrics.page() == """\
# HELP asked_total How\\noften \\\\
# TYPE asked_total counter
asked_total{model="a\\"b\\\\c\\nd"} 1
asked_total{model="x"} 2.5
# HELP warm Now.
# TYPE warm gauge
warm -Inf
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1"} 1
took_seconds_bucket{le="1"} 2
took_seconds_bucket{le="+Inf"} 3
took_seconds_sum 7.6
took_seconds_count 3
"""
    assert took.quantile(0.5) == pytest.approx(0.1 + 0.9 * 0.5)


def test_names_and_labels_are_looked_at():
    for bad in (lambda: Counter("a-b", ""), lambda: Counter("a", "", ["b c"]),
                lambda: Distribution("a", "", ["le"]),
                lambda: Counter("a", "").add(x=1), lambda: Counter("a", "", ["b"]).add(),
                lambda: Counter("a", "").add(-1)):
        with pytest.raises(ValueError): bad()
    metrics = Metrics()
    metrics.add(Counter("a", ""))
    with pytest.raises(ValueError, match="already"): metrics.add(Gauge("a", ""))
