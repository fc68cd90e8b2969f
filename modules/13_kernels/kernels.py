# %% [markdown]
# # Kernels
#
# The processor in front of you multiplies a hundred billion times a second, and your network uses a tenth
# of that. It is not that you compute too much. Most of the time the processor stands there and waits: for
# numbers that are on their way from memory, or for Python, which is still deciding what to do next.
#
# In this lesson you find out which of the two it is, and do something about it. You change the order in
# which a product walks through memory, make one walk of many, share work among threads, and write in C what
# NumPy cannot say. In the end an op has a second body, a **kernel**, and no program notices, but for the
# clock.

# %%
#| export
"""Cache, fusion and threads, and an engine that runs the fastest body that is willing."""

# %%
#| export
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import log10

import numpy as np

from tinytorch.column import DECLINED, KERNELS, bodies, kernel, withdraw
from tinytorch.compiling import NoCompiler, compiled, compiler
from tinytorch.dtypes import device_of
from tinytorch.setup import bandwidth_ceiling, gemm_ceiling, timed
from tinytorch.tensor import Engine, Op, floating, tensor, using

# %% [markdown]
# ## Two ceilings
#
# Lesson 01 measured two limits of this machine: so many operations a second, and so many bytes to and from
# memory. Which of them a program meets is decided by one number, its **intensity**: the operations it does
# for each byte that it moves. Below a certain intensity memory is the limit, above it arithmetic. Drawn
# with both axes logarithmic that is a slope and a flat, a **roofline**.

# %%
GFLOPS, BANDWIDTH = gemm_ceiling(), bandwidth_ceiling()
print(f"{GFLOPS:.0f} GFLOP/s, {BANDWIDTH:.0f} GB/s: they meet at {GFLOPS / BANDWIDTH:.0f} operations a byte")

# %% [markdown]
# `x + y` on float32 does one operation for 12 bytes. A product of two n x n matrices does 2n³ operations on
# 3n² numbers. Say for each which limit it meets, for n = 4 and for n = 1000, before you look at the
# picture.

# %%
class Roofline:
    """Speed over intensity, under both ceilings; `points` are (name, operations a byte, GFLOP/s)."""

    def __init__(self, *points): self.points = list(points)

    def at(self, intensity: float, speed: float) -> str:
        return f"{60 + 110 * (log10(intensity) + 1):.0f} {190 - 45 * (log10(speed) + 1):.0f}"

    def _repr_svg_(self):
        corner, last = GFLOPS / BANDWIDTH, 1000.0
        roof = f"M{self.at(0.1, 0.1 * BANDWIDTH)}L{self.at(corner, GFLOPS)}L{self.at(last, GFLOPS)}"
        dots, names = "", ""
        for name, *point in self.points:
            x, y = self.at(*point).split()
            dots += f'<circle cx="{x}" cy="{y}" r="4"/>'
            names += f'<text x="{float(x) + 7}" y="{float(y) + 16}">{name}, {point[1]:.3g}</text>'
        said = f"a roofline with {', '.join([name for name, *_ in self.points])}"
        return ('<svg xmlns="http://www.w3.org/2000/svg" width="640" height="230" '
                f'role="img" aria-label="{said}">'
                f'<path d="{roof}" fill="none" stroke="#7b8794" stroke-width="2"/>'
                f'<g fill="#c8452c">{dots}</g><g font-size="12" fill="#7b8794">{names}'
                '<text x="60" y="222">operations a byte, from 0.1 to 1000</text>'
                '<text x="60" y="14">GFLOP/s</text></g></svg>')

# %%
n = 1000
small, large = [np.ones((m, m), np.float32) for m in (4, n)]
million = np.ones(4_000_000, np.float32)
room = np.empty_like(million)
found = Roofline(
    ("x + y", 1 / 12, 4e6 / timed(lambda: np.add(million, million, out=room)).best / 1e9),
    ("4 x 4", 2 * 4**3 / (12 * 4**2), 2 * 4**3 / timed(lambda: small @ small).best / 1e9),
    (f"{n} x {n}", 2 * n**3 / (12 * n**2), 2 * n**3 / timed(lambda: large @ large).best / 1e9))
