"""Optimizers against PyTorch: fifty steps, state dicts in both directions, groups, hooks and errors."""

import copy
import pickle
import warnings
from importlib import import_module

import numpy as np
import pytest

import tinytorch
from tinytorch import optim
from tinytorch.nn import Parameter
from tinytorch.optim import optimizer as ours_module

torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")

SETTINGS = """
SGD()
SGD(lr=0.1)
SGD(lr=0.1, weight_decay=0.1)
SGD(lr=0.1, momentum=0.9)
SGD(lr=0.1, momentum=0.9, dampening=0.3)
SGD(lr=0.1, momentum=0.9, nesterov=True)
SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01, maximize=True)
SGD(lr=0.05, momentum=0.5, dampening=0.9, weight_decay=0.1, maximize=True)
SGD(lr=0.1, foreach=True)
SGD(lr=0.1, fused=True)
Adam()
Adam(lr=0.1)
Adam(lr=0.1, betas=(0.8, 0.95), eps=1e-3)
Adam(lr=0.1, weight_decay=0.1)
Adam(lr=0.1, amsgrad=True)
Adam(lr=0.05, amsgrad=True, weight_decay=0.1, maximize=True)
Adam(lr=0.1, weight_decay=0.3, decoupled_weight_decay=True)
Adam(lr=0.1, foreach=True)
Adam(lr=0.1, fused=True)
AdamW()
AdamW(lr=0.1, weight_decay=0.2)
AdamW(lr=0.1, amsgrad=True, weight_decay=0.2, maximize=True)
AdamW(lr=0.1, betas=(0.5, 0.6), eps=0.1)
Adamax()
Adamax(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1, maximize=True)
NAdam()
NAdam(lr=0.1, weight_decay=0.1, momentum_decay=0.01)
NAdam(lr=0.1, weight_decay=0.1, decoupled_weight_decay=True, maximize=True)
RAdam()
RAdam(lr=0.1, weight_decay=0.1)
RAdam(lr=0.1, betas=(0.9, 0.9), weight_decay=0.1, decoupled_weight_decay=True, maximize=True)
RMSprop()
RMSprop(lr=0.05, momentum=0.9, weight_decay=0.1)
RMSprop(lr=0.05, centered=True)
RMSprop(lr=0.05, alpha=0.9, eps=1e-3, centered=True, momentum=0.5, maximize=True)
Adagrad()
Adagrad(lr=0.3, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5, maximize=True)
Adadelta()
Adadelta(lr=0.5, rho=0.8, eps=1e-3, weight_decay=0.1, maximize=True)
ASGD()
ASGD(lr=0.1, lambd=0.01, alpha=0.5, t0=10, weight_decay=0.1, maximize=True)
Rprop()
Rprop(lr=0.1, etas=(0.4, 1.3), step_sizes=(1e-4, 0.5), maximize=True)
Adafactor()
Adafactor(lr=0.1, weight_decay=0.1, maximize=True)
Adafactor(lr=0.5, eps=(1e-6, 1e-2), d=2.0, beta2_decay=-0.5)
""".strip().split("\n")
MATRICES = ["Muon()", "Muon(lr=0.1, nesterov=False, weight_decay=0)",
            "Muon(lr=0.1, adjust_lr_fn='match_rms_adamw', ns_steps=3, momentum=0.8)"]
SHAPES = [(3, 4), (5,), (), (2, 3, 4), (1, 6)]


