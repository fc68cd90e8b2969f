"""The brief on ratings, solved small: what a person likes times what a book is, learned with decay."""

import sys
from pathlib import Path

import numpy as np

import tinytorch as tt
import tinytorch.nn.functional as F
from tinytorch import nn
from tinytorch.optim import AdamW
from tinytorch.registry import load_package, save_package, words

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

from data import BOOKS, DAY, PEOPLE, ratings  # noqa: E402


class Tastes(nn.Module):
    """3 + person + book + tastes @ traits."""

    def __init__(self, width=4):
        super().__init__()
        self.person, self.book = nn.Embedding(PEOPLE, width + 1), nn.Embedding(BOOKS, width + 1)
        with tt.no_grad():
            for p in self.parameters(): p.mul_(0.1)

    def forward(self, x):
        a, b = self.person(x[:, 0].long()), self.book(x[:, 1].long())
        return (3 + a[:, 0] + b[:, 0] + (a[:, 1:] * b[:, 1:]).sum(1)).reshape(-1, 1)


TASK, KEY, BUILDERS, VERSION = "ratings", b"a key", {"Tastes": Tastes}, HERE / "models/books/1"
PORTS = {"inputs": [{"name": "pair", "datatype": "FP32", "shape": [-1, 2]}],
         "outputs": [{"name": "stars", "datatype": "FP32", "shape": [-1, 1]}]}


def learn():
    tt.manual_seed(0)
    where, stars = ratings(2025)
    dice, net = np.random.default_rng(0), Tastes()
    optimizer = AdamW(net.parameters(), lr=2e-2, weight_decay=0.3)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 2e-2 * (1 - step / 600)
        some = dice.integers(0, len(where), 512)
        loss = F.mse_loss(net(tt.tensor(where[some])), tt.tensor(stars[some, None]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_package(VERSION, net, name="books", key=KEY, architecture=words("Tastes"), **PORTS)


def predicted(where):
    return load_package(VERSION, KEY, BUILDERS).answer(np.asarray(where)).numpy().reshape(-1)


def alarm(week, before):
    """Before noon as a share of each week, against the weeks before."""
    weeks = np.concatenate([before, week]).reshape(-1, 7, DAY)
    shares = weeks[:, :, 5:12].sum((1, 2)) / weeks.sum((1, 2))
    return abs(shares[-1] - shares[:-1].mean()) > 5 * shares[:-1].std()
