# %% [markdown]
# # Appendix: what a network holds, computes and moves
#
# Before you train a network for a week, look at what it will cost: how many numbers it holds, what shapes go
# through it, how much arithmetic that is and how many bytes it moves. The arithmetic is counted where it
# happens: every operation comes through the door of lesson 02, and an engine stands there with a ledger. No
# layer is asked what it costs, and none can forget to say.

# %%
#| export
"""A ledger of what a network holds, computes and moves."""

# %%
#| export
from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from tinytorch.creation import ones
from tinytorch.layers import Module
from tinytorch.tensor import Engine, Op, Tensor, using

# %% [markdown]
# ## What an operation costs
#
# A **FLOP** is one floating-point operation. The usual convention: one for every number that an operation
# makes, or reads, if it reads more than it makes; `exp` is one as `+` is. Operations that only move numbers
# about do none. The great ones have formulas, which are rows of a table; later lessons add theirs.

# %%
#| export
FLOPS: dict[str, Callable] = {}
MOVES = frozenset({
    "cat", "stack", "clone", "convert", "move", "gather", "index_select", "masked_select", "take", "scatter",
    "index_copy", "flip", "roll", "repeat", "tril", "triu", "where", "masked_fill", "fill", "pad",
    "embedding",
})


def flops(*names: str) -> Callable:
    """`@flops("matmul")` above a function of out, *inputs, **settings makes it the cost of that operation."""
    def enter(rule: Callable) -> Callable:
        FLOPS.update(dict.fromkeys(names, rule))
        return rule
    return enter


@flops("matmul")
def _(out, input, other):
    return 2 * out.numel() * input.shape[-1]        # a product and a sum for each pair


@flops("linear")
def _(out, input, weight, bias=None):
    return out.numel() * (2 * weight.shape[-1] + (bias is not None))


@flops("attend")
def _(out, query, key, value, *masks, **settings):
    scores = query.numel() // max(query.shape[-1], 1) * key.shape[-2]
    return 2 * scores * (query.shape[-1] + value.shape[-1])


@flops("rnn_layer", "gru_layer")
def _(out, input, h, weight_ih, weight_hh, *biases, **settings):
    return 2 * len(input) * (weight_ih.numel() + weight_hh.numel())


@flops("lstm_layer")
def _(out, input, h, c, weight_ih, weight_hh, *more, **settings):
    return 2 * len(input) * (weight_ih.numel() + weight_hh.numel())

# %%
#| export
def tensors(value) -> Iterator[Tensor]:
    """All tensors in a value, in lists and dicts, too."""
    if isinstance(value, Tensor): yield value
    elif isinstance(value, (tuple, list)):
        for part in value: yield from tensors(part)
    elif isinstance(value, dict): yield from tensors(list(value.values()))


def work(op: Op, inputs: tuple, settings: dict, out) -> int:
    """The FLOPs of one call of an operation."""
    if op.name in FLOPS: return FLOPS[op.name](out, *inputs, **settings)
    if op.shares or op.name in MOVES: return 0
    return max([x.numel() for x in tensors((inputs, out))], default=0)


def traffic(op: Op, inputs: tuple, out) -> int:
    """The bytes that one call reads and writes, if none of them is in a cache; a view moves none."""
    return 0 if op.shares else sum([x.array.nbytes for x in tensors((inputs, out))])

# %% [markdown]
# ## The engine
#
# It runs everything on the engine it is put around, and writes down what it saw on the page of whoever is at
# work.

# %%
#| export
class Page:
    """What one module did."""

    calls = flops = bytes = 0
    shapes: Sequence[tuple[int, ...]] = ()      # of its last output


class Ledger(Engine):
    """An engine around another: it counts operations, for each module that is at work."""

    def __init__(self, inner: Engine):
        self.inner, self.pages, self.at_work = inner, {}, [None]

    def page(self, module) -> Page: return self.pages.setdefault(module, Page())

    def run(self, op: Op, inputs: tuple, settings: dict):
        out = self.inner.run(op, inputs, settings)
        page = self.page(self.at_work[-1])
        page.flops += work(op, inputs, settings, out)
        page.bytes += traffic(op, inputs, out)
        return out

    def write(self, tensor: Tensor, value, index=...): return self.inner.write(tensor, value, index)
    def backward(self, tensor: Tensor, **settings): return self.inner.backward(tensor, **settings)

    def begin(self, module, args) -> None: self.at_work.append(module)

    def end(self, module, args, output) -> None:
        self.at_work.pop()
        self.page(module).calls += 1
        self.page(module).shapes = [tuple(x.shape) for x in tensors(output)]

# %% [markdown]
# Hooks tell it who is at work. They, and the mode, are taken back at the end, whatever happens.

