# %% [markdown]
# # Appendix: starting, and looking on
#
# `loss.backward()` starts at one tensor. A network may have several ends, and who trains it may want to
# hear when a whole group of gradients has come.

# %%
#| export
"""torch.autograd.backward, and what torch.autograd.graph has besides hooks for saved tensors."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tinytorch.autograd import Flow, listed, remembering_engine
from tinytorch.grad_hooks import register_hook
from tinytorch.journeys import add_to_grad
from tinytorch.receipts import Receipt
from tinytorch.tensor import Tensor

Node = Receipt                      # PyTorch's name for it

# %%
#| export
def backward(
    tensors, grad_tensors=None, retain_graph: bool | None = None, create_graph: bool = False,
    grad_variables=None, inputs=None,
) -> None:
    """Adds to .grad of the leaves how several tensors answer to a nudge of them, in one journey.

    `grad_tensors`: the gradient of each of the tensors, None for one that is a single number.
    """
    if grad_variables is not None: grad_tensors = grad_variables            # an old name of it
    tensors, gradients = listed(tensors), listed(grad_tensors)
    if grad_tensors is None: gradients = [None] * len(tensors)
    if len(gradients) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(gradients)} gradients")
    if inputs is not None: inputs = listed(inputs)
    if inputs == []: raise RuntimeError("`inputs` argument to `backward` cannot be empty.")
    Flow(remembering_engine(), add_to_grad, inputs, retain_graph, create_graph).run(tensors, gradients)


def increment_version(tensor) -> None:
    """Says that a tensor's memory was written over by somebody whom the engine did not see."""
    for x in [tensor] if isinstance(tensor, Tensor) else tensor:
        (x if x._base is None else x._base)._changes += 1

# %%
#| export
class MultiHandle(tuple):
    """Takes several hooks down at once."""

    def remove(self) -> None:
        for handle in self: handle.remove()

    def __enter__(self): return self
    def __exit__(self, *error): self.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable, *, mode: str = "all") -> MultiHandle:
    """Calls `fn` when the gradients of several tensors have come: with all of them, or ("any") with the
    first."""
    if mode not in ("all", "any"): raise ValueError(f"Expects mode to be one of ('all', 'any') but got "
                                                    f"{mode}")
    seen: dict[int, Tensor] = {}
    from threading import Lock  # here: most programs never need it
    lock = Lock()

    def hook(place: int, grad: Tensor) -> None:
        with lock:
            seen[place] = grad
            ready = len(seen) == (len(tensors) if mode == "all" else 1)
        if ready: fn([seen[n] for n in range(len(tensors))] if mode == "all" else grad)
        if mode == "all" and ready: seen.clear()
    return MultiHandle([register_hook(x, partial(hook, place)) for place, x in enumerate(tensors)])
