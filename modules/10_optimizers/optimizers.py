# %% [markdown]
# # Optimizers
#
# A gradient says which way is up. It does not say how far, and it speaks of the place where you stand and
# of no other. Everything else an optimizer knows, it has to remember or to guess.
#
# You write the loop that walks over all parameters, and three answers to "how far?": as far as the slope is
# steep, as far as the last steps have carried you, and, for each weight, as far as is usual for it. You
# race them down three valleys, and find out why the first steps of Adam are right only because somebody
# divided by nearly nothing.

# %%
#| export
"""Which way is down, and how far: the rules by which parameters follow their gradients."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.autograd import enable_grad
from tinytorch.bookkeeping import (
    Books,
    counted,
    cut,
    not_below_zero,
    number,
    remembered,
    shares,
    ways,
    written,
)
from tinytorch.pace import LRScheduler
from tinytorch.tensor import Tensor, tensor

# %% [markdown]
# ## One step
#
# Here is a ravine: steep across, and hardly sloping along. The lowest point is at (0, 0).

# %%
from tinytorch.landscapes import Landscape
from tinytorch.layers import Parameter

ravine = Landscape(lambda x, y: x * x / 2 + 10 * y * y, x=(-10, 10), y=(-4, 4))
ravine

# %%
at = Parameter(tensor([-9.0, 1.0]))
ravine(at).backward()
at.grad

# %% [markdown]
# Uphill is across, twice as much as along, although the bottom lies nine away along and one across. And a
# step against that arrow, how long? The rate `lr` says. Both ways of getting it wrong fit on one line.
# Across the ravine a step multiplies `y` by `1 - 20·lr`; along it, `x` by `1 - lr`. Which is the largest
# rate that does not throw you out, and how much of `x` is left after 20 steps with it?
#
# In NumPy a step is `p = p - lr * g`. That makes two new arrays of the size of the parameter, and the
# network would go on looking at the old one. A step has to happen **in place**, and where it needs room to
# compute, it gets that room handed in.
#
# **Your turn.** All four are arrays or numbers; `room` is as large as `p`, and may be `g` itself.

# %%
#| export exercise
def descend(p, g, lr: float, room) -> None:
    """Moves p against g by lr times g, in place; room is memory to compute in."""
    #| hint np.multiply(g, lr, out=room) computes into memory that is there.
    #| hint `p -= room` changes the array p; `p = p - room` makes a new one that nobody looks at.
    ### BEGIN SOLUTION
    np.multiply(g, lr, out=room)
    p -= room
    ### END SOLUTION

# %%
#| check 2
p, g, room = [np.array(x, np.float32) for x in ([1.0, 2.0], [10.0, -20.0], [0.0, 0.0])]
descend(p, g, 0.1, room)
assert p.tolist() == [0.0, 4.0], "a step goes against the gradient, in place: the caller's array has moved"
assert g.tolist() == [10.0, -20.0], "the gradient is somebody else's: it is read, not changed"
assert room.tolist() == [1.0, -2.0], "what has to be computed is computed in the room that was given"
descend(p, g, 0.0, room)
assert p.tolist() == [0.0, 4.0], "with a rate of 0 nothing moves"
descend(p, g, 1.0, g)
assert p.tolist() == [-10.0, 24.0], "the room may be the gradient itself: whatever you read, read it first"
from tinytorch import peak_memory
large = np.ones((3, 250_000), np.float32)
assert peak_memory(lambda: descend(*large[:2], 0.1, large[2])) < 250_000, \
    "no array is made on the way: a step happens in place, without temporaries"

# %% [markdown]
# ## One walk
#
# All optimizers do the same walk: group by group, parameter by parameter, past those that have no gradient
# (nobody asked about them; that is not the same as a gradient of zero). They differ in one thing, what they
# do to a parameter. So the walk is written once, here, and it calls `self.update(p, group)`, which every
# optimizer writes for itself.
#
# The parameters lie in groups, dicts with settings of their own: `{"params": [...], "lr": 0.1, ...}`. What
# is remembered of a parameter is in the dict `self.state[p]`. Both belong to the class `Books`, in the
# appendix on bookkeeping, with saving and loading.
#
# **Your turn.** After an update, `written(p)` notes that the memory of `p` was written over, so that the
# engine of lesson 09 can refuse to use values that are not there any more. A `closure` is a function that
# computes the loss (and the gradients) anew; some optimizers want to do that several times a step. This
# walk calls it once, first, and hands its answer back.

# %%
#| export exercise
class Optimizer(Books):
    """Changes parameters by their gradients. A subclass says in `update` how it changes one of them."""

    def step(self, closure=None):
        """One update of each parameter that has a gradient; the loss, if there is a closure to compute it."""
        loss = None
        if closure is not None:
            with enable_grad(): loss = closure()
        #| hint for group in self.param_groups: for p in group["params"]: …
        #| hint A parameter whose p.grad is None is passed by: no update, and nothing noted.
        ### BEGIN SOLUTION
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None: continue
                self.update(p, group)
                written(p)
        ### END SOLUTION
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

# %%
#| check 2
from tinytorch.landscapes import sloped

class Asked(Optimizer):
    def update(self, param, group): self.asked = [*getattr(self, "asked", []), (param, group["lr"])]

with_gradient, also, without = sloped(1.0), sloped(0.0), sloped(None)
walk = Asked([{"params": [with_gradient, without]}, {"params": [also], "lr": 5.0}], {"lr": 1.0})
assert walk.step() is None, "without a closure there is no loss to hand back"
found = [(p is with_gradient, p is also, lr) for p, lr in walk.asked]
assert found[0] == (True, False, 1.0), "an update is told its parameter, and the settings of its group"
assert not any([p is without for p, _ in walk.asked]), "a parameter without a gradient is passed by"
assert found[1:] == [(False, True, 5.0)], \
    "all groups are walked, each with its own settings; a gradient of 0 is a gradient"
assert with_gradient._version == 1 and without._version == 0, \
    "each update is noted once, with written(p): the engine counts who was written over"
calls = []
assert walk.step(lambda: calls.append(len(walk.asked)) or 7.0) == 7.0, \
    "the loss that the closure computes is handed back"
assert calls == [2], "a closure is called once, and before the first update"

# %% [markdown]
# `pieces` is given. It turns the sign of the gradient if the settings say `maximize`, and it calls
# something that you have not written yet.
#
# ## A pull towards zero
#
# **Weight decay** makes every weight a little smaller at each step, by a share of itself, unless its
# gradient speaks for it. Small weights make smooth functions. There are two places to put it. The old one
# is in the loss: add `weight_decay · w²/2`, whose gradient is `weight_decay · w`, and let the optimizer
# find out. The other leaves the gradient alone and shrinks the weight itself, by `lr · weight_decay`.
#
# For a plain step these are the same, as you can check with a pencil. Do you think they stay the same when
# a step is not simply `lr` times the gradient? Keep your answer; you will need it for Adam.
#
# **Your turn.** `decayed` returns the gradient to follow. The decoupled kind changes `p` in place and
# returns `g` as it is. The other computes another gradient; it may use `room` and has to put its result in
# `other` (in which `g` may be lying already). It never changes `g` if that is the gradient itself.

# %%
#| export exercise
def decayed(p, g, group: dict, room, other):
    """The gradient to follow, after weight decay: of p with the decay in it, or of a p that was shrunk."""
    decay = group["weight_decay"]
    if group.get("decoupled_weight_decay"):
        #| hint p *= a number just below 1.
        ### BEGIN SOLUTION
        p *= 1 - number(group["lr"]) * decay
        return g
        ### END SOLUTION
    #| hint np.multiply(p, decay, out=room), then np.add(…, …, out=other), which returns other.
    ### BEGIN SOLUTION
    np.multiply(p, decay, out=room)
    return np.add(g, room, out=other)
    ### END SOLUTION

# %%
#| check 2
def pulled(**settings):
    p, g, room, other = [np.array([x], np.float32) for x in (2.0, 3.0, 0.0, 0.0)]
    found = decayed(p, g, {"lr": 0.5, "weight_decay": 0.25, **settings}, room, other)
    return float(p[0]), float(g[0]), float(found[0]), found is other, found is g

p, g, found, in_other, same = pulled()
assert found == 3.5 and p == 2.0, "coupled decay is part of the gradient: g + weight_decay * p, and p stays"
assert g == 3.0 and in_other, "the gradient itself is not changed: the other one lies in the other room"
p, g, found, in_other, same = pulled(decoupled_weight_decay=True)
assert p == 1.75, "decoupled decay shrinks the weight itself, by the share lr * weight_decay"
assert found == 3.0 and same, "decoupled decay does not show in the gradient"
p, g, room = [np.array([x], np.float32) for x in (2.0, 3.0, 0.0)]
assert decayed(p, g, {"lr": 0.5, "weight_decay": 0.25}, room, g)[0] == 3.5, \
    "the gradient may lie in the other room already: compute the pull elsewhere first"

# %% [markdown]
# ## Memory
#
# A ball that rolls down a ravine does not turn at each point into the steepest direction. It keeps most of
# its velocity, and the slope only bends its way. Across the ravine the slopes point left and right in turn,
# and cancel in the sum; along it they all point the same way, and add up. That is **momentum**:
#
# $$v \leftarrow \mu v + (1 - \text{dampening})\,g \qquad p \leftarrow p - \text{lr} \cdot v$$
#
# After a hundred steps against the same slope, how much longer is a step with `momentum=0.9` than without?
# (Sum what is left of each of them.)
#
# **Nesterov**'s variant looks ahead: the memory is about to carry you on by μv anyway, so it follows
# `g + momentum * v`, the slope with that push already in it.
#
# **Your turn.** The velocity is kept as `"momentum_buffer"`, which `pieces` hands you as an array of zeros
# the first time. At that first step PyTorch does not dampen: the velocity is the gradient.

# %%
#| export exercise
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
            #| hint v *= momentum, in place. Then add the share of g: np.multiply(g, share, out=room).
            #| hint Nesterov: room can hold momentum * v, and then that plus g. Never write into g.
            #| hint Finally descend(p, what you follow, lr, room).
            ### BEGIN SOLUTION
            v *= momentum
            v += g if share == 1 else np.multiply(g, share, out=room)
            if group["nesterov"]: v = np.add(g, np.multiply(v, momentum, out=room), out=room)
            descend(p, v, lr, room)
            ### END SOLUTION

# %%
#| check 3
from tinytorch.landscapes import sloped, trail

assert trail(lambda p: SGD(p, 0.5), 2.0, 2.0, -4.0) == [-1.0, -2.0, 0.0], "without momentum: lr times g"
assert trail(lambda p: SGD(p, 1.0, momentum=0.5), 1.0, 1.0, 1.0) == [-1.0, -2.5, -4.25], \
    "velocities add up: v becomes momentum * v + g, in place"
assert trail(lambda p: SGD(p, 1.0, momentum=0.5), 1.0, 0.0, 0.0) == [-1.0, -1.5, -1.75], \
    "momentum remembers: without a slope the velocity dies away, and goes on meanwhile"
assert trail(lambda p: SGD(p, 1.0, momentum=0.5, dampening=0.75), 1.0, 1.0) == [-1.0, -1.75], \
    "dampening takes a share off the new gradient, but not off the first"
assert trail(lambda p: SGD(p, 1.0, momentum=0.5, nesterov=True), 1.0, 0.0) == [-1.5, -1.75], \
    "Nesterov looks ahead: it follows g + momentum * v"
p = sloped(1.0)
slower = SGD([p], 1.0, momentum=0.5)
slower.step()
slower.param_groups[0]["lr"] = 0.5
slower.step()
assert p.item() == -1.75, "the rate scales the step and not the velocity: it may change at any time"
assert trail(lambda p: SGD(p, 0.5, momentum=0.5, maximize=True), 1.0) == [0.5], "maximize goes uphill"
assert trail(lambda p: SGD(p, 0.5, weight_decay=0.5), 0.0, start=4.0) == [3.0], "decay pulls towards 0"
p = sloped(3.0)
memory = SGD([p], momentum=0.9, nesterov=True)
memory.step()
assert memory.state[p]["momentum_buffer"].tolist() == [3.0], \
    "the velocity is remembered in place, as momentum_buffer: after one step it is the gradient"
assert p.grad.tolist() == [3.0], "the gradient is read, not changed: it is somebody else's"

# %% [markdown]
# The trail through the ravine. Each dot is a step. (`race` takes as many steps as you say, from `start`,
# and keeps the places.)

# %%
def race(landscape, start, steps, **racers):
    trails = {}
    for name, make in racers.items():
        at = Parameter(tensor(start))
        optimizer, trails[name] = make([at]), [at.tolist()]
        for _ in range(steps):
            optimizer.zero_grad()
            landscape(at).backward()
            optimizer.step()
            trails[name].append(at.tolist())
    return landscape.draw(**trails)

race(ravine, (-9.0, 3.0), 30, plain=lambda p: SGD(p, 0.095), momentum=lambda p: SGD(p, 0.03, momentum=0.8))

# %% [markdown]
# The plain one uses nearly the largest rate there is, tumbles from wall to wall, and is not done. The one
# with momentum takes a third of that rate, and swings past the bottom before it settles: memory has to be
# lost again. Which momentum would be best? (Try 0.5 and 0.95.)
#
# ## To each its own step
#
# The ravine is only the world of somebody who measures x in inches and y in miles. Networks are like that:
# the bias of a layer, the embedding of a rare word and a weight in the first layer have slopes of quite
# different sizes, and one rate has to suit them all. So divide each gradient by its own usual size. Then a
# step says "as far as is usual", whatever the units.
#
# The usual size is the root of an average of g², and the direction had better be an average too. Both are
# **exponential moving averages**: at each step the average moves a small share of the way to the new value.
#
# **Your turn.** In place, three walks over memory; `x` may be `room`.

# %%
#| export exercise
def average(m, x, share: float, room) -> None:
    """Moves the average m by this share of the way to x, in place."""
    #| hint room can hold the way from m to x, and then the share of it that is to be gone.
    ### BEGIN SOLUTION
    np.subtract(x, m, out=room)
    room *= share
    m += room
    ### END SOLUTION

# %%
#| check 1
m, x, room = [np.array([n], np.float32) for n in (10.0, 20.0, 0.0)]
average(m, x, 0.25, room)
assert m.tolist() == [12.5], "the average goes a quarter of the way from 10 to 20, in place"
assert x.tolist() == [20.0], "what is averaged is read, not changed"
average(m, x, 0.0, room)
assert m.tolist() == [12.5], "with a share of 0 nothing new is learned"
average(m, x, 0.5, x)
assert m.tolist() == [16.25], "the room may be what is averaged: compute the way before you write"

# %%
#| check 1 hidden
#| id hidden-average
m, x = np.array([[1.0, -2.0], [0.0, 8.0]], np.float32), np.array([[3.0, -2.0], [4.0, 0.0]], np.float32)
average(m, x, 0.125, np.empty_like(m))
assert m.tolist() == [[1.25, -2.0], [0.5, 7.0]], "each number goes its own eighth of the way"
average(m, x, 1.0, np.empty_like(m))
assert m.tolist() == x.tolist(), "with a share of 1 only the newest counts"

# %% [markdown]
# An average has to begin somewhere, and it begins at 0, which is not the average of anything. Here is the
# average of a slope that is always 1, with Adam's two shares. Where are they after ten steps? Guess first.

# %%
for share in (0.1, 0.001):
    m, x, room = np.zeros(1), np.ones(1), np.zeros(1)
    for _ in range(10): average(m, x, share, room)
    print(f"share {share}: {m[0]:.4f} instead of 1")

# %% [markdown]
# Hardly off the ground. After t steps of share 1 − β, the zero it began with still has the weight β to the
# power t; real slopes have all the rest, `1 - beta**t`. Divide by that, and the average is one of real
# slopes from the first step on. This is the **bias correction**.
#
# **Adam** (Kingma and Ba, 2015) puts it all together: m is an average of g, v is one of g², both corrected
# by what is real of them, and
#
# $$p \leftarrow p - \text{lr} \cdot \frac{\hat m}{\sqrt{\hat v} + \epsilon}
#   \qquad \hat m = \frac{m}{1 - \beta_1^t} \qquad \hat v = \frac{v}{1 - \beta_2^t}$$
#
# ε keeps a slope that was never there from being divided by 0. It stands outside of the root.
#
# Corrections are single numbers. A good step does not divide two arrays by them: pull them out to the
# front, where they meet `lr`. (√v̂ + ε is (√v + ε·√c₂) / √c₂, if c₂ is what v is to be divided by.)
#
# **Your turn.** `t` counts the steps of this parameter, from 1. With `amsgrad`, the largest v so far takes
# the place of v in the root; it is in `top`, a list of one array, or of none.

# %%
#| export exercise
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
        #| hint c1, c2 = 1 - beta1**t, 1 - beta2**t: how much of each average is real.
        #| hint The step is size * m / (sqrt(v) + eps * sqrt(c2)), if size is lr * sqrt(c2) / c1.
        ### BEGIN SOLUTION
        c1, c2 = 1 - beta1**t, 1 - beta2**t
        size, eps = lr * math.sqrt(c2) / c1, eps * math.sqrt(c2)
        ### END SOLUTION
        for p, g, m, v, *top, room in self.pieces(param, group, *names):
            #| hint average(m, g, …, room); then np.multiply(g, g, out=room), and room is what v averages.
            #| hint np.maximum(top[0], v, out=top[0]) returns top[0].
            #| hint np.sqrt(v, out=room), room += eps, np.divide(m, room, out=room), and descend.
            ### BEGIN SOLUTION
            average(m, g, 1 - beta1, room)
            average(v, np.multiply(g, g, out=room), 1 - beta2, room)
            if top: v = np.maximum(top[0], v, out=top[0])
            np.sqrt(v, out=room)
            room += eps
            descend(p, np.divide(m, room, out=room), size, room)
            ### END SOLUTION

# %%
#| check 3
from tinytorch.landscapes import sloped, trail
from tinytorch.layers import Parameter

def near(found, *wanted): return np.allclose(found, wanted, rtol=1e-4, atol=1e-6)

for slope in (1.0, 1000.0):
    assert near(trail(lambda p: Adam(p, 0.1), slope, slope, slope), -0.1, -0.2, -0.3), \
        "a steady slope of any size makes steps of lr, from the first one on: averages are corrected for " \
        "the zeros they began with"
assert near(trail(lambda p: Adam(p, 1.0, betas=(0.5, 0.75)), 1.0, 0.0, 0.0), -1.0, -1.50918, -1.79883), \
    "m is an average of slopes, and v of their squares: each with its own beta, and its own correction"
assert near(trail(lambda p: Adam(p, 1.0, eps=3.0), 1.0), -0.25), \
    "epsilon is added to the root of the corrected average: 1 / (1 + 3)"
assert near(trail(lambda p: Adam(p, 1.0, betas=(0.0, 0.75), eps=1.0), 0.5), -1 / 3), \
    "epsilon is added outside of the root, once: 0.5 / (0.5 + 1)"
found = trail(lambda p: Adam(p, 1.0, betas=(0.0, 0.5), amsgrad=True), 4.0, 0.0, 1.0, 4.0)
assert near(found, -1, -1, -1.33072, -2.60415), \
    "amsgrad divides by the largest average there was, and leaves the average itself alone"
p = sloped(2.0)
memory = Adam([p], betas=(0.75, 0.5))
memory.step()
kept = memory.state[p]
assert kept["exp_avg"].tolist() == [0.5] and kept["exp_avg_sq"].tolist() == [2.0], \
    "what is remembered are the averages as they are: the correction is for the step alone"
wide = Parameter(tensor([[1.0] * 300] * 300))
wide.grad = tensor([[2.0] * 300] * 300)
Adam([wide], 0.5).step()
assert np.allclose(wide.array, 0.5), "all pieces of a large parameter take the same step"

# %% [markdown]
# To see a thing, take it away. This Adam does not correct. Are its first steps too long or too short? Both
# averages are too small, but one stands above the line of the fraction and the other below. (`trail` hands an
# optimizer one slope after the other, and tells where the parameter is after each.)

# %%
class Uncorrected(Adam):
    def update(self, param, group):
        self.state[param]["step"] = tensor(1e6)         # a million steps: nothing left to correct
        super().update(param, group)

slopes = [1.0] * 12
print("corrected  ", trail(lambda p: Adam(p, 0.1), *slopes))
print("uncorrected", trail(lambda p: Uncorrected(p, 0.1), *slopes))

# %% [markdown]
# Too long: 0.1 over √0.001 is three steps in one, and it gets worse before it gets better. The first batch
# a network ever sees would throw its weights about the most.
#
# ## Where decay belongs
#
# You have a guess from above. Two weights of 1 with `weight_decay=0.1`: the slope of one is nearly nothing,
# the other's is ±100 in turn. With coupled decay in Adam, which one shrinks more?

# %%
from tinytorch.landscapes import trail

def after(make, size, steps=200):
    return trail(make, *[size * (-1) ** n for n in range(steps)], start=1.0)[-1]

for size in (1e-6, 100.0):
    coupled = after(lambda p: Adam(p, 0.01, weight_decay=0.1), size)
    apart = after(lambda p: Adam(p, 0.01, weight_decay=0.1, decoupled_weight_decay=True), size)
    print(f"a slope of {size:6g}: {coupled:6.3f} coupled, {apart:6.3f} decoupled")

# %% [markdown]
# Coupled decay is one more slope, and Adam divides it by the usual size of all slopes: a weight that is
# busy is hardly decayed, and an idle one at full speed. That is the opposite of what anybody wants.
# **AdamW** (Loshchilov and Hutter, 2019) is Adam with the decay next to the step, and it is what most
# transformers have been trained with. There is nothing left to write: you have put the decay in its place
# already.

# %%
#| export
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

# %% [markdown]
# ## Three valleys
#
# **Rosenbrock's banana** (1960): to find the valley is easy, to follow its bend is not. Everybody starts at
# (-1.5, 2), and the lowest point is (1, 1). Who gets there in 300 steps?

# %%
def square(a): return a * a

banana = Landscape(lambda x, y: square(1 - x) + 100 * square(y - x * x), x=(-2, 2), y=(-1, 3), bands="log")
race(banana, (-1.5, 2.0), 300, plain=lambda p: SGD(p, 0.001), momentum=lambda p: SGD(p, 0.001, momentum=0.9),
     adam=lambda p: Adam(p, 0.2))

# %% [markdown]
# The plain one dives into the valley in one step and then hardly moves: the slope along the bottom is a
# hundredth of that of its walls. Memory and division by size get round the bend.
#
# A **saddle** goes down on two sides and up on two. Start on its ridge, a hair off: the slope towards the
# way out is next to nothing, and somebody who walks as far as the slope is steep stands still. Who is out
# first?

# %%
saddle = Landscape(lambda x, y: x * x - y * y + y * y * y * y / 4, x=(-2, 2), y=(-2, 2))
race(saddle, (1.5, 0.001), 40, plain=lambda p: SGD(p, 0.05), momentum=lambda p: SGD(p, 0.05, momentum=0.9),
     adam=lambda p: Adam(p, 0.1))

# %% [markdown]
# Adam divides by the usual size, and does not care that the slope is small. (Nor does it care when the slope
# is nothing but noise.)
#
# ## How far, and when
#
# The right rate at the beginning is the wrong one at the end: near the bottom, steps as long as in the
# beginning jump over it for ever. So the rate follows a **schedule**. Nearly all large models were trained
# with this one: a **warm-up** in a straight line, as the averages of Adam have seen hardly anything yet,
# then half a **cosine** down, slow at first, slow again at the end.
#
# **Your turn.** Both say by what the rate is to be multiplied at time t. `linear` stays where it has
# arrived; `cosine` is a wave, and comes up again after `total`.

# %%
#| export exercise
def linear(t: float, total: float, start: float = 0.0, end: float = 1.0) -> float:
    """From start to end in a straight line, and then end for ever."""
    ### BEGIN SOLUTION
    return start + (end - start) * min(t, total) / total
    ### END SOLUTION


def cosine(t: float, total: float) -> float:
    """From 1 to 0 along half a cosine, and up again in the next half."""
    #| hint math.cos goes from 1 to -1 while its angle goes from 0 to pi.
    ### BEGIN SOLUTION
    return (1 + math.cos(math.pi * t / total)) / 2
    ### END SOLUTION

# %%
#| check 1
assert [linear(t, 4) for t in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0], "a straight line from start to end"
assert linear(9, 4) == 1.0, "having arrived, it stays"
assert linear(1, 4, 1.0, 0.5) == 0.875, "it may lead down as well, between any two values"
assert [round(cosine(t, 4), 4) for t in range(5)] == [1.0, 0.8536, 0.5, 0.1464, 0.0], \
    "half a cosine, from 1 to 0: slow at both ends"
assert abs(cosine(8, 4) - 1) < 1e-12, "after the bottom it comes up again: it is a wave"

# %% [markdown]
# A schedule is applied by an `LRScheduler`: `step()`, after each epoch, adds 1 to `last_epoch`, asks
# `get_lr` for the new rate of every group, and writes them into the optimizer. The class is in the appendix
# on pace.
#
# **Your turn.** The most general schedule: the rate each group *began* with (`self.base_lrs`, one for each
# group), times a function of the epoch (`self.lr_lambdas`, one for each group).

# %%
#| export exercise
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
        ### BEGIN SOLUTION
        return [lr * f(self.last_epoch) for lr, f in zip(self.base_lrs, self.lr_lambdas)]
        ### END SOLUTION

    def state_dict(self) -> dict:
        """All but the functions; a callable object is saved by its attributes."""
        saved = [None if hasattr(f, "__code__") else vars(f).copy() for f in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": saved}

    def load_state_dict(self, state_dict: dict) -> None:
        mine = self.lr_lambdas
        super().load_state_dict({**state_dict, "lr_lambdas": mine})
        for f, saved in zip(mine, state_dict["lr_lambdas"]):
            if saved: f.__dict__.update(saved)

# %%
#| check 1
from tinytorch.landscapes import sloped

two = SGD([{"params": [sloped(1.0)], "lr": 8.0}, {"params": [sloped(1.0)]}], lr=2.0)
schedule, seen = LambdaLR(two, [lambda t: 0.5**t, lambda t: 1 + t]), []
for _ in range(3):
    seen.append([group["lr"] for group in two.param_groups])
    two.step()
    schedule.step()
assert seen[0] == [8.0, 2.0], "at epoch 0 the function says what the rate begins with"
assert [a for a, _ in seen] == [8.0, 4.0, 2.0], "the first rate times the function: factors do not pile up"
assert [b for _, b in seen] == [2.0, 4.0, 6.0], "each group has its own rate, and its own function"

# %% [markdown]
# Warm-up and cosine, as everybody writes them, and what they do for a hundred walkers in the ravine while
# somebody keeps shaking the ground (a gradient of one batch is never the gradient of all data):

# %%
def warm_cosine(t, warm=20, total=200): return linear(t, warm) if t < warm else cosine(t - warm, total - warm)

for t in range(0, 201, 20): print(f"{t:4} {warm_cosine(t):5.2f} " + "#" * round(40 * warm_cosine(t)))

# %%
def shaken(schedule=None, steps=200, walkers=100):
    noise = np.random.default_rng(0)
    at = Parameter(tensor([[-9.0] * walkers, [3.0] * walkers]))
    optimizer = Adam([at], 0.5)
    pace = LambdaLR(optimizer, schedule) if schedule else None
    for _ in range(steps):
        optimizer.zero_grad()
        ravine(at).sum().backward()
        at.grad.data.add_(tensor(noise.normal(0, 5, (2, walkers)).tolist()))
        optimizer.step()
        if pace: pace.step()
    return ravine(at).mean().item()

for name, schedule in [("one rate", None), ("warm-up and cosine", warm_cosine)]:
    print(f"{name:>18}: {shaken(schedule):.2f} above the bottom, on average")

# %% [markdown]
# ## A network
#
# Valleys with two dimensions explain; they prove nothing. Here are ten clouds of points in 64 dimensions, a
# small network, and the same number of steps for everybody. Which optimizer do you bet on, and does the
# others' defeat have to do with the rate they were given?

# %%
from tinytorch import manual_seed
from tinytorch.dense import MLP
from tinytorch.nn.functional import cross_entropy

def clouds(n=1200, seed=0):
    """Ten clouds of points in 64 dimensions, on very different scales, and which cloud each point is from."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 10, n)
    points = draw.normal(0, 1, (10, 64))[labels] + draw.normal(0, 1.5, (n, 64))
    return tensor((points * 10 ** draw.uniform(-2, 0.5, 64)).astype(np.float32)), tensor(labels)

