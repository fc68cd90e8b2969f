# %% [markdown]
# # Appendix: a step of a memory
#
# A step of an LSTM is a product and nine short walks over four gates and two states, and the calls cost as
# much as the walks. In C they are one, and what the way back does in twenty calls is one, too.

# %%
#| export
"""The walks of an LSTM and of a GRU, both ways."""

# %%
#| export
from __future__ import annotations

import numpy as np

from tinytorch.c_tiles import TILES
from tinytorch.column import DECLINED, kernel
from tinytorch.compiling import Library, ordered, perhaps, plain
from tinytorch.recurrent import gru_layer, lstm_layer, total, walk
from tinytorch.tensor import Kept

# %% [markdown]
# The gates lie one below the other, each (H, n). A library multiplies by the same weights at every step, and
# at every step it sorts them anew, to have them in the order in which it multiplies. Here they are sorted
# once for the whole walk, and what a product has left behind is in the nearest cache when it is bent. So
# both walk in C from the first step to the last, and back. On the way back the gradients of the weights grow
# at every step, while its slopes are at hand.

# %%
#| export
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
        packed_tiles(4 * H, n, depth, w, line, pitch, sums, pitch);
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
        turn_rows(out, H, said, pitch, H, n);
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

// Where the words of a step are, and where those of the step before, of which some sequences stayed.
typedef struct { int64_t start, n, before, stayed; } step;
static inline step step_at(const array *starts, const array *counts, int64_t t) {
    int64_t start = INTS(starts)[t], n = INTS(counts)[t], old = t ? INTS(counts)[t - 1] : 0;
    return (step){start, n, t ? INTS(starts)[t - 1] : 0, old < n ? old : n};
}

// What all steps of a way back share. The weights learn from many words at once: `x` and `state` (words,
// wide) are what was heard at the last steps, and `slope` (rows, across) where it should have gone; so many
// of them are `there`.
typedef struct {
    int64_t in, H, pitch, x_wide, h_wide, across, most, there;
    float *x, *state, *dx, *w, *dw, *du, *slope, *room;
} way;
#define AT_ONCE 256

static way way_back(const array *xs, const array *hs, const array *ws, int64_t pitch, int64_t slopes) {
    int64_t in = xs->shape[1], H = hs->shape[1], B = hs->shape[0], gates = ws->shape[0] + HIGH;
    int64_t x_wide = whole(in, WIDE) + LANES, h_wide = whole(H, WIDE) + LANES;      // see pitch_of
    int64_t most = B > AT_ONCE ? B : AT_ONCE, across = most + WIDE + LANES;
    way to = {in, H, pitch, x_wide, h_wide, across, most, 0,
              room(most * x_wide), room(most * h_wide), room((B + HIGH) * x_wide), room(gates * x_wide),
              room(gates * x_wide), room(gates * h_wide), room((slopes + HIGH) * across), room(H * pitch)};
    copy_rows(to.w, x_wide, FLOATS(ws), in, ws->shape[0], in, 1);
    memset(to.dw, 0, gates * x_wide * sizeof(float));
    memset(to.du, 0, gates * h_wide * sizeof(float));
    memset(to.slope, 0, (slopes + HIGH) * across * sizeof(float));
    return to;
}
static void finish(way to, array *dws, array *dus) {
    give_rows(FLOATS(dws), to.in, to.dw, to.x_wide, dws->shape[0], to.in, 1);
    give_rows(FLOATS(dus), to.H, to.du, to.h_wide, dus->shape[0], to.H, 1);
    free(to.x); free(to.state); free(to.dx); free(to.w); free(to.dw); free(to.du); free(to.slope);
    free(to.room);
}

