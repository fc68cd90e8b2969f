"""The handwritten digits that milestones share: of hands that may be seen, and of hands that may not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

DATA = Path(os.environ.get("TITO_DATASETS") or Path(__file__).resolve().parents[1] / "datasets")

with np.load(DATA / "digits/digits.npz") as file:
    unseen = file["forms"] >= 11                                        # the forms of other people
    images, labels = file["images"].astype(np.float32), file["labels"].astype(np.int64)


def moved(images, dice):
    """The digits as another hand might have drawn them: turned, sheared, scaled and shifted a little."""
    side, n = images.shape[-1], np.arange(len(images))[:, None, None]
    turn = np.eye(2, 3) + dice.normal(0, [0.1, 0.1, 0.06], (len(images), 2, 3))
    x, y = np.meshgrid(*[np.linspace(-1, 1, side)] * 2)
    x, y = np.moveaxis(np.einsum("nij,jhw->nihw", turn, np.stack([x, y, np.ones_like(x)])), 1, 0)
    x, y = (np.clip((place + 1) * (side - 1) / 2, 0, side - 1) for place in (x, y))
    i, j = (np.minimum(place.astype(int), side - 2) for place in (y, x))
    y, x = y - i, x - j
    top, bottom = (images[n, row, j] * (1 - x) + images[n, row, j + 1] * x for row in (i, i + 1))
    return (top * (1 - y) + bottom * y).astype(np.float32)
