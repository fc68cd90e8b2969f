# %% [markdown]
# # Appendix: data sets by name
#
# Small ones came with the course. The others are looked for where you say, or in the folder for data; with
# `download=True` they are fetched. Folders and files are those of torchvision, so what it has fetched is
# found. A picture is an array of bytes until a transform makes a tensor of it.

# %%
#| export
"""Data sets by name, from the files they come in."""

# %%
#| export
from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tinytorch.creation import as_tensor
from tinytorch.dataloader import (
    PICTURES,
    CharTokenizer,
    Dataset,
    Text,
    labelled_files,
    read_cifar,
    read_idx,
    read_pickle,
)
from tinytorch.downloads import by_hand, download
from tinytorch.folders import data_folder, shipped
from tinytorch.pictures import read_picture
from tinytorch.tensor import Tensor

# %%
#| export
class Pictures(Dataset):
    """Pictures in memory, with labels: (transform(picture), target_transform(label))."""

    classes: Sequence[str] = ()

    def __init__(
        self, data, targets, transform: Callable | None = None, target_transform: Callable | None = None,
    ):
        self.data, self.targets = data, targets         # (N, H, W) or (N, H, W, 3), (N)
        self.transform, self.target_transform = transform, target_transform

    def __len__(self) -> int: return len(self.data)

    def __getitem__(self, index: int):
        picture = self.data.array[index] if isinstance(self.data, Tensor) else self.data[index]
        label = int(self.targets[index])
        return (self.transform(picture) if self.transform else picture,
                self.target_transform(label) if self.target_transform else label)

    @property
    def class_to_idx(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.classes)}

    def __repr__(self) -> str: return f"{type(self).__name__}: {len(self)} pictures of {self.data.shape[1:]}"


def found(root: str | Path | None, places: Sequence[str], what: str) -> Path:
    """The first of several places inside of a folder where something is."""
    base = Path(root) if root is not None else data_folder()
    for place in places:
        if (base / place).exists(): return base / place
    where = by_hand(base / places[0])
    raise FileNotFoundError(f"{what} is not in {base}. download=True fetches it. {where}")

# %% [markdown]
# ## MNIST and its cousin

# %%
#| export
class MNIST(Pictures):
    """70,000 handwritten digits of 28 x 28 pixels, 255 for ink (LeCun, Cortes and Burges 1998)."""

    mirrors = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
    resources = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    classes = ("0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven",
               "8 - eight", "9 - nine")

    def __init__(
        self, root: str | Path | None = None, train: bool = True, transform: Callable | None = None,
        target_transform: Callable | None = None, download: bool = False,
    ):
        self.root, self.train = Path(root) if root is not None else data_folder(), train
        if download: self.download()
        which = "train" if train else "t10k"
        pictures = read_idx(self.file(f"{which}-images-idx3-ubyte"))
        labels = read_idx(self.file(f"{which}-labels-idx1-ubyte"))
        super().__init__(as_tensor(pictures), as_tensor(labels.astype(np.int64)), transform, target_transform)

    def file(self, name: str) -> Path:
        """Where a file is, packed or not."""
        own = type(self).__name__
        folders, ends = (f"{own}/raw", own, own.lower()), (".gz", "")
        return found(self.root, [f"{folder}/{name}{end}" for folder in folders for end in ends], name)

    def download(self) -> None:
        """Fetches the four files that are not there."""
        for name, checksum in self.resources.items():
            try: self.file(name.removesuffix(".gz"))
            except FileNotFoundError:
                download([mirror + name for mirror in self.mirrors],
                         self.root / type(self).__name__ / "raw" / name, checksum)


class FashionMNIST(MNIST):
    """70,000 pieces of clothing of 28 x 28 pixels (Xiao, Rasul and Vollgraf 2017)."""

    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    resources = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    classes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
               "Ankle boot")

# %% [markdown]
# ## CIFAR
#
# It comes as pickles or as records, unpacked or as an archive. An archive is read where it lies: nothing is
# unpacked, so no name in it can point out of its folder.

