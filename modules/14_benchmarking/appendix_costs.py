# %% [markdown]
# # Appendix: the cost column
#
# What an operation costs is known before it runs: its shapes say how many floating-point operations it takes
# and how many bytes it has to touch. Here is the column of costs, one cell for each op that the course has so
# far. Some cells are left for the lesson.
#
# The convention: an addition, a multiplication, a division, a comparison, and each call of `exp`, `log`,
# `tanh` and their kind count as one. An op costs what its formula says, in the form in which it is computed.
# Bytes are those that have to move if no cache helps: every input is read once, every output written once.

# %%
#| export
"""What each op costs: floating-point operations and bytes, from shapes alone."""

# %%
#| export
from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinytorch.ledger import FLOPS
from tinytorch.tensor import Op, Tensor

# %% [markdown]
# ## From shapes alone
#
# A rule gets **sketches**: shapes and sizes, and no numbers to look at.

# %%
#| export
class Cost(NamedTuple):
    """Floating-point operations, and bytes read and written."""

    flops: float = 0
    bytes: float = 0

    intensity = property(lambda self: self.flops / self.bytes if self.bytes else 0.0)


class Sketch:
    """What a rule may know of a tensor: its shape, and how many bytes of memory it shows."""

    __slots__ = ("nbytes", "shape", "size")

    def __init__(self, shape: tuple[int, ...], size: int, nbytes: int):
        self.shape, self.size, self.nbytes = shape, size, nbytes

    ndim = property(lambda self: len(self.shape))
    def numel(self) -> int: return self.size
    def __len__(self) -> int: return self.shape[0]
    def __repr__(self): return f"<{'×'.join(map(str, self.shape))}, {self.nbytes} bytes>"


def sketch(x):
    """The sketch of a tensor, an array or an outline; of several, the first one with the bytes of all.

    What was stretched shows the same memory many times, and is counted once. Numbers and None stay.
    """
    if isinstance(x, Tensor): x = x.array
    if isinstance(x, np.ndarray):               # first, because a profiler asks at every op
        if 0 not in x.strides: return Sketch(x.shape, x.size, x.nbytes)
        seen = [n for n, step in zip(x.shape, x.strides) if step or n == 0]
        return Sketch(x.shape, x.size, math.prod(seen) * x.itemsize)
    if hasattr(x, "shape"): return drawn(*x.shape, itemsize=x.dtype.itemsize)
    if not isinstance(x, (tuple, list)): return x
    parts = [sketch(part) for part in x if hasattr(part, "shape")]          # of gradients some may be missing
    return Sketch(parts[0].shape, parts[0].size, sum([part.nbytes for part in parts])) if parts else x


def drawn(*shape: int, itemsize: int = 4) -> Sketch:
    """The sketch of something that nobody made: of this shape, with so many bytes a number."""
    size = math.prod(shape)
    return Sketch(shape, size, size * itemsize)


def moved(*sketches) -> int:
    """The bytes that all of these have together."""
    return sum([x.nbytes for x in sketches if isinstance(x, Sketch)])

# %% [markdown]
# ## The table

# %%
#| export
COSTS: dict[str, Callable[..., Cost]] = {}


def cost(*ops: Op | str) -> Callable:
    """`@cost(matmul)` above a function of out, *inputs, **settings makes it say what matmul costs."""
    def enter(rule: Callable[..., Cost]) -> Callable[..., Cost]:
        for op in ops: COSTS[op if isinstance(op, str) else op.name] = rule
        return rule
    return enter


def all_of(names: str, rule: Callable[..., Cost]) -> None:
    """The same rule for several ops, by their names."""
    cost(*names.split())(rule)

# %% [markdown]
# ### One number at a time
#
# So many operations for each number that comes out.

# %%
#| export
def each(flops: float) -> Callable[..., Cost]:
    """So many operations for every number that comes out."""
    return lambda out, *inputs, **settings: Cost(flops * out.size, moved(out, *inputs))


all_of("positive select_where masked_fill fill isreal", each(0))            # these choose, or copy
all_of("sub mul true_divide neg exp log sqrt abs acos acosh asin asinh atan atan2 atanh bitwise_and "
       "bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil copysign cos cosh "
       "deg2rad digamma digamma_slope erf erfc erfinv exp2 expm1 floor floor_divide fmax fmin fmod frac gcd "
       "heaviside isfinite isinf isnan isneginf isposinf lgamma log10 log1p log2 logical_and logical_not "
       "logical_or logical_xor mantissa_and_exponent maximum minimum nextafter pow rad2deg reciprocal "
       "remainder round sgn sign signbit sin sinh square tan tanh trunc trunc_divide "
       "eq ge gt le lt ne relu", each(1))
