# Generated from modules/11_training/training.py by `tito export`. Edit that file, not this one.
"""The loop that learns: what it counts, when it stops, and how it survives a power cut."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

from .chance import restore, states_of
from .clipping import clip_grad_norm_
from .losses import cross_entropy
from .modes import no_grad
from .precision import GradScaler, autocast
from .schedules import ReduceLROnPlateau
from .states import packed, unpacked

__all__ = [
    "Mean", "number", "add_to_mean", "mean_so_far", "Accuracy", "right", "evaluate", "PLAIN", "size_of",
    "parameters_of", "learn", "Patience", "Callback", "Trainer", "groups", "remaining", "one_epoch",
    "state_of", "go_on", "notes_of", "take_notes", "write_safely", "sync_folder", "save", "load",
    "Checkpoints", "EarlyStopping",
]


class Mean:
    """An average that is fed a little at a time."""

    def __init__(self): self.reset()
    def reset(self) -> None: self.total = self.weight = 0.0

    def update(self, value, weight: float = 1) -> None:
        add_to_mean(self, number(value), weight)

    def compute(self) -> float: return mean_so_far(self)

    def state_dict(self) -> dict: return {"total": self.total, "weight": self.weight}
    def load_state_dict(self, state: dict) -> None: vars(self).update(state)


def number(x) -> float: return float(x.item() if hasattr(x, "item") else x)


def add_to_mean(mean: Mean, value: float, weight: float) -> None:
    """Takes in the average `value` of `weight` examples: changes mean.total and mean.weight."""
    mean.total += value * weight
    mean.weight += weight


def mean_so_far(mean: Mean) -> float:
    """The average of all examples so far; nan before the first."""
    return mean.total / mean.weight if mean.weight else math.nan


class Accuracy(Mean):
    """The share of answers that are right."""

    def update(self, scores, labels) -> None:
        """Takes in a batch.  (n, classes), (n) or (n, classes)"""
        super().update(right(scores, labels) / max(len(labels), 1), len(labels))


def right(scores, labels) -> int:
    """How many rows have their largest score where the label is.  (n, classes), (n) or (n, classes)"""
    if labels.ndim == 2: labels = labels.argmax(1)
    return (scores.argmax(1) == labels).sum().item()


def evaluate(model, loader: Iterable, loss: Callable = cross_entropy, **scores) -> dict[str, float]:
    """The average loss of a model on what a loader gives, and other scores, such as accuracy=Accuracy()."""
    mean, was_training = Mean(), model.training
    model.eval()
    with no_grad():
        for *inputs, target in loader:
            answers = model(*inputs)
            mean.update(loss(answers, target), len(target))
            for score in scores.values(): score.update(answers, target)
    model.train(was_training)
    return {"loss": mean.compute()} | {name: score.compute() for name, score in scores.items()}


PLAIN = GradScaler("cpu", enabled=False)


def size_of(batch) -> int:
    """How many examples a batch holds."""
    return len(batch[-1])


def parameters_of(optimizer) -> list:
    """All that an optimizer changes."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def learn(batches: list, loss_of: Callable, optimizer, clip: float | None = None, scaler=PLAIN) -> float:
    """One step from several batches, as if they were one; `loss_of(batch)` is a mean. Returns that mean."""
    total, mean = sum([size_of(batch) for batch in batches]), 0.0
    optimizer.zero_grad()
    for batch in batches:
        loss = loss_of(batch) * (size_of(batch) / total)
        scaler.scale(loss).backward()
        mean += loss.item()
    scaler.unscale_(optimizer)
    if clip is not None: clip_grad_norm_(parameters_of(optimizer), clip)
    scaler.step(optimizer)
    scaler.update()
    return mean


class Patience:
    """Says when something has not improved for a while."""

    def __init__(self, patience: int = 3, min_delta: float = 0.0):
        self.patience, self.min_delta, self.best, self.waited = patience, min_delta, math.inf, 0

    def is_over(self, value: float) -> bool:
        """Takes in the value of one more epoch: True if it is time to stop."""
        if value < self.best - self.min_delta: self.best, self.waited = value, 0
        else: self.waited += 1
        return self.waited >= self.patience


class Callback:
    """Is told what happens in a run. Override what you want to hear."""

    last = False                        # told after all others, for those who show or keep what they leave

    def on_start(self, trainer) -> None: """Before the first epoch."""
    def on_epoch_start(self, trainer) -> None: """Before an epoch, or the rest of one."""
    def on_batch(self, trainer) -> None: """Before the model sees a batch: trainer.data may be changed."""
    def on_step(self, trainer) -> None: """After a step of the optimizer."""
    def on_epoch_end(self, trainer) -> None: """After an epoch: trainer.history has one more record."""
    def on_end(self, trainer) -> None: """After the last epoch, and also when a run is interrupted."""

    def state_dict(self) -> dict: return {}
    def load_state_dict(self, state: dict) -> None: """Goes on from a state that was kept."""


