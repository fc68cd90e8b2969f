"""Every kernel against the plain body that it stands in for, and against PyTorch; then whole steps.

    make bench                                       writes the tables into benchmarks/README.md
    python benchmarks/bench_kernels.py softmax       some rows only, shown and not written

All three take turns in one process, on one thread. A kernel earns its place where it takes at most 1/1.3 of
the plain body's time in some row that is a real size; the program says which do not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from versus import in_turns, machine, table, torch_on_one_thread, write

# isort: split
import numpy as np
from bench_training import CASES, Trainer

ENOUGH = 1.3


class Race(NamedTuple):
    """The CPU seconds that kernels, plain bodies and PyTorch took for the same."""

    name: str
    fast: float
    plain: float
    theirs: float

    @property
    def gain(self) -> float: return self.plain / self.fast
    def row(self) -> list[str]:
        times = [f"{seconds * 1e6:,.0f} µs" for seconds in self[1:]]
        return [self.name, *times, f"{self.gain:.2f}", f"{self.fast / self.theirs:.2f}"]


def raced(name: str, ours: Callable, theirs: Callable, rounds: int = 15, turn: float = 0.02) -> Race:
    """Medians of turns, each as long as `turn` at least."""
    from tinytorch.backends import use_kernels

    def plain():
        with use_kernels("numpy"):
            for _ in range(calls): ours()

    def many(f): return lambda: [f() for _ in range(calls)]
    calls = 1
    calls = max(1, round(turn / min(in_turns([ours, theirs], 3, 1)[0])))
    found = in_turns([many(ours), plain, many(theirs)], rounds, 1)
    return Race(name, *[median(times) / calls for times in found])


# ------------------------------------------------------------------------------------------------ the rows

def numbers(*shape) -> np.ndarray: return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
def words(n: int, *shape) -> np.ndarray: return np.random.default_rng(0).integers(0, n, shape)


def forward(torch, f: Callable, *arrays) -> Callable:
    """The call alone, as in inference."""
    inputs = [torch.tensor(array) for array in arrays]

    def run():
        with torch.no_grad(): f(torch, *inputs)
    return run


def both(torch, f: Callable, *arrays) -> Callable:
    """The call and the way back, of a gradient that is there already."""
    inputs = [torch.tensor(array) for array in arrays]
    wanted = [x for x in inputs if x.dtype.is_floating_point]
    for x in wanted: x.requires_grad_()
    g = torch.ones(*f(torch, *inputs).shape)

    def run():
        for x in wanted: x.grad = None
        f(torch, *inputs).backward(g)
    return run


def step(torch, name: str, *shape, **settings) -> Callable:
    """One step of an optimizer, for one parameter."""
    p = torch.nn.Parameter(torch.tensor(numbers(*shape)))
    p.grad = torch.tensor(numbers(*shape))
    return getattr(torch.optim, name)([p], lr=1e-3, **settings).step


ROWS, WIDE = numbers(1024, 128), numbers(256, 1000)
W128 = numbers(128), numbers(128)
HEADS = [numbers(8, 4, 128, 32)] * 3
OPS = {
    "gelu": (lambda t, x: t.nn.functional.gelu(x), numbers(1024, 512)),
    "gelu, tanh": (lambda t, x: t.nn.functional.gelu(x, approximate="tanh"), numbers(1024, 512)),
    "silu": (lambda t, x: t.nn.functional.silu(x), numbers(1024, 512)),
    "sigmoid": (lambda t, x: t.sigmoid(x), numbers(1024, 512)),
    "relu": (lambda t, x: t.relu(x), numbers(1024, 512)),
    "leaky_relu": (lambda t, x: t.nn.functional.leaky_relu(x), numbers(1024, 512)),
    "softmax": (lambda t, x: t.softmax(x, -1), WIDE),
    "log_softmax": (lambda t, x: t.log_softmax(x, -1), WIDE),
    "cross_entropy": (lambda t, x, y: t.nn.functional.cross_entropy(x, y, reduction="none"),
                      WIDE, words(1000, 256)),
    "layer_norm": (lambda t, x, w, b: t.nn.functional.layer_norm(x, (128,), w, b), ROWS, *W128),
    "rms_norm": (lambda t, x, w: t.nn.functional.rms_norm(x, (128,), w), ROWS, W128[0]),
    "batch_norm": (lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, True),
                   numbers(32, 16, 32, 32), numbers(16), numbers(16)),
    "max_pool2d, 6 of 28×28": (lambda t, x: t.nn.functional.max_pool2d(x, 2), numbers(64, 6, 28, 28)),
    "max_pool2d, 64 of 32×32": (lambda t, x: t.nn.functional.max_pool2d(x, 2), numbers(32, 64, 32, 32)),
    "conv2d 1→6, 5×5 on 28×28": (lambda t, *a: t.nn.functional.conv2d(*a, padding=2),
                                 numbers(64, 1, 28, 28), numbers(6, 1, 5, 5), numbers(6)),
    "conv2d 16→16, 3×3 on 32×32": (lambda t, *a: t.nn.functional.conv2d(*a, padding=1),
                                   numbers(32, 16, 32, 32), numbers(16, 16, 3, 3)),
    "conv2d 64→64, 3×3 on 32×32": (lambda t, *a: t.nn.functional.conv2d(*a, padding=1),
                                   numbers(8, 64, 32, 32), numbers(64, 64, 3, 3)),
    "attention, causal": (lambda t, *a: t.nn.functional.scaled_dot_product_attention(*a, is_causal=True),
                          *HEADS),
    "dropout": (lambda t, x: t.nn.functional.dropout(x, 0.1), numbers(1024, 512)),
    "embedding": (lambda t, i, w: t.nn.functional.embedding(i, w), words(1000, 8, 128), numbers(1000, 128)),
}
# in NumPy; the way back has a kernel
FORWARD_IS_PLAIN = ("relu", "max_pool2d, 6 of 28×28", "max_pool2d, 64 of 32×32", "embedding")
STEPS = {
    "SGD": {}, "SGD, momentum": {"momentum": 0.9}, "Adam": {}, "AdamW": {}, "Adagrad": {}, "RMSprop": {},
    "Adadelta": {}, "Adamax": {}, "NAdam": {}, "RAdam": {}, "Rprop": {}, "ASGD": {},
}


def int8(tinytorch, torch, rows: int, width: int) -> tuple[Callable, Callable]:
    """A layer in eight bits beside PyTorch's in float32."""
    from tinytorch.ao.quantization import quantize_dynamic
    pressed = quantize_dynamic(tinytorch.nn.Sequential(tinytorch.nn.Linear(width, width)))
    x, layer = numbers(rows, width), torch.nn.Linear(width, width)
    return forward(tinytorch, lambda t, x: pressed(x), x), forward(torch, lambda t, x: layer(x), x)


