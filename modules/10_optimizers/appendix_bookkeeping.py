# %% [markdown]
# # Appendix: the books of an optimizer
#
# An optimizer is a rule and its books: which parameters there are and in which groups, what it remembers of
# each, and how all of that is written down so that a training that was interrupted goes on as if nothing
# had happened. The rule is the lesson's. The books are here, and they are PyTorch's: a state dict saved
# there can be loaded here, and the other way round.

# %%
#| export
"""Parameter groups, state dicts and hooks: what every optimizer has besides its rule."""

# %%
#| export
from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import wraps

import numpy as np

from tinytorch.creation import zeros_like
from tinytorch.dtypes import dtype_of
from tinytorch.hooks import RemovableHandle, asked
from tinytorch.pieces import PIECE
from tinytorch.tensor import Tensor, as_array, tensor

# %% [markdown]
# ## What may be asked for
#
# A rate, a momentum or a decay below zero is a slip of the pen. A rate may be a tensor of one number, which
# somebody else changes.

# %%
#| export
def number(setting) -> float:
    """The Python number in a setting, which may be a tensor of one."""
    return setting.item() if hasattr(setting, "item") else setting


def not_below_zero(**settings) -> None:
    """A ValueError for the first setting that is below zero (or no number at all)."""
    for name, setting in settings.items():
        if isinstance(setting, Tensor) and setting.numel() != 1:
            raise ValueError(f"{name} may be a tensor of 1 number, not of {setting.numel()}")
        if not number(setting) >= 0: raise ValueError(f"{name} must be 0 or more, not {setting}")


def shares(betas) -> tuple[float, ...]:
    """The betas as numbers, if they are shares of what is remembered: from 0 to less than 1."""
    for n, beta in enumerate(betas):
        if not 0 <= number(beta) < 1: raise ValueError(f"betas[{n}] must lie in [0, 1), not {beta}")
    return tuple([number(beta) for beta in betas])

# %% [markdown]
# PyTorch has three ways to take the same step: a loop over parameters, a few calls for all of them
# (`foreach`), and one call (`fused`). Here there is one way, so the choice is taken note of and changes
# nothing. Two other wishes cannot be granted, and are refused with the reason.

# %%
#| export
def ways(*, foreach=None, fused=None, capturable=False, differentiable=False) -> None:
    """Refuses wishes about how a step is taken that contradict each other, or that we cannot grant."""
    if fused and differentiable: raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach: raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if differentiable:
        raise NotImplementedError("a step writes over the parameters and is not recorded, so no gradient can "
                                  "flow through it: write the update as ordinary ops, without an optimizer")
    if capturable:
        raise NotImplementedError("capturable=True is for CUDA graphs, and there are none here")

# %% [markdown]
# ## Hooks
#
# Around each step others may want a word, as around the call of a module. The handle is the one of lesson
# 04.

# %%
#| export
EVERY_STEP_PRE_HOOK: dict = {}
EVERY_STEP_POST_HOOK: dict = {}


def register_optimizer_step_pre_hook(hook: Callable) -> RemovableHandle:
    """`hook(optimizer, args, kwargs)` runs before each step of every optimizer."""
    return RemovableHandle(EVERY_STEP_PRE_HOOK, hook)


def register_optimizer_step_post_hook(hook: Callable) -> RemovableHandle:
    """`hook(optimizer, args, kwargs)` runs after each step of every optimizer."""
    return RemovableHandle(EVERY_STEP_POST_HOOK, hook)


def announced(step: Callable) -> Callable:
    """The step of a class, between the hooks; a step that a subclass calls through super() is a part of its
    own and is not announced again."""
    @wraps(step)
    def between_hooks(self, *args, **kwargs):
        if type(self).step is not between_hooks: return step(self, *args, **kwargs)
        self._opt_called = True                             # learning-rate schedules want to know
        args = (self, *args)
        for hook, _ in asked(EVERY_STEP_PRE_HOOK, self._optimizer_step_pre_hooks):
            changed = hook(self, args, kwargs)
            if changed is None: continue
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(f"a step pre-hook returns None or (args, kwargs), not {changed!r}")
            args, kwargs = changed
        out = step(*args, **kwargs)
        for hook, _ in asked(self._optimizer_step_post_hooks, EVERY_STEP_POST_HOOK): hook(self, args, kwargs)
        return out
    return between_hooks

# %% [markdown]
# An update may also be done by somebody who is quicker at it: lesson 13 puts such bodies into a table, by the
# class whose update they replace. They say whether they did it. The table is filled when the first optimizer
# is made, by those who wait for that.

# %%
#| export
STEPS: dict[type, Callable] = {}
WAITING: list[Callable] = []


