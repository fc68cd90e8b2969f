# Generated from modules/12_compression/appendix_pruning.py by `tito export`. Edit that file, not this one.
"""torch.nn.utils.prune: methods that say which weights stay, and masks that see to it."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral

from .compression import hooks_on, magnitude_mask, masked, put_mask, remove_hook, take_off_mask
from .layers import Module
from .randomness import randperm
from .reductions import norm
from .shaping import cat
from .tensor import Tensor

__all__ = [
    "BasePruningMethod", "method_on", "PruningContainer", "checked_amount", "how_many", "Identity",
    "RandomUnstructured", "L1Unstructured", "RandomStructured", "LnStructured", "CustomFromMask", "identity",
    "random_unstructured", "l1_unstructured", "random_structured", "ln_structured", "custom_from_mask",
    "global_unstructured", "mask_of", "remove", "is_pruned",
]


class BasePruningMethod:
    """A hook before forward that leaves numbers of a tensor out; which, says `compute_mask`."""

    PRUNING_TYPE = "unstructured"
    name = ""                                   # of the parameter that it prunes

    _tensor_name = property(lambda self: self.name)

    def __call__(self, module: Module, inputs) -> None: setattr(module, self.name, self.apply_mask(module))

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask for a tensor, of which `default_mask` is what was left before."""
        raise NotImplementedError(f"{type(self).__name__} has no compute_mask, which says what stays")

    def apply_mask(self, module: Module) -> Tensor:
        """The parameter of a module times its mask."""
        if not self.name: raise AssertionError("this method hangs on no module yet: call apply first")
        return masked(module, self.name)

    @classmethod
    def apply(cls, module: Module, name: str, *args, importance_scores: Tensor | None = None, **kwargs):
        """Leaves numbers of `module.name` out from now on; a larger score is more important."""
        method, older = cls(*args, **kwargs), method_on(module, name)
        method.name = name
        weight = getattr(module, name)
        scores = (weight if importance_scores is None else importance_scores).detach()
        if scores.shape != weight.shape:
            raise AssertionError(f"scores of shape {tuple(scores.shape)} do not fit {name} of shape "
                                 f"{tuple(weight.shape)}")
        if older is None:
            put_mask(module, name, method.compute_mask(scores, scores.new_ones(scores.shape)), method)
            return method
        container = older if isinstance(older, PruningContainer) else PruningContainer(older)
        container.add_pruning_method(method)
        mask = container.compute_mask(scores, getattr(module, name + "_mask"))
        module._buffers[name + "_mask"] = mask
        remove_hook(module, older)
        container(module, None)
        module.register_forward_pre_hook(container)
        return container

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None):
        """A tensor with numbers left out, without any module."""
        scores = t if importance_scores is None else importance_scores
        return t * self.compute_mask(scores, t.new_ones(t.shape) if default_mask is None else default_mask)

    def remove(self, module: Module) -> None:
        """Makes what is left the parameter, for good."""
        self.apply_mask(module)
        take_off_mask(module, self.name)


def method_on(module: Module, name: str) -> BasePruningMethod | None:
    """The method that prunes a parameter of a module."""
    found = [hook for hook in hooks_on(module) if isinstance(hook, BasePruningMethod) and hook.name == name]
    return found[0] if found else None


class PruningContainer(BasePruningMethod):
    """Several methods, one after the other."""

    def __init__(self, *methods: BasePruningMethod):
        self._pruning_methods: tuple = ()
        if methods: self.name = methods[0].name
        for method in methods: self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        if not isinstance(method, BasePruningMethod): raise TypeError(f"{method!r} is no pruning method")
        if method.name != self.name:
            raise ValueError(f"this container prunes {self.name!r}, and the method prunes {method.name!r}")
        self._pruning_methods += (method,)

    def __len__(self) -> int: return len(self._pruning_methods)
    def __iter__(self): return iter(self._pruning_methods)
    def __getitem__(self, place): return self._pruning_methods[place]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask from before, less what the newest method leaves out of what it left."""
        method, mask = self._pruning_methods[-1], default_mask.clone()
        if method.PRUNING_TYPE == "structured":
            dim = method.dim % t.ndim
            others = [d for d in range(t.ndim) if d != dim]
            left = mask.sum(others).nonzero().reshape(-1)
        elif method.PRUNING_TYPE == "unstructured": dim, left = None, mask.reshape(-1).nonzero().reshape(-1)
        else: return mask * method.compute_mask(t, default_mask)
        if dim is None:
            flat = mask.reshape(-1)
            flat[left] = method.compute_mask(t.reshape(-1)[left], flat[left])
            return flat.reshape(mask.shape)
        part = method.compute_mask(t.index_select(dim, left), mask.index_select(dim, left))
        return mask.index_copy(dim, left, part)


def checked_amount(amount):
    """An amount: a share from 0 to 1, or a number from 0 on."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float, Integral)):
        raise TypeError(f"amount is a share or a number, not {amount!r}")
    if amount < 0 or (not isinstance(amount, Integral) and amount > 1):
        raise ValueError(f"amount={amount} is neither a share from 0 to 1 nor a number of numbers")
    return amount


