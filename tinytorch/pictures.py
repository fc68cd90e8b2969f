# Generated from modules/08_dataloader/appendix_pictures.py by `tito export`. Edit that file, not this one.
"""Pictures from files: PNG, PPM and BMP by hand, others through Pillow; and pictures to look at."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np

__all__ = [
    "read_picture", "in_colour", "with_pillow", "PNG", "CHANNELS", "read_png", "chunks_of", "unfiltered",
    "paeth", "unpacked_bits", "write_png", "read_ppm", "read_bmp", "Picture", "sheet",
]


def read_picture(path: str | Path):
    """The picture in a file, as bytes of red, green and blue.  -> (H, W, 3)"""
    content = Path(path).read_bytes()
    try:
        if content[:8] == PNG: return in_colour(read_png(content))
        if content[:2] == b"BM": return in_colour(read_bmp(content))
        if content[:1] == b"P" and content[1:2] in b"2356": return in_colour(read_ppm(content))
    except (IndexError, KeyError, ValueError, struct.error, zlib.error) as problem:
        raise ValueError(f"{path} is damaged, or of a kind not read here: {problem}") from problem
    return with_pillow(path)


def in_colour(picture):
    """Grey three times; without the fourth channel, which says how much shines through."""
    if picture.ndim == 2: picture = picture[..., None]
    return np.repeat(picture[..., :1], 3, 2) if picture.shape[2] < 3 else picture[..., :3]


def with_pillow(path: str | Path):
    try: from PIL import Image
    except ImportError:
        raise ModuleNotFoundError(f"{path} is no PNG, PPM or BMP; JPEG and others want Pillow: "
                                  "pip install pillow") from None
    with Image.open(path) as picture: return np.array(picture.convert("RGB"))


PNG = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}           # grey, colour, palette, grey and alpha, colour and alpha


def read_png(content: bytes):
    """The picture in a PNG file.  -> (H, W) or (H, W, 2, 3 or 4)"""
    chunks = chunks_of(content)
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if interlaced: raise ValueError("it is interlaced: save it without")
    channels = CHANNELS[colour]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8)
    rows = rows.reshape(height, 1 + (width * channels * bits + 7) // 8)
    pixels = unfiltered(rows[:, 0], rows[:, 1:], max(1, channels * bits // 8))
    pixels = unpacked_bits(pixels, bits, width * channels, colour != 3).reshape(height, width, channels)
    if colour == 3: return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[pixels[..., 0]]
    return pixels[..., 0] if channels == 1 else pixels


def chunks_of(content: bytes) -> dict[bytes, bytes]:
    """What each kind of chunk holds; the pieces of one kind are joined."""
    chunks, place = {}, len(PNG)
    while place < len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        inside = content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, place + 8 + length)
        if zlib.crc32(name + inside) != checksum:
            raise ValueError(f"the checksum of chunk {name.decode()} is wrong")
        chunks[name] = chunks.get(name, b"") + inside
        place += 12 + length
    return chunks


def unfiltered(kinds, rows, step: int):
    """Bytes from differences; `step` bytes make a pixel.  (H), (H, n) -> (H, n)"""
    if not kinds.any(): return rows
    if kinds.max() > 4: raise ValueError(f"there is no prediction of kind {kinds.max()}")
    height, width = len(rows), rows.shape[1] // step
    out = np.zeros((height + 1, width + 1, step), np.int32)         # with zeros above and to the left
    wrong, kinds = rows.reshape(height, width, step), kinds[:, None]
    for diagonal in range(height + width - 1):
        y = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        x = diagonal - y
        left, above, corner = out[y + 1, x], out[y, x + 1], out[y, x]
        guesses = np.stack([0 * left, left, above, (left + above) // 2, paeth(left, above, corner)])
        guess = np.take_along_axis(guesses, np.broadcast_to(kinds[y], left.shape)[None].astype(np.intp), 0)[0]
        out[y + 1, x + 1] = (wrong[y, x] + guess) & 255
    return out[1:, 1:].astype(np.uint8).reshape(rows.shape)


def paeth(left, above, corner):
    """The one of three that comes nearest to left + above - corner."""
    to_left, to_above = abs(above - corner), abs(left - corner)
    to_corner = abs(left + above - 2 * corner)
    second = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, second)


def unpacked_bits(rows, bits: int, n: int, scale: bool):
    """n numbers a row, from 1, 2, 4, 8 or 16 bits; stretched to a byte unless they point into a palette."""
    if bits == 8: return rows
    if bits == 16: return rows[:, ::2]                              # the upper half of each
    parts = np.unpackbits(rows, axis=1).reshape(len(rows), -1, bits)
    numbers = (parts @ (1 << np.arange(bits)[::-1])).astype(np.uint8)[:, :n]
    return numbers * (255 // (2**bits - 1)) if scale else numbers


def write_png(picture) -> bytes:
    """A picture as the content of a PNG file.  (H, W) or (H, W, 3)"""
    picture = np.ascontiguousarray(picture, np.uint8)
    height, width, *channels = picture.shape
    rows = np.pad(picture.reshape(height, -1), ((0, 0), (1, 0)))    # nothing predicted
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels else 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    return PNG + b"".join(struct.pack(">I", len(inside)) + name + inside
                          + struct.pack(">I", zlib.crc32(name + inside)) for name, inside in chunks)


def read_ppm(content: bytes):
    """The picture in a PGM or PPM file, binary or in letters.  -> (H, W) or (H, W, 3)"""
    words, place = [], 0
    while len(words) < 4:                           # kind, width, height, the largest number
        end = content.index(b"\n", place) + 1 if content[place : place + 1] == b"#" else place + 1
        if content[place : place + 1].isspace() or content[place : place + 1] == b"#": place = end
        else:
            while not content[end : end + 1].isspace() and end < len(content): end += 1
            words.append(content[place:end])
            place = end
    kind, (width, height, most) = words[0], map(int, words[1:])
    shape = (height, width, 3) if kind in (b"P3", b"P6") else (height, width)
    if min(width, height) < 1 or not 0 < most < 65536: raise ValueError(f"{width} x {height}, up to {most}")
    n = math.prod(shape)
    if kind in (b"P2", b"P3"): numbers = np.array(content[place:].split()[:n], np.int64)
    else: numbers = np.frombuffer(content, ">u2" if most > 255 else np.uint8, n, place + 1)
    return (numbers.astype(np.int64) * 255 // most).astype(np.uint8).reshape(shape)


def read_bmp(content: bytes):
    """The picture in a BMP file of 8, 24 or 32 bits a pixel.  -> (H, W, 3)"""
    (place,), (header,) = struct.unpack_from("<I", content, 10), struct.unpack_from("<I", content, 14)
    width, height, _, bits, packed = struct.unpack_from("<iiHHI", content, 18)
    if packed not in (0, 3) or bits not in (8, 24, 32): raise ValueError(f"{bits} bits, packed as {packed}")
    step = (width * bits // 8 + 3) // 4 * 4                         # a row takes a multiple of four bytes
    rows = np.frombuffer(content, np.uint8, step * abs(height), place).reshape(abs(height), step)
    pixels = rows[:, : width * bits // 8].reshape(abs(height), width, bits // 8)
    if height > 0: pixels = pixels[::-1]                            # the lowest row comes first
    if bits > 8: return pixels[..., 2::-1]                          # blue, green, red
    palette = np.frombuffer(content, np.uint8, place - 14 - header, 14 + header).reshape(-1, 4)
    return palette[pixels[..., 0], 2::-1]


class Picture:
    """An array of bytes that shows itself: as a picture in a notebook, in letters elsewhere."""

    def __init__(self, array, zoom: int = 4):
        self.array, self.zoom = np.asarray(array).astype(np.uint8), zoom

    def _repr_png_(self) -> bytes: return write_png(self.array.repeat(self.zoom, 0).repeat(self.zoom, 1))

    def __repr__(self) -> str:
        grey = self.array if self.array.ndim == 2 else self.array.mean(2)
        letters = np.array(list("@%#*+=-:. "))[(grey / 25.6).astype(int)]
        return "\n".join("".join(row).rstrip() for row in letters)


def sheet(pictures, columns: int = 10):
    """Many pictures as one, in rows.  (N, H, W, …) -> (rows * (H + 1), columns * (W + 1), …)"""
    pictures = np.asarray(pictures)
    rows = -(-len(pictures) // columns)
    frame = ((0, rows * columns - len(pictures)), (0, 1), (0, 1), *[(0, 0)] * (pictures.ndim - 3))
    framed = np.pad(pictures, frame)
    height, width, *channels = framed.shape[1:]
    grid = framed.reshape(rows, columns, height, width, *channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, *channels)
