# %% [markdown]
# # Appendix: the rules of recurrent layers
#
# A layer that has walked along a thousand words hands on its gradient by walking back,
# **backpropagation through time**. The rule does it the honest way: it writes the walk once more, in
# small ops that have rules of their own, and asks the engine. That is short, slow, and right as often
# as you differentiate.

# %%
#| export
"""How recurrent layers hand on gradients: backwards through time."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from tinytorch.activations import relu, sigmoid, tanh
from tinytorch.autograd import Autograd, grad
from tinytorch.modes import enable_grad
from tinytorch.receipts import gradient, shortcut, wants_gradient
from tinytorch.dense import linear
from tinytorch.recurrent import gru_layer, lstm_layer, rnn_layer, walk
from tinytorch.rules_dense import column_sums
from tinytorch.shaping import cat, split
from tinytorch.tensor import Tensor, current_engine, reshape, using

# %% [markdown]
# `by_recomputing` serves every op whose inside can be written in other ops. What it differentiates are
# stand-ins for the inputs, one for each: the same tensor may stand in two places, and has a gradient
# for each of them.

# %%
#| export
def by_recomputing(f: Callable, gradients: list, *inputs) -> list:
    """What goes to each input of f, a function made of ops, from the gradients of its outputs."""
    boxed = any([isinstance(x, Tensor) for x in inputs])
    with enable_grad(), using(current_engine() if boxed else Autograd(current_engine().inner)):
        seen = [stand_in(x) for x in inputs]
        arrived = [(y, g if boxed else Tensor(g)) for y, g in zip(f(*seen), gradients) if g is not None]
        wanted = [x for x in seen if wants_gradient(x)]
        outputs, started = zip(*arrived)
        found = grad(outputs, wanted, started, create_graph=boxed, allow_unused=True)
    found = dict(zip(wanted, found if boxed else [g if g is None else g.array for g in found]))
    return [found.get(x) for x in seen]


def stand_in(x):
    """Another tensor with the same numbers and, if it has one, the same history."""
    if isinstance(x, Tensor): return reshape(x, x.shape)
    if x is None: return None
    box = Tensor(x)
    box.wanted = x.dtype.kind in "fV"
    return box


def along_the_line(step: Callable, states: list, sizes, reverse: bool) -> list:
    """Walks; step(start, n, states) gives the new states, of which the first is said.  -> out, *states"""
    said = {}
    for start, n in walk(sizes, reverse):
        new = step(start, n, [x[:n] for x in states])
        said[start] = new[0]
        states = [x if n == len(old) else cat([x, old[n:]]) for x, old in zip(new, states)]
    return [cat([said[start] for start in sorted(said)]), *states]


@gradient(rnn_layer)
def rnn_rule(g, _out, x, h, w_ih, w_hh, b_ih, b_hh, sizes, nonlinearity, reverse):
    bend = tanh if nonlinearity == "tanh" else relu

    def layer(x, h, w_ih, w_hh, b_ih, b_hh):
        heard = linear(x, w_ih, b_ih)
        def step(start, n, states): return [bend(heard[start : start + n] + linear(states[0], w_hh, b_hh))]
        return along_the_line(step, [h], sizes, reverse)
    return by_recomputing(layer, g, x, h, w_ih, w_hh, b_ih, b_hh)


@gradient(gru_layer)
def gru_rule(g, _out, x, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse):
    def layer(x, h, w_ih, w_hh, b_ih, b_hh):
        heard, H = linear(x, w_ih, b_ih), w_hh.shape[1]

        def step(start, n, states):
            of_input = split(heard[start : start + n], H, -1)
            of_state = split(linear(states[0], w_hh, b_hh), H, -1)
            reset, keep = [sigmoid(a + b) for a, b in zip(of_input[:2], of_state)]
            new = tanh(of_input[2] + reset * of_state[2])
            return [new + keep * (states[0] - new)]
        return along_the_line(step, [h], sizes, reverse)
    return by_recomputing(layer, g, x, h, w_ih, w_hh, b_ih, b_hh)


@gradient(lstm_layer)
def lstm_rule(g, _out, x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse):
    def layer(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr):
        heard, H = linear(x, w_ih, b_ih), w_hh.shape[0] // 4

        def step(start, n, states):
            write, keep, new, say = split(heard[start : start + n] + linear(states[0], w_hh, b_hh), H, -1)
            cell = sigmoid(keep) * states[1] + sigmoid(write) * tanh(new)
            told = sigmoid(say) * tanh(cell)
            return [told if w_hr is None else linear(told, w_hr), cell]
        return along_the_line(step, [h, c], sizes, reverse)
    return by_recomputing(layer, g, x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr)

# %% [markdown]
# ## Fewer walks
#
# Walking back, all states are known: the layer said them. So what the gates said can be had for many
# steps at once, in two large products, and how far each gate can be moved as well. What remains for
# each step is a small product and a few short walks, as on the way there. The gradients of the weights
# are large products again, behind the walk.

# %%
#| export
AT_ONCE = 256                       # words whose gates are made again together


class WayBack:
    """A walk in the other direction: what it has gathered, and the states that each step started from."""

    def __init__(self, g, x, first, said, w_ih, w_hh, sizes, reverse: bool):
        self.g, self.x, self.w_ih, self.w_hh = g, x, w_ih, w_hh
        self.steps, self.states, state = walk(sizes, reverse), np.empty_like(said), first.copy()
        for start, n in self.steps:
            self.states[start : start + n] = state[:n]
            state[:n] = said[start : start + n]
        self.dx = np.empty_like(x, order="C")
        self.dh = np.zeros_like(first, order="C") if g[1] is None else g[1].copy()
        self.weights = [np.zeros_like(w, order="C") for w in (w_ih, w_hh)]
        self.biases = [np.zeros_like(w, shape=w.shape[:1]) for w in (w_ih, w_hh)]

    def spans(self):
        """The steps from the last to the first, some at once: their place in the line, and them within it."""
        steps, many = self.steps[::-1], max(1, AT_ONCE // max(1, max([n for _, n in self.steps])))
        for k in range(0, len(steps), many):
            some = steps[k : k + many]
            first, last = min(some)[0], sum(max(some))
            yield slice(first, last), [slice(start - first, start - first + n) for start, n in some]

    def arriving(self, span: slice, step: slice):
        """The gradient for what was said at a step, from there and from later; a view of dh."""
        dh = self.dh[: step.stop - step.start]
        if self.g[0] is not None: dh += self.g[0][span][step]
        return dh

    def heard(self, span: slice, gates: int, b_ih, b_hh) -> list:
        """What inputs and states said, gate by gate.  -> (gates, words, H), (gates, words, H)"""
        said = []
        for line, w, bias in ((self.x, self.w_ih, b_ih), (self.states, self.w_hh, b_hh)):
            part = line[span] @ w.T
            if bias is not None: part += bias
            said.append(part.reshape(len(part), gates, -1).swapaxes(0, 1).copy())
        return said

    def gather(self, span: slice, dx_gates, dh_gates) -> None:
        """Adds up the gradients of weights and biases, and notes that of the input."""
        np.matmul(dx_gates, self.w_ih, out=self.dx[span])
        for n, (gates, line) in enumerate(((dx_gates, self.x), (dh_gates, self.states))):
            self.weights[n] += gates.T @ line[span]
            self.biases[n] += column_sums(gates)


def softened(x) -> None:
    """Over x, its sigmoid."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5


