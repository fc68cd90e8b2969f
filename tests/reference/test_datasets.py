"""Data sets by name: small files in the real formats, and the real ones where they are."""

import gzip
import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import tinytorch
from tinytorch import datasets, transforms
from tinytorch.dataloader import read_pickle
from tinytorch.folders import shipped
from tinytorch.utils.data import DataLoader

rng = np.random.default_rng(10)

# --------------------------------------------------------------------------------------------- MNIST

def idx(array) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def digits(tmp_path):
    """A small MNIST, as it is published: four files, packed."""
    arrays = {"train": (rng.integers(0, 256, (12, 28, 28)), rng.integers(0, 10, 12)),
              "t10k": (rng.integers(0, 256, (5, 28, 28)), rng.integers(0, 10, 5))}
    files = {}
    for half, (pictures, labels) in arrays.items():
        files[f"{half}-images-idx3-ubyte.gz"] = gzip.compress(idx(pictures))
        files[f"{half}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels))
    return arrays, files


def put(folder: Path, files) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items(): (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("folder", ["MNIST/raw", "MNIST", "mnist"])
@pytest.mark.parametrize("packed", [True, False])
def test_mnist_is_found_where_people_put_it(folder, packed, digits, tmp_path):
    arrays, files = digits
    if not packed:
        files = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in files.items()}
    put(tmp_path / folder, files)
    for train, (pictures, labels) in zip((True, False), arrays.values()):
        found = datasets.MNIST(tmp_path, train)
        assert np.array_equal(found.data.array, pictures) and found.targets.tolist() == labels.tolist()
        assert found.data.dtype is tinytorch.uint8 and found.targets.dtype is tinytorch.int64
        picture, label = found[3]
        assert np.array_equal(picture, pictures[3]) and label == labels[3] and type(label) is int
    assert len(found) == 5 and found.class_to_idx["7 - seven"] == 7


def test_transforms_are_applied(digits, tmp_path):
    arrays, files = digits
    put(tmp_path / "FashionMNIST" / "raw", files)
    found = datasets.FashionMNIST(tmp_path, True, transforms.ToTensor(), lambda label: label + 100)
    (pictures, labels), *_ = DataLoader(found, 12)
    assert pictures.shape == (12, 1, 28, 28) and pictures.dtype is tinytorch.float32
    assert np.allclose(pictures.array[:, 0], arrays["train"][0] / 255) and labels.tolist() == \
        (arrays["train"][1] + 100).tolist()


def test_the_default_folder_is_tinytorch_data(digits, tmp_path, monkeypatch):
    put(tmp_path / "MNIST" / "raw", digits[1])
    monkeypatch.setenv("TINYTORCH_DATA", str(tmp_path))
    assert len(datasets.MNIST(train=False)) == 5


def test_what_is_not_there_says_where_it_should_be(tmp_path):
    for make, name in [(datasets.MNIST, "train-images-idx3-ubyte"),
                       (datasets.CIFAR10, "cifar-10-python.tar.gz"),
                       (datasets.Shakespeare, "tinyshakespeare.txt"), (datasets.Names, "names.txt")]:
        with pytest.raises(FileNotFoundError, match="TINYTORCH_DATA") as caught: make(tmp_path)
        assert name in str(caught.value) and str(tmp_path) in str(caught.value) and \
            "download=True" in str(caught.value)


def test_it_is_fetched_and_checked(digits, tmp_path):
    served = put(tmp_path / "server", digits[1])

    class Local(datasets.MNIST):
        mirrors = ("file:///nowhere/", served.as_uri() + "/")
        resources: ClassVar = {name: hashlib.md5(content).hexdigest() for name, content in digits[1].items()}
    assert len(Local(tmp_path / "data", download=True)) == 12
    assert sorted(p.name for p in (tmp_path / "data/Local/raw").iterdir()) == sorted(digits[1])
    Local.mirrors = ()
    assert len(Local(tmp_path / "data", False, download=True)) == 5, "what is there is not fetched again"


# --------------------------------------------------------------------------------------------- CIFAR

class Python2(pickle._Pickler):
    """Writes pickles as Python 2 did: protocol 2, with byte strings, and NumPy at its old address."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, text):
        data = text.encode("latin1") if isinstance(text, str) else bytes(text)
        self.write(b"T" + len(data).to_bytes(4, "little") + data)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_string


def python2(thing) -> bytes:
    file = io.BytesIO()
    Python2(file, 2).dump(thing)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def cifar(n: int, names=("labels",), classes: int = 10):
    pictures = rng.integers(0, 256, (n, 32, 32, 3), np.uint8)
    labels = [rng.integers(0, classes, n) for _ in names]
    planes = pictures.transpose(0, 3, 1, 2).reshape(n, -1)
    kept = {"batch_label": "a batch", "data": planes, "filenames": [f"{i}.png" for i in range(n)],
            **{name: numbers.tolist() for name, numbers in zip(names, labels)}}
    binary = b"".join(bytes([*front]) + row.tobytes() for *front, row in zip(*labels, planes))
    return pictures, labels[-1], python2(kept), binary


def archive(path: Path, folder: str, files) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def test_the_pickles_here_are_those_of_python_2():
    written = python2({"data": np.arange(300, dtype=np.uint8).reshape(2, 150), "filenames": ["a"]})
    assert b"_codecs" not in written and b"cnumpy.core.multiarray\n_reconstruct" in written
    assert read_pickle(written)["data"].shape == (2, 150) and read_pickle(written)["filenames"] == ["a"]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("make", "python", "binary", "names", "train"), [
    (datasets.CIFAR10, "cifar-10-batches-py", "cifar-10-batches-bin", ("labels",),
     [f"data_batch_{i}" for i in range(1, 6)]),
    (datasets.CIFAR100, "cifar-100-python", "cifar-100-binary", ("coarse_labels", "fine_labels"), ["train"]),
])
def test_cifar_in_both_of_its_forms(make, python, binary, names, train, packed, tmp_path):
    parts = {name: cifar(3, names) for name in [*train, "test_batch" if len(train) > 1 else "test"]}
    want = np.concatenate([parts[name][0] for name in train])
    labels = np.concatenate([parts[name][1] for name in train]).tolist()
    forms = {python: {name: part[2] for name, part in parts.items()},
             binary: {f"{name}.bin": part[3] for name, part in parts.items()}}
    names_of = {"cifar-10-batches-py": "cifar-10-python", "cifar-10-batches-bin": "cifar-10-binary"}
    for folder, files in forms.items():
        root = tmp_path / folder
        root.mkdir()
        if packed: archive(root / f"{names_of.get(folder, folder)}.tar.gz", folder, files)
        else: put(root / folder, files)
        found = make(root)
        assert np.array_equal(found.data, want) and found.targets == labels
        assert len(make(root, train=False)) == 3 and np.array_equal(found[1][0], want[1])


def test_a_pickle_that_gives_orders_is_not_obeyed(tmp_path):
    class Orders:
        def __reduce__(self): return os.mkdir, (str(tmp_path / "obeyed"),)
    put(tmp_path / "cifar-100-python", {"train": pickle.dumps({"data": Orders(), "fine_labels": []}, 2)})
    with pytest.raises(pickle.UnpicklingError, match="mkdir"): datasets.CIFAR100(tmp_path)
    assert not (tmp_path / "obeyed").exists()


# ----------------------------------------------------------------------------------------- what is shipped

def test_digits_are_split_by_the_hands_that_wrote_them():
    with np.load(shipped("digits/digits.npz")) as file: given = dict(file)
    train, test = datasets.Digits(), datasets.Digits(train=False)
    assert (len(train), len(test)) == (1415, 382)
    images = np.concatenate([train.data.array, test.data.array])
    assert np.array_equal(np.round(images / 255 * 16), given["images"]) and images.max() == 255
    assert train.targets.tolist() + test.targets.tolist() == given["labels"].tolist()


def test_sonnets_ask_for_the_next_character():
    train, test = datasets.Sonnets(length=20), datasets.Sonnets(train=False, length=20)
    text = shipped("text/sonnets.txt").read_text()
    assert text.startswith(train.text) and text.endswith(test.text) and len(train.tokenizer) == 61
    assert len(train.text.split("\n\n")) == 138 and len(test.text.split("\n\n")) == 16
    x, y = train[7]
    assert train.tokenizer.decode(x.tolist()) == text[7:27] and \
        train.tokenizer.decode(y.tolist()) == text[8:28]


# -------------------------------------------------------------------------------------- the real ones

@pytest.mark.slow
def test_the_real_mnist(data):
    train, test = datasets.MNIST(data), datasets.MNIST(data, train=False)
    assert train.data.shape == (60_000, 28, 28) and test.data.shape == (10_000, 28, 28)
    counts = np.bincount(train.targets.array)
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], "as published"
    assert np.bincount(test.targets.array).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    mean, std = train.data.array.mean() / 255, train.data.array.std() / 255
    assert abs(mean - 0.1307) < 5e-5 and abs(std - 0.3081) < 5e-5, \
        "the numbers that everybody normalises with"
    assert train.targets[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


@pytest.mark.slow
def test_the_real_cifar(data, tmp_path):
    """Its pictures were JPEG once, so values differ a little; labels and layout are the published ones."""
    pytest.importorskip("PIL", reason="the copy in shared/data holds JPEG pictures")
    import runpy
    import sys
    program = str(data / "build_cifar10.py")
    before, sys.argv = sys.argv, [program, str(tmp_path)]
    try: runpy.run_path(program, run_name="__main__")
    finally: sys.argv = before
    train, test = datasets.CIFAR10(tmp_path), datasets.CIFAR10(tmp_path, train=False)
    assert train.data.shape == (50_000, 32, 32, 3) and test.data.shape == (10_000, 32, 32, 3)
    assert np.bincount(train.targets).tolist() == [5000] * 10 and \
        np.bincount(test.targets).tolist() == [1000] * 10
    means = train.data.reshape(-1, 3).mean(0) / 255
    assert np.abs(means - [0.4914, 0.4822, 0.4465]).max() < 5e-3, "red, green and blue, in this order"
    neighbours = np.abs(np.diff(train.data[:1000].astype(int), axis=2)).mean()
    assert neighbours < 20, "rows and columns are where they were: neighbours look alike"


@pytest.mark.slow
def test_the_real_text(data):
    train, test = datasets.Shakespeare(data, length=50), datasets.Shakespeare(data, train=False, length=50)
    assert len(train.tokenizer) == 65 and len(train.text) + len(test.text) == 1_115_394
    assert train.text.startswith("First Citizen:\nBefore we proceed any further")
    names = datasets.Names(data)
    assert len(names) == 32_033 and names[0] == "emma"
    for kind, file in ((datasets.Shakespeare, "tinyshakespeare.txt"), (datasets.Names, "names.txt")):
        assert hashlib.sha256((data / file).read_bytes()).hexdigest() == kind.checksum
