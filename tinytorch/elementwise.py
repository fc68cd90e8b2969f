# Generated from modules/02_tensor/appendix_elementwise.py by `tito export`. Edit that file, not this one.
"""Functions that take each number on its own: quotients, powers, waves, roundings, choices, bits."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .devices import together
from .dtypes import dtype_of, float64
from .errors import ShapeError
from .methods import METHODS, into, method
from .tensor import Op, Tensor, floating, log, mul, neg, pointwise, result_type, sub, true_divide

__all__ = [
    "whole", "divisible", "floor_divide", "trunc_divide", "remainder", "fmod", "QUOTIENTS", "div",
    "reciprocal", "FEW", "product", "pow_", "whole_power", "square", "rsqrt", "hypot", "float_power", "abs_",
    "sign", "sgn", "signbit", "copysign", "positive", "heaviside", "exp2", "expm1", "log2", "log10", "log1p",
    "logaddexp", "logaddexp2", "xlogy", "logit", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh",
    "cosh", "asinh", "acosh", "atanh", "sinc", "deg2rad", "rad2deg", "floor", "ceil", "trunc", "frac",
    "round_", "maximum", "minimum", "fmax", "fmin", "met", "between", "clamp", "clamp_min", "clamp_max",
    "lerp", "addcmul", "addcdiv", "rsub", "polynomial", "ERF_TANH", "erf_single", "piecewise", "ERF_MIDDLE",
    "ERF_TAIL", "erf_tail", "erf_double", "in_double", "erf", "erfc", "erfinv", "STIRLING", "DIGAMMA",
    "eight_steps", "log_gamma", "digamma_above", "turns", "lgamma", "digamma", "EULER_MACLAURIN",
    "sum_of_powers", "digamma_slope", "polygamma", "isnan", "isinf", "isfinite", "isposinf", "isneginf",
    "isreal", "nan_to_num", "isclose", "allclose", "equal", "logical_and", "logical_or", "logical_xor",
    "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "bitwise_left_shift",
    "bitwise_right_shift", "gcd", "lcm", "frexp_result", "mantissa_and_exponent", "frexp", "ldexp",
    "nextafter", "chosen", "select_where", "where", "masked_fill", "absolute", "divide", "multiply",
    "subtract", "negative", "clip", "fix", "arcsin", "arccos", "arctan", "arctan2", "arcsinh", "arccosh",
    "arctanh",
]


def whole(*inputs) -> bool:
    """Whether these are whole numbers, or bools."""
    return all([x.dtype.kind in "iub" if hasattr(x, "dtype") else isinstance(x, int) for x in inputs])


def divisible(input, other):
    """The inputs, unless whole numbers are to be divided by zero."""
    if whole(input, other) and not np.all(other):
        raise RuntimeError("ZeroDivisionError: whole numbers, divided by 0")
    return input, other


@pointwise
def floor_divide(input, other, /):
    """The quotient, rounded down.  (*), (*) -> (*)"""
    return np.floor_divide(*divisible(input, other))


@pointwise
def trunc_divide(input, other, /):
    """The quotient, rounded towards zero.  (*), (*) -> (*)"""
    if not whole(input, other): return np.trunc(input / other)
    down = np.floor_divide(*divisible(input, other))
    return down + ((down < 0) & (down * other != input)).astype(down.dtype)


@pointwise
def remainder(input, other, /):
    """What rounding the quotient down leaves over.  (*), (*) -> (*)"""
    return np.remainder(*divisible(input, other))


@pointwise
def fmod(input, other, /):
    """What rounding the quotient towards zero leaves over.  (*), (*) -> (*)"""
    return np.fmod(*divisible(input, other))


QUOTIENTS = {None: true_divide, "floor": floor_divide, "trunc": trunc_divide}


@method
def div(input, other, *, rounding_mode: str | None = None):
    """The quotient; `rounding_mode` is None, "floor" or "trunc".  (*), (*) -> (*)"""
    if rounding_mode not in QUOTIENTS:
        raise RuntimeError(f"div rounds by 'floor' or 'trunc', not {rounding_mode!r}")
    return QUOTIENTS[rounding_mode](input, other)


@floating
def reciprocal(input, /):
    """One divided by the number.  (*) -> (*)"""
    return 1 / input


FEW = frozenset(range(2, 9))            # exponents that are products


def product(x, n: int):
    """`x` times itself, `n` factors in all (two or more)."""
    out = None
    while n:
        if n & 1: out = x if out is None else out * x
        n >>= 1
        if n: x = x * x
    return out


@pointwise
def pow_(input, exponent, /):
    """The number to the power of the exponent.  (*), (*) -> (*)"""
    if not hasattr(exponent, "dtype"):
        if exponent in FEW: return product(input, int(exponent))
        if -exponent in FEW and not whole(input): return 1 / product(input, int(-exponent))
        return input**exponent
    return whole_power(input, exponent) if whole(input, exponent) else input**exponent


def whole_power(x, n):
    """A power of whole numbers: with a negative exponent it rounds to zero, but for 1 and -1."""
    rounded = np.where(x == 1, 1, np.where(x == -1, 1 - 2 * (n & 1), 0))
    return np.where(n < 0, rounded, x ** np.maximum(n, 0)).astype(n.dtype)


@pointwise
def square(input, /):
    """The number times itself.  (*) -> (*)"""
    return input * input if input.dtype.kind != "b" else input.astype(np.int64)


@floating
def rsqrt(input, /):
    """One divided by the square root.  (*) -> (*)"""
    return 1 / np.sqrt(input)


@floating
def hypot(input, other, /):
    """The longest side of a right-angled triangle.  (*), (*) -> (*)"""
    return np.hypot(input, other)


@method
def float_power(input, exponent):
    """The power, in float64.  (*), (*) -> (*) float64"""
    input, exponent = [x.to(float64) if isinstance(x, Tensor) else float(x) for x in (input, exponent)]
    return pow_(input, exponent)


@pointwise
def abs_(input, /):
    """The number without its sign.  (*) -> (*)"""
    return np.abs(input)


@pointwise
def sign(input, /):
    """1, 0 or -1; 0 also for nan.  (*) -> (*)"""
    if input.dtype.kind == "b": return input.copy()
    kind = dtype_of(input)
    return kind.cast(np.subtract(input > 0, input < 0, dtype=kind.computes))


@pointwise
def sgn(input, /):
    """1, 0 or -1: for numbers that are not complex the same as sign.  (*) -> (*)"""
    return sign.forward(input)


@Op
def signbit(input, /):
    """Where the number carries a minus sign, and be it a zero.  (*) -> (*) bool"""
    return input < 0 if whole(input) else np.signbit(input)


@floating
def copysign(input, other, /):
    """The first number with the sign of the second.  (*), (*) -> (*)"""
    return np.copysign(input, other)


@pointwise
def positive(input, /):
    """The number.  (*) -> (*)"""
    return +input


@pointwise
def heaviside(input, values, /):
    """0 below zero, 1 above, and `values` at zero.  (*), (*) -> (*)"""
    return np.where(input == 0, values, dtype_of(input).cast(input > 0))


@floating
def exp2(input, /):
    """2 to the power of every number.  (*) -> (*)"""
    return np.exp2(input)


@floating
def expm1(input, /):
    """exp(x) - 1, accurate near 0.  (*) -> (*)"""
    return np.expm1(input)


@floating
def log2(input, /):
    """The logarithm to base 2.  (*) -> (*)"""
    return np.log2(input)


@floating
def log10(input, /):
    """The logarithm to base 10.  (*) -> (*)"""
    return np.log10(input)


@floating
def log1p(input, /):
    """log(1 + x), accurate near 0.  (*) -> (*)"""
    return np.log1p(input)


@floating
def logaddexp(input, other, /):
    """log(exp(x) + exp(y)), without overflow.  (*), (*) -> (*)"""
    return np.logaddexp(input, other)


@floating
def logaddexp2(input, other, /):
    """log2(2**x + 2**y), without overflow.  (*), (*) -> (*)"""
    return np.logaddexp2(input, other)


@floating
def xlogy(input, other, /):
    """x log(y), and 0 where x is 0, whatever y says.  (*), (*) -> (*)"""
    if not hasattr(other, "dtype"): other = input.dtype.type(other)
    plain = input * np.log(other)
    return np.where((input == 0) & (other == other), 0, plain).astype(plain.dtype)


@floating
def logit(input, /, eps=None):
    """log(p / (1 - p)), the odds of a probability; `eps` keeps it away from 0 and 1.  (*) -> (*)"""
    p = input if eps is None else np.clip(input, eps, 1 - eps)
    return np.log(p / (1 - p))


@floating
def sin(input, /):
    """The sine of an angle.  (*) -> (*)"""
    return np.sin(input)


@floating
def cos(input, /):
    """The cosine of an angle.  (*) -> (*)"""
    return np.cos(input)


@floating
def tan(input, /):
    """The tangent of an angle.  (*) -> (*)"""
    return np.tan(input)


@floating
def asin(input, /):
    """The angle that has this sine; nan outside -1 to 1.  (*) -> (*)"""
    return np.arcsin(input)


@floating
def acos(input, /):
    """The angle that has this cosine; nan outside -1 to 1.  (*) -> (*)"""
    return np.arccos(input)


@floating
def atan(input, /):
    """The angle that has this tangent.  (*) -> (*)"""
    return np.arctan(input)


@floating
def atan2(input, other, /):
    """The angle of the point (other, input), in all four quadrants.  (*), (*) -> (*)"""
    return np.arctan2(input, other)


@floating
def sinh(input, /):
    """(exp(x) - exp(-x)) / 2.  (*) -> (*)"""
    return np.sinh(input)


@floating
def cosh(input, /):
    """(exp(x) + exp(-x)) / 2, the curve of a hanging chain.  (*) -> (*)"""
    return np.cosh(input)


@floating
def asinh(input, /):
    """Undoes sinh.  (*) -> (*)"""
    return np.arcsinh(input)


@floating
def acosh(input, /):
    """Undoes cosh, for numbers from 1 up.  (*) -> (*)"""
    return np.arccosh(input)


@floating
def atanh(input, /):
    """Undoes tanh, for numbers between -1 and 1.  (*) -> (*)"""
    return np.arctanh(input)


@floating
def sinc(input, /):
    """sin(pi x) / (pi x), and 1 at 0.  (*) -> (*)"""
    angle = math.pi * input
    return np.where(input == 0, 1, np.sin(angle) / angle).astype(input.dtype)


@floating
def deg2rad(input, /):
    """An angle in degrees, in radians.  (*) -> (*)"""
    return input * (math.pi / 180)


@floating
def rad2deg(input, /):
    """An angle in radians, in degrees.  (*) -> (*)"""
    return input * (180 / math.pi)


@pointwise
def floor(input, /):
    """The next whole number down.  (*) -> (*)"""
    return np.floor(input)


@pointwise
def ceil(input, /):
    """The next whole number up.  (*) -> (*)"""
    return np.ceil(input)


@pointwise
def trunc(input, /):
    """The next whole number towards zero.  (*) -> (*)"""
    return np.trunc(input)


@pointwise
def frac(input, /):
    """What trunc cuts off.  (*) -> (*)"""
    return input - np.trunc(input)


@pointwise
def round_(input, /, *, decimals=0):
    """The nearest whole number, or number with so many decimals; halves go to the even one.  (*) -> (*)"""
    return np.round(input, decimals)


@pointwise
def maximum(input, other, /):
    """The larger of two numbers; nan if one is.  (*), (*) -> (*)"""
    return np.maximum(input, other)


@pointwise
def minimum(input, other, /):
    """The smaller of two numbers; nan if one is.  (*), (*) -> (*)"""
    return np.minimum(input, other)


@pointwise
def fmax(input, other, /):
    """The larger of two numbers; nan only if both are.  (*), (*) -> (*)"""
    return np.fmax(input, other)


@pointwise
def fmin(input, other, /):
    """The smaller of two numbers; nan only if both are.  (*), (*) -> (*)"""
    return np.fmin(input, other)


def met(inputs):
    """The inputs in their common dtype, but for those that are None."""
    kind = result_type(*[x for x in inputs if x is not None])
    return [kind.cast(x) if hasattr(x, "dtype") else x for x in inputs]


def between(input, min, max, /):
    """The number, or the bound it has overstepped.  (*), (*), (*) -> (*)"""
    return np.clip(input, min, max)


between = Op(between, promote=met)


@method
def clamp(input, min=None, max=None, *, out=None):
    """The number, or the bound it has overstepped; a bound is a number, a tensor or None.  (*) -> (*)"""
    if min is None and max is None: raise RuntimeError("clamp wants a bound: min=, max= or both")
    return into(out, between(input, min, max))


@method
def clamp_min(input, min):
    """The number, or the lower bound if it is less.  (*) -> (*)"""
    return between(input, min, None)


@method
def clamp_max(input, max):
    """The number, or the upper bound if it is more.  (*) -> (*)"""
    return between(input, None, max)


@pointwise
def lerp(input, end, weight, /):
    """A point on the way from `input` to `end`; weight 0 is the start, 1 the end.  (*), (*), (*) -> (*)"""
    way = end - input
    if not hasattr(weight, "dtype"): return input + weight * way if weight < 0.5 else end - (1 - weight) * way
    return np.where(weight < 0.5, input + weight * way, end - (1 - weight) * way)


@pointwise
def addcmul(input, tensor1, tensor2, /, *, value=1):
    """input + value * tensor1 * tensor2.  (*), (*), (*) -> (*)"""
    return input + (tensor1 * tensor2 if value == 1 else value * tensor1 * tensor2)


@pointwise
def addcdiv(input, tensor1, tensor2, /, *, value=1):
    """input + value * tensor1 / tensor2.  (*), (*), (*) -> (*)"""
    if whole(tensor1, tensor2):
        raise RuntimeError("addcdiv divides, and these are whole numbers: convert them to floats")
    return input + (tensor1 / tensor2 if value == 1 else value * (tensor1 / tensor2))


def rsub(input, other, *, alpha=1):
    """The difference the other way round: other - alpha * input.  (*), (*) -> (*)"""
    return sub(other, input, alpha=alpha)


def polynomial(coefficients, x):
    """c0 + c1 x + c2 x² + …, from the inside out (Horner's rule)."""
    out = x * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        out += c
        out *= x
    out += coefficients[0]
    return out


ERF_TANH = (
    1.12837927, 0.102769056, -1.91831492e-4, -6.19784104e-4, 8.76371325e-5, -5.66844577e-6, 1.41850617e-7)


def erf_single(x):
    """erf to seven digits, for float32."""
    x = np.clip(x, -4.2, 4.2)           # farther out it is 1, and tanh says so exactly
    out = polynomial(ERF_TANH, x * x)
    out *= x
    return np.tanh(out)


def piecewise(function, x, size: int = 1 << 15):
    """`function`, number by number, on pieces of `x` that fit into the cache."""
    if x.size <= size or not (isinstance(x, np.ndarray) and x.flags.c_contiguous): return function(x)
    out = np.empty_like(x)
    source, target = x.reshape(-1), out.reshape(-1)
    for start in range(0, x.size, size): target[start : start + size] = function(source[start : start + size])
    return out


ERF_MIDDLE = (
    1.1283791670955126, -0.37612638903183543, 0.1128379167094513, -0.026866170643256995,
    0.0052239776072699456, -0.00085483259825432252, 0.00012055295112667001, -1.4924740785377576e-05,
    1.6447471190594618e-06, -1.6208829856810202e-07, 1.3721520406351094e-08, -7.7985438505499473e-10)
ERF_TAIL = (
    1.2329951186255526, -0.1396211168405625, 0.015379652102619604, 0.068097054254690398, -0.10103906603630056,
    0.093732834998438264, -0.066330365812186973, 0.037167515535929112, -0.016197734059799265,
    0.0050319699926699331, -0.00075777326137309558, -0.00019925677576336479, 0.00015062149001240471,
    -2.4398944545280832e-05, -1.1221287012353486e-05, 5.7092060530721826e-06, 2.919733377963012e-07,
    -8.2491984275083543e-07, 7.7469927270179414e-08, 1.1009737295274889e-07, -2.0560649275699201e-08,
    -1.4709550868669278e-08, 3.1695881915648173e-09, 1.7903326159489845e-09, -2.6595996902426892e-10,
    -1.3746529890011636e-10)


def erf_tail(x):
    """1 - erf(x) for x from 0 up, to fifteen digits even where it is tiny."""
    return np.exp(-x * x) * polynomial(ERF_TAIL, 1 - 8 / (x + 4)) / (1 + 2 * x)


def erf_double(x):
    """erf to fifteen digits, for float64."""
    size = np.abs(x)
    middle = x * polynomial(ERF_MIDDLE, x * x)
    return np.where(size < 1, middle, np.copysign(1 - erf_tail(size), x))


def in_double(function, x):
    """`function` of a float64, in the dtype of `x`."""
    return piecewise(lambda x: dtype_of(x).cast(function(x.astype(np.float64, copy=False))), x)


@floating
def erf(input, /):
    """How much of a bell curve lies within x of its middle; -1 for minus infinity.  (*) -> (*)"""
    if input.dtype == np.float64: return erf_double(input)
    single = input.astype(np.float32, copy=False)
    return dtype_of(input).cast(piecewise(erf_single, single))


@floating
def erfc(input, /):
    """1 - erf(x), accurate where that is tiny.  (*) -> (*)"""
    def rest(x):
        tail = erf_tail(np.abs(x))
        return np.where(x < 0, 2 - tail, tail)
    return in_double(rest, input)


@floating
def erfinv(input, /):
    """The x whose erf this is, for numbers between -1 and 1.  (*) -> (*)"""
    def inverse(y):
        size = np.abs(y)
        w = np.log1p(-size * size)
        k = 2 / (math.pi * 0.147) + w / 2
        x = np.sqrt(np.sqrt(k * k - w / 0.147) - k)
        for _ in range(2):
            error = np.where(size < 0.5, erf_double(x) - size, 1 - size - erf_tail(x))
            step = error * np.exp(x * x) * (math.sqrt(math.pi) / 2)
            x = x - step / (1 + x * step)
        return np.copysign(np.where(size == 1, np.inf, x), y)
    return in_double(inverse, input)


STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
DIGAMMA = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760, -1 / 12)


