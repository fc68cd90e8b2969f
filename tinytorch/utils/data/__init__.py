# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.utils.data: what the lessons define under PyTorch's name for it."""

from ...batching import default_convert
from ...workers import get_worker_info
from ...dataloader import (
    Dataset, IterableDataset, TensorDataset, Sampler, SequentialSampler, RandomSampler, BatchSampler,
    default_collate, DataLoader,
)
from ...combining import (
    ConcatDataset, ChainDataset, StackDataset, Subset, random_split, SubsetRandomSampler,
    WeightedRandomSampler, DistributedSampler,
)

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from . import distributed

__all__ = [
    "default_convert", "get_worker_info", "Dataset", "IterableDataset", "TensorDataset", "Sampler",
    "SequentialSampler", "RandomSampler", "BatchSampler", "default_collate", "DataLoader", "ConcatDataset",
    "ChainDataset", "StackDataset", "Subset", "random_split", "SubsetRandomSampler", "WeightedRandomSampler",
    "DistributedSampler",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__, "distributed"]
