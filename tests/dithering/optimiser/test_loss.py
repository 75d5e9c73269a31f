"""The dithering loss against enumeration and finite differences, its blur against SciPy."""

import numpy as np
import pytest
import reference_dithering as reference
from dithering_problems import WEIGHTED, problem, some_weights
from scipy import ndimage

from fastgrad.dithering import BlurredError
from fastgrad.dithering.eye import blur, colour, lightness
from fastgrad.dithering.optimiser.weights import check_weights

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


def test_the_blur_sees_its_taps_in_one_order(monkeypatch):
    """Another order is another type: the kernel would be compiled once more."""
    seen = []
    monkeypatch.setattr(blur.kernels, "blur", lambda out, planes, taps, *rest: seen.append(taps))
    plane, line = np.zeros((1, 9, 9), np.float32), np.arange(5.0)
    lines = np.asfortranarray(np.stack([[line, line + 1]] * 2))
    for taps in (line, line[::-1], lines, lines[::-1]):
        blur.convolve(plane, taps)
        assert seen[-1].flags.c_contiguous
        assert seen[-1].dtype == np.float32
        np.testing.assert_array_equal(seen[-1], np.broadcast_to(taps, seen[-1].shape))


def test_autocorrelation_is_two_blurs():
    taps = blur.gaussian(1.2)
    plane = np.zeros((1, 40, 40))
    plane[0, 20, 20] = 1
    twice = blur.convolve(blur.convolve(plane, taps), taps)
    np.testing.assert_allclose(blur.convolve(plane, blur.autocorrelation(taps)), twice, atol=1e-16)


# -- the loss ------------------------------------------------------------------------------------


@WEIGHTED
@pytest.mark.parametrize(("sigma", "nu"), [(1.0, 0.03), (0.0, 0.2), (0.6, 0.0), (2.0, 0.1)])
def test_expected_loss_is_the_mean_over_all_pictures(sigma, nu, weighted):
    image, logits, colours = problem()
    logits[0, 1, 2] = -np.inf
    weights = np.array([[0.5, 2.0, 1.0], [0.0, 1.5, 0.7]]) if weighted else None
    loss = BlurredError(image, sigma=sigma, nu=nu, weights=weights)
    expected = reference.expected_loss(logits, colours, image, sigma, nu, weights)
    assert loss.expected(logits, colours) == pytest.approx(expected, rel=1e-12)
    labels = np.array([[0, 1, 2], [2, 2, 0]])
    expected = reference.loss(colours[labels], image, sigma, nu, weights)
    assert loss.of(labels, colours) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("eye", [{"sigma": 1.0}, {"ppd": 40.0}])
def test_rows_that_are_laid_out_on_the_way_are_those_of_whole_planes(eye):
    rng = np.random.default_rng(4)
    image, palette = rng.random((70, 45, 3)).astype(np.float32), rng.random((9, 3))
    weights = rng.random((70, 45)) * (rng.random((70, 45)) > 0.2)
    loss, indices = BlurredError(image, weights=weights, **eye), rng.integers(0, 9, (70, 45))
    indices = indices.astype(np.uint8)
    for counted, one in ((False, loss), (True, loss.unweighted())):
        out = np.full((3, 70 + 4, 45 + 6), 7.0, np.float32)
        found = loss.errors(indices, palette, counted=counted, out=out, margin=2)
        assert found == loss.errors(indices, palette, counted=counted)
        error = one.error(indices, palette)
        field = one.field(error)
        np.testing.assert_array_equal(out[:, 2:-2, 2:47], field)
        out[:, 2:-2, 2:47] = 7.0
        assert (out == 7.0).all()
        expected = [np.vdot(error.astype(np.float64), x) / loss.pixels for x in (field, error)]
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@WEIGHTED
@pytest.mark.parametrize(("height", "width", "colors"), [(2, 3, 3), (1, 1, 2), (5, 4, 17)])
def test_gradient_is_that_of_finite_differences(height, width, colors, weighted):
    image, logits, colours = problem(1, height, width, colors)
    weights = some_weights(height, width) if weighted else None
    loss = BlurredError(image, sigma=0.8, nu=0.05, weights=weights)
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


def test_nasanen_is_a_sum_of_separable_kernels():
    kernel = blur.nasanen(35)
    assert kernel.shape == (11, 11)
    terms = blur.separated(kernel)
    table = np.einsum("ti,tj->ij", terms[:, 0], terms[:, 1])
    expected = ndimage.convolve(np.pad(kernel, 5), kernel, mode="constant")
    np.testing.assert_allclose(table, expected, atol=3e-3 * expected.max())
    plane = np.zeros((1, 40, 40))
    plane[0, 20, 20] = 1
    result = blur.convolve(plane, terms, nu=0.25)[0, 10:31, 10:31]
    table[10, 10] += 0.25
    np.testing.assert_allclose(result, table, atol=1e-15)


