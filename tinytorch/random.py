# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.random: what the lessons define under PyTorch's name for it."""

from .randomness import (
    default_generator, fork_rng, get_rng_state, initial_seed, manual_seed, seed, set_rng_state,
)

__all__ = [
    "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
