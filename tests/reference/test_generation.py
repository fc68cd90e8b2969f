"""Generation of lesson 16 beside PyTorch: the scores at every step, and how scores are bent.

PyTorch has no generation of its own; the formulas are those of Keskar et al., 2019 (the penalty), and of
Holtzman et al., 2020 (top p), as transformers writes them, with PyTorch's functions.
"""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")
F = torch.nn.functional

from tinytorch import Tensor, manual_seed, tensor  # noqa: E402
from tinytorch.capstone import (  # noqa: E402
    Text,
    discouraged,
    drawn,
    generate,
    kept,
    nothing_read,
    padded,
    read,
    top_k,
    top_p,
)
from tinytorch.compiling import compiler  # noqa: E402
from tinytorch.models import GPT  # noqa: E402
from tinytorch.quick import QuickWriter, Sheets  # noqa: E402
from tinytorch.switch import use_kernels  # noqa: E402

VOCABULARY, PLACES, LAYERS, HEADS = 17, 48, 3, 2
rng = np.random.default_rng(16)


@pytest.fixture(scope="module", params=[16, 64, 96], ids=lambda width: f"width {width}")
def model(request):
    """Layers of a width that is no multiple of 32 are never computed in one call."""
    manual_seed(16)
    model = GPT(VOCABULARY, PLACES, LAYERS, HEADS, request.param).eval()
    for p in model.parameters(): p.data.normal_(0.0, 1.2 / math.sqrt(request.param))
    return model


@pytest.fixture(scope="module")
def theirs(model):
    """The scores that a GPT in PyTorch gives after every word, without any cache.  [T] -> (T, vocabulary)"""
    state = {name: torch.from_numpy(np.array(x.array)) for name, x in model.state_dict().items()}

    def linear(x, name): return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])
    def norm(x, name): return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    def scores(ids):
        x = state["transformer.wte.weight"][ids] + state["transformer.wpe.weight"][: len(ids)]
        for n in range(LAYERS):
            name = f"transformer.h.{n}"
            heads = linear(norm(x, f"{name}.ln_1"), f"{name}.attn.c_attn").split(x.shape[-1], -1)
            q, k, v = [part.view(len(ids), HEADS, -1).transpose(0, 1) for part in heads]
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + linear(seen.transpose(0, 1).reshape(x.shape), f"{name}.attn.c_proj")
            wide = F.gelu(linear(norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc"), approximate="tanh")
            x = x + linear(wide, f"{name}.mlp.c_proj")
        return F.linear(norm(x, "transformer.ln_f"), state["lm_head.weight"])
    return scores


def words(n): return rng.integers(0, VOCABULARY, n).tolist()


def test_cached_scores_are_pytorchs_at_every_step(model, theirs):
    ids, cache = words(PLACES), nothing_read(model, [0])
    for n, want in enumerate(theirs(ids)):
        np.testing.assert_allclose(read(model, tensor([[ids[n]]]), cache).array[0, 0], want, atol=1e-5)


@pytest.mark.parametrize("kernels", ["fast", "numpy"])
def test_quick_scores_are_pytorchs_at_every_step(model, theirs, kernels):
    ids, cache = words(PLACES), nothing_read(model, [0])
    with use_kernels(kernels): sheets = Sheets(model)
    width = model.transformer.wte.weight.shape[1]
    assert bool(sheets.compiled) is (kernels == "fast" and width % 32 == 0 and compiler() is not None)
    for word, want in zip(ids, theirs(ids)):
        np.testing.assert_allclose(sheets.read([word], cache)[0], want, atol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 4, 9])
def test_quick_scores_of_a_batch_are_pytorchs_of_each(model, theirs, count):
    texts, sheets = [words(1 + 2 * n) for n in range(count)], Sheets(model)
    ids, start = padded(texts)
    cache = nothing_read(model, start)
    read(model, ids, cache)
    for n in range(4):
        if n == 2: texts, cache = texts[1:], kept(cache, range(1, count))       # somebody leaves
        new = words(len(texts))
        for text, word in zip(texts, new): text.append(word)
        for row, text in zip(sheets.read(new, cache), texts):
            np.testing.assert_allclose(row, theirs(text)[-1], atol=1e-5)


def test_padded_texts_have_pytorchs_scores_of_each(model, theirs):
    texts, more = [words(n) for n in (11, 3, 7)], words(6)
    ids, start = padded(texts)
    cache = nothing_read(model, start)
    found = read(model, ids, cache, last=True).array[:, 0]
    for n, word in enumerate([*more, None]):
        for row, text in zip(found, texts):
            np.testing.assert_allclose(row, theirs(text + more[:n])[-1], atol=1e-5)
        if word is not None: found = read(model, tensor([[word]] * 3), cache).array[:, 0]


def test_whole_texts_are_those_pytorch_writes(model, theirs):
    texts = [words(n) for n in (5, 1, 9)]
    want = [list(ids) for ids in texts]
    for ids in want:
        for _ in range(20): ids.append(int(theirs(ids)[-1].argmax()))
    assert generate(model, texts, max_new_tokens=20, temperature=0.0) == want
    assert generate(model, texts, QuickWriter, max_new_tokens=20, temperature=0.0) == want


def warped(scores, used, penalty, temperature, k, p):
    """The shares that transformers would draw from."""
    scores = torch.from_numpy(scores)[None]
    used = torch.tensor(used)[None]
    score = torch.gather(scores, 1, used)
    scores = scores.scatter(1, used, torch.where(score < 0, score * penalty, score / penalty)) / temperature
    if k: scores = scores.masked_fill(scores < torch.topk(scores, k)[0][..., -1, None], -math.inf)
    if p < 1:
        ordered, places = torch.sort(scores, descending=False)
        remove = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
        remove[..., -1:] = False
        scores = scores.masked_fill(remove.scatter(1, places, remove), -math.inf)
    return F.softmax(scores, -1)[0].numpy()


@pytest.mark.parametrize("how", [
    (1.0, 1.0, 0, 1.0), (1.3, 0.7, 0, 1.0), (1.0, 1.0, 5, 1.0), (1.0, 1.0, 0, 0.9), (1.0, 1.5, 0, 0.31),
    (1.2, 0.8, 10, 0.7), (2.0, 3.0, 1, 0.5),
], ids=str)
def test_scores_are_bent_as_transformers_bends_them(how):
    penalty, temperature, k, p = how
    for _ in range(50):
        scores, used = (3 * rng.standard_normal(40)).astype(np.float32), rng.integers(0, 40, 6).tolist()
        x = discouraged(Tensor(scores), used, penalty) / temperature
        if k: x = top_k(x, k)
        if p < 1: x = top_p(x, p)
        np.testing.assert_allclose(x.softmax(-1).array, warped(scores, used, *how), atol=1e-6)


def test_a_text_draws_from_these_shares():
    scores, how = (2 * rng.standard_normal(8)).astype(np.float32), (1.5, 0.9, 6, 0.8)
    shares = warped(scores, [1, 2], *how)
    text = Text([1, 2], repetition_penalty=1.5, temperature=0.9, top_k=6, top_p=0.8, seed=1)
    found = np.bincount([text.choose(Tensor(scores)) for _ in range(5000)], minlength=8) / 5000
    np.testing.assert_allclose(found, shares, atol=0.03)
    assert not found[shares == 0].any()


def test_points_fall_into_the_pieces_that_numpy_finds():
    shares = rng.dirichlet(np.ones(30)).astype(np.float32)
    ends = np.cumsum(shares.astype(float))
    for u in rng.random(500):
        assert drawn(Tensor(shares), u) == np.searchsorted(ends, u * ends[-1], side="right")
