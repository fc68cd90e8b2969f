# %% [markdown]
# # Appendix: a picture of the graph
#
# Receipts are a graph, and a graph wants to be seen. `draw(loss, model)` walks from a loss back to the
# leaves and draws what it meets: ops as boxes, parameters with their names, data in grey, and on each line
# the shape of what flows along it. Numbers flow down, gradients flow up.
#
# A good drawing of a graph is found in three steps, an idea of Sugiyama, Tagawa and Toda (1981). Give each
# node a row, so that everything flows down. Order each row so that few lines cross: put each node in the
# middle of its neighbours, again and again. Then move the nodes sideways until lines are short and nothing
# overlaps.

# %%
#| export
"""The graph that autograd walks, as a drawing in SVG."""

# %%
#| export
from __future__ import annotations

from html import escape
from itertools import count, pairwise
from pathlib import Path

from tinytorch.autograd import newest_first
from tinytorch.receipts import Part, Receipt, edge_of
from tinytorch.tensor import Tensor

# %%
#| export
class Drawing:
    """A picture: notebooks show it, `save` writes it to a file."""

    def __init__(self, svg: str): self.svg = svg
    def _repr_svg_(self) -> str: return self.svg
    def save(self, path: str | Path) -> None: Path(path).write_text(self.svg, "utf-8")


def draw(tensor: Tensor, module=None) -> Drawing:
    """The graph behind a tensor; with a module, its parameters bear their names."""
    names = {} if module is None else {p: name for name, p in module.named_parameters()}
    graph = Graph()
    end = graph.node("loss" if tensor.ndim == 0 else "output", "end", shape_text(tensor))
    graph.edge(graph.of(edge_of(tensor), names), end, "")
    for receipt in newest_first([edge_of(tensor)] if isinstance(edge_of(tensor), Receipt) else []):
        if not isinstance(receipt, Part): graph.add(receipt, names)
    return Drawing(svg_of(graph))

# %% [markdown]
# ## What is drawn

# %%
#| export
class Graph:
    """Nodes with a title, a kind and a line below it; edges with a label."""

    def __init__(self):
        self.titles, self.edges, self.known = [], [], {}

    def node(self, title: str, kind: str, below: str = "") -> int:
        self.titles.append((title, kind, below))
        return len(self.titles) - 1

    def edge(self, start: int, end: int, label: str) -> None: self.edges.append((start, end, label))

    def of(self, source, names: dict) -> int:
        """The node for a receipt or a leaf."""
        if isinstance(source, Part): source = source.edges[0]
        if source not in self.known:
            self.known[source] = self.node(title_of(source), "op") if isinstance(source, Receipt) else \
                self.node(names.get(source, "leaf"), "leaf", shape_text(source))
        return self.known[source]

    def add(self, receipt: Receipt, names: dict) -> None:
        """Draws what went into an op: what wants a gradient, and data beside it."""
        here = self.of(receipt, names)
        inputs = receipt.inputs or [None] * len(receipt.edges)      # after backward nobody knows the shapes
        for source, x in zip(receipt.edges, inputs):
            if source is not None:
                self.edge(self.of(source, names), here, shape_text(x) if isinstance(source, Receipt) else "")
            elif hasattr(x, "shape"):
                self.edge(self.node("data", "data", shape_text(x)), here, "")


def title_of(receipt: Receipt) -> str:
    """The name of the op, or of the user's own Function."""
    return receipt.op.__name__ if isinstance(receipt.op, type) else receipt.op.name


def shape_text(x) -> str:
    """2 × 3; nothing for a single number."""
    return "" if x is None else " × ".join(map(str, x.shape))

# %% [markdown]
# ## Where it stands
#
# Rows first: a node stands one row above the highest of those that use it. A line that passes through rows
# gets an invisible node in each of them, so that it has a place in their order, too.

