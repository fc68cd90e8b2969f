"""Lesson 05 and its layers against PyTorch, line by line. (The losses have a page of their own.)"""

import inspect

import numpy as np
import pytest

import tinytorch
import tinytorch.nn as nn
import tinytorch.nn.functional as F


def given(t):
    """What every line may use."""
    rng = np.random.default_rng(5)
    def numbers(*shape): return t.tensor(rng.standard_normal(shape).astype(np.float32))
    return {
        "F": t.nn.functional,
        "nn": t.nn,
        "x": numbers(3, 4),
        "y": numbers(3, 4),
        "b": numbers(2, 5, 4),
        "w": numbers(6, 4),
        "bias": numbers(6),
        "scale": numbers(4),
        "shift": numbers(4),
        "w3": numbers(6, 4, 5),
        "z": numbers(3, 5),
        "none": t.zeros(0, 4),
        "picture": numbers(2, 3, 4, 5),
    }


LINES = """
F.linear(x, w)
F.linear(x, w, bias)
F.linear(x, w, bias=bias)
F.linear(b, w, bias)
F.linear(b.transpose(0, 1), w, bias)
F.linear(x[0], w, bias)
F.linear(x[:1], w, bias)
F.linear(none, w, bias)
F.linear(t.zeros(2, 0, 4), w, bias)
F.linear(t.zeros(3, 0), t.zeros(6, 0), bias)
F.linear(x, w[0])
F.linear(x.double(), w.double(), bias.double())
F.linear(x[:, ::2], w[:, ::2], bias)
F.linear(input=x, weight=w, bias=None)
F.layer_norm(x, (4,))
F.layer_norm(x, [4], scale, shift)
F.layer_norm(x, (4,), scale)
F.layer_norm(x, (4,), None, shift)
F.layer_norm(x, (4,), eps=0.5)
F.layer_norm(x, (3, 4))
F.layer_norm(b, (5, 4), y.new_ones(5, 4) * 2, y.new_ones(5, 4))
F.layer_norm(b, t.Size([4]), scale, shift, 1e-3)
F.layer_norm(b.transpose(0, 1), (4,), scale, shift)
F.layer_norm(picture, (4, 5))
F.layer_norm(picture, (3, 4, 5))
F.layer_norm(x[:1], (4,))
F.layer_norm(x[0], (4,))
F.layer_norm(none, (4,))
F.layer_norm(t.ones(2, 1), (1,))
F.layer_norm(t.ones(2, 4) * 3, (4,), scale, shift)
F.layer_norm(x.double(), (4,), scale.double(), shift.double())
F.layer_norm(x + 10, (4,))
t.layer_norm(x, (4,), scale, shift)
F.rms_norm(x, (4,))
F.rms_norm(x, (4,), scale)
F.rms_norm(x, [3, 4], eps=0.1)
F.rms_norm(b, (4,), scale, 1e-3)
F.rms_norm(none, (4,))
F.rms_norm(x.double(), (4,))
F.rms_norm(t.zeros(2, 4), (4,))
t.rms_norm(b, (5, 4))
F.normalize(x)
F.normalize(x, 1.0)
F.normalize(b, p=3.0, dim=2)
F.normalize(x, dim=0)
F.normalize(t.zeros(2, 3))
F.normalize(x, float('inf'))
F.normalize(x, 2.0, -1, 10.0)
F.cosine_similarity(x, y)
F.cosine_similarity(x, y, 0)
F.cosine_similarity(x, y[:1], dim=-1)
F.cosine_similarity(b, b, dim=1)
F.cosine_similarity(x * 0, y)
F.cosine_similarity(x, y, eps=5.0)
t.cosine_similarity(x, y, dim=1)
F.pairwise_distance(x, y)
F.pairwise_distance(x, y, 1.0)
F.pairwise_distance(x, y, p=3.0, eps=0.1, keepdim=True)
F.pairwise_distance(x, x)
F.pairwise_distance(x, y[0])
F.pairwise_distance(b, b * 2)
F.pairwise_distance(x, y, float('inf'))
t.pairwise_distance(x, y)
F.pdist(x)
F.pdist(x, 1.0)
F.pdist(x[:1], p=3.0)
F.bilinear(x, z, w3)
F.bilinear(x, z, w3, bias)
F.bilinear(x[0], z[0], w3, bias)
F.bilinear(x.expand(2, 3, 4), z.expand(2, 3, 5), w3, bias)
F.bilinear(x.double(), z.double(), w3.double(), bias.double())
t.bilinear(x, z, w3, bias)
nn.Flatten()(picture)
nn.Flatten(0, 1)(picture)
nn.Flatten(2)(picture)
nn.Unflatten(1, (2, 2))(x)
nn.Unflatten(-1, (2, -1))(b)
nn.Unflatten(dim=1, unflattened_size=t.Size([2, 2]))(x)
nn.Identity(1, two=2)(x)
nn.CosineSimilarity()(x, y)
nn.CosineSimilarity(dim=0, eps=1.0)(x, y)
nn.PairwiseDistance()(x, y)
nn.PairwiseDistance(1.0, keepdim=True)(x, y)
nn.LayerNorm(4)(x)
nn.LayerNorm([5, 4])(b)
nn.LayerNorm(4, elementwise_affine=False)(x)
nn.LayerNorm(4, bias=False)(x)
nn.RMSNorm(4)(x)
nn.RMSNorm((5, 4), eps=1e-3, elementwise_affine=False)(b)
F.dropout(x, 0.0)
F.dropout(x, 0.5, False)
F.dropout(x, 1.0)
F.dropout(x, 1.0, inplace=True); x
F.dropout1d(b, 0.3, training=False)
F.dropout2d(picture, 1.0)
F.dropout3d(picture, 1.0)
F.alpha_dropout(x)
F.alpha_dropout(x, 0.5, False)
F.alpha_dropout(x, 0.0, True)
F.alpha_dropout(x, 1.0, True)
F.feature_alpha_dropout(picture, 0.3)
nn.Dropout(0.3).eval()(x)
nn.AlphaDropout(0.3).eval()(x)
""".strip().splitlines()

