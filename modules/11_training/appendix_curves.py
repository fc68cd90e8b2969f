# %% [markdown]
# # Appendix: curves
#
# A loss is a line, and a line is forty lines of code: an SVG, which every browser and every notebook draws,
# and letters for a terminal. Where matplotlib is installed, `curves(…).plot()` draws into its axes instead.

# %%
#| export
"""Curves of a run: as SVG, as letters in a terminal, or in matplotlib's axes."""

# %%
#| export
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

import numpy as np

COLOURS = ("#1f6feb", "#d1491b", "#1a7f37", "#8250df", "#9a6700")
BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", "_.-=+*#@"

# %% [markdown]
# The smallest picture of a curve is eight heights of a letter, a **sparkline** (Tufte, 2004).

# %%
#| export
def sparkline(values: Sequence[float], width: int = 20, bars: str = BARS) -> str:
    """Values as a line of bars; more than `width` of them are averaged, and what is not finite is a gap."""
    values = thinned(values, width)
    finite = [x for x in values if math.isfinite(x)]
    if not finite: return " " * len(values)
    low, span = min(finite), max(finite) - min(finite)
    heights = [round((x - low) / (span or 1) * (len(bars) - 1)) if math.isfinite(x) else None for x in values]
    return "".join([" " if height is None else bars[height] for height in heights])


def thinned(values: Sequence[float], n: int) -> list[float]:
    """At most n values: averages of neighbours."""
    values = [float(x) for x in values]
    if len(values) <= n or n < 1: return values[: max(n, 0)]
    edges = [round(k * len(values) / n) for k in range(n + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]

# %%
sparkline([5, 3, 2, 1.6, 1.5, 1.3, math.nan, 1.2, 1.2])

# %% [markdown]
# ## Round numbers
#
# An axis wants marks at 1, 2 or 5 times a power of ten.

# %%
#| export
def marks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, at most so many."""
    if low == high: return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    while (high - low) / step > most: step *= 2.5 if f"{step:e}".startswith("2") else 2
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]

# %%
#| export
class Curves:
    """Named curves over one axis, beginning at 1."""

    def __init__(self, series: Mapping[str, Sequence[float]], x: str = "step", log: bool = False):
        self.series = {name: [float(y) for y in values] for name, values in series.items()}
        self.x, self.log, self.length = x, log, max(map(len, self.series.values()), default=0)
        shown = [y for values in self.series.values() for y in values if self.drawable(y)]
        if not shown: raise ValueError("there is nothing to draw: no finite number" + " above 0" * log)
        self.low, self.high = min(shown), max(shown)
        if self.low == self.high:
            self.low, self.high = self.low - abs(self.low) / 2, self.low + abs(self.low) / 2 or 1

    def drawable(self, y: float) -> bool: return math.isfinite(y) and (y > 0 or not self.log)

    def height(self, y: float) -> float:
        """Where y lies between the bottom, 0, and the top, 1."""
        low, high, y = map(math.log, (self.low, self.high, y)) if self.log else (self.low, self.high, y)
        return (y - low) / (high - low)

    def pieces(self, values: Sequence[float]) -> list[list[tuple[float, float]]]:
        """The points of a curve from (0, 0) to (1, 1), in pieces where a value is missing."""
        found: list = [[]]
        for n, y in enumerate(values):
            if self.drawable(y): found[-1].append((n / max(self.length - 1, 1), self.height(y)))
            elif found[-1]: found.append([])
        return [piece for piece in found if piece]

    # ----------------------------------------------------------------------------- in a notebook

    def _repr_svg_(self, width: int = 640, height: int = 320) -> str:
        left, right, top, bottom = 56, width - 16, 16, height - 36
        def across(x): return left + x * (right - left)
        def down(y): return bottom - y * (bottom - top)
        parts = [f'<rect width="{width}" height="{height}" fill="white"/>']
        for y in self.heights():
            at = down(self.height(y))
            parts.append(f'<line x1="{left}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}" stroke="#e4e4e4"/>')
            parts.append(text(left - 6, at + 4, f"{y:.4g}", "end"))
        for x in [x for x in marks(1, max(self.length, 1)) if x == int(x)]:
            parts.append(text(across((x - 1) / max(self.length - 1, 1)), bottom + 16, f"{x:.6g}"))
        parts.append(text((left + right) / 2, height - 4, self.x))
        for n, (name, values) in enumerate(self.series.items()):
            for piece in self.pieces(values):
                parts.append(line([(across(x), down(y)) for x, y in piece], COLOURS[n % len(COLOURS)]))
            parts.append(text(right - 4, top + 14 + 16 * n, name, "end", COLOURS[n % len(COLOURS)]))
        label = escape(f"{', '.join(self.series)} by {self.x}", quote=True)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                f'role="img" aria-label="{label}">{"".join(parts)}</svg>')

    def heights(self) -> list[float]:
        """Where the axis has marks: powers of ten if it is logarithmic and there are some."""
        if not self.log: return marks(self.low, self.high)
        powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
        return [10.0**n for n in powers] or marks(self.low, self.high)

    def save(self, path) -> None:
        """Writes the picture as an SVG file."""
        Path(path).write_text(self._repr_svg_(), encoding="utf-8")

    # ------------------------------------------------------------------------------ in a terminal

    def __repr__(self, columns: int = 64, rows: int = 14):
        page = [[" "] * columns for _ in range(rows)]
        letters = dict(zip(self.series, "*+ox#@"))
        for name, values in self.series.items():
            for xs, ys in [zip(*piece) for piece in self.pieces(values)]:
                for column in range(round(xs[0] * (columns - 1)), round(xs[-1] * (columns - 1)) + 1):
                    y = np.interp(column / (columns - 1), xs, ys)
                    page[rows - 1 - round(y * (rows - 1))][column] = letters.get(name, ".")
        edges = [f"{self.high:9.4g}", *[" " * 9] * (rows - 2), f"{self.low:9.4g}"]
        told = ", ".join([f"{letters.get(name, '.')} {name}" for name in self.series])
        return "\n".join([*[f"{edge} |{''.join(row)}" for edge, row in zip(edges, page)],
                          f"{'':9} +{'-' * columns}", f"{'':11}1 to {self.length}, by {self.x}: {told}"])

    # ------------------------------------------------------------------------------- in matplotlib

    def plot(self, ax=None):
        """Draws into axes of matplotlib, and returns them."""
        if ax is None:
            import matplotlib.pyplot as plt
            ax = plt.subplots()[1]
        for name, values in self.series.items(): ax.plot(range(1, len(values) + 1), values, label=name)
        ax.set_xlabel(self.x)
        if self.log: ax.set_yscale("log")
        ax.legend()
        return ax


def line(points: Sequence[tuple[float, float]], colour: str) -> str:
    """A line through points in an SVG; a dot if there is only one."""
    (x, y), *more = points
    if not more: return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'
    through = " ".join([f"{x:.1f},{y:.1f}" for x, y in points])
    return f'<polyline points="{through}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def text(x: float, y: float, words: str, anchor: str = "middle", colour: str = "#555555") -> str:
    """A piece of text in an SVG."""
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-family="sans-serif" '
            f'font-size="12">{escape(words)}</text>')


def curves(series: Mapping[str, Sequence[float]], x: str = "step", log: bool = False) -> Curves:
    """A picture of named curves, such as losses by epoch."""
    return Curves(series, x, log)

# %%
curves({"seen": [2.3, 1.1, 0.6, 0.4, 0.3, 0.2], "unseen": [2.3, 1.2, 0.8, 0.7, 0.75, 0.8]}, x="epoch")
