# Generated from modules/14_benchmarking/appendix_traces.py by `tito export`. Edit that file, not this one.
"""Spans as a trace in Chrome's JSON, and as stacks for flame graphs."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path

from .benchmarking import Span, own_seconds

__all__ = ["chrome_trace", "told", "save_trace", "folded_stacks"]


def chrome_trace(spans: Sequence[Span], name: str = "tinytorch") -> dict:
    """The spans in the Trace Event Format: a dict to be written as JSON."""
    start, process = min([span.began for span in spans], default=0.0), os.getpid()
    where = {"pid": process, "tid": process}
    events = [
        {"name": "process_name", "ph": "M", "ts": 0, **where, "args": {"name": name}},
        {"name": "thread_name", "ph": "M", "ts": 0, **where, "args": {"name": "ops"}},
    ]
    for span in spans:
        if not span.ended >= span.began: continue               # it has not ended: nobody knows how long
        ts = 1e6 * (span.began - start)
        events.append({"name": span.name, "cat": span.facts.get("kind", "op"), "ph": "X", "ts": ts,
                       "dur": 1e6 * span.seconds, **where, "args": told(span)})
        if "memory" in span.facts:
            events.append({"name": "memory", "ph": "C", "ts": ts + 1e6 * span.seconds, **where,
                           "args": {"bytes": span.facts["memory"]}})
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"program": name}}


def told(span: Span) -> dict:
    """What a trace tells about a span: what it cost, and its facts."""
    facts = {key: value for key, value in span.facts.items() if key not in ("kind", "memory")}
    if span.cost.bytes: facts |= {"FLOP": float(span.cost.flops), "bytes": float(span.cost.bytes)}
    return facts


def save_trace(spans: Sequence[Span], path) -> None:
    """Writes the trace to a file; a name that ends in .gz is compressed."""
    data = json.dumps(chrome_trace(spans), default=str).encode()
    Path(path).write_bytes(gzip.compress(data) if str(path).endswith(".gz") else data)


def folded_stacks(spans: Sequence[Span]) -> list[str]:
    """A line `step;forward;linear 123` for each way, with its microseconds of self time."""
    ways: dict[str, float] = {}
    for span, seconds in own_seconds(spans).items():
        names, above = [span.name], span.inside
        while above is not None:
            names.append(above.name)
            above = above.inside
        way = ";".join(reversed(names))
        ways[way] = ways.get(way, 0.0) + seconds
    return [f"{way} {round(1e6 * seconds)}" for way, seconds in ways.items() if seconds > 0]
