"""What the milestones share: named tests about measured numbers, and the report they end in.

A milestone is a program that uses a learner's `tinytorch` for something real. `test` runs under it hold their
measurements against plain NumPy; a test that fails says what was expected, what came, and what that means.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path

import numpy as np


class Wrong(Exception):
    """A measurement that came out wrong, in one sentence and two values."""

    def __init__(self, message: str, expected="", got=""):
        super().__init__(message)
        self.message, self.expected, self.got = message, str(expected), str(got)


class Gates:
    """The tests of one milestone in the order of their definition."""

    def __init__(self):
        self.tests, self.numbers = [], {}

    def test(self, name: str):
        """Register the decorated function as the test called `name`."""
        def register(f):
            self.tests.append((name, f))
            return f
        return register

    def run(self, show=print) -> bool:
        """Run every test, `show` one line for each, hand in the report; did all pass?"""
        results = []
        for name, f in self.tests:
            begin = time.perf_counter()
            result = {"name": name, **verdict(f), "seconds": round(time.perf_counter() - begin, 4)}
            show(f"{result['status']:>8}  {name}" + (f": {result['message']}" if result["message"] else ""))
            results.append(result)
        hand_in({"tests": results, "numbers": self.numbers})
        return all(r["status"] == "passed" for r in results)


def verdict(test) -> dict:
    """Status, message, expected and got of one test."""
    status, message, expected, got = "passed", "", "", ""
    try:
        test()
    except Wrong as wrong:
        status, message, expected, got = "failed", wrong.message, wrong.expected, wrong.got
    except NotImplementedError as blank:
        status, message = "todo", str(blank)
    except Exception as error:          # learner's code may raise anything; the report carries it
        status, message = "error", f"{type(error).__name__}: {error}{place(error)}"
    return {"status": status, "message": message, "expected": expected, "got": got}


def place(error: Exception) -> str:
    """The learner's own line on which an error was raised, in brackets, if it was one of theirs."""
    package = Path(sys.modules["tinytorch"].__file__).parent
    frames = [(Path(f.filename), f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    own = [f" (tinytorch/{path.relative_to(package)}, line {line})" for path, line in frames
           if path.is_relative_to(package) and path.name != "_missing.py"]      # that one speaks for itself
    return own[-1] if own else ""


def hand_in(report: dict):
    """One line of JSON to the file, or the open descriptor, that TITO_REPORT names."""
    where = os.environ.get("TITO_REPORT")
    if not where: return
    where = int(where) if where.isdecimal() else where
    with open(where, "a", encoding="utf-8") as out:         # noqa: PTH123 - Path.open cannot open a descriptor
        out.write(json.dumps(report) + "\n")


def close(got: np.ndarray, expected: np.ndarray, message: str, tolerance=1e-5):
    """Wrong, unless shapes agree and no value is further off than tolerance · max(1, |expected|)."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        raise Wrong(message, f"shape {expected.shape}", f"shape {got.shape}")
    off = ~(np.abs(got - 1.0 * expected) <= tolerance * np.maximum(1, np.abs(expected)))    # so is nan
    if off.any():
        at = tuple(int(i) for i in np.argwhere(off)[0])
        where = f" at {list(at)}" if at else ""
        others = f" ({off.mean():.1%} of all values are off)" if at else ""
        raise Wrong(message, f"{expected[at]:.6g}{where}", f"{got[at]:.6g}{where}{others}")
