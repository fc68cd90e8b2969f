# Generated from modules/02_tensor/appendix_linalg.py by `tito export`. Edit that file, not this one.
"""Linear algebra: norms, inverses, decompositions, and equations to solve."""

from __future__ import annotations

from math import ceil, copysign, inf, log2, prod
from typing import NamedTuple

import numpy as np

from .devices import at_home, beside
from .dtypes import as_dtype, dtype_of
from .elementwise import masked_fill
from .errors import ShapeError, shape_of
from .methods import METHODS, method
from .products import cross as any_cross, length_of
from .shaping import diagonal as any_diagonal, places, several, tril, triu
from .tensor import Op, Tensor, log, matmul, mul, permute, reshape, sum_, true_divide

__all__ = [
    "LinAlgError", "matrices", "has_rows", "square", "on_matrices", "on_squares", "lapack", "vector_norm",
    "matrix_norm", "norm", "det", "slogdet", "logdet", "inv", "inverse", "solve", "solve_triangular",
    "diagonal_ones", "ones_on_diagonal", "matrix_power", "matrix_exp", "cholesky", "qr", "QR", "eigh",
    "cholesky_solve", "cholesky_inverse", "Mirrors", "geqrf", "householder_product", "orgqr", "eigvalsh",
    "svd", "svdvals", "threshold", "matrix_rank", "pinv", "pinverse", "cond", "LeastSquares", "lstsq",
    "tensorsolve", "tensorinv", "multi_dot", "cheapest", "multiplied", "chain_matmul", "cross", "diagonal",
    "vecdot", "vander",
]


class LinAlgError(RuntimeError):
    """A matrix that cannot be inverted, factored or taken apart."""


def matrices(arrays):
    """The inputs of an op that works on matrices: they are floats, and have rows and columns."""
    first = arrays[0]
    if not dtype_of(first).is_floating_point:
        raise RuntimeError(f"linear algebra needs floats, not {dtype_of(first)}: convert with .float()")
    has_rows(first)
    for other in arrays[1:]:
        if other.dtype != first.dtype:
            raise RuntimeError(f"{dtype_of(first)} and {dtype_of(other)} do not meet here: use .to()")
    return arrays


def has_rows(A) -> None:
    if A.ndim < 2: raise ShapeError(f"a matrix has at least 2 dimensions, not the shape {shape_of(A)}")


def square(arrays):
    """The same for matrices that have as many rows as columns."""
    rows, columns = matrices(arrays)[0].shape[-2:]
    if rows != columns: raise ShapeError(f"the matrix must be square, not {rows} by {columns}")
    return arrays


def on_matrices(forward) -> Op: return Op(forward, promote=matrices)


def on_squares(forward) -> Op: return Op(forward, promote=square)


def lapack(name: str, *arrays, **settings):
    """What LAPACK finds, or why it found nothing."""
    try:
        return getattr(np.linalg, name)(*arrays, **settings)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"{name} cannot do this with a matrix of {shape_of(arrays[0])}: {error}") from None


@Op
def vector_norm(x, /, ord=2, dim=None, keepdim=False, *, dtype=None):
    """The p-th root of the sum of p-th powers; inf and -inf: the largest and smallest.  (*) -> (*)"""
    kind = dtype_of(x) if dtype is None else as_dtype(dtype)
    if not dtype_of(x).is_floating_point: raise RuntimeError(f"a norm needs floats, not {dtype_of(x)}")
    if isinstance(ord, str): raise TypeError(f"the order of a vector's norm is a number, not {ord!r}")
    dims = tuple(range(x.ndim)) if dim is None else places(dim, x.ndim) if x.ndim else ()
    if (ord < 0 or ord == inf) and 0 in [x.shape[d] for d in dims]:
        raise ShapeError(f"a norm of order {ord} needs numbers, and {shape_of(x)} has none along dim {dim}")
    wide = kind.numpy if kind.itemsize > 2 else np.float32          # small floats overflow when squared
    return kind.cast(length_of(x.astype(wide, copy=False), ord, dims, keepdim))


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """The size of a matrix.  (*, n, m) -> (*)

    "fro" is the norm of its numbers, "nuc" the sum of its stretches, 2 the largest; 1 and inf are the largest
    sum of a column and of a row. -1, -2 and -inf ask for the smallest.
    """
    has_rows(A)
    rows, columns = places(dim, A.ndim)
    if ord == "fro": return vector_norm(A, 2, (rows, columns), keepdim, dtype=dtype)
    if ord in (1, -1): rows, columns = columns, rows
    if ord in (1, -1, inf, -inf):
        sums = vector_norm(A, 1, columns, True, dtype=dtype)
        return vector_norm(sums, copysign(inf, ord), (rows, columns), keepdim)
    if ord not in ("nuc", 2, -2): raise RuntimeError(f"a matrix has no norm of order {ord!r}")
    values = svdvals(permute(A, [*[d for d in range(A.ndim) if d not in (rows, columns)], rows, columns]))
    out = vector_norm(values, {"nuc": 1, 2: inf, -2: -inf}[ord], -1, dtype=dtype)
    return reshape(out, [1 if d in (rows, columns) else n for d, n in enumerate(A.shape)]) if keepdim else out


