"""A stand-in for CuPy where there is no GPU: NumPy's numbers with CuPy's manners.

What passes here may still be slow or wrong on a GPU; what fails here would have failed there. The stand-in

- serves only names that CuPy has, with the parameters that CuPy has (cupy_names.json says which);
- answers to `np.exp(x)` and `np.sort(x)` as CuPy does, through `__array_ufunc__` and `__array_function__`;
- refuses to meet NumPy arrays, and to become one by itself;
- gives arrays where NumPy gives single numbers;
- counts each time that the host would have to wait for the GPU.
"""

from __future__ import annotations

import json
import operator
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

NAMES = json.loads(Path(__file__).with_name("cupy_names.json").read_text("utf-8"))
HOST_MAY_ENTER = {"array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray"}
WAITS = {"nonzero", "argwhere", "flatnonzero", "unique", "unique_values", "compress", "extract", "bincount"}
WORKS = {       # what CuPy 14.2's ufuncs can do beside being called; the others raise NotImplementedError
    "at": {"add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"},
    "reduce": {"add", "multiply"}, "accumulate": {"add", "multiply"}, "reduceat": {"add"},
    "outer": set(NAMES["cupy"]),
}


waits: list[str] = []           # for what the host has waited so far


class Array:
    """An array that lives elsewhere. `held` is what a GPU would hold; only the stand-in looks at it."""

    __hash__ = None

    def __init__(self, held): self.held = held

    shape = property(lambda self: self.held.shape)
    ndim = property(lambda self: self.held.ndim)
    size = property(lambda self: self.held.size)
    dtype = property(lambda self: self.held.dtype)
    strides = property(lambda self: self.held.strides)
    itemsize = property(lambda self: self.held.itemsize)
    nbytes = property(lambda self: self.held.nbytes)
    T = property(lambda self: Array(self.held.T))
    mT = property(lambda self: Array(self.held.mT))
    base = property(lambda self: None if self.held.base is None else Array(self.held.base))
    real = property(lambda self: self)
    device = property(lambda self: Device(0))
    data = property(lambda self: SimpleNamespace(ptr=self.held.ctypes.data))
    flags = property(lambda self: SimpleNamespace(**{
        name: getattr(self.held.flags, name) for name in NAMES["flags"]}))

    def __array__(self, *args, **settings):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. "
                        "Please use `.get()` to construct a NumPy array explicitly.")

    def __array_ufunc__(self, ufunc, how: str, *inputs, out=None, **settings):
        known = how != "__call__" or all([isinstance(x, KNOWN) for x in inputs])
        if not known or ufunc.__name__ not in NAMES["cupy"]: return NotImplemented
        if out is not None: settings["out"], = out
        mine = Ufunc(ufunc)
        return (mine if how == "__call__" else getattr(mine, how))(*inputs, **settings)

    def __array_function__(self, function, types, args, settings):
        space = "cupy" + function.__module__.removeprefix("numpy")
        if function.__name__ not in NAMES.get(space, {}): return NotImplemented
        return serve(space, function.__name__)(*args, **settings)

    def __getattr__(self, name: str):
        if name not in NAMES["ndarray"]:
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        return checked(f"ndarray.{name}", NAMES["ndarray"][name], getattr(self.held, name))

    def __getitem__(self, index):
        return taken(self.held[looked_through(given(index))])

    def __setitem__(self, index, value): self.held[looked_through(given(index))] = given(value)
    def __iter__(self): return iter([taken(row) for row in self.held])
    def __len__(self): return len(self.held)

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if not copy and self.held.dtype == dtype: return self
        return Array(self.held.astype(dtype, order))

    def get(self, *args, **settings):
        waits.append("get")
        return self.held.copy()

    def item(self):
        waits.append("item")
        return self.held.item()

    def tolist(self):
        waits.append("tolist")
        return self.held.tolist()

    def __bool__(self): return bool(self.item())
    def __int__(self): return int(self.item())
    def __float__(self): return float(self.item())
    def __index__(self): return operator.index(self.item())
    def __repr__(self): return f"elsewhere({self.get()!r})"

    def set(self, value) -> None: self.held[...] = value
    def scatter_add(self, places, value) -> None: np.add.at(self.held, given(places), given(value))


