"""A race between packages: what is run, who takes part, and what the numbers allow to say."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from statistics import median
from typing import Any

from tito.core.errors import UsageProblem

WORKLOADS = {                       # those of modules/14_benchmarking/bench/race.py
    "matmul": "a product of matrices, 256 x 256",
    "softmax": "softmax over rows, 512 x 512",
    "forward": "a perceptron reads 64 digits",
    "mlp": "a perceptron takes a step of training, 64 digits",
    "lenet": "LeNet-5 takes a step, 32 digits",
    "gpt": "a small GPT takes a step, 4 x 64 letters",
}
TITLES = {"yours": "yours", "reference": "reference", "numpy": "NumPy", "torch": "PyTorch"}
MODULES = {"yours": "tinytorch", "reference": "tinytorch", "numpy": "numpy", "torch": "torch"}
CLOSE = 1e-3                        # relative: contenders whose results differ more did not do the same


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The workloads that were asked for, all without a name; UsageProblem for one that does not exist."""
    for name in names:
        if name not in WORKLOADS:
            close = get_close_matches(name, WORKLOADS, 1)
            guess = f" Did you mean '{close[0]}'?" if close else ""
            known = ", ".join(WORKLOADS)
            raise UsageProblem(f"There is no workload '{name}'.{guess}", f"Choose from {known}.")
    return tuple(dict.fromkeys(names)) or tuple(WORKLOADS)


# ------------------------------------------------------------------------------------------ what was seen

@dataclass(frozen=True)
class Timing:
    """What one contender showed at one workload."""

    seconds: tuple[float, ...] = ()     # CPU time of one run, for every round
    value: float = math.nan             # the number that came out
    skipped: str = ""                   # why it was not run

    @property
    def median(self) -> float: return median(self.seconds) if self.seconds else math.nan


@dataclass(frozen=True)
class Ratio:
    """How many times as long, paired by rounds, and between which numbers that lies (95 %)."""

    middle: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        if self.high < 1: return "faster"
        return "slower" if self.low > 1 else "cannot tell"


@dataclass(frozen=True)
class Bench:
    """A whole race: for each workload, what each contender showed."""

    contenders: tuple[str, ...]                         # yours, reference, numpy, torch
    rows: Mapping[str, Mapping[str, Timing]]            # workload -> contender -> timing
    versions: Mapping[str, str]
    machine: str = ""
    rounds: int = 0
    problems: Mapping[str, str] | None = None           # contender -> why it did not come to the end

    @property
    def subject(self) -> str:
        """Who is compared with the others: the learner's package, where there is one."""
        return next((name for name in ("yours", "reference") if name in self.contenders), "")

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(name for name in self.contenders if name != self.subject)

    @property
    def base(self) -> str:
        """With whom the ratio of the table compares: PyTorch, or else NumPy, or else the reference."""
        return next((name for name in ("torch", "numpy", "reference") if name in self.others), "")

    def ratio(self, workload: str, other: str) -> Ratio | None:
        """The subject's time over the other's; None where one of them has none."""
        row = self.rows[workload]
        if self.subject not in row or other not in row: return None
        return ratio(row[self.subject].seconds, row[other].seconds)

    def wrong(self, workload: str) -> list[str]:
        """Contenders whose result is not that of the most trusted one: their time says nothing."""
        row = self.rows[workload]
        ran = {name: one.value for name, one in row.items() if one.seconds}
        trusted = next((ran[name] for name in ("torch", "numpy", "reference") if name in ran), None)
        if trusted is None: return []
        return [name for name, value in ran.items()
                if not math.isclose(value, trusted, rel_tol=CLOSE, abs_tol=CLOSE)]

    def notes(self) -> list[str]:
        """What has to be said besides the numbers, a sentence each."""
        said: dict[str, list[str]] = {}
        for workload, row in self.rows.items():
            for name, one in row.items():
                if one.skipped and name != "numpy":     # nobody wrote a GPT by hand
                    said.setdefault(f"{TITLES[name]}: {one.skipped}", []).append(workload)
            for name in self.wrong(workload):
                what = f"{TITLES[name]} computes something else, so its time says nothing"
                said.setdefault(what, []).append(workload)
        for name, why in (self.problems or {}).items(): said[f"{TITLES[name]}: {why}"] = []
        return [f"{', '.join(where)}: {what}" if where else what for what, where in said.items()]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio | None:
    """The median of the ratios of pairs, with its interval from ranks."""
    pairs = sorted([a / b for a, b in zip(ours, theirs) if b > 0])
    if not pairs: return None
    n, k, below = len(pairs), 0, 0.5 ** len(pairs)      # the chance that at most k lie below the true median
    while below <= 0.025:
        k += 1
        below += math.comb(n, k) * 0.5**n
    low, high = (pairs[k - 1], pairs[n - k]) if k else (-math.inf, math.inf)
    return Ratio(median(pairs), low, high)


def timings(report: str, names: Sequence[str]) -> tuple[dict[str, Timing], str]:
    """What a contender handed in: a timing for each workload, and its version."""
    try:
        data: dict[str, Any] = json.loads(report)
        found = data["workloads"]
        return {name: timing(found[name]) for name in names if name in found}, str(data.get("version", ""))
    except (ValueError, KeyError, TypeError):
        return {}, ""


def timing(entry: Mapping[str, Any]) -> Timing:
    if "skipped" in entry: return Timing(skipped=sentence(str(entry["skipped"])))
    return Timing(tuple(float(t) for t in entry["seconds"]), float(entry["value"]))


def sentence(said: str) -> str:
    """An error in one short line: of a name that is not built yet, what the package says about it."""
    kind, _, text = said.partition(": ")
    text = " ".join(text.split()) or kind
    named = kind in ("AttributeError", "ImportError", "ModuleNotFoundError", "NotImplementedError")
    if named and "tinytorch" in text: return text[:160]
    return f"{kind}: {text}"[:160]


def as_data(bench: Bench) -> dict[str, Any]:
    """Everything, as plain data."""
    return {
        "machine": bench.machine, "rounds": bench.rounds, "versions": dict(bench.versions),
        "contenders": list(bench.contenders), "notes": bench.notes(),
        "workloads": [{
            "name": name, "what": WORKLOADS[name],
            "timings": {who: {"median": one.median, "seconds": list(one.seconds), "value": one.value,
                              "skipped": one.skipped} for who, one in row.items()},
            "ratios": {other: {"median": r.middle, "low": r.low, "high": r.high, "verdict": r.verdict}
                       for other in bench.others if (r := bench.ratio(name, other))},
            "wrong": bench.wrong(name),
        } for name, row in bench.rows.items()],
    }