def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """The norm of vectors along one dim, of matrices along two, of all numbers without ord.  (*) -> (*)"""
    dims = None if dim is None else several(dim)
    if dims is not None and len(dims) > 2: raise ShapeError(f"a norm is along one dim or two, not {dim}")
    if ord is None: return vector_norm(A, 2, dims, keepdim, dtype=dtype)
    if dims is None and A.ndim not in (1, 2):
        raise ShapeError(f"a norm of order {ord!r} is along which dim of {shape_of(A)}? Pass dim=")
    if len(dims or A.shape) == 1 and not isinstance(ord, str):
        return vector_norm(A, ord, dims, keepdim, dtype=dtype)
    return matrix_norm(A, ord, dims or (-2, -1), keepdim, dtype=dtype)


@on_squares
def det(A, /):
    """The determinant.  (*, n, n) -> (*)"""
    return np.linalg.det(A)


@on_squares
def slogdet(A, /):
    """The sign of the determinant, and the logarithm of its size.  (*, n, n) -> (*), (*)"""
    return np.linalg.slogdet(A)


@method
def logdet(A):
    """The logarithm of the determinant; nan where it is negative.  (*, n, n) -> (*)"""
    sign, size = slogdet(A)
    return size + log(sign)


@on_squares
def inv(A, /):
    """The matrix that undoes A; LinAlgError if there is none.  (*, n, n) -> (*, n, n)"""
    return lapack("inv", A)


@method
def inverse(A):
    """The same as inv.  (*, n, n) -> (*, n, n)"""
    return inv(A)


@on_squares
def solve(A, B, /, *, left=True):
    """The X for which A X = B, or X A = B unless left.  (*, n, n), (*, n, k) -> (*, n, k)"""
    if B.ndim == 1 or B.shape == A.shape[:-1]: return lapack("solve", A, B[..., None])[..., 0]
    return lapack("solve", A, B) if left else lapack("solve", A.mT, B.mT).mT


def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """The same, looking only at the upper or the lower triangle of A.  (*, n, n), (*, n, k) -> (*, n, k)"""
    if B.ndim < 2: raise ShapeError(f"solve_triangular wants a matrix for B, not {shape_of(B)}")
    half, off = (triu, 1) if upper else (tril, -1)
    return solve(half(A, off) + ones_on_diagonal(A) if unitriangular else half(A), B, left=left)


def diagonal_ones(A, n: int, m: int, shift: int = 0):
    """Ones along a diagonal, in the dtype and the memory of A.  (*) -> (n, m)"""
    return beside(np.eye(n, m, shift, A.array.dtype), A.array)


def ones_on_diagonal(A): return Tensor(diagonal_ones(A, *A.shape[-2:]))


