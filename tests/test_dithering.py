"""The dithering application: its loss against enumeration, its parts against NumPy and SciPy."""

from pathlib import Path

import numba
import numpy as np
import pytest
import reference_dithering as reference
from scipy import ndimage, stats

import fastgrad
from fastgrad.dithering import BlurredError, annealing, blur, colour, dither, files, palette, start
from fastgrad.dithering.quality import psnr, s_cielab

PHOTOGRAPH = Path(fastgrad.__file__).parent / "data" / "astronaut.jpg"


@pytest.fixture(scope="module")
def photograph():
    pytest.importorskip("PIL")
    return files.read(PHOTOGRAPH)


def problem(seed=0, height=2, width=3, colors=3, dtype=np.float64):
    rng = np.random.default_rng(seed)
    image = rng.random((height, width, 3)).astype(dtype)
    logits = (2 * rng.standard_normal((height, width, colors))).astype(dtype)
    return image, logits, rng.random((colors, 3)).astype(dtype)


# -- colour and blur -----------------------------------------------------------------------------


def test_every_8_bit_value_survives_linear_light():
    values = np.arange(256, dtype=np.uint8)
    linear = colour.to_linear(values)
    np.testing.assert_array_equal(colour.to_srgb(linear), values)
    assert np.all(np.diff(linear) > 0)
    np.testing.assert_allclose(colour.to_linear(values / 255), linear, rtol=1e-6)


@pytest.mark.parametrize("sigma", [0.0, 0.4, 1.0, 1.5, 2.3])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 2), (40, 33)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_convolve_is_scipys_gaussian_filter(sigma, shape, dtype):
    planes = np.random.default_rng(0).random((2, *shape)).astype(dtype)
    result = blur.convolve(planes, blur.gaussian(sigma))
    expected = ndimage.gaussian_filter(
        planes.astype(np.float64), (0, sigma, sigma), mode="constant", truncate=3
    )
    assert result.dtype == dtype
    np.testing.assert_allclose(result, expected, atol=1e-6 if dtype == np.float32 else 1e-14)


def test_autocorrelation_is_two_blurs():
    taps = blur.gaussian(1.2)
    plane = np.zeros((1, 40, 40))
    plane[0, 20, 20] = 1
    twice = blur.convolve(blur.convolve(plane, taps), taps)
    np.testing.assert_allclose(blur.convolve(plane, blur.autocorrelation(taps)), twice, atol=1e-16)


# -- the loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sigma", "nu"), [(1.0, 0.03), (0.0, 0.2), (0.6, 0.0), (2.0, 0.1)])
def test_expected_loss_is_the_mean_over_all_pictures(sigma, nu):
    image, logits, colours = problem()
    logits[0, 1, 2] = -np.inf
    loss = BlurredError(image, sigma=sigma, nu=nu)
    expected = reference.expected_loss(logits, colours, image, sigma, nu)
    assert loss.expected(logits, colours) == pytest.approx(expected, rel=1e-12)
    labels = np.array([[0, 1, 2], [2, 2, 0]])
    expected = reference.loss(colours[labels], image, sigma, nu)
    assert loss.of(labels, colours) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("height", "width", "colors"), [(2, 3, 3), (1, 1, 2), (5, 4, 17)])
def test_gradient_is_that_of_finite_differences(height, width, colors):
    image, logits, colours = problem(1, height, width, colors)
    loss = BlurredError(image, sigma=0.8, nu=0.05)
    value, by_logits, by_palette = loss.gradient(logits, colours)
    assert value == pytest.approx(loss.expected(logits, colours), rel=1e-14)
    numerical = reference.numerical_gradient(lambda x: loss.expected(x, colours), logits)
    np.testing.assert_allclose(by_logits, numerical, rtol=1e-6, atol=1e-9)
    numerical = reference.numerical_gradient(lambda c: loss.expected(logits, c), colours)
    np.testing.assert_allclose(by_palette, numerical, rtol=1e-6, atol=1e-9)


