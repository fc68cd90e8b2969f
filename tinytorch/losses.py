# Generated from modules/05_dense/appendix_losses.py by `tito export`. Edit that file, not this one.
"""The loss functions, under PyTorch's names, and a module for each of them."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from .activations import log_softmax, relu
from .bends import logsigmoid
from .dense import Linear, binary_surprise, linear, mse_loss, surprise
from .devices import at_home, brought_home
from .errors import ShapeError, shape_of
from .fitting import labels_of, reduced, same_shape, weighed
from .indexing import gather
from .layers import Module
from .likeness import pairwise_distance
from .tensor import Kept, Op, Tensor, floating

__all__ = [
    "l1_loss", "smooth_l1_loss", "huber_loss", "over_labels", "worth", "class_weight", "nll_loss",
    "cross_entropy", "class_dim", "of_all_classes", "mixed", "over_classes", "certainty", "equal_shape",
    "binary_cross_entropy", "uneven_surprise", "binary_cross_entropy_with_logits", "soft_margin_loss",
    "multilabel_soft_margin_loss", "kl_div", "poisson_nll_loss", "gaussian_nll_loss", "spread_like",
    "margin_ranking_loss", "hinge_embedding_loss", "multi_margin_loss", "multilabel_margin_loss",
    "cosine_embedding_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss", "spread_out",
    "added", "one_on", "alignment", "ctc_loss", "whole_lengths", "padded", "linear_cross_entropy", "Loss",
    "WeightedLoss", "L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "NLLLoss", "CrossEntropyLoss",
    "BCELoss", "BCEWithLogitsLoss", "SoftMarginLoss", "MultiLabelSoftMarginLoss", "KLDivLoss",
    "PoissonNLLLoss", "GaussianNLLLoss", "MarginRankingLoss", "HingeEmbeddingLoss", "MultiMarginLoss",
    "MultiLabelMarginLoss", "CosineEmbeddingLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
    "CTCLoss", "LinearCrossEntropyLoss",
]


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """The distance of answers from targets.  (*), (*) -> () or (*)"""
    same_shape(input, target)
    return weighed((input - target).abs(), weight, reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """The distance, rounded off by a parabola where it is below `beta`.  (*), (*) -> () or (*)"""
    if beta < 0: raise RuntimeError(f"smooth_l1_loss rounds off below a beta of 0 or more, not {beta}")
    if beta == 0: return l1_loss(input, target, reduction)
    same_shape(input, target)
    distance = (input - target).abs()
    near = distance.clamp(max=beta)
    return reduced(near * (distance - near / 2) / beta, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None,
) -> Tensor:
    """Half the square of the distance, a straight line from `delta` on.  (*), (*) -> () or (*)"""
    if delta <= 0: raise RuntimeError(f"huber_loss goes straight on from a delta above 0, not {delta}")
    same_shape(input, target)
    distance = (input - target).abs()
    near = distance.clamp(max=delta)
    losses = near * (distance - near / 2)
    if weight is not None: losses = weighed(losses, weight, "none")
    return reduced(losses, reduction)


def over_labels(
    losses: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str,
) -> Tensor:
    """As `weighed`, with a weight for each class."""
    if weight is None and reduction != "mean": return reduced(losses, reduction)
    counts = worth(target, weight, ignore_index)
    if weight is None: return losses.sum() / counts.sum()       # the ignored ones are 0 already
    return weighed(losses, counts, reduction)


def worth(target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """How much each label counts: as much as its class, and nothing where it is ignored."""
    counts = target != ignore_index
    return counts if weight is None else counts * weight[target * counts]


def class_weight(weight: Tensor | None, input: Tensor) -> None:
    """Says what is wrong with weights that are not one for each class."""
    classes = input.shape[1 if input.ndim > 1 else 0]
    if weight is not None and weight.shape != (classes,):
        raise ShapeError(f"{classes} classes take {classes} weights, not weights of shape {shape_of(weight)}")


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Minus the logarithm of the right class's probability, from logarithms.

    (N, C, *), (N, *) -> () or (N, *)
    """
    dim, _, _ = labels_of(input.array, target.array, ignore_index)
    class_weight(weight, input)
    ignored = target == ignore_index
    picked = gather(input, dim, target.masked_fill(ignored, 0).unsqueeze(dim)).squeeze(dim)
    return over_labels((-picked).masked_fill(ignored, 0), target, weight, ignore_index, reduction)


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """How surprised scores are by labels, or by probabilities.

    (N, C, *), (N, *) or (N, C, *) -> () or (N, *)
    """
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing is a share from 0 to 1, not {label_smoothing}")
    class_weight(weight, input)
    if input.shape == target.shape:
        return over_classes(input, target, weight, ignore_index, reduction, label_smoothing)
    losses = surprise(input, target, ignore_index)
    if not label_smoothing: return over_labels(losses, target, weight, ignore_index, reduction)
    if weight is not None: losses = losses * weight[target.masked_fill(target == ignore_index, 0)]
    everywhere = of_all_classes(log_softmax(input, class_dim(input)), weight)
    losses = mixed(losses, everywhere.masked_fill(target == ignore_index, 0), label_smoothing, input)
    if reduction != "mean": return reduced(losses, reduction)
    return losses.sum() / worth(target, weight, ignore_index).sum()


