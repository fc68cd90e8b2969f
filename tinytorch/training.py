# Generated from modules/11_training/training.py by `tito export`. Edit that file, not this one.
"""The loop that learns, and the file that survives a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .states import packed, unpacked

__all__ = ["write_safely", "save", "load"]


def write_safely(path: Path, pieces: Iterable) -> None:
    """Writes a file so that, whatever happens, the old one or the new one is there, and whole."""
    path, draft = Path(path), Path(f"{path}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def save(obj, f) -> None:
    """Writes a tree of tensors, numbers, strings, lists and dicts to a path, or into an open file."""
    if hasattr(f, "write"): f.writelines(packed(obj))
    else: write_safely(f, packed(obj))


def load(f, map_location=None, *, weights_only: bool = True):
    """What `save` wrote, to a path or into an open file; nothing in a file can run."""
    data = f.read() if hasattr(f, "read") else Path(f).read_bytes()
    return unpacked(bytearray(data), getattr(f, "name", "this") if hasattr(f, "read") else Path(f).name)
