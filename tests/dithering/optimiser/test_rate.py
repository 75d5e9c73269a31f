"""The model of bits against an adaptive code, step by step; its search against brute force."""

import itertools

import numba
import numpy as np
import pytest

from fastgrad.dithering.optimiser import adaptive_codes, rate
from fastgrad.dithering.optimiser.adaptive_codes import FilterModel
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.rate import RatedSearch, RowModel, frugal
from fastgrad.dithering.pictures.png import pack
from fastgrad.dithering.pictures.png_filters import AVERAGE, SUB, UP, filtered
from fastgrad.kernels.dithering.optimiser import rate as kernels
from fastgrad.kernels.dithering.optimiser.search import NEIGHBOURS

RNG = np.random.default_rng(0)
ORDERS = [(5, 2), (40, 1)]  # colours, and how many of them are a context


def contexts(indices, order):
    """Pairs of a context and an index, row by row."""
    for row in indices.tolist():
        before = [0] * order + row
        for i, index in enumerate(row):
            yield tuple(before[i : i + order]), index


def adaptive_bits(indices, colors, order):
    """The length of an adaptive code, index by index."""
    seen, bits = {}, 0.0
    for context, index in contexts(indices, order):
        counts = seen.setdefault(context, np.zeros(colors))
        bits -= np.log2((counts[index] + rate.PRIOR) / (counts.sum() + colors * rate.PRIOR))
        counts[index] += 1
    return bits


def file_bits(model, symbols):
    """What a model says of symbols, one by one."""
    lengths = (adaptive_bits(symbols, model.symbols, n) for n in (model.order, model.order - 1))
    turns = sum(before != symbol for (before,), symbol in contexts(symbols, 1))
    return sum(map(float.__mul__, model.shares, lengths)) + model.turn * turns


def picture(colors, shape=(6, 8), channels=3):
    """A loss, a palette and a picture of so many colours."""
    image = RNG.random((*shape, channels)).astype(np.float32)
    weights = RNG.uniform(0.5, 1.5, shape)
    weights[2, 3:5] = 0
    palette = RNG.random((colors, channels)).astype(np.float32)
    loss = BlurredError(image, sigma=0.7, nu=0.1, weights=weights)
    return loss, palette, diffuse(loss, palette)


def objective(search, palette, previous=None):
    """What a search lowers until prices are renewed, as a function of the picture, by a loop."""
    price = search.model.prices(search.counts)

    def value(indices):
        symbols = np.int64(indices)
        if previous is not None:  # one more symbol for what is kept
            symbols[indices == previous] = search.model.colors
        bits = sum(price[(*c, i)] for c, i in contexts(symbols, search.model.order))
        return search.loss.of(indices, palette) * search.loss.pixels + search.rate * bits

    return value


@pytest.mark.parametrize(("colors", "order"), ORDERS)
def test_bits_are_those_of_adaptive_codes(colors, order):
    indices = RNG.integers(0, colors, (9, 20)).astype(np.uint8)
    indices[3:6] = indices[2]
    model = RowModel(colors)
    assert model.order == order
    found = model.bits(model.counts(indices))
    np.testing.assert_allclose(found, file_bits(model, indices), rtol=1e-12)


def test_counts_do_not_depend_on_blocks(monkeypatch):
    indices = RNG.integers(0, 5, (9, 20)).astype(np.uint8)
    whole = RowModel(5).counts(indices)
    monkeypatch.setattr(rate, "ROWS", 45)
    assert np.array_equal(RowModel(5).counts(indices), whole)
    assert whole.sum() == indices.size


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize(("colors", "order"), ORDERS)
def test_a_search_ends_where_no_move_helps(colors, order, frames):
    loss, palette, indices = picture(colors)
    previous = None
    if frames == 2:
        previous = np.where(RNG.random(indices.shape) < 0.5, indices, indices[::-1])
    search = RatedSearch(loss, indices, palette, 0.02, previous=previous)
    value = objective(search, palette, previous)
    values = [value(indices)]
    while search.sweep():
        values.append(value(indices))
    assert (np.diff(values) < 0).all()
    least, tolerance = values[-1], 1e-4 * values[0]
    height, width = indices.shape
    for y in range(height):
        for c in range(width):
            if not loss.weights[y, c]:
                continue
            for k in range(colors):
                other = indices.copy()
                other[y, c] = k
                assert value(other) > least - tolerance
            for dy, dx in NEIGHBOURS:
                if y + dy < height and 0 <= c + dx < width and loss.weights[y + dy, c + dx]:
                    other = indices.copy()
                    other[y, c], other[y + dy, c + dx] = indices[y + dy, c + dx], indices[y, c]
                    assert value(other) > least - tolerance


