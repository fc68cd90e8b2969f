# %% [markdown]
# # Appendix: on the way back
#
# What a journey of gradients needs besides its map: how it starts, who runs the ops of the rules meanwhile,
# which ways lead to a goal, and what happens on arrival.

# %%
#| export
"""How gradients start, travel and arrive."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from tinytorch.errors import shape_of
from tinytorch.receipts import Receipt, edge_of, remembering, wants_gradient
from tinytorch.tensor import Engine, Kept, Op, Tensor, _engine, current_engine, using

# %% [markdown]
# ## Rules run on bare arrays
#
# No boxes, no receipts, nothing to remember. So while gradients flow, another engine stands at the door. It
# lets a rule use ops, `expand(g, shape)`, on arrays, and gives arrays back. Only where somebody wants
# gradients of gradients (`create_graph=True`) the rules get tensors, the engine that remembers stays, and
# writes receipts for what they do. The rules cannot tell.

# %%
#| export
class Bare(Engine):
    """Arrays in, arrays out: what runs the ops in rules."""

    def __init__(self, inner: Engine): self.inner, self.kernels = inner, inner.kernels

    def run(self, op: Op, inputs: tuple, settings: dict):
        inputs = [np.asarray(x) if isinstance(x, np.generic) else x for x in inputs]    # NumPy's 0-d results
        arrays = inputs if op.promote is None else op.promote(inputs)
        out = self.kernels.get(op, op.forward)(*arrays, **settings)
        return out[0] if type(out) is Kept else out


class rules_run:
    """Who runs the ops of rules: the engine itself if they are to be remembered, else one for bare arrays."""

    def __init__(self, engine: Engine, create_graph: bool):
        self.engine, self.create_graph = engine if create_graph else Bare(engine), create_graph

    def __enter__(self): self.before = _engine.set(self.engine), remembering.set(self.create_graph)

    def __exit__(self, *error):
        _engine.reset(self.before[0])
        remembering.reset(self.before[1])


@contextmanager
def boxes() -> Iterator[None]:
    """On the way, somebody else's code runs, who expects tensors."""
    engine = current_engine()
    with using(engine.inner if isinstance(engine, Bare) else engine): yield

# %% [markdown]
# ## The start and the way

# %%
#| export
def first_gradient(y: Tensor, g, create_graph: bool):
    """What a gradient starts with at an output: 1 at a loss, what the caller says at anything else."""
    if not wants_gradient(y):
        raise RuntimeError("this tensor does not require grad and does not have a grad_fn: nothing that it "
                           "was made of wants a gradient, or it was made under no_grad")
    if g is None:
        if y.array.size != 1:
            raise RuntimeError(f"grad can be implicitly created only for scalar outputs, and this one is "
                               f"{shape_of(y)}: say backward(gradient), how the loss answers to each number")
        one = np.ones_like(y.array)
        return Tensor(one) if create_graph else one
    if g.shape != y.shape:
        raise RuntimeError(f"a gradient has the shape of its tensor: this one is {shape_of(g)}, the tensor "
                           f"is {shape_of(y)}")
    if create_graph: return g
    return g.array.copy() if y.receipt is None else g.array         # a leaf's .grad is its own


def served_after(order: list[Receipt]) -> dict[Receipt, list[Tensor]]:
    """For each receipt, the leaves to which no later one leads."""
    last = {edge: receipt for receipt in order for edge in receipt.edges if isinstance(edge, Tensor)}
    leaves: dict = {}
    for leaf, receipt in last.items(): leaves.setdefault(receipt, []).append(leaf)
    return leaves


def leading_to(order: list[Receipt], targets: dict) -> set:
    """The edges from which a target can be reached, the targets among them."""
    useful = set(targets)
    for receipt in reversed(order):
        if any([edge in useful for edge in receipt.edges]): useful.add(receipt)
    return useful

# %% [markdown]
# ## Arrival

