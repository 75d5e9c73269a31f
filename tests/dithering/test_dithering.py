"""Dithering as a whole, and how its quality is measured."""

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import fastgrad
from fastgrad import dithering
from fastgrad.dithering import Viewing, dither, pace
from fastgrad.dithering.eye import colour
from fastgrad.dithering.metrics.psnr_and_ssim import psnr
from fastgrad.dithering.metrics.s_cielab_and_flip import flip, s_cielab
from fastgrad.dithering.metrics.structure import cssim
from fastgrad.dithering.optimiser import annealing, flat, search, start
from fastgrad.dithering.pictures import images, other_tools
from fastgrad.objectives import objective

PHOTOGRAPH = Path(fastgrad.__file__).parent / "data" / "astronaut.jpg"


@pytest.fixture(scope="module")
def photograph():
    pytest.importorskip("PIL")
    (frame,) = images.Picture(PHOTOGRAPH).frames()
    return frame.values


@pytest.mark.parametrize("colors", [2, 16])
def test_beats_error_diffusion(photograph, colors):
    image = photograph[:128, 130:258]
    rival = other_tools.pillow(image, colors)
    ours = dither(image, colors=colors, space="linear").image
    for sigma in (1.0, 1.5):
        assert psnr(ours, image, sigma=sigma) > psnr(rival, image, sigma=sigma) + 2
    ours = dither(image, colors=colors).image
    for judge in (s_cielab, flip):
        assert judge(ours, image) < 0.85 * judge(rival, image)


def test_threads_do_not_change_the_picture(photograph):
    values = photograph[:160, :200]
    pictures = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        pictures.append(dither(values, colors=8, rng=5))
    assert pictures[0].loss == pictures[1].loss
    np.testing.assert_array_equal(pictures[0].image, pictures[1].image)
    other = dither(values, colors=8, rng=6)
    assert np.any(other.image != pictures[0].image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (3, 200), (64, 64)])
@pytest.mark.parametrize("colors", [2, 3, 256])
def test_any_shape_and_any_number_of_colours(shape, colors):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    result = dither(image, colors=colors, speed=7)
    assert result.indices.shape == shape
    assert result.indices.dtype == result.palette.dtype == np.uint8
    assert result.palette.shape == (colors, 3)
    assert np.isfinite(result.loss).all()
    if image[..., 0].size <= colors:
        np.testing.assert_array_equal(result.image, image)


def test_few_colours_are_kept_exactly():
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 256, (9, 3)).astype(np.uint8)
    image = colours[rng.integers(0, 9, (90, 70))]
    result = dither(image, colors=9)
    np.testing.assert_array_equal(result.image, image)
    assert result.loss[-1] == 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colors", [150, 256])
def test_a_picture_that_leaves_no_choice_is_not_searched(monkeypatch, channels, colors):
    levels = np.tile(np.arange(200, dtype=np.uint8), (40, 1))
    image = levels if channels == 1 else np.stack([levels, levels, 255 - levels], axis=2)
    monkeypatch.setattr(search.Search, "sweep", None)
    result = dither(image, colors=colors)
    off = abs(result.image - np.reshape(image, (40, 200, -1)).astype(int)).max()
    assert off == (colors < 200)
    assert result.loss[-1] == pytest.approx(0, abs=1e-5)


def test_no_pixel_of_a_drawing_is_far_off(monkeypatch):
    """One that swaps places with the one before it, sweep after sweep, was never looked at."""
    monkeypatch.setattr(flat, "shaded", lambda image, some: np.empty(0, int))  # else it has grain
    y, x = np.mgrid[:200, :280]
    far = np.hypot(x - 84, y - 80)[..., None] / 280
    image = np.clip(np.array([250, 180, 70]) * (1 - far) + np.array([120, 20, 90]) * far, 0, 255)
    image[150:] = 30, 22, 54
    image[20:70, 19:92] = 60, 180, 170
    image[160:170, ::7] = 255, 240, 220
    image = np.rint(image).astype(np.uint8)
    result = dither(image, colors=16)
    assert abs(result.image - image.astype(int)).max() < 20  # was 141


