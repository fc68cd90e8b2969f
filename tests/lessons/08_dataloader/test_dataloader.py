"""Lesson 08 on files in the real formats and on the digits of the course, with numbers of its own."""

import gzip
import itertools
import pickle
import struct
from collections import Counter, OrderedDict
from itertools import pairwise

import numpy as np
import pytest

import tinytorch
from tinytorch import tensor
from tinytorch.dataloader import (
    BatchSampler,
    CharTokenizer,
    DataLoader,
    Dataset,
    IterableDataset,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    Text,
    bytes_of,
    default_collate,
    labelled_files,
    learn_pairs,
    merge,
    read_cifar,
    read_csv,
    read_idx,
    read_pickle,
)
from tinytorch.folders import shipped

rng = np.random.default_rng(8)


@pytest.fixture(scope="module")
def digits():
    with np.load(shipped("digits/digits.npz")) as file: return file["images"], file["labels"].astype(np.int64)


# ---------------------------------------------------------------------------------------------- formats

@pytest.mark.parametrize("code, kind", [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")])
@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4), (0, 5)])
def test_idx_holds_every_kind_and_shape(code, kind, shape, tmp_path):
    want = (rng.standard_normal(shape) * 50).astype(kind)
    content = struct.pack(">BBBB", 0, 0, code, len(shape)) + struct.pack(f">{len(shape)}I", *shape) + \
        np.asarray(want, f">{kind}").tobytes()
    for pack in (bytes, gzip.compress):
        (tmp_path / "file").write_bytes(pack(content))
        found = read_idx(tmp_path / "file")
        assert found.shape == shape and found.dtype == np.dtype(kind) and found.dtype.isnative
        assert np.array_equal(found, want), "the numbers of the file, in its order"


def test_digits_survive_the_format_of_mnist(digits, tmp_path):
    images, labels = digits
    for name, array in (("images-idx3-ubyte.gz", images), ("labels-idx1-ubyte.gz", labels.astype(np.uint8))):
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (tmp_path / name).write_bytes(gzip.compress(head + array.tobytes()))
        assert np.array_equal(read_idx(tmp_path / name), array)


@pytest.mark.parametrize("content", [
    b"\x89PNG", b"\0\0\x08\x01\0\0\0\x03ab", b"\0\0\x08\x01\0\0\0\x03abcd", b"\0\0\x07\0",
])
def test_what_is_no_idx_file_is_refused(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError): read_idx(tmp_path / "file")


@pytest.mark.parametrize("labels", [1, 2])
def test_cifar_records(labels):
    pictures, front = rng.integers(0, 256, (5, 32, 32, 3), np.uint8), rng.integers(0, 100, (5, labels))
    content = b"".join(bytes(row.tolist()) + b"".join(p[..., c].tobytes() for c in range(3))
                       for row, p in zip(front, pictures))
    found, which = read_cifar(content, labels)
    assert np.array_equal(found, pictures) and found.dtype == np.uint8
    assert which.tolist() == front[:, -1].tolist() and which.dtype == np.int64
    with pytest.raises(ValueError): read_cifar(content[:-1], labels)


def test_pickles_of_arrays_are_read():
    data = rng.integers(0, 256, (4, 9), np.uint8)
    kept = {"data": data, "labels": [1, 2], "more": ("a", 2.5, None, {"x": [True]})}
    for protocol in (2, 3, 4):
        if protocol == 2: kept = {**kept, "data": [1, 2]}       # Python 3 packs bytes with a function there
        found = read_pickle(pickle.dumps(kept, protocol))
        assert found["labels"] == [1, 2] and found["more"] == kept["more"]
        assert np.array_equal(found["data"], kept["data"])


class Orders:
    def __init__(self, *orders): self.orders = orders
    def __reduce__(self): return self.orders[0], self.orders[1:]


@pytest.mark.parametrize("order", [
    Orders(eval, "1"), Orders(exec, "1"), Orders(open, "x"), Orders(np.fromfile, "x"),
    Orders(__import__, "os"), Orders(OrderedDict), Orders(np.memmap, "x"),
])
def test_pickles_that_give_orders_are_refused(order):
    with pytest.raises(pickle.UnpicklingError): read_pickle(pickle.dumps([1, {"deep": order}]))


