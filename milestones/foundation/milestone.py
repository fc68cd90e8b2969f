"""1957: Frank Rosenblatt shows the perceptron, a machine with 400 photocells that tells letters apart. It
weighs what each cell sees, adds, and answers yes or no. Yours has 64 cells and two layers, reads the digits
of people it has never met, and says how sure it is.

The network is given; lessons 09 to 11 will train such things. What runs it is your package alone: tensors
from lesson 02, bends and probabilities from lesson 03. Every number is measured again in plain NumPy.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

import tinytorch as tt

HERE = Path(os.environ.get("TITO_ASSETS") or Path(__file__).resolve().parent)
DATA = Path(os.environ.get("TITO_DATASETS") or HERE.parents[1] / "datasets")
sys.path.append(str(HERE.parent))

from gates import Gates, Wrong, close  # noqa: E402  milestones/gates.py

# ---------------------------------------------------------------------------------------- what is given

with np.load(DATA / "digits/digits.npz") as digits:
    unseen = digits["forms"] >= 11                                      # the forms that trained nothing
    seen_images = digits["images"][~unseen].astype(np.float32)          # (1415, 8, 8)
    images = digits["images"][unseen].astype(np.float32)                # (382, 8, 8)
    labels = digits["labels"][unseen].astype(np.int64)                  # (382,)

with np.load(HERE / "weights.npz") as given:
    W1, b1, W2, b2 = (given[name] for name in ("W1", "b1", "W2", "b2"))     # (64, 128) (128,) (128, 10) (10,)


def tensor(array):
    """A Tensor with memory of its own, so that nothing done to it reaches the array."""
    return tt.tensor(np.array(array, order="C"))


# ------------------------------------------------------------------------------- the reader, with your ops

def standard():
    """How much ink a pixel has on average, and how much that varies."""
    ink = tensor(seen_images)
    return ink.mean(), ink.var(correction=0).sqrt()


def read(images, ink=None):
    """Scores for each digit: (N, 8, 8) -> (N, 10)."""
    mean, spread = ink or standard()
    x = (images.reshape(-1, 64) - mean) / spread                # (N, 64)
    hidden = tt.relu(x @ tensor(W1) + tensor(b1))               # (N, 128)
    return hidden @ tensor(W2) + tensor(b2)                     # (N, 10)


def surprise(scores, labels):
    """The mean cross-entropy: how surprised the reader is by the right answers."""
    logs = tt.log_softmax(scores, dim=1)
    return -logs[tt.arange(len(labels)), labels].mean()


# ----------------------------------------------------------------- the same in NumPy, in twice the precision

class numpy64:
    mean, spread = seen_images.astype(float).mean(), seen_images.astype(float).std()
    rows = images.reshape(-1, 64).astype(float)
    x = (rows - mean) / spread
    product = x @ W1.astype(float)
    before = product + b1
    hidden = np.maximum(before, 0)
    scores = hidden @ W2.astype(float) + b2
    logs = scores - scores.max(1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(1, keepdims=True))
    picked = logs[np.arange(len(labels)), labels]
    loss = -picked.mean()


def softmax64(scores):
    e = np.exp(scores.astype(float) - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# ------------------------------------------------------------------------------------------ the tests

gates = Gates()


def step(name, op, inputs, expected, idea, tolerance=1e-5):
    """A test of one op of the reader, on NumPy's numbers: values, float32 kept, inputs left alone."""
    @gates.test(name)
    def _():
        arrays = [np.asarray(a, np.float32 if np.asarray(a).dtype == float else None) for a in inputs]
        tensors = [tensor(a) for a in arrays]
        out = op(*tensors)
        close(out.numpy(), expected, idea, tolerance)
        for before, after in zip(arrays, tensors):
            if not np.array_equal(before, after.numpy()):
                raise Wrong(f"{name} has changed its input: return a new tensor, leave the old one alone")
        if np.asarray(expected).dtype == float and out.dtype != tt.float32:
            raise Wrong(f"{name} does not keep float32 (half the memory of float64)", tt.float32, out.dtype)


step("mean", lambda x: x.mean(), [seen_images], numpy64.mean,
     "the mean is the sum of all values over their number")
step("var", lambda x: x.var(correction=0), [seen_images], numpy64.spread ** 2,
     "the variance is the mean of the squared distances from the mean")
step("sqrt", lambda x: x.sqrt(), [numpy64.hidden], np.sqrt(numpy64.hidden), "sqrt(x) times itself is x")
step("reshape", lambda x: x.reshape(-1, 64), [images], numpy64.rows,
     "8 rows of 8 pixels follow one another in a row of 64")
step("sub", lambda x, m: x - m, [numpy64.rows, numpy64.mean], numpy64.rows - numpy64.mean,
     "one mean is taken from every pixel")
step("div", lambda x, s: x / s, [numpy64.rows, numpy64.spread], numpy64.rows / numpy64.spread,
     "every pixel is divided by one number")
step("matmul", lambda x, w: x @ w, [numpy64.x, W1], numpy64.product,
     "entry (i, j) of x @ W1 is row i of x times column j of W1, summed", 1e-4)
step("add", lambda x, b: x + b, [numpy64.product, b1], numpy64.before,
     "a bias of shape (128,) stands in every row: bias j belongs to column j", 1e-4)
