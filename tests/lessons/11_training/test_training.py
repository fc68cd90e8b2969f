"""Lesson 11 on runs that the lesson's checks do not use: averages, steps, orders, power cuts."""

import copy
import itertools
import json
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, manual_seed, nn, tensor
from tinytorch.chance import restore, states_of
from tinytorch.layers import Module, Parameter
from tinytorch.optim import SGD, Adam
from tinytorch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR
from tinytorch.states import packed, unpacked
from tinytorch.training import (
    Accuracy,
    Callback,
    Checkpoints,
    EarlyStopping,
    Mean,
    Patience,
    Trainer,
    evaluate,
    go_on,
    groups,
    learn,
    remaining,
    right,
    state_of,
    write_safely,
)
from tinytorch.utils.data import DataLoader, RandomSampler, TensorDataset

rng = np.random.default_rng(11)


def numbers(*shape, kind=np.float32): return rng.standard_normal(shape).astype(kind)


def cuts(n: int) -> list[int]:
    """Random sizes of batches that add up to n."""
    places = np.unique(rng.integers(1, n, rng.integers(0, 6)))
    return np.diff([0, *places, n]).tolist()


# ------------------------------------------------------------------------------------------- averages

@pytest.mark.parametrize("sizes", [cuts(20) for _ in range(8)], ids=str)
def test_an_average_does_not_depend_on_how_it_was_cut(sizes):
    values, mean = numbers(20, kind=float), Mean()
    for part in np.split(values, np.cumsum(sizes)[:-1]): mean.update(part.mean(), len(part))
    assert math.isclose(mean.compute(), values.mean(), rel_tol=1e-12, abs_tol=1e-12)
    twin = Mean()
    twin.load_state_dict(json.loads(json.dumps(mean.state_dict())))
    twin.update(3.0), mean.update(3.0)
    assert twin.compute() == mean.compute(), "and goes on from its state"


@pytest.mark.parametrize("sizes", [cuts(30) for _ in range(5)], ids=str)
def test_right_answers_are_counted_as_numpy_counts_them(sizes):
    scores, labels, accuracy = numbers(30, 7), rng.integers(0, 7, 30), Accuracy()
    expected = (scores.argmax(1) == labels).sum()
    assert right(Tensor(scores), Tensor(labels)) == expected
    assert right(Tensor(scores), Tensor(np.eye(7, dtype=np.float32)[labels] * 0.9 + 0.01)) == expected
    places = np.cumsum(sizes)[:-1]
    for x, y in zip(np.split(scores, places), np.split(labels, places)): accuracy.update(Tensor(x), Tensor(y))
    assert accuracy.compute() == expected / 30


def test_a_network_is_judged_at_work_and_left_as_it_was():
    net = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5), nn.BatchNorm1d(3))
    x, y = numbers(17, 5), rng.integers(0, 3, 17)
    loader = DataLoader(TensorDataset(Tensor(x), Tensor(y)), 4)
    before = {name: value.tolist() for name, value in net.state_dict().items()}
    for mode in (True, False):
        net.train(mode)
        found = evaluate(net, loader, accuracy=Accuracy())
        assert net.training is mode and net[1].training is mode
    assert {name: value.tolist() for name, value in net.state_dict().items()} == before, "nothing was learned"
    w, b = (p.data.array.astype(float) for p in net[0].parameters())
    scores = (x @ w.T + b) / math.sqrt(1 + 1e-5)
    surprise = np.log(np.exp(scores).sum(1)) - scores[np.arange(17), y]
    assert math.isclose(found["loss"], surprise.mean(), rel_tol=1e-5)
    assert found["accuracy"] == (scores.argmax(1) == y).mean()


# --------------------------------------------------------------------------------------------- a step

@pytest.mark.parametrize("clip", [None, 0.1, 100.0])
@pytest.mark.parametrize("sizes", [[24], *[cuts(24) for _ in range(5)]], ids=str)
def test_a_step_from_several_batches_is_that_of_one(sizes, clip):
    x, y, w = numbers(24, 3, kind=float), numbers(24, kind=float), numbers(3, kind=float)
    p = Parameter(Tensor(w.copy()))
    places = np.cumsum(sizes)[:-1]
    batches = [(Tensor(a), Tensor(b)) for a, b in zip(np.split(x, places), np.split(y, places))]
    p.grad = Tensor(numbers(3, kind=float))
    mean = learn(batches, lambda batch: ((batch[0] @ p - batch[1]) ** 2).mean(), SGD([p], lr=0.5), clip)
    error = x @ w - y
    g = 2 * x.T @ error / 24
    if clip is not None: g *= min(clip / (np.linalg.norm(g) + 1e-6), 1.0)
    np.testing.assert_allclose(p.data.array, w - 0.5 * g, rtol=1e-9)
    assert math.isclose(mean, (error**2).mean(), rel_tol=1e-9)


