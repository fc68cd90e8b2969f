# %% [markdown]
# # Appendix: signs and averages
#
# Two old ideas. One distrusts the length of a slope, and one distrusts the place where a training happens
# to end.

# %%
#| export
"""Rprop, which looks at signs only, and ASGD, which averages where it has been."""

# %%
#| export
from __future__ import annotations

import numpy as np

from tinytorch.bookkeeping import counted, not_below_zero, number, ways
from tinytorch.creation import full_like
from tinytorch.optimizers import Optimizer, average, descend
from tinytorch.tensor import Tensor, tensor

# %% [markdown]
# **Rprop** (Riedmiller and Braun, 1993) gives each weight a step of its own. It grows while the slope keeps
# its sign, and is halved when the sign turns, for then the step has jumped over the bottom. It wants all
# the data in one batch: among batches signs turn by chance.

# %%
#| export
class Rprop(Optimizer):
    """Steps that grow while the slope keeps its sign."""

    def __init__(
        self, params, lr: float | Tensor = 1e-2, etas: tuple = (0.5, 1.2), step_sizes: tuple = (1e-6, 50), *,
        capturable: bool = False, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False,
    ):
        not_below_zero(lr=lr)
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"etas must be a number below 1 and one above, both positive, not {etas}")
        ways(foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable})

    def update(self, param, group):
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        state = self.state[param]
        counted(state)
        if "prev" not in state:
            state.update(prev=full_like(param.data, 0), step_size=full_like(param.data, number(group["lr"])))
        for p, g, before, size, room in self.pieces(param, group, "prev", "step_size"):
            np.multiply(g, before, out=room)
            kept, turned = room > 0, room < 0
            size[kept] *= grow
            size[turned] *= shrink
            np.clip(size, least, most, out=size)
            before[...] = g
            before[turned] = 0                              # back at the wall: stand still for one step
            descend(p, np.multiply(np.sign(before, out=room), size, out=room), 1, room)

# %% [markdown]
# **ASGD** (Polyak and Juditsky, 1992): after `t0` steps it begins to average all places where the weights
# have been, in `ax`. The average is nearer to the bottom than any of them. You are to take it from the
# state yourself; `AveragedModel`, in the appendix on averages, is what people use today.

# %%
#| export
def rates(state: dict, group: dict) -> list:
    """ASGD's rate, and the share of the newest place in the average, each as the array that is remembered."""
    first = {"eta": float(number(group["lr"])), "mu": 1.0}
    return [state.setdefault(name, tensor(value)).array for name, value in first.items()]


def slower(eta, mu, group: dict, t: int) -> None:
    """Both as they will be after step t."""
    lr = number(group["lr"])
    eta[...] = tensor(lr / (1 + group["lambd"] * lr * t) ** group["alpha"]).array
    mu[...] = tensor(1 / max(1, t - group["t0"])).array


class ASGD(Optimizer):
    """Gradient descent at a falling rate, which also averages the places it has been."""

    def __init__(
        self, params, lr: float | Tensor = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False, capturable: bool = False,
    ):
        not_below_zero(lr=lr, weight_decay=weight_decay)
        ways(foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable})

    def update(self, param, group):
        lambd, state = group["lambd"], self.state[param]
        t, eta, mu = counted(state), *rates(state, group)
        for p, g, mean, room in self.pieces(param, group, "ax"):
            p *= 1 - lambd * float(eta)
            descend(p, g, float(eta), room)
            if mu == 1: mean[...] = p
            else: average(mean, p, float(mu), room)
        slower(eta, mu, group, t)