found

# %% [markdown]
# Two of the dots lie on the roof. The third lies far below it: a product of 4 x 4 numbers is over before
# Python has called it. A dot on the slope can only be raised by moving fewer bytes, one on the flat by
# computing less, and one in the air by whatever it is that keeps it there.
#
# ## What the cache has seen
#
# Three million numbers are moved by the product of 1000 x 1000. But each of its two billion operations
# wants two numbers. That it need not fetch them all is due to the **cache**: memory comes in **lines** of
# 16 floats, and a few thousand lines that were wanted lately are kept close by. So it matters who is asked
# for next.

# %%
#| export
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

# %% [markdown]
# The textbook computes one element after the other, with k in the innermost loop. Exchange the loops over j
# and k: the same multiplications in another order. Which of the two fetches more, and how many times more?
# Look down a column of y: how far apart are its numbers in memory?

# %%
n = 48
textbook = [(i, j, k) for i in range(n) for j in range(n) for k in range(n)]
exchanged = [(i, j, k) for i in range(n) for k in range(n) for j in range(n)]
misses(textbook, n), misses(exchanged, n)

# %% [markdown]
# The exchanged loops use all 16 numbers of a line. But they still walk through all of y for each row of x,
# and when they come back to its beginning, it is gone. There is a way to want the same lines again while
# they are still there: cut all three matrices into **tiles**, so small that one of each fits into the
# cache, and finish with three tiles before you turn to the next.
#
# **Your turn.** The same triples once more, tile by tile. Inside of a tile go along the rows, as above. The
# last tile of a row may be smaller.

# %%
#| export exercise
def tiled(n: int, tile: int) -> Iterator[tuple[int, int, int]]:
    """Every (i, j, k) of a product of n x n matrices once, in cubes of tile x tile x tile."""
    #| hint Six loops: three over where a tile begins, range(0, n, tile), and three over what is inside.
    #| hint A tile that begins at I ends before min(I + tile, n).
    #| hint Yield (i, j, k), but loop over j innermost: it is the one that goes along rows.
    ### BEGIN SOLUTION
    starts = range(0, n, tile)
    for I, K, J in [(I, K, J) for I in starts for K in starts for J in starts]:
        for i in range(I, min(I + tile, n)):
            for k in range(K, min(K + tile, n)):
                for j in range(J, min(J + tile, n)): yield i, j, k
    ### END SOLUTION

# %%
#| check 2
every = sorted((i, j, k) for i in range(5) for j in range(5) for k in range(5))
assert sorted(tiled(4, 2)) == [t for t in every if max(t) < 4], \
    "every multiplication of the product is done once, and only once"
assert sorted(tiled(5, 2)) == every, \
    "a last tile may be smaller than the others: it ends where the matrix ends"
assert {t for t, _ in zip(tiled(4, 2), range(8))} == {t for t in every if max(t) < 2}, \
    "a tile is finished in all three directions before the next is begun"
assert [t[1] for t, _ in zip(tiled(4, 2), range(4))] == [0, 1, 0, 1], \
    "inside of a tile the walk goes along rows: j is the innermost"
assert misses(tiled(32, 8), 32) < 0.4 * misses(tiled(32, 32), 32), \
    "three tiles that fit into the cache are fetched once for all that is done with them"

# %%
for tile in (4, 8, 12, 16, 48): print(f"tiles of {tile:2}: {misses(tiled(n, tile), n):6} lines")

