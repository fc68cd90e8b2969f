"""Asserts that tell what was expected and what came: rewriting them, and describing two values.

This file is also loaded, by its path, inside the process that runs a learner's code: it imports nothing
of tito, and uses NumPy only if that is there already.
"""

from __future__ import annotations

import ast
import operator
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

JUDGE = "__tito_judge__"
SMALL = 10                      # arrays up to so many values are shown whole
LONG = 200                      # characters of one value that are shown
SAME = ("allclose", "array_equal", "isclose", "equal", "array_equiv")     # f(got, expected)

OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "is": operator.is_, "is not": operator.is_not,
    "in": lambda a, b: a in b, "not in": lambda a, b: a not in b,
}


# ------------------------------------------------------------------------------------------- rewriting

def rewritten(source: str, filename: str) -> ast.Module:
    """The program in which every `assert` reports its two sides to the Judge under the name JUDGE."""
    return ast.fix_missing_locations(Rewriter().visit(ast.parse(source, filename)))


class Rewriter(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        """`assert test, message` -> `if not judge.test: raise judge.failed(message)`, between two notes."""
        idea = node.msg if isinstance(node.msg, ast.Constant) else ast.Constant("")
        asking = ast.Expr(call("asking", ast.Constant(ast.unparse(subject(node.test))), idea))
        failed = ast.Raise(call("failed", node.msg or ast.Constant("")), None)
        check = ast.If(ast.UnaryOp(ast.Not(), told(node.test)), [failed], [])
        all_of_it = ast.If(ast.Constant(True), [asking, check, ast.Expr(call("held"))], [])
        for new in ast.walk(all_of_it):
            if not hasattr(new, "lineno"): ast.copy_location(new, node)
        return all_of_it


def told(test: ast.expr) -> ast.expr:
    """The same test, with what it compares told to the judge on the way."""
    match test:
        case ast.BoolOp(op=ast.And()):
            return ast.BoolOp(test.op, [told(value) for value in test.values])
        case ast.Compare(ops=[op]):
            return call("compare", ast.Constant(OPERATORS[type(op)]), *sides(test))
        case ast.Call(func=ast.Attribute(value=ast.Compare(ops=[op]) as compare, attr="all"), args=[]):
            return call("compare_all", ast.Constant(OPERATORS[type(op)]), *sides(compare))
        case ast.Call(args=[got, expected, *_]) if same(test):
            return ast.Call(judge("same"), [test.func, got, expected, *test.args[2:]], test.keywords)
        case ast.Call(func=ast.Name(id="isinstance"), args=[value, kind], keywords=[]):
            return call("is_a", value, kind)
        case ast.UnaryOp(op=ast.Not(), operand=value):
            return call("false", value)
    return call("true", test)


def same(test: ast.Call) -> bool:
    name = test.func.attr if isinstance(test.func, ast.Attribute) else getattr(test.func, "id", "")
    return name in SAME and not any(isinstance(a, ast.Starred) for a in test.args)


def sides(compare: ast.Compare) -> tuple[ast.expr, ast.expr, ast.expr]:
    """Both sides as they stand, and whether the expected one is on the left: `3 == f(x)`."""
    left, right = compare.left, compare.comparators[0]
    return left, right, ast.Constant(is_constant(left) and not is_constant(right))


def is_constant(node: ast.expr) -> bool:
    return not any(isinstance(n, ast.Name | ast.Call | ast.Attribute) for n in ast.walk(node))


def subject(test: ast.expr) -> ast.expr:
    """The part of a test that is the learner's work: what is compared, without what it should be."""
    match test:
        case ast.Compare(ops=[_]):
            left, right, swapped = sides(test)
            return right if getattr(swapped, "value", False) else left
        case ast.Call(func=ast.Attribute(value=ast.Compare() as compare, attr="all"), args=[]):
            return subject(compare)
        case ast.Call(args=[got, _, *_]) if same(test):
            return got
        case ast.UnaryOp(op=ast.Not(), operand=value):
            return value
    return test


def call(name: str, *args: ast.expr) -> ast.Call: return ast.Call(judge(name), list(args), [])
def judge(name: str) -> ast.Attribute: return ast.Attribute(ast.Name(JUDGE, ast.Load()), name, ast.Load())


# ---------------------------------------------------------------------------------------------- judging

class Failed(AssertionError):
    """An assert that did not hold, and its two sides as texts."""

    def __init__(self, message: str, got: str = "", expected: str = "", asked: str = ""):
        super().__init__(message)
        self.message, self.got, self.expected, self.asked = message, got, expected, asked


class Judge:
    """Evaluates the tests of rewritten asserts and remembers what the last one compared."""

    def __init__(self) -> None: self.begin()

    def begin(self) -> None: self.open, self.pair = list[tuple[str, str]](), lambda: ("", "")
    def asking(self, expression: str, idea: str) -> None: self.open.append((expression, idea))
    def held(self) -> None: self.open.pop()
    def evidence(self) -> dict[str, Any]: return {}     # a grader's witness has some

    @property
    def asked(self) -> tuple[str, str]:
        """The expression of the assert that is being evaluated, and its sentence."""
        return self.open[-1] if self.open else ("", "")

    def compare(self, sign: str, left: Any, right: Any, swapped: bool) -> bool:
        return truth(self._compared(sign, left, right, swapped))

    def compare_all(self, sign: str, left: Any, right: Any, swapped: bool) -> bool:
        found = self._compared(sign, left, right, swapped)
        return truth(found.all() if hasattr(found, "all") else found)

    def same(self, function: Callable[..., Any], got: Any, expected: Any, *rest: Any, **options: Any) -> bool:
        tolerance = {k: v for k, v in options.items() if k in ("rtol", "atol", "equal_nan")}
        self.pair = lambda: described(got, expected, tolerance)
        return truth(function(got, expected, *rest, **options))

    def is_a(self, value: Any, kind: Any) -> bool:
        self.pair = lambda: (f"{short(value)}, a {type(value).__name__}", f"a {kind_name(kind)}")
        return isinstance(value, kind)

    def true(self, value: Any) -> bool:
        self.pair = lambda: (short(value), "True")
        return truth(value)

    def false(self, value: Any) -> bool:
        self.pair = lambda: (short(value), "False")
        return not truth(value)

    def failed(self, message: Any) -> Failed:
        try:
            got, expected = self.pair()
        except Exception as problem:    # a learner's objects may refuse to be looked at
            got, expected = f"a value that cannot be shown: {type(problem).__name__}: {problem}", ""
        return Failed(str(message), got, expected, self.asked[0])

    def _compared(self, sign: str, left: Any, right: Any, swapped: bool) -> Any:
        self._remember(sign, left, right, swapped)
        try:
            return COMPARE[sign](left, right)
        except (ValueError, TypeError):     # arrays of shapes that do not meet, or an array and a tuple
            if sign == "==" and shape(left) != shape(right): return False
            raise

    def _remember(self, sign: str, left: Any, right: Any, swapped: bool) -> None:
        got, expected = (right, left) if swapped else (left, right)
        if sign in ("==", "is"):
            self.pair = lambda: described(got, expected)
        else:
            words = {"!=": "something other than ", "is not": "something other than ", "in": "one of ",
                     "not in": "none of "}
            self.pair = lambda: (short(got), words.get(sign, f"a value {sign} ") + short(expected))


def truth(value: Any) -> bool:
    """`bool(value)`; what cannot say (an array of several) is not true. A blank still speaks for itself."""
    try:
        return bool(value)
    except NotImplementedError:
        raise
    except Exception:       # NumPy raises ValueError, a Tensor RuntimeError, a learner's Tensor anything
        return False


# ------------------------------------------------------------------------------------------ describing

def described(got: Any, expected: Any, tolerance: dict[str, Any] | None = None) -> tuple[str, str]:
    """Two values that should be the same, as texts: shapes first, then the first values that differ."""
    if is_array(got) and is_array(expected):
        return arrays(got, expected, tolerance)
    if is_array(got) or is_array(expected):
        return kinds(got, expected)
    if isinstance(got, list | tuple) and type(got) is type(expected):
        return sequences(got, expected)
    mine, theirs = short(got), short(expected)
    return (mine, theirs) if mine != theirs else kinds(got, expected)


def kinds(got: Any, expected: Any) -> tuple[str, str]:
    """Values that look alike or are of another kind, each with its type."""
    if type(got) is type(expected): return short(got), short(expected)
    return f"{short(got)} ({type(got).__name__})", f"{short(expected)} ({type(expected).__name__})"


def sequences(got: Any, expected: Any) -> tuple[str, str]:
    mine, theirs = repr_of(got), repr_of(expected)
    if len(got) != len(expected):
        if len(mine) + len(theirs) < LONG: return mine, theirs
        return f"{len(got)} values: {short(got)}", f"{len(expected)} values: {short(expected)}"
    if len(mine) + len(theirs) < LONG:
        return (mine, theirs) if mine != theirs else kinds_inside(got, expected)
    place = next((i for i, (a, b) in enumerate(zip(got, expected)) if not truth(a == b)), 0)
    here, there = described(got[place], expected[place])
    return f"{here} at [{place}]", f"{there} at [{place}]"


def kinds_inside(got: Any, expected: Any) -> tuple[str, str]:
    pairs = ((a, b) for a, b in zip(got, expected) if type(a) is not type(b) or not truth(a == b))
    a, b = next(pairs, (got, expected))
    return described(a, b) if a is not got else (repr_of(got), repr_of(expected))


def arrays(got: Any, expected: Any, tolerance: dict[str, Any] | None) -> tuple[str, str]:
    if tuple(got.shape) != tuple(expected.shape):
        return shape_of(got), shape_of(expected)
    mine, theirs = numpy_array(got), numpy_array(expected)
    if mine is None or theirs is None:
        return short(got), short(expected)
    places = [tuple(map(int, p)) for p in islice(differing(mine, theirs, tolerance), SMALL * SMALL)]
    if not places:
        return f"dtype {got.dtype}", f"dtype {expected.dtype}"
    if mine.size <= SMALL:
        return one_line(mine), one_line(theirs)
    return at_places(mine, places, mine.size), at_places(theirs, places)


def differing(got: Any, expected: Any, tolerance: dict[str, Any] | None) -> Iterable[Any]:
    np = sys.modules["numpy"]
    nan = (got != got) & (expected != expected)
    off = (got != expected) & ~nan
    if tolerance is not None and got.dtype.kind in "fciub" and expected.dtype.kind in "fciub":
        beyond = off & ~np.isclose(got, expected, **{**tolerance, "equal_nan": True})
        off = beyond if beyond.any() else off
    return np.argwhere(off)


def at_places(array: Any, places: list[tuple[int, ...]], size: int = 0) -> str:
    text = ", ".join(f"{scalar(array[p])} at {list(p)}" for p in places[:3])
    more = "at least " if len(places) == SMALL * SMALL else ""
    return text + (f" ({more}{len(places)} of {size} values differ)" if size and len(places) > 3 else "")


def one_line(array: Any) -> str:
    return str(array.tolist()) if array.dtype.kind != "f" else short_list(array)


def short_list(array: Any) -> str:
    if array.ndim == 0: return scalar(array)
    return "[" + ", ".join(short_list(row) for row in array) + "]"


def scalar(value: Any) -> str:
    """A number with the digits its dtype has."""
    item = value.item() if hasattr(value, "item") else value
    return str(value) if isinstance(item, float) else repr(item)


def shape_of(array: Any) -> str:
    shape = f"shape {tuple(array.shape)}"
    values = numpy_array(array)
    return f"{shape}: {one_line(values)}" if values is not None and 0 < values.size <= SMALL else shape


def shape(value: Any) -> Any: return getattr(value, "shape", None)
def is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type)


def numpy_array(value: Any) -> Any:
    """The value as NumPy sees it; a Tensor keeps its numbers in `array`. None if neither can be had."""
    np = sys.modules.get("numpy")
    inside = getattr(value, "array", value)
    return inside if np is not None and isinstance(inside, np.ndarray | np.generic) else None


def kind_name(kind: Any) -> str:
    if isinstance(kind, tuple): return " or a ".join(map(kind_name, kind))
    return getattr(kind, "__name__", str(kind))


def short(value: Any) -> str:
    text = repr_of(value)
    return text if len(text) <= LONG else f"{text[:LONG * 2 // 3]} … {text[-LONG // 4:]}"


def repr_of(value: Any) -> str:
    try:
        return repr(value)
    except Exception as problem:        # a learner's __repr__
        return f"<a {type(value).__name__} whose repr raises {type(problem).__name__}>"
