"""Gradients of the ops of lessons 02 and 03, against PyTorch and against central differences."""

import math

import pytest

inf, nan = math.inf, math.nan


def words(text: str) -> list[str]: return text.split()


def names(t):
    return {
        "x": t.tensor([[0.3, -1.2, 2.5], [-0.7, 1.9, 0.45]]), "y": t.tensor([[1.7, 0.6, -2.1]]),
        "z": t.tensor([[0.8, 1.1, 0.35], [2.2, 0.15, 1.6]]), "r": t.tensor([0.9, -0.4, 1.3]),
        "u": t.tensor([[0.12, 0.5, 0.93], [0.71, 0.04, 0.33]]), "s": t.tensor(1.7),
        "q": t.tensor([[0.6], [1.4]]),
        "k": t.tensor([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 6.0]),
        "e": t.tensor([1.0, 0.0, 1.0, 2.0, 2.0, -2.0, -0.5, 0.5, 3.0, 3.0, 1.0]),
        "o": t.tensor([[2.0, 1.0, 2.0, -1.0], [0.5, 0.5, -3.0, 0.5], [1.0, 4.0, 0.0, 4.0]]),
        "zeros": t.tensor([[2.0, 0.0, 3.0, 1.5], [0.0, 2.0, 0.0, 4.0], [1.0, 2.0, 3.0, 0.5]]),
        "holes": t.tensor([[1.0, nan, 2.0], [nan, 0.5, -1.0]]), "w": t.tensor([inf, -inf, nan, 0.5]),
        "square": t.tensor([[2.1, -0.3, 0.8], [0.4, 1.7, -0.6], [-0.2, 0.9, 2.6]]),
        "batch": t.tensor([[[1.3, -0.3], [0.5, 0.9]], [[-0.4, 1.1], [2.0, 0.6]]]),
        "nothing": t.zeros(0, 3), "empty": t.tensor([]), "i": t.tensor([2, 0, 1]),
        "m": t.tensor([[True, False, True], [False, False, True]]),
        "c": t.tensor([[0.3, -1.2, 2.5, 0.8, -0.1, 1.05, 0.2, -2.0, 1.1, 0.7, 0.4, -0.6]]).reshape(2, 2, 3),
    }


ONE = words("""
exp log sqrt square abs neg reciprocal rsqrt exp2 expm1 log2 log10 log1p sin cos tan atan sinh cosh asinh
tanh sigmoid sinc deg2rad rad2deg floor ceil trunc frac round sign sgn positive erf erfc lgamma digamma
nan_to_num relu
""")
BENDS = words("""
relu sigmoid tanh leaky_relu elu celu selu softplus logsigmoid silu mish softsign tanhshrink hardtanh relu6
hardsigmoid hardswish hardshrink softshrink gelu
""")
UNITS = words("asin acos atanh erfinv logit")

