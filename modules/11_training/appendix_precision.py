# %% [markdown]
# # Appendix: mixed precision
#
# A matrix product in 16 bits moves half the bytes, and on a GPU it runs on units that do nothing else. A sum
# of a million numbers in 16 bits is garbage. **Mixed precision** (Micikevicius et al., 2018) gives each op
# what it needs: products in 16 bits, losses and long products of many factors in 32, everything else as it
# comes. The weights stay in `float32`; what an op sees is a short copy of them.
#
# On the CPU of this course it saves neither time nor much memory, but it gives PyTorch's numbers, so that
# what trains here in 16 bits trains there, and with a GPU in lesson 13 the same three lines are fast.

# %%
#| export
"""Mixed precision: `autocast` picks a dtype for each op, `GradScaler` keeps small gradients alive."""

# %%
#| export
from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ContextDecorator, ExitStack
from contextvars import ContextVar
from types import MappingProxyType

import numpy as np

from tinytorch.modes import is_grad_enabled
from tinytorch.dtypes import device as Device
from tinytorch.dtypes import dtype, float16, float32, float64
from tinytorch.shaping import convert
from tinytorch.shortfloat import bfloat16
from tinytorch.tensor import Engine, Op, Tensor, current_engine, using

# %% [markdown]
# ## Which op in which dtype
#
# PyTorch's lists for the CPU, by the names that the ops have here. What stands in neither list runs in
# whatever arrives.

# %%
#| export
SHORT = {
    "linear", "matmul", "attend", "prelu", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "lstm_layer", "rnn_layer",
}
LONG = {
    "prod", "cdist", "avg_pool3d", "max_pool3d", "adaptive_avg_pool3d", "adaptive_max_pool3d", "surprise",
    "certainty", "binary_surprise", "uneven_surprise", "alignment", "cholesky", "inv", "qr", "eigh", "svd",
    "solve",
}
USUAL = {"cpu": bfloat16, "cuda": float16}

# %% [markdown]
# An engine around an engine, once more: it casts what goes into an op, and hands on to whoever stood at the
# door before. The cast is an op, too, so the engine of lesson 09 sees it, and gradients come back long.
#
# A weight is cast once for as long as the block lasts, however often it is used, as long as nobody writes
# over it. And NumPy is kept from computing in 16 bits, which it does three hundred times slower: short
# numbers go into an op long, and what comes out is rounded once. That is what a GPU's units do, too.

# %%
#| export
class Casting:
    """What `autocast` has asked for on one device: a dtype, and the weights that were cast already."""

    def __init__(self, dtype: dtype, remembers: bool = True):
        self.dtype, self.remembers, self.weights = dtype, remembers, {}

    def short(self, x: Tensor, engine: Engine) -> Tensor:
        """The tensor in the short dtype, by an op that the engine runs."""
        if not (self.remembers and x.requires_grad and x.is_leaf): return converted(x, self.dtype, engine)
        now = x.array, x._version, is_grad_enabled()        # what was cast under no_grad has no receipt
        *then, cast = self.weights.get(x, (None, None, None, None))
        if then[0] is not now[0] or then[1:] != [*now[1:]]:
            cast = converted(x, self.dtype, engine)
            self.weights[x] = *now, cast
        return cast


def converted(x: Tensor, kind: dtype, engine: Engine) -> Tensor:
    return x if x.dtype is kind else engine.run(convert, (x,), {"dtype": kind})


_castings: ContextVar = ContextVar("castings", default=MappingProxyType({}))       # device -> Casting or None


class Autocast(Engine):
    """Runs ops on the engine it wraps, in the dtype that the lists say; `autocast` switches it on and off."""

    def __init__(self, inner: Engine):
        self.inner, self.kernels = inner, inner.kernels

    def run(self, op: Op, inputs: tuple, settings: dict):
        if not any(_castings.get().values()): return self.inner.run(op, inputs, settings)
        if op.name in SHORT: inputs = [self.cast(x, True) for x in inputs]
        elif op.name in LONG: inputs = [self.cast(x, False) for x in inputs]
        kind = None if op.shares or op is convert else met_on_cpu(op, inputs)
        if kind is None: return self.inner.run(op, inputs, settings)
        return self.the_long_way(op, inputs, settings, kind)

    def cast(self, x, to_short: bool):
        """What an op of the lists gets in place of x: other floats are cast, except for float64."""
        if not is_float(x) or x.dtype is float64: return x
        casting = _castings.get().get(x.device.type)
        if casting is None: return x
        return casting.short(x, self.inner) if to_short else converted(x, float32, self.inner)

    def the_long_way(self, op: Op, inputs, settings: dict, kind: dtype):
        """An op on short numbers, computed in float32 and rounded once."""
        def all_in(kind, parts): return [converted(x, kind, self.inner) if is_float(x) else x for x in parts]
        out = self.inner.run(op, all_in(float32, inputs), settings)
        if not isinstance(out, tuple):
            [short] = all_in(kind, [out])
            short.kept = out.kept                   # the mean and variance that a batch norm asks for
            return short
        return type(out)(*all_in(kind, out)) if hasattr(out, "_fields") else tuple(all_in(kind, out))

    def write(self, tensor: Tensor, value, index=...): return self.inner.write(tensor, value, index)
    def backward(self, tensor: Tensor, **settings): return self.inner.backward(tensor, **settings)