def races(wanted: list[str]) -> list[Race]:
    import tinytorch
    torch, found = torch_on_one_thread(), []
    for name, given in OPS.items():
        for way, make in (("", forward), (", and back", both)):
            if wanted and not any([word in name for word in wanted]): continue
            if not way and name in FORWARD_IS_PLAIN: continue
            found.append(raced(name + way, *[make(package, *given) for package in (tinytorch, torch)]))
            print(*found[-1].row(), sep="  ", flush=True)
    for name, settings in STEPS.items():
        if wanted and not any([word in name for word in wanted]): continue
        makes = [step(package, name.split(",")[0], 512, 512, **settings) for package in (tinytorch, torch)]
        found.append(raced(f"{name}, 512×512", *makes))
        print(*found[-1].row(), sep="  ", flush=True)
    for rows, width in ((1, 1024), (1, 2048), (64, 1024)):
        name = f"int8 Linear, {rows}×{width}, and float32"
        if wanted and not any([word in name for word in wanted]): continue
        found.append(raced(name, *int8(tinytorch, torch, rows, width)))
        print(*found[-1].row(), sep="  ", flush=True)
    return found


def steps() -> list[Race]:
    """Whole training steps."""
    import tinytorch
    torch, found = torch_on_one_thread(), []
    for case in CASES:
        theirs = Trainer(torch, case)
        weights = {name: x.detach().numpy() for name, x in theirs.net.state_dict().items()}
        found.append(raced(case.title(), Trainer(tinytorch, case, weights).step, theirs.step, 9, 0.04))
        print(*found[-1].row(), sep="  ", flush=True)
    return found


def main():
    import torch
    found, wanted = races(sys.argv[1:]), sys.argv[1:]
    if wanted: return
    columns = ["kernel", "kernel's", "plain", "PyTorch", "plain / kernel", "kernel / PyTorch"]
    slow = [race.name for race in found if race.gain < ENOUGH]
    told = f"Less than {ENOUGH} times as fast as the plain body: {', '.join(slow) or 'none'}."
    ops, whole = [table(columns, [race.row() for race in some]) for some in (found, steps())]
    write("bench_kernels.py", f"{machine(f'PyTorch {torch.__version__}')}\n\n{ops}\n\n{told}\n\n"
          f"One step of a training, with kernels and without:\n\n{whole}")


if __name__ == "__main__": main()
