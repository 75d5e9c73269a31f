"""Pictures that are to be small: what a rate saves, and that a size is met."""

import os
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.choices import Choice, levels
from fastgrad.dithering.given import Given
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
from fastgrad.dithering.pictures import animation, images
from fastgrad.dithering.trials import Trials

PHOTOGRAPH = Path(fg.__file__).parent / "data" / "astronaut.jpg"
RNG = np.random.default_rng(0)
BW = np.uint8([[0, 0, 0], [255, 255, 255]])


@pytest.fixture(scope="module")
def photograph():
    pytest.importorskip("PIL")
    (frame,) = images.Picture(PHOTOGRAPH).frames()
    return np.ascontiguousarray(frame.values[:96, 130:258])


def bytes_of(result, ending=".png"):
    return len(animation.encode([result.indices], result.palette, result.opacity, ending=ending))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": -1}, "rate must be from 0 to 1000, got -1"),
        ({"rate": float("nan")}, "rate must be from 0 to 1000, got nan"),
        ({"rate": "low"}, "rate must be a number, got 'low'"),
        ({"quality": 101}, "quality must be from 0 to 100, got 101"),
        ({"quality": 9, "max_bytes": 9}, "max_bytes must be None with quality, got 9"),
        ({"quality": 9, "structure": 0.1}, "structure must be left out with quality, got 0.1"),
        ({"rate": 1e-4, "max_bytes": 9}, "rate must be None with max_bytes, got 0.0001"),
        ({"max_bytes": 0}, "max_bytes must be at least 1, got 0"),
        ({"max_bytes": 9.5}, "max_bytes must be an integer, got 9.5"),
        ({"ending": ".jpg"}, "ending must be one of '.png', '.gif', '.webp', got '.jpg'"),
        ({"rate": 1e-4, "structure": 0.1}, "structure must be left out with rate, got 0.1"),
        ({"max_bytes": 9, "time_budget": 1}, "time_budget must be left out with max_bytes, got 1"),
    ],
)
def test_what_is_wrong_is_refused_by_name(options, message):
    with pytest.raises((TypeError, ValueError)) as error:
        fg.dither(np.zeros((4, 4), np.uint8), **options)
    assert message in str(error.value)


def test_no_rate_is_no_change(photograph):
    plain, same = fg.dither(photograph, colors=8), fg.dither(photograph, colors=8, rate=0)
    np.testing.assert_array_equal(plain.indices, same.indices)
    assert "bytes" not in plain.metrics


def test_a_rate_saves_bytes(photograph):
    plain = fg.dither(photograph, colors=16)
    sizes, psnrs = [bytes_of(plain)], [plain.metrics["blurred_psnr"]]
    for rate in (1e-4, 1e-3):
        small = fg.dither(photograph, colors=16, rate=rate)
        assert small.metrics["bytes"] == bytes_of(small)
        assert len(small.palette) == small.metrics["colors"] == small.indices.max() + 1
        assert (np.diff(small.palette @ [0.2126, 0.7152, 0.0722]) > -20).all()
        sizes.append(bytes_of(small))
        psnrs.append(small.metrics["blurred_psnr"])
    assert sizes[1] < 0.97 * sizes[0]
    assert sizes[2] < 0.8 * sizes[0]
    assert psnrs[0] > psnrs[1] > psnrs[2] > psnrs[0] - 8
    again = fg.dither(photograph, colors=16, rate=1e-3)
    np.testing.assert_array_equal(small.indices, again.indices)


@pytest.mark.parametrize("ending", [".png", ".gif"])
def test_a_size_is_met(photograph, ending):
    most = 3000 if ending == ".png" else 3300
    result = fg.dither(photograph, colors=16, max_bytes=most, ending=ending, speed=8)
    assert 0.98 * most <= bytes_of(result, ending) <= most
    assert result.metrics["bytes"] == bytes_of(result, ending)


