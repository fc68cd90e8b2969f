"""Mixed precision beside PyTorch: the same dtypes, scales, steps and complaints."""

import threading

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, no_grad
from tinytorch.precision import Autocast, at_the_door

torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")
rng = np.random.default_rng(16)


def numbers(*shape): return rng.standard_normal(shape).astype(np.float32)


GIVEN = {
    "x": numbers(4, 6), "w": numbers(5, 6), "b": numbers(5), "s": numbers(2, 3, 8), "im": numbers(2, 3, 8, 8),
    "k": numbers(4, 3, 3, 3), "v": numbers(2, 3, 4, 4, 4), "c": numbers(2, 3, 2, 2, 2),
    "u": rng.random((4, 6), np.float32),
    "lab": rng.integers(0, 6, 4), "spd": (lambda a: (a @ a.T + np.eye(4)).astype(np.float32))(numbers(4, 4)),
}


def names(t):
    def tensor(array): return t.tensor(array.tolist(), dtype=getattr(t, str(array.dtype)))
    given = {name: tensor(array) for name, array in GIVEN.items()}
    return given | {"F": t.nn.functional}


LINES = [
    "F.linear(x, w)", "F.linear(x, w, b)", "x @ w.T", "t.matmul(s, s.mT)", "t.mm(x, w.T)", "t.bmm(s, s.mT)",
    "F.conv1d(s, s)", "F.conv2d(im, k)", "F.conv3d(v, c)", "F.conv_transpose2d(im, k.transpose(0, 1))",
    "F.prelu(im, b[:3])", "F.scaled_dot_product_attention(s, s, s)", "F.relu(x)", "F.gelu(x)",
    "F.softmax(x, -1)",
    "F.log_softmax(x, -1)", "F.layer_norm(x, (6,))", "F.group_norm(im, 3)", "x.sum()", "x.mean()", "x.prod()",
    "x.exp()", "x ** 3", "x.cumsum(0)", "t.cdist(x, w)", "F.cross_entropy(x, lab)",
    "F.mse_loss(x, lab[:, None].expand(4, 6) * 0.5)", "x + u",
    "F.binary_cross_entropy_with_logits(x, u)", "F.binary_cross_entropy(u, u)", "t.cat([x, u])",
    "F.max_pool2d(im, 2)",
    "F.max_pool3d(v, 2)", "F.avg_pool2d(im, 2)", "F.avg_pool3d(v, 2)", "F.adaptive_avg_pool3d(v, 2)",
    "F.embedding(lab, x)", "x.std()", "t.linalg.cholesky(spd)", "t.linalg.inv(spd)",
]


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
@pytest.mark.parametrize("given", ["float32", "short"])
@pytest.mark.parametrize("line", LINES)
def test_every_op_runs_in_pytorchs_dtype(agree, line, given, kind):
    if kind == "float16" and given == "short": pytest.skip("PyTorch's CPU lacks many of these")

    def cast(t):
        mine = names(t)
        def short(x): return x.to(getattr(t, kind)) if hasattr(x, "to") and x.is_floating_point() else x
        return {name: short(x) if given == "short" else x for name, x in mine.items()}
    whole = (f"y = t.autocast('cpu', dtype=t.{kind})(lambda: {line})(); "
             "(str(y.dtype).split('.')[-1], y.float())")
    agree(whole, cast, tolerance=2e4)


def test_a_network_and_its_gradients_are_pytorchs():
    def trained(t):
        net = t.nn.Sequential(t.nn.Linear(6, 8), t.nn.ReLU(), t.nn.Linear(8, 6))
        for n, p in enumerate(net.parameters()):
            numbers = np.cos(np.arange(p.numel()) + n).reshape(tuple(p.shape))
            p.data.copy_(t.tensor(numbers.tolist()))
        given = names(t)
        with t.autocast("cpu"):
            out = net(given["x"])
            loss = given["F"].cross_entropy(out, given["lab"])
        loss.backward()
        return out, loss, [p.grad for p in net.parameters()]
    out, loss, grads = trained(tinytorch)
    their_out, their_loss, their_grads = trained(torch)
    assert out.dtype is tinytorch.bfloat16 and their_out.dtype is torch.bfloat16
    assert loss.dtype is tinytorch.float32 and their_loss.dtype is torch.float32
    np.testing.assert_allclose(loss.item(), their_loss.item(), rtol=1e-3)
    for mine, theirs in zip(grads, their_grads):
        assert mine.dtype is tinytorch.float32, "gradients of long weights are long"
        np.testing.assert_allclose(mine.array, theirs.numpy(), atol=2e-2 * float(theirs.abs().max()))


