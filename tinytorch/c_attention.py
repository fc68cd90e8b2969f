# Generated from modules/13_kernels/appendix_c_attention.py by `tito export`. Edit that file, not this one.
"""Attention in blocks of queries, both ways, and the gradient of a table of rows."""

from __future__ import annotations

import math

import numpy as np

from .attention import attend
from .c_tiles import TILES
from .column import DECLINED, kernel
from .compiling import FLOAT32, NOTHING, Library, ordered, plain
from .rules_attention import add_rows, attend_shortcut
from .tensor import Kept

__all__ = ["LOOK", "stacked", "spread", "looks"]


LOOK = Library("attention", r"""
#define BLOCK 32                            // queries that are done together …
#define FEW 4                               // … if there are as many as that

// Behind which key of the S no query of a block may look, for each block of the T queries.
static void last_keys(int64_t *last, const float *mask, int64_t step, int64_t T, int64_t S) {
    for (int64_t t = 0; t < T; t++) {
        int64_t *end = last + t / BLOCK, j = S;
        if (t % BLOCK == 0) *end = 0;
        while (j > *end && mask[t * step + j - 1] == -INFINITY) j--;
        *end = j;
    }
}

// What each of the masks is: its rows, or, where there is none, one row that changes nothing for all queries.
typedef struct { const array *x; float *row; int64_t step; } look;
static look look_at(const array *x, int64_t n, float neutral) {
    if (x->ndim > 1) return (look){x, 0, row_step(x)};
    float *row = room(n);
    for (int64_t j = 0; j < n; j++) row[j] = neutral;
    return (look){x, row, 0};
}
static inline const float *looks(look all, int64_t i) { return all.row ? all.row : matrix(all.x, i); }

// Makes scores to weights, which are not yet divided by their sum. What they are to be divided by goes to
// `sum`; the logarithm of all that there was of it is given back.
static inline float soften(float *restrict x, const float *restrict mask, const float *restrict keep,
                           int64_t n, float *sum) {
    float top = -INFINITY, total = 0;
    SIMD(reduction(max : top)) for (int64_t j = 0; j < n; j++) {
        x[j] += mask[j];
        top = x[j] > top ? x[j] : top;
    }
    top = top < -3.4e38f ? -3.4e38f : top;                          // finite, even of -infinity
    SIMD(reduction(+ : total)) for (int64_t j = 0; j < n; j++) {
        float weight = exp_(x[j] - top);
        total += weight;
        x[j] = weight * keep[j];
    }
    *sum = total == 0 ? 1 : total;
    return top + logf(*sum);
}

static inline float row_dot(const float *x, const float *y, int64_t n) {
    float sum = 0;
    SIMD(reduction(+ : sum)) for (int64_t j = 0; j < n; j++) sum += x[j] * y[j];
    return sum;
}

// One query, where there are too few for a tile: keys and values are read where they lie. -> the logarithm
static float look_alone(float *restrict out, const float *q, const float *keys, int64_t key_step,
                        const float *values, int64_t value_step, const float *mask, const float *keep,
                        float *scores, int64_t E, int64_t V, int64_t n, float scale) {
    float sum;
    for (int64_t j = 0; j < n; j++) scores[j] = scale * row_dot(q, keys + j * key_step, E);
    float total = soften(scores, mask, keep, n, &sum);
    memset(out, 0, V * sizeof(float));
    for (int64_t j = 0; j < n; j++) {
        const float *restrict value = values + j * value_step;
        float weight = scores[j] / sum;
        SIMD() for (int64_t c = 0; c < V; c++) out[c] = FMA(weight, value[c], out[c]);
    }
    return total;
}

KERNEL void attend(array *outs, array *totals, array *qs, array *ks, array *vs, array *masks, array *keeps,
                   float scale, int64_t n) {
    int64_t T = rows_of(qs), S = rows_of(ks), E = columns_of(ks), V = columns_of(vs);
    int64_t pitch = whole(S, WIDE), v_pitch = whole(V, WIDE), last[whole(T, BLOCK) / BLOCK];
    float *keys = room(E * pitch), *values = room(S * v_pitch), *q = room(BLOCK * E), sums[BLOCK];
    float *scores = room(BLOCK * pitch), *out = room(BLOCK * v_pitch);
    look masked = look_at(masks, S, 0), kept = look_at(keeps, S, 1);
    const float *known = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *mask = looks(masked, i), *keep = looks(kept, i);
        if (mask != known) last_keys(last, known = mask, masked.step, T, S);
        for (int64_t t = 0; t < T && T < FEW; t++)
            FLOATS(totals)[i * T + t] = look_alone(
                matrix(outs, i) + t * row_step(outs), matrix(qs, i) + t * row_step(qs), matrix(ks, i),
                row_step(ks), matrix(vs, i), row_step(vs), mask + t * masked.step, keep + t * kept.step,
                scores, E, V, last[0], scale);
        if (T < FEW) continue;
        turn_rows(keys, pitch, matrix(ks, i), row_step(ks), S, E);
        copy_rows(values, v_pitch, matrix(vs, i), row_step(vs), S, V, 1);
        for (int64_t t = 0; t < T; t += BLOCK) {
            int64_t rows = T - t < BLOCK ? T - t : BLOCK, m = last[t / BLOCK];
            copy_rows(q, E, matrix(qs, i) + t * row_step(qs), row_step(qs), rows, E, scale);
            memset(q + rows * E, 0, (BLOCK - rows) * E * sizeof(float));
            tiles(rows, m, E, q, E, 1, keys, pitch, scores, pitch, 0);
            for (int64_t r = 0; r < rows; r++)
                FLOATS(totals)[i * T + t + r] = soften(scores + r * pitch, mask + (t + r) * masked.step,
                                                       keep + (t + r) * kept.step, m, sums + r);
            tiles(rows, V, m, scores, pitch, 1, values, v_pitch, out, v_pitch, 0);
            for (int64_t r = 0; r < rows; r++)
                give_rows(matrix(outs, i) + (t + r) * row_step(outs), 0, out + r * v_pitch, 0, 1, V,
                          1 / sums[r]);
        }
    }
    free(keys); free(values); free(q); free(scores); free(out); free(masked.row); free(kept.row);
}

// A row on the way back: its weights again, and the gradients of its scores over the rewards.
static inline void harden(float *restrict x, float *restrict reward, const float *restrict mask,
                          const float *restrict keep, int64_t n, float total, float along) {
    SIMD() for (int64_t j = 0; j < n; j++) {
        float weight = exp_(x[j] + mask[j] - total);
        x[j] = weight * keep[j];
        reward[j] = weight * (reward[j] * keep[j] - along);
    }
    for (int64_t j = n; j < whole(n, HIGH); j++) x[j] = reward[j] = 0;      // fill the tile
}

KERNEL void attend_back(array *dqs, array *dks, array *dvs, array *gs, array *outs, array *totals, array *qs,
                        array *ks, array *vs, array *masks, array *keeps, float scale, int64_t n) {
    int64_t T = rows_of(qs), S = rows_of(ks), E = columns_of(ks), V = columns_of(vs);
    int64_t pitch = whole(S, WIDE), e_pitch = whole(E, WIDE), v_pitch = whole(V, WIDE);
    int64_t last[whole(T, BLOCK) / BLOCK];
    float *turned = room(E * pitch), *keys = room(S * e_pitch), *values = room(V * pitch);
    float *q = room(BLOCK * e_pitch), *g = room(BLOCK * v_pitch);
    float *shares = room(BLOCK * pitch), *rewards = room(BLOCK * pitch);
    float *dq = room(BLOCK * e_pitch), *dk = room(pitch * e_pitch), *dv = room(pitch * v_pitch);
    look masked = look_at(masks, S, 0), kept = look_at(keeps, S, 1);
    const float *known = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *mask = looks(masked, i), *keep = looks(kept, i);
        if (mask != known) last_keys(last, known = mask, masked.step, T, S);
        turn_rows(turned, pitch, matrix(ks, i), row_step(ks), S, E);
        copy_rows(keys, e_pitch, matrix(ks, i), row_step(ks), S, E, 1);
        turn_rows(values, pitch, matrix(vs, i), row_step(vs), S, V);
        memset(dk, 0, pitch * e_pitch * sizeof(float));
        memset(dv, 0, pitch * v_pitch * sizeof(float));
        for (int64_t t = 0; t < T; t += BLOCK) {
            int64_t rows = T - t < BLOCK ? T - t : BLOCK, m = last[t / BLOCK];
            copy_rows(q, e_pitch, matrix(qs, i) + t * row_step(qs), row_step(qs), rows, E, scale);
            copy_rows(g, v_pitch, matrix(gs, i) + t * row_step(gs), row_step(gs), rows, V, 1);
            memset(q + rows * e_pitch, 0, (BLOCK - rows) * e_pitch * sizeof(float));
            memset(g + rows * v_pitch, 0, (BLOCK - rows) * v_pitch * sizeof(float));
            tiles(rows, m, E, q, e_pitch, 1, turned, pitch, shares, pitch, 0);
            tiles(rows, m, V, g, v_pitch, 1, values, pitch, rewards, pitch, 0);
            for (int64_t r = 0; r < rows; r++)
                harden(shares + r * pitch, rewards + r * pitch, mask + (t + r) * masked.step,
                       keep + (t + r) * kept.step, m, FLOATS(totals)[i * T + t + r],
                       row_dot(g + r * v_pitch, matrix(outs, i) + (t + r) * row_step(outs), V));
            tiles(rows, E, m, rewards, pitch, 1, keys, e_pitch, dq, e_pitch, 0);
            tiles(m, E, rows, rewards, 1, pitch, q, e_pitch, dk, e_pitch, 1);
            tiles(m, V, rows, shares, 1, pitch, g, v_pitch, dv, v_pitch, 1);
            give_rows(matrix(dqs, i) + t * row_step(dqs), row_step(dqs), dq, e_pitch, rows, E, scale);
        }
        give_rows(matrix(dks, i), row_step(dks), dk, e_pitch, S, E, 1);         // q was scaled already
        give_rows(matrix(dvs, i), row_step(dvs), dv, v_pitch, S, V, 1);
    }
    free(turned); free(keys); free(values); free(q); free(g); free(shares); free(rewards);
    free(dq); free(dk); free(dv); free(masked.row); free(kept.row);
}

KERNEL int64_t add_rows(array *outs, array *xs, array *ids, int64_t n, int64_t places, int64_t width) {
    memset(outs->data, 0, places * width * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        int64_t place = INTS(ids)[i];
        if (place < 0 || place >= places) return 0;
        float *restrict out = FLOATS(outs) + place * width, *restrict x = FLOATS(xs) + i * width;
        SIMD() for (int64_t j = 0; j < width; j++) out[j] += x[j];
    }
    return 1;
}
""", TILES)


