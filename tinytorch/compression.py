# Generated from modules/12_compression/compression.py by `tito export`. Edit that file, not this one.
"""Networks in fewer bytes: coarser numbers, fewer numbers, and small networks taught by large ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from .activations import log_softmax
from .creation import full, ones_like
from .dense import Linear
from .dtypes import int32
from .elementwise import maximum, minimum, where
from .hooks import asked
from .layers import Module
from .losses import cross_entropy, kl_div
from .modes import no_grad
from .receipts import no_gradient
from .reductions import quantile
from .safetensors import save_file
from .tensor import Op, Tensor, floating, tensor

__all__ = [
    "bytes_on_disk", "SMALLEST", "choose_qparams", "channels", "facing", "quantize_affine",
    "dequantize_affine", "storage", "extremes", "round_trip", "percentiles", "least_error", "EXACT",
    "int8_matmul", "too_much", "in_floats", "Quantized", "QuantizedLinear", "replace", "Observer", "widened",
    "calibrated", "magnitude_mask", "Reapplied", "masked", "put_mask", "take_off_mask", "hooks_on",
    "remove_hook", "distillation_loss",
]


def bytes_on_disk(module: Module) -> int:
    """How many bytes the state of a module takes as a safetensors file: one is written, and measured."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        save_file(module.state_dict(), file)
        return file.stat().st_size


SMALLEST = float(np.finfo(np.float32).eps)      # no scale is smaller: a range without width has one, too


@floating
def choose_qparams(low, high, /, quant_min=-128, quant_max=127, symmetric=False):
    """The scale and the zero point of a grid from low to high that has 0 in one of its places."""
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    if symmetric:
        scale = np.maximum(np.maximum(-low, high) / ((quant_max - quant_min) / 2), SMALLEST)
        zero_point = 0 * scale + (quant_min + quant_max + 1) // 2
    else:
        scale = np.maximum((high - low) / (quant_max - quant_min), SMALLEST)
        zero_point = (quant_min - np.rint(low / scale)).clip(quant_min, quant_max)
    return scale, zero_point.astype(np.int32)


def channels(x: Tensor, axis: int | None = None) -> Tensor:
    """One row of numbers for each channel, or one line for all.  (*, C, *) -> (C, n), or (*) -> (n)"""
    return x.reshape(-1) if axis is None else x.movedim(axis, 0).reshape(x.shape[axis], -1)


def facing(values, ndim: int, axis: int | None):
    """One number for each channel, shaped to meet something of `ndim` dimensions.  (C) -> (1, C, 1)"""
    if axis is None: return values
    shape = [1] * ndim
    shape[axis] = -1
    return values.reshape(tuple(shape))


@floating
def quantize_affine(input, scale, zero_point, /, axis=None, quant_min=-128, quant_max=127):
    """The place of each number on a grid, or, with an axis, on the grid of its channel.  (*) -> (*)"""
    scale, zero_point = facing(scale, input.ndim, axis), facing(zero_point, input.ndim, axis)
    places = (np.rint(input * (1 / scale)) + zero_point).clip(quant_min, quant_max)
    return places.astype(storage(quant_min, quant_max))


@floating
def dequantize_affine(input, scale, zero_point, /, axis=None):
    """The numbers that places on a grid stand for.  (*) -> (*)"""
    scale, zero_point = facing(scale, input.ndim, axis), facing(zero_point, input.ndim, axis)
    return (input - zero_point) * scale



@cache
def storage(quant_min: int, quant_max: int):
    """The smallest kind of whole number that holds every place of a grid."""
    kinds = [np.iinfo(kind) for kind in (np.int8, np.uint8, np.int16, np.int32)]
    return next(kind.dtype for kind in kinds if kind.min <= quant_min <= quant_max <= kind.max)


no_gradient(choose_qparams, quantize_affine, dequantize_affine)     # a staircase is flat, or it jumps