class Trainer:
    """A run: a model that learns what a loader gives, and all that its future depends on."""

    def __init__(
        self, model, optimizer, loader, loss: Callable = cross_entropy, *,
        validation=None,                # a loader to evaluate on after each epoch
        scores: dict | None = None,     # what else to measure there: {"accuracy": Accuracy}
        scheduler=None,                 # a schedule of lesson 10 …
        every: str = "epoch",           # … which goes on after each "epoch", or each "step"
        accumulate: int = 1,            # batches for one step
        clip: float | None = None,      # the longest that a gradient may be
        precision=None,                 # float16 or bfloat16: mixed precision
        scaler=PLAIN,                   # a GradScaler, for float16
        callbacks: Iterable = (),
    ):
        self.model, self.optimizer, self.loader, self.loss = model, optimizer, loader, loss
        self.validation, self.scores, self.scheduler, self.every = validation, scores or {}, scheduler, every
        self.accumulate, self.clip, self.precision, self.scaler = accumulate, clip, precision, scaler
        self.callbacks = sorted(callbacks, key=lambda callback: callback.last)
        self.epoch = self.batch = self.step = 0     # whole epochs, batches of this epoch, steps in all
        self.epochs = 0                             # how many there will be
        self.order: dict = {}                       # where the generators stood when this epoch began
        self.mean, self.history, self.stopped = Mean(), [], False
        self.latest, self.data, self.answers = math.nan, None, None     # of the last step, and the last batch

    def fit(self, epochs: int):
        """Trains until so many epochs are done, counted from the very beginning of the run."""
        self.epochs = epochs
        try:
            self.tell("on_start")
            while self.epoch < epochs and not self.stopped: one_epoch(self)
        finally: self.tell("on_end")
        return self

    def tell(self, event: str) -> None:
        for callback in self.callbacks: getattr(callback, event)(self)

    def loss_of(self, batch):
        """The mean loss of a batch: its last part is what should be said, the rest is asked."""
        self.data = batch
        self.tell("on_batch")
        *inputs, target = self.data
        with nullcontext() if self.precision is None else autocast(target.device.type, self.precision):
            self.answers = self.model(*inputs)
            return self.loss(self.answers, target)

    def record(self) -> dict[str, float]:
        """What there is to say about the epoch that ends."""
        found = {"epoch": self.epoch, "step": self.step, "loss": self.mean.compute()}
        found["lr"] = self.optimizer.param_groups[0]["lr"]
        self.mean.reset()
        if self.validation is None: return found
        scores = {name: make() for name, make in self.scores.items()}
        judged = evaluate(self.model, self.validation, self.loss, **scores)
        return found | {f"val_{name}": value for name, value in judged.items()}

    def slow_down(self, when: str) -> None:
        """Lets the schedule go on, if it is its turn; one that waits for a plateau is told the loss."""
        if self.scheduler is None or self.every != when: return
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(self.history[-1].get("val_loss", self.history[-1]["loss"]))
        else: self.scheduler.step()


def groups(batches: Iterable, n: int) -> Iterator[list]:
    """The batches, n at a time; the last ones may be fewer."""
    some: list = []
    for batch in batches:
        some.append(batch)
        if len(some) == n:
            yield some
            some = []
    if some: yield some


def remaining(trainer: Trainer) -> Iterator: return iter(trainer.loader)


def one_epoch(trainer: Trainer) -> None:
    """Learns from all batches of this epoch that are still to come."""
    trainer.model.train()
    trainer.tell("on_epoch_start")
    for batches in groups(remaining(trainer), trainer.accumulate):
        trainer.latest = learn(batches, trainer.loss_of, trainer.optimizer, trainer.clip, trainer.scaler)
        trainer.step += 1
        trainer.batch += len(batches)
        trainer.mean.update(trainer.latest, sum([size_of(batch) for batch in batches]))
        trainer.slow_down("step")
        trainer.tell("on_step")
        if trainer.stopped: return
    trainer.epoch, trainer.batch = trainer.epoch + 1, 0
    trainer.history.append(trainer.record())
    trainer.slow_down("epoch")
    trainer.tell("on_epoch_end")


