# %% [markdown]
# # Compression
#
# A weight of a trained network is a float32, one of four billion possible numbers. It was never that sure of
# itself. Training pushed it about with the gradients of random batches, and stopped on some evening. So why
# does every copy of it, on every phone, take four bytes?
#
# In 2015 Song Han and others made famous networks 35 to 49 times smaller, and they answered as well as
# before. In this lesson you write three ways to get there: say each number in fewer bits, leave out those
# that do not matter, and have a small network taught by a large one. For each of them three things count, and
# all three are measured: bytes on a disk, right answers, and time.

# %%
#| export
"""Networks in fewer bytes: coarser numbers, fewer numbers, and small networks taught by large ones."""

# %%
#| export
from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tinytorch.activations import log_softmax
from tinytorch.creation import full, ones_like
from tinytorch.dense import Linear
from tinytorch.elementwise import maximum, minimum, where
from tinytorch.dtypes import int32
from tinytorch.hooks import asked
from tinytorch.layers import Module
from tinytorch.losses import cross_entropy, kl_div
from tinytorch.modes import no_grad
from tinytorch.receipts import no_gradient
from tinytorch.reductions import quantile
from tinytorch.safetensors import save_file
from tinytorch.tensor import Op, Tensor, floating, tensor

# %% [markdown]
# ## The patient
#
# 1,415 handwritten digits to learn from, 382 by other people to be examined on, and a network of 50,826
# numbers.

# %%
from tinytorch import manual_seed, nn, timed
from tinytorch.datasets import Digits
from tinytorch.optim import Adam
from tinytorch.training import Accuracy, Trainer, evaluate
from tinytorch.utils.data import DataLoader, TensorDataset

def examples(train):
    digits = Digits(train)
    return TensorDataset(digits.data.float().reshape(-1, 64) / 255, digits.targets)

familiar, unseen = examples(True), DataLoader(examples(False), 512)

def trained(model, data=familiar, epochs=15, lr=2e-3, **settings):
    optimizer = Adam(model.parameters(), lr=lr)
    Trainer(model, optimizer, DataLoader(data, 32, shuffle=True), **settings).fit(epochs)
    return model.eval()

def right(model): return 100 * evaluate(model, unseen, accuracy=Accuracy())["accuracy"]

manual_seed(0)
model = trained(nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
                              nn.Linear(128, 10)))
print(f"{right(model):.1f} % of 382 strangers' digits")

# %% [markdown]
# What it weighs is not computed from the number of weights. A file is written, and the disk is asked.

