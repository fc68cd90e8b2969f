"""Measures the forecast (or the ratings) of main.py against the numbers of brief.md, outside of your code."""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

import main  # noqa: E402
from data import BOOKS, DAY, PEOPLE, WEEK, demand, ratings  # noqa: E402
from gates import Gates, Wrong, close  # noqa: E402

from tinytorch.serve import Refused, Repository, opened_package  # noqa: E402

SHARE = {"demand": 0.85, "ratings": 0.90}
OURS, THEIRS = 2025, 2026                   # your dice, and the judge's
gates = Gates()


def error_of_demand() -> tuple[float, float]:
    """Mean distances on 21 mornings: of the model, of "as a week ago"."""
    year = demand(30, THEIRS)
    mornings = [len(year) - 22 * DAY + n * DAY for n in range(21)]
    history = np.stack([year[at - 8 * WEEK : at] for at in mornings])
    truth = np.stack([year[at : at + DAY] for at in mornings])
    known = history.copy()
    said = np.asarray(main.forecast(history))
    if said.shape != truth.shape: raise Wrong("24 hours for each morning", truth.shape, said.shape)
    close(history, known, "the history is left as it is")
    week_ago = np.stack([year[at - WEEK : at - WEEK + DAY] for at in mornings])
    return float(np.abs(said - truth).mean()), float(np.abs(week_ago - truth).mean())


def error_of_ratings() -> tuple[float, float]:
    """Roots of mean squares on ratings kept back: of the model, of the means of person and book."""
    where, stars = ratings(OURS)
    seen = set(map(tuple, where.tolist()))
    asked, truth = ratings(THEIRS)
    new = np.array([tuple(pair) not in seen for pair in asked.tolist()])
    asked, truth = asked[new], truth[new]
    said = np.asarray(main.predicted(asked)).reshape(-1)

    def mean_by(column, count):
        total, n = (np.bincount(where[:, column], w, minlength=count) for w in (stars - stars.mean(), None))
        return total / np.maximum(n, 1)
    person, book = mean_by(0, PEOPLE), mean_by(1, BOOKS)
    means = stars.mean() + person[asked[:, 0]] + book[asked[:, 1]]
    return tuple(float(np.sqrt(((x - truth) ** 2).mean())) for x in (said, means))


@gates.test("it is better than a spreadsheet")
def _():
    main.learn()
    ours, theirs = error_of_demand() if main.TASK == "demand" else error_of_ratings()
    gates.numbers.update(error=ours, spreadsheet=theirs, share=ours / theirs)
    if ours > SHARE[main.TASK] * theirs:
        asked = f"{SHARE[main.TASK]:.2f} of the spreadsheet's"
        raise Wrong("the error is too large", asked, f"{ours / theirs:.2f}")


@gates.test("the alarm is silent in calm weeks, and heard when the world changes")
def _():
    before = demand(8, THEIRS)
    calm = sum(not main.alarm(demand(1, 100 + n), before) for n in range(20))
    heard = sum(bool(main.alarm(demand(1, 200 + n, changed=True), before)) for n in range(20))
    gates.numbers.update(calm=calm, heard=heard)
    if min(calm, heard) < 18:
        raise Wrong("the alarm is not to be trusted", "18 and 18 of 20", f"{calm} and {heard}")


def question() -> np.ndarray:
    """Something to ask: as many hours as the port takes, or a person and a book."""
    wide = main.PORTS["inputs"][0]["shape"][1]
    if main.TASK == "demand": return demand(8, OURS)[None, -wide:]
    return ratings(THEIRS)[0][:1].astype(np.float32)


def lent(folder: Path, asked) -> np.ndarray:
    """What the repository's model says."""
    repository = Repository(folder, opened=opened_package(main.KEY, main.BUILDERS))
    name = main.VERSION.parent.name
    repository.load(name)
    try:
        with repository.lent(name) as model: return model.submit([asked], float("inf"), {}).result(20)[0]
    finally: repository.close()


@gates.test("it is served, and says what your code says")
def _():
    said = lent(main.VERSION.parents[1], question()).reshape(-1)
    called = main.forecast(question()) if main.TASK == "demand" else main.predicted(question())
    close(said, np.reshape(called, -1), "what is lent is what you call", 1e-4)


@gates.test("one changed byte, and it is not lent")
def _():
    for file in sorted(path.name for path in main.VERSION.iterdir()):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(shutil.copytree(main.VERSION.parents[1], Path(folder) / "models"))
            path = copy / main.VERSION.parent.name / "1" / file
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(bytes(data))
            try: lent(copy, question())
            except Refused: continue
            raise Wrong(f"a byte of {file} was changed", "Refused", "an answer")


if __name__ == "__main__":
    fine = gates.run()
    print("\n  " + ", ".join([f"{name} {number:.4g}" for name, number in gates.numbers.items()]))
    sys.exit(0 if fine else 1)