# %% [markdown]
# Small tiles are fetched too often, and three of the largest do not fit. A tile of 12 ends in the middle of
# its lines, and has to fetch what it does not want. With the best, each line is good for more than a hundred
# multiplications.
#
# ## In C
#
# Python's loops are no way to try this on a real cache. But there is a C compiler on most machines, and the
# appendix on C makes functions of strings: `compiled(source)` has them compiled once, and they take our
# arrays as they are. `KERNEL` marks those that we may call, `FLOATS(x)` is where the numbers of an array
# begin.

# %%
LOOPS = r"""
KERNEL void textbook(array *outs, array *xs, array *ys, int64_t n, int64_t tile) {
    float *out = FLOATS(outs), *x = FLOATS(xs), *y = FLOATS(ys);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t k = 0; k < n; k++) out[i * n + j] += x[i * n + k] * y[k * n + j];
}

KERNEL void exchanged(array *outs, array *xs, array *ys, int64_t n, int64_t tile) {
    float *restrict out = FLOATS(outs), *restrict x = FLOATS(xs), *restrict y = FLOATS(ys);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0; j < n; j++) out[i * n + j] += x[i * n + k] * y[k * n + j];
}
"""

# %% [markdown]
# **Your turn.** Your tiles in C: the body of a function like those two. (`restrict` promises the compiler
# that the three matrices do not overlap. It may then multiply sixteen numbers at once.) Where there is no
# compiler, the checks believe you.

# %%
#| export exercise
def tiled_loops() -> str:
    """C that adds to out the product of x and y, all n x n floats, in tiles."""
    body = ""
    #| hint body = r'''…''': six loops, in the order of tiled. int64_t I = 0; I < n; I += tile
    #| hint C has no min: int64_t last = I + tile < n ? I + tile : n;
    #| hint Innermost: out[i * n + j] += x[i * n + k] * y[k * n + j];
    ### BEGIN SOLUTION
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
    ### END SOLUTION
    return f"""
KERNEL void tiled(array *outs, array *xs, array *ys, int64_t n, int64_t tile) {{
    float *restrict out = FLOATS(outs), *restrict x = FLOATS(xs), *restrict y = FLOATS(ys);
    {body}
}}
"""

# %%
#| check 2
def product_in_c(n, tile, start=0.0):
    """The product of two matrices of small whole numbers by tiled_loops, and NumPy's."""
    x, y = np.random.default_rng(n).integers(-4, 5, (2, n + 1, n)).astype(np.float32)
    out = np.full((n + 1, n), start, np.float32)        # with a row that belongs to nobody
    compiled(tiled_loops()).tiled(out, x, y, n, tile)
    return out, start + x[:n] @ y[:n]

if compiler():
    out, want = product_in_c(8, 4)
    assert np.array_equal(out[:8], want), "each out[i, j] gathers all x[i, k] * y[k, j], over all tiles of k"
    out, want = product_in_c(7, 4)
    assert np.array_equal(out[:7], want) and not out[7].any(), \
        "a last tile may be smaller than the others: it ends where the matrix ends"
    out, want = product_in_c(5, 8, start=2.0)
    assert np.array_equal(out[:5], want), "a product is added to what is in out: a tile comes by many times"

# %% [markdown]
# How large a tile this cache likes, and how far it is from NumPy's product, which is a library that people
# have polished for thirty years? Guess the order of the four, then look.

# %%
def on_the_roof(n, **ways):
    """A roofline with one dot for each way to multiply n x n matrices."""
    x, y = np.ones((2, n, n), np.float32)
    out = np.zeros_like(x)
    def speed(way): return 2e-9 * n**3 / timed(lambda: way(out, x, y), repeat=3).best
    return Roofline(*[(name, n / 6, speed(way)) for name, way in ways.items()])

if compiler():
    loops = compiled(LOOPS + tiled_loops())
    found = on_the_roof(
        400, textbook=lambda *a: loops.textbook(*a, 400, 0), exchanged=lambda *a: loops.exchanged(*a, 400, 0),
        tiled=lambda *a: loops.tiled(*a, 400, 80), numpy=lambda out, x, y: np.matmul(x, y, out=out))
