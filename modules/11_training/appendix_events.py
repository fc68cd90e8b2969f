# %% [markdown]
# # Appendix: events that TensorBoard reads
#
# TensorBoard is a page in the browser that draws what a run writes down. Its files are three simple things
# inside each other: **records** (a length, the bytes, and checksums of both), each holding an **event** (a
# time, a step, and what happened), written in **protocol buffers** (Google, 2008): every field is a number
# that says which one it is and how long, and then the value. None of it needs a library to write.
#
# PyTorch's `torch.utils.tensorboard` asks for TensorBoard to be installed where a run writes. Here it has to
# be installed only where somebody looks.

# %%
#| export
"""Event files for TensorBoard: checksums, records, protocol buffers, and the SummaryWriter that uses them."""

# %%
#| export
from __future__ import annotations

import os
import socket
import struct
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tinytorch.modes import no_grad
from tinytorch.layers import Module
from tinytorch.tensor import Engine, Op, Tensor, as_array, current_engine, using

# %% [markdown]
# ## A checksum
#
# CRC-32C takes the bytes for one huge binary number and divides it by another; the remainder is the sum.
# Byte by byte, with a table of what each byte does to the remainder, that is a loop, fast enough for the
# fifty bytes of a loss. A picture has a hundred thousand.
#
# For those: the remainder of two pieces in a row is that of the left one, as if zeros followed it, mixed with
# that of the right one. So take all bytes at once, then all pairs, all pairs of pairs …

# %%
#| export
def remainders():
    """What each byte leaves in the remainder."""
    bits = np.arange(256, dtype=np.uint32)
    for _ in range(8): bits = np.where(bits & 1, bits >> 1 ^ np.uint32(0x82F63B78), bits >> 1)
    return bits


BYTES = remainders()
LOOP = BYTES.tolist()           # whole numbers of Python, for the loop


