# %% [markdown]
# # Appendix: the same ops on a GPU
#
# A GPU has its own memory, and thousands of small processors beside it. **CuPy** puts NumPy's functions on
# them: its arrays answer to `np.exp(x)`, `x @ y` and `x[i]` as NumPy's do, only that the numbers never leave
# the GPU. You wrote every forward and every rule so that the array decides. So there is little left to do
# here: find the GPU, take numbers there and back, and wait for it when somebody wants to look.

# %%
#| export
"""GPUs: whether there is one, how numbers get there, and what PyTorch keeps under `torch.cuda`."""

# %%
#| export
from __future__ import annotations

from functools import cache


from tinytorch.devices import JOURNEYS

# %%
#| export
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
