"""PNG files, read back chunk by chunk by a decoder of our own, and by Pillow."""

import builtins
import io
import struct
import threading
import zlib

import numpy as np
import pytest

from fastgrad.dithering.pictures import png, png_filters
from fastgrad.dithering.pictures.png_filters import (
    AVERAGE,
    PAETH,
    SUB,
    UP,
    each_alone,
    filtered,
    mixed,
)

RNG = np.random.default_rng(0)


def chunks(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, found = 8, []
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert check == zlib.crc32(kind + body)
        found.append((kind, body))
        place += 12 + length
    return found


def unfiltered(row, above, kind):
    """A row of bytes from its filtered form, byte by byte, as the standard says."""
    out = []
    for i, x in enumerate(row):
        a, b, c = out[-1] if i else 0, int(above[i]), int(above[i - 1]) if i else 0
        distances = [abs(a + b - c - x) for x in (a, b, c)]
        paeth = (a, b, c)[distances.index(min(distances))]
        out.append((int(x) + (0, a, b, (a + b) // 2, paeth)[kind]) % 256)
    return out


def unpacked(data, width, height, bits):
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, -1).copy()
    above = np.zeros(rows.shape[1] - 1, np.uint8)
    for row in rows:
        row[1:] = above = unfiltered(row[1:], above, row[0])
    each = np.unpackbits(rows[:, 1:], axis=1).reshape(height, -1, bits)
    return (each @ (1 << np.arange(bits)[::-1])).astype(np.uint8)[:, :width]


def decoded(data):
    """All frames of an animation, in RGBA, and their delays in seconds, as the standard says."""
    parts = chunks(data)
    header = dict(parts)[b"IHDR"]
    width, height, bits, kind = struct.unpack(">IIBB", header[:10])
    assert kind == 3
    palette = np.frombuffer(dict(parts)[b"PLTE"], np.uint8).reshape(-1, 3)
    alpha = np.full(len(palette), 255, np.uint8)
    given = np.frombuffer(dict(parts).get(b"tRNS", b""), np.uint8)
    alpha[: len(given)] = given
    colours = np.column_stack([palette, alpha])
    canvas, place, frames, number = np.zeros((height, width, 4), np.uint8), None, [], 0
    for kind, body in parts:
        if kind in (b"fcTL", b"fdAT"):
            assert struct.unpack(">I", body[:4])[0] == number
            number += 1
        if kind == b"fcTL":
            place = struct.unpack(">IIIIHHBB", body[4:])
        if kind in (b"IDAT", b"fdAT"):
            w, h, x, y, numerator, denominator, dispose, blend = place
            assert dispose == 0
            part = colours[unpacked(body[4 if kind == b"fdAT" else 0 :], w, h, bits)]
            region = canvas[y : y + h, x : x + w]
            assert region.shape == part.shape
            if blend:  # over: all or nothing, as we write it
                assert np.isin(part[..., 3], (0, 255)).all()
                part = np.where(part[..., 3:] > 0, part, region)
            region[...] = part
            frames.append((canvas.copy(), numerator / denominator))
    assert dict(parts)[b"acTL"][:4] == struct.pack(">I", len(frames))
    return frames


def clip(count, colors, shape=(24, 32)):
    frames = [RNG.integers(0, colors, shape).astype(np.uint8)]
    for i in range(1, count):
        frames.append(frames[-1].copy())
        frames[-1][2 + i : 9 + i, 5:15][RNG.random((7, 10)) < 0.4] = i % colors
    return frames


@pytest.mark.parametrize("kind", [SUB, UP, AVERAGE, PAETH])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_rows_are_filtered(bits, kind, monkeypatch):
    monkeypatch.setattr(png_filters, "BLOCK", 16)  # a row or two at once
    indices = RNG.integers(0, 1 << bits, (7, 9)).astype(np.uint8)
    data = filtered(png.pack(indices, bits), 7, kind)
    assert set(np.frombuffer(data, np.uint8).reshape(7, -1)[:, 0]) == {kind}
    assert np.array_equal(unpacked(zlib.compress(data), 9, 7, bits), indices)


def test_each_row_has_the_filter_that_suits_it():
    steps = RNG.integers(0, 3, (40, 200))
    steps[20] = RNG.integers(0, 256, 200)
    indices = np.uint8(np.vstack([steps[:20].cumsum(axis=1), steps[20:].cumsum(axis=0)]) % 256)
    packed = png.pack(indices, 8)
    data = mixed(each_alone(packed, 40), 40)
    kinds = np.frombuffer(data, np.uint8).reshape(40, -1)[:, 0]
    assert (kinds[:20] == SUB).all()
    assert np.isin(kinds[21:], (UP, PAETH)).all()  # which mostly are the same there
    assert np.array_equal(unpacked(zlib.compress(data), 200, 40, 8), indices)
    alone = [len(zlib.compress(filtered(packed, 40, kind))) for kind in (SUB, UP, AVERAGE, PAETH)]
    assert len(zlib.compress(data)) < 0.95 * min(alone)


@pytest.mark.parametrize(("colors", "most"), [(16, 0.95), (64, 0.8), (256, 0.7)])
def test_a_ramp_is_filtered(colors, most):
    grain = np.random.default_rng(colors).normal(scale=0.01, size=(80, 120))
    y, x = np.mgrid[:80, :120]
    shade = (x / 2 + y / 3 + 6 * np.sin(x / 9)) / 100 + grain
    indices = np.clip(colors * shade, 0, colors - 1).astype(np.uint8)
    palette = np.repeat(np.linspace(0, 255, colors).astype(np.uint8)[:, None], 3, axis=1)
    data = png.encode([indices], palette)
    bits = chunks(data)[0][1][8]
    plain = png.compress(png.pack(indices, bits))
    (compressed,) = (body for kind, body in chunks(data) if kind == b"IDAT")
    assert np.array_equal(unpacked(compressed, 120, 80, bits), indices)
    assert len(compressed) < most * len(plain)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("width", [1, 7, 8, 13])
def test_rows_are_packed(bits, width):
    indices = RNG.integers(0, 1 << bits, (5, width)).astype(np.uint8)
    stored = zlib.compress(png.pack(indices, bits))
    np.testing.assert_array_equal(unpacked(stored, width, 5, bits), indices)


@pytest.mark.parametrize("colors", [2, 4, 16, 17, 200, 256])
@pytest.mark.parametrize("clear", [0, 1, 3])
def test_an_animation(colors, clear):
    if clear >= colors:
        pytest.skip("no opaque colour")
    frames = clip(5, colors)
    palette = RNG.permutation(256)[:colors, None].astype(np.uint8) * np.uint8([1, 3, 7])
    opacity = np.full(colors, 255, np.uint8)
    opacity[:clear] = [0, 90, 200][:clear]
    durations = [40, 1000 / 60, 65_535, 700_000, 65_535_000]
    data = png.encode(frames, palette, opacity, durations=durations, plays=3)
    assert dict(chunks(data))[b"acTL"] == struct.pack(">II", 5, 3)
    assert len(dict(chunks(data)).get(b"tRNS", b"")) in (clear, colors + 1)
    whole = np.column_stack([palette, opacity])
    for (rgba, seconds), indices, duration in zip(decoded(data), frames, durations):
        np.testing.assert_array_equal(rgba, whole[indices])
        assert seconds == pytest.approx(duration / 1000, rel=1e-4)


def test_still_pixels_become_transparent_where_that_is_smaller():
    frames = [RNG.integers(0, 40, (64, 64)).astype(np.uint8)]
    frames.append(frames[0].copy())
    frames[1][[0, 20, 63], [0, 40, 63]] = 39 - frames[1][[0, 20, 63], [0, 40, 63]]
    palette = RNG.permutation(256)[:40, None].astype(np.uint8) * np.uint8([1, 3, 7])
    data = png.encode(frames, palette, durations=[50, 50])
    (second,) = [body for kind, body in chunks(data) if kind == b"fdAT"]
    assert len(second) < 100  # of 4096 pixels of noise
    np.testing.assert_array_equal(decoded(data)[1][0][..., :3], palette[frames[1]])


def test_what_turns_transparent_replaces():
    frames = [np.full((8, 8), i, np.uint8) for i in (1, 0, 2)]
    palette, opacity = np.uint8([[0, 0, 0], [255, 0, 0], [0, 0, 255]]), np.uint8([0, 255, 128])
    data = png.encode(frames, palette, opacity, durations=[50] * 3)
    assert [rgba[0, 0, 3] for rgba, _ in decoded(data)] == [255, 0, 128]


@pytest.fixture
def without_libdeflate(monkeypatch):
    find = builtins.__import__

    def missing(name, *args, **options):
        if name == "deflate":
            raise ImportError
        return find(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)


def dithered(colors):
    """A photograph by error diffusion, and its file by Pillow."""
    Image = pytest.importorskip("PIL.Image")
    data = pytest.importorskip("skimage.data")
    image = Image.fromarray(data.astronaut()[100:300, 100:340])
    image = image.quantize(palette=image.quantize(colors))
    file = io.BytesIO()
    bits = next(bits for bits in (1, 2, 4, 8) if colors <= 1 << bits)
    image.save(file, "PNG", optimize=True, bits=bits)
    palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)[:colors]
    return np.asarray(image), palette, file.getvalue()


@pytest.mark.parametrize("colors", [4, 16, 64])
def test_files_are_smaller_than_those_of_pillow(colors, without_libdeflate):
    Image = pytest.importorskip("PIL.Image")
    indices, palette, rival = dithered(colors)
    data = png.encode([indices], palette)
    np.testing.assert_array_equal(Image.open(io.BytesIO(data)).convert("RGB"), palette[indices])
    np.testing.assert_array_equal(Image.open(io.BytesIO(data)), indices)
    assert len(data) < len(rival)


@pytest.mark.optional
@pytest.mark.parametrize("colors", [2, 16, 256])
def test_libdeflate_is_smaller_than_zlib(colors, request):
    pytest.importorskip("deflate")
    indices, palette, _ = dithered(colors)
    data = png.encode([indices], palette)
    request.getfixturevalue("without_libdeflate")
    assert len(data) < len(png.encode([indices], palette))


def test_the_smaller_of_both_depths_is_taken(monkeypatch):
    period = np.tile(np.uint8([0, 1, 2]), (30, 41))  # which does not fit into whole bytes
    noise = RNG.integers(0, 4, (30, 123)).astype(np.uint8)
    palette = np.uint8([[0, 0, 0], [80, 80, 80], [160, 160, 160], [255, 255, 255]])
    for indices in (period, noise):
        sizes = {bits: len(png.compress(png.pack(indices, bits))) for bits in (2, 8)}
        assert png.encode([indices], palette)[24] == min(sizes, key=sizes.get)
    assert png.encode([noise], palette)[24] == 2


@pytest.mark.parametrize("size", [100, 1 << 17])
def test_zlib_tries_all_ways_at_once_and_has_the_same_file(size, without_libdeflate, monkeypatch):
    data = bytes(np.random.default_rng(0).integers(0, 9, size, np.uint8))
    expected = min((png._zlib(data, *way) for way in png.WAYS), key=len)
    once, seen = png._zlib, set()
    monkeypatch.setattr(png, "_zlib", lambda *args: seen.add(threading.get_ident()) or once(*args))
    for count in (1, 2):
        monkeypatch.setattr(png.threads, "get_num_threads", lambda count=count: count)
        assert png.compress(data) == expected
        alone = count == 1 or size < png.LITTLE
        assert (seen == {threading.get_ident()}) == alone
        seen.clear()