# %%
#| export
class CIFAR10(Pictures):
    """60,000 pictures of 32 x 32 pixels, ten classes of animals and vehicles (Krizhevsky 2009)."""

    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    checksum = "c58f30108f718f92721af3b95e74349a"
    forms = {                               # folder -> the archive it comes in, files to train on, to test on
        "cifar-10-batches-py": (
            "cifar-10-python.tar.gz", [f"data_batch_{i}" for i in range(1, 6)], ["test_batch"]),
        "cifar-10-batches-bin": (
            "cifar-10-binary.tar.gz", [f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"]),
    }
    labels, label_key = 1, "labels"         # in front of a record; the last one's name in a pickle
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(
        self, root: str | Path | None = None, train: bool = True, transform: Callable | None = None,
        target_transform: Callable | None = None, download: bool = False,
    ):
        self.root, self.train = Path(root) if root is not None else data_folder(), train
        if download: self.download()
        parts = [self.batch(name, content) for name, content in self.contents()]
        data, labels = [np.concatenate(halves) for halves in zip(*parts)]
        super().__init__(data, labels.tolist(), transform, target_transform)

    def contents(self) -> list[tuple[str, bytes]]:
        """The files of this half, by name."""
        for folder, (archive, train, test) in self.forms.items():
            names = train if self.train else test
            if (self.root / folder).is_dir():
                return [(name, (self.root / folder / name).read_bytes()) for name in names]
            if (self.root / archive).is_file():
                with tarfile.open(self.root / archive) as tar:
                    return [(name, tar.extractfile(f"{folder}/{name}").read()) for name in names]
        places = [place for folder, (archive, *_) in self.forms.items() for place in (archive, folder)]
        return [("", found(self.root, places, type(self).__name__).read_bytes())]

    def batch(self, name: str, content: bytes):
        """The pictures and labels in one file."""
        if name.endswith(".bin"): return read_cifar(content, self.labels)
        kept = read_pickle(content)
        pictures = np.ascontiguousarray(kept["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        return pictures, np.array(kept[self.label_key], np.int64)

    def download(self) -> None:
        """Fetches the archive, if neither it nor a folder is there."""
        folders, archives = list(self.forms), [archive for archive, *_ in self.forms.values()]
        if not any([(self.root / place).exists() for place in (*folders, *archives)]):
            download(self.url, self.root / archives[0], self.checksum)


class CIFAR100(CIFAR10):
    """60,000 pictures of 32 x 32 pixels, a hundred classes."""

    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    checksum = "eb9058c3a382ffc7106e4002c42a8d85"
    forms = {
        "cifar-100-python": ("cifar-100-python.tar.gz", ["train"], ["test"]),
        "cifar-100-binary": ("cifar-100-binary.tar.gz", ["train.bin"], ["test.bin"]),
    }
    labels, label_key = 2, "fine_labels"
    classes = ()                            # their names lie in the archive, in a file of their own

# %% [markdown]
# ## Folders of your own

# %%
#| export
class DatasetFolder(Dataset):
    """A folder for each class; a file is read by `loader` when it is asked for."""

    def __init__(
        self, root: str | Path, loader: Callable, extensions: Sequence[str] | None = None,
        transform: Callable | None = None, target_transform: Callable | None = None,
        is_valid_file: Callable | None = None, allow_empty: bool = False,
    ):
        if (extensions is None) == (is_valid_file is None):
            raise ValueError("say which files count: by extensions, or by is_valid_file")
        self.root, self.loader = root, loader
        self.transform, self.target_transform = transform, target_transform
        self.classes, self.samples = labelled_files(root, Everything() if extensions is None else extensions)
        self.samples = [(str(path), number) for path, number in self.samples
                        if path.is_file() and (is_valid_file is None or is_valid_file(str(path)))]
        self.targets = [number for _, number in self.samples]
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        empty = [name for number, name in enumerate(self.classes) if number not in set(self.targets)]
        if not self.classes: raise FileNotFoundError(f"{root} holds no folders: each class is one")
        if empty and not allow_empty:
            raise FileNotFoundError(f"there is no file that counts in {', '.join(empty)}")

    def __len__(self) -> int: return len(self.samples)

    def __getitem__(self, index: int):
        path, label = self.samples[index]
        sample = self.loader(path)
        return (self.transform(sample) if self.transform else sample,
                self.target_transform(label) if self.target_transform else label)


class Everything:
    """Holds whatever it is asked about."""

    def __contains__(self, thing) -> bool: return True


class ImageFolder(DatasetFolder):
    """A folder for each class, with pictures in it."""

    def __init__(
        self, root: str | Path, transform: Callable | None = None, target_transform: Callable | None = None,
        loader: Callable = read_picture, is_valid_file: Callable | None = None, allow_empty: bool = False,
    ):
        extensions = PICTURES if is_valid_file is None else None
        super().__init__(root, loader, extensions, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples

# %% [markdown]
# ## What came with the course
#
# The digits are split by the forms they were written on: no hand is on both sides (see `datasets/digits`).

# %%
#| export
class Digits(Pictures):
    """1,797 handwritten digits of 8 x 8 pixels, 255 for ink: 1,415 to train on, 382 by other people."""

    classes = MNIST.classes

    def __init__(
        self, train: bool = True, transform: Callable | None = None, target_transform: Callable | None = None,
    ):
        with np.load(shipped("digits/digits.npz")) as file:
            mine = (file["forms"] < 11) == train
            pictures, labels = file["images"][mine] * 255.0 / 16, file["labels"][mine].astype(np.int64)
        pictures = as_tensor(pictures.round().astype(np.uint8))
        super().__init__(pictures, as_tensor(labels), transform, target_transform)


class Sonnets(Text):
    """Shakespeare's sonnets, character by character: 1 to 138 to train on, the last 16 to test."""

    def __init__(self, train: bool = True, length: int = 64, tokenizer=None):
        text = shipped("text/sonnets.txt").read_text("utf-8")
        poems = text.split("\n\n")
        self.tokenizer = tokenizer or CharTokenizer(text)
        self.text = "\n\n".join(poems[:138] if train else poems[138:])
        super().__init__(self.tokenizer.encode(self.text), length)

# %% [markdown]
# ## More text

# %%
#| export
def text_file(root, name: str, url: str, checksum: str, fetch: bool) -> str:
    """A text from the folder for data."""
    base = Path(root) if root is not None else data_folder()
    if fetch: download(url, base / name, checksum)
    return found(root, [name], name).read_text("utf-8")


class Shakespeare(Text):
    """1.1 MB of Shakespeare's plays, character by character: the first nine tenths to train on."""

    url = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
    checksum = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

    def __init__(
        self, root: str | Path | None = None, train: bool = True, length: int = 64, tokenizer=None,
        download: bool = False,
    ):
        text = text_file(root, "tinyshakespeare.txt", self.url, self.checksum, download)
        self.tokenizer = tokenizer or CharTokenizer(text)
        self.text = text[: 9 * len(text) // 10] if train else text[9 * len(text) // 10 :]
        super().__init__(self.tokenizer.encode(self.text), length)


class Names(Dataset):
    """32,033 first names, one a sample."""

    url = "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt"
    checksum = "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"

    def __init__(self, root: str | Path | None = None, download: bool = False):
        self.names = text_file(root, "names.txt", self.url, self.checksum, download).split()

    def __len__(self) -> int: return len(self.names)
    def __getitem__(self, index: int) -> str: return self.names[index]
