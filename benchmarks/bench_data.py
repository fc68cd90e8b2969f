"""How fast data comes: loaders beside PyTorch's on the same arrays, and byte pairs on a megabyte of text.

    python benchmarks/bench_data.py [TEXT]      needs the `dev` extra; TEXT is a file of about a megabyte

CPU seconds, all processes together; medians of runs that take turns. The data is of the size of MNIST.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from statistics import median
from time import process_time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.utils.data

import tinytorch
import tinytorch.utils.data
from tinytorch.tokenizers import BytePairTokenizer

PICTURES = np.random.default_rng(0).random((60_000, 1, 28, 28), np.float32)
LABELS = np.random.default_rng(1).integers(0, 10, 60_000)


def epoch(library, samples: bool, workers: int) -> float:
    """Seconds of processors for an epoch of shuffled batches; `samples` come one by one, or as rows."""
    data = library.utils.data
    tensors = [library.from_numpy(PICTURES), library.from_numpy(LABELS)]
    rows = data.TensorDataset(*tensors)
    one_by_one = type("OneByOne", (data.Dataset,), {
        "__len__": lambda self: len(rows), "__getitem__": lambda self, i: (tensors[0][i], tensors[1][i])})()
    loader = data.DataLoader(one_by_one if samples else rows, 64, shuffle=True, num_workers=workers)
    before = sum(os.times()[:4])
    assert sum(len(y) for _, y in loader) == len(LABELS)
    return sum(os.times()[:4]) - before


def main(text: str | None, rounds: int = 3) -> None:
    torch.set_num_threads(1)
    print("| an epoch of 60,000 pictures in batches of 64 | PyTorch | TinyTorch | ratio |\n|---|---|---|---|")
    for samples, workers in ((False, 0), (False, 2), (True, 0), (True, 2)):
        found = [[epoch(library, samples, workers) for library in (torch, tinytorch)] for _ in range(rounds)]
        theirs, ours = map(median, zip(*found))
        told = f"{'sample by sample' if samples else 'rows of tensors'}, {workers} workers"
        print(f"| {told} | {theirs:.2f} s | {ours:.2f} s | {ours / theirs:.2f} |", flush=True)
    if text:
        content, began = Path(text).read_bytes(), process_time()
        tokenizer = BytePairTokenizer.train(content, 1256)
        learned, began = process_time() - began, process_time()
        tokens = len(tokenizer.encode(content))
        print(f"\n{len(content):,} bytes: 1,000 pairs learned in {learned:.1f} s, encoded in "
              f"{process_time() - began:.1f} s to {tokens:,} tokens")


if __name__ == "__main__": main(*sys.argv[1:2] or [None])
