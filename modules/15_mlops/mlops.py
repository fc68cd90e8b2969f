# %% [markdown]
# # MLOps
#
# A network that was trained on Friday is a file on Monday. In March a customer complains, and somebody asks
# four questions. Which of our files is answering? Is it, byte for byte, the one that was tested? How do we
# get the last one back, now? And: is it the network that got worse, or the world?
#
# None of them is about mathematics, and each has an answer that can be computed. You write the answers: a
# seal that breaks when one byte changes, a shelf on which a version can be put back in one act, a
# translation that other programs can run, and three instruments that look at what goes in and what comes
# out.

# %%
#| export
"""Which model is running, and whether it is still right."""

# %%
#| export
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

from tinytorch.activations import relu, softmax
from tinytorch.dense import linear
from tinytorch.dtypes import as_dtype
from tinytorch.indexing import put_index
from tinytorch.nodes import NODES, Names, Page, Step, Unwritten, Value, Varying, onnx
from tinytorch.tensor import Engine, Tensor, current_engine, reshape, view
from tinytorch.training import sync_folder

# %% [markdown]
# ## A file is not a model
#
# Here is a network, trained in a second on the digits of lesson 08.

# %%
import tempfile

from tinytorch import manual_seed, nn, no_grad, tensor
from tinytorch.datasets import Digits
from tinytorch.optim import Adam
from tinytorch.safetensors import save_file
from tinytorch.training import Accuracy, Trainer, evaluate
from tinytorch.utils.data import DataLoader, TensorDataset

def examples(train):
    digits = Digits(train)
    return TensorDataset(digits.data.float().reshape(-1, 64) / 255, digits.targets)

familiar, unseen = examples(True), examples(False)
manual_seed(15)
reader = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
Trainer(reader, Adam(reader.parameters(), lr=0.01), DataLoader(familiar, 64, shuffle=True)).fit(12)
metrics = evaluate(reader, DataLoader(unseen, 256), accuracy=Accuracy())
metrics

# %%
workshop = Path(tempfile.mkdtemp())
package = workshop / "package"
package.mkdir()
save_file(reader.state_dict(), package / "weights.safetensors")
(package / "weights.safetensors").stat().st_size

# %% [markdown]
# Ten kilobytes of numbers. Suppose that is all you have, a year from now. What would you have to ask its
# maker before it reads a single digit? Make a list; there are seven things on mine, and you find them in
# the next cell.

# %%
about = {
    "architecture": {"build": "Sequential", "parts": ["Linear(64, 32)", "ReLU()", "Linear(32, 10)"]},
    "preprocessing": {"shape": [64], "divide_by": 255},
    "classes": [str(n) for n in range(10)],
    "metrics": {**metrics, "on": "382 digits by other people"},
    "data": "the digest of the training data",
    "code": "the digest of the package that trained it",
    "licence": "CC BY 4.0",
}
(package / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")

# %% [markdown]
# The architecture is *data*, here: words from which the network is built again. The other way is to save
# the object itself, with `pickle`, and to have whoever loads it run whatever the file says:

# %%
import pickle

class Gift:
    def __reduce__(self): return print, ("this ran while you were loading a model",)

pickle.loads(pickle.dumps(Gift()))

# %% [markdown]
# It could have been any program. In the appendix on packages, a builder is looked up in a list of those you
# allow, and a file that names anything else is refused.
#
# ## One byte
#
# A **digest** is a short number computed from many bytes: 32 bytes, however long the file is. SHA-256 is
# made such that nobody has ever found two files with the same one. If the digest is the same, the file is
# the same.
#
# **Your turn.** A file may be larger than your memory, so feed the digest a piece at a time.

# %%
#| export exercise
def digest(path) -> str:
    """The SHA-256 of the bytes of a file, as 64 hexadecimal digits."""
    found = hashlib.sha256()
    #| hint Path(path).open("rb") gives bytes as they are; file.read(n) gives at most n, and none at the end.
    #| hint found.update(piece) for each of them; found.hexdigest() is the answer.
    ### BEGIN SOLUTION
    with Path(path).open("rb") as file:
        while piece := file.read(1 << 20): found.update(piece)
    ### END SOLUTION
    return found.hexdigest()

# %%
#| check 2
import tempfile

with tempfile.TemporaryDirectory() as name:
    def digest_of(content):
        (Path(name) / "file").write_bytes(content)
        return digest(Path(name) / "file")

    assert digest_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", \
        "SHA-256 of the file's bytes: FIPS 180 gives that of abc"
    assert digest_of(b"") == hashlib.sha256(b"").hexdigest(), "a file without bytes has a digest, too"
    assert digest_of(b"a\r\nb\xff") == hashlib.sha256(b"a\r\nb\xff").hexdigest(), \
        "bytes as they are: nothing is decoded, no line is ended another way"
    long = b"a" * 3_000_001
    assert digest_of(long) == hashlib.sha256(long).hexdigest(), "all of a long file, to its last byte"
    (Path(name) / "other").write_bytes(b"abc")
    assert digest(Path(name) / "other") == digest_of(b"abc"), \
        "the digest is of what the file holds, whatever its name"

# %%
digest(package / "weights.safetensors")

# %% [markdown]
# A package is a folder. Its **manifest** says of every file below it what its digest is. Two files cannot
# be in it: the manifest itself, and the signature beside it; a file of the same name deeper down is like
# any other. Names are written the way everybody reads them, with forward slashes:
# `preprocessing/mean.json`.
#
# **Your turn.**

# %%
#| export
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"

# %% [markdown]
# (What would happen if *every* `manifest.json` were left out, however deep it lies?)

# %%
#| export exercise
def digests(folder) -> dict[str, str]:
    """For each file below a folder, by its name there, its digest; without the manifest and its signature."""
    folder = Path(folder)
    #| hint folder.rglob("*") finds everything below; path.is_file() tells files from folders.
    #| hint path.relative_to(folder).as_posix() is the name with forward slashes.
    ### BEGIN SOLUTION
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: digest(path) for name, path in names.items() if name not in (MANIFEST, SIGNATURE)}
    ### END SOLUTION

# %%
#| check 2
import tempfile

def tree(folder, **files):
    """Files in a folder: `a__b` is b in a."""
    for name, content in files.items():
        path = Path(folder) / name.replace("__", "/").replace("_json", ".json").replace("_sig", ".sig")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Path(folder)

def sha(content): return hashlib.sha256(content).hexdigest()

with tempfile.TemporaryDirectory() as name:
    place = tree(name, weights=b"w", pre__mean=b"m", post__mean=b"n", manifest_json=b"{}", manifest_sig=b"s",
                 pre__manifest_json=b"hidden")
    found = digests(place)
    assert "pre/mean" in found, "files in folders of the folder count, by the name from the top"
    assert found.get("post/mean") == sha(b"n") and found["pre/mean"] == sha(b"m"), \
        "two files of one name in two folders are two files"
    assert found["weights"] == sha(b"w"), "each name comes with the digest of what the file holds"
    assert not {"manifest.json", "manifest.sig"} & set(found), \
        "the manifest cannot hold its own digest, nor that of its signature"
    assert "pre/manifest.json" in found, \
        "only the two at the top are left out: elsewhere, that name would be a hiding place"
    assert set(found) == {"weights", "pre/mean", "post/mean", "pre/manifest.json"}, "files, and nothing else"

# %%
digests(package)

