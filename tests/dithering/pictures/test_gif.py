"""GIF files, read back block by block by a decoder of our own, and by Pillow."""

import io
import shutil
import struct
import subprocess

import numpy as np
import pytest

from fastgrad.dithering.pictures import gif
from tests.support import lzw

RNG = np.random.default_rng(0)


def unpacked(bits, data):
    """Decode LZW by the book; return the indices and the largest table there was."""
    stream = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    clear, place, width, largest = 1 << bits, 0, bits + 1, 0
    table, before, out = [], None, bytearray()
    while True:
        code = int(stream[place : place + width] @ (1 << np.arange(width)))
        place += width
        if code == clear:
            table = [bytes([i]) for i in range(clear)] + [b"", b""]
            width, before = bits + 1, None
            continue
        if code == clear + 1:
            assert stream.size - place < 8
            return bytes(out), largest
        if before is None:
            found = table[code]
        else:
            found = table[code] if code < len(table) else before + before[:1]
            assert code <= len(table)
            if len(table) < 4096:
                table.append(before + found[:1])
        largest = max(largest, len(table))
        if len(table) == 1 << width and width < 12:
            width += 1
        out += found
        before = found


def decoded(data):
    """All frames in RGBA as browsers show them, their delays, and their rectangles."""
    assert data[:6] == b"GIF89a"
    width, height, flags = struct.unpack("<HHB", data[6:11])
    size = 2 << (flags & 7)
    palette = np.frombuffer(data[13 : 13 + 3 * size], np.uint8).reshape(-1, 3)
    place, found, control = 13 + 3 * size, [], (0, 0, 0)
    canvas = np.zeros((height, width, 4), np.uint8)
    while data[place] != 0x3B:
        if data[place] == 0x21:
            kind, place = data[place + 1], place + 2
            if kind == 0xF9:
                control = struct.unpack("<BHB", data[place + 1 : place + 5])
            while data[place]:
                place += 1 + data[place]
            place += 1
            continue
        assert data[place] == 0x2C
        x, y, w, h, how = struct.unpack("<HHHHB", data[place + 1 : place + 10])
        assert how == 0  # not interlaced, no table of its own
        bits, place, stream = data[place + 10], place + 11, b""
        while data[place]:
            stream += data[place + 1 : place + 1 + data[place]]
            place += 1 + data[place]
        place += 1
        indices = np.frombuffer(unpacked(bits, stream)[0], np.uint8).reshape(h, w)
        part = np.dstack([palette[indices], np.full((h, w), 255, np.uint8)])
        region = canvas[y : y + h, x : x + w]
        if control[0] & 1:
            region[...] = np.where((indices == control[2])[..., None], region, part)
        else:
            region[...] = part
        found.append((canvas.copy(), control[1], (w, h)))
        if control[0] >> 2 == 2:
            region[...] = 0
    return found


