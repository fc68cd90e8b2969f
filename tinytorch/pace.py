# Generated from modules/10_optimizers/appendix_pace.py by `tito export`. Edit that file, not this one.
"""Counting epochs and writing rates into an optimizer: what every schedule does."""

from __future__ import annotations

import warnings

from .bookkeeping import Books, number

__all__ = ["LRScheduler", "must_be_optimizer", "rates", "set_rate", "set_rates", "for_each_group"]


class LRScheduler:
    """Sets the rates of an optimizer, at each `step()` to what `get_lr()` says.

    `last_epoch` is the number of the epoch: -1 before the first. `base_lrs` are the rates it all began with.
    """

    _is_initial = False

    def __init__(self, optimizer: Books, last_epoch: int = -1):
        must_be_optimizer(optimizer)
        self.optimizer, self.last_epoch = optimizer, last_epoch
        for n, group in enumerate(optimizer.param_groups):
            if last_epoch == -1: group.setdefault("initial_lr", number(group["lr"]))
            if "initial_lr" not in group:
                raise KeyError(f"param_groups[{n}] has no 'initial_lr': to go on at epoch {last_epoch}, "
                               "load the optimizer's state first")
        self.base_lrs = [number(group["initial_lr"]) for group in optimizer.param_groups]
        self._initial_step()

    def _initial_step(self) -> None:
        """The rates of epoch 0."""
        self._step_count, self._is_initial = 0, True
        try: self.step()
        finally: self._is_initial = False

    def get_lr(self) -> list[float]:
        """The rate of each group in this epoch, from the present one or from the first."""
        raise NotImplementedError(f"{type(self).__name__} does not say what the rate is: write get_lr")

    def get_last_lr(self) -> list[float]:
        """The rates that were set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """The next epoch (or this one) begins."""
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", False):
            warnings.warn("lr_scheduler.step() before optimizer.step(): the first rate of the schedule is "
                          "never used. Call them in the other order", stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn("step(epoch) is deprecated: call step(), without a number", stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed = getattr(self, "_get_closed_form_lr", self.get_lr)
        set_rates(self, self.get_lr() if epoch is None else closed())

    def state_dict(self) -> dict:
        """All that it counts and remembers; functions that it was given are not saved."""
        return {key: value for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict) -> None:
        """Goes on where another schedule stopped."""
        self.__dict__.update(state_dict)


_LRScheduler = LRScheduler              # its name until 2022


def must_be_optimizer(optimizer) -> None:
    """A TypeError, unless it is one."""
    if not isinstance(optimizer, Books): raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def rates(optimizer: Books) -> list[float]:
    """The present rate of each group."""
    return [number(group["lr"]) for group in optimizer.param_groups]


def set_rate(group: dict, lr: float) -> None:
    """Writes the rate; where it is a tensor, into the tensor."""
    if hasattr(group["lr"], "fill_"): group["lr"].fill_(lr)
    else: group["lr"] = lr


def set_rates(schedule, lrs: list[float]) -> None:
    """Writes a rate into each group, and remembers them."""
    for group, lr in zip(schedule.optimizer.param_groups, lrs, strict=True): set_rate(group, lr)
    schedule._last_lr = rates(schedule.optimizer)


def for_each_group(name: str, optimizer: Books, setting) -> list:
    """One value a group: the list that was given, or the one value for all."""
    groups = len(optimizer.param_groups)
    if not isinstance(setting, (list, tuple)): return [number(setting)] * groups
    if len(setting) != groups:
        raise ValueError(f"{name} has {len(setting)} values, and the optimizer {groups} parameter groups")
    return [number(value) for value in setting]
