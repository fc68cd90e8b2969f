# %% [markdown]
# # Dense
#
# A neuron takes a vote. It weighs every number it sees, adds them up, and says something if the sum is
# large enough. Put a thousand of them side by side, all looking at the same numbers, and you have a **dense
# layer**: a matrix. Put a few layers in a row, with a bend between them, and you have a network that can
# draw any curve.
#
# You write the layer, the stack, and the two tricks that keep tall stacks in shape. Then comes the question
# that all of learning hangs on: given an answer, how wrong is it? The obvious measure cannot be used, and the
# right one, typed in as it stands in the book, overflows.

# %%
#| export
"""Layers in which everything meets everything, and how wrong their answers are."""

# %%
#| export
from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tinytorch.activations import relu
from tinytorch.creation import empty, empty_like, ones, zeros
from tinytorch.errors import ShapeError, shape_of
from tinytorch.fitting import (
    as_rows,
    as_shape,
    check_probability,
    ends_in,
    labels_of,
    row_sums,
    rows_times,
    same_shape,
    weighed,
)
from tinytorch.layers import Module, Parameter, Sequential
from tinytorch.shaping import cat
from tinytorch.tensor import Kept, Op, Tensor, floating, tensor

# %% [markdown]
# ## A matrix of opinions
#
# Three inputs, two neurons. Each row of the weight is what one neuron thinks of the three inputs, so the
# weight has the shape `(out, in)`, and the layer computes `x @ w.T + b`. Which of the two neurons below
# likes this input better?

# %%
x = tensor([[1.0, 2.0, 3.0]])
w, b = tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]]), tensor([0.5, -1.0])
x @ w.T + b

# %% [markdown]
# That is three ops and a temporary array. As an op of its own it is one, and the bias can be added where the
# product already lies.
#
# **Your turn.** The input may have any number of dimensions before the last: a batch, a batch of sentences.
# It arrives as `rows`, flattened to two dimensions, so that one single matrix product does it all; a thousand
# little products would take several times as long. `bias` may be None.

# %%
#| export exercise
@Op
def linear(input, weight, bias=None, /):
    """Each output is a sum of all inputs, weighted, plus its bias.  (*, i), (o, i), (o) -> (*, o)"""
    if not input.ndim or input.shape[-1] != weight.shape[-1]:
        raise ShapeError(f"linear with a weight of {shape_of(weight)} takes inputs that end in "
                         f"{weight.shape[-1]} numbers, not {shape_of(input)}")
    rows = input.reshape(math.prod(input.shape[:-1]), weight.shape[-1])
    #| hint rows is (n, in) and weight is (out, in). Which of the two must be turned to give (n, out)?
    #| hint out = rows @ weight.T, and the bias, if there is one, is added in place: out += bias.
    #| hint rows_times(rows, weight) of the appendix is the same product; with few rows it is faster.
    ### BEGIN SOLUTION
    out = rows_times(rows, weight)
    if bias is not None: out += bias
    ### END SOLUTION
    return out.reshape(input.shape[:-1] + weight.shape[:-1])

# %%
#| check 2
x = tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]])
w, b = tensor([[1.0, 0.0, -1.0], [0.0, 10.0, 1.0]]), tensor([0.5, -1.0])
assert linear(x, w).tolist() == [[-2.0, 23.0], [0.0, 10.0]], \
    "each row of the weight belongs to one output: the weight is (out, in), and there may be no bias"
assert linear(x, w, b).tolist() == [[-1.5, 22.0], [0.5, 9.0]], "each output adds its own bias"
assert linear(x.reshape(2, 1, 3), w, b).tolist() == [[[-1.5, 22.0]], [[0.5, 9.0]]], \
    "dimensions before the last stay as they are"
assert linear(x, w, b).tolist() == linear(x, w, b).tolist() and b.tolist() == [0.5, -1.0], \
    "an op never changes its inputs"
assert linear(x, w, b).dtype.name == "float32", "float32 in, float32 out"

# %%
#| check 1 hidden
#| id hidden-linear
w, b = tensor([[3.0, 4.0], [-1.0, 0.5], [0.0, 0.0]]), tensor([10.0, 0.0, 7.0])
assert linear(tensor([[[2.0, -1.0]]]), w, b).tolist() == [[[12.0, -2.5, 7.0]]], \
    "three outputs of two inputs: a row of the weight and a number of the bias for each output"
assert linear(tensor([2.0, -1.0]), w).tolist() == [2.0, -2.5, 0.0], "one example without a batch around it"
assert linear(zeros(0, 2), w, b).tolist() == [], "a batch of nobody has outputs for nobody"

