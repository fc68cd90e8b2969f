"""What a run shows: progress in a terminal, a notebook and a pipe; curves; scores; callbacks."""

import builtins
import io
import itertools
import json
import math
import sys
import xml.etree.ElementTree as xml

import numpy as np
import pytest

from tinytorch import Tensor, manual_seed, nn, tensor
from tinytorch.callbacks import EMA, Board, Journal, Mix
from tinytorch.curves import ASCII_BARS, curves, marks, sparkline
from tinytorch.metrics import Accuracy, ConfusionMatrix, F1Score, Perplexity, Precision, Recall, TopK
from tinytorch.optim import SGD
from tinytorch.progress import NotebookView, OneLine, Pace, PlainLines, Progress, RichView, minutes, view_for
from tinytorch.training import Callback, Checkpoints, Trainer
from tinytorch.transforms import MixUp
from tinytorch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(12)
DATA = TensorDataset(Tensor(rng.standard_normal((20, 4)).astype(np.float32)), Tensor(rng.integers(0, 3, 20)))


def run_of(*callbacks, seed=1, **settings):
    manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 3))
    return Trainer(net, SGD(net.parameters(), 0.1), DataLoader(DATA, 4, shuffle=True), callbacks=callbacks,
                   **settings)


# --------------------------------------------------------------------------------------------- curves

def test_sparklines():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3, 3]) == "▁▁" and sparkline([]) == sparkline([1, 2], 0) == ""
    assert sparkline([0, math.nan, 1, math.inf]) == "▁ █ ", "what is not finite is a gap"
    assert sparkline([math.nan, math.nan]) == "  "
    assert sparkline(range(1000), 4) == "▁▃▆█", "many values are averaged"
    assert sparkline([0, 7], bars=ASCII_BARS).isascii()


@pytest.mark.parametrize(("low", "high"),
                         [(0, 1), (0.13, 0.97), (-5, 5), (1, 1000), (1e-9, 3e-9), (2.3, 2.30001), (0, 7e12)])
def test_marks_are_round_and_few(low, high):
    found = marks(low, high)
    assert 2 <= len(found) <= 7 and all(low - 1e-9 * abs(high) <= x <= high * (1 + 1e-9) for x in found)
    step = found[1] - found[0]
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-9), 6) in (1, 2, 5), f"steps of {step}"


CURVES = [
    ({"loss": [3, 2, 1.5]}, {}), ({"a": [1.0], "b": [1, 2, 3, math.nan, 5]}, {}), ({"same": [2, 2, 2]}, {}),
    ({"<&\">": [1, 2]}, {"x": "<step>"}), ({"log": [1, 10, 1000, 0, -1, math.inf]}, {"log": True}),
    ({"zero": [0.0]}, {}), ({"down": [-3, -8]}, {}), ({f"c{n}": [n, n + 1] for n in range(9)}, {}),
]


@pytest.mark.parametrize(("series", "settings"), CURVES, ids=lambda x: str(x)[:30])
def test_a_picture_is_valid_svg_and_inside_its_frame(series, settings, tmp_path):
    picture = curves(series, **settings)
    root = xml.fromstring(picture._repr_svg_())
    lines = root.findall("{*}polyline") + root.findall("{*}circle")
    assert len({line.get("stroke") or line.get("fill") for line in lines}) == min(len(series), 5)
    for line in root.findall("{*}polyline"):
        for point in line.get("points").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 640 and 0 <= y <= 320
    assert [t.text for t in root.findall("{*}text")][-len(series):] == list(series), "each curve has its name"
    picture.save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text("utf-8") == picture._repr_svg_()
    rows = repr(picture).split("\n")
    assert all(len(row) <= 78 for row in rows[:-1]) and next(iter(series)) in rows[-1]


def test_a_curve_goes_from_where_it_begins_to_where_it_ends():
    root = xml.fromstring(curves({"a": [4, 1, 2]})._repr_svg_())
    points = [tuple(map(float, p.split(","))) for p in root.find("{*}polyline").get("points").split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1) and y0 < y2 < y1, "equal steps to the right, and up is small y"
    assert (y1 - y2) / (y1 - y0) == pytest.approx(1 / 3, abs=1e-3)


