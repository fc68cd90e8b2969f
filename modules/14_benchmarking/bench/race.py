"""One contender of `tito bench`: it runs the workloads of one package, in turns with the others.

    race.py PACKAGE PLACE CONTENDERS ROUNDS SECONDS WORKLOAD …

PACKAGE is tinytorch, torch or numpy. All contenders know the same list of turns. A turn that is over is
marked by a file in the folder TITO_TURNS, and so is a contender that is gone. The report goes to TITO_REPORT:
for each workload the CPU seconds of one run, for every round, and the number that came out of it, or why it
was not run.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

POLL, SELDOM = 0.005, 10        # seconds between two looks; every tenth look is a longer one


# ------------------------------------------------------------------------------------------ the workloads

def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """The same numbers for every contender."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def labels(*shape: int, classes: int = 10) -> np.ndarray:
    return np.random.default_rng(1).integers(0, classes, shape)


SIZES = (784, 256, 128, 10)     # of the perceptron


def weights() -> list[tuple[np.ndarray, np.ndarray]]:
    """A weight and a bias for each of its layers."""
    return [(numbers(o, i, seed=i) / np.float32(i) ** 0.5, np.zeros(o, np.float32))
            for i, o in pairwise(SIZES)]


class OfTensors:
    """The workloads in PyTorch's words, for PyTorch and for every TinyTorch."""

    def __init__(self, torch):
        self.torch = torch
        if hasattr(torch, "set_num_threads"): torch.set_num_threads(1)

    def matmul(self) -> Callable:
        a, b = self.torch.tensor(numbers(256, 256)), self.torch.tensor(numbers(256, 256, seed=1))
        return lambda: a @ b

    def softmax(self) -> Callable:
        softmax, x = self.torch.softmax, self.torch.tensor(numbers(512, 512))
        return lambda: softmax(x, 1)

    def perceptron(self):
        nn = self.torch.nn
        net = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
                            nn.Linear(128, 10))
        for layer, (w, b) in zip((net[0], net[2], net[4]), weights()):
            layer.weight.data, layer.bias.data = self.torch.tensor(w), self.torch.tensor(b)
        return net

    def forward(self) -> Callable:
        net, x = self.perceptron(), self.torch.tensor(numbers(64, 784))
        x.requires_grad = False
        if not hasattr(self.torch, "no_grad"): return lambda: net(x)
        no_grad = self.torch.no_grad

        def run():
            with no_grad(): return net(x)
        return run

    def mlp(self) -> Callable:
        net = self.perceptron()
        optimizer = self.torch.optim.SGD(net.parameters(), lr=0.1)
        return self.step(net, optimizer, numbers(64, 784), labels(64))

    def lenet(self) -> Callable:
        nn = self.torch.nn
        net = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
            nn.Linear(84, 10))
        self.given(net)
        return self.step(net, self.torch.optim.Adam(net.parameters()), numbers(32, 1, 28, 28), labels(32))

    def gpt(self) -> Callable:
        torch, nn, F = self.torch, self.torch.nn, self.torch.nn.functional

        class Block(nn.Module):
            """Look, then think; both are added.  (B, T, C) -> (B, T, C)"""

            def __init__(self, C: int, heads: int):
                super().__init__()
                self.heads, self.ln_1, self.ln_2 = heads, nn.LayerNorm(C), nn.LayerNorm(C)
                self.c_attn, self.c_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
                self.wide, self.narrow = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

            def forward(self, x):
                B, T, C = x.shape
                q, k, v = [part.view(B, T, self.heads, C // self.heads).transpose(1, 2)
                           for part in self.c_attn(self.ln_1(x)).split(C, dim=2)]
                seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                x = x + self.c_proj(seen.transpose(1, 2).reshape(B, T, C))
                return x + self.narrow(F.gelu(self.wide(self.ln_2(x)), approximate="tanh"))

        class GPT(nn.Module):
            """Scores for the next word, at every place.  (B, T) -> (B, T, words)"""

            def __init__(self, words=256, places=64, C=64):
                super().__init__()
                self.wte, self.wpe = nn.Embedding(words, C), nn.Embedding(places, C)
                self.blocks, self.head = nn.Sequential(Block(C, 4), Block(C, 4)), nn.Linear(C, words)

            def forward(self, ids):
                return self.head(self.blocks(self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))))

        net = GPT()
        self.given(net)
        ids = labels(4, 64, classes=256)
        return self.step(net, torch.optim.AdamW(net.parameters()), ids, ids)

    def given(self, net) -> None:
        """Weights that are the same for every contender."""
        for n, (name, p) in enumerate(net.named_parameters()):
            if p.ndim > 1: given = numbers(*p.shape, seed=n) * np.float32(0.05)
            else: given = np.full(p.shape, name.endswith("weight"), np.float32)     # a norm's scale is 1
            p.data = self.torch.tensor(given)

    def step(self, net, optimizer, x, y) -> Callable:
        """One step of a training; what comes out is the loss before it."""
        x, y, F = self.torch.tensor(x), self.torch.tensor(y), self.torch.nn.functional

        def run():
            optimizer.zero_grad()
            out = net(x)
            loss = F.cross_entropy(out.reshape(-1, out.shape[-1]), y.reshape(-1))
            loss.backward()
            optimizer.step()
            return loss
        return run

    @staticmethod
    def value(out) -> float:
        """One number that says whether the right thing was computed."""
        return ((out * out).sum() if out.ndim else out).item()