def eight_steps(x):
    """x, x + 1 … x + 7."""
    return [x + k for k in range(8)]


def log_gamma(x):
    """log Gamma(x) for x above 0, in float64."""
    small = x < 8
    z = np.where(small, x + 8, x)
    series = (z - 0.5) * (np.log(z) - 1) + polynomial(STIRLING, 1 / (z * z)) / z
    carried = np.log(math.prod(eight_steps(np.where(small, x, 1))))
    return series + (math.log(2 * math.pi) - 1) / 2 - np.where(small, carried, 0)


def digamma_above(x):
    """The slope of log Gamma for x above 0, in float64."""
    small = x < 8
    z = np.where(small, x + 8, x)
    square = 1 / (z * z)
    series = np.log(z) - 0.5 / z + polynomial(DIGAMMA, square) * square
    return series - np.where(small, sum([1 / step for step in eight_steps(x)]), 0)


def turns(x):
    """pi times x, less whole turns, so that a large x keeps its digits."""
    return math.pi * (x - 2 * np.round(x / 2))


@floating
def lgamma(input, /):
    """The logarithm of |Gamma(x)|; infinite at 0, -1, -2 ….  (*) -> (*)"""
    def value(x):
        mirrored = np.log(math.pi / np.abs(np.sin(turns(x)))) - log_gamma(np.where(x < 0.5, 1 - x, 1))
        mirrored = np.where(x == np.round(x), np.inf, mirrored)
        return np.where(x < 0.5, mirrored, log_gamma(np.where(x < 0.5, 1, x)))
    return in_double(value, input)


