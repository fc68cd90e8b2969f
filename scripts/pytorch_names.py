"""Write modules/pytorch_names.txt: what PyTorch has, so that the package can say what it leaves out.

    python scripts/pytorch_names.py     needs the `dev` extra; for when the course moves to another PyTorch
"""

from __future__ import annotations

import textwrap
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch

PLACES = (
    "torch", "torch.Tensor", "torch.amp", "torch.ao.quantization", "torch.autograd", "torch.backends",
    "torch.cuda", "torch.distributed", "torch.fft", "torch.func", "torch.linalg", "torch.nn",
    "torch.nn.functional", "torch.nn.init", "torch.nn.parallel", "torch.nn.utils", "torch.nn.utils.prune",
    "torch.onnx", "torch.optim", "torch.optim.lr_scheduler", "torch.profiler", "torch.random",
    "torch.special", "torch.utils", "torch.utils.checkpoint", "torch.utils.data", "torch.utils.dlpack",
)
TARGET = Path(__file__).resolve().parents[1] / "modules" / "pytorch_names.txt"


def thing(place: str) -> object:
    return torch.Tensor if place == "torch.Tensor" else import_module(place)


def is_theirs(name: str, value: object) -> bool:
    """Whether a name is PyTorch's own and meant to be used: not `_private`, and not the `os` it imported."""
    home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or "torch"
    return not name.startswith("_") and home.partition(".")[0] == "torch" and not home.startswith("torch._C")


def names(place: str) -> list[str]:
    owner = thing(place)
    listed = set(getattr(owner, "__all__", ()))
    return sorted(name for name in dir(owner) if name in listed or is_theirs(name, getattr(owner, name)))


def text() -> str:
    version = torch.__version__.partition("+")[0]
    head = f"# The public names of PyTorch {version}, written by scripts/pytorch_names.py.\n"
    return head + "".join(f"\n[{place}]\n{textwrap.fill(' '.join(names(place)), 110)}\n" for place in PLACES)


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
    print(f"{TARGET.name}: {len(text().split())} words")
