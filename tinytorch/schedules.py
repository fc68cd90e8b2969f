# Generated from modules/10_optimizers/appendix_schedules.py by `tito export`. Edit that file, not this one.
"""Schedules of the learning rate: by steps, by formulas, in cycles, in a row, and when nothing helps."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType

from .optimizers import LambdaLR, Optimizer, cosine, linear
from .pace import LRScheduler, for_each_group, must_be_optimizer, rates, set_rate, set_rates

__all__ = [
    "MultiplicativeLR", "Factors", "StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR",
    "PolynomialLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "momentums", "set_momentum",
    "CyclicLR", "SCALES", "saved_function", "OneCycleLR", "ANNEALING", "how_many", "phases", "Several",
    "SequentialLR", "take_back", "ChainedScheduler", "ReduceLROnPlateau",
]


class MultiplicativeLR(LambdaLR):
    """The present rate times a function of the epoch, again and again."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable | list, last_epoch: int = -1):
        for f in lr_lambda if isinstance(lr_lambda, (list, tuple)) else [lr_lambda]:
            if not callable(f): raise TypeError(f"lr_lambda should be a function, not a {type(f).__name__}")
        super().__init__(optimizer, lr_lambda, last_epoch)

    def get_lr(self) -> list[float]:
        if self._is_initial: return rates(self.optimizer)
        return [lr * f(self.last_epoch) for lr, f in zip(rates(self.optimizer), self.lr_lambdas)]


class Factors(LRScheduler):
    """Multiplies all rates by `factor()`, in the present epoch."""

    def factor(self) -> float: raise NotImplementedError
    def get_lr(self) -> list[float]: return [lr * self.factor() for lr in rates(self.optimizer)]


class StepLR(Factors):
    """The rate times gamma, every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def factor(self) -> float:
        return self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else 1.0

    def _get_closed_form_lr(self) -> list[float]:
        return [lr * self.gamma ** (self.last_epoch // self.step_size) for lr in self.base_lrs]


class MultiStepLR(Factors):
    """The rate times gamma, at each of the milestones."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1,
    ):
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def factor(self) -> float: return self.gamma ** self.milestones[self.last_epoch]

    def _get_closed_form_lr(self) -> list[float]:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [lr * self.gamma**passed for lr in self.base_lrs]


class ConstantLR(LRScheduler):
    """The rate times `factor`, for the first `total_iters` epochs."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1,
    ):
        if not 0 <= factor <= 1: raise ValueError(f"factor must be from 0 to 1, not {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0: return [lr * self.factor for lr in rates(self.optimizer)]
        if self.last_epoch != self.total_iters: return rates(self.optimizer)
        return [lr * (1 / self.factor) for lr in rates(self.optimizer)]

    def _get_closed_form_lr(self) -> list[float]:
        return [lr * (1 if self.last_epoch >= self.total_iters else self.factor) for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """The rate grows (or shrinks) in a straight line, from one factor to another, and then stays."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0,
        total_iters: int = 5, last_epoch: int = -1,
    ):
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor must be greater than 0 and at most 1, not {start_factor}")
        if not 0 <= end_factor <= 1: raise ValueError(f"end_factor must be from 0 to 1, not {end_factor}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0: return [lr * self.start_factor for lr in rates(self.optimizer)]
        if self._is_initial or self.last_epoch > self.total_iters: return rates(self.optimizer)
        rise = self.end_factor - self.start_factor
        growth = 1 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)
        return [lr * growth for lr in rates(self.optimizer)]

    def _get_closed_form_lr(self) -> list[float]:
        factor = linear(self.last_epoch, self.total_iters, self.start_factor, self.end_factor)
        return [lr * factor for lr in self.base_lrs]


