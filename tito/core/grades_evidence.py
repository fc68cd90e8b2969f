"""Checks whose answers stay outside: asserts are taken out, and judged by what came at their places. Pure.

In `assert f(x) == [1, 2]` the sandbox is told `f(x)` and never `[1, 2]`. What has no answer to keep back
(`assert a is b`) is compared where it runs, and again here from both values where they are plain data.
Between the real places stand decoys, whose answers are known: what lies about them lies about all.
"""

from __future__ import annotations

import ast
import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from tito.core import asserts
from tito.core.asserts import OPERATORS, same, sides
from tito.core.plan import Outcome

WITNESS = "__tito_judge__"
Way = Literal["see", "pair", "all", "same", "kind", "truth"]
NOTHING = object()                  # no answer is known here
CONSTANTS = {"math.inf": math.inf, "math.nan": math.nan, "math.pi": math.pi, "math.e": math.e}
NUMPYS = ("np.allclose", "np.array_equal", "np.isclose")       # whose rules are known here
NUMBERS = re.compile(r"[<>|=]?([?b-]?|[biufc])(1|2|4|8|16)?$")


@dataclass(frozen=True)
class Place:
    """One thing that a check looks at: what is told there, and what it must be."""

    number: int
    way: Way
    asked: str                          # the expression that is the learner's work
    idea: str                           # the sentence of its assert
    sign: str = "=="
    swapped: bool = False               # the answer stands on the left
    answer: Any = NOTHING               # in Python
    tolerance: Mapping[str, float] | None = None        # of allclose
    names: tuple[str, ...] = ()         # kind: any of these classes
    flipped: bool = False               # truth: what is told is the opposite
    decoy: bool = False
    trusted: bool = False               # the reference itself can only be judged where it runs
    last: bool = False                  # the decoy at the end, which whoever passes has come by


# ----------------------------------------------------------------------------------------- taking asserts out

def opened(
    source: str,
    random: Random,                             # places decoys, and says which truths are told upside down
    inside: frozenset[int] = frozenset(),       # places that can only be judged where they run
    known: Mapping[int, Any] | None = None,     # answers of a hidden check that are no constants
) -> tuple[str, tuple[Place, ...]]:
    """A check without its asserts, and what stands in their place."""
    opener = Opener(random, inside, known or {})
    tree = opener.visit(ast.parse(source))
    tree.body.append(ast.Expr(opener.decoy(last=True)))
    return ast.unparse(ast.fix_missing_locations(tree)), tuple(opener.places)