@shortcut(rnn_layer)
def rnn_shortcut(g, out, x, h, w_ih, w_hh, b_ih, b_hh, sizes, nonlinearity, reverse):
    back = WayBack(g, x, h, out[0], w_ih, w_hh, sizes, reverse)
    for span, steps in back.spans():
        said = out[0][span]
        slope = 1 - said * said if nonlinearity == "tanh" else np.greater(said, 0, out=np.empty_like(said))
        for step in steps:
            dh = back.arriving(span, step)
            slope[step] *= dh
            np.matmul(slope[step], w_hh, out=dh)
        back.gather(span, slope, slope)
    return back.dx, back.dh, *back.weights, *back.biases


@shortcut(gru_layer)
def gru_shortcut(g, out, x, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse):
    back, H = WayBack(g, x, h, out[0], w_ih, w_hh, sizes, reverse), w_hh.shape[1]
    for span, steps in back.spans():
        slopes, of_states = back.heard(span, 3, b_ih, b_hh)
        slopes[:2] += of_states[:2]
        softened(slopes[:2])
        (reset, keep, new), of_state = slopes, of_states[2]
        passed = reset.copy()
        new += reset * of_state
        np.tanh(new, out=new)
        left = 1 - keep
        moved = (back.states[span] - new) * keep * left
        np.multiply(1 - new * new, left, out=new)                   # from here on: how far h moves the gates
        reset *= (1 - reset) * new * of_state
        dx, dstate = [np.empty_like(x, shape=(left.shape[0], 3 * H)) for _ in range(2)]
        for step in steps:
            dh = back.arriving(span, step)
            now, before = [d[step].reshape(len(dh), 3, H).swapaxes(0, 1) for d in (dx, dstate)]
            np.multiply(reset[step], dh, out=now[0])
            np.multiply(moved[step], dh, out=now[1])
            np.multiply(new[step], dh, out=now[2])
            before[:2] = now[:2]
            np.multiply(now[2], passed[step], out=before[2])
            dh *= keep[step]
            dh += dstate[step] @ w_hh
        back.gather(span, dx, dstate)
    return back.dx, back.dh, *back.weights, *back.biases


