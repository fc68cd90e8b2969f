"""Transforms: NumPy says what they should give, and torchvision, where it is installed, the same."""

import math

import numpy as np
import pytest

import tinytorch
from tinytorch import transforms

rng = np.random.default_rng(12)
COLOUR, GREY = rng.integers(0, 256, (13, 11, 3), np.uint8), rng.integers(0, 256, (9, 12), np.uint8)
FLOATS = rng.random((3, 17, 19), dtype=np.float32)


def planes(picture): return np.atleast_3d(picture).transpose(2, 0, 1)


@pytest.mark.parametrize("picture", [COLOUR, GREY])
def test_bytes_become_floats_from_0_to_1(picture):
    found = transforms.ToTensor()(picture)
    assert found.dtype is tinytorch.float32 and np.allclose(found.array, planes(picture) / 255)
    assert found.is_contiguous()
    wide = transforms.ToTensor()(picture.astype(np.float64))
    assert wide.dtype is tinytorch.float64 and np.array_equal(wide.array, planes(picture)), \
        "other numbers stay"


@pytest.mark.parametrize(("given", "problem"), [
    (np.zeros(3), ValueError), (tinytorch.zeros(1, 2, 2), TypeError),
])
def test_what_is_no_picture_is_refused(given, problem):
    with pytest.raises(problem): transforms.ToTensor()(given)


@pytest.mark.parametrize("picture", [COLOUR, GREY])
@pytest.mark.parametrize("transform", [
    transforms.Pad(2, 7), transforms.Pad((1, 3)), transforms.Pad((1, 2, 3, 0), padding_mode="edge"),
    transforms.Pad(2, padding_mode="reflect"), transforms.CenterCrop(4), transforms.CenterCrop((20, 5)),
    transforms.RandomCrop(5), transforms.RandomCrop(9, (2, 1), fill=3),
    transforms.RandomCrop(15, pad_if_needed=True), transforms.RandomHorizontalFlip(1.0),
    transforms.RandomVerticalFlip(1.0), transforms.RandomHorizontalFlip(0.0),
], ids=repr)
def test_bytes_and_tensors_are_transformed_alike(transform, picture):
    tinytorch.manual_seed(3)
    as_bytes = transform(picture)
    tinytorch.manual_seed(3)
    as_tensor = transform(tinytorch.tensor(planes(picture)))
    assert np.array_equal(planes(as_bytes), as_tensor.array)


def test_margins_are_left_top_right_bottom():
    found = transforms.Pad((1, 2, 3, 4), fill=9)(np.zeros((1, 1), np.uint8))
    assert found.shape == (7, 5) and np.argwhere(found == 0).tolist() == [[2, 1]]
    assert np.array_equal(transforms.Pad((2, 1), padding_mode="symmetric")(GREY),
                          np.pad(GREY, ((1, 1), (2, 2)), "symmetric"))
    with pytest.raises(ValueError, match="mirror"): transforms.Pad(1, padding_mode="mirror")
    with pytest.raises(ValueError, match="one, two or four"): transforms.Pad((1, 2, 3))(GREY)


def test_the_middle_is_cut_out():
    assert np.array_equal(transforms.CenterCrop((5, 3))(COLOUR), COLOUR[4:9, 4:7])
    assert np.array_equal(transforms.CenterCrop(9)(GREY)[:, :9], GREY[:, 2:11])


def test_flips_come_as_often_as_they_should():
    tinytorch.manual_seed(0)
    for kind, turned in ((transforms.RandomHorizontalFlip, GREY[:, ::-1]),
                         (transforms.RandomVerticalFlip, GREY[::-1])):
        found = [kind(0.3)(GREY) for _ in range(400)]
        assert 90 < sum(np.array_equal(one, turned) for one in found) < 150
        assert all(np.array_equal(one, turned) or one is GREY for one in found)


def test_a_rectangle_is_erased():
    tinytorch.manual_seed(1)
    shares, ratios = [], []
    for _ in range(300):
        found = transforms.RandomErasing(1.0, value=(7, 8, 9))(tinytorch.tensor(FLOATS)).array
        erased = found != FLOATS
        rows, columns = np.flatnonzero(erased[0].any(1)), np.flatnonzero(erased[0].any(0))
        block = np.ix_(rows, columns)
        assert len(rows) == np.ptp(rows) + 1 and len(columns) == np.ptp(columns) + 1 and \
            erased[0][block].all()
        assert (found[:, erased[0]] == [[7], [8], [9]]).all() and erased[0].sum() == len(rows) * len(columns)
        shares.append(erased[0].mean()), ratios.append(len(rows) / len(columns))
    assert 0.01 < min(shares) < 0.05 and 0.28 < max(shares) < 0.36 and min(ratios) < 0.6 < 1.7 < max(ratios)
    picture = tinytorch.tensor(FLOATS)
    assert transforms.RandomErasing(1.0, inplace=True)(picture) is picture and (picture.array != FLOATS).any()
    assert transforms.RandomErasing(0.0)(picture) is picture
    noise = transforms.RandomErasing(1.0, value="random")(tinytorch.zeros(3, 17, 19)).array
    assert noise.min() < -1 and noise.max() > 1


