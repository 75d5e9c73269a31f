"""The parts of the dithering optimiser against slow references and their own optimality."""

import time
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import reference_dithering as reference
from dithering_problems import WEIGHTED, problem, some_weights
from scipy import stats

from fastgrad.dithering import BlurredError
from fastgrad.dithering.optimiser import annealing, diffusion, palette, search, start


def anneal(state, steps):
    """Cool down with a fixed palette; return the losses."""
    return [value for value, _ in annealing.anneal(state, annealing.schedule(steps))]


def sequential_step(target, mean, image, colours, loss, precision, rate):
    """One step, pixel lists in their order, by dense sums: natural gradient on explicit logits."""
    height, width, _ = image.shape
    radius = loss.radius
    bands = [range(y, min(y + 32, height)) for y in range(0, height, 32)]
    for y in [y for band in bands[::2] + bands[1::2] for y in band]:
        for first in range(4):
            error = loss.weights[..., None] * (mean - image)
            error = np.pad(error, ((radius, radius), (radius, radius), (0, 0)))
            for x in range(first, width, 4):
                weight = loss.weights[y, x]
                window = error[y : y + 2 * radius + 1, x : x + 2 * radius + 1]
                field = np.einsum("ij,ijc->c", loss.table, window)
                field = weight * (field + loss.nu * error[y + radius, x + radius])
                own = loss.own * weight**2
                by_probability = 2 * (field - own * mean[y, x]) @ colours.T
                by_probability += own * np.square(colours).sum(axis=1)
                logits = -precision * np.square(target[y, x] - colours).sum(axis=1)
                logits -= rate * (precision / own * by_probability + logits)
                p = reference.softmax(logits)
                target[y, x] += rate * (mean[y, x] - field / own - target[y, x])
                same = -precision * np.square(target[y, x] - colours).sum(axis=1)
                assert np.ptp(same - logits) < 1e-9 * max(1, np.abs(logits).max())
                mean[y, x] = p @ colours


