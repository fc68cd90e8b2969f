"""Products of all kinds, line by line against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinytorch as tt


def names(t):
    a, v = t.arange(6.0).reshape(2, 3), t.arange(3.0)
    return {"a": a, "b": t.arange(12.0).reshape(3, 4), "v": v, "i": t.arange(6).reshape(2, 3), "inf": np.inf,
            "A": t.arange(24.0).reshape(2, 3, 4) / 7, "B": t.arange(40.0).reshape(2, 4, 5) / 9,
            "q": t.arange(48.0).reshape(2, 2, 3, 4) / 5, "square": t.arange(9.0).view(3, 3),
            "points": t.tensor(np.sin(np.arange(90, dtype="f").reshape(30, 3)))}


CASES = """
t.mm(a, b)
a.mm(b)
t.mm(i, i.T)
t.mm(a, v)
t.mm(a, a)
t.mm(A, B)
t.mm(a, b.double())
t.bmm(A, B)
t.bmm(A[:1], B)
t.bmm(A, b)
t.bmm(A.mT, A)
a.mv(v)
t.mv(a, b)
t.mv(a, t.ones(2))
t.dot(v, v)
v.dot(v + 1)
t.dot(v.long(), v.long())
t.dot(a, a)
t.dot(v, t.ones(2))
t.dot(v, v.long())
t.vdot(v, v)
t.inner(a, a)
t.inner(a, v)
t.inner(v, v)
t.inner(v, t.tensor(2.0))
t.inner(A, b.T[:, :1].T.expand(2, 4))
t.inner(a, b)
t.outer(v, v)
v.outer(t.ones(2))
t.outer(v, v.long())
t.outer(a, v)
t.ger(v, v)
t.addmm(t.ones(4), a, b)
t.addmm(t.ones(2, 1), a, b, beta=2, alpha=0.5)
t.addmm(t.full((2, 4), nan), a, b, beta=0)
t.addmm(t.tensor(1.0), a, b)
t.addmm(t.ones(4).long(), i, b.long(), beta=2, alpha=3)
t.addmm(t.ones(5), a, b)
t.addmm(t.ones(1, 2, 4), a, b)
t.ones(2, 4).addmm(a, b)
x = t.ones(2, 4); x.addmm_(a, b, beta=0.5); x
t.addbmm(t.ones(5), A, B, alpha=2)
t.baddbmm(t.ones(5), A, B, beta=2)
t.baddbmm(t.ones(2, 3, 5), A, B)
t.addmv(t.ones(2), a, v, beta=2, alpha=3)
t.addmv(t.tensor(1.0), a, v)
t.addr(t.ones(3), v, v, beta=2, alpha=3)
t.addr(t.ones(2, 3), t.ones(2), v)
t.tensordot(a, b, 1)
t.tensordot(a, b, ([1], [0]))
t.tensordot(a, b, dims=((-1,), (0,)))
t.tensordot(a, a, 2)
t.tensordot(a, a, 0)
t.tensordot(A, A, ([0, 2], [0, 2]))
t.tensordot(A, A, ([2, 0], [2, 0]))
t.tensordot(A, b, ([1], [0]))
t.tensordot(a, b, t.tensor([[1], [0]]))
t.tensordot(a, b, 2)
t.kron(a, b)
t.kron(a, v)
t.kron(i, a)
t.kron(t.tensor(2.0), a)
t.kron(A, a)
t.trace(square)
a.trace()
i.trace()
v.trace()
t.cross(v, v + 1, dim=0)
a.cross(a + 1)
t.cross(square, square.T)
t.cross(square, square.T, dim=1)
t.cross(square.long(), square.T.long(), dim=1)
t.cross(square[:1], square.T, dim=1)
t.cross(a, v, dim=-1)
t.cross(b, b, dim=1)
t.cdist(a, b.T)
t.cdist(a, b.T, p=1)
t.cdist(a, b.T, p=0)
t.cdist(a, b.T, 3.0)
t.cdist(a, b.T, p=inf)
t.cdist(A, A[:, :1])
t.cdist(a[None], b.T)
t.cdist(points, points.flip(0) + 0.5)
t.cdist(a, b)
t.cdist(i, i)
t.cdist(v, v)
t.einsum("ij,jk", a, b)
t.einsum("ij,jk->ki", a, b)
t.einsum("ii->i", square)
t.einsum("ii", square)
t.einsum("iii->i", t.ones(2, 2, 2))
t.einsum("iij->j", t.arange(12.0).reshape(2, 2, 3))
t.einsum("i,i", v, v)
t.einsum("i,j->ij", v, v)
t.einsum("ij->", a)
t.einsum("ij->", i)
t.einsum("ij->j", a)
t.einsum("ij->ji", a)
t.einsum("ba", a)
t.einsum(" i j , j k -> i k ", a, b)
t.einsum("iJ,Jk", a, b)
t.einsum("...j,jk->...k", A, B[0])
t.einsum("b...j->b...", A)
t.einsum("...ij->...ji", q)
t.einsum("...", a)
t.einsum("...ij,...jk", A, B)
t.einsum("i...,i...->...", a, a)
t.einsum("...,...", t.tensor(2.0), t.tensor(3.0))
t.einsum("...i,...i->...", A, A[0])
t.einsum("...i,...i", A, A[0])
t.einsum(",->", t.tensor(2.0), t.tensor(3.0))
t.einsum(",i->i", t.tensor(2.0), v)
t.einsum("bij,bjk->bik", A, B)
t.einsum("bij,bjk->ikb", A, B)
t.einsum("bij,bjk->k", A, B)
t.einsum("bij,bjk->bijk", A, B)
t.einsum("bhqd,bhkd->bhqk", q, q)
t.einsum("bhqd,bhkd->bqhk", q, q + 1)
t.einsum("bqhd,bkhd->bhqk", q, q)
t.einsum("bhqd->bqhd", q)
t.einsum("ij,ij->ij", a, a)
t.einsum("ij,ij->i", a, a)
t.einsum("ij,ij,ij->", a, a, a)
t.einsum("ij,jk,kl->il", a, b, b.T)
t.einsum("ij,jk,jl->ikl", a, b, square)
t.einsum("ij,j->ij", a, t.ones(1))
t.einsum("ij,j->i", a, t.ones(1))
t.einsum("ij,jk->ik", t.ones(2, 1), b)
t.einsum("ij,jk", [a, b])
t.einsum(a, [0, 1], b, [1, 2], [0, 2])
t.einsum(a, [0, 1], b, [1, 2])
t.einsum(A, [..., 0, 1], [..., 1, 0])
t.einsum("ij,jk->ik", i, b.long())
t.einsum("ij,jk", a, b.long())
t.einsum("ij,jk->iik", a, b)
t.einsum("ij,jk->il", a, b)
t.einsum("ij", a, b)
t.einsum("ijk", a)
t.einsum("i", a)
t.einsum("ij,ij->ij", a, b)
t.einsum("ii", a)
t.einsum("i1", a)
t.einsum("i..j", a)
t.einsum("i...j...", A)
"""


@pytest.mark.parametrize("line", [line for line in CASES.split("\n") if line])
def test_agrees(agree, line):
    agree(line, names)


@st.composite
def sentence(draw):
    """An equation about one to three tensors, in which letters may repeat, and how long each letter is."""
    letters = "abcd"
    terms = draw(st.lists(st.text(letters, max_size=4), min_size=1, max_size=3))
    used = sorted(set("".join(terms)))
    output = draw(st.permutations(used).map("".join)) if used else ""
    lengths = {letter: draw(st.integers(1, 3)) for letter in letters}
    return terms, output[: draw(st.integers(0, len(output)))], lengths


@settings(max_examples=300, deadline=None)
@given(sentence())
def test_any_equation_agrees_with_numpy(given):
    terms, output, lengths = given
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal([lengths[letter] for letter in term]) for term in terms]
    equation = f"{','.join(terms)}->{output}"
    ours = tt.einsum(equation, *[tt.tensor(array) for array in arrays])
    np.testing.assert_allclose(ours.array, np.einsum(equation, *arrays), rtol=1e-10, atol=1e-12)


def test_attention_scores_are_one_matrix_product(monkeypatch):
    seen = []

    class Watching(tt.Engine):
        def run(self, op, inputs, settings):
            seen.append(op.name)
            return super().run(op, inputs, settings)

    q, k = tt.ones(2, 4, 8, 16), tt.ones(2, 4, 8, 16)
    with tt.using(Watching()): tt.einsum("bhqd,bhkd->bhqk", q, k)
    assert seen == ["permute", "matmul"]