def extremes(x: Tensor, axis: int | None = None) -> tuple[Tensor, Tensor]:
    """The smallest and the largest number, of all or of each channel."""
    rows = channels(x, axis)
    return rows.amin(-1), rows.amax(-1)


def round_trip(x: Tensor, scale, zero_point, axis=None, quant_min=-128, quant_max=127) -> Tensor:
    """What is left of numbers that went onto a grid and came back.  (*) -> (*)"""
    places = quantize_affine(x, scale, zero_point, axis, quant_min, quant_max)
    return dequantize_affine(places, scale, zero_point, axis)


def percentiles(x: Tensor, axis: int | None = None, share: float = 0.999) -> tuple[Tensor, Tensor]:
    """The range that a share of the numbers lies in, of all or of each channel."""
    rows, outside = channels(x, axis), (1 - share) / 2
    return quantile(rows, outside, -1), quantile(rows, 1 - outside, -1)


def least_error(
    x: Tensor, axis: int | None = None, quant_min: int = -128, quant_max: int = 127,
    symmetric: bool = False, tries: int = 50,
) -> tuple[Tensor, Tensor]:
    """Of the whole range and smaller ones, the range whose grid is nearest to the numbers."""
    rows, places = channels(x, axis), (quant_min, quant_max)
    low, high = rows.amin(-1), rows.amax(-1)
    best_low, best_high, least = low, high, full(low.shape, math.inf)
    for n in range(tries):
        part = 1 - n / tries                        # of the whole range: 1, 0.98, 0.96 …
        grid = choose_qparams(low * part, high * part, *places, symmetric)
        off = round_trip(rows, *grid, None if axis is None else 0, *places) - rows
        error = (off * off).mean(-1)
        better = error < least
        best_low, best_high = where(better, low * part, best_low), where(better, high * part, best_high)
        least = minimum(error, least)
    return best_low, best_high


EXACT = 2**24 // 128**2             # so many products of two bytes add up exactly in a float32


@Op
def int8_matmul(input, weight, /):
    """Each row with each row of the weight: bytes, multiplied and added up exactly in int32.

    (M, K), (N, K) -> (M, N)
    """
    if input.dtype != np.int8 or weight.dtype != np.int8:
        raise RuntimeError(f"int8_matmul multiplies int8 with int8, not {input.dtype} with {weight.dtype}")
    total = 0
    for start in range(0, max(input.shape[1], 1), EXACT):
        some = slice(start, start + EXACT)
        piece = input[:, some].astype(np.float32) @ weight[:, some].astype(np.float32).T
        total = total + piece.astype(np.int32)
    return total


no_gradient(int8_matmul)


def too_much(row_sums, weight_sums, row_zero, weight_zero, terms: int):
    """By how much products of places are too large because 0 does not stand at 0.

    sums (M, 1) and (N), zero points () and () or (N) -> what broadcasts to (M, N)
    """
    return row_zero * weight_sums + weight_zero * row_sums - terms * (row_zero * weight_zero)


@Op
def in_floats(products, row_sums, weight_sums, row_zero, weight_zero, scale, weight_scale, bias, /, terms):
    """What products of places stand for.  (M, N) -> (M, N)"""
    steps = products - too_much(row_sums, weight_sums, row_zero, weight_zero, terms)
    out = steps.astype(weight_scale.dtype) * (scale * weight_scale)
    if bias is not None: out += bias
    return out


no_gradient(in_floats)


