"""The one way to the terminal: colours with names, signs that fit the encoding, pages that fit the width."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

WIDEST = 100                        # longer lines are hard to read
NARROW = 60                         # below, what stood side by side stands one under the other
ENDLESS = 10_000                    # a pipe has no width: nothing is folded or cut

THEME = Theme({
    "good": "green",
    "now": "cyan",
    "stale": "yellow",
    "bad": "red",
    "quiet": "dim",
    "strong": "bold",
    "type": "cyan",                 # what to type
    "code": "default",
}, inherit=False)


@dataclass(frozen=True)
class Signs:
    """One character for each thing that is drawn rather than said."""

    done: str = "✓"
    stale: str = "≈"
    started: str = "●"
    open: str = "○"
    locked: str = "·"
    failed: str = "✗"
    arrow: str = "→"
    full: str = "━"
    empty: str = "─"
    down: str = "│"
    branch: str = "├─"
    last: str = "└─"
    dotted: str = "┊"
    dot: str = "·"
    here: str = "←"


ASCII = Signs(
    done="+", stale="~", started="*", open="o", locked=".", failed="x", arrow="->", full="#", empty="-",
    down="|", branch="|-", last="`-", dotted=":", dot="-", here="<-",
)
UNICODE = Signs()




class Screen:
    """A stream, what it can show, and how wide it is."""

    def __init__(self, file: TextIO | None = None, **console: Any):
        self.file = file or sys.stdout
        options = {"theme": THEME, "highlight": False, "markup": False, "emoji": False, **console}
        self.console = Console(file=self.file, **options)
        if not self.console.is_terminal:
            self.console.width = console.get("width", ENDLESS)
        elif not console.get("width"):
            self.console.width = min(self.console.width, WIDEST)
        self.signs = UNICODE if self.carries(UNICODE) else ASCII

    @property
    def width(self) -> int: return min(self.console.width, WIDEST)

    @property
    def narrow(self) -> bool: return self.width < NARROW

    @property
    def unicode(self) -> bool: return self.signs is UNICODE

    @property
    def live(self) -> bool:
        """Whether something may move on it."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def carries(self, signs: Signs) -> bool:
        """Whether these signs arrive as they are."""
        if os.environ.get("TERM") == "dumb": return False
        try:
            "".join(vars(signs).values()).encode(self.console.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def show(self, block: RenderableType) -> None:
        """Write a block; its lines end where their text ends."""
        with self.console.capture() as shown:
            self.console.print(block)
        lines = shown.get().removesuffix("\n").split("\n")
        self.file.write("".join(line.rstrip(" ") + "\n" for line in lines))
        self.file.flush()


# ---------------------------------------------------------------------------------------- building blocks

def line(*parts: str | Text | tuple[str, str]) -> Text:
    """Words in their styles, on one line if it fits."""
    return Text.assemble(*parts)


def stack(*blocks: RenderableType | None) -> Group:
    """Blocks one under the other; None is left out."""
    return Group(*(b for b in blocks if b is not None))


def page(*blocks: RenderableType | None) -> Group:
    """Blocks with air between them; None is left out."""
    told = [b for b in blocks if b is not None]
    aired = [x for b in told for x in ("", b)][1:]
    return Group(*aired)


def indented(block: RenderableType, by: int = 2) -> Padding:
    return Padding(block, (0, 0, 0, by), expand=False)


def columns(rows: Iterable[Sequence[RenderableType]], gap: int = 2) -> Table:
    """Rows whose cells stand under each other; what does not fit folds in the last column."""
    table = Table.grid(padding=(0, gap, 0, 0))
    rows = list(rows)
    for i in range(most := max(map(len, rows), default=0)):
        table.add_column(no_wrap=i < most - 1, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def bar(percent: float, screen: Screen, width: int = 24) -> Text:
    """How much of something is done: never drawn full before it is, never empty once it has begun."""
    full = round(percent / 100 * width)
    full = width if percent >= 100 else max(full, 1) if percent > 0 else 0
    full = min(full, width - 1) if percent < 100 else full
    return line((screen.signs.full * full, "good"), (screen.signs.empty * (width - full), "quiet"))


def commands(steps: Iterable[tuple[str, str]], screen: Screen) -> RenderableType:
    """What to type next, and what it does."""
    if screen.narrow:
        return stack(*(stack(line((what, "type")), indented(line((why, "quiet")))) for what, why in steps))
    return columns([line((what, "type")), line((why, "quiet"))] for what, why in steps)