def test_matplotlib_draws_the_same_curves():
    pytest.importorskip("matplotlib").use("Agg")
    ax = curves({"a": [4, 1, 2], "b": [1, 2]}, x="epoch", log=True).plot()
    assert [line.get_ydata().tolist() for line in ax.get_lines()] == [[4, 1, 2], [1, 2]]
    assert ax.get_xlabel() == "epoch" and ax.get_yscale() == "log"
    assert [entry.get_text() for entry in ax.get_legend().get_texts()] == ["a", "b"]


def test_nothing_to_draw_is_said():
    with pytest.raises(ValueError, match="nothing to draw"): curves({"a": [math.nan]})
    with pytest.raises(ValueError, match="above 0"): curves({"a": [0.0, -1.0]}, log=True)


# ------------------------------------------------------------------------------------------- progress

class Clock:
    """A clock that goes on by a fixed time whenever somebody looks."""

    def __init__(self, step=0.0): self.now, self.step = 100.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def test_pace_is_that_of_the_last_seconds():
    clock = Clock()
    pace = Pace(window=5, clock=clock)
    assert pace.rates() == (0.0, 0.0) and math.isnan(pace.left(10)), "nobody knows yet"
    for _ in range(20):
        clock.now += 1
        pace.add(32)
    assert pace.rates() == (32.0, 1.0) and pace.left(30) == 30.0 and math.isnan(pace.left(None))
    for _ in range(20):
        clock.now += 0.5
        pace.add(32)
    assert pace.rates() == (64.0, 2.0), "what was slow a while ago is forgotten"
    assert pace.elapsed() == 30.0


def test_times_are_said_as_people_say_them():
    assert [minutes(s) for s in (0, 7, 59.6, 750, 11100, math.nan, math.inf)] == \
        ["0:00", "0:07", "1:00", "12:30", "3:05:00", "-:--", "-:--"]


class Screen(io.StringIO):
    """What is written, as a terminal or as a pipe."""

    def __init__(self, tty, encoding="utf-8"):
        super().__init__()
        self.tty, self.told = tty, encoding

    def isatty(self): return self.tty
    encoding = property(lambda self: self.told)


def test_a_pipe_gets_one_plain_line_an_epoch():
    file = Screen(False)
    run_of(Progress(view_for(file), clock=Clock(0.01)), validation=DataLoader(DATA, 8),
           scores={"accuracy": Accuracy}).fit(3)
    lines = file.getvalue().split("\n")
    assert len(lines) == 4 and lines[-1] == "" and not set("\r\x1b") & set(file.getvalue())
    assert lines[0].startswith("epoch 1/3  loss ") and "val_accuracy " in lines[0] and lines[0].isascii()


@pytest.mark.parametrize("ascii", [False, True])
def test_a_terminal_without_rich_gets_a_line_that_moves(ascii):
    file = Screen(True)
    run_of(Progress(OneLine(file, 100, ascii), pause=0)).fit(2)
    frames = file.getvalue().split("\r")
    assert len(frames) > 8 and max(map(len, frames)) <= 140
    assert any("epoch 2/2" in frame and "left" in frame for frame in frames)
    assert ("#" if ascii else "━") in file.getvalue() and file.getvalue().isascii() is ascii
    assert file.getvalue()[-1] in "\r\n", "the cursor is left on an empty line"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_narrow_terminal_is_never_overrun(width):
    file = Screen(True)
    run_of(Progress(OneLine(file, width), pause=0)).fit(1)
    moving = [frame for frame in file.getvalue().split("\r")
              if not frame.strip().endswith(tuple("0123456789"))]
    assert all(len(frame.rstrip("\n")) < width for frame in moving)