SMOOTH = "\n".join(
    [f"t.{name}({x})" for name in ONE for x in ("z", "s")]
    + [f"t.{name}(u)" for name in UNITS] + [f"t.{name}(x.T)" for name in words("sin abs exp tanh sign")]
    + [f"t.nn.functional.{name}({x})" for name in BENDS for x in ("x", "c.mT", "s", "nothing")]
) + """
t.acosh(z + 1)
t.logit(u, 0.2)
t.lgamma(x)
t.polygamma(1, z)
t.polygamma(2, z)
x + y
x + q
t.add(x, y, alpha=3)
t.add(x, s, alpha=0.5)
t.sub(x, y, alpha=3)
x * y
x * s
2 * x - 1
1 - x
t.rsub(x, y, alpha=2)
x / z
x / s
3 / z
x / 3
x % 0.9
x % z
t.fmod(x, z)
t.fmod(x, 0.9)
t.remainder(r, q)
t.div(x, z, rounding_mode="floor")
t.div(x, z, rounding_mode="trunc")
z ** y
z ** x
z ** s
s ** x
x ** 2
x ** 3
x ** 4
x ** 1
x ** 0
x ** -1
x ** -2
z ** 0.5
z ** 1.5
z ** -0.3
2 ** x
0.5 ** x
x ** i
t.pow(z, q)
t.float_power(z, 3)
t.hypot(x, y)
t.hypot(q, r)
t.atan2(x, y)
t.atan2(r, q)
t.copysign(x, y)
t.copysign(x, -2.0)
t.logaddexp(x, y)
t.logaddexp(q, r)
t.logaddexp2(x, y)
t.xlogy(x, z)
t.xlogy(x, 2.5)
t.xlogy(2.5, z)
t.maximum(x, y)
t.maximum(q, r)
t.minimum(x, y)
t.fmax(x, y)
t.fmin(x, y)
t.clamp(x, -0.5, 1.5)
t.clamp(x, min=0.2)
t.clamp(x, max=0.2)
t.clamp(x, min=y)
t.clamp(x, max=y)
t.clamp(x, y, y + 1)
t.clamp(x, y + 1, y)
t.clamp(x, q, s)
t.lerp(x, y, 0.3)
t.lerp(x, y, 0.8)
t.lerp(x, y, u)
t.lerp(x, y, s)
t.addcmul(x, y, z, value=0.3)
t.addcmul(x, q, r)
t.addcdiv(x, y, z, value=0.3)
t.addcdiv(r, q, z)
t.where(m, x, y)
t.where(m, x, s)
t.where(m, 0.0, x)
t.where(m, x, 2.0)
t.masked_fill(x, m, 0.5)
t.masked_fill(r, m, 0.5)
t.masked_fill(x, m, s)
t.frexp(x)
t.ldexp(x, i)
t.nn.functional.leaky_relu(x, 0.3)
t.nn.functional.elu(x, 2.0)
t.nn.functional.celu(x, 2.0)
t.nn.functional.softplus(x, 2.0, 3.0)
t.nn.functional.hardtanh(x, -0.5, 2.0)
t.nn.functional.threshold(x, 0.1, 20.0)
t.nn.functional.hardshrink(x, 1.0)
t.nn.functional.softshrink(x, 1.0)
t.nn.functional.gelu(x, approximate="tanh")
t.nn.functional.prelu(x, s.reshape(1))
t.nn.functional.prelu(x, r)
t.nn.functional.prelu(c, r[:2])
t.nn.functional.prelu(r, s.reshape(1))
t.nn.functional.prelu(s, q[0])
t.nn.functional.glu(x.T)
t.nn.functional.glu(c, 1)
t.nn.functional.glu(c, 0)
t.nn.functional.softmax(x, 1)
t.nn.functional.softmax(c, 0)
t.nn.functional.softmax(s, 0)
t.nn.functional.log_softmax(x, -1)
t.nn.functional.log_softmax(c.mT, 1)
t.nn.functional.softmin(x, 1)
"""
SMOOTH += """
t.cat((x, y))
t.cat((x, z), 1)
t.cat((x, x, y), -2)
t.cat((empty, r, empty))
t.cat((nothing, x))
t.stack((x, z))
t.stack((x, z), -1)
t.stack((s, s))
t.hstack((x, z))
t.column_stack((r, r))
t.block_diag(x, r, s)
t.split(c, 1, 0)
t.split(x, 2, -1)
t.split(x, [1, 2], 1)
t.split(x, 2, 1)[1]
t.split(x, 2, 1)[0] * t.split(x, 1, 1)[2]
t.chunk(c, 2, 2)
t.tensor_split(x, 3, 1)
t.unbind(x)
t.unbind(c, -1)
t.unbind(c, 1)[1]
t.narrow(x, 1, 1, 2)
t.narrow(c, -1, -2, 1)
t.select(x, 1, -1)
t.select(c, -2, 0)
x[1]
x[:, 1:]
x[:, ::2]
x[..., None, 0]
x[i[1:]]
c[:, i[1:] - 0]
x[m]
x[:, [0, 0, 2]]
x[i[2:], i]
c[0, :, i]
s[None]
t.select_scatter(x, r, 0, 1)
t.select_scatter(c, y.expand(2, 3), 1, 0)
t.slice_scatter(x, q, 1, 1, 2)
t.slice_scatter(x, z[:, :2], 1, 0, 3, 2)
t.diagonal_scatter(x, q[:, 0])
t.diagonal_scatter(x, q[:, 0], 1)
t.diagonal_scatter(c, x.T[:, :2], 0, 1, 0)
t.squeeze(y)
t.squeeze(q, 1)
t.squeeze(c.reshape(2, 1, 2, 1, 3), (1, 3))
t.unsqueeze(x, -1)
t.unsqueeze(s, 0)
t.flatten(c, 1)
t.unflatten(x, 1, (3, 1))
t.movedim(c, 0, 2)
x.T.reshape(6)
x.T.contiguous()
c.permute(2, 0, 1)
c.transpose(0, -1)
x.expand(4, 2, 3)
y.expand(2, -1)
t.broadcast_to(q, (2, 3))
x.repeat(2, 1)
x.repeat(3, 2, 2)
s.repeat(2)
x.repeat(0, 1)
t.tile(x, (2,))
t.repeat_interleave(x, 2)
t.repeat_interleave(x, 2, 1)
t.repeat_interleave(x, i[:2], 0)
t.repeat_interleave(x, i, -1)
t.repeat_interleave(r, i)
t.flip(x, (0, 1))
t.flip(c, (-1,))
t.roll(x, 1)
t.roll(x, (1, -1), (0, 1))
t.rot90(x)
t.diagonal(x)
t.diagonal(c, 1, 0, 2)
t.diagonal(x, -1)
t.diagonal(c, -1, -1, -2)
t.diag_embed(x)
t.diag_embed(x, 1, 0, 2)
t.diag(r)
t.diag(r, -1)
t.tril(x)
t.triu(x, 1)
t.tril(c, -1)
c.unfold(2, 2, 1)
c.unfold(0, 1, 1)
r.unfold(0, 2, 1)
o.unfold(1, 2, 2)
o.unfold(1, 3, 1)
x.as_strided((2, 2), (1, 2))
x.as_strided((3, 2), (1, 1), 1)
x.T.as_strided((3, 2), (1, 1), 1)
x.clone()
c.clone().mT * 2
x.to(t.float64)
t.fill(x, s)
t.fill(x, 2.0)
t.meshgrid(r, q[:, 0], indexing="ij")
t.cartesian_prod(r, q[:, 0])
t.combinations(r)
t.gather(x, 1, i.reshape(1, 3) * 0 + 1)
t.gather(x, 1, i.reshape(1, 3))
t.gather(x, 0, i.clamp(max=1).reshape(1, 3))
t.gather(r, 0, i[[0, 0, 1, 1]])
t.gather(s, 0, i[1])
t.index_select(x, 1, i[[0, 0, 2]])
t.index_select(c, 0, i[1:])
t.index_select(x, 1, i.repeat(20))
x[i[1:].repeat(20)]
x[i[[1, 1, 2, 1]] - 2]
t.index_select(x, -1, i[1])
t.index_select(s, 0, i[1])
t.take(x, i * 2)
t.take(x, i[[0, 0]])
t.take(x, i - 3)
t.take_along_dim(x, i.reshape(1, 3) - 1, 1)
t.take_along_dim(x, i[[0, 0]])
t.take_along_dim(c, i.reshape(1, 1, 3), 2)
t.masked_select(x, m)
t.masked_select(r, m)
t.masked_select(c, m[:, None, :])
t.scatter(x, 1, i[:2].reshape(2, 1), q)
t.scatter(x, 1, i.reshape(1, 3), y)
t.scatter(x, 1, i[:2].reshape(2, 1), 5.0)
t.scatter(r, 0, i[1], s)
t.scatter_add(x, 1, i[[0, 0, 0, 1]].reshape(2, 2), z[:, :2])
t.scatter_add(x, 0, i[[1, 1, 1]].reshape(1, 3), y)
t.scatter_add(r, 0, i[[1, 1, 1]], z[0])
t.index_add(x, 1, i[[0, 0]], z[:, :2])
t.index_add(x, 0, i[1:], z, alpha=0.3)
t.index_copy(x, 1, i[:2], z[:, :2])
t.index_copy(x, 0, i[1:], z)
t.index_fill(x, 1, i[:2], 3.0)
t.index_fill(x, 1, i[:2], s)
t.index_put(x, (i[1:],), z)
t.index_put(x, (i[1:], i[1:]), r[:2])
t.index_put(x, (i[[1, 1]],), z, True)
t.index_put(x, (i[1:],), s)
x.index_put((m,), r)
t.put(x, i, r)
t.put(x, i[[0, 0, 1]], r, True)
t.masked_scatter(x, m, r)
t.masked_scatter(x, m, z)
t.masked_scatter(r, m, c)
t.scatter_reduce(x, 1, i[[0, 0, 0, 1]].reshape(2, 2), z[:, 1:], "sum")
t.scatter_reduce(x, 1, i[[0, 0, 1]].reshape(1, 3), y, "sum", include_self=False)
t.scatter_reduce(x, 1, i[[0, 0, 1]].reshape(1, 3), y, "mean")
t.scatter_reduce(x, 1, i[[0, 0, 1]].reshape(1, 3), y, "mean", include_self=False)
t.scatter_reduce(x, 1, i[[0, 0, 1]].reshape(1, 3), z[:1], "prod")
t.scatter_reduce(x, 1, i[[0, 0, 1]].reshape(1, 3), z[:1], "prod", include_self=False)
t.scatter_reduce(x, 1, i[[0, 0, 1]].reshape(1, 3), z[:1], "amax")
t.scatter_reduce(x, 1, i[[0, 0, 1]].reshape(1, 3), z[:1], "amin", include_self=False)
t.scatter_reduce(r, 0, i[[1, 1, 1]], z[0], "amax")
t.sort(x)
t.sort(x, 0)
t.sort(x, 1, True)
t.sort(s)
t.msort(x)
t.topk(x, 2)
t.topk(x, 1, 0)
t.topk(x, 2, largest=False)
t.topk(s, 1)
t.kthvalue(x, 2)
t.kthvalue(x, 1, 0, True)
t.kthvalue(s, 1)
t.sum(x)
t.sum(x, 1)
t.sum(c, (0, 2))
t.sum(c, (0, -1), True)
t.sum(s)
t.sum(nothing, 0)
t.mean(x)
t.mean(x, 0, True)
t.mean(c, (1, -1))
t.var(x)
t.var(x, 1)
t.var(x, 0, correction=0)
t.std(x)
t.std(x, 1)
t.std(c, (0, 2), keepdim=True)
t.std_mean(x, 1)
t.var_mean(x, 1)
t.prod(x)
t.prod(x, 1)
t.prod(c, -1, True)
t.prod(s)
t.amax(x, 1)
t.amax(x)
t.amax(c, (0, 2), True)
t.amin(x, 0)
t.amin(s)
t.max(x)
t.max(x, 1)
t.max(c, 0, True)
t.max(s, 0)
t.min(x, -1)
t.aminmax(x, dim=1)
t.logsumexp(x, 1)
t.logsumexp(c, (0, 2), True)
t.logsumexp(s, 0)
t.cumsum(x, 1)
t.cumsum(c, -2)
t.cumsum(s, 0)
t.cumprod(x, 1)
t.cumprod(c, 0)
t.cumprod(s, 0)
t.logcumsumexp(x, 1)
t.logcumsumexp(c, -3)
t.logcumsumexp(s, 0)
t.logcumsumexp(x * 2, 1)
t.cummax(x, 1)
t.cummin(x, 0)
t.cummax(s, 0)
t.diff(x)
t.trapezoid(x, z)
t.cumulative_trapezoid(x)
t.median(x)
t.median(x, 1)
t.nanmedian(x, 1)
t.quantile(x, 0.3)
t.quantile(x, 0.7, 1)
t.nanquantile(x, 0.7, 1, interpolation="midpoint")
t.mode(x, 1)
t.nansum(x)
t.nansum(x, 1)
t.nanmean(x, 1)
t.cov(x)
t.corrcoef(o)
t.norm(x)
t.norm(x, 1, 1)
t.norm(x, 3)
t.norm(x, 1.5, 0, True)
t.norm(x, 0.5)
t.norm(x, inf)
t.norm(x, -inf, 1)
t.norm(x, -2)
t.norm(x, 0)
t.norm(s)
t.norm(c, 2, (0, 2))
t.norm(x, "nuc")
t.dist(x, z)
t.linalg.vector_norm(c, 3, (0, 1))
t.linalg.vector_norm(x, 2, dtype=t.float64)
t.linalg.matrix_norm(x)
t.linalg.matrix_norm(x, 2)
t.linalg.matrix_norm(x, -1)
x @ z.T
x @ r
r @ x.T
r @ r
c @ x.T
x @ c.mT
c.mT @ c
t.mm(x, z.T)
t.addmm(q, x, z.T, beta=0.5, alpha=2)
t.outer(r, q[:, 0])
t.einsum("ij,kj->ik", x, z)
t.einsum("bij,bkj->bik", c, c)
t.einsum("ii->i", x @ z.T)
t.einsum("ij->", x)
t.einsum("i,j,k->ijk", r, r, r)
t.tensordot(c, x, ([0, 2], [0, 1]))
t.kron(x, q)
t.trace(x)
t.cross(x, z, 1)
t.cdist(x, z)
t.cdist(x, z, 1)
t.cdist(x, z, 3)
t.cdist(x, z, 1.5)
t.cdist(x, z, inf)
t.cdist(c, x)
t.cdist(x.repeat(14, 1) + t.arange(28).reshape(-1, 1), z)
t.linalg.det(x @ z.T)
t.det(square)
t.det(batch)
t.linalg.slogdet(square)
t.logdet(square @ square.T)
t.linalg.slogdet(batch)
t.linalg.inv(square)
t.inverse(batch)
t.linalg.solve(square, o.T[:3])
t.linalg.solve(square, r)
t.linalg.solve(batch, x)
t.linalg.solve(square, x, left=False)
t.linalg.solve_triangular(square, o, upper=True)
t.linalg.solve_triangular(square, o, upper=False, unitriangular=True)
t.linalg.matrix_power(square, 3)
t.linalg.matrix_power(square, -2)
t.linalg.cholesky(square @ square.T)
t.linalg.cholesky(batch @ batch.mT, upper=True)
t.linalg.qr(square)
t.linalg.qr(x)
t.linalg.qr(x.T)
t.linalg.qr(batch).R
t.linalg.qr(x.T).Q
t.linalg.qr(x, "complete")
t.linalg.eigh(square + square.T).eigenvalues
t.linalg.eigh(square + square.T).eigenvectors ** 2
t.linalg.eigvalsh(batch + batch.mT)
t.linalg.svd(x, False).S
t.linalg.svdvals(batch)
t.linalg.svd(x, False).U ** 2
t.linalg.svd(x.T, False).Vh ** 2
t.linalg.svd(x, False).Vh.abs()
t.linalg.svd(square).U ** 2
t.linalg.pinv(x)
t.linalg.pinv(x.T)
t.linalg.pinv(batch)
t.linalg.cond(square)
t.linalg.lstsq(x.T, o[:3])[0]
t.linalg.multi_dot((x, square, o))
t.linalg.vander(r)
"""
KINKS = "\n".join([f"t.{name}(k)" for name in ONE if name not in ("lgamma", "digamma")]
                  + [f"t.nn.functional.{name}(k)" for name in BENDS]) + """
t.asin(k)
t.acos(k)
t.erfinv(k)
t.atanh(k)
t.logit(k)
t.logit(k, 0.5)
t.maximum(k, e)
t.minimum(k, e)
t.fmax(k, e)
t.fmin(k, e)
t.maximum(w, w.flip(0))
t.minimum(w, w.flip(0))
t.fmax(w, w.flip(0))
t.fmin(w, w.flip(0))
t.clamp(k, -0.5, 2.0)
t.clamp(k, e, e + 1)
t.clamp(k, e, e)
t.clamp(k, e + 1, e)
t.clamp(w, -1, 1)
t.copysign(k, e)
t.atan2(k, e * 0)
t.atan2(k * 0, e * 0)
k ** 2
k ** 3
e ** 0.5
k ** 0
k ** -1
k ** e
k ** i[0]
0 ** k
-2 ** k
t.hypot(k, e)
t.xlogy(k, e)
t.nan_to_num(w)
t.abs(w)
t.sign(w)
t.nn.functional.prelu(k[2:], s.reshape(1))
t.nn.functional.threshold(k, 1.0, 5.0)
t.nn.functional.gelu(k, approximate="tanh")
t.nn.functional.softplus(k * 10)
t.nn.functional.elu(k * 100)
t.lerp(k, e, 0.5)
t.amax(o, 1)
t.amin(o)
t.amax(o, (0, 1), True)
t.max(o)
t.max(o, 1)
t.min(o, 0)
t.median(o)
t.median(o, 1)
t.mode(o, 1)
t.mode(o, 0, True)
t.sort(o, 1)
t.cummax(o, 1)
t.cummin(o, 0)
t.prod(zeros)
t.prod(zeros, 1)
t.prod(zeros, 0, True)
t.prod(zeros[2])
t.prod(zeros[0])
t.cumprod(zeros, 1)
t.cumprod(zeros, 0)
t.cumprod(zeros.T, -1)
t.nansum(holes)
t.nansum(holes, 1)
t.nanmean(holes, 1)
t.nanmedian(holes, 1)
t.max(holes)
t.logsumexp(w, 0)
t.logsumexp(w[:2], 0)
t.logsumexp(w[[1, 3]], 0)
t.norm(zeros * 0)
t.norm(zeros * 0, 1)
t.norm(zeros * 0, 3)
t.norm(zeros, 3, 1)
t.norm(zeros, 1.5, 1)
t.norm(zeros, 0.5, 1)
t.norm(zeros, 1)
t.norm(o, inf)
t.norm(o, -inf, 1)
t.std(o * 0)
t.std(o * 0, 1)
t.cdist(o, o)
t.cdist(o, o, 1)
t.cdist(o, o, 3)
t.scatter_reduce(zeros, 1, i[[0, 0, 1]].reshape(3, 1), o[:, :1], "prod")
t.scatter_reduce(o, 1, i[[0, 0, 1, 1]].reshape(1, 4), zeros[:1], "prod")
t.scatter_reduce(o, 1, i[[0, 0, 1, 1]].reshape(1, 4), zeros[:1], "prod", include_self=False)
t.scatter_reduce(o, 1, i[[0, 0, 1, 1]].reshape(1, 4), zeros[:1], "amax")
t.scatter_reduce(o, 0, i[[0, 0, 1, 1]].reshape(1, 4), o[:1], "amin")
t.scatter_reduce(o, 0, i[[0, 0, 1, 1]].reshape(1, 4), o[:1], "amin", include_self=False)
t.linalg.det(o[:2, :2] * 0)
t.linalg.det(o[:2, 1:3] * 0 + 1)
t.linalg.det(t.cat((square[:2], (square[:1] + square[1:2]).detach())))
x.to(t.float16)
x.float() * 3
"""


ROUGH = {"hardsigmoid": 100}         # PyTorch's sixth is a float32's, also in float64


def tolerance(line): return next((much for name, much in ROUGH.items() if name in line), 1.0)


@pytest.mark.parametrize("line", [line for line in SMOOTH.splitlines() if line])
def test_what_is_smooth_has_pytorchs_gradients_which_central_differences_confirm(line, same_gradients):
    same_gradients(line, names, tolerance=tolerance(line))


@pytest.mark.parametrize("line", [line for line in KINKS.splitlines() if line])
def test_where_there_is_no_slope_the_gradient_is_pytorchs(line, same_gradients):
    same_gradients(line, names, smooth=False, tolerance=tolerance(line))