step("relu", lambda x: tt.relu(x), [numpy64.before], numpy64.hidden,
     "relu keeps what is positive and turns the rest to 0")
step("softmax", lambda s: tt.softmax(s, dim=1), [numpy64.scores], softmax64(numpy64.scores),
     "softmax along dim 1 is exp(score) over the sum of its row's")
step("log_softmax", lambda s: tt.log_softmax(s, dim=1), [numpy64.scores], numpy64.logs,
     "log_softmax is the logarithm of softmax", 1e-4)
step("argmax", lambda s: s.argmax(dim=1), [numpy64.scores], numpy64.scores.argmax(1),
     "argmax along dim 1 is the place of each row's highest score")
step("indexing", lambda s, y: s[tt.arange(len(y)), y], [numpy64.logs, labels], numpy64.picked,
     "logs[rows, labels] picks one value of each row")
step("==", lambda y: y == 7, [labels], labels == 7, "== answers for each label", 0)


@gates.test("the digits are read")
def _():
    scores = read(tensor(images))
    probabilities = tt.softmax(scores, dim=1)
    close(probabilities.numpy().sum(1), np.ones(len(images)), "ten probabilities sum to 1")
    close(probabilities.numpy(), softmax64(numpy64.scores), "the probabilities are not those of this network")
    answers = probabilities.argmax(dim=1)
    told = (answers == tensor(labels)).to(tt.float32).mean().item()
    right = int((probabilities.numpy().argmax(1) == labels).sum())
    gates.numbers.update(accuracy=right / len(labels), right=right, digits=len(labels))
    close(told, right / len(labels), "your argmax, == and mean count other hits than NumPy does", 1e-6)
    if right < 0.95 * len(labels):
        raise Wrong("too few digits of unknown hands are read", "at least 95 %", f"{right / len(labels):.1%}")


@gates.test("the loss is measured")
def _():
    loss = surprise(read(tensor(images)), tensor(labels)).item()
    gates.numbers["loss"] = loss
    close(loss, numpy64.loss, "the mean of -log(probability of the right digit) is off", 1e-4)


@gates.test("large scores do not overflow")
def _():
    for shift in (1000, -1000):
        shifted = (numpy64.scores + shift).astype(np.float32)
        expected = softmax64(shifted)
        close(tt.softmax(tensor(shifted), dim=1).numpy(), expected,
              f"softmax of scores moved by {shift:+}: subtract each row's maximum before exp")
        close(np.exp(tt.log_softmax(tensor(shifted), dim=1).numpy()), expected,
              f"log_softmax of scores moved by {shift:+}: subtract each row's maximum before exp")


@gates.test("views are read like copies")
def _():
    turned = tensor(images.transpose(0, 2, 1)).transpose(1, 2)
    close(read(turned).numpy(), numpy64.scores, "a transposed view gives other scores than a copy", 1e-4)
    strided = tensor(images)[::2]
    close(read(strided).numpy(), numpy64.scores[::2], "every second digit, a view, gives other scores", 1e-4)


@gates.test("one digit is read like many")
def _():
    ink, many = standard(), softmax64(numpy64.scores)
    for i in range(0, len(images), 40):
        scores = read(tensor(images[i]), ink)[0]                    # (10,)
        close(tt.softmax(scores, dim=-1).numpy(), many[i],
              f"digit {i}, read alone, gets other probabilities than among the others")


@gates.test("float32 stays float32")
def _():
    scores = read(tensor(images))
    kept = {"the mean": standard()[0], "the scores": scores, "softmax": tt.softmax(scores, dim=1),
            "the loss": surprise(scores, tensor(labels))}
    for what, value in kept.items():
        if value.dtype != tt.float32:
            raise Wrong(f"{what} came out in another dtype than went in", tt.float32, value.dtype)


# ------------------------------------------------------------------------------------------- the story

def portrait(image, probabilities, utf8: bool) -> str:
    """A digit in characters, and a bar for each answer."""
    ink, bar = (" ░▒▓█", "█") if utf8 else (" .:*#", "#")
    rows = ["".join(ink[round(int(pixel) / 4)] * 2 for pixel in row) for row in image]
    bars = [f"{digit} {bar * round(24 * p):<24} {p:6.1%}" for digit, p in enumerate(probabilities)]
    return "\n".join(f"    {row:16}    {line}" for row, line in zip(["", *rows, ""], bars))


def show():
    """One digit the reader is sure of, and the one that puzzles it most."""
    probabilities = tt.softmax(read(tensor(images)), dim=1).numpy()
    utf8 = (sys.stdout.encoding or "").lower().startswith("utf")
    sure, puzzled = probabilities.max(1).argmax(), probabilities.max(1).argmin()
    for title, i in ("The digit it is surest of", sure), ("The one that puzzles it most", puzzled):
        print(f"\n  {title}. Somebody wrote a {labels[i]}:\n")
        print(portrait(images[i], probabilities[i], utf8))
    print()


def main() -> int:
    print(f"{__doc__}")
    if not gates.run(): return 1
    show()
    print(f"  {gates.numbers['right']} of {len(labels)} digits read ({gates.numbers['accuracy']:.1%}).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
