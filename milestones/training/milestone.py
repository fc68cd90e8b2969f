"""1969: Minsky and Papert prove that one layer cannot tell "one or the other" from "both", and funding dries
up. 1986: Rumelhart, Hinton and Williams send errors back through hidden layers, and XOR is learned.
1989: LeNet learns to read. 2017: transformers learn to write.

Nothing is given now but data. Your framework starts from random numbers, and learns XOR, digits and sonnets.
What it has learned is judged by plain NumPy.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import tinytorch as tt
import tinytorch.nn as nn
import tinytorch.nn.functional as F
from tinytorch.models import GPT, LeNet5
from tinytorch.optim import SGD, Adam, AdamW
from tinytorch.utils.data import DataLoader, TensorDataset

HERE = Path(os.environ.get("TITO_ASSETS") or Path(__file__).resolve().parent)
sys.path += [str(HERE), str(HERE.parent)]

import networks64  # noqa: E402  milestones/training/networks64.py
from digits import DATA, images, labels, moved, unseen  # noqa: E402  milestones/digits.py
from gates import Gates, Wrong, close  # noqa: E402  milestones/gates.py

MLP, LENET, SONNETS = 0.95, 0.975, 2.0         # digits read, digits read, nats a letter: what is asked
HEADS, LETTERS = 4, 64                          # of the GPT, and how far it looks back

# ---------------------------------------------------------------------------------------- what is given

poems = (DATA / "text/sonnets.txt").read_text(encoding="ascii").split("\n\n")
letters = sorted(set("\n\n".join(poems)))


def numbered(poems: list):
    """The poems, one after the other, each letter as its number."""
    return np.array([letters.index(c) for c in "\n\n".join(poems)])


told = sliding_window_view(numbered(poems[:138]), LETTERS + 1)                  # (n, 65), one at each letter
lines = sliding_window_view(numbered(poems[138:]), LETTERS + 1)[::LETTERS]      # (n, 65), never trained on

gates = Gates()


def tensor(array):
    """A Tensor with memory of its own, so that nothing done to it reaches the array."""
    return tt.tensor(np.array(array, order="C"))


def mlp():
    """64 pixels, 128 hidden units, 10 digits."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def small():
    """A GPT that has learned nothing, always the same one."""
    model, dice = GPT(len(letters), 12, 2, 2, 16), np.random.default_rng(0)
    with tt.no_grad():
        for p in model.parameters(): p.copy_(tensor(dice.normal(0, 0.3, p.shape)))
    return model


def said(model, x) -> np.ndarray:
    """What a network says of an array."""
    return model.eval()(tensor(x)).detach().numpy()


def learned(model) -> dict:
    """What the network knows, as arrays."""
    return {key: value.numpy() for key, value in model.state_dict().items()}


def enlarged(images):
    """Digits as LeNet-5 wants them: three times as large, in a frame.  (N, 8, 8) -> (N, 1, 28, 28)"""
    at = np.clip((np.arange(24) + 0.5) / 3 - 0.5, 0, 7)
    low = np.minimum(at.astype(int), 6)
    mix = np.zeros((24, 8))
    mix[np.arange(24), low], mix[np.arange(24), low + 1] = 1 - (at - low), at - low
    large = np.pad(mix @ images @ mix.T, ((0, 0), (2, 2), (2, 2)), constant_values=-1)
    return large[:, None].astype(np.float32)

# ------------------------------------------------------------------------------------- learning, one way


def learn(model, optimizer, batches, steps: int):
    """So many steps over batches that never end, the rate warmed up and let down."""
    model.train()
    [group] = optimizer.param_groups
    peak = group["lr"]
    for step in range(steps):
        group["lr"] = peak * min(1, (step + 1) / 50) * (1 + math.cos(math.pi * step / steps)) / 2
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, -2), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


def digits(labels, large: bool = False, size: int = 64):
    """Batches of digits that may be seen, moved, for ever: whole epochs of your DataLoader."""
    pictures, dice = images[~unseen] / 8 - 1, np.random.default_rng(1986)
    if large: pictures = enlarged(pictures)[:, 0]
    loader = DataLoader(TensorDataset(tensor(pictures), tensor(labels)), size, shuffle=True, drop_last=True)
    while True:
        for x, y in loader:
            x = moved(x.numpy(), dice)
            yield tensor(x[:, None] if large else x), y