# %% [markdown]
# Who changes a file can change the manifest, too. So the manifest is **signed**: from its bytes and a
# secret key a number is computed that nobody can compute without the key. HMAC (RFC 2104) does it with a
# hash: `H((key ^ opad) + H((key ^ ipad) + message))`. (Why not simply `H(key + message)`? Who knows that
# one can go on hashing, and sign a longer message without the key.)
#
# A dict has no bytes of its own. The same manifest must always become the same bytes: keys sorted, no
# blanks.
#
# **Your turn.** `hmac.new(key, bytes, "sha256")` exists.

# %%
#| export exercise
def seal(manifest: dict, key: bytes) -> str:
    """The HMAC-SHA256 of a manifest, as 64 hexadecimal digits."""
    #| hint json.dumps(manifest, sort_keys=True, separators=(",", ":")) is text; .encode() makes bytes of it.
    ### BEGIN SOLUTION
    message = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    return hmac.new(key, message, "sha256").hexdigest()
    ### END SOLUTION

# %%
#| check 2
def by_definition(key, message):
    """RFC 2104, section 2, for keys of at most 64 bytes."""
    key = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in key) + inner).hexdigest()

assert seal({"b": 1, "a": 2}, b"key") == seal({"a": 2, "b": 1}, b"key"), \
    "the order in which a dict was filled is not part of what it says: sort the keys"
assert seal({"a": 1}, b"key") != seal({"a": 1}, b"another key"), "without the key nobody can sign"
assert seal({"a": 1}, b"key") != seal({"a": 2}, b"key"), "another manifest has another signature"
assert seal({"a": 1}, b"key") == by_definition(b"key", b'{"a":1}'), \
    "HMAC-SHA256 of the JSON without blanks, in hexadecimal: key first, then message"

# %% [markdown]
# **Your turn.** Now the one who loads. First the signature: if it is wrong, the manifest says nothing. Then
# each file, and an error that says *which* of them is not what was signed: it changed, it is missing, or it
# was not there.
#
# `hmac.compare_digest` takes the same time wherever two strings differ. (A comparison that stops at the
# first difference tells, by its time, how far a forger has got.)

# %%
#| export
class Tampered(ValueError):
    """A package that is not what was signed."""

# %%
#| export exercise
def verified(folder, key: bytes) -> dict:
    """The manifest of a package, if it was signed with this key and every file is as it says."""
    folder = Path(folder)
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    signature = (folder / SIGNATURE).read_text("utf-8").strip()
    #| hint hmac.compare_digest(seal(manifest, key), signature), or Tampered("… not signed with this key").
    #| hint manifest["files"] is what was promised, digests(folder) what is there: compare the two dicts.
    #| hint Collect a sentence for each file that changed, is missing or is new: Tampered says them all.
    ### BEGIN SOLUTION
    if not hmac.compare_digest(seal(manifest, key), signature):
        raise Tampered(f"{folder.name}: the manifest is not signed with this key")
    promised, found = manifest["files"], digests(folder)
    faults = [f"{name} is missing" for name in promised if name not in found]
    faults += [f"{name} was changed" for name in promised
               if found.get(name, promised[name]) != promised[name]]
    faults += [f"{name} was not there" for name in found if name not in promised]
    if faults: raise Tampered(f"{folder.name}: {', '.join(sorted(faults))}")
    ### END SOLUTION
    return manifest


def sign(folder, key: bytes, **facts) -> dict:
    """Writes the manifest of a package, with what else there is to say, and its signature."""
    folder, manifest = Path(folder), {"format": 1, **facts, "files": digests(folder)}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    (folder / SIGNATURE).write_text(seal(manifest, key), encoding="utf-8")
    return manifest

# %%
#| check 3
import tempfile

def complaint(change, key=b"key"):
    """What is said of a package that was signed, and then changed."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "pre").mkdir()
        for file in ("weights", "about", "pre/mean"): (Path(name) / file).write_text(file, "utf-8")
        sign(name, b"key")
        change(Path(name))
        try: return "", verified(name, key)
        except Tampered as error: return str(error), None

assert complaint(lambda folder: None)[1]["files"].keys() == {"weights", "about", "pre/mean"}, \
    "a package that nobody touched is fine, and its manifest comes back"
assert "key" in complaint(lambda folder: None, b"another")[0], "a signature by another key is none"
def forged(folder):
    (folder / "weights").write_bytes(b"evil")
    sign(folder, b"guess")
assert "key" in complaint(forged)[0], \
    "who changes a file and the manifest has no key: the signature is looked at before anything else"
told = complaint(lambda folder: (folder / "weights").write_bytes(b"W"))[0]
assert "weights" in told, "the error says which file was changed"
assert "about" not in told, "a file that is as it was is not accused"
assert "pre/mean" in complaint(lambda folder: (folder / "pre/mean").unlink())[0], \
    "a file that is missing is named"
assert "extra" in complaint(lambda folder: (folder / "extra").write_bytes(b"x"))[0], \
    "a file that nobody signed is named: some loader might read it"
told = complaint(lambda folder: [(folder / n).write_bytes(b"?") for n in ("weights", "about")])[0]
assert "weights" in told and "about" in told, "all of them are named, not only the first"

# %%
key = b"a secret that is not in the repository"
sign(package, key, name="digits", about=digest(package / "about.json"))
data = bytearray((package / "weights.safetensors").read_bytes())
data[-1] ^= 1                                                       # the last bit of the last weight
(package / "weights.safetensors").write_bytes(data)
try: verified(package, key)
except Tampered as error: print(error)

# %% [markdown]
# > **Note.** What HMAC does not give: whoever can check can also sign, because both take the same key.
# > Within one company that is often enough. A package for strangers wants a signature that all can check
# > and only one can make, Ed25519 for one; see the challenges.
#
# ## A shelf
#
# A **registry** is a shelf with numbered versions on it. A version never changes, its number is never used
# again, and nobody ever sees half of one. How many ways are there to get this wrong with `mkdir` and
# `copytree`? At least these: a reader comes while you copy; the power fails while you copy; two people
# publish at the same moment and both think that they have number 7.
#
# Lesson 11 has the cure for the first two: a draft, and one renaming at the end. Folders can be renamed as
# well, and a folder that has something in it cannot be replaced by a renaming: whoever comes second gets an
# error, and takes the next number.
#
# **Your turn.** `fill(folder)` writes the package into an empty folder. If it fails, nothing may be left
# behind.

# %%
#| export
def versions(shelf) -> list[int]:
    """The numbers of the versions on a shelf; drafts have names that are no numbers."""
    return sorted([int(path.name) for path in Path(shelf).glob("*") if path.name.isdigit()])


def settled(folder: Path) -> None:
    """Waits until all files below a folder, and their names, are on the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb+") as file: os.fsync(file.fileno())
    for path in [folder, *[path for path in folder.rglob("*") if path.is_dir()]]: sync_folder(path)

# %%
#| export exercise
def publish(shelf, fill: Callable) -> int:
    """Puts a package that `fill(folder)` writes on the shelf, whole, under the next free number."""
    shelf = Path(shelf)
    shelf.mkdir(parents=True, exist_ok=True)
    draft = shelf / f".draft-{uuid4().hex}"
    draft.mkdir()
    #| hint fill(draft), settled(draft), and then draft.rename(shelf / f"{number:04}").
    #| hint The number: one more than the last of versions(shelf). OSError if it is taken: try the next one.
    #| hint But an OSError though shelf / number is not there is a real one: raise it.
    #| hint try: … except BaseException: shutil.rmtree(draft, ignore_errors=True), and raise.
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %%
#| check 3
import tempfile
from unittest.mock import patch

