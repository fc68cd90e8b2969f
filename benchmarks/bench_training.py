"""What a step costs: forward, backward and a step downhill of each network, beside PyTorch's, and its memory.

    make bench                                      writes the table into benchmarks/README.md
    python benchmarks/bench_training.py LeNet-5     some networks only, shown and not written
    BENCH_THREADS=2 python benchmarks/…             on two threads, by the clock

Both start from the same weights, and before anything is timed the gradients must be the same. The step
downhill is Adam's, with each package's defaults, and AdamW's for the GPT.

Each package has a process of its own, as it has with whoever uses it, and the two take their steps in turns.
That matters: TinyTorch, when it is imported, asks the C library to keep freed memory, and in one process
PyTorch would have that for nothing. The ratio `shared` is that of one process, where both have it.

The memory is how much the most that a process ever held grows from before the first step to behind the fifth.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from versus import Versus, clock, machine, table, torch_on_one_thread, versus, write

# isort: split
import numpy as np
from networks import networks


class Case(NamedTuple):
    """A network, what it learns from, and how long a step may take, where PyTorch takes 1."""

    name: str
    make: Callable              # from the networks of a package to one of them
    shape: tuple[int, ...]
    limit: float
    classes: int = 10           # scores for so many, or as many numbers as there are inputs if there are none
    words: int = 0              # inputs are ids of so many words, or floats if there are none
    optimizer: str = "Adam"

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and what should be said of them."""
        random = np.random.default_rng(0)
        def floats(): return random.standard_normal(self.shape, np.float32)
        x = random.integers(0, self.words, self.shape) if self.words else floats()
        if not self.classes: return x, floats()
        return x, random.integers(0, self.classes, self.shape if self.words else self.shape[:1])

    def title(self) -> str: return f"{self.name}, {'×'.join(map(str, self.shape))}"


CASES = [
    Case("MLP 784-256-128-10", lambda nets: nets.mlp(), (64, 784), 0.75),
    Case("MLP 784-256-128-10 wide", lambda nets: nets.mlp(), (256, 784), 0.75),
    Case("LeNet-5", lambda nets: nets.LeNet5(), (64, 1, 28, 28), 0.95),
    Case("ResNet-8", lambda nets: nets.ResNet8(), (32, 3, 32, 32), 1.7),
    Case("ResNet-20", lambda nets: nets.ResNet20(), (32, 3, 32, 32), 2.2),
    Case("GPT, 4 layers of 128", lambda nets: nets.GPT(), (8, 128), 1.1, 1000, words=1000,
         optimizer="AdamW"),
    Case("LSTM 128", lambda nets: nets.LSTM(), (32, 64, 128), 1.5, classes=0),
    Case("GRU 128", lambda nets: nets.GRU(), (32, 64, 128), 1.5, classes=0),
]


class Trainer:
    """A network in one of the packages, ready to step."""

    def __init__(self, torch, case: Case, weights: dict | None = None):
        torch.manual_seed(0)
        self.torch, self.net = torch, case.make(networks(torch)).train()
        if weights: self.net.load_state_dict({name: torch.tensor(x) for name, x in weights.items()})
        self.x, self.y = [torch.tensor(array) for array in case.batch()]
        self.parameters = list(self.net.parameters())
        self.optimizer = getattr(torch.optim, case.optimizer)(self.parameters)

    def loss(self):
        out, F = self.net(self.x), self.torch.nn.functional
        if self.y.dtype.is_floating_point: return F.mse_loss(out, self.y)
        return F.cross_entropy(out.reshape(-1, out.shape[-1]), self.y.reshape(-1))

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()


def training(case: Case) -> Versus:
    """The times of both, once they have found the same gradients."""
    import tinytorch
    torch = torch_on_one_thread()
    theirs = Trainer(torch, case)
    ours = Trainer(tinytorch, case, {name: x.detach().numpy() for name, x in theirs.net.state_dict().items()})
    for trainer in (ours, theirs): trainer.loss().backward()
    for p, q in zip(ours.parameters, theirs.parameters):
        want = q.grad.numpy()
        np.testing.assert_allclose(p.grad.numpy(), want, rtol=0, atol=1e-4 * max(abs(want).max(), 1e-3))
    return versus(case.title(), ours.step, theirs.step)