def sonnets(size: int = 16):
    """Batches of lines from the sonnets that may be seen: what stands there, and what comes next."""
    dice = np.random.default_rng(1609)
    while True:
        lines = told[dice.integers(0, len(told), size)]
        yield tensor(lines[:, :-1]), tensor(lines[:, 1:])

# -------------------------------------------------------------------------- gradients, judged by nudges


def slope(loss, p, way) -> float:
    """How the loss answers to a nudge of p that way."""
    here, ends = p.detach().numpy().copy(), []
    for nudge in (1e-5, -1e-5):
        with tt.no_grad(): p.copy_(tensor(here + nudge * way))
        ends.append(loss().item())
    with tt.no_grad(): p.copy_(tensor(here))
    return (ends[0] - ends[1]) / 2e-5


def judge(loss, parts: dict, what: str):
    """Wrong, unless gradients are what nudging says: for each tensor, from the one that is named last."""
    loss().backward()
    dice = np.random.default_rng(7)
    for name, p in reversed(parts.items()):
        way = dice.standard_normal(p.shape)
        if p.grad is None:
            raise Wrong(f"{what}: {name} has no gradient, it got lost on its way back", "a gradient", "None")
        found, expected = float((p.grad.numpy() * way).sum()), slope(loss, p, way)
        if not abs(found - expected) <= 1e-6 + 1e-4 * abs(expected):
            raise Wrong(f"{what}: the gradient of {name} is not how the loss answers to a nudge of it",
                        f"{expected:.8f}", f"{found:.8f}")


def convolved(x, weight, bias): return F.conv2d(x, weight, bias, stride=2, padding=1)
def normal_batch(x, weight, bias): return F.batch_norm(x, None, None, weight, bias, training=True)
def normal_rows(x, weight, bias): return F.layer_norm(x, (6,), weight, bias)
def rows_of(weight): return F.embedding(tensor(np.array([[0, 2, 2], [4, 0, 2]])), weight)
def surprised(x): return F.cross_entropy(x, tensor(np.array([1, 0, 3, 3])))
def attended(q, k, v): return F.scaled_dot_product_attention(q, k, v, is_causal=True)
def bent(x): return F.gelu(x, approximate="tanh")


for _name, _layer, _shapes in [
    ("linear", F.linear, {"x": (4, 5), "weight": (3, 5), "bias": (3,)}),
    ("relu", F.relu, {"x": (4, 5)}),
    ("sigmoid", tt.sigmoid, {"x": (4, 5)}),
    ("tanh", tt.tanh, {"x": (4, 5)}),
    ("gelu", bent, {"x": (4, 5)}),
    ("cross_entropy", surprised, {"x": (4, 5)}),
    ("conv2d", convolved, {"x": (2, 3, 6, 7), "weight": (4, 3, 3, 3), "bias": (4,)}),
    ("max_pool2d", lambda x: F.max_pool2d(x, 2), {"x": (2, 3, 6, 4)}),
    ("batch_norm", normal_batch, {"x": (4, 3, 2, 2), "weight": (3,), "bias": (3,)}),
    ("layer_norm", normal_rows, {"x": (4, 5, 6), "weight": (6,), "bias": (6,)}),
    ("embedding", rows_of, {"weight": (5, 3)}),
    ("attention", attended, {"q": (2, 4, 3), "k": (2, 4, 3), "v": (2, 4, 3)}),
]:
    @gates.test(f"the gradient of {_name}")
    def _(name=_name, layer=_layer, shapes=_shapes):
        dice = np.random.default_rng(1986)
        parts = {key: tensor(dice.standard_normal(shape)) for key, shape in shapes.items()}
        for p in parts.values(): p.requires_grad_()
        weights = tensor(dice.standard_normal(layer(*parts.values()).shape))
        judge(lambda: (layer(*parts.values()) * weights).sum(), parts, name)


