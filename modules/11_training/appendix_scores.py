# %% [markdown]
# # Appendix: more scores
#
# Accuracy hides things. A network that never says "7" is right nine times out of ten. These scores look
# closer, and each is fed a batch at a time, like `Mean` and `Accuracy`. Names are those of torchmetrics.

# %%
#| export
"""What a network is good at: top-k accuracy, confusion, precision, recall, F1, perplexity."""

# %%
#| export
from __future__ import annotations

import math

import numpy as np

from tinytorch.losses import cross_entropy
from tinytorch.tensor import Tensor
from tinytorch.training import Mean

# %% [markdown]
# With 10,000 classes nobody expects the first guess to be right. **Top-k**: it is right if the label is among
# the k best.

# %%
#| export
class TopK(Mean):
    """The share of examples whose label is among the k classes with the largest scores."""

    def __init__(self, k: int = 5):
        super().__init__()
        self.k = k

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Takes in a batch.  (n, classes), (n)"""
        best = scores.topk(self.k, 1).indices
        super().update((best == labels.reshape(-1, 1)).any(1).sum().item() / max(len(labels), 1), len(labels))

# %% [markdown]
# **Perplexity** is the score of language models: a model that hesitates between 20 letters, each as likely as
# the others, has a perplexity of 20. It is e to the average loss of a token, and the average must come first.

# %%
#| export
class Perplexity(Mean):
    """Between how many equally likely tokens a model hesitates."""

    def __init__(self, ignore_index: int = -100):
        super().__init__()
        self.ignore_index = ignore_index

    def update(self, scores: Tensor, tokens: Tensor) -> None:
        """Takes in a batch.  (*, vocabulary), (*)"""
        n = int((tokens != self.ignore_index).sum().item())
        if not n: return
        rows = scores.reshape(-1, scores.shape[-1])
        super().update(cross_entropy(rows, tokens.reshape(-1), ignore_index=self.ignore_index), n)

    def compute(self) -> float:
        mean = super().compute()
        return math.exp(mean) if mean < 700 else math.inf

# %% [markdown]
# ## Who is taken for whom
#
# The **confusion matrix** counts, for each class that an example has, the class that it was given.

# %%
#| export
class ConfusionMatrix:
    """How often a class was taken for another: row is the label, column the answer."""

    def __init__(self, num_classes: int):
        self.num_classes = num_classes
        self.reset()

    def reset(self) -> None: self.counts = np.zeros((self.num_classes, self.num_classes), np.int64)

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Takes in a batch, of scores or of answers.  (n, classes) or (n), (n)"""
        answers = scores.argmax(1) if scores.ndim == 2 else scores
        pairs = labels.cpu().array.reshape(-1) * self.num_classes + answers.cpu().array.reshape(-1)
        self.counts += np.bincount(pairs, minlength=self.num_classes**2).reshape(self.counts.shape)

    def compute(self) -> Tensor: return Tensor(self.counts.copy())

    def __repr__(self):
        width = max(len(str(self.counts.max(initial=0))), len(str(self.num_classes - 1))) + 1
        head = " " * 6 + "".join([f"{n:{width}}" for n in range(self.num_classes)])
        return "\n".join([head, *[f"{n:5} " + "".join([f"{count:{width}}" for count in row])
                                  for n, row in enumerate(self.counts.tolist())]])

# %% [markdown]
# From it come two questions about each class. Of the examples that were *called* a 7, how many are one
# (**precision**)? Of those that *are* a 7, how many were found (**recall**)? **F1** is low if either is.
#
# `average="macro"` is the plain mean over classes, `"weighted"` counts each class by its examples, `"micro"`
# counts all examples alike, and None gives all of them. What would be 0/0 counts as 0.

# %%
#| export
class ClassScore(ConfusionMatrix):
    """A score of each class, and the average over classes."""

    def __init__(self, num_classes: int, average: str | None = "macro"):
        super().__init__(num_classes)
        if average not in ("macro", "weighted", "micro", None):
            raise ValueError(f"average is 'macro', 'weighted', 'micro' or None, not {average!r}")
        self.average = average

    def score(self, found, called, there):
        """The score, from how many were found, called so, and there."""
        raise NotImplementedError(f"{type(self).__name__} has no score yet")

    def compute(self):
        found, called, there = np.diag(self.counts), self.counts.sum(0), self.counts.sum(1)
        if self.average == "micro": return float(self.score(found.sum(), called.sum(), there.sum()))
        each = self.score(found, called, there)
        if self.average is None: return Tensor(each)
        if self.average == "weighted": return float(share(each @ there, there.sum()))
        counted = (called + there) > 0                      # a class that nobody saw or said has no part
        return float(share(each[counted].sum(), counted.sum()))


def share(part, whole):
    """part / whole, and 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)


class Precision(ClassScore):
    """Of the examples that were called so, how many are."""

    def score(self, found, called, there): return share(found, called)


class Recall(ClassScore):
    """Of the examples that are, how many were found."""

    def score(self, found, called, there): return share(found, there)


class F1Score(ClassScore):
    """Twice the product of precision and recall over their sum: low if either is."""

    def score(self, found, called, there): return share(2 * found, called + there)

# %%
from tinytorch import tensor

matrix, recall = ConfusionMatrix(3), Recall(3, average=None)
for score in (matrix, recall): score.update(tensor([0, 1, 1, 2, 0]), tensor([0, 1, 2, 2, 1]))
print(matrix)
recall.compute()
