"""Lesson 16 on texts that the lesson's checks do not write: memory, choices, and who comes and goes when."""

import numpy as np
import pytest

from tinytorch import Tensor, manual_seed, no_grad, tensor
from tinytorch.attention import GPT, continued
from tinytorch.capstone import (
    Text,
    Writer,
    discouraged,
    drawn,
    generate,
    joined,
    kept,
    nothing_read,
    padded,
    read,
    stream,
    top_k,
    top_p,
)
from tinytorch.errors import ShapeError
from tinytorch.layers import Sequential
from tinytorch.quick import QuickWriter, Sheets, chosen
from tinytorch.speculation import judged, speculate

rng = np.random.default_rng(16)


def filled(*sizes, seed=1):
    """A GPT with weights that make all of its parts count."""
    manual_seed(seed)
    model = GPT(*sizes).eval()
    for p in model.parameters(): p.data.normal_(0.0, 0.3)
    return model


MODEL = filled(13, 40, 3, 2, 12)


def words(n): return rng.integers(0, 13, n).tolist()


def scores_of(ids):
    """What the model says of a text by itself, without a cache.  [T] -> (T, vocab)"""
    with no_grad(): return MODEL(tensor([ids])).array[0]


@pytest.mark.parametrize("cuts", [[40], [1] * 40, [7, 1, 1, 20, 11], [39, 1]], ids=str)
def test_cached_scores_are_those_without_a_cache_at_every_step(cuts):
    ids, cache = words(40), nothing_read(MODEL, [0])
    found = [read(MODEL, tensor([ids[at - n : at]]), cache).array[0] for n, at in zip(cuts, np.cumsum(cuts))]
    np.testing.assert_allclose(np.concatenate(found), scores_of(ids), atol=1e-5)


def test_a_batch_of_unequal_texts_reads_like_each_of_them():
    texts, more = [words(n) for n in (9, 1, 5, 9)], [words(4) for _ in range(4)]
    ids, start = padded(texts)
    cache = nothing_read(MODEL, start)
    first = read(MODEL, ids, cache).array
    for row, text in zip(first, texts):
        np.testing.assert_allclose(row[-len(text) :], scores_of(text), atol=1e-5)
    for n in range(4):
        said = read(MODEL, tensor([[m[n]] for m in more]), cache).array
        for row, text, m in zip(said, texts, more):
            np.testing.assert_allclose(row[-1], scores_of(text + m[: n + 1])[-1], atol=1e-5)


def test_the_last_scores_alone():
    ids, cache, other = tensor([words(6)]), nothing_read(MODEL, [0]), nothing_read(MODEL, [0])
    last, whole = read(MODEL, ids, cache, last=True), read(MODEL, ids, other)
    assert last.shape == (1, 1, 13)
    np.testing.assert_allclose(last.array[:, 0], whole.array[:, -1], atol=1e-6)


def test_reading_remembers_nothing_for_gradients():
    assert not read(MODEL, tensor([words(3)]), nothing_read(MODEL, [0])).requires_grad


def test_a_cache_refuses_more_words_than_there_are_places():
    cache = nothing_read(MODEL, [0])
    read(MODEL, tensor([words(40)]), cache)
    with pytest.raises(ShapeError, match="41 words do not fit into 40 places"):
        read(MODEL, tensor([words(1)]), cache)


def test_room_grows_seldom():
    cache, sizes = nothing_read(MODEL, [0]), set()
    for _ in range(40):
        read(MODEL, tensor([words(1)]), cache)
        sizes.add(cache.store.shape[-2])
    assert len(sizes) <= 4 and max(sizes) < 100, "it doubles: a word does not copy all words before it"


@pytest.mark.parametrize("kind", [Writer, QuickWriter])
@pytest.mark.parametrize("seed", range(6))
def test_texts_that_come_and_go_are_written_as_if_they_were_alone(seed, kind):
    random = np.random.default_rng(seed)
    writer, texts, begun = kind(MODEL), [], []
    for _ in range(12):
        for _ in range(random.integers(0, 3)):
            ids, n = random.integers(0, 13, random.integers(1, 15)).tolist(), int(random.integers(1, 12))
            texts.append(Text(ids, n, temperature=0))
            begun.append((ids, n))
            writer.begin(texts[-1])
        if writer.texts: writer.step()
    while writer.texts: writer.step()
    assert [t.ids for t in texts] == [continued(MODEL, tensor([ids]), n)[0].tolist() for ids, n in begun]