class Opener(ast.NodeTransformer):
    def __init__(self, random: Random, inside: frozenset[int], known: Mapping[int, Any]):
        self.random, self.inside, self.known = random, inside, known
        self.places: list[Place] = []
        self.number = self.decoys = 0

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        idea = sentence(node.msg)
        told = [self.place(part, idea) for part in parts(node.test)]
        if self.random.random() < 0.5: told.insert(self.random.randrange(len(told) + 1), self.decoy())
        return [ast.copy_location(ast.Expr(call), node) for call in told]

    def place(self, test: ast.expr, idea: str) -> ast.Call:
        number, self.number = self.number, self.number + 1
        asked = ast.unparse(asserts.subject(test))
        match test:
            case ast.Compare(ops=[op]):
                return self.compared(Place(number, "pair", asked, idea, OPERATORS[type(op)]), test)
            case ast.Call(func=ast.Attribute(value=ast.Compare(ops=[op]) as compare, attr="all"), args=[]):
                found = Place(number, "all", asked, idea, OPERATORS[type(op)])
                return self.put(found, ast.Constant(found.sign), compare.left, compare.comparators[0])
            case ast.Call(args=[got, expected, *_]) if same(test) and ast.unparse(test.func) in NUMPYS:
                return self.alike(Place(number, "same", asked, idea), test, got, expected)
            case ast.Call(func=ast.Name(id="isinstance"), args=[value, kind], keywords=[]):
                return self.put(Place(number, "kind", asked, idea, names=class_names(kind)), value, kind)
            case ast.UnaryOp(op=ast.Not(), operand=value):
                return self.truth(Place(number, "truth", asked, idea, flipped=True), value)
        return self.truth(Place(number, "truth", asked, idea), test)

    def compared(self, place: Place, test: ast.Compare) -> ast.Call:
        left, right, swapped = sides(test)
        turned = isinstance(swapped, ast.Constant) and bool(swapped.value)
        got, expected = (right, left) if turned else (left, right)
        place = replace(place, swapped=turned)
        if (known := self.kept(place, expected)) is not NOTHING:
            return self.put(replace(place, way="see", answer=known), got)
        return self.put(place, ast.Constant(place.sign), left, right)

    def alike(self, place: Place, test: ast.Call, got: ast.expr, expected: ast.expr) -> ast.Call:
        tolerance = {k.arg: value for k in test.keywords
                     if k.arg and isinstance(value := constant(k.value), float | int | bool)}
        exact = ast.unparse(test.func) == "np.array_equal"
        place = replace(place, tolerance={"rtol": 0, "atol": 0} if exact else tolerance)
        plain_call = len(tolerance) == len(test.keywords) and len(test.args) == 2
        if plain_call and (known := self.kept(place, expected)) is not NOTHING:
            return self.put(replace(place, way="see", answer=known), got)
        arguments = [test.func, got, expected, *test.args[2:]]
        call = self.put(place, *arguments)
        call.keywords = test.keywords
        return call

    def kept(self, place: Place, expected: ast.expr) -> Any:
        """The answer, if it can be kept outside."""
        if place.number in self.inside: return NOTHING
        if place.number in self.known: return self.known[place.number]
        return constant(expected)

    def truth(self, place: Place, value: ast.expr) -> ast.Call:
        """Told upside down as often as not, so that saying True to everything is no answer."""
        if self.random.random() < 0.5:
            return self.put(place, value)
        upside_down = replace(place, flipped=not place.flipped)
        return self.put(upside_down, ast.UnaryOp(ast.Not(), value))

    def decoy(self, last: bool = False) -> ast.Call:
        """A place at which only one answer is right, and no learner's code is asked."""
        self.decoys += 1
        one, other = self.random.sample(range(1 << 30), 2)
        place = Place(-self.decoys, "see", str(one), "", answer=one, decoy=True, last=last)
        match 0 if last else self.random.randrange(3):
            case 0:
                return self.put(place, ast.Constant(one))
            case 1:
                return self.put(replace(place, way="pair", answer=[one, other, False]), ast.Constant("=="),
                                ast.Constant(one), ast.Constant(other))
        return self.put(replace(place, way="truth", answer=False), ast.Compare(
            ast.Constant(one), [ast.Eq()], [ast.Constant(other)]))

    def put(self, place: Place, *values: ast.expr) -> ast.Call:
        place = replace(place, trusted=place.number in self.inside)
        self.places.append(place)
        name = ast.Attribute(ast.Name(WITNESS, ast.Load()), place.way, ast.Load())
        return ast.Call(name, [ast.UnaryOp(ast.USub(), ast.Constant(-place.number)) if place.number < 0
                               else ast.Constant(place.number), *values], [])


def parts(test: ast.expr) -> list[ast.expr]:
    """`a and b` is two things to look at."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return [part for value in test.values for part in parts(value)]
    return [test]


def sentence(message: ast.expr | None) -> str:
    if isinstance(message, ast.Constant): return str(message.value)
    if isinstance(message, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in message.values)
    return ""


def constant(node: ast.expr) -> Any:
    """The value of an expression that is the same wherever it is evaluated, else NOTHING."""
    match node:
        case ast.Constant(value=value) if value is not Ellipsis:
            return value
        case ast.Attribute() if (name := ast.unparse(node)) in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = constant(operand)
            if not isinstance(value, int | float | complex): return NOTHING
            return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(op=ast.Div() | ast.Mult() | ast.Add() | ast.Sub() as op):
            return folded(op, constant(node.left), constant(node.right))
        case ast.Tuple() | ast.List() | ast.Set():
            values = [constant(item) for item in node.elts]
            if any(value is NOTHING for value in values): return NOTHING
            kinds: dict[type, Callable[[list[Any]], Any]] = {ast.Tuple: tuple, ast.List: list, ast.Set: set}
            return kinds[type(node)](values)
        case ast.Dict(keys=keys):
            pairs = [(constant(k), constant(v)) for k, v in zip(keys, node.values) if k is not None]
            whole = len(pairs) == len(keys) and all(NOTHING not in pair for pair in map(Those, pairs))
            return dict(pairs) if whole else NOTHING
    return NOTHING


class Those:
    """A pair that is searched by identity: an array's `==` is no answer."""

    def __init__(self, pair: tuple[Any, Any]): self.pair = pair
    def __contains__(self, thing: object) -> bool: return any(one is thing for one in self.pair)


def folded(op: ast.operator, left: Any, right: Any) -> Any:
    """1 / 3 and 2 * 784: arithmetic on numbers, nothing that could grow."""
    if not all(isinstance(x, int | float) and abs(x) < 1e100 for x in (left, right)): return NOTHING
    match op:
        case ast.Add(): return left + right
        case ast.Sub(): return left - right
        case ast.Mult(): return left * right
    return left / right if right else NOTHING


