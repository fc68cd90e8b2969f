# Generated from modules/15_mlops/mlops.py by `tito export`. Edit that file, not this one.
"""Which model is running, and whether it is still right."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
import shutil
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np

from .activations import relu, softmax
from .dense import linear
from .dtypes import as_dtype
from .indexing import put_index
from .nodes import NODES, Names, Page, Step, Unwritten, Value, Varying, onnx
from .tensor import Engine, Tensor, current_engine, reshape, view
from .training import sync_folder

__all__ = [
    "digest", "MANIFEST", "SIGNATURE", "digests", "seal", "Tampered", "verified", "sign", "versions",
    "settled", "publish", "given_name", "claim", "standing", "Alias", "Tracer", "nodes_of_linear",
    "nodes_of_relu", "nodes_of_softmax", "open_shape", "reshaped", "write_nodes", "LATENCIES", "Histogram",
    "observe", "quantile", "edges_of", "shares", "psi", "counts_in", "ks_distance", "kolmogorov", "Tally",
    "z_score", "verdict",
]


def digest(path) -> str:
    """The SHA-256 of the bytes of a file, as 64 hexadecimal digits."""
    found = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(1 << 20): found.update(piece)
    return found.hexdigest()


MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"


def digests(folder) -> dict[str, str]:
    """For each file below a folder, by its name there, its digest; without the manifest and its signature."""
    folder = Path(folder)
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: digest(path) for name, path in names.items() if name not in (MANIFEST, SIGNATURE)}


def seal(manifest: dict, key: bytes) -> str:
    """The HMAC-SHA256 of a manifest, as 64 hexadecimal digits."""
    message = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    return hmac.new(key, message, "sha256").hexdigest()


class Tampered(ValueError):
    """A package that is not what was signed."""


def verified(folder, key: bytes) -> dict:
    """The manifest of a package, if it was signed with this key and every file is as it says."""
    folder = Path(folder)
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    signature = (folder / SIGNATURE).read_text("utf-8").strip()
    if not hmac.compare_digest(seal(manifest, key), signature):
        raise Tampered(f"{folder.name}: the manifest is not signed with this key")
    promised, found = manifest["files"], digests(folder)
    faults = [f"{name} is missing" for name in promised if name not in found]
    faults += [f"{name} was changed" for name in promised
               if found.get(name, promised[name]) != promised[name]]
    faults += [f"{name} was not there" for name in found if name not in promised]
    if faults: raise Tampered(f"{folder.name}: {', '.join(sorted(faults))}")
    return manifest


def sign(folder, key: bytes, **facts) -> dict:
    """Writes the manifest of a package, with what else there is to say, and its signature."""
    folder, manifest = Path(folder), {"format": 1, **facts, "files": digests(folder)}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    (folder / SIGNATURE).write_text(seal(manifest, key), encoding="utf-8")
    return manifest


def versions(shelf) -> list[int]:
    """The numbers of the versions on a shelf; drafts have names that are no numbers."""
    return sorted([int(path.name) for path in Path(shelf).glob("*") if path.name.isdigit()])


def settled(folder: Path) -> None:
    """Waits until all files below a folder, and their names, are on the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb+") as file: os.fsync(file.fileno())
    for path in [folder, *[path for path in folder.rglob("*") if path.is_dir()]]: sync_folder(path)


def publish(shelf, fill: Callable) -> int:
    """Puts a package that `fill(folder)` writes on the shelf, whole, under the next free number."""
    shelf = Path(shelf)
    shelf.mkdir(parents=True, exist_ok=True)
    draft = shelf / f".draft-{uuid4().hex}"
    draft.mkdir()
    try:
        fill(draft)
        settled(draft)
        number = max(versions(shelf), default=0)
        while True:
            number += 1
            try:
                draft.rename(shelf / f"{number:04}")
                break
            except OSError:
                if not (shelf / f"{number:04}").exists(): raise
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync_folder(shelf)
    return number


def given_name(draft: Path, path: Path) -> None:
    """Gives a file its name in one act; FileExistsError if the name is taken."""
    if os.name == "nt":
        draft.rename(path)          # does not replace what is there
        return
    os.link(draft, path)            # a second name for the same file; rename would replace
    draft.unlink()