class Quantized(Module):
    """What layers with a weight of bytes have in common: the weight, its grids, and the grid of inputs."""

    settings = ()                   # what a layer of a kind takes over from the one it stands for

    def __init__(self, weight: Tensor, bias: Tensor | None, grid: tuple, axis: int | None, inputs=None):
        super().__init__()
        self.axis = axis
        scale, zero_point = grid
        self.register_buffer("weight", quantize_affine(weight.detach(), scale, zero_point, axis))
        self.register_buffer("weight_scale", scale)
        self.register_buffer("weight_zero_point", zero_point if zero_point.any() else None)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())
        input_scale, input_zero_point = inputs or (None, None)
        self.register_buffer("input_scale", input_scale)
        self.register_buffer("input_zero_point", input_zero_point)
        self.known = None, 0, None

    @classmethod
    def from_float(cls, layer: Module, axis: int | None = None, inputs=None, grid: tuple | None = None):
        """The layer with a weight of bytes.

        `axis=0`: a grid for each output; `inputs`: the grid of its inputs, if that is known; `grid`: that of
        the weight, if it is to be another than the symmetric one that holds it.
        """
        grid = grid or choose_qparams(*extremes(layer.weight.detach(), axis), symmetric=True)
        made = cls(layer.weight, layer.bias, grid, axis, inputs)
        for name in cls.settings: setattr(made, name, getattr(layer, name))
        return made.train(layer.training)

    def grid_for(self, input: Tensor) -> tuple[Tensor, Tensor]:
        """The grid that inputs go onto: the one that is known, or one that holds just these."""
        if self.input_scale is not None: return self.input_scale, self.input_zero_point
        return choose_qparams(*extremes(input.detach() if input.numel() else self.weight_scale))

    def sums(self) -> Tensor:
        """The sum of the places of each output; it is found once.  (N)"""
        of, version, sums = self.known
        if of is not self.weight or version != self.weight._version:
            sums = channels(self.weight, 0).sum(1, dtype=int32)
            self.known = self.weight, self.weight._version, sums
        return sums

    def products(self, rows: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        """Rows of places times the weight, in floats.  (M, K) -> (M, N)"""
        weight, weight_zero, row_sums = self.weight, self.weight_zero_point, 0
        if weight_zero is None: weight_zero = 0
        else: row_sums = rows.sum(1, keepdim=True, dtype=int32)
        if weight.ndim > 2: weight = weight.reshape(weight.shape[0], -1)
        return in_floats(int8_matmul(rows, weight), row_sums, self.sums(), zero_point, weight_zero, scale,
                         self.weight_scale, self.bias, terms=weight.shape[1])

    def extra_repr(self) -> str:
        told = [f"{name}={getattr(self, name)}" for name in (*self.settings, "axis")]
        return ", ".join([*told, "dynamic" if self.input_scale is None else "static"])


class QuantizedLinear(Quantized):
    """A linear layer whose weight is bytes, and whose sums are whole numbers.  (*, in) -> (*, out)"""

    settings = ("in_features", "out_features")

    def forward(self, input: Tensor) -> Tensor:
        grid = self.grid_for(input)
        places = quantize_affine(input, *grid)
        if input.ndim == 2: return self.products(places, *grid)
        out = self.products(places.reshape(-1, self.in_features), *grid)
        return out.reshape(*input.shape[:-1], self.out_features)


def replace(model: Module, swap: Callable, made: dict | None = None) -> Module:
    """The model, with each part that `swap` has something better for replaced by it."""
    made = {} if made is None else made         # what has become of the parts that were visited
    if model in made: return made[model]
    better = swap(model)
    made[model] = model if better is None else better
    if better is None:
        for name, part in model._modules.items():
            if part is not None: model._modules[name] = replace(part, swap, made)
    return made[model]


class Observer(Module):
    """Looks at numbers that go by, and knows how far they reach; they go on as they came."""

    def __init__(self, axis: int | None = None, quant_min=-128, quant_max=127, symmetric: bool = False):
        super().__init__()
        self.axis, self.quant_min, self.quant_max, self.symmetric = axis, quant_min, quant_max, symmetric
        self.register_buffer("min_val", tensor(math.inf))
        self.register_buffer("max_val", tensor(-math.inf))

    def forward(self, x: Tensor) -> Tensor:
        if x.numel(): self.min_val, self.max_val = self.watched(x.detach())
        return x

    def watched(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return widened(self.min_val, self.max_val, x, self.axis)

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """The scale and the zero point for what went by."""
        if self.min_val.isinf().any(): raise RuntimeError("this observer has seen nothing: calibrate first")
        return choose_qparams(*self.ends(), self.quant_min, self.quant_max, self.symmetric)

    def ends(self) -> tuple[Tensor, Tensor]: return self.min_val, self.max_val


def widened(low: Tensor, high: Tensor, x: Tensor, axis: int | None = None) -> tuple[Tensor, Tensor]:
    """The range that holds what went by before, from low to high, and x."""
    smallest, largest = extremes(x, axis)
    return minimum(low, smallest), maximum(high, largest)


def calibrated(model: Module, batches, kind: type = Linear, observer: Callable = Observer) -> dict:
    """For each layer of a kind, the grid of its inputs, found by showing the model some batches."""
    watchers = {part: observer() for part in model.modules() if type(part) is kind}
    handles = [part.register_forward_pre_hook(lambda part, inputs: (watchers[part](inputs[0]),))
               for part in watchers]
    with no_grad():
        for batch in batches: model(batch)
    for handle in handles: handle.remove()
    return {part: watcher.calculate_qparams() for part, watcher in watchers.items()}


def magnitude_mask(x: Tensor, amount: float, mask: Tensor | None = None) -> Tensor:
    """A mask that leaves out the smallest numbers, a share or a number of those that are left."""
    mask = (ones_like(x) if mask is None else mask.detach().clone()).reshape(-1)
    sizes = x.detach().abs().reshape(-1)
    left = mask.nonzero().reshape(-1)
    n = amount if isinstance(amount, int) else round(amount * len(left))
    mask[left[sizes[left].argsort()[:n]]] = 0
    return mask.reshape(x.shape)


class Reapplied:
    """A hook before forward that makes a parameter anew of what it was and its mask."""

    def __init__(self, name: str): self.name = name
    def __call__(self, module: Module, inputs) -> None: setattr(module, self.name, masked(module, self.name))


def masked(module: Module, name: str) -> Tensor:
    """The parameter that was renamed, times its mask."""
    return getattr(module, name + "_orig") * getattr(module, name + "_mask")


def put_mask(module: Module, name: str, mask: Tensor, hook: Callable | None = None) -> None:
    """Renames a parameter, and puts its product with a mask in its place, anew before every forward."""
    hook = hook or Reapplied(name)
    parameter = getattr(module, name)
    delattr(module, name)
    module.register_parameter(name + "_orig", parameter)
    module.register_buffer(name + "_mask", mask)
    hook(module, None)
    module.register_forward_pre_hook(hook)


def take_off_mask(module: Module, name: str) -> None:
    """Makes what a mask has left of a parameter the parameter, for good."""
    parameter, left = getattr(module, name + "_orig"), masked(module, name).detach()
    for hook in hooks_on(module):
        if getattr(hook, "name", None) == name: remove_hook(module, hook)
    for renamed in (name, name + "_orig", name + "_mask"): delattr(module, renamed)
    parameter.data = left
    module.register_parameter(name, parameter)


def hooks_on(module: Module) -> list[Callable]:
    """The hooks that run before a module's forward."""
    return [hook for hook, _ in asked(module._forward_pre_hooks)]


def remove_hook(module: Module, hook: Callable) -> None:
    """Takes a hook off that runs before forward."""
    for number, one in zip(list(module._forward_pre_hooks), hooks_on(module)):
        if one is hook: del module._forward_pre_hooks[number]


def distillation_loss(
    scores: Tensor, teacher: Tensor, labels: Tensor | None = None,
    temperature: float = 4.0, alpha: float = 0.9,
) -> Tensor:
    """How far a student is from its teacher, and, for a share of 1 - alpha, from the labels.

    (n, classes), (n, classes), (n) -> ()
    """
    log_q = log_softmax(scores / temperature, 1)
    log_p = log_softmax(teacher.detach() / temperature, 1)
    soft = kl_div(log_q, log_p, reduction="batchmean", log_target=True) * temperature**2
    if labels is None: return soft
    return alpha * soft + (1 - alpha) * cross_entropy(scores, labels)
