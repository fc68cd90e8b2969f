"""Memory that travels: NumPy, DLPack, PyTorch, pickle and copies."""

import copy
import pickle

import numpy as np
import pytest

import tinytorch as tt

KINDS = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@pytest.fixture
def x():
    return tt.tensor([[1.0, 4.0, 9.0], [16.0, 25.0, 36.0]])


def kinds_of(name):
    return tt.tensor([[0, 1, 2], [3, 4, 5]], dtype=getattr(tt, name))


# --------------------------------------------------------------------------------------------- NumPy

@pytest.mark.parametrize("kind", KINDS)
def test_an_array_shows_the_memory_of_a_tensor(kind):
    x = kinds_of(kind)
    array = np.asarray(x)
    assert array.dtype == kind and np.shares_memory(array, x.array)
    array[0, 0] = 1
    assert x[0, 0].item() == 1


def test_views_travel_with_their_strides(x):
    assert np.asarray(x.T).strides == x.T.array.strides
    assert np.shares_memory(np.asarray(x[:, ::2]), x.array)


def test_an_array_of_another_dtype_is_a_copy(x):
    assert np.asarray(x, np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(x), x.array)
    with pytest.raises(ValueError, match="copy"): np.array(x, np.float64, copy=False)


def test_who_wants_gradients_does_not_become_an_array(x):
    x.requires_grad_()
    for trial in (np.asarray, lambda x: np.concatenate([x, x]), np.from_dlpack):
        with pytest.raises((RuntimeError, BufferError), match="detach"): trial(x)


UNARY = """
absolute arccosh arcsinh arctan ceil conjugate cos cosh deg2rad degrees exp exp2 expm1 fabs floor isfinite
isinf isnan log log10 log1p log2 logical_not negative positive rad2deg radians reciprocal rint sign signbit
sin sinh sqrt square tan trunc
"""
BINARY = """
add arctan2 copysign divide equal float_power floor_divide fmax fmin fmod greater greater_equal heaviside
hypot less less_equal logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum mod multiply
nextafter not_equal power remainder subtract true_divide
"""


@pytest.mark.parametrize("name", UNARY.split())
def test_functions_of_numpy_run_our_op(x, name):
    ours, theirs = getattr(np, name)(x), getattr(np, name)(x.array)
    assert isinstance(ours, tt.Tensor)
    np.testing.assert_allclose(ours.array, theirs, rtol=1e-5)


@pytest.mark.parametrize("name", BINARY.split())
def test_functions_of_two_take_arrays_and_numbers_too(x, name):
    other = np.array([2.0, 3.0, 4.0], np.float32)
    for ours, theirs in [(getattr(np, name)(x, other), getattr(np, name)(x.array, other)),
                         (getattr(np, name)(other, x), getattr(np, name)(other, x.array)),
                         (getattr(np, name)(x, 2), getattr(np, name)(x.array, 2))]:
        assert isinstance(ours, tt.Tensor)
        np.testing.assert_allclose(ours.array, theirs, rtol=1e-5)


def test_whole_numbers_have_their_ops(x):
    i = tt.tensor([12, 7])
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift", "gcd", "lcm"):
        function = getattr(np, name)
        assert function(i, np.array([2, 3])).tolist() == function(i.array, np.array([2, 3])).tolist()
    assert np.invert(i).tolist() == [-13, -8]


def test_arrays_meet_tensors_as_tensors(x):
    array = np.ones(3, np.float32)
    for result in (array + x, x + array, array @ x.T, 2 * x, array < x, np.float32(2) * x, array / x):
        assert isinstance(result, tt.Tensor) and result.dtype in (tt.float32, tt.bool)


def test_functions_of_numpy_come_through_the_door(x):
    seen = []

    class Watching(tt.Engine):
        def run(self, op, inputs, settings):
            seen.append(op.name)
            return super().run(op, inputs, settings)

    with tt.using(Watching()): np.exp(np.add(np.ones(3), x))
    assert seen == ["add", "exp"]


def test_a_numpy_scalar_counts_as_a_python_number():
    assert (np.float64(2.5) * tt.tensor([1, 2])).dtype is tt.float32
    assert (np.int64(3) * tt.tensor([1], dtype=tt.uint8)).dtype is tt.uint8
    assert (tt.tensor([1, 2]) * np.float64(2.5)).dtype is tt.float32
    assert (tt.tensor([1.0]) + np.float64(0.1)).tolist() == (tt.tensor([1.0]) + 0.1).tolist()


