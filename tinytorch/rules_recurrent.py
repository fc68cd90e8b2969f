# Generated from modules/09_autograd/appendix_rules_recurrent.py by `tito export`. Edit that file, not this one.
"""How recurrent layers hand on gradients: backwards through time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .activations import relu, sigmoid, tanh
from .autograd import Autograd, grad
from .dense import linear
from .modes import enable_grad
from .receipts import gradient, shortcut, wants_gradient
from .recurrent import gru_layer, lstm_layer, rnn_layer, walk
from .rules_dense import column_sums
from .shaping import cat, split
from .tensor import Tensor, current_engine, reshape, using

__all__ = [
    "by_recomputing", "stand_in", "along_the_line", "rnn_rule", "gru_rule", "lstm_rule", "WayBack", "arrived",
    "said_by", "soft", "slopes", "rnn_shortcut", "gru_shortcut", "lstm_shortcut", "cells_of",
]


def by_recomputing(f: Callable, gradients: list, *inputs) -> list:
    """What goes to each input of f, a function made of ops, from the gradients of its outputs."""
    boxed = any([isinstance(x, Tensor) for x in inputs])
    with enable_grad(), using(current_engine() if boxed else Autograd(current_engine().inner)):
        seen = [stand_in(x) for x in inputs]
        arrived = [(y, g if isinstance(g, Tensor) else Tensor(g)) for y, g in zip(f(*seen), gradients) if g is not None]
        wanted = [x for x in seen if wants_gradient(x)]
        found = grad([y for y, _ in arrived], wanted, [g for _, g in arrived], create_graph=boxed, allow_unused=True)
    found = dict(zip(wanted, found if boxed else [g if g is None else g.array for g in found]))
    return [found.get(x) for x in seen]


def stand_in(x):
    """Another tensor with the same numbers and, if it has one, the same history."""
    if isinstance(x, Tensor): return reshape(x, x.shape)
    if x is None: return None
    box = Tensor(x)
    box.requires_grad = x.dtype.kind in "fV"
    return box


def along_the_line(step: Callable, states: list, sizes, reverse: bool) -> list:
    """Walks: step(start, n, states) gives the new states, and the first of them is what is said.  -> out, *states"""
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


class WayBack:
    """The steps of a walk, and the states before each of them."""

    def __init__(self, sizes, reverse: bool):
        self.steps = walk(sizes, reverse)

    def before(self, first, said):
        """For each step the state that it started from, side by side.  (B, H), (N, H) -> (H, N)"""
        out, state = np.empty_like(said, shape=said.shape[::-1]), first.T.copy()
        for start, n in self.steps:
            out[:, start : start + n] = state[:, :n]
            state[:, :n] = said[start : start + n].T
        return out

    def __reversed__(self): return reversed([slice(start, start + n) for start, n in self.steps])


def arrived(g, like):
    """A gradient on its side, in memory of its own; zeros where none has arrived.  (B, H) -> (H, B)"""
    return np.zeros_like(like, shape=like.shape[::-1]) if g is None else g.T.copy()


def said_by(weight, line, bias):
    """What the numbers along a line say to the gates.  (gates, H), (H, N), (gates) -> (gates, N)"""
    out = weight @ line
    if bias is not None: out += bias[:, None]
    return out


def soft(x):
    """Over x, its sigmoid."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5
    return x


def slopes(dx_gates, dh_gates, x, states, w_ih, dh) -> list:
    """The gradients for input, state and weights from those of what was said to the gates."""
    return [lambda: dx_gates.T @ w_ih, dh.T, lambda: dx_gates @ x, lambda: dh_gates @ states.T,
            lambda: dx_gates.sum(axis=1), lambda: dh_gates.sum(axis=1)]


@shortcut(rnn_layer)
def rnn_shortcut(g, out, x, h, w_ih, w_hh, b_ih, b_hh, sizes, nonlinearity, reverse):
    out, way = out[0], WayBack(sizes, reverse)
    states, dh = way.before(h, out), arrived(g[1], h)
    slope = (1 - out * out if nonlinearity == "tanh" else (out > 0).astype(out.dtype)).T.copy()
    for step in reversed(way):
        now, n = slope[:, step], step.stop - step.start
        if g[0] is not None: dh[:, :n] += g[0][step].T
        now *= dh[:, :n]
        dh[:, :n] = w_hh.T @ now
    return slopes(slope, slope, x, states, w_ih, dh)


