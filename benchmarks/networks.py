"""The networks that are measured, written once for two packages.

`networks(torch)` are modules of PyTorch, and `networks(tinytorch)` modules of ours: the same lines. ResNet-20
comes from the Architecture milestone, which writes it the same way.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

ARCHITECTURE = Path(__file__).resolve().parents[1] / "milestones" / "architecture" / "networks.py"


def milestone():
    """The networks of the Architecture milestone, for a package."""
    spec = importlib.util.spec_from_file_location("architecture_networks", ARCHITECTURE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.networks


def networks(torch) -> SimpleNamespace:
    nn, F = torch.nn, torch.nn.functional

    class LeNet5(nn.Module):
        """LeCun's reader of digits (1998), with relu and max pooling.  (N, 1, 28, 28) -> (N, 10)"""

        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv1(x)), 2)
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))

    class Block(nn.Module):
        """Look, then think; both are added to the row.  (B, T, C) -> (B, T, C)"""

        def __init__(self, C: int, heads: int):
            super().__init__()
            self.heads = heads
            self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
            self.c_attn, self.c_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
            self.mlp = nn.Sequential(nn.Linear(C, 4 * C), nn.GELU(approximate="tanh"), nn.Linear(4 * C, C))

        def look(self, x):
            B, T, C = x.shape
            q, k, v = [part.view(B, T, self.heads, C // self.heads).transpose(1, 2)
                       for part in self.c_attn(x).split(C, dim=2)]
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.c_proj(seen.transpose(1, 2).contiguous().view(B, T, C))

        def forward(self, x):
            x = x + self.look(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class GPT(nn.Module):
        """Scores for the next word, at every place.  (B, T) -> (B, T, words)"""

        def __init__(self, words=1000, places=128, layers=4, C=128, heads=4):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(words, C), nn.Embedding(places, C)
            self.blocks = nn.Sequential(*[Block(C, heads) for _ in range(layers)])
            self.ln_f, self.head = nn.LayerNorm(C), nn.Linear(C, words, bias=False)

        def forward(self, idx):
            x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
            return self.head(self.ln_f(self.blocks(x)))

    class Listener(nn.Module):
        """What a recurrent layer has said at every step, without its last state.  (T, B, in) -> (T, B, H)"""

        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x): return self.layer(x)[0]

    def mlp():
        return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
                             nn.Linear(128, 10))

    def resnet8():
        net = ResNet20()
        net.layer1, net.layer2, net.layer3 = net.layer1[:1], net.layer2[:1], net.layer3[:1]
        return net

    ResNet20 = milestone()(torch).ResNet20
    return SimpleNamespace(
        mlp=mlp, LeNet5=LeNet5, ResNet8=resnet8, ResNet20=ResNet20, GPT=GPT,
        LSTM=lambda: Listener(nn.LSTM(128, 128)), GRU=lambda: Listener(nn.GRU(128, 128)))
