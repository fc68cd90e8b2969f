# %% [markdown]
# # Appendix: optimizers that see a matrix
#
# To the optimizers of the lesson a weight matrix is a bag of numbers. Two younger ones make use of its rows
# and columns.

# %%
#| export
"""Adafactor, which remembers rows and columns, and Muon, which makes steps orthogonal."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.bookkeeping import counted, not_below_zero, number, remembered
from tinytorch.creation import zeros
from tinytorch.optimizers import Optimizer, average, descend
from tinytorch.shortfloat import longer, shorter
from tinytorch.tensor import Tensor

# %% [markdown]
# **Adafactor** (Shazeer and Stern, 2018) keeps the averages of Adam's squares for whole rows and whole
# columns, and takes their product for the square of each number: n + m numbers instead of n·m. It has no
# average of slopes either. Its rate is a share of the size of the weights themselves.

# %%
#| export
class Adafactor(Optimizer):
    """Adam with hardly any memory: squares are averaged by rows and by columns."""

    def __init__(
        self, params, lr: float | Tensor = 1e-2, beta2_decay: float = -0.8, eps: tuple = (None, 1e-3),
        d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ):
        not_below_zero(lr=lr, weight_decay=weight_decay, epsilon1=eps[0] or 0, epsilon2=eps[1])
        if not beta2_decay <= 0: raise ValueError(f"beta2_decay must be 0 or less, not {beta2_decay}")
        if not d >= 1: raise ValueError(f"d, at which steps are clipped, must be 1 or more, not {d}")
        super().__init__(params, {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize})

    def update(self, param, group):
        p, g, lr, state = param.array, param.grad.array, number(group["lr"]), self.state[param]
        t = counted(state)
        eps1, eps2 = group["eps"]
        if eps1 is None: eps1 = float(np.finfo(p.dtype).eps)
        share = t ** group["beta2_decay"]
        size = max(eps2, root_mean_square(p)) * min(lr, 1 / math.sqrt(t))
        p *= 1 - lr * group["weight_decay"]
        room = np.multiply(g, g, out=np.empty_like(g))
        usual = squares(param, state, room, share, eps1)
        np.sqrt(np.maximum(usual, eps1 * eps1, out=room), out=room)
        step = np.divide(g, room, out=room)
        size /= max(1.0, root_mean_square(step) / group["d"])
        descend(p, step, -size if group["maximize"] else size, room)


def squares(param: Tensor, state: dict, new, share: float, least: float):
    """The averages of squares, for each number of a parameter."""
    if param.ndim < 2:
        (v,) = remembered(state, param, "variance")
        average(v, new, share, np.empty_like(v))
        return v
    *more, n, m = param.shape
    for name, dim, shape in [("row_var", -1, (*more, n, 1)), ("col_var", -2, (*more, 1, m))]:
        if name not in state: state[name] = zeros(shape, dtype=param.dtype, device=param.device)
        mean = new.mean(axis=dim, keepdims=True)
        average(state[name].array, mean, share, mean)
    rows, columns = state["row_var"].array, state["col_var"].array
    return np.multiply(rows / np.maximum(rows.mean(axis=-2, keepdims=True), least), columns, out=new)


def root_mean_square(x) -> float:
    """The usual size of the numbers in an array."""
    flat = x.reshape(-1)
    return math.sqrt(float(np.dot(flat, flat)) / flat.size) if flat.size else 0.0

# %% [markdown]
# **Muon** (Jordan and others, 2024) takes the momentum of a matrix and makes it **orthogonal**: all its
# directions become equally long, so that the rare ones are heard. A singular value decomposition would do
# it; five rounds of a polynomial, whose constants are tuned to blow small values up quickly, do it nearly
# as well with matrix products only, and in numbers as short as bfloat16.

# %%
#| export
class Muon(Optimizer):
    """Momentum whose steps are made orthogonal; for matrices only."""

    def __init__(
        self, params, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95,
        nesterov: bool = True, ns_coefficients: tuple = (3.4445, -4.775, 2.0315), eps: float = 1e-7,
        ns_steps: int = 5, adjust_lr_fn: str | None = None,
    ):
        not_below_zero(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"adjust_lr_fn must be 'original' or 'match_rms_adamw', not {adjust_lr_fn!r}")
        super().__init__(params, {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn})
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2: raise ValueError(f"Muon is for matrices, not for {tuple(p.shape)} numbers")

    def update(self, param, group):
        p, g, lr, momentum = param.array, param.grad.array, number(group["lr"]), group["momentum"]
        (v,) = remembered(self.state[param], param, "momentum_buffer")
        room = np.empty_like(p)
        average(v, g, 1 - momentum, room)
        step = v
        if group["nesterov"]:
            step = np.subtract(v, g, out=room)
            step *= momentum
            step += g
        step = orthogonal(step, group["ns_coefficients"], group["ns_steps"], group["eps"])
        n, m = p.shape
        stretch = 0.2 * math.sqrt(max(n, m)) if group["adjust_lr_fn"] == "match_rms_adamw" \
            else math.sqrt(max(1, n / m))
        p *= 1 - lr * group["weight_decay"]
        descend(p, step, lr * stretch, room)


def orthogonal(matrix, coefficients: tuple, steps: int, eps: float):
    """Nearly the orthogonal matrix next to this one, by Newton's and Schulz's method, in bfloat16."""
    if steps >= 100: raise ValueError(f"{steps} rounds are too many: less than 100, please")
    if len(coefficients) != 3: raise ValueError(f"the polynomial has 3 coefficients, not {len(coefficients)}")
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = short(matrix.T if tall else matrix)
    x = short(x / max(float(short(np.sqrt((x * x).sum()))), eps))
    for _ in range(steps):
        gram = short(x @ x.T)
        x = short(a * x + short(b * gram + c * (gram @ gram)) @ x)
    return x.T if tall else x


def short(x): return longer(shorter(x))         # float32 numbers, as far apart as those of bfloat16