def test_a_gif_of_many_colours_is_made_of_strings(photograph):
    how = {"colors": 64, "nu": 0.3, "space": "oklab", "speed": 8}
    rows = fg.dither(photograph, rate=1e-3, ending=".webp", **how)
    strings = fg.dither(photograph, rate=6e-5, ending=".gif", **how)
    assert bytes_of(strings, ".gif") < 0.9 * bytes_of(rows, ".gif")
    assert strings.loss[-1] < rows.loss[-1]


def test_a_size_that_is_kept_anyway_changes_nothing(photograph):
    plain = fg.dither(photograph, colors=8, speed=8)
    result = fg.dither(photograph, colors=8, speed=8, max_bytes=10**6)
    np.testing.assert_array_equal(result.image, plain.image)


def test_a_size_chooses_the_number_of_colours(photograph):
    image = photograph[:64, :64]
    few = fg.dither(image, max_bytes=900, speed=10)
    many = fg.dither(image, max_bytes=2500, speed=10)
    assert bytes_of(few) <= 900
    assert 2450 <= bytes_of(many) <= 2500
    assert len(few.palette) < len(many.palette)


def test_an_impossible_size_is_refused(photograph):
    with pytest.raises(
        ValueError, match=r"max_bytes must be at least \d+ for this picture, got 80"
    ):
        fg.dither(photograph[:32, :32], max_bytes=80, colors=2, speed=10)


def test_given_colours_keep_their_places(photograph):
    result = fg.dither(photograph, palette=BW[::-1], rate=0.1)
    np.testing.assert_array_equal(result.palette, BW[::-1])
    assert bytes_of(result) < 0.9 * bytes_of(fg.dither(photograph, palette=BW[::-1]))
    locked = fg.dither(photograph, palette=BW, lock_colors=True, colors=8, rate=3e-4)
    np.testing.assert_array_equal(locked.palette[:2], BW)


def test_opacity_stays(photograph):
    alpha = np.full(photograph.shape[:2], 255, np.uint8)
    alpha[:20], alpha[20:30] = 0, 128
    leaf = np.dstack([photograph, alpha])
    result = fg.dither(leaf, colors=8, rate=3e-4)
    np.testing.assert_allclose(result.image[..., 3], alpha, atol=1)
    sized = fg.dither(leaf, max_bytes=4000, speed=9)
    assert bytes_of(sized) <= 4000


def test_soft_edges_are_charged_too(photograph):
    y, x = np.mgrid[:96, :128]
    alpha = np.clip((45 - np.hypot(x - 64, y - 48)) * 10, 0, 255).astype(np.uint8)
    leaf = np.dstack([photograph, alpha])
    plain, small = fg.dither(leaf, colors=16), fg.dither(leaf, colors=16, rate=0.03)
    assert small.metrics["bytes"] == bytes_of(small) < 0.9 * bytes_of(plain)
    most = int(0.8 * bytes_of(plain))
    assert 0.95 * most < bytes_of(fg.dither(leaf, colors=16, max_bytes=most)) <= most
    assert len(small.opacity) <= 16


def test_flat_colours_stay_flat():
    drawing = np.zeros((60, 80, 3), np.uint8)
    drawing[10:40, 20:60] = (200, 30, 40)
    drawing[50:] = np.tile(np.linspace(0, 255, 80).astype(np.uint8)[:, None], (10, 1, 3))
    result = fg.dither(drawing, colors=8, rate=3e-4)
    np.testing.assert_array_equal(result.image[:50], drawing[:50])


def test_pictures_whose_colours_are_dense_cost_bytes_too():
    y, x = np.mgrid[:32, :64]
    noise = np.random.default_rng(0).integers(0, 19, x.shape)
    grey = np.uint8(30 + 20 * (1 + np.sin(x / 3 + np.sin(y / 5))) + noise)
    near, small = (fg.dither(grey, colors=55, speed=10, rate=rate) for rate in (1e-9, 1e-3))
    assert abs(near.image.astype(int) - grey[..., None]).max() <= 1
    assert bytes_of(small) < 0.93 * bytes_of(near)


