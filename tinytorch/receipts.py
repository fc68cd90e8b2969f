# Generated from modules/09_autograd/appendix_receipts.py by `tito export`. Edit that file, not this one.
"""Rules, one for each op, and receipts, one for each time that an op ran."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from itertools import count
from operator import itemgetter
from types import SimpleNamespace

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .errors import shape_of
from .indices import numbers_first
from .printing import receipt_name
from .shaping import address, detach
from .tensor import Op, Tensor, expand, select_index

__all__ = [
    "Rule", "defaults", "RULES", "SHORTCUTS", "UNWRITTEN", "RULED", "gradient", "shortcut", "no_gradient",
    "entry", "Outline", "Receipt", "Part", "AccumulateGrad", "node_of", "remembering", "PACKING",
    "wants_gradient", "edge_of", "write_receipt", "sign", "sign_parts", "pull", "check_unchanged",
    "seen_with_history", "overwritten", "unpacked_output", "set_apart", "joined", "see_again", "bounds",
    "places_of",
]


class Rule:
    """How an op hands on a gradient, and what must be kept for that."""

    def __init__(self, op: Op, function: Callable):
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        asked = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        if code.co_flags & 0x04: names += (code.co_varnames[len(names) + len(asked)],)  # rule(g, out, *x)
        arrays = 2 + len(op.inputs)                 # g, the output, the inputs; then come settings
        asked, known = names[arrays:] + asked, defaults(op)
        self.function = function
        self.looks = tuple([not name.startswith("_") for name in names[1:arrays]])
        self.kept = "kept" in asked
        self.settings = {name: known.get(name) for name in asked if name != "kept"}


def defaults(op: Op) -> dict:
    """The settings of an op that need not be given, and what they are then."""
    forward, code = op.forward, op.forward.__code__
    names, last = code.co_varnames[: code.co_argcount], forward.__defaults__ or ()
    return dict(zip(names[len(names) - len(last) :], last)) | (forward.__kwdefaults__ or {})


RULES: dict[Op, Rule | None] = {}               # None: nothing flows through
SHORTCUTS: dict[Op, Rule] = {}
UNWRITTEN = SimpleNamespace(looks=(False, False), kept=False)   # stands for a rule that is not there yet
RULED: list[Callable] = []                      # are called with each op that something is entered for


def gradient(*ops: Op) -> Callable:
    """`@gradient(mul)` above a function makes it the rule by which mul hands on gradients."""
    return entry(RULES, ops)


def shortcut(*ops: Op) -> Callable:
    """The same for a rule in fewer passes over bare arrays, which may ask for `kept`."""
    return entry(SHORTCUTS, ops)


def no_gradient(*ops: Op) -> None:
    """Says that nothing flows back through these ops."""
    for op in ops:
        RULES[op] = None
        for told in RULED: told(op)


def entry(table: dict, ops: tuple[Op, ...]) -> Callable:
    """A decorator that enters a function for these ops."""
    def enter(function: Callable) -> Callable:
        for op in ops:
            table[op] = Rule(op, function)
            rule, short = RULES.get(op), SHORTCUTS.get(op)
            if rule and short:                  # a receipt keeps what either of the two looks at
                rule.looks = tuple([a or b for a, b in zip(rule.looks, short.looks)])
                rule.kept = short.kept
            for told in RULED: told(op)
        return function
    return enter


class Outline(tuple):
    """What is left of numbers that nobody will look at: the tuple of their shape and dtype."""

    __slots__ = ()

    shape = property(itemgetter(0))
    dtype = property(itemgetter(1))
    ndim = property(lambda self: len(self[0]))


_numbers = count()


class Receipt:
    """How a tensor was made: the op, what went in, with which settings."""

    out = None                      # numbers of the output, where the rule will look at them
    kept = ()                       # what the forward handed over
    hooks = None                    # what wants to see the gradient that arrives here
    seen = 0                        # for a view: how often its memory had been written over
    spoilt = False                  # whether the output has been written over since
    around = None                   # who stands around the pull: hooks, or tickets for the numbers

    def __init__(self, op: Op, edges: list, inputs: list | None, settings: dict, boxes=(), versions=()):
        self.op, self.settings, self.number = op, settings, next(_numbers)
        self.edges = edges              # for each input: where its gradient goes
        self.inputs = inputs            # for each input: its array if the rule will look at it, or an outline
        self.boxes = boxes              # for each input: the tensor itself, where the rule will look at it …
        self.versions = versions        # … and how often its memory had been written over; () if at none

    def name(self) -> str:
        """PyTorch's name for it: MulBackward0."""
        return receipt_name(self)

    @property
    def next_functions(self) -> tuple:
        """Where gradients go from here, as PyTorch lists it: pairs of a receipt and which of its outputs."""
        return tuple([node_of(edge) for edge in self.edges])

    def pull(self, g, create_graph: bool) -> tuple:
        """What goes to each input: a gradient, or a function that computes it, or None."""
        return (self.around or pull)(self, g, create_graph)

    def let_go(self) -> None:
        """Forgets the numbers. Who has none, such as a sum, has nothing to forget, and may be passed
        again."""
        if not (self.boxes or self.kept or self.holds(self.out)): return
        self.inputs = self.out = self.around = None
        self.boxes = self.kept = ()

    @staticmethod
    def holds(out) -> bool:
        """Whether there are numbers in what is kept of an output, or of several."""
        return out is not None and not (isinstance(out, list) and all([isinstance(x, Outline) for x in out]))

    def __repr__(self): return f"<{self.name()}>"


