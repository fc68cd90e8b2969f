"""Convolutions against PyTorch: every setting in one, two and three directions, values, shapes and errors."""
# ruff: noqa: E501      a line of the tables is a program

import numpy as np
import pytest

import tinytorch as tt

SHAPES = {1: (3, 4, 11), 2: (2, 4, 9, 8), 3: (2, 4, 6, 5, 7)}
RANDOM = np.random.default_rng(0)


def numbers(*shape): return RANDOM.standard_normal(shape)


ARRAYS = {
    **{f"x{n}": numbers(*shape) for n, shape in SHAPES.items()},
    **{f"w{n}": numbers(6, 4, *(3,) * n) for n in SHAPES},                  # all channels
    **{f"g{n}": numbers(6, 2, *(3,) * n) for n in SHAPES},                  # two groups
    **{f"o{n}": numbers(6, 4, *(1,) * n) for n in SHAPES},                  # one place
    **{f"e{n}": numbers(6, 4, *(2,) * n) for n in SHAPES},                  # even kernels
    **{f"d{n}": numbers(8, 1, *(3,) * n) for n in SHAPES},                  # every channel alone
    **{f"t{n}": numbers(4, 6, *(3,) * n) for n in SHAPES},                  # transposed
    **{f"s{n}": numbers(4, 3, *(2,) * n) for n in SHAPES},                  # transposed, two groups
    "b": numbers(6), "b8": numbers(8), "long": numbers(5, 24, 70), "wl": numbers(3, 24, 5),
    "big": numbers(3, 20, 40, 41), "wb": numbers(17, 20, 3, 3), "few": numbers(70, 1, 28, 28), "wf": numbers(6, 1, 5, 5),
}


def names(t):
    made = {k: t.tensor(v.astype(np.float64)) for k, v in ARRAYS.items()}
    return {**made, "F": t.nn.functional, "nn": t.nn}


