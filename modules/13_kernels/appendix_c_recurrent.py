# %% [markdown]
# # Appendix: a step of a memory
#
# Of a step of an LSTM one product is NumPy's. The rest are nine short walks over four gates and two states,
# and the calls cost as much as the walks. In C they are one, and eleven on the way back are one.

# %%
#| export
"""What an LSTM and a GRU do between two products, in one walk."""

# %%
#| export
from __future__ import annotations

import numpy as np

from tinytorch.column import DECLINED, kernel
from tinytorch.compiling import Library, plain
from tinytorch.recurrent import gru_layer, heard, lstm_layer, total, walk
from tinytorch.rules_recurrent import WayBack, cells_before
from tinytorch.tensor import Kept

# %% [markdown]
# The gates lie one below the other, each (H, n). Rows may be longer than n, where fewer sequences are left
# than there were; so each array says how far it is from row to row.

# %%
#| export
STATES = Library("recurrent", r"""
// The h-th row of an array of two dimensions or more; that of the next gate is H rows below.
static inline float *row(const array *x, int64_t h) {
    return FLOATS(x) + h * (x->strides[x->ndim - 2] / (int64_t)sizeof(float));
}

// gates (4 H, n): in come their sums, out go write, keep, say and new; cells and told are (H, n).
KERNEL void lstm(array *gates, array *before, array *cells, array *told, int64_t H, int64_t n) {
    for (int64_t h = 0; h < H; h++) {
        float *restrict write = row(gates, h), *restrict keep = row(gates, H + h);
        float *restrict say = row(gates, 2 * H + h), *restrict new = row(gates, 3 * H + h);
        float *restrict old = row(before, h), *restrict cell = row(cells, h), *restrict out = row(told, h);
        SIMD() for (int64_t i = 0; i < n; i++) {
            write[i] = sigmoid_(write[i]);
            keep[i] = sigmoid_(keep[i]);
            say[i] = sigmoid_(say[i]);
            new[i] = tanh_(new[i]);
            cell[i] = old[i] = FMA(keep[i], old[i], write[i] * new[i]);
            out[i] = say[i] * tanh_(cell[i]);
        }
    }
}

// The gradients of the four sums, (4 H, n), and of the cell, from that of what was said, (H, n).
KERNEL void lstm_back(array *slopes, array *dcells, array *gates, array *cells, array *before, array *dtold,
                      int64_t H, int64_t n) {
    for (int64_t h = 0; h < H; h++) {
        const float *restrict write = row(gates, h), *restrict keep = row(gates, H + h);
        const float *restrict say = row(gates, 2 * H + h), *restrict new = row(gates, 3 * H + h);
        float *restrict dwrite = row(slopes, h), *restrict dkeep = row(slopes, H + h);
        float *restrict dnew = row(slopes, 2 * H + h), *restrict dsay = row(slopes, 3 * H + h);
        float *restrict dcell = row(dcells, h);
        const float *restrict d = row(dtold, h), *restrict cell = row(cells, h);
        const float *restrict old = row(before, h);
        SIMD() for (int64_t i = 0; i < n; i++) {
            float bent = tanh_(cell[i]), all = FMA(say[i] * d[i], 1 - bent * bent, dcell[i]);
            dsay[i] = d[i] * bent * (say[i] - say[i] * say[i]);
            dwrite[i] = all * new[i] * (write[i] - write[i] * write[i]);
            dkeep[i] = all * old[i] * (keep[i] - keep[i] * keep[i]);
            dnew[i] = all * write[i] * (1 - new[i] * new[i]);
            dcell[i] = all * keep[i];
        }
    }
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
""")

# %% [markdown]
# The walks around them are those of lessons 07 and 09, with their products and their kept gates.

# %%
#| export
def ready(*arrays) -> bool:
    """Whether all arrays that are there are plain, and none is empty."""
    return all([x is None or (plain(x) and x.size > 0) for x in arrays])


@kernel(lstm_layer, engine="c")
def _(input, h, c, weight_ih, weight_hh, bias_ih=None, bias_hh=None, weight_hr=None, *, sizes, reverse=False):
    if weight_hr is not None or not ready(input, weight_ih, weight_hh, bias_ih, bias_hh): return DECLINED
    if h.dtype != input.dtype or c.dtype != input.dtype: return DECLINED
    (N, into), (B, H), steps = input.shape, h.shape, walk(sizes, reverse)
    parts = [x if x is None else x.reshape(4, H, -1)[[0, 1, 3, 2]].reshape(4 * H, -1)
             for x in (weight_ih, weight_hh, total(bias_ih, bias_hh))]
    weight = np.concatenate([x for x in parts if x is not None], axis=1)
    line = np.ones_like(weight, shape=(weight.shape[1], B))         # the input, the state, 1 for the bias
    now, said = line[:into], line[into : into + H]
    said[...], c = h.T, c.T.copy()
    out = np.empty_like(input, shape=(N, H))
    gates, cells = [np.empty_like(weight, shape=(len(steps), *shape)) for shape in ((4 * H, B), (H, B))]
    for (start, n), gate, cell in zip(steps, gates, cells):
        now[:, :n] = input[start : start + n].T
        np.matmul(weight, line[:, :n], out=gate[:, :n])
        STATES.lstm(gate, c, cell, said, H, n)
        out[start : start + n] = said[:, :n].T
    told = [[one[..., :n] for one, (_, n) in zip(many, steps)]
            for many in (cells, gates.reshape(len(steps), 4, H, B))]
    return Kept((out, said.T.copy(), c.T.copy()), *told)


@kernel(lstm_layer, engine="c", gradient=True)
def _(g, out, x, h, c, w_ih, w_hh, _b_ih, _b_hh, w_hr, sizes, reverse, kept):
    if w_hr is not None or not ready(x, w_ih, w_hh) or not h.dtype == c.dtype == x.dtype: return DECLINED
    back, H = WayBack(g, x, h, out[0], w_ih, w_hh, sizes, reverse), w_hh.shape[1]
    cells, dc = kept[0], np.zeros_like(c.T, order="C") if g[2] is None else g[2].T.copy()
    walked = reversed(list(zip(*kept, cells_before(np.ascontiguousarray(c.T), cells))))
    for span, steps in back.spans():
        slopes = np.empty_like(x, shape=(4 * H, span.stop - span.start))
        for step in steps:
            cell, gates, before = next(walked)
            dh = back.arriving(span, step)
            STATES.lstm_back(slopes[:, step], dc, gates, cell, before, dh.T.copy(), H, len(dh))
            np.matmul(slopes[:, step].T, w_hh, out=dh)
        back.gather(span, slopes.T, slopes.T)
    return back.dx, back.dh, dc.T, *back.weights, *back.biases, None


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