WRONG = """
F.linear(x, w3[0])
F.linear(x, t.zeros(6, 5))
F.linear(t.tensor(1.0), w)
F.linear(x, w, t.zeros(5))
F.layer_norm(x, (3,))
F.layer_norm(x, (4,), t.ones(3))
F.layer_norm(x, (4,), scale, t.ones(3))
F.layer_norm(x, ())
F.layer_norm(x, (2, 3, 4))
F.layer_norm(t.ones(2, 4, dtype=t.int64), (4,))
F.rms_norm(x, (3,))
F.rms_norm(x, (4,), t.ones(3))
F.dropout(x, 1.5)
F.dropout(x, -0.1)
F.dropout1d(picture)
nn.Dropout(2.0)
nn.Bilinear(0, 2, 3)
nn.Unflatten(1, (2.0, 2))
nn.Unflatten(1, (3, 2))(x)
F.bilinear(x, x, w3)
F.bilinear(x, z[:2], w3)
F.cosine_similarity(t.ones(2, 2, dtype=t.int64), t.ones(2, 2, dtype=t.int64))
F.pairwise_distance(x, z)
""".strip().splitlines()

SEEDED = """
nn.Linear(3, 4)
nn.Linear(40, 50)
nn.Linear(3, 4, bias=False)
nn.Linear(7, 5, dtype=t.float64)
nn.Bilinear(3, 4, 5)
nn.Bilinear(10, 4, 5, bias=False)
nn.LayerNorm(3)
nn.LayerNorm((2, 3), bias=False)
nn.LayerNorm((2, 3), elementwise_affine=False)
nn.RMSNorm(3)
nn.LinearCrossEntropyLoss(3, 5)
nn.LinearCrossEntropyLoss(3, 5, out_features=(2,), bias=True)
nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.2), nn.Linear(5, 6))
""".strip().splitlines()

SPOKEN = [*[line for line in SEEDED if "Loss" not in line], *"""
nn.Identity(3)
nn.Flatten()
nn.Flatten(0, 2)
nn.Unflatten(1, (2, 5))
nn.Dropout()
nn.Dropout(0.1, True)
nn.Dropout2d(0.3)
nn.AlphaDropout()
nn.FeatureAlphaDropout(p=0.25)
nn.CosineSimilarity()
nn.PairwiseDistance()
nn.LayerNorm(3, 1e-6)
nn.RMSNorm((3, 4), 1e-6)
""".strip().splitlines()]

MODULES = [
    *["Linear", "Bilinear", "Identity", "Flatten", "Unflatten", "LayerNorm", "RMSNorm"],
    *["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"],
    *["CosineSimilarity", "PairwiseDistance"],
]


