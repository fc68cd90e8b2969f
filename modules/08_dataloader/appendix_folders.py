# %% [markdown]
# # Appendix: where data lies
#
# Two kinds of files. A few small ones came with the course: digits, sonnets. The large ones you fetch
# yourself, once, into a folder that every project shares.

# %%
#| export
"""Where data lies: what came with the course, and what was fetched."""

# %%
#| export
from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

# %% [markdown]
# What can be fetched again belongs into the folder that a system keeps for such things: it may be wiped, and
# backups leave it out. `TINYTORCH_DATA` names another one.

# %%
#| export
def data_folder() -> Path:
    """The folder for data sets that were fetched: TINYTORCH_DATA, or this system's place for a cache."""
    if given := os.environ.get("TINYTORCH_DATA"): return Path(given).expanduser()
    return cache_folder(sys.platform, os.environ, Path.home()) / "tinytorch"


def cache_folder(platform: str, environment, home: Path) -> Path:
    """Where a system keeps what can be fetched again."""
    if platform == "win32": return Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if platform == "darwin": return home / "Library" / "Caches"
    return Path(environment.get("XDG_CACHE_HOME") or home / ".cache")

# %% [markdown]
# What came with the course lies in `datasets/`, beside the package. An installed course keeps it with its
# lessons; whoever runs a copy of the package somewhere else names the folder in `TINYTORCH_SHIPPED`.

# %%
#| export
def shipped(name: str) -> Path:
    """The path of a file that came with the course: shipped("digits/digits.npz")."""
    places = shipped_folders()
    found = next((folder / name for folder in places if (folder / name).is_file()), None)
    if found is None:
        looked = ", ".join(map(str, places))
        raise FileNotFoundError(f"{name} came with the course, and is in none of {looked}: copy the course's "
                                "datasets/ there, or name its folder in TINYTORCH_SHIPPED")
    return found


def shipped_folders() -> list[Path]:
    """Where to look for what came with the course, in this order."""
    import tinytorch

    beside = Path(tinytorch.__file__).resolve().parents[1]
    given = os.environ.get("TINYTORCH_SHIPPED")
    return [*([Path(given)] if given else []), beside / "datasets", beside / "tito" / "_course" / "datasets"]

# %% [markdown]
# A file that is half written is worse than none: it looks whole. So it is written under another name, and
# gets its own when all of it is there. Renaming is one step for the system: whoever looks sees the old file
# or the new one.

# %%
#| export
def write_whole(path: str | Path, content: bytes) -> None:
    """Writes a file that is whole, or not there, whenever somebody looks."""
    path = Path(path)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(number)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