def test_frames_keep_what_stays(photograph):
    first = fg.dither(photograph, palette=BW, rate=1e-2)
    moved = photograph.copy()
    moved[:20] = 255 - moved[:20]
    second = fg.dither(moved, palette=BW, rate=1e-2, previous=first)
    alone = fg.dither(moved, palette=BW, rate=1e-2)
    kept = [(x.indices == first.indices)[40:].mean() for x in (second, alone)]
    assert kept[0] > max(kept[1], 0.97)


def test_a_file_has_the_bytes_that_are_told(photograph, tmp_path):
    result = fg.dither(photograph, colors=16, rate=1e-4, speed=9)
    result.save(tmp_path / "a.png")
    assert os.path.getsize(tmp_path / "a.png") == result.metrics["bytes"]


def test_a_quality_is_met_with_a_small_file(photograph):
    image = photograph[32:, 32:96]
    judge = Ssimulacra2(image)
    low, high = (fg.dither(image, quality=q, speed=10, colors=64) for q in (45, 50))
    for result, quality in ((low, 45), (high, 50)):
        assert judge.score(result.image) == pytest.approx(result.metrics["ssimulacra2"])
        assert quality <= result.metrics["ssimulacra2"]
        assert result.metrics["bytes"] == bytes_of(result)
    assert low.metrics["ssimulacra2"] < 47
    assert bytes_of(low) < bytes_of(high)


@pytest.mark.slow
def test_a_quality_chooses_the_number_of_colours(photograph):
    image = photograph[32:, 32:96]
    few, many = (fg.dither(image, quality=quality, speed=10) for quality in (5, 35))
    assert len(few.palette) < len(many.palette)
    assert 5 <= few.metrics["ssimulacra2"] < 20 < 35 <= many.metrics["ssimulacra2"]


def test_a_quality_keeps_what_is_given(photograph):
    image = photograph[:48, :48]
    result = fg.dither(image, palette=BW[::-1], quality=0, speed=10)
    np.testing.assert_array_equal(result.palette, BW[::-1])
    with pytest.raises(ValueError, match=r"quality must be at most .* for this picture, got 95"):
        fg.dither(image, colors=4, nu=0.05, quality=95, speed=10)


def test_a_quality_of_opacity(photograph):
    image = photograph[:64, :64]
    alpha = np.full(image.shape[:2], 255, np.uint8)
    alpha[:20] = 0
    keyed = fg.dither(np.dstack([image, alpha]), colors=32, quality=40, speed=10)
    assert keyed.metrics["ssimulacra2"] >= 40
    assert (keyed.image[..., 3] == alpha).all()
    y, x = np.mgrid[:64, :64]
    soft = np.clip((30 - np.hypot(x - 32, y - 32)) * 20, 0, 255).astype(np.uint8)
    leaf = np.dstack([image, soft])
    assert fg.dither(leaf, colors=32, quality=20).metrics["ssimulacra2"] >= 20
    with pytest.raises(ValueError, match="quality must be at most"):
        fg.dither(leaf, colors=4, quality=99)


def test_greys_at_equal_distances_are_small():
    y, x = np.mgrid[:64, :64]
    grey = np.uint8(128 + 60 * np.sin(x / 5 + np.sin(y / 3)) + 40 * np.sin(y / 7 + x / 2))
    noise = np.uint8(np.rint(128 + 25 * np.random.default_rng(0).standard_normal((64, 64))))
    for image, quality, equal in ((grey, 80, False), (noise, 90, True)):
        result = fg.dither(image, quality=quality, speed=10)
        apart = np.diff(np.sort(result.palette[:, 0].astype(int)))
        assert not equal or len(np.unique(apart)) <= 2
        learned = fg.dither(image, quality=quality, speed=10, nu=0.3, space="oklab")
        # That is among what is tried; without libdeflate the first picture is smallest so.
        assert result.metrics["bytes"] <= learned.metrics["bytes"]
        assert not equal or result.metrics["bytes"] < learned.metrics["bytes"]


