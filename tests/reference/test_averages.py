"""Averages of networks, and clipping, against PyTorch."""

import math

import numpy as np
import pytest

import tinytorch
import tinytorch.nn as nn

torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")


def network(t):
    """The same network in both libraries: a layer, a batch norm, a layer."""
    rng = np.random.default_rng(0)
    net = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.BatchNorm1d(4), t.nn.Linear(4, 2))
    for p in net.parameters(): p.data = t.tensor(rng.standard_normal(p.shape).astype(np.float32))
    return net


def state(module) -> dict:
    return {name: np.array(x.detach().numpy()) for name, x in module.state_dict().items()}


def same(ours, theirs, tolerance=2e-6) -> None:
    ours, theirs = state(ours), state(theirs)
    assert list(ours) == list(theirs)
    for name, x in theirs.items():
        assert ours[name].dtype == x.dtype and ours[name].shape == x.shape, name
        np.testing.assert_allclose(ours[name], x, rtol=tolerance, atol=tolerance, err_msg=name)


WAYS = """
{}
{"avg_fn": W.get_swa_avg_fn()}
{"avg_fn": W.get_ema_avg_fn()}
{"avg_fn": W.get_ema_avg_fn(0.5)}
{"multi_avg_fn": W.get_swa_multi_avg_fn()}
{"multi_avg_fn": W.get_ema_multi_avg_fn(0.9)}
{"multi_avg_fn": W.get_ema_multi_avg_fn(0.9), "use_buffers": True}
{"avg_fn": W.get_ema_avg_fn(0.75), "use_buffers": True}
{"use_buffers": True}
{"avg_fn": lambda mean, new, n: mean + (new - mean) / (n + 2)}
{"device": "cpu"}
""".strip().split("\n")


@pytest.mark.parametrize("way", WAYS)
def test_an_average_follows_a_network(way):
    models = []
    for t in (torch, tinytorch):
        net, rng = network(t), np.random.default_rng(1)
        W = t.optim.swa_utils
        model = W.AveragedModel(net, **eval(way, {"W": W}))
        for _ in range(5):
            net(t.tensor(rng.standard_normal((6, 3)).astype(np.float32)))
            for p in net.parameters():
                p.data.add_(t.tensor(rng.standard_normal(tuple(p.shape)).astype(np.float32)))
            model.update_parameters(net)
        models.append(model)
    same(models[1], models[0], 1e-5)
    x = np.ones((2, 3), np.float32)
    answers = [m.eval()(t.tensor(x)).detach().numpy() for m, t in zip(models, (torch, tinytorch))]
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-4, atol=1e-5)


def test_an_average_is_loaded_from_the_other_library():
    theirs = torch.optim.swa_utils.AveragedModel(network(torch))
    theirs.update_parameters(network(torch))
    ours = tinytorch.optim.swa_utils.AveragedModel(network(tinytorch))
    ours.load_state_dict({name: tinytorch.tensor(x) for name, x in state(theirs).items()})
    same(ours, theirs, 0)


def test_the_model_is_left_alone_and_the_average_wants_no_history():
    net = network(tinytorch)
    before = state(net)
    model = tinytorch.optim.swa_utils.AveragedModel(net, avg_fn=tinytorch.optim.swa_utils.get_ema_avg_fn())
    for _ in range(3): model.update_parameters(net)
    assert all(np.array_equal(x, before[name]) for name, x in state(net).items())
    assert all(p.receipt is None and p.is_leaf for p in model.parameters())
    assert not any(np.shares_memory(p.array, q.array) for p, q in zip(net.parameters(), model.parameters()))


@pytest.mark.parametrize("pairs", [False, True], ids=["batches", "pairs"])
def test_batch_norms_are_measured_anew(pairs):
    found = []
    for t in (torch, tinytorch):
        net, rng = network(t), np.random.default_rng(2)
        loader = [t.tensor(rng.standard_normal((8, 3)).astype(np.float32)) for _ in range(4)]
        if pairs: loader = [(batch, None) for batch in loader]
        net.eval()
        t.optim.swa_utils.update_bn(loader, net)
        assert net.training is False and net[1].momentum == 0.1
        found.append(net)
    same(found[1], found[0], 1e-5)


