# %% [markdown]
# # Appendix: watching gradients go by
#
# Whoever wants to know why a network does not learn looks at its gradients on their way: how large they are
# at each layer, where they vanish, where they become nan. A **hook** is a function that is shown a gradient
# when all of it has arrived, and may hand back another one. It hangs on a tensor, on a receipt, or on a
# whole module.

# %%
#| export
"""Hooks on gradients: of tensors, of receipts, of modules."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from warnings import warn
from weakref import ref


from tinytorch.autograd import settled
from tinytorch.custom import Function
from tinytorch.hooks import EVERY_BACKWARD_HOOK, WATCHERS, RemovableHandle, asked
from tinytorch.housekeeping import module_method
from tinytorch.journeys import boxes
from tinytorch.methods import method
from tinytorch.modes import is_grad_enabled
from tinytorch.receipts import Part, Receipt, edge_of, pull, wants_gradient
from tinytorch.tensor import Tensor

# %% [markdown]
# ## On a tensor
#
# A tensor's hook hangs on its receipt: a tensor that is written over later gets a new receipt, and the hook
# stays with what it was hung on. A leaf has no receipt, and keeps its hooks itself.

# %%
#| export
@method
def register_hook(tensor: Tensor, hook: Callable) -> RemovableHandle:
    """`hook(grad)` is called when the gradient of this tensor is complete; what it returns replaces it."""
    if not wants_gradient(tensor): raise RuntimeError("cannot register a hook on a tensor that doesn't "
                                                      "require gradient")
    hooks = hooks_of(tensor)
    last = hooks.pop("retain", None)            # it wants to see what the others have made of it
    handle = RemovableHandle(hooks, partial(checked, hook))
    if last: hooks["retain"] = last
    return handle


def hooks_of(tensor: Tensor) -> dict:
    """Where the hooks for a tensor's gradient hang."""
    edge = edge_of(tensor)
    if not isinstance(edge, Receipt): return vars(tensor).setdefault("_hooks", {})
    if edge.hooks is None: edge.hooks = {}
    return edge.hooks


def checked(hook: Callable, grad: Tensor) -> Tensor | None:
    """What the hook says, if it can stand for the gradient."""
    told, name = hook(grad), getattr(hook, "__name__", type(hook).__name__)
    if told is None: return None
    if not isinstance(told, Tensor): raise TypeError(f"expected Variable, but hook returned "
                                                     f"'{type(told).__name__}'")
    if told.shape != grad.shape: raise RuntimeError(f"hook '{name}' has changed the size of value")
    if told.dtype is not grad.dtype:
        raise RuntimeError(f"hook '{name}' has changed the type of value (was {grad.dtype} got {told.dtype})")
    return told


@method
def register_post_accumulate_grad_hook(tensor: Tensor, hook: Callable) -> RemovableHandle:
    """`hook(leaf)` is called after a gradient has been added to `leaf.grad`."""
    if not wants_gradient(tensor): raise RuntimeError("cannot register a hook on a tensor that doesn't "
                                                      "require gradient")
    if not tensor.is_leaf: raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf "
                                              "tensors")
    return RemovableHandle(vars(tensor).setdefault("_after_grad", {}), hook)

# %% [markdown]
# Only leaves get a `.grad`. For any other tensor somebody has to ask, before backward.

# %%
#| export
@method
def retain_grad(tensor: Tensor) -> None:
    """Makes backward fill `.grad` of this tensor, though it is no leaf."""
    if not wants_gradient(tensor): raise RuntimeError("can't retain_grad on Tensor that has "
                                                      "requires_grad=False")
    if tensor.receipt is None: return
    before = vars(tensor).get("_retained")
    if before is not None: before.pop("retain", None)       # of numbers that were written over since
    tensor._retained = hooks_of(tensor)
    tensor._retained["retain"] = partial(retain, ref(tensor))


def retain(tensor: ref, grad: Tensor) -> None:
    """Adds a gradient to .grad of a tensor that still exists."""
    x = tensor()
    if x is None: return
    if x.grad is not None: x.grad = x.grad + grad
    else: x.grad = grad if is_grad_enabled() else Tensor(grad.array.copy())


# %% [markdown]
# ## On a receipt
#
# `y.grad_fn.register_hook(hook)` sees both sides of an op: what it hands on and what it was handed.