def test_groups_hold_everything_once():
    for n, size in itertools.product(range(8), range(1, 5)):
        found = list(groups(iter(range(n)), size))
        assert [x for some in found for x in some] == list(range(n))
        assert all(len(some) == size for some in found[:-1]) and all(1 <= len(some) <= size for some in found)


# ------------------------------------------------------------------------------------------- patience

def reference_stop(values, patience, min_delta):
    """The first epoch with `patience` epochs behind the last one that beat all before it."""
    last, best = 0, math.inf
    for n, value in enumerate(values, 1):
        if value < best - min_delta: last, best = n, value
        if n - last >= patience: return n
    return None


@pytest.mark.parametrize("seed", range(30))
def test_patience_ends_where_it_should(seed):
    random = np.random.default_rng(seed)
    values = [math.nan if random.random() < 0.1 else float(x) for x in random.integers(0, 8, 25)]
    patience, min_delta = int(random.integers(1, 6)), float(random.choice([0.0, 0.5, 1.0, 2.5]))
    watch = Patience(patience, min_delta)
    found = next((n for n, value in enumerate(values, 1) if watch.is_over(value)), None)
    assert found == reference_stop(values, patience, min_delta), f"{values}, patience {patience}, {min_delta}"


# ------------------------------------------------------------------------------------- the order, and on

def loader_of(kind: str):
    data = TensorDataset(Tensor(np.arange(23)))
    mine = tinytorch.Generator().manual_seed(5)
    return {
        "shuffled": lambda: DataLoader(data, 4, shuffle=True),
        "in order": lambda: DataLoader(data, 4),
        "its own generator": lambda: DataLoader(data, 4, shuffle=True, generator=mine),
        "a sampler's generator": lambda: DataLoader(data, 4, sampler=RandomSampler(data, generator=mine)),
        "dice": lambda: DataLoader(data, 4, sampler=RandomSampler(data, True, 50)),
        "dropping the last": lambda: DataLoader(data, 4, shuffle=True, drop_last=True),
        "drawn while reading": lambda: DataLoader(data, 4, shuffle=True, collate_fn=noisy),
    }[kind]()


def noisy(rows):
    """Draws from every source there is."""
    noise = tinytorch.rand(len(rows)) + random.random() + np.random.rand()
    return (tensor([row[0].item() for row in rows]) + noise,)


class Place:
    """What `remaining` needs of a run."""

    def __init__(self, loader): self.loader, self.batch, self.order = loader, 0, {}


KINDS = ["shuffled", "in order", "its own generator", "a sampler's generator", "dice", "dropping the last",
         "drawn while reading"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_can_be_taken_up_after_any_batch(kind):
    manual_seed(3)
    place = Place(loader_of(kind))
    for n in range(1, 7):
        place.batch, first = 0, []
        batches = remaining(place)
        for _, batch in zip(range(n), batches):
            first.append(batch[0].tolist())
            tinytorch.rand(3), random.random()
            if n == len(first): break
        place.batch, now = len(first), states_of(place.loader)
        rest = [batch[0].tolist() for batch in batches]
        after = tinytorch.rand(2).tolist()
        restore(now, place.loader)
        again = [batch[0].tolist() for batch in remaining(place)]
        assert again == rest, f"after {n} batches"
        assert tinytorch.rand(2).tolist() == after, "the generators, too, are where they would be"


def test_all_generators_are_kept():
    loader = loader_of("its own generator")
    kept = unpacked(bytearray(b"".join(packed(states_of(loader)))))

    def draw():
        ours = tinytorch.rand(1).item(), tinytorch.randn(1).item(), next(iter(loader))[0].tolist()
        return ours, random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()
    restore(kept, loader)
    first = draw()
    assert draw() != first
    restore(kept, loader)
    assert draw() == first


class Interrupted(Callback):
    """Keeps the state after some step as a file would, and pulls the plug."""

    last = True

    def __init__(self, step): self.at, self.file = step, None

    def on_step(self, trainer):
        if trainer.step != self.at: return
        self.file, trainer.stopped = bytearray(everything(trainer)), True


def net():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 4))


DATA = TensorDataset(Tensor(numbers(26, 6)), Tensor(rng.integers(0, 4, 26)))

