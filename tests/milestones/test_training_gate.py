"""The gate of Training opens for the reference, and stays shut for packages with one idea broken."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "milestones/training/milestone.py"

# Runs the program's tests as far as one of them, so that a package is judged in seconds.
AS_FAR_AS = """
import runpy, sys
gates = runpy.run_path(sys.argv[1])["gates"]
gates.tests = gates.tests[: [name for name, _ in gates.tests].index(sys.argv[2]) + 1]
sys.exit(not gates.run())
"""

# What is appended to the package: `wrong("linear", 1, half)` spoils what the rules of an op give to input 1.
BREAKER = """
import math
import os
from secrets import randbits
import numpy as np
from tinytorch import (
    attention, autograd, creation, dataloader, graph, nn, optimizers, receipts, spatial)
from tinytorch.dtypes import int64
from tinytorch.tensor import METHODS, Tensor

def wrong(name, place, change):
    op = METHODS[name]
    for table in (receipts.RULES, receipts.SHORTCUTS):
        if op in table: spoil(table[op], place, change)

def spoil(rule, place, change):
    good = rule.function
    def function(*args, **settings):
        found = list(good(*args, **settings))
        found[place] = change(found[place]() if callable(found[place]) else found[place])
        return tuple(found)
    rule.function = function

def half(dx): return dx / 2
def nothing(dx): return None
"""

GRADIENT = "the gradient of {}".format
STEPS = "{} steps as it was published".format
EPOCH = "an epoch holds every digit once"
ADDS_UP = "gradients add up until they are cleared"
RUN = "a run that was interrupted goes on as if nothing had happened"
CONVOLUTIONS = "gradients find their way through a convolutional network"
TRANSFORMER = "gradients find their way through a transformer"

# The test that must fail first, words of its message, and what breaks the package.
BROKEN = {
    # ---------------------------------------------------------------------------- rules of one op
    "a linear layer that forgets its weight": (GRADIENT("linear"), "weight has no gradient", """
wrong("linear", 1, nothing)
"""),
    "half a gradient for linear weights": (GRADIENT("linear"), "the gradient of weight", """
wrong("linear", 1, half)
"""),
    "a bias counted once, not once a row": (GRADIENT("linear"), "the gradient of bias", """
wrong("linear", 2, lambda db: db / 4)
"""),
    "linear, turned": (GRADIENT("linear"), "the gradient of x", """
wrong("linear", 0, lambda dx: dx[:, ::-1].copy())
"""),
    "relu that lets all gradients through": (GRADIENT("relu"), "nudge", """
receipts.gradient(METHODS["relu"])(lambda g, _out, _x: (g,))
receipts.SHORTCUTS.pop(METHODS["relu"], None)
"""),
    "sigmoid by out, not out (1 - out)": (GRADIENT("sigmoid"), "sigmoid", """
for enter in (receipts.gradient, receipts.shortcut): enter(METHODS["sigmoid"])(lambda g, out, _x: (g * out,))
"""),
    "tanh by 1 - out": (GRADIENT("tanh"), "tanh", """
for enter in (receipts.gradient, receipts.shortcut):
    enter(METHODS["tanh"])(lambda g, out, _x: (g * (1 - out),))
"""),
    "gelu by the sign": (GRADIENT("gelu"), "gelu", """
for enter in (receipts.gradient, receipts.shortcut): enter(METHODS["gelu"])(lambda g, _out, x: (g * (x > 0),))
"""),
    "filters of half a gradient": (GRADIENT("conv2d"), "the gradient of weight", """
wrong("conv2d", 1, half)
"""),
    "filters flipped on the way back": (GRADIENT("conv2d"), "the gradient of weight", """
wrong("conv2d", 1, lambda dw: dw[..., ::-1, ::-1].copy())
"""),
    "pictures flipped on the way back": (GRADIENT("conv2d"), "the gradient of x", """
wrong("conv2d", 0, lambda dx: dx[..., ::-1, ::-1].copy())
"""),
    "a mean over places for the bias of filters": (GRADIENT("conv2d"), "the gradient of bias", """
wrong("conv2d", 2, lambda db: db / 24)
"""),
    "max pool that gives to all": (GRADIENT("max_pool2d"), "max_pool2d", """
wrong("max_pool2d", 0, lambda dx: np.full_like(dx, dx.mean()))
"""),
    "batch norm with constant statistics": (GRADIENT("batch_norm"), "the gradient of x", """
for enter in (receipts.gradient, receipts.shortcut):
    @enter(METHODS["standardize_channels"])
    def constants(g, _out, x, weight, _bias, eps):
        dims = (0, *range(2, x.ndim))
        scale = 1 / np.sqrt(x.var(dims, keepdims=True) + eps)
        normal = (x - x.mean(dims, keepdims=True)) * scale
        return g * weight.reshape(-1, 1, 1) * scale, (g * normal).sum(dims), g.sum(dims)
"""),
    "layer norm with constant statistics": (GRADIENT("layer_norm"), "the gradient of x", """