@gates.test("gradients add up until they are cleared")
def _():
    layer, x = nn.Linear(3, 2), tensor(np.ones((4, 3), np.float32))
    layer(x).sum().backward()
    once = layer.weight.grad.numpy().copy()
    layer(x).sum().backward()
    close(layer.weight.grad.numpy(), 2 * once, "two calls of backward add up in .grad")
    SGD(layer.parameters(), lr=0.1).zero_grad()
    if layer.weight.grad is not None and layer.weight.grad.numpy().any():
        raise Wrong("zero_grad clears what has added up", "None", "numbers")


def agree(model, x, y, what: str):
    """Wrong, unless every parameter of a network has the gradient that nudging it finds."""
    model = model.double().train()
    judge(lambda: F.cross_entropy(model(x).flatten(0, -2), y.flatten()), dict(model.named_parameters()), what)


@gates.test("gradients find their way through a convolutional network")
def _():
    tt.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Conv2d(3, 4, 3, stride=2), nn.Sigmoid(), nn.Flatten(), nn.Linear(4, 10))
    pictures = images[:6, None].astype(float) / 8 - 1
    agree(model, tensor(pictures), tensor(labels[:6]), "the convolutional network")


@gates.test("gradients find their way through a transformer")
def _():
    agree(small(), tensor(lines[:2, :12]), tensor(lines[:2, 1:13]), "the transformer")

# --------------------------------------------------------------------------- steps, and what feeds them


def sgd(w, g, state, step):
    state[0] = g if step == 1 else 0.9 * state[0] + g
    return w - 0.1 * state[0]


def adam(w, g, state, step, decay=0.0):
    state[0], state[1] = 0.9 * state[0] + 0.1 * g, 0.999 * state[1] + 0.001 * g * g
    mean, square = state[0] / (1 - 0.9**step), state[1] / (1 - 0.999**step)
    return w * (1 - 0.01 * decay) - 0.01 * mean / (np.sqrt(square) + 1e-8)


def adamw(w, g, state, step): return adam(w, g, state, step, decay=0.1)


for _name, _rule, _make, _idea in [
    ("SGD with momentum", sgd, lambda p: SGD(p, lr=0.1, momentum=0.9), "velocity keeps 0.9 of itself"),
    ("Adam", adam, lambda p: Adam(p, lr=0.01), "averages that began at 0 are divided by 1 - beta**step"),
    ("AdamW", adamw, lambda p: AdamW(p, lr=0.01, weight_decay=0.1), "decay shrinks weights, not gradients"),
]:
    @gates.test(f"{_name} steps as it was published")
    def _(name=_name, rule=_rule, make=_make, idea=_idea):
        dice = np.random.default_rng(4)
        w, state = dice.standard_normal((5, 3)), [0.0, 0.0]
        p = nn.Parameter(tensor(w))
        optimizer = make([p])
        for step in range(1, 6):
            g = dice.standard_normal((5, 3)) * 10.0 ** dice.integers(-3, 3)
            p.grad = tensor(g)
            optimizer.step()
            w = rule(w, g, state, step)
            close(p.detach().numpy(), w, f"step {step} of {name} is not that of its paper: {idea}", 1e-9)


@gates.test("an epoch holds every digit once")
def _():
    data = TensorDataset(tensor(np.arange(len(images))), tensor(labels))
    tt.manual_seed(3)
    epochs = [list(DataLoader(data, 100, shuffle=True)) for _ in range(2)]
    tt.manual_seed(3)
    again = list(DataLoader(data, 100, shuffle=True))
    order = [np.concatenate([x.numpy() for x, _ in epoch]) for epoch in (*epochs, again)]
    if not all(np.array_equal(np.sort(places), np.arange(len(images))) for places in order):
        raise Wrong("shuffled, every sample still comes once an epoch",
                    f"{len(images)} samples", f"{len(set(order[0].tolist()))} in {len(order[0])} places")
    if not all((y.numpy() == labels[x.numpy()]).all() for x, y in epochs[0]):
        raise Wrong("a label stays with its picture when both are shuffled", "together", "apart")
    if (order[0] == order[1]).all() or (order[0] == np.arange(len(images))).all():
        raise Wrong("shuffle=True is another order in every epoch", "another", "the same")
    if not (order[0] == order[2]).all():
        raise Wrong("the same seed gives the same order", "the same", "another")


