"""Every kernel gives what the plain forward and its rule give, and what PyTorch gives: on odd shapes, on
numbers that are not in order, on float64, on nan and infinity, and on nothing at all."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import tinytorch
from tinytorch import compiling, tensor
from tinytorch.backends import kernels, use_kernels
from tinytorch.column import DECLINED, KERNELS, PULLS
from tinytorch.compiling import compiler
from tinytorch.compression import int8_matmul
from tinytorch.kernels import walk
from tinytorch.switch import WITH_KERNELS
from tinytorch.tables import DEVICE, able
from tinytorch.tensor import Op

F = tinytorch.nn.functional
rng = np.random.default_rng(13)
in_c = pytest.mark.skipif(compiler() is None, reason="there is no C compiler here")


@pytest.fixture(autouse=True)
def fast():
    with use_kernels("fast"): yield


def numbers(*shape): return rng.standard_normal(shape).astype(np.float32)
def numbers_of(seed, *shape): return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
def ids(n, *shape): return rng.integers(0, n, shape)


SHAPES = [(1,), (7,), (16,), (3, 5), (2, 3, 17), (33, 65), (0, 3), ()]
BENDS = {
    "gelu": lambda F: F.gelu,
    "gelu tanh": lambda F: lambda x: F.gelu(x, approximate="tanh"),
    "silu": lambda F: F.silu,
    "sigmoid": lambda F: F.sigmoid if hasattr(F, "sigmoid") else tinytorch.sigmoid,
    "relu": lambda F: F.relu,
    "leaky_relu": lambda F: lambda x: F.leaky_relu(x, 0.2),
    "softmax": lambda F: lambda x: F.softmax(x, -1),
    "log_softmax": lambda F: lambda x: F.log_softmax(x, -1),
    "softmax, first dim": lambda F: lambda x: F.softmax(x, 0),
}
NORMS = {
    "layer_norm": (lambda F: lambda x, w, b: F.layer_norm(x, w.shape, w, b), True),
    "layer_norm without bias": (lambda F: lambda x, w, b: F.layer_norm(x, w.shape, w), True),
    "layer_norm alone": (lambda F: lambda x, w, b: F.layer_norm(x, w.shape), True),
    "rms_norm": (lambda F: lambda x, w, b: F.rms_norm(x, w.shape, w), True),
    "rms_norm alone": (lambda F: lambda x, w, b: F.rms_norm(x, w.shape), True),
}


def both_ways(torch, f, arrays, weigh=None):
    """What comes out of f, and the gradients of its float inputs, in one of the packages."""
    inputs = [torch.tensor(array) for array in arrays]
    floats = [x for x in inputs if x.dtype.is_floating_point]
    for x in floats: x.requires_grad_()
    out = f(*inputs)
    if weigh is None: weigh = np.random.default_rng(1).standard_normal(tuple(out.shape))
    out.backward(torch.tensor(weigh.astype(arrays[0].dtype if arrays[0].dtype.kind == "f" else np.float32)))
    return [out.detach().numpy(), *[None if x.grad is None else x.grad.numpy() for x in floats]]


def agree(found, want, rtol=2e-5, atol=2e-6):
    for n, (mine, other) in enumerate(zip(found, want, strict=True)):
        what = "the output" if n == 0 else f"gradient {n}"
        if other is None: assert mine is None, what
        else: np.testing.assert_allclose(mine, other, rtol, atol, err_msg=what)


def compared(f, *arrays, rtol=2e-5, atol=2e-6, theirs=None):
    """The kernels' answers, the plain bodies' and PyTorch's."""
    fast = both_ways(tinytorch, f, arrays)
    with use_kernels("numpy"): slow = both_ways(tinytorch, f, arrays)
    agree(fast, slow, rtol, atol)
    if theirs: agree(fast, both_ways(torch, theirs, arrays), rtol, atol)
    return fast


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", BENDS)
def test_bends_and_probabilities(name, shape):
    compared(BENDS[name](F), numbers(*shape) * 3, theirs=BENDS[name](torch.nn.functional))