@pytest.mark.parametrize("settings", [
    {"p": 2}, {"scale": (0.5, 0.1)}, {"scale": (-1, 1)}, {"ratio": (3, 0.3)}, {"value": "blue"},
])
def test_erasing_refuses_what_makes_no_sense(settings):
    with pytest.raises(ValueError): transforms.RandomErasing(**settings)


def test_mixed_pictures_and_labels_have_the_same_share():
    tinytorch.manual_seed(2)
    pictures = np.zeros((4, 1, 10, 10), np.float32) + np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1)
    for kind in (transforms.MixUp, transforms.CutMix):
        shares = set()
        for _ in range(20):
            mixed, labels = kind(alpha=0.7, num_classes=4)(tinytorch.tensor(pictures), tinytorch.arange(4))
            share = labels[1, 1].item()
            shares.add(round(share, 3))
            assert labels.shape == (4, 4) and np.allclose(labels.array.sum(1), 1)
            assert np.allclose(labels.array, share * np.eye(4) + (1 - share) * np.eye(4)[[3, 0, 1, 2]])
            want = share * np.arange(4) + (1 - share) * np.array([3, 0, 1, 2])
            assert np.allclose(mixed.array.mean((1, 2, 3)), want, atol=1e-5)
            if kind is transforms.CutMix:
                assert set(np.unique(mixed.array[1])) <= {0.0, 1.0}, "cut, not blended"
        assert len(shares) > 10
    soft = tinytorch.tensor([[0.2, 0.8], [0.5, 0.5]])
    assert np.allclose(transforms.MixUp()(tinytorch.zeros(2, 1), soft)[1].array.sum(1), 1)
    with pytest.raises(ValueError, match="num_classes"):
        transforms.CutMix()(tinytorch.zeros(2, 1, 3, 3), tinytorch.arange(2))
    with pytest.raises(ValueError, match="alpha"): transforms.MixUp(alpha=0)


def test_composed_and_lambda():
    both = transforms.Compose([transforms.ToTensor(), transforms.Lambda(lambda x: x * 2)])
    assert np.allclose(both(GREY).array, GREY[None] / 127.5)
    assert repr(both) == "Compose(\n    ToTensor()\n    Lambda()\n)"
    with pytest.raises(TypeError, match="int"): transforms.Lambda(3)


def test_normalize_against_numpy():
    found = transforms.Normalize((0.1, 0.2, 0.3), (1.0, 2.0, 4.0))(tinytorch.tensor(FLOATS))
    mean, std = np.reshape([0.1, 0.2, 0.3], (3, 1, 1)), np.reshape([1, 2, 4], (3, 1, 1))
    assert np.allclose(found.array, (FLOATS - mean) / std)
    with pytest.raises(ValueError, match="0"): transforms.Normalize(0, 0)(tinytorch.tensor(FLOATS))
    with pytest.raises(TypeError, match="floats"):
        transforms.Normalize(0, 1)(tinytorch.arange(4).reshape(1, 2, 2))


# ------------------------------------------------------------------------------------------ torchvision

LINES = """
RandomCrop(5)
RandomCrop((5, 7))
RandomCrop(9, padding=2)
RandomCrop(9, padding=[1, 2, 3, 4], fill=5)
RandomCrop((20, 16), pad_if_needed=True)
RandomCrop(12, 4, padding_mode="reflect")
RandomCrop(12, 4, padding_mode="symmetric")
RandomCrop(20)
RandomHorizontalFlip()
RandomVerticalFlip(0.3)
Pad((1, 2), fill=7)
Pad((1, 2, 3, 4), padding_mode="edge")
CenterCrop((4, 7))
CenterCrop((20, 5))
CenterCrop((8, 13))
Compose([RandomCrop(8, 2), RandomHorizontalFlip()])
RandomErasing()
RandomErasing(value="random", p=1)
RandomErasing(value=0.5, scale=(0.9, 1.0), p=1)
""".strip().split("\n")


@pytest.mark.parametrize("line", LINES)
def test_torchvision_gives_the_same_and_draws_the_same(line):
    torch = pytest.importorskip("torch")
    vision = pytest.importorskip("torchvision.transforms")
    for seed, picture in [(seed, picture) for seed in range(10) for picture in (COLOUR, GREY)]:
        torch.manual_seed(seed), tinytorch.manual_seed(seed)
        outcomes = []
        for library, module, given in ((torch, vision, torch.tensor(planes(picture) / np.float32(255))),
                                       (tinytorch, transforms, transforms.ToTensor()(picture))):
            try: outcomes.append((eval(line, vars(module))(given).numpy(), library.rand(1).item()))
            except ValueError: outcomes.append(("refused", math.nan))
        (theirs, after), (ours, after_ours) = outcomes
        assert isinstance(theirs, str) == isinstance(ours, str)
        if not isinstance(ours, str): assert after == after_ours and np.allclose(ours, theirs, atol=1e-6)
