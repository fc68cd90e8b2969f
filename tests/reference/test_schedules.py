"""Schedules against PyTorch: two hundred epochs, chained ones too, state dicts in both directions, errors."""

import pickle
import warnings

import numpy as np
import pytest

import tinytorch

torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")

SCHEDULES = """
S.LambdaLR(o, [lambda e: 0.95**e, lambda e: 1 / (1 + e)])
S.LambdaLR(o, lambda e: 0.5)
S.MultiplicativeLR(o, lambda e: 0.97)
S.MultiplicativeLR(o, [lambda e: 0.97, lambda e: 1.01])
S.StepLR(o, 30)
S.StepLR(o, step_size=7, gamma=0.9)
S.MultiStepLR(o, [10, 50, 50, 120], 0.3)
S.ConstantLR(o)
S.ConstantLR(o, factor=0.3, total_iters=40)
S.LinearLR(o)
S.LinearLR(o, 0.1, 0.8, 60)
S.LinearLR(o, 1.0, 0.0, 150)
S.ExponentialLR(o, 0.98)
S.PolynomialLR(o)
S.PolynomialLR(o, 150, 2.0)
S.CosineAnnealingLR(o, 37, eta_min=0.001)
S.CosineAnnealingLR(o, 100)
S.CosineAnnealingLR(o, 1)
S.CosineAnnealingWarmRestarts(o, 15)
S.CosineAnnealingWarmRestarts(o, 15, 2, eta_min=0.001)
S.CyclicLR(o, 0.001, 0.1, step_size_up=23)
S.CyclicLR(o, 0.001, 0.1, step_size_up=23, step_size_down=11, mode="triangular2")
S.CyclicLR(o, [0.001, 0.01], [0.1, 0.2], step_size_up=20, mode="exp_range", gamma=0.99, base_momentum=0.5)
S.CyclicLR(o, 0.001, 0.1, 20, scale_fn=lambda x: 0.9**x, scale_mode="iterations", cycle_momentum=False)
S.OneCycleLR(o, 0.1, total_steps=200)
S.OneCycleLR(o, [0.1, 0.3], total_steps=210, pct_start=0.5, div_factor=10, final_div_factor=100)
S.OneCycleLR(o, 0.1, epochs=21, steps_per_epoch=10, three_phase=True, anneal_strategy="linear", pct_start=0.4)
S.OneCycleLR(o, 0.1, total_steps=200, cycle_momentum=False)
S.SequentialLR(o, [S.LinearLR(o, 0.1, 1, 20), S.CosineAnnealingLR(o, 99), S.ExponentialLR(o, 0.9)], [20, 120])
S.SequentialLR(o, [S.SequentialLR(o, [S.StepLR(o, 5), S.ExponentialLR(o, 0.9)], [30]), S.ConstantLR(o)], [60])
S.SequentialLR(o, [S.ExponentialLR(o, 0.9)], [])
S.SequentialLR(o, [S.LambdaLR(o, lambda e: 0.1), S.CosineAnnealingWarmRestarts(o, 20)], [10])
S.ChainedScheduler([S.ConstantLR(o, 0.1, 20), S.ExponentialLR(o, 0.98), S.StepLR(o, 30)])
S.ChainedScheduler([S.CosineAnnealingLR(o, 50), S.LinearLR(o, total_iters=30)], optimizer=o)
S.ChainedScheduler([S.MultiStepLR(o, [5, 80]), S.PolynomialLR(o, 190), S.MultiplicativeLR(o, lambda e: 0.99)])
W.SWALR(o, [0.03, 0.01], anneal_epochs=30)
W.SWALR(o, 0.03, anneal_epochs=7, anneal_strategy="linear")
W.SWALR(o, 0.03, anneal_epochs=0)
""".strip().split("\n")


def made(t, name: str = "SGD", **settings):
    """An optimizer with two groups, and the names that a line may use."""
    ps = [t.nn.Parameter(t.tensor([1.0])) for _ in range(2)]
    settings = settings or ({"momentum": 0.9} if name == "SGD" else {})
    o = getattr(t.optim, name)([{"params": ps[:1], "lr": 0.2}, {"params": ps[1:]}], lr=0.05, **settings)
    return {"o": o, "S": t.optim.lr_scheduler, "W": t.optim.swa_utils, "t": t, "np": np}


def written(group: dict) -> list[float]:
    """What schedules write into a group."""
    return [float(group["lr"]), float(group.get("momentum", 0)), float(group.get("betas", (0,))[0])]


def epochs(scope: dict, schedule, n: int) -> list:
    """What n epochs bring."""
    found = []
    for _ in range(n):
        scope["o"].step()
        schedule.step()
        last = schedule.get_last_lr()
        found.append([*[x for group in scope["o"].param_groups for x in written(group)], *map(float, last)])
    return found