class Both:
    """The same parameters with the same optimizer in both libraries, pulled by the same slopes."""

    def __init__(self, line: str, kind=np.float32, shapes=SHAPES, groups: int = 1, seed: int = 0, **more):
        self.rng, self.kind = np.random.default_rng(seed), kind
        starts = [self.numbers(shape) for shape in shapes]
        self.goals = [self.numbers(shape) for shape in shapes]
        self.stretch = [np.exp(self.numbers(shape)) for shape in shapes]
        self.theirs = [torch.nn.Parameter(torch.tensor(x)) for x in starts]
        self.ours = [Parameter(tinytorch.tensor(x)) for x in starts]
        name, _, settings = line.partition("(")
        settings = eval(f"dict({settings}") | more
        self.their_optimizer, self.our_optimizer = [
            getattr(library, name)(grouped(ps, groups), **settings)
            for library, ps in ((torch.optim, self.theirs), (optim, self.ours))]

    def numbers(self, shape): return np.asarray(self.rng.standard_normal(shape), self.kind)

    def step(self, n: int) -> None:
        """One step of both; now and then a parameter has no gradient."""
        for i, (p, q, goal, stretch) in enumerate(zip(self.theirs, self.ours, self.goals, self.stretch)):
            if n % 7 == i + 1:
                p.grad = q.grad = None
                continue
            slope = stretch * (p.detach().numpy() - goal) + self.kind(0.1) * self.numbers(p.shape)
            p.grad, q.grad = torch.tensor(slope), tinytorch.tensor(slope)
        self.their_optimizer.step(), self.our_optimizer.step()

    def agree(self, tolerance: float) -> None:
        for p, q in zip(self.theirs, self.ours):
            assert q.array.dtype == self.kind
            np.testing.assert_allclose(q.array, p.detach().numpy(), rtol=tolerance, atol=tolerance)


def grouped(parameters: list, groups: int):
    """Parameters as a list, or in groups with rates of their own."""
    if groups == 1: return parameters
    return [{"params": parameters[n::groups], "lr": 0.02 * (n + 1)} for n in range(groups)]


def tolerance(kind) -> float: return 1e-5 if kind is np.float32 else 1e-9


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("line", SETTINGS)
def test_fifty_steps(line, kind):
    both = Both(line, kind)
    for n in range(50): both.step(n)
    both.agree(tolerance(kind))


@pytest.mark.parametrize("line", [line for line in SETTINGS if line.endswith("()")])
def test_fifty_steps_in_groups(line):
    both = Both(line, np.float64, groups=2)
    for n in range(50): both.step(n)
    both.agree(1e-9)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("line", MATRICES)
def test_fifty_steps_of_matrices(line, kind):
    both = Both(line, kind, shapes=[(3, 4), (6, 2), (1, 5), (4, 4)])
    for n in range(50): both.step(n)
    both.agree(1e-4)                    # its steps are rounded to bfloat16, which has three digits


@pytest.mark.parametrize("line", ["SGD(momentum=0.9)", "Adam(lr=0.1, weight_decay=0.1)", "Adagrad()"])
def test_large_parameters_in_pieces(line):
    both = Both(line, shapes=[(300, 400), (70_001,), (2, 50_000)])
    for n in range(5): both.step(n)
    both.agree(1e-5)


@pytest.mark.parametrize("line", ["SGD(lr=0.1, momentum=0.9)", "AdamW(lr=0.1)"])
def test_bfloat16_parameters(line):
    both = Both(line, shapes=[(30,)])
    p, q = both.theirs[0], both.ours[0]
    p.data, q.data = p.data.bfloat16(), q.data.to(tinytorch.bfloat16)
    for _ in range(10):
        slope = both.numbers((30,))
        p.grad, q.grad = torch.tensor(slope).bfloat16(), tinytorch.tensor(slope).to(tinytorch.bfloat16)
        both.their_optimizer.step(), both.our_optimizer.step()
    assert q.dtype is tinytorch.bfloat16
    found, wanted = q.data.to(tinytorch.float32).array, p.detach().float().numpy()
    np.testing.assert_allclose(found, wanted, rtol=0.05, atol=0.05)     # the order of roundings differs


def test_a_rate_may_be_a_tensor_and_may_change():
    for line in ("SGD(momentum=0.5)", "Adam()", "RMSprop()"):
        both = Both(line)
        for group in both.their_optimizer.param_groups: group["lr"] = torch.tensor(0.25)
        for group in both.our_optimizer.param_groups: group["lr"] = tinytorch.tensor(0.25)
        for n in range(20):
            both.step(n)
            for optimizer in (both.their_optimizer, both.our_optimizer):
                optimizer.param_groups[0]["lr"].mul_(0.5)
        both.agree(1e-5)

# ------------------------------------------------------------------------------------------ state dicts


def to_torch(x):
    """The same, with PyTorch's tensors."""
    if isinstance(x, tinytorch.Tensor): return torch.tensor(x.array)
    if isinstance(x, dict): return {key: to_torch(value) for key, value in x.items()}
    if isinstance(x, list): return [to_torch(value) for value in x]
    return x