found

# %% [markdown]
# The exchanged loops beat the textbook's twenty times over, with the same operations. Tiles gain little
# here: 400 x 400 floats are 640 kB, and the second cache of most machines holds that. (Try 2000, if you
# have a minute.) And the library is still several times faster: it has tiles of tiles. The smallest are so
# small that they stay in the processor's registers, and there every number that is fetched is used a dozen
# times.
#
# We shall not beat that. Products stay NumPy's. Everything between them is ours.
#
# ## One walk instead of many
#
# `x / (1 + exp(-x))`, which networks call silu, looks like one formula. NumPy sees four: it negates
# everything, then takes exp of everything, then adds 1 everywhere, then divides. Each is a walk over
# memory, there and back, and a million numbers are no longer in the cache when the next walk begins.

# %%
def silu_in_walks(x):
    out = np.negative(x)
    np.exp(out, out=out)
    out += 1
    return np.divide(x, out, out=out)

print(f"four walks {timed(lambda: silu_in_walks(million))}, a copy {timed(lambda: np.copyto(room, million))}")

# %% [markdown]
# The cure is the one that you know: finish with a tile before the next is begun. A tile of a line of
# numbers is a **piece**.
#
# **Your turn.** Do a function of arrays piece by piece. Slices are views, so that nothing is copied.

# %%
#| export exercise
def in_pieces(f: Callable, out, *arrays, piece: int = 1 << 15):
    """Fills `out` with f of the arrays, all of one length, `piece` numbers at a time; returns out."""
    #| hint for start in range(0, len(out), piece): and then slice(start, start + piece).
    #| hint A slice that reaches past the end stops at the end. out[some] = f(x[some], y[some] …)
    ### BEGIN SOLUTION
    for start in range(0, len(out), piece):
        some = slice(start, start + piece)
        out[some] = f(*[x[some] for x in arrays])
    ### END SOLUTION
    return out

# %%
#| check 2
line, seen = np.arange(10.0), []
def watched(x, y): return seen.append((len(x), np.shares_memory(x, line))) or x + y

out = np.zeros(10)
assert in_pieces(watched, out, line, line, piece=4) is out, \
    "the result is written into the array that was given"
assert line.tolist() == list(range(10)), "what is read is not changed"
assert out.tolist() == (2 * line).tolist(), "each piece of the result comes from the same piece of all arrays"
assert [length for length, _ in seen] == [4, 4, 2], \
    "pieces of the given length follow each other; the last has what is left"
assert all([shared for _, shared in seen]), "a piece is a view: nothing is copied on the way"
assert in_pieces(watched, np.empty(0), line[:0], line[:0]).shape == (0,), "nothing has no pieces"

# %%
def pieces_of(piece): return timed(lambda: in_pieces(silu_in_walks, room, million, piece=piece))

for piece in (1 << 10, 1 << 13, 1 << 15, 1 << 18, 1 << 22): print(f"{piece:8}: {pieces_of(piece)}")

# %% [markdown]
# Small pieces drown in calls, large ones in memory. In between lies what NumPy alone can do. But even in
# the cache there are four walks, with a load and a store for each number. In C it is one: a number is
# fetched, all of the formula is done to it, and it is put back. The loop is always the same. Only the
# formula is not.
#
# **Your turn.** Write the function that writes the function. In its loop, every letter of `inputs` is the
# number at place i of that array: for "x y", `float x = FLOATS(xs)[i]; float y = FLOATS(ys)[i];`. The line
# `SIMD()` before a loop tells the compiler that its rounds are independent of each other.

