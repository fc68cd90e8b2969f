# %% [markdown]
# # Autograd
#
# The derivative of a product never changes. Neither does that of a sum, an exponential or a convolution: each
# operation has one rule, found once, and true for ever. A network of a million operations needs no new
# calculus, only somebody who remembers which operations ran, and applies their rules in the opposite order.
#
# That somebody is an engine. You kept a place for it in lesson 02, when every operation went through one
# door. Today you build the one that remembers, and nothing you wrote before has to change.

# %%
#| export
"""An engine that remembers, and the chain rule that reads its memory."""

# %%
#| export
from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from operator import attrgetter

import numpy as np

from tinytorch.activations import log_softmax, relu, sigmoid, softmax, tanh
from tinytorch.dense import labels_of, linear, surprise
from tinytorch.dtypes import DTYPES
from tinytorch.elementwise import where
from tinytorch.indexing import scatter
from tinytorch.journeys import (
    Journey,
    add_to_grad,
    check_targets,
    delivered,
    first_gradient,
    leading_to,
    own,
    rules_run,
    served_after,
)
from tinytorch.methods import METHODS, method
from tinytorch.modes import no_grad
from tinytorch.overwriting import write_over, zeros_beside
from tinytorch.receipts import (
    Part,
    Receipt,
    edge_of,
    gradient,
    remembering,
    set_apart,
    wants_gradient,
    write_receipt,
)
from tinytorch.rulebook import bare, counted, handed_on, listed, over
from tinytorch.shaping import squeeze, unsqueeze
from tinytorch.tensor import (
    Engine,
    Op,
    Tensor,
    add,
    current_engine,
    exp,
    expand,
    log,
    matmul,
    mean,
    mul,
    neg,
    permute,
    reshape,
    set_default_engine,
    sqrt,
    sub,
    sum_,
    tensor,
    transpose,
    true_divide,
    using,
    view,
)

# %% [markdown]
# ## Who pays for a nudge?
#
# Take `z = x * y` at x = 3, y = 2, and nudge `x` by a thousandth. By how much does `z` move, in thousandths?
# Guess, then run.

# %%
x, y, nudge = 3.0, 2.0, 0.001
((x + nudge) * y - x * y) / nudge

# %% [markdown]
# The nudge arrives at `z` multiplied by `y`. That factor is the **derivative** of `z` for `x`. It is measured
# better from both sides: the error of `(f(x + h) - f(x)) / h` shrinks with `h`, that of the **central
# difference** `(f(x + h) - f(x - h)) / 2h` with its square.
#
# **Your turn.** Measure the derivative of a function of many numbers, one number at a time. It is far too
# slow to learn with, two calls for each of a million weights. But it knows no calculus, so it cannot get it
# wrong, and it will judge everything below.

