"""What serving costs: a word with a cache beside PyTorch's, and requests alone and together.

    python benchmarks/bench_serving.py      needs the `dev` extra

CPU seconds on one thread; the best of rounds that take turns. Before anything is timed, the texts must agree.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import process_time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F

from tinytorch import Tensor, manual_seed, no_grad
from tinytorch.models import GPT, MLP, LeNet5
from tinytorch.serve import Batcher, generate

VOCABULARY, PLACES, LAYERS, HEADS, WIDTH, WORDS = 65, 256, 4, 4, 128, 100
ROUNDS = 7


class Theirs:
    """The same GPT with PyTorch's functions, and a cache with room for all places."""

    def __init__(self, model: GPT):
        self.weights = {name: torch.from_numpy(np.array(x.array)) for name, x in model.state_dict().items()}

    def of(self, name: str): return self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
    def linear(self, x, name: str): return F.linear(x, *self.of(name))
    def norm(self, x, name: str): return F.layer_norm(x, (WIDTH,), *self.of(name))

    @torch.inference_mode()
    def generate(self, texts: list[list[int]], words: int) -> list[list[int]]:
        ids, size = torch.tensor(texts), (len(texts), HEADS, PLACES, WIDTH // HEADS)
        self.cache, self.seen = [(torch.empty(size), torch.empty(size)) for _ in range(LAYERS)], 0
        new = ids
        for _ in range(words):
            new = self.read(new).argmax(-1, keepdim=True)
            ids = torch.cat([ids, new], 1)
        return ids.tolist()

    def read(self, ids):
        """The scores after the last word.  (B, T) -> (B, vocabulary)"""
        old, self.seen = self.seen, self.seen + ids.shape[1]
        x = F.embedding(ids, self.weights["transformer.wte.weight"])
        x = x + self.weights["transformer.wpe.weight"][old : self.seen]
        for layer in range(LAYERS):
            block = f"transformer.h.{layer}"
            x = x + self.look(self.norm(x, f"{block}.ln_1"), f"{block}.attn", *self.cache[layer], old)
            wide = F.gelu(self.linear(self.norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc"), approximate="tanh")
            x = x + self.linear(wide, f"{block}.mlp.c_proj")
        return F.linear(self.norm(x[:, -1], "transformer.ln_f"), self.weights["lm_head.weight"])

    def look(self, x, name: str, keys, values, old: int):
        B, T, _ = x.shape
        q, k, v = [part.view(B, T, HEADS, -1).transpose(1, 2)
                   for part in self.linear(x, f"{name}.c_attn").split(WIDTH, -1)]
        keys[:, :, old : self.seen], values[:, :, old : self.seen] = k, v
        seen = F.scaled_dot_product_attention(
            q, keys[:, :, : self.seen], values[:, :, : self.seen], is_causal=T > 1)
        return self.linear(seen.transpose(1, 2).reshape(B, T, WIDTH), f"{name}.c_proj")


def best(*runs) -> list[float]:
    """The least CPU time of each, in turns."""
    found = [[] for _ in runs]
    for _ in range(ROUNDS):
        for times, run in zip(found, runs):
            began = process_time()
            run()
            times.append(process_time() - began)
    return [min(times) for times in found]


def words() -> None:
    manual_seed(0)
    model = GPT(VOCABULARY, PLACES, LAYERS, HEADS, WIDTH).eval()
    for p in model.parameters(): p.data.normal_(0.0, 0.1)
    theirs = Theirs(model)
    print("| a word of a GPT with a cache, 4 layers of 128 | TinyTorch | PyTorch | ratio |")
    print("|---|---:|---:|---:|")
    for texts in (1, 8):
        begun = np.random.default_rng(texts).integers(0, VOCABULARY, (texts, 8)).tolist()

        def ours(begun=begun): return generate(model, begun, max_new_tokens=WORDS, temperature=0.0)
        def other(begun=begun): return theirs.generate(begun, WORDS)
        assert ours() == other(), "the texts differ"
        a, b = [1000 * seconds / WORDS for seconds in best(ours, other)]
        print(f"| {texts} at once | {a:.2f} ms | {b:.2f} ms | {a / b:.2f} |", flush=True)


def batches(requests: int = 200) -> None:
    print("\n| a request without HTTP | alone | together, futures included | gain |\n|---|---:|---:|---:|")
    wide, small = MLP(784, 1024, 1024, 10), MLP(784, 256, 10)
    for name, model, shape in (("LeNet-5", LeNet5(), (1, 28, 28)), ("MLP 784-1024-1024-10", wide, (784,)),
                               ("MLP 784-256-10", small, (784,))):
        crowd = np.random.default_rng(0).random((requests, 1, *shape), np.float32)

        @no_grad()
        def answers(x, model=model): return model(Tensor(x)).array,

        def alone(answers=answers, crowd=crowd):
            for x in crowd: answers(x)

        def together(answers=answers, crowd=crowd):
            batcher = Batcher(answers, max_delay=0.0)
            futures = [batcher.submit(x) for x in crowd]
            batcher.close()
            for future in futures: future.result()
        one, many = [1e6 * seconds / requests for seconds in best(alone, together)]
        print(f"| {name} | {one:.0f} µs | {many:.0f} µs | {one / many:.1f} |", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    words()
    batches()


if __name__ == "__main__": main()
