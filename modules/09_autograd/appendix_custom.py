# %% [markdown]
# # Appendix: rules of your own, PyTorch's way
#
# A new op here is two facts that stand next to each other: what it computes, and what it hands back.
#
# ```python
# @Op
# def cube(x, /): return x * x * x
#
# @gradient(cube)
# def _(g, _out, x): return 3 * g * x * x,
# ```
#
# In PyTorch it is a class, and thousands of programs contain one. So that they run here as they are:
#
# ```python
# class Cube(autograd.Function):
#     @staticmethod
#     def forward(ctx, x):
#         ctx.save_for_backward(x)
#         return x * x * x
#
#     @staticmethod
#     def backward(ctx, g):
#         x, = ctx.saved_tensors
#         return 3 * g * x * x
#
# y = Cube.apply(x)
# ```
#
# What the class has to say by hand, what is saved and which gradients are wanted, the pair of functions
# says by the names of its parameters. The class is worth its lines where `forward` is a program of its own:
# it may call anything, keep anything, and write over its inputs.

# %%
#| export
"""autograd.Function: a forward and a backward of one's own, as PyTorch's users write them."""

# %%
#| export
from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from weakref import ref

import numpy as np

from tinytorch.autograd import remembering_engine
from tinytorch.errors import shape_of
from tinytorch.indexing import put_index
from tinytorch.journeys import boxes
from tinytorch.modes import is_grad_enabled, no_grad
from tinytorch.receipts import (
    PACKING,
    Outline,
    Part,
    Receipt,
    edge_of,
    places_of,
    wants_gradient,
    write_receipt,
)
from tinytorch.saved import Packer, outline, with_history
from tinytorch.shaping import detach
from tinytorch.tensor import Tensor, look_at

# %% [markdown]
# `ctx` is where forward leaves what backward will need.

# %%
#| export
class FunctionCtx:
    """What forward leaves behind for backward: `ctx`. Any attribute may be set."""

    needs_input_grad: tuple[bool, ...] = ()         # for each argument of forward
    materialize_grads = True
    to_save, dirty_tensors, non_differentiable = (), (), ()
    _saved: list | None = None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps tensors; backward finds them in `ctx.saved_tensors`."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """For derivatives that run forward, which this engine does not; nothing is kept."""

    def mark_dirty(self, *args: Tensor) -> None:
        """Says which inputs forward has written over. They have to be among what it returns."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Says which outputs no gradient flows through."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward sees zeros (True) or None where no gradient arrived."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple:
        if self._saved is None: raise RuntimeError(GONE)
        return tuple([fetch() for fetch in self._saved])


GONE = ("Trying to backward through the graph a second time (or directly access saved tensors after they "
        "have already been "
        "freed): say retain_graph=True the first time")

# %%
#| export
class Function:
    """A forward and a backward, as static methods; `apply` runs it."""

    @staticmethod
    def forward(*args, **kwargs):
        """`forward(ctx, *args)`; or `forward(*args)`, where setup_context is written, too."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple, output) -> None:
        """What `ctx` is to remember, where forward does not take one."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: FunctionCtx, *grad_outputs):
        """One gradient for each argument of forward, None where there is none."""
        raise NotImplementedError("You must implement either the backward or vjp method for your custom "
                                  "autograd.Function to "
                                  "use it with backward mode AD.")

    vjp = backward

    def __init__(self, *args, **kwargs):
        raise RuntimeError("an autograd.Function is not called, and has no instances: its methods are "
                           "static, and "
                           f"{type(self).__name__}.apply(...) runs it")

    @classmethod
    def apply(cls, *args, **kwargs):
        """Runs forward, and hangs a receipt on what it returns that will run backward."""
        apart = cls.setup_context is not Function.setup_context     # whether ctx is set up apart from forward
        if apart or kwargs: args = by_position(cls.forward, args, kwargs, skip=0 if apart else 1)
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple([wants_gradient(x) for x in args])
        receipt = Applied(cls, ctx, args)
        with no_grad():
            out = cls.forward(*args) if apart else cls.forward(ctx, *args)
            if apart: cls.setup_context(ctx, args, out)
        return signed(receipt, args, out)


def by_position(forward: Callable, args: tuple, kwargs: dict, skip: int) -> tuple:
    """The arguments in the order of forward's parameters, with defaults where none was given."""
    found = inspect.signature(forward).bind(*[None] * skip, *args, **kwargs)
    found.apply_defaults()
    return found.args[skip:]

