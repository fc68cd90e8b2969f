# %% [markdown]
# # Spatial
#
# A matrix does not know that two pixels are neighbours. Shuffle the 784 pixels of every digit in the same
# way, and a dense layer learns exactly as well as before, though no human could read a single one. It also
# has to learn what a stroke is 784 times, once for each place where one may begin.
#
# A **convolution** looks through a small window instead, and uses the same few weights wherever the window
# stands. You write one, first as seven loops, then as a single matrix product that is more than a thousand
# times faster. Around it you build the rest of what Yann LeCun's network read cheques with in 1998.

# %%
#| export
"""Windows that slide over pictures: convolution, pooling, batch normalisation, and a LeNet."""

# %%
#| export
from __future__ import annotations

import math
from itertools import count

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinytorch.activations import relu
from tinytorch.creation import empty, ones, zeros
from tinytorch.dense import Linear
from tinytorch.devices import at_home, beside, window
from tinytorch.dtypes import dtype_of, int64
from tinytorch.errors import ShapeError, shape_of
from tinytorch.fitting import as_rows, row_sums
from tinytorch.initialisation import kaiming_uniform_
from tinytorch.layers import Module, Parameter
from tinytorch.ledger import flops
from tinytorch.lines import on_lines, suits_lines
from tinytorch.room import ROOMS, SLICE, batched, each_way, even, margins, pad
from tinytorch.shaping import along, flatten
from tinytorch.tensor import Kept, Op, Tensor, tensor

# %% [markdown]
# ## A window slides
#
# Here is a picture, and a **kernel**: nine weights to lay over a 3 x 3 window. Multiply each weight with the
# pixel below it, add up, write the sum down, slide on by one.

# %%
picture = np.array([[c == "#" for c in row] for row in (
    "............",
    "...######...",
    "...######...",
    "...##.......",
    "...#####....",
    ".......##...",
    ".......##...",
    "...#####....",
    "............")], np.float32)
edge = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]], np.float32)

def show(*pictures):
    """Pictures side by side: the darker the character, the larger the number."""
    for row in zip(*pictures):
        print("   ".join("".join(" .:-=+*#%@"[min(9, max(0, int(5 + 1.4 * v)))] for v in line)
                         for line in row))

show(picture * 6 - 3)

# %% [markdown]
# What does `edge` answer where the picture is bright on both sides? Where it is dark on the left and bright
# on the right? Say it before you scroll on: in a few minutes you will see.
#
# But first, how large is the answer? A window of 3 fits into a line of 12 in 10 places. Three settings change
# that. **Padding** adds dark pixels on both sides, **stride** takes only every second or third place, and
# **dilation** leaves gaps between the pixels a window looks at: with dilation 2, three weights span five
# pixels.
#
# **Your turn.**

