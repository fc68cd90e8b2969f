# %% [markdown]
# # Appendix: kernels for a GPU
#
# On a GPU each op of CuPy is an order of its own: the numbers are fetched from memory, something is done to
# them, and they are put back. So what pays is what paid on the CPU, to do several things on one walk, only
# that ten thousand threads walk at a time. Here are kernels for what comes often. For everything else, and
# for all dtypes but `float32`, they decline, and the forward goes on through CuPy. Products of matrices are
# not among them: `x @ y` of two CuPy arrays is cuBLAS already.
#
# Nothing of this is loaded before a GPU is used for the first time.

# %%
#| export
"""CUDA kernels: rows, windows, tables, bends and optimizer steps."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.activations import gelu, log_softmax, softmax
from tinytorch.attention import attend, look_up
from tinytorch.bends import silu
from tinytorch.bookkeeping import counted, number, remembered
from tinytorch.c_steps import wishes
from tinytorch.column import DECLINED, kernel
from tinytorch.cuda import library
from tinytorch.dense import standardize, surprise
from tinytorch.devices import at_home
from tinytorch.optimizers import SGD, Adam, Optimizer
from tinytorch.room import each_way, margins
from tinytorch.rules_attention import add_rows
from tinytorch.spatial import Pool, conv2d, max_pool2d, places_for
from tinytorch.tensor import Kept

# %% [markdown]
# ## How a GPU walks
#
# Threads come in **warps** of 32 that take every step together. Neighbours should read neighbours: then one
# fetch of 128 bytes serves the whole warp. And a warp can add up 32 numbers in five steps without touching
# memory: in each step everybody adds what the thread so many places away has (`__shfl_xor_sync`).
#
# So a warp takes a row. Its threads walk along it side by side, 32 numbers at a time, and what they found is
# put together at the end. Four rows make a block, which is what the scheduler hands out.

# %%
#| export
ROWS = r"""
#define ALL 0xffffffffu
#define INFINITE __int_as_float(0x7f800000)         // NVRTC knows no <math.h>
#define NOT_A_NUMBER __int_as_float(0x7fffffff)

static __device__ float sum_of_all(float x) {
    for (int away = 16; away; away /= 2) x += __shfl_xor_sync(ALL, x, away);
    return x;
}

static __device__ float largest_of_all(float x) {
    for (int away = 16; away; away /= 2) x = fmaxf(x, __shfl_xor_sync(ALL, x, away));
    return x;
}

// a row for each warp, and the numbers of it that this thread looks at
#define MY_ROW const int row = blockIdx.x * blockDim.y + threadIdx.y; if (row >= rows) return
#define EACH(j) (int j = threadIdx.x; j < n; j += 32)

static __device__ float largest_in(const float *x, int n) {
    float top = -INFINITE;
    for EACH(j) top = fmaxf(top, x[j]);
    return largest_of_all(top);
}

static __device__ float sum_of_exp(const float *x, int n, float top) {
    float sum = 0;
    for EACH(j) sum += expf(x[j] - top);
    return sum_of_all(sum);
}

extern "C" __global__ void softmax(const float *xs, float *outs, int rows, int n) {
    MY_ROW;
    const float *x = xs + (long long)row * n;
    float *out = outs + (long long)row * n, top = largest_in(x, n), sum = sum_of_exp(x, n, top);
    for EACH(j) out[j] = expf(x[j] - top) / sum;
}

extern "C" __global__ void softmax_back(const float *gs, const float *outs, float *dxs, int rows, int n) {
    MY_ROW;
    const float *g = gs + (long long)row * n, *out = outs + (long long)row * n;
    float *dx = dxs + (long long)row * n, along = 0;
    for EACH(j) along += g[j] * out[j];
    along = sum_of_all(along);
    for EACH(j) dx[j] = out[j] * (g[j] - along);
}

extern "C" __global__ void log_softmax(const float *xs, float *outs, int rows, int n) {
    MY_ROW;
    const float *x = xs + (long long)row * n;
    float *out = outs + (long long)row * n, top = largest_in(x, n), rest = logf(sum_of_exp(x, n, top));
    for EACH(j) out[j] = x[j] - top - rest;
}