def test_grey_and_float_images():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    result = dither(ramp, colors=4)
    same = dither(np.repeat(ramp[..., None], 3, axis=2), colors=4)
    np.testing.assert_array_equal(result.image, same.image)
    near = dither(ramp / 255, colors=4)
    assert near.loss[-1] == pytest.approx(result.loss[-1], rel=0.2)
    assert not np.ptp(result.palette.astype(int), axis=1).any()
    assert psnr(result.image, np.repeat(ramp[..., None], 3, axis=2), sigma=2) > 30


def test_flat_grey_between_black_and_white_has_the_right_mean():
    image = np.full((64, 64), 188, np.uint8)  # half in linear light
    result = dither(image, palette=np.uint8([[0, 0, 0], [255, 255, 255]]))
    assert result.indices.mean() == pytest.approx(colour.to_linear(image)[0, 0], abs=0.01)


def test_a_fixed_palette_stays():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    fixed = np.uint8([[0, 0, 0], [255, 0, 0], [255, 255, 255]])
    result = dither(image, palette=fixed)
    np.testing.assert_array_equal(result.palette, fixed)
    assert set(np.unique(result.indices)) <= {0, 1, 2}


def test_locked_colours_come_first_and_others_are_learned(photograph):
    values = photograph[:80, :100]
    given = np.uint8([[255, 0, 255], [0, 0, 0]])
    result = dither(values, colors=6, palette=given, lock_colors=True)
    np.testing.assert_array_equal(result.palette[:2], given)
    assert result.palette.shape == (6, 3)
    assert result.loss[-1] < 0.5 * dither(values, palette=given).loss[-1]


@pytest.mark.parametrize(
    "options",
    [{"space": name} for name in ("srgb", "oklab", "opponent")] + [{"ppd": 40}, {"sigma": 2.5}],
)
def test_every_space_and_blur_gives_a_good_picture(photograph, options):
    values = photograph[:128, 130:258]
    result = dither(values, colors=16, **options)
    assert s_cielab(result.image, values) < 0.8 * s_cielab(other_tools.pillow(values, 16), values)
    assert result.metrics["colors"] <= 16
    assert result.metrics["blurred_psnr"] > result.metrics["psnr"]
    np.testing.assert_array_equal(result.image, dither(values, colors=16, **options).image)


def test_metrics_are_those_of_the_picture(photograph):
    values = photograph[:60, :70]
    result = dither(values, colors=5, sigma=0.0, space="linear")
    expected = psnr(result.image, values)
    assert result.metrics["psnr"] == pytest.approx(expected, abs=1e-3)
    assert result.metrics["blurred_psnr"] == pytest.approx(expected, abs=1e-3)
    assert result.metrics["colors"] == len(np.unique(result.indices))


def test_pixels_outside_the_mask_do_not_count(photograph):
    values = photograph[:90, :100]
    mask = np.zeros((90, 100), bool)
    mask[20:70, 30:80] = True
    other = np.where(mask[..., None], values, 77)
    first, second = (dither(image, colors=4, weights=mask) for image in (values, other))
    np.testing.assert_array_equal(first.palette, second.palette)
    np.testing.assert_array_equal(first.indices[mask], second.indices[mask])
    assert first.loss[-1] == second.loss[-1]
    nothing = dither(values, colors=4, weights=np.zeros((90, 100)))
    assert nothing.loss[-1] == 0


def test_a_frame_stays_like_the_previous_one(photograph):
    values = photograph[:96, :120].astype(int)
    noise = np.random.default_rng(0).integers(-3, 4, values.shape)
    first = dither(values.astype(np.uint8), colors=8)
    frame = np.clip(values + noise, 0, 255).astype(np.uint8)
    free = dither(frame, palette=first.palette)
    near = dither(frame, palette=first.palette, previous=first)
    changed = [np.mean(result.indices != first.indices) for result in (free, near)]
    assert changed[1] < 0.2 * changed[0]
    assert near.loss[-1] < 1.2 * free.loss[-1]
    moved = frame[:, ::-1]  # where the picture is another, it is dithered anew
    assert dither(moved, palette=first.palette, previous=first).loss[-1] < 1.6 * free.loss[-1]