# %%
#| export
def hooked(hooks: dict | None, g):
    """The gradient after these hooks have seen it, and perhaps replaced it."""
    if not hooks or isinstance(g, list): return g
    box = g if isinstance(g, Tensor) else Tensor(g)
    with boxes():
        for hook in list(hooks.values()):
            told = hook(box)
            if told is not None: box = told
    return box if isinstance(g, Tensor) else box.array


def add_to_grad(leaf: Tensor, g) -> None:
    """Adds a gradient to .grad of a leaf, in place where there is one already."""
    if isinstance(g, Tensor):
        leaf.grad = g if leaf.grad is None else leaf.grad + g
    elif leaf.grad is None:
        leaf.grad = Tensor(g)
    else:
        leaf.grad.array += g
        leaf.grad._changes += 1
    for hook in vars(leaf).get("_after_grad", {}).values():
        with boxes(): hook(leaf)


def own(g, held: list):
    """The gradient in memory of its own, laid out in order: copied if it shows what is held already."""
    if isinstance(g, Tensor): return g
    flags = g.flags
    if not (flags.c_contiguous and getattr(flags, "writeable", True)): return g.copy()     # CuPy has none
    for x in held:
        if x is g: return g.copy()
        if not isinstance(x, type(g)) or (x.base is None and g.base is None): continue    # no view here
        if np.may_share_memory(g, x): return g.copy()
    return g


def check_targets(inputs: list) -> None:
    """Raises where no gradient could ever arrive."""
    if not all([wants_gradient(x) for x in inputs]):
        raise RuntimeError("One of the differentiated Tensors does not require grad")


def delivered(found: dict, inputs: list, allow_unused: bool | None, materialize: bool) -> tuple:
    """What arrived for the inputs, in their order; for those that nothing led to, zeros, None or an error."""
    if materialize: found = {x: Tensor(np.zeros_like(x.array)) for x in inputs} | found
    if not allow_unused and any([x not in found for x in inputs]):
        raise RuntimeError("One of the differentiated Tensors appears to not have been used in the graph: "
                           "the outputs were not made from it. allow_unused=True gives None for it")
    return tuple([found.get(x) for x in inputs])

# %% [markdown]
# ## A journey
#
# What has to be carried from one receipt to the next, and how a leaf is served. Where to go, and what to do
# on the way, is the lesson's.

# %%
#| export
class Journey:
    """Gradients on their way from outputs back to leaves, or to the targets alone."""

    def __init__(
        self, engine: Engine,
        deliver: Callable,                              # is called with a tensor and its gradient
        targets: Iterable[Tensor] | None = None,        # None: all leaves
        retain_graph: bool | None = None, create_graph: bool = False,
    ):
        self.engine, self.deliver, self.create_graph = engine, deliver, create_graph
        self.retain = create_graph if retain_graph is None else retain_graph
        self.targets = None if targets is None else {edge_of(x): x for x in targets}
        self.useful: set | None = None                  # the edges that lead to a target; None: all do
        self.pending: dict = {}                         # for each edge, what has gathered there so far
        self.mine: set = set()                          # the edges whose array nobody else holds

    def take(self, receipt: Receipt):
        """What has gathered at a receipt, after those who wait for it there have seen it."""
        g = self.pending.pop(receipt)
        if receipt.hooks: g = hooked(receipt.hooks, g)
        if self.targets is not None and receipt in self.targets: self.deliver(self.targets[receipt], g)
        return g

    def ways(self, receipt: Receipt) -> list:
        """The edges of a receipt, with None for those that lead to no target; [] where none does."""
        if self.useful is None: return receipt.edges
        ways = [edge if edge in self.useful else None for edge in receipt.edges]
        return ways if any([way is not None for way in ways]) else []

    def serve(self, leaves: Iterable[Tensor]) -> None:
        """Delivers to leaves whose gradient is complete."""
        for leaf in leaves:
            if leaf not in self.pending: continue
            g = hooked(vars(leaf).get("_hooks"), self.pending.pop(leaf))
            if self.targets is None: self.deliver(leaf, g)
            elif leaf in self.targets: self.deliver(self.targets[leaf], g)
