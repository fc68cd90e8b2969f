"""The real data sets: 70,000 digits, 60,000 pictures, a million letters of Shakespeare.

    tito milestone run training --data mnist | cifar10 | shakespeare

The files are looked for in TINYTORCH_DATA. Everything below is written as for PyTorch, and runs with either:
`python real.py mnist --with torch` trains the same networks from the same seeds with PyTorch, to compare.
What it reached on Shakespeare is kept in pytorch.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(os.environ.get("TITO_ASSETS") or Path(__file__).resolve().parent)

# What a data set is called in tinytorch.datasets, and what has to lie in TINYTORCH_DATA.
FILES = {
    "mnist": ("MNIST", "the four files of MNIST, such as train-images-idx3-ubyte.gz, in a folder mnist"),
    "cifar10": ("CIFAR10", "cifar-10-python.tar.gz, or the folder that it holds"),
    "shakespeare": ("Shakespeare", "tinyshakespeare.txt"),
}
ASKED = {"mnist": ("accuracy", 0.99), "cifar10": ("accuracy", 0.80), "shakespeare": ("loss", 1.03)}

LETTERS = 64            # how far the GPT looks back


def models(T):
    """The three networks, in the words that PyTorch and tinytorch share."""
    nn, F = T.nn, T.nn.functional

    def lenet5():
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
            nn.Linear(84, 10))

    class Residual(nn.Module):
        def __init__(self, inside, outside, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
            self.bn1, self.bn2 = nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)
            self.way = nn.Identity() if stride == 1 else nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

        def forward(self, x):
            return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.way(x))

    def resnet20():
        layers, width = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
        for n in range(9):
            outside = 16 << n // 3
            layers.append(Residual(width, outside, 1 if outside == width else 2))
            width = outside
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))

    class Block(nn.Module):
        def __init__(self, C, heads):
            super().__init__()
            self.heads, self.norm1, self.norm2 = heads, nn.LayerNorm(C), nn.LayerNorm(C)
            self.qkv, self.mixed = nn.Linear(C, 3 * C), nn.Linear(C, C)
            self.wide, self.back = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

        def forward(self, x):
            parts = self.qkv(self.norm1(x)).chunk(3, -1)
            q, k, v = [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts]
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)      # (B, heads, T, C / heads)
            x = x + self.mixed(seen.transpose(1, 2).flatten(2))
            return x + self.back(F.gelu(self.wide(self.norm2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self, words, length=LETTERS, layers=3, heads=4, C=96):
            super().__init__()
            self.words, self.places = nn.Embedding(words, C), nn.Embedding(length, C)
            self.blocks = nn.Sequential(*[Block(C, heads) for _ in range(layers)])
            self.norm, self.scores = nn.LayerNorm(C), nn.Linear(C, words, bias=False)
            for p in self.parameters():
                if p.ndim > 1: nn.init.normal_(p, std=0.02)

        def forward(self, ids):
            x = self.words(ids) + self.places(T.arange(ids.shape[1]))
            return self.scores(self.norm(self.blocks(x)))

    return lenet5, resnet20, GPT

# -------------------------------------------------------------------------------------------- the data


def mnist():
    """Training pictures and labels, and those to be judged by: (N, 1, 28, 28) float32, (N,) int64."""
    for half in parts("mnist"):
        yield (np.asarray(half.data, np.float32)[:, None] / 255 - 0.1307) / 0.3081
        yield np.asarray(half.targets)


def cifar10():
    """The same of CIFAR-10: (N, 3, 32, 32) float32, (N,) int64."""
    mean, std = np.float32([[0.491, 0.482, 0.447], [0.247, 0.243, 0.262]])
    for half in parts("cifar10"):
        yield ((half.data / np.float32(255) - mean) / std).transpose(0, 3, 1, 2).copy()
        yield np.array(half.targets)


def parts(name: str):
    """What a data set has to learn from, and the rest. Read by tinytorch, whoever trains on it."""
    own, files = FILES[name]
    data_set = getattr(importlib.import_module("tinytorch.datasets"), own)
    try: return [data_set(train=train) for train in (True, False)]
    except FileNotFoundError as missing:
        folder = importlib.import_module("tinytorch.folders").data_folder()
        raise FileNotFoundError(
            f"{name} is not in {folder}. Put there: {files}. Or name another folder in TINYTORCH_DATA, or "
            f"fetch it: python -c 'from tinytorch.datasets import {own}; {own}(download=True)'") from missing


def shakespeare():
    """A million letters as numbers, a tenth to be judged by, and how many different ones there are."""
    halves = [part.text for part in parts("shakespeare")]
    number = {letter: n for n, letter in enumerate(sorted(set("".join(halves))))}
    return *[np.array([number[letter] for letter in half]) for half in halves], len(number)

# -------------------------------------------------------------------------------------------- training


def shifted(x, dice, by: int, flip: bool):
    """Pictures moved by up to `by` pixels, and half of them mirrored if `flip`."""
    N, _, H, W = x.shape
    framed = np.pad(x, ((0, 0), (0, 0), (by, by), (by, by)))
    windows = np.lib.stride_tricks.sliding_window_view(framed, (H, W), (2, 3))
    rows, columns = dice.integers(0, 2 * by + 1, (2, N))
    out = windows[np.arange(N), :, rows, columns]
    if flip:
        mirrored = dice.random(N) < 0.5
        out[mirrored] = out[mirrored, :, :, ::-1]
    return out


def fit(T, model, batches, steps: int, rate: float, decay: float, every: int, told):
    """AdamW with a rate that rises and falls; `told` is asked for news after every so many steps."""
    optimizer = T.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    schedule = T.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    start, worked, before, losses = time.perf_counter(), time.process_time(), most(), []
    for step in range(1, steps + 1):
        x, y = next(batches)
        loss = T.nn.functional.cross_entropy(model(T.tensor(x)).flatten(0, -2), T.tensor(y).flatten())
        optimizer.zero_grad()
        loss.backward()
        T.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % every == 0 or step == steps:
            seconds = time.perf_counter() - start
            print(f"  step {step:6} of {steps}   loss {np.mean(losses):.4f}   {told()}   {seconds:7.1f} s",
                  flush=True)
            losses.clear()
    return {"seconds": round(time.perf_counter() - start, 1), "cpu_seconds": round(time.process_time() - worked, 1),
            "grew_mb": before and round((most() - before) / 2**20, 1)}


def scores_of(T, model, x, size: int = 500):
    """What the network says, without remembering how."""
    model.eval()
    with T.no_grad(): found = [model(T.tensor(x[i : i + size])).numpy() for i in range(0, len(x), size)]
    model.train()
    return np.concatenate(found)


def most() -> int | None:
    """The most bytes that this process ever held, where Linux tells."""
    told = Path("/proc/self/status")
    lines = told.read_text().splitlines() if told.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def summary(model, took: dict, **found) -> dict:
    """What a training comes to, to be kept."""
    return {**found, **took, "parameters": sum(p.numel() for p in model.parameters())}


def pictures(T, make, data, epochs: int, size: int, rate: float, decay: float, by: int, flip: bool) -> dict:
    """Trains on pictures, and says how many of the others are named rightly."""
    x, y, others, answers = data
    T.manual_seed(1998)
    model, dice, last = make(), np.random.default_rng(1998), {}

    def batches():
        while True:
            order = dice.permutation(len(x))
            for i in range(0, len(x) - size + 1, size):
                some = order[i : i + size]
                yield shifted(x[some], dice, by, flip), y[some]

    def told():
        last["accuracy"] = float((scores_of(T, model, others).argmax(1) == answers).mean())
        return f"{last['accuracy']:.2%} of {len(answers):,} right"
    each = len(x) // size
    took = fit(T, model, batches(), epochs * each, rate, decay, each, told)
    return summary(model, took, **last, epochs=epochs)


def letters(T, make, data, steps: int, size: int) -> dict:
    """Trains on text, and says how surprising the rest of it is."""
    text, rest, words = data
    T.manual_seed(2017)
    model, dice, last = make(words), np.random.default_rng(2017), {}
    lines = np.lib.stride_tricks.sliding_window_view(text, LETTERS + 1)
    unseen = np.lib.stride_tricks.sliding_window_view(rest, LETTERS + 1)[::LETTERS]

    def batches():
        while True:
            some = lines[dice.integers(0, len(lines), size)]
            yield some[:, :-1].copy(), some[:, 1:].copy()

    def told():
        scores = scores_of(T, model, unseen[:, :-1].copy(), 64).astype(float)
        logs = scores - scores.max(-1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(-1, keepdims=True))
        last["loss"] = float(-np.take_along_axis(logs, unseen[:, 1:, None], -1).mean())
        return f"{last['loss']:.4f} nats a letter of what it never read"
    took = fit(T, model, batches(), steps, 3e-3, 0.1, max(1, steps // 5), told)
    return summary(model, took, **last, steps=steps)


def train(T, name: str, share: float = 1.0) -> dict:
    """Trains the network for a data set; a share below 1 shortens it, to try."""
    lenet5, resnet20, gpt = models(T)
    def some(n): return max(1, round(n * share))
    if name == "mnist": return pictures(T, lenet5, mnist(), some(6), 64, 3e-3, 0.02, 2, False)
    if name == "cifar10": return pictures(T, resnet20, cifar10(), some(8), 128, 5e-3, 0.05, 4, True)
    return letters(T, gpt, shakespeare(), some(1500), 16)


def verdict(name: str, found: dict) -> tuple[bool, str]:
    """Whether that is what was asked, and a sentence."""
    measure, bound = ASKED[name]
    if measure == "accuracy":
        return found["accuracy"] >= bound, f"{found['accuracy']:.2%} right; {bound:.0%} were asked"
    theirs = json.loads((HERE / "pytorch.json").read_text())[name]["loss"]
    return found["loss"] <= bound * theirs, f"{found['loss']:.4f} nats a letter; PyTorch reaches {theirs:.4f}"


def main(words=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", choices=ASKED)
    parser.add_argument("--with", dest="library", choices=("tinytorch", "torch"), default="tinytorch")
    parser.add_argument("--share", type=float, default=1.0, help="of the training, to try it")
    asked = parser.parse_args(words)
    T = importlib.import_module(asked.library)
    for part in ("nn", "nn.functional", "optim", "optim.lr_scheduler"):
        importlib.import_module(f"{asked.library}.{part}")
    print(f"\n  {asked.data}, with {asked.library}\n", flush=True)
    found = train(T, asked.data, asked.share)
    print(f"\n  {json.dumps(found)}")
    if asked.library == "torch" or asked.share < 1: return 0
    right, said = verdict(asked.data, found)
    print(f"  {said}.")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