def test_pixels_may_have_their_own_rewards(photograph):
    values = photograph[:96, :120]
    first = dither(values, colors=8)
    noise = np.random.default_rng(0).integers(-3, 4, values.shape)
    frame = np.clip(values + noise, 0, 255).astype(np.uint8)
    options = {"palette": first.palette, "previous": first}
    half = np.zeros((96, 120))
    half[:, 60:] = 0.1
    none, both, mixed = (dither(frame, flicker=f, **options) for f in (0, 0.1, half))
    kept = [result.indices == first.indices for result in (none, both, mixed)]
    changed = [1 - np.mean(same[:, 68:]) for same in kept]
    assert changed[2] < 1.5 * changed[1] < changed[0]
    changed = [1 - np.mean(same[:, :52]) for same in kept]
    assert changed[2] > 1.5 * changed[1]
    same = dither(frame, flicker=np.full((96, 120), 0.1), **options)
    np.testing.assert_array_equal(same.indices, both.indices)


@pytest.mark.parametrize("real", [False, True])
def test_an_exact_colour_wins_over_the_previous_one(real):
    palette = np.uint8([[60, 60, 70], [64, 62, 70], [255, 255, 255], [0, 0, 0]])
    right = np.zeros((24, 64), np.uint8)
    right[:2] = 2
    right[8:14, 20:28] = 1
    before = np.roll(right, 6, axis=1)
    image = palette[right] / np.float32(255) if real else palette[right]
    result = dither(image, palette=palette, previous=before)
    np.testing.assert_array_equal(result.indices, right)


def test_a_time_budget_is_used_up(photograph, monkeypatch):
    """By a clock that stands still but for the work that is done."""
    values, clock = photograph[:128, :128], [0.0]

    def timed(owner, name, seconds):
        work = getattr(owner, name)

        def slow(self, *args, **options):
            clock[0] += seconds
            return work(self, *args, **options)

        monkeypatch.setattr(owner, name, slow)

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    timed(annealing.Annealing, "step", 0.03)
    timed(search.Search, "sweep", 0.01)
    timed(search.Search, "recolor", 0.004)
    results = {}
    for budget in (0.0, 0.7, 2.0):
        clock[0] = 0.0
        results[budget] = dither(values, colors=8, time_budget=budget)
        assert not budget or 0.9 * budget <= clock[0] <= budget
    losses = [result.loss[-1] for result in results.values()]
    assert losses == sorted(losses, reverse=True)
    assert len(results[0.0].loss) < len(results[2.0].loss)


def test_a_slower_speed_is_better(photograph):
    values = photograph[:128, :128]
    results = [dither(values, speed=speed) for speed in (10, 4, 1)]
    lengths = [len(result.loss) for result in results]
    assert lengths == sorted(set(lengths))
    # Palettes are chosen by what is seen, of which the loss is a part.
    errors = [flip(result.image, values) for result in results]
    assert errors == sorted(set(errors), reverse=True)
    assert dither(values).loss == results[1].loss


def test_a_palette_is_learned_on_a_part_of_a_large_picture(photograph, monkeypatch):
    values = photograph[:128, :160]
    whole = dither(values, colors=6)
    plans = [plan._replace(part=1 << 13) for plan in pace.PLANS]
    monkeypatch.setattr(pace, "PLANS", plans)
    part = dither(values, colors=6)
    assert part.indices.shape == (128, 160)
    assert part.loss[-1] < 1.1 * whole.loss[-1]
    plan = plans[pace.DEFAULT - 1]
    assert len(part.loss) <= 1 + plan.steps + plan.rounds + plan.whole + plan.sweeps


