# Generated from modules/13_kernels/appendix_c_rows.py by `tito export`. Edit that file, not this one.
"""Softmax, cross-entropy, layer norm and their gradients, a row at a time."""

from __future__ import annotations

import math

import numpy as np

from .activations import log_softmax, softmax
from .column import DECLINED, kernel
from .compiling import Library, ordered, perhaps, plain
from .dense import standardize, surprise
from .root_mean_square import rescale
from .tensor import Kept

__all__ = ["ROWS", "last", "labelled", "as_rows_of"]


ROWS = Library("rows", r"""
static inline float row_max(const float *x, int64_t m) {
    float top = -INFINITY;
    SIMD(reduction(max : top)) for (int64_t j = 0; j < m; j++) top = x[j] > top ? x[j] : top;
    return top;
}

static inline float row_exp(const float *x, float *out, int64_t m, float top) {
    float sum = 0;
    SIMD(reduction(+ : sum)) for (int64_t j = 0; j < m; j++) sum += out[j] = exp_(x[j] - top);
    return sum;
}

static inline float row_sum_exp(const float *x, int64_t m, float top) {
    float sum = 0;
    SIMD(reduction(+ : sum)) for (int64_t j = 0; j < m; j++) sum += exp_(x[j] - top);
    return sum;
}

static inline float row_dot(const float *x, const float *y, int64_t m) {
    float sum = 0;
    SIMD(reduction(+ : sum)) for (int64_t j = 0; j < m; j++) sum += x[j] * y[j];
    return sum;
}

static inline float row_sum(const float *x, int64_t m) {
    float sum = 0;
    SIMD(reduction(+ : sum)) for (int64_t j = 0; j < m; j++) sum += x[j];
    return sum;
}

KERNEL void softmax(array *outs, array *xs, int64_t n, int64_t m) {
    for (int64_t i = 0; i < n; i++) {
        const float *x = FLOATS(xs) + i * m;
        float *out = FLOATS(outs) + i * m, scale = 1 / row_exp(x, out, m, row_max(x, m));
        SIMD() for (int64_t j = 0; j < m; j++) out[j] *= scale;
    }
}

KERNEL void softmax_back(array *dxs, array *gs, array *outs, int64_t n, int64_t m) {
    for (int64_t i = 0; i < n; i++) {
        const float *g = FLOATS(gs) + i * m, *out = FLOATS(outs) + i * m;
        float *dx = FLOATS(dxs) + i * m, along = row_dot(g, out, m);
        SIMD() for (int64_t j = 0; j < m; j++) dx[j] = (g[j] - along) * out[j];
    }
}

KERNEL void log_softmax(array *outs, array *xs, int64_t n, int64_t m) {
    for (int64_t i = 0; i < n; i++) {
        const float *x = FLOATS(xs) + i * m;
        float *out = FLOATS(outs) + i * m, top = row_max(x, m), rest = logf(row_sum_exp(x, m, top));
        SIMD() for (int64_t j = 0; j < m; j++) out[j] = x[j] - top - rest;
    }
}

KERNEL void log_softmax_back(array *dxs, array *gs, array *outs, int64_t n, int64_t m) {
    for (int64_t i = 0; i < n; i++) {
        const float *g = FLOATS(gs) + i * m, *out = FLOATS(outs) + i * m;
        float *dx = FLOATS(dxs) + i * m, total = row_sum(g, m);
        SIMD() for (int64_t j = 0; j < m; j++) dx[j] = g[j] - exp_(out[j]) * total;
    }
}

KERNEL int64_t surprise(array *outs, array *totals, array *xs, array *labels, int64_t n, int64_t m,
                        int64_t ignored) {
    for (int64_t i = 0; i < n; i++) {
        const float *x = FLOATS(xs) + i * m;
        int64_t label = INTS(labels)[i];
        if (label != ignored && (label < 0 || label >= m)) return 0;
        float top = row_max(x, m), rest = logf(row_sum_exp(x, m, top));
        FLOATS(totals)[i] = rest + top;
        FLOATS(outs)[i] = label == ignored ? 0 : rest - (x[label] - top);
    }
    return 1;
}

KERNEL void surprise_back(array *dxs, array *gs, array *totals, array *xs, array *labels, int64_t n,
                          int64_t m, int64_t ignored) {
    for (int64_t i = 0; i < n; i++) {
        const float *x = FLOATS(xs) + i * m;
        float *dx = FLOATS(dxs) + i * m, g = FLOATS(gs)[i], total = FLOATS(totals)[i];
        int64_t label = INTS(labels)[i];
        if (label == ignored) g = 0;                // and yet a row without any hope stays nan: 0 times nan
        if (g == 0 && total - total == 0) memset(dx, 0, m * sizeof(float));
        else SIMD() for (int64_t j = 0; j < m; j++) dx[j] = g * exp_(x[j] - total);
        if (label != ignored) dx[label] -= g;
    }
}

KERNEL void standardize(array *outs, array *means, array *scales, array *xs, array *ws, array *bs, int64_t n,
                        int64_t m, float eps) {
    const float *w = count(ws) ? FLOATS(ws) : 0, *b = count(bs) ? FLOATS(bs) : 0;
    for (int64_t i = 0; i < n; i++) {
        const float *restrict x = FLOATS(xs) + i * m;
        float *restrict out = FLOATS(outs) + i * m, mean = row_sum(x, m) / m, spread = 0;
        SIMD(reduction(+ : spread)) for (int64_t j = 0; j < m; j++) spread += (x[j] - mean) * (x[j] - mean);
        float scale = 1 / sqrtf(spread / m + eps);
        FLOATS(means)[i] = mean;
        FLOATS(scales)[i] = scale;
        if (w && b) SIMD() for (int64_t j = 0; j < m; j++) out[j] = FMA((x[j] - mean) * scale, w[j], b[j]);
        else if (w) SIMD() for (int64_t j = 0; j < m; j++) out[j] = (x[j] - mean) * scale * w[j];
        else SIMD() for (int64_t j = 0; j < m; j++) out[j] = (x[j] - mean) * scale;
    }
}

KERNEL void standardize_back(array *dxs, array *dws, array *dbs, array *gs, array *xs, array *means,
                             array *scales, array *ws, int64_t n, int64_t m) {
    const float *w = count(ws) ? FLOATS(ws) : 0;
    float *restrict dw = FLOATS(dws), *restrict db = FLOATS(dbs);
    memset(dw, 0, m * sizeof(float));
    memset(db, 0, m * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        const float *restrict x = FLOATS(xs) + i * m, *restrict g = FLOATS(gs) + i * m;
        float *restrict dx = FLOATS(dxs) + i * m, mean = FLOATS(means)[i], scale = FLOATS(scales)[i];
        float total = 0, along = 0;
        SIMD(reduction(+ : total, along)) for (int64_t j = 0; j < m; j++) {
            float normal = (x[j] - mean) * scale, d = w ? g[j] * w[j] : g[j];
            dw[j] += g[j] * normal;
            db[j] += g[j];
            total += d;
            along += d * normal;
        }
        total /= m;
        along /= m;
        SIMD() for (int64_t j = 0; j < m; j++) {
            float normal = (x[j] - mean) * scale, d = w ? g[j] * w[j] : g[j];
            dx[j] = (d - total - normal * along) * scale;
        }
    }
}

KERNEL void rescale(array *outs, array *scales, array *xs, array *ws, int64_t n, int64_t m, float eps) {
    const float *w = count(ws) ? FLOATS(ws) : 0;
    for (int64_t i = 0; i < n; i++) {
        const float *restrict x = FLOATS(xs) + i * m;
        float *restrict out = FLOATS(outs) + i * m, scale = 1 / sqrtf(row_dot(x, x, m) / m + eps);
        FLOATS(scales)[i] = scale;
        SIMD() for (int64_t j = 0; j < m; j++) out[j] = w ? x[j] * scale * w[j] : x[j] * scale;
    }
}

KERNEL void rescale_back(array *dxs, array *dws, array *gs, array *xs, array *scales, array *ws, int64_t n,
                         int64_t m) {
    const float *w = count(ws) ? FLOATS(ws) : 0;
    float *restrict dw = FLOATS(dws);
    memset(dw, 0, m * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        const float *restrict x = FLOATS(xs) + i * m, *restrict g = FLOATS(gs) + i * m;
        float *restrict dx = FLOATS(dxs) + i * m, scale = FLOATS(scales)[i], along = 0;
        SIMD(reduction(+ : along)) for (int64_t j = 0; j < m; j++) {
            float normal = x[j] * scale, d = w ? g[j] * w[j] : g[j];
            dw[j] += g[j] * normal;
            along += d * normal;
        }
        along /= m;
        SIMD() for (int64_t j = 0; j < m; j++) {
            float d = w ? g[j] * w[j] : g[j];
            dx[j] = (d - x[j] * scale * along) * scale;
        }
    }
}
""")


