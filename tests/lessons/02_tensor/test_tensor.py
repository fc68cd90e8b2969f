"""Lesson 02 against NumPy, on shapes and numbers that the lesson's checks do not use."""

import itertools
import math
import threading

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import tinytorch
from tinytorch import Engine, Kept, Op, ShapeError, Tensor, floating, pointwise, sharing, tensor
from tinytorch.tensor import (
    broadcast_shapes,
    contiguous_strides,
    current_engine,
    outranks,
    position,
    promote_types,
    result_type,
    runs,
    set_default_engine,
    using,
    view_strides,
)

rng = np.random.default_rng(2)
BOOL, U8, I8, I16 = tinytorch.bool, tinytorch.uint8, tinytorch.int8, tinytorch.int16
I32, I64, F16, F32, F64 = (getattr(tinytorch, n) for n in ("int32", "int64", "float16", "float32", "float64"))


def numbers(*shape): return rng.standard_normal(shape).astype(np.float32)


def random_walk():
    """An array whose walk through memory is anything that slices, transposes and new axes can make."""
    shape = tuple(rng.integers(1, 5, rng.integers(0, 5)))
    array = np.arange(math.prod(shape)).reshape(shape)
    array = array.transpose(rng.permutation(array.ndim))
    array = array[*[slice(rng.integers(0, 2), None, rng.integers(1, 3)) for _ in array.shape], ...]
    return array[None] if rng.random() < 0.2 else array


WALKS = [random_walk() for _ in range(300)]
FULL = [walk for walk in WALKS if walk.size]