all_of("between hardshrink hardtanh leaky_relu lcm prelu relu6 rsqrt softshrink tanhshrink threshold xlogy",
       each(2))
all_of("addcdiv addcmul lerp logit nan_to_num sinc softplus softsign celu elu", each(3))
all_of("hypot isclose logaddexp logaddexp2 sigmoid logsigmoid hardsigmoid selu", each(4))
all_of("silu hardswish mish glu", each(5))


@cost("add")
def add_cost(out, x, y, alpha=1):
    return Cost(out.size * (1 if alpha == 1 else 2), moved(out, x, y))


@cost("gelu")
def gelu_cost(out, x, approximate="none"):
    """x/2 (1 + erf(x/√2)): five; by tanh, with a cube inside: nine."""
    return Cost(out.size * (9 if approximate == "tanh" else 5), moved(out, x))

# %% [markdown]
# ### Many numbers into one
#
# So many for each number that goes in, and some for each result.

# %%
#| export
def taken_in(flops: float, last: float = 0) -> Callable[..., Cost]:
    """So many operations for every number that goes in, and some more for every result."""
    return lambda out, x, *more, **settings: Cost(flops * x.size + last * out.size, moved(out, x, *more))


all_of("sum prod amax amin argmax argmin max_along min_along all any count_nonzero cumsum cumprod cummax "
       "cummin nansum", taken_in(1))
all_of("mean", taken_in(1, 1))
all_of("vector_norm", taken_in(2, 1))
all_of("logsumexp", taken_in(4, 1))
all_of("logcumsumexp", taken_in(4))
all_of("adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d", taken_in(1))
all_of("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d", taken_in(1, 1))
all_of("adaptive_back average_back", taken_in(1, 1))
all_of("fold_margins add_windows", taken_in(1))


def normalised(out, x, weight=None, bias=None, **settings):
    """Mean, difference, square, sum, division: five a number, then a scale and a shift if there are any."""
    scaled = (weight is not None) + (bias is not None)
    return Cost((5 + scaled) * out.size, moved(out, x, weight, bias))


all_of("standardize standardize_groups standardize_channels", normalised)


@cost("rescale")
def rescale_cost(out, x, weight=None, **settings):
    return Cost((3 + (weight is not None)) * out.size, moved(out, x, weight))


@cost("rescale_channels")
def rescale_channels_cost(out, x, mean, var, weight=None, bias=None, **settings):
    """A scale and a shift, worked out once for each channel."""
    return Cost(2 * out.size, moved(out, x, mean, var, weight, bias))

# %% [markdown]
# Losses are a log-softmax (five a number) or two logarithms, and a choice.

# %%
#| export
@cost("surprise")
def surprise_cost(out, x, target, **settings):
    return Cost(5 * x.size + out.size, moved(out, x, target))


all_of("binary_surprise certainty uneven_surprise", each(5))


def lattice(out, log_probs, targets, *lengths, **settings):
    """CTC: for every step and every place of the text with its blanks, three ways in and four operations."""
    T, steps = log_probs.shape[0], 2 * (targets.shape[-1] if targets.ndim > 1 else targets.size) + 1
    N = log_probs.shape[1] if log_probs.ndim > 2 else 1
    return Cost(7 * T * N * steps, moved(out, log_probs, targets, *lengths))


all_of("alignment", lattice)
all_of("alignment_slope", lambda out, g, *rest, **settings: lattice(out, *rest, **settings))

# %% [markdown]
# ### Windows
#
# A window of `k` numbers takes `k` operations for each number that comes out.

# %%
#| export
def windows(dims: int, more: int = 0) -> Callable[..., Cost]:
    """As many operations for a number that comes out as its window has numbers, and some more."""
    def rule(out, x, kernel_size, **settings):
        sides = (kernel_size,) * dims if isinstance(kernel_size, int) else tuple(kernel_size)
        if len(sides) == 1: sides *= dims
        return Cost(out.size * (math.prod(sides) + more), moved(out, x))
    return rule


for dims in (1, 2, 3):
    cost(f"max_pool{dims}d")(windows(dims))
    cost(f"avg_pool{dims}d")(windows(dims, 1))

BLENDS = {"linear": 3, "bilinear": 9, "trilinear": 21, "bicubic": 45}      # 3 for each blend of two numbers


