# Generated from modules/12_compression/appendix_patterns.py by `tito export`. Edit that file, not this one.
"""Zeros in patterns, n of every m, whole rows that really go; and pruning little by little."""

from __future__ import annotations

import numpy as np

from .compression import Reapplied, hooks_on, magnitude_mask, masked, put_mask
from .dense import Linear
from .layers import Module
from .pruning import BasePruningMethod
from .receipts import no_gradient
from .tensor import Op, Tensor
from .training import Callback

__all__ = ["n_m_mask", "NMStructured", "n_m_structured", "pack_2_4", "unpack_2_4", "shrink", "GradualPruning"]


def n_m_mask(x: Tensor, n: int = 2, m: int = 4) -> Tensor:
    """A mask that leaves the n largest of every m neighbours.  (*, k m) -> (*, k m)"""
    if not 0 < n <= m or x.shape[-1] % m:
        raise ValueError(f"{x.shape[-1]} weights in a row do not come in runs of {m} with {n} of them left")
    sizes = x.detach().abs().reshape(-1, m)
    ranks = sizes.argsort(1).argsort(1)
    return (ranks >= m - n).to(x.dtype).reshape(x.shape)


class NMStructured(BasePruningMethod):
    """Leaves n of every m neighbours in a row."""

    PRUNING_TYPE = "global"

    def __init__(self, n: int = 2, m: int = 4): self.n, self.m = n, m
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask * n_m_mask(t * default_mask, self.n, self.m)


def n_m_structured(module: Module, name: str, n: int = 2, m: int = 4) -> Module:
    """Leaves n of every m neighbours of a parameter, and hangs the mask on the module."""
    NMStructured.apply(module, name, n, m)
    return module


@Op
def pack_2_4(input, /):
    """The two of every four that are left, and a byte for the places of each two runs.

    (r, 8 k) -> (r, 4 k), (r, k)
    """
    runs = input.reshape(len(input), -1, 4)
    if runs.shape[1] % 2: raise RuntimeError(f"{input.shape[1]} in a row are no pairs of runs of four")
    if ((runs != 0).sum(-1) > 2).any(): raise RuntimeError("more than two of four are left")
    places = np.sort(np.argsort(runs == 0, axis=-1, kind="stable")[..., :2], axis=-1)
    bits = (places[..., 0] | places[..., 1] << 2).astype(np.uint8)
    kept = np.take_along_axis(runs, places, -1).reshape(len(input), -1)
    return kept, bits[:, ::2] | bits[:, 1::2] << 4


@Op
def unpack_2_4(kept, bits, /):
    """The weight with its zeros.  (r, 4 k), (r, k) -> (r, 8 k)"""
    both = np.stack([bits & 15, bits >> 4], -1).reshape(len(bits), -1)
    places = np.stack([both & 3, both >> 2], -1).astype(np.int64)
    out = np.zeros_like(kept, shape=(*both.shape, 4))
    np.put_along_axis(out, places, kept.reshape(*both.shape, 2), -1)
    return out.reshape(len(kept), -1)


no_gradient(pack_2_4, unpack_2_4)


def shrink(layer: Linear, following: Linear, between=None) -> tuple[Linear, Linear]:
    """Two layers without the outputs of the first whose weights are all zero.

    `between` is what stands between the two: outputs that are always the same go into the next bias.
    """
    stays = (layer.weight.detach() != 0).any(1)
    kept, gone = stays.nonzero().reshape(-1), stays.logical_not().nonzero().reshape(-1)
    biased = layer.bias is not None
    first = Linear(layer.in_features, len(kept), biased)
    last = Linear(len(kept), following.out_features, biased or following.bias is not None)
    first.weight.data.copy_(layer.weight.detach()[kept])
    last.weight.data.copy_(following.weight.detach()[:, kept])
    if last.bias is not None: last.bias.data.zero_()
    if following.bias is not None: last.bias.data.copy_(following.bias.detach())
    if biased:
        first.bias.data.copy_(layer.bias.detach()[kept])
        always = layer.bias.detach()[gone]
        if between is not None: always = between(always)
        last.bias.data.add_(following.weight.detach()[:, gone] @ always)
    return first.train(layer.training), last.train(following.training)


class GradualPruning(Callback):
    """Prunes the linear layers of a run more and more, from `begin` to `end` steps, up to a share."""

    def __init__(self, share: float, end: int, begin: int = 0, every: int = 20, name: str = "weight"):
        self.share, self.begin, self.end, self.every, self.name = share, begin, end, every, name

    def share_at(self, step: int) -> float:
        """The share that is gone after a step."""
        done = min(max((step - self.begin) / max(self.end - self.begin, 1), 0), 1)
        return self.share * (1 - (1 - done) ** 3)

    def on_step(self, trainer) -> None:
        now = trainer.step % self.every == 0 or trainer.step == self.end
        if not now or not self.begin <= trainer.step <= self.end: return
        for part in trainer.model.modules():
            if type(part) is Linear: self.prune(part, self.share_at(trainer.step))

    def prune(self, layer: Module, share: float) -> None:
        if not any([isinstance(hook, Reapplied) for hook in hooks_on(layer)]):
            put_mask(layer, self.name, layer.weight.detach().new_ones(layer.weight.shape))
        mask = getattr(layer, self.name + "_mask")
        more = round(share * mask.numel()) - int(mask.numel() - mask.sum().item())
        if more <= 0: return
        layer._buffers[self.name + "_mask"] = magnitude_mask(masked(layer, self.name), more, mask)