def test_the_view_fits_where_the_output_goes(monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert isinstance(view_for(Screen(False)), PlainLines)
    real = builtins.__import__

    def without_rich(name, *rest, **more):
        if name.startswith("rich"): raise ImportError(name)
        return real(name, *rest, **more)
    monkeypatch.setattr(builtins, "__import__", without_rich)
    assert view_for(Screen(True)).ink == "━" and view_for(Screen(True, "ascii")).ink == "#"
    assert view_for(Screen(True, "cp1252")).ink == "#"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_rich_draws_bars_and_lines(encoding):
    console = pytest.importorskip("rich.console").Console
    file = Screen(True, encoding)
    run_of(Progress(RichView(console(file=file, force_terminal=True, width=100)), pause=0)).fit(3)
    shown = file.getvalue()
    assert "epoch 1/3  loss " in shown and "epoch 3/3  loss " in shown and "left" in shown
    if encoding == "ascii": shown.encode("ascii")
    assert shown.rstrip().endswith(("\x1b[?25h", "\x1b[2K")), "the cursor is back"


def test_a_notebook_gets_a_bar_and_the_curves():
    pages: list = []

    class Handle:
        def update(self, page): pages.append(page)

    def display(page, display_id):
        pages.append(page)
        return Handle()
    run_of(Progress(NotebookView(display, str), pause=0), validation=DataLoader(DATA, 8)).fit(3)
    assert pages[0].startswith("<progress value=") and "<svg" not in pages[0], "no curve of one point"
    assert "<svg" in pages[-1] and "val_loss" in pages[-1] and pages[-1].count("epoch") > 3
    for page in pages: xml.fromstring(f"<page>{page}</page>")


def test_a_stream_has_no_end_that_anybody_knows():
    class Stream:
        def __iter__(self): return itertools.islice(zip(*[itertools.repeat(x[:4]) for x in DATA.tensors]), 3)
    file = Screen(True)
    run = run_of(Progress(OneLine(file, 100), pause=0))
    run.loader = Stream()
    run.fit(2)
    assert "-:-- left" in file.getvalue() and run.step == 6


def test_progress_ends_when_a_run_fails():
    file = Screen(True)

    class Broken(Callback):
        def on_step(self, trainer):
            if trainer.step == 3: raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError): run_of(Progress(OneLine(file, 80), pause=0), Broken()).fit(1)
    assert file.getvalue().endswith("\r")


# --------------------------------------------------------------------------------------------- scores

SCORES = rng.standard_normal((50, 6)).astype(np.float32)
LABELS = rng.integers(0, 5, 50)                                 # nobody is of class 5
ANSWERS = SCORES.argmax(1)


def fed(score):
    """The score after batches of 7."""
    for a in range(0, 50, 7): score.update(Tensor(SCORES[a : a + 7]), Tensor(LABELS[a : a + 7]))
    return score


@pytest.mark.parametrize("k", [1, 2, 6])
def test_top_k(k):
    expected = np.mean([label in np.argsort(-row)[:k] for row, label in zip(SCORES, LABELS)])
    assert fed(TopK(k)).compute() == pytest.approx(expected)
    if k == 1: assert fed(Accuracy()).compute() == pytest.approx(expected)


def test_confusion_is_counted_pair_by_pair():
    expected = [[sum((i == LABELS) & (j == ANSWERS)) for j in range(6)] for i in range(6)]
    matrix = fed(ConfusionMatrix(6))
    assert matrix.compute().tolist() == expected
    assert [[int(n) for n in row.split()[1:]] for row in repr(matrix).split("\n")[1:]] == expected
    matrix.reset()
    assert matrix.compute().sum().item() == 0


def of_class(n: int) -> tuple[float, float, float]:
    """Precision, recall and F1 of a class, as in a book."""
    hits, called, there = sum((n == LABELS) & (n == ANSWERS)), sum(n == ANSWERS), sum(n == LABELS)
    p, r = hits / called if called else 0.0, hits / there if there else 0.0
    return p, r, 2 * p * r / (p + r) if p + r else 0.0


@pytest.mark.parametrize(("score", "which"), [(Precision, 0), (Recall, 1), (F1Score, 2)])
def test_precision_recall_and_f1(score, which):
    each = [of_class(n)[which] for n in range(6)]
    sizes = np.bincount(LABELS, minlength=6)
    seen = [n for n in range(6) if sizes[n] or (n == ANSWERS).any()]
    np.testing.assert_allclose(fed(score(6, average=None)).compute().array, each)
    assert fed(score(6)).compute() == pytest.approx(np.mean([each[n] for n in seen]))
    assert fed(score(6, "weighted")).compute() == pytest.approx(np.average(each, weights=sizes))
    assert fed(score(6, "micro")).compute() == pytest.approx((ANSWERS == LABELS).mean())
    assert score(3).compute() == 0.0, "of nothing"
    with pytest.raises(ValueError, match="average"): score(3, "median")


