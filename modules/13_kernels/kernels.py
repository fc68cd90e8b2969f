# %% [markdown]
# # Kernels

# %%
#| export
"""Faster bodies for ops."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinytorch.column import DECLINED, KERNELS, WATCHERS, bodies, kernel, withdraw
from tinytorch.compiling import NoCompiler
from tinytorch.dtypes import device_of
from tinytorch.tensor import Engine, Op

# %%
#| export
def chosen(bodies: list[Callable], plain: Callable) -> Callable:
    """A function that asks the bodies in their order, and `plain` when all of them have declined."""
    def run(*given, **settings):
        for body in bodies:
            try: out = body(*given, **settings)
            except NoCompiler: continue
            if out is not DECLINED: return out
        return plain(*given, **settings)
    return run if bodies else plain


# %%
#| export
class Device(Engine):
    """Runs ops by the kernels of the device that their arrays live on."""

    def __init__(self, engines=("c", "numba", "numpy", "cuda")):
        self.engines, self.kernels = engines, {}
        for op, _ in list(KERNELS): self.renew(op)

    def renew(self, op: Op) -> None:
        """Puts the kernels of an op where `run` will find them, or takes them away."""
        if not isinstance(op, Op): return
        found = {device: bodies(KERNELS, op, device, self.engines) for device in ("cpu", "cuda")}
        if not any(found.values()): self.kernels.pop(op, None)
        elif not found["cuda"]: self.kernels[op] = chosen(found["cpu"], op.forward)
        else: self.kernels[op] = by_device({device: chosen(some, op.forward) for device, some in found.items()})


def by_device(ways: dict) -> Callable:
    """A function that sends arrays to the way of their device."""
    def run(*arrays, **settings):
        return ways[home(arrays)](*arrays, **settings)
    return run


def home(arrays) -> str:
    """The type of device on which the first of the arrays lives."""
    for x in arrays:
        if type(x) is np.ndarray: return "cpu"
        if hasattr(x, "dtype"): return device_of(x).type
    return "cpu"
