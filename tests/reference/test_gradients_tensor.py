"""Gradients of the ops of lessons 02 and 03, against PyTorch and against central differences."""

import math
from importlib import import_module

import numpy as np
import pytest

inf, nan = math.inf, math.nan


def names(t):
    return {
        "x": t.tensor([[0.3, -1.2, 2.5], [-0.7, 1.9, 0.45]]), "y": t.tensor([[1.7, 0.6, -2.1]]),
        "z": t.tensor([[0.8, 1.1, 0.35], [2.2, 0.15, 1.6]]), "r": t.tensor([0.9, -0.4, 1.3]),
        "u": t.tensor([[0.12, 0.5, 0.93], [0.71, 0.04, 0.33]]), "s": t.tensor(1.7), "q": t.tensor([[0.6], [1.4]]),
        "k": t.tensor([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 6.0]),
        "e": t.tensor([1.0, 0.0, 1.0, 2.0, 2.0, -2.0, -0.5, 0.5, 3.0, 3.0, 1.0]),
        "o": t.tensor([[2.0, 1.0, 2.0, -1.0], [0.5, 0.5, -3.0, 0.5], [1.0, 4.0, 0.0, 4.0]]),
        "zeros": t.tensor([[2.0, 0.0, 3.0, 1.5], [0.0, 2.0, 0.0, 4.0], [1.0, 2.0, 3.0, 0.5]]),
        "holes": t.tensor([[1.0, nan, 2.0], [nan, 0.5, -1.0]]), "w": t.tensor([inf, -inf, nan, 0.5]),
        "nothing": t.zeros(0, 3), "empty": t.tensor([]), "i": t.tensor([2, 0, 1]), "m": t.tensor([[True, False, True], [False, False, True]]),
        "c": t.tensor([[0.3, -1.2, 2.5, 0.8, -0.1, 1.0, 0.2, -2.0, 1.1, 0.7, 0.4, -0.6]]).reshape(2, 2, 3),
    }


ONE = """exp log sqrt square abs neg reciprocal rsqrt exp2 expm1 log2 log10 log1p sin cos tan atan sinh cosh asinh tanh
sigmoid sinc deg2rad rad2deg floor ceil trunc frac round sign sgn positive erf erfc lgamma digamma nan_to_num
relu""".split()
BENDS = """relu sigmoid tanh leaky_relu elu celu selu softplus logsigmoid silu mish softsign tanhshrink hardtanh relu6
hardsigmoid hardswish hardshrink softshrink gelu""".split()
UNITS = "asin acos atanh erfinv logit".split()

