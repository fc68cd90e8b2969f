# Generated from modules/08_dataloader/dataloader.py by `tito export`. Edit that file, not this one.
"""From files to batches: formats, samples, orders, loaders, transforms and tokens."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import math
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from .batching import (
    Pinned, Settled, collate_leaves, context_of, default_convert, made_like, refuse_contradictions,
)
from .creation import as_tensor, empty, ones
from .devices import JOURNEYS
from .dtypes import int64
from .folders import shipped, write_whole
from .randomness import Generator, rand, randint, randperm
from .shaping import flip, stack
from .tensor import Tensor, tensor
from .workers import Crew

__all__ = [
    "IDX_KINDS", "content_of", "read_idx", "read_cifar", "MAKE_ARRAY", "ALLOWED", "PlainUnpickler",
    "read_pickle", "PICTURES", "labelled_files", "column", "read_csv", "T", "Dataset", "IterableDataset",
    "TensorDataset", "Sampler", "SequentialSampler", "new_seed", "dice", "RandomSampler", "BatchSampler",
    "default_collate", "batch_reader", "Fetcher", "OneByOne", "DataLoader", "Normalize", "sides", "cut",
    "framed", "RandomHorizontalFlip", "RandomCrop", "margins", "CharTokenizer", "Text", "merge",
    "learn_pairs", "bytes_of",
]


IDX_KINDS = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}       # > is big-endian


def content_of(path: str | Path) -> bytes:
    """What is in a file, unpacked if it was packed by gzip."""
    content = Path(path).read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def read_idx(path: str | Path):
    """The array in an IDX file, as MNIST has them; gzip is fine.  -> (*)"""
    content = content_of(path)
    if content[:2] != b"\0\0" or content[2] not in IDX_KINDS:
        raise ValueError(f"{path} is no IDX file: it begins with {content[:4]!r}")
    kind, dims = np.dtype(IDX_KINDS[content[2]]), content[3]
    shape = np.frombuffer(content, ">u4", dims, offset=4).tolist()
    numbers = content[4 + 4 * dims :]
    if len(numbers) != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{path} says it holds {shape} numbers, and has {len(numbers)} bytes of them")
    return np.frombuffer(numbers, kind).reshape(shape).astype(kind.newbyteorder("="))


def read_cifar(content: bytes, labels: int = 1):
    """Pictures and labels of CIFAR's binary format.  -> (N, 32, 32, 3), (N)"""
    size = labels + 3 * 32 * 32
    if len(content) % size: raise ValueError(f"{len(content)} bytes are no whole records of {size} bytes")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    pictures = records[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pictures), records[:, labels - 1].astype(np.int64)


MAKE_ARRAY = np.empty(0).__reduce__()[0]
ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): MAKE_ARRAY,          # its address until NumPy 2 …
    ("numpy._core.multiarray", "_reconstruct"): MAKE_ARRAY,         # … and since
}


class PlainUnpickler(pickle.Unpickler):
    """Reads pickles of arrays, numbers, words, lists and dicts, and obeys no other orders."""

    def find_class(self, module: str, name: str):
        """What a pickle asks for by module and name, if it may have it."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"this file asks for {module}.{name}: it is not what it should be")
        return ALLOWED[module, name]


def read_pickle(content: bytes) -> Any:
    """The arrays, lists and dicts in a pickle; those of Python 2 with words for their byte strings."""
    return PlainUnpickler(io.BytesIO(content), encoding="latin1").load()


PICTURES = (".png", ".ppm", ".pgm", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


def labelled_files(folder: str | Path, endings: Sequence[str] = PICTURES):
    """The classes, and the files with the number of their class: a folder for each class.

    -> [name, …], [(path, class), …]
    """
    folder = Path(folder)
    classes = sorted([inside.name for inside in folder.iterdir() if inside.is_dir()])
    files = [(path, number) for number, name in enumerate(classes)
             for path in sorted((folder / name).rglob("*")) if path.suffix.lower() in endings]
    return classes, files


def column(cells: Sequence[str]) -> Tensor:
    """What a column of a table says: numbers, or words by their place in the alphabet.  -> (N)"""
    try: return tensor([float(cell) if cell.strip() else math.nan for cell in cells])
    except ValueError:
        places = {word: place for place, word in enumerate(sorted(set(cells)))}
        return tensor([places[cell] for cell in cells])


def read_csv(path: str | Path) -> dict[str, Tensor]:
    """The columns of a table, by the names in its first line."""
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        header, *rows = [row for row in csv.reader(file) if row]
    return {name: column(cells) for name, cells in zip(header, zip(*rows, strict=True), strict=True)}


T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Samples that can be asked for by number."""

    def __getitem__(self, index) -> T:
        raise NotImplementedError("a dataset says what sample number `index` is: write __getitem__")

    def __add__(self, other):
        from tinytorch.combining import ConcatDataset

        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Samples that come one after the other, and cannot be asked for by number: a stream."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError("a stream says what comes one after the other: write __iter__")


