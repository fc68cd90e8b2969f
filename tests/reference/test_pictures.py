"""Pictures from files: written here by the book of each format, and by Pillow where it is installed."""

import struct
import zlib

import numpy as np
import pytest

from tinytorch.datasets import ImageFolder
from tinytorch.pictures import PNG, Picture, read_picture, sheet, write_png

rng = np.random.default_rng(8)


def chunk(name: bytes, inside: bytes) -> bytes:
    return struct.pack(">I", len(inside)) + name + inside + struct.pack(">I", zlib.crc32(name + inside))


def png(
    pixels, colour: int, bits: int = 8, kinds=None, palette=b"", pieces: int = 1, interlaced: int = 0,
) -> bytes:
    """A PNG file with rows predicted as `kinds` says, byte by byte as the specification puts it."""
    height, width, channels = pixels.shape
    if bits == 16: rows = [r.astype(">u2").tobytes() for r in pixels]
    elif bits == 8: rows = [r.astype(np.uint8).tobytes() for r in pixels]
    else:
        rows = [int("".join(f"{v:0{bits}b}" for v in r.ravel()).ljust(-(-width * bits // 8) * 8, "0"), 2)
                .to_bytes(-(-width * bits // 8), "big") for r in pixels]
    step, out, above = max(1, channels * bits // 8), b"", bytes(len(rows[0]))
    for kind, row in zip(kinds if kinds is not None else [0] * height, rows):
        guesses = []
        for i in range(len(row)):
            a, b = row[i - step] if i >= step else 0, above[i]
            c = above[i - step] if i >= step else 0
            p = a + b - c
            best = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            guesses.append([0, a, b, (a + b) // 2, best][kind])
        out += bytes([kind]) + bytes((v - g) % 256 for v, g in zip(row, guesses))
        above = row
    packed = zlib.compress(out)
    size = -(-len(packed) // pieces)
    cut = [packed[i : i + size] for i in range(0, len(packed), size)]
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    colours = [chunk(b"PLTE", palette)] if palette else []
    return b"".join([PNG, chunk(b"IHDR", head), *colours, chunk(b"tEXt", b"a\0b"),
                     *[chunk(b"IDAT", piece) for piece in cut], chunk(b"IEND", b"")])


def read(tmp_path, content: bytes, name="picture.png"):
    (tmp_path / name).write_bytes(content)
    return read_picture(tmp_path / name)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 16), (3, 40), (40, 3)])
@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_every_prediction_of_png_is_undone(size, colour, channels, tmp_path):
    pixels = rng.integers(0, 256, (*size, channels), np.uint8)
    pixels[: size[0] // 2] //= 32                                       # flat parts: where guesses tie
    found = read(tmp_path, png(pixels, colour, kinds=rng.integers(0, 5, size[0]), pieces=3))
    assert np.array_equal(found, pixels[..., :3] if channels > 2 else pixels[..., :1].repeat(3, 2))


@pytest.mark.parametrize("kind", range(5))
def test_png_with_one_prediction_throughout(kind, tmp_path):
    pixels = rng.integers(0, 256, (9, 8, 3), np.uint8)
    assert np.array_equal(read(tmp_path, png(pixels, 2, kinds=[kind] * 9)), pixels)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_with_few_bits(bits, tmp_path):
    values = rng.integers(0, 2**bits, (5, 11, 1))
    grey = read(tmp_path, png(values, 0, bits, kinds=[0, 1, 2, 3, 4]))
    assert np.array_equal(grey[..., 0], values[..., 0] * 255 // (2**bits - 1)), "stretched to black and white"
    palette = rng.integers(0, 256, (2**bits, 3), np.uint8)
    found = read(tmp_path, png(values, 3, bits, palette=palette.tobytes()))
    assert np.array_equal(found, palette[values[..., 0]])


def test_png_with_sixteen_bits_keeps_the_upper_ones(tmp_path):
    values = rng.integers(0, 65536, (4, 5, 3))
    assert np.array_equal(read(tmp_path, png(values, 2, 16, kinds=[4, 3, 2, 1])), values >> 8)


@pytest.mark.parametrize(("change", "said"), [
    (lambda c: c[:-20], "damaged"), (lambda c: c.replace(b"a\0b", b"a\0c"), "checksum of chunk tEXt"),
    (lambda c: c[:40], "damaged"), (lambda c: png(np.zeros((2, 2, 1), int), 0, interlaced=1), "interlaced"),
])
def test_a_damaged_png_is_refused(change, said, tmp_path):
    content = change(png(rng.integers(0, 256, (6, 6, 3), np.uint8), 2))
    with pytest.raises(ValueError, match=said): read(tmp_path, content)


@pytest.mark.parametrize(("content", "want"), [
    (b"P5 3 2 255\n" + bytes(range(6)), [[0, 1, 2], [3, 4, 5]]),
    (b"P2\n# a comment\n3 2\n# another\n15\n0 1 2\n3 4 15\n", [[0, 17, 34], [51, 68, 255]]),
    (b"P5\n2 1 65535\n" + bytes([1, 0, 255, 255]), [[0, 255]]),
    (b"P6\n1 2\n255\n" + bytes(range(6)), [[[0, 1, 2]], [[3, 4, 5]]]),
    (b"P3 1 2 255 0 1 2 3 4 5", [[[0, 1, 2]], [[3, 4, 5]]]),
])
def test_ppm(content, want, tmp_path):
    want = np.array(want)
    found = read(tmp_path, content, "picture.ppm")
    assert np.array_equal(found, want if want.ndim == 3 else want[..., None].repeat(3, 2))


@pytest.mark.parametrize("content", [b"P6 2 2 255\n123", b"P5", b"BM123", b"P6 -1 2 255\n", b"P6 0 2 255\n"])
def test_a_damaged_picture_is_refused(content, tmp_path):
    with pytest.raises(ValueError, match="damaged"): read(tmp_path, content, "picture.ppm")


@pytest.mark.parametrize("upside_down", [False, True])
def test_bmp(upside_down, tmp_path):
    pixels = rng.integers(0, 256, (3, 5, 3), np.uint8)
    rows = b"".join(row[:, ::-1].tobytes() + b"\0" for row in (pixels if upside_down else pixels[::-1]))
    height = -3 if upside_down else 3
    head = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54 + len(rows), 0, 54, 40, 5, height, 1, 24, 0, len(rows),
                       0, 0, 0, 0)
    assert np.array_equal(read(tmp_path, head + rows, "picture.bmp"), pixels)


def test_what_needs_pillow_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pillow"):
        read(tmp_path, b"\xff\xd8\xff\xe0 a jpeg", "picture.jpg")


def test_what_is_written_is_read_again(tmp_path):
    for shape in ((4, 6), (4, 6, 3)):
        pixels = rng.integers(0, 256, shape, np.uint8)
        found = read(tmp_path, write_png(pixels))
        assert np.array_equal(found, pixels if len(shape) == 3 else pixels[..., None].repeat(3, 2))


def test_a_picture_shows_itself(tmp_path):
    picture = Picture(np.array([[0, 255], [255, 0]]), zoom=3)
    shown = read(tmp_path, picture._repr_png_())
    assert shown.shape == (6, 6, 3) and shown[0, 0, 0] == 0 and shown[0, 3, 0] == 255 and \
        repr(picture) == "@\n @"
    together = sheet(np.ones((5, 2, 3)), columns=3)
    assert together.shape == (2 * 3, 3 * 4) and together.sum() == 5 * 6


def test_a_folder_of_pictures(tmp_path):
    pixels = rng.integers(0, 256, (4, 5, 3), np.uint8)
    for name in ("cat/b.png", "cat/a.PNG", "ant/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(write_png(pixels))
    found = ImageFolder(tmp_path, target_transform=lambda label: -label)
    assert found.classes == ["ant", "cat"] and found.class_to_idx == {"ant": 0, "cat": 1}
    assert found.targets == [0, 1, 1] and found.imgs[0][0].endswith("c.png") and len(found) == 3
    assert np.array_equal(found[2][0], pixels) and found[2][1] == -1
    (tmp_path / "dog").mkdir()
    with pytest.raises(FileNotFoundError, match="dog"): ImageFolder(tmp_path)
    assert ImageFolder(tmp_path, allow_empty=True).classes == ["ant", "cat", "dog"]
    with pytest.raises(FileNotFoundError, match="no folders"): ImageFolder(tmp_path / "dog")


# ------------------------------------------------------------------------------------------------ Pillow

@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("ending", ["png", "bmp", "ppm", "jpg"])
def test_pillow_sees_the_same(mode, ending, tmp_path):
    image = pytest.importorskip("PIL.Image")
    smooth = np.add.outer(np.arange(33), np.arange(47))[..., None] * [1, 2, 3] % 256
    picture = image.fromarray(smooth.astype(np.uint8)).convert(mode)
    try: picture.save(tmp_path / f"picture.{ending}")
    except (OSError, ValueError): pytest.skip(f"no {ending} holds {mode}")
    if (ending, mode) in {("ppm", "1"), ("bmp", "1")}: pytest.skip("one bit a pixel: PNG only")
    with image.open(tmp_path / f"picture.{ending}") as theirs: want = np.array(theirs.convert("RGB"))
    assert np.array_equal(read_picture(tmp_path / f"picture.{ending}"), want)
