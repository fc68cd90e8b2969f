"""Lesson 07 against NumPy in float64, on numbers that the lesson's checks do not use."""

import math

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, tensor
from tinytorch.attention import (
    GPT,
    Block,
    CausalSelfAttention,
    attend,
    attention_cost,
    attention_weights,
    causal_mask,
    continued,
    look_up,
    merge_heads,
    scaled_dot_product_attention,
    sinusoids,
    split_heads,
)

rng = np.random.default_rng(7)


def numbers(*shape): return rng.standard_normal(shape).astype(np.float32)


def close(found, want, tolerance=2e-5):
    return np.allclose(found.array, want, rtol=tolerance, atol=tolerance)


def probabilities(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def seen(q, k, v, mask=0.0):
    """Attention as the formula says, in float64."""
    q, k, v = [x.astype(np.float64) for x in (q, k, v)]
    return probabilities(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]) + mask) @ v


def ahead(T, S=None): return np.triu(np.full((T, S or T), -np.inf), 1)


def filled(model):
    """Weights that do not depend on how the model starts."""
    for p in model.parameters(): p.data = Tensor(0.3 * numbers(*p.shape))
    return model.eval()


def normed(x, layer):
    x = x.astype(np.float64)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.eps)
    return x * layer.weight.array + layer.bias.array


def by(x, layer): return x @ layer.weight.array.T.astype(np.float64) + layer.bias.array


def looked(x, attn):
    """Causal self-attention, head by head."""
    C, n = x.shape[-1], attn.n_head
    q, k, v = np.split(by(x, attn.c_attn), 3, -1)
    parts = [slice(i * C // n, (i + 1) * C // n) for i in range(n)]
    return by(np.concatenate([seen(q[..., p], k[..., p], v[..., p], ahead(x.shape[1])) for p in parts], -1),
              attn.c_proj)


def thought(x, mlp):
    x = by(x, mlp.c_fc)
    return by(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), mlp.c_proj)


def edited(x, block):
    x = x + looked(normed(x, block.ln_1), block.attn)
    return x + thought(normed(x, block.ln_2), block.mlp)


def test_an_embedding_is_a_product_with_ones_and_zeros():
    table, ids = numbers(9, 5), rng.integers(0, 9, (4, 6))
    assert close(look_up(Tensor(ids), Tensor(table)), np.eye(9)[ids] @ table), "the rows that the ids ask for"


@pytest.mark.parametrize("ids", [[3], [-1], [0, 1, 2, 99], [-3, 0]])
def test_an_id_without_a_row_is_refused(ids):
    with pytest.raises(IndexError): look_up(tensor(ids), Tensor(numbers(3, 2)))


@pytest.mark.parametrize("length, width", [(1, 2), (7, 6), (100, 32), (5, 5), (0, 4)])
def test_places_are_sines_and_cosines(length, width):
    want = np.zeros((length, width))
    for t in range(length):
        for c in range(width):
            angle = t / 10000 ** ((c - c % 2) / width)
            want[t, c] = math.cos(angle) if c % 2 else math.sin(angle)
    found = sinusoids(length, width)
    assert found.shape == want.shape, "a row for each place"
    assert close(found, want), "sines in the even columns, cosines in the odd ones"


def test_two_places_are_as_alike_as_they_are_near():
    p = sinusoids(60, 16).array
    alike = p @ p.T
    for d in (1, 7): assert np.ptp(np.diagonal(alike, d)) < 1e-4, "the dot product knows the distance only"


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (2, 5, 3, 4)])
def test_attention_is_what_the_formula_says(shape):
    q, k, v = numbers(*shape), numbers(*shape[:-2], 6, 4), numbers(*shape[:-2], 6, 3)
    mask = np.where(rng.random((shape[-2], 6)) < 0.3, -np.inf, 0.0).astype(np.float32)
    mask[:, 0] = 0.5
    q_, k_, v_, m_ = map(Tensor, (q, k, v, mask))
    want = seen(q, k, v, mask)
    assert close(attention_weights(q_, k_, m_) @ v_, want), "weights, then the mixture"
    assert close(attend(q_, k_, v_, m_), want), "the same in one op"


