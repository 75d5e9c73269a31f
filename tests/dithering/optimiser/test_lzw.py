"""Strings of LZW that are chosen, against a search of a dictionary by the whole loss."""

import numpy as np
import pytest

from fastgrad.dithering.optimiser import lzw
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.lzw import StringSearch
from fastgrad.dithering.pictures import gif
from fastgrad.kernels.dithering.optimiser import lzw as kernels
from tests.support import lzw as oracle

RNG = np.random.default_rng(0)
COLORS, RATE = 5, 2e-3


def picture(shape=(7, 12), channels=3, hidden=False):
    """A loss, a palette and a picture."""
    weights = RNG.uniform(0.5, 1.5, shape)
    if hidden:
        weights[2:4, 3:6] = 0
    loss = BlurredError(RNG.random((*shape, channels)), sigma=0.7, nu=0.1, weights=weights)
    palette = RNG.random((COLORS, channels))
    return loss, palette, diffuse(loss, palette)


def strings(loss, palette, indices, previous, gap, worth):
    """Choose strings with a dictionary, whose members are tried in the order of the tree."""
    labels, width = indices.copy(), indices.shape[1]
    clear, flat = len(palette), labels.reshape(-1)
    own = float(loss.own)

    def value():
        total = loss.of(labels, palette) * loss.pixels
        if previous is not None:
            total -= (own * gap * loss.weights**2)[labels == previous].sum()
        return total

    def label(symbol, i):
        seen = loss.weights.flat[i] > 0
        if symbol < clear:
            return symbol if seen else None
        if not seen:
            return flat[i]
        return None if previous is None else previous.flat[i]

    def tried(string, i, most):
        """Yield this string and those that are longer, with the values that they lead to."""
        given = label(string[-1], i)
        if given is None:
            return
        kept, flat[i] = flat[i], given
        yield string, value()
        if len(string) < most:
            longer = [x for x in reversed(table) if x[:-1] == string]
            for other in longer:
                yield from tried(other, i + 1, most)
        flat[i] = kept

    table, before, i = [], (), 0
    while i < flat.size:
        most, now = min(width - loss.radius, flat.size - i), value()
        least, best = np.inf, ()
        for first in range(clear + 1):
            for string, found in tried((first,), i, max(1, most)):
                if found - now - worth * len(string) < least - 1e-12:
                    least, best = found - now - worth * len(string), string
        if before and (*before, best[0]) in table:
            best, before = best[:1], (*before, best[0])
        else:
            if before:
                table.append((*before, best[0]))
            before = best
        for symbol in best:
            flat[i] = label(symbol, i)
            i += 1
    return labels


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("shape", [(7, 12), (12, 3), (1, 30)])
def test_strings_are_those_of_a_dictionary(monkeypatch, shape, frames, hidden):
    monkeypatch.setattr(lzw, "ROOM", 1e9)  # no string is passed over
    loss, palette, indices = picture(shape, hidden=hidden and shape == (7, 12))
    previous, gap = None, 0.02
    if frames == 2:
        previous = RNG.integers(0, COLORS, shape).astype(np.uint8)
        indices[0, 0], indices[-1, -1] = 1 - previous[0, 0] % 2, 1 - previous[-1, -1] % 2
    expected = strings(loss, palette, indices, previous, gap, 4 * RATE)
    search = StringSearch(loss, indices, palette, RATE, previous=previous, gap=gap)
    before = indices.copy()
    assert search.sweep() == np.count_nonzero(indices != before) > 0
    np.testing.assert_array_equal(indices, expected)
    exact = loss.of(indices, palette)
    assert search.errors()[0] == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("colors", [2, 16, 200])
def test_bits_are_those_of_the_file(colors):
    loss = BlurredError(RNG.random((70, 200, 1)).astype(np.float32))
    greys = np.linspace(0, 1, colors, dtype=np.float32)[:, None]
    search = StringSearch(loss, diffuse(loss, greys), greys, 1e-5)
    search.sweep()
    bits = max(2, (colors - 1).bit_length())
    pixels = search.indices.tobytes()
    codes, widths = oracle.codes(pixels, pixels, bits)
    assert search.bits == sum(widths)
    assert codes.count(1 << bits) > 1 or colors == 2  # tables were full


def test_codes_and_errors_are_weighed():
    loss = BlurredError(RNG.random((40, 60, 3)).astype(np.float32), nu=0.3)
    palette = RNG.random((16, 3)).astype(np.float32)
    start, found = diffuse(loss, palette), []
    for rate in (1e-4, 1e-3, 1e-2):
        search = StringSearch(loss, start.copy(), palette, rate)
        search.sweep()
        value = search.errors()[0] + rate * search.bits / loss.pixels
        plain = loss.of(start, palette) + rate * 8 * len(gif.compress(start)) / loss.pixels
        assert value < plain
        found.append((search.bits, search.errors()[0]))
    bits, errors = zip(*found)
    assert bits[0] > bits[1] > bits[2]
    assert errors[0] < errors[1] < errors[2]


def test_what_is_hidden_or_as_before_costs_nothing():
    loss, palette, indices = picture((20, 40))
    loss.weights[:, :5] = 0
    previous = indices.copy()
    search = StringSearch(loss, indices, palette, RATE, previous=previous)
    assert search.sweep() == search.bits == 0
    indices[3:6, 10:14] = 1 - previous[3:6, 10:14] % 2
    search = StringSearch(loss, indices, palette, RATE, previous=previous)
    search.sweep()
    changed = np.argwhere(indices != previous)
    assert changed[:, 0].min() >= 3
    assert changed[:, 0].max() < 6
    assert changed[:, 1].min() >= 10
    assert changed[:, 1].max() < 14


def test_strings_end_where_rows_would_meet(monkeypatch):
    monkeypatch.setattr(lzw, "ROOM", 1e9)
    loss, palette, indices = picture((40, 9))
    search = StringSearch(loss, indices, palette, 1.0)  # as long as they may be
    search.sweep()
    assert search.errors()[0] == pytest.approx(loss.of(indices, palette), rel=1e-9)
    assert kernels.MOST > 9