@WEIGHTED
@pytest.mark.parametrize(("height", "width"), [(6, 7), (40, 9), (1, 130)])
@pytest.mark.parametrize("options", [{"sigma": 1.0}, {"ppd": 20}, {"sigma": 0.0}])
def test_a_step_is_a_natural_gradient_step_on_the_free_energy(height, width, options, weighted):
    image, _, colours = problem(4, height, width, 5)
    weights = np.random.default_rng(2).uniform(0.4, 1.5, (height, width)) if weighted else None
    loss = BlurredError(image, nu=0.03, weights=weights, **options)
    state = annealing.Annealing(loss, colours, rng=0)
    target = np.moveaxis(state.gather(state.target), 0, -1).copy()
    mean = image.copy()
    for precision, rate in ((20.0, 0.3), (60.0, 1.0)):
        state.step(precision, rate=rate)
        sequential_step(target, mean, image, colours, loss, precision, rate)
        result = np.moveaxis(state.gather(state.target), 0, -1)
        np.testing.assert_allclose(result, target, atol=2e-3)  # rare colours are left out
        np.testing.assert_allclose(np.moveaxis(state.mean(), 0, -1), mean, atol=2e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_of_a_step_at_rest_is_the_expected_loss(dtype):
    image, _, colours = problem(6, 33, 50, 4, dtype)
    loss = BlurredError(image, weights=some_weights(33, 50))
    state = annealing.Annealing(loss, colours, rng=0)
    state.step(9.0, rate=0.0)
    value = state.step(9.0, rate=0.0)
    gap = np.moveaxis(state.gather(state.target), 0, -1)[:, :, None] - colours
    logits = -9 * np.square(gap).sum(axis=-1)
    assert value == pytest.approx(loss.expected(logits, colours), rel=1e-4)


def test_annealing_lowers_the_expected_loss():
    image, _, colours = problem(5, 48, 40, 4, np.float32)
    state = annealing.Annealing(BlurredError(image), colours, rng=0)
    history = anneal(state, 12)
    assert history[-1] < 0.9 * history[1]
    indices = state.draw()
    assert state.loss.of(indices, colours) < 1.2 * history[-1]


@pytest.mark.parametrize(("steps", "fits"), [(1, 0), (2, 1), (3, 1), (4, 1), (8, 2), (11, 3)])
def test_the_palette_learns_in_the_last_step(steps, fits):
    """A single step is not annealed: it is as hot as the first."""
    state = SimpleNamespace(palette=np.eye(3), step=lambda precision: 0.0, draw=lambda sample: None)
    fit, learned = mock.Mock(side_effect=lambda labels, colours: colours), []
    for _ in annealing.anneal(state, annealing.schedule(steps), fit=fit):
        learned.append(fit.call_count)
    assert learned[-1] == fits
    assert steps == 1 or learned[-2] == fits - 1


def test_draw_follows_the_probabilities():
    """Chi-squared at a false-alarm rate of 1e-6."""
    _, _, colours = problem(6, colors=7, dtype=np.float32)
    loss = BlurredError(np.full((200, 300, 3), 0.4, np.float32))
    state = annealing.Annealing(loss, colours, rng=3)
    state.target[:] = 0.4
    state.step(3.0, rate=0.0)
    p = reference.softmax(-3.0 * np.square(colours - 0.4).sum(axis=-1).astype(np.float64))
    counts = np.bincount(state.draw().ravel(), minlength=7)
    assert stats.chisquare(counts, p * counts.sum()).pvalue > 1e-6
    sample = palette.Sample(loss, 20000)
    tiles = state.draw(sample)
    assert tiles.shape == sample.cut(loss.planes)[:, 0].shape == (4, 64, 64)
    counts = np.bincount(tiles.ravel(), minlength=7)
    assert stats.chisquare(counts, p * counts.sum()).pvalue > 1e-6


def test_draws_of_tiles_lie_where_the_tiles_do():
    image, _, colours = problem(8, 150, 170, 6, np.float32)
    loss = BlurredError(image)
    state = annealing.Annealing(loss, colours, rng=0)
    state.step(1e6, rate=0.0)  # so cold that a draw is certain
    sample = palette.Sample(loss, 3 * 64 * 64)
    np.testing.assert_array_equal(state.draw(sample), sample.cut(state.draw()[None])[:, 0])


def test_the_previous_colour_is_nearer():
    image, _, colours = problem(8, 40, 50, 6, np.float32)
    loss = BlurredError(image)
    before = np.random.default_rng(1).integers(0, 6, (40, 50)).astype(np.uint8)
    changed = []
    for gap in (0.0, 0.05, 0.3, 100.0):
        indices = diffusion.begin(loss, colours, previous=before, gap=gap)
        searched = search.Search(loss, indices.copy(), colours, previous=before, gap=gap)
        while searched.sweep():
            pass
        changed.append(np.mean(searched.indices != before))
        total = loss.of(searched.indices, colours) * loss.pixels
        total += gap * loss.own * np.count_nonzero(searched.indices != before)
        again = loss.of(indices, colours) * loss.pixels
        again += gap * loss.own * np.count_nonzero(indices != before)
        assert total <= again + 1e-3
    assert changed[0] > changed[1] > changed[2] > changed[3] == 0


@pytest.mark.parametrize("colors", [2, 5, 37])
@pytest.mark.parametrize("previous", [False, True])
def test_search_ends_where_no_label_and_no_swap_helps(colors, previous):
    image, _, colours = problem(7, 20, 45, colors)
    weights = some_weights(20, 45)
    mask = weights > 0
    loss = BlurredError(image, sigma=0.7, nu=0.02, weights=weights)
    labels = np.zeros((20, 45), np.uint8)
    before = np.random.default_rng(1).integers(0, colors, (20, 45)).astype(np.uint8)
    gap = 0.02 if previous else 0.0

    def total(labels):
        changes = np.square(weights)[labels != before].sum()
        return loss.of(labels, colours) + gap * loss.own * changes / loss.pixels

    first = total(labels)
    state = search.Search(loss, labels, colours, previous=before if previous else None, gap=gap)
    moves = [state.sweep() for _ in range(200)]
    assert moves[0] > 0
    assert moves[-1] == 0
    assert not labels[~mask].any()
    last = total(labels)
    assert last < 0.7 * first
    value, plain = state.errors()
    assert value == pytest.approx(loss.of(labels, colours), rel=1e-9)
    error = np.square(weights[..., None] * (colours[labels] - image)).sum() / loss.pixels
    assert plain == pytest.approx(error, rel=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(300):
        y, x = rng.integers(20), rng.integers(44)
        other = labels.copy()
        other[y, x] = rng.integers(colors)
        assert total(other) > last - 1e-6
        other = labels.copy()
        other[y, x : x + 2] = other[y, x : x + 2][::-1]
        if x % 32 != 31 and mask[y, x] and mask[y, x + 1]:  # swaps stay inside tiles
            assert total(other) > last - 1e-6


def test_colours_are_listed_from_each_of_them_outwards():
    rng = np.random.default_rng(0)
    colours = rng.random((40, 3))
    others, order, bounds = search.outwards(colours)
    assert others.shape == (40, 3 * 3 * 16)
    apart = np.square(colours[:, None] - colours).sum(axis=-1)
    for k in range(40):
        assert sorted(order[k, :39]) == [i for i in range(40) if i != k]
        listed = apart[k, order[k, :39]]
        assert np.all(np.diff(listed) >= 0)
        np.testing.assert_array_equal(bounds[k], listed[::16])
        planes = others[k].reshape(3, 3, 16).swapaxes(1, 2).reshape(48, 3)
        np.testing.assert_array_equal(planes[:39], colours[order[k, :39]])
        assert np.isinf(planes[39:]).all()
    points = rng.random((5000, 3))
    distance = np.square(points[:, None] - colours).sum(axis=-1)
    inside = 4 * distance < bounds[:, 0]
    assert inside.sum() > 100
    assert np.all(distance.argmin(axis=1) == inside.argmax(axis=1), where=inside.any(axis=1))
    assert search.outwards(colours[[0, 0]])[2].tolist() == [[0], [0]]


def test_sleeping_pixels_cost_nothing_and_lose_little():
    image, _, colours = problem(3, 96, 128, 6)
    loss = BlurredError(image, sigma=1.0, nu=0.05)
    found = []
    for always in (False, True):
        labels = np.zeros((96, 128), np.uint8)
        state = search.Search(loss, labels, colours)
        for _ in range(12):
            state.sweep()
            if always:
                state.recolor(colours)
        found.append(state.errors()[0])
        assert found[-1] == pytest.approx(loss.of(labels, colours), rel=1e-9)
    assert found[0] == pytest.approx(found[1], rel=0.02)


def test_recoloring_is_searching_anew():
    image, _, colours = problem(5, 40, 50, 5)
    loss = BlurredError(image, sigma=1.0, nu=0.05)
    first, second = np.zeros((2, 40, 50), np.uint8)
    state = search.Search(loss, first, colours[::-1])
    state.recolor(colours)
    anew = search.Search(loss, second, colours)
    for _ in range(3):
        assert state.sweep() == anew.sweep()
    np.testing.assert_array_equal(first, second)


@WEIGHTED
def test_normal_equations_are_the_quadratic_form(weighted):
    image, _, colours = problem(8, 17, 13, 4)
    weights = some_weights(17, 13) if weighted else None
    loss = BlurredError(image, sigma=0.9, nu=0.05, weights=weights)
    labels = np.random.default_rng(1).integers(0, 4, (17, 13)).astype(np.uint8)
    gram, right = palette.Sample(loss).normal_equations(labels[None], 4)
    constant = loss.of(labels, np.zeros((4, 3)))
    quadratic = np.einsum("kc,kl,lc->", colours, gram, colours) - 2 * np.sum(colours * right)
    expected = reference.loss(colours[labels], image, 0.9, 0.05, weights)
    assert quadratic / loss.pixels + constant == pytest.approx(expected, rel=1e-12)


def test_normal_equations_of_tiles_and_masks():
    image, _, _ = problem(8, 150, 130, 4)
    weights = some_weights(150, 130)
    mask = weights > 0
    loss = BlurredError(image, weights=weights)
    labels = np.random.default_rng(1).integers(0, 4, (150, 130)).astype(np.uint8)
    sample = palette.Sample(loss, 3 * 64 * 64)
    assert len(sample.corners) == 3
    gram, right = sample.normal_equations(sample.cut(labels[None])[:, 0], 4)
    for y, x in sample.corners:
        tile = slice(y, y + 64), slice(x, x + 64)
        part = BlurredError(np.ascontiguousarray(image[tile]), weights=weights[tile])
        one = palette.Sample(part).normal_equations(labels[tile][None], 4)
        gram, right = gram - one[0], right - one[1]
        unseen = np.where(mask[tile], labels[tile], 3)  # what these pixels have does not matter
        again = palette.Sample(part).normal_equations(unseen[None].astype(np.uint8), 4)
        np.testing.assert_array_equal(again[0], one[0])
    np.testing.assert_allclose(gram, 0, atol=1e-9)
    np.testing.assert_allclose(right, 0, atol=1e-9)


def test_fit_is_least_squares_within_bounds():
    image, _, colours = problem(9, 30, 30, 3)
    sample = palette.Sample(BlurredError(image))
    labels = np.random.default_rng(2).integers(0, 3, (1, 30, 30)).astype(np.uint8)
    gram, right = sample.normal_equations(labels, 4)
    fitted = sample.fit(labels, np.vstack([colours, [[0.1, 0.2, 0.3]]]), iterations=500)
    np.testing.assert_array_equal(fitted[3], [0.1, 0.2, 0.3])  # no pixel has it
    np.testing.assert_allclose(fitted[:3], np.linalg.solve(gram[:3, :3], right[:3]), atol=1e-9)
    image = np.where(np.arange(30)[:, None, None] < 15, 3.0, 0.0) + 0 * image
    bright = palette.Sample(BlurredError(image))
    gram, right = bright.normal_equations(labels, 3)
    fitted = bright.fit(labels, colours, iterations=500)
    slope = gram @ fitted - right
    assert fitted.min() >= 0
    assert fitted.max() <= 1
    assert np.abs(slope[(fitted > 0) & (fitted < 1)]).max(initial=0) < 1e-9
    assert slope[fitted == 1].max(initial=-1) <= 0
    fitted = bright.fit(labels, colours, locked=2)
    np.testing.assert_array_equal(fitted[:2], colours[:2])
    assert np.any(fitted[2] != colours[2])


def test_first_palettes_cluster_the_pixels():
    rng = np.random.default_rng(0)
    centres = rng.random((8, 3)).astype(np.float32)
    image = centres[rng.integers(0, 8, (60, 60))] + rng.normal(0, 1e-3, (60, 60, 3))
    image = image.astype(np.float32)
    locked = np.float32([[2, 2, 2]])
    for first in palette.initial(image, 9, rng=0, trials=5, locked=locked, iterations=20):
        assert first.shape == (9, 3)
        np.testing.assert_array_equal(first[0], [2, 2, 2])
        distance = np.square(first[1:, None] - centres).sum(axis=-1)
        assert len(set(distance.argmin(axis=1))) >= 7  # k-means++ rarely misses a cluster
    assert len({p.tobytes() for p in palette.initial(image, 4, rng=0, trials=5)}) > 1


@pytest.mark.parametrize("colors", [2, 4, 6])
def test_k_means_ends_at_the_means_of_the_nearest_pixels(colors):
    image = np.random.default_rng(colors).random((37, 29, 3))
    counts = np.arange(37 * 29).reshape(37, 29) % 4.0
    (found,) = palette.initial(image, colors, rng=0, iterations=300, counts=counts)
    pixels, often = image.reshape(-1, 3), counts.ravel()
    labels = np.square(pixels[:, None] - found).sum(axis=-1).argmin(axis=1)
    for k in range(colors):
        mean = np.average(pixels[labels == k], axis=0, weights=often[labels == k])
        np.testing.assert_allclose(found[k], mean, rtol=1e-12)


def test_a_schedule_with_a_deadline_ends_in_time():
    assert list(annealing.schedule(3)) == [(0.0, 3), (0.5, 3), (1.0, 3)]
    began = time.perf_counter()
    seen = []
    for progress, steps in annealing.schedule(3, began + 0.3):
        time.sleep(0.01)
        seen.append((progress, steps))
    assert time.perf_counter() - began < 0.6
    assert seen[0][0] == 0
    assert seen[-1][0] == 1
    assert np.all(np.diff([progress for progress, _ in seen]) > 0)
    assert len(list(annealing.schedule(3, began))) == 2


def test_box_means():
    image = np.random.default_rng(0).random((37, 50, 3))
    small = start.box_means(image, 120)
    assert small.shape == (9, 12, 3)
    np.testing.assert_allclose(small[2, 3], image[8:12, 12:16].mean(axis=(0, 1)))
    assert start.box_means(image, 10**4) is not None
    assert start.box_means(image[:1], 7).shape[0] == 1
