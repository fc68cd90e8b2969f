# %% [markdown]
# # Appendix: nodes for numbers
#
# Most ops on single numbers have a node of the same meaning, and a table of names is enough. Where ONNX has
# none, the formula is written out, node by node. Reductions come last.

# %%
#| export
"""Nodes for arithmetic, bends, comparisons and reductions."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch import (
    activations,
    bends,
    comparisons,
    creation,
    elementwise,
    linalg,
    losses,
    reductions,
)
from tinytorch.dtypes import as_dtype
from tinytorch.mlops import reshaped
from tinytorch.nodes import NODES, Page, Unwritten, Value, onnx
from tinytorch.tensor import add, exp, log, matmul, mean, mul, neg, sqrt, sub, sum_, true_divide

# %% [markdown]
# ## A node for an op

# %%
#| export
def plain(kind: str):
    """A rule for an op that is one node, without settings that matter."""
    return lambda page, *inputs: page.node(kind, *inputs)


NODES.update({op: plain(kind) for op, kind in {
    mul: "Mul", true_divide: "Div", neg: "Neg", exp: "Exp", log: "Log",
    sqrt: "Sqrt", matmul: "MatMul",
    elementwise.reciprocal: "Reciprocal", elementwise.abs_: "Abs",
    elementwise.sin: "Sin", elementwise.cos: "Cos",
    elementwise.tan: "Tan", elementwise.asin: "Asin", elementwise.acos: "Acos", elementwise.atan: "Atan",
    elementwise.sinh: "Sinh", elementwise.cosh: "Cosh",
    elementwise.asinh: "Asinh", elementwise.acosh: "Acosh",
    elementwise.atanh: "Atanh", elementwise.erf: "Erf", elementwise.sign: "Sign", elementwise.sgn: "Sign",
    elementwise.positive: "Identity", elementwise.maximum: "Max", elementwise.minimum: "Min",
    activations.sigmoid: "Sigmoid", activations.tanh: "Tanh",
    bends.softsign: "Softsign",
}.items()})


def by_truth(logical: str, bitwise: str):
    """A rule for an op that is one node for bools and another one for whole numbers."""
    return lambda page, x, *more: page.node(logical if x.kind.kind == "b" else bitwise, x, *more)


NODES.update({
    elementwise.bitwise_and: by_truth("And", "BitwiseAnd"),
    elementwise.bitwise_or: by_truth("Or", "BitwiseOr"),
    elementwise.bitwise_xor: by_truth("Xor", "BitwiseXor"),
    elementwise.bitwise_not: by_truth("Not", "BitwiseNot"),
})
for op, way in ((elementwise.bitwise_left_shift, "LEFT"), (elementwise.bitwise_right_shift, "RIGHT")):
    NODES[op] = lambda page, x, y, way=way: page.node("BitShift", x, y, direction=way)

# %% [markdown]
# ## A formula for an op
#
# The page writes nodes; this little class lets a rule write a formula. Values of a formula are all of one
# kind of number.

# %%
#| export
class Term:
    """A value in a formula: + - * / write nodes."""

    def __init__(self, page: Page, value: Value, kind: np.dtype):
        self.page, self.value, self.kind = page, value, kind

    def of(self, node: str, *more, **attributes) -> Term:
        inputs = [x.value if isinstance(x, Term) else self.page.constant(np.array(x, self.kind))
                  for x in more]
        return Term(self.page, self.page.node(node, self.value, *inputs, **attributes), self.kind)

    def put(self, x) -> Term:
        if isinstance(x, Term): return x
        return Term(self.page, self.page.constant(np.array(x, self.kind)), self.kind)

    def __add__(self, other): return self.of("Add", other)
    def __sub__(self, other): return self.of("Sub", other)
    def __mul__(self, other): return self.of("Mul", other)
    def __truediv__(self, other): return self.of("Div", other)
    def __radd__(self, other): return self.put(other).of("Add", self)
    def __rsub__(self, other): return self.put(other).of("Sub", self)
    def __rmul__(self, other): return self.put(other).of("Mul", self)
    def __rtruediv__(self, other): return self.put(other).of("Div", self)
    def __neg__(self): return self.of("Neg")

    def choose(self, yes, no) -> Term:
        """`yes` where this truth holds, else `no`; one of them is a term."""
        kind = next(x.kind for x in (yes, no) if isinstance(x, Term))
        parts = [x.value if isinstance(x, Term) else self.page.constant(np.array(x, kind)) for x in (yes, no)]
        return Term(self.page, self.page.node("Where", self.value, *parts), kind)


def formula(*ops):
    """`@formula(op)` above a function of terms makes it the rule of the op."""
    def enter(write):
        def rule(page, *inputs, **settings):
            terms = [None if x is None else Term(page, page.value(x), x.kind) for x in inputs]
            return write(*terms, **settings).value
        onnx(*ops)(rule)
        return write
    return enter

# %%
#| export
@formula(add)
def _(x, y, alpha=1): return x + (y if alpha == 1 else y * alpha)

@formula(sub)
def _(x, y, alpha=1): return x - (y if alpha == 1 else y * alpha)

@formula(elementwise.pow_)
def _(x, y): return x.of("Pow", y)

@formula(elementwise.square)
def _(x): return x * x

@formula(elementwise.rsqrt)
def _(x): return 1 / x.of("Sqrt")

@formula(elementwise.exp2)
def _(x): return (x * math.log(2)).of("Exp")

@formula(elementwise.expm1)
def _(x): return x.of("Exp") - 1

@formula(elementwise.log1p)
def _(x): return (x + 1).of("Log")

@formula(elementwise.log2)
def _(x): return x.of("Log") / math.log(2)

@formula(elementwise.log10)
def _(x): return x.of("Log") / math.log(10)

@formula(elementwise.hypot)
def _(x, y): return (x * x + y * y).of("Sqrt")

@formula(elementwise.logaddexp)
def _(x, y): return x.of("Max", y) + ((-(x - y).of("Abs")).of("Exp") + 1).of("Log")

@formula(elementwise.logit)
def _(x, eps=None):
    if eps is not None: x = x.of("Max", eps).of("Min", 1 - eps)
    return (x / (1 - x)).of("Log")

@formula(elementwise.logaddexp2)
def _(x, y):
    return x.of("Max", y) + ((-(x - y).of("Abs") * math.log(2)).of("Exp") + 1).of("Log") / math.log(2)

@formula(elementwise.deg2rad)
def _(x): return x * (math.pi / 180)

@formula(elementwise.rad2deg)
def _(x): return x * (180 / math.pi)

@formula(elementwise.lerp)
def _(x, end, weight): return x + weight * (end - x)

@formula(elementwise.addcmul)
def _(x, one, two, value=1): return x + one * two * value

@formula(elementwise.addcdiv)
def _(x, one, two, value=1): return x + one / two * value

@formula(elementwise.frac)
def _(x): return x - x.of("Sign") * x.of("Abs").of("Floor")

@formula(elementwise.erfc)
def _(x): return 1 - x.of("Erf")

@formula(elementwise.sinc)
def _(x):
    angle = x * math.pi
    return x.of("Equal", 0).choose(1, angle.of("Sin") / angle)

@formula(elementwise.xlogy)
def _(x, y): return x.of("Equal", 0).choose(0, x * y.of("Log"))

@formula(elementwise.heaviside)
def _(x, at_zero):
    above = x.of("Greater", 0).choose(x.put(1), 0)
    return x.of("Equal", 0).choose(at_zero, above)

@formula(elementwise.copysign)
def _(x, y):
    size = x.of("Abs")
    return y.of("Less", 0).choose(-size, size)

@formula(elementwise.fmax)
def _(x, y): return x.of("IsNaN").choose(y, y.of("IsNaN").choose(x, x.of("Max", y)))

@formula(elementwise.fmin)
def _(x, y): return x.of("IsNaN").choose(y, y.of("IsNaN").choose(x, x.of("Min", y)))

@formula(elementwise.nan_to_num)
def _(x, nan=0.0, posinf=None, neginf=None):
    limits = np.finfo(x.kind)
    out = x.of("IsNaN").choose(nan or 0.0, x)
    out = x.of("IsInf", detect_negative=0).choose(limits.max if posinf is None else posinf, out)
    return x.of("IsInf", detect_positive=0).choose(limits.min if neginf is None else neginf, out)

# %% [markdown]
# Losses are formulas as well.

# %%
#| export
@formula(losses.certainty)
def _(p, target):
    yes, no = p.of("Log").of("Max", -100), (1 - p).of("Log").of("Max", -100)
    return (target - 1) * no - target * yes

@formula(losses.uneven_surprise)
def _(x, target, pos_weight):
    soft = (-x.of("Abs")).of("Softplus") + (-x).of("Max", 0)
    return (1 - target) * x + (1 + (pos_weight - 1) * target) * soft

# %% [markdown]
# ## Whole numbers and rounding
#
# In ONNX the quotient of whole numbers is cut off towards zero; ours, like Python's, goes down.

# %%
#| export
def rounded(kind: str):
    """A rule for an op that rounds: whole numbers stay as they are."""
    return lambda page, x: x if x.kind.kind in "iub" else page.node(kind, x)


NODES.update({elementwise.floor: rounded("Floor"), elementwise.ceil: rounded("Ceil")})


def toward_zero(page, x):
    return page.node("Mul", page.node("Sign", x), page.node("Floor", page.node("Abs", x)))


@onnx(elementwise.trunc)
def _(page, x): return x if x.kind.kind in "iub" else toward_zero(page, x)

@onnx(elementwise.round_)
def _(page, x, decimals=0):
    if x.kind.kind in "iub": return x
    if decimals == 0: return page.node("Round", x)
    scale = page.like(10.0**decimals, x)
    return page.node("Div", page.node("Round", page.node("Mul", x, scale)), scale)

@onnx(elementwise.remainder)
def _(page, x, y):
    if x.kind.kind != "f": return page.node("Mod", x, y)
    return page.node("Sub", x, page.node("Mul", y, page.node("Floor", page.node("Div", x, y))))

@onnx(elementwise.fmod)
def _(page, x, y): return page.node("Mod", x, y, fmod=1)

@onnx(elementwise.floor_divide)
def _(page, x, y):
    if x.kind.kind == "f": return page.node("Floor", page.node("Div", x, y))
    return page.node("Div", page.node("Sub", x, page.node("Mod", x, y)), y)

@onnx(elementwise.trunc_divide)
def _(page, x, y):
    quotient = page.node("Div", x, y)
    return quotient if x.kind.kind != "f" else toward_zero(page, quotient)

# %% [markdown]
# ## Bends

# %%
#| export
@onnx(activations.log_softmax)
def _(page, x, dim, dtype=None):
    return page.node("LogSoftmax", x if dtype is None else page.cast(x, as_dtype(dtype).numpy), axis=dim)

@onnx(activations.gelu)
def _(page, x, approximate="none"):
    if page.opset >= 20: return page.node("Gelu", x, approximate=approximate)
    return gelu_written_out(Term(page, x, x.kind), approximate).value


def gelu_written_out(x: Term, approximate: str) -> Term:
    """x times the probability of a normal number below x."""
    if approximate == "none": return x * 0.5 * ((x * math.sqrt(0.5)).of("Erf") + 1)
    return x * 0.5 * (((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)).of("Tanh") + 1)


@onnx(bends.leaky_relu)
def _(page, x, negative_slope=0.01): return page.node("LeakyRelu", x, alpha=float(negative_slope))

@onnx(bends.prelu)
def _(page, x, weight):
    if x.ndim > 1: weight = reshaped(page, weight, (-1,) + (1,) * (x.ndim - 2))
    return page.node("PRelu", x, weight)

@onnx(bends.elu)
def _(page, x, alpha=1.0): return page.node("Elu", x, alpha=float(alpha))

@formula(bends.celu)
def _(x, alpha=1.0): return x.of("Max", 0) + ((x.of("Min", 0) / alpha).of("Exp") - 1) * alpha

@onnx(bends.selu)
def _(page, x): return page.node("Selu", x)

@formula(bends.silu)
def _(x): return x * x.of("Sigmoid")

@formula(bends.mish)
def _(x): return x * x.of("Softplus").of("Tanh")

@formula(bends.softplus)
def _(x, beta=1.0, threshold=20.0):
    steep = x * beta
    return steep.of("Greater", threshold).choose(x, steep.of("Softplus") / beta)

@formula(bends.logsigmoid)
def _(x): return -(-x).of("Softplus")

@formula(bends.tanhshrink)
def _(x): return x - x.of("Tanh")

@formula(bends.hardtanh)
def _(x, min_val=-1.0, max_val=1.0): return x.of("Max", min_val).of("Min", max_val)

@formula(bends.relu6)
def _(x): return x.of("Max", 0).of("Min", 6)

@formula(bends.threshold)
def _(x, threshold, value): return x.of("LessOrEqual", threshold).choose(value, x)

@formula(bends.hardsigmoid)
def _(x): return (x + 3).of("Max", 0).of("Min", 6) / 6

@formula(bends.hardswish)
def _(x): return x * (x + 3).of("Max", 0).of("Min", 6) / 6

@formula(bends.hardshrink)
def _(x, lambd=0.5): return x.of("Abs").of("LessOrEqual", lambd).choose(0, x)

@formula(bends.softshrink)
def _(x, lambd=0.5): return x - x.of("Max", -lambd).of("Min", lambd)

@onnx(bends.glu)
def _(page, x, dim=-1):
    passed, gate = page.node("Split", x, outputs=2, axis=dim, num_outputs=2)
    return page.node("Mul", passed, page.node("Sigmoid", gate))

@onnx(elementwise.between)
def _(page, x, low, high):
    if low is not None: x = page.node("Max", x, low)
    return x if high is None else page.node("Min", x, high)

# %% [markdown]
# ## Truths

# %%
#| export
NODES.update({op: plain(kind) for op, kind in {
    comparisons.eq: "Equal", comparisons.lt: "Less", comparisons.le: "LessOrEqual", comparisons.gt: "Greater",
    comparisons.ge: "GreaterOrEqual", elementwise.select_where: "Where", elementwise.isnan: "IsNaN",
}.items()})


@onnx(comparisons.ne)
def _(page, x, y): return page.node("Not", page.node("Equal", x, y))


def truths(kind: str):
    """A rule for an op on truths: other numbers are true where they are not 0."""
    return lambda page, *inputs: page.node(kind, *[page.cast(x, bool) for x in inputs])


NODES.update({elementwise.logical_and: truths("And"), elementwise.logical_or: truths("Or"),
              elementwise.logical_xor: truths("Xor"), elementwise.logical_not: truths("Not")})


@onnx(elementwise.isinf)
def _(page, x): return page.node("IsInf", x)

@onnx(elementwise.isposinf)
def _(page, x): return page.node("IsInf", x, detect_negative=0)

@onnx(elementwise.isneginf)
def _(page, x): return page.node("IsInf", x, detect_positive=0)

@onnx(elementwise.isfinite)
def _(page, x): return page.node("Not", page.node("Or", page.node("IsInf", x), page.node("IsNaN", x)))

@onnx(elementwise.masked_fill)
def _(page, x, mask, value):
    value = page.cast(value, x.kind) if isinstance(value, Value) else page.like(value, x)
    return page.node("Where", mask, value, x)

@onnx(creation.fill)
def _(page, x, value):
    value = page.cast(value, x.kind) if isinstance(value, Value) else page.like(value, x)
    return page.node("Expand", value, page.lengths(x.shape))

# %% [markdown]
# ## Many numbers into one

# %%
#| export
def over(page: Page, dim) -> Value | None:
    """The dimensions of a reduction as ONNX wants them: a row; None for all."""
    if dim is None or dim in ((), []): return None
    return page.constant(np.array([dim] if isinstance(dim, int) else list(dim), np.int64))


def reduced(page: Page, kind: str, x: Value, dim, keepdim: bool) -> Value:
    if x.ndim == 0: return x
    return page.node(kind, x, over(page, dim), keepdims=int(keepdim))


def added_up(page: Page, x: Value, dtype) -> Value:
    """The input of a sum: whole numbers, and bools, add up in int64."""
    if dtype is not None: return page.cast(x, as_dtype(dtype).numpy)
    return x if x.kind.kind == "f" else page.cast(x, np.int64)


@onnx(sum_)
def _(page, x, dim=None, keepdim=False, dtype=None):
    return reduced(page, "ReduceSum", added_up(page, x, dtype), dim, keepdim)

@onnx(reductions.prod)
def _(page, x, dim=None, keepdim=False, dtype=None):
    return reduced(page, "ReduceProd", added_up(page, x, dtype), dim, keepdim)

@onnx(mean)
def _(page, x, dim=None, keepdim=False, dtype=None):
    return reduced(page, "ReduceMean", added_up(page, x, dtype), dim, keepdim)

@onnx(reductions.amax)
def _(page, x, dim=(), keepdim=False): return reduced(page, "ReduceMax", x, dim, keepdim)

@onnx(reductions.amin)
def _(page, x, dim=(), keepdim=False): return reduced(page, "ReduceMin", x, dim, keepdim)

@onnx(reductions.logsumexp)
def _(page, x, dim, keepdim=False): return reduced(page, "ReduceLogSumExp", x, dim, keepdim)

@onnx(reductions.all_)
def _(page, x, dim=None, keepdim=False):
    return page.cast(reduced(page, "ReduceMin", page.cast(page.cast(x, bool), np.int32), dim, keepdim), bool)

@onnx(reductions.any_)
def _(page, x, dim=None, keepdim=False):
    return page.cast(reduced(page, "ReduceMax", page.cast(page.cast(x, bool), np.int32), dim, keepdim), bool)

@onnx(reductions.count_nonzero)
def _(page, x, dim=None):
    return reduced(page, "ReduceSum", page.cast(page.cast(x, bool), np.int64), dim, False)


def place_of(page: Page, kind: str, x: Value, dim, keepdim: bool) -> Value:
    """Where the largest or smallest number is, along a dimension or along the whole line."""
    if dim is not None: return page.node(kind, x, axis=dim, keepdims=int(keepdim))
    place = page.node(kind, page.node("Reshape", x, page.lengths(-1)), axis=0, keepdims=0)
    return page.node("Reshape", place, page.lengths([1] * x.ndim)) if keepdim else place


@onnx(reductions.argmax)
def _(page, x, dim=None, keepdim=False): return place_of(page, "ArgMax", x, dim, keepdim)

@onnx(reductions.argmin)
def _(page, x, dim=None, keepdim=False): return place_of(page, "ArgMin", x, dim, keepdim)

@onnx(reductions.max_along)
def _(page, x, dim, keepdim=False):
    return reduced(page, "ReduceMax", x, dim, keepdim), place_of(page, "ArgMax", x, dim, keepdim)

@onnx(reductions.min_along)
def _(page, x, dim, keepdim=False):
    return reduced(page, "ReduceMin", x, dim, keepdim), place_of(page, "ArgMin", x, dim, keepdim)

@onnx(reductions.cumsum)
def _(page, x, dim, dtype=None):
    return page.node("CumSum", added_up(page, x, dtype), page.constant(np.array(dim)))

@onnx(linalg.vector_norm)
def _(page, x, ord=2, dim=None, keepdim=False, dtype=None):
    if ord not in (1, 2): raise Unwritten(f"vector_norm of order {ord} has no node: orders 1 and 2 have")
    if dtype is not None: x = page.cast(x, as_dtype(dtype).numpy)
    return reduced(page, f"ReduceL{int(ord)}", x, dim, keepdim)

@onnx(reductions.nansum)
def _(page, x, dim=None, keepdim=False, dtype=None):
    there = page.node("Where", page.node("IsNaN", x), page.like(0, x), x)._replace(shape=x.shape, kind=x.kind)
    return reduced(page, "ReduceSum", added_up(page, there, dtype), dim, keepdim)

@onnx(linalg.det)
def _(page, x): return page.node("Det", x)