# %%
#| export
def bytes_on_disk(module: Module) -> int:
    """How many bytes the state of a module takes as a safetensors file: one is written, and measured."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        save_file(module.state_dict(), file)
        return file.stat().st_size

# %%
bytes_on_disk(model), 4 * sum([p.numel() for p in model.parameters()])

# %% [markdown]
# (The few hundred bytes more are the header, which says what lies where.)
#
# And this is where its numbers lie. One `#` is the same number of weights everywhere but at the edges, where
# even a single weight shows as a dot.

# %%
def histogram(x, marks=(), width=72, height=8):
    """How many numbers lie where; below, `|` marks some places."""
    x = x.detach().array.reshape(-1)
    counts, edges = np.histogram(x, width)
    tall = counts * height / counts.max()
    page = [["#" if n >= line + 0.5 else "." if line == 0 and n > 0 else " " for n in tall]
            for line in reversed(range(height))]
    ruler = ["-"] * width
    for mark in marks: ruler[int(np.clip(np.searchsorted(edges, mark) - 1, 0, width - 1))] = "|"
    print("\n".join(map("".join, [*page, ruler])), f"\n{x.min():<9.3f}{x.max():>{width - 9}.3f}")

weight = model[2].weight
histogram(weight)

# %% [markdown]
# ## A grid of 256
#
# A byte can say 256 things. So lay a **grid** of 256 equally spaced numbers over the range of the weights,
# and store for each weight only the place on the grid that is nearest:
#
# $$x \approx \text{scale} \cdot (q - \text{zero point}), \qquad q \in \{-128, …, 127\}$$
#
# The **scale** is the distance between neighbours. The **zero point** is the place whose number is 0, and it
# must be a place: zero is what `relu` gives, what pictures are padded with, what pruned weights are. A grid
# on which 0 is 0.003 would be wrong all day. So the zero point is rounded, and the range is widened until it
# holds 0.
#
# A **symmetric** grid has its zero in the middle. It spends places on a side that may not need them, and pays
# you back below, where a term of the arithmetic disappears.
#
# **Your turn.** `low` and `high` are arrays, of one number or of one for each channel. In a symmetric grid
# the larger of the two sides decides: scale = side / ((quant_max - quant_min) / 2).

# %%
#| export
SMALLEST = float(np.finfo(np.float32).eps)      # no scale is smaller: a range without width has one, too

# %%
#| export exercise
@floating
def choose_qparams(low, high, /, quant_min=-128, quant_max=127, symmetric=False):
    """The scale and the zero point of a grid from low to high that has 0 in one of its places."""
    #| hint First the range must hold 0: np.minimum(low, 0) and np.maximum(high, 0).
    #| hint 256 places have 255 gaps. np.maximum(-low, high) is the larger side.
    #| hint low stands at quant_min, and 0 is -low / scale steps further up: np.rint, then clip to the grid.
    #| hint In a symmetric grid 0 stands in the middle: (quant_min + quant_max + 1) // 2, for every scale.
    ### BEGIN SOLUTION
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    if symmetric:
        scale = np.maximum(np.maximum(-low, high) / ((quant_max - quant_min) / 2), SMALLEST)
        zero_point = 0 * scale + (quant_min + quant_max + 1) // 2
    else:
        scale = np.maximum((high - low) / (quant_max - quant_min), SMALLEST)
        zero_point = (quant_min - np.rint(low / scale)).clip(quant_min, quant_max)
    ### END SOLUTION
    return scale, zero_point.astype(np.int32)

# %%
#| check 3
from tinytorch import tensor

scale, zero_point = choose_qparams(tensor(-1.0), tensor(1.55))
assert abs(scale.item() - 0.01) < 1e-8, "256 places have 255 gaps between them: 2.55 / 255"
assert zero_point.item() == -28, "-1.00 stands at -128, and 0 a hundred steps further up, at -28"
scale, zero_point = choose_qparams(tensor(1.0), tensor(2.55))
assert abs(scale.item() - 0.01) < 1e-8 and zero_point.item() == -128, \
    "the range must hold 0: from 1 to 2.55 is widened to 0 to 2.55"
scale, zero_point = choose_qparams(tensor(-2.55), tensor(-1.0))
assert abs(scale.item() - 0.01) < 1e-8 and zero_point.item() == 127, \
    "the range must hold 0 also where all numbers are negative: the zero point is the last place"
assert choose_qparams(tensor(0.0), tensor(0.0))[0].item() > 0, \
    "a range without width has a scale, too: at least SMALLEST, or the next step divides by 0"
scale, zero_point = choose_qparams(tensor(-1.0), tensor(5.1), symmetric=True)
assert abs(scale.item() - 0.04) < 1e-8, "in a symmetric grid the larger side decides: 5.1 / 127.5"
assert zero_point.item() == 0, "in a symmetric grid of int8, 0 stands at 0"
scale, zero_point = choose_qparams(tensor([-510.0, -1.0]), tensor([1.0, 5.1]), 0, 255, symmetric=True)
assert np.allclose(scale.array, [4.0, 0.04]), "the larger side may be the one below 0"
assert zero_point.tolist() == [128, 128], "in the middle of 0 to 255 is 128, whatever the scale"
assert choose_qparams(tensor(-1.0), tensor(1.0), -127, 127, True)[1].item() == 0, "0 is that of -127 to 127"
scale, zero_point = choose_qparams(tensor(-1.0), tensor(1.55), 0, 255)
assert zero_point.item() == 100, \
    "the grid may be another one: with places from 0 to 255, 0 stands at 100"
scale, zero_point = choose_qparams(tensor([-1.0, 0.0]), tensor([0.0, 3.0]), -8, 7)
assert np.allclose(scale.array, [1 / 15, 3 / 15]) and zero_point.tolist() == [7, -8], \
    "several ranges at once: each has its own scale and zero point"

# %% [markdown]
# One grid for a whole matrix? Each row of a weight belongs to one output, and the rows need not be of one
# size: a row ten times as small as the largest would have to do with 25 places of the 256. So give each
# output, each **channel**, a grid of its own. That costs four bytes more for each channel, and nothing else.
#
# **Your turn.** Two functions that know which axis the channels lie along; everything below uses them, and
# never asks again. `channels` makes one row for each channel: then whatever is measured, is measured along
# the last dimension. `facing` is the way back: it shapes one number for each channel so that it broadcasts.
# Without an axis there is one grid for all: `channels` gives one line of numbers, `facing` changes nothing.

# %%
#| export exercise
def channels(x: Tensor, axis: int | None = None) -> Tensor:
    """One row of numbers for each channel, or one line for all.  (*, C, *) -> (C, n), or (*) -> (n)"""
    #| hint x.movedim(axis, 0) brings the channels to the front. What does reshape(C, -1) do then?
    #| hint A reshape alone would cut the numbers in the order they lie in, and mix the channels.
    ### BEGIN SOLUTION
    return x.reshape(-1) if axis is None else x.movedim(axis, 0).reshape(x.shape[axis], -1)
    ### END SOLUTION


def facing(values, ndim: int, axis: int | None):
    """One number for each channel, shaped to meet something of `ndim` dimensions.  (C) -> (1, C, 1)"""
    #| hint Ones everywhere, and -1 at the axis, which may be negative: axis % ndim.
    ### BEGIN SOLUTION
    if axis is None: return values
    shape = [1] * ndim
    shape[axis] = -1
    return values.reshape(tuple(shape))
    ### END SOLUTION

# %%
#| check 2
from tinytorch import tensor

x = Tensor(np.arange(24.0).reshape(2, 3, 4))
assert channels(x).shape == (24,), "without an axis there is one line, of all numbers"
assert channels(x, 0).tolist() == [list(range(12)), list(range(12, 24))], "a row for each channel"
assert channels(x, 1).tolist()[2] == [8, 9, 10, 11, 20, 21, 22, 23], \
    "a row holds the numbers of one channel and no others: bring the channels to the front, then reshape"
assert channels(x, -1).tolist()[1] == [1, 5, 9, 13, 17, 21], "the axis may be counted from the end"
each = tensor([1.0, 2.0, 3.0])
assert facing(each, 3, 1).shape == (1, 3, 1), "the numbers stand along the axis of the channels, among ones"
assert facing(each, 2, -1).shape == (1, 3), "the axis may be counted from the end"
assert facing(each, 4, 0).shape == (3, 1, 1, 1), \
    "channels in front need ones behind them, or they broadcast along the wrong axis"
assert facing(tensor(2.0), 3, None).shape == (), "one number for all broadcasts by itself"

# %% [markdown]
# Now onto the grid. Rounding is to the nearest place, and a number in the middle between two goes to the
# even one (`np.rint` does that): halves that always go up would push every sum up. What lies beyond the ends
# stays at the end: it is **clipped**. Forget that, and the byte wraps around: the largest weight of the layer
# becomes its most negative one.

# %%
np.array([127, 128, 200]).astype(np.int8), np.rint(np.array([0.5, 1.5, 2.5, -0.5]))

# %% [markdown]
# **Your turn.** `@floating` sees to it that whatever arrives is a float; bytes would overflow.

# %%
#| export exercise
@floating
def quantize_affine(input, scale, zero_point, /, axis=None, quant_min=-128, quant_max=127):
    """The place of each number on a grid, or, with an axis, on the grid of its channel.  (*) -> (*)"""
    scale, zero_point = facing(scale, input.ndim, axis), facing(zero_point, input.ndim, axis)
    #| hint How many steps from 0? x / scale, or x * (1 / scale), as PyTorch has it: few divisions are faster.
    #| hint Rounded, that is np.rint(…), and 0 stands at the zero point.
    #| hint places.clip(quant_min, quant_max) keeps them on the grid; do it before they become bytes.
    ### BEGIN SOLUTION
    places = (np.rint(input * (1 / scale)) + zero_point).clip(quant_min, quant_max)
    ### END SOLUTION
    return places.astype(storage(quant_min, quant_max))


@floating
def dequantize_affine(input, scale, zero_point, /, axis=None):
    """The numbers that places on a grid stand for.  (*) -> (*)"""
    scale, zero_point = facing(scale, input.ndim, axis), facing(zero_point, input.ndim, axis)
    ### BEGIN SOLUTION
    return (input - zero_point) * scale
    ### END SOLUTION



@cache
def storage(quant_min: int, quant_max: int):
    """The smallest kind of whole number that holds every place of a grid."""
    kinds = [np.iinfo(kind) for kind in (np.int8, np.uint8, np.int16, np.int32)]
    return next(kind.dtype for kind in kinds if kind.min <= quant_min <= quant_max <= kind.max)


no_gradient(choose_qparams, quantize_affine, dequantize_affine)     # a staircase is flat, or it jumps

# %%
#| check 3
from tinytorch import tensor

x = tensor([-1.0, 0.0, 0.26, 0.74, 1.0])
assert quantize_affine(x, 0.5, 0).tolist() == [-2, 0, 1, 1, 2], "each number goes to the nearest place"
assert quantize_affine(tensor([0.5, 1.5, 2.5, -2.5]), 1.0, 0).tolist() == [0, 2, 2, -2], \
    "in the middle between two places, the even one: round, do not cut off"
assert quantize_affine(tensor([-2.5, 0.5, 2.5]), 1.0, 1).tolist() == [-1, 1, 3], \
    "round first, then add the zero point: which of two places is even does not depend on it"
assert quantize_affine(x, 0.5, -100).tolist() == [-102, -100, -99, -99, -98], "0 stands at the zero point"
assert quantize_affine(tensor([-1e9, -200.0, 200.0, math.inf]), 1.0, 0).tolist() == [-128, -128, 127, 127], \
    "what lies beyond the ends is clipped: it stays at the end, and does not wrap around"
assert quantize_affine(x, 0.1, 0, None, -8, 7).tolist() == [-8, 0, 3, 7, 7], \
    "a grid of 4 bits ends at -8 and 7: clip to the places that there are"
assert quantize_affine(x, 0.5, 0).dtype.name == "int8", "a place is a byte"
places = tensor([-128, -28, 127], dtype=np.int8)
assert np.allclose(dequantize_affine(places, 0.01, tensor(-28, dtype=np.int8)).array, [-1.0, 0.0, 1.55]), \
    "the number of a place is its distance from the zero point, times the scale (and no byte overflows)"
assert dequantize_affine(places, 0.01, -28).dtype.name == "float32", "numbers come back as float32"
x = tensor([[1.0, 2.0], [4.0, 8.0]])
assert quantize_affine(x, tensor([1.0, 4.0]), tensor([0, 1]), 0).tolist() == [[1, 2], [2, 3]], \
    "with an axis, each channel has its own scale and its own zero point"

# %% [markdown]
# What comes back is the nearest place on the grid, and so at most half a step off. Is that much? One grid for
# the weights of the second layer, and one for each of its 128 outputs. Which error will be smaller, and by
# how much? Guess a factor.

# %%
#| export
def extremes(x: Tensor, axis: int | None = None) -> tuple[Tensor, Tensor]:
    """The smallest and the largest number, of all or of each channel."""
    rows = channels(x, axis)
    return rows.amin(-1), rows.amax(-1)


def round_trip(x: Tensor, scale, zero_point, axis=None, quant_min=-128, quant_max=127) -> Tensor:
    """What is left of numbers that went onto a grid and came back.  (*) -> (*)"""
    places = quantize_affine(x, scale, zero_point, axis, quant_min, quant_max)
    return dequantize_affine(places, scale, zero_point, axis)

# %%
def root_mean_square(x): return (x * x).mean().sqrt().item()

for axis in (None, 0):
    scale, zero_point = choose_qparams(*extremes(weight.data, axis), symmetric=True)
    off = round_trip(weight.data, scale, zero_point, axis) - weight.data
    print(f"axis {axis!s:>4}: {root_mean_square(off):.6f} off, of {root_mean_square(weight.data):.3f}")

# %% [markdown]
# A hundredth of a weight is hard to see. With 16 places, four bits, the grid can be drawn, below the weights
# that have to share it:

# %%
grid = choose_qparams(*extremes(weight.data), -8, 7, symmetric=True)
histogram(weight, dequantize_affine(tensor(list(range(-8, 8))), *grid).tolist())

# %% [markdown]
# Most of the weights share a handful of places, and most of the places have hardly any weights. So how few
# bits are enough? Here every weight of the network goes
# through grids of 2 to 8 bits and back, and the examination is held again. Where will it fail, and does a
# grid for each channel help?

# %%
from copy import deepcopy

from tinytorch.curves import curves

def in_bits(model, bits, axis):
    """A copy with weights that have been on grids of so many bits."""
    copy = deepcopy(model)
    places = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    for layer in copy:
        if isinstance(layer, Linear):
            w = layer.weight.data
            grid = choose_qparams(*extremes(w, axis), *places, symmetric=True)
            w.copy_(round_trip(w, *grid, axis, *places))
    return copy

def by_bits(axis): return [math.nan, *[right(in_bits(model, bits, axis)) for bits in range(2, 9)]]

curves({"one grid for all": by_bits(None), "one for each channel": by_bits(0)}, x="bits")

# %% [markdown]
# ## Where to cut
#
# The whole range is a poor choice when a few numbers are far out: all others then share what few places are
# left in the middle. Better to clip the few, and to have a finer grid for the many. But where to cut?
#
# Look at what the third layer is given, for the digits it has learned from, and mark where the largest
# numbers are that one in a thousand exceeds.

# %%
with no_grad(): hidden = model[:4](familiar.tensors[0])
histogram(hidden[hidden > 0], [quantile(hidden, 0.999).item()])

# %% [markdown]
# **Your turn.** First by counting: a range that `share` of the numbers lie in, so that as many are left out
# below as above. `quantile(x, q, dim)` gives the number that a share `q` of x does not exceed.

# %%
#| export exercise
def percentiles(x: Tensor, axis: int | None = None, share: float = 0.999) -> tuple[Tensor, Tensor]:
    """The range that a share of the numbers lies in, of all or of each channel."""
    rows, outside = channels(x, axis), (1 - share) / 2
    #| hint Below the range lies the share `outside`, above it as many: 1 - outside do not exceed its end.
    #| hint rows has the numbers of a channel along its last dimension, with an axis and without.
    ### BEGIN SOLUTION
    return quantile(rows, outside, -1), quantile(rows, 1 - outside, -1)
    ### END SOLUTION

# %%
#| check 2
from tinytorch import tensor

def ends(*given, **more): return [end.array.round(3).tolist() for end in percentiles(*given, **more)]

x = Tensor(np.arange(101.0))
assert ends(x, share=0.9) == [5.0, 95.0], \
    "a share of 0.9 leaves out half of a tenth at each end, not a tenth"
assert ends(x, share=1.0) == [0.0, 100.0], "the whole share is the whole range"
table = Tensor(np.stack([np.arange(101.0), 10 * np.arange(101.0)]))
assert len(ends(table, 0)[0]) == 2, "with an axis there is one range for each channel: count along its row"
assert ends(table, 0, 0.9) == [[5.0, 50.0], [95.0, 950.0]], \
    "each channel is counted by itself, along its own numbers"
assert ends(table.T, 1, 0.9) == [[5.0, 50.0], [95.0, 950.0]], "the channels lie where the axis says"

# %% [markdown]
# Counting does not know what a cut costs. The honest way is to try: shrink the range step by step, send the
# numbers there and back, and keep the range with the least mean squared error. Clipping costs much for few
# numbers, a coarse grid costs little for many; somewhere between the two is a bottom.
#
# **Your turn.** Each channel keeps its own best. `where(better, new, old)` chooses number by number.

# %%
#| export exercise
def least_error(
    x: Tensor, axis: int | None = None, quant_min: int = -128, quant_max: int = 127,
    symmetric: bool = False, tries: int = 50,
) -> tuple[Tensor, Tensor]:
    """Of the whole range and smaller ones, the range whose grid is nearest to the numbers."""
    rows, places = channels(x, axis), (quant_min, quant_max)
    low, high = rows.amin(-1), rows.amax(-1)
    best_low, best_high, least = low, high, full(low.shape, math.inf)
    for n in range(tries):
        part = 1 - n / tries                        # of the whole range: 1, 0.98, 0.96 …
        #| hint grid = choose_qparams(low * part, high * part, *places, symmetric)
        #| hint off = round_trip(rows, *grid, axis, *places) - rows, but in rows the channels are axis 0.
        #| hint error = (off * off).mean(-1), one for each channel. Where it is below least, all three change.
        ### BEGIN SOLUTION
        grid = choose_qparams(low * part, high * part, *places, symmetric)
        off = round_trip(rows, *grid, None if axis is None else 0, *places) - rows
        error = (off * off).mean(-1)
        better = error < least
        best_low, best_high = where(better, low * part, best_low), where(better, high * part, best_high)
        least = minimum(error, least)
        ### END SOLUTION
    return best_low, best_high

# %%
#| check 3
from tinytorch import tensor

def off(x, low, high):
    grid = choose_qparams(low, high, -8, 7)
    return ((round_trip(x, *grid, None, -8, 7) - x) ** 2).mean().item()

even, far = Tensor(np.linspace(-1, 1, 201)), Tensor(np.append(np.linspace(-1, 1, 2000), [4.0, -4.0]))
low, high = least_error(far, None, -8, 7)
assert high.item() < 2.0, "two numbers far out are clipped for the good of two thousand: the least error wins"
assert least_error(even, None, -8, 7)[1].item() > 0.9, "who fill their range evenly are hardly clipped"
whole = extremes(far)
tried = [off(far, whole[0] * (1 - n / 50), whole[1] * (1 - n / 50)) for n in range(50)]
assert abs(off(far, low, high) - min(tried)) < 1e-9, \
    "the best of all that were tried, which need not be the last that was better than the one before"
low, high = least_error(Tensor(np.stack([far.array, far.array / 10])), 0, -8, 7)
assert high.shape == (2,) and abs(high[0].item() - 10 * high[1].item()) < 1e-4, \
    "each channel is judged by its own grid: one of small numbers is cut like one of large ones"
low, high = least_error(Tensor(np.stack([np.resize(even.array, 2002), far.array], 1)), 1, -8, 7)
assert high[0].item() > 0.9 and high[1].item() < 2.0, "each channel keeps its own best range"
assert least_error(far, None, -8, 7, True)[0].item() == -least_error(far, None, -8, 7, True)[1].item(), \
    "a symmetric grid is tried as one"

# %% [markdown]
# Three ways to choose, at 8 bits and at 4. Which will be best at 4, and does it matter at 8?

# %%
for bits in (8, 4):
    ends = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    for name, (low, high) in [("whole range", extremes(hidden)), ("percentiles", percentiles(hidden)),
                              ("least error", least_error(hidden, None, *ends))]:
        off = round_trip(hidden, *choose_qparams(low, high, *ends), None, *ends) - hidden
        print(f"{bits} bits, {name}: up to {high.item():5.2f}, {root_mean_square(off):.5f} off")

# %% [markdown]
# At 4 bits a cut pays. At 8 bits there are places enough, and the famous percentile does more harm than good:
# whoever calibrates should measure.
#
# ## Whole numbers multiply
#
# Small files are half of the gain. A processor multiplies bytes four times as fast as floats, or faster, if
# it is asked to. The products need more room than bytes: each is up to 2¹⁴, and a sum of a thousand of them
# up to 2²⁴. So bytes are multiplied, and added up in 32 bits.
#
# What does NumPy do with two matrices of bytes? Guess the number, and the time compared with floats.

# %%
ones = np.ones((128, 1024), np.int8)
print((ones[:1] @ ones[:1].T).item(), "should be 1024")

for kind in (np.int8, np.int32, np.float32):
    these = ones.astype(kind)
    print(f"{kind.__name__:>8}: {timed(lambda these=these: these @ these.T)}")

# %% [markdown]
# Bytes wrap around, and whole numbers are slow: BLAS, which makes NumPy fast, knows only floats. But a
# float32 holds whole numbers, too, and holds them exactly up to a limit:

# %%
np.float32(2**24 - 1) + np.float32(1), np.float32(2**24) + np.float32(1)

# %% [markdown]
# With 24 bits for its digits, it cannot tell 2²⁴ + 1 from 2²⁴. As long as no sum on the way goes beyond 2²⁴,
# a float32 product of bytes is *exactly* the whole number, in whatever order BLAS adds. How many terms is
# that, if the worst comes to the worst and every factor is -128?
#
# **Your turn.** Multiply `EXACT` columns at a time in float32, and add the pieces up in int32. No digit is
# lost, and it is the honest best that NumPy can do; a real kernel for bytes, which does not turn them into
# floats first, is a matter of lesson 13. It will take the place of this op, and nothing else will change.

# %%
#| export
EXACT = 2**24 // 128**2             # so many products of two bytes add up exactly in a float32

# %%
#| export exercise
@Op
def int8_matmul(input, weight, /):
    """Each row with each row of the weight: bytes, multiplied and added up exactly in int32.

    (M, K), (N, K) -> (M, N)
    """
    if input.dtype != np.int8 or weight.dtype != np.int8:
        raise RuntimeError(f"int8_matmul multiplies int8 with int8, not {input.dtype} with {weight.dtype}")
    total = 0
    for start in range(0, max(input.shape[1], 1), EXACT):
        some = slice(start, start + EXACT)
        #| hint input[:, some] are the columns of this piece. astype(np.float32), and then @.
        #| hint weight has one row for each output, as in linear: turn it.
        #| hint total = total + piece.astype(np.int32).
        ### BEGIN SOLUTION
        piece = input[:, some].astype(np.float32) @ weight[:, some].astype(np.float32).T
        total = total + piece.astype(np.int32)
        ### END SOLUTION
    return total


no_gradient(int8_matmul)

# %%
#| check 3
from tinytorch import tensor

random = np.random.default_rng(0)
def places(*shape): return random.integers(-128, 128, shape).astype(np.int8)

def exactly(x, w):
    return np.array_equal(int8_matmul(Tensor(x), Tensor(w)).array, x.astype(int) @ w.T.astype(int))

assert int8_matmul(Tensor(places(5, 7)), Tensor(places(3, 7))).shape == (5, 3), \
    "the weight has a row for each output: (M, K), (N, K) -> (M, N)"
assert exactly(places(5, 7), places(3, 7)), "bytes must not be multiplied as bytes: they wrap around"
assert int8_matmul(Tensor(places(5, 7)), Tensor(places(3, 7))).dtype.name == "int32", \
    "what comes out are whole numbers of 32 bits"
assert exactly(places(2, 3000), places(2, 3000)), "every piece of the columns counts, the last one, too"
low = np.full((1, 5001), -128, np.int8)
low[0, -1] = 1
assert exactly(low, low), \
    "5000 times 2**14, and 1: beyond 2**24 float32 loses the 1, so the pieces are added up as whole numbers"
assert exactly(places(2, 0), places(3, 0)), "no columns, and all sums are 0"

# %% [markdown]
# Places are not numbers yet: 0 stands at the zero point. What the layer wants is
# $\sum (q_x - z_x)(q_w - z_w)$, and what it has is $\sum q_x q_w$. Multiply it out:
#
# $$\sum q_x q_w \;-\; z_x \sum q_w \;-\; z_w \sum q_x \;+\; K z_x z_w$$
#
# The sums of the weights are known beforehand. With a symmetric grid for them $z_w$ is 0, and two terms are
# gone: so weights are mostly symmetric, and what a layer is given, which after a relu has only one side, is
# not.
#
# **Your turn.** Write what is too much in the second sum, and is to be taken away from it.

# %%
#| export exercise
def too_much(row_sums, weight_sums, row_zero, weight_zero, terms: int):
    """By how much products of places are too large because 0 does not stand at 0.

    sums (M, 1) and (N), zero points () and () or (N) -> what broadcasts to (M, N)
    """
    #| hint z_x times the sums of the weights, and z_w times the sums of the inputs …
    #| hint … but then z_x z_w was taken away twice, in each of the terms.
    ### BEGIN SOLUTION
    return row_zero * weight_sums + weight_zero * row_sums - terms * (row_zero * weight_zero)
    ### END SOLUTION

# %%
#| check 2
random = np.random.default_rng(1)
qx, qw = random.integers(-128, 128, (4, 9)), random.integers(-128, 128, (3, 9))

def corrected(zx, zw): return qx @ qw.T - too_much(qx.sum(1, keepdims=True), qw.sum(1), zx, zw, 9)
def wanted(zx, zw): return (qx - zx) @ (qw - np.reshape(zw, (-1, 1))).T

assert np.array_equal(corrected(0, 0), wanted(0, 0)), "where both zero points are 0 nothing is too much"
assert np.array_equal(corrected(-100, 0), wanted(-100, 0)), \
    "every weight was multiplied with z_x too much: z_x times the sum of the weights of an output"
assert np.array_equal(corrected(0, 7), wanted(0, 7)), \
    "every input was multiplied with z_w too much: z_w times the sum of the inputs of a row"
assert np.array_equal(corrected(-100, 7), wanted(-100, 7)), \
    "z_x times z_w is in both of them, for each of the K terms: count it once, not twice"
zw = np.array([1, -2, 3])
assert np.array_equal(corrected(5, zw), wanted(5, zw)), "each output may have a zero point of its own"

# %% [markdown]
# ## A layer that holds bytes
#
# The whole number is a number of steps; a step of x times a step of w is its unit. So at last it is
# multiplied by both scales, and the bias, which stays as it was, is added. That is one op, or the door would
# be passed five times.

# %%
#| export
@Op
def in_floats(products, row_sums, weight_sums, row_zero, weight_zero, scale, weight_scale, bias, /, terms):
    """What products of places stand for.  (M, N) -> (M, N)"""
    steps = products - too_much(row_sums, weight_sums, row_zero, weight_zero, terms)
    out = steps.astype(weight_scale.dtype) * (scale * weight_scale)
    if bias is not None: out += bias
    return out


no_gradient(in_floats)

# %% [markdown]
# The class is given. It holds its weight as int8, so that the file holds it as int8, too.
#
# Its input arrives in floats, and goes onto a grid. Whose? If the layer knows from experience how far its
# inputs reach, it has a grid for them, and is called **static**. Otherwise it looks at each batch anew, and
# is called **dynamic**.

# %%
#| export
class Quantized(Module):
    """What layers with a weight of bytes have in common: the weight, its grids, and the grid of inputs."""

    settings = ()                   # what a layer of a kind takes over from the one it stands for

    def __init__(self, weight: Tensor, bias: Tensor | None, grid: tuple, axis: int | None, inputs=None):
        super().__init__()
        self.axis = axis
        scale, zero_point = grid
        self.register_buffer("weight", quantize_affine(weight.detach(), scale, zero_point, axis))
        self.register_buffer("weight_scale", scale)
        self.register_buffer("weight_zero_point", zero_point if zero_point.any() else None)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())
        input_scale, input_zero_point = inputs or (None, None)
        self.register_buffer("input_scale", input_scale)
        self.register_buffer("input_zero_point", input_zero_point)
        self.known = None, 0, None

    @classmethod
    def from_float(cls, layer: Module, axis: int | None = None, inputs=None, grid: tuple | None = None):
        """The layer with a weight of bytes.

        `axis=0`: a grid for each output; `inputs`: the grid of its inputs, if that is known; `grid`: that of
        the weight, if it is to be another than the symmetric one that holds it.
        """
        grid = grid or choose_qparams(*extremes(layer.weight.detach(), axis), symmetric=True)
        made = cls(layer.weight, layer.bias, grid, axis, inputs)
        for name in cls.settings: setattr(made, name, getattr(layer, name))
        return made.train(layer.training)

    def grid_for(self, input: Tensor) -> tuple[Tensor, Tensor]:
        """The grid that inputs go onto: the one that is known, or one that holds just these."""
        if self.input_scale is not None: return self.input_scale, self.input_zero_point
        return choose_qparams(*extremes(input.detach() if input.numel() else self.weight_scale))

    def sums(self) -> Tensor:
        """The sum of the places of each output; it is found once.  (N)"""
        of, version, sums = self.known
        if of is not self.weight or version != self.weight._version:
            sums = channels(self.weight, 0).sum(1, dtype=int32)
            self.known = self.weight, self.weight._version, sums
        return sums

    def products(self, rows: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        """Rows of places times the weight, in floats.  (M, K) -> (M, N)"""
        weight, weight_zero, row_sums = self.weight, self.weight_zero_point, 0
        if weight_zero is None: weight_zero = 0
        else: row_sums = rows.sum(1, keepdim=True, dtype=int32)
        if weight.ndim > 2: weight = weight.reshape(weight.shape[0], -1)
        return in_floats(int8_matmul(rows, weight), row_sums, self.sums(), zero_point, weight_zero, scale,
                         self.weight_scale, self.bias, terms=weight.shape[1])

    def extra_repr(self) -> str:
        told = [f"{name}={getattr(self, name)}" for name in (*self.settings, "axis")]
        return ", ".join([*told, "dynamic" if self.input_scale is None else "static"])


class QuantizedLinear(Quantized):
    """A linear layer whose weight is bytes, and whose sums are whole numbers.  (*, in) -> (*, out)"""

    settings = ("in_features", "out_features")

    def forward(self, input: Tensor) -> Tensor:
        grid = self.grid_for(input)
        places = quantize_affine(input, *grid)
        if input.ndim == 2: return self.products(places, *grid)
        out = self.products(places.reshape(-1, self.in_features), *grid)
        return out.reshape(*input.shape[:-1], self.out_features)

# %%
layer = QuantizedLinear.from_float(model[2], axis=0)
print(layer, bytes_on_disk(layer), "bytes for", bytes_on_disk(model[2]))
with no_grad(): off = layer(hidden_1 := model[:2](familiar.tensors[0])) - model[2](hidden_1)
root_mean_square(off), root_mean_square(model[2](hidden_1))

# %% [markdown]
# ## Leaves change, trees do not
#
# Now every linear layer of a network shall be such a layer, wherever it hangs, and in networks that somebody
# else has written. The forward of that somebody says `self.first(x)`; it does not ask what class `first` is.
# So nothing is patched: walk through the tree of lesson 04, and where there is a leaf that has a better
# version of itself, put that into its place.
#
# **Your turn.** `swap(part)` gives what shall stand in a part's place, or None if it is to stay. Ask for the
# whole first, then go down. What was put in is not searched any further. A part that hangs in two places is
# one part, and stays one: it is swapped once, and the new one hangs in both.

# %%
#| export exercise
def replace(model: Module, swap: Callable, made: dict | None = None) -> Module:
    """The model, with each part that `swap` has something better for replaced by it."""
    made = {} if made is None else made         # what has become of the parts that were visited
    #| hint If model is in made already, that is the answer. Otherwise ask swap(model).
    #| hint If there is nothing better: for each name and part of model._modules, which may be None,
    #| hint model._modules[name] = replace(part, swap, made). Write into made before you go down.
    ### BEGIN SOLUTION
    if model in made: return made[model]
    better = swap(model)
    made[model] = model if better is None else better
    if better is None:
        for name, part in model._modules.items():
            if part is not None: model._modules[name] = replace(part, swap, made)
    return made[model]
    ### END SOLUTION

# %%
#| check 3
class Old(Module):
    def __init__(self, inside=None):
        super().__init__()
        self.inside = inside

class New(Old): pass

heard = []
def swap(part):
    heard.append(part)
    return New(part.inside) if type(part) is Old else None

tree, leaf = Module(), Old()
tree.deep, tree.none = Module(), Module()
tree.deep.leaf, tree.deep.twin, tree.none = leaf, leaf, None
found = replace(tree, swap)
assert found is tree and type(tree.deep) is Module, "what has no better version stays: the same object"
assert type(tree.deep.leaf) is New, "a leaf is replaced however deep it hangs"
assert tree.deep.leaf is tree.deep.twin, "a part that hangs in two places is swapped once, and stays one part"
assert heard.count(leaf) == 1, "each part is asked for once"
assert type(replace(Old(), swap)) is New, "the whole may be a leaf itself: then the new one is returned"
pair = Old(Old())
assert type(replace(pair, swap).inside) is Old, "what was put in is not searched any further"
tree.deep.whole = tree
assert replace(tree, swap) is tree, "a part may know the whole: who is written down first is not walked twice"

# %%
def swapped(model, **settings):
    """A copy of a network, its linear layers holding bytes."""
    def swap(part): return QuantizedLinear.from_float(part, **settings) if type(part) is Linear else None
    return replace(deepcopy(model), swap)

dynamic = swapped(model, axis=0)
print(dynamic)
print(f"{bytes_on_disk(dynamic)} bytes, {right(dynamic):.1f} % right")

# %% [markdown]
# ## Experience
#
# A dynamic layer searches every batch for its ends before it can begin. A static one knows them: somebody
# has watched its inputs while the network was shown a few hundred examples, which is called **calibration**.
# Who watches is an **observer**. It stands in front of the layer as a hook, looks, and changes nothing.
#
# **Your turn.** Each batch may widen the range, and none makes it narrower.

# %%
#| export
class Observer(Module):
    """Looks at numbers that go by, and knows how far they reach; they go on as they came."""

    def __init__(self, axis: int | None = None, quant_min=-128, quant_max=127, symmetric: bool = False):
        super().__init__()
        self.axis, self.quant_min, self.quant_max, self.symmetric = axis, quant_min, quant_max, symmetric
        self.register_buffer("min_val", tensor(math.inf))
        self.register_buffer("max_val", tensor(-math.inf))

    def forward(self, x: Tensor) -> Tensor:
        if x.numel(): self.min_val, self.max_val = self.watched(x.detach())
        return x

    def watched(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return widened(self.min_val, self.max_val, x, self.axis)

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """The scale and the zero point for what went by."""
        if self.min_val.isinf().any(): raise RuntimeError("this observer has seen nothing: calibrate first")
        return choose_qparams(*self.ends(), self.quant_min, self.quant_max, self.symmetric)

    def ends(self) -> tuple[Tensor, Tensor]: return self.min_val, self.max_val

# %%
#| export exercise
def widened(low: Tensor, high: Tensor, x: Tensor, axis: int | None = None) -> tuple[Tensor, Tensor]:
    """The range that holds what went by before, from low to high, and x."""
    #| hint extremes knows how far x reaches, for all or for each channel. minimum and maximum take tensors.
    ### BEGIN SOLUTION
    smallest, largest = extremes(x, axis)
    return minimum(low, smallest), maximum(high, largest)
    ### END SOLUTION

# %%
#| check 2
from tinytorch import tensor

observer = Observer()
assert observer(tensor([-1.0, 2.0])).tolist() == [-1.0, 2.0], "an observer looks, and changes nothing"
assert (observer.min_val.item(), observer.max_val.item()) == (-1.0, 2.0), "the first batch is the range"
observer(tensor([0.5, 5.0]))
assert (observer.min_val.item(), observer.max_val.item()) == (-1.0, 5.0), \
    "a later batch widens the range where it reaches further, and never makes it narrower"
observer(tensor([-3.0, 4.0]))
assert (observer.min_val.item(), observer.max_val.item()) == (-3.0, 5.0), "each end is widened by itself"
each = Observer(axis=1)
each(tensor([[1.0, -1.0], [2.0, 0.0]])), each(tensor([[0.0, 3.0], [1.0, 1.0]]))
assert (each.min_val.tolist(), each.max_val.tolist()) == ([0.0, -1.0], [2.0, 3.0]), \
    "with an axis each channel has a range of its own"

# %%
#| export
def calibrated(model: Module, batches, kind: type = Linear, observer: Callable = Observer) -> dict:
    """For each layer of a kind, the grid of its inputs, found by showing the model some batches."""
    watchers = {part: observer() for part in model.modules() if type(part) is kind}
    handles = [part.register_forward_pre_hook(lambda part, inputs: (watchers[part](inputs[0]),))
               for part in watchers]
    with no_grad():
        for batch in batches: model(batch)
    for handle in handles: handle.remove()
    return {part: watcher.calculate_qparams() for part, watcher in watchers.items()}

# %%
grids = calibrated(model, familiar.tensors[0][:256].split(64))

def swap(part): return QuantizedLinear.from_float(part, 0, grids[part]) if part in grids else None

static = replace(nn.Sequential(*model), swap)
question = familiar.tensors[0][:64]

def told(name, model):
    print(f"{name:>20}: {bytes_on_disk(model):7} bytes, {right(model):.1f} % right, "
          f"{1e6 * timed(lambda: model(question)).best:5.0f} µs for 64 digits")

with no_grad():
    told("float32", model)
    told("dynamic, one grid", swapped(model))
    told("dynamic, by channel", dynamic)
    told("static, by channel", static)

# %% [markdown]
# A quarter of the bytes, the same answers, and no faster: the bytes become floats again before BLAS sees
# them, and that is work on top. What int8 saves here is room, and the road from memory to processor in
# lesson 13, where `int8_matmul` gets a kernel of its own. A paper that shows the size of a file and speaks of
# speed shows one of the two.

# %% [markdown]
# ## What nobody would miss
#
# "Optimal brain damage" is the title of a paper of 1989, by the man of the cheque reader: take weights out
# of a network, and it answers as before. Which ones? He used second derivatives. Han, in 2015, took the
# smallest, and that is what nearly everybody has done since: in a sum, a term near zero says little.
#
# A **mask** has a 1 for each weight that stays. **Your turn.** `amount` is a share of them (a float) or a
# number of them (an int). If there is a mask from before, only what it has left may go, and the share is of
# that: half, and then half again, leaves a quarter.

# %%
#| export exercise
def magnitude_mask(x: Tensor, amount: float, mask: Tensor | None = None) -> Tensor:
    """A mask that leaves out the smallest numbers, a share or a number of those that are left."""
    mask = (ones_like(x) if mask is None else mask.detach().clone()).reshape(-1)
    sizes = x.detach().abs().reshape(-1)
    #| hint left = mask.nonzero().reshape(-1) are the places that may go. How many should go?
    #| hint An int is a number already; a float is a share of len(left): round(amount * len(left)).
    #| hint sizes[left].argsort() says who comes first in the order of size: left[order[:n]] are to be 0.
    ### BEGIN SOLUTION
    left = mask.nonzero().reshape(-1)
    n = amount if isinstance(amount, int) else round(amount * len(left))
    mask[left[sizes[left].argsort()[:n]]] = 0
    ### END SOLUTION
    return mask.reshape(x.shape)

# %%
#| check 3
from tinytorch import tensor

x = tensor([[0.1, -4.0, 0.3], [-0.2, 2.0, 1.0]])
assert magnitude_mask(x, 0.5).tolist() == [[0, 1, 0], [0, 1, 1]], \
    "the smallest go, whatever their sign: -4 is a large weight"
assert magnitude_mask(x, 2).tolist() == [[0, 1, 1], [0, 1, 1]], "an int is how many go, and not a share"
assert magnitude_mask(x, 0.25).tolist() == [[0, 1, 1], [0, 1, 1]], \
    "a share is rounded: a quarter of 6 are 1.5, and two of them go"
assert magnitude_mask(tensor([1.0, 1.0, 1.0, 1.0]), 0.5).sum().item() == 2, \
    "exactly as many go as were asked for, also where sizes are equal: no threshold, but an order"
half = magnitude_mask(x, 0.5)
again = magnitude_mask(x, 1 / 3, half)
assert again.tolist() == [[0, 1, 0], [0, 1, 0]], \
    "with a mask from before, the share is of what is left, and what is gone does not count"
assert half.sum().item() == 3, "the mask from before stays as it was"
assert magnitude_mask(x, 0.0).sum().item() == 6 and x.tolist()[1][1] == 2.0, "no weight is changed by a mask"

# %% [markdown]
# From one tenth of the weights to nine tenths, layer by layer, without a word to the network. Where will it
# notice?

# %%
def thinned(model, amount):
    copy = deepcopy(model)
    for layer in copy:
        if type(layer) is Linear: layer.weight.data.mul_(magnitude_mask(layer.weight, amount))
    return copy

curves({"% right": [right(thinned(model, n / 10)) for n in range(1, 10)]}, x="tenths left out")

# %% [markdown]
# Half of them nobody misses. Nine tenths are too many, but the network has not been asked to help: if it
# trains on for a while, those that are left take over. It must not wake up the dead, though. An optimizer
# moves *every* parameter, momentum even those without a gradient, so it is not enough to set weights to 0
# once. **Apply the mask anew before every forward.**
#
# PyTorch's way: the parameter is renamed `weight_orig`, the mask becomes the buffer `weight_mask`, and
# `weight` an ordinary attribute, their product, which a hook computes before each forward. The gradient of a
# product does the rest.
#
# **Your turn.** The parameter must stay the same object: optimizers know it.

# %%
#| export
class Reapplied:
    """A hook before forward that makes a parameter anew of what it was and its mask."""

    def __init__(self, name: str): self.name = name
    def __call__(self, module: Module, inputs) -> None: setattr(module, self.name, masked(module, self.name))

# %%
#| export exercise
def masked(module: Module, name: str) -> Tensor:
    """The parameter that was renamed, times its mask."""
    #| hint getattr(module, name + "_orig") is the parameter.
    ### BEGIN SOLUTION
    return getattr(module, name + "_orig") * getattr(module, name + "_mask")
    ### END SOLUTION


def put_mask(module: Module, name: str, mask: Tensor, hook: Callable | None = None) -> None:
    """Renames a parameter, and puts its product with a mask in its place, anew before every forward."""
    hook = hook or Reapplied(name)
    #| hint Take the parameter: getattr. Then delattr(module, name), or its name is not free.
    #| hint module.register_parameter and module.register_buffer, with _orig and _mask behind the name.
    #| hint module.register_forward_pre_hook(hook); and hook(module, None) once, to have a weight at all.
    ### BEGIN SOLUTION
    parameter = getattr(module, name)
    delattr(module, name)
    module.register_parameter(name + "_orig", parameter)
    module.register_buffer(name + "_mask", mask)
    hook(module, None)
    module.register_forward_pre_hook(hook)
    ### END SOLUTION

# %%
#| check 3
from tinytorch import tensor
from tinytorch.optimizers import SGD

layer = Linear(2, 2, bias=False)
before = layer.weight
before.data.copy_(tensor([[1.0, 2.0], [3.0, 4.0]]))
put_mask(layer, "weight", tensor([[1.0, 0.0], [0.0, 1.0]]))
assert layer.weight.tolist() == [[1.0, 0.0], [0.0, 4.0]], \
    "the weight is the parameter times the mask, at once"
assert list(layer.state_dict()) == ["weight_orig", "weight_mask"], \
    "the parameter is called weight_orig, the mask is the buffer weight_mask, and both are saved"
assert layer.weight_orig is before, "the parameter stays the same object: optimizers hold on to it"
optimizer = SGD(layer.parameters(), lr=0.1, momentum=0.9, weight_decay=0.5)
assert layer.weight.requires_grad, "gradients flow through the product: its numbers alone have no history"
layer(tensor([[1.0, 1.0]])).sum().backward()
assert before.grad.tolist() == [[1.0, 0.0], [0.0, 1.0]], \
    "gradients flow through the product to the parameter, and none to what is masked"
optimizer.step()
layer(tensor([[1.0, 1.0]]))
assert layer.weight.tolist()[0][0] != 1.0, "before every forward the weight is made anew: it has learned"
assert layer.weight.tolist()[0][1] == 0.0, \
    "what is masked stays 0, whatever the optimizer does to the parameter"

# %%
def pruned(model, amount, epochs=4):
    """A copy without a share of its weights, which has been trained on since."""
    copy = deepcopy(model)
    for layer in copy:
        if type(layer) is Linear: put_mask(layer, "weight", magnitude_mask(layer.weight, amount))
    return trained(copy, epochs=epochs)

manual_seed(0)
thin = pruned(model, 0.9)
print(f"nine tenths gone: {right(thinned(model, 0.9)):.1f} % before, {right(thin):.1f} % after training on")

# %% [markdown]
# When the training is over, the product becomes the parameter again, and the mask goes.

# %%
#| export
def take_off_mask(module: Module, name: str) -> None:
    """Makes what a mask has left of a parameter the parameter, for good."""
    parameter, left = getattr(module, name + "_orig"), masked(module, name).detach()
    for hook in hooks_on(module):
        if getattr(hook, "name", None) == name: remove_hook(module, hook)
    for renamed in (name, name + "_orig", name + "_mask"): delattr(module, renamed)
    parameter.data = left
    module.register_parameter(name, parameter)


def hooks_on(module: Module) -> list[Callable]:
    """The hooks that run before a module's forward."""
    return [hook for hook, _ in asked(module._forward_pre_hooks)]


