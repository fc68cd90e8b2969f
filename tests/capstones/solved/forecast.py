"""The brief on demand, solved small: a week of hours, one hidden layer, and an alarm that knows mornings."""

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

from data import DAY, WEEK, demand  # noqa: E402

TASK, KEY, BUILDERS, VERSION = "demand", b"a key", {}, HERE / "models/forecast/1"
PORTS = {"inputs": [{"name": "history", "datatype": "FP32", "shape": [-1, WEEK]}],
         "outputs": [{"name": "tomorrow", "datatype": "FP32", "shape": [-1, DAY]}]}
PLAN = words("tinytorch.nn.Sequential", words("tinytorch.nn.Linear", WEEK, 64), words("tinytorch.nn.ReLU"),
             words("tinytorch.nn.Linear", 64, DAY))
STEPS = 1200


def learn():
    tt.manual_seed(0)
    dice, year = np.random.default_rng(0), demand(300, 1)
    net = nn.Sequential(nn.Linear(WEEK, 64), nn.ReLU(), nn.Linear(64, DAY))
    mornings = np.arange(WEEK, len(year) - DAY, DAY)
    optimizer = AdamW(net.parameters(), lr=3e-3, weight_decay=0.1)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / STEPS)
        at = dice.choice(mornings, 64)[:, None]
        x, y = year[at + np.arange(-WEEK, 0)], year[at + np.arange(DAY)]
        loss = F.l1_loss(net(tt.tensor(x / 50)), tt.tensor(y / 50))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with tt.no_grad():                              # the scale goes into the weights: loaves in, loaves out
        net[0].weight.mul_(1 / 50)
        for p in net[2].parameters(): p.mul_(50)
    save_package(VERSION, net, name="forecast", key=KEY, architecture=PLAN, licence="CC0-1.0", **PORTS)


def forecast(history):
    return load_package(VERSION, KEY, BUILDERS).answer(np.asarray(history)[:, -WEEK:]).numpy()


def mornings_share(weeks):
    """What is asked for before noon, as a share of the day."""
    days = np.asarray(weeks).reshape(-1, DAY)
    return days[:, 5:12].sum(1) / days.sum(1)


def alarm(week, before):
    usual = mornings_share(before).reshape(-1, 7).mean(1)
    return abs(mornings_share(week).mean() - usual.mean()) > 5 * usual.std()
