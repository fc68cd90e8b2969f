# %% [markdown]
# # Appendix: a thin waist
#
# A weight of 512 x 512 turns 512 numbers into 512 others, but perhaps it listens to 40 directions only. Then
# it is nearly a product of two thin matrices, 512 x 40 and 40 x 512, a sixth of the numbers and of the work.
# The **singular value decomposition** finds the best such product (Eckart and Young, 1936): it sorts the
# directions by how much they are stretched, and the first r of them are kept.

# %%
#| export
"""Linear layers as two thin ones, found by the singular value decomposition."""

# %%
#| export
from __future__ import annotations

from copy import deepcopy

from tinytorch.compression import replace
from tinytorch.dense import Linear
from tinytorch.layers import Module
from tinytorch.linalg import svd
from tinytorch.tensor import Tensor

# %%
#| export
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

# %%
from tinytorch.compression import bytes_on_disk
from tinytorch.randomness import manual_seed, randn

manual_seed(0)
layer = Linear(256, 256)
layer.weight.data.copy_(randn(256, 10) @ randn(10, 256) / 30 + 0.02 * randn(256, 256))
for share in (0.9, 0.95, 0.99):
    thin = with_low_rank(layer, share)
    rank = rank_for(layer.weight, share)
    print(f"{share}: rank {rank}, {bytes_on_disk(thin)} bytes of {bytes_on_disk(layer)}")