def test_pixels_that_do_not_count_change_nothing():
    image, logits, colours = problem(4, 5, 6, 3)
    mask = np.random.default_rng(0).random((5, 6)) < 0.7
    other = np.where(mask[..., None], image, 0.5)
    losses = [BlurredError(x, weights=mask) for x in (image, other)]
    first, second = (loss.gradient(logits, colours) for loss in losses)
    assert first.value == second.value == losses[0].expected(logits, colours)
    np.testing.assert_array_equal(first.logits, second.logits)
    np.testing.assert_array_equal(first.palette, second.palette)
    assert not first.logits[~mask].any()
    numerical = reference.numerical_gradient(lambda x: losses[0].expected(x, colours), logits)
    np.testing.assert_allclose(first.logits, numerical, rtol=1e-6, atol=1e-9)
    numerical = reference.numerical_gradient(lambda c: losses[0].expected(logits, c), colours)
    np.testing.assert_allclose(first.palette, numerical, rtol=1e-6, atol=1e-9)
    labels = np.random.default_rng(1).integers(0, 3, (5, 6))
    assert losses[0].of(labels, colours) == losses[1].of(labels, colours)


def test_unweighted_is_the_loss_of_those_that_count():
    image, logits, colours = problem(4, 5, 6, 3)
    weights = some_weights(5, 6)
    plain = BlurredError(image, weights=weights).unweighted()
    expected = BlurredError(image, weights=weights > 0).expected(logits, colours)
    assert plain.expected(logits, colours) == pytest.approx(expected, rel=1e-14)


def test_sensitivity_is_the_slope_of_lightness():
    """Those of the root, of the blurred luminance and a share of the mean one."""
    linear = np.random.default_rng(0).random((40, 50, 3))
    weights = some_weights(40, 50)
    slope = lightness.sensitivity(linear, weights)
    y = linear @ np.array(lightness.LUMINANCE)
    options = {"mode": "constant", "truncate": 3}
    seen = (weights > 0) * 1.0
    y = ndimage.gaussian_filter(y * seen, lightness.SIGMA, **options)
    y /= ndimage.gaussian_filter(seen, lightness.SIGMA, **options)
    level = lightness.ADAPTATION * y[weights > 0].mean() + lightness.FLARE
    ratio = slope[weights > 0] / (weights / np.sqrt(y + level))[weights > 0]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
    assert np.square(slope[weights > 0]).mean() == pytest.approx(1)
    assert not slope[weights == 0].any()
    assert not lightness.sensitivity(linear, np.zeros((40, 50))).any()
    flat = lightness.sensitivity(np.full((3, 4, 1), 0.3, np.float32))
    np.testing.assert_allclose(flat, np.ones((3, 4), np.float32), rtol=1e-6)
    for size in [(1, 1), (5, 40), (9, 10), (30, 11)]:
        part = linear.reshape(-1, 3)[: size[0] * size[1]].reshape(*size, 3)
        ones = lightness.sensitivity(part, np.ones(size))
        np.testing.assert_array_equal(lightness.sensitivity(part), ones)