# %%
#| export
def rows_of(graph: Graph) -> tuple[list[list], list[list]]:
    """The rows from top to bottom; and for each edge the nodes it goes through, invisible ones between."""
    height = heights(graph)
    rows: list[list] = [[] for _ in range(max(height.values()) + 1)]
    for node in range(len(graph.titles)): rows[height[node]].append(node)
    hidden, paths = count(), []
    for start, end, _ in graph.edges:
        path = [start, *[f"hidden {next(hidden)}" for _ in range(height[start] - height[end] - 1)], end]
        for place, node in enumerate(path[1:-1], 1): rows[height[start] - place].append(node)
        paths.append(path)
    return rows[::-1], paths


def heights(graph: Graph) -> dict[int, int]:
    """How far above the end each node stands: one above the highest of those that use it."""
    users: dict[int, list[int]] = {node: [] for node in range(len(graph.titles))}
    waiting = dict.fromkeys(users, 0)
    sources: dict[int, list[int]] = {node: [] for node in users}
    for start, end, _ in graph.edges:
        users[start].append(end)
        sources[end].append(start)
        waiting[start] += 1
    height, ready = {}, [node for node, n in waiting.items() if n == 0]
    while ready:
        node = ready.pop()
        height[node] = 1 + max([height[user] for user in users[node]], default=-1)
        for source in sources[node]:
            waiting[source] -= 1
            if waiting[source] == 0: ready.append(source)
    return height


def neighbours(paths: list[list]) -> tuple[dict, dict]:
    """What stands above and below each node along the paths."""
    above, below = {}, {}
    for path in paths:
        for high, low in pairwise(path):
            above.setdefault(low, []).append(high)
            below.setdefault(high, []).append(low)
    return above, below


def ordered(rows: list[list], paths: list[list], sweeps: int = 8) -> None:
    """Sorts each row by the middle of its neighbours, down and up in turns."""
    above, below = neighbours(paths)
    for sweep in range(sweeps):
        steps = pairwise(rows) if sweep % 2 == 0 else pairwise(rows[::-1])
        for fixed, row in steps:
            place = {node: n for n, node in enumerate(fixed)}
            near, own = above if sweep % 2 == 0 else below, {node: float(n) for n, node in enumerate(row)}
            row.sort(key=lambda node: middle([place[x] for x in near.get(node, ()) if x in place], own[node]))


