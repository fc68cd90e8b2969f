# %% [markdown]
# # Appendix: nodes
#
# An ONNX file is a list of **nodes**: each has a kind (`Gemm`, `Relu` …), names of what goes in, names of
# what comes out, and attributes. Kinds come in editions, **opsets**; what a kind means in an opset is
# written down, and a dozen runtimes read it. This is the paper that nodes are written on. Which nodes an op
# becomes is a column of our table of ops, as its gradient is: one rule for each op.

# %%
#| export
"""Nodes of a graph, and the page on which rules write them."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinytorch.dtypes import dtype_of
from tinytorch.tensor import Op, Tensor

# %% [markdown]
# ## Numbers that follow the input
#
# `x.reshape(len(x), -1)` runs with a number, say 32. In a graph that should take any batch, this 32 must
# not be written down. How would anybody know? Run the model twice, with batches of two sizes, and compare.
# A number that differed **varies**; it is still a number, and it remembers what it was the other time.

# %%
#| export
class Varying(int):
    """A whole number that was another one when the inputs had other sizes."""

    def __new__(cls, number: int, other: int):
        self = super().__new__(cls, number)
        self.other = other
        return self

    def __getnewargs__(self): return int(self), self.other


class Repeated(tuple):
    """A list of one number, as often as something varies: `[B] * T`."""

    length: Varying


class BakedIn(ValueError):
    """A number that follows from the size of an input, at a place where a graph can only hold a fixed one."""


def merged(one, two, where: str):
    """What two runs have in common; whole numbers that differ vary, anything else that differs is refused."""
    if isinstance(one, (tuple, list)) and isinstance(two, (tuple, list)):
        return merged_list(one, two, where)
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        return {key: merged(one[key], two[key], f"{where}.{key}") for key in one}
    if isinstance(one, slice) and isinstance(two, slice):
        return slice(*[merged(getattr(one, part), getattr(two, part), where)
                       for part in ("start", "stop", "step")])
    if hasattr(one, "dtype") and hasattr(two, "dtype"): return one      # compared where it is used
    if type(one) is type(two) and (one is two or one == two or one != one): return one
    if type(one) is type(two) is int: return Varying(one, two)
    raise BakedIn(f"{where} is {one!r} for one size of the inputs and {two!r} for another: "
                  "a graph could only hold one of them")


def merged_list(one, two, where: str):
    """The same for lists, number by number."""
    if len(one) == len(two):
        parts = [merged(a, b, where) for a, b in zip(one, two)]
        return type(one)(*parts) if hasattr(one, "_fields") else type(one)(parts)
    if len(set(one)) == len(set(two)) == 1:
        found = Repeated([merged(one[0], two[0], where)] * len(one))
        found.length = Varying(len(one), len(two))
        return found
    raise BakedIn(f"{where} has {len(one)} numbers for one size of the inputs and {len(two)} for another: "
                  "a graph could only hold one of them")

# %%
[n * 10 for n in merged((2, 3, 4), (5, 3, 4), "shape")], merged((2, 3, 4), (5, 3, 4), "shape")[0].other

# %% [markdown]
# ## Nodes and values
#
# A **value** is a name in the graph. Of those that ops computed, or that came from outside, the shape is
# known.

# %%
#| export
class Node(NamedTuple):
    """One line of a graph: outputs = kind(inputs), with attributes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    def __str__(self):
        told = ", ".join([*self.inputs, *[f"{key}={value!r}" for key, value in self.attributes.items()]])
        return f"{', '.join(self.outputs)} = {self.kind}({told})"


class Value(NamedTuple):
    """Something with a name in a graph."""

    name: str
    shape: tuple[int, ...] | None = None            # some of them may vary; None if nobody ran it
    kind: np.dtype | None = None                    # NumPy's dtype
    array: Any = None                               # the numbers, if they are always the same

    @property
    def ndim(self) -> int: return len(self.shape)


# %%
#| export
NODES: dict[Op, Callable | None] = {}       # how an op is written; None: it needs no node of its own


def onnx(*ops: Op) -> Callable:
    """`@onnx(mul)` above a function makes it the rule by which mul is written as nodes.

    The rule gets the page to write on, a value for each input (or None), and the settings that it names.
    It returns the value that came out, or a tuple of them.
    """
    def enter(rule: Callable) -> Callable:
        for op in ops: NODES[op] = rule
        return rule
    return enter


class Unwritten(NotImplementedError):
    """An op that has no row in the column of nodes."""

# %% [markdown]
# ## The page
#
# Rules write through `page.node(kind, *inputs, **attributes)`. An input is a value, a number or an array,
# which becomes a constant, or None, for one that was left out. An attribute is fixed for ever: one that
# varies is an error, and it says which.

