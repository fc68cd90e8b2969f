# %% [markdown]
# # Activations
#
# Two matrices in a row are one matrix. However many linear maps you stack, the stack can do no more than a
# single one of them, and a single one cannot even tell whether exactly one of two switches is on. What turns
# a pile of matrices into a network is a small bend between them.
#
# You write the bends that networks are made of, and the function that turns scores into probabilities. Each
# of them is a line of school mathematics. Typed in as it stands, that line returns nonsense for numbers that
# every real network produces, and takes twice the memory it needs. Both can be mended without changing what
# the formula means.

# %%
#| export
"""The bends between linear maps, and probabilities that do not overflow."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.dtypes import as_dtype
from tinytorch.elementwise import erf
from tinytorch.methods import in_place
from tinytorch.pieces import in_pieces, worth_cutting
from tinytorch.tensor import Op, Tensor, floating, tensor

# %% [markdown]
# ## A stack of straight lines
#
# Two linear maps, one after the other, and the map that does both at once:

# %%
x = tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]])
w1, b1 = tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 3.0]]), tensor([1.0, 0.0, -1.0])
w2, b2 = tensor([[2.0], [1.0], [-1.0]]), tensor([0.5])

(x @ w1 + b1) @ w2 + b2

# %% [markdown]
# **Your turn.** Find the one weight and the one bias that give the same answer. Multiply the brackets out.

# %%
#| export exercise
def collapsed(w1, b1, w2, b2) -> tuple[Tensor, Tensor]:
    """The w and b with x @ w + b = (x @ w1 + b1) @ w2 + b2 for every x.

    (i, h), (h,), (h, o), (o,) -> (i, o), (o,)
    """
    #| hint (x @ w1 + b1) @ w2 is x @ w1 @ w2 + b1 @ w2. What multiplies x, and what stands alone?
    ### BEGIN SOLUTION
    return w1 @ w2, b1 @ w2 + b2
    ### END SOLUTION

# %%
#| check 1
first = tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]]), tensor([1.0, 2.0, 0.0])
second = tensor([[1.0], [10.0], [100.0]]), tensor([5.0])
w, b = collapsed(*first, *second)
assert w.tolist() == [[201.0], [130.0]], \
    "two linear maps are one: its weight is the product w1 @ w2, in that order"
assert b.tolist() == [26.0], \
    "the first bias travels through the second map, and then the second bias is added"

# %% [markdown]
# So without a bend, a hundred layers are one layer, only slower.
#
# ## A bend
#
# The cheapest bend there is keeps what is positive and flattens the rest: `relu(x) = max(x, 0)`, the
# **rectified linear unit**.
#
# First a little given code. PyTorch lets many of these functions write their result over their input,
# `relu(x, inplace=True)`. An op that can do that is a `Bend`; all it adds to an op is that one setting.

# %%
#| export
class Bend(Op):
    """An op of one number at a time; with `inplace=True` the result is written over its input."""

    def __init__(self, forward, promote=None):
        super().__init__(forward, promote)
        self.settings += ("inplace",)

    def __call__(self, *inputs, **settings):
        if "inplace" not in settings and len(inputs) <= self.arity:
            return super().__call__(*inputs, **settings)
        inputs, settings = self.bind(inputs, settings)
        run = in_place(self) if settings.pop("inplace", False) else super().__call__
        return run(*inputs, **settings)

# %% [markdown]
# **Your turn.** As in lesson 02, the forward gets a plain array. A number that is no number (`nan`) must stay
# one: a network that hides its accidents is hard to debug.

# %%
#| export exercise
@Bend
def relu(input, /):
    """What is positive, else 0.  (*) -> (*)"""
    #| hint np.maximum compares two arrays, or an array and a number, element by element.
    ### BEGIN SOLUTION
    return np.maximum(input, 0)
    ### END SOLUTION

# %%
#| check 1
x = tensor([-2.0, 0.0, 3.0])
assert relu(x).tolist() == [0.0, 0.0, 3.0], "relu keeps what is positive and turns the rest into 0"
assert relu(tensor([-math.inf])).item() == 0.0, "relu turns even minus infinity into 0"
assert x.tolist() == [-2.0, 0.0, 3.0], "an op never changes its input"
assert relu(tensor([1.5])).dtype.name == "float32", "a bend keeps the dtype: no float64 leaks in"
assert relu(tensor([-1, 2])).dtype.name == "int64", "a bend keeps the dtype: whole numbers stay whole"
assert math.isnan(relu(tensor([math.nan])).item()), "what is not a number stays not a number"
assert relu(x, inplace=True) is x and x.tolist() == [0.0, 0.0, 3.0], "asked to, relu writes over its input"

# %% [markdown]
# What does the bend buy? Here are two switches, and the question whether exactly one of them is on. It is the
# smallest question that a linear map cannot answer: `0` at both ends of a diagonal and `1` at both ends of
# the other one. In 1969 a book about that took the money out of neural networks for a decade.

# %%
switches = tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])     # wanted: 0, 1, 1, 0

# %% [markdown]
# **Your turn.** Answer it with sums, differences, multiples and `relu`. Two bends are enough. Count first how
# many switches are on: you want a function of that count that goes up from 0 to 1, then down again.

# %%
#| export exercise
def xor(x: Tensor) -> Tensor:
    """1 where exactly one of the two switches is on.  (n, 2) -> (n,)"""
    #| hint relu(count) goes 0, 1, 2 as the count goes 0, 1, 2. How much must be taken away at 2?
    #| hint relu(count - 1) goes 0, 0, 1.
    ### BEGIN SOLUTION
    count = x.sum(1)
    return relu(count) - 2 * relu(count - 1)
    ### END SOLUTION

# %%
#| check 1
assert xor(Tensor(5, 2)).shape == (5,), "every row is a question of its own, and gets one answer"
assert xor(tensor([[1.0, 1.0], [0.0, 0.0]])).tolist() == [0.0, 0.0], \
    "none and both are the same answer: 0. The second bend must take away what the first gave"
assert xor(tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])).tolist() == [1.0, 1.0, 0.0], \
    "one switch on, whichever it is, gives 1"

# %% [markdown]
# You chose those weights by looking. Lesson 09 lets the network find them.
#
# ## A soft switch
#
# Sometimes you want a smooth step from 0 to 1, for instance a probability: the **sigmoid**
# $\sigma(x) = \frac{1}{1 + e^{-x}} = \frac{e^x}{1 + e^x}$. Both forms are the same number. Guess what each of
# them gives for 1000, and for −1000, before you run the cell.

# %%
big = np.array([1000, 1], np.float32)
np.exp(big) / (1 + np.exp(big)), 1 / (1 + np.exp(big))      # the second is sigmoid(-big)

# %% [markdown]
# The largest `float32` is about $3.4 \cdot 10^{38}$, and $e^{89}$ is larger. Then `exp` is infinite. Infinity
# over infinity is `nan`, the end of every training run; one over infinity is 0, which happens to be nearly
# right. In `float16` the trouble begins at $e^{12}$, and there "nearly right" loses a result that could have
# been told apart from 0:

# %%
small = np.array([-12], np.float16)
1 / (1 + np.exp(-small)), np.exp(small)                     # sigmoid(-12) is as good as exp(-12)

# %% [markdown]
# An `exp` of a negative number never overflows. One thing is given: `exp_over(x)` is `np.exp(x)`, but writes
# the result over `x` itself and so needs no new memory. It is for temporary arrays that nobody else holds, as
# `-np.abs(input)` is.

# %%
#| export
def exp_over(x):
    """exp, written over `x`: for a temporary array of our own."""
    return np.exp(x, out=x) if x.ndim else np.exp(x)        # NumPy's single numbers cannot be written over

# %% [markdown]
# **Your turn.** Write the sigmoid so that no exponent is ever positive. For `x < 0` use the second form of
# the formula, else the first, and look for one expression that is both.

# %%
#| export exercise
@floating
def sigmoid(input, /):
    """1 / (1 + exp(-x)), which rises from 0 to 1; stable at both ends.  (*) -> (*)"""
    #| hint The denominators are 1 + exp(-x) and 1 + exp(x). One expression for both: 1 + exp(-|x|).
    #| hint The numerator is 1 for x >= 0 and exp(x) below: exp(min(x, 0)) is both.
    ### BEGIN SOLUTION
    return exp_over(np.minimum(input, 0)) / (1 + exp_over(-np.abs(input)))
    ### END SOLUTION

# %%
#| check 2
ends = tensor([-1000.0, -100.0, 0.0, 100.0, 1000.0])
with np.errstate(over="raise", invalid="raise"):
    try: found = sigmoid(ends).tolist()
    except FloatingPointError as problem: found = str(problem)
assert "overflow" not in found, "exp of a large number overflows: no exponent may ever be positive"
assert found[2:] == [0.5, 1.0, 1.0] and found[0] == 0.0 and found[1] < 1e-37, \
    "sigmoid rises from 0 through one half to 1, without nan at the ends"
assert abs(sigmoid(tensor(2.0)).item() - 0.880797) < 1e-6, "sigmoid(2) is 1 / (1 + exp(-2))"
assert abs(sigmoid(tensor(-20.0)).item() / math.exp(-20) - 1) < 1e-5, \
    "far to the left sigmoid is as small as exp(x), not rounded to 0"
assert sigmoid(tensor([0, 1])).dtype.name == "float32", "whole numbers become float32, not float64"
assert ends.tolist() == [-1000.0, -100.0, 0.0, 100.0, 1000.0], "an op never changes its input"

# %% [markdown]
# The textbook writes the two cases with a `where`. It is right, and surprisingly slow. How many times slower
# than an `exp` is choosing between two numbers? Guess, then run.

# %%
from tinytorch import bandwidth_ceiling, peak_memory, timed

million = np.random.default_rng(0).standard_normal(1_000_000, dtype=np.float32)
in_order = np.sort(million)
print("exp   ", timed(lambda: np.exp(million)))
print("where ", timed(lambda: np.where(million < 0, million, np.float32(1))))
print("sorted", timed(lambda: np.where(in_order < 0, in_order, np.float32(1))))

# %% [markdown]
# `exp` does the same arithmetic for every number, eight or sixteen numbers at once. `where` asks a question
# for each, and the processor guesses the answer to be ready in time. With random signs half of the guesses
# are wrong; sorted, hardly any are. That is why your formula has a `min` and an absolute value and no
# question.
#
# Moved and stretched, the sigmoid goes from −1 to 1 and through the origin: $\tanh(x) = 2\sigma(2x) - 1$, the
# **hyperbolic tangent**, also written $(e^x - e^{-x}) / (e^x + e^{-x})$. By now you know what that fraction
# does at 1000. NumPy's `tanh` is stable and fast, so **your turn** is short.

# %%
#| export exercise
@floating
def tanh(input, /):
    """The hyperbolic tangent, which rises from -1 to 1.  (*) -> (*)"""
    ### BEGIN SOLUTION
    return np.tanh(input)
    ### END SOLUTION

# %%
#| check 1
assert tanh(tensor([-1000.0, 0.0, 1000.0])).tolist() == [-1.0, 0.0, 1.0], \
    "tanh rises from -1 through 0 to 1, without nan at the ends"
assert abs(tanh(tensor(0.5)).item() - math.tanh(0.5)) < 1e-6, "tanh is the hyperbolic tangent"
assert abs(tanh(tensor(1e-4)).item() / 1e-4 - 1) < 1e-6, \
    "near 0 tanh(x) is x: 2 * sigmoid(2x) - 1 would lose half the digits there"
assert tanh(tensor([1])).dtype.name == "float32", "whole numbers become float32, not float64"
x = tensor([0.5])
assert tanh(x).item() == tanh(x).item() and x.item() == 0.5, "an op never changes its input"

# %% [markdown]
# ## From scores to probabilities
#
# A network that reads digits ends in ten scores. **Softmax** makes them probabilities:
# $e^{x_i} / \sum_j e^{x_j}$, positive numbers that add up to 1, larger where the score is larger. Straight
# from the formula:

# %%
scores = np.array([1.0, 2.0, 3.0], np.float32)
np.exp(scores) / np.exp(scores).sum(), np.exp(scores + 100) / np.exp(scores + 100).sum()

# %% [markdown]
# The second answer should have been the first. Adding the same number to all scores multiplies numerator and
# denominator by the same $e^{100}$, which cancels: softmax is **shift invariant**. We may shift by whatever
# suits us, and what suits us is minus the largest score. Then the largest exponent is 0, nothing overflows,
# and the sum is at least 1.
#
# **Your turn.** Softmax over the dimension `dim`. `dtype`, when given, is the dtype to compute in.

# %%
#| export exercise
@floating
def softmax(input, /, dim, dtype=None):
    """Probabilities from scores: exp(x), scaled so that each line along `dim` adds up to 1.  (*) -> (*)"""
    if dtype is not None: input = as_dtype(dtype).cast(input)
    if not isinstance(dim, int): raise TypeError(f"softmax works along one dim, such as -1, not {dim!r}")
    if input.size == 0: return input.copy()
    #| hint The largest score of each line: input.max(axis=dim, keepdims=True).
    #| hint Subtract it, take exp, divide by the sum along the same axis.
    ### BEGIN SOLUTION
    out = exp_over(input - input.max(axis=dim, keepdims=True))
    out /= out.sum(axis=dim, keepdims=True)
    return out
    ### END SOLUTION

# %%
#| check 3
square = softmax(tensor([[1.0, 2.0], [7.0, 0.0]]), 1)
assert np.allclose(square.array.sum(axis=1), 1), \
    "each row adds up to 1: keepdims, or rows meet other rows' sums"
x = tensor([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])
p = softmax(x, 1)
assert x.tolist() == [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]], "an op never changes its input"
assert np.allclose(p.array, [[0.0900306, 0.2447285, 0.6652410], [1 / 3, 1 / 3, 1 / 3]], atol=1e-6), \
    "each is exp(x) over the sum of its row's"
assert np.allclose(softmax(x, 0).array.sum(axis=0), 1), \
    "along dim 0 every column adds up to 1: max and sum go along the same dim"
assert np.allclose(softmax(x + 1000, 1).array, p.array, atol=1e-4), \
    "large scores overflow unless the largest is subtracted first"
assert np.allclose(softmax(x - 1000, 1).array, p.array, atol=1e-4), \
    "nor may the largest exponent be far below 0: subtract the largest score of each line, whatever its sign"
assert np.allclose(softmax(tensor([[1000.0, 1000.0], [-1000.0, -1000.0]]), 1).array, 0.5), \
    "every line has its own largest score: keepdims and the same axis"
assert p.dtype.name == "float32" and softmax(tensor([1, 2]), 0, dtype=np.float64).dtype.name == "float64", \
    "float32 stays float32, unless dtype asks for another"
assert softmax(tensor([0.0, 200.0]), 0).tolist() == [0.0, 1.0], \
    "subtract the largest score, and no other: the exponents may not be positive"
assert softmax(tensor([[-math.inf, 0.0]]), -1).tolist() == [[0.0, 1.0]], \
    "a score of minus infinity has probability 0"
assert math.isnan(softmax(tensor([-math.inf, -math.inf]), 0)[0].item()), \
    "where nothing is possible there are no probabilities: nan, and not a guess"

# %%
#| check 1 hidden
#| id hidden-softmax
cube = softmax(tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 5.0], [0.0, 4.0]]]), 1)
assert np.allclose(cube.array, [[[0.1192029, 0.1192029], [0.8807971, 0.8807971]],
                                [[0.5, 0.7310586], [0.5, 0.2689414]]], atol=1e-6), \
    "lines along the middle dim of a cube add up to 1, each by itself"
assert softmax(tensor([[3.0], [4.0]]), -1).tolist() == [[1.0], [1.0]], \
    "a line of one score is sure of it: -1 is the last dim"

# %% [markdown]
# ## One array is enough
#
# The sum is right; look at the price. Written as `e = np.exp(x - m)` and `e / e.sum(...)` it makes three
# arrays as large as the input: the differences, their `exp`, and the quotients. New memory is the dearest
# memory there is, because the operating system hands it out page by page, at the first touch. But the second
# and third array can live where the first one was: `exp_over(x - m)` writes over the differences, and
# `out /= total` over what comes of that.
#
# > **Note.** Over *its own* temporary array, that is. The input belongs to the caller, and others may be
# > looking at it.
#
# **Your turn.** Go back to `softmax` and make do with one large array. The check above must stay green, and
# this one measures:

# %%
#| check 1
from tinytorch import peak_memory

x = Tensor(np.ones((500, 1000), np.float32))
softmax(x, 1)
assert peak_memory(lambda: softmax(x, 1)) < 1.5 * x.array.nbytes, \
    "softmax needs the memory of its result, and no second array of that size: write over your own temporary"
assert float(softmax(tensor(3.0), 0)) == 1.0, "a single number is certain: softmax works on it too"

# %% [markdown]
# What does it save?

# %%
def textbook(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

X = Tensor(np.random.default_rng(0).standard_normal((2000, 1000), dtype=np.float32))
for name, run in [("textbook", lambda: textbook(X.array)), ("softmax", lambda: softmax(X, 1))]:
    print(f"{name:>8}: {timed(run)}, {peak_memory(run) / 1e6:.0f} MB")

# %% [markdown]
# ## Sure and unsure
#
# `exp` exaggerates. Watch what a **temperature** does, a number the scores are divided by: cold networks are
# sure of themselves, hot ones shrug.

# %%
for temperature in (0.1, 1.0, 10.0):
    print(f"{temperature:5}", softmax(tensor([1.0, 2.0, 3.0]) / temperature, 0))

# %% [markdown]
# ## How likely, on a scale that reaches down
#
# A loss needs the *logarithm* of a probability. Taking `log` of a softmax works until a probability is
# rounded to 0:

# %%
softmax(tensor([0.0, 200.0]), 0).log()

# %% [markdown]
# The right answer for the first is −200, a perfectly ordinary number. Once a probability has become 0, no
# logarithm brings it back; so do not go there. In $\log \frac{e^{x_i - m}}{\sum_j e^{x_j - m}}$ the logarithm
# of the numerator is just $x_i - m$. **Your turn.**

# %%
#| export exercise
@floating
def log_softmax(input, /, dim, dtype=None):
    """The logarithm of softmax, also where softmax itself rounds to 0.  (*) -> (*)"""
    if dtype is not None: input = as_dtype(dtype).cast(input)
    if not isinstance(dim, int): raise TypeError(f"log_softmax works along one dim, such as -1, not {dim!r}")
    if input.size == 0: return input.copy()
    #| hint log(a / b) is log(a) - log(b), and log(exp(z)) is z.
    #| hint With shifted = input - max: the result is shifted - log(sum(exp(shifted))).
    ### BEGIN SOLUTION
    out = input - input.max(axis=dim, keepdims=True)
    out -= np.log(np.exp(out).sum(axis=dim, keepdims=True))
    return out
    ### END SOLUTION

# %%
#| check 2
row = tensor([1.0, 2.0, 3.0])
assert np.allclose(log_softmax(row, 0).array, [-2.4076059, -1.4076059, -0.4076059], atol=1e-5), \
    "log_softmax is the natural logarithm of softmax"
assert row.tolist() == [1.0, 2.0, 3.0], "an op never changes its input"
x = tensor([[1.0, 2.0, 3.0], [-1.0, 0.0, 200.0]])
assert np.allclose(log_softmax(tensor([1e4, 1e4]), 0).array, -math.log(2)), \
    "large scores overflow unless the largest is subtracted first"
assert np.allclose(log_softmax(tensor([[0.0, 0.0], [-1e4, -1e4]]), 1).array, -math.log(2)), \
    "every line has its own largest score: keepdims and the same axis"
assert np.allclose(log_softmax(x, 1).array[1], [-201, -200, 0], atol=1e-3), \
    "a tiny probability keeps its logarithm: never take log of a number that was rounded to 0"
assert np.allclose(np.exp(log_softmax(x, 0).array).sum(axis=0), 1), \
    "along dim 0 every column's probabilities add up to 1: max and sum go along the same dim"
assert log_softmax(tensor([1, 2]), 0).dtype.name == "float32", "whole numbers become float32, not float64"

# %% [markdown]
# ## A bend without a corner
#
# Relu has a corner at 0, and left of it nothing at all. Modern networks prefer a round one. Multiply `x` by
# the chance that a normally distributed number is smaller than `x`, and you get **GELU**: $x \cdot \Phi(x)$,
# with $\Phi(x) = \frac12 (1 + \mathrm{erf}(x / \sqrt 2))$. `erf`, the **error function**, is an integral
# without a short formula, so for years everybody used one that is close to GELU:
#
# $$\tfrac12\, x \left(1 + \tanh\left(\sqrt{2/\pi}\,(x + 0.044715\, x^3)\right)\right)$$
#
# PyTorch has both, and so will you. One thing before you type. Guess which is faster, `x**3` or `x * x * x`,
# and how many times:

# %%
print("x**3   ", timed(lambda: million**3))
print("x*x*x  ", timed(lambda: million * million * million))

# %% [markdown]
# `**` must be ready for any exponent, and for a negative `x` it falls back to a slow and careful path.
#
# **Your turn.** `erf.forward` is the array code of the op `erf`, which an appendix of lesson 02 gave you. And
# because what you write takes a dozen walks, a large input comes to it in pieces that fit into the cache:
# that line is given.

# %%
#| export exercise
@floating
def gelu(input, /, *, approximate="none"):
    """x times the chance that a normal number is below x; "tanh" is an older formula.  (*) -> (*)"""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu knows approximate='none' and approximate='tanh', not {approximate!r}")
    if worth_cutting(flat := input.reshape(-1)):
        return in_pieces(gelu.forward, flat, approximate=approximate).reshape(input.shape)
    #| hint Exact: 0.5 * input * (1 + erf.forward(input / math.sqrt(2))). Python numbers keep float32 float32.
    #| hint With tanh: x + 0.044715 * x*x*x is x * (1 + 0.044715 * x*x), which saves a multiplication.
    #| hint (1 + tanh(u)) / 2 is the sigmoid of 2u, that is 1 / (1 + exp(-2u)): exp_over takes a pass less.
    ### BEGIN SOLUTION
    if approximate == "none":
        out = 1 + erf.forward(input * math.sqrt(0.5))
        out *= input
        out *= 0.5
        return out
    out = input * input
    out *= 0.044715
    out += 1
    out *= input
    out *= -2 * math.sqrt(2 / math.pi)
    return input / (1 + exp_over(out))
    ### END SOLUTION

# %%
#| check 2
x = tensor([-1.0, 0.0, 1.0, 2.0])
assert np.allclose(gelu(x).array, [-0.1586553, 0, 0.8413447, 1.9544997], atol=1e-6), \
    "gelu(1) is 1 times the chance of being below 1, which is 84 %"
assert x.tolist() == [-1.0, 0.0, 1.0, 2.0], "an op never changes its input"
assert np.allclose(gelu(x, approximate="tanh").array, [-0.1588080, 0, 0.8411920, 1.9545977], atol=1e-6), \
    "the older formula: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))"
assert np.allclose(gelu(tensor([-30.0, 30.0]), approximate="tanh").array, [0, 30]), \
    "far out, gelu is 0 on the left and x on the right"
assert gelu(x).dtype.name == "float32" and gelu(x, approximate="tanh").dtype.name == "float32", \
    "a bend keeps float32: no float64 leaks in"

# %% [markdown]
# All four, drawn by a few lines of code:

# %%
def sketch(*bends, left=-4.0, right=4.0, bottom=-1.0, top=3.0, width=73, height=17):
    """The graphs of some functions in letters: the first letter of each name."""
    page = [[" "] * width for _ in range(height)]
    for column in range(width):
        x = left + (right - left) * column / (width - 1)
        page[round((height - 1) * top / (top - bottom))][column] = "."
        for bend in bends:
            row = round((height - 1) * (top - bend(tensor(x)).item()) / (top - bottom))
            if 0 <= row < height: page[row][column] = bend.name[0]
    print("\n".join(map("".join, page)))

sketch(relu, sigmoid, tanh, gelu)

# %% [markdown]
# ## What a bend costs
#
# None of these computes much. What they do is walk over memory, and the number of walks, **passes**, is what
# you pay for. `relu` reads one array and writes one: that is what a copy does, so it should take as long as a
# copy. Everything else is measured against that.

# %%
copy = X.array.nbytes * 2 / bandwidth_ceiling() / 1e9
def in_copies(name, run): print(f"{name:>12} {timed(run)}, {timed(run).best / copy:.1f} copies")

for bend in (relu, tanh, sigmoid, gelu): in_copies(bend.name, lambda bend=bend: bend(X))
in_copies("gelu by tanh", lambda: gelu(X, approximate="tanh"))
in_copies("softmax", lambda: softmax(X, 1))

# %% [markdown]
# ## Challenges
#
# 1. `relu(x) - relu(-x)` is a line through the origin, and `relu(x) + relu(-x)` is something else. Draw both
#    with `sketch`. How would you build `max(a, b)` of two tensors from `relu` alone?
# 2. Write `xor` of *three* switches (1 when an odd number of them is on) with three bends.
# 3. Softmax walks over its input five times: the maximum, the difference, the `exp`, the sum and the
#    quotient. Write one that treats 16 rows at a time, so that each walk after the first finds its numbers in
#    the processor's cache. From which size on is it faster?
# 4. There is a way to find the maximum and the sum in a *single* walk: whenever a new maximum turns up,
#    rescale the sum so far. Write it for one row with a Python loop. (Attention on GPUs stands on this
#    trick.)
# 5. How far can the largest score lie above the others before `softmax` in `float16` is exactly 0 for them?
#    And in `float32`?
#
# ## Design note: why `log_softmax` is an op of its own
#
# You could say that `log_softmax` is no operation at all: it is `log` after `softmax`, and a good library is
# made of few pieces that combine. But the two do not combine: between them lies a number that `float32`
# cannot hold, and no care on either side brings it back. Where composing loses information, the composition
# deserves a name.
#
# It works the other way as well. `gelu` is an op here, although it could be written with `erf`, `*` and `+`.
# Each of those would box its result, allocate it and, from lesson 09 on, keep it for the gradient: four
# arrays instead of one. The price of an op is one more row in every later table: a gradient, a kernel, a
# cost, an ONNX node. So the rule of this book is: an op when the pieces lose precision or waste passes, a
# composition of ops otherwise. The appendix has twenty more bends; see which is which.
