# Generated from modules/14_benchmarking/appendix_charts.py by `tito export`. Edit that file, not this one.
"""Pictures of measured time: a roofline, flames, and the time of one training step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from .costs import Cost
from .curves import COLOURS, line, text
from .setup import readable

__all__ = ["Svg", "svg", "Roofline", "Flames", "Steps"]


class Svg:
    """A picture that notebooks show and `save` writes."""

    def _repr_svg_(self) -> str: raise NotImplementedError(f"{type(self).__name__} does not say how it looks")

    def save(self, path) -> None:
        """Writes the picture as an SVG file."""
        from pathlib import Path
        Path(path).write_text(self._repr_svg_(), encoding="utf-8")


def svg(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    """The parts of a picture, on white."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" role="img" aria-label="{escape(label, quote=True)}">'
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>{"".join(parts)}</svg>')


class Roofline(Svg):
    """Speed over intensity: what a machine allows, and what was measured."""

    width, height, left, right, top, bottom = 640, 380, 62, 16, 20, 44

    def __init__(
        self, gflops: float, bandwidth: float,      # the two ceilings, in GFLOP/s and GB/s
        work: Mapping[str, tuple[Cost, float]],     # name -> what it costs, and the seconds that it took
    ):
        self.gflops, self.bandwidth = gflops, bandwidth
        self.points = {name: (cost.intensity, cost.flops / seconds / 1e9)
                       for name, (cost, seconds) in work.items() if cost.flops and cost.bytes and seconds}
        x, y = [[*some] for some in zip((gflops / bandwidth, gflops), *self.points.values())]
        self.x = 10 ** math.floor(math.log10(min(x) / 2)), 10 ** math.ceil(math.log10(max(x) * 2))
        self.y = 10 ** math.floor(math.log10(min(y) / 2)), 10 ** math.ceil(math.log10(max(y)))

    def roof(self, intensity: float) -> float:
        """The GFLOP/s that work of this intensity can reach."""
        return min(self.gflops, self.bandwidth * intensity)

    def place(self, intensity: float, speed: float) -> tuple[float, float]:
        """Where a point lies in the picture."""
        def share(value, limits): return math.log(value / limits[0]) / math.log(limits[1] / limits[0])
        across = self.left + share(intensity, self.x) * (self.width - self.left - self.right)
        room = self.height - self.top - self.bottom
        return across, self.height - self.bottom - share(speed, self.y) * room

    def _repr_svg_(self) -> str:
        corner = self.gflops / self.bandwidth
        roof = [(x, self.roof(x)) for x in (max(self.x[0], self.y[0] / self.bandwidth), corner, self.x[1])]
        parts = [*self.grid(), line([self.place(*point) for point in roof], "#555555")]
        parts.append(text(self.place(self.x[1], self.gflops)[0] - 4, self.place(1, self.gflops)[1] - 6,
                          f"{self.gflops:.3g} GFLOP/s", "end"))
        for n, (name, point) in enumerate(self.points.items()):
            (x, y), colour = self.place(*point), COLOURS[n % len(COLOURS)]
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
            left = x > self.width * 0.75
            parts.append(text(x - 7 if left else x + 7, y + 4, name, "end" if left else "start", colour))
        parts.append(text((self.left + self.width) / 2, self.height - 6, "FLOP for each byte"))
        parts.append(text(4, 14, "GFLOP/s", "start"))
        return svg(self.width, self.height, "a roofline with " + ", ".join(self.points), parts)

    def grid(self) -> list[str]:
        """Lines at the powers of ten."""
        parts = []
        for power in range(round(math.log10(self.x[0])), round(math.log10(self.x[1])) + 1):
            x, bottom = self.place(10.0**power, self.y[0])
            parts.append(f'<line x1="{x:.1f}" y1="{self.top}" x2="{x:.1f}" y2="{bottom:.1f}" '
                         'stroke="#e4e4e4"/>')
            parts.append(text(x, bottom + 16, f"{10.0**power:g}"))
        for power in range(round(math.log10(self.y[0])), round(math.log10(self.y[1])) + 1):
            left, y = self.place(self.x[0], 10.0**power)
            parts.append(f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{self.width - self.right}" y2="{y:.1f}" '
                         'stroke="#e4e4e4"/>')
            parts.append(text(left - 6, y + 4, f"{10.0**power:g}", "end"))
        return parts

    def __repr__(self):
        rows = [f"{name:>16} {x:9.3f} FLOP a byte {speed:9.2f} GFLOP/s, "
                f"{100 * speed / self.roof(x):.0f} % of the roof" for name, (x, speed) in self.points.items()]
        return "\n".join([f"{self.gflops:.3g} GFLOP/s, {self.bandwidth:.3g} GB/s", *rows])


class Flames(Svg):
    """Spans of time, each below the one that it is a part of."""

    width, row = 760, 20

    def __init__(self, spans: Sequence): self.spans = list(spans)

    def depth(self, span) -> int:
        """How many spans this one lies in."""
        n = 0
        while (span := span.inside) is not None: n += 1
        return n

    def _repr_svg_(self) -> str:
        spans = [span for span in self.spans if span.ended >= span.began]
        if not spans: return svg(self.width, self.row, "no spans", [text(8, 14, "no spans", "start")])
        start, end = min([span.began for span in spans]), max([span.ended for span in spans])
        scale = (self.width - 8) / ((end - start) or 1)
        colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(dict.fromkeys(
            [span.name for span in spans]))}
        parts = [self.bar(span, (span.began - start) * scale + 4, span.seconds * scale, colours[span.name])
                 for span in spans]
        height = (max(map(self.depth, spans)) + 1) * self.row + 30
        parts += [text(4, height - 8, "0", "start"),
                  text(self.width - 4, height - 8, readable(end - start), "end")]
        return svg(self.width, height, f"flames of {len(spans)} spans", parts)

    def bar(self, span, left: float, long: float, colour: str) -> str:
        top, fits = self.depth(span) * self.row + 4, int(long / 7)
        words = text(left + 3, top + 13, span.name[:fits], "start", "#ffffff") if fits > 2 else ""
        told = escape(f"{span.name}: {readable(max(span.seconds, 1e-9))}")
        return (f'<rect x="{left:.2f}" y="{top}" width="{max(long, 0.4):.2f}" height="{self.row - 2}" '
                f'fill="{colour}" fill-opacity="0.85"><title>{told}</title></rect>{words}')


class Steps(Svg):
    """The time of one training step, by what was done about it: a bar for each."""

    width, row, left, right = 560, 22, 170, 90

    def __init__(self, seconds: Mapping[str, float]): self.seconds = dict(seconds)

    def _repr_svg_(self) -> str:
        longest, room = max(self.seconds.values(), default=1) or 1, self.width - self.left - self.right
        parts = []
        for n, (name, seconds) in enumerate(self.seconds.items()):
            y, long = n * self.row + 6, seconds / longest * room
            parts.append(text(self.left - 8, y + 12, name, "end"))
            parts.append(f'<rect x="{self.left}" y="{y}" width="{long:.1f}" height="{self.row - 6}" '
                         f'fill="{COLOURS[0]}"/>')
            parts.append(text(self.left + long + 6, y + 12, readable(seconds), "start"))
        return svg(self.width, len(self.seconds) * self.row + 10, "the time of one training step", parts)

    def __repr__(self, width: int = 40):
        longest = max(self.seconds.values(), default=1) or 1
        return "\n".join([f"{name:>20}  {'#' * max(round(width * seconds / longest), 1)} {readable(seconds)}"
                          for name, seconds in self.seconds.items()])
