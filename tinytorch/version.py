# Generated from modules/01_setup/appendix_version.py by `tito export`. Edit that file, not this one.
"""What this machine is, and whether TinyTorch can work on it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

__all__ = ["processor", "cores", "memory", "blas", "versions", "concerns", "show_versions"]


def processor() -> str:
    """The name of the processor, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def cores() -> int:
    """How many processor cores this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int | None:
    """The bytes of memory this program may use, if the system tells."""
    sizes = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdigit(): sizes.append(int(text))
    return min(sizes, default=None)


def blas() -> str:
    """The library that multiplies NumPy's matrices."""
    found = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return f"{found.get('name', 'none')} {found.get('version', '')}".strip()


def versions() -> dict[str, str]:
    """What a report on a measurement or an error should say about the machine."""
    from tinytorch import __version__   # not at the top: the package imports this module first

    size = memory()
    return {
        "TinyTorch": __version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "NumPy": np.__version__,
        "BLAS": blas(),
        "system": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "processor": processor(),
        "cores": str(cores()),
        "memory": "unknown" if size is None else f"{size / 2**30:.1f} GiB",
    }


def concerns(
    python: tuple[int, ...] = sys.version_info[:2],
    numpy: str = np.__version__,
    library: str | None = None,                     # the BLAS; default: this machine's
    size: int | None = None,                        # bytes of memory; default: this machine's
    environment: Mapping[str, str] = os.environ,
    count: int | None = None,                       # cores; default: this machine's
) -> list[str]:
    """What stands in the way of TinyTorch on this machine, in sentences; empty when nothing does."""
    size = memory() if size is None else size
    threads = environment.get("OMP_NUM_THREADS", "")
    found = {
        f"Python {'.'.join(map(str, python))} is too old: TinyTorch needs 3.11 or newer.": python < (3, 11),
        f"NumPy {numpy} is too old: TinyTorch needs 2.0 or newer.": int(numpy.split(".")[0]) < 2,
        "NumPy was built without a BLAS: matrix products will be a hundred times slower.":
            (blas() if library is None else library) == "none",
        "Less than 2 GiB of memory: some lessons will not fit.": size is not None and size < 2 * 2**30,
        f"OMP_NUM_THREADS is {threads}, more than there are cores: threads will wait for each other.":
            threads.isdigit() and int(threads) > (count or cores()),
    }
    return [sentence for sentence, wrong in found.items() if wrong]


def show_versions() -> None:
    """Prints the report, and what to be concerned about."""
    for name, value in versions().items(): print(f"{name:>10}  {value}")
    for sentence in concerns(): print(sentence)
