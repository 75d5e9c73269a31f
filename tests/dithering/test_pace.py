"""How much work is done."""

import itertools
import time

import numpy as np
import pytest

from fastgrad.dithering import dither
from fastgrad.dithering.optimiser.start import Trial
from fastgrad.dithering.pace import FIRST, LONGER, PLANS, SHARES, Pace


def test_a_faster_speed_does_no_more_of_anything():
    assert len(PLANS) == 10
    for slower, faster in itertools.pairwise(PLANS):
        assert all(a >= b for a, b in zip(slower, faster))
        assert slower != faster
    assert Pace().plan == Pace(4).plan == PLANS[3]


def test_few_colours_are_learned_from_a_part_alone_at_the_fastest():
    """So the whole picture is searched once; of more colours, or slower, also to fit them."""
    image = np.random.default_rng(0).integers(0, 256, (128, 160, 3), np.uint8)
    few, more = PLANS[-1].for_learned(4), PLANS[-1]
    for colors, plan in ((4, few), (8, more)):
        loss = dither(image, colors=colors, speed=10).loss
        assert len(loss) == plan.steps + plan.rounds + plan.whole + plan.sweeps + 1
    beside = {"palette": np.uint8([[9, 9, 9]]), "lock_colors": True}  # else greys are known
    loss = dither(image[..., 0], colors=4, speed=10, **beside).loss
    assert len(loss) == more.steps + more.rounds + more.whole + more.sweeps + 1
    assert few.whole == 0 < more.whole
    assert few.steps < more.steps
    assert PLANS[-2].for_learned(4) == PLANS[-2]
    assert Pace(time_budget=1).for_learned(2).plan == PLANS[0]


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
    trial = Trial(pixels=1 << 14, seconds=0.1, search=0.01)
    found = [Pace(time_budget=b).after_trial(trial, 1 << 17, 256) for b in (0, 0.1, 1, 4, 100)]
    parts = [each.plan.part for each in found]
    trials = [each.plan.trials for each in found]
    assert parts == sorted(parts)
    assert trials == sorted(trials)
    assert trials[0] == trials[1] == PLANS[-1].trials
    assert trials[1] < trials[2] < trials[3] < trials[4]
    assert found[-1].plan == PLANS[0]
    assert all(each.plan.sweeps == PLANS[0].sweeps for each in found)


def test_another_annealing_has_what_its_search_will_leave():
    """The first ends soon where a trial promises a short search, which says how long it takes."""
    budget = 100.0

    def first(search):
        trial = Trial(pixels=1 << 14, seconds=0.1, search=search)
        pace = Pace(time_budget=budget).after_trial(trial, 1 << 17, 16)
        assert pace.deadline("search") == pytest.approx(pace.began + budget)
        assert pace.deadline("annealing") < pace.deadline("rounds") < pace.deadline("search")
        return (pace.deadline("annealing") - pace.began) / budget

    assert [first(search) for search in (1e-4, 9.0)] == pytest.approx([FIRST, SHARES["annealing"]])
    pace, now = Pace(time_budget=budget), time.perf_counter()
    again = pace.again(now - 30, 10, now - 20)
    assert again.deadline("annealing") == pytest.approx(now + budget - 20 * LONGER, abs=1)
    assert pace.again(now - 110, 2, now - 80) is None  # 12 s for two steps of 15 s
    assert Pace().again(now - 30, 10, now - 20) is None


def test_with_few_or_many_colours_less_is_tried_and_more_for_large_pictures():
    assert [PLANS[-1].trials_for(16, n << 20) for n in (0, 1, 2, 3, 9)] == [2, 2, 3, 4, 4]
    assert [PLANS[-1].for_picture(1 << n).tries for n in (18, 20)] == [0, PLANS[-1].tries]
    for plan in PLANS:
        assert plan is PLANS[-1] or plan.for_picture(1) == plan
        assert plan.steps_for(2) == plan.steps_for(8) == plan.steps
        assert plan.trials_for(2) == plan.trials_for(16) == plan.trials
        assert 1 <= plan.kept_for(2) <= plan.kept_for(16) == plan.kept >= plan.kept_for(256)
        parts = [plan.of(plan.part, 1 << n, 16) for n in (10, 18, 20)]
        assert parts == sorted(parts)
        assert plan.of(plan.part, 1 << 18, 256) >= parts[1]
        for few, many in ((16, 64), (64, 256)):
            assert 2 <= plan.steps_for(many) <= plan.steps_for(few) <= plan.steps
            assert 1 <= plan.trials_for(many) <= plan.trials_for(few) <= plan.trials
    assert PLANS[0].steps_for(256) < PLANS[0].steps
    assert PLANS[0].trials_for(256) < PLANS[0].trials