// Adds the gradients for what was said at a step, and finds again what it heard.
static void arrive(way to, step now, float *dh, const array *gs, const array *xs, const array *outs,
                   const array *hs) {
    int64_t H = to.H, pitch = to.pitch;
    float *state = to.state + to.there * to.h_wide;
    if (count(gs)) turn_rows(to.room, pitch, FLOATS(gs) + now.start * H, H, now.n, H);
    for (int64_t h = 0; h < H && count(gs); h++)
        SIMD() for (int64_t i = 0; i < now.n; i++) dh[h * pitch + i] += to.room[h * pitch + i];
    copy_rows(to.x + to.there * to.x_wide, to.x_wide, FLOATS(xs) + now.start * to.in, to.in, now.n, to.in, 1);
    copy_rows(state, to.h_wide, FLOATS(outs) + now.before * H, H, now.stayed, H, 1);
    copy_rows(state + now.stayed * to.h_wide, to.h_wide, FLOATS(hs) + now.stayed * H, H, now.n - now.stayed,
              H, 1);
}

// What goes to the input of a step.
static void hand_on(way to, step now, int64_t rows, array *dxs) {
    tiles(now.n, to.in, rows, to.slope + to.there, 1, to.across, to.w, to.x_wide, to.dx, to.x_wide, 0);
    give_rows(FLOATS(dxs) + now.start * to.in, to.in, to.dx, to.x_wide, now.n, to.in, 1);
}

// What goes to the weights and biases of `rows` gates of the input, and as many of the state, `later` ones.
static void learn(way to, int64_t rows, int64_t later, float *db_input, float *db_state) {
    const float *of_input = to.slope, *of_state = to.slope + later * to.across;
    tiles(rows, to.in, to.there, of_input, to.across, 1, to.x, to.x_wide, to.dw, to.x_wide, 1);
    tiles(rows, to.H, to.there, of_state, to.across, 1, to.state, to.h_wide, to.du, to.h_wide, 1);
    for (int64_t r = 0; r < rows; r++) {
        float input = 0, state = 0;
        SIMD(reduction(+ : input, state)) for (int64_t i = 0; i < to.there; i++) {
            input += of_input[r * to.across + i];
            state += of_state[r * to.across + i];
        }
        db_input[r] += input;
        db_state[r] += state;
    }
}

// dhs and dcs (H, pitch) come in from behind the last step; us is weight_hh, turned.
KERNEL void lstm_back(array *dxs, array *dws, array *dus, array *dbs, array *dhs, array *dcs, array *gs,
                      array *outs, array *xs, array *hs, array *gates, array *cells, array *firsts, array *ws,
                      array *us, array *starts, array *counts) {
    int64_t H = dhs->shape[0], pitch = dhs->shape[1], B = gates->shape[2], depth = 4 * H;
    float *dh = FLOATS(dhs), *u = side_by_side(FLOATS(us), H, depth), *found = room(whole(H, HIGH) * pitch);
    way to = way_back(xs, hs, ws, pitch, depth);
    int64_t next = H * to.across;
    for (int64_t t = starts->shape[0] - 1; t >= 0; t--) {
        step now = step_at(starts, counts, t);
        float *slope = to.slope + to.there;
        arrive(to, now, dh, gs, xs, outs, hs);
        for (int64_t h = 0; h < H; h++) {
            const float *gate = FLOATS(gates) + (t * depth + h) * B, *cell = FLOATS(cells) + (t * H + h) * B;
            float *d = dh + h * pitch, *dcell = row(dcs, h), *to_gate = slope + h * to.across;
            lstm_cell_back(0, now.stayed, gate, H * B, cell, cell - H * B, d, dcell, to_gate, next);
            lstm_cell_back(now.stayed, now.n, gate, H * B, cell, row(firsts, h), d, dcell, to_gate, next);
        }
        hand_on(to, now, depth, dxs);
        packed_tiles(H, now.n, depth, u, slope, to.across, found, pitch);
        for (int64_t h = 0; h < H; h++) memcpy(dh + h * pitch, found + h * pitch, now.n * sizeof(float));
        to.there += now.n;
        if (t && to.there + INTS(counts)[t - 1] <= to.most) continue;
        learn(to, depth, 0, FLOATS(dbs), FLOATS(dbs) + depth);
        to.there = 0;
    }
    finish(to, dws, dus);
    free(u); free(found);
}

