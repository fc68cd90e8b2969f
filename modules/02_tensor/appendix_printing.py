# %% [markdown]
# # Appendix: printing numbers
#
# A tensor of a million numbers should fit on your screen, its columns should stand under each other, and
# nobody should have to count zeros after the point. PyTorch found good answers to this, and so that you can
# compare the two line by line, yours prints the same characters.

# %%
#| export
"""Arrays as PyTorch prints them."""

# %%
#| export
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinytorch.dtypes import bool_, device_of, dtype_of, get_default_dtype, int64

# %% [markdown]
# Four numbers say how much is shown and how wide; the fifth, `sci_mode`, forces or forbids powers of ten.

# %%
#| export
PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}
_options: dict = {**PROFILES["default"], "sci_mode": None}


def get_printoptions() -> dict:
    """How tensors are printed now, as `set_printoptions` takes it."""
    return dict(_options)


def set_printoptions(
    precision: int | None = None,       # digits after the point
    threshold: float | None = None,     # more numbers than this, and the middle is left out
    edgeitems: int | None = None,       # how many are left at each end of each dimension
    linewidth: int | None = None,       # characters in a line
    profile: str | None = None,         # "default", "short" or "full"; what else is given goes on top
    sci_mode: bool | None = None,       # powers of ten: always, never, or (None) when they help
) -> None:
    """Changes how tensors are printed from now on."""
    if profile is not None and profile not in PROFILES:
        raise ValueError(f"there is no profile {profile!r}: choose from {', '.join(PROFILES)}")
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update(PROFILES.get(profile, {}))
    _options.update({name: value for name, value in given.items() if value is not None})
    _options["sci_mode"] = sci_mode


@contextmanager
def printoptions(**options) -> Iterator[None]:
    """`with printoptions(precision=2):` prints so inside the block."""
    before = get_printoptions()
    set_printoptions(**options)
    try: yield
    finally: set_printoptions(**before)

# %% [markdown]
# **One style for all numbers of a tensor**, so that they can be compared at a glance. Floats that happen to
# be whole are written `3.`; when the largest is a thousand times the smallest, or either is extreme, all
# are written as powers of ten. Zeros, infinities and nan have no say in it.

# %%
#| export
def style_of(numbers: list[float]) -> Callable[[float], str]:
    """How to write floats, given those among them that are finite and not zero."""
    powers, whole = _options["sci_mode"], all([x == math.ceil(x) for x in numbers])
    if powers is None: powers = far_apart([abs(x) for x in numbers])
    if numbers and powers: return f"{{:.{_options['precision']}e}}".format
    return whole_float if whole else f"{{:.{_options['precision']}f}}".format


def far_apart(sizes: list[float]) -> bool:
    if not sizes: return False
    small, large = min(sizes), max(sizes)
    return large / small > 1000 or large > 1e8 or small < 1e-4


def whole_float(x: float) -> str:
    return f"{x:.0f}." if math.isfinite(x) else f"{x:.0f}"


def column(numbers: list) -> tuple[Callable, int]:
    """How to write any of these numbers, and how wide the column is that they stand in."""
    style: Callable = str
    if isinstance(numbers[0], float):
        numbers = [x for x in numbers if x and math.isfinite(x)]
        style = style_of(numbers)
    width = max([len(style(x)) for x in numbers], default=1)
    return lambda x: style(x).rjust(width), width

# %% [markdown]
# **A large tensor shows its edges.** The middle is cut out of the array first, so that printing a million
# numbers costs as much as printing six; afterwards, dots stand wherever there are fewer numbers than the
# shape says.

# %%
#| export
def edges(array, n: int):
    """The first and the last `n` places of every dimension that has more."""
    for dim, length in enumerate(array.shape):
        if length > 2 * n: array = array[(slice(None),) * dim + ([*range(n), *range(-n, 0)],)]
    return array


def flat(rows) -> list:
    return [x for row in rows for x in flat(row)] if isinstance(rows, list) else [rows]


def block(rows, shape: tuple[int, ...], write: Callable, width: int, indent: int) -> str:
    """Nested lists in brackets, with dots for what `shape` promises and `rows` does not hold."""
    if not shape: return write(rows)
    inner = len(shape) == 1
    parts = [write(x) if inner else block(x, shape[1:], write, width, indent + 1) for x in rows]
    if len(parts) < shape[0]: parts.insert(len(parts) // 2, " ..." if inner and parts else "...")
    gap = " " * (indent + 1)
    if not inner: return "[" + ("," + "\n" * (len(shape) - 1) + gap).join(parts) + "]"
    fit = max(1, (_options["linewidth"] - indent) // (width + 2))
    lines = [", ".join(parts[i : i + fit]) for i in range(0, len(parts), fit)]
    return "[" + f",\n{gap}".join(lines) + "]"

# %%
#| export
def numbers_of(array, indent: int) -> str:
    """The numbers in their brackets."""
    if array.size == 0: return "[]"
    shown = edges(array, _options["edgeitems"]) if array.size > _options["threshold"] else array
    rows = shown.tolist()
    write, width = column(flat(rows) or [0])
    return block(rows, array.shape, write, width, indent)

# %% [markdown]
# Behind the numbers stands what they do not say themselves: the device unless it is the CPU, the shape of
# an empty tensor, the dtype unless it is one of the usual, and whether gradients are wanted or how the
# tensor was made.

# %%
#| export
def facts(array, requires_grad: bool, receipt) -> Iterator[str]:
    """What cannot be seen from the numbers."""
    where, kind = device_of(array), dtype_of(array)
    if where.type != "cpu": yield f"device='{where}'"
    seen = array.ndim == 1 if array.size == 0 else _options["edgeitems"] > 0
    if not seen: yield f"size={tuple(array.shape)}"
    usual = (get_default_dtype(), int64, bool_)[: 3 if array.size else 1]
    if kind not in usual: yield f"dtype={kind}"
    if receipt is not None: yield f"grad_fn=<{receipt_name(receipt)}>"
    elif requires_grad: yield "requires_grad=True"


def receipt_name(receipt) -> str:
    """`MulBackward0` for what `mul` made, as PyTorch calls it; `CubeBackward` if a class of the user's made
    it."""
    if isinstance(receipt.op, type): return f"{receipt.op.__name__}Backward"
    name = {"true_divide": "div"}.get(receipt.op.name, receipt.op.name)
    return "".join([word.capitalize() for word in name.split("_")]) + "Backward0"


def describe_array(array, requires_grad: bool = False, receipt=None) -> str:
    """The numbers and the facts, broken into lines where they would not fit."""
    text = "tensor(" + numbers_of(array, indent=7)
    room = _options["linewidth"] - 2                # for the comma or bracket behind the numbers
    for fact in facts(array, requires_grad, receipt):
        fits = len(text) - (text.rfind("\n") + 1) + len(", " + fact) <= room
        if not fits: room = _options["linewidth"]
        text += (", " if fits else ",\n       ") + fact
    return text + ")"
