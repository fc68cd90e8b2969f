"""What an answer costs: one forward pass of each network, beside PyTorch's.

    make bench                                      writes the table into benchmarks/README.md
    python benchmarks/bench_forward.py LeNet-5      some networks only, shown and not written

The networks are the same lines of code and have the same weights; before anything is timed, the answers must
be the same, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from versus import Versus, machine, table, torch_on_one_thread, versus, write

# isort: split
import numpy as np
from networks import networks

import tinytorch

torch = torch_on_one_thread()


class Case(NamedTuple):
    """A network, what it is shown, and how long it may take, where PyTorch takes 1."""

    name: str
    make: Callable              # from the networks of a package to one of them
    shape: tuple[int, ...]
    limit: float
    words: int = 0              # inputs are ids of so many words, or floats if there are none

    def inputs(self) -> np.ndarray:
        random = np.random.default_rng(0)
        if self.words: return random.integers(0, self.words, self.shape)
        return random.standard_normal(self.shape, np.float32)

    def title(self) -> str: return f"{self.name}, {'×'.join(map(str, self.shape))}"


CASES = [
    Case("MLP 784-256-128-10", lambda nets: nets.mlp(), (64, 784), 1.0),
    Case("LeNet-5", lambda nets: nets.LeNet5(), (64, 1, 28, 28), 1.0),
    Case("ResNet-20", lambda nets: nets.ResNet20(), (32, 3, 32, 32), 1.5),
    Case("GPT, 4 layers of 128", lambda nets: nets.GPT(), (8, 128), 1.5, words=1000),
    Case("LSTM 128", lambda nets: nets.LSTM(), (32, 64, 128), 1.5),
    Case("GRU 128", lambda nets: nets.GRU(), (32, 64, 128), 1.5),
]


def twins(make: Callable):
    """The network in both packages, with PyTorch's first weights."""
    torch.manual_seed(0)
    theirs, ours = make(networks(torch)), make(networks(tinytorch))
    ours.load_state_dict({name: tinytorch.tensor(x.numpy()) for name, x in theirs.state_dict().items()})
    return ours, theirs


def forward(case: Case) -> Versus:
    """The times of both, once they have given the same answer."""
    ours, theirs = [net.eval() for net in twins(case.make)]
    x = case.inputs()
    mine, other = tinytorch.tensor(x), torch.tensor(x)
    with torch.no_grad(), tinytorch.no_grad():
        np.testing.assert_allclose(ours(mine).numpy(), theirs(other).numpy(), rtol=1e-4, atol=1e-4)
        return versus(case.title(), lambda: ours(mine), lambda: theirs(other))


def row(case: Case) -> list[str]:
    found = forward(case)
    return [found.name, *[f"{median(times) * 1e3:.2f} ms" for times in (found.ours, found.theirs)],
            f"{found.ratio:.2f}", f"{found.best:.2f}", f"{case.limit}"]


def main():
    wanted = [case for case in CASES if len(sys.argv) == 1 or case.name in sys.argv[1:]]
    columns = ["one forward pass", "TinyTorch", "PyTorch", "ratio", "at best", "limit"]
    measured = f"{machine(f'PyTorch {torch.__version__}')}\n\n{table(columns, map(row, wanted))}"
    if len(wanted) == len(CASES): write("bench_forward.py", measured)
    else: print(measured)


if __name__ == "__main__":
    main()
