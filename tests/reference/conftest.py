"""A line of a program, run on PyTorch and on TinyTorch: do they agree?

Tables of such lines are the tests of the appendices. In a line, `t` is the library; `;` ends a statement, and
the last expression is what both must agree on: values, dtype, shape, and which kind of error.
"""

import warnings
from numbers import Number

import numpy as np
import pytest

import tinytorch

TOLERANCE = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-12}

# Of layers, losses and what they are made of. The error is measured against the largest number of a result,
# and not against each: a sum of many terms that cancel has the rounding errors of its terms, however small it
# is, and PyTorch, which adds them in another order, has others of the same size.
LAYERS = {"float16": 2e-3, "float32": 1e-5, "float64": 1e-10}


@pytest.fixture(params=["fast", "numpy"])
def each_choice(request):
    """Kernels, and plain bodies alone, so that neither is forgotten; other tests run as usual."""
    with tinytorch.backends.use_kernels(request.param): yield


@pytest.fixture
def agree():
    """Whether single operations agree: every number of the result, to a few units in its last place."""
    return Comparison()


@pytest.fixture
def agree_as_layers():
    """Whether layers agree: to 1e-5 of the largest number of a result in float32, 1e-10 in float64."""
    return Comparison(LAYERS)


class Comparison:
    """Runs a line on both libraries, and holds the outcomes against each other."""

    def __init__(self, of_largest: dict[str, float] | None = None):
        self.of_largest = of_largest
        self.torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install "
                                                         "'tinytorch-tito[dev]'")

    def __call__(self, line: str, names=lambda t: {}, strides: bool = False, tolerance: float = 1.0) -> None:
        theirs, ours = Outcome(self.torch, line, names), Outcome(tinytorch, line, names)
        if theirs.error or ours.error:
            same_error(ours, theirs)
            return
        same(ours.value, theirs.value, self.of_largest or tolerance)
        if strides: same_walks(ours, theirs)


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


def same(ours, theirs, tolerance: float | dict[str, float]) -> None:
    """Equal in kind and in value, part by part; a dict holds bounds relative to the largest of a part."""
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), f"{len(ours)} results for {len(theirs)}"
        for mine, other in zip(ours, theirs): same(mine, other, tolerance)
    elif is_tensor(theirs):
        same_tensor(ours, theirs.detach(), tolerance)
    elif isinstance(theirs, float):
        close = 1e-6 if isinstance(tolerance, dict) else 1e-6 * tolerance
        np.testing.assert_allclose(ours, theirs, rtol=close)
    elif isinstance(theirs, (Number, str, type(None))):
        assert type(ours) is type(theirs) and ours == theirs, f"{ours!r} is not {theirs!r}"
    else:
        assert repr(ours).replace("tinytorch", "torch") == repr(theirs)


def same_tensor(ours, theirs, tolerance: float | dict[str, float]) -> None:
    kind = str(theirs.dtype).removeprefix("torch.")
    assert isinstance(ours, tinytorch.Tensor), f"{type(ours)} is no tensor"
    assert tuple(ours.shape) == tuple(theirs.shape), f"shape {tuple(ours.shape)}, not {tuple(theirs.shape)}"
    assert ours.dtype.name == kind, f"dtype {ours.dtype.name}, not {kind}"
    if isinstance(tolerance, dict):
        numbers = theirs.double()[theirs.isfinite()].abs()
        largest = float(numbers.max()) if numbers.numel() else 0.0
        close, far = 0.0, tolerance.get(kind, 0) * largest
    else: close = far = TOLERANCE.get(kind, 0) * tolerance
    np.testing.assert_allclose(ours.array, theirs.numpy(), rtol=close, atol=far, equal_nan=True)


def same_walks(ours: Outcome, theirs: Outcome) -> None:
    """The same strides (where a length of 1 does not hide them), and a view where PyTorch has one."""
    for mine, other in zip(parts(ours.value), parts(theirs.value)):
        if other.numel() == 0: continue
        steps = list(zip(mine.stride(), other.stride(), other.shape))
        assert all([a == b for a, b, n in steps if n > 1]), f"strides {mine.stride()}, not {other.stride()}"
        assert ours.shows(mine) == theirs.shows(other), f"a view in one library only: {ours.shows(mine)} here"


# Gradients. A line's floats want gradients; what comes out is weighed, added up and sent back, in both
# libraries, in float32 and in float64, and a second time through the gradients themselves. Where a function
# is smooth, central differences in float64 are asked as well.

GRADIENTS_AGREE = {"float32": 1e-5, "float64": 1e-9}


