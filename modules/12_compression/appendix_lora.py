# %% [markdown]
# # Appendix: a small change to a large network
#
# A trained network shall learn something new. All of its weights would have to be kept, changed, and stored
# once for each new task. But what *changes* is simple, said Edward Hu and others (2021), even where what is
# there is not: a change of low rank is enough. So the weight stands still, beside it two thin matrices learn,
# and the layer computes $x W^T + \frac{\alpha}{r} (x A^T) B^T$. B begins with zeros: at first nothing has
# changed. For a language model the file of a task is a thousand times smaller than the model.

# %%
#| export
"""LoRA: large networks that learn small changes."""

# %%
#| export
from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy

from tinytorch.compression import replace
from tinytorch.creation import empty, zeros
from tinytorch.dense import Dropout, Linear
from tinytorch.initialisation import kaiming_uniform_
from tinytorch.layers import Module, Parameter
from tinytorch.tensor import Tensor

# %%
#| export
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

# %% [markdown]
# A network that has learned the digits 0 to 4 is taught 5 to 9, of which it knows nothing. What moves, and
# what has to be stored?

# %%
from tinytorch import nn
from tinytorch.datasets import Digits
from tinytorch.optimizers import Adam
from tinytorch.randomness import manual_seed
from tinytorch.safetensors import save
from tinytorch.training import Accuracy, Trainer, evaluate
from tinytorch.utils.data import DataLoader, TensorDataset

def five(train, first):
    digits = Digits(train)
    some = (digits.targets >= first) & (digits.targets < first + 5)
    return TensorDataset(digits.data[some].float().reshape(-1, 64) / 255, digits.targets[some] - first)

def fit(model, first, epochs):
    learns = [p for p in model.parameters() if p.requires_grad]
    Trainer(model, Adam(learns, lr=3e-3), DataLoader(five(True, first), 32, shuffle=True)).fit(epochs)
    score = evaluate(model, DataLoader(five(False, first), 512), accuracy=Accuracy())["accuracy"]
    return f"{sum([p.numel() for p in learns])} numbers learned, {100 * score:.1f} % right"

manual_seed(0)
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 5))
print("0 to 4:", fit(model, 0, 6))
changed = add_lora(model, r=4)
print("5 to 9:", fit(changed, 5, 6))
len(save(lora_state_dict(changed))), len(save(model.state_dict()))      # bytes