# %%
#| export exercise
def out_length(length: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """In how many places a window fits into a line; `padding` is added at both ends."""
    #| hint How long is the line with its padding? How many pixels does the window span, gaps included?
    #| hint A window that spans all of the line fits in one place. How many steps are left, rounded down?
    ### BEGIN SOLUTION
    span = dilation * (kernel - 1) + 1
    return (length + 2 * padding - span) // stride + 1
    ### END SOLUTION

# %%
#| check 1
assert out_length(12, 3) == 10, "a window of 3 fits into 12 in 10 places: it cannot hang over the end"
assert out_length(28, 5, padding=2) == 28, "padding counts on both sides: two before, and two after"
assert out_length(12, 2, stride=2) == 6, "a stride of 2 takes every second place"
assert out_length(7, 3, stride=2) == 3 and out_length(8, 3, stride=2) == 3, \
    "a last step that does not fit is not taken: round down"
assert out_length(12, 3, dilation=2) == 8, "with dilation 2 three weights span five pixels"
assert out_length(5, 5) == 1, "a window as long as the line fits once"

# %% [markdown]
# ## Seven loops
#
# Pictures come in batches, and have channels: `x` is `(N, C, H, W)`, N pictures of C channels each. A filter
# looks at all channels at once, so it has `C x kh x kw` weights. A layer has several filters, and each makes
# one channel of the output: `w` is `(O, C, kh, kw)`.
#
# **Your turn.** For every picture, filter, row and column of the output, go over all channels, rows and
# columns of the window. Plain loops, and no NumPy but indexing. It will be slow; that is the point.

# %%
#| export exercise
def conv2d_loops(x, w, stride: int = 1):
    """What a convolution is, one multiplication at a time.  (N, C, H, W), (O, C, kh, kw) -> (N, O, H', W')"""
    (N, C, H, W), (O, _, kh, kw) = x.shape, w.shape
    out = np.zeros((N, O, out_length(H, kh, stride), out_length(W, kw, stride)), x.dtype)
    #| hint Four loops say which number of out; three more say what is added to it.
    #| hint The window of out[n, o, i, j] has its corner at row i * stride, column j * stride.
    ### BEGIN SOLUTION
    for n, o, i, j in np.ndindex(*out.shape):
        for c, a, b in np.ndindex(C, kh, kw):
            out[n, o, i, j] += x[n, c, i * stride + a, j * stride + b] * w[o, c, a, b]
    return out
    ### END SOLUTION

# %%
#| check 2
x, w = np.arange(16.0).reshape(1, 1, 4, 4), np.array([[[[1.0, 10.0], [100.0, 1000.0]]]])
found = conv2d_loops(x, w)[0, 0].tolist()
assert found == [[5410, 6521, 7632], [9854, 10965, 12076], [14298, 15409, 16520]], \
    "each output is the window times the kernel, place by place: neither is turned round"
assert conv2d_loops(x, w, stride=2)[0, 0].tolist() == [[5410, 7632], [14298, 16520]], \
    "with stride 2 the window jumps over every second place, in both directions"
x, w = np.arange(36.0).reshape(2, 2, 3, 3), np.zeros((3, 2, 1, 1))
w[:, :, 0, 0] = [[1, 0], [0, 1], [1, 1]]
assert np.array_equal(conv2d_loops(x, w)[:, :2], x), "filter o makes channel o of the output"
assert np.array_equal(conv2d_loops(x, w)[:, 2], x.sum(1)), "a filter adds up what it sees in all channels"
assert conv2d_loops(np.ones((1, 1, 4, 5)), np.ones((1, 1, 2, 3))).shape == (1, 1, 3, 3), \
    "rows and columns have lengths of their own: height with height, width with width"

# %%
show(picture * 6 - 3)
print()
show(conv2d_loops(picture[None, None], edge[None, None])[0, 0],
     conv2d_loops(picture[None, None], edge.T[None, None])[0, 0])

# %% [markdown]
# Bright where the picture turns from dark to light, dark where it turns back, and grey where nothing happens:
# an edge finder in nine numbers. Its transpose finds edges that lie.
#
# Now measure. One picture of 28 x 28, six filters of 5 x 5, a sixth of LeNet's work:

# %%
from tinytorch import peak_memory, timed

rng = np.random.default_rng(0)
digit, filters = rng.random((1, 1, 28, 28), np.float32), rng.random((6, 1, 5, 5), np.float32)
loops = timed(lambda: conv2d_loops(digit, filters))
operations = 2 * 6 * 24 * 24 * 25
print(f"{loops}, {operations / loops.best / 1e6:.2f} MFLOP/s")

# %% [markdown]
# Compare that with the ceiling you measured in lesson 01, in *giga*FLOP/s. The loops have done their duty:
# they say what is meant, and everything below is tested against them. They never run again.
#
# ## All windows at once, for nothing
#
# In lesson 02 a view was another way of walking along the same memory. Windows overlap, and a view may do
# that too. Take a line and ask for windows of three:

# %%
line = np.arange(8)
as_strided(line, shape=(6, 3), strides=(8, 8))      # one step to the next window, one step inside of it

# %% [markdown]
# Eight numbers in memory, eighteen in the table, nothing copied. What are the two strides if the windows
# have stride 2? And if they have dilation 2? (`window(x, shape, strides)` is `as_strided` for arrays that may
# live on a GPU, too.)
#
# **Your turn**, in any number of directions. We put channels last here, `(N, H, W, C)`, for a reason that
# comes soon. From that make `(N, H', W', kh, kw, C)`: for every place of the window all it looks at.

# %%
#| export exercise
def windows(x, kernel: tuple, stride: tuple, dilation: tuple):
    """Every window, as a view: where it stands, then what is in it.  (N, *L, C) -> (N, *L', *kernel, C)"""
    lengths, steps = x.shape[1:-1], x.strides[1:-1]
    #| hint out_length says in how many places a window fits: once for each direction, without padding.
    #| hint The next window is `stride` steps away, the next number inside of it `dilation` steps.
    #| hint Shape and strides have the same order: N, places, inside, C. Strides of x are in bytes already.
    ### BEGIN SOLUTION
    places = tuple([out_length(n, k, s, 0, d) for n, k, s, d in zip(lengths, kernel, stride, dilation)])
    between = tuple([step * s for step, s in zip(steps, stride)])
    inside = tuple([step * d for step, d in zip(steps, dilation)])
    shape = (x.shape[0], *places, *kernel, x.shape[-1])
    return window(x, shape, (x.strides[0], *between, *inside, x.strides[-1]))
    ### END SOLUTION

# %%
#| check 2
x = np.arange(2 * 5 * 7 * 3.0).reshape(2, 5, 7, 3)
found = windows(x, (3, 2), (1, 1), (1, 1))
assert found.shape == (2, 3, 6, 3, 2, 3), \
    "where the window stands, then its rows and columns, then the channels"
assert np.array_equal(found[1, 2, 4], x[1, 2:5, 4:6]), "the window at row i and column j begins there"
assert np.shares_memory(found, x), "windows overlap, and cost nothing: they are a view"
assert np.array_equal(windows(x, (3, 2), (2, 3), (1, 1))[1, 1, 1], x[1, 2:5, 3:5]), \
    "the next window is stride steps away, in each direction its own"
assert np.array_equal(windows(x, (3, 2), (1, 1), (2, 3))[0, 0, 1], x[0, 0:5:2, 1:5:3]), \
    "inside a window the next number is dilation steps away"
assert np.array_equal(windows(x[:, :, ::2], (2, 2), (1, 1), (1, 1))[0, 1, 1], x[0, 1:3, 2:6:2]), \
    "x may be a view with strides of its own: multiply those"
assert windows(x[:, 0], (3,), (1,), (1,)).shape == (2, 5, 3, 3), "a line has one direction, a film three"

# %% [markdown]
# ## One product
#
# Each output is a window times a filter, summed: a row times a column. So write every window as a row of a
# matrix, every filter as a column of another one, and a convolution is a **matrix product**. The first
# matrix has its own name, `im2col`, from the days when images became columns.
#
# **Your turn.** Copy the windows into a matrix, one row for each place where a window stands.

# %%
#| export exercise
def im2col(view, out=None):
    """The windows as the rows of a matrix, in `out` if it is given.  (N, *L', *kernel, C) -> (places, K)"""
    ways = (view.ndim - 2) // 2
    #| hint view has N and `ways` dimensions of places, then all the rest, which makes up a row.
    #| hint math.prod(view.shape[: 1 + ways]) rows. Copy with np.copyto, reshaped for a place to copy to.
    ### BEGIN SOLUTION
    places = math.prod(view.shape[: 1 + ways])
    out = np.empty_like(view, order="C") if out is None else out.reshape(view.shape)
    np.copyto(out, view)
    return out.reshape(places, -1) if places else out.reshape(0, math.prod(view.shape[1 + ways :]))
    ### END SOLUTION

# %%
#| check 1
x = np.arange(2 * 4 * 5 * 3.0).reshape(2, 4, 5, 3)
view = windows(x, (2, 2), (1, 1), (1, 1))
assert im2col(view).shape == (2 * 3 * 4, 2 * 2 * 3), \
    "a row for every place in every picture, as long as a filter"
assert np.array_equal(im2col(view)[13], x[1, 0:2, 1:3].reshape(-1)), "a row is a window, written in a line"
room = np.zeros(24 * 12)
assert np.shares_memory(im2col(view, room), room), "given room to write in, it makes no memory of its own"
assert im2col(windows(x[:, 0], (3,), (1,), (1,))).shape == (6, 9), "lines have windows too"
assert im2col(windows(x[:0], (2, 2), (1, 1), (1, 1))).shape == (0, 12), "no pictures make no rows"

# %% [markdown]
# Then a convolution of stride 1 without padding is this. (The filters have to be turned like the windows:
# channels last.)

# %%
def conv_by_product(x, w):
    view = windows(x.transpose(0, 2, 3, 1), w.shape[2:], (1, 1), (1, 1))
    out = im2col(view) @ w.transpose(2, 3, 1, 0).reshape(-1, len(w))
    return out.reshape(*view.shape[:3], len(w)).transpose(0, 3, 1, 2)

print("the same:", np.allclose(conv_by_product(digit, filters), conv2d_loops(digit, filters), atol=1e-4))
product = timed(lambda: conv_by_product(digit, filters))
print(f"{product}: {loops.best / product.best:.0f} times faster")

# %% [markdown]
# ## What it costs
#
# The matrix has `kh * kw` times as many numbers as the picture. For a batch of 32 pictures with 16 channels,
# 2 MB each way, it takes 17 MB, which do not fit into any cache. Writing it costs more than the product.

# %%
batch, sixteen = rng.random((32, 16, 32, 32), np.float32), rng.random((16, 16, 3, 3), np.float32)
print(timed(lambda: conv_by_product(batch, sixteen)),
      f"{peak_memory(lambda: conv_by_product(batch, sixteen)) / 1e6:.0f} MB")

# %% [markdown]
# So take a **slice** of the batch at a time, a matrix that stays in the cache, and use the same memory for
# the next slice. `Slices` is given. It decides how many pictures go into a slice (or how many rows of one, if
# one is too much already), puts margins around them, channels last, and gathers their windows. Channels come
# last because a copy is fast when many numbers lie side by side. Where there are few channels it lays the
# same arrays out the other way round, rows of the picture side by side.

# %%
#| export
FEW = 16                            # fewer numbers side by side are not worth a copy


class Slices:
    """A convolution in pieces that fit into the cache, and share the memory they are made in.

    Each piece is `matrix, product, pictures, place`: the windows as rows; room for their product with
    `weights`; the same room looked at as pictures (n, O, rows, *); and where in the output they belong.
    """

    def __init__(self, x, w, places: tuple, ends: list, stride: tuple, dilation: tuple):
        self.x, self.ways, self.last = x, len(places), w.shape[1] * w.shape[-1] >= FEW
        first, *between = range(1, w.ndim)
        weights = w.transpose(0, *between, first) if self.last else w
        self.weights = weights.reshape(len(w), -1).T.copy()                         # (K, O)
        row = max(1, math.prod(w.shape[1:]) * math.prod(places[1:]))
        self.rows = even(places[0], SLICE // row)
        self.pictures = even(len(x), SLICE // (row * self.rows)) if self.rows == places[0] else 1
        self.margins, self.inner = self.with_margins(ends)
        self.windows = windows(self.margins, w.shape[2:], stride, dilation)

    def __iter__(self):
        for n in range(0, len(self.x), self.pictures):
            some = self.x[n : n + self.pictures]
            self.inner[: len(some)] = some
            for r in range(0, self.windows.shape[1], self.rows):
                view = self.windows[: len(some), r : r + self.rows]
                place = slice(n, n + self.pictures), slice(None), slice(r, r + self.rows)
                yield *self.piece(view), place

    def with_margins(self, ends: list):
        """Room for pictures with zeros around them, and where in it the pictures go."""
        lengths = [n + before + after for n, (before, after) in zip(self.x.shape[2:], ends)]
        room, _ = self.room("margins", (self.pictures, *lengths), self.x.shape[1:2])
        room[...] = 0
        inner = [slice(before, before + n) for n, (before, _) in zip(self.x.shape[2:], ends)]
        return room, channels_first(room[(slice(None), *inner)])

    def piece(self, view):
        """The matrix of some windows, room for its product, and that room as pictures."""
        places, inside = view.shape[: self.ways + 1], view.shape[self.ways + 1 :]
        gathered, matrix = self.room("matrix", places, inside)
        pictures, product = self.room("product", places, self.weights.shape[1:])
        if self.last: im2col(view, gathered)
        else: np.copyto(gathered, view)
        return matrix, product, channels_first(pictures)

    def room(self, name: str, places: tuple, inside: tuple):
        """Memory as an array (*places, *inside), and as a matrix; `last` says which lie together."""
        n, m = math.prod(places), math.prod(inside)
        if self.last:
            room = ROOMS.get(name, (*places, *inside), self.x)
            return room, room.reshape(n, m)
        room, k = ROOMS.get(name, (*inside[-1:], *inside[:-1], *places), self.x), len(inside)
        return room.transpose(*range(k, room.ndim), *range(1, k), 0), room.reshape(m, n).T


def channels_first(x):
    """(n, *L, C) -> (n, C, *L), the same memory."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def channels_last(x):
    """(n, C, *L) -> (n, *L, C), the same memory."""
    return x.transpose(0, *range(2, x.ndim), 1)

# %% [markdown]
# **Your turn.** For each piece: multiply the matrix with `pieces.weights`, into the room that is there for
# the product. Then write the pictures, plus the bias if there is one, to their place in `out`.

# %%
#| export exercise
def convolve(pieces: Slices, bias, out) -> None:
    """Fills `out` with the convolution that `pieces` cuts up.  bias (O, 1, 1) or None, out (N, O, H', W')"""
    for matrix, product, pictures, place in pieces:
        #| hint np.matmul(a, b, out=c) writes a product into memory that is there already.
        #| hint pictures shows the memory of product: np.add(pictures, bias, out=out[place]) adds and moves.
        ### BEGIN SOLUTION
        np.matmul(matrix, pieces.weights, out=product)
        if bias is None: out[place] = pictures
        else: np.add(pictures, bias, out=out[place])
        ### END SOLUTION

# %%
#| check 2
def convolved(x, w, bias=None, ends=0):
    places = tuple([n + 2 * ends - k + 1 for n, k in zip(x.shape[2:], w.shape[2:])])
    out = np.full((len(x), len(w), *places), np.nan)
    convolve(Slices(x, w, places, [(ends, ends)] * 2, (1, 1), (1, 1)), bias, out)
    return out

random = np.random.default_rng(0)
x, w = random.random((2, 3, 6, 5)), random.random((4, 3, 3, 2))
bias = random.random((4, 1, 1))
whole = np.stack([sum([x[:, :, i : i + 4, j : j + 4, None] * w[:, :, i, j].T[:, None, None] for i in range(3)
                       for j in range(2)]).sum(1)[..., o] for o in range(4)], 1)
assert np.allclose(convolved(x, w), whole), \
    "each output is a window times a filter, and pictures go to their place"
assert np.allclose(convolved(x, w, bias), whole + bias), "the bias of a filter is added to all of its picture"
assert np.allclose(convolved(x, w, None, 1)[:, :, 1:-1, 1:-1], whole), \
    "margins add places around those that were there"
many = np.tile(x[:, :, :, :1], (300, 8, 2, 4))
w = np.ones((2, 24, 3, 3))
assert np.allclose(convolved(many, w)[-2:], convolved(many[-2:], w)), \
    "every slice has its own place in the output"

# %% [markdown]
# Given: what PyTorch's `conv2d` has besides. `groups` splits the channels into groups that do not see each
# other. When every channel is alone, there is no product to speak of, and each of the few weights is
# multiplied with everything it meets. A kernel of 1 x 1 needs no windows.

# %%
#| export
def correlate(name: str, x, w, bias, stride, padding, dilation, groups: int):
    """Convolution in any number of directions.  (N, C, *L), (O, C / groups, *kernel), (O,) -> (N, O, *L')"""
    ways = w.ndim - 2
    x, many = batched(name, x, ways)
    stride, dilation = each_way("stride", stride, ways), each_way("dilation", dilation, ways)
    ends = margins(padding, w.shape[2:], stride, dilation)
    places = places_for(name, x, w, bias, ends, stride, dilation, groups)
    out = like_layout(x, (len(x), len(w), *places))
    bias = None if bias is None else bias.reshape(-1, *(1,) * ways)
    if out.size == 0 or w.size == 0: out[...] = 0 if bias is None else bias
    elif w.shape[1] == 1 < groups: one_by_one(x, w, bias, ends, stride, dilation, out)
    elif groups == 1 == math.prod(w.shape[2:]) and places == x.shape[2:] and set(stride) == {1}:
        point_by_point(x, w, bias, out)
    else:
        C, O = w.shape[1], len(w) // groups
        for g in range(groups):
            c, o = slice(g * C, g * C + C), slice(g * O, g * O + O)
            part = x[:, c], w[o], None if bias is None else bias[o]
            if suits_lines(*part[:2], places, ends, stride): on_lines(*part, ends, dilation, out[:, o])
            else: convolve(Slices(*part[:2], places, ends, stride, dilation), part[2], out[:, o])
    return out if many else out[0]


def places_for(name: str, x, w, bias, ends, stride, dilation, groups: int) -> tuple:
    """The lengths of the output; complains about what does not fit."""
    given = f"{name} cannot take pictures {shape_of(x)} and filters {shape_of(w)}"
    if groups < 1 or len(w) % groups:
        raise RuntimeError(f"{given}: {len(w)} filters do not make {groups} groups")
    if x.shape[1] != w.shape[1] * groups:
        raise ShapeError(f"{given}: {x.shape[1]} channels meet filters for {w.shape[1] * groups}"
                         + (f" ({groups} groups of {w.shape[1]})" if groups > 1 else ""))
    if bias is not None and bias.shape != w.shape[:1]:
        raise ShapeError(f"{given}: a bias of {shape_of(bias)} for {len(w)} filters")
    kinds = {a.dtype for a in (x, w, bias) if a is not None}
    if len(kinds) > 1:
        raise RuntimeError(f"{name} wants one dtype, not {dtype_of(x)} pictures and {dtype_of(w)} filters")
    lengths = [n + before + after for n, (before, after) in zip(x.shape[2:], ends)]
    found = tuple([out_length(n, k, s, 0, d) for n, k, s, d in zip(lengths, w.shape[2:], stride, dilation)])
    if min(found) < 1:
        raise ShapeError(f"{given}: with its margins a picture is {tuple(lengths)}, less than a window spans")
    return found


def like_layout(x, shape: tuple):
    """New memory for pictures, channels last where those of x are."""
    last = x.ndim == 4 and x.shape[1] > 1 and x.strides[1] == x.itemsize and x.strides[3] > x.itemsize
    if not last: return np.empty_like(x, shape=shape, order="C")
    return channels_first(np.empty_like(x, shape=(shape[0], *shape[2:], shape[1]), order="C"))


def point_by_point(x, w, bias, out) -> None:
    """Filters that look at one place only: a product for every picture."""
    weights = w.reshape(len(w), -1)
    if out.flags.c_contiguous:
        np.matmul(weights, x.reshape(*x.shape[:2], -1), out=out.reshape(*out.shape[:2], -1))
    else:
        np.matmul(channels_last(x), weights.T, out=channels_last(out))
    if bias is not None: out += bias


def one_by_one(x, w, bias, ends, stride, dilation, out) -> None:
    """Filters that look at one channel each: every weight times all it meets."""
    many, kernel = len(w) // x.shape[1], w.shape[2:]
    for one, made in zip(x, out):
        room = np.pad(one, [(0, 0), *ends])
        if many > 1: room = np.repeat(room, many, axis=0)
        made[...] = 0 if bias is None else bias
        view = windows(room[..., None], kernel, stride, dilation)[..., 0]
        for place in np.ndindex(*kernel):
            made += view[(..., *place)] * w[(slice(None), 0, *place)].reshape(-1, *(1,) * len(kernel))

# %% [markdown]
# And the op, a row like any other. Lesson 14 will want to know what it costs, so say it now.
#
# **Your turn.** How many multiplications and additions does a convolution take? `out` and `weight` are
# tensors.

# %%
#| export
@Op
def conv2d(input, weight, bias=None, /, stride=1, padding=0, dilation=1, groups=1):
    """Filters slide over pictures.  (N, C, H, W), (O, C / groups, kh, kw), (O,) -> (N, O, H', W')"""
    if weight.ndim != 4: raise ShapeError(f"conv2d wants filters (O, C, kh, kw), not {shape_of(weight)}")
    return correlate("conv2d", input, weight, bias, stride, padding, dilation, groups)

# %%
#| export exercise
@flops("conv1d", "conv2d", "conv3d")
def conv_flops(out, input, weight, bias=None, **settings) -> int:
    """The floating-point operations of a convolution, that of its bias included."""
    #| hint How many numbers does the output have? How many weights does each of them meet?
    #| hint Each meeting is a multiplication and an addition. weight.shape[1:] is what one filter has.
    #| hint A bias is one more addition for each number of the output.
    ### BEGIN SOLUTION
    return out.numel() * (2 * math.prod(weight.shape[1:]) + (bias is not None))
    ### END SOLUTION

# %%
#| check 1
x, w = Tensor(np.ones((2, 6, 9, 8), np.float32)), Tensor(np.ones((4, 6, 3, 5), np.float32))
assert conv_flops(conv2d(x, w), x, w) == 2 * (2 * 4 * 7 * 4) * (6 * 3 * 5), \
    "every number of the output takes a multiplication and an addition for each weight of its filter"
halves = Tensor(np.ones((4, 3, 3, 5), np.float32))
assert conv_flops(conv2d(x, halves, groups=2), x, halves) == 2 * (2 * 4 * 7 * 4) * (3 * 3 * 5), \
    "in two groups a filter meets half of the channels"
assert conv_flops(conv2d(x, w, b := Tensor(4)), x, w, b) == (2 * 4 * 7 * 4) * (2 * 6 * 3 * 5 + 1), \
    "a bias is one more addition for each number of the output"

# %%
def in_slices():
    out = np.empty((32, 16, 30, 30), np.float32)
    convolve(Slices(batch, sixteen, (30, 30), [(0, 0)] * 2, (1, 1), (1, 1)), None, out)
    return out

X, W = Tensor(batch), Tensor(sixteen)
work = conv_flops(conv2d(X, W), X, W)
for name, run in [("one product", lambda: conv_by_product(batch, sixteen)), ("in slices", in_slices),
                  ("conv2d", lambda: conv2d(X, W))]:
    print(f"{name:>12}: {timed(run)}, {work / timed(run).best / 1e9:.0f} GFLOP/s, "
          f"{peak_memory(run) / 1e6:.1f} MB")

# %% [markdown]
# Slices do the same arithmetic, in the same order, and only treat the memory better. `conv2d` takes them for
# small pictures, for large ones, and wherever the stride is not 1. For the rest there is a trick that gathers
# a third of the windows and gets along with a third of the copies: see the appendix "pictures end to end".
#
# ## A layer with filters
#
# As a module, a convolution owns its filters and its bias. **Your turn.** What shape have the filters, and
# how many numbers does one of them look at, its **fan-in**? The first random weights are drawn from
# $\pm 1/\sqrt{\text{fan-in}}$, so that sums of many terms stay as large as sums of few.

# %%
#| export exercise
def filter_shape(in_channels: int, out_channels: int, kernel: tuple, groups: int = 1) -> tuple[int, ...]:
    """The shape of a layer's filters."""
    ### BEGIN SOLUTION
    return (out_channels, in_channels // groups, *kernel)
    ### END SOLUTION


def fan_in(weight) -> int:
    """How many numbers one filter looks at."""
    ### BEGIN SOLUTION
    return math.prod(weight.shape[1:])
    ### END SOLUTION

# %%
#| check 1
assert filter_shape(3, 16, (5, 4)) == (16, 3, 5, 4), \
    "one filter for each output channel, through all input channels"
assert filter_shape(8, 16, (3,), groups=4) == (16, 2, 3), "a filter sees only the channels of its group"
assert type(filter_shape(8, 16, (3,), groups=4)[1]) is int, "a shape is of whole numbers: // keeps them whole"
assert fan_in(Tensor(np.ones((16, 2, 3, 5)))) == 30, "a filter looks at its window in every channel it sees"

# %% [markdown]
# The class is given; most of it keeps settings. `padding_mode` says what the margin is filled with; anything
# but zeros has to be laid around the picture before the convolution begins.

# %%
#| export
class Convolution(Module):
    """Filters that slide over pictures, and the settings of how they do."""

    ways = 0
    transposed = False

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0, dilation=1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device=None, dtype=None,
    ):
        super().__init__()
        if groups < 1: raise ValueError(f"groups={groups}: there is at least one group")
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{in_channels} and {out_channels} channels do not both make {groups} groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = each_way("kernel_size", kernel_size, self.ways)
        self.stride = each_way("stride", stride, self.ways)
        self.dilation = each_way("dilation", dilation, self.ways)
        self.padding = padding if isinstance(padding, str) else each_way("padding", padding, self.ways, 0)
        self.output_padding, self.padding_mode = (0,) * self.ways, padding_mode
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(f"padding_mode is zeros, reflect, replicate or circular, not {padding_mode!r}")
        self.margins = margins(self.padding, self.kernel_size, self.stride, self.dilation)
        sides = (out_channels, in_channels) if self.transposed else (in_channels, out_channels)
        shape = filter_shape(*sides, self.kernel_size, groups)
        self.weight = Parameter(empty(*shape, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws filters and bias anew, as PyTorch does: from -1/sqrt(fan-in) to 1/sqrt(fan-in)."""
        kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None and fan_in(self.weight):
            bound = 1 / math.sqrt(fan_in(self.weight))
            self.bias.data.uniform_(-bound, bound)

    def forward(self, input):
        padding = self.padding
        if self.padding_mode != "zeros":
            input = pad(input, [n for ends in reversed(self.margins) for n in ends], self.padding_mode)
            padding = 0
        return type(self).function(input, self.weight, self.bias, self.stride, padding, self.dilation,
                                   self.groups)

    def extra_repr(self) -> str:
        nothing, sides = (0,) * self.ways, f"{self.in_channels}, {self.out_channels}"
        told = f"{sides}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in [("padding", nothing), ("dilation", (1,) * self.ways), ("output_padding", nothing),
                            ("groups", 1)]:
            if getattr(self, name) != usual: told += f", {name}={getattr(self, name)}"
        if self.bias is None: told += ", bias=False"
        return told + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class Conv2d(Convolution):
    """Filters that slide over pictures.  (N, C, H, W) -> (N, O, H', W')"""

    ways, function = 2, conv2d

# %%
Conv2d(3, 16, 5, padding=2, bias=False)

# %% [markdown]
# ## Less is enough
#
# Whether an edge is there matters more than whether it is at column 17 or 18. **Max pooling** keeps the
# largest number of each window, usually of 2 x 2 with stride 2: a quarter of the numbers is left.
#
# A window of `k x k` has `k²` numbers. But the largest of them is the largest of the rows' largest; so look
# along one direction first and then along the other, which takes `2k` comparisons. **Your turn**, for one
# direction. `taps` is given: for each of the k places inside the window it tells to which outputs it
# belongs, and which inputs stand there. At the edges, where a window hangs over, some outputs miss out.

# %%
#| export
def taps(length: int, kernel: int, stride: int, padding: int, dilation: int, places: int):
    """For each place inside of a window: which outputs it reaches, and the inputs it reads for them."""
    for t in range(kernel):
        shift = t * dilation - padding                      # output o reads input o * stride + shift
        first, last = max(0, -(shift // stride)), min(places - 1, (length - 1 - shift) // stride)
        if first <= last:
            start = first * stride + shift
            yield slice(first, last + 1), slice(start, start + (last - first) * stride + 1, stride)


def started(piece, dim: int, to: slice, places: int, start):
    """New memory for outputs, with the first piece in its place and `start` where it does not reach."""
    shape = (*piece.shape[:dim], places, *piece.shape[dim + 1 :])
    if piece.shape == shape: return piece.copy()
    out = np.full_like(piece, start, shape=shape)
    out[along(dim, to)] = piece
    return out

# %%
list(taps(6, kernel=3, stride=2, padding=1, dilation=1, places=3))

# %%
#| export exercise
def slide(reduce, x, dim: int, kernel: int, stride: int, padding: int, dilation: int, places: int, start):
    """np.maximum, or np.add, over all windows along one dimension.  (*, L, *) -> (*, places, *)"""
    out = None
    for to, of in taps(x.shape[dim], kernel, stride, padding, dilation, places):
        piece = x[along(dim, of)]
        if out is None: out = started(piece, dim, to, places, start)
        #| hint The first piece is in out now. Else it meets what is there: reduce(a, b, out=c) writes into c.
        #| hint The part of out that this piece reaches is out[along(dim, to)], a view.
        ### BEGIN SOLUTION
        else:
            part = out[along(dim, to)]
            reduce(part, piece, out=part)
        ### END SOLUTION
    return out

# %%
#| check 2
x = np.array([[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0], [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0]])
assert slide(np.maximum, x, 1, 2, 2, 0, 1, 3, -np.inf).tolist() == [[3, 4, 9], [7, 8, 8]], \
    "the largest of each window of two, along the dimension that was asked for"
assert slide(np.maximum, x, 0, 2, 1, 0, 1, 1, -np.inf).tolist() == [[3, 7, 4, 8, 5, 9, 2]], \
    "the dimension may be any: here the larger of two rows"
assert slide(np.maximum, -x, 1, 3, 2, 1, 1, 4, -np.inf).tolist() == [[-1, -1, -1, -2], [-2, -1, -2, -1]], \
    "where a window hangs over the edge only the numbers inside count"
assert slide(np.add, x, 1, 3, 2, 0, 1, 3, 0.0).tolist() == [[8, 10, 16], [10, 11, 11]], \
    "reduce says what is done with a window: with np.add it is summed"
assert x[0, 0] == 3.0 and x[1, 6] == 1.0, "an op never changes its input"

# %% [markdown]
# The rest of pooling is settings: where windows stand, with `ceil_mode` for those who want a last window that
# hangs over the end, and on request the place of each maximum.

# %%
#| export
def pool_length(length: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """In how many places a window stands; with `ceil_mode` the last one may hang over the end."""
    if not ceil_mode: return out_length(length, kernel, stride, padding, dilation)
    places = 1 - (dilation * (kernel - 1) + 1 - length - 2 * padding) // stride
    return places - ((places - 1) * stride >= length + padding)


class Pool:
    """Where the windows of a pooling op stand, along each direction."""

    def __init__(self, name, x, ways: int, kernel_size, stride, padding, dilation, ceil_mode):
        self.x, self.many = batched(name, x, ways)
        self.kernel = each_way("kernel_size", kernel_size, ways)
        self.stride = self.kernel if stride in (None, ()) else each_way("stride", stride, ways)
        self.padding = each_way("padding", padding, ways, 0)
        self.dilation = each_way("dilation", dilation, ways)
        for k, p, d in zip(self.kernel, self.padding, self.dilation):
            if 2 * p > d * (k - 1) + 1:
                raise RuntimeError(f"{name}: padding {p} is more than half of the {d * (k - 1) + 1} "
                                   "pixels that a window spans: some windows would see nothing else")
        self.settings = list(zip(self.kernel, self.stride, self.padding, self.dilation))
        self.places = tuple([pool_length(n, *s, ceil_mode) for n, s in zip(self.x.shape[2:], self.settings)])
        if min(self.places) < 1 or 0 in x.shape[-ways - 1 :]:
            raise ShapeError(f"{name}: no window of {self.kernel} fits into pictures of {shape_of(x)}")

    def over(self, reduce, start):
        """np.maximum or np.add of each window, one direction at a time, from the last to the first."""
        out = self.x
        for dim, settings, places in reversed(list(zip(count(2), self.settings, self.places))):
            out = slide(reduce, out, dim, *settings, places, start)
        return out if self.many else out[0]

    def places_of_largest(self):
        """Where in its picture, counted along the line, each window's largest number stands."""
        x, ways = self.x, len(self.places)
        ends = [(p, max(0, (n - 1) * s + (k - 1) * d + 1 - p - length)) for length, n, (k, s, p, d)
                in zip(x.shape[2:], self.places, self.settings)]
        room = np.pad(x, [(0, 0), (0, 0), *ends], constant_values=lowest(x))
        view = windows(room.reshape(-1, *room.shape[2:], 1), self.kernel, self.stride, self.dilation)
        view = view[(slice(None), *[slice(n) for n in self.places])]
        rows = view.reshape(*view.shape[: ways + 1], math.prod(self.kernel))
        inside = np.unravel_index(first_largest(rows), self.kernel)
        line = 0
        for way, (length, (_, s, p, d)) in enumerate(zip(x.shape[2:], self.settings)):
            corner = np.arange(self.places[way], like=x).reshape(-1, *(1,) * (ways - 1 - way)) * s - p
            place = corner + inside[way] * d
            line = line * length + np.where(place < 0, place % d, place)    # -inf in a margin is not there
        line = line.reshape(*x.shape[:2], *self.places)
        return line if self.many else line[0]


def first_largest(rows):
    """Which number of each row is the largest, the first of equals; or the last nan, if there is one."""
    found, odd = rows.argmax(-1), rows != rows
    if at_home(odd) and not odd.any(): return found
    return np.where(odd.any(-1), rows.shape[-1] - 1 - odd[..., ::-1].argmax(-1), found)


def lowest(x):
    """What is below every number of that dtype."""
    return -math.inf if dtype_of(x).is_floating_point else np.iinfo(x.dtype).min


class Champion:
    """np.maximum, which notes each time where the newcomer beats the largest so far."""

    def __init__(self): self.beaten = []

    def __call__(self, held, newcomer, out) -> None:
        newcomer = newcomer.copy()          # once on one piece of memory it is read faster, and twice
        self.beaten.append(newcomer > held)
        np.maximum(held, newcomer, out=out)


def largest(name: str, x, ways: int, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    """Max pooling in any number of directions."""
    pool = Pool(name, x, ways, kernel_size, stride, padding, dilation, ceil_mode)
    if return_indices: return pool.over(np.maximum, lowest(x)), pool.places_of_largest()
    champion = Champion()
    out = pool.over(champion, lowest(x))
    return Kept(out, champion.beaten)

# %%
#| export
@Op
def max_pool2d(input, /, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The largest number of every window, and on request where it stood.  (N, C, H, W) -> (N, C, H', W')"""
    return largest("max_pool2d", input, 2, kernel_size, stride, padding, dilation, ceil_mode, return_indices)

# %% [markdown]
# > **Note.** The gradient of lesson 09 goes to the one number that was largest, and its rule will ask which
# > that was. `Champion` notes it while the maximum is found: a yes or no for each comparison, which takes
# > less memory and less time than an index for each window.
#
# **Average pooling** is as old as LeNet. **Your turn.** Sum the windows and divide by how many numbers they
# have. How many is that at the edge? PyTorch counts the padding, unless told otherwise. `counts` gives, along
# one direction, how many numbers each window has.

# %%
#| export
def counts(length: int, kernel: int, stride: int, padding: int, places: int,
           count_include_pad: bool) -> list[int]:
    """How many numbers each window has along one direction: those inside, or with those of the padding."""
    starts = [o * stride - padding for o in range(places)]
    if count_include_pad: return [min(start + kernel, length + padding) - start for start in starts]
    return [min(start + kernel, length) - max(start, 0) for start in starts]

# %%
#| export exercise
def average(pool: Pool, count_include_pad: bool = True, divisor_override: int | None = None):
    """The average of every window, or its sum over `divisor_override`.  (N, C, *L) -> (N, C, *places)"""
    numbers = np.array([1])
    for n, (k, s, p, _), places in zip(pool.x.shape[2:], pool.settings, pool.places):
        numbers = numbers[..., None] * np.array(counts(n, k, s, p, places, count_include_pad))
    #| hint pool.over(np.add, 0) sums every window.
    #| hint numbers[0] holds how many numbers each window has. astype(total.dtype), or float32 will not stay.
    ### BEGIN SOLUTION
    total = pool.over(np.add, 0)
    total /= divisor_override or beside(numbers[0].astype(total.dtype), total)
    return total
    ### END SOLUTION

# %%
#| check 2
x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
plain, edged = Pool("check", x, 2, 2, None, 0, 1, False), Pool("check", x, 2, 3, 2, 1, 1, False)
assert average(plain).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]], \
    "an average is the sum over how many there are"
assert average(plain).dtype == np.float32, "float32 stays float32"
assert np.allclose(average(edged), [[[[10 / 9, 24 / 9], [51 / 9, 90 / 9]]]]), \
    "the zeros of the padding count as numbers, unless count_include_pad says otherwise"
assert np.allclose(average(edged, False), [[[[10 / 4, 24 / 6], [51 / 6, 90 / 9]]]]), \
    "count_include_pad=False: a window is divided by the numbers that lie inside the picture"
assert average(plain, divisor_override=2).tolist() == [[[[5, 9], [21, 25]]]], \
    "divisor_override divides instead"

# %%
#| export
@Op
def avg_pool2d(
    input, /, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):
    """The average of every window.  (N, C, H, W) -> (N, C, H', W')"""
    if divisor_override == 0: raise RuntimeError("divisor_override must not be 0")
    pool = Pool("avg_pool2d", input, 2, kernel_size, stride, padding, 1, ceil_mode)
    return average(pool, count_include_pad, divisor_override)

# %%
#| export
class MaxPool(Module):
    """Keeps the largest number of every window."""

    ways = 0

    def __init__(
        self, kernel_size, stride=None, padding=0, dilation=1, return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input):
        return type(self).function(input, self.kernel_size, self.stride, self.padding, self.dilation,
                                   ceil_mode=self.ceil_mode, return_indices=self.return_indices)

    def extra_repr(self) -> str:
        return (f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
                f"dilation={self.dilation}, ceil_mode={self.ceil_mode}")


class MaxPool2d(MaxPool):
    """Keeps the largest number of every window.  (N, C, H, W) -> (N, C, H', W')"""

    ways, function = 2, max_pool2d


class AvgPool2d(Module):
    """Averages every window.  (N, C, H, W) -> (N, C, H', W')"""

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input):
        return avg_pool2d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                          self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"

# %% [markdown]
# ## The same scale for every channel
#
# Deep stacks of convolutions did not train well until 2015, when Ioffe and Szegedy put a simple thing between
# them. **Batch norm** takes each channel, over all pictures and all pixels, to mean 0 and variance 1; then to
# a scale and a shift that training finds, `weight` and `bias`.
#
# $$y = \frac{x - \text{mean}}{\sqrt{\text{var} + \varepsilon}} \cdot \text{weight} + \text{bias}$$
#
# So the answer for one picture depends on the others in its batch. While training that is a useful noise; at
# work it would be absurd, so a **running** mean and variance are kept for then.
#
# Given are the small things it takes. NumPy walks fast along long rows and stumbles over short ones, so a sum
# over a picture is a product with ones (lesson 05), and a number for each channel is written out for all of
# its pixels, as long as that is a small array.

# %%
#| export
def by_channel(values, x):
    """One number for each channel, in a shape that meets x.  (C,) -> (C, 1, 1)"""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def spread(values, x):
    """The same, written out for all places of a picture that is not too large.  (C,) -> (C, H, W)"""
    places = math.prod(x.shape[2:])
    if places > 4096 or not x.flags.c_contiguous: return by_channel(values, x)
    return np.repeat(values, places).reshape(x.shape[1:])


def channel_means(x, y=None):
    """The mean of each channel, or of its products with another array.  (N, C, *), (N, C, *) -> (C,)"""
    n, kind = len(x) * math.prod(x.shape[2:]), x.dtype
    x, y = [a if a is None else a.T if a.ndim == 2 else as_rows(a, a.ndim - 2) for a in (x, y)]
    sums = row_sums(x, y)[..., 0]
    return (sums if sums.ndim == 1 else sums.sum(axis=0)).astype(kind, copy=False) / n

# %% [markdown]
# **Your turn.** The channel is dimension 1, and mean and variance go over all others. The variance divides by
# n here. Return also what a gradient rule will need, the mean and the variance, in `Kept`.

# %%
#| export exercise
@Op
def standardize_channels(input, weight=None, bias=None, /, eps=1e-5):
    """Every channel moved to mean 0 and variance 1, then by weight and bias.  (N, C, *), (C,) -> (N, C, *)"""
    #| hint channel_means(input) has one number a channel; spread(…, input) makes it meet the input.
    #| hint The variance is the mean of the squared distances from the mean. Keep the distances for later.
    #| hint Scale by weight / sqrt(var + eps), in place: `out *= …`. weight and bias may be None.
    ### BEGIN SOLUTION
    mean = channel_means(input)
    out = input - spread(mean, input)
    var = channel_means(out, out)
    scale = 1 / np.sqrt(var + eps)
    out *= spread(scale if weight is None else scale * weight, input)
    if bias is not None: out += spread(bias, input)
    ### END SOLUTION
    return Kept(out, mean, var)


@Op
def rescale_channels(input, mean, var, weight=None, bias=None, /, eps=1e-5):
    """The same with a mean and a variance from before: a scale and a shift.  (N, C, *), (C,) -> (N, C, *)"""
    #| hint With scale = weight / sqrt(var + eps) it is x * scale + (bias - mean * scale): two passes.
    ### BEGIN SOLUTION
    scale = 1 / np.sqrt(var + eps)
    if weight is not None: scale = scale * weight
    out = input * spread(scale, input)
    out += spread(-mean * scale if bias is None else bias - mean * scale, input)
    ### END SOLUTION
    return out

# %%
#| check 3
random = np.random.default_rng(0)
x = tensor(random.normal(3, 2, (4, 3, 5, 6)).astype(np.float32))
w, b = tensor([1.0, 2.0, 0.5]), tensor([0.0, 10.0, -1.0])
out = standardize_channels(x)
assert np.allclose(out.array.mean((0, 2, 3)), 0, atol=1e-5), \
    "every channel has mean 0, over all pictures, rows and columns"
assert np.allclose(out.array.var((0, 2, 3)), 1, atol=1e-4), \
    "every channel has variance 1: divide by n, and take the root"
assert np.allclose(standardize_channels(x, w, b).array.mean((0, 2, 3)), b.array, atol=1e-4), \
    "the bias moves a channel's mean"
assert np.allclose(standardize_channels(x, w, b).array.std((0, 2, 3)), w.array, atol=1e-3), \
    "the weight scales a channel"
mean, var = out.kept
assert np.allclose(mean, x.array.mean((0, 2, 3))) and np.allclose(var, x.array.var((0, 2, 3))), \
    "the mean and the variance are kept for the rule"
assert np.allclose(standardize_channels(x, eps=12.0).array.var((0, 2, 3)), var / (var + 12), atol=1e-4), \
    "eps is added to the variance"
assert np.allclose(standardize_channels(tensor([[2.0], [2.0]])).array, 0), \
    "eps goes under the root: a channel that is the same everywhere becomes 0, not nan"
same = rescale_channels(x, tensor(mean), tensor(var), w, b)
assert np.allclose(same.array, standardize_channels(x, w, b).array, atol=1e-5), \
    "given mean and variance, rescaling does what standardizing does"
given = rescale_channels(x, tensor([3.0] * 3), tensor([4.0] * 3), eps=5.0)
assert np.allclose(given.array, (x.array - 3) / 3, atol=1e-5), \
    "the mean and the variance are those that are given, not those of this batch"
assert out.dtype.name == "float32" and np.shares_memory(out.array, x.array) is False, \
    "float32 stays float32, and the input stays as it was"

# %% [markdown]
# The running statistics are moved a little towards those of every batch: `running = (1 - momentum) * running
# + momentum * batch`, with the variance that divides by n − 1. That is no part of the op: an op changes
# nothing that it is given. **Your turn.**

# %%
#| export exercise
def move_towards(running, batch, momentum: float) -> None:
    """Moves the running numbers towards those of a batch, in place."""
    #| hint running.copy_(…) writes in place. running is a tensor, batch an array.
    ### BEGIN SOLUTION
    running.copy_(running.array * (1 - momentum) + batch * momentum)
    ### END SOLUTION


def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training: bool = False, momentum: float = 0.1,
    eps: float = 1e-05,
):
    """Channels at one scale: by their batch while training, else by the running statistics.  (N, C, *)"""
    for given in (running_mean, running_var, weight, bias):
        if given is not None and given.shape != input.shape[1:2]:
            raise ShapeError(f"batch_norm of {shape_of(input)} wants {tuple(input.shape[1:2])} numbers, not "
                             f"{shape_of(given)}")
    if not training: return rescale_channels(input, running_mean, running_var, weight, bias, eps)
    n = input.numel() // max(1, input.shape[1])
    if n == 1:
        raise ValueError(f"batch_norm cannot learn from a single number a channel, as in {shape_of(input)}")
    if n == 0: return input.clone()
    out = standardize_channels(input, weight, bias, eps)
    if running_mean is not None:
        ### BEGIN SOLUTION
        mean, var = out.kept
        move_towards(running_mean, mean, momentum)
        move_towards(running_var, var * (n / (n - 1)), momentum)
        ### END SOLUTION
    return out

# %%
#| check 2
x = tensor([[1.0, 10.0], [3.0, 10.0], [5.0, 40.0]])
mean, var = tensor([1.0, 0.0]), tensor([2.0, 1.0])
batch_norm(x, mean, var)
assert mean.tolist() == [1.0, 0.0], "at work nothing is learned: the running statistics stay"
batch_norm(x, mean, var, training=True, momentum=0.5)
assert mean.tolist() == [2.0, 10.0], "the running mean moves towards the batch's, by the share `momentum`"
assert np.allclose(var.array, [3.0, 150.5]), "the running variance is the one that divides by n - 1"
moved = tensor([1.0])
move_towards(moved, np.array([2.0], np.float32), 0.25)
assert moved.tolist() == [1.25], "momentum is how much of the new comes in, not how much of the old stays"

# %%
#| export
class BatchNorm(Module):
    """Channels at one scale; while training it keeps statistics for later."""

    accepts: tuple[int, ...] = ()

    def __init__(
        self, num_features: int, eps: float = 1e-05, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device=None, dtype=None, *, bias: bool = True,
    ):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        new = {"device": device, "dtype": dtype}
        self.weight = Parameter(ones(num_features, **new)) if affine else None
        self.bias = Parameter(zeros(num_features, **new)) if affine and bias else None
        self.register_buffer("running_mean", zeros(num_features, **new) if track_running_stats else None)
        self.register_buffer("running_var", ones(num_features, **new) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", tensor(0, dtype=int64) if track_running_stats else None)

    def reset_running_stats(self) -> None:
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        if self.weight is not None: self.weight.data.fill_(1)
        if self.bias is not None: self.bias.data.zero_()

    def forward(self, input):
        if input.ndim not in self.accepts:
            wanted = " or ".join([f"{n}D" for n in self.accepts])
            raise ValueError(f"expected {wanted} input (got {input.ndim}D input): {type(self).__name__} "
                             f"normalizes channels")
        momentum = self.momentum or 0.0
        if self.training and self.track_running_stats:
            self.num_batches_tracked.add_(1)
            if self.momentum is None: momentum = 1 / self.num_batches_tracked.item()     # a plain average
        learns = self.training or self.running_mean is None
        keeps = not self.training or self.track_running_stats
        return batch_norm(input, self.running_mean if keeps else None, self.running_var if keeps else None,
                          self.weight, self.bias, learns, momentum, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}")


class BatchNorm2d(BatchNorm):
    """Channels of pictures at one scale.  (N, C, H, W) -> (N, C, H, W)"""

    accepts = (4,)

# %% [markdown]
# ## LeNet
#
# LeNet-5, as it is built today. A picture of 28 x 28 with one channel goes through two rounds of convolution,
# relu and 2 x 2 max pooling: six filters of 5 x 5 with a padding of 2, then sixteen of 5 x 5 without. What is
# left is written in a line and goes through dense layers of 120 and 84, a relu after each, to 10 scores.
#
# How many numbers are left in that line? **Your turn.**

# %%
#| export exercise
class LeNet5(Module):
    """LeCun's reader of digits (1998), with relu and max pooling.  (N, 1, 28, 28) -> (N, num_classes)"""

    def __init__(self, num_classes: int = 10):
        super().__init__()
        #| hint After the first round 28 x 28 have become 14 x 14. And after the second?
        ### BEGIN SOLUTION
        self.conv1, self.conv2 = Conv2d(1, 6, 5, padding=2), Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = Linear(16 * 5 * 5, 120), Linear(120, 84), Linear(84, num_classes)
        ### END SOLUTION

    def forward(self, x):
        #| hint max_pool2d(relu(self.conv1(x)), 2), and flatten(x, 1) keeps the batch.
        ### BEGIN SOLUTION
        x = max_pool2d(relu(self.conv1(x)), 2)
        x = max_pool2d(relu(self.conv2(x)), 2)
        x = relu(self.fc1(flatten(x, 1)))
        return self.fc3(relu(self.fc2(x)))
        ### END SOLUTION

# %%
#| check 2
from itertools import pairwise

net = LeNet5()
assert [tuple(p.shape) for p in net.parameters()] == [
    (6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,)], \
    "two layers of filters, conv1 and conv2, then fc1, fc2 and fc3: the given weights have these shapes"
assert [name for name, _ in net.named_children()] == ["conv1", "conv2", "fc1", "fc2", "fc3"], \
    "given weights are found by name: conv1, conv2, fc1, fc2, fc3"
for p in net.parameters(): p.data.zero_()
star = np.zeros((2, 1, 28, 28), np.float32)
star[0, 0, 10, 10] = 4.0
assert net(Tensor(star)).shape == (2, 10), "two pictures in, twice ten scores out"
assert net.conv1(Tensor(star)).shape == (2, 6, 28, 28), "margins of 2 keep the first pictures at 28 x 28"
net.conv1.weight.data[0, 0, 2, 2] = net.conv2.weight.data[0, 0, 2, 2] = 1.0
net.fc1.weight.data[0, 6] = net.fc2.weight.data[0, 0] = net.fc3.weight.data[3, 0] = 1.0
assert net(Tensor(star)).array[:, 3].tolist() == [4.0, 0.0], \
    "a bright pixel comes through filters and max pools to its place in the line: pools keep the largest"
layers = [net.conv1, net.conv2, net.fc1, net.fc2, net.fc3]
for layer, after in pairwise(layers):
    layer.bias.data.fill_(-9.0)
    after.weight.data.mul_(-1)
    assert not net(Tensor(star)).array.any(), \
        "a relu follows every layer but the last: what is negative goes no further"
    layer.bias.data.zero_()
    after.weight.data.mul_(-1)
net.fc3.weight.data.mul_(-1)
assert net(Tensor(star)).array[0, 3] == -4.0, "the last layer has no relu: a score may be negative"

# %% [markdown]
# How do its 61,706 parameters divide? Guess which layer has most of them, and which does most of the work.

# %%
from tinytorch import summary

net = LeNet5().eval()
summary(net, (1, 1, 28, 28))

# %% [markdown]
# The dense layers hold nearly all the weights, the filters do nearly all the work: that is what using the
# same weights everywhere means. (In the milestone you get weights that have learned, and it reads digits.)
#
# ## Looking through filters
#
# Even filters that nobody trained see something: a picture, and what six random ones make of it.

# %%
wide = np.zeros((1, 1, 28, 28), np.float32)
wide[0, 0, 9:18, 8:20] = picture
maps = net.conv1(Tensor(wide)).array[0]
show(*[8 * m[8:19:1, 6:22] / (abs(m).max() + 1e-9) for m in maps[:3]])

# %% [markdown]
# ## What it costs

# %%
digits = Tensor(rng.random((64, 1, 28, 28), np.float32))
x = digits
for name, run in [("conv1", net.conv1), ("relu", relu), ("pool", lambda x: max_pool2d(x, 2)),
                  ("conv2", net.conv2), ("relu", relu), ("pool", lambda x: max_pool2d(x, 2)),
                  ("flatten", lambda x: flatten(x, 1)),
                  ("fc1", net.fc1), ("fc2", net.fc2), ("fc3", net.fc3)]:
    print(f"{name:>8}: {timed(lambda run=run, x=x: run(x))}   {tuple(run(x).shape)}")
    x = run(x)
print("   LeNet:", timed(lambda: net(digits)), "for 64 digits")

# %% [markdown]
# ## Challenges
#
# 1. Two 3 x 3 filters one after the other see 5 x 5 pixels, with 18 weights instead of 25. Check it: how far
#    does a single bright pixel spread? And after ten layers?
# 2. A box of ones of 9 x 9 is the product of a column of ones and a row of ones. Replace one convolution by
#    two. Which kernels can be taken apart like that? (Ask `svd`.)
# 3. For a 3 x 3 filter and pairs of outputs there is a way to make do with 16 multiplications where you use
#    36 (Winograd 1980). Look it up, try it, and find out where the time goes then.
# 4. Set `SLICE` to 2^14 and to 2^24 and time `in_slices`. Draw the curve. What does your cache hold?
# 5. Batch norm at work is a scale and a shift, and a convolution before it is linear. Give a convolution
#    other weights and another bias so that the batch norm after it can be left out. How much faster is that?
#
# ## Design note: is it a convolution at all?
#
# Mathematicians turn the kernel round before they slide it: then convolving with two kernels in a row is
# convolving with their convolution, in any order. What you wrote does not turn anything and should be called
# a cross-correlation. Networks find their kernels themselves and would find the turned ones just as well; so
# everybody computes the simpler thing and keeps the grander name. It matters once, in lesson 09: the
# gradient of what you wrote is the other one.