def crc32c(data) -> int:
    """The checksum of some bytes; Castagnoli, 1993."""
    if len(data) > 200: return crc32c_by_halves(np.frombuffer(data, np.uint8))
    crc = 0xFFFFFFFF
    for byte in bytes(data): crc = crc >> 8 ^ LOOP[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def crc32c_by_halves(data) -> int:
    padded = np.zeros(1 << (len(data) - 1).bit_length(), np.uint8)      # zeros in front change nothing
    padded[-len(data) :] = data
    padded[-len(data) :][:4] ^= 0xFF                                    # the register starts full of ones
    crc = BYTES[padded]
    zeros = np.stack([BYTES, *[np.arange(256, dtype=np.uint32) << 8 * k for k in range(3)]])
    while len(crc) > 1:
        crc = followed(zeros, crc[::2]) ^ crc[1::2]
        zeros = followed(zeros, zeros)                                  # twice as many of them
    return int(crc[0]) ^ 0xFFFFFFFF


def followed(zeros, crc):
    """Remainders after some zeros; the four rows of `zeros` say what these make of each byte of them."""
    return zeros[0][crc & 255] ^ zeros[1][crc >> 8 & 255] ^ zeros[2][crc >> 16 & 255] ^ zeros[3][crc >> 24]


def record(data: bytes) -> bytes:
    """A record: the length, its checksum, the bytes, their checksum."""
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def masked(data: bytes) -> bytes:
    """The checksum, turned and shifted, because a checksum of checksums would say little."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

# %%
hex(crc32c(b"123456789"))           # every description of a checksum gives that of these nine digits

# %% [markdown]
# ## Protocol buffers
#
# A whole number is written seven bits a byte, the lowest first; the eighth bit says that more follow. In
# front of each value stands the number of its field, times 8, plus the way it is written.

# %%
#| export
def varint(n: int) -> bytes:
    n, out = n % 2**64, bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def whole(field: int, n: int) -> bytes: return varint(field << 3) + varint(n)
def double(field: int, x: float) -> bytes: return varint(field << 3 | 1) + struct.pack("<d", x)
def single(field: int, x: float) -> bytes: return varint(field << 3 | 5) + struct.pack("<f", x)


def part(field: int, data: bytes | str) -> bytes:
    """Text, bytes, or a message inside of this one."""
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def doubles(field: int, values) -> bytes: return part(field, np.asarray(values, "<f8").tobytes())

# %% [markdown]
# The messages, with the field numbers of TensorFlow's `event.proto` and `summary.proto`:

# %%
#| export
def event(what: bytes, step: int | None = None, walltime: float | None = None) -> bytes:
    when = double(1, time.time() if walltime is None else walltime)
    return when + (b"" if step is None else whole(2, int(step))) + what


def summary(tag: str, value: bytes) -> bytes: return part(5, part(1, part(1, tag) + value))
def plugin(name: str) -> bytes: return part(9, part(1, part(1, name)))


def text_value(text: str) -> bytes:
    """A tensor of one string."""
    return plugin("text") + part(8, whole(1, 7) + part(2, part(2, whole(1, 1))) + part(8, text))


def scalar_tensor(x: float, in_double: bool) -> bytes:
    """A tensor of one number: how newer programs write a scalar."""
    return plugin("scalars") + part(8, whole(1, 2) + doubles(6, [x]) if in_double
                                    else whole(1, 1) + part(5, struct.pack("<f", x)))


def image_value(pixels) -> bytes:
    """A picture.  (height, width, channels), bytes"""
    height, width, channels = pixels.shape
    return part(4, whole(1, height) + whole(2, width) + whole(3, channels) + part(4, png(pixels)))


def histogram_value(values, bins="tensorflow", max_bins: int | None = None) -> bytes:
    """How many values lie below each limit, and above the one before."""
    values = np.asarray(values, np.float64).reshape(-1)
    if not values.size: raise ValueError("a histogram needs at least one value")
    counts, limits = np.histogram(values, bins=LIMITS if bins == "tensorflow" else bins)
    if max_bins is not None and len(counts) > max_bins: counts, limits = coarser(counts, limits, max_bins)
    found = np.nonzero(counts)[0]
    if not found.size: raise ValueError("no value lies between the limits of the histogram")
    first, last = found[0], found[-1] + 1
    counts, limits = np.concatenate([[0], counts[first:last]]), limits[first : last + 1]
    sums = values.min(), values.max(), values.size, values.sum(), values @ values
    told = b"".join([double(n, x) for n, x in enumerate(sums, 1)])
    return part(5, told + doubles(6, limits) + doubles(7, counts))


def coarser(counts, limits, most: int):
    """Several neighbours in one, until there are few enough."""
    step = -(-len(counts) // most)
    return np.add.reduceat(counts, range(0, len(counts), step)), np.append(limits[:-1:step], limits[-1])


STEPS = 1e-12 * 1.1 ** np.arange(774)               # to 1e20, each a tenth more than the one before
LIMITS = np.concatenate([-STEPS[::-1], [0], STEPS])

# %% [markdown]
# ## A picture
#
# A PNG file is small enough to write by hand, too: a size, rows of pixels squeezed by `zlib`, an end, each
# with a length and a checksum.

# %%
#| export
def png(pixels) -> bytes:
    """A picture as a PNG file.  (height, width, channels), bytes"""
    height, width, channels = pixels.shape
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = np.zeros((height, 1 + width * channels), np.uint8)           # each begins with a 0: not filtered
    rows[:, 1:] = pixels.reshape(height, -1)
    size = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(rows.tobytes()))
            + chunk(b"IEND", b""))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def pixels_of(image, order: str):
    """Pictures as bytes, in the order height, width, channels; several of them side by side."""
    array, order = host(image), order.upper()
    if array.ndim != len(order) or set(order) - set("NCHW") or len(set(order)) < len(order):
        raise ValueError(f"a picture of shape {array.shape} is not {order}")
    array = array.astype(np.float32) * (1 if array.dtype == np.uint8 else 255)
    missing = [letter for letter in "NHWC" if letter not in order]
    array = array.reshape((*array.shape, *[1] * len(missing)))
    array = array.transpose([(order + "".join(missing)).index(letter) for letter in "NHWC"])
    if array.shape[-1] == 1: array = np.repeat(array, 3, -1)
    return side_by_side(array.clip(0, 255).astype(np.uint8))


def side_by_side(pictures, columns: int = 8):
    """Pictures in rows of eight.  (n, h, w, c) -> (rows * h, columns * w, c)"""
    n, h, w, c = pictures.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    board = np.zeros((rows * columns, h, w, c), pictures.dtype)
    board[:n] = pictures
    return board.reshape(rows, columns, h, w, c).transpose(0, 2, 1, 3, 4).reshape(rows * h, columns * w, c)


def number(x) -> float:
    """One number, out of a tensor or an array if it is in one."""
    return float(x.item() if hasattr(x, "item") else x)


def host(x):
    """The numbers of a tensor, an array or a list, in NumPy's memory and dtypes."""
    array = as_array(x.cpu() if isinstance(x, Tensor) else x)
    return array if array.dtype.kind != "V" else array.astype(np.float32)

# %% [markdown]
# ## The writer
#
# PyTorch's names. What is added waits in memory until there is enough of it, or it has waited long enough; a
# run that is killed loses at most that, and a record cut off at the end is one that TensorBoard skips.

# %%
#| export
class EventFile:
    """A file of events that grows."""

    def __init__(self, folder: str, max_queue: int = 10, flush_secs: float = 120, suffix: str = ""):
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.name = (f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}."
                     f"{time.monotonic_ns()}{suffix}")
        self.file, self.waiting, self.since = (Path(folder) / self.name).open("ab"), [], time.monotonic()
        self.max_queue, self.flush_secs = max_queue, flush_secs
        self.add(event(part(3, "brain.Event:2")))
        self.flush()

    def add(self, one: bytes) -> None:
        self.waiting.append(record(one))
        if len(self.waiting) > self.max_queue or time.monotonic() - self.since > self.flush_secs: self.flush()

    def flush(self) -> None:
        self.file.write(b"".join(self.waiting))
        self.file.flush()
        self.waiting, self.since = [], time.monotonic()

    def close(self) -> None:
        if self.file.closed: return
        self.flush()
        self.file.close()

