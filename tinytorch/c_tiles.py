# Generated from modules/13_kernels/appendix_c_tiles.py by `tito export`. Edit that file, not this one.
"""A product of a few rows that stays in registers, for kernels that have products inside."""

from .compiling import HEADER

__all__ = ["TILES"]


TILES = HEADER + r"""
#if defined(__AVX512F__)
#define LANES 16                            // floats in a register
#define REGISTERS 32
#elif defined(__AVX__)
#define LANES 8
#define REGISTERS 16
#elif defined(__aarch64__)
#define LANES 4
#define REGISTERS 32
#else
#define LANES 4
#define REGISTERS 16
#endif
#define HIGH (REGISTERS / 4)                // rows of a tile
#define WIDE (2 * LANES)                    // columns of a tile
typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static inline int64_t whole(int64_t n, int64_t part) { return (n + part - 1) / part * part; }
static inline float *room(int64_t n) {
    int64_t bytes = whole(n + WIDE, LANES) * (int64_t)sizeof(float);
#ifdef _WIN32
    return (float *)malloc(bytes);
#else
    return (float *)aligned_alloc(4 * LANES, bytes);    // or a register would cross lines of the cache
#endif
}

// out[r][c] = the sum over k < depth of a[r * across + k * along] * b[k * pitch + c], for a tile of r and c;
// with `more`, it is added to what is in out.
static inline void tile(int64_t depth, const float *a, int64_t across, int64_t along, const float *b,
                        int64_t pitch, float *out, int64_t out_pitch, int more) {
    lanes sum[HIGH][2];
    for (int r = 0; r < HIGH; r++) {
        const float *old = out + r * out_pitch;
        sum[r][0] = more ? *(const lanes *)old : (lanes){0};
        sum[r][1] = more ? *(const lanes *)(old + LANES) : (lanes){0};
    }
    for (int64_t k = 0; k < depth; k++) {
        const float *here = b + k * pitch, *left = a + k * along;
        lanes b0 = *(const lanes *)here, b1 = *(const lanes *)(here + LANES);
        #pragma GCC unroll 8
        for (int r = 0; r < HIGH; r++) {
            float one = left[r * across];
            sum[r][0] += one * b0;
            sum[r][1] += one * b1;
        }
    }
    for (int r = 0; r < HIGH; r++) {
        float *new = out + r * out_pitch;
        *(lanes *)new = sum[r][0];
        *(lanes *)(new + LANES) = sum[r][1];
    }
}

// All tiles of out (rows, columns), which has room for whole ones.
static inline void tiles(int64_t rows, int64_t columns, int64_t depth, const float *a, int64_t across,
                         int64_t along, const float *b, int64_t pitch, float *out, int64_t out_pitch,
                         int more) {
    for (int64_t c = 0; c < columns; c += WIDE)
        for (int64_t r = 0; r < rows; r += HIGH)
            tile(depth, a + r * across, across, along, b + c, pitch, out + r * out_pitch + c, out_pitch,
                 more);
}

// The beginning of the i-th matrix of a stack of any shape, and the step from row to row.
static inline float *matrix(const array *x, int64_t i) {
    char *at = x->data;
    for (int d = x->ndim - 3; d >= 0; d--) {
        at += i % x->shape[d] * x->strides[d];
        i /= x->shape[d];
    }
    return (float *)at;
}
static inline int64_t row_step(const array *x) { return x->strides[x->ndim - 2] / (int64_t)sizeof(float); }
static inline int64_t rows_of(const array *x) { return x->shape[x->ndim - 2]; }
static inline int64_t columns_of(const array *x) { return x->shape[x->ndim - 1]; }

// Copies rows, scaled, each filled up with zeros to `pitch`; or turned, so that they become columns.
static inline void copy_rows(float *out, int64_t pitch, const float *x, int64_t step, int64_t rows,
                             int64_t columns, float scale) {
    for (int64_t r = 0; r < rows; r++) {
        SIMD() for (int64_t c = 0; c < columns; c++) out[r * pitch + c] = scale * x[r * step + c];
        memset(out + r * pitch + columns, 0, (pitch - columns) * sizeof(float));
    }
}
static inline void turn_rows(float *out, int64_t pitch, const float *x, int64_t step, int64_t rows,
                             int64_t columns) {
    for (int64_t c = 0; c < columns; c++) {
        for (int64_t r = 0; r < rows; r++) out[c * pitch + r] = x[r * step + c];
        memset(out + c * pitch + rows, 0, (pitch - rows) * sizeof(float));
    }
}
// Rows of a matrix that is used often, HIGH of them side by side, so that a tile finds its numbers next to
// each other.
static inline float *side_by_side(const float *w, int64_t rows, int64_t depth) {
    float *packed = room(whole(rows, HIGH) * depth);
    memset(packed, 0, whole(rows, HIGH) * depth * sizeof(float));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < depth; k++)
            packed[(r / HIGH * depth + k) * HIGH + r % HIGH] = w[r * depth + k];
    return packed;
}

// The product of such rows with a matrix of `pitch` columns.
static inline void packed_tiles(int64_t rows, int64_t depth, const float *packed, const float *b,
                                int64_t pitch, float *out) {
    for (int64_t r = 0; r < rows; r += HIGH)
        for (int64_t c = 0; c < pitch; c += WIDE)
            tile(depth, packed + r * depth, 1, HIGH, b + c, pitch, out + r * pitch + c, pitch, 0);
}

static inline void give_rows(float *x, int64_t step, const float *from, int64_t pitch, int64_t rows,
                             int64_t columns, float scale) {
    for (int64_t r = 0; r < rows; r++)
        SIMD() for (int64_t c = 0; c < columns; c++) x[r * step + c] = scale * from[r * pitch + c];
}
"""