def test_the_best_picture_within_a_size_may_leave_bytes():
    noise = np.random.default_rng(0).standard_normal((64, 64))
    image = np.uint8(np.rint(128 + 25 * noise))
    even, judge = levels(image, 64), Ssimulacra2(np.dstack([image] * 3))
    nearest = abs(image[..., None] - even[:, 0].astype(int)).argmin(axis=-1).astype(np.uint8)
    most = round(1.04 * len(animation.encode([nearest], even)))
    result = fg.dither(image, max_bytes=most, speed=10)
    assert bytes_of(result) <= most
    assert judge.score(result.image) >= judge.score(even[nearest]) - 0.01


def test_values_amid_two_greys_all_take_the_darker_one():
    noise = np.uint8(RNG.integers(60, 180, (32, 32)))
    result = fg.dither(noise, palette=levels(noise, 60), speed=10)
    np.testing.assert_array_equal(result.image[..., 0], noise - noise % 2)


def test_a_quality_that_only_a_quick_run_reaches_takes_that(photograph):
    class Run:
        exact = False

        def __init__(self, score):
            self.score = score

        def lower_to(self, quality, score_of):
            return self.score

        def result(self):
            return self.score

    full, quick = Run(69.0), Run(71.0)
    trials = Trials(Given(photograph[:8, :8]), None, lambda result: 1, None, [{}])
    trials._best = lambda place, merit, off: [Choice(8, 0)]
    trials._run = lambda choice, quick=False, runs=(full, quick): runs[quick]
    assert trials.of_quality(65.0) is full
    assert trials.of_quality(70.0) is quick


class Made:
    """A run whose picture has these bytes, and this score, if either is within what is asked."""

    exact = False

    def __init__(self, size, score):
        self.size, self.score = size, score

    def lower_to(self, quality, score_of):
        return self.score

    def fit_into(self, most, size_of):
        return self.size

    def at(self, rate):
        return Made(0.8 * self.size, self.score - 4)

    first = 1.0

    def result(self):
        return self


def trials_of(image, quick, full):
    """Trials of strengths 0, 1, 2, whose quick runs and full runs are these, by the strength."""
    trials = Trials(Given(image), None, lambda r: r.size, lambda r: r.score, [{}] * 3)
    asked = []

    made = {True: quick, False: full}

    def run(choice, *, quick=False):
        asked.append((choice, quick))
        size, score = made[quick][choice.strength]
        off = abs(choice.colors - 8)  # all other numbers of colours are worse
        return Made(round(size * (1 + off)), score)

    trials._run = run
    return trials, asked


def test_the_best_choices_by_quick_runs_are_made_in_full_and_compared(photograph):
    image = photograph[:8, :8]
    quick = {0: (1030, 70), 1: (1010, 70), 2: (1000, 70)}
    full = {0: (900, 70), 1: (950, 70), 2: (1000, 70)}
    trials, asked = trials_of(image, quick, full)
    assert trials.of_quality(69.0).size == 900
    assert {choice.strength for choice, quick in asked if not quick} == {0, 1, 2}
    trials, asked = trials_of(image, {**quick, 1: (1500, 70)}, full)
    assert trials.of_quality(69.0).size == 900
    assert {choice.strength for choice, quick in asked if not quick} == {0, 2}


def test_the_best_picture_within_a_size_is_one_of_those_made_in_full(photograph):
    image = photograph[:8, :8]
    quick = {0: (1000, 69), 1: (1000, 70), 2: (1000, 69.5)}
    full = {0: (1000, 72), 1: (1000, 70), 2: (1200, 75)}
    trials, asked = trials_of(image, quick, full)
    assert trials.within(1010).score == 72
    assert {choice.strength for choice, quick in asked if not quick} == {0, 1, 2}
    full[0] = 1100, 72
    assert trials_of(image, quick, full)[0].within(1010).score == 70
