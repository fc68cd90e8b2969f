"""Datasets, samplers and loaders: the same samples in the same order as PyTorch's, for the same seed."""

import collections
import random

import numpy as np
import pytest

import tinytorch
import tinytorch.utils.data

Point = collections.namedtuple("Point", "x y")


class Words(collections.UserDict):
    """A mapping that is no dict."""


def names(t):
    """Everything of torch.utils.data, a seeded generator, and some data."""
    d = t.utils.data

    class Squares(d.Dataset):
        def __init__(self, n=10): self.n = n
        def __len__(self): return self.n

        def __getitem__(self, i):
            if not 0 <= i < self.n: raise IndexError(i)
            return i * i

    class Count(d.IterableDataset):
        def __init__(self, n=7): self.n = n
        def __iter__(self): return iter(range(self.n))
        def __len__(self): return self.n

    t.manual_seed(0)
    return {**{name: getattr(d, name) for name in tinytorch.utils.data.__all__},
            "Squares": Squares, "Count": Count, "Point": Point, "Words": Words,
            "g": t.Generator().manual_seed(0), "x": t.arange(12.0).reshape(6, 2), "y": t.arange(6),
            "L": lambda *a, **k: [list(d.DataLoader(*a, **k)) for _ in range(2)],
            "S": lambda s: [list(s), list(s), len(s)], "C": d.default_collate}


