"""What a step costs: forward, backward and a step downhill of each network, beside PyTorch's, and its memory.

    make bench                                      writes the table into benchmarks/README.md
    python benchmarks/bench_training.py LeNet-5     some networks only, shown and not written

Both start from the same weights, and before anything is timed the gradients must be the same. The step
downhill is Adam's, with each package's defaults, and AdamW's for the GPT.

The memory is that of a process of its own, for each network in each package: how much the most that it ever
held grows from before the first step to behind the fifth.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from versus import Versus, machine, table, torch_on_one_thread, versus, write

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


def grown(package: str, place: int) -> None:
    """Prints how many bytes the most that this process ever held grows in five steps."""
    from resource import RUSAGE_SELF, getrusage
    torch = torch_on_one_thread() if package == "torch" else __import__(package)
    trainer = Trainer(torch, CASES[place])
    def most(): return getrusage(RUSAGE_SELF).ru_maxrss * 1024
    before = most()
    for _ in range(5): trainer.step()
    print(most() - before)


def memory(package: str, place: int) -> int:
    """The same, of a process of its own."""
    command = [sys.executable, __file__, "--grown", package, str(place)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def row(case: Case) -> list[str]:
    found, place = training(case), CASES.index(case)
    held = [memory(package, place) for package in ("tinytorch", "torch")]
    return [found.name, *[f"{median(times) * 1e3:.2f} ms" for times in (found.ours, found.theirs)],
            f"{found.ratio:.2f}", f"{found.best:.2f}", f"{case.limit}",
            *[f"{n / 1e6:.0f} MB" for n in held]]


def main():
    import torch
    wanted = [case for case in CASES if len(sys.argv) == 1 or case.name in sys.argv[1:]]
    columns = ["one step", "TinyTorch", "PyTorch", "ratio", "at best", "limit", "memory", "PyTorch's"]
    measured = f"{machine(f'PyTorch {torch.__version__}')}\n\n{table(columns, map(row, wanted))}"
    if len(wanted) == len(CASES): write("bench_training.py", measured)
    else: print(measured)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--grown"]: grown(sys.argv[2], int(sys.argv[3]))
    else: main()
