# Generated from modules/09_autograd/appendix_rules_numbers.py by `tito export`. Edit that file, not this one.
"""Gradients of the functions that take each number on its own."""

from __future__ import annotations

import math

import numpy as np

from .activations import sigmoid
from .comparisons import eq, ge, gt, le, lt, ne
from .devices import at_home, beside
from .elementwise import (
    abs_, acos, acosh, addcdiv, addcmul, asin, asinh, atan, atan2, atanh, between, bitwise_and,
    bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift, bitwise_xor, ceil, copysign, cos, cosh,
    deg2rad, digamma, digamma_slope, erf, erfc, erfinv, exp2, expm1, floor, floor_divide, fmax, fmin, fmod,
    frac, gcd, heaviside, hypot, isclose, isfinite, isinf, isnan, isneginf, isposinf, isreal, lcm, lerp,
    lgamma, log10, log1p, log2, logaddexp, logaddexp2, logical_and, logical_not, logical_or, logical_xor,
    logit, mantissa_and_exponent, masked_fill, maximum, minimum, nan_to_num, nextafter, positive, pow_,
    rad2deg, reciprocal, remainder, round_, rsqrt, select_where, sgn, sign, signbit, sin, sinc, sinh, square,
    tan, trunc, trunc_divide, where, xlogy,
)
from .overwriting import zeros_beside
from .receipts import gradient, no_gradient, shortcut

__all__ = ["shared", "power_slope", "log_of", "masked"]


@gradient(floor, ceil, trunc, round_, sign, sgn)
def _(g, _out, _x): return zeros_beside(g, g.shape),


@gradient(floor_divide, trunc_divide)
def _(g, _out, _x, _y):
    flat = zeros_beside(g, g.shape)
    return flat, flat


@gradient(heaviside)
def _(g, _out, x, _values): return zeros_beside(g, g.shape), lambda: where(x == 0, g, 0.0)


@gradient(frac, positive)
def _(g, _out, _x): return g,


@gradient(remainder)
def _(g, _out, x, y): return g, lambda: -g * floor_divide(x, y)


@gradient(fmod)
def _(g, _out, x, y): return g, lambda: -g * trunc_divide(x, y)


@gradient(abs_)
def _(g, _out, x): return g * sign(x),


@gradient(copysign)
def _(g, out, x, _y): return lambda: g * (sign(x) * sign(out)), lambda: zeros_beside(g, g.shape)


def shared(g, mine, tie):
    """The part of g for the one whose number it `mine` is; of a tie, half."""
    return where(tie, g / 2, where(mine, g, 0.0))


@gradient(maximum)
def _(g, _out, x, y): return lambda: shared(g, ~(x < y), x == y), lambda: shared(g, ~(x > y), x == y)


@gradient(minimum)
def _(g, _out, x, y): return lambda: shared(g, ~(x > y), x == y), lambda: shared(g, ~(x < y), x == y)


@gradient(fmax)
def _(g, _out, x, y):
    first = (x >= y) | (y != y)
    return lambda: where(first, g, 0.0), lambda: where(first, 0.0, g)


@gradient(fmin)
def _(g, _out, x, y):
    first = (x <= y) | (y != y)
    return lambda: where(first, g, 0.0), lambda: where(first, 0.0, g)


@gradient(between)
def _(g, _out, x, low, high):
    above, below = True if low is None else x >= low, True if high is None else x <= high
    one_bound = low is None or high is None
    return (lambda: where(above & below, g, 0.0),
            lambda: where((x < low) & (True if one_bound else low < high), g, 0.0),
            lambda: where((x > high) | (False if one_bound else high < low), g, 0.0))


@gradient(pow_)
def _(g, _out, x, n):
    flat = (x == 0) & (n >= 0)
    return lambda: g * power_slope(x, n), lambda: where(flat, 0.0, g * (pow_(x, n) * log_of(x)))


def power_slope(x, n):
    """n xⁿ⁻¹, and 0 where n is 0."""
    if hasattr(n, "dtype"): return where(n == 0, 0.0, n * pow_(x, n - 1))
    return 0 * x if n == 0 else x * 0 + 1 if n == 1 else n * (x if n == 2 else pow_(x, n - 1))


def log_of(x):
    """The natural logarithm of a tensor, an array or a number; a number below 0 has none."""
    if hasattr(x, "dtype"): return np.log(x)
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


@gradient(square)
def _(g, _out, x): return g * (2 * x),


@gradient(reciprocal)
def _(g, out, _x): return -g * (out * out),


@gradient(rsqrt)
def _(g, out, _x): return g * (-0.5 * (out * out * out)),


@gradient(hypot)
def _(g, out, x, y): return lambda: g * (x / out), lambda: g * (y / out)


@gradient(exp2)
def _(g, out, _x): return g * (out * math.log(2)),


@gradient(expm1)
def _(g, out, _x): return g * (out + 1),


@gradient(log2)
def _(g, _out, x): return g / (x * math.log(2)),


@gradient(log10)
def _(g, _out, x): return g / (x * math.log(10)),


@gradient(log1p)
def _(g, _out, x): return g / (x + 1),


@gradient(logaddexp)
def _(g, _out, x, y): return lambda: g * sigmoid(x - y), lambda: g * sigmoid(y - x)


@gradient(logaddexp2)
def _(g, _out, x, y):
    return lambda: g * sigmoid((x - y) * math.log(2)), lambda: g * sigmoid((y - x) * math.log(2))


