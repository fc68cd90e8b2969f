"""1998: Yann LeCun's LeNet-5 reads a tenth of all cheques in America. 2015: residual networks of a hundred
layers see better than their makers. 2019: GPT-2 continues any text, and its makers hesitate to let it out.

Yours are smaller and built alike: a LeNet-5 that reads digits, a residual network of twenty layers, an LSTM
that tells text from text written backwards, and a GPT that has read Shakespeare's sonnets and adds to them.
Their weights are given; the package that runs them is yours.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np

import tinytorch as tt
import tinytorch.nn as nn
import tinytorch.nn.functional as F
from tinytorch.attention import continued
from tinytorch.models import GPT, LeNet5

HERE = Path(os.environ.get("TITO_ASSETS") or Path(__file__).resolve().parent)
DATA = Path(os.environ.get("TITO_DATASETS") or HERE.parents[1] / "datasets")
sys.path += [str(HERE), str(HERE.parent)]

import weights  # noqa: E402  milestones/weights.py
from gates import Gates, Wrong, close  # noqa: E402  milestones/gates.py
from networks import networks  # noqa: E402

AT_LEAST, AT_MOST = 0.97, 1.75         # digits read; nats a letter of sonnets that nobody trained on

# ---------------------------------------------------------------------------------------- what is given

with np.load(DATA / "digits/digits.npz") as digits:
    unseen = digits["forms"] >= 11                                      # the forms that trained nothing
    images = digits["images"][unseen].astype(np.float32)                # (382, 8, 8)
    labels = digits["labels"][unseen].astype(np.int64)                  # (382,)

poems = (DATA / "text/sonnets.txt").read_text(encoding="ascii").split("\n\n")
letters = sorted(set("\n\n".join(poems)))                               # 61 of them
text = np.array([letters.index(c) for c in "\n\n".join(poems[138:])])   # the sonnets that trained nothing
lines = text[: len(text) // 64 * 64].reshape(-1, 64)                    # (n, 64)
references = weights.read(HERE / "references.safetensors")


def tensor(array):
    """A Tensor with memory of its own, so that nothing done to it reaches the array."""
    return tt.tensor(np.array(array, order="C"))


def loaded(module, file: str):
    """The module with the weights of this file, at work."""
    module.load_state_dict({key: tensor(array) for key, array in weights.read(HERE / file).items()})
    return module.eval()


def lenet5(): return loaded(LeNet5(), "lenet5.safetensors")
def gpt(): return loaded(GPT(len(letters), 64, 2, 4, 64), "gpt.safetensors")
def resnet20(): return loaded(networks(tt).ResNet20(), "resnet20.safetensors")
def reader(): return loaded(networks(tt).Reader(len(letters)), "reader.safetensors")

# -------------------------------------------------------- each layer by itself, beside one line of NumPy

gates = Gates()
rng = np.random.default_rng(2026)


def numbers(*shape): return rng.standard_normal(shape).astype(np.float32)


def layer(name: str, idea: str):
    """A test of one layer: the decorated function gives what yours says, and what NumPy says in float64."""
    def register(f):
        @gates.test(name)
        def _():
            got, expected = f()
            close(got.detach().numpy(), expected, idea)
            if got.dtype != tt.float32:
                raise Wrong(f"{name} does not keep float32", tt.float32, got.dtype)
    return register


def sigmoid(x): return 1 / (1 + np.exp(-x))


@gates.test("the weights are as they were written")
def _():
    for line in (HERE / "weights.sha256").read_text().splitlines():
        digest, file = line.split()
        found = hashlib.sha256((HERE / file).read_bytes()).hexdigest()
        if found != digest: raise Wrong(f"{file} is damaged: fetch the course again", digest, found)


@layer("linear", "linear is x @ weight.T + bias: a row of weights for each output")
def _():
    x, w, b = numbers(5, 7), numbers(3, 7), numbers(3)
    return F.linear(tensor(x), tensor(w), tensor(b)), x.astype(float) @ w.T + b


@layer("conv2d", "a filter is laid on each window as it stands, and sums over all channels")
def _():
    x, w, b = numbers(2, 3, 9, 8), numbers(4, 3, 3, 3), numbers(4)
    padded = np.pad(x.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
    expected = np.einsum("nchwij,ocij->nohw", windows, w) + b[:, None, None]
    return F.conv2d(tensor(x), tensor(w), tensor(b), stride=2, padding=1), expected


@layer("max_pool2d", "a max pool keeps the largest of each window, no average")
def _():
    x = numbers(2, 3, 8, 6)
    return F.max_pool2d(tensor(x), 2), x.reshape(2, 3, 4, 2, 3, 2).max((3, 5))


@layer("batch_norm", "at work, batch norm uses the running mean and variance, not those of the batch")
def _():
    x, mean, var, w, b = numbers(4, 3, 5, 5), numbers(3), numbers(3) ** 2 + 0.5, numbers(3), numbers(3)
    norm = nn.BatchNorm2d(3)
    state = {"running_mean": mean, "running_var": var, "weight": w, "bias": b}
    norm.load_state_dict({key: tensor(array) for key, array in state.items()}, strict=False)
    m, v, w, b = (a.astype(float)[:, None, None] for a in (mean, var, w, b))
    return norm.eval()(tensor(x)), (x - m) / np.sqrt(v + 1e-5) * w + b


@layer("layer_norm", "layer norm takes mean and variance of each row, over the last axis")
def _():
    x, w, b = numbers(4, 6, 6), numbers(6), numbers(6)
    middle = x - x.astype(float).mean(-1, keepdims=True)
    return (F.layer_norm(tensor(x), (6,), tensor(w), tensor(b)),
            middle / np.sqrt((middle**2).mean(-1, keepdims=True) + 1e-5) * w + b)


@layer("embedding", "an id asks for the row of that number")
def _():
    ids, table = rng.integers(0, 9, (3, 4)), numbers(9, 5)
    return F.embedding(tensor(ids), tensor(table)), table[ids]


@layer("gelu", "GPT-2's gelu is x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))")
def _():
    x = numbers(50)
    bent = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x.astype(float) ** 3))
    return F.gelu(tensor(x), approximate="tanh"), x / 2 * (1 + bent)


@layer("attention", "attention mixes the values by softmax(q @ k.T / sqrt(E)), every row by its own weights")
def _():
    q, k, v = numbers(2, 5, 8), numbers(2, 7, 8), numbers(2, 7, 4)
    seen = np.exp(q.astype(float) @ k.swapaxes(1, 2) / 8**0.5)
    return F.scaled_dot_product_attention(*map(tensor, (q, k, v))), seen / seen.sum(-1, keepdims=True) @ v


@layer("causal attention", "no query looks ahead: at place t only keys 0 to t are seen")
def _():
    q, k, v = numbers(2, 6, 8), numbers(2, 6, 8), numbers(2, 6, 4)
    seen = np.tril(np.exp(q.astype(float) @ k.swapaxes(1, 2) / 8**0.5))
    return (F.scaled_dot_product_attention(*map(tensor, (q, k, v)), is_causal=True),
            seen / seen.sum(-1, keepdims=True) @ v)


@layer("LSTM", "the gates lie in the order input, forget, cell, output, and c = f c + i g, h = o tanh(c)")
def _():
    x, lstm, (h, c) = numbers(7, 3, 5), nn.LSTM(5, 4), np.zeros((2, 3, 4))
    given = {key: numbers(*p.shape) for key, p in lstm.state_dict().items()}
    lstm.load_state_dict({key: tensor(array) for key, array in given.items()})
    w, u, b, d = (given[f"{key}_l0"] * 1.0 for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    said = []
    for step in x:
        i, f, g, o = np.split(step @ w.T + h @ u.T + b + d, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        said.append(h)
    return lstm(tensor(x))[0], np.array(said)

# ------------------------------------------------------------------------------- what the GPT depends on


@gates.test("the GPT looks back")
def _():
    changed = lines[:8].copy()
    changed[:, :32] = lines[8:16, :32]
    before, after = (gpt()(tensor(x)).detach().numpy() for x in (lines[:8], changed))
    moved = np.abs(after - before)[:, 48:].max((1, 2))
    if moved.min() < 0.1:
        raise Wrong("other letters before change nothing 16 letters later: does attention reach the row?",
                    "scores that differ", f"a difference of {moved.min():.1g}")


@gates.test("the GPT does not look ahead")
def _():
    changed = lines[:8].copy()
    changed[:, 32:] = lines[8:16, 32:]
    close(gpt()(tensor(changed)).detach().numpy()[:, :32], gpt()(tensor(lines[:8])).detach().numpy()[:, :32],
          "letters that come later change the scores before them: the mask must be causal")


@gates.test("the GPT tells places apart")
def _():
    scores = gpt()(tensor(np.full((1, 64), letters.index("e")))).detach().numpy()[0]
    if np.abs(scores[1:] - scores[:-1]).max() < 0.1:
        raise Wrong("the same letter at all places gets the same scores: positions are not added to the row",
                    "scores that differ", "the same")


def surprise(lines: np.ndarray) -> float:
    """Nats a letter: the mean cross-entropy of each letter after those before it."""
    scores = gpt()(tensor(lines[:, :-1]))
    return F.cross_entropy(scores.flatten(0, 1), tensor(lines[:, 1:].reshape(-1))).item()


@gates.test("unseen sonnets are foreseen")
def _():
    loss = surprise(lines)
    shuffled = lines.copy()
    np.random.default_rng(64).permuted(lines[:, :-1], axis=1, out=shuffled[:, :-1])
    gates.numbers.update(loss=loss, shuffled=surprise(shuffled), letters=lines.size)
    if not loss < AT_MOST:
        raise Wrong("the GPT is too surprised by sonnets", f"less than {AT_MOST} nats", f"{loss:.3f}")
    if gates.numbers["shuffled"] < loss + 1:
        raise Wrong("shuffled letters surprise the GPT no more than sonnets: order must matter",
                    f"more than {loss + 1:.2f} nats", f"{gates.numbers['shuffled']:.3f}")

# ------------------------------------------------------------------------------- whole networks, at work


@gates.test("the digits are read")
def _():
    x = networks(tt).enlarged(tensor(images))
    right = int((lenet5()(x).detach().numpy().argmax(1) == labels).sum())
    gates.numbers.update(accuracy=right / len(labels), right=right, digits=len(labels))
    if right < AT_LEAST * len(labels):
        raise Wrong("LeNet-5 reads too few digits of unknown hands",
                    f"at least {AT_LEAST:.0%}", f"{right / len(labels):.1%}")


@gates.test("batches do not matter")
def _():
    x = references["resnet20.input"]
    close(resnet20()(tensor(x[:1])).detach().numpy(), resnet20()(tensor(x)).detach().numpy()[:1],
          "a picture alone gets other scores than among others: batch norm must use its running statistics")


for _name, _network in {"resnet20": resnet20, "gpt": gpt, "reader": reader}.items():
    @gates.test(f"{_name} answers as in PyTorch")
    def _(name=_name, network=_network):
        scores = network()(tensor(references[f"{name}.input"])).detach().numpy()
        expected = references[f"{name}.logits"]
        gates.numbers[name] = float(np.abs(scores - expected).max() / np.abs(expected).max())
        close(scores, expected, f"{name} scores fixed inputs otherwise than PyTorch")

# ------------------------------------------------------------------------------------------- the story


def writer(seed: int, heat: float = 0.7):
    """Draws the next letter as the scores say; less heat, fewer adventures."""
    dice = np.random.default_rng(seed)
    def choose(scores):
        scores = scores.detach().numpy().astype(float) / heat
        return tensor((scores + dice.gumbel(size=scores.shape)).argmax(-1, keepdims=True))
    return choose


def told(model, beginning: str, steps: int, seed: int) -> str:
    """The beginning, and what the model adds."""
    ids = continued(model, tensor([[letters.index(c) for c in beginning]]), steps, writer(seed))
    return "".join(letters[i] for i in ids.detach().numpy()[0])


@gates.test("text is continued")
def _():
    beginning = "Shall I compare thee"
    said = told(gpt(), beginning, 80, 1609)
    if len(said) != 100 or not said.startswith(beginning):
        raise Wrong("80 letters stand after the 20 that were given", f"{beginning}...", said[:40])
    model = gpt()
    ids = [letters.index(c) for c in beginning]
    for _ in range(60):
        ids.append(int(model(tensor([ids[-64:]])).detach().numpy()[0, -1].argmax()))
    got = continued(model, tensor([ids[:20]]), 60).detach().numpy()[0].tolist()
    if got != ids:
        raise Wrong("the likeliest letter is appended, and the last 64 are read again",
                    "".join(letters[i] for i in ids), "".join(letters[i] for i in got))


def main() -> int:
    print(f"{__doc__}")
    if not gates.run(): return 1
    print("\n  Shakespeare began, and your GPT goes on:\n")
    for line in told(gpt(), "When in the chronicle of wasted time\n", 420, 1609).splitlines():
        print(f"    {line}")
    n = gates.numbers
    print(f"\n  The next letter of sonnets it has never read surprises it by {n['loss']:.2f} nats, and by"
          f"\n  {n['shuffled']:.2f} if what stands before is shuffled."
          f"\n  Your LeNet-5 reads {n['right']} of {n['digits']} digits ({n['accuracy']:.1%}).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
