# Generated from modules/15_mlops/appendix_exposition.py by `tito export`. Edit that file, not this one.
"""Counters, gauges and histograms, and the page of text that Prometheus reads."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from threading import Lock

from .mlops import LATENCIES, Histogram

__all__ = [
    "CONTENT_TYPE", "Metric", "Counter", "Gauge", "Distribution", "Metrics", "line", "written", "escaped",
]


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric:
    """A number with a name, for each combination of labels; safe to use from several threads."""

    kind = "untyped"

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()):
        for word in (name, *labels):
            if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*",
                                word): raise ValueError(f"{word!r} is no name of a metric or a label")
        if {"le",
            "quantile"} & set(labels): raise ValueError("le and quantile are labels of the format itself")
        self.name, self.about, self.labels, self.lock = name, about, tuple(labels), Lock()
        self.children: dict[tuple[str, ...], object] = {} if labels else {(): self.fresh()}

    def fresh(self): return 0.0

    def place(self, labels: dict) -> tuple[str, ...]:
        """The combination that these labels say; all must be there."""
        if set(labels) != set(self.labels):
            own, given = [", ".join(names) or "none" for names in (self.labels, labels)]
            raise ValueError(f"the labels of {self.name} are {own}, not {given}")
        key = tuple([str(labels[name]) for name in self.labels])
        if key not in self.children: self.children[key] = self.fresh()
        return key

    def samples(self) -> list[tuple[str, dict, float]]:
        """What stands on the page: name, labels, number."""
        return [(self.name, dict(zip(self.labels, key)), value) for key, value in self.children.items()]


class Counter(Metric):
    """How often something happened: it only goes up."""

    kind = "counter"

    def add(self, amount: float = 1, **labels) -> None:
        if amount < 0: raise ValueError(f"{self.name} counts, and cannot go down by {-amount}")
        with self.lock:
            key = self.place(labels)
            self.children[key] += amount


class Gauge(Metric):
    """How much of something there is now."""

    kind = "gauge"

    def set(self, value: float, **labels) -> None:
        with self.lock: self.children[self.place(labels)] = float(value)


class Distribution(Metric):
    """How something is spread: a histogram for each combination of labels."""

    kind = "histogram"

    def __init__(self, name: str, about: str, labels: Sequence[str] = (), bounds=LATENCIES):
        self.bounds = bounds
        super().__init__(name, about, labels)

    def fresh(self): return Histogram(self.bounds)

    def observe(self, x: float, **labels) -> None:
        with self.lock: self.children[self.place(labels)].observe(x)

    def quantile(self, q: float, **labels) -> float: return self.children[self.place(labels)].quantile(q)

    def samples(self) -> list[tuple[str, dict, float]]:
        found = []
        for key, histogram in self.children.items():
            labels, up_to = dict(zip(self.labels, key)), 0
            for bound, count in zip((*histogram.bounds, math.inf), histogram.counts):
                up_to += count
                found.append((f"{self.name}_bucket", labels | {"le": written(bound)}, up_to))
            found += [(f"{self.name}_sum", labels, histogram.total), (f"{self.name}_count", labels, up_to)]
        return found


class Metrics:
    """All metrics of a service, and the page on which they stand."""

    def __init__(self): self.known: dict[str, Metric] = {}

    def add(self, metric: Metric) -> Metric:
        """Takes in a metric; its name must be free."""
        if metric.name in self.known: raise ValueError(f"there is a metric {metric.name} already")
        self.known[metric.name] = metric
        return metric

    def page(self) -> str:
        """The text that Prometheus reads, version 0.0.4."""
        lines = []
        for metric in self.known.values():
            lines += [f"# HELP {metric.name} {escaped(metric.about)}", f"# TYPE {metric.name} {metric.kind}"]
            with metric.lock: lines += [line(*sample) for sample in metric.samples()]
        return "".join([text + "\n" for text in lines])


def line(name: str, labels: dict, value: float) -> str:
    """A number on the page."""
    told = ",".join([f'{key}="{escaped(word, quotes=True)}"' for key, word in labels.items()])
    return f"{name}{{{told}}} {written(value)}" if told else f"{name} {written(value)}"


def written(x: float) -> str:
    """A number as the format spells it."""
    if math.isnan(x): return "NaN"
    if math.isinf(x): return "+Inf" if x > 0 else "-Inf"
    return repr(int(x)) if float(x).is_integer() and abs(x) < 2**53 else repr(float(x))


def escaped(text: str, quotes: bool = False) -> str:
    """Text without what would end a line, or a label, too early."""
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quotes else text
