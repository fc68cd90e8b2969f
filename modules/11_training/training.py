# %% [markdown]
# # Training
#
# The loop that learns is five lines, and you have all of them: a batch, an answer, a loss, `backward`,
# `step`. What is left is everything that goes wrong in the ten hours it runs. A last batch was smaller than
# the others, and an average lied. The network began to learn its examples by heart at hour three, and nobody
# looked. At hour nine the power failed.
#
# In this lesson you write the loop so that it can be read, measured and stopped, and so that a power cut
# costs a minute: the run goes on as if nothing had happened, and ends in the same weights, **bit for bit**.

# %%
#| export
"""The loop that learns: what it counts, when it stops, and how it survives a power cut."""

# %%
#| export
from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

from tinytorch.chance import restore, states_of
from tinytorch.clipping import clip_grad_norm_
from tinytorch.losses import cross_entropy
from tinytorch.modes import no_grad
from tinytorch.precision import GradScaler, autocast
from tinytorch.schedules import ReduceLROnPlateau
from tinytorch.states import packed, unpacked

# %% [markdown]
# ## Five lines
#
# 1,415 handwritten digits, and 382 by other people, for the question how well the network reads hands it has
# never seen.

# %%
from tinytorch import manual_seed, nn, tensor
from tinytorch.datasets import Digits
from tinytorch.optim import SGD, Adam
from tinytorch.utils.data import DataLoader, TensorDataset

def examples(train):
    digits = Digits(train)
    return TensorDataset(digits.data.float().reshape(-1, 64) / 255, digits.targets)

familiar, unseen = examples(True), examples(False)

manual_seed(0)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = SGD(model.parameters(), lr=0.1)
for x, y in DataLoader(familiar, 32, shuffle=True):
    loss = cross_entropy(model(x), y)       # how wrong are the answers?
    optimizer.zero_grad()                   # forget the gradients of the batch before
    loss.backward()                         # who is to blame, and how much?
    optimizer.step()                        # a little less wrong
loss.item()

# %% [markdown]
# ## Averages that do not lie
#
# A loader cuts 1,415 examples into 44 batches of 32, and one of 7. Say the loss of each of the 44 is 0.5, and
# that of the seven, by bad luck, 2.3. What is the average loss of an example? Write it down, then compare
# with the mean of the 45 numbers:

# %%
(44 * 0.5 + 2.3) / 45, (44 * 32 * 0.5 + 7 * 2.3) / 1415

# %% [markdown]
# **Your turn.** An average of averages weighs each by how many examples it stands for. This one is fed a
# batch at a time, and remembers two numbers. Names are those of torchmetrics, a library of such things.

# %%
#| export
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

# %%
#| export exercise
def add_to_mean(mean: Mean, value: float, weight: float) -> None:
    """Takes in the average `value` of `weight` examples: changes mean.total and mean.weight."""
    #| hint What do `weight` examples of average `value` add up to?
    ### BEGIN SOLUTION
    mean.total += value * weight
    mean.weight += weight
    ### END SOLUTION


def mean_so_far(mean: Mean) -> float:
    """The average of all examples so far; nan before the first."""
    ### BEGIN SOLUTION
    return mean.total / mean.weight if mean.weight else math.nan
    ### END SOLUTION

# %%
#| check 2
from tinytorch import tensor

mean = Mean()
assert math.isnan(mean.compute()), "the average of nothing is nan, not an error in the middle of a night"
mean.update(0.5, 32)
assert mean.compute() == 0.5, "one batch alone: its average is the average"
mean.update(tensor(2.5), 32)
assert mean.compute() == 1.5, "two batches of one size: halfway between"
mean.update(9.5, 16)
assert mean.compute() == 3.1, \
    "a batch half as large counts half as much: (32 * 0.5 + 32 * 2.5 + 16 * 9.5) / 80"
mean.reset()
mean.update(4.0)
mean.update(0.0, 3)
assert mean.compute() == 1.0, "four examples, of which three have 0: without a weight, a value is one example"

# %% [markdown]
# A loss is for the optimizer. People ask how many answers were right. **Your turn.** The answer of a network
# is the class with the largest score. `labels` holds one class an example, or, where they were smoothed or
# mixed, a row of shares: then the right class is the one with the largest share.

# %%
#| export
class Accuracy(Mean):
    """The share of answers that are right."""

    def update(self, scores, labels) -> None:
        """Takes in a batch.  (n, classes), (n) or (n, classes)"""
        super().update(right(scores, labels) / max(len(labels), 1), len(labels))

# %%
#| export exercise
def right(scores, labels) -> int:
    """How many rows have their largest score where the label is.  (n, classes), (n) or (n, classes)"""
    #| hint scores.argmax(1) is the answer of each row. What is it when labels are rows of shares?
    #| hint (answers == labels) is a tensor of True and False, and .sum().item() counts.
    ### BEGIN SOLUTION
    if labels.ndim == 2: labels = labels.argmax(1)
    return (scores.argmax(1) == labels).sum().item()
    ### END SOLUTION

