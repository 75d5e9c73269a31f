"""How much work is done."""

import itertools
import time

import pytest

from fastgrad.dithering.pace import PLANS, Pace


def test_a_faster_speed_does_no_more_of_anything():
    assert len(PLANS) == 10
    for slower, faster in itertools.pairwise(PLANS):
        assert all(a >= b for a, b in zip(slower, faster))
        assert slower != faster
    assert Pace().plan == Pace(4).plan == PLANS[3]


def test_a_budget_is_shared_out():
    pace = Pace(time_budget=100.0)
    assert pace.plan == PLANS[0]
    assert pace.deadline("search") == pytest.approx(pace.began + 100)
    assert pace.deadline("palette") < pace.deadline("annealing") < pace.deadline("rounds")
    assert not pace.late("search")
    assert pace.late("search", 101)
    assert Pace(time_budget=0).late("palette")
    assert not Pace(1).late("search", 1e9)
    assert pace.began <= time.perf_counter()