# %%
#| export
class SummaryWriter:
    """Writes down what happens in a run, for TensorBoard."""

    def __init__(
        self, log_dir: str | None = None, comment: str = "", purge_step: int | None = None,
        max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = "",
    ):
        usual = f"runs/{time.strftime('%b%d_%H-%M-%S')}_{socket.gethostname()}{comment}"
        self.log_dir, self.settings = str(log_dir or usual), (max_queue, flush_secs, filename_suffix)
        self.files: dict[str, EventFile] = {}
        if purge_step is not None:                          # what an earlier run wrote from there on is void
            self.file().add(event(part(7, whole(1, 1)), purge_step))
        self.file()

    def file(self, folder: str = "") -> EventFile:
        """The file of the run, or of one curve of `add_scalars`."""
        if folder not in self.files:
            self.files[folder] = EventFile(str(Path(self.log_dir) / folder), *self.settings)
        return self.files[folder]

    def add(self, tag: str, value: bytes, step, walltime, folder: str = "") -> None:
        self.file(folder).add(event(summary(tag, value), step, walltime))

    def add_scalar(
        self, tag: str, scalar_value, global_step: int | None = None, walltime: float | None = None,
        new_style: bool = False, double_precision: bool = False,
    ) -> None:
        """A number: one more point of a curve."""
        x = number(scalar_value)
        value = scalar_tensor(x, double_precision) if new_style else single(2, x)
        self.add(tag, value, global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping, global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Several numbers that belong into one picture; each curve has a folder of its own."""
        for tag, x in tag_scalar_dict.items():
            folder = f"{main_tag.replace('/', '_')}_{tag}"
            self.add(main_tag, single(2, number(x)), global_step, walltime, folder)

    def add_histogram(
        self, tag: str, values, global_step: int | None = None, bins="tensorflow",
        walltime: float | None = None, max_bins: int | None = None,
    ) -> None:
        """How many values are how large."""
        self.add(tag, histogram_value(host(values), bins, max_bins), global_step, walltime)

    def add_image(
        self, tag: str, img_tensor, global_step: int | None = None, walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """A picture: floats from 0 to 1, or bytes."""
        self.add(tag, image_value(pixels_of(img_tensor, dataformats)), global_step, walltime)

    def add_images(
        self, tag: str, img_tensor, global_step: int | None = None, walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Several pictures, side by side."""
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_text(
        self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None,
    ) -> None:
        """Text, in Markdown."""
        self.add(f"{tag}/text_summary", text_value(text_string), global_step, walltime)

    def add_graph(
        self, model: Module, input_to_model=None, verbose: bool = False, use_strict_trace: bool = True,
    ) -> None:
        """The ops that `model(input_to_model)` runs, and who feeds whom."""
        inputs = input_to_model if isinstance(input_to_model, (tuple, list)) else (input_to_model,)
        nodes = graph_of(model, inputs)
        if verbose: print("\n".join([f"{name} = {op}({', '.join(fed)})" for name, op, fed in nodes]))
        graph = b"".join([part(1, node_def(*node)) for node in nodes]) + part(4, whole(1, 22))
        self.file().add(event(part(4, graph)))

    def get_logdir(self) -> str: return self.log_dir

    def flush(self) -> None:
        """Sees to it that everything is in the file."""
        for file in self.files.values(): file.flush()

    def close(self) -> None:
        for file in self.files.values(): file.close()
        self.files = {}

    def __enter__(self) -> SummaryWriter: return self
    def __exit__(self, *error) -> None: self.close()

# %% [markdown]
# Which ops does a model run? An engine at the door sees all of them, and can tell which tensors come from
# which.

# %%
#| export
class Seeing(Engine):
    """Notes every op: a name for it, the op, and where its inputs came from."""

    def __init__(self, inner: Engine, names: dict):
        self.inner, self.kernels = inner, inner.kernels
        self.names = names              # of tensors, by identity …
        self.kept: list = []            # … which is theirs for as long as they are kept
        self.nodes: list = []

    def run(self, op: Op, inputs: tuple, settings: dict):
        out = self.inner.run(op, inputs, settings)
        name = f"{op.name}_{len(self.nodes)}"
        fed = [self.names[id(x)] for x in inputs if id(x) in self.names]
        self.nodes.append((name, op.name, fed))
        for one in out if isinstance(out, tuple) else (out,): self.names[id(one)] = name
        self.kept.append(out)
        return out

    def write(self, tensor: Tensor, value, index=...): return self.inner.write(tensor, value, index)


def graph_of(model: Module, inputs) -> list[tuple[str, str, list[str]]]:
    """The nodes of a model's graph: a name, an op, and the names that feed it."""
    told = [(f"input_{n}", x) for n, x in enumerate(inputs)]
    told += [(name.replace(".", "/"), x) for name, x in [*model.named_parameters(), *model.named_buffers()]]
    engine = Seeing(current_engine(), {id(x): name for name, x in told})
    with no_grad(), using(engine): model(*inputs)
    used = {name for *_, fed in engine.nodes for name in fed}
    return [(name, "Placeholder", []) for name, _ in told if name in used] + engine.nodes


def node_def(name: str, op: str, fed: list[str]) -> bytes:
    return part(1, name) + part(2, op) + b"".join([part(3, one) for one in fed])