@pytest.mark.parametrize("name", BENDS)
def test_bends_of_float64_stay_float64(name):
    x = rng.standard_normal((3, 5))
    found = compared(BENDS[name](F), x, rtol=1e-12, atol=1e-12, theirs=BENDS[name](torch.nn.functional))
    assert all([x.dtype == np.float64 for x in found])


@pytest.mark.parametrize("name", BENDS)
def test_bends_of_what_is_not_in_order(name):
    f, theirs = BENDS[name](F), BENDS[name](torch.nn.functional)
    x = numbers(12, 10)
    for look in (lambda x: x.T, lambda x: x[:, ::2], lambda x: x[3:, 1:]):
        found, want = f(look(tensor(x))).numpy(), theirs(look(torch.tensor(x))).numpy()
        np.testing.assert_allclose(found, want, 2e-5, 2e-6)


@pytest.mark.parametrize("name", BENDS)
def test_gradients_that_are_not_in_order(name):
    """A sum sends back a gradient of stride 0, a transpose one that is turned."""
    f, theirs = BENDS[name](F), BENDS[name](torch.nn.functional)
    for end in (lambda y: y.sum(), lambda y: (y.T * 2.0).sum(), lambda y: y[::2].sum()):
        compared(lambda x, f=f, end=end: end(f(x)), numbers(6, 6), theirs=lambda x, end=end: end(theirs(x)))


STRANGE = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 88.0, -88.0,
                    104.0, -104.0, 1e38, -1e38] * 3, np.float32)


@pytest.mark.parametrize("name", [name for name in BENDS if "softmax" not in name])
def test_what_is_not_a_number_and_what_is_endless(name):
    f = BENDS[name](F)
    found = f(tensor(STRANGE)).numpy()
    with use_kernels("numpy"): want = f(tensor(STRANGE)).numpy()
    np.testing.assert_allclose(found, want, 2e-5, 1e-35)            # less than that is 0 in C


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("row", [[np.nan, 1, 2], [np.inf, 1, 2], [-np.inf, 1, 2], [-np.inf] * 3,
                                 [1e30, -1e30, 0], [3e38, 3e38, -3e38]], ids=str)
def test_rows_that_are_strange(name, row):
    for width in (1, 9):
        x = np.tile(np.float32(row), (2, width))
        found = BENDS[name](F)(tensor(x)).numpy()
        want = BENDS[name](torch.nn.functional)(torch.tensor(x)).numpy()
        np.testing.assert_allclose(found, want, 2e-5, 1e-37)


# ------------------------------------------------------------------------------------------------- losses

@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (4, 17), (33, 100), (3, 4, 5)], ids=str)
def test_cross_entropy(shape, reduction):
    labels = ids(shape[1], shape[0], *shape[2:])
    labels.reshape(-1)[::3] = -100
    def loss(F): return lambda x, y: F.cross_entropy(x, y, reduction=reduction)
    compared(loss(F), numbers(*shape) * 4, labels, theirs=loss(torch.nn.functional))


def test_a_label_that_does_not_exist_is_still_an_error():
    for label in (3, -1):
        with pytest.raises(IndexError, match="do not fit 3 classes"):
            F.cross_entropy(tensor(numbers(2, 3)), tensor([0, label]))


def test_labels_of_other_integers():
    labels = ids(5, 7).astype(np.int32)
    found = F.cross_entropy(tensor(x := numbers(7, 5)), tensor(labels)).item()
    want = torch.nn.functional.cross_entropy(torch.tensor(x), torch.tensor(labels).long()).item()
    assert abs(found - want) < 1e-6


# ------------------------------------------------------------------------------------------------- norms

@pytest.mark.parametrize("shape", [((1, 1), 1), ((3, 5), 1), ((2, 3, 16), 1), ((4, 3, 5), 2), ((33, 65), 1),
                                   ((0, 4), 1)], ids=str)