# %%
#| check 2
from tinytorch import tensor

scores = tensor([[0.1, 0.9, 0.0], [2.0, 1.0, 0.0], [0.0, 0.1, 0.2], [3.0, 5.0, 4.0]])
assert right(scores, tensor([1, 0, 2, 1])) == 4, "the answer is the class with the largest score"
assert right(scores, tensor([1, 1, 0, 1])) == 2, "an answer counts where it is the label"
assert type(right(scores, tensor([1, 0, 2, 0]))) is int, "a count is a whole number"
assert right(scores, tensor([[0.0, 0.6, 0.4], [0.9, 0.1, 0.0], [0.8, 0.1, 0.1], [0.0, 1.0, 0.0]])) == 3, \
    "a row of shares stands for the class with the largest share"
accuracy = Accuracy()
accuracy.update(scores, tensor([1, 0, 2, 1]))
accuracy.update(scores[:1], tensor([0]))
assert accuracy.compute() == 0.8, "four right answers of five, however they were cut into batches"

# %% [markdown]
# Now the other half of every loop: how good is the network on what it does not learn from? **Your turn.**
# Three things are easy to forget. Dropout and its kin have to be told (`model.eval()`). Nothing should be
# remembered for gradients (`no_grad`). And afterwards everything must be as it was before: a network that was
# training is training again, one that was not is not.
#
# A batch is a tuple: last comes what should be said, before it what the model is asked.

# %%
#| export exercise
def evaluate(model, loader: Iterable, loss: Callable = cross_entropy, **scores) -> dict[str, float]:
    """The average loss of a model on what a loader gives, and other scores, such as accuracy=Accuracy()."""
    mean, was_training = Mean(), model.training
    #| hint model.eval(), then `with no_grad():` around the loop, then model.train(was_training).
    #| hint *inputs, target = batch takes a batch apart, and model(*inputs) answers.
    #| hint loss(answers, target) is the mean over the batch: how many examples does it stand for?
    ### BEGIN SOLUTION
    model.eval()
    with no_grad():
        for *inputs, target in loader:
            answers = model(*inputs)
            mean.update(loss(answers, target), len(target))
            for score in scores.values(): score.update(answers, target)
    model.train(was_training)
    ### END SOLUTION
    return {"loss": mean.compute()} | {name: score.compute() for name, score in scores.items()}

# %%
#| check 3
from tinytorch import tensor
from tinytorch.dense import Linear

class Shift(Linear):
    """Answers y = x @ w + b, and notes how it was asked."""

    def forward(self, x):
        self.noted = self.training, super().forward(x).requires_grad
        return super().forward(x)

class Seen(Mean):
    def update(self, answers, target): super().update((answers - target).sum().item(), 0.5)

def distance(answers, target): return (answers - target).mean()

shift = Shift(1, 1)
for p in shift.parameters(): p.data.fill_(1.0)
batches = [(tensor([[1.0], [2.0], [3.0]]), tensor([[0.0], [0.0], [0.0]])), (tensor([[6.0]]), tensor([[0.0]]))]
found = evaluate(shift, batches, distance, seen=(seen := Seen()))
assert shift.noted[0] is False, "a network is judged at work: model.eval() before it is asked"
assert shift.noted[1] is False, "what is judged does not learn: no_grad, or every batch is remembered"
assert shift.training is True, "afterwards the network trains on: its mode is as it was before"
assert found["loss"] == 4.0, \
    "distances 2, 3, 4 and 7: a batch of three counts three times as much as one of one"
assert seen.total == 8, \
    "every score that was asked for is fed every batch: the answers, and what should be said"
shift.eval()
evaluate(shift, batches, distance)
assert shift.training is False, "a network that was at work before is at work afterwards"

# %%
evaluate(model, DataLoader(unseen, 256), accuracy=Accuracy())

# %% [markdown]
# ## One step from several batches
#
# Large batches need large memory. But the gradient of a mean is the mean of the gradients, and `backward`
# *adds* to `.grad`. So a step for 64 examples can be had from eight batches of eight: eight times backward,
# one step. It is called **accumulation**.
#
# By what must each small loss be multiplied before its `backward`, if the batches have 8, 8 and 2 examples?
# (One third is the usual answer, and it is wrong for the same reason as above.)
#
# **Your turn.** Write one step. The order matters: old gradients are forgotten; every batch adds its share;
# then, if there is a `clip`, gradients are cut to that length (lesson 10), all of them and only once; then
# the optimizer steps. `scaler` is for mixed precision, in the appendix; `PLAIN` leaves everything as it is.
# PyTorch's recipe with it is: `scaler.scale(loss).backward()`, and in the end `scaler.unscale_(optimizer)`,
# clipping, `scaler.step(optimizer)`, `scaler.update()`.