# %% [markdown]
# ## A layer
#
# The module owns the numbers and calls the op. PyTorch draws both from the same narrow range, −1/√in to 1/√in
# (it is lesson 04's rule in another dress), and so do we: `manual_seed(0); Linear(3, 4)` gives PyTorch's very
# numbers.
#
# **Your turn.** `uniform_(low, high)` draws in place, on the `.data` of a parameter; first the weight, then
# the bias. A layer without inputs has nothing to draw.

# %%
#| export exercise
class Linear(Module):
    """A layer in which every output sees every input.  (*, in_features) -> (*, out_features)"""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew, from -1/sqrt(in_features) to 1/sqrt(in_features)."""
        bound = 1 / math.sqrt(max(self.in_features, 1))
        #| hint self.parameters() yields the weight, then the bias if there is one. Draw on p.data.
        ### BEGIN SOLUTION
        for p in self.parameters(): p.data.uniform_(-bound, bound)
        ### END SOLUTION

    def forward(self, input):
        ### BEGIN SOLUTION
        return linear(input, self.weight, self.bias)
        ### END SOLUTION

    def extra_repr(self) -> str:
        return (f"in_features={self.in_features}, out_features={self.out_features}, "
                f"bias={self.bias is not None}")

# %%
#| check 2
layer = Linear(100, 300)
w, b = layer.weight.data.array, layer.bias.data.array
assert w.shape == (300, 100) and abs(w).max() <= 0.1, "with 100 inputs no weight is larger than 1/sqrt(100)"
assert abs(w.std() - 0.1 / math.sqrt(3)) < 0.002, \
    "weights are spread evenly from -0.1 to 0.1: all of that range is used"
assert abs(w.mean()) < 0.002, "weights lie around 0"
assert abs(b).max() <= 0.1 and b.std() > 0.04, "the bias is drawn from the same range"
x = tensor([[1.0] * 100, [2.0] * 100])
assert np.allclose(layer(x).array, x.array @ w.T + b, atol=1e-5), "forward is x @ weight.T + bias"
alone = Linear(2, 1, bias=False)
assert alone.bias is None and alone(tensor([[0.0, 0.0]])).item() == 0.0, "bias=False leaves the bias out"

# %% [markdown]
# ## A stack
#
# Lesson 03 showed that matrices in a row are one matrix. So a bend goes between them; but none behind the
# last layer, because the answer may be any number.
#
# **Your turn.**

# %%
#| export exercise
class MLP(Module):
    """Linear layers with a relu between each two: a multi-layer perceptron.  (*, first) -> (*, last)"""

    def __init__(self, *sizes: int):
        super().__init__()
        self.layers = Sequential(*[Linear(i, o) for i, o in pairwise(sizes)])

    def forward(self, x):
        #| hint `*hidden, last = self.layers` takes the last layer off the others.
        ### BEGIN SOLUTION
        *hidden, last = self.layers
        for layer in hidden: x = relu(layer(x))
        return last(x)
        ### END SOLUTION

# %%
#| check 2
net = MLP(1, 1, 1)
for p in net.parameters(): p.data.fill_(1)
assert net(tensor([[2.0]])).item() == 4.0, "each layer takes what the one before it gives"
assert net(tensor([[-5.0]])).item() == 1.0, "a relu between the layers: what is negative there counts as 0"
net.layers[1].weight.data.fill_(-1)
assert net(tensor([[2.0]])).item() == -2.0, "no relu behind the last layer: an answer may be negative"
net = MLP(1, 1, 1, 1)
for p in net.parameters(): p.data.fill_(1)
net.layers[0].weight.data.fill_(-1), net.layers[1].weight.data.fill_(-2)
answers_at = [net(tensor([[x]])).item() for x in (-1.0, 3.0)]
assert answers_at == [1.0, 2.0], "a relu behind every layer but the last"

# %%
net = MLP(784, 256, 128, 10)
net

# %% [markdown]
# ## What it costs
#
# How many numbers does this network learn? Guess which of its three layers has most of them, and how many
# times more than the other two.
#
# Then count for any stack, and for a batch of `rows` examples: the **parameters**; the **FLOPs**, two for
# each weight and row and one for each bias and row (leave out the relus); and the **bytes** that must at
# least move, 4 for every parameter once, and for every layer's input and output.
#
# **Your turn.**

# %%
#| export
class Cost(NamedTuple):
    """What a pass through a network takes."""

    parameters: int
    flops: int
    bytes: int

# %%
#| export exercise
def dense_cost(rows: int, *sizes: int) -> Cost:
    """What it costs to send so many rows through a stack of linear layers, in float32."""
    parameters = flops = moved = 0
    for i, o in pairwise(sizes):
        #| hint A layer has i * o weights and o biases.
        #| hint Each row takes a multiplication and an addition a weight, and an addition a bias.
        ### BEGIN SOLUTION
        parameters += i * o + o
        flops += rows * (2 * i * o + o)
        moved += 4 * (i * o + o + rows * (i + o))
        ### END SOLUTION
    return Cost(parameters, flops, moved)

# %%
#| check 2
assert dense_cost(1, 784, 10).parameters == 7850, "784 * 10 weights and 10 biases"
assert dense_cost(64, 784, 256, 128, 10).parameters == 235146, "a batch shares the parameters"
assert dense_cost(1, 3, 2).flops == 14, "for one row: 2 operations a weight, and 1 a bias"
assert dense_cost(5, 3, 2, 4).flops == 5 * (14 + 20), "every row costs the same, and layers add up"
assert dense_cost(1, 3, 2).bytes == 4 * (8 + 5), "4 bytes for each of 8 parameters, 3 inputs and 2 outputs"
assert dense_cost(10, 3, 2).bytes == 4 * (8 + 50), "a batch moves the parameters once, and its rows each"

# %% [markdown]
# The first layer has 200,960 of the 235,146 numbers, nearly six times as many as the other two together.
#
# One row and sixty-four rows: how much longer will the second take? Compare the operations, then the bytes,
# and write a number down before you run.

# %%
from tinytorch import bandwidth_ceiling, gemm_ceiling, timed
from tinytorch.setup import least_seconds

gflops, bandwidth = gemm_ceiling(), bandwidth_ceiling()
for rows in (1, 64, 512):
    cost, batch = dense_cost(rows, 784, 256, 128, 10), Tensor(np.ones((rows, 784), np.float32))
    seconds = timed(lambda batch=batch: net(batch)).best
    least = least_seconds(cost.flops, cost.bytes, gflops, bandwidth)
    print(f"{rows:4} rows: {cost.flops / 1e6:7.1f} MFLOP, {cost.flops / cost.bytes:5.1f} a byte, "
          f"{1e6 * seconds:6.0f} µs, at least {1e6 * least:6.0f}")

# %% [markdown]
# A single row pays for the whole matrix and uses each number of it once. Sixty-four rows share the trip. That
# is why servers collect requests, and why you train in batches. (If one row came in below its limit: then the
# processor still held the matrix in its cache, and did not go to memory at all.)
#
# ## What one layer can say
#
# A neuron with a relu draws a line with a single bend in it, a **hinge**. Hinges add up: with one for each
# corner you can draw any line with corners, and with corners close enough, any curve. So a network with one
# hidden layer can come as close as you like to every continuous function. That is a famous theorem; for one
# input, its proof is an exercise.
#
# **Your turn.** The network shall go straight from point to point. Each hidden neuron is `relu(x - x_k)`,
# which begins to rise at a point. All that is left to choose is how much of each to take, and where to
# start.

# %%
#| export exercise
def through(xs: Tensor, ys: Tensor) -> MLP:
    """The network with one hidden layer that draws straight lines from each point to the next.

    (n + 1), (n + 1), xs growing -> MLP(1, n, 1)
    """
    slopes = (ys[1:] - ys[:-1]) / (xs[1:] - xs[:-1])            # of the n lines
    net = MLP(1, len(slopes), 1)
    hidden, last = net.layers
    hidden.weight.data.fill_(1)
    hidden.bias.data.copy_(-xs[:-1])
    #| hint At the first point the network must answer ys[0], and no hinge has risen yet. Who says ys[0]?
    #| hint Once risen, a hinge rises for ever. At x_k the slope changes from slopes[k - 1] to slopes[k].
    #| hint last.weight is of shape (1, n); cat([slopes[:1], slopes[1:] - slopes[:-1]]) are the changes.
    ### BEGIN SOLUTION
    last.weight.data.copy_(cat([slopes[:1], slopes[1:] - slopes[:-1]]))
    last.bias.data.copy_(ys[:1])
    ### END SOLUTION
    return net

# %%
#| check 2
def answers(net, xs): return [round(y, 4) for y in net(tensor(xs).reshape(-1, 1)).reshape(-1).tolist()]

assert answers(through(tensor([0.0, 1.0]), tensor([3.0, 5.0])), [0.0, 0.5, 1.0]) == [3.0, 4.0, 5.0], \
    "it starts at the first point, and goes straight to the second"
tent = through(tensor([0.0, 0.5, 1.0]), tensor([0.0, 1.0, 0.0]))
assert answers(tent, [0.0, 0.25, 0.5, 0.75, 1.0]) == [0.0, 0.5, 1.0, 0.5, 0.0], \
    "a hinge that has risen rises on: the next one brings the change of slope, not the new slope"
corners, heights = [-2.0, -1.0, 1.0, 1.5, 4.0], [1.0, -1.0, 7.0, 7.0, 0.0]
assert answers(through(tensor(corners), tensor(heights)), corners) == heights, \
    "it passes through every point"

# %% [markdown]
# A wave, by four hinges and by sixteen. What will a network do outside of the points it has been given?

# %%
def draw(*curves, left=0.0, right=8.0, bottom=-1.6, top=1.6, width=72, height=15):
    """Curves in letters: what each of them answers between left and right."""
    xs = np.linspace(left, right, width, dtype=np.float32).reshape(-1, 1)
    page = [[" "] * width for _ in range(height)]
    for letter, curve in curves:
        for column, y in enumerate(curve(Tensor(xs)).reshape(-1).tolist()):
            row = round((height - 1) * (top - y) / (top - bottom))
            if 0 <= row < height: page[row][column] = letter
    print("\n".join(map("".join, page)))

def wave(n):
    xs = Tensor(np.linspace(0, 6.2832, n + 1, dtype=np.float32))
    return through(xs, xs.sin())

draw((".", lambda x: x.sin()), ("4", wave(4)))
draw((".", lambda x: x.sin()), ("#", wave(16)))

# %% [markdown]
# It goes on straight ahead. A network knows nothing of a world in which it has no points, and does not say
# so.
#
# ## What depth says
#
# The tent folds the line from 0 to 1 in the middle: each half is stretched over the whole. Now feed its
# answer to another tent. How many straight pieces will the curve have after two, after three, after four
# tents? And how many hinges would a single layer need for that?

# %%
tent = through(tensor([0.0, 0.5, 1.0]), tensor([0.0, 1.0, 0.0]))
draw(("*", tent), ("o", Sequential(tent, tent)), right=1.0, bottom=0.0, top=1.0, height=12)
draw(("#", Sequential(tent, tent, tent, tent)), right=1.0, bottom=0.0, top=1.0, height=12)

# %% [markdown]
# Each layer of two hinges doubles the folds. Twenty of them, forty neurons in all, make a million pieces; one
# layer would need a million neurons. That is the case for deep networks: not that they can say more, but that
# some things can be said shortly only in several steps.
#
# ## Leaving out
#
# A network with many neurons can learn its examples by heart. A cure that looks like sabotage: in every step
# of training, a random half of the neurons is absent, **dropout** (Hinton et al. 2012). No neuron can rely on
# a particular other one, so they learn things that make sense by themselves.
#
# What does it do to a sum? If half of the terms are missing, the next layer sees half of what it will see in
# earnest, when all are there. Guess which of the two repairs is better: halve all numbers later, when the
# network is used, or double those that are left, now.

# %% [markdown]
# Now. Then a network in use has nothing to do at all, and nobody can forget it.
#
# **Your turn.** Draw who stays, as a tensor of 1 and 0: `empty_like(input).bernoulli_(chance)` does that,
# each number with that chance of being 1. Then scale it so that the mean of `input * kept` is the mean of
# `input`. Beware of `p = 1`.

# %%
#| export exercise
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """While training, each number is left out with probability p, and the rest grow for it.  (*) -> (*)"""
    check_probability(p)
    if not training or p == 0: return input
    #| hint p is the chance of being left out. What is the chance to stay, and how much larger must those be?
    #| hint When everyone is left out, nobody can make up for it: do not divide by 0.
    ### BEGIN SOLUTION
    kept = empty_like(input).bernoulli_(1 - p)
    if p < 1: kept /= 1 - p
    ### END SOLUTION
    return input.mul_(kept) if inplace else input * kept


class Dropout(Module):
    """Leaves numbers out while the network learns; p is the share of them.  (*) -> (*)"""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        check_probability(p)
        self.p, self.inplace = p, inplace

    def forward(self, input): return dropout(input, self.p, self.training, self.inplace)
    def extra_repr(self) -> str: return f"p={self.p}, inplace={self.inplace}"

# %%
#| check 2
many = ones(10_000)
share = (dropout(many, 0.2) == 0).sum().item() / 10_000
assert abs(share - 0.2) < 0.03, "p is the share that is left out, not the share that stays"
assert many.tolist() == [1.0] * 10_000, "an op never changes its input"
assert abs(dropout(many, 0.2).mean().item() - 1) < 0.05, \
    "those that stay make up for the others: the mean is the same with and without dropout"
assert np.allclose(dropout(many, 0.75).max().item(), 4.0), \
    "if a quarter stays, each of them counts four times"
assert dropout(tensor([1.0, 2.0]), 1.0).tolist() == [0.0, 0.0], \
    "p = 1 leaves everything out, and makes no nan"
half = dropout(many, 0.5)
assert not np.array_equal(half.array, dropout(many, 0.5).array), "every call draws anew"
assert len({*dropout(many, 0.2).tolist()}) == 2, "all that stay grow by the same factor"
resting = Dropout(0.5).eval()
assert resting(many) is many, "a network in use leaves nothing out"

# %%
layer = Dropout(0.5)
layer(ones(3, 8)), layer.eval()(ones(3, 8))

# %% [markdown]
# ## Keeping in shape
#
# Lesson 04 chose the first weights so that numbers neither die nor explode in fifty layers. After a thousand
# steps of training nobody guarantees that any more. **Layer norm** does: it takes each example by itself,
# subtracts its mean, and divides by the root of its variance. Whatever came in, what goes out has mean 0 and
# variance 1; then a weight and a bias, one for each place, let training move it where it likes.
#
# A constant line has variance 0, so a small `eps` is added to the variance before the root is taken.
#
# One thing first. A mean is a sum, and a sum is a product with ones. Which is faster for a thousand rows of
# 128, `x.mean(1)` or `x @ ones`? NumPy walks each short row by itself, with a little ado; a matrix product
# is the one thing that all of your computer has been polished for.

# %%
from tinytorch import timed

X = np.random.default_rng(0).standard_normal((1024, 128), dtype=np.float32)
print("mean   ", timed(lambda: X.mean(1)))
print("product", timed(lambda: X @ np.full(128, 1 / 128, np.float32)))

# %% [markdown]
# So the sums of each row of `x`, and of `x * y`, are given as products: `row_sums(x)` and `row_sums(x, y)`.
#
# **Your turn.** `rows` is the input as rows of `n` numbers, each to be moved and scaled by itself. The
# variance divides by n. Besides the result no other array of its size is needed. The gradient of lesson 09
# will ask for what you found out, the mean and one over the root, so they are handed out in `Kept`.

# %%
#| export exercise
@Op
def standardize(input, weight=None, bias=None, /, last=1, eps=1e-5):
    """The last `last` dimensions moved to mean 0, scaled to variance 1, then by weight and bias.

    (*) -> (*)
    """
    rows, n = as_rows(input, last), math.prod(input.shape[input.ndim - last :])
    #| hint row_sums(rows) / n is the mean of each row. out = rows - mean is the only large array you need.
    #| hint The variance is the mean of the squares of out, and row_sums(out, out) adds squares up.
    #| hint scale = 1 / np.sqrt(variance + eps), and then out *= scale.
    ### BEGIN SOLUTION
    mean = row_sums(rows) / n
    out = rows - mean
    scale = 1 / np.sqrt(row_sums(out, out) / n + eps)
    out *= scale
    ### END SOLUTION
    if weight is not None: out *= weight.reshape(-1)
    if bias is not None: out += bias.reshape(-1)
    return Kept(out.reshape(input.shape).astype(input.dtype, copy=False), mean, scale)

# %%
#| check 3
x = tensor([[1.0, 3.0], [10.0, 30.0]])
out = standardize(x).array
assert x.tolist() == [[1.0, 3.0], [10.0, 30.0]] and out.dtype == np.float32, \
    "an op never changes its input, nor its dtype"
assert np.allclose(out.mean(axis=1), 0, atol=1e-6), "each example by itself gets mean 0"
assert np.allclose(out, [[-1, 1], [-1, 1]], atol=1e-4), \
    "each example is divided by its own spread, the root of its variance, which divides by n"
assert standardize(tensor([[5.0, 5.0]])).tolist() == [[0.0, 0.0]], \
    "a constant line becomes 0, thanks to eps, and not nan"
assert np.allclose(standardize(x, eps=3.0).array[0], [-0.5, 0.5]), \
    "eps is added to the variance, under the root"
assert np.allclose(standardize(x, tensor([2.0, 3.0]), tensor([0.0, 1.0])).array[1], [-2, 4], atol=1e-4), \
    "then the weight and the bias of each place"
both = standardize(tensor([[[1.0, 2.0], [3.0, 4.0]]]), last=2).array
assert np.allclose(both.mean(), 0, atol=1e-6) and np.allclose((both ** 2).mean(), 1, atol=1e-4), \
    "last=2 takes the mean and the variance over the last two dimensions together"
mean, scale = standardize(x).kept
assert mean.tolist() == [[2.0], [20.0]] and np.allclose(scale, [[1], [0.1]], atol=1e-3), \
    "the mean and one over the spread are kept for the gradient"

# %%
#| export
def layer_norm(input: Tensor, normalized_shape, weight=None, bias=None, eps: float = 1e-05) -> Tensor:
    """Each example moved to mean 0 and scaled to variance 1, over its last dimensions.

    (*, shape) -> (*, shape)
    """
    return standardize(input, weight, bias, ends_in("layer_norm", input, normalized_shape, weight, bias), eps)


class LayerNorm(Module):
    """Moves each example to mean 0 and variance 1, then to where training wants it.

    (*, shape) -> (*, shape)
    """

    def __init__(
        self, normalized_shape, eps: float = 1e-05, elementwise_affine: bool = True, bias: bool = True,
        device=None, dtype=None,
    ):
        super().__init__()
        self.normalized_shape = as_shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        new = {"device": device, "dtype": dtype}
        self.weight = Parameter(ones(self.normalized_shape, **new)) if elementwise_affine else None
        self.bias = Parameter(zeros(self.normalized_shape, **new)) if elementwise_affine and bias else None

    def reset_parameters(self) -> None:
        """Weights of 1 and biases of 0, which change nothing."""
        if self.weight is not None: self.weight.data.fill_(1)
        if self.bias is not None: self.bias.data.fill_(0)

    def forward(self, input):
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
                f"bias={self.bias is not None}")

# %% [markdown]
# In lesson 04 a spread that was a third too large blew up the signal to 10⁶ in fifty layers. With a layer
# norm behind each of them, what will be left of the difference between too small, right and too large?

# %%
from tinytorch import manual_seed, randn

def depths(factor, norm, layers=50, width=100):
    manual_seed(0)
    x = randn(64, width)
    for _ in range(layers):
        x = relu(x @ (factor * math.sqrt(2 / width) * randn(width, width)))
        if norm: x = layer_norm(x, (width,))
    return x[0, :4].tolist()

for norm in (False, True):
    for factor in (2 / 3, 1.0, 4 / 3):
        print(f"{factor:.2f}  {'norm' if norm else '    '}", *[f"{x:9.2g}" for x in depths(factor, norm)])

# %% [markdown]
# Next to nothing, and that little is the work of `eps`. A norm does not repair the size of a signal, it
# forgets it. Which is why nobody worries any more about the first weights of a transformer.

# %% [markdown]
# ## How wrong?
#
# To learn is to become less wrong, so wrongness must be a number. The share of wrong answers is the number
# that people want, and no use for learning: nudge a weight, and nearly always not a single answer flips. The
# number stands still and says nothing about the direction. A **loss** must move whenever a weight does.
#
# When the answer is a quantity (a price, a temperature), take the distance and square it. The **mean squared
# error** forgives small mistakes and is shocked by large ones.
#
# Losses come one for each example; `reduction` says what becomes of them: their `"mean"`, their `"sum"` or
# `"none"`, which leaves them as they are. With a weight for each, the mean is the weighted one: what has been
# added up is divided by the weights, not by the number of losses.
#
# **Your turn.** `weighed(losses, weight, reduction)` is given and does just that. `same_shape` warns of the
# oldest bug of regression: answers of shape `(n, 1)` against targets of shape `(n,)` meet in `(n, n)`, and
# every answer is held against every target.

# %%
#| export exercise
def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """The squared distance of answers from targets.  (*), (*) -> () or (*)"""
    same_shape(input, target)
    #| hint A square is a product of the distance with itself. weighed knows about reduction and weight.
    ### BEGIN SOLUTION
    distance = input - target
    return weighed(distance * distance, weight, reduction)
    ### END SOLUTION

# %%
#| check 1
x, y = tensor([1.0, 2.0, 5.0]), tensor([1.0, 4.0, 2.0])
assert mse_loss(x, y, "none").tolist() == [0.0, 4.0, 9.0], "with 'none': the square of each distance"
assert x.tolist() == [1.0, 2.0, 5.0], "a loss never changes its input"
assert abs(mse_loss(x, y).item() - 13 / 3) < 1e-6, "the mean of the squares, unless told otherwise"
assert mse_loss(x, y, reduction="sum").item() == 13.0, "'sum' adds them up"
assert mse_loss(x, y, weight=tensor([1.0, 3.0, 0.0])).item() == 3.0, \
    "the weighted mean: what has weight 0 does not count, neither above nor below the line"

# %% [markdown]
# ## Surprise
#
# When the answer is one of several classes, the network gives each a probability. How bad is it to give the
# right class the probability p? Measure your **surprise** when you learn the truth: $-\ln p$. Who was
# certain and right is not surprised at all. Who gave one in ten has a surprise of 2.3; who called it
# impossible, an infinite one. The surprises of independent things add up, as their probabilities multiply,
# and no other measure does that.

# %%
for p in (1.0, 0.5, 0.1, 0.001): print(f"{p:6} {math.log(1 / p):6.2f}")

# %% [markdown]
# The mean surprise over many examples is the **cross-entropy**. Before you go on: an untrained network
# chooses among ten digits. Which loss do you expect? (Remember the number. It is the first line of half the
# training runs in the world, and if yours begins elsewhere, something is wrong.)

# %%
from tinytorch.activations import log_softmax

fresh, labels = MLP(784, 128, 10), np.arange(100) % 10
-log_softmax(fresh(randn(100, 784)), 1)[np.arange(100), labels].mean()

# %% [markdown]
# That was the plain way: all ten logarithms for each row, of which nine are thrown away. But the logarithm
# of softmax is $x_i - \max - \ln \sum_j e^{x_j - \max}$: besides the sum, only one number of the row is
# wanted. Pick it out *before* the row turns into exponentials, and one temporary does.
#
# **Your turn.** `places` are the labels, shaped so that `np.take_along_axis(scores, places, dim)` picks one
# score of each row; `dim` is where the classes are. What goes into `Kept` is the logarithm of the sum of
# $e^{x_j}$ (mind the maximum that you took out), from which the gradient gets the probabilities back.

# %%
#| export exercise
@Op
def surprise(input, target, /, ignore_index=-100):
    """Minus the logarithm of the right class's probability, from scores.  (N, C, *), (N, *) -> (N, *)

    Where the target is `ignore_index`, there is nothing to be surprised about: 0.
    """
    dim, places, ignored = labels_of(input, target, ignore_index)
    #| hint top = input.max(axis=dim, keepdims=True), and rest = input - top is the temporary.
    #| hint Pick from rest, then np.exp(rest, out=rest), then log_sum = np.log of the sum along dim.
    #| hint -(picked - log_sum) is the surprise.
    ### BEGIN SOLUTION
    top = input.max(axis=dim, keepdims=True)
    rest = input - top
    picked = np.take_along_axis(rest, places, dim)
    log_sum = np.log(np.exp(rest, out=rest).sum(axis=dim, keepdims=True))
    out = log_sum - picked
    log_total = log_sum + top
    ### END SOLUTION
    np.copyto(out, 0, where=ignored)
    return Kept(out.squeeze(dim), log_total)

# %%
#| check 3
scores, labels = tensor([[0.0, 0.0], [3.0, 3.0]]), tensor([0, 1])
assert np.allclose(surprise(scores, labels).array, math.log(2)), \
    "one of two equal scores: one half, and a surprise of ln 2"
scores = tensor([[2.0, 1.0, 0.0], [0.0, 5.0, 1.0]])
found = surprise(scores, tensor([2, 1])).array
assert scores.tolist() == [[2.0, 1.0, 0.0], [0.0, 5.0, 1.0]], "an op never changes its input"
assert np.allclose(found, [2.4076059, 0.0247549], atol=1e-5), \
    "minus the natural logarithm of the right class's softmax"
assert np.allclose(surprise(scores + 1000, tensor([2, 1])).array, found, atol=1e-4), \
    "large scores overflow unless the largest is subtracted first"
sure = tensor([[0.0, 200.0], [-1e4, -1e4]])
assert np.allclose(surprise(sure, tensor([0, 1])).array, [200, math.log(2)]), \
    "a tiny probability has a large surprise, and not an infinite one: no logarithm of a number rounded to 0"
columns = tensor(scores.T.array.reshape(1, 3, 2))
assert np.allclose(surprise(columns, tensor([[2, 1]])).array, found, atol=1e-5), \
    "the classes are in dimension 1, also when there are more dimensions behind it"
assert surprise(scores, tensor([-100, 1])).tolist()[0] == 0.0, "what is to be ignored does not surprise"
assert np.allclose(np.exp(scores.array - surprise(scores, tensor([2, 1])).kept[0]).sum(axis=1), 1), \
    "kept is the logarithm of the sum of exp(x) of the scores as they came: exp(x - kept) are probabilities"
assert found.dtype == np.float32, "float32 in, float32 out"

# %% [markdown]
# How much did it save? Three ways to the same number, for two thousand rows and a thousand classes:

# %%
from tinytorch import peak_memory, softmax

X = Tensor(np.random.default_rng(0).standard_normal((2000, 1000), dtype=np.float32))
Y, every = tensor(np.arange(2000) % 1000), np.arange(2000)
for name, run in [("log of softmax", lambda: -softmax(X, 1).log()[every, Y.array].mean()),
                  ("log_softmax", lambda: -log_softmax(X, 1)[every, Y.array].mean()),
                  ("surprise", lambda: surprise(X, Y).mean())]:
    print(f"{name:>14}: {timed(run)}, {peak_memory(run) / 1e6:3.0f} MB")

# %% [markdown]
# ## Yes or no
#
# With two classes one score is enough: its sigmoid is the probability of "yes". For a target $t$ (1 or 0, or
# anything between) the surprise is $-t \ln \sigma(x) - (1-t) \ln(1 - \sigma(x))$. Try that for a network that
# is very sure, and wrong:

# %%
x, t = np.float32(40), 0.0
p = 1 / (1 + np.exp(-x))
-t * np.log(p) - (1 - t) * np.log(1 - p)

# %% [markdown]
# The surprise is 40, not infinite. You know the way out by now: $\ln \sigma(x) = -\ln(1 + e^{-x})$. Put
# that in for both logarithms (the second is $\ln \sigma(-x)$), collect the terms, and then see to it that
# no exponent is positive. What comes out is short:
#
# $$\max(x, 0) - x t + \ln(1 + e^{-|x|})$$
#
# **Your turn.** NumPy has `log1p(y)`, which is `log(1 + y)` also where y is tiny.

# %%
#| export exercise
@floating
def binary_surprise(input, target, /):
    """The surprise at a yes (1) or a no (0), from a score; "yes" has the probability sigmoid(x).

    (*), (*) -> (*)
    """
    ### BEGIN SOLUTION
    return np.maximum(input, 0) - input * target + np.log1p(np.exp(-np.abs(input)))
    ### END SOLUTION

# %%
#| check 2
x = tensor([0.0, 2.0, -1.0])
found = binary_surprise(x, tensor([1.0, 1.0, 0.0])).array
assert np.allclose(found, [math.log(2), 0.1269280, 0.3132617], atol=1e-6), \
    "for a yes it is -log sigmoid(x), for a no -log(1 - sigmoid(x))"
assert np.allclose(binary_surprise(x, tensor([0.0, 0.0, 1.0])).array - found, [0, 2, 1], atol=1e-6), \
    "the other answer is more of a surprise, by the size of the score"
sure = tensor([40.0, -1000.0, 1000.0])
assert np.allclose(binary_surprise(sure, tensor([0.0, 1.0, 0.0])).array, [40, 1000, 1000]), \
    "sure and wrong costs the size of the score: no infinity, and no overflow"
assert np.allclose(binary_surprise(tensor(20.0), tensor(1.0)).item() / math.exp(-20), 1, atol=1e-3), \
    "sure and right costs as little as exp(-x), and is not rounded to 0"
assert abs(binary_surprise(tensor(3.0), tensor(0.5)).item() - 1.5485874) < 1e-5, \
    "a target may lie between yes and no"
assert x.tolist() == [0.0, 2.0, -1.0] and found.dtype == np.float32, \
    "an op never changes its input, nor its dtype"

# %% [markdown]
# ## Less wrong, without knowing the way
#
# You have a network and a number that says how wrong it is. That is all it takes to learn, if you have time:
# nudge all weights at random, and keep the nudge if the loss went down. Here are the two switches of lesson
# 03. Guess how many nudges it takes until a network with eight neurons knows when exactly one is on.

# %%
manual_seed(3)
switches, wanted = tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), tensor([0.0, 1.0, 1.0, 0.0])
net = MLP(2, 8, 1)

def wrongness(): return binary_surprise(net(switches).reshape(-1), wanted).mean().item()

least, history = wrongness(), []
for _ in range(600):
    nudges = [0.1 * randn(*p.shape) for p in net.parameters()]
    for p, nudge in zip(net.parameters(), nudges): p.data.add_(nudge)
    now = wrongness()
    if now >= least:
        for p, nudge in zip(net.parameters(), nudges): p.data.sub_(nudge)
    least = min(least, now)
    history.append(least)

for step in (0, 50, 100, 200, 300, 599):
    print(f"{step:5} {history[step]:.3f} " + "#" * round(80 * history[step]))
net(switches).sigmoid().reshape(-1)

# %% [markdown]
# It works, for 33 weights. Each nudge costs a pass through the network, and most of them are thrown away;
# with a million weights hardly any direction goes down, and you would wait for ever. In lesson 09 the
# network will tell you, for the price of two such passes, which way every single weight has to go.
#
# ## Challenges
#
# 1. `through` draws lines from left to right. Build the same function with hinges that look to the left,
#    `relu(x_k - x)`. Where do the two differ?
# 2. How many pieces can a network with hidden layers of 3, 3 and 3 neurons have at most? Find weights by
#    random search that come close.
# 3. Dropout makes each number's variance larger, although the mean stays. By how much, as a function of p
#    and of the number itself? Measure it.
# 4. `standardize` walks over its input seven times. The mean square minus the squared mean is the variance
#    too, and needs two walks less. Find an input for which that is hopelessly wrong.
# 5. Give wrong labels to a tenth of the examples. What is the least mean surprise that a network can reach
#    which does not know which ones? (Let it be sure of nothing.)
# 6. What is the bias of the last layer, in a network that knows nothing of its input, but knows how frequent
#    each class is?
#
# ## Design note: why the weight lies on its side
#
# A layer from `in` to `out` computes `x @ w + b` with a `w` of shape `(in, out)`: it reads like the
# formula, and several frameworks keep it so. PyTorch keeps `(out, in)` and multiplies by the transpose. For
# the arithmetic it makes no difference: a transpose is a view, and the matrix product is told to walk the
# other way. What decides is what a *row* is. With `(out, in)` a row is one neuron: `weight[3]` is all that
# neuron 3 thinks, it lies in one piece of memory, it can be drawn, cut out (lesson 12) or handed to another
# machine (lesson 19), and a convolution has the same shape with a window behind it, `(out, in, height,
# width)`. The price is one `.T` in a place that you write once.
