"""Puts compiled kernels into the wheel where they are asked for, by TINYTORCH_BUILD_KERNELS=1.

Without it the wheel is one of Python files, for all platforms. See docs/decisions/0024.
"""

import os
import platform
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

ASKED = os.environ.get("TINYTORCH_BUILD_KERNELS") == "1"


class Kernels(BuildHookInterface):
    """hatchling's hook, which it finds by its base class."""

    def dependencies(self) -> list[str]: return ["numpy>=2.0"] if ASKED else []

    def initialize(self, version: str, build_data: dict) -> None:
        if not ASKED or self.target_name != "wheel": return
        self.folder = TemporaryDirectory()
        for path in compiled(Path(self.root), Path(self.folder.name)):
            build_data["force_include"][str(path)] = f"tinytorch/ready/{path.name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{next(iter(platform_tags()))}"       # it needs no certain Python

    def finalize(self, version: str, build_data: dict, artifact: str) -> None:
        if ASKED and self.target_name == "wheel": self.folder.cleanup()


def compiled(root: Path, folder: Path) -> list[Path]:
    """Every library of the package, for every level of this kind of processor."""
    sys.path.insert(0, str(root))
    compiling = import_module("tinytorch.compiling")
    files = [import_module(f"tinytorch.{path.stem}") for path in sorted((root / "tinytorch").glob("c_*.py"))]
    found = [x for file in files for x in vars(file).values() if isinstance(x, compiling.Library)]
    cc, made = compiling.compiler(), []
    if cc is None: raise SystemExit("TINYTORCH_BUILD_KERNELS=1 wants a C compiler: cc, gcc or clang")
    for library in found:
        for level in compiling.LEVELS:
            if platform.machine() not in level.machines: continue
            made.append(folder / compiling.ready_name(library._name, library._source, level))
            compiling.build(cc, library._name, library._source, made[-1], [level.words])
    return made