extern "C" __global__ void log_softmax_back(const float *gs, const float *outs, float *dxs, int rows, int n) {
    MY_ROW;
    const float *g = gs + (long long)row * n, *out = outs + (long long)row * n;
    float *dx = dxs + (long long)row * n, total = 0;
    for EACH(j) total += g[j];
    total = sum_of_all(total);
    for EACH(j) dx[j] = g[j] - expf(out[j]) * total;
}

// A label that is no class makes the loss nan: on a GPU there is nobody to raise an error.
extern "C" __global__ void surprise(const float *xs, const long long *labels, float *outs, float *totals,
                                    int rows, int n, long long ignored) {
    MY_ROW;
    const float *x = xs + (long long)row * n;
    const long long label = labels[row];
    float top = largest_in(x, n), rest = logf(sum_of_exp(x, n, top));
    if (threadIdx.x) return;
    totals[row] = rest + top;
    outs[row] = label == ignored ? 0 : label < 0 || label >= n ? NOT_A_NUMBER : rest - (x[label] - top);
}

extern "C" __global__ void surprise_back(const float *gs, const float *totals, const float *xs,
                                         const long long *labels, float *dxs, int rows, int n,
                                         long long ignored) {
    MY_ROW;
    const float *x = xs + (long long)row * n, total = totals[row];
    const long long label = labels[row];
    float *dx = dxs + (long long)row * n, g = label == ignored ? 0 : gs[row];
    for EACH(j) dx[j] = label == ignored ? 0 : g * (expf(x[j] - total) - (j == label));
}

extern "C" __global__ void standardize(const float *xs, const float *w, const float *b, float *outs,
                                       float *means, float *scales, int rows, int n, float eps) {
    MY_ROW;
    const float *x = xs + (long long)row * n;
    float *out = outs + (long long)row * n, mean = 0, spread = 0;
    for EACH(j) mean += x[j];
    mean = sum_of_all(mean) / n;
    for EACH(j) spread += (x[j] - mean) * (x[j] - mean);
    const float scale = 1 / sqrtf(sum_of_all(spread) / n + eps);
    for EACH(j) {
        const float normal = (x[j] - mean) * scale;
        out[j] = (w ? normal * w[j] : normal) + (b ? b[j] : 0);
    }
    if (threadIdx.x) return;
    means[row] = mean;
    scales[row] = scale;
}

extern "C" __global__ void standardize_back(const float *gs, const float *xs, const float *w,
                                            const float *means, const float *scales, float *dxs, int rows,
                                            int n) {
    MY_ROW;
    const float *g = gs + (long long)row * n, *x = xs + (long long)row * n;
    const float mean = means[row], scale = scales[row];
    float *dx = dxs + (long long)row * n, total = 0, along = 0;
    for EACH(j) {
        const float d = w ? g[j] * w[j] : g[j];
        total += d;
        along += d * (x[j] - mean) * scale;
    }
    total = sum_of_all(total) / n;
    along = sum_of_all(along) / n;
    for EACH(j) dx[j] = ((w ? g[j] * w[j] : g[j]) - total - (x[j] - mean) * scale * along) * scale;
}

// What goes to weight and bias: a thread for each column, which adds up some rows, and then meets the others.
extern "C" __global__ void standardize_back_columns(const float *gs, const float *xs, const float *means,
                                                    const float *scales, float *dw, float *db, int rows,
                                                    int n, int some) {
    const int j = blockIdx.x * blockDim.x + threadIdx.x, first = blockIdx.y * some;
    if (j >= n) return;
    float w = 0, b = 0;
    for (int row = first; row < rows && row < first + some; row++) {
        const long long at = (long long)row * n + j;
        w += gs[at] * (xs[at] - means[row]) * scales[row];
        b += gs[at];
    }
    atomicAdd(dw + j, w);
    atomicAdd(db + j, b);
}
"""

# %% [markdown]
# ## Windows
#
# Here a thread makes one number. `im2col` copies every window into a column; then a convolution is one
# product. On the way back, each pixel has to gather what arrived at all windows that saw it. The other way
# round, windows that write to their pixels, would have thousands of threads wait for each other.

# %%
#| export
WINDOWS = r"""
#define INFINITE __int_as_float(0x7f800000)
#define MY_NUMBER(i) \
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; \
    if (i >= all) return

