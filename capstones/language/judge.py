"""Measures the poet of main.py against the numbers of brief.md, outside of your code."""

import os
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

import main  # noqa: E402
from gates import Gates, Wrong, close  # noqa: E402

from tinytorch.serve import Repository  # noqa: E402

SURPRISE, BYTES, BACK, PROMPT, MORE = 2.35, 400_000, 32, "Shall I", 24
gates = Gates()


def data(name: str) -> Path:
    """A file that came with the course."""
    given = os.environ.get("TINYTORCH_SHIPPED")
    folders = [Path(given)] if given else [folder / "datasets" for folder in HERE.parents]
    return next(folder / name for folder in folders if (folder / name).exists())


poems = data("text/sonnets.txt").read_text(encoding="ascii").split("\n\n")
known, strange = "\n\n".join(poems[:138]), "\n\n".join(poems[138:])
alphabet = "".join(sorted(set(known + strange)))


def surprise(scores, words) -> float:
    """The mean of -log p of what came, in nats."""
    scores = np.asarray(scores, float)
    scores = scores - scores.max(-1, keepdims=True)
    log = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    return float(-np.take_along_axis(log, np.asarray(words)[..., None], -1).mean())


def pairs() -> float:
    """The surprise of somebody who knows which letter follows which, and no more."""
    told, asked = (np.array([alphabet.index(letter) for letter in text]) for text in (known, strange))
    counts = np.full((len(alphabet), len(alphabet)), 0.1)
    np.add.at(counts, (told[:-1], told[1:]), 1)
    return surprise(np.log(counts)[asked[:-1]], asked[1:])


def written(**how) -> str: return "".join(main.letters(PROMPT, MORE, **how))


@gates.test("it is less surprised than somebody who knows pairs of letters")
def _():
    main.learn()
    if alphabet != main.LETTERS:
        raise Wrong("it knows the letters of the sonnets, sorted", alphabet, main.LETTERS)
    ids = np.array([alphabet.index(letter) for letter in strange])
    rows = len(ids) // BACK
    x, y = ids[: rows * BACK].reshape(rows, BACK), ids[1 : rows * BACK + 1].reshape(rows, BACK)
    gates.numbers.update(surprise=surprise(main.scores(x), y), pairs=pairs())
    if gates.numbers["surprise"] > SURPRISE:
        raise Wrong("it has learned too little", f"{SURPRISE:.2f} nats a letter",
                    f"{gates.numbers['surprise']:.2f} (pairs of letters: {gates.numbers['pairs']:.2f})")


@gates.test("nobody looks ahead")
def _():
    row = np.array([[alphabet.index(letter) for letter in known[:BACK]]])
    other = row.copy()
    other[0, -1] = (row[0, -1] + 1) % len(alphabet)
    before, after = main.scores(row)[0], main.scores(other)[0]
    close(after[:-1], before[:-1], "the scores of a place depend on no later letter")
    if np.abs(after[-1] - before[-1]).max() < 1e-6: raise Wrong("the last letter counts for the last place")


@gates.test("it streams what it would have written")
def _():
    told, text = PROMPT, main.letters(PROMPT, MORE, temperature=0)
    if not hasattr(text, "__next__"):
        raise Wrong("letters come one at a time", "an iterator", type(text).__name__)
    for _ in range(MORE):
        scores = main.scores([[alphabet.index(letter) for letter in told]])[0, -1]
        told += next(text)
        if scores[alphabet.index(told[-1])] < scores.max() - 1e-4:
            raise Wrong(f"after {told[:-1]!r}, greedy takes the best", alphabet[scores.argmax()], told[-1])


@gates.test("chance can be repeated")
def _():
    if written(seed=1) != written(seed=1): raise Wrong("the same seed gives the same text")
    if written(seed=1) == written(seed=2): raise Wrong("another seed gives another text")


@gates.test("it is served, and says the same")
def _():
    size = sum(path.stat().st_size for path in main.FOLDER.rglob("*") if path.is_file())
    gates.numbers.update(bytes=size)
    if size > BYTES: raise Wrong("the folder is too large", f"{BYTES:,} bytes", f"{size:,}")
    repository = Repository(main.FOLDER)
    repository.load("poet")
    prompt = np.array([PROMPT.encode()], object)
    with repository.lent("poet") as poet:
        how = {"max_tokens": MORE, "temperature": 0}
        [[said]] = poet.submit([prompt], float("inf"), how).result(60)
    repository.close()
    expected = PROMPT + written(temperature=0)
    if said.decode() != expected: raise Wrong("the server's text is yours", expected, said.decode())


if __name__ == "__main__":
    fine = gates.run()
    print("\n  " + ", ".join([f"{name} {number:.4g}" for name, number in gates.numbers.items()]))
    sys.exit(0 if fine else 1)