def claim(path, data: bytes) -> None:
    """Writes a file that was not there, so that it is never seen half; FileExistsError if it is there."""
    path = Path(path)
    draft = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        given_name(draft, path)
    finally: draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def standing(moves: list[dict]) -> list[int]:
    """The versions that steps back would lead through; the last one is in use."""
    pile: list[int] = []
    for move in moves:
        if move.get("back"): pile.pop()
        elif pile[-1:] != [move["to"]]: pile.append(move["to"])
    return pile


class Alias:
    """A name that stands for a version, and remembers every move."""

    def __init__(self, folder): self.folder = Path(folder)

    def moves(self) -> list[dict]:
        """All moves, in order."""
        files = [self.folder / f"{n:04}" for n in versions(self.folder)]
        return [json.loads(path.read_text("utf-8")) for path in files]

    @property
    def version(self) -> int | None:
        """The version that it stands for; None if nothing was promoted."""
        return next(reversed(standing(self.moves())), None)

    def promote(self, version: int, why: str = "") -> None:
        self.move({"to": version, "why": why}, self.moves())

    def back(self, why: str = "") -> int:
        """One step back; LookupError where there is none."""
        seen = self.moves()
        if len(standing(seen)) < 2: raise LookupError("there is no version to go back to")
        self.move({"back": True, "why": why}, seen)
        return standing([*seen, {"back": True}])[-1]

    def move(self, move: dict, seen: list[dict]) -> None:
        """The next move after those that were seen; FileExistsError if somebody moved meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = {**move, "when": datetime.now(UTC).isoformat(timespec="seconds")}
        claim(self.folder / f"{len(seen) + 1:04}", json.dumps(told).encode())


class Tracer(Engine):
    """Computes like the engine it wraps, and notes every step."""

    def __init__(self, inner: Engine | None = None):
        self.inner = inner or current_engine()
        self.kernels, self.steps, self.before = self.inner.kernels, [], {}

    def run(self, op, inputs: tuple, settings: dict):
        """What the inner engine gives; op, inputs, settings and output are noted."""
        out = self.inner.run(op, inputs, settings)
        self.steps.append(Step(op, inputs, settings, out))
        return out

    def write(self, tensor: Tensor, value, index=...):
        """Writing is noted as putting values where the index is: afterwards the tensor is another value."""
        self.before.setdefault(id(tensor), tensor.array.copy())
        self.steps.append(Step(put_index, (tensor, value), {"index": index}, tensor))
        return self.inner.write(tensor, value, index)


@onnx(linear)
def nodes_of_linear(page: Page, x: Value, weight: Value, bias: Value | None = None) -> Value:
    """x @ weight.T + bias"""
    if x.ndim != 2:                                     # Gemm is for matrices
        out = page.node("MatMul", x, page.node("Transpose", weight, perm=[1, 0]))
        return out if bias is None else page.node("Add", out, bias)
    return page.node("Gemm", x, weight, bias, transB=1)


@onnx(relu)
def nodes_of_relu(page: Page, x: Value) -> Value:
    return page.node("Relu", x)


@onnx(softmax)
def nodes_of_softmax(page: Page, x: Value, dim: int, dtype=None) -> Value:
    if dtype is not None: x = page.cast(x, as_dtype(dtype).numpy)
    return page.node("Softmax", x, axis=dim)


def open_shape(page: Page, shape: list) -> list:
    """The shape with -1 for one of the lengths that vary."""
    varying = [i for i, n in enumerate(shape) if isinstance(n, Varying)]
    if not varying or -1 in shape: return list(shape)
    at = min(varying, key=lambda i: page.can_see(shape[i]))
    return [-1 if i == at else n for i, n in enumerate(shape)]


@onnx(reshape, view)
def reshaped(page: Page, x: Value, shape) -> Value:
    """The same numbers in another shape, whatever the size of the batch."""
    shape = [shape] if isinstance(shape, int) else list(shape)
    return page.node("Reshape", x, open_shape(page, shape), allowzero=1 if 0 in shape else None)


def write_nodes(page: Page, steps: list[Step], names: Names) -> None:
    """Writes each step as the nodes that its op's rule makes of it."""
    for step in steps:
        page.about = step.op.name
        rule = NODES.get(step.op)
        if rule is None:
            raise Unwritten(f"{step.op.name} has no nodes yet: write them under @onnx({step.op.name})")
        names.done(step, rule(page, *names.inputs(step), **names.settings(step)))


LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)     # seconds


class Histogram:
    """Counts of numbers in buckets; `bounds` are the largest that each bucket takes."""

    def __init__(self, bounds=LATENCIES):
        self.bounds = tuple([float(bound) for bound in bounds])
        if list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError(f"bounds go up, and {bounds} do not")
        self.counts, self.total = [0] * (len(self.bounds) + 1), 0.0

    def observe(self, x: float) -> None:
        observe(self, x)
        self.total += x

    def quantile(self, q: float) -> float: return quantile(self, q)

    @property
    def n(self) -> int: return sum(self.counts)


def observe(histogram: Histogram, x: float) -> None:
    """Counts a number in its bucket."""
    histogram.counts[bisect_left(histogram.bounds, x)] += 1


def quantile(histogram: Histogram, q: float) -> float:
    """The number that a share q of all are at most, as nearly as the buckets tell."""
    rank, below = q * histogram.n, 0
    lows = (min(0.0, histogram.bounds[0]), *histogram.bounds)
    for count, low, high in zip(histogram.counts, lows, histogram.bounds):
        if count and below + count >= rank: return low + (high - low) * (rank - below) / count
        below += count
    return histogram.bounds[-1] if histogram.n else math.nan


def edges_of(reference, bins: int = 10):
    """Where to cut so that each bin has the same share of the reference.  (N, F) -> (bins - 1, F)"""
    return np.quantile(reference, np.arange(1, bins) / bins, axis=0)


def shares(data, edges):
    """The share of each bin, half a number added to each count.  (N, F), (bins - 1, F) -> (bins, F)"""
    counts = counts_in(data, edges)
    counts = counts + 0.5
    return counts / counts.sum(axis=0)


def psi(reference, now, bins: int = 10):
    """The population stability index of each feature.  (N, F), (M, F) -> (F,)"""
    edges = edges_of(reference, bins)
    p, q = shares(reference, edges), shares(now, edges)
    return ((q - p) * np.log(q / p)).sum(axis=0)


def counts_in(data, edges):
    """How many numbers of each column lie between its edges, the lower one included.  (N, F) -> (b, F)"""
    columns = [np.bincount(np.searchsorted(cut, column, side="right"), minlength=len(cut) + 1)
               for column, cut in zip(np.asarray(data).T, np.asarray(edges).T)]
    return np.stack(columns, axis=1)


def ks_distance(a, b) -> float:
    """The largest distance between the shares of two samples at or below x.  (N,), (M,) -> ()"""
    at = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def kolmogorov(x: float) -> float:
    """How likely the distance of two large samples of one kind, times the root of n, is above x."""
    if x < 0.2: return 1.0                          # there the sum needs many terms, and is 1 to ten digits
    return min(1.0, 2 * sum([(-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101)]))


class Tally(NamedTuple):
    """How often a version was asked, and how often it failed."""

    asked: int = 0
    failed: int = 0

    def plus(self, failed: bool): return Tally(self.asked + 1, self.failed + bool(failed))


def z_score(old: Tally, new: Tally) -> float:
    """How many standard deviations the new one's failure rate lies above the old one's."""
    p = (old.failed + new.failed) / (old.asked + new.asked)
    spread = math.sqrt(p * (1 - p) * (1 / old.asked + 1 / new.asked))
    return (new.failed / new.asked - old.failed / old.asked) / spread if spread else 0.0


def verdict(
    old: Tally, new: Tally, limit: float = 3.0, least: int = 30, few: int = 5, enough: int = 1000,
) -> str:
    """What should happen to the new version: "back", "on", or "wait" for more answers."""
    if min(old.asked, new.asked) < least: return "wait"
    if new.failed >= few and z_score(old, new) > limit: return "back"
    return "on" if new.asked >= enough else "wait"