with tempfile.TemporaryDirectory() as name:
    shelf = Path(name) / "digits"
    def write(content, during=lambda: None):
        def fill(folder):
            (folder / "weights").write_bytes(content[:1])
            during()
            (folder / "weights").write_bytes(content)
        return fill

    seen = []
    assert publish(shelf, write(b"first", lambda: seen.append(versions(shelf)))) == 1, \
        "the first version is number 1"
    assert seen == [[]], \
        "while a package is being written, it is on no shelf: a draft, and one renaming at the end"
    assert (shelf / "0001/weights").read_bytes() == b"first", "the package is there, under its number"
    def rival(): publish(shelf, write(b"rival"))
    assert publish(shelf, write(b"slow", rival)) == 3, \
        "somebody else was quicker and took number 2: the next one is 3"
    assert (shelf / "0002/weights").read_bytes() == b"rival", "what was published is never written over"
    rename = os.rename
    def late(old, new, **more):
        """In the last moment before a renaming, somebody takes the name."""
        if Path(new).name == "0004" and not Path(new).exists(): shutil.copytree(shelf / "0002", new)
        rename(old, new, **more)
    with patch("os.rename", late), patch("os.replace", late):
        try: told = publish(shelf, write(b"later"))
        except OSError: told = "gave up"
    assert told == 5, "somebody took number 4 in the last moment: try the next one, and nobody loses"
    for gone in ("0001", "0002", "0003", "0004"): shutil.rmtree(shelf / gone)
    assert publish(shelf, write(b"sixth")) == 6, \
        "a number is never used again: one more than the last, not than the count"
    def failing(folder):
        (folder / "weights").write_bytes(b"half")
        raise KeyboardInterrupt
    try: publish(shelf, failing)
    except KeyboardInterrupt: seen.append("raised")
    assert seen[-1] == "raised", "who could not write is told so, and does not hear of a version 7"
    assert sorted(path.name for path in shelf.iterdir()) == ["0005", "0006"], \
        "a draft that failed is swept away, and everything else is as it was"
    def vanishing(folder):
        shutil.rmtree(folder)
        raise KeyboardInterrupt
    try: publish(shelf, vanishing)
    except BaseException as error: told = type(error)
    assert told is KeyboardInterrupt, "nothing is left to sweep away: still the writer's own error is told"
    refused = PermissionError("the disk refuses")
    with patch("os.rename", side_effect=refused), patch("os.replace", side_effect=refused):
        try: told = publish(shelf, write(b"x"))
        except PermissionError: told = "refused"
    assert told == "refused", "a disk that refuses is no rival: the error is raised, and the loop ends"
    waited, sync = [], os.fsync
    def watching(handle): waited.append(max(versions(shelf))), sync(handle)
    with patch("os.fsync", watching): number = publish(shelf, write(b"kept"))
    assert waited and waited[0] < number, "the files are on the disk before they get their number: settled"
    assert waited[-1] == number or os.name == "nt", "and the number, too, has to be on the disk: sync_folder"

# %% [markdown]
# ## Who is it today?
#
# "Production" is not a version. It is a name that stands for one: an **alias**. Moving it should be one
# act, it should be known who moved it when and why, and moving it back should take a second.
#
# So an alias is a list of moves, one file each, `0001`, `0002` …, and the last one counts. A move is made
# by putting a whole file under a name that was free. (A lock would do, too. But who dies with a lock in his
# hand leaves it locked; a file that is there or not there needs nobody to tidy up.)
#
# **Your turn.** `given_name(draft, path)` gives a file its name, if no other has it: FileExistsError if one
# has. You write the draft, and clean up.

# %%
#| export
def given_name(draft: Path, path: Path) -> None:
    """Gives a file its name in one act; FileExistsError if the name is taken."""
    if os.name == "nt":
        draft.rename(path)          # does not replace what is there
        return
    os.link(draft, path)            # a second name for the same file; rename would replace
    draft.unlink()

# %%
#| export exercise
def claim(path, data: bytes) -> None:
    """Writes a file that was not there, so that it is never seen half; FileExistsError if it is there."""
    path = Path(path)
    draft = path.with_name(f".{path.name}-{uuid4().hex}")
    #| hint As in write_safely of lesson 11: write, flush, os.fsync(file.fileno()), and then the name.
    #| hint Whatever happens, the draft does not stay: `finally: draft.unlink(missing_ok=True)`.
    ### BEGIN SOLUTION
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        given_name(draft, path)
    finally: draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    ### END SOLUTION

# %%
#| check 3
import tempfile
from unittest.mock import patch

with tempfile.TemporaryDirectory() as name:
    place, log, sizes, sync = Path(name), [], [], os.fsync
    def watching(handle):
        log.append([path.stat().st_size for path in place.iterdir() if not path.name.startswith(".")])
        sizes.append(max([path.stat().st_size for path in place.iterdir()]))
        sync(handle)
    with patch("os.fsync", watching): claim(place / "0001", b"to 7")
    assert (place / "0001").read_bytes() == b"to 7", "the file is there, and whole"
    assert log and log[0] == [], "fsync comes before the name: until it is on the disk, nobody sees the file"
    assert sizes[0] == 4, "flush comes before fsync, which waits only for what the system was given"
    assert log[-1] == [4] or os.name == "nt", "the name itself has to be on the disk: sync_folder"
    try: told = claim(place / "0001", b"to 8")
    except FileExistsError: told = "taken"
    assert told == "taken", "a name that is taken is refused: two people cannot make the same move"
    assert (place / "0001").read_bytes() == b"to 7", "the move that was there first stays as it was"
    def rival(handle):
        (place / "0002").write_bytes(b"rival")
        sync(handle)
    with patch("os.fsync", rival):
        try: told = claim(place / "0002", b"mine")
        except FileExistsError: told = "taken"
    assert told == "taken" and (place / "0002").read_bytes() == b"rival", \
        "somebody may come between looking and writing: only the naming itself may decide"
    with patch("os.fsync", side_effect=OSError("the disk is full")):
        try: told = claim(place / "0003", b"to 9")
        except OSError: told = "full"
    assert told == "full" and not (place / "0003").exists(), "what did not reach the disk gets no name"
    assert sorted(path.name for path in place.iterdir()) == ["0001", "0002"], "no draft is left behind"

# %% [markdown]
# And back. Versions 1, 2, 3 were promoted in turn, 3 is bad: back to 2. Now 2 is bad as well: back once
# more. To what? Write down your answer before you read on: "the one before" is 3, if you ask the list of
# moves.
#
# **Your turn.** Moves are `{"to": version}` and `{"back": True}`. Promoting what stands already changes
# nothing, so a step back from there must not lead to itself.

# %%
#| export exercise
def standing(moves: list[dict]) -> list[int]:
    """The versions that steps back would lead through; the last one is in use."""
    #| hint A pile: a promotion puts a version on top, unless it is there; a step back takes the top away.
    ### BEGIN SOLUTION
    pile: list[int] = []
    for move in moves:
        if move.get("back"): pile.pop()
        elif pile[-1:] != [move["to"]]: pile.append(move["to"])
    return pile
    ### END SOLUTION