@pytest.mark.parametrize("name", NORMS)
def test_norms(name, shape):
    shape, last = shape
    x, w, b = numbers(*shape) * 3 + 1, *[numbers(*shape[-last:]) for _ in range(2)]
    f, _ = NORMS[name]
    compared(f(F), x, w, b, rtol=1e-4, atol=2e-5, theirs=f(torch.nn.functional))


def test_a_norm_of_large_numbers_does_not_lose_its_digits():
    x = (1000 + rng.standard_normal((4, 300))).astype(np.float32)
    want = torch.nn.functional.layer_norm(torch.tensor(x).double(), (300,)).numpy()
    np.testing.assert_allclose(F.layer_norm(tensor(x), (300,)).numpy(), want, atol=2e-3)


def test_norms_of_float64():
    x, w, b = rng.standard_normal((3, 7)), *rng.standard_normal((2, 7))
    for f, _ in NORMS.values(): compared(f(F), x, w, b, rtol=1e-10, atol=1e-10, theirs=f(torch.nn.functional))


# ---------------------------------------------------------------------------------------------- optimizers

OPTIMIZERS = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.8, "dampening": 0.3},
            {"weight_decay": 0.1, "momentum": 0.9}, {"maximize": True, "weight_decay": 0.1}],
    "Adam": [{}, {"amsgrad": True}, {"weight_decay": 0.1}, {"maximize": True, "betas": (0.5, 0.9)}],
    "AdamW": [{}, {"weight_decay": 0.3, "amsgrad": True}],
    "Adagrad": [{}, {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}],
    "RMSprop": [{}, {"momentum": 0.9}, {"centered": True},
                {"centered": True, "momentum": 0.5, "weight_decay": 0.1}],
    "Adadelta": [{}, {"rho": 0.5, "weight_decay": 0.1}, {"maximize": True}],
    "Adamax": [{}, {"betas": (0.5, 0.9), "weight_decay": 0.1}, {"maximize": True}],
    "NAdam": [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True},
              {"momentum_decay": 0.1, "maximize": True}],
    "RAdam": [{}, {"betas": (0.5, 0.6)}, {"weight_decay": 0.1, "betas": (0.5, 0.6), "maximize": True},
              {"weight_decay": 0.1, "decoupled_weight_decay": True}],
    "Rprop": [{}, {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.05)}, {"maximize": True}],
    "ASGD": [{}, {"t0": 2, "lambd": 0.1}, {"weight_decay": 0.1, "alpha": 0.5, "t0": 0, "maximize": True}],
}


EVERY_STEP = [(name, one) for name, some in OPTIMIZERS.items() for one in some]


def walked(package, name, settings, start, slopes):
    p = package.nn.Parameter(package.tensor(start))
    optimizer = getattr(package.optim, name)([p], lr=0.02, **settings)
    for slope in slopes:
        p.grad = package.tensor(slope)
        optimizer.step()
    state = optimizer.state_dict()["state"].get(0, {})
    kept = [state[key] for key in sorted(state) if hasattr(state[key], "numpy")]
    return [x.detach().numpy() for x in (p, *kept)]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 5), (17,), (1,), (0,), ()], ids=str)
@pytest.mark.parametrize(("name", "settings"), EVERY_STEP, ids=str)
def test_steps(name, settings, shape, kind):
    start, *slopes = [np.asarray(rng.standard_normal(shape)).astype(kind) for _ in range(6)]
    given = name, settings, start, slopes
    found = walked(tinytorch, *given)
    with use_kernels("numpy"): agree(found, walked(tinytorch, *given), 1e-5, 1e-6)
    agree(found, walked(torch, *given), 1e-5, 1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_along_what_is_not_a_number(name):
    """Of nan comes nan, of infinity what PyTorch makes of it, and their neighbours take no notice."""
    start, slopes = numbers(40), [numbers(40) for _ in range(3)]
    slopes[1][3], slopes[1][4], slopes[2][5] = np.nan, np.inf, -np.inf
    given = name, {}, start, slopes
    found = walked(tinytorch, *given)
    with use_kernels("numpy"), np.errstate(all="ignore"): agree(found, walked(tinytorch, *given), 1e-5, 1e-6)
    if name == "Rprop": return                      # PyTorch's sign of nan is 0, NumPy's is nan
    agree(found[:1], walked(torch, *given)[:1], 1e-5, 1e-6)


@in_c
def test_a_subclass_with_an_update_of_its_own_is_not_overruled():
    class Still(tinytorch.optim.SGD):
        def update(self, param, group): param.array += 1

    p = tinytorch.nn.Parameter(tensor([1.0]))
    p.grad = tensor([5.0])
    Still([p], lr=0.1).step()
    assert p.tolist() == [2.0]


# ----------------------------------------------------------------------------------------------- attention

@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 5, 8, 8), (33, 7, 4, 20), (3, 70, 17, 5),
                                   (64, 64, 32, 9)], ids=str)
