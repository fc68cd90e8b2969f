"""What `tito show` draws, with your own package: a graph, filters, attention, a curve.

    see.py SUBJECT SIGNS [TEXT]

Each subject prints a picture for a terminal, in the SIGNS given from empty to full, and hands in the same as
SVG.
"""

from __future__ import annotations

import json
import os
import sys
from html import escape
from pathlib import Path

import numpy as np

import tinytorch as tt

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

SIDE = 14               # of a square, in an SVG


class NotYet(Exception):
    """The package has not got so far; the text names the lesson."""


def needed(package: str, name: str, lesson: str):
    """A name of the package, or a word on the lesson that builds it."""
    try:
        return getattr(__import__(package, fromlist=[name]), name)
    except (ImportError, AttributeError):
        raise NotYet(lesson) from None


# ------------------------------------------------------------------------------------------------ squares

def squares(array, signs: str) -> list[str]:
    """Rows of numbers as rows of signs, two for each number: the least is empty, the greatest full."""
    low, high = array.min(), array.max()
    levels = ((array - low) / (high - low or 1) * (len(signs) - 1)).round().astype(int)
    return ["".join(signs[n] * 2 for n in row) for row in levels]


def beside(blocks: list[list[str]], titles: list[str]) -> list[str]:
    """Blocks of equal height in a row, each under its title."""
    rows = [[title.ljust(len(block[0])), *block] for title, block in zip(titles, blocks)]
    return ["  ".join(parts).rstrip() for parts in zip(*rows)]


def printed(blocks: list[list[str]], titles: list[str], across: int) -> None:
    """Blocks under their titles, so many in a row."""
    for n in range(0, len(blocks), across):
        print(*("  " + row for row in beside(blocks[n : n + across], titles[n : n + across])), "", sep="\n")


def svg_of(arrays, titles: list[str], rows: list[str] = (), columns: list[str] = ()) -> str:
    """Arrays as squares of grey side by side, with words at their rows and under their columns."""
    left, top = 14 * max(map(len, rows), default=0) * 0.62, 24
    high, wide = (max(a.shape[axis] for a in arrays) for axis in (0, 1))
    step, parts = (wide + 1) * SIDE + left, []
    for n, (array, title) in enumerate(zip(arrays, titles)):
        low, most, x = array.min(), array.max(), n * step + left
        parts.append(word(x, 16, title))
        for i, row in enumerate(array):
            if rows: parts.append(word(x - 6, top + i * SIDE + 11, rows[i], "end"))
            for j, value in enumerate(row):
                size, share = f'width="{SIDE}" height="{SIDE}"', (value - low) / (most - low or 1)
                parts.append(f'<rect x="{x + j * SIDE:.0f}" y="{top + i * SIDE}" {size} '
                             f'fill-opacity="{share:.2f}"><title>{value:.4g}</title></rect>')
        for j, letter in enumerate(columns):
            parts.append(word(x + j * SIDE + 3, top + high * SIDE + 13, letter))
    return page(step * len(arrays), top + high * SIDE + 20, ", ".join(titles), parts)


def word(x: float, y: float, said: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(said)}</text>'


def page(wide: float, high: float, label: str, parts: list[str]) -> str:
    size = f'viewBox="0 0 {wide:.0f} {high:.0f}" width="{wide:.0f}"'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(label)}" '
            f'font-family="monospace" font-size="12">{"".join(parts)}</svg>')


# ----------------------------------------------------------------------------------------------- subjects

def graph(signs: str, text: str) -> str:
    """What autograd remembers of a small network and its loss."""
    draw = needed("tinytorch.autograd", "draw", "09 autograd")
    nn = tt.nn
    tt.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    loss = ((net(tt.ones(4, 2)) - 1) ** 2).mean()
    names = {p: name for name, p in net.named_parameters()}
    print("  loss = ((net(x) - 1) ** 2).mean(), and what was done to get it, last first:\n")
    told(loss.grad_fn, names, set(), 1)
    return draw(loss, net)._repr_svg_()


def told(node, names, seen: set, deep: int) -> None:
    """A receipt, and under it those of its inputs."""
    leaf = getattr(node, "variable", None)
    word = names.get(leaf, "input") if leaf is not None else node.name().removesuffix("Backward0")
    print("  " * deep + word + ("  (above)" if id(node) in seen else ""))
    if id(node) in seen: return
    seen.add(id(node))
    for following, _ in getattr(node, "next_functions", ()):
        if following is not None: told(following, names, seen, deep + 1)


def weights(signs: str, text: str) -> str:
    """The six filters with which LeNet-5 begins, and what they see of a seven."""
    model = loaded(needed("tinytorch.models", "LeNet5", "06 spatial")(), "lenet5.safetensors")
    first = next(p for p in model.parameters() if p.ndim == 4)
    filters = first.detach().numpy()[:, 0]
    titles = [f"filter {n + 1}" for n in range(len(filters))]
    print("  Full is a weight that wants light, empty one that wants none.\n")
    printed([squares(f, signs) for f in filters], titles, 3)
    return svg_of(filters, titles)