class ByHand:
    """The workloads in plain NumPy, where somebody has written them."""

    def matmul(self) -> Callable:
        a, b = numbers(256, 256), numbers(256, 256, seed=1)
        return lambda: a @ b

    def softmax(self) -> Callable:
        x = numbers(512, 512)

        def run():
            shares = np.exp(x - x.max(1, keepdims=True))
            return shares / shares.sum(1, keepdims=True)
        return run

    def forward(self) -> Callable:
        layers, x = weights(), numbers(64, 784)
        return lambda: self.through(layers, x)[-1]

    @staticmethod
    def through(layers, x) -> list[np.ndarray]:
        """What goes into each layer, and what comes out of the last."""
        seen = [x]
        for n, (w, b) in enumerate(layers):
            out = seen[-1] @ w.T + b
            seen.append(np.maximum(out, 0) if n < len(layers) - 1 else out)
        return seen

    def mlp(self) -> Callable:
        layers, x, y = weights(), numbers(64, 784), labels(64)

        def run():
            *seen, scores = self.through(layers, x)
            scores = scores - scores.max(1, keepdims=True)
            shares = np.exp(scores)
            total = shares.sum(1, keepdims=True)
            loss = (np.log(total)[:, 0] - scores[np.arange(64), y]).mean()
            g = shares / total
            g[np.arange(64), y] -= 1
            g /= np.float32(64)
            for (w, b), came in zip(layers[::-1], seen[::-1]):
                dw, db = g.T @ came, g.sum(0)
                if came is not x: g = (g @ w) * (came > 0)
                w -= np.float32(0.1) * dw
                b -= np.float32(0.1) * db
            return loss
        return run

    @staticmethod
    def value(out) -> float: return float((out * out).sum()) if np.ndim(out) else float(out)


# ------------------------------------------------------------------------------------------------ turns

class Turns:
    """Whose turn it is: all contenders read the same files."""

    def __init__(self, folder: Path, place: int, contenders: int):
        self.folder, self.place, self.contenders, self.next = folder, place, contenders, 0

    def wait(self, turn: int) -> None:
        """Until every turn before this one is over, or belongs to somebody who is gone."""
        looks = 0
        while self.next < turn:
            if self.there(f"turn-{self.next}"): self.next += 1
            elif looks % SELDOM == 0 and self.there("stop"): raise SystemExit
            elif looks % SELDOM == 0 and self.there(f"gone-{self.owner(self.next)}"): self.next += 1
            else:
                time.sleep(POLL)
                looks += 1

    def there(self, name: str) -> bool: return (self.folder / name).exists()

    def owner(self, turn: int) -> int:
        """In every second round, the order is turned round."""
        n, place = divmod(turn, self.contenders)
        return self.contenders - 1 - place if n % 2 else place

    def mine(self, n: int) -> int:
        """The number of this contender's turn in round n."""
        place = self.contenders - 1 - self.place if n % 2 else self.place
        return n * self.contenders + place

    def done(self, turn: int) -> None: (self.folder / f"turn-{turn}").touch()


def cpu_seconds(run: Callable, times: int) -> float:
    start = time.process_time()
    for _ in range(times): run()
    return (time.process_time() - start) / times


def ready(workloads, name: str, seconds: float) -> tuple[Callable, int, dict]:
    """A workload that is warmed up, how many runs fill a turn, and what came out of the first."""
    run = getattr(workloads, name)()
    value = workloads.value(run())
    run()
    times = max(1, round(seconds / max(cpu_seconds(run, 1), 1e-7)))
    if times > 1: times = max(1, round(seconds / max(cpu_seconds(run, min(times, 16)), 1e-7)))
    return run, times, {"value": value, "seconds": []}


def race(workloads, names: list[str], turns: Turns, rounds: int, seconds: float) -> dict:
    """Every workload, round for round; round 0 of each gets ready."""
    found: dict = {}
    for number, name in enumerate(names):
        run, times = None, 0
        for n in range(rounds + 1):
            turn = turns.mine(number * (rounds + 1) + n)
            turns.wait(turn)
            try:
                if n == 0: run, times, found[name] = ready(workloads, name, seconds)
                elif run: found[name]["seconds"].append(cpu_seconds(run, times))
            except Exception as problem:        # a learner's package may lack, or break, anything
                run, found[name] = None, {"skipped": f"{type(problem).__name__}: {problem}"}
            finally:
                turns.done(turn)
    return found


def main(package: str, place: str, contenders: str, rounds: str, seconds: str, *names: str) -> None:
    workloads = ByHand() if package == "numpy" else OfTensors(importlib.import_module(package))
    turns = Turns(Path(os.environ["TITO_TURNS"]), int(place), int(contenders))
    found = race(workloads, list(names), turns, int(rounds), float(seconds))
    version = getattr(sys.modules[package], "__version__", "")
    report = {"workloads": found, "version": str(version), "numpy": np.__version__}
    Path(os.environ["TITO_REPORT"]).write_text(json.dumps(report), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
