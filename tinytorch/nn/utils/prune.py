# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.utils.prune: what the lessons define under PyTorch's name for it."""

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from ...pruning import (
        BasePruningMethod, PruningContainer, Identity, RandomUnstructured, L1Unstructured, RandomStructured,
        LnStructured, CustomFromMask, identity, random_unstructured, l1_unstructured, random_structured,
        ln_structured, custom_from_mask, global_unstructured, remove, is_pruned,
    )
    from ...patterns import n_m_structured

__all__ = [
    "BasePruningMethod", "PruningContainer", "Identity", "RandomUnstructured", "L1Unstructured",
    "RandomStructured", "LnStructured", "CustomFromMask", "identity", "random_unstructured",
    "l1_unstructured", "random_structured", "ln_structured", "custom_from_mask", "global_unstructured",
    "remove", "is_pruned", "n_m_structured",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
