"""What a failing assert says: the sentence, the expression, both sides."""

import numpy as np
import pytest

from tito.core.asserts import JUDGE, Failed, Judge, rewritten


def told(source, **names):
    """(got, expected) of the assert that fails; None if all hold."""
    try:
        exec(compile(rewritten(source, "check"), "check", "exec"), {JUDGE: Judge(), "np": np, **names})
    except Failed as failed:
        return failed.got, failed.expected
    return None


class Tensor:
    """What a learner's Tensor looks like from outside."""

    dtype = "float32"

    def __init__(self, array): self.array, self.shape = np.asarray(array), np.shape(array)
    def __eq__(self, other): return Tensor(self.array == other.array)
    def __hash__(self): return 0
    def __bool__(self): raise RuntimeError("ambiguous")
    def __repr__(self): return f"tensor({self.array.tolist()})"


@pytest.mark.parametrize("source, got, expected", [
    ("assert f(2) == 3", "2", "3"),
    ("assert 3 == f(2)", "2", "3"),
    ("assert f(2) is None", "2", "None"),
    ("assert f(2) != 2", "2", "something other than 2"),
    ("assert f(2) < 1", "2", "a value < 1"),
    ("assert f(2) in (1, 3)", "2", "one of (1, 3)"),
    ("assert not f(2)", "2", "False"),
    ("assert f(0)", "0", "True"),
    ("assert f(2) == 2 and f(3) == 4", "3", "4"),
    ("assert isinstance(f(2), str)", "2, a int", "a str"),
    ("assert f((1, 2)) == [1, 2]", "(1, 2)", "[1, 2]"),
    ("assert f(1.0) == np.float32(2.0)", "1.0 (float)", "np.float32(2.0) (float32)"),
    ("assert f(list(range(100))) == [0] * 100", "1 at [1]", "0 at [1]"),
    ("assert f(np.ones(2)) == (1, 2)", "array([1., 1.]) (ndarray)", "(1, 2) (tuple)"),
    ("assert f(np.ones(3)) == (1, 2)", "array([1., 1., 1.]) (ndarray)", "(1, 2) (tuple)"),
    ("assert f(True) == 0", "True", "0"),
])
def test_both_sides_are_told(source, got, expected):
    assert told(source, f=lambda x: x) == (got, expected)


@pytest.mark.parametrize("got, expected, told_got, told_expected", [
    (np.zeros((2, 3)), np.zeros((3, 2)), "shape (2, 3): [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]",
     "shape (3, 2): [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]"),
    (np.zeros(40), np.zeros((4, 10)), "shape (40,)", "shape (4, 10)"),
    (np.array([1.0, 2.0]), np.array([1.0, 3.0]), "[1.0, 2.0]", "[1.0, 3.0]"),
    (np.arange(20), np.r_[np.arange(19), 5], "19 at [19]", "5 at [19]"),
    (np.arange(20.0), np.zeros(20), "1.0 at [1], 2.0 at [2], 3.0 at [3] (19 of 20 values differ)",
     "0.0 at [1], 0.0 at [2], 0.0 at [3]"),
    (Tensor([1.0, 2.0]), Tensor([1.0, 2.5]), "[1.0, 2.0]", "[1.0, 2.5]"),
    (np.float32(0.1), np.float32(0.2), "0.1", "0.2"),
])
def test_arrays_show_shapes_first_then_what_differs(got, expected, told_got, told_expected):
    compared = "x == y" if isinstance(got, Tensor) else "(x == y).all()"
    assert told(f"assert {compared}", x=got, y=expected) == (told_got, told_expected)
    if not isinstance(got, Tensor):
        assert told("assert np.array_equal(x, y)", x=got, y=expected) == (told_got, told_expected)


def test_a_tolerance_counts_only_what_is_beyond_it():
    x, y = np.linspace(0, 1, 50), np.linspace(0, 1, 50) + 1e-12
    y[7] = 9
    assert told("assert np.allclose(x, y)", x=x, y=y) == (f"{x[7]} at [7]", "9.0 at [7]")


def test_an_equal_array_of_another_dtype_is_about_its_dtype():
    x = np.zeros(3)
    assert told("assert x.dtype == 'float32'", x=x)[0] == "dtype('float64')"


def test_asserts_that_hold_are_silent_wherever_they_stand():
    source = "def f():\n  for i in range(3):\n    with open(__file__):\n      assert i < 3, i\nf()"
    assert told(source, __file__=__file__) is None


def test_the_message_is_made_only_when_it_is_needed():
    assert told("assert True, 1 / 0") is None
    with pytest.raises(Failed, match="it is 4"): exec(
        compile(rewritten("assert False, f'it is {2 + 2}'", "c"), "c", "exec"), {JUDGE: Judge()})


def test_the_expression_that_was_asked_is_known():
    with pytest.raises(Failed) as failed:
        exec(compile(rewritten("assert abs(3 - 5) == 1, 'm'", "c"), "c", "exec"), {JUDGE: Judge()})
    assert (failed.value.message, failed.value.asked) == ("m", "abs(3 - 5)")


def test_a_blank_inside_an_assert_still_speaks_for_itself():
    def blank(): raise NotImplementedError("your turn: f")
    with pytest.raises(NotImplementedError, match="your turn: f"): told("assert f() == 3", f=blank)


def test_objects_that_resist_being_looked_at_do_not_stop_the_verdict():
    class Shy:
        def __repr__(self): raise ZeroDivisionError
    assert told("assert x == 1", x=Shy()) == ("<a Shy whose repr raises ZeroDivisionError>", "1")
