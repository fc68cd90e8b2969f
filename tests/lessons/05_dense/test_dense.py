"""Lesson 05 against NumPy in float64, on numbers that the lesson's checks do not use."""

import math
from itertools import pairwise

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, tensor
from tinytorch.dense import (
    MLP,
    Dropout,
    LayerNorm,
    Linear,
    binary_surprise,
    dense_cost,
    dropout,
    layer_norm,
    linear,
    mse_loss,
    standardize,
    surprise,
    through,
)

rng = np.random.default_rng(5)


def numbers(*shape, scale=1.0): return (scale * rng.standard_normal(shape)).astype(np.float32)


def close(found, want, tolerance=1e-5): return np.allclose(found.array, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("before", [(), (1,), (7,), (2, 3), (0,), (2, 0, 3)])
def test_linear_weighs_the_last_dimension(before):
    x, w, b = numbers(*before, 5), numbers(4, 5), numbers(4)
    found = linear(Tensor(x), Tensor(w), Tensor(b))
    assert found.shape == (*before, 4), "dimensions before the last stay as they are"
    assert close(found, x.astype(float) @ w.T.astype(float) + b), "x @ weight.T + bias"


def test_linear_takes_views():
    x, w, b = numbers(6, 4), numbers(3, 4), numbers(3)
    turned = Tensor(np.asfortranarray(x))
    assert close(linear(turned, Tensor(w), Tensor(b)), x @ w.T + b), \
        "how the numbers lie in memory does not matter"


def test_linear_says_both_sides_of_a_mismatch():
    with pytest.raises(tinytorch.ShapeError, match=r"\(4, 5\).*\(2, 3\)"):
        linear(Tensor(numbers(2, 3)), Tensor(numbers(4, 5)))


def test_a_layer_knows_its_parameters():
    layer = Linear(5, 7)
    assert [(name, tuple(p.shape)) for name, p in layer.named_parameters()] == [
        ("weight", (7, 5)),
        ("bias", (7,)),
    ], "a weight of (out, in), and a bias of (out)"
    assert repr(layer) == "Linear(in_features=5, out_features=7, bias=True)"


def test_a_seed_gives_the_same_layer_again():
    tinytorch.manual_seed(4)
    first = Linear(6, 5)
    tinytorch.manual_seed(4)
    again = Linear(6, 5)
    assert np.array_equal(first.weight.array, again.weight.array), \
        "the numbers come from the default generator"
    assert np.array_equal(first.bias.array, again.bias.array), "first the weight, then the bias"
    tinytorch.manual_seed(4)
    bound = 1 / math.sqrt(6)
    drawn = [tinytorch.empty(5, 6).uniform_(-bound, bound), tinytorch.empty(5).uniform_(-bound, bound)]
    assert np.array_equal(first.weight.array, drawn[0].array) and np.array_equal(
        first.bias.array, drawn[1].array
    ), "drawn evenly from -1/sqrt(in) to 1/sqrt(in), the weight before the bias"


@pytest.mark.parametrize("sizes", [(3, 2), (4, 6, 2), (5, 3, 3, 3, 1)])
def test_a_perceptron_bends_between_its_layers_and_not_behind(sizes):
    net, x = MLP(*sizes), numbers(9, sizes[0], scale=3)
    want = x.astype(float)
    for n, layer in enumerate(net.layers):
        want = want @ layer.weight.array.T.astype(float) + layer.bias.array
        if n < len(sizes) - 2: want = np.maximum(want, 0)
    assert close(net(Tensor(x)), want), "linear, relu, linear, relu, … linear"


def test_costs_are_those_of_the_parameters_that_are_there():
    for sizes in [(3, 2), (784, 256, 128, 10), (1, 1, 1, 1)]:
        count = sum(p.array.size for p in MLP(*sizes).parameters())
        assert dense_cost(1, *sizes).parameters == count, "every weight and every bias, once"
        one, ten = dense_cost(1, *sizes), dense_cost(10, *sizes)
        assert ten.flops == 10 * one.flops, "ten rows take ten times the operations"
        assert ten.bytes - one.bytes == 9 * 4 * sum(a + b for a, b in pairwise(sizes)), \
            "a row moves its inputs and outputs, the parameters move once"


def test_a_hidden_layer_draws_any_line_with_corners():
    xs = np.sort(rng.uniform(-5, 5, 12)).astype(np.float32)
    ys = numbers(12, scale=3)
    net = through(Tensor(xs), Tensor(ys))
    between = np.linspace(xs[0], xs[-1], 101, dtype=np.float32)
    found = net(Tensor(between.reshape(-1, 1)))
    assert close(found.reshape(-1), np.interp(between, xs, ys), 1e-3), "straight from each point to the next"
    assert [tuple(p.shape) for p in net.parameters()] == [(11, 1), (11,), (1, 11), (1,)], \
        "one hinge for each line"


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean(p):
    tinytorch.manual_seed(1)
    out = dropout(tinytorch.ones(200, 200), p).array
    assert abs((out == 0).mean() - p) < 0.02, "p is the share that is left out"
    assert np.allclose(out[out != 0], 1 / (1 - p)), "the others grow by 1 / (1 - p)"


def test_dropout_in_place_and_at_rest():
    x = tinytorch.ones(50)
    assert dropout(x, 0.5, training=False) is x, "a network in use leaves nothing out"
    assert dropout(x, 0.5, inplace=True) is x and (x.array == 0).any(), "in place the same tensor comes back"
    layer = Dropout(0.5)
    assert (layer(tinytorch.ones(100)).array == 0).any() and not (
        layer.eval()(tinytorch.ones(100)).array == 0
    ).any()
    with pytest.raises(ValueError, match=r"1\.5"): Dropout(1.5)


@pytest.mark.parametrize("shape, last", [((6, 8), 1), ((2, 3, 8), 1), ((2, 3, 8), 2), ((8,), 1), ((0, 8), 1)])
def test_standardize_moves_and_scales_each_example(shape, last):
    x = 2 + 3 * numbers(*shape)
    over, wide = tuple(range(-last, 0)), x.astype(float)
    want = (wide - wide.mean(over, keepdims=True)) / np.sqrt(wide.var(over, keepdims=True) + 1e-5)
    assert close(standardize(Tensor(x), last=last), want, 1e-4), \
        "less the mean, by the root of the variance and eps"
    w, b = numbers(*shape[-last:]), numbers(*shape[-last:])
    found = layer_norm(Tensor(x), shape[-last:], Tensor(w), Tensor(b))
    assert close(found, want * w + b, 1e-4), "then times the weight of each place, plus its bias"


def test_layer_norm_begins_as_a_mere_norm():
    layer, x = LayerNorm(8), numbers(5, 8, scale=10)
    assert close(layer(Tensor(x)), standardize(Tensor(x)).array), \
        "weights of 1 and biases of 0 change nothing"
    with pytest.raises(tinytorch.ShapeError, match=r"\(8,\).*\(5, 7\)"): layer(Tensor(numbers(5, 7)))


def test_norms_do_not_forget_digits_far_from_zero():
    x = (1000 + rng.standard_normal((4, 256))).astype(np.float32)
    wide = x.astype(float)
    want = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    assert close(standardize(Tensor(x)), want, 1e-3), "subtract the mean first, then square"


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mean_squared_error(reduction):
    x, y, w = numbers(4, 3), numbers(4, 3), np.abs(numbers(4, 3))
    squares = (x.astype(float) - y) ** 2
    make = {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction]
    assert close(mse_loss(Tensor(x), Tensor(y), reduction), make(squares)), f"the {reduction} of the squares"
    weighed = (squares * w).sum() / w.sum() if reduction == "mean" else make(squares * w)
    assert close(mse_loss(Tensor(x), Tensor(y), reduction, Tensor(w)), weighed), \
        "the weighted mean divides by weights"


def logs(x, dim):
    """log_softmax in float64."""
    x = x.astype(float)
    x = x - x.max(dim, keepdims=True)
    return x - np.log(np.exp(x).sum(dim, keepdims=True))


def test_surprise_is_minus_the_logarithm_of_the_right_probability():
    x, y = numbers(50, 7, scale=5), rng.integers(0, 7, 50)
    assert close(surprise(Tensor(x), tensor(y)), -logs(x, 1)[np.arange(50), y]), "-log softmax(x)[y]"
    assert close(surprise(Tensor(x), tensor(y)).mean(), -logs(x, 1)[np.arange(50), y].mean())


def test_surprise_over_pictures():
    x, y = numbers(2, 5, 3, 4), rng.integers(0, 5, (2, 3, 4))
    want = -np.take_along_axis(logs(x, 1), y[:, None], 1)[:, 0]
    found = surprise(Tensor(x), tensor(y))
    assert found.shape == (2, 3, 4) and close(found, want), "the classes are in dimension 1"


def test_surprise_at_a_single_label():
    x = numbers(6)
    found = surprise(Tensor(x), tensor(4))
    assert found.shape == () and close(found, -logs(x, 0)[4]), \
        "a line of scores has its classes in dimension 0"


def test_surprise_survives_large_scores():
    x, y = numbers(30, 4, scale=1e4), rng.integers(0, 4, 30)
    found = surprise(Tensor(x), tensor(y))
    assert np.isfinite(found.array).all() and close(found, -logs(x, 1)[np.arange(30), y], 1e-4), \
        "no overflow, no infinity"


def test_surprise_keeps_what_the_gradient_will_need():
    x, y = numbers(5, 3, scale=100), rng.integers(0, 3, 5)
    (log_total,) = surprise(Tensor(x), tensor(y)).kept
    assert np.allclose(np.exp(x - log_total), np.exp(logs(x, 1)), atol=1e-4), \
        "exp(x - kept) are the probabilities"


def test_labels_outside_of_the_classes_are_refused():
    x = Tensor(numbers(3, 4))
    with pytest.raises(IndexError, match="4 classes"): surprise(x, tensor([0, 4, 1]))
    with pytest.raises(tinytorch.ShapeError, match=r"\(3, 4\).*\(2,\)"): surprise(x, tensor([0, 1]))
    assert surprise(x, tensor([-100, 0, -100])).tolist()[::2] == [0.0, 0.0], "ignored labels surprise nobody"


def test_binary_surprise_in_double_precision():
    x, t = np.linspace(-30, 30, 61), rng.uniform(0, 1, 61)
    want = -t * np.log(1 / (1 + np.exp(-x))) - (1 - t) * np.log(1 / (1 + np.exp(x)))
    found = binary_surprise(tensor(x.astype(np.float32)), tensor(t.astype(np.float32)))
    assert close(found, want, 1e-5), "-t log sigmoid(x) - (1 - t) log sigmoid(-x)"
    with np.errstate(over="raise", invalid="raise"):
        far = binary_surprise(tensor([-1e4, 1e4]), tensor([1.0, 0.0]))
    assert far.tolist() == [1e4, 1e4], "sure and wrong costs the size of the score, without overflow"


def test_float32_stays_float32():
    x = Tensor(numbers(4, 5))
    yes, label = Tensor(np.ones((4, 5), np.float32)), tensor([0, 1, 2, 3])
    for out in (
        linear(x, x),
        dropout(x),
        standardize(x),
        mse_loss(x, yes),
        surprise(x, label),
        binary_surprise(x, yes),
    ):
        assert out.array.dtype == np.float32, "no float64 leaks in"