# %%
#| export exercise
def central_difference(f: Callable, x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """How f(x), a number, answers to a nudge of each number in the float64 array x.  (*) -> (*)"""
    slope = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        #| hint Keep the number that is there. Put in a little more, then a little less, then what was there.
        #| hint slope[place] is the difference of the two results over 2 * eps.
        ### BEGIN SOLUTION
        there = x[place]
        x[place] = there + eps
        above = f(x)
        x[place] = there - eps
        below = f(x)
        x[place] = there
        slope[place] = (above - below) / (2 * eps)
        ### END SOLUTION
    return slope

# %%
#| check 2
point = np.array([[1.0, 2.0], [3.0, -1.0]])
slope = central_difference(lambda x: float((x * x).sum()), point)
assert np.allclose(slope, 2 * point, atol=1e-6), "a square answers to a nudge with twice its number"
assert point.tolist() == [[1.0, 2.0], [3.0, -1.0]], "each number is put back: measuring leaves no trace"
assert abs(central_difference(lambda x: float(x[0] ** 3), np.array([1.0]), 0.1)[0] - 3.01) < 1e-9, \
    "a central difference looks from both sides, and divides by the whole step of 2 * eps"

# %% [markdown]
# ## One rule for each op
#
# Now backwards. Somewhere far away is a number, the **loss**, and somebody hands us `g`: how the loss answers
# to a nudge of `out = x * y`. How does it answer to a nudge of `x`? The nudge becomes `y` times as large on
# its way to `out`, and `g` times as large from there to the loss: `g * y`. That product is the **chain
# rule**, all of it. A rule hands the gradient on from the output of its op to the inputs.
#
# `@gradient(mul)` above a function makes it the rule of `mul`. It is called with `g`, with the output, with
# the inputs, and with those settings of the op that it names; it returns one gradient for each input. Two
# habits save memory and work:
#
# - a parameter whose name begins with an underscore (`_out`, `_x`) promises to look at a shape at most, so
#   that nobody need keep those numbers;
# - a gradient may be a function without arguments, which runs only if somebody wants that gradient.
#
# **Your turn.** The rules of arithmetic. They will see arrays, sometimes tensors, and here plain numbers do.
# (`handed_on`, in the checks, calls a rule, and each function that the rule answers with.)

# %%
#| export exercise
@gradient(add)
def add_rule(g, _out, _x, _y, alpha):
    #| hint Nudge x: by how much does x + alpha * y move? Nudge y?
    ### BEGIN SOLUTION
    return g, g if alpha == 1 else lambda: g * alpha
    ### END SOLUTION


@gradient(sub)
def sub_rule(g, _out, _x, _y, alpha):
    ### BEGIN SOLUTION
    return g, lambda: g * -alpha
    ### END SOLUTION


@gradient(neg)
def neg_rule(g, _out, _x):
    #| hint One input, one gradient: still a tuple, with a comma behind it.
    ### BEGIN SOLUTION
    return -g,
    ### END SOLUTION

# %%
#| check 1
assert handed_on(add_rule, 5.0, 7.0, 3.0, 4.0, alpha=1) == [5.0, 5.0], \
    "a sum hands the gradient on to both terms"
assert handed_on(add_rule, 5.0, 11.0, 3.0, 4.0, alpha=2) == [5.0, 10.0], \
    "what was multiplied by alpha answers alpha times"
assert handed_on(sub_rule, 5.0, -1.0, 3.0, 4.0, alpha=1) == [5.0, -5.0], \
    "what is taken away answers the other way round"
assert handed_on(sub_rule, 5.0, -5.0, 3.0, 4.0, alpha=2) == [5.0, -10.0], "alpha scales what was taken away"
assert handed_on(neg_rule, 5.0, -3.0, 3.0) == [-5.0], "-x moves against every nudge"

# %%
#| export exercise
@gradient(mul)
def mul_rule(g, _out, x, y):
    #| hint A nudge of x is multiplied by y on its way out, and the other way round.
    ### BEGIN SOLUTION
    return lambda: g * y, lambda: g * x
    ### END SOLUTION


@gradient(true_divide)
def true_divide_rule(g, out, _x, y):
    #| hint x / y is x times 1 / y, and 1 / y falls by 1 / y² for each nudge of y.
    #| hint The output is x / y already: the second gradient is -g * out / y.
    ### BEGIN SOLUTION
    return lambda: g / y, lambda: -g * out / y
    ### END SOLUTION

# %%
#| check 1
assert handed_on(mul_rule, 1.0, 6.0, 3.0, 2.0) == [2.0, 3.0], "d(xy)/dx is y, d(xy)/dy is x"
assert handed_on(mul_rule, 10.0, 6.0, 3.0, 2.0) == [20.0, 30.0], \
    "the gradient that arrives multiplies what is handed on"
assert handed_on(true_divide_rule, 1.0, 3.0, 6.0, 2.0) == [0.5, -1.5], "d(x/y)/dx is 1/y, d(x/y)/dy is -x/y²"
assert handed_on(true_divide_rule, 2.0, 3.0, 6.0, 2.0) == [1.0, -3.0], \
    "the chain rule multiplies by what arrives"

# %% [markdown]
# Functions of one number. Before you write them: which of the three can do without `x`, because the output
# says it already?

# %%
#| export exercise
@gradient(exp)
def exp_rule(g, out, _x):
    ### BEGIN SOLUTION
    return g * out,
    ### END SOLUTION


@gradient(log)
def log_rule(g, _out, x):
    ### BEGIN SOLUTION
    return g / x,
    ### END SOLUTION


@gradient(sqrt)
def sqrt_rule(g, out, _x):
    #| hint The square root grows by 1 / (2 * sqrt(x)), and sqrt(x) is the output.
    ### BEGIN SOLUTION
    return g / (2 * out),
    ### END SOLUTION

# %%
#| check 1
assert handed_on(exp_rule, 3.0, 2.0, None) == [6.0], \
    "the derivative of exp is exp itself, which is the output"
assert handed_on(log_rule, 3.0, None, 2.0) == [1.5], "the derivative of log is 1 / x"
assert handed_on(sqrt_rule, 8.0, 2.0, None) == [2.0], "the derivative of a root is one over twice that root"

# %% [markdown]
# ## The engine that remembers
#
# To apply rules in reverse, one has to know what ran. The engine computes like the one it wraps, and then, if
# anybody wants a gradient for one of the inputs, it writes a **receipt**: which op, from what, with which
# settings. The receipt hangs on the output (`out.receipt`; PyTorch says `grad_fn`), and its **edges** point
# at the receipts of the inputs. An input that nobody computed is a **leaf**: there the edge is the tensor
# itself. How a receipt looks inside is told in the appendix on receipts.
#
# **Your turn.** Run, and remember.

# %%
#| export exercise
class Autograd(Engine):
    """Computes like the engine it wraps, and keeps a receipt when somebody will want a gradient."""

    def __init__(self, inner: Engine | None = None):
        self.inner = inner or Engine()
        self.kernels = self.inner.kernels

    def run(self, op: Op, inputs: tuple, settings: dict):
        """What the inner engine gives, with a receipt."""
        #| hint The inner engine has a run of its own. When does nobody need to remember?
        #| hint If any input wants_gradient, and remembering.get() is true: return self.record(…) of it all.
        ### BEGIN SOLUTION
        out = self.inner.run(op, inputs, settings)
        for x in inputs:
            if wants_gradient(x) and remembering.get(): return self.record(op, inputs, settings, out)
        ### END SOLUTION
        if op.shares: set_apart(op, out)
        return out

    def record(self, op: Op, inputs: tuple, settings: dict, out):
        """Notes how `out` was made, and hands it on."""
        return write_receipt(op, inputs, settings, out)

    def write(self, tensor: Tensor, value, index=...) -> Tensor:
        """Writes as the inner engine does, and remembers what was written over what."""
        return write_over(self.inner, tensor, value, index)

    def pull(self, receipt: Receipt, g, create_graph: bool) -> tuple:
        """For the gradient of what came out of an op, those of what went in, or functions for them."""
        return receipt.pull(g, create_graph)

    def backward(self, tensor: Tensor, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Sends gradients back from the tensor, and adds them to .grad of the leaves."""
        Flow(self, add_to_grad, inputs, retain_graph, create_graph).run([tensor], [gradient])


set_default_engine(Autograd())

# %%
#| check 2
class Inner(Engine):
    def run(self, op, inputs, settings): return asked.append(op.name) or super().run(op, inputs, settings)

x, y, asked = tensor([1.0, 2.0], requires_grad=True), tensor([3.0, 4.0]), []
with using(Autograd(Inner())): x * y
with using(Autograd()):
    z = x * y
    plain = y * y
    turned = y * x
    with no_grad(): quiet = x * y
assert z.tolist() == [3.0, 8.0], "it computes like the engine inside it"
assert asked == ["mul"], "the engine inside computes, and once: this one only remembers"
assert z.requires_grad and z.receipt.op is mul, "what is made of x wants a gradient, and has a receipt"
assert turned.receipt is not None, "one input that wants a gradient is enough, in whichever place it stands"
assert plain.receipt is None and not plain.requires_grad, "nobody wants a gradient here: there is no receipt"
assert quiet.receipt is None, "when remembering is off, nothing is remembered"
assert z.receipt.edges[0] is x and z.receipt.edges[1] is None, \
    "an edge leads to each input that wants a gradient, and nowhere for the others"

# %% [markdown]
# Below, `exp` is made from `mul`, and `mul` from `x` and a plain 2. What are their edges?

# %%
x = tensor(3.0, requires_grad=True)
z = (x * 2.0).exp()
z.receipt, z.receipt.edges, z.receipt.edges[0].edges

# %% [markdown]
# ## Newest first
#
# A gradient may leave a receipt only when all of it has arrived: what was used twice is paid for twice. So
# receipts have to be visited in an order in which each comes after everything that was made from it, a
# **topological order**. It is cheap to have. Receipts carry numbers, and nothing is made from what does not
# exist yet: the newest comes first.
#
# **Your turn.** Find every receipt that can be reached, and sort. (Not by recursion: Python gives up at a
# depth of a thousand, and a network that reads a long text is deeper.)

# %%
#| export exercise
def newest_first(receipts: Iterable[Receipt]) -> list[Receipt]:
    """All receipts that can be reached from these, each after all that was made from it."""
    #| hint Keep a set of those found, and a list of those whose edges are still to be followed.
    #| hint An edge is a Receipt, or a leaf, which is a tensor, or None. Follow the receipts.
    #| hint sorted(found, key=attrgetter("number"), reverse=True)
    ### BEGIN SOLUTION
    found = set(receipts)
    waiting = list(found)
    while waiting:
        for edge in waiting.pop().edges:
            if isinstance(edge, Receipt) and edge not in found:
                found.add(edge)
                waiting.append(edge)
    return sorted(found, key=attrgetter("number"), reverse=True)
    ### END SOLUTION

# %%
#| check 2
x = tensor(1.0, requires_grad=True)
a = x * 2.0
b = a.exp()
c = a + b
assert newest_first([c.receipt]) == [c.receipt, b.receipt, a.receipt], \
    "newest first, and each once, though two ways lead to it"
assert newest_first([(b + a).receipt])[1:] == [b.receipt, a.receipt], \
    "the number says what is newer, not the place of an input"
assert newest_first([b.receipt]) == [b.receipt, a.receipt], "what is not below is not visited"
chain = x
for _ in range(3000): chain = chain + 1.0
assert len(newest_first([chain.receipt])) == 3000, "three thousand ops deep, without recursion"

# %% [markdown]
# In this loss, `a` is used three times. In which order will its receipts stand? Guess, then look: all arrows
# point down. Whoever is visited has been paid by everybody who owes it something.

# %%
a = x * 2.0
b = a.exp()
loss = (a + b) * a

class Ladder:
    """The receipts below a tensor, newest first, and an arrow along each edge."""

    def __init__(self, tensor): self.order = newest_first([tensor.receipt])

    def arc(self, a, b):
        top, foot = [30 * self.order.index(receipt) + 20 for receipt in (a, b)]
        left = 60 - 0.7 * (foot - top)
        return f'<path d="M60 {top}C{left} {top} {left} {foot} 58 {foot}" marker-end="url(#tip)"/>'

    def _repr_svg_(self):
        names = [f'<text x="66" y="{30 * n + 25}">{r.op.name}</text>' for n, r in enumerate(self.order)]
        arcs = [self.arc(r, e) for r in self.order for e in r.edges if isinstance(e, Receipt)]
        tip = '<marker id="tip" orient="auto" refX="5" refY="3" markerWidth="6" markerHeight="6">' \
              '<path fill="#c8452c" stroke="none" d="M0 0 6 3 0 6"/></marker>'
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="120" height="{30 * len(names) + 10}">{tip}' \
               f'<g fill="none" stroke="#c8452c">{"".join(arcs)}</g>' \
               f'<g fill="#7b8794">{"".join(names)}</g></svg>'

Ladder(loss)

# %% [markdown]
# ## Broadcasting, undone
#
# `(3, 1) + (4,)` stretched both. A stretched number was used many times, and is paid for as often: its
# gradient is the *sum* over all the places to which it was copied. Every rule would have to think of that.
# Instead, the engine does, in one place. **Your turn.**

# %%
#| export exercise
def unbroadcast(g, shape: tuple[int, ...]):
    """The gradient of something of that shape, from the gradient of what it was stretched to."""
    #| hint Two things happened: dimensions appeared in front, and lengths of 1 grew. Sums undo both.
    #| hint g.sum(axis=(0, 1, …)) for those in front, g.sum(axis=…, keepdims=True) where a 1 has grown.
    ### BEGIN SOLUTION
    front = g.ndim - len(shape)
    if front > 0: g = g.sum(axis=tuple(range(front)))
    grown = tuple([n for n, length in enumerate(shape) if length == 1 and g.shape[n] != 1])
    return g.sum(axis=grown, keepdims=True) if grown else g
    ### END SOLUTION

# %%
#| check 2
g = np.ones((2, 3, 4), np.float32)
assert unbroadcast(g, (2, 3, 4)) is g, "what was not stretched stays as it is"
assert unbroadcast(g, (4,)).tolist() == [6.0] * 4, "dimensions that appeared in front are summed away"
assert unbroadcast(g, (3, 1)).tolist() == [[8.0]] * 3, "a 1 that has grown is summed, and stays a 1"
assert unbroadcast(g, (1, 3, 4)).shape == (1, 3, 4), "a 1 that has become 2 is summed as well"
assert unbroadcast(g, ()).item() == 24.0, "a single number is paid for by all its copies"
assert unbroadcast(np.ones((2, 0), np.float32), (2, 1)).tolist() == [[0.0], [0.0]], \
    "copied to no place, it is not paid for"
assert unbroadcast(g, (1, 3, 4)).dtype == unbroadcast(g, (4,)).dtype == np.float32, "float32 stays float32"
assert unbroadcast(Tensor(g), (3, 1)).tolist() == [[8.0]] * 3, "a tensor has a sum, too"

# %% [markdown]
# The engine settles each gradient that a rule gives: into the shape of its input, and into the dtype.

# %%
#| export
def settled(dx, x):
    """A gradient in the shape and dtype of the array, or outline, that it is for."""
    if dx.shape != x.shape:
        if dx.ndim < x.ndim: dx = dx.reshape((1,) * (x.ndim - dx.ndim) + dx.shape)      # as in z[0] = x[:1]
        dx = unbroadcast(dx, x.shape).reshape(x.shape)
    if dx.dtype == x.dtype: return dx
    return METHODS["to"](dx, DTYPES[x.dtype]) if isinstance(dx, Tensor) else DTYPES[x.dtype].cast(dx)

# %% [markdown]
# ## Backward
#
# Everything is there. Start with the gradient of the loss for itself, which is 1. Visit the receipts, newest
# first; pull the gradient that has gathered at each through its op, and add what comes out to what has
# gathered at the inputs.
#
# **Your turn.** `pending` holds the gradients that have gathered so far, by edge.

# %%
#| export exercise
def gather(pending: dict, mine: set, edge, dx) -> None:
    """Adds dx to what has gathered at the edge; `mine` are the edges whose array nobody else holds."""
    #| hint The first to arrive is kept as it is. It may be anybody's array: never add to it in place!
    #| hint The sum of the first two is a new array, and mine: the third may be added to it in place.
    ### BEGIN SOLUTION
    if edge not in pending:
        pending[edge] = dx
    elif edge in mine:
        pending[edge] += dx
    else:
        pending[edge] = pending[edge] + dx
        if not isinstance(dx, Tensor): mine.add(edge)
    ### END SOLUTION

# %%
#| check 2
pending, mine, first = {}, set(), np.ones(2, np.float32)
gather(pending, mine, "x", first)
assert pending["x"] is first, "the first gradient to arrive is kept as it is"
gather(pending, mine, "x", first)
assert pending["x"].tolist() == [2.0, 2.0], "gradients that meet are added: = would forget the first"
assert first.tolist() == [1.0, 1.0], "the array that came first belongs to somebody else: it is not changed"
total = pending["x"]
gather(pending, mine, "x", first)
assert pending["x"].tolist() == [3.0, 3.0] and pending["x"] is total, \
    "the sum is mine: the third is added in place"
pending, mine, first = {}, set(), tensor([1.0, 1.0])
for _ in range(2): gather(pending, mine, "x", first)
total = pending["x"]
gather(pending, mine, "x", first)
assert pending["x"].tolist() == [3.0, 3.0] and total.tolist() == [2.0, 2.0], \
    "gradients that are tensors have a history: they are never added to in place"

# %% [markdown]
# **Your turn**, and this is the heart of it: one journey of gradients. `run` starts it and visits the
# receipts in order; `visit` takes what has gathered at one, and hands it on. When the last receipt that leads
# to a leaf has been visited, that leaf is served. (The bag that is carried along, with `pending` and `serve`,
# is a `Journey` of the appendix on the way back.)

# %%
#| export exercise
class Flow(Journey):
    """One journey of gradients, from outputs back to leaves, or to the targets alone."""

    def run(self, outputs: list[Tensor], gradients: list) -> None:
        """Sends the gradients of the outputs on their way."""
        for y, g in zip(outputs, gradients):
            gather(self.pending, self.mine, edge_of(y), first_gradient(y, g, self.create_graph))
        order = newest_first([edge for edge in self.pending if isinstance(edge, Receipt)])
        if self.targets is not None: self.useful = leading_to(order, self.targets)
        leaves = served_after(order)
        with rules_run(self.engine, self.create_graph):
            #| hint For each receipt in order: visit it, if a gradient is pending there.
            #| hint Then serve the leaves that are complete: leaves[receipt], if it is there.
            ### BEGIN SOLUTION
            for receipt in order:
                if receipt in self.pending: self.visit(receipt)
                if receipt in leaves: self.serve(leaves[receipt])
            ### END SOLUTION
            self.serve([edge for edge in self.pending if isinstance(edge, Tensor)])     # a leaf to start with

    def visit(self, receipt: Receipt) -> None:
        """Takes what has gathered at a receipt, and hands it on to its edges."""
        g = self.take(receipt)
        if isinstance(receipt, Part): return receipt.put(g, self.pending)
        edges = self.ways(receipt)
        if not edges: return None
        found = self.engine.pull(receipt, g, self.create_graph)
        for edge, x, dx in zip(edges, receipt.inputs, found):
            if edge is None or dx is None: continue
            #| hint dx may be a function that computes the gradient: callable(dx).
            #| hint Then it is settled(dx, x) for the input x that it is for, and gathered at its edge.
            ### BEGIN SOLUTION
            if callable(dx): dx = dx()
            dx = settled(dx, x)
            ### END SOLUTION
            if isinstance(edge, Tensor): dx = own(dx, [g, *receipt.inputs, *self.pending.values()])
            gather(self.pending, self.mine, edge, dx)
        if not self.retain: receipt.let_go()
        return None

# %% [markdown]
# Two doors lead to it: `loss.backward()` adds to `.grad` of every leaf, and `grad(loss, [x])` hands the
# gradients over and touches nothing. Both look for the engine that remembers, which may stand inside others.

# %%
#| export
def remembering_engine() -> Engine:
    """The engine that remembers, among those that stand at the door."""
    engine = current_engine()
    while not isinstance(engine, Autograd) and hasattr(engine, "inner"): engine = engine.inner
    return engine


@method
def backward(tensor: Tensor, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Adds to .grad of every leaf, or of the `inputs`, how this tensor answers to a nudge of it."""
    if isinstance(inputs, Tensor): inputs = [inputs]
    if inputs is not None and not inputs:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty")
    remembering_engine().backward(tensor, gradient=gradient, retain_graph=retain_graph,
                                  create_graph=create_graph, inputs=inputs)

# %%
#| export
def grad(
    outputs, inputs, grad_outputs=None, retain_graph: bool | None = None, create_graph: bool = False,
    only_inputs: bool = True, allow_unused: bool | None = None, is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple:
    """The gradients of the outputs for the inputs, in a tuple; no .grad is touched."""
    if is_grads_batched: raise NotImplementedError("is_grads_batched needs vmap: lesson 17 builds it")
    outputs, inputs = listed(outputs), listed(inputs)
    check_targets(inputs)
    gradients = [None] * len(outputs) if grad_outputs is None else listed(grad_outputs)
    found: dict = {}

    def deliver(x, g): found[x] = g if isinstance(g, Tensor) else Tensor(g)
    Flow(remembering_engine(), deliver, inputs, retain_graph, create_graph).run(outputs, gradients)
    return delivered(found, inputs, allow_unused, materialize_grads)

# %%
#| check 3
def gradients_of(f, *arrays):
    """What backward leaves in .grad of each input."""
    inputs = [tensor(array, requires_grad=True) for array in arrays]
    f(*inputs).backward()
    return [x.grad.tolist() for x in inputs]

assert gradients_of(lambda x, y: x * y, 3.0, 2.0) == [2.0, 3.0], \
    "1 arrives at the loss, and is handed on by the rule"
assert gradients_of(lambda x: x * x, 3.0) == [6.0], "used twice, paid for twice: both halves are gathered"
assert gradients_of(lambda x: (x + x) * x, 3.0) == [12.0], \
    "a receipt is visited when all of its gradient has arrived"
assert gradients_of(lambda x, y: (x / y) * y, 3.0, 2.0) == [1.0, 0.0], "ways that cancel, cancel"
x, y = tensor([2.0, 3.0], requires_grad=True), tensor(5.0, requires_grad=True)
(x * y).backward(tensor([1.0, 1.0]))
assert x.grad.tolist() == [5.0, 5.0] and y.grad.tolist() == 5.0, \
    "what was stretched is settled: the sum over its copies, in the shape of the input"
x = tensor(2.0, requires_grad=True)
(x * x).backward()
(x * x).backward()
assert x.grad.item() == 8.0, "backward adds to what is in .grad already"
y = x * x
y.backward(retain_graph=True)
y.backward()
try: told = str(y.backward())
except RuntimeError as error: told = str(error)
assert "retain_graph=True" in told, "what a receipt kept is let go after its visit, unless it is retained"
x, w, way = tensor(2.0, requires_grad=True), tensor(5.0, requires_grad=True), []
class Watched(Autograd):
    def pull(self, receipt, *rest): return way.append(receipt.op.name) or super().pull(receipt, *rest)

Flow(Watched(), lambda leaf, g: way.append("w" if leaf is w else "x")).run([(x * 2.0).exp() * w], [None])
assert way == ["mul", "w", "exp", "mul", "x"], \
    "a leaf is served as soon as the last receipt that leads to it has been visited"
assert grad(x * x * w, [x])[0].item() == 20.0 and w.grad is None, "grad goes to its targets alone"
assert grad(x * x + w * w, [x])[0].item() == 4.0, "where no gradient is pending, nobody is visited"

# %% [markdown]
# ## More rules
#
# From here on, tensors remember. What is left is a column of rules, and each is checked by the judge you
# wrote first: `agrees` compares `grad` with central differences.

# %%
#| export
def agrees(f: Callable, *shapes, seed: int = 0) -> bool:
    """Whether the gradients of f, with respect to inputs of these shapes, are what nudging says."""
    numbers = np.random.default_rng(seed)
    arrays = [np.asarray(numbers.uniform(0.5, 1.5, s) * numbers.choice([-1, 1], s)) for s in shapes]
    weigh = numbers.uniform(-1, 1, f(*[Tensor(a) for a in arrays]).shape)       # a loss that looks everywhere
    inputs = [tensor(a, requires_grad=True) for a in arrays]
    found = grad((f(*inputs) * Tensor(weigh)).sum(), inputs)
    def loss(_): return float((f(*[Tensor(a) for a in arrays]).array * weigh).sum())
    slopes = [central_difference(loss, a) for a in arrays]          # nudges a, which is among the arrays
    return all([np.allclose(dx.array, slope, 1e-5, 1e-7) for dx, slope in zip(found, slopes)])

# %% [markdown]
# A sum hands its gradient to every number that went in: it is *stretched* back over them. But `x.sum(1)` took
# a dimension away, so that first a 1 has to be put back: `over` does that, from the appendix on rules.

# %%
#| export exercise
@gradient(sum_)
def sum_rule(g, _out, _x, dim, keepdim):
    #| hint over(g, dim, keepdim, _x.ndim) has its ones again; expand stretches them over _x.shape.
    ### BEGIN SOLUTION
    return expand(over(g, dim, keepdim, _x.ndim), _x.shape),
    ### END SOLUTION


@gradient(mean)
def mean_rule(g, _out, _x, dim, keepdim):
    #| hint The average is the sum, divided by how many there are: counted(_x.shape, dim).
    ### BEGIN SOLUTION
    return expand(over(g, dim, keepdim, _x.ndim) / max(counted(_x.shape, dim), 1), _x.shape),
    ### END SOLUTION

# %%
#| check 1
assert agrees(lambda x: x.sum(), (2, 3)), "a sum answers to a nudge of any of its numbers"
assert agrees(lambda x: x.sum(1), (2, 3)) and agrees(lambda x: x.sum((0, -1)), (2, 3, 2)), \
    "the gradient of a sum over some dimensions is stretched back over those"
assert agrees(lambda x: x.sum(0, keepdim=True), (2, 3)), "with keepdim, the 1 is there already"
assert agrees(lambda x: x.mean(), (2, 3)) and agrees(lambda x: x.mean((0, 2)), (2, 3, 2)), \
    "each of n numbers moves their average by one n-th"
assert agrees(lambda x: x.mean(1), (3, 1)), "a number alone is its own average"

# %% [markdown]
# A product of matrices. Look at the shapes, and hardly anything is left to find: `g` is `(n, m)`, `x` is `(n,
# k)`, `y` is `(k, m)`. The gradient of `x` is `(n, k)`, made of `g` and `y`. In which order do they go?

# %%
#| export exercise
@gradient(matmul)
def matmul_rule(g, _out, x, y):
    row, column = x.ndim == 1, y.ndim == 1              # a vector on the left is a row, on the right a column
    if row: x, g = x.reshape((1, -1)), unsqueeze(g, -1 if column else -2)
    if column: y, g = y.reshape((-1, 1)), unsqueeze(g, -1)
    #| hint g is (n, m), and y.mT is (m, k). The gradient of y is (k, m), made of x.mT and g.
    #| hint Each costs a product: dx = lambda: …, so that only what is wanted is computed.
    ### BEGIN SOLUTION
    dx = lambda: g @ y.mT
    dy = lambda: x.mT @ g
    ### END SOLUTION
    return (lambda: squeeze(dx(), -2)) if row else dx, (lambda: squeeze(dy(), -1)) if column else dy

# %%
#| check 2
assert agrees(matmul, (2, 3), (3, 4)), "the gradient of a factor is g times the other, turned"
assert agrees(matmul, (5, 2, 3), (3, 4)), "a matrix that met a batch is paid for by the whole batch"
assert agrees(matmul, (3,), (3,)) and agrees(matmul, (2, 3), (3,)) and agrees(matmul, (3,), (3, 2)), \
    "vectors are rows on the left and columns on the right"
class Matrix:
    ndim, mT = 2, property(lambda self: self)
    def __matmul__(self, other): products.append("a product")

products = []
matmul_rule(Matrix(), None, Matrix(), Matrix())
assert products == [], \
    "half of the work is for nothing if only one gradient is wanted: let both wait behind a lambda"

# %% [markdown]
# Views are undone by views.

# %%
#| export exercise
@gradient(transpose)
def transpose_rule(g, _out, _x, dim0, dim1):
    ### BEGIN SOLUTION
    return transpose(g, dim0, dim1),
    ### END SOLUTION


@gradient(permute)
def permute_rule(g, _out, _x, dims):
    #| hint Dimension dims[0] went to place 0, so place 0 must go back to dims[0]. Some dims may be negative.
    ### BEGIN SOLUTION
    places = [d % len(dims) for d in dims]
    return permute(g, tuple(sorted(range(len(dims)), key=places.__getitem__))),
    ### END SOLUTION


@gradient(reshape, view)
def reshape_rule(g, _out, _x):
    ### BEGIN SOLUTION
    return reshape(g, _x.shape),
    ### END SOLUTION


@gradient(expand)
def expand_rule(g, _out, _x):
    #| hint What was stretched is paid for by every copy. Who knows already how to undo that?
    ### BEGIN SOLUTION
    return g,
    ### END SOLUTION

# %%
#| check 1
assert agrees(lambda x: x.transpose(0, 2), (2, 3, 4)), "a transpose goes back the way it came"
assert agrees(lambda x: x.permute(1, 2, 0), (2, 3, 4)) and agrees(lambda x: x.permute(-1, 0, 1), (2, 3, 4)), \
    "a permutation is undone by its inverse"
assert agrees(lambda x: x.reshape(3, 2), (2, 3)), "the gradient of a reshape has the shape that was before"
assert reshape_rule(Tensor(3, 2), None, Tensor(2, 3))[0].shape == (2, 3), \
    "the gradient of a reshape has the shape that was before"
assert agrees(lambda x: x.expand(4, 2, 3), (2, 1)), "the engine adds up what was stretched"

# %% [markdown]
# ## A bug hunt
#
# This rule is wrong. Three judges look at it: the first compares shapes; the second measures, for a loss that
# adds up everything; the third is `agrees`, whose loss weighs each number differently. Which of them find the
# mistake? Write down three answers before you run the cell.

# %%
@Op
def turned(x, /): return x.T

@gradient(turned)
def turned_rule(g, _out, _x): return g.reshape(_x.shape),

there = np.arange(6.0).reshape(2, 3)
x = tensor(there, requires_grad=True)
dx = grad(turned(x).sum(), x)[0].array
measured = central_difference(lambda x: float(x.T.sum()), there)
dx.shape == there.shape, np.allclose(dx, measured), agrees(turned, (2, 3))

# %% [markdown]
# Where all that arrives is 1, it does not matter in which order it is handed on: a plain sum is blind to
# every mistake that only moves numbers about. (Would `agrees` with a `(1, 3)` have found it? Try, then put
# the rule right.)
#
# ## Bends
#
# The output tells all that these need: whether it is positive, how far it is from its ends.

# %%
#| export exercise
@gradient(relu)
def relu_rule(g, out, _x):
    ### BEGIN SOLUTION
    return g * (out != 0),
    ### END SOLUTION


@gradient(sigmoid)
def sigmoid_rule(g, out, _x):
    #| hint The sigmoid s grows by s * (1 - s).
    ### BEGIN SOLUTION
    return g * (out * (1 - out)),
    ### END SOLUTION


@gradient(tanh)
def tanh_rule(g, out, _x):
    #| hint tanh grows by 1 - tanh².
    ### BEGIN SOLUTION
    return g * (1 - out * out),
    ### END SOLUTION

# %%
#| check 1
assert agrees(relu, (3, 4)), "relu lets the gradient through where it let the number through"
x = tensor([-1.0, 0.0, 2.0], requires_grad=True)
assert grad(relu(x).sum(), x)[0].tolist() == [0.0, 0.0, 1.0], \
    "at 0, where relu has a corner, the gradient is 0"
assert agrees(sigmoid, (3, 4)), "the sigmoid grows by s * (1 - s)"
assert agrees(tanh, (3, 4)), "tanh grows by 1 - tanh²"

# %% [markdown]
# Softmax shares out a fixed amount: what one class gains, the others lose. So the gradient of each class
# counts only as far as it beats the average, each class weighted by its share.

# %%
#| export exercise
@gradient(softmax)
def softmax_rule(g, out, _x, dim):
    #| hint (g * out).sum(axis=dim, keepdims=True) is the average. How much better is g? And times the share.
    ### BEGIN SOLUTION
    return out * (g - (g * out).sum(axis=dim, keepdims=True)),
    ### END SOLUTION


@gradient(log_softmax)
def log_softmax_rule(g, out, _x, dim):
    #| hint g, less the share np.exp(out) of all that arrives.
    ### BEGIN SOLUTION
    return g - np.exp(out) * g.sum(axis=dim, keepdims=True),
    ### END SOLUTION

# %%
#| check 2
assert agrees(lambda x: softmax(x, 1), (2, 5)) and agrees(lambda x: softmax(x, 0), (3, 2)), \
    "what one class gains, the others lose, by their shares"
assert agrees(lambda x: log_softmax(x, -1), (2, 5)), "log-softmax takes away the share of all that arrives"

# %% [markdown]
# ## A layer and a loss
#
# With these two, networks learn.

# %%
#| export exercise
@gradient(linear)
def linear_rule(g, _out, x, weight, _bias):
    n, width = math.prod(x.shape[:-1]), weight.shape[-1]
    rows, g_rows = x.reshape((n, width)), g.reshape((n, math.prod(weight.shape[:-1])))
    matrix = weight.reshape((g_rows.shape[1], width))
    #| hint As in a product of matrices: rows is (n, in), g_rows (n, out), matrix (out, in).
    #| hint The bias was added to every row: its gradient is the sum over all of them.
    ### BEGIN SOLUTION
    return (lambda: (g_rows @ matrix).reshape(x.shape),
            lambda: (g_rows.mT @ rows).reshape(weight.shape),
            lambda: g_rows.sum(axis=0).reshape(weight.shape[:-1]))
    ### END SOLUTION

# %%
#| check 1
assert agrees(linear, (5, 3), (2, 3), (2,)), "inputs and weights meet each other, the bias meets every row"
assert agrees(linear, (2, 5, 3), (2, 3), (2,)), "dimensions in front are more rows"
assert agrees(linear, (5, 3), (2, 3)), "a layer may have no bias"
assert agrees(linear, (5, 3), (3,), ()), "nor more than one neuron: its weight is a row, its bias a number"

# %% [markdown]
# The surprise at the right class, `-log softmax(x)[label]`, has the loveliest gradient of all: the shares
# that the network gave, less the one it should have given. Too much confidence is pushed down, too little
# pulled up, each by how much it is off.

# %%
#| export exercise
@gradient(surprise)
def surprise_rule(g, _out, x, target, ignore_index):
    dim, places, ignored = labels_of(x, bare(target), ignore_index)
    g = where(ignored, 0.0, unsqueeze(g, dim))              # what was ignored pays nothing
    one_hot = scatter(zeros_beside(g, x.shape), dim, places, 1.0)
    #| hint softmax(x, dim) are the shares. One gradient for x, and None for the labels.
    ### BEGIN SOLUTION
    return (softmax(x, dim) - one_hot) * g, None
    ### END SOLUTION

# %%
#| check 2
labels = tensor([2, 0])
assert agrees(lambda x: surprise(x, labels), (2, 3)), \
    "the shares that were given, less the one that should have been"
assert agrees(lambda x: surprise(x, tensor([[2, 0], [1, 1]])), (2, 3, 2)), \
    "shares are shared out along the dimension of the classes, which is 1 for pictures"
assert agrees(lambda x: surprise(x, tensor([2, -100])), (2, 3)), "a label that is ignored pays nothing"
x = tensor([[0.0, 0.0]], requires_grad=True)
surprise(x, tensor([1])).backward()
assert x.grad.tolist() == [[0.5, -0.5]], "two equal shares: one half too much here, one half too little there"

# %% [markdown]
# ## It learns
#
# 1969: a book proves that one layer cannot compute "one or the other, but not both", and funding dries up.
# 1986: with a hidden layer and the chain rule, it can. Four points, eight hidden units, and what you wrote. A
# coin has a loss of ln 2 = 0.69. Where will 200 steps lead?

# %%
points, answers = tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), tensor([0, 1, 1, 0])
numbers = np.random.default_rng(1)
weights = [tensor(numbers.normal(0, 1, shape), dtype=points.dtype, requires_grad=True)
           for shape in [(8, 2), (8,), (2, 8), (2,)]]

def network(x):
    w1, b1, w2, b2 = weights
    return linear(tanh(linear(x, w1, b1)), w2, b2)

losses = []
for _ in range(200):
    loss = surprise(network(points), answers).mean()
    for w, g in zip(weights, grad(loss, weights)): w.array -= 0.5 * g.array
    losses.append(loss.item())
losses[0], losses[-1], network(points).argmax(1)

# %% [markdown]
# Change `network` to a single `linear`, and watch the loss stay where the coin is.
#
# ## What does it cost?
#
# Remembering is one receipt an op. Pulling a gradient through an op costs about as much as the op did, once
# for each input that wants one: two products for a product. So a step costs about three times the forward
# pass, however many weights there are. Central differences would take two forward passes for *each* of the
# 101,770 weights of this network. How long is that?

# %%
weights = [tensor(numbers.normal(0, 0.1, shape), dtype=points.dtype, requires_grad=True)
           for shape in [(128, 784), (128,), (10, 128), (10,)]]
pictures, labels = tensor(numbers.normal(size=(64, 784)), dtype=points.dtype), tensor([3] * 64)

def seconds(run, times=100):
    start = time.perf_counter()
    for _ in range(times): run()
    return (time.perf_counter() - start) / times

with no_grad(): forward = seconds(lambda: surprise(network(pictures), labels).mean())
step = seconds(lambda: surprise(network(pictures), labels).mean().backward())
nudges = 2 * forward * sum([w.array.size for w in weights])
print(f"forward {1e6 * forward:.0f} µs, with backward {1e6 * step:.0f} µs ({step / forward:.1f} times); "
      f"by nudging {nudges:.0f} s")

# %% [markdown]
# ## Challenges
#
# 1. Compute the second derivative of `x³` with two calls of `grad`, the first with `create_graph=True`. Which
#    receipts hang on the first gradient?
# 2. Write an op of your own with a rule: `@Op def cube(x, /): return x * x * x`. What does `agrees` say if
#    the rule is wrong by a factor? And if the op is wrong?
# 3. The rule of `add` hands the same `g` to both terms. Why is it safe all the same to change `a.grad` in
#    place after `(a + b).backward()`? Find the line that makes it so, and a test that fails without it.
# 4. How many receipts does one step of the network above write? Which of them keep numbers, and how many?
# 5. Write an engine around `Autograd` that counts the bytes that receipts keep.
#
# ## Design note: a tape or a graph?
#
# Some engines keep a **tape**, a list of all that ran, and read it backwards: the order comes for free, but
# everything stays on the tape until somebody tears it off. Ours hangs a receipt on each result: what nobody
# holds any more is forgotten by Python itself, and a loss that was never sent back costs nothing. The order
# comes almost for free, too, from a number on each receipt. The price is one object for each op. Where whole
# programs are compiled before they run (lesson 18), there is a third way: to write down the backward pass as
# another program, once.