EACH = """
F.conv{n}d(x{n}, w{n})
F.conv{n}d(x{n}, w{n}, b)
F.conv{n}d(x{n}, w{n}, bias=b, stride=2)
F.conv{n}d(x{n}, w{n}, None, 1, 1)
F.conv{n}d(x{n}, w{n}, b, stride=2, padding=1)
F.conv{n}d(x{n}, w{n}, b, stride=3, padding=2, dilation=2)
F.conv{n}d(x{n}, w{n}, b, padding='same')
F.conv{n}d(x{n}, e{n}, b, padding='same')
F.conv{n}d(x{n}, e{n}, b, padding='same', dilation=3)
F.conv{n}d(x{n}, w{n}, b, padding='valid')
F.conv{n}d(x{n}, w{n}, b, padding='same', stride=2)
F.conv{n}d(x{n}, w{n}, b, padding='round')
F.conv{n}d(x{n}, g{n}, b, 1, 1, 1, 2)
F.conv{n}d(x{n}, g{n}, b, 2, 0, 1, 2)
F.conv{n}d(x{n}, d{n}, b8, padding=1, groups=4)
F.conv{n}d(x{n}, d{n}, None, stride=2, padding=1, groups=4)
F.conv{n}d(x{n}, o{n}, b)
F.conv{n}d(x{n}, o{n}, b, stride=2)
F.conv{n}d(x{n}, o{n}, b, padding=1)
F.conv{n}d(x{n}[0], w{n}, b)
F.conv{n}d(x{n}[:0], w{n}, b)
F.conv{n}d(x{n}[:1], w{n}, b)
F.conv{n}d(x{n}.float(), w{n}.float(), b.float(), 2, 1)
F.conv{n}d(x{n}[..., ::2], w{n}, b, padding=1)
F.conv{n}d(x{n}, w{n}.flip(-1), b)
F.conv{n}d(x{n}, w{n}, b8)
F.conv{n}d(x{n}, w{n}.float())
F.conv{n}d(x{n}, g{n})
F.conv{n}d(x{n}, w{n}, groups=2)
F.conv{n}d(x{n}[..., :2], w{n})
F.conv{n}d(x{n}, w{n}, stride=0)
F.conv{n}d(x{n}, w{n}, padding=-1)
F.conv{n}d(x{n}, w{n}, b, stride=(1, 2, 1, 1))
t.conv{n}d(x{n}, w{n}, b)
F.conv_transpose{n}d(x{n}, t{n})
F.conv_transpose{n}d(x{n}, t{n}, b)
F.conv_transpose{n}d(x{n}, t{n}, b, 2)
F.conv_transpose{n}d(x{n}, t{n}, b, stride=2, padding=1)
F.conv_transpose{n}d(x{n}, t{n}, b, stride=2, padding=1, output_padding=1)
F.conv_transpose{n}d(x{n}, t{n}, b, stride=3, padding=2, output_padding=2, dilation=2)
F.conv_transpose{n}d(x{n}, t{n}, b, dilation=3, output_padding=2)
F.conv_transpose{n}d(x{n}, s{n}, b, 2, 0, 1, 2)
F.conv_transpose{n}d(x{n}, s{n}, None, 1, 1, 0, 2)
F.conv_transpose{n}d(x{n}[0], t{n}, b)
F.conv_transpose{n}d(x{n}[:0], t{n}, b)
F.conv_transpose{n}d(x{n}.float(), t{n}.float(), b.float(), 2, 1)
F.conv_transpose{n}d(x{n}, t{n}, b, output_padding=1)
F.conv_transpose{n}d(x{n}, t{n}, b8)
F.conv_transpose{n}d(x{n}, w{n})
F.conv_transpose{n}d(x{n}[..., :1], t{n}, padding=9)
t.conv_transpose{n}d(x{n}, t{n}, b)
nn.Conv{n}d(4, 6, 3)
nn.Conv{n}d(4, 6, 3, 2, 1, 1, 2, False)
nn.Conv{n}d(4, 6, 3, padding='same', dilation=2, padding_mode='reflect')
nn.Conv{n}d(4, 6, 3, padding='same', stride=2)
nn.Conv{n}d(4, 6, 3, padding='round')
nn.Conv{n}d(4, 6, 3, groups=3)
nn.Conv{n}d(4, 6, 3, groups=0)
nn.Conv{n}d(4, 6, 3, padding_mode='odd')
nn.ConvTranspose{n}d(4, 6, 3, 2, 1, 1)
nn.ConvTranspose{n}d(4, 6, 3, groups=2, dilation=2, bias=False)
nn.ConvTranspose{n}d(4, 6, 3, padding_mode='reflect')
[p.shape for p in nn.Conv{n}d(4, 6, 3, groups=2).parameters()]
[p.shape for p in nn.ConvTranspose{n}d(4, 6, 3, groups=2).parameters()]
list(nn.Conv{n}d(4, 6, 3).state_dict())
list(nn.Conv{n}d(4, 6, 3, bias=False).state_dict())
t.manual_seed(0); m = nn.Conv{n}d(4, 6, 3); [m.weight, m.bias]
t.manual_seed(0); m = nn.ConvTranspose{n}d(4, 6, 3, groups=2); [m.weight, m.bias]
t.manual_seed(0); nn.ConvTranspose{n}d(4, 6, 3, 2).double()(x{n}, output_size=[2 * k + 2 for k in x{n}.shape[2:]])
t.manual_seed(0); nn.ConvTranspose{n}d(4, 6, 3, 2).double()(x{n}, output_size=[9 * k for k in x{n}.shape[2:]])
"""

MODES = """
t.manual_seed(0); nn.Conv{n}d(4, 6, 3, padding=2, padding_mode='{mode}').double()(x{n})
t.manual_seed(0); nn.Conv{n}d(4, 6, 2, padding='same', padding_mode='{mode}').double()(x{n})
"""

