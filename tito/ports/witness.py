"""What a check saw, told as plain data: the grader compares it outside of the process that ran it.

This file is loaded by its path inside the sandbox, in the place of core/asserts.py: it imports nothing of
tito, and holds no answer. Every value becomes JSON; nothing is ever pickled.
"""

from __future__ import annotations

import ast
import base64
import sys
from typing import Any

JUDGE = "__tito_judge__"
DEEP, MOST = 12, 2 << 20            # levels of nesting; bytes that all values of one check may take
OPAQUE = "opaque"

# What a learner's code may replace, as it was before that.
type_of, is_a, encode, text_of = type, isinstance, base64.b64encode, repr


class Failed(AssertionError):
    """Part of what a process asks of its judge; a witness raises none."""


def described(got: Any, expected: Any, tolerance: Any = None) -> tuple[str, str]:
    return brief(got), brief(expected)


def rewritten(source: str, filename: str) -> ast.Module:
    """The checks arrive with their asserts taken out already."""
    return ast.parse(source, filename)


class Judge:
    """Notes what came at each place of a check; judges nothing."""

    asked = "", ""

    def __init__(self) -> None: self.begin()
    def begin(self) -> None: self.told, self.room = list[Any](), MOST
    def evidence(self) -> dict[str, Any]: return {"evidence": self.told}

    def see(self, place: int, value: Any) -> None: self._note(place, [self._plain(value)])

    def pair(self, place: int, sign: str, left: Any, right: Any) -> None:
        """Both sides, before they are compared: comparing may change them."""
        both = [self._plain(left), self._plain(right)]
        self._note(place, [*both, truth(COMPARE[sign](left, right))])

    def all(self, place: int, sign: str, left: Any, right: Any) -> None:
        found = COMPARE[sign](left, right)
        held = truth(found.all() if hasattr(found, "all") else found)
        self._note(place, [self._plain(left), self._plain(right), held])

    def same(self, place: int, function: Any, got: Any, expected: Any, *rest: Any, **options: Any) -> None:
        both = [self._plain(got), self._plain(expected)]
        self._note(place, [*both, truth(function(got, expected, *rest, **options))])

    def kind(self, place: int, value: Any, kind: Any) -> None:
        self._note(place, [[c.__name__ for c in type_of(value).__mro__], is_a(value, kind), brief(value)])

    def truth(self, place: int, value: Any) -> None: self._note(place, [truth(value), brief(value)])

    def _note(self, place: int, values: list[Any]) -> None: self.told.append([place, *values])

    def _plain(self, value: Any) -> Any:
        if self.room <= 0: return {OPAQUE: "too much"}
        told, size = plain(value, self.room, DEEP)
        self.room -= size
        return told


COMPARE = {
    "==": lambda a, b: equal(a, b), "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a,
    b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "is": lambda a, b: a is b,
    "is not": lambda a, b: a is not b, "in": lambda a, b: a in b, "not in": lambda a, b: a not in b,
}


def equal(left: Any, right: Any) -> Any:
    try:
        return left == right
    except (ValueError, TypeError):     # arrays of shapes that do not meet
        if getattr(left, "shape", None) != getattr(right, "shape", None): return False
        raise


def truth(value: Any) -> bool:
    """As in core/asserts.py: what cannot say is not true, and a blank still speaks for itself."""
    try:
        return bool(value)
    except NotImplementedError:
        raise
    except Exception:
        return False


def brief(value: Any) -> str:
    try:
        return text_of(value)[:200]
    except Exception as problem:        # a learner's __repr__
        return f"<a {type_of(value).__name__} whose repr raises {type_of(problem).__name__}>"


# --------------------------------------------------------------------------------------------- as plain data

def plain(value: Any, room: int, deep: int) -> tuple[Any, int]:
    """A value as JSON, and about how many bytes that is. What is no plain data is told as its kind."""
    kind = type_of(value)
    if value is None or kind is bool: return value, 8
    if is_a(value, int): return whole(value, room)
    if is_a(value, float): return {"float": float.hex(float.__pos__(value))}, 32
    if is_a(value, complex): return {"complex": [float.hex(value.real), float.hex(value.imag)]}, 64
    if is_a(value, str): return bounded(str.__str__(value), len(value), room)
    if is_a(value, bytes): return bounded({"bytes": value.hex()} if len(value) < room else "", len(value),
                                          room)
    if deep <= 0: return opaque(value)
    if is_a(value, (tuple, list)):
        name = "tuple" if is_a(value, tuple) else "list"
        items = tuple.__iter__(value) if name == "tuple" else list.__iter__(value)
        return several(name, items, room, deep)
    if is_a(value, (set, frozenset)): return several("set", sorted(value, key=text_of), room, deep)
    if is_a(value, dict):
        return several("dict", (x for pair in dict.items(value) for x in pair), room, deep)
    if is_a(value, range): return {"range": [value.start, value.stop, value.step]}, 24
    if is_a(value, type): return {"type": f"{value.__module__}.{value.__qualname__}"}, 64
    return of_numpy(value, room)


def whole(value: int, room: int) -> tuple[Any, int]:
    number = int.__index__(value)
    size = number.bit_length() // 8 + 8
    return ({"int": hex(number)}, size) if size < min(room, 4096) else opaque(value)


def bounded(told: Any, size: int, room: int) -> tuple[Any, int]:
    return (told, size + 8) if size < room else ({OPAQUE: "too long"}, 8)


def several(name: str, items: Any, room: int, deep: int) -> tuple[Any, int]:
    told, size = [], 16
    for item in items:
        one, more = plain(item, room - size, deep - 1)
        told.append(one)
        size += more
        if size > room: return {OPAQUE: "too much"}, 8
    return {name: told}, size


def of_numpy(value: Any, room: int) -> tuple[Any, int]:
    """Arrays, NumPy's scalars and dtypes, and a Tensor, whose numbers are in `array`."""
    np = sys.modules.get("numpy")
    if np is None: return opaque(value)
    if is_a(value, np.dtype): return {"dtype": value.str}, 16
    inside = value
    if not is_a(value, (np.ndarray, np.generic)):
        inside = getattr(value, "array", None)
        if not is_a(inside, np.ndarray): return opaque(value)
    array = np.asarray(inside)
    if array.dtype.kind not in "?biufc" or array.nbytes > room: return opaque(value)
    data = encode(np.ndarray.tobytes(array)).decode("ascii")
    whole_array = is_a(value, np.ndarray)
    name = "array" if whole_array else "scalar" if inside is value else "tensor"
    return {name: [array.dtype.str, list(array.shape), data]}, 2 * array.nbytes + 64


def opaque(value: Any) -> tuple[Any, int]: return {OPAQUE: type_of(value).__name__}, 32
