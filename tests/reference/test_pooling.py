"""Pools against PyTorch: every setting in one, two and three directions, values, indices, shapes and errors."""
# ruff: noqa: E501      a line of the tables is a program

import numpy as np
import pytest

import tinytorch

RANDOM = np.random.default_rng(1)
SHAPES = {1: (3, 4, 11), 2: (2, 4, 9, 8), 3: (2, 3, 6, 5, 7)}
ARRAYS = {f"x{n}": RANDOM.standard_normal(shape) for n, shape in SHAPES.items()}
ARRAYS["ties"] = RANDOM.integers(0, 3, (2, 2, 6, 6)).astype(float)
ARRAYS["hole"] = np.where(RANDOM.random((2, 2, 6, 6)) < 0.2, np.nan, 1.0)
ARRAYS["low"] = np.full((1, 1, 4, 4), -np.inf)


def names(t): return {**{k: t.tensor(v) for k, v in ARRAYS.items()}, "F": t.nn.functional, "nn": t.nn}


EACH = """
F.max_pool{n}d(x{n}, 2)
F.max_pool{n}d(x{n}, 3, 2)
F.max_pool{n}d(x{n}, 3, 2, 1)
F.max_pool{n}d(x{n}, 3, stride=1, padding=1)
F.max_pool{n}d(x{n}, 2, 3)
F.max_pool{n}d(x{n}, 2, stride=1, dilation=2)
F.max_pool{n}d(x{n}, 3, 2, 1, 2)
F.max_pool{n}d(x{n}, 3, 2, ceil_mode=True)
F.max_pool{n}d(x{n}, 2, 3, 1, ceil_mode=True)
F.max_pool{n}d(x{n}, 2, 2, 1, 1, True)
F.max_pool{n}d(x{n}, 2, return_indices=True)
F.max_pool{n}d(x{n}, 3, 2, 1, return_indices=True)
F.max_pool{n}d(x{n}, 3, 2, 1, 2, return_indices=True)
F.max_pool{n}d(x{n}, 3, 2, ceil_mode=True, return_indices=True)
F.max_pool{n}d(x{n}, 2, 3, 1, ceil_mode=True, return_indices=True)
F.max_pool{n}d(x{n}[0], 2)
F.max_pool{n}d(x{n}[0], 2, return_indices=True)
F.max_pool{n}d(x{n}[:1], 1)
F.max_pool{n}d(x{n}.float(), 2)
F.max_pool{n}d(x{n}, 3, padding=2)
F.max_pool{n}d(x{n}[..., :1], 2)
F.max_pool{n}d(x{n}, 0)
F.max_pool{n}d(x{n}, 2, 0)
F.avg_pool{n}d(x{n}, 2)
F.avg_pool{n}d(x{n}, 3, 2)
F.avg_pool{n}d(x{n}, 3, 2, 1)
F.avg_pool{n}d(x{n}, 3, stride=2, padding=1, count_include_pad=False)
F.avg_pool{n}d(x{n}, 3, 2, ceil_mode=True)
F.avg_pool{n}d(x{n}, 3, 2, 1, True)
F.avg_pool{n}d(x{n}, 3, 2, 1, True, False)
F.avg_pool{n}d(x{n}, 2, 3, 1, True, False)
F.avg_pool{n}d(x{n}[0], 2)
F.avg_pool{n}d(x{n}.float(), 3, 1, 1)
F.avg_pool{n}d(x{n}, 3, padding=2)
F.avg_pool{n}d(x{n}[..., :1], 2)
F.adaptive_avg_pool{n}d(x{n}, 1)
F.adaptive_avg_pool{n}d(x{n}, 3)
F.adaptive_avg_pool{n}d(x{n}, 4)
F.adaptive_avg_pool{n}d(x{n}, 12)
F.adaptive_avg_pool{n}d(x{n}[0], 2)
F.adaptive_avg_pool{n}d(x{n}.float(), 1)
F.adaptive_max_pool{n}d(x{n}, 1)
F.adaptive_max_pool{n}d(x{n}, 3)
F.adaptive_max_pool{n}d(x{n}, 4, True)
F.adaptive_max_pool{n}d(x{n}, 12, return_indices=True)
F.adaptive_max_pool{n}d(x{n}[0], 2, return_indices=True)
F.adaptive_avg_pool{n}d(x{n}, (1, 2, 3, 4))
F.lp_pool{n}d(x{n}.abs(), 2, 2)
F.lp_pool{n}d(x{n}.abs(), 3.0, 3, 2)
F.lp_pool{n}d(x{n}.abs(), 1, 2, ceil_mode=True)
y, i = F.max_pool{n}d(x{n}, 2, return_indices=True); F.max_unpool{n}d(y, i, 2)
y, i = F.max_pool{n}d(x{n}, 2, return_indices=True); F.max_unpool{n}d(y, i, 2, output_size=x{n}.shape)
y, i = F.max_pool{n}d(x{n}, 3, 2, 1, return_indices=True); F.max_unpool{n}d(y, i, 3, 2, 1, output_size=x{n}.shape[2:])
y, i = F.max_pool{n}d(x{n}, 2, return_indices=True); F.max_unpool{n}d(y, i, 2, output_size=[99] * {n})
y, i = F.max_pool{n}d(x{n}[0], 2, return_indices=True); F.max_unpool{n}d(y, i, 2)
t.max_pool{n}d(x{n}, 2)
nn.MaxPool{n}d(3, 2, 1)
nn.MaxPool{n}d(3, ceil_mode=True)
nn.AvgPool{n}d(2)
nn.AvgPool{n}d(3, 2, 1, True, False)
nn.AdaptiveAvgPool{n}d(3)
nn.AdaptiveMaxPool{n}d(3)
nn.LPPool{n}d(2, 3, 2)
nn.MaxUnpool{n}d(3, 2, 1)
nn.MaxPool{n}d(3, 2, 1)(x{n})
nn.MaxPool{n}d(2, return_indices=True)(x{n})
nn.AvgPool{n}d(3, 2, 1, count_include_pad=False)(x{n})
nn.AdaptiveAvgPool{n}d(2)(x{n})
nn.AdaptiveMaxPool{n}d(2, return_indices=True)(x{n})
nn.LPPool{n}d(2, 2)(x{n}.abs())
y, i = nn.MaxPool{n}d(2, 2, return_indices=True)(x{n}); nn.MaxUnpool{n}d(2, 2)(y, i, output_size=x{n}.size())
"""

