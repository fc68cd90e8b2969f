# Generated from modules/13_kernels/appendix_c_recurrent.py by `tito export`. Edit that file, not this one.
"""The walk of an LSTM, both ways, and what a GRU does between two products."""

from __future__ import annotations

import numpy as np

from .c_tiles import TILES
from .column import DECLINED, kernel
from .compiling import Library, ordered, perhaps, plain
from .recurrent import gru_layer, heard, lstm_layer, total, walk
from .rules_dense import column_sums
from .rules_recurrent import WayBack
from .tensor import Kept

__all__ = ["STATES", "ready", "in_lines", "FEW", "TILE"]


STATES = Library("recurrent", r"""
// The h-th row of an array of two dimensions or more; that of the next gate is H rows below.
static inline float *row(const array *x, int64_t h) {
    return FLOATS(x) + h * (x->strides[x->ndim - 2] / (int64_t)sizeof(float));
}

// line (in + H + more, pitch): what is heard, what was said last, and ones for the bias; c (H, pitch).
// Kept are gates (steps, 4 H, B), of which write, keep, say and new, and cells (steps, H, B).
KERNEL void lstm(array *outs, array *gates, array *cells, array *lines, array *cs, array *xs, array *ws,
                 array *starts, array *counts) {
    int64_t steps = starts->shape[0], in = xs->shape[1], H = cs->shape[0], B = gates->shape[2];
    int64_t depth = ws->shape[1], pitch = lines->shape[1];
    float *w = side_by_side(FLOATS(ws), 4 * H, depth), *sums = room(whole(4 * H, HIGH) * pitch);
    float *line = FLOATS(lines), *said = line + in * pitch;
    for (int64_t t = 0; t < steps; t++) {
        int64_t start = INTS(starts)[t], n = INTS(counts)[t];
        float *kept = FLOATS(gates) + t * 4 * H * B, *out = FLOATS(outs) + start * H;
        turn_rows(line, pitch, FLOATS(xs) + start * in, in, n, in);
        packed_tiles(4 * H, depth, w, line, pitch, sums);
        for (int64_t h = 0; h < H; h++) {
            const float *restrict sum = sums + h * pitch;
            float *restrict write = kept + h * B, *restrict keep = write + H * B;
            float *restrict say = keep + H * B, *restrict new = say + H * B, *restrict c = row(cs, h);
            float *restrict cell = FLOATS(cells) + (t * H + h) * B, *restrict told = said + h * pitch;
            SIMD() for (int64_t i = 0; i < n; i++) {
                write[i] = sigmoid_(sum[i]);
                keep[i] = sigmoid_(sum[i + H * pitch]);
                say[i] = sigmoid_(sum[i + 2 * H * pitch]);
                new[i] = tanh_(sum[i + 3 * H * pitch]);
                cell[i] = c[i] = FMA(keep[i], c[i], write[i] * new[i]);
                told[i] = say[i] * tanh_(c[i]);
            }
        }
        for (int64_t i = 0; i < n; i++) for (int64_t h = 0; h < H; h++) out[i * H + h] = said[h * pitch + i];
    }
    free(w); free(sums);
}

// One cell, sequences from `first` to `end`: the gradients of the four sums, and of the cell before.
static inline void lstm_cell_back(int64_t first, int64_t end, const float *restrict gate, int64_t next,
                                  const float *restrict cell, const float *restrict before,
                                  const float *restrict d, float *restrict dcell, float *restrict slope,
                                  int64_t pitch) {
    const float *keep = gate + next, *say = keep + next, *new = say + next;
    float *dkeep = slope + pitch, *dnew = dkeep + pitch, *dsay = dnew + pitch;
    SIMD() for (int64_t i = first; i < end; i++) {
        float bent = tanh_(cell[i]), all = FMA(say[i] * d[i], 1 - bent * bent, dcell[i]);
        dsay[i] = d[i] * bent * (say[i] - say[i] * say[i]);
        slope[i] = all * new[i] * (gate[i] - gate[i] * gate[i]);
        dkeep[i] = all * before[i] * (keep[i] - keep[i] * keep[i]);
        dnew[i] = all * gate[i] * (1 - new[i] * new[i]);
        dcell[i] = all * keep[i];
    }
}

// slopes (N, 4 H) of the sums, word by word; dhs and dcs (H, pitch) come in from behind the last step.
KERNEL void lstm_back(array *slopes, array *dhs, array *dcs, array *gs, array *gates, array *cells,
                      array *firsts, array *ws, array *starts, array *counts) {
    int64_t H = dhs->shape[0], pitch = dhs->shape[1], B = gates->shape[2], depth = 4 * H;
    float *dh = FLOATS(dhs), *w = side_by_side(FLOATS(ws), H, depth);       // ws (H, 4 H)
    float *slope = room(depth * pitch), *found = room(whole(H, HIGH) * pitch);
    memset(slope, 0, depth * pitch * sizeof(float));
    for (int64_t t = starts->shape[0] - 1; t >= 0; t--) {
        int64_t start = INTS(starts)[t], n = INTS(counts)[t], stayed = t ? INTS(counts)[t - 1] : 0;
        if (stayed > n) stayed = n;
        for (int64_t h = 0; h < H && count(gs); h++)
            for (int64_t i = 0; i < n; i++) dh[h * pitch + i] += FLOATS(gs)[(start + i) * H + h];
        for (int64_t h = 0; h < H; h++) {
            const float *gate = FLOATS(gates) + (t * depth + h) * B, *cell = FLOATS(cells) + (t * H + h) * B;
            float *d = dh + h * pitch, *dcell = row(dcs, h), *to = slope + h * pitch;
            lstm_cell_back(0, stayed, gate, H * B, cell, cell - H * B, d, dcell, to, H * pitch);
            lstm_cell_back(stayed, n, gate, H * B, cell, row(firsts, h), d, dcell, to, H * pitch);
        }
        packed_tiles(H, depth, w, slope, pitch, found);
        for (int64_t h = 0; h < H; h++) memcpy(dh + h * pitch, found + h * pitch, n * sizeof(float));
        float *out = FLOATS(slopes) + start * depth;
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < depth; k++) out[i * depth + k] = slope[k * pitch + i];
    }
    free(w); free(slope); free(found);
}

// sums (3 H, n) of what the state says to reset, keep and new; heard (3 H, n) is what the input says.
KERNEL void gru(array *sums, array *heard, array *state, int64_t H, int64_t n) {
    for (int64_t h = 0; h < H; h++) {
        const float *restrict reset = row(sums, h), *restrict r = row(heard, h);
        const float *restrict keep = row(sums, H + h), *restrict k = row(heard, H + h);
        const float *restrict new = row(sums, 2 * H + h), *restrict w = row(heard, 2 * H + h);
        float *restrict s = row(state, h);
        SIMD() for (int64_t i = 0; i < n; i++) {
            float left = sigmoid_(reset[i] + r[i]), stays = sigmoid_(keep[i] + k[i]);
            float said = tanh_(FMA(left, new[i], w[i]));
            s[i] = FMA(stays, s[i] - said, said);
        }
    }
}
""", TILES)


