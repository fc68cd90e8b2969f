"""Training beside PyTorch: the same runs, number for number, and the same signatures."""

import inspect
import io

import numpy as np
import pytest

import tinytorch
from tinytorch.training import Trainer, evaluate

torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")

rng = np.random.default_rng(7)
X, Y = rng.standard_normal((70, 8)).astype(np.float32), rng.integers(0, 5, 70)


def made(t, smoothing=0.0):
    """A network, a loss, and a loader of data, drawn from one seed."""
    t.manual_seed(3)
    net = t.nn.Sequential(t.nn.Linear(8, 16, bias=False), t.nn.BatchNorm1d(16), t.nn.ReLU(),
                          t.nn.Linear(16, 5))
    data = t.utils.data.TensorDataset(t.tensor(X), t.tensor(Y))
    loss = t.nn.CrossEntropyLoss(label_smoothing=smoothing)
    return net, loss, t.utils.data.DataLoader(data, 8, shuffle=True)


def by_hand(epochs, optimizer, schedule, smoothing, accumulate, clip):
    """The loop as people write it in PyTorch; every batch counts by its size. Losses of all steps."""
    net, loss_of, loader = made(torch, smoothing)
    optimizer = optimizer(torch, net.parameters())
    scheduler, losses = schedule(torch, optimizer), []
    for _ in range(epochs):
        batches = list(loader)
        for n in range(0, len(batches), accumulate):
            group, total = batches[n : n + accumulate], 0.0
            size = sum(len(y) for _, y in group)
            optimizer.zero_grad()
            for x, y in group:
                loss = loss_of(net(x), y) * len(y) / size
                loss.backward()
                total += loss.item()
            if clip: torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
            optimizer.step()
            losses.append(total)
        scheduler.step()
    return net, losses


class Losses(tinytorch.training.Callback):
    """Remembers the loss of every step."""

    def __init__(self): self.seen = []
    def on_step(self, trainer): self.seen.append(trainer.latest)


def sgd(t, parameters): return t.optim.SGD(parameters, 0.05, momentum=0.9)
def adam(t, parameters): return t.optim.Adam(parameters, 0.01)


@pytest.mark.parametrize(("smoothing", "accumulate", "clip"),
                         [(0.0, 1, None), (0.1, 1, None), (0.0, 4, None), (0.2, 2, 0.5)])
@pytest.mark.parametrize("optimizer", [sgd, adam])
def test_a_run_has_pytorchs_losses_and_ends_in_its_weights(optimizer, smoothing, accumulate, clip):
    def schedule(t, o): return t.optim.lr_scheduler.StepLR(o, 1, 0.8)
    theirs, losses = by_hand(3, optimizer, schedule, smoothing, accumulate, clip)
    net, loss, loader = made(tinytorch, smoothing)
    ours, told = optimizer(tinytorch, net.parameters()), Losses()
    Trainer(net, ours, loader, loss, scheduler=schedule(tinytorch, ours), accumulate=accumulate, clip=clip,
            callbacks=[told]).fit(3)
    np.testing.assert_allclose(told.seen, losses, rtol=2e-4, atol=1e-5)
    for mine, other in zip(net.parameters(), theirs.parameters()):
        np.testing.assert_allclose(mine.data.array, other.detach().numpy(), rtol=5e-3, atol=5e-4)


def test_a_network_is_judged_as_pytorch_does():
    net, loss, _ = made(tinytorch)
    theirs, their_loss, _ = made(torch)
    data = tinytorch.utils.data.TensorDataset(tinytorch.tensor(X), tinytorch.tensor(Y))
    found = evaluate(net, tinytorch.utils.data.DataLoader(data, 16), loss)
    with torch.no_grad(): expected = their_loss(theirs.eval()(torch.tensor(X)), torch.tensor(Y)).item()
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 1.0])
def test_label_smoothing_and_its_gradient_are_pytorchs(smoothing):
    def answer(t):
        x = t.tensor(X[:, :5].tolist()).requires_grad_()
        loss = t.nn.functional.cross_entropy(x, t.tensor(Y.tolist()), label_smoothing=smoothing)
        loss.backward()
        return loss.item(), x.grad
    (mine, grad), (theirs, their_grad) = answer(tinytorch), answer(torch)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5)
    np.testing.assert_allclose(grad.array, their_grad.numpy(), rtol=1e-4, atol=1e-7)