@gates.test("a run that was interrupted goes on as if nothing had happened")
def _():
    def run(steps, save=None, load=None):
        tt.manual_seed(5)
        model = mlp()
        optimizer = AdamW(model.parameters(), lr=1e-2)
        if load:
            state = tt.load(load)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        x, y = tensor(images[:64] / 8 - 1), tensor(labels[:64])
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        if save: tt.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, save)
        return learned(model)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.ckpt"
        whole = run(20)
        run(8, save=file)
        for key, value in run(12, load=file).items():
            if not (value == whole[key]).all():
                raise Wrong(f"{key} differs after 8 steps, a checkpoint and 12 more: something was not kept",
                            "the bits of 20 steps", f"off by {np.abs(value - whole[key]).max():.1g}")

# ------------------------------------------------------------------------------- what a GPT may look at


@gates.test("a GPT does not look ahead")
def _():
    changed = lines[:4, :12].copy()
    changed[:, 6:] = lines[4:8, :6]
    close(said(small(), changed)[:, :6], said(small(), lines[:4, :12])[:, :6],
          "letters that come later change the scores before them: whoever looks ahead learns to copy")


@gates.test("a GPT tells places apart")
def _():
    scores = said(small(), np.zeros((1, 12), int))[0]
    if np.abs(scores[1:] - scores[:-1]).max() < 1e-4:
        raise Wrong("the same letter at all places gets the same scores: positions are not added to the row",
                    "scores that differ", "the same")


@gates.test("a GPT answers as its weights say")
def _():
    model, ids = small(), lines[:4, :12]
    close(said(model, ids), networks64.gpt(learned(model), ids, 2),
          "a GPT adds up letters, positions, softmax(q @ k.T / sqrt(E)) @ v, gelu and norms", 1e-4)

# ------------------------------------------------------------------------------------ 1969 and after

LN2 = math.log(2)               # the loss of who says one half, half
points, one_of_two = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0])


def on_xor(model):
    """What a network says about the four points after 300 steps of Adam, and how wrong it is."""
    optimizer = Adam(model.parameters(), lr=0.05)
    for _ in range(300):
        loss = F.cross_entropy(model(tensor(points)), tensor(one_of_two))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return networks64.surprise(said(model, points).astype(float), one_of_two)


@gates.test("one layer cannot learn XOR")
def _():
    loss = on_xor(nn.Linear(2, 2))
    if not loss >= LN2 - 1e-6:
        raise Wrong("no straight line parts XOR: a loss below ln 2 cannot be right",
                    f"{LN2:.4f}", f"{loss:.4f}")
    if loss > LN2 + 0.01:
        raise Wrong("one layer learns to say one half, half: its steps do not lead down",
                    f"{LN2:.4f}", f"{loss:.4f}")


@gates.test("two layers learn it")
def _():
    tt.manual_seed(1986)
    loss = on_xor(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)))
    gates.numbers["xor"] = loss
    if not loss < 0.1:
        raise Wrong("with a hidden layer, errors find their way back", "a loss below 0.1", f"{loss:.3f}")

# ------------------------------------------------------------------------------------------ what it learns


def read(name: str, run, model, x, at_least: float):
    """Wrong, unless a network reads this share of the unseen digits, as NumPy finds it."""
    scores = run(learned(model), x[unseen])
    close(said(model, x[unseen].astype(np.float32)), scores,
          f"{name} answers otherwise than its weights say", 1e-3)
    right = float((scores.argmax(1) == labels[unseen]).mean())
    gates.numbers[name] = right
    if right < at_least:
        raise Wrong(f"the {name} reads too few digits of unknown hands",
                    f"at least {at_least:.1%}", f"{right:.1%}")


def timed(name: str, work):
    """Does the work, and keeps its seconds."""
    start = time.perf_counter()
    work()
    gates.numbers[f"{name}_seconds"] = round(time.perf_counter() - start, 1)


@gates.test("random labels teach nothing")
def _():
    tt.manual_seed(1)
    model, dice = mlp(), np.random.default_rng(13)
    learn(model, AdamW(model.parameters(), lr=5e-3), digits(dice.permutation(labels[~unseen])), 150)
    scores = networks64.mlp(learned(model), images[unseen] / 8 - 1)
    right = float((scores.argmax(1) == labels[unseen]).mean())
    if right > 0.35:
        raise Wrong("whoever learns from random labels knows nothing: are answers leaking?",
                    "about 10%", f"{right:.0%}")