@pytest.mark.parametrize("masked", ["", "causal", "rows", "pairs"])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)], ids=str)
def test_attention(lead, masked, shape):
    T, S, E, V = shape
    q, k, v = numbers(*lead, T, E), numbers(*lead, S, E), numbers(*lead, S, V)
    mask = {"": None, "causal": None, "rows": numbers(T, S), "pairs": rng.random((*lead, T, S)) < 0.6}[masked]
    def look(torch): return lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=None if mask is None else torch.tensor(mask), is_causal=masked == "causal")
    if masked == "pairs": mask[..., 0] = True           # PyTorch has nan where nothing may be looked at
    compared(look(tinytorch), q, k, v, rtol=1e-4, atol=1e-5, theirs=look(torch))


def test_heads_that_lie_side_by_side():
    x = numbers(2, 9, 3 * 4 * 5)

    def look(torch, x):
        q, k, v = [part.view(2, 9, 4, 5).transpose(1, 2) for part in x.split(20, dim=2)]
        seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return seen.transpose(1, 2).reshape(2, 9, 20)
    found = compared(lambda x: look(tinytorch, x), x, rtol=1e-4, atol=1e-5, theirs=lambda x: look(torch, x))
    assert found[1].shape == x.shape


def test_a_query_that_may_look_nowhere_sees_nothing():
    q, k, v = [tensor(numbers(4, 8), requires_grad=True) for _ in range(3)]
    mask = tensor(np.eye(4, dtype=bool) & [True, True, False, True])
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    out.sum().backward()
    assert not out.detach().numpy()[2].any() and np.isfinite(q.grad.numpy()).all()


