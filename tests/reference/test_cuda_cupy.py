"""CuPy itself, where it is installed: its views need no GPU, so that ours can be tried on its own arrays."""

import numpy as np
import pytest

import tinytorch as t

cupy = pytest.importorskip("cupy", reason="CuPy is not installed: pip install cupy-cuda13x")

VIEWS = ["x.T", "x.reshape(3, 2)", "x.view(6)", "x.T.reshape(1, 3, 2)", "x[1]", "x[:, 1:]",
         "x[None].expand(4, 2, 3)", "x.permute(1, 0)", "x.unfold(1, 2, 1)",
         "x.as_strided((2, 2), (3, 1), 1)", "x.unsqueeze(0).squeeze(0)",
         "x.split(2, 1)[0]", "x.unbind(0)[1]", "x.narrow(1, 0, 2)", "x.movedim(0, 1)", "x.detach()"]


@pytest.fixture
def x():
    """A tensor around an array of CuPy's, in memory of the CPU: good for looking, not for computing."""
    numbers = np.arange(6, dtype=np.float32)
    memory = cupy.cuda.UnownedMemory(numbers.ctypes.data, numbers.nbytes, numbers, 0)
    return t.Tensor(cupy.ndarray((2, 3), np.float32, cupy.cuda.MemoryPointer(memory, 0)))


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_the_same_memory_as_at_home(view, x):
    home = t.arange(6.0).reshape(2, 3)
    found, wanted = eval(view, {"x": x}), eval(view, {"x": home})
    assert type(found.array) is cupy.ndarray and found._base is x
    assert found.shape == wanted.shape and found.stride() == wanted.stride()
    assert found.storage_offset() == (wanted.data_ptr() - home.data_ptr()) // 4


def test_it_is_on_a_gpu_and_meets_nothing_else(x):
    assert str(x.device) == "cuda:0" and x.is_cuda and x.dtype is t.float32 and x.to(t.float32) is x
    with pytest.raises(RuntimeError, match="cuda:0 and cpu"): x + t.ones(2, 3)
    with pytest.raises(RuntimeError, match="cuda:0 and cpu"): x @ t.ones(3, 2)
    with pytest.raises(TypeError, match="cpu"): x.numpy()