class TensorDataset(Dataset):
    """Sample i is row i of each tensor."""

    def __init__(self, *tensors: Tensor):
        if len({len(x) for x in tensors}) != 1:
            raise ValueError(f"a sample is a row of each tensor, and these have {[len(x) for x in tensors]}")
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple([x[index] for x in self.tensors])

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getbatch__(self, numbers: list[int]) -> list: return [x[numbers] for x in self.tensors]


class Sampler(Generic[T]):
    """An order of samples: an iterable of their numbers."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError("a sampler says who comes when: write __iter__")


class SequentialSampler(Sampler[int]):
    """One after the other."""

    def __init__(self, data_source): self.data_source = data_source
    def __iter__(self) -> Iterator[int]: return iter(range(len(self.data_source)))
    def __len__(self) -> int: return len(self.data_source)


def new_seed(generator: Generator | None = None) -> int:
    """A number drawn as a seed."""
    return empty((), dtype=int64).random_(generator=generator).item()


def dice(n: int, times: int, generator: Generator) -> Iterator[int]:
    """Numbers below n, each as likely as any other every time; drawn 32 at once, as PyTorch does it."""
    for begin in range(0, times + 1, 32):
        yield from randint(n, (min(32, times - begin),), generator=generator).tolist()


class RandomSampler(Sampler[int]):
    """A new random order each time: shuffled, or thrown with dice if `replacement`."""

    def __init__(
        self, data_source, replacement: bool = False, num_samples: int | None = None, generator=None,
    ):
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement is True or False, not {replacement!r}")
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self._num_samples = num_samples
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(f"num_samples is {self.num_samples}: a sampler draws one sample or more")

    @property
    def num_samples(self) -> int: return len(self) if self._num_samples is None else self._num_samples

    def __len__(self) -> int: return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n = len(self.data_source)
        generator = self.generator or Generator().manual_seed(new_seed())
        if self.replacement:
            yield from dice(n, self.num_samples, generator)
            return
        for _ in range(self.num_samples // n): yield from randperm(n, generator=generator).tolist()
        yield from randperm(n, generator=generator).tolist()[: self.num_samples % n]


class BatchSampler(Sampler[list]):
    """Lists of `batch_size` numbers of another sampler."""

    def __init__(self, sampler: Iterable, batch_size: int, drop_last: bool):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"a batch has one sample or more, not {batch_size!r}")
        if not isinstance(drop_last, bool): raise ValueError(f"drop_last is True or False, not {drop_last!r}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list]:
        numbers = iter(self.sampler)
        while batch := list(itertools.islice(numbers, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last: return
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def default_collate(batch: Sequence) -> Any:
    """A batch of one sample after the other as one sample of batches.  [(*), …] -> (N, *)"""
    first = batch[0]
    if isinstance(first, Tensor): return stack(list(batch))
    if isinstance(first, Mapping):
        return made_like(first, {key: default_collate([x[key] for x in batch]) for key in first})
    if isinstance(first, Sequence) and not isinstance(first, (str, bytes)):
        if len({len(x) for x in batch}) != 1:
            raise RuntimeError("samples of a batch must have equally many parts: these have "
                               f"{[len(x) for x in batch]}")
        return made_like(first, [default_collate(parts) for parts in zip(*batch)])
    return collate_leaves(batch)


def batch_reader(dataset) -> Callable | None:
    """How a dataset reads whole batches, collated by default; None if it reads sample by sample."""
    for kind in type(dataset).__mro__:
        if "__getbatch__" in vars(kind): return dataset.__getbatch__
        if "__getitem__" in vars(kind): return None         # a subclass makes its samples otherwise
    return None


class Fetcher:
    """Reads what a sampler asks for, and makes a batch of it."""

    def __init__(self, dataset, collate_fn: Callable, in_batches: bool, drop_last: bool):
        self.dataset, self.collate_fn = dataset, collate_fn
        self.in_batches, self.drop_last = in_batches, drop_last
        self.stream = iter(dataset) if isinstance(dataset, IterableDataset) else None
        self.at_once = batch_reader(dataset) if in_batches and collate_fn is default_collate else None

    def __call__(self, order):
        if self.stream is not None: return self.collate_fn(self.next_of_stream(order))
        if self.at_once is not None: return self.at_once(order)
        if not self.in_batches: return self.collate_fn(self.dataset[order])
        if hasattr(self.dataset, "__getitems__"): return self.collate_fn(self.dataset.__getitems__(order))
        return self.collate_fn([self.dataset[number] for number in order])

    def next_of_stream(self, order):
        """The next samples of a stream; StopIteration at its end."""
        if not self.in_batches: return next(self.stream)
        samples = list(itertools.islice(self.stream, len(order)))
        if not samples or (self.drop_last and len(samples) < len(order)): raise StopIteration
        return samples


class OneByOne:
    """Batches, each of which is read when it is asked for."""

    def __init__(self, orders: Iterator, fetcher: Callable): self.orders, self.fetch = orders, fetcher()
    def __iter__(self): return self
    def __next__(self): return self.fetch(next(self.orders))


class DataLoader(Settled, Generic[T]):
    """Batches of a dataset, epoch after epoch: `for x, y in DataLoader(dataset, 64, shuffle=True)`."""

    def __init__(
        self,
        dataset: Dataset[T],
        batch_size: int | None = 1,                 # None makes no batches: samples come as they are
        shuffle: bool | None = None,                # a new order for every epoch
        sampler=None,                               # whose order, if not that
        batch_sampler=None,                         # whose batches, if not those
        num_workers: int = 0,                       # processes that read ahead
        collate_fn: Callable | None = None,         # makes a batch of a list of samples
        pin_memory: bool = False,                   # in memory that a GPU reads by itself, if there is one
        drop_last: bool = False,                    # leaves out a last batch that is not full
        timeout: float = 0,                         # seconds to wait for workers; 0 is for ever
        worker_init_fn: Callable | None = None,     # is called in each worker, with its number
        multiprocessing_context=None,               # "fork", "spawn", "forkserver"
        generator=None,                             # draws orders and seeds
        *,
        prefetch_factor: int | None = None,         # orders ahead for each worker: 2
        persistent_workers: bool = False,           # workers stay for the next epoch
        pin_memory_device: str = "",
        in_order: bool = True,                      # False gives batches as they come
    ):
        streams, wishes = isinstance(dataset, IterableDataset), dict(locals())
        refuse_contradictions(streams, wishes)
        for name in wishes.keys() - {"self"}: setattr(self, name, wishes[name])
        self.multiprocessing_context = context_of(multiprocessing_context)
        if num_workers: self.prefetch_factor = prefetch_factor or 2
        if sampler is None:
            self.sampler = itertools.repeat(None) if streams else \
                RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_sampler is not None: self.batch_size = None
        elif batch_size is not None: self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
        self.in_batches = self.batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if self.in_batches else default_convert)
        self.crew = None
        self.settled = True

    @property
    def orders(self): return self.batch_sampler if self.in_batches else self.sampler

    def __iter__(self) -> Iterator:
        return Pinned(self.batches()) if self.pin_memory and "pinned" in JOURNEYS else self.batches()

    def batches(self) -> Iterator:
        orders = iter(self.orders)
        if self.crew is not None and not self.crew.closed:
            self.crew.again(orders)
            return self.crew
        seed = new_seed(self.generator)
        fetcher = partial(Fetcher, self.dataset, self.collate_fn, self.in_batches, self.drop_last)
        if not self.num_workers: return OneByOne(orders, fetcher)
        crew = Crew(self, orders, fetcher, seed)
        if self.persistent_workers: self.crew = crew
        return crew

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset): return len(self.orders)
        n = len(self.dataset)
        if self.batch_size is None: return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


class Normalize:
    """Less the mean, by the standard deviation, channel by channel.  (*, C, H, W) -> (*, C, H, W)"""

    def __init__(self, mean, std, inplace: bool = False):
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point(): raise TypeError(f"Normalize wants floats, not {tensor.dtype}")
        mean, std = [as_tensor(x, dtype=tensor.dtype).reshape(-1, 1, 1) for x in (self.mean, self.std)]
        if (std == 0).any(): raise ValueError(f"a standard deviation of 0 cannot divide: {self.std}")
        if self.inplace: return tensor.sub_(mean).div_(std)
        return (tensor - mean) / std

    def __repr__(self) -> str: return f"Normalize(mean={self.mean}, std={self.std})"


def sides(picture) -> tuple[int, int]:
    """Where the height and the width are: last in a tensor, first in an array of bytes."""
    return (-2, -1) if isinstance(picture, Tensor) else (0, 1)


def cut(picture, top: int, left: int, height: int, width: int):
    """The part of a picture that begins at (top, left)."""
    part = (slice(top, top + height), slice(left, left + width))
    return picture[(..., *part)] if isinstance(picture, Tensor) else picture[part]


def framed(picture, left: int, top: int, right: int, bottom: int, fill=0, mode: str = "constant"):
    """The picture with a margin, filled or continued: "constant", "edge", "reflect" or "symmetric"."""
    array = picture.array if isinstance(picture, Tensor) else picture
    margin = [(0, 0)] * array.ndim
    margin[sides(picture)[0]], margin[sides(picture)[1]] = (top, bottom), (left, right)
    out = np.pad(array, margin, mode, **({"constant_values": fill} if mode == "constant" else {}))
    return Tensor(out) if isinstance(picture, Tensor) else out


class RandomHorizontalFlip:
    """The picture in the mirror, with probability p.  (*, H, W) -> (*, H, W)"""

    def __init__(self, p: float = 0.5): self.p = p

    def __call__(self, img):
        if rand(1).item() >= self.p: return img
        width = sides(img)[1]
        return flip(img, [width]) if isinstance(img, Tensor) else np.flip(img, width)

    def __repr__(self) -> str: return f"RandomHorizontalFlip(p={self.p})"


class RandomCrop:
    """A part of the given size, anywhere in the picture and its margin.  (*, H, W) -> (*, *size)"""

    def __init__(
        self, size, padding=None, pad_if_needed: bool = False, fill=0, padding_mode: str = "constant",
    ):
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.padding, self.pad_if_needed = padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    def __call__(self, img):
        img, (height, width) = self.with_margin(img), self.size
        down, across = [img.shape[side] - length for side, length in zip(sides(img), self.size)]
        if down < 0 or across < 0: raise ValueError(f"a picture of {img.shape} holds no part of {self.size}")
        if down == across == 0: return img
        top, left = randint(down + 1, (1,)).item(), randint(across + 1, (1,)).item()
        return cut(img, top, left, height, width)

    def with_margin(self, img):
        """The picture with the padding around it that was asked for, or is needed."""
        if self.padding is not None: img = framed(img, *margins(self.padding), self.fill, self.padding_mode)
        if not self.pad_if_needed: return img
        down, across = [max(0, length - img.shape[side]) for side, length in zip(sides(img), self.size)]
        return framed(img, across, down, across, down, self.fill, self.padding_mode)

    def __repr__(self) -> str: return f"RandomCrop(size={self.size}, padding={self.padding})"


def margins(padding) -> tuple[int, int, int, int]:
    """Left, top, right and bottom from one, two or four numbers."""
    numbers = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(numbers) not in (1, 2, 4):
        raise ValueError(f"a padding is one, two or four numbers, not {padding}")
    return (numbers * 4)[:4] if len(numbers) < 4 else numbers


class CharTokenizer:
    """Characters as numbers, and back."""

    def __init__(self, text: Iterable[str]):
        self.characters = "".join(sorted(set(text)))
        self.numbers = {character: number for number, character in enumerate(self.characters)}

    def __len__(self) -> int: return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """The numbers of the characters; one that the alphabet lacks is a ValueError that shows it."""
        try: return [self.numbers[character] for character in text]
        except KeyError as unknown:
            raise ValueError(f"{unknown} is not among the {len(self)} characters of this alphabet") from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text again."""
        return "".join([self.characters[number] for number in ids])

    def save(self, path: str | Path) -> None:
        """Writes the alphabet as JSON."""
        write_whole(path, json.dumps({"kind": "characters", "characters": self.characters}).encode())

    @classmethod
    def load(cls, path: str | Path):
        """An alphabet that was saved."""
        kept = json.loads(Path(path).read_text("utf-8"))
        if kept.get("kind") != "characters": raise ValueError(f"{path} holds no alphabet of characters")
        return cls(kept["characters"])