LINES = """
S(SequentialSampler(range(5)))
S(RandomSampler(range(10)))
S(RandomSampler(range(10), generator=g)), t.rand(1, generator=g)
S(RandomSampler(range(1)))
S(RandomSampler(range(10), num_samples=4))
S(RandomSampler(range(10), num_samples=25, generator=g)), t.rand(1, generator=g)
S(RandomSampler(range(10), True)), t.rand(1)
S(RandomSampler(range(10), True, 31, g)), t.rand(1, generator=g)
S(RandomSampler(range(10), True, 32, g)), t.rand(1, generator=g)
S(RandomSampler(range(10), True, 100, g)), t.rand(1, generator=g)
RandomSampler([])
RandomSampler([1], 1)
RandomSampler([1], num_samples=-1)
S(SubsetRandomSampler([3, 7, 9, 11])), t.rand(1)
S(SubsetRandomSampler([3, 7, 9, 11], g)), t.rand(1, generator=g)
S(WeightedRandomSampler([0.1, 0.9, 0.4, 0.7, 3.0, 0.6], 5)), t.rand(1)
S(WeightedRandomSampler([0.9, 0.4, 0.05, 0.2, 0.3, 0.1], 5, replacement=False, generator=g)), t.rand(1, generator=g)
WeightedRandomSampler([1.0], 0)
WeightedRandomSampler([1.0], 1, 1)
WeightedRandomSampler([[1.0]], 1)
S(BatchSampler(SequentialSampler(range(10)), 3, False))
S(BatchSampler(SequentialSampler(range(10)), 3, True))
S(BatchSampler(RandomSampler(range(10), generator=g), 5, True))
BatchSampler(range(3), 0, False)
BatchSampler(range(3), True, False)
BatchSampler(range(3), 2, 0)
S(DistributedSampler(range(10), 3, 0))
S(DistributedSampler(range(10), 3, 2, seed=5))
S(DistributedSampler(range(10), 3, 1, False))
S(DistributedSampler(range(10), 3, 1, drop_last=True))
S(DistributedSampler(range(9), 3, 1, drop_last=True))
S(DistributedSampler(range(2), 5, 4))
s = DistributedSampler(range(10), 2, 0); s.set_epoch(3); S(s)
DistributedSampler(range(10), 2, 2)
TensorDataset(x, y)[2]
TensorDataset(x, y)[-1]
TensorDataset(x, y)[[1, 3]]
len(TensorDataset(x))
TensorDataset(x, y)[6]
(Squares(3) + Squares(2))[4], len(Squares(3) + Squares(2))
[ConcatDataset([Squares(3), Squares(0), Squares(2)])[i] for i in (0, 2, 3, 4, -1, -5)]
ConcatDataset([Squares(3), Squares(2)]).cumulative_sizes
list(ChainDataset([Count(3), Count(2)])), len(ChainDataset([Count(3), Count(2)]))
StackDataset(Squares(), x)[3]
StackDataset(a=Squares(6), b=x)[3]["b"]
StackDataset(Squares(6), TensorDataset(y)).__getitems__([1, 2])
len(StackDataset(x, y))
StackDataset()
StackDataset(x, b=y)
StackDataset(x, Squares())
Subset(Squares(), [5, 2, 7])[1], len(Subset(Squares(), [5, 2, 7])), Subset(Squares(), [5, 2, 7]).__getitems__([0, 2])
Subset(TensorDataset(x), [5, 2, 4])[[0, 2]]
type("Mine", (Subset,), {"__getitem__": lambda self, i: 0})(Squares(), [1])
[list(part.indices) for part in random_split(Squares(), [3, 7])]
[list(part.indices) for part in random_split(Squares(), [0.3, 0.3, 0.4], g)]
[list(part.indices) for part in random_split(range(11), [0.5, 0.5], g)]
[list(part.indices) for part in random_split(range(1000), [0.1] * 10, g)]
random_split(Squares(), [3, 6])
random_split(Squares(), [1.5, -0.5])
C([1, 2, 3])
C([1.0, 2.0])
C([True, False])
C(["a", "b"])
C([b"a", b"b"])
C([x[0], x[1]])
C([np.float32(1), np.float32(2)])
C([np.float64(1), np.float64(2)])
C([np.int32(1), np.int32(2)])
C([np.bool_(True), np.bool_(False)])
C([np.arange(3), np.arange(3)])
C([np.ones((2, 2), np.float32)] * 3)
C([np.array(1.5)] * 2)
C([np.array(["a"])] * 2)
C([(1, x[0]), (2, x[1])])
C([[1, 2.0], [3, 4.0]])
C([{"a": 1, "b": [2, "w"]}, {"a": 3, "b": [4, "v"]}])["b"][0]
type(C([{"a": 1}, {"a": 2}]))
C([Words(a=1), Words(a=2)])["a"]
type(C([Words(a=1), Words(a=2)]))
C([Point(1, x[0]), Point(2, x[1])]).y
type(C([Point(1, 2), Point(3, 4)]))
C([((1, 2), (3, [4, 5])), ((6, 7), (8, [9, 10]))])
C([range(2), range(2)])
C([(1, 2), (3,)])
C([None, None])
C([object()])
C([x[0], x[0][:1]])
default_convert(np.arange(3))
default_convert([np.arange(2), (np.float32(1), "w")])
default_convert({"a": np.ones(2)})["a"]
default_convert(Point(np.ones(2), 1)).x
default_convert(np.array(["w"]))[0] == "w"
default_convert(5)
L(TensorDataset(x, y))
L(TensorDataset(x, y), 4)
L(TensorDataset(x, y), batch_size=4, drop_last=True)
L(TensorDataset(x, y), 4, True), t.rand(1)
L(TensorDataset(x, y), 4, shuffle=True, generator=g), t.rand(1, generator=g)
L(Squares(), 3, sampler=[5, 3, 1, 9])
L(Squares(), batch_sampler=[[5, 3], [1, 9, 2]])
L(Squares(), batch_size=None)
L(TensorDataset(x, y), batch_size=None, sampler=[3, 0])
L(Count(), 3)
L(Count(), 3, drop_last=True)
L(Count(), batch_size=None)
L(Count(0), 3)
L(Squares(), 4, collate_fn=sum)
L(StackDataset(x, y), 4)
L(Subset(TensorDataset(x, y), [4, 2, 0]), 2, shuffle=True)
L(x, 4)
L(range(5), 2)
len(DataLoader(Squares(), 3)), len(DataLoader(Squares(), 3, drop_last=True)), len(DataLoader(Squares(), batch_size=None))
len(DataLoader(Count(), 3)), len(DataLoader(Count(), 3, drop_last=True)), len(DataLoader(Count(), batch_size=None))
len(DataLoader(Squares(), batch_sampler=[[1], [2]]))
DataLoader(Squares(), batch_sampler=[[1]]).batch_size
DataLoader(Squares()).num_workers, DataLoader(Squares()).prefetch_factor, DataLoader(Squares(), num_workers=2).prefetch_factor
DataLoader(Squares(), num_workers=-1)
DataLoader(Squares(), timeout=-1)
DataLoader(Squares(), prefetch_factor=2)
DataLoader(Squares(), num_workers=1, prefetch_factor=-2)
DataLoader(Squares(), persistent_workers=True)
DataLoader(Squares(), multiprocessing_context="fork")
DataLoader(Squares(), num_workers=1, multiprocessing_context="thread")
DataLoader(Count(), shuffle=True)
DataLoader(Count(), sampler=[1])
DataLoader(Count(), batch_sampler=[[1]])
DataLoader(Squares(), shuffle=True, sampler=[1])
DataLoader(Squares(), 2, batch_sampler=[[1]])
DataLoader(Squares(), batch_size=None, drop_last=True)
DataLoader(Squares(), batch_size=0)
d = DataLoader(Squares()); d.batch_size = 5
d = DataLoader(Squares()); d.num_workers = 0; len(d)
DataLoader[int] is not None, Dataset[int] is not None, Sampler[int] is not None
get_worker_info()
Dataset()[0]
""".strip().split("\n")     # noqa: E501


