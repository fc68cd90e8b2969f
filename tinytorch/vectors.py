# Generated from modules/04_layers/appendix_vectors.py by `tito export`. Edit that file, not this one.
"""All parameters of a network as one vector, and back."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from .errors import ShapeError
from .layers import Module
from .randomness import fork_rng
from .shaping import cat
from .tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters", "skip_init"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All numbers of some parameters in a row.  (...), (...), ... -> (n)"""
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Cuts a vector up, and makes the pieces the numbers of the parameters.  (n) -> (...), (...), ..."""
    if not isinstance(vec, Tensor): raise TypeError(f"the numbers are a Tensor, not a {type(vec).__name__}")
    parameters = list(parameters)
    wanted = sum([parameter.numel() for parameter in parameters])
    if vec.ndim != 1 or vec.numel() < wanted:
        raise ShapeError(f"these parameters take a vector of {wanted} numbers, not {tuple(vec.shape)}")
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.data = vec.data[start:stop].reshape(parameter.shape)
        start = stop


def skip_init(module_cls: type, *args, **kwargs) -> Module:
    """A module whose first numbers do not matter, because others are about to be loaded: drawing them leaves
    the generator where it was."""
    if not issubclass(module_cls, Module): raise RuntimeError(f"{module_cls} is no Module")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError(f"{module_cls.__name__} takes no device=, and is not for skip_init")
    with fork_rng(): return module_cls(*args, **kwargs)
