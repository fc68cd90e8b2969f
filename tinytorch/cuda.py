# Generated from modules/13_kernels/appendix_cuda.py by `tito export`. Edit that file, not this one.
"""GPUs: whether there is one, how numbers get there, and what PyTorch keeps under `torch.cuda`."""

from __future__ import annotations

from functools import cache

from .devices import JOURNEYS

__all__ = ["probe", "library", "sent"]


@cache
def probe() -> tuple:
    """CuPy and "", if there is a GPU that computes; else None and a sentence that says what is missing."""
    try:
        import cupy
    except ImportError as error:
        return None, f"a GPU is used through CuPy, which cannot be imported ({error}): pip install " \
                     "'tinytorch-tito[gpu]'"
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return None, f"CuPy is installed, and finds no GPU: {error}. Is there an NVIDIA driver? Try nvidia-smi"
    return cupy, ""

def library():
    cupy, missing = probe()
    if cupy is None: raise RuntimeError(missing)
    return cupy

def sent(array, where):
    return library().asarray(array)

JOURNEYS["cuda"] = sent


# Added by `tito export`: what PyTorch keeps under this name, too.

def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)