class Part(Receipt):
    """The receipt of one of several outputs; its edge leads to the receipt of them all."""

    def __init__(self, whole: Receipt, place: int, places: int):
        super().__init__(whole.op, [whole], [], {})
        self.place, self.places = place, places

    def put(self, g, pending: dict) -> None:
        """Puts the gradient of this output beside those of the others."""
        pending.setdefault(self.edges[0], [None] * self.places)[self.place] = g

class AccumulateGrad:
    """What PyTorch shows at the end of the way: the leaf is its `variable`."""

    next_functions = ()

    def __init__(self, variable: Tensor): self.variable = variable
    def name(self) -> str: return "torch::autograd::AccumulateGrad"
    def __eq__(self, other): return isinstance(other, AccumulateGrad) and other.variable is self.variable
    def __hash__(self): return hash(self.variable)
    def __repr__(self): return "<AccumulateGrad>"


def node_of(edge) -> tuple:
    """An edge as PyTorch shows it."""
    if isinstance(edge, Part): return edge.edges[0], edge.place
    return (edge if edge is None or isinstance(edge, Receipt) else AccumulateGrad(edge)), 0


remembering: ContextVar = ContextVar("remembering", default=True)
PACKING: ContextVar = ContextVar("packing", default=None)      # who keeps the numbers of receipts elsewhere


def wants_gradient(x) -> bool:
    """Whether x is a tensor through which a gradient is wanted."""
    if not isinstance(x, Tensor): return False
    return x.wanted or (x._base is not None and joined(x))


def edge_of(x: Tensor):
    """Where a gradient for x goes: to the receipt that tells how x was made, or to x, which is a leaf."""
    if x.receipt is None: return x
    if x._base is not None and x.receipt.seen != x._base._changes: see_again(x)
    return x.receipt


def write_receipt(op: Op, inputs: tuple, settings: dict, out):
    """Notes on `out` how it was made, and hands it on."""
    rule = RULES.get(op, UNWRITTEN)
    if rule is None:
        set_apart(op, out)
        return out
    edges, bare, boxes, versions, kept = [], [], [], [], False
    looks, last = rule.looks, len(rule.looks) - 1
    for place, x in enumerate(inputs, 1):
        edge = box = None
        version = 0
        if isinstance(x, Tensor):
            array, root = x.array, x._base
            if x.wanted or (root is not None and joined(x)): edge = edge_of(x)
            if looks[place if place < last else last]:
                box, version = x, (x if root is None else root)._changes
                x = array
            else:
                x = Outline((array.shape, array.dtype))
        edges.append(edge)
        bare.append(x)
        boxes.append(box)
        versions.append(version)
        if box is not None: kept = True
    if not kept: boxes = versions = ()
    receipt = Receipt(op, edges, bare, settings, boxes, versions)       # now: its edges have older numbers
    if isinstance(out, tuple): sign_parts(out, receipt, rule)
    else: sign(out, receipt, rule)
    if (pack := PACKING.get()) is not None: pack(receipt)
    return out


def sign(out: Tensor, receipt: Receipt, rule: Rule) -> None:
    """Hangs the receipt on the output, and keeps what the rule will look at."""
    if out.array.dtype.kind not in "fV": return         # whole numbers have no derivative; V is bfloat16
    out.receipt, out.wanted = receipt, True
    if rule.looks[0]: receipt.out = out.array
    if rule.kept: receipt.kept = out.kept
    if out._base is not None: receipt.seen = out._base._changes


def sign_parts(parts: tuple, receipt: Receipt, rule: Rule) -> None:
    """Hangs a receipt on each of several outputs."""
    arrays = [part.array for part in parts]
    receipt.out = arrays if rule.looks[0] else [Outline((array.shape, array.dtype)) for array in arrays]
    if rule.kept and parts: receipt.kept = parts[0].kept
    for place, part in enumerate(parts): sign(part, Part(receipt, place, len(parts)), UNWRITTEN)