@cost("resample", "resample_back")
def resample_cost(out, x, *lengths, mode="nearest", **settings):
    return Cost(BLENDS.get(mode, 0) * max(out.size, x.size), moved(out, x))

# %% [markdown]
# ### Products
#
# These cells were written before: convolution and the recurrent layers are in the ledger of lessons 04 to 07.
# The lesson writes those of `matmul`, `linear` and `attend`.

# %%
#| export
def booked(name: str) -> Callable[..., Cost]:
    """The operations that the ledger counts for this op."""
    return lambda out, *inputs, **settings: Cost(FLOPS[name](out, *inputs, **settings), moved(out, *inputs))


for name in ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
             "rnn_layer", "gru_layer", "lstm_layer"):
    cost(name)(booked(name))


@cost("filters_seen")
def filters_seen_cost(out, x, g, **settings):
    """The gradient of filters: every number of g meets every weight of its filter once."""
    return Cost(2 * g.size * math.prod(out.shape[1:]), moved(out, x, g))


@cost("cdist")
def cdist_cost(out, x, y, **settings):
    return Cost(3 * out.size * x.shape[-1] + out.size, moved(out, x, y))

# %% [markdown]
# ### Linear algebra
#
# The textbook's counts (Golub and Van Loan), for n by n matrices, or m by n.

# %%
#| export
def for_each_matrix(count: Callable[[int, int], float]) -> Callable[..., Cost]:
    """A count for the m and n of a matrix, times the number of matrices."""
    def rule(out, A, *more, **settings):
        (m, n), many = A.shape[-2:], math.prod(A.shape[:-2])
        return Cost(many * count(max(m, n), min(m, n)), moved(out, A, *more))
    return rule


all_of("det slogdet", for_each_matrix(lambda m, n: 2 / 3 * n**3))
all_of("cholesky", for_each_matrix(lambda m, n: n**3 / 3))
all_of("inv", for_each_matrix(lambda m, n: 2 * n**3))
all_of("qr", for_each_matrix(lambda m, n: 4 * m * n * n - 4 / 3 * n**3))
all_of("eigh", for_each_matrix(lambda m, n: 9 * n**3))
all_of("svd", for_each_matrix(lambda m, n: 14 * m * n * n + 8 * n**3))
all_of("matrix_rank", for_each_matrix(lambda m, n: 4 * m * n * n - 4 / 3 * n**3))
all_of("pinv", for_each_matrix(lambda m, n: 16 * m * n * n + 8 * n**3))


@cost("solve")
def solve_cost(out, A, B, **settings):
    n, many = A.shape[-1], math.prod(A.shape[:-2])
    return Cost(2 / 3 * n**3 * many + 2 * n * out.size, moved(out, A, B))

# %% [markdown]
# ### Order
#
# To sort n numbers takes about n log₂ n comparisons, to find a place among them log₂ n.

# %%
#| export
def steps(n: int) -> int: return max(math.ceil(math.log2(n)), 1) if n > 1 else 1


def in_order(out, x, dim=-1, **settings):
    return Cost(x.size * steps(x.shape[dim] if x.ndim and isinstance(dim, int) else x.size), moved(out, x))


all_of("sort argsort topk kthvalue median_along mode", in_order)


@cost("bisect")
def bisect_cost(out, row, x, **settings):
    return Cost(out.size * steps(row.shape[-1]), moved(out, x) + out.size * steps(row.shape[-1]) * 4)


@cost("isin")
def isin_cost(out, x, among, **settings):
    n, m = [one.size if isinstance(one, Sketch) else 1 for one in (x, among)]
    return Cost((n + m) * steps(m), moved(out, x, among))

# %% [markdown]
# ### From place to place
#
# No arithmetic. What is picked is read and written; the rest of the input stays where it is. What is written
# into a copy costs the copy and the writing.

# %%
#| export
all_of("clone convert move cat stack repeat repeat_interleave flip roll tril triu pad diag_embed "
       "take_windows", each(0))
all_of("nonzero argwhere", taken_in(1))


def picked(out, x, *index, **settings): return Cost(0, 2 * moved(out) + moved(*index))


all_of("gather index_select take take_along_dim masked_select", picked)


def placed(flops: float) -> Callable[..., Cost]:
    """A copy of the first input, and what is written into it; so many operations for each number."""
    def rule(out, x, *more, **settings):
        written = max([one.size for one in more if isinstance(one, Sketch)], default=0)
        return Cost(flops * written, moved(out, x, *more) + written * out.nbytes / max(out.size, 1))
    return rule