@pytest.fixture(autouse=True)
def quiet():
    """PyTorch's chained schedules warn about the order in which they step themselves."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call|.*before optimizer.step")
        yield


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("line", SCHEDULES)
def test_two_hundred_epochs(line, name):
    theirs, ours = [made(t, name) for t in (torch, tinytorch)]
    found = [epochs(scope, eval(line, scope), 200) for scope in (theirs, ours)]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=1e-15)


def plain(state):
    """A state without what only one library keeps."""
    skipped = ("_get_lr_called_within_step", "_is_initial", "mode_worse")
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items() if key not in skipped}
    return [plain(value) for value in state] if isinstance(state, list) else state


@pytest.mark.parametrize("line", [line for line in SCHEDULES if "lambda" not in line])
def test_a_schedule_goes_on_in_the_other_library(line):
    """Fifty epochs, then each takes the other's state, through a file, and fifty more."""
    first = [made(t) for t in (torch, tinytorch)]
    schedules = [eval(line, scope) for scope in first]
    for scope, schedule in zip(first, schedules): epochs(scope, schedule, 50)
    saved = [pickle.loads(pickle.dumps(schedule.state_dict())) for schedule in schedules]
    assert plain(saved[0]).keys() == plain(saved[1]).keys()

    second = [made(t) for t in (torch, tinytorch)]
    fresh = [eval(line, scope) for scope in second]
    for scope, schedule, state, source in zip(second, fresh, reversed(saved), reversed(first)):
        schedule.load_state_dict(state)
        for group, other in zip(scope["o"].param_groups, source["o"].param_groups):
            group.update({key: value for key, value in other.items() if key != "params"})
    found = [epochs(scope, schedule, 50) for scope, schedule in zip(second, fresh)]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("line", ["S.StepLR(o, 3)", "S.MultiStepLR(o, [2, 4])", "S.ExponentialLR(o, 0.5)",
                                  "S.CosineAnnealingLR(o, 7)", "S.LinearLR(o)", "S.ConstantLR(o)",
                                  "S.PolynomialLR(o)", "S.LambdaLR(o, lambda e: 1 / (1 + e))"])
def test_an_epoch_may_be_named(line):
    found = []
    for t in (torch, tinytorch):
        scope = made(t)
        schedule = eval(line, scope)
        for epoch in (4, 9, 2):
            scope["o"].step()
            with pytest.warns(UserWarning): schedule.step(epoch)
            found.append([float(group["lr"]) for group in scope["o"].param_groups])
    np.testing.assert_allclose(found[3:], found[:3], rtol=1e-12)


def test_warm_restarts_take_fractions_of_epochs():
    for line in ("S.CosineAnnealingWarmRestarts(o, 4)", "S.CosineAnnealingWarmRestarts(o, 3, 2)"):
        found = []
        for t in (torch, tinytorch):
            scope = made(t)
            schedule = eval(line, scope)
            for epoch in (0.5, 2.75, 4.0, 10.5, 22, 1):
                schedule.step(epoch)
                found.append(schedule.get_last_lr())
            for _ in range(5):
                schedule.step()
                found.append(schedule.get_last_lr())
        np.testing.assert_allclose(found[11:], found[:11], rtol=1e-12)


@pytest.mark.parametrize("settings", [
    "patience=2", "patience=0, factor=0.5, cooldown=3", "mode='max', patience=1", "threshold_mode='abs', "
    "threshold=0.05, patience=1", "mode='max', threshold_mode='abs', threshold=0.5, patience=1",
    "min_lr=[0.01, 0.02], patience=0", "min_lr=0.04, eps=0.005, patience=1, factor=0.9",
])
def test_a_plateau(settings):
    losses = np.cumsum(np.random.default_rng(4).normal(-0.01, 0.3, 200)) + 5
    found = []
    for t in (torch, tinytorch):
        scope = made(t)
        schedule = eval(f"S.ReduceLROnPlateau(o, {settings})", scope)
        for n, loss in enumerate(losses):
            schedule.step(t.tensor(loss) if n % 2 else float(loss))
            found.append([*schedule.get_last_lr(), schedule.num_bad_epochs, schedule.best])
    np.testing.assert_allclose(found[200:], found[:200], rtol=1e-6)


def test_a_plateau_goes_on_in_the_other_library():
    schedules = [eval("S.ReduceLROnPlateau(o, patience=1)", made(t)) for t in (torch, tinytorch)]
    for schedule in schedules:
        for loss in (3.0, 2.0, 2.5): schedule.step(loss)
    saved = [schedule.state_dict() for schedule in schedules]
    assert plain(saved[0]) == plain(saved[1])
    for schedule, state in zip(schedules, reversed(saved)):
        schedule.load_state_dict(state)
        for loss in (2.5, 2.5): schedule.step(loss)
    assert schedules[0].get_last_lr() == schedules[1].get_last_lr()