def pull(receipt: Receipt, g, create_graph: bool) -> tuple:
    """What the rule of the receipt's op makes of g: for each input a gradient, a function for it, or None."""
    op = receipt.op
    short = None if create_graph else SHORTCUTS.get(op)
    rule = short or RULES.get(op)
    if rule is None:
        raise NotImplementedError(f"{op.name} has no gradient yet: write one under @gradient({op.name})")
    check_unchanged(receipt)
    inputs, out = seen_with_history(receipt) if create_graph else (receipt.inputs, receipt.out)
    if len(inputs) < op.arity: inputs = [*inputs, *[None] * (op.arity - len(inputs))]     # a bias, left out
    settings = {}
    for name, default in rule.settings.items(): settings[name] = receipt.settings.get(name, default)
    if short and short.kept: settings["kept"] = receipt.kept
    found, n = rule.function(g, out, *inputs, **settings), len(receipt.edges)
    if len(found) < n: raise ValueError(f"the rule of {op.name} gives {len(found)} gradients for {n} inputs")
    return found


def check_unchanged(receipt: Receipt) -> None:
    """Raises if what the rule will look at was let go, or has been written over."""
    if receipt.inputs is None:
        raise RuntimeError(f"backward went through {receipt.op.name} before, and let go of what it needed: "
                           "say retain_graph=True the first time, or compute the loss once more")
    if receipt.spoilt and receipt.out is not None: raise overwritten(receipt, "its output", receipt.out)
    for n, box in enumerate(receipt.boxes):
        if box is not None and (box if box._base is None else box._base)._changes != receipt.versions[n]:
            raise overwritten(receipt, f"its input {n}", box)


def seen_with_history(receipt: Receipt) -> tuple[list, object]:
    """The inputs and the output of a receipt, in boxes with their history."""
    boxes = receipt.boxes or [None] * len(receipt.inputs)
    inputs = [x if box is None else box for x, box in zip(receipt.inputs, boxes)]
    return inputs, unpacked_output(receipt)


def overwritten(receipt: Receipt, what: str, x) -> RuntimeError:
    """The error for numbers that are needed, and that somebody has written over."""
    return RuntimeError(f"the gradient of {receipt.op.name} needs {what}, of shape {shape_of(x)}, which has "
                        "been modified by an inplace operation since: use the form without the underscore, "
                        "or a clone()")


def unpacked_output(receipt: Receipt):
    """The output in a box, with its history."""
    if receipt.out is None or isinstance(receipt.out, list): return receipt.out
    out = Tensor(receipt.out)
    out.receipt, out.wanted = receipt, True
    return out


def set_apart(op: Op, out) -> None:
    """Notes of views that they have no part in the history of the memory they show."""
    if not op.shares: return
    for part in out if isinstance(out, tuple) else (out,):
        if part._base is not None and (op is detach or part._base.wanted): part._apart = True


def joined(x: Tensor) -> bool:
    """Whether a view wants a gradient since something that does was written into its memory."""
    if x._apart or not x._base.wanted or x._base.receipt is None: return False
    see_again(x)
    return True


def see_again(x: Tensor) -> None:
    """A new receipt for a view whose memory was written over: a part of what the memory is now."""
    root = x._base
    if root.receipt is not None and (x.receipt is None or x.receipt.number < root.receipt.number):
        op, shown = (select_index, {"index": places_of(x, root, ...)}) if root.ndim else (expand, {})
        outline = Outline((root.array.shape, root.array.dtype))
        x.receipt = Receipt(op, [root.receipt], [outline], shown)
        x.wanted = True
    x.receipt.seen = root._changes


def bounds(array) -> tuple[int, int]:
    """The addresses where the memory of an array begins and ends."""
    reach = [(n - 1) * step for n, step in zip(array.shape, array.strides) if n > 1]
    first = address(array)
    return first + sum([r for r in reach if r < 0]), first + sum([r for r in reach if r > 0]) + array.itemsize


def places_of(x: Tensor, root: Tensor, index) -> tuple:
    """Where in root the numbers of x[index] are, which shows memory of root: an index."""
    if root.ndim == 0: return ()                # there is one place only
    size, (low, high) = root.array.itemsize, bounds(root.array)
    line = np.empty((high - low) // size, np.int64)

    def laid_out(array):
        first = line[(address(array) - low) // size :]
        return as_strided(first, array.shape, [step // size * line.itemsize for step in array.strides])
    laid_out(root.array)[...] = np.arange(root.array.size).reshape(root.array.shape)
    part, index = numbers_first(laid_out(x.array), index)
    return np.unravel_index(part[index], root.array.shape)
