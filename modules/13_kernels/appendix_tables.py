# %% [markdown]
# # Appendix: three tables
#
# Forwards go into the engine, where lesson 02 left room for them. Ways back go into lesson 09's table of
# shortcuts, in front of the shortcut that is there. Steps of optimizers go into the table of lesson 10. (And
# a fourth table, of lesson 02, has those that draw random numbers.)

# %%
#| export
"""Puts kernels where they will be asked, and reports which ones will be."""

# %%
#| export
from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

from tinytorch.bookkeeping import STEPS
from tinytorch.column import DECLINED, KERNELS, PULLS, WATCHERS, bodies
from tinytorch.compiling import READY, cache_folder, compiler, processor
from tinytorch.kernels import Device, chosen
from tinytorch.randomness import DRAWS
from tinytorch.receipts import RULES, SHORTCUTS, Rule
from tinytorch.switch import CHOICE, COMPUTER
from tinytorch.tensor import Op

# %%
#| export
DEVICE = Device(engines=())                         # fills the table of the engine that computes
DEVICE.kernels = COMPUTER.kernels
BEFORE: dict = {}                                   # the shortcuts that kernels stand in front of


def renew(op) -> None:
    """Puts the kernels of an op, of an optimizer or of a function that draws where they will be asked."""
    if isinstance(op, Op):
        DEVICE.renew(op)
        if op not in BEFORE: BEFORE[op] = SHORTCUTS.get(op)
        renew_pull(op)
    elif not isinstance(op, type):
        DRAWS[op] = chosen(bodies(KERNELS, op, "cpu", DEVICE.engines), op.__wrapped__)
    elif found := bodies(KERNELS, op, "cpu", DEVICE.engines) + bodies(KERNELS, op, "cuda", DEVICE.engines):
        step = chosen(found, lambda *_: DECLINED)
        STEPS[op] = lambda *given: step(*given) is not DECLINED
    else: STEPS.pop(op, None)


def renew_pull(op: Op) -> None:
    """Stands kernels for the way back in front of the shortcut of lesson 09."""
    found = [body for device in ("cpu", "cuda") for body in bodies(PULLS, op, device, DEVICE.engines)]
    last, rule = BEFORE[op], RULES.get(op)
    if not found:
        if last is not None: SHORTCUTS[op] = last
        else: SHORTCUTS.pop(op, None)
        return
    parts = [*[Rule(op, body) for body in found], last or rule]
    short = SHORTCUTS[op] = Rule(op, found[0])
    short.kept = any([part.kept for part in parts])
    short.looks = tuple(map(any, zip(*[part.looks for part in parts])))
    short.settings = {name: default for part in parts for name, default in part.settings.items()}
    asked = {*short.settings, *["kept"] * short.kept}
    *quick, slow = [only(part, asked) for part in parts]
    short.function = chosen(quick, slow)
    rule.looks = tuple([a or b for a, b in zip(rule.looks, short.looks)])
    rule.kept = short.kept


def only(rule: Rule, asked: set) -> Callable:
    """The rule's function, called with no other settings than those that it names."""
    function, mine = rule.function, {*rule.settings, *["kept"] * rule.kept}
    if mine == asked: return function
    return lambda *given, **settings: function(*given, **{name: settings[name] for name in mine})

# %% [markdown]
# ## What there is

# %%
#| export
FILES = {                               # each file of kernels, and the module that its ops are from
    "c_bends": "bends", "c_rows": "dense", "c_attention": "attention", "c_pictures": "spatial",
    "c_recurrent": "recurrent", "c_steps": "optimizers", "c_integers": "compression",
    "c_random": "randomness",
}


def able() -> tuple[str, ...]:
    """The engines that this machine can run kernels with."""
    return (*["c"] * (compiler() is not None or READY.is_dir()), "numba", "numpy", "cuda")


def load() -> None:
    """Loads the files of kernels whose ops have been loaded."""
    for file, lesson in FILES.items():
        if f"tinytorch.{lesson}" in sys.modules: import_module(f"tinytorch.{file}")


def renew_all() -> None:
    """Fills the tables for the choice that is made."""
    DEVICE.engines = able() if CHOICE[0] == "fast" else ("cuda",)
    load()
    for op in {op for table in (KERNELS, PULLS) for op, _ in table}: renew(op)


WATCHERS.append(renew)
renew_all()

# %% [markdown]
# ## The report

# %%
#| export
class Kernels(list):
    """Rows (op, device, engine, way) of the kernels that will be asked, and how that came about."""

    def __repr__(self):
        told = [f"{len(self)} kernels, TINYTORCH_KERNELS={CHOICE[0]}",
                f"compiler {compiler() or 'none'}, cache {cache_folder()}",
                *[f"libraries that came ready: {READY}"] * READY.is_dir(), *map("  ".join, self)]
        return "\n".join(told)


def kernels() -> Kernels:
    """The kernels that will be asked: one row for each op, device and way."""
    for lesson in FILES.values(): import_module(f"tinytorch.{lesson}")
    load()
    ways = ((KERNELS, "forward"), (PULLS, "back"))
    rows = [(op.name if isinstance(op, Op) else op.__name__, device, one.engine,
             way if isinstance(op, Op) else "step" if isinstance(op, type) else "draw")
            for table, way in ways for (op, device), found in table.items()
            for one in found if one.engine in DEVICE.engines]
    return Kernels(sorted(rows))


def get_cpu_capability() -> str:
    """PyTorch's word for the widest vectors of this processor: "AVX512", "AVX2", "NEON" … or "DEFAULT"."""
    words = processor().split()
    for name, mark in (("AVX512", "avx512f"), ("AVX2", "avx2"), ("NEON", "asimd")):
        if mark in words: return name
    return "NEON" if words[0] in ("arm64", "aarch64") else "DEFAULT"