# %%
#| export
@contextmanager
def watched(model: Module, ledger: Ledger) -> Iterator[None]:
    """`with watched(model, ledger):` the ledger knows which part of the model is at work."""
    modes = [(part, part.training) for part in model.modules()]
    with ExitStack() as stack:
        for part in model.modules():
            stack.enter_context(part.register_forward_pre_hook(ledger.begin))
            stack.enter_context(part.register_forward_hook(ledger.end, always_call=True))
        model.eval()
        try: yield
        finally:
            for part, mode in modes: part.training = mode

# %% [markdown]
# ## The table

# %%
#| export
class Line(NamedTuple):
    """One module of a summary."""

    path: str
    kind: str
    parameters: int             # its own, not those of its parts; a shared one counts where it comes first
    learning: int               # of these, those that want a gradient
    bytes_held: int             # by its own parameters and buffers
    page: Page

    @property
    def label(self) -> str:
        *above, name = self.path.split(".")
        return f"{'  ' * (len(above) + 1)}{name} {self.kind}" if self.path else self.kind

    def cells(self) -> tuple[str, ...]:
        page = self.page
        shapes = ", ".join(map(str, page.shapes)) + (f" x{page.calls}" if page.calls > 1 else "")
        return self.label, shapes, f"{self.parameters:,}", short(page.flops), f"{short(page.bytes)}B"


class Summary:
    """What a network holds, computes and moves, part by part."""

    def __init__(self, lines: list[Line], outside: Page):
        self.lines, self.outside = lines, outside       # outside: what was computed by no module at all

    parameters = property(lambda self: sum([line.parameters for line in self.lines]))
    learning = property(lambda self: sum([line.learning for line in self.lines]))
    bytes_held = property(lambda self: sum([line.bytes_held for line in self.lines]))
    flops = property(lambda self: sum([line.page.flops for line in self.lines]) + self.outside.flops)
    bytes = property(lambda self: sum([line.page.bytes for line in self.lines]) + self.outside.bytes)

    def __repr__(self):
        rows = [("layer", "output", "parameters", "FLOPs", "moves"), *[line.cells() for line in self.lines]]
        rows = [tuple("-" if cell in ("", "0", "0 ", "0 B") else cell for cell in row) for row in rows]
        wide = [max(map(len, column)) for column in zip(*rows)]
        text = ["  ".join([*map(str.ljust, row[:2], wide[:2]), *map(str.rjust, row[2:], wide[2:])])
                for row in rows]
        rule = "-" * len(text[0])
        return "\n".join([text[0], rule, *text[1:], rule, self.total()])

    def total(self) -> str:
        """All in one line."""
        still = self.parameters - self.learning
        held = f"{self.parameters:,} parameters{f', {still:,} of them frozen' if still else ''}"
        return f"{held}, {short(self.bytes_held)}B; {short(self.flops)}FLOP; moves {short(self.bytes)}B"


def short(n: float) -> str:
    """A large number in three digits and a letter: 12345 is "12.3 k"."""
    if n < 1000: return f"{n} "
    n = float(f"{n:.2e}")                       # rounded first: 999,999 is a million
    size = min(int(math.log10(n) // 3), 5)
    n /= 1000**size
    return f"{n:.{max(2 - int(math.log10(n)), 0)}f} {'kMGTP'[size - 1]}"

# %%
#| export
def summary(model: Module, *input_shape, dtype=None) -> Summary:
    """What a network holds, computes and moves for an input of this shape, batch included.

    `summary(model, (64, 784))`; for several inputs several shapes. A tensor in place of a shape is the input
    itself. The model runs once, in eval mode, and without gradients.
    """
    inputs = [shape if isinstance(shape, Tensor) else ones(shape, dtype=dtype) for shape in input_shape]
    ledger = Ledger(Engine())
    with watched(model, ledger), using(ledger): model(*inputs)
    counted: set = set()
    lines = [line_of(path, part, counted, ledger) for path, part in model.named_modules()]
    return Summary(lines, ledger.page(None))


def line_of(path: str, part: Module, counted: set, ledger: Ledger) -> Line:
    """The line of one module, which counts those of its tensors that have not been counted."""
    own = [p for p in part.parameters(recurse=False) if p not in counted]
    buffers = [b for b in part.buffers(recurse=False) if b not in counted]
    counted.update(own, buffers)
    learning = sum([p.numel() for p in own if p.requires_grad])
    held = sum([x.array.nbytes for x in (*own, *buffers)])
    return Line(path, type(part).__name__, sum([p.numel() for p in own]), learning, held, ledger.page(part))

# %% [markdown]
# A network of three layers, for a batch of 64 digits. Which layer computes most, and which moves most?

# %%
from tinytorch.bent_modules import ReLU
from tinytorch.layers import Parameter, Sequential

class Affine(Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight, self.bias = Parameter(ones(i, o)), Parameter(ones(o))

    def forward(self, x): return x @ self.weight + self.bias

summary(Sequential(Affine(784, 256), ReLU(), Affine(256, 128), ReLU(), Affine(128, 10)), (64, 784))
