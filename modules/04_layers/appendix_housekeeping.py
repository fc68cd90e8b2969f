# %% [markdown]
# # Appendix: the housekeeping of a module
#
# Looking a part up by its path, moving all numbers elsewhere, printing the tree: what every module can do,
# and what needs no idea beyond the one of the lesson. All of it goes through the walk that you write there,
# `named_modules`, and through the three drawers `_parameters`, `_buffers` and `_modules`.

# %%
#| export
"""What every module can do once it knows its parts: look up, move, print."""

# %%
#| export
from __future__ import annotations

from collections.abc import Callable, Iterator

from tinytorch.dtypes import as_dtype, dtype, float16, float32, float64
from tinytorch.tensor import Tensor

DRAWERS = ("_parameters", "_buffers", "_modules")

# %%
#| export
class Housekeeping:
    """Look up, move, print."""

    # ------------------------------------------------------------------------------------ look up

    def get_submodule(self, target: str):
        """The module at a path such as "encoder.0.attention"."""
        part = self
        for name in target.split(".") if target else ():
            if name not in part._modules:
                raise AttributeError(f"{type(part).__name__} has no part {name!r}, asked for as {target!r}; "
                                     f"it has {', '.join(part._modules) or 'none'}")
            part = part._modules[name]
        return part

    def get_parameter(self, target: str):
        """The parameter at a path such as "encoder.0.weight"."""
        return self._at(target, "_parameters", "parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path."""
        return self._at(target, "_buffers", "buffer")

    def _at(self, target: str, drawer: str, kind: str):
        path, _, name = target.rpartition(".")
        part = self.get_submodule(path)
        if name not in vars(part)[drawer]:
            raise AttributeError(f"{type(part).__name__} has no {kind} {name!r}; "
                                 f"it has {', '.join(vars(part)[drawer]) or 'none'}")
        return vars(part)[drawer][name]

    def set_submodule(self, target: str, module, strict: bool = False) -> None:
        """Puts a module where the path says, in place of the one there; `strict` wants one to be there."""
        path, _, name = target.rpartition(".")
        if not name: raise ValueError("set_submodule wants the path of a part, not an empty one")
        parent = self.get_submodule(path)
        if strict and name not in parent._modules:
            raise AttributeError(f"{type(parent).__name__} has no part {name!r} to replace")
        setattr(parent, name, module)

    # --------------------------------------------------------------------------- do to every part

    def apply(self, fn: Callable):
        """Calls `fn(module)` on every part, the innermost first, and on this module last."""
        for child in self.children(): child.apply(fn)
        fn(self)
        return self

    def requires_grad_(self, requires_grad: bool = True):
        """Whether the parameters take part in learning."""
        for parameter in self.parameters(): parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of all parameters."""
        for parameter in self.parameters():
            if parameter.grad is None: continue
            if set_to_none: parameter.grad = None
            else: parameter.grad.zero_()

    def _apply(self, fn: Callable):
        """Replaces the numbers of every parameter and buffer by `fn(numbers)`; they stay the same objects."""
        for _, part in self.named_modules():
            for parameter in part._parameters.values():
                if parameter is None: continue
                parameter.data = fn(parameter.data)
                if parameter.grad is not None: parameter.grad.data = fn(parameter.grad.data)
            for name, buffer in part._buffers.items():
                if buffer is not None: part._buffers[name] = fn(buffer)
        return self

    # --------------------------------------------------------------------------------------- move

    def to(self, *args, device=None, dtype=None, non_blocking: bool = False, memory_format=None):
        """Moves all numbers to a device, a dtype (floats only) or to where another tensor is."""
        for arg in args:
            if isinstance(arg, Tensor): device, dtype = arg.device, arg.dtype
            elif is_dtype(arg): dtype = arg
            elif arg is not None and not isinstance(arg, bool): device = arg
        kind = None if dtype is None else as_dtype(dtype)
        if kind is not None and not kind.is_floating_point:
            raise TypeError(f"a module holds floats, so to() takes a floating-point dtype, not {kind}")

        def moved(x):
            x = x if device is None else x.to(device)
            return x.to(kind) if kind is not None and x.dtype.is_floating_point else x
        return self._apply(moved)

    def type(self, dst_type):
        """All numbers, whole ones too, in another dtype."""
        return self._apply(lambda x: x.to(as_dtype(dst_type)))

    def float(self): return self.to(float32)
    def double(self): return self.to(float64)
    def half(self): return self.to(float16)
    def cpu(self): return self.to("cpu")
    def cuda(self, device=None): return self.to("cuda" if device is None else f"cuda:{device}")

    def to_empty(self, *, device, recurse: bool = True):
        """The same shapes on another device, with whatever numbers lie there."""
        from tinytorch.creation import empty_like
        return self._apply(lambda x: empty_like(x, device=device))

    # -------------------------------------------------------------------------------------- print

    def extra_repr(self) -> str:
        """What the module says about itself between its brackets; override it."""
        return ""

    def _get_name(self) -> str: return type(self).__name__

    def __repr__(self):
        extra, rows = self.extra_repr(), [f"({name}): {indented(repr(part))}"
                                          for name, part in self._modules.items()]
        lines = extra.split("\n") if extra else []
        if not rows and len(lines) < 2: return f"{self._get_name()}({extra})"
        return "\n  ".join([f"{self._get_name()}(", *lines, *rows]) + "\n)"

    def __dir__(self):
        names = {*super().__dir__(), *self.__dict__, *[name for drawer in DRAWERS for name in vars(self)[drawer]]}
        return sorted(name for name in names if not name[:1].isdigit())

    # ------------------------------------------------------------------------------------ pickled

    def __setstate__(self, state: dict) -> None: self.__dict__.update(state)


def is_dtype(x) -> bool: return isinstance(x, (dtype, type))


def indented(text: str) -> str:
    """The text with every line but the first moved to the right."""
    return text.replace("\n", "\n  ")
