# Generated from modules/12_compression/appendix_low_rank.py by `tito export`. Edit that file, not this one.
"""Linear layers as two thin ones, found by the singular value decomposition."""

from __future__ import annotations

from copy import deepcopy

from .compression import replace
from .dense import Linear
from .layers import Module
from .linalg import svd
from .tensor import Tensor

__all__ = ["thin_factors", "rank_for", "LowRankLinear", "with_low_rank"]


def thin_factors(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The two thin matrices whose product is nearest to a weight.  (o, i) -> (o, rank), (rank, i)"""
    u, stretch, v = svd(weight.detach(), full_matrices=False)
    root = stretch[:rank].sqrt()
    return u[:, :rank] * root, root.unsqueeze(1) * v[:rank]


def rank_for(weight: Tensor, share: float) -> int:
    """How many directions hold a share of the squares of a weight."""
    energy = svd(weight.detach(), full_matrices=False)[1] ** 2
    return int((energy.cumsum(0) < share * energy.sum()).sum().item()) + 1


class LowRankLinear(Module):
    """A linear layer with a thin waist.  (*, in) -> (*, out)"""

    def __init__(self, in_features: int, out_features: int, rank: int, bias: bool = True):
        super().__init__()
        self.in_features, self.out_features, self.rank = in_features, out_features, rank
        self.down = Linear(in_features, rank, bias=False)
        self.up = Linear(rank, out_features, bias)

    @classmethod
    def from_float(cls, layer: Module, rank: int):
        """The layer with a waist of so many directions."""
        made = cls(layer.in_features, layer.out_features, rank, layer.bias is not None)
        up, down = thin_factors(layer.weight, rank)
        made.up.weight.data.copy_(up), made.down.weight.data.copy_(down)
        if layer.bias is not None: made.up.bias.data.copy_(layer.bias.detach())
        return made.train(layer.training)

    def forward(self, input: Tensor) -> Tensor: return self.up(self.down(input))

    def extra_repr(self) -> str: return f"rank={self.rank}"


def with_low_rank(model: Module, share: float = 0.95, inplace: bool = False) -> Module:
    """The model, its linear layers thin where that is smaller: as many directions as hold a share."""
    model = model if inplace else deepcopy(model)

    def swap(part: Module) -> Module | None:
        if type(part) is not Linear: return None
        rank, (o, i) = rank_for(part.weight, share), part.weight.shape
        return LowRankLinear.from_float(part, rank) if rank * (o + i) < o * i else None
    return replace(model, swap)