KNOWN = (bool, int, float, np.generic, np.ndarray, Array)       # what its arithmetic takes
def looked_through(index):
    """The index; CuPy counts the places of a mask, and waits for the number, to read and to write."""
    parts = index if type(index) is tuple else (index,)
    if any([isinstance(i, np.ndarray) and i.dtype == np.bool_ for i in parts]): waits.append("a mask")
    return index


SYMBOLS = dict(
    add="add", sub="subtract", mul="multiply", truediv="true_divide", floordiv="floor_divide",
    mod="remainder", pow="power", matmul="matmul", and_="bitwise_and", or_="bitwise_or", xor="bitwise_xor",
    lshift="left_shift", rshift="right_shift")
COMPARISONS = dict(eq="equal", ne="not_equal", lt="less", le="less_equal", gt="greater", ge="greater_equal")


def symbol(name: str):
    return lambda self, other: getattr(np, name)(self, other)


def swapped(name: str):
    return lambda self, other: getattr(np, name)(other, self)


def changing(name: str):
    return lambda self, other: Ufunc(getattr(np, name))(self, other, out=self)


def alone(name: str):
    return lambda self: Ufunc(getattr(np, name))(self)


for word, name in SYMBOLS.items():
    word = word.rstrip("_")
    setattr(Array, f"__{word}__", symbol(name))
    setattr(Array, f"__r{word}__", swapped(name))
    setattr(Array, f"__i{word}__", changing(name))
for word, name in COMPARISONS.items(): setattr(Array, f"__{word}__", symbol(name))
for word, name in dict(neg="negative", pos="positive", abs="absolute", invert="invert").items():
    setattr(Array, f"__{word}__", alone(name))


def given(x, host: bool = False):
    """What NumPy gets in place of x, also inside lists and tuples."""
    if isinstance(x, Array): return x.held
    if isinstance(x, np.ndarray) and not host: raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, slice): return slice(given(x.start), given(x.stop), given(x.step))
    return type(x)([given(part, host) for part in x]) if type(x) in (list, tuple) else x


def taken(x):
    """What the caller gets in place of x: arrays, even for single numbers."""
    if isinstance(x, np.ndarray): return Array(x)
    if isinstance(x, np.generic): return Array(np.asarray(x))
    if isinstance(x, tuple) and hasattr(x, "_fields"): return type(x)(*[taken(part) for part in x])
    return type(x)([taken(part) for part in x]) if type(x) in (list, tuple) else x


def checked(name: str, parameters, function):
    """The function, with no other parameters than CuPy's."""
    if parameters == "value": return function
    last = name.rpartition(".")[2]

    def call(*args, **settings):
        unknown = [word for word in settings if word not in parameters and "*" not in parameters]
        if unknown: raise TypeError(f"{name}() got an unexpected keyword argument {unknown[0]!r}")
        if "*" not in parameters and len(args) > len(parameters):
            raise TypeError(f"{name}() takes {len(parameters)} arguments, {len(args)} were given")
        if last in WAITS or (last == "where" and len(args) == 1): waits.append(last)
        host = last in HOST_MAY_ENTER
        with np.errstate(all="ignore"):
            return taken(function(*[given(x, host) for x in args],
                                  **{word: given(x, host) for word, x in settings.items()}))
    return call


def serve(space: str, name: str):
    """A function of CuPy."""
    parameters = NAMES[space].get(name)
    if parameters is None: raise AttributeError(f"module {space!r} has no attribute {name!r}")
    home = np
    for part in space.split(".")[1:]: home = getattr(home, part)
    found = getattr(home, name)
    if isinstance(found, np.ufunc): return Ufunc(found)
    return checked(f"{space}.{name}", parameters, found)