# %%
#| export
class Page:
    """A graph while it is being written."""

    def __init__(self, opset: int = 18):
        self.opset, self.nodes = opset, []
        self.constants: dict[str, np.ndarray] = {}          # weights, and other numbers that stay
        self.taken: dict[str, int] = {}                     # how often a name was wanted
        self.small: dict[tuple, Value] = {}                 # constants that were written before
        # where a length that varies can be seen
        self.lengths_at: dict[tuple[int, int], tuple[str, int]] = {}
        self.seen_lengths: dict[tuple[str, int], Value] = {}
        self.about = "the model"                            # the op that is being written, for errors

    def fresh(self, wanted: str) -> str:
        """The name, with a number behind it if it is taken."""
        n = self.taken.get(wanted, -1) + 1
        self.taken[wanted] = n
        return wanted if n == 0 else self.fresh(f"{wanted}_{n}")

    def note(self, value: Value) -> Value:
        """Remembers which lengths can be seen at a value; the first such value wins."""
        for dim, length in enumerate(value.shape or ()):
            if isinstance(length, Varying):
                self.lengths_at.setdefault((int(length), length.other), (value.name, dim))
        return value

    def node(self, kind: str, *inputs, outputs: int | None = None, **attributes):
        """Writes a node. Gives the value that comes out, or as many as `outputs` says."""
        attributes = {key: value for key, value in attributes.items() if value is not None}
        for key, value in attributes.items(): self.check_fixed(key, value)
        given = [self.value(x) for x in inputs]
        while given and given[-1] is None: given.pop()
        names = tuple(["" if x is None else x.name for x in given])
        made = tuple([Value(self.fresh(f"{kind.lower()}")) for _ in range(outputs or 1)])
        self.nodes.append(Node(kind, names, tuple([x.name for x in made]), attributes))
        return made[0] if outputs is None else made

    def value(self, x) -> Value | None:
        """An input of a node: values as they are, numbers and arrays as constants."""
        if x is None or isinstance(x, Value): return x
        if isinstance(x, (Varying, Repeated)): return self.lengths(x)
        if isinstance(x, (list, tuple)): return self.lengths(x)
        return self.constant(x)

    def constant(self, x, kind=None, name: str = "") -> Value:
        """A number or an array that stays the same; small ones are written once."""
        array = np.asarray(x, np.float32 if kind is None and isinstance(x, float) else kind)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 and not name else None
        if key in self.small: return self.small[key]
        found = Value(self.fresh(name or "constant"), array.shape, array.dtype, array)
        self.constants[found.name] = array
        if key: self.small[key] = found
        return found

    def check_fixed(self, name: str, value) -> None:
        """Refuses an attribute with a number that varies."""
        for x in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(x, Varying):
                raise BakedIn(f"{self.about}: {name} is {x} for one size of the inputs and {x.other} for "
                              "another, and ONNX wants a fixed number there")

    # ----------------------------------------------------------------------------- sizes that vary

    def lengths(self, numbers) -> Value:
        """Whole numbers as a row, those that vary read off a shape when the graph runs."""
        if isinstance(numbers, int): numbers = (numbers,)
        if not any([isinstance(n, Varying) for n in numbers]):
            return self.constant(np.array([int(n) for n in numbers], np.int64))
        parts = [self.length(n) if isinstance(n, Varying) else self.constant(np.array([n])) for n in numbers]
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=0)

    def length(self, n: Varying) -> Value:
        """A length that varies, as a row of one number."""
        place = self.lengths_at.get((int(n), n.other))
        if place is None:
            raise BakedIn(f"{self.about}: the number {n} (with other inputs {n.other}) follows from them, "
                          "and no dimension in the graph is as long: it would be baked in")
        if place not in self.seen_lengths:
            name, dim = place
            self.seen_lengths[place] = self.node("Shape", Value(name), start=dim, end=dim + 1)
        return self.seen_lengths[place]

    def single(self, n: int) -> Value:
        """A whole number as a number, not as a row of one."""
        if not isinstance(n, Varying): return self.constant(np.array(int(n)))
        return self.node("Squeeze", self.length(n), self.constant(np.array([0])))

    # ------------------------------------------------------------------------ what comes up often

    def cast(self, x: Value, kind) -> Value:
        """The value as numbers of another kind."""
        kind = np.dtype(kind)
        if x.kind == kind: return x
        if x.array is not None: return self.constant(x.array.astype(kind))
        return self.node("Cast", x, to=kind)._replace(shape=x.shape, kind=kind)

    def can_see(self, n: Varying) -> bool:
        """Whether some dimension in the graph is as long, so that the number can be read there."""
        return (int(n), n.other) in self.lengths_at

    def like(self, number, x: Value) -> Value:
        """A constant of the kind of a value."""
        return self.constant(np.array(number, x.kind))


