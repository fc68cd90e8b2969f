"""bfloat16, bit by bit against PyTorch."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinytorch as tt

torch = pytest.importorskip("torch", reason="PyTorch decides how to round")


def bits(x):
    """The two bytes of every number."""
    if isinstance(x, tt.Tensor): return x.array.view(np.uint16)
    return x.contiguous().view(torch.int16).numpy().view(np.uint16)


def same_bits(ours, theirs):
    assert ours.dtype is tt.bfloat16 and theirs.dtype is torch.bfloat16 and ours.shape == tuple(theirs.shape)
    nan = np.isnan(ours.float().array)
    assert np.array_equal(nan, torch.isnan(theirs).numpy())
    np.testing.assert_array_equal(bits(ours)[~nan], bits(theirs)[~nan])


# ----------------------------------------------------------------------------------------------- casts

ALL_OVER = np.arange(0, 2**32, 9973, dtype=np.uint64).astype(np.uint32)
LOWER_HALVES = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
AROUND_TIES = np.arange(2**16, dtype=np.uint32)[:, None] << 16 | LOWER_HALVES


@pytest.mark.parametrize("words", [ALL_OVER, AROUND_TIES], ids=["all over", "around every tie"])
def test_float32_rounds_as_in_pytorch(words):
    numbers = words.view(np.float32)
    same_bits(tt.from_numpy(numbers).bfloat16(), torch.from_numpy(numbers).bfloat16())


def test_every_bfloat16_is_the_same_float32():
    halves = np.arange(2**16, dtype=np.uint32) << 16
    exact = halves.view(np.float32)
    ours = tt.from_numpy(exact).bfloat16().float().array
    np.testing.assert_array_equal(ours, exact)
    np.testing.assert_array_equal(ours, torch.from_numpy(exact).bfloat16().float().numpy())


@pytest.mark.parametrize("kind", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float64"])
def test_other_kinds_become_bfloat16_and_back(kind):
    numbers = np.linspace(-400, 400, 999).astype(kind)
    ours, theirs = tt.from_numpy(numbers), torch.from_numpy(numbers)
    same_bits(ours.to(tt.bfloat16), theirs.to(torch.bfloat16))
    small = np.linspace(0, 100, 301).astype(kind)
    back = tt.from_numpy(small).bfloat16().to(getattr(tt, kind))
    theirs = torch.from_numpy(small).bfloat16().to(getattr(torch, kind))
    assert back.tolist() == theirs.tolist() and back.dtype.name == kind


@settings(max_examples=200, deadline=None)
@given(st.floats(width=64), st.integers(-(2**62), 2**62))
def test_any_number_rounds_alike(x, n):
    same_bits(tt.tensor([x, 1.0], dtype=tt.bfloat16), torch.tensor([x, 1.0], dtype=torch.bfloat16))
    same_bits(tt.tensor([n], dtype=tt.bfloat16), torch.tensor([n], dtype=torch.bfloat16))


# ------------------------------------------------------------------------------------------------- ops

def names(t):
    kind = t.bfloat16
    x = t.tensor([[0.1, -2.0, 3.3, 0.0], [1e-3, 7.7, -0.5, 100.25], [1.0, 2.0, 0.7, -0.3]], dtype=kind)
    return {"x": x, "y": t.tensor([0.3, 5.0, -1.5, 0.01], dtype=kind), "p": x.abs() + 0.5,
            "f": t.tensor([1.0, 0.2, 3.0, 4.0]), "i": t.tensor([2, 0, 1, 3]),
            "h": t.tensor([1.5, 2.5, 3.5, 4.5]).half(),
            "odd": t.tensor([float("nan"), float("inf"), -float("inf"), -0.0], dtype=kind), "kind": kind}


EXACT = """
x + y
x - y
x * y
x / y
x * 3
x / 3
2 - x
1 / x
x + 0.1
x * 0.3
-x
x.abs()
x.T
x[1]
x[:, 1:3]
x[x > 0]
x[i[:3], i[1:]]
x.reshape(4, 3)
x.view(-1)
x.permute(1, 0).contiguous()
x.unsqueeze(0).expand(2, 3, 4)
x.flip(0)
x.roll(1, 1)
x.clone()
t.cat([x, x], 1)
t.stack([x, x])
t.cat([x, f[None]])
t.where(x > 0, x, y)
t.where(x > 0, x, 0.0)
x.maximum(y)
x.minimum(y)
x.clamp(-1, 1)
x.relu()
x.sign()
x.floor()
x.round()
x.trunc()
x.sqrt()
x.square()
x.reciprocal()
odd + 1
odd * 0
odd == odd
odd < 1
x == y
x != x
x > y
x <= 0.1
odd.isnan()
odd.isinf()
odd.isfinite()
x.bool()
x.long()
x.sum()
x.sum(1)
x.sum(0, keepdim=True)
x.sum(dtype=t.float32)
x.mean()
x.mean(0)
x.max()
x.min(1)
x.max(0)
x.amax(1)
x.argmax()
x.argmax(1)
x.argmin(0)
x.sort(1)
x.argsort(0)
x.topk(2)
x.any()
x.all(1)
x.nonzero()
x.gather(1, i[None] % 4)
x.index_select(1, i)
x.take(i)
x.masked_fill(x > 0, 5.0)
x.tril()
x.triu(1)
x.repeat(2, 1)
x.diagonal()
x @ x.T
x @ y
t.mm(x, x.T)
x.bmm(x) if x.ndim == 3 else x[None].bmm(x.T[None])
t.outer(y, y)
t.zeros(2, 2, dtype=kind)
t.ones(2, dtype=kind)
t.full((2,), 0.1, dtype=kind)
t.eye(3, dtype=kind)
t.arange(5, dtype=kind)
t.linspace(0, 1, 5, dtype=kind)
t.zeros_like(x)
t.ones_like(x)
t.full_like(x, 0.3)
t.ones_like(f, dtype=kind)
x.new_zeros(2)
x.new_full((2,), 0.1)
t.empty_like(x).shape
t.rand(5, generator=t.Generator().manual_seed(0), dtype=kind)
t.randn(5, generator=t.Generator().manual_seed(0), dtype=kind)
t.randn(40, generator=t.Generator().manual_seed(0), dtype=kind)
t.zeros(9, dtype=kind).uniform_(-1, 2, generator=t.Generator().manual_seed(0))
t.zeros(9, dtype=kind).bernoulli_(0.4, generator=t.Generator().manual_seed(0))
x + f
x * h
x + t.tensor(1.0, dtype=t.float64)
x + i
i * y
x * True
x.float() + x
x.double()
x.half()
x.item() if x.numel() == 1 else x[0, 0].item()
x.tolist()
float(x[0, 1])
bool(x[0, 3])
x.is_floating_point()
x.element_size()
x.numel()
x.stride()
t.promote_types(kind, t.float16)
t.promote_types(t.float64, kind)
t.promote_types(kind, t.int64)
t.promote_types(kind, kind)
t.finfo(kind).eps
t.finfo(kind).max
t.finfo(kind).tiny
repr(x)
repr(odd)
repr(t.zeros(0, dtype=kind))
z = x.clone(); z[0] = 0.1; z
z = x.clone(); z[:, 1] = f[:3]; z
z = x.clone(); z[x > 0] = y[0]; z
z = x.clone(); z += y; z
z = x.clone(); z.mul_(3).add_(y); z
z = f.clone(); z[:2] = y[:2]; z
z = x.clone(); z.fill_(0.1); z
z = x.clone(); z.zero_(); z
z = f.clone(); z.copy_(y); z
"""

CLOSE = """
x.exp()
p.log()
p.log2()
p.log1p()
x.sin()
x.cos()
x.tanh()
x.sigmoid()
p.rsqrt()
p.pow(1.5)
x ** 2
x ** 3
2 ** x
x.expm1()
x.erf()
p.lgamma()
x.atan()
x.sinh()
x.softmax(1)
x.log_softmax(1)
x.logsumexp(1)
x.cumsum(1)
x.cumprod(1)
x.prod(1)
x.var(1)
x.std()
x.norm()
x.norm(dim=1)
t.addcmul(x, x, y, value=0.5)
t.atan2(x, y)
t.hypot(x, y)
t.xlogy(p, p)
t.nn.functional.gelu(x)
t.nn.functional.silu(x)
x.scatter_add(1, i[None] % 4, y[None])
x.index_add(0, t.tensor([0, 0]), x[:2])
x.remainder(y)
x.floor_divide(y)
x.sinc()
t.heaviside(x, y)
x.frac()
t.einsum("ij,kj->ik", x, x)
x.diff(dim=1)
"""


def run(library, line):
    *before, last = line.split("; ")
    scope = {"t": library, **names(library)}
    for statement in before: exec(statement, scope)
    return eval(last, scope)


def plain(result):
    """Results in Python's own terms."""
    if isinstance(result, (tuple, list)): return [plain(part) for part in result]
    if hasattr(result, "tolist"): return [str(result.dtype).split(".")[1], result.tolist()]
    return str(result).replace("tinytorch", "torch")


