# %% [markdown]
# # Appendix: byte pairs, fast
#
# The same pairs as `learn_pairs` finds, for text that has been cut into pieces first: words with the blank in
# front of them, numbers, signs, white space. No token runs across two pieces, which keeps `dog.` and `dog!`
# from being two words. And a text has few different pieces: a megabyte of Shakespeare, 25,000 of them.

# %%
#| export
"""A byte-pair tokenizer: learned from text, exact on any bytes, kept as JSON."""

# %%
#| export
from __future__ import annotations

import heapq
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from tinytorch.dataloader import bytes_of, merge
from tinytorch.folders import write_whole

# %% [markdown]
# Every byte belongs to exactly one piece: bytes above 127 are parts of letters in UTF-8, and count as
# letters. No piece is longer than 64 bytes, so that no text, however strange, is slow.

# %%
#| export
PIECES = re.compile(rb" ?[A-Za-z\x80-\xff]{1,63}| ?[0-9]{1,63}| ?[^\sA-Za-z0-9\x80-\xff]{1,63}|\s{1,64}")
Pair = tuple[int, int]


def pieces_of(text: str | bytes) -> list[bytes]:
    """A text cut into pieces that tokens do not cross."""
    return PIECES.findall(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))

# %% [markdown]
# When a pair is merged, only the pieces that hold it change, and in them only the neighbours of the pair. So
# `where` remembers which pieces hold a pair, and the counts follow piece by piece. The most frequent pair
# lies on top of a heap; entries whose count has changed since are found there, too, and thrown away.

# %%
#| export
class Learning:
    """Pieces of a text, and how often each pair of neighbours is found in them."""

    def __init__(self, pieces: Counter):
        self.ids, self.times = [list(piece) for piece in pieces], list(pieces.values())
        self.counts: Counter[Pair] = Counter()
        self.where: dict[Pair, set[int]] = {}
        for n in range(len(self.ids)): self.count(n, 1)
        self.heap = [(-count, pair) for pair, count in self.counts.items()]
        heapq.heapify(self.heap)

    def count(self, n: int, sign: int) -> set[Pair]:
        """Adds the pairs of piece n to the counts, or takes them off; which they are."""
        pairs = Counter(pairwise(self.ids[n]))
        for pair, times in pairs.items():
            self.counts[pair] += sign * times * self.times[n]
            if sign > 0: self.where.setdefault(pair, set()).add(n)
            else: self.where[pair].discard(n)
        return set(pairs)

    def best(self) -> Pair | None:
        """The most frequent pair, of equals the smaller one; None when all pieces are single tokens."""
        while self.heap:
            count, pair = self.heap[0]
            if count and self.counts[pair] == -count: return pair
            heapq.heappop(self.heap)
        return None

    def merge(self, pair: Pair, new: int) -> None:
        """One token for a pair, in all pieces that hold it."""
        changed: set[Pair] = set()
        for n in list(self.where[pair]):
            changed |= self.count(n, -1)
            self.ids[n] = merge(self.ids[n], pair, new)
            changed |= self.count(n, 1)
        for one in changed: heapq.heappush(self.heap, (-self.counts[one], one))

# %% [markdown]
# To encode a piece, merge its pairs in the order in which they were learned: of all pairs in it, the one that
# was learned first, until none is left. Pieces come again and again, so what a piece became is remembered.

# %%
#| export
REMEMBERED = 1 << 16        # pieces


class BytePairTokenizer:
    """Text, or any bytes, as numbers of byte pairs; `merges[i]` are the parts of token 256 + i."""

    def __init__(self, merges: Iterable[Sequence[int]] = ()):
        self.merges: list[Pair] = []
        for first, second in merges:
            if not 0 <= min(first, second) <= max(first, second) < 256 + len(self.merges):
                raise ValueError(f"pair {len(self.merges)}, ({first}, {second}), is made of later ones")
            self.merges.append((first, second))
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self.words = bytes_of(self.merges)
        self.remembered: dict[bytes, list[int]] = {}

    def __len__(self) -> int: return len(self.words)

    @classmethod
    def train(cls, text: str | bytes | Iterable[str | bytes], vocab_size: int) -> BytePairTokenizer:
        """Learns pairs from one text or several, until there are so many tokens or nothing left to pair."""
        if vocab_size < 256: raise ValueError(f"there are 256 bytes, so the tokens cannot be {vocab_size}")
        learning = Learning(Counter(piece for one in ([text] if isinstance(text, (str, bytes)) else text)
                                    for piece in pieces_of(one)))
        merges: list[Pair] = []
        while len(merges) < vocab_size - 256 and (pair := learning.best()):
            learning.merge(pair, 256 + len(merges))
            merges.append(pair)
        return cls(merges)

    def encode(self, text: str | bytes) -> list[int]:
        """The tokens of a text."""
        known, out = self.remembered, []
        for piece in pieces_of(text):
            ids = known.get(piece)
            if ids is None:
                if len(known) >= REMEMBERED: known.clear()
                ids = known[piece] = self.encode_piece(piece)
            out += ids
        return out

    def encode_piece(self, piece: bytes) -> list[int]:
        ids, last = list(piece), len(self.merges)
        while len(ids) > 1:
            rank = min([self.ranks.get(pair, last) for pair in pairwise(ids)])
            if rank == last: break
            ids = merge(ids, self.merges[rank], 256 + rank)
        return ids

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes again, exactly."""
        return b"".join([self.words[number] for number in ids])

    def decode(self, ids: Iterable[int]) -> str:
        """The text again; bytes that are no text become \ufffd."""
        found = self.decode_bytes(ids)
        try: return found.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError: return found.decode("utf-8", "replace")

    def save(self, path: str | Path) -> None:
        """Writes the pairs as JSON."""
        write_whole(path, json.dumps({"kind": "byte pairs", "merges": self.merges}).encode())

    @classmethod
    def load(cls, path: str | Path) -> BytePairTokenizer:
        """A tokenizer that was saved."""
        kept = json.loads(Path(path).read_text("utf-8"))
        if kept.get("kind") != "byte pairs": raise ValueError(f"{path} holds no byte pairs")
        return cls(kept["merges"])
