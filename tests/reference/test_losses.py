"""All losses against PyTorch, line by line, with each reduction."""

import inspect

import numpy as np
import pytest

import tinytorch.nn as nn
import tinytorch.nn.functional as F


def given(t):
    """What every line may use."""
    rng = np.random.default_rng(7)
    def numbers(*shape): return t.tensor(rng.standard_normal(shape).astype(np.float32))
    def shares(*shape): return t.tensor(rng.uniform(0.05, 0.95, shape).astype(np.float32))
    def labels(n, *shape): return t.tensor(rng.integers(0, n, shape))
    return {
        "F": t.nn.functional,
        "nn": t.nn,
        "x": numbers(4, 5),
        "y": numbers(4, 5),
        "z": numbers(4, 5),
        "k": numbers(4, 5, 2, 3),
        "l": labels(5, 4),
        "m": labels(5, 4, 2, 3),
        "p": shares(4, 5),
        "q": shares(4, 5),
        "yes": labels(2, 4, 5).float(),
        "sign": labels(2, 4, 5).float() * 2 - 1,
        "which": labels(2, 4) * 2 - 1,
        "u": shares(5),
        "v": shares(4, 5),
        "some": t.tensor([1, -100, 3, 0]),
        "none": t.tensor([-100] * 4),
        "counts": labels(6, 4, 5).float(),
        "lists": t.tensor([[3, 0, -1, 1, 2], [-1, 0, 0, 0, 0], [4, 2, 1, 0, 3], [2, 2, -1, 4, 4]]),
        "sound": numbers(9, 3, 5).log_softmax(-1),
        "text": labels(4, 3, 4) + 1,
    }