# %%
#| export exercise
def walk(name: str, inputs: str, formula: str) -> str:
    """C for `name(outs, xs …, c)`: at each place out is the formula of the inputs and of a number c."""
    arrays = "".join([f", array *{x}s" for x in inputs.split()])
    #| hint Join one `float x = FLOATS(xs)[i];` for each letter.
    #| hint The body: SIMD() for (int64_t i = 0; i < n; i++) { …reads… out[i] = …formula…; }
    ### BEGIN SOLUTION
    reads = " ".join([f"float {x} = FLOATS({x}s)[i];" for x in inputs.split()])
    loop = f"SIMD() for (int64_t i = 0; i < n; i++) {{ {reads} out[i] = {formula}; }}"
    ### END SOLUTION
    return f"""
KERNEL void {name}(array *outs{arrays}, float c) {{
    float *restrict out = FLOATS(outs);
    int64_t n = count(outs);
    {loop}
}}
"""

# %%
#| check 2
if compiler():
    x, y, out = *np.arange(12, dtype=np.float32).reshape(2, 6) / 4, np.full(8, -1, np.float32)
    mixed = compiled(walk("mixed", "x y", "c * x + y"))
    mixed.mixed(out[1:7], x, y, 10.0)
    assert out[1:7].tolist() == (10 * x + y).tolist(), "the formula is done at every place, on all inputs"
    assert out[0] == out[7] == -1, "as many numbers are written as out has, and no more"
    steps = compiled(walk("steps", "x", "x + 1 > c ? x : 0") + walk("twice", "x", "2 * x"))
    steps.twice(out[:6], x, 0.0)
    assert out[:6].tolist() == (2 * x).tolist(), "every formula gets a function of its own name"
    steps.steps(out[:6], x, 1.5)
    assert out[:6].tolist() == [0, 0, 0, 0.75, 1, 1.25], \
        "the formula stands as it is: all of it becomes the number"

# %% [markdown]
# One number in and one out is 8 bytes; a silu is about twenty operations, most of them those of exp. (The
# header that stands before all our C has one, `exp_`, that can be done for sixteen numbers at once.) Where
# in the picture will the three be?

# %%
ways = {"walks": silu_in_walks, "pieces": lambda x: in_pieces(silu_in_walks, room, x)}
if compiler():
    silu_in_c = compiled(walk("silu", "x", "x / (1 + exp_(-x))"))
    ways["C"] = lambda x: silu_in_c.silu(room, x, 0.0)
moved = {"walks": 4 * 8, "pieces": 8, "C": 8}
def speed(way): return 20e-9 * len(million) / timed(lambda: way(million)).best

Roofline(*[(name, 20 / moved[name], speed(way)) for name, way in ways.items()])

# %% [markdown]
# The walks lie on the slope: nothing helps them but fewer bytes. The pieces have moved to the right and
# found that they compute slowly. The last one has left both behind.
#
# ## Many hands
#
# A second core can take half of the work, if the work is cut in two. In Python only one thread runs at a
# time, but NumPy and our C let go of the interpreter while they compute. Then threads do run side by side.
#
# **Your turn.** Cut `range(n)` into as many runs as there are threads, of nearly the same length, and have
# `f(start, stop)` called for all of them at the same time. What goes wrong in a thread must not be lost.