def test_gradient_of_masked_and_extreme_logits_is_finite():
    image, logits, colours = problem(2)
    logits[0, 0, 0] = -np.inf
    logits[0, 1] = [1e4, -1e4, 0]
    logits[1, 2] = [-np.inf, 3, -np.inf]
    value, by_logits, by_palette = BlurredError(image).gradient(logits, colours)
    assert np.isfinite(value)
    assert np.isfinite(by_palette).all()
    np.testing.assert_allclose(by_logits.sum(axis=-1), 0, atol=1e-15)
    assert by_logits[0, 0, 0] == 0
    assert not by_logits[0, 1].any()
    assert not by_logits[1, 2].any()


def test_float32_agrees_with_float64():
    image, logits, colours = problem(3, 30, 150, 16)
    exact = BlurredError(image).gradient(logits, colours)
    image, logits, colours = (a.astype(np.float32) for a in (image, logits, colours))
    value, by_logits, by_palette = BlurredError(image).gradient(logits, colours)
    assert by_logits.dtype == by_palette.dtype == np.float32
    assert value == pytest.approx(exact.value, rel=1e-5)
    np.testing.assert_allclose(by_logits, exact.logits, atol=1e-5 * np.abs(exact.logits).max())
    np.testing.assert_allclose(by_palette, exact.palette, atol=1e-5 * np.abs(exact.palette).max())


def test_loss_refuses_bad_arguments():
    image, logits, colours = problem()
    with pytest.raises(ValueError, match="sigma must be between 0 and 8 pixels, not -1"):
        BlurredError(image, sigma=-1)
    with pytest.raises(ValueError, match="nu must be finite"):
        BlurredError(image, nu=np.nan)
    with pytest.raises(ValueError, match="image must have shape"):
        BlurredError(image[..., 0])
    with pytest.raises(TypeError, match="float32 or float64, not int64"):
        BlurredError(np.zeros((2, 2, 3), np.int64))
    loss = BlurredError(image)
    with pytest.raises(ValueError, match=r"logits must have shape \(2, 3, 2\)"):
        loss.expected(logits, colours[:2])
    with pytest.raises(ValueError, match="palette must have shape"):
        loss.expected(logits, colours[:, :2])
    for bad in (np.nan, np.inf):
        broken = logits.copy()
        broken[1, 1, 1] = bad
        with pytest.raises(ValueError, match="logits must have a finite maximum"):
            loss.gradient(broken, colours)
    logits[0, 0] = -np.inf
    with pytest.raises(ValueError, match="logits must have a finite maximum"):
        loss.gradient(logits, colours)


# -- the optimiser -------------------------------------------------------------------------------


def test_a_step_is_a_natural_gradient_step_on_the_free_energy():
    """On explicit logits: logits -= rate (dE/dp / T + logits), dE/dp from the loss's gradient."""
    image, _, colours = problem(4, 6, 7, 5)
    loss = BlurredError(image, sigma=1.0, nu=0.03)
    state = annealing.Annealing(loss, colours, rng=0)
    precision, rate = 20.0, 0.3

    def logits():
        gap = np.moveaxis(state.target, 0, -1)[:, :, None] - colours
        return -precision * np.square(gap).sum(axis=-1)

    state.step(precision, rate=0.0)  # brings the means in line with the targets
    before = logits()
    p = reference.softmax(before)
    gradient = loss.gradient(before, colours)
    by_probability = gradient.logits / p * loss.pixels  # up to a constant for each pixel
    wanted = before - rate * (precision / loss.own * by_probability + before)
    value = state.step(precision, rate=rate)
    assert value == pytest.approx(gradient.value, rel=1e-12)
    difference = logits() - wanted
    assert np.ptp(difference, axis=-1).max() < 1e-10
    assert np.abs(logits() - before).max() > 0.1


def test_annealing_lowers_the_expected_loss():
    image, _, colours = problem(5, 48, 40, 4, np.float32)
    state = annealing.Annealing(BlurredError(image), colours, rng=0)
    history = list(annealing.anneal(state, 30, learn=0))
    assert history[-1] < 0.5 * history[1]
    indices = state.argmax()
    assert state.loss.of(indices, colours) < 1.2 * history[-1]