SINGLE = """
F.max_pool2d(ties, 2, return_indices=True)
F.max_pool2d(ties, 3, 2, 1, return_indices=True)
F.max_pool2d(hole, 2, return_indices=True)
F.max_pool2d(hole, 3, 1, 1)
F.max_pool2d(low, 2)
F.max_pool2d(x2, (2, 3), (1, 2), (1, 0))
F.max_pool2d(x2, kernel_size=[3, 2], stride=[2, 1], padding=[1, 1], return_indices=True)
F.max_pool2d(x2.transpose(2, 3), 2, return_indices=True)
F.max_pool2d(x2[:0], 2)
F.max_pool2d(t.arange(32).reshape(1, 2, 4, 4), 3, 1, 1)
F.avg_pool2d(x2[:0], 2)
F.avg_pool2d(x2, (2, 3), (1, 2), (1, 0))
F.avg_pool2d(x2, 3, divisor_override=2)
F.avg_pool2d(x2, 3, 2, 1, True, True, 5)
F.avg_pool2d(x2, 3, divisor_override=0)
F.avg_pool3d(x3, 2, divisor_override=3)
F.adaptive_avg_pool2d(x2, (None, 2))
F.adaptive_avg_pool2d(x2, (3, 1))
F.adaptive_max_pool2d(x2, (None, 3), return_indices=True)
F.adaptive_max_pool2d(hole, 2, return_indices=True)
F.adaptive_max_pool2d(ties, 4, return_indices=True)
F.adaptive_avg_pool2d(x2, (-1, 2))
nn.AdaptiveAvgPool2d((None, 3))
nn.AvgPool2d((2, 3), divisor_override=2)(x2)
nn.MaxPool2d((2, 3))
F.max_pool2d(x2, 2, 2, 0, 1, False, True)
F.max_pool2d(x2, (2, 2, 2))
"""

LINES = [line.format(n=n) for n in SHAPES for line in EACH.strip().splitlines()] + SINGLE.strip().splitlines()


@pytest.mark.parametrize("line", LINES)
def test_pools_agree(agree_as_layers, line):
    agree_as_layers(line, names)


# Who was largest, where it is not plain: of equals the first, of nans the last, -inf in a window that hangs over.
WINDOWS = ["2", "3, 1", "3, 2, 1", "2, 3", "2, 1, 1", "2, 2, 0, 2", "3, 2, 1, 2", "2, 2, 1, ceil_mode=True", "3, 3, 1, 1, True"]
EDGES = {
    "equals": np.floor(3 * RANDOM.random(504)),
    "all equal": np.zeros(504),
    "nothing but -inf": np.full(504, -np.inf),
    "some -inf": np.where(RANDOM.random(504) < 0.8, -np.inf, 1.0),
    "some nan": np.where(RANDOM.random(504) < 0.1, np.nan, np.floor(3 * RANDOM.random(504))),
    "inf and its like": RANDOM.choice([-np.inf, -0.0, 0.0, np.inf], 504),
}
POOLS = [f"F.max_pool{n}d(x, {window})" for n in SHAPES for window in WINDOWS]
POOLS += [f"F.adaptive_max_pool{n}d(x, {size})" for n in SHAPES for size in (1, 3, 4)]


@pytest.mark.parametrize("line", POOLS)
@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("beyond", [False, True], ids=["", "infinite gradients"])
def test_the_gradient_goes_to_who_was_largest(line, edge, beyond):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")
    x = EDGES[edge].reshape({"1": (4, 2, 63), "2": (4, 3, 6, 7), "3": (1, 2, 6, 7, 6)}[line[line.index("d(") - 1]])
    found = []
    for t in (torch, tinytorch):
        leaf = t.tensor(x).requires_grad_()
        out = eval(line, {"F": t.nn.functional, "x": leaf})
        g = np.cos(np.arange(out.numel())).reshape(tuple(out.shape))
        if beyond: g.flat[::5] = np.inf
        out.backward(t.tensor(g))
        found.append(leaf.grad.numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("line", [f"F.max_pool{n}d(x, {window})" for n in SHAPES for window in WINDOWS[:5]])
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_short_floats_are_handed_back_as_they_are(line, kind):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")
    found = []
    for t in (torch, tinytorch):
        leaf = t.tensor(ARRAYS[f"x{line[line.index('d(') - 1]}"]).to(getattr(t, kind)).requires_grad_()
        out = eval(line, {"F": t.nn.functional, "x": leaf})
        out.backward(t.ones_like(out))
        found.append(leaf.grad.float().numpy())
    np.testing.assert_array_equal(found[1], found[0])
