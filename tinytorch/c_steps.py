# Generated from modules/13_kernels/appendix_c_steps.py by `tito export`. Edit that file, not this one.
"""Optimizers that visit every weight once."""

from __future__ import annotations

import math

from .adaptive import Adadelta, Adagrad, Adamax, NAdam, RAdam, RMSprop, two_sizes, warmed
from .bookkeeping import counted, number, remembered
from .classics import ASGD, Rprop, rates, slower
from .column import DECLINED, kernel
from .compiling import NOTHING, Library, plain
from .creation import full_like
from .optimizers import SGD, Adam, Optimizer

__all__ = ["STEP", "suits", "wishes"]


STEP = Library("steps", r"""
typedef struct { float sign, coupled, shrink; } wish;
static inline float follow(wish how, float p, float g) {
    float d = how.sign * g;                 // without decay an endless weight leaves it as it is
    return how.coupled == 0 ? d : FMA(how.coupled, p, d);
}

KERNEL void sgd(array *ps, array *gs, array *vs, float sign, float coupled, float shrink, float lr,
                float momentum, float undamped, int first, int nesterov) {
    float *restrict p = FLOATS(ps), *restrict g = FLOATS(gs), *restrict v = FLOATS(vs);
    wish how = {sign, coupled, shrink};
    int64_t n = count(ps);
    if (!count(vs)) {
        SIMD() for (int64_t i = 0; i < n; i++) p[i] = FMA(-lr, follow(how, p[i], g[i]), how.shrink * p[i]);
        return;
    }
    float share = first ? 1.0f : undamped, ahead = nesterov ? momentum : 1.0f, now = nesterov ? 1.0f : 0.0f;
    SIMD() for (int64_t i = 0; i < n; i++) {
        float d = follow(how, p[i], g[i]), old = first ? 0.0f : momentum * v[i];
        v[i] = FMA(share, d, old);
        p[i] = FMA(-lr, FMA(ahead, v[i], now * d), how.shrink * p[i]);
    }
}

KERNEL void adam(array *ps, array *gs, array *ms, array *vs, array *tops, float sign, float coupled,
                 float shrink, float size, float some, float few, float eps) {
    float *restrict p = FLOATS(ps), *restrict g = FLOATS(gs), *restrict m = FLOATS(ms);
    float *restrict v = FLOATS(vs), *restrict top = FLOATS(tops);
    wish how = {sign, coupled, shrink};
    int64_t n = count(ps);
    if (count(tops)) {
        SIMD() for (int64_t i = 0; i < n; i++) {
            float d = follow(how, p[i], g[i]);
            m[i] = FMA(some, d - m[i], m[i]);
            v[i] = FMA(few, FMA(d, d, -v[i]), v[i]);
            top[i] = v[i] > top[i] || v[i] != v[i] ? v[i] : top[i];
            p[i] = how.shrink * p[i] - size * m[i] / (sqrtf(top[i]) + eps);
        }
        return;
    }
    SIMD() for (int64_t i = 0; i < n; i++) {
        float d = follow(how, p[i], g[i]);
        m[i] = FMA(some, d - m[i], m[i]);
        v[i] = FMA(few, FMA(d, d, -v[i]), v[i]);
        p[i] = how.shrink * p[i] - size * m[i] / (sqrtf(v[i]) + eps);
    }
}

KERNEL void adagrad(array *ps, array *gs, array *totals, float sign, float coupled, float shrink, float rate,
                    float eps) {
    float *restrict p = FLOATS(ps), *restrict g = FLOATS(gs), *restrict total = FLOATS(totals);
    wish how = {sign, coupled, shrink};
    int64_t n = count(ps);
    SIMD() for (int64_t i = 0; i < n; i++) {
        float d = follow(how, p[i], g[i]);
        total[i] = FMA(d, d, total[i]);
        p[i] = how.shrink * p[i] - rate * d / (sqrtf(total[i]) + eps);
    }
}

// Four functions in one: `moving` and `centered` are known wherever it is called, so no loop asks for them.
static inline __attribute__((always_inline))
void rms(const int moving, const int centered, int64_t n, float *restrict p, const float *restrict g,
         float *restrict v, float *restrict move, float *restrict mean, wish how, float lr, float share,
         float momentum, float eps) {
    SIMD() for (int64_t i = 0; i < n; i++) {
        float d = follow(how, p[i], g[i]), spread = v[i] = FMA(share, FMA(d, d, -v[i]), v[i]);
        if (centered) {
            mean[i] = FMA(share, d - mean[i], mean[i]);
            spread = spread - mean[i] * mean[i];
        }
        d = d / (sqrtf(spread) + eps);
        if (moving) d = move[i] = FMA(momentum, move[i], d);
        p[i] = FMA(-lr, d, how.shrink * p[i]);
    }
}

KERNEL void rmsprop(array *ps, array *gs, array *vs, array *moves, array *means, float sign, float coupled,
                    float shrink, float lr, float share, float momentum, float eps) {
    wish how = {sign, coupled, shrink};
    #define RMS(moving, centered) rms(moving, centered, count(ps), FLOATS(ps), FLOATS(gs), FLOATS(vs), \
                                      FLOATS(moves), FLOATS(means), how, lr, share, momentum, eps)
    if (count(moves)) { if (count(means)) RMS(1, 1); else RMS(1, 0); }
    else { if (count(means)) RMS(0, 1); else RMS(0, 0); }
}

KERNEL void adadelta(array *ps, array *gs, array *vs, array *us, float sign, float coupled, float shrink,
                     float lr, float share, float eps) {
    float *restrict p = FLOATS(ps), *restrict g = FLOATS(gs), *restrict v = FLOATS(vs);
    float *restrict u = FLOATS(us);
    wish how = {sign, coupled, shrink};
    int64_t n = count(ps);
    SIMD() for (int64_t i = 0; i < n; i++) {
        float d = follow(how, p[i], g[i]);
        v[i] = FMA(share, FMA(d, d, -v[i]), v[i]);
        float delta = sqrtf(u[i] + eps) / sqrtf(v[i] + eps) * d;
        u[i] = FMA(share, FMA(delta, delta, -u[i]), u[i]);
        p[i] = FMA(-lr, delta, how.shrink * p[i]);
    }
}

KERNEL void adamax(array *ps, array *gs, array *ms, array *us, float sign, float coupled, float shrink,
                   float size, float some, float beta2, float eps) {
    float *restrict p = FLOATS(ps), *restrict g = FLOATS(gs), *restrict m = FLOATS(ms);
    float *restrict u = FLOATS(us);
    wish how = {sign, coupled, shrink};
    int64_t n = count(ps);
    SIMD() for (int64_t i = 0; i < n; i++) {
        float d = follow(how, p[i], g[i]), old = beta2 * u[i], new = fabsf(d) + eps;
        m[i] = FMA(some, d - m[i], m[i]);
        u[i] = old > new || old != old ? old : new;
        p[i] = how.shrink * p[i] - size * m[i] / u[i];
    }
}

// NAdam: a step along the slope and one along the memory.
KERNEL void nadam(array *ps, array *gs, array *ms, array *vs, float sign, float coupled, float shrink,
                  float slope, float memory, float some, float few, float eps) {
    float *restrict p = FLOATS(ps), *restrict g = FLOATS(gs), *restrict m = FLOATS(ms);
    float *restrict v = FLOATS(vs);
    wish how = {sign, coupled, shrink};
    int64_t n = count(ps);
    SIMD() for (int64_t i = 0; i < n; i++) {
        float d = follow(how, p[i], g[i]);
        m[i] = FMA(some, d - m[i], m[i]);
        v[i] = FMA(few, FMA(d, d, -v[i]), v[i]);
        p[i] = how.shrink * p[i] - FMA(slope, d, memory * m[i]) / (sqrtf(v[i]) + eps);
    }
}

// RAdam, as long as it does not yet divide. From then on it is Adam, with another size.
KERNEL void average(array *ps, array *gs, array *ms, array *vs, float sign, float coupled, float shrink,
                    float size, float some, float few) {
    float *restrict p = FLOATS(ps), *restrict g = FLOATS(gs), *restrict m = FLOATS(ms);
    float *restrict v = FLOATS(vs);
    wish how = {sign, coupled, shrink};
    int64_t n = count(ps);
    SIMD() for (int64_t i = 0; i < n; i++) {
        float d = follow(how, p[i], g[i]);
        m[i] = FMA(some, d - m[i], m[i]);
        v[i] = FMA(few, FMA(d, d, -v[i]), v[i]);
        p[i] = FMA(-size, m[i], how.shrink * p[i]);
    }
}

KERNEL void rprop(array *ps, array *gs, array *befores, array *sizes, float sign, float shrink, float grow,
                  float least, float most) {
    float *restrict p = FLOATS(ps), *restrict g = FLOATS(gs), *restrict before = FLOATS(befores);
    float *restrict size = FLOATS(sizes);
    int64_t n = count(ps);
    SIMD() for (int64_t i = 0; i < n; i++) {
        float d = sign * g[i], both = d * before[i];
        float now = size[i] * (both > 0 ? grow : both < 0 ? shrink : 1.0f);
        now = now < least ? least : now;
        now = now > most ? most : now;
        d = both < 0 ? 0 : d;                               // back at the wall: stand still for one step
        p[i] = p[i] - (d > 0 ? now : d < 0 ? -now : d);     // of nan, nan
        size[i] = now;
        before[i] = d;
    }
}

// The decay goes into the gradient before the weight shrinks.
KERNEL void asgd(array *ps, array *gs, array *means, float sign, float coupled, float shrink, float rate,
                 float mu) {
    float *restrict p = FLOATS(ps), *restrict g = FLOATS(gs), *restrict mean = FLOATS(means);
    wish how = {sign, coupled, shrink};
    int64_t n = count(ps);
    SIMD() for (int64_t i = 0; i < n; i++) {
        float now = FMA(-rate, follow(how, p[i], g[i]), how.shrink * p[i]);
        mean[i] = mu == 1 ? now : FMA(mu, now - mean[i], mean[i]);
        p[i] = now;
    }
}
""")


