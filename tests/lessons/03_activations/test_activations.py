"""Lesson 03 against NumPy in float64, on numbers that the lesson's checks do not use."""

import math

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, tensor
from tinytorch.activations import collapsed, gelu, log_softmax, relu, sigmoid, softmax, tanh, xor

rng = np.random.default_rng(3)
BENDS = [relu, sigmoid, tanh, gelu]
LINES = [softmax, log_softmax]
names = {"ids": lambda op: op.name}


def numbers(*shape, scale=3.0): return (scale * rng.standard_normal(shape)).astype(np.float32)


def close(found, want, tolerance=2e-6):
    return np.allclose(found.array, want, rtol=tolerance, atol=tolerance)


def probabilities(x, dim):
    """Softmax in float64, the safe way."""
    x = np.exp(x.astype(np.float64) - x.max(dim, keepdims=True))
    return x / x.sum(dim, keepdims=True)


phi = np.vectorize(lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2))))


def test_two_linear_maps_are_one_linear_map():
    sizes = rng.integers(1, 7, (10, 4))
    for n, i, h, o in sizes:
        x, w1, b1, w2, b2 = (Tensor(numbers(*s)) for s in [(n, i), (i, h), (h,), (h, o), (o,)])
        w, b = collapsed(w1, b1, w2, b2)
        assert w.shape == (i, o) and b.shape == (o,), "one map from the inputs straight to the outputs"
        assert close(x @ w + b, ((x @ w1 + b1) @ w2 + b2).array, 1e-4), "x @ w + b is both maps in turn"


def test_relu_keeps_what_is_positive():
    x = numbers(4, 50)
    assert np.array_equal(relu(Tensor(x)).array, np.where(x > 0, x, 0)), "relu(x) is x where positive, else 0"


def test_relu_in_place_writes_over_its_input():
    x = Tensor(numbers(20))
    want = np.maximum(x.array, 0)
    view = x[5:]
    assert relu(x, inplace=True) is x, "in place means that the same tensor comes back"
    assert np.array_equal(view.array, want[5:]), "whoever looks at that memory sees the change"
    assert tensor([-1.0, 2.0]).relu_().tolist() == [0.0, 2.0], "a final underscore is the same thing"


def test_exactly_one_switch_is_found_in_any_order_of_the_rows():
    rows = rng.integers(0, 2, (40, 2))
    found = xor(Tensor(rows.astype(np.float32)))
    assert found.tolist() == (rows[:, 0] ^ rows[:, 1]).tolist(), "1 where one switch is on and one is off"


def test_sigmoid_is_right_wherever_it_can_be_written():
    x = np.concatenate([numbers(200), np.linspace(-80, 80, 33, dtype=np.float32)])
    assert close(sigmoid(Tensor(x)), 1 / (1 + np.exp(-x.astype(np.float64)))), "1 / (1 + exp(-x))"


def test_sigmoid_of_minus_x_is_one_minus_sigmoid_of_x():
    x = Tensor(numbers(100))
    assert close(sigmoid(-x), 1 - sigmoid(x).array), "the two ends of the switch mirror each other"


def test_sigmoid_stays_exact_far_to_the_left():
    x = -np.linspace(20, 80, 13)
    found = sigmoid(tensor(x.astype(np.float32))).array
    assert np.allclose(found / np.exp(x), 1, rtol=1e-5), "far to the left sigmoid(x) is exp(x), and not 0"


