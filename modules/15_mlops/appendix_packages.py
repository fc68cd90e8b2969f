# %% [markdown]
# # Appendix: packages
#
# A package is a folder: weights, a page of facts, a manifest and its signature. Everything in it is data.
# What has to become a program again, the network and what is done to its input, is named in words, and the
# words are looked up among those that the *loader* allows.

# %%
#| export
"""Models in folders: weights, how they are built again, what goes in, and what is known about them."""

# %%
#| export
from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinytorch.layers import Module
from tinytorch.mlops import Tampered, digests, sign, verified
from tinytorch.modes import no_grad
from tinytorch.safetensors import load, save_file
from tinytorch.tensor import Tensor, as_array

WEIGHTS, FACTS = "weights.safetensors", "facts.json"
ALLOWED = ("tinytorch.models", "tinytorch.nn")      # where builders may come from, and nowhere else

# %% [markdown]
# ## A network in words
#
# `{"build": "tinytorch.nn.Linear", "args": [64, 32]}`: a builder, and what it is called with, which may be
# words for other networks. A builder is a public class of one of two modules, or one that whoever loads
# hands in. That a name is on a list is checked before anything is looked up.

# %%
#| export
def words(build: str, *args, **settings) -> dict:
    """A network in words: words("tinytorch.models.lenet5", size=8)."""
    plan = {"build": build, "args": list(args), "settings": settings}
    return {key: part for key, part in plan.items() if part}


def built(plan, builders: Mapping[str, Callable] | None = None):
    """The network that the words stand for; ValueError for a builder that is not allowed."""
    if isinstance(plan, list): return [built(part, builders) for part in plan]
    if not isinstance(plan, dict): return plan
    if "build" not in plan: return {key: built(part, builders) for key, part in plan.items()}
    if unknown := set(plan) - {"build", "args", "settings"}:
        raise ValueError(f"a plan has build, args and settings, and not {', '.join(sorted(unknown))}")
    builder = builder_of(plan["build"], builders or {})
    return builder(*built(plan.get("args", []), builders), **built(plan.get("settings", {}), builders))


def builder_of(name: str, builders: Mapping[str, Callable]) -> Callable:
    """The class or function of that name, if it is allowed."""
    if name in builders: return builders[name]
    module, _, last = str(name).rpartition(".")
    if module not in ALLOWED or last.startswith("_") or not last.isidentifier():
        raise ValueError(f"{name!r} is no builder that is allowed: those are in {' and '.join(ALLOWED)}, or "
                         "are handed in as builders={name: class}")
    found = getattr(import_module(module), last)
    if not isinstance(found, type) and getattr(found, "__module__", "").partition(".")[0] != "tinytorch":
        raise ValueError(f"{name!r} is no class or function of tinytorch")
    return found

# %%
plan = words("tinytorch.nn.Sequential", words("tinytorch.nn.Linear", 64, 32), words("tinytorch.nn.ReLU"))
print(built(plan))
try: built(words("os.system", "echo hello"))
except ValueError as error: print(error)

# %% [markdown]
# ## What is done to the input
#
# A third of all accidents with models: the picture was divided by 255, and now it is not. So it is part of
# the package, in words, and runs with it.

# %%
#| export
STEPS: dict[str, Callable] = {
    "reshape": lambda x, *shape: x.reshape(len(x), *shape),             # of each example
    "divide": lambda x, by: x / np.float32(by),
    "normalize": lambda x, mean, std: (x - per_channel(mean, x)) / per_channel(std, x),
    "fill_nan": lambda x, value: np.nan_to_num(x, nan=value),
    "clip": lambda x, low, high: np.clip(x, low, high),
}


def per_channel(numbers, x):
    """A number for each channel, so that it meets (N, C, *)."""
    return np.asarray(numbers, np.float32).reshape(-1, *(1,) * (x.ndim - 2))


def prepared(x, steps: Sequence):
    """The input after all steps, such as ["divide", 255], in float32.  (N, *) -> (N, *)"""
    array = as_array(x).astype(np.float32)
    for name, *settings in steps:
        if name not in STEPS: raise ValueError(f"there is no step {name!r}: {', '.join(STEPS)}")
        array = STEPS[name](array, *settings)
    return Tensor(np.ascontiguousarray(array, np.float32))

# %% [markdown]
# ## Where it comes from
#
# Which data, which code? Two digests answer for as long as anybody keeps either.

# %%
#| export
def digest_of_data(dataset) -> str:
    """The SHA-256 of all samples, in order: dtypes, shapes and numbers."""
    found = hashlib.sha256()
    for n in range(len(dataset)):
        sample = dataset[n]
        for part in sample if isinstance(sample, (tuple, list)) else (sample,):
            array = np.ascontiguousarray(as_array(part))
            found.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def digest_of_code(folder=None) -> str:
    """The SHA-256 of the Python files below a folder; without one, of the tinytorch that is running."""
    folder = Path(__file__).parent if folder is None else Path(folder)
    sources = {name: told for name, told in digests(folder).items() if name.endswith(".py")}
    return hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()

# %% [markdown]
# ## Writing and reading

# %%
#| export
class Package(NamedTuple):
    """A model, and what is known about it."""

    model: Module
    facts: dict

    def answer(self, x):
        """What the model says to raw input, prepared as it was in training."""
        with no_grad(): return self.model.eval()(prepared(x, self.facts["preprocessing"]))


def save_package(
    folder, model: Module, *,
    name: str,
    architecture: dict,                     # words(…): how the network is built again
    key: bytes,                             # signs the manifest
    preprocessing: Sequence = (),           # steps for `prepared`
    metrics: Mapping[str, Any] | None = None,
    data: str = "",                         # digest_of_data(…)
    code: str | None = None,                # digest_of_code(), if nothing is said
    licence: str = "",
    **more,                                 # what else is to be known: classes, authors, intended use …
) -> dict:
    """Writes a model and its facts into a folder, and signs them. Gives the facts."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"format": 1, "name": name, "architecture": architecture,
             "preprocessing": list(map(list, preprocessing)),
             "metrics": dict(metrics or {}), "data": data, "code": code or digest_of_code(),
             "licence": licence, **more}
    check_plan(architecture, model)
    save_file(model.state_dict(), folder / WEIGHTS)
    (folder / FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8")
    sign(folder, key, name=name)
    return facts


def check_plan(plan: dict, model: Module) -> None:
    """Builds the plan once: a package that cannot be opened should not be written."""
    if plan.get("build", "").rpartition(".")[0] not in ALLOWED: return          # the loader will hand it in
    again, known = built(plan).state_dict(), model.state_dict()
    if list(again) != list(known) or [x.shape for x in again.values()] != [x.shape for x in known.values()]:
        raise ValueError("the architecture in words does not build this model: its weights are "
                         f"{', '.join(again)}, not {', '.join(known)}, or of other shapes")


def load_package(folder, key: bytes, builders: Mapping[str, Callable] | None = None) -> Package:
    """The model in a package, once every file is what was signed; builders are for networks of your own."""
    manifest = verified(folder, key)
    facts = json.loads(signed_bytes(folder, FACTS, manifest))
    model = built(facts["architecture"], builders)
    if not isinstance(model, Module): raise ValueError(f"{facts['architecture']} builds no network")
    model.load_state_dict(load(bytearray(signed_bytes(folder, WEIGHTS, manifest))))
    return Package(model.eval(), facts)


def signed_bytes(folder, name: str, manifest: dict) -> bytes:
    """The bytes of a file, read once: what is checked is what is used."""
    data = (Path(folder) / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != manifest["files"].get(name): raise Tampered(f"{name} was changed")
    return data