def suits(optimizer, param, *names: str) -> bool:
    """Whether a parameter, its gradient and what is remembered of it are what a kernel was written for."""
    state = optimizer.state.get(param, {})
    kept = [state[name].array for name in names if name in state]
    return type(optimizer).pieces is Optimizer.pieces and plain(param.array, param.grad.array, *kept)


def wishes(group: dict) -> tuple[float, float, float]:
    """The sign of the gradient, the decay that is added to it, and what a weight is multiplied by."""
    sign, decay = -1.0 if group.get("maximize") else 1.0, group.get("weight_decay", 0)
    if not group.get("decoupled_weight_decay"): return sign, decay, 1.0
    return sign, 0.0, 1 - number(group["lr"]) * decay


@kernel(SGD, engine="c")
def _(optimizer, param, group):
    if not suits(optimizer, param, "momentum_buffer"): return DECLINED
    momentum, v, first = group["momentum"], NOTHING, True
    if momentum:
        first = "momentum_buffer" not in optimizer.state[param]
        (v,) = remembered(optimizer.state[param], param, "momentum_buffer")
    STEP.sgd(param.array, param.grad.array, v, *wishes(group), number(group["lr"]), momentum,
             1 - group["dampening"], first, bool(group["nesterov"]))
    return None


@kernel(Adam, engine="c")
def _(optimizer, param, group):
    names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * bool(group["amsgrad"])
    if not suits(optimizer, param, *names): return DECLINED
    state, (beta1, beta2) = optimizer.state[param], group["betas"]
    t = counted(state)
    root = math.sqrt(1 - beta2**t)
    m, v, *top = remembered(state, param, *names)
    STEP.adam(param.array, param.grad.array, m, v, top[0] if top else NOTHING, *wishes(group),
              number(group["lr"]) * root / (1 - beta1**t), 1 - beta1, 1 - beta2, group["eps"] * root)
    return None