// Each way of a window in as many numbers: its kernel, stride, padding and dilation, how long the picture is
// that way (n), and in how many places the window stands (m).
#define WALKS int ky, int sy, int py, int dy, int ny, int my, int kx, int sx, int px, int dx, int nx, int mx

// (N, C, ny, nx) -> (N, C, ky, kx, my, mx)
extern "C" __global__ void im2col(const float *picture, float *columns, long long all, WALKS) {
    MY_NUMBER(i);
    const int u = i % mx, v = i / mx % my, b = i / mx / my % kx, a = i / mx / my / kx % ky;
    const long long channel = i / mx / my / kx / ky;
    const int y = v * sy - py + a * dy, x = u * sx - px + b * dx;
    const bool there = y >= 0 && y < ny && x >= 0 && x < nx;
    columns[i] = there ? picture[(channel * ny + y) * nx + x] : 0;
}

// (N, C, ky, kx, my, mx) -> (N, C, ny, nx): for each pixel the windows that saw it, and as what
extern "C" __global__ void col2im(const float *columns, float *picture, long long all, WALKS) {
    MY_NUMBER(i);
    const int x = i % nx, y = i / nx % ny;
    const long long channel = i / nx / ny;
    float sum = 0;
    for (int a = 0; a < ky; a++) {
        const int v = y + py - a * dy;
        if (v < 0 || v % sy || v / sy >= my) continue;
        for (int b = 0; b < kx; b++) {
            const int u = x + px - b * dx;
            if (u < 0 || u % sx || u / sx >= mx) continue;
            sum += columns[(((channel * ky + a) * kx + b) * my + v / sy) * mx + u / sx];
        }
    }
    picture[i] = sum;
}

// The first of the largest, or the last nan: where it is in its picture.
#define FIND_LARGEST \
    const int u = i % mx, v = i / mx % my; \
    const float *x = picture + i / mx / my * ny * nx; \
    int found = -1; \
    for (int a = 0; a < ky; a++) for (int b = 0; b < kx; b++) { \
        const int row = v * sy - py + a * dy, column = u * sx - px + b * dx, at = row * nx + column; \
        if (row < 0 || row >= ny || column < 0 || column >= nx) continue; \
        if (found < 0 || x[at] > x[found] || x[at] != x[at]) found = at; \
    }

extern "C" __global__ void max_pool(const float *picture, float *out, long long all, WALKS) {
    MY_NUMBER(i);
    FIND_LARGEST
    out[i] = found < 0 ? -INFINITE : x[found];
}

extern "C" __global__ void max_pool_back(const float *g, const float *picture, float *dx_, long long all,
                                         WALKS) {
    MY_NUMBER(i);
    FIND_LARGEST
    if (found >= 0) atomicAdd(dx_ + i / mx / my * ny * nx + found, g[i]);
}

