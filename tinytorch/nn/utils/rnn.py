# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.utils.rnn: what the lessons define under PyTorch's name for it."""

from ...packing import (
    PackedSequence, pack_padded_sequence, pad_packed_sequence, pad_sequence, pack_sequence, unpad_sequence,
    unpack_sequence, invert_permutation,
)

__all__ = [
    "PackedSequence", "pack_padded_sequence", "pad_packed_sequence", "pad_sequence", "pack_sequence",
    "unpad_sequence", "unpack_sequence", "invert_permutation",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
