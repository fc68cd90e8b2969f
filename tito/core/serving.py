"""What is served for a demonstration: two models of the milestones, as a repository describes them."""

from __future__ import annotations

import json
from typing import Any

DIGITS: dict[str, Any] = {
    "model": "LeNet5",
    "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 28, 28]}],
    "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 10]}],
    "labels": [str(digit) for digit in range(10)],
}


def demo(lenet5: bytes, gpt: bytes, sonnets: str) -> dict[str, bytes]:
    """The files of a repository, from the weights of two networks and what the second has read."""
    letters = "".join(sorted(set(sonnets)))
    writer = {"model": "GPT", "arguments": [len(letters), 64, 2, 4, 64], "letters": letters}
    return {
        "digits/1/config.json": json.dumps(DIGITS, indent=1).encode(), "digits/1/model.safetensors": lenet5,
        "sonnets/1/config.json": json.dumps(writer, indent=1).encode(), "sonnets/1/model.safetensors": gpt,
    }
