# Generated from modules/12_compression/appendix_straight_through.py by `tito export`. Edit that file, not this one.
"""Grids that a network feels while it learns: quantisation-aware training."""

from __future__ import annotations

import numpy as np

from .compression import facing, remove_hook
from .layers import Module
from .observers import MovingAverageMinMaxObserver, with_args
from .parametrize import register_parametrization, remove_parametrizations
from .receipts import gradient
from .tensor import Tensor, floating, tensor

__all__ = [
    "fake_quantize_affine", "fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine",
    "check_ends", "FakeQuantize", "enable_observer", "disable_observer", "enable_fake_quant",
    "disable_fake_quant", "pretend", "fake_inputs", "stop_pretending",
]


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