def quicker(update: Callable, owner: type) -> Callable:
    """The update of a class, unless the table has a body for it, and that one is willing."""
    @wraps(update)
    def either(self, param, group):
        step = STEPS.get(owner)
        if step is None or not step(self, param, group): update(self, param, group)
    return either

# %%
#| export
HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks",
         "_optimizer_state_dict_pre_hooks", "_optimizer_state_dict_post_hooks",
         "_optimizer_load_state_dict_pre_hooks", "_optimizer_load_state_dict_post_hooks")


class Books:
    """The parameters of an optimizer, in groups, with their settings, and what it remembers of each."""

    def __init_subclass__(cls, **settings):
        super().__init_subclass__(**settings)
        if "step" in vars(cls): cls.step = announced(cls.step)
        if "update" in vars(cls): cls.update = quicker(cls.update, cls)

    def __init__(self, params: Iterable, defaults: dict):
        if isinstance(params, Tensor):
            raise TypeError("an optimizer takes several parameters, or dicts: put the one tensor in a list")
        while WAITING: WAITING.pop()()
        for name in HOOKS: setattr(self, name, {})
        self.defaults, self.param_groups = defaults, []
        self.state: defaultdict = defaultdict(dict)
        groups = list(params)
        if not groups: raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def __repr__(self):
        text = f"{type(self).__name__} ("
        for n, group in enumerate(self.param_groups):
            lines = [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
            text += "\n".join([f"\nParameter Group {n}", *lines, ""])
        return text + ")"

    # -------------------------------------------------------------------------------------- hooks

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(optimizer, args, kwargs)` runs before each step, and may return others."""
        return RemovableHandle(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(optimizer, args, kwargs)` runs after each step."""
        return RemovableHandle(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer)` runs before the state is collected."""
        return RemovableHandle(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer, state_dict)` runs afterwards; what it returns replaces the dict."""
        return RemovableHandle(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer, state_dict)` runs before loading; what it returns is loaded instead."""
        return RemovableHandle(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer)` runs after loading."""
        return RemovableHandle(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    # ------------------------------------------------------------------------------------- groups

    def add_param_group(self, param_group: dict) -> None:
        """Takes in parameters, with settings of their own where the dict has some."""
        if not isinstance(param_group, dict):
            raise TypeError(f"a parameter group is a dict, not a {type(param_group).__name__}")
        take_in(param_group, self.defaults)
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if known.intersection([id(p) for p in param_group["params"]]):
            raise ValueError("some parameters appear in more than one parameter group")
        if any([("param_names" in group) != ("param_names" in param_group) for group in self.param_groups]):
            raise ValueError("either all parameter groups have names, or none has")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients; `set_to_none=False` fills them with zeros instead."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none: p.grad = None
                elif p.grad is not None: p.grad = p.grad.detach().zero_()

    # -------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict:
        """What is to be saved: {"state": {number: {name: tensor}}, "param_groups": [settings]}.

        Parameters are numbered in their order through all groups, and are not saved themselves.
        """
        for hook, _ in asked(self._optimizer_state_dict_pre_hooks): hook(self)
        every = [p for group in self.param_groups for p in group["params"]]
        places: dict = {}
        for place, p in enumerate(every): places.setdefault(id(p), place)
        groups = [{**settings_of(group), "params": [places[id(p)] for p in group["params"]]}
                  for group in self.param_groups]
        state = {places[id(key)] if isinstance(key, Tensor) else key: kept
                 for key, kept in self.state.items()}
        saved: dict = {"state": state, "param_groups": groups}
        for hook, _ in asked(self._optimizer_state_dict_post_hooks):
            changed = hook(self, saved)
            if changed is not None: saved = changed
        return saved

    def load_state_dict(self, state_dict: dict) -> None:
        """Goes on where another optimizer stopped; parameters are matched by their order.

        Tensors are copied, in the dtype of their parameter. They may be PyTorch's.
        """
        saved = state_dict.copy()
        for hook, _ in asked(self._optimizer_load_state_dict_pre_hooks):
            changed = hook(self, saved)
            if changed is not None: saved = changed
        sizes = [[len(group["params"]) for group in groups]
                 for groups in (saved["param_groups"], self.param_groups)]
        if len(sizes[0]) != len(sizes[1]):
            raise ValueError(f"the state has {len(sizes[0])} parameter groups, and here are {len(sizes[1])}")
        if sizes[0] != sizes[1]:
            raise ValueError(f"groups of {sizes[0]} parameters do not match this optimizer's, of {sizes[1]}")
        owners = {place: p for old, new in zip(saved["param_groups"], self.param_groups)
                  for place, p in zip(old["params"], new["params"])}
        state: defaultdict = defaultdict(dict)
        for key, kept in saved["state"].items():
            if key in owners: state[owners[key]] = fitted(kept, owners[key])
            else: state[key] = kept
        groups = []
        for old, new in zip(saved["param_groups"], self.param_groups):
            names = {"param_names": new["param_names"]} if "param_names" in new else {}
            groups.append({**names, **deepcopy(settings_of(old)), "params": new["params"]})
        self.__setstate__({"state": state, "param_groups": groups})
        for hook, _ in asked(self._optimizer_load_state_dict_post_hooks): hook(self)

    def __getstate__(self) -> dict:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        for name in HOOKS: self.__dict__.setdefault(name, {})
        for group in self.param_groups:                     # settings that an older state did not have yet
            for name, default in self.defaults.items(): group.setdefault(name, default)

# %% [markdown]
# A group comes in as a tensor, as several, or as pairs of a name and a tensor.

# %%
#| export
def take_in(group: dict, defaults: dict) -> None:
    """Checks the parameters of a group, and completes its settings."""
    params = group["params"]
    if isinstance(params, set):
        raise TypeError("a set has another order in every run, and a state dict counts on it: use a list")
    params = [params] if isinstance(params, Tensor) else list(params)
    names = [p[0] for p in params if isinstance(p, tuple)]
    params = [p[1] if isinstance(p, tuple) else p for p in params]
    if names and len(names) != len(params): raise ValueError("either all parameters have names, or none has")
    for p in params:
        if not isinstance(p, Tensor):
            raise TypeError(f"an optimizer changes Tensors, and cannot change a {type(p).__name__}")
        if not p.is_leaf:
            raise ValueError("can't optimize a non-leaf Tensor: it was computed, and will be computed anew")
    if len({id(p) for p in params}) < len(params):
        warnings.warn("a parameter appears twice in one group, and will take two steps", stacklevel=4)
    group["params"] = params
    if names: group["param_names"] = names
    for name, default in defaults.items(): group.setdefault(name, default)


def settings_of(group: dict) -> dict:
    """A group without its parameters."""
    return {key: value for key, value in group.items() if key != "params"}


def fitted(kept, p: Tensor, name: str = ""):
    """What was remembered, copied for this parameter: its tensors in the parameter's dtype and place."""
    if isinstance(kept, dict): return {key: fitted(value, p, key) for key, value in kept.items()}
    if isinstance(kept, (list, tuple)): return type(kept)([fitted(value, p) for value in kept])
    if not hasattr(kept, "dtype"): return tensor(float(kept)) if name == "step" else kept
    array = as_array(kept)
    kind = dtype_of(p.array) if p.is_floating_point() and name != "step" else dtype_of(array)
    return tensor(array, dtype=kind, device=p.device)

# %% [markdown]
# ## Taking a step without leaving the cache
#
# A step walks over a parameter about ten times: multiply, add, take a root. If the parameter is larger than
# the processor's cache, each of those walks fetches it from memory again. So large ones are cut into
# **pieces**, and all ten walks are made over one piece before the next. A piece of 32,768 numbers, with all
# that belongs to it, stays in a cache of a megabyte.

# %%
#| export
def cut(*arrays):
    """The same pieces of several arrays of one shape, each with two pieces of memory to compute in."""
    first = arrays[0]
    if first.size <= PIECE:
        yield (*arrays, np.empty_like(first), np.empty_like(first))
        return
    if all([array.flags.c_contiguous for array in arrays]): arrays = [array.reshape(-1) for array in arrays]
    first = arrays[0]
    rows = max(1, PIECE * len(first) // first.size)
    rooms = np.empty_like(first[:rows]), np.empty_like(first[:rows])
    for start in range(0, len(first), rows):
        piece = [array[start : start + rows] for array in arrays]
        yield (*piece, *[room[: len(piece[0])] for room in rooms])


def remembered(state: dict, p: Tensor, *names: str) -> list:
    """The arrays under these names; those that are new begin as zeros, in the parameter's shape."""
    for name in names:
        if name not in state: state[name] = zeros_like(p.data)
    return [state[name].array for name in names]


def counted(state: dict) -> int:
    """How many steps this parameter has taken, with the one that begins."""
    if "step" not in state: state["step"] = tensor(0.0, device="cpu")        # who counts need not wait
    state["step"].array += 1
    return int(state["step"].array)


def written(p: Tensor) -> None:
    """Notes that memory was written over: whoever kept an older value for a gradient will be told."""
    root = p if p._base is None else p._base
    root._changes += 1