def test_perplexity():
    tokens = rng.integers(0, 6, (5, 10))
    tokens[0, :3] = -100
    scores = rng.standard_normal((5, 10, 6)).astype(np.float32)
    rows, labels = scores.reshape(-1, 6)[tokens.reshape(-1) >= 0].astype(float), tokens[tokens >= 0]
    surprise = np.log(np.exp(rows).sum(1)) - rows[range(len(rows)), labels]
    score = Perplexity()
    for a, b in ((0, 1), (1, 5)): score.update(Tensor(scores[a:b]), Tensor(tokens[a:b]))
    assert score.compute() == pytest.approx(math.exp(surprise.mean()), rel=1e-5)
    score = Perplexity()
    score.update(tensor([[0.0] * 20]), tensor([3]))
    assert score.compute() == pytest.approx(20), "20 letters, each as likely as the others"
    score.update(tensor([[0.0] * 20]), tensor([-100]))
    assert score.compute() == pytest.approx(20), "what is to be ignored is ignored"
    score.update(tensor([[0.0, 1e5]]), tensor([0]))
    assert score.compute() == math.inf


# ------------------------------------------------------------------------------------------ callbacks

def test_averaged_weights_follow_at_a_distance():
    ema, seen = EMA(decay=0.9), []

    class Watch(Callback):
        def on_step(self, trainer): seen.append(trainer.model[0].weight.data.array.copy())
    run_of(Watch(), ema, validation=DataLoader(DATA, 8)).fit(3)
    mean = seen[0]
    for n, w in enumerate(seen[1:], 2): mean = mean + (1 - min(0.9, (1 + n) / (10 + n))) * (w - mean)
    np.testing.assert_allclose(ema.model[0].weight.data.array, mean, rtol=1e-5)


def test_averaged_weights_survive_an_interruption(tmp_path):
    def ended(*epochs, path=None):
        for n in epochs:
            ema = EMA(0.9)
            run_of(ema, *([Checkpoints(path, every=2)] if path else []), seed=n,
                   validation=DataLoader(DATA, 8)).fit(n)
        return ema.model[0].weight.tolist()
    manual_seed(0)
    whole = run_of(EMA(0.9), seed=2, validation=DataLoader(DATA,
                                                           8)).fit(4).callbacks[0].model[0].weight.tolist()
    assert ended(2, 4, path=tmp_path / "run") == whole


def test_mixed_batches_reach_the_model():
    seen: list = []

    class Watch(Callback):
        def on_step(self, trainer): seen.append(trainer.data)
    run = run_of(Mix(MixUp(alpha=1.0, num_classes=3)), Watch(), validation=DataLoader(DATA, 8)).fit(1)
    originals = {tuple(row) for row in DATA.tensors[0].tolist()}
    x, y = seen[0]
    assert y.shape == (4, 3) and np.allclose(y.array.sum(1), 1), "labels are shares"
    assert not {tuple(row) for row in x.tolist()} & originals, "and pictures are mixed"
    assert math.isfinite(run.history[0]["loss"]) and math.isfinite(run.history[0]["val_loss"])


def test_a_journal_has_a_line_for_each_epoch_even_after_an_interruption(tmp_path):
    for epochs in (2, 4): run = run_of(Journal(tmp_path / "log"), Checkpoints(tmp_path / "run")).fit(epochs)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert lines == run.history and [line["epoch"] for line in lines] == [1, 2, 3, 4]


def test_a_board_writes_event_files(tmp_path):
    run_of(Board(str(tmp_path), every=2, weights=True)).fit(2)
    [file] = tmp_path.iterdir()
    data = file.read_bytes()
    for word in (b"loss/step", b"epoch/loss", b"epoch/lr", b"0/weight"): assert word in data
    assert data.count(b"loss/step") == 5, "10 steps, every second one"
