# Generated from modules/08_dataloader/appendix_batching.py by `tito export`. Edit that file, not this one.
"""What a batch of numbers, arrays or words becomes, and which settings contradict each other."""

from __future__ import annotations

import copy
import multiprocessing
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

import numpy as np

from .creation import as_tensor
from .devices import JOURNEYS
from .dtypes import float64
from .shaping import stack
from .tensor import Tensor, tensor

__all__ = [
    "collate_leaves", "made_like", "refilled", "default_convert", "pinned", "Pinned", "refuse_contradictions",
    "context_of", "Settled",
]


def collate_leaves(batch: Sequence):
    """A batch of things that have no parts: numbers and arrays become a tensor, words stay as they are."""
    first = batch[0]
    if isinstance(first, (str, bytes)): return batch
    if isinstance(first, np.ndarray) and first.dtype.kind not in "SUO":
        return stack([as_tensor(x) for x in batch])
    if isinstance(first, float): return tensor(batch, dtype=float64)
    if isinstance(first, int): return tensor(batch)
    if isinstance(first, (np.bool_, np.number)): return as_tensor(np.array(batch))
    kind = f"an array of {first.dtype}" if isinstance(first, np.ndarray) else type(first)
    raise TypeError(f"a batch holds tensors, arrays, numbers, words, and tuples, lists or dicts of them, "
                    f"not {kind}: bring your own collate_fn")


def made_like(container, parts):
    """A container of the same kind around these parts, which are a dict or a list."""
    if isinstance(container, tuple) and hasattr(container, "_fields"): return type(container)(*parts)
    if isinstance(container, tuple): return parts
    try:
        if isinstance(container, (MutableMapping, MutableSequence)):
            return refilled(copy.copy(container), parts)
        return type(container)(parts)
    except TypeError: return parts              # it has no copy, or is not made from one argument


def refilled(container, parts):
    if isinstance(parts, dict): container.update(parts)
    else:
        for i, part in enumerate(parts): container[i] = part
    return container


def default_convert(data):
    """Arrays as tensors, in whatever containers they are; all else as it is."""
    if isinstance(data, (Tensor, str, bytes)): return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if np.asarray(data).dtype.kind in "SUO" else as_tensor(data)
    if isinstance(data, Mapping): return made_like(data, {key: default_convert(x) for key, x in data.items()})
    if isinstance(data, Sequence): return made_like(data, [default_convert(x) for x in data])
    return data


def pinned(data):
    """The tensors of a batch in memory that a GPU can read by itself."""
    if isinstance(data, Tensor): return Tensor(JOURNEYS["pinned"](data.array))
    if isinstance(data, (str, bytes)): return data
    if isinstance(data, Mapping): return made_like(data, {key: pinned(x) for key, x in data.items()})
    if isinstance(data, Sequence): return made_like(data, [pinned(x) for x in data])
    return data.pin_memory() if hasattr(data, "pin_memory") else data


class Pinned:
    """Batches of another iterator, pinned."""

    def __init__(self, batches): self.batches = batches
    def __iter__(self): return self
    def __next__(self): return pinned(next(self.batches))
    def __getattr__(self, name: str): return getattr(self.batches, name)


def refuse_contradictions(streams: bool, wishes: Mapping) -> None:
    """Says which of the arguments of a DataLoader contradict each other, if some do."""
    w, workers = wishes, wishes["num_workers"] > 0
    own_batches = w["batch_sampler"] is not None
    for wrong, said in [
        (w["num_workers"] < 0, f"num_workers is {w['num_workers']}, and must be 0 (none) or more"),
        (w["timeout"] < 0, f"timeout is {w['timeout']} seconds, and must be 0 (none) or more"),
        (not workers and w["prefetch_factor"] is not None, "prefetch_factor needs num_workers > 0"),
        (workers and (w["prefetch_factor"] or 2) < 0, "prefetch_factor must be 1 or more"),
        (w["persistent_workers"] and not workers, "persistent_workers needs num_workers > 0"),
        (w["multiprocessing_context"] is not None and not workers,
         "multiprocessing_context needs num_workers > 0"),
        (streams and bool(w["shuffle"]), "a stream has no numbers, so its loader cannot shuffle it"),
        (streams and w["sampler"] is not None, "a stream has no numbers, so it takes no sampler"),
        (streams and own_batches, "a stream has no numbers, so it takes no batch_sampler"),
        (w["sampler"] is not None and bool(w["shuffle"]), "sampler and shuffle both say who comes when"),
        (own_batches and (w["batch_size"] != 1 or w["shuffle"] or w["sampler"] is not None or w["drop_last"]),
         "a batch_sampler says all that batch_size, shuffle, sampler and drop_last could say"),
        (w["batch_size"] is None and w["drop_last"] and not own_batches,
         "batch_size=None makes no batches, so drop_last has nothing to drop"),
    ]:
        if wrong: raise ValueError(said)


def context_of(asked):
    """A way to start processes, by its name or as it is."""
    if not isinstance(asked, str): return asked
    known = multiprocessing.get_all_start_methods()
    if asked not in known: raise ValueError(f"processes start by {', '.join(known)} here, not by {asked!r}")
    return multiprocessing.get_context(asked)


class Settled:
    """Something whose settings stay as they were made: others were derived from them."""

    settled = False

    def __setattr__(self, name: str, value) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self.settled and name in fixed:
            raise ValueError(f"{name} of a DataLoader stays as it is: make a new one, they cost nothing")
        super().__setattr__(name, value)