def test_large_pictures_need_bounded_memory():
    """Peak beside the image at most 110 bytes a pixel: under 2 GB for 18 megapixels."""
    code = """if True:
        import resource, numpy as np
        from fastgrad.dithering import dither
        palette = np.uint8([[0, 0, 0], [255, 255, 255], [255, 0, 0]])
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        rows = np.random.default_rng(0).integers(0, 256, (40, 1000, 3)).astype(np.uint8)
        for arguments in ({"palette": palette}, {"colors": 4}):
            dither(rows, speed=9, **arguments)
        image = np.tile(rows, (30, 1, 1))
        before = peak()
        for arguments in ({"palette": palette}, {"colors": 4}):
            dither(image, speed=9, **arguments)
        print((peak() - before) / (image.size / 3))
    """
    pytest.importorskip("resource")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert float(run.stdout) < 110, run.stdout + run.stderr


def test_callback_sees_progress_and_can_take_a_snapshot(photograph):
    values, seen, snapshots = photograph[:64, :64], [], []

    def callback(progress):
        seen.append((progress.step, progress.steps, progress.loss))
        if progress.step in (1, 15, 20):
            snapshots.append(progress.snapshot())

    watched = dither(values, colors=4, speed=4, callback=callback)
    alone = dither(values, colors=4, speed=4)
    assert [step for step, _, _ in seen] == list(range(1, len(seen) + 1))
    assert len(watched.loss) == len(seen) <= seen[0][1]
    assert all(np.isfinite(loss) for _, _, loss in seen)
    np.testing.assert_array_equal(watched.image, alone.image)
    assert watched.loss == alone.loss
    assert [s.indices.shape for s in snapshots] == [(64, 64)] * 3
    assert snapshots[1].loss[-1] < 5 * watched.loss[-1]


@pytest.mark.parametrize(
    "options",
    [{"colors": 5, "speed": 9}, {"palette": np.uint8([[0, 0, 0], [255, 255, 255], [90, 30, 20]])}],
)
def test_there_is_a_picture_before_the_first_palette_is_chosen(photograph, options, monkeypatch):
    """An interrupt while palettes are tried out finds one, and it is better than nothing."""
    values, seen = photograph[:64, :64], []

    def callback(progress):
        seen.append(progress)
        raise KeyboardInterrupt

    def best(trials, deadline):
        pytest.fail("a palette was chosen")

    monkeypatch.setattr(start.Trials, "best", best)
    with pytest.raises(KeyboardInterrupt):
        dither(values, callback=callback, **options)
    monkeypatch.undo()
    (first,) = seen
    assert first.step == 1
    early, whole = first.snapshot(), dither(values, **options)
    assert early.indices.shape == (64, 64)
    assert early.palette.shape == whole.palette.shape
    assert whole.loss[-1] <= early.loss[-1] < 8 * whole.loss[-1]
    assert early.loss[-1] < first.loss


def test_viewing_conditions_are_one_value():
    """Its fields are the options of `dither` that concern the eye, with the same defaults."""
    options = inspect.signature(dither).parameters
    for field in dataclasses.fields(Viewing):
        own = field.name == "sigma"  # of presets
        expected = None if own else field.default
        assert options[field.name].default == expected
    assert Viewing().settled(16, learned=False) == Viewing("opponent", nu=0.05, local_weights=True)
    assert Viewing("srgb").settled(4).nu == 0.0275
    given = Viewing("oklab", 2.0, 40.0, 0.5, True)
    assert given.settled(2) == given


