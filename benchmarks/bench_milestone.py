"""What the trainings of the Training milestone come to with PyTorch: accuracy, minutes and memory of both.

    python benchmarks/bench_milestone.py            all three; needs the `dev` extra
    python benchmarks/bench_milestone.py mlp        only that

It is the milestone itself that trains, in a process for each package: PyTorch runs the same lines, from the
same seeds, under the name of tinytorch. Minutes are CPU time of one thread, and the memory is how much the
most that the process ever held grows while it learns. What was learned is judged by plain NumPy.
"""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from time import process_time
from types import SimpleNamespace

from versus import table, torch_on_one_thread

# isort: split
from bench_training import most
from networks import networks

MILESTONE = Path(__file__).resolve().parents[1] / "milestones" / "training" / "milestone.py"


def gpt(torch, words: int, places: int, layers: int, heads: int, C: int):
    """The GPT of lesson 07 in PyTorch, with its first weights."""
    net = networks(torch).GPT(words, places, layers, C, heads)
    net.head.weight = net.wte.weight
    with torch.no_grad():
        for part in (net.wte, net.wpe): part.weight.normal_(0.0, 0.02)
        for block in net.blocks:
            for part in (block.c_attn, block.c_proj, block.mlp[0], block.mlp[2]):
                added = part is block.c_proj or part is block.mlp[2]            # to the row
                part.weight.normal_(0.0, 0.02 / math.sqrt(2 * layers) if added else 0.02)
                part.bias.zero_()
    return net


def milestone(package: str):
    """The milestone as a module, which trains with a package."""
    if package == "torch":
        torch = torch_on_one_thread()
        models = SimpleNamespace(LeNet5=networks(torch).LeNet5, GPT=lambda *sizes: gpt(torch, *sizes))
        sys.modules |= {"tinytorch": torch, "tinytorch.nn": torch.nn, "tinytorch.optim": torch.optim,
                        "tinytorch.nn.functional": torch.nn.functional, "tinytorch.models": models,
                        "tinytorch.utils.data": torch.utils.data}
    spec = importlib.util.spec_from_file_location("training_milestone", MILESTONE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def known(m, model) -> dict:
    """What a network has learned, under the names that lesson 07 has for it."""
    state = m.learned(model)
    return {told(name): x for name, x in state.items()} if "wte.weight" in state else state


def told(name: str) -> str:
    """A name of the benchmark's GPT as the lesson's has it."""
    if name.startswith("head"): return name.replace("head", "lm_head")
    name = "transformer." + name.replace("blocks.", "h.").replace("mlp.0", "mlp.c_fc")
    name = name.replace("mlp.2", "mlp.c_proj")
    for part in ("c_attn", "c_proj"):
        if f"mlp.{part}" not in name: name = name.replace(f".{part}", f".attn.{part}")
    return name


def mlp(m):
    return m.mlp(), 1e-2, {}, m.digits(m.labels[~m.unseen]), 1500


def lenet(m):
    return m.LeNet5(), 3e-3, {}, m.digits(m.labels[~m.unseen], large=True), 1200


def sonnets(m):
    model = m.GPT(len(m.letters), m.LETTERS, 2, m.HEADS, 64)
    return model, 4e-3, {"betas": (0.9, 0.98), "weight_decay": 0.1}, m.sonnets(), 1000


def right(run, x):
    return lambda m, state: f"{(run(m)(state, x(m)[m.unseen]).argmax(1) == m.labels[m.unseen]).mean():.1%}"


def surprise(m, state) -> str:
    found = m.networks64.gpt(state, m.lines[:, :-1], m.HEADS)
    return f"{m.networks64.surprise(found, m.lines[:, 1:]):.3f} nats"


TRAININGS = {
    "mlp": (1986, mlp, right(lambda m: m.networks64.mlp, lambda m: m.images / 8 - 1)),
    "lenet": (1989, lenet, right(lambda m: m.networks64.lenet5, lambda m: m.enlarged(m.images / 8 - 1))),
    "sonnets": (2017, sonnets, surprise),
}


def train(package: str, name: str) -> dict:
    """What a training comes to."""
    m, (seed, make, judge) = milestone(package), TRAININGS[name]
    m.tt.manual_seed(seed)
    model, rate, settings, batches, steps = make(m)
    optimizer = m.AdamW(model.parameters(), lr=rate, **settings)
    before, start = most(), process_time()
    m.learn(model, optimizer, batches, steps)
    seconds, grown = process_time() - start, most() - before
    return {"reached": judge(m, known(m, model)), "minutes": f"{seconds / 60:.2f}",
            "memory": f"{grown / 1e6:.0f} MB"}


def apart(package: str, name: str) -> dict:
    """The same, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--apart", package, name], stdout=subprocess.PIPE,
                          text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str) -> list[str]:
    ours, theirs = [apart(package, name) for package in ("tinytorch", "torch")]
    return [name, *[found[what] for what in ours for found in (ours, theirs)]]


def main():
    columns = ["training", "TinyTorch", "PyTorch", "minutes", "PyTorch's", "memory", "PyTorch's"]
    for name in sys.argv[1:] or TRAININGS: print(table(columns, [row(name)]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--apart"]: print(json.dumps(train(*sys.argv[2:])))
    else: main()