def remove_hook(module: Module, hook: Callable) -> None:
    """Takes a hook off that runs before forward."""
    for number, one in zip(list(module._forward_pre_hooks), hooks_on(module)):
        if one is hook: del module._forward_pre_hooks[number]

# %% [markdown]
# And the file? A zero takes four bytes like any other float, so for its size nothing has been gained yet.
# What pays is to write down only what is left, and where it stands: for each row of the weight, the columns
# and the values of those that are not 0. That is **CSR**, compressed sparse rows, and it is given, in an
# appendix. A value and its column take six bytes here. From what share of zeros on is the file smaller? And
# from what share on is the product faster?

# %%
from tinytorch.sparse_rows import SparseLinear

for layer in thin:
    if type(layer) is Linear: take_off_mask(layer, "weight")

def sparse(model):
    def swap(part): return SparseLinear.from_float(part) if type(part) is Linear else None
    return replace(deepcopy(model), swap)

with no_grad():
    told("float32", model)
    told("9/10 pruned", thin)
    told("the same as CSR", sparse(thin))
    for tenths in (2, 5): told(f"{tenths}/10 pruned, as CSR", sparse(thinned(model, tenths / 10)))

# %% [markdown]
# On the disk it pays from a third on. In time it does not pay here at all: a matrix product is the one thing
# that all of a computer has been polished for, and to pick up numbers here and there is not. (The appendix
# measures where it begins to: a large matrix, a single row, and ninety-nine of a hundred gone.) What
# processors can use are zeros in a **pattern**: whole rows, or two of every four (the appendix on patterns).
#
# Song Han's recipe had three steps: prune, say in few bits, and then code by **Huffman** (1952), in which
# what is frequent is short. The third is in every zip file. What will it make of each of these?