def class_dim(input: Tensor) -> int: return 1 if input.ndim > 1 else 0


def of_all_classes(logarithms: Tensor, weight: Tensor | None) -> Tensor:
    """Minus the logarithms, weighed, and added up over the classes.  (N, C, *) -> (N, *)"""
    dim = class_dim(logarithms)
    if weight is not None:
        logarithms = logarithms * weight.reshape((-1,) + (1,) * (logarithms.ndim - 1 - dim))
    return -logarithms.sum(dim)


def mixed(losses: Tensor, everywhere: Tensor, smoothing: float, input: Tensor) -> Tensor:
    """The loss for a target that gives away some of its probability to all classes alike."""
    return losses * (1 - smoothing) + everywhere * (smoothing / input.shape[class_dim(input)])


def over_classes(input, target, weight, ignore_index, reduction, label_smoothing) -> Tensor:
    """The cross-entropy of scores and probabilities.  (N, C, *), (N, C, *) -> () or (N, *)"""
    if not target.is_floating_point(): raise RuntimeError(f"probabilities are floats, not {target.dtype}")
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is for labels, and these targets are probabilities")
    dim = class_dim(input)
    if label_smoothing: target = target * (1 - label_smoothing) + label_smoothing / input.shape[dim]
    losses = of_all_classes(log_softmax(input, dim) * target, weight)
    return reduced(losses, reduction)


@floating
def certainty(input, target, /):
    """The surprise at a yes (1) or a no (0), from a probability; at most 100.  (*), (*) -> (*)"""
    yes, no = np.maximum(np.log(input), -100), np.maximum(np.log1p(-input), -100)
    return (target - 1) * no - target * yes


def equal_shape(name: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        raise ShapeError(f"{name} takes a target for each answer: {shape_of(input)} meets {shape_of(target)}")


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean",
) -> Tensor:
    """How surprised probabilities of a yes are by a yes (1) or a no (0).  (*), (*) -> () or (*)"""
    equal_shape("binary_cross_entropy", input, target)
    if at_home(input.array) and input.array.size and not 0 <= input.array.min() <= input.array.max() <= 1:
        raise RuntimeError("binary_cross_entropy takes probabilities, from 0 to 1, and some of these are not")
    losses = certainty(input, target)
    return reduced(losses if weight is None else losses * weight, reduction)


@floating
def uneven_surprise(input, target, pos_weight, /):
    """As `binary_surprise`, where a yes counts `pos_weight` times.  (*), (*), (*) -> (*)"""
    soft = np.log1p(np.exp(-np.abs(input))) + np.maximum(-input, 0)         # -log sigmoid(x)
    return (1 - target) * input + (1 + (pos_weight - 1) * target) * soft


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """How surprised scores are by a yes (1) or a no (0).  (*), (*) -> () or (*)"""
    equal_shape("binary_cross_entropy_with_logits", input, target)
    losses = binary_surprise(input, target) if pos_weight is None else \
        uneven_surprise(input, target, pos_weight)
    return reduced(losses if weight is None else losses * weight, reduction)


