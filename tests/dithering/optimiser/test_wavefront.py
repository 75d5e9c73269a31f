"""A search of rows that come one after the other is that of the whole picture, bit for bit."""

import numpy as np
import pytest

from fastgrad.dithering import BlurredError
from fastgrad.dithering.optimiser import diffusion
from fastgrad.dithering.optimiser.compensation import compensated
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.held_rows import Part
from fastgrad.dithering.optimiser.search import Search
from fastgrad.dithering.optimiser.wavefront import BAND, Wavefront


def problem(shape, sigma=1.0, seed=0):
    rng = np.random.default_rng(seed)
    image, palette = rng.random((*shape, 3), np.float32), rng.random((20, 3), np.float32)
    weights = rng.random(shape, np.float32) + np.float32(0.1)
    weights[::9, ::4] = 0
    return BlurredError(image, weights=weights, sigma=sigma), palette


def whole(loss, palette, sweeps, last=0):
    """Sweep so often; the last sweeps aim at a compensated target."""
    indices = diffuse(loss, palette)
    search = Search(loss, indices, palette)
    for sweep in range(sweeps):
        if sweep == sweeps - last:
            search.loss = compensated(loss, indices, palette)
            search.recolor(palette)
        search.sweep()
    return indices


def in_parts(loss, palette, sweeps, rows, first=0, labels=None, last=0, limit=None):
    how = {"first": first, "compensated": last, "limit": limit}
    front = Wavefront(loss, palette, loss.shape, sweeps, **how)
    assert front.begin % BAND == 0
    taken = []
    for top in range(front.begin, loss.shape[0], rows):
        here = slice(top, top + rows)
        pinned = None if labels is None else labels[here]
        front.add(Part(loss.planes[:, here], loss.weights[here], pinned))
        taken.append(front.take())
    place = first
    for settled in taken:
        assert settled.top == place
        place += len(settled.indices)
    assert place == loss.shape[0]
    return (np.concatenate([each[i] for each in taken]) for i in (1, 2))


@pytest.mark.parametrize(
    ("shape", "sigma", "sweeps", "last", "rows"),
    [
        ((700, 90), 1.0, 4, 0, BAND),
        ((700, 90), 1.0, 4, 2, BAND),
        ((700, 90), 1.0, 4, 1, 3 * BAND),
        ((700, 90), 1.0, 1, 0, BAND),
        ((500, 130), 8.0, 1, 0, BAND),  # tiles that no band is a multiple of
        ((500, 130), 8.0, 2, 1, BAND),
        ((700, 40), 0.0, 3, 0, BAND),
        ((700, 40), 0.0, 3, 2, BAND),
        ((33, 90), 1.0, 2, 0, BAND),
        ((33, 90), 1.0, 2, 1, BAND),
        ((20, 90), 1.0, 2, 0, BAND),  # a single row of tiles
        ((20, 90), 1.0, 2, 1, BAND),
        ((1, 5), 1.0, 2, 0, BAND),
        ((1, 5), 1.0, 3, 2, BAND),
    ],
)
def test_all_is_as_if_the_rows_had_come_at_once(shape, sigma, sweeps, last, rows):
    loss, palette = problem(shape, sigma)
    expected = whole(loss, palette, sweeps, last)
    indices, sums = in_parts(loss, palette, sweeps, rows, last=last)
    np.testing.assert_array_equal(indices, expected)
    assert sums[:, 3].sum() == loss.pixels
    value = Search(loss, expected, palette).errors()[0]  # of the picture, whatever the target
    np.testing.assert_allclose(sums[:, 0].sum() / loss.pixels, value, rtol=1e-5)
    plain = Search(loss.unweighted(), expected, palette).errors()
    np.testing.assert_allclose(sums[:, 1:3].sum(axis=0) / loss.pixels, plain, rtol=1e-5)


@pytest.mark.parametrize(("sweeps", "how"), [(2, {}), (2, {"last": 1}), (5, {"limit": 0.05})])
@pytest.mark.parametrize("first", [1, 150, 333, 640, 699])
def test_rows_further_down_need_none_from_far_above(first, sweeps, how):
    loss, palette = problem((700, 60))
    indices, sums = in_parts(loss, palette, sweeps, BAND, **how)
    again, its_sums = in_parts(loss, palette, sweeps, BAND, first, **how)
    np.testing.assert_array_equal(again, indices[first:])
    np.testing.assert_array_equal(its_sums, sums[first:])
    begin = Wavefront(loss, palette, loss.shape, 2, first=first).begin
    assert first - begin < 2 * BAND + 3 * 64


