# %% [markdown]
# # Appendix: watching it learn
#
# Who waits wants to see four things: that it is alive, whether it learns, how fast it goes, and when it will
# be over. In a terminal that is a bar, a sparkline of the loss, examples a second and the time left; in a
# notebook the same, and the curves; in a file or a pipe one plain line an epoch, because nobody wants ten
# thousand bars in a log.
#
# The terminal is drawn by `rich` where it is installed, and by one line that is written over and over where
# it is not.

# %%
#| export
"""Live progress of a run: in a terminal, in a notebook, in a pipe."""

# %%
#| export
from __future__ import annotations

import math
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from html import escape
from itertools import chain

from tinytorch.curves import ASCII_BARS, BARS, curves, sparkline
from tinytorch.training import Callback, size_of

# %% [markdown]
# ## How fast, and how long

# %%
#| export
class Pace:
    """How many examples a second, over the last few seconds, and how much time is left."""

    def __init__(self, window: float = 5.0, clock: Callable[[], float] = time.monotonic):
        self.window, self.clock, self.begun = window, clock, clock()
        self.seen: deque = deque([(self.begun, 0, 0)])

    def add(self, examples: int, steps: int = 1) -> None:
        """Takes in that so many more examples were learned from."""
        _, before, counted = self.seen[-1]
        self.seen.append((self.clock(), before + examples, counted + steps))
        while len(self.seen) > 2 and self.seen[-1][0] - self.seen[1][0] >= self.window: self.seen.popleft()

    def rates(self) -> tuple[float, float]:
        """Examples and steps a second."""
        (start, *first), (end, *last) = self.seen[0], self.seen[-1]
        if end <= start: return 0.0, 0.0
        return tuple([(after - before) / (end - start) for before, after in zip(first, last)])

    def left(self, steps: int | None) -> float:
        """Seconds for so many more steps; nan where nobody knows."""
        rate = self.rates()[1]
        return steps / rate if rate and steps is not None else math.nan

    def elapsed(self) -> float: return self.clock() - self.begun


def minutes(seconds: float) -> str:
    """A time as people say it: 0:07, 12:30, 3:05:00."""
    if not math.isfinite(seconds): return "-:--"
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def said(record: dict) -> str:
    """The numbers of a record, as one line."""
    return "  ".join([f"{name} {x:.4g}" for name, x in record.items() if name not in ("epoch", "step")])

# %% [markdown]
# ## What there is to show
#
# The callback keeps a few facts; a **view** shows them. A view has three verbs: `show` what is now, which may
# come a thousand times a second; keep a `line`, once an epoch; and `close`.

