"""The best greys against all choices, and what a picture in grey has of them."""

import itertools

import numpy as np
import pytest

from fastgrad.dithering import dither
from fastgrad.dithering.eye.colour import to_linear
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
from fastgrad.dithering.optimiser.greys import (
    DARK,
    GRAIN,
    PAIR,
    best_greys,
    levels_of,
    mixing_greys,
)
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.pace import PLANS


def texture(height=90, width=110):
    """Return a picture in grey of two kinds of stone, with a few specks of light."""
    rng = np.random.default_rng(0)
    stone = np.where(np.arange(width) % 40 < 25, 90.0, 150.0) + 12 * rng.normal(
        size=(height, width)
    )
    stone.flat[::397] = 250
    return np.clip(np.rint(stone), 0, 255).astype(np.uint8)


def badness(counts, greys):
    """Return the sum of squares of all levels to the nearest of some."""
    off = abs(np.arange(len(counts))[:, None] - np.asarray(greys)).min(axis=1)
    return counts @ np.square(off)


@pytest.mark.parametrize("colors", [1, 2, 3, 5])
def test_against_all_partitions(colors):
    rng = np.random.default_rng(colors)
    counts = rng.integers(0, 30, 9).astype(float)
    found, levels = [], np.flatnonzero(counts)
    for cuts in itertools.combinations(range(1, len(levels)), colors - 1):
        groups = np.split(levels, cuts)
        means = [np.average(group, weights=counts[group]) for group in groups]
        found.append(badness(counts, means))
    greys = best_greys(counts, colors)
    assert badness(counts, greys) == pytest.approx(min(found))
    assert (np.diff(greys) > 0).all()


@pytest.mark.parametrize("colors", [2, 7, 30])
def test_of_many_levels_none_too_far_apart_is_tried_and_none_is_missed(colors):
    rng = np.random.default_rng(colors)
    for power, many in ((1.0, 120), (0.4, 120), (0.4, 40)):  # some levels have nearly all pixels
        counts = np.zeros(256)
        counts[rng.choice(256, many, replace=False)] = np.rint(1 + 9 * rng.pareto(power, many))
        levels = np.flatnonzero(counts)
        pairs = [(i, j) for i in range(many) for j in range(i, many)]
        cost = np.full((many, many), np.inf)
        for i, j in pairs:
            part = counts[levels[i : j + 1]]
            mean = np.average(levels[i : j + 1], weights=part)
            cost[i, j] = part @ np.square(levels[i : j + 1] - mean)
        least = cost[0]
        for _ in range(colors - 1):
            least = np.array(
                [min(least[:j] + cost[1 : j + 1, j], default=np.inf) for j in range(many)]
            )
        assert badness(counts, best_greys(counts, colors)) == pytest.approx(least[-1])


def test_fewer_levels_than_greys_are_all_there():
    counts = levels_of(np.uint8([[7, 7, 9]]))
    assert best_greys(counts, 4).tolist() == [7, 9, 7, 7]
    assert levels_of(np.array([0.0, 1.0, 1.0]), np.array([1, 0, 2]))[[0, 255]].tolist() == [1, 2]
    assert levels_of(np.uint8([5]), np.zeros(1)).sum() == 1


def seen(counts, greys, nu):
    """Return what is seen of a picture that is mixed of some greys, level by level."""
    light = to_linear(np.arange(256, dtype=np.uint8)).astype(float)
    lightness, total = np.cbrt(light + DARK), 0.0
    for level in np.flatnonzero(counts):
        x, below, above = light[level], greys[greys <= level], greys[greys >= level]
        if len(below) and len(above):
            a, b = light[below[-1]], light[above[0]]
            slope = 1 / (3 * lightness[level] ** 2)
            grain = PAIR * GRAIN if len(greys) == 2 else GRAIN
            one = (grain + nu) / (1 + 2 * nu) * slope**2 * (x - a) * (b - x)
        else:
            end = greys[-1] if len(below) else greys[0]
            one = (lightness[level] - lightness[end]) ** 2
        total += counts[level] * one
    return total / counts.sum()


@pytest.mark.parametrize("nu", [0.0, 0.4])
@pytest.mark.parametrize("colors", [2, 3, 4])
def test_greys_to_mix_against_all_choices(colors, nu):
    rng = np.random.default_rng(colors)
    counts = np.zeros(256)
    counts[[3, 4, 6, 9, 14, 15, 17, 22]] = rng.integers(1, 30, 8)
    choices = map(np.array, itertools.combinations(range(3, 23), colors))
    least = min(seen(counts, greys, nu) for greys in choices)
    greys = mixing_greys(counts, colors, nu=nu)
    assert greys.dtype == np.uint8
    assert seen(counts, greys.astype(int), nu) == pytest.approx(least, rel=1e-4)


def test_fewer_levels_than_greys_to_mix_are_all_there():
    assert mixing_greys(levels_of(np.uint8([[7, 7, 200]])), 4).tolist() == [7, 200, 7, 7]


@pytest.mark.parametrize("speed", [4, 10])
@pytest.mark.parametrize("colors", [3, 24])
def test_greys_are_the_best_ones_and_need_no_learning(colors, speed):
    image, plan = texture(), PLANS[speed - 1]
    result, nu = dither(image, colors=colors, speed=speed), 0.055 * min(1, (colors / 16) ** 0.5)
    assert set(result.palette[:, 0]) == set(mixing_greys(levels_of(image), colors, nu=nu))
    assert len(result.loss) <= 1 + plan.whole + plan.sweeps  # as in colours that are given
    color = np.dstack([image, image, image])
    np.testing.assert_array_equal(dither(color, colors=colors, speed=speed).image, result.image)


@pytest.mark.parametrize("slow", [{"speed": 1}, {"time_budget": 0.5}])
def test_more_time_is_spent_on_better_ones(slow):
    plain, better = (dither(texture(), colors=24, **how) for how in ({"speed": 10}, slow))
    assert better.loss[-1] < plain.loss[-1]
    assert better.seconds < 5


def test_what_is_not_grey_or_keeps_colors_is_learned():
    image, viewing = texture(), Viewing()
    color = np.dstack([image, image, 255 - image])
    locked = {"palette": np.uint8([[9, 9, 9]]), "lock_colors": True}
    for picture, colors, options, expected in (
        (image, 16, {}, True),
        (image, 2, {}, True),
        (image, 16, locked, False),
        (color, 16, {}, False),
    ):
        assert Problem(picture, viewing, colors=colors, **options).greys == expected


def test_levels_of_texture_are_not_missed():
    # By k-means and annealing 85.4 and 93.5, where libimagequant had 89.1 and 96.7.
    brick = pytest.importorskip("skimage.data").brick()
    for colors, least in ((16, 88.5), (64, 96.5)):
        made = dither(brick, colors=colors)
        assert Ssimulacra2(np.dstack([brick] * 3)).score(made.image) >= least


def test_few_greys_are_where_grain_is_seen_least():
    # By trials and annealing 24.0 and -17.5, where libimagequant had 28.7 and -31.4.
    data = pytest.importorskip("skimage.data")
    for name, least in (("moon", 40), ("camera", -5)):
        image = getattr(data, name)()
        made = dither(image, colors=4)
        assert Ssimulacra2(np.dstack([image] * 3)).score(made.image) >= least
