# %% [markdown]
# # Appendix: clipping
#
# One bad batch can bring a gradient a thousand times as long as all others, and throw a network out of the
# valley it took a week to find. Clipping shortens it. By the **norm** of all gradients together, the
# direction stays and the length is bounded; by **value**, each number is bounded by itself.

# %%
#| export
"""Gradients that are not longer than they should be."""

# %%
#| export
from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from types import GeneratorType

import numpy as np

from tinytorch.bookkeeping import number, written
from tinytorch.devices import at_home
from tinytorch.dtypes import float32
from tinytorch.reductions import vector_norm
from tinytorch.shaping import stack
from tinytorch.tensor import Tensor, tensor

# %%
#| export
def several(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """A list, of one tensor or of many."""
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The gradients that there are."""
    return [p.grad for p in several(parameters) if p.grad is not None]


def length(array, norm_type: float) -> float:
    """The norm of all numbers of an array; the largest of them for infinity."""
    flat = array.reshape(-1)
    if flat.dtype.kind != "f" or flat.dtype.itemsize < 4: flat = flat.astype(np.float32)
    if norm_type == 2: return math.sqrt(float(np.dot(flat, flat)))
    if math.isinf(norm_type):
        return float(np.abs(flat).max(initial=0) if norm_type > 0 else np.abs(flat).min(initial=math.inf))
    if norm_type == 0: return float(np.count_nonzero(flat))
    return float((np.abs(flat) ** norm_type).sum()) ** (1 / norm_type)

# %%
#| export
def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all numbers of all tensors, as if they were one vector."""
    tensors, norm_type = several(tensors), float(norm_type)
    if not tensors: return tensor(0.0)
    if not at_home(tensors[0].array): return total_elsewhere(tensors, norm_type, error_if_nonfinite)
    norms = np.array([length(x.array, norm_type) for x in tensors])
    total = length(norms, norm_type)
    if error_if_nonfinite: refuse_nonfinite(total)
    return tensor(total, dtype=tensors[0].dtype, device=tensors[0].device)


def total_elsewhere(tensors: list[Tensor], norm_type: float, error_if_nonfinite: bool) -> Tensor:
    """The same on a GPU, for which nobody has to wait, unless an error is wanted."""
    norms = [vector_norm(x.detach(), norm_type, dtype=float32) for x in tensors]
    total = vector_norm(stack(norms), norm_type)
    if error_if_nonfinite: refuse_nonfinite(total.item())
    return total.to(tensors[0].dtype)


def refuse_nonfinite(total: float) -> None:
    if not math.isfinite(total):
        raise RuntimeError(f"the norm of the gradients is {total}, and cannot be clipped; with "
                           "error_if_nonfinite=False they are scaled all the same")


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None,
) -> None:
    """Scales all gradients by max_norm / total_norm, in place, if that makes them shorter."""
    away = isinstance(total_norm, Tensor) and not at_home(total_norm.array)
    factor = float(max_norm) / ((total_norm.array if away else number(total_norm)) + 1e-6)
    if away: factor = np.minimum(factor, 1)                     # to ask whether it is 1 would be to wait
    elif factor >= 1: return
    for grad in gradients(parameters):
        np.multiply(grad.array, factor, out=grad.array)
        written(grad)


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:
    """Makes all gradients together no longer than `max_norm`, in place; returns how long they were."""
    generated, parameters = isinstance(parameters, GeneratorType), several(parameters)
    if generated and not parameters:
        warnings.warn("no gradient is clipped: the generator of parameters is empty, perhaps used up before",
                      stacklevel=2)
    total = get_total_norm(gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None,
) -> None:
    """Moves each number of the gradients to between -clip_value and clip_value, in place."""
    bound = float(clip_value)
    for grad in gradients(parameters):
        np.clip(grad.array, -bound, bound, out=grad.array)
        written(grad)


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:
    """The old name of `clip_grad_norm_`."""
    warnings.warn("clip_grad_norm is deprecated: write clip_grad_norm_", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
