# Generated from modules/01_setup/appendix_pages.py by `tito export`. Edit that file, not this one.
"""Freed memory is kept for the next array, where the C library can be asked to."""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["M_TRIM_THRESHOLD", "M_MMAP_THRESHOLD", "keep_pages"]


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3     # their numbers in malloc.h of the GNU C library


def keep_pages(most: int = 1 << 30) -> bool:
    """Lets the C library keep up to `most` bytes of freed memory; False where it cannot be asked to."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and all([mallopt(M_MMAP_THRESHOLD, most), mallopt(M_TRIM_THRESHOLD, most)])


if os.environ.get("TINYTORCH_KEEP_PAGES") != "0": keep_pages()
