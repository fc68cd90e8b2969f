"""Lesson 02 against NumPy and PyTorch: strides, views, meeting shapes, meeting dtypes, the door."""

import copy
import operator
import pickle
import threading

import hypothesis.extra.numpy as arrays_of
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinytorch
from tinytorch.tensor import boxed, contiguous_strides, position, runs, view_strides

torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
settings.register_profile("steady", deadline=None, max_examples=150, derandomize=True)
settings.load_profile("steady")


def both(array):
    """The same numbers as a tensor of ours and one of PyTorch's."""
    return tinytorch.tensor(array), torch.tensor(array)


def name_of(dtype) -> str: return str(dtype).split(".")[-1]


# ------------------------------------------------------------------------------------------ strides

@given(SHAPES)
def test_contiguous_strides_are_those_of_pytorch(shape):
    assert contiguous_strides(shape) == torch.empty(shape).stride()


@given(SHAPES.filter(lambda shape: 0 not in shape), st.data())
def test_position_finds_what_indexing_finds(shape, data):
    index = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    line = np.arange(int(np.prod(shape)))
    assert line[position(index, contiguous_strides(shape))] == line.reshape(shape)[index]


@st.composite
def walks(draw):
    """An array that was cut, turned and stretched about."""
    array = np.arange(np.prod(shape := draw(SHAPES), dtype=int), dtype=np.float32).reshape(shape)
    array = array[(*[slice(draw(st.integers(0, 1)), None, draw(st.integers(1, 2))) for _ in shape], ...)]
    array = array.transpose(draw(st.permutations(range(array.ndim))))
    return array[:, None] if array.ndim and draw(st.booleans()) else array


@st.composite
def reshapes(draw):
    """A walk and another shape for as many numbers."""
    array = draw(walks())
    left, shape = array.size, []
    while left > 1:
        divisors = [n for n in range(2, left + 1) if left % n == 0]
        shape.append(draw(st.sampled_from(divisors)))
        left //= shape[-1]
    if array.size == 0: shape = [0]
    for _ in range(draw(st.integers(0, 2))): shape.insert(draw(st.integers(0, len(shape))), 1)
    return array, tuple(shape)


@given(reshapes())
def test_view_strides_agree_with_pytorch_on_what_is_a_view(case):
    array, shape = case
    theirs = torch.from_numpy(array)
    try: expected = theirs.view(shape).stride()
    except RuntimeError: expected = None
    found = view_strides(array.shape, tinytorch.Tensor(array).stride(), shape)
    assert (found is None) == (expected is None)
    if found is not None and array.size:
        shown = np.lib.stride_tricks.as_strided(array, shape, [4 * step for step in found])
        assert np.array_equal(shown, array.reshape(shape))


@given(walks())
def test_runs_walk_the_same_numbers(array):
    pairs = runs(array.shape, tinytorch.Tensor(array).stride())
    if array.size:
        again = np.lib.stride_tricks.as_strided(array, [n for n, _ in pairs], [4 * step for _, step in pairs])
        assert np.array_equal(again.ravel(), array.ravel())


@given(reshapes())
def test_view_and_reshape_give_what_pytorch_gives(case):
    array, shape = case
    ours, theirs = tinytorch.Tensor(array), torch.from_numpy(array)
    assert np.array_equal(ours.reshape(shape).array, theirs.reshape(shape).numpy())
    try: expected = theirs.view(shape)
    except RuntimeError:
        with pytest.raises(tinytorch.ShapeError): ours.view(shape)
    else:
        assert np.array_equal(ours.view(shape).array, expected.numpy())
        assert array.size == 0 or np.shares_memory(ours.view(shape).array, array)


@given(walks())
def test_stride_offset_and_contiguity_are_pytorchs(array):
    ours, theirs = tinytorch.Tensor(array), torch.from_numpy(array)
    assert ours.is_contiguous() == theirs.is_contiguous()
    if array.size: assert ours.stride() == theirs.stride()


# ----------------------------------------------------------------------------------- meeting shapes

@given(arrays_of.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, max_side=4))
def test_shapes_meet_as_in_pytorch(case):
    assert tinytorch.broadcast_shapes(*case.input_shapes) == tuple(torch.broadcast_shapes(*case.input_shapes))


@given(SHAPES, SHAPES)
def test_shapes_that_do_not_meet_in_numpy_do_not_meet_here(one, other):
    try: expected = np.broadcast_shapes(one, other)
    except ValueError:
        with pytest.raises(tinytorch.ShapeError): tinytorch.broadcast_shapes(one, other)
        with pytest.raises(RuntimeError): tinytorch.Tensor(np.zeros(one)) + tinytorch.Tensor(np.zeros(other))
    else:
        assert tinytorch.broadcast_shapes(one, other) == expected
        assert (tinytorch.Tensor(np.zeros(one)) + tinytorch.Tensor(np.zeros(other))).shape == expected