// (*, width), (*) -> (n, width): rows added up at their places in a table
extern "C" __global__ void add_rows(const float *rows, const long long *ids, float *table, long long all,
                                    int width, long long n) {
    MY_NUMBER(i);
    const long long id = ids[i / width];
    if (id >= 0 && id < n) atomicAdd(table + id * width + i % width, rows[i]);
}
"""

# %% [markdown]
# `found < 0 || x > best` keeps nan once it is there: nothing is larger than nan, and only another nan
# replaces it. (That is what the forward in NumPy does, too.)
#
# ## Launching
#
# CUDA is compiled when a kernel is first called, by NVRTC, for the GPU that is there; CuPy keeps the result
# on disk. A launch says how many blocks of how many threads, and hands over addresses and numbers, whose
# widths must be said.

# %%
#| export
WARP, TOGETHER, THREADS = 32, 4, 256        # threads of a warp, rows of a block, threads of other blocks
MODULES: dict = {}


def launch(source: str, name: str, grid: tuple, block: tuple, *given) -> None:
    """Runs a kernel: arrays are handed over as they are, ints with 32 bits, floats as float32."""
    cupy = library()
    if (source, cupy) not in MODULES: MODULES[source, cupy] = cupy.RawModule(code=source)
    narrow = [np.int32(x) if type(x) is int else np.float32(x) if type(x) is float else x for x in given]
    MODULES[source, cupy].get_function(name)(grid, block, tuple(narrow))


def by_rows(name: str, rows: int, *given) -> None:
    """Runs a kernel of ROWS: a warp for each row."""
    launch(ROWS, name, (-(-rows // TOGETHER), 1, 1), (WARP, TOGETHER, 1), *given)


def by_numbers(name: str, count: int, *given) -> None:
    """Runs a kernel of WINDOWS: a thread for each of `count` numbers."""
    launch(WINDOWS, name, (-(-count // THREADS), 1, 1), (THREADS, 1, 1), *given)


def suits(*arrays) -> bool:
    """Whether arrays are what the kernels were written for: on a GPU, float32, in order, and any at all."""
    return all([not at_home(x) and x.dtype == np.float32 and x.flags.c_contiguous and x.size > 0
                for x in arrays])


def in_order(g):
    """A gradient laid out in order."""
    return g if g.flags.c_contiguous else g.copy()

# %% [markdown]
# The table is filled when a GPU is first used: a machine without one need not ask for each op where its
# arrays are.

# %%
#| export
WAITING: list = []


def on_gpu(*ops, gradient: bool = False):
    """`@on_gpu(softmax)` is `@kernel(softmax, device="cuda")`, once there is a GPU in use."""
    def wait(body):
        WAITING.append((ops, gradient, body))
        return body
    return wait


def enter_all() -> None:
    """Enters the kernels that wait into the table."""
    for ops, gradient, body in WAITING: kernel(*ops, device="cuda", gradient=gradient)(body)


# %% [markdown]
# ## Rows

# %%
#| export
def along_last(x, dim) -> bool:
    """Whether the kernels of rows can walk along this dimension."""
    return x.ndim > 0 and dim in (-1, x.ndim - 1) and suits(x)


def rows_out(name: str, x):
    """What a kernel of rows makes of each row of x."""
    out, n = np.empty_like(x), x.shape[-1]
    by_rows(name, x.size // n, x, out, x.size // n, n)
    return out


def rows_back(name: str, g, out):
    """The same on the way back."""
    dx, n = np.empty_like(out), out.shape[-1]
    by_rows(name, out.size // n, in_order(g), out, dx, out.size // n, n)
    return dx,


@on_gpu(softmax)
def _(x, dim=None, dtype=None):
    return rows_out("softmax", x) if dtype is None and along_last(x, dim) else DECLINED


@on_gpu(softmax, gradient=True)
def _(g, out, _x, dim):
    return rows_back("softmax_back", g, out) if along_last(out, dim) and suits(g) else DECLINED


@on_gpu(log_softmax)
def _(x, dim=None, dtype=None):
    return rows_out("log_softmax", x) if dtype is None and along_last(x, dim) else DECLINED


@on_gpu(log_softmax, gradient=True)
def _(g, out, _x, dim):
    return rows_back("log_softmax_back", g, out) if along_last(out, dim) and suits(g) else DECLINED

# %%
#| export
def labelled(x, labels) -> bool:
    """Whether the kernels of the loss can take these scores and labels."""
    return (x.ndim == 2 and suits(x) and labels.shape == x.shape[:1] and labels.dtype == np.int64
            and labels.flags.c_contiguous)


@on_gpu(surprise)
def _(x, labels, ignore_index=-100):
    if not labelled(x, labels): return DECLINED
    rows, n = x.shape
    out, totals = np.empty_like(x, shape=rows), np.empty_like(x, shape=(rows, 1))
    by_rows("surprise", rows, x, labels, out, totals, rows, n, np.int64(ignore_index))
    return Kept(out, totals)


@on_gpu(surprise, gradient=True)
def _(g, _out, x, labels, ignore_index, kept):
    if not labelled(x, labels) or g.dtype != x.dtype: return DECLINED
    dx = np.empty_like(x)
    by_rows("surprise_back", len(x), in_order(g), kept[0], x, labels, dx, *x.shape, np.int64(ignore_index))
    return dx, None

# %%
#| export
NOTHING = np.uint64(0)          # the address of an array that is not there


@on_gpu(standardize)
def _(x, weight=None, bias=None, last=1, eps=1e-5):
    if not suits(x, *[part for part in (weight, bias) if part is not None]): return DECLINED
    n = math.prod(x.shape[x.ndim - last :])
    out, *kept = np.empty_like(x), *[np.empty_like(x, shape=(*x.shape[: x.ndim - last], 1)) for _ in range(2)]
    w, b = [NOTHING if part is None else part for part in (weight, bias)]
    by_rows("standardize", x.size // n, x, w, b, out, *kept, x.size // n, n, float(eps))
    return Kept(out, *kept)


@on_gpu(standardize, gradient=True)
def _(g, _out, x, weight, _bias, last, kept):
    if not suits(x, *[] if weight is None else [weight]) or g.dtype != x.dtype: return DECLINED
    g, n = in_order(g), math.prod(x.shape[x.ndim - last :])
    rows, dx = x.size // n, np.empty_like(x)
    dw, db = [np.zeros_like(x, shape=x.shape[x.ndim - last :]) for _ in range(2)]
    by_rows("standardize_back", rows, g, x, NOTHING if weight is None else weight, *kept, dx, rows, n)
    some = max(64, -(-rows // 1024))                    # rows for a thread
    if weight is not None:
        launch(ROWS, "standardize_back_columns", (-(-n // THREADS), -(-rows // some), 1), (THREADS, 1, 1),
               g, x, *kept, dw, db, rows, n, some)
    return dx, dw, db

# %% [markdown]
# Two forwards of lesson 07 look at their numbers: whether an id is too large, and where a sum is 0. On a GPU
# looking means waiting. So these bodies are in plain CuPy, and do not look. (An id that does not exist wraps
# around there; PyTorch stops the GPU.)

# %%
#| export
@on_gpu(look_up)
def _(ids, weight, padding_idx=None, scale_grad_by_freq=False):
    return np.take(weight, ids, axis=0) if ids.dtype.kind == "i" else DECLINED


@on_gpu(attend)
def _(query, key, value, mask=None, keep=None, scale=None):
    scores = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ key.swapaxes(-1, -2)
    if mask is not None: scores += mask
    top = np.maximum(scores.max(axis=-1, keepdims=True), np.finfo(scores.dtype).min)
    scores -= top
    np.exp(scores, out=scores)
    total = scores.sum(axis=-1, keepdims=True)
    total += total == 0
    if keep is not None: scores *= keep
    out = scores @ value
    out /= total
    return Kept(out, top + np.log(total))

# %% [markdown]
# ## Windows
#
# A convolution is `im2col` and a product for each picture. Filters of 1 x 1 need no windows. Large batches go
# in pieces, so that their columns fit beside everything else.

# %%
#| export
COLUMNS = 1 << 28               # numbers that may lie in columns at a time: a gigabyte


class Walks:
    """Where the windows of a convolution stand, as the kernels want to hear it."""

    def __init__(self, x, w, stride, padding, dilation):
        self.kernel, self.channels = w.shape[2:], x.shape[1]
        stride, dilation = each_way("stride", stride, 2), each_way("dilation", dilation, 2)
        ends = margins(padding, self.kernel, stride, dilation)
        self.places = places_for("conv2d", x, w, None, ends, stride, dilation, 1)
        self.lengths = x.shape[2:]
        before = [first for first, _ in ends]
        ways = zip(self.kernel, stride, before, dilation, self.lengths, self.places)
        self.numbers = [n for way in ways for n in way]
        self.plain = (math.prod(self.kernel) == 1 and set(stride) == {1} and self.places == self.lengths)
        self.step = max(1, COLUMNS // (self.channels * math.prod(self.kernel) * math.prod(self.places)))

    def columns(self, x):
        """The windows of some pictures.  (N, C, H, W) -> (N, C kh kw, places)"""
        if self.plain: return x.reshape(len(x), self.channels, -1)
        taps = self.channels * math.prod(self.kernel)
        out = np.empty_like(x, shape=(len(x), taps, math.prod(self.places)))
        by_numbers("im2col", out.size, x, out, np.int64(out.size), *self.numbers)
        return out

    def pictures(self, columns):
        """What arrived at the windows, gathered by the pixels.  (N, C kh kw, places) -> (N, C, H, W)"""
        shape = (len(columns), self.channels, *self.lengths)
        if self.plain: return columns.reshape(shape)
        out = np.empty_like(columns, shape=shape)
        by_numbers("col2im", out.size, in_order(columns), out, np.int64(out.size), *self.numbers)
        return out

    def pieces(self, *arrays):
        """So many pictures of each array at a time."""
        for n in range(0, len(arrays[0]), self.step): yield [array[n : n + self.step] for array in arrays]


@on_gpu(conv2d)
def _(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if groups != 1 or x.ndim != 4 or w.ndim != 4 or not suits(x, w): return DECLINED
    if bias is not None and (bias.shape != w.shape[:1] or bias.dtype != x.dtype): return DECLINED
    walks, matrix = Walks(x, w, stride, padding, dilation), w.reshape(len(w), -1)
    out = np.empty_like(x, shape=(len(x), len(w), *walks.places))
    for some, made in walks.pieces(x, out):
        product = matrix @ walks.columns(some)
        if bias is not None: product += bias[:, None]
        made[...] = product.reshape(made.shape)
    return out


@on_gpu(conv2d, gradient=True)
def _(g, _out, x, w, _bias, stride, padding, dilation, groups):
    if groups != 1 or x.ndim != 4 or not suits(x, w) or g.dtype != x.dtype: return DECLINED
    walks, matrix = Walks(x, w, stride, padding, dilation), w.reshape(len(w), -1)
    rows = in_order(g).reshape(*g.shape[:2], -1)                    # (N, O, places)

    def pictures():
        found = [walks.pictures(matrix.T @ some) for some, in walks.pieces(rows)]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def filters():
        found = [(some @ walks.columns(part).mT).sum(axis=0) for some, part in walks.pieces(rows, x)]
        return sum(found[1:], found[0]).reshape(w.shape)
    return pictures, filters, lambda: rows.sum(axis=(0, 2))

# %%
#| export
def pooled(x, *settings) -> tuple:
    """The output's shape, and the numbers that the kernels of pools want to hear."""
    pool = Pool("max_pool2d", x, 2, *settings)
    ways = [(*setting, n, m) for setting, n, m in zip(pool.settings, x.shape[-2:], pool.places)]
    return (*x.shape[:-2], *pool.places), [n for way in ways for n in way]


