# %% [markdown]
# # Appendix: landscapes, and who walked where
#
# A function of two numbers can be drawn: a map with a shade for each height. A notebook shows it as a
# picture, a terminal as letters. It is a tool of the lesson; no network has so few dimensions.

# %%
#| export
"""Maps of functions of two numbers, with the trails of those who look for the lowest point."""

# %%
#| export
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from tinytorch.layers import Parameter
from tinytorch.tensor import Tensor, tensor

COLOURS = ("#1f6feb", "#d1491b", "#1a7f37", "#8250df", "#9a6700")
SHADES = 9

# %%
#| export
class Landscape:
    """A function of two numbers, between limits; `bands="log"` is for valleys between very high walls."""

    def __init__(self, height: Callable, x: tuple = (-2, 2), y: tuple = (-2, 2), bands: str = "linear"):
        self.height, self.x, self.y, self.bands = height, x, y, bands

    def __call__(self, at: Tensor) -> Tensor:
        """The height at a place.  (2) -> ()"""
        return self.height(at[0], at[1])

    def shades(self, columns: int, rows: int) -> np.ndarray:
        """A shade from 0, the lowest, to 8 for each cell of a map; the first row is the top."""
        heights = self.height(*np.meshgrid(np.linspace(*self.x, columns), np.linspace(*self.y[::-1], rows)))
        heights = heights - heights.min()
        heights = np.log1p(heights) if self.bands == "log" else np.sqrt(heights)
        return np.minimum(SHADES * heights / heights.max(), SHADES - 1).astype(int)

    def place(self, at, width: float, height: float) -> tuple[float, float]:
        """Where a place lies on a map of this size."""
        across = (at[0] - self.x[0]) / (self.x[1] - self.x[0])
        down = (self.y[1] - at[1]) / (self.y[1] - self.y[0])
        return across * width, down * height

    def inside(self, trail: list) -> list:
        """The part of a trail before it leaves the map."""
        end = next((n for n, at in enumerate(trail) if not self.holds(at)), len(trail))
        return trail[:end]

    def holds(self, at) -> bool: return self.x[0] <= at[0] <= self.x[1] and self.y[0] <= at[1] <= self.y[1]
    def draw(self, **trails: list) -> Drawing: return Drawing(self, trails)
    def __repr__(self): return repr(self.draw())
    def _repr_svg_(self): return self.draw()._repr_svg_()

# %%
#| export
class Drawing:
    """A map with trails: an SVG in a notebook, letters in a terminal."""

    def __init__(self, landscape: Landscape, trails: dict):
        self.landscape, self.trails = landscape, trails

    def ends(self) -> Iterator[tuple[str, str]]:
        """Each trail, and how high its end lies."""
        for name, trail in self.trails.items():
            if not all(map(math.isfinite, trail[-1])): yield name, "lost"
            else: yield name, f"{float(self.landscape.height(*map(np.float64, trail[-1]))):.3g}"

    def __repr__(self, columns: int = 72, rows: int = 22):
        cells = [[" .:-=+*%@"[shade] for shade in row] for row in self.landscape.shades(columns, rows)]
        for name, trail in self.trails.items():
            for at in self.landscape.inside(trail):
                across, down = self.landscape.place(at, columns - 1, rows - 1)
                cells[round(down)][round(across)] = name[0].upper()
        told = ", ".join([f"{name[0].upper()} {name} (ends at height {end})" for name, end in self.ends()])
        return "\n".join(["".join(row) for row in cells] + [told] * bool(told))

    def _repr_svg_(self, width: int = 640, height: int = 360) -> str:
        parts = [*self._ground(width, height)]
        for n, ((name, end), trail) in enumerate(zip(self.ends(), self.trails.values())):
            colour = COLOURS[n % len(COLOURS)]
            places = [self.landscape.place(at, width, height) for at in self.landscape.inside(trail)]
            line = " ".join([f"{x:.1f},{y:.1f}" for x, y in places])
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{colour}"/>' for x, y in places]
            parts.append(f'<text x="8" y="{18 + 18 * n}" fill="{colour}" font-family="sans-serif" '
                         f'font-size="14">{name}: ends at height {end}</text>')
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                f'role="img" aria-label="trails on a landscape">{"".join(parts)}</svg>')

    def _ground(self, width: int, height: int, columns: int = 120, rows: int = 68) -> Iterator[str]:
        """The shades, each run of equal cells as one rectangle."""
        across, down = width / columns, height / rows
        for row, shades in enumerate(self.landscape.shades(columns, rows)):
            edges = [0, *(np.flatnonzero(np.diff(shades)) + 1), columns]
            for start, end in pairwise(edges):
                grey, wide = 252 - 9 * shades[start], (end - start) * across
                yield (f'<rect x="{start * across:.1f}" y="{row * down:.1f}" width="{wide:.1f}" '
                       f'height="{down + 0.3:.1f}" fill="rgb({grey},{grey},{grey})"/>')

# %% [markdown]
# In one dimension numbers will do: where one parameter is after each of some slopes.

# %%
#| export
def sloped(slope: float | None, start: float = 0.0) -> Parameter:
    """A parameter of one number, with this gradient."""
    p = Parameter(tensor([start]))
    if slope is not None: p.grad = tensor([slope])
    return p


def trail(make: Callable, *slopes: float, start: float = 0.0) -> list[float]:
    """Where a parameter is after a step against each of these slopes, with the optimizer of `make([p])`."""
    p, places = sloped(None, start), []
    optimizer = make([p])
    for slope in slopes:
        p.grad = tensor([slope])
        optimizer.step()
        places.append(round(p.item(), 5))
    return places
