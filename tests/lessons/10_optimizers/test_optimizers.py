"""Lesson 10 against its formulas in NumPy and float64, on slopes that the lesson's checks do not use."""

import math
import pickle

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, tensor
from tinytorch.bookkeeping import PIECE
from tinytorch.layers import Parameter
from tinytorch.optimizers import (
    SGD,
    Adam,
    AdamW,
    LambdaLR,
    Optimizer,
    average,
    cosine,
    decayed,
    descend,
    linear,
)

rng = np.random.default_rng(10)
SHAPES = [(3, 4), (5,), (), (0, 2), (1, 1, 3)]


def numbers(*shape): return np.asarray(rng.standard_normal(shape), np.float32)


def parameter(array, gradient=None):
    p = Parameter(tensor(array))
    if gradient is not None: p.grad = tensor(gradient)
    return p


def close(found, want, tolerance=2e-6):
    return np.allclose(found, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_and_an_average_happen_in_place(shape):
    p, g, room = numbers(*shape), numbers(*shape), np.empty(shape, np.float32)
    before, slope = p.astype(float), g.copy()
    descend(p, g, 0.3, room)
    assert close(p, before - 0.3 * slope), "p - lr * g, in the array that was given"
    m, before = p, p.astype(float)
    average(m, g, 0.2, room)
    assert close(m, 0.8 * before + 0.2 * slope), "a share of the way to the new value"
    assert np.array_equal(g, slope), "the gradient is read, not changed"


def test_decay_has_two_places():
    p, g = numbers(7), numbers(7)
    group = {"lr": 0.2, "weight_decay": 0.3}
    shrunk, room, other = p.copy(), np.empty_like(p), np.empty_like(p)
    assert close(decayed(p.copy(), g, group, room, other), g + 0.3 * p), "coupled: in the gradient"
    found = decayed(shrunk, g, {**group, "decoupled_weight_decay": True}, room, other)
    assert close(shrunk, p * (1 - 0.2 * 0.3)) and np.array_equal(found, g), "decoupled: in the weight"


def trail_of(make, slopes, start):
    """Where a parameter is after each slope."""
    p, places = parameter(start), []
    optimizer = make([p])
    for slope in slopes:
        p.grad = tensor(slope)
        optimizer.step()
        places.append(p.array.copy())
    return places


@pytest.mark.parametrize("settings", [
    {}, {"momentum": 0.8}, {"momentum": 0.8, "dampening": 0.3}, {"momentum": 0.7, "nesterov": True},
    {"momentum": 0.7, "weight_decay": 0.2}, {"weight_decay": 0.2, "maximize": True},
    {"momentum": 0.6, "nesterov": True, "weight_decay": 0.1, "maximize": True},
])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_descent_follows_its_formula(shape, settings):
    start, slopes = numbers(*shape), [numbers(*shape) for _ in range(8)]
    mu, decay = settings.get("momentum", 0), settings.get("weight_decay", 0)
    p, v = start.astype(float), None
    for slope, found in zip(slopes, trail_of(lambda ps: SGD(ps, 0.1, **settings), slopes, start)):
        g = (-slope if settings.get("maximize") else slope) + decay * p
        v = g if v is None else mu * v + (1 - settings.get("dampening", 0)) * g
        p = p - 0.1 * (g + mu * v if settings.get("nesterov") else v if mu else g)
        assert close(found, p), "v = momentum * v + (1 - dampening) * g; Nesterov follows g + momentum * v"


@pytest.mark.parametrize("settings", [
    {}, {"betas": (0.5, 0.9)}, {"betas": (0.0, 0.99)}, {"eps": 0.3}, {"weight_decay": 0.2},
    {"amsgrad": True, "betas": (0.8, 0.6)}, {"maximize": True, "weight_decay": 0.1},
    {"weight_decay": 0.2, "decoupled_weight_decay": True},
])
@pytest.mark.parametrize("shape", SHAPES)
def test_adam_follows_its_formula(shape, settings):
    start, slopes = numbers(*shape), [numbers(*shape) for _ in range(12)]
    (b1, b2), eps = settings.get("betas", (0.9, 0.999)), settings.get("eps", 1e-8)
    decay, apart = settings.get("weight_decay", 0), settings.get("decoupled_weight_decay")
    p, m, v, top = start.astype(float), 0.0, 0.0, np.zeros(shape)
    for t, found in enumerate(trail_of(lambda ps: Adam(ps, 0.05, **settings), slopes, start), 1):
        g = -slopes[t - 1] if settings.get("maximize") else slopes[t - 1]
        if apart: p = p - 0.05 * decay * p
        else: g = g + decay * p
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        top = np.maximum(top, v)
        usual = (top if settings.get("amsgrad") else v) / (1 - b2**t)
        p = p - 0.05 * m / (1 - b1**t) / (np.sqrt(usual) + eps)
        assert close(found, p, 1e-5), "both averages are corrected; epsilon stands outside of the root"


def test_adamw_is_adam_with_the_decay_apart():
    start, slopes = numbers(4, 3), [numbers(4, 3) for _ in range(5)]
    apart = trail_of(lambda ps: AdamW(ps, 0.1, weight_decay=0.3), slopes, start)
    same = trail_of(lambda ps: Adam(ps, 0.1, weight_decay=0.3, decoupled_weight_decay=True), slopes, start)
    assert np.array_equal(apart[-1], same[-1])
    assert AdamW([parameter(start)]).param_groups[0]["weight_decay"] == 1e-2, "it decays, unless told not to"


@pytest.mark.parametrize("lay", [np.ascontiguousarray, np.asfortranarray], ids=["rows", "columns"])
@pytest.mark.parametrize("shape", [(PIECE + 1,), (3, PIECE), (300, 700), (2, 3, 40_000)])
def test_large_parameters_take_the_same_step_in_every_piece(shape, lay):
    start, slope = numbers(*shape), lay(numbers(*shape))
    p = Parameter(Tensor(start.copy()))
    p.grad = Tensor(slope)
    optimizer = Adam([p], 0.1, weight_decay=0.5)
    optimizer.step()
    g = slope.astype(float) + 0.5 * start
    assert close(p.array, start - 0.1 * g / (np.abs(g) + 1e-8), 1e-5), "Adam's first step is lr * sign(g)"
    assert np.allclose(optimizer.state[p]["exp_avg"].array, 0.1 * g, atol=1e-6), "all of it is remembered"


@pytest.mark.parametrize("make", [SGD, lambda ps: SGD(ps, momentum=0.9), Adam, AdamW])
def test_a_step_keeps_array_dtype_and_gradient_and_is_noted(make):
    for kind in (np.float32, np.float64):
        p = parameter(np.ones(3, kind), np.array([1.0, -2.0, 0.5], kind))
        array, version = p.array, p._version
        make([p]).step()
        assert p.array is array and p.array.dtype == kind, "in place, and float32 stays float32"
        assert p._version == version + 1, "one step is one change"
        assert p.grad.tolist() == [1.0, -2.0, 0.5], "the gradient is read, not changed"


def test_the_walk_is_one_update_for_each_parameter_with_a_gradient():
    class Counting(Optimizer):
        def update(self, param, group): asked.append((param, group["lr"]))
    asked = []
    a, b, c = parameter(numbers(2), numbers(2)), parameter(numbers(2)), parameter(numbers(2), np.zeros(2))
    walk = Counting([{"params": [a, b]}, {"params": [c], "lr": 3.0}], {"lr": 1.0})
    assert walk.step() is None
    assert [(p is a, p is c, lr) for p, lr in asked] == [(True, False, 1.0), (False, True, 3.0)]
    with pytest.raises(NotImplementedError, match="update"): Optimizer([a], {}).step()


def test_a_closure_is_called_once_and_remembers():
    p = Parameter(tensor([3.0]))
    optimizer, losses = SGD([p], 0.25), []

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        losses.append(loss.item())
        return loss

    with tinytorch.no_grad(): assert optimizer.step(closure).item() == 9.0
    assert losses == [9.0] and p.item() == 1.5, "the loss is computed with gradients, also inside of no_grad"


def test_a_step_between_forward_and_backward_is_noticed():
    p = parameter(numbers(3), numbers(3))
    loss = (p * p).sum()
    SGD([p]).step()
    with pytest.raises(RuntimeError): loss.backward()


def test_a_state_goes_on_where_it_stopped():
    slopes = [numbers(3, 2) for _ in range(10)]
    for make in (lambda ps: SGD(ps, 0.1, momentum=0.9), lambda ps: Adam(ps, 0.1, amsgrad=True)):
        start = numbers(3, 2)
        whole = trail_of(make, slopes, start)
        p = parameter(start)
        first = make([p])
        for slope in slopes[:5]:
            p.grad = tensor(slope)
            first.step()
        q = parameter(p.array)
        second = make([q])
        second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
        for slope in slopes[5:]:
            q.grad = tensor(slope)
            second.step()
        assert np.array_equal(q.array, whole[-1]), "bit for bit"


def test_schedules():
    assert [linear(t, 5, 0.2, 1.2) for t in (0, 5, 50)] == [0.2, 1.2, 1.2]
    assert close(linear(2, 5, 0.2, 1.2), 0.6)
    assert close([cosine(t, 10) for t in range(31)], (1 + np.cos(math.pi * np.arange(31) / 10)) / 2)
    p, q = parameter(numbers(1)), parameter(numbers(1))
    optimizer = SGD([{"params": [p]}, {"params": [q], "lr": 4.0}], 2.0)
    schedule, seen = LambdaLR(optimizer, lambda t: 1 / (1 + t)), []
    for _ in range(4):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    assert close(seen, [[2, 4], [1, 2], [2 / 3, 4 / 3], [0.5, 1]]), "the first rate times the function"
    assert close(schedule.get_last_lr(), [0.4, 0.8])


@pytest.mark.parametrize("make", [lambda ps: SGD(ps, 0.1, momentum=0.9), lambda ps: Adam(ps, 0.05)])
def test_a_network_learns_with_it(make):
    tinytorch.manual_seed(0)
    from tinytorch.dense import MLP, mse_loss
    net, x = MLP(2, 16, 1), tensor(numbers(64, 2))
    wanted = (x[:, :1] * x[:, 1:]).detach()
    optimizer, losses = make(net.parameters()), []
    for _ in range(150):
        loss = mse_loss(net(x), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0], "the product of two numbers can be learned"