def how_many(amount, size: int) -> int:
    """How many of `size` go."""
    n = int(amount) if isinstance(amount, Integral) else round(amount * size)
    if n > size: raise ValueError(f"{n} of {size} cannot go")
    return n


class Identity(BasePruningMethod):
    """Leaves nothing out; it brings the names with it."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor: return default_mask


class RandomUnstructured(BasePruningMethod):
    """Leaves out any numbers."""

    def __init__(self, amount): self.amount = checked_amount(amount)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        n, mask = how_many(self.amount, t.numel()), default_mask.clone().reshape(-1)
        mask[randperm(t.numel())[:n]] = 0
        return mask.reshape(t.shape)


class L1Unstructured(BasePruningMethod):
    """Leaves out the smallest numbers."""

    def __init__(self, amount): self.amount = checked_amount(amount)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask * magnitude_mask(t, how_many(self.amount, t.numel()))


class RandomStructured(BasePruningMethod):
    """Leaves out any slices along a dimension."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount, dim: int = -1): self.amount, self.dim = checked_amount(amount), dim

    def gone(self, t: Tensor) -> Tensor:
        n = how_many(self.amount, t.shape[self.dim])
        return randperm(t.shape[self.dim])[:n]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.ndim < 2: raise ValueError(f"slices are of tensors of 2 dimensions or more, not {t.ndim}")
        return default_mask.clone().index_fill(self.dim % t.ndim, self.gone(t), 0)


class LnStructured(RandomStructured):
    """Leaves out the slices along a dimension whose norm is smallest."""

    def __init__(self, amount, n, dim: int = -1):
        super().__init__(amount, dim)
        self.n = n

    def gone(self, t: Tensor) -> Tensor:
        others = [d for d in range(t.ndim) if d != self.dim % t.ndim]
        lengths = norm(t, self.n, others)
        return lengths.argsort()[: how_many(self.amount, t.shape[self.dim])]


class CustomFromMask(BasePruningMethod):
    """Leaves out what a mask of your own leaves out."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor): self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(f"a mask of shape {tuple(self.mask.shape)} does not fit "
                                 f"{tuple(default_mask.shape)}")
        return default_mask * self.mask.to(default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Brings `name_orig` and `name_mask`, and leaves nothing out."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount) -> Module:
    """Leaves out any numbers of a parameter."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount, importance_scores: Tensor | None = None) -> Module:
    """Leaves out the smallest numbers of a parameter."""
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount, dim: int) -> Module:
    """Leaves out any slices of a parameter."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount, n, dim: int, importance_scores: Tensor | None = None,
) -> Module:
    """Leaves out the slices of a parameter whose norm is smallest."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Leaves out what a mask leaves out."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters, pruning_method: type, importance_scores: dict | None = None, **kwargs,
) -> None:
    """Prunes several (module, name) together, as if they were one tensor."""
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured wants (module, name) pairs")
    parameters, scores = list(parameters), importance_scores or {}
    flat = cat([scores.get(one, getattr(*one)).detach().reshape(-1) for one in parameters])
    masks = [mask_of(*one).reshape(-1) for one in parameters]
    container = PruningContainer()
    container.name = "temp"
    method = pruning_method(**kwargs)
    method.name = "temp"
    container.add_pruning_method(method)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(f"only unstructured methods prune globally, not {pruning_method.__name__}")
    final, start = container.compute_mask(flat, cat(masks)), 0
    for module, name in parameters:
        weight = getattr(module, name)
        custom_from_mask(module, name, final[start : start + weight.numel()].reshape(weight.shape))
        start += weight.numel()


def mask_of(module: Module, name: str) -> Tensor:
    """The mask of a parameter; ones where there is none."""
    weight = getattr(module, name)
    return getattr(module, name + "_mask", weight.new_ones(weight.shape))


def remove(module: Module, name: str) -> Module:
    """Makes what is left of a parameter the parameter, for good; the hook and the mask go."""
    method = method_on(module, name)
    if method is None: raise ValueError(f"{name!r} of {type(module).__name__} is not pruned")
    method.remove(module)
    return module


def is_pruned(module: Module) -> bool:
    """Whether any parameter of a module, or of what is below it, is pruned."""
    return any([isinstance(hook, BasePruningMethod) for part in module.modules() for hook in hooks_on(part)])