def same_state(ours: dict, theirs: dict) -> None:
    for mine, other in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert list(mine.items()) == list(other.items())
    assert list(ours["state"]) == list(theirs["state"])
    for key, kept in theirs["state"].items():
        assert list(ours["state"][key]) == list(kept), "the same names in the same order"
        for name, value in kept.items():
            mine = ours["state"][key][name]
            assert mine.array.dtype.name == str(value.dtype).removeprefix("torch."), name
            np.testing.assert_allclose(mine.array, value.numpy(), rtol=2e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("line", [line for line in SETTINGS if "use" not in line and "foreach" not in line])
def test_state_dicts_have_pytorchs_layout(line):
    both = Both(line, groups=2)
    same_state(both.our_optimizer.state_dict(), both.their_optimizer.state_dict())
    for n in range(5): both.step(n)
    same_state(both.our_optimizer.state_dict(), both.their_optimizer.state_dict())


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("line", [line for line in SETTINGS if "lr=0.1, " in line] + ["Adam()", "Rprop()"])
def test_a_state_goes_on_in_the_other_library(line, kind, tmp_path):
    """Ten steps; then each takes the other's state, through a file, and forty more."""
    both = Both(line, kind)
    for n in range(10): both.step(n)
    torch.save(both.their_optimizer.state_dict(), tmp_path / "theirs.pt")
    (tmp_path / "ours.pickle").write_bytes(pickle.dumps(both.our_optimizer.state_dict()))

    fresh = Both(line, kind, seed=1)
    fresh.goals, fresh.stretch, fresh.rng = both.goals, both.stretch, both.rng
    for p, q, mine, other in zip(fresh.theirs, fresh.ours, both.ours, both.theirs):
        p.data, q.data = torch.tensor(mine.array), tinytorch.tensor(other.detach().numpy())
    fresh.our_optimizer.load_state_dict(torch.load(tmp_path / "theirs.pt"))
    fresh.their_optimizer.load_state_dict(to_torch(pickle.loads((tmp_path / "ours.pickle").read_bytes())))
    for n in range(10, 50): fresh.step(n)
    fresh.agree(tolerance(kind))


def test_a_loaded_state_is_a_copy_in_the_parameters_dtype():
    source, target = Both("Adam()"), Both("Adam()", np.float64)
    source.step(0)
    state = source.our_optimizer.state_dict()
    target.our_optimizer.load_state_dict(state)
    kept = target.our_optimizer.state[target.ours[0]]
    assert kept["exp_avg"].dtype is tinytorch.float64 and kept["step"].dtype is tinytorch.float32
    kept["exp_avg"].fill_(7)
    assert 7 not in state["state"][0]["exp_avg"].array


def test_a_state_without_some_settings_gets_the_defaults():
    both = Both("AdamW()")
    state = both.our_optimizer.state_dict()
    for group in state["param_groups"]: del group["amsgrad"], group["decoupled_weight_decay"]
    both.our_optimizer.load_state_dict(state)
    assert both.our_optimizer.param_groups[0]["amsgrad"] is False
    adam = Both("Adam()").our_optimizer.state_dict()
    both.our_optimizer.load_state_dict(adam)
    assert both.our_optimizer.param_groups[0]["decoupled_weight_decay"] is True, "AdamW stays AdamW"


def test_an_optimizer_can_be_copied_and_pickled():
    both = Both("Adam(lr=0.1)")
    both.step(0)
    for other in (copy.deepcopy(both.our_optimizer), pickle.loads(pickle.dumps(both.our_optimizer))):
        same_state(other.state_dict(), both.their_optimizer.state_dict())
        for p in other.param_groups[0]["params"]: p.grad = tinytorch.ones_like(p.data)
        other.step()

# ------------------------------------------------------------------------------------ lines on both


def optimizers(t):
    rng = np.random.default_rng(3)
    def p(*shape): return t.nn.Parameter(t.tensor(rng.standard_normal(shape).astype(np.float32)))
    a, b = p(3), p(2, 2)
    a.grad = t.ones(3)
    return {"a": a, "b": b, "p": p, "o": t.optim, "sgd": t.optim.SGD([a], lr=0.5), "computed": a * 2}


LINES = """
o.SGD([])
o.SGD(a)
o.SGD({a})
o.SGD([3])
o.SGD([{"params": {a}}])
o.SGD([computed])
o.SGD([a, ("name", b)])
o.SGD([("first", a), ("second", b)]).param_groups[0]["param_names"]
o.SGD([("first", a), ("second", b)]).state_dict()["param_groups"][0]["param_names"]
repr(o.SGD([a, b], lr=0.1))
repr(o.Adam([{"params": [a], "lr": 0.1}, {"params": [b]}]))
repr(o.LBFGS([a]))
sgd.add_param_group({"params": b, "lr": 3.0}); [len(g["params"]) for g in sgd.param_groups]
sgd.add_param_group({"params": b, "lr": 3.0}); sgd.param_groups[1]["lr"]
sgd.add_param_group({"params": b}); sgd.param_groups[1]["momentum"]
sgd.add_param_group({"params": [a]})
sgd.add_param_group([b])
sgd.add_param_group({"params": [("b", b)]})
sgd.zero_grad(); a.grad
sgd.zero_grad(set_to_none=False); a.grad
sgd.step()
sgd.step(lambda: 4.0)
sgd.step(); a.data
sgd.step(); sgd.state_dict()["state"]
sgd.load_state_dict({"state": {}, "param_groups": []})
sgd.load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]})
sgd.load_state_dict({"state": {}, "param_groups": [{"params": [7], "lr": 0.25}]}); sgd.param_groups[0]["lr"]
o.Optimizer([a], {"lr": 1.0}).step()
o.SGD([a], lr=-1)
o.SGD([a], momentum=-1)
o.SGD([a], weight_decay=-1)
o.SGD([a], nesterov=True)
o.SGD([a], momentum=0.5, dampening=0.5, nesterov=True)
o.SGD([a], lr=t.ones(2))
o.SGD([a], foreach=True, fused=True)
o.Adam([a], lr=float("nan"))
o.Adam([a], betas=(1.0, 0.9))
o.Adam([a], betas=(0.9, -0.1))
o.Adam([a], eps=-1)
o.Adam([a], weight_decay=-1)
o.Adam([a], fused=True, differentiable=True)
o.Adam([a], fused=True, foreach=True)
o.AdamW([a], eps=-1)
o.Adamax([a], betas=(0.9, 1.5))
o.NAdam([a], momentum_decay=-1)
o.RAdam([a], lr=-1)
o.RMSprop([a], alpha=-1)
o.RMSprop([a], momentum=-1)
o.Adagrad([a], lr_decay=-1)
o.Adagrad([a], initial_accumulator_value=-1)
o.Adadelta([a], rho=1.5)
o.ASGD([a], weight_decay=-1)
o.Rprop([a], etas=(1.5, 1.2))
o.Rprop([a], etas=(0.5, 0.9))
o.LBFGS([{"params": [a]}, {"params": [b]}])
o.LBFGS([a], lr=-1)
o.LBFGS([a]).step()
o.LBFGS([a], line_search_fn="no").step(lambda: 1.0)
o.LBFGS([a], max_iter=8).defaults["max_eval"]
o.Adafactor([a], beta2_decay=0.5)
o.Adafactor([a], d=0.5)
o.Adafactor([a], eps=(-1, 1e-3))
o.Adafactor([a], lr=-1)
o.Muon([a])
o.Muon([b], adjust_lr_fn="no")
o.Muon([b], momentum=-1)
b.grad = t.ones(2, 2); o.Muon([b], ns_steps=100).step()
b.grad = t.ones(2, 2); o.Muon([b], ns_coefficients=(1.0, 2.0)).step()
""".strip().split("\n")


@pytest.mark.parametrize("line", LINES)
def test_a_line(line, agree): agree(line, optimizers)


def test_a_parameter_twice_in_a_group_warns_in_both():
    for t in (torch, tinytorch):
        p = t.nn.Parameter(t.ones(1))
        with pytest.warns(UserWarning, match="group"): t.optim.SGD([p, p])


@pytest.mark.parametrize("wish", ["differentiable", "capturable"])
@pytest.mark.parametrize("name", ["Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "ASGD", "Rprop"])
def test_wishes_that_cannot_be_granted_are_refused(name, wish):
    with pytest.raises(NotImplementedError, match=r"graph|flow"):
        getattr(optim, name)([Parameter(tinytorch.ones(1))], **{wish: True})

# --------------------------------------------------------------------------------------------- hooks


def played(t, line):
    """What hooks heard, in both libraries."""
    heard, p = [], t.nn.Parameter(t.tensor([1.0]))
    p.grad = t.tensor([1.0])
    sgd = t.optim.SGD([p], lr=0.5, momentum=0.5)
    hooks = import_module(f"{t.__name__}.optim.optimizer")
    exec(line, {"o": sgd, "t": t, "heard": heard, "p": p, "hooks": hooks})
    return heard


HOOKED = """
o.register_step_pre_hook(lambda o, args, kwargs: heard.append(("pre", len(args), kwargs))); o.step(); o.step(None)
o.register_step_post_hook(lambda o, args, kwargs: heard.append(p.item())); o.step()
h = o.register_step_post_hook(lambda o, args, kwargs: heard.append(p.item())); o.step(); h.remove(); o.step()
o.register_step_pre_hook(lambda o, a, k: (a, {"closure": lambda: heard.append(3)})); o.step()
h = hooks.register_optimizer_step_pre_hook(lambda *x: heard.append("every")); o.step(); h.remove(); o.step()
h = hooks.register_optimizer_step_post_hook(lambda *x: heard.append("every")); o.step(); h.remove(); o.step()
o.register_state_dict_pre_hook(lambda o: heard.append("before")); o.state_dict()
o.register_state_dict_post_hook(lambda o, s: heard.append(sorted(s)) or {"other": 1}); heard.append(o.state_dict())
o.register_state_dict_pre_hook(lambda o: heard.append(1)); o.register_state_dict_pre_hook(lambda o: heard.append(2), prepend=True); o.state_dict()
s = o.state_dict(); o.register_load_state_dict_pre_hook(lambda o, s: heard.append(sorted(s))); o.load_state_dict(s)
s = o.state_dict(); o.register_load_state_dict_pre_hook(lambda o, x: {**x, "param_groups": [{**x["param_groups"][0], "lr": 9.0}]}); o.load_state_dict(s); heard.append(o.param_groups[0]["lr"])
s = o.state_dict(); o.register_load_state_dict_post_hook(lambda o: heard.append("after")); o.load_state_dict(s)
""".strip().split("\n")         # noqa: E501    a line is a program


@pytest.mark.parametrize("line", HOOKED)
def test_hooks_hear_what_pytorchs_hear(line):
    assert played(tinytorch, line) == played(torch, line)


def test_a_pre_hook_returns_two_things_or_none():
    for t in (torch, tinytorch):
        with pytest.raises(RuntimeError): played(t, "o.register_step_pre_hook(lambda *x: 3); o.step()")


def test_a_step_of_ones_own_is_announced_and_a_part_of_it_is_not():
    class Loud(optim.SGD):
        def step(self, closure=None):
            heard.append("mine")
            return super().step(closure)
    heard, p = [], Parameter(tinytorch.ones(1))
    loud = Loud([p])
    loud.register_step_pre_hook(lambda *x: heard.append("hook"))
    loud.step()
    assert heard == ["hook", "mine"]


def test_an_optimizer_written_for_pytorch_runs():
    program = """
class Signs(t.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))

    @t.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with t.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                state["n"] = state.get("n", 0) + 1
                p.add_(t.sign(p.grad), alpha=-group["lr"] / state["n"])
        return loss
p = t.nn.Parameter(t.tensor([1.0, -2.0, 3.0]))
signs = Signs([p])
def closure():
    signs.zero_grad()
    loss = (p * p).sum()
    loss.backward()
    return loss
losses = [signs.step(closure).item() for _ in range(5)]
"""
    results = []
    for t in (torch, tinytorch):
        scope = {"t": t}
        exec(program, scope)
        results.append(scope["losses"])
    np.testing.assert_allclose(*results, rtol=1e-6)
    assert ours_module.Optimizer is optim.Optimizer

# --------------------------------------------------------------------------------------------- LBFGS


def banana(v): return ((1 - v[:-1]) ** 2 + 100 * (v[1:] - v[:-1] ** 2) ** 2).sum()


def banana_slope(v):
    g, d = np.zeros_like(v), v[1:] - v[:-1] ** 2
    g[:-1] += -2 * (1 - v[:-1]) - 400 * v[:-1] * d
    g[1:] += 200 * d
    return g


def bowl(v): return (v * v * np.arange(1, len(v) + 1)).sum()
def bowl_slope(v): return 2 * v * np.arange(1, len(v) + 1).astype(v.dtype)
def flat(v): return 0 * v.sum()
def flat_slope(v): return 0 * v


class Descent:
    """LBFGS of one library on a surface; remembers where it looked."""

    def __init__(self, t, kind, height, slope, **settings):
        self.t, self.height, self.slope, self.seen = t, height, slope, []
        start = np.array([-1.5, 2.0, 0.5, -0.3, 1.2], kind)
        self.ps = [t.nn.Parameter(t.tensor(part)) for part in (start[:2], start[2:].reshape(3, 1))]
        self.optimizer = t.optim.LBFGS(self.ps, **settings)

    def at(self): return np.concatenate([p.detach().numpy().ravel() for p in self.ps])

    def closure(self):
        v = self.at()
        self.seen.append(v)
        g = self.slope(v)
        for p, part in zip(self.ps, (g[:2], g[2:].reshape(3, 1))): p.grad = self.t.tensor(part)
        return self.t.tensor(self.height(v))


SURFACES = [
    (banana, banana_slope, {"lr": 0.01}),
    (banana, banana_slope, {"line_search_fn": "strong_wolfe"}),
    (banana, banana_slope, {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 5, "lr": 0.5}),
    (banana, banana_slope, {"line_search_fn": "strong_wolfe", "max_iter": 30, "max_eval": 7}),
    (banana, banana_slope, {"line_search_fn": "strong_wolfe", "tolerance_change": 0.5}),
    (bowl, bowl_slope, {}),
    (bowl, bowl_slope, {"max_iter": 4, "max_eval": 3}),
    (bowl, bowl_slope, {"tolerance_grad": 1.0}),
    (flat, flat_slope, {}),
]


@pytest.mark.parametrize("surface", SURFACES, ids=lambda s: f"{s[0].__name__} {s[2]}")
def test_lbfgs_looks_where_pytorchs_looks(surface):
    theirs, ours = [Descent(t, np.float64, *surface[:2], **surface[2]) for t in (torch, tinytorch)]
    for _ in range(6):
        losses = [d.optimizer.step(d.closure).item() for d in (theirs, ours)]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)
    assert len(ours.seen) == len(theirs.seen), "as many looks at the loss"
    np.testing.assert_allclose(ours.seen, theirs.seen, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.at(), theirs.at(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("surface", [SURFACES[0], SURFACES[5]], ids=lambda s: s[0].__name__)
def test_lbfgs_in_float32(surface):
    theirs, ours = [Descent(t, np.float32, *surface[:2], **surface[2]) for t in (torch, tinytorch)]
    for _ in range(6): theirs.optimizer.step(theirs.closure), ours.optimizer.step(ours.closure)
    assert ours.at().dtype == np.float32
    np.testing.assert_allclose(ours.at(), theirs.at(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_goes_on_in_the_other_library(search):
    theirs, ours = [Descent(t, np.float64, bowl, bowl_slope, max_iter=2, line_search_fn=search)
                    for t in (torch, tinytorch)]
    for d in (theirs, ours): d.optimizer.step(d.closure)
    saved = theirs.optimizer.state_dict(), to_torch(ours.optimizer.state_dict())
    ours.optimizer.load_state_dict(saved[0]), theirs.optimizer.load_state_dict(saved[1])
    for _ in range(3):
        for d in (theirs, ours): d.optimizer.step(d.closure)
    np.testing.assert_allclose(ours.at(), theirs.at(), rtol=1e-7, atol=1e-10)


def test_lbfgs_fits_with_backward():
    p = Parameter(tinytorch.tensor([-1.5, 2.0]))
    optimizer = optim.LBFGS([p], line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        a, b = p[1] - p[0] * p[0], 1 - p[0]
        loss = 100 * a * a + b * b
        loss.backward()
        return loss

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4): optimizer.step(closure)
    np.testing.assert_allclose(p.tolist(), [1, 1], atol=1e-3)