# %%
#| check 2
to, back = lambda *numbers: [{"to": n} for n in numbers], {"back": True}

assert standing([]) == [], "without a move nothing is in use"
assert standing(to(1, 2, 3)) == [1, 2, 3], "a promotion is on top of what was there"
assert standing([*to(1, 2, 3), back]) == [1, 2], "a step back takes the top away"
assert standing([*to(1, 2, 3), back, back])[-1:] == [1], \
    "two steps back lead from 3 over 2 to 1, not to and fro between 2 and 3"
assert standing([*to(5, 9, 2), back])[-1:] == [9], "back to the version before, which need not be one less"
assert standing([*to(1, 2, 2), back]) == [1], \
    "promoting what is in use is no step: the way back leads to another one"
assert standing([*to(1, 2, 3, 3), back]) == [1, 2], "the same is so on a higher pile"
assert standing([*to(1, 2), back, *to(3)]) == [1, 3], \
    "after a step back, the next promotion is on top of what is left"
assert standing(to(1, 2, 1)) == [1, 2, 1], "an old version may be promoted again"

# %%
#| export
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

# %%
production = Alias(workshop / "production")
for number in (1, 2, 3): production.promote(number, "better on the unseen digits")
production.back("customers complain"), production.back("they still do"), len(production.moves())

# %% [markdown]
# ## In another program's words
#
# Our network needs our package. A telephone, a browser and a server in C++ have never heard of it; but they
# read **ONNX**: a list of nodes whose kinds are written down. How does a list come out of a Python program
# with loops and ifs? You have known since lesson 02: everything goes through one door. Whoever stands there
# and takes notes has the list.
#
# **Your turn.** An engine around an engine that notes every step.

# %%
#| export exercise
class Tracer(Engine):
    """Computes like the engine it wraps, and notes every step."""

    def __init__(self, inner: Engine | None = None):
        self.inner = inner or current_engine()
        self.kernels, self.steps, self.before = self.inner.kernels, [], {}

    def run(self, op, inputs: tuple, settings: dict):
        """What the inner engine gives; op, inputs, settings and output are noted."""
        #| hint The inner engine computes. Step(op, inputs, settings, out) goes to the end of self.steps.
        ### BEGIN SOLUTION
        out = self.inner.run(op, inputs, settings)
        self.steps.append(Step(op, inputs, settings, out))
        return out
        ### END SOLUTION

    def write(self, tensor: Tensor, value, index=...):
        """Writing is noted as putting values where the index is: afterwards the tensor is another value."""
        self.before.setdefault(id(tensor), tensor.array.copy())
        self.steps.append(Step(put_index, (tensor, value), {"index": index}, tensor))
        return self.inner.write(tensor, value, index)

# %%
#| check 2
from tinytorch import tensor
from tinytorch.tensor import using

class Inner(Engine):
    asked = 0
    def run(self, op, inputs, settings):
        self.asked += 1
        return super().run(op, inputs, settings)

inner = Inner()
with using(Tracer(inner)) as tracer:
    x = tensor([[1.0, -2.0]])
    y = relu(x)
    assert isinstance(y, Tensor) and y.tolist() == [[1.0, 0.0]], \
        "a traced program computes what it always did, and gets its answer"
    z = y.sum(1, keepdim=True)
assert inner.asked == 2, "the inner engine does the work, once for each step"
assert [step.op.name for step in tracer.steps] == ["relu", "sum"], \
    "every step is noted, in the order in which it ran"
assert tracer.steps[1].inputs[0] is y and tracer.steps[0].out is y, \
    "the tensors themselves are noted, what went in and what came out: so the list knows what feeds what"
assert tracer.steps[1].settings == {"dim": 1, "keepdim": True}, "and the settings"

# %%
from tinytorch.tensor import using

with no_grad(), using(Tracer()) as tracer: softmax(reader(unseen[:3][0]), 1)
for step in tracer.steps: print(step.op.name, [tuple(x.shape) for x in step.inputs], step.settings)

# %% [markdown]
# Now a second list: in ONNX's words. Each op has a rule, as it has one for gradients; it is called with a
# page to write on and a value for each input. In `page.node(kind, *inputs, **attributes)` the page finds a
# name for what comes out. These are the words, from ONNX's documentation:
#
# - `Gemm(A, B, C)`: `A @ B + C`; with the attribute `transB=1` it turns `B` over first. `C` may be missing
#   (None).
# - `Relu(X)`: `max(X, 0)`.
# - `Softmax(X)`: along the attribute `axis`, which is the last one if you say nothing.
#
# **Your turn.** How does our `linear` keep its weights?

# %%
#| export exercise
@onnx(linear)
def nodes_of_linear(page: Page, x: Value, weight: Value, bias: Value | None = None) -> Value:
    """x @ weight.T + bias"""
    if x.ndim != 2:                                     # Gemm is for matrices
        out = page.node("MatMul", x, page.node("Transpose", weight, perm=[1, 0]))
        return out if bias is None else page.node("Add", out, bias)
    ### BEGIN SOLUTION
    return page.node("Gemm", x, weight, bias, transB=1)
    ### END SOLUTION


@onnx(relu)
def nodes_of_relu(page: Page, x: Value) -> Value:
    ### BEGIN SOLUTION
    return page.node("Relu", x)
    ### END SOLUTION


@onnx(softmax)
def nodes_of_softmax(page: Page, x: Value, dim: int, dtype=None) -> Value:
    if dtype is not None: x = page.cast(x, as_dtype(dtype).numpy)
    ### BEGIN SOLUTION
    return page.node("Softmax", x, axis=dim)
    ### END SOLUTION

# %%
#| check 2
from tinytorch.nodes import play

def played(rule, *arrays, **settings):
    """What the nodes of a rule compute."""
    page = Page()
    values = [None if x is None else page.constant(x) for x in arrays]
    try: return play(page, rule(page, *values, **settings))
    except NotImplementedError as error: return error

x, w = np.array([[1.0, 2.0, 3.0]], np.float32), np.array([[1.0, 0.0, 0.0], [0.0, 10.0, 100.0]], np.float32)
b = np.array([0.5, 0.25], np.float32)
def fits(told, want):
    return isinstance(told, np.ndarray) and told.shape == np.shape(want) and np.allclose(told, want)
def tried(rule, *arrays):
    try: return played(rule, *arrays)
    except ValueError as error: return error

assert fits(tried(nodes_of_linear, x, w, b), [[1.5, 320.25]]), \
    "x @ weight.T + bias: our weights lie (out, in), so Gemm has to turn them over"
assert fits(tried(nodes_of_linear, x, w, None), [[1.0, 320.0]]), "without a bias, nothing is added"
assert fits(played(nodes_of_relu, np.array([-1.0, 2.0], np.float32)), [0.0, 2.0]), \
    "relu is one node, spelt Relu: what is positive, else 0"
table = np.array([[0.0, 0.0], [np.log(3), 0.0]], np.float32)
assert fits(played(nodes_of_softmax, table, dim=0), [[0.25, 0.5], [0.75, 0.5]]), \
    "softmax goes along the dim that the op was given: the attribute axis says which"
assert fits(played(nodes_of_softmax, table, dim=1), [[0.5, 0.5], [0.75, 0.25]]), \
    "softmax along rows adds up along rows"