ANY = """
F.mse_loss(x, y, R)
F.mse_loss(x, y, R, weight=v)
F.mse_loss(k, k * 2, R)
F.mse_loss(x[:0], y[:0], R)
F.mse_loss(x[0, 0], y[0, 0], R)
F.l1_loss(x, y, R)
F.l1_loss(x, y, R, weight=v)
F.l1_loss(x, x, R)
F.smooth_l1_loss(x, y, R)
F.smooth_l1_loss(x, y, R, beta=0.3)
F.smooth_l1_loss(x, y * 9, R, beta=2.0)
F.smooth_l1_loss(x, y, R, beta=0.0)
F.huber_loss(x, y, R)
F.huber_loss(x, y, R, delta=0.3)
F.huber_loss(x, y * 9, R, delta=3.0, weight=v)
F.nll_loss(x, l, R)
F.nll_loss(x, l, u, R)
F.nll_loss(x, some, R)
F.nll_loss(x, some, u, R)
F.nll_loss(x, none, R)
F.nll_loss(x, l, ignore_index=2, R)
F.nll_loss(k, m, R)
F.nll_loss(k, m, u, ignore_index=1, R)
F.nll_loss(x[0], l[0], R)
F.nll_loss(x[:1], l[:1], u, R)
F.nll_loss(x[:0], l[:0], R)
F.nll_loss(x.t()[:4].contiguous().t(), l % 4, R)
F.cross_entropy(x, l, R)
F.cross_entropy(x * 100, l, R)
F.cross_entropy(x + 1e4, l, R)
F.cross_entropy(x, l, u, R)
F.cross_entropy(x, some, R)
F.cross_entropy(x, some, u, R)
F.cross_entropy(x, none, R)
F.cross_entropy(x, l, ignore_index=3, R)
F.cross_entropy(x, l, label_smoothing=0.2, R)
F.cross_entropy(x, some, u, label_smoothing=0.2, R)
F.cross_entropy(x, l, u, label_smoothing=1.0, R)
F.cross_entropy(k, m, R)
F.cross_entropy(k, m, u, ignore_index=2, label_smoothing=0.1, R)
F.cross_entropy(k.transpose(2, 3), m.transpose(1, 2), R)
F.cross_entropy(x[0], l[0], R)
F.cross_entropy(x[0], l[0], u, label_smoothing=0.3, R)
F.cross_entropy(x[:1], l[:1], R)
F.cross_entropy(x[:0], l[:0], R)
F.cross_entropy(x, p, R)
F.cross_entropy(x, p, u, R)
F.cross_entropy(x, p, u, label_smoothing=0.3, R)
F.cross_entropy(k, k.softmax(1), u, R)
F.cross_entropy(x[0], p[0], R)
F.cross_entropy(x[:, :1], l * 0, R)
F.cross_entropy(t.tensor([[0.0, -inf], [-inf, 3.0]]), t.tensor([0, 0]), R)
F.binary_cross_entropy(p, yes, R)
F.binary_cross_entropy(p, q, R)
F.binary_cross_entropy(p, yes, v, R)
F.binary_cross_entropy(p, yes, u, R)
F.binary_cross_entropy(yes, yes, R)
F.binary_cross_entropy(1 - yes, yes, R)
F.binary_cross_entropy(p[:0], yes[:0], R)
F.binary_cross_entropy_with_logits(x, yes, R)
F.binary_cross_entropy_with_logits(x, q, R)
F.binary_cross_entropy_with_logits(x * 100, yes, R)
F.binary_cross_entropy_with_logits(x, yes, v, R)
F.binary_cross_entropy_with_logits(x, yes, u, pos_weight=u * 3, R)
F.binary_cross_entropy_with_logits(x * 50, q, pos_weight=u * 3, R)
F.soft_margin_loss(x, sign, R)
F.multilabel_soft_margin_loss(x, yes, R)
F.multilabel_soft_margin_loss(x, yes, u, R)
F.multilabel_soft_margin_loss(x[0], yes[0], R)
F.kl_div(x.log_softmax(1), p, R)
F.kl_div(x.log_softmax(1), yes, R)
F.kl_div(x.log_softmax(1), y.log_softmax(1), log_target=True, R)
F.poisson_nll_loss(x, counts, R)
F.poisson_nll_loss(p, counts, log_input=False, R)
F.poisson_nll_loss(x, counts, full=True, R)
F.poisson_nll_loss(p, counts, False, True, eps=0.1, R)
F.gaussian_nll_loss(x, y, v, R)
F.gaussian_nll_loss(x, y, v[:, :1], R)
F.gaussian_nll_loss(x, y, v[:, 0], R)
F.gaussian_nll_loss(x, y, v[:1], R)
F.gaussian_nll_loss(x, y, v, full=True, eps=0.5, R)
F.gaussian_nll_loss(x, y, 0.5, R)
F.margin_ranking_loss(x, y, sign, R)
F.margin_ranking_loss(x[0], y[0], sign[0], margin=0.5, R)
F.hinge_embedding_loss(x, sign, R)
F.hinge_embedding_loss(x, sign, margin=0.3, R)
F.hinge_embedding_loss(x, sign * 2, R)
F.multi_margin_loss(x, l, R)
F.multi_margin_loss(x, l, p=2, margin=0.5, R)
F.multi_margin_loss(x, l, weight=u, R)
F.multi_margin_loss(x[0], l[0], R)
F.multilabel_margin_loss(x, lists, R)
F.multilabel_margin_loss(x[0], lists[0], R)
F.cosine_embedding_loss(x, y, which, R)
F.cosine_embedding_loss(x, y, which, margin=0.3, R)
F.cosine_embedding_loss(x[0], y[0], which[0], R)
F.triplet_margin_loss(x, y, z, R)
F.triplet_margin_loss(x, y, z, margin=3.0, p=1.0, swap=True, R)
F.triplet_margin_loss(x[0], y[0], z[0], eps=0.1, R)
F.triplet_margin_with_distance_loss(x, y, z, R)
F.triplet_margin_with_distance_loss(x, y, z, distance_function=lambda a, b: a[:, 0] - b[:, 1], swap=True, R)
F.ctc_loss(sound, text, (9, 9, 9), (4, 4, 4), R)
F.ctc_loss(sound, text, t.tensor([9, 7, 5]), t.tensor([4, 2, 3]), R)
F.ctc_loss(sound, t.tensor([1, 2, 2, 3, 3, 3, 1]), (9, 8, 7), (2, 1, 4), R)
F.ctc_loss(sound, text, (9, 9, 9), (0, 1, 2), R)
F.ctc_loss(sound, text, (9, 3, 1), (4, 4, 4), R)
F.ctc_loss(sound, text, (9, 3, 1), (4, 4, 4), zero_infinity=True, R)
F.ctc_loss(sound, text % 4, (9, 9, 9), (4, 4, 4), blank=4, R)
F.ctc_loss(sound[:, 0], text[0], t.tensor(9), t.tensor(4), R)
F.ctc_loss(sound, t.tensor([[2, 2, 2, 0]] * 3), (9, 9, 9), (3, 3, 2), R)
F.linear_cross_entropy(x, y[:3], l % 3, R)
F.linear_cross_entropy(x, y[:3], l % 3, linear_bias=u[:3], weight=u[2:], label_smoothing=0.1, R)
nn.L1Loss(R)(x, y)
nn.MSELoss(R)(x, y)
nn.SmoothL1Loss(R, beta=0.5)(x, y)
nn.HuberLoss(R, delta=0.5)(x, y)
nn.NLLLoss(u, ignore_index=1, R)(x, l)
nn.CrossEntropyLoss(u, ignore_index=1, label_smoothing=0.1, R)(x, l)
nn.CrossEntropyLoss(R)(x, p)
nn.BCELoss(v, R)(p, yes)
nn.BCEWithLogitsLoss(v, pos_weight=u, R)(x, yes)
nn.SoftMarginLoss(R)(x, sign)
nn.MultiLabelSoftMarginLoss(u, R)(x, yes)
nn.KLDivLoss(R, log_target=True)(x.log_softmax(1), y.log_softmax(1))
nn.PoissonNLLLoss(full=True, R)(x, counts)
nn.PoissonNLLLoss(False, eps=0.5, R)(p, counts)
nn.GaussianNLLLoss(full=True, eps=0.3, R)(x, y, v)
nn.MarginRankingLoss(0.5, R)(x, y, sign)
nn.HingeEmbeddingLoss(0.5, R)(x, sign)
nn.MultiMarginLoss(2, 0.5, u, R)(x, l)
nn.MultiLabelMarginLoss(R)(x, lists)
nn.CosineEmbeddingLoss(0.1, R)(x, y, which)
nn.TripletMarginLoss(2.0, 1.0, swap=True, R)(x, y, z)
nn.TripletMarginWithDistanceLoss(margin=2.0, swap=True, R)(x, y, z)
nn.CTCLoss(R, zero_infinity=True)(sound, text, (9, 9, 2), (4, 3, 2))
""".strip().splitlines()

