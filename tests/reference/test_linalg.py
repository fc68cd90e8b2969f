"""Linear algebra, line by line against PyTorch; factors whose signs are free are multiplied out."""

import math
from itertools import pairwise

import numpy as np
import pytest

import tinytorch as tt


def names(t):
    rng = np.random.default_rng(0)
    batch = rng.standard_normal((2, 3, 3)).astype(np.float32)
    return {"L": t.linalg, "a": t.tensor([[4.0, 1, 0], [1, 3, 1], [0, 1, 2]]), "s": t.zeros(2, 2),
            "r": t.arange(6.0).reshape(2, 3), "v": t.tensor([3.0, -4, 0]), "i": t.arange(4).reshape(2, 2),
            "c": t.arange(24.0).reshape(2, 3, 4), "m": t.tensor(batch), "one": t.ones(3),
            "p": t.tensor(batch @ batch.transpose(0, 2, 1) + np.eye(3, dtype="f")),
            "wide": t.tensor(rng.standard_normal((2, 2, 5)).astype("f"))}


CASES = """
L.norm(v)
L.norm(v, 1)
L.norm(v, 0)
L.norm(v, inf)
L.norm(v, -inf)
L.norm(v, 3)
L.norm(v, -1)
L.norm(r)
L.norm(r, "fro")
L.norm(r, "nuc")
L.norm(r, 2)
L.norm(r, -2)
L.norm(r, 1)
L.norm(r, -1)
L.norm(r, inf)
L.norm(r, -inf)
L.norm(r, 3)
L.norm(c)
L.norm(c, 2)
L.norm(c, dim=1)
L.norm(c, dim=(0, 2))
L.norm(c, 2, dim=(0, 2))
L.norm(c, 1, dim=(2, 0), keepdim=True)
L.norm(c, "fro", dim=(0, 1))
L.norm(c, 2, 1, True)
L.norm(c, dim=(0, 1, 2))
L.norm(i)
L.norm(v, dtype=t.float64)
L.norm(v, "fro")
L.norm(t.tensor(-3.0))
L.vector_norm(c)
L.vector_norm(c, 1, dim=(0, 1))
L.vector_norm(c, inf, keepdim=True)
L.vector_norm(c, 2.5, dim=-1)
L.vector_norm(i)
L.vector_norm(i, dtype=t.float32)
L.vector_norm(v, 0.5)
L.vector_norm(v.half())
L.vector_norm((v * 1000).half() * 10)
L.vector_norm(v, "x")
L.vector_norm(t.zeros(0))
L.vector_norm(t.zeros(0, 2), dim=0)
L.vector_norm(t.zeros(0), inf)
L.vector_norm(t.zeros(0), -1)
L.vector_norm(c, dim=3)
L.matrix_norm(c)
L.matrix_norm(c, 1)
L.matrix_norm(c, -1, keepdim=True)
L.matrix_norm(c, inf, dim=(0, 1))
L.matrix_norm(c, -inf)
L.matrix_norm(c, "nuc", dim=(0, 1))
L.matrix_norm(m, 2)
L.matrix_norm(m, -2, keepdim=True)
L.matrix_norm(v)
L.matrix_norm(r, 3)
L.matrix_norm(r, "x")
L.det(a)
L.det(m)
L.det(s)
L.det(t.ones(0, 0))
L.det(i)
L.det(r)
t.det(a)
a.det()
L.slogdet(-a)
L.slogdet(m).logabsdet
L.slogdet(s)
t.logdet(a)
t.logdet(-a)
t.logdet(s)
p.logdet()
L.inv(a)
L.inv(m)
L.inv(r)
L.inv(v)
L.inv(i)
L.inv(t.ones(2, 0, 0))
t.inverse(a)
a.inverse()
L.solve(a, v)
L.solve(a, v[:, None])
L.solve(m, m.flip(0))
L.solve(m, t.ones(2, 3))
L.solve(m, one)
L.solve(m, a)
L.solve(a, t.ones(2, 3), left=False)
L.solve(a, t.ones(2))
L.solve(a.double(), v)
L.solve_triangular(a, v[:, None], upper=True)
L.solve_triangular(a, v[:, None], upper=False, unitriangular=True)
L.solve_triangular(a, v[None], upper=False, left=False)
L.solve_triangular(a, v, upper=True)
L.cholesky(a)
L.cholesky(p)
L.cholesky(a, upper=True)
L.cholesky(i)
t.cholesky(a)
L.qr(m)
L.qr(m.mT[:, :, :2], "complete").R
L.qr(wide)
L.qr(r, "r")
L.qr(r, "other")
L.qr(i)
L.eigh(p).eigenvalues
L.eigvalsh(a)
L.eigvalsh(t.tensor([[1.0, 99], [2, 3]]))
L.eigvalsh(t.tensor([[1.0, 99], [2, 3]]), UPLO="U")
L.eigh(r)
L.svd(m).S
L.svd(wide).Vh.shape
L.svd(wide, full_matrices=False).Vh.shape
L.svdvals(wide)
L.svd(v)
L.matrix_rank(r)
L.matrix_rank(m)
L.matrix_rank(s)
L.matrix_rank(a, tol=3.0)
L.matrix_rank(a, atol=3.0)
L.matrix_rank(a, rtol=0.5)
L.matrix_rank(p, hermitian=True)
L.matrix_rank(v)
L.matrix_rank(t.ones(5, 4))
L.pinv(r)
L.pinv(wide)
L.pinv(wide.mT)
L.pinv(r, rtol=0.5)
L.pinv(r, atol=2.0)
L.pinv(p, hermitian=True)
L.pinv(t.ones(3, 2))
L.pinv(s)
t.pinverse(r)
r.pinverse()
L.matrix_power(a, 3)
L.matrix_power(m, 5)
L.matrix_power(a, 0)
L.matrix_power(a, 1)
L.matrix_power(a, -2)
L.matrix_power(i, 2)
L.matrix_power(i, 0)
L.matrix_power(r, 2)
a.matrix_power(2)
L.multi_dot([r, a, v])
L.multi_dot([v, a, v])
L.multi_dot([r, a, r.T])
L.multi_dot([r, a])
L.multi_dot([r])
L.multi_dot([])
L.multi_dot([r, r])
t.chain_matmul(r, a, r.T, r)
t.chain_matmul(r)
L.cond(a)
L.cond(m, 2)
L.cond(a, 1)
L.cond(m, inf)
L.cond(a, -2)
L.cond(a, "fro")
L.cond(a, "nuc")
L.cond(s)
L.cond(s, 1)
L.cond(t.stack([s, t.eye(2)]), 1)
L.cond(r)
L.cond(r, 1)
L.lstsq(r.T, v).solution
L.lstsq(r.T, v[:, None])
L.lstsq(r, t.ones(2, 1)).solution
L.lstsq(wide, t.ones(2, 2, 2)).solution
L.lstsq(t.ones(3, 2), v[:, None]).rank
L.cross(a, a + 1)
L.cross(a, a[:1] + 1)
L.cross(a, a.T, dim=0)
L.cross(c, c)
L.diagonal(c)
L.diagonal(c, offset=1, dim1=0, dim2=1)
L.vecdot(r, r)
L.vecdot(c, c, dim=1)
L.vecdot(r, v)
L.matmul(r, v)
L.vander(v)
L.vander(r, N=2)
t.matrix_exp(m)
t.matrix_exp(m.double())
L.matrix_exp(a)
L.matrix_exp(a.double() * 10 / 3)
t.matrix_exp(t.zeros(0, 3, 3))
t.matrix_exp(t.zeros(2, 2))
t.matrix_exp(r)
t.matrix_exp(i)
m.matrix_exp()
t.geqrf(wide.mT.contiguous())
L.householder_product(*t.geqrf(m))
L.householder_product(*t.geqrf(wide.mT.contiguous()))
t.orgqr(*t.geqrf(m))
t.cholesky_inverse(L.cholesky(p))
t.cholesky_solve(m, L.cholesky(p))
t.cholesky_solve(m, L.cholesky(p, upper=True), True)
L.tensorsolve(t.eye(6).reshape(2, 3, 6) * 2 + 0.1, r)
L.tensorsolve(t.eye(6).reshape(2, 6, 3) * 2 + 0.1, r, (1,))
L.tensorinv(t.eye(6).reshape(2, 3, 6) * 2 + 0.1)
L.tensorinv(t.eye(6).reshape(6, 2, 3) * 2 + 0.1, ind=1)
m.requires_grad_(); t.matrix_exp(m).sum().backward(); m.grad
"""


