# Generated from modules/04_layers/appendix_weight_forms.py by `tito export`. Edit that file, not this one.
"""Weight norm and spectral norm."""

from __future__ import annotations

from .layers import Module
from .parametrize import register_parametrization
from .reductions import norm
from .tensor import Tensor, permute

__all__ = [
    "norm_except_dim", "weight_norm", "as_matrix", "unit", "follow", "unstretched", "directions",
    "check_steps", "outputs_at", "spectral_norm",
]


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The length of each slice along `dim`, or of everything for -1.  (*, n, *) -> (1, n, 1)"""
    if dim == -1: return norm(v, pow)
    return norm(v, pow, [d for d in range(v.ndim) if d != dim], keepdim=True) if v.ndim > 1 else v.abs()


class _WeightNorm(Module):
    """A length times a direction."""

    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return weight_v * (weight_g / norm_except_dim(weight_v, 2, self.dim))

    def right_inverse(self, weight): return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Computes a weight as a length times a direction; Salimans and Kingma 2016."""
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def older_names(module, state, prefix, *others):
        for ending, new in (("_g", "original0"), ("_v", "original1")):
            if prefix + name + ending in state:
                state[f"{prefix}parametrizations.{name}.{new}"] = state.pop(prefix + name + ending)
    module.register_load_state_dict_pre_hook(older_names)
    return module


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """The weight as a matrix with one row for each place of `dim`.  (*, n, *) -> (n, m)"""
    if dim: weight = permute(weight, [dim, *[d for d in range(weight.ndim) if d != dim]])
    return weight.reshape(weight.shape[0], -1)


def unit(x: Tensor, eps: float) -> Tensor:
    """The vector of length 1 in the same direction."""
    return x / norm(x, 2, 0, keepdim=True).clamp_min(eps)


def follow(matrix: Tensor, u: Tensor, v: Tensor, steps: int, eps: float, rows_first: bool) -> None:
    """Some steps of the power method, which leave the directions of the largest stretch in u and v."""
    matrix = matrix.detach()
    for _ in range(steps):
        if rows_first: u.copy_(unit(matrix @ v, eps))
        v.copy_(unit(matrix.mT @ u, eps))
        if not rows_first: u.copy_(unit(matrix @ v, eps))


def unstretched(weight: Tensor, matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The weight over the stretch between two directions."""
    return weight / (u.clone() @ (matrix @ v.clone()))


def directions(weight: Tensor, dim: int, eps: float) -> list[Tensor]:
    """Two directions to begin with, drawn at random."""
    return [unit(weight.new_empty(n).normal_(0, 1), eps) for n in as_matrix(weight, dim).shape]


class _SpectralNorm(Module):
    """A weight over the most it can stretch."""

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12):
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(f"dim {dim} is out of range of a weight of {weight.ndim} dimensions")
        check_steps(n_power_iterations)
        self.dim, self.eps = dim % weight.ndim, eps
        if weight.ndim == 1: return
        self.n_power_iterations = n_power_iterations
        u, v = directions(weight.detach(), self.dim, eps)
        self.register_buffer("_u", u)
        self.register_buffer("_v", v)
        follow(as_matrix(weight, self.dim), u, v, 15, eps, True)

    def forward(self, weight):
        if weight.ndim == 1: return unit(weight, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training: follow(matrix, self._u, self._v, self.n_power_iterations, self.eps, True)
        return unstretched(weight, matrix, self._u, self._v)

    def right_inverse(self, value): return value


def check_steps(n: int) -> None:
    if n < 1: raise ValueError(f"n_power_iterations={n}: there is at least one step")


def outputs_at(module: Module, dim: int | None) -> int:
    """The dimension of a weight along which outputs lie: a transposed convolution has its inputs first."""
    return int(getattr(module, "transposed", False)) if dim is None else dim


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Computes a weight as another one over the most it can stretch; Miyato et al. 2018."""
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {name!r} to compute")
    divided = _SpectralNorm(weight, n_power_iterations, outputs_at(module, dim), eps)
    return register_parametrization(module, name, divided)