# %% [markdown]
# ## A number that was baked in
#
# `x.reshape(len(x), -1)`, traced with 3 digits, is a reshape to `(3, 64)`. Written down like that, the
# graph reads three digits at a time, for ever. This is the most common mistake in exported models, and it
# is silent: the file is correct, for batches of 3.
#
# The remedy of the appendix on nodes: run twice, with batches of 3 and of 4. A number that differed is
# `Varying`. In a reshape one length may be -1, which the runtime finds by itself. If several vary, all but
# one have to be read off some shape in the graph, and `page.node` does that, if it `can_see` them.
#
# **Your turn.** Put the -1 in the right place: at a varying length that the page can *not* see, if there is
# one; else at any that varies. If none varies, or the shape has a -1 already, leave it as it is.

# %%
#| export exercise
def open_shape(page: Page, shape: list) -> list:
    """The shape with -1 for one of the lengths that vary."""
    #| hint varying = [i for i, n in enumerate(shape) if isinstance(n, Varying)].
    #| hint False sorts before True: min(varying, key=lambda i: page.can_see(shape[i])).
    ### BEGIN SOLUTION
    varying = [i for i, n in enumerate(shape) if isinstance(n, Varying)]
    if not varying or -1 in shape: return list(shape)
    at = min(varying, key=lambda i: page.can_see(shape[i]))
    return [-1 if i == at else n for i, n in enumerate(shape)]
    ### END SOLUTION

# %%
#| check 2
page = Page()
batch, words, both = Varying(3, 4), Varying(5, 7), Varying(15, 28)
page.note(Value("x", (batch, words, 8), np.dtype(np.float32)))

assert open_shape(page, [2, 32]) == [2, 32], "what never varies stays as it is"
assert open_shape(page, [batch, 64]) == [-1, 64], "a length that varies must not be written down: -1"
assert open_shape(page, [batch, -1]) == [batch, -1], "one -1 is all a shape may have"
told = open_shape(page, [batch, 8, words])
assert sorted(map(int, told))[0] == -1 and told.count(-1) == 1, \
    "of several that vary, one is -1, the others are read off"
assert all([n is batch or n is words or n in (-1, 8) for n in told]), \
    "the others stay what they are, Varying, so that the page can look for them"
assert open_shape(page, [batch, both]) == [batch, -1] and open_shape(page, [both, words]) == [-1, words], \
    "the -1 goes to the length that no dimension in the graph shows"
given = [batch, 64]
assert open_shape(page, given) and given == [batch, 64], "the list that was given stays as it was"

# %%
#| export
@onnx(reshape, view)
def reshaped(page: Page, x: Value, shape) -> Value:
    """The same numbers in another shape, whatever the size of the batch."""
    shape = [shape] if isinstance(shape, int) else list(shape)
    return page.node("Reshape", x, open_shape(page, shape), allowzero=1 if 0 in shape else None)

# %% [markdown]
# **Your turn.** The last piece: the whole list. `names.inputs(step)` are the values that go into a step,
# `names.settings(step)` its settings, and `names.done(step, value)` puts down what came out. An op that has
# no rule is an error that says so, by name; silently left out, it would be a wrong answer somewhere else.

# %%
#| export exercise
def write_nodes(page: Page, steps: list[Step], names: Names) -> None:
    """Writes each step as the nodes that its op's rule makes of it."""
    for step in steps:
        page.about = step.op.name
        #| hint NODES.get(step.op) is the rule. Without one: Unwritten, with the name of the op.
        #| hint rule(page, *names.inputs(step), **names.settings(step)) gives the value that comes out.
        ### BEGIN SOLUTION
        rule = NODES.get(step.op)
        if rule is None:
            raise Unwritten(f"{step.op.name} has no nodes yet: write them under @onnx({step.op.name})")
        names.done(step, rule(page, *names.inputs(step), **names.settings(step)))
        ### END SOLUTION

# %%
#| check 3
from tinytorch import manual_seed, randn, tensor
from tinytorch.dense import Linear
from tinytorch.layers import Sequential
from tinytorch.nodes import play
from tinytorch.tensor import using

def graph(program, x, weights=()):
    """A program as nodes, and the value that it ends in."""
    with using(Tracer(Engine())) as tracer: out = program(x)
    page = Page()
    names = Names(page, dict(weights))
    names.put(x, Value("x", tuple(x.shape), np.dtype(np.float32)))
    write_nodes(page, tracer.steps, names)
    return page, names.of(out)

manual_seed(0)
net, x = Sequential(Linear(4, 8), Linear(8, 3)), randn(2, 4)
page, out = graph(lambda x: softmax(relu(net[1](relu(net[0](x)))), 1), x, net.named_parameters())
assert [node.kind for node in page.nodes] == ["Gemm", "Relu", "Gemm", "Relu", "Softmax"], \
    "one rule for each step, in the order of the steps"
assert {"0.weight", "0.bias", "1.weight", "1.bias"} <= set(page.constants), \
    "weights are constants, under the names of the state_dict"
assert page.nodes[0].inputs[0] == "x" and page.nodes[1].inputs == page.nodes[0].outputs, \
    "what came out of one step goes into the next one: names.done puts it down"
other = randn(5, 4)
want = softmax(relu(net[1](relu(net[0](other)))), 1).array
got = play(page, out, x=other.array)
assert got.shape == want.shape and np.allclose(got, want, atol=1e-6), \
    "the nodes compute what the program computes, also for a batch of another size"
twice, out = graph(lambda x: relu(x.reshape(4, 2)).reshape((8,)), x)
assert play(twice, out, x=x.array).shape == (8,), \
    "settings reach the rule: the second reshape is to another shape than the first"
try: told = str(graph(lambda x: relu(x).exp(), x))
except Unwritten as error: told = str(error)
assert "exp" in told, "an op without a rule is an error that names it, and not a hole in the graph"

# %%
page = Page()
names = Names(page, dict(reader.named_parameters()))
x = unseen[:3][0]
names.put(x, Value("x", tuple(x.shape), np.dtype(np.float32)))
with no_grad(), using(Tracer()) as tracer: answer = softmax(reader(x), 1)
write_nodes(page, tracer.steps, names)
for node in page.nodes: print(node)

# %% [markdown]
# The appendices know two hundred more words, and `tinytorch.onnx.export` puts the list into a file, when
# the `onnx` package is installed. Where ONNX Runtime is, too, it has the last word.
#
# ## How slow is slow?
#
# The mean of a hundred answers is 12 ms; ninety-nine took 2 ms, and one a second. Nobody experienced 12 ms.
# What counts are **quantiles**: half of all answers took at most so long (the median), 99 of 100 at most so
# long (p99).
#
# Exact quantiles need all the numbers. A service that has answered a billion times keeps counts in
# **buckets** instead, and counts can be added: those of ten machines, of sixty minutes. (Can the p99s of
# ten machines be averaged? Say what you think, then look.)

# %%
rng = np.random.default_rng(0)
machines = [rng.exponential(2.0, 1000) for _ in range(9)] + [rng.exponential(40.0, 1000)]
print("the mean of ten p99s:", round(np.mean([np.quantile(m, 0.99) for m in machines]), 1))
print("the p99 of all:      ", round(np.quantile(np.concatenate(machines), 0.99), 1))

# %% [markdown]
# **Your turn.** `counts[i]` is how many were at most `bounds[i]`, and more than the bound before; the last
# count is of those above all bounds. A number that equals a bound belongs to it ("at most").
#
# For a quantile, find the bucket in which the one of rank `q * n` lies. Within it, nothing is known; assume
# they are spread evenly, from the bound before (0 before the first) to its own. Above the last bound
# nothing can be said but that: the last bound. And a quantile of nothing is nan. (It is what Prometheus
# does.)

