# Generated from modules/09_autograd/autograd.py by `tito export`. Edit that file, not this one.
"""An engine that remembers, and the chain rule that reads its memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar
from itertools import count
from operator import attrgetter
from types import SimpleNamespace

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided

from .activations import log_softmax, relu, sigmoid, softmax, tanh
from .dense import labels_of, linear, surprise
from .dtypes import DTYPES
from .elementwise import where
from .errors import shape_of
from .indexing import put_index, scatter
from .indices import numbers_first
from .methods import METHODS, method
from .printing import receipt_name
from .shaping import detach, unsqueeze
from .tensor import (
    Engine, Kept, Op, Tensor, add, current_engine, exp, expand, log, matmul, mean, mul, neg, permute, reshape,
    select_index, set_default_engine, sqrt, sub, sum_, transpose, true_divide, using, view,
)

__all__ = [
    "central_difference", "Rule", "defaults_of", "RULES", "SHORTCUTS", "UNWRITTEN", "gradient", "shortcut",
    "register", "no_gradient", "add_rule", "sub_rule", "mul_rule", "true_divide_rule", "neg_rule", "exp_rule",
    "log_rule", "sqrt_rule", "Outline", "Receipt", "Part", "wants_gradient", "edge_of", "sign", "Autograd",
    "sign_parts", "newest_first", "unbroadcast", "settled", "Bare", "pull", "looked_up", "overwritten",
    "unpacked_output", "gather", "Flow", "first_gradient", "stage", "served_after", "leading_to", "hooked",
    "boxes", "add_to_grad", "remembering_engine", "backward", "grad", "listed", "GradMode", "no_grad",
    "enable_grad", "inference_mode", "set_grad_enabled", "is_grad_enabled", "write_over", "is_like",
    "keep_old", "set_apart", "joined", "see_again", "places_of", "put_index_rule", "select_index_rule",
    "zeros_beside", "picks_twice", "over", "counted", "sum_rule", "mean_rule", "matmul_rule", "as_matrices",
    "transpose_rule", "permute_rule", "reshape_rule", "expand_rule", "relu_rule", "sigmoid_rule", "tanh_rule",
    "softmax_rule", "log_softmax_rule", "linear_rule", "surprise_rule", "bare",
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


class Rule:
    """How an op hands on a gradient, and what it must know for that."""

    def __init__(self, op: Op, function: Callable):
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        if code.co_flags & 0x04: names += (code.co_varnames[len(names) + code.co_kwonlyargcount],)
        self.function, first = function, names[1:2] + names[2 : 2 + len(op.inputs)]
        self.looks = tuple([not name.startswith("_") for name in first])    # at the output, at each input
        asked = names[1 + len(first) :] + code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        self.kept = "kept" in asked                                         # at what the forward handed over
        known = defaults_of(op)
        self.settings = {name: known.get(name) for name in asked if name != "kept"}


def defaults_of(op: Op) -> dict:
    """The settings of an op that need not be given, and what they are then."""
    forward, code = op.forward, op.forward.__code__
    names = code.co_varnames[: code.co_argcount]
    last = forward.__defaults__ or ()
    return dict(zip(names[len(names) - len(last) :], last)) | (forward.__kwdefaults__ or {})


RULES: dict[Op, Rule | None] = {}               # None: nothing flows through
SHORTCUTS: dict[Op, Rule] = {}                  # the same rules in fewer passes, for arrays alone
UNWRITTEN = SimpleNamespace(looks=(False, False), kept=False)      # what stands for a rule that is not there yet


def gradient(*ops: Op) -> Callable:
    """`@gradient(mul)` above a function makes it the rule by which mul hands on gradients."""
    return register(RULES, ops)


def shortcut(*ops: Op) -> Callable:
    """The same for a rule in fewer passes over bare arrays, where nobody wants a gradient of the gradient.

    It may ask for `kept`, what the forward found out on its way. The rule itself may not: those numbers have no
    history, and would count as constants.
    """
    return register(SHORTCUTS, ops)


def register(table: dict, ops: tuple[Op, ...]) -> Callable:
    def register(function: Callable) -> Callable:
        for op in ops:
            table[op] = Rule(op, function)
            rule, short = RULES.get(op), SHORTCUTS.get(op)
            if rule and short:                  # a receipt keeps what either of the two looks at
                rule.looks = tuple([a or b for a, b in zip(rule.looks, short.looks)])
                rule.kept = short.kept
        return function
    return register


def no_gradient(*ops: Op) -> None:
    """Says that nothing flows back through these ops."""
    RULES.update(dict.fromkeys(ops))


@gradient(add)
def add_rule(g, _out, _x, _y, alpha):
    return g, lambda: g * alpha


@gradient(sub)
def sub_rule(g, _out, _x, _y, alpha):
    return g, lambda: g * -alpha


@gradient(mul)
def mul_rule(g, _out, x, y):
    return lambda: g * y, lambda: g * x


@gradient(true_divide)
def true_divide_rule(g, out, _x, y):
    return lambda: g / y, lambda: -g * out / y


@gradient(neg)
def neg_rule(g, _out, _x):
    return -g,


@gradient(exp)
def exp_rule(g, out, _x):
    return g * out,


@gradient(log)
def log_rule(g, _out, x):
    return g / x,


@gradient(sqrt)
def sqrt_rule(g, out, _x):
    return g / (2 * out),


class Outline(tuple):
    """What is left of numbers that nobody will look at: their shape and dtype."""

    def __new__(cls, array): return tuple.__new__(cls, (array.shape, array.dtype))

    shape = property(lambda self: self[0])
    dtype = property(lambda self: self[1])
    ndim = property(lambda self: len(self[0]))


_numbers = count()


class Receipt:
    """How a tensor was made: the op, what went in, with which settings."""

    __slots__ = ("__weakref__", "edges", "hooks", "inputs", "kept", "number", "op", "out", "outline", "seen",
                 "settings", "spoilt", "versions")

    def __init__(self, op: Op, edges: list, inputs: list | None, settings: dict):
        self.op, self.edges, self.inputs, self.settings = op, edges, inputs, settings
        self.number = next(_numbers)
        self.versions: list = []        # how often the memory of each input had been written over
        self.out, self.kept = None, ()  # numbers of the output, and what the forward handed over
        self.seen = 0                   # for a view: how often its memory had been written over
        self.spoilt = False             # whether the output has been written over since
        self.hooks: dict | None = None

    def name(self) -> str:
        """PyTorch's name for it: MulBackward0."""
        return receipt_name(self)

    @property
    def next_functions(self) -> tuple:
        """The receipts, or tensors, that gradients go to from here, as PyTorch lists them."""
        return tuple([(edge, 0) for edge in self.edges])

    def pull(self, g, wanted: list[bool], create_graph: bool) -> list:
        """What goes to each input that wants a gradient, None to the others."""
        return pull(self, g, wanted, create_graph)

    def let_go(self) -> None:
        """Forgets the numbers."""
        self.inputs = self.out = None
        self.kept = ()

    def __repr__(self): return f"<{self.name()}>"


