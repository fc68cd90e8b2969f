# Generated from modules/09_autograd/appendix_rules_linalg.py by `tito export`. Edit that file, not this one.
"""Gradients of linear algebra: norms, distances, inverses, decompositions."""

from __future__ import annotations

import math

import numpy as np

from .autograd import bare, over
from .devices import beside
from .elementwise import pow_, sign, where
from .linalg import cholesky, det, eigh, inv, matrix_rank, pinv, qr, slogdet, solve, svd, vector_norm
from .overwriting import zeros_beside
from .products import cdist
from .receipts import gradient, no_gradient
from .rules_shaping import given
from .rules_totals import the_others
from .shaping import cat, diag_embed, diagonal, narrow, places, tril, triu, unsqueeze
from .tensor import Tensor

__all__ = [
    "direction", "nonzero", "column", "nearly_flat", "halved", "tall_qr", "diagonal_alone", "factored",
    "off_diagonal", "gaps", "skew", "thin",
]


def direction(x, length, p: float, axis):
    """How the p-norm of the numbers along some axes, their `length`, answers to each of them."""
    if p == 0: return x * 0
    if p == 1: return sign(x)
    if p == 2: return x / nonzero(length)
    if abs(p) == math.inf:
        won = np.abs(x) == length
        return where(won, sign(x), 0.0) / where(won, 1.0, 0.0).sum(axis=axis, keepdims=True)
    if p < 1:
        bent = where(x == 0, 0.0, sign(x) * pow_(np.abs(nonzero(x)), p - 1))
        return bent * pow_(length, 1 - p)
    return sign(x) * pow_(np.abs(x), p - 1) / where(length == 0, 1.0, pow_(length, p - 1))


def nonzero(x): return x + (x == 0)


@gradient(vector_norm)
def _(g, out, x, ord, dim, keepdim):
    axis = tuple(range(x.ndim)) if dim is None else places(dim, x.ndim) if x.ndim else ()
    g, length = over(g, axis, keepdim, x.ndim), over(out, axis, keepdim, x.ndim)
    return g * direction(x, length, ord, axis),


@gradient(cdist)
def _(g, out, x, y, p):
    if p == 2 and max(x.shape[-2], y.shape[-2]) > 25:
        pull = where(out == 0, 0.0, g / nonzero(out))
        return (lambda: unsqueeze(pull.sum(axis=-1), -1) * x - pull @ y,
                lambda: unsqueeze(pull.sum(axis=-2), -1) * y - pull.mT @ x)
    difference = unsqueeze(x, -2) - unsqueeze(y, -3)                                    # (*, n, m, k)
    pull = unsqueeze(g, -1) * direction(difference, unsqueeze(out, -1), p, (-1,))
    return lambda: pull.sum(axis=-2), lambda: -pull.sum(axis=-3)


@gradient(inv)
def _(g, out, _A): return -(out.mT @ g @ out.mT),


@gradient(solve)
def _(g, out, A, B, left):
    """The gradient of B solves an equation of its own, with the transpose of A."""
    if B.ndim == 1 or tuple(B.shape) == tuple(A.shape[:-1]):
        dB = solve(A.mT, g)
        return lambda: -unsqueeze(dB, -1) * unsqueeze(out, -2), dB
    dB = solve(A.mT, g, left=left)
    return lambda: -(dB @ out.mT if left else out.mT @ dB), dB


@gradient(slogdet)
def _(g, _out, A): return column(g[1]) * inv(A).mT if g[1] is not None else zeros_beside(g[0], A.shape),


def column(g): return unsqueeze(unsqueeze(g, -1), -1)


@gradient(det)
def _(g, out, A):
    if not nearly_flat(bare(A), bare(out)): return column(g * out) * inv(A).mT,
    U, stretch, Vh = svd(A, False)
    return column(g * det(U) * det(Vh)) * ((U * unsqueeze(the_others(stretch, -1), -2)) @ Vh),


def nearly_flat(A, volume) -> bool:
    """Whether a volume is 0 up to rounding; the product of the rows' lengths is the largest there can be."""
    largest = np.sqrt((A * A).sum(axis=-1)).prod(axis=-1)
    return bool((np.abs(volume) <= A.shape[-1] * np.finfo(A.dtype).eps * largest).any())


