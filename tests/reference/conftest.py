"""A line of a program, run on PyTorch and on TinyTorch: do they agree?

Tables of such lines are the tests of the appendices. In a line, `t` is the library; `;` ends a statement, and
the last expression is what both must agree on: values, dtype, shape, and which kind of error.
"""

import os
import warnings
from numbers import Number
from pathlib import Path

import numpy as np
import pytest

import tinytorch

TOLERANCE = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-12}


@pytest.fixture
def data() -> Path:
    """The folder of real data: TINYTORCH_REAL_DATA, or shared/data beside the checkout."""
    given = os.environ.get("TINYTORCH_REAL_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir(): pytest.skip(f"there is no real data in {folder}")
    return folder


@pytest.fixture
def agree():
    torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")

    def check(line: str, names=lambda t: {}, strides: bool = False, tolerance: float = 1.0) -> None:
        theirs, ours = Outcome(torch, line, names), Outcome(tinytorch, line, names)
        if theirs.error or ours.error:
            same_error(ours, theirs)
            return
        same(ours.value, theirs.value, tolerance)
        if strides: same_walks(ours, theirs)
    return check


class Outcome:
    """What a line gives, or the error it ends in, and what it started from."""

    def __init__(self, library, line: str, names):
        *statements, last = line.split(";")
        self.given, self.value, self.error = names(library), None, None
        scope = {"t": library, "np": np, "inf": np.inf, "nan": np.nan, **self.given}
        with warnings.catch_warnings():
            if library is not tinytorch: warnings.simplefilter("ignore")
            try:
                for statement in statements: exec(statement.strip(), scope)
                self.value = eval(last.strip(), scope)
            except Exception as error:
                self.error = error

    def shows(self, part) -> bool:
        """Whether this part of the value shows memory of a tensor that was given."""
        given = [x.detach().numpy() for x in self.given.values() if is_tensor(x)]
        return any(np.may_share_memory(part.detach().numpy(), memory) for memory in given)


def is_tensor(x) -> bool: return hasattr(x, "stride") and hasattr(x, "dtype")


def parts(value) -> list:
    """The tensors in a value."""
    if isinstance(value, (tuple, list)): return [x for part in value for x in parts(part)]
    return [value] if is_tensor(value) else []


def same_error(ours: Outcome, theirs: Outcome) -> None:
    """An `except` written for PyTorch's error must catch ours, too."""
    if ours.error is None: raise AssertionError(f"gave {ours.value!r}; PyTorch: {theirs.error!r}")
    if theirs.error is None: raise ours.error
    kind = type(theirs.error)
    if kind is NotImplementedError: kind = RuntimeError, TypeError      # for this dtype, that is
    if not isinstance(ours.error, kind):
        raise AssertionError(f"{ours.error!r} is no {theirs.error!r}") from ours.error


def same(ours, theirs, tolerance: float) -> None:
    """Equal in kind and in value, part by part."""
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), f"{len(ours)} results for {len(theirs)}"
        for mine, other in zip(ours, theirs): same(mine, other, tolerance)
    elif is_tensor(theirs):
        same_tensor(ours, theirs.detach(), tolerance)
    elif isinstance(theirs, float):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6 * tolerance)
    elif isinstance(theirs, (Number, str, type(None))):
        assert type(ours) is type(theirs) and ours == theirs, f"{ours!r} is not {theirs!r}"
    else:
        assert repr(ours).replace("tinytorch", "torch") == repr(theirs)


def same_tensor(ours, theirs, tolerance: float) -> None:
    kind = str(theirs.dtype).removeprefix("torch.")
    assert isinstance(ours, tinytorch.Tensor), f"{type(ours)} is no tensor"
    assert tuple(ours.shape) == tuple(theirs.shape), f"shape {tuple(ours.shape)}, not {tuple(theirs.shape)}"
    assert ours.dtype.name == kind, f"dtype {ours.dtype.name}, not {kind}"
    close = TOLERANCE.get(kind, 0) * tolerance
    np.testing.assert_allclose(ours.array, theirs.numpy(), rtol=close, atol=close, equal_nan=True)


def same_walks(ours: Outcome, theirs: Outcome) -> None:
    """The same strides (where a length of 1 does not hide them), and a view where PyTorch has one."""
    for mine, other in zip(parts(ours.value), parts(theirs.value)):
        if other.numel() == 0: continue
        steps = list(zip(mine.stride(), other.stride(), other.shape))
        assert all([a == b for a, b, n in steps if n > 1]), f"strides {mine.stride()}, not {other.stride()}"
        assert ours.shows(mine) == theirs.shows(other), f"a view in one library only: {ours.shows(mine)} here"