@pytest.mark.parametrize("line", [line for line in CASES.split("\n") if line])
def test_agrees(agree, line):
    agree(line, names, tolerance=20)


@pytest.fixture
def wide():
    return tt.tensor(np.random.default_rng(0).standard_normal((4, 3, 5)))


def test_a_singular_value_decomposition_multiplies_out(wide):
    U, S, Vh = tt.linalg.svd(wide, full_matrices=False)
    np.testing.assert_allclose((U * S[:, None] @ Vh).array, wide.array, atol=1e-12)
    for turn in (U.mT @ U, Vh @ Vh.mT): np.testing.assert_allclose(turn.array - np.eye(3), 0, atol=1e-12)


def test_eigenvectors_are_only_stretched(wide):
    A = wide @ wide.mT
    stretch, directions = tt.linalg.eigh(A)
    np.testing.assert_allclose((A @ directions).array, (directions * stretch[:, None]).array, atol=1e-10)


def test_what_qr_leaves_is_a_triangle(wide):
    Q, R = tt.linalg.qr(wide.mT)
    np.testing.assert_allclose((Q @ R).array, wide.mT.array, atol=1e-12)
    assert np.allclose(np.tril(R.array, -1), 0)


def test_singular_matrices_raise_the_error_of_linear_algebra():
    with pytest.raises(tt.linalg.LinAlgError, match="inv"): tt.linalg.inv(tt.zeros(2, 2))
    with pytest.raises(RuntimeError, match="cholesky"): tt.linalg.cholesky(-tt.eye(2))


def test_a_long_product_is_done_in_the_cheapest_order():
    sizes, seen = [50, 2, 60, 3, 40], []

    class Counting(tt.Engine):
        def run(self, op, inputs, settings):
            if op.name == "matmul": seen.append(math.prod(inputs[0].shape) * inputs[1].shape[1])
            return super().run(op, inputs, settings)

    chain = [tt.ones(n, m) for n, m in pairwise(sizes)]
    with tt.using(Counting()): tt.linalg.multi_dot(chain)
    assert sum(seen) == 2 * 60 * 3 + 2 * 3 * 40 + 50 * 2 * 40


def test_float32_stays_float32():
    A = tt.eye(3) + 1
    L = tt.linalg
    results = [L.inv(A), L.det(A), *L.svd(A), *L.eigh(A), L.pinv(A), L.solve(A, A), L.norm(A), L.cond(A)]
    assert {x.dtype.name for x in results} == {"float32"}
