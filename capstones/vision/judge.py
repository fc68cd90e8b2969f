"""Measures the reader of main.py against the numbers of brief.md, outside of your code."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

import main  # noqa: E402
from gates import Gates, Wrong  # noqa: E402

READS, BYTES, PRODUCTS, BLIND = 0.95, 8192, 500, 0.30
gates = Gates()


def data(name: str) -> Path:
    """A file that came with the course."""
    given = os.environ.get("TINYTORCH_SHIPPED")
    folders = [Path(given)] if given else [folder / "datasets" for folder in HERE.parents]
    return next(folder / name for folder in folders if (folder / name).exists())


with np.load(data("digits/digits.npz")) as file:
    unseen = file["forms"] >= 11
    # Digits gives ink as 255
    strange, truth = np.rint(file["images"][unseen] * (255 / 16)).astype(np.uint8), file["labels"][unseen]


def right(read) -> float: return float((np.asarray(read(strange)).argmax(1) == truth).mean())


@gates.test("it reads the digits of unknown hands")
def _():
    main.learn()
    gates.numbers.update(reads=right(main.opened()))
    if gates.numbers["reads"] < READS:
        raise Wrong("it reads too few digits", f"{READS:.0%}", f"{gates.numbers['reads']:.1%}")


@gates.test("its file fits into the device")
def _():
    gates.numbers.update(bytes=main.FILE.stat().st_size)
    if gates.numbers["bytes"] > BYTES:
        raise Wrong("the file is too large", f"{BYTES:,} bytes", f"{gates.numbers['bytes']:,}")


@gates.test("a picture takes no longer than the device has")
def _():
    read, one = main.opened(), strange[:1]
    matrix, vector = np.ones((64, 64), np.float32), np.ones(64, np.float32)
    ours, theirs = [], []
    for _ in range(200):
        start = time.perf_counter()
        read(one)
        middle = time.perf_counter()
        for _ in range(10): matrix @ vector
        ours.append(middle - start)
        theirs.append((time.perf_counter() - middle) / 10)
    gates.numbers.update(products=min(ours) / min(theirs))
    if gates.numbers["products"] > PRODUCTS:
        raise Wrong("a picture takes too long", f"{PRODUCTS} products", f"{gates.numbers['products']:.0f}")


@gates.test("what it knows is in its file")
def _():
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / main.FILE.name
        data = main.FILE.read_bytes()
        numbers = 8 + int.from_bytes(data[:8], "little")
        assert json.loads(data[8:numbers]), "a safetensors file begins with a list of what is in it"
        copy.write_bytes(data[:numbers] + bytes(len(data) - numbers))
        blind = right(main.opened(copy))
    if blind > BLIND: raise Wrong("it reads without its weights", f"less than {BLIND:.0%}", f"{blind:.1%}")


if __name__ == "__main__":
    fine = gates.run()
    print("\n  " + ", ".join([f"{name} {number:.4g}" for name, number in gates.numbers.items()]))
    sys.exit(0 if fine else 1)
