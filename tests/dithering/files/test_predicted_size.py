"""Predicted bytes, beside those of files."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.files import predicted_size as module
from fastgrad.dithering.files.predicted_size import predicted_size
from fastgrad.dithering.pictures import png
from fastgrad.kernels.dithering.files import predicted_size as kernels

LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115]
LENGTHS += [131, 163, 195, 227, 258]  # RFC 1951, 3.2.5: the least of each symbol
DISTANCES = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025]
DISTANCES += [1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577]


def parsed(data):
    """Counts of symbols, by the kernel."""
    counts = np.zeros((data.size // kernels.BLOCK + 1, kernels.SYMBOLS), np.int64)
    heads, links = np.full(kernels.HASHES, -1, np.int32), np.zeros(kernels.WINDOW, np.int32)
    data = np.frombuffer(data.tobytes(), np.uint8)  # read-only, as the package has it
    return counts, kernels.parse(data, counts, heads, links)


def longest(data, i, places):
    """The length and the distance of the match at i that is taken, of those at some places."""
    found = 2, 0
    for j in places:
        end = i
        while end < min(i + kernels.MOST, len(data)) and data[end] == data[end - i + j]:
            end += 1
        if end - i > found[0] and (end - i > 3 or i - j <= kernels.NEAR):
            found = end - i, i - j
        if found[0] >= min(kernels.ENOUGH, kernels.MOST, len(data) - i):
            break
    return found


def rebuilt(data):
    """What `parse` counts: a slow way, from all places that begin with the same bytes."""
    symbols, tokens, places, i, pending = [], 0, {}, 0, None
    for i in range(len(data)):
        places.setdefault(data[i : i + 3], []).append(i)

    def best(i):
        same = places[data[i : i + 3]] if i + 3 <= len(data) else []
        before = [j for j in same if 0 < i - j < kernels.WINDOW]
        return longest(data, i, before[: -kernels.DEPTH - 1 : -1])

    i = 0
    while i < len(data):
        here = best(i) if pending is None else pending
        after = best(i + 1) if i + 1 < len(data) else (2, 0)
        tokens += 1
        if here[0] >= 3 and here[0] >= after[0]:
            symbols.append(256 + int(np.searchsorted(LENGTHS, here[0], side="right")))
            symbols.append(285 + int(np.searchsorted(DISTANCES, here[1], side="right")))
            i, pending = i + here[0], None
        else:
            symbols.append(data[i])
            i, pending = i + 1, after
    return np.bincount(symbols, minlength=kernels.SYMBOLS), tokens


@pytest.mark.parametrize("colors", [2, 3, 9])
def test_a_string_is_taken_apart_as_slowly_as_one_likes(colors):
    rng = np.random.default_rng(colors)
    data = rng.integers(0, colors, 6000).astype(np.uint8)
    data[1000:1500], data[3000:3900], data[5000:5800] = data[200:700], 1, data[10:810]
    counts, tokens = parsed(data)
    slow, number = rebuilt(data.tobytes())
    assert tokens == number
    np.testing.assert_array_equal(counts.sum(axis=0), slow)


def test_what_symbols_stand_for_is_all_of_a_string():
    """Literals and lengths make up the string, whatever it is, in blocks of so many symbols."""
    noise = np.random.default_rng(0).integers(0, 250, 40_000).astype(np.uint8)
    counts, tokens = parsed(noise)
    assert tokens > 2 * kernels.BLOCK
    assert counts[:, : kernels.DISTANCES].sum(axis=1)[:2].tolist() == [kernels.BLOCK] * 2
    assert counts[:, : kernels.DISTANCES].sum() == tokens
    for size in range(5):
        counts, tokens = parsed(np.full(size, 7, np.uint8))
        assert tokens == counts[0, : kernels.DISTANCES].sum() == (size if size < 4 else 2)


def test_symbols_of_few_pixels_take_no_less_than_a_bit():
    assert module._huffman_bits(np.array([0, 9, 0])) == 9
    assert module._huffman_bits(np.array([5, 2, 1])) == 5 + 2 * 3


def test_filtered_rows_of_many_colours_may_repeat():
    y, x = np.mgrid[:200, :240]
    rings = np.uint8(np.hypot(y - 100, x - 120) / 3)
    palette = np.repeat(np.arange(53, dtype=np.uint8)[:, None], 3, axis=1)
    real = len(png.encode([rings], palette))
    assert 0.9 < predicted_size(rings, palette) / real < 1.4  # by mixed filters; with one, less


@pytest.mark.parametrize("colors", [4, 16, 64, 256])
@pytest.mark.parametrize("rate", [0, 3e-5])
def test_files_of_photographs_are_predicted_within_eight_per_cent(colors, rate, photograph):
    pytest.importorskip("deflate")
    for image in (photograph, photograph.mean(axis=2).astype(np.uint8)):
        result = fg.dither(image, colors=colors, speed=10, **({"rate": rate} if rate else {}))
        real = len(png.encode([result.indices], result.palette))
        assert abs(predicted_size(result.indices, result.palette) / real - 1) < 0.08


@pytest.fixture(scope="module")
def photograph():
    """A picture of the package, scaled down."""
    Image, resources = pytest.importorskip("PIL.Image"), pytest.importorskip("importlib.resources")
    with resources.as_file(resources.files("fastgrad") / "data" / "astronaut.jpg") as path:
        return np.asarray(Image.open(path).convert("RGB").resize((256, 256)))
