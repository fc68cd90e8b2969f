"""The two networks of this milestone that its lessons leave to it, written once for two packages.

`networks(torch)` are modules of PyTorch, and `networks(tinytorch)` modules of yours: the same lines.
"""

from __future__ import annotations

from types import SimpleNamespace


def networks(torch) -> SimpleNamespace:
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        """Two filters of 3 x 3, and a way around them.  (N, I, H, W) -> (N, O, H / stride, W / stride)"""

        def __init__(self, I: int, O: int, stride: int):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(I, O, 3, stride, 1, bias=False), nn.BatchNorm2d(O)
            self.conv2, self.bn2 = nn.Conv2d(O, O, 3, 1, 1, bias=False), nn.BatchNorm2d(O)
            self.stride, self.more = stride, O - I

        def around(self, x):
            """Every `stride`-th pixel, and channels of zeros where there are not enough."""
            return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.more))

        def forward(self, x):
            out = F.relu(self.bn1(self.conv1(x)))
            return F.relu(self.bn2(self.conv2(out)) + self.around(x))

    class ResNet20(nn.Module):
        """6 n + 2 layers for small pictures, n = 3 (He et al. 2015, section 4.2).  (N, 3, H, W) -> (N, 10)"""

        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
            self.layer1 = nn.Sequential(Block(16, 16, 1), Block(16, 16, 1), Block(16, 16, 1))
            self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
            self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
            self.fc = nn.Linear(64, 10)

        def forward(self, x):
            x = F.relu(self.bn1(self.conv1(x)))
            x = self.layer3(self.layer2(self.layer1(x)))
            return self.fc(x.mean((2, 3)))

    class Reader(nn.Module):
        """An LSTM that has read a line and says what kind it was.  (B, T) -> (B, kinds)"""

        def __init__(self, letters: int, kinds: int = 2, width: int = 16, memory: int = 48):
            super().__init__()
            self.embedding = nn.Embedding(letters, width)
            self.lstm = nn.LSTM(width, memory, batch_first=True)
            self.fc = nn.Linear(memory, kinds)

        def forward(self, idx):
            out, _ = self.lstm(self.embedding(idx))
            return self.fc(out[:, -1])

    def enlarged(images):
        """Digits of 8 x 8 as LeNet-5 wants them, from -1 to 1.  (N, 8, 8) -> (N, 1, 28, 28)"""
        large = F.interpolate(images[:, None], size=(24, 24), mode="bilinear", align_corners=False)
        return F.pad(large, (2, 2, 2, 2)) / 8 - 1

    return SimpleNamespace(ResNet20=ResNet20, Reader=Reader, enlarged=enlarged)
