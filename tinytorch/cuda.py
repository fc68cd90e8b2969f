# Generated from modules/13_kernels/appendix_cuda.py by `tito export`. Edit that file, not this one.
"""GPUs: whether there is one, how numbers get there, and what PyTorch keeps under `torch.cuda`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import NamedTuple

import numpy as np

from .devices import JOURNEYS, at_home
from .dtypes import device as Device
from .methods import method
from .randomness import default_generator
from .shortfloat import BITS, ShortArray, bfloat16_elsewhere
from .tensor import Tensor

__all__ = [
    "INSTALL", "probe", "library", "enter_kernels", "AT_FIRST_USE", "is_available", "device_count", "init",
    "is_initialized", "sent", "pinned", "lies_pinned", "pin_memory", "is_pinned", "current_device",
    "number_of", "set_device", "device", "DeviceProperties", "get_device_properties", "get_device_name",
    "get_device_capability", "is_bf16_supported", "is_tf32_supported", "synchronize", "Stream", "Event",
    "current_stream", "default_stream", "set_stream", "stream", "ledger", "OutOfMemoryError", "pool",
    "memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved",
    "reset_peak_memory_stats", "empty_cache", "mem_get_info", "memory_stats", "memory_summary", "manual_seed",
    "manual_seed_all", "seed", "seed_all", "initial_seed", "get_rng_state", "set_rng_state", "PRECISIONS",
    "set_float32_matmul_precision", "round_as_asked", "get_float32_matmul_precision",
]


INSTALL = "pip install 'tinytorch-tito[gpu]'"


@cache
def probe() -> tuple:
    """CuPy and "", if there is a GPU that computes; else None and a sentence that says what is missing."""
    try:
        import cupy
    except ImportError as error:
        return None, f"a GPU is used through CuPy, which cannot be imported here ({error}): {INSTALL}"
    try:
        if not cupy.cuda.runtime.getDeviceCount(): return None, "CuPy is installed, and finds no GPU"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return None, f"CuPy is installed, and finds no GPU, or no driver for it: {error}"
    try:
        one = cupy.ones((2, 2), cupy.float32)
        if float((one @ one + one).sum()) == 12: return cupy, ""
        return None, "there is a GPU, and it does not compute as it should"
    except Exception as error:      # whatever is missing: is_available() answers, and raises nothing
        return None, f"there is a GPU, and CuPy cannot compute on it ({error}): {INSTALL} brings libraries"


def library():
    """CuPy; or an error that says what is missing."""
    cupy, missing = probe()
    if cupy is None: raise RuntimeError(missing)
    while AT_FIRST_USE: AT_FIRST_USE.pop()(cupy)
    return cupy


def enter_kernels(cupy) -> None:
    """Puts the bodies for a GPU into the table of kernels."""
    import_module("tinytorch.cuda_kernels").enter_all()


AT_FIRST_USE: list[Callable] = [enter_kernels]          # what waits for the first use of a GPU


def is_available() -> bool:
    """Whether there is a GPU, and it computes."""
    return probe()[0] is not None


def device_count() -> int:
    """How many GPUs there are: 0 without CuPy or a driver."""
    return probe()[0].cuda.runtime.getDeviceCount() if is_available() else 0


def init() -> None:
    """Finds the GPU now rather than at its first use; raises what is missing."""
    library()


def is_initialized() -> bool:
    """Whether a GPU has been used so far."""
    return not AT_FIRST_USE


def sent(array, where: Device):
    """An array in the memory of a GPU; the array itself if it is there already."""
    cupy = library()
    if not at_home(array) and where.index in (None, array.device.id): return array
    index = current_device() if where.index is None else where.index
    if index >= device_count(): raise RuntimeError(f"there is no {where}: GPUs are counted from 0 to "
                                                   f"{device_count() - 1}")
    with cupy.cuda.Device(index):
        if not isinstance(array, ShortArray): return cupy.asarray(array)
        return cupy.asarray(np.ndarray.view(array, np.uint16, np.ndarray)).view(bfloat16_elsewhere())


def pinned(array, where: Device | None = None):
    """A copy of an array in memory that a GPU can read by itself; the array itself where there is none."""
    if not is_available() or not at_home(array) or array.dtype == BITS or lies_pinned(array): return array
    copy = library().cuda.alloc_pinned_memory(array.nbytes)
    copy = np.frombuffer(copy, array.dtype, array.size).reshape(array.shape)
    copy[...] = array
    return copy


def lies_pinned(array) -> bool:
    """Whether the memory of an array at home is pinned: whoever owns it says so."""
    while isinstance(array, (np.ndarray, memoryview)):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return type(array).__name__ == "PinnedMemoryPointer"


JOURNEYS["cuda"] = sent
AT_FIRST_USE.append(lambda cupy: JOURNEYS.update(pinned=pinned))


@method
def pin_memory(tensor: Tensor, device=None) -> Tensor:
    """A copy in memory that a GPU can read by itself."""
    library()
    return Tensor(pinned(tensor.array))


@method
def is_pinned(tensor: Tensor, device=None) -> bool:
    """Whether a GPU can read this memory by itself."""
    return lies_pinned(tensor.array)


def current_device() -> int:
    """The number of the GPU where "cuda" leads now."""
    return library().cuda.runtime.getDevice()


def number_of(device) -> int:
    """The number of a GPU, said as a number, a name, a device, or None for the current one."""
    if isinstance(device, int): return device
    index = None if device is None else Device(device).index
    return current_device() if index is None else index


def set_device(device) -> None:
    """Makes a GPU the current one."""
    library().cuda.Device(number_of(device)).use()


class device:
    """`with tinytorch.cuda.device(1):` makes a GPU the current one inside the block."""

    def __init__(self, device): self.index = number_of(device)

    def __enter__(self):
        self.before = current_device()
        set_device(self.index)

    def __exit__(self, *error): set_device(self.before)


class DeviceProperties(NamedTuple):
    """What a GPU is."""

    name: str
    major: int                          # of its compute capability: 9.0 is Hopper, 8.0 Ampere
    minor: int
    total_memory: int                   # bytes
    multi_processor_count: int
    warp_size: int                      # so many threads take each step together
    max_threads_per_multi_processor: int
    shared_memory_per_block: int        # bytes
    L2_cache_size: int                  # bytes


def get_device_properties(device=None) -> DeviceProperties:
    """What a GPU is: its name, its memory, its processors."""
    told = library().cuda.runtime.getDeviceProperties(number_of(device))
    return DeviceProperties(
        told["name"].decode(), told["major"], told["minor"], told["totalGlobalMem"],
        told["multiProcessorCount"], told["warpSize"], told["maxThreadsPerMultiProcessor"],
        told["sharedMemPerBlock"], told["l2CacheSize"])


def get_device_name(device=None) -> str:
    """The name of a GPU."""
    return get_device_properties(device).name


def get_device_capability(device=None) -> tuple[int, int]:
    """The compute capability of a GPU: which instructions it has."""
    return get_device_properties(device)[1:3]


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether there is a GPU that computes in bfloat16; older ones than Ampere do it by way of float32."""
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


