# %% [markdown]
# # Appendix: PyTorch's way to say it
#
# A **qconfig** says who watches the inputs of a layer and who its weight. It hangs on the network, or on a
# part of it, and holds for everything below that has none of its own. Then there are three ways, and each is
# a walk that changes leaves:
#
# - dynamic: `quantize_dynamic(model)`;
# - static: `prepare(model)` puts observers in front of layers, you show some examples, `convert(model)`;
# - while it learns: `prepare_qat(model)`, training, `convert(model)`.
#
# In PyTorch, places on grids go from layer to layer, and `QuantStub` and `DeQuantStub` mark where that begins
# and ends. Here each layer takes floats and gives floats, so the stubs are there and do nothing, and what
# lies between two layers may be anything.

# %%
#| export
"""quantize_dynamic, prepare, convert and prepare_qat, with qconfigs that say who watches what."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

from tinytorch.embeddings import Embedding
from tinytorch.compression import QuantizedLinear, remove_hook, replace
from tinytorch.dense import Linear
from tinytorch.bent_modules import ReLU
from tinytorch.fusing import fuse_conv_bn_eval
from tinytorch.layers import Module
from tinytorch.no_weights import Identity
from tinytorch.observers import (
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    MSEObserver,
    default_observer,
    default_per_channel_weight_observer,
    default_weight_observer,
)
from tinytorch.parametrize import type_before_parametrizations
from tinytorch.quantized_layers import QuantizedConv2d, QuantizedEmbedding
from tinytorch.quantized_tensors import QuantizedKind, per_channel_symmetric, qint8
from tinytorch.spatial import BatchNorm, Conv2d
from tinytorch.straight_through import FakeQuantize, pretend, stop_pretending
from tinytorch.tensor import Tensor


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

# %% [markdown]
# ## At once

# %%
#| export
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

# %% [markdown]
# ## With examples

# %%
#| export
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

# %% [markdown]
# A batch norm behind a layer is a scale and a shift; it goes into the layer before that is quantised, or the
# layer would be watched by the wrong eyes. (A relu stays where it is: it costs no precision.)

# %%
#| export
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

# %% [markdown]
# ## From a file
#
# A file of bytes is read into layers that hold bytes. Which those are, the names in the file say.

# %%
#| export
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

# %% [markdown]
# ## For programs that were written for PyTorch

# %%
#| export
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

# %% [markdown]
# A small LeNet reads digits. Its batch norms are merged, its layers watched, and then they hold bytes:

# %%
from tinytorch import nn, timed
from tinytorch.compression import bytes_on_disk
from tinytorch.datasets import Digits
from tinytorch.modes import no_grad
from tinytorch.optimizers import Adam
from tinytorch.randomness import manual_seed
from tinytorch.training import Accuracy, Trainer, evaluate
from tinytorch.utils.data import DataLoader, TensorDataset

def examples(train):
    digits = Digits(train)
    return TensorDataset(digits.data.float().reshape(-1, 1, 8, 8) / 255, digits.targets)

familiar, unseen = examples(True), DataLoader(examples(False), 512)

manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
Trainer(model, Adam(model.parameters(), lr=2e-3), DataLoader(familiar, 32, shuffle=True)).fit(4)

fused = fuse_modules(model.eval(), [["0", "1", "2"], ["4", "5", "6"]])
fused.qconfig = get_default_qconfig()
watched = prepare(fused)
with no_grad(): watched(familiar.tensors[0][:256])
small = convert(watched)
for name, net in [("float32", model), ("int8", small)]:
    score = evaluate(net, unseen, accuracy=Accuracy())["accuracy"]
    with no_grad(): time = timed(lambda net=net: net(familiar.tensors[0][:64])).best
    print(f"{name:>8}: {bytes_on_disk(net)} bytes, {100 * score:.1f} % right, {1e6 * time:.0f} µs for 64")
small
