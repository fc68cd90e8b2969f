"""Tensors from nothing, as PyTorch makes them."""

import numpy as np
import pytest

import tinytorch as tt


def names(t):
    return {"x": t.tensor([[1.5, -2.0, 3.0], [4.0, 5.5, -6.0]]), "i": t.tensor([[1, 2], [3, 4]]),
            "u": t.tensor([1, 2], dtype=t.uint8), "d": t.tensor([1.0], dtype=t.float64)}


CASES = """
t.zeros(2, 3)
t.zeros((2, 3))
t.zeros([2, 3])
t.zeros(size=(2, 3))
t.zeros(())
t.zeros(0, 3)
t.zeros(x.shape)
t.zeros(*x.shape)
t.zeros(t.tensor(2), 3)
t.zeros(2, dtype=t.int64)
t.zeros(2, dtype=bool)
t.zeros()
t.zeros(-1)
t.zeros(2.0)
t.zeros(None)
t.zeros(2, requires_grad=True).requires_grad
t.zeros(2, dtype=t.int32, requires_grad=True)
t.zeros(2, device="cpu").device.type
t.zeros(2, device="nowhere")
t.ones(2, 3)
t.ones(2, dtype=t.float16)
t.ones(3, dtype=t.bool)
t.empty(2, 3).shape
t.empty(2, 3).dtype
t.empty((0,))
t.full((2, 3), 7)
t.full((2,), 7.5)
t.full((2,), True)
t.full([2], 7, dtype=t.float64)
t.full((), 3)
t.full((2,), 2.7, dtype=t.int64)
t.full(2, 1.0)
t.full(size=(2,), fill_value=4)
t.full((2,), t.tensor(3))
t.full((2,), inf)
t.arange(5)
t.arange(5.0)
t.arange(2, 7)
t.arange(2, 7, 2)
t.arange(7, 2, -2)
t.arange(0, 1, 0.25)
t.arange(0, 1, 0.1)
t.arange(1.0, 4)
t.arange(0)
t.arange(5, 2)
t.arange(1, 2, 0)
t.arange(1, 2, -1)
t.arange(5, dtype=t.float32)
t.arange(5, dtype=t.uint8)
t.arange(t.tensor(3))
t.arange(end=4)
t.arange(start=1, end=4, step=2)
t.arange(-3, 3, 1.5)
t.linspace(0, 1, 5)
t.linspace(3, -3, 7)
t.linspace(0, 1, 1)
t.linspace(0, 1, 0)
t.linspace(0, 1, -1)
t.linspace(0, 10, 4, dtype=t.int64)
t.linspace(-10, 10, 8, dtype=t.int64)
t.linspace(0, 1, steps=3, dtype=t.float64)
t.linspace(t.tensor(0.0), t.tensor(1.0), 3)
t.logspace(0, 2, 3)
t.logspace(-1, 1, 5, base=2)
t.logspace(0, 1, 3, 2.0, dtype=t.float64)
t.eye(3)
t.eye(2, 3)
t.eye(3, 2, dtype=t.int64)
t.eye(0)
t.eye(-1)
t.scalar_tensor(3)
t.scalar_tensor(3, dtype=t.int64)
t.zeros_like(x)
t.zeros_like(i)
t.zeros_like(i, dtype=t.float32)
t.ones_like(u)
t.ones_like(x.T).stride()
t.empty_like(x).shape
t.full_like(x, 3)
t.full_like(i, 2)
t.full_like(i, 2.5)
t.full_like(i, 2.5, dtype=t.float32)
x.new_zeros(2, 3)
i.new_zeros((2, 3))
i.new_zeros(2, dtype=t.float32)
u.new_ones(2)
u.new_ones((2, 2), dtype=t.bool)
d.new_full((2,), 3)
u.new_full((2, 1), 3)
x.new_empty(2, 3).shape
x.new_empty((0,))
x.new_tensor([1, 2])
u.new_tensor([1, 2])
u.new_tensor([1.5, 2.5])
x.new_tensor([1, 2], dtype=t.int64)
t.as_tensor([1, 2])
t.as_tensor(3.5)
t.as_tensor([1, 2], dtype=t.float32)
t.as_tensor(x) is x
t.as_tensor(x, dtype=t.float32) is x
t.as_tensor(x, dtype=t.float64)
t.as_tensor(np.arange(3.0))
t.as_tensor(np.float32(3))
t.as_tensor(np.array([1, 2], np.int16))
t.asarray([1, 2])
t.asarray(x) is x
t.asarray(x, copy=True) is x
t.asarray(x, dtype=t.float64, copy=False)
t.asarray(np.arange(3))
t.from_numpy(np.arange(3))
t.from_numpy(np.array(["a"]))
t.from_numpy([1, 2])
t.frombuffer(bytearray(8), dtype=t.int32)
t.is_tensor(x)
t.is_tensor(3)
t.empty_strided((2, 3), (1, 2)).stride()
x.fill_(3)
i.fill_(2.7)
x.fill_(t.tensor(4))
x.fill_(t.tensor([4.0]))
x[0].fill_(1); x
t.fill(i, 3)
t.fill(x, t.tensor(2))
x.zero_()
x.T.zero_(); x
t.nn.functional.one_hot(t.tensor([0, 2]))
t.nn.functional.one_hot(t.tensor([[0], [1]]), 3)
t.nn.functional.one_hot(t.tensor([0, 2]), num_classes=2)
t.nn.functional.one_hot(t.tensor([-1, 2]))
t.nn.functional.one_hot(t.tensor([1.0]))
t.nn.functional.one_hot(t.tensor([1], dtype=t.int32))
t.nn.functional.one_hot(t.zeros(0, dtype=t.int64), 4)
t.nn.functional.one_hot(t.zeros(0, dtype=t.int64))
t.nn.functional.one_hot(t.tensor(1), 3)
t.is_floating_point(x)
i.is_floating_point()
u.is_signed()
i.is_signed()
t.tensor([True]).is_signed()
x.is_complex()
t.is_nonzero(t.tensor(0.0))
t.tensor([2]).is_nonzero()
x.is_nonzero()
t.set_default_dtype(t.float64); y = t.zeros(1), t.linspace(0, 1, 3); t.set_default_dtype(t.float32); y
t.hann_window(6)
t.hann_window(6, False)
t.hann_window(0)
t.hann_window(1)
t.hann_window(-1)
t.hamming_window(7)
t.hamming_window(7, False, 0.5, 0.3)
t.blackman_window(5, dtype=t.float64)
t.bartlett_window(6)
t.bartlett_window(6, periodic=False)
t.bartlett_window(2)
t.kaiser_window(6)
t.kaiser_window(6, False, 5.0)
o = t.zeros(2, 3); t.add(x, x, out=o); o
o = t.zeros(2, 3); t.add(x, x, out=o) is o
o = t.zeros(0); t.exp(x, out=o); o
o = t.zeros(2, 3, dtype=t.int64); t.add(x, x, out=o)
v, p = t.zeros(0), t.zeros(0, dtype=t.int64); t.max(x, 1, out=(v, p)); [v, p]
v, p = t.zeros(0), t.zeros(0, dtype=t.int64); t.sort(x, out=(v, p)); [v, p]
t.cat([x, x], out=t.zeros(4, 3))
t.sum(x, 0, out=t.zeros(3))
t.mean(x, 0, out=t.zeros(3))
t.clamp(x, 2, out=t.zeros(2, 3))
t.mm(x, x.T, out=t.zeros(2, 2))
t.addmm(t.ones(2, 2), x, x.T, out=t.zeros(2, 2))
t.add(x, x, out=None)
""".strip().splitlines()


@pytest.mark.parametrize("line", CASES)
def test_like_pytorch(line, agree):
    agree(line, names)


@pytest.mark.parametrize("start, step, n", [(0.0, 0.1, 11), (1.0, 1 / 3, 100), (-1e6, 0.5, 1000)])
def test_a_long_range_does_not_drift(start, step, n):
    found = tt.arange(start, start + step * (n - 0.5), step, dtype=tt.float64).numpy()
    assert np.array_equal(found, start + step * np.arange(n))


def test_memory_is_shared_where_nothing_has_to_change():
    array = np.arange(3.0)
    shared = [tt.from_numpy(array), tt.as_tensor(array), tt.asarray(array), tt.asarray(array, copy=False)]
    array[0] = 7.0
    assert [x[0].item() for x in shared] == [7.0] * 4
    assert not np.shares_memory(tt.tensor(array).array, array)
    assert not np.shares_memory(tt.asarray(array, copy=True).array, array)


def test_out_wants_room_for_the_whole_result():
    """PyTorch makes room, and warns that it will stop doing so."""
    import tinytorch as tt
    with pytest.raises(tt.ShapeError, match=r"\(3,\).*\(2, 2\)"): tt.add(tt.ones(2, 2), 1, out=tt.zeros(3))