def ready(*arrays) -> bool:
    """Whether all arrays that are there are plain, and none is empty."""
    return all([x is None or (plain(x) and x.size > 0) for x in arrays])


def in_lines(x, pitch: int):
    """The rows of a matrix as columns, in lines of that many numbers.  (B, H) -> (H, pitch)"""
    lines = np.zeros_like(x, shape=(x.shape[1], pitch))
    lines[:, : len(x)] = x.T
    return lines


FEW, TILE = 8, 32               # sequences for which a tile pays, and what all tiles' widths divide


@kernel(lstm_layer, engine="c")
def _(input, h, c, weight_ih, weight_hh, bias_ih=None, bias_hh=None, weight_hr=None, *, sizes, reverse=False):
    if weight_hr is not None or not ready(input, weight_ih, weight_hh, bias_ih, bias_hh): return DECLINED
    if h.dtype != input.dtype or c.dtype != input.dtype or len(h) < FEW: return DECLINED
    (N, into), (B, H), (starts, counts) = input.shape, h.shape, np.array(walk(sizes, reverse)).T.copy()
    parts = [x if x is None else x.reshape(4, H, -1)[[0, 1, 3, 2]].reshape(4 * H, -1)
             for x in (weight_ih, weight_hh, total(bias_ih, bias_hh))]
    weight = np.concatenate([x for x in parts if x is not None], axis=1)
    line = np.ones_like(weight, shape=(weight.shape[1], B + -B % TILE))      # the input, the state, ones
    line[into : into + H], cell = in_lines(h, line.shape[1]), in_lines(c, line.shape[1])
    out = np.empty_like(input, shape=(N, H))
    gates, cells = [np.empty_like(out, shape=(len(starts), *shape)) for shape in ((4 * H, B), (H, B))]
    STATES.lstm(out, gates, cells, line, cell, input, weight, starts, counts)
    told = [[one[..., :n] for one, n in zip(many, counts)]
            for many in (cells, gates.reshape(len(starts), 4, H, B))]
    return Kept((out, line[into : into + H, :B].T.copy(), cell[:, :B].T.copy()), *told)


@kernel(lstm_layer, engine="c", gradient=True)
def _(g, out, x, h, c, w_ih, w_hh, _b_ih, _b_hh, w_hr, sizes, reverse, kept):
    if w_hr is not None or not ready(x, w_ih, w_hh) or not h.dtype == c.dtype == x.dtype: return DECLINED
    (B, H), steps = h.shape, len(sizes)
    cells, gates = [parts[0].base for parts in kept]
    if B < FEW or not plain(cells, gates) or cells.shape != (steps, H, B): return DECLINED
    back, pitch = WayBack(g, x, h, out[0], w_ih, w_hh, sizes, reverse), B + -B % TILE
    (starts, counts), slopes = np.array(back.steps).T.copy(), np.empty_like(x, shape=(len(x), 4 * H))
    dh, dc = [in_lines(np.zeros_like(h) if one is None else one, pitch) for one in g[1:]]
    STATES.lstm_back(slopes, dh, dc, perhaps(g[0] if g[0] is None else ordered(g[0])),
                     gates.reshape(steps, 4 * H, B), cells, in_lines(c, B), w_hh.T.copy(), starts, counts)
    weights = slopes.T @ np.concatenate([x, back.states], axis=1)       # one large product for both
    weights, bias = np.split(weights, [x.shape[1]], axis=1), column_sums(slopes)
    return (slopes @ w_ih, dh[:, :B].T.copy(), dc[:, :B].T.copy(), *map(np.ascontiguousarray, weights),
            bias, bias.copy(), None)


@kernel(gru_layer, engine="c")
def _(input, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, sizes, reverse=False):
    if not ready(input, weight_ih, weight_hh, bias_ih, bias_hh) or h.dtype != input.dtype: return DECLINED
    H, state, turned = weight_hh.shape[1], h.T.copy(), np.asfortranarray(weight_hh)
    out = np.empty_like(input, shape=(len(input), H))
    for start, n, said in heard(input, weight_ih, bias_ih, walk(sizes, reverse)):
        sums = turned @ state[:, :n]
        if bias_hh is not None: sums += bias_hh[:, None]
        STATES.gru(sums, said, state, H, n)
        out[start : start + n] = state[:, :n].T
    return out, state.T.copy()