@kernel(Adagrad, engine="c")
def _(optimizer, param, group):
    if not suits(optimizer, param, "sum"): return DECLINED
    state = optimizer._begin(param)
    rate = number(group["lr"]) / (1 + (counted(state) - 1) * group["lr_decay"])
    STEP.adagrad(param.array, param.grad.array, state["sum"].array, *wishes(group), rate, group["eps"])
    return None


@kernel(RMSprop, engine="c")
def _(optimizer, param, group):
    moving, centered = group["momentum"] > 0, bool(group["centered"])
    names = ["square_avg"] + ["momentum_buffer"] * moving + ["grad_avg"] * centered
    if not suits(optimizer, param, *names): return DECLINED
    state = optimizer.state[param]
    counted(state)
    v, *more = remembered(state, param, *names)
    STEP.rmsprop(param.array, param.grad.array, v, more[0] if moving else NOTHING,
                 more[-1] if centered else NOTHING, *wishes(group), number(group["lr"]), 1 - group["alpha"],
                 group["momentum"], group["eps"])
    return None


@kernel(Adadelta, engine="c")
def _(optimizer, param, group):
    if not suits(optimizer, param, "square_avg", "acc_delta"): return DECLINED
    state = optimizer.state[param]
    counted(state)
    STEP.adadelta(param.array, param.grad.array, *remembered(state, param, "square_avg", "acc_delta"),
                  *wishes(group), number(group["lr"]), 1 - group["rho"], group["eps"])
    return None