# %%
#| export
PLAIN = GradScaler("cpu", enabled=False)


def size_of(batch) -> int:
    """How many examples a batch holds."""
    return len(batch[-1])


def parameters_of(optimizer) -> list:
    """All that an optimizer changes."""
    return [p for group in optimizer.param_groups for p in group["params"]]

# %%
#| export exercise
def learn(batches: list, loss_of: Callable, optimizer, clip: float | None = None, scaler=PLAIN) -> float:
    """One step from several batches, as if they were one; `loss_of(batch)` is a mean. Returns that mean."""
    total, mean = sum([size_of(batch) for batch in batches]), 0.0
    #| hint First optimizer.zero_grad(). Then for each batch: its loss times size_of(batch) / total.
    #| hint scaler.scale(loss).backward() adds to the gradients; loss.item(), added up, is the mean.
    #| hint After the loop: unscale_; if there is a clip, clip_grad_norm_(parameters_of(optimizer), clip); …
    ### BEGIN SOLUTION
    optimizer.zero_grad()
    for batch in batches:
        loss = loss_of(batch) * (size_of(batch) / total)
        scaler.scale(loss).backward()
        mean += loss.item()
    scaler.unscale_(optimizer)
    if clip is not None: clip_grad_norm_(parameters_of(optimizer), clip)
    scaler.step(optimizer)
    scaler.update()
    ### END SOLUTION
    return mean

# %%
#| check 4
from tinytorch import tensor
from tinytorch.layers import Parameter
from tinytorch.optimizers import SGD

class Once(SGD):
    """Counts its steps, and notes the gradients it stepped with."""

    steps, gradients = 0, ()

    def step(self, closure=None):
        self.steps, self.gradients = self.steps + 1, [p.grad.item() for p in parameters_of(self)]
        return super().step(closure)

def one_step(*batches, clip=None, scaler=PLAIN, before=None):
    w = Parameter(tensor([0.0]))
    w.grad = before
    optimizer = Once([w], lr=1.0)
    data = [(tensor(list(batch)),) for batch in batches]
    mean = learn(data, lambda batch: (w * batch[0]).mean() + batch[0].mean(), optimizer, clip, scaler)
    return optimizer, mean, w.item()

assert one_step([3.0], before=tensor([5.0]))[0].gradients == [3.0], \
    "the gradients of the step before are forgotten: zero_grad comes first"
assert one_step([1.0, 1.0], [3.0, 3.0])[0].gradients == [2.0], \
    "of two equal batches, each adds half of its gradient: gradients are added up, so losses are shared out"
assert one_step([1.0, 1.0], [3.0, 3.0])[0].steps == 1, \
    "several batches, one step: the optimizer waits for all"
assert one_step([1.0, 2.0, 3.0], [6.0])[0].gradients == [3.0], \
    "each batch counts by its size: three quarters of 2 and one quarter of 6"
assert one_step([1.0, 2.0, 3.0], [6.0])[1] == 3.0, "the mean that is returned is that of all examples"
assert type(one_step([1.0])[1]) is float, \
    "a number is returned, not a tensor, which would keep the whole graph"
assert [round(g, 4) for g in one_step([3.0], [5.0], clip=0.5)[0].gradients] == [0.5], \
    "the clip cuts the sum of all gradients, after the last backward and before the step"
assert one_step([3.0], clip=10.0)[0].gradients == [3.0], "a gradient shorter than the clip stays as it is"
eight = GradScaler("cpu", init_scale=8.0, growth_interval=1)
assert [round(g, 4) for g in one_step([3.0], clip=0.5, scaler=eight)[0].gradients] == [0.5], \
    "what was scaled is unscaled before it is clipped: unscale_ comes before clip_grad_norm_"
assert eight.get_scale() == 16.0, "the scaler looks back at the step: update comes last"
assert one_step([math.inf], scaler=GradScaler("cpu"))[0].steps == 0, \
    "the scaler decides whether there is a step: scaler.step(optimizer), not optimizer.step()"

# %% [markdown]
# ## When to stop
#
# A network that trains long enough learns its examples by heart. On the seen digits it gets better for ever;
# on the unseen ones it gets better, then not, then worse. **Early stopping** watches the unseen ones, has
# some patience, and gives up.
#
# These are losses of seven epochs: 5, 4, 3, 3.5, 3.2, 2.9, 3.1. With a patience of 2, when does it stop? And
# with a patience of 3?
#
# **Your turn.** `best` is the lowest value so far, and `waited` counts the epochs since then. Who has waited
# `patience` epochs stops. Only what is better by more than `min_delta` counts as better.

