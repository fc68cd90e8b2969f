# %% [markdown]
# # Appendix: learning to live on a grid
#
# At 8 bits nobody notices the grid. At 4 or 3 a network does, and it could do something about it: move its
# weights to where rounding hurts least. For that it must feel the grid while it learns, so every forward
# sends the weights there and back, in floats: it **pretends**. And the gradient? A staircase is flat
# everywhere but at its jumps; the true gradient is 0, and nothing would ever move.
#
# The **straight-through estimator** (Hinton in a lecture of 2012; Bengio and others, 2013) is a lie that
# works: let the gradient pass as if there were no staircase, and stop it only where a number was clipped.

# %%
#| export
"""Grids that a network feels while it learns: quantisation-aware training."""

# %%
#| export
from __future__ import annotations

import numpy as np

from tinytorch.compression import facing, remove_hook
from tinytorch.layers import Module
from tinytorch.observers import MovingAverageMinMaxObserver, with_args
from tinytorch.parametrize import register_parametrization, remove_parametrizations
from tinytorch.receipts import gradient
from tinytorch.tensor import Tensor, floating, tensor

# %%
#| export
@floating
def fake_quantize_affine(input, scale, zero_point, /, axis=None, quant_min=-128, quant_max=127):
    """What is left of numbers that went onto a grid and came back, in one go.  (*) -> (*)"""
    scale, zero_point = facing(scale, input.ndim, axis), facing(zero_point, input.ndim, axis)
    places = (np.rint(input * (1 / scale)) + zero_point).clip(quant_min, quant_max)
    return (places - zero_point) * scale


@gradient(fake_quantize_affine)
def _(g, _out, x, scale, zero_point, axis, quant_min, quant_max):
    scale, zero_point = facing(scale, x.ndim, axis), facing(zero_point, x.ndim, axis)
    places = np.rint(x * (1 / scale)) + zero_point
    return g * ((places >= quant_min) & (places <= quant_max)), None, None


def fake_quantize_per_tensor_affine(
    input: Tensor, scale, zero_point, quant_min: int, quant_max: int,
) -> Tensor:
    """Numbers there and back on one grid; gradients go straight through, but not where it clips."""
    check_ends(quant_min, quant_max, zero_point)
    return fake_quantize_affine(input, scale, zero_point, None, quant_min, quant_max)


def fake_quantize_per_channel_affine(
    input: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int,
) -> Tensor:
    """The same with a grid for each channel."""
    check_ends(quant_min, quant_max, zero_point)
    return fake_quantize_affine(input, scale, zero_point, axis, quant_min, quant_max)


def check_ends(quant_min: int, quant_max: int, zero_point) -> None:
    if quant_min > quant_max: raise RuntimeError(f"a grid from {quant_min} to {quant_max} has no places")
    zeros = zero_point.array if isinstance(zero_point, Tensor) else np.asarray(zero_point)
    if zeros.size and not quant_min <= zeros.min() <= zeros.max() <= quant_max:
        raise RuntimeError(f"a zero point lies from {quant_min} to {quant_max}, not at {zeros}")

# %% [markdown]
# ## An observer that pretends
#
# PyTorch's `FakeQuantize` watches, and sends what it saw there and back. Both can be switched off: towards
# the end of a training the grids should stand still (`model.apply(disable_observer)`).

# %%
#| export
class FakeQuantize(Module):
    """Watches numbers, and sends them to the grid they seem to need, and back."""

    def __init__(
        self, observer=MovingAverageMinMaxObserver, quant_min=None, quant_max=None, **observer_kwargs,
    ):
        super().__init__()
        self.activation_post_process = observer(quant_min=quant_min, quant_max=quant_max, **observer_kwargs)
        self.register_buffer("scale", tensor(1.0))
        self.register_buffer("zero_point", tensor(0).int())
        self.observer_enabled = self.fake_quant_enabled = True

    quant_min = property(lambda self: self.activation_post_process.quant_min)
    quant_max = property(lambda self: self.activation_post_process.quant_max)
    axis = property(lambda self: self.activation_post_process.axis)

    @classmethod
    def with_args(cls, **settings) -> with_args: return with_args(cls, **settings)

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        return self.activation_post_process.calculate_qparams()

    def forward(self, x: Tensor) -> Tensor:
        if self.observer_enabled:
            self.activation_post_process(x.detach())
            self.scale, self.zero_point = self.calculate_qparams()
        if not self.fake_quant_enabled: return x
        return fake_quantize_affine(x, self.scale, self.zero_point, self.axis, self.quant_min,
                                    self.quant_max)

    def extra_repr(self) -> str:
        return (f"fake_quant_enabled={self.fake_quant_enabled}, observer_enabled={self.observer_enabled}, "
                f"quant_min={self.quant_min}, quant_max={self.quant_max}")