def class_names(kind: ast.expr) -> tuple[str, ...]:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return tuple(k.attr if isinstance(k, ast.Attribute) else k.id if isinstance(k, ast.Name) else ""
                 for k in kinds)


# -------------------------------------------------------------------------------------- values that were told

class Opaque:
    """Something that is no plain data."""

    def __init__(self, name: str): self.name = name
    def __repr__(self) -> str: return f"<{self.name}>"


@dataclass(frozen=True)
class Kind:
    """A class or a dtype, by its name."""

    name: str

    def __repr__(self) -> str: return self.name.removeprefix("builtins.")


class Untrue(ValueError):
    """What came is nothing that a witness tells."""


def value_of(told: Any, deep: int = 20) -> Any:
    """What a witness told, as a Python value. Nothing in it is executed."""
    if told is None or isinstance(told, bool | str): return told
    if not isinstance(told, dict) or len(told) != 1 or not deep:
        raise Untrue(f"{told!r:.80}")
    (name, inside), = told.items()
    try:
        return READERS[name](inside, deep - 1)
    except (KeyError, TypeError, ValueError, OverflowError) as problem:
        raise Untrue(f"{told!r:.80}") from problem


def several(inside: Any, deep: int) -> list[Any]: return [value_of(one, deep) for one in inside]


def mapping(inside: Any, deep: int) -> Any:
    flat = several(inside, deep)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def array_of(inside: Any, deep: int = 0) -> Any:
    import numpy as np

    dtype, shape, data = inside
    if not NUMBERS.match(str(dtype)): raise ValueError("no dtype of numbers")
    return np.frombuffer(base64.b64decode(data, validate=True), dtype).reshape([int(n) for n in shape])


def scalar_of(inside: Any, deep: int) -> Any: return array_of(inside)[()]


def dtype_of(inside: Any, deep: int) -> Kind:
    import numpy as np

    return Kind(f"numpy.{np.dtype(str(inside)).type.__name__}" if NUMBERS.match(str(inside)) else str(inside))


READERS: dict[str, Callable[[Any, int], Any]] = {
    "int": lambda x, _: int(x, 16),
    "float": lambda x, _: float.fromhex(x),
    "complex": lambda x, _: complex(*map(float.fromhex, x)),
    "bytes": lambda x, _: bytes.fromhex(x),
    "list": several,
    "tuple": lambda x, deep: tuple(several(x, deep)),
    "set": lambda x, deep: set(several(x, deep)),
    "dict": mapping,
    "range": lambda x, _: range(*x),
    "type": lambda x, _: Kind(str(x)),
    "dtype": dtype_of,
    "array": array_of, "tensor": array_of, "scalar": scalar_of,
    "opaque": lambda x, _: Opaque(str(x)),
}


# --------------------------------------------------------------------------------------------------- judging

@dataclass(frozen=True)
class Finding:
    """What a place says about the check."""

    held: bool
    got: str = ""
    expected: str = ""
    lies: bool = False                  # it cannot have come about honestly


def found(place: Place, told: Sequence[Any]) -> Finding:
    """Whether what was told at a place is what has to be there."""
    match place.way, list(told):
        case "see", [got]:
            value = value_of(got)
            if place.decoy: return Finding(value == place.answer, lies=value != place.answer)
            return compared(place, value, place.answer, None)
        case "pair" | "all" | "same", [left, right, bool() as said]:
            if place.decoy:
                real = [value_of(left), value_of(right), said] == place.answer
                return Finding(real, lies=not real)
            one, other = value_of(left), value_of(right)
            return compared(place, *((other, one) if place.swapped else (one, other)), said)
        case "kind", [list() as names, bool() as said, str() as text]:
            held = said and (not all(place.names) or not names or "object" not in names
                             or bool(set(place.names) & set(names)) or abstract(place.names))
            return Finding(held, text, "a " + " or a ".join(place.names))
        case "truth", [bool() as said, str() as text]:
            if place.decoy: return Finding(not said, lies=said)
            return Finding(said is not place.flipped, text, str(not place.flipped))
    raise Untrue(f"{told!r:.80}")


def abstract(names: Sequence[str]) -> bool:
    """Classes that values are instances of without inheriting: Iterator, Callable …"""
    import collections.abc

    return any(hasattr(collections.abc, name) for name in names)