# %%
#| export exercise
class Patience:
    """Says when something has not improved for a while."""

    def __init__(self, patience: int = 3, min_delta: float = 0.0):
        self.patience, self.min_delta, self.best, self.waited = patience, min_delta, math.inf, 0

    def is_over(self, value: float) -> bool:
        """Takes in the value of one more epoch: True if it is time to stop."""
        #| hint If value is below best by more than min_delta: it is the new best, and waiting starts over.
        #| hint If not (and nan is never below anything), one more epoch was waited.
        ### BEGIN SOLUTION
        if value < self.best - self.min_delta: self.best, self.waited = value, 0
        else: self.waited += 1
        return self.waited >= self.patience
        ### END SOLUTION

# %%
#| check 2
def stops_at(*values, patience=2, min_delta=0.0):
    """The number of the first epoch after which it is over, or None."""
    watch = Patience(patience, min_delta)
    return next((n for n, value in enumerate(values, 1) if watch.is_over(value)), None)

assert stops_at(5.0, 4.0, 3.0, 2.0) is None, "what still improves goes on"
assert stops_at(5.0, 4.0, 4.5, 4.4) == 4, \
    "4.4 is better than 4.5, but not than the best, 4.0: two epochs without a new best are enough"
assert stops_at(5.0, 4.0, 3.0, 3.5, 2.9, 3.1, 3.0) == 7, \
    "a new best starts the waiting over: the count goes back to 0"
assert stops_at(3.0, 3.0, 3.0) == 3, "as good as the best is not better"
assert stops_at(5.0, 4.95, 4.9, patience=2, min_delta=0.2) == 3, "an improvement below min_delta is none"
assert stops_at(5.0, 4.9, 4.8, 4.7, patience=3, min_delta=0.25) is None, \
    "small steps count together: 4.7 is compared with the best, 5.0, not with the epoch before"
assert stops_at(math.nan, math.nan) == 2, "nan is no improvement: a network that has died is not waited for"
assert stops_at(1.0, 2.0, patience=1) == 2, "a patience of 1 does not wait for a second bad epoch"

# %% [markdown]
# ## A run
#
# Now the five lines become a thing with a life: a **run**. It has a model, an optimizer and a loader, it
# knows how far it is, and it tells others what happens, so that bars, stopping and saving need not stand in
# the loop. Those who want to be told are **callbacks**; the appendices have live progress, averaged weights,
# mixup and TensorBoard. Read the class as a list of what a run is made of; its heart, `one_epoch`, comes
# next.

# %%
#| export
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

# %%
#| export
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

# %% [markdown]
# **Your turn.** One epoch, or what is left of it: `remaining(trainer)` gives the batches that are still to
# come (all of them, for now; you write the rest below). For each group of batches: `learn`; count the
# `batch`es and the `step`; feed `trainer.mean` with the loss of all these examples; `slow_down("step")`; and
# tell those who wait for `on_step`, *after* everything is counted, because one of them may save the run at
# that very moment. One of them may also have set `trainer.stopped`: then return.
#
# In the end a new epoch begins: `epoch` goes up, and `batch` back to 0. The record goes into the history, the
# schedule goes on, and `on_epoch_end` is told.

# %%
#| export exercise
def one_epoch(trainer: Trainer) -> None:
    """Learns from all batches of this epoch that are still to come."""
    trainer.model.train()
    trainer.tell("on_epoch_start")
    #| hint for batches in groups(remaining(trainer), trainer.accumulate): learn(batches, trainer.loss_of, …)
    #| hint trainer.latest is the loss of the step; it stands for sum of size_of(batch) examples.
    #| hint After the loop: epoch += 1, batch = 0, history.append(trainer.record()), slow_down("epoch"), tell.
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %%
#| check 3
from tinytorch import tensor
from tinytorch.layers import Parameter, Sequential
from tinytorch.optimizers import SGD

class Diary(Callback):
    """Writes down what it is told, and where the run stood."""

    def __init__(self, stop_at=None): self.lines, self.stop_at = [], stop_at
    def on_epoch_start(self, trainer): self.lines.append(("start", trainer.epoch))

    def on_epoch_end(self, trainer):
        self.lines.append(("end", trainer.epoch, trainer.batch, len(trainer.history)))

    def on_step(self, trainer):
        self.lines.append((trainer.step, trainer.batch))
        trainer.stopped = trainer.step == self.stop_at

class Turns:
    """A schedule that counts its turns."""

    turns = 0
    def step(self): self.turns += 1