class ExponentialLR(Factors):
    """The rate times gamma, in every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self) -> float: return 1.0 if self._is_initial else self.gamma

    def _get_closed_form_lr(self) -> list[float]:
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class PolynomialLR(Factors):
    """The rate falls to 0 in `total_iters` epochs, like a power of the time that is left."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1,
    ):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def factor(self) -> float:
        if self._is_initial or self.last_epoch > self.total_iters: return 1.0
        now, before = [1 - t / self.total_iters for t in (self.last_epoch, self.last_epoch - 1)]
        return (now / before) ** self.power

    def _get_closed_form_lr(self) -> list[float]:
        left = 1 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [lr * left**self.power for lr in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """The rate goes down to `eta_min` in `T_max` epochs, along half a cosine, and up again in as many."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        present, t = rates(self.optimizer), self.last_epoch
        if self._is_initial: return present
        if self._step_count == 1 and t > 0: return self._get_closed_form_lr()
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:    # at the bottom no factor leads up again
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [lr + (base - self.eta_min) * rise for lr, base in zip(present, self.base_lrs)]
        now, before = [1 + math.cos(math.pi * at / self.T_max) for at in (t, t - 1)]
        return [now / before * (lr - self.eta_min) + self.eta_min for lr in present]

    def _get_closed_form_lr(self) -> list[float]:
        factor = cosine(self.last_epoch, self.T_max)
        return [self.eta_min + (lr - self.eta_min) * factor for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine down in `T_0` epochs, a jump back up, and again, each time `T_mult` times as long."""

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1,
    ):
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"T_0 must be a positive integer, not {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"T_mult must be an integer of at least 1, not {T_mult}")
        if not isinstance(eta_min, (int, float)):
            raise ValueError(f"eta_min must be a number, not a {type(eta_min).__name__}")
        self.T_0, self.T_i, self.T_mult = T_0, T_0, T_mult
        self.eta_min, self.T_cur = eta_min, last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        factor = cosine(self.T_cur, self.T_i)
        return [self.eta_min + (lr - self.eta_min) * factor for lr in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """The next epoch begins; `epoch` may be a fraction, to change the rate within an epoch."""
        if epoch is None and self.last_epoch < 0: epoch = 0
        if epoch is None:
            epoch, self.T_cur = self.last_epoch + 1, self.T_cur + 1
            if self.T_cur >= self.T_i: self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
        elif epoch < 0: raise ValueError(f"there is no epoch {epoch}")
        else: self._place(epoch)
        self.last_epoch = math.floor(epoch)
        set_rates(self, self.get_lr())

    def _place(self, epoch: float) -> None:
        """Finds the run that this epoch belongs to."""
        if epoch < self.T_0: self.T_cur, self.T_i = epoch, self.T_0
        elif self.T_mult == 1: self.T_cur = epoch % self.T_0
        else:
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n


def momentums(schedule, base, top, first: bool) -> tuple[list, list]:
    """Where the momentum of each group is kept, and between what it moves; `first`: it starts at the top."""
    optimizer = schedule.optimizer
    schedule.use_beta1 = "betas" in optimizer.defaults
    if not schedule.use_beta1 and "momentum" not in optimizer.defaults:
        raise ValueError("cycle_momentum needs an optimizer with a momentum, or with betas")
    bases = for_each_group("base_momentum", optimizer, base)
    tops = for_each_group("max_momentum", optimizer, top)
    for group, low, high in zip(optimizer.param_groups, bases, tops):
        if not first: continue
        group["max_momentum"], group["base_momentum"] = high, low
        set_momentum(schedule, group, high)
    return bases, tops


def set_momentum(schedule, group: dict, momentum: float) -> None:
    """Writes a momentum where this optimizer keeps it."""
    if schedule.use_beta1: group["betas"] = (momentum, *group["betas"][1:])
    else: group["momentum"] = momentum


class CyclicLR(LRScheduler):
    """The rate goes up and down between two values in straight lines (Smith, 2017)."""

    def __init__(
        self, optimizer: Optimizer, base_lr: float | list, max_lr: float | list, step_size_up: int = 2000,
        step_size_down: int | None = None, mode: str = "triangular", gamma: float = 1.0,
        scale_fn: Callable | None = None, scale_mode: str = "cycle", cycle_momentum: bool = True,
        base_momentum: float = 0.8, max_momentum: float = 0.9, last_epoch: int = -1,
    ):
        must_be_optimizer(optimizer)
        if scale_fn is None and mode not in SCALES:
            raise ValueError(f"mode must be one of {', '.join(SCALES)}, not {mode!r}, or there be a scale_fn")
        self.optimizer = optimizer
        base_lrs = for_each_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs): set_rate(group, lr)
        self.max_lrs = for_each_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        self.mode, self.gamma, self.scale_mode, self._scale_fn_custom = mode, gamma, scale_mode, scale_fn
        if scale_fn is None: self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = momentums(
                self, base_momentum, max_momentum, first=last_epoch == -1)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """How high the cycle (or the iteration) x goes."""
        if self._scale_fn_custom is not None: return self._scale_fn_custom(x)
        return SCALES[self.mode](self.gamma, x)

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            limits = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums)
            for group, low, high in limits:
                set_momentum(self, group, high - (high - low) * height * scale)
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self) -> dict:
        state = super().state_dict()
        return {**state, "_scale_fn_custom": saved_function(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: dict) -> None:
        function = self._scale_fn_custom
        super().load_state_dict({**state_dict, "_scale_fn_custom": function})
        if saved := state_dict.get("_scale_fn_custom"): function.__dict__.update(saved)


SCALES = {
    "triangular": lambda gamma, cycle: 1.0,
    "triangular2": lambda gamma, cycle: 1 / 2.0 ** (cycle - 1),
    "exp_range": lambda gamma, iteration: gamma**iteration,
}


def saved_function(function) -> dict | None:
    """A callable object is saved by its attributes; a function not at all."""
    if function is None or isinstance(function, FunctionType): return None
    return vars(function).copy()


class OneCycleLR(LRScheduler):
    """Up to `max_lr`, down to far below where it began, once in all of the training (Smith, 2018).

    It counts batches, not epochs: call `step()` after each.
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | list, total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: float | list = 0.85,
        max_momentum: float | list = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
        three_phase: bool = False, last_epoch: int = -1,
    ):
        must_be_optimizer(optimizer)
        self.optimizer, self.total_steps = optimizer, how_many(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start must be a float from 0 to 1, not {pct_start}")
        if anneal_strategy not in ANNEALING:
            raise ValueError(f"anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = phases(self.total_steps, pct_start, three_phase)
        max_lrs = for_each_group("max_lr", optimizer, max_lr)
        for group, lr in zip(optimizer.param_groups, max_lrs):
            if last_epoch != -1: continue
            group["initial_lr"], group["max_lr"] = lr / div_factor, lr
            group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum: momentums(self, base_momentum, max_momentum, first=last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            raise ValueError(f"step {self.last_epoch} of a cycle of {self.total_steps} steps")
        lrs, start = [], 0.0
        for phase in self._schedule_phases:
            if self.last_epoch <= phase["end_step"]: break
            if phase is not self._schedule_phases[-1]: start = phase["end_step"]
        share = (self.last_epoch - start) / (phase["end_step"] - start)
        between = ANNEALING[self._anneal_func_type]
        for group in self.optimizer.param_groups:
            lrs.append(between(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
                set_momentum(self, group, between(*ends, share))
        return lrs


ANNEALING = {
    "cos": lambda start, end, share: end + (start - end) / 2 * (math.cos(math.pi * share) + 1),
    "linear": lambda start, end, share: (end - start) * share + start,
}


def how_many(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """The number of steps, said in one way or in the other."""
    if total_steps is None and (epochs is None or steps_per_epoch is None):
        raise ValueError("say total_steps, or epochs and steps_per_epoch")
    for number in [epochs, steps_per_epoch] if total_steps is None else [total_steps]:
        if not isinstance(number, int) or number <= 0:
            raise ValueError(f"steps and epochs must be positive integers, not {number}")
    return epochs * steps_per_epoch if total_steps is None else total_steps


def phases(total: int, share: float, three: bool) -> list[dict]:
    """The parts of a cycle: the last step of each, and between which settings it leads."""
    up = {"start_lr": "initial_lr", "end_lr": "max_lr",
          "start_momentum": "max_momentum", "end_momentum": "base_momentum"}
    down = {"start_lr": "max_lr", "end_lr": "min_lr",
            "start_momentum": "base_momentum", "end_momentum": "max_momentum"}
    rest = {"start_lr": "initial_lr", "end_lr": "min_lr",
            "start_momentum": "max_momentum", "end_momentum": "max_momentum"}
    found = [{"end_step": float(share * total) - 1, **up}]
    if three: found.append({"end_step": float(2 * share * total) - 2, **down, "end_lr": "initial_lr"})
    return [*found, {"end_step": total - 1, **(rest if three else down)}]


class Several(LRScheduler):
    """Schedules of one optimizer, saved together."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler]):
        for n, one in enumerate(schedulers):
            if not hasattr(one, "optimizer"): raise TypeError(f"schedule {n} has no optimizer")
            if isinstance(one, ReduceLROnPlateau):
                raise ValueError(f"schedule {n} is a ReduceLROnPlateau, whose step wants to know the loss")
            if one.optimizer is not optimizer: raise ValueError(f"schedule {n} belongs to another optimizer")
        self.optimizer, self._schedulers = optimizer, schedulers

    def state_dict(self) -> dict:
        return {**super().state_dict(), "_schedulers": [one.state_dict() for one in self._schedulers]}

    def load_state_dict(self, state_dict: dict) -> None:
        mine = self._schedulers
        super().load_state_dict({**state_dict, "_schedulers": mine})
        for one, saved in zip(mine, state_dict["_schedulers"]): one.load_state_dict(saved)


class SequentialLR(Several):
    """One schedule up to the first milestone, the next up to the second, and so on."""

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int],
        last_epoch: int = -1,
    ):
        if len(schedulers) < 1: raise ValueError("SequentialLR needs at least one schedule")
        super().__init__(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"{len(schedulers)} schedules meet at {len(schedulers) - 1} milestones, "
                             f"not at {len(milestones)}")
        self._milestones, self.last_epoch = milestones, last_epoch + 1
        for group in optimizer.param_groups: set_rate(group, group["initial_lr"])
        take_back(self)
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        schedule = self._schedulers[turn]
        if turn and self._milestones[turn - 1] == self.last_epoch: schedule._update_lr(0)
        else: schedule.step()
        self._last_lr = schedule.get_last_lr()


