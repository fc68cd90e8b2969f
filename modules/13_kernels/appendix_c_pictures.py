# %% [markdown]
# # Appendix: pictures
#
# Lesson 06 gathered windows into a matrix and had NumPy multiply it. That matrix is nine times as large as
# the pictures, and it is written and read for one product. A kernel need not write it. It hangs a picture
# into a frame of zeros. What window p shows to weight k is then the pixel at `place[p] + step[k]`: two short
# tables say where all of the matrix is. Strides and gaps between weights are other numbers in the tables.
#
# The product below reads its left matrix by such tables, in tiles that stay in registers. It serves three
# times:
#
# | | rows | terms of a sum | right matrix |
# |---|---|---|---|
# | forward | windows | weights of a filter | filters |
# | gradient of the filters | weights of a filter | windows | gradients |
# | gradient of the pictures | pixels | weights that met them | filters, turned round |
#
# The right matrix has a column for each channel that is made, and registers hold neighbouring columns. So
# what comes out has the channels last, where NumPy's arrays have them in front. It is turned in squares, in
# registers, on its way to where it belongs, which takes little beside the product.

# %%
#| export
"""Convolution, pools and norms over channels, both ways."""

# %%
#| export
from __future__ import annotations

import numpy as np

from tinytorch.c_tiles import TILES
from tinytorch.column import DECLINED, kernel
from tinytorch.compiling import Library, ordered, perhaps, plain
from tinytorch.room import each_way, margins
from tinytorch.spatial import conv2d, max_pool2d, places_for, rescale_channels, standardize_channels
from tinytorch.tensor import Kept

