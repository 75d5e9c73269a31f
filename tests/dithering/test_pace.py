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
    found = [Pace(time_budget=b).after_trial(0.1, 1 << 14, 256) for b in (0, 0.1, 1, 4, 100)]
    places = [PLANS.index(each.plan) for each in found]
    assert places == sorted(places, reverse=True)
    assert places[0] == places[1] == len(PLANS) - 1
    assert 0 < places[3] < places[2] < places[1]
    assert places[-1] == 0
    assert pace.after_trial(0.1, 1 << 14, 256).deadline("search") == pace.deadline("search")


def test_with_many_colours_less_is_tried_and_annealed_and_more_is_tried_for_large_pictures():
    assert [PLANS[-1].trials_for(16, n << 20) for n in (0, 1, 2, 3, 9)] == [2, 2, 3, 4, 4]
    assert [PLANS[-1].for_picture(1 << n).tries for n in (18, 20)] == [0, PLANS[-1].tries]
    for plan in PLANS:
        assert plan is PLANS[-1] or plan.for_picture(1) == plan
        assert plan.steps_for(2) == plan.steps_for(8) == plan.steps
        assert plan.trials_for(2) == plan.trials_for(16) == plan.trials
        for few, many in ((16, 64), (64, 256)):
            assert 2 <= plan.steps_for(many) <= plan.steps_for(few) <= plan.steps
            assert 1 <= plan.trials_for(many) <= plan.trials_for(few) <= plan.trials
    assert PLANS[0].steps_for(256) < PLANS[0].steps
    assert PLANS[0].trials_for(256) < PLANS[0].trials