# %% [markdown]
# ## Who is who
#
# A trace knows tensors, a page knows names. Between them stands a table. A tensor that nobody computed is a
# weight, if the model has it, or a constant; one whose memory somebody else has written over since is
# refused, because its name would stand for the old numbers.

# %%
#| export
class Step(NamedTuple):
    """One time that an op ran."""

    op: Op
    inputs: tuple
    settings: dict
    out: Any
    twin: Any = None                # the same step of a run with inputs of other sizes


def kind_of(x) -> np.dtype:
    """NumPy's dtype of the numbers in a tensor or an array."""
    return dtype_of(x.array if isinstance(x, Tensor) else x).numpy


def value_of(name: str, x: Tensor, twin: Tensor | None = None) -> Value:
    """A value for a tensor; lengths vary in which it differs from its twin."""
    shape = tuple(x.shape)
    if twin is not None: shape = tuple([a if a == b else Varying(a, b) for a, b in zip(shape, twin.shape)])
    return Value(name, shape, kind_of(x))


class Names:
    """Which value a tensor is, at this moment of the trace."""

    def __init__(self, page: Page, weights: dict[str, Tensor] | None = None, before: dict | None = None):
        self.page, self.values = page, {}
        # of tensors that were written over: the numbers before that
        self.before = before or {}
        # the first name counts
        self.weights = {id(x): name for name, x in reversed((weights or {}).items())}
        self.known: dict[int, Tensor] = {}          # also keeps them alive, and their ids theirs
        self.stale: set[int] = set()

    def put(self, x: Tensor, value: Value) -> None:
        """From now on the tensor is this value."""
        self.values[id(x)], self.known[id(x)] = value, x
        self.stale.discard(id(x))

    def of(self, x, twin=None):
        """The value that a tensor or an array is; numbers, and None, stay what they are."""
        if not hasattr(x, "dtype"): return x
        if id(x) in self.stale:
            raise Unwritten(f"{self.page.about} reads a tensor whose memory was written over through another "
                            "one: use the form without the underscore")
        if id(x) not in self.values: self.put(x, self.outsider(x, twin))
        return self.values[id(x)]

    def outsider(self, x, twin) -> Value:
        """The value for a tensor that no step has computed."""
        array, name = self.numbers(x), self.weights.get(id(x), "")
        if twin is None or twin is x or same_numbers(array, self.numbers(twin)):
            return self.page.constant(array, kind_of(x), name)
        made = from_sizes(self.page, array, self.numbers(twin))
        return self.page.note(value_of(made.name, x, twin))

    def numbers(self, x):
        """The array of a tensor, as it was when the trace began."""
        return self.before.get(id(x), np.asarray(getattr(x, "array", x)))

    def inputs(self, step: Step) -> list:
        """The values that go into a step; of one kind, if the op wants that."""
        twins = step.twin.inputs if step.twin else (None,) * len(step.inputs)
        values = [self.of(x, twin) for x, twin in zip(step.inputs, twins)]
        if step.op.promote is None: return values
        arrays = [x.array if isinstance(x, Tensor) else int(x) if isinstance(x, Varying) else x
                  for x in step.inputs]
        met = step.op.promote(arrays)
        usual = next(kind_of(x) for x in met if hasattr(x, "dtype"))
        return [self.met(value, kind_of(x) if hasattr(x, "dtype") else usual) for value,
                x in zip(values, met)]

    def settings(self, step: Step) -> dict:
        """The settings of a step, with values for arrays in them that an op has computed: x[places]."""
        def known(part, twin):
            if isinstance(part, tuple) and isinstance(twin, tuple): return tuple(map(known, part, twin))
            if not isinstance(part, np.ndarray): return part
            return self.of(next((x for x in self.known.values() if getattr(x, "array", x) is part), part),
                           twin)
        twins = step.twin.settings if step.twin else step.settings
        return {key: known(part, twins[key]) for key, part in step.settings.items()}

    def met(self, value, kind: np.dtype):
        """A value as numbers of the kind in which the inputs of an op met."""
        if isinstance(value, Varying): return self.page.cast(self.page.single(value), kind)
        if isinstance(value, Value): return self.page.cast(value, kind)
        return self.page.constant(np.array(value, kind)) if isinstance(value, (bool, int, float)) else value

    def done(self, step: Step, out) -> None:
        """Puts down what came out of a step."""
        outs, values = step.out, out
        if not isinstance(outs, tuple): outs, values = (outs,), (out,)
        twins = (None,) * len(outs) if step.twin is None else step.twin.out
        for x, twin, value in zip(outs, twins if isinstance(twins, tuple) else (twins,), values):
            if step.inputs and x is step.inputs[0]: self.overwritten(x)
            known = value_of(value.name, x, twin)
            self.put(x, self.page.note(known._replace(array=value.array)))

    def overwritten(self, x: Tensor) -> None:
        """Whoever shares memory with a tensor that was written over shows numbers without a name."""
        root = x if x._base is None else x._base
        self.stale |= {key for key, one in self.known.items()
                       if isinstance(one, Tensor) and (one is root or one._base is root)}