def stacked(lead: tuple, *arrays) -> bool:
    """Whether these are stacks of as many matrices of float32, with rows in one piece."""
    for x in arrays:
        if type(x) is not np.ndarray or x.dtype != FLOAT32 or x.shape[:-2] != lead: return False
        if x.strides[-1] != 4: return False
    return True


def spread(x, shape: tuple):
    """A mask over all stacks, without a copy; nothing where there is none."""
    return NOTHING if x is None else np.broadcast_to(x, shape)


def looks(query, key, value, mask, keep):
    """The masks as the kernel wants them, or None if it does not want them at all."""
    if 0 in (query.size, key.size, value.size) or query.ndim < 2: return None
    lead, shape = query.shape[:-2], (*query.shape[:-1], key.shape[-2])
    if not stacked(lead, query, key, value): return None
    for x in (mask, keep):
        if x is not None and (x.ndim > len(shape) or not stacked(x.shape[:-2], np.atleast_2d(x))): return None
        if x is not None and (x.shape[-1:] != shape[-1:] or shape[-1] == 1): return None
    return spread(mask, shape), spread(keep, shape)


@kernel(attend, engine="c")
def _(query, key, value, mask=None, keep=None, *, scale=None):
    masks = looks(query, key, value, mask, keep)
    if masks is None: return DECLINED
    if scale is None: scale = 1 / math.sqrt(query.shape[-1])
    out = np.empty_like(query, shape=(*query.shape[:-1], value.shape[-1]))
    totals = np.empty(query.shape[:-1] + (1,), FLOAT32)
    if out.strides[-1] != 4: return DECLINED
    LOOK.attend(out, totals, query, key, value, *masks, scale, math.prod(query.shape[:-2]))
    return Kept(out, totals)