def test_only_public_names_are_listed():
    assert dir(dithering) == sorted(dithering.__all__)
    assert all(getattr(dithering, name).__doc__ for name in dithering.__all__)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"image": np.zeros((4, 4, 5), np.uint8)}, ValueError, "image must have shape"),
        ({"image": np.zeros((0, 4, 3), np.uint8)}, ValueError, "image must have shape"),
        ({"image": np.full((4, 4), 256)}, ValueError, "image must be from 0 to 255, got 256"),
        ({"image": np.full((4, 4), -1)}, ValueError, "image must be from 0 to 255, got -1"),
        ({"image": np.zeros((4, 4), complex)}, TypeError, "image must hold numbers, got dtype com"),
        ({"image": np.full((4, 4), 2.0)}, ValueError, "image must be from 0 to 1 .* got 2.0"),
        ({"image": np.full((4, 4), np.nan)}, ValueError, "image must be from 0 to 1 .* got nan"),
        ({"colors": 1}, ValueError, "colors must be from 2 to 256, got 1"),
        ({"colors": 257}, ValueError, "colors must be from 2 to 256, got 257"),
        ({"colors": 2.5}, TypeError, "colors must be an integer"),
        ({"speed": 0}, ValueError, "speed must be from 1 to 10, got 0"),
        ({"speed": 11}, ValueError, "speed must be from 1 to 10, got 11"),
        ({"speed": 2.5}, TypeError, "speed must be an integer"),
        ({"sigma": 9}, ValueError, "sigma must be from 0 to 8, got 9"),
        ({"nu": -1}, ValueError, r"nu must be from 0 to 1e\+09, got -1"),
        ({"nu": 10**400}, ValueError, r"nu must be from 0 to 1e\+09, got 2\*\*1329 or so"),
        ({"nu": np.nan}, ValueError, r"nu must be from 0 to 1e\+09, got nan"),
        ({"nu": np.array([1])}, TypeError, r"nu must be a number, got array\(\[1\]\)"),
        ({"sigma": np.array([1])}, TypeError, "sigma must be a number"),
        ({"sigma": True}, TypeError, "sigma must be a number, got True"),
        ({"ppd": "40"}, TypeError, "ppd must be a number, got '40'"),
        ({"local_weights": np.ones(2)}, ValueError, "local_weights must be one of None, True"),
        ({"lock_colors": np.ones(2)}, ValueError, "lock_colors must be one of False, True"),
        ({"image": [[1], [1, 2]]}, ValueError, "image must be an array"),
        ({"palette": [[1, 2, 3], [1, 2]]}, ValueError, "palette must be an array"),
        ({"palette": np.zeros((3, 3))}, TypeError, "palette must be uint8"),
        ({"palette": np.zeros((1, 3), np.uint8)}, ValueError, "palette must have shape"),
        ({"lock_colors": True}, ValueError, "palette must be given with lock_colors, got None"),
        (
            {"palette": np.zeros((9, 3), np.uint8), "lock_colors": True, "colors": 8},
            ValueError,
            "colors must be more than the 9 of palette, got 8",
        ),
        ({"space": "lab"}, ValueError, "space must be one of"),
        ({"ppd": 0}, ValueError, "ppd must be from 1 to 200, got 0"),
        (
            {"weights": np.full((4, 4), 1e-9)},
            ValueError,
            "weights must be at least 1e-06 .*, got 1e-09",
        ),
        (
            {"weights": np.full((4, 4), np.nan)},
            ValueError,
            r"weights must be from 0 to 1e\+06, got nan",
        ),
        ({"weights": np.full((4, 4), -1)}, ValueError, r"weights must be from 0 to 1e\+06, got -1"),
        ({"weights": np.zeros((4, 5), bool)}, ValueError, r"weights must have shape \(4, 4\), got"),
        ({"previous": np.zeros((4, 4), int)}, TypeError, "previous must be uint8"),
        (
            {"previous": np.full((4, 4), 16, np.uint8)},
            ValueError,
            "previous must be from 0 to 15, got 16",
        ),
        ({"flicker": -1}, ValueError, "flicker must be from 0 to"),
        ({"flicker": np.full((4, 4), -1.0)}, ValueError, r"flicker must be from 0 to 1e\+09, got"),
        ({"flicker": np.full((4, 4), np.nan)}, ValueError, "flicker must be from 0 to .*, got nan"),
        ({"flicker": np.ones((5, 4))}, ValueError, r"flicker must have shape \(4, 4\), got"),
        ({"flicker": np.full((4, 4), "x")}, TypeError, "flicker must be"),
        ({"time_budget": "1 s"}, TypeError, "time_budget must be a number"),
        ({"rng": "seed"}, TypeError, "rng"),
        ({"structure": -1}, ValueError, "structure must be from 0 to"),
        ({"structure": 0.1, "estimator": "relo"}, ValueError, "relo"),
        ({"structure": 0.1, "objective": 3}, TypeError, "objective must be an Objective or"),
        (
            {"structure": 0.1, "objective": objective(index=len), "estimator": "gumbel_softmax"},
            TypeError,
            "gumbel_softmax needs",
        ),
        # Options of which one would be ignored.
        (
            {"speed": 3, "time_budget": 1},
            ValueError,
            "speed must be None with a time_budget",
        ),
        ({"estimator": "rloo"}, ValueError, "estimator must be None where structure is 0"),
        ({"objective": len}, ValueError, "objective must be None where structure is 0"),
        (
            {"colors": 3, "palette": np.zeros((3, 3), np.uint8)},
            ValueError,
            "colors must be None with a palette unless lock_colors is True, got 3",
        ),
    ],
)
def test_dither_refuses_bad_arguments(arguments, error, message):
    """At once: before there is anything to report."""

    def too_late(progress):
        pytest.fail("work began")

    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(error, match=message):
        dither(**{"image": image, "callback": too_late, **arguments})