# %%
#| export
class Progress(Callback):
    """Shows a run while it goes on."""

    last = True

    def __init__(self, view=None, keep: int = 400, pause: float = 0.1, clock: Callable = time.monotonic):
        self.view, self.losses, self.pace = view, deque(maxlen=keep), None
        self.pause, self.clock, self.shown, self.examples = pause, clock, -math.inf, 0
        self.epoch = self.epochs = self.step = 0
        self.steps_an_epoch: int | None = None
        self.done, self.history = 0.0, []

    def on_start(self, trainer):
        self.view, self.pace = self.view or view_for(sys.stdout), Pace(clock=self.clock)
        self.epochs = trainer.epochs

    def on_epoch_start(self, trainer):
        self.steps_an_epoch = steps_of(trainer)

    def on_batch(self, trainer): self.examples += size_of(trainer.data)

    def on_step(self, trainer):
        self.pace.add(self.examples)
        self.examples = 0
        self.losses.append(trainer.latest)
        self.epoch, self.step = trainer.epoch + 1, -(-trainer.batch // trainer.accumulate)
        if self.steps_an_epoch: self.done = self.step / self.steps_an_epoch
        if self.clock() - self.shown < self.pause: return
        self.shown = self.clock()
        self.view.show(self)

    def on_epoch_end(self, trainer):
        self.epoch, self.step, self.done, self.history = trainer.epoch, 0, 1.0, trainer.history
        epoch = f"epoch {trainer.epoch:{len(str(self.epochs))}}/{self.epochs}"
        speed = f"{self.pace.rates()[0]:,.0f}/s  {minutes(self.pace.elapsed())}"
        self.view.line(self, f"{epoch}  {said(trainer.history[-1])}  {speed}")

    def on_end(self, trainer):
        if self.pace is not None: self.view.close()

    def steps_left(self) -> int | None:
        """Steps until all epochs are done, if somebody knows."""
        if self.steps_an_epoch is None: return None
        return max((self.epochs - self.epoch + 1) * self.steps_an_epoch - self.step, 0)

    def now(self) -> str:
        """Epoch, loss, speed and time left, as text."""
        loss = self.losses[-1] if self.losses else math.nan
        return (f"epoch {self.epoch}/{self.epochs}  loss {loss:.4g}  {self.pace.rates()[0]:,.0f}/s  "
                f"{minutes(self.pace.left(self.steps_left()))} left")


def steps_of(trainer) -> int | None:
    """Steps in an epoch; None for a stream, whose end nobody knows."""
    try: return -(-len(trainer.loader) // trainer.accumulate)
    except TypeError: return None

# %% [markdown]
# ## Views

# %%
#| export
class PlainLines:
    """For files and pipes: a line an epoch, and nothing in between."""

    def __init__(self, file): self.file = file
    def show(self, progress: Progress) -> None: """What comes a hundred times a second is not for a log."""
    def line(self, progress: Progress, text: str) -> None: print(text, file=self.file, flush=True)
    def close(self) -> None: """There is nothing to clean up."""


class OneLine:
    """For a terminal: one line that is written over and over, with a bar and a sparkline."""

    def __init__(self, file, width: int | None = None, ascii: bool = False):
        self.file, self.width, self.drawn = file, width or shutil.get_terminal_size().columns, False
        self.bars, self.ink, self.paper = (ASCII_BARS, "#", ".") if ascii else (BARS, "━", "─")

    def show(self, progress: Progress) -> None:
        words = progress.now()
        room = self.width - 1 - len(words) - 4
        length = max(min(room // 2, 30), 0)
        drawn = bar(progress.done, length, self.ink, self.paper)
        spark = sparkline(progress.losses, length, self.bars)
        self.write("  ".join([words, drawn, spark] if length >= 5 else [words])[: self.width - 1])

    def write(self, text: str) -> None:
        print("\r" + text.ljust(self.width - 1), end="", file=self.file, flush=True)
        self.drawn = True

    def line(self, progress: Progress, text: str) -> None:
        self.close()
        print(text, file=self.file, flush=True)

    def close(self) -> None:
        """Leaves the cursor at the beginning of an empty line."""
        if self.drawn: print("\r" + " " * (self.width - 1), end="\r", file=self.file, flush=True)
        self.drawn = False


def bar(done: float, length: int, ink: str = "━", paper: str = "─") -> str:
    full = round(min(max(done, 0), 1) * length)
    return ink * full + paper * (length - full)

# %%
#| export
class RichView:
    """For a terminal, where `rich` is installed."""

    def __init__(self, console):
        from rich.live import Live
        self.progress: Progress | None = None
        self.bars = BARS if console.encoding.lower().startswith("utf") else ASCII_BARS
        self.live = Live(self, console=console, transient=True, refresh_per_second=8)

    def __rich__(self):
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        grid = Table.grid(padding=(0, 2), expand=True)
        if self.progress is None: return grid
        for ratio in (None, 1, None): grid.add_column(ratio=ratio, no_wrap=True)
        room = max((self.live.console.width - len(self.progress.now())) // 3, 0)
        grid.add_row(self.progress.now(), ProgressBar(1.0, self.progress.done),
                     sparkline(self.progress.losses, min(room, 40), self.bars) if room > 4 else "")
        return grid

    def show(self, progress: Progress) -> None:
        if self.progress is None: self.live.start()
        self.progress = progress

    def line(self, progress: Progress, text: str) -> None:
        self.live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None: self.live.stop()


class NotebookView:
    """For a notebook: a bar and a sparkline that move, and under them the curves of the epochs so far."""

    def __init__(self, display: Callable, html: Callable):
        self.display, self.html, self.handle, self.lines = display, html, None, []

    def show(self, progress: Progress) -> None:
        page = self.html(self.page(progress))
        if self.handle is None: self.handle = self.display(page, display_id=True)
        else: self.handle.update(page)

    def page(self, progress: Progress) -> str:
        words, lines = f"{progress.now()} {sparkline(progress.losses, 40)}", "\n".join(self.lines[-5:])
        names = [name for name in ("loss", "val_loss") if any(name in row for row in progress.history)]
        told = {name: [row.get(name, math.nan) for row in progress.history] for name in names}
        drawable = len(progress.history) > 1 and any(map(math.isfinite, chain(*told.values())))
        return (f'<progress value="{progress.done:.4f}" max="1"></progress> <code>{escape(words)}</code>'
                f"<pre>{escape(lines)}</pre>{curves(told, 'epoch')._repr_svg_() if drawable else ''}")

    def line(self, progress: Progress, text: str) -> None:
        self.lines.append(text)
        self.show(progress)

    def close(self) -> None: """What was shown stays in the notebook."""


def view_for(file):
    """The best view for where the output goes."""
    if "ipykernel" in sys.modules and file is sys.stdout:
        from IPython.display import HTML, display
        return NotebookView(display, HTML)
    if not file.isatty(): return PlainLines(file)
    try: from rich.console import Console
    except ImportError: return OneLine(file, ascii=not speaks(file, BARS))
    return RichView(Console(file=file))


def speaks(file, characters: str) -> bool:
    """Whether these characters can be written there."""
    try: characters.encode(file.encoding or "ascii")
    except (UnicodeEncodeError, LookupError): return False
    return True