LINES = """
W.get_ema_avg_fn(1.5)
W.get_ema_multi_avg_fn(-0.1)
W.AveragedModel(net, avg_fn=W.get_swa_avg_fn(), multi_avg_fn=W.get_swa_multi_avg_fn())
W.AveragedModel(net).n_averaged
W.get_ema_avg_fn(0.75)(x, y, 3)
W.get_swa_avg_fn()(x, y, 3)
W.get_swa_avg_fn()(x, y, t.tensor(3))
W.get_ema_multi_avg_fn(0.75)([x, y], [y, x], 3); (x, y)
W.get_swa_multi_avg_fn()([x], [y], t.tensor(3)); x
W.get_swa_multi_avg_fn()([x], [y], 3); x
W.get_ema_multi_avg_fn(0.5)([n], [m], 3); n
U.clip_grad_norm_(ps, 1.0)
U.clip_grad_norm_(ps, 1.0); grads()
U.clip_grad_norm_(ps, 1e9); grads()
U.clip_grad_norm_(ps, 0.5, norm_type=1); grads()
U.clip_grad_norm_(ps, 0.5, norm_type=inf); grads()
U.clip_grad_norm_(ps, 0.5, norm_type="inf"); grads()
U.clip_grad_norm_(ps, 0.5, norm_type=3.5); grads()
U.clip_grad_norm_(ps, 0.5, 2, False, foreach=True); grads()
U.clip_grad_norm_(ps[0], 0.5); grads()
U.clip_grad_norm_(ps[2:], 0.5); grads()
U.clip_grad_norm_([], 0.5)
U.clip_grad_norm_(iter(ps), 0.5); grads()
U.clip_grad_norm_((p for p in ps), 0.5); grads()
U.clip_grad_norm_(p for p in ps[2:]); grads()
U.clip_grad_norm_(ps, max_norm=t.tensor(0.5)); grads()
ps[0].grad.fill_(inf); U.clip_grad_norm_(ps, 1.0); grads()
ps[0].grad.fill_(nan); U.clip_grad_norm_(ps, 1.0); grads()
ps[0].grad.fill_(nan); U.clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
ps[0].grad.fill_(inf); U.clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
U.clip_grad_value_(ps, 0.5); grads()
U.clip_grad_value_(ps, 100); grads()
U.clip_grad_value_(ps[1], 0.5, foreach=False); grads()
U.clip_grad_value_(ps, t.tensor(0.25)); grads()
U.get_total_norm([p.grad for p in ps[:2]])
U.get_total_norm([p.grad for p in ps[:2]], 1)
U.get_total_norm([p.grad for p in ps[:2]], norm_type=inf)
U.get_total_norm(ps[0].grad)
U.get_total_norm([])
U.get_total_norm([x.double(), y.double()])
U.get_total_norm([t.zeros(3)])
U.get_total_norm([ps[0].grad * nan], error_if_nonfinite=True)
U.clip_grads_with_norm_(ps, 1.0, t.tensor(4.0)); grads()
U.clip_grads_with_norm_(ps, 1.0, total_norm=t.tensor(0.5)); grads()
U.clip_grads_with_norm_(ps[0], 1.0, t.tensor(2.0)); grads()
""".strip().split("\n")


def given(t):
    rng = np.random.default_rng(3)
    def numbers(*shape): return t.tensor(rng.standard_normal(shape).astype(np.float32))
    ps = [t.nn.Parameter(numbers(3, 2)), t.nn.Parameter(numbers(4)), t.nn.Parameter(numbers(2))]
    for p in ps[:2]: p.grad = numbers(*p.shape)
    return {
        "W": t.optim.swa_utils, "U": t.nn.utils, "ps": ps, "x": numbers(3), "y": numbers(3),
        "n": t.tensor([4, 8]), "m": t.tensor([8, 4]), "net": t.nn.Linear(2, 2),
        "grads": lambda: [p.grad for p in ps[:2]],
    }


@pytest.mark.parametrize("line", LINES)
def test_a_line(line, agree): agree(line, given, tolerance=3)


def test_a_generator_that_is_used_up_warns():
    with pytest.warns(UserWarning, match="generator"):
        nn.utils.clip_grad_norm_((p for p in ()), 1.0)
    with pytest.warns(FutureWarning): nn.utils.clip_grad_norm([], 1.0)


def test_clipping_is_a_change_and_is_noted():
    p = nn.Parameter(tinytorch.ones(3))
    p.grad = tinytorch.tensor([3.0, 4.0, 0.0])
    array = p.grad.array
    assert nn.utils.clip_grad_norm_([p], 1.0).item() == 5.0
    assert p.grad.array is array and math.isclose(np.linalg.norm(array), 1, rel_tol=1e-5)
    assert p.grad._version == 1
    nn.utils.clip_grad_norm_([p], 2.0)
    assert p.grad._version == 1, "a gradient that is short enough is not touched"
