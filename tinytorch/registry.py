# Generated from modules/15_mlops/appendix_registry.py by `tito export`. Edit that file, not this one.
"""A registry on disk: models, versions, aliases, promotion and rollback."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from .layers import Module
from .mlops import Alias, publish, standing, verified, versions
from .packages import FACTS, Package, load_package, save_package

__all__ = ["Registry", "checked_name", "flat"]


class Registry:
    """Versions of models, and the names that stand for them."""

    def __init__(self, root, key: bytes): self.root, self.key = Path(root), key

    def __repr__(self): return f"<Registry of {', '.join(self.names()) or 'nothing'} in {self.root}>"

    # ----------------------------------------------------------------------------------- versions

    def names(self) -> list[str]:
        """The models there are."""
        return sorted([path.name for path in self.root.glob("*") if (path / "versions").is_dir()])

    def versions(self, name: str) -> list[int]:
        """The versions of a model."""
        return versions(self.place(name) / "versions")

    def publish(self, name: str, model: Module, **facts) -> int:
        """A new version of a model; facts are those of save_package."""
        def fill(folder: Path) -> None: save_package(folder, model, name=name, key=self.key, **facts)
        return self.publish_folder(name, fill)

    def publish_folder(self, name: str, fill: Callable) -> int:
        """A new version, of whatever fill(folder) writes and signs."""
        def checked(folder: Path) -> None:
            fill(folder)
            verified(folder, self.key)
        return publish(self.place(name) / "versions", checked)

    def facts(self, name: str, which: int | str) -> dict:
        """What is known about a version, or about the one that an alias stands for."""
        folder = self.folder(name, which)
        verified(folder, self.key)
        return json.loads((folder / FACTS).read_text("utf-8"))

    def load(self, name: str, which: int | str, builders: Mapping[str, Callable] | None = None) -> Package:
        """The package of a version, or of the one that an alias stands for."""
        return load_package(self.folder(name, which), self.key, builders)

    def compare(self, name: str, one: int | str, other: int | str) -> dict[str, tuple]:
        """What differs between two versions: for each fact, and each metric, both values."""
        a, b = [flat(self.facts(name, which)) for which in (one, other)]
        files = [verified(self.folder(name, which), self.key)["files"] for which in (one, other)]
        a |= {f"file {key}": told[:12] for key, told in files[0].items()}
        b |= {f"file {key}": told[:12] for key, told in files[1].items()}
        return {key: (a.get(key), b.get(key)) for key in sorted({*a, *b}) if a.get(key) != b.get(key)}

    # ------------------------------------------------------------------------------------ aliases

    def alias(self, name: str, alias: str) -> Alias:
        """The alias of that name, with all its moves."""
        return Alias(self.place(name) / "aliases" / checked_name(alias))

    def promote(self, name: str, alias: str, version: int, why: str = "") -> None:
        """Lets the alias stand for a version, once its package is checked."""
        verified(self.folder(name, version), self.key)
        self.alias(name, alias).promote(version, why)

    def roll_back(self, name: str, alias: str, why: str = "") -> int:
        """Lets the alias stand for the version before, and says which that is."""
        return self.alias(name, alias).back(why)

    def aliases(self, name: str) -> dict[str, int | None]:
        """Every alias of a model, and the version it stands for."""
        folder = self.place(name) / "aliases"
        return {path.name: self.alias(name, path.name).version for path in sorted(folder.glob("*"))
                if path.is_dir()}

    def in_use(self, name: str, alias: str, when: str) -> int | None:
        """The version that an alias stood for at a time, written as in its moves: 2026-11-28T15:00."""
        pile = standing([move for move in self.alias(name, alias).moves() if move["when"] <= when])
        return pile[-1] if pile else None

    # --------------------------------------------------------------------------------------- rest

    def place(self, name: str) -> Path: return self.root / checked_name(name)

    def folder(self, name: str, which: int | str) -> Path:
        """The folder of a version, or of the one an alias stands for; LookupError if there is none."""
        version = self.alias(name, which).version if isinstance(which, str) else which
        if version not in self.versions(name):
            there = ", ".join(map(str, self.versions(name))) or "none"
            raise LookupError(f"{name} has no version {which!r}: there are {there}, and aliases "
                              f"{self.aliases(name) or 'none'}")
        return self.place(name) / "versions" / f"{version:04}"

    def sweep(self, older_than: float = 86_400) -> int:
        """Removes drafts that somebody who was killed left behind, and says how many."""
        old = [path for path in [*self.root.glob("*/versions/.draft-*"), *self.root.glob("*/aliases/*/.*")]
               if time.time() - path.stat().st_mtime > older_than]
        for path in old: shutil.rmtree(path) if path.is_dir() else path.unlink()
        return len(old)


def checked_name(name: str) -> str:
    """The name, if it is one and leads nowhere else."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ValueError(f"{name!r} is no name for a model or an alias: letters, digits, - _ and .")
    return name


def flat(facts: dict, before: str = "") -> dict:
    """Facts in one level: {"metrics": {"accuracy": 1}} is {"metrics.accuracy": 1}."""
    found: dict = {}
    for key, value in facts.items():
        if isinstance(value, dict): found |= flat(value, f"{before}{key}.")
        else: found[before + key] = value
    return found


# Added by `tito export`: what PyTorch keeps under this name, too.
from .mlops import Alias, Tampered
from .packages import Package, save_package, load_package, words, digest_of_data, digest_of_code
from .cards import card, Heat

__all__ += [
    "Alias", "Package", "save_package", "load_package", "words", "digest_of_data", "digest_of_code", "card",
    "Heat", "Tampered",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)