def enable_observer(mod: Module) -> None:
    """Lets a FakeQuantize watch; for `model.apply`."""
    if isinstance(mod, FakeQuantize): mod.observer_enabled = True


def disable_observer(mod: Module) -> None:
    """Keeps the grid of a FakeQuantize where it is."""
    if isinstance(mod, FakeQuantize): mod.observer_enabled = False


def enable_fake_quant(mod: Module) -> None:
    """Lets a FakeQuantize pretend."""
    if isinstance(mod, FakeQuantize): mod.fake_quant_enabled = True


def disable_fake_quant(mod: Module) -> None:
    """Lets numbers pass as they are."""
    if isinstance(mod, FakeQuantize): mod.fake_quant_enabled = False

# %% [markdown]
# ## A layer that pretends
#
# Lesson 04 has a name for a weight that is computed from another one whenever it is asked for: a
# parametrization. Here it computes the weight as it will be on its grid. What is stored, and what an
# optimizer moves, is the same parameter as before. The inputs pass a `FakeQuantize` on their way in.

# %%
#| export
def pretend(layer: Module, inputs: Module, weight: Module) -> Module:
    """Lets a layer feel the grids of its inputs and of its weight; the layer itself is returned."""
    register_parametrization(layer, "weight", weight, unsafe=True)
    layer.input_fake_quant = inputs
    layer.register_forward_pre_hook(fake_inputs)
    return layer


def fake_inputs(layer: Module, inputs: tuple) -> tuple:
    return (layer.input_fake_quant(inputs[0]), *inputs[1:])


def stop_pretending(layer: Module) -> tuple[FakeQuantize, FakeQuantize]:
    """Makes a layer plain again, and returns what knew the grids of its inputs and of its weight."""
    inputs, weight = layer.input_fake_quant, layer.parametrizations.weight[0]
    remove_parametrizations(layer, "weight", leave_parametrized=False)
    remove_hook(layer, fake_inputs)
    del layer.input_fake_quant
    return inputs, weight

# %% [markdown]
# What is it worth? A network that reads digits, with weights of two bits: -2, -1, 0 and 1 times a scale for
# each output. First it is rounded; then it learns on, and feels what it will be.

# %%
from tinytorch import nn
from tinytorch.datasets import Digits
from tinytorch.observers import MovingAveragePerChannelMinMaxObserver
from tinytorch.optimizers import Adam
from tinytorch.quantized_tensors import per_channel_symmetric, qint8
from tinytorch.randomness import manual_seed
from tinytorch.training import Accuracy, Trainer, evaluate
from tinytorch.utils.data import DataLoader, TensorDataset

def examples(train):
    digits = Digits(train)
    return TensorDataset(digits.data.float().reshape(-1, 64) / 255, digits.targets)

familiar, unseen = examples(True), DataLoader(examples(False), 512)

def fit(model, epochs):
    Trainer(model, Adam(model.parameters(), lr=2e-3), DataLoader(familiar, 32, shuffle=True)).fit(epochs)
    return f"{100 * evaluate(model, unseen, accuracy=Accuracy())['accuracy']:.1f} % right"

manual_seed(0)
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
print("float32:", fit(model, 14))

two_bits = {"observer": MovingAveragePerChannelMinMaxObserver, "averaging_constant": 1.0, "dtype": qint8,
            "qscheme": per_channel_symmetric, "quant_min": -2, "quant_max": 1}
for layer in model[::2]: pretend(layer, FakeQuantize(), FakeQuantize(**two_bits))
for epochs in (0, 6): print(f"two bits, {epochs} epochs:", fit(model, epochs))
