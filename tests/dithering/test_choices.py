"""Which numbers of colours and strengths are tried, and what is expected of them."""

import math

import pytest

from fastgrad.dithering.choices import TRIALS, Choice, Trade, climb


def test_climbing_finds_the_top_of_a_hill():
    asked = []

    def merit(choice):
        asked.append(choice)
        return -abs(choice.colors - 6) - 2 * abs(choice.strength - 2)

    assert climb(merit, Choice(4, 1), range(8), range(3)) == Choice(6, 2)
    assert len(asked) == len(set(asked)) <= TRIALS


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
