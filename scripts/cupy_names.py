"""Write down what CuPy has, and with which parameters: tests/cupy_names.json.

    python scripts/cupy_names.py            (in an environment with cupy-cuda13x; no GPU is needed)

The stand-in for CuPy (tests/stand_in.py) serves these names and refuses all others. A function is listed with
the names of its parameters ("*" for those that take anything), a ufunc with its methods that work.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from pathlib import Path

import cupy
import cupyx

HERE = Path(__file__).resolve().parents[1] / "tests" / "cupy_names.json"
SPACES = {"cupy": cupy, "cupy.linalg": cupy.linalg, "cupy.lib.stride_tricks": cupy.lib.stride_tricks,
          "cupyx": cupyx, "cupy.cuda": cupy.cuda, "cupy.cuda.runtime": cupy.cuda.runtime,
          **{f"cupy.cuda.{name}": getattr(cupy.cuda, name)
             for name in ("Device", "Event", "MemoryHook", "MemoryPool", "PinnedMemoryPool", "Stream")}}
CONSTANTS = re.compile("cuda[A-Z]|CUDA_|hip")       # of cupy.cuda.runtime: some four hundred


def parameters(function) -> list[str]:
    """The names of the parameters, from the signature or from the first line that Cython writes."""
    try:
        found = inspect.signature(function).parameters
        return ["*" if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) else name for name, p in found.items()]
    except ValueError:
        line = re.search(r"\((.*)\)", (function.__doc__ or "").split("\n")[0])
        if line is None: return ["*"]
        words = [word.split("=")[0].split()[-1] for word in line.group(1).split(", ") if word.strip()]
        return ["*" if word.startswith("*") else word for word in words if word not in ("self", "*", "/")]


def described(value):
    """What the list says of one name."""
    if isinstance(value, cupy.ufunc): return "ufunc"
    if isinstance(value, type) or not callable(value): return "value"
    return parameters(value)


def names(space) -> dict:
    return {name: described(getattr(space, name)) for name in sorted(dir(space))
            if not name.startswith("_") and not isinstance(getattr(space, name), types.ModuleType)
            and not (space is cupy.cuda.runtime and CONSTANTS.match(name))}


def main() -> None:
    listed = {"version": cupy.__version__} | {name: names(space) for name, space in SPACES.items()}
    listed["ndarray"] = names(cupy.ndarray)
    listed["flags"] = [name for name in dir(cupy._core.flags.Flags) if not name.startswith("_")]
    lines = [f' "{space}": ' + ("{\n" + ",\n".join([f'  "{name}": {json.dumps(what)}'
                                                  for name, what in table.items()]) + "\n }"
             if isinstance(table, dict) else json.dumps(table)) for space, table in listed.items()]
    HERE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    count = sum([len(table) for table in listed.values() if isinstance(table, dict)])
    print(f"{HERE}: CuPy {cupy.__version__}, {count} names")


if __name__ == "__main__": main()
