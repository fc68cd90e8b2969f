"""The brief on vision, solved small: a hidden layer, pictures that are moved, eight bits."""

from pathlib import Path

import numpy as np

import tinytorch as tt
import tinytorch.nn.functional as F
from tinytorch import nn
from tinytorch.ao.quantization import quantize_dynamic
from tinytorch.datasets import Digits
from tinytorch.optim import AdamW
from tinytorch.safetensors import load_file, save_file

FILE = Path(__file__).with_name("reader.safetensors")
WIDTH, STEPS = 64, 1200


def network(): return nn.Sequential(nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
def numbers(pictures): return np.asarray(pictures, np.float32).reshape(-1, 64) / 127.5 - 1


def moved(pictures, dice):
    """The digits as another hand might have drawn them."""
    turn = np.eye(2, 3) + dice.normal(0, [0.1, 0.1, 0.06], (len(pictures), 2, 3))
    grid = F.affine_grid(tt.tensor(turn.astype(np.float32)), (len(pictures), 1, 8, 8), align_corners=True)
    some = tt.tensor(pictures.reshape(-1, 1, 8, 8))
    return F.grid_sample(some, grid, padding_mode="border", align_corners=True).reshape(-1, 64)


def learn():
    tt.manual_seed(0)
    digits, dice, model = Digits(train=True), np.random.default_rng(0), network()
    known, answers = numbers(digits.data.numpy()), digits.targets.numpy()
    optimizer = AdamW(model.parameters(), lr=5e-3)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / STEPS)
        some = dice.integers(0, len(known), 64)
        loss = F.cross_entropy(model(moved(known[some], dice)), tt.tensor(answers[some]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_file(quantize_dynamic(model.eval()).state_dict(), FILE)


def opened(file=FILE):
    model = quantize_dynamic(network().eval())
    model.load_state_dict(load_file(file))

    def read(pictures):
        with tt.no_grad(): return model(tt.tensor(numbers(pictures))).numpy()
    return read