# %%
#| export
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

# %%
#| export exercise
def observe(histogram: Histogram, x: float) -> None:
    """Counts a number in its bucket."""
    #| hint bisect_left(bounds, x) is how many bounds are less than x.
    ### BEGIN SOLUTION
    histogram.counts[bisect_left(histogram.bounds, x)] += 1
    ### END SOLUTION


def quantile(histogram: Histogram, q: float) -> float:
    """The number that a share q of all are at most, as nearly as the buckets tell."""
    #| hint Go through the buckets and add up what is below. The first with below + count >= rank has it.
    #| hint low + (high - low) * (rank - below) / count; an empty bucket has nobody: skip it.
    ### BEGIN SOLUTION
    rank, below = q * histogram.n, 0
    lows = (min(0.0, histogram.bounds[0]), *histogram.bounds)
    for count, low, high in zip(histogram.counts, lows, histogram.bounds):
        if count and below + count >= rank: return low + (high - low) * (rank - below) / count
        below += count
    return histogram.bounds[-1] if histogram.n else math.nan
    ### END SOLUTION

# %%
#| check 3
def counted(*numbers, bounds=(1, 2, 4)):
    histogram = Histogram(bounds)
    for x in numbers: histogram.observe(x)
    return histogram

assert counted(1, 1.5, 2, 3, 9, 4).counts == [1, 2, 2, 1], \
    "a number that equals a bound is at most that bound; what is above all bounds counts last"
assert counted(0.5, 0.5, 3, 3).quantile(0.5) == 1.0, \
    "half of four are in the first bucket: its end is the median"
assert counted(0.5, 0.5, 3, 3).quantile(0.75) == 3.0, \
    "rank 3 of 4 is the first of two between 2 and 4: spread evenly, the first half ends at 3"
assert counted(3, 3, 3, 3).quantile(0.25) == 2.5, "within a bucket, from the bound before to its own"
assert counted(*[0.5] * 10).quantile(0.5) == 0.5, "the rank is among the numbers: 5 of 10"
assert counted(0.2, 0.2).quantile(0.5) == 0.5, "the first bucket begins at 0"
assert counted(*[0.5] * 9, 3).quantile(0.99) == 2 + 2 * (9.9 - 9), \
    "below counts all buckets before, not the last one alone"
assert counted(9, 9, 9).quantile(0.5) == 4, "above the last bound, all that can be said is the last bound"
assert math.isnan(Histogram().quantile(0.5)), "of nothing there is no quantile"
assert counted(-3, -3, bounds=(-2, 5)).quantile(0.5) == -2, "below a bound under 0 it is that bound"
assert counted(0.5, 9, bounds=(1, 2, 4)).quantile(1.0) == 4, "the slowest of all is above all bounds"

# %% [markdown]
# ## Is it still the same world?
#
# Nobody tells a service which of its answers were wrong. But it can be seen whether the *questions* are
# those it was made for. The **population stability index** comes from banks, who have asked for decades
# whether the people who apply today are like those of the year of the model. Cut the numbers of back then
# into ten bins of equal weight, a tenth of all in each; count today's in the same bins; then
#
# $$\mathrm{PSI} = \sum_i (q_i - p_i) \ln \frac{q_i}{p_i}$$
#
# with the shares $p$ then and $q$ now. Each term is positive: where there are more now, both factors are
# above 0; where there are fewer, both below. Custom has it that 0.1 is worth a look, and 0.25 worth a phone
# call.
#
# What if a bin is empty today? The logarithm is infinite, and one empty bin in a quiet night wakes
# everybody up. So half a number is added to every count, before shares are made.
#
# **Your turn.** For many features at once: data is (N, F), a column for each feature, and so is everything
# below.

# %%
#| export exercise
def edges_of(reference, bins: int = 10):
    """Where to cut so that each bin has the same share of the reference.  (N, F) -> (bins - 1, F)"""
    #| hint np.quantile(reference, [1/bins, 2/bins, …], axis=0): without 0 and 1, the outer bins are open.
    ### BEGIN SOLUTION
    return np.quantile(reference, np.arange(1, bins) / bins, axis=0)
    ### END SOLUTION


def shares(data, edges):
    """The share of each bin, half a number added to each count.  (N, F), (bins - 1, F) -> (bins, F)"""
    counts = counts_in(data, edges)
    #| hint What is the sum of the counts of a column, after half a number was added to each of its bins?
    ### BEGIN SOLUTION
    counts = counts + 0.5
    return counts / counts.sum(axis=0)
    ### END SOLUTION


def psi(reference, now, bins: int = 10):
    """The population stability index of each feature.  (N, F), (M, F) -> (F,)"""
    ### BEGIN SOLUTION
    edges = edges_of(reference, bins)
    p, q = shares(reference, edges), shares(now, edges)
    return ((q - p) * np.log(q / p)).sum(axis=0)
    ### END SOLUTION

# %%
#| export
def counts_in(data, edges):
    """How many numbers of each column lie between its edges, the lower one included.  (N, F) -> (b, F)"""
    columns = [np.bincount(np.searchsorted(cut, column, side="right"), minlength=len(cut) + 1)
               for column, cut in zip(np.asarray(data).T, np.asarray(edges).T)]
    return np.stack(columns, axis=1)

# %%
#| check 3
from itertools import pairwise

rng = np.random.default_rng(1)
old = np.stack([rng.standard_normal(4000), 100 + 5 * rng.standard_normal(4000)], 1)
cuts = edges_of(old, 4)
assert cuts.shape == (3, 2), "three cuts make four bins, for each feature by itself: quantiles along axis 0"
assert np.allclose(cuts[:, 0], [-0.674, 0, 0.674], atol=0.08), \
    "bins of equal weight: a quarter of all below the first cut, whatever the width"
p = shares(np.array([[1.0, 9], [1.0, 9], [1.0, 9], [5.0, 9]]), np.array([[2.0, 2], [3.0, 3]]))
assert np.allclose(p.T, [[3.5 / 5.5, 0.5 / 5.5, 1.5 / 5.5], [0.5 / 5.5, 0.5 / 5.5, 4.5 / 5.5]]), \
    "(count + 1/2) / (n + bins/2): no bin is ever empty, and the shares of a feature add up to 1"
assert np.shape(psi(old, old)) == (2,), "an index for each feature"
assert np.allclose(psi(old, old), 0), "the same numbers have an index of 0"
assert (psi(old, np.concatenate([old, old, old])) < 0.001).all(), \
    "three times as many numbers of the same kind are no drift: shares, not counts"
moved = psi(old, old + [1.0, 0.0])
assert moved[0] > 0.25 and moved[1] < 0.01, "each feature by itself: the first one moved, the second did not"
far = psi(old, old + [50.0, 0.0])
assert np.isfinite(far).all() and far[0] > 2, \
    "all in the last bin, as bins are those of the reference, and still a finite number"
def by_hand(a, b):
    """The sum over ten bins of one feature, bin by bin."""
    cuts, total = [-math.inf, *np.quantile(a, np.arange(1, 10) / 10), math.inf], 0.0
    for low, high in pairwise(cuts):
        p, q = [(sum((z >= low) & (z < high)) + 0.5) / (len(z) + 5) for z in (a, b)]
        total += (q - p) * math.log(q / p)
    return total

