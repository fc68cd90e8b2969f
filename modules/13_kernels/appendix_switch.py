# %% [markdown]
# # Appendix: the switch
#
# Which kernels run is one choice for the whole program: `fast`, all that this machine can run, or `numpy`,
# where every op is its forward and every gradient its rule, as if this lesson had never been.
# `TINYTORCH_KERNELS` says so before the start, `tinytorch.backends.use_kernels` later. Where nobody says
# anything it is `fast`; and where there is no compiler, `fast` has nothing to run, and is `numpy`.
#
# This is all of the lesson that `import tinytorch` loads. The kernels come when one of their ops is first
# used: until then, something else stands in their places.

# %%
#| export
"""Which kernels run: the switch, and who waits where they will be."""

# %%
#| export
from __future__ import annotations

import os
import sys
from importlib import import_module

from tinytorch.autograd import Autograd
from tinytorch.bookkeeping import WAITING
from tinytorch.methods import METHODS
from tinytorch.randomness import DRAWS, coins, fractions
from tinytorch.receipts import RULED
from tinytorch.tensor import Engine, Op, set_default_engine

# %%
#| export
WITH_KERNELS = {
    "gelu", "relu", "leaky_relu", "silu", "sigmoid", "softmax", "log_softmax", "surprise", "standardize",
    "rescale", "attend", "add_rows", "conv2d", "max_pool2d", "standardize_channels", "rescale_channels",
    "lstm_layer", "gru_layer", "int8_matmul",
}
CHOICE = ["numpy"]
COMPUTER = Engine()                     # computes, wherever nobody chose another engine …
COMPUTER.kernels = {}                   # … with the bodies in this table, which tinytorch.tables fills


class Later:
    """Stands where the kernels of an op will be. Called for the first time, it brings them all."""

    def __init__(self, op: Op): self.op = op

    def __call__(self, *given, **settings):
        bring()
        return COMPUTER.kernels.get(self.op, self.op.forward)(*given, **settings)


def expect(op: Op) -> None:
    """Puts somebody where the kernels of an op will be, if it has any and they are wanted."""
    if CHOICE[0] == "fast" and op.name in WITH_KERNELS: COMPUTER.kernels[op] = Later(op)


def bring() -> None:
    """Loads every kernel whose op is there."""
    for op in [op for op, body in COMPUTER.kernels.items() if type(body) is Later]: del COMPUTER.kernels[op]
    import_module("tinytorch.tables").load()


MANY = 4096                             # numbers for which it is worth while to load kernels


def later(draw):
    """Stands where a kernel that draws will be, and brings them all when many numbers are wanted."""
    def wait(source, n, *how):
        if n < MANY: return draw.__wrapped__(source, n, *how)
        del DRAWS[draw]
        bring()
        return draw(source, n, *how)
    return wait


def steps() -> None:
    """Loads the kernels of optimizers, once there is one."""
    if CHOICE[0] == "fast": bring()


class use_kernels:
    """Says from here on, or to the end of `with`, which kernels run: "fast" or "numpy".

    With "numpy" every op is its plain forward on the CPU. Arrays on a GPU keep their kernels.
    """

    def __init__(self, which: str):
        self.before = CHOICE[0]
        turn(which)

    def __enter__(self): return self
    def __exit__(self, *error): turn(self.before)


def turn(which: str) -> None:
    """Puts the kernels of that choice, or who waits for them, into all tables."""
    if which not in ("fast", "numpy"): raise ValueError(f"kernels are 'fast' or 'numpy', not {which!r}")
    CHOICE[0] = which
    if tables := sys.modules.get("tinytorch.tables"):
        tables.renew_all()
        return
    COMPUTER.kernels.clear()
    DRAWS.clear()
    if which == "fast": DRAWS.update({draw: later(draw) for draw in (coins, fractions)})
    for name in WITH_KERNELS:
        if name in METHODS: expect(METHODS[name])


RULED.append(expect)                    # an op of a lesson that is loaded late
WAITING.append(steps)
turn(os.environ.get("TINYTORCH_KERNELS") or "fast")
set_default_engine(Autograd(COMPUTER))
