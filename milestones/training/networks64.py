"""The networks of the Training milestone, computed once more: plain NumPy, in twice the precision.

What a learner's network has learned is in its state_dict. These functions run it without the learner's
package, so that accuracy and loss are measured by somebody else.
"""

from __future__ import annotations

import numpy as np


def linear(state: dict, name: str, x):
    """x @ weight.T + bias."""
    out = x @ state[f"{name}.weight"].astype(float).T
    return out + state[f"{name}.bias"] if f"{name}.bias" in state else out


def mlp(state: dict, images):
    """Linear layers in their order, a relu between them.  (N, …) -> (N, 10)"""
    names = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    x = images.reshape(len(images), -1).astype(float)
    for name in names[:-1]: x = np.maximum(linear(state, name, x), 0)
    return linear(state, names[-1], x)


def conv(state: dict, name: str, x, padding: int = 0):
    """A filter laid on each window.  (N, C, H, W) -> (N, O, H', W')"""
    w = state[f"{name}.weight"].astype(float)
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    out = np.tensordot(windows, w, ((1, 4, 5), (1, 2, 3)))           # (N, H', W', O)
    return (out + state[f"{name}.bias"]).transpose(0, 3, 1, 2)


def pool(x):
    """The largest of each window of 2 x 2."""
    N, C, H, W = x.shape
    return x.reshape(N, C, H // 2, 2, W // 2, 2).max((3, 5))


def lenet5(state: dict, images):
    """LeNet-5.  (N, 1, 28, 28) -> (N, 10)"""
    x = pool(np.maximum(conv(state, "conv1", images.astype(float), 2), 0))
    x = pool(np.maximum(conv(state, "conv2", x), 0)).reshape(len(images), -1)
    for name in ("fc1", "fc2"): x = np.maximum(linear(state, name, x), 0)
    return linear(state, "fc3", x)


def norm(state: dict, name: str, x):
    """Layer norm over the last axis."""
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    return x * state[f"{name}.weight"] + state[f"{name}.bias"]


def attention(state: dict, name: str, x, heads: int):
    """Causal self-attention.  (B, T, C) -> (B, T, C)"""
    B, T, C = x.shape
    parts = linear(state, f"{name}.c_attn", x).reshape(B, T, 3, heads, C // heads)
    q, k, v = parts.transpose(2, 0, 3, 1, 4)                          # (B, heads, T, C / heads) each
    scores = np.where(np.tri(T, dtype=bool), q @ k.swapaxes(2, 3) / np.sqrt(C / heads), -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = shares / shares.sum(-1, keepdims=True) @ v
    return linear(state, f"{name}.c_proj", mixed.swapaxes(1, 2).reshape(B, T, C))


def gpt(state: dict, ids, heads: int):
    """GPT-2 with its words tied to its scores.  (B, T) -> (B, T, V)"""
    words, places = (state[f"transformer.{name}.weight"].astype(float) for name in ("wte", "wpe"))
    x = words[ids] + places[: ids.shape[1]]
    for n in range(len({key.split(".")[2] for key in state if key.startswith("transformer.h.")})):
        block = f"transformer.h.{n}"
        x = x + attention(state, f"{block}.attn", norm(state, f"{block}.ln_1", x), heads)
        h = linear(state, f"{block}.mlp.c_fc", norm(state, f"{block}.ln_2", x))
        h = h / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
        x = x + linear(state, f"{block}.mlp.c_proj", h)
    return norm(state, "transformer.ln_f", x) @ words.T


def surprise(scores, answers) -> float:
    """The mean cross-entropy, in nats."""
    top = scores.max(-1, keepdims=True)
    logs = scores - top - np.log(np.exp(scores - top).sum(-1, keepdims=True))
    return float(-np.take_along_axis(logs, answers[..., None], -1).mean())