// line (in + 1 + H + 1, pitch): what is heard and what was said last, each with ones for a bias. The weights
// are those of reset and keep for all of it, and those of new for its two parts.
// Kept are gates (steps, 4 H, B): reset, keep, new, and what the state said to new.
KERNEL void gru(array *outs, array *gates, array *lines, array *xs, array *both, array *ws, array *us,
                array *starts, array *counts) {
    int64_t in = xs->shape[1], H = ws->shape[0], B = gates->shape[2], pitch = lines->shape[1];
    float *switches = side_by_side(FLOATS(both), 2 * H, in + H + 2), *w = side_by_side(FLOATS(ws), H, in + 1);
    float *u = side_by_side(FLOATS(us), H, H + 1), *line = FLOATS(lines), *said = line + (in + 1) * pitch;
    int64_t high = whole(2 * H, HIGH), half = whole(H, HIGH);
    float *sums = room(high * pitch), *of_input = room(half * pitch), *of_state = room(half * pitch);
    for (int64_t t = 0; t < starts->shape[0]; t++) {
        step now = step_at(starts, counts, t);
        float *kept = FLOATS(gates) + t * 4 * H * B, *out = FLOATS(outs) + now.start * H;
        turn_rows(line, pitch, FLOATS(xs) + now.start * in, in, now.n, in);
        packed_tiles(2 * H, now.n, in + H + 2, switches, line, pitch, sums, pitch);
        packed_tiles(H, now.n, in + 1, w, line, pitch, of_input, pitch);
        packed_tiles(H, now.n, H + 1, u, said, pitch, of_state, pitch);
        for (int64_t h = 0; h < H; h++) {
            const float *restrict sum = sums + h * pitch, *restrict heard = of_input + h * pitch;
            const float *restrict last = of_state + h * pitch;
            float *restrict reset = kept + h * B, *restrict keep = reset + H * B;
            float *restrict new = keep + H * B, *restrict told = new + H * B, *restrict s = said + h * pitch;
            SIMD() for (int64_t i = 0; i < now.n; i++) {
                reset[i] = sigmoid_(sum[i]);
                keep[i] = sigmoid_(sum[i + H * pitch]);
                told[i] = last[i];
                new[i] = tanh_(FMA(reset[i], last[i], heard[i]));
                s[i] = FMA(keep[i], s[i] - new[i], new[i]);
            }
        }
        turn_rows(out, H, said, pitch, H, now.n);
    }
    free(switches); free(w); free(u); free(sums); free(of_input); free(of_state);
}

