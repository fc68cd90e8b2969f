# %% [markdown]
# # Appendix: keeping numbers elsewhere
#
# Receipts hold on to numbers: whatever a rule will look at has to wait until gradients come by. In a large
# network that waiting room takes more memory than the weights. Where the numbers wait is nobody's business
# but theirs: on another device, on a disk, with fewer bits, or nowhere at all, to be computed once more
# (`checkpoint`).
#
# A **packer** takes each number that a receipt would keep and gives a ticket for it; when gradients come
# by, the ticket is handed in.

# %%
#| export
"""Where receipts keep their numbers: tickets in place of them, and hooks that say what a ticket is."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable

from tinytorch.journeys import boxes
from tinytorch.modes import no_grad
from tinytorch.receipts import PACKING, Outline, Receipt, pull
from tinytorch.tensor import Tensor, expand

# %%
#| export
class Packer:
    """Puts the numbers of receipts elsewhere, by `pack`, and fetches them back, by `unpack`."""

    def __init__(self, pack: Callable, unpack: Callable): self.pack, self.unpack = pack, unpack

    def __call__(self, receipt: Receipt) -> None: receipt.around = Tickets(self, receipt)

    def put(self, x: Tensor):
        """A ticket for a tensor. The hook may use ops; nothing it does is remembered or packed."""
        token = PACKING.set(None)
        try:
            with no_grad(): return self.pack(x)
        finally: PACKING.reset(token)

    def fetch(self, ticket) -> Tensor:
        with boxes(): found = self.unpack(ticket)
        if isinstance(found, Tensor): return found
        raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                        f"{type(found)}")

# %% [markdown]
# The tickets of a receipt stand around its pull: before it they are exchanged for numbers, and after it the
# numbers are gone again. What came back from elsewhere has no history of its own; it takes over that of
# what was put away.

# %%
#| export
class Tickets:
    """Stands around the pull of a receipt whose numbers are elsewhere."""

    def __init__(self, packer: Packer, receipt: Receipt):
        self.packer, self.several = packer, isinstance(receipt.out, list)
        self.inputs = {n: packer.put(box) for n, box in enumerate(receipt.boxes) if box is not None}
        self.outs = [self.ticket(x) for x in (receipt.out if self.several else [receipt.out])]
        self.kept = [self.ticket(x) for x in receipt.kept]
        for n in self.inputs: receipt.inputs[n] = outline(receipt.inputs[n])
        self.put_away(receipt)

    def put_away(self, receipt: Receipt) -> None:
        receipt.boxes, receipt.out, receipt.kept = (), None, (self,)    # something is kept, and can be let go

    def ticket(self, x) -> tuple:
        """Whether x was put away, and the ticket for it or x itself."""
        away = hasattr(x, "strides")            # an array, of any library
        return away, self.packer.put(Tensor(x)) if away else x

    def numbers(self, away: bool, x): return self.packer.fetch(x).array if away else x

    def __call__(self, receipt: Receipt, g, create_graph: bool) -> tuple:
        if receipt.inputs is None: return pull(receipt, g, create_graph)        # and raise
        outlines, spoilt = receipt.inputs, receipt.spoilt
        found = {n: with_history(self.packer.fetch(ticket), receipt.edges[n]) for n,
                 ticket in self.inputs.items()}
        outs = [self.numbers(*x) for x in self.outs]
        receipt.boxes = [found.get(n) for n in range(len(outlines))]
        receipt.versions = [0 if box is None else box._version for box in receipt.boxes]
        receipt.inputs = [x if box is None else box.array for x, box in zip(outlines, receipt.boxes)]
        receipt.out, receipt.kept = outs if self.several else outs[0], tuple([self.numbers(*x)
                                                                              for x in self.kept])
        receipt.spoilt = False                  # what was put away cannot have been written over
        try: return pull(receipt, g, create_graph)
        finally:
            receipt.inputs, receipt.spoilt = outlines, spoilt
            self.put_away(receipt)


def outline(array) -> Outline: return Outline((array.shape, array.dtype))


def with_history(x: Tensor, edge) -> Tensor:
    """The numbers of x, with gradients that go to the edge."""
    if edge is None or edge is x: return x
    out = Tensor(x.array)
    if not isinstance(edge, Receipt):           # a leaf: its numbers may have come back changed
        edge = Receipt(expand, [edge], [outline(edge.array)], {})
    out.receipt, out.wanted = edge, True
    return out

# %% [markdown]
# ## Hooks for saved tensors
#
# PyTorch's words for it. The hooks are called for every tensor that is kept, leaves too: to leave one where
# it is, return it.

# %%
#| export
class saved_tensors_hooks:
    """`with saved_tensors_hooks(pack, unpack):` every tensor kept for backward is put away as
    `pack(tensor)`, and comes
    back as `unpack(ticket)`."""

    def __init__(self, pack_hook: Callable, unpack_hook: Callable):
        self.packer, self.tokens = Packer(pack_hook, unpack_hook), []

    def __enter__(self):
        if isinstance(PACKING.get(), Forbidden): raise RuntimeError(PACKING.get().message)
        self.tokens.append(PACKING.set(self.packer))
        return self

    def __exit__(self, *error): PACKING.reset(self.tokens.pop())


class save_on_cpu(saved_tensors_hooks):
    """Tensors wait for backward in the memory of the CPU, and are copied back to their device then."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        super().__init__(lambda x: (x.device, x.to("cpu")), lambda ticket: ticket[1].to(ticket[0]))


class Forbidden:
    """Stands where a packer would, packs nothing, and lets no packer in."""

    def __init__(self, message: str): self.message = message
    def __call__(self, receipt: Receipt) -> None: pass


class disable_saved_tensors_hooks:
    """`with disable_saved_tensors_hooks(message):` whoever uses hooks for saved tensors gets that message."""

    def __init__(self, error_message: str): self.forbidden = Forbidden(error_message)
    def __enter__(self): self.token = PACKING.set(self.forbidden)
    def __exit__(self, *error): PACKING.reset(self.token)
