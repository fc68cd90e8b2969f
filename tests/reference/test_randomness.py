"""The same numbers as PyTorch's, for the same seed.

Each line is run with a generator `g` of seed 0, and the next numbers drawn afterwards have to agree as well.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinytorch as tt


def names(t):
    return {"g": t.Generator().manual_seed(0), "T": lambda *shape, **settings: t.empty(*shape, **settings),
            "p": t.linspace(0.0, 1.0, 12).reshape(3, 4), "d": t.linspace(0.0, 1.0, 7, dtype=t.float64),
            "w": t.tensor([[0.1, 3.0, 0.0, 2.0], [5.0, 1.0, 1.0, 1.0]]), "i": t.arange(6)}


SAME = """
t.rand(5, generator=g)
t.rand(2, 3, generator=g)
t.rand((2, 3), generator=g)
t.rand(size=(2, 3), generator=g)
t.rand((), generator=g)
t.rand(0, generator=g)
t.rand(700, generator=g)
t.rand(50, generator=g, dtype=t.float64)
t.rand(5000, generator=g, dtype=t.float16)
t.rand(3, generator=g, requires_grad=True).requires_grad
t.rand(3, generator=g, dtype=t.int64)
t.randn(1, generator=g)
t.randn(5, generator=g)
t.randn(15, generator=g)
t.randn(16, generator=g)
t.randn(21, generator=g)
t.randn(4, 8, generator=g)
t.randn(1001, generator=g)
t.randn(5, generator=g), t.randn(4, generator=g), t.randn(20, generator=g), t.randn(2, generator=g)
t.randn(3, generator=g), t.rand(2, generator=g), t.randn(1, generator=g)
t.randn(0, generator=g)
t.randn(40, generator=g, dtype=t.float64)
t.randn(5, generator=g, dtype=t.float64)
t.randn(40, generator=g, dtype=t.float16)
t.randn(5, generator=g, dtype=t.float16)
t.randn(3, generator=g, dtype=t.int64)
t.randint(10, (5,), generator=g)
t.randint(3, 10, (2, 3), generator=g)
t.randint(-5, 5, (6,), generator=g)
t.randint(high=7, size=(4,), generator=g)
t.randint(low=2, high=7, size=(4,), generator=g)
t.randint(5, (6,), generator=g, dtype=t.float32)
t.randint(0, 256, (6,), generator=g, dtype=t.uint8)
t.randint(0, 257, (6,), generator=g, dtype=t.uint8)
t.randint(2**28 - 1, (9,), generator=g)
t.randint(2**28, (9,), generator=g)
t.randint(-2**63, 2**63 - 1, (9,), generator=g)
t.randint(5, 5, (2,), generator=g)
t.randint(5, 3, (2,), generator=g)
t.randperm(10, generator=g)
t.randperm(1000, generator=g)
t.randperm(1, generator=g)
t.randperm(0, generator=g)
t.randperm(7, generator=g, dtype=t.int32)
t.randperm(-1, generator=g)
t.normal(p, 2.0, generator=g)
t.normal(p, p, generator=g)
t.normal(1.0, p, generator=g)
t.normal(t.zeros(3, 1), t.ones(8), generator=g)
t.normal(1.0, 2.0, (3, 7), generator=g)
t.normal(2.0, 3.0, size=(3,), generator=g)
t.normal(p, -p, generator=g)
t.normal(1.0, 2.0, generator=g)
t.bernoulli(p, generator=g)
t.bernoulli(d, generator=g)
t.bernoulli(p.half(), generator=g)
t.bernoulli(p, 0.3, generator=g)
p.bernoulli(0.9, generator=g)
t.bernoulli(p * 2, generator=g)
t.bernoulli(i, generator=g)
t.multinomial(w, 1, generator=g)
t.multinomial(w, 3, generator=g)
t.multinomial(w, 1, True, generator=g)
t.multinomial(w, 20, True, generator=g)
t.multinomial(w[1], 4, generator=g)
t.multinomial(d, 5, replacement=True, generator=g)
d.multinomial(3, generator=g)
t.multinomial(w, 5, generator=g)
t.multinomial(w, 0, generator=g)
t.multinomial(-w, 1, generator=g)
t.multinomial(w * 0, 1, generator=g)
t.multinomial(i, 1, generator=g)
T(7).uniform_(generator=g)
T(500).uniform_(-3, 0.7, generator=g)
T(500).uniform_(0.1, 0.7, generator=g)
T(50, dtype=t.float64).uniform_(-3, 0.7, generator=g)
T(3000, dtype=t.float16).uniform_(-3, 0.7, generator=g)
T(3).uniform_(2, 2, generator=g)
T(3).uniform_(3, 2, generator=g)
T(3, dtype=t.int64).uniform_(generator=g)
T(5).normal_(2, 3, generator=g)
T(64).normal_(2, 3, generator=g)
T(37).normal_(mean=-1, std=0.5, generator=g)
T(5).normal_(0, -1, generator=g)
T(5, dtype=t.int64).normal_(generator=g)
T(20).bernoulli_(generator=g)
T(20).bernoulli_(0.2, generator=g)
T(20, dtype=t.int64).bernoulli_(0.2, generator=g)
T(20, dtype=t.bool).bernoulli_(0.8, generator=g)
T(3, 4).bernoulli_(p, generator=g)
T(3, 4).bernoulli_(p.double(), generator=g)
T(5, 3, 4).bernoulli_(p, generator=g)
T(5).bernoulli_(2.0, generator=g)
T(20).exponential_(generator=g)
T(20).exponential_(3.0, generator=g)
T(20, dtype=t.float64).exponential_(lambd=0.5, generator=g)
T(5).exponential_(-1, generator=g)
T(9).log_normal_(generator=g)
T(20).log_normal_(0.5, 0.7, generator=g)
T(5).log_normal_(0, -1, generator=g)
T(20).cauchy_(generator=g)
T(20).cauchy_(1, 2, generator=g)
T(5).cauchy_(0, -1, generator=g)
T(20).geometric_(0.3, generator=g)
T(20, dtype=t.int64).geometric_(0.3, generator=g)
T(5).geometric_(0, generator=g)
T(9).random_(generator=g)
T(9, dtype=t.float64).random_(generator=g)
T(9, dtype=t.float16).random_(generator=g)
T(9, dtype=t.int64).random_(generator=g)
T(9, dtype=t.int32).random_(generator=g)
T(9, dtype=t.int8).random_(generator=g)
T(9, dtype=t.uint8).random_(generator=g)
T(9, dtype=t.bool).random_(generator=g)
T(9).random_(10, generator=g)
T(9, dtype=t.int64).random_(3, 10, generator=g)
T(9).random_(5, 5, generator=g)
T(4, 6).T.uniform_(generator=g)
T(4, 6).T.normal_(generator=g)
T(2, 3).T.normal_(generator=g)
T(4, 6)[1:, 2:].T.uniform_(generator=g)
T(2, 3, 4).permute(2, 0, 1).uniform_(generator=g)
T(4, 6)[:, ::2].exponential_(generator=g)
x = t.zeros(4, 6); x[1].uniform_(generator=g); x
"""


@pytest.mark.parametrize("line", [line for line in SAME.split("\n") if line])
def test_the_same_numbers(agree, line):
    *before, last = line.split("; ")
    agree("; ".join([*before, f"(({last}), t.rand(3, generator=g), t.randn(1, generator=g))"]), names)


GLOBAL = """
t.rand(3)
t.rand_like(t.zeros(2, 3, dtype=t.float64))
t.randn_like(t.zeros(20))
t.randn_like(t.zeros(20, dtype=t.int64), dtype=t.float32)
t.randint_like(t.zeros(3), 10)
t.randint_like(t.zeros(3), 5, 10, dtype=t.int64)
t.zeros(5).normal_()
t.bernoulli(t.full((9,), 0.5))
t.initial_seed()
t.random.initial_seed()
x = t.rand(2); s = t.get_rng_state(); y = t.rand(2); t.set_rng_state(s); (x, y, t.rand(2))
s = t.random.get_rng_state(); t.randn(3); t.random.set_rng_state(s); t.randn(3)
t.manual_seed(2**32 + 5).initial_seed()
t.manual_seed(-5).initial_seed()
t.manual_seed(5).initial_seed(), t.rand(1)
t.manual_seed(2**64)
t.default_generator.manual_seed(3) is t.default_generator
t.Generator().initial_seed()
t.Generator("cpu").device
t.Generator().set_state(t.zeros(3))
t.Generator().set_state(t.zeros(3, dtype=t.uint8))
t.get_rng_state().shape
"""


@pytest.mark.parametrize("line", [line for line in GLOBAL.split("\n") if line])
def test_the_same_numbers_for_everybody(agree, line):
    agree(f"t.manual_seed(1234); {line}")


@settings(max_examples=40, deadline=None)
@given(st.integers(-(2**63), 2**64 - 1), st.integers(0, 1500))
def test_any_seed_and_any_number_of_draws(seed, n):
    torch = pytest.importorskip("torch")
    theirs, ours = torch.Generator().manual_seed(seed), tt.Generator().manual_seed(seed)
    assert torch.rand(n, generator=theirs).tolist() == tt.rand(n, generator=ours).tolist()
    normal = torch.randn(n, generator=theirs).numpy()
    np.testing.assert_allclose(tt.randn(n, generator=ours).array, normal, rtol=1e-5, atol=1e-6)
    assert ours.initial_seed() == theirs.initial_seed()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 1300), st.integers(0, 5))
def test_a_state_can_be_carried_from_one_to_the_other(words, normals):
    torch = pytest.importorskip("torch")
    theirs, ours = torch.Generator().manual_seed(words), tt.Generator()
    torch.rand(words, generator=theirs)
    torch.randn(normals, generator=theirs)
    ours.set_state(tt.tensor(theirs.get_state().numpy()))
    assert np.array_equal(ours.get_state().array[:5016], theirs.get_state().numpy()[:5016])
    np.testing.assert_allclose(torch.randn(3, generator=theirs), tt.randn(3, generator=ours).array, rtol=1e-5)
    back = torch.Generator().set_state(torch.from_numpy(ours.get_state().array))
    assert torch.rand(700, generator=back).tolist() == tt.rand(700, generator=ours).tolist()


def test_poisson_counts_are_poisson():
    rates = tt.tensor([0.0, 0.3, 4.0, 50.0])
    many = tt.poisson(rates.expand(20_000, 4), tt.Generator().manual_seed(1))
    assert many.dtype is tt.float32
    np.testing.assert_allclose(many.array.mean(0), rates.array, rtol=0.03)
    np.testing.assert_allclose(many.array.var(0), rates.array, rtol=0.05)
    again = tt.poisson(rates.expand(20_000, 4), tt.Generator().manual_seed(1))
    assert (many == again).all()
    with pytest.raises(RuntimeError, match="rate"): tt.poisson(tt.tensor([-1.0]))


def test_a_fork_leaves_no_trace():
    tt.manual_seed(0)
    wanted = tt.rand(4).tolist()
    tt.manual_seed(0)
    first = tt.rand(2).tolist()
    with tt.random.fork_rng(): tt.rand(100)
    assert first + tt.rand(2).tolist() == wanted


def test_unseeded_programs_differ():
    assert tt.Generator().seed() != tt.Generator().seed()
    tt.seed()
    before = tt.initial_seed()
    assert tt.seed() != before and tt.initial_seed() != before


def test_numbers_drawn_in_place_count_as_a_change():
    x = tt.zeros(3)
    assert x.uniform_() is x and x._version == 1


def test_numpy_random_is_loaded_when_first_needed():
    import subprocess
    import sys
    code = ("import sys, numpy; before = 'numpy.random' in sys.modules; import tinytorch; "
            "assert before or 'numpy.random' not in sys.modules, 'tinytorch loads numpy.random'")
    subprocess.run([sys.executable, "-c", code], check=True)
