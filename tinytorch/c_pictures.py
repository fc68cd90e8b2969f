# Generated from modules/13_kernels/appendix_c_pictures.py by `tito export`. Edit that file, not this one.
"""Convolution, pools and norms over channels, both ways."""

from __future__ import annotations

import numpy as np

from .c_tiles import TILES
from .column import DECLINED, kernel
from .compiling import Library, ordered, perhaps, plain
from .room import each_way, margins
from .rules_convolution import gathered, turned_round
from .spatial import conv2d, max_pool2d, places_for, rescale_channels, standardize_channels
from .tensor import Kept

__all__ = ["PICTURES", "conv_plan", "correlated", "met_in_c", "channels", "halves"]


PICTURES = Library("pictures", r"""
typedef struct {
    int64_t C, H, W, kh, kw, stride_y, stride_x, spread_y, spread_x, top, left;     // what is asked
    int64_t places_y, places_x;                         // of the result
    int64_t pitch, plane, channel, length;              // of the line: a row, a dealt picture, all of them
    int64_t decks_y, decks_x;                           // how many pictures each is dealt out into
} plan;

static plan planned(const array *xs, const array *ws, const array *outs, const array *hows) {
    const int64_t *how = INTS(hows);
    plan p = {xs->shape[1], xs->shape[2], xs->shape[3], ws->shape[2], ws->shape[3],
              how[0], how[1], how[2], how[3], how[4], how[5], outs->shape[2], outs->shape[3]};
    int64_t span_y = (p.kh - 1) * p.spread_y, span_x = (p.kw - 1) * p.spread_x;
    p.decks_y = span_y + 1 < p.stride_y ? span_y + 1 : p.stride_y;
    p.decks_x = span_x + 1 < p.stride_x ? span_x + 1 : p.stride_x;
    p.pitch = p.places_x + span_x / p.stride_x;
    p.plane = (p.places_y + span_y / p.stride_y) * p.pitch;
    p.channel = whole(p.decks_y * p.decks_x * p.plane, LANES);
    if (p.channel / LANES % 2 == 0) p.channel += LANES;     // or all would want the same places in the cache
    p.length = (p.places_y - 1) * p.pitch + p.places_x;         // the line up to the last place
    return p;
}

// Where on the line each weight of a filter begins, in the order of the weights.
static int64_t *beginnings(const plan *p) {
    int64_t *starts = malloc((p->C * p->kh * p->kw + 4) * sizeof(int64_t)), *at = starts;
    for (int64_t c = 0; c < p->C; c++)
        for (int64_t y = 0; y < p->kh; y++)
            for (int64_t x = 0; x < p->kw; x++) {
                int64_t dy = y * p->spread_y, dx = x * p->spread_x;
                int64_t deck = dy % p->stride_y * p->decks_x + dx % p->stride_x;
                *at++ = c * p->channel + deck * p->plane + dy / p->stride_y * p->pitch + dx / p->stride_x;
            }
    for (int n = 0; n < 4; n++) *at++ = 0;
    return starts;
}

// A picture, with margins, dealt out.
static void lay_out(float *line, const float *x, const plan *p) {
    memset(line, 0, p->C * p->channel * sizeof(float));
    int64_t rows = p->plane / p->pitch;
    for (int64_t c = 0; c < p->C; c++)
    for (int64_t deck = 0; deck < p->decks_y * p->decks_x; deck++) {
        int64_t dy = deck / p->decks_x - p->top, dx = deck % p->decks_x - p->left, sx = p->stride_x;
        int64_t first = dx < 0 ? (-dx + sx - 1) / sx : 0, end = (p->W - dx + sx - 1) / sx;
        if (end > p->pitch) end = p->pitch;
        for (int64_t r = 0; r < rows; r++) {
            int64_t y = r * p->stride_y + dy;
            if (y < 0 || y >= p->H || end <= first) continue;
            const float *from = x + (c * p->H + y) * p->W + dx;
            float *to = line + c * p->channel + deck * p->plane + r * p->pitch;
            if (sx == 1) memcpy(to + first, from + first, (end - first) * sizeof(float));
            else for (int64_t i = first; i < end; i++) to[i] = from[i * sx];
        }
    }
}

#define BROAD (3 * LANES)                   // columns of a tile on the line
static void tile_on_line(int64_t depth, const float *w, const float *line, const int64_t *starts, float *out,
                         int64_t pitch) {
    lanes sum[HIGH][3];
    for (int r = 0; r < HIGH; r++) sum[r][0] = sum[r][1] = sum[r][2] = (lanes){0};
    for (int64_t k = 0; k < depth; k++) {
        const float *here = line + starts[k], *left = w + k * HIGH;
        lanes b0 = *(const lanes *)here, b1 = *(const lanes *)(here + LANES);
        lanes b2 = *(const lanes *)(here + 2 * LANES);
        #pragma GCC unroll 8
        for (int r = 0; r < HIGH; r++) {
            sum[r][0] += left[r] * b0;
            sum[r][1] += left[r] * b1;
            sum[r][2] += left[r] * b2;
        }
    }
    for (int r = 0; r < HIGH; r++)
        for (int c = 0; c < 3; c++) *(lanes *)(out + r * pitch + c * LANES) = sum[r][c];
}

KERNEL void conv2d(array *outs, array *xs, array *ws, array *bs, array *how) {
    plan p = planned(xs, ws, outs, how);
    int64_t N = xs->shape[0], O = ws->shape[0], K = p.C * p.kh * p.kw, *starts = beginnings(&p);
    int64_t pitch = whole(p.length, BROAD) + LANES;
    float *w = side_by_side(FLOATS(ws), O, K), *line = room(p.C * p.channel + p.plane + 2 * BROAD);
    float *out = room(whole(O, HIGH) * pitch);
    memset(line, 0, (p.C * p.channel + p.plane + 2 * BROAD) * sizeof(float));
    for (int64_t n = 0; n < N; n++) {
        lay_out(line, FLOATS(xs) + n * p.C * p.H * p.W, &p);
        for (int64_t c = 0; c < p.length; c += BROAD)
            for (int64_t o = 0; o < O; o += HIGH)
                tile_on_line(K, w + o * K, line + c, starts, out + o * pitch + c, pitch);
        float *to = FLOATS(outs) + n * O * p.places_y * p.places_x;
        for (int64_t o = 0; o < O; o++) {
            float bias = count(bs) ? FLOATS(bs)[o] : 0;
            for (int64_t y = 0; y < p.places_y; y++) {
                const float *from = out + o * pitch + y * p.pitch;
                SIMD() for (int64_t x = 0; x < p.places_x; x++) to[x] = from[x] + bias;
                to += p.places_x;
            }
        }
    }
    free(starts); free(w); free(line); free(out);
}

// The gradient of the filters: for each weight, the products of what it met and what came of it, added up.
#define FEW (HIGH / 2)
KERNEL void filters_back(array *dws, array *xs, array *gs, array *how) {
    plan p = planned(xs, dws, gs, how);
    int64_t N = xs->shape[0], O = dws->shape[0], K = p.C * p.kh * p.kw, *starts = beginnings(&p);
    int64_t length = whole(p.length, LANES), line_size = p.C * p.channel + p.plane + 2 * BROAD;
    int64_t g_size = whole(O, FEW) * length, many = 100000 / (line_size + g_size);
    many = many < 1 ? 1 : many > N ? N : many;
    float *lines = room(many * line_size), *g = room(many * g_size), *dw = FLOATS(dws);
    memset(lines, 0, many * line_size * sizeof(float));
    memset(g, 0, many * g_size * sizeof(float));
    memset(dw, 0, O * K * sizeof(float));
    for (int64_t n = 0; n < N; n += many) {
        int64_t some = N - n < many ? N - n : many;
        for (int64_t m = 0; m < some; m++) {
            lay_out(lines + m * line_size, FLOATS(xs) + (n + m) * p.C * p.H * p.W, &p);
            const float *from = FLOATS(gs) + (n + m) * O * p.places_y * p.places_x;
            for (int64_t o = 0; o < O; o++)
                for (int64_t y = 0; y < p.places_y; y++, from += p.places_x)
                    memcpy(g + m * g_size + o * length + y * p.pitch, from, p.places_x * sizeof(float));
        }
        for (int64_t o = 0; o < O; o += FEW)
        for (int64_t k = 0; k < K; k += 4) {
            lanes sum[FEW][4];
            for (int r = 0; r < FEW; r++) for (int c = 0; c < 4; c++) sum[r][c] = (lanes){0};
            for (int64_t m = 0; m < some; m++) {
                const float *left = g + m * g_size + o * length, *line = lines + m * line_size;
                const float *x0 = line + starts[k], *x1 = line + starts[k + 1];
                const float *x2 = line + starts[k + 2], *x3 = line + starts[k + 3];
                for (int64_t i = 0; i < length; i += LANES) {
                    lanes b0 = *(const lanes *)(x0 + i), b1 = *(const lanes *)(x1 + i);
                    lanes b2 = *(const lanes *)(x2 + i), b3 = *(const lanes *)(x3 + i);
                    #pragma GCC unroll 4
                    for (int r = 0; r < FEW; r++) {
                        lanes a = *(const lanes *)(left + r * length + i);
                        sum[r][0] += a * b0;
                        sum[r][1] += a * b1;
                        sum[r][2] += a * b2;
                        sum[r][3] += a * b3;
                    }
                }
            }
            for (int r = 0; r < FEW && o + r < O; r++)
                for (int c = 0; c < 4 && k + c < K; c++) {
                    float total = 0;
                    for (int l = 0; l < LANES; l++) total += sum[r][c][l];
                    dw[(o + r) * K + k + c] += total;
                }
        }
    }
    free(starts); free(lines); free(g);
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


def conv_plan(x, weight, stride, padding, dilation, groups):
    """Strides, dilations and margins for the kernel, or None if it was not written for this."""
    if groups != 1 or not plain(x, weight) or x.ndim != 4 or weight.ndim != 4: return None
    if x.size == 0 or weight.size == 0: return None
    stride, dilation = each_way("stride", stride, 2), each_way("dilation", dilation, 2)
    return stride, dilation, margins(padding, weight.shape[2:], stride, dilation)


def correlated(x, weight, bias, stride, dilation, ends, places):
    """The convolution of plain arrays, with as many places."""
    out = np.empty_like(x, shape=(len(x), len(weight), *places))
    how = np.array([*stride, *dilation, *[before for before, _ in ends]])
    PICTURES.conv2d(out, x, weight, perhaps(bias), how)
    return out


@kernel(conv2d, engine="c")
def _(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    planned = conv_plan(x, weight, stride, padding, dilation, groups)
    if planned is None or not plain(perhaps(bias)): return DECLINED
    stride, dilation, ends = planned
    places = places_for("conv2d", x, weight, bias, ends, stride, dilation, 1)
    if min(places) < 1: return DECLINED
    return correlated(x, weight, bias, stride, dilation, ends, places)


def met_in_c(g, weight, shape: tuple, ends: list, dilation, _groups):
    """The gradient of pictures of which every number meets all weights."""
    spans = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation)]
    back = [(span - before, span - after) for span, (before, after) in zip(spans, ends)]
    filters = np.ascontiguousarray(turned_round(weight, 1))
    return correlated(g, filters, None, (1, 1), dilation, back, shape[2:])


@kernel(conv2d, engine="c", gradient=True)
def _(g, _out, x, weight, _bias, stride, padding, dilation, groups):
    planned = conv_plan(x, weight, stride, padding, dilation, groups)
    if planned is None or g.dtype != x.dtype or g.size == 0: return DECLINED
    g, (stride, dilation, ends) = ordered(g), planned

    def of_picture(): return gathered(g, weight, x.shape[2:], ends, stride, dilation, 1, met_in_c)

    def of_filters():
        dw = np.empty_like(weight)
        PICTURES.filters_back(dw, x, g, np.array([*stride, *dilation, *[before for before, _ in ends]]))
        return dw

    def of_bias():
        db = np.empty_like(g, shape=g.shape[1])
        PICTURES.channel_sums(db, g, len(g), g.shape[1], g.shape[2] * g.shape[3])
        return db
    return of_picture, of_filters, of_bias


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
