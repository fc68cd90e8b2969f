# %% [markdown]
# # Appendix: the family of Adam
#
# Adam had ancestors, and it has children. All of them divide a slope by the usual size of that slope; they
# differ in what "usual" means. With the lesson's walk, each is its formula.

# %%
#| export
"""Adagrad, RMSprop, Adadelta, Adamax, NAdam and RAdam: each weight at a rate of its own."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.bookkeeping import counted, not_below_zero, number, shares, ways
from tinytorch.creation import full_like
from tinytorch.optimizers import Optimizer, average, descend
from tinytorch.tensor import Tensor, tensor

# %% [markdown]
# ## The ancestors
#
# **Adagrad** (Duchi, Hazan and Singer, 2011) sums up all squares there ever were. A rare weight keeps a
# high rate; a busy one slows down, and never speeds up again.

# %%
#| export
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

# %% [markdown]
# **RMSprop** was never published: Geoffrey Hinton showed it on a slide in 2012. It forgets old squares.
# `centered` divides by the spread of the slopes instead of by their size.

# %%
#| export
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

# %% [markdown]
# **Adadelta** (Zeiler, 2012) noticed that the units do not fit: a slope over its size has none, and a step
# should have those of the weight. So it multiplies by the usual size of its own steps. It wants no rate.

# %%
#| export
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

# %% [markdown]
# ## The children
#
# **Adamax** is in Adam's paper: the largest slope of late, rather than the root of an average of squares.
# It needs no correction, as the largest of several numbers does not mind a zero among them.

# %%
#| export
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

# %% [markdown]
# **NAdam** (Dozat, 2016) is Adam with Nesterov's look ahead, and with a momentum that grows in the
# beginning. The correction is then one minus the product of all momentums so far.

# %%
#| export
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

# %% [markdown]
# **RAdam** (Liu and others, 2020) asked how far an average of a few squares can be trusted. While there are
# too few of them, it does not divide at all; later it divides, and takes shorter steps the less it knows.
# It is a warm-up that nobody has to choose.

# %%
#| export
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