@pytest.mark.parametrize("op", [sigmoid, tanh, softmax, log_softmax], **names)
def test_the_stable_forms_never_overflow(op):
    x = np.array([-1e38, -750.0, -90.0, 0.0, 90.0, 750.0, 1e38], np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = op(Tensor(x), *([0] if op in LINES else []))
    assert np.isfinite(found.array).all(), "no infinity, no nan, and no overflow on the way"


def test_tanh_agrees_with_numpy():
    x = numbers(300)
    assert close(tanh(Tensor(x)), np.tanh(x.astype(np.float64))), "the hyperbolic tangent"


@pytest.mark.parametrize("shape, dim", [((7,), 0), ((3, 5), 0), ((3, 5), 1), ((2, 3, 4), 1), ((2, 3, 4), -3)])
def test_softmax_and_its_logarithm_agree_with_numpy_along_every_dim(shape, dim):
    x = numbers(*shape)
    want = probabilities(x, dim)
    assert close(softmax(Tensor(x), dim), want), "exp(x) over the sum of exp(x) along dim"
    assert close(log_softmax(Tensor(x), dim), np.log(want), 1e-5), "the natural logarithm of softmax"


def test_probabilities_add_up_to_one():
    x = Tensor(numbers(6, 9, scale=30))
    for dim in (0, 1):
        sums, logs = softmax(x, dim).array.sum(dim), log_softmax(x, dim).array
        assert np.allclose(sums, 1, atol=1e-6), "each line along dim adds up to 1"
        assert np.allclose(np.exp(logs).sum(dim), 1, atol=1e-5), "so do the probabilities behind the logs"


@pytest.mark.parametrize("shift", [-5e3, -100.0, 100.0, 5e3])
def test_a_shift_of_all_scores_changes_no_probability(shift):
    x = rng.integers(-8, 8, (4, 6)).astype(np.float32)          # the shift rounds nothing
    shifted, want = Tensor(x + np.float32(shift)), probabilities(x, 1)
    assert close(softmax(shifted, 1), want), "shift invariance: subtract the largest score of each line"
    assert close(log_softmax(shifted, 1), np.log(want), 1e-5), "shift invariance, for the logarithm too"


def test_each_line_is_shifted_by_its_own_maximum():
    x = rng.integers(-4, 4, (3, 5)).astype(np.float32) + np.array([[-3000], [0], [3000]], np.float32)
    assert close(softmax(Tensor(x), 1), probabilities(x, 1)), "each line has its own maximum"


def test_log_softmax_reaches_where_softmax_is_zero():
    x = rng.integers(-2000, 2000, (5, 4)).astype(np.float32)
    want = x - x.max(1, keepdims=True)                          # the others are e^-100 and less
    clear = np.sort(x, 1)[:, -1] - np.sort(x, 1)[:, -2] > 50
    found = log_softmax(Tensor(x), 1).array
    assert np.allclose(found[clear], want[clear], atol=1e-3), "never take log of a number rounded to 0"


def test_impossible_scores_have_probability_zero_and_impossible_rows_none_at_all():
    x = Tensor(np.array([[-np.inf, 1.0, 1.0], [-np.inf] * 3], np.float32))
    assert softmax(x, 1)[0].tolist() == [0.0, 0.5, 0.5], "a score of minus infinity has probability 0"
    assert np.isnan(softmax(x, 1)[1].array).all(), "where nothing is possible, nothing is known: nan"


def test_softmax_can_compute_in_another_dtype():
    x = numbers(3, 4)
    found = softmax(Tensor(x), 1, dtype=tinytorch.float64)
    assert found.dtype is tinytorch.float64, "dtype is what is computed in"
    assert np.allclose(found.array, probabilities(x, 1), rtol=1e-14), "converted before the exp, not after it"


@pytest.mark.parametrize("op", LINES, **names)
def test_softmax_wants_to_know_its_dim(op):
    with pytest.raises(TypeError): op(tensor([1.0, 2.0]), None)
    with pytest.raises(IndexError): op(tensor([1.0, 2.0]), 1)
    assert op(tensor(2.5), 0).shape == (), "a single number is one line of length 1"


def test_softmax_needs_the_memory_of_its_result_only():
    x = Tensor(numbers(300, 500))
    softmax(x, 1)
    assert tinytorch.peak_memory(lambda: softmax(x, 1)) < 1.5 * x.array.nbytes, "one array is enough"


def test_gelu_is_x_times_the_chance_to_be_below_x():
    x = numbers(300)
    assert close(gelu(Tensor(x)), x * phi(x.astype(np.float64))), "x * Phi(x), with the exact erf"


def test_gelu_by_tanh_is_the_older_formula():
    x = numbers(300)
    y = x.astype(np.float64)
    want = 0.5 * y * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
    assert close(gelu(Tensor(x), approximate="tanh"), want), "0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))"


def test_gelu_refuses_a_way_it_does_not_know():
    with pytest.raises(RuntimeError): gelu(tensor([1.0]), approximate="fast")


@pytest.mark.parametrize("op", BENDS + LINES, **names)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_keep_their_width(op, kind):
    found = op(Tensor(rng.standard_normal((2, 3)).astype(kind)), *([1] if op in LINES else []))
    assert found.array.dtype == kind, "a bend changes numbers, not their kind"


@pytest.mark.parametrize("op", BENDS + LINES, **names)
def test_no_input_is_ever_changed(op):
    x = numbers(8, 8)
    before = x.copy()
    for view in (Tensor(x), Tensor(x).T, Tensor(x)[::2], Tensor(x)[3]):
        op(view, *([0] if op in LINES else []))
        assert np.array_equal(x, before), "an op never changes its input"


@pytest.mark.parametrize("op", BENDS + LINES, **names)
def test_views_give_what_copies_give(op):
    x = Tensor(numbers(6, 8))
    dim = [0] if op in LINES else []
    for view in (x.T, x[::2, 1::3], x[2:3].expand(4, 8)):
        assert close(op(view, *dim), op(tensor(view), *dim).array, 1e-6), "the walk does not matter"


@pytest.mark.parametrize("op", BENDS + LINES, **names)
def test_what_is_no_number_stays_no_number(op):
    x = tensor([math.nan, 1.0])
    assert math.isnan(op(x, *([0] if op in LINES else []))[0].item()), "nan must not be hidden"