// The slopes lie in the order new, reset, keep and "what the state said to new": the input moves the first
// three, the state the last three. ws has its rows in that order, and us is weight_hh, turned.
KERNEL void gru_back(array *dxs, array *dws, array *dus, array *dbs, array *dhs, array *gs, array *outs,
                     array *xs, array *hs, array *gates, array *ws, array *us, array *starts, array *counts) {
    int64_t H = dhs->shape[0], pitch = dhs->shape[1], B = gates->shape[2], depth = 3 * H;
    float *dh = FLOATS(dhs), *u = side_by_side(FLOATS(us), H, depth), *found = room(whole(H, HIGH) * pitch);
    float *before = room(H * pitch);
    way to = way_back(xs, hs, ws, pitch, 4 * H);
    int64_t next = H * to.across;
    for (int64_t t = starts->shape[0] - 1; t >= 0; t--) {
        step now = step_at(starts, counts, t);
        float *slope = to.slope + to.there;
        arrive(to, now, dh, gs, xs, outs, hs);
        turn_rows(before, pitch, to.state + to.there * to.h_wide, to.h_wide, now.n, H);
        for (int64_t h = 0; h < H; h++) {
            const float *restrict reset = FLOATS(gates) + (t * 4 * H + h) * B, *restrict keep = reset + H * B;
            const float *restrict new = keep + H * B, *restrict told = new + H * B;
            const float *restrict state = before + h * pitch;
            float *restrict d = dh + h * pitch, *restrict dnew = slope + h * to.across;
            float *restrict dreset = dnew + next, *restrict dkeep = dreset + next;
            float *restrict dtold = dkeep + next;
            SIMD() for (int64_t i = 0; i < now.n; i++) {
                float all = d[i] * (1 - keep[i]) * (1 - new[i] * new[i]);
                dkeep[i] = d[i] * (state[i] - new[i]) * (keep[i] - keep[i] * keep[i]);
                dreset[i] = all * told[i] * (reset[i] - reset[i] * reset[i]);
                dnew[i] = all;
                dtold[i] = all * reset[i];
                d[i] *= keep[i];
            }
        }
        hand_on(to, now, depth, dxs);
        packed_tiles(H, now.n, depth, u, slope + next, to.across, found, pitch);
        for (int64_t h = 0; h < H; h++)
            SIMD() for (int64_t i = 0; i < now.n; i++) dh[h * pitch + i] += found[h * pitch + i];
        to.there += now.n;
        if (t && to.there + INTS(counts)[t - 1] <= to.most) continue;
        learn(to, depth, H, FLOATS(dbs), FLOATS(dbs) + depth);
        to.there = 0;
    }
    finish(to, dws, dus);
    free(u); free(found); free(before);
}
""", TILES)

# %% [markdown]
# Sequences lie side by side in lines of whole tiles. For a few of them a tile would be mostly empty, and the
# plain walk is quicker. What is kept is what lesson 07 keeps: views of one array, for each step as many
# columns as there were sequences.

# %%
#| export
def ready(*arrays) -> bool:
    """Whether all arrays that are there are plain, and none is empty."""
    return all([x is None or (plain(x) and x.size > 0) for x in arrays])


def in_lines(x, pitch: int):
    """The rows of a matrix as columns, in lines of that many numbers.  (B, H) -> (H, pitch)"""
    lines = np.zeros_like(x, shape=(x.shape[1], pitch))
    lines[:, : len(x)] = x.T
    return lines


FEW, TILE, LANES = 8, 32, 16    # sequences for which a tile pays; numbers in a tile's width, in a register


def pitch_of(B: int) -> int:
    """How long lines of so many sequences are: whole tiles, and no power of two, which caches dislike."""
    return B + -B % TILE + LANES



@kernel(lstm_layer, engine="c")
def _(input, h, c, weight_ih, weight_hh, bias_ih=None, bias_hh=None, weight_hr=None, *, sizes, reverse=False):
    if weight_hr is not None or not ready(input, weight_ih, weight_hh, bias_ih, bias_hh): return DECLINED
    if h.dtype != input.dtype or c.dtype != input.dtype or len(h) < FEW: return DECLINED
    (N, into), (B, H), (starts, counts) = input.shape, h.shape, np.array(walk(sizes, reverse)).T.copy()
    parts = [x if x is None else x.reshape(4, H, -1)[[0, 1, 3, 2]].reshape(4 * H, -1)
             for x in (weight_ih, weight_hh, total(bias_ih, bias_hh))]
    weight = np.concatenate([x for x in parts if x is not None], axis=1)
    line = np.ones_like(weight, shape=(weight.shape[1], pitch_of(B)))      # the input, the state, ones
    line[into : into + H], cell = in_lines(h, line.shape[1]), in_lines(c, line.shape[1])
    out = np.empty_like(input, shape=(N, H))
    gates, cells = [np.empty_like(out, shape=(len(starts), *shape)) for shape in ((4 * H, B), (H, B))]
    STATES.lstm(out, gates, cells, line, cell, input, weight, starts, counts)
    told = [[one[..., :n] for one, n in zip(many, counts)]
            for many in (cells, gates.reshape(len(starts), 4, H, B))]
    return Kept((out, line[into : into + H, :B].T.copy(), cell[:, :B].T.copy()), *told)


def behind(one, like, pitch: int):
    """The gradient of a last state in lines, zeros if there is none."""
    return in_lines(np.zeros_like(like) if one is None else one, pitch)


@kernel(lstm_layer, engine="c", gradient=True)
def _(g, out, x, h, c, w_ih, w_hh, _b_ih, _b_hh, w_hr, sizes, reverse, kept):
    if w_hr is not None or not ready(x, w_ih, w_hh) or not h.dtype == c.dtype == x.dtype: return DECLINED
    (B, H), steps = h.shape, len(sizes)
    cells, gates = [parts[0].base for parts in kept]
    if B < FEW or not plain(cells, gates, out[0]) or cells.shape != (steps, H, B): return DECLINED
    starts, counts = np.array(walk(sizes, reverse)).T.copy()
    dh, dc = [behind(one, h, pitch_of(B)) for one in g[1:]]
    dx, dw, du = [np.empty_like(one, order="C") for one in (x, w_ih, w_hh)]
    db = np.zeros_like(x, shape=(2, 4 * H))
    STATES.lstm_back(dx, dw, du, db, dh, dc, perhaps(g[0] if g[0] is None else ordered(g[0])), out[0], x,
                     ordered(h), gates.reshape(steps, 4 * H, B), cells, in_lines(c, B), w_ih, w_hh.T.copy(),
                     starts, counts)
    return dx, dh[:, :B].T.copy(), dc[:, :B].T.copy(), dw, du, db[0], db[1].copy(), None


@kernel(gru_layer, engine="c")
def _(input, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, sizes, reverse=False):
    if not ready(input, weight_ih, weight_hh, bias_ih, bias_hh): return DECLINED
    if h.dtype != input.dtype or len(h) < FEW: return DECLINED
    (N, into), (B, H), (starts, counts) = input.shape, h.shape, np.array(walk(sizes, reverse)).T.copy()
    weights = [with_bias(*one) for one in ((weight_ih, bias_ih), (weight_hh, bias_hh))]
    line = np.ones_like(input, shape=(into + H + 2, pitch_of(B)))             # the input, 1, the state, 1
    state = line[into + 1 : -1]
    state[...] = in_lines(h, line.shape[1])
    out, gates = [np.empty_like(input, shape=shape) for shape in ((N, H), (len(starts), 4 * H, B))]
    STATES.gru(out, gates, line, input, np.concatenate([one[: 2 * H] for one in weights], axis=1),
               *[one[2 * H :].copy() for one in weights], starts, counts)
    return Kept((out, state[:, :B].T.copy()), gates)        # the plain body keeps nothing


def with_bias(weight, bias):
    """A bias, or zeros, as the last column of a weight."""
    column = np.zeros_like(weight[:, :1]) if bias is None else bias[:, None]
    return np.concatenate([weight, column], axis=1)


@kernel(gru_layer, engine="c", gradient=True)
def _(g, out, x, h, w_ih, w_hh, _b_ih, _b_hh, sizes, reverse, kept):
    if not kept or not ready(x, w_ih, w_hh) or h.dtype != x.dtype or not plain(out[0]): return DECLINED
    (B, H), (starts, counts) = h.shape, np.array(walk(sizes, reverse)).T.copy()
    dh, by = behind(g[1], h, pitch_of(B)), np.roll(w_ih, H, axis=0)           # new, reset, keep
    dx, dw, du = [np.empty_like(one, order="C") for one in (x, w_ih, w_hh)]
    db = np.zeros_like(x, shape=(2, 3 * H))
    STATES.gru_back(dx, dw, du, db, dh, perhaps(g[0] if g[0] is None else ordered(g[0])), out[0], x,
                    ordered(h), *kept, by, w_hh.T.copy(), starts, counts)
    return dx, dh[:, :B].T.copy(), np.roll(dw, -H, axis=0), du, np.roll(db[0], -H), db[1].copy()