# %%
import zlib

from tinytorch.safetensors import save

for name, net in [("float32", model), ("int8", dynamic), ("9/10 pruned", thin),
                  ("9/10 pruned, int8", swapped(thin, axis=0))]:
    zipped = len(zlib.compress(save(net.state_dict()), 9))
    print(f"{name:>18}: {zipped:6} bytes zipped, {bytes_on_disk(model) / zipped:4.1f} times smaller than the "
          f"network was, {right(net):.1f} % right")

# %% [markdown]
# Floats of a trained network are as good as random to a zip program, and so are most of its bytes. Zeros are
# not.
#
# ## A large network teaches a small one
#
# A label says "7". A network that has learned says: 7, but it could be a 1, and it has something of a 9, and
# nothing at all of a 0. What is known about digits lies in those small numbers. Hinton, Vinyals and Dean
# (2015) let a small network learn *them* and called it **distillation**.
#
# Softmax makes them too small to matter, so both networks divide their scores by a **temperature** first.
# What does it do to these three?

# %%
from tinytorch.activations import softmax

for T in (1, 2, 4): print(T, softmax(tensor([9.0, 5.0, 1.0]) / T, 0).array.round(4))

# %% [markdown]
# The loss is the distance from the teacher's shares to those of the student, the Kullback-Leibler divergence
# $\sum p \ln (p / q)$, a mean over the batch. Scores divided by T have gradients that are T times smaller,
# and shares that are nearly even differ T times less: T² smaller in all. So it is multiplied by T², or it
# would vanish beside the other half of the loss, the surprise at the true labels.
#
# **Your turn.** `kl_div(log_q, log_p, reduction="batchmean", log_target=True)` takes logarithms of both.

