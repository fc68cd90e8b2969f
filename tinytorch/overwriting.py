# Generated from modules/09_autograd/appendix_overwriting.py by `tito export`. Edit that file, not this one.
"""Writing into tensors, so that gradients know of it."""

from __future__ import annotations

import numpy as np

from .indexing import put_index
from .receipts import Receipt, gradient, no_gradient, places_of, remembering, wants_gradient, write_receipt
from .shaping import detach
from .tensor import Engine, Tensor, select_index

__all__ = ["write_over", "is_like", "keep_old", "zeros_beside", "picks_twice"]


def write_over(inner: Engine, tensor: Tensor, value, index) -> Tensor:
    """Writes value where tensor[index] is, and lets the history of the memory say so."""
    memory = tensor if tensor._base is None else tensor._base
    root = tensor if tensor._apart else memory              # whose history goes on
    wanted = (remembering.get() and root.array.dtype.kind in "fV"
              and (root.wanted or wants_gradient(value)))
    if wanted and root.wanted and root.receipt is None:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation: its "
                           "gradient would not know which numbers are meant. Change it under no_grad(), or "
                           "use a result of it")
    if wanted and isinstance(value, Tensor) and value.receipt is not None: keep_old(value.receipt, memory)
    places = index if tensor is root or not wanted else places_of(tensor, root, index)
    inner.write(tensor, value, index)                       # it may refuse: nothing has happened so far
    if memory.receipt is not None: memory.receipt.spoilt = True
    if not wanted: return tensor
    if tensor is root and index is ... and is_like(value, root):
        root.receipt, root.wanted = value.receipt, True          # x.add_(1): x is now what x + 1 was
    else:
        write_receipt(put_index, (root, value), {"index": places}, root)
    if "_retained" in vars(root): root.retain_grad()        # .grad is for what it holds from now on
    return tensor


def is_like(value, root: Tensor) -> bool:
    """Whether value can take the place of root, history and all."""
    if not isinstance(value, Tensor) or value.receipt is None or value._base is not None: return False
    return value.shape == root.shape and value.array.dtype == root.array.dtype


def keep_old(receipt: Receipt, memory: Tensor) -> None:
    """Copies what a receipt needs of memory that is about to be written over, as in x.mul_(y)."""
    for n, box in enumerate(receipt.boxes):
        if box is not None and (box is memory or box._base is memory):
            old = receipt.boxes[n] = Tensor(box.array.copy())
            old.receipt, old.wanted = box.receipt, box.wanted
            receipt.inputs[n], receipt.versions[n] = old.array, 0


@gradient(put_index)
def _(g, _out, _x, _values, index, accumulate):
    old = g if accumulate else lambda: put_index(g, 0.0, index)
    return old, lambda: select_index(g, index)


@gradient(select_index)
def _(g, _out, _x, index):
    return put_index(zeros_beside(g, _x.shape), g, index, picks_twice(index)),


def zeros_beside(g, shape):
    """Zeros of the dtype and in the memory of g."""
    return np.zeros_like(g.array if isinstance(g, Tensor) else g, shape=shape)


def picks_twice(index) -> bool:
    """Whether an index may name a place more than once: lists of numbers may."""
    parts = index if isinstance(index, tuple) else (index,)
    return any([hasattr(part, "dtype") and part.dtype != bool for part in parts])


no_gradient(detach)