def test_weights_that_are_dropped_and_masks_that_learn():
    from tinytorch.attention import attend
    keep = np.float32(2 * (rng.random((2, 6, 7)) < 0.5))
    q, k, v, mask = numbers(2, 6, 8), numbers(2, 7, 8), numbers(2, 7, 3), numbers(6, 7)
    compared(attend, q, k, v, mask, keep, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ids", [[0, 2, 2, 1], [[3, 3], [3, 3]], []], ids=str)
def test_the_gradient_of_an_embedding(ids):
    ids = np.array(ids, np.int64)
    def look(torch): return lambda ids, weight: torch.nn.functional.embedding(ids, weight, padding_idx=1)
    compared(look(tinytorch), ids, numbers(4, 5), theirs=look(torch))


# ------------------------------------------------------------------------------------------------ pictures

CONVOLUTIONS = [{}, {"padding": 1}, {"stride": 2}, {"stride": 2, "padding": 1}, {"dilation": 2},
                {"stride": (2, 3), "padding": (2, 0), "dilation": (1, 2)}, {"padding": "same"},
                {"padding": 4}, {"stride": 4, "padding": 1}]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize(("pictures", "filters"), [
    ((2, 3, 9, 8), (5, 3, 3, 3)), ((1, 1, 7, 7), (1, 1, 1, 1)), ((3, 9, 6, 7), (17, 9, 2, 3)),
    ((2, 2, 40, 5), (4, 2, 5, 1)), ((5, 6, 8, 16), (16, 6, 3, 3)), ((3, 33, 5, 6), (50, 33, 3, 3)),
    ((1, 17, 9, 28), (6, 17, 3, 5)), ((3, 2, 20, 33), (33, 2, 4, 2)), ((7, 1, 3, 3), (1, 1, 3, 3))], ids=str)
def test_convolution(pictures, filters, settings):
    arrays = numbers(*pictures), numbers(*filters), numbers(filters[0])
    def look(torch): return lambda *given: torch.nn.functional.conv2d(*given, **settings)
    try: look(torch)(*map(torch.tensor, arrays))
    except RuntimeError: pytest.skip("the filter does not fit")
    compared(look(tinytorch), *arrays, rtol=1e-4, atol=1e-4, theirs=look(torch))


def test_convolutions_that_are_not_for_the_kernel():
    x, w = numbers(2, 4, 6, 6), numbers(4, 2, 3, 3)
    compared(lambda x, w: F.conv2d(x, w, groups=2), x, w, rtol=1e-4, atol=1e-5,
             theirs=lambda x, w: torch.nn.functional.conv2d(x, w, groups=2))
    whole = numbers(4, 4, 3, 3)
    compared(lambda x, w: F.conv2d(x[0], w), x, whole, rtol=1e-4, atol=1e-5,
             theirs=lambda x, w: torch.nn.functional.conv2d(x[0], w))
    compared(lambda x, w: F.conv2d(x.transpose(2, 3), w), x, whole, rtol=1e-4, atol=1e-5,
             theirs=lambda x, w: torch.nn.functional.conv2d(x.transpose(2, 3), w))
    assert F.conv2d(tensor(x.astype(np.float64)), tensor(whole.astype(np.float64))).dtype is tinytorch.float64
    assert F.conv2d(tensor(x[:0]), tensor(whole)).shape == (0, 4, 4, 4)
    with pytest.raises(ValueError): F.conv2d(tensor(x), tensor(numbers(4, 3, 3, 3)))


def test_one_endless_pixel_is_seen_by_its_windows_only():
    x, w = numbers(1, 2, 8, 8), numbers(3, 2, 3, 3)
    x[0, 1, 4, 4] = np.inf
    found = F.conv2d(tensor(x), tensor(w), padding=1).numpy()
    want = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(w), padding=1).numpy()
    assert np.array_equal(np.isfinite(found), np.isfinite(want))


@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (1, 1, 2, 2), (2, 2, 5, 7), (3, 9, 33)], ids=str)
def test_max_pool(shape):
    ties = rng.integers(0, 3, shape).astype(np.float32)
    for x in (numbers(*shape), np.maximum(numbers(*shape), 0), ties):
        compared(lambda x: F.max_pool2d(x, 2), x, theirs=lambda x: torch.nn.functional.max_pool2d(x, 2))


def test_a_pool_with_nan():
    x = numbers(1, 1, 6, 6)
    x[0, 0, 2, 3] = np.nan
    compared(lambda x: F.max_pool2d(x, 2), x, theirs=lambda x: torch.nn.functional.max_pool2d(x, 2))


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (1, 2, 9), (7, 17, 3, 2), (2, 1, 1, 3)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(shape, training):
    C = shape[1]
    x, w, b, mean = numbers(*shape) * 2 + 5, numbers(C), numbers(C), numbers(C)
    var = np.float32(rng.random(C) + 0.5)

    def norm(torch):
        return lambda x, w, b: torch.nn.functional.batch_norm(
            x, torch.tensor(mean), torch.tensor(var), w, b, training=training)
    compared(norm(tinytorch), x, w, b, rtol=1e-3, atol=1e-4, theirs=norm(torch))


# ---------------------------------------------------------------------------------------------- recurrent

