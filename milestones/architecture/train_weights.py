"""Train the four networks of the Architecture milestone, and write down what PyTorch says they answer.

    python milestones/architecture/train_weights.py [lenet5 gpt resnet20 reader]

Needs PyTorch; lessons 09 to 11 make it unnecessary. One thread and fixed seeds: on one machine and with one
version of PyTorch the same bytes come out. A few minutes on one core.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "datasets"
sys.path += [str(HERE), str(HERE.parent)]

import weights  # noqa: E402  milestones/weights.py
from networks import networks  # noqa: E402

SEED = 1998
given = networks(torch)

# -------------------------------------------------------------------------------------------- the data

with np.load(DATA / "digits/digits.npz") as digits:
    images = torch.tensor(digits["images"].astype(np.float32))
    labels, forms = torch.tensor(digits["labels"].astype(np.int64)), torch.tensor(digits["forms"])
seen = forms < 11                                               # the others are for the milestone

poems = (DATA / "text/sonnets.txt").read_text(encoding="ascii").split("\n\n")
letters = sorted(set("\n\n".join(poems)))
ids = {part: torch.tensor([letters.index(c) for c in "\n\n".join(text)])
       for part, text in {"seen": poems[:138], "unseen": poems[138:]}.items()}


def lines(text, length: int, many: int):
    """Pieces of a text that begin anywhere.  (n) -> (many, length)"""
    return text.unfold(0, length, 1)[torch.randint(len(text) - length + 1, (many,))]

# ------------------------------------------------------- the networks of lessons 06 and 07, in PyTorch


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class Attention(nn.Module):
    def __init__(self, C: int, heads: int):
        super().__init__()
        self.c_attn, self.c_proj, self.heads = nn.Linear(C, 3 * C), nn.Linear(C, C), heads

    def forward(self, x):
        parts = self.c_attn(x).chunk(3, -1)
        q, k, v = [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts]
        return self.c_proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, C: int):
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def forward(self, x): return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, C: int, heads: int, dropout: float):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(C), Attention(C, heads)
        self.ln_2, self.mlp = nn.LayerNorm(C), MLP(C)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.drop(self.attn(self.ln_1(x)))
        return x + self.drop(self.mlp(self.ln_2(x)))


class GPT(nn.Module):
    def __init__(self, letters: int, T: int = 64, layers: int = 2, heads: int = 4, C: int = 64, dropout=0.1):
        super().__init__()
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(letters, C), "wpe": nn.Embedding(T, C), "drop": nn.Dropout(dropout),
            "h": nn.ModuleList(Block(C, heads, dropout) for _ in range(layers)), "ln_f": nn.LayerNorm(C)})
        self.lm_head = nn.Linear(C, letters, bias=False)
        self.lm_head.weight = self.transformer.wte.weight
        for name, p in self.named_parameters():
            if p.ndim > 1: nn.init.normal_(p, std=0.02 / (math.sqrt(2 * layers) if "c_proj" in name else 1))

    def forward(self, idx):
        parts = self.transformer
        x = parts.drop(parts.wte(idx) + parts.wpe(torch.arange(idx.shape[1])))
        for block in parts.h: x = block(x)
        return self.lm_head(parts.ln_f(x))

# --------------------------------------------------------------------------------------------- training


def train(model, batch, steps: int, rate: float, decay: float):
    """AdamW with a warm start and a cosine schedule; `batch()` gives inputs and the right answers."""
    matrices, others = ([p for p in model.parameters() if (p.ndim > 1) == big] for big in (True, False))
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": decay},
                                   {"params": others, "weight_decay": 0.0}], betas=(0.9, 0.98))
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * (1 + math.cos(math.pi * step / steps)) / 2
        x, y = batch()
        loss = F.cross_entropy(model(x).flatten(0, -2), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0: print(f"  {step:5} {loss.item():.3f}", flush=True)
    return model.eval()


def moved(x):
    """Pictures as another hand might have drawn them: turned, sheared, scaled and moved a little."""
    theta = torch.eye(2, 3) + torch.randn(len(x), 2, 3) * torch.tensor([[0.1, 0.1, 0.08]])
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x + 1, grid, align_corners=False) - 1


def some_digits(pictures, many: int):
    """A function that gives batches of moved digits that may be seen, and their labels."""
    x, y = pictures[seen], labels[seen]
    def batch():
        chosen = torch.randint(len(x), (many,))
        return moved(x[chosen]), y[chosen]
    return batch


def lenet5():
    """Reads digits."""
    model = train(LeNet5(), some_digits(given.enlarged(images), 64), 2500, 3e-3, 0.05)
    with torch.no_grad():
        right = model(given.enlarged(images)).argmax(1) == labels
    told, others = right[seen].float().mean(), right[~seen].float().mean()
    print(f"lenet5: right on the forms it saw: {told:.2%}, on the others: {others:.2%}")
    return model


def resnet20():
    """Reads digits that are blown up and coloured; its answers are compared, not judged."""
    pictures = F.interpolate(given.enlarged(images), size=(16, 16), mode="bilinear", align_corners=False)
    grey = some_digits(pictures, 64)
    def batch():
        x, y = grey()
        return x * torch.rand(len(x), 3, 1, 1), y
    return train(given.ResNet20(), batch, 120, 3e-3, 0.05)


def gpt():
    """Continues sonnets, letter by letter."""
    def batch():
        line = lines(ids["seen"], 65, 32)
        return line[:, :-1], line[:, 1:]
    model = train(GPT(len(letters)), batch, 5000, 4e-3, 0.1)
    with torch.no_grad():
        line = ids["unseen"].unfold(0, 65, 64)
        loss = F.cross_entropy(model(line[:, :-1]).flatten(0, 1), line[:, 1:].flatten())
        print(f"gpt: loss {loss:.3f} on unseen sonnets")
    return model


def reader():
    """Tells lines from lines that are written backwards."""
    def batch(text=ids["seen"], many=64):
        line, y = lines(text, 32, many), torch.randint(2, (many,))
        return torch.where(y[:, None] == 1, line.flip(1), line), y
    model = train(given.Reader(len(letters)), batch, 800, 5e-3, 0.01)
    with torch.no_grad():
        x, y = batch(ids["unseen"], 1000)
        print(f"reader: {(model(x).argmax(1) == y).float().mean():.1%} of unseen lines")
    return model

# ------------------------------------------------------------------------------------------ what is written


def references() -> dict:
    """Fixed inputs, and what the shipped weights answer to them in PyTorch, in float64."""
    torch.manual_seed(SEED)
    line = lines(ids["unseen"], 32, 4)
    inputs = {"resnet20": torch.randn(3, 3, 32, 32), "gpt": lines(ids["unseen"], 64, 2),
              "reader": torch.cat([line, line.flip(1)])}
    models = {"resnet20": given.ResNet20(), "gpt": GPT(len(letters)), "reader": given.Reader(len(letters))}
    out = {}
    for name, model in models.items():
        state = weights.read(HERE / f"{name}.safetensors")
        model.load_state_dict({key: torch.tensor(value) for key, value in state.items()})
        x = inputs[name]
        with torch.no_grad():
            answer = model.double().eval()(x.double() if x.is_floating_point() else x)
        out |= {f"{name}.input": x.numpy(), f"{name}.logits": answer.float().numpy()}
    return out


def main(names):
    torch.set_num_threads(1)
    for name in names or ("lenet5", "gpt", "resnet20", "reader"):
        torch.manual_seed(SEED)
        state = globals()[name]().state_dict()
        weights.write(HERE / f"{name}.safetensors", {key: value.numpy() for key, value in state.items()})
    weights.write(HERE / "references.safetensors", references())
    files = sorted(HERE.glob("*.safetensors"))
    (HERE / "weights.sha256").write_text(
        "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files))
    print(f"{sum(file.stat().st_size for file in files):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
