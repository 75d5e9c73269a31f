"""Which numbers of colours and strengths are tried, and what is expected of them."""

import math

import numpy as np
import pytest

from fastgrad.dithering.choices import FINER, TRIALS, Choice, Trade, climb, scores


def test_climbing_finds_the_top_of_a_hill():
    asked = []

    def merit(choice):
        asked.append(choice)
        return -abs(choice.colors - 6) - 2 * abs(choice.strength - 2)

    assert climb(merit, Choice(4, 1), range(8), range(3)) == Choice(6, 2)
    assert len(asked) == len(set(asked)) <= TRIALS


def test_a_step_that_was_good_is_taken_again():
    asked = []

    def merit(choice):
        asked.append(choice)
        return -choice.colors - choice.strength

    assert climb(merit, Choice(6, 0), range(8), range(3)) == Choice(0, 0)
    assert asked[3:] == [Choice(n, 0) for n in (5, 4, 3, 2, 1, 0)]


def test_finer_strides_look_for_colours_between():
    asked = []

    def merit(choice):
        asked.append(choice)
        return -abs(choice.colors - 7) - choice.strength

    assert climb(merit, Choice(4, 0), range(15), range(3), (2, 1)) == Choice(7, 0)
    assert all(choice.colors % 2 == 0 for choice in asked[:-1])
    assert len(asked) == len(set(asked)) <= TRIALS + FINER


def test_climbing_stays_where_nothing_else_is():
    assert climb(lambda choice: 1.0, Choice(0, 0), range(1), range(1)) == Choice(0, 0)


def test_more_colours_and_less_grain_are_one_step():
    good = {Choice(3, 0): 1.0, Choice(4, 1): 2.0}
    assert climb(lambda choice: good.get(choice, 0.0), Choice(3, 0), range(8), range(3)) == (4, 1)


@pytest.mark.parametrize("rated", [(8000, 76.0), (10_000, 80.0), (10_500, 79.0)])
def test_more_bytes_never_score_less(rated):
    trade = Trade((10_000, 80.0), rated)
    scores = [trade.score_at(size) for size in range(2000, 12_000, 100)]
    assert scores == sorted(scores)
    assert scores[-1] == 80
    sizes = [trade.bytes_at(score) for score in range(20, 81)]
    assert sizes == sorted(sizes)
    assert sizes[-1] < math.inf
    assert trade.bytes_at(80.5) == math.inf


def test_bytes_and_scores_are_two_sides_of_one_curve():
    trade = Trade((10_000, 80.0), (8000, 76.0))
    for size in (9000, 8000, 6000, 4000):
        assert trade.bytes_at(trade.score_at(size)) == pytest.approx(size)
    # Beyond what is known, a byte costs more and more.
    steps = np.diff([trade.score_at(8000 * 0.9**i) for i in range(6)])
    assert (np.diff(steps) < 0).all()


def test_greys_score_more_than_colours():
    grey = np.zeros((2, 3, 3), np.uint8)
    assert scores(grey) == scores(grey[..., 0])
    assert (np.array(scores(grey)) > scores(grey + np.uint8([0, 0, 1]))).all()