# %%
#| export exercise
def in_threads(f: Callable[[int, int], object], n: int, threads: int) -> None:
    """Calls f(start, stop) for the parts of range(n), a thread for each, and raises what they raise."""
    from concurrent.futures import ThreadPoolExecutor       # here, as few programs will need it
    #| hint Part t begins at n * t // threads, and ends where the next begins. A part of nothing is none.
    #| hint with ThreadPoolExecutor(threads) as pool: pool.map(f, starts, stops) starts them all.
    #| hint An error waits in what map returns, until somebody asks for the results: list(…).
    ### BEGIN SOLUTION
    cuts = [n * t // threads for t in range(threads + 1)]
    parts = [(start, stop) for start, stop in pairwise(cuts) if start < stop]
    with ThreadPoolExecutor(threads) as pool: list(pool.map(f, *zip(*parts))) if parts else None
    ### END SOLUTION

# %%
#| check 2
from threading import Barrier, BrokenBarrierError

def shares_of(n, threads):
    found = []
    in_threads(lambda start, stop: found.append((start, stop)), n, threads)
    return sorted(found)

assert [i for start, stop in shares_of(10, 3) for i in range(start, stop)] == list(range(10)), \
    "every number is in one part, and in one only"
assert max([stop - start for start, stop in shares_of(11, 4)]) == 3, \
    "all parts are nearly of the same length: the last to finish is the one that everybody waits for"
assert shares_of(2, 4) == [(0, 1), (1, 2)] and shares_of(0, 2) == [], "a part of nothing is no part"
meeting = Barrier(2)
def wait_for_the_other(*_): meeting.wait(timeout=5)

try: met = in_threads(wait_for_the_other, 2, 2) is None
except BrokenBarrierError: met = False
assert met, "the parts run at the same time: each of these two waits for the other"
def fail(*_): raise ArithmeticError("in a thread")

try: told = in_threads(fail, 2, 2)
except ArithmeticError as error: told = error
assert isinstance(told, ArithmeticError), "what goes wrong in a thread is raised where it was called"

# %% [markdown]
# To start two threads takes about as long as it takes one of them to walk over ten thousand numbers. For
# four million, how much will a second thread gain on the walks, which wait for memory, and how much on the
# C?

# %%
def silu_part(start, stop):
    if compiler(): silu_in_c.silu(room[start:stop], million[start:stop], 0.0)
    else: in_pieces(silu_in_walks, room[start:stop], million[start:stop])

def with_threads(threads): return timed(lambda: in_threads(silu_part, len(million), threads))

for threads in (1, 2, 4): print(f"{threads} threads: {with_threads(threads)}")

# %% [markdown]
# (If others use this machine, or it has one core, there is nothing to gain. Four threads on two cores never
# pay.)
#
# ## A second body
#
# Now to the ops. `silu` has a forward, and it stays what silu *is*: simple, right for every dtype and
# shape, on every device. Beside it, in a table, stand faster bodies. The appendix on the column has the
# table and `@kernel`, which enters a body for an op. A body may look at what it is given and say no: it
# returns **DECLINED**, and the next one is asked.

# %%
@floating
def swish(x, /): return x / (1 + np.exp(-x))

@kernel(swish)
def swish_in_pieces(x):
    if x.dtype != np.float32 or not x.flags.c_contiguous: return DECLINED
    return in_pieces(silu_in_walks, np.empty_like(x).reshape(-1), x.reshape(-1)).reshape(x.shape)

KERNELS[swish, "cpu"]

# %% [markdown]
# **Your turn.** Make one function of several bodies and the plain forward. Whoever is willing first has the
# say. A body in C may find that there is no compiler after all: then it raises `NoCompiler`, and that is a
# no as well.

# %%
#| export exercise
def chosen(bodies: list[Callable], plain: Callable) -> Callable:
    """A function that asks the bodies in their order, and `plain` when all of them have declined."""
    if not bodies: return plain

    def run(*given, **settings):
        #| hint for body in bodies: try it, with all that was given. NoCompiler: continue.
        #| hint `out is not DECLINED`: it is done. (`==` would compare an array number by number.)
        ### BEGIN SOLUTION
        for body in bodies:
            try: out = body(*given, **settings)
            except NoCompiler: continue
            if out is not DECLINED: return out
        return plain(*given, **settings)
        ### END SOLUTION
    return run

# %%
#| check 2
asked = []
def says(name, answer): return lambda *given, **settings: asked.append((name, given, settings)) or answer
def cannot(*_, **__): raise NoCompiler("not here")
def breaks(*_, **__): raise ValueError("a mistake of its own")

zeros, ones, no = np.zeros(2), np.ones(2), says("no", DECLINED)
assert chosen([no, says("yes", zeros)], says("plain", 1))(3, scale=2) is zeros, \
    "when a body has declined, the next one is asked; its answer may well be zeros"
assert asked == [("no", (3,), {"scale": 2}), ("yes", (3,), {"scale": 2})], \
    "each is given everything, settings too, and who comes behind the one that did it is not asked"
assert chosen([no, no], says("plain", ones))(3) is ones, "when all have declined, the forward does it"
assert chosen([cannot, says("yes", None)], no)() is None, \
    "a body that cannot be compiled has declined; whatever another one returns, None as well, is an answer"
try: told = chosen([breaks], says("plain", 1))()
except ValueError as error: told = error
assert isinstance(told, ValueError), "an error of a kernel is an error: it is not hidden behind the forward"

# %% [markdown]
# The engine of lesson 02 asks a dict for the body of an op. This one keeps the dict filled, for each kind
# of device that an array may live on.

# %%
#| export
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

# %% [markdown]
# The check of an op is also the check of its kernels: the same numbers in, the same numbers out. Everything
# a kernel was not written for has to be in it, or nobody will know that it declines. Which of these does
# ours do itself, and which does the forward?

# %%
numbers = np.random.default_rng(0).standard_normal((40, 50))
for name, x in {"float32": np.float32(numbers), "float64": numbers, "turned": np.float32(numbers).T,
                "every other": np.float32(numbers)[:, ::2], "empty": np.empty((0, 3), np.float32),
                "extreme": np.array([-np.inf, np.nan, 1e4], np.float32)}.items():
    with using(Device()): found = swish(tensor(x))
    print(f"{name:12}", np.allclose(found.array, swish.forward(x), 1e-5, equal_nan=True), found.dtype)

# %%
wide = tensor(million)
for name, engine in {"forward": Engine(), "kernel": Device()}.items():
    with using(engine): print(f"{name:8}", timed(lambda: swish(wide)))
withdraw(swish_in_pieces)

# %% [markdown]
# No program had to change, and none of the engine's other users: a gradient rule that calls `swish`, an
# engine that counts, all find the kernel where they find the forward.
#
# The appendices go on from here. What comes most often in networks is there in C, both ways: bends,
# softmax, the losses, norms, attention, pools, convolution, the steps of optimizers. They have been raced
# against the plain bodies, and those that did not win are not there. `tinytorch.backends.kernels()` says
# what runs. From now on your package loads them when one of their ops is first used, and compiles them,
# once, if there is a compiler. `TINYTORCH_KERNELS=numpy` before the start of a program, or
# `tinytorch.backends.use_kernels("numpy")` in it, goes back to the plain bodies. So do the checks of your
# lessons and the milestones: they are about what you wrote, and not about what stands in front of it.
#
# ## Challenges
#
# 1. Where is the tile that this machine likes best, for n = 1500? Compute what its three tiles take, and
#    find out how large its caches are. Which of them is it?
# 2. Add to `tiled_loops` a tile in registers: four rows of x at a time, so that every y[k, j] is used four
#    times once it is there. How close to NumPy do you come?
# 3. `in_pieces` and `in_threads` can be put together. What should be cut first, and why does the order
#    matter?
# 4. Write a kernel for `x * y + z`, an op of three arrays, and its way back. Under which size does it lose?
# 5. Numba compiles Python instead of C. Register a body with `engine="numba"`, race it, and measure the
#    first call, too.
#
# ## Design note: one slow truth
#
# A library that is written for speed has the fast code only, and whoever wants to know what an op means has
# to read it. Here every op has a plain body that is nobody's favourite: readable, general, and slow. It
# costs the writing of everything twice. It buys a judge (each kernel is tested against it, on shapes that
# nobody would think of), a way out (a kernel may handle one case and decline all others, so it stays
# short), and a way home: when a result looks odd, one environment variable says whether a kernel is to
# blame.