class Text(Dataset):
    """Sample i: `length` tokens from place i on, and the tokens that follow each of them."""

    def __init__(self, ids, length: int):
        self.ids, self.length = as_tensor(ids, dtype=int64), length
        if len(self.ids) <= length:
            raise ValueError(f"{len(self.ids)} tokens hold no stretch of {length} and one more")

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} samples, no number {index}")
        begin = index % len(self)
        return self.ids[begin : begin + self.length], self.ids[begin + 1 : begin + 1 + self.length]

    def __len__(self) -> int:
        return len(self.ids) - self.length


def merge(ids: Sequence[int], pair: tuple[int, int], new: int) -> list[int]:
    """The tokens, with `new` in place of each pair."""
    out, i = [], 0
    while i < len(ids):
        found = i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair
        out.append(new if found else ids[i])
        i += 2 if found else 1
    return out


def learn_pairs(text: bytes, n: int) -> list[tuple[int, int]]:
    """The n pairs to merge, in the order in which they were found: pair i makes token 256 + i."""
    ids, pairs = list(text), []
    while len(pairs) < n and len(ids) > 1:
        counts = Counter(pairwise(ids))
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        ids = merge(ids, best, 256 + len(pairs))
        pairs.append(best)
    return pairs


def bytes_of(pairs: Sequence[tuple[int, int]]) -> list[bytes]:
    """What each token stands for: 256 single bytes, then what the parts of each pair stand for."""
    words = [bytes([byte]) for byte in range(256)]
    for first, second in pairs: words.append(words[first] + words[second])
    return words
