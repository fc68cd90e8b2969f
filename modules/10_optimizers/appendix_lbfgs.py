# %% [markdown]
# # Appendix: LBFGS
#
# A slope says how steep it is; how the slope itself *changes* says how far away the bottom is. Newton's
# method uses that, and needs a matrix with the square of as many numbers as there are weights. **BFGS**
# (Broyden, Fletcher, Goldfarb and Shanno, all in 1970) guesses the matrix from the steps taken and the
# changes of slope they brought; its limited-memory form keeps the last hundred of these pairs and never
# writes the matrix down.
#
# It is at home where the loss can be computed exactly, on few weights: fitting curves, physics, style
# transfer. On batches it loses its way, since there the slope changes because the data do.

# %%
#| export
"""LBFGS: all weights as one vector, and the curvature guessed from the last steps."""

# %%
#| export
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinytorch.autograd import enable_grad
from tinytorch.bookkeeping import not_below_zero, number, written
from tinytorch.optimizers import Optimizer
from tinytorch.tensor import Tensor

# %% [markdown]
# ## The curvature, from pairs
#
# If a step `s` changed the slope by `y`, the inverse curvature takes `y` to `s`. The two loops apply all
# known pairs to a slope, newest first and back again.

# %%
#| export
def newton_direction(slope, pairs: list, scale: float):
    """The direction that the pairs (s, y) suggest, downhill from a slope."""
    direction, shares = -slope, []
    for s, y, rho in reversed(pairs):
        shares.append(rho * float(s @ direction))
        direction -= shares[-1] * y
    direction *= scale
    for (s, y, rho), share in zip(pairs, reversed(shares)):
        direction += (share - rho * float(y @ direction)) * s
    return direction

# %% [markdown]
# ## How far, exactly
#
# With `line_search_fn="strong_wolfe"` the step is as long as it takes: until the loss has fallen enough for
# its length, and the slope along the way has become much flatter (Nocedal and Wright, algorithms 3.5 and
# 3.6). First the step grows until the bottom lies somewhere between two points; then the gap is narrowed.
# Between two points with their heights and slopes lies the bottom of a cubic curve.

# %%
#| export
class Point(NamedTuple):
    """A place along a direction: how far, how high, the gradient there, and its slope along the direction."""

    t: float
    loss: float
    gradient: Any
    slope: float


def cubic_bottom(p: Point, q: Point, limits: tuple | None = None) -> float:
    """Where the cubic curve through two points with their slopes is lowest, within limits."""
    if p.t > q.t: p, q = q, p
    least, most = limits or (p.t, q.t)
    mean = p.slope + q.slope - 3 * (p.loss - q.loss) / (p.t - q.t)
    square = mean * mean - p.slope * q.slope
    if not square >= 0: return (least + most) / 2
    root = math.sqrt(square)
    bend = q.slope - p.slope + 2 * root
    bottom = q.t - (q.t - p.t) * (q.slope + root - mean) / bend if bend else math.nan
    return (least + most) / 2 if math.isnan(bottom) else min(max(bottom, least), most)


def bracketed(at: Callable, start: Point, t: float, tries: int) -> tuple[list[Point], int, bool]:
    """Two points with a good one between them, or a good one; how often it looked; whether it is done."""
    before, now = start, at(t)
    for n in range(tries):
        if too_high(now, start) or (n > 1 and now.loss >= before.loss): return [before, now], n, False
        if flat(now, start): return [now], n, True
        if now.slope >= 0: return [before, now], n, False
        t = cubic_bottom(before, now, (now.t + 0.01 * (now.t - before.t), now.t * 10))
        before, now = now, at(t)
    return [start, now], tries, False


def too_high(now: Point, start: Point) -> bool: return now.loss > start.loss + 1e-4 * now.t * start.slope
def flat(now: Point, start: Point) -> bool: return abs(now.slope) <= -0.9 * start.slope

# %%
#| export
def strong_wolfe(at: Callable, start: Point, t: float, narrow: float, tries: int = 25) -> Point:
    """A point along the direction that is low enough and flat enough; the lowest, if there is none."""
    ends, n, done = bracketed(at, start, t, tries)
    ends.sort(key=lambda point: point.loss)                 # the lower end first
    stuck = False
    while not done and n < tries:
        least, most = sorted([point.t for point in ends])
        if most - least < narrow: break
        t, stuck = not_too_near(cubic_bottom(*ends), least, most, stuck)
        now, n = at(t), n + 1
        if too_high(now, start) or now.loss >= ends[0].loss:
            ends = sorted([ends[0], now], key=lambda point: point.loss)
            continue
        done = flat(now, start)
        if not done and now.slope * (ends[1].t - ends[0].t) >= 0: ends[1] = ends[0]
        ends[0] = now
    return ends[0]


def not_too_near(t: float, least: float, most: float, stuck: bool) -> tuple[float, bool]:
    """A place between two ends; the second time in a row that it lies close to one, it is moved away."""
    margin = 0.1 * (most - least)
    if min(most - t, t - least) >= margin: return t, False
    if not stuck and least < t < most: return t, True
    return (most - margin if abs(t - most) < abs(t - least) else least + margin), False

# %% [markdown]
# ## The optimizer
#
# It asks for the loss several times a step, so it wants a closure, which computes loss and gradients anew.
# And it sees all parameters as one vector; the one optimizer here with a `step` of its own.