def steps(array): return tuple(s // array.itemsize for s in array.strides)


# ----------------------------------------------------------------------------------------------- walks

def test_an_index_leads_to_the_number_that_numpy_finds_there():
    line = rng.permutation(400)
    for shape, stride in [((3, 4, 5), (40, 9, 2)), ((6, 6), (1, 6)), ((4,), (17,)), ((), ())]:
        window = as_strided(line, shape, [8 * s for s in stride])
        for index in itertools.product(*map(range, shape)):
            assert line[position(index, stride)] == window[index], "each index times its own step, added up"


@pytest.mark.parametrize("shape", [(7,), (4, 5), (2, 3, 5, 7), (1, 6), (6, 1), (3, 0, 2), (0,), ()])
def test_a_fresh_tensor_has_the_steps_of_rows_laid_out_in_order(shape):
    want = steps(np.empty([max(n, 1) for n in shape], np.int8))
    assert contiguous_strides(shape) == want, "a step skips everything behind its dimension"
    assert isinstance(contiguous_strides(shape), tuple), "strides are a tuple, as shapes are"


def test_strides_count_numbers_and_not_bytes():
    for kind in (np.int8, np.float16, np.float32, np.float64):
        array = np.zeros((4, 6, 3), kind)[::2, 1:].transpose(2, 0, 1)
        assert Tensor(array).stride() == (1, 36, 3), "steps are the same for every size of number"
        assert [Tensor(array).stride(d) for d in (0, 1, -1)] == [1, 36, 3], "stride(dim) is one of them"


def test_contiguous_is_what_numpy_calls_contiguous():
    for walk in WALKS:
        assert Tensor(walk).is_contiguous() == walk.flags.c_contiguous, \
            f"{walk.shape} walked by {steps(walk)}"


def test_runs_walk_the_same_memory_in_the_same_order():
    for walk in WALKS:
        found = runs(walk.shape, steps(walk))
        lengths, strides = [n for n, _ in found], [s for _, s in found]
        assert walked(lengths, strides) == walked(walk.shape, steps(walk)), "the same steps in the same order"
        assert 1 not in lengths, "a dimension of length 1 belongs to no run"
        for (_, outer), (length, inner) in itertools.pairwise(found):
            assert outer != length * inner, "neighbours that continue each other are one run"


def walked(shape, stride): return [position(index, stride) for index in np.ndindex(*shape)]


def divisions(n):
    """Shapes that hold n numbers."""
    some = [(n,), (1, n), (n, 1)]
    some += [(a, n // a) for a in range(2, n) if n % a == 0]
    some += [(a, b, n // a // b) for a in range(2, n) for b in range(1, n) if n % (a * b) == 0]
    return some


def test_a_new_shape_is_a_view_exactly_where_numpy_need_not_copy():
    views = 0
    for walk in FULL:
        for new in divisions(walk.size)[:12]:
            found, shown = view_strides(walk.shape, steps(walk), new), walk.reshape(new)
            shared = np.shares_memory(walk, shown)
            assert (found is not None) == shared, f"{walk.shape} walked by {steps(walk)}, as {new}"
            if shared:
                views += 1
                assert walked(new, found) == walked(walk.shape, steps(walk)), "the same numbers, in order"
    assert views > 100, "many of these are views"


def test_an_empty_tensor_can_take_any_empty_shape():
    assert view_strides((0, 3), (3, 1), (2, 0)) is not None, "where nothing lies, nothing has to move"


# ---------------------------------------------------------------------------------------- shapes meet

SHAPES = [tuple(rng.choice([1, 1, 2, 3, 0], rng.integers(0, 4))) for _ in range(40)]


def test_shapes_meet_where_numpy_lets_them_meet():
    for shapes in [*itertools.product(SHAPES, SHAPES), *zip(SHAPES, SHAPES[7:], SHAPES[19:])]:
        shapes = [tuple(map(int, s)) for s in shapes]
        try: want = np.broadcast_shapes(*shapes)
        except ValueError: want = None
        if want is None:
            with pytest.raises(ShapeError): broadcast_shapes(*shapes)
        else:
            assert broadcast_shapes(*shapes) == want, f"{shapes} are lined up at their ends"


def test_nothing_meets_in_the_shape_of_a_single_number():
    assert broadcast_shapes() == () and broadcast_shapes((), ()) == (), "no dimension, no length"


# ---------------------------------------------------------------------------------------- dtypes meet

# PyTorch's table; the rest follows from symmetry
MEET = [
    (BOOL, BOOL, BOOL), (BOOL, U8, U8), (BOOL, I64, I64), (BOOL, F16, F16), (U8, I8, I16), (U8, I16, I16),
    (U8, I64, I64), (I8, I16, I16), (I32, I64, I64), (I64, F16, F16), (I64, F32, F32), (U8, F64, F64),
    (F16, F32, F32), (F16, F64, F64), (F32, F64, F64), (I16, F32, F32), (I32, I32, I32),
]


@pytest.mark.parametrize("one, other, want", MEET, ids=str)
def test_kinds_of_number_meet_as_in_pytorch(one, other, want):
    assert promote_types(one, other) is want, "the higher category wins; within one, the wider type"
    assert promote_types(other, one) is want, "the order makes no difference"


@pytest.mark.parametrize("higher, lower, want", [
    (F32, F64, F32), (F16, F32, F16), (U8, I64, U8), (BOOL, I64, I64), (I8, F32, F32), (I64, F16, F16),
    (F64, I8, F64), (None, F32, F32), (I16, None, I16), (None, None, None),
], ids=str)
def test_a_lower_rank_counts_only_if_it_brings_a_higher_category(higher, lower, want):
    assert outranks(higher, lower) is want, "single numbers do not widen tensors"


def test_operands_of_all_ranks_meet():
    image, scale = tensor([1, 2], dtype=U8), tensor(2.0, dtype=F64)
    assert result_type(image, 2) is U8, "a Python int does not widen a small integer tensor"
    assert result_type(image, 0.5) is F32, "a Python float brings a higher category"
    assert result_type(image, scale) is F64, "a single number of a higher category brings its own width"
    assert result_type(tensor([1.0]), scale) is F32, "a single number of the same category does not widen"
    assert result_type(True, 2, 3.0) is F32, "Python numbers alone meet in the default dtype"


@pytest.mark.parametrize("x, y, want", [
    (U8, 3, U8), (I64, 2.0, F32), (F16, 2.0, F16), (F64, 1, F64), (BOOL, 2, I64), (F16, F32, F32),
    (U8, I8, I16),
], ids=str)
def test_results_are_of_the_dtype_in_which_the_operands_meet(x, y, want):
    left = tensor([1, 0, 1], dtype=x)
    right = y if isinstance(y, (int, float)) else tensor([1, 1, 0], dtype=y)
    for found in (left + right, right + left, left * right):
        assert found.dtype is want, "promotion happens first"


# -------------------------------------------------------------------------------------------- the door

def ghost(forward, make=Op):
    """An op of the tests' own."""
    return make(forward)


def test_an_engine_hands_arrays_to_the_forward_and_boxes_what_comes_back():
    seen = []

    def forward(x, y, /, twice=False):
        seen.extend([type(x), type(y), twice])
        return x + y
    out = ghost(forward)(tensor([1.0]), 2.0, twice=True)
    assert seen == [np.ndarray, float, True], "arrays out of their boxes, numbers as they are, and settings"
    assert isinstance(out, Tensor) and out.tolist() == [3.0], "the result is a tensor again"


def test_settings_may_be_given_by_position():
    def forward(x, /, dim=None, keepdim=False): return np.array([dim, keepdim])
    assert ghost(forward)(tensor([1.0]), 3, True).tolist() == [3, 1], "as in x.sum(1, True)"
    assert ghost(forward)(tensor([1.0]), axis=2, keepdims=True).tolist() == [2, 1], "NumPy's words do as well"
    with pytest.raises(TypeError, match="dim twice: by position and by name"):
        ghost(forward)(tensor([1.0]), 3, dim=2)


def test_an_op_that_asks_for_it_gets_inputs_of_one_dtype():
    def forward(x, y, /):
        assert x.dtype == y.dtype
        return x
    assert ghost(forward, pointwise)(tensor([1]), tensor([1.0])).dtype is F32, "promoted before the forward"
    assert ghost(forward, floating)(tensor([1]), tensor([2])).dtype is F32, \
        "whole numbers become floats first"


def test_an_op_that_does_not_ask_gets_its_inputs_as_they_are():
    def forward(x, y, /): return np.array([x.dtype == np.int64, y.dtype == np.float32])
    assert ghost(forward)(tensor([1]), tensor([1.0])).tolist() == [True, True], "no promotion without promote"


def test_several_results_are_several_tensors():
    def forward(x, /): return x + 1, x * 2
    more, twice = ghost(forward)(tensor([3.0]))
    assert (more.item(), twice.item()) == (4.0, 6.0), "a tuple of arrays becomes a tuple of tensors"


def test_what_a_forward_kept_stays_with_its_result():
    def forward(x, /): return Kept(x.max(keepdims=True), x.argmax())
    out = ghost(forward)(tensor([1.0, 5.0, 2.0]))
    assert out.tolist() == [5.0] and out.kept == (1,), \
        "residuals are for the gradient rule, not for the caller"


def test_a_view_remembers_whose_memory_it_shows():
    def forward(x, /, start): return x[start:] if start else x.copy()
    x, tail = tensor([1.0, 2.0, 3.0]), ghost(forward, sharing)
    assert tail(x, 1)._base is x, "the engine notes the owner of shared memory"
    assert tail(tail(x, 1), 1)._base is x, "a view of a view has the same owner"
    assert tail(x, 0)._base is None, "a copy has memory of its own"


def test_an_error_says_what_was_asked_and_what_was_given():
    with pytest.raises(ShapeError, match=r"\(2,\).*\(3,\)"): tensor([1.0, 2.0]) + tensor([1.0, 2.0, 3.0])
    with pytest.raises(IndexError): tensor([1.0, 2.0]).sum(4)


class Counting(Engine):
    """An engine around an engine."""

    def __init__(self, inner): self.inner, self.calls = inner, []

    def run(self, op, inputs, settings):
        self.calls.append(op.name)
        return self.inner.run(op, inputs, settings)


def test_an_engine_around_an_engine_sees_every_op():
    x, w = Tensor(numbers(3, 4)), Tensor(numbers(4, 2))
    with using(Counting(current_engine())) as outer, using(Counting(outer)) as inner:
        assert ((x @ w).exp() + 1).sum(0).reshape(2, 1).shape == (2, 1)
    assert outer.calls == ["matmul", "exp", "add", "sum", "reshape"], "every op goes through the door"
    assert inner.calls == outer.calls, "and through every engine that stands in it"
    x @ w
    assert len(outer.calls) == 5, "after the block the old engine runs again"


def test_the_old_engine_comes_back_after_an_error():
    before = current_engine()
    with pytest.raises(ZeroDivisionError), using(Counting(before)): 1 / 0   # noqa: B018
    assert current_engine() is before, "using puts it back whatever happens inside"


def test_every_thread_has_its_own_engine():
    inside, done, seen = threading.Event(), threading.Event(), {}

    def other():
        inside.wait(5)
        seen["other"] = current_engine()
        done.set()
    thread = threading.Thread(target=other)
    thread.start()
    with using(Counting(current_engine())) as mine:
        inside.set()
        done.wait(5)
        seen["mine"] = current_engine()
    thread.join()
    assert seen["mine"] is mine and seen["other"] is not mine, "an engine in use here is not in use elsewhere"


def test_the_default_engine_can_be_exchanged():
    before = current_engine()
    try:
        set_default_engine(counting := Counting(before))
        tensor([1.0]).exp()
    finally: set_default_engine(before)
    assert counting.calls == ["exp"], "it runs the ops wherever no other engine is in use"


# ----------------------------------------------------------------------------------------- arithmetic

@pytest.mark.parametrize("name, want", [
    ("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("true_divide", np.divide), ("eq", np.equal),
    ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal), ("gt", np.greater),
    ("ge", np.greater_equal),
])
@pytest.mark.parametrize("shapes", [((5,), (5,)), ((4, 1), (3,)), ((2, 3), ()), ((0, 3), (1, 3))], ids=str)
def test_two_tensors_meet_as_in_numpy(name, want, shapes):
    x, y = [np.round(2 * numbers(*shape)) / 2 for shape in shapes]
    with np.errstate(all="ignore"):
        expected = want(x, y)
        found = getattr(tinytorch, name)(Tensor(x), Tensor(y)).array
    assert found.dtype == expected.dtype, "float32 in, float32 (or bool) out"
    assert np.array_equal(found, expected, equal_nan=True), f"{name} works number by number"


@pytest.mark.parametrize(
    "name, want", [("exp", np.exp), ("log", np.log), ("sqrt", np.sqrt), ("neg", np.negative)])
def test_functions_of_one_number_agree_with_numpy(name, want):
    x = np.concatenate([numbers(50), [0, 1, np.inf, np.nan]]).astype(np.float32)
    with np.errstate(all="ignore"):
        expected, found = want(x.astype(np.float64)), getattr(tinytorch, name)(Tensor(x))
    assert found.dtype is F32, "float32 in, float32 out"
    assert np.allclose(found.array, expected, rtol=1e-6, equal_nan=True), f"{name} of every number"


def test_symbols_keep_left_and_right_apart():
    x = tensor([2.0, 4.0])
    assert (1 - x).tolist() == [-1.0, -3.0] and (x - 1).tolist() == [1.0, 3.0], "1 - x is not x - 1"
    assert (1 / x).tolist() == [0.5, 0.25] and (x / 4).tolist() == [0.5, 1.0], "1 / x is not x / 1"


def test_alpha_scales_what_is_added_or_taken_away():
    x, y = numbers(6), numbers(6)
    assert np.allclose(tinytorch.add(Tensor(x), Tensor(y), alpha=3).array, x + 3 * y), "x + alpha * y"
    assert np.allclose(tinytorch.sub(Tensor(x), Tensor(y), alpha=-2).array, x + 2 * y), "x - alpha * y"


# ------------------------------------------------------------------------------------------ reductions

DIMS = [None, 0, 1, -1, (0, 2), (2, 1), (-1, 0), (0, 1, 2), ()]


@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("keepdim", [False, True])
def test_sums_and_means_agree_with_numpy(dim, keepdim):
    x, axis = numbers(3, 4, 5), None if dim == () else dim
    for found, want in [(Tensor(x).sum(dim, keepdim), np.sum), (Tensor(x).mean(dim, keepdim), np.mean)]:
        expected = want(x.astype(np.float64), axis=axis, keepdims=keepdim)
        assert found.shape == expected.shape, "dim disappears, or keepdim leaves a 1"
        assert found.dtype is F32, "float32 in, float32 out"
        assert np.allclose(found.array, expected, atol=1e-5), "added up (and divided) along dim"


@pytest.mark.parametrize("dim", DIMS[:-1], ids=str)
@pytest.mark.parametrize("correction", [0, 1, 2])
def test_variances_agree_with_numpy(dim, correction):
    x = numbers(3, 4, 5) + 10
    for keepdim in (False, True):
        want = np.var(x.astype(np.float64), axis=dim, ddof=correction, keepdims=keepdim)
        found = Tensor(x).var(dim, correction=correction, keepdim=keepdim)
        assert found.shape == want.shape, "dim disappears, or keepdim leaves a 1"
        assert np.allclose(found.array, want, rtol=1e-4), \
            "squared distances from the mean over n - correction"


def test_the_variance_is_unbiased_unless_told_otherwise():
    x = numbers(8)
    assert np.isclose(Tensor(x).var().item(), np.var(x, ddof=1), rtol=1e-5), "n - 1"


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.int8, np.int32])
def test_small_whole_numbers_add_up_without_overflow(kind):
    x = rng.integers(0, 2, 900).astype(kind) * kind(1 if kind is np.bool_ else 100)
    found = Tensor(x).sum()
    assert found.dtype is I64 and found.item() == int(x.astype(np.int64).sum()), \
        "whole numbers add up in int64"


def test_the_dtype_of_a_sum_can_be_asked_for():
    assert tensor([1, 2]).sum(dtype=F64).dtype is F64, "dtype is the type to add in"
    assert tensor([1, 2]).mean(dtype=F32).item() == 1.5, "a mean of whole numbers wants a float dtype"
    with pytest.raises(RuntimeError): tensor([1, 2]).mean()


# -------------------------------------------------------------------------------------------- products

@pytest.mark.parametrize("x, y", [
    ((3, 4), (4, 2)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2)), ((5, 3, 4), (4, 2)), ((0, 4), (4, 2)),
    ((5, 1, 3, 4), (2, 4, 6)),
], ids=str)
def test_products_agree_with_numpy(x, y):
    x, y = numbers(*x), numbers(*y)
    found, want = Tensor(x) @ Tensor(y), x.astype(np.float64) @ y
    assert found.shape == want.shape, "rows of the left, columns of the right, leading dimensions broadcast"
    assert np.allclose(found.array, want, atol=1e-5), "each entry is a row times a column"


@pytest.mark.parametrize("x, y, said", [
    ((3, 4), (3, 4), "4 columns meet 3 rows"), ((2,), (5,), "2 columns meet 5 rows"),
    ((5, 2, 7), (5, 2, 7), "7 columns meet 2 rows"), ((), (3,), "single number"),
], ids=str)
def test_a_product_that_does_not_fit_names_both_numbers(x, y, said):
    with pytest.raises(ShapeError, match=said): Tensor(numbers(*x)) @ Tensor(numbers(*y))


def test_a_product_wants_one_dtype():
    with pytest.raises(RuntimeError, match="float64"): tensor([1.0]) @ tensor([1.0], dtype=F64)


# ----------------------------------------------------------------------------------------------- views

def test_transposes_and_permutations_are_numpys_and_are_views():
    x = Tensor(numbers(2, 3, 4))
    pairs = [(x.transpose(0, 2), x.array.swapaxes(0, 2)), (x.transpose(-1, -2), x.array.swapaxes(1, 2)),
             (x.T, x.array.T), (x.mT, x.array.swapaxes(1, 2))]
    pairs += [(x.permute(*p), x.array.transpose(p)) for p in itertools.permutations(range(3))]
    for found, want in pairs:
        assert np.array_equal(found.array, want), "dimensions change places"
        assert np.shares_memory(found.array, x.array) and found._base is x, "a view shows the same memory"
        assert found.stride() == steps(want), "strides change places with their dimensions"


def test_a_view_shows_the_same_memory_or_refuses():
    for walk in FULL:
        for new in divisions(walk.size)[:6]:
            x = Tensor(walk)
            possible = view_strides(walk.shape, steps(walk), new) is not None
            shown = x.reshape(new)
            assert np.array_equal(shown.array, walk.reshape(new)), "reshape follows the walk"
            assert (shown._base is x) == possible, "a reshape is a view exactly where that is possible"
            if possible:
                assert np.shares_memory(x.view(new).array, walk), "a view never copies"
            else:
                with pytest.raises(ShapeError): x.view(new)


def test_one_length_of_a_shape_may_be_left_open():
    x = Tensor(numbers(4, 6))
    assert x.view(-1, 8).shape == (3, 8) and x.reshape(2, -1, 3).shape == (2, 4, 3), "-1 is what is left over"
    for shape in [(5, -1), (-1, -1), (7,)]:
        with pytest.raises(ShapeError): x.reshape(shape)


def test_expanding_stretches_ones_and_copies_nothing():
    x = Tensor(numbers(3, 1))
    for size in [(3, 4), (2, 3, 4), (-1, 5), (6, -1, -1)]:
        lengths = [n if n != -1 else m for n, m in zip(size, (1,) * (len(size) - 2) + (3, 1))]
        assert np.array_equal(x.expand(size).array, np.broadcast_to(x.array, lengths)), \
            "ones stretch, -1 keeps"
        assert x.expand(size)._base is x, "a stretched dimension has stride 0: nothing is copied"
    with pytest.raises(ShapeError): x.expand(4, 4)


# ------------------------------------------------------------------------------- reaching in and writing

INDICES = [
    3, -1, slice(1, 4), slice(None, None, 2), (2, 1), (slice(None), -2), (..., 0), (None, 4),
    (slice(2, 4), None, 1),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_numbers_and_slices_give_views(index):
    x = Tensor(numbers(5, 4, 3))
    found = x[index]
    assert np.array_equal(found.array, x.array[index]), "what NumPy finds there"
    assert found._base is x, "a part is a view: it shows the same memory"


def test_tensors_and_lists_pick_elements_into_a_copy():
    x, places, mask = Tensor(numbers(5, 4)), rng.integers(-5, 5, 7), rng.random((5, 4)) < 0.5
    picks = [(tensor(places), places), (list(places), places), (Tensor(mask), mask), ((tensor(2), 1), (2, 1))]
    for mine, numpys in picks: assert np.array_equal(x[mine].array, x.array[numpys]), "what NumPy finds there"
    assert x[tensor(places)]._base is None and x[Tensor(mask)]._base is None, "picking copies"


def test_writing_lands_where_numpy_writes():
    places, mask = np.array([4, 0]), rng.random((5, 4)) < 0.5
    for index in (2, (slice(None), 1), (1, 2), (Ellipsis, -1), places, mask):
        x, want = Tensor(numbers(5, 4)), None
        want = x.array.copy()
        want[index] = 9
        x[Tensor(index) if isinstance(index, np.ndarray) else index] = 9
        assert np.array_equal(x.array, want), "x[index] = value writes there and nowhere else"


def test_a_tensor_can_be_written_and_broadcasts():
    x, row = Tensor(numbers(3, 4)), Tensor(numbers(4))
    x[1:] = row
    assert np.array_equal(x.array[1:], np.stack([row.array] * 2)), "the value broadcasts"
    with pytest.raises(ShapeError): x[0] = tensor([1.0, 2.0])


def test_who_shares_memory_shares_the_count_of_changes():
    x = Tensor(numbers(4, 4))
    view, copy = x[1].view(2, 2), x.T.reshape(16)
    x[0] = 1.0
    view[0, 0] = 2.0
    x.add_(1.0)
    assert x._version == view._version == 3, "every write through any of the views is counted once"
    assert copy._version == 0, "a copy has a count of its own"
    assert x[1, 0].item() == 3.0, "and what was written through the view is there"


def test_a_final_underscore_writes_the_result_over_the_tensor():
    array = numbers(3, 2)
    x = Tensor(array.copy())
    memory = x.array
    assert x.mul_(2).exp_().copy_(x + 1) is x and x.array is memory, "the same tensor, the same memory"
    assert np.allclose(x.array, np.exp(2 * array) + 1, rtol=1e-6), "each result in turn"
    with pytest.raises(RuntimeError): tensor([1, 2]).mul_(0.5)
    with pytest.raises(RuntimeError): tensor([1.0]).add_(tensor([1.0, 2.0]))


# ---------------------------------------------------------------------------------------- nothing leaks

CALLS = {
    "add": lambda x: x + 1, "sub": lambda x: 1 - x, "mul": lambda x: x * x, "div": lambda x: x / 3,
    "neg": lambda x: -x, "exp": lambda x: x.exp(), "log": lambda x: (x * x).log(), "var": lambda x: x.var(1),
    "sqrt": lambda x: (x * x).sqrt(), "sum": lambda x: x.sum(0), "mean": lambda x: x.mean(),
    "matmul": lambda x: x @ x.T, "reshape": lambda x: x.T.reshape(-1),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_op_changes_its_input_or_widens_it(call):
    x = numbers(4, 5)
    before = x.copy()
    found = call(Tensor(x))
    assert np.array_equal(x, before), "an op never changes its input"
    assert found.dtype is F32, "float32 stays float32: no float64 leaks in"
    assert not np.shares_memory(found.array, x), "the result has memory of its own"