# %%
#| export
PICTURES = Library("pictures", r"""
// ------------------------------------------------------------------------------------ the product

#if REGISTERS == 32
#define TALL 8                              // rows of a tile
#define MOST 3                              // panels of a tile
#else
#define TALL 6
#define MOST 2
#endif
#define DEEP 256                            // terms of a sum, until the right matrix would leave the cache

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

typedef struct { int64_t from, to; } row;   // where a row of the left matrix begins, and one of the result

// out[row.to + c] = the sum over d < depth of x[row.from + steps[d]] * right[d][c], for TALL rows. The
// columns of the right matrix lie in panels, one register wide, and a `panel` apart.
static inline __attribute__((always_inline)) void tall_tile(
        const int wide, int64_t depth, const float *x, const row *rows, const int64_t *steps,
        const float *right, int64_t panel, float *out, int more) {
    lanes sum[TALL][MOST];
    const float *left[TALL];
    for (int r = 0; r < TALL; r++) {
        left[r] = x + rows[r].from;
        for (int c = 0; c < wide; c++)
            sum[r][c] = more ? *(const lanes *)(out + rows[r].to + c * LANES) : (lanes){0};
    }
    for (int64_t d = 0; d < depth; d++, right += LANES) {
        int64_t step = steps[d];
        lanes here[MOST];
        for (int c = 0; c < wide; c++) here[c] = *(const lanes *)(right + c * panel);
        #pragma GCC unroll 8
        for (int r = 0; r < TALL; r++)
            for (int c = 0; c < wide; c++) sum[r][c] += left[r][step] * here[c];
    }
    for (int r = 0; r < TALL; r++)
        for (int c = 0; c < wide; c++) *(lanes *)(out + rows[r].to + c * LANES) = sum[r][c];
}

#define TILE(name, wide) static __attribute__((noinline)) void name(                                         \
        int64_t depth, const float *x, const row *rows, const int64_t *steps, const float *right,            \
        int64_t panel, float *out, int more) {                                                               \
    tall_tile(wide, depth, x, rows, steps, right, panel, out, more);                                         \
}
TILE(one_panel, 1)
TILE(two_panels, 2)
TILE(three_panels, MOST)
typedef void tile_of_panels(int64_t, const float *, const row *, const int64_t *, const float *, int64_t,
                            float *, int);

// All tiles. The rows' table goes on to a whole number of tiles.
static void product(int64_t n, const row *rows, int64_t depth, const int64_t *steps, const float *x,
                    const float *right, int64_t panels, int64_t panel, float *out, int more) {
    int64_t parts = depth / DEEP + 1;
    for (int64_t part = 0; part < parts; part++) {
        int64_t first = depth * part / parts, some = depth * (part + 1) / parts - first;
        for (int64_t c = 0, wide; c < panels; c += wide) {
            wide = panels - c == 4 ? 2 : least(panels - c, MOST);           // three and one would take longer
            tile_of_panels *tile = wide == 1 ? one_panel : wide == 2 ? two_panels : three_panels;
            for (int64_t r = 0; r < n; r += TALL)
                tile(some, x, rows + r, steps + first, right + c * panel + first * LANES, panel,
                     out + c * LANES, more || part);
        }
    }
}

// ------------------------------------------------------------------- channels first, channels last

typedef int32_t whole_lanes __attribute__((vector_size(4 * LANES)));
#ifdef __clang__
#define DEAL(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define DEAL(a, b, ...) __builtin_shuffle(a, b, (whole_lanes){__VA_ARGS__})
#endif
#if LANES == 16
#define FIRST_HALVES(a, b) DEAL(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define SECOND_HALVES(a, b) DEAL(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif LANES == 8
#define FIRST_HALVES(a, b) DEAL(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define SECOND_HALVES(a, b) DEAL(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define FIRST_HALVES(a, b) DEAL(a, b, 0, 4, 1, 5)
#define SECOND_HALVES(a, b) DEAL(a, b, 2, 6, 3, 7)
#endif

// Rows of a square become its columns. A round deals the upper half of the rows into the lower, as one does
// with cards: among the bits that say where a number is, the first becomes the last.
static inline __attribute__((always_inline)) void turn(lanes *rows) {
    #pragma GCC unroll 4
    for (int round = 1; round < LANES; round *= 2) {
        lanes dealt[LANES];
        #pragma GCC unroll 8
        for (int r = 0; r < LANES / 2; r++) {
            dealt[2 * r] = FIRST_HALVES(rows[r], rows[r + LANES / 2]);
            dealt[2 * r + 1] = SECOND_HALVES(rows[r], rows[r + LANES / 2]);
        }
        #pragma GCC unroll 16
        for (int r = 0; r < LANES; r++) rows[r] = dealt[r];
    }
}

// x (rows, columns), its rows a `pitch` apart, becomes the right matrix of a product: each row of x is a
// column of that.
static void turned_in(float *panels, int64_t panel, const float *x, int64_t pitch, int64_t rows,
                      int64_t columns) {
    for (int64_t r = 0; r < rows; r += LANES, panels += panel)
        for (int64_t c = 0; c < columns; c += LANES) {
            lanes square[LANES] = {{0}};
            const float *from = x + r * pitch + c;
            int64_t n = least(columns - c, LANES);
            for (int i = 0; i < LANES && r + i < rows; i++, from += pitch)
                if (n == LANES) square[i] = *(const lanes *)from;
                else memcpy(&square[i], from, n * sizeof(float));
            turn(square);
            for (int i = 0; i < n; i++) *(lanes *)(panels + (c + i) * LANES) = square[i];
        }
}

// And back: the columns of a result become the rows of x (rows, columns), and each gets its bias.
static void turned_out(float *x, int64_t rows, int64_t columns, const float *from, int64_t pitch,
                       const float *bias) {
    for (int64_t r = 0; r < rows; r += LANES)
        for (int64_t c = 0; c < columns; c += LANES) {
            lanes square[LANES];
            for (int i = 0; i < LANES; i++) square[i] = *(const lanes *)(from + (c + i) * pitch + r);
            turn(square);
            for (int i = 0; i < LANES && r + i < rows; i++) {
                float *to = x + (r + i) * columns + c;
                if (bias) square[i] += bias[r + i];
                if (c + LANES <= columns) *(lanes *)to = square[i];
                else memcpy(to, &square[i], (columns - c) * sizeof(float));
            }
        }
}

// ---------------------------------------------------------------------------------------- pictures

// A picture in a frame of zeros.
typedef struct {
    int64_t channels, height, width, top, left;         // of the picture, and where in the frame it begins
    int64_t rows, pitch, plane, size;                   // a channel's rows, a row, a channel, all of them
} frame;

static frame framed(int64_t channels, int64_t height, int64_t width, int64_t top, int64_t left, int64_t rows,
                    int64_t pitch) {
    frame f = {channels, height, width, top, left, rows, pitch, whole(rows * pitch, LANES)};
    if (f.plane / LANES % 2 == 0) f.plane += LANES;     // or all would want the same places in the cache
    f.size = channels * f.plane;
    return f;
}

static inline void copy_floats(float *to, const float *from, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) *(lanes *)(to + i) = *(const lanes *)(from + i);
    for (; i < n; i++) to[i] = from[i];
}

// Puts a picture into its frame, as far as it is inside. The zeros are there already.
static void hang(float *wall, const float *x, const frame *f) {
    int64_t above = f->top < 0 ? -f->top : 0, below = least(f->height, f->rows - f->top);
    int64_t near = f->left < 0 ? -f->left : 0, n = least(f->width, f->pitch - f->left) - near;
    for (int64_t c = 0; c < f->channels; c++, wall += f->plane, x += f->height * f->width)
        for (int64_t y = above; y < below; y++)
            copy_floats(wall + (y + f->top) * f->pitch + near + f->left, x + y * f->width + near, n);
}

// What is asked, and what follows from it.
typedef struct {
    int64_t N, C, H, W, O, kh, kw, places_y, places_x;
    int64_t stride_y, stride_x, spread_y, spread_x, top, left;
    int64_t K, P;                                       // weights of a filter, and places
} plan;

static plan planned(const array *xs, const array *ws, const array *outs, const array *hows) {
    const int64_t *how = INTS(hows);
    plan p = {xs->shape[0], xs->shape[1], xs->shape[2], xs->shape[3], ws->shape[0], ws->shape[2],
              ws->shape[3], outs->shape[2], outs->shape[3], how[0], how[1], how[2], how[3], how[4], how[5]};
    p.K = p.C * p.kh * p.kw;
    p.P = p.places_y * p.places_x;
    return p;
}

static frame of_windows(const plan *p) {
    int64_t span_y = (p->kh - 1) * p->spread_y, span_x = (p->kw - 1) * p->spread_x;
    return framed(p->C, p->H, p->W, p->top, p->left, (p->places_y - 1) * p->stride_y + span_y + 1,
                  (p->places_x - 1) * p->stride_x + span_x + 1);
}

// How many pictures are worth being done at once: a few of them, if they are small.
static int64_t at_once(int64_t N, int64_t places) { return least(N, DEEP / places + 1); }

// Where windows begin, picture after picture.
static int64_t *windows(const plan *p, const frame *f, int64_t many) {
    int64_t *found = malloc(many * p->P * sizeof(int64_t)), *at = found;
    for (int64_t m = 0; m < many; m++)
        for (int64_t y = 0; y < p->places_y; y++)
            for (int64_t x = 0; x < p->places_x; x++)
                *at++ = m * f->size + y * p->stride_y * f->pitch + x * p->stride_x;
    return found;
}

// Where in a window each weight looks, in the order of the weights.
static int64_t *looks(const plan *p, const frame *f) {
    int64_t *found = malloc(p->K * sizeof(int64_t)), *at = found;
    for (int64_t c = 0; c < p->C; c++)
        for (int64_t y = 0; y < p->kh; y++)
            for (int64_t x = 0; x < p->kw; x++)
                *at++ = c * f->plane + y * p->spread_y * f->pitch + x * p->spread_x;
    return found;
}

// The rows of a product that begin there, and whose results lie one behind the other.
static row *rows_from(const int64_t *places, int64_t n, int64_t columns) {
    row *rows = malloc(whole(n, TALL) * sizeof(row));
    for (int64_t r = 0; r < n; r++) rows[r] = (row){places[r], r * columns};
    for (int64_t r = n; r < whole(n, TALL); r++) rows[r] = (row){0, n * columns};
    return rows;
}

static float *zeros(int64_t n) { return memset(room(n), 0, n * sizeof(float)); }

// ------------------------------------------------------------------------------------ few filters

// Where all filters fit into one register, a tile of the product loads a pixel for every multiplication. Then
// it is better to have neighbouring places in a register, and to load weights. And what comes of it need not
// be turned. But rows of places must fill registers.
static int suits_broad(int64_t filters, int64_t width, int64_t stride) {
    return filters <= LANES && stride == 1 && 4 * whole(width, LANES) <= 5 * width;
}

typedef struct { int64_t from, to, n; } stretch;        // n places, where they begin, and what comes of them
#define BROAD 3                                         // stretches of a tile

static stretch *stretches(int64_t height, int64_t width, int64_t down, int64_t *n) {
    int64_t each = whole(width, LANES) / LANES;
    stretch *found = calloc(height * each + BROAD, sizeof(stretch));
    *n = height * each;
    for (int64_t i = 0; i < *n; i++) {
        int64_t y = i / each, x = i % each * LANES;
        found[i] = (stretch){y * down + x, y * width + x, least(width - x, LANES)};
    }
    return found;
}

// out[filter][stretch] = bias + the sum over d < depth of w[d][filter] * x[stretch + steps[d]], for HIGH
// filters.
static __attribute__((noinline)) void broad_tile(
        int64_t depth, const float *x, const stretch *some, const int64_t *steps, const float *w, float *out,
        int64_t pitch, int64_t filters, const float *bias) {
    const float *x0 = x + some[0].from, *x1 = x + some[1].from, *x2 = x + some[2].from;
    lanes sum[HIGH][BROAD];
    for (int r = 0; r < HIGH; r++)
        for (int s = 0; s < BROAD; s++) sum[r][s] = (lanes){0} + (bias && r < filters ? bias[r] : 0);
    for (int64_t d = 0; d < depth; d++, w += LANES) {
        int64_t step = steps[d];
        lanes b0 = *(const lanes *)(x0 + step), b1 = *(const lanes *)(x1 + step);
        lanes b2 = *(const lanes *)(x2 + step);
        #pragma GCC unroll 8
        for (int r = 0; r < HIGH; r++) {
            sum[r][0] += w[r] * b0;
            sum[r][1] += w[r] * b1;
            sum[r][2] += w[r] * b2;
        }
    }
    for (int r = 0; r < HIGH && r < filters; r++)
        for (int s = 0; s < BROAD; s++) {
            float *to = out + r * pitch + some[s].to;
            if (some[s].n == LANES) *(lanes *)to = sum[r][s];
            else memcpy(to, &sum[r][s], some[s].n * sizeof(float));
        }
}

// ------------------------------------------------------------------------------------ convolution

// A convolution of framed pictures: n places of each, and filters that look at `depth` pixels from there.
typedef struct {
    int64_t n, depth, *steps, down;         // down: to the next row of places
    row *rows;
    float *w;                               // a right matrix
} look;

static void let_go(look *l) { free(l->steps); free(l->rows); free(l->w); }

// x (N, channels, their places) -> out (N, filters, height * width), by looks that share the places of out.
static void convolved(float *out, int64_t filters, int64_t height, int64_t width, const float *x, int64_t N,
                      const frame *f, const look *all, int64_t count, int64_t many, int broad,
                      const float *bias) {
    int64_t P = height * width, size = f->channels * f->height * f->width, columns = whole(filters, LANES), n;
    float *wall = zeros(many * f->size), *found = room((many * P + LANES) * columns);
    stretch *some = stretches(height, width, all->down, &n);
    for (int64_t first = 0; first < N; first += many) {
        many = least(many, N - first);
        for (int64_t m = 0; m < many; m++, x += size) hang(wall + m * f->size, x, f);
        if (!broad)
            for (const look *l = all; l < all + count; l++)
                product(many * l->n, l->rows, l->depth, l->steps, wall, l->w, columns / LANES,
                        l->depth * LANES, found, 0);
        for (int64_t m = 0; m < many; m++, out += filters * P) {
            if (!broad) turned_out(out, filters, P, found + m * P * columns, columns, bias);
            else for (int64_t s = 0; s < n; s += BROAD)
                for (int64_t o = 0; o < filters; o += HIGH)
                    broad_tile(all->depth, wall + m * f->size, some + s, all->steps, all->w + o, out + o * P,
                               P, filters - o, bias ? bias + o : NULL);
        }
    }
    free(wall); free(found); free(some);
}

KERNEL void conv2d(array *outs, array *xs, array *ws, array *bs, array *how) {
    plan p = planned(xs, ws, outs, how);
    frame f = of_windows(&p);
    int64_t columns = whole(p.O, LANES), many = at_once(p.N, p.P), *places = windows(&p, &f, many);
    look l = {p.P, p.K, looks(&p, &f), p.stride_y * f.pitch, rows_from(places, many * p.P, columns),
              room(p.K * columns)};
    turned_in(l.w, p.K * LANES, FLOATS(ws), p.K, p.O, p.K);
    convolved(FLOATS(outs), p.O, p.places_y, p.places_x, FLOATS(xs), p.N, &f, &l, 1, many,
              suits_broad(p.O, p.places_x, p.stride_x), count(bs) ? FLOATS(bs) : NULL);
    free(places);
    let_go(&l);
}

// ------------------------------------------------------------------- the gradient of the filters

// For each weight, the products of what it met and what came of it, added up. It is the same product, but
// rows and terms have changed places: a row is a weight, and a term is a window.
//
// Few filters are one panel, and again a pixel would be loaded for every multiplication. But weights that are
// neighbours meet a pixel in places that are neighbours. So a row is a row of weights, a term is a pixel, and
// the panels, one for each weight of a row, are the gradients, moved on by a place.
static int suits_shifts(const plan *p) {
    return p->O <= LANES && p->stride_x == 1 && p->spread_x == 1 && p->C * p->kh >= 2 * TALL;
}

static int64_t *pixels(const plan *p, const frame *f, int64_t many) {
    int64_t *found = malloc(many * p->places_y * f->pitch * sizeof(int64_t)), *at = found;
    for (int64_t m = 0; m < many; m++)
        for (int64_t y = 0; y < p->places_y; y++)
            for (int64_t x = 0; x < f->pitch; x++) *at++ = m * f->size + y * p->stride_y * f->pitch + x;
    return found;
}

KERNEL void filters_back(array *dws, array *xs, array *gs, array *how) {
    plan p = planned(xs, dws, gs, how);
    frame f = of_windows(&p);
    int64_t columns = whole(p.O, LANES), many = at_once(p.N, p.P), shifts = suits_shifts(&p) ? p.kw : 1;
    int64_t *places = looks(&p, &f), *steps = shifts > 1 ? pixels(&p, &f, many) : windows(&p, &f, many);
    int64_t terms = shifts > 1 ? p.places_y * f.pitch : p.P, n_rows = p.K / shifts;
    for (int64_t r = 0; r < n_rows; r++) places[r] = places[r * shifts];
    row *rows = rows_from(places, n_rows, shifts * columns);
    float *wall = zeros(many * f.size), *dw = room((p.K + LANES) * columns);
    float *all = zeros((shifts + many * terms) * columns), *g = all + shifts * LANES;   // zeros in front, too
    for (int64_t n = 0; n < p.N; n += many) {
        int64_t some = least(many, p.N - n), panel = shifts > 1 ? -LANES : some * terms * LANES;
        for (int64_t m = 0; m < some; m++) {
            const float *from = FLOATS(gs) + (n + m) * p.O * p.P;
            float *to = g + m * terms * LANES;
            hang(wall + m * f.size, FLOATS(xs) + (n + m) * p.C * p.H * p.W, &f);
            if (shifts == 1) turned_in(to, panel, from, p.P, p.O, p.P);
            else for (int64_t y = 0; y < p.places_y; y++)
                turned_in(to + y * f.pitch * LANES, 0, from + y * p.places_x, p.P, p.O, p.places_x);
        }
        product(n_rows, rows, some * terms, steps, wall, g, shifts * columns / LANES, panel, dw, n > 0);
    }
    turned_out(FLOATS(dws), p.O, p.K, dw, columns, NULL);
    free(places); free(steps); free(rows); free(wall); free(all); free(dw);
}

// ------------------------------------------------------------------- the gradient of the pictures

// Which weights a number has met depends on where it is. With a stride of two there are four kinds of
// numbers, in even and odd rows and columns. To each kind the weights that it met are a smaller filter, and
// its gradient is a plain convolution of what came of it with these.

// Along one way: number i of a kind has met weight k, if at all, at place i + *ahead.
static int met(int64_t phase, int64_t k, int64_t stride, int64_t spread, int64_t before, int64_t *ahead) {
    int64_t from = phase + before - k * spread;
    *ahead = (from < 0 ? from - stride + 1 : from) / stride;
    return from % stride == 0;
}

// The filter of a kind: where its weights look, and the weights, as a right matrix of which the columns are
// channels.
static void look_back(look *l, const plan *p, const frame *f, int64_t phase_y, int64_t phase_x,
                      const float *w) {
    int64_t taps = p->kh * p->kw, ahead_y, ahead_x, *from = malloc(p->O * taps * sizeof(int64_t));
    l->steps = malloc(p->O * taps * sizeof(int64_t));
    l->depth = 0;
    for (int64_t y = 0; y < p->kh; y++)
        for (int64_t x = 0; x < p->kw; x++)
            if (met(phase_y, y, p->stride_y, p->spread_y, p->top, &ahead_y)
                    && met(phase_x, x, p->stride_x, p->spread_x, p->left, &ahead_x))
                for (int64_t o = 0; o < p->O; o++, l->depth++) {
                    from[l->depth] = o * p->K + y * p->kw + x;
                    l->steps[l->depth] = o * f->plane + (ahead_y + f->top) * f->pitch + ahead_x + f->left;
                }
    float *to = l->w = room(l->depth * whole(p->C, LANES));
    for (int64_t c = 0; c < p->C; c += LANES)
        for (int64_t d = 0; d < l->depth; d++, to += LANES)
            for (int64_t i = 0; i < LANES; i++) to[i] = c + i < p->C ? w[from[d] + (c + i) * taps] : 0;
    free(from);
}

// The numbers of a kind, picture after picture.
static void numbers_of(look *l, const plan *p, const frame *f, int64_t phase_y, int64_t phase_x,
                       int64_t many) {
    int64_t high = (p->H - phase_y + p->stride_y - 1) / p->stride_y, columns = whole(p->C, LANES);
    int64_t wide = (p->W - phase_x + p->stride_x - 1) / p->stride_x, n = 0;
    l->n = high * wide;
    l->down = f->pitch;
    l->rows = malloc(whole(many * l->n, TALL) * sizeof(row));
    for (int64_t m = 0; m < many; m++)
        for (int64_t y = 0; y < high; y++)
            for (int64_t x = 0; x < wide; x++) {
                int64_t to = (m * p->H + y * p->stride_y + phase_y) * p->W + x * p->stride_x + phase_x;
                l->rows[n++] = (row){m * f->size + y * f->pitch + x, to * columns};
            }
    while (n < whole(many * l->n, TALL)) l->rows[n++] = (row){0, many * p->H * p->W * columns};
}

static frame of_gradients(const plan *p) {
    int64_t y = p->stride_y, x = p->stride_x;
    int64_t top = ((p->kh - 1) * p->spread_y - p->top + y - 1) / y, high = (p->H - 1 + p->top) / y + 1;
    int64_t left = ((p->kw - 1) * p->spread_x - p->left + x - 1) / x, wide = (p->W - 1 + p->left) / x + 1;
    top = top < 0 ? 0 : top;
    left = left < 0 ? 0 : left;
    return framed(p->O, p->places_y, p->places_x, top, left, top + high, left + wide);
}

KERNEL void pictures_back(array *dxs, array *gs, array *ws, array *how) {
    plan p = planned(dxs, ws, gs, how);
    frame f = of_gradients(&p);
    int64_t kinds_y = least(p.stride_y, p.H), kinds_x = least(p.stride_x, p.W), kinds = kinds_y * kinds_x;
    int64_t many = at_once(p.N, p.H * p.W);
    look *all = malloc(kinds * sizeof(look));
    for (int64_t i = 0; i < kinds; i++) {
        look_back(all + i, &p, &f, i / kinds_x, i % kinds_x, FLOATS(ws));
        numbers_of(all + i, &p, &f, i / kinds_x, i % kinds_x, many);
    }
    convolved(FLOATS(dxs), p.C, p.H, p.W, FLOATS(gs), p.N, &f, all, kinds, many,
              suits_broad(p.C, p.W, kinds), NULL);
    for (int64_t i = 0; i < kinds; i++) let_go(all + i);
    free(all);
}

KERNEL void channel_sums(array *outs, array *xs, int64_t N, int64_t C, int64_t m) {
    for (int64_t c = 0; c < C; c++) {
        double total = 0;
        for (int64_t n = 0; n < N; n++) {
            const float *x = FLOATS(xs) + (n * C + c) * m;
            float sum = 0;
            SIMD(reduction(+ : sum)) for (int64_t i = 0; i < m; i++) sum += x[i];
            total += sum;
        }
        FLOATS(outs)[c] = total;
    }
}

// ---------------------------------------------------------------------------------------- norms

KERNEL void standardize_channels(array *outs, array *means, array *vars, array *xs, array *ws, array *bs,
                                 int64_t N, int64_t C, int64_t m, float eps) {
    for (int64_t c = 0; c < C; c++) {
        double total = 0, spread = 0;
        for (int64_t n = 0; n < N; n++) {
            const float *x = FLOATS(xs) + (n * C + c) * m;
            float sum = 0;
            SIMD(reduction(+ : sum)) for (int64_t i = 0; i < m; i++) sum += x[i];
            total += sum;
        }
        float mean = total / (N * m);
        for (int64_t n = 0; n < N; n++) {
            const float *x = FLOATS(xs) + (n * C + c) * m;
            float sum = 0;
            SIMD(reduction(+ : sum)) for (int64_t i = 0; i < m; i++) sum += (x[i] - mean) * (x[i] - mean);
            spread += sum;
        }
        float var = spread / (N * m), scale = (count(ws) ? FLOATS(ws)[c] : 1) / sqrtf(var + eps);
        float shift = count(bs) ? FLOATS(bs)[c] : 0;
        FLOATS(means)[c] = mean;
        FLOATS(vars)[c] = var;
        for (int64_t n = 0; n < N; n++) {
            const float *x = FLOATS(xs) + (n * C + c) * m;
            float *out = FLOATS(outs) + (n * C + c) * m;
            SIMD() for (int64_t i = 0; i < m; i++) out[i] = FMA(x[i] - mean, scale, shift);
        }
    }
}

KERNEL void standardize_channels_back(array *dxs, array *dws, array *dbs, array *gs, array *xs, array *means,
                                      array *vars, array *ws, int64_t N, int64_t C, int64_t m, float eps) {
    for (int64_t c = 0; c < C; c++) {
        float mean = FLOATS(means)[c], scale = 1 / sqrtf(FLOATS(vars)[c] + eps);
        double all = 0, all_along = 0;
        for (int64_t n = 0; n < N; n++) {
            const float *x = FLOATS(xs) + (n * C + c) * m, *g = FLOATS(gs) + (n * C + c) * m;
            float total = 0, along = 0;
            SIMD(reduction(+ : total, along)) for (int64_t i = 0; i < m; i++) {
                total += g[i];
                along += g[i] * (x[i] - mean);
            }
            all += total;
            all_along += along;
        }
        float slope = scale * (count(ws) ? FLOATS(ws)[c] : 1), normal = all_along * scale;
        float middle = all / (N * m), tilt = normal * scale / (N * m);
        FLOATS(dws)[c] = normal;
        FLOATS(dbs)[c] = all;
        for (int64_t n = 0; n < N; n++) {
            const float *x = FLOATS(xs) + (n * C + c) * m, *g = FLOATS(gs) + (n * C + c) * m;
            float *dx = FLOATS(dxs) + (n * C + c) * m;
            SIMD() for (int64_t i = 0; i < m; i++) dx[i] = slope * (g[i] - middle - (x[i] - mean) * tilt);
        }
    }
}

KERNEL void rescale_channels(array *outs, array *xs, array *means, array *vars, array *ws, array *bs,
                             int64_t N, int64_t C, int64_t m, float eps) {
    for (int64_t n = 0; n < N; n++)
    for (int64_t c = 0; c < C; c++) {
        const float *x = FLOATS(xs) + (n * C + c) * m;
        float *out = FLOATS(outs) + (n * C + c) * m, mean = FLOATS(means)[c];
        float scale = (count(ws) ? FLOATS(ws)[c] : 1) / sqrtf(FLOATS(vars)[c] + eps);
        float shift = count(bs) ? FLOATS(bs)[c] : 0;
        SIMD() for (int64_t i = 0; i < m; i++) out[i] = FMA(x[i] - mean, scale, shift);
    }
}

// ---------------------------------------------------------------------------------------- pools

// 2 x 2, side by side. Rows are short: eight at once leave fewer behind than sixteen.
KERNEL int64_t max_pool2_back(array *dxs, array *gs, array *outs, array *xs, int64_t n, int64_t H,
                              int64_t W) {
    int64_t h = H / 2, w = W / 2;
    int unpaid = 0;
    if (H % 2 || W % 2) memset(dxs->data, 0, n * H * W * sizeof(float));
    for (int64_t i = 0; i < n; i++)
    for (int64_t y = 0; y < h; y++) {
        const float *restrict a = FLOATS(xs) + (i * H + 2 * y) * W, *restrict b = a + W;
        const float *restrict out = FLOATS(outs) + (i * h + y) * w;
        const float *restrict g = FLOATS(gs) + (i * h + y) * w;
        float *restrict da = FLOATS(dxs) + (i * H + 2 * y) * W, *restrict db = da + W;
        SIMD(simdlen(8) reduction(+ : unpaid)) for (int64_t x = 0; x < w; x++) {
            float top = out[x], left = g[x];
            int first = a[2 * x] == top, second = a[2 * x + 1] == top;
            int third = b[2 * x] == top, fourth = b[2 * x + 1] == top;
            da[2 * x] = first ? left : 0;
            left = first ? 0 : left;
            da[2 * x + 1] = second ? left : 0;
            left = second ? 0 : left;
            db[2 * x] = third ? left : 0;
            left = third ? 0 : left;
            db[2 * x + 1] = fourth ? left : 0;
            unpaid += !(first | second | third | fourth);
        }
    }
    return unpaid;
}
""", TILES)

