# Generated from modules/13_kernels/appendix_column.py by `tito export`. Edit that file, not this one.
"""The table of kernels: faster bodies of ops, for each device in order of preference.

    @kernel(gelu)                               # the CPU, in NumPy
    @kernel(gelu, engine="c")                   # the CPU, compiled
    @kernel(gelu, device="cuda")                # arrays of CuPy
    def _(x, approximate="none"):
        if x.dtype != np.float32: return DECLINED
        ...

A body gets what the forward gets: bare arrays by position (their dtypes have met, if the op wants that), the
settings that were given by keyword. So it repeats the forward's defaults. It returns what the forward
returns, `Kept` included, with the same things kept; or DECLINED, and the next body is asked, at last the
forward. It is asked only about arrays of its device, and must not write into what it is given.

    @kernel(gelu, engine="c", gradient=True)    # or device="cuda"
    def _(g, out, x, approximate): ...

is the same for the way back. The body is written as a `@shortcut` is: g, the output, the inputs, then those
settings that it names, and `kept` if it wants what the forward kept. A parameter that begins with an
underscore need not be kept. It returns a gradient, None or a function without arguments for each input, or
DECLINED: then the shortcut of lesson 09 is asked, or the rule.

    @kernel(Adam, engine="c")                   # a step of an optimizer, for one parameter
    def _(optimizer, param, group): ...

replaces `Adam.update`, for Adam and those that inherit its update; it changes the parameter and the state in
place, and returns None or DECLINED.

    @kernel(coins, engine="c")                  # a function of `randomness` that draws
    def _(source, n, p): ...

draws the same numbers from the same words, or DECLINED before it has drawn any.

A body that is registered later is asked earlier. `KERNELS[op, device]` lists the bodies of a device;
whoever appends to WATCHERS is called with the op each time that its bodies change.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

__all__ = ["Declined", "DECLINED", "Kernel", "KERNELS", "PULLS", "WATCHERS", "kernel", "withdraw", "bodies"]


class Declined:
    """What a kernel returns that will not do it; there is one, DECLINED."""

    def __repr__(self): return "DECLINED"
    def __bool__(self): raise TypeError("ask whether a result `is DECLINED`")


DECLINED = Declined()


class Kernel(NamedTuple):
    """A body, and the engine that it needs: "c", "numba", "numpy" or "cuda"."""

    body: Callable
    engine: str


KERNELS: defaultdict = defaultdict(list)        # (op, device) -> kernels, the one to ask first in front
PULLS: defaultdict = defaultdict(list)          # (op, device) -> kernels for the way back
WATCHERS: list[Callable] = []                   # are called with an op whose kernels have changed


def kernel(*ops, device: str = "cpu", engine: str | None = None, gradient: bool = False) -> Callable:
    """`@kernel(gelu, engine="c")` above a function makes it the body of gelu that is asked first."""
    if "tinytorch.switch" in sys.modules: import_module("tinytorch.tables")     # the package's own come first
    if engine is None: engine = "numpy" if device == "cpu" else device
    table = PULLS if gradient else KERNELS

    def enter(body: Callable) -> Callable:
        for op in ops:
            table[op, device].insert(0, Kernel(body, engine))
            for changed in WATCHERS: changed(op)
        return body
    return enter


def withdraw(body: Callable) -> None:
    """Takes a body out of the table again."""
    for table in (KERNELS, PULLS):
        for (op, _), kernels in table.items():
            kept = [one for one in kernels if one.body is not body]
            if len(kept) == len(kernels): continue
            kernels[:] = kept
            for changed in WATCHERS: changed(op)


def bodies(table: dict, op, device: str, engines) -> list[Callable]:
    """The bodies of an op on a device that need one of these engines."""
    return [one.body for one in table.get((op, device), ()) if one.engine in engines]
