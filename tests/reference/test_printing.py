"""A tensor prints the characters that PyTorch prints."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinytorch
from tinytorch.printing import describe_array, get_printoptions, set_printoptions

torch = pytest.importorskip("torch", reason="PyTorch decides what is printed")

FLOATS = [np.float16, np.float32, np.float64]
OTHERS = [np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64]


def same(array):
    assert one_dtype(repr(tinytorch.Tensor(array))) == one_dtype(repr(torch.from_numpy(array)))


def one_dtype(text):
    """Our dtypes have names four letters longer, so that they may not fit where PyTorch's did."""
    return text.replace("dtype=torch.", "dtype=tinytorch.").replace(",\n       dtype=", ", dtype=")


@pytest.fixture(autouse=True)
def usual_options():
    yield
    for library in (tinytorch, torch): library.set_printoptions(profile="default")


TABLE = {
    "one number": 3.0,
    "one fraction": 0.5,
    "one integer": 7,
    "one bool": True,
    "zero": 0.0,
    "negative zero": -0.0,
    "nan alone": math.nan,
    "whole floats": [1.0, 2.0, -3.0],
    "whole floats with inf and nan": [1.0, math.inf, -math.inf, math.nan],
    "fractions with inf and nan": [[1.5, math.inf], [math.nan, -2.25]],
    "only inf, nan and zeros": [0.0, math.inf, math.nan] * 20,
    "a large one": [1.0, 123456789.0],
    "far apart": [0.001, 1.0, 2000.5],
    "far apart and whole": [1.0, 1001.0],
    "just not far apart": [1.0, 1000.0],
    "small": [0.00001, 0.00002],
    "rounding up to another width": [9.99999, 1.0],
    "bools": [[True, False], [False, True]],
    "integers of several widths": [[1, -20], [300, 4]],
    "empty": np.zeros(0, np.float32),
    "empty with a shape": np.zeros((2, 0, 3), np.float32),
    "empty integers": np.zeros(0, np.int64),
    "empty integers with a shape": np.zeros((0, 2), np.int64),
    "empty doubles": np.zeros(0, np.float64),
    "empty bools": np.zeros((0,), bool),
    "many lines": np.arange(60, dtype=np.float32) / 7,
    "many integers": np.arange(100),
    "three dimensions": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "four dimensions": np.arange(16).reshape(2, 2, 2, 2),
    "more than a thousand": np.arange(1001, dtype=np.float32),
    "a thousand": np.arange(1000),
    "a large matrix": np.arange(10000, dtype=np.float64).reshape(100, 100),
    "a tall matrix": np.arange(3000, dtype=np.int32).reshape(1000, 3),
    "a wide matrix": np.linspace(0, 1, 3000, dtype=np.float32).reshape(2, 1500),
    "a large cube": np.arange(8000, dtype=np.float16).reshape(20, 20, 20),
    "many small ones": np.ones((7, 1, 200, 2), np.float32),
}


@pytest.mark.parametrize("name", TABLE)
def test_prints_as_pytorch(name):
    value = TABLE[name]
    if isinstance(value, np.ndarray): same(value)
    else: assert one_dtype(repr(tinytorch.tensor(value))) == one_dtype(repr(torch.tensor(value)))


@pytest.mark.parametrize("options", [
    {"precision": 0}, {"precision": 8}, {"threshold": 5}, {"threshold": 5, "edgeitems": 1}, {"linewidth": 30},
    {"threshold": 5, "edgeitems": 0}, {"profile": "short"}, {"profile": "full"},
    {"profile": "short", "precision": 3}, {"sci_mode": True}, {"sci_mode": False}, {"linewidth": 1},
], ids=str)
@pytest.mark.parametrize("name", TABLE)
def test_options_change_the_same_things(name, options):
    for library in (tinytorch, torch): library.set_printoptions(**options)
    assert get_printoptions() == torch._tensor_str.get_printoptions()
    if options.get("profile") != "full" or np.size(TABLE[name]) < 2000: test_prints_as_pytorch(name)


shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FLOATS).flatmap(lambda kind: hnp.arrays(kind, shapes)))
def test_any_floats(array):
    same(array)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(OTHERS).flatmap(lambda kind: hnp.arrays(kind, shapes)))
def test_any_whole_numbers_and_bools(array):
    same(array)


everyday = st.sampled_from([0.0, 1.0, -1.0, 0.5, 12.25, 999.0, 1001.0, 1e-5, 1e9, math.inf, math.nan])


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(np.float32, shapes, elements=everyday), st.integers(0, 6), st.integers(0, 3),
       st.integers(10, 90), st.sampled_from([None, None, True, False]))
def test_everyday_numbers_under_any_options(array, precision, edgeitems, linewidth, sci_mode):
    for library in (tinytorch, torch):
        library.set_printoptions(precision, 40, edgeitems, linewidth, None, sci_mode)
    same(array)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=12), elements=everyday), st.booleans(),
       st.integers(20, 90))
def test_what_stands_behind_the_numbers_breaks_into_lines_alike(array, wants, width):
    for library in (tinytorch, torch): library.set_printoptions(linewidth=width)
    expected = repr(torch.from_numpy(array).float().requires_grad_(wants))
    assert describe_array(array.astype(np.float32), requires_grad=wants) == expected


@pytest.mark.parametrize(("op", "made"), [
    ("mul", lambda x: x * 2), ("true_divide", lambda x: x / 3), ("log_softmax", lambda x: x.log_softmax(0)),
])
def test_a_receipt_shows_as_pytorchs_grad_fn(op, made):
    theirs = made(torch.arange(30.0, requires_grad=True))
    receipt = SimpleNamespace(op=SimpleNamespace(name=op))
    assert describe_array(theirs.detach().numpy(), requires_grad=True, receipt=receipt) == repr(theirs)


def test_the_default_dtype_goes_without_saying():
    try:
        for library in (tinytorch, torch): library.set_default_dtype(library.float64)
        for value in (np.array([1.5]), np.zeros(0), np.zeros((0, 2), np.float32), np.ones(2, np.float32)):
            same(value)
    finally:
        for library in (tinytorch, torch): library.set_default_dtype(library.float32)


def test_an_unknown_profile_is_named():
    with pytest.raises(ValueError, match="wide"): set_printoptions(profile="wide")


def test_printoptions_are_put_back():
    with tinytorch.printing.printoptions(precision=2):
        assert repr(tinytorch.tensor([0.123])) == "tensor([0.12])"
    assert repr(tinytorch.tensor([0.123])) == "tensor([0.1230])"
