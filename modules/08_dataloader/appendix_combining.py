# %% [markdown]
# # Appendix: sets made of sets, and more orders
#
# Data sets can be joined, stacked side by side, cut and split, and none of it copies a sample: numbers are
# translated. The other samplers are here, too: among some numbers only, by weight, and shared among machines.

# %%
#| export
"""Datasets made of datasets, random splits, and samplers for weights and for many machines."""

# %%
#| export
from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence

from tinytorch.creation import as_tensor
from tinytorch.dataloader import Dataset, IterableDataset, Sampler, batch_reader, default_collate
from tinytorch.dtypes import float64
from tinytorch.randomness import Generator, default_generator, multinomial, randperm

# %%
#| export
class ConcatDataset(Dataset):
    """One dataset behind the other."""

    def __init__(self, datasets: Iterable[Dataset]):
        self.datasets = list(datasets)
        if not self.datasets: raise ValueError("there is no dataset to begin with")
        if any([isinstance(one, IterableDataset) for one in self.datasets]):
            raise ValueError("a stream has no numbers: ChainDataset joins streams")
        self.cumulative_sizes = list(itertools.accumulate([len(one) for one in self.datasets]))

    def __len__(self) -> int: return self.cumulative_sizes[-1]

    def __getitem__(self, idx):
        if not -len(self) <= idx < len(self):
            raise IndexError(f"there are {len(self)} samples, no number {idx}")
        idx %= len(self)
        which = bisect.bisect_right(self.cumulative_sizes, idx)
        return self.datasets[which][idx - (self.cumulative_sizes[which - 1] if which else 0)]


class ChainDataset(IterableDataset):
    """One stream behind the other."""

    def __init__(self, datasets: Iterable[IterableDataset]): self.datasets = datasets

    def __iter__(self) -> Iterator:
        for one in self.datasets: yield from stream(one)

    def __len__(self) -> int: return sum([len(stream(one)) for one in self.datasets])


def stream(dataset):
    if isinstance(dataset, IterableDataset): return dataset
    raise ValueError("ChainDataset joins streams: ConcatDataset joins datasets with numbers")


class StackDataset(Dataset):
    """Sample i is sample i of each dataset, as a tuple; of datasets that are named, as a dict."""

    def __init__(self, *args: Dataset, **kwargs: Dataset):
        if bool(args) == bool(kwargs): raise ValueError("StackDataset takes datasets, all named or none")
        self.datasets = kwargs or args
        lengths = {len(one) for one in self.parts()}
        if len(lengths) != 1:
            raise ValueError(f"datasets side by side are equally long, not {sorted(lengths)}")
        self._length = lengths.pop()

    def parts(self) -> list[Dataset]:
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def made(self, parts):
        return dict(zip(self.datasets, parts)) if isinstance(self.datasets, dict) else tuple(parts)

    def __len__(self) -> int: return self._length

    def __getitem__(self, index): return self.made([one[index] for one in self.parts()])

    def __getitems__(self, indices: list) -> list:
        columns = [many(one, indices) for one in self.parts()]
        for column in columns:
            if len(column) != len(indices):
                raise ValueError(f"{len(indices)} samples were wanted, {len(column)} came")
        return [self.made(parts) for parts in zip(*columns)]


def many(dataset: Dataset, indices: list) -> list:
    """Samples, all at once where a dataset can do that."""
    if hasattr(dataset, "__getitems__"): return dataset.__getitems__(indices)
    return [dataset[i] for i in indices]


class Subset(Dataset):
    """The samples of a dataset with these numbers, in this order."""

    def __init__(self, dataset: Dataset, indices: Sequence[int]):
        self.dataset, self.indices = dataset, indices
        own = type(self)
        if own.__getitem__ is not Subset.__getitem__ and own.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(f"{own.__name__} has a __getitem__ of its own, and a loader would ask "
                                      "__getitems__: write that, too")

    def __getitem__(self, idx):
        if isinstance(idx, list): return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices: list[int]) -> list:
        return many(self.dataset, [self.indices[i] for i in indices])

    def __getbatch__(self, numbers: list[int]):
        read = batch_reader(self.dataset)
        if read is None: return default_collate(self.__getitems__(numbers))
        return read([self.indices[i] for i in numbers])

    def __len__(self) -> int: return len(self.indices)


