# %% [markdown]
# # Appendix: calling a module, and being told about it
#
# `model(x)` is `model.forward(x)`, and a little more: whoever wants to watch, or to change what goes in or
# comes out, hangs a function into the call, a **hook**. That is how activations are collected and pictures of
# networks are made, without a line of the network changing. The network below never notices.

# %%
#| export
"""What a call of a module is: its forward, and the hooks around it."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

# %% [markdown]
# A hook is kept in a dict under a number of its own. Who hangs it up gets a **handle** that takes it down
# again, also at the end of a `with` block.

# %%
#| export
_numbers = count()


class RemovableHandle:
    """Takes a hook down again: by `remove()`, or at the end of `with`."""

    def __init__(self, hooks: dict, hook: Callable, first: bool = False, **how):
        self.id, self.hooks = next(_numbers), hooks
        others = dict(hooks) if first else {}
        for number in others: del hooks[number]
        hooks[self.id] = (hook, how) if how else hook
        hooks.update(others)

    def remove(self) -> None: self.hooks.pop(self.id, None)
    def __enter__(self): return self
    def __exit__(self, *error): self.remove()

# %% [markdown]
# Some hooks are for one module, and some for all modules of the program. Those are in a dict of their own.

# %%
#| export
EVERY_FORWARD_PRE_HOOK: dict = {}
EVERY_FORWARD_HOOK: dict = {}
EVERY_BACKWARD_HOOK: dict = {}


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """`hook(module, args)` runs before every forward of every module; what it returns replaces `args`."""
    return RemovableHandle(EVERY_FORWARD_PRE_HOOK, hook)


def register_module_forward_hook(
    hook: Callable, *, with_kwargs: bool = False, always_call: bool = False,
) -> RemovableHandle:
    """`hook(module, args, output)` runs after every forward of every module, and may replace `output`."""
    return RemovableHandle(EVERY_FORWARD_HOOK, hook, with_kwargs=with_kwargs, always_call=always_call)


def asked(*tables: dict) -> Iterator[tuple[Callable, dict]]:
    """Each hook of some tables with the way it wants to be called."""
    for table in tables:
        for entry in list(table.values()): yield entry if isinstance(entry, tuple) else (entry, {})

# %% [markdown]
# Nearly always there is no hook at all, so `__call__` asks for that first: it is passed by every layer of
# every network.

# %%
#| export
class Hooks:
    """A call of a module, and the hooks in it."""

    def __call__(self, *args, **kwargs):
        mine = self.__dict__
        if not (mine["_forward_hooks"] or mine["_forward_pre_hooks"]
                or mine["_backward_hooks"]
                or EVERY_FORWARD_HOOK or EVERY_FORWARD_PRE_HOOK
                or EVERY_BACKWARD_HOOK): return self.forward(*args, **kwargs)
        return hooked(self, args, kwargs)

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False,
    ) -> RemovableHandle:
        """`hook(module, args)` runs before forward; what it returns replaces `args`.

        `with_kwargs`: it is called as `hook(module, args, kwargs)`, and returns both or None.
        """
        return RemovableHandle(self._forward_pre_hooks, hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False,
    ) -> RemovableHandle:
        """`hook(module, args, output)` runs after forward; what it returns replaces `output`.

        `with_kwargs`: it is called as `hook(module, args, kwargs, output)`. `always_call`: also when forward
        raises an error, with None for the output.
        """
        return RemovableHandle(self._forward_hooks, hook, prepend,
                               with_kwargs=with_kwargs, always_call=always_call)

    def register_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(module, prefix, keep_vars)` runs before this module's state is collected."""
        return RemovableHandle(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata)` runs afterwards, and may change the dict."""
        return RemovableHandle(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)` runs before this module's state is looked up, and may rename its keys."""
        return RemovableHandle(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(module, incompatible_keys)` runs after loading, and may change the two lists of keys."""
        return RemovableHandle(self._load_state_dict_post_hooks, hook)


HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_hooks", "_state_dict_pre_hooks",
         "_state_dict_hooks",
         "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks")

# %% [markdown]
# Hooks on gradients need gradients, which lesson 09 brings. It hangs a function in here that is asked
# between the hooks around forward: it may exchange the arguments, and says what is to be done with the
# output.

# %%
#| export
WATCHERS: list[Callable] = []       # (module, args) -> (args, a function of the output)


def hooked(module, args: tuple, kwargs: dict):
    """forward between its hooks; hooks that are `always_call` also run when something went wrong."""
    out, called, ends = None, set(), []
    try:
        args, kwargs = before(module, args, kwargs)
        for watch in WATCHERS:
            args, end = watch(module, args)
            ends.append(end)
        out = module.forward(*args, **kwargs)
        for hook, how in asked(EVERY_FORWARD_HOOK, module._forward_hooks):
            called.add(hook)
            out = after(hook, how, module, args, kwargs, out)
        for end in ends: out = end(out)
        return out
    except Exception:
        for hook, how in asked(EVERY_FORWARD_HOOK, module._forward_hooks):
            if how.get("always_call") and hook not in called: after(hook, how, module, args, kwargs, out)
        raise


def before(module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """What the forward pre-hooks make of the arguments."""
    for hook, how in asked(EVERY_FORWARD_PRE_HOOK, module._forward_pre_hooks):
        if not how.get("with_kwargs"):
            changed = hook(module, args)
            if changed is not None: args = changed if isinstance(changed, tuple) else (changed,)
        elif (changed := hook(module, args, kwargs)) is not None:
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(f"a forward pre-hook with kwargs returns (args, kwargs) or None, "
                                   f"not {changed!r}")
            args, kwargs = changed
    return args, kwargs


def after(hook: Callable, how: dict, module, args: tuple, kwargs: dict, out):
    """The output, or what one forward hook makes of it."""
    given = (args, kwargs) if how.get("with_kwargs") else (args,)
    changed = hook(module, *given, out)
    return out if changed is None else changed