def test_the_caches_of_texts_that_left_are_forgotten():
    writer = Writer(MODEL)
    writer.begin(Text(words(30), 2), Text(words(3), 20))
    for _ in range(5): writer.step()
    assert writer.cache.store.shape[2] == 1, "one text is left"
    assert writer.cache.length == 3 + 5 and writer.cache.start.tolist() == [0]


@pytest.mark.parametrize("kind", [Writer, QuickWriter])
def test_a_text_ends_when_all_places_are_taken(kind):
    text = Text(words(38), 100, temperature=0)
    writer = kind(MODEL)
    writer.begin(text)
    while writer.texts: writer.step()
    assert len(text.ids) == 41, "the last word was said after 40 that were read"


def test_texts_that_cannot_be_continued():
    for ids in ([], words(41)):
        with pytest.raises(ShapeError, match="1 to 40 words"): Writer(MODEL).begin(Text(ids))
    writer = Writer(MODEL)
    writer.begin(Text(words(3), 0))
    assert writer.texts == [], "a text that wants no more words is done"


def test_a_word_that_ends_the_text():
    def said(*stop): return list(stream(MODEL, [1, 2, 3], max_new_tokens=20, temperature=0, stop=stop))
    whole = said()
    assert said(whole[4]) == whole[: whole.index(whole[4]) + 1]


def test_a_stream_is_read_as_it_is_written():
    words_ = stream(MODEL, [1, 2], max_new_tokens=3, temperature=0)
    first = next(words_)
    assert [1, 2, first] == continued(MODEL, tensor([[1, 2]]), 1)[0].tolist()
    assert len([first, *words_]) == 3


def test_seeds_repeat_and_differ():
    def said(seed): return list(stream(MODEL, [5], max_new_tokens=20, seed=seed, temperature=2.0))
    assert said(1) == said(1) != said(2)
    both = generate(MODEL, [[5], [5]], max_new_tokens=20, seed=1, temperature=2.0)
    assert both == [[5, *said(1)], [5, *said(2)]], "the n-th text is drawn from seed + n"


# ------------------------------------------------------------------------------------------ choosing

def shares_of(scores):
    e = np.exp(scores.astype(np.float64) - scores.max())
    return e / e.sum()


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9, 0.999])
def test_top_p_is_the_smallest_set_of_best_words(p):
    for _ in range(30):
        scores = rng.standard_normal(50).astype(np.float32) * 3
        stays = np.isfinite(top_p(Tensor(scores), p).array)
        shares = shares_of(scores)
        assert shares[stays].min() > shares[~stays].max(initial=0), "the best stay"
        assert shares[stays].sum() >= p - 1e-6, "they make up p"
        assert shares[stays].sum() - shares[stays].min() < p + 1e-6, "with one less they do not"


def test_top_k_and_ties():
    scores = rng.standard_normal(50).astype(np.float32)
    for k in (1, 7, 50): assert np.isfinite(top_k(Tensor(scores), k).array).sum() == k
    assert np.isfinite(top_k(tensor([1.0, 2.0, 2.0]), 1).array).tolist() == [False, True, True]


def test_words_are_drawn_as_often_as_their_shares():
    shares = np.float32([0.1, 0.0, 0.6, 0.3])
    found = np.bincount([drawn(Tensor(shares), u) for u in rng.random(20_000)], minlength=4) / 20_000
    np.testing.assert_allclose(found, shares, atol=0.02)
    assert found[1] == 0


def test_temperature_and_penalty_change_what_is_said():
    scores = tensor([0.0, 1.0, 2.0, 3.0])
    def chosen(t): return [Text([0], temperature=t, seed=s).choose(scores) for s in range(400)]
    cold, hot = np.bincount(chosen(0.3), minlength=4), np.bincount(chosen(5.0), minlength=4)
    assert cold[3] > 350 > 180 > hot[3] and hot[0] > 40
    assert Text([3], temperature=0, repetition_penalty=10.0).choose(scores) == 2
    assert discouraged(scores, [], 2.0).tolist() == scores.tolist(), "nothing used, nothing discouraged"


def test_joining_and_keeping_undo_each_other():
    a, b = nothing_read(MODEL, padded([words(4), words(2)])[1]), nothing_read(MODEL, [0])
    read(MODEL, tensor([words(4), words(4)]), a)
    read(MODEL, tensor([words(7)]), b)
    both = joined(a, b)
    for cache, rows in ((a, [0, 1]), (b, [2])):
        again = kept(both, rows)
        assert again.length == cache.length and again.start.tolist() == cache.start.tolist()
        assert np.array_equal(again.store, cache.store[..., : cache.length, :])