class Apart:
    """A trainer in a process of its own: asked for so many steps, it says how long one took."""

    def __init__(self, package: str, place: int):
        command = [sys.executable, __file__, "--apart", package, str(place)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def steps(self, n: int) -> float:
        """CPU seconds of one step, of so many."""
        print(n, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate()
        if self.process.returncode: raise RuntimeError("a trainer ended before its time")


def answer(package: str, place: int) -> None:
    """What the process does: it reads how many steps to take, and prints how long one took."""
    torch = torch_on_one_thread() if package == "torch" else __import__(package)
    trainer, before = Trainer(torch, CASES[place]), most()
    for _ in range(5): trainer.step()
    print(most() - before, flush=True)
    for line in sys.stdin:
        start, n = clock(), int(line)
        for _ in range(n): trainer.step()
        print((clock() - start) / n, flush=True)


def most() -> int:
    """The most bytes that this program ever held. (`ru_maxrss` would count the process that started it.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


def apart(case: Case, rounds: int = 31, turn: float = 0.05) -> tuple[Versus, list[float]]:
    """The times of two processes that step in turns, and by how many bytes each has grown."""
    both = [Apart(package, CASES.index(case)) for package in ("tinytorch", "torch")]
    held = [float(one.process.stdout.readline()) for one in both]
    n = max(1, round(turn / max([one.steps(3) for one in both])))
    times = [[one.steps(n) for one in both] for _ in range(rounds)]
    for one in both: one.end()
    return Versus(case.title(), *map(list, zip(*times))), held


def row(case: Case) -> list[str]:
    shared, (found, held) = training(case), apart(case)
    return [found.name, *[f"{median(times) * 1e3:.2f} ms" for times in (found.ours, found.theirs)],
            f"{found.ratio:.2f}", f"{found.best:.2f}", f"{shared.ratio:.2f}", f"{case.limit}",
            *[f"{n / 1e6:.0f} MB" for n in held]]


def tiny(torch) -> dict[str, Callable]:
    """Ops on 4 x 4 numbers: what is measured is the way to them and back."""
    x, w, y = [torch.ones(4, 4, requires_grad=wanted) for wanted in (True, True, False)]

    def both():
        x.grad = w.grad = None
        (x * w).sum().backward()

    def chain():
        x.grad, out = None, x
        for _ in range(10): out = out * y + y
        out.sum().backward()
    return {"`x * w`": lambda: x * w, "`(x * w).sum().backward()`": both, "20 ops and a sum, and back": chain}


def tiny_rows() -> list[list[str]]:
    import tinytorch
    ours, theirs = tiny(tinytorch), tiny(torch_on_one_thread())
    found = [versus(name, ours[name], theirs[name], turn=0.02) for name in ours]
    return [[one.name, *[f"{median(times) * 1e6:.1f} µs" for times in (one.ours, one.theirs)],
             f"{one.ratio:.2f}", f"{one.best:.2f}", "1.0"] for one in found]


def main():
    import torch
    wanted = [case for case in CASES if len(sys.argv) == 1 or case.name in sys.argv[1:]]
    columns = ["one step", "TinyTorch", "PyTorch", "ratio", "at best", "shared", "limit", "memory",
               "PyTorch's"]
    measured = f"{machine(f'PyTorch {torch.__version__}')}\n\n{table(columns, map(row, wanted))}"
    if len(wanted) < len(CASES): return print(measured)
    columns = ["4 × 4 numbers, forward and back", "TinyTorch", "PyTorch", "ratio", "at best", "limit"]
    return write("bench_training.py", f"{measured}\n\n{table(columns, tiny_rows())}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--apart"]: answer(sys.argv[2], int(sys.argv[3]))
    else: main()