def is_float(x) -> bool: return isinstance(x, Tensor) and x.dtype.is_floating_point


def met_on_cpu(op: Op, inputs) -> dtype | None:
    """The dtype of what comes out, if the CPU is to compute with short floats; else None.

    It is that of the first float: a norm has long weights, and what it normalizes decides. Where an op lets
    dtypes meet by itself, and they differ, it makes short ones long by itself, too.
    """
    kinds = [x.dtype for x in inputs if is_float(x) and x.device.type == "cpu"]
    if not {float16, bfloat16} & set(kinds) or (op.promote and len(set(kinds)) > 1): return None
    return kinds[0]

# %%
#| export
class autocast(ContextDecorator):
    """`with autocast("cpu"):` runs products in bfloat16, or another dtype, and what needs it in float32."""

    def __init__(
        self, device_type: str, dtype: dtype | None = None, enabled: bool = True,
        cache_enabled: bool | None = None,
    ):
        if not isinstance(device_type, str):
            raise ValueError(f"autocast wants the kind of a device, 'cpu' or 'cuda', not {device_type!r}")
        self.device, self.fast_dtype = Device(device_type).type, dtype or USUAL[Device(device_type).type]
        if enabled and self.fast_dtype not in (float16, bfloat16):
            warnings.warn(f"autocast has nothing to do: {self.fast_dtype} is not a short float", stacklevel=2)
            enabled = False
        self.enabled, self.cache_enabled, self.entered = enabled, cache_enabled is not False, []

    def __enter__(self):
        stack = ExitStack()
        if self.enabled and not any([isinstance(engine, Autocast) for engine in at_the_door()]):
            stack.enter_context(using(Autocast(current_engine())))
        casting = Casting(self.fast_dtype, self.cache_enabled) if self.enabled else None
        token = _castings.set({**_castings.get(), self.device: casting})
        stack.callback(_castings.reset, token)
        self.entered.append(stack)
        return self

    def __exit__(self, *error): self.entered.pop().close()

    def _recreate_cm(self):                             # a decorated function may run in several threads
        return type(self)(self.device, self.fast_dtype, self.enabled, self.cache_enabled)