class Part(Receipt):
    """The receipt of one of several outputs; `edges` leads to the receipt of them all."""

    __slots__ = ("place", "places")

    def __init__(self, whole: Receipt, place: int, places: int):
        super().__init__(whole.op, [whole], [], {})
        self.place, self.places = place, places

    def put(self, g, pending: dict) -> None:
        """Puts the gradient of this output beside those of the others."""
        pending.setdefault(self.edges[0], [None] * self.places)[self.place] = g


_remembering: ContextVar = ContextVar("remembering", default=True)


def wants_gradient(x) -> bool:
    """Whether x is a tensor through which a gradient is wanted."""
    if not isinstance(x, Tensor): return False
    return x.requires_grad or (x._base is not None and x._base.requires_grad and joined(x))


def edge_of(x: Tensor):
    """Where a gradient for x goes: to the receipt that tells how x was made, or to x, which is a leaf."""
    if x.receipt is None: return x
    if x._base is not None and x.receipt.seen != x._base._changes: see_again(x)
    return x.receipt


def sign(out: Tensor, receipt: Receipt, rule: Rule) -> None:
    """Hangs the receipt on the output, which takes with it what the rule will want to look at."""
    if out.array.dtype.kind not in "fV": return         # whole numbers have no derivative; V is bfloat16
    out.receipt, out.requires_grad = receipt, True
    if rule.looks[0]: receipt.out = out.array
    if out.kept: receipt.kept, out.kept = out.kept if rule.kept else (), ()
    if out._base is not None: receipt.seen = out._base._changes