@gradient(xlogy)
def _(g, _out, x, y): return lambda: where((x == 0) & (y <= 0), 0.0, xlogy(g, y)), lambda: g * x / y


@gradient(logit)
def _(g, _out, x, eps):
    low, outside = (0, math.nan) if eps is None else (eps, 0.0)
    return where((x < low) | (x > 1 - low), outside, g / (x * (1 - x))),


@gradient(sin)
def _(g, _out, x): return g * np.cos(x),


@gradient(cos)
def _(g, _out, x): return g * -np.sin(x),


@gradient(tan)
def _(g, out, _x): return g * (1 + out * out),


@gradient(asin)
def _(g, _out, x): return g / np.sqrt(1 - x * x),


@gradient(acos)
def _(g, _out, x): return -g / np.sqrt(1 - x * x),


@gradient(atan)
def _(g, _out, x): return g / (1 + x * x),


@gradient(sinh)
def _(g, _out, x): return g * np.cosh(x),


@gradient(cosh)
def _(g, _out, x): return g * np.sinh(x),


@gradient(asinh)
def _(g, _out, x): return g / np.sqrt(x * x + 1),


@gradient(acosh)
def _(g, _out, x): return g / np.sqrt(x * x - 1),


@gradient(atanh)
def _(g, _out, x): return g / (1 - x * x),


@gradient(deg2rad)
def _(g, _out, _x): return g * (math.pi / 180),


@gradient(rad2deg)
def _(g, _out, _x): return g * (180 / math.pi),


@gradient(atan2)
def _(g, _out, y, x):
    distance = x * x + y * y
    distance = distance + (distance == 0)
    return lambda: g * (x / distance), lambda: g * (-y / distance)


@gradient(sinc)
def _(g, out, x): return g * ((np.cos(math.pi * x) - out) / (x + (x == 0))),


@gradient(erf)
def _(g, _out, x): return g * (2 / math.sqrt(math.pi) * np.exp(-x * x)),


@gradient(erfc)
def _(g, _out, x): return g * (-2 / math.sqrt(math.pi) * np.exp(-x * x)),


@gradient(erfinv)
def _(g, out, _x): return g * (math.sqrt(math.pi) / 2 * np.exp(out * out)),


@gradient(lgamma)
def _(g, _out, x): return g * digamma(x),


@gradient(digamma)
def _(g, _out, x): return g * digamma_slope(x, 1),


@gradient(digamma_slope)
def _(g, _out, x, n): return g * digamma_slope(x, n + 1),


@gradient(lerp)
def _(g, _out, start, end, weight):
    return lambda: g * (1 - weight), lambda: g * weight, lambda: g * (end - start)


@gradient(addcmul)
def _(g, _out, _x, a, b, value): return g, lambda: g * (value * b), lambda: g * (value * a)


@gradient(addcdiv)
def _(g, _out, _x, a, b, value): return g, lambda: g * (value / b), lambda: g * (-value * a / (b * b))


@gradient(select_where)
def _(g, _out, condition, _x, _y):
    return None, lambda: where(condition, g, 0.0), lambda: where(condition, 0.0, g)


@gradient(masked_fill)
def _(g, _out, _x, mask, _value): return lambda: where(mask, 0.0, g), None, lambda: where(mask, g, 0.0)


@gradient(nan_to_num)
def _(g, _out, x): return where(np.isfinite(x), g, 0.0),


def masked(g, mask):
    """g where the mask is true, else 0; `mask` is made for this and may be written over."""
    bits = {"float32": np.int32, "float64": np.int64}.get(g.dtype.name)
    if not bits or g.shape != mask.shape or not g.ndim: return np.where(mask, g, np.zeros_like(g, shape=()))
    ones = np.negative(mask.view(np.int8)).astype(bits)
    ones &= g.view(bits)
    return ones.view(g.dtype)


@shortcut(select_where)
def _(g, _out, condition, _x, _y):
    condition = condition.astype(bool, copy=False)
    return None, lambda: masked(g, condition), lambda: masked(g, ~condition)


@shortcut(masked_fill)
def _(g, _out, _x, mask, _value): return lambda: masked(g, ~mask), None, lambda: masked(g, mask)


@shortcut(maximum, minimum)
def _(g, out, x, y):
    """In a tie, both numbers are what came out; where one is nan, neither is, and both get all."""
    first, second = beside(x == out, out), beside(y == out, out)
    if at_home(out) and not (first == second).any():
        return lambda: masked(g, first), lambda: masked(g, second)
    lost = beside(out != out, out)
    return lambda: shared(g, first | lost, first & second), lambda: shared(g, second | lost, first & second)


@gradient(mantissa_and_exponent)
def _(g, out, _x): return g[0] * 2.0 ** -out[1],


@gradient(nextafter)
def _(g, _out, _x, _y): return g, lambda: zeros_beside(g, g.shape)


no_gradient(eq, ne, lt, le, gt, ge, isclose)
no_gradient(isnan, isinf, isfinite, isposinf, isneginf, isreal, signbit)
no_gradient(logical_and, logical_or, logical_xor, logical_not)
no_gradient(bitwise_and, bitwise_or, bitwise_xor, bitwise_not, bitwise_left_shift, bitwise_right_shift)
no_gradient(gcd, lcm)