def test_folders_of_pictures(tmp_path):
    names = ["z/3.png", "z/1.PNG", "b/sub/2.jpg", "b/0.bmp", "n/x.txt", "top.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    classes, files = labelled_files(tmp_path)
    assert classes == ["b", "n", "z"]
    assert [(p.relative_to(tmp_path).as_posix(), n) for p, n in files] == \
        [("b/0.bmp", 0), ("b/sub/2.jpg", 0), ("z/1.PNG", 2), ("z/3.png", 2)]


def test_tables(tmp_path):
    (tmp_path / "t.csv").write_bytes("a,b,c\r\n1,x,\r\n-2.5e3,\"y,\"\"z\"\"\",7\r\n".encode("utf-8-sig"))
    found = read_csv(tmp_path / "t.csv")
    assert found["a"].tolist() == [1.0, -2500.0] and found["b"].tolist() == [0, 1]
    assert np.isnan(found["c"].tolist()[0]) and found["c"].tolist()[1] == 7.0


# ---------------------------------------------------------------------------------------- samples and orders

def test_rows_of_tensors_are_samples(digits):
    images, labels = map(tensor, digits)
    pairs = TensorDataset(images, labels)
    assert len(pairs) == 1797
    for i in (0, 17, -1):
        x, y = pairs[i]
        assert np.array_equal(x.array, digits[0][i]) and y.item() == digits[1][i]
    with pytest.raises(ValueError): TensorDataset(images, labels[1:])


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 100])
def test_a_shuffle_has_everybody_once(n):
    tinytorch.manual_seed(n)
    order = list(RandomSampler(range(n)))
    assert sorted(order) == list(range(n)) and len(RandomSampler(range(n))) == n
    tinytorch.manual_seed(n)
    assert list(RandomSampler(range(n))) == order


def test_every_place_is_as_likely_as_any_other():
    tinytorch.manual_seed(0)
    sampler = RandomSampler(range(4))
    first = Counter(next(iter(sampler)) for _ in range(2000))
    assert all(abs(first[i] - 500) < 100 for i in range(4))


def test_dice_draw_with_replacement():
    tinytorch.manual_seed(0)
    drawn = list(RandomSampler(range(5), replacement=True, num_samples=3000))
    assert len(drawn) == 3000 and all(abs(drawn.count(i) - 600) < 120 for i in range(5))


@pytest.mark.parametrize("n, size", [*itertools.product([0, 1, 9, 10, 11], [1, 3, 10, 20])])
def test_batches_hold_everybody_in_order(n, size):
    whole = [list(range(k, min(k + size, n))) for k in range(0, n, size)]
    for drop in (False, True):
        sampler = BatchSampler(SequentialSampler(range(n)), size, drop)
        want = [batch for batch in whole if not drop or len(batch) == size]
        assert list(sampler) == want and len(sampler) == len(want)


# ------------------------------------------------------------------------------------------------ batches

def test_trees_of_samples_become_a_tree_of_batches():
    samples = [{"x": tensor([float(i)]), "y": (i, [f"w{i}", np.float32(i)])} for i in range(3)]
    found = default_collate(samples)
    assert found["x"].tolist() == [[0.0], [1.0], [2.0]]
    assert found["y"][0].tolist() == [0, 1, 2] and list(found["y"][1][0]) == ["w0", "w1", "w2"]
    assert found["y"][1][1].dtype is tinytorch.float32
    with pytest.raises(RuntimeError): default_collate([(1,), (1, 2)])
    with pytest.raises(TypeError): default_collate([object()])


def test_an_epoch_is_all_of_the_data(digits):
    images, labels = digits
    loader = DataLoader(TensorDataset(tensor(images), tensor(labels)), 64, shuffle=True)
    batches = list(loader)
    assert len(batches) == len(loader) == 29 and batches[0][0].shape == (64, 8, 8) and \
        len(batches[-1][1]) == 5
    seen = sorted((x.tobytes(), int(y)) for xs, ys in batches for x, y in zip(xs.array, ys.array))
    assert seen == sorted((x.tobytes(), int(y)) for x, y in zip(images, labels)), \
        "every picture once, with its own label"


def test_a_seed_repeats_an_epoch(digits):
    def epoch(seed):
        tinytorch.manual_seed(seed)
        return [y.tolist() for (y,) in DataLoader(TensorDataset(tensor(digits[1])), 100, shuffle=True)]
    assert epoch(1) == epoch(1) != epoch(2)


class Squares(Dataset):
    def __init__(self, n): self.n = n
    def __len__(self): return self.n
    def __getitem__(self, i): return tensor(float(i * i)), i


