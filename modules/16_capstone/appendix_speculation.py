# %% [markdown]
# # Appendix: somebody small guesses, somebody large checks
#
# A step of a large GPT reads all of its weights to say one word. Reading five words at once costs hardly
# more. So let a small GPT say the next four, and let the large one read them all: its scores tell, for every
# place, what it would have said there itself. This is **speculative decoding** (Leviathan, Kalman and Matias,
# 2023), and its charm is that the text is *not* a compromise: the words are drawn exactly as the large one
# alone would draw them.
#
# A proposed word was drawn with probability `q`, and the large one gives it `p`. It is accepted with
# probability `min(1, p/q)`. If it is refused, the small one has proposed it too often, so the word is drawn
# from what it proposes too seldom: `max(0, p − q)`, as shares. Accepted and refused together make `p`.

# %%
#| export
"""Speculative decoding: a small model proposes, a large one accepts or corrects."""

# %%
#| export
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinytorch.attention import GPT
from tinytorch.capstone import Cache, drawn, nothing_read, read
from tinytorch.tensor import Tensor, tensor


def shares_of(scores, temperature: float):
    """What a model would say, as shares in float64; all of it the likeliest word at temperature 0."""
    scores = np.asarray(scores, np.float64)
    if temperature == 0: return np.eye(scores.shape[-1])[scores.argmax(-1)]
    scores = np.exp((scores - scores.max(-1, keepdims=True)) / temperature)
    return scores / scores.sum(-1, keepdims=True)


def judged(p, q, word: int, random) -> int | None:
    """None if a word that q proposed may stay; else the word that p puts in its place."""
    if random.random() * q[word] < p[word]: return None
    return drawn(Tensor(np.maximum(p - q, 0)), random.random())

# %% [markdown]
# Both models have a cache. What was refused is forgotten by making its `length` smaller: the columns are
# written over by what comes next.

# %%
#| export
@dataclass
class Reader:
    """A model with what it has read."""

    model: GPT
    cache: Cache

    @property
    def read(self) -> int: return self.cache.length

    def after(self, ids: Sequence[int]):
        """The scores after each word that it has not read yet.  [length] -> (new, vocab)"""
        return read(self.model, tensor([list(ids[self.read :])]), self.cache).array[0]

    def forget(self, words: int) -> None: self.cache.length = min(self.cache.length, words)


def speculate(
    large: GPT, small: GPT, ids: Sequence[int], max_new_tokens: int = 20, temperature: float = 1.0,
    ahead: int = 4,                     # words the small one proposes
    seed: int | None = None,
) -> tuple[list[int], int]:
    """The text continued as `large` would, and how many times it had to read."""
    random, ids, end = np.random.default_rng(seed), list(ids), len(ids) + max_new_tokens
    judge, guess = [Reader(m.eval(), nothing_read(m, [0])) for m in (large, small)]
    rounds, places = 0, min(large.block_size, small.block_size)
    while len(ids) < end:
        known, q = len(ids), []
        for _ in range(min(ahead, end - known - 1, places - known)):
            q.append(shares_of(guess.after(ids)[-1], temperature))
            ids.append(drawn(Tensor(q[-1]), random.random()))
        p = shares_of(judge.after(ids)[known - 1 - len(ids) :], temperature)    # behind the last known
        rounds += 1
        ids[known:] = settled(ids[known:], p, q, random)
        for one in (judge, guess): one.forget(len(ids) - 1)
    return ids, rounds


def settled(proposed: list[int], p, q: list, random) -> list[int]:
    """The proposed words up to the first that is refused, and one more of the large model's own."""
    for n, word in enumerate(proposed):
        other = judged(p[n], q[n], word, random)
        if other is not None: return [*proposed[:n], other]
    return [*proposed, drawn(Tensor(p[len(proposed)]), random.random())]

# %%
from tinytorch import manual_seed

manual_seed(1)
large = GPT(27, 64, 2, 2, 32)
speculate(large, large, [19, 7, 4], 20, seed=1)        # who guesses as the judge thinks is always right
