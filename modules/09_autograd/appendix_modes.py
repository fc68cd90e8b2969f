# %% [markdown]
# # Appendix: forgetting on purpose
#
# A network that only answers needs no receipts, and an optimizer that changes weights must not be part of the
# history it works on. Whether the engine remembers is one variable, set for the length of a block, of a
# function, or from here on.

# %%
#| export
"""no_grad and its kin: whether the engine remembers, here and now."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable
from contextlib import ContextDecorator
from copy import copy
from functools import wraps
from inspect import isgeneratorfunction

from tinytorch.receipts import remembering

# %%
#| export
class GradMode(ContextDecorator):
    """Within `with`, or within the function it decorates, the engine remembers or does not."""

    mode = True

    def __new__(cls, *args, **settings):
        if args and callable(args[0]): return cls()(args[0])        # @no_grad, without brackets
        made = super().__new__(cls)
        made.tokens = []
        return made

    def __enter__(self): self.tokens.append(remembering.set(self.mode))
    def __exit__(self, *error): remembering.reset(self.tokens.pop())

    def _recreate_cm(self):             # each call of a decorated function has tokens of its own
        again = copy(self)
        again.tokens = []
        return again

    def __call__(self, function):
        return resuming(self, function) if isgeneratorfunction(function) else super().__call__(function)


def resuming(mode: GradMode, generator: Callable) -> Callable:
    """The generator function whose body runs in that mode, while the code between its steps does not."""
    @wraps(generator)
    def walk(*args, **kwargs):
        steps = generator(*args, **kwargs)
        advance, given = steps.send, None
        while True:
            with mode._recreate_cm():
                try: found = advance(given)
                except StopIteration as end: return end.value
            try: advance, given = steps.send, (yield found)
            except GeneratorExit:
                with mode._recreate_cm(): steps.close()
                raise
            except BaseException as error: advance, given = steps.throw, error
    return walk


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
        self.mode, self.before = mode, remembering.get()
        remembering.set(mode)

    def __enter__(self): remembering.set(self.mode)
    def __exit__(self, *error): remembering.set(self.before)

    def __call__(self, function):
        remembering.set(self.before)        # it was a decorator, and does not begin here and now
        return (enable_grad() if self.mode else no_grad())(function)


def is_grad_enabled() -> bool:
    """Whether the engine remembers here and now."""
    return remembering.get()