@pytest.mark.parametrize("last", [0, 1])
def test_pinned_pixels_keep_their_labels_and_take_part_in_no_error(last):
    loss, palette = problem((300, 90))
    labels = np.full(loss.shape, -1, np.int16)
    labels[100:180, 20:60] = 5
    expected = whole(loss.within(labels < 0), palette, 3, last)
    expected[labels == 5] = 5
    indices, sums = in_parts(loss, palette, 3, BAND, labels=labels, last=last)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(
        sums[:, 0].sum() / loss.pixels, loss.of(expected, palette), rtol=1e-5
    )


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0, 8.0])
@pytest.mark.parametrize(("sweeps", "last"), [(0, 0), (1, 0), (2, 0), (2, 1), (5, 0), (5, 3)])
def test_as_many_rows_are_needed_as_it_says(sigma, sweeps, last):
    loss, palette = problem((1900, 4), sigma)
    expected = None
    for first, bottom in [(0, 1), (0, 130), (600, 777), (640, 800), (1000, 1899), (0, 1900)]:
        how = {"first": first, "compensated": last}
        front = Wavefront(loss, palette, loss.shape, sweeps, **how)
        end = front.ending(bottom)
        taken = []
        for top in range(front.begin, end, BAND):
            here = slice(top, min(top + BAND, end))
            front.add(Part(loss.planes[:, here], loss.weights[here]))
            taken.append(front.take().indices)
        found = np.concatenate(taken)
        if expected is None:
            expected = whole(loss, palette, sweeps, last)
        np.testing.assert_array_equal(found[: bottom - first], expected[first:bottom])
        assert len(found) >= bottom - first
        fewer = sum(map(len, taken[:-1]))
        assert end == loss.shape[0] or fewer < bottom - first, "no row too many is asked for"


@pytest.fixture
def narrow(monkeypatch):
    """Whatever has more than 256 columns is wide."""
    monkeypatch.setattr(diffusion, "WIDE", 256)
    monkeypatch.setattr(diffusion, "SPAN", 64)


@pytest.mark.parametrize(
    ("sigma", "sweeps", "last"),
    [
        *[(0.0, 1, 0), (1.0, 0, 0), (1.0, 1, 0), (1.0, 2, 0), (1.0, 2, 1), (3.0, 2, 0)],
        pytest.param(3.0, 2, 1, marks=pytest.mark.slow),
    ],
)
def test_columns_need_none_from_far_beside_them(narrow, sigma, sweeps, last):
    loss, palette = problem((150, 1500), sigma)
    indices = whole(loss, palette, sweeps, last)
    total, narrowest = np.zeros((150, 4)), loss.shape[1]
    for left in range(0, 1500, 256):
        columns = left, min(left + 256, 1500)
        how = {"columns": columns, "compensated": last}
        front = Wavefront(loss, palette, loss.shape, sweeps, **how)
        given = slice(front.left, front.right)
        narrowest = min(narrowest, front.right - front.left)
        taken = []
        for rows in (slice(0, BAND), slice(BAND, 150)):
            front.add(Part(loss.planes[:, rows, given], loss.weights[rows, given]))
            taken.append(front.take())
        found = np.concatenate([each.indices for each in taken])
        np.testing.assert_array_equal(found, indices[:, slice(*columns)])
        total += np.concatenate([each.sums for each in taken])
    assert narrowest < 1500 / 2
    _, sums = in_parts(loss, palette, sweeps, BAND, last=last)
    np.testing.assert_array_equal(total, sums)
    np.testing.assert_allclose(sums[:, 0].sum() / loss.pixels, loss.of(indices, palette), rtol=1e-5)


def test_no_error_passes_between_the_spans_of_wide_pictures(narrow):
    loss, palette = problem((150, 300))
    indices = diffusion.diffuse(loss, palette)
    for left in range(0, 300, 64):
        span = slice(left, left + 64)
        image = np.ascontiguousarray(loss.planes[:, :, span].transpose(1, 2, 0))
        part = BlurredError(image, weights=np.ascontiguousarray(loss.weights[:, span]))
        np.testing.assert_array_equal(diffusion.diffuse(part, palette), indices[:, span])
