# Generated from modules/05_dense/appendix_rare_words.py by `tito export`. Edit that file, not this one.
"""A softmax whose rare classes cost little; Grave et al. 2017."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from .activations import log_softmax
from .containers import ModuleList
from .dense import Linear
from .errors import ShapeError, shape_of
from .layers import Module, Sequential
from .shaping import cat
from .tensor import Tensor

__all__ = ["Judged", "AdaptiveLogSoftmaxWithLoss"]


class Judged(NamedTuple):
    """The logarithm of each target's probability, and the loss: its mean, with a minus."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """A softmax over classes that are sorted by frequency, cut into groups at `cutoffs`.

    (N, in_features), (N,) -> the log-probabilities of the targets (N,), and the loss
    """

    def __init__(
        self, in_features: int, n_classes: int, cutoffs, div_value: float = 4.0, head_bias: bool = False,
        device=None, dtype=None,
    ):
        super().__init__()
        cuts = list(cutoffs)
        if not cuts or cuts != sorted({int(c) for c in cuts}) or not 0 < cuts[0] <= cuts[-1] < n_classes:
            raise ValueError(f"cutoffs are different whole numbers from 1 to {n_classes - 1}, in order, "
                             f"not {cutoffs}")
        self.in_features, self.n_classes = in_features, n_classes
        self.div_value, self.head_bias = div_value, head_bias
        self.cutoffs = [*cuts, n_classes]
        self.shortlist_size, self.n_clusters = cuts[0], len(cuts)
        self.head_size = self.shortlist_size + self.n_clusters
        new = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **new)
        self.tail = ModuleList()
        for i, (start, stop) in enumerate(pairwise(self.cutoffs)):
            narrow = int(in_features // div_value ** (i + 1))
            self.tail.append(Sequential(Linear(in_features, narrow, bias=False, **new),
                                        Linear(narrow, stop - start, bias=False, **new)))

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        for layer in (self.head, *[layer for group in self.tail for layer in group]): layer.reset_parameters()

    def forward(self, input, target):
        if target.ndim > 1 or input.ndim != target.ndim + 1 or input.shape[:-1] != target.shape:
            raise ShapeError(f"there is one class for each input (N, {self.in_features}): "
                             f"{shape_of(target)} do not go with {shape_of(input)}")
        if target.ndim == 0:
            output, loss = self(input.unsqueeze(0), target.unsqueeze(0))
            return Judged(output.squeeze(0), loss)
        if target.numel() and not 0 <= target.min().item() <= target.max().item() < self.n_classes:
            raise RuntimeError(f"targets are classes from 0 to {self.n_classes - 1}, not from "
                               f"{target.min().item()} to {target.max().item()}")
        output = log_softmax(self.head(input), 1).gather(1, self.first_choice(target).unsqueeze(1)).squeeze(1)
        for i, (start, stop) in enumerate(pairwise(self.cutoffs)):
            rows = ((target >= start) & (target < stop)).nonzero().squeeze(1)
            if not rows.numel(): continue
            among = log_softmax(self.tail[i](input.index_select(0, rows)), 1)
            chosen = (target.index_select(0, rows) - start).unsqueeze(1)
            output = output.index_add(0, rows, among.gather(1, chosen).squeeze(1))
        return Judged(output, -output.mean())

    def first_choice(self, target) -> Tensor:
        """What the head has to say for each target: itself if it is frequent, or the number of its group."""
        choice = target
        for i, start in enumerate(self.cutoffs[:-1]):
            choice = choice.masked_fill(target >= start, self.shortlist_size + i)
        return choice

    def log_prob(self, input) -> Tensor:
        """The logarithms of the probabilities of all classes.  (N, in_features) -> (N, n_classes)"""
        head, n = log_softmax(self.head(input), 1), self.shortlist_size
        groups = [log_softmax(layers(input), 1) + head[:, n + i : n + i + 1]
                  for i, layers in enumerate(self.tail)]
        return cat([head[:, :n], *groups], 1)

    def predict(self, input) -> Tensor:
        """The likeliest class of each input.  (N, in_features) -> (N,)"""
        return self.log_prob(input).argmax(1)
