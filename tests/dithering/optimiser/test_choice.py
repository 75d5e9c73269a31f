"""A few inks out of many: as good as the best of all subsets."""

from itertools import combinations

import numpy as np
import pytest

from fastgrad.distributions.subset import KSubset
from fastgrad.dithering.eye import colour
from fastgrad.dithering.optimiser import choice
from fastgrad.dithering.optimiser.loss import BlurredError

y, x = np.mgrid[:40, :48]
WAVES = 60 * np.sin(x / 7 + np.sin(y / 5)) + 50 * np.sin(y / 9)
PICTURE = np.clip(np.stack([128 + WAVES, 90 + WAVES / 2 + y, 2 * x + WAVES], -1), 0, 255)


def problem(seed, count):
    into = colour.SPACES["opponent"].into
    inks = np.random.default_rng(seed).integers(0, 256, (count, 3)).astype(np.uint8)
    linear = colour.to_linear(np.roll(PICTURE, seed, axis=2).astype(np.uint8))
    return BlurredError(into(linear)), np.float32(into(colour.to_linear(inks)))


@pytest.mark.parametrize(("seed", "count", "few"), [(0, 7, 3), (1, 9, 2)])
def test_few_subsets_are_all_tried(seed, count, few):
    loss, inks = problem(seed, count)
    judge = choice.Judge(loss, inks)
    best = min(combinations(range(count), few), key=judge.of)
    assert choice.choose(loss, inks, few).tolist() == list(best)


@pytest.mark.parametrize("seed", range(3))
def test_swaps_find_the_best_of_all_subsets(seed, monkeypatch):
    monkeypatch.setattr(choice, "FEW", 0)
    tried = []
    of = choice.Judge.of
    monkeypatch.setattr(choice.Judge, "of", lambda j, s: tried.append(s) or of(j, s))
    loss, inks = problem(seed, 10)
    found = choice.choose(loss, inks, 3, rng=seed)
    assert len(set(tried)) < 110  # of 120
    judge = choice.Judge(loss, inks)
    assert tuple(found) == min(combinations(range(10), 3), key=judge.of)


def test_the_expected_loss_falls():
    loss, inks = problem(1, 12)
    judge = choice.Judge(loss, inks)
    logits = choice._learned(judge, 12, 4, choice.random.as_key(0))
    first = np.mean(list(judge.known.values())[: choice.SAMPLES])
    again = KSubset(logits, 4).sample(num_samples=32, rng=5)
    assert judge(again).mean() < 0.7 * first


def test_work_ends(monkeypatch):
    monkeypatch.setattr(choice, "TRIES", 40)
    monkeypatch.setattr(choice, "FEW", 0)
    loss, inks = problem(2, 12)
    found = choice.choose(loss, inks, 5)
    assert len(set(found.tolist())) == 5


def test_inks_that_are_all_the_same():
    loss, _ = problem(2, 3)
    found = choice.choose(loss, np.zeros((14, 3), np.float32), 5)
    assert len(set(found.tolist())) == 5