def compared(place: Place, got: Any, expected: Any, said: bool | None) -> Finding:
    """By value where there are values; by what the process said where there are objects of its own."""
    left, right = (expected, got) if place.swapped else (got, expected)
    verdict = alike(got, expected, place.tolerance) if place.way == "same" or place.tolerance is not None \
        else outside(place.sign, left, right, every=place.way == "all")
    held = bool(said) if verdict is None or place.trusted else verdict
    return Finding(held) if held else Finding(False, *described(place, got, expected))


def outside(sign: str, left: Any, right: Any, every: bool = False) -> bool | None:
    """The comparison made here; None where it cannot be."""
    strange = has_opaque(left), has_opaque(right)
    if all(strange) or (any(strange) and sign in ("!=", "is not", "in", "not in")): return None
    if any(strange): return False       # data is never equal to what is none, nor more, nor less
    if sign in ("is", "is not"):
        if not any(x is None or isinstance(x, bool) for x in (left, right)): return None
        return (left is right) is (sign == "is")
    if any(isinstance(x, Kind) for x in (left, right)): return None if sign not in ("==",
        "!=") else kinds(sign, left, right)
    try:
        result = asserts.COMPARE[sign](left, right)
        return bool(result.all() if every and hasattr(result, "all") else result)
    except (ValueError, TypeError):
        return False


def has_opaque(value: Any) -> bool:
    """Whether a value is, or holds, something that is no plain data."""
    if isinstance(value, list | tuple | set): return any(map(has_opaque, value))
    if isinstance(value, dict): return any(map(has_opaque, (*value.keys(), *value.values())))
    return isinstance(value, Opaque)


def kinds(sign: str, left: Any, right: Any) -> bool | None:
    """Classes and dtypes by name; a dtype against the text "float32" by that."""
    names = [x.name if isinstance(x, Kind) else f"numpy.{x}" if isinstance(x, str) else None
             for x in (left, right)]
    if None in names: return None
    return (names[0] == names[1]) is (sign == "==")


def alike(got: Any, expected: Any, tolerance: Mapping[str, float] | None) -> bool | None:
    import numpy as np

    if has_opaque(got) or has_opaque(expected): return None if has_opaque(expected) else False
    try:
        one, other = np.asarray(got), np.asarray(expected)
        if one.dtype.kind not in "biufc" or other.dtype.kind not in "biufc":
            return bool(np.array_equal(one, other))
        options: dict[str, Any] = dict(tolerance or {})
        if options == {"rtol": 0, "atol": 0}: return bool(np.array_equal(one, other))
        with np.errstate(all="ignore"):
            return bool(np.all(np.isclose(one, other, **options)))
    except (ValueError, TypeError):
        return False


def described(place: Place, got: Any, expected: Any) -> tuple[str, str]:
    if place.sign in ("==", "is"):
        return asserts.described(got, expected, dict(place.tolerance or {}) or None)
    words = {"!=": "something other than ", "is not": "something other than ", "in": "one of ",
             "not in": "none of "}
    return asserts.short(got), words.get(place.sign, f"a value {place.sign} ") + asserts.short(expected)


def judged(
    outcome: Outcome,
    places: Sequence[Place],
    optional: frozenset[int] = frozenset(),     # places that the reference does not come by either
) -> tuple[Outcome, bool]:
    """A check's outcome as its evidence shows it, and whether that was tampered with."""
    by_number, seen = {place.number: place for place in places}, set[int]()
    lies = False
    failed: Outcome | None = None
    for record in outcome.evidence:
        try:
            number, *told = record
            place = by_number[number]
            seen.add(number)
            finding = found(place, told)
        except (Untrue, KeyError, TypeError, ValueError):
            lies = True
            continue
        lies |= finding.lies
        if not finding.held and not place.decoy and failed is None:
            failed = replace(outcome, outcome="failed", type="AssertionError", kinds=(), text=place.idea,
                             idea=place.idea, asked=place.asked, got=finding.got, expected=finding.expected,
                             name="", evidence=())
    lies |= outcome.outcome == "passed" and not all(p.number in seen for p in places if p.last)
    if lies: return replace(outcome, outcome="replaced", text="the grader's own", evidence=()), True
    if failed: return failed, False
    real = [p for p in places if not p.decoy and p.number not in optional]
    lost = [p for p in real if p.number not in seen]
    if outcome.outcome == "passed" and lost:
        return replace(outcome, outcome="failed", text=lost[0].idea, idea=lost[0].idea, asked=lost[0].asked,
                       got="it was not reached", evidence=()), False
    if outcome.outcome == "passed" or not lost: return replace(outcome, evidence=()), False
    # what was raised was raised on the way to the first place that was not reached
    return replace(outcome, asked=lost[0].asked, idea=lost[0].idea, evidence=()), False