assert abs(moved[0] - by_hand(old[:, 0], old[:, 0] + 1.0)) < 1e-9, \
    "the sum of (q - p) ln(q / p), over ten bins that were cut from the reference"
lumps = np.repeat([[0.0], [1.0], [5.0]], [50, 30, 20], axis=0)
assert abs(psi(lumps, lumps + 1)[0] - by_hand(lumps[:, 0], lumps[:, 0] + 1)) < 1e-9, \
    "bins need not weigh the same: each has its own ln(q / p)"

# %% [markdown]
# Somebody changed the bulb of the scanner, and the new one is a twentieth brighter: ink that was 1 is 0.95.
# No eye sees it. Does the index? (Paper is 0; the pictures have 8 x 8 pixels. On the left, digits by people
# whose hands the network has not seen; on the right, the same digits under the new bulb. The darker, the
# more drift.)

# %%
from tinytorch.curves import curves

then, today = [part[:][0].array for part in (familiar, unseen)]
brighter = today * 0.95

def drawn(numbers, most=1.0):
    """Numbers of a picture as letters: the darker, the more."""
    levels = np.clip(np.asarray(numbers).reshape(8, 8) / most * 9, 0, 9).astype(int)
    return ["".join([2 * " .:-=+*#%@"[n] for n in row]) for row in levels]

quiet, loud = psi(then, today), psi(then, brighter)
print("other people      the new bulb")
print("\n".join([f"{a}  {b}" for a, b in zip(drawn(quiet), drawn(loud))]))
print("pixels above 0.25:", (quiet > 0.25).sum(), "and", (loud > 0.25).sum(), "of 64")

# %% [markdown]
# So loud, for a twentieth? These pictures have seventeen shades of grey, 0, 1/16, 2/16 …, and each of them
# has left its place. In bins that were cut *at* those places, all of a shade falls into the bin below. And
# does the network mind?

# %%
[evaluate(reader, [(tensor(x), unseen[:][1])], accuracy=Accuracy())["accuracy"] for x in (today, brighter)]

# %% [markdown]
# It reads them as before. Drift says that the world has changed, not that the answers are wrong: a reason
# to look, and to ask people for the truth about some of them.
#
# ## A test without bins
#
# Bins are a choice, and hide what happens within them. Kolmogorov (1933) and Smirnov (1939) made none.
# Draw, for both samples, which share lies at or below `x`: two staircases from 0 to 1. Their distance where
# it is largest is `D`.
#
# **Your turn.** Between two numbers the stairs are flat, so it is enough to look at every number of either
# sample. Samples need not be of one size, and numbers may come more than once: at `x` itself a staircase
# has already risen.

# %%
#| export exercise
def ks_distance(a, b) -> float:
    """The largest distance between the shares of two samples at or below x.  (N,), (M,) -> ()"""
    #| hint at = np.concatenate([a, b]): every place where one of the two rises.
    #| hint np.searchsorted(np.sort(a), at, side="right") / len(a) is the share of a at or below.
    ### BEGIN SOLUTION
    at = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())
    ### END SOLUTION

# %%
#| check 2
assert ks_distance([1, 2, 3, 4], [1, 2, 3, 4]) == 0.0, "equal samples have no distance"
assert ks_distance([1, 2], [3, 4]) == ks_distance([3, 4], [1, 2]) == 1.0, \
    "samples that do not meet are as far apart as can be, whichever comes first"
assert ks_distance([1, 2, 3, 4], [2.5, 3.5]) == 0.5, \
    "shares, not counts: at 2, half of one sample and none of the other"
assert ks_distance([3, 1, 2], [2, 1, 3, 3, 1, 2]) == 0.0, \
    "the order does not matter, and twice as many are no difference"
assert ks_distance([1, 1, 1, 2], [1, 2, 2, 2]) == 0.5, "numbers that are equal are all at or below themselves"
assert abs(ks_distance([0, 10], [4, 5, 6]) - 0.5) < 1e-12, \
    "the largest distance on the way, not that of the means"

# %% [markdown]
# Is a distance of 0.1 much? Two samples of the *same* kind have some distance, too. Kolmogorov found how it
# is spread: with $n = NM/(N+M)$, the chance that $\sqrt n\, D$ is larger than $x$ approaches
# $2\sum_{k \ge 1} (-1)^{k-1} e^{-2k^2x^2}$, whatever the numbers are. (For small samples it can be counted
# exactly; the appendix on drift does.)

# %%
#| export
def kolmogorov(x: float) -> float:
    """How likely the distance of two large samples of one kind, times the root of n, is above x."""
    if x < 0.2: return 1.0                          # there the sum needs many terms, and is 1 to ten digits
    return min(1.0, 2 * sum([(-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101)]))

# %%
def p_value(a, b): return kolmogorov(math.sqrt(len(a) * len(b) / (len(a) + len(b))) * ks_distance(a, b))

ink = then.sum(1), today.sum(1), brighter.sum(1)                 # how much ink each digit takes
[round(ks_distance(ink[0], now), 3) for now in ink[1:]], [f"{p_value(ink[0], now):.1e}" for now in ink[1:]]

# %% [markdown]
# Sixty-four pixels are sixty-four tests. If each cries wolf in 5 of 100 hours when nothing is wrong, how
# many cry in an ordinary hour? And in how many hours is there no alarm at all? Guess; then draw two halves
# of one and the same sample.

# %%
rng = np.random.default_rng(2)
alarms = []
for _hour in range(30):
    noisy = then + rng.uniform(0, 1e-6, then.shape)             # or most of the numbers would be equal
    one, other = np.split(rng.permutation(noisy)[:1400], 2)
    alarms.append(sum([p_value(a, b) < 0.05 for a, b in zip(one.T, other.T)]))
np.mean(alarms), sum([n == 0 for n in alarms])

# %% [markdown]
# Divide the threshold by the number of tests (Bonferroni, 1936), and it is one hour in twenty that has a
# false alarm.
#
# ## The canary
#
# Miners took a canary along, because it falls off its perch before men do. A new version gets one request
# in ten, the old one the rest; and if the new one fails more often, it is taken back before many have met
# it.
#
# More often than what? Not than a fixed limit: if the *input* is bad, both fail, and the bird is innocent.
# And not more failures: it has a tenth of the traffic. What is compared are **rates**, and a difference
# must be larger than chance makes it. With $x_1$ failures of $n_1$ and $x_2$ of $n_2$, and
# $p = (x_1 + x_2)/(n_1 + n_2)$ for both together,
#
# $$z = \frac{x_2/n_2 - x_1/n_1}{\sqrt{p(1-p)(1/n_1 + 1/n_2)}}$$
#
# is nearly normal when both are equally good: above 3 only once in 740 times.
#
# **Your turn.** "wait" while either of them has answered less than `least` times; "back" if z is above
# `limit`, and the new one has failed at least `few` times (with fewer, z is far from normal: one failure of
# 150, where the old one had none in 1,400, has a z of 3, and is bad luck); "on" when the new one has
# answered `enough` times without that; else "wait". If nobody failed, or everybody did, there is no
# difference: z is 0.

# %%
#| export
class Tally(NamedTuple):
    """How often a version was asked, and how often it failed."""

    asked: int = 0
    failed: int = 0

    def plus(self, failed: bool): return Tally(self.asked + 1, self.failed + bool(failed))

