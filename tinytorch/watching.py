# Generated from modules/16_capstone/appendix_watching.py by `tito export`. Edit that file, not this one.
"""Metrics, logs, and the pulse of a server."""

from __future__ import annotations

import itertools
import json
import secrets
import sys
import time
from collections import deque
from contextlib import suppress
from threading import Lock

__all__ = [
    "PROCESS", "COUNTER", "SECONDS", "ROWS", "AS_TEXT", "Metrics", "Pulse", "percentile", "log", "request_id",
]


try: from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
except ImportError as error:
    raise ImportError("serving wants packages of its own: pip install 'tinytorch-tito[serve]'") from error

PROCESS, COUNTER = secrets.token_hex(4), itertools.count(1)     # a system call less for each request
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
AS_TEXT = json.JSONEncoder(default=str).encode


class Metrics:
    """What Prometheus collects; each server has its own."""

    def __init__(self):
        self.registry = CollectorRegistry()
        which = ("model", "version")
        self.requests = self.of(Counter, "requests", "Requests that were answered", (*which, "status"))
        self.seconds = self.of(Histogram, "request_seconds", "From request to answer", which, SECONDS)
        self.batches = self.of(Histogram, "batch_rows", "Rows, or texts, computed together", which, ROWS)
        self.busy = self.of(Counter, "compute_seconds", "Time spent in the model", which)
        self.words = self.of(Counter, "words", "Words that were written", which)
        self.waiting = self.of(Gauge, "waiting", "Rows, or texts, in line", which)
        self.flying = self.of(Gauge, "requests_in_flight", "Requests that are being answered", ())

    def of(self, kind, name: str, text: str, labels, buckets=None):
        more = {"buckets": buckets} if buckets else {}
        return kind(f"tinytorch_{name}", text, labels, registry=self.registry, **more)

    def page(self) -> bytes: return generate_latest(self.registry)


class Pulse:
    """How long the last requests took, and how many there were."""

    def __init__(self, last: int = 1000):
        self.times, self.count, self.failed, self.lock = deque(maxlen=last), 0, 0, Lock()

    def beat(self, seconds: float, ok: bool) -> None:
        with self.lock:
            self.count, self.failed = self.count + 1, self.failed + (not ok)
            if ok: self.times.append((time.monotonic(), seconds))

    def told(self) -> dict:
        """Counts, and percentiles in milliseconds."""
        with self.lock: times = list(self.times)
        ordered = sorted([seconds for _, seconds in times])
        recent = [at for at, _ in times if at > time.monotonic() - 10]
        return {"count": self.count, "failed": self.failed, "per_second": len(recent) / 10,
                **{f"p{p}": 1000 * percentile(ordered, p) for p in (50, 95, 99) if ordered}}


def percentile(ordered: list[float], p: float) -> float:
    """The least of some numbers, in order, that p in a hundred do not exceed."""
    return ordered[max(0, -(-len(ordered) * p // 100) - 1)]


def log(**told) -> None:
    """A line of JSON on standard error; who asks is answered, whether anybody can be told or not."""
    with suppress(OSError, ValueError):
        sys.stderr.write(AS_TEXT({"time": round(time.time(), 3), **told}) + "\n")


def request_id(given: bytes | None) -> str:
    """The id that the client gave, if it can stand in a log, or a new one."""
    if given and len(given) <= 100 and given.isascii() and (text := given.decode()).isprintable(): return text
    return f"{PROCESS}-{next(COUNTER)}"