@pytest.mark.parametrize("order", [1, kernels.MEAN, kernels.UP])
def test_a_search_of_filtered_rows_ends_where_no_change_helps(order):
    loss, _, _ = picture(20, (9, 11), channels=1)
    palette = np.linspace(0, 1, 20, dtype=np.float32)[:, None]
    search = RatedSearch(loss, diffuse(loss, palette), palette, 0.01, filters=True)
    search._models = [model for model in search._models if model == FilterModel(20, order)]
    search.renew()
    kind = {1: SUB, kernels.MEAN: AVERAGE, kernels.UP: UP}[order]

    def value(indices):
        rows = np.frombuffer(filtered(pack(indices, 8), 9, kind), np.uint8).reshape(9, 12)[:, 1:]
        bits = adaptive_codes.price(search.counts)[rows].sum()
        return search.loss.of(indices, palette) * search.loss.pixels + search.rate * bits

    rows = filtered(pack(search.indices, 8), 9, kind)
    written = np.frombuffer(rows, np.uint8).reshape(9, 12)[:, 1:]
    assert np.array_equal(np.bincount(written.ravel(), minlength=256), search.counts)
    values = [value(search.indices)]
    while search.sweep():
        values.append(value(search.indices))
    assert len(values) > 1
    assert (np.diff(values) < 0).all()
    for (y, c), k in itertools.product(np.argwhere(loss.weights > 0), range(20)):
        other = search.indices.copy()
        other[y, c] = k
        assert value(other) > values[-1] - 1e-4 * values[0]


@pytest.mark.parametrize(("colors", "order"), ORDERS)
def test_regrets_are_differences_of_the_objective(colors, order):
    loss, palette, indices = picture(colors)
    search = RatedSearch(loss, indices, palette, 0.02)
    found, expected = search.regrets(), np.zeros(colors)
    value = objective(search, palette)
    now = value(indices)
    for y, c in np.argwhere(loss.weights > 0):
        changes = []
        for k in range(colors):
            if k != indices[y, c]:
                other = indices.copy()
                other[y, c] = k
                changes.append(value(other) - now)
        expected[indices[y, c]] += min(changes)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_the_previous_frame_is_worth_what_the_search_says():
    loss, palette, indices = picture(5)
    previous = RNG.integers(0, 5, indices.shape).astype(np.uint8)
    kept = {}
    for gap in (0.0, 0.5, 100.0):
        changed = indices.copy()
        search = RatedSearch(loss, changed, palette, 0.01, previous=previous, gap=gap)
        while search.sweep():
            pass
        kept[gap] = (changed == previous)[loss.weights > 0].mean()
    assert kept[0.0] < kept[0.5] < kept[100.0] == 1


def test_fewer_bits_at_higher_rates():
    loss, palette, indices = picture(8, (60, 70))
    bits, losses = [], []
    for price in (0.0, 0.003, 0.03, 0.3):
        search = RatedSearch(loss, indices.copy(), palette, price)
        for _ in range(3):
            search.sweep()
            search.renew()
        bits.append(search.bits())
        losses.append(search.errors()[0])
        assert search.objective() == pytest.approx(losses[-1] + price * bits[-1] / loss.pixels)
    assert (np.diff(bits) < 0).all()
    assert (np.diff(losses) > 0).all()