@pytest.mark.parametrize("colors", [1, 2, 3, 16, 200, 256])
@pytest.mark.parametrize("count", [1, 2, 1000, 70_000])
def test_data_are_packed(colors, count):
    indices = RNG.integers(0, colors, (1, count)).astype(np.uint8)
    indices[:, count // 2 :] = 0  # long strings, too
    data = gif.compress(indices)
    place, stream = 1, b""
    while data[place]:
        stream += data[place + 1 : place + 1 + data[place]]
        place += 1 + data[place]
    assert place == len(data) - 1
    found, largest = unpacked(data[0], stream)
    assert found == indices.tobytes()
    assert largest <= 4096


@pytest.mark.parametrize("colors", [1, 2, 5, 40, 256])
@pytest.mark.parametrize("free", [False, True])
def test_codes_are_those_of_a_dictionary(colors, free):
    indices = RNG.integers(0, colors, (90, 250)).astype(np.uint8)
    indices[:, ::3] = indices[:, 1::3][:, :1]
    pixels, mask, spare = indices.tobytes(), None, min(colors, 255)
    others, most = pixels, int(indices.max())
    if free:
        mask = RNG.random(indices.shape) < 0.5
        others, most = np.where(mask, np.uint8(spare), indices).tobytes(), max(most, spare)
    bits = max(2, most.bit_length())
    found, widths = lzw.codes(pixels, others, bits)
    assert found.count(1 << bits) > 1 or colors <= 2  # tables were full
    data = lzw.packed(found, widths)
    blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
    expected = bytes([bits]) + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0"
    assert gif.compress(indices, mask, spare) == expected


def clip(count, colors, shape=(24, 32)):
    frames = [RNG.integers(0, colors, shape).astype(np.uint8)]
    for i in range(1, count):
        frames.append(frames[-1].copy())
        frames[-1][2 + i : 9 + i, 5:15][RNG.random((7, 10)) < 0.4] = i % colors
    return frames


@pytest.mark.parametrize("colors", [2, 16, 255, 256])
@pytest.mark.parametrize("transparent", [False, True])
def test_an_animation(colors, transparent):
    frames = clip(6, colors)
    frames[4][:, 20:] = colors - 1  # what vanishes, if that is transparent
    frames[5][:3] = 0
    palette = RNG.permutation(256)[:colors, None].astype(np.uint8) * np.uint8([1, 3, 7])
    opacity = np.full(colors, 255, np.uint8)
    opacity[-1] = 0 if transparent else 255
    data = gif.encode(frames, palette, opacity if transparent else None, durations=[50] * 6)
    found = decoded(data)
    assert len(found) == 6
    for (rgba, delay, _), indices in zip(found, frames):
        assert delay == 5
        np.testing.assert_array_equal(rgba[..., 3], opacity[indices])
        seen = rgba[..., 3] > 0
        np.testing.assert_array_equal(rgba[seen][:, :3], palette[indices][seen])
    width, height = found[1][2]
    assert transparent or (width <= 10 and height <= 7)
    Image = pytest.importorskip("PIL.Image")
    with Image.open(io.BytesIO(data)) as image:
        for i, (rgba, _, _) in enumerate(found):
            image.seek(i)
            other = np.asarray(image.convert("RGBA"))
            np.testing.assert_array_equal(other[..., 3], rgba[..., 3])
            np.testing.assert_array_equal(other[rgba[..., 3] > 0], rgba[rgba[..., 3] > 0])


@pytest.mark.optional
@pytest.mark.parametrize("transparent", [False, True])
def test_gifsicle_reads_it_without_a_word(transparent, tmp_path):
    if shutil.which("gifsicle") is None:
        pytest.skip("gifsicle is not installed")
    frames, opacity = clip(6, 16), np.full(16, 255, np.uint8)
    frames[3][:, 20:] = 15
    opacity[-1] = 0
    palette = RNG.integers(0, 256, (16, 3)).astype(np.uint8)
    path = tmp_path / "clip.gif"
    path.write_bytes(
        gif.encode(frames, palette, opacity if transparent else None, durations=[50] * 6)
    )
    run = subprocess.run(["gifsicle", "-I", path], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    assert "6 images" in run.stdout


def test_still_pixels_become_transparent_where_that_is_smaller():
    frames = [RNG.integers(0, 40, (64, 64)).astype(np.uint8)]
    frames.append(frames[0].copy())
    frames[1][[0, 20, 63], [0, 40, 63]] = 39 - frames[1][[0, 20, 63], [0, 40, 63]]
    palette = RNG.integers(0, 256, (40, 3)).astype(np.uint8)
    first = len(gif.encode(frames[:1], palette))
    data = gif.encode(frames, palette, durations=[50, 50])
    assert len(data) < first + 300  # of 4096 pixels of noise
    np.testing.assert_array_equal(decoded(data)[1][0][..., :3], palette[frames[1]])


def test_pixels_that_may_be_transparent_continue_strings():
    part = RNG.integers(0, 16, (40, 40)).astype(np.uint8)
    free = np.zeros((40, 40), bool)
    free[:, 10:30] = True
    part[20:] = part[:20]  # which repeats, if it is left as it is
    chosen = len(gif.compress(part, free, 16))
    assert chosen < len(gif.compress(part))
    assert chosen <= 1.1 * len(gif.compress(np.where(free, np.uint8(16), part)))


@pytest.mark.parametrize(
    ("durations", "delays"),
    [
        ([40, 80, 120, 900], [4, 8, 12, 90]),
        ([100 / 3] * 6, [3, 4, 3, 3, 4, 3]),
        ([1000 / 60] * 3, [2, 2, 2]),  # 1 would be taken for no delay at all
        ([10, 0, 655_350], [1, 0, 65535]),
    ],
)
def test_delays_keep_their_sum(durations, delays):
    frames = [np.full((2, 2), i % 2, np.uint8) for i in range(len(durations))]
    data = gif.encode(frames, np.uint8([[0, 0, 0], [255, 255, 255]]), durations=durations)
    assert [delay for _, delay, _ in decoded(data)] == delays


@pytest.mark.parametrize("colors", [2, 4, 16, 64])
def test_files_are_smaller_than_those_of_pillow(colors):
    Image = pytest.importorskip("PIL.Image")
    picture = pytest.importorskip("skimage.data").astronaut()[100:300, 100:340]
    image = Image.fromarray(picture)
    image = image.quantize(palette=image.quantize(colors))
    file = io.BytesIO()
    image.save(file, "GIF", optimize=True)
    palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)[:colors]
    data = gif.encode([np.asarray(image)], palette)
    np.testing.assert_array_equal(decoded(data)[0][0][..., :3], palette[np.asarray(image)])
    assert len(data) < len(file.getvalue())


def test_all_opaque_entries_leave_nothing_transparent():
    frames = [np.full((8, 8), i, np.uint8) for i in (0, 0, 1)]  # the second is a still rectangle
    palette, opacity = RNG.integers(0, 256, (4, 3)).astype(np.uint8), np.full(4, 255, np.uint8)
    found = decoded(gif.encode(frames, palette, opacity, durations=[50] * 3))
    for (rgba, _, _), indices in zip(found, frames, strict=True):
        np.testing.assert_array_equal(rgba[..., :3], palette[indices])
        assert (rgba[..., 3] == 255).all()


@pytest.mark.parametrize("opacity", [[255, 200, 40, 128], [255, 0, 127, 0], [0, 0, 0, 0]])
def test_entries_are_transparent_or_opaque_whichever_is_nearer(opacity):
    frames = [RNG.integers(0, 4, (8, 8)).astype(np.uint8) for _ in range(3)]
    palette, opacity = RNG.integers(0, 256, (4, 3)).astype(np.uint8), np.uint8(opacity)
    for count in (1, 3):
        found = decoded(gif.encode(frames[:count], palette, opacity, durations=[50] * 3))
        for (rgba, _, _), indices in zip(found, frames):
            np.testing.assert_array_equal(rgba[..., 3] > 0, opacity[indices] >= 128)
            seen = rgba[..., 3] > 0
            np.testing.assert_array_equal(rgba[seen][:, :3], palette[indices][seen])
