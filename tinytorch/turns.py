# Generated from modules/05_dense/appendix_turns.py by `tito export`. Edit that file, not this one.
"""Orthogonal weights."""

from __future__ import annotations

from .creation import eye
from .elementwise import allclose, sign
from .errors import shape_of
from .layers import Module
from .linalg import geqrf, householder_product, matrix_exp, solve
from .parametrize import register_parametrization
from .randomness import randn
from .shaping import cat, tril
from .tensor import Tensor, matmul, sum_

__all__ = ["right_angled", "tall", "ones_like", "cayley", "mirrored", "is_turn", "orthogonal"]


def right_angled(A: Tensor) -> Tensor:
    """The columns of A made orthogonal, as qr does with a diagonal above 0."""
    mirrors, tau = geqrf(A)
    return householder_product(mirrors, tau) * sign(mirrors.diagonal(0, -2, -1)).unsqueeze(-2)


def tall(X: Tensor) -> Tensor: return X.mT if X.shape[-2] < X.shape[-1] else X
def ones_like(X: Tensor) -> Tensor: return eye(*X.shape[-2:], dtype=X.dtype, device=X.device)


def cayley(A: Tensor) -> Tensor:
    """Cayley's turn.  (*, n, n) -> (*, n, n)"""
    half, one = A * 0.5, ones_like(A)
    return solve(one - half, one + half)


def mirrored(X: Tensor) -> Tensor:
    """A product of mirrors, one for each column; the diagonal holds signs.  (*, n, k) -> (*, n, k)"""
    A = tril(X, -1)
    Q = householder_product(A, 2 / (1 + sum_(A * A, -2)))
    return Q * X.detach().diagonal(0, -2, -1).trunc().unsqueeze(-2)


class _Orthogonal(Module):
    """A turn, from numbers that may be any."""

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True):
        super().__init__()
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization: self.register_buffer("base", None)

    has_base = property(lambda self: "base" in self._buffers)

    def forward(self, X):
        Q, (n, k) = tall(X), tall(X).shape[-2:]
        if self.orthogonal_map == "householder": Q = mirrored(Q)
        else:
            Q = cat([tril(Q), Q.new_zeros(*Q.shape[:-1], n - k)], -1)
            Q = (cayley if self.orthogonal_map == "cayley" else matrix_exp)(Q - Q.mT)[..., :k]
        if self.has_base: Q = matmul(self.base, Q)
        return Q if Q.shape == X.shape else Q.mT

    def right_inverse(self, Q):
        if Q.shape != self.shape:
            raise ValueError(f"a matrix of {tuple(self.shape)} is not replaced by one of {tuple(Q.shape)}")
        found, (n, k) = tall(Q), tall(Q).shape[-2:]
        if self.has_base:
            if n > k: found = cat([found, randn(*found.shape[:-1], n - k, dtype=Q.dtype)], -1)
            self.base = found.clone() if is_turn(found) else right_angled(found)
            return Q * 0 - ones_like(Q)
        if self.orthogonal_map != "householder":
            raise NotImplementedError(f"without a base nobody knows how to undo {self.orthogonal_map!r}")
        mirrors, tau = geqrf(found)
        signs = sign(mirrors.diagonal(0, -2, -1)) * (1 - 2 * (tau == 0).to(Q.dtype))
        stored = mirrors + ones_like(mirrors) * (signs.unsqueeze(-2) - mirrors)
        return stored if stored.shape == Q.shape else stored.mT


def is_turn(Q: Tensor) -> bool:
    """Whether a square matrix is orthogonal already, up to rounding."""
    if Q.shape[-1] != Q.shape[-2]: return False
    return allclose(Q.mT @ Q, ones_like(Q), atol=10 * Q.shape[-1] * float(Q.dtype.limits.eps))


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
    use_trivialization: bool = True,
) -> Module:
    """Computes a weight as a turn: by "matrix_exp", "cayley" or "householder"."""
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {name!r} to compute")
    if weight.ndim < 2: raise ValueError(f"a turn is a matrix, or a batch of them, not {shape_of(weight)}")
    square = weight.shape[-1] == weight.shape[-2]
    chosen = orthogonal_map or ("matrix_exp" if square else "householder")
    if chosen not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(f"orthogonal_map is matrix_exp, cayley or householder, not {chosen!r}")
    turn = _Orthogonal(weight, chosen, use_trivialization=use_trivialization)
    return register_parametrization(module, name, turn, unsafe=True)