@method
def matrix_power(A, n: int):
    """A, or its inverse when n < 0, times itself, in about log₂ n products.  (*, m, m) -> (*, m, m)"""
    has_rows(A)
    if A.shape[-1] != A.shape[-2]: raise ShapeError(f"powers need a square matrix, not {shape_of(A)}")
    if n == 0: return mul(A, 0) + ones_on_diagonal(A)
    if n < 0: return matrix_power(inv(A), -n)
    if n == 1: return A
    half = matrix_power(A, n // 2)
    return matmul(matmul(half, half), A) if n % 2 else matmul(half, half)


@method
def matrix_exp(A):
    """I + A + A²/2 + A³/6 + …  (*, n, n) -> (*, n, n)"""
    square([A.array])
    size = float(abs(A.array).sum(-2).max()) if A.array.size else 0.0
    halvings = max(0, ceil(log2(size)) + 1) if 0 < size < inf else 0
    small, one = mul(A, 0.5**halvings), ones_on_diagonal(A)
    out = mul(A, 0) + one
    for k in range(18, 0, -1): out = mul(matmul(small, out), 1 / k) + one      # 0.5^18 / 18! is below 1e-21
    for _ in range(halvings): out = matmul(out, out)
    return out


@on_squares
def cholesky(A, /, *, upper=False):
    """The triangle L with L Lᵀ = A, or U with Uᵀ U = A if upper.  (*, n, n) -> (*, n, n)"""
    return lapack("cholesky", A.mT).mT if upper else lapack("cholesky", A)


@on_matrices
def qr(A, /, mode="reduced"):
    """Q R = A, the columns of Q at right angles and R a triangle.  (*, n, m) -> (*, n, k), (*, k, m)

    Q has n columns in the mode "complete", and none at all in the mode "r".
    """
    if mode not in ("reduced", "complete", "r"): raise RuntimeError(f"qr has no mode {mode!r}")
    if mode != "r": return lapack("qr", A, mode=mode)
    return QR(np.empty_like(A, shape=0), lapack("qr", A, mode="r"))


class QR(NamedTuple):
    """What qr finds."""

    Q: Tensor
    R: Tensor


@on_squares
def eigh(A, /, UPLO="L"):
    """By how much a symmetric matrix stretches which directions.  (*, n, n) -> (*, n), (*, n, n)"""
    return lapack("eigh", A, UPLO=UPLO)


def cholesky_solve(B, L, upper=False):
    """The X for which A X = B, given what cholesky found of A.  (*, n, k), (*, n, n) -> (*, n, k)"""
    half = triu(L).mT if upper else tril(L)
    return solve(half.mT, solve(half, B))


def cholesky_inverse(L, upper=False):
    """The inverse of the matrix whose triangle cholesky found.  (*, n, n) -> (*, n, n)"""
    return cholesky_solve(mul(L, 0) + ones_on_diagonal(L), L, upper)


class Mirrors(NamedTuple):
    """What geqrf finds."""

    a: Tensor
    tau: Tensor


@method
def geqrf(input) -> Mirrors:
    """The triangle of qr with the vectors of its mirrors below, and their numbers.  (*, n, m)"""
    vectors, tau = lapack("qr", matrices([input.array])[0], mode="raw")
    return Mirrors(Tensor(vectors.mT), Tensor(tau))


def householder_product(A, tau):
    """The first columns of the product of mirrors.  (*, n, m), (*, k) -> (*, n, m)"""
    n, m = A.shape[-2:]
    vectors, Q = tril(A, -1), mul(A, 0) + Tensor(diagonal_ones(A, n, m))
    for i in reversed(range(tau.shape[-1])):
        v = vectors[..., i : i + 1] + Tensor(diagonal_ones(A, n, 1, -i))
        Q = Q - mul(tau[..., i : i + 1, None], matmul(v, matmul(v.mT, Q)))
    return Q


def orgqr(input, tau):
    """The same as linalg.householder_product."""
    return householder_product(input, tau)

METHODS.update(orgqr=orgqr, cholesky_solve=cholesky_solve, cholesky_inverse=cholesky_inverse)


def eigvalsh(A, UPLO="L"):
    """By how much a symmetric matrix stretches its own directions.  (*, n, n) -> (*, n)"""
    return eigh(A, UPLO).eigenvalues


@on_matrices
def svd(A, /, full_matrices=True):
    """U diag(S) Vh = A: a turn, a stretch and a turn.  (*, n, m) -> (*, n, n), (*, k), (*, m, m)

    The stretches are in order, the largest first. Unless full_matrices, U and Vh have only the k they need.
    """
    return lapack("svd", A, full_matrices=full_matrices)


def svdvals(A):
    """The stretches alone, the largest first.  (*, n, m) -> (*, k)"""
    return svd(A, False).S


del METHODS["svd"], METHODS["solve"]      # x.svd() is another function in PyTorch, and x.solve() is none


def threshold(stretch, shape, atol, rtol):
    """How large a stretch must be to count, for each matrix."""
    if rtol is None: rtol = 0 if atol else max(shape[-2:]) * np.finfo(stretch.dtype).eps
    return np.maximum(atol or 0, rtol * (stretch.max(-1, keepdims=True) if stretch.size else 0))


@on_matrices
def matrix_rank(A, /, tol=None, *, atol=None, rtol=None, hermitian=False):
    """In how many directions a matrix stretches by more than a bound.  (*, n, m) -> (*)"""
    stretch = np.abs(lapack("eigvalsh", A)) if hermitian else lapack("svd", A, compute_uv=False)
    return (stretch > threshold(stretch, A.shape, tol if atol is None else atol, rtol)).sum(-1)


@on_matrices
def pinv(A, /, rcond=None, hermitian=False, *, atol=None, rtol=None):
    """The matrix that undoes A as far as it can be undone.  (*, n, m) -> (*, m, n)"""
    half = {"hermitian": True} if hermitian and at_home(A) else {}
    U, stretch, Vh = lapack("svd", A, full_matrices=False, **half)
    counts = stretch > threshold(stretch, A.shape, atol, rcond if rtol is None else rtol)
    inverse = np.where(counts, 1 / np.where(counts, stretch, 1), 0).astype(A.dtype)
    return (Vh.mT * inverse[..., None, :]) @ U.mT


@method
def pinverse(input, rcond=1e-15):
    """The same, with a fixed bound for what counts as a stretch.  (*, n, m) -> (*, m, n)"""
    return pinv(input, rcond)


def cond(A, p=None):
    """How much a matrix can enlarge an error: its size times the size of its inverse.  (*, n, m) -> (*)"""
    if p in (None, 2): return true_divide(matrix_norm(A, 2), matrix_norm(A, -2))
    if p == -2: return true_divide(matrix_norm(A, -2), matrix_norm(A, 2))
    try:
        return matrix_norm(A, p) * matrix_norm(inv(A), p)
    except LinAlgError:                                 # what cannot be undone is infinitely badly off
        return masked_fill(matrix_norm(A, p) * matrix_norm(pinv(A), p), matrix_rank(A) < A.shape[-1], inf)


class LeastSquares(NamedTuple):
    """What lstsq finds; residuals and singular values are left empty, as PyTorch's usual way leaves them."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def lstsq(A, B, rcond=None, *, driver=None) -> LeastSquares:
    """The smallest X for which A X is nearest to B.  (*, n, m), (*, n, k) -> (*, m, k)"""
    flat = B.ndim < A.ndim
    X = matmul(pinv(A, rcond), reshape(B, (*B.shape, 1)) if flat else B)
    none = Tensor(np.empty_like(A.array, shape=0))
    return LeastSquares(reshape(X, X.shape[:-1]) if flat else X, none, matrix_rank(A, rtol=rcond), none)


def tensorsolve(A, B, dims=None):
    """The X for which tensordot(A, X, X.ndim) = B.  (*B, *X), (*B) -> (*X)"""
    if dims is not None:
        moved = places(dims, A.ndim)
        A = permute(A, [*[d for d in range(A.ndim) if d not in moved], *moved])
    shape = A.shape[B.ndim :]
    return reshape(solve(reshape(A, (-1, prod(shape))), reshape(B, (-1,))), shape)


def tensorinv(A, ind=2):
    """The tensor that undoes A, of whose dimensions the first `ind` are rows.  (*n, *m) -> (*m, *n)"""
    rows, columns = A.shape[:ind], A.shape[ind:]
    return reshape(inv(reshape(A, (prod(rows), prod(columns)))), (*columns, *rows))


def multi_dot(tensors):
    """The product of several matrices in the cheapest order.  (n, k), (k, l), … (m, p) -> (n, p)

    The first may be a vector, a row, and so may the last, a column.
    """
    if len(tensors) < 2: raise ShapeError(f"multi_dot multiplies at least 2 matrices, not {len(tensors)}")
    first, *middle, last = tensors
    row, column = first.ndim == 1, last.ndim == 1
    chain = [reshape(first, (1, -1)) if row else first, *middle, reshape(last, (-1, 1)) if column else last]
    out = multiplied(chain, cheapest([*[x.shape[0] for x in chain], chain[-1].shape[1]]), 0, len(chain))
    return reshape(out, [n for n, gone in zip(out.shape, (row, column)) if not gone])


def cheapest(lengths: list[int]) -> dict[tuple[int, int], int]:
    """Where to split the product of the matrices i to j - 1, for every i and j."""
    cost, split, n = {}, {}, len(lengths) - 1
    for i, j in [(start, start + length) for length in range(1, n + 1) for start in range(n - length + 1)]:
        ways = {k: cost[i, k] + cost[k, j] + lengths[i] * lengths[k] * lengths[j] for k in range(i + 1, j)}
        split[i, j] = min(ways, key=ways.get, default=i)
        cost[i, j] = ways.get(split[i, j], 0)
    return split


def multiplied(chain: list, split: dict, i: int, j: int):
    if j - i == 1: return chain[i]
    k = split[i, j]
    return matmul(multiplied(chain, split, i, k), multiplied(chain, split, k, j))


def chain_matmul(*matrices):
    """The same as multi_dot, for matrices one after the other."""
    return multi_dot(matrices) if len(matrices) > 1 else matrices[0]


def cross(input, other, *, dim=-1):
    """The vectors at right angles to pairs of vectors in space.  (*, 3), (*, 3) -> (*, 3)"""
    return any_cross(input, other, dim)


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonals of matrices; a view.  (*, n, m) -> (*, k)"""
    return any_diagonal(A, offset, dim1, dim2)


def vecdot(x, y, *, dim=-1):
    """The dot products of vectors that lie along `dim`.  (*, n), (*, n) -> (*)"""
    return sum_(mul(x, y), dim)


def vander(x, *, N=None):
    """The powers 0 to N - 1 of every number.  (*, n) -> (*, n, N)"""
    powers = [mul(x, 0) + 1]
    for _ in range(1, x.shape[-1] if N is None else N): powers.append(mul(powers[-1], x))
    return METHODS["stack"](powers, -1)