# %%
#| export
class Sides:
    """Stands around the pull of a receipt and shows both sides to hooks."""

    def __init__(self, inner: Callable): self.inner, self.before, self.after = inner, {}, {}

    def __call__(self, receipt: Receipt, g, create_graph: bool) -> list:
        arrived = list(g) if isinstance(g, list) else [g]
        for hook in list(self.before.values()): arrived = shown(hook, arrived, create_graph)
        found = self.inner(receipt, arrived if isinstance(g, list) else arrived[0], create_graph)
        if not self.after: return found
        found = [None if edge is None or dx is None else settled(dx() if callable(dx) else dx, x)
                 for dx, x, edge in zip(found, receipt.inputs, receipt.edges)]
        for hook in list(self.after.values()): found = shown(hook, found, create_graph, arrived)
        return found


def shown(hook: Callable, gradients: list, create_graph: bool, *more: list) -> list:
    """The gradients, or what a hook makes of them."""
    with boxes(): told = hook(*[tuple(map(box, some)) for some in (gradients, *more)])
    if told is None: return gradients
    if not isinstance(told, tuple): raise TypeError(f"expected tuple, but hook returned "
                                                    f"'{type(told).__name__}'")
    if len(told) != len(gradients):
        raise RuntimeError(f"hook '{getattr(hook, '__name__', hook)}' has returned an incorrect number of "
                           f"values "
                           f"(got {len(told)}, but expected {len(gradients)})")
    return [dx if dx is None or create_graph else dx.array for dx in told]


def box(g) -> Tensor | None: return g if g is None or isinstance(g, Tensor) else Tensor(g)


def sides_of(receipt: Receipt) -> Sides:
    whole = receipt.edges[0] if isinstance(receipt, Part) else receipt
    if not isinstance(whole.around, Sides): whole.around = Sides(whole.around or pull)
    return whole.around


def register_receipt_hook(receipt: Receipt, fn: Callable) -> RemovableHandle:
    """`fn(grad_inputs, grad_outputs)` runs after gradients were pulled through; it may return other
    grad_inputs."""
    return RemovableHandle(sides_of(receipt).after, fn)


def register_receipt_prehook(receipt: Receipt, fn: Callable) -> RemovableHandle:
    """`fn(grad_outputs)` runs before gradients are pulled through, and may return others."""
    return RemovableHandle(sides_of(receipt).before, fn)


Receipt.register_hook, Receipt.register_prehook = register_receipt_hook, register_receipt_prehook

# %% [markdown]
# ## On a module
#
# A module is a piece of a graph with two sides. `Through` marks them: it does nothing, and has a receipt on
# which hooks can hang. It stands before the module, where gradients leave it, and behind it, where they
# arrive.

# %%
#| export
class Through(Function):
    """Tensors, handed through."""

    @staticmethod
    def forward(ctx, *tensors):
        ctx.mark_non_differentiable(*[x for x in tensors if not wants_gradient(x)])
        return tensors

    @staticmethod
    def backward(ctx, *gradients): return gradients


class Passage:
    """One call of a module, and the gradients on both of its sides."""

    def __init__(self, module, hooks: list[Callable], pre_hooks: list[Callable]):
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.arrived: tuple | None = None

    def enter(self, args: tuple) -> tuple:
        """The arguments of forward, marked."""
        self.inputs, self.entered = len(args), tensor_places(args)
        return self.marked(args, self.entered, self.leave) if self.entered else args

    def come_out(self, out):
        """The output of forward, marked."""
        outs = out if isinstance(out, tuple) else (out,)
        if not all([isinstance(x, Tensor) for x in outs[:1]]): warn(NO_TENSOR.format(type(out)), stacklevel=4)
        self.outputs, self.came_out = len(outs), tensor_places(outs)
        if not self.came_out: return out
        marked = self.marked(outs, self.came_out, self.arrive)
        return marked if isinstance(out, tuple) else marked[0]

    def marked(self, values: tuple, places: list[int], hook: Callable) -> tuple:
        found, new = list(values), Through.apply(*[values[n] for n in places])
        next(x.grad_fn for x in new if x.grad_fn is not None).register_hook(hook)
        for n, x in zip(places, new): found[n] = x
        return type(values)(*found) if hasattr(values, "_fields") else tuple(found)

    def arrive(self, _, gradients: tuple) -> tuple:
        """Gradients have come to the output."""
        self.arrived = spread(gradients, self.came_out, self.outputs)
        for hook in self.pre_hooks: self.arrived = agreed(hook(self.module, self.arrived), self.arrived,
                                                          "pre hook", "output")
        handed_on = self.arrived
        if not self.entered: self.finish((None,) * self.inputs)
        return tuple([handed_on[n] for n in self.came_out])

    def leave(self, gradients: tuple, _) -> tuple | None:
        """Gradients are about to leave the module on the side of its inputs."""
        if self.arrived is None: return None        # they came another way than through the output
        found = self.finish(spread(gradients, self.entered, self.inputs))
        return tuple([found[n] for n in self.entered])

    def finish(self, found: tuple) -> tuple:
        """Both sides are known: what the hooks make of the gradients for the inputs."""
        for hook in self.hooks:
            told = hook(self.module, found, self.arrived)
            if not self.entered and told is not None and any([dx is not None for dx in told]):
                raise RuntimeError("Backward hook for Modules where no input requires gradient should always "
                                   "return None or None "
                                   "for all gradients.")
            found = agreed(told, found, "hook", "input")
        self.arrived = None
        return found