def test_a_rate_that_is_a_tensor_is_written_into():
    p = tinytorch.nn.Parameter(tinytorch.tensor([1.0]))
    lr = tinytorch.tensor(0.5)
    optimizer = tinytorch.optim.SGD([p], lr=lr)
    schedule = tinytorch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step(), schedule.step()
    assert optimizer.param_groups[0]["lr"] is lr and lr.item() == 0.25


def test_the_wrong_order_warns_in_both():
    for t in (torch, tinytorch):
        schedule = eval("S.ExponentialLR(o, 0.5)", made(t))
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            schedule.step()
        assert ["optimizer.step" in str(one.message) for one in heard] == [True]


def test_an_object_that_is_a_function_is_saved_by_its_attributes():
    class Factor:
        def __init__(self, name): self.name = name
        def __call__(self, epoch): return 0.5
    for line in ("S.LambdaLR(o, f)", "S.MultiplicativeLR(o, f)", "S.CyclicLR(o, 0.1, 0.2, scale_fn=f)"):
        for t in (torch, tinytorch):
            mine, yours = Factor("mine"), Factor("yours")
            saved, other = [eval(line, made(t) | {"f": f}) for f in (mine, yours)]
            other.load_state_dict(saved.state_dict())
            assert yours.name == "mine" and yours is not mine


def test_a_schedule_of_ones_own():
    for t in (torch, tinytorch):
        class Halves(t.optim.lr_scheduler.LRScheduler):
            def get_lr(self): return [lr / 2**self.last_epoch for lr in self.base_lrs]
        scope = made(t)
        assert epochs(scope, Halves(scope["o"]), 2)[-1][-2:] == [0.05, 0.0125]
        assert issubclass(Halves, t.optim.lr_scheduler._LRScheduler) is (t is tinytorch)


LINES = """
S.StepLR(3, 1)
S.LambdaLR(o, [lambda e: 1])
S.MultiplicativeLR(o, 3)
S.ConstantLR(o, factor=2)
S.LinearLR(o, start_factor=0)
S.LinearLR(o, end_factor=2)
S.CosineAnnealingWarmRestarts(o, 0)
S.CosineAnnealingWarmRestarts(o, 3, T_mult=0.5)
S.CosineAnnealingWarmRestarts(o, 3, eta_min="a")
S.CosineAnnealingWarmRestarts(o, 3).step(-1)
S.CyclicLR(o, 0.1, [0.2])
S.CyclicLR(o, 0.1, 0.2, mode="no")
S.CyclicLR(t.optim.Adagrad(o.param_groups[0]["params"]), 0.1, 0.2)
S.CyclicLR(7, 0.1, 0.2)
S.OneCycleLR(o, 0.1)
S.OneCycleLR(o, 0.1, epochs=3)
S.OneCycleLR(o, 0.1, total_steps=-1)
S.OneCycleLR(o, 0.1, epochs=-1, steps_per_epoch=3)
S.OneCycleLR(o, 0.1, total_steps=10, pct_start=2.0)
S.OneCycleLR(o, 0.1, total_steps=10, anneal_strategy="no")
S.OneCycleLR(o, [0.1], total_steps=10)
S.SequentialLR(o, [], [])
S.SequentialLR(o, [S.ConstantLR(o)], [3])
S.SequentialLR(o, [S.ReduceLROnPlateau(o)], [])
S.SequentialLR(o, [3], [])
S.ChainedScheduler([])
S.ChainedScheduler([S.ReduceLROnPlateau(o)])
S.ChainedScheduler([S.ConstantLR(o)], t.optim.SGD(o.param_groups[0]["params"], 0.1))
S.ReduceLROnPlateau(3)
S.ReduceLROnPlateau(o, factor=1.5)
S.ReduceLROnPlateau(o, mode="no")
S.ReduceLROnPlateau(o, threshold_mode="no")
S.ReduceLROnPlateau(o, min_lr=[0.1])
S.StepLR(o, 3, last_epoch=5)
S.LRScheduler(o)
W.SWALR(o, [0.1])
W.SWALR(o, 0.1, anneal_strategy="no")
W.SWALR(o, 0.1, anneal_epochs=-1)
s = S.OneCycleLR(o, 0.1, total_steps=2); [(o.step(), s.step()) for _ in range(4)]
sorted(S.StepLR(o, 3).state_dict())[-1]
S.StepLR(o, 3).base_lrs
S.StepLR(o, 3).last_epoch
""".strip().split("\n")


@pytest.mark.parametrize("line", LINES)
def test_a_line(line, agree): agree(line, made)