# ----------------------------------------------------------------------------------- meeting dtypes

@pytest.mark.parametrize("one", DTYPES)
@pytest.mark.parametrize("other", DTYPES)
def test_two_dtypes_promote_as_in_pytorch(one, other):
    ours = tinytorch.promote_types(getattr(tinytorch, one), getattr(tinytorch, other))
    assert ours.name == name_of(torch.promote_types(getattr(torch, one), getattr(torch, other)))


OPERANDS = st.one_of(
    st.tuples(st.sampled_from(DTYPES), st.sampled_from([(), (2,)])),
    st.sampled_from([True, 1, 0.5]),
)


@given(OPERANDS, OPERANDS)
def test_operands_of_every_rank_meet_in_pytorchs_dtype(one, other):
    pairs = [(x, x) if not isinstance(x, tuple) else
             (tinytorch.Tensor(np.ones(x[1], x[0])), torch.ones(x[1], dtype=getattr(torch, x[0])))
             for x in (one, other)]
    if not any(isinstance(x, tuple) for x in (one, other)): return
    ours, theirs = zip(*pairs)
    assert tinytorch.result_type(*ours).name == name_of(torch.result_type(*theirs))
    for sign in (operator.add, operator.mul, operator.truediv):
        assert sign(*ours).dtype.name == name_of(sign(*theirs).dtype)


def test_unsigned_and_signed_64_bit_integers_have_nothing_in_common():
    with pytest.raises(RuntimeError, match="no integer type in common"):
        tinytorch.promote_types(tinytorch.uint64, tinytorch.int64)


# --------------------------------------------------------------------------------- ops of the lesson

FLOATS = arrays_of.arrays(np.float32, arrays_of.array_shapes(max_dims=3, max_side=4),
                          elements=st.floats(-100, 100, width=32))


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")     # PyTorch's, for a single number
@given(FLOATS, st.booleans(), st.data())
def test_reductions_agree_with_pytorch(array, keepdim, data):
    ours, theirs = both(array)
    dim = data.draw(st.one_of(st.none(), st.integers(-array.ndim, array.ndim - 1)))
    for name in ("sum", "mean", "var"):
        mine = getattr(ours, name)(dim, keepdim=keepdim) if dim is not None else getattr(ours, name)()
        other = getattr(theirs, name)(dim, keepdim=keepdim) if dim is not None else getattr(theirs, name)()
        assert mine.shape == tuple(other.shape) and mine.dtype.name == name_of(other.dtype)
        assert np.allclose(mine.array, other.numpy(), rtol=1e-4, atol=1e-3, equal_nan=True), name


MATRICES = [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((5, 2, 3), (3, 4)),
            ((5, 1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3))]


@pytest.mark.parametrize(("one", "other"), MATRICES)
def test_matmul_agrees_with_pytorch(one, other):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=one).astype(np.float32), rng.normal(size=other).astype(np.float32)
    ours, theirs = tinytorch.tensor(x) @ tinytorch.tensor(y), torch.tensor(x) @ torch.tensor(y)
    assert ours.shape == tuple(theirs.shape)
    assert np.allclose(ours.array, theirs.numpy(), atol=1e-6)


@pytest.mark.parametrize(("one", "other"), [((2, 3), (2, 3)), ((), (3,)), ((2, 3, 4), (5, 2)), ((3,), (4,))])
def test_matmul_refuses_what_pytorch_refuses_and_says_both_sides(one, other):
    with pytest.raises(RuntimeError): torch.ones(one) @ torch.ones(other)
    with pytest.raises(RuntimeError, match=r"matmul cannot take .* and "):
        tinytorch.Tensor(np.ones(one, np.float32)) @ tinytorch.Tensor(np.ones(other, np.float32))


def test_mean_of_whole_numbers_is_refused_as_in_pytorch():
    with pytest.raises(RuntimeError): torch.tensor([1, 2]).mean()
    with pytest.raises(RuntimeError, match="dtype="): tinytorch.tensor([1, 2]).mean()
    assert tinytorch.tensor([1, 2]).mean(dtype=tinytorch.float64).item() == 1.5


def test_a_dimension_out_of_range_is_an_index_error():
    for call in (lambda x: x.sum(2), lambda x: x.mean(-3), lambda x: x.transpose(0, 5), lambda x: x[5]):
        with pytest.raises(IndexError): call(torch.ones(2, 2))
        with pytest.raises(IndexError): call(tinytorch.Tensor(2, 2))


@pytest.mark.parametrize("data", [3, 2.5, True, [1, 2], [1.0, 2], [[True, False]], [], [[1, 2.5]],
                                  np.ones(2), np.float32(2), np.int16([1]), [[[]]]])
