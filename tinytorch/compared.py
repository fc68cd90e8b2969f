# Generated from modules/12_compression/appendix_compared.py by `tito export`. Edit that file, not this one.
"""Networks side by side: bytes, scores and time, and which of them no other one beats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from .compression import bytes_on_disk
from .layers import Module
from .modes import no_grad
from .setup import timed

__all__ = ["Row", "measured", "front", "Compared"]


class Row(NamedTuple):
    """A network, measured."""

    name: str
    bytes: int
    score: float
    seconds: float

    def beats(self, other: Row) -> bool:
        """Whether it is no larger and no worse, and better in one of the two."""
        no_worse = self.bytes <= other.bytes and self.score >= other.score
        return no_worse and (self.bytes, self.score) != (other.bytes, other.score)


def measured(name: str, model: Module, score: Callable, question) -> Row:
    """A network's bytes on a disk, its score, and the least time that it takes for a question."""
    model.eval()
    with no_grad(): return Row(name, bytes_on_disk(model), score(model), timed(lambda: model(question)).best)


def front(rows: Iterable[Row]) -> list[Row]:
    """Those that no other one beats, the smallest first."""
    rows = list(rows)
    unbeaten = [row for row in rows if not any([other.beats(row) for other in rows])]
    return sorted(unbeaten, key=lambda row: row.bytes)


class Compared:
    """A table of networks; a `*` stands before those that no other one beats."""

    def __init__(self, rows: Iterable[Row]): self.rows = sorted(rows, key=lambda row: row.bytes)

    def __repr__(self):
        best, wide = front(self.rows), max([len(row.name) for row in self.rows], default=0)
        return "\n".join([f"{'*' if row in best else ' '} {row.name:{wide}} {row.bytes:9,} bytes "
                          f"{row.score:6.1f} % {1e6 * row.seconds:8.0f} µs" for row in self.rows])
