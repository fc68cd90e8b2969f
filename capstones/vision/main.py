"""A digit reader that fits into eight kilobytes. Read brief.md; this one is too simple."""

from pathlib import Path

import numpy as np

import tinytorch as tt
from tinytorch import nn
from tinytorch.datasets import Digits
from tinytorch.optim import AdamW
from tinytorch.safetensors import load_file, save_file

FILE = Path(__file__).with_name("reader.safetensors")


def network():
    return nn.Sequential(nn.Linear(64, 10))


def numbers(pictures) -> np.ndarray:
    """Pictures (N, 8, 8) of bytes as rows that a network likes."""
    return np.asarray(pictures, np.float32).reshape(-1, 64) / 127.5 - 1


def learn() -> None:
    """Trains a reader and writes its file."""
    tt.manual_seed(0)
    digits, dice = Digits(train=True), np.random.default_rng(0)
    known, answers = numbers(digits.data.numpy()), digits.targets.numpy()
    model = network()
    optimizer = AdamW(model.parameters(), lr=1e-2)
    for _ in range(200):
        some = dice.integers(0, len(known), 64)
        loss = nn.functional.cross_entropy(model(tt.tensor(known[some])), tt.tensor(answers[some]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_file(model.state_dict(), FILE)


def opened(file: Path = FILE):
    """The reader, from its file and nothing else: pictures (N, 8, 8) of bytes -> scores (N, 10)."""
    model = network()
    model.load_state_dict(load_file(file))
    model.eval()

    def read(pictures) -> np.ndarray:
        with tt.no_grad(): return model(tt.tensor(numbers(pictures))).numpy()
    return read


if __name__ == "__main__":
    learn()
    print(f"{FILE.name} has {FILE.stat().st_size:,} bytes")