def soft_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The surprise at a target of 1 or -1, from a score.  (*), (*) -> () or (*)"""
    return reduced(-logsigmoid(input * target), reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean",
) -> Tensor:
    """The mean surprise of each line at the yes and no of its labels.  (*, C), (*, C) -> () or (*)"""
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None: losses = losses * weight
    return reduced(losses.sum(-1) / input.shape[-1], reduction)


def kl_div(input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """How far a distribution, given in logarithms, is from the target's.  (*), (*) -> () or (*)"""
    losses = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    if reduction != "batchmean": return reduced(losses, reduction)
    return losses.sum() / input.shape[0] if input.ndim else losses.sum()


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, eps: float = 1e-08,
    reduction: str = "mean",
) -> Tensor:
    """The surprise at counts, from their expected number or its logarithm.  (*), (*) -> () or (*)"""
    losses = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:                            # Stirling's formula for the logarithm of a factorial
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        losses = losses + stirling.masked_fill(target <= 1, 0)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-06,
    reduction: str = "mean",
) -> Tensor:
    """The surprise at quantities, from their mean and variance.  (*), (*), (*) -> () or (*)"""
    if isinstance(var, (int, float)): var = input.new_ones(input.shape) * var
    if at_home(var.array) and var.array.size and var.array.min() < 0:
        raise ValueError("a variance is not below 0, and one of these is")
    var, distance = spread_like(var, input).clamp(min=eps), input - target
    losses = 0.5 * (var.log() + distance * distance / var)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def spread_like(var: Tensor, input: Tensor) -> Tensor:
    """One variance for each number, or for each line of them."""
    if var.shape == input.shape: return var
    if var.shape == input.shape[:-1]: return var.unsqueeze(-1)
    differing = [b for a, b in zip(input.shape, var.shape) if a != b]
    if var.ndim != input.ndim or sum(differing) != 1:
        raise ShapeError(f"means of shape {shape_of(input)} take as many variances, or one for each line, "
                         f"not {shape_of(var)}")
    return var


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: str = "mean",
) -> Tensor:
    """Whether the first is ranked above the second (target 1) or below (-1), by a margin.

    (N), (N), (N) -> () or (N)
    """
    if not input1.ndim == input2.ndim == target.ndim:
        raise ShapeError(f"margin_ranking_loss takes three tensors with as many dimensions each, not "
                         f"{shape_of(input1)}, {shape_of(input2)} and {shape_of(target)}")
    return reduced(relu(margin - target * (input1 - input2)), reduction)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean",
) -> Tensor:
    """A distance itself where things are alike (1), and what it lacks of the margin where not (-1).

    (*), (*) -> () or (*)
    """
    apart = relu(margin - input).masked_fill(target == 1, 0)
    return reduced(apart + input.masked_fill(target == -1, 0), reduction)


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """How far each wrong class comes within a margin of the right one.  (N, C), (N) -> () or (N)"""
    if p not in (1, 2): raise ValueError(f"multi_margin_loss takes p=1 or p=2, not {p}")
    labels_of(input.array, target.array, -100)
    class_weight(weight, input)
    places = target.unsqueeze(-1)
    short = relu(margin - gather(input, -1, places) + input)
    if p == 2: short = short * short
    if weight is not None: short = short * weight[target].unsqueeze(-1)
    return reduced(short.scatter(-1, places, 0.0).sum(-1) / input.shape[-1], reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """How far each wrong class comes within 1 of each right one.  (*, C), (*, C) -> () or (*)

    The target lists the right classes, and -1 ends the list.
    """
    equal_shape("multilabel_margin_loss", input, target)
    listed = (target >= 0).long().cumprod(-1)
    places = target * listed
    right = input.new_zeros(input.shape).scatter_add(-1, places, listed.to(input.dtype)) > 0
    picked = gather(input, -1, places).unsqueeze(-1)                    # (*, C, 1), one for each listed class
    short = relu(1 - picked + input.unsqueeze(-2)).masked_fill(right.unsqueeze(-2), 0)
    losses = (short * listed.unsqueeze(-1)).sum((-2, -1)) / max(input.shape[-1] if input.ndim else 1, 1)
    return reduced(losses, reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: str = "mean",
) -> Tensor:
    """Whether directions agree where things are alike (1), and do not where not (-1).

    (N, D), (N, D), (N) -> () or (N)
    """
    many = max(len(input1), len(input2)) if target.ndim else 1
    if not input1.ndim == input2.ndim == target.ndim + 1 <= 2 or target.numel() not in (1, many):
        raise ShapeError(f"cosine_embedding_loss takes (N, D), (N, D) and (N), or (D), (D) and a number, not "
                         f"{shape_of(input1)}, {shape_of(input2)} and {shape_of(target)}")
    squares = ((input1 * input1).sum(-1) + 1e-12) * ((input2 * input2).sum(-1) + 1e-12)
    cosine = (input1 * input2).sum(-1) / squares.sqrt()
    alike = (1 - cosine).masked_fill(target != 1, 0)
    return reduced(alike + relu(cosine - margin).masked_fill(target != -1, 0), reduction)


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-06,
    swap: bool = False, reduction: str = "mean",
) -> Tensor:
    """Whether the anchor is closer to the positive than to the negative, by a margin.

    (*, D) three times -> () or (*)
    """
    def distance(x, y): return pairwise_distance(x, y, p, eps)
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap, reduction=reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function=None, margin: float = 1.0,
    swap: bool = False, reduction: str = "mean",
) -> Tensor:
    """The same, by a distance of your own; `swap` measures the negative from the nearer of both."""
    if margin <= 0: raise ValueError(f"a triplet wants a margin above 0, not {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ShapeError(f"a triplet has as many dimensions three times, not {shape_of(anchor)}, "
                         f"{shape_of(positive)} and {shape_of(negative)}")
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap: far = far.minimum(distance(positive, negative))
    return reduced(relu(margin + near - far), reduction)


