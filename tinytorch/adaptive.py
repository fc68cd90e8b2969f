# Generated from modules/10_optimizers/appendix_adaptive.py by `tito export`. Edit that file, not this one.
"""Adagrad, RMSprop, Adadelta, Adamax, NAdam and RAdam: each weight at a rate of its own."""

from __future__ import annotations

import math

import numpy as np

from .bookkeeping import counted, not_below_zero, number, shares, ways
from .creation import full_like
from .optimizers import Optimizer, average, descend
from .tensor import Tensor, tensor

__all__ = ["Adagrad", "RMSprop", "Adadelta", "Adamax", "two_sizes", "NAdam", "warmed", "RAdam"]


class Adagrad(Optimizer):
    """Each slope over the root of the sum of all its squares."""

    def __init__(
        self, params, lr: float | Tensor = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ):
        not_below_zero(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
                       initial_accumulator_value=initial_accumulator_value, eps=eps)
        ways(foreach=foreach, fused=fused, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused})
        for group in self.param_groups:
            for p in group["params"]: self._begin(p)

    def _begin(self, p: Tensor) -> dict:
        """What is remembered of a parameter before its first step."""
        state = self.state[p]
        if not state:
            first = self.defaults["initial_accumulator_value"]
            state.update(step=tensor(0.0), sum=full_like(p.data, first))
        return state

    def update(self, param, group):
        t = counted(self._begin(param))
        rate = number(group["lr"]) / (1 + (t - 1) * group["lr_decay"])
        for p, g, total, room in self.pieces(param, group, "sum"):
            total += np.multiply(g, g, out=room)
            np.sqrt(total, out=room)
            room += group["eps"]
            descend(p, np.divide(g, room, out=room), rate, room)


class RMSprop(Optimizer):
    """Each slope over the root of the average of its squares."""

    def __init__(
        self, params, lr: float | Tensor = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0, momentum: float = 0, centered: bool = False, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ):
        not_below_zero(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        ways(foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable})

    def update(self, param, group):
        lr, share, momentum = number(group["lr"]), 1 - group["alpha"], group["momentum"]
        counted(self.state[param])
        names = ["square_avg"] + ["momentum_buffer"] * (momentum > 0) + ["grad_avg"] * bool(group["centered"])
        for p, g, v, *more, room in self.pieces(param, group, *names):
            average(v, np.multiply(g, g, out=room), share, room)
            if group["centered"]:
                average(more[-1], g, share, room)
                np.multiply(more[-1], more[-1], out=room)
                np.sqrt(np.subtract(v, room, out=room), out=room)
            else: np.sqrt(v, out=room)
            room += group["eps"]
            np.divide(g, room, out=room)
            if momentum > 0:
                more[0] *= momentum
                more[0] += room
            descend(p, more[0] if momentum > 0 else room, lr, room)


class Adadelta(Optimizer):
    """Each slope over its usual size, times the usual size of a step."""

    def __init__(
        self, params, lr: float | Tensor = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False,
        differentiable: bool = False,
    ):
        not_below_zero(lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0 <= rho <= 1: raise ValueError(f"rho must be from 0 to 1, not {rho}")
        ways(foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable})

    def update(self, param, group):
        lr, share, eps = number(group["lr"]), 1 - group["rho"], group["eps"]
        counted(self.state[param])
        for p, g, v, u, room in self.pieces(param, group, "square_avg", "acc_delta"):
            average(v, np.multiply(g, g, out=room), share, room)
            usual = np.sqrt(np.add(v, eps, out=room), out=room)
            delta = np.add(u, eps, out=np.empty_like(u))
            np.sqrt(delta, out=delta)
            delta /= usual
            delta *= g
            average(u, np.multiply(delta, delta, out=room), share, room)
            descend(p, delta, lr, room)


class Adamax(Optimizer):
    """Adam with the largest slope of late for the usual one."""

    def __init__(
        self, params, lr: float | Tensor = 2e-3, betas: tuple = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: bool = False, capturable: bool = False,
    ):
        not_below_zero(lr=lr, eps=eps, weight_decay=weight_decay)
        ways(foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": shares(betas), "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable})

    def update(self, param, group):
        beta1, beta2 = group["betas"]
        size = number(group["lr"]) / (1 - beta1 ** counted(self.state[param]))
        for p, g, m, u, room in self.pieces(param, group, "exp_avg", "exp_inf"):
            average(m, g, 1 - beta1, room)
            u *= beta2
            np.abs(g, out=room)
            room += group["eps"]
            np.maximum(u, room, out=u)
            descend(p, np.divide(m, u, out=room), size, room)


def two_sizes(group: dict, state: dict) -> tuple[float, float, float]:
    """Of NAdam's next step: how far along the slope, how far along the memory, and what both have in them
    for the average of squares, which begins at 0."""
    lr, (beta1, beta2), t = number(group["lr"]), group["betas"], counted(state)
    mu, ahead = [beta1 * (1 - 0.5 * 0.96 ** (n * group["momentum_decay"])) for n in (t, t + 1)]
    product = state.setdefault("mu_product", tensor(1.0)).array
    product *= mu
    c2 = math.sqrt(1 - beta2**t)
    return lr * c2 * (1 - mu) / (1 - float(product)), lr * c2 * ahead / (1 - float(product) * ahead), c2


class NAdam(Optimizer):
    """Adam that looks ahead."""

    def __init__(
        self, params, lr: float | Tensor = 2e-3, betas: tuple = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False,
    ):
        not_below_zero(lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        ways(foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": shares(betas), "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable})

    def update(self, param, group):
        (beta1, beta2), (slope, memory, c2) = group["betas"], two_sizes(group, self.state[param])
        for p, g, m, v, room in self.pieces(param, group, "exp_avg", "exp_avg_sq"):
            average(m, g, 1 - beta1, room)
            average(v, np.multiply(g, g, out=room), 1 - beta2, room)
            usual = np.sqrt(v, out=np.empty_like(v))
            usual += group["eps"] * c2
            descend(p, np.divide(g, usual, out=room), slope, room)
            descend(p, np.divide(m, usual, out=room), memory, room)


def warmed(group: dict, t: int) -> tuple[float, bool]:
    """How far RAdam's step t goes, and whether it has seen enough to divide."""
    beta1, beta2 = group["betas"]
    c2, size = 1 - beta2**t, number(group["lr"]) / (1 - beta1**t)
    most = 2 / (1 - beta2) - 1                              # how many squares an average can stand for
    seen = most - 2 * t * beta2**t / c2                     # for how many it stands by now
    if seen <= 5: return size, False
    return size * math.sqrt(c2 * (seen - 4) * (seen - 2) * most / ((most - 4) * (most - 2) * seen)), True


class RAdam(Optimizer):
    """Adam that does not divide before it has seen enough."""

    def __init__(
        self, params, lr: float | Tensor = 1e-3, betas: tuple = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ):
        not_below_zero(lr=lr, eps=eps, weight_decay=weight_decay)
        ways(foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": shares(betas), "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable})

    def update(self, param, group):
        (beta1, beta2), (size, trusted) = group["betas"], warmed(group, counted(self.state[param]))
        for p, g, m, v, room in self.pieces(param, group, "exp_avg", "exp_avg_sq"):
            average(m, g, 1 - beta1, room)
            average(v, np.multiply(g, g, out=room), 1 - beta2, room)
            if trusted:
                np.sqrt(v, out=room)
                room += group["eps"]
                np.divide(m, room, out=room)
            descend(p, room if trusted else m, size, room)