# %% [markdown]
# The LSTM has kept its gates as they were at each step, lying on their side. It has less to do: no gate is
# made again, and everything between two products stays in the cache.

# %%
#| export
@shortcut(lstm_layer)
def lstm_shortcut(g, out, x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse, kept):
    back, H = WayBack(g, x, h, out[0], w_ih, w_hh, sizes, reverse), w_hh.shape[0] // 4
    cells, dc = kept[0], np.zeros_like(c.T, order="C") if g[2] is None else g[2].T.copy()
    walked = reversed(list(zip(*kept, cells_before(c.T, cells))))
    shorter = None if w_hr is None else np.zeros_like(w_hr, order="C")
    for span, steps in back.spans():
        slopes = np.empty_like(x, shape=(4 * H, span.stop - span.start))
        for step in steps:
            cell, gates, before = next(walked)
            (write, keep, say, new), dh = gates, back.arriving(span, step)
            dtold = dh.T.copy() if w_hr is None else w_hr.T @ dh.T
            bent, soft = np.tanh(cell), np.subtract(1, gates[:3])
            soft *= gates[:3]                                       # how far a nudge moves each switch
            if w_hr is not None: shorter += (say * bent @ dh).T
            slope = np.empty_like(gates, order="C")                 # of write, keep, new and say
            for place, moved, by in ((0, soft[0], new), (1, soft[1], before), (3, soft[2], bent)):
                np.multiply(moved, by, out=slope[place])
            for told, moved, by in ((new, slope[2], write), (bent, bent, say)):     # what tanh lets pass
                np.multiply(told, told, out=moved)
                np.subtract(1, moved, out=moved)
                moved *= by
            dcell = dc[:, : len(dh)]
            bent *= dtold
            dcell += bent
            slope[:3] *= dcell
            slope[3] *= dtold
            dcell *= keep
            flat = slopes[:, step] = slope.reshape(4 * H, -1)
            np.matmul(flat.T, w_hh, out=dh)
        back.gather(span, slopes.T, slopes.T)
    return back.dx, back.dh, dc.T, *back.weights, *back.biases, shorter


def cells_before(first, cells: list) -> list:
    """What each step found: what the one before left, and the first for those who join.  (H, B) -> (H, n)…"""
    found = [first[:, : c.shape[1]] for c in cells[:1]]
    for old, new in pairwise(cells):
        stayed, n = old.shape[1], new.shape[1]
        found.append(old[:, :n] if n <= stayed else np.concatenate([old, first[:, stayed:n]], axis=1))
    return found
