# Generated from modules/12_compression/appendix_lora.py by `tito export`. Edit that file, not this one.
"""LoRA: large networks that learn small changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy

from .compression import replace
from .creation import empty, zeros
from .dense import Dropout, Linear
from .initialisation import kaiming_uniform_
from .layers import Module, Parameter
from .tensor import Tensor

__all__ = ["LoRALinear", "add_lora", "merge_lora", "lora_state_dict"]


class LoRALinear(Module):
    """A linear layer that stands still, and a change of low rank that learns.  (*, in) -> (*, out)"""

    def __init__(self, base: Linear, r: int = 8, lora_alpha: float = 16, lora_dropout: float = 0.0):
        super().__init__()
        if r < 1: raise ValueError(f"r={r}: a change has a rank of at least 1")
        self.base_layer, self.r, self.scaling = base.requires_grad_(False), r, lora_alpha / r
        new = {"device": base.weight.device, "dtype": base.weight.dtype}
        self.lora_A = Parameter(empty(r, base.in_features, **new))
        self.lora_B = Parameter(zeros(base.out_features, r, **new))
        kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.dropout = Dropout(lora_dropout)

    def forward(self, input: Tensor) -> Tensor:
        change = (self.dropout(input) @ self.lora_A.mT) @ self.lora_B.mT
        return self.base_layer(input) + change * self.scaling

    def merged(self) -> Linear:
        """One linear layer with the change added to its weight."""
        layer = self.base_layer
        layer.weight.data.add_(self.scaling * (self.lora_B.data @ self.lora_A.data))
        return layer.requires_grad_(True)

    def extra_repr(self) -> str: return f"r={self.r}, scaling={self.scaling:g}"


def add_lora(
    model: Module, r: int = 8, lora_alpha: float = 16, lora_dropout: float = 0.0,
    target: Callable = lambda path: True,       # which linear layers, by their paths
    inplace: bool = False,
) -> Module:
    """The model, standing still, with changes that learn beside its linear layers."""
    model = model if inplace else deepcopy(model)
    model.requires_grad_(False)
    paths = {part: path for path, part in model.named_modules()}

    def swap(part: Module) -> Module | None:
        if type(part) is not Linear or not target(paths[part]): return None
        return LoRALinear(part, r, lora_alpha, lora_dropout).train(part.training)
    return replace(model, swap)


def merge_lora(model: Module, inplace: bool = False) -> Module:
    """The model with all changes added to its weights: as fast as before, and as large."""
    model = model if inplace else deepcopy(model)
    return replace(model, lambda part: part.merged() if isinstance(part, LoRALinear) else None)


def lora_state_dict(model: Module) -> dict[str, Tensor]:
    """The changes alone: what is stored for a task. `load_state_dict(…, strict=False)` takes them back."""
    return {path: x for path, x in model.state_dict().items() if path.rpartition(".")[2].startswith("lora_")}