# %%
#| export exercise
def distillation_loss(
    scores: Tensor, teacher: Tensor, labels: Tensor | None = None,
    temperature: float = 4.0, alpha: float = 0.9,
) -> Tensor:
    """How far a student is from its teacher, and, for a share of 1 - alpha, from the labels.

    (n, classes), (n, classes), (n) -> ()
    """
    #| hint log_softmax(scores / temperature, 1) are the student's logarithms. The same for the teacher.
    #| hint The teacher does not learn here: teacher.detach().
    #| hint The temperature is for comparing the two. Labels are held against the scores as they are.
    ### BEGIN SOLUTION
    log_q = log_softmax(scores / temperature, 1)
    log_p = log_softmax(teacher.detach() / temperature, 1)
    soft = kl_div(log_q, log_p, reduction="batchmean", log_target=True) * temperature**2
    if labels is None: return soft
    return alpha * soft + (1 - alpha) * cross_entropy(scores, labels)
    ### END SOLUTION

# %%
#| check 3
from tinytorch import tensor

def shares(scores, T):
    e = np.exp(np.array(scores) / T)
    return e / e.sum(1, keepdims=True)

a, b, labels = [[1.0, 2.0, 0.0], [0.0, 3.0, 1.0]], [[4.0, 1.0, 0.0], [0.0, 1.0, 1.0]], tensor([0, 1])
def apart(T): return float((shares(b, T) * np.log(shares(b, T) / shares(a, T))).sum()) / 2
def loss(*more): return distillation_loss(tensor(a), tensor(b), *more).item()