# %% [markdown]
# ## Convolution
#
# Strides, gaps and margins are settled here. What has groups, or is not float32, or not in order, is for
# NumPy.

# %%
#| export
def conv_plan(x, weight, stride, padding, dilation, groups):
    """Strides, dilations and margins for the kernel, or None if it was not written for this."""
    if groups != 1 or not plain(x, weight) or x.ndim != 4 or weight.ndim != 4: return None
    if x.size == 0 or weight.size == 0: return None
    stride, dilation = each_way("stride", stride, 2), each_way("dilation", dilation, 2)
    return stride, dilation, margins(padding, weight.shape[2:], stride, dilation)


@kernel(conv2d, engine="c")
def _(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    planned = conv_plan(x, weight, stride, padding, dilation, groups)
    if planned is None or not plain(perhaps(bias)): return DECLINED
    stride, dilation, ends = planned
    places = places_for("conv2d", x, weight, bias, ends, stride, dilation, 1)
    if min(places) < 1: return DECLINED
    out = np.empty_like(x, shape=(len(x), len(weight), *places))
    how = np.array([*stride, *dilation, *[before for before, _ in ends]])
    PICTURES.conv2d(out, x, weight, perhaps(bias), how)
    return out


@kernel(conv2d, engine="c", gradient=True)
def _(g, _out, x, weight, _bias, stride, padding, dilation, groups):
    planned = conv_plan(x, weight, stride, padding, dilation, groups)
    if planned is None or g.dtype != x.dtype or g.size == 0: return DECLINED
    g, (stride, dilation, ends) = ordered(g), planned

    how = np.array([*stride, *dilation, *[before for before, _ in ends]])

    def of_picture():
        dx = np.empty_like(x)
        PICTURES.pictures_back(dx, g, weight, how)
        return dx

    def of_filters():
        dw = np.empty_like(weight)
        PICTURES.filters_back(dw, x, g, how)
        return dw

    def of_bias():
        db = np.empty_like(g, shape=g.shape[1])
        PICTURES.channel_sums(db, g, len(g), g.shape[1], g.shape[2] * g.shape[3])
        return db
    return of_picture, of_filters, of_bias

# %% [markdown]
# ## Norms over channels

# %%
#| export
def channels(x) -> tuple[int, int, int]:
    """Pictures, channels, and the numbers of a channel of a picture."""
    return len(x), x.shape[1], x.size // max(len(x) * x.shape[1], 1)


@kernel(standardize_channels, engine="c")
def _(x, weight=None, bias=None, eps=1e-5):
    weight, bias = perhaps(weight), perhaps(bias)
    if not plain(x, weight, bias) or x.ndim < 3 or x.size == 0: return DECLINED
    out, mean, var = np.empty_like(x), *[np.empty_like(x, shape=x.shape[1]) for _ in range(2)]
    PICTURES.standardize_channels(out, mean, var, x, weight, bias, *channels(x), eps)
    return Kept(out, mean, var)


@kernel(standardize_channels, engine="c", gradient=True)
def _(g, _out, x, weight, _bias, eps, kept):
    weight = perhaps(weight)
    if not plain(x, weight, *kept) or x.ndim < 3 or x.size == 0 or g.dtype != x.dtype: return DECLINED
    dx, dw, db = np.empty_like(x), *[np.empty_like(x, shape=x.shape[1]) for _ in range(2)]
    PICTURES.standardize_channels_back(dx, dw, db, ordered(g), x, *kept, weight, *channels(x), eps)
    return dx, dw, db


@kernel(rescale_channels, engine="c")
def _(x, mean, var, weight=None, bias=None, eps=1e-5):
    weight, bias = perhaps(weight), perhaps(bias)
    if not plain(x, mean, var, weight, bias) or x.ndim < 3 or x.size == 0: return DECLINED
    out = np.empty_like(x)
    PICTURES.rescale_channels(out, x, mean, var, weight, bias, *channels(x), eps)
    return out

# %% [markdown]
# ## Pools
#
# Forwards NumPy is as quick as C. Backwards a kernel knows what nearly all pools are, windows of 2 x 2
# numbers, side by side, and does each in one go. Where a window holds a nan, nobody in it equals its
# largest number, and the kernel hands the gradient back to those who look more closely.

# %%
#| export
def halves(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices) -> bool:
    """Whether a pool is of the common kind: windows of 2 x 2, side by side."""
    if return_indices or ceil_mode or not plain(x) or x.ndim < 3 or min(x.shape) < 1: return False
    return (each_way("kernel_size", kernel_size, 2) == (2, 2) and min(x.shape[-2:]) > 1
            and (stride is None or each_way("stride", stride, 2) == (2, 2))
            and padding in (0, (0, 0)) and dilation in (1, (1, 1)))


@kernel(max_pool2d, engine="c", gradient=True)
def _(g, out, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    if not halves(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices): return DECLINED
    if not plain(out) or g.dtype != x.dtype: return DECLINED
    dx, (*_, H, W) = np.empty_like(x), x.shape
    unpaid = PICTURES.max_pool2_back(dx, ordered(g), out, x, x.size // (H * W), H, W)
    return DECLINED if unpaid else (dx,)