# ------------------------------------------------------------------------------------- speculation

def test_speculation_says_what_the_large_model_says_alone():
    small = filled(13, 40, 1, 2, 12, seed=2)
    for n in range(6):
        ids = words(3 + n)
        want = continued(MODEL, tensor([ids]), 20)[0].tolist()
        for guess in (small, MODEL):
            found, rounds = speculate(MODEL, guess, ids, 20, temperature=0, ahead=1 + n)
            assert found == want
            if guess is MODEL: assert rounds == -(-20 // (2 + n)), "who is always right saves most"
            else: assert rounds <= 20


def test_speculation_fills_all_places_and_no_more():
    ids = words(35)
    assert speculate(MODEL, MODEL, ids, 6, temperature=0)[0] == continued(MODEL, tensor([ids]), 6)[0].tolist()


def test_speculation_draws_as_the_large_model_does():
    p, q = np.array([0.1, 0.6, 0.3, 0.0]), np.array([0.5, 0.1, 0.2, 0.2])
    random, found = np.random.default_rng(1), np.zeros(4)
    for _ in range(20_000):
        word = int(random.choice(4, p=q))
        other = judged(p, q, word, random)
        found[word if other is None else other] += 1
    np.testing.assert_allclose(found / 20_000, p, atol=0.015)
    assert found[3] == 0


# ------------------------------------------------------------------------------------- the quick writer

def test_quick_scores_are_the_scores_at_every_step():
    ids, sheets, cache = words(40), Sheets(MODEL), nothing_read(MODEL, [0])
    for n, want in enumerate(scores_of(ids)):
        np.testing.assert_allclose(sheets.read([ids[n]], cache)[0], want, atol=1e-5)
    with pytest.raises(ShapeError, match="41 words do not fit into 40"): sheets.read([1], cache)


def test_quick_scores_of_a_batch_ignore_its_padding():
    texts, more, sheets = [words(n) for n in (9, 1, 5)], [words(4) for _ in range(3)], Sheets(MODEL)
    ids, start = padded(texts)
    cache = nothing_read(MODEL, start)
    read(MODEL, ids, cache)
    for n in range(4):
        found = sheets.read([new[n] for new in more], cache)
        for row, text, new in zip(found, texts, more):
            np.testing.assert_allclose(row, scores_of(text + new[: n + 1])[-1], atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_a_model_with_weights_of_every_kind_is_read_quickly(bias):
    manual_seed(3)
    model = GPT(7, 20, 2, 4, 16, bias=bias).eval()
    for p in model.parameters(): p.data.normal_(0.2, 0.3)
    assert QuickWriter(model).sheets is not None
    how = {"max_new_tokens": 12, "temperature": 0.0}
    texts = [[1, 2, 3], [4], [5, 6, 0, 0, 1]]
    assert generate(model, texts, QuickWriter, **how) == generate(model, texts, **how)


@pytest.mark.parametrize("how", [
    {}, {"temperature": 0.0}, {"temperature": 0.7}, {"top_k": 3}, {"top_k": 99}, {"top_p": 0.6},
    {"top_p": 0.01}, {"top_k": 5, "top_p": 0.8, "temperature": 1.4},
    {"repetition_penalty": 1.7, "top_p": 0.9},
], ids=str)
def test_words_are_chosen_quickly_as_they_are_chosen_slowly(how):
    slow, quick = [Text([1, 5, 5], 500, seed=7, **how) for _ in range(2)]
    for _ in range(200):
        scores = (2 * rng.standard_normal(13)).astype(np.float32)
        before = scores.copy()
        assert chosen(quick, scores) == slow.choose(Tensor(scores))
        assert np.array_equal(scores, before), "the scores that came stay as they are"


def test_what_is_not_familiar_is_written_as_the_lesson_writes():
    def doubled(): return filled(13, 40, 3, 2, 12)
    hooked, exchanged, wide = doubled(), doubled(), doubled().double()
    hooked.transformer.h[1].mlp.register_forward_hook(lambda module, args, out: out * 0)
    exchanged.transformer.h[0].mlp = Sequential(exchanged.transformer.h[0].mlp, MODEL.transformer.ln_f)
    for model in (hooked, exchanged, wide):
        assert QuickWriter(model).sheets is None
        how = {"max_new_tokens": 9, "temperature": 0.0}
        assert generate(model, [[1, 2]], QuickWriter, **how) == generate(model, [[1, 2]], **how)
    assert QuickWriter(doubled()).sheets is not None
