"""Tomorrow's demand, hour by hour. Read brief.md; this one says "as a week ago"."""

import sys
from pathlib import Path

import numpy as np

import tinytorch as tt
from tinytorch import nn
from tinytorch.registry import load_package, save_package, words

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

from data import DAY, WEEK  # noqa: E402

TASK = "demand"                     # or "ratings"; then write predicted(where) in place of forecast(history)
KEY = b"not a secret: whoever builds on this takes one from a safe place"
BUILDERS: dict = {}                 # networks of your own, by the name that words(…) call them by
VERSION = HERE / "models/forecast/1"
PORTS = {"inputs": [{"name": "history", "datatype": "FP32", "shape": [-1, WEEK]}],
         "outputs": [{"name": "tomorrow", "datatype": "FP32", "shape": [-1, DAY]}]}


def learn() -> None:
    """Makes a model and seals it as a version that a server can lend."""
    model = nn.Linear(WEEK, DAY, bias=False)
    with tt.no_grad(): model.weight.copy_(tt.eye(DAY, WEEK))
    plan = words("tinytorch.nn.Linear", WEEK, DAY, bias=False)
    save_package(VERSION, model, name="forecast", key=KEY, architecture=plan, licence="CC0-1.0", **PORTS)


def forecast(history) -> np.ndarray:
    """The next 24 hours after each history of a week or more.  (N, hours) -> (N, 24)"""
    package = load_package(VERSION, KEY, BUILDERS)
    return package.answer(np.asarray(history, np.float32)[:, -WEEK:]).numpy()


def alarm(week, before) -> bool:
    """Whether a week of 168 hours no longer looks like the weeks before it, (168 * n)."""
    return False


if __name__ == "__main__":
    learn()
    print(f"{VERSION} is sealed")
