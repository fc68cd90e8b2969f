# Generated from modules/10_optimizers/appendix_averages.py by `tito export`. Edit that file, not this one.
"""Averaged copies of a network, and the schedule that goes with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain

from .autograd import no_grad
from .bookkeeping import cut, number, written
from .layers import Module
from .optimizers import Optimizer, average
from .pace import LRScheduler, for_each_group, rates
from .tensor import Tensor, tensor

__all__ = [
    "share_of", "get_ema_avg_fn", "get_swa_avg_fn", "get_ema_multi_avg_fn", "get_swa_multi_avg_fn", "move",
    "AveragedModel", "update_bn", "SWALR",
]


def share_of(decay: float) -> float:
    """What is new in an average that keeps this share of the old."""
    if not 0 <= decay <= 1: raise ValueError(f"decay must be from 0 to 1, not {decay}")
    return 1 - decay


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """Averages one parameter, the older places counting ever less."""
    share = share_of(decay)
    def ema_update(ema_param, current_param, num_averaged):
        return decay * ema_param + share * current_param
    return ema_update


def get_swa_avg_fn() -> Callable:
    """Averages one parameter, all places counting the same."""
    def swa_update(averaged_param, current_param, num_averaged):
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)
    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """Averages all parameters in place, the older places counting ever less."""
    share = share_of(decay)
    def ema_update(ema_param_list, current_param_list, num_averaged):
        for mean, new in zip(ema_param_list, current_param_list): move(mean, new, share)
    return ema_update


def get_swa_multi_avg_fn() -> Callable:
    """Averages all parameters in place, all places counting the same."""
    def swa_update(averaged_param_list, current_param_list, num_averaged):
        for mean, new in zip(averaged_param_list, current_param_list):
            move(mean, new, 1 / (number(num_averaged) + 1))
    return swa_update


def move(mean: Tensor, new: Tensor, share: float) -> None:
    """Moves a tensor in place, by this share of the way to another one."""
    if mean.is_floating_point():
        for m, x, room, _ in cut(mean.array, new.array): average(m, x, share, room)
        written(mean)
    else: mean.copy_(mean * (1 - share) + new * share)


class AveragedModel(Module):
    """A copy of a model, whose parameters are the average of those the model had at each
    `update_parameters(model)`: of all alike, unless `avg_fn` (or `multi_avg_fn`) says otherwise.

    `use_buffers`: buffers are averaged too, rather than copied.
    """

    def __init__(
        self, model: Module, device=None, avg_fn: Callable | None = None,
        multi_avg_fn: Callable | None = None, use_buffers: bool = False,
    ):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("avg_fn or multi_avg_fn, not both")
        self.module = deepcopy(model)
        if device is not None: self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs): return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the present parameters of the model into the average."""
        def averaged(module): return chain(module.parameters(), module.buffers() if self.use_buffers else ())
        means = [p.data for p in averaged(self.module)]
        news = [p.data.to(mean.device) for p, mean in zip(averaged(model), means)]
        with no_grad(): self._average(means, news)
        if not self.use_buffers:
            for mine, other in zip(self.module.buffers(), model.buffers()): mine.data.copy_(other.data)
        self.n_averaged.add_(1)

    def _average(self, means: list[Tensor], news: list[Tensor]) -> None:
        if self.n_averaged == 0:
            for mean, new in zip(means, news): mean.copy_(new)
        elif self.avg_fn is None:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(means, news, self.n_averaged)
        else:
            for mean, new in zip(means, news): mean.copy_(self.avg_fn(mean, new, self.n_averaged))


def update_bn(loader: Iterable, model: Module, device=None) -> None:
    """Measures the running means and variances of all batch norms anew, on the batches of a loader.

    Of a batch that is a tuple or list, the first part goes into the model.
    """
    norms = [part for part in model.modules() if hasattr(part, "reset_running_stats")]
    if not norms: return
    momenta, training = [norm.momentum for norm in norms], model.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None                        # the plain average of all batches
    model.train()
    with no_grad():
        for batch in loader:
            rows = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(rows if device is None else rows.to(device))
    for norm, momentum in zip(norms, momenta): norm.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """The rate goes to `swa_lr` in `anneal_epochs` epochs, from wherever it is, and stays there."""

    def __init__(
        self, optimizer: Optimizer, swa_lr: float | list, anneal_epochs: int = 10,
        anneal_strategy: str = "cos", last_epoch: int = -1,
    ):
        for group, lr in zip(optimizer.param_groups, for_each_group("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be an integer of 0 or more, not {anneal_epochs}")
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _way(self, epoch: float) -> float:
        """How much of the way is behind us."""
        t = max(0.0, min(1.0, epoch / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self) -> list[float]:
        epoch = self._step_count - 1
        if self.anneal_epochs == 0: epoch = max(1, epoch)
        before, now = self._way(epoch - 1), self._way(epoch)
        goals = [group["swa_lr"] for group in self.optimizer.param_groups]
        starts = [goal if before == 1 else (lr - before * goal) / (1 - before)
                  for lr, goal in zip(rates(self.optimizer), goals)]
        return [goal * now + start * (1 - now) for goal, start in zip(goals, starts)]
