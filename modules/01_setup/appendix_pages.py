# %% [markdown]
# # Appendix: memory that was used before
#
# A large array is new memory, and new memory is a promise. The system hands it out in **pages** of 4 kB, and
# only when one is touched does it look for a free one and fill it with zeros. For a fresh array this takes
# longer than the arithmetic. Where the C library is GNU's, as on most Linux systems, large pieces of memory
# go back to the system as soon as they are freed, so the next array waits for its pages again: the small GPT
# of lesson 07 for 8,100 of them in every pass, a quarter of its time.

# %%
#| export
"""Freed memory is kept for the next array, where the C library can be asked to."""

# %%
#| export
from __future__ import annotations

import ctypes
import os
import sys

# %% [markdown]
# The library can be asked to keep it. `mallopt` sets from which size on a piece of memory is asked from the
# system by itself, and how much free memory at the end of its heap the library gives back.

# %%
#| export
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3     # their numbers in malloc.h of the GNU C library


def keep_pages(most: int = 1 << 30) -> bool:
    """Lets the C library keep up to `most` bytes of freed memory; False where it cannot be asked to."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and all([mallopt(M_MMAP_THRESHOLD, most), mallopt(M_TRIM_THRESHOLD, most)])

# %% [markdown]
# TinyTorch does so when it is imported. `TINYTORCH_KEEP_PAGES=0` in the environment leaves everything as it
# was, for a program that shares a small machine with others.

# %%
#| export
if os.environ.get("TINYTORCH_KEEP_PAGES") != "0": keep_pages()
