"""A race, as a table that fits a terminal, and as a page."""

from __future__ import annotations

import math
from html import escape

from rich.console import RenderableType
from rich.text import Text

from tito.core.bench import TITLES, WORKLOADS, Bench, Ratio, Timing
from tito.view.screen import Screen, columns, indented, line, page, stack

COLOURS = {"yours": "#1f6feb", "reference": "#8250df", "numpy": "#9a6700", "torch": "#d1491b"}
STYLE = {"faster": "good", "slower": "bad", "cannot tell": "quiet"}


def readable(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if not math.isfinite(seconds): return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size: return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def told(timing: Timing | None) -> str:
    return readable(timing.median) if timing and timing.seconds else "-"


def compared(ratio: Ratio | None) -> str:
    if ratio is None: return "-"
    if not math.isfinite(ratio.high): return f"{ratio.middle:.2f}"
    return f"{ratio.middle:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


# -------------------------------------------------------------------------------------------- a terminal

def raced(bench: Bench, screen: Screen) -> RenderableType:
    """A row for each workload: CPU time of each contender, and the ratio that counts."""
    notes = stack(*[Text(note) for note in bench.notes()]) if bench.notes() else None
    head = f"CPU time of one run, medians of {bench.rounds} turns; {versions(bench)}"
    return page(one_by_one(bench) if screen.narrow else table(bench),
                stack(Text(head, "quiet"), Text(bench.machine, "quiet")), notes)


def versions(bench: Bench) -> str:
    return ", ".join(f"{TITLES[name]} {v.partition('+')[0]}" for name, v in bench.versions.items() if v)


def table(bench: Bench) -> RenderableType:
    against = f"{TITLES[bench.subject]} / {TITLES[bench.base]}" if bench.base else ""
    head = [("", *[f"{TITLES[name]:>10}" for name in bench.contenders], against)]
    rows = [(Text(name, "strong"), *[Text(f"{told(row.get(who)):>10}") for who in bench.contenders],
             verdict(bench, name)) for name, row in bench.rows.items()]
    return columns([[Text(cell, "quiet") for cell in head[0]], *rows], gap=1)


def verdict(bench: Bench, name: str) -> Text:
    found = bench.ratio(name, bench.base) if bench.base else None
    return Text(compared(found), STYLE[found.verdict] if found else "quiet")


def one_by_one(bench: Bench) -> RenderableType:
    """For a narrow terminal: a block for each workload."""
    return page(*[
        stack(Text(name, "strong"), indented(columns([
            [TITLES[who], told(row.get(who)), *([verdict(bench, name)] if who == bench.base else [])]
            for who in bench.contenders])))
        for name, row in bench.rows.items()])


def saved(path: str, screen: Screen) -> RenderableType:
    return line((f"{screen.signs.done} ", "good"), "written to ", (path, "strong"))


# ------------------------------------------------------------------------------------------------ a page

CSS = """
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
body{color:#1f2933;background:#fff}table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #e4e7eb}
td{white-space:nowrap}th:first-child,td:first-child{text-align:left}.faster{color:#1a7f37}.slower{color:#c8452c}.quiet{color:#616e7c}
svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}
@media(prefers-color-scheme:dark){body{color:#e4e7eb;background:#14181d}th,td{border-color:#323f4b}}
"""


def html(bench: Bench, when: str) -> str:
    """The race as one page that asks nobody for anything."""
    heads = "".join(f"<th>{TITLES[name]}</th>" for name in bench.contenders)
    heads += "".join(f"<th>{TITLES[bench.subject]} / {TITLES[name]}</th>" for name in bench.others)
    rows = "".join(html_row(bench, name) for name in bench.rows)
    notes = "".join(f"<li>{escape(note)}</li>" for note in bench.notes())
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>tito bench</title>'
            f'<meta name="viewport" content="width=device-width"><style>{CSS}</style></head><body>'
            f"<h1>tito bench</h1><p>CPU time of one run, medians of {bench.rounds} turns. Ratios are medians "
            "of pairs, with the interval in which the true one lies with 95 % confidence; below 1 is faster."
            "</p>"
            f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table>"
            f"{bars(bench)}{f'<ul>{notes}</ul>' if notes else ''}"
            f'<p class="quiet">{escape(when)}. {escape(bench.machine)}. {escape(versions(bench))}.</p>'
            "</body></html>\n")


def html_row(bench: Bench, name: str) -> str:
    cells = "".join(f"<td>{escape(told(bench.rows[name].get(who)))}</td>" for who in bench.contenders)
    for other in bench.others:
        found = bench.ratio(name, other)
        kind = found.verdict.replace(" ", "-") if found else "quiet"
        cells += f'<td class="{kind}">{escape(compared(found))}</td>'
    return f'<tr><td title="{escape(WORKLOADS[name])}">{escape(name)}</td>{cells}</tr>'


def bars(bench: Bench) -> str:
    """For each workload a bar for each contender, as long as its time; the longest fills the width."""
    parts, y = [], 0
    for name, row in bench.rows.items():
        times = {who: one.median for who, one in row.items() if one.seconds}
        if not times: continue
        parts.append(f'<text x="0" y="{y + 14}" font-weight="bold">{escape(name)}</text>')
        y += 20
        for who, seconds in times.items():
            long = 440 * seconds / max(times.values())
            wide, end = max(long, 1), escape(readable(seconds))
            parts.append(f'<text x="0" y="{y + 12}">{TITLES[who]}</text><rect x="80" y="{y + 2}" '
                         f'width="{wide:.1f}" height="12" fill="{COLOURS[who]}"/>'
                         f'<text x="{wide + 86:.1f}" y="{y + 12}">{end}</text>')
            y += 17
        y += 8
    return f'<svg viewBox="0 0 640 {y}" role="img" aria-label="times as bars">{"".join(parts)}</svg>'