class Autograd(Engine):
    """Computes like the engine it wraps, and keeps a receipt when somebody will want a gradient."""

    def __init__(self, inner: Engine | None = None):
        self.inner = inner or Engine()
        self.kernels = self.inner.kernels

    def run(self, op: Op, inputs: tuple, settings: dict):
        """What the inner engine gives, with a receipt."""
        out = self.inner.run(op, inputs, settings)
        if _remembering.get():
            for x in inputs:
                if wants_gradient(x): return self.record(op, inputs, settings, out)
        if op.shares: set_apart(op, out)
        return out

    def record(self, op: Op, inputs: tuple, settings: dict, out):
        """Writes the receipt of `out`, and hands it on."""
        rule = RULES.get(op, UNWRITTEN)
        if rule is None:
            set_apart(op, out)
            return out
        edges = [edge_of(x) if wants_gradient(x) else None for x in inputs]     # first: they may be new
        receipt, looks, singly = Receipt(op, edges, [], settings), rule.looks, len(rule.looks) > len(inputs)
        for place, x in enumerate(inputs, 1):
            box, looked_at = isinstance(x, Tensor), looks[place if singly else -1]
            receipt.inputs.append(x if looked_at or not box else Outline(x.array))
            receipt.versions.append(x._version if looked_at and box else None)
        if isinstance(out, tuple): sign_parts(out, receipt, rule)
        else: sign(out, receipt, rule)
        return out

    def write(self, tensor: Tensor, value, index=...) -> Tensor:
        """Writes as the inner engine does, and remembers what was written over what."""
        return write_over(self, tensor, value, index)

    def pull(self, receipt: Receipt, g, wanted: list[bool], create_graph: bool) -> list:
        """The gradients of what went into an op, for the one of what came out."""
        return receipt.pull(g, wanted, create_graph)

    def backward(self, tensor: Tensor, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Sends gradients back from the tensor, and adds them to .grad of the leaves."""
        Flow(self, add_to_grad, inputs, retain_graph, create_graph).run([tensor], [gradient])


def sign_parts(parts: tuple, receipt: Receipt, rule: Rule) -> None:
    """Hangs a receipt on each of several outputs."""
    receipt.out = [part.array if rule.looks[0] else Outline(part.array) for part in parts]
    if parts and parts[0].kept: receipt.kept, parts[0].kept = parts[0].kept if rule.kept else (), ()
    for place, part in enumerate(parts): sign(part, Part(receipt, place, len(parts)), UNWRITTEN)


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
    """A gradient in the shape and dtype of the input it is for."""
    kind = (x.array if isinstance(x, Tensor) else x).dtype
    if dx.shape != x.shape:
        dx = unbroadcast(dx, x.shape)
        if dx.shape != x.shape: dx = dx.reshape(x.shape)
    if isinstance(dx, Tensor): return dx if dx.array.dtype == kind else METHODS["to"](dx, DTYPES[kind])
    return dx if dx.dtype == kind else DTYPES[kind].cast(dx)


class Bare(Engine):
    """Arrays in, arrays out: what runs the ops in rules."""

    def __init__(self, inner: Engine):
        self.inner, self.kernels = inner, inner.kernels

    def run(self, op: Op, inputs: tuple, settings: dict):
        arrays = inputs if op.promote is None else op.promote(inputs)
        out = self.kernels.get(op, op.forward)(*arrays, **settings)
        return out[0] if type(out) is Kept else out


def pull(receipt: Receipt, g, wanted: list[bool], create_graph: bool) -> list:
    """What the rule of the receipt's op makes of g: a gradient for each input that wants one, else None."""
    op = receipt.op
    rule = SHORTCUTS.get(op) if not create_graph else None
    rule = rule or RULES.get(op)
    if rule is None: raise NotImplementedError(f"{op.name} has no gradient yet: write one under @gradient({op.name})")
    inputs, out = looked_up(receipt, create_graph)
    settings = {name: receipt.settings.get(name, default) for name, default in rule.settings.items()}
    if rule is SHORTCUTS.get(op) and rule.kept: settings["kept"] = receipt.kept
    inputs += [None] * (op.arity - len(inputs))             # those that were left out, as a bias may be
    found = rule.function(g, out, *inputs, **settings)
    if len(found) < len(wanted):
        raise ValueError(f"the rule of {op.name} gives {len(found)} gradients for {len(wanted)} inputs")
    return [(dx() if callable(dx) else dx) if want else None for dx, want in zip(found, wanted)]


def looked_up(receipt: Receipt, create_graph: bool) -> tuple[list, object]:
    """The inputs and the output of a receipt as its rule wants to see them: bare, or as tensors."""
    if receipt.inputs is None:
        raise RuntimeError(f"backward went through {receipt.op.name} before, and let go of what it needed: say "
                           "retain_graph=True the first time, or compute the loss once more")
    if receipt.spoilt and receipt.out is not None: raise overwritten(receipt, "its output", receipt.out)
    for n, (x, version) in enumerate(zip(receipt.inputs, receipt.versions)):
        if version is not None and x._version != version: raise overwritten(receipt, f"its input {n}", x)
    if create_graph: return list(receipt.inputs), unpacked_output(receipt)
    return [x.array if isinstance(x, Tensor) else x for x in receipt.inputs], receipt.out


def overwritten(receipt: Receipt, what: str, x) -> RuntimeError:
    """The error for numbers that are needed, and that somebody has written over."""
    return RuntimeError(f"the gradient of {receipt.op.name} needs {what}, of shape {shape_of(x)}, which has been modified "
                        "by an inplace operation since: use the form without the underscore, or a clone()")


def unpacked_output(receipt: Receipt):
    """The output in a box, with its history."""
    if receipt.out is None or isinstance(receipt.out, list): return receipt.out
    out = Tensor(receipt.out)
    out.receipt, out.requires_grad = receipt, True
    return out


def gather(pending: dict, mine: set, edge, dx) -> None:
    """Adds dx to what has gathered at the edge; `mine` are the edges whose array nobody else holds."""
    if edge not in pending:
        pending[edge] = dx
    elif edge in mine:
        pending[edge] += dx
    else:
        pending[edge] = pending[edge] + dx
        if not isinstance(dx, Tensor): mine.add(edge)


class Flow:
    """One journey of gradients, from outputs back to leaves, or to the targets alone."""

    def __init__(
        self, engine: Autograd, deliver: Callable,              # is called with a tensor and its gradient
        targets: Iterable[Tensor] | None = None, retain_graph: bool | None = None, create_graph: bool = False,
    ):
        self.engine, self.deliver, self.create_graph = engine, deliver, create_graph
        self.retain = create_graph if retain_graph is None else retain_graph
        self.targets = None if targets is None else {edge_of(x): x for x in targets}
        self.useful: set | None = None          # the edges that lead to a target; None: all do
        self.pending, self.mine = {}, set()

    def run(self, outputs: list[Tensor], gradients: list) -> None:
        """Sends the gradients of the outputs on their way."""
        for y, g in zip(outputs, gradients):
            gather(self.pending, self.mine, edge_of(y), first_gradient(y, g, self.create_graph))
        order = newest_first([edge for edge in self.pending if isinstance(edge, Receipt)])
        if self.targets is not None: self.useful = leading_to(order, self.targets)
        leaves = served_after(order)
        with stage(self.engine, self.create_graph):
            for receipt in order:
                if receipt in self.pending: self.visit(receipt)
                self.serve(leaves.get(receipt, ()))
            self.serve([edge for edge in self.pending if isinstance(edge, Tensor)])     # outputs that are leaves

    def visit(self, receipt: Receipt) -> None:
        """Takes what has gathered at a receipt, and hands it on to its edges."""
        g = hooked(receipt, self.pending.pop(receipt))
        if self.targets is not None and receipt in self.targets: self.deliver(self.targets[receipt], g)
        if isinstance(receipt, Part): return receipt.put(g, self.pending)
        wanted = [edge is not None and (self.useful is None or edge in self.useful) for edge in receipt.edges]
        if not any(wanted): return None
        found = self.engine.pull(receipt, g, wanted, self.create_graph)
        for edge, x, dx in zip(receipt.edges, receipt.inputs, found):
            if dx is not None: gather(self.pending, self.mine, edge, settled(dx, x))
        if not self.retain: receipt.let_go()

    def serve(self, leaves: Iterable[Tensor]) -> None:
        """Delivers to leaves whose gradient is complete."""
        for leaf in leaves:
            if leaf not in self.pending: continue
            g = hooked(leaf, self.pending.pop(leaf))
            if self.targets is None: self.deliver(leaf, g)
            elif leaf in self.targets: self.deliver(self.targets[leaf], g)


def first_gradient(y: Tensor, g, create_graph: bool):
    """What a gradient starts with at an output: 1 at a loss, what the caller says at anything else."""
    if not wants_gradient(y):
        raise RuntimeError("this tensor does not require grad and does not have a grad_fn: nothing that it was made of "
                           "wants a gradient, or it was made under no_grad")
    if g is None:
        if y.array.size != 1:
            raise RuntimeError(f"grad can be implicitly created only for scalar outputs, and this one has shape {shape_of(y)}: "
                               "say backward(gradient), how the loss answers to each of its numbers")
        g = Tensor(np.ones_like(y.array))
    if g.shape != y.shape:
        raise RuntimeError(f"a gradient has the shape of its tensor: this one is {shape_of(g)}, the tensor is {shape_of(y)}")
    return g if create_graph else g.array


@contextmanager
def stage(engine: Autograd, create_graph: bool) -> Iterator[None]:
    """Who runs the ops of the rules: the engine itself if they are to be remembered, else one for bare arrays."""
    token = _remembering.set(create_graph)
    try:
        with using(engine if create_graph else Bare(engine.inner)): yield
    finally:
        _remembering.reset(token)


def served_after(order: list[Receipt]) -> dict[Receipt, list[Tensor]]:
    """For each receipt, the leaves to which no later one leads."""
    last = {edge: receipt for receipt in order for edge in receipt.edges if isinstance(edge, Tensor)}
    leaves: dict = {}
    for leaf, receipt in last.items(): leaves.setdefault(receipt, []).append(leaf)
    return leaves


def leading_to(order: list[Receipt], targets: dict) -> set:
    """The edges from which a target can be reached, the targets among them."""
    useful = set(targets)
    for receipt in reversed(order):
        if any([edge in useful for edge in receipt.edges]): useful.add(receipt)
    return useful


def hooked(edge, g):
    """The gradient after the hooks of that receipt or leaf have seen it, and perhaps replaced it."""
    hooks = edge.hooks if isinstance(edge, Receipt) else vars(edge).get("_hooks")
    if not hooks or isinstance(g, list): return g
    box = g if isinstance(g, Tensor) else Tensor(np.asarray(g))
    with boxes():
        for hook in list(hooks.values()):
            told = hook(box)
            if told is not None: box = told
    return box if isinstance(g, Tensor) else box.array


@contextmanager
def boxes() -> Iterator[None]:
    """Within a journey: somebody else's code runs, who expects tensors."""
    engine = current_engine()
    with using(engine.inner if isinstance(engine, Bare) else engine): yield


def add_to_grad(leaf: Tensor, g) -> None:
    """Adds a gradient to .grad of a leaf, in place where there is one already."""
    if isinstance(g, Tensor): leaf.grad = g if leaf.grad is None else leaf.grad + g
    elif leaf.grad is None: leaf.grad = Tensor(g)
    else:
        leaf.grad.array += g
        leaf.grad._changes += 1
    for hook in vars(leaf).get("_after_grad", {}).values():
        with boxes(): hook(leaf)


def remembering_engine() -> Autograd:
    """The engine that remembers, among those that stand at the door."""
    engine = current_engine()
    while not isinstance(engine, Autograd) and hasattr(engine, "inner"): engine = engine.inner
    return engine


@method
def backward(tensor: Tensor, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Adds to .grad of every leaf how this tensor answers to a nudge of it."""
    if isinstance(inputs, Tensor): inputs = [inputs]
    remembering_engine().backward(tensor, gradient=gradient, retain_graph=retain_graph, create_graph=create_graph, inputs=inputs)


def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph: bool = False,
    is_grads_batched: bool = False, allow_unused: bool | None = None, materialize_grads: bool = False,
) -> tuple:
    """The gradients of the outputs for the inputs, in a tuple; no .grad is touched."""
    outputs, inputs = listed(outputs), listed(inputs)
    gradients = [None] * len(outputs) if grad_outputs is None else listed(grad_outputs)
    found: dict = {}

    def deliver(x, g): found[x] = g if isinstance(g, Tensor) else Tensor(g)
    Flow(remembering_engine(), deliver, inputs, retain_graph, create_graph).run(outputs, gradients)
    if materialize_grads: found = {x: Tensor(np.zeros_like(x.array)) for x in inputs} | found
    if not (allow_unused or materialize_grads) and any([x not in found for x in inputs]):
        raise RuntimeError("One of the differentiated Tensors appears to not have been used in the graph: the outputs were not "
                           "made from it. Set allow_unused=True if None is what you want for it")
    return tuple([found.get(x) for x in inputs])


def listed(x) -> list:
    return [x] if isinstance(x, Tensor) or x is None else list(x)


class GradMode(ContextDecorator):
    """Within `with`, or within the function it decorates, the engine remembers or does not."""

    mode = True

    def __new__(cls, *args):
        made = super().__new__(cls)
        if args and callable(args[0]): return cls()(args[0])        # @no_grad, without brackets
        made.tokens = []
        return made

    def __enter__(self): self.tokens.append(_remembering.set(self.mode))
    def __exit__(self, *error): _remembering.reset(self.tokens.pop())
    def _recreate_cm(self): return self


class no_grad(GradMode):
    """Nothing that runs within is remembered: results want no gradient."""

    mode = False


class enable_grad(GradMode):
    """What runs within is remembered, even inside of no_grad."""


class inference_mode(GradMode):
    """no_grad, for programs that never train; `mode=False` remembers."""

    def __init__(self, mode: bool = True): self.mode = not mode


class set_grad_enabled(GradMode):
    """Says from here on, or to the end of `with`, whether the engine remembers."""

    def __init__(self, mode: bool):
        self.mode = mode
        self.tokens.append(_remembering.set(mode))

    def __enter__(self): return None


def is_grad_enabled() -> bool:
    """Whether the engine remembers here and now."""
    return _remembering.get()


def write_over(engine: Autograd, tensor: Tensor, value, index) -> Tensor:
    """Writes value where tensor[index] is, and lets the history of the memory say so."""
    memory = tensor if tensor._base is None else tensor._base
    root = tensor if tensor._apart else memory              # whose history goes on
    wanted = _remembering.get() and root.array.dtype.kind in "fV" and (root.requires_grad or wants_gradient(value))
    if wanted and root.requires_grad and root.receipt is None:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation: how would its gradient know "
                           "which numbers are meant? Change it under no_grad(), or use a result of it")
    if memory.receipt is not None: memory.receipt.spoilt = True
    whole = wanted and tensor is root and index is ... and is_like(value, root)
    if wanted and isinstance(value, Tensor) and value.receipt is not None: keep_old(value.receipt, memory)
    places = index if not wanted or tensor is root else places_of(tensor, root, index)
    engine.inner.write(tensor, value, index)
    if whole: root.receipt, root.requires_grad = value.receipt, True
    elif wanted: engine.record(put_index, (root, value), {"index": places}, root)
    return tensor


def is_like(value, root: Tensor) -> bool:
    """Whether value can take the place of root, history and all."""
    if not isinstance(value, Tensor) or value.receipt is None or value._base is not None: return False
    return value.shape == root.shape and value.array.dtype == root.array.dtype


def keep_old(receipt: Receipt, memory: Tensor) -> None:
    """Copies what a receipt needs of memory that is about to be written over, as in x.mul_(y)."""
    for n, (x, version) in enumerate(zip(receipt.inputs or (), receipt.versions)):
        if version is not None and (x is memory or x._base is memory):
            old = Tensor(x.array.copy())
            old.receipt, old.requires_grad = x.receipt, x.requires_grad
            receipt.inputs[n], receipt.versions[n] = old, 0


def set_apart(op: Op, out) -> None:
    """Notes of views that they have no part in the history of the memory they show."""
    if not op.shares: return
    for part in out if isinstance(out, tuple) else (out,):
        if part._base is not None and (op is detach or part._base.requires_grad): part._apart = True


def joined(x: Tensor) -> bool:
    """Whether a view wants a gradient since something that does was written into its memory."""
    if x._apart or x._base.receipt is None: return False
    see_again(x)
    return True


def see_again(x: Tensor) -> None:
    """A new receipt for a view whose memory was written over: a part of what the memory is now."""
    root = x._base
    if root.receipt is not None and (x.receipt is None or x.receipt.number < root.receipt.number):
        receipt = Receipt(select_index, [root.receipt], [Outline(root.array)], {"index": places_of(x, root, ...)})
        receipt.versions.append(None)
        x.receipt, x.requires_grad = receipt, True
    x.receipt.seen = root._changes


def places_of(x: Tensor, root: Tensor, index) -> tuple:
    """Where in root the numbers x[index] are that x shows of its memory, as an index."""
    size, low = root.array.itemsize, byte_bounds(root.array)[0]
    line = np.empty((byte_bounds(root.array)[1] - low) // size, np.int64)

    def laid_out(array):
        first = line[(array.__array_interface__["data"][0] - low) // size :]
        return as_strided(first, array.shape, [step // size * line.itemsize for step in array.strides])
    laid_out(root.array)[...] = np.arange(root.array.size).reshape(root.array.shape)
    part, index = numbers_first(laid_out(x.array), index)
    return np.unravel_index(part[index], root.array.shape)


@gradient(put_index)
def put_index_rule(g, _out, _x, _values, index, accumulate):
    """What was written over answers no more; what was written answers from where it is."""
    return g if accumulate else lambda: put_index(g, 0.0, index), lambda: select_index(g, index)


@gradient(select_index)
def select_index_rule(g, _out, _x, index):
    """What was picked answers from where it was; picked twice, it answers twice."""
    return put_index(zeros_beside(g, _x.shape), g, index, picks_twice(index)),


def zeros_beside(g, shape):
    """Zeros of the dtype and in the memory of g."""
    return np.zeros_like(g.array if isinstance(g, Tensor) else g, shape=shape)


def picks_twice(index) -> bool:
    """Whether an index may name a place more than once: lists of numbers may."""
    return any([getattr(i, "dtype", bool) != bool for i in (index if isinstance(index, tuple) else (index,))])



no_gradient(detach)
set_default_engine(Autograd())


def over(g, dim, keepdim: bool, ndim: int):
    """The gradient of a reduction, with a 1 for each dimension that was taken away."""
    if keepdim or not g.ndim and ndim == 0: return g
    if dim is None or dim == () or dim == []: return g.reshape((1,) * ndim)
    shape = list(g.shape)
    for place in sorted([d % ndim for d in (dim if isinstance(dim, (list, tuple)) else (dim,))]): shape.insert(place, 1)
    return g.reshape(tuple(shape))


def counted(shape, dim) -> int:
    """How many numbers a reduction over `dim` makes one of."""
    if dim is None or dim == () or dim == []: return math.prod(shape)
    return math.prod([shape[d] for d in (dim if isinstance(dim, (list, tuple)) else (dim,))])


@gradient(sum_)
def sum_rule(g, _out, _x, dim, keepdim):
    return expand(over(g, dim, keepdim, _x.ndim), _x.shape),


@gradient(mean)
def mean_rule(g, _out, _x, dim, keepdim):
    return expand(over(g, dim, keepdim, _x.ndim) / max(counted(_x.shape, dim), 1), _x.shape),


@gradient(matmul)
def matmul_rule(g, _out, x, y):
    x, y, g = as_matrices(x, y, g)
    return lambda: g @ y.mT, lambda: x.mT @ g


def as_matrices(x, y, g):
    """A vector on the left of a product is a row, one on the right is a column."""
    if x.ndim == 1: x, g = x.reshape((1, -1)), unsqueeze(g, -1 if y.ndim == 1 else -2)
    if y.ndim == 1: y, g = y.reshape((-1, 1)), unsqueeze(g, -1)
    return x, y, g


@gradient(transpose)
def transpose_rule(g, _out, _x, dim0, dim1):
    return transpose(g, dim0, dim1),


@gradient(permute)
def permute_rule(g, _out, _x, dims):
    back = sorted(range(len(dims)), key=[d % len(dims) for d in dims].__getitem__)
    return permute(g, tuple(back)),


@gradient(reshape, view)
def reshape_rule(g, _out, _x):
    return reshape(g, _x.shape),


@gradient(expand)
def expand_rule(g, _out, _x):
    return g,


@gradient(relu)
def relu_rule(g, out, _x):
    return g * (out > 0),


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
    rows, g_rows = x.reshape((-1, x.shape[-1])), g.reshape((-1, weight.shape[0])) if weight.ndim == 2 else g.reshape((-1, 1))
    matrix = weight.reshape((-1, weight.shape[-1]))
    return (lambda: (g_rows @ matrix).reshape(x.shape),
            lambda: (g_rows.mT @ rows).reshape(weight.shape),
            lambda: g_rows.sum(axis=0).reshape(weight.shape[:-1]))


@gradient(surprise)
def surprise_rule(g, _out, x, target, ignore_index):
    """The shares the network gave, less the one it should have given: what is too much is pushed down."""
    dim, places, ignored = labels_of(x, bare(target), ignore_index)
    g = where(ignored, 0.0, unsqueeze(g, dim))
    return softmax(x, dim) * g - scatter(zeros_beside(g, x.shape), dim, places, expand(g, places.shape)), None


def bare(x):
    """The array in a tensor's box; anything else as it is."""
    return x.array if isinstance(x, Tensor) else x


# Added by `tito export`: what PyTorch keeps under this name, too.

def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)
