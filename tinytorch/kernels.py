# Generated from modules/13_kernels/kernels.py by `tito export`. Edit that file, not this one.
"""Cache, fusion and threads, and an engine that runs the fastest body that is willing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import log10

import numpy as np

from .column import DECLINED, KERNELS, bodies, kernel, withdraw
from .compiling import NoCompiler, compiled, compiler
from .dtypes import device_of
from .setup import bandwidth_ceiling, gemm_ceiling, timed
from .tensor import Engine, Op, floating, tensor, using

__all__ = [
    "Cache", "misses", "tiled", "tiled_loops", "in_pieces", "walk", "in_threads", "chosen", "Device", "home",
]


class Cache:
    """Holds so many lines, and gives up the one that has not been wanted for the longest time."""

    def __init__(self, lines: int): self.lines, self.held, self.misses = lines, OrderedDict(), 0

    def want(self, place: int) -> None:
        """Fetches the line with the number at that place of memory, unless it is there."""
        line = place // 16
        self.misses += line not in self.held
        self.held[line] = True
        self.held.move_to_end(line)
        if len(self.held) > self.lines: self.held.popitem(last=False)


def misses(order, n: int, lines: int = 32) -> int:
    """The lines fetched by out[i, j] += x[i, k] * y[k, j], in that order of (i, j, k), for n x n matrices."""
    cache = Cache(lines)
    for i, j, k in order:
        for matrix, row, column in ((0, i, k), (1, k, j), (2, i, j)):
            cache.want((matrix * n + row) * n + column)
    return cache.misses


def tiled(n: int, tile: int) -> Iterator[tuple[int, int, int]]:
    """Every (i, j, k) of a product of n x n matrices once, in cubes of tile x tile x tile."""
    starts = range(0, n, tile)
    for I, K, J in [(I, K, J) for I in starts for K in starts for J in starts]:
        for i in range(I, min(I + tile, n)):
            for k in range(K, min(K + tile, n)):
                for j in range(J, min(J + tile, n)): yield i, j, k


def tiled_loops() -> str:
    """C that adds to out the product of x and y, all n x n floats, in tiles."""
    body = ""
    body = r"""
    for (int64_t I = 0; I < n; I += tile)
    for (int64_t K = 0; K < n; K += tile)
    for (int64_t J = 0; J < n; J += tile) {
        int64_t i_end = I + tile < n ? I + tile : n, k_end = K + tile < n ? K + tile : n;
        int64_t j_end = J + tile < n ? J + tile : n;
        for (int64_t i = I; i < i_end; i++)
            for (int64_t k = K; k < k_end; k++)
                for (int64_t j = J; j < j_end; j++) out[i * n + j] += x[i * n + k] * y[k * n + j];
    }
    """
    return f"""
KERNEL void tiled(array *outs, array *xs, array *ys, int64_t n, int64_t tile) {{
    float *restrict out = FLOATS(outs), *restrict x = FLOATS(xs), *restrict y = FLOATS(ys);
    {body}
}}
"""


def in_pieces(f: Callable, out, *arrays, piece: int = 1 << 15):
    """Fills `out` with f of the arrays, all of one length, `piece` numbers at a time; returns out."""
    for start in range(0, len(out), piece):
        some = slice(start, start + piece)
        out[some] = f(*[x[some] for x in arrays])
    return out


def walk(name: str, inputs: str, formula: str) -> str:
    """C for `name(outs, xs …, c)`: at each place out is the formula of the inputs and of a number c."""
    arrays = "".join([f", array *{x}s" for x in inputs.split()])
    reads = " ".join([f"float {x} = FLOATS({x}s)[i];" for x in inputs.split()])
    loop = f"SIMD() for (int64_t i = 0; i < n; i++) {{ {reads} out[i] = {formula}; }}"
    return f"""
KERNEL void {name}(array *outs{arrays}, float c) {{
    float *restrict out = FLOATS(outs);
    int64_t n = count(outs);
    {loop}
}}
"""


def in_threads(f: Callable[[int, int], object], n: int, threads: int) -> None:
    """Calls f(start, stop) for the parts of range(n), a thread for each, and raises what they raise."""
    from concurrent.futures import ThreadPoolExecutor       # here, as few programs will need it
    cuts = [n * t // threads for t in range(threads + 1)]
    parts = [(start, stop) for start, stop in pairwise(cuts) if start < stop]
    with ThreadPoolExecutor(threads) as pool: list(pool.map(f, *zip(*parts))) if parts else None


def chosen(bodies: list[Callable], plain: Callable) -> Callable:
    """A function that asks the bodies in their order, and `plain` when all of them have declined."""
    if not bodies: return plain

    def run(*given, **settings):
        for body in bodies:
            try: out = body(*given, **settings)
            except NoCompiler: continue
            if out is not DECLINED: return out
        return plain(*given, **settings)
    return run


class Device(Engine):
    """Runs ops by the kernels of the device that their arrays live on; `engines` are those it may use."""

    def __init__(self, engines=("c", "numba", "numpy", "cuda")):
        self.engines, self.kernels = engines, {}
        for op, _ in list(KERNELS):
            if isinstance(op, Op): self.renew(op)

    def renew(self, op: Op) -> None:
        """Puts the kernels of an op where `run` will find them, or takes them away."""
        found = {device: bodies(KERNELS, op, device, self.engines) for device in ("cpu", "cuda")}
        ways = {device: chosen(some, op.forward) for device, some in found.items()}
        if not any(found.values()): self.kernels.pop(op, None)
        elif not found["cuda"]: self.kernels[op] = ways["cpu"]          # no need to ask where the arrays are
        else: self.kernels[op] = lambda *given, **settings: ways[home(given)](*given, **settings)


def home(arrays) -> str:
    """The kind of device on which the first of the arrays lives: "cpu" or "cuda"."""
    for x in arrays:
        if type(x) is np.ndarray: return "cpu"
        if hasattr(x, "dtype"): return device_of(x).type
    return "cpu"
