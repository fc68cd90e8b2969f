"""The cost column has a cell for every op, and what it says of a step is what the step does."""

from importlib import import_module
from pathlib import Path
from time import process_time

import numpy as np
import pytest

import tinytorch
from tinytorch.benchmarking import COSTS, Table, cost_of, profiled
from tinytorch.compression import int8_matmul, quantize_affine
from tinytorch.int4 import pack_int4
from tinytorch.sparse_rows import sparse_linear
from tinytorch.tensor import Engine, Op, using
from tito.core.curriculum import parse

COURSE = Path(__file__).resolve().parents[2] / "modules"
CURRICULUM = parse((COURSE / "curriculum.toml").read_text("utf-8"))
BEFORE = [lesson for lesson in CURRICULUM if lesson.number < CURRICULUM.lesson("benchmarking").number]


def ops(lesson) -> list[Op]:
    """The ops that a lesson and its appendices define."""
    modules = [import_module(f"tinytorch.{name}") for name in lesson.modules]
    return [x for module in modules for x in vars(module).values()
            if isinstance(x, Op) and x.__module__ == module.__name__]


@pytest.mark.parametrize("lesson", BEFORE, ids=lambda lesson: lesson.name)
def test_every_op_has_a_cost_or_is_a_view(lesson):
    """Views cost nothing, whatever they show."""
    assert [op.name for op in ops(lesson) if op.name not in COSTS and not op.shares] == []


def test_no_cost_is_of_an_op_that_does_not_exist():
    known = {op.name for lesson in BEFORE for op in ops(lesson)}
    assert sorted(COSTS.keys() - known) == []


class Seen(Engine):
    """Asks the cost column about everything that runs."""

    def __init__(self): self.costs = {}

    def run(self, op, inputs, settings):
        out = super().run(op, inputs, settings)
        self.costs.setdefault(op.name, []).append(cost_of(op, inputs, settings, out))
        return out


def x(*shape): return tinytorch.ones(*shape)


F = tinytorch.nn.functional
COUNTED = [         # what runs, an op of it, its FLOPs and its bytes, counted by hand
    (lambda: x(3, 4) + x(4), "add", 12, 4 * (12 + 4 + 12)),
    (lambda: tinytorch.add(x(3, 4), x(3, 4), alpha=2), "add", 24, 4 * 36),
    (lambda: x(3, 4).sum(1), "sum", 12, 4 * 15),
    (lambda: x(2, 5).exp(), "exp", 10, 80),
    (lambda: F.gelu(x(10)), "gelu", 50, 80),
    (lambda: F.gelu(x(10), approximate="tanh"), "gelu", 90, 80),
    (lambda: F.max_pool2d(x(1, 2, 6, 6), 2), "max_pool2d", 18 * 4, 4 * (72 + 18)),
    (lambda: F.avg_pool2d(x(1, 2, 6, 6), (3, 2)), "avg_pool2d", 12 * 7, 4 * (72 + 12)),
    (lambda: F.avg_pool1d(x(1, 2, 6), 3), "avg_pool1d", 4 * 4, 4 * (12 + 4)),
    (lambda: F.layer_norm(x(4, 8), (8,), x(8), x(8)), "standardize", 7 * 32, 4 * (32 + 32 + 16)),
    (lambda: F.conv2d(x(2, 3, 8, 8), x(4, 3, 3, 3), x(4)), "conv2d", 2 * 4 * 36 * (2 * 27 + 1),
     4 * (2 * 3 * 64 + 4 * 27 + 4 + 2 * 4 * 36)),
    (lambda: x(100, 4).index_select(0, tinytorch.tensor([1, 2])), "index_select", 0, 16 + 2 * 32),
    (lambda: tinytorch.cat([x(2, 3), x(4, 3)]), "cat", 0, 2 * 4 * 18),
    (lambda: x(3, 4).sort(1), "sort", 24, None),
    (lambda: tinytorch.linalg.inv(tinytorch.eye(6)), "inv", 2 * 216, 8 * 36),
    (lambda: tinytorch.linalg.cholesky(tinytorch.eye(6)), "cholesky", 72, 8 * 36),
    (lambda: x(3, 4).mT.reshape(12), "reshape", 0, 2 * 48),
    (lambda: x(3, 4).reshape(12), "reshape", 0, 0),
    (lambda: x(3, 4).mT, "transpose", 0, 0),
    (lambda: x(4, 4).split(2), "split", 0, 0),
    (lambda: F.interpolate(x(1, 1, 4, 4), scale_factor=2, mode="bilinear"), "resample", 9 * 64, 4 * 80),
    (lambda: tinytorch.cdist(x(3, 5), x(4, 5)), "cdist", 12 * 16, 4 * (15 + 20 + 12)),
    (lambda: quantize_affine(x(3, 4), x(1), x(1)), "quantize_affine", 5 * 12, 12 + 4 * (12 + 2)),
    (lambda: int8_matmul(x(2, 8).to(tinytorch.int8), x(3, 8).to(tinytorch.int8)), "int8_matmul", 2 * 6 * 8,
     4 * 6 + 16 + 24),
    (lambda: sparse_linear(x(5, 4), *[tinytorch.tensor(some) for some in ([0, 2, 3], [0, 3, 1])], x(3)),
     "sparse_linear", 2 * 3 * 5, 4 * (10 + 20 + 3) + 8 * 6),
    (lambda: pack_int4(x(2, 8)), "pack_int4", 0, 8 + 64),
]


@pytest.mark.parametrize(("program", "name", "flops", "moves"), COUNTED,
                         ids=lambda value: value if isinstance(value, str) else "")
def test_costs_are_what_one_counts_by_hand(program, name, flops, moves):
    with using(Seen()) as seen: program()
    found = seen.costs[name][-1]
    assert found.flops == flops
    if moves is not None: assert found.bytes == moves


def networks():
    """Networks of different kinds, what they read and what is right."""
    nn, numbers = tinytorch.nn, np.random.default_rng(0)
    def floats(*shape): return tinytorch.tensor(numbers.standard_normal(shape).astype(np.float32))
    def some(count): return tinytorch.tensor(numbers.integers(0, 10, count))
    labels = some(64)
    mlp = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    yield "mlp", mlp, floats(256, 784), some(256)
    cnn = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5),
                        nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 10))
    yield "cnn", cnn, floats(64, 1, 28, 28), labels
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    yield "attention", nn.Sequential(layer, nn.Flatten(), nn.Linear(64 * 32, 10)), floats(64, 32, 64), labels


@pytest.mark.parametrize("name", ["mlp", "cnn", "attention"])
def test_a_profile_accounts_for_nine_tenths_of_a_training_step(name):
    net, images, labels = next(rest for title, *rest in networks() if title == name)
    optimizer = tinytorch.optim.Adam(net.parameters())

    def step():
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()

    step()
    found = []
    for _ in range(40):                 # by CPU time: what else the machine does is nobody's step
        with profiled(modules=name == "attention", clock=process_time) as p: step()
        found.append(Table(p.book.spans))
        if found[-1].accounted >= 0.9: break
    best = max(found, key=lambda table: table.accounted)
    assert best.accounted >= 0.9, f"{best}"
    names = {row.name for row in best.rows}
    assert {"backward", "Adam.step", "LinearBackward0", "linear"} <= names, "there, back and downhill"
    assert best.row("linear").flops > 0 and best.row("LinearBackward0").flops > 0, "with what they cost"
