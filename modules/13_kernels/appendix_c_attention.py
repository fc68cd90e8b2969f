# %% [markdown]
# # Appendix: attention without its square
#
# The scores of 1,000 queries and 1,000 keys are a million numbers, and the plain body writes them to memory
# and walks over them seven times. But nobody wants them: a query wants its mixture of values. So a block of
# 32 queries is done from its scores to its mixtures, and then its scores are forgotten (Dao and others,
# 2022, **flash attention**). They never leave the cache. Keys that a mask hides from the whole block are
# not even looked at; behind a causal mask that is half of them.
#
# On the way back the scores are made once more, as the forward has kept the logarithm of each row's sum.
# That is arithmetic, and arithmetic is cheap.

# %%
#| export
"""Attention in blocks of queries, both ways, and the gradient of a table of rows."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.attention import attend
from tinytorch.c_tiles import TILES
from tinytorch.column import DECLINED, kernel
from tinytorch.compiling import FLOAT32, NOTHING, Library, ordered, plain
from tinytorch.rules_attention import add_rows, attend_shortcut
from tinytorch.tensor import Kept

# %%
#| export
LOOK = Library("attention", r"""
#define BLOCK 32                            // queries that are done together

// How many keys some query of the block may look at, from the first to the last.
static int64_t last_key(const float *mask, int64_t step, int64_t rows, int64_t keys) {
    int64_t last = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = keys; j > last; j--) if (mask[r * step + j - 1] != -INFINITY) last = j;
    return last;
}

KERNEL void attend(array *outs, array *totals, array *qs, array *ks, array *vs, array *masks, array *keeps,
                   float scale, int64_t n) {
    int64_t T = rows_of(qs), S = rows_of(ks), E = columns_of(ks), V = columns_of(vs);
    int64_t pitch = whole(S, WIDE), v_pitch = whole(V, WIDE);
    int64_t masked = masks->ndim > 1, kept = keeps->ndim > 1;
    float *keys = room(E * pitch), *values = room(S * v_pitch), *q = room(BLOCK * E);
    float *scores = room(BLOCK * pitch), *out = room(BLOCK * v_pitch);
    for (int64_t i = 0; i < n; i++) {
        turn_rows(keys, pitch, matrix(ks, i), row_step(ks), S, E);
        copy_rows(values, v_pitch, matrix(vs, i), row_step(vs), S, V, 1);
        for (int64_t t = 0; t < T; t += BLOCK) {
            int64_t rows = T - t < BLOCK ? T - t : BLOCK, last = S;
            const float *mask = masked ? matrix(masks, i) + t * row_step(masks) : 0;
            const float *keep = kept ? matrix(keeps, i) + t * row_step(keeps) : 0;
            if (mask) last = last_key(mask, row_step(masks), rows, S);
            copy_rows(q, E, matrix(qs, i) + t * row_step(qs), row_step(qs), rows, E, scale);
            memset(q + rows * E, 0, (BLOCK - rows) * E * sizeof(float));
            tiles(rows, last, E, q, E, 1, keys, pitch, scores, pitch, 0);
            for (int64_t r = 0; r < rows; r++) {
                float *x = scores + r * pitch, top = -INFINITY, total = 0;
                if (mask) SIMD() for (int64_t j = 0; j < last; j++) x[j] += mask[r * row_step(masks) + j];
                SIMD(reduction(max : top)) for (int64_t j = 0; j < last; j++) top = x[j] > top ? x[j] : top;
                top = top < -3.4e38f ? -3.4e38f : top;              // finite, even of -infinity
                SIMD(reduction(+ : total))
                for (int64_t j = 0; j < last; j++) total += x[j] = exp_(x[j] - top);
                if (total == 0) total = 1;
                FLOATS(totals)[i * T + t + r] = top + logf(total);
                SIMD() for (int64_t j = 0; j < last; j++) x[j] /= total;
                if (keep) SIMD() for (int64_t j = 0; j < last; j++) x[j] *= keep[r * row_step(keeps) + j];
            }
            tiles(rows, V, last, scores, pitch, 1, values, v_pitch, out, v_pitch, 0);
            give_rows(matrix(outs, i) + t * row_step(outs), row_step(outs), out, v_pitch, rows, V, 1);
        }
    }
    free(keys); free(values); free(q); free(scores); free(out);
}

