"""A line of a program, run on the CPU and with all its tensors on a GPU: do they agree?

The lines are those of the tables that are held against PyTorch in tests/reference, so that an op that gets a
line there is tried here, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from importlib import import_module

import numpy as np

import tinytorch
from tests.reference import conftest as reference

TABLES = ["elementwise", "reductions", "shaping", "indexing", "products", "linalg", "creation", "bends",
          "dense", "losses", "convolution", "pooling", "normalization", "attention", "recurrent",
          "resampling", "sampling", "modules"]

# What says where it is, or asks whether it is there already, says something else on a GPU.
ELSEWHERE = ("get_device()", '.to("cpu") is x', ".cpu() is x", "ParameterDict", "ParameterList", "repr(P(")
CLOSE = {"float16": 2e-3, "float32": 1e-5, "float64": 1e-10}


def lines(table: str) -> Iterator[tuple[str, Callable]]:
    """The lines of a table, and the function that makes the tensors they name."""
    module = import_module(f"tests.reference.test_{table}")
    names = getattr(module, "names", lambda t: {})
    for test in vars(module).values():
        for mark in getattr(test, "pytestmark", []):
            if mark.name == "parametrize" and mark.args[0] == "line":
                yield from dict.fromkeys((line, names) for line in mark.args[1] if isinstance(line, str))


def apart(found: list[str], run: Callable, line: str, close: float = 1.0) -> None:
    """Adds to `found` what is wrong with a line on the GPU, if it works on the CPU."""
    try: here = run()
    except Exception: return                    # the tables are about that
    try:
        with tinytorch.device("cuda"): there = run()
        same(here, there, close)
    except Exception as error:
        found.append(f"{line}: {type(error).__name__}: {str(error).splitlines()[0]}")


def forwards(table: str) -> list[str]:
    """What the lines of a table do differently on a GPU."""
    found: list[str] = []
    for line, names in lines(table):
        def run(line=line, names=names):
            tinytorch.manual_seed(0)
            np.random.seed(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome = reference.Outcome(tinytorch, line, names)
            if outcome.error is not None: raise outcome.error
            return outcome.value
        if not any([word in line for word in ELSEWHERE]): apart(found, run, line)
    return found


def gradients(every: int = 1, twice: bool = True) -> list[str]:
    """Which lines of the tables of gradients have others on a GPU; gradients of gradients, too."""
    tensor, networks = import_module("tests.reference.test_gradients_tensor"), \
        import_module("tests.reference.test_gradients_networks")
    found: list[str] = []
    for line in [line for line in (tensor.SMOOTH + "\n" + tensor.KINKS).splitlines() if line][::every]:
        apart(found, lambda line=line: slopes(line, tensor.names, twice), line)
    for line in networks.LINES[::every]:
        apart(found, lambda line=line: networks_slopes(networks, line, np.float32, False), line)
        if twice: apart(found, lambda line=line: networks_slopes(networks, line, np.float64, True), line)
    return found


def slopes(line: str, names, twice: bool):
    """Both ways to a first gradient, and the way to the second."""
    class Few(reference.Slopes):
        def twice(self): return super().twice() if twice else None
    found = Few(tinytorch, line, names, "float64")
    return [list(found.first.values()), list(found.short.values()), list((found.second or {}).values())]


def networks_slopes(networks, line: str, kind, twice: bool):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = networks.Run(tinytorch, line, kind, twice=twice)
    return [g for g in [*run.first.values(), *(run.second.values() if twice else ())] if g is not None]


def same(here, there, close: float = 1.0) -> None:
    """The same values, in containers of the same kind; tensors are compared at home."""
    if isinstance(here, (tuple, list)):
        assert len(here) == len(there)
        for x, y in zip(here, there): same(x, y, close)
    elif isinstance(here, (tinytorch.Tensor, np.ndarray)):
        x, y = at_home(here), at_home(there)
        assert x.dtype == y.dtype and x.shape == y.shape, f"{y.dtype} {y.shape}, not {x.dtype} {x.shape}"
        size = np.abs(x[np.isfinite(x)]).max(initial=0) if x.dtype.kind == "f" else 0
        size = max(size, 1e-5)                  # a difference is as exact as what was taken away
        far = close * CLOSE.get(x.dtype.name, 0)
        np.testing.assert_allclose(y, x, rtol=far, atol=far * float(size), equal_nan=True)
    else:
        assert repr(here) == repr(there) or here == there, f"{there!r}, not {here!r}"


def at_home(x):
    if isinstance(x, np.ndarray): return x
    x = x.detach().cpu()
    return (x.float() if x.dtype is tinytorch.bfloat16 else x).numpy()