# %% [markdown]
# The receipt of such a function. Its op is the class itself, and it pulls by calling backward. Backward is
# written for tensors, so it gets them.

# %%
#| export
class Applied(Receipt):
    """The receipt of an autograd.Function."""

    def __init__(self, function: type[Function], ctx: FunctionCtx, args: tuple):
        edges = [edge_of(x) if want else None for x, want in zip(args, ctx.needs_input_grad)]
        inputs = [outline(x.array) if isinstance(x, Tensor) else x for x in args]
        super().__init__(function, edges, inputs, {})
        self.ctx, self.around, self.outlines = ctx, backward_of, []

    def let_go(self) -> None: self.ctx._saved = None

    def __getattr__(self, name: str):
        if name == "ctx": raise AttributeError(name)
        return getattr(self.ctx, name)


def backward_of(receipt: Applied, g, create_graph: bool) -> list:
    """What the backward of an autograd.Function makes of g."""
    arrived = g if isinstance(g, list) else [g]
    arrived = [boxed(receipt, *x) for x in zip(arrived, receipt.outlines)]
    with boxes(): found = chosen(receipt.op)(receipt.ctx, *arrived)
    found = found if isinstance(found, tuple) else (found,)
    count, name = len(receipt.edges), receipt.name()
    if len(found) < count or any([dx is not None for dx in found[count:]]):
        raise RuntimeError(f"function {name} returned an incorrect number of gradients (expected {count}, "
                           f"got {len(found)})")
    for n, (dx, x) in enumerate(zip(found, receipt.inputs)): check(name, n, dx, x)
    if create_graph: return found
    return [None if dx is None else bare(dx, edge) for dx, edge in zip(found, receipt.edges)]


def bare(dx: Tensor, edge):
    """The numbers of a gradient; a leaf gets its own, because others may hold what backward returned."""
    return dx.array if isinstance(edge, Receipt) else dx.array.copy()


def chosen(function: type[Function]) -> Callable:
    """backward, or vjp where that is what was written."""
    return function.vjp if function.backward is Function.backward else function.backward


def boxed(receipt: Applied, g, outline: Outline | None) -> Tensor | None:
    """The gradient of one output as backward wants to see it."""
    if g is None and outline and receipt.ctx.materialize_grads: g = np.zeros(outline.shape, outline.dtype)
    return g if g is None or isinstance(g, Tensor) else Tensor(g)


def check(name: str, n: int, dx, x) -> None:
    """Refuses what is no gradient of x."""
    if dx is None: return
    if not isinstance(dx, Tensor): raise RuntimeError(f"expected Variable or None (got {type(dx).__name__})")
    if not isinstance(x, Outline):
        raise RuntimeError(f"function {name} returned a gradient different than None at position {n + 1}, "
                           f"but the corresponding "
                           "forward input was not a Variable")
    short = dx.ndim - x.ndim
    if short < 0 or any([old not in (1, new) for old, new in zip(x.shape, dx.shape[short:])]):
        raise RuntimeError(f"Function {name} returned an invalid gradient at index {n} - got "
                           f"{list(dx.shape)} but expected shape "
                           f"compatible with {list(x.shape)}")

# %% [markdown]
# ## What forward returned
#
# Four things may be among it: new tensors; inputs that it has written over; inputs that it handed through,
# which become views, so that the tensor of the caller keeps its own history; and anything else, which is
# handed on.

# %%
#| export
def signed(receipt: Applied, args: tuple, out):
    """What forward returned, with the receipt on it."""
    ctx, outs = receipt.ctx, out if type(out) is tuple else (out,)
    for x in ctx.to_save:
        if x is not None and not isinstance(x, Tensor):
            raise TypeError(f"save_for_backward can only save variables, but argument "
                            f"{index_of(x, ctx.to_save)} is of type "
                            f"{type(x).__name__}")
    if any([index_of(x, outs) is None for x in ctx.dirty_tensors]):
        raise RuntimeError("Some elements marked as dirty during the forward method were not returned as "
                           "output. The inputs that "
                           "are modified inplace must all be outputs of the Function.")
    wanted = is_grad_enabled() and any(ctx.needs_input_grad)
    if wanted: receipt.outlines = [outline(x.array) if isinstance(x, Tensor) else None for x in outs]
    receipts = [receipt if len(outs) == 1 else Part(receipt, n, len(outs)) for n in range(len(outs))]
    made = tuple([hung(x, args, ctx, receipts[n] if wanted else None) if isinstance(x, Tensor) else x
                  for n, x in enumerate(outs)])
    ctx._saved = [keep(x, args, outs, receipts, ctx) for x in ctx.to_save] if wanted else None
    if wanted and hasattr(remembering_engine(), "noted"): remembering_engine().noted(receipt)
    ctx.to_save = ctx.dirty_tensors = ctx.non_differentiable = ()       # or they would lead back here
    return made if type(out) is tuple else made[0]


