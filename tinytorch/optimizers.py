# Generated from modules/10_optimizers/optimizers.py by `tito export`. Edit that file, not this one.
"""Which way is down, and how far: the rules by which parameters follow their gradients."""

from __future__ import annotations

import math

import numpy as np

from .autograd import enable_grad
from .bookkeeping import Books, counted, cut, not_below_zero, number, remembered, shares, ways, written
from .pace import LRScheduler
from .tensor import Tensor, tensor

__all__ = [
    "descend", "Optimizer", "decayed", "SGD", "average", "Adam", "AdamW", "linear", "cosine", "LambdaLR",
]


def descend(p, g, lr: float, room) -> None:
    """Moves p against g by lr times g, in place; room is memory to compute in."""
    np.multiply(g, lr, out=room)
    p -= room


class Optimizer(Books):
    """Changes parameters by their gradients. A subclass says in `update` how it changes one of them."""

    def step(self, closure=None):
        """One update of each parameter that has a gradient; the loss, if there is a closure to compute it."""
        loss = None
        if closure is not None:
            with enable_grad(): loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None: continue
                self.update(p, group)
                written(p)
        return loss

    def update(self, param: Tensor, group: dict) -> None:
        """Changes one parameter in place, by its gradient and the settings of its group."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it changes a parameter: "
                                  "write update")

    def pieces(self, param: Tensor, group: dict, *names: str):
        """For an update: the parameter, the gradient to follow, what is remembered under these names, and
        room to compute in. All are arrays; a large parameter comes in pieces that fit into the cache."""
        kept = remembered(self.state[param], param, *names) if names else []
        for p, g, *mine, room, other in cut(param.array, param.grad.array, *kept):
            if group.get("maximize"): g = np.negative(g, out=other)
            if group.get("weight_decay"): g = decayed(p, g, group, room, other)
            yield p, g, *mine, room


def decayed(p, g, group: dict, room, other):
    """The gradient to follow, after weight decay: of p with the decay in it, or of a p that was shrunk."""
    decay = group["weight_decay"]
    if group.get("decoupled_weight_decay"):
        p *= 1 - number(group["lr"]) * decay
        return g
    np.multiply(p, decay, out=room)
    return np.add(g, room, out=other)


class SGD(Optimizer):
    """Stochastic gradient descent, with a memory if you like (Polyak, 1964; Nesterov, 1983)."""

    def __init__(
        self, params, lr: float | Tensor = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ):
        not_below_zero(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov looks ahead along the momentum: it needs one, and no dampening")
        ways(foreach=foreach, fused=fused, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach, "differentiable": differentiable,
            "fused": fused})

    def update(self, param, group):
        lr, momentum = number(group["lr"]), group["momentum"]
        if not momentum:
            for p, g, room in self.pieces(param, group): descend(p, g, lr, room)
            return
        first = "momentum_buffer" not in self.state[param]
        share = 1 if first else 1 - group["dampening"]
        for p, g, v, room in self.pieces(param, group, "momentum_buffer"):
            v *= momentum
            v += g if share == 1 else np.multiply(g, share, out=room)
            if group["nesterov"]: v = np.add(g, np.multiply(v, momentum, out=room), out=room)
            descend(p, v, lr, room)


def average(m, x, share: float, room) -> None:
    """Moves the average m by this share of the way to x, in place."""
    np.subtract(x, m, out=room)
    room *= share
    m += room


class Adam(Optimizer):
    """Each weight at a rate of its own: by the average of its slopes, over their usual size."""

    def __init__(
        self, params, lr: float | Tensor = 1e-3, betas: tuple = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
        fused: bool | None = None, decoupled_weight_decay: bool = False,
    ):
        not_below_zero(lr=lr, eps=eps, weight_decay=weight_decay)
        ways(foreach=foreach, fused=fused, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": shares(betas), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay})

    def update(self, param, group):
        lr, (beta1, beta2), eps = number(group["lr"]), group["betas"], group["eps"]
        t = counted(self.state[param])
        names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * bool(group["amsgrad"])
        c1, c2 = 1 - beta1**t, 1 - beta2**t
        size, eps = lr * math.sqrt(c2) / c1, eps * math.sqrt(c2)
        for p, g, m, v, *top, room in self.pieces(param, group, *names):
            average(m, g, 1 - beta1, room)
            average(v, np.multiply(g, g, out=room), 1 - beta2, room)
            if top: v = np.maximum(top[0], v, out=top[0])
            np.sqrt(v, out=room)
            room += eps
            descend(p, np.divide(m, room, out=room), size, room)


class AdamW(Adam):
    """Adam whose weight decay shrinks the weights, and leaves the gradients alone."""

    def __init__(
        self, params, lr: float | Tensor = 1e-3, betas: tuple = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
                         capturable=capturable, differentiable=differentiable, fused=fused,
                         decoupled_weight_decay=True)

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups: group["decoupled_weight_decay"] = True


def linear(t: float, total: float, start: float = 0.0, end: float = 1.0) -> float:
    """From start to end in a straight line, and then end for ever."""
    return start + (end - start) * min(t, total) / total


def cosine(t: float, total: float) -> float:
    """From 1 to 0 along half a cosine, and up again in the next half."""
    return (1 + math.cos(math.pi * t / total)) / 2


class LambdaLR(LRScheduler):
    """The first rate times a function of the epoch: one for all groups, or a list with one for each."""

    def __init__(self, optimizer: Optimizer, lr_lambda, last_epoch: int = -1):
        groups = len(optimizer.param_groups)
        several = isinstance(lr_lambda, (list, tuple))
        if several and len(lr_lambda) != groups:
            raise ValueError(f"{len(lr_lambda)} functions for {groups} parameter groups")
        self.lr_lambdas = list(lr_lambda) if several else [lr_lambda] * groups
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [lr * f(self.last_epoch) for lr, f in zip(self.base_lrs, self.lr_lambdas)]

    def state_dict(self) -> dict:
        """All but the functions; a callable object is saved by its attributes."""
        saved = [None if hasattr(f, "__code__") else vars(f).copy() for f in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": saved}

    def load_state_dict(self, state_dict: dict) -> None:
        mine = self.lr_lambdas
        super().load_state_dict({**state_dict, "lr_lambdas": mine})
        for f, saved in zip(mine, state_dict["lr_lambdas"]):
            if saved: f.__dict__.update(saved)