KERNEL void attend_back(array *dqs, array *dks, array *dvs, array *gs, array *outs, array *totals, array *qs,
                        array *ks, array *vs, array *masks, array *keeps, float scale, int64_t n) {
    int64_t T = rows_of(qs), S = rows_of(ks), E = columns_of(ks), V = columns_of(vs);
    int64_t pitch = whole(S, WIDE), e_pitch = whole(E, WIDE), v_pitch = whole(V, WIDE);
    int64_t masked = masks->ndim > 1, kept = keeps->ndim > 1;
    float *turned = room(E * pitch), *keys = room(S * e_pitch), *values = room(V * pitch);
    float *q = room(BLOCK * e_pitch), *g = room(BLOCK * v_pitch);
    float *shares = room(BLOCK * pitch), *rewards = room(BLOCK * pitch);
    float *dq = room(BLOCK * e_pitch), *dk = room(pitch * e_pitch), *dv = room(pitch * v_pitch);
    for (int64_t i = 0; i < n; i++) {
        turn_rows(turned, pitch, matrix(ks, i), row_step(ks), S, E);
        copy_rows(keys, e_pitch, matrix(ks, i), row_step(ks), S, E, 1);
        turn_rows(values, pitch, matrix(vs, i), row_step(vs), S, V);
        memset(dk, 0, pitch * e_pitch * sizeof(float));
        memset(dv, 0, pitch * v_pitch * sizeof(float));
        for (int64_t t = 0; t < T; t += BLOCK) {
            int64_t rows = T - t < BLOCK ? T - t : BLOCK, last = S;
            const float *mask = masked ? matrix(masks, i) + t * row_step(masks) : 0;
            const float *keep = kept ? matrix(keeps, i) + t * row_step(keeps) : 0;
            if (mask) last = last_key(mask, row_step(masks), rows, S);
            copy_rows(q, e_pitch, matrix(qs, i) + t * row_step(qs), row_step(qs), rows, E, scale);
            copy_rows(g, v_pitch, matrix(gs, i) + t * row_step(gs), row_step(gs), rows, V, 1);
            memset(q + rows * e_pitch, 0, (BLOCK - rows) * e_pitch * sizeof(float));
            memset(g + rows * v_pitch, 0, (BLOCK - rows) * v_pitch * sizeof(float));
            tiles(rows, last, E, q, e_pitch, 1, turned, pitch, shares, pitch, 0);
            tiles(rows, last, V, g, v_pitch, 1, values, pitch, rewards, pitch, 0);
            for (int64_t r = 0; r < rows; r++) {
                float *x = shares + r * pitch, *reward = rewards + r * pitch;
                float total = FLOATS(totals)[i * T + t + r], along = 0;
                const float *o = matrix(outs, i) + (t + r) * row_step(outs), *d = g + r * v_pitch;
                SIMD(reduction(+ : along)) for (int64_t c = 0; c < V; c++) along += d[c] * o[c];
                if (mask) SIMD() for (int64_t j = 0; j < last; j++) x[j] += mask[r * row_step(masks) + j];
                SIMD() for (int64_t j = 0; j < last; j++) x[j] = exp_(x[j] - total);
                if (keep) {
                    const float *stay = keep + r * row_step(keeps);
                    SIMD() for (int64_t j = 0; j < last; j++) {
                        float weight = x[j];
                        x[j] = weight * stay[j];
                        reward[j] = weight * (reward[j] * stay[j] - along);
                    }
                }
                else SIMD() for (int64_t j = 0; j < last; j++) reward[j] = x[j] * (reward[j] - along);
                for (int64_t j = last; j < whole(last, HIGH); j++) x[j] = reward[j] = 0; // fill the tile
            }
            tiles(rows, E, last, rewards, pitch, 1, keys, e_pitch, dq, e_pitch, 0);
            tiles(last, E, rows, rewards, 1, pitch, q, e_pitch, dk, e_pitch, 1);
            tiles(last, V, rows, shares, 1, pitch, g, v_pitch, dv, v_pitch, 1);
            give_rows(matrix(dqs, i) + t * row_step(dqs), row_step(dqs), dq, e_pitch, rows, E, scale);
        }
        give_rows(matrix(dks, i), row_step(dks), dk, e_pitch, S, E, 1);         // q was scaled already
        give_rows(matrix(dvs, i), row_step(dvs), dv, v_pitch, S, V, 1);
    }
    free(turned); free(keys); free(values); free(q); free(g);
    free(shares); free(rewards); free(dq); free(dk); free(dv);
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

# %% [markdown]
# Queries, keys and values are often views: heads that lie side by side in memory. The kernel walks by their
# strides; only the numbers of a row have to be next to each other.

# %%
#| export
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

# %% [markdown]
# The gradient of an embedding adds up the rows that went to the same word. NumPy has to sort them first.
# Here they are added where they belong, one after the other.

# %%
#| export
@kernel(add_rows, engine="c")
def _(rows, ids, n):
    if not plain(rows) or rows.ndim < 2: return DECLINED
    if ids.dtype != np.int64 or not ids.flags.c_contiguous: return DECLINED
    out = np.empty_like(rows, shape=(n, rows.shape[-1]))
    return out if LOOK.add_rows(out, rows, ids, ids.size, n, rows.shape[-1]) else DECLINED