@gradient(pinv)
def _(g, out, A):
    """The rule of `inv`, and two terms about what A forgets, which are 0 where it forgets nothing."""
    K = g.mT
    return (-(out.mT @ g @ out.mT) + (K - A @ (out @ K)) @ out @ out.mT
            + out.mT @ out @ (K - (K @ out) @ A)),


def halved(X):
    """The lower triangle with half of the diagonal."""
    return tril(X) - diag_embed(diagonal(X, 0, -2, -1)) * 0.5


@gradient(cholesky)
def _(g, out, _A, upper):
    L, g = (out.mT, g.mT) if upper else (out, g)
    middle = halved(L.mT @ g)
    middle = 0.5 * (middle + middle.mT)
    return solve(L.mT, solve(L, middle, left=False)),


@gradient(qr)
def _(g, out, A, mode):
    if mode == "r": raise RuntimeError('the gradient of qr needs Q, which the mode "r" does not compute')
    n, m = A.shape[-2:]
    if mode == "complete" and n > m: raise RuntimeError("a complete Q of a tall matrix has no gradient")
    Q, R = factored(A, out, qr, mode)
    gQ, gR = given(g, out)
    if n >= m: return tall_qr(gQ, gR, Q, R),
    (U, gU), gV = (narrow(R, -1, 0, n), narrow(gR, -1, 0, n)), narrow(gR, -1, n, m - n)
    return cat([tall_qr(gQ + narrow(A, -1, n, m - n) @ gV.mT, gU, Q, U), Q @ gV], -1),


def tall_qr(gQ, gR, Q, R):
    """The gradient of a matrix with at least as many rows as columns."""
    turn = triu(gR @ R.mT - Q.mT @ gQ)
    return solve(R.mT, gQ + Q @ (turn + turn.mT - diagonal_alone(turn)), left=False)


def diagonal_alone(X): return diag_embed(diagonal(X, 0, -2, -1))


def factored(A, out, op, *settings):
    """The outputs; with their history, where A has one."""
    return op(A, *settings) if isinstance(A, Tensor) else out


@gradient(eigh)
def _(g, out, A, UPLO):
    L, V = factored(A, out, eigh, UPLO)
    if g[1] is None: return V * unsqueeze(g[0], -2) @ V.mT,
    inner = (V.mT @ g[1]) * off_diagonal(V) / gaps(L)
    return V @ (inner if g[0] is None else inner + diag_embed(g[0])) @ V.mT,


def off_diagonal(X):
    """0 on the diagonal, 1 elsewhere."""
    return 1 - beside(np.eye(X.shape[-1], dtype=bare(X).dtype), bare(X))


def gaps(L):
    """L_j - L_i at row i, column j; 1 on the diagonal."""
    return unsqueeze(L, -2) - unsqueeze(L, -1) + 1 - off_diagonal(L)


@gradient(svd)
def _(g, out, A, full_matrices):
    U, S, Vh = thin(factored(A, out, svd, full_matrices), A)
    gU, gS, gVh = g if g[0] is None and g[2] is None else thin(g, A)
    if gU is None and gVh is None: return U * unsqueeze(gS, -2) @ Vh,
    middle = 0.0 if gS is None else diag_embed(gS)
    if gU is not None: middle = middle + skew(U.mT @ gU) / gaps(S * S) * unsqueeze(S, -2)
    if gVh is not None: middle = middle + unsqueeze(S, -1) * (skew(Vh @ gVh.mT) / gaps(S * S))
    dA = U @ middle @ Vh
    if gU is not None and U.shape[-2] > U.shape[-1]: dA = dA + (gU - U @ (U.mT @ gU)) / unsqueeze(S, -2) @ Vh
    if gVh is not None and Vh.shape[-1] > Vh.shape[-2]:
        dA = dA + U @ ((gVh - (gVh @ Vh.mT) @ Vh) / unsqueeze(S, -1))
    return dA,


def skew(X): return X - X.mT


def thin(parts, A):
    """U, S and Vh, or their gradients, without the columns and rows that no stretch belongs to."""
    k = min(A.shape[-2:])
    U, S, Vh = parts
    return None if U is None else narrow(U, -1, 0, k), S, None if Vh is None else narrow(Vh, -2, 0, k)


no_gradient(matrix_rank)