class Reads(dict):
    """Networks by name, and what they are shown, in either library."""

    def __init__(self, t):
        nn = t.nn
        self["conv"] = "im", nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3),
            nn.GELU(), nn.Flatten(), nn.Linear(24, 5))
        self["norms"] = "x", nn.Sequential(
            nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 8), nn.Softmax(-1), nn.Linear(8, 5))
        self["attention"] = "s", nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        for recurrent in ("LSTM", "GRU", "RNN"): self[recurrent.lower()] = "s", getattr(nn, recurrent)(8, 5)


@pytest.mark.parametrize("name", ["conv", "norms", "attention", "lstm", "gru", "rnn"])
def test_gradients_of_networks_are_pytorchs(name):
    given, theirs = Reads(torch)[name]
    ours = Reads(tinytorch)[name][1]
    ours.load_state_dict({key: tinytorch.tensor(x.numpy()) for key, x in theirs.state_dict().items()})

    def gradients(t, net):
        x = names(t)[given]
        with t.autocast("cpu"): y = net(x)
        if isinstance(y, tuple): y = y[0]
        kind = str(y.dtype).rpartition(".")[2]
        (y.float() * t.cos(t.arange(y.numel()).float().reshape(y.shape))).sum().backward()
        return kind, y, {key: p.grad for key, p in net.named_parameters()}
    kind, y, grads = gradients(tinytorch, ours)
    their_kind, their_y, their_grads = gradients(torch, theirs)
    assert kind == their_kind
    np.testing.assert_allclose(y.detach().float().numpy(), their_y.detach().float().numpy(), atol=5e-2)
    for key, mine in grads.items():
        expected = their_grads[key].numpy()
        assert mine.dtype is tinytorch.float32, f"{key}: gradients of long weights are long"
        np.testing.assert_allclose(mine.numpy(), expected, atol=5e-2 * max(abs(expected).max(), 0.1),
                                   err_msg=key)


def test_a_weight_is_cast_once_while_nobody_writes_over_it():
    w, x = tinytorch.ones(3, 3).requires_grad_(), tinytorch.ones(2, 3)
    with tinytorch.autocast("cpu"):
        [engine] = [e for e in at_the_door() if isinstance(e, Autocast)]
        first = engine.cast(w, True)
        assert engine.cast(w, True) is first
        with no_grad(): assert not engine.cast(w, True).requires_grad
        assert engine.cast(w, True).requires_grad, "what was cast under no_grad is not used outside"
        with no_grad(): w.mul_(2)
        assert (x @ w).tolist() == [[6.0] * 3] * 2, "the new numbers count"
        w.data = tinytorch.ones(3, 3) * 5
        assert (x @ w).tolist() == [[15.0] * 3] * 2, "and so does new memory"


def test_autocast_nests_and_comes_off_again():
    x = tinytorch.ones(2, 2)
    before = tinytorch.current_engine()
    with tinytorch.autocast("cpu"):
        with tinytorch.autocast("cpu", dtype=tinytorch.float16): assert (x @ x).dtype is tinytorch.float16
        with tinytorch.autocast("cpu", enabled=False):
            assert (x @ x).dtype is tinytorch.float32 and not tinytorch.is_autocast_enabled("cpu")
        assert (x @ x).dtype is tinytorch.bfloat16 and tinytorch.is_autocast_enabled("cpu")
        seen = []
        thread = threading.Thread(target=lambda: seen.append((x @ x).dtype))
        thread.start()
        thread.join()
        assert seen == [tinytorch.float32], "another thread decides for itself"
    assert tinytorch.current_engine() is before and (x @ x).dtype is tinytorch.float32
    with tinytorch.autocast("cuda"): assert (x @ x).dtype is tinytorch.float32, "x is not on a GPU"
    with tinytorch.autocast("cpu"): assert (x.double() @ x.double()).dtype is tinytorch.float64


def test_what_autocast_says(agree):
    for line in ["t.autocast('tpu')", "t.autocast(3)", "t.is_autocast_enabled('cpu')",
                 "t.amp.is_autocast_available('cpu')",
                 "str(t.get_autocast_dtype('cpu'))[-8:]", "str(t.get_autocast_dtype('cuda'))[-7:]",
                 "t.autocast('cpu', t.bfloat16)(t.is_autocast_enabled)('cpu')",
                 "t.amp.autocast('cpu', t.float16)(lambda: str(t.get_autocast_dtype('cpu'))[-7:])()"]:
        agree(line)
    with pytest.warns(UserWarning, match="float32 is not a short float"):
        off = tinytorch.autocast("cpu", dtype=tinytorch.float32)
    with pytest.warns(UserWarning): theirs = torch.autocast("cpu", dtype=torch.float32)
    assert off.enabled is False and not theirs._enabled


# --------------------------------------------------------------------------------------- GradScaler