def remaining(trainer: Trainer) -> Iterator:
    """The batches of this epoch that are still to come, in the order in which it began."""
    if trainer.batch == 0:
        trainer.order = states_of(trainer.loader)
        return iter(trainer.loader)
    now = states_of(trainer.loader)
    restore(trainer.order, trainer.loader)
    batches = iter(trainer.loader)
    for _ in range(trainer.batch): next(batches)
    restore(now, trainer.loader)
    return batches


def state_of(trainer: Trainer) -> dict:
    """All that the future of a run depends on."""
    state = {"notes": notes_of(trainer)}
    state["model"], state["optimizer"] = trainer.model.state_dict(), trainer.optimizer.state_dict()
    if trainer.scheduler is not None: state["scheduler"] = trainer.scheduler.state_dict()
    state["place"] = {"epoch": trainer.epoch, "batch": trainer.batch, "step": trainer.step}
    state["order"], state["random"] = trainer.order, states_of(trainer.loader)
    return state


def go_on(trainer: Trainer, state: dict) -> None:
    """Puts a run where another one was when its state was kept."""
    take_notes(trainer, state["notes"])
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    if trainer.scheduler is not None: trainer.scheduler.load_state_dict(state["scheduler"])
    vars(trainer).update(state["place"])
    trainer.order = state["order"]
    restore(state["random"], trainer.loader)


def notes_of(trainer: Trainer) -> dict:
    """What a run knows about itself, and what its callbacks remember, by their classes."""
    told = {"history": trainer.history, "stopped": trainer.stopped, "mean": trainer.mean.state_dict()}
    callbacks = [(type(callback).__name__, callback.state_dict()) for callback in trainer.callbacks]
    return told | {"scaler": trainer.scaler.state_dict(), "callbacks": callbacks}


def take_notes(trainer: Trainer, notes: dict) -> None:
    """Goes on from notes; callbacks that were not there before start afresh."""
    trainer.history, trainer.stopped = list(notes["history"]), notes["stopped"]
    trainer.mean.load_state_dict(notes["mean"])
    trainer.optimizer._opt_called = True        # or its schedule would think that it never stepped
    if notes["scaler"]: trainer.scaler.load_state_dict(notes["scaler"])
    kept = list(notes["callbacks"])
    for callback in trainer.callbacks:
        mine = next((pair for pair in kept if pair[0] == type(callback).__name__), None)
        if mine is None: continue
        kept.remove(mine)
        callback.load_state_dict(mine[1])


def write_safely(path: Path, pieces: Iterable) -> None:
    """Writes a file so that at every moment the old one is there, or the new one, and it is whole."""
    path = Path(path)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            for piece in pieces: file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk; Windows sees to that by itself."""
    if os.name == "nt": return
    handle = os.open(folder, os.O_RDONLY)
    try: os.fsync(handle)
    finally: os.close(handle)


def save(obj, f) -> None:
    """Writes a tree of tensors, numbers, strings, lists and dicts to a path, or into an open file."""
    if hasattr(f, "write"): f.write(b"".join(packed(obj)))
    else: write_safely(f, packed(obj))


def load(f, map_location=None, *, weights_only: bool = True):
    """What `save` wrote, from a path or an open file. Nothing in it can run, whatever `weights_only` says."""
    if hasattr(f, "read"): data, name = f.read(), str(getattr(f, "name", "this"))
    else: data, name = Path(f).read_bytes(), Path(f).name
    return unpacked(bytearray(data), name, map_location)


class Checkpoints(Callback):
    """Keeps the state of a run in a file, every so many steps and after each epoch, and goes on from it."""

    last = True

    def __init__(self, path, every: int = 100): self.path, self.every = Path(path), every

    def on_start(self, trainer):
        for draft in self.path.parent.glob(f"{self.path.name}.*.draft"): draft.unlink()     # of a killed run
        if self.path.exists(): go_on(trainer, load(self.path))

    def on_step(self, trainer):
        if trainer.step % self.every == 0: save(state_of(trainer), self.path)

    def on_epoch_end(self, trainer): save(state_of(trainer), self.path)


class EarlyStopping(Callback):
    """Ends a run when a number of its records has not become smaller (or larger, mode="max") for a while."""

    def __init__(self, patience: int = 3, watch: str = "val_loss", mode: str = "min", min_delta: float = 0.0):
        self.patience, self.watch = Patience(patience, min_delta), watch
        self.sign = {"min": 1, "max": -1}[mode]

    def on_epoch_end(self, trainer):
        if self.patience.is_over(self.sign * trainer.history[-1][self.watch]): trainer.stopped = True

    def state_dict(self): return vars(self.patience).copy()
    def load_state_dict(self, state): vars(self.patience).update(state)