def last(x, dim) -> bool:
    """Whether an array is what the kernels of rows were written for, along this dimension."""
    return plain(x) and x.size > 0 < x.ndim and (dim == -1 or dim == x.ndim - 1)


@kernel(softmax, engine="c")
def _(x, dim=None, dtype=None):
    if dtype is not None or not last(x, dim): return DECLINED
    out, m = np.empty_like(x), x.shape[-1]
    ROWS.softmax(out, x, x.size // m, m)
    return out


@kernel(softmax, engine="c", gradient=True)
def _(g, out, _x, dim):
    if not last(out, dim) or g.dtype != out.dtype: return DECLINED
    dx, m = np.empty_like(out), out.shape[-1]
    ROWS.softmax_back(dx, ordered(g), out, out.size // m, m)
    return dx,


@kernel(log_softmax, engine="c")
def _(x, dim=None, dtype=None):
    if dtype is not None or not last(x, dim): return DECLINED
    out, m = np.empty_like(x), x.shape[-1]
    ROWS.log_softmax(out, x, x.size // m, m)
    return out


@kernel(log_softmax, engine="c", gradient=True)
def _(g, out, _x, dim):
    if not last(out, dim) or g.dtype != out.dtype: return DECLINED
    dx, m = np.empty_like(out), out.shape[-1]
    ROWS.log_softmax_back(dx, ordered(g), out, out.size // m, m)
    return dx,


def labelled(x, target) -> bool:
    """Whether scores and labels are what the kernels of the loss were written for."""
    return (plain(x) and x.ndim == 2 and type(target) is np.ndarray and target.shape == x.shape[:1]
            and target.dtype == np.int64 and target.flags.c_contiguous and x.size > 0)


@kernel(surprise, engine="c")
def _(x, target, ignore_index=-100):
    if not labelled(x, target): return DECLINED
    n, m = x.shape
    out, totals = np.empty_like(x, shape=n), np.empty_like(x, shape=(n, 1))
    if not ROWS.surprise(out, totals, x, target, n, m, ignore_index): return DECLINED
    return Kept(out, totals)


@kernel(surprise, engine="c", gradient=True)
def _(g, _out, x, target, ignore_index, kept):
    if not labelled(x, target) or g.dtype != x.dtype: return DECLINED
    dx = np.empty_like(x)
    ROWS.surprise_back(dx, ordered(g), kept[0], x, target, *x.shape, ignore_index)
    return dx, None


def as_rows_of(x, last: int) -> tuple[int, int]:
    """How many rows the last dimensions make of an array, and how long they are."""
    m = math.prod(x.shape[x.ndim - last :])
    return x.size // max(m, 1), m


@kernel(standardize, engine="c")
def _(x, weight=None, bias=None, last=1, eps=1e-5):
    weight, bias, shape = perhaps(weight), perhaps(bias), x.shape[: x.ndim - last]
    if not plain(x, weight, bias) or x.size == 0 or (bias.size and not weight.size): return DECLINED
    out, mean, scale = np.empty_like(x), *[np.empty_like(x, shape=(*shape, 1)) for _ in range(2)]
    ROWS.standardize(out, mean, scale, x, weight, bias, *as_rows_of(x, last), eps)
    return Kept(out, mean, scale)


@kernel(standardize, engine="c", gradient=True)
def _(g, _out, x, weight, _bias, last, kept):
    if not plain(x, perhaps(weight)) or x.size == 0 or g.dtype != x.dtype: return DECLINED
    n, m = as_rows_of(x, last)
    dx, dw, db = np.empty_like(x), *[np.empty_like(x, shape=x.shape[x.ndim - last :]) for _ in range(2)]
    ROWS.standardize_back(dx, dw, db, ordered(g), x, *kept, perhaps(weight), n, m)
    return dx, dw, db


@kernel(rescale, engine="c")
def _(x, weight=None, last=1, eps=1e-5):
    weight = perhaps(weight)
    if not plain(x, weight) or x.size == 0: return DECLINED
    out, scale = np.empty_like(x), np.empty_like(x, shape=(*x.shape[: x.ndim - last], 1))
    ROWS.rescale(out, scale, x, weight, *as_rows_of(x, last), eps)
    return Kept(out, scale)


@kernel(rescale, engine="c", gradient=True)
def _(g, _out, x, weight, last, kept):
    if not plain(x, perhaps(weight)) or x.size == 0 or g.dtype != x.dtype: return DECLINED
    n, m = as_rows_of(x, last)
    dx, dw = np.empty_like(x), np.empty_like(x, shape=x.shape[x.ndim - last :])
    ROWS.rescale_back(dx, dw, ordered(g), x, *kept, perhaps(weight), n, m)
    return dx, dw
