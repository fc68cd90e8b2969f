# %% [markdown]
# # Appendix: all of them, side by side
#
# Which way is best? None: each is a point between two axes, bytes and right answers (and a third, time). Of a
# heap of points, those count that no other beats on both axes; they are called the **Pareto front**, after an
# economist of 1896. Whoever lies behind it costs more than he must.

# %%
#| export
"""Networks side by side: bytes, scores and time, and which of them no other one beats."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tinytorch.compression import bytes_on_disk
from tinytorch.layers import Module
from tinytorch.modes import no_grad
from tinytorch.setup import timed


class Row(NamedTuple):
    """A network, measured."""

    name: str
    bytes: int
    score: float
    seconds: float

    def beats(self, other: Row) -> bool:
        """Whether it is no larger and no worse, and better in one of the two."""
        no_worse = self.bytes <= other.bytes and self.score >= other.score
        return no_worse and (self.bytes, self.score) != (other.bytes, other.score)


def measured(name: str, model: Module, score: Callable, question) -> Row:
    """A network's bytes on a disk, its score, and the least time that it takes for a question."""
    model.eval()
    with no_grad(): return Row(name, bytes_on_disk(model), score(model), timed(lambda: model(question)).best)


def front(rows: Iterable[Row]) -> list[Row]:
    """Those that no other one beats, the smallest first."""
    rows = list(rows)
    unbeaten = [row for row in rows if not any([other.beats(row) for other in rows])]
    return sorted(unbeaten, key=lambda row: row.bytes)


class Compared:
    """A table of networks; a `*` stands before those that no other one beats."""

    def __init__(self, rows: Iterable[Row]): self.rows = sorted(rows, key=lambda row: row.bytes)

    def __repr__(self):
        best, wide = front(self.rows), max([len(row.name) for row in self.rows], default=0)
        return "\n".join([f"{'*' if row in best else ' '} {row.name:{wide}} {row.bytes:9,} bytes "
                          f"{row.score:6.1f} % {1e6 * row.seconds:8.0f} µs" for row in self.rows])

# %% [markdown]
# The network of the lesson, in every way that this chapter knows. Where something was taken away, it has
# learned on for three epochs.

# %%
from copy import deepcopy

from tinytorch import nn
from tinytorch.compression import distillation_loss, replace
from tinytorch.datasets import Digits
from tinytorch.dense import Linear
from tinytorch.int4 import quantize_int4
from tinytorch.low_rank import LowRankLinear
from tinytorch.optimizers import Adam
from tinytorch.patterns import n_m_structured, shrink
from tinytorch.pruning import l1_unstructured, ln_structured, remove
from tinytorch.qconfigs import per_channel_dynamic_qconfig, quantize_dynamic
from tinytorch.randomness import manual_seed
from tinytorch.sparse_rows import SparseLinear
from tinytorch.training import Accuracy, Trainer, evaluate
from tinytorch.utils.data import DataLoader, TensorDataset

def examples(train):
    digits = Digits(train)
    return TensorDataset(digits.data.float().reshape(-1, 64) / 255, digits.targets)

familiar, unseen = examples(True), DataLoader(examples(False), 512)

def fit(model, epochs=3, data=familiar, **settings):
    optimizer = Adam(model.parameters(), lr=2e-3)
    Trainer(model, optimizer, DataLoader(data, 32, shuffle=True), **settings).fit(epochs)
    return model.eval()

def score(model): return 100 * evaluate(model, unseen, accuracy=Accuracy())["accuracy"]

def row(name, model): return measured(name, model, score, familiar.tensors[0][:64])

def each(model, change):
    """A copy in which each linear layer is what `change` makes of it."""
    return replace(deepcopy(model), lambda part: change(part) if type(part) is Linear else None)

def in_bytes(model): return quantize_dynamic(model, {Linear: per_channel_dynamic_qconfig})

manual_seed(0)
model = fit(nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
                          nn.Linear(128, 10)), 12)
rows = [row("float32", model), row("int8", in_bytes(model)), row("int4, groups of 32", quantize_int4(model))]

def pruned(prune):
    """A copy, pruned, that has learned on, with its masks off."""
    copy = deepcopy(model)
    for layer in copy[::2]: prune(layer)
    fit(copy)
    for layer in copy[::2]: remove(layer, "weight")
    return copy

thin = pruned(lambda layer: l1_unstructured(layer, "weight", 0.9))
rows += [row("9/10 pruned, sparse rows", each(thin, SparseLinear.from_float))]
rows += [row("2 of 4", pruned(lambda layer: n_m_structured(layer, "weight")))]

narrow = pruned(lambda layer: ln_structured(layer, "weight", 0.5, 2, 0) if len(layer.weight) > 10 else
                l1_unstructured(layer, "weight", 0))
first, second = shrink(narrow[0], narrow[2], lambda x: x.relu())
second, third = shrink(second, narrow[4], lambda x: x.relu())
narrow = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
rows += [row("half of the rows gone", narrow), row("half of the rows gone, int8", in_bytes(narrow)),
         row("half of the rows gone, int4", quantize_int4(narrow))]

low = fit(each(model, lambda layer: LowRankLinear.from_float(layer, 16) if len(layer.weight) > 10 else layer))
rows += [row("rank 16", low), row("rank 16, int8", in_bytes(low))]

with no_grad(): advice = TensorDataset(familiar.tensors[0], model(familiar.tensors[0]))
student = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
fit(student, 12, advice, loss=distillation_loss)
rows += [row("a student", student), row("a student, int8", in_bytes(student))]
Compared(rows)