def spread_out(labels, blank: int):
    """Labels with a blank before, between and behind.  (N, S) -> (N, 2S + 1)"""
    path = np.full_like(labels, blank, shape=(len(labels), 2 * labels.shape[1] + 1))
    path[:, 1::2] = labels
    return path


def added(*logarithms):
    """The logarithm of a sum of numbers, given by their logarithms."""
    top = reduce(np.maximum, logarithms)
    safe = np.where(np.isfinite(top), top, 0)
    return safe + np.log(sum([np.exp(x - safe) for x in logarithms]))


def one_on(x):
    """The row, one place to the right, with nothing (the logarithm of 0) in front.  (N, L) -> (N, L)"""
    out = np.full_like(x, -np.inf)
    out[:, 1:] = x[:, :-1]
    return out


@Op
def alignment(log_probs, targets, input_lengths, target_lengths, /, blank=0):
    """Minus the logarithm of the probability of all ways from slices to labels.

    (T, N, C), (N, S), (N), (N) -> (N)
    """
    path, rows = spread_out(targets, blank), np.arange(log_probs.shape[1], like=targets)
    may_skip = np.zeros_like(path, dtype=bool)
    may_skip[:, 2:] = (path[:, 2:] != blank) & (path[:, 2:] != path[:, :-2])
    reached = np.full_like(log_probs, -np.inf, shape=(len(log_probs), *path.shape))
    before = np.full_like(reached[0], -np.inf)
    before[:, 0] = 0                                                        # before the first slice
    for t, slice in enumerate(log_probs):
        skipped = np.where(may_skip, one_on(one_on(before)), -np.inf)
        before = reached[t] = added(before, one_on(before), skipped) + np.take_along_axis(slice, path, 1)
    last = reached[np.maximum(input_lengths - 1, 0), rows]
    blank_end = last[rows, 2 * target_lengths]
    label_end = np.where(target_lengths > 0, last[rows, np.maximum(2 * target_lengths - 1, 0)], -np.inf)
    return Kept(-added(blank_end, label_end), reached)


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths, target_lengths, blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """The surprise at labels without their places.

    (T, N, C), (N, S) or all in a row, (N), (N) -> () or (N)
    """
    if log_probs.numel() == 0: raise RuntimeError("log_probs tensor must not be empty")
    single = log_probs.ndim == 2
    if single: log_probs = log_probs.unsqueeze(1)
    steps, rows = log_probs.shape[:2]
    inputs = whole_lengths("input", input_lengths, rows, steps)
    lengths = whole_lengths("target", target_lengths, rows)
    if not 0 <= blank < log_probs.shape[2]:
        raise RuntimeError(f"blank is one of {log_probs.shape[2]} classes, not {blank}")
    inputs, lengths, targets = [x.to(log_probs.device) for x in (inputs, lengths, targets)]
    labels = padded(targets, lengths, rows)
    losses = alignment(log_probs, labels, inputs, lengths, blank)
    if zero_infinity: losses = losses.masked_fill(losses == math.inf, 0)
    if single and reduction == "none": return losses.squeeze(0)
    return reduced(losses / lengths.clamp(min=1) if reduction == "mean" else losses, reduction)


