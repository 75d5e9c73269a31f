"""The searches for rates: bytes and scores are met, or the search ends."""

import math

import numpy as np
import pytest

from fastgrad.dithering.rates import MOST_RATE, Rates, ScoreRates


def followed(rates, value_of):
    """Return what the last rate gave, and how many were tried."""
    tried = trials(rates, value_of)
    return tried[-1][1], len(tried)


def trials(rates, value_of):
    """Return all rates that were tried, and what they gave."""
    tried = []
    while True:
        tried.append((rates.rate, value_of(rates.rate)))
        if rates.told(tried[-1][1]):
            return tried


@pytest.mark.parametrize("first", [1e-5, 3e-4, 1e-2])
@pytest.mark.parametrize("quality", [35.0, 60.0, 78.0])
def test_a_score_is_met_from_above(first, quality):
    value, tried = followed(
        ScoreRates(quality, first), lambda rate: 85 - 60 * (rate / 1e-2) ** 0.4 / (1 + rate)
    )
    assert quality <= value <= quality + 0.3
    assert tried <= 10


@pytest.mark.parametrize("score", [0.0, 100.0])
def test_a_score_that_never_changes_ends_the_search(score):
    rates = ScoreRates(50.0)
    assert followed(rates, lambda rate: score)[1] <= 10
    assert (rates.within == 0) == (score < 50)


@pytest.mark.parametrize("first", [1e-5, 4e-5, 3e-4, 1e-2])
@pytest.mark.parametrize("quality", [60.0, 64.7, 71.0])
def test_a_jump_of_the_score_is_enclosed_without_trials_of_nearly_the_same_rate(first, quality):
    rates = ScoreRates(quality, first)
    logs = np.sort(np.log([rate for rate, _ in trials(rates, lambda r: 80 if r < 2e-4 else 50)]))
    assert len(logs) <= 10
    assert rates.beyond is not None
    assert rates.within < 2e-4 <= rates.beyond < 1.06 * rates.within
    assert np.diff(logs).min() >= 0.0099


@pytest.mark.parametrize("first", [1e-5, 1.1e-3])
def test_a_score_that_is_out_of_reach_at_any_rate_is_soon_known_to_be(first):
    rates = ScoreRates(64.7, first)
    assert len(trials(rates, lambda rate: 63.9 - 5e3 * rate)) <= 5
    assert not rates.within
    assert rates.beyond == 1e-6


@pytest.mark.parametrize("first", [1e-5, 3e-4, 1e-2])
def test_a_size_is_met_from_below(first):
    value, tried = followed(
        Rates(20_000, first), lambda rate: round(30_000 / (1 + math.log1p(rate * 1e4) / 4))
    )
    assert 19_600 <= value <= 20_000
    assert tried <= 12


def test_a_size_that_cannot_be_met_ends_at_the_highest_rate():
    rates = Rates(10)
    assert followed(rates, lambda rate: 100)[0] == 100
    assert rates.rate == MOST_RATE or rates.below is None