def same_numbers(one, two) -> bool:
    """Whether two arrays hold the same."""
    return one.shape == two.shape and np.array_equal(one, two, equal_nan=one.dtype.kind == "f")

# %% [markdown]
# Some constants are made in the forward, in the size of the input: zeros to begin with, places to look up,
# masks. Those that can be made again in the graph are: one number everywhere, numbers that count up, and a
# causal mask.

# %%
#| export
def from_sizes(page: Page, one: np.ndarray, two: np.ndarray) -> Value:
    """Nodes that make a constant again whose shape follows the input."""
    if one.ndim == two.ndim:
        shape = page.lengths([a if a == b else Varying(a, b) for a, b in zip(one.shape, two.shape)])
        if same_everywhere(one, two):
            return page.node("Expand", page.constant(one.reshape(-1)[0]), shape)
        if one.ndim == 1 and counts(one) and counts(two) and one[:1] == two[:1]:
            n = page.cast(page.node("Squeeze", shape, page.constant(np.array([0]))), one.dtype)
            return page.node("Range", page.constant(one[0]), page.node("Add", n, page.constant(one[0])),
                             page.constant(one.dtype.type(1)))
        if one.ndim == 2 and hides_ahead(one) and hides_ahead(two):
            everywhere = page.node("Expand", page.constant(one.dtype.type(-np.inf)), shape)
            return page.node("Trilu", everywhere, page.constant(np.array(1)), upper=1)
    raise BakedIn(f"{page.about} takes a constant of shape {one.shape} that is another one, of shape "
                  f"{two.shape}, for other inputs: it would be baked in")


def same_everywhere(one, two) -> bool:
    """Whether two arrays hold one and the same number only."""
    return one.size > 0 and two.size > 0 and bool((one == one.flat[0]).all() and (two == one.flat[0]).all())


def counts(row) -> bool:
    """Whether a row counts up in ones."""
    return row.dtype.kind in "if" and len(row) > 0 and np.array_equal(row, row[0] + np.arange(len(row)))


def hides_ahead(mask) -> bool:
    """Whether a matrix is a causal mask: minus infinity above the diagonal, 0 elsewhere."""
    return mask.dtype.kind == "f" and np.array_equal(mask, np.triu(np.full_like(mask, -np.inf), 1))

# %% [markdown]
# ## The whole of a runtime
#
# What a runtime does with nodes, without its speed: it goes through them from top to bottom. Here are the
# kinds that a multilayer perceptron needs, in the words of ONNX's own definitions.

# %%
#| export
def gemm(a, b, c=0.0, transA=0, transB=0, alpha=1.0, beta=1.0):
    """alpha A B + beta C, either of the two turned first."""
    return alpha * (a.T if transA else a) @ (b.T if transB else b) + beta * c


def softmax(x, axis=-1):
    """Numbers above 0 that add up to 1 along an axis."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


KINDS: dict[str, Callable] = {
    "Gemm": gemm, "Softmax": softmax,
    "Relu": lambda x: np.maximum(x, 0),
    "MatMul": lambda a, b: a @ b,
    "Add": lambda a, b: a + b,
    "Transpose": lambda x, perm: np.transpose(x, perm),
    "Reshape": lambda x, shape, allowzero=0: x.reshape([
        x.shape[i] if n == 0 and not allowzero else n for i, n in enumerate(shape.tolist())]),
    "Shape": lambda x, start=0, end=None: np.array(x.shape[start:end]),
    "Concat": lambda *inputs, axis: np.concatenate(inputs, axis),
}


def play(page: Page, wanted: Value, **given):
    """The numbers of a value, from those that go in, by name."""
    found: dict[str, Any] = dict(page.constants) | given
    for node in page.nodes:
        if node.kind not in KINDS:
            raise NotImplementedError(f"there is no node {node.kind!r} that play knows")
        inputs = [found[name] for name in node.inputs]
        found[node.outputs[0]] = KINDS[node.kind](*inputs, **node.attributes)
    return found[wanted.name]