def toy(stop_at=None, **settings):
    """A run with batches of 2, 2, 2 and 1 examples, whose losses are 1, 1, 1 and 8 if nothing is learned."""
    w, diary = Parameter(tensor([0.0])), Diary(stop_at)
    batches = [(tensor([x] * n), tensor([x] * n)) for x, n in ((1.0, 2), (1.0, 2), (1.0, 2), (8.0, 1))]
    model = Sequential()
    trainer = Trainer(model, SGD([w], lr=0.0), batches, lambda answers, y: (w * answers + y).mean(),
                      callbacks=[diary], **settings)
    one_epoch(trainer)
    return trainer, diary.lines

trainer, lines = toy()
assert lines[1:-1] == [(1, 1), (2, 2), (3, 3), (4, 4)], \
    "on_step is told after each step, when that step and its batch are counted"
assert toy(accumulate=3)[1][1:-1] == [(1, 3), (2, 4)], "a step from three batches counts three batches"
assert lines[-1][:3] == ("end", 1, 0), \
    "after an epoch the next one begins: epoch goes up, and batch back to 0"
assert lines[-1][3] == 1, "the record is in the history before on_epoch_end is told"
assert trainer.history[0]["loss"] == 2.0, \
    "the loss of an epoch is that of its examples: (6 * 1 + 8) / 7, not (3 + 8) / 4"
assert toy(scheduler=(turns := Turns()), every="step")[0] and turns.turns == 4, \
    "a schedule by steps goes on after each"
assert toy(scheduler=(turns := Turns()))[0] and turns.turns == 1, "a schedule by epochs goes on once an epoch"
assert toy(stop_at=2)[1][1:] == [(1, 1), (2, 2)], \
    "whoever sets trainer.stopped ends the run there: no more steps"
assert toy(stop_at=2)[0].epoch == 0, "an epoch that was stopped is not over"

# %% [markdown]
# ## What does the future depend on?
#
# A run is interrupted after 1,000 steps. Somebody has to go on and reach the *same* weights, to the last bit.
# The weights of step 1,000 are not enough. What else decides what happens next? Make a list before you read
# on; six things are on mine.

# %% [markdown]
# 1. the **model**: its weights, and buffers such as the averages of batch norm;
# 2. the **optimizer**: Adam remembers two numbers for every weight, and how many steps it made;
# 3. the **schedule**: how far the learning rate has come;
# 4. the **place**: which epoch, which batch, which step;
# 5. the **order** of this epoch's examples: it was drawn when the epoch began, from a generator that has
#    moved on since;
# 6. the **generators** as they are now: dropout and everything else that is drawn from here on.
#
# What happens if one is forgotten? Nothing that you would see. The loss jumps up a little and comes down
# again; or the examples of half an epoch are seen twice, and others never. It is the kind of mistake that is
# found a year later.
#
# The order is the hard one. **Your turn.** When an epoch begins (`batch` is 0), note where the generators
# stand, in `trainer.order`, and hand out everything. In the middle of an epoch, go back: put the generators
# where they stood, start the epoch over, skip what was seen, and then put the generators to where they were
# *now*, because the batches that you skipped were not learned from this time, and drew nothing for dropout.
# `states_of(loader)` notes all generators, and `restore(states, loader)` puts them back.

# %%
#| export exercise
def remaining(trainer: Trainer) -> Iterator:
    """The batches of this epoch that are still to come, in the order in which it began."""
    #| hint If trainer.batch == 0: trainer.order = states_of(trainer.loader), and return iter(trainer.loader).
    #| hint Else: now = states_of(loader); restore(trainer.order, loader); batches = iter(loader) …
    #| hint … next(batches), trainer.batch times; restore(now, loader); return batches.
    ### BEGIN SOLUTION
    if trainer.batch == 0:
        trainer.order = states_of(trainer.loader)
        return iter(trainer.loader)
    now = states_of(trainer.loader)
    restore(trainer.order, trainer.loader)
    batches = iter(trainer.loader)
    for _ in range(trainer.batch): next(batches)
    restore(now, trainer.loader)
    return batches
    ### END SOLUTION

# %%
#| check 3
from types import SimpleNamespace

from tinytorch import arange, get_rng_state, manual_seed, rand
from tinytorch.dataloader import DataLoader, TensorDataset

def numbers_of(batches): return [batch[0].tolist() for batch in batches]

shuffled = SimpleNamespace(loader=DataLoader(TensorDataset(arange(12)), 3, shuffle=True), batch=0, order={})
manual_seed(1)
whole, after = numbers_of(iter(shuffled.loader)), rand(1).item()
manual_seed(1)
assert numbers_of(remaining(shuffled)) == whole, \
    "an epoch that begins gives everything, in the order of its loader"
assert rand(1).item() == after, "noting where the generators stand draws nothing"
shuffled.batch = 2
manual_seed(5)
expected = rand(1).item()
manual_seed(5)
rest = remaining(shuffled)
assert rand(1).item() == expected, "afterwards the generators stand where they stood before: restore(now)"
assert numbers_of(rest) == whole[2:], \
    "the rest of an epoch is the rest of the order in which it began: back to trainer.order, then skip"