RUNS = {
    "SGD": lambda m: {"optimizer": SGD(m.parameters(), 0.1, momentum=0.9, nesterov=True)},
    "Adam": lambda m: {"optimizer": Adam(m.parameters(), 0.01)},
    "steps": lambda m: {"optimizer": (o := Adam(m.parameters(), 0.01)), "scheduler": StepLR(o, 1, 0.5)},
    "one cycle": lambda m: {"optimizer": (o := SGD(m.parameters(), 0.1, momentum=0.9)), "every": "step",
                            "scheduler": OneCycleLR(o, 0.3, total_steps=40)},
    "plateau": lambda m: {"optimizer": (o := SGD(m.parameters(), 0.1)), "validation": DataLoader(DATA, 8),
                          "scheduler": ReduceLROnPlateau(o, patience=0, threshold=0.5)},
    "accumulation": lambda m: {"optimizer": SGD(m.parameters(), 0.1, momentum=0.9), "accumulate": 3,
                               "clip": 0.1},
    "bfloat16": lambda m: {"optimizer": Adam(m.parameters(), 0.01), "precision": tinytorch.bfloat16},
    "float16": lambda m: {"optimizer": SGD(m.parameters(), 0.1), "precision": tinytorch.float16,
                          "scaler": tinytorch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)},
    "early stopping": lambda m: {"optimizer": SGD(m.parameters(), 0.1), "validation": DataLoader(DATA, 8),
                                 "callbacks": [EarlyStopping(patience=2, min_delta=0.5)]},
    "accuracy": lambda m: {"optimizer": SGD(m.parameters(), 0.1), "validation": DataLoader(DATA, 8),
                           "scores": {"accuracy": Accuracy},
                           "callbacks": [EarlyStopping(1, "val_accuracy", "max", 0.2)]},
}


def run_of(kind: str, seed: int, *callbacks):
    manual_seed(seed)
    model = net()
    settings = RUNS[kind](model)
    callbacks = [*settings.pop("callbacks", ()), *callbacks]
    return Trainer(model, loader=DataLoader(DATA, 4, shuffle=True), callbacks=callbacks, **settings)


def weights(trainer) -> list: return [p.tolist() for p in trainer.model.parameters()]


def everything(trainer) -> bytes:
    """All that there is to say about a run in the end: weights, averages, history, generators."""
    return b"".join(packed(state_of(trainer)))


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(kind):
    undisturbed = run_of(kind, 1).fit(4)
    expected = everything(undisturbed)
    steps = undisturbed.step
    for step in sorted({1, steps // 3, steps // 2, steps - 1, steps} - {0}):
        plug = Interrupted(step)
        run_of(kind, 1, plug).fit(4)
        again = run_of(kind, 999)
        state = unpacked(plug.file)
        state["notes"]["stopped"] = False                       # it was the plug that said so
        state["notes"]["callbacks"] = [pair for pair in state["notes"]["callbacks"]
                                       if pair[0] != "Interrupted"]
        go_on(again, state)
        assert everything(again.fit(4)) == expected, f"interrupted after step {step} of {steps}"


def test_fit_counts_epochs_from_the_beginning():
    whole, parts = run_of("Adam", 1).fit(4), run_of("Adam", 1)
    for epochs in (1, 1, 3, 4): parts.fit(epochs)
    assert everything(parts) == everything(whole)


class Told(Callback):
    """Remembers what it was told, in order."""

    def __init__(self, name, log, last=False): self.name, self.log, self.last = name, log, last

    def __getattribute__(self, name):
        if name.startswith("on_"): self.log.append((self.name, name))
        return object.__getattribute__(self, name)


def test_callbacks_are_told_in_order_and_the_last_ones_last():
    log: list = []
    model = net()
    few = TensorDataset(Tensor(numbers(4, 6)), Tensor(rng.integers(0, 4, 4)))
    Trainer(model, SGD(model.parameters(), 0.1), DataLoader(few, 2), accumulate=2,
            callbacks=[Told("z", log, last=True), Told("a", log)]).fit(1)
    assert [name for _, name in log[::2]] == ["on_start", "on_epoch_start", "on_batch", "on_batch",
                                              "on_step", "on_epoch_end", "on_end"]
    assert [who for who, _ in log] == ["a", "z"] * 7


def test_a_run_that_fails_tells_it_ends():
    log: list = []

    class Failing(Module):
        def forward(self, x): raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        Trainer(Failing(), SGD([Parameter(tensor([1.0]))], 0.1), DataLoader(DATA, 4),
                callbacks=[Told("a", log)]).fit(1)
    assert log[-1] == ("a", "on_end")


def test_a_callback_may_change_the_batch_that_the_model_sees():
    class Negative(Callback):
        def on_batch(self, trainer):
            x, y = trainer.data
            trainer.data = -x, y
    first = run_of("SGD", 1, Negative()).fit(1)
    second = run_of("SGD", 1)
    x, y = DATA.tensors
    second.loader = DataLoader(TensorDataset(Tensor(-x.array), y), 4, shuffle=True)
    assert weights(first) == weights(second.fit(1))


# ---------------------------------------------------------------------------------------- power cuts

@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_an_accident_leaves_the_old_file(tmp_path, error):
    def failing():
        yield b"half"
        raise error
    write_safely(tmp_path / "a", [b"", b"old"])
    with pytest.raises(error): write_safely(tmp_path / "a", failing())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"a": b"old"}


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    write_safely(tmp_path / "a", [b"old"])

    def full(handle): raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"): write_safely(tmp_path / "a", [b"new"])
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"a": b"old"}