@kernel(Adamax, engine="c")
def _(optimizer, param, group):
    if not suits(optimizer, param, "exp_avg", "exp_inf"): return DECLINED
    state, (beta1, beta2) = optimizer.state[param], group["betas"]
    size = number(group["lr"]) / (1 - beta1 ** counted(state))
    STEP.adamax(param.array, param.grad.array, *remembered(state, param, "exp_avg", "exp_inf"),
                *wishes(group), size, 1 - beta1, beta2, group["eps"])
    return None


@kernel(NAdam, engine="c")
def _(optimizer, param, group):
    if not suits(optimizer, param, "exp_avg", "exp_avg_sq"): return DECLINED
    state, (beta1, beta2) = optimizer.state[param], group["betas"]
    slope, memory, root = two_sizes(group, state)
    STEP.nadam(param.array, param.grad.array, *remembered(state, param, "exp_avg", "exp_avg_sq"),
               *wishes(group), slope, memory, 1 - beta1, 1 - beta2, group["eps"] * root)
    return None


@kernel(RAdam, engine="c")
def _(optimizer, param, group):
    if not suits(optimizer, param, "exp_avg", "exp_avg_sq"): return DECLINED
    state, (beta1, beta2) = optimizer.state[param], group["betas"]
    size, trusted = warmed(group, counted(state))
    m, v = remembered(state, param, "exp_avg", "exp_avg_sq")
    given = *wishes(group), size, 1 - beta1, 1 - beta2
    if trusted: STEP.adam(param.array, param.grad.array, m, v, NOTHING, *given, group["eps"])
    else: STEP.average(param.array, param.grad.array, m, v, *given)
    return None


@kernel(Rprop, engine="c")
def _(optimizer, param, group):
    if not suits(optimizer, param, "prev", "step_size"): return DECLINED
    state = optimizer.state[param]
    counted(state)
    if "prev" not in state:
        state.update(prev=full_like(param.data, 0), step_size=full_like(param.data, number(group["lr"])))
    STEP.rprop(param.array, param.grad.array, state["prev"].array, state["step_size"].array,
               -1.0 if group["maximize"] else 1.0, *group["etas"], *group["step_sizes"])
    return None


@kernel(ASGD, engine="c")
def _(optimizer, param, group):
    if not suits(optimizer, param, "ax"): return DECLINED
    state, (sign, coupled, _) = optimizer.state[param], wishes(group)
    t, eta, mu = counted(state), *rates(state, group)
    (mean,), rate = remembered(state, param, "ax"), float(eta)
    STEP.asgd(param.array, param.grad.array, mean, sign, coupled, 1 - group["lambd"] * rate, rate, float(mu))
    slower(eta, mu, group, t)
    return None