@gates.test("an MLP learns to read")
def _():
    tt.manual_seed(1986)
    model = mlp()
    optimizer, batches = AdamW(model.parameters(), lr=1e-2), digits(labels[~unseen])
    timed("mlp", lambda: learn(model, optimizer, batches, 1500))
    read("mlp", networks64.mlp, model, images / 8 - 1, MLP)


@gates.test("LeNet-5 learns to read")
def _():
    tt.manual_seed(1989)
    model = LeNet5()
    optimizer, batches = AdamW(model.parameters(), lr=3e-3), digits(labels[~unseen], large=True)
    timed("lenet", lambda: learn(model, optimizer, batches, 1200))
    read("lenet", networks64.lenet5, model, enlarged(images / 8 - 1), LENET)


gpt = None          # the one that learned; the story lets it write


@gates.test("a GPT learns to write")
def _():
    global gpt
    tt.manual_seed(2017)
    model = GPT(len(letters), LETTERS, 2, HEADS, 64)
    optimizer = AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.98), weight_decay=0.1)
    timed("gpt", lambda: learn(model, optimizer, sonnets(), 1000))
    loss = networks64.surprise(networks64.gpt(learned(model), lines[:, :-1], HEADS), lines[:, 1:])
    shuffled = np.random.default_rng(64).permuted(lines[:, :-1], axis=1)
    lost = networks64.surprise(networks64.gpt(learned(model), shuffled, HEADS), lines[:, 1:])
    gates.numbers.update(loss=loss, shuffled=lost)
    if not loss < SONNETS:
        raise Wrong("the GPT is too surprised by sonnets it has not read",
                    f"less than {SONNETS} nats", f"{loss:.3f}")
    if lost < loss + 0.5:
        raise Wrong("shuffled letters surprise it no more: it has not learned to look back",
                    f"more than {loss + 0.5:.2f} nats", f"{lost:.3f}")
    gpt = model

# ------------------------------------------------------------------------------------------- the story


def written(model, beginning: str, many: int, heat: float = 0.6, seed: int = 1609) -> str:
    """The beginning, and what the model adds; less heat, fewer adventures."""
    dice, ids = np.random.default_rng(seed), [letters.index(c) for c in beginning]
    with tt.no_grad():
        for _ in range(many):
            scores = model(tensor([ids[-LETTERS:]])).numpy()[0, -1].astype(float) / heat
            ids.append(int((scores + dice.gumbel(size=scores.shape)).argmax()))
    return "".join(letters[i] for i in ids)


def on_real_data(name: str) -> int:
    """Trains on a real data set, and judges that alone."""
    import real  # milestones/training/real.py
    print(f"\n  {name}, from random numbers\n", flush=True)
    alone = Gates()

    @alone.test(f"{name} is learned")
    def _():
        try: found = real.train(tt, name)
        except FileNotFoundError as missing: raise Wrong(str(missing)) from missing
        alone.numbers.update(found)
        right, said = real.verdict(name, found)
        if not right: raise Wrong(f"{name} was not learned well enough: {said}")
        print(f"\n  {said}, after {found['seconds'] / 60:.1f} minutes.\n")
    return 0 if alone.run() else 1


def main(words=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=("mnist", "cifar10", "shakespeare"))
    asked = parser.parse_args(words)
    if asked.data: return on_real_data(asked.data)
    print(f"{__doc__}")
    if not gates.run(): return 1
    n = gates.numbers
    print("\n  It has read 138 sonnets. Now it writes:\n")
    for line in written(gpt, "When in the chronicle of wasted time\n", 400).splitlines(): print(f"    {line}")
    print(f"\n  The next letter of sonnets it has never read surprises it by {n['loss']:.2f} nats; before it"
          f"\n  learned, by {math.log(len(letters)):.2f}. Of digits by unknown hands, your MLP reads"
          f" {n['mlp']:.1%} after {n['mlp_seconds']:.0f} seconds,\n  your LeNet-5 {n['lenet']:.1%} after"
          f" {n['lenet_seconds']:.0f}. All of it from random numbers, by gradients that you wrote.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