class Steps:
    """An optimizer that counts its steps, in either library."""

    def __init__(self, t, *shapes):
        self.params = [t.nn.Parameter(t.ones(*shape)) for shape in shapes]
        self.param_groups, self.steps, self.t = [{"params": self.params}], 0, t

    def step(self): self.steps += 1

    def receive(self, *gradients):
        for p, g in zip(self.params, gradients):
            p.grad = None if g is None else self.t.tensor(np.full(tuple(p.shape), g).tolist())


BIG, SMALL = float("inf"), 1.5


@pytest.mark.parametrize("settings", [
    {}, {"init_scale": 4.0, "growth_interval": 2},
    {"init_scale": 3.0, "growth_factor": 1.7, "backoff_factor": 0.3, "growth_interval": 3},
    {"init_scale": 2.0**127, "growth_interval": 1},
])
@pytest.mark.parametrize("gradients", [
    [SMALL] * 9, [BIG] * 5, [SMALL, SMALL, BIG, SMALL, SMALL, SMALL, float("nan"), SMALL],
    [SMALL, -BIG, SMALL, SMALL, BIG, BIG, SMALL, SMALL, SMALL],
], ids=["good", "bad", "mixed", "more"])
def test_scales_steps_and_gradients_are_pytorchs(settings, gradients):
    told = []
    for t in (tinytorch, torch):
        scaler, optimizer, trail = t.amp.GradScaler("cpu", **settings), Steps(t, (2,), (3,)), []
        for n, g in enumerate(gradients):
            optimizer.receive(g, 1.0)
            scaler.scale(t.ones(1))                     # PyTorch's insists on it
            if n % 2: scaler.unscale_(optimizer)
            scaler.step(optimizer)
            trail.append([p.grad.tolist() for p in optimizer.params])
            scaler.update()
            trail.append((float(np.float32(scaler.get_scale())), optimizer.steps,
                          scaler.state_dict()["_growth_tracker"]))
        told.append(trail)
    np.testing.assert_equal(told[0], told[1])


SCALER = ("g = t.amp.GradScaler('cpu', init_scale=8.0); g.scale(t.ones(1)); "
          "o = Steps(t, (2,)); o.receive(4.0); ")
CALLS = [
    "g.scale(t.tensor([0.5, 1.0]))", "g.scale([t.tensor(1.0), t.tensor(2.0)])", "g.scale((t.tensor(1.0),))",
    "g.scale(3)",
    "g.unscale_(o); o.params[0].grad", "g.unscale_(o); g.unscale_(o)", "g.step(o); g.step(o)",
    "g.step(o); g.unscale_(o)",
    "g.update()", "g.step(o, closure=None)", "o.receive(None); g.step(o)",
    "g.step(o); g.update(); g.step(o); o.steps",
    "g.step(o); g.update(3.0); g.get_scale()", "g.update(t.tensor(5.0)); g.get_scale()",
    "g.state_dict()['growth_interval']",
    "g.set_growth_factor(3.0); g.get_growth_factor()", "g.set_backoff_factor(0.1); g.get_backoff_factor()",
    "g.set_growth_interval(7); g.get_growth_interval()", "g.is_enabled()", "sorted(g.state_dict())",
    "g.load_state_dict({})",
    "g.load_state_dict({**g.state_dict(), 'scale': 2.0, '_growth_tracker': 5}); g.get_scale()",
    "h = t.amp.GradScaler('cpu', enabled=False); h.step(o); h.step(o); h.update(); (h.get_scale(), o.steps)",
    "len(t.amp.GradScaler('cpu', enabled=False).state_dict())",
    "t.amp.GradScaler('cpu', enabled=False).scale(t.tensor(2.0))",
    "t.amp.GradScaler('cpu', growth_factor=1.0)",
    "t.amp.GradScaler('cpu', backoff_factor=1.0)",
    "o.params[0] = t.nn.Parameter(t.ones(2).half()); o.params[0].grad = t.ones(2).half(); g.unscale_(o)",
]


@pytest.mark.parametrize("line", CALLS)
def test_a_scaler_answers_as_pytorchs(agree, line): agree(SCALER + line, lambda t: {"Steps": Steps})


def test_small_gradients_survive_float16():
    x, w = Tensor(np.full((1, 4), 1e-4, np.float32)), tinytorch.ones(4, 1).requires_grad_()

    def gradient(scaler):
        w.grad = None
        with tinytorch.autocast("cpu", dtype=tinytorch.float16): y = (x @ w).float() * 1e-4
        scaler.scale(y.sum()).backward()
        return w.grad.array[0, 0] / scaler.get_scale()
    assert gradient(tinytorch.amp.GradScaler("cpu", enabled=False)) == 0, "1e-8 is nothing in float16"
    assert abs(gradient(tinytorch.amp.GradScaler("cpu")) - 1e-8) < 1e-11