SINGLE = """
F.conv1d(long, wl, padding=2)
F.conv2d(big, wb)
F.conv2d(big, wb, padding=1, stride=2)
F.conv2d(big.float(), wb.float(), padding=1)
F.conv2d(few, wf, padding=2)
F.conv2d(few, wf, padding=(2, 1), stride=(1, 2), dilation=(2, 1))
F.conv2d(x2, w2, b, stride=(2, 1), padding=(0, 2), dilation=(1, 2))
F.conv2d(x2, w2, b, padding=[1, 0])
F.conv2d(big.contiguous(memory_format=t.channels_last), wb, padding=1)
F.conv2d(big.contiguous(memory_format=t.channels_last), wb, padding=1).is_contiguous()
F.conv2d(big.contiguous(memory_format=t.channels_last), wb, padding=1).stride()
F.conv2d(big, wb).is_contiguous()
F.conv2d(x1, w1)
F.conv1d(x2, w1)
F.conv2d(x1, w2)
nn.Conv2d(1, 2, (3, 5), padding=(1, 2))(t.zeros(1, 1, 3, 5)).shape
"""

LINES = [line.format(n=n) for n in SHAPES for line in EACH.strip().splitlines()]
LINES += [line.format(n=n, mode=mode) for n in SHAPES for mode in ("reflect", "replicate", "circular", "zeros")
          for line in MODES.strip().splitlines()]
LINES += SINGLE.strip().splitlines()


@pytest.mark.parametrize("line", LINES)
def test_convolutions_agree(agree_as_layers, line):
    agree_as_layers(line, names)


def test_a_slice_may_be_rows_of_one_picture(agree_as_layers, monkeypatch):
    from tinytorch import lines, spatial
    for size in (1, 500, 5000, 1 << 30):
        for module in (spatial, lines): monkeypatch.setattr(module, "SLICE", size)
        for line in ("F.conv2d(big, wb, padding=1)", "F.conv2d(few, wf, stride=2)", "F.conv3d(x3, w3, b)"):
            agree_as_layers(line, names)


def test_errors_name_both_sides():
    x, w = tt.zeros(2, 3, 8, 8), tt.zeros(4, 5, 3, 3)
    with pytest.raises(RuntimeError, match=r"\(2, 3, 8, 8\).*\(4, 5, 3, 3\).*3 channels meet filters for 5"):
        tt.nn.functional.conv2d(x, w)
    with pytest.raises(RuntimeError, match=r"\(2, 2\).*less than a window"):
        tt.nn.functional.conv2d(x[..., :2, :2], w[:, :3])


def test_threads_do_not_share_their_rooms():
    from concurrent.futures import ThreadPoolExecutor
    F = tt.nn.functional
    xs = [tt.Tensor(RANDOM.standard_normal((8, 16, 12 + i % 3, 12))) for i in range(12)]
    w = tt.Tensor(RANDOM.standard_normal((8, 16, 3, 3)))
    alone = [F.conv2d(x, w, padding=1).array for x in xs]
    with ThreadPoolExecutor(4) as pool: together = list(pool.map(lambda x: F.conv2d(x, w, padding=1).array, xs))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together))


@pytest.mark.parametrize("ways, kernel, padding, dilation, few", [
    (1, (3,), (1,), (1,), 0), (1, (4,), (0,), (2,), 64), (2, (3, 3), (1, 1), (1, 1), 0), (2, (5, 2), (2, 0), (1, 1), 0),
    (2, (5, 5), (4, 4), (1, 1), 1000), (2, (3, 3), (2, 1), (2, 1), 0), (2, (1, 3), (0, 2), (1, 2), 64),
    (3, (2, 3, 3), (1, 1, 2), (1, 1, 1), 0), (3, (3, 1, 2), (2, 0, 1), (2, 1, 1), 1000)])
def test_pictures_may_stand_on_lines_whatever_their_margins(ways, kernel, padding, dilation, few, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference")
    from tinytorch import lines
    x, w, b = [RANDOM.standard_normal(s) for s in ((5, 3, *(8, 7, 6)[:ways]), (4, 3, *kernel), (4,))]
    run = getattr(torch.nn.functional, f"conv{ways}d")
    want = run(*map(torch.tensor, (x, w, b)), padding=padding, dilation=dilation).numpy()
    monkeypatch.setattr(lines, "FEW_WEIGHTS", few)
    for size in (1, 1000, 1 << 18):
        monkeypatch.setattr(lines, "SLICE", size)
        found = np.full_like(want, np.nan)
        lines.on_lines(x, w, b.reshape(-1, *(1,) * ways), [(p, p) for p in padding], dilation, found)
        np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-12)