def test_attention_has_no_preference_for_an_order():
    q, k, v, order = numbers(4, 8), numbers(6, 8), numbers(6, 8), rng.permutation(6)
    assert close(attend(*map(Tensor, (q, k[order], v[order]))), attend(*map(Tensor, (q, k, v))).array), \
        "keys and values in another order are the same keys and values"


def test_scores_of_any_size_are_safe():
    q, k, v = 100 * numbers(5, 8), 100 * numbers(5, 8), numbers(5, 8)
    assert close(attend(*map(Tensor, (q, k, v))), seen(q, k, v), 1e-3), "no exponent may be positive"


def test_a_scale_may_be_chosen():
    q, k, v = numbers(5, 8), numbers(5, 8), numbers(5, 8)
    assert close(attend(*map(Tensor, (q, k, v)), scale=1.0), seen(math.sqrt(8) * q, k, v)), \
        "scale replaces 1/sqrt(E)"


def test_who_may_look_nowhere_sees_nothing():
    mask = np.zeros((3, 3), np.float32)
    mask[1] = -np.inf
    found = attend(*[Tensor(numbers(3, 4)) for _ in range(3)], Tensor(mask)).array
    assert not found[1].any() and np.isfinite(found).all() and found[0].any(), "a mixture of nothing is 0"


def test_attention_makes_one_large_array():
    q, k, v = [Tensor(numbers(400, 8)) for _ in range(3)]
    attend(q, k, v)
    assert tinytorch.peak_memory(lambda: attend(q, k, v)) < 1.5 * 400 * 400 * 4, \
        "in place: no second array of T x S"


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_keep_their_width(kind):
    x = Tensor(numbers(3, 4).astype(kind))
    assert scaled_dot_product_attention(x, x, x, is_causal=True).array.dtype == kind, "no float64"


def test_views_give_what_copies_give_and_stay_as_they_are():
    x = numbers(2, 6, 3, 8)
    views = [Tensor(x[:, :, i].swapaxes(0, 1)) for i in range(3)]
    before = x.copy()
    assert close(attend(*views), attend(*[tensor(view) for view in views]).array), "the walk does not matter"
    assert np.array_equal(x, before), "an op never changes its inputs"


@pytest.mark.parametrize("rows, columns", [(1, 1), (4, 4), (3, 5), (5, 3)])
def test_the_causal_mask_hides_what_lies_ahead(rows, columns):
    assert np.array_equal(causal_mask(rows, columns).array, ahead(rows, columns)), "-inf where column > row"


def test_a_mask_of_bools_says_where_to_look():
    q, k, v, look = numbers(4, 8), numbers(6, 8), numbers(6, 8), rng.random((4, 6)) < 0.6
    look[:, 0] = True
    found = scaled_dot_product_attention(*map(Tensor, (q, k, v, look)))
    assert close(found, seen(q, k, v, np.where(look, 0, -np.inf))), "True is where to look"


@pytest.mark.parametrize("heads", [1, 2, 6])
def test_heads_are_pieces_of_rows(heads):
    x = numbers(2, 5, 12)
    pieces = split_heads(Tensor(x), heads)
    for h, part in enumerate(np.split(x, heads, -1)):
        assert np.array_equal(pieces.array[:, h], part), "a head has its run of neighbours, at every place"
    assert np.array_equal(merge_heads(pieces).array, x), "merging undoes splitting"


def test_rows_that_do_not_split_are_refused():
    with pytest.raises(ValueError, match=r"12.*5"): split_heads(Tensor(numbers(1, 2, 12)), 5)
    with pytest.raises(ValueError, match=r"12.*5"): CausalSelfAttention(12, 5)