def index_of(x, some) -> int | None:
    return next((n for n, y in enumerate(some) if y is x), None)


def hung(x: Tensor, args: tuple, ctx: FunctionCtx, receipt: Receipt | None) -> Tensor:
    """One output with its receipt."""
    given, dirty = index_of(x, args) is not None, index_of(x, ctx.dirty_tensors) is not None
    plain = index_of(x, ctx.non_differentiable) is not None or x.array.dtype.kind not in "fV"
    if dirty and not plain: return written_over(x, receipt) if receipt else x
    if given: x = look_at(x, x.array)
    elif x.wanted: x = detach(x)
    if plain or receipt is None: return x
    x.receipt, x.wanted = receipt, True
    if x._base is not None: receipt.seen, x._apart = x._base._changes, True
    return x


def written_over(x: Tensor, receipt: Receipt) -> Tensor:
    """An input that forward wrote over: what it holds now was made by the receipt."""
    root = x if x._apart or x._base is None else x._base
    if root.wanted and root.receipt is None:
        raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
    new = Tensor(x.array)
    new.receipt, new.wanted = receipt, True
    if root is x: x.receipt, x.wanted = receipt, True
    else: write_receipt(put_index, (root, new), {"index": places_of(x, root, ...)}, root)
    return x

# %% [markdown]
# What is saved must not keep its own receipt alive: an output is kept as bare numbers, and gets its receipt
# back when somebody looks.

# %%
#| export
def keep(x: Tensor | None, args: tuple, outs: tuple, receipts: list, ctx: FunctionCtx) -> Callable:
    """A function that gives x when backward asks for it."""
    place = index_of(x, outs)
    handed_through = index_of(x, args) is not None and index_of(x, ctx.dirty_tensors) is None
    if handed_through: place = None
    if x is None: return lambda: None
    edge_again = history_of(x) if place is None else history_of_output(receipts[place], place, len(outs))
    packer, version, array = PACKING.get(), x._version, x.array
    if isinstance(packer, Packer):
        ticket = packer.put(x if place is None else Tensor(array))
        return lambda: with_history(packer.fetch(ticket), edge_again())
    if place is None: return lambda: x if x._version == version else overwritten(array)

    def output() -> Tensor:
        receipt = edge_again()
        return overwritten(array) if receipt.spoilt else with_history(Tensor(array), receipt)
    return output


def history_of(x: Tensor) -> Callable:
    """A function that gives the edge of an input as it is now."""
    edge = edge_of(x) if wants_gradient(x) else None
    return lambda: edge


def history_of_output(receipt: Receipt, place: int, places: int) -> Callable:
    """A function that gives the receipt of an output without keeping it alive."""
    alive, whole = ref(receipt), ref(receipt.edges[0] if isinstance(receipt, Part) else receipt)
    return lambda: alive() or Part(whole(), place, places)


def overwritten(x: Tensor):
    raise RuntimeError(f"a saved tensor of shape {shape_of(x)} is needed for gradient computation, and has "
                       f"been modified by an "
                       "inplace operation since")

# %%
#| export
class Refusal(Receipt):
    """Stands behind gradients that must not be differentiated once more."""

    def pull(self, g, create_graph):
        raise RuntimeError("trying to differentiate twice a function that was marked with "
                           "@once_differentiable")


def once_differentiable(fn: Callable) -> Callable:
    """Above a backward that uses more than tensors' own ops, NumPy for example: nobody may differentiate
    it."""
    @wraps(fn)
    def backward(ctx, *args):
        with no_grad(): found = fn(ctx, *args)
        if not (is_grad_enabled() and any([wants_gradient(x) for x in args])): return found
        made = found if isinstance(found, tuple) else (found,)
        for x in made:
            if isinstance(x, Tensor):
                edges = [edge_of(g) for g in args if wants_gradient(g)]
                x.receipt, x.wanted = Refusal(Refusal, edges, [], {}), True
        return found
    return backward