NO_TENSOR = ("For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but "
             "received {}")


def tensor_places(values: tuple) -> list[int]:
    """Which of some values are tensors; none, if nobody wants a gradient for any of them."""
    places = [n for n, x in enumerate(values) if isinstance(x, Tensor)]
    return places if is_grad_enabled() and any([wants_gradient(values[n]) for n in places]) else []


def spread(gradients: tuple, places: list[int], count: int) -> tuple:
    """Gradients of tensors, with None for the values between them that were none."""
    found = dict(zip(places, gradients))
    return tuple([found.get(n) for n in range(count)])


def agreed(told, before: tuple, hook: str, side: str) -> tuple:
    """What a hook says, or what there was if it says nothing."""
    if told is None: return before
    if len(told) == len(before): return told
    raise RuntimeError(f"Backward {hook} returned an invalid number of grad_{side}, got {len(told)}, but "
                       f"expected {len(before)}")

# %%
#| export
def watch(module, args: tuple) -> tuple[tuple, Callable]:
    """What lesson 04 asks around each forward: the arguments, and what to do with the output."""
    kinds: dict[str, list] = {"full": [], "pre": [], "old": []}
    for hook, how in asked(EVERY_BACKWARD_HOOK, module._backward_hooks): kinds[how["kind"]].append(hook)
    passage = Passage(module, kinds["full"], kinds["pre"]) if kinds["full"] or kinds["pre"] else None

    def end(out):
        if passage: out = passage.come_out(out)
        receipt = first_tensor(out).grad_fn if kinds["old"] else None
        for hook in kinds["old"] if receipt is not None else (): receipt.register_hook(partial(hook, module))
        return out
    return passage.enter(args) if passage else args, end


def first_tensor(x) -> Tensor:
    while not isinstance(x, Tensor): x = next(iter(x.values())) if isinstance(x, dict) else x[0]
    return x


WATCHERS.append(watch)

# %%
#| export
@module_method
def register_full_backward_hook(module, hook: Callable, prepend: bool = False) -> RemovableHandle:
    """`hook(module, grad_input, grad_output)` runs when both are known; what it returns replaces
    grad_input."""
    return backward_handle(module._backward_hooks, hook, "full", prepend)


@module_method
def register_full_backward_pre_hook(module, hook: Callable, prepend: bool = False) -> RemovableHandle:
    """`hook(module, grad_output)` runs when gradients arrive at the output; what it returns replaces
    grad_output."""
    return backward_handle(module._backward_hooks, hook, "pre", prepend)


@module_method
def register_backward_hook(module, hook: Callable) -> RemovableHandle:
    """The older kind: `hook(module, grad_input, grad_output)` around the last op of the module, not around
    the module."""
    return backward_handle(module._backward_hooks, hook, "old")


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """register_full_backward_hook, for every module."""
    return backward_handle(EVERY_BACKWARD_HOOK, hook, "full")


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """register_full_backward_pre_hook, for every module."""
    return backward_handle(EVERY_BACKWARD_HOOK, hook, "pre")


def register_module_backward_hook(hook: Callable) -> RemovableHandle:
    """register_backward_hook, for every module."""
    return backward_handle(EVERY_BACKWARD_HOOK, hook, "old")


def backward_handle(hooks: dict, hook: Callable, kind: str, first: bool = False) -> RemovableHandle:
    there = {how["kind"] for _, how in asked(hooks)}
    if (kind == "old" and "full" in there) or (kind == "full" and "old" in there):
        raise RuntimeError("Cannot use both regular backward hooks and full backward hooks on a single "
                           "Module. Please use only "
                           "one of them.")
    return RemovableHandle(hooks, hook, first, kind=kind)