@pytest.mark.parametrize("settings", [{}, {"bias": False}, {"num_layers": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("batch", [3, 9, 33])
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_memories(name, batch, settings):
    theirs = getattr(torch.nn, name)(5, 7, **settings)
    ours = getattr(tinytorch.nn, name)(5, 7, **settings)
    ours.load_state_dict({key: tensor(x.detach().numpy()) for key, x in theirs.state_dict().items()})
    first = numbers(2, settings.get("num_layers", 1) * (1 + settings.get("bidirectional", False)), batch, 7)
    found, want = [both_ways(package, lambda x, h, c, net=net: net(x, (h, c) if name == "LSTM" else h)[0],
                             [numbers_of(1, 6, batch, 5), *first])
                   for package, net in ((tinytorch, ours), (torch, theirs))]
    agree(found, want, 1e-4, 1e-5)
    for mine, other in zip(ours.parameters(), theirs.parameters()):
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), 1e-3, 1e-5)


@pytest.mark.parametrize("lengths", [[5, 3, 1], [5, 5, 4, 4, 3, 3, 2, 2, 2, 1], [2] * 8], ids=str)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_sequences_of_several_lengths(name, both, lengths):
    theirs, ours = [getattr(package.nn, name)(4, 6, bidirectional=both) for package in (torch, tinytorch)]
    ours.load_state_dict({key: tensor(x.detach().numpy()) for key, x in theirs.state_dict().items()})
    x, told = numbers(max(lengths), len(lengths), 4), []
    for package, net in ((tinytorch, ours), (torch, theirs)):
        pack = package.nn.utils.rnn.pack_padded_sequence
        start = package.tensor(x).requires_grad_()
        out, last = net(pack(start, package.tensor(lengths)))
        states = last if name == "LSTM" else (last, last)
        ((out.data * out.data).sum() + states[0].pow(2).sum() + states[1].exp().sum()).backward()
        told.append([out.data.detach().numpy(), start.grad.numpy()])
    agree(*told, 1e-4, 1e-5)
    for mine, other in zip(ours.parameters(), theirs.parameters()):
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), 1e-3, 1e-5)


def test_a_memory_of_which_only_the_last_cell_is_asked():
    theirs, ours = [package.nn.LSTM(4, 6) for package in (torch, tinytorch)]
    ours.load_state_dict({key: tensor(x.detach().numpy()) for key, x in theirs.state_dict().items()})
    x, grads = numbers(3, 10, 4), []
    for package, net in ((tinytorch, ours), (torch, theirs)):
        start = package.tensor(x).requires_grad_()
        net(start)[1][1].sum().backward()
        grads.append(start.grad.numpy())
    np.testing.assert_allclose(*grads, 1e-4, 1e-6)


# ------------------------------------------------------------------------------------------------ drawing

DRAWN = {
    "coins": lambda torch, n: torch.empty(n).bernoulli_(0.3),
    "coins of doubles": lambda torch, n: torch.empty(n, dtype=torch.float64).bernoulli_(0.75),
    "no coins": lambda torch, n: torch.empty(n).bernoulli_(0.0),
    "all coins": lambda torch, n: torch.empty(n).bernoulli_(1.0),
    "singles": lambda torch, n: torch.rand(n),
    "doubles": lambda torch, n: torch.rand(n, dtype=torch.float64),
    "normals": lambda torch, n: torch.randn(n),
    "a dropout": lambda torch, n: torch.nn.functional.dropout(torch.ones(n), 0.1),
}


@pytest.mark.parametrize("n", [1, 255, 256, 623, 624, 625, 5000, 70001])
@pytest.mark.parametrize("name", DRAWN)
def test_a_seed_means_the_same_numbers(name, n):
    """Also for those who draw afterwards, with a kernel or without, and from the middle of the words."""
    told = []
    for package, which in ((tinytorch, "fast"), (tinytorch, "numpy"), (torch, "fast")):
        package.manual_seed(42)
        with use_kernels(which):
            found = [DRAWN[name](package, n), package.rand(3), DRAWN[name](package, n), package.rand(3)]
        told.append([x.numpy() for x in found])
    for fast, plain, theirs in zip(*told):
        assert np.array_equal(fast, plain)
        np.testing.assert_allclose(fast, theirs, 1e-5, 1e-6)


# ------------------------------------------------------------------------------------------------ the switch