points, labels = clouds()

def trained(make, steps=120):
    manual_seed(0)
    net, losses = MLP(64, 32, 10), []
    optimizer = make(net.parameters())
    for n in range(steps):
        rows = slice(100 * (n % 12), 100 * (n % 12) + 100)
        loss = cross_entropy(net(points[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses

for name, make in [("plain", lambda p: SGD(p, 0.03)), ("momentum", lambda p: SGD(p, 0.03, momentum=0.9)),
                   ("Adam", lambda p: Adam(p, 0.01))]:
    print(f"{name:>9}", *[f"{loss:5.2f}" for loss in trained(make)[::17]])

# %% [markdown]
# The inputs are of very different sizes, and so are the slopes of the weights behind them: one rate has to
# suit them all. Give the inputs one scale (divide each column of `points` by its spread) and run again:
# momentum comes close to Adam. Part of what an optimizer repairs could have been repaired in the data.
#
# ## What it costs
#
# Adam remembers two numbers for each weight, so training takes four times the memory of the weights:
# weights, gradients, and two averages. And it is slow for what it does. It computes a dozen operations a
# weight, each of them so cheap that the processor mostly waits for memory. How much of that is saved by
# staying in the cache? Here is the same Adam, with pieces as large as the parameter.

# %%
from tinytorch import bookkeeping, timed

def large_adam():
    p = Parameter(Tensor(np.ones((2000, 2500), np.float32)))
    p.grad = Tensor(np.ones((2000, 2500), np.float32))
    return Adam([p])

usual = bookkeeping.PIECE
for piece in (usual, 1 << 30):
    bookkeeping.PIECE = piece
    optimizer = large_adam()
    optimizer.step()
    print(f"{min(piece, 5_000_000):9} numbers a piece: {timed(optimizer.step)}")
bookkeeping.PIECE = usual

# %% [markdown]
# ## Challenges
#
# 1. **Lion** (2023) steps by `lr` times the *sign* of `beta1 * m + (1 - beta1) * g`, and only then moves m.
#    Write it. How many numbers does it remember?
# 2. Find a landscape on which momentum loses to plain descent at every rate.
# 3. With `betas=(0.9, 0.9)`, and a slope of 1 that turns into 100 for one single step, how long does Adam
#    limp? And with `(0.9, 0.999)`? Draw both.
# 4. Adam's steps do not grow with the loss: multiply it by a thousand, and check. What then is the use of a
#    larger loss? (Look at ε.)
# 5. Race on a landscape that is turned by 45 degrees. Which optimizers mind, and why?
# 6. Cut the memory of Adam in half: for a matrix of n rows and m columns, keep n + m averages of squares
#    instead of n·m. (You will find yourself in the appendix, under Adafactor.)
#
# ## Design note: one walk, and what a subclass may say
#
# In most libraries each optimizer is a class with a whole `step`: the loop over groups, the test for
# missing gradients, the state that begins as zeros, the sign for `maximize`, all written out fourteen
# times. Nobody reads the thirteenth. Here the walk exists once, and a subclass gets one question: what do
# you do to *one* parameter? The price is that an update sees no other parameter. Clipping by the norm of
# all gradients is therefore a function beside the optimizers, and LBFGS, which looks at all weights as one
# vector, writes a `step` of its own. What is bought: an optimizer is the ten lines that are its idea, and
# what is true for all of them, that steps happen in place, in pieces, and are noted, is true for the one
# that you invent tomorrow.