def middle(places: list[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def across(rows: list[list], paths: list[list], width, sweeps: int = 40) -> dict:
    """Where the middle of each node is, from left to right: near its neighbours, and not on top of others."""
    above, below = neighbours(paths)
    x: dict = {}
    for row in rows: spread(row, x, dict.fromkeys(row, 0.0), width)
    for sweep in range(sweeps):
        for row in rows if sweep % 2 else rows[::-1]:
            wish = {v: middle([x[u] for u in (*above.get(v, ()), *below.get(v, ()))], x[v]) for v in row}
            spread(row, x, wish, width)
    return x


def spread(row: list, x: dict, wish: dict, width) -> None:
    """Puts a row as near to its wishes as there is room."""
    edge = -float("inf")
    for node in row:
        x[node] = max(wish[node], edge + width(node) / 2)
        edge = x[node] + width(node) / 2
    shift = sum([wish[node] - x[node] for node in row]) / len(row) if row else 0.0
    for node in row: x[node] += shift

# %% [markdown]
# ## How it looks
#
# Colours come from a style sheet with two moods, so that the picture can be read on white and on black.

# %%
#| export
ROW, HEIGHT, LETTER, GAP = 68, 34, 7.4, 22      # pixels: between rows, of a box, of a letter, between boxes

STYLE = """
.graph{--ink:#1f2933;--line:#7b8794;--op:#eef2f7;--leaf:#dff3e4;--leafline:#2f8f57;
--end:#fde5df;--endline:#c8452c;--paper:#ffffff;font:13px ui-sans-serif,system-ui,sans-serif}
.graph text{fill:var(--ink);text-anchor:middle}
.graph .small{font:11px ui-monospace,monospace;opacity:.75}
.graph .label{stroke:var(--paper);stroke-width:6px;paint-order:stroke;opacity:1}
.graph path{fill:none;stroke:var(--line);stroke-width:1.3}
.graph marker path{fill:var(--line);stroke:none}
.graph rect{fill:var(--op);stroke:var(--line)}
.graph .leaf{fill:var(--leaf);stroke:var(--leafline)}
.graph .end{fill:var(--end);stroke:var(--endline)}
.graph .data{fill:none;stroke-dasharray:4 3}
"""
DARK = ("--ink:#e4e7eb;--line:#9aa5b1;--op:#2b3744;--leaf:#173f2a;--leafline:#5ecb8d;"
        "--end:#4a221a;--endline:#f08a73;--paper:#14181d")
MOODS = f"""@media(prefers-color-scheme:dark){{.graph{{{DARK}}}}}
[data-theme=dark] .graph,[data-jp-theme-light=false] .graph{{{DARK}}}
"""


def svg_of(graph: Graph) -> str:
    """The drawing as text."""
    rows, paths = rows_of(graph)
    ordered(rows, paths)
    def width(node) -> float: return GAP + (box_width(*graph.titles[node]) if isinstance(node, int) else 0)
    x = across(rows, paths, width)
    y = {node: n * ROW for n, row in enumerate(rows) for node in row}
    left = min([x[v] - width(v) / 2 for v in x])
    right, bottom = max([x[v] + width(v) / 2 for v in x]) - left, (len(rows) - 1) * ROW + HEIGHT + 16
    place = {v: (x[v] - left, y[v] + HEIGHT / 2 + 8) for v in x}
    lines = [line([place[v] for v in path], label) for path, (_, _, label) in zip(paths, graph.edges)]
    boxes = [box(title, kind, below, *place[node]) for node, (title, kind, below) in enumerate(graph.titles)]
    return (f'<svg class="graph" xmlns="http://www.w3.org/2000/svg" role="img" '
            f'aria-label="a graph of {len(boxes)} nodes" '
            f'width="{right:.0f}" height="{bottom}" viewBox="0 0 {right:.0f} {bottom}">'
            f'<style>{STYLE}{MOODS}</style>'
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" '
            'markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0L8 4L0 8z"/></marker></defs>\n' + "\n".join([*lines, *boxes]) + "</svg>")


def box_width(title: str, kind: str, below: str) -> float: return max(len(title), len(below)) * LETTER + 24


def box(title: str, kind: str, below: str, x: float, y: float) -> str:
    w, radius = box_width(title, kind, below), HEIGHT / 2 if kind == "leaf" else 7
    lower = f'<text class="small" x="{x:.1f}" y="{y + 12:.1f}">{escape(below)}</text>' if below else ""
    return (f'<rect class="{kind}" x="{x - w / 2:.1f}" y="{y - HEIGHT / 2:.1f}" '
            f'width="{w:.1f}" height="{HEIGHT}" rx="{radius}"/>'
            f'<text x="{x:.1f}" y="{y + (-1 if below else 4.5):.1f}">{escape(title)}</text>{lower}')


def line(points: list[tuple[float, float]], label: str) -> str:
    """A smooth line down through some points, with its label in the middle of the first piece."""
    x, y = points[0]
    y += HEIGHT / 2
    d = f"M{x:.1f} {y:.1f}"
    for n, (to_x, to_y) in enumerate(points[1:], 2):
        if n == len(points): to_y -= HEIGHT / 2
        bend = (y + to_y) / 2
        d += f"C{x:.1f} {bend:.1f} {to_x:.1f} {bend:.1f} {to_x:.1f} {to_y:.1f}"
        if n == 2: middle = ((x + to_x) / 2, bend + 4)
        x, y = to_x, to_y
    path = f'<path d="{d}" marker-end="url(#tip)"/>'
    if not label: return path
    return f'{path}<text class="small label" x="{middle[0]:.1f}" y="{middle[1]:.1f}">{escape(label)}</text>'
