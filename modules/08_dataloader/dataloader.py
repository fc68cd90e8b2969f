# %% [markdown]
# # Data
#
# A network never sees a file. It sees sixty-four pictures at once, as floats around zero, in an order that
# nobody could have guessed. Between the disk and that batch lie half a dozen small steps, and when a network
# learns slowly, or strangely badly, the reason is in one of them more often than in the network.
#
# You read the formats that the field has read for thirty years, byte by byte. You decide who comes when, make
# batches of samples, and turn text into numbers and back. In the end one loop feeds anything you will ever
# train.

# %%
#| export
"""From files to batches: formats, samples, orders, loaders, transforms and tokens."""

# %%
#| export
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

from tinytorch.batching import (
    Pinned,
    Settled,
    collate_leaves,
    context_of,
    default_convert,
    made_like,
    refuse_contradictions,
)
from tinytorch.creation import as_tensor, empty, ones
from tinytorch.devices import JOURNEYS
from tinytorch.dtypes import int64
from tinytorch.folders import shipped, write_whole
from tinytorch.randomness import Generator, rand, randint, randperm
from tinytorch.shaping import flip, stack
from tinytorch.tensor import Tensor, tensor
from tinytorch.workers import Crew

# %% [markdown]
# ## A file is a line of bytes
#
# It has no rows, no pictures and no labels. Somebody wrote down which byte means what, and whoever reads it
# has to keep to that. MNIST, the most read data set of all, comes in a format called **IDX** that fits on
# three lines:
#
# ```text
# 0 0 kind dimensions       four bytes; kind 8 is unsigned bytes
# length length …           four bytes for each dimension, the largest part first (big-endian)
# numbers …                 the last index changes fastest
# ```
#
# Here are two pictures of 2 x 3 pixels. Which byte is row 1, column 2 of the second?

# %%
tiny = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (2, 2, 3)) + bytes(range(12))
tiny, np.frombuffer(tiny, ">u4", 3, offset=4), tiny[16 + 1 * 6 + 1 * 3 + 2]

# %%
#| export
IDX_KINDS = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}       # > is big-endian


def content_of(path: str | Path) -> bytes:
    """What is in a file, unpacked if it was packed by gzip."""
    content = Path(path).read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content

# %% [markdown]
# **Your turn.** The header says how many numbers there should be. If the file ends before them, or goes on
# after them, it is not what it says it is: refuse. The numbers come back in this machine's own byte order.

# %%
#| export exercise
def read_idx(path: str | Path):
    """The array in an IDX file, as MNIST has them; gzip is fine.  -> (*)"""
    content = content_of(path)
    if content[:2] != b"\0\0" or content[2] not in IDX_KINDS:
        raise ValueError(f"{path} is no IDX file: it begins with {content[:4]!r}")
    kind, dims = np.dtype(IDX_KINDS[content[2]]), content[3]
    #| hint np.frombuffer(content, ">u4", dims, offset=4) are the lengths. Where do the numbers begin?
    #| hint There must be math.prod(shape) * kind.itemsize bytes behind the header, exactly.
    #| hint array.astype(kind.newbyteorder("=")) turns numbers into this machine's order.
    ### BEGIN SOLUTION
    shape = np.frombuffer(content, ">u4", dims, offset=4).tolist()
    numbers = content[4 + 4 * dims :]
    if len(numbers) != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{path} says it holds {shape} numbers, and has {len(numbers)} bytes of them")
    return np.frombuffer(numbers, kind).reshape(shape).astype(kind.newbyteorder("="))
    ### END SOLUTION

# %%
#| check 2
import tempfile

def idx(content, pack=bytes):
    path = Path(tempfile.mkdtemp()) / "numbers-idx"
    path.write_bytes(pack(content))
    try: return read_idx(path)
    except ValueError as error: return str(error)

two = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, *range(12)])
assert idx(two).shape == (2, 2, 3), "the header gives the length of each dimension, the first one first"
assert idx(two)[1, 1, 2] == 11 and idx(two)[0, 1, 0] == 3, "the numbers begin right behind the header"
assert np.array_equal(idx(two, gzip.compress), idx(two)), "packed or not, the same numbers come out"
big = bytes([0, 0, 11, 1, 0, 0, 1, 0]) + np.arange(256, dtype=">i2").tobytes()
assert idx(big).shape == (256,), "a length is four bytes, the largest part first: 0 0 1 0 is 256"
assert idx(big)[:3].tolist() == [0, 1, 2], "larger numbers are big-endian, too"
assert idx(big).dtype == np.dtype("=i2") and idx(big).dtype.isnative, \
    "numbers come back in this machine's byte order, or every later op pays for it"
assert "numbers" in str(idx(two[:-1])), "a file that ends too early is refused"
assert "numbers" in str(idx(two + b"!")), "a file that goes on behind its numbers is refused"

# %% [markdown]
# The course brought some digits along, 8 x 8 pixels each, with ink from 0 to 16. (They lie in NumPy's own
# format; an appendix reads MNIST with your function.)

# %%
from tinytorch.pictures import Picture, sheet

with np.load(shipped("digits/digits.npz")) as file: digits, labels = file["images"], file["labels"]
Picture(255 - sheet(digits[:30]) * 15)

# %% [markdown]
# ## Planes or pixels
#
# CIFAR-10 has colour, and no header at all: each record is one byte for the label and 3,072 for the picture,
# *all* red values first, row by row, then all green ones, then all blue ones. Programs that show pictures
# want them pixel by pixel, red green blue red green blue. Guess what a picture looks like if one is taken for
# the other, then look: a yellow disc on blue.