# %%
#| export
class LBFGS(Optimizer):
    """Newton's method with a guess at the curvature; `step` wants a closure that computes the loss."""

    def __init__(
        self, params, lr: float | Tensor = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        not_below_zero(lr=lr)
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn})
        if len(self.param_groups) != 1: raise ValueError("LBFGS sees one vector: one parameter group only")

    # ------------------------------------------------------------------------ parameters as one vector

    def _gradient(self):
        """All gradients in a row; zeros where there is none."""
        rows = [np.zeros_like(p.array) if p.grad is None else p.grad.array for p in self._parameters()]
        return np.concatenate([row.reshape(-1) for row in rows])

    def _move(self, direction, t: float) -> None:
        """All parameters by t along a direction."""
        start = 0
        for p in self._parameters():
            part = direction[start : start + p.array.size].reshape(p.array.shape)
            p.array += t * part
            written(p)
            start += p.array.size

    def _parameters(self) -> list[Tensor]: return self.param_groups[0]["params"]

    def _look(self, closure: Callable, direction, t: float) -> Point:
        """What the loss would be further along; the parameters are put back."""
        places = [p.array.copy() for p in self._parameters()]
        self._move(direction, t)
        loss, gradient = float(closure()), self._gradient()
        for p, place in zip(self._parameters(), places):
            p.array[...] = place
            written(p)
        return Point(t, loss, gradient, float(gradient @ direction))

    # -------------------------------------------------------------------------------------- the step

    def step(self, closure: Callable):
        """Up to `max_iter` steps, and `max_eval` looks at the loss; the loss there was before them."""
        group, state = self.param_groups[0], self.state[self._parameters()[0]]
        lr, search = number(group["lr"]), group["line_search_fn"]
        if search not in (None, "strong_wolfe"): raise RuntimeError(f"line_search_fn={search!r} is not known")
        looks = 0

        def look():
            nonlocal looks
            looks += 1
            with enable_grad(): return closure()

        def low(gradient) -> bool: return np.abs(gradient).max(initial=0) <= group["tolerance_grad"]

        first = look()
        loss, gradient = float(first), self._gradient()
        state.setdefault("func_evals", 0), state.setdefault("n_iter", 0)
        memory, n = Memory(state, group["history_size"]), 0
        while n < group["max_iter"] and not low(gradient):
            n, fresh = n + 1, state["n_iter"] == 0
            state["n_iter"] += 1
            direction = memory.direction(gradient)
            memory.remember(gradient, loss)
            t = min(1.0, 1.0 / float(np.abs(gradient).sum())) * lr if fresh else lr
            start = Point(0.0, loss, gradient, float(gradient @ direction))
            memory.d, memory.t = direction, t
            if start.slope > -group["tolerance_change"]: break
            if search:
                narrow = group["tolerance_change"] / float(np.abs(direction).max())
                found = strong_wolfe(lambda t, d=direction: self._look(look, d, t), start, t, narrow,
                                     group["max_eval"] - looks)
                loss, gradient, t = found.loss, found.gradient, found.t
            self._move(direction, t)
            memory.t, before = t, start.loss
            if not search and n != group["max_iter"]: loss, gradient = float(look()), self._gradient()
            if looks >= group["max_eval"]: break
            if np.abs(direction).max() * abs(t) <= group["tolerance_change"]: break
            if abs(loss - before) < group["tolerance_change"]: break
        state["func_evals"] += looks
        if n: memory.keep(state)
        return first


class Memory:
    """The pairs of steps and changes of slope, as they lie in PyTorch's state dict."""

    def __init__(self, state: dict, size: int):
        def arrays(name): return [kept.array for kept in state.get(name) or []]
        self.size, self.scale = size, number(state.get("H_diag", 1))
        rho = [number(kept) for kept in state.get("ro") or []]
        self.pairs = list(zip(arrays("old_stps"), arrays("old_dirs"), rho))
        self.t, self.loss = number(state.get("t")), state.get("prev_loss")
        self.d, self.before = [state[name].array if state.get(name) is not None else None
                               for name in ("d", "prev_flat_grad")]

    def direction(self, gradient):
        """Where to go: down at first, later as far as the known pairs bend it."""
        if self.d is None: return -gradient
        y, s = gradient - self.before, self.d * self.t
        curvature = float(y @ s)
        if curvature > 1e-10:
            self.pairs = [*self.pairs, (s, y, 1 / curvature)][-self.size :]
            self.scale = curvature / float(y @ y)
        return newton_direction(gradient, self.pairs, self.scale)

    def remember(self, gradient, loss: float) -> None: self.before, self.loss = gradient.copy(), loss

    def keep(self, state: dict) -> None:
        """Writes it all down."""
        steps, changes, rho = [list(column) for column in zip(*self.pairs)] or [[], [], []]
        kind = self.d.dtype
        state.update(
            d=Tensor(self.d), t=self.t, old_dirs=[Tensor(y) for y in changes],
            old_stps=[Tensor(s) for s in steps], ro=[Tensor(np.array(r, kind)) for r in rho],
            H_diag=Tensor(np.array(self.scale, kind)), prev_flat_grad=Tensor(self.before),
            prev_loss=self.loss)