assert abs(loss(None, 1.0) - apart(1)) < 1e-5, \
    "the distance is from the teacher's shares to the student's, added up over classes, a mean over the batch"
assert abs(loss(None, 2.0) - 4 * apart(2)) < 1e-5, \
    "both scores are divided by the temperature, and the loss is multiplied by its square"
hard = cross_entropy(tensor(a), labels).item()
assert abs(loss(labels, 2.0, 0.0) - hard) < 1e-5, \
    "with alpha 0 only the labels count, and the scores are held against them without a temperature"
assert abs(loss(labels, 2.0, 0.75) - 3 * apart(2) - hard / 4) < 1e-5, \
    "alpha of the teacher, 1 - alpha of the labels"
teacher = tensor(b, requires_grad=True)
student = tensor(a, requires_grad=True)
distillation_loss(student, teacher, labels).backward()
assert teacher.grad is None and student.grad is not None, "the student learns, and the teacher does not"

# %% [markdown]
# A student of 16 hidden units and 1,210 numbers, forty-two times smaller than its teacher. It goes to three
# schools: one that has 100 digits with their labels; one that has all 1,415 with their labels; and one that
# has 1,415 pictures and not a single label, but a teacher. Put them in order.

# %%
with no_grad(): advice = model(familiar.tensors[0])

