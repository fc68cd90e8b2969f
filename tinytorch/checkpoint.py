# Generated from modules/09_autograd/appendix_checkpoint.py by `tito export`. Edit that file, not this one.
"""Activation checkpointing: numbers that backward needs are computed again instead of kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import pairwise
from weakref import ref

from .custom import Function
from .graph import backward
from .layers import Sequential
from .modes import enable_grad, is_grad_enabled
from .randomness import fork_rng, get_rng_state, set_rng_state
from .receipts import PACKING, wants_gradient
from .saved import Packer
from .shaping import detach
from .tensor import Tensor

__all__ = [
    "CheckpointError", "Enough", "noop_context_fn", "Ticket", "Piece", "number_of", "compare", "look", "kept",
    "as_leaf", "packed", "CheckpointFunction", "check_backward_validity", "checkpoint",
    "checkpoint_sequential", "in_a_row", "settled_way",
]


class CheckpointError(RuntimeError):
    """What ran the second time was not what ran the first time."""


class Enough(Exception):
    """Raised in the second run when the last ticket has its number: the rest need not be computed."""


def noop_context_fn() -> tuple[AbstractContextManager, AbstractContextManager]:
    """Nothing around the first run, and nothing around the second."""
    return nullcontext(), nullcontext()


class Ticket:
    """Stands for a number that can be computed again."""

    __slots__ = ("__weakref__", "number", "piece")

    def __init__(self, piece: Piece): self.piece, self.number = piece, None


class Piece:
    """A piece of a computation that can run once more."""

    def __init__(self, function: Callable, args: tuple, kwargs: dict, preserve: bool, around, check: bool,
                 early: bool):
        self.function, self.around, self.check, self.early = function, around, check, early
        self.random = get_rng_state() if preserve else None
        self.args = [kept(x) for x in args]
        self.kwargs = {name: kept(x) for name, x in kwargs.items()}
        self.looks: list[str] = []              # of what was put away, in order: shapes and dtypes
        self.tickets: list[ref] = []            # for it, as long as somebody holds them

    def put(self, x: Tensor) -> Ticket:
        """The first run: a number is exchanged for a ticket."""
        ticket = Ticket(self)
        self.looks.append(look(x))
        self.tickets.append(ref(ticket))
        return ticket

    def run_again(self) -> None:
        """Runs the piece once more, and writes the numbers on the tickets."""
        again: list[str] = []

        def fill(x: Tensor) -> None:
            ticket = self.tickets[len(again)]() if len(again) < len(self.tickets) else None
            if ticket: ticket.number = Tensor(x.array)
            again.append(look(x))
            if self.early and len(again) == len(self.looks): raise Enough

        with fork_rng(enabled=self.random is not None), self.around, enable_grad(), packed(fill):
            if self.random is not None: set_rng_state(self.random)
            args, kwargs = [get() for get in self.args], {name: get() for name, get in self.kwargs.items()}
            with suppress(Enough): self.function(*args, **kwargs)
        compare(self.looks, again, self.check)


def number_of(ticket: Ticket) -> Tensor:
    """Backward: a ticket is handed in. Who hands it in twice, after retain_graph, has the number computed
    again."""
    if ticket.number is None: ticket.piece.run_again()
    found, ticket.number = ticket.number, None
    return found


def compare(looks: list[str], again: list[str], check: bool) -> None:
    """Raises CheckpointError if the second run was not like the first."""
    if len(again) != len(looks):
        raise CheckpointError("torch.utils.checkpoint: A different number of tensors was saved during the "
                              "original forward and "
                              f"recomputation.\nNumber of tensors saved during forward: {len(looks)}\n"
                              f"Number of tensors saved during recomputation: {len(again)}.")
    changed = [f"tensor at position {n}:\nsaved metadata: {old}\nrecomputed metadata: {new}"
               for n, (old, new) in enumerate(zip(looks, again)) if check and old != new]
    if changed:
        raise CheckpointError("torch.utils.checkpoint: Recomputed values for the following tensors have "
                              "different metadata than "
                              "during the forward pass.\n" + "\n".join(changed))


def look(x: Tensor) -> str: return f"{{'shape': {x.shape}, 'dtype': {x.dtype}, 'device': {x.device}}}"


def kept(x) -> Callable:
    """A function that gives an argument again, cut off from its history."""
    if not isinstance(x, Tensor): return lambda: x
    packer, wants, version = PACKING.get(), wants_gradient(x), x._version
    if isinstance(packer, Packer):
        ticket = packer.put(x)
        return lambda: as_leaf(packer.fetch(ticket), wants)

    def again() -> Tensor:
        if x._version == version: return as_leaf(x, wants)
        raise RuntimeError("an argument of a checkpointed function has been modified by an inplace operation "
                           "since: the function "
                           "cannot run on it once more")
    return again


def as_leaf(x: Tensor, wants: bool) -> Tensor:
    out = detach(x)
    out.wanted = wants
    return out


@contextmanager
def packed(pack: Callable, unpack: Callable | None = None):
    """What receipts would keep goes to `pack`."""
    token = PACKING.set(Packer(pack, unpack))
    try: yield
    finally: PACKING.reset(token)


class CheckpointFunction(Function):
    """A piece of a computation as one op."""

    @staticmethod
    def forward(ctx, run_function, preserve_rng_state, *args):
        check_backward_validity(args)
        ctx.run_function, ctx.random = run_function, get_rng_state() if preserve_rng_state else None
        ctx.others = [None if isinstance(x, Tensor) else x for x in args]
        ctx.wanted = ctx.needs_input_grad[2:]
        ctx.save_for_backward(*[x if isinstance(x, Tensor) else None for x in args])
        return run_function(*args)

    @staticmethod
    def backward(ctx, *gradients):
        inputs = [other if x is None else as_leaf(x, wants)
                  for x, other, wants in zip(ctx.saved_tensors, ctx.others, ctx.wanted)]
        with fork_rng(enabled=ctx.random is not None), enable_grad():
            if ctx.random is not None: set_rng_state(ctx.random)
            outs = ctx.run_function(*inputs)
        pairs = [(y, g) for y, g in zip(outs if isinstance(outs, tuple) else (outs,), gradients)
                 if isinstance(y, Tensor) and wants_gradient(y)]
        if not pairs: raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not "
                                         "necessary")
        backward(*zip(*pairs))
        return None, None, *[x.grad if isinstance(x, Tensor) else None for x in inputs]


def check_backward_validity(inputs: Iterable) -> None:
    """Warns where no gradient could come out."""
    if not any([wants_gradient(x) for x in inputs]):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


def checkpoint(
    function: Callable, *args, use_reentrant: bool | None = None, context_fn: Callable = noop_context_fn,
    determinism_check: str = "default", debug: bool = False, early_stop: bool = True, **kwargs,
):
    """`function(*args, **kwargs)`, of which backward computes again what it needs, instead of keeping it.

    `preserve_rng_state=True`: dropout leaves out the same numbers the second time.
    """
    use_reentrant, preserve = settled_way("checkpoint", use_reentrant), kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs: raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve, *args)
    if not is_grad_enabled(): return function(*args, **kwargs)
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check is 'default' or 'none', not {determinism_check!r}")
    first, second = context_fn()
    piece = Piece(function, args, kwargs, preserve, second, determinism_check == "default", early_stop)
    with packed(piece.put, number_of), first: return function(*args, **kwargs)


def checkpoint_sequential(functions, segments: int, input, use_reentrant: bool | None = None, **kwargs):
    """Runs functions, or the parts of a Sequential, one after the other, in `segments` pieces; all but the
    last are
    checkpointed."""
    use_reentrant, preserve = settled_way("checkpoint_sequential",
                                          use_reentrant), kwargs.pop("preserve_rng_state", True)
    if kwargs: raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children()) if isinstance(functions, Sequential) else list(functions)
    size = len(functions) // segments
    starts = [n * size for n in range(segments)]
    for start, end in pairwise(starts):
        input = checkpoint(in_a_row(functions[start:end]), input, use_reentrant=use_reentrant,
                           preserve_rng_state=preserve)
    return in_a_row(functions[starts[-1] :])(input)


def in_a_row(functions: Sequence[Callable]) -> Callable:
    def run(input):
        for function in functions: input = function(input)
        return input
    return run


def settled_way(name: str, use_reentrant: bool | None) -> bool:
    """PyTorch asks for an answer, and takes the older way if there is none."""
    if use_reentrant is not None: return use_reentrant
    where = "torch.utils.checkpoint" + ("" if name == "checkpoint" else f".{name}")
    warnings.warn(f"{where}: the use_reentrant parameter should be passed explicitly; without it the older "
                  f"way is taken. "
                  "use_reentrant=False is recommended", stacklevel=3)
    return True