def whole_lengths(what: str, lengths, rows: int, most: int | None = None) -> Tensor:
    """One length for each row, as a tensor."""
    lengths = lengths if isinstance(lengths, Tensor) else Tensor(np.array(lengths, np.int64))
    lengths = lengths.reshape(-1).long()
    if len(lengths) != rows: raise ShapeError(f"{rows} rows take {rows} {what} lengths, not {len(lengths)}")
    if most is not None and rows and at_home(lengths.array) and lengths.array.max() > most:
        raise RuntimeError(f"an {what} length of {lengths.array.max()} is more than there are slices: {most}")
    return lengths


def padded(targets: Tensor, lengths: Tensor, rows: int) -> Tensor:
    """Labels in lines, whether they came so or all in a row.  (N, S) or (sum of lengths) -> (N, S)"""
    counts, labels = lengths.array, targets.array
    steps = np.arange(max(int(brought_home(counts).max(initial=0)), 1), like=labels)
    starts = steps[-1:] * 0 + np.cumsum(counts) - counts if targets.ndim == 1 else None
    within = steps < counts[:, None]
    if starts is None: return Tensor(np.where(within, labels[:, : len(steps)], 0))
    return Tensor(np.where(within, labels[np.where(within, starts[:, None] + steps, 0)], 0))


def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
    weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`cross_entropy` of a linear layer's scores.  (N, in), (C, *, in), (N, *) -> () or (N, *)"""
    classes, *others, size = linear_weight.shape
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    scores = linear(input, linear_weight.reshape(-1, size), bias).reshape(*input.shape[:-1], classes, *others)
    ignore_index = -100 if ignore_index is None else ignore_index
    return cross_entropy(scores, target, weight, ignore_index, reduction, label_smoothing)


class Loss(Module):
    """What all losses have: a reduction."""

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction


class WeightedLoss(Loss):
    """And what some have: a weight for each class, or for each number."""

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__(reduction)
        self.register_buffer("weight", weight)


class L1Loss(Loss):
    """`l1_loss` as a module."""

    def forward(self, input, target): return l1_loss(input, target, self.reduction)


class MSELoss(Loss):
    """`mse_loss` as a module."""

    def forward(self, input, target): return mse_loss(input, target, self.reduction)


class SmoothL1Loss(Loss):
    """`smooth_l1_loss` as a module."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0):
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input, target): return smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(Loss):
    """`huber_loss` as a module."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input, target): return huber_loss(input, target, self.reduction, self.delta)


class NLLLoss(WeightedLoss):
    """`nll_loss` as a module."""

    def __init__(self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"):
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        return nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class CrossEntropyLoss(WeightedLoss):
    """`cross_entropy` as a module."""

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(weight, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input, target):
        return cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)


class BCELoss(WeightedLoss):
    """`binary_cross_entropy` as a module."""

    def forward(self, input, target): return binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(WeightedLoss):
    """`binary_cross_entropy_with_logits` as a module."""

    def __init__(
        self, weight: Tensor | None = None, reduction: str = "mean", pos_weight: Tensor | None = None,
    ):
        super().__init__(weight, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input, target):
        return binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)


class SoftMarginLoss(Loss):
    """`soft_margin_loss` as a module."""

    def forward(self, input, target): return soft_margin_loss(input, target, self.reduction)


class MultiLabelSoftMarginLoss(WeightedLoss):
    """`multilabel_soft_margin_loss` as a module."""

    def forward(self, input, target):
        return multilabel_soft_margin_loss(input, target, self.weight, self.reduction)


