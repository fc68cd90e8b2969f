"""Lesson 06 against plain loops and NumPy in float64, on numbers that the lesson's checks do not use."""

import itertools

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, tensor
from tinytorch.spatial import (
    BatchNorm2d,
    Conv2d,
    LeNet5,
    avg_pool2d,
    batch_norm,
    conv2d,
    conv2d_loops,
    conv_flops,
    im2col,
    max_pool2d,
    out_length,
    standardize_channels,
    windows,
)

rng = np.random.default_rng(6)


def numbers(*shape): return rng.standard_normal(shape).astype(np.float32)


def convolved(x, w, b, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """A convolution in float64, one weight at a time: each meets a shifted picture."""
    x = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *[(p, p) for p in padding]])
    (O, C, kh, kw), (sh, sw), (dh, dw) = w.shape, stride, dilation
    H, W = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1, (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    out = np.zeros((len(x), O, H, W)) + b.astype(np.float64)[:, None, None]
    for o, c, i, j in np.ndindex(O, C, kh, kw):
        channel = o // (O // groups) * C + c
        part = x[:, channel, i * dh : i * dh + (H - 1) * sh + 1 : sh, j * dw : j * dw + (W - 1) * sw + 1 : sw]
        out[:, o] += w[o, c, i, j] * part
    return out


def test_a_window_fits_where_range_says_so():
    for n, k, s, p, d in itertools.product((5, 8, 13), (1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2)):
        places = len(range(0, n + 2 * p - d * (k - 1), s))
        told = f"a window of {k} in {n}, stride {s}, padding {p}, dilation {d}"
        assert out_length(n, k, s, p, d) == places, told


def test_the_loops_say_what_a_convolution_is():
    for stride in (1, 2, 3):
        x, w = numbers(2, 3, 7, 6).astype(np.float64), numbers(4, 3, 3, 2).astype(np.float64)
        want = convolved(x, w, np.zeros(4), (stride, stride))
        assert np.allclose(conv2d_loops(x, w, stride), want), \
            "the window times the kernel, summed over channels"


def test_windows_are_views_and_their_rows_are_a_matrix():
    x = numbers(2, 9, 8, 3)
    view = windows(x, (3, 2), (2, 1), (1, 3))
    assert np.shares_memory(view, x), "windows cost nothing"
    for n, i, j in np.ndindex(*view.shape[:3]):
        want = x[n, 2 * i : 2 * i + 3, j : j + 4 : 3]
        assert np.array_equal(view[n, i, j], want), "a window begins at its place, in steps of its dilation"
    assert np.array_equal(im2col(view), view.reshape(-1, 18)), "each window is a row"


SETTINGS = [
    dict(), dict(stride=2), dict(padding=1), dict(stride=(2, 1), padding=(0, 2)), dict(dilation=2, padding=2),
    dict(groups=2), dict(groups=2, stride=2, padding=1),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("channels", [2, 16])
def test_conv2d_is_a_convolution(settings, channels):
    groups = settings.get("groups", 1)
    x, w, b = numbers(3, channels, 11, 10), numbers(6, channels // groups, 3, 3), numbers(6)
    both = {k: (v, v) if isinstance(v, int) and k != "groups" else v for k, v in settings.items()}
    found = conv2d(Tensor(x), Tensor(w), Tensor(b), **settings)
    assert found.dtype is tinytorch.float32, "float32 stays float32"
    assert np.allclose(found.array, convolved(x, w, b, **both), rtol=1e-4, atol=1e-4), \
        "a window times a filter"


def test_a_large_batch_and_a_large_picture_are_cut_without_a_trace():
    for shape in ((40, 16, 20, 21), (1, 16, 130, 97), (200, 1, 28, 28)):
        x, w, b = numbers(*shape), numbers(5, shape[1], 3, 3), numbers(5)
        found = conv2d(Tensor(x), Tensor(w), Tensor(b), padding=1).array
        assert np.allclose(found, convolved(x, w, b, padding=(1, 1)), rtol=1e-4, atol=1e-4), \
            "slices fit together"
        assert np.array_equal(found, conv2d(Tensor(x), Tensor(w), Tensor(b), padding=1).array), \
            "memory is used again, results are not"


def test_what_does_not_fit_is_said():
    with pytest.raises(RuntimeError, match="3 channels meet filters for 4"):
        conv2d(Tensor(numbers(1, 3, 5, 5)), Tensor(numbers(2, 4, 3, 3)))
    with pytest.raises(RuntimeError, match="window"):
        conv2d(Tensor(numbers(1, 3, 2, 5)), Tensor(numbers(2, 3, 3, 3)))


def test_a_layer_counts_its_work():
    layer, x = Conv2d(8, 6, (3, 5), groups=2, bias=False), Tensor(numbers(2, 8, 9, 9))
    assert layer.weight.shape == (6, 4, 3, 5) and layer.bias is None, \
        "a filter sees the channels of its group"
    assert abs(layer.weight.array).max() <= 1 / np.sqrt(60), "first weights lie within 1 / sqrt(fan-in)"
    assert conv_flops(layer(x), x, layer.weight) == 2 * (2 * 6 * 7 * 5) * 60, \
        "two operations for each weight met"


def pooled(x, kernel, stride, padding, ceil, reduce):
    """Pools by plain loops."""
    def starts(n):
        if not ceil: return range(-padding, n + padding - kernel + 1, stride)
        need = -(-(n + 2 * padding - kernel) // stride) + 1             # as many as cover the line …
        return [s for s in range(-padding, n, stride)][:need]           # … each of which begins inside of it
    H, W = x.shape[2:]
    rows, columns = starts(H), starts(W)
    out = np.empty((*x.shape[:2], len(rows), len(columns)))
    for (i, a), (j, b) in itertools.product(enumerate(rows), enumerate(columns)):
        out[:, :, i, j] = reduce(x, a, b)
    return out


@pytest.mark.parametrize("kernel, stride, padding, ceil",
                         [(2, 2, 0, False), (3, 2, 1, False), (3, 1, 1, False), (2, 3, 0, False),
                          (3, 2, 0, True), (2, 2, 1, True)])
def test_pools_keep_the_largest_or_the_average(kernel, stride, padding, ceil):
    x = numbers(2, 3, 8, 7)

    def inside(x, a, b): return x[:, :, max(a, 0) : a + kernel, max(b, 0) : b + kernel]
    def largest(x, a, b): return inside(x, a, b).max((2, 3))
    def mean(x, a, b): return inside(x, a, b).mean((2, 3))

    found = max_pool2d(Tensor(x), kernel, stride, padding, ceil_mode=ceil)
    assert np.allclose(found.array, pooled(x, kernel, stride, padding, ceil, largest)), \
        "the largest of every window"
    found = avg_pool2d(Tensor(x), kernel, stride, padding, ceil, count_include_pad=False)
    assert np.allclose(found.array, pooled(x, kernel, stride, padding, ceil, mean), atol=1e-5), \
        "the average of every window"


def test_a_max_pool_knows_where():
    x = numbers(2, 3, 9, 8)
    values, places = max_pool2d(Tensor(x), 3, 2, 1, return_indices=True)
    there = np.take_along_axis(x.reshape(2, 3, -1), places.array.reshape(2, 3, -1), -1)
    assert np.array_equal(there, values.array.reshape(2, 3, -1)), "the number at the place is the largest"


def test_channels_come_to_one_scale():
    x = (5 + 3 * numbers(6, 4, 5, 3)).astype(np.float32)
    w, b = numbers(4), numbers(4)
    mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    want = (x - mean) / np.sqrt(var + 0.01) * w[:, None, None] + b[:, None, None]
    found = standardize_channels(Tensor(x), Tensor(w), Tensor(b), eps=0.01)
    assert np.allclose(found.array, want, atol=1e-4), "every channel has its own mean and variance"


def test_running_statistics_follow_the_batches_and_rule_at_work():
    norm, xs = BatchNorm2d(3, momentum=0.25), [Tensor(2 + numbers(4, 3, 2, 5)) for _ in range(3)]
    mean, var = np.zeros(3), np.ones(3)
    for x in xs:
        norm(x)
        mean = 0.75 * mean + 0.25 * x.array.mean((0, 2, 3))
        var = 0.75 * var + 0.25 * x.array.var((0, 2, 3), ddof=1)
    assert np.allclose(norm.running_mean.array, mean, atol=1e-5), "a quarter of each batch's mean comes in"
    assert np.allclose(norm.running_var.array, var, atol=1e-5), \
        "and of its variance, the one that divides by n - 1"
    want = (xs[0].array - mean[:, None, None]) / np.sqrt(var[:, None, None] + 1e-5)
    assert np.allclose(norm.eval()(xs[0]).array, want, atol=1e-4), "at work the batch has no say"
    with pytest.raises(ValueError, match="single number"):
        batch_norm(tensor([[1.0, 2.0]]), None, None, training=True)


def test_lenet_is_its_layers_one_after_the_other():
    net, x = LeNet5(), numbers(3, 1, 28, 28)
    p = {name: value.array for name, value in net.state_dict().items()}

    def halved(x): return x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).max((3, 5))
    h = halved(np.maximum(convolved(x, p["conv1.weight"], p["conv1.bias"], padding=(2, 2)), 0))
    h = halved(np.maximum(convolved(h, p["conv2.weight"], p["conv2.bias"]), 0)).reshape(3, -1)
    for name in ("fc1", "fc2", "fc3"):
        h = h @ p[f"{name}.weight"].T + p[f"{name}.bias"]
        if name != "fc3": h = np.maximum(h, 0)
    assert sum(value.size for value in p.values()) == 61_706, "LeNet-5 has 61,706 parameters"
    assert np.allclose(net(Tensor(x)).array, h, atol=1e-5), \
        "convolution, relu, pool, twice; then three dense layers"