@in_c
def test_kernels_are_on_where_there_is_a_compiler():
    assert {"c"} == {engine for _, device, engine, _ in kernels() if device == "cpu"}
    assert ("gelu", "cpu", "c", "back") in kernels() and ("Adam", "cpu", "c", "step") in kernels()


def test_with_numpy_there_are_none():
    with use_kernels("numpy"):
        assert [row for row in kernels() if row[1] == "cpu"] == []
        assert not DEVICE.kernels or all(KERNELS[op, "cuda"] for op in DEVICE.kernels)
    with pytest.raises(ValueError, match="'fast' or 'numpy'"): use_kernels("quick")


def test_the_switch_puts_back_what_was_there():
    before = dict(DEVICE.kernels)
    with use_kernels("numpy"): pass
    assert DEVICE.kernels.keys() == before.keys()


@in_c
def test_a_network_may_be_recorded_with_kernels_and_go_back_without():
    for first, second in (("fast", "numpy"), ("numpy", "fast")):
        x = tensor(numbers(3, 8), requires_grad=True)
        with use_kernels(first): loss = F.cross_entropy(F.gelu(F.layer_norm(x, (8,))), tensor([1, 2, 3]))
        with use_kernels(second): loss.backward()
        y = torch.tensor(x.detach().numpy(), requires_grad=True)
        G = torch.nn.functional
        G.cross_entropy(G.gelu(G.layer_norm(y, (8,))), torch.tensor([1, 2, 3])).backward()
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), 1e-4, 1e-6)


SAID = """
import os, sys
import tinytorch
print(os.path.exists(os.environ["TINYTORCH_CACHE"]), len(tinytorch.backends.kernels()))
x = tinytorch.ones(8, requires_grad=True)
tinytorch.nn.functional.gelu(x).sum().backward()
print(round(x.grad[0].item(), 4))
"""


def program(tmp_path, **variables):
    told = {"TINYTORCH_CACHE": str(tmp_path / "cache"), "TINYTORCH_KERNELS": "fast"}
    surroundings = {**os.environ, **told, **variables}
    command = [sys.executable, "-c", SAID]
    return subprocess.run(command, capture_output=True, text=True, env=surroundings, check=True)


@in_c
def test_nothing_is_compiled_before_it_is_needed_and_then_once(tmp_path):
    first, second = program(tmp_path), program(tmp_path)
    assert first.stdout.split()[0] == "False", "an import compiles nothing"
    assert "compiled in" in first.stderr and second.stderr == ""
    assert first.stdout.split()[-1] == second.stdout.split()[-1] == "1.0833"


@in_c
def test_where_numpy_is_asked_for_no_kernel_runs(tmp_path):
    told = program(tmp_path, TINYTORCH_KERNELS="numpy")
    assert told.stdout.split() == ["False", "0", "1.0833"] and told.stderr == ""


@in_c
def test_where_nobody_says_anything_kernels_run(tmp_path):
    assert "bends compiled in" in program(tmp_path, TINYTORCH_KERNELS="").stderr


def test_a_choice_that_there_is_not_is_refused():
    told = subprocess.run([sys.executable, "-c", "import tinytorch"], capture_output=True, text=True,
                          env={**os.environ, "TINYTORCH_KERNELS": "quick"}, check=False)
    assert told.returncode and "kernels are 'fast' or 'numpy', not 'quick'" in told.stderr


LOADED = """
import os, sys
import tinytorch
def loaded(): print(*[name for name in names.split() if f"tinytorch.{name}" in sys.modules])
names = "column compiling kernels tables c_bends c_rows c_steps c_integers"
loaded()
x = tinytorch.ones(8) + 1
loaded()
tinytorch.softmax(x, 0)
loaded()
from tinytorch.compression import int8_matmul
loaded()
q = tinytorch.ones(1, 8).to(tinytorch.int8)
int8_matmul(q, q)
loaded()
"""