def test_averaged_weights_are_pytorchs():
    def averaged(t):
        utils = t.optim.swa_utils
        net, loss, loader = made(t)
        mean = utils.AveragedModel(net, multi_avg_fn=utils.get_ema_multi_avg_fn(0.9), use_buffers=True)
        optimizer = t.optim.SGD(net.parameters(), 0.1)
        for x, y in loader:
            optimizer.zero_grad()
            loss(net(x), y).backward()
            optimizer.step()
            mean.update_parameters(net)
        return mean.state_dict()
    mine, theirs = averaged(tinytorch), averaged(torch)
    assert list(mine) == list(theirs)
    for name in mine: np.testing.assert_allclose(mine[name].array, theirs[name].numpy(), rtol=1e-3, atol=1e-5)


# ----------------------------------------------------------------------------------------- save, load

def test_a_state_crosses_over_as_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    net = made(tinytorch)[0]
    tinytorch.save(net.state_dict(), tmp_path / "ours")
    theirs = made(torch)[0]
    assert theirs.load_state_dict(safetensors.load_file(tmp_path / "ours")) is not None
    safetensors.save_file(theirs.state_dict(), tmp_path / "theirs")
    net.load_state_dict(tinytorch.load(tmp_path / "theirs"))


def test_pytorchs_own_files_are_refused_with_a_sentence():
    for old in (False, True):
        buffer = io.BytesIO()
        torch.save({"x": torch.ones(2)}, buffer, _use_new_zipfile_serialization=not old)
        buffer.seek(0)
        with pytest.raises(ValueError, match="pickle"): tinytorch.load(buffer)


# ---------------------------------------------------------------------------------------- signatures

def told(f) -> list[tuple]:
    """Names and defaults of parameters, in order, without self."""
    found = inspect.signature(f).parameters.values()
    return [(p.name, plain(p.default)) for p in found if p.name not in ("self", "args", "kwargs")]


def plain(x):
    if x is inspect.Parameter.empty: return "..."
    return x if isinstance(x, (int, float, str, bool, type(None))) else repr(x)


SAME = ["autocast", "amp.autocast", "amp.GradScaler", "amp.is_autocast_available",
        *[f"amp.GradScaler.{name}" for name in dir(torch.amp.GradScaler) if name[0] != "_"]]


@pytest.mark.parametrize("name", SAME)
def test_signatures_are_pytorchs(name):
    mine, theirs = tinytorch, torch
    for part in name.split("."): mine, theirs = getattr(mine, part), getattr(theirs, part)
    assert told(mine) == told(theirs)


DIFFERENT = {               # what PyTorch has beyond ours; each has its reason in docs/differences.md
    "save": ["pickle_module", "pickle_protocol", "_use_new_zipfile_serialization",
             "_disable_byteorder_record"],
    "load": ["pickle_module", "mmap", "pickle_load_args"],
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_left_out_is_listed(name):
    mine, theirs = dict(told(getattr(tinytorch, name))), dict(told(getattr(torch, name)))
    assert [p for p in theirs if p not in mine] == DIFFERENT[name]
    assert [p for p in mine if p not in theirs] == []


WRITER = ["__init__", "add_scalar", "add_scalars", "add_histogram", "add_image", "add_images", "add_text",
          "add_graph", "flush", "close", "get_logdir"]


@pytest.mark.parametrize("name", WRITER)
def test_a_writers_signatures_are_pytorchs(name):
    pytest.importorskip("tensorboard", reason="PyTorch's writer needs TensorBoard")
    from torch.utils.tensorboard import SummaryWriter
    ours = tinytorch.utils.tensorboard.SummaryWriter
    assert told(getattr(ours, name)) == told(getattr(SummaryWriter, name))
