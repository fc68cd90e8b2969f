# Generated from modules/11_training/appendix_chance.py by `tito export`. Edit that file, not this one.
"""The states of all generators that a run may draw from, to be kept and put back."""

from __future__ import annotations

import random

import numpy as np

from .randomness import Generator, default_generator

__all__ = ["generators", "states_of", "restore"]


def generators(loader) -> dict[str, Generator]:
    """The generators of TinyTorch that a loader may draw from, by where they are."""
    found = {"default": default_generator}
    for place in ("", ".sampler", ".batch_sampler", ".batch_sampler.sampler"):
        part = loader
        for name in place.split(".")[1:]: part = getattr(part, name, None)
        if isinstance(source := getattr(part, "generator", None), Generator): found[f"loader{place}"] = source
    return found


def states_of(loader=None) -> dict:
    """Where all generators stand."""
    ours = {place: source.get_state() for place, source in generators(loader).items()}
    return {"tinytorch": ours, "python": random.getstate(), "numpy": np.random.get_state()}


def restore(states: dict, loader=None) -> None:
    """Puts all generators where they stood."""
    for place, source in generators(loader).items():
        if place in states["tinytorch"]: source.set_state(states["tinytorch"][place])
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
