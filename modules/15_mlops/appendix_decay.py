# %% [markdown]
# # Appendix: getting worse, slowly
#
# Sooner or later the truth arrives: the customer corrects a digit, the loan is paid back or not. Then each
# answer is right or wrong, one after the other, and the question is *when* it began to go wrong. Three
# instruments, and a bell that does not ring all night.

# %%
#| export
"""Accuracy over a window, CUSUM, Page and Hinkley's test, and alarms with hysteresis."""

# %%
#| export
from __future__ import annotations

import math
from collections import deque

# %% [markdown]
# ## The last so many
#
# A share of 380 in 400 is 95 %, and might as well be 93 or 97. Wilson's interval (1927) says how far it may
# be off.

# %%
#| export
def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Between which shares the true one lies, 95 times in 100 for z = 1.96."""
    if n == 0: return 0.0, 1.0
    p, more = right / n, z * z / n
    middle = (p + more / 2) / (1 + more)
    reach = z / (1 + more) * math.sqrt(p * (1 - p) / n + more / (4 * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


class Window:
    """The share of right answers among the last n."""

    def __init__(self, n: int = 500): self.answers: deque[bool] = deque(maxlen=n)

    def update(self, right: bool) -> None: self.answers.append(bool(right))

    @property
    def accuracy(self) -> float: return sum(self.answers) / len(self.answers) if self.answers else math.nan

    def below(self, promised: float) -> bool:
        """Whether even the upper end of the interval is below what was promised."""
        return wilson(sum(self.answers), len(self.answers))[1] < promised

# %%
wilson(380, 400)

# %% [markdown]
# ## Adding up what is too much
#
# A window forgets, and a slow decline hides in it. **CUSUM** (Page, 1954) adds up by how much each error
# exceeds what is usual, plus some slack; while all is well the sum falls and is held at 0; when it isn't,
# it climbs by a steady step, however small. **Page and Hinkley's test** is for those who do not know what
# is usual: it takes the mean so far.

# %%
#| export
class Cusum:
    """Rings when numbers have been above what is usual for too long."""

    def __init__(self, usual: float, slack: float, limit: float):
        self.usual, self.slack, self.limit, self.sum = usual, slack, limit, 0.0

    def update(self, x: float) -> bool:
        """Takes in a number, such as 1 for an error and 0 for none; whether the sum is above the limit."""
        self.sum = max(0.0, self.sum + x - self.usual - self.slack)
        return self.sum > self.limit

    def reset(self) -> None: self.sum = 0.0


class PageHinkley:
    """Rings when the mean of numbers has risen, by their own history."""

    def __init__(self, delta: float = 0.005, limit: float = 50.0, least: int = 30):
        self.delta, self.limit, self.least = delta, limit, least
        self.reset()

    def reset(self) -> None: self.n, self.mean, self.sum, self.lowest = 0, 0.0, 0.0, 0.0

    def update(self, x: float) -> bool:
        """Takes in a number; whether the mean has risen."""
        self.n += 1
        self.mean += (x - self.mean) / self.n
        self.sum += x - self.mean - self.delta
        self.lowest = min(self.lowest, self.sum)
        return self.n >= self.least and self.sum - self.lowest > self.limit

# %% [markdown]
# ## A bell
#
# A number that hovers around a threshold rings a bell, and stops it, and rings it. So there are two
# thresholds, as in every thermostat, and a number has to stay beyond one of them for some checks:
# **hysteresis**.

# %%
#| export
class Alarm:
    """Goes on when a number has been at least `high` for some checks, and off when at most `low` for some."""

    def __init__(self, name: str, high: float, low: float, after: int = 3):
        if low > high:
            raise ValueError(f"an alarm goes off below where it goes on: low={low} is above high={high}")
        self.name, self.high, self.low, self.after = name, high, low, after
        self.on, self.waited, self.log = False, 0, []

    def check(self, x: float) -> bool:
        """Looks at a number, and says whether the alarm is on; nan counts as beyond."""
        beyond = not x > self.low if self.on else not x < self.high
        if math.isnan(x): beyond = not self.on
        self.waited = self.waited + 1 if beyond else 0
        if self.waited >= self.after:
            self.on, self.waited = not self.on, 0
            self.log.append((self.on, x))
        return self.on

# %%
alarm = Alarm("drift", high=0.25, low=0.1, after=2)
[alarm.check(x) for x in (0.1, 0.3, 0.2, 0.3, 0.3, 0.2, 0.09, 0.2, 0.09, 0.08)]