@pytest.mark.parametrize("line", [*LINES, *WRONG])
def test_a_line_means_the_same_in_both_libraries(agree_as_layers, line):
    agree_as_layers(line, given)


@pytest.mark.parametrize("line", SEEDED)
def test_a_seed_gives_pytorchs_numbers_under_pytorchs_names(agree, line):
    agree(f"t.manual_seed(1); m = {line}; list(m.state_dict())", given)
    agree(f"t.manual_seed(1); m = {line}; list(m.state_dict().values())", given, tolerance=1e-3)
    again = "[p.reset_parameters() for p in m.modules() if hasattr(p, 'reset_parameters')]"
    agree(f"m = {line}; t.manual_seed(2); {again}; list(m.state_dict().values())", given, tolerance=1e-3)


@pytest.mark.parametrize("line", SPOKEN)
def test_a_module_prints_as_in_pytorch(agree, line):
    agree(f"repr({line})", given)


@pytest.mark.parametrize("name", MODULES)
def test_modules_take_pytorchs_settings_in_pytorchs_order(name):
    theirs = inspect.signature(getattr(pytest.importorskip("torch").nn, name)).parameters
    mine = inspect.signature(getattr(nn, name)).parameters
    assert [(p.name, p.default) for p in mine.values()] == [(p.name, p.default) for p in theirs.values()]


@pytest.mark.parametrize("kind, close", [(np.float32, 1e-5), (np.float64, 1e-10), (np.float16, 4e-3)])
def test_norms_keep_the_width_of_floats(kind, close):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(3, 2, (7, 64)).astype(kind)
    for name in ("layer_norm", "rms_norm"):
        ours = getattr(F, name)(tinytorch.Tensor(x), (64,)).array
        theirs = getattr(torch.nn.functional, name)(torch.tensor(x), (64,)).numpy()
        assert ours.dtype == kind and np.allclose(ours, theirs, rtol=close, atol=close)


def test_what_dropout_leaves_it_makes_up_for():
    tinytorch.manual_seed(0)
    out = F.dropout(tinytorch.ones(100_000), 0.3).array
    assert set(np.unique(out)) == {0, np.float32(1) / np.float32(0.7)} and abs((out == 0).mean() - 0.3) < 0.01


@pytest.mark.parametrize(
    "name, shape, whole",
    [
        ("dropout1d", (50, 40, 6), (50, 40)),
        ("dropout1d", (400, 6), (400,)),
        ("dropout2d", (50, 40, 3, 2), (50, 40)),
        ("dropout2d", (50, 40, 3), (50, 40)),
        ("dropout3d", (50, 40, 3, 2, 2), (50, 40)),
        ("dropout3d", (400, 3, 2, 2), (400,)),
    ],
)
def test_whole_channels_are_left_out(name, shape, whole):
    tinytorch.manual_seed(0)
    out = getattr(F, name)(tinytorch.ones(*shape), 0.25).array.reshape(*whole, -1)
    assert (out == out[..., :1]).all() and 0.15 < (out[..., 0] == 0).mean() < 0.35


def test_alpha_dropout_keeps_mean_and_variance():
    tinytorch.manual_seed(0)
    x = tinytorch.randn(400, 500)
    for f in (F.alpha_dropout, F.feature_alpha_dropout):
        out = f(x, 0.3, training=True)
        assert abs(out.mean().item()) < 0.02 and abs(out.var().item() - 1) < 0.02
        assert len(np.unique(out.array)) > 1000


@pytest.mark.parametrize(
    "name, shape",
    [
        ("dropout", (30, 20)),
        ("dropout2d", (30, 20, 2, 2)),
        ("alpha_dropout", (30, 20)),
        ("feature_alpha_dropout", (30, 20, 2)),
    ],
)
def test_dropout_draws_as_pytorch_where_pytorch_draws_so(name, shape):
    torch = pytest.importorskip("torch")
    torch.manual_seed(3), tinytorch.manual_seed(3)
    if not np.array_equal(
        torch.empty(600).bernoulli_(0.7).numpy(), tinytorch.empty(600).bernoulli_(0.7).array
    ):
        pytest.skip("this PyTorch draws yes and no by Intel's library, which has numbers of its own")
    theirs = getattr(torch.nn.functional, name)(torch.ones(shape), 0.3, True).numpy()
    assert np.allclose(getattr(F, name)(tinytorch.ones(*shape), 0.3, True).array, theirs, atol=1e-6)