shuffled.batch = 4
assert numbers_of(remaining(shuffled)) == [], "after its last batch nothing is left of an epoch"
shuffled.batch = 0
other = numbers_of(remaining(shuffled))
shuffled.batch = 1
assert other != whole and numbers_of(remaining(shuffled)) == other[1:], \
    "each epoch that begins notes an order of its own"

# %% [markdown]
# **Your turn.** All six, in a dict; and back. A part of a run has `state_dict()` and
# `load_state_dict(state)`; there may be no scheduler. The last point of the list comes last when you go on:
# whatever is done after it might draw. (The first line keeps what is left: history, averages, and whatever
# callbacks remember.)

# %%
#| export exercise
def state_of(trainer: Trainer) -> dict:
    """All that the future of a run depends on."""
    state = {"notes": notes_of(trainer)}
    #| hint "model", "optimizer" and "scheduler" have a state_dict(). The scheduler may be None.
    #| hint "place": {"epoch": trainer.epoch, "batch": …, "step": …}. "order": trainer.order.
    #| hint "random": states_of(trainer.loader), where the generators are now.
    ### BEGIN SOLUTION
    state["model"], state["optimizer"] = trainer.model.state_dict(), trainer.optimizer.state_dict()
    if trainer.scheduler is not None: state["scheduler"] = trainer.scheduler.state_dict()
    state["place"] = {"epoch": trainer.epoch, "batch": trainer.batch, "step": trainer.step}
    state["order"], state["random"] = trainer.order, states_of(trainer.loader)
    ### END SOLUTION
    return state


def go_on(trainer: Trainer, state: dict) -> None:
    """Puts a run where another one was when its state was kept."""
    take_notes(trainer, state["notes"])
    #| hint trainer.model.load_state_dict(state["model"]), and so on; vars(trainer).update(state["place"]).
    #| hint trainer.order is set; restore(state["random"], trainer.loader) comes last.
    ### BEGIN SOLUTION
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    if trainer.scheduler is not None: trainer.scheduler.load_state_dict(state["scheduler"])
    vars(trainer).update(state["place"])
    trainer.order = state["order"]
    restore(state["random"], trainer.loader)
    ### END SOLUTION

# %%
#| export
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

# %%
#| check 4
from tinytorch import arange, get_rng_state, manual_seed, rand
from tinytorch.dataloader import DataLoader, TensorDataset
from tinytorch.dense import Dropout, Linear
from tinytorch.layers import Sequential
from tinytorch.optimizers import Adam, LambdaLR

def dice_run(seed, callbacks=()):
    """A run in which everything is drawn: first weights, orders, dropout; with a schedule, and Adam."""
    manual_seed(seed)
    net = Sequential(Linear(4, 8), Dropout(0.5), Linear(8, 3))
    adam = Adam(net.parameters(), lr=0.1)
    data = TensorDataset(rand(14, 4), arange(14) % 3)
    return Trainer(net, adam, DataLoader(data, 4, shuffle=True),
                   scheduler=LambdaLR(adam, lambda epoch: 0.5 ** epoch), callbacks=callbacks)

class Saved(Callback):
    """Keeps the state after six steps, as bytes, as a file would, and may stop there."""

    def __init__(self, stop): self.stop, self.file = stop, b""

    def on_step(self, trainer):
        if trainer.step != 6: return
        self.file, trainer.stopped = bytearray(b"".join(packed(state_of(trainer)))), self.stop

def weights(trainer): return [p.tolist() for p in trainer.model.parameters()]
def numbers_of(batches): return [batch[0].tolist() for batch in batches]

saved = Saved(stop=False)
undisturbed = dice_run(1, callbacks=[saved]).fit(3)
there = dice_run(1, callbacks=[Saved(stop=True)]).fit(3)
state_there, batches_there = get_rng_state().tolist(), numbers_of(remaining(there))

def gone_on():
    again = dice_run(2)
    again.loader = DataLoader(there.loader.dataset, 4, shuffle=True)
    go_on(again, unpacked(saved.file))
    return again

again = gone_on()
assert weights(again) == weights(there), "1. the weights are those of the run that was interrupted"
assert again.optimizer.state_dict()["state"][0]["step"].item() == 6, \
    "2. the optimizer remembers: without its averages, Adam's next steps are other ones"
assert again.scheduler.last_epoch == 1, "3. the schedule goes on where it was, and does not start over"
assert (again.epoch, again.batch, again.step) == (1, 2, 6), \
    "4. the run knows where it is: epoch, batch and step"
assert get_rng_state().tolist() == state_there, \
    "6. the generators stand where they stood: dropout draws what it would have"
assert numbers_of(remaining(again)) == batches_there, \
    "5. the rest of the epoch comes in the order in which it began"