def attention(signs: str, text: str) -> str:
    """Where each head of a small GPT looks while it reads a line: watched by an engine, at the door."""
    GPT = needed("tinytorch.models", "GPT", "07 attention")
    poems = (Path(os.environ["TITO_DATASETS"]) / "text/sonnets.txt").read_text("ascii")
    letters = sorted(set(poems))
    line = "".join(c for c in text or "shall I compare" if c in letters)[:24]
    if len(line) < 2: raise ValueError(f"{text!r} has fewer than two letters that Shakespeare's sonnets have")
    model = loaded(GPT(len(letters), 64, 2, 4, 64), "gpt.safetensors")
    seen: list = []
    with tt.using(watching(seen)): model(tt.tensor([[letters.index(c) for c in line]]))
    heads = [head for looks in seen for head in looks]
    titles = [f"layer {n // 4 + 1}, head {n % 4 + 1}" for n in range(len(heads))]
    print(f"  Each row is a letter of {line!r}; what is full is where it looks.\n")
    across = max(1, 72 // (2 * len(line) + 6))
    printed([[f"{c} {row}" for c, row in zip(line, squares(h, signs))] for h in heads], titles, across)
    return svg_of(heads, titles, list(line), list(line))


def watching(seen: list):
    """An engine that computes, and notes where attention looks."""
    class Watching(tt.Engine):
        def run(self, op, inputs, settings):
            if op.name == "attend": seen.append(looks(*inputs[:3], *inputs[3:4]))
            return super().run(op, inputs, settings)
    return Watching()


def looks(q, k, v, mask=None):
    """The weights of attention, in NumPy.  (B, h, T, d), (B, h, T, d) -> (h, T, T)"""
    q, k = q.numpy()[0].astype(float), k.numpy()[0].astype(float)
    scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    if mask is not None:
        mask = mask.numpy()
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return scores / scores.sum(-1, keepdims=True)


def curve(signs: str, text: str) -> str:
    """A perceptron learns digits for two hundred steps: the loss of what it learns from."""
    curves = needed("tinytorch.curves", "curves", "11 training")
    SGD = needed("tinytorch.optim", "SGD", "10 optimizers")
    from digits import images, labels, unseen
    nn, F = tt.nn, tt.nn.functional
    tt.manual_seed(1986)
    net, dice = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), np.random.default_rng(1986)
    x, y = images.reshape(-1, 64) / 16, labels
    known, losses = np.flatnonzero(~unseen), []
    optimizer = SGD(net.parameters(), lr=0.2)
    for _ in range(200):
        some = dice.choice(known, 64)
        optimizer.zero_grad()
        loss = F.cross_entropy(net(tt.tensor(x[some])), tt.tensor(y[some]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with tt.no_grad(): right = (net(tt.tensor(x[unseen])).numpy().argmax(1) == y[unseen]).mean()
    picture = curves({"loss": losses})
    rows = repr(picture).splitlines() if signs.isascii() else dotted(picture)
    print("\n".join("  " + row for row in rows))
    print(f"\n  After 200 steps {right:.1%} of the digits that it never saw are read rightly.")
    return picture._repr_svg_()


def dotted(picture, columns: int = 64, rows: int = 10) -> list[str]:
    """A picture of curves in braille, whose cells have 2 dots across and 4 down."""
    dots, at = np.zeros((4 * rows, 2 * columns), bool), np.linspace(0, 1, 2 * columns)
    for values in picture.series.values():
        for xs, ys in [zip(*piece) for piece in picture.pieces(values)]:
            there = np.flatnonzero((at >= xs[0]) & (at <= xs[-1]))
            dots[np.round((1 - np.interp(at[there], xs, ys)) * (4 * rows - 1)).astype(int), there] = True
    cells = dots.reshape(rows, 4, columns, 2).transpose(0, 2, 1, 3).reshape(rows, columns, 8)
    numbers = cells @ [1, 8, 2, 16, 4, 32, 64, 128]         # of signs: first there were six dots
    edges = [f"{picture.high:9.4g}", *[" " * 9] * (rows - 2), f"{picture.low:9.4g}"]
    names = ", ".join(picture.series)
    drawn = ["".join(chr(0x2800 + n) if n else " " for n in row).rstrip() for row in numbers]
    return [*[f"{edge} │{row}" for edge, row in zip(edges, drawn)],
            f"{'':9} └{'─' * columns}", f"{'':11}{names} by {picture.x}, 1 to {picture.length}"]


def loaded(model, file: str):
    """The model with the weights that come with the milestone Architecture."""
    from weights import read
    state = read(Path(os.environ["TITO_ASSETS"]) / "architecture" / file)
    model.load_state_dict({key: tt.tensor(np.array(array, order="C")) for key, array in state.items()})
    return model.eval()


SUBJECTS = {"graph": graph, "weights": weights, "attention": attention, "curve": curve}


def main(subject: str, signs: str, text: str = "") -> None:
    test, numbers = {"name": subject, "status": "passed"}, {}
    try:
        numbers["svg"] = SUBJECTS[subject](signs, text)
    except NotYet as lesson:
        test |= {"status": "todo", "message": f"lesson {lesson} builds it"}
        numbers["lesson"] = str(lesson)
    Path(os.environ["TITO_REPORT"]).write_text(json.dumps({"tests": [test], "numbers": numbers}), "utf-8")


if __name__ == "__main__": main(*sys.argv[1:])