class Count(IterableDataset):
    def __init__(self, n): self.n = n
    def __iter__(self): return iter(range(self.n))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing_but_the_time(workers):
    tinytorch.manual_seed(3)
    loader = DataLoader(Squares(11), 4, shuffle=True, num_workers=workers)
    found = [(x.tolist(), y.tolist()) for x, y in loader]
    assert sorted(i for _, y in found for i in y) == list(range(11))
    assert all(x == [float(i * i) for i in y] for x, y in found) and [len(y) for _, y in found] == [4, 4, 3]
    tinytorch.manual_seed(3)
    again = [(x.tolist(), y.tolist()) for x, y in DataLoader(Squares(11), 4, shuffle=True)]
    assert found == again


def test_streams_are_cut_into_batches():
    assert [b.tolist() for b in DataLoader(Count(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in DataLoader(Count(5), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Count(3), batch_size=None)) == [0, 1, 2]
    with pytest.raises(ValueError): DataLoader(Count(3), shuffle=True)


def test_own_samples_and_own_collating_come_before_the_shortcut():
    class Twice(TensorDataset):
        def __getitem__(self, i): return super().__getitem__(i)[0] * 2
    x = tensor([1.0, 2.0, 3.0])
    assert next(iter(DataLoader(Twice(x), 3))).tolist() == [2.0, 4.0, 6.0]
    assert next(iter(DataLoader(TensorDataset(x), 3, collate_fn=len))) == 3


# --------------------------------------------------------------------------------------------- transforms

def test_normalized_pictures_have_no_mean_and_a_spread_of_one(digits):
    x = tensor(digits[0].astype(np.float32)[:, None])
    mean, std = float(x.array.mean()), float(x.array.std())
    found = Normalize([mean], [std])(x)
    assert abs(float(found.array.mean())) < 1e-5 and abs(float(found.array.std()) - 1) < 1e-5
    assert np.array_equal(x.array[:, 0], digits[0]), "the pictures stay as they are"


def test_mirrors_come_half_of_the_time(digits):
    tinytorch.manual_seed(0)
    picture = tensor(digits[0][:1])
    found = [RandomHorizontalFlip()(picture).array for _ in range(400)]
    turned = sum(np.array_equal(x, picture.array[..., ::-1]) for x in found)
    assert 150 < turned < 250 and \
        all(np.array_equal(x, picture.array) or np.array_equal(x, picture.array[..., ::-1])
                                      for x in found)


def test_crops_are_parts_of_the_picture():
    tinytorch.manual_seed(0)
    picture = np.arange(7 * 9).reshape(7, 9)
    places = itertools.product(range(5), range(5))
    windows = {np.ascontiguousarray(picture[y : y + 3, x : x + 5]).tobytes() for y, x in places}
    found = [np.ascontiguousarray(RandomCrop((3, 5))(tensor(picture)).array).tobytes() for _ in range(600)]
    assert set(found) == windows, "every part of that size, and no other"
    with pytest.raises(ValueError): RandomCrop(8)(tensor(picture))


# -------------------------------------------------------------------------------------------------- text

def test_sonnets_come_back_from_their_numbers():
    text = shipped("text/sonnets.txt").read_text("utf-8")
    letters = CharTokenizer(text)
    assert len(letters) == len(set(text)) and letters.decode(letters.encode(text)) == text
    assert letters.encode("".join(sorted(set(text)))) == list(range(len(letters)))
    with pytest.raises(ValueError, match="é"): letters.encode("café")


def test_each_token_is_asked_for_its_successor():
    ids = rng.integers(0, 50, 40).tolist()
    stretches = Text(ids, 6)
    assert len(stretches) == 34
    for i in range(len(stretches)):
        x, y = stretches[i]
        assert x.tolist() == ids[i : i + 6] and y.tolist() == ids[i + 1 : i + 7]
    with pytest.raises(IndexError): stretches[34]
    with pytest.raises(ValueError): Text(ids[:6], 6)


def test_merging_walks_from_left_to_right():
    for _ in range(200):
        ids = rng.integers(0, 3, rng.integers(0, 12)).tolist()
        pair = tuple(rng.integers(0, 3, 2).tolist())
        text = "".join(map(str, ids)).replace("".join(map(str, pair)), "9")     # it walks so, too
        assert merge(ids, pair, 9) == [int(letter) for letter in text]


def test_pairs_give_back_the_text():
    text = shipped("text/sonnets.txt").read_bytes()[:3000]
    pairs = learn_pairs(text, 40)
    ids = list(text)
    for new, pair in enumerate(pairs, 256):
        counts = Counter(pairwise(ids))
        assert counts[pair] == max(counts.values()), "each pair was the most frequent one when it was found"
        ids = merge(ids, pair, new)
    words = bytes_of(pairs)
    assert len(pairs) == 40 and b"".join([words[i] for i in ids]) == text and len(ids) < 0.8 * len(text)
