# Generated from modules/12_compression/appendix_qconfigs.py by `tito export`. Edit that file, not this one.
"""quantize_dynamic, prepare, convert and prepare_qat, with qconfigs that say who watches what."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

from .bent_modules import ReLU
from .compression import QuantizedLinear, remove_hook, replace
from .dense import Linear
from .embeddings import Embedding
from .fusing import fuse_conv_bn_eval
from .layers import Module
from .no_weights import Identity
from .observers import (
    MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver, MSEObserver, default_observer,
    default_per_channel_weight_observer, default_weight_observer,
)
from .parametrize import type_before_parametrizations
from .quantized_layers import QuantizedConv2d, QuantizedEmbedding
from .quantized_tensors import QuantizedKind, per_channel_symmetric, qint8
from .spatial import BatchNorm, Conv2d
from .straight_through import FakeQuantize, pretend, stop_pretending
from .tensor import Tensor

__all__ = [
    "QConfig", "fake_weight", "default_qconfig", "default_per_channel_qconfig", "default_dynamic_qconfig",
    "per_channel_dynamic_qconfig", "default_qat_qconfig", "get_default_qconfig", "get_default_qat_qconfig",
    "STATIC", "DYNAMIC", "quantize_dynamic", "weight_grid", "shifted", "configured", "may_hold_bytes",
    "prepare", "watch_inputs", "prepare_qat", "convert", "quantize", "quantize_qat", "quantize_embeddings",
    "fuse_modules", "load_quantized", "QuantStub", "DeQuantStub", "QuantWrapper",
]


class QConfig(NamedTuple):
    """Who watches the inputs of a layer, and who its weight: two classes, or what makes observers."""

    activation: Callable | None
    weight: Callable


fake_weight = FakeQuantize.with_args(observer=MovingAveragePerChannelMinMaxObserver, dtype=qint8,
                                     qscheme=per_channel_symmetric, averaging_constant=1.0)
default_qconfig = QConfig(default_observer, default_weight_observer)
default_per_channel_qconfig = QConfig(default_observer, default_per_channel_weight_observer)
default_dynamic_qconfig = QConfig(None, default_weight_observer)
per_channel_dynamic_qconfig = QConfig(None, default_per_channel_weight_observer)
default_qat_qconfig = QConfig(FakeQuantize.with_args(observer=MovingAverageMinMaxObserver), fake_weight)


def get_default_qconfig(backend: str = "x86", version: int = 0) -> QConfig:
    """What is usual for static quantisation: the least error for inputs, a grid for each output."""
    return QConfig(MSEObserver, default_per_channel_weight_observer)


def get_default_qat_qconfig(backend: str = "x86", version: int = 1) -> QConfig:
    """What is usual for quantisation while a network learns."""
    return default_qat_qconfig


STATIC = {Linear: QuantizedLinear, Conv2d: QuantizedConv2d}
DYNAMIC = {Linear: QuantizedLinear}


def quantize_dynamic(
    model: Module, qconfig_spec=None, dtype: QuantizedKind = qint8, mapping: dict | None = None,
    inplace: bool = False,
) -> Module:
    """The model with weights of bytes, whose layers look at each batch for the grid of their inputs.

    `qconfig_spec`: which layers, as a set of classes and of paths, or a dict from these to qconfigs.
    """
    if dtype is not qint8: raise ValueError(f"weights are held as qint8 here, not as {dtype}")
    mapping = DYNAMIC if mapping is None else mapping
    spec = set(DYNAMIC) if qconfig_spec is None else qconfig_spec
    if not isinstance(spec, dict): spec = dict.fromkeys(spec, default_dynamic_qconfig)
    model = model if inplace else deepcopy(model)
    paths = {part: path for path, part in model.named_modules()}

    def swap(part: Module) -> Module | None:
        config = spec.get(paths.get(part), spec.get(type(part)))
        if config is None or type(part) not in mapping: return None
        return mapping[type(part)].from_float(part, *weight_grid(part.weight, config.weight()))
    return replace(model, swap)


def weight_grid(weight: Tensor, observer: Module) -> tuple:
    """What `from_float` wants to know of a weight: the axis of its channels, no inputs, and its grid."""
    observer(weight.detach())
    return observer.axis, None, shifted(observer)


def shifted(observer: Module) -> tuple[Tensor, Tensor]:
    """The grid that an observer found, with places as int8 has them: those of quint8 begin 128 lower."""
    scale, zero_point = observer.calculate_qparams()
    return scale, zero_point if observer.quant_min < 0 else zero_point - 128


def configured(model: Module, inherited: QConfig | None = None) -> dict[Module, QConfig]:
    """The qconfig of each leaf: its own, or that of what it is a part of."""
    own = getattr(model, "qconfig", inherited)
    found = {model: own} if own is not None else {}
    for part in model.children(): found.update(configured(part, own))
    return found


def may_hold_bytes(part: Module, mapping: dict) -> bool:
    kind = mapping.get(type(part))
    return kind is not None and getattr(kind, "takes", lambda layer: True)(part)


def prepare(model: Module, inplace: bool = False, allow_list=None) -> Module:
    """Puts an observer in front of each layer that has a qconfig, and may hold bytes."""
    model = model if inplace else deepcopy(model)
    for part, config in configured(model).items():
        if may_hold_bytes(part, STATIC) and (allow_list is None or type(part) in allow_list):
            part.input_observer = config.activation()
            part.qconfig = config
            part.register_forward_pre_hook(watch_inputs)
    return model


def watch_inputs(layer: Module, inputs: tuple) -> None: layer.input_observer(inputs[0])


def prepare_qat(model: Module, mapping: dict | None = None, inplace: bool = False) -> Module:
    """Lets each layer that has a qconfig, and may hold bytes, feel its grids while it learns."""
    if not model.training: raise AssertionError("prepare_qat is for a model that trains: call train() first")
    model = model if inplace else deepcopy(model)
    for part, config in configured(model).items():
        if may_hold_bytes(part, STATIC if mapping is None else mapping):
            part.qconfig = config
            pretend(part, config.activation(), config.weight())
    return model


def convert(module: Module, mapping: dict | None = None, inplace: bool = False) -> Module:
    """The model with weights of bytes, on the grids that observers found."""
    mapping = STATIC if mapping is None else mapping
    module = module if inplace else deepcopy(module)

    def swap(part: Module) -> Module | None:
        kind = mapping.get(type_before_parametrizations(part))
        if kind is None: return None
        if hasattr(part, "input_fake_quant"):
            inputs, weight = stop_pretending(part)
            return kind.from_float(part, weight.axis, shifted(inputs), shifted(weight))
        if not hasattr(part, "input_observer"): return None
        remove_hook(part, watch_inputs)
        axis, _, grid = weight_grid(part.weight, part.qconfig.weight())
        return kind.from_float(part, axis, shifted(part.input_observer), grid)
    return replace(module, swap)


def quantize(model: Module, run_fn: Callable, run_args, mapping=None, inplace: bool = False) -> Module:
    """prepare, `run_fn(model, *run_args)`, which shows it examples, and convert."""
    model = prepare(model, inplace)
    model.eval()
    run_fn(model, *run_args)
    return convert(model, mapping, inplace=True)


def quantize_qat(model: Module, run_fn: Callable, run_args, inplace: bool = False) -> Module:
    """prepare_qat, `run_fn(model, *run_args)`, which trains it, and convert."""
    model = model if inplace else deepcopy(model)
    model.train()
    prepare_qat(model, inplace=True)
    run_fn(model, *run_args)
    return convert(model, inplace=True)


def quantize_embeddings(model: Module, inplace: bool = False) -> Module:
    """The model whose tables of embeddings hold bytes, a grid for each row."""
    model = model if inplace else deepcopy(model)

    def swap(part: Module) -> Module | None:
        return QuantizedEmbedding.from_float(part) if type(part) is Embedding else None
    return replace(model, swap)


def fuse_modules(model: Module, modules_to_fuse: list, inplace: bool = False) -> Module:
    """The model with batch norms merged into the layers in front of them; a list of lists of paths."""
    model = model if inplace else deepcopy(model)
    groups = [modules_to_fuse] if isinstance(modules_to_fuse[0], str) else modules_to_fuse
    for first, *others in groups:
        layer = model.get_submodule(first)
        for path in others:
            part = model.get_submodule(path)
            if isinstance(part, ReLU): continue
            if not isinstance(part, BatchNorm):
                raise NotImplementedError(f"{type(part).__name__} at {path!r} cannot be merged into a layer")
            layer = fuse_conv_bn_eval(layer, part)
            model.set_submodule(first, layer)
            model.set_submodule(path, Identity())
    return model


def load_quantized(model: Module, state: dict[str, Tensor], inplace: bool = False) -> Module:
    """The model with those layers quantised whose grids are in the state, and with all of its numbers."""
    model = model if inplace else deepcopy(model)
    kinds = {**STATIC, Embedding: QuantizedEmbedding}
    paths = {part: f"{path}." if path else "" for path, part in model.named_modules()}

    def swap(part: Module) -> Module | None:
        scale, start = state.get(paths.get(part, "") + "weight_scale"), paths.get(part, "")
        if scale is None or type(part) not in kinds: return None
        zero = state.get(start + "weight_zero_point", scale.new_zeros(scale.shape).int())
        inputs = state.get(start + "input_scale"), state.get(start + "input_zero_point")
        axis = 0 if scale.ndim else None
        return kinds[type(part)].from_float(part, axis, None if inputs[0] is None else inputs, (scale, zero))
    model = replace(model, swap)
    model.load_state_dict(state)
    return model


class QuantStub(Module):
    """Where places on grids begin in PyTorch. Here it does nothing."""

    def __init__(self, qconfig: QConfig | None = None):
        super().__init__()
        if qconfig is not None: self.qconfig = qconfig

    def forward(self, x): return x


class DeQuantStub(QuantStub):
    """Where places on grids end in PyTorch. Here it does nothing."""


class QuantWrapper(Module):
    """A module between the two."""

    def __init__(self, module: Module):
        super().__init__()
        self.quant, self.dequant, self.module = QuantStub(), DeQuantStub(), module
        self.train(module.training)

    def forward(self, X): return self.dequant(self.module(self.quant(X)))