def test_a_grey_loss_is_a_third_of_that_of_three_channels():
    image, logits, colours = problem(5, 4, 7, 3)
    grey = BlurredError(image[..., :1]).gradient(logits, colours[:, :1])
    three = BlurredError(np.repeat(image[..., :1], 3, axis=2))
    three = three.gradient(logits, np.repeat(colours[:, :1], 3, axis=1))
    assert three.value == pytest.approx(3 * grey.value, rel=1e-13)
    np.testing.assert_allclose(three.logits, 3 * grey.logits, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(three.palette, np.repeat(grey.palette, 3, axis=1), atol=1e-15)


@pytest.mark.parametrize("space", sorted(colour.SPACES))
def test_spaces_have_a_way_back(space):
    space = colour.SPACES[space]
    linear = np.random.default_rng(0).random((50, 3))
    np.testing.assert_allclose(space.back(space.into(linear)), linear, atol=1e-8)
    assert space.into(linear.astype(np.float32)).dtype == np.float32
    outside = space.into(linear) + 0.0
    np.testing.assert_allclose(space.clip(outside), outside, atol=1e-8)
    if space.mixed:
        back = space.back(space.clip(space.into(linear) * 1.5))
        assert back.min() > -1e-9
        assert back.max() < 1 + 1e-9


def test_oklab_of_primaries():
    """B. Ottosson's own table: white, and pure red."""
    lab = colour.SPACES["oklab"].into(np.array([[1.0, 1, 1], [1, 0, 0]]))
    np.testing.assert_allclose(lab[0], [1, 0, 0], atol=1e-3)
    np.testing.assert_allclose(lab[1], [0.628, 0.225, 0.126], atol=1e-3)


def test_a_screen_veils_what_is_nearly_black():
    """Oklab of light and flare, less that of flare: black is 0, and greys have one formula."""
    linear = np.array([[0.0, 0, 0], [0.004, 0.004, 0.004], [1, 1, 1], [0.2, 0.7, 0.1]])
    screen, oklab = (colour.SPACES[name].into for name in ("screen", "oklab"))
    black = oklab(np.full(3, colour.FLARE))
    np.testing.assert_allclose(screen(linear), oklab(linear + colour.FLARE) - black, atol=1e-7)
    dark, light = screen(linear)[1:3, 0]
    assert dark / light < 0.2 * oklab(linear)[1, 0]
    greys = colour.space_of("screen", grey=True)
    np.testing.assert_allclose(greys.into(linear[:3, :1])[:, 0], screen(linear)[:3, 0], atol=1e-7)
    np.testing.assert_allclose(greys.back(greys.into(linear)), linear, atol=1e-12)
    np.testing.assert_allclose(greys.into(np.array([0.0, 1.0])), greys.bounds, atol=1e-12)


def test_loss_refuses_bad_arguments():
    image, logits, colours = problem()
    with pytest.raises(ValueError, match="sigma must be from 0 to 8, got -1"):
        BlurredError(image, sigma=-1)
    with pytest.raises(ValueError, match=r"nu must be from 0 to 1e\+09, got nan"):
        BlurredError(image, nu=np.nan)
    with pytest.raises(ValueError, match="image must have shape"):
        BlurredError(image[..., 0])
    with pytest.raises(ValueError, match="ppd must be from 1 to 200, got 0"):
        BlurredError(image, ppd=0)
    with pytest.raises(ValueError, match=r"weights must have shape \(2, 3\), got \(3, 2\)"):
        BlurredError(image, weights=np.ones((3, 2)))
    with pytest.raises(TypeError, match="weights must be real, got dtype <U1"):
        BlurredError(image, weights=np.full((2, 3), "1"))
    for bad in (-1.0, np.nan, np.inf):
        weights = np.ones((2, 3))
        weights[1, 1] = bad
        with pytest.raises(ValueError, match=r"weights must be from 0 to 1e\+06, got"):
            BlurredError(image, weights=weights)
    with pytest.raises(TypeError, match="float32 or float64, got dtype int64"):
        BlurredError(np.zeros((2, 2, 3), np.int64))
    loss = BlurredError(image)
    for bad in (image[0], image.astype(int)):
        with pytest.raises(ValueError, match=r"error must be planes .*, got \("):
            loss.field(bad)
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


@pytest.mark.parametrize(
    ("indices", "options", "words"),
    [
        (np.zeros((1, 3), int), {}, r"indices must have shape \(2, 3\), got \(1, 3\)"),
        (np.zeros(6, int), {}, "indices must have shape"),
        (np.zeros((2, 3)), {}, "indices must be integers"),
        (np.full((2, 3), 9), {}, "indices must be from 0 to 2, got 9"),
        (np.full((2, 3), -1), {}, "indices must be from 0 to 2, got -1"),
        (0, {"palette": np.zeros((3, 2))}, r"palette must have shape \(K, 3\)"),
        (0, {"palette": np.zeros((257, 3))}, "palette must have at most 256 colors"),
        (0, {"margin": -1}, "margin must be at least 0"),
        (0, {"out": np.empty((3, 2, 2))}, r"out must be .*\(3, 2 or more, 3 or more\)"),
        (0, {"out": np.empty((3, 2, 3)), "margin": 1}, "out must be .*4 or more, 5 or more"),
        (0, {"out": np.empty((2, 3))}, "out must be"),
        (0, {"out": np.empty((3, 2, 3), np.float32)}, "out must be"),
        (0, {"out": np.empty((3, 2, 6))[..., ::2]}, "out must be C-contiguous"),
        (0, {"out": np.broadcast_to(0.0, (3, 2, 3))}, "out must be C-contiguous"),
        (0, {"out": "planes"}, "out must not share memory"),
    ],
)
def test_pictures_that_do_not_fit_a_loss_are_refused(indices, options, words):
    """Kernels look nothing up twice: what does not fit would be read and written beyond its end."""
    image, _, colours = problem()
    loss = BlurredError(image)
    indices = np.zeros((2, 3), int) if np.isscalar(indices) else indices
    palette = options.pop("palette", colours)
    if options.get("out") is not None and isinstance(options["out"], str):
        options = {"out": loss.planes}
    with pytest.raises((ValueError, TypeError), match=words):
        loss.errors(indices, palette, **options)
    for call in () if options else (loss.of, loss.error):
        with pytest.raises((ValueError, TypeError), match=words):
            call(indices, palette)


def test_weights_are_checked_in_their_own_type():
    weights = np.full((3, 4), 2, np.float32)
    weights[0], weights[1] = 0, 1e-5
    checked = check_weights(weights, (3, 4))
    assert checked.dtype == np.float32
    np.testing.assert_allclose(checked[:, 0], [0, 2e-3, 2], rtol=1e-6)
    assert check_weights(weights > 0, (3, 4)).dtype == np.float64