@kernel(attend, engine="c", gradient=True)
def _(g, out, query, key, value, mask, keep, scale, kept):
    masks, asked = looks(query, key, value, mask, keep), scale
    if masks is None or not plain(kept[0]): return DECLINED
    if scale is None: scale = 1 / math.sqrt(query.shape[-1])
    if not stacked(query.shape[:-2], g): g = ordered(g)
    grads = [np.empty_like(x) for x in (query, key, value)]
    if not stacked(query.shape[:-2], g, out, *grads): return DECLINED
    LOOK.attend_back(*grads, g, out, kept[0], query, key, value, *masks, scale, math.prod(query.shape[:-2]))

    def others(place):                      # the gradient of a mask is a square: the shortcut makes it
        return lambda: attend_shortcut(g, out, query, key, value, mask, keep, asked, kept)[place]()
    return *grads, others(3), others(4)


@kernel(add_rows, engine="c")
def _(rows, ids, n):
    if not plain(rows) or rows.ndim < 2: return DECLINED
    if ids.dtype != np.int64 or not ids.flags.c_contiguous: return DECLINED
    out = np.empty_like(rows, shape=(n, rows.shape[-1]))
    return out if LOOK.add_rows(out, rows, ids, ids.size, n, rows.shape[-1]) else DECLINED