def test_draw_follows_the_probabilities():
    """Chi-squared at a false-alarm rate of 1e-6."""
    _, _, colours = problem(6, colors=7, dtype=np.float32)
    loss = BlurredError(np.full((200, 300, 3), 0.4, np.float32))
    state = annealing.Annealing(loss, colours, rng=3)
    state.target[:] = 0.4
    state.step(3.0, rate=0.0)
    p = reference.softmax(-3.0 * np.square(colours - 0.4).sum(axis=-1).astype(np.float64))
    counts = np.bincount(state.draw().ravel(), minlength=7)
    assert stats.chisquare(counts, p * counts.sum()).pvalue > 1e-6
    assert np.all(state.argmax() == p.argmax())


@pytest.mark.parametrize("colors", [2, 5])
def test_descent_ends_where_no_label_and_no_swap_helps(colors):
    image, _, colours = problem(7, 20, 45, colors)
    loss = BlurredError(image, sigma=0.7, nu=0.02)
    labels = np.zeros((20, 45), np.uint8)
    first = loss.of(labels, colours)
    assert annealing.descend(loss, labels, colours, sweeps=200) == 0
    last = loss.of(labels, colours)
    assert last < 0.7 * first
    rng = np.random.default_rng(0)
    for _ in range(300):
        y, x = rng.integers(20), rng.integers(45)
        other = labels.copy()
        other[y, x] = rng.integers(colors)
        assert loss.of(other, colours) > last - 1e-6
        other = labels.copy()
        other[y, x : x + 2] = other[y, x : x + 2][::-1]
        if x % 32 != 31:  # swaps stay inside tiles
            assert loss.of(other, colours) > last - 1e-6


def test_normal_equations_are_the_quadratic_form():
    image, _, colours = problem(8, 17, 13, 4)
    loss = BlurredError(image, sigma=0.9, nu=0.05)
    labels = np.random.default_rng(1).integers(0, 4, (17, 13)).astype(np.uint8)
    gram, right = palette.normal_equations(loss, labels, 4)
    constant = loss.of(labels, np.zeros((4, 3)))
    quadratic = np.einsum("kc,kl,lc->", colours, gram, colours) - 2 * np.sum(colours * right)
    expected = reference.loss(colours[labels], image, 0.9, 0.05)
    assert quadratic / labels.size + constant == pytest.approx(expected, rel=1e-12)


def test_fit_is_least_squares_within_bounds():
    image, _, colours = problem(9, 30, 30, 3)
    loss = BlurredError(image)
    labels = np.random.default_rng(2).integers(0, 3, (30, 30)).astype(np.uint8)
    gram, right = palette.normal_equations(loss, labels, 4)
    fitted = palette.fit(loss, labels, np.vstack([colours, [[0.1, 0.2, 0.3]]]), iterations=500)
    np.testing.assert_array_equal(fitted[3], [0.1, 0.2, 0.3])  # no pixel has it
    np.testing.assert_allclose(fitted[:3], np.linalg.solve(gram[:3, :3], right[:3]), atol=1e-9)
    bright = BlurredError(np.where(np.arange(30)[:, None, None] < 15, 3.0, 0.0) + 0 * image)
    gram, right = palette.normal_equations(bright, labels, 3)
    fitted = palette.fit(bright, labels, colours, iterations=500)
    slope = gram @ fitted - right
    assert fitted.min() >= 0
    assert fitted.max() <= 1
    assert np.abs(slope[(fitted > 0) & (fitted < 1)]).max(initial=0) < 1e-9
    assert slope[fitted == 1].max(initial=-1) <= 0


def test_shrink_averages_boxes():
    image = np.random.default_rng(0).random((37, 50, 3))
    small = start.shrink(image, 120)
    assert small.shape == (9, 12, 3)
    np.testing.assert_allclose(small[2, 3], image[8:12, 12:16].mean(axis=(0, 1)))
    assert start.shrink(image, 10**4) is not None
    assert start.shrink(image[:1], 7).shape[0] == 1