@pytest.mark.parametrize("B, T, C, heads", [(1, 1, 4, 1), (2, 7, 12, 3), (3, 16, 8, 8)])
def test_self_attention_is_what_the_formula_says(B, T, C, heads):
    attn, x = filled(CausalSelfAttention(C, heads)), numbers(B, T, C)
    assert close(attn(Tensor(x)), looked(x, attn), 1e-4), "queries, keys, values; heads; c_proj"


def test_a_block_edits_the_row():
    block, x = filled(Block(12, 3)), numbers(2, 5, 12)
    assert close(block(Tensor(x)), edited(x, block), 1e-4), "x + attn(ln_1(x)), then + mlp(ln_2(of that))"


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_gpt_is_tables_blocks_a_norm_and_the_table_again(layers):
    model, idx = filled(GPT(17, 9, layers, 3, 12)), rng.integers(0, 17, (2, 7))
    parts = model.transformer
    x = parts.wte.weight.array[idx] + parts.wpe.weight.array[:7]
    for block in parts.h: x = edited(x, block)
    want = normed(x, parts.ln_f) @ parts.wte.weight.array.T
    assert close(model(Tensor(idx)), want, 1e-3), "the scores of every word at every place"


@pytest.mark.parametrize("place", [0, 3, 7])
def test_gpt_never_looks_ahead(place):
    model, idx = filled(GPT(11, 8, 2, 2, 8)), rng.integers(0, 11, (1, 8))
    other = idx.copy()
    other[:, place] = (other[:, place] + 1) % 11
    a, b = model(Tensor(idx)).array, model(Tensor(other)).array
    assert np.allclose(a[:, :place], b[:, :place], atol=1e-5), "what comes later cannot change what was said"
    assert not np.allclose(a[:, place:], b[:, place:], atol=1e-3), "what came before can"


def test_gpt_knows_places():
    model = filled(GPT(11, 8, 1, 2, 8))
    a, b = model(tensor([[1, 2, 3]])).array, model(tensor([[2, 1, 3]])).array
    assert not np.allclose(a[:, 2], b[:, 2], atol=1e-3), "the dog bit the man is not the man bit the dog"


def test_gpt_has_as_many_places_as_it_has():
    model = filled(GPT(5, 4, 1, 1, 4))
    assert model(tensor([[1, 2, 3, 4]])).shape == (1, 4, 5), "all places may be used"
    with pytest.raises(ValueError, match=r"5.*4"): model(tensor([[1, 2, 3, 4, 0]]))


def test_the_last_matrix_is_the_first_table():
    model = GPT(11, 8, 1, 2, 8)
    assert model.lm_head.weight is model.transformer.wte.weight, "one parameter, two uses"


class Adding:
    """Expects the sum of all it sees, modulo 50."""
    block_size = 4

    def __call__(self, idx):
        assert idx.shape[1] <= 4, "no more words than places"
        scores = np.zeros((*idx.shape, 50), np.float32)
        for b, row in enumerate(idx.array):
            for t in range(len(row)): scores[b, t, row[: t + 1].sum() % 50] = 1
        return Tensor(scores)


def test_a_text_is_continued_word_by_word():
    text = [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]
    want = [list(row) for row in text]
    for row in want:
        for _ in range(12): row.append(sum(row[-4:]) % 50)
    assert continued(Adding(), tensor(text), 12).tolist() == want, "each after what stands before it"


def test_the_text_that_was_given_stays():
    text = tensor([[1, 2]])
    out = continued(Adding(), text, 3)
    assert text.tolist() == [[1, 2]] and out[:, :2].tolist() == [[1, 2]], \
        "the beginning is kept, the input too"


@pytest.mark.parametrize("T, C, heads", [(128, 64, 4), (1024, 768, 12), (1, 8, 1)])
def test_the_cost_of_a_look(T, C, heads):
    products = [2 * T * C * C] * 4, [2 * T * (C // heads) * T] * heads * 2
    assert attention_cost(T, C, heads) == (sum(products[0]), sum(products[1]), heads * T * T * 4), \
        "four matrices; two products for each head; four bytes for each weight"