all_of("scatter index_copy index_fill put_index put masked_scatter select_scatter slice_scatter "
       "diagonal_scatter", placed(0))
all_of("scatter_add scatter_reduce index_add", placed(1))


@cost("put_back")
def put_back_cost(out, x, indices, **settings):
    return Cost(0, moved(out, x, indices))


@cost("bags")
def bags_cost(out, ids, weight, *more, **settings):
    """The rows of all ids are read, and added up."""
    rows = ids.size * weight.nbytes / max(len(weight), 1)
    return Cost(ids.size * weight.shape[-1], rows + moved(out, ids, *more))


@cost("add_rows")
def add_rows_cost(out, rows, ids, **settings):
    return Cost(rows.size, moved(out, rows, ids))


@cost("rotate")
def rotate_cost(out, x, angles, **settings):
    """Pairs are turned: four products and two sums for two numbers; a sine and a cosine for each angle."""
    return Cost(3 * out.size + 2 * angles.size, moved(out, x, angles))

# %% [markdown]
# ### On a grid
#
# What lesson 12 does to numbers of few bits. An operation on bytes counts as one on floats does: that it is
# cheaper is seen in the bytes, and on the clock. Packing moves bits about, and computes nothing.

# %%
#| export
all_of("choose_qparams", each(3))                       # for each of two outputs
all_of("quantize_affine", each(5))                      # a product, rounding, a sum, and two comparisons
all_of("dequantize_affine", each(2))
all_of("fake_quantize_affine", each(7))
all_of("in_floats", each(5))
all_of("pack_int4 unpack_int4 pack_2_4 unpack_2_4 patches", each(0))


@cost("int8_matmul")
def int8_matmul_cost(out, x, weight, **settings):
    return Cost(2 * out.size * x.shape[-1], moved(out, x, weight))


@cost("sparse_linear")
def sparse_linear_cost(out, x, crow, col, values, **settings):
    """Each number that is left meets one of every row."""
    return Cost(2 * values.size * len(x), moved(out, x, crow, col, values))

# %% [markdown]
# ## The way back
#
# Pulling a gradient through an op costs about what the op did, once for each input that wants one. Where that
# is too coarse, there is a second table: a bias is cheaper than a weight, and attention shares a product.

# %%
#| export
BACK: dict[str, Callable[..., float]] = {}


def cost_back(*names: str) -> Callable:
    """Above a function of wanted, g, *inputs, **settings: the operations of the way back."""
    def enter(rule: Callable[..., float]) -> Callable[..., float]:
        BACK.update(dict.fromkeys(names, rule))
        return rule
    return enter


def halves(name: str) -> Callable[..., float]:
    """A product again for the input, one for the weight, and a sum for the bias."""
    def rule(wanted, g, x, weight, bias=None, **settings):
        product = COSTS[name](g, x, weight, **settings).flops
        return product * sum(wanted[:2]) + g.size * any(wanted[2:])
    return rule


for name in ("linear", "conv1d", "conv2d", "conv3d",
             "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"):
    cost_back(name)(halves(name))


@cost_back("attend")
def attend_back(wanted, g, query, key, value, *masks, **settings):
    """One product for the values, one for the weights of attention, one for the queries, one for the keys."""
    product = COSTS["attend"](g, query, key, value, **settings).flops / 2
    q, k, v = wanted[:3]
    return product * (v + (q or k) + q + k)


@cost_back("standardize", "standardize_groups", "standardize_channels")
def normalised_back(wanted, g, x, *more, **settings): return (8 * wanted[0] + 2 * any(wanted[1:])) * g.size


def twice(name: str) -> Callable[..., float]:
    """Every product once more for the inputs, and once more for the weights."""
    return lambda wanted, g, *inputs, **settings: 2 * COSTS[name](g, *inputs, **settings).flops


for name in ("rnn_layer", "gru_layer", "lstm_layer"): cost_back(name)(twice(name))


def cost_of_pull(op, inputs, settings: dict, g, wanted: list) -> Cost:
    """What it costs to pull g through an op, back to those of its inputs that are wanted."""
    if op.shares: return Cost()
    g, inputs = sketch(g), [sketch(x) for x in inputs]
    moves = moved(g, *inputs) + moved(*[x for x, want in zip(inputs, wanted) if want])
    if op.name not in COSTS: return Cost(0, moves)
    if op.name in BACK: return Cost(BACK[op.name](wanted, g, *inputs, **settings), moves)
    return Cost(COSTS[op.name](g, *inputs, **settings).flops * sum(wanted), moves)