WRITER = """
import sys
from pathlib import Path
from tinytorch.training import write_safely
print("ready", flush=True)
while True:
    for letter in (b"A", b"B"): write_safely(Path(sys.argv[1]), [letter * 1000] * 500)
"""

RUN = """
import random
import sys
import numpy as np
from tinytorch import Tensor, manual_seed, nn
from tinytorch.optim import Adam
from tinytorch.optim.lr_scheduler import StepLR
from tinytorch.training import Accuracy, Checkpoints, EarlyStopping, Trainer
from tinytorch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(0)
data = TensorDataset(Tensor(rng.standard_normal((90, 6)).astype(np.float32)), Tensor(rng.integers(0, 4, 90)))
random.seed(1), np.random.seed(1), manual_seed(1)       # all three are part of the state
net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 4))
adam = Adam(net.parameters(), 0.01)
trainer = Trainer(net, adam, DataLoader(data, 8, shuffle=True), validation=DataLoader(data, 32), accumulate=2,
                  scores={"accuracy": Accuracy}, scheduler=StepLR(adam, 3, 0.9), clip=1.0,
                  callbacks=[EarlyStopping(1000), Checkpoints(sys.argv[1], every=2)])
print("ready", flush=True)
trainer.fit(int(sys.argv[2]))
print("done", flush=True)
"""


def started(program: str, *args):
    """A process with this program, once it says that it is ready."""
    where = {"PYTHONPATH": str(Path(tinytorch.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-c", program, *map(str, args)], stdout=subprocess.PIPE,
                             text=True,
                             env=os.environ | where)
    assert child.stdout.readline() == "ready\n", "the process did not start"
    return child


def killed(child, after: float) -> bool:
    """Kills a process after so many seconds; whether it was still at work."""
    time.sleep(after)
    child.kill()
    told = child.stdout.read()
    child.stdout.close()
    child.wait()
    return "done" not in told


def whole_after_kills(path: Path, times: int) -> None:
    """A file that is written all the time, by processes that are killed, is always one of the two."""
    for _ in range(times):
        assert killed(started(WRITER, path), random.uniform(0.01, 0.1))
        content = path.read_bytes() if path.exists() else b"A" * 500_000
        assert content in (b"A" * 500_000, b"B" * 500_000), "neither the old file nor the new one"


def same_after_kills(tmp_path: Path, times: int, epochs: int) -> None:
    """A run that is killed so many times ends in the same file as one that is not."""
    undisturbed, path = tmp_path / "undisturbed", tmp_path / "killed"
    child = started(RUN, undisturbed, epochs)
    assert child.communicate()[0] == "done\n"
    for n in range(times):
        assert killed(started(RUN, path, epochs),
                      random.uniform(0.0, 0.1)), f"done before kill {n + 1}: too short a run"
    child = started(RUN, path, epochs)
    assert child.communicate()[0] == "done\n"
    assert path.read_bytes() == undisturbed.read_bytes(), f"after {times} kills the run ended differently"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["killed", "undisturbed"], "no draft is left"


def test_a_file_is_whole_when_its_writer_is_killed(tmp_path): whole_after_kills(tmp_path / "file", 5)


def test_a_run_that_is_killed_five_times_ends_in_the_same_bits(tmp_path): same_after_kills(tmp_path, 5, 15)


@pytest.mark.slow
def test_a_file_is_whole_when_its_writers_are_killed_fifty_times(tmp_path):
    whole_after_kills(tmp_path / "file", 50)


@pytest.mark.slow
def test_a_run_that_is_killed_fifty_times_ends_in_the_same_bits(tmp_path): same_after_kills(tmp_path, 50, 150)


def test_checkpoints_go_on_where_they_were(tmp_path):
    path = tmp_path / "run"
    run_of("steps", 1, Checkpoints(path, every=2)).fit(2)
    again = run_of("steps", 2, Checkpoints(path, every=2)).fit(4)
    straight = run_of("steps", 1).fit(4)
    assert weights(again) == weights(straight)
    assert again.history == straight.history
    done = copy.deepcopy(tinytorch.load(path)["place"])
    assert run_of("steps", 3, Checkpoints(path)).fit(4).step == done["step"], "a run that is done is done"
