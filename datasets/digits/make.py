"""Make digits.npz from the file that scikit-learn ships.

    pip download --no-deps scikit-learn
    python datasets/digits/make.py scikit_learn-*.whl

Takes a scikit-learn wheel, or the digits.csv.gz inside it. The same bytes come out every time.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import zipfile
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

INSIDE = "sklearn/datasets/data/digits.csv.gz"
SOURCE = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"     # sha256 of that file
MADE = "f874c5dadc324323fadd1df9beb3ed37cf33685fff8f6e92ef4a62cfabdd0bf0"       # and of digits.npz

# Everyone filled in the same form of 130 digits, and a few digits were lost on the way. The labels, read as
# one long text, repeat it fourteen times; here each copy begins.
BEGINS = (0, 130, 256, 386, 516, 646, 776, 906, 1029, 1157, 1287, 1415, 1545, 1667)


def source(path: Path) -> bytes:
    """The compressed table, from a wheel or as a file."""
    return zipfile.ZipFile(path).read(INSIDE) if path.suffix == ".whl" else path.read_bytes()


def table(packed: bytes) -> np.ndarray:
    """(1797, 65): 64 pixels from 0 (paper) to 16 (ink), and the digit."""
    return np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.uint8)


def form_of(labels: np.ndarray) -> np.ndarray:
    """Which of the filled-in forms each digit was cut from: 0, 0, …, 13."""
    text = "".join(map(str, labels))
    copies = [text[begin:end] for begin, end in zip(BEGINS, (*BEGINS[1:], len(text)))]
    alike = [SequenceMatcher(None, copies[0], copy).ratio() for copy in copies]
    assert min(alike) > 0.95, "the forms begin elsewhere"
    return np.repeat(np.arange(len(copies), dtype=np.uint8), [len(copy) for copy in copies])


def expect(digest: str, content: bytes, what: str):
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        sys.exit(f"{what} has sha256 {found}, expected {digest}: not the file of this course")


def main(given: str):
    packed = source(Path(given))
    expect(SOURCE, packed, given)
    rows = table(packed)
    images, labels = rows[:, :64].reshape(-1, 8, 8), rows[:, 64]
    out = Path(__file__).with_name("digits.npz")
    np.savez(out, images=images, labels=labels, forms=form_of(labels))     # stored, not deflated: same bytes
    expect(MADE, out.read_bytes(), out.name)
    print(f"{out.name}: {len(images)} images, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2: sys.exit(__doc__)
    main(sys.argv[1])