def test_a_colour_is_dropped():
    loss, palette, indices = picture(5)
    search = RatedSearch(loss, indices, palette, 0.05)
    search.drop(2)
    assert not (indices[loss.weights > 0] == 2).any()


def test_the_number_of_threads_does_not_matter():
    made = []
    threads = numba.get_num_threads()
    for count in (1, threads):
        numba.set_num_threads(count)
        image = np.tile(np.linspace(0, 1, 200, dtype=np.float32)[:, None], (180, 1, 3))
        loss = BlurredError(image, sigma=0.7)
        palette = np.linspace(0, 1, 5, dtype=np.float32)[:, None] * np.ones(3, np.float32)
        indices = diffuse(loss, palette)
        search = RatedSearch(loss, indices, palette, 1e-3)
        for _ in range(2):
            search.sweep()
            search.renew()
        made.append(indices)
    assert np.array_equal(*made)


def test_what_is_kept_costs_less():
    model, rows = RowModel(40, keeping=True), np.tile(np.arange(40), (40, 1))
    assert model.symbols == 41
    same = RNG.random(rows.shape) < 0.5
    changed = RNG.integers(0, 40, rows.shape)
    kept = np.where(same, 40, changed)
    assert model.bits(model.counts(kept)) < 0.7 * model.bits(model.counts(changed))
    loss, palette, indices = picture(5)
    search = RatedSearch(loss, indices, palette, 0.05, previous=indices.copy())
    assert (search.symbols() == 5).all()
    assert search.bits() < RatedSearch(loss, indices, palette, 0.05).bits()


@pytest.mark.parametrize(("colors", "order"), ORDERS)
def test_what_is_hidden_has_one_symbol(colors, order):
    loss, palette, indices = picture(colors)
    hidden = loss.weights == 0
    assert hidden.any()
    bits = set()
    for label in range(3):
        indices[hidden] = label, (label + 1) % 3
        bits.add(RatedSearch(loss, indices, palette, 0.02, hidden=hidden).bits())
    assert len(bits) == 1
    search = RatedSearch(loss, indices, palette, 0.02, hidden=hidden)
    symbols = np.where(hidden, colors, indices)
    np.testing.assert_allclose(search.bits(), file_bits(search.model, symbols), rtol=1e-12)


def test_frugality_changes_no_pixel_without_weight():
    loss, palette, indices = picture(5)
    before, bits = indices.copy(), RatedSearch(loss, indices, palette, 1e-3).bits()
    found = frugal(loss, indices, palette)
    np.testing.assert_array_equal(indices, before)
    assert RatedSearch(loss, found, palette, 1e-3).bits() < bits
    loss.weights[:4] = 0
    np.testing.assert_array_equal(frugal(loss, indices, palette)[:4], before[:4])
    loss.weights[:] = 0
    np.testing.assert_array_equal(frugal(loss, indices, palette), before)


def test_frugality_goes_on_while_the_loss_hardly_rises(monkeypatch):
    image, palette = RNG.random((48, 640, 1)), np.linspace(0, 1, 6)[:, None]
    loss = BlurredError(image, nu=0.8, weights=np.arange(640) % 10 == np.zeros((48, 1)))
    indices = np.rint(5 * image[..., 0]).astype(np.uint8)
    found = frugal(loss, indices, palette)
    monkeypatch.setattr(rate, "RISES", (1, 1))
    first = frugal(loss, indices, palette)
    more, less = (RatedSearch(loss, x, palette, 1e-3).bits() for x in (first, found))
    assert less < more
    assert loss.of(first, palette) < loss.of(found, palette) < rate.RISE * loss.of(first, palette)
    monkeypatch.setattr(rate, "RISES", (1, 1, 1 << 20))  # too much
    np.testing.assert_array_equal(frugal(loss, indices, palette), first)
    dense = frugal(BlurredError(image, nu=0.8), indices, palette)  # no edges, but a ramp, say
    monkeypatch.setattr(rate, "RISES", (1, 1))
    np.testing.assert_array_equal(frugal(BlurredError(image, nu=0.8), indices, palette), dense)