assert weights(gone_on().fit(3)) == weights(undisturbed), "the end of the run is the same, bit for bit"

# %% [markdown]
# ## The power fails while you write
#
# The state goes into a file. `open(path, "wb")` empties the old one, and then takes a while to write the new
# one. What is on the disk when the power fails in between? Neither.
#
# The cure is as old as disks: write a **draft** beside it, and when the draft is complete, give it the old
# one's name. Renaming is one single act of the file system: whoever looks sees the old file or the new one.
#
# When is the draft complete? `write` hands bytes to Python, which collects them; `flush` hands them to the
# operating system, which collects them, too; `os.fsync` waits until they are on the disk. Which of these
# three may be missing when the *process* is killed, and which when the *power* fails?
#
# **Your turn.** If anything goes wrong on the way, an exception from `pieces` or a full disk, the draft is
# removed and the old file stays as it was.

# %%
#| export exercise
def write_safely(path: Path, pieces: Iterable) -> None:
    """Writes a file so that at every moment the old one is there, or the new one, and it is whole."""
    path = Path(path)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    #| hint with draft.open("wb") as file: write each piece; then file.flush() and os.fsync(file.fileno()).
    #| hint After the with, draft.replace(path). Before it, the file would take its new name while it is open.
    #| hint try: … except BaseException: draft.unlink(missing_ok=True), and raise. (Ctrl-C is no Exception.)
    ### BEGIN SOLUTION
    try:
        with draft.open("wb") as file:
            for piece in pieces: file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    ### END SOLUTION
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk; Windows sees to that by itself."""
    if os.name == "nt": return
    handle = os.open(folder, os.O_RDONLY)
    try: os.fsync(handle)
    finally: os.close(handle)

# %%
#| check 3
import tempfile
from unittest.mock import patch

folder = tempfile.TemporaryDirectory()
room = Path(folder.name)
target = room / "state"

def watched(pieces):
    """Writes, and notes how much was on the disk when: each sync, each renaming."""
    sync, replace, log = os.fsync, os.replace, []

    def on_disk():
        return max([file.stat().st_size for file in room.iterdir() if file != target], default=0)

    def noted_sync(file): log.append(("sync", on_disk())), sync(file)
    def noted_replace(old, new, **more): log.append(("rename", on_disk())), replace(old, new, **more)
    with patch("os.fsync", noted_sync), patch("os.replace", noted_replace): write_safely(target, pieces)
    return log

def failing(error):
    """Half a file, and then an accident; gives what is in the folder afterwards."""
    def pieces():
        yield b"half"
        raise error
    try: write_safely(target, pieces())
    except BaseException as raised: return type(raised), {f.name: f.read_bytes() for f in room.iterdir()}

target.write_bytes(b"old")
log = watched([b"ne", b"w!"])
assert target.read_bytes() == b"new!", "all pieces arrive, in order, under the name that was asked for"
assert "rename" in dict(log), "a draft takes the place of the old file by one renaming"
assert dict(log)["rename"] == 4, \
    "the draft is complete before it gets the name: flush, or close, and only then rename"
assert log[0] == ("sync", 4), "fsync waits for the disk, once everything was flushed, and before the renaming"
assert [file.name for file in room.iterdir()] == ["state"], "nothing else is left in the folder"
told = failing(ValueError("no tensor"))
assert told is not None, "an accident is raised again: nobody should believe that the file was written"
assert told[1].get("state") == b"new!", "after an accident the old file is there, and whole"
assert list(told[1]) == ["state"], "after an accident the draft is removed"
told = failing(KeyboardInterrupt())
assert told == (KeyboardInterrupt, {"state": b"new!"}), "Ctrl-C is an accident like any other"
with patch.object(Path, "open", side_effect=OSError("the disk is full")):
    try: told = write_safely(target, [b"newer"])
    except OSError as error: told = error
assert not isinstance(told, FileNotFoundError), "before there is a draft, there is none to remove: missing_ok"
folder.cleanup()

# %% [markdown]
# (Who kills a process takes what `write` has collected; what was flushed the operating system still writes.
# Only a power cut takes that, too, and only `fsync` is safe from it.)
#
# `save` and `load` are now two lines each, with PyTorch's names. What is between the state and the bytes,
# you find in two appendices: tensors as safetensors, everything else as JSON. Nothing in such a file can run.

# %%
#| export
def save(obj, f) -> None:
    """Writes a tree of tensors, numbers, strings, lists and dicts to a path, or into an open file."""
    if hasattr(f, "write"): f.write(b"".join(packed(obj)))
    else: write_safely(f, packed(obj))


def load(f, map_location=None, *, weights_only: bool = True):
    """What `save` wrote, from a path or an open file. Nothing in it can run, whatever `weights_only` says."""
    if hasattr(f, "read"): data, name = f.read(), str(getattr(f, "name", "this"))
    else: data, name = Path(f).read_bytes(), Path(f).name
    return unpacked(bytearray(data), name, map_location)

# %% [markdown]
# A callback saves the run now and then, and goes on from the file when it starts. How often? Each time costs
# a while, and a power cut costs, on average, half of what lies between two. (Young found the best choice in
# 1974: the root of twice the cost times the mean time between failures.)

# %%
#| export
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

# %% [markdown]
# ## Pull the plug
#
# Here is a run that is saved every 20 steps. First undisturbed:

# %%
def digits_run(*callbacks):
    manual_seed(11)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
    return Trainer(net, Adam(net.parameters(), lr=3e-3), DataLoader(familiar, 32, shuffle=True),
                   validation=DataLoader(unseen, 256), scores={"accuracy": Accuracy}, callbacks=callbacks)

undisturbed = digits_run(EarlyStopping(patience=4)).fit(30)
undisturbed.history[-1]

# %% [markdown]
# Now in a process of its own, which is killed in the middle: SIGKILL, which no program can catch, at a moment
# that nobody chose. Then again, from where the file is, until it gets through. Each life may last a little
# longer than the one before, or a slow machine would never come to its first checkpoint. (`fork` copies this
# very process; Windows has none. There, run the two cells in a script of their own and end it in the task
# manager.)

# %%
import multiprocessing
import random

def in_a_child(path):
    digits_run(EarlyStopping(patience=4), Checkpoints(path, every=20)).fit(30)

def killed(path, longest):
    """Starts the run, kills it after a while, and says whether it was killed or had come to its end."""
    child = multiprocessing.get_context("fork").Process(target=in_a_child, args=(path,))
    child.start()
    child.join(random.uniform(0.2, 1) * longest)
    child.kill()
    child.join()
    return child.exitcode < 0

with tempfile.TemporaryDirectory() as room:
    kills, longest = 0, 0.5
    while killed(f"{room}/run.state", longest): kills, longest = kills + 1, 1.1 * longest
    survivor = load(f"{room}/run.state")
wanted = undisturbed.model.state_dict()
kills, all(survivor["model"][name].tolist() == wanted[name].tolist() for name in wanted)

# %% [markdown]
# The same weights, after all those deaths. And what did the run learn? Losses of the digits that it saw, and
# of those it did not:

# %%
from tinytorch.curves import curves

curves({name: [row[name] for row in undisturbed.history] for name in ("loss", "val_loss")}, x="epoch")

# %% [markdown]
# ## What it costs
#
# How many bytes is a checkpoint of this network, if its weights take 19 kB? Guess, then run. (Adam keeps two
# numbers a weight. And three generators are kept, ours, NumPy's and Python's, each as it is now and as it was
# when the epoch began.) And how long does it take, compared with a step?

# %%
from tinytorch import timed

with tempfile.TemporaryDirectory() as room:
    run = digits_run().fit(1)
    batch = next(iter(run.loader))
    print("a step      ", timed(lambda: learn([batch], run.loss_of, run.optimizer)))
    print("a checkpoint", timed(lambda: save(state_of(run), f"{room}/run.state")))
    size = Path(f"{room}/run.state").stat().st_size
    print(sum(p.numel() * 4 for p in run.model.parameters()), "bytes of weights,", size, "in the file")

# %% [markdown]
# ## Challenges
#
# 1. A cluster sends SIGTERM and thirty seconds later SIGKILL. Write a callback that saves at the first and
#    stops the run. (Which methods of Python's `signal` may be called in a callback, and what about Windows?)
# 2. Leave out one of the six things from `state_of`, train to the end, and compare losses with the
#    undisturbed run. Which of the six could you have found by looking at the curve?
# 3. Write `Best`, a callback that keeps the weights of the epoch with the lowest `val_loss`, and puts them
#    back in the end. What must its `state_dict` hold?
# 4. Take the `fsync` out of `write_safely`. How much faster is it? Find out what your file system promises.
# 5. Train with `accumulate=4` and batches of 8, and with batches of 32. Are the weights the same, bit for
#    bit? Why not, and does it matter?
#
# ## Design note: a loop, or a Trainer?
#
# Every framework has grown a trainer, and every trainer has grown until nobody could say what it does:
# hundreds of arguments, and hooks whose order is documented by experience. People then go back to the five
# lines, and write the checkpoint by hand, and forget the order of the examples.
#
# The line drawn here: the loop is a function of a dozen lines that you can read, and everything that is not
# learning is told about it. What a callback needs, it finds in the run itself, which is a list of attributes
# and hides nothing. The price is that there is no promise: a callback may change anything, and two of them
# may disagree. When yours do, write the loop out. `learn`, `evaluate`, `state_of` and `go_on` are functions,
# and need no Trainer but something with the same names.