ONCE = """
F.mse_loss(x, y)
F.mse_loss(x, y[0])
F.mse_loss(x.double(), y.double())
F.mse_loss(x, t.ones(4, 5, dtype=t.int64))
F.l1_loss(x, y[:, :1])
F.cross_entropy(x.double(), l)
F.cross_entropy(x.double(), l, u.double(), label_smoothing=0.25)
F.kl_div(x.log_softmax(1), p, reduction='batchmean')
F.kl_div(x[0, 0], p[0, 0], reduction='batchmean')
F.binary_cross_entropy_with_logits(x.double(), yes.double())
F.binary_cross_entropy(p.double(), yes.double())
F.ctc_loss(x.double().reshape(4, 1, 5).log_softmax(-1), text[:1, :2], (4,), (2,))
F.poisson_nll_loss(x.double(), counts.double(), full=True)
nn.CrossEntropyLoss()(x, l)
list(nn.CrossEntropyLoss(u).state_dict())
list(nn.BCEWithLogitsLoss(pos_weight=u).state_dict())
list(nn.MSELoss().state_dict())
repr(nn.CrossEntropyLoss(u))
repr(nn.TripletMarginLoss())
nn.CrossEntropyLoss(u, ignore_index=3, label_smoothing=0.1).ignore_index
nn.KLDivLoss(reduction='batchmean')(x, p)
""".strip().splitlines()

