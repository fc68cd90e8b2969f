# %% [markdown]
# # Appendix: a canary that flies by itself
#
# The verdict of the lesson, tied to an alias: it decides who is asked, counts who fails, and moves the
# alias. Who asks twice should be answered by the same version twice, so chance is not a die but a digest of
# who asks.

# %%
#| export
"""Routes a share of the requests to a new version, and takes it back when it fails more often."""

# %%
#| export
from __future__ import annotations

import hashlib
from collections.abc import Callable

from tinytorch.mlops import Alias, Tally, verdict

# %%
#| export
class Canary:
    """Tries a new version beside the one that an alias stands for."""

    def __init__(
        self, alias: Alias, version: int,
        share: float = 0.1,                 # of the requests, for the new version
        judge: Callable = verdict,          # judge(old, new) says "wait", "back" or "on"
    ):
        if alias.version is None:
            raise LookupError("a canary flies beside a version in use, and there is none")
        if not 0 < share < 1: raise ValueError(f"share is between 0 and 1, not {share}")
        self.alias, self.old, self.new, self.share, self.judge = alias, alias.version, version, share, judge
        self.tallies, self.state = {self.old: Tally(), self.new: Tally()}, "wait"

    def route(self, who: str) -> int:
        """Which version answers; the same one for the same `who`."""
        if self.state != "wait": return self.new if self.state == "on" else self.old
        place = int.from_bytes(hashlib.sha256(f"{self.new}/{who}".encode()).digest()[:8], "big") / 2**64
        return self.new if place < self.share else self.old

    def record(self, version: int, failed: bool) -> str:
        """Counts an answer; promotes the new version, or takes it out of the run, when that is decided."""
        self.tallies[version] = self.tallies[version].plus(failed)
        if self.state == "wait":
            self.state = self.judge(self.tallies[self.old], self.tallies[self.new])
            if self.state == "on": self.alias.promote(self.new, self.why())
        return self.state

    def why(self) -> str:
        """The numbers that a decision stands on."""
        return ", ".join([f"version {n}: {tally.failed} of {tally.asked} failed" for n,
                          tally in self.tallies.items()])
