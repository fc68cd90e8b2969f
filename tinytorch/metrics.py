# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.metrics: what the lessons define under PyTorch's name for it."""

from .scores import TopK, Perplexity, ConfusionMatrix, Precision, Recall, F1Score

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from .training import Mean, Accuracy

__all__ = ["Mean", "Accuracy", "TopK", "Perplexity", "ConfusionMatrix", "Precision", "Recall", "F1Score"]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
