# Generated from modules/07_attention/appendix_packing.py by `tito export`. Edit that file, not this one.
"""Sequences of different lengths in one tensor: padded, or packed by time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .creation import as_tensor
from .devices import beside, brought_home
from .errors import shape_of
from .indexing import index_select
from .shaping import cat
from .tensor import METHODS, Tensor, permute, reshape, tensor, transpose

__all__ = [
    "Packed", "PackedSequence", "invert_permutation", "sizes_of", "pack_padded_sequence", "check_lengths",
    "pad_packed_sequence", "pad_sequence", "pack_sequence", "unpad_sequence", "unpack_sequence",
]


class Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(Packed):
    """The words of all sequences, by time; how many there are at each step, and how to unsort them."""

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if unsorted_indices is None: unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None: data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs) -> PackedSequence:
        """The same elsewhere, or in another dtype."""
        data = self.data.to(*args, **kwargs)
        if data is self.data: return self
        kinds = {name: value for name, value in kwargs.items() if name != "dtype"}
        return type(self)(data, self.batch_sizes, *[x if x is None else x.to(data.device, **kinds)
                                                    for x in self[2:]])

    def cpu(self): return self.to("cpu")
    def cuda(self, *args, **kwargs): return self.to("cuda", *args, **kwargs)
    def double(self): return self.to(dtype=np.float64)
    def float(self): return self.to(dtype=np.float32)
    def half(self): return self.to(dtype=np.float16)

    @property
    def is_cuda(self) -> bool: return str(self.data.device).startswith("cuda")
    def is_pinned(self) -> bool: return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The order that undoes an order.  (n) -> (n)"""
    return None if permutation is None else Tensor(np.argsort(permutation.array))


def sizes_of(lengths) -> np.ndarray:
    """How many sequences are left at each step, of lengths sorted from the longest.  (B) -> (T)"""
    return (np.arange(lengths[0])[:, None] < lengths).sum(1)


def pack_padded_sequence(
    input, lengths, batch_first: bool = False, enforce_sorted: bool = True,
) -> PackedSequence:
    """The words of padded sequences in one line, by time.  (T, B, *), (B) -> (sum of lengths, *)"""
    lengths = as_tensor(lengths, device="cpu").array
    if batch_first: input = transpose(input, 0, 1)
    T, B = input.shape[:2]
    if len(lengths) != B:
        raise RuntimeError(f"pack_padded_sequence wants {B} lengths, one a sequence, not {len(lengths)}")
    order = None
    if not enforce_sorted:
        order = np.argsort(-lengths, kind="stable")
        lengths, order = lengths[order], Tensor(beside(order, input.array))
        input = index_select(input, 1, order)
    check_lengths(lengths, T)
    there = np.arange(T)[:, None] < lengths
    line = reshape(input, (T * B, *input.shape[2:]))
    data = index_select(line, 0, Tensor(beside(np.flatnonzero(there), line.array)))
    return PackedSequence(data, Tensor(sizes_of(lengths)), order)


def check_lengths(lengths, longest: int) -> None:
    """Complains about lengths that a batch of that many steps cannot have."""
    if len(lengths) and lengths.min() <= 0:
        raise RuntimeError(f"every sequence has at least one step, and one length is {lengths.min()}")
    if (np.diff(lengths) > 0).any():
        raise RuntimeError(f"lengths {lengths.tolist()} do not fall: sort them, or say enforce_sorted=False")
    if lengths[0] > longest:
        raise RuntimeError(f"a length of {lengths[0]} does not fit into {longest} steps")


def pad_packed_sequence(
    sequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Packed sequences in a box again, and their lengths.  (sum of lengths, *) -> (T, B, *), (B)"""
    data, sizes = sequence.data, sequence.batch_sizes.array
    T, B = len(sizes), int(sizes[0])
    if total_length is not None:
        if total_length < T: raise ValueError(f"{T} steps do not fit into a total_length of {total_length}")
        T = total_length
    padding = METHODS["new_full"](data, (1, *data.shape[1:]), padding_value)
    place = np.full((T, B), len(data))
    there = np.arange(B) < sizes[:, None]
    place[: len(sizes)][there] = np.arange(len(data))
    lengths = there.sum(0)
    if sequence.unsorted_indices is not None:
        back = brought_home(sequence.unsorted_indices.array)
        place, lengths = place[:, back], lengths[back]
    if batch_first: place = place.T
    box = index_select(cat([data, padding]), 0, Tensor(beside(place.reshape(-1), data.array)))
    return reshape(box, (*place.shape, *data.shape[1:])), Tensor(lengths)


def pad_sequence(
    sequences, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right",
) -> Tensor:
    """Sequences side by side, the short ones padded.  [(T_i, *)] -> (T, B, *)"""
    if padding_side not in ("right", "left"):
        raise RuntimeError(f"padding_side is 'right' or 'left', not {padding_side!r}")
    sequences = list(sequences)
    if not sequences: raise RuntimeError("pad_sequence wants at least one sequence")
    rest = sequences[0].shape[1:]
    for x in sequences:
        if x.shape[1:] != rest:
            raise RuntimeError(f"pad_sequence cannot put {shape_of(x)} beside {shape_of(sequences[0])}: "
                               "only the first dimension may differ")
    longest = max([len(x) for x in sequences])
    def padded(x):
        if len(x) == longest: return x
        padding = METHODS["new_full"](x, (longest - len(x), *rest), padding_value)
        return cat([x, padding] if padding_side == "right" else [padding, x])
    out = METHODS["stack"]([padded(x) for x in sequences], 0)
    return out if batch_first else permute(out, (1, 0, *range(2, out.ndim)))


def pack_sequence(sequences, enforce_sorted: bool = True) -> PackedSequence:
    """Sequences in one line, by time.  [(T_i, *)] -> (sum of T_i, *)"""
    return pack_padded_sequence(pad_sequence(sequences), tensor([len(x) for x in sequences]),
                                enforce_sorted=enforce_sorted)


def unpad_sequence(padded_sequences, lengths, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a box without their padding.  (T, B, *), (B) -> [(T_i, *)]"""
    if not batch_first: padded_sequences = transpose(padded_sequences, 0, 1)
    return [padded_sequences[i][: int(length)] for i, length in enumerate(lengths)]


def unpack_sequence(packed_sequences) -> list[Tensor]:
    """The sequences of a line by time.  (sum of T_i, *) -> [(T_i, *)]"""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)