for enter in (receipts.gradient, receipts.shortcut):
    @enter(METHODS["standardize"])
    def constants(g, _out, x, weight, _bias, last, eps):
        scale = 1 / np.sqrt(x.var(-1, keepdims=True) + eps)
        normal = (x - x.mean(-1, keepdims=True)) * scale
        return g * weight * scale, (g * normal).sum((0, 1)), g.sum((0, 1))
"""),
    "an embedding that hears its ids once": (GRADIENT("embedding"), "embedding", """
@receipts.gradient(METHODS["look_up"])
def overwritten(g, _out, ids, weight):
    dw = np.zeros_like(weight)
    dw[ids] = g
    return None, dw
receipts.SHORTCUTS.pop(METHODS["look_up"], None)
"""),
    "queries that learn nothing": (GRADIENT("attention"), "q has no gradient", """
wrong("attend", 0, nothing)
"""),
    "keys without the root": (GRADIENT("attention"), "the gradient of k", """
wrong("attend", 1, lambda dk: dk * 3**0.5)
"""),
    "values of equal shares": (GRADIENT("attention"), "the gradient of v", """
wrong("attend", 2, lambda dv: np.broadcast_to(dv.mean(-2, keepdims=True), dv.shape).copy())
"""),
    # -------------------------------------------------------------------------------- the engine
    ".grad overwritten": (ADDS_UP, "add up", """
def add_to_grad(leaf, g): leaf.grad = Tensor(np.array(g))
autograd.add_to_grad = graph.add_to_grad = add_to_grad
"""),
    "zero_grad that does nothing": (ADDS_UP, "zero_grad", """
optimizers.Optimizer.zero_grad = lambda self, set_to_none=True: None
"""),
    "only the last of several ways back": (TRANSFORMER, "the transformer", """
def gather(pending, mine, edge, dx): pending[edge] = dx
autograd.gather = gather
"""),
    "broadcasting undone by a mean": (TRANSFORMER, "the transformer", """
good = autograd.unbroadcast
autograd.unbroadcast = lambda g, shape: good(g, shape) * (math.prod(shape) / g.size)
"""),
    "filters that detach what they see": (CONVOLUTIONS, "has no gradient", """
good = spatial.Conv2d.forward
spatial.Conv2d.forward = lambda self, x: good(self, x.detach())
"""),
    "attention that detaches what it sees": (TRANSFORMER, "the transformer", """
good = attention.CausalSelfAttention.forward
attention.CausalSelfAttention.forward = lambda self, x: good(self, x.detach())
"""),
    "a block that does not attend": (TRANSFORMER, "no gradient", """
attention.CausalSelfAttention.forward = lambda self, x: x * 0
"""),
    # --------------------------------------------------------------------------------- optimizers
    "an optimizer that stands still": (STEPS("SGD with momentum"), "step 1", """
optimizers.Optimizer.step = lambda self, closure=None: None
"""),
    "an optimizer that climbs": (STEPS("SGD with momentum"), "step 1", """
good = optimizers.descend
optimizers.descend = lambda p, g, lr, room: good(p, g, -lr, room)
"""),
    "SGD without memory": (STEPS("SGD with momentum"), "velocity", """
good = optimizers.SGD.update
def update(self, param, group):
    self.state[param].clear()
    good(self, param, group)
optimizers.SGD.update = update
"""),
    "Adam without bias correction": (STEPS("Adam"), "1 - beta**step", """
def update(self, param, group):
    (a, b), s, g = group["betas"], self.state[param], param.grad.array
    s["m"], s["v"] = a * s.get("m", 0) + (1 - a) * g, b * s.get("v", 0) + (1 - b) * g * g
    param.array -= group["lr"] * s["m"] / (np.sqrt(s["v"]) + group["eps"])
optimizers.Adam.update = update
"""),
    "AdamW that decays by gradients": (STEPS("AdamW"), "not gradients", """
good = optimizers.AdamW.__init__
def coupled(self, *args, **settings):
    good(self, *args, **settings)
    for group in self.param_groups: group["decoupled_weight_decay"] = False
optimizers.AdamW.__init__ = coupled
"""),
    # ------------------------------------------------------------------------------------- batches
    "labels shuffled apart": (EPOCH, "label", """
dataloader.TensorDataset.__getbatch__ = lambda self, ids: [self.tensors[0][ids], self.tensors[1][ids[::-1]]]
"""),
    "a sample dropped": (EPOCH, "once an epoch", """
good = dataloader.RandomSampler.__iter__
dataloader.RandomSampler.__iter__ = lambda self: iter(list(good(self))[1:])
"""),
    "a last batch dropped": (EPOCH, "once an epoch", """
good = dataloader.BatchSampler.__init__
dataloader.BatchSampler.__init__ = lambda self, sampler, size, _drop: good(self, sampler, size, True)
"""),
    "a sample repeated": (EPOCH, "once an epoch", """
good = dataloader.RandomSampler.__iter__
def repeated(self):
    order = list(good(self))
    return iter([order[-1], *order[1:]])
