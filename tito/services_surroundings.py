"""What a workspace stands in: Python, its packages, an editor, a kernel, a graphics card."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from tito.core.outcomes import Finding

OLDEST = (3, 11)
NEEDED = {                              # as pyproject.toml has them
    "numpy": (2, 1), "click": (8, 1, 8), "rich": (13, 9), "jupytext": (1, 16, 4), "nbformat": (5, 10),
    "pytest": (8, 3), "filelock": (3, 16), "watchfiles": (1, 0), "packaging": (24, 2), "hatchling": (1, 27),
}
INSTALL = "pip install --force-reinstall tinytorch-tito"


def environment() -> list[Finding]:
    """What can be said without a workspace."""
    return [python(), packages(), editor(), kernel(), gpu(), comparison()]


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST:
        return Finding("Python", "bad", f"{version} is too old.", "Install Python 3.11 or newer.")
    return Finding("Python", "ok", f"{version}, {sys.executable}")


def packages() -> Finding:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return Finding("packages", "bad", f"{', '.join(missing)} cannot be imported.", INSTALL)
    found = {name: installed(name) for name in NEEDED}
    old = [f"{name} {found[name]} (needs {'.'.join(map(str, least))})" for name, least in NEEDED.items()
           if found[name] and numbers(found[name]) < least]
    if old:
        return Finding("packages", "bad", f"{', '.join(old)}: too old.", INSTALL)
    return Finding("packages", "ok", ", ".join(f"{name} {found[name]}".strip() for name in found))


def installed(name: str) -> str:
    """The version of a package; "" if nobody knows it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def numbers(version: str) -> tuple[int, ...]:
    """2.1.0rc1 -> (2, 1, 0)"""
    parts = (re.match(r"\d+", part) for part in version.split("."))
    return tuple(int(part[0]) for part in parts if part)


def editor() -> Finding:
    found = {"VS Code": shutil.which("code"), "Jupyter Lab": find_spec("jupyterlab")}
    names = [name for name, there in found.items() if there]
    if not names:
        return Finding("editor", "warn", "Neither VS Code nor Jupyter Lab is here.", "pip install jupyterlab")
    return Finding("editor", "ok", " and ".join(names))


def kernel() -> Finding:
    """Whether a notebook runs under this Python."""
    if find_spec("ipykernel") is None:
        return Finding("kernel", "warn", "A notebook cannot run under this Python: ipykernel is missing.",
                       f"{sys.executable} -m pip install ipykernel")
    for folder in () if sys.prefix != sys.base_prefix else users_kernels():
        try:
            other = json.loads((folder / "python3" / "kernel.json").read_text("utf-8"))["argv"][0]
        except (OSError, ValueError, KeyError, IndexError, TypeError):      # there is none, or a broken one
            continue
        if Path(other).is_absolute() and Path(other).resolve() != Path(sys.executable).resolve():
            return Finding("kernel", "warn", f"Jupyter's kernel Python 3 is {other}, not this Python.",
                           f"{sys.executable} -m ipykernel install --user")
    return Finding("kernel", "ok", f"ipykernel {installed('ipykernel')}")


def users_kernels() -> Iterator[Path]:
    """Where Jupyter looks for kernels before it looks beside this Python."""
    home = Path.home()
    roaming = os.environ.get("APPDATA")
    folders = (os.environ.get("JUPYTER_DATA_DIR"), roaming and f"{roaming}/jupyter",
               home / "Library/Jupyter", home / ".local/share/jupyter")
    return (Path(folder) / "kernels" for folder in folders if folder)


PROBE = """\
import cupy
x = cupy.ones((2, 2), "float32")
print(float((x @ x + x).sum()), cupy.__version__)
"""


def gpu() -> Finding:
    """A graphics card is a pleasure of lesson 13, and no need."""
    cards = said_by(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], 10).splitlines()
    if not cards:
        return Finding("GPU", "ok", "none, and the course needs none")
    if find_spec("cupy") is None:
        return Finding("GPU", "warn", f"{cards[0]} is here, and CuPy is not.",
                       "pip install 'tinytorch-tito[gpu]'")
    told = said_by([sys.executable, "-c", PROBE], 60)
    if not told.startswith("12.0 "):
        return Finding("GPU", "warn", f"{cards[0]} is here, and CuPy cannot compute on it.",
                       "pip install --upgrade 'tinytorch-tito[gpu]', and look at the driver: nvidia-smi")
    return Finding("GPU", "ok", f"{cards[0]}, CuPy {told.split()[1]}")


def said_by(words: list[str], seconds: float) -> str:
    """What a program prints; "" if it is not there or does not succeed."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def comparison() -> Finding:
    if find_spec("torch") is None:
        return Finding("PyTorch", "ok", "not here; only `tito bench` would race against it")
    return Finding("PyTorch", "ok", f"{installed('torch')}, to compare with")