class Ufunc:
    """A function of single numbers."""

    def __init__(self, function): self.function = function

    def __call__(self, *inputs, out=None, **settings):
        where = {} if out is None else {"out": given(out)}
        with np.errstate(all="ignore"):             # a GPU warns of nothing
            result = self.function(*given(inputs), **where, **{k: given(x) for k, x in settings.items()})
        kinds = {x.dtype for x in inputs if isinstance(x, Array)}
        if [*map(str, kinds)] == ["bfloat16"] and result.dtype == np.float32: result = result.astype(*kinds)
        return taken(result) if out is None else out

    def __getattr__(self, how: str):
        name = self.function.__name__
        if name not in WORKS.get(how, ()):
            raise NotImplementedError(f"`cupy_{name}.{how}` is not supported yet")
        return lambda *inputs, **settings: taken(getattr(self.function, how)(*given(inputs), **settings))


class Space:
    """A module of CuPy."""

    def __init__(self, space: str): self.space = space
    def __getattr__(self, name: str): return serve(self.space, name)


class Device:
    """The one GPU that there would be."""

    def __init__(self, id: int = 0): self.id = id
    def __enter__(self): return self
    def __exit__(self, *error): pass
    def __eq__(self, other): return isinstance(other, Device) and other.id == self.id
    def __hash__(self): return hash(self.id)
    def use(self): pass
    def synchronize(self): waits.append("synchronize")


class Stream:
    """A queue in which everything has been done already."""

    done, null = True, None

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None): self.ptr = id(self)
    def __enter__(self): STREAMS.append(self)
    def __exit__(self, *error): STREAMS.pop()
    def use(self): STREAMS[-1] = self
    def synchronize(self): waits.append("synchronize")
    def wait_event(self, event): assert event.at is not None, "an event that nobody recorded"


Stream.null = Stream(null=True)
STREAMS = [Stream.null]


class Event:
    """A flag, and when it was passed."""

    done, at = True, None

    def __init__(self, block=False, disable_timing=False, interprocess=False): self.timed = not disable_timing
    def record(self, stream=None): self.at = time.perf_counter()
    def synchronize(self): waits.append("synchronize")


def get_elapsed_time(start: Event, end: Event) -> float:
    if not (start.timed and end.timed): raise RuntimeError("cudaErrorInvalidResourceHandle: invalid handle")
    return 1e3 * (end.at - start.at)


class MemoryPool:
    """A pool from which nobody takes."""

    def __init__(self): self.freed = False
    def used_bytes(self): return 3 << 20
    def total_bytes(self): return (3 if self.freed else 8) << 20
    def free_all_blocks(self): self.freed = True


class MemoryHook:
    """What is told of each array that comes and goes."""

    def __enter__(self): return self
    def __exit__(self, *error): pass


PROPERTIES = {"name": b"Stand-in", "major": 9, "minor": 0, "totalGlobalMem": 8 << 30, "warpSize": 32,
              "multiProcessorCount": 2, "maxThreadsPerMultiProcessor": 2048, "sharedMemPerBlock": 48 << 10,
              "l2CacheSize": 1 << 20}
RUNTIME = SimpleNamespace(
    getDeviceCount=lambda: 1, getDevice=lambda: 0, getDeviceProperties=lambda index: PROPERTIES,
    memGetInfo=lambda: (5 << 30, 8 << 30), CUDARuntimeError=RuntimeError)
CUDA = SimpleNamespace(
    Device=Device, Stream=Stream, Event=Event, MemoryHook=MemoryHook, runtime=RUNTIME,
    get_elapsed_time=get_elapsed_time, get_current_stream=lambda: STREAMS[-1],
    alloc_pinned_memory=lambda size: PinnedMemoryPointer(size))


class PinnedMemoryPointer(bytearray):
    """Memory of which the GPU has been told."""


class StandIn(Space):
    """What stands for `import cupy`."""

    ndarray, linalg, cuda = Array, Space("cupy.linalg"), CUDA
    lib = SimpleNamespace(stride_tricks=Space("cupy.lib.stride_tricks"))

    def __init__(self):
        super().__init__("cupy")
        pools = MemoryPool(), MemoryPool()
        self.get_default_memory_pool = lambda: pools[0]
        self.get_default_pinned_memory_pool = lambda: pools[1]


cupy = StandIn()