# %%
#| export exercise
def z_score(old: Tally, new: Tally) -> float:
    """How many standard deviations the new one's failure rate lies above the old one's."""
    p = (old.failed + new.failed) / (old.asked + new.asked)
    ### BEGIN SOLUTION
    spread = math.sqrt(p * (1 - p) * (1 / old.asked + 1 / new.asked))
    return (new.failed / new.asked - old.failed / old.asked) / spread if spread else 0.0
    ### END SOLUTION


def verdict(
    old: Tally, new: Tally, limit: float = 3.0, least: int = 30, few: int = 5, enough: int = 1000,
) -> str:
    """What should happen to the new version: "back", "on", or "wait" for more answers."""
    #| hint Three questions in this order: do we know enough to judge? is it worse? has it shown enough?
    ### BEGIN SOLUTION
    if min(old.asked, new.asked) < least: return "wait"
    if new.failed >= few and z_score(old, new) > limit: return "back"
    return "on" if new.asked >= enough else "wait"
    ### END SOLUTION

# %%
#| check 3
spread = math.sqrt(0.014 * 0.986 * (1 / 900 + 1 / 100))
assert abs(z_score(Tally(900, 9), Tally(100, 5)) - 0.04 / spread) < 1e-12, \
    "the difference of the rates, over the spread that chance gives it"
assert z_score(Tally(900, 90), Tally(100, 10)) == 0.0, "90 of 900 and 10 of 100 are the same rate"
def z_of(old, new):
    try: return z_score(Tally(*old), Tally(*new))
    except ZeroDivisionError: return "a division by zero"

assert z_of((100, 0), (100, 0)) == 0.0 == z_of((50, 50), (50, 50)), \
    "if nobody failed, or everybody did, there is no difference, and no division by zero"
assert verdict(Tally(900, 18), Tally(100, 15)) == "back", \
    "15 of 100 against 18 of 900: taken back, though 15 is less than 18"
assert verdict(Tally(9000, 450), Tally(1000, 52)) == "on", \
    "5.2 % against 5 %: chance does as much, and a thousand are enough"
assert verdict(Tally(9000, 9), Tally(30, 5)) == "back", "thirty answers are enough, and so are five failures"
assert verdict(Tally(9, 0), Tally(1, 1)) == "wait", "one answer is none: one failure in one proves nothing"
assert verdict(Tally(900, 18), Tally(100, 2)) == "wait", \
    "not worse so far is not enough: it has to show a thousand"
assert verdict(Tally(1400, 0), Tally(150, 1)) == "wait", \
    "fewer than five failures are bad luck, whatever z says"
assert verdict(Tally(5, 0), Tally(500, 400)) == "wait", "the old one has to be known, too"
assert verdict(Tally(900, 300), Tally(1000, 20)) == "on", "far fewer failures are no reason to go back"
assert verdict(Tally(900, 700), Tally(100, 78)) == "wait", "bad input hurts both: the canary is not to blame"
assert verdict(Tally(9000, 90), Tally(1000, 60)) == "back", "worse is worse, however much it has shown"
at_the_limit = z_score(Tally(900, 18), Tally(100, 15))
assert verdict(Tally(900, 18), Tally(100, 15), at_the_limit) == "wait", "back is what is above the limit"

# %% [markdown]
# ## One evening
#
# Version 1 has learnt, one bad night long ago, that a scanner sometimes sends pixels that are no numbers,
# and takes them for paper. Version 2 reads better, and its author has never heard of that night. At request
# 1500 the scanner falls ill: one picture in three has holes.

# %%
@no_grad()
def old_version(x): return reader(tensor(np.nan_to_num(x))).array

@no_grad()
def new_version(x): return reader(tensor(x)).array

def failed(answer): return not np.isfinite(answer).all()

rng, traffic = np.random.default_rng(3), []
for n in range(4000):
    picture = today[rng.integers(len(today))].copy()
    if n >= 1500 and rng.random() < 1 / 3: picture[rng.integers(64)] = np.nan
    traffic.append(picture)

alias = Alias(workshop / "evening")
for number in (1, 2): alias.promote(number)
old, new, rates = Tally(), Tally(), {"version 1": [], "version 2": []}
for n, picture in enumerate(traffic):
    if n % 10 == 0 and alias.version == 2: new = new.plus(failed(new_version(picture[None])))
    else: old = old.plus(failed(old_version(picture[None])))
    rates["version 1"].append(old.failed / max(old.asked, 1))
    rates["version 2"].append(new.failed / max(new.asked, 1) if alias.version == 2 else math.nan)
    if alias.version == 2 and verdict(old, new) == "back":
        print(f"request {n}: {new.failed} of {new.asked} failed, z = {z_score(old, new):.1f}; back to",
              alias.back())

# %%
curves(rates, x="request")

# %% [markdown]
# How many people met the failing version? And how many would have, if all traffic had gone to it at once?
# The price is time: with one request in ten, and a difference of one in a hundred, how many requests does
# it take until z is 3?
#
# ## What it costs
#
# Checking a package reads every byte once, and hashing is about as fast as a disk. What an instrument costs
# is paid with every answer, so it must be small against the answer:

# %%
from tinytorch import timed

blob = workshop / "blob"
blob.write_bytes(bytes(10_000_000))
latency = Histogram()
print("SHA-256 of 10 MB  ", timed(lambda: digest(blob)))
print("a move            ", timed(lambda: production.promote(len(production.moves()))))
print("one answer        ", timed(lambda: old_version(today[:1])))
print("one observation   ", timed(lambda: latency.observe(0.003)))
print("PSI of 382 digits ", timed(lambda: psi(then, today)))
shutil.rmtree(workshop)

# %% [markdown]
# ## Challenges
#
# 1. Ed25519 signs with one key and checks with another; RFC 8032 has a version in Python of a page. Sign a
#    package with it. Who may have which key now, and what does a signature prove that an HMAC does not?
# 2. Take the `-1` out of `open_shape`, export a network with a `flatten`, and run it with another batch.
#    What does the error say, and would you have understood it?
# 3. Write `@onnx` rules for `conv2d` and `max_pool2d` from ONNX's documentation, and `play` a LeNet.
#    Compare with those of the appendix: what about padding?
# 4. The bounds of `LATENCIES` are wrong for a service that answers in 20 µs. How wrong is its p99? Make
#    buckets that double, and say how wrong a quantile can be then.
# 5. A lamp that gets darker by a hundredth a day: which of PSI and Kolmogorov and Smirnov's test sees it
#    first, if the reference is a year old? And if it is yesterday?
# 6. `verdict` looks after every request, and chance has a thousand opportunities to pass 3. Simulate two
#    equally good versions a thousand times. How many are taken back? What limit makes it one in a hundred?
#
# ## Design note: where an alias lives
#
# A symbolic link `production -> 0003`, replaced by one renaming, is the shortest alias there is, and many
# use it. It has no memory: when it points to the wrong version, nobody knows since when, and two people who
# move it at the same time overwrite each other without noticing. A database remembers and excludes, and is
# one more thing that must run.
#
# The list of moves lies between them. The file system decides who was first, as a database would; the past
# is there, since it *is* the alias; nothing has to be unlocked after an accident. The price: every reader
# reads all moves, so a list of a million would want a summary now and then; and a file system that has no
# second names (some network drives, FAT) cannot do it. What decided it: the question that is asked after
# every accident is not "what is in production?" but "what was in production on Tuesday at three?"