def lines(table): return [line for line in table.split("\n") if line]


@pytest.mark.parametrize("line", lines(EXACT))
def test_exactly_as_in_pytorch(line):
    ours, theirs = plain(run(tt, line)), plain(run(torch, line))
    assert str(ours) == str(theirs)


@pytest.mark.parametrize("line", lines(CLOSE))
def test_within_the_last_bit_of_pytorch(line):
    ours, theirs = run(tt, line), run(torch, line)
    assert ours.dtype is tt.bfloat16 and theirs.dtype is torch.bfloat16
    np.testing.assert_allclose(ours.float().array, theirs.float().numpy(), rtol=2**-6, atol=2**-9)


def test_short_numbers_take_two_bytes_and_views_share_them():
    x = tt.zeros(1000, dtype=tt.bfloat16)
    assert x.array.nbytes == 2000 and x.element_size() == 2
    x.view(10, 100)[3] = 1.0
    assert x.sum().item() == 100.0 and x._version == 1


def test_sums_are_rounded_once():
    many = tt.full((10_000,), 1.01, dtype=tt.bfloat16)
    theirs = torch.full((10_000,), 1.01, dtype=torch.bfloat16)
    assert many.sum().item() == theirs.sum().item() and many.mean().item() == theirs.mean().item()


def test_short_tensors_are_pickled_and_copied():
    x = tt.tensor([0.1, 2.0], dtype=tt.bfloat16)
    back = pickle.loads(pickle.dumps(x))
    assert back.dtype is tt.bfloat16 and back.tolist() == x.tolist()


def test_numpy_is_told_that_it_has_no_such_dtype():
    with pytest.raises(TypeError, match="float"): np.asarray(tt.ones(2, dtype=tt.bfloat16))