@shortcut(gru_layer)
def gru_shortcut(g, out, x, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse):
    out, way, H = out[0], WayBack(sizes, reverse), w_hh.shape[1]
    states, dh = way.before(h, out), arrived(g[1], h)
    dx, dstate = said_by(w_ih, x.T, b_ih), said_by(w_hh, states, b_hh)
    both = dx[: 2 * H]
    both += dstate[: 2 * H]
    soft(both)
    reset, keep, new, of_state = dx[:H].copy(), dx[H : 2 * H].copy(), dx[2 * H :], dstate[2 * H :]
    new += reset * of_state
    np.tanh(new, out=new)
    dx[H : 2 * H] = (states - new) * keep * (1 - keep)              # from here on dx holds slopes for dh
    new *= new
    np.subtract(1, new, out=new)
    new *= 1 - keep
    dx[:H] = new * of_state * reset * (1 - reset)
    for step in reversed(way):
        n = step.stop - step.start
        state, gates = dh[:, :n], dx[:, step].reshape(3, H, n)
        if g[0] is not None: state += g[0][step].T
        gates *= state
        dx[:, step] = gates.reshape(3 * H, n)
        dstate[: 2 * H, step] = dx[: 2 * H, step]
        np.multiply(dx[2 * H :, step], reset[:, step], out=dstate[2 * H :, step])
        state *= keep[:, step]
        state += w_hh.T @ dstate[:, step]
    return slopes(dx, dstate, x, states, w_ih, dh)


@shortcut(lstm_layer)
def lstm_shortcut(g, out, x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse, kept):
    out, way, H = out[0], WayBack(sizes, reverse), w_hh.shape[0] // 4
    states, dh, dc = way.before(h, out), arrived(g[1], h), arrived(g[2], c)
    gates = said_by(w_ih, x.T, b_ih)
    gates += said_by(w_hh, states, b_hh)
    cell, before = cells_of(way, c, kept[0])
    write, keep, new, say = gates.reshape(4, H, -1)
    soft(gates[: 2 * H])
    soft(say)
    np.tanh(new, out=new)
    bent = np.tanh(cell, out=cell)
    told = say * bent if w_hr is not None else None                 # (H, N), what was made shorter
    through = (1 - bent * bent) * say                               # how far c moves what is said
    remember = keep.copy()
    bent *= say * (1 - say)                                         # from here on gates hold slopes
    say[...] = bent
    keep *= (1 - keep) * before
    slope = write * (1 - new * new)
    write *= (1 - write) * new
    new[...] = slope
    dtold = None if w_hr is None else np.empty_like(out, shape=out.shape[::-1])
    for step in reversed(way):
        n = step.stop - step.start
        dsaid, dcell, now = dh[:, :n], dc[:, :n], gates[:, step].reshape(4, H, n)
        if g[0] is not None: dsaid += g[0][step].T
        if w_hr is not None:
            dtold[:, step] = dsaid
            dsaid = w_hr.T @ dsaid
        dcell += dsaid * through[:, step]
        now[:3] *= dcell
        now[3] *= dsaid
        gates[:, step] = now.reshape(4 * H, n)
        dcell *= remember[:, step]
        dh[:, :n] = w_hh.T @ gates[:, step]
    dx, dh, *rest = slopes(gates, gates, x, states, w_ih, dh)
    return [dx, dh, dc.T, *rest, lambda: dtold @ told.T]


def cells_of(way: WayBack, first, kept: list):
    """The states c after and before each step, side by side, from those kept.  (B, H) -> (H, N), (H, N)"""
    N = sum([c.shape[1] for c in kept])
    after, before, state = *[np.empty_like(first, shape=(first.shape[1], N)) for _ in range(2)], first.T.copy()
    for (start, n), c in zip(way.steps, kept):
        before[:, start : start + n] = state[:, :n]
        after[:, start : start + n] = state[:, :n] = c
    return after, before