def test_what_cannot_be_is_refused_in_a_sentence(x):
    with pytest.raises(TypeError, match="takes no out"): np.add(x, 1, out=np.empty((2, 3), np.float32))
    with pytest.raises(TypeError, match="takes no where"): np.add(x, 1, where=np.ones(3, bool))
    with pytest.raises(TypeError, match=r"np\.cbrt"): np.cbrt(x)
    array = np.ones((2, 3), np.float32)
    with pytest.raises(TypeError, match="takes no out"): array += x


def test_other_functions_of_numpy_take_tensors_for_arrays(x):
    assert np.concatenate([x, x]).shape == (4, 3)
    assert np.sum(x) == 91.0 and np.mean(x, axis=0).tolist() == [8.5, 14.5, 22.5]
    assert np.add.reduce(x).tolist() == [17.0, 29.0, 45.0]
    assert isinstance(np.where(x > 5, x, 0), np.ndarray) and np.allclose(x, x.array)
    assert np.stack((x[0], x[1])).tolist() == x.tolist()


# -------------------------------------------------------------------------------------------- DLPack

@pytest.mark.parametrize("kind", KINDS)
def test_numpy_takes_our_memory_and_gives_its_own(kind):
    x = kinds_of(kind)
    assert np.shares_memory(np.from_dlpack(x), x.array)
    array = x.array.copy()
    back = tt.from_dlpack(array)
    assert np.shares_memory(back.array, array) and back.dtype is x.dtype
    back[0, 0] = 1
    assert array[0, 0] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_pytorch_takes_our_memory_and_gives_its_own(kind):
    torch = pytest.importorskip("torch")
    x = kinds_of(kind).T
    theirs = torch.from_dlpack(x)
    assert theirs.stride() == x.stride() and str(theirs.dtype) == f"torch.{kind}"
    theirs[0, 1] = 7
    assert x[0, 1].item() == theirs[0, 1].item()
    ours = tt.from_dlpack(theirs)
    ours[2, 0] = 0
    assert theirs[2, 0].item() == 0 and ours.dtype is x.dtype


def test_pytorch_reads_tensors_as_data(x):
    torch = pytest.importorskip("torch")
    assert torch.as_tensor(x).tolist() == x.tolist() and torch.tensor(x).tolist() == x.tolist()
    assert torch.from_numpy(np.asarray(x)).data_ptr() == x.array.ctypes.data
    assert tt.tensor(torch.arange(3)).tolist() == [0, 1, 2] and tt.tensor(torch.ones(2)).dtype is tt.float32
    assert tt.tensor(torch.ones(2, dtype=torch.float64)).dtype is tt.float64


def test_our_own_tensors_pass_through(x):
    assert np.shares_memory(tt.from_dlpack(x).array, x.array)
    assert x.__dlpack_device__() == (1, 0)
    with pytest.raises(TypeError, match="list"): tt.from_dlpack([1, 2])


# ------------------------------------------------------------------------------------ pickle and copies

@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_brings_back_what_a_tensor_holds(x, protocol):
    x.requires_grad_()
    x.note = "mine"
    back = pickle.loads(pickle.dumps(x, protocol))
    assert back.tolist() == x.tolist() and back.requires_grad and back.note == "mine"


def test_a_pickled_view_takes_only_its_own_numbers():
    big = tt.zeros(1000, 1000)
    packed = pickle.dumps(big[0, :10])
    assert len(packed) < 1000 and pickle.loads(packed)._base is None


def test_ops_and_dtypes_are_pickled_by_name():
    assert pickle.loads(pickle.dumps((tt.exp, tt.float32))) == (tt.exp, tt.float32)


def test_a_copy_shares_and_a_deep_copy_does_not(x):
    x.requires_grad_()
    assert np.shares_memory(copy.copy(x).array, x.array)
    deep = copy.deepcopy({"x": x})["x"]
    assert deep.requires_grad and not np.shares_memory(deep.array, x.array)


def test_subclasses_stay_what_they_are():
    class Mine(tt.Tensor): pass
    back = copy.copy(Mine([1.0, 2.0]))
    assert type(back) is Mine and back.tolist() == [1.0, 2.0]


# ----------------------------------------------------------------------------------------- walking

def test_tensors_are_walked_row_by_row(x):
    rows = list(x)
    assert [row.tolist() for row in rows] == x.tolist() and np.shares_memory(rows[0].array, x.array)
    assert list(tt.zeros(0, 3)) == [] and [n.item() for n in tt.tensor([1, 2])] == [1, 2]
    first, second = x
    assert first.tolist() == [1.0, 4.0, 9.0] and second.tolist() == [16.0, 25.0, 36.0]
    with pytest.raises(TypeError, match="0-d"): iter(tt.tensor(1.0))
