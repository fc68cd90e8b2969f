"""A GPT that goes on with a sonnet, and streams. Read brief.md; this one has learned hardly anything."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import tinytorch as tt
import tinytorch.nn.functional as F
from tinytorch.folders import shipped
from tinytorch.models import GPT
from tinytorch.optim import AdamW
from tinytorch.safetensors import load_file
from tinytorch.serve import keep, stream

FOLDER = Path(__file__).with_name("models")
VERSION = FOLDER / "poet/1"
poems = shipped("text/sonnets.txt").read_text(encoding="ascii").split("\n\n")
LETTERS = "".join(sorted(set("\n\n".join(poems))))
SIZES = len(LETTERS), 32, 1, 4, 32                  # letters, how far it looks back, layers, heads, width


def ids(text: str) -> list[int]: return [LETTERS.index(letter) for letter in text]


def learn() -> None:
    """Trains a poet and keeps it as a version that a server can lend."""
    tt.manual_seed(0)
    told, dice, model = np.array(ids("\n\n".join(poems[:138]))), np.random.default_rng(0), GPT(*SIZES)
    optimizer = AdamW(model.parameters(), lr=5e-3)
    for _ in range(30):
        starts = dice.integers(0, len(told) - SIZES[1] - 1, 16)
        x, y = (np.stack([told[at + shift : at + shift + SIZES[1]] for at in starts]) for shift in (0, 1))
        scores = model(tt.tensor(x))
        loss = F.cross_entropy(scores.reshape(-1, len(LETTERS)), tt.tensor(y.reshape(-1)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    keep(model, VERSION, {"model": "GPT", "arguments": list(SIZES), "letters": LETTERS})


def opened() -> GPT:
    """The poet, from its folder."""
    model = GPT(*SIZES)
    model.load_state_dict(load_file(VERSION / "model.safetensors"))
    return model.eval()


def scores(rows) -> np.ndarray:
    """For every letter of texts of one length, the scores of the next.  (B, T) -> (B, T, V)"""
    with tt.no_grad(): return opened()(tt.tensor(np.asarray(rows))).numpy()


def letters(prompt: str, n: int, **how) -> Iterator[str]:
    """The next n letters, one after the other, as soon as each is there; how: temperature, seed, …"""
    for word in stream(opened(), ids(prompt), max_new_tokens=n, **how): yield LETTERS[word]


if __name__ == "__main__":
    learn()
    print("Shall I compare", end="")
    for letter in letters("Shall I compare", 200, seed=1): print(letter, end="", flush=True)
    print()