def test_s_cielab_sees_a_fine_pattern_as_its_mean_in_linear_light():
    board = np.indices((96, 96)).sum(axis=0) % 2
    pattern = np.repeat(board[..., None], 3, axis=2).astype(float)
    linear_mean = np.full(pattern.shape, colour.encode(np.array(0.5)))
    assert s_cielab(pattern, pattern) == 0
    assert s_cielab(pattern, linear_mean, ppd=400) < 1 < s_cielab(pattern, linear_mean, ppd=8)
    assert s_cielab(pattern, np.full(pattern.shape, 0.5), ppd=200) > 10


def test_s_cielab_of_flat_pictures_is_the_colour_difference():
    skcolor = pytest.importorskip("skimage.color", reason="scikit-image judges")
    first, second = np.array([[[0.9, 0.2, 0.3]]]), np.array([[[0.1, 0.6, 0.2]]])
    expected = skcolor.deltaE_cie76(skcolor.rgb2lab(first), skcolor.rgb2lab(second)).item()
    flat = [np.tile(x, (20, 20, 1)) for x in (first, second)]
    assert s_cielab(*flat) == pytest.approx(expected, rel=1e-3)


def test_structure_raises_cssim_and_any_objective_is_weighed(photograph):
    values = photograph[200:264, 200:280]
    fixed = np.uint8([[0, 0, 0], [255, 255, 255]])
    plain = dither(values, palette=fixed)
    better = dither(values, palette=fixed, structure=0.3)
    f = cssim(values, fixed, space="linear")
    first, second = (f.index(d.indices[None].astype(np.int32)) for d in (plain, better))
    first, second = (np.ravel(x[0] if isinstance(x, tuple) else x)[0] for x in (first, second))
    assert second < first
    same = dither(
        values, palette=fixed, structure=0.3, objective=lambda p: cssim(values, p, space="linear")
    )
    np.testing.assert_array_equal(same.indices, better.indices)


@pytest.mark.parametrize("small", [1e-3, 1e-9, 1e-12, 1e-20, 1e-45])
@pytest.mark.parametrize("options", [{"palette": np.eye(3, dtype=np.uint8) * 255}, {"colors": 5}])
def test_pixels_that_hardly_count_get_colours_of_the_palette(small, options):
    image = np.random.default_rng(0).integers(0, 256, (60, 70, 3)).astype(np.uint8)
    weights = np.ones((60, 70))
    weights[::2] = small
    for local in (False, True):
        result = dither(image, weights=weights, local_weights=local, **options)
        assert result.indices.max() < len(result.palette)
        assert np.isfinite(result.loss).all()
