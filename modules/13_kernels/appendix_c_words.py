# %% [markdown]
# # Appendix: a word in one call
#
# Who serves a GPT reads one word of each text at a time (lesson 16, appendix `quick`): layer after layer,
# some twenty ops on a few hundred numbers each. NumPy is done with each in a microsecond, and it takes
# another two to ask. Here a layer is one call.
#
# The matrices are all of the work. Cut into **panels** of 32 columns, which lie one behind the other, they
# are read from front to back, each number once: a row at a time for a few texts, by tiles in registers for
# many. Keys before the start of a text are left out, so nothing has to be hidden.

# %%
#| export
"""A layer of a GPT for one word of each text, in one call."""

# %%
#| export
from __future__ import annotations

import numpy as np

from tinytorch.c_tiles import TILES
from tinytorch.compiling import Library, NoCompiler

PANEL = 32                              # columns

# %%
#| export
LAYER = Library("layer", r"""
#define FEW 4                               // rows, below which tiles would be empty for the most part
#define PANEL 32                            // columns of a panel

// out += x (deep) @ w (deep, PANEL), four rows of w at a time
static inline void strip(int64_t deep, const float *x, const float *w, float *out) {
    lanes sum[4][PANEL / LANES] = {0};
    for (int64_t i = 0; i < deep; i += 4, w += 4 * PANEL)
        for (int u = 0; u < 4; u++)
            for (int l = 0; l < PANEL / LANES; l++)
                sum[u][l] += x[i + u] * *(const lanes *)(w + u * PANEL + l * LANES);
    for (int l = 0; l < PANEL / LANES; l++)
        *(lanes *)(out + l * LANES) += (sum[0][l] + sum[1][l]) + (sum[2][l] + sum[3][l]);
}

// out (rows, wide) = x (rows, deep) @ w (deep, wide) + b; x and out have room for whole tiles.
static inline void product(int64_t rows, int64_t deep, int64_t wide, const float *x, const float *w,
                           const float *b, float *out) {
    for (int64_t r = 0; r < rows; r++) memcpy(out + r * wide, b, wide * sizeof(float));
    for (int64_t c = 0; c < wide; c += PANEL, w += deep * PANEL)
        if (rows < FEW)
            for (int64_t r = 0; r < rows; r++) strip(deep, x + r * deep, w, out + r * wide + c);
        else
            tiles(rows, PANEL, deep, x, deep, 1, w, PANEL, out + c, wide, 1);
}

static inline void norm(int64_t rows, int64_t n, const float *x, float eps, float *out) {
    for (int64_t r = 0; r < rows; r++, x += n, out += n) {
        float mean = 0, square = 0;
        SIMD(reduction(+ : mean)) for (int64_t i = 0; i < n; i++) mean += x[i];
        mean /= n;
        SIMD(reduction(+ : square)) for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
        float factor = 1 / sqrtf(square / n + eps);
        SIMD() for (int64_t i = 0; i < n; i++) out[i] = (x[i] - mean) * factor;
    }
}

// What a query sees of the keys and values of its text, which are `step` floats from each other.
static inline void look(int64_t columns, int64_t n, const float *q, const float *keys, const float *values,
                        int64_t step, float *scores, float *out) {
    float most = -INFINITY, all = 0;
    for (int64_t c = 0; c < columns; c++) {
        float sum = 0;
        SIMD(reduction(+ : sum)) for (int64_t i = 0; i < n; i++) sum += q[i] * keys[c * step + i];
        scores[c] = sum;
        most = sum > most ? sum : most;
    }
    SIMD(reduction(+ : all)) for (int64_t c = 0; c < columns; c++) {
        scores[c] = exp_(scores[c] - most);
        all += scores[c];
    }
    memset(out, 0, n * sizeof(float));
    for (int64_t c = 0; c < columns; c++) {
        float share = scores[c] / all;
        SIMD() for (int64_t i = 0; i < n; i++) out[i] += share * values[c * step + i];
    }
}

// x (B, C) goes through a layer; store is (2, B, heads, room, C / heads).
KERNEL void through(array *xs, array *store, array *starts, array *look_w, array *look_b, array *merge_w,
                    array *merge_b, array *widen_w, array *widen_b, array *narrow_w, array *narrow_b,
                    int64_t old, float eps_1, float eps_2) {
    int64_t B = xs->shape[0], C = xs->shape[1], heads = store->shape[2], n = C / heads;
    int64_t R = whole(B, HIGH), *by = store->strides;
    float *x = FLOATS(xs), *normed = calloc(7 * R * C + old + 1 + WIDE, sizeof(float));
    float *wide = normed + R * C, *seen = wide + 4 * R * C, *back = seen + R * C, *scores = back + R * C;
    norm(B, C, x, eps_1, normed);
    product(B, C, 3 * C, normed, FLOATS(look_w), FLOATS(look_b), wide);
    for (int64_t b = 0; b < B; b++)
        for (int64_t h = 0; h < heads; h++) {
            const float *q = wide + b * 3 * C + h * n;
            char *keys = (char *)store->data + b * by[1] + h * by[2], *values = keys + by[0];
            memcpy(keys + old * by[3], q + C, n * sizeof(float));
            memcpy(values + old * by[3], q + 2 * C, n * sizeof(float));
            int64_t first = INTS(starts)[b];
            look(old + 1 - first, n, q, (float *)(keys + first * by[3]), (float *)(values + first * by[3]),
                 by[3] / (int64_t)sizeof(float), scores, seen + b * C + h * n);
        }
    product(B, C, C, seen, FLOATS(merge_w), FLOATS(merge_b), back);
    SIMD() for (int64_t i = 0; i < B * C; i++) x[i] += back[i];
    norm(B, C, x, eps_2, normed);
    product(B, C, 4 * C, normed, FLOATS(widen_w), FLOATS(widen_b), wide);
    SIMD() for (int64_t i = 0; i < B * 4 * C; i++) {
        float u = wide[i] * (0.797884561f + 0.0356774081f * wide[i] * wide[i]);
        wide[i] *= 2 * sigmoid_(2 * u);                             // 1 + tanh(u)
    }
    product(B, 4 * C, C, wide, FLOATS(narrow_w), FLOATS(narrow_b), back);
    SIMD() for (int64_t i = 0; i < B * C; i++) x[i] += back[i];
    free(normed);
}
""", header=TILES)


def there() -> bool:
    """Whether it could be compiled."""
    try: return bool(LAYER.through)
    except NoCompiler: return False


def in_panels(matrix):
    """A matrix as the layer reads it.  (in, out) -> (out / PANEL, in, PANEL)"""
    return np.ascontiguousarray(matrix.reshape(len(matrix), -1, PANEL).swapaxes(0, 1))