few = TensorDataset(*[part[:100] for part in familiar.tensors])
advised = TensorDataset(familiar.tensors[0], advice)

for school, data, epochs, loss in [("100 labels", few, 100, cross_entropy),
                                   ("1,415 labels", familiar, 10, cross_entropy),
                                   ("no label, a teacher", advised, 10, distillation_loss)]:
    manual_seed(1)
    student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    trained(student, data, epochs, 5e-3, loss=loss)
    print(f"{school:>20}: {right(student):.1f} %, {bytes_on_disk(student)} bytes")

# %% [markdown]
# Without a single label the student of a teacher is about as good as the one that has them all. Who labels
# pictures costs money; a teacher is there already, and it can be asked about pictures that nobody has
# labelled.
#
# ## Challenges
#
# 1. Which layer suffers most from few bits? Put one at a time on a grid of 3 bits, and hold the examination.
#    Then give each layer as few bits as it can bear.
# 2. Prune all layers together: one threshold for the whole network instead of a share for each layer. Which
#    layer loses most? (`prune.global_unstructured` does it.)
# 3. The bias stayed in float32. What would its grid have to be, so that it can be added to the whole numbers
#    before they are multiplied with the scales?
# 4. `EXACT` is for the worst case. Weights on a symmetric grid of -127 to 127 would allow how many terms? And
#    what of a real layer, whose sums you can look at?
# 5. A code of your own: 16 weights for a whole layer, found by k-means, and four bits for each weight that
#    say which. How does it compare with a grid of 4 bits? (That was Han's second step.)
# 6. A student that is larger than its teacher, taught by it: does it stop where the teacher stands?
#
# ## Design note: pretend, or do it?
#
# There are two ways to quantise in a framework. One keeps float32 everywhere and rounds: `round_trip` in
# front of every product. It is easy, works with every layer, and finds out how many right answers are left.
# Many a library says "int8" and does just that; the file is as large as before, and so is the road from
# memory.
#
# The other holds bytes, and multiplies bytes. It needs a layer for each kind of layer, a rule for what is
# put in whose place, and a kernel for each processor. But its bytes are on the disk, where anybody can count
# them, and what it says it computes is what it computes.
#
# You need both: pretending is how a network *learns* to live on a grid (the appendix on learning with
# grids), and doing is how it is sent out. What should never happen is that one is sold as the other.
