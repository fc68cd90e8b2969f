"""A generated package on disk: all of it is read, all of it is written or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from tito.ports.files import write_all


class PackageFolder:
    def __init__(self, root: Path):
        self.root = root

    def read(self) -> dict[str, str]:
        """The source of every module, by its path inside the package."""
        return {path.relative_to(self.root).as_posix(): path.read_text("utf-8")
                for path in sorted(self.root.rglob("*.py"))}

    def write(self, files: Mapping[str, str], gone: Iterable[str] = ()) -> None:
        """Writes some modules and removes others; a full disk or Ctrl-C while writing changes nothing."""
        write_all({self.root / name: source for name, source in files.items()})
        for name in gone:
            self._remove(self.root / name)

    def _remove(self, path: Path) -> None:
        """A module, and the folders that are empty without it."""
        path.unlink()
        for folder in path.parents[:len(path.relative_to(self.root).parts) - 1]:
            if all(left.name == "__pycache__" for left in folder.iterdir()):
                shutil.rmtree(folder)