def test_tensor_infers_the_dtype_that_pytorch_infers(data):
    ours, theirs = tinytorch.tensor(data), torch.tensor(data)
    assert (ours.dtype.name, tuple(ours.shape)) == (name_of(theirs.dtype), tuple(theirs.shape))


def test_tensor_copies_and_the_constructor_does_not():
    array = np.zeros(3, np.float32)
    shown, copied = tinytorch.Tensor(array), tinytorch.tensor(array)
    array[0] = 1
    assert shown[0].item() == 1 and copied[0].item() == 0


def test_the_old_constructor_makes_floats_or_room():
    assert tinytorch.Tensor([1, 2]).dtype is tinytorch.float32
    assert tinytorch.Tensor(2, 3).shape == (2, 3)
    assert tinytorch.Tensor().shape == (0,)


# ------------------------------------------------------------------------------- memory and versions

def test_everyone_who_shares_memory_sees_a_change_and_counts_it():
    ours, theirs = tinytorch.zeros(2, 3), torch.zeros(2, 3)
    for x in (ours, theirs):
        x.t()[0, 1] = 5
        x[1].mul_(2)
        x[0, 0].add_(7)
    assert ours.tolist() == theirs.tolist()
    assert ours._version == theirs._version == ours.view(-1)._version


def test_in_place_refuses_a_wider_kind_or_another_shape_as_pytorch_does():
    for call in (lambda t: t.tensor([1, 2]).add_(0.5), lambda t: t.ones(2).add_(t.ones(3, 2))):
        for library in (torch, tinytorch):
            with pytest.raises(RuntimeError): call(library)


def test_a_tensor_survives_pickle_and_deepcopy():
    x = tinytorch.tensor([[1.0, 2.0]], requires_grad=True)
    for again in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert again.tolist() == x.tolist() and again.requires_grad and again.dtype is tinytorch.float32
        assert not np.shares_memory(again.array, x.array)
    assert pickle.loads(pickle.dumps(tinytorch.add)) is tinytorch.add


# -------------------------------------------------------------------------------------------- the door

class Counting(tinytorch.Engine):
    def __init__(self, inner): self.inner, self.calls = inner, []

    def run(self, op, inputs, settings):
        self.calls.append(op.name)
        return self.inner.run(op, inputs, settings)


def test_an_engine_around_an_engine_sees_every_op():
    x = tinytorch.tensor([[1.0, 2.0], [3.0, 4.0]])
    with tinytorch.using(Counting(tinytorch.current_engine())) as engine:
        (x @ x + 1).sum(0)
    assert engine.calls == ["matmul", "add", "sum"]
    assert tinytorch.current_engine() is not engine


def test_a_thread_does_not_see_the_engine_of_another():
    seen = []
    with tinytorch.using(Counting(tinytorch.Engine())) as engine:
        thread = threading.Thread(target=lambda: seen.append(tinytorch.current_engine()))
        thread.start()
        thread.join()
    assert seen and seen[0] is not engine


def test_the_engine_is_put_back_after_an_error():
    before = tinytorch.current_engine()
    with pytest.raises(KeyError), tinytorch.using(tinytorch.Engine()): raise KeyError
    assert tinytorch.current_engine() is before


def test_an_op_takes_settings_by_position_by_name_and_in_numpys_words():
    x = tinytorch.tensor([[1.0, 2.0], [3.0, 4.0]])
    expected = [[3.0], [7.0]]
    for found in (x.sum(1, True), x.sum(dim=1, keepdim=True), x.sum(axis=1, keepdims=True),
                  tinytorch.sum(input=x, dim=1, keepdim=True)):
        assert found.tolist() == expected
    assert tinytorch.cat(tensors=[x, x], axis=1).shape == (2, 4)
    with pytest.raises(TypeError, match="too many"): x.exp(1, 2, 3)
    with pytest.raises(TypeError): x.sum(dimension=1)


def test_what_a_forward_keeps_travels_with_its_output():
    op = tinytorch.Op(lambda input, /: tinytorch.Kept(input * 2, "a mask"))
    out = op(tinytorch.tensor([1.0]))
    assert out.tolist() == [2.0] and out.kept == ("a mask",)
    assert boxed(op, (), (np.ones(2), np.zeros(1)))[1].tolist() == [0.0]


def test_arithmetic_gives_infinities_without_warnings():
    x = tinytorch.tensor([0.0, -1.0])
    assert (1 / x).tolist()[0] == float("inf") and np.isnan(x.log().array[1])


def test_a_method_that_nobody_built_is_an_attribute_error_with_a_guess():
    with pytest.raises(AttributeError, match="Did you mean 'exp'"): tinytorch.tensor(1.0).expp()