# %%
y, x = np.mgrid[:32, :32] - 15.5
disc = np.where((x**2 + y**2 < 120)[..., None], [250, 220, 60], [20, 30, 90]).astype(np.uint8)
stored = disc.transpose(2, 0, 1).tobytes()          # (32, 32, 3), and plane by plane
Picture(sheet([disc, np.frombuffer(stored, np.uint8).reshape(32, 32, 3)], 2))

# %% [markdown]
# **Your turn.** CIFAR-100 has two labels in front, a coarse and a fine one. The last one counts.

# %%
#| export exercise
def read_cifar(content: bytes, labels: int = 1):
    """Pictures and labels of CIFAR's binary format.  -> (N, 32, 32, 3), (N)"""
    size = labels + 3 * 32 * 32
    if len(content) % size: raise ValueError(f"{len(content)} bytes are no whole records of {size} bytes")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    #| hint records[:, labels:] are the pictures, as (N, 3072). What shape do they have, in the file's order?
    #| hint (N, 3, 32, 32): channels, rows, columns. np.transpose moves the channels to the end.
    ### BEGIN SOLUTION
    pictures = records[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pictures), records[:, labels - 1].astype(np.int64)
    ### END SOLUTION

# %%
#| check 2
pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
def records(*front):
    return b"".join(bytes(f) + p.transpose(2, 0, 1).tobytes() for f, p in zip(front, pictures))

found, which = read_cifar(records([7], [3]))
assert found.shape == (2, 32, 32, 3), "each picture is 32 rows of 32 pixels of 3 colours"
assert (found[0, 0, :, 0] == pictures[0, 0, :, 0]).all(), \
    "the first 32 bytes of a picture are its top row in red"
assert np.array_equal(found, pictures), "planes of one colour become pixels of three, and nothing else moves"
assert which.tolist() == [7, 3], "the label stands in front of its picture"
assert which.dtype == np.int64, "labels are int64, as losses want them"
found, which = read_cifar(records([1, 70], [0, 30]), labels=2)
assert np.array_equal(found, pictures), "with two labels in front, the picture begins one byte later"
assert which.tolist() == [70, 30], "of a coarse and a fine label the last one, the fine one, counts"

# %% [markdown]
# ## A file that gives orders
#
# CIFAR also comes as a **pickle**, Python's own format. A pickle is not data. It is a program for a small
# machine, and one of its instructions says: take this function from that module, and call it. What will this
# one do?

# %%
class Trap:
    def __reduce__(self): return print, ("I could have deleted your thesis.",)

trap = pickle.dumps(Trap())
pickle.loads(trap)

# %% [markdown]
# `find_class` is the machine's only door to the outside: every function and class goes through it. A list of
# what is forbidden always misses something (`os.system`, `posix.system`, `builtins.eval`,
# `numpy.testing.measure`, which runs code too …). So list what is needed, and that is little: an array is
# made by one function from two classes, all else in these files are dicts, lists, numbers and words, which
# need nobody.
#
# **Your turn.** Give what is on the list; refuse all else with a `pickle.UnpicklingError` that names it.

# %%
#| export
MAKE_ARRAY = np.empty(0).__reduce__()[0]
ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): MAKE_ARRAY,          # its address until NumPy 2 …
    ("numpy._core.multiarray", "_reconstruct"): MAKE_ARRAY,         # … and since
}

# %%
#| export exercise
class PlainUnpickler(pickle.Unpickler):
    """Reads pickles of arrays, numbers, words, lists and dicts, and obeys no other orders."""

    def find_class(self, module: str, name: str):
        """What a pickle asks for by module and name, if it may have it."""
        ### BEGIN SOLUTION
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"this file asks for {module}.{name}: it is not what it should be")
        return ALLOWED[module, name]
        ### END SOLUTION


def read_pickle(content: bytes) -> Any:
    """The arrays, lists and dicts in a pickle; those of Python 2 with words for their byte strings."""
    return PlainUnpickler(io.BytesIO(content), encoding="latin1").load()

# %%
#| check 2
def reads(thing):
    try: return read_pickle(thing if isinstance(thing, bytes) else pickle.dumps(thing))
    except Exception as error: return error

class Orders:
    def __init__(self, *orders): self.orders = orders
    def __reduce__(self): return self.orders[0], self.orders[1:]

known = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [3, 8]}
assert isinstance(reads(known), dict) and np.array_equal(reads(known)["data"], known["data"]), \
    "arrays, lists and dicts are read: all that CIFAR's files hold"
old = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n" \
      b"(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x05\\x06'\ntb."
assert isinstance(reads(old), np.ndarray) and reads(old).tolist() == [5, 6], \
    "files of an older NumPy name the same things by another address"
for order in (Orders(eval, "1 + 1"), Orders(print, "oh"), Orders(np.load, "x"), Orders(getattr, 1, "real")):
    assert isinstance(reads(order), pickle.UnpicklingError), \
        "whatever is not on the list is refused, wherever it comes from"
assert "builtins.eval" in str(reads(Orders(eval, "1 + 1"))), "the refusal names what the file asked for"
assert isinstance(reads(b"cos\nndarray\n."), pickle.UnpicklingError), \
    "module and name are allowed as a pair: the right name in another module is refused"

# %% [markdown]
# ## Folders and tables
#
# Many data sets are a folder for each class, with pictures in it. The class numbers are nowhere: they are the
# places of the names in alphabetical order, so that every machine gives the same ones. (The order in which a
# system lists its files is its own business, and differs between two copies of the same folder.)
#
# **Your turn.** `folder.iterdir()` lists what is in a folder, `folder.rglob("*")` also what lies deeper, both
# in no particular order. Files whose ending is not in `endings` are left out; `.PNG` counts as `.png`.

# %%
#| export
PICTURES = (".png", ".ppm", ".pgm", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")

# %%
#| export exercise
def labelled_files(folder: str | Path, endings: Sequence[str] = PICTURES):
    """The classes, and the files with the number of their class: a folder for each class.

    -> [name, …], [(path, class), …]
    """
    folder = Path(folder)
    #| hint Classes are the names of the folders in `folder`, sorted. A file beside them is no class.
    #| hint enumerate(classes) gives the numbers. path.suffix.lower() is the ending.
    ### BEGIN SOLUTION
    classes = sorted([inside.name for inside in folder.iterdir() if inside.is_dir()])
    files = [(path, number) for number, name in enumerate(classes)
             for path in sorted((folder / name).rglob("*")) if path.suffix.lower() in endings]
    return classes, files
    ### END SOLUTION

# %%
#| check 2
import tempfile

folder = Path(tempfile.mkdtemp())
for name in ("m/b.png", "m/a.PNG", "c/z.png", "c/old/y.png", "c/n.txt", "u.png", "x/k.ppm", "a/1.bmp",
             "q/1.png", "q/3.png", "q/0.png", "q/2.png", "f/1.jpg", "b/empty/note.md"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
classes, files = labelled_files(folder)
names = [(path.relative_to(folder).as_posix(), number) for path, number in files]
assert "u.png" not in classes and len(classes) == 7, "every folder is a class; a file beside them is none"
assert classes == sorted(classes), "classes stand in alphabetical order, however the system lists them"
assert "c/n.txt" not in [name for name, _ in names], "what is no picture is left out"
assert "m/a.PNG" in [name for name, _ in names], "an ending in capitals is the same ending"
assert "c/old/y.png" in [name for name, _ in names] and len(names) == 11, \
    "pictures count wherever they lie inside of a class"
assert all(classes[number] == name.split("/")[0] for name, number in names), \
    "a file has the number of its class"
assert [n for n, _ in names if n[0] == "q"] == ["q/0.png", "q/1.png", "q/2.png", "q/3.png"], \
    "the files of a class stand in order, however the system lists them"
assert labelled_files(folder, (".md",))[1][0][1] == 1, "other endings can be asked for"

# %% [markdown]
# A table in a text file, **CSV**, looks simpler than it is: a cell may be empty, and one in quotes may hold a
# comma. Python's `csv.reader` knows about the quotes. What a column means is your decision.
#
# **Your turn.** A column of numbers becomes a float tensor, and an empty cell there a NaN (not a zero: nobody
# measured a zero). A column with words becomes whole numbers, the places of its words in the alphabet.

# %%
#| export exercise
def column(cells: Sequence[str]) -> Tensor:
    """What a column of a table says: numbers, or words by their place in the alphabet.  -> (N)"""
    #| hint float(cell) raises a ValueError for a word. Then sort the set of all words.
    ### BEGIN SOLUTION
    try: return tensor([float(cell) if cell.strip() else math.nan for cell in cells])
    except ValueError:
        places = {word: place for place, word in enumerate(sorted(set(cells)))}
        return tensor([places[cell] for cell in cells])
    ### END SOLUTION


def read_csv(path: str | Path) -> dict[str, Tensor]:
    """The columns of a table, by the names in its first line."""
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        header, *rows = [row for row in csv.reader(file) if row]
    #| hint zip(*rows) turns rows into columns. With strict=True a short row is an error.
    ### BEGIN SOLUTION
    return {name: column(cells) for name, cells in zip(header, zip(*rows, strict=True), strict=True)}
    ### END SOLUTION

# %%
#| check 2
import tempfile

def table(text):
    path = Path(tempfile.mkdtemp()) / "table.csv"
    path.write_text(text, "utf-8")
    try: return read_csv(path)
    except ValueError: return "refused"

iris = table('length,kind,note\n5.1,setosa,"a, b"\n4.9,virginica,c\n\n,setosa,"a, b"\n')
assert list(iris) == ["length", "kind", "note"], "the first line names the columns"
assert len(iris["length"]) == 3, "every other line is a row, and an empty one is none"
assert str(iris["length"].tolist()) == str([5.099999904632568, 4.900000095367432, math.nan]), \
    "an empty cell among numbers is a NaN: nobody measured a zero"
assert iris["kind"].tolist() == [0, 1, 0], "words are numbered, the same word by the same number"
assert table("w\nb\na\nc\n")["w"].tolist() == [1, 0, 2], \
    "words are numbered by the alphabet, not by appearance"
assert iris["note"].tolist() == [0, 1, 0], "a comma in quotes belongs to the cell"
assert iris["kind"].dtype is int64 and iris["length"].dtype.name == "float32", \
    "numbers become floats, words whole numbers"
assert table("a,b\n1,2\n3\n") == "refused", "a row that is too short is refused: its cells would slip"
assert table("a,b\n1,2\n3,4,5\n") == "refused", "a row that is too long is refused as well"
assert table("a,b\n1\n2\n") == "refused", "every name needs a column"

# %% [markdown]
# ## Samples by number
#
# Whatever the format was, from here on a data set is two questions: how many samples are there, and what is
# sample number `i`? Nobody needs to know whether it lies in memory, on a disk or on the other side of the
# world.

# %%
#| export
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

# %% [markdown]
# **Your turn.** A sample of several tensors is a tuple with a part of each. Tensors of different lengths
# cannot belong together.

# %%
#| export exercise
class TensorDataset(Dataset):
    """Sample i is row i of each tensor."""

    def __init__(self, *tensors: Tensor):
        #| hint What lengths are there? A set of them should hold one.
        ### BEGIN SOLUTION
        if len({len(x) for x in tensors}) != 1:
            raise ValueError(f"a sample is a row of each tensor, and these have {[len(x) for x in tensors]}")
        ### END SOLUTION
        self.tensors = tensors

    def __getitem__(self, index):
        ### BEGIN SOLUTION
        return tuple([x[index] for x in self.tensors])
        ### END SOLUTION

    def __len__(self) -> int:
        ### BEGIN SOLUTION
        return len(self.tensors[0])
        ### END SOLUTION

    def __getbatch__(self, numbers: list[int]) -> list: return [x[numbers] for x in self.tensors]

# %%
#| check 2
x, y = tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), tensor([7, 8, 9])
pairs = TensorDataset(x, y)
assert len(pairs) == 3, "there are as many samples as rows, not as many as tensors"
assert isinstance(pairs[1], tuple), "a sample is a tuple"
assert pairs[1][0].tolist() == [3.0, 4.0] and pairs[1][1].item() == 8, "sample i is row i of every tensor"
assert len(TensorDataset(x)[0]) == 1, "one tensor makes tuples of one"
assert len(TensorDataset(x)) == 3, "one tensor has a length, too"
assert pairs[-1][1].item() == 9, "samples are counted from the end as everywhere"
try: refused = not TensorDataset(x, y[:2])
except ValueError: refused = True
assert refused, "tensors of different lengths do not belong together"

# %% [markdown]
# ## Who comes when
#
# A **sampler** says in which order. In the file's order all zeros may come first, and a network forgets zeros
# while it looks at nines. So the order is drawn anew for every round over the data, an **epoch**: a shuffle,
# not a draw with dice, which would leave out one sample in 2.718 and take others twice. Check that number:

# %%
thrown = np.random.default_rng(0).integers(0, 100_000, 100_000)
len(np.unique(thrown)) / 100_000, 1 - 1 / math.e

# %% [markdown]
# And it must be repeatable, or a bug that shows once never shows again. PyTorch's rule: with a generator of
# its own, a sampler draws from that; without, it takes *one* number from everybody's generator as the seed of
# a new one, so that the length of the data does not change what anybody else draws.

# %%
#| export
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

# %% [markdown]
# **Your turn.** Usually `num_samples` is n, the number of samples there are, and the order is one shuffle. If
# more are asked for: whole shuffles as long as they fit, then the beginning of another. `randperm(n,
# generator=…)` shuffles. (PyTorch draws that last shuffle even when none of it is needed; draw it too, and
# the next epoch will agree as well.)

# %%
#| export exercise
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
        #| hint generator = self.generator, or a new one: Generator().manual_seed(new_seed()).
        #| hint num_samples // n whole shuffles, then num_samples % n numbers of one more: yield from ….
        ### BEGIN SOLUTION
        generator = self.generator or Generator().manual_seed(new_seed())
        if self.replacement:
            yield from dice(n, self.num_samples, generator)
            return
        for _ in range(self.num_samples // n): yield from randperm(n, generator=generator).tolist()
        yield from randperm(n, generator=generator).tolist()[: self.num_samples % n]
        ### END SOLUTION

# %%
#| check 3
from tinytorch import manual_seed

manual_seed(0)
sampler = RandomSampler(range(10))
first, second = list(sampler), list(sampler)
assert sorted(first) == list(range(10)), "a shuffle has every sample once"
assert first != second, "each epoch has an order of its own"
manual_seed(0)
assert [list(sampler), list(sampler)] == [first, second], "the same seed brings the same orders again"
g, same = Generator().manual_seed(3), Generator().manual_seed(3)
own = RandomSampler(range(10), generator=g)
orders = [list(own), list(own)]
wanted = [randperm(10, generator=same).tolist() for _ in range(4)][::2]
assert orders[0] == wanted[0], "a sampler with a generator of its own draws from that"
assert orders == wanted, "its own generator goes on, past the last shuffle of which nothing is needed"
longer = list(RandomSampler(range(4), num_samples=10))
assert len(longer) == 10 and sorted(longer[:4]) == sorted(longer[4:8]) == [0, 1, 2, 3], \
    "when more are asked for, whole shuffles follow each other, and part of one more"
manual_seed(1)
assert len(set(RandomSampler(range(100), True))) < 80, "with replacement some come twice, others not at all"
thrown = list(RandomSampler(range(3), True, num_samples=50))
assert len(thrown) == 50 and set(thrown) == {0, 1, 2}, "dice of n sides are thrown num_samples times"
behind = []
for n in (5, 500):
    manual_seed(7)
    list(RandomSampler(range(n)))
    behind.append(rand(1).item())
assert behind[0] == behind[1], "only a seed is taken from everybody's generator, however long the data is"

# %% [markdown]
# A **batch sampler** groups any order. The last batch may be smaller; `drop_last` leaves it out.
#
# **Your turn.** Sampled numbers may come slowly and without end, so do not collect them all first.
# `list(itertools.islice(iterator, n))` takes the next n, or as many as are left.

# %%
#| export exercise
class BatchSampler(Sampler[list]):
    """Lists of `batch_size` numbers of another sampler."""

    def __init__(self, sampler: Iterable, batch_size: int, drop_last: bool):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"a batch has one sample or more, not {batch_size!r}")
        if not isinstance(drop_last, bool): raise ValueError(f"drop_last is True or False, not {drop_last!r}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list]:
        numbers = iter(self.sampler)
        ### BEGIN SOLUTION
        while batch := list(itertools.islice(numbers, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last: return
            yield batch
        ### END SOLUTION

    def __len__(self) -> int:
        #| hint With drop_last round down, else up.
        ### BEGIN SOLUTION
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        ### END SOLUTION

# %%
#| check 2
def batches(n, size, drop_last=False): return list(BatchSampler(range(n), size, drop_last))

assert batches(7, 3) == [[0, 1, 2], [3, 4, 5], [6]], "the last batch holds what is left"
assert batches(7, 3, True) == [[0, 1, 2], [3, 4, 5]], "drop_last leaves out a batch that is not full"
assert batches(6, 3) == batches(6, 3, True) == [[0, 1, 2], [3, 4, 5]], "a full last batch is never dropped"
assert batches(0, 3) == [], "no samples, no batches"
for n, drop in itertools.product((0, 1, 5, 6, 7), (False, True)):
    assert len(BatchSampler(range(n), 3, drop)) == len(batches(n, 3, drop)), \
        "len is the number of batches that come"
def slow():
    yield from range(4)
    raise ValueError("nobody needs a fifth number yet")

assert list(itertools.islice(BatchSampler(slow(), 2, False), 2)) == [[0, 1], [2, 3]], \
    "numbers are taken when they are needed, not all before"

# %% [markdown]
# ## From samples to a batch
#
# Samples come as tuples, dicts, lists, or trees of them; the leaves are tensors, numbers or words.
# **Collating** turns a list of trees into one tree of lists and stacks the leaves: a list of (picture, label)
# becomes pictures and labels.
#
# **Your turn.** Tensors are stacked along a new first dimension. A dict is collated key by key, a sequence
# part by part, each by this function again. `made_like(first, parts)` gives the container its class back;
# everything without parts goes to `collate_leaves(batch)`.

# %%
#| export exercise
def default_collate(batch: Sequence) -> Any:
    """A batch of one sample after the other as one sample of batches.  [(*), …] -> (N, *)"""
    first = batch[0]
    #| hint If isinstance(first, Mapping): {key: default_collate([x[key] for x in batch]) for key in first}.
    #| hint isinstance(first, Sequence) for tuples and lists, but str and bytes are sequences too.
    #| hint zip(*batch) gives the first parts of all samples, then the second ones …
    ### BEGIN SOLUTION
    if isinstance(first, Tensor): return stack(list(batch))
    if isinstance(first, Mapping):
        return made_like(first, {key: default_collate([x[key] for x in batch]) for key in first})
    if isinstance(first, Sequence) and not isinstance(first, (str, bytes)):
        if len({len(x) for x in batch}) != 1:
            raise RuntimeError("samples of a batch must have equally many parts: these have "
                               f"{[len(x) for x in batch]}")
        return made_like(first, [default_collate(parts) for parts in zip(*batch)])
    return collate_leaves(batch)
    ### END SOLUTION

# %%
#| check 3
from collections import namedtuple

Point = namedtuple("Point", "x y")
pairs = [(tensor([1.0, 2.0]), 5), (tensor([3.0, 4.0]), 6)]
nested = [(0, {"x": [1.0, (2, 3)]}), (4, {"x": [5.0, (6, 7)]})]
assert default_collate([tensor([1.0]), tensor([2.0])]).shape == (2, 1), \
    "tensors are stacked along a new first dimension"
assert default_collate(["x", "yz"]) == ["x", "yz"], \
    "words stay a list of words: they are not taken apart into letters"
assert [part.tolist() for part in default_collate(pairs)] == [[[1.0, 2.0], [3.0, 4.0]], [5, 6]], \
    "pairs become a batch of the first parts and a batch of the second"
assert default_collate([{"a": 1, "b": 2}, {"b": 3, "a": 4}])["a"].tolist() == [1, 4], \
    "dicts are collated key by key"
assert default_collate(nested)[1]["x"][1][0].tolist() == [2, 6], \
    "containers inside of containers are collated by the same rule"
assert default_collate(nested)[1]["x"][0].dtype.name == "float64", \
    "Python's floats become float64 here: that is PyTorch's rule"
assert isinstance(default_collate([Point(1, 2), Point(3, 4)]), Point), "a named tuple keeps its names"
try: refused = not default_collate([(1, 2), (3,)])
except RuntimeError: refused = True
assert refused, "samples with different numbers of parts are refused, and not cut to the shortest"

# %% [markdown]
# ## The loader
#
# Now the pieces meet. A **fetcher** is given what the sampler says: a list of numbers, or a single one where
# nobody makes batches. A stream has no numbers; there, the list only says how many are wanted. A dataset that
# can fetch many at once has `__getitems__`.
#
# There is a shortcut. Rows of a tensor need not be taken apart to be stacked again: indexing with a list of
# numbers takes them all at once, and that is ten times faster. `__getbatch__` above does it, as long as
# nobody wants samples made otherwise, by another `__getitem__` or another `collate_fn`.
#
# **Your turn.** Give `collate_fn` the samples of an order.

# %%
#| export
def batch_reader(dataset) -> Callable | None:
    """How a dataset reads whole batches, collated by default; None if it reads sample by sample."""
    for kind in type(dataset).__mro__:
        if "__getbatch__" in vars(kind): return dataset.__getbatch__
        if "__getitem__" in vars(kind): return None         # a subclass makes its samples otherwise
    return None

# %%
#| export exercise
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
        #| hint Without batches, order is one number: collate_fn gets that sample itself, not a list of it.
        #| hint hasattr(self.dataset, "__getitems__"): then it gives a list of samples for a list of numbers.
        ### BEGIN SOLUTION
        if not self.in_batches: return self.collate_fn(self.dataset[order])
        if hasattr(self.dataset, "__getitems__"): return self.collate_fn(self.dataset.__getitems__(order))
        return self.collate_fn([self.dataset[number] for number in order])
        ### END SOLUTION

    def next_of_stream(self, order):
        """The next samples of a stream; StopIteration at its end."""
        if not self.in_batches: return next(self.stream)
        samples = list(itertools.islice(self.stream, len(order)))
        if not samples or (self.drop_last and len(samples) < len(order)): raise StopIteration
        return samples

# %%
#| check 2
class Squares(Dataset):
    def __getitem__(self, i): return i * i

class Many(Squares):
    def __getitems__(self, numbers): return [-i for i in numbers]

assert Fetcher(Squares(), sorted, True, False)([3, 1, 2]) == [1, 4, 9], \
    "collate_fn gets the samples of a batch"
assert Fetcher(Squares(), list, True, False)([3, 1, 2]) == [9, 1, 4], \
    "samples come in the order that was asked for"
assert Fetcher(Squares(), str, False, False)(5) == "25", \
    "without batches collate_fn gets the sample, not a list"
assert Fetcher(Many(), list, True, False)([3, 1]) == [-3, -1], \
    "a dataset that can fetch many at once is asked to"

# %% [markdown]
# The loader itself is bookkeeping. It is given here: what it wishes by default, what one iteration is
# (`OneByOne` reads when it is asked; the crew of an appendix reads ahead in worker processes), and how long
# it is.

# %%
#| export
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

# %%
ink = as_tensor(digits).float() / 16
loader = DataLoader(TensorDataset(ink, as_tensor(labels)), batch_size=32, shuffle=True)
x, y = next(iter(loader))
x.shape, y

# %% [markdown]
# A loader has no memory between epochs: whoever wants the same order again brings a generator and seeds it.
# Which of these three first batches will be the same?

# %%
g = Generator().manual_seed(1)
loader = DataLoader(TensorDataset(as_tensor(labels)), batch_size=10, shuffle=True, generator=g)
for _ in range(2): print(next(iter(loader))[0].tolist())
g.manual_seed(1)
print(next(iter(loader))[0].tolist())

# %% [markdown]
# ## The same picture, never twice
#
# A digit shifted by a pixel is still that digit, and a horse in the mirror is a horse. Saying so costs
# nothing: change each picture a little at random whenever it is read, and the network never sees one twice.
# Such a change is a **transform**, a function of a picture; the names are torchvision's. A picture is a
# tensor `(…, H, W)` here. Before it is one, it is an array of bytes `(H, W)` or `(H, W, 3)`, as the readers
# give it.
#
# First the plain one. Networks start out for numbers around 0 with a spread of 1 (lesson 04). **Your turn:**
# `mean` and `std` have a number for each channel; the channel is the third dimension from the end.

# %%
#| export exercise
class Normalize:
    """Less the mean, by the standard deviation, channel by channel.  (*, C, H, W) -> (*, C, H, W)"""

    def __init__(self, mean, std, inplace: bool = False):
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point(): raise TypeError(f"Normalize wants floats, not {tensor.dtype}")
        mean, std = [as_tensor(x, dtype=tensor.dtype).reshape(-1, 1, 1) for x in (self.mean, self.std)]
        if (std == 0).any(): raise ValueError(f"a standard deviation of 0 cannot divide: {self.std}")
        ### BEGIN SOLUTION
        if self.inplace: return tensor.sub_(mean).div_(std)
        return (tensor - mean) / std
        ### END SOLUTION

    def __repr__(self) -> str: return f"Normalize(mean={self.mean}, std={self.std})"

# %%
#| check 2
picture = ones(2, 1, 2) * tensor([[[1.0, 3.0]], [[10.0, 20.0]]])
out = Normalize([1.0, 10.0], [2.0, 5.0])(picture)
assert out.tolist() == [[[0.0, 1.0]], [[0.0, 2.0]]], "each channel has its own mean and standard deviation"
assert picture[0].tolist() == [[1.0, 3.0]], "the picture that is given stays as it is"
assert Normalize((1.0,), (2.0,))(stack([picture, picture])).shape == (2, 2, 1, 2), \
    "whole batches are fine, too"
assert Normalize(1.0, 2.0, inplace=True)(picture) is picture and picture[0].tolist() == [[0.0, 1.0]], \
    "inplace writes over the picture"
assert out.dtype.name == "float32", "float32 in, float32 out"

# %%
#| export
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

# %% [markdown]
# **Your turn.** A mirror with probability p. All chance comes from `rand` and `randint`, so that
# `manual_seed` rules it: NumPy's own dice would be the same in every worker. (`flip(tensor, [dim])` turns a
# tensor around, `np.flip(array, axis)` an array; `sides` knows which dimension is the width.)

# %%
#| export exercise
class RandomHorizontalFlip:
    """The picture in the mirror, with probability p.  (*, H, W) -> (*, H, W)"""

    def __init__(self, p: float = 0.5): self.p = p

    def __call__(self, img):
        if rand(1).item() >= self.p: return img
        width = sides(img)[1]
        ### BEGIN SOLUTION
        return flip(img, [width]) if isinstance(img, Tensor) else np.flip(img, width)
        ### END SOLUTION

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
        #| hint The part may begin at any of down + 1 rows: from 0 to down, both included.
        #| hint randint(high, (1,)).item() draws from 0 to high - 1. First the row, then the column; then cut.
        ### BEGIN SOLUTION
        top, left = randint(down + 1, (1,)).item(), randint(across + 1, (1,)).item()
        return cut(img, top, left, height, width)
        ### END SOLUTION

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

# %%
#| check 3
from tinytorch import manual_seed

grid = tensor([[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]])
manual_seed(0)
mirrored = RandomHorizontalFlip(1.0)
assert mirrored(grid).tolist() == [[[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]], \
    "a mirror swaps left and right, not up and down"
assert mirrored(grid.array[0]).tolist() == [[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]], \
    "in an array of bytes the width is the second dimension"
assert isinstance(mirrored(grid), Tensor) and isinstance(mirrored(grid.array[0]), np.ndarray), \
    "a tensor stays a tensor, an array an array"
assert mirrored(np.arange(12).reshape(1, 4, 3))[0, :, 0].tolist() == [9, 6, 3, 0], \
    "colours stay in their order"
manual_seed(0)
corners = {RandomCrop((1, 2))(grid)[0, 0, 0].item() for _ in range(60)}
assert corners == {0.0, 1.0, 3.0, 4.0}, "a part may begin at every place where it fits, the last one included"
assert RandomCrop((1, 2))(grid).shape == (1, 1, 2), "the size is (height, width)"
manual_seed(1)
parts = {str(RandomCrop(2, padding=1)(ones(1, 1, 1)).tolist()) for _ in range(60)}
assert len(parts) == 4, "with a margin the picture moves about in the part"
manual_seed(4)
places = [randint(4, (1,)).item(), randint(6, (1,)).item()]
manual_seed(4)
assert RandomCrop((2, 3))(np.arange(40).reshape(5, 8)).flat[0] == 8 * places[0] + places[1], \
    "first the row is drawn, then the column, from everybody's generator"

# %% [markdown]
# One four, sixteen times:

# %%
from tinytorch import manual_seed

manual_seed(2)
shifted = RandomCrop(8, padding=2)
Picture(255 - sheet([shifted(digits[4]) for _ in range(16)], 8) * 15)

# %% [markdown]
# (No mirror for digits: a mirrored 3 is nothing, and a mirrored 2 nearly a 5. What leaves the label as it is
# depends on what the label means.)
#
# ## Text becomes numbers
#
# The simplest alphabet of a text is the characters in it, numbered. **Your turn.** Sort them, so that the
# same text always gives the same numbers.

# %%
#| export exercise
class CharTokenizer:
    """Characters as numbers, and back."""

    def __init__(self, text: Iterable[str]):
        ### BEGIN SOLUTION
        self.characters = "".join(sorted(set(text)))
        ### END SOLUTION
        self.numbers = {character: number for number, character in enumerate(self.characters)}

    def __len__(self) -> int: return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """The numbers of the characters; one that the alphabet lacks is a ValueError that shows it."""
        ### BEGIN SOLUTION
        try: return [self.numbers[character] for character in text]
        except KeyError as unknown:
            raise ValueError(f"{unknown} is not among the {len(self)} characters of this alphabet") from None
        ### END SOLUTION

    def decode(self, ids: Iterable[int]) -> str:
        """The text again."""
        ### BEGIN SOLUTION
        return "".join([self.characters[number] for number in ids])
        ### END SOLUTION

    def save(self, path: str | Path) -> None:
        """Writes the alphabet as JSON."""
        write_whole(path, json.dumps({"kind": "characters", "characters": self.characters}).encode())

    @classmethod
    def load(cls, path: str | Path):
        """An alphabet that was saved."""
        kept = json.loads(Path(path).read_text("utf-8"))
        if kept.get("kind") != "characters": raise ValueError(f"{path} holds no alphabet of characters")
        return cls(kept["characters"])

# %%
#| check 2
letters = CharTokenizer("hello, world")
assert len(letters) == 9, "each different character counts once"
assert letters.characters == " ,dehlorw", "sorted: a set has an order of its own in every run of Python"
assert letters.decode(letters.encode("well, hold")) == "well, hold", "decode takes back what encode did"
assert letters.encode("h") == [4], "a character is its place in the alphabet"
assert isinstance(letters.encode("he"), list), "numbers come as a list"
def said(text):
    try: return letters.encode(text)
    except ValueError as error: return str(error)

assert "'p'" in str(said("help")), "a character that is not there is refused, and named"

# %% [markdown]
# What does a network learn from text? To go on. The right answer to each character is the next one, so a
# stretch of T characters holds T questions at once. **Your turn:** sample i begins at character i; the
# answers are the same stretch, one further.

# %%
#| export exercise
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
        ### BEGIN SOLUTION
        return self.ids[begin : begin + self.length], self.ids[begin + 1 : begin + 1 + self.length]
        ### END SOLUTION

    def __len__(self) -> int:
        #| hint The last stretch must have one token behind it. With 5 tokens and stretches of 3?
        ### BEGIN SOLUTION
        return len(self.ids) - self.length
        ### END SOLUTION

# %%
#| check 2
stretches = Text([10, 11, 12, 13, 14], 3)
assert [part.tolist() for part in stretches[0]] == [[10, 11, 12], [11, 12, 13]], \
    "the answers are the next tokens"
assert len(stretches) == 2, "the last stretch still has a token behind it"
assert [part.tolist() for part in stretches[1]] == [[11, 12, 13], [12, 13, 14]], "sample i begins at token i"
assert all(len(x) == len(y) == 3 for x, y in map(stretches.__getitem__, range(len(stretches)))), \
    "question and answer are equally long, up to the last sample"
assert stretches[-1][1].tolist() == [12, 13, 14], "the last sample ends with the last token"

# %% [markdown]
# Characters make long stretches, and words make an alphabet without end in which tomorrow's word is missing.
# Between them lies a trick from data compression (Gage 1994): begin with the 256 bytes, which any text and
# any file is made of. Find the pair that stands side by side most often, and give it a number of its own.
# Again, and again. Frequent words end up as one token, and nothing is ever unknown: **byte pairs**.
#
# **Your turn.** First the step that is done over and over. Take from left to right: of three equal tokens
# in a row, the first two are a pair, and the third stays.

# %%
#| export exercise
def merge(ids: Sequence[int], pair: tuple[int, int], new: int) -> list[int]:
    """The tokens, with `new` in place of each pair."""
    #| hint Walk with an index, and step by two after a pair. Mind the last token.
    ### BEGIN SOLUTION
    out, i = [], 0
    while i < len(ids):
        found = i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair
        out.append(new if found else ids[i])
        i += 2 if found else 1
    return out
    ### END SOLUTION

# %%
#| check 2
assert merge([1, 2, 3, 1, 2], (1, 2), 9) == [9, 3, 9], "each pair becomes one token, the last one too"
assert merge([1, 1, 1], (1, 1), 9) == [9, 1], "from left to right: a token belongs to one pair only"
assert merge([2, 1, 3], (1, 2), 9) == [2, 1, 3], "the order inside a pair counts"
assert merge([1, 2], (1, 2), 9) == [9] and merge([], (1, 2), 9) == [] and merge([1], (1, 2), 9) == [1], \
    "short lists need no special care"
before = [1, 2, 1, 2]
assert merge(before, (1, 2), 9) == [9, 9] and before == [1, 2, 1, 2], "the list that is given stays as it is"

# %% [markdown]
# **Your turn.** Learn n pairs from a text: count neighbours (`Counter(pairwise(ids))`), merge the most
# frequent pair, repeat. Equally frequent pairs: the one with smaller numbers. The first pair gets number 256,
# the next 257, and so on. Stop early when nothing is left to pair.

# %%
#| export exercise
def learn_pairs(text: bytes, n: int) -> list[tuple[int, int]]:
    """The n pairs to merge, in the order in which they were found: pair i makes token 256 + i."""
    ids, pairs = list(text), []
    #| hint min(counts, key=lambda pair: (-counts[pair], pair)): most frequent, and of equals the smaller.
    #| hint After each merge count again: the neighbours have changed.
    ### BEGIN SOLUTION
    while len(pairs) < n and len(ids) > 1:
        counts = Counter(pairwise(ids))
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        ids = merge(ids, best, 256 + len(pairs))
        pairs.append(best)
    return pairs
    ### END SOLUTION


def bytes_of(pairs: Sequence[tuple[int, int]]) -> list[bytes]:
    """What each token stands for: 256 single bytes, then what the parts of each pair stand for."""
    words = [bytes([byte]) for byte in range(256)]
    #| hint Pair i is made of tokens that are already in the list.
    ### BEGIN SOLUTION
    for first, second in pairs: words.append(words[first] + words[second])
    ### END SOLUTION
    return words

# %%
#| check 3
assert learn_pairs(b"abcababc", 1) == [(97, 98)], "the pair that stands side by side most often comes first"
assert learn_pairs(b"abcababc", 2) == [(97, 98), (256, 99)], \
    "a new token, from 256 on, can be part of the next pair"
assert learn_pairs(b"xyab", 1) == [(97, 98)], "of equally frequent pairs the one with the smaller numbers"
assert learn_pairs(b"abababab", 3) == [(97, 98), (256, 256), (257, 257)], \
    "neighbours are counted anew after each merge"
assert learn_pairs(b"ab", 9) == [(97, 98)] and learn_pairs(b"", 3) == [], \
    "a text that is one token has no more pairs"
assert bytes_of([(97, 98), (256, 99)])[255:] == [b"\xff", b"ab", b"abc"], \
    "a token stands for what its parts stand for"

# %%
sonnets = shipped("text/sonnets.txt").read_bytes()
pairs = learn_pairs(sonnets[:20_000], 60)
bytes_of(pairs)[256:]

# %% [markdown]
# English appears: `the`, `and`, `thou`, and an `e` that likes to end words. This took a while: each pair cost
# a walk over the whole text. An appendix counts only what a merge changes, cuts the text into words first so
# that no token runs across two of them, and learns a thousand pairs from a megabyte in seconds.
#
# ## Who waits for whom
#
# How long does it take to read an epoch? Each sample costs some microseconds of Python. Guess which of these
# is fastest, and by how much: batches of 1, of 64, or reading ahead in two worker processes.

# %%
from tinytorch import timed

class Augmented(Dataset):
    """Digits that take some work."""

    def __init__(self, pictures): self.pictures = pictures
    def __len__(self): return len(self.pictures)
    def __getitem__(self, i): return RandomCrop(8, padding=2)(self.pictures[i])

def epoch(**settings):
    return sum([len(batch) for batch in DataLoader(Augmented(ink[:1000]), **settings)])

for settings in ({"batch_size": 1}, {"batch_size": 64}, {"batch_size": 64, "num_workers": 2}):
    print(f"{1e3 * timed(lambda settings=settings: epoch(**settings), repeat=2).best:6.0f} ms  {settings}")

# %% [markdown]
# Workers cost something: they have to be started, and every batch is carried over. They pay when a sample
# takes long (pictures to unpack, files on a slow disk) and there are processors that would idle; for small
# data that lies in memory they are a loss. Measure before you add them.
#
# ## Challenges
#
# 1. Shuffling reads a disk in random order, which old disks hate. Read blocks of 1,000 samples in random
#    order, and shuffle inside a window of a few blocks. How would you measure whether that is random enough?
# 2. Write a batch sampler that puts texts of similar length together, so that little padding is needed, and
#    is still random.
# 3. `Normalize` wants the mean and deviation of the data. Compute both for CIFAR-10 in one pass, without
#    holding it in memory.
# 4. Your byte pairs are learned from English. How many tokens does the same sentence take in German, in
#    Chinese, in Python? Who pays for that?
# 5. Make a pickle that reads a file without any function: only by what `ALLOWED` gives. (You should not
#    succeed. What is the worst that you can do?)
#
# ## Design note: why samples are asked for by number
#
# A data set could be a stream: `for sample in data`. That is what disks, networks and generators like, and
# `IterableDataset` is there for them. But a stream belongs to the one who reads it. It cannot be shuffled,
# split, weighted, shared among workers or resumed in the middle without its help, and each stream has to
# learn all of that by itself. A number is a small thing with large consequences: whoever decides about
# numbers decides about order, and needs to know nothing about files. Samplers, subsets, splits and workers
# are then written once, for all data there will ever be. The price is that something must be able to find
# sample 4,711,042 quickly, and sometimes building that index is the real work.