def take_back(schedule: LRScheduler) -> None:
    """Undoes the count of the first step, in schedules and in those inside them."""
    if not hasattr(schedule, "_schedulers"): schedule.last_epoch -= 1
    else:
        for one in schedule._schedulers: take_back(one)


class ChainedScheduler(Several):
    """All schedules at once: each changes the rate that the one before it has set."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        if len(schedulers) < 1: raise ValueError("ChainedScheduler needs at least one schedule")
        super().__init__(optimizer or schedulers[0].optimizer, schedulers)
        self._last_lr = rates(self.optimizer)

    def step(self) -> None:
        for schedule in self._schedulers: schedule.step()
        self._last_lr = rates(self.optimizer)


class ReduceLROnPlateau(LRScheduler):
    """The rate times `factor`, when a number has not become better for more than `patience` epochs."""

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0, min_lr: float | list = 0,
        eps: float = 1e-8,
    ):
        if factor >= 1: raise ValueError(f"factor must be less than 1, not {factor}")
        if mode not in ("min", "max"): raise ValueError(f"mode must be 'min' or 'max', not {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode must be 'rel' or 'abs', not {threshold_mode!r}")
        must_be_optimizer(optimizer)
        self.optimizer, self.factor, self.patience, self.cooldown = optimizer, factor, patience, cooldown
        self.mode, self.threshold, self.threshold_mode, self.eps = mode, threshold, threshold_mode, eps
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = for_each_group("min_lr", optimizer, min_lr)
        self.last_epoch, self._last_lr = 0, rates(optimizer)
        self._reset()

    @property
    def mode_worse(self) -> float: return math.inf if self.mode == "min" else -math.inf

    @property
    def in_cooldown(self) -> bool: return self.cooldown_counter > 0

    def _reset(self) -> None:
        """Forgets what was best."""
        self.best, self.cooldown_counter, self.num_bad_epochs = self.mode_worse, 0, 0

    def step(self, metrics, epoch: int | None = None) -> None:
        """An epoch ended with this loss (or, with mode "max", this score)."""
        if epoch is not None:
            warnings.warn("step(metrics, epoch) is deprecated: call step(metrics)", stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        now = float(metrics)
        if self._is_better(now, self.best): self.best, self.num_bad_epochs = now, 0
        else: self.num_bad_epochs += 1
        if self.in_cooldown: self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = rates(self.optimizer)

    def _is_better(self, now: float, best: float) -> bool:
        margin = self.threshold if self.mode == "max" else -self.threshold
        goal = best * (1 + margin) if self.threshold_mode == "rel" else best + margin
        return now > goal if self.mode == "max" else now < goal

    def _reduce_lr(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(f"there are {len(groups)} parameter groups now, and {len(self.min_lrs)} "
                                   "values of min_lr: set .min_lrs")
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, old, least in zip(groups, rates(self.optimizer), self.min_lrs):
            new = max(old * self.factor, least)
            if old - new > self.eps: set_rate(group, new)
