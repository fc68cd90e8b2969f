# Generated from modules/13_kernels/appendix_c_integers.py by `tito export`. Edit that file, not this one.
"""Products of bytes, exact, without a float on the way."""

from __future__ import annotations

import numpy as np

from .column import DECLINED, kernel
from .compiling import Library
from .compression import int8_matmul

__all__ = ["BYTES", "MANY_ROWS"]


BYTES = Library("bytes", r"""
#ifdef __AVX2__
#include <immintrin.h>
#define WIDEN(w) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(w)))
#define PAIRS(x, w) _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(x)), WIDEN(w))
#endif

static inline int32_t dot(const int16_t *x, const int8_t *w, int64_t k) {
    int32_t sum = 0;
    int64_t i = 0;
#ifdef __AVX2__
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (; i + 64 <= k; i += 64) {
        a = _mm256_add_epi32(a, PAIRS(x + i, w + i));
        b = _mm256_add_epi32(b, PAIRS(x + i + 16, w + i + 16));
        c = _mm256_add_epi32(c, PAIRS(x + i + 32, w + i + 32));
        d = _mm256_add_epi32(d, PAIRS(x + i + 48, w + i + 48));
    }
    int32_t eight[8];
    _mm256_storeu_si256((__m256i *)eight, _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d)));
    for (int n = 0; n < 8; n++) sum += eight[n];
#endif
    for (; i < k; i++) sum += x[i] * (int32_t)w[i];
    return sum;
}

KERNEL void multiply(array *outs, array *xs, array *ws, int64_t m, int64_t n, int64_t k) {
    const int8_t *x = xs->data, *w = ws->data;
    int32_t *out = outs->data;
    int16_t *wide = malloc((m * k + 1) * sizeof(int16_t));
    for (int64_t i = 0; i < m * k; i++) wide[i] = x[i];
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) out[i * n + j] = dot(wide + i * k, w + j * k, k);
    free(wide);
}
""")


MANY_ROWS = 16


@kernel(int8_matmul, engine="c")
def _(x, weight):
    for matrix in (x, weight):
        if type(matrix) is not np.ndarray or matrix.dtype != np.int8 or matrix.ndim != 2: return DECLINED
        if not matrix.flags.c_contiguous: return DECLINED
    if len(x) > MANY_ROWS or x.shape[1] != weight.shape[1] or x.shape[1] > 1 << 17: return DECLINED
    out = np.empty_like(x, np.int32, shape=(len(x), len(weight)))
    BYTES.multiply(out, x, weight, *out.shape, x.shape[1])
    return out