def random_split(
    dataset: Dataset,
    lengths: Sequence[int | float],         # numbers of samples, or fractions that add up to 1
    generator: Generator | None = default_generator,
) -> list[Subset]:
    """The dataset in parts, at random, with no sample in two of them."""
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1: lengths = whole_lengths(len(dataset), lengths)
    if sum(lengths) != len(dataset):
        raise ValueError(f"parts of {list(lengths)} samples are not all of {len(dataset)}")
    order = randperm(len(dataset), generator=generator).tolist()
    return [Subset(dataset, order[end - n : end]) for end, n in zip(itertools.accumulate(lengths), lengths)]


def whole_lengths(n: int, fractions: Sequence[float]) -> list[int]:
    """Fractions of n, rounded down; what is left goes to the first ones."""
    if not all([0 <= part <= 1 for part in fractions]):
        raise ValueError(f"these are no fractions: {list(fractions)}")
    lengths = [math.floor(n * part) for part in fractions]
    for i in range(n - sum(lengths)): lengths[i % len(lengths)] += 1
    for i, length in enumerate(lengths):
        if length == 0: warnings.warn(f"part {i} of the split is empty", stacklevel=3)
    return lengths

# %% [markdown]
# ## More samplers

# %%
#| export
class SubsetRandomSampler(Sampler[int]):
    """These numbers in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None):
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for i in randperm(len(self.indices), generator=self.generator).tolist(): yield self.indices[i]

    def __len__(self) -> int: return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Numbers drawn by weight: sample i comes in proportion to weight i."""

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True,
        generator: Generator | None = None,
    ):
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"num_samples is {num_samples!r}: a sampler draws one sample or more")
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement is True or False, not {replacement!r}")
        self.weights = as_tensor(weights, dtype=float64)
        if self.weights.ndim != 1:
            raise ValueError(f"weights are a line of numbers, not {tuple(self.weights.shape)}")
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self) -> Iterator[int]:
        drawn = multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator)
        yield from drawn.tolist()

    def __len__(self) -> int: return self.num_samples

# %% [markdown]
# Machines that train together (lesson 19) share an epoch: all draw the same order, and machine r of n takes
# every n-th sample from the r-th on. So that all take equally many, a few samples come twice, or are dropped.
# Everybody must call `set_epoch`, or every epoch has the same order.

# %%
#| export
class DistributedSampler(Sampler[int]):
    """The share of one of `num_replicas` machines in an epoch."""

    def __init__(
        self, dataset: Dataset, num_replicas: int | None = None, rank: int | None = None,
        shuffle: bool = True, seed: int = 0, drop_last: bool = False,
    ):
        if num_replicas is None or rank is None:
            raise RuntimeError("say num_replicas= and rank=: how many machines there are, and which one "
                               "this is, nobody knows before lesson 19")
        if not 0 <= rank < num_replicas: raise ValueError(f"{num_replicas} machines have no number {rank}")
        self.dataset, self.num_replicas, self.rank, self.epoch = dataset, num_replicas, rank, 0
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        n = len(dataset) // num_replicas
        self.num_samples = n if drop_last else -(-len(dataset) // num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        n = len(self.dataset)
        generator = Generator().manual_seed(self.seed + self.epoch)
        order = randperm(n, generator=generator).tolist() if self.shuffle else list(range(n))
        order = (order * -(-self.total_size // max(n, 1)))[: self.total_size]   # a few again, or left out
        return iter(order[self.rank :: self.num_replicas])

    def __len__(self) -> int: return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Another epoch, another order: the same on all machines."""
        self.epoch = epoch
