# Generated from modules/09_autograd/autograd.py by `tito export`. Edit that file, not this one.
"""An engine that remembers, and the chain rule that reads its memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from operator import attrgetter

import numpy as np

from ..activations import log_softmax, relu, sigmoid, softmax, tanh
from ..dense import labels_of, linear, surprise
from ..dtypes import DTYPES
from ..elementwise import where
from ..indexing import scatter
from ..journeys import (
    Journey, add_to_grad, check_targets, delivered, first_gradient, leading_to, own, rules_run, served_after,
)
from ..methods import METHODS, method
from ..modes import no_grad
from ..overwriting import write_over, zeros_beside
from ..receipts import Part, Receipt, edge_of, gradient, remembering, set_apart, wants_gradient, write_receipt
from ..rulebook import bare, counted, handed_on, listed, over
from ..shaping import squeeze, unsqueeze
from ..tensor import (
    Engine, Op, Tensor, add, current_engine, exp, expand, log, matmul, mean, mul, neg, permute, reshape,
    set_default_engine, sqrt, sub, sum_, tensor, transpose, true_divide, using, view,
)

__all__ = [
    "central_difference", "add_rule", "sub_rule", "neg_rule", "mul_rule", "true_divide_rule", "exp_rule",
    "log_rule", "sqrt_rule", "Autograd", "newest_first", "unbroadcast", "settled", "gather", "Flow",
    "remembering_engine", "backward", "grad", "agrees", "sum_rule", "mean_rule", "matmul_rule",
    "transpose_rule", "permute_rule", "reshape_rule", "expand_rule", "relu_rule", "sigmoid_rule", "tanh_rule",
    "softmax_rule", "log_softmax_rule", "linear_rule", "surprise_rule",
]


def central_difference(f: Callable, x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """How f(x), a number, answers to a nudge of each number in the float64 array x.  (*) -> (*)"""
    slope = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        there = x[place]
        x[place] = there + eps
        above = f(x)
        x[place] = there - eps
        below = f(x)
        x[place] = there
        slope[place] = (above - below) / (2 * eps)
    return slope


@gradient(add)
def add_rule(g, _out, _x, _y, alpha):
    return g, g if alpha == 1 else lambda: g * alpha


@gradient(sub)
def sub_rule(g, _out, _x, _y, alpha):
    return g, lambda: g * -alpha


@gradient(neg)
def neg_rule(g, _out, _x):
    return -g,


@gradient(mul)
def mul_rule(g, _out, x, y):
    return lambda: g * y, lambda: g * x


@gradient(true_divide)
def true_divide_rule(g, out, _x, y):
    return lambda: g / y, lambda: -g * out / y


@gradient(exp)
def exp_rule(g, out, _x):
    return g * out,


@gradient(log)
def log_rule(g, _out, x):
    return g / x,


@gradient(sqrt)
def sqrt_rule(g, out, _x):
    return g / (2 * out),


class Autograd(Engine):
    """Computes like the engine it wraps, and keeps a receipt when somebody will want a gradient."""

    def __init__(self, inner: Engine | None = None):
        self.inner = inner or Engine()
        self.kernels = self.inner.kernels

    def run(self, op: Op, inputs: tuple, settings: dict):
        """What the inner engine gives, with a receipt."""
        out = self.inner.run(op, inputs, settings)
        for x in inputs:
            if wants_gradient(x) and remembering.get(): return self.record(op, inputs, settings, out)
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


def newest_first(receipts: Iterable[Receipt]) -> list[Receipt]:
    """All receipts that can be reached from these, each after all that was made from it."""
    found = set(receipts)
    waiting = list(found)
    while waiting:
        for edge in waiting.pop().edges:
            if isinstance(edge, Receipt) and edge not in found:
                found.add(edge)
                waiting.append(edge)
    return sorted(found, key=attrgetter("number"), reverse=True)


def unbroadcast(g, shape: tuple[int, ...]):
    """The gradient of something of that shape, from the gradient of what it was stretched to."""
    front = g.ndim - len(shape)
    if front > 0: g = g.sum(axis=tuple(range(front)))
    grown = tuple([n for n, length in enumerate(shape) if length == 1 and g.shape[n] != 1])
    return g.sum(axis=grown, keepdims=True) if grown else g


def settled(dx, x):
    """A gradient in the shape and dtype of the array, or outline, that it is for."""
    if dx.shape != x.shape:
        if dx.ndim < x.ndim: dx = dx.reshape((1,) * (x.ndim - dx.ndim) + dx.shape)      # as in z[0] = x[:1]
        dx = unbroadcast(dx, x.shape).reshape(x.shape)
    if dx.dtype == x.dtype: return dx
    return METHODS["to"](dx, DTYPES[x.dtype]) if isinstance(dx, Tensor) else DTYPES[x.dtype].cast(dx)


def gather(pending: dict, mine: set, edge, dx) -> None:
    """Adds dx to what has gathered at the edge; `mine` are the edges whose array nobody else holds."""
    if edge not in pending:
        pending[edge] = dx
    elif edge in mine:
        pending[edge] += dx
    else:
        pending[edge] = pending[edge] + dx
        if not isinstance(dx, Tensor): mine.add(edge)


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
            for receipt in order:
                if receipt in self.pending: self.visit(receipt)
                if receipt in leaves: self.serve(leaves[receipt])
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
            if callable(dx): dx = dx()
            dx = settled(dx, x)
            if isinstance(edge, Tensor): dx = own(dx, [g, *receipt.inputs, *self.pending.values()])
            gather(self.pending, self.mine, edge, dx)
        if not self.retain: receipt.let_go()
        return None


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


@gradient(sum_)
def sum_rule(g, _out, _x, dim, keepdim):
    return expand(over(g, dim, keepdim, _x.ndim), _x.shape),


@gradient(mean)
def mean_rule(g, _out, _x, dim, keepdim):
    return expand(over(g, dim, keepdim, _x.ndim) / max(counted(_x.shape, dim), 1), _x.shape),


@gradient(matmul)
def matmul_rule(g, _out, x, y):
    row, column = x.ndim == 1, y.ndim == 1              # a vector on the left is a row, on the right a column
    if row: x, g = x.reshape((1, -1)), unsqueeze(g, -1 if column else -2)
    if column: y, g = y.reshape((-1, 1)), unsqueeze(g, -1)
    dx = lambda: g @ y.mT
    dy = lambda: x.mT @ g
    return (lambda: squeeze(dx(), -2)) if row else dx, (lambda: squeeze(dy(), -1)) if column else dy


@gradient(transpose)
def transpose_rule(g, _out, _x, dim0, dim1):
    return transpose(g, dim0, dim1),


@gradient(permute)
def permute_rule(g, _out, _x, dims):
    places = [d % len(dims) for d in dims]
    return permute(g, tuple(sorted(range(len(dims)), key=places.__getitem__))),


@gradient(reshape, view)
def reshape_rule(g, _out, _x):
    return reshape(g, _x.shape),


@gradient(expand)
def expand_rule(g, _out, _x):
    return g,


@gradient(relu)
def relu_rule(g, out, _x):
    return g * (out != 0),


@gradient(sigmoid)
def sigmoid_rule(g, out, _x):
    return g * (out * (1 - out)),


@gradient(tanh)
def tanh_rule(g, out, _x):
    return g * (1 - out * out),


@gradient(softmax)
def softmax_rule(g, out, _x, dim):
    return out * (g - (g * out).sum(axis=dim, keepdims=True)),


@gradient(log_softmax)
def log_softmax_rule(g, out, _x, dim):
    return g - np.exp(out) * g.sum(axis=dim, keepdims=True),


@gradient(linear)
def linear_rule(g, _out, x, weight, _bias):
    n, width = math.prod(x.shape[:-1]), weight.shape[-1]
    rows, g_rows = x.reshape((n, width)), g.reshape((n, math.prod(weight.shape[:-1])))
    matrix = weight.reshape((g_rows.shape[1], width))
    return (lambda: (g_rows @ matrix).reshape(x.shape),
            lambda: (g_rows.mT @ rows).reshape(weight.shape),
            lambda: g_rows.sum(axis=0).reshape(weight.shape[:-1]))


@gradient(surprise)
def surprise_rule(g, _out, x, target, ignore_index):
    dim, places, ignored = labels_of(x, bare(target), ignore_index)
    g = where(ignored, 0.0, unsqueeze(g, dim))              # what was ignored pays nothing
    one_hot = scatter(zeros_beside(g, x.shape), dim, places, 1.0)
    return (softmax(x, dim) - one_hot) * g, None


# Added by `tito export`: what PyTorch keeps under this name, too.
from ..modes import no_grad, enable_grad, inference_mode, set_grad_enabled
from ..receipts import gradient, shortcut, no_gradient
from ..custom import Function
from ..graph import backward

__all__ += [
    "no_grad", "enable_grad", "inference_mode", "set_grad_enabled", "gradient", "shortcut", "no_gradient",
    "Function", "backward", "detect_anomaly", "set_detect_anomaly", "gradcheck", "gradgradcheck", "draw",
]



TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from . import function, graph
    from ..anomaly import detect_anomaly, set_detect_anomaly
    from ..checking import gradcheck, gradgradcheck
    from ..drawing import draw

def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)