@floating
def digamma(input, /):
    """The slope of lgamma; nan at -1, -2 ….  (*) -> (*)"""
    def value(x):
        mirrored = digamma_above(np.where(x < 0, 1 - x, 1)) - math.pi / np.tan(turns(x))
        mirrored = np.where((x == np.round(x)) & (x < 0), np.nan, mirrored)
        above = digamma_above(np.where(x <= 0, 1, x))
        return np.where(x == 0, np.copysign(np.inf, -x), np.where(x < 0, mirrored, above))
    return in_double(value, input)


EULER_MACLAURIN = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000)


def sum_of_powers(x, s: int):
    """x**-s + (x + 1)**-s + …, without end, for x above 0 and s above 1, in float64."""
    z, rising = x + 8, s
    rest = z ** (1 - s) / (s - 1) + 0.5 * z**-s
    for j, b in enumerate(EULER_MACLAURIN):
        rest = rest + b * rising * z ** (-s - 2 * j - 1)
        rising *= (s + 2 * j + 1) * (s + 2 * j + 2)
    return sum([step**-s for step in eight_steps(x)]) + rest


@floating
def digamma_slope(input, /, n):
    """The n-th slope of digamma, for numbers above 0, the first one for all.  (*) -> (*)"""
    def above(x): return (-1) ** (n + 1) * math.factorial(n) * sum_of_powers(x, n + 1.0)

    def value(x):
        if n > 1: return above(np.where(x < 0, np.nan, x))
        mirrored = (math.pi / np.sin(turns(x))) ** 2 - above(np.where(x < 0, 1 - x, 1))
        return np.where(x < 0, mirrored, above(np.abs(x)))
    return in_double(value, input)


