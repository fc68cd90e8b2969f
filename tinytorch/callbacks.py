# Generated from modules/11_training/appendix_callbacks.py by `tito export`. Edit that file, not this one.
"""Callbacks: averaged weights, mixed examples, the best weights, and writing things down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .averages import AveragedModel, get_ema_multi_avg_fn
from .events import SummaryWriter
from .training import Callback, evaluate, write_safely

__all__ = ["EMA", "Mix", "Board", "Journal"]


class EMA(Callback):
    """Averages the weights of a run as it goes; `ema.model` is the averaged network."""

    def __init__(self, decay: float = 0.999, use_buffers: bool = True):
        self.decay, self.use_buffers, self.averaged = decay, use_buffers, None

    @property
    def model(self): return self.averaged.module

    def on_start(self, trainer):
        if self.averaged is None: self.averaged = AveragedModel(trainer.model, use_buffers=self.use_buffers)

    def on_step(self, trainer):
        decay = min(self.decay, (1 + trainer.step) / (10 + trainer.step))
        self.averaged.multi_avg_fn = get_ema_multi_avg_fn(decay)
        self.averaged.update_parameters(trainer.model)

    def on_epoch_end(self, trainer):
        if trainer.validation is None: return
        scores = {name: make() for name, make in trainer.scores.items()}
        found = evaluate(self.model, trainer.validation, trainer.loss, **scores)
        trainer.history[-1] |= {f"ema_{name}": value for name, value in found.items()}

    def state_dict(self): return {} if self.averaged is None else self.averaged.state_dict()
    def load_state_dict(self, state): self.averaged.load_state_dict(state)


class Mix(Callback):
    """Mixes each batch: `Mix(MixUp(alpha=0.2, num_classes=10))`."""

    def __init__(self, mixing: Callable): self.mixing = mixing
    def on_batch(self, trainer): trainer.data = self.mixing(*trainer.data)


class Board(Callback):
    """Writes a run down for TensorBoard: the loss every so many steps, and the record of each epoch."""

    def __init__(self, log_dir: str | None = None, every: int = 10, weights: bool = False):
        self.log_dir, self.every, self.weights, self.writer = log_dir, every, weights, None

    def on_epoch_start(self, trainer):
        if self.writer is not None: return
        self.writer = SummaryWriter(self.log_dir, purge_step=trainer.step + 1 if trainer.step else None)

    def on_step(self, trainer):
        if trainer.step % self.every == 0: self.writer.add_scalar("loss/step", trainer.latest, trainer.step)

    def on_epoch_end(self, trainer):
        for name, value in trainer.history[-1].items():
            if name not in ("epoch", "step"): self.writer.add_scalar(f"epoch/{name}", value, trainer.step)
        for name, p in trainer.model.named_parameters() if self.weights else ():
            self.writer.add_histogram(name.replace(".", "/"), p, trainer.step)
        self.writer.flush()

    def on_end(self, trainer):
        if self.writer is not None: self.writer.close()
        self.writer = None


class Journal(Callback):
    """Keeps the history of a run in a file, a line of JSON for each epoch."""

    def __init__(self, path): self.path = Path(path)

    def on_epoch_end(self, trainer):
        write_safely(self.path, [f"{json.dumps(record)}\n".encode() for record in trainer.history])