@on_gpu(max_pool2d)
def _(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    if return_indices or not suits(x): return DECLINED
    shape, numbers = pooled(x, kernel_size, stride, padding, dilation, ceil_mode)
    out = np.empty_like(x, shape=shape)
    by_numbers("max_pool", out.size, x, out, np.int64(out.size), *numbers)
    return out


@on_gpu(max_pool2d, gradient=True)
def _(g, _out, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    if return_indices or not suits(x) or g.dtype != x.dtype: return DECLINED
    _, numbers = pooled(x, kernel_size, stride, padding, dilation, ceil_mode)
    dx = np.zeros_like(x)
    by_numbers("max_pool_back", g.size, in_order(g), x, dx, np.int64(g.size), *numbers)
    return dx,


@on_gpu(add_rows)
def _(rows, ids, n=0):
    if not suits(rows) or ids.dtype != np.int64 or not ids.flags.c_contiguous: return DECLINED
    width = rows.shape[-1]
    table = np.zeros_like(rows, shape=(n, width))
    by_numbers("add_rows", rows.size, rows, ids, table, np.int64(rows.size), width, np.int64(n))
    return table

# %% [markdown]
# ## Numbers by themselves
#
# Where every number is treated by itself, CuPy writes the kernel: it wants the formula. `T` is the dtype, and
# `float16` is computed in `float32`, as the units of a GPU do.

# %%
#| export
FORMULAS = {            # name: what goes in, what comes out, and the formula
    "gelu": ("T x", "T y", "const float v = x; y = v * share(v)"),
    "gelu_back": ("T g, T x", "T d", "const float v = x; d = float(g) * (share(v) + v * bell(v))"),
    "gelu_tanh": ("T x", "T y", "const float v = x; y = v * sigmoid(steep(v))"),
    "gelu_tanh_back": ("T g, T x", "T d", """
        const float v = x, s = sigmoid(steep(v)), growth = 1.5957691216f * (1 + 3 * 0.044715f * v * v);
        d = float(g) * (s + v * s * (1 - s) * growth)"""),
    "silu": ("T x", "T y", "const float v = x; y = v * sigmoid(v)"),
    "silu_back": ("T g, T x", "T d", """
        const float v = x, s = sigmoid(v);
        d = float(g) * s * (1 + v * (1 - s))"""),
    "sgd": ("T g, float32 sign, float32 coupled, float32 shrink, float32 lr", "T p",
            "p = shrink * p - lr * (sign * g + coupled * p)"),
    "sgd_momentum": ("T g, float32 sign, float32 coupled, float32 shrink, float32 lr, float32 momentum, "
                     "float32 some, bool first, bool nesterov", "T p, T v", """
        const float d = sign * g + coupled * p;
        v = first ? d : momentum * v + some * d;
        p = shrink * p - lr * (nesterov ? d + momentum * v : v)"""),
    "adam": ("T g, float32 sign, float32 coupled, float32 shrink, float32 size, float32 some, float32 few, "
             "float32 eps", "T p, T m, T v", """
        const float d = sign * g + coupled * p;
        m += some * (d - m);
        v += few * (d * d - v);
        p = shrink * p - size * m / (sqrtf(v) + eps)"""),
}
PREAMBLE = """
static __device__ float sigmoid(float x) { return 1 / (1 + expf(-x)); }
static __device__ float share(float x) { return 0.5f * (1 + erff(0.70710678f * x)); }
static __device__ float bell(float x) { return 0.39894228f * expf(-0.5f * x * x); }
static __device__ float steep(float x) { return 1.5957691216f * x * (1 + 0.044715f * x * x); }
"""


def formula(name: str):
    """The kernel of a formula; CuPy compiles it at its first call."""
    cupy = library()
    if (name, cupy) not in MODULES:
        given, made, body = FORMULAS[name]
        MODULES[name, cupy] = cupy.ElementwiseKernel(given, made, body, f"walk_{name}", preamble=PREAMBLE)
    return MODULES[name, cupy]


def narrow(x) -> bool:
    """Whether an array is on a GPU, and what the formulas were written for."""
    return not at_home(x) and x.dtype in (np.float32, np.float16)


def bent(name: str, x):
    """What a formula makes of an array of float32 or float16."""
    return formula(name)(x) if narrow(x) else DECLINED


def bent_back(name: str, g, x):
    """The same on the way back."""
    return (formula(name)(g, x),) if narrow(x) and g.dtype == x.dtype else DECLINED


GELUS = {"none": "gelu", "tanh": "gelu_tanh"}


@on_gpu(gelu)
def _(x, approximate="none"): return bent(GELUS[approximate], x) if approximate in GELUS else DECLINED


@on_gpu(gelu, gradient=True)
def _(g, _out, x, approximate): return bent_back(f"{GELUS[approximate]}_back", g, x)


@on_gpu(silu)
def _(x): return bent("silu", x)


@on_gpu(silu, gradient=True)
def _(g, _out, x): return bent_back("silu_back", g, x)

# %% [markdown]
# An optimizer reads the gradient, the weight and what it remembers, and writes the weight and what it
# remembers: one walk instead of a dozen.

# %%
#| export
def straight(optimizer, param) -> bool:
    """Whether a parameter and its gradient are on a GPU, and what the formulas were written for."""
    p, g = param.array, param.grad.array
    return (type(optimizer).pieces is Optimizer.pieces and type(p) is library().ndarray is type(g)
            and p.dtype == g.dtype == np.float32)


@on_gpu(SGD)
def _(optimizer, param, group):
    if not straight(optimizer, param): return DECLINED
    p, g, momentum = param.array, param.grad.array, group["momentum"]
    if not momentum:
        formula("sgd")(g, *wishes(group), number(group["lr"]), p)
        return None
    first = "momentum_buffer" not in optimizer.state[param]
    (v,) = remembered(optimizer.state[param], param, "momentum_buffer")
    formula("sgd_momentum")(g, *wishes(group), number(group["lr"]), momentum, 1 - group["dampening"], first,
                            bool(group["nesterov"]), p, v)
    return None


@on_gpu(Adam)
def _(optimizer, param, group):
    if group["amsgrad"] or not straight(optimizer, param): return DECLINED
    state, (beta1, beta2) = optimizer.state[param], group["betas"]
    t = counted(state)
    root = math.sqrt(1 - beta2**t)
    m, v = remembered(state, param, "exp_avg", "exp_avg_sq")
    formula("adam")(param.grad.array, *wishes(group), number(group["lr"]) * root / (1 - beta1**t), 1 - beta1,
                    1 - beta2, group["eps"] * root, param.array, m, v)
    return None
