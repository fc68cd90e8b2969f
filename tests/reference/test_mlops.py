"""What lesson 15 computes, held against SciPy, Prometheus' own client and OpenSSL."""

import math
import shutil
import subprocess

import numpy as np
import pytest

from tinytorch import models, nn, no_grad, randint, randn
from tinytorch.drift import ks_chance, ks_test
from tinytorch.exposition import Counter, Distribution, Gauge, Metrics
from tinytorch.mlops import Histogram, digest, kolmogorov, seal
from tinytorch.packages import load_package, save_package, words

rng = np.random.default_rng(5)


def test_digest_and_seal_are_openssls(tmp_path):
    if shutil.which("openssl") is None: pytest.skip("there is no openssl here")
    file, manifest = tmp_path / "file", tmp_path / "manifest"
    file.write_bytes(rng.bytes(2_500_000))
    manifest.write_bytes(b'{"a":[1,"\\u00e9"],"b":null}')

    def told(*words):
        return subprocess.run(["openssl", "dgst", "-sha256", *words], capture_output=True, text=True,
                                            check=True).stdout.split()[-1]
    assert digest(file) == told(str(file))
    assert seal({"b": None, "a": [1, "é"]}, b"secret") == told("-hmac", "secret", str(manifest))


@pytest.mark.parametrize("n, m", [(5, 7), (20, 20), (30, 100), (400, 333), (1500, 800)])
def test_kolmogorov_and_smirnov_as_scipy(n, m):
    stats = pytest.importorskip("scipy.stats", reason="the reference is SciPy")
    for shift in (0.0, 0.2, 0.6):
        a, b = rng.standard_normal(n), rng.standard_normal(m) + shift
        mine, theirs = ks_test(a, b), stats.ks_2samp(a, b, method="exact")
        assert math.isclose(mine.statistic, theirs.statistic, abs_tol=1e-12)
        assert math.isclose(mine.pvalue, theirs.pvalue, rel_tol=1e-6, abs_tol=1e-12)


def test_kolmogorovs_limit_as_scipy():
    special = pytest.importorskip("scipy.special", reason="the reference is SciPy")
    for x in np.linspace(0.01, 4, 200): assert math.isclose(kolmogorov(x), special.kolmogorov(x),
                                                            abs_tol=1e-9)


@pytest.mark.parametrize("n, m", [(1, 1), (3, 3), (7, 4), (10, 10)])
def test_chances_are_those_of_random_walks(n, m):
    """Dealt out ten thousand times: the share of walks that go as far."""
    # (draws, n + m): whose number comes
    draws = np.argsort(rng.random((10_000, n + m)), axis=1) < n
    apart = np.abs(np.cumsum(draws, 1) / n - np.cumsum(~draws, 1) / m).max(1)
    for distance in np.unique(apart.round(12)):
        share = (apart >= distance - 1e-9).mean()
        assert abs(ks_chance(n, m, distance) - share) < 5 * math.sqrt(0.25 / 10_000)


def filled() -> tuple[Metrics, object]:
    """The same numbers in our metrics and in those of Prometheus' client."""
    client = pytest.importorskip("prometheus_client", reason="the reference is Prometheus' own client")
    ours, theirs = Metrics(), client.CollectorRegistry()
    words_, bounds = 'of "A"\\B\n', (0.1, 0.5, 2.5)
    a = ours.add(Counter("asked_total", 'How often, "quoted"\nor not \\.', ["model", "version"]))
    b = client.Counter("asked", 'How often, "quoted"\nor not \\.', ["model", "version"], registry=theirs)
    for model, version, n in ((words_, 1, 2), ("y", 2, 0.25), (words_, 1, 1)):
        a.add(n, model=model, version=version)
        b.labels(model=model, version=version).inc(n)
    a, b = ours.add(Gauge("warm", "Now.")), client.Gauge("warm", "Now.", registry=theirs)
    for gauge in (a, b): gauge.set(-2.5e-9)
    a = ours.add(Distribution("took_seconds", "Time.", ["version"], bounds=bounds))
    b = client.Histogram("took_seconds", "Time.", ["version"], buckets=bounds, registry=theirs)
    for x in (0.1, 0.05, 0.3, 2.0, 2.5, 7.0):
        a.observe(x, version="é")
        b.labels(version="é").observe(x)
    return ours, theirs


def samples(page: str) -> dict:
    from prometheus_client.parser import text_string_to_metric_families
    return {(family.name, family.type, family.documentation, sample.name,
             tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(page) for sample in family.samples
            if not sample.name.endswith("_created") and not family.name.endswith("_created")}


def test_prometheus_reads_our_page_as_its_own():
    ours, theirs = filled()
    from prometheus_client import generate_latest
    mine = samples(ours.page())
    assert mine == samples(generate_latest(theirs).decode()) and len(mine) == 9


def test_quantiles_are_those_of_a_piecewise_straight_line():
    """Between the bounds, the share below x is a straight line: np.interp turns it round."""
    histogram = Histogram((1, 2, 4, 8))
    for x in rng.uniform(0, 8, 1000): histogram.observe(x)
    below = np.cumsum([0, *histogram.counts[:-1]])
    for q in rng.random(50):
        assert math.isclose(histogram.quantile(q), np.interp(q * histogram.n, below, [0, 1, 2, 4, 8]),
                            rel_tol=1e-9)


MODELS = {
    "lenet5": (words("tinytorch.models.lenet5", size=8), lambda: models.lenet5(8), lambda: randn(2, 1, 8, 8)),
    "AlexNetSmall": (words("tinytorch.models.AlexNetSmall", hidden=16),
                     lambda: models.AlexNetSmall(hidden=16),
                     lambda: randn(2, 3, 32, 32)),
    "resnet20": (words("tinytorch.models.resnet20"), models.resnet20, lambda: randn(2, 3, 32, 32)),
    "mobilenet_v2": (words("tinytorch.models.mobilenet_v2", width_mult=0.25),
                     lambda: models.mobilenet_v2(width_mult=0.25),
                     lambda: randn(2, 3, 32, 32)),
    "UNet": (words("tinytorch.models.UNet", width=4, depth=2), lambda: models.UNet(width=4, depth=2),
             lambda: randn(1, 3, 8, 8)),
    "GPT": (words("tinytorch.models.GPT", 11, 6, 2, 2, 8), lambda: models.GPT(11, 6, 2, 2, 8),
            lambda: randint(0, 11, (2, 5))),
    "ViT": (words("tinytorch.models.ViT", num_layers=1), lambda: models.ViT(num_layers=1),
            lambda: randn(1, 3, 32, 32)),
    "LSTM": (words("tinytorch.nn.LSTM", 3, 4, num_layers=2), lambda: nn.LSTM(3, 4, num_layers=2),
             lambda: randn(5, 2, 3)),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_go_into_packages_and_come_out_the_same(name, tmp_path):
    plan, make, example = MODELS[name]
    model = make().eval()
    save_package(tmp_path, model, name=name, architecture=plan, key=b"k")
    again, x = load_package(tmp_path, b"k").model, example()
    with no_grad(): one, two = model(x), again(x)
    assert not again.training
    if isinstance(one, tuple): one, two = one[0], two[0]
    assert np.array_equal(one.array, two.array)
