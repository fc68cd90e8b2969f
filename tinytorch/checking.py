# Generated from modules/09_autograd/appendix_checking.py by `tito export`. Edit that file, not this one.
"""gradcheck and gradgradcheck: derivatives held against measured ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from .autograd import central_difference, grad
from .randomness import rand
from .tensor import Tensor

__all__ = [
    "GradcheckError", "measured", "derived", "as_tuple", "wanting", "gradcheck", "examine", "refuse_unfit",
    "compare_tables", "compare_directions", "direction", "check_zero", "gradgradcheck", "random_like",
]


class GradcheckError(RuntimeError):
    """A gradient is not what was measured."""


def measured(f: Callable, inputs: tuple, place: int, out: int, eps: float) -> np.ndarray:
    """The Jacobian of output `out` for input `place`, by central differences."""
    x, rows = inputs[place].array, []
    for n in np.ndindex(*x.shape):
        there, sides = x[n], []
        for nudge in (eps, -eps):
            x[n] = there + nudge
            sides.append(as_tuple(f(*inputs))[out].array.reshape(-1).copy())
        x[n] = there
        rows.append((sides[0] - sides[1]) / (2 * eps))
    return np.array(rows).reshape(x.size, -1)


def derived(y: Tensor, x: Tensor) -> np.ndarray:
    """The same by backward, a column for each number of y."""
    columns = np.zeros((x.array.size, y.array.size), np.result_type(x.array, np.float32))
    for n in range(y.array.size):
        g = np.zeros_like(y.array)
        g.reshape(-1)[n] = 1
        dx, = grad(y, x, Tensor(g), retain_graph=True, allow_unused=True)
        if dx is not None: columns[:, n] = dx.array.reshape(-1)
    return columns


def as_tuple(x) -> tuple: return tuple(x) if isinstance(x, (tuple, list)) else (x,)
def wanting(some) -> list[Tensor]: return [x for x in some if isinstance(x, Tensor) and x.requires_grad]


def gradcheck(
    func: Callable, inputs, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0, check_undefined_grad: bool = True, check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False, check_forward_ad: bool = False, check_backward_ad: bool = True,
    fast_mode: bool = False, masked: bool | None = None,
) -> bool:
    """Whether the gradients of func at these inputs are those that central differences measure; else
    GradcheckError.

    `fast_mode` compares one number, u · J · v for two random directions, instead of the table J.
    """
    try:
        examine(func, as_tuple(inputs), eps, atol, rtol, nondet_tol, check_undefined_grad,
                check_grad_dtypes, fast_mode)
    except GradcheckError:
        if raise_exception: raise
        return False
    return True


def examine(func, inputs, eps, atol, rtol, nondet_tol, check_zeros, check_dtypes, fast) -> None:
    """Raises GradcheckError at the first thing that is wrong."""
    refuse_unfit(inputs)
    outs = as_tuple(func(*inputs))
    compare = compare_directions if fast else compare_tables
    some = wanting(outs)
    for out, y in enumerate(outs):
        for place, x in enumerate(inputs):
            if not (isinstance(x, Tensor) and x.requires_grad and isinstance(y, Tensor)): continue
            if not y.requires_grad:
                if not some and measured(func, inputs, place, out, eps).any():
                    raise GradcheckError("Numerical gradient for function expected to be zero")
                continue
            compare(func, inputs, place, out, y, eps, atol, rtol)
            if abs(derived(y, x) - derived(as_tuple(func(*inputs))[out], x)).max(initial=0) > nondet_tol:
                raise GradcheckError("Backward is not reentrant, i.e., running backward with same input and "
                                     "grad_output multiple times "
                                     "gives different values, although analytical gradient matches numerical "
                                     "gradient. The "
                                     f"tolerance for nondeterminism was {nondet_tol}.")
            check_zero(y, x, check_zeros, check_dtypes)


def refuse_unfit(inputs: tuple) -> None:
    """Says what cannot be measured."""
    for n, x in enumerate(inputs):
        if not (isinstance(x, Tensor) and x.requires_grad): continue
        if x.array.dtype != np.float64:
            warnings.warn(f"Input #{n} requires gradient and is not a double precision floating point or "
                          f"complex. This check will "
                          "likely fail if all the inputs are not of double precision floating point or "
                          "complex. ", stacklevel=4)
        if any([step <= 0 and length > 1 for step, length in zip(x.array.strides, x.shape)]):
            raise RuntimeError(f"The {n}th input has a dimension with stride 0. gradcheck only supports "
                               f"inputs that are non-"
                               "overlapping to be able to compute the numerical gradients correctly. You "
                               "should call .contiguous "
                               "on the input before passing it to gradcheck.")
    if not wanting(inputs):
        raise ValueError("gradcheck expects at least one input tensor to require gradient, but none of them "
                         "have "
                         "requires_grad=True.")


def compare_tables(func, inputs, place, out, y, eps, atol, rtol) -> None:
    numerical, analytical = measured(func, inputs, place, out, eps), derived(y, inputs[place])
    if np.allclose(analytical, numerical, rtol, atol): return
    raise GradcheckError(f"Jacobian mismatch for output {out} with respect to input {place},\n"
                         f"numerical:{Tensor(numerical)}\nanalytical:{Tensor(analytical)}\n")


def compare_directions(func, inputs, place, out, y, eps, atol, rtol) -> None:
    """Walks in a random direction u, and looks at the output from another, v."""
    x, random = inputs[place], np.random.default_rng(0)
    u, v = direction(random, x.shape), random.random(y.shape)
    here = x.array.copy()

    def seen(step: np.ndarray) -> float:
        x.array[...] = here + step * u
        return float((as_tuple(func(*inputs))[out].array * v).sum())
    numerical = central_difference(seen, np.zeros(1), eps)[0]
    x.array[...] = here
    dx, = grad(y, x, Tensor(v.astype(y.array.dtype)), retain_graph=True, allow_unused=True)
    analytical = 0.0 if dx is None else float((dx.array * u).sum())
    if np.allclose(analytical, numerical, rtol, atol * np.abs(u).sum() * np.abs(v).sum()): return
    raise GradcheckError(f"Jacobian mismatch for output {out} with respect to input {place},\n"
                         f"numerical:{numerical}\nanalytical:{analytical}\n\nin fast mode: seen in one "
                         f"random direction")


def direction(random: np.random.Generator, shape: tuple) -> np.ndarray:
    """A random direction of length 1."""
    u = random.random(shape)
    return u / max(np.sqrt((u * u).sum()), 1e-30)


def check_zero(y: Tensor, x: Tensor, check_zeros: bool, check_dtypes: bool) -> None:
    """No gradient in, none out; and what comes out looks like the input."""
    dx, = grad(y, x, Tensor(np.zeros_like(y.array)), retain_graph=True, allow_unused=True)
    if dx is None: return
    if check_zeros and dx.array.any():
        raise GradcheckError("Expected all input grads to be undefined or zero when all output grads are "
                             "undefined or zero.")
    if check_dtypes and dx.dtype is not x.dtype:
        raise GradcheckError(f"the gradient has dtype {dx.dtype}, the input {x.dtype}")
    if dx.shape != x.shape: raise GradcheckError("grad is incorrect size")


def gradgradcheck(
    func: Callable, inputs, grad_outputs=None, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True, nondet_tol: float = 0.0,
    check_undefined_grad: bool = True, check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False, check_rev_over_rev: bool = True, fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """gradcheck of the gradients of func, for the inputs and for what arrives at the outputs."""
    inputs = as_tuple(inputs)
    outs = wanting(as_tuple(func(*inputs)))
    given = tuple([random_like(y) for y in outs]) if grad_outputs is None else as_tuple(grad_outputs)

    def gradients(*args) -> tuple:
        some, arrived = args[: len(inputs)], args[len(inputs) :]
        found = grad(wanting(as_tuple(func(*some))), wanting(some), arrived, create_graph=True,
                     allow_unused=True)
        return tuple([dx for dx in found if dx is not None])
    return gradcheck(gradients, inputs + given, eps=eps, atol=atol, rtol=rtol,
                     raise_exception=raise_exception,
                     nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad,
                     check_grad_dtypes=check_grad_dtypes,
                     fast_mode=fast_mode)


def random_like(y: Tensor) -> Tensor:
    """Numbers between -1 and 1 that want a gradient."""
    out = Tensor((2 * rand(*y.shape).array - 1).astype(y.array.dtype))
    out.wanted = True
    return out