def at_the_door() -> list[Engine]:
    """The current engine, and those that it wraps."""
    engines = [current_engine()]
    while hasattr(engines[-1], "inner"): engines.append(engines[-1].inner)
    return engines


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` knows this kind of device."""
    return device_type in USUAL


def is_autocast_enabled(device_type: str = "cpu") -> bool:
    """Whether ops on this kind of device are cast here and now."""
    return _castings.get().get(Device(device_type).type) is not None


def get_autocast_dtype(device_type: str) -> dtype:
    """The short dtype in use on this kind of device, or the one that would be."""
    casting = _castings.get().get(Device(device_type).type)
    return USUAL[device_type] if casting is None else casting.dtype

# %%
from tinytorch import Tensor, matmul, ones

with autocast("cpu"): y = matmul(ones(2, 3), ones(3, 2))
y

# %% [markdown]
# ## Gradients too small for sixteen bits
#
# The smallest `float16` is 6e-8, and gradients of good networks are often smaller: on their way back they
# become 0, and nobody complains. So the loss is multiplied by a large number, with which, by the chain rule,
# every gradient is multiplied; before the step they are divided by it again, in `float32`.
#
# How large? As large as it goes. If a gradient becomes infinite, the step is left out and the scale halved;
# after 2,000 good steps it is doubled. (`bfloat16` reaches as far as `float32` and needs none of this.)

# %%
#| export
class Ready:
    """What a GradScaler knows of an optimizer since the last update."""

    stage = "ready"         # then "unscaled", then "stepped"
    checked = False         # whether there was a gradient at all
    infinite = False


class GradScaler:
    """Keeps small gradients from vanishing: scales the loss, and leaves out steps that went too far."""

    def __init__(
        self, device: str = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0,
        backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True,
    ):
        self._device, self._enabled, self._scale = Device(device).type, enabled, init_scale
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._seen: dict = defaultdict(Ready)
        if not enabled: return
        if not growth_factor > 1: raise AssertionError(f"a growth factor is above 1, not {growth_factor}")
        if not backoff_factor < 1: raise AssertionError(f"a backoff factor is below 1, not {backoff_factor}")

    def scale(self, outputs):
        """A loss, or several, multiplied by the scale."""
        if not self._enabled: return outputs
        if isinstance(outputs, Tensor): return outputs * self._scale
        if not isinstance(outputs, Iterable): raise ValueError("scale takes a tensor, or several of them")
        return type(outputs)([self.scale(x) for x in outputs])

    def unscale_(self, optimizer) -> None:
        """Divides the gradients by the scale, and sees whether they are finite."""
        if not self._enabled: return
        seen = self._seen[optimizer]
        if seen.stage == "unscaled": raise RuntimeError("unscale_() was called before: update() comes first")
        if seen.stage == "stepped": raise RuntimeError("unscale_() comes before step(), not after it")
        inverse, seen.stage = in_single(1 / self._scale), "unscaled"
        for g in gradients_of(optimizer):
            if g.dtype is float16: raise ValueError("these weights are float16: keep them in float32")
            g.data.mul_(inverse)
            seen.checked, seen.infinite = True, seen.infinite or not np.isfinite(g.array).all()

    def step(self, optimizer, *args, **kwargs):
        """The optimizer's step, unless a gradient is infinite or no number."""
        if not self._enabled: return optimizer.step(*args, **kwargs)
        if "closure" in kwargs: raise RuntimeError("a closure computes losses that are not scaled")
        seen = self._seen[optimizer]
        if seen.stage == "stepped": raise RuntimeError("step() was called before: update() comes first")
        if seen.stage == "ready": self.unscale_(optimizer)
        if not seen.checked: raise AssertionError("the optimizer has no gradients: backward() first")
        seen.stage = "stepped"
        return None if seen.infinite else optimizer.step(*args, **kwargs)

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """The scale for the next step: smaller if this one was left out, and now and then larger."""
        if not self._enabled: return
        if new_scale is not None:
            self._scale = new_scale.item() if isinstance(new_scale, Tensor) else float(new_scale)
        elif not any([seen.checked for seen in self._seen.values()]):
            raise AssertionError("no gradients were looked at: step() before update()")
        elif any([seen.infinite for seen in self._seen.values()]):
            self._scale, self._growth_tracker = in_single(self._scale * self._backoff_factor), 0
        else: self.grow()
        self._seen.clear()

    def grow(self) -> None:
        """One more good step; the scale grows after so many in a row."""
        self._growth_tracker += 1
        if self._growth_tracker < self._growth_interval: return
        larger, self._growth_tracker = in_single(self._scale * self._growth_factor), 0
        if math.isfinite(larger): self._scale = larger

    def state_dict(self) -> dict:
        """All that the next steps depend on."""
        if not self._enabled: return {}
        return {"scale": self._scale, "growth_factor": self._growth_factor,
                "backoff_factor": self._backoff_factor, "growth_interval": self._growth_interval,
                "_growth_tracker": self._growth_tracker}

    def load_state_dict(self, state_dict: dict) -> None:
        """Goes on from a state that was kept."""
        if not self._enabled: return
        if not state_dict: raise RuntimeError("an empty state is that of a GradScaler that is switched off")
        for name in self.state_dict(): setattr(self, f"_{name.lstrip('_')}", state_dict[name])

    def get_scale(self) -> float: return self._scale if self._enabled else 1.0
    def get_growth_factor(self) -> float: return self._growth_factor
    def set_growth_factor(self, new_factor: float) -> None: self._growth_factor = new_factor
    def get_backoff_factor(self) -> float: return self._backoff_factor
    def set_backoff_factor(self, new_factor: float) -> None: self._backoff_factor = new_factor
    def get_growth_interval(self) -> int: return self._growth_interval
    def set_growth_interval(self, new_interval: int) -> None: self._growth_interval = new_interval
    def is_enabled(self) -> bool: return self._enabled


def in_single(x: float) -> float:
    """The nearest float32, or infinity: PyTorch keeps its scale in one."""
    with np.errstate(over="ignore"): return float(np.float32(x))


def gradients_of(optimizer) -> list[Tensor]:
    """The gradients of all that an optimizer trains."""
    return [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