@pytest.mark.parametrize("line", LINES)
def test_the_same_samples_in_the_same_order(line, agree): agree(line, names)


def test_random_splits_and_loaders_draw_from_everybodys_generator_as_pytorch_does(agree):
    agree("random_split(Squares(), [0.5, 0.5]); L(Squares(), 3, True); L(Squares(), 3); t.rand(3)", names)


# -------------------------------------------------------------------------------------- with workers

class Dice:
    """Samples that say what each generator of the worker draws."""

    def __init__(self, library): self.library = library
    def __len__(self): return 12

    def __getitem__(self, i):
        info = self.library.utils.data.get_worker_info()
        return [i, info.id, info.num_workers, info.seed % 2**31, self.library.rand(1).item(), random.random(),
                np.random.rand()]


class Stream:
    """A stream of which each worker gives its share."""

    def __init__(self, library, lengths): self.library, self.lengths = library, lengths

    def __iter__(self):
        worker = self.library.utils.data.get_worker_info().id
        return iter([100 * worker + i for i in range(self.lengths[worker])])


def with_workers(library, dataset, epochs=2, **settings):
    library.manual_seed(5)
    loader = library.utils.data.DataLoader(dataset, num_workers=2, **settings)
    return [list(loader) for _ in range(epochs)], library.rand(1).item()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("settings", [
    {"batch_size": 2, "shuffle": True}, {"batch_size": 5, "drop_last": True}, {"batch_size": None},
    {"batch_size": 2, "shuffle": True, "persistent_workers": True}, {"batch_size": 1, "prefetch_factor": 4},
], ids=str)
def test_workers_see_pytorchs_seeds_and_give_its_batches(settings):
    torch = pytest.importorskip("torch")
    (theirs, after), (ours, after_ours) = [
        with_workers(library, Dice(library), collate_fn=list if settings["batch_size"] else None, **settings)
        for library in (torch, tinytorch)]
    assert ours == theirs and after_ours == after


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("lengths", [(5, 5), (1, 7), (0, 4), (9, 2), (0, 0)])
@pytest.mark.parametrize("settings", [
    {"batch_size": 2}, {"batch_size": 2, "drop_last": True}, {"batch_size": None},
    {"batch_size": 3, "persistent_workers": True},
], ids=str)
def test_streams_end_when_each_worker_has_come_to_its_end(lengths, settings):
    torch = pytest.importorskip("torch")

    def streamed(library):
        dataset = type("Shares", (Stream, library.utils.data.IterableDataset), {})(library, lengths)
        collate = list if settings["batch_size"] else None
        return with_workers(library, dataset, collate_fn=collate, **settings)[0]
    assert streamed(tinytorch) == streamed(torch)
