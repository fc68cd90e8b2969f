# %% [markdown]
# # Appendix: a card
#
# A **model card** (Mitchell and others, 2019) is the page that lies beside a model: what it is for, what it
# was made of, how good it is and for whom. One HTML file, which needs nothing else, drawn from the facts of
# a package.

# %%
#| export
"""A page about a model: facts, metrics, and pictures, in one HTML file."""

# %%
#| export
from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

import numpy as np

STYLE = """body { font: 16px/1.5 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse } td, th { text-align: left; padding: .2em 1em .2em 0; vertical-align: top }
tr + tr { border-top: 1px solid #e4e4e4 } code { overflow-wrap: anywhere } figure { margin: 1.5em 0 }"""

# %%
#| export
def card(facts: Mapping, pictures: Mapping | None = None) -> str:
    """The card of a package, as HTML; pictures are named things with _repr_svg_, such as curves."""
    parts = [f"<h1>{escape(str(facts.get('name', 'A model')))}</h1>"]
    if facts.get("use"): parts.append(f"<p>{escape(str(facts['use']))}</p>")
    for title, rows in sections(facts).items():
        if rows: parts.append(f"<h2>{title}</h2>{table(rows)}")
    for title, picture in (pictures or {}).items():
        parts.append(f"<figure>{picture._repr_svg_()}<figcaption>{escape(title)}</figcaption></figure>")
    title = escape(str(facts.get("name", "A model")))
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n")


def sections(facts: Mapping) -> dict[str, dict]:
    """The facts in the order in which a reader asks."""
    asked = {"How good it is": dict(facts.get("metrics") or {}),
             "What goes in": {" ".join(map(str, step[:1])): step[1:]
                              for step in facts.get("preprocessing") or []},
             "Where it comes from": {key: facts[key] for key in ("data", "code", "licence")
                                     if facts.get(key)},
             "How it is built": {"architecture": facts["architecture"]} if facts.get("architecture") else {}}
    told = {"name", "use", "metrics", "preprocessing", "data", "code", "licence", "architecture", "format"}
    return asked | {"What else": {key: value for key, value in facts.items() if key not in told}}


def table(rows: Mapping) -> str:
    """Names and values."""
    lines = [f"<tr><th>{escape(str(key))}</th><td>{shown(value)}</td></tr>" for key, value in rows.items()]
    return f"<table>{''.join(lines)}</table>"


def shown(value) -> str:
    """A value as a reader wants it."""
    if isinstance(value, float): return f"{value:.4g}"
    if isinstance(value, (dict, list)): return f"<code>{escape(repr(value))}</code>"
    is_digest = isinstance(value, str) and len(value) == 64
    return f"<code>{value}</code>" if is_digest and value.isalnum() else escape(str(value))

# %% [markdown]
# Drift by pixels is a picture, too.

# %%
#| export
class Heat:
    """Numbers of a picture as squares: the darker, the more."""

    def __init__(self, numbers, most: float = 1.0): self.numbers, self.most = np.asarray(numbers), most

    def _repr_svg_(self, side: int = 24) -> str:
        rows, columns = self.numbers.shape
        squares = []
        for (y, x), value in np.ndenumerate(self.numbers):
            dark = 0.0 if math.isnan(value) else min(max(value / self.most, 0.0), 1.0)
            squares.append(f'<rect x="{x * side}" y="{y * side}" width="{side}" height="{side}" '
                           f'fill="#1f6feb" fill-opacity="{dark:.3f}"><title>{value:.3g}</title></rect>')
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * side} {rows * side}" '
                f'width="{columns * side}" role="img" aria-label="{rows} by {columns} numbers">'
                f'{"".join(squares)}</svg>')

# %%
Heat(np.arange(16).reshape(4, 4) / 15)
