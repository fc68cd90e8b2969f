"""What this milestone serves: LeNet-5 in eight bits, and a GPT that has read the sonnets, by your package.

    python models.py FOLDER         writes both as a repository, for `tito serve --demo`
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

import tinytorch as tt
import tinytorch.nn.functional as F
from tinytorch.ao import quantization
from tinytorch.models import GPT, LeNet5
from tinytorch.optim import AdamW
from tinytorch.serve import keep

HERE = Path(os.environ.get("TITO_ASSETS") or Path(__file__).resolve().parent)
sys.path.append(str(HERE.parent))

import weights  # noqa: E402  milestones/weights.py
from digits import DATA, images, labels, moved, unseen  # noqa: E402  milestones/digits.py

GIVEN = HERE.parent / "architecture"
HEADS, LETTERS = 4, 64                                              # of the GPT, and how far it looks back
letters = "".join(sorted(set((DATA / "text/sonnets.txt").read_text(encoding="ascii"))))

DIGITS = {
    "model": "LeNet5", "labels": [str(digit) for digit in range(10)], "max_batch": 32, "max_delay": 0.002,
    "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 28, 28]}],
    "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 10]}],
}
SONNETS = {"model": "GPT", "arguments": [len(letters), 64, 2, HEADS, LETTERS], "letters": letters,
           "max_batch": 8, "bound": 8}


def tensor(array):
    """A Tensor with memory of its own, so that nothing done to it reaches the array."""
    return tt.tensor(np.array(array, order="C"))


def enlarged(images) -> np.ndarray:
    """Digits of 8 x 8, up to 16, as LeNet-5 wants them, from 0 to 1.  (N, 8, 8) -> (N, 1, 28, 28)"""
    place = np.clip((np.arange(24) + 0.5) / 3 - 0.5, 0, 7)              # of 24 pixels among 8
    mix = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(8)))      # (24, 8): what each takes from whom
    large = np.pad(mix @ (images / 16) @ mix.T, [(0, 0), (2, 2), (2, 2)])
    return large[:, None].astype(np.float32)


def given(model, file: str):
    """The model with the weights of the milestone Architecture."""
    model.load_state_dict({key: tensor(array) for key, array in weights.read(GIVEN / file).items()})
    return model.eval()


def gpt(): return given(GPT(*SONNETS["arguments"]), "gpt.safetensors")


def lenet5():
    """The LeNet-5 that was taught with pixels from -1 to 1, for 0 to 1: w (2 x - 1) is 2 w x - w."""
    model = given(LeNet5(), "lenet5.safetensors")
    with tt.no_grad():
        first = model.conv1
        first.bias -= first.weight.sum((1, 2, 3))
        first.weight *= 2
    return model


def learned_on(model, steps: int):
    """The model, after some more steps of AdamW on digits that were moved a little."""
    dice, optimizer = np.random.default_rng(2026), AdamW(model.parameters(), lr=3e-4)
    model.train()
    for _ in range(steps):
        some = dice.choice(np.flatnonzero(~unseen), 32)
        x, y = tensor(enlarged(moved(images[some], dice))), tensor(labels[some])
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def in_bytes(model, examples):
    """The model with weights of eight bits, and inputs on the grids that these examples need."""
    model.qconfig = quantization.get_default_qconfig()
    watched = quantization.prepare(model.eval())
    with tt.no_grad(): watched(tensor(examples))
    return quantization.convert(watched)


def examples() -> np.ndarray: return enlarged(images[~unseen][:100])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    keep(in_bytes(lenet5(), examples()), folder / "digits/1", DIGITS)
    keep(gpt(), folder / "sonnets/1", SONNETS)