def polygamma(n: int, input):
    """The n-th slope of digamma, for numbers above 0; with n = 0 digamma itself.  (*) -> (*)"""
    if n < 0: raise RuntimeError(f"polygamma counts slopes from 0, not {n}")
    return digamma(input) if n == 0 else digamma_slope(input, n)


METHODS["polygamma"] = lambda self, n: polygamma(n, self)


@Op
def isnan(input, /):
    """Where there is no number.  (*) -> (*) bool"""
    return input != input


@Op
def isinf(input, /):
    """Where a number is infinite, on either side.  (*) -> (*) bool"""
    return np.isinf(input)


@Op
def isfinite(input, /):
    """Where a number is neither infinite nor nan.  (*) -> (*) bool"""
    return np.isfinite(input)


@Op
def isposinf(input, /):
    """Where a number is infinity.  (*) -> (*) bool"""
    return input == math.inf


@Op
def isneginf(input, /):
    """Where a number is minus infinity.  (*) -> (*) bool"""
    return input == -math.inf


@Op
def isreal(input, /):
    """Where a number has no imaginary part: everywhere.  (*) -> (*) bool"""
    return np.ones_like(input, dtype=bool)


@pointwise
def nan_to_num(input, /, nan=0.0, posinf=None, neginf=None):
    """Numbers in the place of nan and infinities; these become the largest there are.  (*) -> (*)"""
    return np.nan_to_num(input, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)