@pytest.fixture
def same_gradients():
    torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")

    def check(line: str, names, smooth: bool = True, tolerance: float = 1.0) -> None:
        for kind in GRADIENTS_AGREE:
            theirs, ours = Slopes(torch, line, names, kind), Slopes(tinytorch, line, names, kind)
            close = GRADIENTS_AGREE[kind] * tolerance
            agreeing(ours.first, theirs.first, close, "the gradient")
            agreeing(ours.short, theirs.first, close, "the gradient without a graph")
            if theirs.second is not None:
                if not smooth: ours.second = forgiven(ours.second, theirs.second)
                agreeing(ours.second, theirs.second, 10 * close, "the second gradient", scale=1e-3)
        if smooth: agreeing(ours.measured(), ours.first, 2e-5, "the central difference", scale=1.0)
    return check


class Slopes:
    """The gradients of a line for the floats in it, and the gradients of these."""

    def __init__(self, library, line: str, names, kind: str):
        self.library, self.line = library, line
        self.code = compile(line, line, "eval")
        self.scope = {"t": library, "np": np, "inf": np.inf, "nan": np.nan, **names(library)}
        given = [(name, self.scope[name]) for name in self.code.co_names if name in self.scope]
        self.wanted = [name for name, x in given if is_float(x)]
        for name in self.wanted: self.scope[name] = leaf(self.scope[name].to(getattr(library, kind)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning if library is tinytorch else Warning)  # inf - inf
            self.first = self.numbers(self.grads(self.total(), True))
            self.short = self.numbers(self.grads(self.total(), False)) if library is tinytorch else None
            self.second = self.twice()

    def total(self):
        """All that comes out, each number with a weight of its own, added up."""
        found = [part for part in parts(eval(self.code, self.scope)) if is_float(part) and part.requires_grad]
        return self.weighed(found, 1)

    def weighed(self, found, start: int):
        sums = [(part * self.library.tensor(weights(part, start + n), dtype=part.dtype)).sum()
                for n, part in enumerate(found)]
        return sum(sums[1:], sums[0])

    def grads(self, total, create_graph: bool):
        leaves = [self.scope[name] for name in self.wanted]
        return self.library.autograd.grad(total, leaves, create_graph=create_graph, allow_unused=True)

    def numbers(self, grads) -> dict:
        """The gradients as arrays; none is zeros."""
        found = dict(zip(self.wanted, grads))
        return {name: np.zeros(tuple(self.scope[name].shape)) if g is None else g.numpy(force=True)
                for name, g in found.items()}

    def twice(self) -> dict | None:
        """The gradients of the gradients; None where PyTorch has none."""
        try:
            first = [g for g in self.grads(self.total(), True) if g is not None and g.requires_grad]
            if not first: return self.numbers([None] * len(self.wanted))
            return self.numbers(self.grads(self.weighed(first, 5), False))
        except RuntimeError as error:
            if self.library is tinytorch or "not implemented" not in str(error): raise
            return None

    def measured(self) -> dict:
        """The same by nudging every number up and down."""
        found = {}
        for name in self.wanted:
            x = self.scope[name] = leaf(self.scope[name].detach().clone())
            found[name] = np.zeros(x.array.shape)
            for place in np.ndindex(x.array.shape):
                there = x.array[place]
                above, below = [self.at(x, place, there + step) for step in (1e-6, -1e-6)]
                x.array[place] = there
                found[name][place] = (above - below) / 2e-6
        return found

    def at(self, x, place, value) -> float:
        x.array[place] = value
        return float(self.total().array)


def leaf(x):
    x = x.detach()
    x.requires_grad = True
    return x


def is_float(x) -> bool: return is_tensor(x) and x.dtype.is_floating_point


def weights(part, start: int):
    """Numbers of both signs, all different."""
    n = int(np.prod(tuple(part.shape)))
    return np.cos(0.7 * np.arange(n) + start).reshape(tuple(part.shape))


def forgiven(ours: dict, theirs: dict) -> dict:
    """Where there is no slope, PyTorch's second gradient is often nan by accident; a number is no worse."""
    return {name: np.where(np.isnan(wanted), np.nan, ours[name]) for name, wanted in theirs.items()}


def agreeing(ours: dict, theirs: dict, close: float, what: str, scale: float = 0.0) -> None:
    for name, wanted in theirs.items():
        finite = np.abs(wanted[np.isfinite(wanted)])
        size = max(finite.max(initial=0), scale)
        np.testing.assert_allclose(ours[name], wanted, rtol=close, atol=close * size, equal_nan=True,
                                   err_msg=f"{what} for {name}")