# -- the whole -----------------------------------------------------------------------------------


@pytest.mark.parametrize("colors", [2, 16])
def test_beats_median_cut_with_error_diffusion(photograph, colors):
    _, image = photograph
    image = image.crop((130, 0, 258, 128))
    rival = np.asarray(files.median_cut(image, colors))
    image = np.asarray(image)
    result = dither(image, colors=colors)
    for sigma in (1.0, 1.5):
        ours = psnr(result.image, image, sigma=sigma)
        assert ours > psnr(rival, image, sigma=sigma) + 2


def test_threads_do_not_change_the_picture(photograph):
    values = photograph[0][:160, :200]
    pictures = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        pictures.append(dither(values, colors=8, steps=20, rng=5))
    assert pictures[0].loss == pictures[1].loss
    np.testing.assert_array_equal(pictures[0].image, pictures[1].image)
    other = dither(values, colors=8, steps=20, rng=6)
    assert np.any(other.image != pictures[0].image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (3, 200), (64, 64)])
@pytest.mark.parametrize("colors", [2, 3, 256])
def test_any_shape_and_any_number_of_colours(shape, colors):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    result = dither(image, colors=colors, steps=5)
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


def test_grey_and_float_images():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    result = dither(ramp, colors=4)
    same = dither(np.repeat(ramp[..., None], 3, axis=2), colors=4)
    np.testing.assert_array_equal(result.image, same.image)
    near = dither(ramp / 255, colors=4)
    assert near.loss[-1] == pytest.approx(result.loss[-1], rel=0.2)
    assert np.ptp(result.palette.astype(int), axis=1).max() <= 2
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


def test_callback_sees_progress_and_can_take_a_snapshot(photograph):
    values, seen, snapshots = photograph[0][:64, :64], [], []

    def callback(progress):
        seen.append((progress.step, progress.steps, progress.loss))
        if progress.step in (1, 15, progress.steps):
            snapshots.append(progress.snapshot())

    watched = dither(values, colors=4, steps=20, callback=callback)
    alone = dither(values, colors=4, steps=20)
    assert [step for step, _, _ in seen] == list(range(1, seen[0][1] + 1))
    assert all(np.isfinite(loss) for _, _, loss in seen)
    np.testing.assert_array_equal(watched.image, alone.image)
    assert watched.loss == alone.loss
    assert [s.indices.shape for s in snapshots] == [(64, 64)] * 3
    assert snapshots[1].loss[-1] < 5 * watched.loss[-1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"image": np.zeros((4, 4, 2), np.uint8)}, ValueError, "image must have shape"),
        ({"image": np.zeros((0, 4, 3), np.uint8)}, ValueError, "image must have shape"),
        ({"image": np.zeros((4, 4), np.int32)}, TypeError, "image must be uint8"),
        ({"image": np.full((4, 4), 2.0)}, ValueError, "must lie in"),
        ({"image": np.full((4, 4), np.nan)}, ValueError, "must lie in"),
        ({"colors": 1}, ValueError, "colors must be 2 to 256, not 1"),
        ({"colors": 257}, ValueError, "colors must be 2 to 256, not 257"),
        ({"colors": 2.5}, TypeError, "colors must be an integer"),
        ({"steps": 0}, ValueError, "steps must be at least 1, not 0"),
        ({"sigma": 9}, ValueError, "sigma must be between 0 and 8"),
        ({"nu": -1}, ValueError, "nu must be finite and not negative"),
        ({"palette": np.zeros((3, 3))}, TypeError, "palette must be uint8"),
        ({"palette": np.zeros((1, 3), np.uint8)}, ValueError, "palette must have shape"),
        ({"rng": "seed"}, TypeError, "rng"),
    ],
)
def test_dither_refuses_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        dither(**{"image": np.zeros((4, 4, 3), np.uint8), **arguments})


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
