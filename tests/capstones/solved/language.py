"""The brief on language, solved small: two narrow layers, a rate that warms up and falls."""

from pathlib import Path

import numpy as np

import tinytorch as tt
import tinytorch.nn.functional as F
from tinytorch.folders import shipped
from tinytorch.models import GPT
from tinytorch.optim import AdamW
from tinytorch.safetensors import load_file
from tinytorch.serve import keep, stream

FOLDER = Path(__file__).with_name("models")
VERSION = FOLDER / "poet/1"
poems = shipped("text/sonnets.txt").read_text(encoding="ascii").split("\n\n")
LETTERS = "".join(sorted(set("\n\n".join(poems))))
SIZES, STEPS, RATE = (len(LETTERS), 32, 2, 4, 48), 800, 8e-3


def ids(text): return [LETTERS.index(letter) for letter in text]


def learn():
    tt.manual_seed(0)
    told, dice, model = np.array(ids("\n\n".join(poems[:138]))), np.random.default_rng(0), GPT(*SIZES)
    optimizer = AdamW(model.parameters(), lr=RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * min((step + 1) / 20, 1 - step / STEPS)
        starts = dice.integers(0, len(told) - 33, 16)[:, None] + np.arange(33)
        x, y = told[starts[:, :-1]], told[starts[:, 1:]]
        loss = F.cross_entropy(model(tt.tensor(x)).reshape(-1, len(LETTERS)), tt.tensor(y.reshape(-1)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    keep(model, VERSION, {"model": "GPT", "arguments": list(SIZES), "letters": LETTERS})


def opened():
    model = GPT(*SIZES)
    model.load_state_dict(load_file(VERSION / "model.safetensors"))
    return model.eval()


def scores(rows):
    with tt.no_grad(): return opened()(tt.tensor(np.asarray(rows))).numpy()


def letters(prompt, n, **how):
    for word in stream(opened(), ids(prompt), max_new_tokens=n, **how): yield LETTERS[word]
