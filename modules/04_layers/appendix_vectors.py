# %% [markdown]
# # Appendix: a network as one long vector
#
# Some mathematics wants all parameters in a row: a step along a direction, the distance between two
# networks, an average of five of them.

# %%
#| export
"""All parameters of a network as one vector, and back."""

# %%
#| export
from __future__ import annotations

import inspect
from collections.abc import Iterable

from tinytorch.errors import ShapeError
from tinytorch.layers import Module
from tinytorch.randomness import fork_rng
from tinytorch.shaping import cat
from tinytorch.tensor import Tensor

# %%
#| export
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
