"""Byte pairs: the fast tokenizer finds what the plain one finds, and gives back every byte."""

import json
import os
import time
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch.bytepairs import pieces_of
from tinytorch.dataloader import learn_pairs
from tinytorch.folders import shipped
from tinytorch.tokenizers import BytePairTokenizer, CharTokenizer

SONNETS = shipped("text/sonnets.txt").read_text("utf-8")
LEARNED = BytePairTokenizer.train(SONNETS, 600)
FEW = BytePairTokenizer.train("aaaa abab \xe9\xe9\xe9 \u6f22\u5b57\u6f22\u5b57", 280)


@given(st.binary())
@settings(deadline=None)
def test_every_byte_comes_back(content):
    for tokenizer in (LEARNED, FEW, BytePairTokenizer()):
        assert tokenizer.decode_bytes(tokenizer.encode(content)) == content


@given(st.text(st.characters(codec=None)))
@settings(deadline=None)
def test_every_text_comes_back(text):
    for tokenizer in (LEARNED, FEW): assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.binary())
def test_pieces_are_the_whole_text(content): assert b"".join(pieces_of(content)) == content


def by_the_book(pieces, n: int):
    """The same pairs, counted anew for every one of them."""
    words, pairs = [list(piece) for piece in pieces], []
    for new in range(256, 256 + n):
        counts = Counter(pair for ids in words for pair in pairwise(ids))
        if not counts: break
        pairs.append(best := min(counts, key=lambda pair: (-counts[pair], pair)))
        for ids in words:
            i = 0
            while i < len(ids) - 1:
                if (ids[i], ids[i + 1]) == best: ids[i : i + 2] = [new]
                i += 1
    return pairs


@given(st.text("ab \n.", max_size=60), st.integers(0, 30))
@settings(deadline=None)
def test_counting_only_what_changes_finds_the_same_pairs(text, n):
    assert BytePairTokenizer.train(text, 256 + n).merges == by_the_book(pieces_of(text), n)


def test_the_lessons_plain_version_finds_the_same_pairs_inside_of_a_word():
    word = "abracadabra" * 5
    assert BytePairTokenizer.train(word, 276).merges == learn_pairs(word.encode(), 20)


@given(st.text("the quick", max_size=40))
@settings(deadline=None)
def test_encoding_merges_in_the_order_of_learning(text):
    """As if each learned pair went over the text in turn."""
    ids = [list(piece) for piece in pieces_of(text)]
    for new, pair in enumerate(LEARNED.merges, 256):
        for one in ids:
            i = 0
            while i < len(one) - 1:
                if (one[i], one[i + 1]) == pair: one[i : i + 2] = [new]
                i += 1
    assert LEARNED.encode(text) == [token for one in ids for token in one]


def test_text_becomes_shorter():
    assert len(LEARNED) == 600 and len(LEARNED.encode(SONNETS)) < 0.5 * len(SONNETS)
    assert max(LEARNED.encode(SONNETS)) < 600


def test_several_texts_are_learned_from_like_one():
    lines = SONNETS.splitlines(keepends=True)[:200]
    one, many = [BytePairTokenizer.train(given, 300).merges for given in ("".join(lines), iter(lines))]
    assert one[:20] == many[:20]


def test_it_is_kept_as_json_and_brought_back(tmp_path):
    path = tmp_path / "pairs.json"
    LEARNED.save(path)
    assert BytePairTokenizer.load(path).merges == LEARNED.merges
    assert json.loads(path.read_text())["merges"][0] == list(LEARNED.merges[0])
    letters = CharTokenizer("h\xe9 \u6f22")
    letters.save(tmp_path / "letters.json")
    assert CharTokenizer.load(tmp_path / "letters.json").characters == letters.characters
    with pytest.raises(ValueError, match="no byte pairs"): BytePairTokenizer.load(tmp_path / "letters.json")
    with pytest.raises(ValueError, match="no alphabet"): CharTokenizer.load(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["letters.json", "pairs.json"], \
        "nothing else is left"


def test_saving_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "pairs.json"
    LEARNED.save(path)
    before = path.read_bytes()
    def full(number): raise OSError(28, "no space left")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"): FEW.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("merges", [[(300, 1)], [(97, 98), (258, 1)], [(-1, 5)]])
def test_pairs_of_later_tokens_are_refused(merges):
    with pytest.raises(ValueError, match="later"): BytePairTokenizer(merges)


def test_less_than_all_bytes_is_no_alphabet():
    with pytest.raises(ValueError, match="256"): BytePairTokenizer.train("a", 100)


@pytest.mark.slow
def test_a_megabyte_takes_seconds(data):
    text = (data / "tinyshakespeare.txt").read_text("utf-8")
    began = time.process_time()
    tokenizer = BytePairTokenizer.train(text, 1256)
    learned, began = time.process_time() - began, time.process_time()
    ids = tokenizer.encode(text)
    assert learned < 20 and time.process_time() - began < 5 and tokenizer.decode(ids) == text
    strange = [os.urandom(1 << 20), b"a" * (1 << 20), b" \n" * (1 << 19), bytes(range(97, 123)) * 40_000]
    for content in strange:
        began = time.process_time()
        assert tokenizer.decode_bytes(tokenizer.encode(content)) == content
        assert time.process_time() - began < 20