def is_tf32_supported() -> bool:
    """Whether there is a GPU that multiplies matrices in TF32."""
    return is_available() and get_device_capability()[0] >= 8


def synchronize(device=None) -> None:
    """Waits until a GPU has done all that was ordered."""
    library().cuda.Device(number_of(device)).synchronize()


class Stream:
    """A queue of orders. Orders in one stream are done one after the other, those in two as it happens."""

    def __init__(self, device=None, priority: int = 0, *, made=None):
        if made is None:
            with library().cuda.Device(number_of(device)):
                made = library().cuda.Stream(non_blocking=True, priority=priority)
        self.made = made

    cuda_stream = property(lambda self: self.made.ptr)
    device = property(lambda self: Device("cuda", max(getattr(self.made, "device_id", 0), 0)))

    def synchronize(self) -> None: self.made.synchronize()
    def query(self) -> bool: return self.made.done
    def wait_event(self, event: Event) -> None: self.made.wait_event(event.made)
    def wait_stream(self, stream: Stream) -> None: self.wait_event(stream.record_event())

    def record_event(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def __enter__(self):
        self.made.__enter__()
        return self

    def __exit__(self, *error): self.made.__exit__(*error)
    def __eq__(self, other): return isinstance(other, Stream) and other.cuda_stream == self.cuda_stream
    def __hash__(self): return hash(self.cuda_stream)
    def __repr__(self): return f"<tinytorch.cuda.Stream device={self.device} cuda_stream={self.made.ptr:#x}>"


class Event:
    """A flag in a queue."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False):
        self.made = library().cuda.Event(block=blocking, disable_timing=not enable_timing,
                                         interprocess=interprocess)

    def record(self, stream: Stream | None = None) -> None: self.made.record(stream and stream.made)
    def wait(self, stream: Stream | None = None) -> None: (stream or current_stream()).wait_event(self)
    def query(self) -> bool: return self.made.done
    def synchronize(self) -> None: self.made.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this flag to another; both must have been passed."""
        return library().cuda.get_elapsed_time(self.made, end_event.made)


def current_stream(device=None) -> Stream:
    """The stream that orders go into now."""
    return Stream(made=library().cuda.get_current_stream())


def default_stream(device=None) -> Stream:
    """The stream that orders go into unless somebody chose another."""
    return Stream(made=library().cuda.Stream.null)


def set_stream(stream: Stream) -> None:
    """Makes a stream the one that orders go into."""
    stream.made.use()


@contextmanager
def stream(stream: Stream | None) -> Iterator[Stream | None]:
    """`with tinytorch.cuda.stream(s):` orders of the block go into s."""
    if stream is None: yield None
    else:
        with stream: yield stream


@cache
def ledger():
    """Who counts bytes on the GPU, from now on."""
    cupy = library()

    class Ledger(cupy.cuda.MemoryHook):
        name = "tinytorch"
        now = cupy.get_default_memory_pool().used_bytes()
        peak, peak_reserved, made, freed = now, 0, 0, 0

        def malloc_postprocess(self, *, mem_size, **_):
            self.now, self.made = self.now + mem_size, self.made + 1
            self.peak = max(self.peak, self.now)

        def alloc_postprocess(self, **_): self.peak_reserved = max(self.peak_reserved, memory_reserved())

        def free_postprocess(self, *, mem_size, **_):
            self.now, self.freed = self.now - mem_size, self.freed + 1

    found = Ledger()
    found.__enter__()
    return found


AT_FIRST_USE.append(lambda cupy: ledger())


OutOfMemoryError = MemoryError          # CuPy's is one


def pool():
    """CuPy's pool of memory on the GPU."""
    return library().get_default_memory_pool()


def memory_allocated(device=None) -> int:
    """Bytes that arrays on the GPU use."""
    if not is_available(): return 0
    with library().cuda.Device(number_of(device)): return pool().used_bytes()


def memory_reserved(device=None) -> int:
    """Bytes that the pool has taken from the driver, in use or not."""
    if not is_available(): return 0
    with library().cuda.Device(number_of(device)): return pool().total_bytes()


def max_memory_allocated(device=None) -> int:
    """The most bytes that arrays have used at a time, since the start or the last reset."""
    return ledger().peak if is_available() else 0


def max_memory_reserved(device=None) -> int:
    """The most bytes that the pool has taken from the driver, since the start or the last reset."""
    return max(ledger().peak_reserved, memory_reserved()) if is_available() else 0


def reset_peak_memory_stats(device=None) -> None:
    """Forgets the peaks."""
    counted = ledger()
    counted.peak, counted.peak_reserved = memory_allocated(), memory_reserved()


def empty_cache() -> None:
    """Gives memory that no array uses back to the driver."""
    if is_initialized():
        pool().free_all_blocks()
        library().get_default_pinned_memory_pool().free_all_blocks()


def mem_get_info(device=None) -> tuple[int, int]:
    """Bytes of the GPU that are free, and all that it has."""
    with library().cuda.Device(number_of(device)): return library().cuda.runtime.memGetInfo()


def memory_stats(device=None) -> dict[str, int]:
    """All that is counted, by PyTorch's names."""
    if not is_available(): return {}
    counted = ledger()
    return {
        "active_bytes.all.current": memory_allocated(), "allocated_bytes.all.current": memory_allocated(),
        "allocated_bytes.all.peak": counted.peak, "allocation.all.allocated": counted.made,
        "allocation.all.current": counted.made - counted.freed, "allocation.all.freed": counted.freed,
        "reserved_bytes.all.current": memory_reserved(), "reserved_bytes.all.peak": max_memory_reserved(),
    }


def memory_summary(device=None, abbreviated: bool = False) -> str:
    """The same as a table."""
    def size(n): return f"{n / 2**20:,.1f} MB" if n >= 2**20 else f"{n / 2**10:,.1f} KB"
    told = memory_stats()
    rows = [(word, told[f"{name}_bytes.all.current"], told[f"{name}_bytes.all.peak"])
            for word, name in (("allocated", "allocated"), ("reserved", "reserved"))]
    lines = [f"{'':10} {'now':>14} {'at most':>14}", *[f"{word:10} {size(now):>14} {size(most):>14}"
                                                       for word, now, most in rows]]
    return "\n".join([f"GPU {number_of(device)}: {get_device_name(device)}", *lines])


def manual_seed(seed: int) -> None:
    """Seeds the generator, if there is a GPU to draw for."""
    if is_available(): default_generator.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Seeds the generator with something nobody knows, if there is a GPU to draw for."""
    if is_available(): default_generator.seed()


seed_all = seed


def initial_seed() -> int:
    """The seed that the generator began with."""
    return default_generator.initial_seed()


def get_rng_state(device=None) -> Tensor:
    """Where the generator stands."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor, device=None) -> None:
    """Puts the generator where it stood."""
    default_generator.set_state(new_state)


PRECISIONS = {"highest": "COMPUTE_TYPE_DEFAULT", "high": "COMPUTE_TYPE_TF32", "medium": "COMPUTE_TYPE_TF32"}
_precision = ["highest"]


def set_float32_matmul_precision(precision: str) -> None:
    """How exact products of float32 matrices on a GPU are: "highest", or "high" for TF32."""
    if precision not in PRECISIONS:
        raise RuntimeError(f"the precision is one of {', '.join(PRECISIONS)}, not {precision!r}")
    _precision[0] = precision
    if is_available(): round_as_asked(library())
    elif round_as_asked not in AT_FIRST_USE: AT_FIRST_USE.append(round_as_asked)


def round_as_asked(cupy) -> None:
    """Tells CuPy how its matrix products may round."""
    from cupy._core import _routines_linalg as products       # the only place where CuPy has this setting
    products.set_compute_type(np.float32, getattr(products, PRECISIONS[_precision[0]]))


def get_float32_matmul_precision() -> str:
    """How exact products of float32 matrices on a GPU are."""
    return _precision[0]


# Added by `tito export`: what PyTorch keeps under this name, too.

def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)