@Op
def isclose(input, other, /, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Where two numbers differ by at most atol + rtol * |other|.  (*), (*) -> (*) bool"""
    if input.dtype != other.dtype:
        raise RuntimeError(f"isclose wants one dtype, not {dtype_of(input)} and {dtype_of(other)}")
    return np.isclose(input, other, rtol, atol, equal_nan)


@method
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> bool:
    """Whether all numbers are close."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


@method
def equal(input, other) -> bool:
    """Whether two tensors have the same shape and the same numbers."""
    return bool(np.array_equal(input.array, other.array))


@Op
def logical_and(input, other, /):
    """Where both are true.  (*), (*) -> (*) bool"""
    return np.logical_and(input, other)


@Op
def logical_or(input, other, /):
    """Where one is true, or both are.  (*), (*) -> (*) bool"""
    return np.logical_or(input, other)


@Op
def logical_xor(input, other, /):
    """Where exactly one is true.  (*), (*) -> (*) bool"""
    return np.logical_xor(input, other)


@Op
def logical_not(input, /):
    """Where it is false.  (*) -> (*) bool"""
    return np.logical_not(input)


@pointwise
def bitwise_and(input, other, /):
    """The bits set in both.  (*), (*) -> (*)"""
    return np.bitwise_and(input, other)


@pointwise
def bitwise_or(input, other, /):
    """The bits set in one or both.  (*), (*) -> (*)"""
    return np.bitwise_or(input, other)


@pointwise
def bitwise_xor(input, other, /):
    """The bits set in exactly one.  (*), (*) -> (*)"""
    return np.bitwise_xor(input, other)


@pointwise
def bitwise_not(input, /):
    """All bits turned over.  (*) -> (*)"""
    return np.invert(input)


@pointwise
def bitwise_left_shift(input, other, /):
    """The bits moved up: each place doubles.  (*), (*) -> (*)"""
    return np.left_shift(input, other)


@pointwise
def bitwise_right_shift(input, other, /):
    """The bits moved down: each place halves, rounding down.  (*), (*) -> (*)"""
    return np.right_shift(input, other)


@pointwise
def gcd(input, other, /):
    """The greatest whole number that divides both.  (*), (*) -> (*)"""
    return np.gcd(input, other)


@pointwise
def lcm(input, other, /):
    """The least whole number that both divide.  (*), (*) -> (*)"""
    return np.lcm(input, other)


class frexp_result(NamedTuple):
    """A float as mantissa * 2**exponent, the mantissa between a half and 1."""

    mantissa: Tensor
    exponent: Tensor


@Op
def mantissa_and_exponent(input, /):
    """A float taken apart.  (*) -> (*), (*)"""
    return tuple(np.frexp(input))


@method
def frexp(input):
    """A float as mantissa * 2**exponent.  (*) -> (*), (*) int32"""
    return frexp_result(*mantissa_and_exponent(input))


@method
def ldexp(input, other):
    """The number times 2**other: undoes frexp.  (*), (*) -> (*)"""
    power = pow_(2.0, other)
    return mul(input, power.to(input.dtype) if input.is_floating_point() else power)


@pointwise
def nextafter(input, other, /):
    """The next float there is in the direction of `other`.  (*), (*) -> (*)"""
    return np.nextafter(input, other)


def chosen(inputs):
    """A bool condition, and two inputs in their common dtype."""
    condition, *rest = together(inputs)
    if condition.dtype.kind != "b" and condition.dtype != np.uint8:
        raise RuntimeError(f"where wants a condition of bools, not of {dtype_of(condition)}")
    kind = result_type(*rest)
    rest = [kind.cast(x) if hasattr(x, "dtype") else kind.computes.type(x) for x in rest]
    return [condition.astype(bool, copy=False), *rest]


def select_where(condition, input, other, /):
    """The number of `input` where the condition holds, else that of `other`.  (*), (*), (*) -> (*)"""
    return np.where(condition, input, other)


select_where = Op(select_where, promote=chosen)


def where(condition, input=None, other=None):
    """The number of `input` where the condition holds, else that of `other`; without them, where it holds."""
    if input is None: return METHODS["nonzero"](condition, as_tuple=True)
    return select_where(condition, input, other)


METHODS["where"] = lambda self, condition, other: select_where(condition, self, other)


@Op
def masked_fill(input, mask, value, /):
    """`value`, a single number, where the mask is true.  (*), (*), () -> (*)"""
    if mask.dtype.kind != "b":
        raise RuntimeError(f"masked_fill wants a mask of bools, not of {dtype_of(mask)}")
    if getattr(value, "ndim", 0):
        raise ShapeError(f"masked_fill wants a single number, not a shape {value.shape}")
    kind = dtype_of(input)
    return np.where(mask, kind.cast(np.asarray(value, kind.computes, like=input)), input)


absolute, divide, multiply, subtract, negative, clip, fix = abs_, div, mul, sub, neg, clamp, trunc
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh
METHODS.update(
    absolute=abs_, divide=div, multiply=mul, subtract=sub, negative=neg, clip=clamp, fix=trunc, arcsin=asin,
    arccos=acos, arctan=atan, arctan2=atan2, arcsinh=asinh, arccosh=acosh, arctanh=atanh)