SMOOTH = "\n".join(
    [f"t.{name}(z)" for name in ONE] + [f"t.{name}(s)" for name in ONE]
    + [f"t.{name}(u)" for name in UNITS] + [f"t.{name}(x.T)" for name in ("sin", "abs", "exp", "tanh", "sign")]
    + [f"t.nn.functional.{name}(x)" for name in BENDS] + [f"t.nn.functional.{name}(c.mT)" for name in BENDS]
    + [f"t.nn.functional.{name}(s)" for name in BENDS] + [f"t.nn.functional.{name}(nothing)" for name in BENDS]
) + """
t.acosh(z + 1)
t.logit(u, 0.2)
t.lgamma(x)
t.digamma(x)
t.polygamma(1, z)
t.polygamma(2, z)
t.floor_divide(2.5, 1)
x + y
x + q
t.add(x, y, alpha=3)
t.add(x, s, alpha=0.5)
t.sub(x, y, alpha=3)
x * y
x * s
2 * x - 1
1 - x
t.rsub(x, y, alpha=2)
x / z
x / s
3 / z
x / 3
x % 0.7
x % z
7 % z
t.fmod(x, z)
t.fmod(x, 0.7)
t.remainder(r, q)
t.div(x, z, rounding_mode="floor")
t.div(x, z, rounding_mode="trunc")
z ** y
z ** x
z ** s
s ** x
x ** 2
x ** 3
x ** 4
x ** 1
x ** 0
x ** -1
x ** -2
z ** 0.5
z ** 1.5
z ** -0.3
2 ** x
0.5 ** x
x ** i
t.pow(z, q)
t.float_power(z, 3)
t.hypot(x, y)
t.hypot(q, r)
t.atan2(x, y)
t.atan2(r, q)
t.copysign(x, y)
t.copysign(x, -2.0)
t.logaddexp(x, y)
t.logaddexp(q, r)
t.logaddexp2(x, y)
t.xlogy(x, z)
t.xlogy(x, 2.5)
t.xlogy(2.5, z)
t.maximum(x, y)
t.maximum(q, r)
t.minimum(x, y)
t.fmax(x, y)
t.fmin(x, y)
t.clamp(x, -0.5, 1.5)
t.clamp(x, min=0.2)
t.clamp(x, max=0.2)
t.clamp(x, min=y)
t.clamp(x, max=y)
t.clamp(x, y, y + 1)
t.clamp(x, y + 1, y)
t.clamp(x, q, s)
t.lerp(x, y, 0.3)
t.lerp(x, y, 0.8)
t.lerp(x, y, u)
t.lerp(x, y, s)
t.addcmul(x, y, z, value=0.3)
t.addcmul(x, q, r)
t.addcdiv(x, y, z, value=0.3)
t.addcdiv(r, q, z)
t.where(m, x, y)
t.where(m, x, s)
t.where(m, 0.0, x)
t.where(m, x, 2.0)
t.masked_fill(x, m, 0.5)
t.masked_fill(r, m, 0.5)
t.masked_fill(x, m, s)
t.frexp(x)
t.ldexp(x, i)
t.nn.functional.leaky_relu(x, 0.3)
t.nn.functional.elu(x, 2.0)
t.nn.functional.celu(x, 2.0)
t.nn.functional.softplus(x, 2.0, 3.0)
t.nn.functional.hardtanh(x, -0.5, 2.0)
t.nn.functional.threshold(x, 0.1, 20.0)
t.nn.functional.hardshrink(x, 1.0)
t.nn.functional.softshrink(x, 1.0)
t.nn.functional.gelu(x, approximate="tanh")
t.nn.functional.prelu(x, s.reshape(1))
t.nn.functional.prelu(x, r)
t.nn.functional.prelu(c, r[:2])
t.nn.functional.prelu(r, s.reshape(1))
t.nn.functional.prelu(s, q[0])
t.nn.functional.glu(x.T)
t.nn.functional.glu(c, 1)
t.nn.functional.glu(c, 0)
t.nn.functional.softmax(x, 1)
t.nn.functional.softmax(c, 0)
t.nn.functional.softmax(s, 0)
t.nn.functional.log_softmax(x, -1)
t.nn.functional.log_softmax(c.mT, 1)
t.nn.functional.softmin(x, 1)
"""
KINKS = "\n".join([f"t.{name}(k)" for name in ONE if name not in ("lgamma", "digamma")]
                  + [f"t.nn.functional.{name}(k)" for name in BENDS]) + """
t.asin(k)
t.acos(k)
t.erfinv(k)
t.atanh(k)
t.logit(k)
t.logit(k, 0.5)
t.maximum(k, e)
t.minimum(k, e)
t.fmax(k, e)
t.fmin(k, e)
t.maximum(w, w.flip(0))
t.minimum(w, w.flip(0))
t.fmax(w, w.flip(0))
t.fmin(w, w.flip(0))
t.clamp(k, -0.5, 2.0)
t.clamp(k, e, e + 1)
t.clamp(k, e, e)
t.clamp(k, e + 1, e)
t.clamp(w, -1, 1)
t.copysign(k, e)
t.atan2(k, e * 0)
t.atan2(k * 0, e * 0)
k ** 2
k ** 3
k ** 0.5
k ** 0
k ** -1
k ** e
k ** i[0]
0 ** k
-2 ** k
t.hypot(k, e)
t.xlogy(k, e)
t.nan_to_num(w)
t.abs(w)
t.sign(w)
t.nn.functional.prelu(k, s.reshape(1))
t.nn.functional.threshold(k, 1.0, 5.0)
t.nn.functional.gelu(k, approximate="tanh")
t.nn.functional.softplus(k * 10)
t.nn.functional.elu(k * 100)
t.lerp(k, e, 0.5)
"""


@pytest.mark.parametrize("line", [line for line in SMOOTH.splitlines() if line])
def test_what_is_smooth_has_pytorchs_gradients_which_central_differences_confirm(line, same_gradients):
    same_gradients(line, names)


@pytest.mark.parametrize("line", [line for line in KINKS.splitlines() if line])
def test_where_there_is_no_slope_the_gradient_is_pytorchs(line, same_gradients):
    same_gradients(line, names, smooth=False)