WRONG = """
F.mse_loss(x, y, reduction='most')
F.cross_entropy(x, l, reduction='most')
F.mse_loss(x, y, weight=u)
F.mse_loss(x, k)
F.cross_entropy(x, l + 5)
F.cross_entropy(x, l - 5)
F.nll_loss(x, l + 5)
F.cross_entropy(x, l[:2])
F.cross_entropy(x, l, u[:3])
F.cross_entropy(x, l, label_smoothing=1.5)
F.cross_entropy(x, p, ignore_index=1)
F.cross_entropy(x, lists)
F.cross_entropy(k, l)
F.cross_entropy(x, l.float())
F.nll_loss(x, m)
F.binary_cross_entropy(x, yes)
F.binary_cross_entropy(p, yes[:2])
F.binary_cross_entropy_with_logits(x, yes[0])
F.gaussian_nll_loss(x, y, -v)
F.gaussian_nll_loss(x, y, v[:, :2])
F.gaussian_nll_loss(x, y, v, reduction='most')
F.smooth_l1_loss(x, y, beta=-1.0)
F.huber_loss(x, y, delta=0.0)
F.multi_margin_loss(x, l, p=3)
F.margin_ranking_loss(x, y, which)
F.cosine_embedding_loss(x, y, sign)
F.triplet_margin_loss(x, y, z, margin=0.0)
nn.TripletMarginLoss(margin=-1.0)
F.ctc_loss(sound, text, (9, 9), (4, 4, 4))
F.ctc_loss(sound, text, (10, 9, 9), (4, 4, 4))
F.ctc_loss(sound, text, (9, 9, 9), (4, 4, 4), blank=9)
""".strip().splitlines()

OLD = {"size_average", "reduce"}            # deprecated since 2018, and left out here

LOSSES = [name.split("(")[0].removeprefix("F.") for name in ANY if name.startswith("F.")]
MODULES = [name.split("(")[0].removeprefix("nn.") for name in ANY if name.startswith("nn.")]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("line", ANY)
@pytest.mark.filterwarnings("ignore:reduction:UserWarning", "ignore:.*empty slice", "ignore:invalid value")
def test_a_loss_is_pytorchs_with_every_reduction(agree_as_layers, line, reduction):
    told = f"reduction='{reduction}'"
    agree_as_layers(line.replace("R)", f"{told})").replace("R,", f"{told},"), given)


@pytest.mark.parametrize("line", [*ONCE, *WRONG])
@pytest.mark.filterwarnings("ignore:answers of shape:UserWarning")
def test_a_line_means_the_same_in_both_libraries(agree_as_layers, line):
    agree_as_layers(line, given)


def test_broadcasting_answers_are_warned_of():
    import tinytorch

    with pytest.warns(UserWarning, match=r"\(3, 1\).*\(3,\)"):
        F.mse_loss(tinytorch.ones(3, 1), tinytorch.ones(3))


@pytest.mark.parametrize("name", sorted({*LOSSES}))
def test_functions_take_pytorchs_settings(name):
    theirs = inspect.signature(getattr(pytest.importorskip("torch").nn.functional, name)).parameters
    mine = inspect.signature(getattr(F, name)).parameters
    wanted = {p.name: p.default for p in theirs.values() if p.name not in {*OLD, "options"}}
    assert list(mine) == list(wanted) and {p.name: p.default for p in mine.values()} == wanted


@pytest.mark.parametrize("name", sorted({*MODULES}))
def test_modules_take_pytorchs_settings(name):
    theirs = inspect.signature(getattr(pytest.importorskip("torch").nn, name)).parameters
    mine = inspect.signature(getattr(nn, name)).parameters
    wanted = {p.name: p.default for p in theirs.values() if p.name not in OLD}
    assert list(mine) == list(wanted) and {p.name: p.default for p in mine.values()} == wanted