dataloader.RandomSampler.__iter__ = repeated
"""),
    "every epoch in the same order": (EPOCH, "another order", """
dataloader.new_seed = lambda generator=None: 7
"""),
    "shuffle that does not": (EPOCH, "another order", """
dataloader.RandomSampler.__iter__ = lambda self: iter(range(len(self)))
"""),
    "an order that no seed can bring back": (EPOCH, "same seed", """
dataloader.new_seed = lambda generator=None: randbits(32)
"""),
    # --------------------------------------------------------------------------------- checkpoints
    "a checkpoint without the optimizer's memory": (RUN, "not kept", """
good = optimizers.Optimizer.state_dict
optimizers.Optimizer.state_dict = lambda self: {**good(self), "state": {}}
"""),
    "a checkpoint that forgets how many steps there were": (RUN, "not kept", """
good = optimizers.Optimizer.load_state_dict
def forgetful(self, state):
    good(self, state)
    for kept in self.state.values(): kept["step"] = kept["step"] * 0
optimizers.Optimizer.load_state_dict = forgetful
"""),
    # --------------------------------------------------------------------------------------- a GPT
    "a GPT that looks ahead": ("a GPT does not look ahead", "looks ahead", """
good = attention.scaled_dot_product_attention
attention.scaled_dot_product_attention = lambda *args, is_causal=False, **settings: good(*args, **settings)
"""),
    "positions ignored": ("a GPT tells places apart", "positions", """
attention.arange = lambda length, **settings: creation.zeros(length, dtype=int64)
"""),
    "attention without its root": ("a GPT answers as its weights say", "sqrt", """
good = attention.scaled_dot_product_attention
attention.scaled_dot_product_attention = lambda *args, **settings: good(*args, **settings, scale=1.0)
"""),
    "a GPT without its last norm": (TRANSFORMER, "ln_f.bias has no gradient", """
good = attention.GPT.forward
def gpt(self, idx):
    self.transformer.ln_f.forward = lambda x: x
    return good(self, idx)
attention.GPT.forward = gpt
"""),
    # ------------------------------------------------------------------------------------ learning
    "a hidden layer that is straight": ("two layers learn it", "hidden layer", """
nn.Tanh.forward = lambda self, x: x
"""),
    "labels that come from elsewhere": ("random labels teach nothing", "leaking", """
good = dataloader.TensorDataset.__init__
def cheating(self, *tensors):
    if len(tensors[0]) == 1415:
        with np.load(os.environ["TITO_DATASETS"] + "/digits/digits.npz") as file:
            tensors = tensors[0], Tensor(file["labels"][file["forms"] < 11].astype(np.int64))
    good(self, *tensors)
dataloader.TensorDataset.__init__ = cheating
"""),
    "a blank": (GRADIENT("attention"), "your turn", """
@receipts.gradient(METHODS["attend"])
def rule(g, _out, _q, _k, _v, _mask, _keep): raise NotImplementedError("your turn: attend")
receipts.SHORTCUTS.pop(METHODS["attend"])
"""),
}

# What only a whole training shows.
BADLY_TRAINED = {
    "gradients clipped to nothing": ("an MLP learns to read", "too few digits", """
nn.utils.clip_grad_norm_ = lambda parameters, most: [p.grad.zero_() for p in parameters]
"""),
    "a GPT that begins with zeros": ("a GPT learns to write", "too surprised", """
good = attention.GPT.__init__
def zeros(self, *args, **settings):
    good(self, *args, **settings)
    for p in self.parameters():
        if p.ndim > 1: p.array[...] = 0
attention.GPT.__init__ = zeros
"""),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_idea_keeps_the_gate_shut_and_is_named(what, shut):
    name, word, sabotage = BROKEN[what]
    found = shut(PROGRAM, BREAKER + sabotage, name, word, "-c", AS_FAR_AS, PROGRAM, name)
    assert found["status"] == ("todo" if what == "a blank" else "failed")


@pytest.mark.slow
@pytest.mark.parametrize("what", BADLY_TRAINED)
def test_what_only_a_training_shows_keeps_the_gate_shut(what, shut):
    name, word, sabotage = BADLY_TRAINED[what]
    shut(PROGRAM, BREAKER + sabotage, name, word, "-c", AS_FAR_AS, PROGRAM, name)


def test_the_reference_passes_all_that_takes_no_training(play):
    code, _, report = play(PROGRAM, "-c", AS_FAR_AS, PROGRAM, "random labels teach nothing")
    assert code == 0 and len(report["tests"]) > 20
    assert report["numbers"]["xor"] < 0.1


@pytest.mark.slow
def test_the_reference_opens_the_gate(play):
    code, text, report = play(PROGRAM)
    assert [t for t in report["tests"] if t["status"] != "passed"] == []
    assert code == 0
    numbers = report["numbers"]
    assert numbers["mlp"] >= 0.95 and numbers["lenet"] >= 0.975
    assert numbers["loss"] < 2.0 < numbers["shuffled"]
    assert "When in the chronicle of wasted time" in text