@pytest.mark.parametrize("choice", ["fast", "numpy"])
def test_an_import_brings_the_switch_and_the_first_use_the_kernels(choice):
    told = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True,
                          env={**os.environ, "TINYTORCH_KERNELS": choice}).stdout.split("\n")
    brought = "column compiling kernels tables c_bends c_rows" if choice == "fast" else ""
    last = f"{brought} c_integers" if choice == "fast" else ""
    assert told[:5] == ["", "", brought, brought, last]


def test_the_switch_knows_which_ops_have_kernels():
    kernels()
    found = {op.name for table in (KERNELS, PULLS) for (op, device), some in table.items()
             if device == "cpu" and isinstance(op, Op) and any(one.engine == "c" for one in some)}
    assert found == set(WITH_KERNELS)


@in_c
def test_a_body_of_ones_own_is_asked_before_those_that_came_with_the_package():
    chosen = {**os.environ, "TINYTORCH_KERNELS": "fast"}
    told = subprocess.run([sys.executable, "-c", OWN], env=chosen, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["0.0", "0.0"]


OWN = """
import numpy as np
import tinytorch
from tinytorch.backends import kernel
@kernel(tinytorch.nn.functional.gelu)
def nothing(x, approximate="none"): return np.zeros_like(x)
for _ in range(2): print(tinytorch.nn.functional.gelu(tinytorch.ones(1)).item())
"""


def test_without_a_compiler_everything_is_numpy(tmp_path):
    told = program(tmp_path, CC="", PATH=str(tmp_path))
    assert told.stdout.split() == ["False", "0", "1.0833"] and told.stderr == ""


def test_a_compiler_that_fails_is_told_of_and_not_asked_again(tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no room left >&2; exit 1\n")
    broken.chmod(0o755)
    told = program(tmp_path, CC=str(broken))
    assert told.stdout.split()[-1] == "1.0833"
    assert told.stderr.count("no room left") == 1


@in_c
def test_a_library_that_came_ready_is_taken_if_it_is_of_this_source(tmp_path, monkeypatch):
    machine, *able = compiling.processor().split()
    levels = [one for one in compiling.LEVELS if machine in one.machines and {*one.able} <= {*able}]
    if not levels: pytest.skip("wheels bring nothing for this processor")
    monkeypatch.setattr(compiling, "READY", tmp_path / "ready")
    monkeypatch.setenv("TINYTORCH_CACHE", str(tmp_path / "cache"))
    mine, other = [compiling.Library("plus", walk("plus", "x", f"x + {n} * c")) for n in (1, 2)]
    ready = compiling.READY / compiling.ready_name("plus", mine._source, levels[0])
    compiling.build(compiler(), "plus", mine._source, ready, [levels[0].words])
    for library, want, made in ((mine, 11, 0), (other, 21, 1)):
        out = np.empty(1, np.float32)
        library.plus(out, np.ones(1, np.float32), 10.0)
        assert out == want and len(list(tmp_path.glob("cache/*"))) == made


def test_every_kernel_has_a_plain_body_to_fall_back_on():
    for table in (KERNELS, PULLS):
        for op, _ in table: assert isinstance(op, Op) or {"update", "__wrapped__"} & {*vars(op)}
    assert "numpy" in able() and repr(DECLINED) == "DECLINED"


def test_the_processor_is_known_by_pytorchs_word():
    assert tinytorch.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "NEON", "DEFAULT")
    theirs = torch.backends.cpu.get_cpu_capability()
    if theirs in ("AVX2", "AVX512"): assert tinytorch.backends.cpu.get_cpu_capability() == theirs


@in_c
@pytest.mark.parametrize(("m", "k", "n"), [
    (1, 1024, 1024), (3, 65, 7), (1, 1, 1), (0, 4, 2), (2, 0, 3), (17, 8, 8),
])
def test_bytes_are_multiplied_exactly(m, k, n):
    dice = np.random.default_rng(m + k)
    x, w = [dice.integers(-128, 128, shape).astype(np.int8) for shape in ((m, k), (n, k))]
    found = int8_matmul(tensor(x), tensor(w)).numpy()
    assert found.dtype == np.int32 and (found == x.astype(np.int64) @ w.T.astype(np.int64)).all()
