"""Every kernel gives what the plain forward and its rule give, and what PyTorch gives: on odd shapes, on
numbers that are not in order, on float64, on nan and infinity, and on nothing at all."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import tinytorch
from tinytorch import tensor
from tinytorch.backends import kernels, use_kernels
from tinytorch.column import DECLINED, KERNELS, PULLS
from tinytorch.compiling import compiler
from tinytorch.switch import DEVICE, able
from tinytorch.tensor import Op

F = tinytorch.nn.functional
rng = np.random.default_rng(13)
in_c = pytest.mark.skipif(compiler() is None, reason="there is no C compiler here")


@pytest.fixture(autouse=True)
def fast():
    with use_kernels("fast"): yield


def numbers(*shape): return rng.standard_normal(shape).astype(np.float32)
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


@in_c
def test_a_subclass_with_an_update_of_its_own_is_not_overruled():
    class Still(tinytorch.optim.SGD):
        def update(self, param, group): param.array += 1

    p = tinytorch.nn.Parameter(tensor([1.0]))
    p.grad = tensor([5.0])
    Still([p], lr=0.1).step()
    assert p.tolist() == [2.0]


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
    surroundings = {**os.environ, "TINYTORCH_CACHE": str(tmp_path / "cache"), **variables}
    command = [sys.executable, "-c", SAID]
    return subprocess.run(command, capture_output=True, text=True, env=surroundings, check=True)


@in_c
def test_nothing_is_compiled_before_it_is_needed_and_then_once(tmp_path):
    first, second = program(tmp_path), program(tmp_path)
    assert first.stdout.split()[0] == "False", "an import compiles nothing"
    assert "compiled in" in first.stderr and second.stderr == ""
    assert first.stdout.split()[-1] == second.stdout.split()[-1] == "1.0833"


@in_c
def test_one_variable_takes_all_kernels_away(tmp_path):
    told = program(tmp_path, TINYTORCH_KERNELS="numpy")
    assert told.stdout.split() == ["False", "0", "1.0833"] and told.stderr == ""


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


def test_every_kernel_has_a_plain_body_to_fall_back_on():
    for table in (KERNELS, PULLS):
        for op, _ in table: assert isinstance(op, Op) or "update" in vars(op)
    assert "numpy" in able() and repr(DECLINED) == "DECLINED"


def test_the_processor_is_known_by_pytorchs_word():
    assert tinytorch.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "NEON", "DEFAULT")
    theirs = torch.backends.cpu.get_cpu_capability()
    if theirs in ("AVX2", "AVX512"): assert tinytorch.backends.cpu.get_cpu_capability() == theirs