class KLDivLoss(Loss):
    """`kl_div` as a module."""

    def __init__(self, reduction: str = "mean", log_target: bool = False):
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input, target): return kl_div(input, target, self.reduction, self.log_target)


class PoissonNLLLoss(Loss):
    """`poisson_nll_loss` as a module."""

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-08, reduction: str = "mean",
    ):
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input, target):
        return poisson_nll_loss(log_input, target, self.log_input, self.full, self.eps, self.reduction)


class GaussianNLLLoss(Loss):
    """`gaussian_nll_loss` as a module."""

    def __init__(self, *, full: bool = False, eps: float = 1e-06, reduction: str = "mean"):
        super().__init__(reduction)
        self.full, self.eps = full, eps

    def forward(self, input, target, var):
        return gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class MarginRankingLoss(Loss):
    """`margin_ranking_loss` as a module."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class HingeEmbeddingLoss(Loss):
    """`hinge_embedding_loss` as a module."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input, target): return hinge_embedding_loss(input, target, self.margin, self.reduction)


class MultiMarginLoss(WeightedLoss):
    """`multi_margin_loss` as a module."""

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, reduction: str = "mean",
    ):
        super().__init__(weight, reduction)
        self.p, self.margin = p, margin

    def forward(self, input, target):
        return multi_margin_loss(input, target, self.p, self.margin, self.weight, self.reduction)


class MultiLabelMarginLoss(Loss):
    """`multilabel_margin_loss` as a module."""

    def forward(self, input, target): return multilabel_margin_loss(input, target, self.reduction)


class CosineEmbeddingLoss(Loss):
    """`cosine_embedding_loss` as a module."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return cosine_embedding_loss(input1, input2, target, self.margin, self.reduction)


class TripletMarginLoss(Loss):
    """`triplet_margin_loss` as a module."""

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-06, swap: bool = False,
        reduction: str = "mean",
    ):
        if margin <= 0: raise ValueError(f"a triplet wants a margin above 0, not {margin}")
        super().__init__(reduction)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor, positive, negative):
        return triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction)


class TripletMarginWithDistanceLoss(Loss):
    """`triplet_margin_with_distance_loss` as a module."""

    def __init__(
        self, *, distance_function=None, margin: float = 1.0, swap: bool = False, reduction: str = "mean",
    ):
        if margin <= 0: raise ValueError(f"a triplet wants a margin above 0, not {margin}")
        super().__init__(reduction)
        self.distance_function = distance_function or pairwise_distance
        self.margin, self.swap = margin, swap

    def forward(self, anchor, positive, negative):
        return triplet_margin_with_distance_loss(
            anchor, positive, negative, distance_function=self.distance_function, margin=self.margin,
            swap=self.swap, reduction=self.reduction)


class CTCLoss(Loss):
    """`ctc_loss` as a module."""

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False):
        super().__init__(reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        return ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity)


class LinearCrossEntropyLoss(WeightedLoss):
    """A linear layer and the `cross_entropy` of its scores.  (N, in_features), (N, *) -> () or (N, *)"""

    def __init__(
        self, in_features: int, num_classes: int, *, out_features: tuple[int, ...] = (), bias: bool = False,
        device=None, dtype=None, reduction: str = "mean", weight: Tensor | None = None,
        ignore_index: int | None = None, label_smoothing: float = 0.0,
    ):
        super().__init__(weight, reduction)
        self.num_classes, self.out_features = num_classes, tuple(out_features)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        scores = math.prod(self.out_features, start=num_classes)
        self.linear = Linear(in_features, scores, bias, device, dtype)

    def forward(self, input, target):
        shape, bias = (self.num_classes, *self.out_features), self.linear.bias
        return linear_cross_entropy(
            input, self.linear.weight.reshape(*shape, -1), target,
            linear_bias=None if bias is None else bias.reshape(shape), weight=self.weight,
            reduction=self.reduction, ignore_index=self.ignore_index, label_smoothing=self.label_smoothing)

    def extra_repr(self) -> str:
        return (f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
                f"out_features={self.out_features}, bias={self.linear.bias is not None}, "
                f"reduction={self.reduction}, ignore_index={self.ignore_index}, "
                f"label_smoothing={self.label_smoothing}")
