# Generated from modules/05_dense/appendix_hooked_weights.py by `tito export`. Edit that file, not this one.
"""Weight norm and spectral norm by a hook before each call."""

from __future__ import annotations

from .hooks import asked
from .layers import Module, Parameter
from .tensor import Tensor
from .weight_forms import as_matrix, check_steps, directions, follow, norm_except_dim, outputs_at, unstretched

__all__ = [
    "Computed", "WeightNorm", "SpectralNorm", "found", "plain_again", "weight_norm", "spectral_norm",
    "remove_weight_norm", "remove_spectral_norm",
]


class Computed:
    """A hook before forward that computes a parameter."""

    def __init__(self, module: Module, name: str):
        self.name = name
        if found(module, name, type(self)): raise RuntimeError(f"{name!r} is computed by such a hook already")
        weight = module._parameters.get(name)
        if weight is None: raise ValueError(f"{type(module).__name__} has no parameter {name!r} to compute")
        delattr(module, name)
        self.store(module, weight)
        setattr(module, name, self.value(module, False))
        module.register_forward_pre_hook(self)

    def __call__(self, module: Module, args) -> None:
        setattr(module, self.name, self.value(module, module.training))


class WeightNorm(Computed):
    """A length times a direction."""

    def __init__(self, module: Module, name: str, dim: int | None):
        self.dim = -1 if dim is None else dim
        super().__init__(module, name)

    def store(self, module: Module, weight) -> None:
        module.register_parameter(self.name + "_g", Parameter(norm_except_dim(weight.data, 2, self.dim)))
        module.register_parameter(self.name + "_v", Parameter(weight.data))

    def value(self, module: Module, learning: bool) -> Tensor:
        v = getattr(module, self.name + "_v")
        return v * (getattr(module, self.name + "_g") / norm_except_dim(v, 2, self.dim))


class SpectralNorm(Computed):
    """A weight over the most it can stretch."""

    def __init__(self, module: Module, name: str, steps: int, dim: int, eps: float):
        check_steps(steps)
        self.steps, self.dim, self.eps = steps, dim, eps
        super().__init__(module, name)

    def store(self, module: Module, weight) -> None:
        module.register_parameter(self.name + "_orig", weight)
        u, v = directions(weight.data, self.dim, self.eps)
        module.register_buffer(self.name + "_u", u)
        module.register_buffer(self.name + "_v", v)

    def value(self, module: Module, learning: bool) -> Tensor:
        weight, u, v = [getattr(module, self.name + ending) for ending in ("_orig", "_u", "_v")]
        matrix = as_matrix(weight, self.dim)
        if learning: follow(matrix, u, v, self.steps, self.eps, False)
        return unstretched(weight, matrix, u, v)


def found(module: Module, name: str, kind: type) -> list[tuple]:
    """The hooks of a kind that compute a parameter, with their numbers."""
    hooks = [hook for hook, _ in asked(module._forward_pre_hooks)]
    return [(number, hook) for number, hook in zip(module._forward_pre_hooks, hooks)
            if type(hook) is kind and hook.name == name]


def plain_again(module: Module, name: str, kind: type) -> Module:
    """Takes such a hook out, and makes the weight a parameter again."""
    if not (hooks := found(module, name, kind)):
        raise ValueError(f"{kind.__name__} does not compute {name!r} of {type(module).__name__}")
    number, hook = hooks[0]
    value = hook.value(module, False).detach()
    for drawer in (module._parameters, module._buffers):
        for ending in ("_g", "_v", "_orig", "_u"): drawer.pop(name + ending, None)
    delattr(module, name)
    module.register_parameter(name, Parameter(value))
    del module._forward_pre_hooks[number]
    return module


def weight_norm(module: Module, name: str = "weight", dim: int = 0) -> Module:
    """Computes a weight before each call from `weight_g` and `weight_v`."""
    WeightNorm(module, name, dim)
    return module


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Computes a weight before each call from `weight_orig`."""
    SpectralNorm(module, name, n_power_iterations, outputs_at(module, dim), eps)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Makes the weight an ordinary parameter again."""
    return plain_again(module, name, WeightNorm)


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Makes the weight an ordinary parameter again."""
    return plain_again(module, name, SpectralNorm)
