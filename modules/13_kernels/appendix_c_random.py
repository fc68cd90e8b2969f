# %% [markdown]
# # Appendix: many words of the twister
#
# Half of a dropout goes into drawing. The Mersenne Twister keeps 624 words and makes the next 624 of them at
# once, and NumPy does so, too, but one after the other; then it asks for each of them by a call. Here they
# are made in vectors, and what is to become of them, a fraction or a coin, becomes of them on the spot. The
# words are the same, in the same order, and NumPy's twister goes on from where this one stopped: a seed means
# the same numbers with these kernels and without.

# %%
#| export
"""Coins and fractions, drawn from the same words as without a kernel."""

# %%
#| export
from __future__ import annotations

import math
from functools import cache

import numpy as np

from tinytorch.column import DECLINED, kernel
from tinytorch.compiling import Library
from tinytorch.dtypes import float64
from tinytorch.randomness import coins, fractions

# %% [markdown]
# A number of the old words and of the new ones go into each new word, and none of them is nearer than 227
# places: so sixteen at a time may be made.

# %%
#| export
TWIST = Library("random", r"""
typedef struct { uint32_t word[624]; int used; } twister;       // NumPy's, as it lies in memory

static inline uint32_t mixed(uint32_t a, uint32_t b, uint32_t far) {
    uint32_t y = (a & 0x80000000u) | (b & 0x7fffffffu);
    return far ^ (y >> 1) ^ (-(y & 1u) & 0x9908b0dfu);
}
static void twist(uint32_t *w) {
    SIMD(safelen(64)) for (int i = 0; i < 227; i++) w[i] = mixed(w[i], w[i + 1], w[i + 397]);
    SIMD(safelen(64)) for (int i = 227; i < 623; i++) w[i] = mixed(w[i], w[i + 1], w[i - 227]);
    w[623] = mixed(w[623], w[0], w[396]);
}

#define SOME 1024
static void draw(twister *from, uint32_t *out, int64_t n) {
    while (n > 0) {
        if (from->used == 624) { twist(from->word); from->used = 0; }
        int64_t some = 624 - from->used < n ? 624 - from->used : n;
        const uint32_t *word = from->word + from->used;
        SIMD() for (int64_t i = 0; i < some; i++) {
            uint32_t y = word[i];
            y ^= y >> 11;
            y ^= y << 7 & 0x9d2c5680u;
            y ^= y << 15 & 0xefc60000u;
            out[i] = y ^ y >> 18;
        }
        from->used += some;
        out += some;
        n -= some;
    }
}

// A long word is made of two; 53 bits of it count.
#define LONG(i) (((int64_t)word[2 * (i)] << 32 | word[2 * (i) + 1]) & ((INT64_C(1) << 53) - 1))
#define EACH(size, ...)                                                                                      \
    twister *from = (twister *)(intptr_t)address;                                                            \
    uint32_t word[2 * SOME];                                                                                 \
    for (int64_t start = 0; start < n; start += SOME, out += SOME) {                                         \
        int64_t some = n - start < SOME ? n - start : SOME;                                                  \
        draw(from, word, size * some);                                                                       \
        SIMD() for (int64_t i = 0; i < some; i++) out[i] = __VA_ARGS__;                                      \
    }

KERNEL void toss(array *outs, int64_t address, int64_t bound, int64_t n) {
    uint8_t *out = outs->data;
    EACH(2, LONG(i) < bound)
}
KERNEL void doubles(array *outs, int64_t address, int64_t n) {
    double *out = outs->data;
    EACH(2, (double)LONG(i) * 0x1p-53)
}
KERNEL void singles(array *outs, int64_t address, int64_t n) {
    float *out = outs->data;
    EACH(1, (float)(int32_t)(word[i] & 0xffffff) * 0x1p-24f)
}
""")

# %% [markdown]
# Where NumPy keeps the words, it says itself. How they lie there, it does not promise: so it is looked at
# once, and if it were another twister one day, the plain bodies would draw.

# %%
#| export
@cache
def as_expected() -> bool:
    """Whether NumPy's twister lies in memory as 624 words and a number of those that are used."""
    from ctypes import c_uint32
    bits = np.random.MT19937(13)
    bits.random_raw(700)
    found = np.array((c_uint32 * 625).from_address(bits.ctypes.state_address))
    state = bits.state["state"]
    return np.array_equal(found[:624], state["key"]) and found[624] == state["pos"]


FEW = 256                       # what is drawn sooner than a kernel is called


def drawn(draw: str, kind, source, n: int, *more):
    """What a function of TWIST draws, in an array of that kind."""
    if n < FEW or not as_expected(): return DECLINED
    out, bits = np.empty(n, kind), source.source.bit_generator
    with bits.lock: getattr(TWIST, draw)(out, bits.ctypes.state_address, *more, n)
    return out


@kernel(coins, engine="c")
def _(source, n, p): return drawn("toss", np.bool_, source, n, math.ceil(p * 2**53))


@kernel(fractions, engine="c")
def _(source, n, kind):
    if kind is float64: return drawn("doubles", np.float64, source, n)
    return drawn("singles", np.float32, source, n)
